//! What is done with work for people: asked for, taken, ticked off, written on, done, dropped.

use fleetmend_core::guided::GuidedState;
use fleetmend_core::ids::{GuidedTaskId, HostId, IncidentId, JobId};
use fleetmend_core::time::Timestamp;
use fleetmend_core::{limits, words};
use serde_json::{Value, json};
use uuid::Uuid;

use super::NewGuidedTask;
use crate::audit;
use crate::backend::{Db, Tx, on_tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::incidents::decide::state_of;
use crate::row::At;
use crate::sql::statements;

statements! {
    INCIDENT_HOST = "SELECT host_id FROM incident WHERE id = $1";
    /// One that stands keeps its place; one of this version that a person dropped is not asked for again
    /// by a program.
    STANDS = "SELECT id FROM guided_task WHERE incident_id = $1 AND (ended_ms IS NULL \
        OR ($2 AND state = 'dropped' AND remediation = $3 AND version = $4)) LIMIT 1";
    ADD = "INSERT INTO guided_task (id, incident_id, host_id, cause, remediation, version, state, created_by, created_ms, \
        updated_ms) VALUES ($1, $2, $3, $4, $5, $6, 'open', $7, $8, $8)";
    STATE = "SELECT state, host_id, incident_id FROM guided_task WHERE id = $1";
    TAKE = "UPDATE guided_task SET state = 'doing', assignee = $2, updated_ms = $3 WHERE id = $1";
    START = "UPDATE guided_task SET state = 'doing', assignee = CASE WHEN assignee = '' THEN $2 ELSE assignee END, \
        updated_ms = $3 WHERE id = $1";
    END = "UPDATE guided_task SET state = $2, reason = $3, updated_ms = $4, ended_ms = $4 WHERE id = $1";
    PROVED_BY = "UPDATE guided_task SET job_id = $2 WHERE id = $1";
    TICK = "INSERT INTO guided_tick (task_id, step, ticked_by, at_ms) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (task_id, step) DO NOTHING";
    UNTICK = "DELETE FROM guided_tick WHERE task_id = $1 AND step = $2";
    NOTE = "INSERT INTO guided_note (task_id, number, noted_by, at_ms, text) \
        SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4 FROM guided_note WHERE task_id = $1";
    COUNT_NOTES = "SELECT COUNT(*) FROM guided_note WHERE task_id = $1";
    TOUCH = "UPDATE guided_task SET updated_ms = $2 WHERE id = $1";
    NOT_NEEDED = "SELECT g.id, i.state FROM guided_task g JOIN incident i ON i.id = g.incident_id \
        WHERE g.ended_ms IS NULL AND i.ended_ms IS NOT NULL ORDER BY g.id LIMIT $1";
}

/// Notes on one piece of work, at most.
const NOTES: i64 = 1_000;

/// A piece of work as a change needs it.
#[derive(Debug, Clone, Copy)]
struct Standing {
    state: GuidedState,
    incident: IncidentId,
}

impl Db {
    /// Asks people for work about an incident that stands. `None` where somebody is asked already;
    /// `again` is a person's wish for what people dropped before, which no program asks for again.
    pub async fn open_guided_task(
        &self,
        new: &NewGuidedTask,
        again: bool,
        by: &str,
        now: Timestamp,
    ) -> Result<Option<GuidedTaskId>> {
        transaction!(self, |tx| {
            tx.hold_host_of_incident(new.incident).await?;
            let state = state_of(tx, new.incident).await?;
            if !state.is_open() {
                return Err(StoreError::Conflict(format!(
                    "the incident is {state}: only an open one is worked on"
                )));
            }
            let stands: Option<Uuid> = on_tx!(&mut *tx, |c| sqlx::query_scalar(STANDS)
                .bind(new.incident.0)
                .bind(!again)
                .bind(new.remediation.as_str())
                .bind(i64::from(new.version))
                .fetch_optional(c)
                .await)?;
            if stands.is_some() {
                return Ok(None);
            }
            let host: Uuid = on_tx!(&mut *tx, |c| sqlx::query_scalar(INCIDENT_HOST)
                .bind(new.incident.0)
                .fetch_one(c)
                .await)?;
            run!(
                &mut *tx,
                sqlx::query(ADD)
                    .bind(new.id.0)
                    .bind(new.incident.0)
                    .bind(host)
                    .bind(new.cause.as_str())
                    .bind(new.remediation.as_str())
                    .bind(i64::from(new.version))
                    .bind(by)
                    .bind(now.as_millis())
            )?;
            let detail = json!({
                "incident": new.incident, "host": HostId::from(host), "cause": new.cause,
                "remediation": new.remediation, "version": new.version,
            });
            say(tx, new.id, "guided.create", detail, by, now).await?;
            Ok(Some(new.id))
        })
    }

    /// Gives it to somebody; who has it now has it no more.
    pub async fn take_guided_task(
        &self,
        id: GuidedTaskId,
        assignee: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<()> {
        transaction!(self, |tx| {
            open(tx, id).await?;
            run!(&mut *tx, sqlx::query(TAKE).bind(id.0).bind(assignee).bind(now.as_millis()))?;
            say(tx, id, "guided.take", json!({ "assignee": assignee }), by, now).await
        })
    }

    /// Ticks steps off, and takes ticks back. Who ticks first and has taken nothing, takes it.
    pub async fn tick_guided_task(
        &self,
        id: GuidedTaskId,
        (done, undone): (&[u32], &[u32]),
        (person, by): (&str, &str),
        now: Timestamp,
    ) -> Result<()> {
        let beyond = done.iter().chain(undone).any(|step| *step as usize >= limits::STEPS);
        if beyond {
            return Err(StoreError::Conflict(
                "that step is beyond the last possible one".to_owned(),
            ));
        }
        transaction!(self, |tx| {
            open(tx, id).await?;
            for step in done {
                run!(
                    &mut *tx,
                    sqlx::query(TICK)
                        .bind(id.0)
                        .bind(i64::from(*step))
                        .bind(person)
                        .bind(now.as_millis())
                )?;
            }
            for step in undone {
                run!(&mut *tx, sqlx::query(UNTICK).bind(id.0).bind(i64::from(*step)))?;
            }
            run!(&mut *tx, sqlx::query(START).bind(id.0).bind(person).bind(now.as_millis()))?;
            let detail = json!({ "done": done, "not_done": undone });
            say(tx, id, "guided.tick", detail, by, now).await
        })
    }

    /// Writes on it; also when it is over.
    pub async fn note_guided_task(
        &self,
        id: GuidedTaskId,
        text: &str,
        (person, by): (&str, &str),
        now: Timestamp,
    ) -> Result<()> {
        transaction!(self, |tx| {
            standing(tx, id).await?;
            note(tx, id, text, person, now).await?;
            run!(&mut *tx, sqlx::query(TOUCH).bind(id.0).bind(now.as_millis()))?;
            say(tx, id, "guided.note", json!({ "text": text }), by, now).await
        })
    }

    /// It is done. Whether it helped is asked of an agent, or awaited. Gives its incident.
    pub async fn finish_guided_task(
        &self,
        id: GuidedTaskId,
        by: &str,
        now: Timestamp,
    ) -> Result<IncidentId> {
        transaction!(self, |tx| {
            let task = open(tx, id).await?;
            end(tx, id, GuidedState::Done, "", now).await?;
            say(tx, id, "guided.done", json!({}), by, now).await?;
            Ok(task.incident)
        })
    }

    /// Names the job that is to prove it.
    pub async fn prove_guided_task(&self, id: GuidedTaskId, job: JobId) -> Result<()> {
        transaction!(self, |tx| {
            run!(tx, sqlx::query(PROVED_BY).bind(id.0).bind(job.0))?;
            Ok(())
        })
    }

    /// It is not to be done.
    pub async fn drop_guided_task(
        &self,
        id: GuidedTaskId,
        reason: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<()> {
        transaction!(self, |tx| {
            open(tx, id).await?;
            end(tx, id, GuidedState::Dropped, reason, now).await?;
            say(tx, id, "guided.drop", json!({ "reason": reason }), by, now).await
        })
    }

    /// Drops what is not needed any more: its incident is over.
    pub async fn drop_needless_guided_tasks(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<GuidedTaskId>> {
        transaction!(self, |tx| {
            let rows: Vec<(Uuid, String)> = on_tx!(&mut *tx, |c| sqlx::query_as(NOT_NEEDED)
                .bind(i64::from(limit))
                .fetch_all(c)
                .await)?;
            let mut dropped = Vec::new();
            for (id, state) in rows {
                let id = GuidedTaskId::from(id);
                // Somebody may have ended it since.
                if standing(tx, id).await?.state.is_final() {
                    continue;
                }
                let why = format!("the incident is {state}");
                end(tx, id, GuidedState::Dropped, &why, now).await?;
                say(tx, id, "guided.drop", json!({ "reason": why }), "server", now).await?;
                dropped.push(id);
            }
            Ok(dropped)
        })
    }
}

async fn say(
    tx: &mut Tx,
    id: GuidedTaskId,
    action: &str,
    detail: Value,
    by: &str,
    now: Timestamp,
) -> Result<()> {
    audit::note(tx, (by, now), action, format!("guided task {id}"), detail).await
}

async fn end(
    tx: &mut Tx,
    id: GuidedTaskId,
    to: GuidedState,
    reason: &str,
    now: Timestamp,
) -> Result<()> {
    run!(
        tx,
        sqlx::query(END)
            .bind(id.0)
            .bind(to.as_str())
            .bind(words::cut(reason, limits::DETAIL_BYTES))
            .bind(now.as_millis())
    )?;
    Ok(())
}

async fn note(tx: &mut Tx, id: GuidedTaskId, text: &str, by: &str, now: Timestamp) -> Result<()> {
    let written: i64 =
        on_tx!(&mut *tx, |c| sqlx::query_scalar(COUNT_NOTES).bind(id.0).fetch_one(c).await)?;
    if written >= NOTES {
        return Err(StoreError::Conflict(format!("it has {NOTES} notes, which is the most")));
    }
    run!(
        tx,
        sqlx::query(NOTE)
            .bind(id.0)
            .bind(by)
            .bind(now.as_millis())
            .bind(words::cut(text, limits::DETAIL_BYTES))
    )?;
    Ok(())
}

/// The task, its host held.
async fn standing(tx: &mut Tx, id: GuidedTaskId) -> Result<Standing> {
    let read = async |tx: &mut Tx| -> Result<(String, Uuid, Uuid)> {
        let row: Option<(String, Uuid, Uuid)> =
            on_tx!(tx, |c| sqlx::query_as(STATE).bind(id.0).fetch_optional(c).await)?;
        row.ok_or_else(|| StoreError::not_found("guided task", id))
    };
    let (_, host, _) = read(tx).await?;
    tx.hold_hosts([HostId::from(host)]).await?;
    let (state, _, incident) = read(tx).await?;
    let at = At { table: "guided_task", id: &id };
    Ok(Standing { state: at.word("state", &state)?, incident: incident.into() })
}

/// The same, where it is not over.
async fn open(tx: &mut Tx, id: GuidedTaskId) -> Result<Standing> {
    let task = standing(tx, id).await?;
    if task.state.is_final() {
        return Err(StoreError::Conflict(format!("the work is {} already", task.state)));
    }
    Ok(task)
}
