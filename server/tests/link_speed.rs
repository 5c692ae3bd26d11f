//! Measurements, run by hand: `cargo nextest run -p fleetmend-server --release --test link_speed
//! --run-ignored all --no-capture`.

mod link_support;

use std::time::{Duration, Instant};

use fleetmend_tests::programs::{Running, command};
use link_support::{TestServer, TestSession, epoch, failure, hello, new_key};

const HOSTS: u32 = 200;
const MESSAGES: u64 = 10;
const ITEMS: u64 = 50;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn enrolment_sessions_and_ingest() {
    let server = TestServer::start().await;
    let token = server.token(HOSTS, &[]).await;
    let started = Instant::now();
    let mut hosts = Vec::new();
    for _ in 0..HOSTS {
        hosts.push(server.enrol_with(&token, new_key()).await.expect("enrolled"));
    }
    say("enrolments, one after another", HOSTS.into(), started.elapsed());

    let started = Instant::now();
    let opening = hosts.iter().map(|host| server.session(host, epoch()));
    let sessions = futures_util::future::join_all(opening).await;
    say("sessions, all at once", HOSTS.into(), started.elapsed());

    let now = server.now();
    let sending = sessions.into_iter().map(|session| {
        let mut session: TestSession = session.expect("a session");
        tokio::spawn(async move {
            let started = Instant::now();
            let mut slowest = Duration::ZERO;
            for message in 0..MESSAGES {
                let items = (0..ITEMS).map(|n| failure(&format!("package-{n}"), now)).collect();
                let sent = Instant::now();
                session.reports(message * ITEMS + 1, items).await;
                assert_eq!(session.ack().await.sequence, (message + 1) * ITEMS);
                slowest = slowest.max(sent.elapsed());
            }
            (started.elapsed(), slowest)
        })
    });
    let started = Instant::now();
    let done = futures_util::future::join_all(sending).await;
    say("reports stored and acknowledged", u64::from(HOSTS) * MESSAGES * ITEMS, started.elapsed());
    let slowest = done.into_iter().filter_map(Result::ok).map(|(_, slowest)| slowest).max();
    eprintln!("slowest acknowledgement: {slowest:?}");
}

/// What a stream that rests costs the server: a process of its own holds the streams, so that the
/// clients' share is not counted. `FLEETMEND_STREAMS` says how many. No promise of CI: it measures, and takes a
/// minute: `cargo nextest run -p fleetmend-server --test link_speed --run-ignored all --no-capture idle_streams`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn idle_streams() {
    let count: u32 =
        std::env::var("FLEETMEND_STREAMS").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000);
    let server = TestServer::start().await;
    let token = server.token(count, &[]).await;
    let mut hosts = Vec::new();
    for _ in 0..count {
        hosts.push(server.enrol_with(&token, new_key()).await.expect("enrolled"));
    }
    let mut remote = server.remote();
    let TestServer { running, dir, .. } = server;
    assert!(running.shutdown(Duration::from_secs(20)).await);

    let program = program(&dir);
    remote.addr = serves(&program).await;
    let before = (resident(program.id()), busy(program.id()));
    let (mut sessions, epochs): (Vec<_>, Vec<_>) =
        (Vec::new(), hosts.iter().map(|_| epoch()).collect());
    let started = Instant::now();
    let opening =
        hosts.iter().zip(&epochs).map(|(host, epoch)| remote.session(host, hello(*epoch, vec![])));
    for session in futures_util::future::join_all(opening).await {
        sessions.push(session.expect("a session"));
    }
    say("sessions, all at once", count.into(), started.elapsed());
    let opened = (resident(program.id()), busy(program.id()));
    tokio::time::sleep(Duration::from_mins(1)).await;
    let rested = (resident(program.id()), busy(program.id()));
    eprintln!(
        "resident: {} KiB before, {} KiB with {count} streams, {} KiB a minute later: {} bytes a stream",
        before.0,
        opened.0,
        rested.0,
        (rested.0.saturating_sub(before.0)) * 1024 / u64::from(count)
    );
    eprintln!(
        "processor time: {} ms to open them, {} ms in the minute of rest",
        opened.1 - before.1,
        rested.1 - opened.1
    );
}

fn program(dir: &tempfile::TempDir) -> Running {
    let mut server = command(env!("CARGO_BIN_EXE_fleetmend-server"));
    server
        .arg("--data-dir")
        .arg(dir.path().join("data"))
        .args(["--agent-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"])
        .args(["--metrics-listen", "127.0.0.1:0", "--log-format", "json", "serve"]);
    Running::start(&mut server, &dir.path().join("log"))
}

async fn serves(program: &Running) -> std::net::SocketAddr {
    loop {
        let said = program.printed();
        let mut serving = said.lines().filter_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            line["fields"]["agents"].as_str().map(str::to_owned)
        });
        if let Some(addr) = serving.next_back() {
            return addr.parse().expect("an address");
        }
        tokio::task::yield_now().await;
    }
}

/// Memory that a process holds, in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Processor time that a process used, in ms; Linux counts in hundredths of a second.
fn busy(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let rest = stat.rsplit_once(") ").expect("a name").1;
    rest.split(' ').skip(11).take(2).map(|n| n.parse::<u64>().expect("a number") * 10).sum()
}

fn say(what: &str, count: u64, took: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let rate = count as f64 / took.as_secs_f64();
    eprintln!("{what}: {count} in {took:?}, {rate:.0} a second");
}
