//! How the database is: looked at again and again by one task, told to whoever asks, said in the log
//! once when it goes and once when it is back. Health, metrics and waiting sessions go by it; it
//! refuses nobody by itself, since a database that takes no writes still answers reads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmend_store::{Db, StoreError};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::events::{Event, Events};
use crate::lifecycle::Lifecycle;
use crate::metrics::{self, DatabaseError};

/// How often a database that answers is looked at.
const PERIOD: Duration = Duration::from_secs(2);
/// How often one that is away is.
const PERIOD_AWAY: Duration = Duration::from_secs(1);
/// The least time between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// Time for its answer. Two looks that end so make it away: one may only have met a long write.
const ANSWER: Duration = Duration::from_secs(3);
/// How long a write that failed counts where no other was tried. Sessions that hold something try
/// more often.
const STUCK: Duration = Duration::from_secs(10);
/// A look older than this says nothing.
const STALE: Duration = Duration::from_secs(15);

/// How the database is. A cheap clone.
#[derive(Debug, Clone)]
pub struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: watch::Sender<State>,
    look: Notify,
    /// When a write last failed because the database is away, and why, where none succeeded since: a
    /// full disk may still take the little that a look writes.
    stuck: Mutex<Option<(Instant, &'static str)>>,
}

#[derive(Debug, Clone)]
struct State {
    /// Why it is away, in words for anybody; `None` where it answers.
    away: Option<&'static str>,
    /// When it was last looked at.
    at: Instant,
    /// When it went.
    since: Instant,
}

impl Default for Database {
    /// A database that has just been opened.
    fn default() -> Self {
        let now = Instant::now();
        let state = watch::Sender::new(State { away: None, at: now, since: now });
        Self(Arc::new(Inner { state, look: Notify::new(), stuck: Mutex::default() }))
    }
}

impl Database {
    /// Why the database is away, in words that tell nobody where it is; `None` where it answers.
    pub fn away(&self) -> Option<&'static str> {
        let state = self.0.state.borrow();
        let stale = state.at.elapsed() > STALE;
        state.away.or(stale.then_some("the database was not looked at for too long"))
    }

    /// Waits until the database answers.
    pub async fn up(&self) {
        // The sender lives as long as this.
        let _ = self.0.state.subscribe().wait_for(|state| state.away.is_none()).await;
    }

    /// A call failed: counted, and said in the log unless it is only that the database is away, which
    /// is said once by whoever watches it. `what` could not be done.
    pub fn failed(&self, what: &'static str, error: &StoreError) {
        if failed(what, error) {
            self.0.look.notify_one();
        }
    }

    /// The same of a write that people and agents rely on.
    pub fn write_failed(&self, what: &'static str, error: &StoreError) {
        if error.is_unavailable() {
            *self.stuck() = Some((Instant::now(), words(error)));
        }
        self.failed(what, error);
    }

    /// A write succeeded.
    pub fn wrote(&self) {
        if self.stuck().take().is_some() {
            self.0.look.notify_one();
        }
    }

    /// Looks at the database until the soft stop. Who listens is told when it goes and comes.
    pub fn watch(&self, db: Db, events: Events, life: &Lifecycle) {
        let (this, soft) = (self.clone(), life.soft());
        life.spawn_part("watch on the database", async move {
            let mut late = 0;
            loop {
                let was = this.0.state.borrow().away.is_some();
                this.look(&db, &mut late).await;
                let away = this.0.state.borrow().away.is_some();
                if was != away {
                    events.tell(Event::Database);
                }
                // Errors of a moment make one look, not one each.
                tokio::time::sleep(PAUSE).await;
                tokio::select! {
                    () = tokio::time::sleep(if away { PERIOD_AWAY } else { PERIOD }) => {}
                    () = this.0.look.notified(), if late == 0 => {}
                    () = soft.cancelled() => return,
                }
            }
        });
    }

    /// Looks once. `late` counts the looks in a row that had no answer in time.
    async fn look(&self, db: &Db, late: &mut u32) {
        let pool = db.pool();
        metrics::database_pool(pool.open, pool.idle, pool.most);
        match tokio::time::timeout(ANSWER, db.ping()).await {
            Ok(Ok(())) => {
                *late = 0;
                let stuck = self.stuck().filter(|(at, _)| at.elapsed() < STUCK).map(|(_, why)| why);
                self.set(stuck, || "writes fail".to_owned());
            }
            Ok(Err(error)) => {
                note(&error);
                self.set(Some(words(&error)), || chain(&error));
            }
            Err(_) => {
                *late += 1;
                metrics::database_error(DatabaseError::Unavailable);
                if *late > 1 {
                    self.set(Some("the database does not answer in time"), String::new);
                }
            }
        }
    }

    fn stuck(&self) -> MutexGuard<'_, Option<(Instant, &'static str)>> {
        self.0.stuck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, away: Option<&'static str>, why: impl FnOnce() -> String) {
        let now = Instant::now();
        let mut changed = None;
        self.0.state.send_modify(|state| {
            state.at = now;
            if state.away.is_some() != away.is_some() {
                changed = Some(now - state.since);
                state.since = now;
            }
            state.away = away;
        });
        metrics::database_up(away.is_none());
        let Some(after) = changed else { return };
        if let Some(reason) = away {
            tracing::error!(
                reason,
                error = why(),
                "the database is away: nothing is acknowledged until it is back, agents keep what they have"
            );
        } else {
            tracing::warn!(seconds = after.as_secs(), "the database is back");
        }
    }
}

/// [`Database::failed`] where nobody can be told: says whether the database is away.
pub fn failed(what: &'static str, error: &StoreError) -> bool {
    let away = note(error);
    if away {
        tracing::debug!(error = chain(error), what, "the database is away");
    } else {
        tracing::error!(error = chain(error), "{what}");
    }
    away
}

/// Counts an error of the store; says whether it means that the database is away.
pub fn note(error: &StoreError) -> bool {
    let kind = match error {
        _ if error.is_unavailable() => DatabaseError::Unavailable,
        // Answers to a question, not failures.
        StoreError::NotFound { .. }
        | StoreError::Conflict(_)
        | StoreError::JobActive { .. }
        | StoreError::BadCursor(_) => return false,
        StoreError::Inconsistent { .. } => DatabaseError::Inconsistent,
        _ => DatabaseError::Other,
    };
    metrics::database_error(kind);
    kind == DatabaseError::Unavailable
}

/// What to tell anybody of why the database is away.
fn words(error: &StoreError) -> &'static str {
    let text = chain(error);
    let has = |part: &str| text.contains(part);
    if has("read-only") || has("readonly") {
        "the database takes no writes: it is read-only"
    } else if has("full") || has("No space") || has("no space") {
        "the database takes no writes: its disk is full"
    } else {
        "the database does not answer"
    }
}

/// What to do about a database that cannot be opened.
pub fn remedy(error: &StoreError) -> &'static str {
    let text = chain(error);
    let has = |part: &str| text.contains(part);
    if has("password authentication") || has("no password") {
        "database_url: PostgreSQL refuses the role or its password: correct them in the settings file or FLEETMEND_DATABASE_URL"
    } else if has("pg_hba") {
        "database_url: PostgreSQL's pg_hba.conf lets this role or machine in nowhere, or not without TLS"
    } else if has("does not exist") {
        "database_url: make the role and its database first: createuser --pwprompt ROLE; createdb --owner ROLE NAME"
    } else if has("permission denied") {
        "database_url: the role must own the database, or be granted CREATE on its schema"
    } else if has("certificate") || has("TLS") {
        "database_url: the database's certificate is not proved: sslrootcert must name the authority that signed it, and host be the name in it"
    } else if has("too many") || has("remaining connection slots") {
        "database.max_connections: PostgreSQL has no connection left: lower it, or raise PostgreSQL's own"
    } else if error.is_unavailable() {
        "database_url: the database does not answer: is it running, and can it be reached from here?"
    } else {
        "database_url: the database cannot be used"
    }
}

/// An error with all that lies beneath it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let more = source.to_string();
        // Some errors repeat what lies beneath them.
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = source.source();
    }
    text
}
