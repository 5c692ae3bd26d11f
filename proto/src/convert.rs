//! What every conversion uses: the error that names its field, and the checks of single values.

use fleetmend_core::code::FailureCode;
use fleetmend_core::time::Timestamp;
use uuid::Uuid;

/// A field that came over the wire and cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ConvertError {
    /// The field's path, such as `items[2].failure.code`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl ConvertError {
    pub(crate) fn new(field: impl Into<String>, problem: impl ToString) -> Self {
        Self { field: field.into(), problem: problem.to_string() }
    }

    /// The same error seen from one level up.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.field = format!("{outer}.{}", self.field);
        self
    }
}

/// Gives a conversion's error the name of the field it happened in.
pub(crate) trait Within<T> {
    fn within(self, outer: &str) -> Result<T, ConvertError>;
}

impl<T> Within<T> for Result<T, ConvertError> {
    fn within(self, outer: &str) -> Self {
        self.map_err(|err| err.within(outer))
    }
}

pub(crate) fn required<T>(field: &'static str, value: Option<T>) -> Result<T, ConvertError> {
    value.ok_or_else(|| ConvertError::new(field, "is missing"))
}

pub(crate) fn id<T: From<Uuid>>(field: &'static str, bytes: &[u8]) -> Result<T, ConvertError> {
    Uuid::from_slice(bytes)
        .map(T::from)
        .map_err(|_| ConvertError::new(field, format!("{} bytes; an id has 16", bytes.len())))
}

/// Text within its bound and without NUL, which no database keeps.
pub(crate) fn text(field: &'static str, text: String, max: usize) -> Result<String, ConvertError> {
    if text.len() > max {
        return Err(ConvertError::new(field, format!("{} bytes; at most {max}", text.len())));
    }
    if text.contains('\0') {
        return Err(ConvertError::new(field, "holds a NUL character"));
    }
    Ok(text)
}

pub(crate) fn name(field: &'static str, value: String, max: usize) -> Result<String, ConvertError> {
    if value.is_empty() {
        return Err(ConvertError::new(field, "is missing"));
    }
    text(field, value, max)
}

pub(crate) fn optional_text(
    field: &'static str,
    value: Option<String>,
    max: usize,
) -> Result<Option<String>, ConvertError> {
    value.map(|value| text(field, value, max)).transpose()
}

pub(crate) fn code(value: Option<&str>) -> Result<Option<FailureCode>, ConvertError> {
    value.map(str::parse).transpose().map_err(|err| ConvertError::new("code", err))
}

pub(crate) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &'static str,
    value: &str,
) -> Result<T, ConvertError> {
    value.parse().map_err(|err: T::Err| ConvertError::new(field, err))
}

pub(crate) fn count(field: &'static str, found: usize, max: usize) -> Result<(), ConvertError> {
    if found > max {
        return Err(ConvertError::new(field, format!("{found} entries; at most {max}")));
    }
    Ok(())
}

/// A moment that can be stored and printed: the years 1970 to 9999.
pub(crate) fn time(field: &'static str, ms: i64) -> Result<Timestamp, ConvertError> {
    let at = Timestamp::from_millis(ms);
    if ms < 0 || at.as_millis() != ms {
        return Err(ConvertError::new(field, format!("{ms} ms is outside the years 1970 to 9999")));
    }
    Ok(at)
}

/// Outgoing text: NUL characters are replaced.
pub(crate) fn clean(text: &str) -> String {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text.to_owned() }
}
