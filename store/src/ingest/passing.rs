//! Failures that go by themselves: counted, and shown on their host; an incident only when they have
//! come so often over so long a time that they do not go.

use std::collections::BTreeMap;

use fleetmend_core::code::FailureCode;
use fleetmend_core::ids::{HostId, IncidentId};
use fleetmend_core::incident::IncidentRules;
use fleetmend_core::report::{IncidentKey, Recovery};
use fleetmend_core::time::Timestamp;
use uuid::Uuid;

use super::failures::{Group, code_text};
use crate::backend::{Db, Tx, on_read, on_tx, run};
use crate::error::Result;
use crate::incidents::get::key;
use crate::row::{At, big, count, some, time};
use crate::sql::{ManyRows, chunks, statements};

/// Failures with so long a time between them have nothing to do with each other; 14 days.
macro_rules! apart_ms {
    () => {
        "1209600000"
    };
}

statements! {
    OF_HOST = "SELECT product, operation, code, subject, symbol, message, failures, first_ms, last_ms FROM passing_failure \
        WHERE host_id = $1 ORDER BY last_ms DESC, product, operation, code, subject LIMIT 100";
    /// An empty code or subject stands for any.
    PASSED = "DELETE FROM passing_failure WHERE host_id = $1 AND product = $2 AND operation = $3 \
        AND ($4 = '' OR code = $4) AND ($5 = '' OR subject = $5) AND last_ms <= $6";
    TAKEN = "DELETE FROM passing_failure WHERE host_id = $1 AND product = $2 AND operation = $3 AND code = $4 AND subject = $5";
    /// The reports that were counted before there was an incident.
    LINK = "UPDATE report SET incident_id = $1 WHERE host_id = $2 AND product = $3 AND operation = $4 AND code = $5 \
        AND subject = $6 AND incident_id IS NULL AND kind = 'failure' AND at_ms >= $7";
}

const COUNT: ManyRows = ManyRows {
    head: "INSERT INTO passing_failure (host_id, product, operation, code, subject, symbol, message, failures, first_ms, last_ms) VALUES",
    columns: 10,
    tail: concat!(
        " ON CONFLICT (host_id, product, operation, code, subject) DO UPDATE SET \
        symbol = excluded.symbol, \
        message = CASE WHEN excluded.last_ms >= passing_failure.last_ms THEN excluded.message ELSE passing_failure.message END, \
        failures = CASE WHEN excluded.first_ms - passing_failure.last_ms > ",
        apart_ms!(),
        " THEN excluded.failures \
            ELSE passing_failure.failures + excluded.failures END, \
        first_ms = CASE WHEN excluded.first_ms - passing_failure.last_ms > ",
        apart_ms!(),
        " THEN excluded.first_ms \
            WHEN excluded.first_ms < passing_failure.first_ms THEN excluded.first_ms ELSE passing_failure.first_ms END, \
        last_ms = CASE WHEN excluded.last_ms > passing_failure.last_ms THEN excluded.last_ms ELSE passing_failure.last_ms END \
        RETURNING host_id, product, operation, code, subject, failures, first_ms, last_ms"
    ),
};

/// The many-rows statements of this file.
#[cfg(test)]
pub(crate) const MANY: &[ManyRows] = &[COUNT];

/// Failures of one kind on one host that are no incident yet.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PassingFailure {
    /// What failed.
    pub key: IncidentKey,
    /// The code's symbol.
    pub symbol: Option<String>,
    /// The last one's words.
    pub message: String,
    /// How many, without a success between them.
    pub failures: u64,
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
}

/// What was counted of a group before it became an incident.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    pub(super) failures: u64,
    pub(super) first: Timestamp,
}

impl Db {
    /// What failed on a host and is no incident yet, the latest first; at most 100.
    pub async fn passing_failures(&self, host: HostId) -> Result<Vec<PassingFailure>> {
        type Row = (String, String, String, String, String, String, i64, i64, i64);
        let rows: Vec<Row> =
            on_read!(self, |c| sqlx::query_as(OF_HOST).bind(host.0).fetch_all(c).await)?;
        let at = At { table: "passing_failure", id: &host };
        let one = |(product, operation, code, subject, symbol, message, n, first, last): Row| {
            Ok(PassingFailure {
                key: key(at, &product, &operation, &code, subject)?,
                symbol: some(symbol),
                message,
                failures: count(n),
                first: time(first),
                last: time(last),
            })
        };
        rows.into_iter().map(one).collect()
    }
}

/// Counts the groups, and gives those that are an incident by now with all that was counted of them.
pub(super) async fn take(
    tx: &mut Tx,
    rules: &IncidentRules,
    groups: &[(usize, &Group<'_>)],
) -> Result<BTreeMap<usize, Counted>> {
    type Row = (Uuid, String, String, String, String, i64, i64, i64);
    let mut due = BTreeMap::new();
    for piece in chunks(groups) {
        let sql = COUNT.sql(tx, piece.len());
        let rows: Vec<Row> = on_tx!(&mut *tx, |c| {
            let mut query = sqlx::query_as::<_, Row>(sql);
            for (_, group) in piece {
                let (first, last) = group.span();
                query = query
                    .bind(group.host.0)
                    .bind(group.key.product.as_str())
                    .bind(group.key.operation.as_str())
                    .bind(code_text(group.key.code.as_ref()))
                    .bind(group.key.subject.as_deref().unwrap_or_default())
                    .bind(group.symbol())
                    .bind(&group.latest.failure.message)
                    .bind(big(group.members.len() as u64))
                    .bind(first.as_millis())
                    .bind(last.as_millis());
            }
            query.fetch_all(c).await
        })?;
        for (host, product, operation, code, subject, failures, first, last) in rows {
            let key = key(
                At { table: "passing_failure", id: &host },
                &product,
                &operation,
                &code,
                subject,
            )?;
            let (failures, first) = (count(failures), time(first));
            let same = piece.iter().find(|(_, g)| g.host.0 == host && g.key == key);
            if let Some((n, _)) = same
                && rules.is_enough(failures, first, time(last))
            {
                due.insert(*n, Counted { failures, first });
            }
        }
    }
    Ok(due)
}

/// Gives an incident that opened now the reports that were counted before it.
pub(super) async fn hand_over(
    tx: &mut Tx,
    incident: IncidentId,
    group: &Group<'_>,
    counted: Counted,
) -> Result<()> {
    let code = code_text(group.key.code.as_ref());
    let subject = group.key.subject.as_deref().unwrap_or_default();
    let (product, operation) = (group.key.product.as_str(), group.key.operation.as_str());
    run!(
        &mut *tx,
        sqlx::query(TAKEN)
            .bind(group.host.0)
            .bind(product)
            .bind(operation)
            .bind(&code)
            .bind(subject)
    )?;
    run!(
        &mut *tx,
        sqlx::query(LINK)
            .bind(incident.0)
            .bind(group.host.0)
            .bind(product)
            .bind(operation)
            .bind(&code)
            .bind(subject)
            .bind(counted.first.as_millis())
    )?;
    Ok(())
}

/// A success ends the count.
pub(super) async fn passed(
    tx: &mut Tx,
    host: HostId,
    recovery: &Recovery,
    at: Timestamp,
) -> Result<u64> {
    let code = recovery.key.code.as_ref().map(FailureCode::to_string).unwrap_or_default();
    let gone = run!(
        &mut *tx,
        sqlx::query(PASSED)
            .bind(host.0)
            .bind(recovery.key.product.as_str())
            .bind(recovery.key.operation.as_str())
            .bind(code)
            .bind(recovery.key.subject.as_deref().unwrap_or_default())
            .bind(at.as_millis())
    )?;
    Ok(gone)
}
