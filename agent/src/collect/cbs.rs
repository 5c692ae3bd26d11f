//! CBS.log: servicing sessions, package results, store scans and SFC runs.
//!
//! A code in a line is not a failure: only the outcome of a session, of a package whose session has
//! no outcome, of a store scan and of an SFC run is reported. Everything else is evidence.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};

use fleetmend_core::code::FailureCode;
use fleetmend_core::report::{IncidentKey, Kind, Operation, Product, Source};
use fleetmend_core::time::SourceTime;
use fleetmend_core::update_class::UpdateClass;

use super::draft::{Draft, Recovered, Sink, slug};
use super::lines::{self, Done, Line, Needles, Spot, Text};
use super::stamp;
use super::store::{self, StoreWatch};
use super::text::{after, body, failing, holds, hresult, lossy, until, word};

/// Sessions without an outcome that are remembered; the oldest is let go, and counted.
const SESSIONS: usize = 4_096;
/// Distinct files of one SFC run that are told apart.
const FILES_PER_RUN: usize = 65_536;

/// Reads a whole CBS.log.
pub(crate) fn collect(text: Text<impl Read>, sink: &mut Sink<'_>) -> io::Result<Done> {
    let needles = Needles::new(&[
        "finalized. ",
        "Processing complete",
        store::NEEDLES[0],
        store::NEEDLES[1],
        store::NEEDLES[2],
        store::NEEDLES[3],
        store::NEEDLES[4],
        store::NEEDLES[5],
    ]);
    let mut parser = Parser::default();
    let mut watch = StoreWatch::default();
    let growing = text.growing;
    let read = lines::visit(text, &needles, stamp::comma, |line| {
        let text = body(line.bytes).text;
        watch.line(line, text, &mut |look| sink.look(look));
        parser.line(line, text, sink);
    })?;
    watch.end(&mut |look| sink.look(look));
    let open = if growing { parser.leave(read.end.stamp) } else { None };
    parser.end(sink);
    Ok(Done { read, open })
}

#[derive(Debug, Default)]
struct Parser {
    sessions: HashMap<Vec<u8>, Session>,
    /// The order in which sessions were first met.
    order: VecDeque<Vec<u8>>,
    summary: Option<Summary>,
    run: Option<Run>,
    hash: RandomState,
}

/// What is known of a session before its outcome.
#[derive(Debug, Default)]
struct Session {
    /// Set for a repair or verification of the store.
    operation: Option<Operation>,
    /// The last package that failed in it.
    package: Option<Held>,
    /// Its first line that mattered; `None` once it has ended.
    begun: Option<Spot>,
}

/// A failed package, held until its session ends.
#[derive(Debug)]
struct Held {
    package: Option<String>,
    code: FailureCode,
    line: u64,
    stamp: Option<i64>,
    message: String,
}

/// A store scan's summary.
#[derive(Debug)]
struct Summary {
    operation: Operation,
    /// Corruptions found, with line, time and words.
    detected: Option<(u64, u64, Option<i64>, String)>,
    repaired: u64,
    begun: Spot,
}

/// An SFC run.
#[derive(Debug, Default)]
struct Run {
    files: HashSet<u64>,
    begun: Spot,
    line: u64,
    stamp: Option<i64>,
    message: String,
}

impl Parser {
    fn line(&mut self, line: Line<'_>, text: &[u8], sink: &mut Sink<'_>) {
        if let Some(rest) = text.strip_prefix(b"Session: ") {
            self.finalized(rest, text, line, sink);
        } else if let Some(rest) = text.strip_prefix(b"Exec: Processing complete") {
            self.processed(rest, text, line, sink);
        } else if let Some(rest) = text.strip_prefix(b"Operation: ") {
            let operation = match rest {
                b"Detect only" => Operation::Verify,
                b"Detect and Repair" => Operation::Repair,
                _ => return,
            };
            let begun = line.spot();
            self.summary = Some(Summary { operation, detected: None, repaired: 0, begun });
        } else if let Some(rest) = text.strip_prefix(b"Total Detected Corruption:") {
            if let (Some(summary), Some(count)) =
                (&mut self.summary, stamp::number(rest.trim_ascii()))
            {
                summary.detected = Some((count, line.number, line.stamp, lossy(text)));
            }
        } else if let Some(rest) = text.strip_prefix(b"Total Repaired Corruption:") {
            if let (Some(summary), Some(count)) =
                (&mut self.summary, stamp::number(rest.trim_ascii()))
            {
                summary.repaired = count;
            }
        } else if let Some(rest) = after(text, "[SR] Cannot repair member file ") {
            self.unrepairable(rest, text, line);
        } else if holds(text, "Client requests SFP repair object") {
            self.close_run(sink);
            self.run = Some(Run { begun: line.spot(), ..Run::default() });
        } else if holds(text, "TiWorker signaled for shutdown") {
            self.close_run(sink);
        }
    }

    /// `Session: <id> finalized. Reboot required: no [HRESULT = 0x… - NAME]`
    fn finalized(&mut self, rest: &[u8], text: &[u8], line: Line<'_>, sink: &mut Sink<'_>) {
        let id = word(rest);
        if !rest[id.len()..].starts_with(b" finalized.") {
            return;
        }
        let mut session = self.sessions.remove(id).unwrap_or_default();
        let code = after(rest, "[HRESULT = ").and_then(hresult).and_then(failing);
        let reported = code.map(|code| {
            let package = session.package.as_mut().and_then(|held| held.package.take());
            let operation = session.operation.unwrap_or(Operation::Install);
            let mut draft = servicing(operation, Some(code), line.number, line.stamp, lossy(text));
            draft.update_class = package.as_deref().and_then(UpdateClass::of_package);
            draft.subject = package;
            sink.failure(draft)
        });
        // The same id may come again: what kind of session it is stays known.
        session.package = None;
        session.begun = None;
        if session.operation.is_some() {
            self.sessions.insert(id.to_vec(), session);
        } else {
            self.order.retain(|other| other != id);
        }
        self.close_summary(reported == Some(Kind::Failure), sink);
    }

    /// The end of one package, or of a store scan, inside a session.
    fn processed(&mut self, rest: &[u8], text: &[u8], line: Line<'_>, sink: &mut Sink<'_>) {
        if let Some(kind) = rest.strip_prefix(b", session(") {
            let operation = match until(kind, ")") {
                b"Corruption Repairing" => Operation::Repair,
                b"Corruption Detecting" => Operation::Verify,
                _ => return,
            };
            if let Some(id) = after(kind, "):").map(|id| word(id.trim_ascii_start())) {
                self.session(id, line, sink).operation = Some(operation);
            }
            return;
        }
        let Some(id) = after(rest, "Session: ").map(word) else { return };
        let package = after(rest, "Package: ").map(|p| lossy(until(p, ", ")));
        let result = after(rest, "[HRESULT = ").and_then(hresult);
        let Some(code) = result.and_then(failing) else {
            if result == Some(0) {
                worked(package, line, text, sink);
            }
            return;
        };
        let held = Held {
            package: package.filter(|p| !p.is_empty()),
            code,
            line: line.number,
            stamp: line.stamp,
            message: lossy(text),
        };
        self.session(id, line, sink).package = Some(held);
    }

    fn session(&mut self, id: &[u8], line: Line<'_>, sink: &mut Sink<'_>) -> &mut Session {
        if !self.sessions.contains_key(id) {
            if self.order.len() >= SESSIONS
                && let Some(oldest) = self.order.pop_front()
            {
                let held =
                    self.sessions.remove(&oldest).and_then(|s| s.package.map(|p| (s.operation, p)));
                if let Some((operation, held)) = held {
                    sink.failure(unfinished(operation, held));
                }
            }
            self.order.push_back(id.to_vec());
        }
        let session = self.sessions.entry(id.to_vec()).or_default();
        session.begun.get_or_insert(line.spot());
        session
    }

    /// `[l:36{18}]'F' of C, Version = …`; the quotes may be double.
    fn unrepairable(&mut self, rest: &[u8], text: &[u8], line: Line<'_>) {
        let quote = rest.iter().position(|b| matches!(b, b'\'' | b'"'));
        let named = quote.and_then(|at| {
            let file = &rest[at + 1..];
            let end = if rest[at] == b'"' { "\" of " } else { "' of " };
            let component = after(file, end)?;
            Some((until(file, end), until(component, ", ")))
        });
        let key = self.hash.hash_one(named.unwrap_or((rest, b"")));
        let run = self.run.get_or_insert_with(|| Run { begun: line.spot(), ..Run::default() });
        if run.files.len() < FILES_PER_RUN {
            run.files.insert(key);
        }
        (run.line, run.stamp, run.message) = (line.number, line.stamp, lossy(text));
    }

    fn close_run(&mut self, sink: &mut Sink<'_>) {
        if let Some(run) = self.run.take().filter(|run| !run.files.is_empty()) {
            let code = slug("servicing.sfc_unrepairable");
            let mut draft = servicing(Operation::Repair, code, run.line, run.stamp, run.message);
            draft.count = Some(run.files.len() as u64);
            sink.failure(draft);
        }
    }

    /// `told`: the session that ends the scan was itself reported as a failure.
    fn close_summary(&mut self, told: bool, sink: &mut Sink<'_>) {
        let Some(summary) = self.summary.take() else { return };
        let Some((detected, line, stamp, message)) = summary.detected else { return };
        if detected > summary.repaired && !told {
            let code = slug("servicing.store_corrupt");
            let mut draft = servicing(summary.operation, code, line, stamp, message);
            draft.count = Some(detected - summary.repaired);
            sink.failure(draft);
        }
    }

    /// Takes out what a growing log may still decide; gives the first line that it depends on.
    fn leave(&mut self, latest: Option<i64>) -> Option<Spot> {
        let open = |begun: &Spot| lines::may_be_decided(begun.stamp, latest);
        let mut first = Vec::new();
        self.sessions.retain(|_, session| {
            let begun = session.begun.filter(open);
            first.extend(begun);
            begun.is_none()
        });
        if let Some(summary) = self.summary.take_if(|summary| open(&summary.begun)) {
            first.push(summary.begun);
        }
        if let Some(run) = self.run.take_if(|run| open(&run.begun)) {
            first.push(run.begun);
        }
        first.into_iter().min_by_key(|spot| spot.offset)
    }

    fn end(mut self, sink: &mut Sink<'_>) {
        self.close_run(sink);
        self.close_summary(false, sink);
        for id in std::mem::take(&mut self.order) {
            if let Some(Session { operation, package: Some(held), .. }) = self.sessions.remove(&id)
            {
                sink.failure(unfinished(operation, held));
            }
        }
    }
}

/// A package that failed in a session whose outcome the file does not hold.
fn unfinished(operation: Option<Operation>, held: Held) -> Draft {
    let operation = operation.unwrap_or(Operation::Install);
    let mut draft = servicing(operation, Some(held.code), held.line, held.stamp, held.message);
    draft.update_class = held.package.as_deref().and_then(UpdateClass::of_package);
    draft.subject = held.package;
    draft
}

/// A package that was processed without an error ends its earlier failures.
fn worked(package: Option<String>, line: Line<'_>, text: &[u8], sink: &mut Sink<'_>) {
    let (Some(subject), Some(at)) = (package.filter(|p| !p.is_empty()), line.stamp) else { return };
    sink.success(Recovered {
        key: IncidentKey {
            product: Product::Servicing,
            operation: Operation::Install,
            code: None,
            subject: Some(subject),
        },
        time: SourceTime::local(at),
        message: lossy(text),
    });
}

fn servicing(
    operation: Operation,
    code: Option<FailureCode>,
    line: u64,
    stamp: Option<i64>,
    message: String,
) -> Draft {
    Draft {
        product: Product::Servicing,
        operation,
        code,
        subject: None,
        time: SourceTime::local(stamp.unwrap_or(0)),
        source: Source::Cbs,
        event: None,
        line: Some(line),
        count: None,
        update_class: None,
        message,
    }
}
