//! Questions about rpm's database and the tools that work on it: rpm, dnf, zypper, PackageKit.

use std::fs;
use std::path::Path;

use fleetmend_core::evidence::{Answer, Finding};

use super::processes::{Process, named};
use super::{ask, with_value, words};
use crate::collect::live::lock;
use crate::platform::Platform;

/// rpm's own lock, in both places of its database.
const LOCKS: [&str; 2] = ["var/lib/rpm/.rpm.lock", "usr/lib/sysimage/rpm/.rpm.lock"];
/// Where the tools leave their process ids. That such a file is there means nothing: its process must
/// live, and be one of [`TOOLS`].
const PIDS: [&str; 7] = [
    "run/zypp.pid",
    "run/yum.pid",
    "run/dnf.pid",
    "var/cache/dnf/metadata_lock.pid",
    "var/cache/dnf/download_lock.pid",
    "var/lib/dnf/rpmdb_lock.pid",
    "run/packagekitd.pid",
];
const TOOLS: [&str; 8] =
    ["dnf", "dnf-3", "dnf5", "dnf-automatic", "yum", "zypper", "packagekitd", "y2base"];

/// Who works on rpm's packages now, in words and as `pid name`.
fn worker(root: &Path) -> Result<Option<(String, String)>, String> {
    let held =
        lock::holder(root, &LOCKS).map_err(|e| format!("rpm's lock cannot be asked: {e}"))?;
    if let Some(held) = held {
        let name = held.name.clone().unwrap_or_else(|| "?".to_owned());
        let value = held.pid.map_or_else(|| "?".to_owned(), |pid| format!("{pid} {name}"));
        return Ok(Some((held.to_string(), value)));
    }
    for file in PIDS {
        let Ok(text) = fs::read_to_string(root.join(file)) else { continue };
        let Some(pid) = text.split_whitespace().next().and_then(|t| t.parse::<u32>().ok()) else {
            continue;
        };
        let Some(process) = Process::read(root, pid) else { continue };
        if let Some(tool) = TOOLS.iter().find(|tool| process.is(tool)) {
            let words = format!("/{file} names process {pid} ({tool}), which runs");
            return Ok(Some((words, format!("{pid} {tool}"))));
        }
    }
    Ok(None)
}

pub(super) fn lock_held(root: &Path) -> Finding {
    match worker(root) {
        Ok(Some((words, value))) => with_value(Answer::Yes, words, value),
        Ok(None) => Finding::new(Answer::No, "no process works on rpm's packages"),
        Err(why) => Finding::unknown(why),
    }
}

pub(super) async fn db_damaged(platform: &dyn Platform) -> Finding {
    match worker(platform.root()) {
        Ok(Some((words, _))) => return Finding::unknown(format!("a tool is at work: {words}")),
        Ok(None) => {}
        Err(why) => return Finding::unknown(why),
    }
    match ask(platform, "/usr/bin/rpmdb", &["--verifydb"]).await {
        Ok(exit) if exit.status == Some(0) => {
            Finding::new(Answer::No, "rpmdb --verifydb ended with 0")
        }
        Ok(exit) => {
            let said = words(&exit.text());
            let proof = format!("rpmdb --verifydb ended with {:?}: {said}", exit.status);
            Finding::new(Answer::Yes, proof)
        }
        Err(why) => Finding::unknown(why),
    }
}

pub(super) async fn dnf_check(platform: &dyn Platform) -> Finding {
    if let Ok(Some((words, _))) = worker(platform.root()) {
        return Finding::unknown(format!("a tool is at work: {words}"));
    }
    match ask(platform, "/usr/bin/dnf", &["-q", "-C", "check"]).await {
        Ok(exit) => {
            let said = words(&exit.text());
            match exit.status {
                Some(0) => Finding::new(Answer::No, "dnf check ended with 0"),
                // It ends with 1 for troubles of its own, too.
                Some(1) if said.contains("Check discovered") || said.contains("has missing") => {
                    Finding::new(Answer::Yes, format!("dnf check: {said}"))
                }
                other => Finding::unknown(format!("dnf check ended with {other:?}: {said}")),
            }
        }
        Err(why) => Finding::unknown(why),
    }
}

pub(super) fn process_runs(root: &Path, programs: &[String]) -> Finding {
    for program in programs {
        match named(root, program) {
            Ok(Some(process)) => {
                let pid = process.id.to_string();
                return with_value(Answer::Yes, format!("{program} runs as process {pid}"), pid);
            }
            Ok(None) => {}
            Err(e) => return Finding::unknown(format!("the processes cannot be listed: {e}")),
        }
    }
    Finding::new(Answer::No, format!("no {} runs", programs.join(", no ")))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_process_id_that_was_left_behind_holds_nothing() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        };
        write("run/zypp.pid", "42\n");
        assert_eq!(lock_held(root.path()).answer, Answer::No, "nobody has that id");
        write("proc/42/comm", "bash\n");
        write("proc/42/cmdline", "bash\0");
        assert_eq!(lock_held(root.path()).answer, Answer::No, "somebody else has it now");
        write("proc/42/cmdline", "/usr/bin/python3\0/usr/bin/zypper\0up\0");
        let found = lock_held(root.path());
        assert_eq!((found.answer, found.value.as_deref()), (Answer::Yes, Some("42 zypper")));
        let restic = ["borg".to_owned(), "restic".to_owned()];
        assert_eq!(process_runs(root.path(), &restic).answer, Answer::No);
        write("proc/43/comm", "restic\n");
        assert_eq!(process_runs(root.path(), &restic).value.as_deref(), Some("43"));
    }
}
