//! Watching a host by its own files: the package tools of Linux (apt and dpkg), the logs and event
//! files of Windows.
//!
//! Two kinds of findings. *Conditions* (dpkg interrupted, a package's script fails, dependencies
//! unmet, a backup's unit failed) are read from the present state: reported once when they appear, recovered when they are
//! gone. *Outcomes* of past runs are read from the logs, each once. While a package tool runs
//! nothing is concluded from state: what looks broken may be half done.

pub(crate) mod apt_logs;
pub(crate) mod backups;
mod conditions;
mod cursor;
pub(crate) mod dnf_logs;
pub mod dpkg;
mod files;
mod join;
pub mod lock;
mod outcomes;
pub(crate) mod rpm_outcomes;
mod tail;
mod units;
pub(crate) mod words;
mod zone;
pub(crate) mod zypper_logs;

use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::report::{FailureReport, IncidentKey, Recovery};
use fleetmend_core::time::Timestamp;

use crate::platform::Platform;
use crate::random;
use cursor::{Cursor, Failing};

pub use words::slug_of;
pub use zone::Zone;

pub(crate) use apt_logs::stanzas;
pub(crate) use conditions::{broken_dependencies, configure_attempt, last_failure};
pub(crate) use outcomes::apt_journal;
pub(crate) use tail::added;

/// How far back outcomes are reported at the first look, unless told otherwise: what is older was
/// dealt with or is seen again.
pub const FIRST_LOOK: Duration = Duration::from_hours(7 * 24);

/// What one look found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// New failures.
    pub failures: Vec<FailureReport>,
    /// Failures that are gone.
    pub recoveries: Vec<Recovery>,
    /// Those of them that the present state alone tells of: no run of the operation was seen.
    pub cleared: Vec<IncidentKey>,
    /// What could not be looked at, in words.
    pub notes: Vec<String>,
}

/// The live collectors of one host.
#[derive(Debug)]
pub struct Live {
    catalogue: &'static Catalogue,
    root: PathBuf,
    zone: Zone,
    /// How far back outcomes are reported.
    first_look: Duration,
    /// Where the cursor is kept; `None` for a look that leaves no trace.
    state: Option<PathBuf>,
    /// How far the looks went whose findings are safe.
    safe: Cursor,
    /// How far the present look went.
    cursor: Cursor,
    /// What was found out at the start, told with the first look.
    notes: Vec<String>,
    /// How far the place on disk is behind.
    written: Written,
}

/// What stands on disk of the present place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// Nothing that is not settled.
    Settled,
    /// It is prepared; its findings may be in the spool.
    Prepared,
    /// Its findings are in the spool, and settling it failed.
    Unsettled,
}

impl Live {
    /// Collectors of the host whose `/` is `root`; what was already reported is remembered in
    /// `state_dir`.
    pub fn open(root: &Path, state_dir: &Path, catalogue: &'static Catalogue) -> Self {
        Self::open_after(root, state_dir, catalogue, |_| false)
    }

    /// As [`Live::open`]; `is_safe` says whether the findings of this mark are in the spool. A look
    /// that a crash stopped between the spool and the place is taken as looked then, and not again.
    pub fn open_after(
        root: &Path,
        state_dir: &Path,
        catalogue: &'static Catalogue,
        is_safe: impl FnOnce(u64) -> bool,
    ) -> Self {
        let (mut cursor, note) = Cursor::load(state_dir);
        let mut live = Self::once(root, catalogue);
        live.notes.extend(note);
        match Cursor::prepared(state_dir) {
            Some(next) if next.mark != cursor.mark && is_safe(next.mark) => {
                cursor = next;
                live.written = Written::Unsettled;
            }
            // What was prepared did not come to the spool: it is found again.
            _ => cursor::forget(state_dir),
        }
        live.state = Some(state_dir.to_owned());
        live.cursor.clone_from(&cursor);
        live.safe = cursor;
        if let Err(error) = live.settle() {
            live.notes.push(format!("the place in the logs could not be kept: {error}"));
        }
        live
    }

    /// The mark of the place that holds in `state_dir`: what was found before it is safe.
    pub fn settled(state_dir: &Path) -> Option<u64> {
        Some(Cursor::load(state_dir).0.mark).filter(|mark| *mark != 0)
    }

    /// A single look that remembers nothing and writes nothing.
    pub fn once(root: &Path, catalogue: &'static Catalogue) -> Self {
        Self {
            catalogue,
            root: root.to_owned(),
            zone: Zone::of(root),
            first_look: FIRST_LOOK,
            state: None,
            safe: Cursor::new(),
            cursor: Cursor::new(),
            notes: Vec::new(),
            written: Written::Settled,
        }
    }

    /// The same collectors, with outcomes reported as far back as this.
    pub fn looking_back(mut self, span: Duration) -> Self {
        self.first_look = span;
        self
    }

    /// These incidents were mended by jobs: a condition of theirs that the next look sees has come
    /// back, although no look saw it gone.
    pub fn mended(&mut self, keys: &[IncidentKey]) {
        let stands = |f: &Failing| !keys.contains(&f.key);
        self.safe.failing.retain(stands);
        self.safe.units.retain(stands);
    }

    /// Looks once. Findings that are not [committed](Self::commit) before the next look are found
    /// again by it: they are repeated rather than lost, and a repeated one belongs to the same
    /// incident.
    pub async fn poll(&mut self, platform: &dyn Platform, now: Timestamp) -> Observed {
        let notes = std::mem::take(&mut self.notes);
        let mut observed = Observed { notes, ..Observed::default() };
        self.cursor.clone_from(&self.safe);
        if self.root.join("var/lib/dpkg/status").exists() {
            self.outcomes(platform, now, &mut observed).await;
            self.conditions(platform, now, &mut observed).await;
        }
        self.rpm_outcomes(now, &mut observed);
        if self.root.join("run/systemd/system").is_dir() {
            self.units(platform, now, &mut observed).await;
        }
        if self.root.join("Windows").is_dir() {
            self.files(now, &mut observed).await;
        }
        observed
    }

    /// Writes the place after the last look beside the one that holds, and gives its mark: the
    /// findings go into the spool with it, and then the place is [committed](Self::commit).
    pub fn prepare(&mut self) -> std::io::Result<u64> {
        // Only one place waits at a time: the spool remembers one mark.
        self.settle()?;
        let bytes = random::ten();
        self.cursor.mark = bytes.iter().take(8).fold(0, |n, b| (n << 8) | u64::from(*b)).max(1);
        if let Some(folder) = &self.state {
            self.cursor.prepare(folder)?;
            self.written = Written::Prepared;
        }
        Ok(self.cursor.mark)
    }

    /// The findings of the last look are safe: the place after it holds from now on.
    pub fn commit(&mut self) -> std::io::Result<()> {
        if self.written == Written::Unsettled {
            self.settle()?;
        }
        if self.safe == self.cursor {
            return Ok(());
        }
        if let (Some(folder), Written::Settled) = (&self.state, self.written) {
            // Nothing was found on the way: nothing but the place is to be written.
            self.cursor.prepare(folder)?;
        }
        // Safe they are, even if that cannot be written down.
        self.safe.clone_from(&self.cursor);
        self.written = Written::Unsettled;
        self.settle()
    }

    fn settle(&mut self) -> std::io::Result<()> {
        if let (Some(folder), Written::Unsettled) = (&self.state, self.written) {
            cursor::settle(folder)?;
            if let Err(error) = self.safe.copy(folder) {
                tracing::debug!(%error, "the second copy of the place in the logs is not written");
            }
        }
        self.written = Written::Settled;
        Ok(())
    }
}

/// Ways in for the fuzz targets.
#[cfg(feature = "fuzz")]
pub(crate) mod fuzz {
    use fleetmend_core::report::Product;
    use fleetmend_core::time::SourceTime;

    use super::{apt_logs as logs, backups, dnf_logs, dpkg::Dpkg, zypper_logs};

    /// Every reader of apt's and dpkg's logs: none takes more than it was given.
    pub(crate) fn apt_logs(bytes: &[u8]) {
        assert!(logs::runs(bytes).1 <= bytes.len());
        assert!(logs::stanzas(bytes).1 <= bytes.len());
        let _ = logs::unattended_errors(bytes);
        let _ = logs::unfinished_configure(bytes, "libexample");
    }

    /// dnf's log: no run without an end, none takes more than it was given.
    pub(crate) fn dnf_logs(bytes: &[u8]) {
        let (_, taken) = dnf_logs::runs(bytes);
        assert!(taken <= bytes.len());
    }

    /// zypper's log and its history.
    pub(crate) fn zypper_logs(bytes: &[u8]) {
        let (_, taken) = zypper_logs::runs(bytes, SourceTime::local);
        assert!(taken <= bytes.len());
        let _ = zypper_logs::history(bytes, SourceTime::local);
    }

    /// What systemd says of a unit that runs a backup program, and what the program said.
    pub(crate) fn backups(bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let (shown, log) = text.split_once('\0').unwrap_or((&text, &text));
        for command in backups::commands(shown) {
            let Some((product, _)) = backups::runs(&command) else { continue };
            told(product, command.status, log);
        }
        for product in [Product::Restic, Product::Borg, Product::Rsync, Product::Other] {
            told(product, None, log);
        }
    }

    fn told(product: Product, status: Option<i32>, log: &str) {
        if let (_, Some(line)) = backups::judge(product, status, log) {
            assert!(log.contains(line), "a line that nobody wrote");
        }
    }

    /// dpkg's status file.
    pub(crate) fn dpkg(bytes: &[u8]) {
        let mut state = Dpkg::default();
        // Memory cannot fail to be read.
        let _ = state.take(bytes, true);
        assert!(state.bad.len() <= super::dpkg::NAMED);
        let _ = state.words();
    }
}
