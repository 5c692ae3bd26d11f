//! Small readers for the bytes of a log line. None of them can fail but by `None`.

use fleetmend_core::code::FailureCode;
use memchr::memmem;

/// What follows the first `mark`.
pub(crate) fn after<'a>(text: &'a [u8], mark: &str) -> Option<&'a [u8]> {
    memmem::find(text, mark.as_bytes()).map(|at| &text[at + mark.len()..])
}

/// What stands before the first `mark`, or all of it.
pub(crate) fn until<'a>(text: &'a [u8], mark: &str) -> &'a [u8] {
    memmem::find(text, mark.as_bytes()).map_or(text, |at| &text[..at])
}

/// Whether `text` holds `mark`.
pub(crate) fn holds(text: &[u8], mark: &str) -> bool {
    memmem::find(text, mark.as_bytes()).is_some()
}

/// The first word: up to white space or a comma.
pub(crate) fn word(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|b| b.is_ascii_whitespace() || *b == b',');
    &text[..end.unwrap_or(text.len())]
}

/// Exactly eight hex digits at the start, not followed by a ninth.
pub(crate) fn hex8(text: &[u8]) -> Option<u32> {
    let digits = text.get(..8)?;
    let exact =
        digits.iter().all(u8::is_ascii_hexdigit) && !text.get(8).is_some_and(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| exact)?;
    u32::from_str_radix(digits, 16).ok()
}

/// `0x` and exactly eight hex digits at the start.
pub(crate) fn hresult(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X"))?;
    hex8(digits)
}

/// The first `0x` with eight hex digits anywhere in the text.
pub(crate) fn first_hresult(text: &[u8]) -> Option<u32> {
    memchr::memchr_iter(b'0', text).find_map(|at| hresult(&text[at..]))
}

/// The value as a failure code, if its top bit is set.
pub(crate) fn failing(value: u32) -> Option<FailureCode> {
    FailureCode::is_failing(value).then_some(FailureCode::Hresult(value))
}

/// Text of unknown bytes; what is no UTF-8 is replaced.
pub(crate) fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).trim().to_owned()
}

/// What stands after the mark `text` starts with, of a line of CBS.log and its kin: after the time,
/// the level and the component. The whole line where it has no time.
pub(crate) fn body(line: &[u8]) -> Body<'_> {
    if super::stamp::comma(line).is_none() {
        return Body { level: b"", component: b"", text: line.trim_ascii() };
    }
    let rest = line[20..].trim_ascii_start();
    let level = word(rest);
    let rest = &rest[level.len()..];
    let gap = rest.iter().take_while(|b| **b == b' ').count();
    // The component stands in a column of its own; where that is blank the gap is wider.
    let rest = &rest[gap..];
    let rest = if rest.starts_with(b"[0x") { after(rest, "]").unwrap_or(rest) } else { rest };
    let rest = rest.trim_ascii_start();
    let component = word(rest);
    Body { level, component, text: rest[component.len()..].trim_ascii() }
}

/// A stamped line, taken apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body<'a> {
    /// `Info`, `Warning`, `Error`.
    pub level: &'a [u8],
    /// `CBS`, `CSI`, `DISM`, `MOUPG`… The first word where the column is blank.
    pub component: &'a [u8],
    /// The rest.
    pub text: &'a [u8],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_exact() {
        assert_eq!(hresult(b"0x800f081f - CBS_E"), Some(0x800F_081F));
        assert_eq!(hresult(b"0x800f081f1"), None);
        assert_eq!(hresult(b"800f081f"), None);
        assert_eq!(first_hresult(b"00 0x1 (0x80070003)"), Some(0x8007_0003));
        assert_eq!(first_hresult(b"0x"), None);
        assert!(failing(0x0024_0006).is_none());
    }

    #[test]
    fn a_stamped_line_comes_apart() {
        let line = b"2020-02-04 17:17:12, Info                  CBS    Session: 1 finalized. ";
        let body = body(line);
        assert_eq!((body.level, body.component), (&b"Info"[..], &b"CBS"[..]));
        assert_eq!(body.text, b"Session: 1 finalized.");
        let line = b"2020-02-04 17:17:12, Error      [0x0601c1] MOUPG  text";
        assert_eq!(super::body(line).component, b"MOUPG");
        assert_eq!(super::body(b"Total").text, b"Total");
    }
}
