//! Updates that failed and were replaced by a later one: a later monthly cumulative update of the same
//! kind failed or succeeded on the host, and it holds all that the earlier one held.

use fleetmend_core::ids::{HostId, IncidentId};
use fleetmend_core::incident::{IncidentEvent, IncidentState};
use fleetmend_core::report::Product;
use fleetmend_core::supersede::MonthlyUpdate;
use fleetmend_core::time::Timestamp;
use uuid::Uuid;

use super::apply::Effects;
use crate::backend::{Tx, on_tx, run};
use crate::error::Result;
use crate::hosts::TimelineKind;
use crate::hosts::lifecycle::note_event;
use crate::row::At;
use crate::sql::statements;

statements! {
    /// What a job works on is the job's to end.
    LIVE = "SELECT i.id, i.state, i.message, i.last_seen_ms FROM incident i WHERE i.host_id = $1 AND i.product = 'windows_update' \
        AND i.operation IN ('download', 'install') AND i.ended_ms IS NULL \
        AND NOT EXISTS (SELECT 1 FROM job j WHERE j.incident_id = i.id AND j.ended_ms IS NULL) ORDER BY i.id LIMIT 200";
    SUPERSEDE = "UPDATE incident SET state = $2, ended_ms = $3, successor_id = $4, successor = $5 WHERE id = $1";
}

/// Whether a report or success can tell of an update that replaces others.
pub(super) fn may_replace(product: Product, message: &str) -> bool {
    product == Product::WindowsUpdate && MonthlyUpdate::find(message).is_some()
}

/// Ends what was replaced on a host: by another incident's update, or by `installed`.
pub(super) async fn settle(
    tx: &mut Tx,
    host: HostId,
    installed: Option<&MonthlyUpdate>,
    at: Timestamp,
    effects: &mut Effects,
) -> Result<()> {
    let rows: Vec<(Uuid, String, String, i64)> =
        on_tx!(&mut *tx, |c| sqlx::query_as(LIVE).bind(host.0).fetch_all(c).await)?;
    let mut live = Vec::new();
    for (id, state, message, seen) in rows {
        let state: IncidentState = At { table: "incident", id: &id }.word("state", &state)?;
        if let Some(update) = MonthlyUpdate::find(&message) {
            live.push((id, state, update, seen));
        }
    }
    for (id, state, older, seen) in &live {
        let Some(after) = state.after(IncidentEvent::Superseded) else { continue };
        let newer = live
            .iter()
            .map(|(id, _, update, seen)| (Some(*id), update, *seen))
            .chain(installed.map(|update| (None, update, at.as_millis())))
            // What fails after the later one came is offered still: nothing replaced it.
            .filter(|(_, update, after)| update.replaces(older) && after >= seen)
            // What was installed last, else the latest that fails.
            .reduce(
                |kept, next| {
                    if next.0.is_none() || next.1.replaces(kept.1) { next } else { kept }
                },
            );
        let Some((successor, update, _)) = newer else { continue };
        run!(
            &mut *tx,
            sqlx::query(SUPERSEDE)
                .bind(id)
                .bind(after.as_str())
                .bind(at.as_millis())
                .bind(successor)
                .bind(&update.kb)
        )?;
        let text = format!("{} was replaced by {}", older.kb, update.kb);
        note_event(tx, host, at, TimelineKind::Superseded, &text).await?;
        effects.incidents.insert(IncidentId::from(*id));
    }
    Ok(())
}
