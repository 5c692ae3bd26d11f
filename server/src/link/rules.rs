//! What each RPC asks of its caller: the link's rows beside the table of REST routes. A call whose
//! name is not here is not served.

use std::time::Duration;

use fleetmend_core::limits;

use crate::tls::Peer;

/// How a caller proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// By an enrolment token in the message.
    Token,
    /// By its client certificate, or by proof of an enrolled key in the message.
    CertificateOrProof,
    /// By its client certificate.
    Certificate,
}

/// One RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rpc {
    /// Its name.
    pub name: &'static str,
    /// How its caller proves who it is.
    pub caller: Caller,
    /// The largest message taken, in bytes.
    pub message: usize,
    /// The time it may take; `None` for streams, whose deadlines are their own.
    pub time: Option<Duration>,
    /// The kind of audit row that it writes.
    pub audit: Option<&'static str>,
}

/// Enrolment.
pub const ENROLL: Rpc = Rpc {
    name: "Enroll",
    caller: Caller::Token,
    message: limits::MESSAGE_BYTES,
    time: Some(limits::FIRST_MESSAGE),
    audit: Some("host.enroll"),
};

/// Renewal.
pub const RENEW: Rpc = Rpc {
    name: "RenewCertificate",
    caller: Caller::CertificateOrProof,
    message: limits::MESSAGE_BYTES,
    time: Some(limits::FIRST_MESSAGE),
    audit: Some("certificate.renew"),
};

/// The session.
pub const SESSION: Rpc = Rpc {
    name: "Session",
    caller: Caller::Certificate,
    message: limits::MESSAGE_BYTES,
    time: None,
    audit: None,
};

/// Every RPC.
pub const RPCS: &[Rpc] = &[ENROLL, RENEW, SESSION];

/// The largest message that any RPC takes: the bound of the decoder.
pub fn message_bytes() -> usize {
    RPCS.iter().map(|rpc| rpc.message).max().unwrap_or(0)
}

/// The longest time that any RPC but a stream may take.
pub fn call_time() -> Duration {
    RPCS.iter().filter_map(|rpc| rpc.time).max().unwrap_or(limits::FIRST_MESSAGE)
}

impl Rpc {
    /// Lets a request in as far as its connection can tell.
    pub fn admit<T>(&self, request: &tonic::Request<T>) -> Result<Peer, tonic::Status> {
        let peer = request
            .extensions()
            .get::<Peer>()
            .cloned()
            .ok_or_else(|| tonic::Status::internal("the connection is unknown"))?;
        peer.called();
        if self.caller == Caller::Certificate && peer.certificate.is_none() {
            return Err(tonic::Status::unauthenticated(
                "a client certificate is needed: enrol this host first",
            ));
        }
        Ok(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_of_the_wire_has_its_rule() {
        let wire = include_str!("../../../proto/fleetmend/agent/v1/agent.proto");
        let named: Vec<&str> = wire
            .lines()
            .filter_map(|line| line.trim().strip_prefix("rpc ")?.split('(').next())
            .collect();
        assert_eq!(named, RPCS.iter().map(|rpc| rpc.name).collect::<Vec<_>>());
        // What changes something is audited.
        assert!(RPCS.iter().all(|rpc| rpc.audit.is_some() || rpc.name == "Session"));
    }
}
