//! A root of a few files, made in a moment: the dev build of the agent, and a dpkg and an apt-get
//! that are small scripts, so that hundreds of agents can be ended in it. Each run of a step leaves a
//! line in `/lab/effects`: a step that ran twice shows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::{command, must, ours, run};

/// Where the agent lies in the root.
pub const AGENT: &str = "/usr/bin/fleetmend-agent";
/// The agent's state directory in the root.
pub const STATE: &str = "/var/lib/fleetmend-agent";

const TOOLS: [&str; 5] = ["/bin/sh", "/bin/sleep", "/bin/mv", "/bin/rm", "/bin/cat"];

/// What stands before a program in its namespaces: its own /proc, a null device, a boot id.
const ENTER: &str = r#"
set -e
mount --bind /dev/null "$1/dev/null"
mount --bind "$1/lab/boot_id" "$1/proc/sys/kernel/random/boot_id"
exec chroot "$@"
"#;

/// dpkg as a script: `--configure` is counted at its beginning and at its end.
const DPKG: &str = r#"#!/bin/sh
read cycle < /lab/cycle
case "$*" in
  *--audit*) [ ! -e /lab/broken ] || echo "The following packages are in a mess: cycle-$cycle" ;;
  *--configure*)
    echo "configure begin $cycle" >> /lab/effects
    echo "Setting up cycle-$cycle (1.0) ..."
    sleep 0.1
    cat /lab/status.good > /var/lib/dpkg/status.new
    mv /var/lib/dpkg/status.new /var/lib/dpkg/status
    rm -f /lab/broken
    echo "configure end $cycle" >> /lab/effects ;;
esac
"#;

/// apt-get as a script: `clean` is counted; `update` and `check` may be repeated as proof.
const APT_GET: &str = r#"#!/bin/sh
read cycle < /lab/cycle
case "$*" in
  *clean*)
    echo "clean begin $cycle" >> /lab/effects
    sleep 0.1
    echo "clean end $cycle" >> /lab/effects ;;
  *update*) echo "Reading package lists..." ;;
  *)
    if [ -e /lab/broken ]; then
      echo "E: The package cycle-$cycle needs to be reinstalled"
      exit 100
    fi
    echo "Reading package lists..." ;;
esac
"#;

/// The root.
#[derive(Debug)]
pub struct MiniRoot {
    folder: tempfile::TempDir,
}

impl MiniRoot {
    /// Makes one; `None` (and *skipped* said) where this user may not enter roots.
    ///
    /// # Panics
    /// Where its files cannot be written.
    pub fn create() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = Self { folder };
        let agent = ours("fleetmend-agent");
        copy(&agent, &root.at(AGENT));
        for tool in TOOLS {
            copy(Path::new(tool), &root.at(tool));
        }
        for program in TOOLS.iter().map(Path::new).chain([agent.as_path()]) {
            for library in libraries(program) {
                if !root.at(&library).exists() {
                    copy(Path::new(&library), &root.at(&library));
                }
            }
        }
        root.put("/usr/bin/dpkg", DPKG);
        root.put("/usr/bin/apt-get", APT_GET);
        must(
            command("chmod")
                .arg("755")
                .args([root.at("/usr/bin/dpkg"), root.at("/usr/bin/apt-get")]),
        );
        for folder in
            ["/proc", "/tmp", "/var/lib/dpkg/updates", "/var/log/apt", "/var/lib/apt/lists"]
        {
            std::fs::create_dir_all(root.at(folder)).expect("a folder");
        }
        root.put("/dev/null", "");
        root.put("/etc/os-release", "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n");
        root.put("/etc/fleetmend-agent/agent.toml", "collect_every_s = 1\nrecheck_every_s = 1\n");
        root.put("/etc/fleetmend-agent/ceiling.toml", "risk = \"disruptive\"\n");
        root.put("/lab/cycle", "0\n");
        root.put("/lab/effects", "");
        root.put("/lab/status.good", stanza("example-app", "install ok installed"));
        root.put("/var/lib/dpkg/status", stanza("example-app", "install ok installed"));
        root.reboot();
        let tried = run(root.command("/bin/sh").args(["-c", "exit 0"]));
        if !tried.status.success() {
            let why = String::from_utf8_lossy(&tried.stderr).trim().to_owned();
            crate::skip(&format!("roots cannot be entered here (run as root): {why}"));
            return None;
        }
        Some(root)
    }

    /// A path inside, seen from outside.
    pub fn at(&self, inside: impl AsRef<str>) -> PathBuf {
        self.folder.path().join(inside.as_ref().trim_start_matches('/'))
    }

    /// A command that runs inside, in namespaces of its own; all in them ends with it.
    pub fn command(&self, program: &str) -> Command {
        let mut inside = command("unshare");
        inside
            .args(["-m", "-p", "-f", "--kill-child"])
            .arg(format!("--mount-proc={}", self.at("proc").display()))
            .args(["sh", "-c", ENTER, "sh"])
            .arg(self.folder.path())
            .arg(program)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8");
        inside
    }

    /// From the next start of its agent on, the machine was restarted.
    pub fn reboot(&self) {
        let (high, low) = (fastrand::u64(..), fastrand::u64(..));
        let id = format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}\n",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        );
        // In place: the file is bound into /proc.
        self.put("/lab/boot_id", id);
    }

    /// Breaks a package: `cycle-N` is installed by half, and only the next run of the script mends it.
    pub fn break_package(&self, cycle: u64) {
        self.put("/lab/cycle", format!("{cycle}\n"));
        self.put("/lab/broken", "");
        let name = format!("cycle-{cycle}");
        let status = stanza("example-app", "install ok installed")
            + &stanza(&name, "install reinstreq half-installed");
        self.replace("/var/lib/dpkg/status", &status);
    }

    /// Damages the package lists, as an error of unattended-upgrades tells.
    ///
    /// # Panics
    /// Where the log cannot be written.
    pub fn damage_lists(&self, cycle: u64) {
        self.put("/lab/cycle", format!("{cycle}\n"));
        std::fs::create_dir_all(self.at("/var/lib/apt/lists/partial")).expect("a folder");
        self.put(&format!("/var/lib/apt/lists/partial/{cycle}"), "half a list\n");
        let time = clock().replace("  ", " ");
        self.append(
            "/var/log/unattended-upgrades/unattended-upgrades.log",
            &format!("{time},000 ERROR E:Failed to fetch http://example.com/ Hash Sum mismatch\n"),
        );
    }

    /// The host's admin puts right what is still broken.
    pub fn mend(&self) {
        self.replace("/var/lib/dpkg/status", &stanza("example-app", "install ok installed"));
        let _ = std::fs::remove_file(self.at("/lab/broken"));
    }

    /// Lets apt's log tell of one more run, in which the scripts of these packages failed.
    ///
    /// # Panics
    /// Where the log cannot be written.
    pub fn fail(&self, packages: &[String]) {
        let now = clock();
        let mut text = format!("\nLog started: {now}\n");
        for package in packages {
            let _ = write!(
                text,
                "dpkg: error processing archive /tmp/{package}_1.0_all.deb (--unpack):\n new {package} package pre-installation script subprocess returned error exit status 1\n"
            );
        }
        let _ = writeln!(text, "Log ended: {now}");
        self.append("/var/log/apt/term.log", &text);
    }

    /// How often each step was begun and ended in each cycle: `configure begin 7` → times.
    pub fn effects(&self) -> BTreeMap<String, u32> {
        let text = std::fs::read_to_string(self.at("/lab/effects")).unwrap_or_default();
        text.lines().fold(BTreeMap::new(), |mut times, line| {
            *times.entry(line.to_owned()).or_default() += 1;
            times
        })
    }

    /// Writes a file of the root, with its folders.
    ///
    /// # Panics
    /// Where that fails.
    pub fn put(&self, inside: &str, text: impl AsRef<[u8]>) {
        let path = self.at(inside);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("written");
    }

    fn replace(&self, inside: &str, text: &str) {
        let new = format!("{inside}.of-test");
        self.put(&new, text);
        std::fs::rename(self.at(&new), self.at(inside)).expect("renamed");
    }

    fn append(&self, inside: &str, text: &str) {
        let path = self.at(inside);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        std::io::Write::write_all(&mut file.expect("a log"), text.as_bytes()).expect("written");
    }
}

/// The wall clock in a moment: what is not later than the end of the last job is old news.
fn clock() -> String {
    let now = must(command("date").args(["-u", "-d", "+1 second", "+%F  %T"]));
    now.trim().to_owned()
}

fn stanza(name: &str, status: &str) -> String {
    format!(
        "Package: {name}\nStatus: {status}\nMaintainer: Example <ops@example.com>\nArchitecture: all\nVersion: 1.0\nDescription: package of a test\n\n"
    )
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().expect("a parent")).expect("a folder");
    std::fs::copy(from, to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
}

/// The libraries that a program is linked with, by their paths.
fn libraries(program: &Path) -> Vec<String> {
    let said = must(command("ldd").arg(program));
    let words = said.split_whitespace();
    words.filter(|word| word.starts_with('/') && !word.ends_with(':')).map(str::to_owned).collect()
}
