//! Reading a text log of any size in large blocks, looking only at the lines that can matter.
//!
//! Memory is one block, whatever the file's size. Lines are found by searching each block for a few
//! rare words; only the lines that hold one are handed on, with their number and the time of the
//! last stamped line.

use std::io::{self, Read};

use aho_corasick::{AhoCorasick, MatchKind};
use memchr::{memchr, memchr_iter, memrchr};
use serde::{Deserialize, Serialize};

/// Bytes read at once; also the longest line that is looked at whole.
const BLOCK: usize = 256 * 1024;
/// How much of a longer line is looked at.
const LONG_LINE: usize = 64 * 1024;
/// The mark that some programs put at the start of a UTF-8 file.
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// A place in a text log, before a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spot {
    /// Bytes before it.
    pub offset: u64,
    /// Lines before it.
    pub lines: u64,
    /// The wall clock (milliseconds) of the last stamped line before it.
    pub stamp: Option<i64>,
}

/// A text log, or what follows a place in it.
#[derive(Debug)]
pub(crate) struct Text<R> {
    /// Stands at the place.
    pub reader: R,
    /// The place where the reader stands.
    pub from: Spot,
    /// Whether more may still be written: then a line without end is not looked at, and what is not
    /// decided at the end of the file is left open.
    pub growing: bool,
}

impl<R: Read> Text<R> {
    /// A log that nobody writes to any more.
    pub(crate) fn whole(reader: R) -> Self {
        Self { reader, from: Spot::default(), growing: false }
    }
}

/// What is not decided stays open for so long, by the log's own clock: 6 hours.
const OPEN_FOR_MS: i64 = 6 * 3_600_000;

/// What was read of a log, and where the next look has to begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// What was read.
    pub read: Read64,
    /// The first line that something undecided depends on.
    pub open: Option<Spot>,
}

impl Done {
    /// Where the next look begins.
    pub(crate) fn next(self) -> Spot {
        let end = self.read.end;
        self.open.filter(|open| open.offset < end.offset).unwrap_or(end)
    }
}

/// Whether something of this time may still be decided in a log that has come to `latest`.
pub(crate) fn may_be_decided(since: Option<i64>, latest: Option<i64>) -> bool {
    match (since, latest) {
        (Some(since), Some(latest)) => latest - since <= OPEN_FOR_MS,
        _ => false,
    }
}

/// One line that holds a wanted word.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    /// Its physical number, from 1.
    pub number: u64,
    /// Its bytes, without line end and byte-order mark.
    pub bytes: &'a [u8],
    /// The wall clock (milliseconds) of this line, or of the last stamped one before it.
    pub stamp: Option<i64>,
    /// Bytes before it.
    pub offset: u64,
}

impl Line<'_> {
    /// The place before it.
    pub(crate) fn spot(&self) -> Spot {
        Spot { offset: self.offset, lines: self.number - 1, stamp: self.stamp }
    }
}

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Read64 {
    /// Bytes.
    pub bytes: u64,
    /// Lines.
    pub lines: u64,
    /// Lines too long to be looked at whole.
    pub cut: u64,
    /// The place behind the last line that was looked at.
    pub end: Spot,
}

/// The words a log is searched for, all of them at once.
#[derive(Debug)]
pub(crate) struct Needles(AhoCorasick);

impl Needles {
    /// Prepares the search; the words should be rare in the log.
    pub(crate) fn new(words: &[&'static str]) -> Self {
        // Of this kind alone it looks for many bytes at a time.
        let kind = MatchKind::LeftmostFirst;
        let search = AhoCorasick::builder().match_kind(kind).build(words);
        Self(search.expect("a few short words make no large automaton"))
    }
}

/// Hands every line that holds one of `needles` to `visit`, in order. `stamp` reads the time at the
/// start of a line.
pub(crate) fn visit(
    text: Text<impl Read>,
    needles: &Needles,
    stamp: fn(&[u8]) -> Option<i64>,
    visit: impl FnMut(Line<'_>),
) -> io::Result<Read64> {
    let read = Read64 { lines: text.from.lines, ..Read64::default() };
    let mut pass = Pass { needles, stamp, visit, read, known: text.from.stamp };
    let end = pass.run(text.reader, text.from.offset, text.growing)?;
    pass.read.end = Spot { offset: end, lines: pass.read.lines, stamp: pass.known };
    Ok(pass.read)
}

/// `line` without a byte-order mark before and a line end after it.
pub(crate) fn bare(line: &[u8]) -> &[u8] {
    let line = line.strip_prefix(BOM).unwrap_or(line);
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

struct Pass<'n, V> {
    needles: &'n Needles,
    stamp: fn(&[u8]) -> Option<i64>,
    visit: V,
    read: Read64,
    /// The time of the last stamped line before the place looked at.
    known: Option<i64>,
}

impl<V: FnMut(Line<'_>)> Pass<'_, V> {
    /// Gives the place behind the last line that was looked at, in bytes.
    fn run(&mut self, mut reader: impl Read, start: u64, growing: bool) -> io::Result<u64> {
        let mut block = vec![0; BLOCK];
        let mut filled = 0;
        // Inside a line whose head was already looked at.
        let mut skipping = false;
        loop {
            let got = match reader.read(&mut block[filled..]) {
                Ok(got) => got,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            self.read.bytes += got as u64;
            filled += got;
            // Where the buffer begins in the log.
            let base = start + self.read.bytes - filled as u64;
            let mut from = 0;
            if skipping {
                from = memchr(b'\n', &block[..filled]).map_or(filled, |at| {
                    skipping = false;
                    self.read.lines += 1;
                    at + 1
                });
            }
            if got == 0 {
                if growing {
                    return Ok(base + from as u64);
                }
                if filled > from {
                    self.block(&block[from..filled], base + from as u64);
                    self.read.lines += u64::from(block[filled - 1] != b'\n');
                } else if skipping {
                    self.read.lines += 1;
                }
                return Ok(base + filled as u64);
            }
            let mut end = memrchr(b'\n', &block[from..filled]).map_or(from, |at| from + at + 1);
            if end > from {
                self.block(&block[from..end], base + from as u64);
            } else if filled == block.len() {
                self.block(&block[from..from + LONG_LINE.min(filled - from)], base + from as u64);
                self.read.cut += 1;
                skipping = true;
                end = filled;
            }
            block.copy_within(end..filled, 0);
            filled -= end;
        }
    }

    /// Looks through whole lines (the last may lack its end) and counts them. `at` is where they
    /// begin in the log.
    fn block(&mut self, block: &[u8], at: u64) {
        let mut done = 0;
        while let Some(hit) = self.needles.0.find(&block[done..]).map(|found| done + found.start())
        {
            let start = memrchr(b'\n', &block[done..hit]).map_or(done, |at| done + at + 1);
            let end = memchr(b'\n', &block[hit..]).map_or(block.len(), |at| hit + at + 1);
            self.read.lines += newlines(&block[done..start]);
            let bytes = bare(&block[start..end]);
            self.known = (self.stamp)(bytes).or_else(|| self.last_stamp(&block[done..start]));
            let line = Line {
                number: self.read.lines + 1,
                bytes,
                stamp: self.known,
                offset: at + start as u64,
            };
            (self.visit)(line);
            self.read.lines += newlines(&block[start..end]);
            done = end;
        }
        self.read.lines += newlines(&block[done..]);
        self.known = self.last_stamp(&block[done..]);
    }

    /// The time of the last stamped line of `part`, else what was known before it.
    fn last_stamp(&self, mut part: &[u8]) -> Option<i64> {
        while !part.is_empty() {
            let body = part.strip_suffix(b"\n").unwrap_or(part);
            let start = memrchr(b'\n', body).map_or(0, |at| at + 1);
            let at = (self.stamp)(bare(&part[start..]));
            if at.is_some() {
                return at;
            }
            part = &part[..start];
        }
        self.known
    }
}

fn newlines(part: &[u8]) -> u64 {
    memchr_iter(b'\n', part).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::stamp;

    /// Gives its bytes in small pieces, so that lines fall across reads.
    struct Pieces<'a>(&'a [u8], usize);
    impl Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(into.len());
            into[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn all(text: &[u8], piece: usize) -> (Vec<(u64, String, Option<i64>)>, Read64) {
        let mut seen = Vec::new();
        let needles = Needles::new(&["needle", "pin"]);
        let read = visit(Text::whole(Pieces(text, piece)), &needles, stamp::comma, |line| {
            let words = String::from_utf8_lossy(line.bytes).chars().take(40).collect();
            seen.push((line.number, words, line.stamp));
        })
        .expect("memory can be read");
        (seen, read)
    }

    #[test]
    fn lines_keep_their_numbers_and_the_last_time() {
        let text = b"\xEF\xBB\xBF1970-01-01 00:00:01, Info x needle\r\nplain\nneedle and pin\r\n\n\
            1970-01-01 00:00:02, Info y\nplain\npin at the end";
        for piece in [1, 7, 100_000] {
            let (seen, read) = all(text, piece);
            assert_eq!(
                seen,
                [
                    (1, "1970-01-01 00:00:01, Info x needle".to_owned(), Some(1_000)),
                    (3, "needle and pin".to_owned(), Some(1_000)),
                    (7, "pin at the end".to_owned(), Some(2_000)),
                ]
            );
            assert_eq!(read.lines, 7);
            assert_eq!(read.bytes, text.len() as u64);
        }
    }

    #[test]
    fn a_log_that_grows_is_read_on_from_any_of_its_lines() {
        let text = b"1970-01-01 00:00:01, Info needle\nplain\nneedle two\n1970-01-01 00:00:02, pin\nneedle, not yet";
        let needles = Needles::new(&["needle", "pin"]);
        let look = |from: Spot, text: &[u8]| {
            let mut seen = Vec::new();
            let at = usize::try_from(from.offset).expect("small");
            let text = Text { reader: Pieces(&text[at..], 7), from, growing: true };
            let read = visit(text, &needles, stamp::comma, |line| {
                seen.push((line.number, line.stamp, line.spot()));
            });
            (seen, read.expect("memory can be read").end)
        };
        let (all, end) = look(Spot::default(), text);
        assert_eq!(all.iter().map(|s| s.0).collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!((end.lines, end.stamp), (4, Some(2_000)), "the last line has no end yet");
        for n in 0..all.len() {
            let (rest, again) = look(all[n].2, text);
            assert_eq!(rest, all[n..], "from line {}", all[n].0);
            assert_eq!(again, end);
        }
        let more = [&text[..], b" but now\n"].concat();
        let (rest, _) = look(end, &more);
        assert_eq!(rest.iter().map(|s| (s.0, s.1)).collect::<Vec<_>>(), [(5, Some(2_000))]);
    }

    #[test]
    fn a_line_without_end_costs_one_block() {
        let mut text = b"needle ".to_vec();
        text.resize(BLOCK * 3, b'x');
        text.extend_from_slice(b" pin\nneedle\n");
        let (seen, read) = all(&text, 100_000);
        assert_eq!(seen.iter().map(|s| s.0).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((read.lines, read.cut), (2, 1));
    }
}
