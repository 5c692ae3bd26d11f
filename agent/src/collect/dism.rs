//! DISM.log: one report a failed command.
//!
//! The line that names the command's own function comes last, once a run; the lines with other codes
//! before it are evidence, and tell only what the command was. Runs interleave: they are kept apart
//! by process.

use std::collections::HashMap;
use std::io::{self, Read};

use fleetmend_core::report::{Operation, Product, Source};
use fleetmend_core::time::SourceTime;

use super::draft::{Draft, Sink};
use super::lines::{self, Done, Needles, Spot, Text};
use super::stamp;
use super::text::{after, body, failing, holds, hresult, lossy};

/// Processes remembered at once.
const PROCESSES: usize = 4_096;

/// Reads a whole DISM.log.
pub(crate) fn collect(text: Text<impl Read>, sink: &mut Sink<'_>) -> io::Result<Done> {
    let needles = Needles::new(&[", Error "]);
    let mut running: HashMap<u64, (Operation, Spot)> = HashMap::new();
    let growing = text.growing;
    let read = lines::visit(text, &needles, stamp::comma, |line| {
        let body = body(line.bytes);
        if body.level != b"Error" || body.component != b"DISM" {
            return;
        }
        let pid = after(body.text, "PID=").and_then(|rest| {
            let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            stamp::number(&rest[..digits])
        });
        let Some(pid) = pid else { return };
        if running.len() >= PROCESSES && !running.contains_key(&pid) {
            running.clear();
        }
        // What a line says first in the list below holds for the run, whichever line says it.
        let operation = [operation(body.text), running.get(&pid).map(|known| known.0)]
            .into_iter()
            .flatten()
            .min_by_key(|o| rank(*o));
        let code = ["::ExecuteCmdLine(hr:", "CBaseCommandObject::Execute(hr:"]
            .iter()
            .find_map(|mark| after(body.text, mark))
            .and_then(hresult)
            .and_then(failing);
        let Some(code) = code else {
            if let Some(operation) = operation {
                let begun = running.get(&pid).map_or_else(|| line.spot(), |known| known.1);
                running.insert(pid, (operation, begun));
            }
            return;
        };
        running.remove(&pid);
        let store = holds(body.text, "DISM Appx Provider:");
        sink.failure(Draft {
            product: if store { Product::StoreApps } else { Product::Servicing },
            operation: operation.unwrap_or(Operation::Other),
            code: Some(code),
            subject: None,
            time: SourceTime::local(line.stamp.unwrap_or(0)),
            source: Source::Dism,
            event: None,
            line: Some(line.number),
            count: None,
            update_class: None,
            message: lossy(body.text),
        });
    })?;
    let open = |begun: &Spot| growing && lines::may_be_decided(begun.stamp, read.end.stamp);
    let begun = running.into_values().map(|(_, begun)| begun);
    Ok(Done { read, open: begun.filter(open).min_by_key(|spot| spot.offset) })
}

/// What an error line says of the command it belongs to.
fn operation(text: &[u8]) -> Option<Operation> {
    let any = |marks: &[&str]| marks.iter().any(|mark| holds(text, mark));
    if any(&["::ScanHealth(", "::CheckHealth("]) {
        Some(Operation::Verify)
    } else if any(&["::RestoreHealth(", "processing command cleanup-"]) {
        Some(Operation::Repair)
    } else if any(&["command add-", "command enable-", "to add Appx package"]) {
        Some(Operation::Install)
    } else if any(&["command remove-", "command disable-"]) {
        Some(Operation::Uninstall)
    } else {
        None
    }
}

/// The place of an operation in the list of what a line may say.
fn rank(operation: Operation) -> usize {
    let order = [Operation::Verify, Operation::Repair, Operation::Install, Operation::Uninstall];
    order.iter().position(|o| *o == operation).unwrap_or(order.len())
}
