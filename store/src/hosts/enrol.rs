//! A host joins the fleet: token, host, certificate, history and audit in one transaction.

use fleetmend_core::host::Lifecycle;
use fleetmend_core::time::Timestamp;
use fleetmend_core::token::TokenKind;
use serde_json::json;

use super::certificates::insert_certificate;
use super::lifecycle::{note_event, write_labels};
use super::{EnrolError, Enrolled, Enrolment, TimelineKind};
use crate::audit;
use crate::backend::locks::Lock;
use crate::backend::{Db, Tx, on_tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::row::to_json;
use crate::sql::statements;
use crate::tokens::{self, TokenGrant};

statements! {
    INSERT = "INSERT INTO host (id, name, os, os_name, os_build, arch, agent_version, boot_id, simulated, \
        lifecycle, lifecycle_reason, lifecycle_ms, token_id, enrolled_ms, last_seen_ms, labels) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $12, $12, $14)";
    KEY_HOLDER = "SELECT host_id FROM host_certificate WHERE public_key = $1 LIMIT 1";
}

impl Db {
    /// Enrols a host. A host that exists already is never overwritten: its id is refused, and so is
    /// a key that any host was ever enrolled or renewed with.
    pub async fn enrol(
        &self,
        enrolment: &Enrolment,
        now: Timestamp,
    ) -> Result<Enrolled, EnrolError> {
        transaction!(self, |tx| {
            // Two at once with one key would both find it unknown.
            tx.hold(Lock::Keys).await?;
            let grant = tokens::consume(tx, &enrolment.token_hash, enrolment.peer, now).await?;
            let lifecycle = match grant.kind {
                TokenKind::OneUse => Lifecycle::Active,
                TokenKind::Deployment => Lifecycle::Pending,
            };
            refuse_known_key(tx, &enrolment.certificate.public_key).await?;
            insert(tx, enrolment, &grant, lifecycle, now).await?;
            Ok(Enrolled { lifecycle, labels: grant.labels, token: grant.id })
        })
    }
}

async fn refuse_known_key(tx: &mut Tx, public_key: &[u8]) -> Result<()> {
    let holder: Option<uuid::Uuid> =
        on_tx!(tx, |c| sqlx::query_scalar(KEY_HOLDER).bind(public_key).fetch_optional(c).await)?;
    match holder {
        None => Ok(()),
        Some(host) => Err(StoreError::Conflict(format!(
            "csr: this key belongs to host {host} already: enrol with a new key"
        ))),
    }
}

async fn insert(
    tx: &mut Tx,
    enrolment: &Enrolment,
    grant: &TokenGrant,
    lifecycle: Lifecycle,
    now: Timestamp,
) -> Result<()> {
    let (host, facts) = (enrolment.host, &enrolment.facts);
    let reason = format!("enrolled with a {} token", grant.kind);
    run!(
        tx,
        sqlx::query(INSERT)
            .bind(host.0)
            .bind(&facts.name)
            .bind(facts.os.as_str())
            .bind(&facts.os_name)
            .bind(&facts.os_build)
            .bind(&facts.arch)
            .bind(&facts.agent_version)
            .bind(&facts.boot_id)
            .bind(facts.simulated)
            .bind(lifecycle.as_str())
            .bind(&reason)
            .bind(now.as_millis())
            .bind(grant.id.0)
            .bind(to_json(&grant.labels)?)
    )
    .map_err(|e| match StoreError::from(e) {
        e if e.refuses_data() => StoreError::Conflict(format!(
            "the host {host} cannot be stored: it exists, or its facts are out of bounds"
        )),
        e => e,
    })?;
    write_labels(tx, host, &grant.labels).await?;
    insert_certificate(tx, host, &enrolment.certificate, now).await?;
    note_event(tx, host, now, TimelineKind::Enrolled, &reason).await?;
    let detail = json!({
        "name": facts.name, "token": grant.id, "peer": enrolment.peer.to_canonical().to_string(),
        "certificate": enrolment.certificate.serial, "state": lifecycle,
    });
    let (by, subject) = (format!("enrollment-token {}", grant.id), format!("host {host}"));
    audit::note(tx, (&by, now), "host.enroll", subject, detail).await
}
