//! Text files in UTF-16 (Windows writes them) read as UTF-8, in constant memory.

use std::io::{self, Read};

/// Reads text as UTF-8: UTF-16 in either byte order is decoded where its byte-order mark, or the
/// zero bytes between ASCII letters, show it; anything else is passed through.
#[derive(Debug)]
pub(crate) struct Utf8<R> {
    inner: R,
    mode: Mode,
    /// Bytes read and not yet handed out or decoded.
    raw: Vec<u8>,
    /// Decoded text and how much of it was handed out.
    text: Vec<u8>,
    given: usize,
    /// The first half of a surrogate pair.
    high: Option<u16>,
    ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Plain,
    Little,
    Big,
}

const PIECE: usize = 64 * 1024;

/// Whether a file with this beginning is in UTF-16.
pub(crate) fn is_wide(head: &[u8]) -> bool {
    mode(head.get(..4).unwrap_or(head)) != Mode::Plain
}

fn mode(first: &[u8]) -> Mode {
    match first {
        [0xFF, 0xFE, ..] => Mode::Little,
        [0xFE, 0xFF, ..] => Mode::Big,
        [a, 0, b, 0] if *a != 0 && *b != 0 => Mode::Little,
        [0, a, 0, b] if *a != 0 && *b != 0 => Mode::Big,
        _ => Mode::Plain,
    }
}

impl<R: Read> Utf8<R> {
    /// Looks at the first bytes and chooses.
    pub(crate) fn new(mut inner: R) -> io::Result<Self> {
        let mut raw = vec![0; 4];
        let mut got = 0;
        while got < raw.len() {
            match inner.read(&mut raw[got..]) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        raw.truncate(got);
        let mode = mode(&raw);
        if matches!(raw.as_slice(), [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) {
            raw.drain(..2);
        }
        Ok(Self { inner, mode, raw, text: Vec::new(), given: 0, high: None, ended: false })
    }

    fn decode(&mut self) -> io::Result<()> {
        self.text.clear();
        self.given = 0;
        while self.text.is_empty() && !self.ended {
            let kept = self.raw.len();
            self.raw.resize(kept + PIECE, 0);
            let got = match self.inner.read(&mut self.raw[kept..]) {
                Ok(got) => got,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
                Err(e) => return Err(e),
            };
            self.raw.truncate(kept + got);
            self.ended = got == 0;
            let units = self.raw.len() / 2;
            for at in 0..units {
                let pair = [self.raw[at * 2], self.raw[at * 2 + 1]];
                let unit = if self.mode == Mode::Big {
                    u16::from_be_bytes(pair)
                } else {
                    u16::from_le_bytes(pair)
                };
                self.unit(unit);
            }
            self.raw.drain(..units * 2);
            if self.ended && (self.high.take().is_some() || !self.raw.is_empty()) {
                self.push(char::REPLACEMENT_CHARACTER);
            }
        }
        Ok(())
    }

    fn unit(&mut self, unit: u16) {
        if let Some(high) = self.high.take() {
            if (0xDC00..0xE000).contains(&unit) {
                let value =
                    0x1_0000 + ((u32::from(high) - 0xD800) << 10) + (u32::from(unit) - 0xDC00);
                self.push(char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER));
                return;
            }
            self.push(char::REPLACEMENT_CHARACTER);
        }
        if (0xD800..0xDC00).contains(&unit) {
            self.high = Some(unit);
        } else {
            let c = char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER);
            self.push(c);
        }
    }

    fn push(&mut self, c: char) {
        self.text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

impl<R: Read> Read for Utf8<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.mode == Mode::Plain {
            if self.raw.is_empty() {
                return self.inner.read(into);
            }
            let n = self.raw.len().min(into.len());
            into[..n].copy_from_slice(&self.raw[..n]);
            self.raw.drain(..n);
            return Ok(n);
        }
        if self.given == self.text.len() {
            self.decode()?;
        }
        let n = (self.text.len() - self.given).min(into.len());
        into[..n].copy_from_slice(&self.text[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> String {
        let mut text = Vec::new();
        Utf8::new(bytes).expect("memory").read_to_end(&mut text).expect("memory");
        String::from_utf8(text).expect("always UTF-8 here")
    }

    fn utf16(text: &str, bom: bool, big: bool) -> Vec<u8> {
        let units = bom.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
        units.flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
    }

    #[test]
    fn every_form_reads_the_same() {
        let text = "{A}\tошибка 🦀\r\n";
        assert_eq!(read(text.as_bytes()), text);
        for (bom, big) in [(true, false), (true, true), (false, false), (false, true)] {
            assert_eq!(read(&utf16(text, bom, big)), text, "bom {bom} big {big}");
        }
        assert_eq!(read(b""), "");
        assert_eq!(read(b"\xFF\xFEa"), "\u{FFFD}");
    }
}
