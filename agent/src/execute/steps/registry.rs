//! `registry.*`: one value of a key that is there. What policy owns is never written.

use fleetmend_core::step::{Action, Hive};

use super::{AfterCrash, Applied, Bench, Checked, StepError, UndoRecord};
use crate::platform::RegistryValue;

/// A value, and what it is to be; `None` for gone.
struct Wanted<'a> {
    hive: Hive,
    key: &'a str,
    name: &'a str,
    data: Option<RegistryValue>,
}

pub(super) async fn check(action: &Action, bench: &Bench<'_>) -> Result<Checked, StepError> {
    let wanted = wanted(action)?;
    if wanted.key.split('\\').any(|part| part.eq_ignore_ascii_case("policies")) {
        return Err(StepError::Impossible(format!("{wanted} belongs to policy: change it there")));
    }
    let key = bench.platform.registry_key(wanted.hive, wanted.key).await;
    let key = key.map_err(|error| impossible(&wanted, &error))?;
    let was = read(&wanted, bench).await?;
    if was == wanted.data {
        return Ok(Checked::AlreadySo(format!("{wanted} is {} already", words(was.as_ref()))));
    }
    if key.is_none() {
        // Half a key is worse than none, and would stay after the undo.
        return Err(StepError::Impossible(format!("the key of {wanted} is not on this host")));
    }
    let (hive, key, name) = (wanted.hive, wanted.key.to_owned(), wanted.name.to_owned());
    Ok(Checked::Todo(UndoRecord::RegistryWas { hive, key, name, was, set: wanted.data }))
}

pub(super) async fn apply(action: &Action, bench: &Bench<'_>) -> Result<Applied, StepError> {
    let wanted = wanted(action)?;
    write(&wanted, wanted.data.as_ref(), bench).await?;
    let detail = format!("{wanted} is {}", words(wanted.data.as_ref()));
    Ok(Applied { detail, exit: None })
}

pub(super) async fn verify(action: &Action, bench: &Bench<'_>) -> Result<(), StepError> {
    let wanted = wanted(action)?;
    let is = read(&wanted, bench).await?;
    if is == wanted.data {
        return Ok(());
    }
    Err(StepError::failed(format!("{wanted} is {}", words(is.as_ref()))))
}

pub(super) async fn undo(undo: &UndoRecord, bench: &Bench<'_>) -> Result<String, StepError> {
    let UndoRecord::RegistryWas { hive, key, name, was, set } = undo else {
        return Ok("nothing to take back".to_owned());
    };
    let value = Wanted { hive: *hive, key, name, data: was.clone() };
    let is = read(&value, bench).await?;
    if is == *was {
        return Ok(format!("{value} is as it was"));
    }
    if is != *set {
        let is = words(is.as_ref());
        return Err(StepError::failed(format!(
            "{value} was changed by somebody else since, to {is}: it stays"
        )));
    }
    write(&value, was.as_ref(), bench).await?;
    let is = read(&value, bench).await?;
    if is == *was {
        Ok(format!("{value} is {} again", words(was.as_ref())))
    } else {
        Err(StepError::failed(format!("{value} is {} now", words(is.as_ref()))))
    }
}

pub(super) async fn after_crash(undo: &UndoRecord, bench: &Bench<'_>) -> AfterCrash {
    let UndoRecord::RegistryWas { hive, key, name, was, set } = undo else {
        return AfterCrash::NotDone;
    };
    let value = Wanted { hive: *hive, key, name, data: set.clone() };
    match read(&value, bench).await {
        Ok(is) if is == *set => AfterCrash::Done(format!("{value} is {}", words(is.as_ref()))),
        Ok(is) if is == *was => AfterCrash::NotDone,
        Ok(is) => AfterCrash::Unclear(format!(
            "{value} is {}, neither what it was nor what it was to be",
            words(is.as_ref())
        )),
        Err(error) => AfterCrash::Unclear(error.to_string()),
    }
}

fn wanted(action: &Action) -> Result<Wanted<'_>, StepError> {
    match action {
        Action::RegistrySet { hive, key, name, data } => {
            Ok(Wanted { hive: *hive, key, name, data: Some(data.into()) })
        }
        Action::RegistryDelete { hive, key, name } => {
            Ok(Wanted { hive: *hive, key, name, data: None })
        }
        _ => Err(StepError::Impossible("no registry step".to_owned())),
    }
}

async fn read(value: &Wanted<'_>, bench: &Bench<'_>) -> Result<Option<RegistryValue>, StepError> {
    let read = bench.platform.registry(value.hive, value.key, value.name).await;
    read.map_err(|error| impossible(value, &error))
}

async fn write(
    value: &Wanted<'_>,
    data: Option<&RegistryValue>,
    bench: &Bench<'_>,
) -> Result<(), StepError> {
    let written = bench.platform.registry_set(value.hive, value.key, value.name, data).await;
    written.map_err(|error| StepError::failed(format!("{value} cannot be written: {error}")))
}

fn impossible(value: &Wanted<'_>, error: &std::io::Error) -> StepError {
    StepError::Impossible(format!("{value} cannot be read: {error}"))
}

fn words(value: Option<&RegistryValue>) -> String {
    value.map_or_else(|| "not there".to_owned(), |value| format!("\"{value}\""))
}

impl std::fmt::Display for Wanted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hive = self.hive.as_str().to_ascii_uppercase();
        write!(f, "{hive}\\{}\\{}", self.key, self.name)
    }
}
