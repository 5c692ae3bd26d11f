//! The names by which a record's parts are found.

use std::collections::BTreeMap;
use std::io;

use fleetmend_core::step::Hive;

pub(super) fn unrecorded(kind: io::ErrorKind, words: &str) -> io::Error {
    io::Error::new(kind, format!("the record of this host has no answer to \"{words}\""))
}

/// Windows compares names without case.
pub(super) fn get<'a, T>(map: &'a BTreeMap<String, T>, name: &str) -> Option<&'a T> {
    map.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The name as it is recorded already, or as it is given.
pub(super) fn name_of<T>(map: &BTreeMap<String, T>, name: &str) -> String {
    map.keys().find(|n| n.eq_ignore_ascii_case(name)).cloned().unwrap_or_else(|| name.to_owned())
}

pub(super) fn full(hive: Hive, key: &str) -> String {
    format!(r"{}\{key}", hive.as_str().to_ascii_uppercase())
}

/// What of a key's path lies below another.
pub(super) fn under<'a>(path: &'a str, key: &str) -> Option<&'a str> {
    let head = path.get(..key.len())?;
    head.eq_ignore_ascii_case(key).then_some(())?;
    path[key.len()..].strip_prefix('\\')
}

/// A path as it stands from the record's root: `C:\Users` is `Users`, `D:\Data` is `D:/Data`.
pub(super) fn from_root(path: &str) -> String {
    let path = path.replace('\\', "/");
    let path = path.strip_prefix("C:").or_else(|| path.strip_prefix("c:")).unwrap_or(&path);
    path.trim_matches('/').to_owned()
}
