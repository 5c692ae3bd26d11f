//! A small Linux root to break and repair: a copy of the template that `scripts/linux-root.sh`
//! makes, entered by chroot in process and mount namespaces of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::programs::{command, must, run, text};

/// A copy of the root, removed with its test.
#[derive(Debug)]
pub struct Root {
    folder: tempfile::TempDir,
}

impl Root {
    /// A fresh copy of the template; `None` (and *skipped* said) where there is none.
    pub fn copy() -> Option<Self> {
        let Some(template) = std::env::var_os("FLEETMEND_TEST_ROOT") else {
            crate::skip("no Linux root to break (FLEETMEND_TEST_ROOT): run scripts/test.sh");
            return None;
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = Self { folder };
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
