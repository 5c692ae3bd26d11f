//! What a campaign did is taken back by another.

use fleetmend_tests::programs::{must, run, text};
use fleetmend_tests::root::Machine;
use serde_json::{Value, json};

use crate::fleet::{Fleet, definition};

const TIMERS: [&str; 2] = ["apt-daily.timer", "apt-daily-upgrade.timer"];

#[test]
fn a_campaign_is_taken_back_by_another() {
    let Some(machine) = Machine::boot() else { return };
    let file = machine.root().at("/etc/apt/apt.conf.d/20auto-upgrades");
    std::fs::write(file, "APT::Periodic::Unattended-Upgrade \"1\";\n").expect("written");
    must(machine.command("/usr/bin/systemctl").args(["disable", "--now"]).args(TIMERS));
    let timers = || {
        let said = run(machine.command("/usr/bin/systemctl").arg("is-enabled").args(TIMERS));
        text(&said.stdout).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(timers(), ["disabled", "disabled"]);
    let mut fleet = Fleet::of(&[]);
    let host = fleet.add_machine(&machine);
    fleet.triaged(&host, "apt.periodic_stale", "apt_timer_disabled");

    // A machine in namespaces is a container to systemd: one with a role is taken by its name alone.
    let mut wish = definition("timers", "apt.periodic_stale", "apt_timer_disabled", "disruptive");
    let (_, look) = fleet.anna.api().post("/api/v1/campaigns/preview", &wish);
    let left_out = &look["hosts_left_out"][0];
    assert_eq!((&left_out["why"], &left_out["detail"]), (&json!("role"), &json!("container")));
    wish["selector"]["roles"] = json!(["container"]);
    let (status, made) = fleet.anna.api().post("/api/v1/campaigns", &wish);
    assert_eq!((status, &made["needs_approval"]), (201, &json!([])), "{made}");
    let id = made["id"].as_str().expect("an id");
    fleet.act(id, "start", "the change is due");
    let done = fleet.wait(id, "completed");
    assert_eq!(done["counts"], json!({"fixed": 1}), "{done}");
    assert_eq!(timers(), ["enabled", "enabled"]);

    let look = fleet.anna.ask(&["campaigns", "undo", id, "--preview"]);
    assert_eq!((&look["hosts"], &look["jobs"]), (&json!(1), &json!({"exact": 1})), "{look}");
    assert_eq!(timers(), ["enabled", "enabled"], "only a look");
    let undo: Value = fleet.act(id, "undo", "they were off on purpose");
    assert_eq!((&undo["undoes"], &undo["needs_approval"]), (&json!(id), &json!([])), "{undo}");
    let undo = undo["id"].as_str().expect("an id");
    let back = fleet.wait(undo, "completed");
    assert_eq!(back["counts"], json!({"rolled_back": 1}), "{back}");
    assert_eq!(timers(), ["disabled", "disabled"]);
    let again = run(&mut fleet.anna.cli(&["campaigns", "undo", id, "--reason", "once more"]));
    assert!(text(&again.stderr).contains("nothing of it can be taken back"), "{again:?}");
}
