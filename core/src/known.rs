//! What was known of a cause when a remediation was tried against it: by this a plan sees whether
//! anything has changed since.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::evidence::{Answer, Evidence};
use crate::knowledge::Cause;

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

/// Whether the cause's own probe says that it is gone.
pub fn is_cleared(cause: &Cause, subject: Option<&str>, evidence: &[Evidence]) -> bool {
    let known = Known::of(cause, subject, evidence);
    let own = cause.own_probe.as_ref().and_then(|probe| known.0.get(probe.as_str()));
    own.is_some_and(|answer| answer.starts_with(Answer::No.as_str()))
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
    fn the_newest_answer_counts_and_it_is_kept_as_a_text() {
        let both = [seen(3, "disk.low", Answer::No, None), seen(1, "disk.low", Answer::Yes, None)];
        let known = Known::of(&cause(), None, &both);
        let text = serde_json::to_string(&known).expect("json");
        assert_eq!(text, r#"{"disk.low":"no"}"#);
        assert_eq!(serde_json::from_str::<Known>(&text).expect("reads"), known);
    }
}
