//! A database that cannot serve: every call says so within its time, and all is well when it is back.

use std::time::{Duration, Instant};

use fleetmend_core::ids::HostId;
use fleetmend_tests::postgres::{Cluster, Database, Options, PASSWORD};

use super::{Store, at, fails, failure, hosts, migrated, send};
use crate::backend::Backend;
use crate::error::said;
use crate::{Db, PoolSettings, StoreError};

/// What every call must have answered in: its ten seconds, and some for a busy machine.
const PATIENCE: Duration = Duration::from_secs(14);

/// A cluster to break, with a database that holds one host.
async fn private() -> Option<(Cluster, Database, Db, HostId)> {
    let made = std::thread::spawn(|| {
        let cluster = Cluster::private()?;
        let database = migrated(&cluster);
        Some((cluster, database))
    });
    let (cluster, database) = made.join().expect("a cluster")?;
    let settings = PoolSettings { max_connections: 4, ..PoolSettings::default() };
    let db = Db::connect_with(&database.url(), &settings).await.expect("opens");
    let host = hosts(&db, 1).await[0];
    Some((cluster, database, db, host))
}

fn unavailable<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    let error = result.expect_err("must fail");
    assert!(error.is_unavailable(), "{}", said(&error));
    said(&error)
}

/// Sets the writer of SQLite so.
async fn pragma(db: &Db, sql: &'static str) {
    let Backend::Sqlite { write, .. } = &db.backend else { panic!("SQLite") };
    sqlx::query(sql).execute(write).await.expect("set");
}

/// A write and a read that work.
async fn works(db: &Db, host: HostId) {
    db.save_facts(host, &super::facts("host-001"), at(2)).await.expect("writes");
    assert!(db.host(host).await.expect("reads").is_some());
    db.ping().await.expect("is well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_crashes_is_unavailable_until_it_is_back() {
    let Some((cluster, database, db, host)) = private().await else { return };
    cluster.stop_immediate();
    unavailable(Db::connect(&database.url()).await);
    let start = Instant::now();
    unavailable(db.ping().await);
    unavailable(db.host(host).await);
    unavailable(db.save_facts(host, &super::facts("x"), at(2)).await);
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    cluster.start();
    works(&db, host).await;
    cluster.restart_immediate();
    // A connection that died unseen is not handed out.
    works(&db, host).await;
    cluster.terminate_backends();
    works(&db, host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_freezes_holds_nobody_up_and_costs_no_connection() {
    let Some((cluster, _database, db, host)) = private().await else { return };
    works(&db, host).await;
    cluster.pause();
    let start = Instant::now();
    let calls: Vec<_> = (0..30)
        .map(|n| {
            let db = db.clone();
            tokio::spawn(async move {
                if n % 2 == 0 {
                    db.host(host).await.map(drop)
                } else {
                    db.save_facts(host, &super::facts("x"), at(2)).await
                }
            })
        })
        .collect();
    for call in calls {
        unavailable(call.await.expect("runs"));
    }
    unavailable(db.ping().await);
    assert!(start.elapsed() < 2 * PATIENCE, "{:?}", start.elapsed());
    cluster.resume();
    works(&db, host).await;
    // As many at once as there are connections: none was lost.
    let calls: Vec<_> = (0..12)
        .map(|_| {
            let db = db.clone();
            tokio::spawn(async move { db.host(host).await })
        })
        .collect();
    for call in calls {
        call.await.expect("runs").expect("reads");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_is_read_only_can_be_read_and_says_so() {
    let Some((cluster, _database, db, host)) = private().await else { return };
    cluster.set_read_only(true);
    let said = unavailable(db.ping().await);
    assert!(said.contains("read-only"), "{said}");
    unavailable(db.save_facts(host, &super::facts("x"), at(2)).await);
    assert!(db.host(host).await.expect("reads").is_some());
    cluster.set_read_only(false);
    works(&db, host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_somebody_holds_is_waited_for_within_bounds() {
    let Some((_cluster, database, db, host)) = private().await else { return };
    let holder = Db::connect(&database.url()).await.expect("opens");
    let mut tx = holder.begin().await.expect("begins");
    tx.hold_hosts([host]).await.expect("holds");
    let start = Instant::now();
    let said = unavailable(db.save_facts(host, &super::facts("x"), at(2)).await);
    assert!(said.contains("held for too long"), "{said}");
    assert!(start.elapsed() < PATIENCE);
    tx.finish(Ok::<_, StoreError>(())).await.expect("lets go");
    works(&db, host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_secured_and_no_error_tells_the_password() {
    let made = std::thread::spawn(|| {
        let cluster = Cluster::private_with(Options { tls: true, ..Options::default() })?;
        Some(cluster.database())
    });
    let Some(database) = made.join().expect("a cluster") else { return };
    let url = database.url();
    let db = Db::connect(&url).await.expect("opens");
    db.migrate().await.expect("migrates");
    db.ping().await.expect("is well");
    assert!(!format!("{db:?}").contains(PASSWORD));
    let ca = url.split_once("sslrootcert=").expect("names its root").1.to_owned();
    for (bad, why) in [
        (url.replace("verify-full", "disable"), "pg_hba"),
        (url.replace(&ca, "/etc/ssl/certs/no-such.pem"), ""),
        (url.replace(PASSWORD, "wrong-word"), "password"),
        (format!("{url}&pasword={PASSWORD}"), "unknown parameter"),
    ] {
        let error = Db::connect(&bad).await.expect_err("must be refused");
        assert!(matches!(error, StoreError::Open { .. }), "{error}");
        let said = format!("{} {error:?}", said(&error));
        assert!(said.contains(why), "{said}");
        assert!(!said.contains(PASSWORD) && !said.contains("wrong-word"), "{said}");
    }
}

#[tokio::test]
async fn an_sqlite_that_is_full_or_read_only_is_unavailable() {
    let store = Store::sqlite().await;
    let host = hosts(&store.db, 1).await[0];
    pragma(&store.db, "PRAGMA query_only = ON").await;
    let said = unavailable(store.db.save_facts(host, &super::facts("x"), at(2)).await);
    assert!(said.contains("read-only"), "{said}");
    pragma(&store.db, "PRAGMA query_only = OFF").await;
    // Not a page more than there are.
    pragma(&store.db, "PRAGMA max_page_count = 1").await;
    let items = (0..400).map(|n| fails(failure(n, "apt.lock_held", Some(&"x".repeat(500)), at(1))));
    let batch = [crate::HostItems {
        host,
        epoch: super::EPOCH,
        items: (1..).zip(items).map(|(n, item)| (n, item.into())).collect(),
    }];
    let full = store.db.ingest(&batch, at(2), &mut super::random()).await;
    let said = unavailable(full.map(drop));
    assert!(said.contains("full"), "{said}");
    assert_eq!(store.db.spool_position(host, super::EPOCH).await.expect("reads"), 0);
    pragma(&store.db, "PRAGMA max_page_count = 1000000").await;
    let sent =
        send(&store.db, host, [fails(failure(1, "apt.lock_held", None, at(1)))], at(3)).await;
    assert_eq!((sent.applied, sent.quarantined), (1, 0));
}
