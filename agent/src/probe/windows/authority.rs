//! Who manages updates on a Windows host, which policy proves it, and whether the place that updates
//! come from answers.

use std::io;

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::host::UpdateAuthority;
use fleetmend_core::probe::ServerTrouble;
use fleetmend_core::step::{Hive, StartType};

use super::registry::{is_on, text, value};
use super::{Found, told};
use crate::platform::{Platform, RegistryValue, ServiceCall};
use crate::probe::network::{self, Endpoint};
use crate::probe::with_value;

const POLICY: &str = r"SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate";
const POLICY_AU: &str = r"SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU";
const MDM: &str = r"SOFTWARE\Microsoft\PolicyManager\current\device\Update";
const CCM: &str = r"SOFTWARE\Microsoft\CCM";
const FEATURES: &str = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\Servicing";
/// Of `CoManagementFlags`: updates are Intune's.
const UPDATES_ARE_INTUNES: u32 = 0x10;
/// Policies of Windows Update for Business: any of them makes it the authority.
const BUSINESS: [&str; 8] = [
    "DeferQualityUpdates",
    "DeferQualityUpdatesPeriodInDays",
    "DeferFeatureUpdates",
    "DeferFeatureUpdatesPeriodInDays",
    "PauseQualityUpdatesStartTime",
    "TargetReleaseVersion",
    "ProductVersion",
    "BranchReadinessLevel",
];
/// Microsoft's own places, where no policy names another.
const MICROSOFT: [(&str, u16); 3] = [
    ("slscr.update.microsoft.com", 443),
    ("fe3cr.delivery.mp.microsoft.com", 443),
    ("download.windowsupdate.com", 80),
];

/// Who manages updates, and the policy value that proves it.
pub(crate) async fn authority(
    platform: &dyn Platform,
) -> Result<(UpdateAuthority, String), String> {
    if config_manager(platform).await? {
        let flags = match value(platform, CCM, "CoManagementFlags").await? {
            Some(RegistryValue::Dword(flags)) => flags,
            _ => 0,
        };
        let proof = format!(r"the service CcmExec; HKLM\{CCM}\CoManagementFlags = {flags}");
        return Ok(if flags & UPDATES_ARE_INTUNES == 0 {
            (UpdateAuthority::ConfigMgr, proof)
        } else {
            (UpdateAuthority::Wufb, format!("{proof}: co-management gives updates to Intune"))
        });
    }
    if let Some((name, server)) = update_server(platform).await? {
        if is_on(platform, POLICY_AU, "UseUpdateClassPolicySource").await?
            && source_of_quality(platform).await? == Some(0)
        {
            let name = "SetPolicyDrivenUpdateSourceForQualityUpdates";
            let proof = format!(r"HKLM\{POLICY}\{name} = 0, beside WUServer = {server}");
            return Ok((UpdateAuthority::Wufb, proof));
        }
        return Ok((UpdateAuthority::Wsus, format!("{name} = {server}")));
    }
    for name in BUSINESS {
        if let Some(set) = value(platform, POLICY, name).await? {
            return Ok((UpdateAuthority::Wufb, format!(r"HKLM\{POLICY}\{name} = {set}")));
        }
    }
    let mdm = platform.registry_key(Hive::LocalMachine, MDM).await.map_err(told)?;
    let set = mdm.and_then(|key| {
        key.values.into_iter().find(|name| BUSINESS.iter().any(|b| name.eq_ignore_ascii_case(b)))
    });
    if let Some(name) = set {
        return Ok((UpdateAuthority::Wufb, format!(r"HKLM\{MDM}\{name} is set")));
    }
    if is_on(platform, POLICY_AU, "NoAutoUpdate").await? {
        return Ok((UpdateAuthority::None, format!(r"HKLM\{POLICY_AU}\NoAutoUpdate = 1")));
    }
    Ok((UpdateAuthority::WindowsUpdate, format!(r"no update policy below HKLM\{POLICY}")))
}

/// Whether Configuration Manager's client is at work here.
async fn config_manager(platform: &dyn Platform) -> Result<bool, String> {
    match platform.service("CcmExec", ServiceCall::Look).await {
        Ok(seen) => Ok(seen.start != StartType::Disabled),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(told(e)),
    }
}

async fn source_of_quality(platform: &dyn Platform) -> Result<Option<u32>, String> {
    let name = "SetPolicyDrivenUpdateSourceForQualityUpdates";
    Ok(match value(platform, POLICY, name).await? {
        Some(RegistryValue::Dword(source)) => Some(source),
        _ => None,
    })
}

/// The update server that policy names, and the value that names it.
pub(super) async fn update_server(
    platform: &dyn Platform,
) -> Result<Option<(String, String)>, String> {
    if !is_on(platform, POLICY_AU, "UseWUServer").await? {
        return Ok(None);
    }
    let server = text(platform, POLICY, "WUServer").await?;
    Ok(server.map(|server| (format!(r"HKLM\{POLICY}\WUServer"), server)))
}

pub(super) async fn server(platform: &dyn Platform, trouble: ServerTrouble) -> Found {
    let Some((name, server)) = update_server(platform).await? else {
        return Ok(Finding::new(Answer::No, "policy names no update server"));
    };
    let endpoint = Endpoint::parse(&server);
    match (trouble, endpoint) {
        (ServerTrouble::Malformed, Ok(_)) => {
            Ok(Finding::new(Answer::No, format!("{name} = {server}")))
        }
        (ServerTrouble::Malformed, Err(why)) => {
            Ok(with_value(Answer::Yes, format!("{name} = {server}: {why}"), server))
        }
        (ServerTrouble::Unreachable, Ok(endpoint)) => {
            network::answers(platform, &[endpoint], platform.proxy().await.map_err(told)).await
        }
        (ServerTrouble::Unreachable, Err(why)) => Err(format!("{name} = {server}: {why}")),
    }
}

/// Whether features can come only from an update server, which holds none: policy names one, and no
/// other policy lets them come from Windows Update.
pub(super) async fn features_from_server(platform: &dyn Platform) -> Found {
    let Some((_, server)) = update_server(platform).await? else {
        return Ok(Finding::new(Answer::No, "policy names no update server"));
    };
    let name = "RepairContentServerSource";
    let proof = |is: String| format!(r"updates come from {server}; HKLM\{FEATURES}\{name} {is}");
    Ok(match value(platform, FEATURES, name).await? {
        Some(RegistryValue::Dword(2)) => Finding::new(Answer::No, proof("= 2".to_owned())),
        Some(other) => Finding::new(Answer::Yes, proof(format!("= {other}"))),
        None => Finding::new(Answer::Yes, proof("is not there".to_owned())),
    })
}

/// Where updates come from; the reason where that cannot be said.
async fn endpoints(platform: &dyn Platform) -> Result<Vec<Endpoint>, String> {
    let (authority, proof) = authority(platform).await?;
    match authority {
        UpdateAuthority::Wsus => {
            let server = update_server(platform).await?.map(|(_, server)| server);
            Ok(vec![Endpoint::parse(&server.unwrap_or_default())?])
        }
        UpdateAuthority::WindowsUpdate | UpdateAuthority::Wufb => {
            Ok(MICROSOFT.iter().map(|(host, port)| Endpoint::new(*host, *port)).collect())
        }
        _ => Err(format!("where updates come from is not known: {proof}")),
    }
}

pub(super) async fn endpoint_unreachable(platform: &dyn Platform) -> Found {
    let endpoints = endpoints(platform).await?;
    network::answers(platform, &endpoints, platform.proxy().await.map_err(told)).await
}

pub(super) async fn name_resolution(platform: &dyn Platform) -> Found {
    let endpoints = endpoints(platform).await?;
    network::resolved(platform, &endpoints, platform.proxy().await.map_err(told)).await
}
