//! `update.*`: the host's own update agent, with what its own update authority approved. Nothing is
//! fetched from anywhere else, and where a failure is about one update, only that one is touched.

use fleetmend_core::host::UpdateAuthority;
use fleetmend_core::step::Action;

use super::{AfterCrash, Applied, Bench, Checked, StepError, UndoRecord};
use crate::platform::{Outcome, UpdateCall};
use crate::probe::windows::authority;

pub(super) async fn check(action: &Action, bench: &Bench<'_>) -> Result<Checked, StepError> {
    let call = call(action)?;
    if call == UpdateCall::Scan {
        return Ok(Checked::Todo(UndoRecord::Nothing));
    }
    let (authority, proof) = authority(bench.platform).await.map_err(|error| {
        StepError::Impossible(format!("who manages updates here cannot be asked: {error}"))
    })?;
    if authority == UpdateAuthority::ConfigMgr {
        return Err(StepError::Impossible(format!(
            "Configuration Manager decides what this host installs and when ({proof}): order it there"
        )));
    }
    Ok(Checked::Todo(UndoRecord::Nothing))
}

pub(super) async fn apply(action: &Action, bench: &Bench<'_>) -> Result<Applied, StepError> {
    let call = call(action)?;
    let outcome = bench.platform.update(call, bench.update).await;
    let outcome =
        outcome.map_err(|error| StepError::failed(format!("the update agent: {error}")))?;
    judge(call, &outcome, bench.update)
}

/// Installing twice is not done by itself; what only looks or fetches may be done again.
pub(super) async fn after_crash(action: &Action, bench: &Bench<'_>) -> AfterCrash {
    if !matches!(action, Action::UpdateInstall {}) {
        return AfterCrash::NotDone;
    }
    let unclear = |why: String| AfterCrash::Unclear(format!("whether it was installed: {why}"));
    let Some(kb) = bench.update else {
        return unclear("the agent was stopped while updates were installed".to_owned());
    };
    match bench.platform.updates().await {
        Ok(installed) if installed.iter().any(|u| u.kb.eq_ignore_ascii_case(kb)) => {
            AfterCrash::Done(format!("{kb} is installed"))
        }
        Ok(_) => {
            unclear(format!("{kb} is not among the installed updates, and may wait for a restart"))
        }
        Err(error) => unclear(error.to_string()),
    }
}

/// What a run of the update agent came to.
pub(crate) fn judge(
    call: UpdateCall,
    outcome: &Outcome,
    only: Option<&str>,
) -> Result<Applied, StepError> {
    let items = outcome.items.join(", ");
    if outcome.code & 0x8000_0000 != 0 {
        let of = if items.is_empty() { String::new() } else { format!(" ({items})") };
        let detail = format!("the {call} ended with 0x{:08X}{of}", outcome.code);
        return Err(StepError::failed(detail));
    }
    if call != UpdateCall::Scan && outcome.items.is_empty() {
        let what = only.unwrap_or("anything");
        return Err(StepError::failed(format!(
            "the host's update authority offers no approved {what} to {call}"
        )));
    }
    let found = if items.is_empty() { "nothing".to_owned() } else { items };
    let restart = if outcome.reboot { "; a restart is wanted" } else { "" };
    Ok(Applied { detail: format!("{call}: {found}{restart}"), exit: None })
}

fn call(action: &Action) -> Result<UpdateCall, StepError> {
    match action {
        Action::UpdateScan {} => Ok(UpdateCall::Scan),
        Action::UpdateDownload {} => Ok(UpdateCall::Download),
        Action::UpdateInstall {} => Ok(UpdateCall::Install),
        _ => Err(StepError::Impossible("no update step".to_owned())),
    }
}
