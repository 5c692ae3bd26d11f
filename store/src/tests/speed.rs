//! Durable rows a second. Not a gate: run by hand with
//! `cargo test -p fleetmend-store --release -- --ignored --nocapture speed`.

use std::time::Instant;

use super::random;
use super::{EPOCH, Store, at, fails, failure, hosts};
use crate::HostItems;

#[tokio::test]
#[ignore = "a measurement"]
async fn durable_reports_a_second() {
    const HOSTS: u128 = 500;
    const ROUNDS: u64 = 40;
    let store = Store::sqlite().await;
    let all = hosts(&store.db, HOSTS).await;
    let mut random = random();
    let (mut rows, mut slowest) = (0_u128, std::time::Duration::ZERO);
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
        store.db.ingest(&batch, at(60), &mut random).await.expect("ingests");
        slowest = slowest.max(began.elapsed());
    }
    let rate = f64::from(u32::try_from(rows).expect("small")) / start.elapsed().as_secs_f64();
    println!("{rows} reports, {rate:.0} a second, slowest commit of 1,000: {slowest:?}");
}
