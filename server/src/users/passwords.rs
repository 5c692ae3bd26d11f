//! Passwords: argon2id with the parameters that OWASP names (19 MiB, two passes, one lane). Each costs
//! memory and a core for a while, so few are worked on at once, off the threads that serve.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error as HashError, PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use fleetmend_core::limits;
use tokio::sync::Semaphore;

use crate::entropy;

/// What a password is checked against where there is no such user: the same work, and never right.
/// The hash is of nothing: its bytes were written, not made.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlz$bm9ib2R5IGhhcyB0aGlzIHBhc3N3b3JkLCBub2JvZHk";

/// Why a password could not be worked on.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The hash could not be made or read.
    #[error("the password's hash: {0}")]
    Hash(HashError),
    /// The server stops.
    #[error("the work was ended")]
    Ended,
}

/// Where passwords are worked on. A cheap clone.
#[derive(Debug, Clone)]
pub struct Passwords {
    places: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(limits::PASSWORDS_AT_ONCE)) }
    }
}

impl Passwords {
    /// The hash of a password, as it is stored.
    pub async fn hash(&self, password: &str) -> Result<String, PasswordError> {
        let password = password.to_owned();
        self.work(move || {
            let salt = entropy::bytes::<16>();
            let hash = hasher().hash_password_with_salt(password.as_bytes(), &salt);
            hash.map(|hash: PasswordHash| hash.to_string()).map_err(PasswordError::Hash)
        })
        .await?
    }

    /// Whether a password is the one that `held` is the hash of. Without one the work is the same
    /// and the answer no.
    pub async fn verify(&self, held: Option<&str>, password: &str) -> Result<bool, PasswordError> {
        let somebody = held.is_some();
        let (held, password) = (held.unwrap_or(NOBODY).to_owned(), password.to_owned());
        let right = self
            .work(move || {
                let held = PasswordHash::new(&held).map_err(|e| PasswordError::Hash(e.into()))?;
                match hasher().verify_password(password.as_bytes(), &held) {
                    Ok(()) => Ok(true),
                    Err(HashError::PasswordInvalid) => Ok(false),
                    Err(error) => Err(PasswordError::Hash(error)),
                }
            })
            .await??;
        Ok(right && somebody)
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        // The place goes into the work: who does not wait for the answer frees none by that.
        let place = self.places.clone().acquire_owned().await.map_err(|_| PasswordError::Ended)?;
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        done.await.map_err(|_| PasswordError::Ended)
    }
}

fn hasher() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_hash_and_no_other() {
        let passwords = Passwords::default();
        let (one, two) =
            tokio::join!(passwords.hash("long enough 1"), passwords.hash("long enough 1"));
        let (one, two) = (one.expect("made"), two.expect("made"));
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, two, "each has its own salt");
        assert!(one.len() <= 256);
        assert!(passwords.verify(Some(&one), "long enough 1").await.expect("checked"));
        assert!(!passwords.verify(Some(&one), "long enough 2").await.expect("checked"));
        assert!(!passwords.verify(Some(&one), "").await.expect("checked"));
        passwords.verify(Some("nonsense"), "x").await.expect_err("no hash");
    }

    #[tokio::test]
    async fn nobody_costs_the_same_and_is_never_right() {
        let held = PasswordHash::new(NOBODY).expect("a hash");
        let params = Params::try_from(&held).expect("parameters");
        let costs = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        assert_eq!(costs(&params), costs(&Params::DEFAULT));
        assert_eq!(held.hash.expect("bytes").as_ref().len(), 32);
        assert!(!Passwords::default().verify(None, "anything").await.expect("checked"));
    }

    #[tokio::test]
    async fn few_passwords_are_worked_on_at_once() {
        let passwords = Passwords::default();
        let held: Vec<_> = (0..limits::PASSWORDS_AT_ONCE)
            .map(|_| passwords.places.clone().try_acquire_owned().expect("a place"))
            .collect();
        let verify = passwords.verify(None, "x");
        tokio::pin!(verify);
        assert!(futures_util::poll!(&mut verify).is_pending());
        drop(held);
        assert!(!verify.await.expect("checked"));
    }
}
