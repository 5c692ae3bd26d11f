//! People who log in by name and password. Whoever changes one holds [`Lock::People`], so that the
//! last admin stays, and nothing is opened for somebody who is being shut out.
//!
//! [`Lock::People`]: crate::backend::locks::Lock::People

pub(crate) mod change;
pub(crate) mod log_in;

use fleetmend_core::ids::UserId;
use fleetmend_core::time::Timestamp;
use fleetmend_core::token::Role;
use uuid::Uuid;

use crate::backend::{Db, Tx, on_read, on_tx};
use crate::error::{Result, StoreError};
use crate::filter::{Filter, bind_all};
use crate::page::{Cursor, Page, PageRequest};
use crate::row::{At, time};
use crate::sql::statements;

/// A user, without the password.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The name to log in with, in lower case.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created: Timestamp,
    /// Since when it cannot log in any more.
    pub disabled: Option<Timestamp>,
    /// When it last logged in.
    pub last_login: Option<Timestamp>,
    /// When its password was set.
    pub password_set: Timestamp,
    /// Whether the password is to be changed before anything else.
    pub must_change: bool,
    /// Until when such a password is good.
    pub password_until: Option<Timestamp>,
    /// Until when the name is locked after refused log-ins; may be over.
    pub locked_until: Timestamp,
}

/// A password as it is stored.
#[derive(Clone)]
pub struct NewPassword {
    /// Its argon2id hash in PHC form.
    pub hash: String,
    /// Until when it may be used for the one log-in that changes it; `None`: it is the user's own.
    pub one_time_until: Option<Timestamp>,
}

impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewPassword")
            .field("one_time_until", &self.one_time_until)
            .finish_non_exhaustive()
    }
}

/// A user to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Its id.
    pub id: UserId,
    /// The name, in lower case.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Its first password.
    pub password: NewPassword,
}

/// What ended because a user changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Ended {
    /// Sessions.
    pub sessions: u64,
    /// API tokens.
    pub tokens: u64,
}

macro_rules! user_columns {
    () => {
        "u.id, u.name, u.role, u.created_by, u.created_ms, u.disabled_ms, u.last_login_ms, u.password_ms, \
         u.must_change, u.password_until_ms, u.locked_until_ms"
    };
}
pub(crate) use user_columns;

statements! {
    BY_ID = concat!("SELECT ", user_columns!(), " FROM user_account u WHERE u.id = $1");
    BY_NAME = concat!("SELECT ", user_columns!(), " FROM user_account u WHERE u.name = $1");
}

impl Db {
    /// The users, by name.
    pub async fn users(&self, page: &PageRequest) -> Result<Page<User>> {
        let mut filter = Filter::default();
        let total: i64 = on_read!(self, |c| {
            let sql = filter.sql("SELECT COUNT(*) FROM user_account u", "");
            bind_all!(sqlx::query_scalar(sql), filter.args()).fetch_one(c).await
        })?;
        if let Some(cursor) = &page.cursor {
            let (name, id) = cursor.as_text()?;
            filter.and("(u.name, u.id) > (?, ?)", [name.into(), id.into()]);
        }
        let limit = page.limit();
        let rows: Vec<Row> = on_read!(self, |c| {
            let sql = filter.page_sql(
                concat!("SELECT ", user_columns!(), " FROM user_account u"),
                " ORDER BY u.name, u.id",
            );
            bind_all!(sqlx::query_as(sql), filter.args()).bind(limit + 1).fetch_all(c).await
        })?;
        let users = rows.into_iter().map(User::try_from).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(users, limit, total, |u| Cursor::text(&u.name, u.id.0)))
    }

    /// A user.
    pub async fn user(&self, id: UserId) -> Result<Option<User>> {
        let row: Option<Row> =
            on_read!(self, |c| sqlx::query_as(BY_ID).bind(id.0).fetch_optional(c).await)?;
        row.map(User::try_from).transpose()
    }

    /// The user of a name.
    pub async fn user_by_name(&self, name: &str) -> Result<Option<User>> {
        let row: Option<Row> =
            on_read!(self, |c| sqlx::query_as(BY_NAME).bind(name).fetch_optional(c).await)?;
        row.map(User::try_from).transpose()
    }
}

/// A user as a transaction sees it.
pub(crate) async fn in_tx(tx: &mut Tx, id: UserId) -> Result<User> {
    let row: Option<Row> =
        on_tx!(tx, |c| sqlx::query_as(BY_ID).bind(id.0).fetch_optional(c).await)?;
    row.map(User::try_from).transpose()?.ok_or_else(|| StoreError::not_found("user", id))
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Row {
    id: Uuid,
    name: String,
    role: String,
    created_by: String,
    created_ms: i64,
    disabled_ms: Option<i64>,
    last_login_ms: Option<i64>,
    password_ms: i64,
    must_change: bool,
    password_until_ms: Option<i64>,
    locked_until_ms: i64,
}

impl TryFrom<Row> for User {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self> {
        let at = At { table: "user_account", id: &row.id };
        Ok(Self {
            id: row.id.into(),
            role: at.word("role", &row.role)?,
            created: time(row.created_ms),
            disabled: row.disabled_ms.map(time),
            last_login: row.last_login_ms.map(time),
            password_set: time(row.password_ms),
            must_change: row.must_change,
            password_until: row.password_until_ms.map(time),
            locked_until: time(row.locked_until_ms),
            name: row.name,
            created_by: row.created_by,
        })
    }
}
