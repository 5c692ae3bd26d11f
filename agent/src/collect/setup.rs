//! setupact.log and setuperr.log: how an upgrade or a sysprep run ended.

use std::io::{self, Read};

use fleetmend_core::report::{Operation, Product, Source};
use fleetmend_core::time::SourceTime;

use super::draft::{Draft, Sink};
use super::lines::{self, Line, Needles, Read64};
use super::stamp;
use super::text::{after, body, failing, hresult, lossy, until};

/// Reads a whole setupact.log or setuperr.log.
pub(crate) fn collect(reader: impl Read, sink: &mut Sink<'_>) -> io::Result<Read64> {
    let needles = Needles::new(&[
        "Reporting error event -> [",
        "Hit failure while ",
        "installed for a user, but not provisioned",
    ]);
    // The package that stops sysprep is named before the outcome.
    let mut package: Option<String> = None;
    lines::visit(reader, &needles, stamp::comma, |line| {
        let body = body(line.bytes);
        if let Some(pair) = after(line.bytes, "SetupHost: Reporting error event -> [") {
            let Some(code) = hresult(pair).and_then(failing) else { return };
            let stage = after(pair, ",").and_then(|rest| stage(rest.trim_ascii_start()));
            let mut draft = draft(line, Product::Upgrade, Operation::Upgrade);
            draft.code = Some(code);
            draft.subject = stage.map(|s| format!("0x{s:05X}"));
            // An upgrade ended with it, so it is no harmless code here.
            sink.failure_even_if_benign(draft);
        } else if body.component != b"SYSPRP" {
        } else if let Some(rest) = body.text.strip_prefix(b"Package ") {
            let name = until(rest, " was installed for a user, but not provisioned");
            package = (name.len() < rest.len()).then(|| lossy(name));
        } else if let Some(rest) = body.text.strip_prefix(b"WinMain:Hit failure while ") {
            let code = after(rest, "hr = ").and_then(hresult).and_then(failing);
            let named = package.take();
            if code.is_some() {
                let product = if named.is_some() { Product::StoreApps } else { Product::Other };
                let mut draft = draft(line, product, Operation::Other);
                (draft.code, draft.subject) = (code, named);
                sink.failure(draft);
            }
        }
    })
}

/// `0x4000D`: where the upgrade was. At most eight hex digits.
fn stage(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X"))?;
    let len = digits.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    u32::from_str_radix(std::str::from_utf8(&digits[..len]).ok()?, 16).ok()
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
