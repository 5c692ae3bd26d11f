//! A campaign's hosts, one by one.

use std::collections::BTreeMap;

use fleetmend_core::ids::{CampaignId, HostId, IncidentId, JobId};
use fleetmend_core::job::{JobState, ProofLevel};
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use uuid::Uuid;

use super::{Stands, silent_at};
use crate::backend::{Db, on_read};
use crate::campaigns::Campaign;
use crate::campaigns::get::missing;
use crate::error::Result;
use crate::filter::{Filter, bind_all};
use crate::page::{Cursor, Page, PageRequest};
use crate::row::{At, count, some, time};

/// What [`Row`] is read from. `$1` is the filter's first value.
const HEAD: &str = concat!(
    "SELECT ch.run, ch.position, ch.host_id, h.name, h.simulated, ch.incident_id, ch.wave, ch.job_id, \
    ch.recalled, ch.retries, ch.left_out, ch.left_out_reason, j.task, j.cause, j.remediation, j.version, j.digest, j.state, \
    j.detail, j.proof, j.attempt, j.begun_ms, j.ended_ms, j.relapsed_ms, ",
    stands!("$1"),
    " AS standing FROM campaign_host ch JOIN host h ON h.id = ch.host_id LEFT JOIN job j ON j.id = ch.job_id"
);

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
    /// How it stands.
    pub stands: Stands,
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
    /// Why it waits, where that is its own reason.
    pub waits_for: Option<String>,
}

/// Which hosts of a campaign are wanted. What is `None` or empty does not filter.
#[derive(Debug, Clone, Default)]
pub struct ResultFilter {
    /// Of this run; of the last one unless given.
    pub run: Option<u32>,
    /// Of this wave.
    pub wave: Option<u32>,
    /// That stand so.
    pub stands: Vec<Stands>,
}

impl Db {
    /// A campaign's hosts, in the order in which they were taken in.
    pub async fn campaign_results(
        &self,
        id: CampaignId,
        wanted: &ResultFilter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<HostResult>> {
        let campaign = self.campaign(id).await?.ok_or_else(|| missing(id))?;
        let run = wanted.run.unwrap_or(campaign.run);
        let over = campaign.state.is_final() || run < campaign.run;
        let words = wanted.stands.iter().flat_map(|stands| match stands {
            Stands::Job(JobState::NotReached) if over => vec!["not_reached", "waiting"],
            // Nobody waits any more.
            Stands::Waiting if over => vec!["none"],
            other => vec![other.as_str()],
        });
        let mut filter = Filter::default();
        filter
            .and("CAST(? AS BIGINT) IS NOT NULL", [silent_at(now).into()])
            .and("ch.campaign_id = ? AND ch.run = ?", [id.0.into(), i64::from(run).into()])
            .maybe("ch.wave = ?", wanted.wave.map(i64::from))
            .any_of(stands!("$1"), words);
        let total: i64 = on_read!(self, |c| {
            let sql = filter.sql(
                "SELECT COUNT(*) FROM campaign_host ch JOIN host h ON h.id = ch.host_id LEFT JOIN job j ON j.id = ch.job_id",
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
        let results = rows.into_iter().map(|row| row.read(over)).collect::<Result<Vec<_>>>()?;
        let place = |r: &HostResult| crate::row::big(r.position);
        Ok(Page::cut(results, limit, total, |r| Cursor::number(place(r), Uuid::nil())))
    }

    /// The failures for which these hosts are in a campaign's present run.
    pub async fn campaign_incidents(
        &self,
        campaign: &Campaign,
        hosts: &[HostId],
    ) -> Result<BTreeMap<HostId, IncidentId>> {
        let mut found = BTreeMap::new();
        for piece in hosts.chunks(limits::CAMPAIGN_STEP_JOBS) {
            let mut filter = Filter::default();
            filter
                .and(
                    "campaign_id = ? AND run = ? AND left_out = FALSE",
                    [campaign.id.0.into(), i64::from(campaign.run).into()],
                )
                .any_id("host_id", piece.iter().map(|host| host.0));
            let rows: Vec<(Uuid, Uuid)> = on_read!(self, |c| {
                let sql = filter.sql("SELECT host_id, incident_id FROM campaign_host", "");
                bind_all!(sqlx::query_as(sql), filter.args()).fetch_all(c).await
            })?;
            let pair = |(host, of)| (HostId::from(host), IncidentId::from(of));
            found.extend(rows.into_iter().map(pair));
        }
        Ok(found)
    }

    /// Every host of every run.
    pub(in crate::campaigns) async fn all_results(
        &self,
        campaign: &Campaign,
        now: Timestamp,
    ) -> Result<Vec<HostResult>> {
        let mut filter = Filter::default();
        filter
            .and("CAST(? AS BIGINT) IS NOT NULL", [silent_at(now).into()])
            .and("ch.campaign_id = ?", [campaign.id.0.into()]);
        let rows: Vec<Row> = on_read!(self, |c| {
            let sql = filter.sql(HEAD, " ORDER BY ch.run, ch.position");
            bind_all!(sqlx::query_as(sql), filter.args()).fetch_all(c).await
        })?;
        let (run, ended) = (i64::from(campaign.run), campaign.state.is_final());
        rows.into_iter()
            .map(|row| {
                let over = ended || row.run < run;
                row.read(over)
            })
            .collect()
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
    standing: String,
}

impl Row {
    fn read(self, over: bool) -> Result<HostResult> {
        let row = self;
        let at = At { table: "campaign_host", id: &row.host_id };
        let stands: Stands = at.word("standing", &row.standing)?;
        Ok(HostResult {
            stands: stands.at_end(over),
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
            waits_for: some(row.left_out_reason.clone()).filter(|_| !row.left_out),
            left_out: row.left_out.then_some(row.left_out_reason),
        })
    }
}
