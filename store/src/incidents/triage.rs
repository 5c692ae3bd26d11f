//! What waits for a verdict, and the verdicts. Each news raises `triage_wanted`; a verdict sets
//! `triage_done` to what it saw, so news that came meanwhile are judged again.

use fleetmend_core::ids::HostId;
use fleetmend_core::triage::Verdict;
use uuid::Uuid;

use super::get::key;
use super::{ToTriage, TriageRevision};
use crate::backend::{Db, Tx, on_read, run, transaction};
use crate::error::Result;
use crate::row::{At, to_json};
use crate::sql::{ManyRows, chunks, statements};

statements! {
    WAITING = "SELECT id, host_id, product, operation, code, subject, update_class, triage_wanted FROM incident \
        WHERE triage_wanted > triage_done AND ended_ms IS NULL ORDER BY id LIMIT $1";
    SAVE = "UPDATE incident SET triage_done = $2, verdict = $3, cause = $4, share = $5, certainty = $6 \
        WHERE id = $1 AND triage_done < $2";
    LIVE_HOSTS = "SELECT DISTINCT host_id FROM incident WHERE ended_ms IS NULL AND host_id > $1 ORDER BY host_id LIMIT 500";
    SETTING = "SELECT value FROM setting WHERE name = $1";
    SET_SETTING = "INSERT INTO setting (name, value) VALUES ($1, $2) \
        ON CONFLICT (name) DO UPDATE SET value = excluded.value";
}

const WANT_OF_HOSTS: ManyRows = ManyRows {
    head: "WITH k (host_id) AS (VALUES",
    columns: 1,
    tail: ") UPDATE incident SET triage_wanted = incident.triage_wanted + 1 FROM k \
        WHERE incident.host_id = k.host_id AND incident.ended_ms IS NULL",
};

/// The many-rows statements of this file.
#[cfg(test)]
pub(crate) const MANY: &[ManyRows] = &[WANT_OF_HOSTS];

/// The setting that names the catalogue which judged the incidents.
const CATALOGUE: &str = "triage.catalogue";

impl Db {
    /// Incidents that wait for a verdict, the oldest first.
    pub async fn incidents_to_triage(&self, limit: u32) -> Result<Vec<ToTriage>> {
        let rows: Vec<Row> =
            on_read!(self, |c| sqlx::query_as(WAITING).bind(i64::from(limit)).fetch_all(c).await)?;
        let one = |row: Row| {
            let at = At { table: "incident", id: &row.id };
            Ok(ToTriage {
                id: row.id.into(),
                host: row.host_id.into(),
                key: key(at, &row.product, &row.operation, &row.code, row.subject)?,
                update_class: at.maybe("update_class", &row.update_class)?,
                revision: TriageRevision(row.triage_wanted),
            })
        };
        rows.into_iter().map(one).collect()
    }

    /// Keeps a verdict. False where a later one was kept before.
    pub async fn save_verdict(&self, judged: &ToTriage, verdict: &Verdict) -> Result<bool> {
        let first = verdict.first();
        let cause = first.and_then(|c| c.cause.as_ref()).map_or("", |slug| slug.as_str());
        transaction!(self, |tx| {
            let kept = run!(
                tx,
                sqlx::query(SAVE)
                    .bind(judged.id.0)
                    .bind(judged.revision.0)
                    .bind(to_json(verdict)?)
                    .bind(cause)
                    .bind(first.map_or(0.0, |c| c.share))
                    .bind(first.map_or("", |c| c.certainty.as_str()))
            )?;
            Ok(kept > 0)
        })
    }

    /// Has every live incident judged again where `catalogue` is not the version that judged them;
    /// says how many.
    pub async fn triage_all_again(&self, catalogue: &str) -> Result<u64> {
        let before: Option<String> = on_read!(self, |c| sqlx::query_scalar(SETTING)
            .bind(CATALOGUE)
            .fetch_optional(c)
            .await)?;
        if before.as_deref() == Some(catalogue) {
            return Ok(0);
        }
        // Some hosts at a time: the writers between them go on. Cut short, it begins anew.
        let (mut last, mut wanted) = (Uuid::nil(), 0);
        loop {
            let hosts: Vec<Uuid> =
                on_read!(self, |c| sqlx::query_scalar(LIVE_HOSTS).bind(last).fetch_all(c).await)?;
            let Some(end) = hosts.last().copied() else { break };
            let hosts: Vec<HostId> = hosts.into_iter().map(HostId::from).collect();
            wanted += transaction!(self, |tx| {
                tx.hold_hosts(hosts.iter().copied()).await?;
                want_triage_of(tx, &hosts).await
            })?;
            last = end;
        }
        transaction!(self, |tx| { set_setting(tx, CATALOGUE, catalogue).await })?;
        Ok(wanted)
    }
}

/// Keeps a single value.
pub(super) async fn set_setting(tx: &mut Tx, name: &str, value: &str) -> Result<()> {
    run!(tx, sqlx::query(SET_SETTING).bind(name).bind(value))?;
    Ok(())
}

/// New evidence on a host may bear on every live incident of it. No host twice. Says how many wait.
pub(crate) async fn want_triage_of(tx: &mut Tx, hosts: &[HostId]) -> Result<u64> {
    let mut wanted = 0;
    for piece in chunks(hosts) {
        let sql = WANT_OF_HOSTS.sql(tx, piece.len());
        wanted += run!(&mut *tx, {
            let mut query = sqlx::query(sql);
            for host in piece {
                query = query.bind(host.0);
            }
            query
        })?;
    }
    Ok(wanted)
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Uuid,
    host_id: Uuid,
    product: String,
    operation: String,
    code: String,
    subject: String,
    update_class: String,
    triage_wanted: i64,
}
