//! `kill -9` of the server at random moments under load, on each database.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fleetmend_tests::patient::{FINAL_WITHIN, Patient, Tally};
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
    // Two real agents, so that jobs are under way.
    let patients: Vec<Patient> =
        (0..2).filter_map(|n| Patient::enrol(&server, &format!("patient-{n}"))).collect();
    let _agents: Vec<_> = patients.iter().map(|patient| patient.start(&[])).collect();
    let (api, stop) = (server.api(), AtomicBool::new(false));
    let began = Instant::now();
    let mut down = Duration::ZERO;
    let wrong = std::thread::scope(|scope| {
        // A test that fails in the middle must not wait for doctors who work on.
        let _at_the_end = Stop(&stop);
        let doctors: Vec<_> = patients
            .iter()
            .map(|patient| {
                let (api, stop) = (&api, &stop);
                scope.spawn(move || patient.care(api, stop))
            })
            .collect();
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
        let mut wrong: Vec<String> = ledger.drain(FINAL_WITHIN).err().into_iter().collect();
        stop.store(true, Ordering::Relaxed);
        for doctor in doctors {
            doctor.join().expect("the doctor does not panic");
        }
        wrong.extend(ledger.audit(&api));
        wrong
    });
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
    let mut wrong = wrong;
    let mut tally = Tally::default();
    for patient in &patients {
        let (one, more) = patient.verdict(&api);
        tally.add(&one);
        wrong.extend(more);
    }
    plan::figure(test, &format!("{} jobs meanwhile: {:?}", tally.jobs(), tally.ends));
    plan::must_be_sound(&wrong);
}

/// Lets the doctors stop, also when the test panics.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
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
