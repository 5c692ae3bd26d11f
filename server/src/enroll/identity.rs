//! What certificates and signing requests say, read strictly. Everything here comes from outside.

use fleetmend_core::ids::HostId;
use fleetmend_proto::trust;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ED25519, Oid};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

/// A signing request larger than this holds more than a key.
const CSR_BYTES: usize = 8 * 1024;

/// Why a certificate, request or signature is not taken. Safe to send to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The request cannot be read.
    #[error("csr: not a PKCS #10 request in DER of at most 8 KiB")]
    Csr,
    /// The request is not signed by the key that it holds.
    #[error("csr: it is not signed by its own key")]
    CsrSignature,
    /// A key of another kind.
    #[error("csr: use an ECDSA P-256 or an Ed25519 key")]
    KeyKind,
    /// The certificate is not one of a host.
    #[error("certificate: it names no host of this fleet")]
    NoHost,
    /// The signature does not hold.
    #[error("signature: it does not hold for the enrolled key")]
    Signature,
}

/// Who a certificate says it is. Whether it may say so, TLS or the caller has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCertificate {
    /// The host.
    pub host: HostId,
    /// The certificate's serial number, lower-case hex.
    pub serial: String,
}

/// The public key (SPKI, DER) of a signing request, whose own signature must hold. Nothing else of
/// the request is used.
pub fn csr_public_key(der: &[u8]) -> Result<Vec<u8>, IdentityError> {
    if der.len() > CSR_BYTES {
        return Err(IdentityError::Csr);
    }
    let (rest, csr) = X509CertificationRequest::from_der(der).map_err(|_| IdentityError::Csr)?;
    if !rest.is_empty() {
        return Err(IdentityError::Csr);
    }
    let key = &csr.certification_request_info.subject_pki;
    key_kind(key)?;
    csr.verify_signature().map_err(|_| IdentityError::CsrSignature)?;
    Ok(key.raw.to_vec())
}

/// The host and serial number of a host certificate.
pub fn host_certificate(der: &[u8]) -> Result<HostCertificate, IdentityError> {
    let (_, cert) = X509Certificate::from_der(der).map_err(|_| IdentityError::NoHost)?;
    let names = cert.subject_alternative_name().ok().flatten().ok_or(IdentityError::NoHost)?;
    let host = match names.value.general_names.as_slice() {
        [GeneralName::URI(uri)] => uri.strip_prefix(trust::HOST_URI).and_then(|id| id.parse().ok()),
        _ => None,
    };
    let serial = hex::encode(cert.raw_serial());
    host.map(|host| HostCertificate { host, serial }).ok_or(IdentityError::NoHost)
}

/// Whether `signature` over `message` was made by the key (SPKI, DER).
pub fn verify(public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), IdentityError> {
    let (_, key) =
        SubjectPublicKeyInfo::from_der(public_key).map_err(|_| IdentityError::KeyKind)?;
    let raw = key.subject_public_key.data.as_ref();
    let held = match key_kind(&key)? {
        KeyKind::P256 => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, raw).verify(message, signature)
        }
        KeyKind::Ed25519 => UnparsedPublicKey::new(&ED25519, raw).verify(message, signature),
    };
    held.map_err(|_| IdentityError::Signature)
}

/// Whether a certificate is for this key.
pub(super) fn check_key_matches(certificate: &[u8], spki: &[u8]) -> Result<(), String> {
    let (_, cert) = X509Certificate::from_der(certificate).map_err(|err| err.to_string())?;
    if cert.public_key().raw == spki {
        return Ok(());
    }
    Err("the key does not belong to the certificate beside it".to_owned())
}

enum KeyKind {
    P256,
    Ed25519,
}

fn key_kind(key: &SubjectPublicKeyInfo<'_>) -> Result<KeyKind, IdentityError> {
    let algorithm = &key.algorithm;
    if algorithm.algorithm == OID_SIG_ED25519 {
        return Ok(KeyKind::Ed25519);
    }
    let curve: Option<Oid<'_>> = algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
    if algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY && curve == Some(OID_EC_P256) {
        return Ok(KeyKind::P256);
    }
    Err(IdentityError::KeyKind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn csr(key: &KeyPair) -> Vec<u8> {
        let params = CertificateParams::new(vec!["ignored.example".to_owned()]).expect("params");
        params.serialize_request(key).expect("a request").der().to_vec()
    }

    #[test]
    fn the_two_kinds_of_key_are_taken_and_others_refused() {
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
            let key = KeyPair::generate_for(algorithm).expect("a key");
            assert!(csr_public_key(&csr(&key)).is_ok());
        }
        let other = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
        assert_eq!(csr_public_key(&csr(&other)), Err(IdentityError::KeyKind));
    }

    #[test]
    fn every_changed_byte_of_a_request_is_refused_or_changes_nothing() {
        let key = KeyPair::generate().expect("a key");
        let good = csr(&key);
        let public = csr_public_key(&good).expect("taken");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x20;
            if let Ok(read) = csr_public_key(&bad) {
                assert_eq!(read, public, "byte {at}");
            }
        }
        assert_eq!(csr_public_key(&good[..good.len() - 1]), Err(IdentityError::Csr));
        assert_eq!(csr_public_key(&vec![0x30; CSR_BYTES + 1]), Err(IdentityError::Csr));
    }
}
