//! One value on its way: its text, the same on both sides; and the sum over a table's rows.

use sha2::{Digest as _, Sha256};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::schema::{Column, Kind, Table};
use super::{Moved, refuse};
use crate::error::Result;

/// A value of the source as the text that Postgres gives back for it; `None` for NULL.
pub(super) fn field(
    row: &SqliteRow,
    n: usize,
    table: &Table,
    column: &Column,
) -> Result<Option<String>> {
    let wrong = |why: String| {
        refuse(format!("table {}, column {}: {why}; nothing was kept", table.name, column.name))
    };
    let text = match column.kind {
        Kind::Text => {
            let text: Option<String> = row.try_get(n)?;
            if text.as_ref().is_some_and(|text| text.contains('\0')) {
                return Err(wrong("a text holds a zero byte, which Postgres cannot".to_owned()));
            }
            text
        }
        Kind::Number => row.try_get::<Option<i64>, _>(n)?.map(|n| n.to_string()),
        Kind::Truth => row.try_get::<Option<i64>, _>(n)?.map(|n| (n != 0).to_string()),
        Kind::Real => row.try_get::<Option<f64>, _>(n)?.map(|x| format!("{:016x}", x.to_bits())),
        Kind::Bytes => {
            row.try_get::<Option<Vec<u8>>, _>(n)?.map(|bytes| format!("\\x{}", hex::encode(bytes)))
        }
        Kind::Uuid => match row.try_get::<Option<Vec<u8>>, _>(n)? {
            None => None,
            Some(bytes) => {
                let id = Uuid::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
                Some(id.to_string())
            }
        },
    };
    Ok(text)
}

/// Adds a row in the form that COPY reads.
pub(super) fn line(to: &mut String, table: &Table, fields: &[Option<String>]) {
    for (n, (field, column)) in fields.iter().zip(&table.columns).enumerate() {
        if n > 0 {
            to.push('\t');
        }
        match field {
            None => to.push_str("\\N"),
            Some(bits) if column.kind == Kind::Real => {
                let x = u64::from_str_radix(bits, 16).map_or(f64::NAN, f64::from_bits);
                to.push_str(&x.to_string());
            }
            Some(text) => {
                for c in text.chars() {
                    match c {
                        '\\' => to.push_str("\\\\"),
                        '\t' => to.push_str("\\t"),
                        '\n' => to.push_str("\\n"),
                        '\r' => to.push_str("\\r"),
                        c => to.push(c),
                    }
                }
            }
        }
    }
    to.push('\n');
}

/// A sum over rows that does not depend on their order.
#[derive(Debug, Default)]
pub(super) struct Sum {
    pub(super) rows: u64,
    sum: u128,
}

impl Sum {
    pub(super) fn add(&mut self, fields: &[Option<String>]) {
        let mut hash = Sha256::new();
        for field in fields {
            match field {
                None => hash.update([0]),
                Some(text) => {
                    hash.update([1]);
                    hash.update((text.len() as u64).to_be_bytes());
                    hash.update(text);
                }
            }
        }
        let mut first = [0; 16];
        first.copy_from_slice(&hash.finalize()[..16]);
        self.rows += 1;
        self.sum = self.sum.wrapping_add(u128::from_be_bytes(first));
    }

    pub(super) fn moved(&self, table: &Table) -> Moved {
        let checksum = format!("{:032x}", self.sum);
        Moved { table: table.name.clone(), rows: self.rows, checksum }
    }
}
