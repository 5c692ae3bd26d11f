//! The logs of Windows Update.

use fleetmend_core::time::Timestamp;

use super::{clock, millis};
use crate::model::Work;

/// An update that a host works on, or the service that it searches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Update<'a> {
    /// Its GUID, in capitals.
    pub(crate) guid: &'a str,
}

/// A row of ReportingEvents.log (UTF-16LE).
pub(crate) fn reporting(
    at: Timestamp,
    work: Work,
    update: Update<'_>,
    code: Option<u32>,
    words: &str,
) -> Vec<u8> {
    let (operation, event) = match (work, code.is_some()) {
        (Work::Scan, true) => ("Software Synchronization", "148 [AGENT_DETECTION_FAILED]"),
        (Work::Scan, false) => ("Software Synchronization", "147 [AGENT_DETECTION_FINISHED]"),
        (Work::Download, true) => ("Content Download", "161 [AGENT_DOWNLOAD_FAILED]"),
        (Work::Download, false) => ("Content Download", "162 [AGENT_DOWNLOAD_SUCCEEDED]"),
        (_, true) => ("Content Install", "182 [AGENT_INSTALLING_FAILED]"),
        (_, false) => ("Content Install", "183 [AGENT_INSTALLING_SUCCEEDED]"),
    };
    let row = [
        format!("{{{:08X}-0000-4000-8000-{:012X}}}", at.as_millis() >> 32, at.as_millis()),
        format!("{}:{:03}+0000", clock(at), millis(at)),
        "1".to_owned(),
        event.to_owned(),
        "101".to_owned(),
        format!("{{{}}}", update.guid),
        "200".to_owned(),
        format!("{:x}", code.unwrap_or(0)),
        "UpdateOrchestrator".to_owned(),
        if code.is_some() { "Failure" } else { "Success" }.to_owned(),
        operation.to_owned(),
        words.to_owned(),
        String::new(),
    ];
    wide(&(row.join("\t") + "\r\n"))
}

/// Lines of WindowsUpdate.log that end a search or an installation badly.
pub(crate) fn failed(at: Timestamp, work: Work, update: Update<'_>, code: u32) -> String {
    let time = format!("{}.{:07}", clock(at).replace('-', "/"), millis(at) * 10_000);
    let line =
        |component: &str, text: String| format!("{time} 4312  5108  {component:<15} {text}\r\n");
    match work {
        Work::Scan => {
            line("Agent", "* START * Finding updates CallerId = Update;  Id = 12".to_owned())
                + &line(
                    "Agent",
                    format!(
                        "* END * Finding updates CallerId = Update;  Id = 12, Exit code = 0x{code:08X}"
                    ),
                )
        }
        _ => line(
            "Agent",
            format!(
                "LogHistory called. idUpdate={{{}}}.200, resultMapped={code:08X}, resultUnMapped={code:08X}",
                update.guid
            ),
        ),
    }
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
