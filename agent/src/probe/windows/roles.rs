//! What a Windows host does for others, by the services that are installed. A restart or a repair of
//! such a host touches more than the host.

use fleetmend_core::step::Hive;

use super::registry::{text, value};
use super::told;
use crate::platform::{Platform, RegistryValue};

const SERVICES: &str = r"SYSTEM\CurrentControlSet\Services";
const PRODUCT: &str = r"SYSTEM\CurrentControlSet\Control\ProductOptions";
const TERMINALS: &str = r"SYSTEM\CurrentControlSet\Control\Terminal Server";

/// Roles by the service that makes them.
const BY_SERVICE: [(&str, &str); 12] = [
    ("ClusSvc", "cluster"),
    ("vmms", "hyper_v"),
    ("MSSQLSERVER", "sql_server"),
    ("MSExchangeIS", "exchange"),
    ("MSExchangeServiceHost", "exchange"),
    ("WsusService", "update_server"),
    ("CertSvc", "certificate_authority"),
    ("DHCPServer", "dhcp_server"),
    ("DNS", "dns_server"),
    ("VeeamBackupSvc", "backup_server"),
    ("BackupExecJobEngine", "backup_server"),
    ("DPM", "backup_server"),
];

/// The names of all services that are installed, drivers among them.
pub(super) async fn services(platform: &dyn Platform) -> Result<Vec<String>, String> {
    let key = platform.registry_key(Hive::LocalMachine, SERVICES).await.map_err(told)?;
    Ok(key.ok_or("the registry has no services")?.keys)
}

/// The roles found, by name, each once.
pub(super) async fn roles(
    platform: &dyn Platform,
    services: &[String],
) -> Result<Vec<String>, String> {
    let has = |name: &str| services.iter().any(|s| s.eq_ignore_ascii_case(name));
    let mut roles: Vec<&str> =
        BY_SERVICE.iter().filter(|(service, _)| has(service)).map(|(_, role)| *role).collect();
    // Further instances of SQL Server are services of their own.
    let instance = |s: &String| s.get(..6).is_some_and(|head| head.eq_ignore_ascii_case("MSSQL$"));
    if services.iter().any(instance) {
        roles.push("sql_server");
    }
    match text(platform, PRODUCT, "ProductType").await?.as_deref() {
        Some("LanmanNT") => roles.extend(["domain_controller", "server"]),
        Some("ServerNT") => roles.push("server"),
        _ => {}
    }
    // 1: programs of many people run here, not only administrators' sessions.
    if value(platform, TERMINALS, "TSAppCompat").await? == Some(RegistryValue::Dword(1)) {
        roles.push("remote_desktop_host");
    }
    roles.sort_unstable();
    roles.dedup();
    Ok(roles.into_iter().map(str::to_owned).collect())
}
