//! `kill -9` of the server at random moments under load, on each database.

use std::time::{Duration, Instant};

use fleetmend_tests::patient::{self, FINAL_WITHIN, Patient};
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
    // Two real agents, so that jobs are under way.
    let patients = Patient::enrol_many(&server, 2).unwrap_or_default();
    let _agents: Vec<_> = patients.iter().map(|patient| patient.start(&[])).collect();
    let api = server.api();
    let began = Instant::now();
    let mut down = Duration::ZERO;
    let drained = patient::cared_for(&patients, &api, || {
        for _ in 0..kills {
            // Most kills meet a server that has just begun to commit, some one that just began to
            // listen, some one that has run for a while.
            match random.u8(0..10) {
                0..6 => {
                    ledger.wait_progress(Duration::from_mins(1));
                    plan::pause(Duration::from_millis(random.u64(0..60)));
                }
                6..8 => plan::pause(Duration::from_millis(random.u64(0..300))),
                _ => plan::pause(Duration::from_millis(random.u64(300..2_500))),
            }
            let killed = Instant::now();
            server.kill();
            server.restart(&[]);
            down += killed.elapsed();
        }
        ledger.drain(FINAL_WITHIN)
    });
    let (tally, mut wrong) = patient::verdicts(&patients, &api);
    wrong.extend(drained.err());
    wrong.extend(ledger.audit(&api));
    let sums = ledger.sums();
    plan::figure(
        test,
        &format!(
            "{kills} kills in {:.0?}, {:.0?} on average until it serves again; {} sessions, {} reports",
            began.elapsed(),
            down / kills.max(1),
            sums.sessions,
            sums.made,
        ),
    );
    plan::figure(test, &format!("{} jobs meanwhile: {:?}", tally.jobs(), tally.ends));
    plan::must_be_sound(&wrong);
}

#[test]
fn a_killed_server_on_sqlite_keeps_its_word() {
    kill_on("server_kills_sqlite", Database::Sqlite);
}

#[test]
fn a_killed_server_on_postgres_keeps_its_word() {
    plan::on_postgres(|database| kill_on("server_kills_postgres", database));
}
