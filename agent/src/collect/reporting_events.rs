//! ReportingEvents.log: one outcome a row, tab-separated, in columns that never moved.

use std::io::{self, Read};

use fleetmend_core::code::FailureCode;
use fleetmend_core::report::{IncidentKey, Operation, Product, Source};
use fleetmend_core::time::SourceTime;
use fleetmend_core::update_class::UpdateClass;

use super::draft::{Draft, Recovered, Sink};
use super::lines::{self, Done, Line, Needles, Spot, Text};
use super::stamp;
use super::text::lossy;

/// Reads a whole ReportingEvents.log (already as UTF-8).
pub(crate) fn collect(text: Text<impl Read>, sink: &mut Sink<'_>) -> io::Result<Done> {
    let needles = Needles::new(&["Failure", "Success"]);
    let read = lines::visit(text, &needles, |_| None, |line| row(line, sink))?;
    // What was told depends on lines far before: it is read from its beginning at every look.
    Ok(Done { read, open: Some(Spot::default()) })
}

fn row(line: Line<'_>, sink: &mut Sink<'_>) {
    let columns: Vec<&[u8]> = line.bytes.split(|b| *b == b'\t').collect();
    let column = |at: usize| columns.get(at).copied().unwrap_or_default().trim_ascii();
    let operation = match column(10) {
        b"Software Synchronization" => Operation::Scan,
        b"Content Download" => Operation::Download,
        b"Content Install" => Operation::Install,
        b"Content Uninstall" => Operation::Uninstall,
        _ => Operation::Other,
    };
    // A scan names the service there, not an update.
    let guid = column(5).trim_ascii();
    let guid = guid.strip_prefix(b"{").unwrap_or(guid);
    let guid = lossy(guid.strip_suffix(b"}").unwrap_or(guid));
    let subject = (operation != Operation::Scan && !guid.is_empty()).then_some(guid);
    let Some(time) = time(column(1)) else {
        if column(9) == b"Failure" {
            sink.dropped();
        }
        return;
    };
    let message = lossy(column(11));
    if let Some(id) = &subject {
        sink.names.words(id, &message);
    }
    let code = code(column(7));
    match column(9) {
        b"Failure" => {
            sink.failure(Draft {
                product: Product::WindowsUpdate,
                operation,
                code: code.map(FailureCode::Hresult),
                subject,
                time,
                source: Source::ReportingEvents,
                event: None,
                line: Some(line.number),
                count: None,
                update_class: UpdateClass::of_title(&message),
                message,
            });
        }
        b"Success" if ends_failures(column(3), operation, code) => {
            let key =
                IncidentKey { product: Product::WindowsUpdate, operation, code: None, subject };
            sink.success(Recovered { key, time, message });
        }
        _ => {}
    }
}

/// Only the end of an operation proves that it works; a start or a cancellation does not.
fn ends_failures(event: &[u8], operation: Operation, code: Option<u32>) -> bool {
    let ended = super::text::holds(event, "_FINISHED]") || super::text::holds(event, "_SUCCEEDED]");
    let known = matches!(
        operation,
        Operation::Scan | Operation::Download | Operation::Install | Operation::Uninstall
    );
    ended && known && !code.is_some_and(FailureCode::is_failing)
}

/// `80240438`, bare; `0` is success.
fn code(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let exact = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let value = exact.then(|| u32::from_str_radix(digits, 16).ok()).flatten()?;
    (value != 0).then_some(value)
}

/// `2023-06-28 04:15:45:293+0300`: the zone may be missing.
fn time(text: &[u8]) -> Option<SourceTime> {
    let wall = stamp::date_clock(text, b'-', b' ')?;
    let rest = &text[19..];
    let rest = rest.strip_prefix(b":").or_else(|| rest.strip_prefix(b".")).unwrap_or(rest);
    let wall = wall + stamp::fraction(rest).unwrap_or(0);
    let zone = rest.iter().position(|b| matches!(b, b'+' | b'-')).map(|at| &rest[at..]);
    let minutes = zone.and_then(|zone| {
        let digits: Vec<u8> = zone[1..].iter().copied().filter(|b| *b != b':').collect();
        let value = i16::try_from(stamp::number(digits.get(..4)?)?).ok()?;
        let minutes = value / 100 * 60 + value % 100;
        Some(if zone[0] == b'-' { -minutes } else { minutes })
    });
    Some(minutes.map_or(SourceTime::local(wall), |m| SourceTime::with_offset(wall, m)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_zone() {
        let text = |t: &str| time(t.as_bytes()).map(|t| t.to_string());
        assert_eq!(
            text("2023-06-28 04:15:45:293+0300").as_deref(),
            Some("2023-06-28T04:15:45.293+03:00")
        );
        assert_eq!(
            text("2023-06-28 04:15:45:293-0330").as_deref(),
            Some("2023-06-28T04:15:45.293-03:30")
        );
        assert_eq!(text("2023-06-28 04:15:45:293").as_deref(), Some("2023-06-28T04:15:45.293"));
        assert_eq!(text("2023-06-28 04:15:45").as_deref(), Some("2023-06-28T04:15:45.000"));
        assert_eq!(text("yesterday"), None);
    }

    #[test]
    fn codes_are_bare_hex() {
        assert_eq!(code(b"80240438"), Some(0x8024_0438));
        assert_eq!(code(b"240010"), Some(0x24_0010));
        for none in ["0", "", "x", "+1", "123456789"] {
            assert_eq!(code(none.as_bytes()), None, "{none}");
        }
    }
}
