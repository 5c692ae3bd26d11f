//! Answers on Windows, decided from what the platform tells. Portable: the calls themselves are the
//! platform's. What it cannot be asked, or does not know, is the error of a call, and becomes
//! *unknown* with that reason; an answer of *no* always stands on something that was seen.

mod authority;
mod defender;
mod disks;
mod events;
mod hosts_file;
mod libraries;
mod logs;
mod machine;
mod permissions;
mod policy;
mod registry;
mod roles;
mod security;
mod services;
mod servicing;
mod snapshots;
mod sources;
mod state;
mod tls;

#[cfg(all(test, debug_assertions))]
mod tests;

use std::io;

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::probe::Question;
use fleetmend_core::time::Timestamp;

use super::{About, failure_event, files, network};
use crate::platform::Platform;

pub(crate) use authority::authority;
pub(crate) use policy::service_start_by_policy;
pub(super) use state::host_state;

/// A finding, or why nothing can be said.
type Found = Result<Finding, String>;

/// Answers a question on Windows.
pub(super) async fn find(
    platform: &dyn Platform,
    question: &Question,
    about: About<'_>,
    now: Timestamp,
) -> Finding {
    let failure = about.failure();
    let found = match question {
        Question::DiskFull { path, min_free_mib, .. } => {
            disks::full(platform, path, *min_free_mib).await
        }
        Question::PartitionSmall { partition, min_free_mib } => {
            disks::partition_small(platform, *partition, *min_free_mib).await
        }
        Question::BackupTarget { trouble } => disks::backup_target(platform, *trouble).await,
        Question::LibraryReparse { target } => libraries::reparse(platform, *target).await,
        Question::Service { service, question } => {
            services::ask(platform, service, *question).await
        }
        Question::RegistryNot { hive, key, name, accepted } => {
            registry::is_not(platform, (*hive, key, name), accepted).await
        }
        Question::RegistryIs { hive, key, name, values } => {
            registry::is(platform, (*hive, key, name), values).await
        }
        Question::RegistrySet { hive, key, name } => {
            registry::is_set(platform, (*hive, key, name)).await
        }
        Question::EventSeen { channel, providers, ids, days, says } => {
            let asked = events::Asked { channel, providers, ids, says: says.as_deref() };
            events::seen(platform, asked, *days, now).await
        }
        Question::FailureEvent { providers, ids } => Ok(failure_event(providers, ids, failure)),
        Question::LogSays { contains } => logs::says(platform, contains, failure).await,
        Question::UpdateServer { trouble } => authority::server(platform, *trouble).await,
        Question::FeaturesFromServerOnly => authority::features_from_server(platform).await,
        Question::EndpointUnreachable => authority::endpoint_unreachable(platform).await,
        Question::NameResolutionFails => authority::name_resolution(platform).await,
        Question::Proxy { question } => {
            network::proxy(platform, *question, platform.proxy().await.map_err(told)).await
        }
        Question::ShadowStorageSmall { min_mib } => {
            snapshots::storage_small(platform, *min_mib).await
        }
        Question::ShadowCopiesMany { count } => snapshots::copies_many(platform, *count).await,
        Question::SnapshotUnderWay => snapshots::under_way(platform, now).await,
        Question::VssWriterFailed => snapshots::writer_failed(platform).await,
        Question::VssProviderForeign => snapshots::provider_foreign(platform).await,
        Question::RebootPending => machine::reboot_pending(platform).await,
        Question::ClockWrong => machine::clock_wrong(platform, now).await,
        Question::ProfileFolderMissing => machine::profile_missing(platform).await,
        Question::OnBattery => machine::on_battery(platform).await,
        Question::MeteredNetwork => machine::metered(platform).await,
        Question::MemoryLow { min_free_mib } => machine::memory_low(platform, *min_free_mib).await,
        Question::ForeignAntivirus => machine::foreign_antivirus(platform).await,
        Question::DefenderDown => defender::down(platform).await,
        Question::HostsFileRedirects => hosts_file::redirects(platform).await,
        Question::RepairSourceMissing => sources::missing(platform).await,
        Question::ComLaunchDenied => permissions::com_launch(platform).await,
        Question::AclLacks { place, sids } => permissions::acl_lacks(platform, place, sids).await,
        Question::Tls12Off => tls::off(platform).await,
        Question::UpdateMissing { any_of, builds } => {
            machine::update_missing(platform, any_of, builds).await
        }
        Question::ProcessRuns { programs } => machine::process_runs(platform, programs).await,
        Question::FileUnsigned { place } => machine::unsigned(platform, place).await,
        Question::StoreDamaged => servicing::store_damaged(platform, now).await,
        Question::SfcUnrepairable => servicing::sfc_unrepairable(platform),
        Question::Missing { place } => Ok(files::exists(platform, place, Answer::No)),
        Question::Exists { place } => Ok(files::exists(platform, place, Answer::Yes)),
        Question::StaleFolder { place, days, min_mib } => {
            Ok(files::stale(platform, place, *days, *min_mib, now))
        }
        Question::FailurePathMissing => Ok(files::failure_path(platform, failure)),
        Question::DpkgInterrupted
        | Question::DpkgReinstRequired
        | Question::DpkgScriptFails
        | Question::AptBrokenDeps
        | Question::AptLockHeld
        | Question::AptUpdateError { .. }
        | Question::AptPeriodicStale { .. }
        | Question::ReadOnly { .. }
        | Question::RpmLockHeld
        | Question::RpmDbDamaged
        | Question::DnfCheckFails
        | Question::BackupLockDead
        | Question::SystemdUnitFailed
        | Question::SystemdTimerMissed => Err("not on this system".to_owned()),
    };
    found.unwrap_or_else(Finding::unknown)
}

/// The reason in the words of the call's error.
fn told(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::Unsupported => format!("this system cannot be asked that: {error}"),
        _ => format!("the system does not tell: {error}"),
    }
}
