//! Before the host is restarted: what speaks against it for good, what has to be waited for, and what
//! the users say. A restart ends whatever runs on the host, so it is looked at more than once.

use std::io;
use std::time::Duration;

use fleetmend_core::campaign::RebootPolicy;
use fleetmend_core::host::OsFamily;
use fleetmend_core::job::JobState;
use fleetmend_core::knowledge::{RebootNeed, Remediation};
use fleetmend_core::limits;
use fleetmend_core::step::{Action, Hive};
use fleetmend_core::time::Timestamp;
use fleetmend_core::words::Slug;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::desk::Desk;
use super::patience::Patience;
use crate::execute::Shop;
use crate::execute::ceiling::{Asked, Ceiling, Objection};
use crate::execute::journal::Entry;
use crate::platform::Session;
use crate::probe;
use crate::prober;

/// Probes whose *yes* means that a restart would break off somebody's work.
const AT_WORK: [&str; 11] = [
    "apt_lock_held",
    "rpm_lock_held",
    "restic_runs",
    "borg_runs",
    "servicing_running",
    "installer_running",
    "setup_running",
    "backup_running",
    "file_backup_running",
    "snapshot_running",
    "foreign_backup_running",
];
/// How long one window of an order must still be open for a restart, in minutes.
const RESTART_MINUTES: u32 = 5;
/// How long after its time a notice still stands: where something else held the restart back for
/// longer, the users have gone on with their work, and are told again.
const NOTICE_STANDS: Duration = Duration::from_mins(15);

/// What is to be done about a restart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Restart {
    /// It may be done now.
    Now,
    /// Somebody else restarted the host while it was waited for.
    Happened,
    /// Not at all any more: the step fails.
    Never(String),
    /// The job was given up meanwhile.
    GivenUp,
    /// The agent stops.
    Stopped,
}

/// Whether the remediation restarts the host.
pub(super) fn is_needed(remediation: &Remediation) -> bool {
    remediation.reboot == RebootNeed::Always
        || remediation.steps.iter().any(|step| matches!(step.action, Action::Reboot {}))
}

/// What speaks against any restart of this host, whenever it is.
pub(super) async fn never(shop: &Shop) -> Option<String> {
    let platform = shop.platform.as_ref();
    if let Ok(Some(asks)) = platform.asks_at_boot().await {
        return Some(format!("startup_key: nobody could start it again from afar: {asks}"));
    }
    let os = platform.facts().ok()?.os;
    let cluster = match os {
        OsFamily::Windows => {
            let key = r"SYSTEM\CurrentControlSet\Services\ClusSvc";
            let there = platform.registry_key(Hive::LocalMachine, key).await;
            there.is_ok_and(|key| key.is_some()).then(|| "ClusSvc".to_owned())
        }
        OsFamily::Linux => probe::cluster_program(platform.root()),
    };
    cluster.map(|by| {
        format!("cluster_member: the host belongs to a cluster ({by}): its work is moved away first, by a person")
    })
}

impl Desk<'_> {
    /// Waits until the host may be restarted, tells its users, and lets them put it off as often as
    /// the order allows.
    pub(super) async fn before_restart(
        &mut self,
        remediation: &Remediation,
        stop: &CancellationToken,
    ) -> io::Result<Restart> {
        let failed = self.journal.progress.failure.is_some();
        let due = match self.journal.progress.restart_due.clone() {
            Some((_, boot)) if boot != self.boot => return Ok(Restart::Happened),
            Some((due, _)) => due,
            None => {
                let at = self.shop.clock.now();
                self.note(Entry::RestartDue { at, boot: self.boot.clone() })?;
                at
            }
        };
        let until = self.order().expires.max(due.after(limits::RESTART_WITHIN));
        let patience = Patience::until(until, self.shop.clock.now());
        let mut told = String::new();
        loop {
            if !failed {
                self.look_for_recall()?;
                if self.journal.progress.failure.is_some() {
                    return Ok(Restart::GivenUp);
                }
            }
            let now = self.shop.clock.now();
            let held = match self.not_here(remediation, now) {
                Some(Objection::Refused(why)) => return Ok(Restart::Never(why)),
                Some(Objection::NotNow(why)) => Some(why),
                None => self.not_yet(now).await,
            };
            let Some(why) = held else {
                match self.ask_users(stop).await? {
                    Users::Agree => return Ok(Restart::Now),
                    Users::Stopped => return Ok(Restart::Stopped),
                    // What stood in the way is asked again: the notice took its time.
                    Users::Told | Users::PutOff => continue,
                }
            };
            if patience.is_over(now) {
                let hours = limits::RESTART_WITHIN.as_secs() / 3_600;
                return Ok(Restart::Never(format!("not restarted within {hours} hours: {why}")));
            }
            if told != why {
                self.tell(JobState::RebootPending, &format!("the restart waits: {why}"), None);
                told = why;
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(Restart::Stopped),
                () = self.recalls.changed() => {}
                () = self.shop.holds.changed() => {}
                () = sleep(self.shop.recheck_every) => {}
            }
        }
    }

    /// What the host's own ceiling says to a restart at this moment: the job may have begun long ago,
    /// and its admin may have changed their mind. That it is one of the day's jobs is counted already.
    fn not_here(&self, remediation: &Remediation, now: Timestamp) -> Option<Objection> {
        let loaded = Ceiling::load(&self.shop.ceiling_file);
        let objection = loaded.ceiling.objection(&Asked::restart(remediation), 0, now)?;
        Some(match (objection, loaded.problem) {
            (Objection::Refused(_), Some(problem)) => Objection::Refused(problem),
            (objection, _) => objection,
        })
    }

    /// What stands in the way of a restart now, by name. The halt of the fleet and freezes do: what has
    /// begun goes on, and yet no host goes down because of it.
    async fn not_yet(&self, now: Timestamp) -> Option<String> {
        let progress = &self.journal.progress;
        if let Some((at, by)) = &progress.put_off
            && now < at.after(limits::PUT_OFF)
        {
            let (times, most) = (progress.deferrals, self.order().max_deferrals);
            return Some(format!(
                "deferred by {by} until {} ({times} of {most})",
                at.after(limits::PUT_OFF)
            ));
        }
        let window = (self.order().reboot == RebootPolicy::InWindow).then_some(RESTART_MINUTES);
        if let Some(held) = self.held(now, true, window) {
            return Some(held.why);
        }
        if let Some(why) = never(self.shop).await {
            return Some(why);
        }
        let power = self.shop.platform.power().await;
        if power.is_ok_and(|power| power.on_battery) {
            return Some("on_battery: the host runs on battery".to_owned());
        }
        for name in AT_WORK {
            let Ok(probe) = Slug::new(name) else { continue };
            let seen = self.ask(&probe).await;
            if prober::is_yes(&seen) {
                return Some(format!("{name}: {}", seen.proof));
            }
        }
        None
    }

    /// Tells the users who are there, once, and waits for the time of the notice.
    async fn ask_users(&mut self, stop: &CancellationToken) -> io::Result<Users> {
        let order = self.order();
        let notice = Duration::from_secs(order.notice_seconds.into());
        let may_defer = self.journal.progress.deferrals < u32::from(order.max_deferrals);
        let known = self.shop.platform.sessions().await;
        if notice.is_zero() || known.as_ref().is_ok_and(Vec::is_empty) {
            return Ok(Users::Agree);
        }
        let now = self.shop.clock.now();
        if self.journal.progress.noticed.is_some_and(|at| now.since(at) <= NOTICE_STANDS) {
            return Ok(Users::Agree);
        }
        let names = known.map_or_else(|_| "users, if there are any".to_owned(), |s| names(&s));
        let seconds = notice.as_secs();
        let detail = format!("{names} told: the host restarts in {seconds} s");
        self.tell(JobState::RebootPending, &detail, None);
        let text = format!(
            "This computer restarts in {} to repair its updates or backups. Save your work.",
            if seconds < 120 {
                format!("{seconds} seconds")
            } else {
                format!("{} minutes", seconds / 60)
            }
        );
        let platform = self.shop.platform.as_ref();
        let answer = tokio::select! {
            answer = platform.notify_users(&text, notice, may_defer) => answer,
            () = stop.cancelled() => return Ok(Users::Stopped),
        };
        let at = self.shop.clock.now();
        match answer {
            Ok(Some(by)) if may_defer => {
                tracing::info!(job.id = %self.order().job, %by, "restart put off");
                self.note(Entry::PutOff { at, by })?;
                return Ok(Users::PutOff);
            }
            Ok(_) => {}
            Err(error) => {
                // Nobody could be told: the time of the notice is waited for all the same.
                tracing::warn!(%error, "users not told of the restart");
                tokio::select! {
                    () = sleep(notice) => {}
                    () = stop.cancelled() => return Ok(Users::Stopped),
                }
            }
        }
        self.note(Entry::Noticed { at })?;
        Ok(Users::Told)
    }
}

/// What came of the notice.
enum Users {
    /// Nobody is to be asked, or everybody was.
    Agree,
    /// They were told now.
    Told,
    /// Somebody put it off.
    PutOff,
    /// The agent stops.
    Stopped,
}

fn names(sessions: &[Session]) -> String {
    let mut names: Vec<&str> = sessions.iter().map(|session| session.user.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(5);
    names.join(", ")
}
