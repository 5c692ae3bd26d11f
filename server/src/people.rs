//! The listeners of the people's and the metrics port: plain HTTP on loopback, TLS elsewhere, every
//! connection bounded in its head, its streams and its time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use fleetmend_core::limits;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::lifecycle::Lifecycle;
use crate::tls;

/// Connections at once.
const CONNECTIONS: usize = 4_096;
/// Time for the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// Time for open requests to end when the server stops; event streams do not end by themselves.
const DRAIN: Duration = Duration::from_secs(3);
/// The head of a request, and HTTP/1's buffer.
const HEAD_BYTES: u32 = limits::HEADER_BYTES;
const BUFFER: usize = 64 * 1024;
/// HTTP/2 streams of one browser.
const STREAMS: u32 = 64;

/// Serves a router until the soft stop.
pub(crate) fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    life: &Lifecycle,
) {
    let soft = life.soft();
    life.spawn_part("people's or metrics' listener", async move {
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        tokio::select! {
            () = accept_loop(&listener, tls, router, &graceful, &mut connections) => {}
            () = soft.cancelled() => {}
        }
        drop(listener);
        let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
        connections.shutdown().await;
    });
}

async fn accept_loop(
    listener: &TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    graceful: &GracefulShutdown,
    connections: &mut JoinSet<()>,
) {
    let acceptor = tls.map(TlsAcceptor::from);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (stream, addr) = tls::accept(listener).await;
        let (acceptor, router, watcher) = (acceptor.clone(), router.clone(), graceful.watcher());
        connections.spawn(async move {
            let _place = place;
            serve_connection(stream, addr, acceptor, router, watcher).await;
        });
    }
}

async fn serve_connection(
    stream: TcpStream,
    addr: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    watcher: Watcher,
) {
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = acceptor else { return speak(stream, addr, router, watcher).await };
    match tokio::time::timeout(limits::HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => speak(stream, addr, router, watcher).await,
        Ok(Err(error)) => tracing::debug!(%addr, %error, "handshake refused"),
        Err(_) => tracing::debug!(%addr, "handshake took too long"),
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    addr: SocketAddr,
    router: Router,
    watcher: Watcher,
) {
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(addr));
        router.clone().oneshot(request)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES)
        .max_local_error_reset_streams(limits::LOCAL_ERROR_RESETS)
        .max_pending_accept_reset_streams(limits::PENDING_RESETS)
        .keep_alive_interval(limits::HEARTBEAT)
        .keep_alive_timeout(limits::HEARTBEAT);
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%addr, %error, "connection ended");
    }
}
