//! How a stream ends, and what its agent is told.

use fleetmend_proto::ConvertError;
use fleetmend_store::StoreError;
use tonic::Status;

use crate::metrics::StreamEnd;
use crate::state::Shared;

/// Why a stream ends, and what the agent is told; `None` ends it without an error.
pub(super) struct Ended {
    pub(super) why: StreamEnd,
    pub(super) status: Option<Status>,
}

impl Ended {
    pub(super) fn new(why: StreamEnd, status: Status) -> Self {
        Self { why, status: Some(status) }
    }

    pub(super) fn closed() -> Self {
        Self { why: StreamEnd::Closed, status: None }
    }

    /// The stream broke, or its message was over a bound.
    pub(super) fn broken(status: Status) -> Self {
        let oversized = matches!(
            status.code(),
            tonic::Code::OutOfRange | tonic::Code::ResourceExhausted | tonic::Code::InvalidArgument
        );
        let why = if oversized { StreamEnd::Protocol } else { StreamEnd::Closed };
        Self::new(why, status)
    }

    pub(super) fn protocol(error: &ConvertError) -> Self {
        Self::new(StreamEnd::Protocol, Status::invalid_argument(error.to_string()))
    }

    /// The certificate does not stand, or could not be looked up.
    pub(super) fn refused(status: Status) -> Self {
        let unavailable = status.code() == tonic::Code::Unavailable;
        Self::new(if unavailable { StreamEnd::Internal } else { StreamEnd::Refused }, status)
    }

    pub(super) fn asked(why: StreamEnd, words: String) -> Self {
        let status = match why {
            StreamEnd::Refused => Status::permission_denied(words),
            StreamEnd::Replaced => Status::aborted(words),
            StreamEnd::Closed
            | StreamEnd::Idle
            | StreamEnd::Protocol
            | StreamEnd::Aged
            | StreamEnd::Shutdown
            | StreamEnd::Internal => Status::unavailable(words),
        };
        Self::new(why, status)
    }
}

/// The database failed a session: said to it, and told to the agent.
pub(super) fn failed(shared: &Shared, error: &StoreError) -> Ended {
    shared.database.failed("the database failed a session", error);
    Ended::new(StreamEnd::Internal, Status::unavailable("the server's database fails; try again"))
}
