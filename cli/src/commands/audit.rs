//! `fleetmend audit`.

use anyhow::Result;

use super::Context;
use crate::args::{AuditCommand, Page};
use crate::output::Column;

const COLUMNS: &[Column] =
    &[("AT", "/at"), ("WHO", "/actor"), ("DID", "/kind"), ("TO", "/object"), ("DETAIL", "/detail")];

const CHECKED: &[Column] =
    &[("result", "/result"), ("rows that hold", "/rows"), ("last hash", "/head"), ("why", "/why")];

/// Runs the command; false where the log is broken.
pub(crate) fn run(ctx: &Context, list: &Page, command: Option<AuditCommand>) -> Result<bool> {
    match command {
        None => {
            ctx.list("/audit", list.limit, COLUMNS, "The audit log is empty.")?;
            Ok(true)
        }
        Some(AuditCommand::Verify) => {
            let check = ctx.client.get("/audit/verify")?;
            ctx.item(&check, CHECKED)?;
            Ok(check["result"] == "whole")
        }
    }
}
