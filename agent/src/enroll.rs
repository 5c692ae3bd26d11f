//! Bringing this host into a fleet, and keeping it there: enrolment with a token, and the renewal of
//! its certificate. A failure of either leaves what was there untouched.

use std::sync::Arc;
use std::time::Duration;

use fleetmend_core::ids::HostId;
use fleetmend_core::time::{Clock, Timestamp};
use fleetmend_proto::trust::TokenText;
use fleetmend_proto::{renewal_input, v1};
use tonic::transport::Channel;
use uuid::Uuid;

use fleetmend_proto::v1::agent_service_client::AgentServiceClient;

use crate::identity::{HostKey, Identity, IdentityError};
use crate::link::address::{ProxyEnvironment, ServerAddress, choose_proxy};
use crate::link::dial::Dialer;
use crate::link::tls;
use crate::link::trouble::Trouble;
use crate::platform::Platform;
use crate::state::StateDir;

/// Time for the server's answer to one call.
const ANSWER: Duration = Duration::from_secs(30);

/// What `enroll` is given.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where the server is.
    pub server: ServerAddress,
    /// The enrolment token.
    pub token: TokenText,
    /// A proxy, `none`, or the environment's.
    pub proxy: Option<String>,
    /// A name instead of the machine's own.
    pub name: Option<String>,
}

/// Why a host could not be enrolled or its certificate not renewed.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// There is an identity already.
    #[error(
        "this host is enrolled already as {host} at {server}; to start over, run `fleetmend-agent generalize`, then enrol again (the server keeps the old host until it is retired)"
    )]
    Enrolled {
        /// As which host.
        host: HostId,
        /// Where.
        server: ServerAddress,
    },
    /// The address of the proxy cannot be read.
    #[error(transparent)]
    Address(#[from] crate::link::address::BadAddress),
    /// The server cannot be reached.
    #[error(transparent)]
    Link(#[from] Trouble),
    /// The server said no.
    #[error("the server refused: {0}")]
    Refused(String),
    /// Key, certificates or the state directory.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The machine does not say what it is.
    #[error("this machine's facts cannot be read: {0}")]
    Facts(#[from] std::io::Error),
}

/// What an enrolment gave.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// The identity, saved already.
    pub identity: Identity,
    /// Whether a person must accept the host before it gets orders.
    pub pending: bool,
}

/// Enrols this host: makes its key here, proves itself by the token, and stores what comes back in
/// one step.
pub async fn enroll(
    state: &StateDir,
    request: Request,
    platform: &dyn Platform,
    clock: Arc<dyn Clock>,
) -> Result<Enrolled, EnrollError> {
    if let Some(identity) = Identity::load(state)? {
        return Err(EnrollError::Enrolled { host: identity.host, server: identity.server });
    }
    let mut facts = platform.facts()?;
    if let Some(name) = &request.name {
        facts.name.clone_from(name);
    }
    let key = HostKey::generate()?;
    let csr = key.csr()?;
    let environment = ProxyEnvironment::read();
    let dialer = Dialer {
        server: request.server.clone(),
        proxy: choose_proxy(request.proxy.as_deref(), &environment, &request.server)?,
        tls: tls::client_config(request.token.root, None, Arc::clone(&clock))?,
        clock: Arc::clone(&clock),
    };
    let mut client = dialer.client().await?;
    let call = client.enroll(v1::EnrollRequest {
        token: request.token.to_string(),
        csr,
        facts: Some((&facts).into()),
    });
    let answer = answer(call, &request.server).await?;
    let host = Uuid::from_slice(&answer.host_id)
        .map_err(|e| IdentityError::unusable("the host id that the server gave", e))?;
    let now = clock.now();
    let mut identity =
        Identity::new(HostId(host), request.server, request.token.root, &key, &answer.chain, now)?;
    identity.proxy = request.proxy;
    identity.name = request.name;
    identity.save(state)?;
    Ok(Enrolled { identity, pending: answer.pending })
}

/// Asks for a new certificate over `client`: a connection with the host's certificate, or, where
/// that has expired, one without, and proof of the key.
pub async fn renew(
    client: &mut AgentServiceClient<Channel>,
    identity: &Identity,
    expired: bool,
    now: Timestamp,
) -> Result<Identity, EnrollError> {
    let key = identity.host_key()?;
    let csr = key.csr()?;
    let proof = if expired {
        let certificate = identity.certificates()?.first().map(|c| c.to_vec()).unwrap_or_default();
        let signature = key.sign(&renewal_input(identity.host, now, &csr))?;
        Some(v1::KeyProof { certificate, at: now.as_millis(), signature })
    } else {
        None
    };
    let call = client.renew_certificate(v1::RenewCertificateRequest { csr, proof });
    let answer = answer(call, &identity.server).await?;
    let mut renewed = identity.clone();
    renewed.renew(&answer.chain)?;
    Ok(renewed)
}

/// The answer to a call, in its time.
async fn answer<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    server: &ServerAddress,
) -> Result<T, EnrollError> {
    let silent = |_| Trouble::Silent { what: format!("the server {server}"), after: ANSWER };
    let answer = tokio::time::timeout(ANSWER, call).await.map_err(silent)?;
    answer.map(tonic::Response::into_inner).map_err(|status| refused(&status))
}

fn refused(status: &tonic::Status) -> EnrollError {
    match status.code() {
        tonic::Code::Unavailable | tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => {
            EnrollError::Link(Trouble::from_status(status))
        }
        _ => EnrollError::Refused(status.message().to_owned()),
    }
}
