//! Five hosts on which apt stands still for five reasons: each is triaged to its own, and one campaign
//! per problem fixes it.

use fleetmend_tests::agent::job_log;
use fleetmend_tests::root::Root;
use serde_json::{Value, json};

use crate::faults;
use crate::fleet::{Fleet, at_once, definition};

/// Each host with its failure, its cause, what mends it, and the risk that needs.
const PROBLEMS: [[&str; 5]; 5] = [
    [
        "interrupted",
        "apt.dpkg_interrupted",
        "dpkg_interrupted",
        "apt.configure_pending",
        "disruptive",
    ],
    ["broken", "apt.broken_deps", "apt_broken_deps", "apt.fix_broken", "disruptive"],
    ["held", "apt.lock_held", "apt_lock_held", "apt.wait_for_lock", "safe"],
    ["full", "fs.disk_full", "linux_disk_full", "free_disk_space.apt_cache", "disruptive"],
    ["stale", "apt.hash_mismatch", "apt_lists_damaged", "apt.refresh_lists", "safe"],
];

#[test]
fn five_problems_are_fixed_by_a_campaign_each() {
    let roots: Option<Vec<Root>> = at_once(&PROBLEMS, |_| Root::copy()).into_iter().collect();
    let Some(roots) = roots else { return };
    let [interrupted, broken, held, full, stale] = &roots[..] else { unreachable!("five") };
    let (disk, mirror) = std::thread::scope(|scope| {
        scope.spawn(|| faults::interrupted(interrupted));
        scope.spawn(|| faults::broken_dependencies(broken));
        scope.spawn(|| faults::own_repository(held));
        let disk = scope.spawn(|| faults::full_disk(full));
        let mirror = faults::stale_mirror(stale);
        (disk.join().expect("a full disk"), mirror)
    });
    let Some(_disk) = disk else { return };
    let named: Vec<(&str, &Root)> = PROBLEMS.iter().map(|p| p[0]).zip(&roots).collect();
    let mut fleet = Fleet::of(&named);
    let mut holder = faults::held_lock(held, fleet.agent("held"));
    let incidents: Vec<Value> =
        PROBLEMS.iter().map(|[host, code, cause, ..]| fleet.triaged(host, code, cause)).collect();
    let mut finisher = faults::finishing_hangs(interrupted, fleet.agent("interrupted"));

    let campaigns = PROBLEMS.map(|problem| started(&fleet, problem));
    let [first, _, third, ..] = &campaigns;
    // Nothing begins while another program holds the lock, and it is named.
    let waits = fleet.wait_host(first, "interrupted", "blocked");
    let why = waits["detail"].as_str().unwrap_or_default();
    assert!(why.contains("apt_lock_held: ") && why.contains("(dpkg)"), "{waits}");
    // Where the lock is the failure, the job is to wait for it.
    let waits = fleet.wait_host(third, "held", "running");
    let log = || job_log(&fleet.api, waits["job"].as_str().unwrap_or_default());
    fleetmend_tests::wait_for("the holder's name", fleetmend_tests::PATIENCE, || {
        let log = log();
        if log.contains("(apt-get)") { Ok(()) } else { Err(log) }
    });
    holder.kill_with_children();
    finisher.kill_with_children();

    for (id, [host, _, cause, remediation, _]) in campaigns.iter().zip(PROBLEMS) {
        let ended = fleet.wait(id, "completed");
        assert_eq!(ended["counts"], json!({"fixed": 1}), "{ended}");
        let hosts = fleet.hosts(id);
        let [only] = &hosts[..] else { panic!("{hosts:?}") };
        assert_eq!(
            [&only["host"]["name"], &only["outcome"], &only["proof"], &only["cause"]],
            [host, "fixed", "repeated", cause],
            "{only}"
        );
        assert_eq!(only["remediation"], remediation, "{only}");
        document(&fleet, id, &ended, only);
    }
    for incident in &incidents {
        let id = incident["id"].as_str().unwrap_or_default();
        let (_, now) = fleet.api.get(&format!("/api/v1/incidents/{id}"));
        assert_eq!(now["state"], "fixed", "{now}");
    }

    // What was wrong is right, on the systems themselves.
    for root in &roots {
        let check = root.shell("dpkg --audit && apt-get check");
        assert!(check.status.success() && check.stdout.starts_with(b"Reading"), "{check:?}");
    }
    assert!(mirror.was_refreshed(), "the lists were fetched past the cache");
    faults::sh(stale, "apt-get -q update && apt-get -q -y install example-app");
    faults::sh(full, "apt-get -q -y install example-big");
    faults::sh(held, "apt-get -q -y install example-app");
}

/// Written by anna, approved by boris where a second person must, and started; gives its id.
fn started(fleet: &Fleet, [host, code, cause, _, risk]: [&str; 5]) -> String {
    let (status, made) =
        fleet.anna.api().post("/api/v1/campaigns", &definition(host, code, cause, risk));
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().expect("an id").to_owned();
    let needs = made["needs_approval"].as_array().is_some_and(|why| !why.is_empty());
    assert_eq!(needs, made["state"] == "awaiting_approval", "{made}");
    if needs {
        let approved = fleet.boris.approve(&id, "seen");
        assert_eq!(approved["approved_by"], "user boris", "{approved}");
    }
    fleet.act(&id, "start", "the change is due");
    id
}

/// The document says who wrote, approved and started it, and tells the same as the lists.
fn document(fleet: &Fleet, id: &str, ended: &Value, only: &Value) {
    let whole = fleet.anna.ask(&["campaigns", "document", id]);
    let told = &whole["campaign"];
    assert_eq!(told["campaign"]["definition"]["change"], "CHG-42", "{told}");
    let needed = !ended["needs_approval"].as_array().expect("a list").is_empty();
    let approvals: Vec<&Value> =
        told["approvals"].as_array().expect("a list").iter().map(|a| &a["by"]).collect();
    assert_eq!(approvals, if needed { vec!["user boris"] } else { vec![] }, "{told}");
    let host = &told["hosts"][0];
    for (here, there) in
        [("state", "outcome"), ("proof", "proof"), ("job", "job"), ("incident", "incident")]
    {
        assert_eq!(host[here], only[there], "{here}: {told}");
    }
    assert_eq!(told["runs"][0]["outcome"], ended["state"], "{told}");
    // The plan, what was found at the start, and every try with its steps.
    let plan = whole["plan"].as_array().expect("a list");
    let done = plan.iter().find(|r| r["id"] == only["remediation"]).expect("the plan has it");
    assert_eq!(done["is_bound"], json!(true), "{done}");
    assert_eq!(
        told["campaign"]["definition"]["remediations"][done["id"].as_str().expect("an id")],
        done["digest"]
    );
    let irreversible = done["cannot_be_undone"].as_array().expect("a list").len();
    assert!(done["id"] != "apt.configure_pending" || irreversible > 0, "{done}");
    assert!(done["steps"][0]["does"].is_string() && done["risk"].is_string(), "{done}");
    assert_eq!(told["found"]["1"]["hosts"], json!(1), "{told}");
    let job = told["jobs"].as_array().expect("a list").last().expect("a job");
    assert_eq!((&job["job"]["id"], &job["job"]["state"]), (&only["job"], &only["outcome"]));
    let last = job["attempts"].as_array().expect("a list").last().expect("a try");
    assert_eq!((&last["remediation"], &last["proof"]), (&only["remediation"], &only["proof"]));
    assert!(last["steps"][0]["title"].is_string(), "{last}");
    let rows = told["audit"].as_array().expect("a list");
    let by = |action: &str| rows.iter().find(|r| r["action"] == action).map(|r| &r["actor"]);
    assert_eq!(by("campaign.create"), Some(&json!("user anna")), "{told}");
    assert_eq!(by("campaign.approve"), needed.then(|| &approvals[0]).copied(), "{told}");
    assert_eq!(by("campaign.start"), Some(&json!("user anna")), "{told}");
    let own = json!(format!("campaign {id}"));
    assert_eq!(by("campaign.start_jobs"), Some(&own), "{told}");
}
