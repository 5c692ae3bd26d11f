//! What the store's errors are to a caller.

use fleetmend_store::StoreError;

use super::problem::Problem;

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self::not_found(error.to_string()),
            StoreError::Conflict(text) => Self::conflict("conflict", text),
            StoreError::JobActive { job } => {
                Self::conflict("job_active", error.to_string()).with("job", job)
            }
            StoreError::BadCursor(_) => Self::bad("cursor", error.to_string()),
            StoreError::Busy(_) => {
                let mut problem = Self::busy("the database is busy: try again in a moment");
                problem.cause = Some(chain(&error));
                problem
            }
            StoreError::Open { .. }
            | StoreError::Inconsistent { .. }
            | StoreError::Migrate(_)
            | StoreError::Driver(_) => Self::internal(chain(&error)),
        }
    }
}

/// An error with all that lies beneath it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
