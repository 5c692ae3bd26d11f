//! What the commands do.

use std::io::Write as _;
use std::sync::Arc;

use fleetmend_core::host::Labels;
use fleetmend_core::time::{Clock, SystemClock};

use super::{
    Cli, ClockCommand, Command, ConfigCommand, NewToken, TokenCommand, migrate_store, people,
    recount, serve,
};
use crate::config::Config;
use crate::enroll::token::{self, TokenWish};
use crate::state::Shared;
use crate::{app, telemetry};

/// Who acts, as it stands in the audit log.
pub(super) const ACTOR: &str = "command line";

pub(super) fn run(cli: Cli) -> anyhow::Result<()> {
    let config = Config::load(&cli.settings)?;
    telemetry::install(&config);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    if let Command::Config(ConfigCommand::Check { connect }) = cli.command {
        for hint in config.hints() {
            note(&hint);
        }
        if !connect {
            return print(&config.to_printable());
        }
    }
    if let Command::Health = cli.command {
        return print(&super::health::ask(config.metrics_listen)?);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve => serve::run(config, clock).await,
            Command::Migrate => {
                app::open(config, clock).await?.db.close().await;
                print("the database is at this version\n")
            }
            Command::Halt(wish) => super::halt::run(&config, &*clock, &wish).await,
            Command::MigrateStore(wish) => migrate_store::run(&config, &wish).await,
            Command::Recount => {
                let shared = app::open(config, clock).await?;
                let done = recount::run(&shared.db, &*shared.clock).await;
                shared.db.close().await;
                done
            }
            Command::Clock(ClockCommand::Believe) => {
                let shared = app::open(config, clock).await?;
                let now = shared.clock.now();
                let done = shared.db.believe_clock(ACTOR, now).await;
                shared.db.close().await;
                done?;
                print(&format!("the clock is believed: {now}\n"))
            }
            Command::Health => Ok(()),
            Command::Config(ConfigCommand::Check { .. }) => {
                app::try_database(&config).await?;
                note("the database answers and takes writes");
                print(&config.to_printable())
            }
            Command::Admin(command) => {
                // Before the database: who is asked for a password takes a while.
                let wish = people::ask(command)?;
                let shared = app::open(config, clock).await?;
                let done = people::run(&shared, wish).await;
                shared.db.close().await;
                done
            }
            Command::EnrollmentToken(TokenCommand::Create(new)) => {
                let shared = app::open(config, clock).await?;
                let made = create_token(&shared, new).await;
                shared.db.close().await;
                made
            }
        }
    })
}

async fn create_token(shared: &Shared, new: NewToken) -> anyhow::Result<()> {
    let wish = TokenWish {
        name: new.name,
        uses: new.uses,
        life: new.expires,
        labels: Labels::from_iter(new.label),
        networks: new.cidr,
    };
    let (token, text) = token::enrollment(wish, shared.authority.root_sha256(), &*shared.clock)?;
    shared.db.create_enrollment_token(&token, ACTOR, shared.clock.now()).await?;
    note(&format!("This enrolment token is shown once; it is good until {}:", token.expires));
    print(&format!("{text}\n"))
}

/// To standard output: only what a script wants.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// To standard error: what a person wants to know.
pub(super) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
