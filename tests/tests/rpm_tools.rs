//! dnf, zypper and rpm themselves, with repositories of their own on a Debian root: what really failed
//! is found by their logs, repaired by order, and proved by running them again.

use fleetmend_tests::agent::{Agent, job_log, wait_host, wait_incident, wait_job};
use fleetmend_tests::api::Api;
use fleetmend_tests::programs::{Running, must, run, text};
use fleetmend_tests::root::Machine;
use fleetmend_tests::server::Server;
use fleetmend_tests::{PATIENCE, go_on, wait_for};
use serde_json::{Value, json};

fn sh(machine: &Machine, line: &str) -> String {
    must(machine.command("/bin/sh").args(["-ec", &format!("cd /\n{line}")]))
}

/// Runs what must fail, and gives what it printed.
fn fails(machine: &Machine, line: &str) -> String {
    let said = run(machine.command("/bin/sh").args(["-c", &format!("cd /\n{line}")]));
    let all = format!("{}{}", text(&said.stdout), text(&said.stderr));
    assert!(!said.status.success(), "{line}: {all}");
    all
}

/// A repository with one package in two versions, known to dnf and to zypper.
const REPOSITORY: &str = r"
export HOME=/root
mkdir -p /etc/rpm /etc/dnf/vars /etc/yum.repos.d /etc/zypp/repos.d /srv/repo /srv/build /srv/aside
echo '%_dbpath /var/lib/rpm' > /etc/rpm/macros
echo 1 > /etc/dnf/vars/releasever
for version in 1.0 2.0; do
  printf 'Name: example-app\nVersion: %s\nRelease: 1\nSummary: x\nLicense: x\nBuildArch: noarch\n%%description\nx\n%%files\n' $version > /srv/build/app.spec
  rpmbuild --define '_topdir /srv/build' --define '_rpmdir /srv/repo' -bb /srv/build/app.spec >/dev/null 2>&1
done
createrepo_c -q /srv/repo
printf '[local]\nname=local\nbaseurl=file:///srv/repo\nenabled=1\ngpgcheck=0\nskip_if_unavailable=0\n' > /etc/yum.repos.d/local.repo
cp /etc/yum.repos.d/local.repo /etc/zypp/repos.d/local.repo
rpm --initdb
dnf -y install example-app-1.0 >/dev/null
zypper --non-interactive refresh >/dev/null
";

fn mend(api: &Api, code: &str, cause: &str, remediation: &str, risk: &str) -> Value {
    let incident = wait_incident(api, code);
    assert_eq!(incident["cause"]["id"], cause, "{incident}");
    let job = order(api, &incident, remediation, risk);
    let ended = wait_job(api, &job);
    assert_eq!(ended["state"], "fixed", "{ended}\n{}", job_log(api, &job));
    ended
}

fn order(api: &Api, incident: &Value, remediation: &str, risk: &str) -> String {
    let id = incident["id"].as_str().expect("an id");
    let wish = json!({"max_risk": risk, "remediation": remediation, "reason": "test"});
    let (status, job) = api.post(&format!("/api/v1/incidents/{id}/remediate"), &wish);
    assert_eq!(status, 201, "{job}");
    job["id"].as_str().expect("an id").to_owned()
}

#[test]
fn dnf_zypper_and_rpm_are_repaired_by_their_own_means() {
    let Some(machine) = Machine::boot_with_tools() else { return };
    sh(&machine, REPOSITORY);
    // The mirror was just changing: what repomd.xml names has another checksum.
    sh(
        &machine,
        "cp /srv/repo/repodata/*primary.xml* /srv/aside/; for f in /srv/repo/repodata/*primary.xml*; do echo x >> $f; done",
    );
    // Nothing but the failure in the log: a success between two failures would end the count.
    fails(&machine, "dnf -y clean all; rm -f /var/log/dnf.log; dnf -y upgrade");
    // It passes by itself, mostly: an incident is what comes again and again. The same log, days before.
    sh(
        &machine,
        "cd /var/log; for days in 2 1; do sed \"s/^20..-..-../$(date -d \"-$days day\" +%F)/\" dnf.log; done > before; cat before dnf.log > all; mv all dnf.log",
    );
    let server = Server::start();
    let api = server.api();
    Agent::lay(machine.root());
    Agent::allow(machine.root(), "disruptive");
    Agent::enroll_in(&machine, &server, &server.enrollment_token(&[]));
    let _agent = Agent::run_in(&machine);
    wait_host(&api, "active");

    let incident = wait_incident(&api, "dnf.repo_fail");
    assert_eq!((&incident["product"], &incident["operation"]), (&json!("dnf"), &json!("install")));
    sh(&machine, "cp /srv/aside/*primary.xml* /srv/repo/repodata/");
    let job = mend(&api, "dnf.repo_fail", "dnf_metadata_stale", "dnf.refresh_metadata", "safe");
    assert_eq!(job["proof"], "repeated", "{job}");

    zypper_goes_on_without_a_repository(&machine, &api);
    zypper_waits_for_another(&machine, &api);

    // The database of rpm is damaged in its midst.
    sh(
        &machine,
        "dd if=/dev/urandom of=/var/lib/rpm/rpmdb.sqlite bs=1000 count=8 seek=5 conv=notrunc 2>/dev/null",
    );
    fails(&machine, "HOME=/root zypper --non-interactive update");
    let job = mend(&api, "rpm.db_corrupt", "rpm_db_damaged", "rpm.rebuild_db", "disruptive");
    assert_eq!(job["proof"], "probe_only", "{job}");
    sh(&machine, "rpmdb --verifydb; test -s /var/lib/rpm.fleetmend/rpmdb.sqlite");
}

/// The same damage, met by an update that refreshes by itself: it goes on with what it had.
fn zypper_goes_on_without_a_repository(machine: &Machine, api: &Api) {
    sh(
        machine,
        "echo autorefresh=1 >> /etc/zypp/repos.d/local.repo; printf '[main]\nrepo.refresh.delay = 0\n' > /etc/zypp/zypp.conf\n\
         cd /srv/repo/repodata; for f in *primary.xml*; do echo x >> $f; done; sed -i 's/<revision>.*</<revision>99</' repomd.xml",
    );
    let said = fails(machine, "HOME=/root zypper --non-interactive update");
    assert!(said.contains("Skipping repository 'local'"), "{said}");
    let incident = wait_incident(api, "zypper.repos_skipped");
    assert_eq!(
        (&incident["product"], &incident["operation"]),
        (&json!("zypper"), &json!("install"))
    );
    sh(machine, "cp /srv/aside/*primary.xml* /srv/repo/repodata/");
    let job = mend(
        api,
        "zypper.repos_skipped",
        "zypper_metadata_stale",
        "zypper.refresh_repositories",
        "safe",
    );
    assert_eq!(job["proof"], "repeated", "{job}");
    sh(machine, "HOME=/root zypper --non-interactive update");
}

/// A package's script hangs, and with it the zypper that installs it: the job waits for its end.
fn zypper_waits_for_another(machine: &Machine, api: &Api) {
    sh(
        machine,
        "mkfifo /srv/gate; printf 'Name: example-slow\nVersion: 1.0\nRelease: 1\nSummary: x\nLicense: x\nBuildArch: noarch\nProvides: /bin/sh\n%%description\nx\n%%pre\n: > /srv/hangs; read line < /srv/gate\n%%files\n' > /srv/build/slow.spec\n\
         HOME=/root rpmbuild --define '_topdir /srv/build' --define '_rpmdir /srv/repo' -bb /srv/build/slow.spec >/dev/null 2>&1; createrepo_c -q /srv/repo",
    );
    let slow = "export HOME=/root; zypper --non-interactive install example-slow";
    let log = machine.root().at("slow.log");
    let mut holder = Running::start(machine.command("/bin/sh").args(["-c", slow]), &log);
    wait_for("a script that hangs", PATIENCE, || {
        let hangs = machine.root().at("/srv/hangs").exists();
        if hangs { Ok(()) } else { Err(holder.printed()) }
    });
    let said = fails(machine, "HOME=/root zypper --non-interactive update");
    assert!(said.contains("System management is locked"), "{said}");
    let incident = wait_incident(api, "zypper.lock");
    assert_eq!(incident["cause"]["id"], "rpm_lock_held", "{incident}");
    let job = order(api, &incident, "rpm.wait_for_lock", "safe");
    wait_for("the holder's name", PATIENCE, || {
        let log = job_log(api, &job);
        if log.contains("rpm_lock_held: ") { Ok(()) } else { Err(log) }
    });
    go_on(&machine.root().at("/srv/gate"));
    let ended = wait_job(api, &job);
    assert_eq!(ended["state"], "fixed", "{ended}\n{}", job_log(api, &job));
    wait_for("the holder's end", PATIENCE, || holder.ended().ok_or_else(|| holder.printed()));
    sh(machine, "rpm -q example-slow");
}
