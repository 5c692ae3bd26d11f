//! The halt of the whole fleet: while it stands nothing new starts. Two ways lead to it, and either is
//! enough: a setting in the database (REST), and a file in the data directory (the command line),
//! which needs no database. Both survive a restart. A task looks at each, and everybody else is told.

mod file;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_core::campaign::FreezeSpan;
use fleetmend_core::hold;
use fleetmend_core::host::Labels;
use fleetmend_core::limits;
use fleetmend_core::time::{Clock, Timestamp};
use fleetmend_store::{Db, HaltMark};
use tokio::sync::{Notify, OnceCell, watch};

use crate::events::Event;
use crate::lifecycle::Lifecycle;
use crate::metrics;
use crate::state::Shared;

pub use file::{FILE, lift, read, write};

/// How often the file is looked at.
const FILE_PERIOD: Duration = Duration::from_millis(500);
/// How often the database is.
const DATABASE_PERIOD: Duration = Duration::from_secs(1);

/// Whether the fleet is halted. A cheap clone.
#[derive(Debug, Clone)]
pub struct Halt(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    data_dir: PathBuf,
    /// What the audit log calls this server among those of one database.
    server: OnceCell<String>,
    standing: watch::Sender<Standing>,
    /// The freezes that hold now or soon: agents are told of them as of the halt.
    freezes: watch::Sender<Vec<FreezeSpan>>,
    look: Notify,
}

/// What halts the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// The file of this server.
    pub file: Option<HaltMark>,
    /// The setting in the database. What was last seen, while the database is away.
    pub database: Option<HaltMark>,
}

impl Standing {
    /// The mark that is told where one is enough: the one that stands longer.
    pub fn first(&self) -> Option<&HaltMark> {
        self.file.iter().chain(&self.database).min_by_key(|mark| mark.since)
    }

    /// The word for agents.
    pub fn word(&self) -> hold::Halt {
        let Some(mark) = self.first() else { return hold::Halt::default() };
        let why = if mark.reason.is_empty() { "no reason was given" } else { mark.reason.as_str() };
        hold::Halt { on: true, reason: format!("{why} ({}, since {})", mark.by, mark.since) }
    }

    /// Why nothing starts, in words for people; `None` where the fleet is not halted.
    pub fn words(&self) -> Option<String> {
        let mark = self.first()?;
        let why = if mark.reason.is_empty() { "no reason was given" } else { mark.reason.as_str() };
        Some(format!("the fleet is halted since {} by {}: {why}", mark.since, mark.by))
    }
}

impl Halt {
    /// A halt whose file lies in `data_dir`. Knows nothing before the first [`Halt::look`].
    pub fn new(data_dir: PathBuf) -> Self {
        let standing = watch::Sender::new(Standing::default());
        let freezes = watch::Sender::new(Vec::new());
        let server = OnceCell::new();
        Self(Arc::new(Inner { data_dir, server, standing, freezes, look: Notify::new() }))
    }

    /// What halts the fleet, as last seen.
    pub fn standing(&self) -> Standing {
        self.0.standing.borrow().clone()
    }

    /// Whether the fleet is halted, as last seen.
    pub fn is_halted(&self) -> bool {
        self.0.standing.borrow().first().is_some()
    }

    /// Hears of every change.
    pub fn listen(&self) -> watch::Receiver<Standing> {
        self.0.standing.subscribe()
    }

    /// Hears of every change of the freezes.
    pub fn listen_to_freezes(&self) -> watch::Receiver<Vec<FreezeSpan>> {
        self.0.freezes.subscribe()
    }

    /// The freezes that hold at a moment, as last seen, for whatever hosts.
    pub fn freezes_at(&self, now: Timestamp) -> Vec<FreezeSpan> {
        let holds = |span: &&FreezeSpan| span.from <= now && now < span.until;
        self.0.freezes.borrow().iter().filter(holds).cloned().collect()
    }

    /// Looks at the file and the database now. An error leaves what was last seen of the database.
    pub async fn look(
        &self,
        db: &Db,
        clock: &dyn Clock,
    ) -> Result<(), fleetmend_store::StoreError> {
        self.look_at_file().await;
        self.look_at_database(db, clock).await
    }

    /// Looks until the soft stop. At the file by itself: a database that does not answer holds up no halt.
    pub fn watch(&self, shared: &Shared, life: &Lifecycle) {
        let (this, state, soft) = (self.clone(), shared.clone(), life.soft());
        life.spawn_part("watch on the halt", async move {
            let mut told = this.listen();
            loop {
                this.look_at_file().await;
                if told.has_changed().unwrap_or(false) {
                    let standing = told.borrow_and_update().clone();
                    tell(&state, &standing);
                    // A file that came is in the audit log before it can go again.
                    this.nudge();
                }
                tokio::select! {
                    () = tokio::time::sleep(FILE_PERIOD) => {}
                    // Told with the next turn.
                    Ok(()) = told.changed() => told.mark_changed(),
                    () = soft.cancelled() => return,
                }
            }
        });
        let (this, shared, soft) = (self.clone(), shared.clone(), life.soft());
        life.spawn_part("watch on the halt in the database", async move {
            loop {
                if let Err(error) = this.look_at_database(&shared.db, &*shared.clock).await {
                    shared.database.failed("the halt could not be looked up", &error);
                }
                tokio::select! {
                    () = tokio::time::sleep(DATABASE_PERIOD) => {}
                    () = this.0.look.notified() => {}
                    () = soft.cancelled() => return,
                }
            }
        });
    }

    /// Has the watch look at once.
    pub fn nudge(&self) {
        self.0.look.notify_one();
    }

    async fn look_at_database(
        &self,
        db: &Db,
        clock: &dyn Clock,
    ) -> Result<(), fleetmend_store::StoreError> {
        let database = db.halt_mark().await?;
        self.change(|standing| standing.database = database);
        let file = self.standing().file;
        db.note_halt_file(self.server().await, file.as_ref(), clock.now()).await?;
        let freezes = db.freeze_spans(clock.now()).await?;
        self.0.freezes.send_if_modified(|known| {
            let new = *known != freezes;
            *known = freezes;
            new
        });
        Ok(())
    }

    async fn server(&self) -> &str {
        let name = || async {
            let dir = self.0.data_dir.clone();
            let named = tokio::task::spawn_blocking(move || file::server_name(&dir)).await;
            named.unwrap_or_else(|_| self.0.data_dir.display().to_string())
        };
        self.0.server.get_or_init(name).await
    }

    async fn look_at_file(&self) {
        let dir = self.0.data_dir.clone();
        // A disk that hangs must not hold up the runtime. What cannot be asked stays as it was.
        if let Ok(file) = tokio::task::spawn_blocking(move || file::read(&dir)).await {
            self.change(|standing| standing.file = file);
        }
    }

    fn change(&self, change: impl FnOnce(&mut Standing)) {
        self.0.standing.send_if_modified(|standing| {
            let was = standing.clone();
            change(standing);
            *standing != was
        });
    }
}

/// The freezes that are for a host with these labels, the next first, as its agent keeps them.
pub fn freezes_for(spans: &[FreezeSpan], labels: &Labels) -> Vec<hold::Freeze> {
    let is_for =
        |span: &&FreezeSpan| span.labels.iter().all(|(key, value)| labels.get(key) == Some(value));
    let mut mine: Vec<hold::Freeze> = spans
        .iter()
        .filter(is_for)
        .map(|span| hold::Freeze {
            span: hold::Interval { from: span.from, until: span.until },
            name: span.name.clone(),
        })
        .collect();
    mine.sort_by_key(|freeze| freeze.span);
    mine.truncate(limits::FREEZES);
    mine
}

fn tell(shared: &Shared, standing: &Standing) {
    metrics::halted(standing.file.is_some(), standing.database.is_some());
    if let Some(words) = standing.words() {
        tracing::warn!(words, "nothing new starts");
    } else {
        tracing::warn!("the halt is lifted");
    }
    shared.events.tell(Event::Halt);
    shared.nudges.campaigns.notify_one();
}
