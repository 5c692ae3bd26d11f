//! The contract of the store: what it promises, tried on every database that it supports.

mod access;
mod audit;
mod campaigns;
mod climbing;
mod concurrency;
mod exactly_once;
mod guided;
mod halt;
mod hosts;
mod incidents;
mod ingest;
mod jobs;
mod outage;
mod overdue;
mod parity;
mod passing;
mod retention;
mod speed;
mod speed_campaigns;
mod statements;
mod tokens;
mod transfer;
mod users;
mod views;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::host::{HostFacts, Labels, OsFamily};
use fleetmend_core::ids::{
    EnrollmentTokenId, EvidenceId, HostId, IncidentId, JobId, ReportId, SpoolEpoch,
};
use fleetmend_core::job::{JobState, JobUpdate};
use fleetmend_core::report::{
    FailureReport, IncidentKey, Kind, Operation, Product, Recovery, ReportedFailure, Source,
};
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::{SourceTime, Timestamp};
use fleetmend_core::token::TokenKind;
use fleetmend_tests::postgres::{Cluster, Database};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::backend::{run, transaction};

use crate::{
    Db, Enrolment, HostItems, Incident, IncidentFilter, IngestOutcome, JobTerms, NewCertificate,
    NewEnrollmentToken, NewJob, PageRequest, StoreError,
};

/// Declares tests that run on every database: `sqlite::name` and `postgres::name`.
macro_rules! contract {
    ($(async fn $name:ident($db:ident) $body:block)+) => {
        mod promises {
            use super::*;

            $(pub(super) async fn $name($db: &$crate::Db) $body)+
        }

        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let store = $crate::tests::Store::sqlite().await;
                super::promises::$name(&store.db).await;
                store.db.close().await;
            })+
        }

        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                let Some(store) = $crate::tests::Store::postgres().await else { return };
                super::promises::$name(&store.db).await;
                store.db.close().await;
            })+
        }
    };
}
pub(crate) use contract;

/// A database of one test.
pub(crate) struct Store {
    pub(crate) db: Db,
    _place: Place,
}

/// What goes with it.
#[expect(dead_code, reason = "held to be dropped")]
enum Place {
    Folder(tempfile::TempDir),
    Database(Database),
}

impl Store {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite://{}", folder.path().join("db").display());
        let db = Db::connect(&url).await.expect("opens");
        db.migrate().await.expect("migrates");
        Self { db, _place: Place::Folder(folder) }
    }

    /// `None` where there is no PostgreSQL.
    pub(crate) async fn postgres() -> Option<Self> {
        // The cluster's own programs are waited for.
        let made = std::thread::spawn(|| Cluster::shared().map(|cluster| migrated(&cluster)));
        let database = made.join().expect("a database")?;
        let db = Db::connect(&database.url()).await.expect("opens");
        Some(Self { db, _place: Place::Database(database) })
    }
}

/// A database with today's schema, copied from one that all tests with these migrations share.
pub(crate) fn migrated(cluster: &Cluster) -> Database {
    let migrations = sqlx::migrate!("../migrations/postgres");
    let mut sum = Sha256::new();
    for migration in migrations.iter() {
        sum.update(&migration.checksum);
    }
    let key = hex::encode(&sum.finalize()[..8]);
    cluster.database_like(&key, |url| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let db = Db::connect(url).await.expect("opens");
            db.migrate().await.expect("migrates");
            db.close().await;
        });
    })
}

/// Changes something behind the store's back.
pub(crate) async fn meddle(db: &Db, sql: &'static str) -> Result<u64, StoreError> {
    transaction!(db, |tx| { Ok(run!(tx, sqlx::query(sql))?) })
}

/// A moment of the tests' day, in minutes.
pub(crate) fn at(minutes: u64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000).after(Duration::from_mins(minutes))
}

/// A distinct UUID for a number.
pub(crate) fn id(n: u128) -> Uuid {
    Uuid::from_u128((0x0199_0000_0000_7000_8000 << 48) + n)
}

/// Ids that all differ.
pub(crate) fn random() -> impl FnMut() -> [u8; 10] + Send {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    || {
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        bytes
    }
}

pub(crate) fn facts(name: &str) -> HostFacts {
    HostFacts {
        name: name.to_owned(),
        os: OsFamily::Linux,
        os_name: "Debian GNU/Linux 12".to_owned(),
        os_build: "6.1.0-28-amd64".to_owned(),
        arch: "x86_64".to_owned(),
        agent_version: "0.1.0".to_owned(),
        boot_id: "boot".to_owned(),
        simulated: false,
    }
}

pub(crate) fn peer() -> IpAddr {
    Ipv4Addr::new(10, 1, 2, 3).into()
}

pub(crate) fn certificate(n: u128) -> NewCertificate {
    NewCertificate {
        serial: format!("{n:x}"),
        public_key: n.to_be_bytes().to_vec(),
        not_before: at(0),
        not_after: at(1_000),
    }
}

pub(crate) fn token(n: u128, kind: TokenKind, uses: u32) -> NewEnrollmentToken {
    NewEnrollmentToken {
        id: EnrollmentTokenId(id(n)),
        name: format!("token {n}"),
        kind,
        secret_hash: hash(n),
        uses,
        expires: at(1_000),
        labels: Labels::from([("site".to_owned(), "north".to_owned())]),
        networks: Vec::new(),
    }
}

pub(crate) fn hash(n: u128) -> [u8; 32] {
    let mut hash = [7; 32];
    hash[..16].copy_from_slice(&n.to_be_bytes());
    hash
}

pub(crate) fn enrolment(host: u128, token: u128) -> Enrolment {
    Enrolment {
        token_hash: hash(token),
        peer: peer(),
        host: HostId(id(host)),
        facts: facts(&format!("host-{host:03}")),
        certificate: certificate(host),
    }
}

/// Hosts 1 to `n`, active.
pub(crate) async fn hosts(db: &Db, n: u128) -> Vec<HostId> {
    let mut hosts = Vec::new();
    for host in 1..=n {
        let token = token(10_000 + host, TokenKind::OneUse, 1);
        db.create_enrollment_token(&token, "test", at(0)).await.expect("token");
        db.enrol(&enrolment(host, 10_000 + host), at(0)).await.expect("enrols");
        hosts.push(HostId(id(host)));
    }
    hosts
}

pub(crate) const EPOCH: SpoolEpoch = SpoolEpoch(Uuid::from_u128(1));

/// A failure with this code and subject.
pub(crate) fn failure(
    n: u128,
    code: &str,
    subject: Option<&str>,
    when: Timestamp,
) -> ReportedFailure {
    ReportedFailure {
        id: ReportId(id(n)),
        at: when,
        failure: FailureReport {
            product: Product::Apt,
            operation: Operation::Install,
            code: if code.is_empty() { None } else { Some(code.parse().expect("a code")) },
            symbol: None,
            kind: Kind::Failure,
            subject: subject.map(str::to_owned),
            time: SourceTime::utc(when),
            source: Source::Apt,
            provider: None,
            event_id: None,
            record_id: Some(7),
            line: Some(3),
            count: None,
            update_class: None,
            message: format!("failed, report {n}"),
        },
        evidence: Vec::new(),
    }
}

pub(crate) fn evidence(n: u128, probe: &str, answer: Answer, when: Timestamp) -> Evidence {
    Evidence {
        id: EvidenceId(id(n)),
        probe: probe.parse().expect("a probe"),
        subject: None,
        answer,
        proof: "seen".to_owned(),
        value: None,
        at: when,
    }
}

pub(crate) fn fails(failure: ReportedFailure) -> SpoolItem {
    SpoolItem::Failure(Box::new(failure))
}

pub(crate) fn recovers(code: Option<&str>, when: Timestamp) -> SpoolItem {
    SpoolItem::Recovery(Recovery {
        key: IncidentKey {
            product: Product::Apt,
            operation: Operation::Install,
            code: code.map(|c| c.parse().expect("a code")),
            subject: None,
        },
        at: when,
        message: "dpkg is clean".to_owned(),
    })
}

pub(crate) fn job_says(job: JobId, attempt: u32, state: JobState, when: Timestamp) -> SpoolItem {
    SpoolItem::Job(Box::new(JobUpdate {
        job,
        attempt,
        state,
        detail: format!("it is {state}"),
        step: None,
        evidence: Vec::new(),
        proof: None,
        at: when,
    }))
}

/// Sends items of one host, following what was sent before.
pub(crate) async fn send(
    db: &Db,
    host: HostId,
    items: impl IntoIterator<Item = SpoolItem>,
    now: Timestamp,
) -> IngestOutcome {
    let from = db.spool_position(host, EPOCH).await.expect("position") + 1;
    let items = (from..).zip(items).map(|(n, item)| (n, item.into())).collect();
    let batch = [HostItems { host, epoch: EPOCH, items }];
    let mut done = db.ingest(&batch, now, &mut random()).await.expect("ingests");
    done.outcomes.remove(0)
}

pub(crate) async fn incidents(db: &Db) -> Vec<Incident> {
    let all = db.incidents(&IncidentFilter::default(), &PageRequest::first(1_000)).await;
    all.expect("lists").items
}

pub(crate) fn job(n: u128, host: HostId, incident: IncidentId) -> NewJob {
    NewJob {
        id: JobId(id(n)),
        host,
        incident,
        cause: "apt.dpkg_interrupted".parse().expect("a slug"),
        remediation: "apt.configure".parse().expect("a slug"),
        version: 1,
        digest: "00".repeat(32),
        evidence: vec![EvidenceId(id(5))],
        steps_time: Duration::from_mins(10),
        verify_within: Duration::from_hours(24),
        not_before: at(0),
        expires: at(60),
        reason: "a test".to_owned(),
        terms: JobTerms::default(),
    }
}

/// A host with one open incident.
pub(crate) async fn broken_host(db: &Db) -> (HostId, IncidentId) {
    let host = hosts(db, 1).await[0];
    send(db, host, [fails(failure(100, "apt.dpkg_interrupted", None, at(1)))], at(1)).await;
    (host, incidents(db).await[0].id)
}
