//! dnf's own log: how its runs ended. Pure: text in, runs out. Both forms: dnf 4
//! (`2026-11-22T18:26:24+0000 CRITICAL Error: …`) and dnf 5, with its process id in brackets.

use fleetmend_core::report::Operation;
use fleetmend_core::time::SourceTime;

use super::words::kernel_words;
use crate::collect::stamp;

/// The longest text of one failure.
const WORDS: usize = 900;

/// How one run of a package tool ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// When.
    pub at: SourceTime,
    /// What it did.
    pub operation: Operation,
    /// What failed; `None` where it worked.
    pub failure: Option<Why>,
    /// The source's words.
    pub words: String,
}

/// Why a run failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// By a name of the catalogue.
    Slug(&'static str),
    /// By the program's exit status alone.
    Exit(i32),
}

#[derive(Debug, Default)]
struct Run {
    operation: Option<Operation>,
    /// What was said of repositories before the end.
    hint: String,
    failed: Option<(SourceTime, String)>,
    worked: Option<SourceTime>,
    /// Whether the lines without a stamp belong to the failure, or to the hint.
    open: Open,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Open {
    #[default]
    Neither,
    Hint,
    Failure,
}

/// The ended runs of a piece of dnf.log, and how many bytes they take. A run that has not said how it
/// ended is left for later, unless another began after it.
pub(crate) fn runs(text: &[u8]) -> (Vec<Ended>, usize) {
    let (mut found, mut taken, mut at) = (Vec::new(), 0, 0);
    let mut run: Option<Run> = None;
    for line in text.split_inclusive(|b| *b == b'\n') {
        let begin = at;
        at += line.len();
        let line = String::from_utf8_lossy(&line[..line.len().min(4_096)]);
        let line = line.trim_end();
        match stamped(line) {
            Some((_, _, said)) if said.contains("--- logging initialized ---") => {
                found.extend(run.replace(Run::default()).and_then(end));
                taken = begin;
            }
            // dnf 5 has no line that begins a run but its command.
            Some((time, level, said))
                if said.starts_with("Command: ")
                    && run.as_ref().is_some_and(|r| r.operation.is_some()) =>
            {
                let mut next = Run::default();
                read(&mut next, time, level, said);
                found.extend(run.replace(next).and_then(end));
                taken = begin;
            }
            Some((time, level, said)) => {
                let run = run.get_or_insert_with(Run::default);
                read(run, time, level, said);
            }
            None => {
                if let Some(run) = run.as_mut() {
                    go_on(run, line);
                }
            }
        }
    }
    if run.as_ref().is_some_and(|run| run.failed.is_some() || run.worked.is_some()) {
        found.extend(run.and_then(end));
        taken = at;
    }
    (found, taken)
}

/// `2026-11-22T18:26:24+0000 CRITICAL text`: time, level and text.
pub(crate) fn stamped(line: &str) -> Option<(SourceTime, &str, &str)> {
    let wall = stamp::date_clock(line.as_bytes(), b'-', b'T')?;
    let (zone, rest) = line.get(19..)?.split_once(' ')?;
    let minutes = match zone.as_bytes() {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), digits @ ..] if digits.len() == 4 => {
            let number = i16::try_from(stamp::number(digits)?).ok()?;
            let minutes = number / 100 * 60 + number % 100;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let rest = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once("] ")?.1,
        None => rest,
    };
    let (level, said) = rest.split_once(' ').unwrap_or((rest, ""));
    let levels = ["SUBDEBUG", "TRACE", "DDEBUG", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
    levels.contains(&level).then(|| (SourceTime::with_offset(wall, minutes), level, said))
}

fn read(run: &mut Run, time: SourceTime, level: &str, said: &str) {
    run.open = Open::Neither;
    if let Some(command) = said.strip_prefix("Command: ") {
        run.operation = Some(operation_of(command));
    }
    match level {
        "WARNING" if said.starts_with("Errors during downloading metadata") => {
            run.hint.clear();
            run.open = Open::Hint;
        }
        "CRITICAL" | "ERROR" if said.starts_with("Problem repository") => {}
        "CRITICAL" => {
            run.open = Open::Failure;
            match &mut run.failed {
                Some((_, words)) => add(words, said),
                none => *none = Some((time, said.to_owned())),
            }
        }
        "INFO" if ["Complete!", "Nothing to do.", "Metadata cache created."].contains(&said) => {
            run.worked = Some(time);
        }
        _ => {}
    }
}

/// A line of a message that goes on.
fn go_on(run: &mut Run, line: &str) {
    match (run.open, &mut run.failed) {
        (Open::Hint, _) => add(&mut run.hint, line),
        (Open::Failure, Some((_, words))) => add(words, line),
        _ => {}
    }
}

fn add(words: &mut String, line: &str) {
    if words.len() < WORDS {
        words.push(' ');
        words.push_str(line.trim());
    }
}

fn end(run: Run) -> Option<Ended> {
    let operation = run.operation.unwrap_or(Operation::Install);
    let Some((at, words)) = run.failed else {
        let at = run.worked?;
        return Some(Ended { at, operation, failure: None, words: "dnf ended well".to_owned() });
    };
    let words = format!("{} {}", words.trim(), run.hint.trim());
    let words: String = words.trim().chars().take(WORDS).collect();
    let why = why(&words)?;
    Some(Ended { at, operation, failure: Some(why), words })
}

/// What a failure's words mean; `None` for a person's slip, which is no failure of the host.
fn why(words: &str) -> Option<Why> {
    const TEXTS: &[(&str, &str)] = &[
        ("database disk image is malformed", "rpm.db_corrupt"),
        ("rpmdb open failed", "rpm.db_corrupt"),
        ("rpmdb: ", "rpm.db_corrupt"),
        ("gpg check failed", "dnf.gpg"),
        ("checking of packages via gpg keys", "dnf.gpg"),
        ("public key for", "dnf.gpg"),
        ("failed to download metadata", "dnf.repo_fail"),
        ("cannot prepare internal mirrorlist", "dnf.repo_fail"),
        ("no more mirrors to try", "dnf.repo_fail"),
        ("error downloading packages", "dnf.repo_fail"),
        ("curl error", "dnf.repo_fail"),
        ("waiting for process with pid", "dnf.lock"),
        ("failed to obtain", "dnf.lock"),
        ("already locked by", "dnf.lock"),
        ("scriptlet failed", "dnf.scriptlet"),
        ("problem", "dnf.conflict"),
        ("nothing provides", "dnf.conflict"),
        ("transaction check error", "dnf.conflict"),
        ("transaction test error", "dnf.conflict"),
        ("operation aborted", "dnf.aborted"),
        ("terminated.", "dnf.aborted"),
    ];
    const SLIPS: [&str; 4] = [
        "unable to find a match",
        "no match for argument",
        "superuser privileges",
        "no such command",
    ];
    let lower = words.to_ascii_lowercase();
    if SLIPS.iter().any(|slip| lower.contains(slip)) {
        return None;
    }
    let told = TEXTS.iter().find(|(part, _)| lower.contains(part)).map(|(_, slug)| *slug);
    Some(kernel_words(&lower).or(told).map_or(Why::Exit(1), Why::Slug))
}

fn operation_of(command: &str) -> Operation {
    let known = [
        (["check-update", "makecache", "check-upgrade", "updateinfo"], Operation::Scan),
        (["remove", "erase", "autoremove", "uninstall"], Operation::Uninstall),
    ];
    let words: Vec<&str> = command.split_whitespace().collect();
    let is = |verbs: &[&str; 4]| words.iter().any(|w| verbs.contains(w));
    known.iter().find(|(verbs, _)| is(verbs)).map_or(Operation::Install, |(_, o)| *o)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As dnf 4.14 wrote it.
    const LOG: &str = "2026-11-22T18:26:23+0000 INFO --- logging initialized ---\n2026-11-22T18:26:23+0000 DDEBUG Command: dnf -y install alpha \n2026-11-22T18:26:23+0000 INFO Complete!\n2026-11-22T18:26:24+0000 INFO --- logging initialized ---\n2026-11-22T18:26:24+0000 DDEBUG Command: dnf -y upgrade \n2026-11-22T18:26:24+0000 SUBDEBUG \nTraceback (most recent call last):\n  File \"x.py\", line 1, in y\n2026-11-22T18:26:24+0000 CRITICAL Error: \n Problem: conflicting requests\n  - nothing provides /bin/sh needed by gamma-1.0-1.noarch\n2026-11-22T18:26:24+0000 INFO (try to add '--skip-broken' to skip uninstallable packages)\n2026-11-22T20:26:25+0200 INFO --- logging initialized ---\n2026-11-22T20:26:25+0200 DDEBUG Command: dnf makecache \n2026-11-22T20:26:25+0200 WARNING Errors during downloading metadata for repository 'bad':\n  - Curl error (7): Couldn't connect to server for http://127.0.0.1:9/x/repodata/repomd.xml\n2026-11-22T20:26:25+0200 CRITICAL Error: Failed to download metadata for repo 'bad': Cannot download repomd.xml: Cannot download repodata/repomd.xml: All mirrors were tried\n";

    fn shown(ended: &[Ended]) -> Vec<String> {
        let why = |e: &Ended| format!("{} {} {:?}", e.at, e.operation, e.failure);
        ended.iter().map(why).collect()
    }

    #[test]
    fn runs_end_as_their_last_words_say() {
        let (found, taken) = runs(LOG.as_bytes());
        assert_eq!(taken, LOG.len());
        assert_eq!(
            shown(&found),
            [
                "2026-11-22T18:26:23.000+00:00 install None",
                "2026-11-22T18:26:24.000+00:00 install Some(Slug(\"dnf.conflict\"))",
                "2026-11-22T20:26:25.000+02:00 scan Some(Slug(\"dnf.repo_fail\"))",
            ]
        );
        assert!(found[1].words.contains("nothing provides /bin/sh"), "{}", found[1].words);
        assert!(found[2].words.contains("Curl error (7)"), "{}", found[2].words);
    }

    #[test]
    fn a_run_that_has_not_ended_is_left_and_a_slip_is_no_failure() {
        let begun = format!(
            "{LOG}2026-11-22T18:30:00+0000 INFO --- logging initialized ---\n2026-11-22T18:30:00+0000 DDEBUG Command: dnf upgrade\n"
        );
        let (found, taken) = runs(begun.as_bytes());
        assert_eq!((found.len(), taken), (3, LOG.len()));
        let slip = "2026-11-22T18:30:00+0000 INFO --- logging initialized ---\n2026-11-22T18:30:00+0000 CRITICAL Error: Unable to find a match: foo\n";
        assert_eq!(runs(slip.as_bytes()), (vec![], slip.len()));
        let five = "2026-11-22T18:30:00+0000 [4242] ERROR x\n2026-11-22T18:30:00+0000 [4242] CRITICAL Failed to download metadata (baseurl: \"http://a.example\")\n";
        assert_eq!(runs(five.as_bytes()).0[0].failure, Some(Why::Slug("dnf.repo_fail")));
    }

    #[test]
    fn any_bytes_are_read_and_any_cut_is_kept() {
        for end in 0..LOG.len() {
            let (_, taken) = runs(&LOG.as_bytes()[..end]);
            assert!(taken <= end);
        }
        assert_eq!(runs(b"\xff\xfe\n2026-11-22T18:30:00+00\n2026-11-22T18:30:00 x").0, []);
    }
}
