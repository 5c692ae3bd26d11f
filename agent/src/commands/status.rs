//! `status`: what the state directory says. Works while the agent runs, and while it does not.

use fleetmend_core::time::Timestamp;
use serde::Serialize;

use crate::config::AgentConfig;
use crate::execute::ceiling::{Ceiling, halted};
use crate::execute::{Book, held};
use crate::identity::{Identity, IdentityError};
use crate::link::contact::Contact;
use crate::spool;
use crate::state::StateDir;

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Whether there is an identity.
    pub enrolled: bool,
    /// Whether an agent holds the state directory now.
    pub running: bool,
    /// The host's id.
    pub host: Option<String>,
    /// The server's address.
    pub server: Option<String>,
    /// Until when the certificate holds.
    pub certificate_until: Option<Timestamp>,
    /// When it is renewed.
    pub certificate_renewed_at: Option<Timestamp>,
    /// When the server was last heard.
    pub last_contact: Option<Timestamp>,
    /// Whether the host waits to be accepted.
    pub pending: bool,
    /// What stands in the way.
    pub trouble: Option<String>,
    /// Items to be sent.
    pub spool_items: u64,
    /// Bytes of the spool.
    pub spool_bytes: u64,
    /// Items dropped.
    pub spool_dropped: u64,
    /// Records found damaged.
    pub spool_corrupt: u64,
    /// Files of its state that were damaged and set aside.
    pub files_damaged: u64,
    /// The highest order counter taken.
    pub order_counter: u64,
    /// Orders that were not the server's.
    pub orders_forged: u64,
    /// Orders refused.
    pub orders_refused: u64,
    /// The host's own limit.
    pub ceiling: String,
    /// What is wrong with its file.
    pub ceiling_problem: Option<String>,
    /// The kill switch, where it is set.
    pub halted_by: Option<String>,
    /// Why the server halted the fleet, by its last word.
    pub fleet_halted: Option<String>,
    /// Freezes that hold now or later, by its last word.
    pub freezes: Vec<String>,
}

/// Reads the state.
pub fn status(config: &AgentConfig, now: Timestamp) -> Result<Status, IdentityError> {
    let state = StateDir::open(&config.state_dir)?;
    let running = state.lock().is_err();
    let identity = Identity::load(&state)?;
    let contact = Contact::read(&state);
    let book = Book::peek(&state)?;
    let stats = spool::peek(&state.join("spool"), now).unwrap_or_default();
    let ceiling = Ceiling::load(&config.ceiling_file);
    let held = held(&state, now);
    let validity = identity.as_ref().and_then(|i| i.validity().ok());
    Ok(Status {
        enrolled: identity.is_some(),
        running,
        host: identity.as_ref().map(|i| i.host.to_string()),
        server: identity.as_ref().map(|i| i.server.to_string()),
        certificate_until: validity.map(|(_, until)| until),
        certificate_renewed_at: identity.as_ref().and_then(|i| i.renew_at().ok()),
        last_contact: contact.heard,
        pending: contact.pending,
        trouble: contact.trouble,
        spool_items: stats.items,
        spool_bytes: stats.bytes,
        spool_dropped: stats.dropped,
        spool_corrupt: stats.corrupt,
        files_damaged: state.files_set_aside(),
        order_counter: book.highest,
        orders_forged: book.forged,
        orders_refused: book.refused,
        ceiling: ceiling.ceiling.risk.to_string(),
        ceiling_problem: ceiling.problem,
        halted_by: halted(state.path(), &config.ceiling_file).map(|p| p.display().to_string()),
        fleet_halted: held.halt,
        freezes: held.freezes,
    })
}

impl Status {
    /// For people.
    pub fn table(&self) -> String {
        let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let time = |at: &Option<Timestamp>| at.map_or("never".to_owned(), |at| at.to_string());
        let enrolled = match (self.enrolled, self.pending) {
            (false, _) => "not enrolled",
            (true, true) => "pending: an operator must accept this host",
            (true, false) => "enrolled",
        };
        let mut rows = vec![
            ("host", format!("{} ({enrolled})", word(&self.host))),
            ("server", word(&self.server)),
            ("agent", if self.running { "runs" } else { "does not run" }.to_owned()),
            ("last contact", time(&self.last_contact)),
            ("certificate until", time(&self.certificate_until)),
            ("certificate renewal", time(&self.certificate_renewed_at)),
            (
                "spool",
                format!(
                    "{} waiting, {} bytes, {} dropped, {} damaged",
                    self.spool_items, self.spool_bytes, self.spool_dropped, self.spool_corrupt
                ),
            ),
            (
                "orders",
                format!(
                    "counter {}, {} refused, {} forged",
                    self.order_counter, self.orders_refused, self.orders_forged
                ),
            ),
            ("ceiling", self.ceiling.clone()),
        ];
        let more = [
            ("ceiling problem", &self.ceiling_problem),
            ("halted by", &self.halted_by),
            ("fleet halted", &self.fleet_halted),
            ("trouble", &self.trouble),
        ];
        if self.files_damaged > 0 {
            let words = format!("{}: *.damaged in the state directory", self.files_damaged);
            rows.push(("damaged files", words));
        }
        rows.extend(more.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        rows.extend(self.freezes.iter().map(|freeze| ("freeze", freeze.clone())));
        super::table(&rows)
    }
}
