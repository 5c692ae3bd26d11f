//! dnf, zypper and rpm themselves, with repositories of their own on a Debian root: what really failed
//! is found by their logs, repaired by order, and proved by running them again.

use fleetmend_tests::agent::{Agent, job_log, wait_host, wait_incident, wait_job};
use fleetmend_tests::api::Api;
use fleetmend_tests::programs::{must, run, text};
use fleetmend_tests::root::Machine;
use fleetmend_tests::server::Server;
use serde_json::json;

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

fn mend(api: &Api, code: &str, cause: &str, remediation: &str, risk: &str) -> serde_json::Value {
    let incident = wait_incident(api, code);
    assert_eq!(incident["cause"]["id"], cause, "{incident}");
    let id = incident["id"].as_str().expect("an id");
    let wish = json!({"max_risk": risk, "remediation": remediation, "reason": "test"});
    let (status, job) = api.post(&format!("/api/v1/incidents/{id}/remediate"), &wish);
    assert_eq!(status, 201, "{job}");
    let job = job["id"].as_str().expect("an id");
    let ended = wait_job(api, job);
    assert_eq!(ended["state"], "fixed", "{ended}\n{}", job_log(api, job));
    ended
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
