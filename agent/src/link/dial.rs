//! From an address to an HTTP/2 channel: DNS, TCP or an HTTP CONNECT proxy, TLS, and every limit of
//! HTTP/2 set (tonic leaves them open).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetmend_core::limits;
use fleetmend_core::time::Clock;
use fleetmend_proto::v1::agent_service_client::AgentServiceClient;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use super::address::{ProxyAddress, ServerAddress};
use super::trouble::Trouble;

/// Time for one TCP connection.
const TCP: Duration = Duration::from_secs(10);
/// Time for a proxy's answer, and bytes of it.
const PROXY_ANSWER: Duration = Duration::from_secs(15);
const PROXY_BYTES: usize = 8 * 1024;
/// Flow-control windows: a session carries little, and memory is the host's.
const WINDOW: u32 = 256 * 1024;

/// How one server is reached.
#[derive(Clone)]
pub struct Dialer {
    /// The server.
    pub server: ServerAddress,
    /// The proxy on the way.
    pub proxy: Option<ProxyAddress>,
    /// TLS, with the pinned root and the host's certificate.
    pub tls: Arc<rustls::ClientConfig>,
    /// Only to say what time it is here, where certificates do not hold.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dialer({}, proxy {:?})", self.server, self.proxy)
    }
}

impl Dialer {
    /// A client over a new connection, with message bounds set.
    pub async fn client(&self) -> Result<AgentServiceClient<Channel>, Trouble> {
        let channel = self.channel().await?;
        Ok(AgentServiceClient::new(channel)
            .max_decoding_message_size(limits::MESSAGE_BYTES)
            .max_encoding_message_size(limits::MESSAGE_BYTES))
    }

    /// TCP to the server, by way of the proxy where there is one.
    pub async fn tcp(&self) -> Result<TcpStream, Trouble> {
        match &self.proxy {
            None => tcp(&self.server.host, self.server.port).await,
            Some(proxy) => {
                let stream = tcp(&proxy.host, proxy.port).await?;
                self.tunnel(stream, proxy).await
            }
        }
    }

    /// TLS over `tcp`. The real host goes out as SNI; what is verified is the pinned root.
    pub async fn tls(&self, tcp: TcpStream) -> Result<TlsStream<TcpStream>, Trouble> {
        let name = ServerName::try_from(self.server.host.clone())
            .map_err(|e| Trouble::Own(format!("{} is no name for TLS: {e}", self.server.host)))?;
        let handshake = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp);
        let silent = || Trouble::Silent {
            what: format!("the TLS handshake of {}", self.server),
            after: TCP,
        };
        let stream = timeout(TCP, handshake)
            .await
            .map_err(|_| silent())?
            .map_err(|e| Trouble::from_tls(&self.server, &e, self.clock.now().to_string()))?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Ok(stream),
            other => Err(Trouble::NoHttp2 {
                to: self.server.to_string(),
                alpn: other.map_or("nothing".into(), |p| String::from_utf8_lossy(p).into_owned()),
            }),
        }
    }

    async fn channel(&self) -> Result<Channel, Trouble> {
        // tonic wraps what the connector says; the words are kept here.
        let failed: Arc<Mutex<Option<Trouble>>> = Arc::default();
        let (dialer, slot) = (self.clone(), Arc::clone(&failed));
        let connector = tower::service_fn(move |_: http::Uri| {
            let (dialer, slot) = (dialer.clone(), Arc::clone(&slot));
            async move {
                let dialled = async { dialer.tls(dialer.tcp().await?).await }.await;
                dialled.map(TokioIo::new).inspect_err(|trouble| {
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble.clone());
                })
            }
        });
        endpoint().connect_with_connector(connector).await.map_err(|error| {
            let known = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
            known.unwrap_or_else(|| Trouble::Ended { why: chain(&error) })
        })
    }

    async fn tunnel(
        &self,
        mut stream: TcpStream,
        proxy: &ProxyAddress,
    ) -> Result<TcpStream, Trouble> {
        let to = &self.server;
        let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
        if let Some(user) = &proxy.user {
            request.push_str("Proxy-Authorization: Basic ");
            request.push_str(&STANDARD.encode(user));
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        let answer = timeout(PROXY_ANSWER, async {
            stream.write_all(request.as_bytes()).await?;
            let mut head = Vec::new();
            // One byte at a time: what follows the head belongs to TLS.
            while !head.ends_with(b"\r\n\r\n") && head.len() < PROXY_BYTES {
                head.push(stream.read_u8().await?);
            }
            Ok::<_, std::io::Error>(head)
        });
        let head = match answer.await {
            Err(_) => {
                let what = format!("the proxy {proxy}");
                return Err(Trouble::Silent { what, after: PROXY_ANSWER });
            }
            Ok(Err(error)) => return Err(Trouble::from_proxy(proxy, to, error.to_string())),
            Ok(Ok(head)) => String::from_utf8_lossy(&head).into_owned(),
        };
        let line = head.lines().next().unwrap_or_default();
        let status = line.split(' ').nth(1).and_then(|s| s.parse::<u16>().ok());
        if line.starts_with("HTTP/1.") && status.is_some_and(|s| (200..300).contains(&s)) {
            return Ok(stream);
        }
        let said: String = line.chars().filter(|c| !c.is_control()).take(120).collect();
        Err(Trouble::from_proxy(proxy, to, format!("it answered \"{said}\"")))
    }
}

fn endpoint() -> Endpoint {
    Endpoint::from_static("http://fleetmend-server")
        .user_agent(concat!("fleetmend-agent/", env!("CARGO_PKG_VERSION")))
        .unwrap_or_else(|_| Endpoint::from_static("http://fleetmend-server"))
        .buffer_size(16)
        .concurrency_limit(limits::STREAMS_PER_CONNECTION as usize)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(2 * WINDOW)
        .max_frame_size(16 * 1024)
        .http2_header_table_size(4 * 1024)
        .http2_max_header_list_size(limits::HEADER_BYTES)
        .http2_max_concurrent_reset_streams(limits::PENDING_RESETS)
        .http2_max_local_error_reset_streams(limits::LOCAL_ERROR_RESETS)
        .http2_keep_alive_interval(Duration::from_mins(1))
        .keep_alive_timeout(Duration::from_secs(20))
        .keep_alive_while_idle(false)
        .http2_adaptive_window(false)
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, Trouble> {
    let name = |why: String| Trouble::Name { host: host.to_owned(), why };
    let resolved = timeout(TCP, tokio::net::lookup_host((host, port))).await;
    let addresses = resolved
        .map_err(|_| name("the resolver gave no answer".to_owned()))?
        .map_err(|e| name(e.to_string()))?;
    let mut last = name("it has no address".to_owned());
    for address in addresses.take(8) {
        match timeout(TCP, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = Trouble::from_tcp(&address.to_string(), &error),
            Err(_) => last = Trouble::Silent { what: address.to_string(), after: TCP },
        }
    }
    Err(last)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
