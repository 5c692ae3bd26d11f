//! Every named crash point, at least twice: the program ends there, comes back, and all is well.

use std::collections::BTreeMap;
use std::slice::from_ref;
use std::time::{Duration, Instant};

use fleetmend_faults::Point;
use fleetmend_tests::patient::{self, FINAL_WITHIN, Patient};
use fleetmend_tests::programs::Running;
use fleetmend_tests::server::{Database, Server};

use crate::ledger::Ledger;
use crate::plan;

/// How long a point may take to be met. An agent whose server died several times in a row waits half
/// a minute before it knocks again, and a second offer takes a second job: the next failure must come
/// in and be answered first. This only ends a test that hangs.
const MEET: Duration = Duration::from_mins(2);

/// Whether a point is the server's.
const fn is_of_server(point: Point) -> bool {
    match point {
        Point::IngestBeforeCommit
        | Point::IngestAfterCommit
        | Point::AckBeforeSend
        | Point::AckAfterSend
        | Point::OfferBeforeCommit
        | Point::OfferAfterCommit => true,
        Point::SpoolBeforeWrite
        | Point::SpoolAfterWrite
        | Point::SpoolAfterSync
        | Point::SpoolBeforeCommit
        | Point::SpoolAfterCommit
        | Point::JournalBeforePlan
        | Point::JournalPlanned
        | Point::JournalBeforeEntry
        | Point::JournalEntry
        | Point::JournalIntent
        | Point::JournalEffect
        | Point::JournalOutcome
        | Point::JournalReported
        | Point::JournalClosed => false,
    }
}

/// The points of one side, each as often as asked, in a random order, with the time of passing.
fn rounds(of_server: bool, times: u32, random: &mut fastrand::Rng) -> Vec<(Point, String)> {
    let points = Point::ALL.iter().filter(|p| is_of_server(**p) == of_server);
    let mut rounds: Vec<_> = points
        .flat_map(|point| (1..=times).map(move |time| (*point, time)))
        .map(|(point, time)| (point, format!("{}@{time}", point.name())))
        .collect();
    random.shuffle(&mut rounds);
    rounds
}

/// What was said by a program that ended at a point; the wrong things otherwise.
fn ended_there(printed: &str, point: Point) -> bool {
    printed.lines().any(|line| line == format!("crash point {}", point.name()))
}

fn points_of_the_server(test: &str, database: Database) {
    let mut random = plan::random(test);
    let times = plan::times("FLEETMEND_TORTURE_POINTS", 2);
    let mut server = Server::start_on(database);
    let Some(patient) = Patient::enrol(&server, "patient") else { return };
    let ledger = Ledger::open(&server, 3, random.u64(..));
    let _agent = patient.start(&[]);
    let api = server.api();
    let mut met: BTreeMap<&str, u32> = BTreeMap::new();
    let mut wrong = patient::cared_for(from_ref(&patient), &api, || {
        let mut wrong = Vec::new();
        for (point, place) in rounds(true, times, &mut random) {
            // It may be met before the server says that it serves.
            let _ = server.try_restart(&[("FLEETMEND_CRASH_AT", &place)]);
            let deadline = Instant::now() + MEET;
            while !server.has_ended() && Instant::now() < deadline {
                plan::pause(Duration::from_millis(10));
            }
            if server.has_ended() && ended_there(&server.printed(), point) {
                *met.entry(point.name()).or_default() += 1;
            } else {
                wrong.push(format!("the server did not end at {place} within {MEET:?}"));
            }
            server.restart(&[]);
            ledger.wait_progress(Duration::from_mins(1));
        }
        wrong.extend(ledger.drain(FINAL_WITHIN).err());
        wrong
    });
    wrong.extend(ledger.audit(&api));
    let (tally, more) = patient.verdict(&api);
    wrong.extend(more);
    plan::figure(test, &format!("ended at {met:?}; {} jobs: {:?}", tally.jobs(), tally.ends));
    plan::must_be_sound(&wrong);
}

#[test]
fn the_server_may_end_at_each_of_its_points_on_sqlite() {
    points_of_the_server("server_points_sqlite", Database::Sqlite);
}

#[test]
fn the_server_may_end_at_each_of_its_points_on_postgres() {
    plan::on_postgres(|database| points_of_the_server("server_points_postgres", database));
}

/// Starts the agent with each place in turn; gives how often each point was met.
fn crash(
    patient: &Patient,
    rounds: &[(Point, String)],
    wrong: &mut Vec<String>,
) -> (BTreeMap<&'static str, u32>, Running) {
    let mut met: BTreeMap<&str, u32> = BTreeMap::new();
    for (point, place) in rounds {
        let mut agent = patient.start(&[("FLEETMEND_CRASH_AT", place)]);
        let deadline = Instant::now() + MEET;
        while agent.ended().is_none() && Instant::now() < deadline {
            plan::pause(Duration::from_millis(10));
        }
        if agent.ended().is_some() && ended_there(&agent.printed(), *point) {
            *met.entry(point.name()).or_default() += 1;
        } else {
            let said = agent.printed();
            let tail: Vec<&str> = said.lines().rev().take(4).collect();
            wrong.push(format!("the agent did not end at {place} within {MEET:?}: {tail:?}"));
        }
        agent.kill_with_children();
    }
    (met, patient.start(&[]))
}

#[test]
fn agents_may_end_at_each_of_their_points() {
    const PATIENTS: u32 = 3;
    let test = "agent_points";
    let mut random = plan::random(test);
    let times = plan::times("FLEETMEND_TORTURE_POINTS", 2);
    let server = Server::start();
    let Some(patients) = Patient::enrol_many(&server, PATIENTS) else { return };
    let rounds = rounds(false, times, &mut random);
    let api = server.api();
    let crash_all = || {
        std::thread::scope(|scope| {
            let killers: Vec<_> = patients
                .iter()
                .zip(rounds.chunks(rounds.len().div_ceil(patients.len())))
                .map(|(patient, rounds)| {
                    scope.spawn(move || {
                        let mut wrong = Vec::new();
                        let (met, agent) = crash(patient, rounds, &mut wrong);
                        (met, agent, wrong)
                    })
                })
                .collect();
            let done = killers.into_iter().map(|k| k.join().expect("the killer does not panic"));
            done.collect::<Vec<_>>()
        })
    };
    let done = patient::cared_for(&patients, &api, crash_all);
    let (tally, mut wrong) = patient::verdicts(&patients, &api);
    let mut all: BTreeMap<&str, u32> = BTreeMap::new();
    for (met, _, more) in &done {
        wrong.extend(more.iter().cloned());
        for (point, times) in met {
            *all.entry(point).or_default() += times;
        }
    }
    plan::figure(test, &format!("ended at {all:?}; {} jobs: {:?}", tally.jobs(), tally.ends));
    plan::must_be_sound(&wrong);
}
