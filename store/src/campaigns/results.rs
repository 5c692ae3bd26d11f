//! How a campaign's hosts stand: counted from their jobs, and one by one. Nothing is counted twice, for
//! nothing is kept twice.

use std::collections::BTreeMap;

use fleetmend_core::ids::{CampaignId, HostId, IncidentId, JobId};
use fleetmend_core::job::{JobState, ProofLevel};
use fleetmend_core::time::Timestamp;
use uuid::Uuid;

use super::get::missing;
use crate::backend::{Db, on_read};
use crate::error::{Result, StoreError};
use crate::filter::{Filter, bind_all};
use crate::page::{Cursor, Page, PageRequest};
use crate::row::{At, count, some, time};
use crate::sql::statements;

statements! {
    /// A host whose job the campaign took back waits again, once that is over.
    COUNTS = "SELECT COALESCE(ch.wave, -1) AS wave, CASE WHEN ch.left_out AND ch.job_id IS NULL THEN 'left_out' \
        WHEN j.id IS NULL OR (ch.recalled AND j.ended_ms IS NOT NULL AND j.begun_ms IS NULL) THEN 'waiting' \
        ELSE j.state END AS standing, COUNT(*) AS hosts, CAST(SUM(CASE WHEN j.relapsed_ms IS NULL THEN 0 ELSE 1 END) AS BIGINT) AS relapsed \
        FROM campaign_host ch LEFT JOIN job j ON j.id = ch.job_id WHERE ch.campaign_id = $1 AND ch.run = $2 GROUP BY 1, 2 ORDER BY 1, 2";
    WAVES = "SELECT wave, opened_ms, gate_held_ms FROM campaign_wave WHERE campaign_id = $1 AND run = $2 ORDER BY wave";
    ALL_WAVES = "SELECT run, wave, opened_ms, gate_held_ms FROM campaign_wave WHERE campaign_id = $1 ORDER BY run, wave";
}

/// What [`Row`] is read from.
const HEAD: &str = "SELECT ch.run, ch.position, ch.host_id, h.name, h.simulated, ch.incident_id, ch.wave, ch.job_id, \
    ch.recalled, ch.retries, ch.left_out, ch.left_out_reason, j.task, j.cause, j.remediation, j.version, j.digest, j.state, \
    j.detail, j.proof, j.attempt, j.begun_ms, j.ended_ms, j.relapsed_ms FROM campaign_host ch JOIN host h ON h.id = ch.host_id \
    LEFT JOIN job j ON j.id = ch.job_id";

/// Hosts, by how they stand.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct HostCounts {
    /// All of them.
    pub hosts: u64,
    /// Those that have no job yet.
    pub waiting: u64,
    /// Those that were left out before they had one.
    pub left_out: u64,
    /// Those with a job, by its state's word.
    pub states: BTreeMap<String, u64>,
    /// Those whose failure came back after the fix.
    pub relapsed: u64,
}

/// One opened wave.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct WaveCounts {
    /// The run that it belongs to.
    pub run: u32,
    /// Which, from 0.
    pub wave: u32,
    /// When it was opened.
    pub opened: Timestamp,
    /// When its gate first held.
    pub gate_held: Option<Timestamp>,
    /// Hosts that were started in it.
    pub counts: HostCounts,
}

/// A run's hosts, counted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CampaignCounts {
    /// The run.
    pub run: u32,
    /// All hosts.
    pub all: HostCounts,
    /// By wave, of those that were opened.
    pub waves: Vec<WaveCounts>,
}

/// How one host stands in a run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HostResult {
    /// The run.
    pub run: u32,
    /// Its place in the order, from 0.
    pub position: u64,
    /// The host.
    pub host: HostId,
    /// Its name.
    pub host_name: String,
    /// Whether it is simulated.
    pub simulated: bool,
    /// Its failure.
    pub incident: IncidentId,
    /// The wave it was started in, from 0.
    pub wave: Option<u32>,
    /// Its job.
    pub job: Option<JobId>,
    /// Whether the campaign took that job back before it began.
    pub recalled: bool,
    /// What the job was for: `remediate`, `verify`, `undo`.
    pub task: Option<String>,
    /// The cause acted on.
    pub cause: Option<String>,
    /// The remediation, the last one that was tried.
    pub remediation: Option<String>,
    /// Its version.
    pub version: Option<u32>,
    /// Its digest.
    pub digest: Option<String>,
    /// Where the job stands.
    pub state: Option<JobState>,
    /// Why, in words.
    pub detail: Option<String>,
    /// How the fix was proved.
    pub proof: Option<ProofLevel>,
    /// Tries.
    pub attempts: u32,
    /// When it began.
    pub begun: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// When the failure came back after the fix.
    pub relapsed: Option<Timestamp>,
    /// How often it was put back by a retry.
    pub retries: u32,
    /// Why it was left out.
    pub left_out: Option<String>,
}

/// Which hosts of a campaign are wanted. What is `None` or empty does not filter.
#[derive(Debug, Clone, Default)]
pub struct ResultFilter {
    /// Of this run; of the last one unless given.
    pub run: Option<u32>,
    /// Of this wave.
    pub wave: Option<u32>,
    /// With a job in any of these states.
    pub state: Vec<JobState>,
    /// Only those that have no job yet and were not left out.
    pub waiting: bool,
    /// Only those that were left out.
    pub left_out: bool,
}

impl Db {
    /// A campaign's hosts, counted, of its present or last run.
    pub async fn campaign_counts(&self, id: CampaignId) -> Result<CampaignCounts> {
        let run = self.campaign(id).await?.ok_or_else(|| missing(id))?.run;
        let key = (id.0, i64::from(run));
        let rows: Vec<(i64, String, i64, i64)> =
            on_read!(self, |c| sqlx::query_as(COUNTS).bind(key.0).bind(key.1).fetch_all(c).await)?;
        let waves: Vec<(i64, i64, Option<i64>)> =
            on_read!(self, |c| sqlx::query_as(WAVES).bind(key.0).bind(key.1).fetch_all(c).await)?;
        let mut counts = CampaignCounts { run, all: HostCounts::default(), waves: Vec::new() };
        let at = At { table: "campaign_wave", id: &id };
        for (wave, opened, held) in waves {
            let mut of_wave = HostCounts::default();
            for row in rows.iter().filter(|row| row.0 == wave) {
                of_wave.add(row);
            }
            counts.waves.push(WaveCounts {
                run,
                wave: at.number("wave", wave)?,
                opened: time(opened),
                gate_held: held.map(time),
                counts: of_wave,
            });
        }
        for row in &rows {
            counts.all.add(row);
        }
        Ok(counts)
    }

    /// A campaign's hosts, in the order in which they were taken in.
    pub async fn campaign_results(
        &self,
        id: CampaignId,
        wanted: &ResultFilter,
        page: &PageRequest,
    ) -> Result<Page<HostResult>> {
        let run = match wanted.run {
            Some(run) => run,
            None => self.campaign(id).await?.ok_or_else(|| missing(id))?.run,
        };
        let mut filter = Filter::default();
        filter
            .and("ch.campaign_id = ? AND ch.run = ?", [id.0.into(), i64::from(run).into()])
            .maybe("ch.wave = ?", wanted.wave.map(i64::from))
            .any_of("j.state", wanted.state.iter().map(|s| s.as_str()));
        if wanted.waiting {
            filter.and(
                "ch.left_out = FALSE AND (j.id IS NULL OR (ch.recalled = TRUE AND j.ended_ms IS NOT NULL AND j.begun_ms IS NULL))",
                [],
            );
        }
        if wanted.left_out {
            filter.and("ch.left_out = TRUE", []);
        }
        let total: i64 = on_read!(self, |c| {
            let sql = filter.sql(
                "SELECT COUNT(*) FROM campaign_host ch LEFT JOIN job j ON j.id = ch.job_id",
                "",
            );
            bind_all!(sqlx::query_scalar(sql), filter.args()).fetch_one(c).await
        })?;
        if let Some(cursor) = &page.cursor {
            filter.and("ch.position > ?", [cursor.as_number()?.0.into()]);
        }
        let limit = page.limit();
        let rows: Vec<Row> = on_read!(self, |c| {
            let sql = filter.page_sql(HEAD, " ORDER BY ch.position");
            bind_all!(sqlx::query_as(sql), filter.args()).bind(limit + 1).fetch_all(c).await
        })?;
        let results = rows.into_iter().map(HostResult::try_from).collect::<Result<Vec<_>>>()?;
        let place = |r: &HostResult| crate::row::big(r.position);
        Ok(Page::cut(results, limit, total, |r| Cursor::number(place(r), Uuid::nil())))
    }

    /// Every host of every run.
    pub(super) async fn all_results(&self, id: CampaignId) -> Result<Vec<HostResult>> {
        let mut filter = Filter::default();
        filter.and("ch.campaign_id = ?", [id.0.into()]);
        let rows: Vec<Row> = on_read!(self, |c| {
            let sql = filter.sql(HEAD, " ORDER BY ch.run, ch.position");
            bind_all!(sqlx::query_as(sql), filter.args()).fetch_all(c).await
        })?;
        rows.into_iter().map(HostResult::try_from).collect()
    }

    /// Every wave of every run, without counts.
    pub(super) async fn all_waves(
        &self,
        id: CampaignId,
    ) -> Result<Vec<(u32, u32, Timestamp, Option<Timestamp>)>> {
        let rows: Vec<(i64, i64, i64, Option<i64>)> =
            on_read!(self, |c| sqlx::query_as(ALL_WAVES).bind(id.0).fetch_all(c).await)?;
        let at = At { table: "campaign_wave", id: &id };
        let read = |(run, wave, opened, held): (i64, i64, i64, Option<i64>)| {
            Ok((at.number("run", run)?, at.number("wave", wave)?, time(opened), held.map(time)))
        };
        rows.into_iter().map(read).collect()
    }
}

impl HostCounts {
    /// Counts one host, by the same rule.
    pub(super) fn add_one(&mut self, host: &HostResult) {
        let waits =
            host.job.is_none() || (host.recalled && host.ended.is_some() && host.begun.is_none());
        let standing = match host.state {
            _ if host.job.is_none() && host.left_out.is_some() => "left_out",
            Some(state) if !waits => state.as_str(),
            _ => "waiting",
        };
        let relapsed = i64::from(host.relapsed.is_some());
        self.add(&(0, standing.to_owned(), 1, relapsed));
    }

    fn add(&mut self, (_, standing, hosts, relapsed): &(i64, String, i64, i64)) {
        let hosts = count(*hosts);
        self.hosts += hosts;
        self.relapsed += count(*relapsed);
        match standing.as_str() {
            "waiting" => self.waiting += hosts,
            "left_out" => self.left_out += hosts,
            state => *self.states.entry(state.to_owned()).or_default() += hosts,
        }
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    run: i64,
    position: i64,
    host_id: Uuid,
    name: String,
    simulated: bool,
    incident_id: Uuid,
    wave: Option<i64>,
    job_id: Option<Uuid>,
    recalled: bool,
    retries: i64,
    left_out: bool,
    left_out_reason: String,
    task: Option<String>,
    cause: Option<String>,
    remediation: Option<String>,
    version: Option<i64>,
    digest: Option<String>,
    state: Option<String>,
    detail: Option<String>,
    proof: Option<String>,
    attempt: Option<i64>,
    begun_ms: Option<i64>,
    ended_ms: Option<i64>,
    relapsed_ms: Option<i64>,
}

impl TryFrom<Row> for HostResult {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self> {
        let at = At { table: "campaign_host", id: &row.host_id };
        Ok(Self {
            run: at.number("run", row.run)?,
            position: count(row.position),
            host: row.host_id.into(),
            host_name: row.name,
            simulated: row.simulated,
            incident: row.incident_id.into(),
            wave: row.wave.map(|wave| at.number("wave", wave)).transpose()?,
            job: row.job_id.map(Into::into),
            recalled: row.recalled,
            task: row.task,
            cause: row.cause.and_then(some),
            remediation: row.remediation,
            version: row.version.map(|version| at.number("version", version)).transpose()?,
            digest: row.digest,
            state: row.state.map(|state| at.word("state", &state)).transpose()?,
            detail: row.detail.and_then(some),
            proof: at.maybe("proof", row.proof.as_deref().unwrap_or_default())?,
            attempts: at.number("attempt", row.attempt.unwrap_or(0))?,
            begun: row.begun_ms.map(time),
            ended: row.ended_ms.map(time),
            relapsed: row.relapsed_ms.map(time),
            retries: at.number("retries", row.retries)?,
            left_out: row.left_out.then_some(row.left_out_reason),
        })
    }
}
