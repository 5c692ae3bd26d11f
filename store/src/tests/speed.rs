//! Durable rows a second. Not a gate: run by hand with
//! `cargo test -p fleetmend-store --release -- --ignored --nocapture speed`.

use std::time::{Duration, Instant};

use fleetmend_tests::postgres::Cluster;

use super::{EPOCH, Store, at, fails, failure, hosts, migrated, random};
use crate::{Db, HostItems};

const HOSTS: u128 = 500;
const ROUNDS: u64 = 40;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn durable_reports_a_second() {
    let sqlite = measure("SQLite", &Store::sqlite().await.db).await;
    // A cluster that waits for its disk, as SQLite does here.
    let Some(cluster) = Cluster::private() else { return };
    let copy = cluster.clone();
    let made = std::thread::spawn(move || migrated(&copy));
    let database = made.join().expect("a database");
    let db = Db::connect(&database.url()).await.expect("opens");
    let postgres = measure("Postgres", &db).await;
    println!("Postgres / SQLite: {:.2}", postgres / sqlite);
}

async fn measure(name: &str, db: &Db) -> f64 {
    let all = hosts(db, HOSTS).await;
    let mut random = random();
    let (mut rows, mut slowest) = (0_u128, Duration::ZERO);
    let start = Instant::now();
    for round in 0..ROUNDS {
        // Two reports of every host, as group commit would gather them.
        let batch: Vec<HostItems> = all
            .iter()
            .map(|host| {
                let item = |k: u64| {
                    rows += 1;
                    (k, fails(failure(rows, "apt.lock_held", None, at(round))).into())
                };
                HostItems {
                    host: *host,
                    epoch: EPOCH,
                    items: (2 * round + 1..2 * round + 3).map(item).collect(),
                }
            })
            .collect();
        let began = Instant::now();
        db.ingest(&batch, at(60), &mut random).await.expect("ingests");
        slowest = slowest.max(began.elapsed());
    }
    let rate = f64::from(u32::try_from(rows).expect("small")) / start.elapsed().as_secs_f64();
    println!("{name}: {rows} reports, {rate:.0} a second, slowest commit of 1,000: {slowest:?}");
    db.close().await;
    rate
}
