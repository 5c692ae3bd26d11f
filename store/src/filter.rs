//! Conditions of lists: fixed fragments of SQL, joined by AND, with every value bound. The only
//! file that puts statement texts together at run time; no value ever becomes text of a statement.

use std::fmt::Write as _;

use sqlx::AssertSqlSafe;
use uuid::Uuid;

/// A bound value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Arg {
    Text(String),
    Number(i64),
    Id(Uuid),
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<i64> for Arg {
    fn from(n: i64) -> Self {
        Self::Number(n)
    }
}
impl From<Uuid> for Arg {
    fn from(id: Uuid) -> Self {
        Self::Id(id)
    }
}

/// Conditions, joined by AND.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    conditions: String,
    args: Vec<Arg>,
}

impl Filter {
    /// Adds a condition. Each `?` in it takes the next value.
    pub(crate) fn and(
        &mut self,
        condition: &'static str,
        values: impl IntoIterator<Item = Arg>,
    ) -> &mut Self {
        self.conditions.push_str(" AND ");
        self.put(condition, values);
        self
    }

    /// Adds `column IN (…)`, unless there are no values.
    pub(crate) fn any_of<'a>(
        &mut self,
        column: &'static str,
        values: impl IntoIterator<Item = &'a str>,
    ) -> &mut Self {
        self.any_arg(column, values.into_iter().map(Arg::from))
    }

    /// Adds `column IN (…)` of ids, unless there are none.
    pub(crate) fn any_id(
        &mut self,
        column: &'static str,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> &mut Self {
        self.any_arg(column, ids.into_iter().map(Arg::Id))
    }

    fn any_arg(
        &mut self,
        column: &'static str,
        values: impl IntoIterator<Item = Arg>,
    ) -> &mut Self {
        for (i, value) in values.into_iter().enumerate() {
            if i == 0 {
                self.conditions.push_str(" AND ");
                self.conditions.push_str(column);
                self.conditions.push_str(" IN (");
                self.put("?", [value]);
            } else {
                // Reopen the list that the value before closed.
                self.conditions.pop();
                self.put(", ?", [value]);
            }
            self.conditions.push(')');
        }
        self
    }

    /// Adds a condition where there is a value.
    pub(crate) fn maybe(
        &mut self,
        condition: &'static str,
        value: Option<impl Into<Arg>>,
    ) -> &mut Self {
        if let Some(value) = value {
            self.and(condition, [value.into()]);
        }
        self
    }

    fn put(&mut self, fragment: &'static str, values: impl IntoIterator<Item = Arg>) {
        let mut values = values.into_iter();
        for (i, part) in fragment.split('?').enumerate() {
            if i > 0 {
                self.args.extend(values.next());
                // Writing to a String cannot fail.
                let _ = write!(self.conditions, "${}", self.args.len());
            }
            self.conditions.push_str(part);
        }
    }

    /// The whole statement: `head WHERE conditions tail`.
    pub(crate) fn sql(&self, head: &'static str, tail: &'static str) -> AssertSqlSafe<String> {
        AssertSqlSafe(format!("{head} WHERE 1 = 1{}{tail}", self.conditions))
    }

    /// The same with a limit, which is to be bound after the filter's values.
    pub(crate) fn page_sql(
        &self,
        head: &'static str,
        order: &'static str,
    ) -> AssertSqlSafe<String> {
        let limit = self.args.len() + 1;
        AssertSqlSafe(format!("{head} WHERE 1 = 1{}{order} LIMIT ${limit}", self.conditions))
    }

    /// The values, in order.
    pub(crate) fn args(&self) -> &[Arg] {
        &self.args
    }
}

/// Binds a filter's values to a query of either database.
macro_rules! bind_all {
    ($query:expr, $args:expr) => {{
        let mut query = $query;
        for arg in $args {
            query = match arg {
                $crate::filter::Arg::Text(text) => query.bind(text.clone()),
                $crate::filter::Arg::Number(n) => query.bind(*n),
                $crate::filter::Arg::Id(id) => query.bind(*id),
            };
        }
        query
    }};
}
pub(crate) use bind_all;

/// A LIKE pattern for texts that hold `part`; use with `ESCAPE '\'` on a lower-cased column.
pub(crate) fn holds(part: &str) -> String {
    format!("%{}%", escape(part).to_ascii_lowercase())
}

/// A LIKE pattern for texts that begin with `start`; use with `ESCAPE '\'` on a lower-cased column.
pub(crate) fn begins(start: &str) -> String {
    format!("{}%", escape(start).to_ascii_lowercase())
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_bound_never_written() {
        let mut filter = Filter::default();
        filter.maybe("a = ?", Some("x' OR 1=1 --"));
        filter.any_of("s", ["p", "q", "r"]).any_of("t", []);
        filter.and("(b, id) < (?, ?)", [5.into(), Uuid::nil().into()]);
        let sql = filter.sql("SELECT *", " LIMIT 1").0;
        assert_eq!(
            sql,
            "SELECT * WHERE 1 = 1 AND a = $1 AND s IN ($2, $3, $4) AND (b, id) < ($5, $6) LIMIT 1"
        );
        assert_eq!(filter.args().len(), 6);
    }

    #[test]
    fn patterns_take_wildcards_literally() {
        assert_eq!(holds("A_b%"), "%a\\_b\\%%");
    }
}
