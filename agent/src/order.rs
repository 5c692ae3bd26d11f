//! Whether an order is to be believed. The envelope is verified before a byte of it is parsed: the
//! signing key's certificate must chain to the pinned root and be made for orders, and its
//! signature must hold. Then host, counter, time; then this agent's own catalogue.

use std::time::Duration;

use fleetmend_core::host::OsFamily;
use fleetmend_core::knowledge::{Catalogue, Cause, Remediation};
use fleetmend_core::order::{Envelope, Order, Task, signing_input};
use fleetmend_core::time::Timestamp;
use fleetmend_proto::Whose;
use fleetmend_proto::trust::ORDER_KEY_USAGE;
use rustls_pki_types::{CertificateDer, UnixTime};
use sha2::{Digest, Sha256};
use webpki::{EndEntityCert, KeyUsage};

/// Why an envelope is not from our server. Such orders are counted and logged, never acted on, and
/// never answered: nothing in them can be believed, the job's id neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    /// The server sent no chain for its order key.
    #[error("the server presented no certificate of its order key")]
    NoChain,
    /// The chain does not end in the pinned root.
    #[error("the order key's chain does not hold the root of this host's enrolment")]
    OtherRoot,
    /// The chain does not hold now, or is not for orders.
    #[error("the order key's certificate does not hold: {0}")]
    Chain(String),
    /// Signed by another key than the chain's.
    #[error("the order names the key {0}, which is not the server's")]
    OtherKey(String),
    /// The signature is wrong.
    #[error("the order's signature does not hold")]
    Signature,
    /// Rightly signed, and yet no order at all.
    #[error("the order cannot be read: {0}")]
    Unreadable(String),
}

/// A rightly signed order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// It is understood.
    Order(Box<Order>),
    /// It asks for something that this agent does not know: a newer server's.
    NotUnderstood {
        /// Whose it is.
        whose: Whose,
        /// What is not known.
        why: String,
    },
}

/// The server's order key as presented at the beginning of a session.
#[derive(Debug, Clone)]
pub struct OrderKey {
    /// The key's certificate, the intermediate, the root.
    chain: Vec<CertificateDer<'static>>,
    pin: [u8; 32],
}

impl OrderKey {
    /// Takes the chain; it is verified with each order, since certificates end.
    pub fn new(chain: Vec<Vec<u8>>, pin: [u8; 32]) -> Self {
        Self { chain: chain.into_iter().map(CertificateDer::from).collect(), pin }
    }

    /// Verifies an envelope, and only then reads the order in it.
    pub fn open(&self, envelope: &Envelope, now: Timestamp) -> Result<Opened, Forged> {
        let leaf = self.chain.first().ok_or(Forged::NoChain)?;
        if hex::encode(Sha256::digest(leaf)) != envelope.key_id {
            return Err(Forged::OtherKey(envelope.key_id.chars().take(64).collect()));
        }
        let key = self.verified(leaf, now)?;
        let input = signing_input(&envelope.key_id, &envelope.payload);
        key.verify_signature(webpki::ring::ED25519, &input, &envelope.signature)
            .map_err(|_| Forged::Signature)?;
        match fleetmend_proto::decode_order(&envelope.payload) {
            Ok(order) => Ok(Opened::Order(Box::new(order))),
            Err(error) => match fleetmend_proto::whose_order(&envelope.payload) {
                Some(whose) => Ok(Opened::NotUnderstood { whose, why: error.to_string() }),
                None => Err(Forged::Unreadable(error.to_string())),
            },
        }
    }

    fn verified<'a>(
        &'a self,
        leaf: &'a CertificateDer<'static>,
        now: Timestamp,
    ) -> Result<EndEntityCert<'a>, Forged> {
        let root = self.chain.iter().find(|c| Sha256::digest(c)[..] == self.pin);
        let root = root.ok_or(Forged::OtherRoot)?;
        let wrong = |e: webpki::Error| Forged::Chain(e.to_string());
        let anchor = webpki::anchor_from_trusted_cert(root).map_err(wrong)?;
        let key = EndEntityCert::try_from(leaf).map_err(wrong)?;
        let ms = u64::try_from(now.as_millis()).unwrap_or(0);
        key.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &[anchor],
            self.chain.get(1..).unwrap_or_default(),
            UnixTime::since_unix_epoch(Duration::from_millis(ms)),
            KeyUsage::required(ORDER_KEY_USAGE),
            None,
            None,
        )
        .map_err(wrong)?;
        Ok(key)
    }
}

/// Why this agent's own catalogue does not cover an order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTrusted {
    /// No such remediation here.
    #[error("this agent's catalogue has no remediation \"{0}\"; update the agent")]
    UnknownRemediation(String),
    /// Another version or other contents than here.
    #[error("this agent's catalogue has version {ours} of \"{id}\", the order wants {wanted}{}", if *.same_version { " with other contents" } else { "" })]
    OtherVersion {
        /// The remediation.
        id: String,
        /// This agent's version.
        ours: u32,
        /// The order's.
        wanted: u32,
        /// Whether only the digest differs.
        same_version: bool,
    },
    /// No such cause here.
    #[error("this agent's catalogue has no cause \"{0}\"; update the agent")]
    UnknownCause(String),
    /// The remediation is not one against that cause.
    #[error("\"{remediation}\" is no remediation against \"{cause}\" in this agent's catalogue")]
    NotAgainst {
        /// The remediation.
        remediation: String,
        /// The cause.
        cause: String,
    },
    /// It is for another system.
    #[error("\"{0}\" is not for this operating system")]
    OtherSystem(String),
    /// It is for people, or refused.
    #[error("\"{0}\" is not for agents to run")]
    NotAutomatic(String),
}

/// Finds what the order means in this agent's own catalogue.
pub fn trusted<'a>(
    order: &Order,
    catalogue: &'a Catalogue,
    os: OsFamily,
) -> Result<(&'a Remediation, &'a Cause), NotTrusted> {
    let id = order.remediation.to_string();
    let Some(remediation) = catalogue.remediations.get(&order.remediation) else {
        return Err(NotTrusted::UnknownRemediation(id));
    };
    let same_version = remediation.version == order.version;
    if !same_version || remediation.digest() != order.digest {
        let (ours, wanted) = (remediation.version, order.version);
        return Err(NotTrusted::OtherVersion { id, ours, wanted, same_version });
    }
    let Some(cause) = catalogue.causes.get(&order.cause) else {
        return Err(NotTrusted::UnknownCause(order.cause.to_string()));
    };
    if !cause.remediations.contains(&order.remediation) {
        let cause = order.cause.to_string();
        return Err(NotTrusted::NotAgainst { remediation: id, cause });
    }
    if remediation.os != os {
        return Err(NotTrusted::OtherSystem(id));
    }
    // A proof does none of its steps: what people did is proved, too.
    if order.task == Task::Remediate && !remediation.is_automatic() {
        return Err(NotTrusted::NotAutomatic(id));
    }
    Ok((remediation, cause))
}
