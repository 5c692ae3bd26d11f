//! Closed sets of words, the slugs that name catalogue entries, and the errors they give.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A word that is not in its closed set. The message names the set and what it accepts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} \"{word}\"; one of: {}", accepted.join(", "))]
pub struct UnknownWord {
    /// The set that was asked, as a person would call it.
    pub what: &'static str,
    /// The word as given, cut to 80 characters.
    pub word: String,
    /// The words the set holds.
    pub accepted: Vec<&'static str>,
}

impl UnknownWord {
    /// Builds the error; the word is cut, since it comes from outside.
    pub fn new(what: &'static str, word: &str, accepted: &[&'static str]) -> Self {
        Self { what, word: word.chars().take(80).collect(), accepted: accepted.to_vec() }
    }
}

/// A stable name in the catalogue, such as `apt.dpkg_interrupted`.
///
/// Lower-case ASCII letters, digits, `_`, `-` and `.`; starts with a letter; at most 80 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

/// Why a text is not a slug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a catalogue name: use 1 to 80 lower-case letters, digits, `_`, `-` and `.`, starting with a letter"
)]
pub struct BadSlug(pub String);

impl Slug {
    /// The longest slug, in bytes.
    pub const MAX_LEN: usize = 80;

    /// Checks and keeps the name.
    pub fn new(text: impl Into<String>) -> Result<Self, BadSlug> {
        let text = text.into();
        let ok = (1..=Self::MAX_LEN).contains(&text.len())
            && text.as_bytes()[0].is_ascii_lowercase()
            && text.bytes().all(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.')
            });
        if ok { Ok(Self(text)) } else { Err(BadSlug(text.chars().take(80).collect())) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Slug {
    type Err = BadSlug;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<String> for Slug {
    type Error = BadSlug;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}

/// Cuts text to at most `max` bytes at a character boundary. Says nothing of the cut: callers that
/// must tell count it themselves.
pub fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_checked() {
        assert!(Slug::new("apt.dpkg_interrupted").is_ok());
        for bad in ["", "1a", "A", "a b", "../x", &"a".repeat(81)] {
            assert!(Slug::new(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn cut_respects_characters() {
        assert_eq!(cut("ошибка", 3), "о");
        assert_eq!(cut("abc", 10), "abc");
    }
}
