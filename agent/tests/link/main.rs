//! Enrolment, renewal, sessions and proxies over real TLS, against a small server.

mod server;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use fleetmend_agent::enroll::{EnrollError, Request, enroll, renew};
use fleetmend_agent::identity::Identity;
use fleetmend_agent::link::backoff::Law;
use fleetmend_agent::link::dialer;
use fleetmend_agent::link::trouble::Trouble;
use fleetmend_agent::platform::{Exit, Platform, Program};
use fleetmend_agent::spool::{Spool, peek};
use fleetmend_agent::state::StateDir;
use fleetmend_agent::{AgentConfig, App};
use fleetmend_core::host::{HostFacts, OsFamily};
use fleetmend_core::spool_item::{Gap, SpoolItem};
use fleetmend_core::time::{Clock, SystemClock};
use server::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
struct Quiet(PathBuf);

#[async_trait]
impl Platform for Quiet {
    fn root(&self) -> &Path {
        &self.0
    }
    fn facts(&self) -> std::io::Result<HostFacts> {
        Ok(HostFacts {
            name: "quiet".into(),
            os: OsFamily::Linux,
            os_name: "Quiet".into(),
            os_build: "1".into(),
            arch: "x86_64".into(),
            agent_version: "0".into(),
            boot_id: "1".into(),
            simulated: true,
        })
    }
    async fn run(
        &self,
        _: &Program,
        _: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    ) -> std::io::Result<Exit> {
        Ok(Exit::default())
    }
}

struct Host {
    dir: tempfile::TempDir,
    clock: Arc<dyn Clock>,
}

impl Host {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("temp"), clock: Arc::new(SystemClock) }
    }

    fn state(&self) -> StateDir {
        StateDir::open(&self.dir.path().join("state")).expect("opens")
    }

    fn platform(&self) -> Quiet {
        Quiet(self.dir.path().join("root"))
    }

    async fn enroll(&self, request: Request) -> Result<Identity, EnrollError> {
        let clock = Arc::clone(&self.clock);
        Ok(enroll(&self.state(), request, &self.platform(), clock).await?.identity)
    }
}

fn request(server: &Server, proxy: &str) -> Request {
    Request {
        server: format!("127.0.0.1:{}", server.port).parse().expect("valid"),
        token: server.token.clone(),
        proxy: Some(proxy.to_owned()),
        name: None,
    }
}

/// Waits until it is so, at most ten seconds.
async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let wait = async {
        while !so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect(what);
}

#[tokio::test]
async fn a_host_enrols_once_and_only_with_its_own_server() {
    let (server, host) = (Server::start().await, Host::new());
    let mut foreign = request(&server, "none");
    foreign.token.root = [1; 32];
    let refused = host.enroll(foreign).await.expect_err("another root");
    let words = refused.to_string();
    assert!(matches!(refused, EnrollError::Link(Trouble::Intercepted { .. })), "{words}");
    assert!(words.contains("CN=Test root"), "{words}");
    assert_eq!(Identity::load(&host.state()).expect("read"), None, "nothing was kept");

    let identity = host.enroll(request(&server, "none")).await.expect("enrolled");
    let again = host.enroll(request(&server, "none")).await.expect_err("enrolled already");
    assert!(again.to_string().contains("generalize"), "{again}");
    assert_eq!(Identity::load(&host.state()).expect("read"), Some(identity));
}

#[tokio::test]
async fn a_certificate_is_renewed_with_and_without_itself() {
    let (server, host) = (Server::start().await, Host::new());
    let identity = host.enroll(request(&server, "none")).await.expect("enrolled");
    for expired in [false, true] {
        let dialer = dialer(&identity, !expired, None, &host.clock).expect("dialer");
        let mut client = dialer.client().await.expect("connected");
        let now = host.clock.now();
        let renewed = renew(&mut client, &identity, expired, now).await.expect("renewed");
        assert_ne!(renewed.chain, identity.chain);
    }
    assert_eq!(server.seen.lock().expect("lock").proofs, 1);
}

#[tokio::test]
async fn what_waits_in_the_spool_is_delivered_and_then_forgotten() {
    let (server, host) = (Server::start().await, Host::new());
    host.enroll(request(&server, "none")).await.expect("enrolled");
    let (state, now) = (host.state(), host.clock.now());
    let folder = state.dir("spool").expect("made");
    let mut spool = Spool::open(&folder, now).expect("opens");
    for items in 1..=250 {
        let gap = Gap { items, reason: "test".to_owned(), at: now };
        spool.append(&[SpoolItem::Gap(gap)], now).expect("kept");
    }
    drop(spool);
    let config = AgentConfig::new(state.path(), host.dir.path().join("ceiling.toml"));
    let stop = CancellationToken::new();
    let app = App::new(config, Arc::new(host.platform()), Arc::clone(&host.clock));
    let delivered = async {
        until("all is acknowledged", || peek(&folder, now).is_ok_and(|s| s.items == 0)).await;
        until("the state is told", || server.seen.lock().expect("lock").states > 0).await;
        stop.cancel();
    };
    let (ran, ()) = tokio::join!(app.run(stop.clone()), delivered);
    ran.expect("ran");
    let seen = server.seen.lock().expect("lock");
    let sequences: Vec<u64> = seen.items.iter().map(|(n, _)| *n).collect();
    assert_eq!(sequences, (1..=250).collect::<Vec<_>>());
    assert_eq!(seen.hellos, 1);
}

#[tokio::test]
async fn a_server_that_welcomes_and_stores_nothing_is_asked_ever_less() {
    let (server, host) = (Server::start().await, Host::new());
    host.enroll(request(&server, "none")).await.expect("enrolled");
    server.full.store(true, Ordering::Relaxed);
    let (state, now) = (host.state(), host.clock.now());
    let mut spool = Spool::open(&state.dir("spool").expect("made"), now).expect("opens");
    let gap = Gap { items: 1, reason: "test".to_owned(), at: now };
    spool.append(&[SpoolItem::Gap(gap)], now).expect("kept");
    drop(spool);
    let mut config = AgentConfig::new(state.path(), host.dir.path().join("ceiling.toml"));
    config.backoff = Law { base: Duration::from_millis(1), cap: Duration::from_hours(1) };
    let stop = CancellationToken::new();
    let app = App::new(config, Arc::new(host.platform()), Arc::clone(&host.clock));
    // A wait of a millisecond at most, for ever, would be dozens of sessions in this time.
    let storm = async {
        let many = async {
            while server.seen.lock().expect("lock").hellos < 20 {
                tokio::task::yield_now().await;
            }
        };
        let stormed = tokio::time::timeout(Duration::from_secs(10), many).await.is_ok();
        stop.cancel();
        stormed
    };
    let (ran, stormed) = tokio::join!(app.run(stop.clone()), storm);
    ran.expect("ran");
    let hellos = server.seen.lock().expect("lock").hellos;
    assert!(hellos >= 2 && !stormed, "{hellos} sessions in ten seconds");
}

#[tokio::test]
async fn a_proxy_is_used_and_its_refusal_told() {
    let (server, host) = (Server::start().await, Host::new());
    let proxy = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = format!("http://127.0.0.1:{}", proxy.local_addr().expect("bound").port());
    let target = format!("127.0.0.1:{}", server.port);
    let wanted = format!("CONNECT {target} HTTP/1.1\r\n");
    tokio::spawn(async move {
        for answer in ["HTTP/1.1 403 Forbidden\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
            let (mut client, _) = proxy.accept().await.expect("accepted");
            let mut head = vec![0; wanted.len()];
            client.read_exact(&mut head).await.expect("read");
            assert_eq!(String::from_utf8_lossy(&head), wanted);
            let mut last = [0; 4];
            while last != *b"\r\n\r\n" {
                last.rotate_left(1);
                last[3] = client.read_u8().await.expect("read");
            }
            client.write_all(answer.as_bytes()).await.expect("written");
            if answer.contains("200") {
                let mut upstream = TcpStream::connect(&target).await.expect("connected");
                let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
            }
        }
    });
    let refused = host.enroll(request(&server, &address)).await.expect_err("refused");
    let words = refused.to_string();
    assert!(words.contains("403 Forbidden") && words.contains("allow CONNECT"), "{words}");
    host.enroll(request(&server, &address)).await.expect("enrolled by way of the proxy");
}
