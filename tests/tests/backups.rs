//! restic, Borg and rsync on a real systemd: units that really fail are told apart by what their
//! programs said, and every remediation that may be ordered runs against real repositories. Their
//! passwords stay where they are.

use std::time::Duration;

use fleetmend_core::overdue::{Limit, OverdueRules};
use fleetmend_core::time::{Clock as _, SystemClock, Timestamp};
use fleetmend_store::Db;
use fleetmend_tests::agent::{Agent, job_log, wait_host, wait_incident, wait_job};
use fleetmend_tests::api::Api;
use fleetmend_tests::people::Person;
use fleetmend_tests::programs::{must, run, text};
use fleetmend_tests::root::Machine;
use fleetmend_tests::server::Server;
use fleetmend_tests::{PATIENCE, wait_for};
use serde_json::{Value, json};

/// What nobody but the units may know.
const SECRET: &str = "correct-horse-battery";

fn sh(machine: &Machine, line: &str) -> String {
    must(machine.command("/bin/sh").args(["-ec", &format!("cd /\n{line}")]))
}

/// A service that is to fail: it runs one command with an environment file.
fn unit(machine: &Machine, name: &str, command: &str) {
    let lines =
        format!("[Service]\nType=oneshot\nEnvironmentFile=/etc/backup.env\nExecStart={command}\n");
    std::fs::write(machine.root().at("/etc/systemd/system").join(name), lines).expect("written");
    sh(machine, "systemctl daemon-reload");
}

/// Starts a service that must fail.
fn fails(machine: &Machine, name: &str) {
    let said = run(machine.command("/usr/bin/systemctl").args(["start", name]));
    assert!(!said.status.success(), "{name} did not fail");
}

fn post(api: &Api, incident: &Value, remediation: &str) -> String {
    let id = incident["id"].as_str().expect("an id");
    let wish = json!({"max_risk": "disruptive", "remediation": remediation, "reason": "test"});
    let (status, job) = api.post(&format!("/api/v1/incidents/{id}/remediate"), &wish);
    assert_eq!(status, 201, "{job}");
    job["id"].as_str().expect("an id").to_owned()
}

/// Orders a remediation of the incident of a code, which must lead to a cause; it must mend it.
fn mend(api: &Api, code: &str, cause: &str, remediation: &str) -> String {
    let incident = wait_incident(api, code);
    assert_eq!(incident["cause"]["id"], cause, "{incident}");
    let job = post(api, &incident, remediation);
    mended(api, &job)
}

fn mended(api: &Api, job: &str) -> String {
    let ended = wait_job(api, job);
    let log = job_log(api, job);
    assert_eq!(
        (&ended["state"], &ended["proof"]),
        (&json!("fixed"), &json!("repeated")),
        "{ended}\n{log}"
    );
    log
}

fn fleet(machine: &Machine, server: &Server, risk: &str) -> Agent {
    Agent::lay(machine.root());
    Agent::allow(machine.root(), risk);
    Agent::enroll_in(machine, server, &server.enrollment_token(&[]));
    let agent = Agent::run_in(machine);
    wait_host(&server.api(), "active");
    agent
}

/// Nothing of the secrets went to the server, into the agent's state or into any command line of it.
fn kept_secret(machine: &Machine, api: &Api, logs: &[String]) {
    assert!(logs.iter().all(|log| !log.contains(SECRET)), "a job's output holds the password");
    let reports = api.items("/api/v1/incidents?state=fixed");
    assert!(!json!(reports).to_string().contains(SECRET), "an incident holds the password");
    let found = run(machine.command("/bin/grep").args(["-rl", SECRET, "/var/lib/fleetmend-agent"]));
    assert_eq!(text(&found.stdout), "", "the agent's state holds the password");
    let journal = must(machine.command("/usr/bin/journalctl").args(["-q", "--no-pager"]));
    assert!(!journal.contains(SECRET), "the journal holds the password");
}

#[test]
fn left_locks_are_removed_and_a_failed_copy_runs_again() {
    let Some(machine) = Machine::boot_with_tools() else { return };
    let settings = format!(
        "RESTIC_REPOSITORY=/srv/restic\nRESTIC_PASSWORD={SECRET}\nBORG_REPO=/srv/borg\nBORG_PASSPHRASE={SECRET}\nHOME=/root\n"
    );
    std::fs::write(machine.root().at("/etc/backup.env"), settings).expect("written");
    sh(
        &machine,
        "set -a; . /etc/backup.env; mkdir -p /srv/data; head -c 40000000 /dev/urandom > /srv/data/big\n\
         restic -q init; restic -q backup /srv/data; borg init -e repokey 2>/dev/null; borg create ::first /srv/data",
    );
    // A restic that is killed leaves its lock; so does a Borg of another machine under the same name.
    sh(
        &machine,
        "set -a; . /etc/backup.env; restic check --read-data >/dev/null 2>&1 & p=$!\n\
         while ! ls /srv/restic/locks | grep -qE '^[0-9a-f]{64}$'; do kill -0 $p; done; kill -9 $p\n\
         mkdir /srv/borg/lock.exclusive; touch \"/srv/borg/lock.exclusive/$(cat /proc/sys/kernel/hostname)@123456789.999999-0\"",
    );
    // Names that tell nothing: what they run does.
    unit(&machine, "nightly.service", "/usr/bin/nice /usr/bin/restic backup /srv/data");
    unit(&machine, "archive.service", "/usr/bin/borg create ::second /srv/data");
    let copy =
        "/usr/bin/setpriv --reuid=65534 --clear-groups /usr/bin/rsync -r /srv/shut /srv/copy/";
    sh(
        &machine,
        "mkdir -p /srv/shut /srv/copy; chmod 777 /srv/copy; echo x > /srv/shut/file; chmod 600 /srv/shut/file",
    );
    unit(&machine, "copy.service", copy);
    for name in ["nightly.service", "archive.service", "copy.service"] {
        fails(&machine, name);
    }

    let server = Server::start();
    let api = server.api();
    let _agent = fleet(&machine, &server, "dangerous");
    let incident = wait_incident(&api, "restic.locked");
    assert_eq!(
        (&incident["product"], &incident["operation"], &incident["subject"]),
        (&json!("restic"), &json!("backup"), &json!("nightly.service"))
    );
    let mut logs = vec![mend(&api, "restic.locked", "restic_lock_left", "restic.unlock")];
    assert!(logs[0].contains("successfully removed locks"), "{}", logs[0]);
    let broken = borg_lock_is_broken_by_two(&machine, &server);
    logs.push(broken);
    // A person has given the right to read.
    sh(&machine, "chmod 644 /srv/shut/file");
    mend(&api, "rsync.partial", "backup_source_unreadable", "backup.rerun_unit");
    assert!(machine.root().at("/srv/copy/shut/file").exists(), "rsync copied");
    kept_secret(&machine, &api, &logs);
}

/// Borg's lock may be another host's: nobody orders alone that it is broken. Gives the job's output.
fn borg_lock_is_broken_by_two(machine: &Machine, server: &Server) -> String {
    let api = server.api();
    let locked = wait_incident(&api, "borg.locked");
    assert_eq!(locked["cause"]["id"], "borg_lock_left", "{locked}");
    let id = locked["id"].as_str().expect("an id");
    let boris = Person::admin(server, "boris");
    let anna = Person::author(server, "anna", &boris).api();
    let wish = json!({"max_risk": "dangerous", "remediation": "borg.break_lock", "reason": "test"});
    let (status, told) = anna.post(&format!("/api/v1/incidents/{id}/remediate"), &wish);
    assert_eq!(status, 202, "{told}");
    assert!(told["awaits"].as_str().is_some_and(|t| t.contains("second person")), "{told}");
    let campaign = &told["campaign"];
    assert_eq!(campaign["state"], "awaiting_approval", "{told}");
    let campaign_id = campaign["id"].as_str().expect("an id");
    let path = |verb: &str| format!("/api/v1/campaigns/{campaign_id}/{verb}");
    let (status, alone) = anna.post(&path("start"), &json!({}));
    assert_eq!(status, 409, "{alone}");
    let (status, token) = api.post(&path("approve"), &json!({"digest": campaign["digest"]}));
    assert_eq!(status, 403, "no token approves: {token}");
    assert!(machine.root().at("/srv/borg/lock.exclusive").exists(), "nothing was done");

    boris.approve(campaign_id, "no other host writes there");
    let (status, started) = anna.post(&path("start"), &json!({}));
    assert_eq!(status, 200, "{started}");
    let job = wait_for("the campaign's job", PATIENCE, || {
        let hosts = api.items(&path("hosts"));
        hosts[0]["job"].as_str().map(str::to_owned).ok_or_else(|| format!("{hosts:?}"))
    });
    let log = mended(&api, &job);
    let archives = sh(machine, "set -a; . /etc/backup.env; borg list --short");
    assert!(archives.lines().any(|name| name == "second"), "{archives}");
    wait_for("the campaign's end", PATIENCE, || {
        let (_, now) = api.get(&format!("/api/v1/campaigns/{campaign_id}"));
        if now["state"] == "completed" { Ok(()) } else { Err(now.to_string()) }
    });
    log
}

#[test]
fn damage_that_passed_is_checked_and_the_unit_started_anew() {
    let Some(machine) = Machine::boot_with_tools() else { return };
    let settings = format!(
        "RESTIC_REPOSITORY=/srv/restic\nRESTIC_PASSWORD={SECRET}\nBORG_REPO=/srv/borg\nBORG_PASSPHRASE={SECRET}\nHOME=/root\n"
    );
    std::fs::write(machine.root().at("/etc/backup.env"), settings).expect("written");
    sh(
        &machine,
        "set -a; . /etc/backup.env; mkdir -p /srv/data /srv/aside; echo x > /srv/data/x\n\
         restic -q init; restic -q backup /srv/data; borg init -e repokey 2>/dev/null; borg create ::first /srv/data\n\
         mv /srv/restic/index/* /srv/aside/\n\
         cp /srv/borg/data/0/1 /srv/aside/segment; printf DAMAGED_ | dd of=/srv/borg/data/0/1 bs=1 seek=60 conv=notrunc 2>/dev/null",
    );
    unit(&machine, "verify.service", "/usr/bin/restic check");
    unit(&machine, "audit.service", "/usr/bin/borg check");
    fails(&machine, "verify.service");
    fails(&machine, "audit.service");
    let server = Server::start();
    let api = server.api();
    let _agent = fleet(&machine, &server, "disruptive");
    let incident = wait_incident(&api, "restic.repo_damaged");
    assert_eq!(incident["operation"], "check", "{incident}");
    // It is still damaged: the check says so, and the job's output names it.
    let job = post(&api, &incident, "restic.check_repository");
    let ended = wait_job(&api, &job);
    assert_eq!(ended["state"], "failed", "{ended}");
    assert!(job_log(&api, &job).contains("repository contains errors"));
    sh(
        &machine,
        "mv /srv/aside/[0-9a-f]* /srv/restic/index/; cp /srv/aside/segment /srv/borg/data/0/1",
    );
    let log =
        mend(&api, "restic.repo_damaged", "restic_repository_damaged", "restic.check_repository");
    assert!(log.contains("no errors were found"), "{log}");
    let second =
        mend(&api, "borg.repo_damaged", "borg_repository_damaged", "borg.check_repository");
    others_are_waited_for(&machine, &api);
    kept_secret(&machine, &api, &[log, second]);
}

/// A restic and a Borg are at work on the repositories, in the midst of what they read: the jobs wait
/// for their ends, and then start the units.
fn others_are_waited_for(machine: &Machine, api: &Api) {
    unit(
        machine,
        "other-restic.service",
        "/bin/sh -c 'cat /srv/pipe-restic | restic -q backup --stdin'",
    );
    unit(machine, "other-borg.service", "/bin/sh -c 'cat /srv/pipe-borg | borg create ::other -'");
    sh(
        machine,
        "mkfifo /srv/pipe-restic /srv/pipe-borg; systemctl start --no-block other-restic other-borg",
    );
    for lock in ["/srv/restic/locks", "/srv/borg/lock.exclusive"] {
        wait_for("a program at work", PATIENCE, || {
            let held = std::fs::read_dir(machine.root().at(lock)).into_iter().flatten().count() > 0;
            if held {
                Ok(())
            } else {
                Err(sh(machine, "systemctl status other-restic other-borg || :"))
            }
        });
    }
    fails(machine, "verify.service");
    fails(machine, "audit.service");
    let waits = [
        ("restic", "restic.locked", "restic_at_work", "restic.wait_for_other"),
        ("borg", "borg.locked", "borg_at_work", "borg.wait_for_other"),
    ];
    for (program, code, cause, remediation) in waits {
        let incident = wait_incident(api, code);
        assert_eq!(incident["cause"]["id"], cause, "{incident}");
        let job = post(api, &incident, remediation);
        wait_for("the other's name", PATIENCE, || {
            let log = job_log(api, &job);
            if log.contains(&format!("{program} runs as process ")) { Ok(()) } else { Err(log) }
        });
        // What it reads ends, and so does it.
        sh(machine, &format!(": > /srv/pipe-{program}"));
        mended(api, &job);
    }
}

/// What the host tells of its last backup, in a state found after `from`.
fn last_backup(api: &Api, from: Timestamp) -> Timestamp {
    let host = wait_host(api, "active");
    let path = format!("/api/v1/hosts/{}/facts", host["id"].as_str().expect("an id"));
    wait_for("the last backup", PATIENCE, || {
        let (_, facts) = api.get(&path);
        let time = |name: &str| facts["state"][name].as_str()?.parse::<Timestamp>().ok();
        let fresh = time("at").is_some_and(|at| at >= from);
        time("last_backup").filter(|_| fresh).ok_or_else(|| facts.to_string())
    })
}

/// What would be overdue on the fleet's hosts so much later, if they were still heard of.
fn overdue_after(server: &Server, span: Duration) -> Vec<String> {
    // Beside the running server, as another of its processes would.
    let url = format!("sqlite://{}", server.data().join("fleetmend.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let db = Db::connect(&url).await.expect("opens");
        let mut rules = OverdueRules::default();
        (rules.usual.silent, rules.usual.scan) = (Limit::Off, Limit::Off);
        let now = SystemClock.now().after(span);
        let mut random = || std::array::from_fn(|_| fastrand::u8(..));
        let opened = db.watch_hosts(&rules, now, 10, &mut random).await.expect("watches").opened;
        let mut codes = Vec::new();
        for id in opened {
            let found = db.incident(id).await.expect("reads").expect("there");
            codes.push(found.incident.key.code.expect("a code").to_string());
        }
        db.close().await;
        codes
    })
}

#[test]
fn a_backup_that_works_is_known_and_stays_so_over_a_boot() {
    let Some(mut machine) = Machine::boot_with_tools() else { return };
    let settings = format!("RESTIC_REPOSITORY=/srv/restic\nRESTIC_PASSWORD={SECRET}\nHOME=/root\n");
    std::fs::write(machine.root().at("/etc/backup.env"), settings).expect("written");
    sh(
        &machine,
        "set -a; . /etc/backup.env; mkdir -p /srv/data; echo x > /srv/data/file; restic -q init",
    );
    unit(&machine, "nightly.service", "/usr/bin/nice /usr/bin/restic backup /srv/data");
    let timer = "[Timer]\nOnCalendar=2001-01-01\n[Install]\nWantedBy=timers.target\n";
    std::fs::write(machine.root().at("/etc/systemd/system/nightly.timer"), timer).expect("written");
    // A zone of its own: systemd tells its times in it.
    sh(
        &machine,
        "ln -sf /usr/share/zoneinfo/Asia/Tokyo /etc/localtime; systemctl enable --now nightly.timer",
    );
    let server = Server::start();
    let api = server.api();
    Agent::lay(machine.root());
    std::fs::write(
        machine.root().at("/etc/fleetmend-agent/agent.toml"),
        "collect_every_s = 1\nstate_every_s = 1\n",
    )
    .expect("written");
    Agent::enroll_in(&machine, &server, &server.enrollment_token(&[]));
    sh(&machine, "/usr/local/bin/fleetmend-agent service install; systemctl start fleetmend-agent");

    let before = SystemClock.now();
    sh(&machine, "systemctl start nightly.service");
    let known = last_backup(&api, before);
    let whole = before.before(Duration::from_secs(1));
    assert!((whole..=SystemClock.now()).contains(&known), "{known}");
    // Of a reload systemd remembers less, and of a boot nothing.
    let from = SystemClock.now();
    sh(&machine, "systemctl daemon-reload; systemctl restart fleetmend-agent");
    let reloaded = last_backup(&api, from);
    assert!((known..=SystemClock.now()).contains(&reloaded), "{known} {reloaded}");
    sh(&machine, "systemctl reboot");
    let from = SystemClock.now();
    machine.restarted();
    let shown = sh(&machine, "systemctl show -P ExecMainExitTimestamp nightly.service");
    assert_eq!(shown.trim(), "", "systemd has forgotten it");
    assert_eq!(last_backup(&api, from), reloaded);
    sh(&machine, "systemctl stop fleetmend-agent");
    assert_eq!(overdue_after(&server, Duration::from_hours(7 * 24)), [""; 0]);
    assert_eq!(overdue_after(&server, Duration::from_hours(9 * 24)), ["backup.stale"]);
}
