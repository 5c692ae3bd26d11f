//! The RPCs of the agents' port: each admits its caller and hands over.

use fleetmend_proto::v1;
use tokio::sync::mpsc;
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

/// Messages waiting for a slow agent.
const OUTGOING: usize = 32;

/// The agents' service.
#[derive(Debug, Clone)]
pub struct AgentLink {
    pub(super) shared: Shared,
    pub(super) ingest: Ingest,
    pub(super) seen: Seen,
    pub(super) life: Lifecycle,
}

impl AgentLink {
    /// The service over its parts.
    pub fn new(shared: Shared, ingest: Ingest, seen: Seen, life: Lifecycle) -> Self {
        Self { shared, ingest, seen, life }
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
        let standing = standing::check(&self.shared, &identity).await.inspect_err(|status| {
            tracing::info!(host.id = %identity.host, peer = %peer.addr, why = status.message(),
                "session refused");
        })?;
        peer.in_session();
        let (out, messages) = mpsc::channel(OUTGOING);
        let (inbound, not_after) = (request.into_inner(), standing.not_after);
        let opened = Opened { link: self.clone(), identity, not_after, inbound, out };
        self.life.spawn(session::run(opened));
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}
