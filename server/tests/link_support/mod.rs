//! A server in this process, and raw clients of its agents' port.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test file uses its share"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_core::host::{HostFacts, Labels, OsFamily};
use fleetmend_core::ids::{EvidenceId, HostId, JobId, ReportId, SpoolEpoch};
use fleetmend_core::report::{FailureReport, Kind, Operation, Product, ReportedFailure, Source};
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::{Clock as _, ManualClock, SourceTime, SystemClock, Timestamp};
use fleetmend_proto::v1::agent_message::Body as FromAgent;
use fleetmend_proto::v1::agent_service_client::AgentServiceClient;
use fleetmend_proto::v1::server_message::Body as ToAgent;
use fleetmend_proto::{Hello, OpenJob, trust, v1};
use fleetmend_server::enroll::token::{self, TokenWish};
use fleetmend_server::{App, Config, RunningServer, entropy};
use fleetmend_store::{IncidentFilter, JobTerms, NewJob, PageRequest, ReportFilter, StoreError};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

/// Longer than any deadline of the link.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub type Client = AgentServiceClient<Channel>;

pub struct TestServer {
    pub running: RunningServer,
    pub clock: Arc<ManualClock>,
    pub dir: tempfile::TempDir,
}

/// Where agents find a server, and whom they trust.
#[derive(Clone)]
pub struct Remote {
    pub addr: SocketAddr,
    pub root: CertificateDer<'static>,
}

/// An enrolled host: its id, chain and key.
pub struct TestHost {
    pub id: HostId,
    pub chain: Vec<Vec<u8>>,
    pub key: KeyPair,
    pub pending: bool,
}

/// An open stream that was welcomed.
pub struct TestSession {
    pub out: mpsc::Sender<v1::AgentMessage>,
    pub messages: Streaming<v1::ServerMessage>,
    pub welcome: v1::Welcome,
    pub epoch: SpoolEpoch,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_in(tempfile::tempdir().expect("a directory"), change).await
    }

    /// A server over what an earlier one left in this directory.
    pub async fn start_in(dir: tempfile::TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let local = || "127.0.0.1:0".parse().expect("an address");
        let mut config = Config {
            data_dir: dir.path().join("data"),
            agent_listen: local(),
            http_listen: local(),
            metrics_listen: local(),
            ..Config::default()
        };
        change(&mut config);
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let running = App::start(config, clock.clone()).await.expect("the server starts");
        Self { running, clock, dir }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A token for so many hosts, and its text.
    pub async fn token(&self, uses: u32, networks: &[&str]) -> String {
        let wish = TokenWish {
            name: "test".to_owned(),
            uses,
            life: Duration::from_hours(1),
            labels: Labels::from([("site".to_owned(), "lab".to_owned())]),
            networks: networks.iter().map(|n| n.parse().expect("a network")).collect(),
        };
        let shared = &self.running.shared;
        let (new, text) =
            token::enrollment(wish, shared.authority.root_sha256(), &*self.clock).expect("a token");
        shared.db.create_enrollment_token(&new, "test", self.now()).await.expect("stored");
        text.to_string()
    }

    /// A TLS connection, with a client certificate where one is given.
    pub async fn tls(
        &self,
        identity: Option<(&[Vec<u8>], &KeyPair)>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.running.agent_addr).await?;
        let name = ServerName::try_from(trust::SERVER_NAME).expect("a name");
        TlsConnector::from(self.client_config(identity)).connect(name, stream).await
    }

    pub fn remote(&self) -> Remote {
        let root = self.running.shared.authority.root().clone().into_owned();
        Remote { addr: self.running.agent_addr, root }
    }

    pub fn client_config(&self, identity: Option<(&[Vec<u8>], &KeyPair)>) -> Arc<ClientConfig> {
        self.remote().client_config(identity)
    }

    /// A client; connects at its first call.
    pub fn client(&self, identity: Option<(&[Vec<u8>], &KeyPair)>) -> Client {
        self.remote().client(identity)
    }

    pub async fn enrol_with(&self, token: &str, key: KeyPair) -> Result<TestHost, Status> {
        let request = v1::EnrollRequest {
            token: token.to_owned(),
            csr: csr(&key),
            facts: Some((&facts()).into()),
        };
        let answer = self.client(None).enroll(request).await?.into_inner();
        let id = uuid::Uuid::from_slice(&answer.host_id).expect("an id").into();
        Ok(TestHost { id, chain: answer.chain, key, pending: answer.pending })
    }

    /// Enrols with a new one-use token: an active host.
    pub async fn enrol(&self) -> TestHost {
        let token = self.token(1, &[]).await;
        self.enrol_with(&token, new_key()).await.expect("enrolled")
    }

    /// Enrols with a deployment token: a pending host.
    pub async fn enrol_pending(&self) -> TestHost {
        let token = self.token(5, &[]).await;
        self.enrol_with(&token, new_key()).await.expect("enrolled")
    }

    /// Opens a stream and sends its first message.
    pub async fn open(
        &self,
        identity: Option<(&[Vec<u8>], &KeyPair)>,
        first: FromAgent,
    ) -> Result<(mpsc::Sender<v1::AgentMessage>, Streaming<v1::ServerMessage>), Status> {
        self.remote().open(identity, first).await
    }

    /// A session of this spool, welcomed.
    pub async fn session(&self, host: &TestHost, epoch: SpoolEpoch) -> Result<TestSession, Status> {
        self.remote().session(host, hello(epoch, vec![])).await
    }
}

impl Remote {
    pub fn client_config(&self, identity: Option<(&[Vec<u8>], &KeyPair)>) -> Arc<ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.root.clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
                let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
                builder.with_client_auth_cert(chain, key).expect("a client certificate")
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }

    /// A client; connects at its first call.
    pub fn client(&self, identity: Option<(&[Vec<u8>], &KeyPair)>) -> Client {
        let (addr, config) = (self.addr, self.client_config(identity));
        let connector = tower::service_fn(move |_| {
            let config = config.clone();
            async move {
                let stream = TcpStream::connect(addr).await?;
                let name = ServerName::try_from(trust::SERVER_NAME).expect("a name");
                let tls = TlsConnector::from(config).connect(name, stream).await?;
                Ok::<_, std::io::Error>(TokioIo::new(tls))
            }
        });
        let endpoint = Endpoint::from_static("http://fleetmend-server");
        AgentServiceClient::new(endpoint.connect_with_connector_lazy(connector))
    }

    /// Opens a stream and sends its first message.
    pub async fn open(
        &self,
        identity: Option<(&[Vec<u8>], &KeyPair)>,
        first: FromAgent,
    ) -> Result<(mpsc::Sender<v1::AgentMessage>, Streaming<v1::ServerMessage>), Status> {
        let (out, outgoing) = mpsc::channel(64);
        out.send(v1::AgentMessage { body: Some(first) }).await.expect("queued");
        let outgoing = tokio_stream::wrappers::ReceiverStream::new(outgoing);
        let messages = self.client(identity).session(outgoing).await?.into_inner();
        Ok((out, messages))
    }

    /// A session that begins so, welcomed.
    pub async fn session(&self, host: &TestHost, hello: v1::Hello) -> Result<TestSession, Status> {
        let epoch = uuid::Uuid::from_slice(&hello.spool_epoch).expect("an epoch").into();
        let (out, mut messages) = self.open(Some(host.identity()), FromAgent::Hello(hello)).await?;
        match next(&mut messages).await? {
            ToAgent::Welcome(welcome) => Ok(TestSession { out, messages, welcome, epoch }),
            other => panic!("no welcome but {other:?}"),
        }
    }
}

impl TestHost {
    pub fn identity(&self) -> (&[Vec<u8>], &KeyPair) {
        (&self.chain, &self.key)
    }
}

impl TestSession {
    pub async fn send(&self, body: FromAgent) {
        self.out.send(v1::AgentMessage { body: Some(body) }).await.expect("the stream is open");
    }

    pub async fn reports(&self, first_sequence: u64, items: Vec<v1::SpoolItem>) {
        let epoch = self.epoch.0.as_bytes().to_vec();
        self.send(FromAgent::Reports(v1::Reports { epoch, first_sequence, items })).await;
    }

    /// The next message that is no heartbeat.
    pub async fn next(&mut self) -> Result<ToAgent, Status> {
        next(&mut self.messages).await
    }

    pub async fn ack(&mut self) -> v1::ReportsAck {
        match self.next().await.expect("an acknowledgement") {
            ToAgent::ReportsAck(ack) => ack,
            other => panic!("no acknowledgement but {other:?}"),
        }
    }

    /// The status that ends the stream.
    pub async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.next().await {
                return status;
            }
        }
    }
}

pub async fn next(messages: &mut Streaming<v1::ServerMessage>) -> Result<ToAgent, Status> {
    loop {
        let message = tokio::time::timeout(PATIENCE, messages.message()).await.expect("in time")?;
        let message = message.ok_or_else(|| Status::ok("the stream ended"))?;
        match message.body.expect("a known message") {
            ToAgent::Heartbeat(_) => {}
            other => return Ok(other),
        }
    }
}

pub fn new_key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

pub fn csr(key: &KeyPair) -> Vec<u8> {
    let params = CertificateParams::new(vec![]).expect("params");
    params.serialize_request(key).expect("a request").der().to_vec()
}

pub fn epoch() -> SpoolEpoch {
    SpoolEpoch::at(SystemClock.now(), entropy::bytes())
}

pub fn facts() -> HostFacts {
    HostFacts {
        name: "lab-1".to_owned(),
        os: OsFamily::Linux,
        os_name: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        os_build: "6.1.0-18-amd64".to_owned(),
        arch: "x86_64".to_owned(),
        agent_version: "0.1.0".to_owned(),
        boot_id: "b1".to_owned(),
        simulated: false,
    }
}

pub fn hello(epoch: SpoolEpoch, open_jobs: Vec<OpenJob>) -> v1::Hello {
    Hello { facts: facts(), epoch, order_counter: 0, open_jobs }.into()
}

/// A failure of dpkg about this package.
pub fn failure(subject: &str, at: Timestamp) -> v1::SpoolItem {
    let failure = FailureReport {
        product: Product::Apt,
        operation: Operation::Install,
        code: Some("apt.dpkg_interrupted".parse().expect("a code")),
        symbol: None,
        kind: Kind::Failure,
        subject: Some(subject.to_owned()),
        time: SourceTime::utc(at),
        source: Source::Apt,
        provider: None,
        event_id: None,
        record_id: None,
        line: Some(1),
        count: None,
        update_class: None,
        message: "dpkg was interrupted".to_owned(),
    };
    let evidence = fleetmend_core::evidence::Evidence {
        id: EvidenceId::at(at, entropy::bytes()),
        probe: "apt.dpkg_interrupted".parse().expect("a probe"),
        subject: None,
        answer: fleetmend_core::evidence::Answer::Yes,
        proof: "/var/lib/dpkg/updates holds 2 files".to_owned(),
        value: None,
        at,
    };
    let id = ReportId::at(at, entropy::bytes());
    (&SpoolItem::Failure(Box::new(ReportedFailure { id, at, failure, evidence: vec![evidence] })))
        .into()
}

/// Waits until a state holds; fails after a while.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let started = std::time::Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "never came: {what}");
        tokio::task::yield_now().await;
    }
}

/// Reports that are stored of a host.
pub async fn stored_reports(server: &TestServer, host: &TestHost) -> u64 {
    let filter = ReportFilter { host: Some(host.id), ..ReportFilter::default() };
    let db = &server.running.shared.db;
    db.reports(&filter, &PageRequest::first(1)).await.expect("read").total
}

/// Orders a job for the host's first incident.
pub async fn order(server: &TestServer, host: &TestHost) -> Result<JobId, StoreError> {
    order_with(server, host, |_| {}).await
}

/// The same, with other terms.
pub async fn order_with(
    server: &TestServer,
    host: &TestHost,
    change: impl FnOnce(&mut NewJob),
) -> Result<JobId, StoreError> {
    let db = &server.running.shared.db;
    let filter = IncidentFilter { host: Some(host.id), ..IncidentFilter::default() };
    let page = db.incidents(&filter, &PageRequest::first(1)).await.expect("read");
    let mut job = NewJob {
        id: JobId::at(server.now(), entropy::bytes()),
        host: host.id,
        incident: page.items[0].id,
        cause: "apt.dpkg_interrupted".parse().expect("a cause"),
        remediation: "apt.configure_pending".parse().expect("a remediation"),
        version: 1,
        digest: "0".repeat(64),
        evidence: vec![],
        steps_time: Duration::from_mins(10),
        verify_within: Duration::from_hours(24),
        not_before: server.now(),
        expires: server.now().after(Duration::from_hours(24)),
        reason: "test".to_owned(),
        terms: JobTerms::default(),
    };
    change(&mut job);
    db.create_job(&job, "test", server.now()).await.map(|job| job.id)
}
