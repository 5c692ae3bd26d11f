//! Questions about one value of the registry.

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::step::Hive;

use super::{Found, told};
use crate::platform::{Platform, RegistryValue};
use crate::probe::{with_value, yes_if};

/// A value's place: hive, key, name.
pub(super) type Named<'a> = (Hive, &'a str, &'a str);

/// A value of the local machine; the reason where it cannot be read.
pub(super) async fn value(
    platform: &dyn Platform,
    key: &str,
    name: &str,
) -> Result<Option<RegistryValue>, String> {
    platform.registry(Hive::LocalMachine, key, name).await.map_err(told)
}

/// Whether a switch of the local machine is 1.
pub(super) async fn is_on(platform: &dyn Platform, key: &str, name: &str) -> Result<bool, String> {
    Ok(value(platform, key, name).await? == Some(RegistryValue::Dword(1)))
}

/// A text of the local machine, trimmed; `None` where it is missing, empty or no text.
pub(super) async fn text(
    platform: &dyn Platform,
    key: &str,
    name: &str,
) -> Result<Option<String>, String> {
    Ok(match value(platform, key, name).await? {
        Some(RegistryValue::Sz(text) | RegistryValue::ExpandSz { expand: text }) => {
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        }
        _ => None,
    })
}

/// Yes where the value is another, or is missing: what is accepted is not there.
pub(super) async fn is_not(
    platform: &dyn Platform,
    named: Named<'_>,
    accepted: &[String],
) -> Found {
    Ok(match read(platform, named).await? {
        Some(value) => told_of(yes_if(!is_one(&value, accepted)), named, &value),
        None => Finding::new(Answer::Yes, format!("{} is not there", path(named))),
    })
}

pub(super) async fn is(platform: &dyn Platform, named: Named<'_>, values: &[String]) -> Found {
    Ok(match read(platform, named).await? {
        Some(value) => told_of(yes_if(is_one(&value, values)), named, &value),
        None => Finding::new(Answer::No, format!("{} is not there", path(named))),
    })
}

pub(super) async fn is_set(platform: &dyn Platform, named: Named<'_>) -> Found {
    Ok(match read(platform, named).await? {
        Some(value) => told_of(Answer::Yes, named, &value),
        None => Finding::new(Answer::No, format!("{} is not there", path(named))),
    })
}

async fn read(
    platform: &dyn Platform,
    (hive, key, name): Named<'_>,
) -> Result<Option<RegistryValue>, String> {
    platform.registry(hive, key, name).await.map_err(told)
}

fn is_one(value: &RegistryValue, values: &[String]) -> bool {
    let value = value.to_string();
    values.iter().any(|v| v.eq_ignore_ascii_case(value.trim()))
}

fn told_of(answer: Answer, named: Named<'_>, value: &RegistryValue) -> Finding {
    with_value(answer, format!("{} = {value}", path(named)), value.to_string())
}

fn path((hive, key, name): Named<'_>) -> String {
    format!(r"{}\{key}\{name}", hive.as_str().to_ascii_uppercase())
}
