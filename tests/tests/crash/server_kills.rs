//! `kill -9` of the server at random moments under load, on each database.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fleetmend_tests::patient::{FINAL_WITHIN, Patient};
use fleetmend_tests::postgres::Cluster;
use fleetmend_tests::server::{Database, Server};

use crate::ledger::Ledger;
use crate::plan;

/// Hosts of the ledger.
const HOSTS: u32 = 6;

fn kill_on(test: &str, database: Database) {
    let mut random = plan::random(test);
    let kills = plan::times("FLEETMEND_TORTURE_SERVER_KILLS", 100);
    let mut server = Server::start_on(database);
    let ledger = Ledger::open(&server, HOSTS, random.u64(..));
    let patient = Patient::enrol(&server, "patient");
    let _agent = patient.as_ref().map(|patient| patient.start(&[]));
    let (api, stop) = (server.api(), AtomicBool::new(false));
    let began = Instant::now();
    let mut down = Duration::ZERO;
    let wrong = std::thread::scope(|scope| {
        let care = patient.as_ref().map(|patient| {
            let (api, stop) = (&api, &stop);
            scope.spawn(move || patient.care(api, stop))
        });
        for _ in 0..kills {
            // Most kills meet a server that has just begun to commit, some one that just began to
            // listen, some one that has run for a while.
            match random.u8(0..10) {
                0..6 => {
                    ledger.wait_progress(Duration::from_secs(30));
                    plan::pause(Duration::from_millis(random.u64(0..60)));
                }
                6..9 => plan::pause(Duration::from_millis(random.u64(0..300))),
                _ => plan::pause(Duration::from_millis(random.u64(300..2_000))),
            }
            let killed = Instant::now();
            server.kill();
            server.restart(&[]);
            down += killed.elapsed();
        }
        let mut wrong: Vec<String> = ledger.drain(FINAL_WITHIN).err().into_iter().collect();
        stop.store(true, Ordering::Relaxed);
        if let Some(care) = care {
            care.join().expect("the doctor does not panic");
        }
        wrong.extend(ledger.audit(&api));
        wrong
    });
    let sums = ledger.sums();
    plan::figure(
        test,
        &format!(
            "{kills} kills in {:.0?}, {:.0?} on average until it serves again; {} sessions, {} reports, all acknowledged and there once",
            began.elapsed(),
            down / kills.max(1),
            sums.sessions,
            sums.made,
        ),
    );
    let mut wrong = wrong;
    if let Some(patient) = &patient {
        let (tally, more) = patient.verdict(&api);
        plan::figure(test, &format!("{} jobs meanwhile: {:?}", tally.jobs(), tally.ends));
        wrong.extend(more);
    }
    plan::must_be_sound(&wrong);
}

#[test]
fn a_killed_server_on_sqlite_keeps_its_word() {
    kill_on("server_kills_sqlite", Database::Sqlite);
}

#[test]
fn a_killed_server_on_postgres_keeps_its_word() {
    let Some(cluster) = Cluster::private() else { return };
    let database = cluster.database();
    kill_on("server_kills_postgres", Database::Postgres(database.url()));
}
