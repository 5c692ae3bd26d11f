//! The wire between agent and server, and its conversions to the core's types.
//!
//! [`v1`] is generated. Nothing outside this crate and the two ends of the link handles it: what
//! comes in becomes a core type at once, every bound of [`fleetmend_core::limits`] checked, or a
//! [`ConvertError`] that names the field. What goes out is infallible; NUL characters, which no
//! database keeps, are replaced.

mod convert;
mod hold;
mod host;
mod item;
mod order;
pub mod trust;
mod words;

pub use convert::ConvertError;
pub use host::{Hello, OpenJob};
pub use item::check_reports;
pub use order::{Whose, decode_order, encode_order, renewal_input, whose_order};

/// The generated messages, client and server of `fleetmend.agent.v1`.
#[expect(
    missing_docs,
    clippy::pedantic,
    clippy::allow_attributes,
    reason = "generated; documented in the .proto"
)]
pub mod v1 {
    tonic::include_proto!("fleetmend.agent.v1");
}

/// The bytes that a message takes on the wire.
pub fn wire_size(message: &impl prost::Message) -> usize {
    message.encoded_len()
}
