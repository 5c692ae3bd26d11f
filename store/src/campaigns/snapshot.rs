//! How a campaign stands, as `advance` wants it: a few statements, however many hosts it has.

use std::collections::BTreeMap;

use fleetmend_core::campaign::{Aim, Between, FreezeSpan, HostStanding, Snapshot, WaveStanding};
use fleetmend_core::host::Lifecycle;
use fleetmend_core::ids::{CampaignId, HostId};
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use uuid::Uuid;

use super::Campaign;
use super::get::missing;
use crate::backend::{Db, on_read};
use crate::error::Result;
use crate::incidents::overdue::overdue_codes;
use crate::row::{At, time};
use crate::sql::statements;

statements! {
    WAVES = "SELECT opened_ms, gate_held_ms FROM campaign_wave WHERE campaign_id = $1 AND run = $2 ORDER BY wave";
    /// A failure of the host that was not there when the job began, other than the job's own, and was
    /// there within a day of its end, is a regression. What is overdue stands apart: no job makes a host
    /// miss a backup at once. What rules most out stands first: it is asked for each host that began.
    HOSTS = concat!("SELECT ch.host_id, ch.wave, ch.job_id, ch.recalled, ch.left_out, h.labels, h.lifecycle, h.last_seen_ms, \
        i.cause, j.state, j.state_ms, j.remediation, \
        j.plan_wanted, j.place_wanted, j.not_before_ms, j.begun_ms, j.ended_ms, j.relapsed_ms, a.id AS active, v.id AS verifying, \
        CASE WHEN j.begun_ms IS NULL THEN NULL ELSE (SELECT MIN(x.opened_ms) FROM incident x WHERE x.host_id = ch.host_id \
            AND x.ended_ms IS NULL AND x.first_seen_ms > j.begun_ms AND x.state <> 'ignored' \
            AND x.code NOT IN ", overdue_codes!(), " \
            AND x.opened_ms < COALESCE(j.ended_ms, $3) + 86400000 AND x.id <> ch.incident_id \
            AND COALESCE(x.previous_id, x.id) <> ch.incident_id) END AS regressed_ms \
        FROM campaign_host ch JOIN host h ON h.id = ch.host_id LEFT JOIN incident i ON i.id = ch.incident_id \
        LEFT JOIN job j ON j.id = ch.job_id \
        LEFT JOIN job a ON a.host_id = ch.host_id AND a.ended_ms IS NULL AND a.state <> 'verifying' \
        LEFT JOIN job v ON v.incident_id = ch.incident_id AND v.ended_ms IS NULL \
        WHERE ch.campaign_id = $1 AND ch.run = $2 ORDER BY ch.position");
    JUST_STARTED = "SELECT COUNT(*) FROM job WHERE campaign_id = $1 AND created_ms > $2";
    /// What others have in flight, by a label and what runs. What waits between two tries for a place of its
    /// own campaign has none.
    OTHERS = "SELECT COALESCE(l.value, '') AS value, j.remediation, COUNT(*) AS jobs FROM job j \
        LEFT JOIN host_label l ON l.host_id = j.host_id AND l.key = $2 \
        WHERE j.ended_ms IS NULL AND j.state <> 'verifying' AND (j.campaign_id IS NULL OR (j.campaign_id <> $1 AND NOT j.plan_wanted AND NOT j.place_wanted)) \
        GROUP BY 1, 2";
    /// Hosts by a label that may be down after the last job that began on them, where it is no part of this
    /// run: it ended in error and its failure is still there, or the host is away since. One that was put
    /// out of service is nobody's member any more.
    DOWN = "SELECT l.value, l.host_id, h.last_seen_ms, CASE WHEN (j.state IN ('timed_out', 'unknown') \
            OR (j.state = 'failed' AND j.task <> 'verify')) AND (j.task = 'undo' OR i.id IS NOT NULL) THEN j.ended_ms END AS error_ms \
        FROM host_label l JOIN host h ON h.id = l.host_id JOIN job j ON j.host_id = l.host_id \
        LEFT JOIN incident i ON i.id = j.incident_id AND i.ended_ms IS NULL AND i.state <> 'ignored' \
        WHERE l.key = $2 AND h.lifecycle NOT IN ('retired', 'revoked') AND j.created_ms > $4 AND j.begun_ms IS NOT NULL \
        AND (j.campaign_id IS NULL OR j.campaign_id <> $1 OR j.created_ms < $3) AND (j.ended_ms IS NOT NULL OR j.state = 'verifying') \
        AND NOT EXISTS (SELECT 1 FROM job n WHERE n.host_id = j.host_id AND n.created_ms > j.created_ms AND n.begun_ms > j.begun_ms) \
        AND (j.state IN ('timed_out', 'unknown', 'failed') OR h.last_seen_ms <= $5)";
    HALTED = "SELECT COUNT(*) FROM setting WHERE name = 'halt'";
}

/// How far ahead freezes are told.
const FREEZES_AHEAD: std::time::Duration = std::time::Duration::from_hours(62 * 24);

/// What comes next on a host, for those who know what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextWork<'a> {
    /// This remediation: it is at work.
    Remediation(&'a str),
    /// Whatever is chosen against this cause; the empty text where none leads.
    Cause(&'a str),
}

/// A campaign with the snapshot of its present run.
#[derive(Debug, Clone, PartialEq)]
pub struct CampaignLook {
    /// The campaign; its revision is what the next step is bound to.
    pub campaign: Campaign,
    /// How it stands. Whether the fleet is halted by other means than the database is for the caller to
    /// add.
    pub snapshot: Snapshot,
}

impl Db {
    /// How a campaign stands now. `costs_network` tells of what comes next on a host whether it costs
    /// the network.
    pub async fn campaign_snapshot(
        &self,
        id: CampaignId,
        costs_network: &(dyn Fn(NextWork<'_>) -> bool + Sync),
        now: Timestamp,
    ) -> Result<CampaignLook> {
        // First the campaign: what changes it meanwhile changes its revision.
        let campaign = self.campaign(id).await?.ok_or_else(|| missing(id))?;
        let run = i64::from(campaign.run);
        let waves: Vec<(i64, Option<i64>)> =
            on_read!(self, |c| sqlx::query_as(WAVES).bind(id.0).bind(run).fetch_all(c).await)?;
        let rows: Vec<Row> = on_read!(self, |c| sqlx::query_as(HOSTS)
            .bind(id.0)
            .bind(run)
            .bind(now.as_millis())
            .fetch_all(c)
            .await)?;
        // Neighbours mostly have the same causes and remediations.
        let mut known = BTreeMap::new();
        let mut costs =
            |what: NextWork<'_>| *known.entry(key_of(what)).or_insert_with(|| costs_network(what));
        let hosts = rows.into_iter().map(|row| row.read(&mut costs, now));
        let hosts = hosts.collect::<Result<Vec<_>>>()?;
        let pace = &campaign.definition.pace;
        let (mut sites_at_work, mut sites_busy) = (BTreeMap::new(), BTreeMap::new());
        for (site, remediation, jobs) in self.others(id, &pace.site_label).await? {
            let jobs = u32::try_from(jobs).unwrap_or(u32::MAX);
            if costs(NextWork::Remediation(&remediation)) {
                *sites_busy.entry(site.clone()).or_default() += jobs;
            }
            *sites_at_work.entry(site).or_default() += jobs;
        }
        let groups_busy = match &pace.group_label {
            Some(label) => {
                let others = self.others(id, label).await?;
                others.into_iter().map(|(value, ..)| value).filter(|v| !v.is_empty()).collect()
            }
            None => std::collections::BTreeSet::new(),
        };
        let groups_down = self.groups_down(&campaign, now).await?;
        let since = now.as_millis() - 60_000;
        let started: i64 = on_read!(self, |c| sqlx::query_scalar(JUST_STARTED)
            .bind(id.0)
            .bind(since)
            .fetch_one(c)
            .await)?;
        let halted: i64 = on_read!(self, |c| sqlx::query_scalar(HALTED).fetch_one(c).await)?;
        let snapshot = Snapshot {
            definition: campaign.definition.clone(),
            aim: Aim::of(&campaign.definition, campaign.undoes.is_some()),
            state: campaign.state,
            state_since: campaign.state_since,
            started: campaign.started,
            halted: halted > 0,
            freezes: self.freeze_spans(now).await?,
            waves: waves
                .into_iter()
                .map(|(opened, held)| WaveStanding {
                    opened: time(opened),
                    gate_held: held.map(time),
                })
                .collect(),
            hosts,
            started_last_minute: u32::try_from(started).unwrap_or(u32::MAX),
            groups_busy,
            groups_down,
            sites_at_work,
            sites_busy,
        };
        Ok(CampaignLook { campaign, snapshot })
    }

    async fn others(&self, id: CampaignId, label: &str) -> Result<Vec<(String, String, i64)>> {
        let rows =
            on_read!(self, |c| sqlx::query_as(OTHERS).bind(id.0).bind(label).fetch_all(c).await)?;
        Ok(rows)
    }

    /// Hosts by their group that may be down after what is no part of the campaign's run, and since when.
    async fn groups_down(
        &self,
        campaign: &Campaign,
        now: Timestamp,
    ) -> Result<BTreeMap<String, BTreeMap<HostId, Timestamp>>> {
        let mut groups: BTreeMap<String, BTreeMap<HostId, Timestamp>> = BTreeMap::new();
        let Some(label) = &campaign.definition.pace.group_label else { return Ok(groups) };
        let began = campaign.started.unwrap_or(now);
        let away = now.before(limits::SILENT_AFTER);
        let rows: Vec<(String, Uuid, i64, Option<i64>)> = on_read!(self, |c| sqlx::query_as(DOWN)
            .bind(campaign.id.0)
            .bind(label)
            .bind(began.as_millis())
            .bind(now.before(limits::GROUP_HELD).as_millis())
            .bind(away.as_millis())
            .fetch_all(c)
            .await)?;
        for (group, host, last_seen, error) in rows {
            let last_seen = time(last_seen);
            let gone = (last_seen <= away).then(|| last_seen.after(limits::SILENT_AFTER));
            if let Some(since) = gone.max(error.map(time)) {
                groups.entry(group).or_default().insert(host.into(), since);
            }
        }
        Ok(groups)
    }

    /// The freezes that hold now or soon.
    pub async fn freeze_spans(&self, now: Timestamp) -> Result<Vec<FreezeSpan>> {
        let mut spans = Vec::new();
        for freeze in self.freezes().await? {
            let at = At { table: "change_freeze", id: &freeze.id };
            let found = freeze.rule.spans(now, now.after(FREEZES_AHEAD));
            spans.extend(found.map_err(|e| at.bad("definition", e))?);
        }
        Ok(spans)
    }
}

fn key_of(what: NextWork<'_>) -> (bool, String) {
    match what {
        NextWork::Remediation(name) => (true, name.to_owned()),
        NextWork::Cause(name) => (false, name.to_owned()),
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    host_id: Uuid,
    wave: Option<i64>,
    job_id: Option<Uuid>,
    recalled: bool,
    left_out: bool,
    labels: String,
    lifecycle: String,
    last_seen_ms: i64,
    cause: Option<String>,
    state: Option<String>,
    state_ms: Option<i64>,
    remediation: Option<String>,
    plan_wanted: Option<bool>,
    place_wanted: Option<bool>,
    not_before_ms: Option<i64>,
    begun_ms: Option<i64>,
    ended_ms: Option<i64>,
    relapsed_ms: Option<i64>,
    active: Option<Uuid>,
    verifying: Option<Uuid>,
    regressed_ms: Option<i64>,
}

impl Row {
    fn read(
        self,
        costs: &mut impl FnMut(NextWork<'_>) -> bool,
        now: Timestamp,
    ) -> Result<HostStanding> {
        let at = At { table: "campaign_host", id: &self.host_id };
        let lifecycle: Lifecycle = at.word("lifecycle", &self.lifecycle)?;
        let last_seen = time(self.last_seen_ms);
        let others = |job: Option<Uuid>| job.is_some() && job != self.job_id;
        let next = match &self.remediation {
            Some(remediation) if !self.recalled => NextWork::Remediation(remediation),
            _ => NextWork::Cause(self.cause.as_deref().unwrap_or_default()),
        };
        let between = match (self.plan_wanted, self.place_wanted) {
            (Some(true), _) => Some(Between::Choosing),
            (_, Some(true)) => {
                Some(Between::Chosen { from: time(self.not_before_ms.unwrap_or(0)) })
            }
            _ => None,
        };
        Ok(HostStanding {
            host: self.host_id.into(),
            labels: at.json("labels", &self.labels)?,
            // One that may get no order is as good as away.
            reachable: lifecycle.may_get_orders() && now.since(last_seen) < limits::SILENT_AFTER,
            last_seen,
            busy: others(self.active) || others(self.verifying),
            network: costs(next),
            wave: self.wave.map(|wave| at.number("wave", wave)).transpose()?,
            job: self.job_id.map(Into::into),
            job_state: self.state.map(|state| at.word("state", &state)).transpose()?,
            between,
            state_since: self.state_ms.map(time),
            begun: self.begun_ms.map(time),
            ended: self.ended_ms.map(time),
            recalled: self.recalled,
            relapsed: self.relapsed_ms.map(time),
            regressed: self.regressed_ms.map(time),
            // Who looks at it knows whom it asked.
            untold: None,
            excluded: self.left_out,
        })
    }
}
