//! A campaign that is halted in its midst, stops itself at an error, and is tried again where it
//! failed.

use fleetmend_tests::programs::{must, run, text};
use fleetmend_tests::root::Root;
use fleetmend_tests::{PATIENCE, go_on, wait_for};
use serde_json::{Value, json};

use crate::fleet::{Fleet, at_once};

const HOSTS: [&str; 3] = ["first", "fails", "works"];

/// The script of a package: killed with its dpkg the first time; then it waits for the test, and fails
/// where it is to fail.
const SCRIPT: &str = r"[ -e /srv/once ] || { : > /srv/once; kill -9 $PPID; exit; }
[ -e /srv/gate ] || { mkfifo /srv/gate; read line < /srv/gate; }
[ ! -e /srv/fails ] || { echo cannot reach the licence server >&2; exit 3; }
echo example-app is configured";

#[test]
fn a_halt_and_an_error_stop_what_has_not_begun_and_a_retry_goes_on() {
    let copies: Option<Vec<Root>> = at_once(&HOSTS, |_| Root::copy()).into_iter().collect();
    let Some(roots) = copies else { return };
    let [first, fails, works] = &roots[..] else { unreachable!("three") };
    for said in at_once(&roots, |root| root.install("example-app", SCRIPT)) {
        assert!(said.contains("exit 137"), "dpkg was not interrupted: {said}");
    }
    std::fs::write(fails.at("/srv/fails"), "").expect("written");
    let fleet = Fleet::of(&HOSTS.into_iter().zip(&roots).collect::<Vec<_>>());
    for host in HOSTS {
        fleet.triaged(host, "apt.dpkg_interrupted", "dpkg_interrupted");
    }
    let id = written(&fleet);
    let alone = run(&mut fleet.anna.cli(&["campaigns", "start", &id]));
    let said = text(&alone.stderr);
    assert!(!alone.status.success() && said.contains("second person"), "{said}");
    fleet.boris.approve(&id, "seen");
    fleet.act(&id, "start", "the change is due");
    in_its_midst(first);

    // Halted, and what runs where is listed. It is not cut off, and nothing follows it.
    must(&mut fleet.boris.cli(&["halt", "--reason", "a bad smell"]));
    let (_, halt) = fleet.api.get("/api/v1/halt");
    let running: Vec<&Value> =
        halt["running"].as_array().expect("a list").iter().map(|j| &j["host_name"]).collect();
    assert_eq!((&halt["halted"], running), (&json!(true), vec![&json!("first")]), "{halt}");
    go_on(&first.at("/srv/gate"));
    fleet.wait_host(&id, "first", "fixed");
    wait_for("a campaign that is held back", PATIENCE, || {
        let now = fleet.campaign(&id);
        let why = now["waiting_for"].as_str().unwrap_or_default();
        if why.contains("halted") && now["counts"]["fixed"] == 1 {
            return Ok(());
        }
        Err(now.to_string())
    });
    assert_eq!(fleet.campaign(&id)["counts"], json!({"fixed": 1, "waiting": 2}));
    must(&mut fleet.boris.cli(&["halt", "--off"]));

    // The first error is over the limit: the campaign ends, and what runs goes on to its end.
    in_its_midst(fails);
    in_its_midst(works);
    go_on(&fails.at("/srv/gate"));
    let stopped = fleet.wait(&id, "aborted");
    assert_eq!(stopped["counts"], json!({"fixed": 1, "failed": 1, "running": 1}), "{stopped}");
    go_on(&works.at("/srv/gate"));
    fleet.wait_host(&id, "works", "fixed");

    std::fs::remove_file(fails.at("/srv/fails")).expect("mended");
    let again = fleet.act(&id, "retry", "the licence server is back");
    assert_eq!(again["retried"], 1, "{again}");
    let ended = fleet.wait(&id, "completed");
    assert_eq!(ended["counts"], json!({"fixed": 3}), "{ended}");
    let hosts = fleet.hosts(&id);
    let of = |name: &str| hosts.iter().find(|h| h["host"]["name"] == name).expect("a host");
    assert_eq!((&of("fails")["retries"], &of("works")["retries"]), (&json!(1), &json!(0)));
    assert!(hosts.iter().all(|h| h["proof"] == "repeated"), "{hosts:?}");
    for root in &roots {
        let check = root.shell("dpkg --audit && apt-get check");
        assert!(check.status.success() && check.stdout.starts_with(b"Reading"), "{check:?}");
    }
}

/// One host as a canary, then all; gives the campaign's id.
fn written(fleet: &Fleet) -> String {
    let made = fleet.anna.ask(&[
        "campaigns",
        "create",
        "--name",
        "interrupted",
        "--reason",
        "updates stand still",
        "--code",
        "apt.dpkg_interrupted",
        "--remediation",
        "apt.configure_pending",
        "--max-risk",
        "disruptive",
        "--wave",
        "1:name=first",
        "--wave",
        "all",
        "--soak",
        "0s",
    ]);
    assert_eq!(made["state"], "awaiting_approval", "{made}");
    made["id"].as_str().expect("an id").to_owned()
}

fn in_its_midst(root: &Root) {
    wait_for("the script in its midst", PATIENCE, || {
        let waits = root.at("/srv/gate").exists();
        if waits { Ok(()) } else { Err("no gate".to_owned()) }
    });
}
