//! Reading campaigns: one, and lists.

use fleetmend_core::ids::CampaignId;
use fleetmend_core::time::Timestamp;
use uuid::Uuid;

use super::{Campaign, CampaignFilter, read};
use crate::backend::{Db, Tx, on_read, on_tx};
use crate::error::{Result, StoreError};
use crate::filter::{Filter, bind_all, holds};
use crate::page::{Cursor, Page, PageRequest};
use crate::row::{At, count, some, time};
use crate::sql::statements;

/// What [`Row`] is read from. An approval counts for the definition as it stands; an edit took the
/// earlier ones their force.
macro_rules! campaign_head {
    () => {
        "SELECT c.id, c.definition, c.digest, c.needs, c.state, c.state_ms, c.state_by, c.state_reason, c.state_said, c.created_by, \
         c.created_ms, c.edited_by, c.edited_ms, c.run, c.expires_ms, c.next_look_ms, c.waiting_for, c.waiting_said, c.undoes, c.revision, \
         r.started_by, r.started_ms, r.ended_ms, \
         (SELECT a.approved_by FROM approval a WHERE a.campaign_id = c.id AND a.void_ms IS NULL AND a.digest = c.digest \
            ORDER BY a.number LIMIT 1) AS approved_by, \
         (SELECT COUNT(*) FROM campaign_host ch WHERE ch.campaign_id = c.id AND ch.run = c.run) AS hosts \
         FROM campaign c LEFT JOIN campaign_run r ON r.campaign_id = c.id AND r.run = c.run"
    };
}

statements! {
    GET = concat!(campaign_head!(), " WHERE c.id = $1");
    DUE = "SELECT id FROM campaign WHERE next_look_ms <= $1 ORDER BY next_look_ms, id LIMIT $2";
    AT_WORK = "SELECT id FROM campaign WHERE state IN ('scheduled', 'running', 'paused') ORDER BY state_ms, id LIMIT $1";
}

impl Db {
    /// A campaign.
    pub async fn campaign(&self, id: CampaignId) -> Result<Option<Campaign>> {
        let row: Option<Row> =
            on_read!(self, |c| sqlx::query_as(GET).bind(id.0).fetch_optional(c).await)?;
        row.map(Campaign::try_from).transpose()
    }

    /// Campaigns, newest first.
    pub async fn campaigns(
        &self,
        wanted: &CampaignFilter,
        page: &PageRequest,
    ) -> Result<Page<Campaign>> {
        let mut filter = Filter::default();
        filter
            .any_of("c.state", wanted.state.iter().map(|s| s.as_str()))
            .maybe(
                "LOWER(c.name) LIKE ? ESCAPE '\\'",
                wanted.search.as_deref().map(holds).as_deref(),
            )
            .maybe(
                "c.id IN (SELECT ch.campaign_id FROM campaign_host ch WHERE ch.host_id = ?)",
                wanted.host.map(|host| host.0),
            );
        if wanted.awaits_approval {
            filter.and(
                "(c.state = 'awaiting_approval' OR (c.state = 'paused' AND c.needs <> '[]' AND NOT EXISTS \
                    (SELECT 1 FROM approval a WHERE a.campaign_id = c.id AND a.void_ms IS NULL AND a.digest = c.digest)))",
                [],
            );
        }
        let total: i64 = on_read!(self, |c| {
            let sql = filter.sql("SELECT COUNT(*) FROM campaign c", "");
            bind_all!(sqlx::query_scalar(sql), filter.args()).fetch_one(c).await
        })?;
        if let Some(cursor) = &page.cursor {
            let (ms, id) = cursor.as_number()?;
            filter.and("(c.created_ms, c.id) < (?, ?)", [ms.into(), id.into()]);
        }
        let limit = page.limit();
        let rows: Vec<Row> = on_read!(self, |c| {
            let sql = filter.page_sql(campaign_head!(), " ORDER BY c.created_ms DESC, c.id DESC");
            bind_all!(sqlx::query_as(sql), filter.args()).bind(limit + 1).fetch_all(c).await
        })?;
        let campaigns = rows.into_iter().map(Campaign::try_from).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(campaigns, limit, total, |c| Cursor::number(c.created.as_millis(), c.id.0)))
    }

    /// Campaigns that wanted to be looked at by now, the longest due first.
    pub async fn campaigns_due(&self, now: Timestamp, limit: u32) -> Result<Vec<CampaignId>> {
        let ids: Vec<Uuid> = on_read!(self, |c| sqlx::query_scalar(DUE)
            .bind(now.as_millis())
            .bind(i64::from(limit))
            .fetch_all(c)
            .await)?;
        Ok(ids.into_iter().map(CampaignId::from).collect())
    }

    /// Campaigns for which something can happen: those that any news may concern.
    pub async fn campaigns_at_work(&self, limit: u32) -> Result<Vec<CampaignId>> {
        let ids: Vec<Uuid> = on_read!(self, |c| sqlx::query_scalar(AT_WORK)
            .bind(i64::from(limit))
            .fetch_all(c)
            .await)?;
        Ok(ids.into_iter().map(CampaignId::from).collect())
    }
}

/// A campaign as a transaction sees it.
pub(super) async fn load(tx: &mut Tx, id: CampaignId) -> Result<Campaign> {
    let row: Option<Row> = on_tx!(tx, |c| sqlx::query_as(GET).bind(id.0).fetch_optional(c).await)?;
    row.ok_or_else(|| missing(id))?.try_into()
}

pub(super) fn missing(id: CampaignId) -> StoreError {
    StoreError::not_found("campaign", id)
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Uuid,
    definition: String,
    digest: String,
    needs: String,
    state: String,
    state_ms: i64,
    state_by: String,
    state_reason: String,
    state_said: String,
    created_by: String,
    created_ms: i64,
    edited_by: String,
    edited_ms: i64,
    run: i64,
    expires_ms: Option<i64>,
    next_look_ms: Option<i64>,
    waiting_for: String,
    waiting_said: String,
    undoes: Option<Uuid>,
    revision: i64,
    started_by: Option<String>,
    started_ms: Option<i64>,
    ended_ms: Option<i64>,
    approved_by: Option<String>,
    hosts: i64,
}

impl TryFrom<Row> for Campaign {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self> {
        let at = At { table: "campaign", id: &row.id };
        Ok(Self {
            id: row.id.into(),
            definition: at.json("definition", &row.definition)?,
            digest: row.digest,
            needs: at.json("needs", &row.needs)?,
            approved_by: row.approved_by,
            state: at.word("state", &row.state)?,
            state_since: time(row.state_ms),
            state_by: row.state_by,
            state_reason: row.state_reason,
            state_reasons: read(&row.state_said),
            created_by: row.created_by,
            created: time(row.created_ms),
            edited_by: row.edited_by,
            edited: time(row.edited_ms),
            run: at.number("run", row.run)?,
            started_by: row.started_by,
            started: row.started_ms.map(time),
            run_ended: row.ended_ms.map(time),
            expires: row.expires_ms.map(time),
            next_look: row.next_look_ms.map(time),
            waiting_for: some(row.waiting_for),
            waiting_reasons: read(&row.waiting_said),
            undoes: row.undoes.map(Into::into),
            hosts: count(row.hosts),
            revision: count(row.revision),
        })
    }
}
