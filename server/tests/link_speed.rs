//! Measurements, run by hand: `cargo nextest run -p fleetmend-server --release --test link_speed
//! --run-ignored all --no-capture`.

mod link_support;

use std::time::{Duration, Instant};

use link_support::{TestServer, TestSession, epoch, failure, new_key};

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

fn say(what: &str, count: u64, took: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let rate = count as f64 / took.as_secs_f64();
    eprintln!("{what}: {count} in {took:?}, {rate:.0} a second");
}
