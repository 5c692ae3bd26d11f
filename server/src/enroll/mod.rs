//! How hosts come into the fleet: the certificate authority, tokens, enrolment and renewal.

pub mod authority;
mod files;
pub mod identity;
pub mod order_key;
pub mod service;
pub mod token;

pub use authority::{Authority, AuthorityError, IssuedCertificate};
pub use order_key::OrderKey;
