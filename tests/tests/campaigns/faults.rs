//! Five ways in which apt stands still, each made by apt and dpkg themselves.

use std::path::Path;

use fleetmend_tests::agent::Agent;
use fleetmend_tests::debs::{REPOSITORY, THIRD_TIME_LUCKY};
use fleetmend_tests::disk::SmallDisk;
use fleetmend_tests::programs::{Running, command, must, text};
use fleetmend_tests::root::Root;

use crate::mirror::Mirror;

/// Runs a shell line in a root, with the functions of a repository; it must succeed.
pub(crate) fn sh(root: &Root, line: &str) -> String {
    must(root.command("/bin/sh").args(["-ec", &format!("cd /\n{REPOSITORY}\n{line}")]))
}

/// What apt prints when it is called in a root, as on a terminal: it writes its own log.
fn apt(root: &Root, arguments: &str) -> String {
    let terminal = "mkdir -p /dev/pts; mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts; ln -sf pts/ptmx /dev/ptmx";
    let out =
        root.shell(&format!("{terminal}; DEBIAN_FRONTEND=noninteractive apt-get {arguments}"));
    format!("{}{}", text(&out.stdout), text(&out.stderr))
}

/// A source of its own with two packages, one of which needs the other.
pub(crate) fn own_repository(root: &Root) {
    sh(
        root,
        "rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*\n\
         echo 'deb [trusted=yes] file:/srv/apt ./' > /etc/apt/sources.list\n\
         deb example-lib '' '' ''; deb example-app example-lib '' ''\n\
         index; apt-get -q update >/dev/null",
    );
}

/// dpkg was killed while it configured a package.
pub(crate) fn interrupted(root: &Root) {
    let said = root.install("example-app", THIRD_TIME_LUCKY);
    assert!(said.contains("exit 137"), "dpkg was not interrupted: {said}");
}

/// Somebody else finishes what dpkg has begun, and hangs with its lock.
pub(crate) fn finishing_hangs(root: &Root, agent: &mut Agent) -> Running {
    let mut finish = agent.beside("/usr/bin/dpkg");
    let running = Running::start(finish.args(["--configure", "-a"]), &root.at("finish.log"));
    held(root, "/var/lib/example-app.gate");
    running
}

/// A package was forced in without what it needs.
pub(crate) fn broken_dependencies(root: &Root) {
    own_repository(root);
    root.shell("dpkg --force-depends -i /srv/apt/example-app.deb");
    let check = root.shell("apt-get check");
    assert!(text(&check.stderr).contains("nmet dependencies"), "{check:?}");
}

/// An installation from its own repository hangs in a hook, with apt's lock; another one is refused.
pub(crate) fn held_lock(root: &Root, agent: &mut Agent) -> Running {
    let hook = "DPkg::Pre-Invoke::=mkfifo /srv/gate; read line < /srv/gate";
    let mut hangs = agent.beside("/usr/bin/apt-get");
    hangs.args(["-q", "-y", "-o", hook, "install", "example-lib"]);
    let running = Running::start(&mut hangs, &root.at("hangs.log"));
    held(root, "/srv/gate");
    let refused = fleetmend_tests::programs::run(agent.beside("/usr/bin/apt-get").args([
        "-q",
        "-y",
        "install",
        "example-app",
    ]));
    let said = text(&refused.stderr);
    let line = said.lines().find(|l| l.contains("Could not get lock")).unwrap_or_default();
    assert!(line.contains("(apt-get)"), "{refused:?}");
    unattended(root, line.trim_start_matches("E: "));
    running
}

/// Waits until the holder has come so far.
fn held(root: &Root, gate: &str) {
    fleetmend_tests::wait_for("a hanging holder", fleetmend_tests::PATIENCE, || {
        if root.at(gate).exists() { Ok(()) } else { Err(format!("no {gate}")) }
    });
}

/// A small /var, full of packages that can be fetched again: the next installation fails.
pub(crate) fn full_disk(root: &Root) -> Option<SmallDisk> {
    let aside = root.at("/srv/var");
    must(command("cp").arg("-a").arg(root.at("/var")).arg(&aside));
    must(command("find").arg(root.at("/var")).args(["-mindepth", "1", "-delete"]));
    let disk = SmallDisk::make_at(&root.at("/var"), 300 * 1024)?;
    must(command("chmod").arg("755").arg(disk.path()));
    must(command("cp").arg("-a").arg(aside.join(".")).arg(disk.path()));
    must(command("rm").arg("-r").arg(&aside));
    own_repository(root);
    sh(
        root,
        "mkdir -p /srv/build/example-big/var/lib/example-big\n\
         head -c 90000000 /dev/zero > /srv/build/example-big/var/lib/example-big/blob\n\
         deb example-big '' '' ''; index; apt-get -q update >/dev/null; rm -r /srv/build/example-big",
    );
    let free = || {
        let free = must(command("df").args(["--output=avail", "-B1"]).arg(disk.path()));
        free.lines().last().and_then(|l| l.trim().parse::<u64>().ok()).expect("a number")
    };
    let ballast = root.at("/var/cache/apt/archives/example-old_1.0_all.deb");
    fill(&ballast, free() - 60_000_000);
    let said = apt(root, "-q -y install example-big");
    assert!(said.contains("No space left on device"), "{said}");
    Some(disk)
}

fn fill(file: &Path, bytes: u64) {
    let mut made = std::fs::File::create(file).expect("a file");
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), bytes), &mut made).expect("room");
}

/// A cache before the mirror gives old lists.
pub(crate) fn stale_mirror(root: &Root) -> Mirror {
    own_repository(root);
    let mirror = Mirror::start(&root.at("/srv/apt"));
    let source = format!("deb [trusted=yes] {} ./\n", mirror.address);
    std::fs::write(root.at("/etc/apt/sources.list"), source).expect("written");
    mismatch(root);
    mirror
}

fn mismatch(root: &Root) {
    let said = apt(root, "-q update");
    let line = said.lines().find(|l| l.contains("Hash Sum mismatch"));
    let line = line.unwrap_or_else(|| panic!("{said}"));
    unattended(root, &format!("An error occurred: {}", line.trim_start_matches("E: ")));
}

/// The mirror was just changing: its lists are not what it says of them. Kept in `/srv/Release` is what
/// is right.
pub(crate) fn damaged_mirror(root: &Root) {
    own_repository(root);
    sh(root, "cp /srv/apt/Release /srv/; sed -i 's/^ [0-9a-f]\\{8\\}/ 00000000/' /srv/apt/Release");
    mismatch(root);
}

/// apt's words, as unattended-upgrades writes them into its log: the root is too small to have it.
fn unattended(root: &Root, error: &str) {
    let log = "/var/log/unattended-upgrades";
    sh(
        root,
        &format!(
            "mkdir -p {log}; printf '%s ERROR %s\\n' \"$(date '+%F %T,000')\" '{error}' >> {log}/unattended-upgrades.log"
        ),
    );
}
