//! Failures: each a row of `report`; those of kind *failure* counted in an incident and in the
//! day's roll-up. Many at once, in key order.

use std::collections::BTreeMap;

use fleetmend_core::code::FailureCode;
use fleetmend_core::evidence::Evidence;
use fleetmend_core::ids::{HostId, IncidentId};
use fleetmend_core::incident::IncidentRules;
use fleetmend_core::limits;
use fleetmend_core::report::{IncidentKey, Kind, Operation, Recovery, ReportedFailure};
use fleetmend_core::time::Timestamp;
use fleetmend_core::update_class::UpdateClass;
use uuid::Uuid;

use super::apply::Effects;
use super::{Random, opening, recovery, superseded};
use crate::backend::{Tx, on_tx, run};
use crate::error::Result;
use crate::hosts::facts::save_evidence;
use crate::incidents::triage::want_triage_of;
use crate::row::{big, to_json};
use crate::sql::{ManyRows, chunks};

/// Binds a group's key, with its number, to a query of either database.
macro_rules! bind_key {
    ($query:expr, $n:expr, $group:expr) => {
        $query
            .bind($crate::row::big($n as u64))
            .bind($group.host.0)
            .bind($group.key.product.as_str())
            .bind($group.key.operation.as_str())
            .bind($crate::ingest::failures::code_text($group.key.code.as_ref()))
            .bind($group.key.subject.as_deref().unwrap_or_default())
    };
}
pub(super) use bind_key;

const LIVE: ManyRows = ManyRows {
    head: "WITH k (n, host_id, product, operation, code, subject) AS (VALUES",
    columns: 6,
    tail: ") SELECT k.n, i.id FROM k JOIN incident i ON i.host_id = k.host_id AND i.product = k.product \
        AND i.operation = k.operation AND i.code = k.code AND i.subject = k.subject WHERE i.ended_ms IS NULL",
};
const COUNT: ManyRows = ManyRows {
    head: "WITH t (id, first_ms, last_ms, n, symbol, update_class, message) AS (VALUES",
    columns: 7,
    tail: ") UPDATE incident SET reports = incident.reports + t.n, \
        first_seen_ms = CASE WHEN t.first_ms < incident.first_seen_ms THEN t.first_ms ELSE incident.first_seen_ms END, \
        symbol = CASE WHEN t.symbol <> '' THEN t.symbol ELSE incident.symbol END, \
        triage_wanted = incident.triage_wanted + CASE WHEN t.update_class NOT IN ('', incident.update_class) THEN 1 ELSE 0 END, \
        update_class = CASE WHEN t.update_class <> '' THEN t.update_class ELSE incident.update_class END, \
        message = CASE WHEN t.last_ms >= incident.last_seen_ms THEN t.message ELSE incident.message END, \
        last_seen_ms = CASE WHEN t.last_ms > incident.last_seen_ms THEN t.last_ms ELSE incident.last_seen_ms END \
        FROM t WHERE incident.id = t.id",
};
const REPORT: ManyRows = ManyRows {
    head: "INSERT INTO report (id, received_day, received_ms, host_id, incident_id, day, at_ms, source_time, product, \
        operation, code, symbol, kind, subject, source, provider, event_id, record_id, line, things, update_class, message, evidence) VALUES",
    columns: 23,
    tail: "",
};
const ROLL_UP: ManyRows = ManyRows {
    head: "INSERT INTO report_day (day, product, operation, code, reports) VALUES",
    columns: 5,
    tail: " ON CONFLICT (day, product, operation, code) DO UPDATE SET reports = report_day.reports + excluded.reports",
};

/// The many-rows statements of this file.
#[cfg(test)]
pub(crate) const MANY: &[ManyRows] = &[LIVE, COUNT, REPORT, ROLL_UP];

/// How far back the roll-ups go; what is older, or dated ahead, counts for the day it came.
const ROLL_UP_DAYS: i64 = limits::ROLL_UP_DAYS as i64;

/// What the roll-up counts by.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RollUpKey {
    day: i64,
    product: &'static str,
    operation: &'static str,
    code: String,
}

/// Reports of one host with one key.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) host: HostId,
    pub(super) key: IncidentKey,
    /// Their places among the failures, each with its moment.
    pub(super) members: Vec<(usize, Timestamp)>,
    /// The latest of them.
    pub(super) latest: &'a ReportedFailure,
    pub(super) incident: Option<IncidentId>,
}

/// Stores failures of many hosts, each host's in its order.
pub(super) async fn store(
    tx: &mut Tx,
    failures: &[(HostId, &ReportedFailure)],
    rules: &IncidentRules,
    now: Timestamp,
    random: Random<'_>,
    effects: &mut Effects,
) -> Result<()> {
    if failures.is_empty() {
        return Ok(());
    }
    let mut groups = group(failures, now);
    let mut incidents: Vec<Option<IncidentId>> = vec![None; failures.len()];
    count_in_live(tx, &mut groups).await?;
    opening::open_new(tx, &mut groups, rules, now, random).await?;
    for group in &groups {
        let Some(incident) = group.incident else { continue };
        effects.incidents.insert(incident);
        effects.triage = true;
        for (place, _) in &group.members {
            incidents[*place] = Some(incident);
        }
    }
    write_reports(tx, failures, &incidents, now).await?;
    count_for_roll_up(failures, now, effects);
    for group in groups.iter().filter(|group| group.incident.is_some()) {
        if superseded::may_replace(group.key.product, &group.latest.failure.message) {
            let at = moment(group.latest, now);
            superseded::settle(tx, group.host, None, at, effects).await?;
        }
    }
    for (host, failure) in failures {
        if let Some(success) = success(failure) {
            recovery::store(tx, *host, &success, now, effects).await?;
        }
    }
    keep_evidence(tx, failures, now, effects).await
}

/// Whether a report is of a success that ends failures told before it.
pub(super) fn ends_something(reported: &ReportedFailure) -> bool {
    success(reported).is_some()
}

/// What a report of a success ends: failures of the same product, operation and subject. An
/// installation without a subject says nothing of others.
fn success(reported: &ReportedFailure) -> Option<Recovery> {
    let report = &reported.failure;
    let one_of_many =
        matches!(report.operation, Operation::Install | Operation::Uninstall | Operation::Download);
    if report.kind != Kind::Success || (one_of_many && report.subject.is_none()) {
        return None;
    }
    let key = IncidentKey { code: None, ..report.incident_key() };
    Some(Recovery { key, at: reported.at, message: report.message.clone() })
}

/// A moment that lies no further ahead than clocks may differ.
fn moment(failure: &ReportedFailure, now: Timestamp) -> Timestamp {
    failure.at.min(now.after(limits::CLOCK_SKEW))
}

fn group<'a>(failures: &[(HostId, &'a ReportedFailure)], now: Timestamp) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<(HostId, IncidentKey), Group<'a>> = BTreeMap::new();
    for (place, (host, failure)) in failures.iter().enumerate() {
        if failure.failure.kind != Kind::Failure {
            continue;
        }
        let key = failure.failure.incident_key();
        let group = groups.entry((*host, key.clone())).or_insert_with(|| Group {
            host: *host,
            key,
            members: Vec::new(),
            latest: failure,
            incident: None,
        });
        group.members.push((place, moment(failure, now)));
        if failure.at >= group.latest.at {
            group.latest = failure;
        }
    }
    groups.into_values().collect()
}

pub(super) fn code_text(code: Option<&FailureCode>) -> String {
    code.map(ToString::to_string).unwrap_or_default()
}

/// Finds the live incidents and counts the reports in them.
async fn count_in_live(tx: &mut Tx, groups: &mut [Group<'_>]) -> Result<()> {
    let numbers: Vec<usize> = (0..groups.len()).collect();
    for piece in chunks(&numbers) {
        let sql = LIVE.sql(tx, piece.len());
        let found = on_tx!(&mut *tx, |c| {
            let mut query = sqlx::query_as::<_, (i64, Uuid)>(sql);
            for n in piece {
                query = bind_key!(query, *n, groups[*n]);
            }
            query.fetch_all(c).await
        })?;
        for (n, id) in found {
            if let Some(group) = usize::try_from(n).ok().and_then(|n| groups.get_mut(n)) {
                group.incident = Some(id.into());
            }
        }
    }
    let live: Vec<(IncidentId, &Group<'_>)> =
        groups.iter().filter_map(|g| g.incident.map(|id| (id, g))).collect();
    for piece in chunks(&live) {
        let sql = COUNT.sql(tx, piece.len());
        run!(&mut *tx, {
            let mut query = sqlx::query(sql);
            for (id, group) in piece {
                let (first, last) = group.span();
                query = query
                    .bind(id.0)
                    .bind(first.as_millis())
                    .bind(last.as_millis())
                    .bind(big(group.members.len() as u64))
                    .bind(group.symbol())
                    .bind(group.update_class())
                    .bind(&group.latest.failure.message);
            }
            query
        })?;
    }
    Ok(())
}

impl Group<'_> {
    pub(super) fn span(&self) -> (Timestamp, Timestamp) {
        let times = || self.members.iter().map(|(_, at)| *at);
        (times().min().unwrap_or_default(), times().max().unwrap_or_default())
    }

    /// Of the latest report: one that tells none leaves what is known.
    pub(super) fn update_class(&self) -> &'static str {
        self.latest.failure.update_class.map_or("", UpdateClass::as_str)
    }

    pub(super) fn symbol(&self) -> &str {
        self.latest.failure.symbol.as_deref().unwrap_or_default()
    }
}

async fn write_reports(
    tx: &mut Tx,
    failures: &[(HostId, &ReportedFailure)],
    incidents: &[Option<IncidentId>],
    now: Timestamp,
) -> Result<()> {
    let rows: Vec<_> = failures.iter().zip(incidents).collect();
    for piece in chunks(&rows) {
        let sql = REPORT.sql(tx, piece.len());
        run!(&mut *tx, {
            let mut query = sqlx::query(sql);
            for ((host, failure), incident) in piece {
                let report = &failure.failure;
                let evidence = bounded(failure);
                let evidence = if evidence.is_empty() { None } else { Some(to_json(evidence)?) };
                query = query
                    .bind(failure.id.0)
                    .bind(now.day())
                    .bind(now.as_millis())
                    .bind(host.0)
                    .bind(incident.map(|id| id.0))
                    .bind(day(failure, now))
                    .bind(moment(failure, now).as_millis())
                    .bind(report.time.to_string())
                    .bind(report.product.as_str())
                    .bind(report.operation.as_str())
                    .bind(code_text(report.code.as_ref()))
                    .bind(report.symbol.as_deref().unwrap_or_default())
                    .bind(report.kind.as_str())
                    .bind(report.subject.as_deref().unwrap_or_default())
                    .bind(report.source.as_str())
                    .bind(report.provider.as_deref())
                    .bind(report.event_id.map(i64::from))
                    .bind(report.record_id.map(big))
                    .bind(report.line.map(big))
                    .bind(report.count.map(big))
                    .bind(report.update_class.map_or("", UpdateClass::as_str))
                    .bind(&report.message)
                    .bind(evidence);
            }
            query
        })?;
    }
    Ok(())
}

fn bounded(failure: &ReportedFailure) -> &[Evidence] {
    let most = failure.evidence.len().min(limits::EVIDENCE_PER_REPORT);
    &failure.evidence[..most]
}

/// The day that a failure counts for.
fn day(failure: &ReportedFailure, now: Timestamp) -> i64 {
    let (day, today) = (moment(failure, now).day(), now.day());
    if (today - ROLL_UP_DAYS..=today).contains(&day) { day } else { today }
}

/// Counts the failures for the roll-up; [`roll_up`] writes them.
fn count_for_roll_up(
    failures: &[(HostId, &ReportedFailure)],
    now: Timestamp,
    effects: &mut Effects,
) {
    for (_, failure) in failures.iter().filter(|(_, f)| f.failure.kind == Kind::Failure) {
        let report = &failure.failure;
        let key = RollUpKey {
            day: day(failure, now),
            product: report.product.as_str(),
            operation: report.operation.as_str(),
            code: code_text(report.code.as_ref()),
        };
        *effects.roll_up.entry(key).or_default() += 1;
    }
}

/// Adds to the roll-up, once a transaction and in key order: its rows belong to no host, so two
/// writers that took them in orders of their own would wait for each other in a ring.
pub(super) async fn roll_up(tx: &mut Tx, counted: &BTreeMap<RollUpKey, i64>) -> Result<()> {
    let rows: Vec<_> = counted.iter().collect();
    for piece in chunks(&rows) {
        let sql = ROLL_UP.sql(tx, piece.len());
        run!(&mut *tx, {
            let mut query = sqlx::query(sql);
            for (key, n) in piece {
                query = query
                    .bind(key.day)
                    .bind(key.product)
                    .bind(key.operation)
                    .bind(&key.code)
                    .bind(*n);
            }
            query
        })?;
    }
    Ok(())
}

/// Keeps the latest answer of each probe; new evidence may change any verdict on its host.
async fn keep_evidence(
    tx: &mut Tx,
    failures: &[(HostId, &ReportedFailure)],
    now: Timestamp,
    effects: &mut Effects,
) -> Result<()> {
    let found: Vec<(HostId, &Evidence)> = failures
        .iter()
        .flat_map(|(host, failure)| bounded(failure).iter().map(|evidence| (*host, evidence)))
        .collect();
    if found.is_empty() {
        return Ok(());
    }
    save_evidence(tx, &found, now).await?;
    let mut hosts: Vec<HostId> = found.iter().map(|(host, _)| *host).collect();
    hosts.sort_unstable();
    hosts.dedup();
    want_triage_of(tx, &hosts).await?;
    effects.triage = true;
    Ok(())
}
