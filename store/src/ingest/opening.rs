//! Opening incidents for failures without a live one.

use std::collections::BTreeMap;

use fleetmend_core::host::Labels;
use fleetmend_core::ids::{HostId, IncidentId};
use fleetmend_core::incident::{IncidentRules, IncidentState, recurs_within};
use fleetmend_core::report::Operation;
use fleetmend_core::time::Timestamp;
use uuid::Uuid;

use super::failures::{Group, bind_key, code_text};
use super::{Random, passing};
use crate::backend::{Tx, on_tx, run};
use crate::error::Result;
use crate::row::{At, big, time};
use crate::sql::{ManyRows, chunks, statements};

statements! {
    MARK_RELAPSED = "UPDATE job SET relapsed_ms = $2 WHERE incident_id = $1 AND state = 'fixed' AND relapsed_ms IS NULL";
    /// The try that fixed it; efficacy is counted from tries.
    MARK_TRY = "UPDATE job_attempt SET relapsed = TRUE WHERE state = 'fixed' AND job_id IN ( \
        SELECT id FROM job WHERE incident_id = $1 AND state = 'fixed')";
    LABELS = "SELECT labels FROM host WHERE id = $1";
}

const LAST_ENDED: ManyRows = ManyRows {
    head: "WITH k (n, host_id, product, operation, code, subject) AS (VALUES",
    columns: 6,
    tail: ") SELECT k.n, i.id, i.state, i.ended_ms FROM k JOIN incident i ON i.host_id = k.host_id AND i.product = k.product \
        AND i.operation = k.operation AND i.code = k.code AND i.subject = k.subject \
        WHERE i.ended_ms IS NOT NULL AND i.ended_ms = ( \
            SELECT MAX(e.ended_ms) FROM incident e WHERE e.host_id = k.host_id AND e.product = k.product \
            AND e.operation = k.operation AND e.code = k.code AND e.subject = k.subject AND e.ended_ms IS NOT NULL) \
        ORDER BY i.id",
};
const OPEN: ManyRows = ManyRows {
    head: "INSERT INTO incident (id, host_id, product, operation, code, subject, symbol, update_class, message, state, opened_ms, \
        first_seen_ms, last_seen_ms, reports, previous_id) VALUES",
    columns: 15,
    tail: "",
};

/// The many-rows statements of this file.
#[cfg(test)]
pub(crate) const MANY: &[ManyRows] = &[LAST_ENDED, OPEN];

/// What is known of the last incident with a key.
#[derive(Debug, Clone, Copy)]
struct Ended {
    id: IncidentId,
    state: IncidentState,
    at: Timestamp,
}

/// Opens incidents for the keys without a live one. Reports from before the end of the last incident
/// are old news and open nothing; failures that go by themselves open one only when they have not.
pub(super) async fn open_new(
    tx: &mut Tx,
    groups: &mut [Group<'_>],
    rules: &IncidentRules,
    now: Timestamp,
    random: Random<'_>,
) -> Result<()> {
    let mut without: Vec<usize> =
        (0..groups.len()).filter(|n| groups[*n].incident.is_none()).collect();
    let ended = last_ended(tx, groups, &without).await?;
    for (n, last) in &ended {
        groups[*n].members.retain(|(_, at)| *at > last.at);
    }
    without.retain(|n| !groups[*n].members.is_empty());
    let passes = |n: &usize| rules.passes(groups[*n].key.code.as_ref());
    let waiting: Vec<_> = without.iter().filter(|n| passes(n)).map(|n| (*n, &groups[*n])).collect();
    let counted = passing::take(tx, rules, &waiting).await?;
    without.retain(|n| !passes(n) || counted.contains_key(n));

    let mut opened = Vec::new();
    for n in without {
        let mut previous = None;
        if let Some(last) = ended.get(&n) {
            let (group, (first, _)) = (&groups[n], groups[n].span());
            let over = matches!(last.state, IncidentState::Fixed | IncidentState::Resolved);
            if over && first.since(last.at) <= window(tx, rules, group).await? {
                previous = Some(last.id);
            }
        }
        groups[n].incident = Some(IncidentId::at(now, random()));
        opened.push((n, previous));
    }
    for piece in chunks(&opened) {
        let sql = OPEN.sql(tx, piece.len());
        run!(&mut *tx, {
            let mut query = sqlx::query(sql);
            for (n, previous) in piece {
                let group = &groups[*n];
                let (mut first, last) = group.span();
                let mut reports = group.members.len() as u64;
                if let Some(counted) = counted.get(n) {
                    (first, reports) = (counted.first, counted.failures);
                }
                let state =
                    if previous.is_some() { IncidentState::Recurred } else { IncidentState::Open };
                query = query
                    .bind(group.incident.map(|id| id.0))
                    .bind(group.host.0)
                    .bind(group.key.product.as_str())
                    .bind(group.key.operation.as_str())
                    .bind(code_text(group.key.code.as_ref()))
                    .bind(group.key.subject.as_deref().unwrap_or_default())
                    .bind(group.symbol())
                    .bind(group.update_class())
                    .bind(&group.latest.failure.message)
                    .bind(state.as_str())
                    .bind(now.as_millis())
                    .bind(first.as_millis())
                    .bind(last.as_millis())
                    .bind(big(reports))
                    .bind(previous.map(|id| id.0));
            }
            query
        })?;
    }
    for (n, counted) in counted {
        if let Some(incident) = groups[n].incident {
            passing::hand_over(tx, incident, &groups[n], counted).await?;
        }
    }
    for previous in opened.iter().filter_map(|(_, previous)| *previous) {
        run!(&mut *tx, sqlx::query(MARK_RELAPSED).bind(previous.0).bind(now.as_millis()))?;
        run!(&mut *tx, sqlx::query(MARK_TRY).bind(previous.0))?;
    }
    Ok(())
}

/// Within which time a group's failure came back.
async fn window(
    tx: &mut Tx,
    rules: &IncidentRules,
    group: &Group<'_>,
) -> Result<std::time::Duration> {
    let mut limits = rules.overdue.usual;
    if group.key.operation == Operation::Backup && !rules.overdue.by_label.is_empty() {
        limits = rules.overdue.of(&labels_of(tx, group.host).await?);
    }
    Ok(recurs_within(group.key.operation, limits.backup_every.duration()))
}

async fn labels_of(tx: &mut Tx, host: HostId) -> Result<Labels> {
    let labels: String =
        on_tx!(tx, |c| sqlx::query_scalar(LABELS).bind(host.0).fetch_one(c).await)?;
    At { table: "host", id: &host }.json("labels", &labels)
}

async fn last_ended(
    tx: &mut Tx,
    groups: &[Group<'_>],
    wanted: &[usize],
) -> Result<BTreeMap<usize, Ended>> {
    let mut ended = BTreeMap::new();
    for piece in chunks(wanted) {
        let sql = LAST_ENDED.sql(tx, piece.len());
        let found = on_tx!(&mut *tx, |c| {
            let mut query = sqlx::query_as::<_, (i64, Uuid, String, i64)>(sql);
            for n in piece {
                query = bind_key!(query, *n, groups[*n]);
            }
            query.fetch_all(c).await
        })?;
        for (n, id, state, at) in found {
            let state = At { table: "incident", id: &id }.word("state", &state)?;
            if let Ok(n) = usize::try_from(n) {
                ended.insert(n, Ended { id: id.into(), state, at: time(at) });
            }
        }
    }
    Ok(ended)
}
