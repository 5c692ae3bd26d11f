//! Reads the files of a catalogue into one, and says all that is wrong with them at once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use fleetmend_core::knowledge::{
    Binding, Catalogue, Cause, CodeEntry, Message, Probe, Remediation,
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::format::Document;

/// One file of a catalogue: its name (for messages) and its text.
pub type File<'a> = (&'a str, &'a str);

/// Something wrong in a catalogue. Whatever it is, the catalogue is not used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LintProblem {
    /// The file or the entry.
    pub place: String,
    /// What is wrong, and what is wanted.
    pub message: String,
}

impl LintProblem {
    pub(crate) fn new(place: impl fmt::Display, message: impl fmt::Display) -> Self {
        Self { place: place.to_string(), message: message.to_string() }
    }
}

impl fmt::Display for LintProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Reads files and checks everything; the catalogue, or all problems.
pub fn load(files: &[File<'_>]) -> Result<Catalogue, Vec<LintProblem>> {
    let (catalogue, mut problems) = parse(files);
    problems.extend(crate::lint(&catalogue));
    if problems.is_empty() { Ok(catalogue) } else { Err(problems) }
}

/// Reads files; what is no TOML of this form, and entries that stand twice, are problems. Of two
/// entries with one id the first is kept.
pub fn parse(files: &[File<'_>]) -> (Catalogue, Vec<LintProblem>) {
    let mut catalogue = Catalogue { version: version(files), ..Catalogue::default() };
    let mut problems = Vec::new();
    for (file, text) in files {
        match toml::from_str::<Document>(text) {
            Ok(document) => add(&mut catalogue, file, document, &mut problems),
            Err(wrong) => problems.push(LintProblem::new(file, wrong.to_string().trim_end())),
        }
    }
    (catalogue, problems)
}

fn add(cat: &mut Catalogue, file: &str, document: Document, problems: &mut Vec<LintProblem>) {
    let Document { code, binding, cause, probe, remediation, exit, message } = document;
    for form in code {
        let entry: CodeEntry = form.into();
        put(&mut cat.codes, entry.code.clone(), entry, "code", file, problems);
    }
    for form in cause {
        let entry: Cause = form.into();
        put(&mut cat.causes, entry.id.clone(), entry, "cause", file, problems);
    }
    for form in probe {
        let entry: Probe = form.into();
        put(&mut cat.probes, entry.id.clone(), entry, "probe", file, problems);
    }
    for form in remediation {
        let entry: Remediation = form.into();
        put(&mut cat.remediations, entry.id.clone(), entry, "remediation", file, problems);
    }
    for form in exit {
        for status in form.statuses {
            let key = (form.product, status);
            if cat.exits.insert(key, form.code.clone()).is_some() {
                let message = format!("exit code {status} of {} stands twice", form.product);
                problems.push(LintProblem::new(file, message));
            }
        }
    }
    cat.messages.extend(message.into_iter().map(Message::from));
    for form in binding {
        let entry: Binding = form.into();
        let same = |b: &Binding| context(b) == context(&entry);
        if cat.bindings.iter().any(same) {
            let code = entry.code.as_ref().map_or("no code".to_owned(), ToString::to_string);
            let message = format!("the binding of {} {code} stands twice", entry.product);
            problems.push(LintProblem::new(file, message));
        } else {
            cat.bindings.push(entry);
        }
    }
}

fn context(b: &Binding) -> impl PartialEq + '_ {
    (b.product, b.operation, &b.code, &b.update_class)
}

fn put<K: Ord + fmt::Display, V>(
    map: &mut BTreeMap<K, V>,
    key: K,
    value: V,
    what: &str,
    file: &str,
    problems: &mut Vec<LintProblem>,
) {
    match map.entry(key) {
        Entry::Occupied(kept) => {
            let message = format!("the {what} {} stands twice", kept.key());
            problems.push(LintProblem::new(file, message));
        }
        Entry::Vacant(free) => {
            free.insert(value);
        }
    }
}

/// The crate's version and a digest of the data, so that two catalogues are never taken for one.
fn version(files: &[File<'_>]) -> String {
    let mut hash = Sha256::new();
    for (name, text) in files {
        for part in [name, text] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    format!("{}+{}", env!("CARGO_PKG_VERSION"), &hex::encode(hash.finalize())[..12])
}
