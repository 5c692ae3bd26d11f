//! A campaign's hosts, counted by how they stand.

use std::collections::BTreeMap;

use fleetmend_core::ids::CampaignId;
use fleetmend_core::job::JobState;
use fleetmend_core::time::Timestamp;

use super::{Stands, silent_at};
use crate::backend::{Db, on_read};
use crate::campaigns::get::missing;
use crate::error::Result;
use crate::row::{At, count, time};
use crate::sql::statements;

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

    /// Every wave of every run, without counts.
    pub(in crate::campaigns) async fn all_waves(
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
    /// Counts hosts.
    pub(in crate::campaigns) fn add(&mut self, stands: Stands, hosts: u64, relapsed: u64) {
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
