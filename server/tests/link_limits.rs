//! The bounds of the agents' port, seen by a raw client.

mod link_support;

use std::time::{Duration, Instant};

use fleetmend_core::limits;
use link_support::{PATIENCE, TestServer, epoch};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Reads until the peer closes, and says how long that took.
async fn closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Duration {
    let started = Instant::now();
    let mut sink = [0; 4_096];
    let reading = async { while !matches!(stream.read(&mut sink).await, Ok(0) | Err(_)) {} };
    tokio::time::timeout(PATIENCE, reading).await.expect("the server closes it");
    started.elapsed()
}

#[tokio::test]
async fn a_connection_without_a_handshake_is_closed_in_its_time() {
    let server = TestServer::start().await;
    let mut silent = TcpStream::connect(server.running.agent_addr).await.expect("connected");
    let took = closed(&mut silent).await;
    assert!(took >= limits::HANDSHAKE.mul_f32(0.9), "{took:?}");
    assert!(took < limits::HANDSHAKE + Duration::from_secs(3), "{took:?}");
    server.enrol().await;
}

#[tokio::test]
async fn a_connection_without_a_call_is_closed_in_its_time_however_it_dribbles() {
    let server = TestServer::start().await;
    let mut silent = server.tls(None).await.expect("a handshake");
    let dribbling = server.tls(None).await.expect("a handshake");
    let (mut reader, mut writer) = tokio::io::split(dribbling);
    // A byte of a good preface now and then moves no deadline.
    let dribble = tokio::spawn(async move {
        let mut often = tokio::time::interval(Duration::from_secs(1));
        for byte in PREFACE {
            often.tick().await;
            if writer.write_all(&[*byte]).await.is_err() || writer.flush().await.is_err() {
                return;
            }
        }
    });
    let (first, second) = tokio::join!(closed(&mut silent), closed(&mut reader));
    dribble.abort();
    for took in [first, second] {
        assert!(took < limits::FIRST_MESSAGE + Duration::from_secs(3), "{took:?}");
    }
}

#[tokio::test]
async fn the_server_says_its_http2_limits() {
    let server = TestServer::start().await;
    let mut tls = server.tls(None).await.expect("a handshake");
    tls.write_all(PREFACE).await.expect("written");
    tls.write_all(EMPTY_SETTINGS).await.expect("written");
    tls.flush().await.expect("flushed");
    let mut head = [0; 9];
    tls.read_exact(&mut head).await.expect("a frame");
    assert_eq!(head[3], 4, "the first frame is SETTINGS");
    let mut body = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
    tls.read_exact(&mut body).await.expect("the settings");
    let setting = |wanted: u16| {
        body.chunks_exact(6).find_map(|entry| {
            let id = u16::from_be_bytes([entry[0], entry[1]]);
            let value = u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]);
            (id == wanted).then_some(value)
        })
    };
    assert_eq!(setting(3), Some(limits::STREAMS_PER_CONNECTION), "max concurrent streams");
    assert_eq!(setting(6), Some(limits::HEADER_BYTES), "max header list size");
    assert_eq!(setting(4), Some(1024 * 1024), "initial window");
}

#[tokio::test]
async fn a_flood_of_stream_errors_ends_the_connection_and_nobody_elses() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    let mut good = server.session(&host, epoch()).await.expect("a session");
    let mut tls = server.tls(None).await.expect("a handshake");
    tls.write_all(PREFACE).await.expect("written");
    tls.write_all(EMPTY_SETTINGS).await.expect("written");
    // Every stream gets a WINDOW_UPDATE of zero, an error that the server must reset.
    let flood = async {
        for n in 0..1_000u32 {
            let stream = (n * 2 + 1).to_be_bytes();
            let mut frames = vec![0, 0, 4, 1, 4];
            frames.extend(stream);
            // :method POST, :scheme https, :path /, and an authority-less head.
            frames.extend([0x83, 0x87, 0x84, 0x86]);
            frames.extend([0, 0, 4, 8, 0]);
            frames.extend(stream);
            frames.extend([0, 0, 0, 0]);
            if tls.write_all(&frames).await.is_err() {
                break;
            }
        }
        let _ = tls.flush().await;
        closed(&mut tls).await
    };
    tokio::time::timeout(PATIENCE, flood).await.expect("the connection is ended");
    good.reports(1, vec![link_support::failure("p", server.now())]).await;
    assert_eq!(good.ack().await.sequence, 1);
}

#[tokio::test]
async fn metrics_and_people_have_their_own_ports() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    let _session = server.session(&host, epoch()).await.expect("a session");
    let mut stream =
        TcpStream::connect(server.running.metrics_addr).await.expect("the metrics port");
    let request = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("fleetmend_enrolments_total{result=\"ok\"}"), "{answer}");
}

#[tokio::test]
async fn people_reach_the_server_by_tls_where_it_has_a_certificate() {
    let files = tempfile::tempdir().expect("a directory");
    let made = rcgen::generate_simple_self_signed(vec!["fleet.example".to_owned()]).expect("made");
    let (cert, key) = (files.path().join("crt.pem"), files.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let server = TestServer::start_with(|config| {
        config.http_cert = Some(cert);
        config.http_key = Some(key);
    })
    .await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(server.running.http_addr).await.expect("connected");
    let name = "fleet.example".try_into().expect("a name");
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let mut tls = connector.connect(name, stream).await.expect("a handshake");
    let request = b"GET /livez HTTP/1.1\r\nhost: fleet.example\r\nconnection: close\r\n\r\n";
    tls.write_all(request).await.expect("written");
    let mut answer = Vec::new();
    let _ = tls.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}
