//! The component store and the protected files, by what CBS.log says last and by DISM's own mark.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::step::is_build;

use super::Found;
use super::machine::size_of;
use crate::collect::lines::{Line, Needles, Text, visit};
use crate::collect::stamp;
use crate::collect::utf16::Utf8;
use crate::platform::Platform;
use crate::probe::{ask, words, yes_if};

const LOG: &str = "/Windows/Logs/CBS/CBS.log";
const DISM: &str = "/Windows/System32/Dism.exe";
/// How much of the log's end is read.
const TAIL: u64 = 64 * 1024 * 1024;
/// Lines of sfc further apart than this are of two runs.
const ONE_RUN_MS: i64 = 30 * 60_000;

/// What the log says last.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    /// The last scan of the store: corruptions found, corruptions repaired, the line.
    scan: Option<(u64, u64, String)>,
    /// The last sfc run.
    run: Option<Run>,
    /// When a line of sfc was seen last.
    run_at: Option<i64>,
    /// When the last scan of the store told what it found.
    scan_at: Option<i64>,
}

/// A run of sfc.
#[derive(Debug, Default, PartialEq, Eq)]
struct Run {
    /// The last file that it could not repair.
    unrepairable: Option<String>,
}

pub(super) async fn store_damaged(platform: &dyn Platform) -> Found {
    let said = log(platform)?.unwrap_or_default();
    // What sfc could not repair may have been repaired by a later scan.
    let scanned_since = said.scan.is_some() && said.scan_at > said.run_at;
    if let Some(Run { unrepairable: Some(file) }) = said.run
        && !scanned_since
    {
        return Ok(Finding::new(Answer::Yes, format!("CBS.log, the last run of sfc: {file}")));
    }
    if let Some((found, repaired, line)) = said.scan {
        let proof = format!("CBS.log, the last scan: {line}, {repaired} repaired");
        return Ok(Finding::new(yes_if(found > repaired), proof));
    }
    let facts = platform.facts().map_err(|e| format!("what is this system? {e}"))?;
    // Since Windows 8 (Microsoft: Repair a Windows image); before it the option is an error.
    if ["6.0", "6.1"].iter().any(|build| is_build(&facts.os_build, build)) {
        return Err("no scan in CBS.log, and DISM has no /CheckHealth here".to_owned());
    }
    let args = ["/English", "/Online", "/Cleanup-Image", "/CheckHealth"];
    let exit = ask(platform, DISM, &args).await?;
    let text = exit.text();
    if exit.status != Some(0) {
        return Err(format!("no scan in CBS.log, and DISM says {}", words(&text)));
    }
    if text.contains("No component store corruption detected") {
        Ok(Finding::new(Answer::No, "DISM /CheckHealth: no corruption is marked"))
    } else if text.contains("component store is repairable")
        || text.contains("component store cannot be repaired")
    {
        Ok(Finding::new(Answer::Yes, format!("DISM /CheckHealth: {}", words(&text))))
    } else {
        Err(format!("no scan in CBS.log, and DISM says {}", words(&text)))
    }
}

pub(super) fn sfc_unrepairable(platform: &dyn Platform) -> Found {
    let said = log(platform)?.ok_or("there is no CBS.log")?;
    match said.run {
        Some(Run { unrepairable: Some(file) }) => {
            Ok(Finding::new(Answer::Yes, format!("CBS.log, the last run of sfc: {file}")))
        }
        Some(Run { unrepairable: None }) => {
            Ok(Finding::new(Answer::No, "CBS.log: the last run of sfc repaired all"))
        }
        None => Err("CBS.log tells of no run of sfc".to_owned()),
    }
}

/// What the end of CBS.log says; `None` where there is none.
fn log(platform: &dyn Platform) -> Result<Option<Said>, String> {
    let Some(size) = size_of(platform, LOG) else { return Ok(None) };
    let path = platform.file(LOG).ok_or("there is no CBS.log")?;
    let read = || -> std::io::Result<Said> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
        let needles = Needles::new(&["Operation: Detect", "ed Corruption:", "[SR] "]);
        let mut said = Said::default();
        visit(Text::whole(Utf8::new(file.take(TAIL))?), &needles, stamp::comma, |line| {
            said.line(line);
        })?;
        Ok(said)
    };
    read().map(Some).map_err(|e| format!("CBS.log cannot be read: {e}"))
}

impl Said {
    fn line(&mut self, line: Line<'_>) {
        let text = String::from_utf8_lossy(line.bytes);
        if text.contains("[SR] ") {
            let near = self.run_at.zip(line.stamp).is_some_and(|(a, b)| b - a <= ONE_RUN_MS);
            if !near || self.run.is_none() {
                self.run = Some(Run::default());
            }
            self.run_at = line.stamp;
            if let Some((_, file)) = text.split_once("[SR] Cannot repair member file ") {
                self.run = Some(Run { unrepairable: Some(words(file)) });
            }
        } else if text.contains("Operation: Detect") {
            self.scan = None;
        } else if let Some(count) = count(&text, "Total Detected Corruption:") {
            self.scan = Some((count, 0, format!("{count} corruptions found")));
            self.scan_at = line.stamp;
        } else if let Some(count) = count(&text, "Total Repaired Corruption:")
            && let Some((_, repaired, _)) = &mut self.scan
        {
            *repaired = count;
        }
    }
}

fn count(text: &str, name: &str) -> Option<u64> {
    text.split_once(name)?.1.trim().parse().ok()
}
