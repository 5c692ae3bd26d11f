//! The outside ledger: hosts of our own over real mTLS, which note each report that the server
//! acknowledged. They never forget and never give up; what the server says later is held against
//! what it acknowledged.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmend_agent::enroll::{self, Request};
use fleetmend_agent::identity::Identity;
use fleetmend_agent::link::dialer;
use fleetmend_agent::platform::{Exit, Platform, Program};
use fleetmend_agent::state::StateDir;
use fleetmend_core::host::{HostFacts, OsFamily};
use fleetmend_core::ids::ReportId;
use fleetmend_core::report::{FailureReport, Kind, Operation, Product, ReportedFailure, Source};
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::{Clock, SourceTime, SystemClock};
use fleetmend_proto::v1;
use fleetmend_proto::v1::{agent_message, server_message};
use fleetmend_tests::api::Api;
use fleetmend_tests::server::Server;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Report messages under way at once, as an agent has them.
const WINDOW: usize = 4;
/// Reports in one message, at most.
const BATCH: u64 = 8;
/// Pause between two messages of one host: below the share of reports that the server allows.
const PACE: Duration = Duration::from_millis(60);
/// Things that fail on one host.
const SUBJECTS: u64 = 5;
/// Silence after which a connection is given up.
const SILENT: Duration = Duration::from_secs(15);

/// All its hosts, at work in threads of their own until it is dropped.
pub(crate) struct Ledger {
    books: Vec<Arc<Mutex<Book>>>,
    quiet: CancellationToken,
    _runtime: Runtime,
}

/// What one host did and was told.
struct Book {
    host: String,
    /// Each report ever made: its id and what it was about; the first has sequence 1.
    made: Vec<(ReportId, u64)>,
    /// How many were ever sent.
    sent: u64,
    /// How many the server acknowledged.
    acknowledged: u64,
    /// Sessions that were opened.
    sessions: u64,
    /// What the server did wrong.
    wrong: Vec<String>,
}

/// What the ledger has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) made: u64,
    pub(crate) acknowledged: u64,
    pub(crate) sessions: u64,
}

struct Host {
    identity: Identity,
    book: Arc<Mutex<Book>>,
    quiet: CancellationToken,
    clock: Arc<dyn Clock>,
    epoch: Uuid,
    name: String,
}

impl Ledger {
    /// Enrols `hosts` hosts and lets them report without end.
    pub(crate) fn open(server: &Server, hosts: u32, seed: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let token = server.enrollment_token(&["--uses", &hosts.to_string()]);
        let api = server.api();
        let quiet = CancellationToken::new();
        let mut random = fastrand::Rng::with_seed(seed);
        let books = (0..hosts)
            .map(|n| {
                let name = format!("ledger-{n}");
                let clock: Arc<dyn Clock> = Arc::new(SystemClock);
                let identity = runtime.block_on(enrol(server, &token, &name, &clock));
                let host = identity.host.to_string();
                let (status, body) =
                    api.post(&format!("/api/v1/hosts/{host}/accept"), &serde_json::json!({}));
                assert!(matches!(status, 200 | 409), "{status} {body}");
                let book = Arc::new(Mutex::new(Book::of(host)));
                let epoch = Uuid::from_u128(random.u128(..));
                let (quiet, book_of) = (quiet.clone(), Arc::clone(&book));
                let mut host = Host { identity, book: book_of, quiet, clock, epoch, name };
                let random = fastrand::Rng::with_seed(random.u64(..));
                runtime.spawn(async move { host.live(random).await });
                book
            })
            .collect();
        Self { books, quiet, _runtime: runtime }
    }

    /// From now on nothing new is reported; what was made is still delivered.
    pub(crate) fn quiet(&self) {
        self.quiet.cancel();
    }

    /// What was seen so far.
    pub(crate) fn sums(&self) -> Sums {
        self.books.iter().map(|b| lock(b)).fold(Sums::default(), |sums, book| Sums {
            made: sums.made + book.made.len() as u64,
            acknowledged: sums.acknowledged + book.acknowledged,
            sessions: sums.sessions + book.sessions,
        })
    }

    /// Waits until something more is acknowledged.
    pub(crate) fn wait_progress(&self, within: Duration) {
        let before = self.sums().acknowledged;
        fleetmend_tests::wait_for("an acknowledgement", within, || {
            let sums = self.sums();
            if sums.acknowledged > before { Ok(()) } else { Err(format!("{sums:?}")) }
        });
    }

    /// What the server has done wrong so far.
    pub(crate) fn wrong(&self) -> Vec<String> {
        self.books.iter().flat_map(|book| lock(book).wrong.clone()).collect()
    }

    /// Goes quiet and waits until all that was made is acknowledged.
    pub(crate) fn drain(&self, within: Duration) -> Result<(), String> {
        self.quiet();
        let deadline = std::time::Instant::now() + within;
        loop {
            let sums = self.sums();
            if sums.acknowledged >= sums.made {
                return Ok(());
            }
            if std::time::Instant::now() > deadline {
                return Err(format!("after {within:?} not all is acknowledged: {sums:?}"));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Holds what the server knows against the ledger: each acknowledged report is there once, none
    /// is there twice or from nowhere, and incidents count what was reported. Says what is wrong.
    pub(crate) fn audit(&self, api: &Api) -> Vec<String> {
        let mut wrong = self.wrong();
        for book in &self.books {
            let book = lock(book);
            let reports = api.all(&format!("/api/v1/reports?host={}", book.host));
            let mut stored: BTreeMap<String, u32> = BTreeMap::new();
            for report in &reports {
                let id = report["id"].as_str().unwrap_or_default().to_owned();
                *stored.entry(id).or_default() += 1;
            }
            let (mut lost, mut doubled) = (0, 0);
            let mut about: BTreeMap<String, u64> = BTreeMap::new();
            for (sequence, (id, subject)) in (1u64..).zip(&book.made) {
                let times = stored.remove(&id.to_string()).unwrap_or(0);
                lost += u64::from(times == 0 && sequence <= book.acknowledged);
                doubled += u64::from(times > 1);
                if times > 0 {
                    *about.entry(format!("thing-{subject}")).or_default() += 1;
                }
            }
            let host = &book.host;
            if lost > 0 {
                wrong.push(format!("{host}: {lost} acknowledged reports are lost"));
            }
            if doubled > 0 {
                wrong.push(format!("{host}: {doubled} reports are there twice"));
            }
            if !stored.is_empty() {
                wrong.push(format!("{host}: {} reports were never made", stored.len()));
            }
            let mut counted: BTreeMap<String, u64> = BTreeMap::new();
            for incident in api.all(&format!("/api/v1/incidents?host={host}")) {
                let subject = incident["subject"].as_str().unwrap_or_default().to_owned();
                *counted.entry(subject).or_default() += incident["reports"].as_u64().unwrap_or(0);
            }
            if counted != about {
                wrong.push(format!("{host}: incidents count {counted:?}, reported were {about:?}"));
            }
        }
        wrong
    }
}

impl Book {
    fn of(host: String) -> Self {
        Self { host, made: Vec::new(), sent: 0, acknowledged: 0, sessions: 0, wrong: Vec::new() }
    }

    /// What the server says it has.
    fn told(&mut self, what: &str, sequence: u64) {
        if sequence > self.sent {
            let sent = self.sent;
            self.wrong.push(format!("{what} of {sequence}, only {sent} were sent"));
        } else if sequence < self.acknowledged {
            let had = self.acknowledged;
            self.wrong.push(format!("{what} of {sequence}, after {had} were acknowledged"));
        } else {
            self.acknowledged = sequence;
        }
    }
}

impl Host {
    async fn live(&mut self, mut random: fastrand::Rng) {
        loop {
            // What broke a session is the test's doing.
            let _ = self.session(&mut random).await;
            sleep(Duration::from_millis(random.u64(5..60))).await;
        }
    }

    async fn session(&self, random: &mut fastrand::Rng) -> Option<()> {
        let dialer = dialer(&self.identity, true, Some("none"), &self.clock).ok()?;
        let mut client = timeout(SILENT, dialer.client()).await.ok()?.ok()?;
        let (out, outgoing) = mpsc::channel(2 * WINDOW);
        let hello = v1::Hello {
            facts: Some((&facts(&self.name)).into()),
            spool_epoch: self.epoch.as_bytes().to_vec(),
            order_counter: 0,
            open_jobs: Vec::new(),
        };
        send(&out, agent_message::Body::Hello(hello))?;
        let session = client.session(ReceiverStream::new(outgoing));
        let mut incoming = timeout(SILENT, session).await.ok()?.ok()?.into_inner();
        let first = timeout(SILENT, incoming.message()).await.ok()?.ok()??;
        let Some(server_message::Body::Welcome(welcome)) = first.body else { return None };
        let mut next = {
            let mut book = self.book();
            book.sessions += 1;
            book.told("a welcome", welcome.acknowledged);
            book.acknowledged + 1
        };
        let mut under_way: Vec<u64> = Vec::new();
        let mut due = Instant::now();
        let mut heard = Instant::now();
        loop {
            let may_send = under_way.len() < WINDOW;
            tokio::select! {
                message = incoming.message() => {
                    heard = Instant::now();
                    if let server_message::Body::ReportsAck(ack) = message.ok()??.body? {
                            let mut book = self.book();
                            book.told("an acknowledgement", ack.sequence);
                            if !ack.refused.is_empty() {
                                book.wrong.push(format!("sound reports were refused: {ack:?}"));
                            }
                            under_way.retain(|last| *last > ack.sequence);
                            if !ack.problem.is_empty() {
                                // The next session begins where the server stands.
                                return None;
                            }
                    }
                }
                () = tokio::time::sleep_until(due), if may_send => {
                    due = Instant::now() + PACE;
                    let batch = self.batch(next, random);
                    if let Some(count) = std::num::NonZeroU64::new(batch.items.len() as u64) {
                        next += count.get();
                        under_way.push(next - 1);
                        send(&out, agent_message::Body::Reports(batch))?;
                    }
                }
                () = tokio::time::sleep_until(heard + 2 * SILENT) => return None,
            }
        }
    }

    /// The next reports from `next` on: those that were made and not delivered, else new ones.
    fn batch(&self, next: u64, random: &mut fastrand::Rng) -> v1::Reports {
        let now = self.clock.now();
        let mut book = self.book();
        if book.made.len() as u64 == next - 1 && !self.quiet.is_cancelled() {
            for _ in 0..random.u64(1..=BATCH) {
                let mut drawn = [0; 10];
                random.fill(&mut drawn);
                book.made.push((ReportId::at(now, drawn), random.u64(0..SUBJECTS)));
            }
        }
        let from = usize::try_from(next - 1).unwrap_or(usize::MAX);
        let most = usize::try_from(BATCH).unwrap_or(1);
        let chosen: Vec<(ReportId, u64)> =
            book.made.iter().skip(from).take(most).copied().collect();
        book.sent = book.sent.max(next - 1 + chosen.len() as u64);
        let items = chosen.into_iter().map(|(id, subject)| {
            let failure = FailureReport {
                product: Product::Apt,
                operation: Operation::Install,
                code: "apt.ledger".parse().ok(),
                symbol: None,
                kind: Kind::Failure,
                subject: Some(format!("thing-{subject}")),
                time: SourceTime::utc(now),
                source: Source::Apt,
                provider: None,
                event_id: None,
                record_id: None,
                line: None,
                count: None,
                update_class: None,
                message: "a failure of the ledger".to_owned(),
            };
            let failure = ReportedFailure { id, at: now, failure, evidence: Vec::new() };
            (&SpoolItem::Failure(Box::new(failure))).into()
        });
        v1::Reports {
            epoch: self.epoch.as_bytes().to_vec(),
            first_sequence: next,
            items: items.collect(),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }
}

/// The paper on which a host of the ledger exists.
#[derive(Debug)]
struct Paper(String);

#[async_trait::async_trait]
impl Platform for Paper {
    fn root(&self) -> &Path {
        Path::new("/nonexistent")
    }

    fn facts(&self) -> io::Result<HostFacts> {
        Ok(facts(&self.0))
    }

    async fn run(
        &self,
        _: &Program,
        _: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    ) -> io::Result<Exit> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

async fn enrol(server: &Server, token: &str, name: &str, clock: &Arc<dyn Clock>) -> Identity {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let state = StateDir::open(folder.path()).expect("a state folder");
    let request = Request {
        server: server.agents.parse().expect("an address"),
        token: token.parse().expect("a token"),
        proxy: Some("none".to_owned()),
        name: None,
    };
    let paper = Paper(name.to_owned());
    let enrolled = enroll::enroll(&state, request, &paper, Arc::clone(clock)).await;
    enrolled.expect("enrolled").identity
}

fn facts(name: &str) -> HostFacts {
    HostFacts {
        name: name.to_owned(),
        os: OsFamily::Linux,
        os_name: "Ledger".to_owned(),
        os_build: "1".to_owned(),
        arch: "x86_64".to_owned(),
        agent_version: "0.0.0".to_owned(),
        boot_id: "ledger".to_owned(),
        simulated: true,
    }
}

fn send(out: &mpsc::Sender<v1::AgentMessage>, body: agent_message::Body) -> Option<()> {
    out.try_send(v1::AgentMessage { body: Some(body) }).ok()
}

fn lock(book: &Arc<Mutex<Book>>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}
