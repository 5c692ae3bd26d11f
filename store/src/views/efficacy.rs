//! How often remediations helped: counted from the tries of jobs, so that it is right after any
//! crash and any late word of an agent.

use fleetmend_core::efficacy::{Against, Count, Efficacy};
use fleetmend_core::words::Slug;

use crate::backend::{Db, on_read};
use crate::error::Result;
use crate::row::{At, count};
use crate::sql::statements;

/// Of simulated hosts or of others ($1); what began counts, and what ended without our doing does not.
macro_rules! counted {
    ($and:literal) => {
        concat!(
            "SELECT cause, remediation, version, os_build, COUNT(*) AS tries, \
             COUNT(*) FILTER (WHERE state = 'fixed' AND proof IN ('repeated', 'observed')) AS cured, \
             COUNT(*) FILTER (WHERE state IN ('failed', 'rolled_back')) AS not_cured, \
             COUNT(*) FILTER (WHERE cleared = 'yes') AS gone, \
             COUNT(*) FILTER (WHERE cleared = 'no') AS not_gone, \
             COUNT(*) FILTER (WHERE relapsed AND state = 'fixed' AND proof IN ('repeated', 'observed')) AS relapses \
             FROM job_attempt WHERE task = 'remediate' AND ended_ms IS NOT NULL AND simulated = $1 \
             AND state IN ('fixed', 'unverified', 'failed', 'rolled_back', 'timed_out', 'unknown')",
            $and,
            " GROUP BY cause, remediation, version, os_build ORDER BY cause, remediation, version, os_build LIMIT 100000"
        )
    };
}

statements! {
    ALL = counted!("");
    OF_CAUSE = counted!(" AND cause = $2");
}

type Row = (String, String, i64, String, i64, i64, i64, i64, i64, i64);

impl Db {
    /// What was counted of all remediations, over simulated hosts or over the others.
    pub async fn efficacy(&self, simulated: bool) -> Result<Efficacy> {
        let rows: Vec<Row> =
            on_read!(self, |c| sqlx::query_as(ALL).bind(simulated).fetch_all(c).await)?;
        let mut efficacy = Efficacy::default();
        add(&mut efficacy, rows)?;
        Ok(efficacy)
    }

    /// The same of the remediations against some causes: what a plan needs.
    pub async fn efficacy_of(&self, causes: &[Slug], simulated: bool) -> Result<Efficacy> {
        let mut efficacy = Efficacy::default();
        for cause in causes {
            let rows: Vec<Row> = on_read!(self, |c| sqlx::query_as(OF_CAUSE)
                .bind(simulated)
                .bind(cause.as_str())
                .fetch_all(c)
                .await)?;
            add(&mut efficacy, rows)?;
        }
        Ok(efficacy)
    }
}

fn add(efficacy: &mut Efficacy, rows: Vec<Row>) -> Result<()> {
    for (cause, remediation, version, build, tries, cured, not_cured, gone, not_gone, back) in rows
    {
        let at = At { table: "job_attempt", id: &cause };
        let against = Against {
            cause: at.word("cause", &cause)?,
            remediation: at.word("remediation", &remediation)?,
            version: at.number("version", version)?,
        };
        let counted = Count {
            tries: count(tries),
            cured: count(cured),
            not_cured: count(not_cured),
            cleared: count(gone),
            not_cleared: count(not_gone),
            relapsed: count(back),
        };
        efficacy.add(against, &build, counted);
    }
    Ok(())
}
