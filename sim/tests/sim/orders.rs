//! The experiment of orders: the same table for the same seed, and the order that evidence gives is
//! cheaper than that of articles and than chance, with weaker evidence too.

use fleetmend_sim::orders::{Experiment, Group, Order, Table};

const EXPERIMENT: Experiment =
    Experiment { hosts: 240, seed: 11, halved: false, unknown: 0, each: false };

async fn table(experiment: Experiment) -> Table {
    let folder = tempfile::tempdir().expect("a folder");
    let courses = experiment.courses(folder.path()).await.expect("all hosts treated");
    Table::of(&experiment, &courses)
}

/// Per fixed host: remediations and minutes, of the hosts fixed and of all; and the restarts of all.
fn costs(group: &Group, order: Order) -> [f64; 5] {
    let row = group.rows.iter().find(|r| r.order == order).expect("a row");
    [row.tries.0, row.minutes.0, row.tries_of_all, row.minutes_of_all, row.reboots_of_all]
}

fn is_cheaper(table: &Table) {
    for group in &table.groups {
        let evidence = costs(group, Order::Evidence);
        for order in [Order::Article, Order::Random] {
            // The articles tell of Windows alone.
            if !group.rows.iter().any(|r| r.order == order) {
                continue;
            }
            let other = costs(group, order);
            assert!(evidence[0] < other[0] && evidence[2] < other[2], "{order}:\n{table}");
            // On Linux each cause has one remediation: only the asking differs.
            if group.name.starts_with("Windows") {
                assert!(evidence[1] < other[1] && evidence[3] < other[3], "{order}:\n{table}");
            }
            // Where an agent can cure them, hosts restart as the truth asks: what is spared are restarts in
            // vain.
            if group.name.starts_with("all hosts, those too") {
                assert!(evidence[4] < other[4], "{order}:\n{table}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_needs_fewer_remediations_than_articles_and_chance() {
    let table = table(EXPERIMENT).await;
    is_cheaper(&table);
    insta::assert_snapshot!(table);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_still_does_with_half_the_weight_and_a_fifth_unknown() {
    let table = table(Experiment { halved: true, unknown: 20, ..EXPERIMENT }).await;
    is_cheaper(&table);
    insta::assert_snapshot!(table);
}
