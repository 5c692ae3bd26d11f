//! The workspace's own programs, and any others, as child processes that never outlive their test.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

/// A command, the one way tests start programs.
#[expect(clippy::disallowed_methods, reason = "tests start the programs they test")]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// The path of one of our programs, beside the test's own.
///
/// # Panics
/// Where it is not built: `cargo build --workspace --bins` does.
pub fn ours(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let folder = test.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>");
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: run `cargo build --workspace --bins`", path.display());
    path
}

/// Runs a program to its end.
///
/// # Panics
/// Where it cannot be started.
pub fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

/// Runs a program that must succeed, and gives its standard output.
///
/// # Panics
/// Where it fails, with all it printed.
pub fn must(command: &mut Command) -> String {
    let output = run(command);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A program that is ended, by its id, when its test ends. Its output goes to a file that a failing
/// test prints.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts it with standard output and error to `log`.
    ///
    /// # Panics
    /// Where it cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let file = std::fs::File::create(log).expect("a log file in the test's folder");
        let again = file.try_clone().expect("a second handle");
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(again)
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Self { child, log: log.into() }
    }

    /// All it printed so far.
    pub fn printed(&self) -> String {
        let mut all = String::new();
        if let Ok(mut file) = std::fs::File::open(&self.log) {
            let mut bytes = Vec::new();
            let _ = file.read_to_end(&mut bytes);
            all = text(&bytes);
        }
        all
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, where it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end (SIGTERM) and waits.
    ///
    /// # Panics
    /// Where it does not end.
    pub fn stop(&mut self) -> ExitStatus {
        must(command("kill").arg("-TERM").arg(self.id().to_string()));
        let mut status = None;
        crate::wait_for("the program to end", crate::PATIENCE, || {
            status = self.child.try_wait().map_err(|e| e.to_string())?;
            status.map(|_| ()).ok_or_else(|| "still running".to_owned())
        });
        status.expect("just seen")
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ends it and its children at once, and waits until they are gone.
    ///
    /// # Panics
    /// Where they do not end.
    pub fn kill_with_children(&mut self) {
        let children = self.children();
        self.kill();
        for child in children.split_whitespace() {
            // Usually it has ended with its parent; not where it was only just made.
            let _ = run(command("kill").args(["-KILL", child]));
            let stat = format!("/proc/{child}/stat");
            crate::wait_for("the end of its children", crate::PATIENCE, || {
                let stat = std::fs::read_to_string(&stat).unwrap_or_default();
                if stat.is_empty() || stat.contains(") Z ") { Ok(()) } else { Err(stat) }
            });
        }
    }

    /// Its children, once it has some: it was started to have them.
    pub(crate) fn children(&mut self) -> String {
        let path = format!("/proc/{0}/task/{0}/children", self.id());
        crate::wait_for("its children", crate::PATIENCE, || {
            let children = std::fs::read_to_string(&path).unwrap_or_default();
            let is_over = self.ended().is_some();
            if is_over || !children.trim().is_empty() { Ok(children) } else { Err(children) }
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            println!("---- {}\n{}", self.log.display(), self.printed());
        }
    }
}
