//! Orders and their envelopes, and what is signed for a renewal.

use fleetmend_core::campaign::RebootPolicy;
use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::limits;
use fleetmend_core::order::{Envelope, Order, Task};
use fleetmend_core::time::Timestamp;
use prost::Message as _;

use crate::convert::{
    ConvertError, Within as _, clean, count, id, name, parsed, required, text, time,
};
use crate::v1::task::Kind;
use crate::{hold, item, v1, words};

/// Whose an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whose {
    /// The only host that may act on it.
    pub host: HostId,
    /// The job.
    pub job: JobId,
    /// Which try.
    pub attempt: u32,
}

/// The bytes that the server signs.
pub fn encode_order(order: &Order) -> Vec<u8> {
    let mut wire = v1::OrderPayload {
        host: order.host.0.as_bytes().to_vec(),
        job: order.job.0.as_bytes().to_vec(),
        attempt: order.attempt,
        incident: order.incident.0.as_bytes().to_vec(),
        key: Some(item::wire_incident_key(&order.key)),
        cause: order.cause.to_string(),
        remediation: order.remediation.to_string(),
        version: order.version,
        digest: clean(&order.digest),
        evidence: order.evidence.iter().map(|id| id.0.as_bytes().to_vec()).collect(),
        counter: order.counter,
        not_before: order.not_before.as_millis(),
        expires: order.expires.as_millis(),
        task: None,
        begin_in: order.begin_in.iter().map(hold::wire_interval).collect(),
        reboot: v1::RebootPolicy::from(order.reboot).into(),
        max_deferrals: order.max_deferrals.into(),
        notice_seconds: order.notice_seconds,
        must_know: Vec::new(),
    };
    let kind = match order.task {
        Task::Remediate => None,
        Task::Verify => Some(Kind::Verify(v1::Verify {})),
        Task::Undo { job, attempt } => {
            Some(Kind::Undo(v1::Undo { job: job.0.as_bytes().to_vec(), attempt }))
        }
    };
    if kind.is_some() {
        wire.task = Some(v1::Task {
            kind,
            remediation: std::mem::take(&mut wire.remediation),
            version: std::mem::take(&mut wire.version),
            digest: std::mem::take(&mut wire.digest),
        });
    }
    wire.encode_to_vec()
}

/// Reads an order. Call only after the envelope's signature held.
pub fn decode_order(payload: &[u8]) -> Result<Order, ConvertError> {
    let wire = v1::OrderPayload::decode(payload)
        .map_err(|err| ConvertError::new("payload", format!("no order: {err}")))?;
    if let Some(unknown) = wire.must_know.first() {
        let unknown: String = unknown.chars().take(80).collect();
        let problem = format!("\"{unknown}\" is unknown to this version");
        return Err(ConvertError::new("must_know", problem));
    }
    count("evidence", wire.evidence.len(), limits::EVIDENCE_PER_REPORT)?;
    count("begin_in", wire.begin_in.len(), limits::BEGIN_SPANS)?;
    let (task, remediation, version, digest) = match wire.task {
        None => (Task::Remediate, wire.remediation, wire.version, wire.digest),
        Some(task) => (kind(task.kind)?, task.remediation, task.version, task.digest),
    };
    let notice = u32::try_from(limits::NOTICE.as_secs()).unwrap_or(u32::MAX);
    if wire.notice_seconds > notice {
        return Err(ConvertError::new("notice_seconds", format!("at most {notice}")));
    }
    Ok(Order {
        host: id("host", &wire.host)?,
        job: id("job", &wire.job)?,
        attempt: wire.attempt,
        incident: id("incident", &wire.incident)?,
        key: item::incident_key(required("key", wire.key)?).within("key")?,
        cause: parsed("cause", &wire.cause)?,
        remediation: parsed("remediation", &remediation)?,
        version,
        digest: text("digest", digest, 64)?,
        evidence: wire.evidence.iter().map(|e| id("evidence", e)).collect::<Result<_, _>>()?,
        counter: wire.counter,
        not_before: time("not_before", wire.not_before)?,
        expires: time("expires", wire.expires)?,
        task,
        begin_in: wire
            .begin_in
            .into_iter()
            .map(|span| hold::interval(span).within("begin_in"))
            .collect::<Result<_, _>>()?,
        reboot: match wire.reboot {
            0 => RebootPolicy::Never,
            set => words::reboot_policy("reboot", set)?,
        },
        max_deferrals: u8::try_from(wire.max_deferrals)
            .map_err(|_| ConvertError::new("max_deferrals", "at most 255"))?,
        notice_seconds: wire.notice_seconds,
    })
}

/// Whose an order is that cannot be read whole, for the answer to it; `None` where not even that can be
/// read. Call only after the envelope's signature held.
pub fn whose_order(payload: &[u8]) -> Option<Whose> {
    let wire = v1::OrderPayload::decode(payload).ok()?;
    Some(Whose {
        host: id("host", &wire.host).ok()?,
        job: id("job", &wire.job).ok()?,
        attempt: wire.attempt,
    })
}

fn kind(kind: Option<Kind>) -> Result<Task, ConvertError> {
    match kind {
        Some(Kind::Verify(_)) => Ok(Task::Verify),
        Some(Kind::Undo(undo)) => {
            Ok(Task::Undo { job: id("task.job", &undo.job)?, attempt: undo.attempt })
        }
        None => Err(ConvertError::new("task", "is none that this version knows")),
    }
}

impl From<Envelope> for v1::Order {
    fn from(envelope: Envelope) -> Self {
        Self { payload: envelope.payload, key_id: envelope.key_id, signature: envelope.signature }
    }
}

impl TryFrom<v1::Order> for Envelope {
    type Error = ConvertError;
    fn try_from(wire: v1::Order) -> Result<Self, ConvertError> {
        if wire.payload.len() > limits::SPOOL_RECORD_BYTES {
            return Err(ConvertError::new("payload", "is too long for an order"));
        }
        if wire.signature.len() != 64 {
            return Err(ConvertError::new("signature", "an Ed25519 signature has 64 bytes"));
        }
        Ok(Self {
            payload: wire.payload,
            key_id: name("key_id", wire.key_id, 64)?,
            signature: wire.signature,
        })
    }
}

/// What a host signs with its enrolled key to renew an expired certificate: the purpose, the host,
/// the time and the CSR, each with its length before it.
pub fn renewal_input(host: HostId, at: Timestamp, csr: &[u8]) -> Vec<u8> {
    const PURPOSE: &[u8] = b"fleetmend/renewal/v1";
    let at = at.as_millis().to_be_bytes();
    let mut input = Vec::with_capacity(PURPOSE.len() + csr.len() + 64);
    for part in [PURPOSE, host.0.as_bytes(), &at, csr] {
        input.extend_from_slice(&(part.len() as u64).to_be_bytes());
        input.extend_from_slice(part);
    }
    input
}
