//! Enrolment tokens: made, printed once, and known afterwards by their hash only.

use std::time::Duration;

use fleetmend_core::host::Labels;
use fleetmend_core::ids::EnrollmentTokenId;
use fleetmend_core::limits;
use fleetmend_core::time::Clock;
use fleetmend_core::token::TokenKind;
use fleetmend_proto::trust::TokenText;
use fleetmend_store::NewEnrollmentToken;
use ipnet::IpNet;
use sha2::{Digest as _, Sha256};

use crate::entropy;

/// What a person asks of a new enrolment token.
#[derive(Debug, Clone)]
pub struct TokenWish {
    /// A name for people.
    pub name: String,
    /// How many hosts; 1 makes a one-use token, whose host is accepted at once.
    pub uses: u32,
    /// How long it is good for.
    pub life: Duration,
    /// Labels its hosts get.
    pub labels: Labels,
    /// The networks its hosts must come from; empty for any.
    pub networks: Vec<IpNet>,
}

/// Why a token cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct BadWish {
    /// The field.
    pub field: &'static str,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// SHA-256 of a secret: what the database keeps.
pub fn hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// A new enrolment token, and the text that is shown once.
pub fn enrollment(
    wish: TokenWish,
    root_sha256: [u8; 32],
    clock: &dyn Clock,
) -> Result<(NewEnrollmentToken, TokenText), BadWish> {
    check(&wish)?;
    let secret = entropy::bytes();
    let token = NewEnrollmentToken {
        id: entropy::id(EnrollmentTokenId::at, clock),
        name: wish.name,
        kind: if wish.uses == 1 { TokenKind::OneUse } else { TokenKind::Deployment },
        secret_hash: hash(&secret),
        uses: wish.uses,
        expires: clock.now().after(wish.life),
        labels: wish.labels,
        networks: wish.networks,
    };
    Ok((token, TokenText { secret, root: root_sha256 }))
}

/// Checks a name that people will read in lists and in the audit log.
pub fn check_name(name: &str) -> Result<(), BadWish> {
    let fits = (1..=limits::LABEL_BYTES).contains(&name.len());
    if fits && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(bad("name", format!("1 to {} bytes without control characters", limits::LABEL_BYTES)))
}

fn check(wish: &TokenWish) -> Result<(), BadWish> {
    check_name(&wish.name)?;
    if !(1..=limits::TOKEN_USES).contains(&wish.uses) {
        return Err(bad("uses", format!("{}; from 1 to {}", wish.uses, limits::TOKEN_USES)));
    }
    if wish.life.is_zero() || wish.life > limits::TOKEN_LIFE {
        let days = limits::TOKEN_LIFE.as_secs() / 86_400;
        return Err(bad("expires", format!("more than nothing and at most {days} days")));
    }
    if wish.labels.len() > limits::LABELS_PER_HOST {
        return Err(bad("labels", format!("at most {}", limits::LABELS_PER_HOST)));
    }
    let fits =
        |text: &str| text.len() <= limits::LABEL_BYTES && !text.chars().any(char::is_control);
    if wish.labels.iter().any(|(k, v)| k.is_empty() || !fits(k) || !fits(v)) {
        return Err(bad(
            "labels",
            format!("key=value, each at most {} bytes", limits::LABEL_BYTES),
        ));
    }
    if wish.networks.len() > limits::LABELS_PER_HOST {
        return Err(bad("networks", format!("at most {}", limits::LABELS_PER_HOST)));
    }
    Ok(())
}

fn bad(field: &'static str, problem: String) -> BadWish {
    BadWish { field, problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetmend_core::time::{ManualClock, Timestamp};

    fn wish(uses: u32) -> TokenWish {
        TokenWish {
            name: "depot".to_owned(),
            uses,
            life: Duration::from_hours(1),
            labels: Labels::new(),
            networks: vec![],
        }
    }

    #[test]
    fn one_use_makes_a_one_use_token() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000));
        let (token, text) = enrollment(wish(1), [3; 32], &clock).expect("made");
        assert_eq!(token.kind, TokenKind::OneUse);
        assert_eq!(token.secret_hash, hash(&text.secret));
        assert_eq!(text.root, [3; 32]);
        assert_eq!(
            enrollment(wish(2), [3; 32], &clock).expect("made").0.kind,
            TokenKind::Deployment
        );
    }

    #[test]
    fn wishes_over_the_bounds_are_refused_by_name() {
        let clock = ManualClock::default();
        let field = |wish| enrollment(wish, [0; 32], &clock).expect_err("refused").field;
        assert_eq!(field(wish(0)), "uses");
        assert_eq!(field(TokenWish { life: Duration::from_hours(721), ..wish(1) }), "expires");
        assert_eq!(field(TokenWish { name: "a\nb".to_owned(), ..wish(1) }), "name");
        let labels = Labels::from([(String::new(), "x".to_owned())]);
        assert_eq!(field(TokenWish { labels, ..wish(1) }), "labels");
    }
}
