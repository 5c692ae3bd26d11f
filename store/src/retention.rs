//! Retention: what is old is dropped in small pieces, oldest first; whole days of reports. Every
//! call looks anew at what is due, so one that was cut short is made up for by the next. The audit
//! log is never dropped.

use std::collections::BTreeSet;

use fleetmend_core::limits;
use fleetmend_core::overdue::build_of;
use fleetmend_core::time::Timestamp;
use uuid::Uuid;

use crate::audit;
use crate::backend::{Backend, Db, Tx, on_read, on_tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::row::At;
use crate::sql::statements;
use crate::views::recount::held_from;

/// How long things are kept, in days: today and so many days before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Reports, by the day received; and what was found about single things that are mended.
    pub reports: u32,
    /// Output of jobs that are over.
    pub job_log: u32,
    /// Incidents that are over, with their jobs. At least as long as reports.
    pub incidents: u32,
    /// A host's events.
    pub events: u32,
    /// Items set aside.
    pub quarantine: u32,
    /// The roll-up that trends are drawn from.
    pub roll_up: u32,
}

/// What was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// Reports; where whole days are dropped at once, they are not counted.
    pub reports: u64,
    /// Days dropped at once.
    pub days: u64,
    /// Answers of probes about single things.
    pub evidence: u64,
    /// Rows of the roll-up.
    pub roll_up: u64,
    /// Jobs whose output was dropped.
    pub job_logs: u64,
    /// Incidents.
    pub incidents: u64,
    /// A host's events.
    pub events: u64,
    /// Items set aside.
    pub quarantined: u64,
    /// Campaigns, or runs of them.
    pub campaigns: u64,
    /// Whether more of it is due.
    pub more: bool,
}

/// An incident stays while a report, a job at work, a later incident or a campaign refers to it.
macro_rules! unreferenced {
    () => {
        "NOT EXISTS (SELECT 1 FROM report r WHERE r.incident_id = i.id) \
         AND NOT EXISTS (SELECT 1 FROM incident n WHERE n.previous_id = i.id) \
         AND NOT EXISTS (SELECT 1 FROM campaign_host ch WHERE ch.incident_id = i.id) \
         AND NOT EXISTS (SELECT 1 FROM job j WHERE j.incident_id = i.id AND j.ended_ms IS NULL)"
    };
}

/// A run of a campaign goes when it ended long ago and no person can go on with it: it is not the last,
/// or the campaign is over.
macro_rules! old_runs {
    () => {
        "FROM campaign_run r JOIN campaign c ON c.id = r.campaign_id WHERE r.ended_ms < $1 \
         AND (r.run < c.run OR c.state IN ('aborted', 'completed', 'completed_with_errors', 'cancelled'))"
    };
}

statements! {
    /// The moment of the last look, the first one's own where there was none; locked.
    LAST_LOOK = "INSERT INTO setting (name, value) VALUES ('retention_looked_ms', $1) \
        ON CONFLICT (name) DO UPDATE SET value = setting.value RETURNING value";
    SEE_LAST_LOOK = "SELECT value FROM setting WHERE name = 'retention_looked_ms'";
    SET_LAST_LOOK = "UPDATE setting SET value = $1 WHERE name = 'retention_looked_ms'";
    SET_HELD_FROM = "UPDATE setting SET value = $1 WHERE name = 'reports_held_from'";
    /// A report's day is never after the day it came.
    REPORTS = "DELETE FROM report WHERE (id, received_day) IN (SELECT id, received_day FROM report \
        WHERE day < $1 AND received_day < $1 ORDER BY day LIMIT $2)";
    /// What was said about a thing, once it is old and nothing stands against the thing.
    EVIDENCE = "DELETE FROM evidence WHERE at_ms < $1 AND (host_id, probe, subject) IN (SELECT e.host_id, e.probe, e.subject \
        FROM evidence e WHERE e.subject <> '' AND e.at_ms < $1 AND NOT EXISTS (SELECT 1 FROM incident i \
            WHERE i.host_id = e.host_id AND i.subject = e.subject AND i.ended_ms IS NULL) \
        ORDER BY e.at_ms LIMIT $2)";
    ROLL_UP = "DELETE FROM report_day WHERE (day, product, operation, code) IN ( \
        SELECT day, product, operation, code FROM report_day WHERE day < $1 ORDER BY day LIMIT $2)";
    EVENTS = "DELETE FROM host_event WHERE (host_id, number) IN ( \
        SELECT host_id, number FROM host_event WHERE at_ms < $1 ORDER BY at_ms LIMIT $2)";
    QUARANTINE = "DELETE FROM quarantine WHERE number IN ( \
        SELECT number FROM quarantine WHERE at_ms < $1 ORDER BY number LIMIT $2)";
    /// What may pass is counted anew after so long a time.
    PASSING = "DELETE FROM passing_failure WHERE (host_id, product, operation, code, subject) IN ( \
        SELECT host_id, product, operation, code, subject FROM passing_failure WHERE last_ms < $1 ORDER BY last_ms LIMIT $2)";
    OLD_LOGS = "SELECT id FROM job WHERE ended_ms < $1 AND log_pieces > 0 ORDER BY ended_ms LIMIT $2";
    /// The pieces count as dropped, and a reader of the output is at its end at once.
    FORGET_LOG = "UPDATE job SET log_dropped = log_dropped + log_pieces, log_pieces = 0 WHERE id = $1";
    DROP_LOG = "DELETE FROM job_log WHERE job_id = $1";
    /// A campaign's hosts, waves and runs go one after the other, as what refers to what wants it.
    CAMPAIGN_HOSTS = concat!("DELETE FROM campaign_host WHERE (campaign_id, run, host_id) IN (SELECT ch.campaign_id, ch.run, ch.host_id \
        FROM campaign_host ch WHERE (ch.campaign_id, ch.run) IN (SELECT r.campaign_id, r.run ", old_runs!(), ") LIMIT $2)");
    CAMPAIGN_WAVES = concat!("DELETE FROM campaign_wave WHERE (campaign_id, run) IN (SELECT r.campaign_id, r.run ", old_runs!(), " \
        AND NOT EXISTS (SELECT 1 FROM campaign_host ch WHERE ch.campaign_id = r.campaign_id AND ch.run = r.run) \
        ORDER BY r.ended_ms LIMIT $2)");
    CAMPAIGN_RUNS = concat!("DELETE FROM campaign_run WHERE (campaign_id, run) IN (SELECT r.campaign_id, r.run ", old_runs!(), " \
        AND NOT EXISTS (SELECT 1 FROM campaign_host ch WHERE ch.campaign_id = r.campaign_id AND ch.run = r.run) \
        AND NOT EXISTS (SELECT 1 FROM campaign_wave w WHERE w.campaign_id = r.campaign_id AND w.run = r.run) \
        ORDER BY r.ended_ms LIMIT $2)");
    /// Those that are over and have nothing below them any more; one that repeats is over when it is cancelled.
    OLD_CAMPAIGNS = "SELECT c.id FROM campaign c WHERE c.state IN ('aborted', 'completed', 'completed_with_errors', 'cancelled') \
        AND c.next_look_ms IS NULL AND c.state_ms < $1 AND NOT EXISTS (SELECT 1 FROM campaign_run r WHERE r.campaign_id = c.id) \
        AND NOT EXISTS (SELECT 1 FROM campaign_host ch WHERE ch.campaign_id = c.id) \
        AND NOT EXISTS (SELECT 1 FROM campaign_wave w WHERE w.campaign_id = c.id) ORDER BY c.state_ms LIMIT $2";
    DROP_APPROVALS_OF = "DELETE FROM approval WHERE campaign_id = $1";
    DROP_AUTHORS_OF = "DELETE FROM campaign_author WHERE campaign_id = $1";
    /// Held before it goes: what somebody does with it meanwhile is seen.
    DROP_CAMPAIGN = "DELETE FROM campaign WHERE id = $1";
    HOLD_CAMPAIGN = "UPDATE campaign SET revision = revision + 1 WHERE id = $1 AND state_ms < $2";
    BUILDS_RUN = "SELECT DISTINCT simulated, os_build FROM host WHERE os = 'windows' AND lifecycle <> 'retired'";
    BUILDS_SEEN = "SELECT simulated, branch, COUNT(*), MAX(first_ms) FROM build_seen GROUP BY simulated, branch";
    DROP_BRANCH = "DELETE FROM build_seen WHERE simulated = $1 AND branch = $2 AND first_ms < $3";
    DROP_OLD_BUILDS = "DELETE FROM build_seen WHERE simulated = $1 AND branch = $2 AND revision < ( \
        SELECT MIN(revision) FROM (SELECT revision FROM build_seen WHERE simulated = $1 AND branch = $2 \
            ORDER BY revision DESC LIMIT $3) AS kept)";
    FREEZES = "DELETE FROM change_freeze WHERE id IN (SELECT id FROM change_freeze WHERE until_ms < $1 ORDER BY until_ms LIMIT $2)";
    OLD_INCIDENTS = concat!("SELECT i.id FROM incident i WHERE i.ended_ms < $1 AND ", unreferenced!(), " \
        ORDER BY i.ended_ms LIMIT $2");
    /// Looked at again once the host is held.
    STILL_DUE = concat!("SELECT COUNT(*) FROM incident i WHERE i.id = $1 AND ", unreferenced!());
    DROP_LOGS_OF = "DELETE FROM job_log WHERE job_id IN (SELECT id FROM job WHERE incident_id = $1)";
    DROP_STEPS_OF = "DELETE FROM job_step WHERE job_id IN (SELECT id FROM job WHERE incident_id = $1)";
    DROP_ATTEMPTS_OF = "DELETE FROM job_attempt WHERE job_id IN (SELECT id FROM job WHERE incident_id = $1)";
    DROP_JOBS_OF = "DELETE FROM job WHERE incident_id = $1";
    DROP_GUIDED_TICKS = "DELETE FROM guided_tick WHERE task_id IN (SELECT id FROM guided_task WHERE incident_id = $1)";
    DROP_GUIDED_NOTES = "DELETE FROM guided_note WHERE task_id IN (SELECT id FROM guided_task WHERE incident_id = $1)";
    DROP_GUIDED_OF = "DELETE FROM guided_task WHERE incident_id = $1";
    DROP_INCIDENT = "DELETE FROM incident WHERE id = $1";
}

/// Things with rows of their own below them count for so many rows.
const HEAVY: i64 = 20;
/// Builds kept of each line of Windows: years of them, at one a month.
const BUILDS_KEPT: i64 = 64;
/// A line of builds that no host runs is forgotten after a week.
const BRANCH_UNUSED_MS: i64 = 7 * DAY_MS;
/// Days ahead for which the parts of the table of reports are made.
const AHEAD: i64 = 3;
const DAY_MS: i64 = 86_400_000;

impl Db {
    /// Notes that what is old will be looked for. `Some` is the moment of the last look that was
    /// believed, where the clock has since moved further than [`limits::CLOCK_LEAP`]: then nothing may
    /// be dropped, for a clock that jumped years ahead makes everything old. A clock that went back
    /// is believed for this look only: nothing grows old by it.
    pub async fn note_retention(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        transaction!(self, |tx| {
            let last = last_look(tx, now).await?;
            if now.since(last) > limits::CLOCK_LEAP {
                return Ok(Some(last));
            }
            // By a clock that starts years behind nothing is old; what it says is not kept.
            if last.since(now) > limits::CLOCK_LEAP {
                return Ok(None);
            }
            set_last_look(tx, now).await?;
            Ok(None)
        })
    }

    /// The moment of retention's last look that was believed, where the clock has since moved further
    /// than [`limits::CLOCK_LEAP`].
    pub async fn clock_leapt(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let text: Option<String> =
            on_read!(self, |c| sqlx::query_scalar(SEE_LAST_LOOK).fetch_optional(c).await)?;
        let last = text.map(|text| looked_at(&text)).transpose()?;
        Ok(last.filter(|last| now.since(*last) > limits::CLOCK_LEAP))
    }

    /// Believes the clock, by somebody's decision: retention goes on from `now`.
    pub async fn believe_clock(&self, by: &str, now: Timestamp) -> Result<()> {
        transaction!(self, |tx| {
            let last = last_look(tx, now).await?;
            set_last_look(tx, now).await?;
            let detail = serde_json::json!({"before": last, "now": now});
            audit::note(tx, (by, now), "clock.believe", "retention".to_owned(), detail).await
        })
    }

    /// Drops one piece of everything that is too old: at most `rows` rows of each kind, each kind in
    /// a transaction of its own, so that writers wait for a moment only.
    pub async fn drop_old(&self, keep: &Keep, now: Timestamp, rows: u32) -> Result<Dropped> {
        let first_day = |days: u32| now.day() - i64::from(days);
        let first_ms = |days: u32| first_day(days) * DAY_MS;
        let rows = i64::from(rows.max(1));
        let mut done = Dropped::default();
        self.drop_reports(first_day(keep.reports), rows, &mut done).await?;
        done.evidence = self.drop_rows(EVIDENCE, first_ms(keep.reports), rows).await?;
        done.roll_up = self.drop_rows(ROLL_UP, first_day(keep.roll_up), rows).await?;
        done.events = self.drop_rows(EVENTS, first_ms(keep.events), rows).await?;
        let passed = self.drop_rows(PASSING, first_ms(keep.reports), rows).await?;
        done.quarantined = self.drop_rows(QUARANTINE, first_ms(keep.quarantine), rows).await?;
        self.ensure_report_partitions(now.day()..=now.day() + AHEAD).await?;
        let few = (rows / HEAVY).max(1);
        done.job_logs = self.drop_logs(first_ms(keep.job_log), few).await?;
        // Campaigns first: they hold their incidents.
        let hosts = self.drop_rows(CAMPAIGN_HOSTS, first_ms(keep.incidents), rows).await?;
        self.drop_rows(CAMPAIGN_WAVES, first_ms(keep.incidents), rows).await?;
        let runs = self.drop_rows(CAMPAIGN_RUNS, first_ms(keep.incidents), rows).await?;
        done.campaigns = runs + self.drop_campaigns(first_ms(keep.incidents), few).await?;
        self.drop_builds(now).await?;
        let freezes = self.drop_rows(FREEZES, first_ms(keep.events), rows).await?;
        done.incidents = self.drop_incidents(first_ms(keep.incidents), few).await?;
        let full = |n: u64, most: i64| i64::try_from(n).is_ok_and(|n| n >= most);
        done.more |= [
            done.reports,
            done.evidence,
            done.roll_up,
            done.events,
            done.quarantined,
            passed,
            hosts,
            freezes,
        ]
        .into_iter()
        .any(|n| full(n, rows))
            || full(done.job_logs, few)
            || full(done.campaigns, few)
            || full(done.incidents, few);
        Ok(done)
    }

    async fn drop_rows(&self, sql: &'static str, before: i64, rows: i64) -> Result<u64> {
        transaction!(self, |tx| { Ok(run!(tx, sqlx::query(sql).bind(before).bind(rows))?) })
    }

    async fn drop_reports(&self, first: i64, rows: i64, done: &mut Dropped) -> Result<()> {
        // First it is said, then it is done: nobody recounts a day of which reports are missing.
        transaction!(self, |tx| {
            if held_from(tx).await? < first {
                run!(tx, sqlx::query(SET_HELD_FROM).bind(first.to_string()))?;
            }
            Ok::<_, StoreError>(())
        })?;
        match &self.backend {
            Backend::Sqlite { .. } => done.reports = self.drop_rows(REPORTS, first, rows).await?,
            Backend::Postgres(_) => done.days = self.drop_report_partitions(first).await?,
        }
        Ok(())
    }

    async fn drop_logs(&self, before: i64, most: i64) -> Result<u64> {
        let jobs = self.ids(OLD_LOGS, before, most).await?;
        for job in &jobs {
            transaction!(self, |tx| {
                tx.hold_host_of_job((*job).into()).await?;
                for sql in [FORGET_LOG, DROP_LOG] {
                    run!(&mut *tx, sqlx::query(sql).bind(job))?;
                }
                Ok::<_, StoreError>(())
            })?;
        }
        Ok(jobs.len() as u64)
    }

    async fn drop_campaigns(&self, before: i64, most: i64) -> Result<u64> {
        let campaigns = self.ids(OLD_CAMPAIGNS, before, most).await?;
        for campaign in &campaigns {
            transaction!(self, |tx| {
                let held = run!(&mut *tx, sqlx::query(HOLD_CAMPAIGN).bind(campaign).bind(before))?;
                if held > 0 {
                    for sql in [DROP_APPROVALS_OF, DROP_AUTHORS_OF, DROP_CAMPAIGN] {
                        run!(&mut *tx, sqlx::query(sql).bind(campaign))?;
                    }
                }
                Ok::<_, StoreError>(())
            })?;
        }
        Ok(campaigns.len() as u64)
    }

    async fn drop_incidents(&self, before: i64, most: i64) -> Result<u64> {
        let incidents = self.ids(OLD_INCIDENTS, before, most).await?;
        for incident in &incidents {
            transaction!(self, |tx| {
                tx.hold_host_of_incident((*incident).into()).await?;
                let due: i64 = on_tx!(&mut *tx, |c| sqlx::query_scalar(STILL_DUE)
                    .bind(incident)
                    .fetch_one(c)
                    .await)?;
                if due == 0 {
                    return Ok(());
                }
                for sql in [
                    DROP_GUIDED_TICKS,
                    DROP_GUIDED_NOTES,
                    DROP_GUIDED_OF,
                    DROP_LOGS_OF,
                    DROP_STEPS_OF,
                    DROP_ATTEMPTS_OF,
                    DROP_JOBS_OF,
                    DROP_INCIDENT,
                ] {
                    run!(&mut *tx, sqlx::query(sql).bind(incident))?;
                }
                Ok::<_, StoreError>(())
            })?;
        }
        Ok(incidents.len() as u64)
    }

    /// Forgets lines of builds that no host runs any more, and of each other line all but the newest
    /// builds: since when a newer one is known is told from those.
    async fn drop_builds(&self, now: Timestamp) -> Result<()> {
        let run: Vec<(bool, String)> =
            on_read!(self, |c| sqlx::query_as(BUILDS_RUN).fetch_all(c).await)?;
        let run: BTreeSet<(bool, &str)> = run
            .iter()
            .filter_map(|(simulated, build)| Some((*simulated, build_of(build)?.0)))
            .collect();
        let seen: Vec<(bool, String, i64, i64)> =
            on_read!(self, |c| sqlx::query_as(BUILDS_SEEN).fetch_all(c).await)?;
        let before = now.as_millis() - BRANCH_UNUSED_MS;
        for (simulated, branch, builds, latest) in seen {
            let (sql, bound) = if !run.contains(&(simulated, branch.as_str())) && latest < before {
                (DROP_BRANCH, before)
            } else if builds > BUILDS_KEPT {
                (DROP_OLD_BUILDS, BUILDS_KEPT)
            } else {
                continue;
            };
            transaction!(self, |tx| {
                Ok::<_, StoreError>(run!(
                    tx,
                    sqlx::query(sql).bind(simulated).bind(&branch).bind(bound)
                )?)
            })?;
        }
        Ok(())
    }

    async fn ids(&self, sql: &'static str, before: i64, most: i64) -> Result<Vec<Uuid>> {
        let ids =
            on_read!(self, |c| sqlx::query_scalar(sql).bind(before).bind(most).fetch_all(c).await)?;
        Ok(ids)
    }
}

async fn last_look(tx: &mut Tx, now: Timestamp) -> Result<Timestamp> {
    let text: String = on_tx!(tx, |c| sqlx::query_scalar(LAST_LOOK)
        .bind(now.as_millis().to_string())
        .fetch_one(c)
        .await)?;
    looked_at(&text)
}

fn looked_at(text: &str) -> Result<Timestamp> {
    let at = At { table: "setting", id: &"retention_looked_ms" };
    let ms = text.parse().map_err(|e: std::num::ParseIntError| at.bad("value", e))?;
    Ok(Timestamp::from_millis(ms))
}

async fn set_last_look(tx: &mut Tx, now: Timestamp) -> Result<()> {
    run!(tx, sqlx::query(SET_LAST_LOOK).bind(now.as_millis().to_string()))?;
    Ok(())
}
