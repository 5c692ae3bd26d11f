//! `service.*` and `reboot`, through systemctl or the service manager of Windows. What a service
//! was is saved before it is changed.

use fleetmend_core::host::OsFamily;
use fleetmend_core::step::{Action, StartType, is_build};

use super::{Applied, Bench, Checked, StepError, UndoRecord, plain_name, run};
use crate::platform::{RunState, ServiceCall};
use crate::probe::windows::service_start_by_policy;

const SYSTEMCTL: &str = "/usr/bin/systemctl";
/// On its way down, in systemd's word.
const DEACTIVATING: &str = "deactivating";
const SHUTDOWN: &str = "/Windows/System32/shutdown.exe";

/// What the service manager says of a service: in systemd's words, or `auto`, `manual`, `disabled`.
struct Unit {
    active: String,
    start: String,
}

pub(super) async fn check(action: &Action, bench: &Bench<'_>) -> Result<Checked, StepError> {
    let service = name(action)?;
    if matches!(action, Action::ServiceStop { .. }) && is_absent(service, bench).await? {
        return Ok(Checked::AlreadySo(format!("there is no service {service}")));
    }
    if matches!(action, Action::ServiceStart { .. }) && bench.idle.iter().any(|i| i == service) {
        return Ok(Checked::AlreadySo(format!("{service} did not run before")));
    }
    let unit = show(service, bench).await?;
    let ran = || UndoRecord::ServiceRan { service: service.to_owned(), ran: unit.runs() };
    match action {
        Action::ServiceStart { .. } if unit.runs() => {
            Ok(Checked::AlreadySo(format!("{service} runs")))
        }
        // One on its way down may hang there: it is stopped, and started again.
        Action::ServiceStop { .. } if !unit.runs() && unit.active != DEACTIVATING => {
            Ok(Checked::AlreadySo(format!("{service} does not run")))
        }
        Action::ServiceSetStart { .. } if is_windows(bench)? => {
            set_start_on_windows(service, wanted_start(action, bench)?, &unit, bench)
        }
        Action::ServiceSetStart { start, .. } => set_start(service, *start, &unit),
        _ => Ok(Checked::Todo(ran())),
    }
}

pub(super) async fn apply(action: &Action, bench: &Bench<'_>) -> Result<Applied, StepError> {
    let service = name(action)?;
    if is_windows(bench)? {
        let calls = match action {
            Action::ServiceStop { .. } => vec![ServiceCall::Stop],
            Action::ServiceRestart { .. } => vec![ServiceCall::Stop, ServiceCall::Start],
            Action::ServiceSetStart { .. } => {
                vec![ServiceCall::SetStart(wanted_start(action, bench)?)]
            }
            _ => vec![ServiceCall::Start],
        };
        for call in &calls {
            on_windows(service, *call, bench).await?;
        }
        return Ok(Applied { detail: format!("{service}: {calls:?}"), exit: None });
    }
    let verb = match action {
        Action::ServiceStop { .. } => "stop",
        Action::ServiceRestart { .. } => "restart",
        Action::ServiceSetStart { .. } => "enable",
        _ => "start",
    };
    systemctl(&[verb, service], bench).await
}

pub(super) async fn verify(action: &Action, bench: &Bench<'_>) -> Result<(), StepError> {
    let service = name(action)?;
    let unit = show(service, bench).await?;
    let so = match action {
        Action::ServiceStop { .. } => !unit.runs(),
        Action::ServiceSetStart { .. } if is_windows(bench)? => {
            unit.start == wanted_start(action, bench)?.as_str()
        }
        Action::ServiceSetStart { .. } => unit.start == "enabled",
        _ => unit.runs(),
    };
    if so {
        return Ok(());
    }
    Err(StepError::failed(format!("{service} is {} and {}", unit.active, unit.start)))
}

pub(super) async fn undo(undo: &UndoRecord, bench: &Bench<'_>) -> Result<String, StepError> {
    match undo {
        UndoRecord::ServiceRan { service, ran } => {
            if show(service, bench).await?.runs() == *ran {
                return Ok(format!("{service} is as it was"));
            }
            let verb = if *ran { "start" } else { "stop" };
            if is_windows(bench)? {
                let call = if *ran { ServiceCall::Start } else { ServiceCall::Stop };
                on_windows(service, call, bench).await?;
            } else {
                systemctl(&[verb, service], bench).await?;
            }
            if show(service, bench).await?.runs() == *ran {
                Ok(format!("{service}: {verb}"))
            } else {
                Err(StepError::failed(format!("{service} did not {verb}")))
            }
        }
        UndoRecord::ServiceStart { service, was } => {
            if show(service, bench).await?.start != *was {
                if is_windows(bench)? {
                    let start = was.parse().map_err(|_| {
                        StepError::Impossible(format!("\"{was}\" is no start type of Windows"))
                    })?;
                    on_windows(service, ServiceCall::SetStart(start), bench).await?;
                } else {
                    systemctl(&["disable", service], bench).await?;
                }
            }
            let is = show(service, bench).await?.start;
            if is == *was {
                Ok(format!("{service} is {was} again"))
            } else {
                Err(StepError::failed(format!("{service} was {was}, and is {is} now")))
            }
        }
        _ => Ok("nothing to take back".to_owned()),
    }
}

/// Asks for a restart, and waits: the agent is stopped by it. Coming back from the wait means that
/// nothing happened.
pub(super) async fn reboot(bench: &Bench<'_>) -> Result<Applied, StepError> {
    if is_windows(bench)? {
        run(bench, SHUTDOWN, &["/r", "/t", "0"]).await?;
    } else {
        // Whoever may put it off was asked. Without `-i` systemd 257 and later refuse while anybody
        // holds an inhibitor, which earlier ones pass over for root (systemctl(1), systemd's NEWS).
        systemctl(&["-i", "reboot"], bench).await?;
    }
    tokio::time::sleep(bench.timeout).await;
    Err(StepError::failed("the host did not restart"))
}

fn set_start(service: &str, start: StartType, unit: &Unit) -> Result<Checked, StepError> {
    let undo = UndoRecord::ServiceStart { service: service.to_owned(), was: unit.start.clone() };
    match start {
        StartType::Auto if unit.start == "enabled" => {
            Ok(Checked::AlreadySo(format!("{service} is enabled")))
        }
        StartType::Auto if unit.start == "disabled" => Ok(Checked::Todo(undo)),
        StartType::Auto => Err(StepError::Impossible(format!(
            "{service} is {}, and only a disabled service is enabled",
            unit.start
        ))),
        StartType::Manual | StartType::Disabled => Err(StepError::Impossible(format!(
            "systemd services are only ever enabled by this step, not set to {start}"
        ))),
    }
}

/// The start type that is right on this build of Windows.
fn wanted_start(action: &Action, bench: &Bench<'_>) -> Result<StartType, StepError> {
    let Action::ServiceSetStart { start, on, .. } = action else {
        return Err(StepError::Impossible("no step that sets a start type".to_owned()));
    };
    let facts = bench.platform.facts();
    let facts = facts.map_err(|e| StepError::Impossible(format!("what is this system? {e}")))?;
    let here = on.iter().find(|other| is_build(&facts.os_build, &other.build));
    Ok(here.map_or(*start, |other| other.start))
}

/// Only a disabled service is changed, to a start type that lets it run, and not where policy
/// disabled it: that would do so again.
fn set_start_on_windows(
    service: &str,
    start: StartType,
    unit: &Unit,
    bench: &Bench<'_>,
) -> Result<Checked, StepError> {
    if unit.start == start.as_str() {
        return Ok(Checked::AlreadySo(format!("{service} is {start}")));
    }
    if unit.start != StartType::Disabled.as_str() || start == StartType::Disabled {
        return Err(StepError::Impossible(format!(
            "{service} is {}, and only a disabled service is changed",
            unit.start
        )));
    }
    match service_start_by_policy(bench.platform.root(), service) {
        Ok(None) => {}
        Ok(Some((start, file))) => {
            return Err(StepError::Impossible(format!(
                "policy sets {service} to {start} ({file}): change it there"
            )));
        }
        Err(why) => {
            return Err(StepError::Impossible(format!(
                "whether policy disabled {service} is not known: {why}"
            )));
        }
    }
    let (service, was) = (service.to_owned(), unit.start.clone());
    Ok(Checked::Todo(UndoRecord::ServiceStart { service, was }))
}

/// Whether Windows knows no such service: not every version has every one.
async fn is_absent(service: &str, bench: &Bench<'_>) -> Result<bool, StepError> {
    if !is_windows(bench)? {
        return Ok(false);
    }
    let looked = bench.platform.service(service, ServiceCall::Look).await;
    Ok(looked.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound))
}

fn is_windows(bench: &Bench<'_>) -> Result<bool, StepError> {
    let facts = bench.platform.facts();
    let facts = facts.map_err(|e| StepError::Impossible(format!("what is this system? {e}")))?;
    Ok(facts.os == OsFamily::Windows)
}

async fn on_windows(
    service: &str,
    call: ServiceCall,
    bench: &Bench<'_>,
) -> Result<Unit, StepError> {
    match bench.platform.service(service, call).await {
        Ok(seen) => {
            let active = match seen.state {
                RunState::StopPending => DEACTIVATING,
                _ if seen.runs() => "active",
                _ => "inactive",
            };
            Ok(Unit { active: active.to_owned(), start: seen.start.to_string() })
        }
        Err(error) if matches!(call, ServiceCall::Look) => Err(StepError::Impossible(format!(
            "the service manager does not answer for {service}: {error}"
        ))),
        Err(error) => Err(StepError::failed(format!("{service}: {call:?} failed: {error}"))),
    }
}

fn name(action: &Action) -> Result<&str, StepError> {
    let (Action::ServiceStart { service }
    | Action::ServiceStop { service }
    | Action::ServiceRestart { service }
    | Action::ServiceSetStart { service, .. }) = action
    else {
        return Err(StepError::Impossible("no service step".to_owned()));
    };
    if plain_name(service) {
        return Ok(service);
    }
    Err(StepError::Impossible(format!("\"{service}\" is no service name")))
}

async fn show(service: &str, bench: &Bench<'_>) -> Result<Unit, StepError> {
    if is_windows(bench)? {
        return on_windows(service, ServiceCall::Look, bench).await;
    }
    let query = ["show", service, "-p", "LoadState", "-p", "ActiveState", "-p", "UnitFileState"];
    let exit = run(bench, SYSTEMCTL, &query).await?;
    let text = exit.text();
    let value = |key: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().to_owned()
    };
    if exit.status != Some(0) || value("LoadState").is_empty() {
        let said = text.lines().next().unwrap_or("nothing").to_owned();
        return Err(StepError::Impossible(format!("systemd does not answer on this host: {said}")));
    }
    if value("LoadState") != "loaded" {
        let state = value("LoadState");
        return Err(StepError::Impossible(format!("{service} is {state} on this host")));
    }
    Ok(Unit { active: value("ActiveState"), start: value("UnitFileState") })
}

async fn systemctl(arguments: &[&str], bench: &Bench<'_>) -> Result<Applied, StepError> {
    let exit = run(bench, SYSTEMCTL, arguments).await?;
    if exit.status == Some(0) {
        return Ok(Applied { detail: arguments.join(" "), exit: Some(0) });
    }
    let said = exit.text().lines().next().unwrap_or_default().to_owned();
    let detail = format!("systemctl {} failed: {said}", arguments.join(" "));
    Err(StepError::Failed { detail, exit: exit.status })
}

impl Unit {
    fn runs(&self) -> bool {
        matches!(self.active.as_str(), "active" | "activating" | "reloading")
    }
}
