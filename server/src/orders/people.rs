//! Work for people, where no agent can do more about an incident.

use fleetmend_core::ids::{GuidedTaskId, IncidentId};
use fleetmend_core::plan::Plan;
use fleetmend_core::time::Clock;
use fleetmend_store::{Db, NewGuidedTask, StoreError};

use crate::entropy;

/// Asks people for the plan's best guided remediation where an agent can do nothing of it. `None`
/// where it can, where nothing is guided, and where people were asked already or declined.
///
/// # Errors
/// Where the database cannot be written.
pub async fn ask_people(
    db: &Db,
    plan: &Plan,
    incident: IncidentId,
    clock: &dyn Clock,
    by: &str,
) -> Result<Option<GuidedTaskId>, StoreError> {
    let Some(step) = plan.for_people() else { return Ok(None) };
    let new = NewGuidedTask {
        id: entropy::id(GuidedTaskId::at, clock),
        incident,
        cause: step.cause.clone(),
        remediation: step.remediation.clone(),
        version: step.version,
    };
    match db.open_guided_task(&new, false, by, clock.now()).await {
        // The incident ended meanwhile: nobody is needed.
        Err(StoreError::Conflict(_)) => Ok(None),
        other => other,
    }
}
