//! The Win32 errors that update and backup logs name most: number, symbol, words. For codes that
//! the catalogue does not hold.

/// The symbol and the words of a Win32 error.
pub(super) fn text(code: u16) -> Option<(&'static str, &'static str)> {
    let at = TABLE.binary_search_by_key(&code, |row| row.0).ok()?;
    Some((TABLE[at].1, TABLE[at].2))
}

/// What a range of Win32 errors belongs to, where the number alone is not listed.
pub(super) const fn range(code: u16) -> Option<&'static str> {
    match code {
        1600..=1660 => Some("Windows Installer"),
        6700..=6850 => Some("transactional NTFS"),
        12000..=12190 => Some("WinINet or WinHTTP (network)"),
        14000..=14111 => Some("side-by-side assemblies (component store)"),
        15600..=15640 => Some("app packages (AppX)"),
        _ => None,
    }
}

/// Ordered by number.
const TABLE: &[(u16, &str, &str)] = &[
    (1, "ERROR_INVALID_FUNCTION", "the device or file system does not know the function"),
    (2, "ERROR_FILE_NOT_FOUND", "a file was not found"),
    (3, "ERROR_PATH_NOT_FOUND", "a path was not found"),
    (4, "ERROR_TOO_MANY_OPEN_FILES", "too many files are open"),
    (5, "ERROR_ACCESS_DENIED", "access was denied"),
    (6, "ERROR_INVALID_HANDLE", "a handle was not valid"),
    (8, "ERROR_NOT_ENOUGH_MEMORY", "there was not enough memory"),
    (11, "ERROR_BAD_FORMAT", "a program file has a wrong format"),
    (13, "ERROR_INVALID_DATA", "data were not valid"),
    (14, "ERROR_OUTOFMEMORY", "memory ran out"),
    (15, "ERROR_INVALID_DRIVE", "a drive was not found"),
    (17, "ERROR_NOT_SAME_DEVICE", "a file cannot be moved to another drive this way"),
    (18, "ERROR_NO_MORE_FILES", "there are no more files"),
    (19, "ERROR_WRITE_PROTECT", "the medium is write-protected"),
    (21, "ERROR_NOT_READY", "the device is not ready"),
    (23, "ERROR_CRC", "a checksum of the disk was wrong"),
    (27, "ERROR_SECTOR_NOT_FOUND", "a sector of the disk was not found"),
    (29, "ERROR_WRITE_FAULT", "the device could not be written"),
    (30, "ERROR_READ_FAULT", "the device could not be read"),
    (31, "ERROR_GEN_FAILURE", "a device does not work"),
    (32, "ERROR_SHARING_VIOLATION", "another process holds the file"),
    (33, "ERROR_LOCK_VIOLATION", "another process locks part of the file"),
    (38, "ERROR_HANDLE_EOF", "the end of the file was reached"),
    (50, "ERROR_NOT_SUPPORTED", "the request is not supported"),
    (53, "ERROR_BAD_NETPATH", "the network path was not found"),
    (55, "ERROR_DEV_NOT_EXIST", "the network resource is gone"),
    (59, "ERROR_UNEXP_NET_ERR", "an unexpected network error"),
    (64, "ERROR_NETNAME_DELETED", "the network name is gone: the connection was cut"),
    (65, "ERROR_NETWORK_ACCESS_DENIED", "access to the network was denied"),
    (67, "ERROR_BAD_NET_NAME", "the share's name was not found"),
    (80, "ERROR_FILE_EXISTS", "the file is there already"),
    (87, "ERROR_INVALID_PARAMETER", "a parameter was wrong"),
    (109, "ERROR_BROKEN_PIPE", "the pipe was ended"),
    (110, "ERROR_OPEN_FAILED", "a file or device could not be opened"),
    (112, "ERROR_DISK_FULL", "the disk is full"),
    (120, "ERROR_CALL_NOT_IMPLEMENTED", "the system does not have this function"),
    (121, "ERROR_SEM_TIMEOUT", "a wait timed out"),
    (122, "ERROR_INSUFFICIENT_BUFFER", "a buffer was too small"),
    (123, "ERROR_INVALID_NAME", "a name has wrong syntax"),
    (126, "ERROR_MOD_NOT_FOUND", "a module was not found"),
    (127, "ERROR_PROC_NOT_FOUND", "a procedure was not found in its module"),
    (145, "ERROR_DIR_NOT_EMPTY", "a folder is not empty"),
    (161, "ERROR_BAD_PATHNAME", "a path is not valid"),
    (170, "ERROR_BUSY", "the resource is in use"),
    (183, "ERROR_ALREADY_EXISTS", "the object is there already"),
    (193, "ERROR_BAD_EXE_FORMAT", "a file is no program for this system"),
    (206, "ERROR_FILENAME_EXCED_RANGE", "a file's name is too long"),
    (234, "ERROR_MORE_DATA", "there are more data"),
    (259, "ERROR_NO_MORE_ITEMS", "there are no more items"),
    (267, "ERROR_DIRECTORY", "a folder's name is not valid"),
    (487, "ERROR_INVALID_ADDRESS", "an address is not valid"),
    (995, "ERROR_OPERATION_ABORTED", "the operation was aborted"),
    (997, "ERROR_IO_PENDING", "the operation is still under way"),
    (998, "ERROR_NOACCESS", "a memory access was not valid"),
    (1005, "ERROR_UNRECOGNIZED_VOLUME", "the volume holds no known file system"),
    (1006, "ERROR_FILE_INVALID", "the volume of an open file was changed"),
    (1009, "ERROR_BADDB", "the registry's database is damaged"),
    (1010, "ERROR_BADKEY", "a registry key is not valid"),
    (1053, "ERROR_SERVICE_REQUEST_TIMEOUT", "a service did not answer in time"),
    (1056, "ERROR_SERVICE_ALREADY_RUNNING", "the service runs already"),
    (1058, "ERROR_SERVICE_DISABLED", "the service is disabled"),
    (1060, "ERROR_SERVICE_DOES_NOT_EXIST", "the service is not installed"),
    (1061, "ERROR_SERVICE_CANNOT_ACCEPT_CTRL", "the service takes no commands now"),
    (1062, "ERROR_SERVICE_NOT_ACTIVE", "the service does not run"),
    (1066, "ERROR_SERVICE_SPECIFIC_ERROR", "the service ended with an error of its own"),
    (1067, "ERROR_PROCESS_ABORTED", "the process ended unexpectedly"),
    (1068, "ERROR_SERVICE_DEPENDENCY_FAIL", "a service that it needs did not start"),
    (1072, "ERROR_SERVICE_MARKED_FOR_DELETE", "the service is being removed"),
    (1115, "ERROR_SHUTDOWN_IN_PROGRESS", "the system is shutting down"),
    (1117, "ERROR_IO_DEVICE", "the device had an input/output error"),
    (1168, "ERROR_NOT_FOUND", "an element was not found"),
    (1219, "ERROR_SESSION_CREDENTIAL_CONFLICT", "another user name is in use for this server"),
    (1223, "ERROR_CANCELLED", "somebody cancelled it"),
    (1231, "ERROR_NETWORK_UNREACHABLE", "the network cannot be reached"),
    (1232, "ERROR_HOST_UNREACHABLE", "the host cannot be reached"),
    (1243, "ERROR_SERVICE_NOT_FOUND", "the named service does not exist"),
    (1311, "ERROR_NO_LOGON_SERVERS", "no server for the log-on was found"),
    (1314, "ERROR_PRIVILEGE_NOT_HELD", "a right is missing"),
    (1326, "ERROR_LOGON_FAILURE", "user name or password is wrong"),
    (1327, "ERROR_ACCOUNT_RESTRICTION", "the account may not log on this way"),
    (1331, "ERROR_ACCOUNT_DISABLED", "the account is disabled"),
    (1392, "ERROR_FILE_CORRUPT", "a file or folder is damaged"),
    (1393, "ERROR_DISK_CORRUPT", "the disk's structure is damaged"),
    (1450, "ERROR_NO_SYSTEM_RESOURCES", "the system's resources are used up"),
    (1460, "ERROR_TIMEOUT", "the time was up"),
    (1601, "ERROR_INSTALL_SERVICE_FAILURE", "Windows Installer could not be reached"),
    (1602, "ERROR_INSTALL_USEREXIT", "somebody cancelled the installation"),
    (1603, "ERROR_INSTALL_FAILURE", "the installation failed"),
    (1605, "ERROR_UNKNOWN_PRODUCT", "the product is not installed"),
    (1612, "ERROR_INSTALL_SOURCE_ABSENT", "the installation's source is missing"),
    (1618, "ERROR_INSTALL_ALREADY_RUNNING", "another installation is running"),
    (1619, "ERROR_INSTALL_PACKAGE_OPEN_FAILED", "the package could not be opened"),
    (1638, "ERROR_PRODUCT_VERSION", "another version is installed"),
    (1641, "ERROR_SUCCESS_REBOOT_INITIATED", "done; a restart was begun"),
    (1642, "ERROR_PATCH_TARGET_NOT_FOUND", "what is to be patched is not installed"),
    (1722, "RPC_S_SERVER_UNAVAILABLE", "the RPC server is not available"),
    (1726, "RPC_S_CALL_FAILED", "the remote call failed"),
    (1753, "EPT_S_NOT_REGISTERED", "the RPC end point is not registered"),
    (2250, "ERROR_NOT_CONNECTED", "the network connection does not exist"),
    (3010, "ERROR_SUCCESS_REBOOT_REQUIRED", "done; a restart is needed"),
    (4390, "ERROR_NOT_A_REPARSE_POINT", "the file or folder is no reparse point"),
    (4392, "ERROR_INVALID_REPARSE_DATA", "the reparse point's data are not valid"),
    (12002, "ERROR_WINHTTP_TIMEOUT", "the connection timed out"),
    (12007, "ERROR_WINHTTP_NAME_NOT_RESOLVED", "a server's name was not resolved"),
    (12029, "ERROR_WINHTTP_CANNOT_CONNECT", "the server could not be reached"),
    (12030, "ERROR_WINHTTP_CONNECTION_ERROR", "the connection was cut"),
    (12152, "ERROR_WINHTTP_INVALID_SERVER_RESPONSE", "the server's answer could not be read"),
    (12175, "ERROR_WINHTTP_SECURE_FAILURE", "the TLS connection failed"),
    (14098, "ERROR_SXS_COMPONENT_STORE_CORRUPT", "the component store is damaged"),
];

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_ordered() {
        assert!(super::TABLE.windows(2).all(|w| w[0].0 < w[1].0));
        assert_eq!(super::text(3).map(|t| t.0), Some("ERROR_PATH_NOT_FOUND"));
        assert_eq!(super::text(7), None);
    }
}
