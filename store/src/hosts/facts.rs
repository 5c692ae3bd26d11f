//! What agents say of their hosts: facts, state, evidence.

use std::collections::BTreeMap;

use fleetmend_core::evidence::Evidence;
use fleetmend_core::host::{HostFacts, HostState};
use fleetmend_core::ids::HostId;
use fleetmend_core::limits;
use fleetmend_core::overdue::Upkeep;
use fleetmend_core::time::Timestamp;
use fleetmend_core::words::Slug;
use uuid::Uuid;

use crate::backend::{Db, Tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::row::{At, some, time, to_json};
use crate::sql::{ManyRows, chunks, statements};

statements! {
    SET_FACTS = "UPDATE host SET name = $2, os = $3, os_name = $4, os_build = $5, arch = $6, agent_version = $7, \
        boot_id = $8, simulated = $9, last_seen_ms = CASE WHEN last_seen_ms < $10 THEN $10 ELSE last_seen_ms END \
        WHERE id = $1";
    /// A restart of the host begins the wait for the next one anew. What changed gives the host its turn
    /// to be looked at for what is overdue.
    SET_STATE = "UPDATE host SET state = $2, state_ms = $3, ceiling = $4, \
        watch_ms = CASE WHEN upkeep <> $5 OR state_ms IS NULL OR state_ms < lifecycle_ms THEN 0 ELSE watch_ms END, \
        upkeep = $5, proved = $6, roles = $9, \
        reboot_since_ms = CASE WHEN CAST($7 AS BIGINT) = 0 THEN NULL WHEN reboot_since_ms IS NULL OR reboot_since_ms < $8 THEN $3 ELSE reboot_since_ms END \
        WHERE id = $1";
}

/// The latest answer wins, by the host's own clock.
const SAVE_EVIDENCE: ManyRows = ManyRows {
    head: "INSERT INTO evidence (host_id, probe, subject, id, answer, proof, value, at_ms) VALUES",
    columns: 8,
    tail: " ON CONFLICT (host_id, probe, subject) DO UPDATE SET id = excluded.id, answer = excluded.answer, \
        proof = excluded.proof, value = excluded.value, at_ms = excluded.at_ms \
        WHERE excluded.at_ms >= evidence.at_ms",
};

/// The many-rows statements of this file.
#[cfg(test)]
pub(crate) const MANY: &[ManyRows] = &[SAVE_EVIDENCE];

impl Db {
    /// Keeps what an agent said of its host when it connected.
    pub async fn save_facts(&self, host: HostId, facts: &HostFacts, now: Timestamp) -> Result<()> {
        transaction!(self, |tx| {
            let done = run!(
                tx,
                sqlx::query(SET_FACTS)
                    .bind(host.0)
                    .bind(&facts.name)
                    .bind(facts.os.as_str())
                    .bind(&facts.os_name)
                    .bind(&facts.os_build)
                    .bind(&facts.arch)
                    .bind(&facts.agent_version)
                    .bind(&facts.boot_id)
                    .bind(facts.simulated)
                    .bind(now.as_millis())
            )?;
            if done == 0 {
                return Err(StoreError::not_found("host", host));
            }
            Ok(())
        })
    }

    /// Keeps the state that an agent found, whole.
    pub async fn save_state(&self, host: HostId, state: &HostState, now: Timestamp) -> Result<()> {
        transaction!(self, |tx| {
            let at = state.at.unwrap_or(now).min(now);
            // What a wrong clock puts into the future proves nothing.
            let upkeep = Upkeep::of(state).known_by(now.after(limits::CLOCK_SKEW));
            // No boot is known: none began the wait anew.
            let booted = upkeep.booted.map_or(0, |booted| booted.min(at).as_millis());
            let done = run!(
                tx,
                sqlx::query(SET_STATE)
                    .bind(host.0)
                    .bind(to_json(state)?)
                    .bind(at.as_millis())
                    .bind(&state.agent.ceiling)
                    .bind(to_json(&upkeep)?)
                    .bind(upkeep.proves_something())
                    .bind(i64::from(upkeep.reboot.is_some()))
                    .bind(booted)
                    .bind(to_json(&state.roles)?)
            )?;
            if done == 0 {
                return Err(StoreError::not_found("host", host));
            }
            Ok(())
        })
    }
}

/// Keeps the latest answer of each probe about each subject. None is of later than `now`: a host whose
/// clock was ahead is believed again as soon as it is right.
pub(crate) async fn save_evidence(
    tx: &mut Tx,
    found: &[(HostId, &Evidence)],
    now: Timestamp,
) -> Result<()> {
    // One statement must not meet a row twice.
    let mut latest: BTreeMap<(HostId, &Slug, Option<&str>), &Evidence> = BTreeMap::new();
    for (host, evidence) in found {
        let key = (*host, &evidence.probe, evidence.subject.as_deref());
        let kept = latest.entry(key).or_insert(evidence);
        if evidence.at >= kept.at {
            *kept = evidence;
        }
    }
    let latest: Vec<(HostId, &Evidence)> =
        latest.into_iter().map(|((host, ..), evidence)| (host, evidence)).collect();
    for piece in chunks(&latest) {
        let sql = SAVE_EVIDENCE.sql(tx, piece.len());
        run!(tx, {
            let mut query = sqlx::query(sql);
            for (host, evidence) in piece {
                query = query
                    .bind(host.0)
                    .bind(evidence.probe.as_str())
                    .bind(evidence.subject.as_deref().unwrap_or_default())
                    .bind(evidence.id.0)
                    .bind(evidence.answer.as_str())
                    .bind(&evidence.proof)
                    .bind(&evidence.value)
                    .bind(evidence.at.min(now).as_millis());
            }
            query
        })?;
    }
    Ok(())
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct EvidenceRow {
    probe: String,
    subject: String,
    id: Uuid,
    answer: String,
    proof: String,
    value: Option<String>,
    at_ms: i64,
}

impl TryFrom<EvidenceRow> for Evidence {
    type Error = StoreError;
    fn try_from(row: EvidenceRow) -> Result<Self> {
        let at = At { table: "evidence", id: &row.id };
        Ok(Self {
            id: row.id.into(),
            probe: at.word("probe", &row.probe)?,
            subject: some(row.subject),
            answer: at.word("answer", &row.answer)?,
            proof: row.proof,
            value: row.value,
            at: time(row.at_ms),
        })
    }
}
