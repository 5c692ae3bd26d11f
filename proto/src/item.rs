//! Items of the spool: failures, recoveries, evidence, news and output of jobs, gaps.

use fleetmend_core::evidence::Evidence;
use fleetmend_core::job::{JobLog, JobUpdate, StepReport};
use fleetmend_core::limits;
use fleetmend_core::report::{FailureReport, IncidentKey, Recovery, ReportedFailure};
use fleetmend_core::spool_item::{Gap, SpoolItem};

use crate::convert::{
    ConvertError, Within as _, clean, code, count, id, name, optional_text, parsed, required, text,
    time,
};
use crate::v1::spool_item::Item;
use crate::{v1, words};

/// Checks what holds for the message as a whole; the items are converted one by one by the caller,
/// so that a bad one does not fail its neighbours.
pub fn check_reports(wire: &v1::Reports) -> Result<(), ConvertError> {
    count("items", wire.items.len(), limits::REPORTS_PER_MESSAGE)?;
    let last = wire.first_sequence.checked_add(wire.items.len() as u64);
    if wire.first_sequence == 0 || last.is_none_or(|last| i64::try_from(last).is_err()) {
        return Err(ConvertError::new("first_sequence", "counts from 1 and stays below 2^63"));
    }
    Ok(())
}

impl TryFrom<v1::SpoolItem> for SpoolItem {
    type Error = ConvertError;
    fn try_from(wire: v1::SpoolItem) -> Result<Self, ConvertError> {
        let size = prost::Message::encoded_len(&wire);
        if size > limits::SPOOL_RECORD_BYTES {
            let problem = format!("{size} bytes; at most {}", limits::SPOOL_RECORD_BYTES);
            return Err(ConvertError::new("item", problem));
        }
        let kind = wire.item.ok_or_else(|| {
            ConvertError::new("item", "is missing, or of a kind that this version does not know")
        })?;
        match kind {
            Item::Failure(item) => {
                Ok(Self::Failure(Box::new(reported_failure(item).within("failure")?)))
            }
            Item::Recovery(item) => Ok(Self::Recovery(recovery(item).within("recovery")?)),
            Item::Evidence(item) => Ok(Self::Evidence(evidence_list(item.evidence)?)),
            Item::Job(item) => Ok(Self::Job(Box::new(job_update(item).within("job")?))),
            Item::Log(item) => Ok(Self::Log(job_log(item).within("log")?)),
            Item::Gap(item) => Ok(Self::Gap(gap(item).within("gap")?)),
        }
    }
}

impl From<&SpoolItem> for v1::SpoolItem {
    fn from(item: &SpoolItem) -> Self {
        let item = match item {
            SpoolItem::Failure(item) => Item::Failure(wire_failure(item)),
            SpoolItem::Recovery(item) => Item::Recovery(wire_recovery(item)),
            SpoolItem::Evidence(items) => {
                Item::Evidence(v1::EvidenceList { evidence: wire_evidence(items) })
            }
            SpoolItem::Job(item) => Item::Job(wire_job_update(item)),
            SpoolItem::Log(item) => Item::Log(wire_job_log(item)),
            SpoolItem::Gap(item) => Item::Gap(v1::Gap {
                items: item.items,
                reason: clean(&item.reason),
                at: item.at.as_millis(),
            }),
        };
        Self { item: Some(item) }
    }
}

pub(crate) fn incident_key(wire: v1::IncidentKey) -> Result<IncidentKey, ConvertError> {
    Ok(IncidentKey {
        product: words::product("product", wire.product)?,
        operation: words::operation("operation", wire.operation)?,
        code: code(wire.code.as_deref())?,
        subject: optional_text("subject", wire.subject, limits::SUBJECT_BYTES)?,
    })
}

pub(crate) fn wire_incident_key(key: &IncidentKey) -> v1::IncidentKey {
    v1::IncidentKey {
        product: v1::Product::from(key.product).into(),
        operation: v1::Operation::from(key.operation).into(),
        code: key.code.as_ref().map(ToString::to_string),
        subject: key.subject.as_deref().map(clean),
    }
}

fn reported_failure(wire: v1::ReportedFailure) -> Result<ReportedFailure, ConvertError> {
    Ok(ReportedFailure {
        id: id("id", &wire.id)?,
        at: time("at", wire.at)?,
        failure: failure_report(required("failure", wire.failure)?)?,
        evidence: evidence_list(wire.evidence)?,
    })
}

fn wire_failure(item: &ReportedFailure) -> v1::ReportedFailure {
    v1::ReportedFailure {
        id: item.id.0.as_bytes().to_vec(),
        at: item.at.as_millis(),
        failure: Some(wire_report(&item.failure)),
        evidence: wire_evidence(&item.evidence),
    }
}

fn failure_report(wire: v1::FailureReport) -> Result<FailureReport, ConvertError> {
    let signed = |field, value: Option<u64>| match value {
        Some(value) if i64::try_from(value).is_err() => {
            Err(ConvertError::new(field, format!("{value}; at most {}", i64::MAX)))
        }
        _ => Ok(value),
    };
    Ok(FailureReport {
        product: words::product("product", wire.product)?,
        operation: words::operation("operation", wire.operation)?,
        code: code(wire.code.as_deref())?,
        symbol: optional_text("symbol", wire.symbol, limits::FACT_BYTES)?,
        kind: words::kind("kind", wire.kind)?,
        subject: optional_text("subject", wire.subject, limits::SUBJECT_BYTES)?,
        time: parsed("time", &wire.time)?,
        source: words::source("source", wire.source)?,
        provider: optional_text("provider", wire.provider, limits::FACT_BYTES)?,
        event_id: wire.event_id,
        record_id: signed("record_id", wire.record_id)?,
        line: signed("line", wire.line)?,
        count: signed("count", wire.count)?,
        update_class: match wire.update_class {
            0 => None,
            class => Some(words::update_class("update_class", class)?),
        },
        message: text("message", wire.message, limits::REPORT_MESSAGE_BYTES)?,
    })
}

fn wire_report(report: &FailureReport) -> v1::FailureReport {
    v1::FailureReport {
        product: v1::Product::from(report.product).into(),
        operation: v1::Operation::from(report.operation).into(),
        code: report.code.as_ref().map(ToString::to_string),
        symbol: report.symbol.as_deref().map(clean),
        kind: v1::Kind::from(report.kind).into(),
        subject: report.subject.as_deref().map(clean),
        time: report.time.to_string(),
        source: v1::Source::from(report.source).into(),
        provider: report.provider.as_deref().map(clean),
        event_id: report.event_id,
        record_id: report.record_id,
        line: report.line,
        count: report.count,
        update_class: report.update_class.map_or(0, |class| v1::UpdateClass::from(class).into()),
        message: clean(&report.message),
    }
}

fn recovery(wire: v1::Recovery) -> Result<Recovery, ConvertError> {
    Ok(Recovery {
        key: incident_key(required("key", wire.key)?).within("key")?,
        at: time("at", wire.at)?,
        message: text("message", wire.message, limits::REPORT_MESSAGE_BYTES)?,
    })
}

fn wire_recovery(item: &Recovery) -> v1::Recovery {
    v1::Recovery {
        key: Some(wire_incident_key(&item.key)),
        at: item.at.as_millis(),
        message: clean(&item.message),
    }
}

fn evidence_list(wire: Vec<v1::Evidence>) -> Result<Vec<Evidence>, ConvertError> {
    count("evidence", wire.len(), limits::EVIDENCE_PER_REPORT)?;
    let each = wire.into_iter().enumerate();
    each.map(|(at, item)| evidence(item).map_err(|err| err.within(&format!("evidence[{at}]"))))
        .collect()
}

fn evidence(wire: v1::Evidence) -> Result<Evidence, ConvertError> {
    Ok(Evidence {
        id: id("id", &wire.id)?,
        probe: parsed("probe", &wire.probe)?,
        subject: optional_text("subject", wire.subject, limits::SUBJECT_BYTES)?,
        answer: words::answer("answer", wire.answer)?,
        proof: text("proof", wire.proof, limits::PROOF_BYTES)?,
        value: optional_text("value", wire.value, limits::VALUE_BYTES)?,
        at: time("at", wire.at)?,
    })
}

fn wire_evidence(items: &[Evidence]) -> Vec<v1::Evidence> {
    let each = items.iter().map(|item| v1::Evidence {
        id: item.id.0.as_bytes().to_vec(),
        probe: item.probe.to_string(),
        subject: item.subject.as_deref().map(clean),
        answer: v1::Answer::from(item.answer).into(),
        proof: clean(&item.proof),
        value: item.value.as_deref().map(clean),
        at: item.at.as_millis(),
    });
    each.collect()
}

fn job_update(wire: v1::JobUpdate) -> Result<JobUpdate, ConvertError> {
    Ok(JobUpdate {
        job: id("job", &wire.job)?,
        attempt: attempt(wire.attempt)?,
        state: words::job_state("state", wire.state)?,
        detail: text("detail", wire.detail, limits::DETAIL_BYTES)?,
        step: wire.step.map(step_report).transpose().within("step")?,
        evidence: evidence_list(wire.evidence)?,
        proof: wire.proof.map(|n| words::proof_level("proof", n)).transpose()?,
        at: time("at", wire.at)?,
    })
}

fn wire_job_update(item: &JobUpdate) -> v1::JobUpdate {
    v1::JobUpdate {
        job: item.job.0.as_bytes().to_vec(),
        attempt: item.attempt,
        state: v1::JobState::from(item.state).into(),
        detail: clean(&item.detail),
        step: item.step.as_ref().map(|step| v1::StepReport {
            index: step.index,
            title: clean(&step.title),
            state: v1::StepState::from(step.state).into(),
            exit: step.exit,
            detail: clean(&step.detail),
            output_dropped: step.output_dropped,
        }),
        evidence: wire_evidence(&item.evidence),
        proof: item.proof.map(|proof| v1::ProofLevel::from(proof).into()),
        at: item.at.as_millis(),
    }
}

fn step_report(wire: v1::StepReport) -> Result<StepReport, ConvertError> {
    if i64::try_from(wire.output_dropped).is_err() {
        return Err(ConvertError::new("output_dropped", format!("at most {}", i64::MAX)));
    }
    Ok(StepReport {
        index: step_index("index", wire.index)?,
        title: text("title", wire.title, limits::TITLE_BYTES)?,
        state: words::step_state("state", wire.state)?,
        exit: wire.exit,
        detail: text("detail", wire.detail, limits::DETAIL_BYTES)?,
        output_dropped: wire.output_dropped,
    })
}

fn step_index(field: &'static str, index: u32) -> Result<u32, ConvertError> {
    if index as usize >= limits::STEPS {
        return Err(ConvertError::new(field, format!("{index}; below {}", limits::STEPS)));
    }
    Ok(index)
}

/// More tries than anybody makes are a mistake, and the databases keep 31 bits.
fn attempt(value: u32) -> Result<u32, ConvertError> {
    if (1..=1_000_000).contains(&value) {
        return Ok(value);
    }
    Err(ConvertError::new("attempt", format!("{value}; from 1 to 1,000,000")))
}

fn job_log(wire: v1::JobLog) -> Result<JobLog, ConvertError> {
    if i32::try_from(wire.sequence).is_err() {
        return Err(ConvertError::new("sequence", format!("{}; below 2^31", wire.sequence)));
    }
    Ok(JobLog {
        job: id("job", &wire.job)?,
        attempt: attempt(wire.attempt)?,
        step: step_index("step", wire.step)?,
        sequence: wire.sequence,
        text: text("text", wire.text, limits::LOG_CHUNK_BYTES)?,
        at: time("at", wire.at)?,
    })
}

fn wire_job_log(item: &JobLog) -> v1::JobLog {
    v1::JobLog {
        job: item.job.0.as_bytes().to_vec(),
        attempt: item.attempt,
        step: item.step,
        sequence: item.sequence,
        text: clean(&item.text),
        at: item.at.as_millis(),
    }
}

fn gap(wire: v1::Gap) -> Result<Gap, ConvertError> {
    if i64::try_from(wire.items).is_err() {
        return Err(ConvertError::new("items", format!("at most {}", i64::MAX)));
    }
    Ok(Gap {
        items: wire.items,
        reason: name("reason", wire.reason, limits::FACT_BYTES)?,
        at: time("at", wire.at)?,
    })
}
