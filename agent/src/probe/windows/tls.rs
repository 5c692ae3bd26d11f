//! Whether clients of this machine may speak TLS 1.2.
//!
//! Since Windows 8.1 it is on where nothing is set. Before that services that connect through WinHTTP
//! use it only where `DefaultSecureProtocols` says so, and on Windows 7 and Server 2008 R2 Schannel has
//! it off besides, until `DisabledByDefault` is 0 (Microsoft, KB3140245).

use fleetmend_core::evidence::Finding;
use fleetmend_core::step::is_build;

use super::registry::value;
use super::{Found, told};
use crate::platform::{Platform, RegistryValue};
use crate::probe::yes_if;

const CLIENT: &str =
    r"SYSTEM\CurrentControlSet\Control\SecurityProviders\SCHANNEL\Protocols\TLS 1.2\Client";
const WINHTTP: &str = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Internet Settings\WinHttp";
/// TLS 1.2 in `DefaultSecureProtocols`.
const TLS12: u32 = 0x800;

/// What a version of Windows does where nothing is set.
struct Unset {
    /// Schannel has it off.
    schannel_off: bool,
    /// WinHTTP does not offer it.
    winhttp_off: bool,
}

pub(super) async fn off(platform: &dyn Platform) -> Found {
    let build = platform.facts().map_err(told)?.os_build;
    let unset = match build.as_str() {
        b if is_build(b, "6.0") => {
            return Err(format!("what build {build} does where nothing is set is not known"));
        }
        b if is_build(b, "6.1") => Unset { schannel_off: true, winhttp_off: true },
        b if is_build(b, "6.2") => Unset { schannel_off: false, winhttp_off: true },
        _ => Unset { schannel_off: false, winhttp_off: false },
    };
    let enabled = number(platform, CLIENT, "Enabled").await?;
    let by_default = number(platform, CLIENT, "DisabledByDefault").await?;
    let winhttp = number(platform, WINHTTP, "DefaultSecureProtocols").await?;
    let is = |name: &str, set: Option<u32>| match set {
        Some(set) => format!("{name} = {set:#x}"),
        None => format!("{name} is not set"),
    };
    let proof = format!(
        "build {build}; SCHANNEL, TLS 1.2, Client: {}, {}; WinHttp: {}",
        is("Enabled", enabled),
        is("DisabledByDefault", by_default),
        is("DefaultSecureProtocols", winhttp)
    );
    let schannel_off = enabled == Some(0) || by_default.map_or(unset.schannel_off, |set| set != 0);
    let winhttp_off = winhttp.map_or(unset.winhttp_off, |set| set & TLS12 == 0);
    Ok(Finding::new(yes_if(schannel_off || winhttp_off), proof))
}

async fn number(platform: &dyn Platform, key: &str, name: &str) -> Result<Option<u32>, String> {
    match value(platform, key, name).await? {
        None => Ok(None),
        Some(RegistryValue::Dword(set)) => Ok(Some(set)),
        Some(other) => Err(format!(r"HKLM\{key}\{name} = {other} is no number")),
    }
}
