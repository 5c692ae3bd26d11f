//! Enrolment tokens: made, listed, revoked, and used in the transaction that enrols.

use std::net::IpAddr;

use fleetmend_core::host::Labels;
use fleetmend_core::ids::EnrollmentTokenId;
use fleetmend_core::time::Timestamp;
use fleetmend_core::token::TokenKind;
use ipnet::IpNet;
use serde_json::json;
use uuid::Uuid;

use crate::audit;
use crate::backend::{Db, Tx, on_read, on_tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::filter::{Filter, bind_all};
use crate::hosts::EnrolError;
use crate::page::{Cursor, Page, PageRequest};
use crate::row::{At, time, to_json};
use crate::sql::statements;

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewEnrollmentToken {
    /// Its id.
    pub id: EnrollmentTokenId,
    /// A name for people.
    pub name: String,
    /// What it is for.
    pub kind: TokenKind,
    /// SHA-256 of its secret; the secret itself is never stored.
    pub secret_hash: [u8; 32],
    /// How many hosts it may enrol; 1 for one-use tokens.
    pub uses: u32,
    /// Until when.
    pub expires: Timestamp,
    /// Labels its hosts get.
    pub labels: Labels,
    /// The networks its hosts must come from; empty for any.
    pub networks: Vec<IpNet>,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct EnrollmentToken {
    /// Its id.
    pub id: EnrollmentTokenId,
    /// A name for people.
    pub name: String,
    /// What it is for.
    pub kind: TokenKind,
    /// How many hosts it may enrol.
    pub uses_max: u32,
    /// How many it did.
    pub uses: u32,
    /// Until when.
    pub expires: Timestamp,
    /// Labels its hosts get.
    pub labels: Labels,
    /// The networks its hosts must come from, as text; empty for any.
    pub networks: Vec<String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created: Timestamp,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

/// What a good token grants.
#[derive(Debug, Clone)]
pub struct TokenGrant {
    /// The token.
    pub id: EnrollmentTokenId,
    /// One-use tokens accept at once; hosts of deployment tokens stay *pending*.
    pub kind: TokenKind,
    /// Labels the host gets.
    pub labels: Labels,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// No such token.
    #[error("the enrolment token is unknown: ask for a new one")]
    Unknown,
    /// All its uses are gone.
    #[error("the enrolment token is used up: ask for a new one")]
    Used,
    /// Too late.
    #[error("the enrolment token expired at {0}: ask for a new one")]
    Expired(Timestamp),
    /// Somebody revoked it.
    #[error("the enrolment token was revoked: ask for a new one")]
    Revoked,
    /// The host comes from elsewhere.
    #[error("the enrolment token is not for hosts from {0}: use one made for that network")]
    ForeignNetwork(IpAddr),
}

macro_rules! columns {
    () => {
        "id, name, kind, uses_max, uses, expires_ms, labels, networks, created_by, created_ms, \
         revoked_ms"
    };
}

statements! {
    INSERT = "INSERT INTO enrollment_token (id, name, kind, secret_hash, uses_max, expires_ms, labels, \
        networks, created_by, created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    BY_HASH = concat!("SELECT ", columns!(), " FROM enrollment_token WHERE secret_hash = $1");
    EXISTS = "SELECT uses FROM enrollment_token WHERE id = $1";
    USE = "UPDATE enrollment_token SET uses = uses + 1 WHERE id = $1 AND uses < uses_max AND revoked_ms IS NULL";
    REVOKE = "UPDATE enrollment_token SET revoked_ms = $2 WHERE id = $1 AND revoked_ms IS NULL";
}

impl Db {
    /// Makes a token.
    pub async fn create_enrollment_token(
        &self,
        token: &NewEnrollmentToken,
        by: &str,
        now: Timestamp,
    ) -> Result<()> {
        transaction!(self, |tx| {
            let networks: Vec<String> = token.networks.iter().map(ToString::to_string).collect();
            run!(
                tx,
                sqlx::query(INSERT)
                    .bind(token.id.0)
                    .bind(&token.name)
                    .bind(token.kind.as_str())
                    .bind(token.secret_hash.as_slice())
                    .bind(i64::from(token.uses))
                    .bind(token.expires.as_millis())
                    .bind(to_json(&token.labels)?)
                    .bind(to_json(&networks)?)
                    .bind(by)
                    .bind(now.as_millis())
            )?;
            let detail = json!({
                "name": token.name, "kind": token.kind, "uses": token.uses, "expires": token.expires,
                "labels": token.labels, "networks": networks,
            });
            let subject = format!("enrollment-token {}", token.id);
            audit::note(tx, (by, now), "enrollment_token.create", subject, detail).await?;
            Ok(())
        })
    }

    /// All tokens, newest first.
    pub async fn enrollment_tokens(&self, page: &PageRequest) -> Result<Page<EnrollmentToken>> {
        let mut filter = Filter::default();
        let total: i64 = on_read!(self, |c| {
            let sql = filter.sql("SELECT COUNT(*) FROM enrollment_token", "");
            bind_all!(sqlx::query_scalar(sql), filter.args()).fetch_one(c).await
        })?;
        if let Some(cursor) = &page.cursor {
            let (ms, id) = cursor.as_number()?;
            filter.and("(created_ms, id) < (?, ?)", [ms.into(), id.into()]);
        }
        let limit = page.limit();
        let rows: Vec<Row> = on_read!(self, |c| {
            let sql = filter.page_sql(
                concat!("SELECT ", columns!(), " FROM enrollment_token"),
                " ORDER BY created_ms DESC, id DESC",
            );
            bind_all!(sqlx::query_as(sql), filter.args()).bind(limit + 1).fetch_all(c).await
        })?;
        let tokens = rows.into_iter().map(EnrollmentToken::try_from).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(tokens, limit, total, |t| Cursor::number(t.created.as_millis(), t.id.0)))
    }

    /// Revokes a token: it enrols nobody from now on. False where it was revoked before.
    pub async fn revoke_enrollment_token(
        &self,
        id: EnrollmentTokenId,
        by: &str,
        now: Timestamp,
    ) -> Result<bool> {
        transaction!(self, |tx| {
            let exists: Option<i64> =
                on_tx!(tx, |c| sqlx::query_scalar(EXISTS).bind(id.0).fetch_optional(c).await)?;
            if exists.is_none() {
                return Err(StoreError::not_found("enrolment token", id));
            }
            let done = run!(tx, sqlx::query(REVOKE).bind(id.0).bind(now.as_millis()))?;
            if done == 0 {
                return Ok(false);
            }
            let subject = format!("enrollment-token {id}");
            audit::note(tx, (by, now), "enrollment_token.revoke", subject, json!({})).await?;
            Ok(true)
        })
    }

    /// Whether a token would let a host from `peer` in now. Takes no use of it: look before the
    /// work of issuing a certificate; the enrolment itself looks again.
    pub async fn check_enrollment_token(
        &self,
        secret_hash: &[u8; 32],
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<TokenGrant, EnrolError> {
        let row: Option<Row> = on_read!(self, |c| sqlx::query_as(BY_HASH)
            .bind(secret_hash.as_slice())
            .fetch_optional(c)
            .await)?;
        judge(row, peer, now)
    }
}

/// Takes one use of a token, inside the transaction that enrols.
pub(crate) async fn consume(
    tx: &mut Tx,
    secret_hash: &[u8; 32],
    peer: IpAddr,
    now: Timestamp,
) -> Result<TokenGrant, EnrolError> {
    let row: Option<Row> = on_tx!(tx, |c| sqlx::query_as(BY_HASH)
        .bind(secret_hash.as_slice())
        .fetch_optional(c)
        .await)
    .map_err(StoreError::from)?;
    let grant = judge(row, peer, now)?;
    let used = run!(tx, sqlx::query(USE).bind(grant.id.0)).map_err(StoreError::from)?;
    if used == 1 { Ok(grant) } else { Err(TokenRefused::Used.into()) }
}

fn judge(row: Option<Row>, peer: IpAddr, now: Timestamp) -> Result<TokenGrant, EnrolError> {
    let token = EnrollmentToken::try_from(row.ok_or(TokenRefused::Unknown)?)?;
    if token.revoked.is_some() {
        return Err(TokenRefused::Revoked.into());
    }
    if now >= token.expires {
        return Err(TokenRefused::Expired(token.expires).into());
    }
    if token.uses >= token.uses_max {
        return Err(TokenRefused::Used.into());
    }
    // A socket bound to both families shows IPv4 peers as mapped addresses.
    let peer = peer.to_canonical();
    let at = At { table: "enrollment_token", id: &token.id };
    let mut networks = Vec::with_capacity(token.networks.len());
    for text in &token.networks {
        networks.push(at.word::<IpNet>("networks", text)?);
    }
    if !networks.is_empty() && !networks.iter().any(|net| net.contains(&peer)) {
        return Err(TokenRefused::ForeignNetwork(peer).into());
    }
    Ok(TokenGrant { id: token.id, kind: token.kind, labels: token.labels })
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    kind: String,
    uses_max: i64,
    uses: i64,
    expires_ms: i64,
    labels: String,
    networks: String,
    created_by: String,
    created_ms: i64,
    revoked_ms: Option<i64>,
}

impl TryFrom<Row> for EnrollmentToken {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self> {
        let at = At { table: "enrollment_token", id: &row.id };
        Ok(Self {
            id: row.id.into(),
            kind: at.word("kind", &row.kind)?,
            uses_max: at.number("uses_max", row.uses_max)?,
            uses: at.number("uses", row.uses)?,
            expires: time(row.expires_ms),
            labels: at.json("labels", &row.labels)?,
            networks: at.json("networks", &row.networks)?,
            created: time(row.created_ms),
            revoked: row.revoked_ms.map(time),
            name: row.name,
            created_by: row.created_by,
        })
    }
}
