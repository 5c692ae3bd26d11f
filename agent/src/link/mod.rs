//! The link to the server: found, trusted, kept up; certificates renewed in time.
//!
//! [`Link::run`] is the one loop: connect, hold a session, wait with jitter, again. It never gives
//! up and never deletes anything.

pub mod address;
pub mod backoff;
pub mod contact;
pub mod dial;
mod session;
pub mod tls;
pub mod trouble;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fleetmend_core::host::HostState;
use fleetmend_core::time::Clock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::address::{ProxyEnvironment, choose_proxy};
use self::backoff::{Backoff, Law};
use self::contact::Contact;
use self::dial::Dialer;
use self::session::{Ended, Session};
use self::trouble::Trouble;
use crate::enroll;
use crate::execute::Executor;
use crate::identity::{Identity, IdentityError};
use crate::platform::Platform;
use crate::random;
use crate::spool::SharedSpool;
use crate::state::StateDir;
use crate::watch::Watch;

/// What the server asked for, read by the loops it concerns; 0 where it asked for nothing.
#[derive(Debug, Default)]
pub struct Wishes {
    scan_seconds: AtomicU64,
    state_seconds: AtomicU64,
}

impl Wishes {
    /// How often failures are looked for: every minute, unless the server wishes otherwise (five
    /// seconds to a day).
    pub fn collect_every(&self) -> Duration {
        Self::span(&self.scan_seconds, 60)
    }

    /// How often the host's state is looked at.
    pub fn state_every(&self) -> Duration {
        Self::span(&self.state_seconds, 300)
    }

    fn span(seconds: &AtomicU64, default: u64) -> Duration {
        match seconds.load(Ordering::Relaxed) {
            0 => Duration::from_secs(default),
            wished => Duration::from_secs(wished.clamp(5, 86_400)),
        }
    }
}

/// The link of one agent.
#[derive(Debug)]
pub struct Link {
    /// The state directory.
    pub state: StateDir,
    /// What is to be told.
    pub spool: SharedSpool,
    /// Who takes orders.
    pub executor: Arc<Executor>,
    /// The host's state as last gathered.
    pub host_state: watch::Receiver<Option<HostState>>,
    /// What the server asked for.
    pub wishes: Arc<Wishes>,
    /// The machine, for the Hello.
    pub platform: Arc<dyn Platform>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// A proxy over that of the enrolment.
    pub proxy: Option<String>,
    /// The law of waiting.
    pub law: Law,
    /// Who looks on.
    pub watch: Option<Arc<dyn Watch>>,
}

impl Link {
    /// Keeps the link up until `stop`.
    pub async fn run(&self, mut identity: Identity, stop: &CancellationToken) {
        let mut backoff = Backoff::default();
        let mut contact = Contact::read(&self.state);
        while !stop.is_cancelled() {
            let held = tokio::select! {
                held = self.once(&mut identity, &mut contact, &mut backoff, stop) => held,
                () = stop.cancelled() => return,
            };
            match held {
                Ok(Ended::Stopped) => return,
                Ok(Ended::Again) => continue,
                Err(trouble) => contact.lost(&self.state, &trouble, self.clock.now()),
            }
            let bytes = random::ten();
            let number = bytes.iter().take(8).fold(0u64, |n, b| (n << 8) | u64::from(*b));
            let wait = backoff.next(self.law, number);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// One connection, from the certificate's look to the session's end.
    async fn once(
        &self,
        identity: &mut Identity,
        contact: &mut Contact,
        backoff: &mut Backoff,
        stop: &CancellationToken,
    ) -> Result<Ended, Trouble> {
        let own = |e: IdentityError| Trouble::Own(e.to_string());
        let now = self.clock.now();
        let (_, until) = identity.validity().map_err(own)?;
        if now >= until {
            let mut client = self.dialer(identity, false)?.client().await?;
            let renewed = enroll::renew(&mut client, identity, true, now).await;
            let renewed = renewed.map_err(|error| match error {
                enroll::EnrollError::Link(trouble) => trouble,
                other => Trouble::Expired { at: until.to_string(), why: other.to_string() },
            })?;
            self.keep(identity, renewed)?;
        }
        let mut client = self.dialer(identity, true)?.client().await?;
        if self.clock.now() >= identity.renew_at().map_err(own)? {
            match enroll::renew(&mut client, identity, false, self.clock.now()).await {
                Ok(renewed) => {
                    self.keep(identity, renewed)?;
                    client = self.dialer(identity, true)?.client().await?;
                }
                // The old one still holds: go on with it, and try again with the next session.
                Err(error) => tracing::warn!(%error, "certificate not renewed"),
            }
        }
        let mut session = Session { link: self, identity, contact, backoff };
        session.hold(client, stop).await
    }

    fn keep(&self, identity: &mut Identity, renewed: Identity) -> Result<(), Trouble> {
        renewed.save(&self.state).map_err(|e| Trouble::Own(e.to_string()))?;
        *identity = renewed;
        tracing::info!(host.id = %identity.host, "certificate renewed");
        Ok(())
    }

    fn dialer(&self, identity: &Identity, certified: bool) -> Result<Dialer, Trouble> {
        dialer(identity, certified, self.proxy.as_deref(), &self.clock)
    }
}

/// How this host's server is reached; `certified` presents the host's certificate.
pub fn dialer(
    identity: &Identity,
    certified: bool,
    proxy: Option<&str>,
    clock: &Arc<dyn Clock>,
) -> Result<Dialer, Trouble> {
    let own = |e: &dyn std::fmt::Display| Trouble::Own(e.to_string());
    let pin = identity.root_pin().map_err(|e| own(&e))?;
    let given = proxy.or(identity.proxy.as_deref());
    let environment = ProxyEnvironment::read();
    Ok(Dialer {
        server: identity.server.clone(),
        proxy: choose_proxy(given, &environment, &identity.server).map_err(|e| own(&e))?,
        tls: tls::client_config(pin, certified.then_some(identity), Arc::clone(clock))
            .map_err(|e| own(&e))?,
        clock: Arc::clone(clock),
    })
}
