//! What the end of a backup program means: restic, Borg, rsync and tar. Pure: what systemd says of a
//! unit's commands, and the program's own words, in; product, operation and code out.
//!
//! The words come before the exit status: restic before 0.17, and Borg as it is set by default, end
//! with one status whatever failed.

use fleetmend_catalog::builtin;
use fleetmend_core::code::FailureCode;
use fleetmend_core::report::{Operation, Product};

use crate::collect::draft::slug;

/// One command of a unit, as `systemctl show` tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command<'t> {
    /// Its arguments, the program first. May hold secrets: never shown to anybody.
    words: Vec<&'t str>,
    /// The same as they stand there.
    argv: &'t str,
    /// Its exit status; `None` where it did not run, or a signal ended it.
    pub status: Option<i32>,
    /// Whether the unit goes on whatever becomes of it.
    pub ignored: bool,
    /// When it ended, in systemd's words; `None` where it did not run, or systemd forgot it.
    pub ended: Option<&'t str>,
}

/// The commands of a unit, by the `ExecStart` lines of `systemctl show`.
pub(crate) fn commands(shown: &str) -> Vec<Command<'_>> {
    let lines = shown.lines().filter_map(|l| l.strip_prefix("ExecStart={"));
    let of =
        |line: &'_ str, key: &str| -> Option<usize> { line.find(key).map(|at| at + key.len()) };
    lines
        .filter_map(|line| {
            // What a shell runs may hold what stands between the fields too.
            let rest = &line[of(line, "argv[]=")?..];
            let (argv, told) =
                rest.split_once(" ; ignore_errors=").or_else(|| rest.split_once(" ; "))?;
            // A shell's one argument is a line of its own.
            let words = argv.split_whitespace().map(|w| w.trim_matches(['"', '\'', ';', '(']));
            let exited = told.contains("code=exited");
            let status = of(told, "; status=").map(|at| &told[at..]);
            let status = status.and_then(|s| s.split([' ', '/', '}']).next()?.parse().ok());
            let ended = of(told, "; stop_time=[").and_then(|at| told[at..].split(']').next());
            Some(Command {
                words: words.collect(),
                argv,
                status: status.filter(|_| exited),
                ignored: told.starts_with("yes"),
                ended: ended.filter(|time| *time != "n/a"),
            })
        })
        .collect()
}

/// What a command runs, where it is a backup program: by the first of its words that is one, since
/// `nice`, `env` or a shell may stand before it.
pub(crate) fn runs(command: &Command<'_>) -> Option<(Product, Operation)> {
    let at = program(command)?;
    let rest = &command.words[at + 1..];
    let verb = |verbs: &[(&str, Operation)]| {
        let found = rest.iter().find_map(|w| verbs.iter().find(|(verb, _)| verb == w));
        found.map_or(Operation::Other, |(_, operation)| *operation)
    };
    Some(match name(command.words[at]) {
        "restic" => (
            Product::Restic,
            verb(&[
                ("backup", Operation::Backup),
                ("check", Operation::Check),
                ("restore", Operation::Restore),
            ]),
        ),
        "borg" => (
            Product::Borg,
            verb(&[
                ("create", Operation::Backup),
                ("check", Operation::Check),
                ("extract", Operation::Restore),
            ]),
        ),
        "borgmatic" => (Product::Borg, Operation::Backup),
        "rsync" => (Product::Rsync, Operation::Backup),
        _ => (Product::Other, Operation::Backup),
    })
}

/// Whether a command makes a backup, and whether it did is told by its exit status: no check and no
/// dry run, no server that waits, and no shell that goes on whatever became of it.
pub(crate) fn saves(command: &Command<'_>) -> bool {
    let Some(at) = program(command) else { return false };
    let (before, rest) = (&command.words[..at], &command.words[at + 1..]);
    let has = |words: &[&str]| rest.iter().any(|word| words.contains(word));
    let makes = match name(command.words[at]) {
        "rsync" => !has(&["--daemon", "--server", "--list-only"]),
        "tar" => rest.iter().enumerate().any(|(place, word)| creates(word, place)),
        "borgmatic" => has(&["create", "--create"]) || !has(&OTHER_BORGMATIC),
        _ => runs(command).is_some_and(|(_, operation)| operation == Operation::Backup),
    };
    // By ssh it saves another host.
    let here = !before.iter().any(|word| name(word) == "ssh");
    makes && here && !has(&["--dry-run", "-n"]) && !hides(command, at)
}

/// What borgmatic does instead of a backup where it is told to.
const OTHER_BORGMATIC: [&str; 15] = [
    "prune",
    "compact",
    "check",
    "extract",
    "export-tar",
    "mount",
    "umount",
    "restore",
    "list",
    "info",
    "delete",
    "break-lock",
    "config",
    "init",
    "rcreate",
];

/// Whether an argument of tar tells it to make an archive.
fn creates(word: &str, place: usize) -> bool {
    let letters = word.strip_prefix('-').or((place == 0).then_some(word)).unwrap_or_default();
    let plain = letters.bytes().all(|b| b.is_ascii_alphabetic());
    word == "--create" || (plain && letters.contains('c') && !letters.contains(['x', 't', 'd']))
}

/// Whether a shell goes on after the program in the place `at` whatever became of it, and ends as
/// something else did.
fn hides(command: &Command<'_>, at: usize) -> bool {
    const SHELLS: [&str; 6] = ["sh", "bash", "dash", "ash", "ksh", "zsh"];
    let before = &command.words[..at];
    if !before.iter().any(|word| SHELLS.contains(&name(word))) {
        return false;
    }
    let stops =
        |word: &&str| word.starts_with('-') && !word.starts_with("--") && word.contains('e');
    let stops = before.iter().any(stops);
    let goes_on = |word: &str| word.contains('|') || word == "&" || (word.contains(';') && !stops);
    command.argv.split_whitespace().skip(at + 1).any(goes_on)
}

/// The place of the first word that is a backup program.
fn program(command: &Command<'_>) -> Option<usize> {
    let programs = ["restic", "borg", "borgmatic", "rsync", "tar"];
    command.words.iter().position(|word| programs.contains(&name(word)))
}

/// A program's name without its folder.
fn name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or_default()
}

/// What failed by the program's exit status and its last words; with the line that tells, if any.
pub(crate) fn judge(
    product: Product,
    status: Option<i32>,
    log: &str,
) -> (Option<FailureCode>, Option<&str>) {
    let lower: Vec<(String, &str)> = log.lines().map(|l| (l.to_ascii_lowercase(), l)).collect();
    let told = builtin().said_by(Some(product)).find_map(|(text, name)| {
        let line = lower.iter().rev().find(|(lower, _)| lower.contains(text))?;
        Some((name, line.1))
    });
    let warning = slug("borg.warning");
    let by_status = match status.and_then(|s| of_status(product, s)) {
        // Borg's one status for every warning: that a file changed meanwhile is normal, and damage
        // that a check found is no warning.
        found if found.is_some() && found == warning => match told {
            _ if only_changes(log) => slug("borg.file_changed"),
            Some((name, _)) if name.as_str() == "borg.repo_damaged" => None,
            _ => found,
        },
        found => found,
    };
    match (by_status, told) {
        // A status that says more than "it failed" is the program's own verdict.
        (Some(code), told) => (Some(code), told.map(|(_, line)| line).or_else(|| last_line(log))),
        (None, Some((name, line))) => (Some(FailureCode::Slug(name.clone())), Some(line)),
        (None, None) => (status.map(FailureCode::Exit), last_line(log)),
    }
}

/// Whether Borg's warnings are of files that changed while it read them, and of nothing else.
fn only_changes(log: &str) -> bool {
    log.contains("file changed while we backed it up") && !log.contains("[Errno")
}

fn last_line(log: &str) -> Option<&str> {
    log.lines().rev().find(|l| !l.trim().is_empty())
}

/// What a status means that is the program's alone.
fn of_status(product: Product, status: i32) -> Option<FailureCode> {
    // GNU tar's; the product stands for other programs too.
    if (product, status) == (Product::Other, 1) {
        return slug("tar.changed");
    }
    builtin().exits.get(&(product, status)).cloned()
}

#[cfg(test)]
#[path = "backups_tests.rs"]
mod tests;
