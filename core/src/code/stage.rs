//! The second number that Windows setup prints: where in an upgrade it failed. By Microsoft's page
//! "Upgrade error codes" (windows-itpro-docs): the first digit is the phase, the last two the operation.

use serde::{Serialize, Serializer};

use crate::knowledge::Lang;

/// A stage of setup, such as `0x4000D`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage(pub u32);

impl Stage {
    /// The phase in words; `None` where Microsoft documents none.
    pub fn phase(self, lang: Lang) -> Option<&'static str> {
        let row = PHASES.iter().find(|(number, _, _)| *number == self.0 >> 16)?;
        Some(pick(lang, row.1, row.2))
    }

    /// The operation in words; `None` where Microsoft documents none.
    pub fn operation(self, lang: Lang) -> Option<&'static str> {
        let row = OPERATIONS.iter().find(|(number, _, _)| *number == self.0 & 0xFFFF)?;
        Some(pick(lang, row.1, row.2))
    }

    /// Phase and operation in one sentence.
    pub fn words(self, lang: Lang) -> String {
        let (phase, operation) = (self.phase(lang), self.operation(lang));
        let unknown = pick(lang, "not documented", "не описана");
        match lang {
            Lang::En => format!(
                "Setup failed in the phase: {}; operation: {}",
                phase.unwrap_or(unknown),
                operation.unwrap_or(unknown)
            ),
            Lang::Ru => format!(
                "Установка прервалась на этапе: {}; операция: {}",
                phase.unwrap_or("не описан"),
                operation.unwrap_or(unknown)
            ),
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("0x{:05X}", self.0))
    }
}

impl Serialize for Stage {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

const fn pick(lang: Lang, en: &'static str, ru: &'static str) -> &'static str {
    match lang {
        Lang::En => en,
        Lang::Ru => ru,
    }
}

type Row = (u32, &'static str, &'static str);

const PHASES: &[Row] = &[
    (0, "unknown", "неизвестен"),
    (1, "in the old system, before the first restart", "в старой системе, до первой перезагрузки"),
    (
        2,
        "Safe OS, the recovery system that lays down the new files",
        "Safe OS: система восстановления раскладывает новые файлы",
    ),
    (3, "first start of the new system", "первый запуск новой системы"),
    (
        4,
        "second start of the new system, with the users' data (OOBE)",
        "второй запуск новой системы, с данными пользователей (OOBE)",
    ),
    (5, "going back to the old system", "возврат к старой системе"),
];

const OPERATIONS: &[Row] = &[
    (0x00, "unknown", "неизвестна"),
    (0x01, "copying setup's files", "копирование файлов установки"),
    (0x02, "downloading updates", "загрузка обновлений"),
    (0x03, "installing updates", "установка обновлений"),
    (0x04, "installing the recovery environment", "установка среды восстановления"),
    (0x05, "installing the recovery image", "установка образа восстановления"),
    (0x06, "carrying optional components over", "перенос дополнительных компонентов"),
    (0x07, "installing drivers", "установка драйверов"),
    (0x08, "preparing the Safe OS", "подготовка Safe OS"),
    (0x09, "preparing the way back", "подготовка отката"),
    (0x0A, "preparing the first start", "подготовка первого запуска"),
    (0x0B, "preparing the second start", "подготовка второго запуска"),
    (0x0C, "laying down the image of the new system", "развёртывание образа новой системы"),
    (0x0D, "moving data and settings over", "перенос данных и настроек"),
    (0x0E, "setting the product key", "установка ключа продукта"),
    (0x0F, "adding the answer file", "добавление файла ответов"),
    (0x10, "adding a driver", "добавление драйвера"),
    (0x11, "switching a feature on", "включение компонента"),
    (0x12, "switching a feature off", "отключение компонента"),
    (
        0x13,
        "registering a program that runs beside setup",
        "регистрация программы, идущей параллельно",
    ),
    (
        0x14,
        "registering a program that setup waits for",
        "регистрация программы, которую ждёт установка",
    ),
    (0x15, "creating a file", "создание файла"),
    (0x16, "creating a registry entry", "создание записи реестра"),
    (0x17, "starting the system", "запуск системы"),
    (0x18, "sysprep", "sysprep"),
    (0x19, "first-use questions (OOBE)", "первоначальная настройка (OOBE)"),
    (0x1A, "beginning of the first start", "начало первого запуска"),
    (0x1B, "end of the first start", "конец первого запуска"),
    (0x1C, "beginning of the second start", "начало второго запуска"),
    (0x1D, "end of the second start", "конец второго запуска"),
    (0x1E, "before the first-use questions (OOBE)", "перед первоначальной настройкой (OOBE)"),
    (0x1F, "after the first-use questions (OOBE)", "после первоначальной настройки (OOBE)"),
    (0x20, "adding a provisioning package", "добавление пакета подготовки"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phase_and_operation_are_told() {
        let stage = Stage(0x4000D);
        assert_eq!(stage.to_string(), "0x4000D");
        assert!(stage.phase(Lang::En).expect("known").starts_with("second start"));
        assert_eq!(stage.operation(Lang::Ru), Some("перенос данных и настроек"));
        assert!(stage.words(Lang::En).ends_with("moving data and settings over"));
    }

    #[test]
    fn what_is_not_documented_is_not_made_up() {
        // The Media Creation Tool's pair "0x80070003 0xA001B".
        let stage = Stage(0xA001B);
        assert_eq!(stage.phase(Lang::En), None);
        assert_eq!(stage.operation(Lang::En), Some("end of the first start"));
        assert!(stage.words(Lang::Ru).contains("не описан;"));
        assert_eq!(Stage(0x2FFFF).operation(Lang::En), None);
    }
}
