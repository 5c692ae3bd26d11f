//! Watching the package tools of a Linux host: apt and dpkg, by their own files.
//!
//! Two kinds of findings. *Conditions* (dpkg interrupted, a package's script fails, dependencies
//! unmet) are read from the present state: reported once when they appear, recovered when they are
//! gone. *Outcomes* of past runs are read from the logs, each once. While a package tool runs
//! nothing is concluded from state: what looks broken may be half done.

mod apt_logs;
mod conditions;
mod cursor;
pub mod dpkg;
pub mod lock;
mod outcomes;
mod tail;
mod words;
mod zone;

use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::report::{FailureReport, Recovery};
use fleetmend_core::time::Timestamp;

use crate::platform::Platform;
use cursor::Cursor;

pub use words::slug_of;
pub use zone::Zone;

pub(crate) use apt_logs::stanzas;
pub(crate) use conditions::{broken_dependencies, configure_attempt, last_failure};
pub(crate) use outcomes::apt_journal;
pub(crate) use tail::added;

/// How far back outcomes are reported at the first look: what is older was dealt with or is seen
/// again.
const FIRST_LOOK: Duration = Duration::from_hours(7 * 24);
/// Findings of one look; the rest comes at the next.
const FINDINGS: usize = 1_000;

/// What one look found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// New failures.
    pub failures: Vec<FailureReport>,
    /// Failures that are gone.
    pub recoveries: Vec<Recovery>,
    /// What could not be looked at, in words.
    pub notes: Vec<String>,
}

/// The live collectors of one host.
#[derive(Debug)]
pub struct Live {
    catalogue: &'static Catalogue,
    root: PathBuf,
    zone: Zone,
    /// Where the cursor is kept; `None` for a look that leaves no trace.
    state: Option<PathBuf>,
    cursor: Cursor,
    /// Whether the cursor holds more than its file.
    unsaved: bool,
    /// What was found out at the start, told with the first look.
    notes: Vec<String>,
}

impl Live {
    /// Collectors of the host whose `/` is `root`; what was already reported is remembered in
    /// `state_dir`.
    pub fn open(root: &Path, state_dir: &Path, catalogue: &'static Catalogue) -> Self {
        let (cursor, note) = Cursor::load(state_dir);
        let mut live = Self::once(root, catalogue);
        live.state = Some(state_dir.to_owned());
        live.cursor = cursor;
        live.notes.extend(note);
        live
    }

    /// A single look that remembers nothing and writes nothing.
    pub fn once(root: &Path, catalogue: &'static Catalogue) -> Self {
        Self {
            catalogue,
            root: root.to_owned(),
            zone: Zone::of(root),
            state: None,
            cursor: Cursor::new(),
            unsaved: false,
            notes: Vec::new(),
        }
    }

    /// Looks once. What the look before found counts as handed over: findings are repeated after a
    /// crash rather than lost, and a repeated one belongs to the same incident.
    pub async fn poll(&mut self, platform: &dyn Platform, now: Timestamp) -> Observed {
        let mut observed =
            Observed { notes: std::mem::take(&mut self.notes), ..Default::default() };
        if let Err(e) = self.commit() {
            observed.notes.push(format!("the place in the logs could not be kept: {e}"));
        }
        if self.root.join("var/lib/dpkg/status").exists() {
            let before = self.cursor.clone();
            self.outcomes(platform, now, &mut observed).await;
            self.conditions(platform, now, &mut observed).await;
            self.unsaved |= self.cursor != before;
        }
        observed.failures.truncate(FINDINGS);
        observed.recoveries.truncate(FINDINGS);
        observed
    }

    /// Writes down how far the looks so far went. Call it when their findings are safe; the next
    /// look does it too.
    pub fn commit(&mut self) -> std::io::Result<()> {
        if let Some(folder) = self.state.as_ref().filter(|_| self.unsaved) {
            self.cursor.save(folder)?;
            self.unsaved = false;
        }
        Ok(())
    }
}
