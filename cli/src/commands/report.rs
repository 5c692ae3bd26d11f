//! `fleetmend report`.

use anyhow::Result;

use super::{Context, query};
use crate::args::ReportCommand;
use crate::output::Column;

const EFFICACY: &[Column] = &[
    ("REMEDIATION", "/remediation"),
    ("VERSION", "/version"),
    ("AGAINST", "/cause"),
    ("TRIES", "/tries"),
    ("CURED", "/cured"),
    ("OF", "/told"),
    ("FROM", "/low"),
    ("TO", "/high"),
    ("CLEARED", "/cleared"),
    ("CAME BACK", "/came_back"),
    ("PROPOSED", "/proposal"),
];

/// Runs the command.
pub(crate) fn run(ctx: &Context, command: ReportCommand) -> Result<()> {
    match command {
        ReportCommand::Efficacy { simulated, weak, page } => {
            let pairs =
                [("simulated", simulated.then_some("true")), ("weak", weak.then_some("true"))];
            let path = format!("/efficacy{}", query(&pairs));
            ctx.list(&path, page.limit, EFFICACY, "Nothing was counted yet.")
        }
    }
}
