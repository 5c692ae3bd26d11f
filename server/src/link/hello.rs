//! The first message of a stream: taken in its time, and what it changes.

use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use fleetmend_proto::v1::agent_message::Body as FromAgent;
use fleetmend_proto::{Hello, v1};
use fleetmend_store::{JobFilter, PageRequest, StoreError};
use tonic::{Status, Streaming};

use super::ended::Ended;
use super::push;
use crate::metrics::StreamEnd;
use crate::state::Shared;

/// The first message, in its time.
pub(super) async fn receive(inbound: &mut Streaming<v1::AgentMessage>) -> Result<Hello, Ended> {
    let first =
        tokio::time::timeout(limits::FIRST_MESSAGE, inbound.message()).await.map_err(|_| {
            Ended::new(
                StreamEnd::Idle,
                Status::deadline_exceeded("no hello came within 10 seconds"),
            )
        })?;
    match first.map_err(Ended::broken)?.map(|message| message.body) {
        None => Err(Ended::closed()),
        Some(Some(FromAgent::Hello(hello))) => {
            Hello::try_from(hello).map_err(|err| Ended::protocol(&err.within("hello")))
        }
        Some(_) => Err(Ended::new(
            StreamEnd::Protocol,
            Status::failed_precondition("the first message must be a hello"),
        )),
    }
}

/// Writes what a hello changes, and gives the position of its spool. Most change nothing and cost
/// reads only: after an outage a whole fleet says hello at once.
pub(super) async fn note(
    shared: &Shared,
    host: HostId,
    hello: &Hello,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let db = &shared.db;
    if db.host(host).await?.is_none_or(|stored| stored.facts != hello.facts) {
        db.save_facts(host, &hello.facts, now).await?;
    }
    if hello.order_counter > 0 {
        db.raise_counter(host, hello.order_counter).await?;
    }
    let offered =
        JobFilter { host: Some(host), state: vec![JobState::Offered], ..JobFilter::default() };
    if db.jobs(&offered, &PageRequest::first(1)).await?.total > 0 {
        let known: Vec<JobId> = hello.open_jobs.iter().map(|open| open.job).collect();
        push::again(shared, host, &known).await?;
    }
    db.spool_position(host, hello.epoch).await
}
