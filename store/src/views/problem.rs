//! One problem more closely: what its hosts answered, and on which builds it began when. And the
//! fleet from day to day.

use std::collections::BTreeMap;

use fleetmend_core::evidence::Answer;
use fleetmend_core::limits;
use fleetmend_core::report::{Operation, Product};
use fleetmend_core::time::Timestamp;

use super::{Changes, Outbreak, ProbeCount, ProblemKey, StepsOfDay};
use crate::backend::{Db, on_read};
use crate::error::Result;
use crate::row::{At, count};
use crate::sql::statements;

/// The open incidents of one problem: cause $1, code $2 (where no cause leads), product $3,
/// operation $4.
macro_rules! of_problem {
    () => {
        "i.ended_ms IS NULL AND i.state <> 'ignored' AND i.cause = $1 AND (i.cause <> '' OR i.code = $2) \
         AND i.product = $3 AND i.operation = $4"
    };
}

statements! {
    /// An answer about another subject than the incident's is not the problem's.
    EVIDENCE = concat!("SELECT e.probe, e.answer, COUNT(DISTINCT e.host_id) FROM evidence e \
        JOIN incident i ON i.host_id = e.host_id AND (e.subject = '' OR e.subject = i.subject) \
        WHERE ", of_problem!(), " GROUP BY e.probe, e.answer ORDER BY e.probe, e.answer");
    /// The latest days first, so that a cut takes the oldest.
    OUTBREAK = concat!("SELECT h.os_build, i.first_seen_ms / 86400000 AS day, COUNT(DISTINCT i.host_id) \
        FROM incident i JOIN host h ON h.id = i.host_id WHERE ", of_problem!(), " \
        GROUP BY h.os_build, i.first_seen_ms / 86400000 ORDER BY day DESC, h.os_build LIMIT $5");
    OPENED = "SELECT opened_ms / 86400000 AS day, COUNT(*) FROM incident WHERE opened_ms >= $1 GROUP BY opened_ms / 86400000";
    FIXED = "SELECT ended_ms / 86400000 AS day, COUNT(*) FROM incident WHERE state = 'fixed' AND ended_ms >= $1 \
        GROUP BY ended_ms / 86400000";
    /// One row: opened, returned, fixed, hosts joined, hosts fallen silent, jobs ordered; each since $1.
    CHANGES = "SELECT \
        (SELECT COUNT(*) FROM incident WHERE opened_ms >= $1), \
        (SELECT COUNT(*) FROM incident WHERE opened_ms >= $1 AND previous_id IS NOT NULL), \
        (SELECT COUNT(*) FROM incident WHERE state = 'fixed' AND ended_ms >= $1), \
        (SELECT COUNT(*) FROM host WHERE enrolled_ms >= $1), \
        (SELECT COUNT(*) FROM host WHERE lifecycle = 'stale' AND lifecycle_ms >= $1), \
        (SELECT COUNT(*) FROM job WHERE created_ms >= $1)";
}

const DAY_MS: i64 = 86_400_000;

impl Db {
    /// What the hosts of a problem answered: of each probe, how many said what.
    pub async fn problem_evidence(&self, key: &ProblemKey) -> Result<Vec<ProbeCount>> {
        let (cause, code, product, operation) = key.parts();
        let rows: Vec<(String, String, i64)> = on_read!(self, |c| sqlx::query_as(EVIDENCE)
            .bind(cause)
            .bind(code)
            .bind(product)
            .bind(operation)
            .fetch_all(c)
            .await)?;
        let mut probes: BTreeMap<String, ProbeCount> = BTreeMap::new();
        for (probe, answer, hosts) in rows {
            let answer: Answer = At { table: "evidence", id: &probe }.word("answer", &answer)?;
            let counted = probes.entry(probe.clone()).or_insert_with(|| ProbeCount {
                probe,
                yes: 0,
                no: 0,
                unknown: 0,
            });
            *match answer {
                Answer::Yes => &mut counted.yes,
                Answer::No => &mut counted.no,
                Answer::Unknown => &mut counted.unknown,
            } += count(hosts);
        }
        Ok(probes.into_values().collect())
    }

    /// On which builds a problem's open incidents began on which day, the latest day first.
    pub async fn outbreak(&self, key: &ProblemKey) -> Result<Vec<Outbreak>> {
        let (cause, code, product, operation) = key.parts();
        let rows: Vec<(String, i64, i64)> = on_read!(self, |c| sqlx::query_as(OUTBREAK)
            .bind(cause)
            .bind(code)
            .bind(product)
            .bind(operation)
            .bind(i64::from(limits::PAGE_MAX))
            .fetch_all(c)
            .await)?;
        let one = |(build, day, hosts)| Outbreak { build, day, hosts: count(hosts) };
        Ok(rows.into_iter().map(one).collect())
    }

    /// Incidents opened and proved fixed on each of the last `days`, oldest first, the last is today.
    pub async fn fleet_days(&self, days: u32, now: Timestamp) -> Result<Vec<StepsOfDay>> {
        let first = now.day() - i64::from(days.clamp(1, limits::ROLL_UP_DAYS)) + 1;
        let from = first * DAY_MS;
        let opened: Vec<(i64, i64)> =
            on_read!(self, |c| sqlx::query_as(OPENED).bind(from).fetch_all(c).await)?;
        let fixed: Vec<(i64, i64)> =
            on_read!(self, |c| sqlx::query_as(FIXED).bind(from).fetch_all(c).await)?;
        let (opened, fixed): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (opened.into_iter().collect(), fixed.into_iter().collect());
        let of = |counts: &BTreeMap<i64, i64>, day| counts.get(&day).copied().map_or(0, count);
        let one = |day| StepsOfDay { day, opened: of(&opened, day), fixed: of(&fixed, day) };
        Ok((first..=now.day()).map(one).collect())
    }

    /// What happened in the fleet since a moment.
    pub async fn changes(&self, since: Timestamp) -> Result<Changes> {
        let (opened, returned, fixed, joined, silent, jobs): (i64, i64, i64, i64, i64, i64) =
            on_read!(self, |c| sqlx::query_as(CHANGES).bind(since.as_millis()).fetch_one(c).await)?;
        Ok(Changes {
            opened: count(opened),
            returned: count(returned),
            fixed: count(fixed),
            joined: count(joined),
            silent: count(silent),
            jobs: count(jobs),
        })
    }
}

impl ProblemKey {
    pub(super) fn parts(&self) -> (&str, &str, &'static str, &'static str) {
        (
            self.cause.as_deref().unwrap_or_default(),
            self.code.as_deref().unwrap_or_default(),
            Product::as_str(self.product),
            Operation::as_str(self.operation),
        )
    }
}
