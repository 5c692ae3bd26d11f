//! The RPCs of the agents' port: each admits its caller and hands over.

use std::sync::Arc;
use std::time::Duration;

use fleetmend_proto::v1;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::rules;
use super::seen::Seen;
use super::session::{self, Opened};
use super::standing;
use crate::enroll;
use crate::enroll::identity;
use crate::ingest::Ingest;
use crate::lifecycle::Lifecycle;
use crate::state::Shared;

/// Streams that ask the database at once, to be opened or to be given orders. A fleet that comes back
/// in one second waits here, and not for the database's connections, where a wait is an error.
const TURNS: usize = 16;
/// Time to wait for a turn: the agent waits ten seconds in all.
const TURN: Duration = Duration::from_secs(5);
/// Messages waiting for a slow agent.
const OUTGOING: usize = 32;

/// The agents' service.
#[derive(Debug, Clone)]
pub struct AgentLink {
    pub(super) shared: Shared,
    pub(super) ingest: Ingest,
    pub(super) seen: Seen,
    pub(super) life: Lifecycle,
    turns: Arc<Semaphore>,
}

impl AgentLink {
    /// The service over its parts.
    pub fn new(shared: Shared, ingest: Ingest, seen: Seen, life: Lifecycle) -> Self {
        Self { shared, ingest, seen, life, turns: Arc::new(Semaphore::new(TURNS)) }
    }

    /// A turn to ask the database; given back when dropped. Refused where it does not come in time,
    /// because those before are held up.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, Status> {
        match tokio::time::timeout(TURN, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => {
                Err(Status::unavailable("the server's database is slow or away; try again"))
            }
        }
    }
}

#[tonic::async_trait]
impl v1::agent_service_server::AgentService for AgentLink {
    async fn enroll(
        &self,
        request: Request<v1::EnrollRequest>,
    ) -> Result<Response<v1::EnrollResponse>, Status> {
        let peer = rules::ENROLL.admit(&request)?;
        let answer = enroll::service::enroll(&self.shared, &peer, request.into_inner()).await;
        crate::metrics::enrolment(answer.is_ok());
        answer.map(Response::new)
    }

    async fn renew_certificate(
        &self,
        request: Request<v1::RenewCertificateRequest>,
    ) -> Result<Response<v1::RenewCertificateResponse>, Status> {
        let peer = rules::RENEW.admit(&request)?;
        let answer = enroll::service::renew(&self.shared, &peer, request.into_inner()).await;
        crate::metrics::renewal(answer.is_ok());
        answer.map(Response::new)
    }

    type SessionStream = ReceiverStream<Result<v1::ServerMessage, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let peer = rules::SESSION.admit(&request)?;
        let identity = peer
            .certificate
            .as_deref()
            .ok_or_else(|| Status::unauthenticated("a client certificate is needed"))
            .and_then(|der| {
                identity::host_certificate(der)
                    .map_err(|err| Status::permission_denied(err.to_string()))
            })?;
        let turn = self.turn().await?;
        let standing = standing::check(&self.shared, &identity).await.inspect_err(|status| {
            let (host, why) = (identity.host, status.message());
            // A fleet that comes while the database is away is no news.
            if status.code() == tonic::Code::Unavailable {
                tracing::debug!(host.id = %host, peer = %peer.addr, why, "session refused");
            } else {
                tracing::info!(host.id = %host, peer = %peer.addr, why, "session refused");
            }
        })?;
        drop(turn);
        peer.in_session();
        let (out, messages) = mpsc::channel(OUTGOING);
        let (inbound, not_after) = (request.into_inner(), standing.not_after);
        let opened = Opened { link: self.clone(), identity, not_after, inbound, out };
        self.life.spawn(session::run(opened));
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}
