//! A small Linux root to break and repair: a copy of the template that `scripts/linux-root.sh`
//! makes, entered by chroot in process and mount namespaces of its own.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::programs::{Running, command, must, run, text};

/// A copy of the root, removed with its test.
#[derive(Debug)]
pub struct Root {
    folder: tempfile::TempDir,
}

impl Root {
    /// A fresh copy of the template; `None` (and *skipped* said) where there is none.
    pub fn copy() -> Option<Self> {
        Self::copy_of("FLEETMEND_TEST_ROOT")
    }

    /// A fresh copy of the template that can be booted; `None` (and *skipped* said) as above.
    pub fn copy_bootable() -> Option<Self> {
        Self::copy_of("FLEETMEND_TEST_SYSTEMD_ROOT")
    }

    /// A fresh copy of the template that has backup programs and the package tools of other
    /// distributions; `None` (and *skipped* said) as above.
    pub fn copy_with_tools() -> Option<Self> {
        Self::copy_of("FLEETMEND_TEST_TOOLS_ROOT")
    }

    fn copy_of(variable: &str) -> Option<Self> {
        let Some(template) = std::env::var_os(variable) else {
            crate::skip(&format!("no Linux root to break ({variable}): run scripts/test.sh"));
            return None;
        };
        let root = Self { folder: scratch().expect("a temporary folder") };
        let from = Path::new(&template).join(".");
        must(command("cp").args(["-a", "--reflink=auto"]).arg(from).arg(root.path()));
        Some(root)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path inside, seen from outside.
    pub fn at(&self, inside: &str) -> PathBuf {
        self.path().join(inside.trim_start_matches('/'))
    }

    /// A command that runs inside, in namespaces of its own; it and its children end with it.
    pub fn command(&self, program: &str) -> Command {
        let mut inside = command("unshare");
        inside
            .args(["-m", "-p", "-f", "--kill-child"])
            .arg(format!("--mount-proc={}", self.at("proc").display()))
            .arg("chroot")
            .arg(self.path())
            .arg(program)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8");
        inside
    }

    /// Runs a shell line inside, whatever comes of it.
    pub fn shell(&self, line: &str) -> Output {
        run(self.command("/bin/sh").args(["-c", line]))
    }

    /// Builds and installs a package whose post-installation script is `postinst`; gives what dpkg
    /// said, success or not.
    ///
    /// # Panics
    /// Where the package cannot be built.
    pub fn install(&self, name: &str, postinst: &str) -> String {
        let tree = self.at("tmp").join(name);
        let control = tree.join("DEBIAN");
        std::fs::create_dir_all(&control).expect("a folder in the root");
        let about = format!(
            "Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: Example <ops@example.com>\nDescription: package of a test\n"
        );
        std::fs::write(control.join("control"), about).expect("written");
        let script = control.join("postinst");
        std::fs::write(&script, format!("#!/bin/sh\n{postinst}\n")).expect("written");
        must(command("chmod").arg("755").arg(&script));
        must(self.command("/usr/bin/dpkg-deb").args(["-b", &format!("/tmp/{name}"), "/tmp"]));
        // The shell stands between the namespace's first process and dpkg, so that a script may
        // kill dpkg as a power cut would.
        let out = self.shell(&format!("dpkg -i /tmp/{name}_1.0_all.deb; echo exit $?"));
        format!("{}{}", text(&out.stdout), text(&out.stderr))
    }

    /// Leaves dpkg interrupted in the middle of configuring `example-app`: its script kills dpkg
    /// the first time and works the second.
    ///
    /// # Panics
    /// Where dpkg is not interrupted afterwards.
    pub fn interrupt_dpkg(&self) {
        let said = self.install(
            "example-app",
            "[ -e /var/lib/example-app.once ] || { : > /var/lib/example-app.once; kill -9 $PPID; }\necho example-app is configured",
        );
        assert!(said.contains("exit 137"), "dpkg was not interrupted: {said}");
        let check = self.shell("apt-get check");
        assert!(text(&check.stderr).contains("dpkg was interrupted"), "{check:?}");
    }

    /// Leaves dpkg interrupted with a package whose script can never succeed.
    ///
    /// # Panics
    /// Where dpkg is not interrupted afterwards.
    pub fn break_package_for_good(&self) {
        let said = self.install(
            "example-broken",
            "[ -e /var/lib/example-broken.once ] || { : > /var/lib/example-broken.once; kill -9 $PPID; }\necho 'example-broken: cannot reach the licence server' >&2\nexit 3",
        );
        assert!(said.contains("exit 137"), "dpkg was not interrupted: {said}");
    }
}

/// A number as the kernel writes an id.
fn uuid_of(number: u128) -> String {
    let digits = format!("{number:032x}");
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|at| &digits[at]).join("-")
}

/// What a root may come to hold, in bytes.
const ROOM: u64 = 4 << 30;

/// A folder for a root: in memory where there is room, because copies of hundreds of megabytes on
/// a disk make every write of the tests beside them wait.
fn scratch() -> std::io::Result<tempfile::TempDir> {
    const MEMORY: &str = "/dev/shm";
    let free = run(command("df").args(["--output=avail", "-B1", MEMORY]));
    let free = text(&free.stdout).lines().last().and_then(|n| n.trim().parse::<u64>().ok());
    if free.is_some_and(|free| free >= ROOM) {
        tempfile::tempdir_in(MEMORY)
    } else {
        tempfile::tempdir()
    }
}

/// What stands before systemd in its namespaces. It gets control groups of its own, or machines
/// beside each other would kill and count each other's units.
const BOOT: &str = r#"
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount -t cgroup2 cgroup2 "$1/mnt"
mkdir "$1/mnt/$2"
echo 0 > "$1/mnt/$2/cgroup.procs"
umount "$1/mnt"
exec unshare -C sh -c "$3" sh "$1"
"#;

/// The file systems that it wants to find. The root is pivoted to, not entered by chroot: units
/// could make no namespaces of their own below a chroot.
const MOUNTS: &str = r#"
set -e
mount -t proc proc "$1/proc"
mount -t sysfs sysfs "$1/sys"
mount -t tmpfs tmpfs "$1/sys/fs/cgroup" 2>/dev/null || true
mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
for folder in run tmp dev; do mount -t tmpfs tmpfs "$1/$folder"; done
for device in null zero full random urandom tty; do
  : > "$1/dev/$device"; mount --bind "/dev/$device" "$1/dev/$device"
done
mkdir "$1/dev/pts" "$1/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/dev/pts"
ln -s pts/ptmx "$1/dev/ptmx"
[ ! -e "$1/boot_id" ] || mount --bind "$1/boot_id" "$1/proc/sys/kernel/random/boot_id"
cd "$1"
pivot_root . mnt
umount -l /mnt
exec /usr/bin/env -i container=chroot PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --log-target=journal --show-status=false
"#;

/// What runs in a machine, what it waits for in the kernel, and its last words.
const STANDS: &str = r#"
for p in /proc/[0-9]*; do
  printf '%s %s %s\n' "${p#/proc/}" "$(cat $p/wchan)" "$(tr '\0' ' ' < $p/cmdline)"
done 2>/dev/null
timeout 10 journalctl -q --no-pager -n 40
"#;

/// A root whose own systemd runs, in namespaces of its own.
#[derive(Debug)]
pub struct Machine {
    boot: Running,
    init: String,
    root: Root,
    group: String,
}

impl Machine {
    /// Boots a copy of the bootable template; `None` (and *skipped* said) where there is none, or
    /// where this machine does not let systemd start in a namespace.
    pub fn boot() -> Option<Self> {
        Self::boot_root(Root::copy_bootable()?)
    }

    /// The same of the template with backup programs and package tools.
    pub fn boot_with_tools() -> Option<Self> {
        Self::boot_root(Root::copy_with_tools()?)
    }

    fn boot_root(root: Root) -> Option<Self> {
        // As unique as the folder.
        let name = root.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let group = format!("fleetmend-{name}");
        match start(&root, &group) {
            Ok((boot, init)) => Some(Self { boot, init, root, group }),
            Err(said) => {
                crate::skip(&format!("systemd cannot be booted here: {said}"));
                None
            }
        }
    }

    /// Waits until the machine's own systemd asks the kernel for a restart, and boots it again: what a
    /// manager of containers does. The new boot has an id of its own; the kernel's would be the same.
    ///
    /// # Panics
    /// Where it ends otherwise, or does not come up again.
    pub fn restarted(&mut self) {
        // reboot(2): asked for a restart, the kernel ends the first process of a pid namespace by SIGHUP.
        const HANGUP: i32 = 1;
        let ended = crate::wait_for("the machine's restart", crate::PATIENCE, || {
            self.boot.ended().ok_or_else(|| "it still runs".to_owned())
        });
        assert_eq!(ended.signal(), Some(HANGUP), "no restart was asked for: {ended}");
        remove_group(&self.group);
        let id = uuid_of(fastrand::u128(..));
        std::fs::write(self.root.at("boot_id"), format!("{id}\n")).expect("written");
        let (boot, init) = start(&self.root, &self.group).expect("it comes up again");
        (self.boot, self.init) = (boot, init);
    }

    /// The root it runs in.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// A command that runs inside.
    pub fn command(&self, program: &str) -> Command {
        inside(&self.init, program)
    }

    /// What systemd printed.
    pub fn printed(&self) -> String {
        self.boot.printed()
    }
}

impl Drop for Machine {
    /// Tells what stood still where the test failed. Leaves no control groups behind: they live as
    /// long as the kernel.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = run(self.command("/bin/sh").args(["-c", STANDS]));
            println!("---- what runs in the machine\n{}", text(&said.stdout));
        }
        self.boot.kill();
        remove_group(&self.group);
    }
}

/// Boots a root, and waits until its systemd is up; gives it with its first process, or what it said.
fn start(root: &Root, group: &str) -> Result<(Running, String), String> {
    let mut start = command("unshare");
    start.args(["-m", "-p", "-f", "-C", "-u", "-i", "--kill-child", "sh", "-c", BOOT, "sh"]);
    start.arg(root.path()).args([group, MOUNTS]);
    let mut boot = Running::start(&mut start, &root.at("boot.log"));
    let children = format!("/proc/{0}/task/{0}/children", boot.id());
    let up = crate::wait_for("systemd", crate::PATIENCE, || {
        if boot.ended().is_some() {
            return Ok(None);
        }
        let init = std::fs::read_to_string(&children).map_err(|e| e.to_string())?;
        let init = init.trim().to_owned();
        if init.is_empty() {
            return Err("no first process yet".to_owned());
        }
        let said = run(inside(&init, "/usr/bin/systemctl").arg("is-system-running"));
        match text(&said.stdout).trim() {
            "running" | "degraded" => Ok(Some(init)),
            other => Err(other.to_owned()),
        }
    });
    match up {
        Some(init) => Ok((boot, init)),
        None => Err(boot.printed()),
    }
}

/// Removes a machine's control groups.
fn remove_group(name: &str) {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mounts = read("/proc/self/mounts");
    let mount = mounts.lines().find(|line| line.starts_with("cgroup2 "));
    let mount = mount.and_then(|line| line.split(' ').nth(1));
    let ours = read("/proc/self/cgroup");
    let ours = ours.lines().find_map(|line| line.strip_prefix("0::/"));
    if let (Some(mount), Some(ours)) = (mount, ours) {
        let group = Path::new(mount).join(ours).join(name);
        // Processes that were killed just now may take a moment to be gone.
        for _ in 0..100 {
            remove_groups(&group);
            if !group.exists() {
                break;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
    }
}

/// Best effort: what a dying process still holds stays.
fn remove_groups(group: &Path) {
    for inner in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if inner.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&inner.path());
        }
    }
    let _ = std::fs::remove_dir(group);
}

/// A command in the namespaces of a process.
pub(crate) fn inside(init: &str, program: &str) -> Command {
    let mut enter = command("nsenter");
    enter.args(["-t", init, "-a", "-r", "-w/", program]);
    enter.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
    enter
}
