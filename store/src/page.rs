//! Pages of a list: a bounded number of items, and a cursor to the next.

use std::fmt;
use std::str::FromStr;

use fleetmend_core::limits;
use uuid::Uuid;

/// Which page is wanted.
#[derive(Debug, Clone, Default)]
pub struct PageRequest {
    /// How many items at most; 0 for the usual number, never more than
    /// [`limits::PAGE_MAX`].
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
}

impl PageRequest {
    /// The first page of `limit` items.
    pub fn first(limit: u32) -> Self {
        Self { limit, cursor: None }
    }

    pub(crate) fn limit(&self) -> i64 {
        i64::from(match self.limit {
            0 => limits::PAGE,
            n => n.min(limits::PAGE_MAX),
        })
    }
}

/// A page of a list.
#[derive(Debug, Clone, Default)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Cursor>,
    /// How many items the whole list has.
    pub total: u64,
}

impl<T> Page<T> {
    /// Cuts a list that was read with one item more than wanted.
    pub(crate) fn cut(
        mut items: Vec<T>,
        limit: i64,
        total: i64,
        cursor: impl Fn(&T) -> Cursor,
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next, total: u64::try_from(total).unwrap_or(0) }
    }
}

/// A place in a list: the sort key and the id of the last item seen. Opaque to everybody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    key: Key,
    id: Uuid,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Number(i64),
    Text(String),
}

/// A text that is not a cursor of the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cursor: not a cursor of this list; take next_cursor of the page before as it is")]
pub struct BadCursor;

impl Cursor {
    pub(crate) fn number(key: i64, id: Uuid) -> Self {
        Self { key: Key::Number(key), id }
    }

    pub(crate) fn text(key: &str, id: Uuid) -> Self {
        Self { key: Key::Text(key.to_owned()), id }
    }

    pub(crate) fn as_number(&self) -> Result<(i64, Uuid), BadCursor> {
        match &self.key {
            Key::Number(n) => Ok((*n, self.id)),
            Key::Text(_) => Err(BadCursor),
        }
    }

    pub(crate) fn as_text(&self) -> Result<(&str, Uuid), BadCursor> {
        match &self.key {
            Key::Text(t) => Ok((t, self.id)),
            Key::Number(_) => Err(BadCursor),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id.simple();
        match &self.key {
            Key::Number(n) => write!(f, "n{n}.{id}"),
            Key::Text(t) => write!(f, "t{}.{id}", hex::encode(t)),
        }
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;
    fn from_str(text: &str) -> Result<Self, BadCursor> {
        if text.len() > 1_024 {
            return Err(BadCursor);
        }
        let (key, id) = text.split_once('.').ok_or(BadCursor)?;
        let id = Uuid::try_parse(id).map_err(|_| BadCursor)?;
        let key = if let Some(n) = key.strip_prefix('n') {
            Key::Number(n.parse().map_err(|_| BadCursor)?)
        } else {
            let bytes = hex::decode(key.strip_prefix('t').ok_or(BadCursor)?);
            let text = String::from_utf8(bytes.map_err(|_| BadCursor)?);
            // No text of ours holds a NUL, and Postgres takes none.
            Key::Text(text.ok().filter(|text| !text.contains('\0')).ok_or(BadCursor)?)
        };
        Ok(Self { key, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_travel_as_text() {
        const NUL: &str = "t00.00000000000000000000000000000000";
        for cursor in [Cursor::number(-5, Uuid::nil()), Cursor::text("имя.a", Uuid::max())] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for bad in ["", "n1", "x1.00000000000000000000000000000000", "nx.0", "tzz.0", NUL] {
            assert_eq!(bad.parse::<Cursor>(), Err(BadCursor), "{bad:?}");
        }
        assert_eq!(Cursor::number(1, Uuid::nil()).as_text(), Err(BadCursor));
    }
}
