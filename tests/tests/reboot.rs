//! `restart.linux` on a real systemd: the agent in its own unit asks for the restart, the machine really
//! goes down, and its next boot proves the job. Before that: its window, the users' word, and a person
//! who takes it back while it waits.

use std::time::Duration;

use fleetmend_catalog::builtin;
use fleetmend_core::campaign::RebootPolicy;
use fleetmend_core::hold::Interval;
use fleetmend_core::ids::JobId;
use fleetmend_core::knowledge::Risk;
use fleetmend_core::time::{Clock as _, SystemClock, Timestamp};
use fleetmend_core::words::Slug;
use fleetmend_store::{Db, JobTerms, NewJob};
use fleetmend_tests::agent::{Agent, job_log, wait_host, wait_incident, wait_job};
use fleetmend_tests::api::Api;
use fleetmend_tests::programs::must;
use fleetmend_tests::root::Machine;
use fleetmend_tests::server::Server;
use fleetmend_tests::{PATIENCE, wait_for};
use serde_json::{Value, json};

const DAY: Duration = Duration::from_hours(24);

/// Orders the restart. By REST a restart is of an incident whose cause it is, and Linux tells of an
/// awaited restart as of a failure only when it is days old: the job is written into the database as the
/// server would have, about whatever fails. The rest is as ever: the server signs and offers the order.
fn order(server: &Server, incident: &Value, (from, until): (Timestamp, Timestamp)) -> String {
    let now = SystemClock.now();
    let remediation = &builtin().remediations[&slug("restart.linux")];
    let id = |of: &Value| of.as_str().expect("an id").to_owned();
    let job = NewJob {
        id: JobId::at(now, fastrand::u128(..).to_be_bytes()[..10].try_into().expect("ten")),
        host: id(&incident["host"]["id"]).parse().expect("an id"),
        incident: id(&incident["id"]).parse().expect("an id"),
        cause: slug("pending_reboot"),
        remediation: remediation.id.clone(),
        version: remediation.version,
        digest: remediation.digest(),
        evidence: Vec::new(),
        steps_time: Duration::from_hours(1),
        verify_within: DAY,
        not_before: now,
        expires: now.after(DAY * 2),
        reason: "an update waits".to_owned(),
        terms: JobTerms {
            max_risk: Risk::Disruptive,
            reboot: RebootPolicy::InWindow,
            begin_in: vec![Interval { from, until }],
            max_deferrals: 1,
            notice_seconds: 3,
            ..JobTerms::default()
        },
    };
    // Beside the running server, which looks every two seconds for what another process ordered.
    let url = format!("sqlite://{}", server.data().join("fleetmend.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let db = Db::connect(&url).await.expect("opens");
        db.create_job(&job, "test", now).await.expect("made");
        db.close().await;
    });
    job.id.to_string()
}

fn slug(text: &str) -> Slug {
    Slug::new(text).expect("valid")
}

/// Waits until a job stands so, with these words.
fn waits(api: &Api, job: &str, state: &str, words: &str) -> Value {
    wait_for(&format!("{state}: {words}"), PATIENCE, || {
        let (_, now) = api.get(&format!("/api/v1/jobs/{job}"));
        let detail = now["detail"].as_str().unwrap_or_default();
        if now["state"] == state && detail.contains(words) { Ok(now) } else { Err(now.to_string()) }
    })
}

/// Takes a job back, and gives its end.
fn take_back(api: &Api, job: &str) -> Value {
    let (status, said) =
        api.post(&format!("/api/v1/jobs/{job}/cancel"), &json!({"reason": "not today"}));
    assert_eq!(status, 200, "{said}");
    wait_job(api, job)
}

fn shell(machine: &Machine, line: &str) -> String {
    must(machine.command("/bin/sh").args(["-ec", line]))
}

fn boot_id(machine: &Machine) -> String {
    shell(machine, "cat /proc/sys/kernel/random/boot_id")
}

#[test]
fn a_host_is_really_restarted_in_its_window_after_its_users_word() {
    let Some(mut machine) = Machine::boot() else { return };
    let server = Server::start();
    let api = server.api();
    shell(
        &machine,
        "printf '[Service]\nType=oneshot\nExecStart=/bin/false\n' > /etc/systemd/system/example-backup.service
         systemctl daemon-reload; systemctl start example-backup || true
         : > /run/reboot-required; echo linux-image-example > /run/reboot-required.pkgs
         printf 'USER=anna\nCLASS=user\nSTATE=active\n' > /run/systemd/sessions/7",
    );
    Agent::lay(machine.root());
    let ceiling = machine.root().at("/etc/fleetmend-agent/ceiling.toml");
    std::fs::write(ceiling, "risk = \"disruptive\"\nreboot = true\n").expect("written");
    Agent::enroll_in(&machine, &server, &server.enrollment_token(&[]));
    shell(
        &machine,
        "/usr/local/bin/fleetmend-agent service install; systemctl start fleetmend-agent",
    );
    wait_host(&api, "active");
    let incident = wait_incident(&api, "systemd.unit_failed");
    let before = boot_id(&machine);
    let now = SystemClock.now();

    // Its window opens tomorrow: it waits, and whoever takes it back then has changed nothing.
    let early = order(&server, &incident, (now.after(DAY), now.after(DAY + DAY / 2)));
    waits(&api, &early, "waiting_window", "waits for its window: opens");
    let job = take_back(&api, &early);
    assert_eq!((&job["state"], &job["begun_at"]), (&json!("cancelled"), &Value::Null), "{job}");

    // In its window: a user is told, and puts it off; it is taken back meanwhile.
    let window = (now.before(DAY / 24), now.after(DAY / 2));
    // A child of the machine's own first process: one whose parent stands outside would be stopped by the
    // shutdown and never be reaped, and systemd waits 90 s for it.
    shell(
        &machine,
        "setsid systemd-inhibit --what=shutdown --who=anna --why='in a call' sleep 3600 </dev/null >/dev/null 2>&1 &",
    );
    wait_for("the inhibitor", PATIENCE, || {
        let held = shell(&machine, "cat /run/systemd/inhibit/*[0-9] 2>/dev/null || true");
        if held.contains("WHO=anna") { Ok(()) } else { Err(held) }
    });
    let put_off = order(&server, &incident, window);
    let job = waits(&api, &put_off, "reboot_pending", "deferred by anna (in a call) until");
    assert!(job["detail"].as_str().is_some_and(|d| d.ends_with("(1 of 1)")), "{job}");
    let job = take_back(&api, &put_off);
    assert_eq!(job["state"], "cancelled", "{job}\n{}", job_log(&api, &put_off));
    assert_eq!(boot_id(&machine), before, "nothing was restarted");

    // Nobody may put it off any more who is not there: it goes down, and the agent with it.
    shell(&machine, "rm /run/systemd/sessions/7");
    let wanted = order(&server, &incident, window);
    let asked = std::time::Instant::now();
    waits(&api, &wanted, "rebooting", "");
    machine.restarted();
    println!("figure: down and up again after {:?}", asked.elapsed());
    assert_ne!(boot_id(&machine), before);
    let job = wait_job(&api, &wanted);
    assert_eq!(job["state"], "fixed", "{job}\n{}", job_log(&api, &wanted));
    assert_eq!((&job["proof"], &job["attempt"]), (&json!("probe_only"), &json!(1)), "{job}");
    let step = &job["steps"][0];
    assert_eq!(
        (&step["state"], &step["detail"]),
        (&json!("done"), &json!("the host has restarted"))
    );
    wait_host(&api, "active");
    let log = shell(&machine, "journalctl -q --no-pager -u fleetmend-agent");
    assert!(!log.contains("a step still runs"), "it held the restart up: {log}");
}
