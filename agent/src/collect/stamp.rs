//! The times at the start of log lines, each form with its own reader.

use fleetmend_core::time::SourceTime;

/// `2020-02-04 17:17:12, `: CBS.log, DISM.log, setupact.log. Milliseconds of the wall clock.
pub(crate) fn comma(line: &[u8]) -> Option<i64> {
    (line.get(19) == Some(&b',')).then(|| date_clock(line, b'-', b' ')).flatten()
}

/// The time of a line of WindowsUpdate.log, without its fraction, which begins at the 20th byte:
/// `2023/05/22 08:08:32.6301717`, the same with dashes, and `2021-08-28<TAB>03:07:48:216` of
/// Windows 7, whose tabs became blanks where the log was copied from a page.
pub(crate) fn update(line: &[u8]) -> Option<i64> {
    let forms = [(b'/', b' ', b'.'), (b'-', b' ', b'.'), (b'-', b'\t', b':'), (b'-', b' ', b':')];
    let mark = line.get(19)?;
    let (dash, between, _) = forms.iter().find(|&&(dash, between, before)| {
        *mark == before && line[4] == dash && line[10] == between
    })?;
    date_clock(line, *dash, *between)
}

/// A date with `dash` between its parts, a separator, and a clock: `2020-02-04 17:17:12`.
pub(crate) fn date_clock(line: &[u8], dash: u8, between: u8) -> Option<i64> {
    let marks = [(4, dash), (7, dash), (10, between), (13, b':'), (16, b':')];
    if line.len() < 19 || marks.iter().any(|&(at, mark)| line[at] != mark) {
        return None;
    }
    let year = i16::try_from(number(&line[..4])?).ok()?;
    let two = |at: usize| u8::try_from(number(&line[at..at + 2])?).ok();
    SourceTime::wall((year, two(5)?, two(8)?), (two(11)?, two(14)?, two(17)?), 0)
}

/// The milliseconds of a decimal fraction of at least one digit, cut: `852925` gives 852.
pub(crate) fn fraction(digits: &[u8]) -> Option<i64> {
    let len = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    if len == 0 {
        return None;
    }
    let padded = digits[..len].iter().copied().chain(std::iter::repeat(b'0'));
    Some(padded.take(3).fold(0, |ms, digit| ms * 10 + i64::from(digit - b'0')))
}

/// A number of decimal digits only.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    all.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_stamps_count() {
        assert_eq!(comma(b"1970-01-01 00:01:00, Info"), Some(60_000));
        for bad in ["", "1970-01-01 00:01:00", "1970-13-01 00:01:00, ", "1970-01-01T00:01:00, "] {
            assert_eq!(comma(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(fraction(b"8529257"), Some(852));
        assert_eq!(fraction(b"5"), Some(500));
        assert_eq!(fraction(b"x"), None);
    }
}
