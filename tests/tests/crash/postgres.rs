//! What can befall a Postgres under load: a crash, a switch to read-only, sessions that are ended,
//! a server that stands still. Errors come soon, nothing is acknowledged falsely, and nobody has to
//! help afterwards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fleetmend_tests::api::Api;
use fleetmend_tests::patient::{self, FINAL_WITHIN, Patient, RaisedAtEnd};
use fleetmend_tests::postgres::Cluster;
use fleetmend_tests::server::{Database, Server};

use crate::ledger::Ledger;
use crate::plan;

/// An answer, or an error, within this.
const ANSWER: Duration = Duration::from_secs(10);
/// What a busy machine may add.
const BUSY: Duration = Duration::from_secs(2);

/// What a caller of the server saw while it was troubled.
#[derive(Debug, Default)]
struct Watched {
    asked: u32,
    errors: u32,
    slowest: Duration,
    wrong: Vec<String>,
}

/// Asks without end: the server is alive, and each answer comes in time.
fn watch(api: &Api, stop: &AtomicBool) -> Watched {
    let mut seen = Watched::default();
    while !stop.load(Ordering::Relaxed) {
        match api.try_get("/livez") {
            Ok((200, _)) => {}
            other => seen.wrong.push(format!("/livez says {other:?}")),
        }
        let began = Instant::now();
        let answer = api.try_get("/api/v1/hosts");
        let took = began.elapsed();
        seen.asked += 1;
        seen.slowest = seen.slowest.max(took);
        match answer {
            Ok((200, _)) => {}
            Ok((503, body)) => {
                seen.errors += 1;
                if body["title"].as_str().is_none_or(str::is_empty) {
                    seen.wrong.push(format!("a 503 without problem details: {body}"));
                }
            }
            other => seen.wrong.push(format!("/api/v1/hosts says {other:?}")),
        }
        if took > ANSWER + BUSY {
            seen.wrong.push(format!("/api/v1/hosts took {took:?}"));
        }
        plan::pause(Duration::from_millis(100));
    }
    seen
}

/// Waits until `/readyz` gives this; how long that took.
fn ready(api: &Api, wanted: bool, within: Duration) -> Result<(Duration, String), String> {
    let began = Instant::now();
    loop {
        let said = api.try_get("/readyz");
        match &said {
            Ok((status, body)) if (*status == 200) == wanted => {
                return Ok((began.elapsed(), body.to_string()));
            }
            _ if began.elapsed() > within => {
                return Err(format!("/readyz is not {wanted} after {within:?}: {said:?}"));
            }
            _ => plan::pause(Duration::from_millis(100)),
        }
    }
}

#[test]
fn a_troubled_postgres_costs_errors_and_nothing_else() {
    let test = "postgres_faults";
    let mut random = plan::random(test);
    let rounds = plan::times("FLEETMEND_TORTURE_POSTGRES_ROUNDS", 1);
    let freeze = plan::span("FLEETMEND_TORTURE_FREEZE_S", 12);
    let Some(cluster) = Cluster::private() else { return };
    let database = cluster.database();
    let server = Server::start_on(Database::Postgres(database.url()));
    let ledger = Ledger::open(&server, 6, random.u64(..));
    let patient = Patient::enrol(&server, "patient");
    let _agent = patient.as_ref().map(|patient| patient.start(&[]));
    let (api, over) = (server.api(), AtomicBool::new(false));
    let (watched, mut wrong) = std::thread::scope(|scope| {
        let (api, over, ledger) = (&api, &over, &ledger);
        let watch = scope.spawn(|| watch(api, over));
        let at_the_end = RaisedAtEnd(over);
        let mut wrong = Vec::new();
        patient::cared_for(patient.as_slice(), api, || {
            for round in 0..rounds {
                let mut faults: [(&str, &dyn Fn() -> Option<Duration>); 4] = [
                    ("crash and restart", &|| {
                        cluster.stop_immediate();
                        let told = ready(api, false, ANSWER + BUSY);
                        cluster.start();
                        Some(told.ok()?.0)
                    }),
                    ("read-only", &|| {
                        cluster.set_read_only(true);
                        let told = ready(api, false, ANSWER + BUSY);
                        cluster.set_read_only(false);
                        Some(told.ok()?.0)
                    }),
                    ("sessions ended", &|| {
                        cluster.terminate_backends();
                        Some(Duration::ZERO)
                    }),
                    ("standstill", &|| {
                        let since = Instant::now();
                        cluster.pause();
                        let told = ready(api, false, ANSWER + BUSY);
                        plan::pause(freeze.saturating_sub(since.elapsed()));
                        cluster.resume();
                        Some(told.ok()?.0)
                    }),
                ];
                random.shuffle(&mut faults);
                for (name, fault) in faults {
                    ledger.wait_progress(Duration::from_mins(1));
                    plan::pause(Duration::from_millis(random.u64(0..1_000)));
                    let told = fault();
                    let back = ready(api, true, Duration::from_mins(1));
                    match (&told, &back) {
                        (Some(told), Ok((back, _))) => plan::figure(
                            test,
                            &format!(
                                "round {round}, {name}: /readyz told after {told:.1?}, well again {back:.1?} after its end"
                            ),
                        ),
                        (None, _) => {
                            wrong.push(format!("{name}: /readyz did not tell within {ANSWER:?}"));
                        }
                        (_, Err(why)) => wrong.push(format!("{name}: {why}")),
                    }
                }
            }
            wrong.extend(ledger.drain(FINAL_WITHIN).err());
        });
        drop(at_the_end);
        (watch.join().expect("the watch does not panic"), wrong)
    });
    wrong.extend(watched.wrong);
    wrong.extend(ledger.audit(&api));
    plan::figure(
        test,
        &format!(
            "{} answers, {} of them errors, the slowest after {:.1?}; {:?}",
            watched.asked,
            watched.errors,
            watched.slowest,
            ledger.sums()
        ),
    );
    if let Some(patient) = &patient {
        let (tally, more) = patient.verdict(&api);
        plan::figure(test, &format!("{} jobs meanwhile: {:?}", tally.jobs(), tally.ends));
        wrong.extend(more);
    }
    plan::must_be_sound(&wrong);
}
