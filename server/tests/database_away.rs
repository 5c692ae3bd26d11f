//! The database goes and comes back: nothing is acknowledged meanwhile, everything answers in bounded
//! time, streams stay open, and what was sent is stored without anybody's help.

mod link_support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fleetmend_core::ids::ApiTokenId;
use fleetmend_core::time::SystemClock;
use fleetmend_core::token::Role;
use fleetmend_proto::v1::server_message::Body as ToAgent;
use fleetmend_server::events::Event;
use fleetmend_server::http::auth;
use fleetmend_server::{App, Config, entropy};
use fleetmend_store::{NewApiToken, PageRequest, ReportFilter};
use fleetmend_tests::postgres::{Cluster, Database};
use link_support::{TestHost, TestServer, TestSession, epoch, eventually, failure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Time within which errors come and readiness tells, as promised, and a second for this machine.
const PROMISED: Duration = Duration::from_secs(11);

struct Fleet {
    server: TestServer,
    host: TestHost,
    session: TestSession,
    token: String,
    hints: tokio::sync::broadcast::Receiver<Event>,
    was_away: bool,
}

/// An answer of the people's port.
struct Answer {
    status: u16,
    text: String,
    took: Duration,
}

impl Fleet {
    async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let server = TestServer::start_with(change).await;
        let (token, secret_hash) = auth::new_token();
        let id = ApiTokenId::at(server.now(), entropy::bytes());
        let name = "test".to_owned();
        let new =
            NewApiToken { id, name, role: Role::Admin, secret_hash, expires: None, user: None };
        let db = &server.running.shared.db;
        db.create_api_token(&new, "test", server.now()).await.expect("stored");
        let host = server.enrol().await;
        let session = server.session(&host, epoch()).await.expect("a session");
        let hints = server.running.shared.events.listen();
        let mut fleet = Self { server, host, session, token, hints, was_away: false };
        fleet.report(1).await;
        assert_eq!(fleet.session.ack().await.sequence, 1);
        fleet
    }

    async fn report(&mut self, sequence: u64) {
        let item = failure(&format!("package-{sequence}"), self.server.now());
        self.session.reports(sequence, vec![item]).await;
    }

    async fn get(&self, path: &str) -> Answer {
        let started = Instant::now();
        let addr = self.server.running.http_addr;
        let mut stream = tokio::net::TcpStream::connect(addr).await.expect("connects");
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
            self.token
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("answered");
        let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        Answer { status, text, took: started.elapsed() }
    }

    async fn ready_is(&self, status: u16) -> Answer {
        let started = Instant::now();
        loop {
            let answer = self.get("/readyz").await;
            assert!(answer.took < Duration::from_secs(1), "/readyz took {:?}", answer.took);
            if answer.status == status {
                return answer;
            }
            assert!(started.elapsed() < PROMISED, "/readyz stays {}", answer.text);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Pages that listen are told that the database went or came.
    async fn pages_are_told(&mut self) {
        let told = async {
            loop {
                if self.hints.recv().await.expect("the server runs") == Event::Database {
                    return;
                }
            }
        };
        tokio::time::timeout(PROMISED, told).await.expect("pages are told");
    }

    /// What must hold while the database is away: checked until `until` has passed.
    async fn bears_it(&mut self, reads: u16, reason: &str) {
        let ready = self.ready_is(503).await;
        assert!(ready.text.contains(reason), "{}", ready.text);
        self.pages_are_told().await;
        self.was_away = true;
        assert!(ready.text.to_ascii_lowercase().contains("retry-after"), "{}", ready.text);
        let alive = self.get("/livez").await;
        assert!(alive.status == 200 && alive.took < Duration::from_secs(1), "{}", alive.text);
        let asked = self.get("/api/v1/hosts").await;
        assert_eq!(asked.status, reads, "{}", asked.text);
        assert!(asked.took < PROMISED, "REST took {:?}", asked.took);
        if reads == 503 {
            assert!(asked.text.contains("urn:fleetmend:problem:database_away"), "{}", asked.text);
            assert!(asked.text.to_ascii_lowercase().contains("retry-after"), "{}", asked.text);
        }
    }

    /// The stream is the same, and nothing came on it but heartbeats.
    async fn heard_nothing(&mut self) {
        let heard = tokio::time::timeout(Duration::from_millis(500), self.session.next()).await;
        assert!(heard.is_err(), "{heard:?}");
    }

    /// Everything goes on by itself.
    async fn recovers(&mut self, last: u64) {
        let acked = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let ToAgent::ReportsAck(ack) = self.session.next().await.expect("the stream stays")
                else {
                    continue;
                };
                assert_eq!(ack.problem, "");
                if ack.sequence == last {
                    return;
                }
            }
        });
        acked.await.expect("acknowledged after the database is back");
        self.ready_is(200).await;
        // One that was away too short to be seen is no news.
        if self.was_away {
            self.pages_are_told().await;
        }
        let filter = ReportFilter { host: Some(self.host.id), ..ReportFilter::default() };
        let db = &self.server.running.shared.db;
        let stored = db.reports(&filter, &PageRequest::first(1)).await.expect("reads").total;
        assert_eq!(stored, last, "each once");
        assert_eq!(self.get("/api/v1/hosts").await.status, 200);
    }
}

/// A cluster of the test's own with a database, and a server over it.
async fn on_postgres() -> Option<(Arc<Cluster>, Database, Fleet)> {
    let cluster = Arc::new(blocking(Cluster::private).await?);
    let database = blocking({
        let cluster = cluster.clone();
        move || cluster.database()
    })
    .await;
    let url = database.url();
    let fleet = Fleet::start(move |config| config.database_url = Some(url)).await;
    Some((cluster, database, fleet))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("the work did not panic")
}

async fn on(cluster: &Arc<Cluster>, work: impl FnOnce(&Cluster) + Send + 'static) {
    let cluster = cluster.clone();
    blocking(move || work(&cluster)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_crashes_is_waited_for() {
    let Some((cluster, _database, mut fleet)) = on_postgres().await else { return };
    on(&cluster, Cluster::stop_immediate).await;
    fleet.report(2).await;
    fleet.bears_it(503, "the database does not answer").await;
    fleet.heard_nothing().await;
    on(&cluster, Cluster::start).await;
    fleet.recovers(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_frozen_holds_nobody_up() {
    let Some((cluster, _database, mut fleet)) = on_postgres().await else { return };
    on(&cluster, Cluster::pause).await;
    fleet.report(2).await;
    fleet.bears_it(503, "the database does not answer").await;
    fleet.heard_nothing().await;
    // Many at once: each is answered in its time.
    let asked = futures_util::future::join_all((0..40).map(|_| fleet.get("/api/v1/hosts"))).await;
    for answer in asked {
        assert!(
            answer.status == 503 && answer.took < PROMISED,
            "{:?} {}",
            answer.took,
            answer.text
        );
    }
    on(&cluster, Cluster::resume).await;
    fleet.recovers(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_by_the_file_needs_no_database() {
    let Some((cluster, database, mut fleet)) = on_postgres().await else { return };
    let other = fleet.server.enrol().await;
    let mut rests = fleet.server.session(&other, epoch()).await.expect("a session");
    // Frozen, which is worse than away: each question to it waits. One stream holds what it could not
    // store, and one rests.
    on(&cluster, Cluster::pause).await;
    fleet.report(2).await;
    fleet.ready_is(503).await;
    let data_dir = fleet.server.running.shared.config.data_dir.clone();
    let halt = |args: &'static [&'static str]| {
        let mut program =
            fleetmend_tests::programs::command(env!("CARGO_BIN_EXE_fleetmend-server"));
        program.arg("halt").args(args).arg("--data-dir").arg(&data_dir);
        program.arg("--database-url").arg(database.url());
        blocking(move || program.output().expect("runs"))
    };
    let halting = tokio::spawn(halt(&["--reason", "a bad update"]));
    // Looked at twice a second; the rest is this machine's.
    for session in [&mut fleet.session, &mut rests] {
        let heard = tokio::time::timeout(Duration::from_secs(8), session.next()).await;
        match heard.expect("heard in time").expect("the stream stays") {
            ToAgent::Halt(halt) => assert!(halt.on && halt.reason.contains("a bad update")),
            other => panic!("no halt but {other:?}"),
        }
    }
    assert!(fleet.server.running.shared.halt.is_halted());
    let said = halting.await.expect("runs");
    let (out, err) = (text(&said.stdout), text(&said.stderr));
    assert!(said.status.success() && out.contains("halted by this server's file"), "{out}{err}");
    assert!(err.contains("what still runs cannot be listed, the database is away"), "{err}");

    on(&cluster, Cluster::resume).await;
    fleet.was_away = false;
    fleet.recovers(2).await;
    let said = halt(&["--off"]).await;
    assert!(said.status.success(), "{}", text(&said.stderr));
    for session in [&mut fleet.session, &mut rests] {
        match session.next().await.expect("the stream stays") {
            ToAgent::Halt(halt) => assert!(!halt.on, "{halt:?}"),
            other => panic!("no end of the halt but {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_turns_read_only_is_still_read() {
    let Some((cluster, _database, mut fleet)) = on_postgres().await else { return };
    on(&cluster, |cluster| cluster.set_read_only(true)).await;
    fleet.report(2).await;
    fleet.bears_it(200, "read-only").await;
    fleet.heard_nothing().await;
    on(&cluster, |cluster| cluster.set_read_only(false)).await;
    fleet.recovers(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_sessions_of_the_database_are_made_anew() {
    let Some((cluster, _database, mut fleet)) = on_postgres().await else { return };
    for sequence in 2..6 {
        on(&cluster, |cluster| {
            cluster.terminate_backends();
        })
        .await;
        fleet.report(sequence).await;
    }
    fleet.recovers(5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_that_start_at_once_on_an_empty_database_both_serve() {
    let Some(cluster) = blocking(Cluster::shared).await else { return };
    let database = blocking(move || cluster.database()).await;
    let start = async |url: String| TestServer::start_with(|c| c.database_url = Some(url)).await;
    let (one, two) = tokio::join!(start(database.url()), start(database.url()));
    for server in [&one, &two] {
        server.running.shared.db.ping().await.expect("answers");
    }
    assert!(one.running.shutdown(Duration::from_secs(20)).await);
    assert!(two.running.shutdown(Duration::from_secs(20)).await);
    blocking(move || drop(database)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_waits_for_its_database_and_not_for_ever() {
    let Some(cluster) = blocking(Cluster::private).await else { return };
    let cluster = Arc::new(cluster);
    let database = blocking({
        let cluster = cluster.clone();
        move || cluster.database()
    })
    .await;
    on(&cluster, Cluster::stop_immediate).await;
    let folder = tempfile::tempdir().expect("a folder");
    let local = || "127.0.0.1:0".parse().expect("an address");
    let mut config = Config {
        data_dir: folder.path().join("data"),
        database_url: Some(database.url()),
        agent_listen: local(),
        http_listen: local(),
        metrics_listen: local(),
        ..Config::default()
    };
    config.database.wait_seconds = 1;
    let started = Instant::now();
    let refused = App::start(config.clone(), Arc::new(SystemClock)).await.expect_err("it is away");
    let said = format!("{refused:#}");
    assert!(started.elapsed() < PROMISED, "{:?}", started.elapsed());
    assert!(said.starts_with("database_url: the database does not answer"), "{said}");
    assert!(!said.contains(fleetmend_tests::postgres::PASSWORD), "{said}");

    config.database.wait_seconds = 60;
    let starting = App::start(config, Arc::new(SystemClock));
    let (server, ()) = tokio::join!(starting, on(&cluster, Cluster::start));
    let server = server.expect("it starts when the database is there");
    assert!(server.shutdown(Duration::from_secs(20)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_sqlite_is_borne_and_got_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = SmallDisk::mount(folder.path(), "6m") else { return };
    let url = format!("sqlite://{}", folder.path().join("fleetmend.db").display());
    let mut fleet = Fleet::start(move |config| config.database_url = Some(url)).await;
    disk.fill();

    // Some may still fit; then nothing does.
    let mut last = 1;
    let database = fleet.server.running.shared.database.clone();
    let started = Instant::now();
    while database.away().is_none() && started.elapsed() < PROMISED {
        last += 1;
        fleet.report(last).await;
        let ack = tokio::time::timeout(Duration::from_secs(1), fleet.session.next()).await;
        if ack.is_err() {
            break;
        }
    }
    fleet.bears_it(200, "disk is full").await;
    fleet.heard_nothing().await;
    disk.free();
    fleet.recovers(last).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_held_message_waits_for_does_not_keep_a_stopping_server() {
    let Some((cluster, _database, mut fleet)) = on_postgres().await else { return };
    on(&cluster, Cluster::stop_immediate).await;
    fleet.report(2).await;
    fleet.ready_is(503).await;
    let TestServer { running, .. } = fleet.server;
    assert!(running.shutdown(Duration::from_secs(20)).await, "it stopped softly");
    let end = fleet.session.end().await;
    assert!(matches!(end.code(), tonic::Code::Unavailable | tonic::Code::Ok), "{end:?}");
    eventually("the stream is over", || async { true }).await;
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A small file system of the test's own, for root.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path, size: &str) -> Option<Self> {
        let mut mount = fleetmend_tests::programs::command("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            fleetmend_tests::skip("a small disk can be mounted by root only");
        }
        mounted.then_some(Self(at))
    }

    fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.0.join("ballast")).expect("a file");
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).expect("removed");
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = fleetmend_tests::programs::command("umount").arg("-l").arg(self.0).output();
    }
}
