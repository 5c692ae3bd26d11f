//! How statements are written: as constants, each file's in one list, so that a test can prepare
//! every one of them on every database; and the many-rows statements, whose text depends only on
//! the number of rows.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::backend::Tx;

/// Declares a file's statements as constants and lists them for the test.
macro_rules! statements {
    ($($(#[$meta:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$meta])* pub(crate) const $name: &str = $sql;)+

        /// Every statement of this file, by name.
        #[cfg(test)]
        pub(crate) const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}
pub(crate) use statements;

/// How values are marked in a text. SQLite finds a numbered mark by walking all of them, so a
/// thousand numbered values cost a million steps; Postgres knows numbered ones only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Marks {
    /// `?`
    Plain,
    /// `$1`
    Numbered,
}

/// A statement over many rows: `head`, then a bracket of values for each, then `tail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ManyRows {
    pub(crate) head: &'static str,
    pub(crate) columns: usize,
    pub(crate) tail: &'static str,
}

/// The row counts that statements are made for: few texts, so that each stays prepared.
const SIZES: [usize; 4] = [64, 16, 4, 1];

impl ManyRows {
    /// The text for so many rows. There are at most four texts a statement; they are kept for ever.
    pub(crate) fn sql(self, tx: &Tx, rows: usize) -> &'static str {
        type Key = (ManyRows, Marks, usize);
        static TEXTS: LazyLock<Mutex<HashMap<Key, &'static str>>> = LazyLock::new(Mutex::default);
        let marks = match tx {
            Tx::Sqlite(_) => Marks::Plain,
            Tx::Postgres(_) => Marks::Numbered,
        };
        debug_assert!(SIZES.contains(&rows), "rows come in the sizes of chunks()");
        let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
        texts
            .entry((self, marks, rows))
            .or_insert_with(|| Box::leak(self.text(marks, rows).into_boxed_str()))
    }

    fn text(self, marks: Marks, rows: usize) -> String {
        let mut sql = String::with_capacity(rows * self.columns * 6 + 512);
        sql.push_str(self.head);
        let mut place = 0;
        for row in 0..rows {
            sql.push_str(if row == 0 { " (" } else { ", (" });
            for column in 0..self.columns {
                place += 1;
                let comma = if column == 0 { "" } else { ", " };
                // Writing to a String cannot fail.
                let _ = match marks {
                    Marks::Plain => write!(sql, "{comma}?"),
                    Marks::Numbered => write!(sql, "{comma}${place}"),
                };
            }
            sql.push(')');
        }
        sql.push_str(self.tail);
        sql
    }
}

/// Cuts rows into pieces of the sizes that statements exist for.
pub(crate) fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rows.len())?;
        let (piece, rest) = rows.split_at(size);
        rows = rest;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_rows_are_numbered_through() {
        let insert = ManyRows { head: "INSERT INTO t VALUES", columns: 2, tail: " END" };
        assert!(
            insert
                .text(Marks::Numbered, 4)
                .starts_with("INSERT INTO t VALUES ($1, $2), ($3, $4), ($5")
        );
        assert!(insert.text(Marks::Numbered, 4).ends_with("$8) END"));
        assert!(insert.text(Marks::Plain, 1).contains("VALUES (?, ?)"));
        let sizes: Vec<usize> = chunks(&[0_u8; 150]).map(<[u8]>::len).collect();
        assert_eq!(sizes, [64, 64, 16, 4, 1, 1]);
    }
}
