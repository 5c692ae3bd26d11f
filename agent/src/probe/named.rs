//! The path that a failure's words name, and how sure it is where the path ends: names of files may
//! hold blanks, and half of such a path is another one.

/// A path in somebody's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// The path, as it stands there.
    pub(super) path: String,
    /// How sure its end is.
    pub(super) ends: Ends,
}

/// How sure the end of a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// It stands in quotes, or is the subject itself.
    Surely,
    /// What follows cannot be of it, or nothing follows.
    Likely,
    /// A blank follows, or what else a name may hold.
    Unclear,
}

/// What a path may stand in.
const AROUND: [(char, char); 9] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '\''),
    ('“', '”'),
    ('‘', '’'),
    ('«', '»'),
    ('(', ')'),
    ('[', ']'),
    ('<', '>'),
];

/// A failure's subject that is a path: the whole of it.
pub(super) fn subject(text: &str) -> Option<Named> {
    let text = text.trim();
    let is_one = starts_windows(text, 0) || (text.starts_with('/') && !text.starts_with("//"));
    let path = text.trim_end_matches(['/', '\\']);
    (is_one && path.len() > 1 && !path.ends_with(':'))
        .then(|| Named { path: path.to_owned(), ends: Ends::Surely })
}

/// The first absolute path in a text, of either system.
pub(super) fn in_words(text: &str) -> Option<Named> {
    let windows = text.match_indices(":\\").filter_map(|(at, _)| at.checked_sub(1));
    let windows = windows.filter(|at| starts_windows(text, *at)).find_map(|at| take(text, at));
    windows.or_else(|| {
        let slashes = text.match_indices('/').map(|(at, _)| at);
        slashes.filter(|at| starts_linux(text, *at)).find_map(|at| take(text, at))
    })
}

/// Whether a path is rather a file's than a folder's: its name has an ending.
pub(super) fn is_of_a_file(path: &str) -> bool {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    name.rsplit_once('.').is_some_and(|(stem, end)| {
        !stem.is_empty()
            && (1..=5).contains(&end.len())
            && end.chars().all(|c| c.is_ascii_alphanumeric())
    })
}

/// `C:\`, after a beginning, a blank or a bracket.
fn starts_windows(text: &str, at: usize) -> bool {
    let Some(rest) = text.get(at..) else { return false };
    let drive = rest.starts_with(|c: char| c.is_ascii_alphabetic()) && rest[1..].starts_with(":\\");
    drive && text[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric())
}

/// `/`, after a beginning, a blank or a bracket; not of an address.
fn starts_linux(text: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back();
    let opens = |c: char| AROUND.iter().any(|(open, _)| *open == c);
    before.is_none_or(|c| c.is_whitespace() || opens(c)) && !text[at + 1..].starts_with('/')
}

/// The path that begins at a place.
fn take(text: &str, at: usize) -> Option<Named> {
    let rest = &text[at..];
    let before = text[..at].chars().next_back();
    let close = AROUND.iter().find(|(open, _)| Some(*open) == before).map(|(_, close)| *close);
    if let Some(path) = close.and_then(|close| closed(rest, close)) {
        let nested = |c: char| c.is_whitespace() || AROUND.iter().any(|(open, _)| *open == c);
        let ends = match close {
            Some(')' | ']' | '>') if path.contains(nested) => Ends::Unclear,
            Some(')' | ']' | '>') => Ends::Likely,
            _ => Ends::Surely,
        };
        return whole(path, ends);
    }
    // The drive's own colon and root are passed over.
    let head = if rest.starts_with('/') { 1 } else { 3 };
    let end = rest[head..].find(|c: char| c.is_whitespace() || may_follow(c));
    let Some(end) = end.map(|end| head + end) else { return whole(rest, Ends::Likely) };
    let ends = match rest[end..].chars().next() {
        // Windows has none of these in a name, and what Linux prints of a path it ends with a colon.
        Some(':' | '"' | '<' | '>' | '|' | '*' | '?' | '\r' | '\n') => Ends::Likely,
        // A full stop at the end of all words is not of the path.
        Some(_) if rest[end..].trim().is_empty() => Ends::Likely,
        _ => Ends::Unclear,
    };
    whole(&rest[..end], ends)
}

/// What stands before the closing mark; an apostrophe inside a name is none.
fn closed(rest: &str, close: char) -> Option<&str> {
    let mut marks = rest.match_indices(close);
    let inside = |at: usize| rest[at + close.len_utf8()..].starts_with(char::is_alphanumeric);
    marks.find(|(at, _)| close != '\'' || !inside(*at)).map(|(at, _)| &rest[..at])
}

/// What may follow a path that stands in no quotes, or be of it.
fn may_follow(c: char) -> bool {
    matches!(c, ':' | '"' | '<' | '>' | '|' | '*' | '?' | '\'' | '(' | ')' | '[' | ']' | ',' | ';')
}

fn whole(path: &str, ends: Ends) -> Option<Named> {
    let root = if path.starts_with('/') { 1 } else { 3 };
    let path = path.trim().trim_end_matches(['.', '\\', '/']);
    (path.len() > root).then(|| Named { path: path.to_owned(), ends })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_in_words() {
        let cases = [
            (r"not found: 'C:\Users\a b\Documents'.", r"C:\Users\a b\Documents", Ends::Surely),
            (r"«C:\Users\Иван Петров\Документы»", r"C:\Users\Иван Петров\Документы", Ends::Surely),
            (r"'C:\Users\O'Brien\x' is gone", r"C:\Users\O'Brien\x", Ends::Surely),
            (r"(C:\Users\a\)", r"C:\Users\a", Ends::Likely),
            (r"(C:\Program Files (x86)\a)", r"C:\Program Files (x86", Ends::Unclear),
            (r"no folder C:\Users\a.", r"C:\Users\a", Ends::Likely),
            (r"C:\Users\a: not found", r"C:\Users\a", Ends::Likely),
            (r"C:\Users\John Smith\Documents", r"C:\Users\John", Ends::Unclear),
            (r"cannot read D:\Data\x.txt, error 3", r"D:\Data\x.txt", Ends::Unclear),
            ("cannot open '/srv/a b'", "/srv/a b", Ends::Surely),
            ("E: /var/lib/x: missing", "/var/lib/x", Ends::Likely),
            ("cannot open /srv/a b", "/srv/a", Ends::Unclear),
            ("http://x/y or / alone, then /srv/a", "/srv/a", Ends::Likely),
        ];
        for (text, path, ends) in cases {
            let named = in_words(text).expect(text);
            assert_eq!((named.path.as_str(), named.ends), (path, ends), "{text}");
        }
        for none in [r"C:\ alone, or HKLM:\x", "http://x/y or / alone", "1/2"] {
            assert_eq!(in_words(none), None, "{none}");
        }
    }

    #[test]
    fn a_subject_is_a_path_as_a_whole() {
        let path = |text| subject(text).map(|named| named.path);
        assert_eq!(
            path(r"C:\Users\John Smith\Pictures\"),
            Some(r"C:\Users\John Smith\Pictures".into())
        );
        assert_eq!(path("/srv/a b"), Some("/srv/a b".into()));
        assert_eq!(path("/home/a"), Some("/home/a".into()));
        for none in ["KB5031356", "a.service", "/", r"C:\", "//host/share"] {
            assert_eq!(path(none), None, "{none}");
        }
    }

    #[test]
    fn files_are_told_from_folders_by_their_ending() {
        assert!(is_of_a_file(r"C:\Users\a\letter.docx") && is_of_a_file("/etc/x.conf"));
        for folder in [r"C:\Users\a.b\Documents", "/home/.config", r"D:\Data"] {
            assert!(!is_of_a_file(folder), "{folder}");
        }
    }
}
