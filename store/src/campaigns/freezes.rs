//! Freezes: spans in which nothing begins.

use fleetmend_core::campaign::calendar::{BadExpression, FreezeRule, FreezeWhen};
use fleetmend_core::ids::FreezeId;
use fleetmend_core::time::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::audit;
use crate::backend::{Db, on_read, on_tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::row::{At, time, to_json};
use crate::sql::statements;

statements! {
    INSERT = "INSERT INTO change_freeze (id, name, reason, definition, until_ms, created_by, created_ms) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    LIST = "SELECT id, reason, definition, created_by, created_ms FROM change_freeze ORDER BY created_ms, id LIMIT 1000";
    COUNT = "SELECT COUNT(*) FROM change_freeze";
    NAME = "SELECT name FROM change_freeze WHERE id = $1";
    DROP = "DELETE FROM change_freeze WHERE id = $1";
}

/// Freezes that there are at once, at most.
const FREEZES: i64 = 1_000;

/// A freeze to be kept.
#[derive(Debug, Clone)]
pub struct NewFreeze {
    /// Its id.
    pub id: FreezeId,
    /// When, and for whom.
    pub rule: FreezeRule,
    /// Why.
    pub reason: String,
}

/// A freeze.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Freeze {
    /// Its id.
    pub id: FreezeId,
    /// When, and for whom.
    pub rule: FreezeRule,
    /// Why.
    pub reason: String,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created: Timestamp,
}

impl Db {
    /// Keeps a freeze; refuses one that cannot be read, or is over already.
    pub async fn create_freeze(&self, new: &NewFreeze, by: &str, now: Timestamp) -> Result<()> {
        let refuse = |e: BadExpression| StoreError::Conflict(e.to_string());
        new.rule.spans(now, now).map_err(refuse)?;
        let until = match &new.rule.when {
            FreezeWhen::Once { until, .. } if *until <= now => {
                return Err(StoreError::Conflict("the freeze is over already".to_owned()));
            }
            FreezeWhen::Once { until, .. } => Some(until.as_millis()),
            FreezeWhen::Yearly { .. } => None,
        };
        transaction!(self, |tx| {
            let there: i64 = on_tx!(&mut *tx, |c| sqlx::query_scalar(COUNT).fetch_one(c).await)?;
            if there >= FREEZES {
                return Err(StoreError::Conflict(format!(
                    "there are {there} freezes already: remove those that are over"
                )));
            }
            run!(
                &mut *tx,
                sqlx::query(INSERT)
                    .bind(new.id.0)
                    .bind(&new.rule.name)
                    .bind(&new.reason)
                    .bind(to_json(&new.rule)?)
                    .bind(until)
                    .bind(by)
                    .bind(now.as_millis())
            )?;
            let detail = json!({"freeze": new.rule, "reason": new.reason});
            audit::note(tx, (by, now), "freeze.create", format!("freeze {}", new.id), detail).await
        })
    }

    /// All freezes, oldest first.
    pub async fn freezes(&self) -> Result<Vec<Freeze>> {
        let rows: Vec<Row> = on_read!(self, |c| sqlx::query_as(LIST).fetch_all(c).await)?;
        rows.into_iter().map(Freeze::try_from).collect()
    }

    /// Removes a freeze. False where there is none.
    pub async fn remove_freeze(&self, id: FreezeId, by: &str, now: Timestamp) -> Result<bool> {
        transaction!(self, |tx| {
            let name: Option<String> =
                on_tx!(&mut *tx, |c| sqlx::query_scalar(NAME).bind(id.0).fetch_optional(c).await)?;
            if run!(&mut *tx, sqlx::query(DROP).bind(id.0))? == 0 {
                return Ok(false);
            }
            let detail = json!({"name": name});
            audit::note(tx, (by, now), "freeze.remove", format!("freeze {id}"), detail).await?;
            Ok(true)
        })
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Uuid,
    reason: String,
    definition: String,
    created_by: String,
    created_ms: i64,
}

impl TryFrom<Row> for Freeze {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self> {
        let at = At { table: "change_freeze", id: &row.id };
        Ok(Self {
            rule: at.json("definition", &row.definition)?,
            id: row.id.into(),
            reason: row.reason,
            created_by: row.created_by,
            created: time(row.created_ms),
        })
    }
}
