//! `fleetmend status`.

use anyhow::Result;

use super::{Context, problems};
use crate::args::Output;
use crate::output::{self, Column};

const FIELDS: &[Column] = &[
    ("hosts", "/hosts/total"),
    ("  active", "/hosts/active"),
    ("  stale", "/hosts/stale"),
    ("  pending", "/hosts/pending"),
    ("  connected", "/hosts/connected"),
    ("  healthy", "/hosts/healthy"),
    ("  no data yet", "/hosts/no_data"),
    ("open incidents", "/incidents/open"),
    ("  opened in 24 h", "/incidents/opened_24h"),
    ("proved fixed in 7 d", "/incidents/fixed_7d"),
    ("active jobs", "/jobs/active"),
    ("catalogue", "/catalogue"),
    ("server", "/version"),
];

/// Runs the command.
pub(crate) fn run(ctx: &Context) -> Result<()> {
    let summary = ctx.client.get("/summary")?;
    ctx.item(&summary, FIELDS)?;
    if ctx.output == Output::Table {
        let (items, _) = ctx.client.list("/problems", 10)?;
        output::line("")?;
        output::table(&items, problems::COLUMNS, "No problems: nothing fails in the fleet.")?;
    }
    Ok(())
}
