//! Copied logs of the package tools of Linux: apt, unattended-upgrades, dnf, zypper. A copied log has
//! no host beside it, so all that its runs tell is reported, in local time where it gives no zone.

use std::io::{self, Read};

use fleetmend_core::code::FailureCode;
use fleetmend_core::report::{IncidentKey, Operation, Product, Source};
use fleetmend_core::time::SourceTime;

use super::draft::{Draft, Recovered, Sink, slug};
use super::live::apt_logs::{self, Stanza};
use super::live::dnf_logs::{self, Ended};
use super::live::rpm_outcomes::draft;
use super::live::words::{operation_of, slug_of};
use super::live::zypper_logs;
use super::stamp;

/// Bytes read at once.
const PIECE: usize = 256 * 1024;
/// The largest run that is waited for; a larger one is passed over, and counted.
const RUN: usize = 4 * 1024 * 1024;
/// Lines at the beginning that are looked at to recognise a log.
const LOOK: usize = 200;

/// The logs that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// apt's `term.log`, or that of unattended-upgrades.
    Term,
    /// apt's `history.log`.
    History,
    /// `unattended-upgrades.log`.
    Unattended,
    /// `dpkg.log`: no outcome of its own.
    Dpkg,
    /// `dnf.log`.
    Dnf,
    /// `zypper.log`.
    Zypper,
    /// zypp's `history`.
    ZyppHistory,
}

impl Form {
    fn of(head: &[u8]) -> Option<Self> {
        head.split(|b| *b == b'\n').take(LOOK).find_map(Self::of_line)
    }

    fn of_line(line: &[u8]) -> Option<Self> {
        let line = String::from_utf8_lossy(&line[..line.len().min(1_024)]);
        if line.starts_with("Log started: ") {
            return Some(Self::Term);
        }
        if line.starts_with("Start-Date: ") {
            return Some(Self::History);
        }
        if dnf_logs::stamped(&line).is_some() {
            return Some(Self::Dnf);
        }
        if zypper_logs::logged(&line).is_some() {
            return Some(Self::Zypper);
        }
        stamp::date_clock(line.as_bytes(), b'-', b' ')?;
        let rest = line.get(19..)?;
        if rest.starts_with('|') && line.matches('|').count() >= 3 {
            return Some(Self::ZyppHistory);
        }
        let first = rest.split_whitespace().next()?;
        if ["startup", "status", "configure", "install", "upgrade", "trigproc"].contains(&first) {
            return Some(Self::Dpkg);
        }
        // Windows' logs have a blank after the comma, Python's the milliseconds.
        let level = rest.strip_prefix(',')?.get(3..)?.split_whitespace().next()?;
        ["DEBUG", "INFO", "WARNING", "ERROR"].contains(&level).then_some(Self::Unattended)
    }

    const fn source(self) -> Source {
        match self {
            Self::Term | Self::History | Self::Unattended => Source::Apt,
            Self::Dpkg => Source::Dpkg,
            Self::Dnf => Source::Dnf,
            Self::Zypper | Self::ZyppHistory => Source::Zypper,
        }
    }
}

/// The kind of source, by the first lines; `None` where it is no log of these tools.
pub(super) fn recognise(head: &[u8]) -> Option<Source> {
    Form::of(head).map(Form::source)
}

/// Reads a log to its end, one bounded piece at a time; gives its bytes, and the runs passed over.
pub(super) fn collect(mut reader: impl Read, sink: &mut Sink<'_>) -> io::Result<(u64, u64)> {
    let mut held = Vec::new();
    let mut form = None;
    let (mut bytes, mut cut) = (0, 0);
    loop {
        let before = held.len();
        (&mut reader).take(PIECE as u64).read_to_end(&mut held)?;
        let read = held.len() - before;
        bytes += read as u64;
        let last = read == 0;
        form = form.or_else(|| Form::of(&held));
        // Whole lines only, until there are no more.
        let end =
            if last { held.len() } else { memchr::memrchr(b'\n', &held).map_or(0, |at| at + 1) };
        let taken = form.map_or(end, |form| take(form, &held[..end], sink));
        held.drain(..taken);
        if last {
            return Ok((bytes, cut));
        }
        if held.len() > RUN {
            held.clear();
            cut += 1;
        }
    }
}

/// Takes the ended runs of a piece; gives the bytes that they take.
fn take(form: Form, text: &[u8], sink: &mut Sink<'_>) -> usize {
    match form {
        Form::Term => {
            let (runs, taken) = apt_logs::runs(text);
            for run in runs {
                for failure in run.failures {
                    let code = slug(failure.slug);
                    let told = apt(failure.operation, code, run.end, failure.words);
                    let subject = failure.package.filter(|_| failure.slug.starts_with("apt."));
                    sink.failure(Draft { subject, ..told });
                }
            }
            taken
        }
        Form::History => {
            let (stanzas, taken) = apt_logs::stanzas(text);
            for stanza in stanzas {
                one(stanza, sink);
            }
            taken
        }
        Form::Unattended => {
            for error in apt_logs::unattended_errors(text) {
                let operation = error.slug.map_or(Operation::Install, operation_of);
                let code = error.slug.and_then(slug).unwrap_or(FailureCode::Exit(1));
                sink.failure(apt(operation, Some(code), error.at, error.words));
            }
            text.len()
        }
        Form::Dpkg => text.len(),
        Form::Dnf => {
            let (runs, taken) = dnf_logs::runs(text);
            for run in runs {
                ended(run, Product::Dnf, None, sink);
            }
            taken
        }
        Form::Zypper => {
            let (runs, taken) = zypper_logs::runs(text, SourceTime::local);
            for run in runs {
                ended(run, Product::Zypper, None, sink);
            }
            taken
        }
        Form::ZyppHistory => {
            for (run, package) in zypper_logs::history(text, SourceTime::local) {
                ended(run, Product::Zypper, Some(package), sink);
            }
            text.len()
        }
    }
}

fn one(stanza: Stanza, sink: &mut Sink<'_>) {
    let known = matches!(stanza.operation, Operation::Install | Operation::Uninstall);
    let operation = if known { stanza.operation } else { Operation::Install };
    match stanza.error {
        Some(error) => {
            // apt ends with 100 whatever failed.
            let code = slug_of(&error).and_then(slug).unwrap_or(FailureCode::Exit(100));
            let words = format!("{}: {error}", stanza.command);
            sink.failure(apt(operation, Some(code), stanza.end, words));
        }
        None if known => {
            let (product, code, subject) = (Product::Apt, None, None);
            let key = IncidentKey { product, operation, code, subject };
            let message = format!("{} ended without error", stanza.command);
            sink.success(Recovered { key, time: SourceTime::local(stanza.end), message });
        }
        None => {}
    }
}

fn ended(run: Ended, product: Product, subject: Option<String>, sink: &mut Sink<'_>) {
    if run.failure.is_some() {
        sink.failure(draft(run, product, subject));
        return;
    }
    let key = IncidentKey { product, operation: run.operation, code: None, subject };
    sink.success(Recovered { key, time: run.at, message: run.words });
}

fn apt(operation: Operation, code: Option<FailureCode>, wall: i64, message: String) -> Draft {
    Draft {
        product: Product::Apt,
        operation,
        code,
        subject: None,
        time: SourceTime::local(wall),
        source: Source::Apt,
        event: None,
        line: None,
        count: None,
        update_class: None,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, usize, u64) {
        let mut sink = Sink::new(fleetmend_catalog::builtin());
        let (_, cut) = collect(text.as_bytes(), &mut sink).expect("read");
        let (reports, recovered, _) = sink.finish();
        let code = |c: &Option<FailureCode>| c.as_ref().map(ToString::to_string);
        let told = reports.iter().map(|r| {
            let subject = r.subject.as_deref().unwrap_or("-");
            format!("{} {} {} {subject}", r.source, r.time, code(&r.code).unwrap_or_default())
        });
        (told.collect(), recovered.len(), cut)
    }

    #[test]
    fn each_log_is_recognised_and_read() {
        let term = "Log started: 2026-01-02  08:59:59\ndpkg: error processing package demo (--configure):\n installed demo package post-installation script subprocess returned error exit status 3\nLog ended: 2026-01-02  09:00:01\n";
        assert_eq!(read(term).0, ["apt 2026-01-02T09:00:01.000 apt.maintainer_script demo"]);
        let history = "\nStart-Date: 2026-01-02  08:59:59\nCommandline: apt-get upgrade\nUpgrade: demo:all (1)\nError: Sub-process /usr/bin/dpkg returned an error code (1)\nEnd-Date: 2026-01-02  09:00:01\n\nStart-Date: 2026-01-03  08:59:59\nInstall: demo:all (1)\nEnd-Date: 2026-01-03  09:00:01\n";
        let (told, worked, _) = read(history);
        assert_eq!(
            (told.as_slice(), worked),
            (&["apt 2026-01-02T09:00:01.000 exit:100 -".to_owned()][..], 1)
        );
        let unattended = "2026-01-02 02:00:00,000 INFO Starting unattended upgrades script\n2026-01-02 02:30:00,000 ERROR An error occurred: Hash Sum mismatch\n";
        assert_eq!(read(unattended).0, ["apt 2026-01-02T02:30:00.000 apt.hash_mismatch -"]);
        let zypp = "2026-11-22 18:27:07|command|root@vm|'zypper' 'up'|\n# 2026-11-22 18:27:08 gamma-1.0-1.noarch.rpm install failed\n";
        assert_eq!(
            read(zypp).0,
            ["zypper 2026-11-22T18:27:08.000 zypper.commit gamma-1.0-1.noarch"]
        );
        assert_eq!(
            recognise(b"2026-01-02 09:00:00 status installed demo:all 1\n"),
            Some(Source::Dpkg)
        );
        let windows = b"2020-02-04 17:17:12, Info                  CBS    TI: Startup\r\n";
        for other in
            [&windows[..], b"2023/05/22 08:08:32.6301717 8096  8116  Agent  x\n", b"hello\n"]
        {
            assert_eq!(recognise(other), None);
        }
    }

    #[test]
    fn a_run_longer_than_a_piece_is_waited_for_and_a_boundless_one_is_counted() {
        let filler = "2026-11-22T18:26:24+0000 DEBUG x\n".repeat(20_000);
        let run = "2026-11-22T18:26:24+0000 INFO --- logging initialized ---\n";
        let end = "2026-11-22T18:26:24+0000 CRITICAL Error: GPG check FAILED\n";
        let (told, _, cut) = read(&format!("{run}{filler}{end}{run}"));
        assert_eq!((told.len(), cut), (1, 0));
        let (told, _, cut) = read(&format!("{run}{}{run}{end}", filler.repeat(8)));
        assert_eq!((told.len(), cut), (1, 1));
    }
}
