//! The server is ended at each of its named crash points, as by a power cut, and started again:
//! nothing acknowledged is lost, nothing is stored twice, every order comes. A server that
//! acknowledges before it commits is caught by the same test.

mod link_support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fleetmend_core::ids::SpoolEpoch;
use fleetmend_core::job::{JobState, JobUpdate};
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_faults::{Mistake, Point};
use fleetmend_proto::decode_order;
use fleetmend_proto::v1::server_message::Body as ToAgent;
use fleetmend_tests::programs::{Running, command};
use link_support::{
    Remote, TestHost, TestServer, TestSession, epoch, failure, hello, order, stored_reports,
};

/// Reports sent, each in a message of its own: the points are passed several times.
const REPORTS: u64 = 5;

/// A host that reports to a server that will be ended.
struct Scene {
    folder: tempfile::TempDir,
    host: TestHost,
    epoch: SpoolEpoch,
    remote: Remote,
}

impl Scene {
    async fn set() -> Self {
        let server = TestServer::start().await;
        let host = server.enrol().await;
        let remote = server.remote();
        let folder = stop(server).await;
        Self { folder, host, epoch: epoch(), remote }
    }

    /// Starts our program so that it ends at a point, sends it reports, and gives the last sequence
    /// that it acknowledged before it ended. `last` is how many reports there are to send.
    async fn crash(&mut self, point: Point, time: u32, mistake: Option<Mistake>, last: u64) -> u64 {
        let mut program = Program::start(&self.folder, point, time, mistake);
        self.remote.addr = program.serves().await;
        let mut acknowledged = 0;
        // A crash under the first order comes before the welcome is read.
        if let Ok(mut session) = self.remote.session(&self.host, hello(self.epoch, vec![])).await {
            acknowledged = session.welcome.acknowledged;
            for sequence in acknowledged + 1..=last {
                // The stream may be over already.
                let message = reports(&self.session_epoch(), sequence);
                if session.out.send(message).await.is_err() {
                    break;
                }
                match session.next().await {
                    Ok(ToAgent::ReportsAck(ack)) => acknowledged = ack.sequence,
                    Ok(other) => panic!("no acknowledgement but {other:?}"),
                    Err(_) => break,
                }
            }
        }
        program.ended_at(point).await;
        acknowledged
    }

    fn session_epoch(&self) -> Vec<u8> {
        self.epoch.0.as_bytes().to_vec()
    }

    /// The server again, whole; and the host's stream.
    async fn again(&mut self) -> (TestServer, TestSession) {
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a folder"));
        let server = TestServer::start_in(folder, |_| {}).await;
        let session = server.session(&self.host, self.epoch).await.expect("a session");
        (server, session)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_crash_and_once() {
    let points = [
        Point::IngestBeforeCommit,
        Point::IngestAfterCommit,
        Point::AckBeforeSend,
        Point::AckAfterSend,
    ];
    for point in points {
        for time in [1, 3] {
            let mut scene = Scene::set().await;
            let acknowledged = scene.crash(point, time, None, REPORTS).await;
            assert!(acknowledged <= u64::from(time), "{point:?}: {acknowledged}");
            let (server, mut session) = scene.again().await;
            let kept = session.welcome.acknowledged;
            assert!(
                kept >= acknowledged,
                "{point:?}: {acknowledged} were acknowledged, {kept} kept"
            );
            // The agent sends again from what it knows of: what is there already is recognised.
            for sequence in acknowledged + 1..=REPORTS {
                session.out.send(reports(&scene.session_epoch(), sequence)).await.expect("open");
                assert!(session.ack().await.sequence >= sequence);
            }
            assert_eq!(stored_reports(&server, &scene.host).await, REPORTS, "{point:?}: each once");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_acknowledges_before_it_commits_is_caught() {
    let mut scene = Scene::set().await;
    let mistake = Some(Mistake::AckBeforeCommit);
    let acknowledged = scene.crash(Point::IngestBeforeCommit, 2, mistake, REPORTS).await;
    let (_server, session) = scene.again().await;
    let kept = session.welcome.acknowledged;
    assert!(kept < acknowledged, "the mistake went unseen: {acknowledged} said, {kept} kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_comes_after_a_crash_and_its_job_ends() {
    for (point, counter) in [(Point::OfferBeforeCommit, 1), (Point::OfferAfterCommit, 2)] {
        let mut scene = Scene::set().await;
        let (server, mut session) = scene.again().await;
        session.out.send(reports(&scene.session_epoch(), 1)).await.expect("open");
        session.ack().await;
        drop(session);
        let job = order(&server, &scene.host).await.expect("a job");
        scene.folder = stop(server).await;

        scene.crash(point, 1, None, 0).await;
        let started = Instant::now();
        let (server, mut session) = scene.again().await;
        let order = match session.next().await.expect("the order") {
            ToAgent::Order(order) => decode_order(&order.payload).expect("an order"),
            other => panic!("{point:?}: no order but {other:?}"),
        };
        assert_eq!((order.job, order.counter, order.attempt), (job, counter, 1), "{point:?}");
        let update = JobUpdate {
            job,
            attempt: order.attempt,
            state: JobState::NotApplicable,
            detail: "the cause is gone".to_owned(),
            proof: None,
            step: None,
            evidence: vec![],
            at: server.now(),
        };
        session.reports(2, vec![(&SpoolItem::Job(Box::new(update))).into()]).await;
        assert_eq!(session.ack().await.sequence, 2);
        let job = server.running.shared.db.job(job).await.expect("reads").expect("is there").job;
        assert_eq!(job.state, JobState::NotApplicable, "{point:?}");
        assert!(started.elapsed() < Duration::from_mins(1), "{:?}", started.elapsed());
    }
}

/// Our program, told to end.
struct Program {
    running: Running,
}

impl Program {
    fn start(
        folder: &tempfile::TempDir,
        point: Point,
        time: u32,
        mistake: Option<Mistake>,
    ) -> Self {
        let mut server = command(env!("CARGO_BIN_EXE_fleetmend-server"));
        server
            .arg("--data-dir")
            .arg(data(folder.path()))
            .args(["--agent-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"])
            .args(["--metrics-listen", "127.0.0.1:0", "--log-format", "json", "serve"])
            .env("FLEETMEND_CRASH_AT", format!("{}@{time}", point.name()));
        if let Some(mistake) = mistake {
            server.env("FLEETMEND_MISTAKE", mistake.name());
        }
        Self { running: Running::start(&mut server, &folder.path().join("log")) }
    }

    async fn serves(&self) -> SocketAddr {
        let started = Instant::now();
        loop {
            let said = self.running.printed();
            assert!(said.is_empty() || said.contains("A TEST BUILD TOLD TO FAIL"), "{said}");
            let mut serving = said.lines().filter_map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).ok()?;
                let fields = &line["fields"];
                (fields["message"] == "serving")
                    .then(|| fields["agents"].as_str().map(str::to_owned))?
            });
            if let Some(addr) = serving.next_back() {
                return addr.parse().expect("an address");
            }
            assert!(started.elapsed() < Duration::from_secs(30), "it does not serve: {said}");
            tokio::task::yield_now().await;
        }
    }

    async fn ended_at(&mut self, point: Point) {
        let started = Instant::now();
        while self.running.ended().is_none() {
            assert!(started.elapsed() < Duration::from_secs(30), "it never came to {point:?}");
            tokio::task::yield_now().await;
        }
        let said = self.running.printed();
        assert!(said.contains(&format!("crash point {}", point.name())), "{said}");
    }
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

async fn stop(server: TestServer) -> tempfile::TempDir {
    let TestServer { running, dir, .. } = server;
    assert!(running.shutdown(Duration::from_secs(20)).await, "it stopped softly");
    dir
}

fn reports(epoch: &[u8], sequence: u64) -> fleetmend_proto::v1::AgentMessage {
    use fleetmend_core::time::{Clock as _, SystemClock};
    let item = failure(&format!("package-{sequence}"), SystemClock.now());
    let reports = fleetmend_proto::v1::Reports {
        epoch: epoch.to_vec(),
        first_sequence: sequence,
        items: vec![item],
    };
    let body = fleetmend_proto::v1::agent_message::Body::Reports(reports);
    fleetmend_proto::v1::AgentMessage { body: Some(body) }
}
