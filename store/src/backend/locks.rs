//! What keeps writers apart where there are several: on Postgres. SQLite has one writer.

use fleetmend_core::ids::{HostId, IncidentId, JobId};
use uuid::Uuid;

use super::{Tx, on_tx};
use crate::error::Result;
use crate::sql::statements;

/// In the order of ids, so that two writers never wait for each other in a ring. Leaves the rows to
/// those who only refer to them.
const HOLD_HOSTS: &str = "SELECT id FROM host WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE";
const HOLD_ROLL_UP: &str = "LOCK TABLE report_day IN SHARE ROW EXCLUSIVE MODE";
const HOLD: &str = "SELECT pg_advisory_xact_lock($1)";

/// The statements that only Postgres knows.
#[cfg(test)]
pub(crate) const POSTGRES_ONLY: &[(&str, &str)] = &[("HOLD_HOSTS", HOLD_HOSTS), ("HOLD", HOLD)];

statements! {
    HOST_OF_JOB = "SELECT host_id FROM job WHERE id = $1";
    HOST_OF_INCIDENT = "SELECT host_id FROM incident WHERE id = $1";
}

/// Things that one transaction at a time may change, each a number that Postgres knows it by.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lock {
    /// The end of the audit chain.
    Audit = 7_301,
    /// Which keys were ever enrolled.
    Keys = 7_302,
    /// The partitions of `report`.
    Partitions = 7_303,
    /// Who may log in as what.
    People = 7_304,
}

impl Tx {
    /// Holds hosts until the transaction ends; what is read of them from now on stays so. Hosts that
    /// do not exist are passed over.
    pub(crate) async fn hold_hosts(
        &mut self,
        hosts: impl IntoIterator<Item = HostId>,
    ) -> Result<()> {
        let Self::Postgres(lease) = self else { return Ok(()) };
        let ids: Vec<Uuid> = hosts.into_iter().map(|host| host.0).collect();
        if !ids.is_empty() {
            sqlx::query(HOLD_HOSTS).bind(ids).execute(lease.connection()).await?;
        }
        Ok(())
    }

    /// Holds a job's host; a job never changes its host.
    pub(crate) async fn hold_host_of_job(&mut self, job: JobId) -> Result<()> {
        self.hold_host_of(HOST_OF_JOB, job.0).await
    }

    /// Holds an incident's host.
    pub(crate) async fn hold_host_of_incident(&mut self, incident: IncidentId) -> Result<()> {
        self.hold_host_of(HOST_OF_INCIDENT, incident.0).await
    }

    async fn hold_host_of(&mut self, sql: &'static str, id: Uuid) -> Result<()> {
        if matches!(self, Self::Sqlite(_)) {
            return Ok(());
        }
        let host: Option<Uuid> =
            on_tx!(&mut *self, |c| sqlx::query_scalar(sql).bind(id).fetch_optional(c).await)?;
        self.hold_hosts(host.map(HostId::from)).await
    }

    /// Keeps other writers from the roll-up until this transaction ends, so that what it counts is
    /// what they counted.
    pub(crate) async fn lock_roll_up(&mut self) -> Result<()> {
        if let Self::Postgres(lease) = self {
            sqlx::query(HOLD_ROLL_UP).execute(lease.connection()).await?;
        }
        Ok(())
    }

    /// Is alone with something until the transaction ends.
    pub(crate) async fn hold(&mut self, lock: Lock) -> Result<()> {
        if let Self::Postgres(lease) = self {
            sqlx::query(HOLD).bind(lock as i64).execute(lease.connection()).await?;
        }
        Ok(())
    }
}
