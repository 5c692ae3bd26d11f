//! Whatever is sent again, cut short or sent out of order: each item is stored once, in order.

use proptest::prelude::*;

use super::random;
use super::{EPOCH, Store, at, fails, failure, hosts, incidents};
use crate::{HostItems, PageRequest, ReportFilter};

/// A message: from which item, how many; taken from `0..ITEMS`.
const ITEMS: u64 = 30;

fn messages() -> impl Strategy<Value = Vec<Vec<(u8, u64, u64)>>> {
    let message = (0_u8..2, 0..ITEMS, 1_u64..8);
    prop::collection::vec(prop::collection::vec(message, 1..5), 1..20)
}

async fn check(store: &Store, batches: &[Vec<(u8, u64, u64)>]) {
    let all = hosts(&store.db, 2).await;
    let mut acknowledged = [0_u64; 2];
    let mut applied = [0_u64; 2];
    // What is left at the end is sent in order, as an agent would.
    let rest = [vec![(0, 0, ITEMS), (1, 0, ITEMS)]];
    for messages in batches.iter().chain(&rest) {
        let batch: Vec<HostItems> = messages
            .iter()
            .map(|(host, from, n)| {
                let host = usize::from(*host);
                let item = |k: u64| {
                    let report = u128::from(k) + 100 * (host as u128 + 1);
                    (k + 1, fails(failure(report, "apt.lock_held", None, at(k))).into())
                };
                let items = (*from..(from + n).min(ITEMS)).map(item).collect();
                HostItems { host: all[host], epoch: EPOCH, items }
            })
            .collect();
        let done = store.db.ingest(&batch, at(60), &mut random()).await.expect("ingests");
        for ((host, ..), outcome) in messages.iter().zip(&done.outcomes) {
            let host = usize::from(*host);
            assert!(outcome.acknowledged >= acknowledged[host], "never backwards");
            acknowledged[host] = outcome.acknowledged;
            applied[host] += outcome.applied;
            assert_eq!(applied[host], acknowledged[host], "no holes, no repeats");
        }
    }
    assert_eq!(acknowledged, [ITEMS; 2]);
    let all = store.db.reports(&ReportFilter::default(), &PageRequest::default()).await;
    assert_eq!(all.expect("lists").total, 2 * ITEMS);
    assert!(incidents(&store.db).await.iter().all(|i| i.reports == ITEMS));
    assert_eq!(store.db.quarantine_count().await.expect("counts"), 0);
    store.db.close().await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn each_item_is_applied_exactly_once_on_sqlite(batches in messages()) {
        runtime().block_on(async { check(&Store::sqlite().await, &batches).await });
    }
}

proptest! {
    // A database each.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn each_item_is_applied_exactly_once_on_postgres(batches in messages()) {
        runtime().block_on(async {
            if let Some(store) = Store::postgres().await {
                check(&store, &batches).await;
            }
        });
    }
}
