//! The proof: the failing operation is repeated, in the way that the remediation names. An exit
//! status of the repair itself proves nothing and is not looked at here.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::job::ProofLevel;
use fleetmend_core::knowledge::{Cause, Verification};
use fleetmend_core::step::Tool;
use fleetmend_core::words::Slug;

use tokio::time::{Instant, sleep};

use super::output::StepLog;
use super::steps::{is_unit, update};
use crate::collect::live::lock;
use crate::platform::{Exit, Platform, Program, UpdateCall};
use crate::probe::About;
use crate::prober::Prober;

/// How long one program of a proof may take.
const PROGRAM_TIME: Duration = Duration::from_mins(10);

/// How long a search for updates may take.
const SCAN_TIME: Duration = Duration::from_mins(30);

const SYSTEMCTL: &str = "/usr/bin/systemctl";

/// What the proof gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Only the next natural run of the failing operation can tell: it is awaited.
    NextRun,
    /// It works again.
    Fixed(ProofLevel, String),
    /// It does not.
    NotCured(String),
    /// That cannot be found out here and now.
    Unproved(String),
}

/// What a proof uses.
pub(crate) struct Court<'a> {
    /// The machine.
    pub platform: &'a dyn Platform,
    /// Its probes.
    pub prober: &'a dyn Prober,
    /// The values of the agent's own evidence that the order names.
    pub values: &'a BTreeMap<Slug, String>,
    /// Where output goes.
    pub log: &'a StepLog,
}

/// Repeats what failed, by a method of proof.
pub(crate) async fn verify(method: Verification, cause: &Cause, court: &Court<'_>) -> Proof {
    let own = match &cause.own_probe {
        Some(probe) => Some(court.prober.ask(probe, About::again(court.values.get(probe))).await),
        None => None,
    };
    if let Some(seen) = own.as_ref().filter(|seen| seen.answer == Answer::Yes) {
        return Proof::NotCured(format!("the cause is still there: {}", seen.proof));
    }
    let repeated = match method {
        Verification::AptCheck => apt_check(court).await,
        Verification::AptUpdate => apt_update(court).await,
        Verification::DnfMakecache => dnf_makecache(court).await,
        Verification::DnfCheck => dnf_check(court).await,
        Verification::ZypperRefresh => zypper_refresh(court).await,
        Verification::SystemdUnit => systemd_unit(court).await,
        Verification::OwnProbe => return own_probe(cause, own.as_ref()),
        Verification::UpdateScan => update_scan(court).await,
        Verification::NextRun => Err(Proof::NextRun),
    };
    match (repeated, own) {
        (Err(proof), _) => proof,
        (Ok(_), Some(seen)) if seen.answer == Answer::Unknown => {
            Proof::Unproved(format!("whether the cause is gone is not known: {}", seen.proof))
        }
        (Ok(detail), _) => Proof::Fixed(method.level(), detail),
    }
}

fn own_probe(cause: &Cause, own: Option<&Evidence>) -> Proof {
    match own {
        Some(seen) if seen.answer == Answer::No && cause.gone_by().is_some() => {
            Proof::Fixed(ProofLevel::ProbeOnly, format!("the cause is gone: {}", seen.proof))
        }
        Some(seen) => {
            Proof::Unproved(format!("whether the cause is gone is not known: {}", seen.proof))
        }
        None => Proof::Unproved("the cause has no probe of its own".to_owned()),
    }
}

/// Waits until no package tool works on the host: one that an agent before this one started may
/// still run, and what it leaves half done is neither broken nor mended.
async fn at_rest(court: &Court<'_>) -> Result<(), Proof> {
    let until = Instant::now() + PROGRAM_TIME;
    loop {
        match lock::holder(court.platform.root(), &lock::LOCKS) {
            Ok(Some(holder)) if Instant::now() >= until => {
                return Err(Proof::Unproved(format!("{holder}, and it does not end")));
            }
            Ok(Some(_)) => sleep(Duration::from_millis(250)).await,
            Ok(None) => return Ok(()),
            Err(error) => {
                return Err(Proof::Unproved(format!(
                    "the package tools' locks cannot be asked: {error}"
                )));
            }
        }
    }
}

async fn apt_check(court: &Court<'_>) -> Result<String, Proof> {
    at_rest(court).await?;
    let audit = run(court, "/usr/bin/dpkg", &["--audit"]).await?;
    let text = audit.text();
    if audit.status != Some(0) || !text.trim().is_empty() {
        return Err(Proof::NotCured(format!("dpkg --audit says: {}", first_words(&text))));
    }
    let (path, arguments) = Tool::AptCheck.command();
    let check = run(court, path, arguments).await?;
    if check.status != Some(0) {
        let text = check.text();
        return Err(Proof::NotCured(format!("apt-get check says: {}", first_words(&text))));
    }
    Ok("dpkg --audit names nothing and apt-get check is clean".to_owned())
}

async fn apt_update(court: &Court<'_>) -> Result<String, Proof> {
    at_rest(court).await?;
    let (path, arguments) = Tool::AptUpdate.command();
    let update = run(court, path, arguments).await?;
    let text = update.text();
    let complaint = text.lines().find(|l| l.starts_with("W:") || l.starts_with("E:"));
    match (update.status, complaint) {
        (Some(0), None) => Ok("apt-get update ended without a warning".to_owned()),
        (_, Some(line)) => Err(Proof::NotCured(format!("apt-get update says: {line}"))),
        (status, None) => Err(Proof::NotCured(format!("apt-get update ended with {status:?}"))),
    }
}

async fn dnf_makecache(court: &Court<'_>) -> Result<String, Proof> {
    let (path, arguments) = Tool::DnfMakecache.command();
    let made = run(court, path, arguments).await?;
    let text = made.text();
    // A repository that may be skipped is skipped with a warning, and the exit status says nothing.
    let skipped = text.lines().find(|l| l.contains("Failed to download metadata"));
    match (made.status, skipped) {
        (Some(0), None) => Ok("dnf makecache fetched the metadata of every repository".to_owned()),
        (_, Some(line)) => Err(Proof::NotCured(format!("dnf makecache says: {}", line.trim()))),
        (status, None) => {
            let said = first_words(&text);
            Err(Proof::NotCured(format!("dnf makecache ended with {status:?}: {said}")))
        }
    }
}

async fn dnf_check(court: &Court<'_>) -> Result<String, Proof> {
    let (path, arguments) = Tool::DnfCheck.command();
    let check = run(court, path, arguments).await?;
    if check.status == Some(0) {
        return Ok("dnf check finds no fault".to_owned());
    }
    Err(Proof::NotCured(format!("dnf check says: {}", first_words(&check.text()))))
}

async fn zypper_refresh(court: &Court<'_>) -> Result<String, Proof> {
    let (path, arguments) = Tool::ZypperRefresh.command();
    let refresh = run(court, path, arguments).await?;
    if refresh.status == Some(0) {
        return Ok("zypper refreshed every repository".to_owned());
    }
    let said = first_words(&refresh.text());
    Err(Proof::NotCured(format!("zypper refresh ended with {:?}: {said}", refresh.status)))
}

/// Searches for updates once more, through the host's own update authority.
async fn update_scan(court: &Court<'_>) -> Result<String, Proof> {
    let scan = tokio::time::timeout(SCAN_TIME, court.platform.update(UpdateCall::Scan, None));
    let outcome = match scan.await {
        Err(_) => return Err(Proof::Unproved("the search gave no answer in time".to_owned())),
        Ok(Err(error)) => {
            return Err(Proof::Unproved(format!("no search can be made: {error}")));
        }
        Ok(Ok(outcome)) => outcome,
    };
    match update::judge(UpdateCall::Scan, &outcome, None) {
        Ok(applied) => Ok(applied.detail),
        Err(error) => Err(Proof::NotCured(error.to_string())),
    }
}

/// Starts the unit once more: a new invocation must end, or run, without a failure. One that ran
/// already, or that systemd passed over by its conditions, repeats nothing.
async fn systemd_unit(court: &Court<'_>) -> Result<String, Proof> {
    let Some(unit) = court.values.values().map(String::as_str).find(|v| is_unit(v)) else {
        return Err(Proof::Unproved(
            "the order names no evidence of this agent that holds the unit".to_owned(),
        ));
    };
    let before = invocation(court, unit).await?;
    let told_before = last_done(court, unit).await?;
    let start = run(court, SYSTEMCTL, &["start", unit]).await?;
    let after = invocation(court, unit).await?;
    let (result, active) = (&after.result, &after.active);
    if start.status != Some(0) || result != "success" || active == "failed" {
        return Err(Proof::NotCured(format!(
            "{unit} was started; it is {active}, its result {result}"
        )));
    }
    let anew = if after.id.is_empty() {
        // systemd forgets a unit at its end where nothing else holds it; its journal does not.
        last_done(court, unit).await?.filter(|id| told_before.as_ref() != Some(id))
    } else {
        Some(after.id).filter(|id| *id != before.id)
    };
    match anew {
        Some(id) => Ok(format!("{unit} was started anew (invocation {id}), its result is success")),
        None => Err(Proof::Unproved(format!(
            "{unit} is {active}, and nothing tells of a new run: it ran already, or its conditions are not met"
        ))),
    }
}

/// What systemd says of a unit's last run.
struct Invocation {
    id: String,
    result: String,
    active: String,
}

async fn invocation(court: &Court<'_>, unit: &str) -> Result<Invocation, Proof> {
    let asked = ["show", unit, "-p", "InvocationID", "-p", "Result", "-p", "ActiveState"];
    let text = run(court, SYSTEMCTL, &asked).await?.text();
    let value = |key: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().to_owned()
    };
    let active = value("ActiveState");
    if active.is_empty() {
        let said = first_words(&text);
        return Err(Proof::Unproved(format!("systemd does not answer: {said}")));
    }
    Ok(Invocation { id: value("InvocationID"), result: value("Result"), active })
}

/// The last invocation of a unit whose start systemd's journal calls done.
async fn last_done(court: &Court<'_>, unit: &str) -> Result<Option<String>, Proof> {
    const JOURNALCTL: &str = "/usr/bin/journalctl";
    if !court.platform.root().join(JOURNALCTL.trim_start_matches('/')).is_file() {
        return Ok(None);
    }
    // What systemd has said is in the journal when this comes back.
    run(court, JOURNALCTL, &["--sync"]).await?;
    let unit = format!("UNIT={unit}");
    let asked = [
        "-q",
        "--no-pager",
        "-n1",
        "-ojson",
        "--output-fields=INVOCATION_ID",
        "_PID=1",
        &unit,
        "JOB_TYPE=start",
        "JOB_RESULT=done",
    ];
    let text = run(court, JOURNALCTL, &asked).await?.text();
    let entry: Option<serde_json::Value> = serde_json::from_str(text.trim()).ok();
    let id = entry.as_ref().and_then(|e| e.get("INVOCATION_ID")?.as_str());
    Ok(id.map(str::to_owned))
}

async fn run(court: &Court<'_>, path: &str, arguments: &[&str]) -> Result<Exit, Proof> {
    let program = Program {
        path: path.to_owned(),
        args: arguments.iter().map(|a| (*a).to_owned()).collect(),
        timeout: PROGRAM_TIME,
        max_output: fleetmend_core::limits::PROBE_OUTPUT_BYTES,
    };
    match court.log.run(court.platform, &program).await {
        Ok(exit) if exit.timed_out => {
            Err(Proof::Unproved(format!("{path} gave no answer within ten minutes")))
        }
        Ok(exit) => Ok(exit),
        Err(error) => Err(Proof::Unproved(format!("{path} cannot be run: {error}"))),
    }
}

fn first_words(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).take(4).collect();
    fleetmend_core::words::cut(&lines.join(" / "), 600).to_owned()
}
