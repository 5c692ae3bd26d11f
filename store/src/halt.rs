//! The halt of the whole fleet, as the database holds it: one setting, with who, when and why. The
//! other way to halt, a file of the server's own, is only noted here for the audit log.

use fleetmend_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::audit;
use crate::backend::{Db, Tx, on_read, on_tx, run, transaction};
use crate::error::Result;
use crate::row::{At, to_json};
use crate::sql::statements;

statements! {
    READ = "SELECT value FROM setting WHERE name = $1";
    SET = "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    SET_ANEW = "INSERT INTO setting (name, value) VALUES ($1, $2) \
        ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE setting.value <> excluded.value";
    LIFT = "DELETE FROM setting WHERE name = $1";
}

/// The setting that halts the fleet while it is there.
const HALT: &str = "halt";
/// The settings that say what was last written to the audit log of a server's halt file begin so.
const FILE_NOTED: &str = "halt.file.";
/// What a halt is of, in the audit log.
const FLEET: &str = "fleet";

/// Who halted the fleet, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaltMark {
    /// Who.
    pub by: String,
    /// When.
    pub since: Timestamp,
    /// Why; empty where nobody said.
    pub reason: String,
}

impl Db {
    /// Who halted the fleet by the database; `None` where nobody did.
    pub async fn halt_mark(&self) -> Result<Option<HaltMark>> {
        let text: Option<String> =
            on_read!(self, |c| sqlx::query_scalar(READ).bind(HALT).fetch_optional(c).await)?;
        text.map(|text| mark_of(&text)).transpose()
    }

    /// Halts the fleet: nothing new starts. Where it is halted already the first mark stands; who
    /// wanted it again is in the audit log.
    pub async fn halt(&self, reason: &str, by: &str, now: Timestamp) -> Result<HaltMark> {
        let mark = HaltMark { by: by.to_owned(), since: now, reason: reason.to_owned() };
        transaction!(self, |tx| {
            let new = run!(&mut *tx, sqlx::query(SET).bind(HALT).bind(to_json(&mark)?))? > 0;
            let detail = json!({"reason": reason, "already": !new});
            audit::note(tx, (by, now), "fleet.halt", FLEET.to_owned(), detail).await?;
            let text = read(tx, HALT).await?;
            text.map_or_else(|| Ok(mark.clone()), |text| mark_of(&text))
        })
    }

    /// Lifts the halt that the database holds. False where there is none.
    pub async fn lift_halt(&self, by: &str, now: Timestamp) -> Result<bool> {
        transaction!(self, |tx| {
            let Some(text) = read(tx, HALT).await? else { return Ok(false) };
            run!(&mut *tx, sqlx::query(LIFT).bind(HALT))?;
            let detail = json!({"halted": mark_of(&text)?});
            audit::note(tx, (by, now), "fleet.resume", FLEET.to_owned(), detail).await?;
            Ok(true)
        })
    }

    /// Writes to the audit log that the halt file of a server came or went, once each. Says whether it
    /// was news. What is told again after a crash or a restart is none; each server of several speaks of
    /// its own file only.
    pub async fn note_halt_file(
        &self,
        server: &str,
        mark: Option<&HaltMark>,
        now: Timestamp,
    ) -> Result<bool> {
        let text = mark.map(to_json).transpose()?.unwrap_or_default();
        let noted = format!("{FILE_NOTED}{server}");
        transaction!(self, |tx| {
            if read(tx, &noted).await?.unwrap_or_default() == text {
                return Ok(false);
            }
            if text.is_empty() {
                run!(&mut *tx, sqlx::query(LIFT).bind(&noted))?;
            } else {
                run!(&mut *tx, sqlx::query(SET_ANEW).bind(&noted).bind(&text))?;
            }
            let action = if mark.is_some() { "fleet.halt" } else { "fleet.resume" };
            let by = mark.map_or("command line", |mark| mark.by.as_str());
            let reason = mark.map(|mark| mark.reason.as_str());
            let detail = json!({"way": "file", "server": server, "reason": reason});
            audit::note(tx, (by, now), action, FLEET.to_owned(), detail).await?;
            Ok(true)
        })
    }
}

async fn read(tx: &mut Tx, name: &str) -> Result<Option<String>> {
    Ok(on_tx!(tx, |c| sqlx::query_scalar(READ).bind(name).fetch_optional(c).await)?)
}

fn mark_of(text: &str) -> Result<HaltMark> {
    At { table: "setting", id: &HALT }.json("value", text)
}
