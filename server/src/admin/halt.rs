//! `halt`: stops the fleet from this machine, by a file in the data directory that the running server
//! looks at twice a second. Needs neither the database nor the server.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use fleetmend_core::job::JobState;
use fleetmend_core::time::Clock;
use fleetmend_store::{Db, HaltMark, Job, JobFilter, PageRequest};

use super::commands::{ACTOR, note, print};
use crate::config::Config;
use crate::halt;

/// Time for the database to say what runs: who halts does not wait for it.
const ANSWER: Duration = Duration::from_secs(5);
/// Jobs that are listed.
const LISTED: u32 = 50;

#[derive(Debug, Args)]
pub(super) struct HaltWish {
    /// Why; people and agents are shown it.
    #[arg(long, default_value = "", conflicts_with_all = ["off", "status"])]
    reason: String,
    /// Lift the halt again.
    #[arg(long, conflicts_with = "status")]
    off: bool,
    /// Say whether the fleet is halted, and change nothing.
    #[arg(long)]
    status: bool,
}

pub(super) async fn run(config: &Config, clock: &dyn Clock, wish: &HaltWish) -> anyhow::Result<()> {
    let dir = &config.data_dir;
    let path = dir.join(halt::FILE);
    if wish.off {
        let lifted =
            halt::lift(dir).with_context(|| format!("cannot remove {}", path.display()))?;
        print(if lifted {
            "the halt of this server's file is lifted\n"
        } else {
            "no file halts\n"
        })?;
    } else if !wish.status {
        anyhow::ensure!(
            dir.is_dir(),
            "data_dir: {} is not there: give the settings that the server runs with",
            dir.display()
        );
        let reason: String =
            wish.reason.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mark = HaltMark { by: ACTOR.to_owned(), since: clock.now(), reason };
        let mark =
            halt::write(dir, &mark).with_context(|| format!("cannot write {}", path.display()))?;
        print(&format!("{}\n", words("halted by this server's file", &mark)))?;
        note("Nothing new starts from now on; what began finishes or is undone.");
    } else if let Some(mark) = halt::read(dir) {
        print(&format!("{}\n", words("halted by this server's file", &mark)))?;
    } else {
        print("no file of this server halts\n")?;
    }
    let asked = tokio::time::timeout(ANSWER, ask(config)).await;
    match asked.unwrap_or_else(|_| Err(anyhow::anyhow!("it does not answer in time"))) {
        Ok(text) => print(&text),
        // The halt stands all the same.
        Err(error) => {
            note(&format!("what still runs cannot be listed, the database is away: {error:#}"));
            Ok(())
        }
    }
}

/// What the database says: its own halt, and what still runs where.
async fn ask(config: &Config) -> anyhow::Result<String> {
    let url = config.database_url();
    if let Some(path) = url.strip_prefix("sqlite://")
        && !std::path::Path::new(path).exists()
    {
        anyhow::bail!("{path} is not there");
    }
    let db = Db::connect_with(&url, &config.database.pool()).await?;
    let told = tell(&db).await;
    db.close().await;
    Ok(told?)
}

async fn tell(db: &Db) -> Result<String, fleetmend_store::StoreError> {
    let mut text = String::new();
    // Writing to a string cannot fail.
    if let Some(mark) = db.halt_mark().await? {
        let _ = writeln!(text, "{}", words("halted by the database", &mark));
        let _ = writeln!(text, "(fleetmend halt --off, or DELETE /api/v1/halt, lifts that one)");
    }
    let running = JobFilter {
        active: true,
        state: JobState::ALL.iter().copied().filter(|s| s.has_begun() && !s.is_final()).collect(),
        ..JobFilter::default()
    };
    let page = db.jobs(&running, &PageRequest::first(LISTED)).await?;
    let _ = match page.total {
        0 => writeln!(text, "nothing runs on any host"),
        1 => writeln!(text, "1 job has begun and runs to its end:"),
        n => writeln!(text, "{n} jobs have begun and run to their end:"),
    };
    for Job { host_name, state, remediation, id, .. } in &page.items {
        let name: String =
            host_name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let _ = writeln!(text, "  {name}  {state}  {remediation}  job {id}");
    }
    if page.next.is_some() {
        let _ = writeln!(text, "  … fleetmend jobs lists them all");
    }
    Ok(text)
}

fn words(what: &str, mark: &HaltMark) -> String {
    let why = if mark.reason.is_empty() { "no reason was given" } else { mark.reason.as_str() };
    format!("{what} since {} by {}: {why}", mark.since, mark.by)
}

#[cfg(test)]
mod tests {
    use fleetmend_core::time::ManualClock;

    use super::*;

    fn wish(reason: &str, off: bool, status: bool) -> HaltWish {
        HaltWish { reason: reason.to_owned(), off, status }
    }

    #[tokio::test]
    async fn it_halts_and_lifts_without_a_database_and_says_what_runs_with_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
        let clock = ManualClock::default();
        run(&config, &clock, &wish(" fire in\nOslo ", false, false)).await.expect("halts");
        let mark = halt::read(dir.path()).expect("halted");
        assert_eq!((mark.by.as_str(), mark.reason.as_str()), (ACTOR, "fire in Oslo"));
        run(&config, &clock, &wish("", false, true)).await.expect("says");
        assert!(halt::read(dir.path()).is_some(), "asking changes nothing");
        run(&config, &clock, &wish("", true, false)).await.expect("lifts");
        assert_eq!(halt::read(dir.path()), None);
        assert!(ask(&config).await.is_err(), "asking makes no database");
        assert!(!dir.path().join("fleetmend.db").exists());

        let nowhere = Config { data_dir: dir.path().join("mistyped"), ..Config::default() };
        let refused = run(&nowhere, &clock, &wish("", false, false)).await.expect_err("refused");
        assert!(refused.to_string().contains("data_dir"), "{refused}");

        let db = Db::connect(&config.database_url()).await.expect("opens");
        db.migrate().await.expect("migrates");
        db.halt("a bad update", "user anna", clock.now()).await.expect("halts");
        let text = ask(&config).await.expect("answers");
        assert!(text.contains("halted by the database") && text.contains("user anna"), "{text}");
        assert!(text.ends_with("nothing runs on any host\n"), "{text}");
    }
}
