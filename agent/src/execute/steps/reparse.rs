//! `reparse.*`: what a link is, and a mounted volume or junction taken off its folder. The link alone
//! is touched, by the system's own call; nothing behind it is opened, listed or removed.

use fleetmend_core::step::Action;
use fleetmend_core::words::Slug;

use super::{AfterCrash, Applied, Bench, Checked, StepError, UndoRecord};
use crate::platform::Reparse;

pub(super) async fn check(action: &Action, bench: &Bench<'_>) -> Result<Checked, StepError> {
    let path = path(action, bench)?;
    let found = look(path, bench).await?;
    if matches!(action, Action::ReparseList { .. }) {
        return match found {
            Some(_) => Ok(Checked::Todo(UndoRecord::Nothing)),
            None => Ok(Checked::AlreadySo(format!("{path} is a plain folder"))),
        };
    }
    let Some(reparse) = found else {
        return Ok(Checked::AlreadySo(format!("{path} is a plain folder")));
    };
    if reparse.tag != Reparse::MOUNT_POINT {
        return Err(StepError::Impossible(format!(
            "{path} is neither a mounted volume nor a junction (tag 0x{:08X}): it stays",
            reparse.tag
        )));
    }
    Ok(Checked::Todo(UndoRecord::Detached { path: path.to_owned(), reparse }))
}

pub(super) async fn apply(
    action: &Action,
    undo: &UndoRecord,
    bench: &Bench<'_>,
) -> Result<Applied, StepError> {
    let path = path(action, bench)?;
    let found = look(path, bench).await?;
    let UndoRecord::Detached { reparse, .. } = undo else {
        let told = found.map_or_else(|| "a plain folder".to_owned(), |found| words(&found));
        return Ok(Applied { detail: format!("{path} is {told}"), exit: None });
    };
    // Only what was looked at and written down is taken off.
    if found.as_ref() != Some(reparse) {
        return Err(StepError::failed(format!("{path} leads elsewhere than a moment ago")));
    }
    let detached = bench.platform.reparse_set(path, None).await;
    detached.map_err(|error| StepError::failed(format!("{path} cannot be detached: {error}")))?;
    Ok(Applied { detail: format!("{path} was {}", words(reparse)), exit: None })
}

/// The link is gone, and the volume behind it is still there to be read.
pub(super) async fn verify(undo: &UndoRecord, bench: &Bench<'_>) -> Result<(), StepError> {
    let UndoRecord::Detached { path, reparse } = undo else { return Ok(()) };
    if look(path, bench).await?.is_some() {
        return Err(StepError::failed(format!("{path} is still a reparse point")));
    }
    let Some(volume) = volume_of(&reparse.target) else { return Ok(()) };
    let volumes = bench.platform.volumes().await;
    let volumes = volumes.map_err(|error| {
        StepError::failed(format!("whether the volume is still there cannot be asked: {error}"))
    })?;
    let there = |id: &str| id.trim_end_matches('\\').eq_ignore_ascii_case(&volume);
    match volumes.iter().find(|v| there(&v.id)) {
        Some(found) if !found.file_system.is_empty() => Ok(()),
        Some(_) => Err(StepError::failed(format!("the volume {volume} cannot be read any more"))),
        None => Err(StepError::failed(format!("the volume {volume} is not there any more"))),
    }
}

pub(super) async fn undo(undo: &UndoRecord, bench: &Bench<'_>) -> Result<String, StepError> {
    let UndoRecord::Detached { path, reparse } = undo else {
        return Ok("nothing to take back".to_owned());
    };
    match look(path, bench).await? {
        Some(found) if found == *reparse => return Ok(format!("{path} leads where it did")),
        Some(_) => {
            return Err(StepError::failed(format!("{path} leads elsewhere now: it stays so")));
        }
        None => {}
    }
    let attached = bench.platform.reparse_set(path, Some(reparse)).await;
    attached.map_err(|error| StepError::failed(format!("{path} cannot be attached: {error}")))?;
    if look(path, bench).await?.as_ref() == Some(reparse) {
        Ok(format!("{path} is {} again", words(reparse)))
    } else {
        Err(StepError::failed(format!("{path} does not lead where it did")))
    }
}

pub(super) async fn after_crash(undo: &UndoRecord, bench: &Bench<'_>) -> AfterCrash {
    let UndoRecord::Detached { path, reparse } = undo else { return AfterCrash::NotDone };
    match look(path, bench).await {
        Ok(None) => AfterCrash::Done(format!("{path} was found detached")),
        Ok(Some(found)) if found == *reparse => AfterCrash::NotDone,
        Ok(Some(_)) => AfterCrash::Unclear(format!("{path} leads elsewhere now")),
        Err(error) => AfterCrash::Unclear(error.to_string()),
    }
}

fn path<'b>(action: &Action, bench: &Bench<'b>) -> Result<&'b str, StepError> {
    let (Action::ReparseList { evidence } | Action::ReparseDetach { evidence }) = action else {
        return Err(StepError::Impossible("no step on reparse points".to_owned()));
    };
    value(evidence, bench)
}

/// A full path of Windows, as the agent's own probe found it.
fn value<'b>(evidence: &Slug, bench: &Bench<'b>) -> Result<&'b str, StepError> {
    let Some(path) = bench.values.get(evidence) else {
        return Err(StepError::Impossible(format!(
            "the order names no evidence of {evidence} that this agent collected"
        )));
    };
    let bytes = path.as_bytes();
    let full = bytes.len() > 3 && bytes[0].is_ascii_alphabetic() && path[1..].starts_with(":\\");
    let plain = path.split('\\').skip(1).all(|part| !matches!(part, "" | "." | ".."))
        && !path.contains(['/', '\0', '*', '?', '"', '<', '>', '|']);
    if full && plain {
        Ok(path)
    } else {
        Err(StepError::Impossible(format!("\"{path}\" is no plain full path of a folder")))
    }
}

async fn look(path: &str, bench: &Bench<'_>) -> Result<Option<Reparse>, StepError> {
    let found = bench.platform.reparse(path).await;
    found.map_err(|error| StepError::Impossible(format!("{path} cannot be looked at: {error}")))
}

/// The volume that a target names by its GUID, as `\\?\Volume{…}`.
fn volume_of(target: &str) -> Option<String> {
    let rest = target.strip_prefix(r"\??\")?;
    let volume = rest.starts_with("Volume{").then(|| rest.trim_end_matches('\\'))?;
    Some(format!(r"\\?\{volume}"))
}

fn words(reparse: &Reparse) -> String {
    let kind = match (reparse.tag, volume_of(&reparse.target)) {
        (Reparse::MOUNT_POINT, Some(_)) => "a mounted volume",
        (Reparse::MOUNT_POINT, None) => "a junction",
        (Reparse::SYMLINK, _) => "a symbolic link",
        _ => "a reparse point of another kind",
    };
    format!("{kind} to {} (tag 0x{:08X})", reparse.target, reparse.tag)
}
