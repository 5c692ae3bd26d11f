//! `fleetmend audit`.

use anyhow::Result;

use super::Context;
use crate::args::Page;
use crate::output::Column;

const COLUMNS: &[Column] =
    &[("AT", "/at"), ("WHO", "/actor"), ("DID", "/kind"), ("TO", "/object"), ("DETAIL", "/detail")];

/// Lists the audit log, newest first.
pub(crate) fn run(ctx: &Context, page: &Page) -> Result<()> {
    ctx.list("/audit", page.limit, COLUMNS, "The audit log is empty.")
}
