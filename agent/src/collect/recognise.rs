//! Which kind of source a file is, by its first bytes and, where they leave it open, its name. The
//! folder says nothing: people collect logs into folders of their own.

use std::io::Read;
use std::path::Path;

use fleetmend_core::report::Source;

use super::copied;
use super::lines::bare;
use super::stamp;
use super::text::body;
use super::utf16::Utf8;

/// Bytes of a file that are looked at.
pub const HEAD: usize = 64 * 1024;

/// The kind of source; `None` where neither content nor name tells.
pub fn recognise(name: &str, head: &[u8]) -> Option<Source> {
    // The file's own header may be gone; the first chunk's mark tells as well.
    if head.starts_with(b"ElfFile\0") || head.get(4096..4104) == Some(b"ElfChnk\0") {
        return Some(Source::Evtx);
    }
    let extension = Path::new(name).extension();
    if extension.is_some_and(|e| e.eq_ignore_ascii_case("evtx")) && !head.is_empty() {
        return Some(Source::Evtx);
    }
    let name = name.to_ascii_lowercase();
    let mut text = Vec::new();
    Utf8::new(head).ok()?.read_to_end(&mut text).ok()?;
    // A crash leaves zeroes in a log: they say nothing against its lines, only against its name.
    let by_name = || by_name(&name).filter(|_| looks_like_log(&name) && !text.contains(&0));
    copied::recognise(&text).or_else(|| by_lines(&text, &name)).or_else(by_name)
}

/// Lines of each kind.
#[derive(Debug, Default)]
struct Votes {
    cbs: usize,
    dism: usize,
    setup: usize,
    stamped: usize,
    update: usize,
    reporting: usize,
}

fn by_lines(text: &[u8], name: &str) -> Option<Source> {
    let mut votes = Votes::default();
    for line in text.split(|b| *b == b'\n').map(bare) {
        if is_reporting_row(line) {
            votes.reporting += 1;
        } else if stamp::update(line).is_some() {
            votes.update += 1;
        } else if stamp::comma(line).is_some() {
            votes.stamped += 1;
            match body(line).component {
                b"CBS" | b"CSI" | b"DPX" | b"CMI" => votes.cbs += 1,
                b"DISM" => votes.dism += 1,
                _ => votes.setup += 1,
            }
        }
    }
    if votes.reporting > 0 {
        return Some(Source::ReportingEvents);
    }
    if votes.update > votes.stamped {
        return Some(Source::WindowsUpdate);
    }
    if votes.stamped == 0 {
        return None;
    }
    // One form serves three programs, and each quotes lines of the others: the most lines win, a
    // name that fits its own lines settles it.
    let best = [(votes.cbs, Source::Cbs), (votes.dism, Source::Dism), (votes.setup, Source::Setup)];
    if let Some(named) = by_name(name)
        && best.iter().any(|&(n, source)| n > 0 && source == named)
    {
        return Some(named);
    }
    let most = best.iter().map(|b| b.0).max()?;
    best.iter().find(|b| b.0 == most).map(|b| b.1)
}

fn by_name(name: &str) -> Option<Source> {
    [
        ("reportingevents", Source::ReportingEvents),
        ("windowsupdate", Source::WindowsUpdate),
        ("cbspersist", Source::Cbs),
        ("setupact", Source::Setup),
        ("setuperr", Source::Setup),
        ("bluebox", Source::Setup),
        ("dism", Source::Dism),
        ("cbs", Source::Cbs),
    ]
    .into_iter()
    .find(|(word, _)| name.contains(word))
    .map(|(_, source)| source)
}

fn looks_like_log(name: &str) -> bool {
    [".log", ".txt", ".old", ".bak"].iter().any(|end| name.ends_with(end))
}

/// `{GUID}<TAB>2023-06-28 04:15:45:293+0300<TAB>…`
fn is_reporting_row(line: &[u8]) -> bool {
    line.len() > 40
        && line[0] == b'{'
        && line[37] == b'}'
        && line[38] == b'\t'
        && stamp::date_clock(&line[39..], b'-', b' ').is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_comes_before_the_name() {
        let cbs = b"2020-02-04 17:17:12, Info                  CBS    TI: Startup\r\n";
        assert_eq!(recognise("anything.dat", cbs), Some(Source::Cbs));
        assert_eq!(recognise("dism.log", cbs), Some(Source::Cbs));
        let dism = b"2020-02-04 17:17:12, Info                  DISM   PID=1 x\n";
        assert_eq!(recognise("x", dism), Some(Source::Dism));
        let setup = b"2020-02-04 17:17:12, Info       [0x0601c1] IBS    x\n";
        assert_eq!(recognise("x", setup), Some(Source::Setup));
        let update = b"2023/05/22 08:08:32.6301717 8096  8116  Agent           x\n";
        assert_eq!(recognise("x", update), Some(Source::WindowsUpdate));
        let old = b"2021-08-28\t03:07:48:216\t 648\t13bc\tAgent\tx\n";
        assert_eq!(recognise("x", old), Some(Source::WindowsUpdate));
        assert_eq!(recognise("x", b"ElfFile\0"), Some(Source::Evtx));
        assert_eq!(recognise("System.EVTX", b"garbage"), Some(Source::Evtx));
        let zeroes = [&[0; 500][..], b"\n", cbs].concat();
        assert_eq!(recognise("x", &zeroes), Some(Source::Cbs));
    }

    #[test]
    fn a_row_in_utf16_is_recognised() {
        let row = "{772A1DF7-E997-4D89-BF3D-ED9C187EA2CF}\t2023-06-27 01:44:30:939+0300\t1\r\n";
        let wide: Vec<u8> = row.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(recognise("x", &wide), Some(Source::ReportingEvents));
        assert_eq!(recognise("x", row.as_bytes()), Some(Source::ReportingEvents));
    }

    #[test]
    fn what_nobody_knows_is_none() {
        for (name, head) in [("notes.txt", "hello"), ("x.log", ""), ("a.bin", "\0\0\0"), ("x", "")]
        {
            assert_eq!(recognise(name, head.as_bytes()), None, "{name}");
        }
        assert_eq!(recognise("CBS.log", b"Summary:\n"), Some(Source::Cbs));
    }
}
