//! The key that signs orders: made in memory at every start, certified by the intermediate, never
//! on disk. A session keeps the key whose chain its `Welcome` carried.

use fleetmend_core::order::{Envelope, Order, signing_input};
use fleetmend_core::time::Timestamp;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

/// One order-signing key with its certificates.
pub struct OrderKey {
    pub(super) pair: Ed25519KeyPair,
    pub(super) key_id: String,
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) made: Timestamp,
}

impl std::fmt::Debug for OrderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OrderKey({})", self.key_id)
    }
}

impl OrderKey {
    /// DER: its certificate, the intermediate, the root.
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// SHA-256 of its certificate, lower-case hex.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Its public key, raw.
    pub fn public_key(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// Puts an order into a signed envelope.
    pub fn seal(&self, order: &Order) -> Envelope {
        let payload = fleetmend_proto::encode_order(order);
        let signature = self.pair.sign(&signing_input(&self.key_id, &payload));
        Envelope { payload, key_id: self.key_id.clone(), signature: signature.as_ref().to_vec() }
    }
}
