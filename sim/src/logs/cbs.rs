//! CBS.log.

use fleetmend_core::time::Timestamp;

use super::clock;

/// A session in which an update's package is processed: it ends with `code`, or well.
pub(crate) fn session(at: Timestamp, package: &str, code: Option<u32>, words: &str) -> String {
    let line = |text: String| format!("{}, Info                  CBS    {text}\r\n", clock(at));
    // Session ids are made of the system's ticks: never the same twice.
    let session = format!("31{:06}_{}", at.as_millis().rem_euclid(1_000_000), at.as_millis());
    let result = match code {
        Some(code) => format!("0x{code:08x}"),
        None => "0x00000000 - S_OK".to_owned(),
    };
    let mut text = line(format!("Session: {session} initialized by client UpdateAgentLCU."));
    if code.is_some() {
        text += &line(format!("{words} [HRESULT = {result}]"));
    }
    text += &line(format!(
        "Exec: Processing complete.  Session: {session}, Package: {package}, Identifier: Simulated [HRESULT = {result}]"
    ));
    text +=
        &line(format!("Session: {session} finalized. Reboot required: no [HRESULT = {result}]"));
    text
}
