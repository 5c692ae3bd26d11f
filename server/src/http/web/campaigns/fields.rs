//! The form as a page shows it: sections of fields, each with its words, its choices and what is
//! wrong with it.

use std::collections::BTreeSet;

use fleetmend_core::campaign::{Definition, RebootPolicy};
use fleetmend_core::host::OsFamily;
use fleetmend_core::knowledge::{Catalogue, Risk};
use fleetmend_core::report::{Operation, Product};
use fleetmend_core::words::Slug;

use super::form::{Form, blank};
use crate::http::web::i18n::Words;

/// A part of the form.
#[derive(Debug)]
pub(crate) struct Section {
    /// What it is about.
    pub(crate) title: String,
    /// Its content in a few words, for those who do not open it.
    pub(crate) said: String,
    /// Whether it is folded.
    pub(crate) folded: bool,
    /// Its fields.
    pub(crate) fields: Vec<Field>,
}

/// One field.
#[derive(Debug)]
pub(crate) struct Field {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it is, for people.
    pub(crate) label: String,
    /// How it is written; empty where that is plain.
    pub(crate) hint: String,
    /// What is typed.
    pub(crate) value: String,
    /// What is wrong with it.
    pub(crate) error: Option<String>,
    /// What can be chosen; empty where it is typed.
    pub(crate) choices: Vec<Pick>,
    /// Whether it must be filled.
    pub(crate) required: bool,
}

/// One choice.
#[derive(Debug)]
pub(crate) struct Pick {
    /// What is sent.
    pub(crate) value: String,
    /// What is read.
    pub(crate) label: String,
    /// Whether it is chosen.
    pub(crate) chosen: bool,
}

/// The sections with their fields; the first three are never folded.
const SECTIONS: [(&str, &[&str]); 7] = [
    ("what", &["name", "reason", "change"]),
    (
        "hosts",
        &[
            "product",
            "operation",
            "code",
            "cause",
            "kb",
            "label",
            "without",
            "role",
            "os",
            "build",
            "max_hosts",
        ],
    ),
    ("does", &["remedy", "max_risk", "reboot", "notice", "deferrals"]),
    (
        "when",
        &["schedule", "at", "zone", "clock", "days", "start", "end", "left", "joining", "expires"],
    ),
    ("waves", &["waves", "canary", "success", "sample", "soak"]),
    ("stops", &["pause", "pause_in_wave", "abort", "abort_in_wave", "regressions"]),
    ("pace", &["at_once", "per_minute", "at_site", "per_site", "site", "group", "standard_change"]),
];
const OPEN: usize = 3;
const REQUIRED: [&str; 2] = ["name", "reason"];

/// The form as a page shows it.
pub(crate) fn sections(
    form: &Form,
    definition: &Definition,
    catalogue: &Catalogue,
    t: Words,
) -> Vec<Section> {
    let usual = Form::of(&blank());
    let said = super::words::lines(definition, catalogue, t);
    SECTIONS
        .iter()
        .enumerate()
        .map(|(at, (key, names))| {
            let is_usual = names
                .iter()
                .all(|name| form.error(name).is_none() && form.value(name) == usual.value(name));
            let about = t.s(&format!("camp.term.{key}")).to_owned();
            Section {
                title: t.s(&format!("cform.section.{key}")).to_owned(),
                said: said
                    .iter()
                    .find(|line| line.term == about)
                    .map(|line| line.text.clone())
                    .unwrap_or_default(),
                folded: at >= OPEN && is_usual,
                fields: names.iter().map(|name| field(name, form, catalogue, t)).collect(),
            }
        })
        .collect()
}

fn field(name: &'static str, form: &Form, catalogue: &Catalogue, t: Words) -> Field {
    let hint_key = format!("cform.hint.{name}");
    let hint = t.s(&hint_key);
    let choices = choices(name, form, catalogue, t);
    Field {
        name,
        label: t.s(&format!("cform.{name}")).to_owned(),
        hint: if hint == hint_key { String::new() } else { hint.to_owned() },
        value: form.value(name).to_owned(),
        error: form.error(name).map(str::to_owned),
        choices: choices
            .into_iter()
            .map(|(value, label)| Pick { chosen: form.value(name) == value, value, label })
            .collect(),
        required: REQUIRED.contains(&name),
    }
}

fn choices(name: &str, form: &Form, catalogue: &Catalogue, t: Words) -> Vec<(String, String)> {
    let word = |set: &str, word: &str| (word.to_owned(), t.word(set, word));
    let any = || (String::new(), t.s("filter.all").to_owned());
    match name {
        "product" => {
            let words = Product::ALL.iter().map(|p| word("product", p.as_str()));
            std::iter::once(any()).chain(words).collect()
        }
        "operation" => {
            let words = Operation::ALL.iter().map(|o| word("operation", o.as_str()));
            std::iter::once(any()).chain(words).collect()
        }
        "os" => {
            let words = OsFamily::ALL.iter().map(|os| word("os", os.as_str()));
            std::iter::once(any()).chain(words).collect()
        }
        "max_risk" => [Risk::Safe, Risk::Disruptive, Risk::Dangerous]
            .iter()
            .map(|risk| word("risk", risk.as_str()))
            .collect(),
        "reboot" => RebootPolicy::ALL.iter().map(|p| word("reboot_policy", p.as_str())).collect(),
        "schedule" => ["by_hand", "once", "monthly", "cron"].map(|w| word("schedule", w)).to_vec(),
        "clock" => ["campaign", "host"].map(|w| word("clock", w)).to_vec(),
        "remedy" => remedies(form, catalogue, t),
        _ => Vec::new(),
    }
}

/// What can be done against the chosen cause; all that an agent can run where none is chosen.
fn remedies(form: &Form, catalogue: &Catalogue, t: Words) -> Vec<(String, String)> {
    let cause = Slug::new(form.value("cause")).ok().and_then(|id| catalogue.causes.get(&id));
    let fitting: Option<BTreeSet<&Slug>> = cause.map(|cause| cause.remediations.iter().collect());
    let chosen = form.value("remedy");
    let named = catalogue
        .remediations
        .values()
        .filter(|r| r.is_automatic())
        .filter(|r| fitting.as_ref().is_none_or(|f| f.contains(&r.id)) || r.id.as_str() == chosen)
        .map(|r| {
            let label = format!("{} ({})", r.name.get(t.0), t.word("risk", r.risk));
            (r.id.to_string(), label)
        });
    let mut all = vec![
        ("plan".to_owned(), t.s("cform.by_plan").to_owned()),
        ("verify".to_owned(), t.s("camp.verify_only").to_owned()),
    ];
    all.extend(named);
    // What was typed and is not known is kept, so that it can be told.
    if !chosen.is_empty() && all.iter().all(|(value, _)| value != chosen) {
        all.push((chosen.to_owned(), chosen.to_owned()));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::web::campaigns::form::FIELDS;
    use fleetmend_core::knowledge::Lang;

    #[test]
    fn every_field_stands_in_one_section_and_has_its_words() {
        let shown: Vec<&str> =
            SECTIONS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let mut wanted: Vec<&str> = FIELDS.iter().map(|f| f.name).collect();
        let mut sorted = shown.clone();
        sorted.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(sorted, wanted);
        for lang in [Lang::En, Lang::Ru] {
            let t = Words(lang);
            for key in SECTIONS.iter().map(|(key, _)| format!("cform.section.{key}")) {
                assert_ne!(t.s(&key), key);
            }
            for name in &shown {
                let key = format!("cform.{name}");
                assert_ne!(t.s(&key), key);
            }
        }
    }

    #[test]
    fn what_is_not_as_usual_is_not_folded() {
        let mut form = Form::of(&blank());
        let folded = |form: &Form| {
            let sections = sections(form, &blank(), fleetmend_catalog::builtin(), Words(Lang::En));
            sections.iter().map(|s| s.folded).collect::<Vec<_>>()
        };
        assert_eq!(folded(&form), [false, false, false, true, true, true, true]);
        form.wrong("abort", "no limit");
        assert!(!folded(&form)[5]);
    }
}
