//! Somebody who looks on while an agent runs: simulations and tests count by it. It changes nothing.

/// Is told what the agent does.
pub trait Watch: Send + Sync + std::fmt::Debug {
    /// A session with the server has opened, or has ended.
    fn session(&self, open: bool);
    /// The spool took items; the last one has this sequence.
    fn spooled(&self, through: u64);
    /// The server has acknowledged everything up to this sequence, and the spool has forgotten it.
    fn acknowledged(&self, through: u64);
}
