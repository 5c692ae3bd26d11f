//! `/api/v1/freezes`: spans in which nothing begins.

use axum::http::StatusCode;
use fleetmend_core::campaign::calendar::{FreezeRule, FreezeWhen};
use fleetmend_core::host::Labels;
use fleetmend_core::ids::FreezeId;
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use fleetmend_store::{Freeze, NewFreeze};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model::{Time, time};
use super::reason;
use crate::entropy;
use crate::http::call::{Call, json, ok};
use crate::http::csv::Column;
use crate::http::paging;
use crate::http::problem::Problem;
use crate::http::route::Answer;

const COLUMNS: &[Column] = &[
    ("id", "/id"),
    ("name", "/name"),
    ("from", "/from"),
    ("until", "/until"),
    ("first", "/first"),
    ("last", "/last"),
    ("zone", "/zone"),
    ("labels", "/labels"),
    ("reason", "/reason"),
    ("created_by", "/created_by"),
    ("created_at", "/created_at"),
];

/// A freeze to be made: once (`from`, `until`) or every year (`first`, `last`).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FreezeBody {
    /// A name for people and agents.
    pub(crate) name: String,
    /// Why.
    pub(crate) reason: String,
    /// From this time on.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(crate) from: Option<Timestamp>,
    /// And before this one.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(crate) until: Option<Timestamp>,
    /// The first day of every year, `12-20`.
    #[serde(default)]
    pub(crate) first: Option<String>,
    /// The last day, `01-06`.
    #[serde(default)]
    pub(crate) last: Option<String>,
    /// The zone of a yearly one; UTC unless given.
    #[serde(default)]
    pub(crate) zone: Option<String>,
    /// For hosts with all of these labels; for every host where there are none.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(crate) labels: Labels,
}

/// A freeze.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Freeze)]
pub(crate) struct FreezeView {
    /// Its id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Why.
    pub(crate) reason: String,
    /// From this time on; null for a yearly one.
    pub(crate) from: Option<Time>,
    /// And before this one.
    pub(crate) until: Option<Time>,
    /// The first day of every year; null for one that is once.
    pub(crate) first: Option<String>,
    /// The last day.
    pub(crate) last: Option<String>,
    /// The zone of a yearly one.
    pub(crate) zone: String,
    /// The hosts that it is about, by labels; all where there are none.
    #[schema(value_type = Object)]
    pub(crate) labels: Labels,
    /// Whether it holds now.
    pub(crate) holds: bool,
    /// Who made it.
    pub(crate) created_by: String,
    /// When.
    pub(crate) created_at: Time,
}

/// Lists freezes.
pub(crate) async fn list(call: Call) -> Answer {
    paging::list(call, COLUMNS, (), |call, _with, page| async move {
        let all = call.db().freezes().await?;
        let items = all.into_iter().map(|freeze| view(freeze, call.now)).collect();
        Ok(paging::whole(items, &page))
    })
    .await
}

/// Makes a freeze.
pub(crate) async fn create(call: Call) -> Answer {
    let body: FreezeBody = call.json()?;
    let id = create_as(&call, body).await?;
    let all = call.db().freezes().await?;
    let made = all.into_iter().find(|freeze| freeze.id == id);
    let made = made.ok_or_else(|| Problem::internal("the freeze is gone at once"))?;
    json(StatusCode::CREATED, &view(made, call.now))
}

/// Makes a freeze. Also used by pages.
pub(crate) async fn create_as(call: &Call, body: FreezeBody) -> Result<FreezeId, Problem> {
    let why = reason(&body.reason)?.to_owned();
    let rule = rule(body, call.now)?;
    let id = entropy::id(FreezeId::at, &*call.shared().clock);
    let new = NewFreeze { id, rule, reason: why };
    call.db().create_freeze(&new, &call.actor(), call.now).await?;
    changed(call);
    Ok(id)
}

/// Takes a freeze away.
pub(crate) async fn delete(call: Call) -> Answer {
    let id: FreezeId = call.id()?;
    end_as(&call, id).await?;
    ok(&serde_json::json!({ "id": id }))
}

/// Takes a freeze away. Also used by pages.
pub(crate) async fn end_as(call: &Call, id: FreezeId) -> Result<(), Problem> {
    if !call.db().remove_freeze(id, &call.actor(), call.now).await? {
        let text = format!("there is no freeze {id}: GET /api/v1/freezes lists them");
        return Err(Problem::not_found(text));
    }
    changed(call);
    Ok(())
}

fn changed(call: &Call) {
    let shared = call.shared();
    shared.nudges.campaigns.notify_one();
    shared.halt.nudge();
    shared.events.tell(crate::events::Event::Freezes);
}

fn rule(body: FreezeBody, now: Timestamp) -> Result<FreezeRule, Problem> {
    let name = body.name.trim();
    if name.is_empty()
        || name.len() > limits::REASON_BYTES.min(255)
        || name.chars().any(char::is_control)
    {
        return Err(Problem::bad("name", "name: 1 to 255 bytes on one line"));
    }
    let when = match (body.from, body.until, body.first, body.last) {
        (Some(from), Some(until), None, None) => FreezeWhen::Once { from, until },
        (None, None, Some(first), Some(last)) => FreezeWhen::Yearly { first, last },
        _ => {
            let text = "from: give from and until for once, or first and last for every year";
            return Err(Problem::bad("from", text));
        }
    };
    let once = matches!(when, FreezeWhen::Once { .. });
    if once && body.zone.is_some() {
        return Err(Problem::bad("zone", "zone: a freeze that is once has times of its own zone"));
    }
    let zone = body.zone.unwrap_or_else(|| "UTC".to_owned());
    let rule = FreezeRule { name: name.to_owned(), when, zone, labels: body.labels };
    rule.spans(now, now)
        .map_err(|bad| Problem::bad(if once { "until" } else { "first" }, bad.to_string()))?;
    Ok(rule)
}

fn view(freeze: Freeze, now: Timestamp) -> FreezeView {
    let soon = Timestamp::from_millis(now.as_millis().saturating_add(1));
    let holds = freeze.rule.spans(now, soon).is_ok_and(|spans| !spans.is_empty());
    let FreezeRule { name, when, zone, labels } = freeze.rule;
    let (from, until, first, last) = match when {
        FreezeWhen::Once { from, until } => (Some(time(from)), Some(time(until)), None, None),
        FreezeWhen::Yearly { first, last } => (None, None, Some(first), Some(last)),
    };
    FreezeView {
        id: freeze.id.to_string(),
        name,
        reason: freeze.reason,
        from,
        until,
        first,
        last,
        zone,
        labels,
        holds,
        created_by: freeze.created_by,
        created_at: time(freeze.created),
    }
}
