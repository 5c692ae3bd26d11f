//! One host's stream, from hello to end.
//!
//! A single task owns the stream: it reads a message, deals with it, and only then reads the next,
//! so a full ingest queue makes the agent wait. The heartbeat, nudges, the end asked by somebody
//! else and the deadlines are heard between messages and while a commit is awaited.

use std::time::Duration;

use fleetmend_core::campaign::FreezeSpan;
use fleetmend_core::host::Labels;
use fleetmend_core::ids::HostId;
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use fleetmend_faults::{Point, crash_point};
use fleetmend_proto::v1::agent_message::Body as FromAgent;
use fleetmend_proto::v1::server_message::Body as ToAgent;
use fleetmend_proto::{v1, wire_size};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tonic::{Status, Streaming};
use tracing::Instrument as _;

use super::ended::{Ended, failed};
use super::hello;
use super::limiter::Limiter;
use super::push::{self, Told};
use super::registry::Registration;
use super::service::AgentLink;
use super::standing;
use crate::enroll::OrderKey;
use crate::enroll::identity::HostCertificate;
use crate::events::Event;
use crate::halt::{Standing, freezes_for};
use crate::ingest::{self, IngestError};
use crate::metrics::{self, StreamEnd};
use crate::state::Shared;

/// Time for a slow agent to take one message.
const SEND: Duration = Duration::from_secs(30);
/// What a session waits, give or take a half, before it tries again what the database did not take.
const AWAY_PAUSE: Duration = Duration::from_secs(1);
/// What it waits for the news that the database is back, give or take a half.
const AWAY_TRY: Duration = Duration::from_secs(4);
/// What a host's state weighs against the share of reports.
const STATE_WEIGHT: u32 = 100;

type Out = mpsc::Sender<Result<v1::ServerMessage, Status>>;

/// A stream whose caller was admitted.
pub(super) struct Opened {
    pub(super) link: AgentLink,
    pub(super) identity: HostCertificate,
    /// When the certificate's time is over.
    pub(super) not_after: Timestamp,
    pub(super) inbound: Streaming<v1::AgentMessage>,
    pub(super) out: Out,
}

struct Session {
    link: AgentLink,
    identity: HostCertificate,
    place: Registration,
    key: std::sync::Arc<OrderKey>,
    limiter: Limiter,
    out: Out,
    orders: Told,
    /// Whether the fleet is halted.
    halt: watch::Receiver<Standing>,
    /// When nothing may begin.
    freezes: watch::Receiver<Vec<FreezeSpan>>,
}

/// Runs a stream to its end.
pub(super) async fn run(opened: Opened) {
    let host = opened.identity.host;
    let span = tracing::info_span!("link.session", host.id = %host);
    async move {
        let (out, events) = (opened.out.clone(), opened.link.shared.events.clone());
        let ended = match stream(opened).await {
            Ok(never) => never,
            Err(ended) => ended,
        };
        metrics::stream_ended(ended.why);
        let words = ended.status.as_ref().map_or("", |status| status.message());
        tracing::info!(why = ended.why.as_str(), words, "session ended");
        if let Some(status) = ended.status {
            // A full channel belongs to an agent that does not listen.
            let _ = out.try_send(Err(status));
        }
        events.tell(Event::Host { id: host });
    }
    .instrument(span)
    .await;
}

async fn stream(mut opened: Opened) -> Result<Ended, Ended> {
    let hello = hello::receive(&mut opened.inbound).await?;
    let Opened { link, identity, not_after, mut inbound, out } = opened;
    let shared = link.shared.clone();
    let host = identity.host;
    let turn = link.turn().await.map_err(Ended::refused)?;
    let now = shared.clock.now();
    let acknowledged =
        hello::note(&shared, host, &hello, now).await.map_err(|error| failed(&shared, &error))?;
    let place = shared.registry.register(host, &identity.serial, not_after);
    // Looked at again now that an end asked by somebody else would be heard.
    let standing = standing::check(&shared, &identity).await.map_err(Ended::refused)?;
    drop(turn);
    link.seen.note(host, now);
    shared.events.tell(Event::Host { id: host });
    tracing::info!(agent = hello.facts.agent_version, name = hello.facts.name, "session open");

    let key = shared.authority.order_key();
    let mut halt = shared.halt.listen();
    let mut freezes = shared.halt.listen_to_freezes();
    let word = halt.borrow_and_update().word();
    let welcome = v1::Welcome {
        now: now.as_millis(),
        settings: Some(v1::Settings {
            heartbeat_seconds: seconds(limits::HEARTBEAT),
            state_seconds: shared.config.agent_state_seconds,
            scan_seconds: shared.config.agent_scan_seconds,
        }),
        order_chain: key.chain().to_vec(),
        acknowledged,
        pending: !standing.lifecycle.may_get_orders(),
        halt: Some(v1::Halt::from(&word)),
        freezes: Some(freezes_of(&shared, host, &mut freezes).await?),
    };
    let limiter = Limiter::new(Instant::now());
    let known = hello.open_jobs.iter().map(|open| open.job).collect();
    let orders = Told::new(known);
    let mut session = Session { link, identity, place, key, limiter, out, orders, halt, freezes };
    session.send(ToAgent::Welcome(welcome)).await?;
    session.push().await?;
    session.serve(&mut inbound).await
}

/// The freezes that are for a host, as far as they are known now. Its labels are read only where some
/// freeze goes by labels.
async fn freezes_of(
    shared: &Shared,
    host: HostId,
    freezes: &mut watch::Receiver<Vec<FreezeSpan>>,
) -> Result<v1::Freezes, Ended> {
    let spans = freezes.borrow_and_update().clone();
    let labels = if spans.iter().any(|span| !span.labels.is_empty()) {
        let known = shared.db.host(host).await.map_err(|error| failed(shared, &error))?;
        known.map(|host| host.labels).unwrap_or_default()
    } else {
        Labels::new()
    };
    Ok(v1::Freezes::from(&freezes_for(&spans, &labels)[..]))
}

impl Session {
    async fn serve(&mut self, inbound: &mut Streaming<v1::AgentMessage>) -> Result<Ended, Ended> {
        let mut heartbeat = heartbeats();
        let age = tokio::time::sleep(jittered_age());
        tokio::pin!(age);
        let mut last_message = Instant::now();
        let mut slowed_until: Option<Instant> = None;
        loop {
            let silent = last_message.max(slowed_until.unwrap_or(last_message)) + limits::IDLE;
            tokio::select! {
                biased;
                end = self.place.ended() => return Err(Ended::asked(end.why, end.words)),
                () = self.out.closed() => return Ok(Ended::closed()),
                () = &mut age => return Ok(Ended { why: StreamEnd::Aged, status: None }),
                () = tokio::time::sleep_until(silent) => {
                    let status = Status::deadline_exceeded("nothing came for 90 seconds");
                    return Err(Ended::new(StreamEnd::Idle, status));
                }
                // The sender lives as long as the server.
                Ok(()) = self.halt.changed() => self.tell_halt().await?,
                Ok(()) = self.freezes.changed() => self.tell_freezes().await?,
                () = self.place.nudged() => self.push().await?,
                _ = heartbeat.tick() => {
                    self.heartbeat().await?;
                    if self.orders.doubtful {
                        self.push().await?;
                    }
                }
                () = tokio::time::sleep_until(slowed_until.unwrap_or(silent)),
                    if slowed_until.is_some() => slowed_until = None,
                message = inbound.message(), if slowed_until.is_none() => {
                    let Some(message) = message.map_err(Ended::broken)? else {
                        return Ok(Ended::closed());
                    };
                    slowed_until = self.take(message).await?;
                    // After it was dealt with: while that took long, nothing was read.
                    last_message = Instant::now();
                    if slowed_until.is_some() {
                        metrics::throttled();
                    }
                }
            }
        }
    }

    /// Deals with one message, and says until when to wait before the next.
    async fn take(&mut self, message: v1::AgentMessage) -> Result<Option<Instant>, Ended> {
        let host = self.identity.host;
        let now = self.link.shared.clock.now();
        self.link.seen.note(host, now);
        match message.body {
            Some(FromAgent::Heartbeat(_)) => Ok(None),
            Some(FromAgent::Reports(reports)) => {
                let count = u32::try_from(reports.items.len()).unwrap_or(u32::MAX);
                let wait = self.limiter.take(count, Instant::now());
                self.reports(host, reports).await?;
                Ok(wait)
            }
            Some(FromAgent::HostState(state)) => {
                self.state(host, state).await?;
                Ok(self.limiter.take(STATE_WEIGHT, Instant::now()))
            }
            Some(FromAgent::Hello(_)) => Err(Ended::new(
                StreamEnd::Protocol,
                Status::failed_precondition("a hello comes once, first"),
            )),
            None => Err(Ended::new(
                StreamEnd::Protocol,
                Status::unimplemented("the message is of a kind that this server does not know"),
            )),
        }
    }

    /// Reports: stored, then acknowledged. While the database is away they are held, the stream stays
    /// open, and nothing is acknowledged.
    async fn reports(&mut self, host: HostId, wire: v1::Reports) -> Result<(), Ended> {
        let size = wire_size(&wire);
        let read =
            ingest::read(host, wire).map_err(|err| Ended::protocol(&err.within("reports")))?;
        for (sequence, problem) in &read.refused {
            tracing::warn!(sequence, problem, "an item was set aside");
        }
        let epoch = read.items.epoch;
        let ingest = self.link.ingest.clone();
        let (mut items, mut room) = (read.items, None);
        let outcome = loop {
            let storing = ingest.submit(items);
            tokio::pin!(storing);
            let stored = loop {
                tokio::select! {
                    biased;
                    end = self.place.ended() => return Err(Ended::asked(end.why, end.words)),
                    () = self.out.closed() => return Err(Ended::closed()),
                    Ok(()) = self.halt.changed() => self.say_halt().await?,
                    stored = &mut storing => break stored,
                }
            };
            match stored {
                Ok(outcome) => break outcome,
                Err(IngestError::Away(back)) if room.is_some() || ingest.hold(size, &mut room) => {
                    items = back;
                    self.wait_for_database().await?;
                }
                Err(error) => {
                    let status = Status::unavailable(error.to_string());
                    return Err(Ended::new(StreamEnd::Internal, status));
                }
            }
        };
        drop(room);
        if outcome.foreign {
            return Err(Ended::refused(Status::permission_denied("the host may not report")));
        }
        let problem = if outcome.refused == 0 {
            String::new()
        } else {
            format!("items are missing: {} is wanted next", outcome.acknowledged + 1)
        };
        let refused = read
            .refused
            .into_iter()
            .filter(|(sequence, _)| *sequence <= outcome.acknowledged)
            .map(|(sequence, problem)| v1::RefusedItem { sequence, problem })
            .collect();
        crash_point(Point::AckBeforeSend);
        self.send(ToAgent::ReportsAck(v1::ReportsAck {
            epoch: epoch.0.as_bytes().to_vec(),
            sequence: outcome.acknowledged,
            problem,
            refused,
        }))
        .await?;
        crash_point(Point::AckAfterSend);
        Ok(())
    }

    /// Waits until the database answers or might, and a moment more, so that not all come at once. The stream
    /// is kept meanwhile: the agent hears that the server is there.
    async fn wait_for_database(&mut self) -> Result<(), Ended> {
        let database = self.link.shared.database.clone();
        let jitter = 0.5 + fastrand::f64();
        let back = async move {
            tokio::time::sleep(AWAY_PAUSE.mul_f64(jitter)).await;
            // Tried now and then whatever is said of the database: a write tells more than a look.
            let _ = tokio::time::timeout(AWAY_TRY.mul_f64(jitter), database.up()).await;
        };
        tokio::pin!(back);
        let mut heartbeat = heartbeats();
        loop {
            tokio::select! {
                biased;
                end = self.place.ended() => return Err(Ended::asked(end.why, end.words)),
                () = self.out.closed() => return Err(Ended::closed()),
                // It needs no database: the agent holds the orders that it has.
                Ok(()) = self.halt.changed() => self.say_halt().await?,
                () = &mut back => return Ok(()),
                _ = heartbeat.tick() => self.heartbeat().await?,
            }
        }
    }

    /// The host's state: the latest one counts, so one that cannot be read is dropped and counted.
    async fn state(&mut self, host: HostId, wire: v1::HostState) -> Result<(), Ended> {
        let shared = self.link.shared.clone();
        let (size, mut room) = (wire_size(&wire), None);
        let state = match fleetmend_core::host::HostState::try_from(wire) {
            Ok(state) => state,
            Err(error) => {
                metrics::state_refused();
                tracing::warn!(%error, "the host's state was refused");
                return Ok(());
            }
        };
        // The agent does not send it again before it changes: it is held while the database is away.
        while let Err(error) = shared.db.save_state(host, &state, shared.clock.now()).await {
            let ended = failed(&shared, &error);
            let held = room.is_some() || self.link.ingest.hold(size, &mut room);
            if !error.is_unavailable() || !held {
                return Err(ended);
            }
            self.wait_for_database().await?;
        }
        shared.events.tell(Event::Host { id: host });
        Ok(())
    }

    /// Sends what is due, where the host may get orders at this moment. A database that is away ends
    /// no stream: the next look is the sweep's.
    async fn push(&mut self) -> Result<(), Ended> {
        let (link, host) = (self.link.clone(), self.identity.host);
        let shared = &link.shared;
        let Ok(turn) = link.turn().await else { return Ok(()) };
        let standing = match standing::check(shared, &self.identity).await {
            Ok(standing) => standing,
            Err(status) if status.code() == tonic::Code::Unavailable => return Ok(()),
            Err(status) => return Err(Ended::refused(status)),
        };
        if !standing.lifecycle.may_get_orders() {
            return Ok(());
        }
        if self.orders.doubtful {
            match push::again(shared, host, &self.orders.known).await {
                Ok(()) => self.orders.doubtful = false,
                Err(error) => {
                    shared.database.failed("orders could not be put back", &error);
                    return Ok(());
                }
            }
        }
        let due = push::due(shared, host, &self.key).await;
        drop(turn);
        for (job, order) in due.orders {
            self.orders.sent(job);
            self.send(ToAgent::Order(order)).await?;
        }
        for job in due.recalled {
            if self.orders.recall_now(job, Instant::now()) {
                let reason = "cancelled by an admin".to_owned();
                let job = job.0.as_bytes().to_vec();
                self.send(ToAgent::CancelJob(v1::CancelJob { job, reason })).await?;
            }
        }
        if let Some(error) = due.failed {
            self.orders.doubtful = true;
            shared.database.failed("orders could not be looked up", &error);
        }
        Ok(())
    }

    /// Tells the agent that the fleet is halted, or goes on.
    async fn tell_halt(&mut self) -> Result<(), Ended> {
        self.say_halt().await?;
        // What was held back need not wait for the next look.
        if self.halt.borrow().first().is_some() { Ok(()) } else { self.push().await }
    }

    async fn say_halt(&mut self) -> Result<(), Ended> {
        let word = self.halt.borrow_and_update().word();
        self.send(ToAgent::Halt(v1::Halt::from(&word))).await
    }

    /// Tells the agent when nothing may begin.
    async fn tell_freezes(&mut self) -> Result<(), Ended> {
        let (shared, host) = (self.link.shared.clone(), self.identity.host);
        let freezes = freezes_of(&shared, host, &mut self.freezes).await?;
        self.send(ToAgent::Freezes(freezes)).await
    }

    async fn heartbeat(&self) -> Result<(), Ended> {
        let at = self.link.shared.clock.now().as_millis();
        self.send(ToAgent::Heartbeat(v1::Heartbeat { at })).await
    }

    async fn send(&self, body: ToAgent) -> Result<(), Ended> {
        let message = v1::ServerMessage { body: Some(body) };
        match tokio::time::timeout(SEND, self.out.send(Ok(message))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ended::closed()),
            Err(_) => Err(Ended { why: StreamEnd::Idle, status: None }),
        }
    }
}

fn heartbeats() -> tokio::time::Interval {
    let first = Instant::now() + limits::HEARTBEAT;
    let mut heartbeat = tokio::time::interval_at(first, limits::HEARTBEAT);
    heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    heartbeat
}

fn seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

/// Streams end between four fifths and the whole of their age, so that a fleet that connected at
/// once does not come back at once.
fn jittered_age() -> Duration {
    limits::CONNECTION_AGE.mul_f64(0.8 + 0.2 * fastrand::f64())
}
