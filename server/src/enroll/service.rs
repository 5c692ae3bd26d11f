//! Enrolment and renewal: who gets a certificate.

use fleetmend_core::host::{HostFacts, Lifecycle};
use fleetmend_core::ids::HostId;
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use fleetmend_proto::trust::TokenText;
use fleetmend_proto::{ConvertError, renewal_input, v1};
use fleetmend_store::{
    AuditEntry, CertificateStanding, EnrolError, Enrolment, NewCertificate, StoreError,
    TokenRefused,
};
use tonic::Status;

use super::authority::{AuthorityError, IssuedCertificate};
use super::identity::{self, HostCertificate, IdentityError};
use super::token;
use crate::entropy;
use crate::events::Event;
use crate::state::Shared;
use crate::tls::Peer;

/// Why a caller gets no certificate. The words go to the caller.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("token: {0}")]
    Malformed(#[from] fleetmend_proto::trust::BadToken),
    #[error("{0}")]
    Token(#[from] TokenRefused),
    #[error("{0}")]
    Identity(#[from] IdentityError),
    #[error("{0}")]
    Convert(#[from] ConvertError),
    #[error("{0}")]
    Standing(String),
    #[error("{0}")]
    Conflict(String),
    #[error("the server's database fails; try again")]
    Store(#[source] StoreError),
    #[error("the server could not make a certificate")]
    Authority(#[from] AuthorityError),
}

impl From<StoreError> for Refused {
    fn from(err: StoreError) -> Self {
        match err {
            StoreError::Conflict(words) => Self::Conflict(words),
            other => Self::Store(other),
        }
    }
}

impl From<EnrolError> for Refused {
    fn from(err: EnrolError) -> Self {
        match err {
            EnrolError::Token(refused) => refused.into(),
            EnrolError::Store(err) => err.into(),
        }
    }
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let words = refused.to_string();
        match refused {
            Refused::Identity(IdentityError::Signature | IdentityError::NoHost)
            | Refused::Token(_)
            | Refused::Standing(_) => Self::permission_denied(words),
            Refused::Malformed(_) | Refused::Convert(_) | Refused::Identity(_) => {
                Self::invalid_argument(words)
            }
            Refused::Conflict(_) => Self::already_exists(words),
            Refused::Store(error) => {
                crate::database::failed("the database failed a call", &error);
                Self::unavailable(words)
            }
            Refused::Authority(error) => {
                tracing::error!(%error, "no certificate could be made");
                Self::internal(words)
            }
        }
    }
}

/// Brings a host into the fleet: token, signing request, facts; everything in one transaction.
pub async fn enroll(
    shared: &Shared,
    peer: &Peer,
    request: v1::EnrollRequest,
) -> Result<v1::EnrollResponse, Status> {
    let answer = try_enroll(shared, peer, request).await;
    if let Err(refused) = &answer {
        tracing::warn!(peer = %peer.addr, why = %refused, "enrolment refused");
        note_refusal(shared, peer, refused).await;
    }
    Ok(answer?)
}

/// A new certificate for a host that is known: by its valid certificate, or by proof of the key of
/// one that has expired.
pub async fn renew(
    shared: &Shared,
    peer: &Peer,
    request: v1::RenewCertificateRequest,
) -> Result<v1::RenewCertificateResponse, Status> {
    let answer = try_renew(shared, peer, request).await;
    if let Err(refused) = &answer {
        tracing::warn!(peer = %peer.addr, why = %refused, "renewal refused");
    }
    Ok(answer?)
}

async fn try_enroll(
    shared: &Shared,
    peer: &Peer,
    request: v1::EnrollRequest,
) -> Result<v1::EnrollResponse, Refused> {
    let token: TokenText = request.token.parse()?;
    let public_key = identity::csr_public_key(&request.csr)?;
    let facts = request.facts.ok_or_else(|| ConvertError {
        field: "facts".to_owned(),
        problem: "is missing".to_owned(),
    })?;
    let facts = HostFacts::try_from(facts).map_err(|err| err.within("facts"))?;
    let (now, ip) = (shared.clock.now(), peer.addr.ip().to_canonical());
    let token_hash = token::hash(&token.secret);
    // Looked at first: a bad token costs one read, and no signature.
    shared.db.check_enrollment_token(&token_hash, ip, now).await?;
    let host = entropy::id(HostId::at, &*shared.clock);
    let issued =
        shared.authority.issue_host(host, &public_key, shared.config.certificate_life())?;
    let enrolment = Enrolment {
        token_hash,
        peer: ip,
        host,
        certificate: new_certificate(&issued, public_key),
        facts,
    };
    let enrolled = shared.db.enrol(&enrolment, now).await?;
    tracing::info!(host.id = %host, name = enrolment.facts.name, peer = %peer.addr,
        lifecycle = %enrolled.lifecycle, "host enrolled");
    shared.events.tell(Event::Host { id: host });
    Ok(v1::EnrollResponse {
        host_id: host.0.as_bytes().to_vec(),
        chain: issued.chain,
        pending: enrolled.lifecycle == Lifecycle::Pending,
    })
}

async fn try_renew(
    shared: &Shared,
    peer: &Peer,
    request: v1::RenewCertificateRequest,
) -> Result<v1::RenewCertificateResponse, Refused> {
    let now = shared.clock.now();
    let public_key = identity::csr_public_key(&request.csr)?;
    let host = match (&peer.certificate, &request.proof) {
        (Some(certificate), _) => by_certificate(shared, certificate, now).await?,
        (None, Some(proof)) => by_proof(shared, proof, &request.csr, now).await?,
        (None, None) => {
            let words = "show the host's certificate, or prove its key where it has expired";
            return Err(Refused::Standing(words.to_owned()));
        }
    };
    let issued =
        shared.authority.issue_host(host, &public_key, shared.config.certificate_life())?;
    let certificate = new_certificate(&issued, public_key);
    shared.db.add_certificate(host, &certificate, &format!("host {host}"), now).await?;
    tracing::info!(host.id = %host, peer = %peer.addr, "certificate renewed");
    Ok(v1::RenewCertificateResponse { chain: issued.chain })
}

async fn by_certificate(
    shared: &Shared,
    certificate: &[u8],
    now: Timestamp,
) -> Result<HostId, Refused> {
    let shown = identity::host_certificate(certificate)?;
    let standing = standing(shared, &shown).await?;
    match crate::link::refusal(&standing, now) {
        Some(why) => Err(Refused::Standing(why.to_owned())),
        None => Ok(shown.host),
    }
}

async fn by_proof(
    shared: &Shared,
    proof: &v1::KeyProof,
    csr: &[u8],
    now: Timestamp,
) -> Result<HostId, Refused> {
    let at = Timestamp::from_millis(proof.at);
    if now.since(at).max(at.since(now)) > limits::CLOCK_SKEW {
        return Err(Refused::Standing(format!(
            "proof.at: {at} is more than five minutes from the server's time {now}: set the clock"
        )));
    }
    let shown = identity::host_certificate(&proof.certificate)?;
    // The key is the one that we stored with the serial number, whatever the sent copy holds.
    let standing = standing(shared, &shown).await?;
    let signed = renewal_input(shown.host, at, csr);
    identity::verify(&standing.public_key, &signed, &proof.signature)?;
    if now > standing.not_after.after(limits::RETURN_WITHIN) {
        let days = limits::RETURN_WITHIN.as_secs() / 86_400;
        return Err(Refused::Standing(format!(
            "the certificate expired more than {days} days ago: enrol the host again"
        )));
    }
    // All but its time must stand.
    let unexpired = CertificateStanding { not_after: Timestamp::MAX, ..standing };
    match crate::link::refusal(&unexpired, now) {
        Some(why) => Err(Refused::Standing(why.to_owned())),
        None => Ok(shown.host),
    }
}

async fn standing(
    shared: &Shared,
    shown: &HostCertificate,
) -> Result<CertificateStanding, Refused> {
    let found = shared.db.certificate_standing(&shown.serial).await?;
    found
        .filter(|standing| standing.host == shown.host)
        .ok_or_else(|| Refused::Standing("the certificate is unknown to this server".to_owned()))
}

fn new_certificate(issued: &IssuedCertificate, public_key: Vec<u8>) -> NewCertificate {
    NewCertificate {
        serial: issued.serial.clone(),
        public_key,
        not_before: issued.not_before,
        not_after: issued.not_after,
    }
}

/// Refusals of tokens that are known stand in the audit log: somebody may have found one. Unknown
/// ones are counted only, so that nobody can fill the log.
async fn note_refusal(shared: &Shared, peer: &Peer, refused: &Refused) {
    let known = match refused {
        Refused::Token(why) => !matches!(why, TokenRefused::Unknown),
        Refused::Conflict(_) => true,
        _ => false,
    };
    if !known {
        return;
    }
    let entry = AuditEntry {
        at: shared.clock.now(),
        actor: format!("address {}", peer.addr.ip()),
        action: "host.enroll_refused".to_owned(),
        subject: "enrolment".to_owned(),
        detail: serde_json::json!({ "why": refused.to_string() }),
    };
    if let Err(error) = shared.db.record(&entry).await {
        tracing::warn!(%error, "a refused enrolment could not be audited");
    }
}
