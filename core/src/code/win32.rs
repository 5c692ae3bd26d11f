//! The Win32 errors that update and backup logs name most: number, symbol, words. For codes that
//! the catalogue does not hold.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::knowledge::Lang;

/// The symbol and the words of a Win32 error.
pub(super) fn text(code: u16, lang: Lang) -> Option<(&'static str, &'static str)> {
    let at = TABLE.binary_search_by_key(&code, |row| row.0).ok()?;
    let (_, symbol, en, ru) = TABLE[at];
    Some((symbol, if lang == Lang::En { en } else { ru }))
}

/// The Win32 error of a symbol.
pub(super) fn by_symbol(symbol: &str) -> Option<u16> {
    static NAMES: OnceLock<HashMap<&str, u16>> = OnceLock::new();
    let names = NAMES.get_or_init(|| TABLE.iter().map(|row| (row.1, row.0)).collect());
    names.get(symbol.to_ascii_uppercase().as_str()).copied()
}

/// What a range of Win32 errors belongs to, where the number alone is not listed.
pub(super) const fn range(code: u16, lang: Lang) -> Option<&'static str> {
    let (en, ru) = match code {
        1600..=1660 => ("Windows Installer", "Windows Installer"),
        6700..=6850 => ("transactional NTFS", "транзакционной NTFS"),
        12000..=12190 => ("WinINet or WinHTTP (network)", "WinINet или WinHTTP (сеть)"),
        14000..=14111 => (
            "side-by-side assemblies (component store)",
            "сборок side-by-side (хранилище компонентов)",
        ),
        15600..=15640 => ("app packages (AppX)", "пакетов приложений (AppX)"),
        _ => return None,
    };
    Some(match lang {
        Lang::En => en,
        Lang::Ru => ru,
    })
}

/// Ordered by number.
const TABLE: &[(u16, &str, &str, &str)] = &[
    (
        1,
        "ERROR_INVALID_FUNCTION",
        "the device or file system does not know the function",
        "устройство или файловая система не знает такой функции",
    ),
    (2, "ERROR_FILE_NOT_FOUND", "a file was not found", "файл не найден"),
    (3, "ERROR_PATH_NOT_FOUND", "a path was not found", "путь не найден"),
    (4, "ERROR_TOO_MANY_OPEN_FILES", "too many files are open", "открыто слишком много файлов"),
    (5, "ERROR_ACCESS_DENIED", "access was denied", "доступ запрещён"),
    (6, "ERROR_INVALID_HANDLE", "a handle was not valid", "дескриптор недействителен"),
    (8, "ERROR_NOT_ENOUGH_MEMORY", "there was not enough memory", "не хватило памяти"),
    (
        11,
        "ERROR_BAD_FORMAT",
        "a program file has a wrong format",
        "у файла программы неверный формат",
    ),
    (13, "ERROR_INVALID_DATA", "data were not valid", "неверные данные"),
    (14, "ERROR_OUTOFMEMORY", "memory ran out", "память исчерпана"),
    (15, "ERROR_INVALID_DRIVE", "a drive was not found", "диск не найден"),
    (
        17,
        "ERROR_NOT_SAME_DEVICE",
        "a file cannot be moved to another drive this way",
        "файл нельзя так переместить на другой диск",
    ),
    (18, "ERROR_NO_MORE_FILES", "there are no more files", "файлов больше нет"),
    (19, "ERROR_WRITE_PROTECT", "the medium is write-protected", "носитель защищён от записи"),
    (21, "ERROR_NOT_READY", "the device is not ready", "устройство не готово"),
    (23, "ERROR_CRC", "a checksum of the disk was wrong", "неверная контрольная сумма на диске"),
    (27, "ERROR_SECTOR_NOT_FOUND", "a sector of the disk was not found", "сектор диска не найден"),
    (29, "ERROR_WRITE_FAULT", "the device could not be written", "запись на устройство не удалась"),
    (30, "ERROR_READ_FAULT", "the device could not be read", "чтение с устройства не удалось"),
    (31, "ERROR_GEN_FAILURE", "a device does not work", "устройство не работает"),
    (
        32,
        "ERROR_SHARING_VIOLATION",
        "another process holds the file",
        "файл занят другим процессом",
    ),
    (
        33,
        "ERROR_LOCK_VIOLATION",
        "another process locks part of the file",
        "часть файла заблокирована другим процессом",
    ),
    (38, "ERROR_HANDLE_EOF", "the end of the file was reached", "достигнут конец файла"),
    (50, "ERROR_NOT_SUPPORTED", "the request is not supported", "запрос не поддерживается"),
    (53, "ERROR_BAD_NETPATH", "the network path was not found", "сетевой путь не найден"),
    (55, "ERROR_DEV_NOT_EXIST", "the network resource is gone", "сетевого ресурса больше нет"),
    (59, "ERROR_UNEXP_NET_ERR", "an unexpected network error", "непредвиденная ошибка сети"),
    (
        64,
        "ERROR_NETNAME_DELETED",
        "the network name is gone: the connection was cut",
        "сетевого имени больше нет: связь прервана",
    ),
    (
        65,
        "ERROR_NETWORK_ACCESS_DENIED",
        "access to the network was denied",
        "доступ к сети запрещён",
    ),
    (67, "ERROR_BAD_NET_NAME", "the share's name was not found", "имя общей папки не найдено"),
    (80, "ERROR_FILE_EXISTS", "the file is there already", "файл уже есть"),
    (87, "ERROR_INVALID_PARAMETER", "a parameter was wrong", "неверный параметр"),
    (109, "ERROR_BROKEN_PIPE", "the pipe was ended", "канал закрыт"),
    (
        110,
        "ERROR_OPEN_FAILED",
        "a file or device could not be opened",
        "файл или устройство не открывается",
    ),
    (112, "ERROR_DISK_FULL", "the disk is full", "диск заполнен"),
    (
        120,
        "ERROR_CALL_NOT_IMPLEMENTED",
        "the system does not have this function",
        "в системе нет этой функции",
    ),
    (121, "ERROR_SEM_TIMEOUT", "a wait timed out", "время ожидания вышло"),
    (122, "ERROR_INSUFFICIENT_BUFFER", "a buffer was too small", "буфер слишком мал"),
    (123, "ERROR_INVALID_NAME", "a name has wrong syntax", "недопустимое имя"),
    (126, "ERROR_MOD_NOT_FOUND", "a module was not found", "модуль не найден"),
    (
        127,
        "ERROR_PROC_NOT_FOUND",
        "a procedure was not found in its module",
        "в модуле нет нужной процедуры",
    ),
    (145, "ERROR_DIR_NOT_EMPTY", "a folder is not empty", "папка не пуста"),
    (161, "ERROR_BAD_PATHNAME", "a path is not valid", "недопустимый путь"),
    (170, "ERROR_BUSY", "the resource is in use", "ресурс занят"),
    (183, "ERROR_ALREADY_EXISTS", "the object is there already", "объект уже есть"),
    (
        193,
        "ERROR_BAD_EXE_FORMAT",
        "a file is no program for this system",
        "файл не является программой этой системы",
    ),
    (206, "ERROR_FILENAME_EXCED_RANGE", "a file's name is too long", "имя файла слишком длинное"),
    (234, "ERROR_MORE_DATA", "there are more data", "есть ещё данные"),
    (259, "ERROR_NO_MORE_ITEMS", "there are no more items", "данных больше нет"),
    (267, "ERROR_DIRECTORY", "a folder's name is not valid", "недопустимое имя папки"),
    (487, "ERROR_INVALID_ADDRESS", "an address is not valid", "недопустимый адрес"),
    (995, "ERROR_OPERATION_ABORTED", "the operation was aborted", "операция прервана"),
    (997, "ERROR_IO_PENDING", "the operation is still under way", "операция ещё идёт"),
    (998, "ERROR_NOACCESS", "a memory access was not valid", "неверное обращение к памяти"),
    (
        1005,
        "ERROR_UNRECOGNIZED_VOLUME",
        "the volume holds no known file system",
        "на томе нет известной файловой системы",
    ),
    (
        1006,
        "ERROR_FILE_INVALID",
        "the volume of an open file was changed",
        "том открытого файла изменён",
    ),
    (1009, "ERROR_BADDB", "the registry's database is damaged", "база реестра повреждена"),
    (1010, "ERROR_BADKEY", "a registry key is not valid", "неверный раздел реестра"),
    (
        1053,
        "ERROR_SERVICE_REQUEST_TIMEOUT",
        "a service did not answer in time",
        "служба не ответила вовремя",
    ),
    (1056, "ERROR_SERVICE_ALREADY_RUNNING", "the service runs already", "служба уже работает"),
    (1058, "ERROR_SERVICE_DISABLED", "the service is disabled", "служба отключена"),
    (1060, "ERROR_SERVICE_DOES_NOT_EXIST", "the service is not installed", "служба не установлена"),
    (
        1061,
        "ERROR_SERVICE_CANNOT_ACCEPT_CTRL",
        "the service takes no commands now",
        "служба сейчас не принимает команды",
    ),
    (1062, "ERROR_SERVICE_NOT_ACTIVE", "the service does not run", "служба не работает"),
    (
        1066,
        "ERROR_SERVICE_SPECIFIC_ERROR",
        "the service ended with an error of its own",
        "служба завершилась с собственной ошибкой",
    ),
    (
        1067,
        "ERROR_PROCESS_ABORTED",
        "the process ended unexpectedly",
        "процесс неожиданно завершился",
    ),
    (
        1068,
        "ERROR_SERVICE_DEPENDENCY_FAIL",
        "a service that it needs did not start",
        "не запустилась служба, от которой она зависит",
    ),
    (1072, "ERROR_SERVICE_MARKED_FOR_DELETE", "the service is being removed", "служба удаляется"),
    (1115, "ERROR_SHUTDOWN_IN_PROGRESS", "the system is shutting down", "система завершает работу"),
    (
        1117,
        "ERROR_IO_DEVICE",
        "the device had an input/output error",
        "ошибка ввода-вывода устройства",
    ),
    (1168, "ERROR_NOT_FOUND", "an element was not found", "элемент не найден"),
    (
        1219,
        "ERROR_SESSION_CREDENTIAL_CONFLICT",
        "another user name is in use for this server",
        "для этого сервера занято другое имя пользователя",
    ),
    (1223, "ERROR_CANCELLED", "somebody cancelled it", "отменено пользователем"),
    (1231, "ERROR_NETWORK_UNREACHABLE", "the network cannot be reached", "сеть недоступна"),
    (1232, "ERROR_HOST_UNREACHABLE", "the host cannot be reached", "узел недоступен"),
    (1243, "ERROR_SERVICE_NOT_FOUND", "the named service does not exist", "указанной службы нет"),
    (1311, "ERROR_NO_LOGON_SERVERS", "no server for the log-on was found", "нет сервера для входа"),
    (1314, "ERROR_PRIVILEGE_NOT_HELD", "a right is missing", "не хватает прав"),
    (1326, "ERROR_LOGON_FAILURE", "user name or password is wrong", "неверное имя или пароль"),
    (
        1327,
        "ERROR_ACCOUNT_RESTRICTION",
        "the account may not log on this way",
        "учётной записи такой вход запрещён",
    ),
    (1331, "ERROR_ACCOUNT_DISABLED", "the account is disabled", "учётная запись отключена"),
    (1392, "ERROR_FILE_CORRUPT", "a file or folder is damaged", "файл или папка повреждены"),
    (1393, "ERROR_DISK_CORRUPT", "the disk's structure is damaged", "структура диска повреждена"),
    (
        1450,
        "ERROR_NO_SYSTEM_RESOURCES",
        "the system's resources are used up",
        "ресурсы системы исчерпаны",
    ),
    (1460, "ERROR_TIMEOUT", "the time was up", "время вышло"),
    (
        1601,
        "ERROR_INSTALL_SERVICE_FAILURE",
        "Windows Installer could not be reached",
        "Windows Installer недоступен",
    ),
    (1602, "ERROR_INSTALL_USEREXIT", "somebody cancelled the installation", "установка отменена"),
    (1603, "ERROR_INSTALL_FAILURE", "the installation failed", "установка не удалась"),
    (1605, "ERROR_UNKNOWN_PRODUCT", "the product is not installed", "продукт не установлен"),
    (
        1612,
        "ERROR_INSTALL_SOURCE_ABSENT",
        "the installation's source is missing",
        "нет источника установки",
    ),
    (
        1618,
        "ERROR_INSTALL_ALREADY_RUNNING",
        "another installation is running",
        "идёт другая установка",
    ),
    (
        1619,
        "ERROR_INSTALL_PACKAGE_OPEN_FAILED",
        "the package could not be opened",
        "пакет не открывается",
    ),
    (1638, "ERROR_PRODUCT_VERSION", "another version is installed", "установлена другая версия"),
    (
        1641,
        "ERROR_SUCCESS_REBOOT_INITIATED",
        "done; a restart was begun",
        "выполнено; начата перезагрузка",
    ),
    (
        1642,
        "ERROR_PATCH_TARGET_NOT_FOUND",
        "what is to be patched is not installed",
        "исправляемое не установлено",
    ),
    (1722, "RPC_S_SERVER_UNAVAILABLE", "the RPC server is not available", "сервер RPC недоступен"),
    (1726, "RPC_S_CALL_FAILED", "the remote call failed", "удалённый вызов не удался"),
    (
        1753,
        "EPT_S_NOT_REGISTERED",
        "the RPC end point is not registered",
        "конечная точка RPC не зарегистрирована",
    ),
    (
        2250,
        "ERROR_NOT_CONNECTED",
        "the network connection does not exist",
        "сетевого подключения нет",
    ),
    (
        3010,
        "ERROR_SUCCESS_REBOOT_REQUIRED",
        "done; a restart is needed",
        "выполнено; нужна перезагрузка",
    ),
    (
        4390,
        "ERROR_NOT_A_REPARSE_POINT",
        "the file or folder is no reparse point",
        "файл или папка не точка повторной обработки",
    ),
    (
        4392,
        "ERROR_INVALID_REPARSE_DATA",
        "the reparse point's data are not valid",
        "данные точки повторной обработки неверны",
    ),
    (12002, "ERROR_WINHTTP_TIMEOUT", "the connection timed out", "время соединения вышло"),
    (
        12007,
        "ERROR_WINHTTP_NAME_NOT_RESOLVED",
        "a server's name was not resolved",
        "имя сервера не разрешено",
    ),
    (12029, "ERROR_WINHTTP_CANNOT_CONNECT", "the server could not be reached", "сервер недоступен"),
    (12030, "ERROR_WINHTTP_CONNECTION_ERROR", "the connection was cut", "соединение прервано"),
    (
        12152,
        "ERROR_WINHTTP_INVALID_SERVER_RESPONSE",
        "the server's answer could not be read",
        "ответ сервера не разобран",
    ),
    (
        12175,
        "ERROR_WINHTTP_SECURE_FAILURE",
        "the TLS connection failed",
        "соединение TLS не удалось",
    ),
    (
        14098,
        "ERROR_SXS_COMPONENT_STORE_CORRUPT",
        "the component store is damaged",
        "хранилище компонентов повреждено",
    ),
];

#[cfg(test)]
mod tests {
    use crate::knowledge::Lang;

    #[test]
    fn the_table_is_ordered() {
        assert!(super::TABLE.windows(2).all(|w| w[0].0 < w[1].0));
        assert_eq!(super::text(3, Lang::En).map(|t| t.0), Some("ERROR_PATH_NOT_FOUND"));
        assert_eq!(super::text(7, Lang::Ru), None);
    }

    #[test]
    fn every_name_is_found() {
        for (code, symbol, ..) in super::TABLE {
            assert_eq!(super::by_symbol(&symbol.to_lowercase()), Some(*code), "{symbol}");
        }
        assert_eq!(super::by_symbol("ERROR_OF_NOBODY"), None);
    }
}
