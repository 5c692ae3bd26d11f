//! Reasons in the reader's language. What an agent or a person said in words of their own stays as it
//! is.

use fleetmend_core::knowledge::Lang;
use fleetmend_core::reason::{Reason, Value};

use super::frame::Frame;
use super::i18n::Words;

impl Frame {
    /// Why a campaign is in its state: its reasons, or what a person said. Safe as HTML.
    pub(crate) fn why(&self, reasons: &[Reason], words: &str) -> String {
        if reasons.is_empty() { escaped(words) } else { self.t.reasons(reasons) }
    }

    /// Words of an agent or of the server: those that are known in the reader's language. Safe as HTML.
    pub(crate) fn told(&self, words: &str) -> String {
        self.t.told(words)
    }

    /// A reason. Safe as HTML.
    pub(crate) fn reason(&self, reason: &Reason) -> String {
        self.t.reason(reason)
    }
}

impl Words {
    /// A reason. Safe as HTML.
    pub(crate) fn reason(self, reason: &Reason) -> String {
        if reason.is_bare() {
            let text = escaped(&reason.to_string());
            return match self.0 {
                Lang::En => text,
                Lang::Ru => format!("<span lang=\"en\">{text}</span>"),
            };
        }
        let template = self.s(&format!("reason.{}", reason.code)).to_owned();
        reason.fill(&template, &|value, kind| self.value(value, kind))
    }

    /// Reasons, one after the other. Safe as HTML.
    pub(crate) fn reasons(self, reasons: &[Reason]) -> String {
        reasons.iter().map(|reason| self.reason(reason)).collect::<Vec<_>>().join("; ")
    }

    /// Words of an agent or of the server, read where they are known. Safe as HTML.
    pub(crate) fn told(self, words: &str) -> String {
        if words.is_empty() { String::new() } else { self.reason(&Reason::of_text(words)) }
    }

    fn value(self, value: &Value, kind: &str) -> String {
        match value {
            Value::Number(n) if kind == "hosts_wait" => self.n("count.hosts_wait", n),
            Value::Number(n) if kind == "jobs_wait" => self.n("count.jobs_wait", n),
            Value::Number(n) => self.num(n),
            Value::Text(text) if !kind.is_empty() => escaped(&self.word(kind, text)),
            Value::Text(text) => escaped(text),
            Value::Moment { clock, .. } => escaped(clock),
            Value::Counts { counts } if counts.is_empty() => self.s("reason.none_of").to_owned(),
            Value::Counts { counts } => {
                let told = counts.iter().map(|(outcome, n)| {
                    let (word, n) = (self.word("outcome", outcome), self.num(n));
                    match self.0 {
                        Lang::En => format!("{n} {word}"),
                        Lang::Ru => format!("{word} — {n}"),
                    }
                });
                told.collect::<Vec<_>>().join(", ")
            }
            Value::Names { names, more } => {
                let mut text = escaped(&names.join(", "));
                if *more > 0 {
                    text = format!("{text} {}", self.f("reason.more", more));
                }
                text
            }
            Value::Reasons(reasons) => self.reasons(reasons),
        }
    }
}

/// Text as it may stand in HTML.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use fleetmend_core::reason;
    use fleetmend_core::reason::{Code, holes};

    use super::*;

    const EN: Words = Words(Lang::En);
    const RU: Words = Words(Lang::Ru);

    #[test]
    fn every_reason_is_told_in_russian_with_the_same_values() {
        for code in Code::ALL {
            let key = format!("reason.{code}");
            let russian = RU.s(&key);
            assert_ne!(russian, key, "no Russian: {code}");
            let of = |text| holes(text).collect::<BTreeSet<_>>();
            assert_eq!(of(russian), of(code.english()), "{code}");
            assert_eq!(EN.s(&key), code.english());
            for (_, kind) in holes(code.english()) {
                let known =
                    ["", "counts", "names", "why", "hosts_wait", "jobs_wait", "threshold", "risk"];
                let sets = ["reboot_policy", "job", "incident", "host"];
                assert!(known.contains(&kind) || sets.contains(&kind), "{code}: {kind}");
            }
            let words = russian.split(['{', '}']).step_by(2).collect::<String>();
            let is_russian = words.chars().any(|c| ('а'..='я').contains(&c));
            assert!(is_russian || words.chars().all(|c| !c.is_alphabetic()), "{code}: {russian}");
        }
    }

    #[test]
    fn an_agents_words_stay_its_own_where_they_are_not_known() {
        let said = "its time was over before it could begin: the fleet is halted: <storm>";
        assert_eq!(
            RU.told(said),
            "срок истёк раньше, чем можно было начать: весь парк остановлен: &lt;storm&gt;"
        );
        let said = "the steps went well, and it is not cured: dpkg --audit says: & so on";
        assert_eq!(
            RU.told(said),
            "шаги прошли, но сбой не устранён: <span lang=\"en\">dpkg --audit says: &amp; so on</span>"
        );
        assert_eq!(
            EN.told(said),
            "the steps went well, and it is not cured: dpkg --audit says: &amp; so on"
        );
        assert_eq!(RU.told(""), "");
    }

    #[test]
    fn numbers_and_hosts_are_counted_as_the_language_counts() {
        let wait = |n: usize| reason!(HostsWait, n = n, held = reason!(Unreachable));
        assert_eq!(EN.reason(&wait(1)), "1 host waits: not reachable");
        assert_eq!(RU.reason(&wait(3)), "3 хоста ждут: нет связи");
        let names = Value::Names { names: vec!["a.b".into()], more: 2 };
        let needs = reason!(NeedsIrreversible, remediations = names);
        assert_eq!(RU.reason(&needs), "это нельзя откатить: a.b и ещё 2");
    }
}
