//! zypper's own logs: how its runs ended (`zypper.log`), and which packages could not be changed
//! (`history`). Pure: text in, runs out.

use std::collections::BTreeMap;

use fleetmend_catalog::builtin;
use fleetmend_core::code::FailureCode;
use fleetmend_core::report::{Operation, Product};
use fleetmend_core::time::SourceTime;

use super::dnf_logs::{Ended, Why};
use super::words::kernel_words;
use crate::collect::stamp;

/// The longest text of one failure.
const WORDS: usize = 900;
/// Runs at once: one zypper at a time may change packages, others look.
const OPEN: usize = 64;

#[derive(Debug)]
struct Run {
    /// Where it began in the text.
    begin: usize,
    operation: Operation,
    exit: Option<i32>,
    /// Whether a repository could not be refreshed.
    skipped: bool,
    /// What was thrown on the way, the newest last.
    hints: Vec<String>,
}

/// The ended runs of a piece of zypper.log, and how many bytes they take; runs that have not ended
/// are left for later. `time` gives a wall clock its zone.
pub(crate) fn runs(text: &[u8], time: impl Fn(i64) -> SourceTime) -> (Vec<Ended>, usize) {
    let (mut found, mut at, mut ended) = (Vec::new(), 0, None);
    let mut open: BTreeMap<u32, Run> = BTreeMap::new();
    for line in text.split_inclusive(|b| *b == b'\n') {
        let begin = at;
        at += line.len();
        let line = String::from_utf8_lossy(&line[..line.len().min(4_096)]);
        let Some((wall, pid, said)) = logged(line.trim_end()) else { continue };
        let begins = said.contains("===== Hi, me zypper")
            || (said.contains("setExitCode ") && !open.contains_key(&pid));
        if begins && open.len() < OPEN {
            let run = Run {
                begin,
                operation: Operation::Other,
                exit: None,
                skipped: false,
                hints: Vec::new(),
            };
            open.insert(pid, run);
        }
        if let Some(run) = open.get_mut(&pid) {
            if let Some(exit) = said.split("===== Exiting main(").nth(1) {
                // Later versions write the status there. Earlier ones say 0 where they went on without
                // a repository, and end with 106.
                let said = if run.skipped && run.exit == Some(0) { Some(106) } else { run.exit };
                let exit = exit.split(')').next().and_then(|n| n.parse().ok()).or(said);
                found.extend(open.remove(&pid).and_then(|run| end(run, exit, time(wall))));
                ended = Some(at);
            } else {
                read(run, said);
            }
        }
    }
    // What has ended is told once: a run that went on meanwhile is known again by its exit status.
    let taken = open.values().map(|run| run.begin).min().unwrap_or(at);
    (found, ended.unwrap_or(0).max(taken))
}

/// `2026-11-22 18:27:07 <1> host(31942) [zypper] ./src/main.cc(main):101 text`
pub(crate) fn logged(line: &str) -> Option<(i64, u32, &str)> {
    let wall = stamp::date_clock(line.as_bytes(), b'-', b' ')?;
    let rest = line.get(19..)?.strip_prefix(" <")?;
    let (_, rest) = rest.split_once("> ")?;
    let (host, rest) = rest.split_once(") [")?;
    let pid = host.rsplit('(').next()?.parse().ok()?;
    Some((wall, pid, rest))
}

fn read(run: &mut Run, said: &str) {
    if let Some(exit) = said.split("setExitCode ").nth(1) {
        run.exit = exit.trim().parse().ok().or(run.exit);
    } else if let Some(command) = said.split("Going to process command ").nth(1) {
        run.operation = match command.trim() {
            "refresh" | "ref" | "list-updates" | "list-patches" | "patch-check" => Operation::Scan,
            "remove" | "rm" => Operation::Uninstall,
            "install"
            | "in"
            | "update"
            | "up"
            | "patch"
            | "dist-upgrade"
            | "dup"
            | "install-new-recommends"
            | "inr"
            | "verify"
            | "ve" => Operation::Install,
            // What only asks proves nothing of an installation.
            _ => Operation::Other,
        };
    }
    // What cannot be read is thrown where it is fetched; what cannot be reached where it is called.
    run.skipped |= said.contains("(refreshMetadata)") && said.contains(" THROW: ");
    run.skipped |= said.contains("(refresh_raw_metadata)") && said.contains(" RETHROW: ");
    let tells = [" THROW: ", "Solverrun finished", "malformed", "scriptlet", "No repositories"];
    let lower = said.to_ascii_lowercase();
    if tells.iter().any(|t| said.contains(t)) || kernel_words(&lower).is_some() {
        let words = said.split(" THROW: ").nth(1).unwrap_or(said).trim();
        run.hints.push(words.chars().take(WORDS / 3).collect());
        let over = run.hints.len().saturating_sub(3);
        run.hints.drain(..over);
    }
}

/// A run's outcome; `None` for a person's slip, and where nothing tells how it ended.
fn end(run: Run, exit: Option<i32>, at: SourceTime) -> Option<Ended> {
    let exit = exit.filter(|e| *e >= 0)?;
    let operation = run.operation;
    if exit == 0 {
        let words = "zypper ended with 0".to_owned();
        return Some(Ended { at, operation, failure: None, words });
    }
    let hints = run.hints.join("; ");
    let why = match why(exit, &hints.to_ascii_lowercase())? {
        // Whoever only refreshes solves and installs nothing.
        Why::Exit(4) if operation == Operation::Scan => Why::Slug("zypper.repo_fail"),
        why => why,
    };
    let words = format!("zypper ended with {exit}: {hints}");
    let words = words.trim_end_matches([' ', ':']).chars().take(WORDS).collect();
    Some(Ended { at, operation, failure: Some(why), words })
}

fn why(exit: i32, hints: &str) -> Option<Why> {
    let told = kernel_words(hints).map(Why::Slug);
    Some(match exit {
        4 => told.unwrap_or_else(|| of_libzypp(hints)),
        8 if told.is_some() => return told,
        other => match builtin().exits.get(&(Product::Zypper, other)) {
            // A wrong call, missing rights, a name that nobody has: a person's slip.
            Some(FailureCode::Slug(slug)) if slug.as_str() == "zypper.misused" => return None,
            Some(FailureCode::Slug(slug)) => Why::Slug(slug.as_str()),
            _ => Why::Exit(other),
        },
    })
}

fn of_libzypp(hints: &str) -> Why {
    const TEXTS: &[(&str, &str)] = &[
        ("malformed", "rpm.db_corrupt"),
        ("failed to cache rpm database", "rpm.db_corrupt"),
        ("signature verification failed", "zypper.gpg"),
        ("solverrun finished", "zypper.conflict"),
        ("download", "zypper.repo_fail"),
        ("curl", "zypper.repo_fail"),
        ("medium", "zypper.repo_fail"),
        ("metadata", "zypper.repo_fail"),
    ];
    let told = TEXTS.iter().find(|(part, _)| hints.contains(part)).map(|(_, slug)| *slug);
    told.map_or(Why::Exit(4), Why::Slug)
}

/// The packages that could not be changed, by a piece of zypp's `history`:
/// `# 2026-11-22 18:27:08 gamma-1.0-1.noarch.rpm install failed`, with rpm's output after it.
pub(crate) fn history(text: &[u8], time: impl Fn(i64) -> SourceTime) -> Vec<(Ended, String)> {
    let mut found: Vec<(Ended, String)> = Vec::new();
    let mut goes_on = false;
    for line in text.split(|b| *b == b'\n') {
        let line = String::from_utf8_lossy(&line[..line.len().min(4_096)]);
        let Some(said) = line.strip_prefix("# ") else {
            goes_on = false;
            continue;
        };
        let stamped = stamp::date_clock(said.as_bytes(), b'-', b' ');
        if let Some(wall) = stamped {
            let rest = said.get(19..).unwrap_or_default().trim();
            let operation =
                match rest.rsplit_once(' ').map(|(r, last)| (r.rsplit(' ').next(), last)) {
                    Some((Some("install"), "failed")) => Some(Operation::Install),
                    Some((Some("remove"), "failed")) => Some(Operation::Uninstall),
                    _ => None,
                };
            goes_on = operation.is_some();
            if let Some(operation) = operation {
                let package = rest.split(' ').next().unwrap_or_default();
                let package = package.trim_end_matches(".rpm").to_owned();
                let failure = Some(Why::Slug("zypper.commit"));
                let words = rest.to_owned();
                found.push((Ended { at: time(wall), operation, failure, words }, package));
            }
        } else if goes_on && let Some((last, _)) = found.last_mut() {
            if last.words.len() < WORDS {
                last.words.push(' ');
                last.words.push_str(said.trim());
            }
            if said.contains("scriptlet failed") {
                last.failure = Some(Why::Slug("zypper.script_failed"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As zypper 1.14.42 wrote it, cut to what tells.
    const LOG: &str = "2026-11-22 18:27:07 <1> vm(31942) [zypper] ./src/main.cc(main):101 ===== Hi, me zypper 1.14.42\n2026-11-22 18:27:07 <1> vm(31942) [zypper] ./src/Zypper.cc(doCommand):629 Going to process command update\n2026-11-22 18:27:08 <1> vm(31950) [zypper] ./src/main.cc(main):101 ===== Hi, me zypper 1.14.42\n2026-11-22 18:27:08 <5> vm(31942) [zypp] ./zypp/base/Exception.cc(log):166 ./zypp/media/MediaCurl.cc(x):1 THROW:    Download (curl) error for 'http://127.0.0.1:9/x': Connection failed\n2026-11-22 18:27:09 <2> vm(31942) [zypper] ./src/Zypper.h(setExitCode):164 setExitCode 106\n2026-11-22 18:27:09 <1> vm(31942) [zypper] ./src/main.cc(~Bye):86 ===== Exiting main() =====\n";
    const LATER: &str = "2026-11-22 18:27:10 <3> vm(31950) [zypp::solver] ./zypp/SATResolver.cc(solving):656 Solverrun finished with an ERROR\n2026-11-22 18:27:10 <1> vm(31950) [zypper] ./src/main.cc(~Bye):86 ===== Exiting main(4) =====\n";

    #[test]
    fn runs_are_told_apart_by_their_process() {
        let (found, taken) = runs(LOG.as_bytes(), SourceTime::local);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].failure, Some(Why::Slug("zypper.repos_skipped")));
        assert_eq!(found[0].operation, Operation::Install);
        assert!(found[0].words.contains("Connection failed"), "{}", found[0].words);
        assert_eq!(taken, LOG.len(), "what has ended is told once");
        let rest = LATER.replace(
            "Solverrun",
            "setExitCode 4\n2026-11-22 18:27:10 <3> vm(31950) [zypp::solver] Solverrun",
        );
        let (found, _) = runs(rest.as_bytes(), SourceTime::local);
        assert_eq!(
            found[0].failure,
            Some(Why::Slug("zypper.conflict")),
            "the other is known again"
        );
        let all = format!("{LOG}{LATER}");
        let (found, taken) = runs(all.as_bytes(), SourceTime::local);
        assert_eq!((found[1].failure, taken), (Some(Why::Slug("zypper.conflict")), all.len()));
    }

    #[test]
    fn a_repository_that_was_skipped_is_told_although_the_log_says_0() {
        let log = "2026-11-22 19:32:05 <1> vm(75) [zypper] ./src/main.cc(main):101 ===== Hi, me zypper 1.14.42\n2026-11-22 19:32:05 <5> vm(75) [zypp] ./zypp/base/Exception.cc(log):166 ./zypp/RepoManager.cc(refreshMetadata):1246 THROW:    [local|file:/srv/repo] Valid metadata not found at specified URL\n2026-11-22 19:32:05 <2> vm(75) [zypper] ./src/Zypper.h(setExitCode):164 setExitCode 0\n2026-11-22 19:32:05 <1> vm(75) [zypper] ./src/main.cc(~Bye):86 ===== Exiting main() =====\n";
        let (found, _) = runs(log.as_bytes(), SourceTime::local);
        assert_eq!(found[0].failure, Some(Why::Slug("zypper.repos_skipped")));
        let newer = log.replace("Exiting main()", "Exiting main(0)");
        assert_eq!(runs(newer.as_bytes(), SourceTime::local).0[0].failure, None);
    }

    #[test]
    fn a_repository_that_is_gone_is_told_by_those_who_need_it_and_those_who_refresh_it() {
        // As zypper 1.14.42 wrote it: `zypper update` ended with 106, `zypper refresh` with 4.
        let log = "2026-11-23 01:37:10 <1> vm(3) [zypper] ./src/main.cc(main):101 ===== Hi, me zypper 1.14.42\n2026-11-23 01:37:10 <1> vm(3) [zypper] ./src/Zypper.cc(doCommand):629 Going to process command update\n2026-11-23 01:37:10 <5> vm(3) [zypp] ./zypp/base/Exception.cc(log):166 ./zypp/media/MediaDIR.cc(attachTo):86 THROW:    Specified path '/srv/repo' is not a directory: file:/srv/repo\n2026-11-23 01:37:10 <5> vm(3) [zypp] ./zypp/base/Exception.cc(log):166 ./src/repos.cc(refresh_raw_metadata):274 RETHROW:  Specified path '/srv/repo' is not a directory: file:/srv/repo\n2026-11-23 01:37:10 <2> vm(3) [zypper] ./src/Zypper.h(setExitCode):164 setExitCode 0\n2026-11-23 01:37:10 <1> vm(3) [zypper] ./src/main.cc(~Bye):86 ===== Exiting main() =====\n";
        let told = |log: &str| {
            let (found, _) = runs(log.as_bytes(), SourceTime::local);
            (found[0].operation, found[0].failure)
        };
        let skipped = Some(Why::Slug("zypper.repos_skipped"));
        assert_eq!(told(log), (Operation::Install, skipped));
        let refresh = log.replace("command update", "command refresh").replace("Code 0", "Code 4");
        assert_eq!(told(&refresh), (Operation::Scan, Some(Why::Slug("zypper.repo_fail"))));
    }

    #[test]
    fn exit_codes_mean_what_the_manual_says() {
        for (exit, wanted) in [
            (7, Some(Why::Slug("zypper.lock"))),
            (100, Some(Why::Slug("zypper.updates_available"))),
            (102, Some(Why::Slug("sys.reboot_required"))),
            (103, Some(Why::Slug("zypper.restart_needed"))),
            (104, None),
            (106, Some(Why::Slug("zypper.repos_skipped"))),
            (99, Some(Why::Exit(99))),
        ] {
            assert_eq!(why(exit, ""), wanted, "{exit}");
        }
        let damaged = "error: select hnum: 11: database disk image is malformed";
        assert_eq!(why(4, damaged), Some(Why::Slug("rpm.db_corrupt")));
        assert_eq!(why(8, "no space left on device"), Some(Why::Slug("fs.disk_full")));
    }

    #[test]
    fn the_history_names_packages() {
        let text = "2026-11-22 18:27:07|command|root@vm|'zypper' 'up'|\n# 2026-11-22 18:27:07 alpha-1.0-1.noarch.rpm installed ok\n# Additional rpm output:\n# 2026-11-22 18:27:08 gamma-1.0-1.noarch.rpm install failed\n# rpm output:\n# warning: %post(gamma-1.0-1.noarch) scriptlet failed, exit status 3\n# \n2026-11-22 18:27:09|install|beta|1|noarch||local|x|\n";
        let found = history(text.as_bytes(), SourceTime::local);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1, "gamma-1.0-1.noarch");
        assert_eq!(found[0].0.failure, Some(Why::Slug("zypper.script_failed")));
        assert!(found[0].0.words.contains("exit status 3"), "{}", found[0].0.words);
    }

    #[test]
    fn any_bytes_are_read_and_any_cut_is_kept() {
        for end in 0..LOG.len() {
            assert!(runs(&LOG.as_bytes()[..end], SourceTime::local).1 <= end);
        }
        assert_eq!(runs(b"\xff 2026 <", SourceTime::local), (vec![], 8));
    }
}
