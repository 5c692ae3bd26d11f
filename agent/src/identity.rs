//! Who this host is to its server: key, certificates, the pinned root and the server's address, in
//! one file that is replaced whole. No error anywhere deletes it; only `generalize` does.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetmend_core::ids::HostId;
use fleetmend_core::time::Timestamp;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::link::address::ServerAddress;
use crate::state::{StateDir, StateError};

/// Its file in the state directory: there as long as the host is enrolled.
pub const NAME: &str = "identity.json";

/// The enrolled identity.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The host's id, given by the server.
    pub host: HostId,
    /// Where the server is.
    pub server: ServerAddress,
    /// The proxy given at enrolment: `http://host:port`, or `none` for a direct way.
    #[serde(default)]
    pub proxy: Option<String>,
    /// The name given at enrolment instead of the machine's own.
    #[serde(default)]
    pub name: Option<String>,
    /// SHA-256 of the root certificate, from the enrolment token, in hex.
    pub root: String,
    /// DER in base64: the host's certificate, the intermediate, the root.
    pub chain: Vec<String>,
    /// PKCS #8 in base64.
    key: String,
    /// When the host was enrolled.
    pub enrolled: Timestamp,
}

/// The key stays out of logs.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("host", &self.host)
            .field("server", &self.server)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// Why an identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Its file cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// What it holds, or what the server sent for it, is not what it must be.
    #[error("{what} is not usable: {why}")]
    Unusable {
        /// Which part.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
}

impl IdentityError {
    pub(crate) fn unusable(what: &'static str, why: impl fmt::Display) -> Self {
        Self::Unusable { what, why: why.to_string() }
    }
}

/// A key pair of the machine's own, P-256.
#[derive(Debug)]
pub struct HostKey(rcgen::KeyPair);

impl HostKey {
    /// Draws a new key.
    pub fn generate() -> Result<Self, IdentityError> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256);
        key.map(Self).map_err(|e| IdentityError::unusable("a new key", e))
    }

    /// A signing request. The server takes its public key and nothing else.
    pub fn csr(&self) -> Result<Vec<u8>, IdentityError> {
        let fail = |e| IdentityError::unusable("the signing request", e);
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).map_err(fail)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        Ok(params.serialize_request(&self.0).map_err(fail)?.der().to_vec())
    }

    /// Signs with ECDSA over SHA-256 (ASN.1 form): the proof that the caller holds the key.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, IdentityError> {
        use rcgen::SigningKey as _;
        self.0.sign(message).map_err(|e| IdentityError::unusable("the host's key", e))
    }

    /// Whether this certificate is for this key.
    pub fn is_of(&self, certificate: &[u8]) -> bool {
        use rcgen::PublicKeyData as _;
        parse(certificate).is_ok_and(|c| {
            *c.tbs_certificate.subject_pki.subject_public_key.data == *self.0.der_bytes()
        })
    }
}

impl Identity {
    /// Puts together what an enrolment gave. The chain is checked: it must end in the pinned root
    /// and begin with a certificate of this key.
    pub fn new(
        host: HostId,
        server: ServerAddress,
        root: [u8; 32],
        key: &HostKey,
        chain: &[Vec<u8>],
        now: Timestamp,
    ) -> Result<Self, IdentityError> {
        let mut identity = Self {
            host,
            server,
            proxy: None,
            name: None,
            root: hex::encode(root),
            chain: Vec::new(),
            key: STANDARD.encode(key.0.serialized_der()),
            enrolled: now,
        };
        identity.renew(chain)?;
        Ok(identity)
    }

    /// Reads it; `None` where the host is not enrolled.
    pub fn load(state: &StateDir) -> Result<Option<Self>, IdentityError> {
        Ok(state.read_json(NAME)?)
    }

    /// Replaces the file, whole.
    pub fn save(&self, state: &StateDir) -> Result<(), IdentityError> {
        Ok(state.write_json(NAME, self)?)
    }

    /// Removes the file: for `generalize` only.
    pub fn remove(state: &StateDir) -> Result<(), IdentityError> {
        Ok(state.remove(NAME)?)
    }

    /// Takes a new certificate, checked as at enrolment.
    pub fn renew(&mut self, chain: &[Vec<u8>]) -> Result<(), IdentityError> {
        let bad = |why: &str| IdentityError::unusable("the server's certificate chain", why);
        let (Some(leaf), Some(root)) = (chain.first(), chain.last()) else {
            return Err(bad("it is empty"));
        };
        if hex::encode(Sha256::digest(root)) != self.root {
            return Err(bad("it does not end in the root that the enrolment token names"));
        }
        if !self.host_key()?.is_of(leaf) {
            return Err(bad("its first certificate is for another key"));
        }
        validity(leaf)?;
        self.chain = chain.iter().map(|der| STANDARD.encode(der)).collect();
        Ok(())
    }

    /// The host's key.
    pub fn host_key(&self) -> Result<HostKey, IdentityError> {
        let key = rcgen::KeyPair::try_from(self.key_bytes()?);
        key.map(HostKey).map_err(|e| IdentityError::unusable("the host's key", e))
    }

    /// Certificate chain and key for TLS; the root stays out, servers hold it.
    pub fn tls(
        &self,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), IdentityError> {
        let mut chain = self.certificates()?;
        if chain.len() > 1 {
            chain.pop();
        }
        Ok((chain, PrivatePkcs8KeyDer::from(self.key_bytes()?).into()))
    }

    /// All certificates: host, intermediate, root.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
        let decode = |text: &String| {
            let der = STANDARD.decode(text);
            der.map(CertificateDer::from)
                .map_err(|e| IdentityError::unusable("a stored certificate", e))
        };
        self.chain.iter().map(decode).collect()
    }

    /// SHA-256 of the root.
    pub fn root_pin(&self) -> Result<[u8; 32], IdentityError> {
        let mut pin = [0; 32];
        hex::decode_to_slice(&self.root, &mut pin)
            .map_err(|e| IdentityError::unusable("the pinned root", e))?;
        Ok(pin)
    }

    /// From when until when the certificate holds.
    pub fn validity(&self) -> Result<(Timestamp, Timestamp), IdentityError> {
        let chain = self.certificates()?;
        let leaf =
            chain.first().ok_or(IdentityError::unusable("the identity", "no certificate"))?;
        validity(leaf)
    }

    /// When the certificate is to be renewed: at half its life ± 20 %. The share follows from the
    /// certificate itself, so that a restart does not draw it anew.
    pub fn renew_at(&self) -> Result<Timestamp, IdentityError> {
        let (from, until) = self.validity()?;
        let digest = Sha256::digest(self.chain.first().map_or("", String::as_str));
        let share = u64::from(u16::from_be_bytes([digest[0], digest[1]]));
        let life = u64::try_from(until.since(from).as_millis()).unwrap_or(u64::MAX);
        // 0.4 to 0.6 of the life.
        let part = life / 10 * 4 + (life / 10 * 2) / 65_535 * share;
        Ok(from.after(Duration::from_millis(part)))
    }

    fn key_bytes(&self) -> Result<Vec<u8>, IdentityError> {
        STANDARD.decode(&self.key).map_err(|e| IdentityError::unusable("the host's key", e))
    }
}

/// From when until when a certificate holds.
pub fn validity(der: &[u8]) -> Result<(Timestamp, Timestamp), IdentityError> {
    let certificate = parse(der)?;
    let ms = |at: x509_parser::time::ASN1Time| {
        Timestamp::from_millis(at.timestamp().saturating_mul(1_000))
    };
    let validity = certificate.validity();
    Ok((ms(validity.not_before), ms(validity.not_after)))
}

/// The name of whoever issued a certificate, for people.
pub fn issuer(der: &[u8]) -> String {
    parse(der).map_or_else(|_| "unreadable".to_owned(), |c| c.issuer().to_string())
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, IdentityError> {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| certificate)
        .map_err(|e| IdentityError::unusable("a certificate", e))
}
