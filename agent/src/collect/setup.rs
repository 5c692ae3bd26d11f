//! setupact.log and setuperr.log: how an upgrade or a sysprep run ended.

use std::io::{self, Read};

use fleetmend_core::report::{Operation, Product, Source};
use fleetmend_core::time::SourceTime;

use super::draft::{Draft, Sink};
use super::lines::{self, Done, Line, Needles, Spot, Text};
use super::stamp;
use super::text::{after, body, failing, hresult, lossy, until};

/// Reads a whole setupact.log or setuperr.log.
pub(crate) fn collect(text: Text<impl Read>, sink: &mut Sink<'_>) -> io::Result<Done> {
    let needles = Needles::new(&[
        "Reporting error event -> [",
        "Hit failure while ",
        "installed for a user, but not provisioned",
    ]);
    // The package that stops sysprep is named before the outcome.
    let mut package: Option<(String, Spot)> = None;
    let growing = text.growing;
    let read = lines::visit(text, &needles, stamp::comma, |line| {
        let body = body(line.bytes);
        if let Some(pair) = after(line.bytes, "SetupHost: Reporting error event -> [") {
            let Some(code) = hresult(pair).and_then(failing) else { return };
            let stage = after(pair, ",").and_then(|rest| stage(rest.trim_ascii_start()));
            let mut draft = draft(line, Product::Upgrade, Operation::Upgrade);
            draft.code = Some(code);
            draft.subject = stage.map(stage_name);
            if let Some(words) = stage.and_then(stage_words) {
                draft.message = format!("{words}; {}", draft.message);
            }
            // An upgrade ended with it, so it is no harmless code here.
            sink.failure_even_if_benign(draft);
        } else if body.component != b"SYSPRP" {
        } else if let Some(rest) = body.text.strip_prefix(b"Package ") {
            let name = until(rest, " was installed for a user, but not provisioned");
            package = (name.len() < rest.len()).then(|| (lossy(name), line.spot()));
        } else if let Some(rest) = body.text.strip_prefix(b"WinMain:Hit failure while ") {
            let code = after(rest, "hr = ").and_then(hresult).and_then(failing);
            let named = package.take().map(|(name, _)| name);
            if code.is_some() {
                let product = if named.is_some() { Product::StoreApps } else { Product::Other };
                let mut draft = draft(line, product, Operation::Other);
                (draft.code, draft.subject) = (code, named);
                sink.failure(draft);
            }
        }
    })?;
    let open = |begun: &Spot| growing && lines::may_be_decided(begun.stamp, read.end.stamp);
    Ok(Done { read, open: package.map(|(_, begun)| begun).filter(open) })
}

/// `0x4000D`: where the upgrade was. At most eight hex digits.
fn stage(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X"))?;
    let len = digits.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    u32::from_str_radix(std::str::from_utf8(&digits[..len]).ok()?, 16).ok()
}

/// The extended code as it names an incident.
pub(super) fn stage_name(stage: u32) -> String {
    format!("0x{stage:05X}")
}

/// What an extended code says: the phase, and the operation in it. (Microsoft: Windows upgrade error
/// codes.)
pub(super) fn stage_words(stage: u32) -> Option<String> {
    let phase = match stage >> 16 {
        1 => "while preparing the upgrade (downlevel)",
        2 => "in the recovery environment (SafeOS)",
        3 => "at the first start of the new Windows (first boot)",
        4 => "at the last start of the upgrade (OOBE boot)",
        5 => "while going back to the old Windows (uninstall)",
        _ => return None,
    };
    let operation = match stage & 0xFFFF {
        0x0 => return Some(format!("it ended {phase}")),
        0x1 => "copying the payload",
        0x2 => "downloading updates",
        0x3 => "installing updates",
        0x4 => "installing the recovery environment",
        0x5 => "installing the recovery image",
        0x6 => "replicating optional components",
        0x7 => "installing drivers",
        0x8 => "preparing the recovery environment",
        0x9 => "preparing the rollback",
        0xA => "preparing the first boot",
        0xB => "preparing the OOBE boot",
        0xC => "applying the image",
        0xD => "migrating data",
        0xE => "setting the product key",
        0xF => "adding the answer file",
        0x10 => "adding a driver",
        0x11 => "enabling a feature",
        0x12 => "disabling a feature",
        0x13 => "registering a program (asynchronous)",
        0x14 => "registering a program (synchronous)",
        0x15 => "creating a file",
        0x16 => "creating a registry key",
        0x17 => "booting",
        0x18 => "running sysprep",
        0x19 => "in the out-of-box experience",
        0x1A => "beginning the first boot",
        0x1B => "ending the first boot",
        0x1C => "beginning the OOBE boot",
        0x1D => "ending the OOBE boot",
        0x1E => "before the out-of-box experience",
        0x1F => "after the out-of-box experience",
        0x20 => "adding a provisioning package",
        other => return Some(format!("it ended {phase}, operation 0x{other:X}")),
    };
    Some(format!("it ended {phase}, {operation}"))
}

fn draft(line: Line<'_>, product: Product, operation: Operation) -> Draft {
    Draft {
        product,
        operation,
        code: None,
        subject: None,
        time: SourceTime::local(line.stamp.unwrap_or(0)),
        source: Source::Setup,
        event: None,
        line: Some(line.number),
        count: None,
        update_class: None,
        message: lossy(body(line.bytes).text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extended_code_says_where_it_ended() {
        let words = |stage| stage_words(stage).unwrap_or_default();
        assert_eq!(
            words(0x4_000D),
            "it ended at the last start of the upgrade (OOBE boot), migrating data"
        );
        assert_eq!(
            words(0x2_000C),
            "it ended in the recovery environment (SafeOS), applying the image"
        );
        assert_eq!(
            words(0x3_0018),
            "it ended at the first start of the new Windows (first boot), running sysprep"
        );
        assert_eq!(words(0x1_0000), "it ended while preparing the upgrade (downlevel)");
        assert!(words(0x5_0FFF).ends_with("operation 0xFFF"));
        assert_eq!(stage_words(0), None);
        assert_eq!(stage_words(0x8007_0001), None);
        assert_eq!(stage_name(0x4_000D), "0x4000D");
    }
}
