//! Full disks, on both sides: nothing is acknowledged falsely, nothing is done that is not written
//! down, and with room again all goes on.

use std::slice::from_ref;
use std::time::Duration;

use fleetmend_tests::disk::SmallDisk;
use fleetmend_tests::patient::{self, FINAL_WITHIN, Patient};
use fleetmend_tests::programs::Running;
use fleetmend_tests::server::{Database, Server};
use fleetmend_tests::wait_for;

use crate::ledger::Ledger;
use crate::plan;

fn last_words(agent: &Running) -> String {
    let said = agent.printed();
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

fn wait_ready(server: &Server, wanted: bool) -> String {
    let api = server.api();
    wait_for(&format!("/readyz: {wanted}"), Duration::from_mins(1), || {
        let (status, body) = api.try_get("/readyz")?;
        let said = format!("{status} {body}");
        if (status == 200) == wanted { Ok(said) } else { Err(said) }
    })
}

#[test]
fn a_server_whose_disk_is_full_says_so_and_keeps_its_word() {
    let test = "server_disk_full";
    let mut random = plan::random(test);
    let Some(disk) = SmallDisk::make(40 * 1024) else { return };
    let mut server = Server::start_in(Some(disk.path().join("data")), Database::Sqlite);
    let ledger = Ledger::open(&server, 6, random.u64(..));
    let api = server.api();
    for round in 0..2 {
        ledger.wait_progress(Duration::from_mins(1));
        disk.fill();
        let said = wait_ready(&server, false);
        assert_eq!(api.try_get("/livez").map(|(status, _)| status), Ok(200));
        plan::figure(test, &format!("round {round}: /readyz says {said}"));
        if round == 1 {
            // It may not even start so; what it acknowledged is there all the same.
            server.kill();
            if let Err(said) = server.try_restart(&[]) {
                plan::figure(
                    test,
                    &format!("it did not start: {}", said.lines().last().unwrap_or("")),
                );
                disk.free();
                server.restart(&[]);
                continue;
            }
        }
        disk.free();
    }
    wait_ready(&server, true);
    ledger.wait_progress(Duration::from_mins(1));
    let mut wrong: Vec<String> = ledger.drain(FINAL_WITHIN).err().into_iter().collect();
    wrong.extend(ledger.audit(&api));
    plan::figure(test, &format!("{:?}", ledger.sums()));
    plan::must_be_sound(&wrong);
}

#[test]
fn an_agent_whose_disk_is_full_acts_on_nothing_that_is_not_written_down() {
    let test = "agent_disk_full";
    let mut random = plan::random(test);
    let server = Server::start();
    let Some(patient) = Patient::enrol_on_disk(&server, "patient", 1_024) else { return };
    let disk = patient.disk().expect("it has one");
    let api = server.api();
    let mut agent = patient.start(&[]);
    let mut wrong = Vec::new();
    patient::cared_for(from_ref(&patient), &api, || {
        for round in 0..6u8 {
            // Behind a full disk the doctor's next order may take its time.
            if !patient.next_step(Duration::from_mins(1)) {
                wrong.push(format!("no step in round {round}; the agent: {}", last_words(&agent)));
                break;
            }
            plan::pause(Duration::from_millis(random.u64(0..1_500)));
            disk.fill();
            plan::pause(Duration::from_millis(random.u64(1_000..2_500)));
            if round % 2 == 1 {
                agent.kill_with_children();
                agent = patient.start(&[]);
                plan::pause(Duration::from_millis(random.u64(0..1_000)));
            }
            disk.free();
            // Whoever watches over services starts it again.
            if agent.ended().is_some() {
                agent = patient.start(&[]);
            }
        }
    });
    let (tally, more) = patient.verdict(&api);
    wrong.extend(more);
    plan::figure(test, &format!("{} jobs: {:?}, {} steps", tally.jobs(), tally.ends, tally.steps));
    assert!(tally.jobs() > 1, "{tally:?}");
    plan::must_be_sound(&wrong);
}
