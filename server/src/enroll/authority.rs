//! The server's own certificate authority, in two levels: a root that agents pin, and an
//! intermediate that signs. Made at the first start in `<data-dir>/ca`, keys readable by the owner
//! only; the root's key is used once and may then be moved off the machine.
//!
//! The server's certificate and the order-signing key live in memory only and are made anew at
//! every start, and again by [`Authority::refresh`] before they grow old.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use fleetmend_core::ids::HostId;
use fleetmend_core::time::{Clock, Timestamp};
use fleetmend_proto::trust;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

use super::order_key::OrderKey;
use super::{files, identity};
use crate::entropy;

const DAY: Duration = Duration::from_hours(24);
const ROOT_LIFE: Duration = Duration::from_hours(24 * 365 * 20);
const INTERMEDIATE_LIFE: Duration = Duration::from_hours(24 * 365 * 10);
const SERVER_LIFE: Duration = Duration::from_hours(24 * 30);
const ORDER_KEY_LIFE: Duration = Duration::from_hours(24 * 7);
/// Certificates are valid from a little before they were made: clocks differ.
const BACKDATE: Duration = Duration::from_hours(1);

/// What can go wrong with the authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file cannot be read or written.
    #[error("certificate authority: {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Some of its files are there and others are not.
    #[error(
        "certificate authority: {missing} is missing though others are there; restore the whole directory from a backup"
    )]
    Incomplete {
        /// The missing file.
        missing: PathBuf,
    },
    /// A key can be read by others.
    #[error(
        "certificate authority: {path} can be read by others (mode {mode:o}); chmod 600 it, and think about who read it"
    )]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file holds something else.
    #[error("certificate authority: {path} holds no usable certificate or key: {why}")]
    Content {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A certificate could not be made.
    #[error("certificate authority: cannot make a certificate: {0}")]
    Issue(String),
}

impl From<rcgen::Error> for AuthorityError {
    fn from(err: rcgen::Error) -> Self {
        Self::Issue(err.to_string())
    }
}

/// A host certificate as it was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// DER: the host's certificate, the intermediate, the root.
    pub chain: Vec<Vec<u8>>,
    /// Its serial number, lower-case hex.
    pub serial: String,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
}

/// The authority of one server.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    intermediate: CertificateDer<'static>,
    root: CertificateDer<'static>,
    root_sha256: [u8; 32],
    clock: Arc<dyn Clock>,
    current: RwLock<Current>,
}

/// What is made anew while the server runs.
struct Current {
    server: Arc<CertifiedKey>,
    server_made: Timestamp,
    order: Arc<OrderKey>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority(root {})", hex::encode(self.root_sha256))
    }
}

impl Authority {
    /// Opens the authority in `dir`, making it where there is none.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, AuthorityError> {
        files::create_dir(dir)?;
        let [root_crt, root_key, mid_crt, mid_key] =
            ["root.crt", "root.key", "intermediate.crt", "intermediate.key"].map(|f| dir.join(f));
        let found = (files::read(&root_crt)?, files::read(&mid_crt)?, files::read(&mid_key)?);
        let (root_pem, mid_pem, key_pem) = match found {
            (None, None, None) => create(&clock, &root_crt, &root_key, &mid_crt, &mid_key)?,
            (Some(root), Some(mid), Some(key)) => (root, mid, key),
            (root, mid, _) => {
                let missing = match (root, mid) {
                    (None, _) => root_crt,
                    (_, None) => mid_crt,
                    _ => mid_key,
                };
                return Err(AuthorityError::Incomplete { missing });
            }
        };
        files::check_private(&mid_key)?;
        let root = certificate(&root_crt, &root_pem)?;
        let intermediate = certificate(&mid_crt, &mid_pem)?;
        let bad = |why: rcgen::Error| AuthorityError::Content {
            path: mid_key.clone(),
            why: why.to_string(),
        };
        let issuer =
            Issuer::from_ca_cert_der(&intermediate, KeyPair::from_pem(&key_pem).map_err(bad)?)
                .map_err(bad)?;
        identity::check_key_matches(&intermediate, &issuer.key().subject_public_key_info())
            .map_err(|why| AuthorityError::Content { path: mid_key.clone(), why })?;
        let root_sha256 = Sha256::digest(&root).into();
        let now = clock.now();
        let current = RwLock::new(Current {
            server: Arc::new(server_certificate(&issuer, &intermediate, &root, now)?),
            server_made: now,
            order: Arc::new(order_key(&issuer, &intermediate, &root, now)?),
        });
        Ok(Self { issuer, intermediate, root, root_sha256, clock, current })
    }

    /// SHA-256 of the root certificate: what tokens carry and agents pin.
    pub fn root_sha256(&self) -> [u8; 32] {
        self.root_sha256
    }

    /// The root certificate, DER.
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// The intermediate certificate, DER.
    pub fn intermediate(&self) -> &CertificateDer<'static> {
        &self.intermediate
    }

    /// The key that signs orders now.
    pub fn order_key(&self) -> Arc<OrderKey> {
        self.read().order.clone()
    }

    /// The server's certificate now.
    pub fn server_key(&self) -> Arc<CertifiedKey> {
        self.read().server.clone()
    }

    /// Issues a certificate for a host's public key (SPKI, DER).
    pub fn issue_host(
        &self,
        host: HostId,
        public_key: &[u8],
        life: Duration,
    ) -> Result<IssuedCertificate, AuthorityError> {
        let now = self.clock.now();
        let mut params = leaf(now, life, &host.to_string());
        let uri = format!("{}{host}", trust::HOST_URI);
        params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let serial = params.serial_number.as_ref().map(|s| hex::encode(s.to_bytes()));
        let key = rcgen::SubjectPublicKeyInfo::from_der(public_key)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(IssuedCertificate {
            chain: chain(certificate.der(), &self.intermediate, &self.root),
            serial: serial.unwrap_or_default(),
            not_before: now.before(BACKDATE),
            not_after: now.after(life),
        })
    }

    /// Makes the server's certificate and the order key anew where they grow old: the certificate
    /// after a third of its life, the key every day. Level-triggered: call it as often as you like.
    pub fn refresh(&self) -> Result<(), AuthorityError> {
        let now = self.clock.now();
        let (server_age, order_age) = {
            let current = self.read();
            (now.since(current.server_made), now.since(current.order.made))
        };
        if server_age > SERVER_LIFE / 3 {
            let fresh = server_certificate(&self.issuer, &self.intermediate, &self.root, now)?;
            let mut current = self.write();
            current.server = Arc::new(fresh);
            current.server_made = now;
        }
        if order_age > DAY {
            let fresh = order_key(&self.issuer, &self.intermediate, &self.root, now)?;
            self.write().order = Arc::new(fresh);
        }
        Ok(())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Current> {
        self.current.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Gives TLS the current certificate at every handshake.
impl rustls::server::ResolvesServerCert for Authority {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.server_key())
    }
}

type Pems = (String, String, String);

fn create(
    clock: &Arc<dyn Clock>,
    root_crt: &Path,
    root_key: &Path,
    mid_crt: &Path,
    mid_key: &Path,
) -> Result<Pems, AuthorityError> {
    let now = clock.now();
    let tag = hex::encode(entropy::bytes::<4>());
    let root_pair = KeyPair::generate()?;
    let mut params = authority(now, ROOT_LIFE, &format!("Fleetmend root {tag}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    let root = params.self_signed(&root_pair)?;
    let root_issuer = Issuer::from_params(&params, &root_pair);

    let mid_pair = KeyPair::generate()?;
    let mut params = authority(now, INTERMEDIATE_LIFE, &format!("Fleetmend intermediate {tag}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.use_authority_key_identifier_extension = true;
    // Verifiers that ask for a usage ask it of the whole chain.
    params.custom_extensions = vec![usages(&[SERVER_AUTH, CLIENT_AUTH, trust::ORDER_KEY_USAGE])];
    let intermediate = params.signed_by(&mid_pair, &root_issuer)?;

    // Certificates last: while they are missing, a crash here leaves an authority that was never
    // used, and the next start begins again.
    for (path, pem) in [(root_key, root_pair.serialize_pem()), (mid_key, mid_pair.serialize_pem())]
    {
        let _ = std::fs::remove_file(path);
        files::create(path, pem.as_bytes())?;
    }
    files::create(mid_crt, intermediate.pem().as_bytes())?;
    files::create(root_crt, root.pem().as_bytes())?;
    tracing::info!(root = %root_crt.display(), "made a new certificate authority");
    Ok((root.pem(), intermediate.pem(), mid_pair.serialize_pem()))
}

fn certificate(path: &Path, pem: &str) -> Result<CertificateDer<'static>, AuthorityError> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|err| AuthorityError::Content { path: path.to_owned(), why: err.to_string() })
}

fn params(now: Timestamp, life: Duration, name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(now.before(BACKDATE));
    params.not_after = epoch + since_epoch(now.after(life));
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let mut serial = entropy::bytes::<16>();
    // Positive, and never with a leading zero, so that its hex form is always the same.
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params
}

fn authority(now: Timestamp, life: Duration, name: &str) -> CertificateParams {
    let mut params = params(now, life, name);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf(now: Timestamp, life: Duration, name: &str) -> CertificateParams {
    let mut params = params(now, life, name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params
}

fn server_certificate(
    issuer: &Issuer<'static, KeyPair>,
    intermediate: &CertificateDer<'static>,
    root: &CertificateDer<'static>,
    now: Timestamp,
) -> Result<CertifiedKey, AuthorityError> {
    let pair = KeyPair::generate()?;
    let mut params = leaf(now, SERVER_LIFE, trust::SERVER_NAME);
    params.subject_alt_names = vec![SanType::DnsName(trust::SERVER_NAME.try_into()?)];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(&pair, issuer)?;
    let key = PrivateKeyDer::Pkcs8(pair.serialize_der().into());
    let key = rustls::crypto::ring::sign::any_supported_type(&key)
        .map_err(|err| AuthorityError::Issue(err.to_string()))?;
    let chain = vec![certificate.der().clone(), intermediate.clone(), root.clone()];
    Ok(CertifiedKey::new(chain, key))
}

fn order_key(
    issuer: &Issuer<'static, KeyPair>,
    intermediate: &CertificateDer<'static>,
    root: &CertificateDer<'static>,
    now: Timestamp,
) -> Result<OrderKey, AuthorityError> {
    let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
    let mut params = leaf(now, ORDER_KEY_LIFE, "Fleetmend orders");
    params.custom_extensions = vec![usages(&[trust::ORDER_KEY_USAGE])];
    let certificate = params.signed_by(&pair, issuer)?;
    let signing =
        ring::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(pair.serialized_der())
            .map_err(|err| AuthorityError::Issue(format!("order key: {err}")))?;
    Ok(OrderKey {
        pair: signing,
        key_id: hex::encode(Sha256::digest(certificate.der())),
        chain: chain(certificate.der(), intermediate, root),
        made: now,
    })
}

/// id-kp-serverAuth and id-kp-clientAuth, as the content of a DER object identifier.
const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

/// The extended-key-usage extension by hand: the number of the order usage is larger than rcgen
/// writes.
fn usages(oids: &[&[u8]]) -> CustomExtension {
    // Short forms only: three such numbers stay far below 128 bytes.
    let length = |n: usize| u8::try_from(n).unwrap_or(0x7f);
    let list: Vec<u8> =
        oids.iter().flat_map(|oid| [&[0x06, length(oid.len())], *oid].concat()).collect();
    let der = [&[0x30, length(list.len())], list.as_slice()].concat();
    CustomExtension::from_oid_content(&[2, 5, 29, 37], der)
}

fn chain(
    leaf: &CertificateDer<'_>,
    intermediate: &CertificateDer<'_>,
    root: &CertificateDer<'_>,
) -> Vec<Vec<u8>> {
    [leaf, intermediate, root].map(|c| c.to_vec()).into()
}

/// Whole seconds: certificates hold no more.
fn since_epoch(at: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(at.as_millis() / 1_000).unwrap_or(0))
}

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;
