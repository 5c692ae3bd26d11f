//! Reading one host.

use fleetmend_core::evidence::Evidence;
use fleetmend_core::host::{HostFacts, HostState};
use fleetmend_core::ids::HostId;
use fleetmend_core::overdue::health;
use uuid::Uuid;

use super::Host;
use super::facts::EvidenceRow;
use crate::backend::{Db, on_read};
use crate::error::{Result, StoreError};
use crate::row::{At, count, time};
use crate::sql::statements;

/// The columns of [`HostRow`].
macro_rules! host_columns {
    () => {
        "h.id, h.name, h.os, h.os_name, h.os_build, h.arch, h.agent_version, h.boot_id, h.simulated, \
         h.lifecycle, h.lifecycle_reason, h.labels, h.enrolled_ms, h.last_seen_ms, h.token_id, h.ceiling, \
         h.state_ms, h.proved, h.lost_items, h.quarantined_items, \
         (SELECT COUNT(*) FROM incident i WHERE i.host_id = h.id AND i.ended_ms IS NULL AND i.state <> 'ignored') AS open_incidents, \
         (SELECT j.id FROM job j WHERE j.host_id = h.id AND j.ended_ms IS NULL AND j.state <> 'verifying') AS active_job"
    };
}
pub(super) use host_columns;

statements! {
    GET = concat!("SELECT ", host_columns!(), " FROM host h WHERE h.id = $1");
    STATE = "SELECT state FROM host WHERE id = $1";
    EVIDENCE = "SELECT probe, subject, id, answer, proof, value, at_ms FROM evidence WHERE host_id = $1 ORDER BY probe, subject";
}

impl Db {
    /// A host.
    pub async fn host(&self, id: HostId) -> Result<Option<Host>> {
        let row: Option<HostRow> =
            on_read!(self, |c| sqlx::query_as(GET).bind(id.0).fetch_optional(c).await)?;
        row.map(Host::try_from).transpose()
    }

    /// The state that a host's agent last found; `None` before the first.
    pub async fn host_state(&self, id: HostId) -> Result<Option<HostState>> {
        let state: Option<Option<String>> =
            on_read!(self, |c| sqlx::query_scalar(STATE).bind(id.0).fetch_optional(c).await)?;
        let at = At { table: "host", id: &id };
        state.flatten().map(|text| at.json("state", &text)).transpose()
    }

    /// The latest answer of each probe on a host, about each subject.
    pub async fn evidence(&self, host: HostId) -> Result<Vec<Evidence>> {
        let rows: Vec<EvidenceRow> =
            on_read!(self, |c| sqlx::query_as(EVIDENCE).bind(host.0).fetch_all(c).await)?;
        rows.into_iter().map(Evidence::try_from).collect()
    }
}

#[derive(Debug, sqlx::FromRow)]
pub(super) struct HostRow {
    id: Uuid,
    name: String,
    os: String,
    os_name: String,
    os_build: String,
    arch: String,
    agent_version: String,
    boot_id: String,
    simulated: bool,
    lifecycle: String,
    lifecycle_reason: String,
    labels: String,
    enrolled_ms: i64,
    last_seen_ms: i64,
    token_id: Option<Uuid>,
    ceiling: String,
    state_ms: Option<i64>,
    proved: bool,
    lost_items: i64,
    quarantined_items: i64,
    open_incidents: i64,
    active_job: Option<Uuid>,
}

impl TryFrom<HostRow> for Host {
    type Error = StoreError;
    fn try_from(row: HostRow) -> Result<Self> {
        let at = At { table: "host", id: &row.id };
        let lifecycle = at.word("lifecycle", &row.lifecycle)?;
        let open_incidents = count(row.open_incidents);
        Ok(Self {
            id: row.id.into(),
            health: health(lifecycle, open_incidents, row.proved),
            facts: HostFacts {
                name: row.name,
                os: at.word("os", &row.os)?,
                os_name: row.os_name,
                os_build: row.os_build,
                arch: row.arch,
                agent_version: row.agent_version,
                boot_id: row.boot_id,
                simulated: row.simulated,
            },
            lifecycle,
            lifecycle_reason: row.lifecycle_reason,
            labels: at.json("labels", &row.labels)?,
            enrolled: time(row.enrolled_ms),
            last_seen: time(row.last_seen_ms),
            token: row.token_id.map(Into::into),
            ceiling: row.ceiling,
            state_at: row.state_ms.map(time),
            open_incidents,
            active_job: row.active_job.map(Into::into),
            lost_items: count(row.lost_items),
            quarantined_items: count(row.quarantined_items),
        })
    }
}
