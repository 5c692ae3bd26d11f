//! `firewall.suspend` and `antivirus.exclude`: less protection for some minutes, never longer. What
//! is to be put back stands in the journal and in the register of pauses before the effect.

use std::time::Duration;

use fleetmend_core::step::{Action, Base, Place};

use super::{AfterCrash, Applied, Bench, Checked, StepError, UndoRecord};
use crate::execute::pauses::{Pause, Paused, profiles};
use crate::platform::FirewallState;

pub(super) async fn check(action: &Action, bench: &Bench<'_>) -> Result<Checked, StepError> {
    let paused = match action {
        Action::AntivirusExclude { places, .. } => excluding(places, bench).await?,
        _ => suspending(bench).await?,
    };
    let nothing = match &paused {
        Paused::Firewall { was } => was.is_empty(),
        Paused::Antivirus { excluded } => excluded.is_empty(),
    };
    if nothing {
        return Ok(Checked::AlreadySo("it is so already, and stays so afterwards".to_owned()));
    }
    Ok(Checked::Todo(UndoRecord::Pause { paused }))
}

pub(super) async fn apply(
    action: &Action,
    undo: &UndoRecord,
    bench: &Bench<'_>,
) -> Result<Applied, StepError> {
    let (UndoRecord::Pause { paused }, Some(length)) = (undo, action.pauses()) else {
        return Err(StepError::Impossible("nothing was prepared for this step".to_owned()));
    };
    let until = bench.now.after(length);
    let pause = Pause { job: bench.job, step: bench.index, paused: paused.clone(), until };
    bench.pauses.begin(pause, length).await.map_err(StepError::failed)?;
    let minutes = length.as_secs() / Duration::from_mins(1).as_secs();
    let detail = match paused {
        Paused::Firewall { was } => {
            let off: FirewallState = was.keys().map(|profile| (*profile, false)).collect();
            bench
                .platform
                .firewall(Some(&off))
                .await
                .map_err(|error| failed("firewall", &error))?;
            format!("off for {minutes} minutes at most, until {until}; was: {}", profiles(was))
        }
        Paused::Antivirus { excluded } => {
            for path in excluded {
                let set = bench.platform.antivirus_exclusion(path, Some(true)).await;
                set.map_err(|error| failed("virus scanner", &error))?;
            }
            let paths = excluded.join(", ");
            format!("not scanned for {minutes} minutes at most, until {until}: {paths}")
        }
    };
    Ok(Applied { detail, exit: None })
}

pub(super) async fn verify(undo: &UndoRecord, bench: &Bench<'_>) -> Result<(), StepError> {
    match undo {
        UndoRecord::Pause { paused: Paused::Firewall { was } } => {
            let is = bench.platform.firewall(None).await;
            let is = is.map_err(|error| failed("firewall", &error))?;
            if is.iter().any(|(profile, on)| *on && was.contains_key(profile)) {
                let is = profiles(&is);
                return Err(StepError::failed(format!("the firewall is not off: {is}")));
            }
        }
        UndoRecord::Pause { paused: Paused::Antivirus { excluded } } => {
            for path in excluded {
                let excluded = bench.platform.antivirus_exclusion(path, None).await;
                if !excluded.map_err(|error| failed("virus scanner", &error))? {
                    return Err(StepError::failed(format!("{path} is still scanned")));
                }
            }
        }
        _ => {}
    }
    Ok(())
}

pub(super) async fn undo(undo: &UndoRecord, bench: &Bench<'_>) -> Result<String, StepError> {
    let said = ended(undo, bench).await.map_err(StepError::failed)?;
    Ok(if said.is_empty() { "the pause is over already".to_owned() } else { said.join("; ") })
}

/// A pause does not outlive the agent: it is ended, and may be begun anew.
pub(super) async fn after_crash(undo: &UndoRecord, bench: &Bench<'_>) -> AfterCrash {
    match ended(undo, bench).await {
        Ok(_) => AfterCrash::NotDone,
        Err(error) => AfterCrash::Unclear(error),
    }
}

/// Ends the job's pauses; where their register cannot be read, by what the journal says of this one.
async fn ended(undo: &UndoRecord, bench: &Bench<'_>) -> Result<Vec<String>, String> {
    match undo {
        UndoRecord::Pause { paused } => bench.pauses.end_known(bench.job, paused).await,
        _ => bench.pauses.end(bench.job).await,
    }
}

async fn suspending(bench: &Bench<'_>) -> Result<Paused, StepError> {
    let was = bench.platform.firewall(None).await.map_err(|error| {
        StepError::Impossible(format!(
            "the firewall cannot be asked, so it is not touched: {error}"
        ))
    })?;
    if was.is_empty() {
        return Err(StepError::Impossible("the firewall names no profile".to_owned()));
    }
    // One that was off is nothing of ours: whoever switches it on meanwhile is not fought.
    let was = was.into_iter().filter(|(_, on)| *on).collect();
    Ok(Paused::Firewall { was })
}

/// Only Windows' own scanner is asked: others are managed by their vendor's own means.
async fn excluding(places: &[Place], bench: &Bench<'_>) -> Result<Paused, StepError> {
    let scanners = bench.platform.antivirus().await.map_err(|error| {
        StepError::Impossible(format!("the virus scanners cannot be asked: {error}"))
    })?;
    if let Some(other) = scanners.iter().find(|scanner| scanner.active && !scanner.of_windows) {
        return Err(StepError::Impossible(format!(
            "{} is at work: its exclusions are set in its vendor's own management",
            other.name
        )));
    }
    let mut excluded = Vec::new();
    for place in places {
        let Place::Below { base, path } = place else {
            return Err(StepError::Impossible("what is excluded is named by the step".to_owned()));
        };
        let path = match base {
            Base::Windows => format!(r"C:\Windows\{path}"),
            Base::System32 => format!(r"C:\Windows\System32\{path}"),
            Base::ProgramData => format!(r"C:\ProgramData\{path}"),
            Base::Etc | Base::VarLib | Base::VarCache | Base::VarLog => {
                return Err(StepError::Impossible(format!("{base} is no folder of Windows")));
            }
        };
        let path = path.replace('/', "\\");
        let so = bench.platform.antivirus_exclusion(&path, None).await.map_err(|error| {
            StepError::Impossible(format!("the virus scanner cannot be asked: {error}"))
        })?;
        if !so {
            excluded.push(path);
        }
    }
    Ok(Paused::Antivirus { excluded })
}

fn failed(what: &str, error: &std::io::Error) -> StepError {
    StepError::failed(format!("{what}: {error}"))
}
