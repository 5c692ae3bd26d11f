//! Recoveries: what was failing works again without a job of ours. And gaps: what was lost.

use fleetmend_core::ids::{HostId, IncidentId};
use fleetmend_core::incident::{IncidentEvent, IncidentState};
use fleetmend_core::report::{Operation, Recovery};
use fleetmend_core::spool_item::Gap;
use fleetmend_core::supersede::MonthlyUpdate;
use fleetmend_core::time::Timestamp;
use fleetmend_core::{limits, words};
use uuid::Uuid;

use super::apply::Effects;
use super::{passing, superseded};
use crate::backend::{Tx, on_tx, run};
use crate::error::Result;
use crate::hosts::TimelineKind;
use crate::hosts::lifecycle::note_event;
use crate::incidents::overdue::overdue_codes;
use crate::row::{At, big};
use crate::sql::statements;

statements! {
    /// An empty code or subject stands for any. What failed again after the recovery is not meant; what
    /// is overdue ends only when nothing is overdue any more.
    MATCHING = concat!("SELECT i.id, i.state, (SELECT COUNT(*) FROM job j WHERE j.incident_id = i.id AND j.ended_ms IS NULL) AS jobs \
        FROM incident i WHERE i.host_id = $1 AND i.product = $2 AND i.operation = $3 AND i.ended_ms IS NULL \
        AND ($4 = '' OR i.code = $4) AND ($5 = '' OR i.subject = $5) AND i.last_seen_ms <= $6 \
        AND i.code NOT IN ", overdue_codes!(), " ORDER BY i.id");
    RESOLVE = "UPDATE incident SET state = $2, ended_ms = $3, recovered_ms = $3 WHERE id = $1";
    NOTE_RECOVERED = "UPDATE incident SET recovered_ms = $2 WHERE id = $1";
    LOST = "UPDATE host SET lost_items = lost_items + $2, lost_reason = $3 WHERE id = $1";
}

/// Ends the incidents that a recovery means. Under an active job it is only noted: the job's own
/// proof goes first.
pub(super) async fn store(
    tx: &mut Tx,
    host: HostId,
    recovery: &Recovery,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<()> {
    let at = recovery.at.min(now);
    let code = recovery.key.code.as_ref().map(ToString::to_string).unwrap_or_default();
    let rows: Vec<(Uuid, String, i64)> = on_tx!(&mut *tx, |c| sqlx::query_as(MATCHING)
        .bind(host.0)
        .bind(recovery.key.product.as_str())
        .bind(recovery.key.operation.as_str())
        .bind(code)
        .bind(recovery.key.subject.as_deref().unwrap_or_default())
        .bind(at.as_millis())
        .fetch_all(c)
        .await)?;
    let passed = passing::passed(tx, host, recovery, at).await?;
    let installed = MonthlyUpdate::find(&recovery.message).filter(|_| {
        let Recovery { key, message, .. } = recovery;
        key.operation == Operation::Install && superseded::may_replace(key.product, message)
    });
    if rows.is_empty() && passed == 0 && installed.is_none() {
        return Ok(());
    }
    for (id, state, active_jobs) in rows {
        let state: IncidentState = At { table: "incident", id: &id }.word("state", &state)?;
        if active_jobs > 0 {
            run!(&mut *tx, sqlx::query(NOTE_RECOVERED).bind(id).bind(at.as_millis()))?;
        } else if let Some(after) = state.after(IncidentEvent::Recovered) {
            run!(
                &mut *tx,
                sqlx::query(RESOLVE).bind(id).bind(after.as_str()).bind(at.as_millis())
            )?;
        }
        effects.incidents.insert(IncidentId::from(id));
    }
    if installed.is_some() {
        superseded::settle(tx, host, installed.as_ref(), at, effects).await?;
    }
    let key = &recovery.key;
    let text = format!("{} {} works again: {}", key.product, key.operation, recovery.message);
    let text = words::cut(&text, limits::REPORT_MESSAGE_BYTES);
    note_event(tx, host, at, TimelineKind::Recovery, text).await
}

/// Counts what an agent lost.
pub(super) async fn gap(tx: &mut Tx, host: HostId, gap: &Gap, now: Timestamp) -> Result<()> {
    let reason = words::cut(&gap.reason, 255);
    run!(&mut *tx, sqlx::query(LOST).bind(host.0).bind(big(gap.items.min(1 << 40))).bind(reason))?;
    let text = format!("{} items were lost: {reason}", gap.items);
    note_event(tx, host, gap.at.min(now), TimelineKind::Gap, &text).await
}
