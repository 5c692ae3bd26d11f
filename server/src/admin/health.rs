//! `health`: asks the running server over its metrics port, which stands in every container without
//! TLS or log-in, so that an image needs no HTTP client.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context as _;

/// Time for each of: connect, ask, hear.
const WAIT: Duration = Duration::from_secs(5);
/// An answer is a status and a line.
const MOST: u64 = 16 * 1024;

/// Gives what `/readyz` says where it says `200`; an error otherwise.
pub(super) fn ask(metrics: SocketAddr) -> anyhow::Result<String> {
    let addr = reachable(metrics);
    let mut answer = Vec::new();
    let mut hear = || -> std::io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&addr, WAIT)?;
        stream.set_read_timeout(Some(WAIT))?;
        stream.set_write_timeout(Some(WAIT))?;
        // In one piece: a server that answers the first line and closes would break the second.
        let question = format!("GET /readyz HTTP/1.0\r\nHost: {addr}\r\n\r\n");
        stream.write_all(question.as_bytes())?;
        stream.take(MOST).read_to_end(&mut answer)?;
        Ok(())
    };
    hear().with_context(|| format!("no server answers on {addr} (metrics_listen)"))?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split_whitespace().nth(1).unwrap_or("no status");
    anyhow::ensure!(status == "200", "not ready: {status} {}", body.trim());
    Ok(body.to_owned())
}

/// Where to ask a server that listens everywhere.
fn reachable(listens: SocketAddr) -> SocketAddr {
    let ip = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listens.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answering(answer: &'static str) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("bound");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a caller");
            let (mut request, mut piece) = (Vec::new(), [0; 512]);
            while !request.ends_with(b"\r\n\r\n") {
                let size = stream.read(&mut piece).expect("a request");
                assert_ne!(size, 0, "ended within {request:?}");
                request.extend_from_slice(&piece[..size]);
            }
            assert!(request.starts_with(b"GET /readyz "), "{request:?}");
            stream.write_all(answer.as_bytes()).expect("answered");
        });
        addr
    }

    #[test]
    fn only_200_is_healthy() {
        let ready = answering("HTTP/1.0 200 OK\r\nx: y\r\n\r\nok\n");
        assert_eq!(ask(ready).expect("ready"), "ok\n");
        let busy = answering("HTTP/1.0 503 Service Unavailable\r\n\r\n{\"title\":\"busy\"}");
        let said = format!("{:#}", ask(busy).expect_err("not ready"));
        assert!(said.contains("503") && said.contains("busy"), "{said}");
        assert!(ask(answering("")).is_err());
    }

    #[test]
    fn a_server_that_listens_everywhere_is_asked_on_loopback() {
        let everywhere: SocketAddr = "0.0.0.0:7090".parse().expect("an address");
        assert_eq!(reachable(everywhere).to_string(), "127.0.0.1:7090");
    }
}
