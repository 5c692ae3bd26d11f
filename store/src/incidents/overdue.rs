//! Overdue incidents: hosts whose turn it is are looked at, what is overdue on them is opened, what is
//! not any more is ended. A host's turn comes when it told something new and when a deadline comes.

use std::collections::BTreeMap;

use fleetmend_core::host::{Labels, Lifecycle, OsFamily};
use fleetmend_core::ids::{HostId, IncidentId};
use fleetmend_core::incident::{IncidentEvent, IncidentState, recurs_within};
use fleetmend_core::overdue::{
    Judgement, Overdue, OverdueKind, OverdueRules, Thresholds, Upkeep, Watched, build_of, judge,
};
use fleetmend_core::time::Timestamp;
use uuid::Uuid;

use super::get::key;
use super::triage::set_setting;
use crate::backend::{Db, Tx, on_read, on_tx, run, transaction};
use crate::error::Result;
use crate::hosts::TimelineKind;
use crate::hosts::lifecycle::note_event;
use crate::ingest::Random;
use crate::row::{At, time, to_json};
use crate::sql::statements;

/// The live overdue incidents' codes; a test holds them to the core's words.
macro_rules! overdue_codes {
    () => {
        "('wu.scan_stale', 'wu.build_behind', 'backup.stale', 'backup.vendor_unknown', 'reboot.pending_aged', 'agent.silent')"
    };
}
pub(crate) use overdue_codes;

statements! {
    /// A turn far ahead was set by a clock that was wrong.
    DUE = "SELECT id FROM host WHERE watch_ms <= $1 OR watch_ms > $2 ORDER BY watch_ms, id LIMIT $3";
    HOST = "SELECT os, os_name, os_build, simulated, lifecycle, lifecycle_ms, labels, enrolled_ms, last_seen_ms, state_ms, \
        upkeep, reboot_since_ms FROM host WHERE id = $1 AND (watch_ms <= $2 OR watch_ms > $3)";
    SEE_BUILD = "INSERT INTO build_seen (simulated, branch, revision, first_ms) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (simulated, branch, revision) DO NOTHING";
    /// The newest build, and since when one newer than the host's is known.
    NEWER_BUILD = "SELECT MAX(revision), MIN(first_ms) FROM build_seen WHERE simulated = $1 AND branch = $2 AND revision > $3";
    LIVE = concat!("SELECT i.id, i.product, i.operation, i.code, i.subject, i.state, i.message, \
        (SELECT COUNT(*) FROM job j WHERE j.incident_id = i.id AND j.ended_ms IS NULL) AS jobs \
        FROM incident i WHERE i.host_id = $1 AND i.ended_ms IS NULL AND i.code IN ", overdue_codes!(), " ORDER BY i.id");
    LAST_ENDED = "SELECT id, state, ended_ms FROM incident WHERE host_id = $1 AND product = $2 AND operation = $3 AND code = $4 \
        AND subject = '' AND ended_ms IS NOT NULL ORDER BY ended_ms DESC, id DESC LIMIT 1";
    OPEN = "INSERT INTO incident (id, host_id, product, operation, code, subject, symbol, message, state, opened_ms, \
        first_seen_ms, last_seen_ms, reports, previous_id) VALUES ($1, $2, $3, $4, $5, '', '', $6, $7, $8, $9, $10, 0, $11)";
    TELL = "UPDATE incident SET message = $2, last_seen_ms = $3 WHERE id = $1";
    END = "UPDATE incident SET state = $2, ended_ms = $3, recovered_ms = $3 WHERE id = $1";
    NOTE_ENDED = "UPDATE incident SET recovered_ms = $2 WHERE id = $1 AND recovered_ms IS NULL";
    NEXT_TURN = "UPDATE host SET watch_ms = $2 WHERE id = $1";
    ALL_AT_ONCE = "UPDATE host SET watch_ms = 0 WHERE watch_ms > 0";
    RULES = "SELECT value FROM setting WHERE name = 'overdue.rules'";
}

/// A turn further ahead than this was set by a clock that was wrong: the core looks again sooner.
const FURTHEST_MS: i64 = 86_400_000;
/// When a host that could not be judged has its next turn.
const UNJUDGED_MS: i64 = 6 * 3_600_000;

/// What looking at hosts did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WatchedHosts {
    /// Hosts looked at.
    pub looked_at: usize,
    /// Incidents that opened.
    pub opened: Vec<IncidentId>,
    /// Incidents that ended.
    pub ended: Vec<IncidentId>,
}

impl Db {
    /// Looks at up to `limit` hosts whose turn it is, in one transaction.
    pub async fn watch_hosts(
        &self,
        rules: &OverdueRules,
        now: Timestamp,
        limit: u32,
        random: Random<'_>,
    ) -> Result<WatchedHosts> {
        let due: Vec<Uuid> = on_read!(self, |c| sqlx::query_scalar(DUE)
            .bind(now.as_millis())
            .bind(now.as_millis() + FURTHEST_MS)
            .bind(i64::from(limit))
            .fetch_all(c)
            .await)?;
        if due.is_empty() {
            return Ok(WatchedHosts::default());
        }
        match self.watch_together(&due, rules, now, &mut *random).await {
            Err(e) if e.refuses_data() => {}
            done => return done,
        }
        // One of them cannot be judged: it does not hold up the others.
        let mut done = WatchedHosts { looked_at: due.len(), ..WatchedHosts::default() };
        for host in due {
            match self.watch_together(&[host], rules, now, &mut *random).await {
                Ok(one) => {
                    done.opened.extend(one.opened);
                    done.ended.extend(one.ended);
                }
                Err(error) if error.refuses_data() => {
                    tracing::error!(host.id = %host, %error, "a host cannot be judged for what is overdue");
                    let turn = now.as_millis() + UNJUDGED_MS;
                    self.give_turn(host, turn).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    async fn give_turn(&self, host: Uuid, at_ms: i64) -> Result<()> {
        transaction!(self, |tx| {
            run!(tx, sqlx::query(NEXT_TURN).bind(host).bind(at_ms))?;
            Ok(())
        })
    }

    /// Looks at hosts in one transaction.
    async fn watch_together(
        &self,
        due: &[Uuid],
        rules: &OverdueRules,
        now: Timestamp,
        random: Random<'_>,
    ) -> Result<WatchedHosts> {
        transaction!(self, |tx| {
            // What they tell from now on waits, and gives them another turn.
            tx.hold_hosts(due.iter().map(|id| HostId::from(*id))).await?;
            let mut done = WatchedHosts::default();
            for host in due {
                let host = HostId::from(*host);
                let Some((watched, limits)) = read(tx, host, rules, now).await? else { continue };
                let judgement = judge(&watched, &limits, now);
                settle(tx, host, (&judgement, &limits), now, &mut *random, &mut done).await?;
                let turn = judgement.look_again.as_millis();
                run!(&mut *tx, sqlx::query(NEXT_TURN).bind(host.0).bind(turn))?;
                done.looked_at += 1;
            }
            Ok(done)
        })
    }

    /// Gives every host its turn at once where `rules` are not those that judged them before.
    pub async fn watch_all_again(&self, rules: &OverdueRules) -> Result<bool> {
        let text = to_json(rules)?;
        let before: Option<String> =
            on_read!(self, |c| sqlx::query_scalar(RULES).fetch_optional(c).await)?;
        if before.as_deref() == Some(&text) {
            return Ok(false);
        }
        let db = self.patient();
        transaction!(db, |tx| {
            run!(&mut *tx, sqlx::query(ALL_AT_ONCE))?;
            set_setting(tx, "overdue.rules", &text).await
        })?;
        Ok(true)
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    os: String,
    os_name: String,
    os_build: String,
    simulated: bool,
    lifecycle: String,
    lifecycle_ms: i64,
    labels: String,
    enrolled_ms: i64,
    last_seen_ms: i64,
    state_ms: Option<i64>,
    upkeep: String,
    reboot_since_ms: Option<i64>,
}

/// What is known of a host whose turn it still is, and its thresholds.
async fn read(
    tx: &mut Tx,
    host: HostId,
    rules: &OverdueRules,
    now: Timestamp,
) -> Result<Option<(Watched, Thresholds)>> {
    let row: Option<Row> = on_tx!(&mut *tx, |c| sqlx::query_as(HOST)
        .bind(host.0)
        .bind(now.as_millis())
        .bind(now.as_millis() + FURTHEST_MS)
        .fetch_optional(c)
        .await)?;
    let Some(row) = row else { return Ok(None) };
    let os: OsFamily = At { table: "host", id: &host }.word("os", &row.os)?;
    let lifecycle: Lifecycle = At { table: "host", id: &host }.word("lifecycle", &row.lifecycle)?;
    // Only hosts that were let in tell which builds there are.
    let let_in = matches!(lifecycle, Lifecycle::Active | Lifecycle::Stale);
    let newer_build = match os {
        OsFamily::Windows if let_in => newer_build(tx, &row.os_build, row.simulated, now).await?,
        OsFamily::Windows | OsFamily::Linux => None,
    };
    let at = At { table: "host", id: &host };
    let labels: Labels = at.json("labels", &row.labels)?;
    let upkeep: Option<Upkeep> =
        if row.upkeep.is_empty() { None } else { Some(at.json("upkeep", &row.upkeep)?) };
    let watched = Watched {
        os,
        os_name: row.os_name,
        os_build: row.os_build,
        lifecycle,
        lifecycle_since: time(row.lifecycle_ms),
        enrolled: time(row.enrolled_ms),
        last_seen: time(row.last_seen_ms),
        state_at: row.state_ms.map(time),
        upkeep,
        reboot_since: row.reboot_since_ms.map(time),
        newer_build,
    };
    Ok(Some((watched, rules.of(&labels))))
}

/// Notes a build, and says which newer one of its line the fleet has run, and since when.
async fn newer_build(
    tx: &mut Tx,
    build: &str,
    simulated: bool,
    now: Timestamp,
) -> Result<Option<(String, Timestamp)>> {
    let Some((branch, revision)) = build_of(build) else { return Ok(None) };
    let revision = i64::from(revision);
    run!(
        &mut *tx,
        sqlx::query(SEE_BUILD).bind(simulated).bind(branch).bind(revision).bind(now.as_millis())
    )?;
    let (newest, since): (Option<i64>, Option<i64>) =
        on_tx!(&mut *tx, |c| sqlx::query_as(NEWER_BUILD)
            .bind(simulated)
            .bind(branch)
            .bind(revision)
            .fetch_one(c)
            .await)?;
    Ok(newest.zip(since).map(|(newest, since)| (format!("{branch}.{newest}"), time(since))))
}

/// Opens what is overdue and ends what is not any more. The caller holds the host.
async fn settle(
    tx: &mut Tx,
    host: HostId,
    (judgement, limits): (&Judgement, &Thresholds),
    now: Timestamp,
    random: Random<'_>,
    done: &mut WatchedHosts,
) -> Result<()> {
    type LiveRow = (Uuid, String, String, String, String, String, String, i64);
    let rows: Vec<LiveRow> =
        on_tx!(&mut *tx, |c| sqlx::query_as(LIVE).bind(host.0).fetch_all(c).await)?;
    let mut live = BTreeMap::new();
    for (id, product, operation, code, subject, state, message, jobs) in rows {
        let at = At { table: "incident", id: &id };
        let key = key(at, &product, &operation, &code, subject)?;
        let state: IncidentState = at.word("state", &state)?;
        live.insert(key, (id, state, message, jobs));
    }
    for overdue in &judgement.overdue {
        match live.remove(&overdue.key()) {
            Some((id, _, message, _)) if message != overdue.message => {
                run!(
                    &mut *tx,
                    sqlx::query(TELL).bind(id).bind(&overdue.message).bind(now.as_millis())
                )?;
            }
            Some(_) => {}
            None => done.opened.push(open(tx, host, (overdue, limits), now, &mut *random).await?),
        }
    }
    for (key, (id, state, _, jobs)) in live {
        let silence = OverdueKind::of(key.code.as_ref()) == Some(OverdueKind::AgentSilent);
        if judgement.held && !silence {
            continue;
        }
        if jobs > 0 {
            // The job's own proof goes first.
            run!(&mut *tx, sqlx::query(NOTE_ENDED).bind(id).bind(now.as_millis()))?;
        } else if let Some(after) = state.after(IncidentEvent::Recovered) {
            run!(&mut *tx, sqlx::query(END).bind(id).bind(after.as_str()).bind(now.as_millis()))?;
            let code = key.code.as_ref().map(ToString::to_string).unwrap_or_default();
            let text = format!("{code}: not overdue any more");
            note_event(tx, host, now, TimelineKind::Recovery, &text).await?;
            done.ended.push(id.into());
        }
    }
    Ok(())
}

async fn open(
    tx: &mut Tx,
    host: HostId,
    (overdue, limits): (&Overdue, &Thresholds),
    now: Timestamp,
    random: Random<'_>,
) -> Result<IncidentId> {
    let (product, operation) = (overdue.product.as_str(), overdue.operation.as_str());
    let last: Option<(Uuid, String, i64)> = on_tx!(&mut *tx, |c| sqlx::query_as(LAST_ENDED)
        .bind(host.0)
        .bind(product)
        .bind(operation)
        .bind(overdue.kind.as_str())
        .fetch_optional(c)
        .await)?;
    let mut previous = None;
    if let Some((id, state, ended)) = last {
        let state: IncidentState = At { table: "incident", id: &id }.word("state", &state)?;
        let soon = overdue.since.since(time(ended))
            <= recurs_within(overdue.operation, limits.backup_every.duration());
        if matches!(state, IncidentState::Fixed | IncidentState::Resolved) && soon {
            previous = Some(id);
        }
    }
    let id = IncidentId::at(now, random());
    let state = if previous.is_some() { IncidentState::Recurred } else { IncidentState::Open };
    run!(
        &mut *tx,
        sqlx::query(OPEN)
            .bind(id.0)
            .bind(host.0)
            .bind(product)
            .bind(operation)
            .bind(overdue.kind.as_str())
            .bind(&overdue.message)
            .bind(state.as_str())
            .bind(now.as_millis())
            .bind(overdue.since.as_millis())
            .bind(now.as_millis())
            .bind(previous)
    )?;
    let text = format!("{}: {}", overdue.kind, overdue.message);
    note_event(tx, host, now, TimelineKind::Overdue, &text).await?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use fleetmend_core::overdue::OverdueKind;

    #[test]
    fn the_statements_name_every_kind() {
        let named = OverdueKind::ALL.iter().map(|kind| format!("'{kind}'")).collect::<Vec<_>>();
        assert_eq!(overdue_codes!(), format!("({})", named.join(", ")));
    }
}
