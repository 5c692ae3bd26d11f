//! `kill -9` of real agents at random moments, in the midst of jobs and of writing their spools, with
//! a restart of the machine now and then.

use std::time::{Duration, Instant};

use fleetmend_tests::patient::{self, Patient};
use fleetmend_tests::programs::Running;
use fleetmend_tests::server::Server;

use crate::plan;

/// Agents that are killed side by side.
const PATIENTS: u32 = 4;

/// One killer's work: ends the agent `kills` times, and leaves it running.
fn kill(patient: &Patient, kills: u32, random: &mut fastrand::Rng) -> Running {
    let mut agent = patient.start(&[]);
    for _ in 0..kills {
        // Half of the kills are aimed at a step's work, where one comes.
        if random.bool() {
            patient.next_step(Duration::from_millis(1_500));
            plan::pause(Duration::from_millis(random.u64(0..200)));
        } else {
            plan::pause(Duration::from_millis(random.u64(50..1_200)));
        }
        agent.kill_with_children();
        // Every eighth kill is a power cut.
        if random.u8(0..8) == 0 {
            patient.root.reboot();
        }
        agent = patient.start(&[]);
    }
    agent
}

#[test]
fn killed_agents_lose_nothing_and_do_nothing_twice() {
    let test = "agent_kills";
    let mut random = plan::random(test);
    let kills = plan::times("FLEETMEND_TORTURE_AGENT_KILLS", 300);
    let server = Server::start();
    let Some(patients) = Patient::enrol_many(&server, PATIENTS) else { return };
    let (api, began) = (server.api(), Instant::now());
    let kill_all = || {
        std::thread::scope(|scope| {
            let killers: Vec<_> = patients
                .iter()
                .map(|patient| {
                    let mut random = fastrand::Rng::with_seed(random.u64(..));
                    scope.spawn(move || kill(patient, kills.div_ceil(PATIENTS), &mut random))
                })
                .collect();
            let agents = killers.into_iter().map(|k| k.join().expect("the killer does not panic"));
            agents.collect::<Vec<Running>>()
        })
    };
    let agents = patient::cared_for(&patients, &api, kill_all);
    let (tally, wrong) = patient::verdicts(&patients, &api);
    drop(agents);
    plan::figure(
        test,
        &format!(
            "{kills} kills of {PATIENTS} agents in {:.0?}; {} jobs {:?}, {} of the unknown needlessly; {} steps, {} failures of the logs",
            began.elapsed(),
            tally.jobs(),
            tally.ends,
            tally.needless_unknown,
            tally.steps,
            tally.failures,
        ),
    );
    plan::must_be_sound(&wrong);
}
