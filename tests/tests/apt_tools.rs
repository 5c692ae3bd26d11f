//! apt's remediations on a real root with a repository of its own: what dpkg and apt really left, and
//! their own means against it.

use fleetmend_tests::agent::{Agent, job_log, wait_host, wait_incident, wait_job};
use fleetmend_tests::api::Api;
use fleetmend_tests::debs::REPOSITORY;
use fleetmend_tests::programs::{must, run, text};
use fleetmend_tests::root::Machine;
use fleetmend_tests::server::Server;
use serde_json::json;

fn sh(machine: &Machine, line: &str) -> String {
    must(machine.command("/bin/sh").args(["-ec", &format!("cd /\n{line}")]))
}

fn order(api: &Api, code: &str, cause: &str, remediation: &str, risk: &str) -> String {
    let incident = wait_incident(api, code);
    assert_eq!(incident["cause"]["id"], cause, "{incident}");
    let id = incident["id"].as_str().expect("an id");
    let wish = json!({"max_risk": risk, "remediation": remediation, "reason": "test"});
    let (status, job) = api.post(&format!("/api/v1/incidents/{id}/remediate"), &wish);
    assert_eq!(status, 201, "{job}");
    job["id"].as_str().expect("an id").to_owned()
}

fn fixed(api: &Api, job: &str) -> String {
    let ended = wait_job(api, job);
    let log = job_log(api, job);
    assert_eq!(
        (&ended["state"], &ended["proof"]),
        (&json!("fixed"), &json!("repeated")),
        "{ended}\n{log}"
    );
    log
}

/// Lines of unattended-upgrades, as it writes them: what passes by itself is an incident only where it
/// comes again for days.
fn unattended(machine: &Machine, error: &str) {
    let log = "/var/log/unattended-upgrades";
    sh(
        machine,
        &format!(
            "mkdir -p {log}; for days in 2 1 0; do printf '%s ERROR %s\\n' \"$(date -d \"-$days day\" '+%F %T,000')\" '{error}'; done >> {log}/unattended-upgrades.log"
        ),
    );
}

#[test]
fn apt_is_repaired_by_its_own_means() {
    let Some(machine) = Machine::boot() else { return };
    // A small /var, so that it can be filled.
    sh(
        &machine,
        "mount -t tmpfs -o size=300m tmpfs /mnt; cp -a /var/. /mnt/; mount --move /mnt /var",
    );
    let with = |line: &str| sh(&machine, &format!("{REPOSITORY}\n{line}"));
    with(
        "rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*\n\
         echo 'deb [trusted=yes] file:/srv/apt ./' > /etc/apt/sources.list\n\
         deb example-lib '' '' ''\n\
         deb example-app example-lib '' ''\n\
         deb example-half '' preinst '[ -e /srv/once ] || { : > /srv/once; kill -9 $PPID; }'\n\
         index; apt-get -q update >/dev/null",
    );
    let server = Server::start();
    let api = server.api();
    Agent::lay(machine.root());
    Agent::allow(machine.root(), "disruptive");
    Agent::enroll_in(&machine, &server, &server.enrollment_token(&[]));
    let _agent = Agent::run_in(&machine);
    wait_host(&api, "active");

    // Forced in without what it needs.
    run(machine.command("/usr/bin/dpkg").args([
        "--force-depends",
        "-i",
        "/srv/apt/example-app.deb",
    ]));
    let job = order(&api, "apt.broken_deps", "apt_broken_deps", "apt.fix_broken", "disruptive");
    fixed(&api, &job);
    let state = sh(&machine, "dpkg-query -W -f '${Status}' example-lib");
    assert_eq!(state, "install ok installed");

    // dpkg is killed while it unpacks: the package is half there.
    run(machine.command("/usr/bin/dpkg").args(["-i", "/srv/apt/example-half.deb"]));
    let job = order(
        &api,
        "apt.half_installed",
        "package_half_installed",
        "apt.reinstall_package",
        "disruptive",
    );
    fixed(&api, &job);

    // The mirror was just changing.
    with(
        "cp /srv/apt/Release /srv/Release; cd /srv/apt; sed -i 's/^ [0-9a-f]\\{8\\}/ 00000000/' Release",
    );
    let said = run(machine.command("/usr/bin/apt-get").args(["-q", "update"]));
    let said = format!("{}{}", text(&said.stdout), text(&said.stderr));
    assert!(said.contains("Hash Sum mismatch"), "{said}");
    unattended(
        &machine,
        "An error occurred: Failed to fetch file:/srv/apt/./Packages  Hash Sum mismatch",
    );
    sh(&machine, "cp /srv/Release /srv/apt/Release");
    let job = order(&api, "apt.hash_mismatch", "apt_lists_damaged", "apt.refresh_lists", "safe");
    fixed(&api, &job);

    // /var is full of packages that can be fetched again.
    sh(&machine, "head -c 150000000 /dev/zero > /var/cache/apt/archives/example-big_1.0_all.deb");
    unattended(&machine, "An error occurred: [Errno 28] No space left on device");
    let job =
        order(&api, "fs.disk_full", "linux_disk_full", "free_disk_space.apt_cache", "disruptive");
    fixed(&api, &job);
    let check = must(machine.command("/usr/bin/dpkg").arg("--audit"));
    assert_eq!(check, "", "dpkg is in order");
}
