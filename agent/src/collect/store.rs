//! What CBS.log tells of the component store and the protected files: each look at them in turn, the
//! clean ones too. Whether something is damaged *now* is what the last look says, so that a repair
//! ends what was found before it.

use super::lines::Line;
use super::stamp;
use super::text::{holds, lossy};

/// Words of the lines that [`StoreWatch`] has to see.
pub(crate) const NEEDLES: [&str; 6] = [
    "Operation",
    "ed Corruption:",
    "[SR] ",
    "[Pnp] ",
    "requests SFP repair",
    "signaled for shutdown",
];
/// Lines of sfc further apart than this are of two runs, where nothing else parts them.
const ONE_RUN_MS: i64 = 30 * 60_000;

/// One look at the store or at the protected files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreLook {
    /// What was looked at, and what was found.
    pub found: Looked,
    /// The wall clock (milliseconds) of its last line, or of the last file that could not be
    /// repaired, where the log has times.
    pub wall_ms: Option<i64>,
    /// What it says, in words.
    pub words: String,
}

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// A scan of the store: whether damage was left.
    Store {
        /// Whether more was found than repaired.
        damaged: bool,
    },
    /// A run of sfc over the protected files.
    Files {
        /// Whether there was one that it could not repair.
        unrepairable: bool,
    },
}

/// The last looks, of those given in order.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Last<'a> {
    /// The last scan of the store.
    scan: Option<&'a StoreLook>,
    /// The last run of sfc.
    pub files: Option<&'a StoreLook>,
    /// Whether that scan came after that run.
    scanned_since: bool,
}

impl<'a> Last<'a> {
    /// The last ones.
    pub(crate) fn of(looks: impl IntoIterator<Item = &'a StoreLook>) -> Self {
        let mut last = Self::default();
        for look in looks {
            match look.found {
                Looked::Store { .. } => {
                    (last.scan, last.scanned_since) = (Some(look), true);
                }
                Looked::Files { .. } => {
                    (last.files, last.scanned_since) = (Some(look), false);
                }
            }
        }
        last
    }

    /// Whether the store is damaged by what was seen last, and the look that says so. sfc takes its
    /// files from the store: what it could not repair says that the store is damaged, until a scan
    /// says otherwise. That it found nothing amiss says nothing of the rest of the store.
    pub(crate) fn damaged(self) -> Option<(bool, &'a StoreLook)> {
        let of_files = self.files.filter(|look| {
            look.found == Looked::Files { unrepairable: true } && !self.scanned_since
        });
        let of_scan = || {
            let look = self.scan?;
            Some((look.found == Looked::Store { damaged: true }, look))
        };
        of_files.map(|look| (true, look)).or_else(of_scan)
    }

    /// Whether the last run of sfc met a file that it could not repair.
    pub(crate) fn unrepairable(self) -> Option<(bool, &'a StoreLook)> {
        self.files.map(|look| (look.found == Looked::Files { unrepairable: true }, look))
    }
}

impl StoreLook {
    /// Its words, with its time.
    pub(crate) fn told(&self) -> String {
        use fleetmend_core::time::SourceTime;
        match self.wall_ms {
            Some(at) => format!("CBS.log, {}: {}", SourceTime::local(at), self.words),
            None => format!("CBS.log, at a time that is not told: {}", self.words),
        }
    }
}

/// Watches the lines of a CBS.log for looks.
#[derive(Debug, Default)]
pub(crate) struct StoreWatch {
    scan: Option<Scan>,
    run: Option<Run>,
}

/// A scan's summary, while it is read.
#[derive(Debug, Default)]
struct Scan {
    /// Whether the scan went through to its end.
    ended_well: bool,
    found: Option<u64>,
    repaired: u64,
    at: Option<i64>,
}

/// A run of sfc, while it is read.
#[derive(Debug, Default)]
struct Run {
    /// The last file that it could not repair.
    unrepairable: Option<String>,
    /// Damaged files that newer builds name in lines of their own, less those repaired.
    damaged: u64,
    /// Whether every group of files that it began is verified, and it verified any.
    verified: bool,
    /// Whether it has come to its second half, where it repairs.
    repairing: bool,
    /// When its last line was written, and when the last one of a file that it could not repair.
    at: Option<i64>,
    unrepairable_at: Option<i64>,
}

impl StoreWatch {
    /// Takes a line, of which `text` is what stands after time, level and component; what has ended by
    /// it goes to `sink`, in order.
    pub(crate) fn line(&mut self, line: Line<'_>, text: &[u8], sink: &mut impl FnMut(StoreLook)) {
        // Most lines are of sessions: what is asked of every one is only how it begins.
        if let Some(words) = of_sfc(text) {
            self.of_sfc(words, line, sink);
        } else if text.starts_with(b"Operation: Detect") {
            self.end(sink);
            self.scan = Some(Scan { at: line.stamp, ..Scan::default() });
        } else if let Some(scan) = &mut self.scan
            && let Some(result) = text.strip_prefix(b"Operation result: 0x")
        {
            scan.ended_well = result_is_well(result);
        } else if let Some(scan) = &mut self.scan
            && let Some(count) = number(text, b"Total Detected Corruption:")
        {
            scan.found = Some(count);
        } else if let Some(scan) = &mut self.scan
            && let Some(count) = number(text, b"Total Repaired Corruption:")
        {
            scan.repaired = count;
            self.end_scan(sink);
        } else if text.starts_with(b"T") && holds(text, "requests SFP repair") {
            self.end(sink);
            self.run = Some(Run { at: line.stamp, ..Run::default() });
        } else if text.starts_with(b"T") && holds(text, "signaled for shutdown") {
            self.end_run(sink);
        } else if let Some(run) = &mut self.run {
            if holds(text, "[Pnp] Corrupt file: ") {
                run.damaged += 1;
            } else if holds(text, "[Pnp] Repaired file: ") {
                run.damaged = run.damaged.saturating_sub(1);
            }
        }
    }

    /// The end of the log.
    pub(crate) fn end(&mut self, sink: &mut impl FnMut(StoreLook)) {
        self.end_scan(sink);
        self.end_run(sink);
    }

    fn of_sfc(&mut self, words: &[u8], line: Line<'_>, sink: &mut impl FnMut(StoreLook)) {
        let verifies = words.starts_with(b"Verifying ");
        let another = self.run.as_ref().is_some_and(|run| {
            let gap = run.at.zip(line.stamp).map_or(0, |(a, b)| b - a);
            gap > ONE_RUN_MS || (verifies && run.repairing)
        });
        if another {
            self.end_run(sink);
        }
        let run = self.run.get_or_insert_default();
        run.at = line.stamp;
        if words.starts_with(b"Cannot repair member file ") {
            (run.unrepairable, run.unrepairable_at) = (Some(lossy(words)), line.stamp);
        } else if words.starts_with(b"Repairing ") && words.ends_with(b" components") {
            run.repairing = true;
        } else if verifies {
            run.verified = false;
        } else if words.starts_with(b"Verify complete") {
            run.verified = true;
        }
    }

    fn end_scan(&mut self, sink: &mut impl FnMut(StoreLook)) {
        let Some(Scan { ended_well, found, repaired, at }) = self.scan.take() else { return };
        let Some(found) = found else { return };
        let damaged = found > repaired;
        // One that was cancelled or failed half-way has not seen the rest: that is no clean one.
        if damaged || ended_well {
            let words =
                format!("a scan of the store found {found} corruptions, {repaired} repaired");
            sink(StoreLook { found: Looked::Store { damaged }, wall_ms: at, words });
        }
    }

    fn end_run(&mut self, sink: &mut impl FnMut(StoreLook)) {
        let Some(run) = self.run.take() else { return };
        let (unrepairable, wall_ms, words) = match run.unrepairable {
            Some(words) => (true, run.unrepairable_at, format!("sfc: {words}")),
            None if run.verified && run.damaged == 0 => {
                (false, run.at, "sfc met no file that it could not repair".to_owned())
            }
            None => return,
        };
        sink(StoreLook { found: Looked::Files { unrepairable }, wall_ms, words });
    }
}

/// `0`, `00000000`, or another number whose top bit is not set: `Operation result: 0x0`.
fn result_is_well(digits: &[u8]) -> bool {
    let end = digits.iter().position(|b| !b.is_ascii_hexdigit()).unwrap_or(digits.len());
    let value = std::str::from_utf8(&digits[..end]).ok().map(|d| u32::from_str_radix(d, 16));
    matches!(value, Some(Ok(value)) if value & 0x8000_0000 == 0)
}

fn number(text: &[u8], name: &[u8]) -> Option<u64> {
    stamp::number(text.strip_prefix(name)?.trim_ascii())
}

/// What sfc says: `0000000b [SR] Verifying 100 components`.
fn of_sfc(text: &[u8]) -> Option<&[u8]> {
    let number = text.iter().position(|b| *b == b' ')?;
    text[number..].strip_prefix(b" [SR] ").or_else(|| text.strip_prefix(b"[SR] "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::lines::{Needles, Text, visit};
    use crate::collect::text::body;

    fn looks(lines: &[&str]) -> Vec<StoreLook> {
        let text = lines.join("\r\n");
        let (mut watch, mut found) = (StoreWatch::default(), Vec::new());
        let mut sink = |look| found.push(look);
        let read = Text::whole(text.as_bytes());
        let needles = Needles::new(&NEEDLES);
        let see = |line: Line<'_>| watch.line(line, body(line.bytes).text, &mut sink);
        visit(read, &needles, stamp::comma, see).expect("read");
        watch.end(&mut sink);
        found
    }

    fn at(minute: u32, text: &str) -> String {
        format!("2026-03-01 10:{minute:02}:00, Info                  CSI    {text}")
    }

    fn scan(minute: u32, result: &str, found: u64, repaired: u64) -> String {
        format!(
            "{}\r\nSummary:\r\nOperation: Detect and Repair \r\nOperation result: {result}\r\nTotal Detected Corruption:\t{found}\r\nTotal Repaired Corruption:\t{repaired}",
            at(minute, "Checking System Update Readiness.")
        )
    }

    const BAD: &str =
        "[SR] Cannot repair member file [l:5]'a.dll' of One, version 1, hash mismatch";
    const VERIFY: &str = "[SR] Verifying 100 (0x64) components";
    const DONE: &str = "[SR] Verify complete";

    #[test]
    fn the_last_look_holds() {
        let bad = [at(0, VERIFY), at(1, BAD), at(2, DONE)];
        let repair = scan(10, "0x0", 1, 1);
        let clean = [at(20, VERIFY), at(21, DONE)];
        let judge = |lines: &[&str]| {
            let looks = looks(lines);
            let last = Last::of(&looks);
            (last.damaged().map(|d| d.0), last.unrepairable().map(|u| u.0))
        };
        let bad: Vec<&str> = bad.iter().map(String::as_str).collect();
        let clean: Vec<&str> = clean.iter().map(String::as_str).collect();
        assert_eq!(judge(&bad), (Some(true), Some(true)));
        let repaired = [bad.clone(), vec![&repair]].concat();
        assert_eq!(judge(&repaired), (Some(false), Some(true)), "the store, not yet the files");
        let all = [repaired.clone(), clean.clone()].concat();
        assert_eq!(judge(&all), (Some(false), Some(false)), "all within half an hour");
        let half = scan(10, "0x800f081f", 4, 1);
        let half = [bad.clone(), vec![&half], clean.clone()].concat();
        assert_eq!(judge(&half), (Some(true), Some(false)), "sfc does not mend the store");
        assert_eq!(judge(&clean), (None, Some(false)));
        let again = [all, bad].concat();
        assert_eq!(judge(&again), (Some(true), Some(true)));
    }

    #[test]
    fn what_did_not_come_to_its_end_says_nothing() {
        let cancelled = scan(0, "0x800f0820", 0, 0);
        assert_eq!(looks(&[&cancelled]), []);
        assert_eq!(looks(&[&at(0, VERIFY)]), [], "sfc was stopped");
        let newer = [
            at(0, VERIFY),
            at(1, DONE),
            at(1, r"DEPLOY [Pnp] Corrupt file: C:\Windows\System32\drivers\a.sys"),
        ];
        let newer: Vec<&str> = newer.iter().map(String::as_str).collect();
        assert_eq!(looks(&newer), [], "damage that /verifyonly leaves");
        let mended = at(2, r"DEPLOY [Pnp] Repaired file: C:\Windows\System32\drivers\a.sys");
        let mended = looks(&[newer, vec![&mended]].concat());
        assert_eq!(mended[0].found, Looked::Files { unrepairable: false });
    }

    #[test]
    fn a_run_ends_where_windows_says_so() {
        let request = at(3, "TiWorker: Client requests SFP repair object.");
        let lines = [at(0, VERIFY), at(1, BAD), request, at(4, VERIFY), at(5, DONE)];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let found: Vec<_> = looks(&lines).into_iter().map(|look| look.found).collect();
        let files = |unrepairable| Looked::Files { unrepairable };
        assert_eq!(found, [files(true), files(false)]);
        let told = looks(&[&scan(7, "0x0", 3, 2)])[0].told();
        assert_eq!(
            told,
            "CBS.log, 2026-03-01T10:07:00.000: a scan of the store found 3 corruptions, 2 repaired"
        );
        // Repairing is the same run's second half; verifying after it is another run.
        let halves = [
            at(0, VERIFY),
            at(1, DONE),
            at(2, "[SR] Repairing 1 components"),
            at(3, BAD),
            at(4, "[SR] Repair complete"),
            at(5, VERIFY),
            at(6, DONE),
        ];
        let halves: Vec<&str> = halves.iter().map(String::as_str).collect();
        assert_eq!(looks(&halves).len(), 2);
    }
}
