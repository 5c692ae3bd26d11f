//! Rules for the whole: every cause has a way out, every way out can be taken, nothing contradicts
//! itself.

use std::collections::BTreeSet;

use fleetmend_core::knowledge::{Catalogue, Cause, RebootNeed, Remediation, Retry, Risk, Text};
use fleetmend_core::report::Kind;
use fleetmend_core::words::Slug;

use super::Lint;

/// Lines of a refusal: why not, and the better way.
const REFUSAL: usize = 2;

impl Lint<'_> {
    pub(super) fn whole(&mut self) {
        let cat = self.cat;
        for entry in cat.codes.values() {
            let place = format!("code {}", entry.code);
            if entry.kind != Kind::Failure && entry.retry == Retry::Permanent {
                let kind = entry.kind;
                self.say(&place, format!("it is {kind}, and no failure that stays: not permanent"));
            }
            self.in_its_language(&place, "the meaning", &entry.meaning);
        }
        let failing = failing(cat);
        for cause in cat.causes.values() {
            self.in_its_language(
                &format!("cause {}", cause.id),
                "the explanation",
                &cause.explanation,
            );
            self.way_out(cause, failing.contains(&cause.id));
        }
        for r in cat.remediations.values() {
            let place = format!("remediation {}", r.id);
            self.in_its_language(&place, "the explanation", &r.explanation);
            if r.risk == Risk::Refused && r.guide.len() < REFUSAL {
                self.say(&place, "a refusal says why not, and the better way");
            }
            if r.risk == Risk::Safe && r.reboot == RebootNeed::Always {
                self.say(&place, "a restart interrupts work: it is at least disruptive");
            }
        }
    }

    fn way_out(&mut self, cause: &Cause, fails: bool) {
        let cat = self.cat;
        let place = format!("cause {}", cause.id);
        let ways: Vec<&Remediation> =
            cause.remediations.iter().filter_map(|id| cat.remediations.get(id)).collect();
        if fails && ways.iter().all(|r| r.risk == Risk::Refused) {
            self.say(&place, "it has no way out: name a remediation, if only a guide");
        }
        if cause.remediations.iter().collect::<BTreeSet<_>>().len() != cause.remediations.len() {
            self.say(&place, "a remediation stands twice");
        }
        for r in ways {
            if cause.own_probe.as_ref().is_some_and(|own| r.blockers.contains(own)) {
                let id = &r.id;
                self.say(
                    &place,
                    format!("{id} waits while the cause is there: it would never run"),
                );
            }
            self.named_in_guide(&place, cause, r);
        }
    }

    /// What a guide tells a person to order must be among the remediations of the cause: an order for
    /// an incident takes only what its plan names.
    fn named_in_guide(&mut self, place: &str, cause: &Cause, guide: &Remediation) {
        let cat = self.cat;
        let words = |text: &Text| {
            let apart = |c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.';
            let words = text.en.split(apart).map(|word| word.trim_matches('.').to_owned());
            words.collect::<Vec<_>>()
        };
        for word in guide.guide.iter().flat_map(words) {
            let named = word.parse::<Slug>().ok().and_then(|id| cat.remediations.get(&id));
            if named.is_some_and(|r| r.is_automatic() && !cause.remediations.contains(&r.id)) {
                self.say(place, format!("the guide of {} names {word}, and it does not", guide.id));
            }
        }
    }

    /// A text in the wrong column is a language that is missing.
    fn in_its_language(&mut self, place: &str, what: &str, text: &Text) {
        let cyrillic = |text: &str| text.chars().any(|c| ('а'..='я').contains(&c) || c == 'ё');
        if !text.ru.is_empty() && !cyrillic(&text.ru) {
            self.say(place, format!("{what} in ru is not Russian"));
        }
        if cyrillic(&text.en) {
            self.say(place, format!("{what} in en is not English"));
        }
    }
}

/// The causes that a failure leads to.
fn failing(cat: &Catalogue) -> BTreeSet<&Slug> {
    let codes = cat.codes.values().filter(|c| c.kind == Kind::Failure);
    let bindings = cat.bindings.iter().filter(|b| cat.kind_of(b.code.as_ref()) == Kind::Failure);
    codes
        .flat_map(|c| &c.causes)
        .chain(bindings.flat_map(|b| b.causes.iter().map(|(cause, _)| cause)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{RIGHT, problems};

    /// (what is changed, into what, what the problem must say)
    const CHANGES: &[(&str, &str, &str)] = &[
        ("kind = \"failure\"", "kind = \"benign\"", "not permanent"),
        ("ru = \"dpkg прерван.\"", "ru = \"dpkg was interrupted.\"", "in ru is not Russian"),
        ("en = \"The cache is old.\"", "en = \"Кэш стар.\"", "in en is not English"),
        ("ru = \"Очищает.\"", "ru = \"Clears.\"", "in ru is not Russian"),
        ("remediations = [\"clear\"]", "remediations = []", "it has no way out"),
        (
            "remediations = [\"configure\", \"by_hand\"]",
            "remediations = [\"configure\", \"by_hand\", \"configure\"]",
            "a remediation stands twice",
        ),
        ("blockers = [\"locked\"]", "blockers = [\"pending\"]", "it would never run"),
        ("en = \"Look.\"", "en = \"Order clear.\"", "the guide of by_hand names clear"),
        ("risk = \"guided\"", "risk = \"refused\"", "a refusal says why not, and the better way"),
        (
            "risk = \"disruptive\"\nreboot = \"maybe\"",
            "risk = \"safe\"\nreboot = \"always\"",
            "a restart interrupts work",
        ),
    ];

    #[test]
    fn every_rule_for_the_whole_fires() {
        for (from, to, wanted) in CHANGES {
            assert!(RIGHT.contains(from), "{from:?} is not in the small catalogue");
            let found = problems(&RIGHT.replacen(from, to, 1));
            let said = found.iter().any(|p| p.message.contains(wanted));
            assert!(said, "{from:?} became {to:?}: wanted {wanted:?}, got {found:#?}");
        }
    }

    #[test]
    fn only_refusals_are_no_way_out() {
        let refused = RIGHT
            .replacen("remediations = [\"clear\"]", "remediations = [\"by_hand\"]", 1)
            .replacen("risk = \"guided\"", "risk = \"refused\"", 1);
        let found = problems(&refused);
        let lost = |p: &crate::LintProblem| {
            p.place == "cause sources" && p.message.starts_with("it has no way out")
        };
        assert!(found.iter().any(lost), "{found:#?}");
    }
}
