//! Streams: who may open one, what is taken, what is acknowledged, how they end.

mod link_support;

use std::time::{Duration, Instant};

use fleetmend_core::campaign::calendar::{FreezeRule, FreezeWhen};
use fleetmend_core::hold::Interval;
use fleetmend_core::host::{Labels, Lifecycle};
use fleetmend_core::ids::{FreezeId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::limits;
use fleetmend_core::order::{Envelope, Task, signing_input};
use fleetmend_proto::v1::agent_message::Body as FromAgent;
use fleetmend_proto::v1::server_message::Body as ToAgent;
use fleetmend_proto::{decode_order, trust, v1};
use fleetmend_server::{entropy, halt};
use fleetmend_store::{AuditFilter, HaltMark, NewFreeze, PageRequest, ReportFilter};
use link_support::{
    TestHost, TestServer, epoch, eventually, failure, hello, new_key, next, order, order_with,
    stored_reports,
};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SanType};
use tonic::Code;

fn first() -> FromAgent {
    FromAgent::Hello(hello(epoch(), vec![]))
}

#[tokio::test]
async fn without_a_certificate_there_is_no_session() {
    let server = TestServer::start().await;
    let refused = server.open(None, first()).await.expect_err("refused");
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_foreign_certificate_does_not_pass_the_handshake() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    // Right in everything but its issuer.
    let mut params = CertificateParams::new(vec![]).expect("params");
    let uri = format!("{}{}", trust::HOST_URI, host.id);
    params.subject_alt_names = vec![SanType::URI(uri.try_into().expect("ASCII"))];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = new_key();
    let forged = params.self_signed(&key).expect("a certificate").der().to_vec();
    assert!(server.open(Some((&[forged], &key)), first()).await.is_err());
}

#[tokio::test]
async fn an_expired_certificate_does_not_pass_the_handshake() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    server.session(&host, epoch()).await.expect("good while it is valid");
    server.clock.advance(Duration::from_hours(24 * 31));
    assert!(server.session(&host, epoch()).await.is_err());
}

#[tokio::test]
async fn hosts_that_may_not_connect_are_told_why() {
    let server = TestServer::start().await;
    for (state, part) in [
        (Lifecycle::Revoked, "revoked"),
        (Lifecycle::Retired, "retired"),
        (Lifecycle::Quarantined, "quarantined"),
    ] {
        let host = server.enrol().await;
        set(&server, &host, state).await;
        let refused = server.session(&host, epoch()).await.err().expect("refused");
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
        assert!(refused.message().contains(part), "{refused:?}");
    }
}

#[tokio::test]
async fn the_first_message_is_a_hello_that_can_be_read() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    let mut bad = hello(epoch(), vec![]);
    bad.spool_epoch = vec![1];
    for (body, part) in [
        (FromAgent::Heartbeat(v1::Heartbeat { at: 1 }), "first message must be a hello"),
        (FromAgent::Hello(bad), "hello.spool_epoch: 1 bytes"),
        (FromAgent::Hello(v1::Hello::default()), "hello.facts: is missing"),
    ] {
        let (_out, mut messages) = server.open(Some(host.identity()), body).await.expect("opened");
        let refused = next(&mut messages).await.expect_err("refused");
        assert!(refused.message().contains(part), "{refused:?}");
    }
}

#[tokio::test]
async fn an_oversized_message_is_refused() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    let mut session = server.session(&host, epoch()).await.expect("a session");
    let mut item = failure("p", server.now());
    if let Some(v1::spool_item::Item::Failure(failure)) = item.item.as_mut() {
        failure.failure.as_mut().expect("there").message = "x".repeat(300_000);
    }
    session.reports(1, vec![item]).await;
    let refused = session.end().await;
    assert_eq!(refused.code(), Code::OutOfRange, "{refused:?}");
    assert_eq!(stored_reports(&server, &host).await, 0);
}

#[tokio::test]
async fn an_acknowledgement_means_stored_and_a_repeat_is_stored_once() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    let epoch = epoch();
    let mut session = server.session(&host, epoch).await.expect("a session");
    assert_eq!(session.welcome.acknowledged, 0);
    let items: Vec<_> = (0..100).map(|n| failure(&format!("package-{n}"), server.now())).collect();
    session.reports(1, items.clone()).await;
    let ack = session.ack().await;
    assert_eq!((ack.sequence, ack.problem.as_str()), (100, ""));
    // Another connection to the database sees them at the moment of the acknowledgement.
    assert_eq!(stored_reports(&server, &host).await, 100);

    session.reports(1, items.clone()).await;
    assert_eq!(session.ack().await.sequence, 100);
    drop(session);
    let mut again = server.session(&host, epoch).await.expect("a session");
    assert_eq!(again.welcome.acknowledged, 100);
    again.reports(51, items[50..].to_vec()).await;
    assert_eq!(again.ack().await.sequence, 100);
    assert_eq!(stored_reports(&server, &host).await, 100);

    // A hole is not taken, and the wanted place is said.
    again.reports(103, vec![failure("late", server.now())]).await;
    let ack = again.ack().await;
    assert_eq!(ack.sequence, 100);
    assert!(ack.problem.contains("101 is wanted"), "{}", ack.problem);
    assert_eq!(stored_reports(&server, &host).await, 100);
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_acknowledged() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    let mut session = server.session(&host, epoch()).await.expect("a session");
    server.running.shared.db.close().await;
    session.reports(1, vec![failure("p", server.now())]).await;
    // It is held; what may come is nothing but the end of the server.
    let database = server.running.shared.database.clone();
    eventually("the server knows", || async { database.away().is_some() }).await;
    server.running.lifecycle.begin_shutdown();
    let ended = session.next().await.expect_err("no acknowledgement");
    assert!(matches!(ended.code(), Code::Unavailable | Code::Ok), "{ended:?}");
}

#[tokio::test]
async fn a_bad_item_is_named_and_set_aside_and_its_neighbours_are_stored() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    let mut session = server.session(&host, epoch()).await.expect("a session");
    let mut bad = failure("b", server.now());
    if let Some(v1::spool_item::Item::Failure(failure)) = bad.item.as_mut() {
        failure.failure.as_mut().expect("there").code = Some("0x8007".to_owned());
    }
    let items = vec![failure("a", server.now()), bad, failure("c", server.now())];
    session.reports(1, items).await;
    let ack = session.ack().await;
    assert_eq!(ack.sequence, 3);
    assert_eq!(ack.refused.len(), 1);
    assert_eq!(ack.refused[0].sequence, 2);
    assert!(ack.refused[0].problem.starts_with("failure.code: \"0x8007\""), "{ack:?}");
    assert_eq!(stored_reports(&server, &host).await, 2);
    let aside = server.running.shared.db.quarantine(&PageRequest::first(5)).await.expect("read");
    assert_eq!(aside.total, 1);
    assert!(aside.items[0].reason.contains("failure.code"), "{:?}", aside.items[0]);
}

#[tokio::test]
async fn messages_over_their_bounds_end_the_stream_by_name() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    for (first, count, part) in [(1, 101, "reports.items: 101 entries"), (0, 1, "first_sequence")] {
        let mut session = server.session(&host, epoch()).await.expect("a session");
        session.reports(first, vec![v1::SpoolItem::default(); count]).await;
        let refused = session.end().await;
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(part), "{refused:?}");
    }
}

#[tokio::test]
async fn a_pending_host_gets_its_order_when_it_is_accepted_and_not_before() {
    let server = TestServer::start().await;
    let host = server.enrol_pending().await;
    let mut session = server.session(&host, epoch()).await.expect("a session");
    session.reports(1, vec![failure("p", server.now())]).await;
    session.ack().await;
    let refused = order(&server, &host).await.expect_err("a pending host gets no job");
    assert!(refused.to_string().contains("accept"), "{refused}");
    let shared = &server.running.shared;
    set(&server, &host, Lifecycle::Active).await;
    let job = order(&server, &host).await.expect("a job");
    shared.registry.nudge(host.id);
    let envelope: Envelope = match session.next().await.expect("the order") {
        ToAgent::Order(order) => order.try_into().expect("an envelope"),
        other => panic!("no order but {other:?}"),
    };
    verify(&server, &session.welcome, &envelope);
    let order = decode_order(&envelope.payload).expect("an order");
    assert_eq!((order.host, order.job, order.counter), (host.id, job, 1));

    // The stream breaks, the agent does not know the job: the next hello brings it again, with a
    // higher counter.
    drop(session);
    let mut session = server.session(&host, epoch()).await.expect("a session");
    match session.next().await.expect("the order again") {
        ToAgent::Order(again) => {
            let again = decode_order(&again.payload).expect("an order");
            assert_eq!((again.job, again.counter), (job, 2));
        }
        other => panic!("no order but {other:?}"),
    }
}

#[tokio::test]
async fn a_revocation_ends_the_live_stream_within_five_seconds() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    let mut session = server.session(&host, epoch()).await.expect("a session");
    // Only the database is told, as another process would.
    set(&server, &host, Lifecycle::Revoked).await;
    let started = Instant::now();
    let ended = session.end().await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(ended.code(), Code::PermissionDenied, "{ended:?}");
    let registry = &server.running.shared.registry;
    eventually("the place is given up", || async { registry.connected() == 0 }).await;
}

#[tokio::test]
async fn what_another_process_orders_and_takes_back_reaches_a_resting_stream() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    let mut session = server.session(&host, epoch()).await.expect("a session");
    session.reports(1, vec![failure("p", server.now())]).await;
    session.ack().await;
    // Nobody nudges: the database is all that is told.
    let started = Instant::now();
    let job = order(&server, &host).await.expect("a job");
    assert!(matches!(session.next().await.expect("the order"), ToAgent::Order(_)));
    let shared = &server.running.shared;
    shared.db.cancel_job(job, "test", "test", server.now()).await.expect("asked");
    match session.next().await.expect("the wish") {
        ToAgent::CancelJob(cancel) => assert_eq!(cancel.job, job.0.as_bytes()),
        other => panic!("no wish but {other:?}"),
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_halt_by_the_file_holds_orders_back_and_live_streams_hear_of_it_within_two_seconds() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    let mut session = server.session(&host, epoch()).await.expect("a session");
    assert_eq!(session.welcome.halt.as_ref().map(|halt| halt.on), Some(false));
    session.reports(1, vec![failure("p", server.now())]).await;
    session.ack().await;
    let shared = &server.running.shared;
    let file = shared.config.data_dir.join("halt");
    let started = Instant::now();
    std::fs::write(&file, "a bad update").expect("written");
    match session.next().await.expect("the halt") {
        ToAgent::Halt(halt) => assert!(halt.on && halt.reason.contains("a bad update"), "{halt:?}"),
        other => panic!("no halt but {other:?}"),
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());

    let job = order(&server, &host).await.expect("a job may be made");
    shared.registry.nudge(host.id);
    // A nudge is heard before a message: when this is acknowledged, orders were looked for.
    session.reports(2, vec![failure("p", server.now())]).await;
    session.ack().await;
    let state = shared.db.job(job).await.expect("read").expect("there").job.state;
    assert_eq!(state, JobState::Queued, "nothing is offered while the fleet is halted");
    let later = server.session(&server.enrol().await, epoch()).await.expect("a session");
    assert_eq!(later.welcome.halt.map(|halt| halt.on), Some(true));

    std::fs::remove_file(&file).expect("removed");
    match session.next().await.expect("the end of the halt") {
        ToAgent::Halt(halt) => assert!(!halt.on, "{halt:?}"),
        other => panic!("no halt but {other:?}"),
    }
    assert!(matches!(session.next().await.expect("the order"), ToAgent::Order(_)));
    let audited = |action: &'static str| async move {
        let wanted = AuditFilter { action: Some(action.to_owned()), ..AuditFilter::default() };
        let log = shared.db.audit_log(&wanted, &PageRequest::first(9)).await.expect("read");
        log.total == 1
    };
    eventually("the halt is in the audit log", || audited("fleet.halt")).await;
    eventually("its end is, too", || audited("fleet.resume")).await;
}

#[tokio::test]
async fn each_kind_of_halt_survives_a_restart_and_no_order_goes_out() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    let mut session = server.session(&host, epoch()).await.expect("a session");
    session.reports(1, vec![failure("p", server.now())]).await;
    session.ack().await;
    drop(session);
    let db = &server.running.shared.db;
    db.halt("a bad update", "user anna", server.now()).await.expect("halted");
    // Ordered by another process: nothing told this one of either.
    let job = order(&server, &host).await.expect("a job may be made");
    let server = restarted(server).await;
    held(&server, &host, job, "a bad update").await;

    let db = &server.running.shared.db;
    let mark =
        HaltMark { by: "local admin".to_owned(), since: server.now(), reason: "worse".to_owned() };
    let data_dir = server.running.shared.config.data_dir.clone();
    halt::write(&data_dir, &mark).expect("written");
    assert!(db.lift_halt("user anna", server.now()).await.expect("lifted"));
    let server = restarted(server).await;
    held(&server, &host, job, "worse").await;

    assert!(halt::lift(&data_dir).expect("removed"));
    let server = restarted(server).await;
    let mut session = server.session(&host, epoch()).await.expect("a session");
    assert_eq!(session.welcome.halt.as_ref().map(|halt| halt.on), Some(false));
    assert!(matches!(session.next().await.expect("the order"), ToAgent::Order(_)));
}

/// The same server anew, over what it left.
async fn restarted(server: TestServer) -> TestServer {
    let TestServer { running, dir, .. } = server;
    assert!(running.shutdown(Duration::from_secs(20)).await, "it stopped softly");
    TestServer::start_in(dir, |_| {}).await
}

/// A host that comes is told of the halt and gets no order.
async fn held(server: &TestServer, host: &TestHost, job: JobId, why: &str) {
    let epoch = epoch();
    let mut session = server.session(host, epoch).await.expect("a session");
    let halt = session.welcome.halt.clone().expect("a word on the halt");
    assert!(halt.on && halt.reason.contains(why), "{halt:?}");
    let shared = &server.running.shared;
    shared.registry.nudge(host.id);
    session.reports(1, vec![failure("p", server.now())]).await;
    session.ack().await;
    let job = shared.db.job(job).await.expect("read").expect("there").job;
    assert_eq!((job.state, job.attempt), (JobState::Queued, 0), "nothing was offered");
}

#[tokio::test]
async fn a_freeze_holds_orders_back_at_the_server_and_says_so() {
    let server = TestServer::start().await;
    let (host, other) = (server.enrol().await, server.enrol().await);
    let mut session = server.session(&host, epoch()).await.expect("a session");
    let mut looks = server.session(&other, epoch()).await.expect("a session");
    for session in [&mut session, &mut looks] {
        session.reports(1, vec![failure("p", server.now())]).await;
        session.ack().await;
    }
    let shared = &server.running.shared;
    freeze(&server, "quarter end", ("site", "lab"), Duration::from_hours(1)).await;
    freeze(&server, "another site", ("site", "north"), Duration::from_hours(9)).await;
    // Nobody told the server: it looks for itself.
    for session in [&mut session, &mut looks] {
        while !matches!(session.next().await.expect("the freezes"), ToAgent::Freezes(_)) {}
    }
    eventually("both are seen", || async { shared.halt.freezes_at(server.now()).len() == 2 }).await;

    let job = order(&server, &host).await.expect("a job may be made");
    let standing = || async {
        let job = shared.db.job(job).await.expect("read").expect("there").job;
        (job.state, job.detail)
    };
    shared.registry.nudge(host.id);
    eventually("it says what holds it", || async { !standing().await.1.is_empty() }).await;
    let (state, detail) = standing().await;
    assert_eq!(state, JobState::Queued, "nothing is offered in a freeze");
    assert!(detail.starts_with("held back: a freeze until "), "{detail}");
    assert!(detail.ends_with(": quarter end"), "{detail}");

    // What only looks is no change: no freeze holds it, here nor at the agent.
    let look = order_with(&server, &other, |job| job.terms.task = Task::Verify).await;
    look.expect("a job may be made");
    shared.registry.nudge(other.id);
    while !matches!(looks.next().await.expect("the order"), ToAgent::Order(_)) {}

    server.clock.advance(Duration::from_hours(1));
    while !matches!(session.next().await.expect("the order"), ToAgent::Order(_)) {}
    assert_eq!(standing().await, (JobState::Offered, String::new()), "offered when it is over");
}

#[tokio::test]
async fn an_order_goes_out_ahead_of_its_window_and_never_after_the_last() {
    let server = TestServer::start().await;
    let (early, late) = (server.enrol().await, server.enrol().await);
    let mut first = server.session(&early, epoch()).await.expect("a session");
    let mut second = server.session(&late, epoch()).await.expect("a session");
    for session in [&mut first, &mut second] {
        session.reports(1, vec![failure("p", server.now())]).await;
        session.ack().await;
    }
    let hours = |n: u64| server.now().after(Duration::from_hours(n));
    let span = Interval { from: hours(2), until: hours(4) };
    let ahead = order_with(&server, &early, |job| job.terms.begin_in = vec![span]).await;
    let ahead = ahead.expect("a job");
    // Its agent keeps it for its window, without the server too.
    let ToAgent::Order(envelope) = first.next().await.expect("the order") else {
        panic!("no order");
    };
    let order = decode_order(&envelope.payload).expect("an order");
    assert_eq!((order.job, order.begin_in), (ahead, vec![span]));

    let ends = server.now();
    let over = Interval { from: ends.before(Duration::from_hours(2)), until: ends };
    let job = order_with(&server, &late, |job| job.terms.begin_in = vec![over]).await;
    let job = job.expect("a job");
    let shared = &server.running.shared;
    shared.registry.nudge(late.id);
    second.reports(2, vec![failure("p", server.now())]).await;
    second.ack().await;
    assert_eq!(shared.db.offer(job, server.now()).await.expect("asked"), None);
    let state = shared.db.job(job).await.expect("read").expect("there").job.state;
    assert_eq!(state, JobState::Queued, "no window is left for it");
}

#[tokio::test]
async fn a_certificate_whose_time_is_over_ends_the_live_stream() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    let mut session = server.session(&host, epoch()).await.expect("a session");
    server.clock.advance(limits::CERTIFICATE_LIFE + limits::CLOCK_SKEW + Duration::from_secs(1));
    let ended = session.end().await;
    assert_eq!(ended.code(), Code::PermissionDenied, "{ended:?}");
    assert!(ended.message().contains("expired"), "{ended:?}");
}

#[tokio::test]
async fn a_second_stream_takes_the_firsts_place() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    let mut older = server.session(&host, epoch()).await.expect("a session");
    let mut newer = server.session(&host, epoch()).await.expect("a session");
    assert_eq!(older.end().await.code(), Code::Aborted);
    newer.reports(1, vec![failure("p", server.now())]).await;
    assert_eq!(newer.ack().await.sequence, 1);
    assert!(server.running.shared.registry.is_connected(host.id));
}

#[tokio::test]
async fn a_stopping_server_ends_its_streams_and_loses_nothing() {
    let server = TestServer::start().await;
    let host = server.enrol().await;
    let mut session = server.session(&host, epoch()).await.expect("a session");
    session.reports(1, vec![failure("p", server.now())]).await;
    session.ack().await;
    let TestServer { running, dir, clock } = server;
    let readiness = running.shared.readiness.clone();
    assert!(readiness.is_ready());
    assert!(running.shutdown(Duration::from_secs(20)).await, "it stopped softly");
    assert!(!readiness.is_ready());
    assert!(matches!(session.end().await.code(), Code::Unavailable | Code::Ok));
    drop(clock);
    let url = format!("sqlite://{}", dir.path().join("data/fleetmend.db").display());
    let db = fleetmend_store::Db::connect(&url).await.expect("opened");
    let filter = ReportFilter { host: Some(host.id), ..ReportFilter::default() };
    assert_eq!(db.reports(&filter, &PageRequest::first(1)).await.expect("read").total, 1);
}

async fn set(server: &TestServer, host: &TestHost, to: Lifecycle) {
    let db = &server.running.shared.db;
    db.set_lifecycle(host.id, to, "test", "test", server.now()).await.expect("set");
}

/// A freeze from now on, for hosts with a label.
async fn freeze(server: &TestServer, name: &str, label: (&str, &str), for_so_long: Duration) {
    let now = server.now();
    let rule = FreezeRule {
        name: name.to_owned(),
        when: FreezeWhen::Once { from: now, until: now.after(for_so_long) },
        zone: "UTC".to_owned(),
        labels: Labels::from([(label.0.to_owned(), label.1.to_owned())]),
    };
    let id = entropy::id(FreezeId::at, &*server.clock);
    let new = NewFreeze { id, rule, reason: "test".to_owned() };
    server.running.shared.db.create_freeze(&new, "test", now).await.expect("made");
}

/// As an agent does: the chain from the welcome to the pinned root, for orders only, then the
/// signature.
fn verify(server: &TestServer, welcome: &v1::Welcome, envelope: &Envelope) {
    use sha2::Digest as _;
    let chain: Vec<rustls_pki_types::CertificateDer<'_>> =
        welcome.order_chain.iter().map(|der| der.as_slice().into()).collect();
    assert_eq!(envelope.key_id, hex::encode(sha2::Sha256::digest(&chain[0])));
    let root = server.running.shared.authority.root();
    let anchor = webpki::anchor_from_trusted_cert(root).expect("a root");
    let cert = webpki::EndEntityCert::try_from(&chain[0]).expect("a certificate");
    let seconds = u64::try_from(server.now().as_millis() / 1_000).expect("after 1970");
    let now = rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let usage = |oid| {
        cert.verify_for_usage(
            &[webpki::ring::ECDSA_P256_SHA256],
            std::slice::from_ref(&anchor),
            &chain[1..],
            now,
            webpki::KeyUsage::required(oid),
            None,
            None,
        )
        .map(|_| ())
    };
    usage(trust::ORDER_KEY_USAGE).expect("the chain holds for orders");
    usage(&[0x2b, 6, 1, 5, 5, 7, 3, 2]).expect_err("and for nothing else");
    let input = signing_input(&envelope.key_id, &envelope.payload);
    cert.verify_signature(webpki::ring::ED25519, &input, &envelope.signature).expect("signed");
}
