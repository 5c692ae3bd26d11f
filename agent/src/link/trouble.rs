//! What stands between an agent and its server, in words that name the remedy.

use std::io;
use std::time::Duration;

use super::address::{ProxyAddress, ServerAddress};

/// Why there is no link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The name of server or proxy has no address.
    #[error(
        "the name {host} cannot be resolved ({why}): check the DNS of this host, or enrol with another address"
    )]
    Name {
        /// The name.
        host: String,
        /// What the resolver said.
        why: String,
    },
    /// Nothing answers there.
    #[error("{to} refuses connections: check that the server runs, and the port")]
    Refused {
        /// Where.
        to: String,
    },
    /// It cannot be reached.
    #[error("{to} cannot be reached ({why}): check route and firewall for outgoing TCP")]
    Unreachable {
        /// Where.
        to: String,
        /// Why.
        why: String,
    },
    /// It did not answer in time.
    #[error("{what} gave no answer within {} s: a firewall may drop it silently", after.as_secs())]
    Silent {
        /// What was awaited.
        what: String,
        /// For how long.
        after: Duration,
    },
    /// The proxy does not let us through.
    #[error(
        "the proxy {proxy} refused the way to {server}: {why}; allow CONNECT to that address, or give --proxy"
    )]
    Proxy {
        /// The proxy.
        proxy: String,
        /// The server.
        server: String,
        /// What it said.
        why: String,
    },
    /// TLS ends at something that is not the server.
    #[error(
        "TLS is intercepted: the certificate was issued by \"{issuer}\", not by this server's own authority; except the server's address from TLS inspection"
    )]
    Intercepted {
        /// Who issued what was presented.
        issuer: String,
    },
    /// The server's certificate chain ends in the pinned root, and yet does not hold.
    #[error(
        "the server's certificate does not hold ({why}): check the clock of this host ({now}), then the server"
    )]
    ServerCertificate {
        /// Why.
        why: String,
        /// The time here.
        now: String,
    },
    /// TLS failed in another way.
    #[error("TLS with {to} failed: {why}")]
    Tls {
        /// With whom.
        to: String,
        /// Why.
        why: String,
    },
    /// The way does not let HTTP/2 through.
    #[error(
        "{to} speaks no HTTP/2 (ALPN gave {alpn}): a proxy on the way blocks it; except the server's address from inspection"
    )]
    NoHttp2 {
        /// Where.
        to: String,
        /// What was agreed.
        alpn: String,
    },
    /// The host's own certificate has expired and cannot be renewed any more.
    #[error(
        "this host's certificate expired at {at} and the server does not renew it: {why}; enrol again after `fleetmend-agent generalize`"
    )]
    Expired {
        /// When.
        at: String,
        /// What the server said.
        why: String,
    },
    /// The server does not want this host.
    #[error("the server refuses this host: {why}; see `fleetmend hosts show` there")]
    Rejected {
        /// What it said.
        why: String,
    },
    /// The connection broke, or the server ended it.
    #[error("the connection ended: {why}")]
    Ended {
        /// Why.
        why: String,
    },
    /// Something of this host's own.
    #[error("{0}")]
    Own(String),
}

impl Trouble {
    /// From a failed TCP connection.
    pub fn from_tcp(to: &str, error: &io::Error) -> Self {
        let to = to.to_owned();
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused { to },
            _ => Self::Unreachable { to, why: error.to_string() },
        }
    }

    /// From a failed TLS handshake.
    pub fn from_tls(to: &ServerAddress, error: &io::Error, now: String) -> Self {
        let tls = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))) => {
                match other.0.downcast_ref::<super::tls::NotOurs>() {
                    Some(foreign) => Self::Intercepted { issuer: foreign.issuer.clone() },
                    None => Self::ServerCertificate { why: other.to_string(), now },
                }
            }
            Some(rustls::Error::InvalidCertificate(why)) => {
                Self::ServerCertificate { why: why.to_string(), now }
            }
            Some(rustls::Error::NoApplicationProtocol) => {
                Self::NoHttp2 { to: to.to_string(), alpn: "nothing".to_owned() }
            }
            Some(rustls::Error::AlertReceived(alert)) => {
                Self::Rejected { why: format!("it ended the handshake with the alert {alert:?}") }
            }
            _ => Self::Tls { to: to.to_string(), why: error.to_string() },
        }
    }

    /// From an answer of the server.
    pub fn from_status(status: &tonic::Status) -> Self {
        let why = if status.message().is_empty() {
            format!("{:?}", status.code())
        } else {
            status.message().to_owned()
        };
        match status.code() {
            tonic::Code::PermissionDenied | tonic::Code::Unauthenticated => Self::Rejected { why },
            _ => Self::Ended { why },
        }
    }

    /// A proxy's refusal.
    pub fn from_proxy(
        proxy: &ProxyAddress,
        server: &ServerAddress,
        why: impl Into<String>,
    ) -> Self {
        Self::Proxy { proxy: proxy.to_string(), server: server.to_string(), why: why.into() }
    }
}
