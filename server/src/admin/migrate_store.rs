//! `migrate-store`: moves everything from SQLite to an empty Postgres.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use fleetmend_store::{Db, Moved, Step};

use super::commands::{note, print};
use crate::config::Config;

/// Where from, where to.
#[derive(Debug, Args)]
pub(super) struct MigrateStore {
    /// The database to move: sqlite:///path/to/file.db [default: the settings' own]
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// The empty database to move it to: postgres://user@host/database
    #[arg(long, value_name = "URL", env = "FLEETMEND_MIGRATE_TO", hide_env_values = true)]
    to: String,
    /// Read all of the source and look at the target; change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Moves it, tells progress on standard error, and prints what was moved.
pub(super) async fn run(config: &Config, wish: &MigrateStore) -> anyhow::Result<()> {
    let from = wish.from.clone().unwrap_or_else(|| config.database_url());
    let path = from
        .strip_prefix("sqlite://")
        .filter(|path| !path.is_empty() && !path.contains('?'))
        .context("--from: write sqlite:///path/to/file.db")?;
    if !wish.to.starts_with("postgres://") && !wish.to.starts_with("postgresql://") {
        anyhow::bail!("--to: write postgres://user@host/database");
    }
    let target = Db::connect(&wish.to).await?;
    let mut say = |step: Step<'_>| match step {
        Step::Copied { table, rows } => note(&format!("{table}: {rows} rows read")),
        Step::Compared { table, rows } => note(&format!("{table}: {rows} rows compared")),
    };
    let moved = target.move_from_sqlite(Path::new(path), wish.dry_run, &mut say).await;
    target.close().await;
    let moved = moved?;
    print(&table(&moved, wish.dry_run))?;
    if wish.dry_run {
        note("A dry run: nothing was written. The source can be read and the target can take it.");
    } else {
        note(
            "Every table was compared and the audit log's chain holds. Now set database_url to the \
             target in the server's settings and start the server; data_dir stays as it is. The old \
             file was not changed: keep it until you have a backup of the new database.",
        );
    }
    Ok(())
}

fn table(moved: &[Moved], dry_run: bool) -> String {
    let mut text = String::new();
    let width = moved.iter().map(|m| m.table.len()).max().unwrap_or_default();
    for Moved { table, rows, checksum } in moved {
        // A dry run sums up what the source holds, not what the target would.
        let checksum = if dry_run { "" } else { checksum };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", format!("{table:width$}  {rows:>10}  {checksum}").trim_end());
    }
    text
}
