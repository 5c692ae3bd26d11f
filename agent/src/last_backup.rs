//! When a backup of this host last worked, over restarts: systemd forgets at a boot when its units ran,
//! and event logs of Windows are overwritten.

use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;

use crate::state::StateDir;

const NAME: &str = "last-backup.json";

/// The last backup that is known to have worked, in memory and on disk.
#[derive(Debug)]
pub(crate) struct LastBackup {
    state: StateDir,
    kept: Option<Timestamp>,
}

impl LastBackup {
    /// Opens it. A damaged one is none: the host's own memory is all that is known then.
    pub(crate) fn open(state: &StateDir) -> Self {
        Self { state: state.clone(), kept: state.read_or_set_aside(NAME) }
    }

    /// Takes what the host remembers now, and gives what is known.
    pub(crate) fn known(&mut self, found: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let ahead = |at: Timestamp| at > now.after(limits::CLOCK_SKEW);
        // What lies ahead was told while the clock was wrong: it gives way.
        let newer = |at: Timestamp| self.kept.is_none_or(|kept| at > kept || ahead(kept));
        if let Some(at) = found.filter(|at| !ahead(*at) && newer(*at)) {
            self.kept = Some(at);
            if let Err(error) = self.state.write_json(NAME, &at) {
                tracing::warn!(%error, "the time of the last backup is not kept over a restart");
            }
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn day(n: u32) -> Timestamp {
        Timestamp::from_millis(1_790_000_000_000).after(n * DAY)
    }

    #[test]
    fn what_worked_is_known_when_the_host_has_forgotten_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::open(folder.path()).expect("opens");
        let mut last = LastBackup::open(&state);
        assert_eq!(last.known(None, day(0)), None);
        assert_eq!(last.known(Some(day(1)), day(1)), Some(day(1)));
        assert_eq!(last.known(Some(day(0)), day(1)), Some(day(1)), "an earlier unit's");
        let mut after_boot = LastBackup::open(&state);
        assert_eq!(after_boot.known(None, day(9)), Some(day(1)));
        assert_eq!(after_boot.known(Some(day(9)), day(9)), Some(day(9)));
        std::fs::write(folder.path().join(NAME), "damaged").expect("written");
        assert_eq!(LastBackup::open(&state).known(None, day(9)), None);
    }

    #[test]
    fn a_time_of_a_wrong_clock_gives_way() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::open(folder.path()).expect("opens");
        let mut last = LastBackup::open(&state);
        assert_eq!(last.known(Some(day(900)), day(2)), None);
        assert_eq!(last.known(Some(day(900)), day(900)), Some(day(900)));
        assert_eq!(last.known(Some(day(2)), day(3)), Some(day(2)));
    }
}
