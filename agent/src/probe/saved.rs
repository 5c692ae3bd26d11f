//! When a backup of this host last worked, where units of systemd make it: by what systemd remembers of
//! them until the next boot. Cron's backups, those of a person's own units and those inside scripts are
//! not seen.

use fleetmend_core::limits;
use fleetmend_core::time::{SourceTime, Timestamp};

use super::units::{pairs, systemctl_in_utc};
use crate::collect::live::backups::{self, Command};
use crate::collect::stamp;
use crate::platform::Platform;

/// What is asked of every service that systemd has loaded: those of timers are. Without `--all` it
/// would tell of those only that run.
const ASKED: [&str; 6] = [
    "show",
    "--all",
    "--no-pager",
    "-p",
    "Id,Result,ExecMainCode,ExecMainStatus,ExecMainExitTimestamp,ExecStart",
    "*.service",
];
/// The services of a host, in bytes of what systemd says of them.
const OUTPUT: usize = 4 * limits::PROBE_OUTPUT_BYTES;

/// The last end of a backup that worked, by any unit; the reason where systemd cannot be asked.
pub(super) async fn last_backup(platform: &dyn Platform) -> Result<Option<Timestamp>, String> {
    let text = systemctl_in_utc(platform, &ASKED, OUTPUT).await?;
    Ok(text.split("\n\n").filter_map(saved).max())
}

/// When the backup of one unit worked.
fn saved(shown: &str) -> Option<Timestamp> {
    let commands = backups::commands(shown);
    let mut saving = commands.iter().filter(|command| backups::saves(command)).peekable();
    saving.peek()?;
    let unit = pairs(shown);
    let is = |name: &str, value: &str| unit.get(name).is_some_and(|found| found == value);
    // A unit may call another status than 0 a success, such as that of Borg's warnings.
    let unit_worked = is("Result", "success");
    if commands.iter().all(|command| command.ended.is_none()) {
        // A reload of the units makes systemd forget all but the unit's own end.
        let worked = unit_worked && is("ExecMainCode", "1") && is("ExecMainStatus", "0");
        let told = worked && saving.all(|command| !command.ignored);
        return told.then(|| moment(unit.get("ExecMainExitTimestamp")?)).flatten();
    }
    let worked = |command: &&Command<'_>| match command.status {
        Some(0) => true,
        Some(_) => unit_worked && !command.ignored,
        None => false,
    };
    saving.filter(worked).filter_map(|command| moment(command.ended?)).max()
}

/// `Mon 2026-11-23 07:37:18 UTC`.
fn moment(text: &str) -> Option<Timestamp> {
    let clock = text.strip_suffix(" UTC")?.split_once(' ')?.1;
    let wall = stamp::date_clock(clock.as_bytes(), b'-', b' ')?;
    Some(SourceTime::with_offset(wall, 0).to_timestamp(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As systemd 252 of Debian 12 printed it.
    const ENDED: &str = "Result=success\nExecMainExitTimestamp=Mon 2026-11-23 07:37:20 UTC\nExecMainCode=1\nExecMainStatus=0\nExecStart={ path=/usr/bin/nice ; argv[]=/usr/bin/nice /usr/bin/restic backup /srv/data ; ignore_errors=no ; start_time=[Mon 2026-11-23 07:37:16 UTC] ; stop_time=[Mon 2026-11-23 07:37:18 UTC] ; pid=114 ; code=exited ; status=0 }\nExecStart={ path=/usr/bin/restic ; argv[]=/usr/bin/restic forget --keep-last 3 ; ignore_errors=no ; start_time=[Mon 2026-11-23 07:37:18 UTC] ; stop_time=[Mon 2026-11-23 07:37:20 UTC] ; pid=125 ; code=exited ; status=0 }\nId=nightly.service\n";
    /// The same after `systemctl daemon-reload`.
    const RELOADED: &str = "Result=success\nExecMainExitTimestamp=Mon 2026-11-23 07:37:20 UTC\nExecMainCode=1\nExecMainStatus=0\nExecStart={ path=/usr/bin/nice ; argv[]=/usr/bin/nice /usr/bin/restic backup /srv/data ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }\nExecStart={ path=/usr/bin/restic ; argv[]=/usr/bin/restic forget --keep-last 3 ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }\nId=nightly.service\n";
    /// One that never ran since the boot.
    const NEVER: &str = "Result=success\nExecMainExitTimestamp=\nExecMainCode=0\nExecMainStatus=0\nExecStart={ path=/usr/bin/restic ; argv[]=/usr/bin/restic backup /srv/data ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }\nId=nightly.service\n";

    fn at(text: &str) -> Option<String> {
        saved(text).map(|at| at.to_string())
    }

    #[test]
    fn a_unit_s_backup_counts_from_its_own_end() {
        assert_eq!(at(ENDED).as_deref(), Some("2026-11-23T07:37:18.000Z"));
        assert_eq!(at(RELOADED).as_deref(), Some("2026-11-23T07:37:20.000Z"));
        assert_eq!(at(NEVER), None);
        let late = ENDED.replace(
            ":20 UTC] ; pid=125 ; code=exited ; status=0",
            ":20 UTC] ; pid=125 ; code=exited ; status=1",
        );
        let late = late.replace("Result=success", "Result=exit-code");
        assert_eq!(
            at(&late).as_deref(),
            Some("2026-11-23T07:37:18.000Z"),
            "what came after it failed"
        );
    }

    #[test]
    fn what_failed_or_is_not_told_is_no_backup() {
        let failed = ENDED.replacen("status=0 }", "status=1 }", 1);
        assert_eq!(at(&failed.replace("Result=success", "Result=exit-code")), None);
        assert!(at(&failed).is_some(), "SuccessExitStatus=1");
        let ignored = failed.replacen("ignore_errors=no", "ignore_errors=yes", 1);
        assert_eq!(at(&ignored), None, "the unit goes on whatever it does");
        assert_eq!(at(&RELOADED.replacen("ignore_errors=no", "ignore_errors=yes", 1)), None);
        assert_eq!(at(&RELOADED.replace("Result=success", "Result=exit-code")), None);
        assert_eq!(at(&RELOADED.replace("ExecMainStatus=0", "ExecMainStatus=1")), None);
        assert_eq!(at(&ENDED.replace("code=exited", "code=killed")), None);
        assert_eq!(at(&ENDED.replace("restic backup", "restic check")), None);
        assert_eq!(at(&RELOADED.replace("UTC", "MSK")), None, "whose clock is not known");
        assert_eq!(at(""), None);
    }
}
