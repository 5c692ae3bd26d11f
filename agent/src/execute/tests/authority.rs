//! A server that may give orders, and what it signs.

use fleetmend_core::order::{Envelope, Order, signing_input};
use fleetmend_proto::trust::ORDER_KEY_USAGE;
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa, Issuer, KeyPair};
use sha2::{Digest as _, Sha256};

use crate::order::OrderKey;

/// The keys of a server: root, and an order key that it certified.
pub(super) struct Authority {
    root: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
    order_key: KeyPair,
    order_certificate: Vec<u8>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).expect("signed").der().to_vec();
        let issuer = Issuer::new(params, key);
        let order_key = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("key");
        let mut authority = Self { root, issuer, order_key, order_certificate: Vec::new() };
        authority.order_certificate = authority.certify(Some(ORDER_KEY_USAGE), (2020, 2100));
        authority
    }

    pub(super) fn certify(&self, usage: Option<&[u8]>, years: (i32, i32)) -> Vec<u8> {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("params");
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        match usage {
            Some(oid) => {
                let size = u8::try_from(oid.len()).expect("short");
                let mut der = vec![0x30, size + 2, 0x06, size];
                der.extend_from_slice(oid);
                let usage = CustomExtension::from_oid_content(&[2, 5, 29, 37], der);
                params.custom_extensions.push(usage);
            }
            None => params.extended_key_usages.push(rcgen::ExtendedKeyUsagePurpose::ClientAuth),
        }
        params.signed_by(&self.order_key, &self.issuer).expect("signed").der().to_vec()
    }

    pub(super) fn pin(&self) -> [u8; 32] {
        Sha256::digest(&self.root).into()
    }

    pub(super) fn key(&self) -> OrderKey {
        self.key_by(self.order_certificate.clone(), self.pin())
    }

    pub(super) fn key_by(&self, certificate: Vec<u8>, pin: [u8; 32]) -> OrderKey {
        OrderKey::new(vec![certificate, self.root.clone()], pin)
    }

    pub(super) fn sign(&self, order: &Order) -> Envelope {
        self.sign_by(order, &self.order_certificate)
    }

    pub(super) fn sign_by(&self, order: &Order, certificate: &[u8]) -> Envelope {
        self.seal(fleetmend_proto::encode_order(order), certificate)
    }

    pub(super) fn sign_bytes(&self, payload: Vec<u8>) -> Envelope {
        self.seal(payload, &self.order_certificate)
    }

    fn seal(&self, payload: Vec<u8>, certificate: &[u8]) -> Envelope {
        use rcgen::SigningKey as _;
        let key_id = hex::encode(Sha256::digest(certificate));
        let signature = self.order_key.sign(&signing_input(&key_id, &payload)).expect("signed");
        Envelope { payload, key_id, signature }
    }
}
