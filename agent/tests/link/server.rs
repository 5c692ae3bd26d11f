//! A small server of the agent link over real TLS: its own authority, and a memory of what came.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use fleetmend_core::ids::HostId;
use fleetmend_proto::trust::TokenText;
use fleetmend_proto::v1;
use fleetmend_proto::v1::agent_service_server::{AgentService, AgentServiceServer};
use fleetmend_proto::v1::{agent_message, server_message};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer,
    KeyPair,
};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, Streaming};

/// What the server saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Items of the spool, with their sequences.
    pub(crate) items: Vec<(u64, v1::SpoolItem)>,
    /// Proofs of renewal that held.
    pub(crate) proofs: u32,
    pub(crate) hellos: u32,
    pub(crate) states: u32,
}

pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) token: TokenText,
    pub(crate) seen: Arc<Mutex<Seen>>,
    /// Whether it welcomes everybody and stores nothing.
    pub(crate) full: Arc<AtomicBool>,
}

struct Service {
    issuer: Issuer<'static, KeyPair>,
    root: Vec<u8>,
    seen: Arc<Mutex<Seen>>,
    full: Arc<AtomicBool>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Test root");
        let root = params.self_signed(&key).expect("signed").der().to_vec();
        let issuer = Issuer::new(params, key);
        let leaf_key = KeyPair::generate().expect("key");
        let leaf = CertificateParams::new(vec!["fleetmend-server".to_owned()]).expect("params");
        let leaf = leaf.signed_by(&leaf_key, &issuer).expect("signed");
        let chain = vec![leaf.der().clone(), CertificateDer::from(root.clone())];
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, PrivatePkcs8KeyDer::from(leaf_key.serialize_der()).into())
            .expect("chain");
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("bound").port();
        let token = TokenText { secret: [5; 32], root: Sha256::digest(&root).into() };
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let full: Arc<AtomicBool> = Arc::default();
        let service = Service { issuer, root, seen: Arc::clone(&seen), full: Arc::clone(&full) };
        let (accepted, incoming) = mpsc::channel(4);
        tokio::spawn(async move {
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
            while let Ok((tcp, _)) = listener.accept().await {
                if let Ok(stream) = acceptor.accept(tcp).await {
                    let _ = accepted.send(Ok::<_, std::io::Error>(Tls(stream))).await;
                }
            }
        });
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(AgentServiceServer::new(service))
                .serve_with_incoming(ReceiverStream::new(incoming)),
        );
        Self { port, token, seen, full }
    }
}

impl Service {
    fn certify(&self, csr: &[u8]) -> Vec<Vec<u8>> {
        let csr = CertificateSigningRequestDer::from(csr.to_vec());
        let mut request = CertificateSigningRequestParams::from_der(&csr).expect("a CSR");
        request.params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        request.params.not_after = rcgen::date_time_ymd(2100, 1, 1);
        let leaf = request.signed_by(&self.issuer).expect("signed");
        vec![leaf.der().to_vec(), self.root.clone()]
    }
}

#[tonic::async_trait]
impl AgentService for Service {
    async fn enroll(
        &self,
        request: Request<v1::EnrollRequest>,
    ) -> Result<Response<v1::EnrollResponse>, Status> {
        let request = request.into_inner();
        let host_id = uuid::Uuid::from_bytes([7; 16]).as_bytes().to_vec();
        Ok(Response::new(v1::EnrollResponse {
            host_id,
            chain: self.certify(&request.csr),
            pending: false,
        }))
    }

    async fn renew_certificate(
        &self,
        request: Request<v1::RenewCertificateRequest>,
    ) -> Result<Response<v1::RenewCertificateResponse>, Status> {
        let request = request.into_inner();
        if let Some(proof) = &request.proof {
            let at = fleetmend_core::time::Timestamp::from_millis(proof.at);
            let host = HostId(uuid::Uuid::from_bytes([7; 16]));
            let signed = fleetmend_proto::renewal_input(host, at, &request.csr);
            let der = CertificateDer::from(proof.certificate.clone());
            let held = webpki::EndEntityCert::try_from(&der)
                .expect("a certificate")
                .verify_signature(webpki::ring::ECDSA_P256_SHA256, &signed, &proof.signature);
            held.map_err(|e| Status::permission_denied(e.to_string()))?;
            self.seen.lock().expect("lock").proofs += 1;
        }
        let chain = self.certify(&request.csr);
        Ok(Response::new(v1::RenewCertificateResponse { chain }))
    }

    type SessionStream = ReceiverStream<Result<v1::ServerMessage, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (out, stream) = mpsc::channel(16);
        let (mut incoming, seen) = (request.into_inner(), Arc::clone(&self.seen));
        let full = Arc::clone(&self.full);
        tokio::spawn(async move {
            while let Ok(Some(message)) = incoming.message().await {
                let answer = match message.body {
                    Some(agent_message::Body::Hello(_)) => {
                        seen.lock().expect("lock").hellos += 1;
                        server_message::Body::Welcome(v1::Welcome::default())
                    }
                    Some(agent_message::Body::Reports(_)) if full.load(Ordering::Relaxed) => {
                        let _ = out.send(Err(Status::unavailable("the disk is full"))).await;
                        return;
                    }
                    Some(agent_message::Body::Reports(reports)) => {
                        let mut seen = seen.lock().expect("lock");
                        seen.items.extend((reports.first_sequence..).zip(reports.items));
                        let sequence = seen.items.last().map_or(0, |(n, _)| *n);
                        let (problem, refused) = (String::new(), Vec::new());
                        let epoch = reports.epoch;
                        server_message::Body::ReportsAck(v1::ReportsAck {
                            epoch,
                            sequence,
                            problem,
                            refused,
                        })
                    }
                    Some(agent_message::Body::HostState(_)) => {
                        seen.lock().expect("lock").states += 1;
                        continue;
                    }
                    _ => continue,
                };
                if out.send(Ok(v1::ServerMessage { body: Some(answer) })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// A TLS stream that tonic takes.
struct Tls(TlsStream<TcpStream>);

impl Connected for Tls {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}

impl AsyncRead for Tls {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tls {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
