//! Orders: what the server may ask an agent to do. Only ids of remediations that the agent already
//! trusts; no steps, no command lines, no paths. To prove and to take back are orders too: signed,
//! counted and taken once, like any other.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::campaign::RebootPolicy;
use crate::hold::Interval;
use crate::ids::{EvidenceId, HostId, IncidentId, JobId};
use crate::job::TaskKind;
use crate::report::IncidentKey;
use crate::time::Timestamp;
use crate::words::Slug;

/// One order, bound to one host, job and try, and to a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The only host that may act on it.
    pub host: HostId,
    /// The job.
    pub job: JobId,
    /// Which try, from 1.
    pub attempt: u32,
    /// The incident the job is for.
    pub incident: IncidentId,
    /// What fails: the agent proves the fix by this.
    pub key: IncidentKey,
    /// The cause that the job acts on; the agent looks first whether it is still there.
    pub cause: Slug,
    /// The remediation.
    pub remediation: Slug,
    /// Its version; the agent refuses any other than its own.
    pub version: u32,
    /// SHA-256 of the remediation's canonical form, in lower-case hex.
    pub digest: String,
    /// Evidence of the agent's own whose values the steps use.
    pub evidence: Vec<EvidenceId>,
    /// Higher than every counter this host was ever given.
    pub counter: u64,
    /// Not to be begun before.
    pub not_before: Timestamp,
    /// Not to be begun after.
    pub expires: Timestamp,
    /// What is to be done with the remediation named.
    #[serde(default)]
    pub task: Task,
    /// The spans in which it may begin; at any time before it expires where there is none. At most
    /// [`crate::limits::BEGIN_SPANS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub begin_in: Vec<Interval>,
    /// Whether the host may be restarted for it.
    #[serde(default)]
    pub reboot: RebootPolicy,
    /// How often a user may put a restart off.
    #[serde(default)]
    pub max_deferrals: u8,
    /// How long before a restart users are told of it, in seconds.
    #[serde(default)]
    pub notice_seconds: u32,
}

/// What an order asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "task")]
pub enum Task {
    /// The remediation's steps, and the proof.
    #[default]
    Remediate,
    /// No step: the cause's own probe and the remediation's verification tell whether it is fixed.
    Verify,
    /// Takes back what this agent did in an earlier try, by its own journal.
    Undo {
        /// The job of that try.
        job: JobId,
        /// Which try.
        attempt: u32,
    },
}

/// Why an agent refuses an order. The words go to the server and into the job's detail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefused {
    /// The order names another host.
    #[error("the order is for another host")]
    OtherHost,
    /// Its counter is not above the highest one seen: a replay or a rolled-back server.
    #[error(
        "the order's counter {counter} is not above {seen}: it was replayed, or the server was rolled back"
    )]
    OldCounter {
        /// The order's.
        counter: u64,
        /// The highest seen.
        seen: u64,
    },
    /// Too early by more than the tolerance.
    #[error("the order is not valid before {0}")]
    TooEarly(Timestamp),
    /// Too late.
    #[error("the order expired at {0}")]
    Expired(Timestamp),
}

impl Task {
    /// What it is, without whose try it is about.
    pub const fn kind(self) -> TaskKind {
        match self {
            Self::Remediate => TaskKind::Remediate,
            Self::Verify => TaskKind::Verify,
            Self::Undo { .. } => TaskKind::Undo,
        }
    }

    /// Its word: `remediate`, `verify`, `undo`.
    pub const fn as_str(self) -> &'static str {
        self.kind().as_str()
    }
}

impl Order {
    /// Checks all that needs no catalogue: host, counter and time (with ±5 minutes' tolerance).
    pub fn check(&self, host: HostId, seen: u64, now: Timestamp) -> Result<(), OrderRefused> {
        if self.host != host {
            return Err(OrderRefused::OtherHost);
        }
        if self.counter <= seen {
            return Err(OrderRefused::OldCounter { counter: self.counter, seen });
        }
        if now.after(crate::limits::CLOCK_SKEW) < self.not_before {
            return Err(OrderRefused::TooEarly(self.not_before));
        }
        if now > self.expires.after(crate::limits::CLOCK_SKEW) {
            return Err(OrderRefused::Expired(self.expires));
        }
        Ok(())
    }
}

impl Order {
    /// Why it may not begin now, with `minutes` of work ahead: it has spans to begin in, and this is
    /// none of them, or too little is left of it. `None` where it may begin.
    pub fn waits_for_window(&self, now: Timestamp, minutes: u32) -> Option<String> {
        if self.begin_in.is_empty() {
            return None;
        }
        let work = Duration::from_mins(minutes.into());
        let open = self.begin_in.iter().filter(|span| span.holds(now)).max_by_key(|s| s.until);
        if open.is_some_and(|span| span.until.since(now) >= work) {
            return None;
        }
        let fits = |span: &&Interval| span.from > now && span.until.since(span.from) >= work;
        let next = self.begin_in.iter().filter(fits).map(|span| span.from).min();
        let opens = match next.filter(|at| *at <= self.expires) {
            Some(at) => format!("opens {at}"),
            None => "none opens before the order expires".to_owned(),
        };
        Some(match open {
            Some(span) => format!(
                "waits for its window: this one closes {} and the work takes about {minutes} min; {opens}",
                span.until
            ),
            None => format!("waits for its window: {opens}"),
        })
    }
}

/// A signed order: opaque bytes, verified before they are parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The order, encoded.
    pub payload: Vec<u8>,
    /// SHA-256 of the signing key's certificate, in lower-case hex.
    pub key_id: String,
    /// Ed25519 over [`signing_input`].
    pub signature: Vec<u8>,
}

/// What is signed: the purpose, the key and the bytes, each with its length before it, so that no
/// bytes signed for one purpose can be read as another's.
pub fn signing_input(key_id: &str, payload: &[u8]) -> Vec<u8> {
    const PURPOSE: &[u8] = b"fleetmend/order/v1";
    let mut input = Vec::with_capacity(PURPOSE.len() + key_id.len() + payload.len() + 24);
    for part in [PURPOSE, key_id.as_bytes(), payload] {
        input.extend_from_slice(&(part.len() as u64).to_be_bytes());
        input.extend_from_slice(part);
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Operation, Product};

    fn order(begin_in: &[(i64, i64)]) -> Order {
        let at = |minute: i64| Timestamp::from_millis(minute * 60_000);
        let span = |(from, until): &(i64, i64)| Interval { from: at(*from), until: at(*until) };
        Order {
            host: HostId::at(at(0), [1; 10]),
            job: JobId::at(at(0), [2; 10]),
            attempt: 1,
            incident: IncidentId::at(at(0), [3; 10]),
            key: IncidentKey {
                product: Product::Apt,
                operation: Operation::Install,
                code: None,
                subject: None,
            },
            cause: "apt.lock_held".parse().expect("a slug"),
            remediation: "apt.wait".parse().expect("a slug"),
            version: 1,
            digest: String::new(),
            evidence: Vec::new(),
            counter: 1,
            not_before: at(0),
            expires: at(1_000),
            task: Task::Remediate,
            begin_in: begin_in.iter().map(span).collect(),
            reboot: RebootPolicy::Never,
            max_deferrals: 0,
            notice_seconds: 0,
        }
    }

    #[test]
    fn it_begins_in_its_spans_while_enough_of_them_is_left() {
        let waits = |spans: &[(i64, i64)], minute: i64, work| {
            order(spans).waits_for_window(Timestamp::from_millis(minute * 60_000), work)
        };
        assert_eq!(waits(&[], 5, 60), None, "no span: at any time");
        let spans = [(100, 160), (200, 300)];
        assert_eq!(waits(&spans, 100, 60), None);
        assert_eq!(waits(&spans, 250, 50), None);
        let before = waits(&spans, 5, 60).expect("waits");
        assert_eq!(before, "waits for its window: opens 1970-01-01T01:40:00.000Z");
        let late = waits(&spans, 130, 60).expect("too little is left");
        assert!(
            late.contains("closes 1970-01-01T02:40") && late.contains("opens 1970-01-01T03:20")
        );
        let long = waits(&spans, 5, 90).expect("waits");
        assert!(long.ends_with("opens 1970-01-01T03:20:00.000Z"), "the first is too short: {long}");
        assert!(waits(&spans, 300, 5).expect("over").contains("none opens before"));
        assert!(waits(&[(2_000, 3_000)], 5, 5).expect("late").contains("none opens before"));
        // Spans that overlap: the one that closes last counts.
        assert_eq!(waits(&[(0, 10), (0, 90)], 5, 60), None);
    }

    #[test]
    fn an_order_kept_before_there_were_tasks_is_a_remediation() {
        let mut kept = serde_json::to_value(order(&[])).expect("json");
        for key in ["task", "reboot", "max_deferrals", "notice_seconds"] {
            kept.as_object_mut().expect("an object").remove(key);
        }
        let read: Order = serde_json::from_value(kept).expect("reads");
        assert_eq!(read, order(&[]));
        let undo = Task::Undo { job: JobId::at(Timestamp::default(), [4; 10]), attempt: 2 };
        let text = serde_json::to_string(&undo).expect("json");
        assert_eq!(serde_json::from_str::<Task>(&text).expect("reads"), undo);
    }
}
