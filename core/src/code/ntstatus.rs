//! The NTSTATUS values that setup, servicing and volume logs name most: number, symbol, words.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::knowledge::Lang;

/// The symbol and the words of an NTSTATUS.
pub(super) fn text(status: u32, lang: Lang) -> Option<(&'static str, &'static str)> {
    let at = TABLE.binary_search_by_key(&status, |row| row.0).ok()?;
    let (_, symbol, en, ru) = TABLE[at];
    Some((symbol, if lang == Lang::En { en } else { ru }))
}

/// The NTSTATUS of a symbol.
pub(super) fn by_symbol(symbol: &str) -> Option<u32> {
    static NAMES: OnceLock<HashMap<&str, u32>> = OnceLock::new();
    let names = NAMES.get_or_init(|| TABLE.iter().map(|row| (row.1, row.0)).collect());
    names.get(symbol.to_ascii_uppercase().as_str()).copied()
}

/// Ordered by number.
const TABLE: &[(u32, &str, &str, &str)] = &[
    (0xC000_0001, "STATUS_UNSUCCESSFUL", "the operation failed", "операция не удалась"),
    (
        0xC000_0005,
        "STATUS_ACCESS_VIOLATION",
        "a program reached into memory that is not its own",
        "программа обратилась к чужой памяти",
    ),
    (0xC000_0008, "STATUS_INVALID_HANDLE", "a handle was not valid", "дескриптор недействителен"),
    (0xC000_000D, "STATUS_INVALID_PARAMETER", "a parameter was wrong", "неверный параметр"),
    (0xC000_000E, "STATUS_NO_SUCH_DEVICE", "the device is not there", "устройства нет"),
    (0xC000_000F, "STATUS_NO_SUCH_FILE", "the file is not there", "файла нет"),
    (
        0xC000_0010,
        "STATUS_INVALID_DEVICE_REQUEST",
        "the device does not know the request",
        "устройство не знает такого запроса",
    ),
    (0xC000_0017, "STATUS_NO_MEMORY", "there was not enough memory", "не хватило памяти"),
    (0xC000_0022, "STATUS_ACCESS_DENIED", "access was denied", "доступ запрещён"),
    (
        0xC000_0032,
        "STATUS_DISK_CORRUPT_ERROR",
        "the disk's structure is damaged",
        "структура диска повреждена",
    ),
    (0xC000_0033, "STATUS_OBJECT_NAME_INVALID", "a name has wrong syntax", "недопустимое имя"),
    (0xC000_0034, "STATUS_OBJECT_NAME_NOT_FOUND", "a name was not found", "имя не найдено"),
    (0xC000_0035, "STATUS_OBJECT_NAME_COLLISION", "the name is in use already", "имя уже занято"),
    (0xC000_003A, "STATUS_OBJECT_PATH_NOT_FOUND", "a path was not found", "путь не найден"),
    (0xC000_003E, "STATUS_DATA_ERROR", "data were wrong", "ошибка в данных"),
    (
        0xC000_0043,
        "STATUS_SHARING_VIOLATION",
        "another process holds the file",
        "файл занят другим процессом",
    ),
    (0xC000_0056, "STATUS_DELETE_PENDING", "the file is being deleted", "файл удаляется"),
    (0xC000_007F, "STATUS_DISK_FULL", "the disk is full", "диск заполнен"),
    (
        0xC000_009A,
        "STATUS_INSUFFICIENT_RESOURCES",
        "the system's resources are used up",
        "ресурсы системы исчерпаны",
    ),
    (
        0xC000_009C,
        "STATUS_DEVICE_DATA_ERROR",
        "the disk could not be read: a bad sector",
        "диск не читается: сбойный сектор",
    ),
    (
        0xC000_009D,
        "STATUS_DEVICE_NOT_CONNECTED",
        "the device is not connected",
        "устройство не подключено",
    ),
    (
        0xC000_00B5,
        "STATUS_IO_TIMEOUT",
        "the device did not answer in time",
        "устройство не ответило вовремя",
    ),
    (
        0xC000_00BB,
        "STATUS_NOT_SUPPORTED",
        "the request is not supported",
        "запрос не поддерживается",
    ),
    (
        0xC000_0102,
        "STATUS_FILE_CORRUPT_ERROR",
        "a file or folder is damaged",
        "файл или папка повреждены",
    ),
    (0xC000_0120, "STATUS_CANCELLED", "it was cancelled", "отменено"),
    (
        0xC000_0135,
        "STATUS_DLL_NOT_FOUND",
        "a library of a program was not found",
        "не найдена библиотека программы",
    ),
    (
        0xC000_0139,
        "STATUS_ENTRYPOINT_NOT_FOUND",
        "a procedure was not found in its library",
        "в библиотеке нет нужной процедуры",
    ),
    (0xC000_0142, "STATUS_DLL_INIT_FAILED", "a library did not start", "библиотека не запустилась"),
    (
        0xC000_014F,
        "STATUS_UNRECOGNIZED_VOLUME",
        "the volume holds no known file system",
        "на томе нет известной файловой системы",
    ),
    (
        0xC000_0185,
        "STATUS_IO_DEVICE_ERROR",
        "the device had an input/output error",
        "ошибка ввода-вывода устройства",
    ),
    (
        0xC000_021A,
        "STATUS_SYSTEM_PROCESS_TERMINATED",
        "a process that the system needs ended",
        "завершился необходимый системе процесс",
    ),
    (
        0xC000_0221,
        "STATUS_IMAGE_CHECKSUM_MISMATCH",
        "a system file is damaged",
        "системный файл повреждён",
    ),
    (0xC000_0225, "STATUS_NOT_FOUND", "an element was not found", "элемент не найден"),
    (0xC000_026E, "STATUS_VOLUME_DISMOUNTED", "the volume was dismounted", "том отключён"),
    (
        0xC000_0374,
        "STATUS_HEAP_CORRUPTION",
        "a program damaged its memory",
        "программа повредила свою память",
    ),
    (
        0xC000_0409,
        "STATUS_STACK_BUFFER_OVERRUN",
        "a program ended itself after an error in its memory",
        "программа завершила себя из-за ошибки памяти",
    ),
    (
        0xC000_0428,
        "STATUS_INVALID_IMAGE_HASH",
        "a file's signature could not be verified",
        "подпись файла не подтверждена",
    ),
];

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_ordered() {
        assert!(super::TABLE.windows(2).all(|w| w[0].0 < w[1].0));
    }

    #[test]
    fn every_name_is_found() {
        for (code, symbol, ..) in super::TABLE {
            assert_eq!(super::by_symbol(&symbol.to_lowercase()), Some(*code), "{symbol}");
        }
        assert_eq!(super::by_symbol("STATUS_OF_NOBODY"), None);
    }
}
