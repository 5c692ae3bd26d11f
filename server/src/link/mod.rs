//! The agents' side: calls, sessions, orders on their way out, and who is connected.

mod ended;
mod hello;
mod limiter;
mod push;
mod registry;
pub mod rules;
mod seen;
mod server;
mod service;
mod session;
mod standing;

pub use registry::Registry;
pub use seen::Seen;
pub use server::serve;
pub use service::AgentLink;
pub(crate) use standing::refusal;
pub use standing::sweep;
