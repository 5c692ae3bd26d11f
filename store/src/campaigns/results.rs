//! How a campaign's hosts stand: counted from their jobs, and one by one. Nothing is counted twice, for
//! nothing is kept twice.

use std::collections::BTreeMap;

use fleetmend_core::campaign::Outcome;
use fleetmend_core::ids::{CampaignId, HostId, IncidentId, JobId};
use fleetmend_core::job::{JobState, ProofLevel};
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use uuid::Uuid;

use super::Campaign;
use super::get::missing;
use crate::backend::{Db, on_read};
use crate::error::Result;
use crate::filter::{Filter, bind_all};
use crate::page::{Cursor, Page, PageRequest};
use crate::row::{At, count, some, time};
use crate::sql::statements;

/// How a host stands, by the rules of the core's `HostStanding::outcome`; `$cut` is the last moment at
/// which one that is silent was heard of. The campaign is over or is not: that is for the reader to say.
macro_rules! stands {
    ($cut:literal) => {
        concat!(
            "CASE WHEN NOT ch.left_out AND (ch.job_id IS NULL OR (j.begun_ms IS NULL AND (j.state = 'not_reached' \
                OR (j.state = 'cancelled' AND ch.recalled)))) THEN 'waiting' \
             WHEN ch.job_id IS NULL THEN 'left_out' \
             WHEN j.ended_ms IS NULL AND h.last_seen_ms <= ",
            $cut,
            " AND j.state_ms <= ",
            $cut,
            " AND (j.state IN ('running', 'rebooting') OR ((j.state IN ('reboot_pending', 'verifying') OR j.begun_ms IS NOT NULL) \
                AND h.last_seen_ms - j.state_ms < 900000)) THEN 'silent' \
             ELSE COALESCE(j.state, 'queued') END"
        )
    };
}

statements! {
    /// A job that waits between two tries has begun.
    COUNTS = concat!("SELECT ch.wave, ", stands!("$3"), " AS standing, j.state, \
        (j.ended_ms IS NULL AND j.begun_ms IS NOT NULL) AS mid, COUNT(*) AS hosts, \
        CAST(SUM(CASE WHEN j.relapsed_ms IS NULL THEN 0 ELSE 1 END) AS BIGINT) AS relapsed \
        FROM campaign_host ch JOIN host h ON h.id = ch.host_id LEFT JOIN job j ON j.id = ch.job_id \
        WHERE ch.campaign_id = $1 AND ch.run = $2 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4");
    WAVES = "SELECT wave, opened_ms, gate_held_ms FROM campaign_wave WHERE campaign_id = $1 AND run = $2 ORDER BY wave";
    ALL_WAVES = "SELECT run, wave, opened_ms, gate_held_ms FROM campaign_wave WHERE campaign_id = $1 ORDER BY run, wave";
}

/// What [`Row`] is read from. `$1` is the filter's first value.
const HEAD: &str = concat!(
    "SELECT ch.run, ch.position, ch.host_id, h.name, h.simulated, ch.incident_id, ch.wave, ch.job_id, \
    ch.recalled, ch.retries, ch.left_out, ch.left_out_reason, j.task, j.cause, j.remediation, j.version, j.digest, j.state, \
    j.detail, j.proof, j.attempt, j.begun_ms, j.ended_ms, j.relapsed_ms, ",
    stands!("$1"),
    " AS standing FROM campaign_host ch JOIN host h ON h.id = ch.host_id LEFT JOIN job j ON j.id = ch.job_id"
);

/// How a host stands in a run, by the same words everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// Has no job, or one that never began and that it may have again.
    Waiting,
    /// Was left out before it had a job.
    LeftOut,
    /// Its job began, and it was not heard of since.
    Silent,
    /// As its job does.
    Job(JobState),
}

impl Stands {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::LeftOut => "left_out",
            Self::Silent => "silent",
            Self::Job(state) => state.as_str(),
        }
    }

    /// As the core counts it.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Waiting => Outcome::Waiting,
            Self::LeftOut => Outcome::Excluded,
            Self::Silent => Outcome::Silent,
            Self::Job(state) => state.into(),
        }
    }

    /// The same where the run is over: who waits then is not reached any more.
    const fn at_end(self, over: bool) -> Self {
        match self {
            Self::Waiting if over => Self::Job(JobState::NotReached),
            other => other,
        }
    }
}

impl std::str::FromStr for Stands {
    type Err = fleetmend_core::words::UnknownWord;
    fn from_str(word: &str) -> std::result::Result<Self, Self::Err> {
        Ok(match word {
            "waiting" => Self::Waiting,
            "left_out" => Self::LeftOut,
            "silent" => Self::Silent,
            state => Self::Job(state.parse()?),
        })
    }
}

impl serde::Serialize for Stands {
    fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// Hosts, by how they stand.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct HostCounts {
    /// All of them.
    pub hosts: u64,
    /// Those that have no job yet, while the run goes on.
    pub waiting: u64,
    /// Those that were left out before they had one.
    pub left_out: u64,
    /// The others, by the word of how they stand: *silent*, or their job's state.
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
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct CampaignCounts {
    /// The run.
    pub run: u32,
    /// All hosts.
    pub all: HostCounts,
    /// By wave, of those that were opened.
    pub waves: Vec<WaveCounts>,
    /// All hosts again, told apart by all that gates and thresholds count.
    pub groups: Vec<HostGroup>,
}

/// Hosts of a run that stand alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct HostGroup {
    /// The wave they were started in, from 0.
    pub wave: Option<u32>,
    /// How they stand.
    pub stands: Stands,
    /// Where their jobs stand; `None` where they wait for one, or have none.
    pub state: Option<JobState>,
    /// Whether their agents began.
    pub begun: bool,
    /// How many.
    pub hosts: u64,
    /// Those whose failure came back after the fix.
    pub relapsed: u64,
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
    /// A campaign's hosts, counted, of its present or last run.
    pub async fn campaign_counts(&self, id: CampaignId, now: Timestamp) -> Result<CampaignCounts> {
        let campaign = self.campaign(id).await?.ok_or_else(|| missing(id))?;
        let (run, over) = (campaign.run, campaign.state.is_final());
        let key = (id.0, i64::from(run));
        let rows: Vec<GroupRow> = on_read!(self, |c| sqlx::query_as(COUNTS)
            .bind(key.0)
            .bind(key.1)
            .bind(silent_at(now))
            .fetch_all(c)
            .await)?;
        let waves: Vec<(i64, i64, Option<i64>)> =
            on_read!(self, |c| sqlx::query_as(WAVES).bind(key.0).bind(key.1).fetch_all(c).await)?;
        let at = At { table: "campaign_host", id: &id };
        let groups = rows.into_iter().map(|row| row.read(at, over)).collect::<Result<Vec<_>>>()?;
        let mut counts = CampaignCounts { run, groups, ..CampaignCounts::default() };
        for (wave, opened, held) in waves {
            let wave = at.number("wave", wave)?;
            let mut of_wave = HostCounts::default();
            for group in counts.groups.iter().filter(|group| group.wave == Some(wave)) {
                of_wave.add(group.stands, group.hosts, group.relapsed);
            }
            counts.waves.push(WaveCounts {
                run,
                wave,
                opened: time(opened),
                gate_held: held.map(time),
                counts: of_wave,
            });
        }
        for group in &counts.groups {
            counts.all.add(group.stands, group.hosts, group.relapsed);
        }
        Ok(counts)
    }

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
    pub(super) async fn all_results(
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

/// Who was heard of last at this moment or before is silent.
fn silent_at(now: Timestamp) -> i64 {
    let silence = i64::try_from(limits::SILENT_AFTER.as_millis()).unwrap_or(i64::MAX);
    now.as_millis().saturating_sub(silence)
}

impl HostCounts {
    /// Counts hosts.
    pub(super) fn add(&mut self, stands: Stands, hosts: u64, relapsed: u64) {
        self.hosts += hosts;
        self.relapsed += relapsed;
        match stands {
            Stands::Waiting => self.waiting += hosts,
            Stands::LeftOut => self.left_out += hosts,
            other => *self.states.entry(other.as_str().to_owned()).or_default() += hosts,
        }
    }
}

#[derive(Debug, sqlx::FromRow)]
struct GroupRow {
    wave: Option<i64>,
    standing: String,
    state: Option<String>,
    mid: bool,
    hosts: i64,
    relapsed: i64,
}

impl GroupRow {
    fn read(self, at: At<'_>, over: bool) -> Result<HostGroup> {
        let stands: Stands = at.word("standing", &self.standing)?;
        let state: Option<JobState> =
            self.state.map(|state| at.word("state", &state)).transpose()?;
        let state = state.filter(|_| !matches!(stands, Stands::Waiting | Stands::LeftOut));
        Ok(HostGroup {
            wave: self.wave.map(|wave| at.number("wave", wave)).transpose()?,
            stands: stands.at_end(over),
            state,
            begun: state.is_some_and(|state| state.has_begun() || self.mid),
            hosts: count(self.hosts),
            relapsed: count(self.relapsed),
        })
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
