//! Questions to the text logs of updates and servicing.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::report::FailureReport;

use super::Found;
use super::registry::value;
use crate::collect::stamp;
use crate::collect::utf16::Utf8;
use crate::platform::{Platform, RegistryValue};
use crate::probe::words;

/// How far from a failure a line may stand to be about it.
const NEAR_MS: i64 = 600_000;
/// How much of a log's end is read.
const TAIL: u64 = 16 * 1024 * 1024;
/// How much of a line is looked at.
const LINE: u64 = 16 * 1024;
/// The logs of updates and servicing.
const LOGS: [&str; 6] = [
    "Windows/SoftwareDistribution/ReportingEvents.log",
    "Windows/WindowsUpdate.log",
    "Windows/Logs/CBS/CBS.log",
    "Windows/Logs/DISM/dism.log",
    "Windows/Panther/setuperr.log",
    "Windows/Logs/MoSetup/BlueBox.log",
];
const TIME_ZONE: &str = r"SYSTEM\CurrentControlSet\Control\TimeZoneInformation";

/// Whether a log says something within ten minutes of a failure.
pub(super) async fn says(
    platform: &dyn Platform,
    contains: &str,
    failure: Option<&FailureReport>,
) -> Found {
    let failure = failure.ok_or("no failure to look around")?;
    let wanted = contains.to_lowercase();
    if failure.message.to_lowercase().contains(&wanted) {
        let proof = format!("the failure itself: {}", words(&failure.message));
        return Ok(Finding::new(Answer::Yes, proof));
    }
    let east = minutes_east(platform).await?;
    let at = failure.time.to_timestamp(east).as_millis();
    let mut seen = Vec::new();
    let mut logs = 0_u8;
    for log in LOGS {
        let Ok(file) = File::open(platform.root().join(log)) else { continue };
        match near(file, at, east, &wanted) {
            Ok(Near::Says(line)) => {
                return Ok(Finding::new(Answer::Yes, format!("{log}: {}", words(&line))));
            }
            Ok(Near::SaysNothingOfIt) => seen.push(log),
            Ok(Near::Silent) => {}
            Err(e) => return Err(format!("{log} cannot be read: {e}")),
        }
        logs += 1;
    }
    if logs == 0 {
        return Err("there is no log of updates or servicing".to_owned());
    }
    // Rotated away, cleared, or not of this failure: that is no *no*.
    if seen.is_empty() {
        return Err(format!("no log has a line within ten minutes of {}", failure.time));
    }
    let proof = format!("ten minutes around {}: {}", failure.time, seen.join(", "));
    Ok(Finding::new(Answer::No, proof))
}

/// What a log says near a moment.
#[derive(Debug, PartialEq, Eq)]
enum Near {
    /// This line holds the text.
    Says(String),
    /// There are lines, and none holds it.
    SaysNothingOfIt,
    /// There is no line.
    Silent,
}

/// The first line near a moment that holds the text, which is in lower case.
fn near(mut file: File, at: i64, east: i16, wanted: &str) -> std::io::Result<Near> {
    let size = file.metadata()?.len();
    // A log in two-byte letters is cut between two of them.
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL) & !1))?;
    let mut lines = BufReader::new(Utf8::new(file.take(TAIL))?);
    let mut line = Vec::new();
    // Lines without a time of their own belong to the last one before them.
    let mut when = None;
    let mut found = Near::Silent;
    loop {
        line.clear();
        if (&mut lines).take(LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(found);
        }
        if let Some(wall) = wall_clock(&line) {
            when = Some(wall - i64::from(east) * 60_000);
        }
        if when.is_some_and(|when| (when - at).abs() <= NEAR_MS) {
            let text = String::from_utf8_lossy(&line);
            if text.to_lowercase().contains(wanted) {
                return Ok(Near::Says(text.into_owned()));
            }
            found = Near::SaysNothingOfIt;
        }
    }
}

/// The local time of a line, in any of the logs' forms.
fn wall_clock(line: &[u8]) -> Option<i64> {
    let forms = |line: &[u8]| {
        let dashes = [b' ', b'\t'].into_iter().find_map(|b| stamp::date_clock(line, b'-', b));
        dashes.or_else(|| stamp::date_clock(line, b'/', b' '))
    };
    // ReportingEvents.log begins with an id.
    forms(line).or_else(|| forms(line.split(|b| *b == b'\t').nth(1)?))
}

/// How far local time is ahead of UTC, by what Windows itself uses now.
pub(super) async fn minutes_east(platform: &dyn Platform) -> Result<i16, String> {
    match value(platform, TIME_ZONE, "ActiveTimeBias").await? {
        Some(RegistryValue::Dword(bias)) => {
            let west = i16::try_from(bias.cast_signed()).ok().filter(|west| west.abs() <= 1_080);
            west.map(|west| -west).ok_or_else(|| "the time zone is not one".to_owned())
        }
        _ => Err("the time zone is not known".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_without_a_line_near_says_nothing() {
        let line = "2026-03-02 08:00:01, Info                  CBS    Disk is full\r\n";
        let at = stamp::date_clock(line.as_bytes(), b'-', b' ').expect("a time");
        let ask = |at: i64, wanted: &str| {
            let mut file = tempfile::tempfile().expect("a file");
            std::io::Write::write_all(&mut file, line.as_bytes()).expect("written");
            near(file, at, 0, wanted).expect("read")
        };
        assert_eq!(ask(at, "disk is full"), Near::Says(line.to_owned()));
        assert_eq!(ask(at + NEAR_MS, "no such words"), Near::SaysNothingOfIt);
        assert_eq!(ask(at + NEAR_MS + 1, "disk is full"), Near::Silent);
    }

    #[test]
    fn every_log_has_its_times() {
        let wall = stamp::date_clock(b"2026-03-02 08:00:01", b'-', b' ');
        assert!(wall.is_some());
        for line in [
            "2026-03-02 08:00:01, Info                  CBS    text",
            "2026/03/02 08:00:01.6301717 8096  8116  Agent           text",
            "2026-03-02\t08:00:01:216\t 648\t13bc\tAgent\ttext",
            "{00000000-0000-0000-0000-000000000000}\t2026-03-02 08:00:01:293+0300\t1\t148",
        ] {
            assert_eq!(wall_clock(line.as_bytes()), wall, "{line}");
        }
        assert_eq!(wall_clock(b"Total Detected Corruption:\t0"), None);
    }
}
