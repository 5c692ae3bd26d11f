//! Names and forms on which both ends of the link rely to trust each other.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The DNS name in every server certificate of Fleetmend. Agents check it, not the address.
pub const SERVER_NAME: &str = "fleetmend-server";

/// What stands before the host's id in the URI of a host certificate.
pub const HOST_URI: &str = "urn:fleetmend:host:";

/// The extended key usage of order-signing certificates,
/// 2.25.329800735698586629295641978511506172918, as the content of a DER object identifier.
pub const ORDER_KEY_USAGE: &[u8] = &[
    0x69, 0x83, 0xf0, 0x9d, 0xa7, 0xeb, 0xcf, 0xde, 0xe0, 0xc7, 0xa1, 0xa7, 0xb2, 0xc0, 0x94, 0x8c,
    0xc8, 0xf9, 0xd7, 0x76,
];

const PREFIX: &str = "fme_";

/// An enrolment token: a secret that the server knows by its hash, and the hash of the root
/// certificate by which the agent knows the server.
///
/// Its text is `fme_`, the secret in base64url, a dot and the root's SHA-256 in hex.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenText {
    /// The secret.
    pub secret: [u8; 32],
    /// SHA-256 of the root certificate's DER.
    pub root: [u8; 32],
}

/// A text that is no enrolment token. Never repeats the text: it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no enrolment token: it begins with `fme_` and holds a dot; copy it whole from `fleetmend-server enrollment-token create`"
)]
pub struct BadToken;

/// The secret stays out of logs.
impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenText(fme_….{})", hex::encode(self.root))
    }
}

impl fmt::Display for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}.{}", URL_SAFE_NO_PAD.encode(self.secret), hex::encode(self.root))
    }
}

impl FromStr for TokenText {
    type Err = BadToken;
    fn from_str(text: &str) -> Result<Self, BadToken> {
        let (secret, root) =
            text.trim().strip_prefix(PREFIX).and_then(|t| t.split_once('.')).ok_or(BadToken)?;
        let secret = URL_SAFE_NO_PAD.decode(secret).map_err(|_| BadToken)?;
        let mut token = Self { secret: secret.try_into().map_err(|_| BadToken)?, root: [0; 32] };
        hex::decode_to_slice(root, &mut token.root).map_err(|_| BadToken)?;
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_return_as_themselves_and_hide_their_secret() {
        let token = TokenText { secret: [7; 32], root: [9; 32] };
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        assert!(!format!("{token:?}").contains("Bwc"));
        let text = token.to_string();
        for bad in ["", "fme_", "fme_.", &text[1..], &text[..text.len() - 1], "fme_AA.00"] {
            assert_eq!(bad.parse::<TokenText>(), Err(BadToken), "{bad:?} was taken");
        }
    }

    #[test]
    fn the_order_key_usage_is_the_oid_that_its_comment_says() {
        let number =
            ORDER_KEY_USAGE[1..].iter().fold(0u128, |n, b| (n << 7) | u128::from(b & 0x7f));
        assert_eq!(number, 329_800_735_698_586_629_295_641_978_511_506_172_918);
        assert_eq!(ORDER_KEY_USAGE[0], 2 * 40 + 25);
    }
}
