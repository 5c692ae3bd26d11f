//! Who gets a certificate, and who does not.

mod link_support;

use std::time::Duration;

use fleetmend_core::host::Lifecycle;
use fleetmend_core::time::Timestamp;
use fleetmend_proto::{renewal_input, v1};
use fleetmend_store::{AuditFilter, PageRequest};
use link_support::{TestHost, TestServer, csr, epoch, facts, new_key};
use rcgen::SigningKey as _;
use tonic::{Code, Status};

#[tokio::test]
async fn a_one_use_token_makes_one_active_host() {
    let server = TestServer::start().await;
    let token = server.token(1, &[]).await;
    let host = server.enrol_with(&token, new_key()).await.expect("enrolled");
    assert!(!host.pending);
    let stored = server.running.shared.db.host(host.id).await.expect("read").expect("there");
    assert_eq!(stored.lifecycle, Lifecycle::Active);
    assert_eq!(stored.labels.get("site").map(String::as_str), Some("lab"));
    assert_eq!(stored.facts, facts());
    let session = server.session(&host, epoch()).await.expect("a session");
    assert!(!session.welcome.pending);

    let again = server.enrol_with(&token, new_key()).await.err().expect("used");
    assert_refused(&again, Code::PermissionDenied, "used up");
    let filter =
        AuditFilter { action: Some("host.enroll_refused".to_owned()), ..AuditFilter::default() };
    let db = &server.running.shared.db;
    let audited = db.audit_log(&filter, &PageRequest::first(5)).await.expect("read");
    assert_eq!(audited.total, 1, "the use of a used token stands in the audit log");
}

#[tokio::test]
async fn a_deployment_token_makes_pending_hosts() {
    let server = TestServer::start().await;
    let host = server.enrol_pending().await;
    assert!(host.pending);
    let session = server.session(&host, epoch()).await.expect("pending hosts report");
    assert!(session.welcome.pending);
}

#[tokio::test]
async fn bad_tokens_are_refused_by_name() {
    let server = TestServer::start().await;
    for malformed in ["", "hello", "fme_abc", "fme_AAAA.00"] {
        let refused = server.enrol_with(malformed, new_key()).await.err().expect("malformed");
        assert_refused(&refused, Code::InvalidArgument, "token");
    }
    let unknown = fleetmend_proto::trust::TokenText { secret: [7; 32], root: [0; 32] }.to_string();
    let refused = server.enrol_with(&unknown, new_key()).await.err().expect("unknown");
    assert_refused(&refused, Code::PermissionDenied, "unknown");

    let foreign = server.token(3, &["10.99.0.0/16"]).await;
    let refused = server.enrol_with(&foreign, new_key()).await.err().expect("foreign");
    assert_refused(&refused, Code::PermissionDenied, "127.0.0.1");

    let expired = server.token(3, &["127.0.0.0/8"]).await;
    server.clock.advance(Duration::from_hours(2));
    let refused = server.enrol_with(&expired, new_key()).await.err().expect("expired");
    assert_refused(&refused, Code::PermissionDenied, "expired");
}

#[tokio::test]
async fn bad_requests_are_refused_by_field() {
    let server = TestServer::start().await;
    let token = server.token(1, &[]).await;
    let good = v1::EnrollRequest { token, csr: csr(&new_key()), facts: Some((&facts()).into()) };
    let mut flipped = good.csr.clone();
    *flipped.last_mut().expect("bytes") ^= 1;
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
    let mut nameless = good.clone();
    if let Some(facts) = nameless.facts.as_mut() {
        facts.name = "x".repeat(256);
    }
    for (request, part) in [
        (v1::EnrollRequest { csr: vec![1, 2, 3], ..good.clone() }, "csr: not a PKCS #10"),
        (v1::EnrollRequest { csr: flipped, ..good.clone() }, "csr"),
        (v1::EnrollRequest { csr: csr(&p384), ..good.clone() }, "csr: use an ECDSA P-256"),
        (v1::EnrollRequest { facts: None, ..good.clone() }, "facts: is missing"),
        (nameless, "facts.name: 256 bytes"),
    ] {
        let refused = server.client(None).enroll(request).await.expect_err("must be refused");
        assert_refused(&refused, Code::InvalidArgument, part);
    }
    // None of them took the token's use.
    server.client(None).enroll(good).await.expect("the token is unused");
}

#[tokio::test]
async fn one_key_enrols_once() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    let copy = rcgen::KeyPair::from_pem(&host.key.serialize_pem()).expect("a key");
    let token = server.token(1, &[]).await;
    let refused = server.enrol_with(&token, copy).await.err().expect("the key is taken");
    assert_refused(&refused, Code::AlreadyExists, "key");
    server.enrol_with(&token, new_key()).await.expect("the token is unused");
}

#[tokio::test]
async fn a_valid_certificate_renews_itself() {
    let server = TestServer::start().await;
    let mut host = server.enrol().await;
    let request = v1::RenewCertificateRequest { csr: csr(&host.key), proof: None };
    let mut client = server.client(Some(host.identity()));
    let chain = client.renew_certificate(request).await.expect("renewed").into_inner().chain;
    assert_ne!(chain[0], host.chain[0]);
    host.chain = chain;
    server.session(&host, epoch()).await.expect("the new certificate is good");
}

#[tokio::test]
async fn an_expired_certificate_returns_by_proof_of_its_key() {
    let server = TestServer::start().await;
    let mut host = server.enrol().await;
    server.clock.advance(Duration::from_hours(24 * 100));
    assert!(server.session(&host, epoch()).await.is_err(), "expired");

    let fresh = new_key();
    let request = proof(&host, &fresh, server.now());
    let answer = server.client(None).renew_certificate(request).await.expect("renewed");
    host.chain = answer.into_inner().chain;
    host.key = fresh;
    server.session(&host, epoch()).await.expect("back without a person");
}

#[tokio::test]
async fn a_proof_that_does_not_hold_renews_nothing() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    let (stranger, fresh) = (new_key(), new_key());
    let now = server.now();
    let good = proof(&host, &fresh, now);
    let mut forged = good.clone();
    if let Some(proof) = forged.proof.as_mut() {
        let input = renewal_input(host.id, now, &forged.csr);
        proof.signature = stranger.sign(&input).expect("signed");
    }
    // The signature covers the request: another key cannot be slipped in.
    let swapped = v1::RenewCertificateRequest { csr: csr(&stranger), proof: good.proof.clone() };
    let old = proof(&host, &fresh, now.before(Duration::from_mins(6)));
    let none = v1::RenewCertificateRequest { csr: csr(&fresh), proof: None };
    for (request, part) in
        [(forged, "signature"), (swapped, "signature"), (old, "proof.at"), (none, "prove its key")]
    {
        let refused = server.client(None).renew_certificate(request).await.expect_err("refused");
        assert_refused(&refused, Code::PermissionDenied, part);
    }

    server.clock.advance(Duration::from_hours(24 * 215));
    let late = proof(&host, &fresh, server.now());
    let refused = server.client(None).renew_certificate(late).await.expect_err("too late");
    assert_refused(&refused, Code::PermissionDenied, "180 days");
}

#[tokio::test]
async fn a_revoked_host_renews_nothing() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    let db = &server.running.shared.db;
    db.set_lifecycle(host.id, Lifecycle::Revoked, "lost", "test", server.now()).await.expect("set");
    let by_proof = proof(&host, &new_key(), server.now());
    let refused = server.client(None).renew_certificate(by_proof).await.expect_err("revoked");
    assert_refused(&refused, Code::PermissionDenied, "revoked");
    let request = v1::RenewCertificateRequest { csr: csr(&host.key), proof: None };
    let mut client = server.client(Some(host.identity()));
    let refused = client.renew_certificate(request).await.expect_err("revoked");
    assert_refused(&refused, Code::PermissionDenied, "revoked");
}

fn proof(host: &TestHost, fresh: &rcgen::KeyPair, at: Timestamp) -> v1::RenewCertificateRequest {
    let csr = csr(fresh);
    let signature = host.key.sign(&renewal_input(host.id, at, &csr)).expect("signed");
    let proof = v1::KeyProof { certificate: host.chain[0].clone(), at: at.as_millis(), signature };
    v1::RenewCertificateRequest { csr, proof: Some(proof) }
}

#[track_caller]
fn assert_refused(status: &Status, code: Code, part: &str) {
    assert_eq!(status.code(), code, "{status:?}");
    assert!(status.message().contains(part), "{:?} does not say {part:?}", status.message());
}
