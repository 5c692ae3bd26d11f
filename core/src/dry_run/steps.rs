//! Each step in words: what it does, what it touches, how it is taken back.

use super::{Touch, Touched, phrases};
use crate::knowledge::{Catalogue, Lang};
use crate::step::{Action, Backup, Place, RegistryData, StartOn, StartType, Tool};
use crate::words::Slug;

/// What the step does, as a sentence.
pub(super) fn does(cat: &Catalogue, action: &Action, lang: Lang) -> String {
    let ru = lang == Lang::Ru;
    match action {
        Action::ServiceStart { service } if ru => format!("Запустить службу {service}."),
        Action::ServiceStart { service } => format!("Start the service {service}."),
        Action::ServiceStop { service } if ru => format!("Остановить службу {service}."),
        Action::ServiceStop { service } => format!("Stop the service {service}."),
        Action::ServiceRestart { service } if ru => format!("Перезапустить службу {service}."),
        Action::ServiceRestart { service } => format!("Stop and start the service {service}."),
        Action::ServiceSetStart { service, start, on } => set_start(service, *start, on, lang),
        Action::FileRename { place } => {
            let path = path(place, lang);
            if ru {
                format!(
                    "Переименовать {path} в той же папке, добавив к имени .fleetmend-ЗАДАНИЕ; ничего не удаляется."
                )
            } else {
                format!(
                    "Rename {path} within its folder, with .fleetmend-JOB added to its name; nothing is deleted."
                )
            }
        }
        Action::FileQuarantine { place } => {
            let path = path(place, lang);
            if ru {
                format!("Перенести {path} в карантин агента; ничего не удаляется.")
            } else {
                format!("Move {path} into the agent's quarantine; nothing is deleted.")
            }
        }
        Action::FileCreateDir { place } if ru => format!("Создать папку {}.", path(place, lang)),
        Action::FileCreateDir { place } => format!("Create the folder {}.", path(place, lang)),
        Action::FileRestore { place } => {
            let path = path(place, lang);
            if ru {
                format!("Вернуть {path} на место, если там нет ничего нового.")
            } else {
                format!("Put {path} back, where nothing new took its place.")
            }
        }
        Action::RegistrySet { data, .. } if ru => format!("Записать в реестр {}.", value(data)),
        Action::RegistrySet { data, .. } => format!("Write {} into the registry.", value(data)),
        Action::RegistryDelete { .. } => {
            lang.pick("Delete a value of the registry.", "Удалить значение реестра.").to_owned()
        }
        Action::ToolRun { tool, .. } => tool_runs(*tool, lang),
        Action::FirewallSuspend { minutes } if ru => format!(
            "Отключить все профили брандмауэра не дольше чем на {minutes} мин; его служба работает."
        ),
        Action::FirewallSuspend { minutes } => format!(
            "Switch all profiles of the firewall off for at most {minutes} min; its service goes on."
        ),
        Action::AntivirusExclude { minutes, .. } if ru => {
            format!("Исключить эти папки из проверки антивируса не дольше чем на {minutes} мин.")
        }
        Action::AntivirusExclude { minutes, .. } => {
            format!("Exclude these folders from the virus scanner for at most {minutes} min.")
        }
        Action::ReparseList { .. } => lang
            .pick(
                "Write down what the reparse point is and where it leads.",
                "Записать вид точки повторной обработки и куда она ведёт.",
            )
            .to_owned(),
        Action::ReparseDetach { .. } => lang
            .pick(
                "Take the mounted volume or junction off its folder: only the link goes, nothing in it is touched.",
                "Отключить том или соединение от папки: уходит только ссылка, содержимое не трогается.",
            )
            .to_owned(),
        Action::BackupRun { backup } => backup_runs(*backup, lang).to_owned(),
        Action::UpdateScan {} => lang
            .pick(
                "Search for updates through the host's own update authority.",
                "Искать обновления через источник обновлений хоста.",
            )
            .to_owned(),
        Action::UpdateDownload {} => lang
            .pick(
                "Download what the host's update authority approved; of a failed update, that one alone.",
                "Загрузить одобренное источником обновлений хоста; при сбое одного обновления — только его.",
            )
            .to_owned(),
        Action::UpdateInstall {} => lang
            .pick(
                "Install what the host's update authority approved; of a failed update, that one alone.",
                "Установить одобренное источником обновлений хоста; при сбое одного обновления — только его.",
            )
            .to_owned(),
        Action::RestorePointCreate {} => {
            lang.pick("Make a restore point.", "Создать точку восстановления.").to_owned()
        }
        Action::WaitUntil { probe } => {
            let what = phrases::probe(cat, probe, lang);
            if ru {
                format!("Ждать, пока это не пройдёт: {what}.")
            } else {
                format!("Wait until this is over: {what}.")
            }
        }
        Action::Reboot {} => lang.pick("Restart the host.", "Перезагрузить хост.").to_owned(),
    }
}

/// All that the step touches, named in full.
pub(super) fn touches(cat: &Catalogue, action: &Action, lang: Lang) -> Vec<Touch> {
    let one = |kind: Touched, name: String| vec![Touch { kind, name }];
    match action {
        Action::ServiceStart { service }
        | Action::ServiceStop { service }
        | Action::ServiceRestart { service }
        | Action::ServiceSetStart { service, .. } => one(Touched::Service, service.clone()),
        Action::FileRename { place }
        | Action::FileQuarantine { place }
        | Action::FileCreateDir { place }
        | Action::FileRestore { place } => one(Touched::Path, path(place, lang)),
        Action::RegistrySet { hive, key, name, .. }
        | Action::RegistryDelete { hive, key, name } => {
            let hive = hive.as_str().to_ascii_uppercase();
            one(Touched::Registry, format!("{hive}\\{key}\\{name}"))
        }
        Action::ToolRun { tool, value_from } => {
            one(Touched::Program, command(*tool, value_from.as_ref(), lang))
        }
        Action::FirewallSuspend { .. } => one(
            Touched::System,
            lang.pick(
                "firewall profiles domain, private, public",
                "профили брандмауэра: домен, частный, общий",
            )
            .to_owned(),
        ),
        Action::AntivirusExclude { places, .. } => {
            let touch = |place| Touch { kind: Touched::Path, name: path(place, lang) };
            places.iter().map(touch).collect()
        }
        Action::ReparseList { evidence } | Action::ReparseDetach { evidence } => {
            one(Touched::Path, found(evidence, lang))
        }
        Action::BackupRun { backup } => {
            let (program, arguments) = backup.command();
            one(Touched::Program, command_line(program, arguments.iter().copied()))
        }
        Action::UpdateScan {} | Action::UpdateDownload {} | Action::UpdateInstall {} => one(
            Touched::System,
            lang.pick("Windows Update Agent", "агент обновления Windows").to_owned(),
        ),
        Action::RestorePointCreate {} => {
            one(Touched::System, lang.pick("System Restore", "восстановление системы").to_owned())
        }
        Action::WaitUntil { probe } => one(
            Touched::System,
            format!(
                "{}: {}",
                lang.pick("only asks", "только спрашивает"),
                phrases::probe(cat, probe, lang)
            ),
        ),
        Action::Reboot {} => {
            one(Touched::System, lang.pick("the whole host", "весь хост").to_owned())
        }
    }
}

/// How it is taken back, or why not.
pub(super) fn undoing(action: &Action, lang: Lang) -> String {
    if let Some(why) = action.why_final(lang) {
        return format!("{} {why}", lang.pick("none:", "нет:"));
    }
    let words = match action {
        Action::ServiceStart { .. } => lang.pick("stopped again, if it did not run", "остановка, если она не работала"),
        Action::ServiceStop { .. } => lang.pick("started again, if it ran", "запуск, если она работала"),
        Action::ServiceRestart { .. } => lang.pick("left running or stopped as it was", "работает или стоит, как раньше"),
        Action::ServiceSetStart { .. } => lang.pick("the old start type", "прежний тип запуска"),
        Action::FileRename { .. } | Action::FileQuarantine { .. } => {
            lang.pick("moved back", "возврат на место")
        }
        Action::FileCreateDir { .. } => lang.pick("removed again, if it is empty", "удаление, если она пуста"),
        Action::FileRestore { .. } => lang.pick("moved away again", "снова убирается"),
        Action::RegistrySet { .. } => {
            lang.pick("the old value, or its absence", "прежнее значение или его отсутствие")
        }
        Action::RegistryDelete { .. } => lang.pick("the old value", "прежнее значение"),
        Action::FirewallSuspend { .. } => lang.pick(
            "each profile as it was; the agent does it by itself after the last step, on a failure, when the time is up and after a restart",
            "каждый профиль как был; агент делает это сам после последнего шага, при сбое, по времени и после перезагрузки",
        ),
        Action::AntivirusExclude { .. } => lang.pick(
            "scanned again, but for what was excluded before; the agent does it by itself after the last step, on a failure, when the time is up and after a restart",
            "снова проверяются, кроме исключённых раньше; агент делает это сам после последнего шага, при сбое, по времени и после перезагрузки",
        ),
        Action::ReparseDetach { .. } => {
            lang.pick("the same link on the same folder", "та же ссылка на той же папке")
        }
        Action::UpdateDownload {} => lang.pick(
            "what was downloaded stays, and harms nobody",
            "загруженное остаётся и никому не мешает",
        ),
        Action::RestorePointCreate {} => lang.pick(
            "the point is removed, unless a step after it that cannot be taken back was begun; older ones may have made room for it",
            "точка удаляется, если после неё не начат необратимый шаг; старые могли освободить для неё место",
        ),
        Action::ToolRun { tool, .. } if tool.changes() => {
            lang.pick("not needed: what it removed or made does no harm", "не нужна: убранное или созданное не мешает")
        }
        Action::ReparseList { .. }
        | Action::UpdateScan {}
        | Action::WaitUntil { .. }
        | Action::ToolRun { .. }
        | Action::BackupRun { .. }
        | Action::UpdateInstall {}
        | Action::Reboot {} => lang.pick("not needed: it changes nothing", "не нужна: ничего не меняет"),
    };
    words.to_owned()
}

fn set_start(service: &str, start: StartType, on: &[StartOn], lang: Lang) -> String {
    let word = |start: StartType| match start {
        StartType::Auto => lang.pick("automatic", "автоматически"),
        StartType::Manual => lang.pick("on demand", "по требованию"),
        StartType::Disabled => lang.pick("disabled", "отключена"),
    };
    let others = on.iter().map(|o| match lang {
        Lang::En => format!(" ({} on builds {})", word(o.start), o.build),
        Lang::Ru => format!(" ({} на сборках {})", word(o.start), o.build),
    });
    let others: String = others.collect();
    let start = word(start);
    match lang {
        Lang::En => format!(
            "Set the start type of {service} to {start}{others}, only if it is disabled and no policy set that."
        ),
        Lang::Ru => format!(
            "Задать тип запуска {service}: {start}{others}, только если она отключена и не политикой."
        ),
    }
}

fn tool_runs(tool: Tool, lang: Lang) -> String {
    let builds = tool.builds();
    let only = match (builds, lang) {
        ([], _) => String::new(),
        (_, Lang::En) => format!(" Only on builds {}.", builds.join(", ")),
        (_, Lang::Ru) => format!(" Только на сборках {}.", builds.join(", ")),
    };
    let instead = tool.instead(lang).map(|words| format!(" {words}")).unwrap_or_default();
    // What it found is no matter of its exit.
    let looks = match (tool, lang) {
        (Tool::DismScanHealth, Lang::En) => " Damage that it finds stands in CBS.log.",
        (Tool::DismScanHealth, Lang::Ru) => " Найденные повреждения записаны в CBS.log.",
        _ => "",
    };
    let codes: Vec<String> = tool.success().iter().map(ToString::to_string).collect();
    let codes = codes.join(", ");
    match lang {
        Lang::En => format!("Run a system program; exit {codes} is success.{looks}{only}{instead}"),
        Lang::Ru => {
            format!("Запустить системную программу; успех — код {codes}.{looks}{only}{instead}")
        }
    }
}

const fn backup_runs(backup: Backup, lang: Lang) -> &'static str {
    match backup {
        Backup::WindowsBackup => lang.pick(
            "Run Windows Backup once, with the settings it has.",
            "Один раз выполнить архивацию Windows с её настройками.",
        ),
        Backup::SystemImage => lang.pick(
            "Run the scheduled system backup once, with the settings it has.",
            "Один раз выполнить плановую архивацию системы с её настройками.",
        ),
    }
}

fn value(data: &RegistryData) -> String {
    match data {
        RegistryData::Sz(text) => format!("REG_SZ \"{text}\""),
        RegistryData::ExpandSz(text) => format!("REG_EXPAND_SZ \"{text}\""),
        RegistryData::Dword(number) => format!("REG_DWORD {number}"),
    }
}

fn path(place: &Place, lang: Lang) -> String {
    match place {
        Place::Below { base, path } => base.join(path),
        Place::Evidence { evidence } => found(evidence, lang),
    }
}

fn found(evidence: &Slug, lang: Lang) -> String {
    match lang {
        Lang::En => format!("the path that the host's own probe {evidence} found"),
        Lang::Ru => format!("путь, который нашла проба хоста {evidence}"),
    }
}

fn command(tool: Tool, value_from: Option<&Slug>, lang: Lang) -> String {
    let (program, arguments) = tool.command();
    let value = value_from.map(|probe| match lang {
        Lang::En => format!("<what the probe {probe} found>"),
        Lang::Ru => format!("<что нашла проба {probe}>"),
    });
    let named = |a: &&'static str| match (&value, *a) {
        (Some(value), "{value}") => value.clone(),
        (Some(value), "{as_unit}") => match lang {
            Lang::En => format!("<user, folder and environment files of {value}>"),
            Lang::Ru => format!("<пользователь, папка и файлы окружения: {value}>"),
        },
        (_, plain) => plain.to_owned(),
    };
    let arguments: Vec<String> = arguments.iter().map(named).collect();
    command_line(program, arguments.iter().map(String::as_str))
}

/// A program and its arguments as a person would write them.
fn command_line<'a>(program: &str, arguments: impl Iterator<Item = &'a str>) -> String {
    let mut line = match program.strip_prefix("%System32%/") {
        Some(name) => format!("%SystemRoot%\\System32\\{name}"),
        None => program.to_owned(),
    };
    for argument in arguments {
        line.push(' ');
        line.push_str(argument);
    }
    line
}
