//! WindowsUpdate.log: outcomes of scans, downloads and installations.
//!
//! Most `*FAILED*` lines are the trace of one fault through many callers: only the line that ends
//! an operation is a failure.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read};

use fleetmend_core::code::FailureCode;
use fleetmend_core::report::{Kind, Operation, Product, Source};
use fleetmend_core::time::SourceTime;
use fleetmend_core::update_class::UpdateClass;

use super::draft::{Draft, Sink};
use super::lines::{self, Done, Line, Needles, Spot, Text};
use super::stamp;
use super::text::{after, failing, hex8, holds, hresult, lossy, until};

/// Two forms of one failed installation stand at most this far apart.
const SAME_FAILURE_MS: i64 = 60_000;
/// Failed installations remembered to tell their two forms apart.
const REMEMBERED: usize = 1_024;
/// The end of an operation stands at most this many lines below the warning that tells its code
/// (Windows 7: a line of stars is between them).
const WARNING_LINES: u64 = 4;
/// The code of an installation that waits for a restart.
const REBOOT_PENDING: u32 = 0x8024_2014;
/// The code of a call of which all updates failed.
const ALL_FAILED: u32 = 0x8024_0022;

/// Reads a whole WindowsUpdate.log.
pub(crate) fn collect(text: Text<impl Read>, sink: &mut Sink<'_>) -> io::Result<Done> {
    let needles = Needles::new(&[
        "END * ",
        "END ** ",
        "END  ** ",
        "occurred while downloading update ",
        "LogHistory called",
        "deployment callback for top-level",
        "Call error code = 0x80240022",
        "WARNING: Exit code = 0x",
        "  Title = ",
        "  UpdateId = ",
    ]);
    let mut parser = Parser::default();
    let read = lines::visit(text, &needles, stamp_of, |line| parser.line(line, sink))?;
    // What was told depends on lines far before: it is read from its beginning at every look.
    Ok(Done { read, open: Some(Spot::default()) })
}

#[derive(Debug, Default)]
struct Parser {
    download_failed: bool,
    install_failed: bool,
    /// Failed installations of either form that have not met their other form.
    unpaired: HashMap<String, VecDeque<(Form, i64)>>,
    /// What the titles told of updates, the latest last.
    classes: VecDeque<(String, UpdateClass)>,
    /// The title that stands just before the id of its update.
    titled: Option<String>,
    /// The exit code of the agent's warning just before the end of an operation (Windows 7), and
    /// its line.
    warned: Option<(u32, u64)>,
}

/// In which of its two forms a failed installation was logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    History,
    Callback,
}

impl Parser {
    fn line(&mut self, line: Line<'_>, sink: &mut Sink<'_>) {
        let text = line.bytes;
        let warned = self.warned.take();
        let titled = self.titled.take();
        if let Some(title) = after(text, "  Title = ") {
            self.titled = Some(lossy(title));
            return;
        }
        if let Some(id) = after(text, "  UpdateId = ") {
            if let (Some(title), Some(id)) = (titled, guid(id)) {
                sink.names.title(&id, &title);
                if let Some(class) = UpdateClass::of_title(&title) {
                    self.remember(id, class);
                }
            }
            return;
        }
        if let Some(rest) = after(text, "WARNING: Exit code = ") {
            // An update's handler warns in the same words; the agent's own line ends the operation.
            let agents = holds(until(text, "WARNING: "), "Agent");
            let code = hresult(rest).filter(|code| agents && FailureCode::is_failing(*code));
            self.warned = code.map(|code| (code, line.number));
        } else if let Some(rest) = after(text, "* END * Finding updates") {
            let code = after(rest, "Exit code = ").and_then(hresult).and_then(failing);
            if let Some(code) = code {
                report((Operation::Scan, None), code, None, line, sink);
            }
        } else if let Some(rest) = after(text, "** END ** ").or_else(|| after(text, "**  END  ** "))
        {
            Self::old_end(rest, warned, line, sink);
        } else if let Some(rest) = after(text, "occurred while downloading update ") {
            self.download(rest, line, sink);
        } else if let Some(rest) = after(text, "LogHistory called") {
            let code = |mark: &str| after(rest, mark).and_then(hex8);
            let codes = (code("resultMapped="), code("resultUnMapped="));
            self.install(after(rest, "idUpdate="), codes, Form::History, line, sink);
        } else if let Some(rest) = after(text, "deployment callback for top-level update ") {
            if holds(rest, "callback code = Update failed") {
                let code = |mark: &str| after(rest, mark).and_then(hresult);
                let codes = (code(" mapped result = "), code("unmapped result = "));
                self.install(Some(rest), codes, Form::Callback, line, sink);
            }
        } else if holds(text, "Call error code = 0x80240022") {
            // Told already, unless the log begins in the middle of the call.
            let download = holds(until(text, "Call error code"), "ClientId = ");
            let (operation, told) = if download {
                (Operation::Download, self.download_failed)
            } else {
                (Operation::Install, self.install_failed)
            };
            if !told {
                self.note(operation, ALL_FAILED, None, line, sink);
            }
        }
    }

    fn download(&mut self, rest: &[u8], line: Line<'_>, sink: &mut Sink<'_>) {
        let code = if let Some(code) = after(line.bytes, "*FAILED* [") {
            let ends =
                holds(line.bytes, "] Error occurred") && holds(rest, "notifying dependent calls");
            hex8(code).filter(|_| ends)
        } else {
            // Windows 7: `DnldMgr  Error 0x… occurred while downloading update …`
            after(line.bytes, "Error ").and_then(hresult)
        };
        if let Some(code) = code.filter(|c| FailureCode::is_failing(*c)) {
            self.note(Operation::Download, code, guid(rest), line, sink);
        }
    }

    fn install(
        &mut self,
        update: Option<&[u8]>,
        (mapped, unmapped): (Option<u32>, Option<u32>),
        form: Form,
        line: Line<'_>,
        sink: &mut Sink<'_>,
    ) {
        let fails = |code: &u32| FailureCode::is_failing(*code);
        let Some(code) = unmapped.filter(fails).or(mapped.filter(fails)) else { return };
        if mapped == Some(REBOOT_PENDING) {
            return;
        }
        let update = update.and_then(guid);
        let at = line.stamp.unwrap_or(0);
        let key = update.clone().unwrap_or_default();
        if self.unpaired.len() >= REMEMBERED && !self.unpaired.contains_key(&key) {
            self.unpaired.clear();
        }
        let seen = self.unpaired.entry(key).or_default();
        let near = |other: &(Form, i64)| other.0 != form && (at - other.1).abs() <= SAME_FAILURE_MS;
        if let Some(pair) = seen.iter().position(near) {
            seen.remove(pair);
            return;
        }
        if seen.len() >= REMEMBERED {
            seen.pop_front();
        }
        seen.push_back((form, at));
        self.note(Operation::Install, code, update, line, sink);
    }

    /// The end of an operation in the form of Windows 7, which tells its code a line earlier.
    fn old_end(rest: &[u8], warned: Option<(u32, u64)>, line: Line<'_>, sink: &mut Sink<'_>) {
        let near = |&(_, at): &(u32, u64)| line.number.saturating_sub(at) <= WARNING_LINES;
        let Some(code) = warned.filter(near).and_then(|(code, _)| failing(code)) else { return };
        let rest = after(rest, "Agent: ").unwrap_or(rest);
        if rest.starts_with(b"Finding updates") {
            report((Operation::Scan, None), code, None, line, sink);
        } else if rest.starts_with(b"Installing updates") {
            report((Operation::Install, None), code, None, line, sink);
        }
    }

    /// Keeps what a title told of an update.
    fn remember(&mut self, id: String, class: UpdateClass) {
        self.classes.retain(|(known, _)| *known != id);
        if self.classes.len() >= REMEMBERED {
            self.classes.pop_front();
        }
        self.classes.push_back((id, class));
    }

    fn class(&self, id: &str) -> Option<UpdateClass> {
        self.classes.iter().rev().find(|(known, _)| known == id).map(|(_, class)| *class)
    }

    fn note(
        &mut self,
        operation: Operation,
        code: u32,
        subject: Option<String>,
        line: Line<'_>,
        sink: &mut Sink<'_>,
    ) {
        let class = subject.as_deref().and_then(|id| self.class(id));
        let kind = report((operation, class), FailureCode::Hresult(code), subject, line, sink);
        if kind == Kind::Failure || kind == Kind::Pending {
            self.download_failed |= operation == Operation::Download;
            self.install_failed |= operation == Operation::Install;
        }
    }
}

fn report(
    (operation, update_class): (Operation, Option<UpdateClass>),
    code: FailureCode,
    subject: Option<String>,
    line: Line<'_>,
    sink: &mut Sink<'_>,
) -> Kind {
    sink.failure(Draft {
        product: Product::WindowsUpdate,
        operation,
        code: Some(code),
        subject,
        time: SourceTime::local(line.stamp.unwrap_or(0)),
        source: Source::WindowsUpdate,
        event: None,
        line: Some(line.number),
        count: None,
        update_class,
        message: lossy(line.bytes),
    })
}

/// The time of a line in any of its forms.
fn stamp_of(line: &[u8]) -> Option<i64> {
    let wall = stamp::update(line)?;
    Some(wall + stamp::fraction(&line[20..])?)
}

/// An update's GUID at the start, with or without braces, without its revision.
fn guid(text: &[u8]) -> Option<String> {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix(b"{").unwrap_or(text);
    let id = text.get(..36)?;
    let right = id.iter().enumerate().all(|(at, b)| match at {
        8 | 13 | 18 | 23 => *b == b'-',
        _ => b.is_ascii_hexdigit(),
    });
    right.then(|| lossy(id).to_ascii_uppercase())
}
