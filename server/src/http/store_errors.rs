//! What the store's errors are to a caller.

use fleetmend_store::StoreError;

use super::problem::Problem;
use crate::database;

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if database::note(&error) {
            // Said in the log once, by whoever watches the database.
            tracing::debug!(error = database::chain(&error), "the database is away");
            return Self::away(
                "the database is away: try again in a moment, and look first whether a change was made",
            );
        }
        match error {
            StoreError::NotFound { .. } => Self::not_found(error.to_string()),
            StoreError::Conflict(text) => Self::conflict("conflict", text),
            StoreError::JobActive { job } => {
                Self::conflict("job_active", error.to_string()).with("job", job)
            }
            StoreError::BadCursor(_) => Self::bad("cursor", error.to_string()),
            // What is left is a defect, or a database that somebody changed.
            error => Self::internal(database::chain(&error)),
        }
    }
}
