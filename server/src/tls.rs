//! TLS, and the acceptor of the agents' port.
//!
//! The acceptor is our own because the gRPC library's has no deadline and cannot check more than a
//! chain: handshakes are bounded in time and number, an accept error never ends the loop, and every
//! connection carries deadlines of its own until it proves to be a host's session.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use fleetmend_core::limits;
use fleetmend_core::time::Clock;
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::enroll::Authority;
use crate::lifecycle::Lifecycle;
use crate::metrics::{self, ConnectionRefused, OpenConnection};

/// Life of a connection that calls, and is no session: enrolment and renewal take moments.
const BRIEF: Duration = Duration::from_mins(1);

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// rustls refuses the settings.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
    /// The verifier of client certificates cannot be built.
    #[error("TLS: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// The people's certificate or key cannot be used.
    #[error("{setting}: {path}: {why}")]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
}

/// TLS of the agents' port: 1.3 only, h2, client certificates of our own root where one is shown,
/// no resumption (a resumed session would skip the check of the certificate's time).
pub fn agent_config(
    authority: &Arc<Authority>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.root().clone())?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()?;
    let time = Arc::new(TlsTime(clock.clone()));
    let mut config = ServerConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(authority.clone());
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// TLS of the people's port, from PEM files.
pub fn people_config(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let file = |setting, path: &Path, why: String| TlsError::File {
        setting,
        path: path.display().to_string(),
        why,
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|err| file("http_cert", cert, err.to_string()))?;
    if chain.is_empty() {
        return Err(file("http_cert", cert, "holds no certificate".to_owned()));
    }
    let secret =
        PrivateKeyDer::from_pem_file(key).map_err(|err| file("http_key", key, err.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|err| file("http_key", key, err.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// What every call on a connection can know of it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where it comes from.
    pub addr: SocketAddr,
    /// The client's certificate, checked against our root, where it showed one.
    pub certificate: Option<CertificateDer<'static>>,
    stage: Arc<AtomicU8>,
}

/// How far a connection is; decides how long it may stay.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Stage {
    /// No call yet.
    New = 0,
    /// Called; no session.
    Called = 1,
    /// Holds a host's session.
    Session = 2,
}

impl Peer {
    /// A call arrived.
    pub fn called(&self) {
        self.stage.fetch_max(Stage::Called as u8, Ordering::Relaxed);
    }

    /// The connection holds a host's session.
    pub fn in_session(&self) {
        self.stage.fetch_max(Stage::Session as u8, Ordering::Relaxed);
    }
}

/// Accepts agents until the soft stop. The receiver yields connections whose handshake is done.
pub fn accept_agents(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    life: &Lifecycle,
) -> mpsc::Receiver<io::Result<Connection>> {
    let (sender, receiver) = mpsc::channel(64);
    let acceptor = TlsAcceptor::from(config);
    let soft = life.soft();
    life.spawn_part("agents' listener", async move {
        tokio::select! {
            () = accept_loop(listener, acceptor, sender) => {}
            () = soft.cancelled() => {}
        }
    });
    receiver
}

async fn accept_loop(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    sender: mpsc::Sender<io::Result<Connection>>,
) {
    let handshakes = Arc::new(Semaphore::new(limits::HANDSHAKES_AT_ONCE));
    let connections = Arc::new(Semaphore::new(limits::CONNECTIONS));
    // Handshakes end with their listener.
    let mut under_way = tokio::task::JoinSet::new();
    loop {
        while under_way.try_join_next().is_some() {}
        let Ok(turn) = handshakes.clone().acquire_owned().await else { return };
        let (stream, addr) = accept(&listener).await;
        let Ok(place) = connections.clone().try_acquire_owned() else {
            metrics::connection_refused(ConnectionRefused::Full);
            continue;
        };
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        under_way.spawn(async move {
            let _turn = turn;
            if let Some(connection) = handshake(stream, addr, &acceptor, place).await {
                let _ = sender.send(Ok(connection)).await;
            }
        });
    }
}

/// The next connection. An error (no descriptors left, most often) is waited out, never passed on.
pub async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut pause = Duration::from_millis(5);
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                metrics::connection_refused(ConnectionRefused::Accept);
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    }
}

async fn handshake(
    stream: TcpStream,
    addr: SocketAddr,
    acceptor: &TlsAcceptor,
    place: OwnedSemaphorePermit,
) -> Option<Connection> {
    let _ = stream.set_nodelay(true);
    match tokio::time::timeout(limits::HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(tls)) => Some(Connection::new(tls, addr, place)),
        Ok(Err(error)) => {
            metrics::connection_refused(ConnectionRefused::Handshake);
            tracing::debug!(%addr, %error, "handshake refused");
            None
        }
        Err(_) => {
            metrics::connection_refused(ConnectionRefused::Timeout);
            tracing::debug!(%addr, "handshake took too long");
            None
        }
    }
}

/// An agent's connection with its deadlines.
#[derive(Debug)]
pub struct Connection {
    tls: TlsStream<TcpStream>,
    peer: Peer,
    since: Instant,
    last_read: Instant,
    timer: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
    _counted: OpenConnection,
}

impl Connection {
    fn new(tls: TlsStream<TcpStream>, addr: SocketAddr, place: OwnedSemaphorePermit) -> Self {
        let shown = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = shown.map(|c| c.clone().into_owned());
        let now = Instant::now();
        Self {
            peer: Peer { addr, certificate, stage: Arc::new(AtomicU8::new(Stage::New as u8)) },
            tls,
            since: now,
            last_read: now,
            timer: Box::pin(tokio::time::sleep_until(now + limits::FIRST_MESSAGE)),
            _place: place,
            _counted: OpenConnection::new(),
        }
    }

    /// When this connection ends unless something comes.
    fn deadline(&self) -> Instant {
        let stage = self.peer.stage.load(Ordering::Relaxed);
        if stage >= Stage::Session as u8 {
            self.last_read + limits::IDLE
        } else if stage >= Stage::Called as u8 {
            self.since + BRIEF
        } else {
            self.since + limits::FIRST_MESSAGE
        }
    }

    /// Wakes the reader at the deadline, and says whether it is over. The timer is moved only when
    /// it fires, so that reading costs nothing.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let deadline = self.deadline();
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.poll_deadline(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let read = Pin::new(&mut self.tls).poll_read(cx, buf);
        if read.is_ready() {
            self.last_read = Instant::now();
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }
}

impl tonic::transport::server::Connected for Connection {
    type ConnectInfo = Peer;
    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

/// rustls asks our clock, so that tests can turn it for certificates too.
#[derive(Debug)]
struct TlsTime(Arc<dyn Clock>);

impl rustls::time_provider::TimeProvider for TlsTime {
    fn current_time(&self) -> Option<UnixTime> {
        let ms = u64::try_from(self.0.now().as_millis()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(ms)))
    }
}
