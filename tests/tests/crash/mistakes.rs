//! Those who check are checked: programs that are wrong on purpose must be found out, within a
//! bounded number of kills.

use std::slice::from_ref;
use std::time::Duration;

use fleetmend_faults::Mistake;
use fleetmend_tests::patient::{self, Patient};
use fleetmend_tests::server::Server;

use crate::ledger::Ledger;
use crate::plan;

/// Kills after which it must have shown.
const KILLS: u32 = 60;

#[test]
fn a_server_that_acknowledges_too_early_is_found_out() {
    let test = "server_mistake";
    let mut random = plan::random(test);
    let mistake = ("FLEETMEND_MISTAKE", Mistake::AckBeforeCommit.name());
    let mut server = Server::start();
    let ledger = Ledger::open(&server, 6, random.u64(..));
    let mut found = None;
    for kill in 1..=KILLS {
        server.restart(&[mistake]);
        ledger.wait_progress(Duration::from_mins(1));
        plan::pause(Duration::from_millis(random.u64(0..30)));
        server.kill();
        // The hosts meet the server again, and hear what it has kept.
        server.restart(&[]);
        let sessions = ledger.sums().sessions;
        fleetmend_tests::wait_for("all hosts", Duration::from_secs(30), || {
            let now = ledger.sums().sessions;
            if now >= sessions + 6 || !ledger.wrong().is_empty() {
                Ok(())
            } else {
                Err(now.to_string())
            }
        });
        if !ledger.wrong().is_empty() {
            found = Some(kill);
            break;
        }
    }
    let found = found.unwrap_or_else(|| panic!("{KILLS} kills did not show the mistake"));
    let loss = ledger.audit(&server.api());
    plan::figure(test, &format!("found after {found} kills: {}", loss.join("; ")));
    let lost = |said: &String| said.contains("were acknowledged") || said.contains("are lost");
    assert!(loss.iter().any(lost), "{loss:?}");
}

#[test]
fn an_agent_that_acts_before_it_writes_is_found_out() {
    let test = "agent_mistake";
    let mut random = plan::random(test);
    let mistake = ("FLEETMEND_MISTAKE", Mistake::JournalAfterEffect.name());
    let server = Server::start();
    let Some(patient) = Patient::enrol(&server, "patient") else { return };
    let api = server.api();
    let twice = || patient.root.effects().into_iter().find(|(_, times)| *times > 1);
    let (found, _agent) = patient::cared_for(from_ref(&patient), &api, || {
        let mut found = None;
        for kill in 1..=KILLS {
            let mut agent = patient.start(&[mistake]);
            patient.next_step(Duration::from_secs(4));
            plan::pause(Duration::from_millis(random.u64(0..80)));
            agent.kill_with_children();
            found = twice().map(|line| (kill, line));
            if found.is_some() {
                break;
            }
        }
        // The doctor waits for the end of his last job.
        (found, patient.start(&[]))
    });
    let (kills, line) = found.unwrap_or_else(|| panic!("{KILLS} kills did not show the mistake"));
    plan::figure(test, &format!("found after {kills} kills: {line:?}"));
    let (_, wrong) = patient.verdict(&api);
    assert!(wrong.iter().any(|said| said.contains("a step was run")), "{wrong:?}");
}
