//! What was known of a cause when a remediation was tried against it: by this a plan sees whether
//! anything has changed since.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::evidence::{Answer, Evidence};
use crate::knowledge::Cause;
use crate::words::Slug;

/// The answers of a cause's probes, as far as they say anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Known(BTreeMap<String, String>);

impl Known {
    /// What is known of a cause, for a failure of this subject: of each of its probes the newest
    /// answer that is one, as triage takes it. The words of a proof and the time do not count.
    pub fn of(cause: &Cause, subject: Option<&str>, evidence: &[Evidence]) -> Self {
        let probes = cause.indications.iter().map(|i| &i.probe).chain(&cause.own_probe);
        let mut known = BTreeMap::new();
        for probe in probes {
            let newest = evidence
                .iter()
                .filter(|e| e.probe == *probe && e.counts_for(subject))
                .filter(|e| e.answer != Answer::Unknown)
                .max_by_key(|e| (e.at, e.id));
            if let Some(newest) = newest {
                known.insert(probe.to_string(), answer(newest));
            }
        }
        Self(known)
    }

    /// Whether something is known now that was not known then, or is otherwise now. What is no longer
    /// known is no change.
    pub fn has_changed(&self, now: &Self) -> bool {
        now.0.iter().any(|(probe, answer)| self.0.get(probe) != Some(answer))
    }

    /// The answers by probe, as they are kept.
    pub const fn answers(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    fn answer_of(&self, probe: &Slug) -> Option<Answer> {
        self.0.get(probe.as_str())?.split(' ').next()?.parse().ok()
    }
}

/// The answer, and of the value as much as tells it from another.
fn answer(evidence: &Evidence) -> String {
    match &evidence.value {
        None => evidence.answer.to_string(),
        Some(value) => {
            let digest = Sha256::digest(value.as_bytes());
            format!("{} {}", evidence.answer, hex::encode(&digest[..6]))
        }
    }
}

/// Whether the cause is known to be gone: by its own probe, where a *no* of it settles that.
pub fn is_cleared(cause: &Cause, subject: Option<&str>, evidence: &[Evidence]) -> bool {
    let known = Known::of(cause, subject, evidence);
    cause.gone_by().and_then(|probe| known.answer_of(probe)) == Some(Answer::No)
}

/// Whether the cause came back: its own probe said that it was gone after it was last tried against,
/// and says now that it is there, both in a way that settles it. `then` is what was known before the
/// try and after it.
pub fn came_back(cause: &Cause, then: &[Known], now: &Known) -> bool {
    cause.told_by().is_some_and(|probe| {
        let last = then.iter().rev().find_map(|known| known.answer_of(probe));
        last == Some(Answer::No) && now.answer_of(probe) == Some(Answer::Yes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::EvidenceId;
    use crate::knowledge::{Indication, Strength, Text};
    use crate::time::Timestamp;

    fn cause() -> Cause {
        let indication = |probe: &str| Indication {
            probe: probe.parse().expect("a slug"),
            yes: Strength::Strong,
            no: Strength::WeakAgainst,
            source: "expert".to_owned(),
        };
        Cause {
            id: "full".parse().expect("a slug"),
            name: Text::default(),
            explanation: Text::default(),
            indications: vec![indication("disk.low"), indication("apt.cache_large")],
            own_probe: Some("disk.low".parse().expect("a slug")),
            remediations: Vec::new(),
            retries: Vec::new(),
            products: Vec::new(),
            seeds: Vec::new(),
        }
    }

    fn seen(n: u8, probe: &str, answer: Answer, value: Option<&str>) -> Evidence {
        let at = Timestamp::from_millis(i64::from(n) * 1_000);
        Evidence {
            id: EvidenceId::at(at, [n; 10]),
            probe: probe.parse().expect("a slug"),
            subject: None,
            answer,
            proof: format!("seen {n}"),
            value: value.map(str::to_owned),
            at,
        }
    }

    #[test]
    fn answers_and_values_change_it_and_times_words_and_silence_do_not() {
        let known = |evidence: &[Evidence]| Known::of(&cause(), None, evidence);
        let before = known(&[seen(1, "disk.low", Answer::Yes, Some("/"))]);
        let now = |answer, value| known(&[seen(2, "disk.low", answer, value)]);
        assert!(!before.has_changed(&now(Answer::Yes, Some("/"))), "seen again");
        let unknown = seen(2, "disk.low", Answer::Unknown, None);
        let both = known(&[seen(1, "disk.low", Answer::Yes, Some("/")), unknown.clone()]);
        assert!(!before.has_changed(&both) && !before.has_changed(&known(&[unknown])), "no look");
        assert!(before.has_changed(&now(Answer::No, None)));
        assert!(before.has_changed(&now(Answer::Yes, Some("/var"))), "another place");
        assert!(known(&[]).has_changed(&before), "nothing was known");
        let other =
            [seen(1, "disk.low", Answer::Yes, Some("/")), seen(2, "dns.fails", Answer::Yes, None)];
        assert!(!before.has_changed(&known(&other)), "another cause's probe");
    }

    #[test]
    fn only_a_no_that_settles_it_says_that_the_cause_is_gone() {
        let cleared = |no: Strength, answer: Answer| {
            let mut cause = cause();
            cause.indications[0].no = no;
            is_cleared(&cause, None, &[seen(1, "disk.low", answer, None)])
        };
        let settles: Vec<Strength> =
            Strength::ALL.iter().copied().filter(|no| cleared(*no, Answer::No)).collect();
        assert_eq!(settles, [Strength::StrongAgainst, Strength::DecisiveAgainst]);
        assert!(!cleared(Strength::DecisiveAgainst, Answer::Yes));
        assert!(!cleared(Strength::DecisiveAgainst, Answer::Unknown));
        let mut unnamed = cause();
        unnamed.own_probe = None;
        assert!(!is_cleared(&unnamed, None, &[seen(1, "disk.low", Answer::No, None)]));
    }

    #[test]
    fn what_came_back_was_gone_after_the_try() {
        let back = |cause: &Cause, then: &[Answer], now: Answer| {
            let known = |answer| Known::of(cause, None, &[seen(1, "disk.low", answer, Some("/"))]);
            let then: Vec<Known> = then.iter().copied().map(known).collect();
            came_back(cause, &then, &known(now))
        };
        let mut settled = cause();
        settled.indications[0].no = Strength::StrongAgainst;
        assert!(back(&settled, &[Answer::Yes, Answer::No], Answer::Yes));
        assert!(back(&settled, &[Answer::Yes, Answer::No, Answer::Unknown], Answer::Yes));
        assert!(!back(&settled, &[Answer::Yes, Answer::Yes], Answer::Yes), "never gone");
        assert!(!back(&settled, &[Answer::Yes, Answer::Unknown], Answer::Yes), "nobody knows");
        assert!(!back(&settled, &[Answer::No, Answer::Yes], Answer::Yes), "the try brought it");
        assert!(!back(&settled, &[Answer::Yes, Answer::No], Answer::No), "still gone");
        assert!(!back(&settled, &[], Answer::Yes));
        assert!(!back(&cause(), &[Answer::Yes, Answer::No], Answer::Yes), "a weak no");
        settled.indications[0].yes = Strength::Weak;
        assert!(!back(&settled, &[Answer::Yes, Answer::No], Answer::Yes), "a weak yes");
    }

    #[test]
    fn the_newest_answer_counts_and_it_is_kept_as_a_text() {
        let both = [seen(3, "disk.low", Answer::No, None), seen(1, "disk.low", Answer::Yes, None)];
        let known = Known::of(&cause(), None, &both);
        let text = serde_json::to_string(&known).expect("json");
        assert_eq!(text, r#"{"disk.low":"no"}"#);
        assert_eq!(serde_json::from_str::<Known>(&text).expect("reads"), known);
    }
}
