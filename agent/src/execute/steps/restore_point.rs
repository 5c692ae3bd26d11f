//! `restore_point.create`: a restore point that carries the job's name, so that it can be found again
//! whatever happened in between.

use super::{AfterCrash, Applied, Bench, Checked, StepError, UndoRecord};

pub(super) async fn check(bench: &Bench<'_>) -> Result<Checked, StepError> {
    let name = format!("Fleetmend {}-{}", bench.job, bench.index);
    match find(&name, bench).await? {
        Some(number) => Ok(Checked::AlreadySo(format!("there is restore point {number}"))),
        None => Ok(Checked::Todo(UndoRecord::RestorePoint { name })),
    }
}

pub(super) async fn apply(undo: &UndoRecord, bench: &Bench<'_>) -> Result<Applied, StepError> {
    let UndoRecord::RestorePoint { name } = undo else {
        return Err(StepError::Impossible("nothing was prepared for this step".to_owned()));
    };
    let number = bench.platform.restore_point(name).await;
    let number =
        number.map_err(|error| StepError::failed(format!("no restore point was made: {error}")))?;
    Ok(Applied { detail: format!("restore point {number}: {name}"), exit: None })
}

/// Windows answers well, and makes none, where the last one is younger than a day.
pub(super) async fn verify(undo: &UndoRecord, bench: &Bench<'_>) -> Result<(), StepError> {
    let UndoRecord::RestorePoint { name } = undo else { return Ok(()) };
    match find(name, bench).await? {
        Some(_) => Ok(()),
        None => Err(StepError::failed("Windows made no restore point")),
    }
}

pub(super) async fn undo(undo: &UndoRecord, bench: &Bench<'_>) -> Result<String, StepError> {
    let UndoRecord::RestorePoint { name } = undo else {
        return Ok("nothing to take back".to_owned());
    };
    let Some(number) = find(name, bench).await? else {
        return Ok("there is no restore point of this job".to_owned());
    };
    let removed = bench.platform.restore_point_remove(number).await;
    removed.map_err(|error| StepError::failed(format!("restore point {number} stays: {error}")))?;
    match find(name, bench).await? {
        None => Ok(format!("restore point {number} was removed")),
        Some(_) => Err(StepError::failed(format!("restore point {number} is still there"))),
    }
}

pub(super) async fn after_crash(undo: &UndoRecord, bench: &Bench<'_>) -> AfterCrash {
    let UndoRecord::RestorePoint { name } = undo else { return AfterCrash::NotDone };
    match find(name, bench).await {
        Ok(Some(number)) => AfterCrash::Done(format!("restore point {number} was found")),
        Ok(None) => AfterCrash::NotDone,
        Err(error) => AfterCrash::Unclear(error.to_string()),
    }
}

async fn find(name: &str, bench: &Bench<'_>) -> Result<Option<u32>, StepError> {
    let points = bench.platform.restore_points().await.map_err(|error| {
        StepError::Impossible(format!("System Restore cannot be asked on this host: {error}"))
    })?;
    Ok(points.iter().find(|(_, known)| *known == name).map(|(number, _)| *number))
}
