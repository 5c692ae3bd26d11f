//! The tasks on a real database: what they leave behind, and that doing it twice changes nothing.

use std::sync::Arc;
use std::time::Duration;

use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::host::{HostFacts, Labels, Lifecycle, OsFamily};
use fleetmend_core::ids::{EnrollmentTokenId, EvidenceId, HostId, ReportId, SpoolEpoch};
use fleetmend_core::limits;
use fleetmend_core::report::{FailureReport, Kind, Operation, Product, ReportedFailure, Source};
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::{Clock as _, ManualClock, SourceTime, Timestamp};
use fleetmend_core::token::TokenKind;
use fleetmend_core::update_class::UpdateClass;
use fleetmend_store::{
    Db, Enrolment, HostItems, IncidentFilter, NewCertificate, NewEnrollmentToken, PageRequest,
};
use uuid::Uuid;

use super::{Deadlines, Overdue, Retention, Triage};
use crate::background::{BackgroundTask as _, Outcome};
use crate::events::{Event, Events};

struct Fleet {
    db: Db,
    clock: Arc<ManualClock>,
    host: HostId,
    _folder: tempfile::TempDir,
}

/// A fleet of one host.
async fn fleet() -> Fleet {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("db").display());
    let db = Db::connect(&url).await.expect("opens");
    db.migrate().await.expect("migrates");
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_790_000_000_000)));
    let (now, host) = (clock.now(), HostId(Uuid::from_u128(1)));
    let token = NewEnrollmentToken {
        id: EnrollmentTokenId(Uuid::from_u128(2)),
        name: "t".to_owned(),
        kind: TokenKind::OneUse,
        secret_hash: [1; 32],
        uses: 1,
        expires: now.after(Duration::from_hours(1)),
        labels: Labels::new(),
        networks: Vec::new(),
    };
    db.create_enrollment_token(&token, "test", now).await.expect("token");
    let facts = HostFacts {
        name: "host".to_owned(),
        os: OsFamily::Linux,
        os_name: "Debian GNU/Linux 12".to_owned(),
        os_build: "6.1".to_owned(),
        arch: "x86_64".to_owned(),
        agent_version: "0.1.0".to_owned(),
        boot_id: "b".to_owned(),
        simulated: false,
    };
    let certificate = NewCertificate {
        serial: "01".to_owned(),
        public_key: vec![1],
        not_before: now,
        not_after: now.after(Duration::from_hours(1)),
    };
    let peer = std::net::Ipv4Addr::LOCALHOST.into();
    let enrolment = Enrolment { token_hash: [1; 32], peer, host, facts, certificate };
    db.enrol(&enrolment, now).await.expect("enrols");
    Fleet { db, clock, host, _folder: folder }
}

impl Fleet {
    async fn send(&self, sequence: u64, item: SpoolItem) {
        let epoch = SpoolEpoch(Uuid::from_u128(9));
        let batch = [HostItems { host: self.host, epoch, items: vec![(sequence, item.into())] }];
        let mut random = || sequence.to_be_bytes().repeat(2)[..10].try_into().expect("ten");
        self.db.ingest(&batch, self.clock.now(), &mut random).await.expect("ingests");
    }

    async fn fail(&self) {
        let at = self.clock.now();
        let failure = FailureReport {
            product: Product::Apt,
            operation: Operation::Install,
            code: Some("apt.dpkg_interrupted".parse().expect("a code")),
            symbol: None,
            kind: Kind::Failure,
            subject: None,
            time: SourceTime::utc(at),
            source: Source::Dpkg,
            provider: None,
            event_id: None,
            record_id: None,
            line: None,
            count: None,
            update_class: None,
            message: "dpkg was interrupted".to_owned(),
        };
        let id = ReportId(Uuid::from_u128(3));
        let report = ReportedFailure { id, at, failure, evidence: Vec::new() };
        self.send(1, SpoolItem::Failure(Box::new(report))).await;
    }
}

#[tokio::test]
async fn an_incident_gets_its_verdict_once_and_again_with_new_evidence() {
    let fleet = fleet().await;
    fleet.fail().await;
    let events = Events::default();
    let mut heard = events.listen();
    let mut task =
        Triage::new(fleet.db.clone(), fleetmend_catalog::builtin(), fleet.clock.clone(), events);
    let first = task.activate().await;
    assert_eq!((first.outcome, first.acted), (Outcome::Done, 1));
    assert!(matches!(heard.try_recv(), Ok(Event::Incident { id: Some(_) })));
    assert_eq!(task.activate().await.acted, 0, "idempotent");

    let of_all = IncidentFilter::default();
    let page = fleet.db.incidents(&of_all, &PageRequest::default()).await.expect("lists");
    let verdict = page.items[0].verdict.clone().expect("there is a verdict");
    let sum: f64 = verdict.causes.iter().map(|c| c.share).sum();
    assert!((sum - 1.0).abs() < 1e-6 && verdict.causes.iter().any(|c| c.cause.is_none()));

    let evidence = Evidence {
        id: EvidenceId(Uuid::from_u128(4)),
        probe: "apt.dpkg_interrupted".parse().expect("a slug"),
        subject: None,
        answer: Answer::Yes,
        proof: "3 files".to_owned(),
        value: None,
        at: fleet.clock.now(),
    };
    fleet.send(2, SpoolItem::Evidence(vec![evidence])).await;
    assert_eq!(task.activate().await.acted, 1, "new evidence, new verdict");
}

#[tokio::test]
async fn a_job_that_did_not_cure_goes_on_by_fresh_evidence_or_hands_over_to_people() {
    use fleetmend_core::ids::JobId;
    use fleetmend_core::job::{JobState, JobUpdate};
    use fleetmend_core::knowledge::Risk;
    use fleetmend_core::limits::TRIES;
    use fleetmend_store::{GuidedFilter, JobTerms, NewJob};

    let fleet = fleet().await;
    fleet.fail().await;
    let (db, now) = (&fleet.db, fleet.clock.now());
    let incident = db.incidents(&IncidentFilter::default(), &PageRequest::default()).await;
    let incident = incident.expect("lists").items[0].id;
    let case = crate::orders::Case::read(db, fleetmend_catalog::builtin(), incident).await;
    let case = case.expect("reads").expect("is there");
    let bounds = crate::orders::Bounds {
        named: Some("apt.configure_pending"),
        max_risk: Risk::Disruptive,
        reboot: fleetmend_core::campaign::RebootPolicy::Anytime,
        approved: false,
    };
    let chosen = case.choose(&bounds).expect("it fits");
    let new = NewJob {
        id: JobId(Uuid::from_u128(50)),
        host: fleet.host,
        incident,
        cause: chosen.step.cause,
        remediation: chosen.step.remediation,
        version: chosen.step.version,
        digest: chosen.digest,
        evidence: chosen.evidence,
        steps_time: chosen.steps_time,
        verify_within: limits::VERIFY_WITHIN,
        not_before: now,
        expires: now.after(limits::ORDER_LIFE),
        reason: "test".to_owned(),
        terms: JobTerms {
            climbs: true,
            max_risk: Risk::Disruptive,
            known: chosen.known,
            own_probe: chosen.own_probe,
            ..JobTerms::default()
        },
    };
    let job = db.create_job(&new, "test", now).await.expect("made").id;
    let (events, registry, nudges) = (Events::default(), Arc::default(), Arc::default());
    let (clock, catalogue) = (fleet.clock.clone(), fleetmend_catalog::builtin());
    let mut task = super::Climb::new(db.clone(), catalogue, clock, events, registry, nudges);
    assert_eq!(task.activate().await.acted, 0, "nothing waits");
    let mut done = Vec::new();
    for attempt in 1..=TRIES {
        let at = fleet.clock.now();
        let Some(order) = db.offer(job, at).await.expect("offers") else { break };
        assert_eq!(order.attempt, attempt);
        done.push(order.remediation.to_string());
        let failed = JobUpdate {
            job,
            attempt,
            state: JobState::Failed,
            detail: "exit 1".to_owned(),
            step: None,
            evidence: Vec::new(),
            proof: None,
            at,
        };
        fleet.send(u64::from(attempt) + 1, SpoolItem::Job(Box::new(failed))).await;
        task.activate().await;
        fleet.clock.advance(Duration::from_mins(1));
    }
    let over = db.job(job).await.expect("reads").expect("is there").job;
    assert_eq!(over.state, JobState::Failed, "{over:?}");
    let mut all = done.clone();
    all.dedup();
    assert_eq!((done[0].as_str(), &all), ("apt.configure_pending", &done), "none twice");
    assert!(over.detail.contains("nothing more is tried"), "{}", over.detail);
    let asked = db.guided_tasks(&GuidedFilter::default(), &PageRequest::default()).await;
    assert_eq!(asked.expect("lists").items.len(), 1, "people are asked: {}", over.detail);
    assert_eq!(task.activate().await.acted, 0, "idempotent");
}

#[tokio::test]
async fn the_kind_of_update_decides_what_is_behind_a_code() {
    let fleet = fleet().await;
    let at = fleet.clock.now();
    for (n, subject, class, cause) in [
        (1, "KB5034441", Some(UpdateClass::Winre), "winre_partition_small"),
        (2, "KB5033909", Some(UpdateClass::Dotnet), "dotnet_corrupt"),
        (3, "KB2267602", Some(UpdateClass::Definition), "av_blocking"),
        (4, "KB5020683", None, "installer_failed"),
    ] {
        let failure = FailureReport {
            product: Product::WindowsUpdate,
            operation: Operation::Install,
            code: Some("0x80070643".parse().expect("a code")),
            symbol: None,
            kind: Kind::Failure,
            subject: Some(subject.to_owned()),
            time: SourceTime::utc(at),
            source: Source::Evtx,
            provider: None,
            event_id: Some(20),
            record_id: Some(n),
            line: None,
            count: None,
            update_class: class,
            message: String::new(),
        };
        let report = ReportedFailure {
            id: ReportId(Uuid::from_u128(u128::from(n) + 100)),
            at,
            failure,
            evidence: Vec::new(),
        };
        fleet.send(n, SpoolItem::Failure(Box::new(report))).await;
        let (db, clock) = (fleet.db.clone(), fleet.clock.clone());
        let mut task = Triage::new(db, fleetmend_catalog::builtin(), clock, Events::default());
        task.activate().await;
        let about =
            IncidentFilter { subject: Some(subject.to_owned()), ..IncidentFilter::default() };
        let page = fleet.db.incidents(&about, &PageRequest::default()).await.expect("lists");
        let verdict = page.items[0].verdict.clone().expect("judged");
        let first = verdict.causes[0].cause.as_ref().map(fleetmend_core::words::Slug::as_str);
        assert_eq!(first, Some(cause), "{subject}");
    }
}

#[tokio::test]
async fn a_silent_host_grows_stale_once() {
    let fleet = fleet().await;
    let mut task = Deadlines::new(fleet.db.clone(), fleet.clock.clone(), Events::default());
    fleet.clock.advance(limits::SILENT_AFTER);
    assert_eq!(task.activate().await.acted, 0, "not before its time");
    fleet.clock.advance(Duration::from_secs(1));
    assert_eq!(task.activate().await.acted, 1);
    assert_eq!(task.activate().await.acted, 0, "idempotent");
    let host = fleet.db.host(fleet.host).await.expect("reads").expect("is there");
    assert_eq!(host.lifecycle, Lifecycle::Stale);
}

#[tokio::test]
async fn old_reports_go_and_what_still_stands_stays() {
    let fleet = fleet().await;
    fleet.fail().await;
    let keep = crate::config::Retention::default().keep();
    let mut task = Retention::new(fleet.db.clone(), fleet.clock.clone(), keep);
    for _ in 0..3 {
        assert_eq!(task.activate().await.acted, 0);
        fleet.clock.advance(Duration::from_hours(24 * 30));
    }
    assert_eq!(task.activate().await.acted, 0, "the ninetieth day before is kept");
    fleet.clock.advance(Duration::from_hours(24));
    let status = task.activate().await;
    assert_eq!((status.outcome, status.acted), (Outcome::Done, 1));
    assert_eq!(task.activate().await.acted, 0, "idempotent");
    let page = PageRequest::default();
    let reports = fleet.db.reports(&fleetmend_store::ReportFilter::default(), &page).await;
    assert!(reports.expect("reads").items.is_empty());
    let incidents = fleet.db.incidents(&IncidentFilter::default(), &page).await.expect("lists");
    assert_eq!((incidents.items.len(), incidents.items[0].reports), (1, 1), "it stands");
}

#[tokio::test]
async fn a_clock_that_jumps_years_ahead_drops_nothing_until_it_is_believed() {
    let fleet = fleet().await;
    fleet.fail().await;
    let keep = crate::config::Retention::default().keep();
    let mut task = Retention::new(fleet.db.clone(), fleet.clock.clone(), keep);
    let right = fleet.clock.now();
    assert_eq!(task.activate().await.outcome, Outcome::Done);
    fleet.clock.advance(Duration::from_hours(24 * 365 * 3));
    for _ in 0..2 {
        let Outcome::Failed(why) = task.activate().await.outcome else { panic!("it dropped") };
        assert!(why.contains("nothing is dropped") && why.contains("clock believe"), "{why}");
    }
    fleet.clock.set(right);
    assert_eq!(task.activate().await, crate::background::Status::done(0), "back, and well");
    fleet.clock.advance(Duration::from_hours(24 * 365 * 3));
    fleet.db.believe_clock("test", fleet.clock.now()).await.expect("believes");
    assert!(task.activate().await.acted > 0, "somebody said that it is right");
}

#[tokio::test]
async fn a_task_whose_database_is_gone_says_so() {
    let fleet = fleet().await;
    fleet.db.close().await;
    let mut task = Deadlines::new(fleet.db.clone(), fleet.clock.clone(), Events::default());
    assert!(matches!(task.activate().await.outcome, Outcome::Away(why) if !why.is_empty()));
}

#[tokio::test]
async fn what_is_overdue_opens_and_ends_and_a_change_of_the_thresholds_counts_at_once() {
    use fleetmend_core::host::HostState;
    use fleetmend_core::overdue::{Limit, OverdueRules};

    let fleet = fleet().await;
    let events = Events::default();
    let mut heard = events.listen();
    let nudges = Arc::new(crate::background::Nudges::default());
    let task = |rules| {
        let (db, clock) = (fleet.db.clone(), fleet.clock.clone());
        Overdue::new(db, clock, events.clone(), nudges.clone(), rules)
    };
    let mut usual = task(OverdueRules::default());
    let well = |at| HostState {
        last_scan: Some(at),
        last_backup: Some(at),
        at: Some(at),
        ..HostState::default()
    };
    let tell = async || {
        let now = fleet.clock.now();
        fleet.db.save_state(fleet.host, &well(now), now).await.expect("saves");
        fleet.db.touch_hosts(&[(fleet.host, now)]).await.expect("touches");
    };
    tell().await;
    assert_eq!(usual.activate().await.acted, 0);
    fleet.clock.advance(Duration::from_hours(24 * 3));
    assert_eq!(usual.activate().await.acted, 1, "nothing was heard of it for three days");
    assert!(matches!(heard.try_recv(), Ok(Event::Incident { id: Some(_) })));
    assert_eq!(usual.activate().await.acted, 0, "idempotent");
    tell().await;
    assert_eq!(usual.activate().await.acted, 1, "it is back");

    let mut strict = OverdueRules::default();
    fleet.clock.advance(Duration::from_hours(2));
    strict.usual.scan = Limit::After("1h".parse().expect("a span"));
    let mut strict = task(strict);
    assert_eq!(strict.activate().await.acted, 0, "hosts come back first after a start");
    fleet.clock.advance(fleetmend_core::limits::SILENT_AFTER);
    assert_eq!(strict.activate().await.acted, 1, "by the new threshold, at once");
}
