//! Probes: typed read-only questions to the host, each answered yes, no or unknown, with proof.
//!
//! Nothing here changes the host or follows a symbolic link out of a named place; every program is
//! bounded in time and output. What cannot be found out is *unknown*, with the reason.

pub mod host_state;
pub mod offline;

mod backup_lock;
mod files;
mod logs;
mod machine;
mod named;
mod network;
pub(crate) mod packages;
mod processes;
mod rpm;
mod saved;
mod sources;
pub(crate) mod system;
pub(crate) mod units;
pub(crate) mod windows;

use std::path::Path;

#[cfg(target_os = "linux")]
pub(crate) use self::machine::power;

use fleetmend_core::evidence::{Answer, Evidence, Finding};
use fleetmend_core::host::OsFamily;
use fleetmend_core::ids::EvidenceId;
use fleetmend_core::knowledge::Probe;
use fleetmend_core::limits;
use fleetmend_core::probe::Question;
use fleetmend_core::report::{FailureReport, Product, Source};
use fleetmend_core::time::Timestamp;
use fleetmend_core::words::cut;

use crate::platform::{Exit, Platform, Program};

/// The program by which a Linux host belongs to a cluster, where one runs.
pub(crate) fn cluster_program(root: &Path) -> Option<String> {
    ["corosync", "pacemakerd", "rgmanager"]
        .into_iter()
        .find(|program| matches!(processes::named(root, program), Ok(Some(_))))
        .map(str::to_owned)
}

/// What a probe is asked about, where it is not the host at large.
#[derive(Debug, Clone, Copy, Default)]
pub enum About<'a> {
    /// The host at large.
    #[default]
    Host,
    /// A failure that was reported.
    Failure(&'a FailureReport),
    /// The thing that an earlier answer named as its value, such as a unit: the same one again, not
    /// another that has the same fault.
    Again(&'a str),
}

impl<'a> About<'a> {
    /// The same thing again, where an earlier answer named one.
    pub fn again(value: Option<&'a String>) -> Self {
        value.map_or(Self::Host, |value| Self::Again(value))
    }

    /// The failure, where it is one.
    fn failure(self) -> Option<&'a FailureReport> {
        match self {
            Self::Failure(failure) => Some(failure),
            Self::Host | Self::Again(_) => None,
        }
    }

    /// What an answer to `question` is about: the failure's subject, or the thing that was named
    /// before. An answer about the host at large is about the one thing that it names, where the
    /// question is of one thing.
    fn subject(self, question: &Question, finding: &Finding) -> Option<String> {
        if !question.is_about_the_subject() {
            return None;
        }
        let subject = match self {
            Self::Failure(failure) => failure.subject.clone(),
            Self::Again(value) => Some(value.to_owned()),
            Self::Host => finding.value.clone(),
        };
        // One that was cut would be another's.
        subject.filter(|s| s.len() <= limits::SUBJECT_BYTES)
    }

    /// The systemd unit, where it is one.
    fn unit(self) -> Option<&'a str> {
        match self {
            Self::Failure(failure) if is_of_a_unit(failure) => failure.subject.as_deref(),
            Self::Again(value) => Some(value),
            Self::Host | Self::Failure(_) => None,
        }
    }
}

/// Whether a failure's subject is a systemd unit.
fn is_of_a_unit(failure: &FailureReport) -> bool {
    failure.source == Source::Systemd || failure.product == Product::Systemd
}

/// Answers one probe on the live host; `random` gives the bytes of the evidence's id.
pub async fn answer(
    platform: &dyn Platform,
    probe: &Probe,
    about: About<'_>,
    now: Timestamp,
    random: &mut (dyn FnMut() -> [u8; 10] + Send),
) -> Evidence {
    let asked =
        tokio::time::timeout(limits::PROBE_TIME, find(platform, &probe.question, about, now));
    let finding = match asked.await {
        Ok(finding) => finding,
        Err(_) => Finding::unknown(format!("no answer within {} s", limits::PROBE_TIME.as_secs())),
    };
    evidence(finding, probe, about, now, random())
}

/// A finding as evidence, its value held to its bound.
fn evidence(
    mut finding: Finding,
    probe: &Probe,
    about: About<'_>,
    now: Timestamp,
    random: [u8; 10],
) -> Evidence {
    // A value that was cut would name something else: rather none.
    finding.value = finding.value.filter(|v| v.len() <= limits::VALUE_BYTES);
    let subject = about.subject(&probe.question, &finding);
    let id = EvidenceId::at(now, random);
    Evidence { subject, ..finding.into_evidence(id, probe.id.clone(), now) }
}

async fn find(
    platform: &dyn Platform,
    question: &Question,
    about: About<'_>,
    now: Timestamp,
) -> Finding {
    let os = match platform.facts() {
        Ok(facts) => facts.os,
        Err(e) => return Finding::unknown(format!("the system cannot be told: {e}")),
    };
    if !question.systems().contains(&os) {
        return Finding::unknown(format!("not a question to {os}"));
    }
    if let Some(finding) = platform.answer(question, about, now).await {
        return finding;
    }
    if os == OsFamily::Windows {
        return windows::find(platform, question, about, now).await;
    }
    let root = platform.root();
    let failure = about.failure();
    match question {
        Question::DpkgInterrupted => packages::interrupted(root),
        Question::DpkgReinstRequired => packages::reinstall(root),
        Question::DpkgScriptFails => packages::script_fails(root),
        Question::AptBrokenDeps => packages::broken_deps(platform).await,
        Question::AptLockHeld => packages::lock_held(root),
        Question::AptUpdateError { contains } => {
            logs::update_error(platform, contains, failure, now).await
        }
        Question::AptPeriodicStale { days } => packages::stale(platform, *days, now).await,
        Question::DiskFull { path, min_free_mib, min_free_inodes } => {
            system::disk_full(root, path, *min_free_mib, *min_free_inodes)
        }
        Question::ReadOnly { path } => system::read_only(root, path),
        Question::RebootPending => system::reboot_pending(platform).await,
        Question::ClockWrong => system::clock_wrong(platform, now).await,
        Question::NameResolutionFails => system::name_resolution(platform).await,
        Question::Service { service, question } => {
            units::service(platform, service, *question).await
        }
        Question::RpmLockHeld => rpm::lock_held(root),
        Question::RpmDbDamaged => rpm::db_damaged(platform).await,
        Question::DnfCheckFails => rpm::dnf_check(platform).await,
        Question::ProcessRuns { programs } => rpm::process_runs(root, programs),
        Question::BackupLockDead => backup_lock::dead(platform, failure),
        Question::SystemdUnitFailed => units::failed(platform, about.unit()).await,
        Question::SystemdTimerMissed => units::timer_missed(platform, about.unit(), now).await,
        Question::Missing { place } => files::exists(platform, place, Answer::No),
        Question::Exists { place } => files::exists(platform, place, Answer::Yes),
        Question::StaleFolder { place, days, min_mib } => {
            files::stale(platform, place, *days, *min_mib, now)
        }
        Question::FailurePathMissing => files::failure_path(platform, failure),
        Question::LogSays { contains } => logs::says(root, contains, failure),
        Question::Proxy { question } => network::proxy(platform, *question, sources::proxy(root))
            .await
            .unwrap_or_else(Finding::unknown),
        Question::EndpointUnreachable => sources::unreachable(platform).await,
        Question::OnBattery => machine::on_battery(root),
        Question::MemoryLow { min_free_mib } => machine::memory_low(root, *min_free_mib),
        Question::RegistryNot { .. }
        | Question::RegistryIs { .. }
        | Question::RegistrySet { .. }
        | Question::EventSeen { .. }
        | Question::FailureEvent { .. }
        | Question::UpdateServer { .. }
        | Question::FeaturesFromServerOnly
        | Question::FileUnsigned { .. }
        | Question::PartitionSmall { .. }
        | Question::BackupTarget { .. }
        | Question::ShadowStorageSmall { .. }
        | Question::ShadowCopiesMany { .. }
        | Question::SnapshotUnderWay
        | Question::VssWriterFailed
        | Question::VssProviderForeign
        | Question::ProfileFolderMissing
        | Question::MeteredNetwork
        | Question::ForeignAntivirus
        | Question::DefenderDown
        | Question::HostsFileRedirects
        | Question::RepairSourceMissing
        | Question::ComLaunchDenied
        | Question::AclLacks { .. }
        | Question::Tls12Off
        | Question::UpdateMissing { .. }
        | Question::LibraryReparse { .. }
        | Question::StoreDamaged
        | Question::SfcUnrepairable => Finding::unknown("not on this system"),
    }
}

/// Whether the failure itself is one of these events.
fn failure_event(providers: &[String], ids: &[u32], failure: Option<&FailureReport>) -> Finding {
    let Some(failure) = failure else { return Finding::unknown("no failure to look at") };
    let told = failure.provider.as_deref().zip(failure.event_id);
    let Some((provider, id)) = told else {
        return Finding::new(
            Answer::No,
            format!("it stands in {}, not in an event", failure.source),
        );
    };
    let meant = ids.contains(&id) && providers.iter().any(|p| p.eq_ignore_ascii_case(provider));
    let proof = format!("the failure itself: {provider} {id}: {}", words(&failure.message));
    Finding::new(yes_if(meant), proof)
}

/// A finding with a value that a remediation may use.
fn with_value(answer: Answer, proof: impl AsRef<str>, value: impl Into<String>) -> Finding {
    let mut finding = Finding::new(answer, proof);
    finding.value = Some(value.into());
    finding
}

/// Yes or no.
const fn yes_if(so: bool) -> Answer {
    if so { Answer::Yes } else { Answer::No }
}

/// Runs a system program within a probe's bounds; the reason where it cannot be asked.
async fn ask(platform: &dyn Platform, path: &str, args: &[&str]) -> Result<Exit, String> {
    ask_for(platform, path, args, limits::PROBE_OUTPUT_BYTES).await
}

/// The same, with another bound for its output.
async fn ask_for(
    platform: &dyn Platform,
    path: &str,
    args: &[&str],
    max_output: usize,
) -> Result<Exit, String> {
    let program = Program {
        path: path.to_owned(),
        args: args.iter().map(|&a| a.to_owned()).collect(),
        timeout: limits::PROBE_TIME,
        max_output,
    };
    let exit = platform.run(&program, &mut |_: &[u8]| {}).await;
    let exit = exit.map_err(|e| format!("{path} cannot be run: {e}"))?;
    if exit.timed_out {
        return Err(format!("{path} did not end in time"));
    }
    Ok(exit)
}

/// The first words of some output.
fn words(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    cut(&text, 400).to_owned()
}

/// A host's path as it stands below its root.
fn below(root: &Path, path: &str) -> std::path::PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use fleetmend_core::report::{Kind, Operation};
    use fleetmend_core::time::SourceTime;

    use super::*;

    #[test]
    fn an_answer_about_a_failure_names_its_subject() {
        let failure = FailureReport {
            product: Product::Systemd,
            operation: Operation::Backup,
            code: None,
            symbol: None,
            kind: Kind::Failure,
            subject: Some("a.service".to_owned()),
            time: SourceTime::utc(Timestamp::from_millis(0)),
            source: Source::Systemd,
            provider: None,
            event_id: None,
            record_id: None,
            line: None,
            count: None,
            update_class: None,
            message: String::new(),
        };
        let about =
            |about: About<'_>, question, finding: &Finding| about.subject(&question, finding);
        let unit = || Question::SystemdUnitFailed;
        let no = Finding::new(Answer::No, "none");
        let other = with_value(Answer::Yes, "b.service failed", "b.service");
        assert_eq!(about(About::Failure(&failure), unit(), &no).as_deref(), Some("a.service"));
        assert_eq!(about(About::Again("c.service"), unit(), &no).as_deref(), Some("c.service"));
        assert_eq!(about(About::Host, unit(), &no), None, "no unit at all has failed");
        assert_eq!(
            about(About::Host, unit(), &other).as_deref(),
            Some("b.service"),
            "this one has"
        );
        let host = Question::DpkgInterrupted;
        assert_eq!(about(About::Failure(&failure), host, &other), None, "dpkg is the host's");
        let long = "x".repeat(limits::SUBJECT_BYTES + 1);
        assert_eq!(about(About::Again(&long), unit(), &no), None);
    }
}
