//! The certificates of hosts.

use fleetmend_core::host::Lifecycle;
use fleetmend_core::ids::HostId;
use fleetmend_core::time::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::{CertificateStanding, HostKey, NewCertificate};
use crate::audit;
use crate::backend::{Db, Tx, on_read, on_tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::row::{At, time};
use crate::sql::statements;

statements! {
    STANDING = "SELECT k.host_id, h.lifecycle, k.revoked_ms, k.not_after_ms, k.public_key \
        FROM host_certificate k JOIN host h ON h.id = k.host_id WHERE k.serial = $1";
    /// Of the certificates whose time is not over, those that do not let their host in. Few, and asked
    /// every two seconds: the first half goes by the hosts that may not connect.
    REFUSED = "SELECT k.serial, h.lifecycle FROM host h JOIN host_certificate k ON k.host_id = h.id \
        WHERE h.lifecycle IN ('quarantined', 'revoked', 'retired') AND k.not_after_ms > $1 \
        UNION ALL SELECT k.serial, h.lifecycle FROM host_certificate k JOIN host h ON h.id = k.host_id \
        WHERE k.revoked_ms IS NOT NULL AND k.not_after_ms > $1 AND h.lifecycle IN ('pending', 'active', 'stale')";
    KEYS = "SELECT serial, public_key, not_after_ms, revoked_ms FROM host_certificate \
        WHERE host_id = $1 ORDER BY issued_ms DESC, serial LIMIT 20";
    INSERT = "INSERT INTO host_certificate (serial, host_id, public_key, not_before_ms, not_after_ms, issued_ms) \
        VALUES ($1, $2, $3, $4, $5, $6)";
    REVOKE = "UPDATE host_certificate SET revoked_ms = $2, revoked_reason = $3 \
        WHERE host_id = $1 AND revoked_ms IS NULL";
    HOST_LIFECYCLE = "SELECT lifecycle FROM host WHERE id = $1";
}

impl Db {
    /// How a certificate stands; `None` for a serial number never issued to a host.
    pub async fn certificate_standing(&self, serial: &str) -> Result<Option<CertificateStanding>> {
        type Row = (Uuid, String, Option<i64>, i64, Vec<u8>);
        let row: Option<Row> =
            on_read!(self, |c| sqlx::query_as(STANDING).bind(serial).fetch_optional(c).await)?;
        let Some((host, lifecycle, revoked, not_after, public_key)) = row else {
            return Ok(None);
        };
        Ok(Some(CertificateStanding {
            host: host.into(),
            lifecycle: At { table: "host", id: &host }.word("lifecycle", &lifecycle)?,
            revoked: revoked.is_some(),
            not_after: time(not_after),
            public_key,
        }))
    }

    /// The certificates whose time was not over at `alive` and that do not let their host in, with
    /// the reason's lifecycle: one question for all live streams. A revoked certificate of a host
    /// that may connect stands there with that host's leave to connect.
    pub async fn refused_certificates(&self, alive: Timestamp) -> Result<Vec<(String, Lifecycle)>> {
        let rows: Vec<(String, String)> =
            on_read!(self, |c| sqlx::query_as(REFUSED).bind(alive.as_millis()).fetch_all(c).await)?;
        rows.into_iter()
            .map(|(serial, lifecycle)| {
                let at = At { table: "host_certificate", id: &serial };
                let lifecycle = at.word("lifecycle", &lifecycle)?;
                Ok((serial, lifecycle))
            })
            .collect()
    }

    /// The keys that a host was given certificates for, newest first; at most 20.
    pub async fn host_keys(&self, host: HostId) -> Result<Vec<HostKey>> {
        type Row = (String, Vec<u8>, i64, Option<i64>);
        let rows: Vec<Row> =
            on_read!(self, |c| sqlx::query_as(KEYS).bind(host.0).fetch_all(c).await)?;
        let key = |(serial, public_key, not_after, revoked): Row| HostKey {
            serial,
            public_key,
            not_after: time(not_after),
            revoked: revoked.is_some(),
        };
        Ok(rows.into_iter().map(key).collect())
    }

    /// Adds a renewed certificate. Refused for hosts that may not connect.
    pub async fn add_certificate(
        &self,
        host: HostId,
        certificate: &NewCertificate,
        by: &str,
        now: Timestamp,
    ) -> Result<()> {
        transaction!(self, |tx| {
            tx.hold_hosts([host]).await?;
            let lifecycle: Option<String> = on_tx!(tx, |c| sqlx::query_scalar(HOST_LIFECYCLE)
                .bind(host.0)
                .fetch_optional(c)
                .await)?;
            let lifecycle = lifecycle.ok_or_else(|| StoreError::not_found("host", host))?;
            let lifecycle: Lifecycle =
                At { table: "host", id: &host }.word("lifecycle", &lifecycle)?;
            if !lifecycle.may_connect() {
                return Err(StoreError::Conflict(format!(
                    "the host {host} is {lifecycle} and gets no certificate"
                )));
            }
            insert_certificate(tx, host, certificate, now).await?;
            let detail = json!({"serial": certificate.serial, "not_after": certificate.not_after});
            let subject = format!("host {host}");
            audit::note(tx, (by, now), "host.renew_certificate", subject, detail).await?;
            Ok(())
        })
    }

    /// Revokes every certificate of a host and says how many.
    pub async fn revoke_certificates(
        &self,
        host: HostId,
        reason: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<u64> {
        transaction!(self, |tx| {
            tx.hold_hosts([host]).await?;
            let revoked = revoke_all(tx, host, reason, now).await?;
            let detail = json!({"reason": reason, "certificates": revoked});
            let subject = format!("host {host}");
            audit::note(tx, (by, now), "host.revoke_certificates", subject, detail).await?;
            Ok(revoked)
        })
    }
}

pub(super) async fn insert_certificate(
    tx: &mut Tx,
    host: HostId,
    certificate: &NewCertificate,
    now: Timestamp,
) -> Result<()> {
    run!(
        tx,
        sqlx::query(INSERT)
            .bind(&certificate.serial)
            .bind(host.0)
            .bind(&certificate.public_key)
            .bind(certificate.not_before.as_millis())
            .bind(certificate.not_after.as_millis())
            .bind(now.as_millis())
    )?;
    Ok(())
}

pub(super) async fn revoke_all(
    tx: &mut Tx,
    host: HostId,
    reason: &str,
    now: Timestamp,
) -> Result<u64> {
    Ok(run!(tx, sqlx::query(REVOKE).bind(host.0).bind(now.as_millis()).bind(reason))?)
}
