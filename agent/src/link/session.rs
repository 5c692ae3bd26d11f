//! One stream: Hello and Welcome, then reports out and acknowledgements in, state, heartbeats,
//! orders.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fleetmend_core::host::HostState;
use fleetmend_core::limits;
use fleetmend_core::order::Envelope;
use fleetmend_core::time::Timestamp;
use fleetmend_proto::v1::agent_service_client::AgentServiceClient;
use fleetmend_proto::v1::{agent_message, server_message};
use fleetmend_proto::{Hello, v1};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use tonic::transport::Channel;
use uuid::Uuid;

use super::Link;
use super::backoff::Backoff;
use super::contact::Contact;
use super::trouble::Trouble;
use crate::identity::Identity;
use crate::order::OrderKey;
use crate::watch::Watch;

/// Report messages that may be under way unacknowledged.
const WINDOW: usize = 4;
/// Messages that wait to go out: the window, and heartbeats and state beside it.
const OUT: usize = WINDOW + 8;
/// How often a contact is written down while a session goes on.
const NOTE_EVERY: Duration = Duration::from_mins(5);

/// How a session ended when nothing was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The agent is being stopped.
    Stopped,
    /// A new connection is wanted at once, for a new certificate.
    Again,
}

pub(super) struct Session<'a> {
    pub(super) link: &'a Link,
    pub(super) identity: &'a Identity,
    pub(super) contact: &'a mut Contact,
    pub(super) backoff: &'a mut Backoff,
}

/// What one session knows between two messages.
struct Talk {
    out: mpsc::Sender<v1::AgentMessage>,
    /// The last sequence of each report message under way.
    under_way: Vec<u64>,
    key: OrderKey,
}

/// Tells whoever looks on that the session is open, and, when dropped, that it is not.
struct Open<'a>(Option<&'a Arc<dyn Watch>>);

impl<'a> Open<'a> {
    fn new(watch: Option<&'a Arc<dyn Watch>>) -> Self {
        watch.inspect(|watch| watch.session(true));
        Self(watch)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.inspect(|watch| watch.session(false));
    }
}

impl Session<'_> {
    /// Holds a session until it ends.
    pub(super) async fn hold(
        &mut self,
        mut client: AgentServiceClient<Channel>,
        stop: &CancellationToken,
    ) -> Result<Ended, Trouble> {
        let (out, outgoing) = mpsc::channel(OUT);
        let hello = self.hello()?;
        let first = v1::AgentMessage { body: Some(agent_message::Body::Hello(hello.into())) };
        out.try_send(first).map_err(|e| Trouble::Own(e.to_string()))?;
        let silent = |_| Trouble::Silent {
            what: format!("the server {}", self.identity.server),
            after: limits::FIRST_MESSAGE,
        };
        let answer = timeout(limits::FIRST_MESSAGE, client.session(ReceiverStream::new(outgoing)));
        let mut incoming = answer
            .await
            .map_err(silent)?
            .map_err(|status| Trouble::from_status(&status))?
            .into_inner();
        let welcome =
            timeout(limits::FIRST_MESSAGE, next(&mut incoming)).await.map_err(silent)??;
        let server_message::Body::Welcome(welcome) = welcome else {
            return Err(Trouble::Ended { why: "the server did not begin with a welcome".into() });
        };
        let beat = self.welcomed(&welcome)?;
        let Some(beat) = beat else {
            let why = "server and spool disagree on what was delivered: a new spool epoch begins";
            return Err(Trouble::Ended { why: why.to_owned() });
        };
        let pin = self.identity.root_pin().map_err(|e| Trouble::Own(e.to_string()))?;
        let mut talk =
            Talk { out, under_way: Vec::new(), key: OrderKey::new(welcome.order_chain, pin) };
        let _open = Open::new(self.link.watch.as_ref());
        let ended = self.talk(&mut talk, &mut incoming, beat, stop).await;
        self.link.spool.lock().rollback();
        ended
    }

    fn hello(&self) -> Result<Hello, Trouble> {
        let mut facts = self.link.platform.facts().map_err(|e| Trouble::Own(e.to_string()))?;
        if let Some(name) = &self.identity.name {
            facts.name.clone_from(name);
        }
        Ok(Hello {
            facts,
            epoch: self.link.spool.lock().epoch(),
            order_counter: self.link.executor.highest_counter(),
            open_jobs: self.link.executor.open_jobs(),
        })
    }

    /// Takes the welcome. `None` where the spool begins a new epoch, which wants a new Hello.
    fn welcomed(&mut self, welcome: &v1::Welcome) -> Result<Option<Duration>, Trouble> {
        let now = self.link.clock.now();
        let ahead = welcome.now.saturating_sub(now.as_millis());
        let skew = i64::try_from(limits::CLOCK_SKEW.as_millis()).unwrap_or(i64::MAX);
        if ahead.abs() > skew {
            tracing::warn!(seconds = ahead / 1_000, "this host's clock differs from the server's");
        }
        self.contact.clock_ahead_ms = Some(ahead);
        self.link.executor.server_clock(Timestamp::from_millis(welcome.now));
        self.contact.pending = welcome.pending;
        self.contact.met(&self.link.state, now);
        if let Some(halt) = welcome.halt.clone() {
            self.link.executor.halt(halt.into());
        }
        if let Some(freezes) = welcome.freezes.clone() {
            self.frozen(freezes);
        }
        let settings = welcome.settings.unwrap_or_default();
        let wishes = &self.link.wishes;
        wishes.scan_seconds.store(settings.scan_seconds.into(), Ordering::Relaxed);
        wishes.state_seconds.store(settings.state_seconds.into(), Ordering::Relaxed);
        tracing::info!(host.id = %self.identity.host, server = %self.identity.server, pending = welcome.pending, "session open");
        let mut spool = self.link.spool.lock();
        spool.rollback();
        let renewed =
            spool.agree(welcome.acknowledged, now).map_err(|e| Trouble::Own(e.to_string()))?;
        if renewed {
            tracing::warn!(
                acknowledged = welcome.acknowledged,
                "server and spool disagree on what was delivered: a new spool epoch begins"
            );
            return Ok(None);
        }
        let wished = Duration::from_secs(settings.heartbeat_seconds.into());
        let beat = if wished.is_zero() { limits::HEARTBEAT } else { wished };
        Ok(Some(beat.clamp(Duration::from_secs(1), limits::IDLE / 3)))
    }

    async fn talk(
        &mut self,
        talk: &mut Talk,
        incoming: &mut Streaming<v1::ServerMessage>,
        beat: Duration,
        stop: &CancellationToken,
    ) -> Result<Ended, Trouble> {
        let mut state = self.link.host_state.clone();
        state.mark_changed();
        let mut beats = interval_at(Instant::now() + beat, beat);
        let mut heard = Instant::now();
        let mut noted = Instant::now();
        let renewal = renewal(self.link, self.identity);
        tokio::pin!(renewal);
        loop {
            self.send_reports(talk)?;
            tokio::select! {
                message = next(incoming) => {
                    heard = Instant::now();
                    self.take(talk, message?)?;
                }
                () = self.link.spool.changed(), if talk.under_way.len() < WINDOW => {}
                changed = state.changed() => {
                    // Whoever gathers the state stops only with the agent.
                    if changed.is_err() {
                        return Ok(Ended::Stopped);
                    }
                    let current = state.borrow_and_update().clone();
                    send_state(talk, current.as_ref())?;
                }
                _ = beats.tick() => {
                    let at = self.link.clock.now();
                    let beat = v1::Heartbeat { at: at.as_millis() };
                    talk.send(agent_message::Body::Heartbeat(beat))?;
                    if noted.elapsed() > NOTE_EVERY && heard.elapsed() < limits::IDLE {
                        noted = Instant::now();
                        self.contact.met(&self.link.state, at);
                    }
                }
                () = sleep_until(heard + limits::IDLE) => {
                    let what = format!("the server {}", self.identity.server);
                    return Err(Trouble::Silent { what, after: limits::IDLE });
                }
                () = &mut renewal => return Ok(Ended::Again),
                () = stop.cancelled() => return Ok(Ended::Stopped),
            }
        }
    }

    /// Leases and sends while the window has room.
    fn send_reports(&self, talk: &mut Talk) -> Result<(), Trouble> {
        while talk.under_way.len() < WINDOW {
            let now = self.link.clock.now();
            let lease = self.link.spool.lock().lease(limits::REPORTS_PER_MESSAGE, now);
            let Some(lease) = lease else { return Ok(()) };
            talk.under_way.push(lease.last());
            talk.send(agent_message::Body::Reports(v1::Reports {
                epoch: lease.epoch.0.as_bytes().to_vec(),
                first_sequence: lease.first,
                items: lease.items.iter().map(Into::into).collect(),
            }))?;
        }
        Ok(())
    }

    fn take(&mut self, talk: &mut Talk, message: server_message::Body) -> Result<(), Trouble> {
        match message {
            server_message::Body::ReportsAck(ack) => self.acknowledged(talk, &ack),
            server_message::Body::Order(order) => {
                self.ordered(talk, order);
                Ok(())
            }
            server_message::Body::CancelJob(cancel) => {
                if let Ok(job) = Uuid::from_slice(&cancel.job) {
                    let reason = cancel.reason.chars().take(500).collect();
                    self.link.executor.recall(job.into(), reason);
                }
                Ok(())
            }
            server_message::Body::Heartbeat(beat) => {
                self.link.executor.server_clock(Timestamp::from_millis(beat.at));
                self.backoff.reset();
                Ok(())
            }
            server_message::Body::Halt(halt) => {
                self.link.executor.halt(halt.into());
                Ok(())
            }
            server_message::Body::Freezes(freezes) => {
                self.frozen(freezes);
                Ok(())
            }
            server_message::Body::Welcome(_) => Ok(()),
        }
    }

    fn acknowledged(&mut self, talk: &mut Talk, ack: &v1::ReportsAck) -> Result<(), Trouble> {
        if ack.epoch != self.link.spool.lock().epoch().0.as_bytes() {
            return Ok(());
        }
        self.link.spool.commit(ack.sequence);
        talk.under_way.retain(|last| *last > ack.sequence);
        for refused in &ack.refused {
            tracing::warn!(sequence = refused.sequence, problem = %refused.problem, "item put aside by the server");
        }
        if ack.problem.is_empty() {
            // Only now did the session work: a server that welcomes everybody and then stores
            // nothing is not asked again at once.
            self.backoff.reset();
            return Ok(());
        }
        // The next session begins where the server says that it is.
        Err(Trouble::Ended { why: format!("the server did not take the reports: {}", ack.problem) })
    }

    fn frozen(&self, freezes: v1::Freezes) {
        match Vec::try_from(freezes) {
            Ok(freezes) => self.link.executor.freeze(freezes),
            Err(error) => tracing::error!(%error, "freezes not understood: those before stay"),
        }
    }

    fn ordered(&self, talk: &Talk, order: v1::Order) {
        match Envelope::try_from(order) {
            Ok(envelope) => {
                let offered = self.link.executor.offer(&talk.key, &envelope);
                tracing::debug!(?offered, "order");
            }
            Err(error) => tracing::error!(%error, "order is no envelope"),
        }
    }
}

/// Ends when the certificate is due for renewal. Looked at now and then, since clocks jump.
async fn renewal(link: &Link, identity: &Identity) {
    loop {
        tokio::time::sleep(NOTE_EVERY).await;
        let now = link.clock.now();
        let due = identity.renew_at().is_ok_and(|at| now >= at);
        if due && identity.validity().is_ok_and(|(_, until)| now < until) {
            return;
        }
    }
}

impl Talk {
    fn send(&self, body: agent_message::Body) -> Result<(), Trouble> {
        let message = v1::AgentMessage { body: Some(body) };
        self.out
            .try_send(message)
            .map_err(|_| Trouble::Ended { why: "the server takes no more messages".to_owned() })
    }
}

fn send_state(talk: &Talk, state: Option<&HostState>) -> Result<(), Trouble> {
    match state {
        Some(state) => talk.send(agent_message::Body::HostState(state.into())),
        None => Ok(()),
    }
}

async fn next(
    incoming: &mut Streaming<v1::ServerMessage>,
) -> Result<server_message::Body, Trouble> {
    loop {
        match incoming.message().await {
            Ok(Some(v1::ServerMessage { body: Some(body) })) => return Ok(body),
            // A kind of message that a newer server knows.
            Ok(Some(v1::ServerMessage { body: None })) => {}
            Ok(None) => return Err(Trouble::Ended { why: "the server closed the stream".into() }),
            Err(status) => return Err(Trouble::from_status(&status)),
        }
    }
}
