//! The programs of a simulated Linux host: what they print is what the real ones print.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use fleetmend_core::time::Timestamp;

use super::fault::Fault;
use super::layout::{self, PACKAGE};
use super::life::Life;
use super::{Said, SimHost};
use crate::model::{Trace, Work};

/// Units of every simulated Linux host.
const UNITS: [&str; 7] = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "apt-daily-upgrade.service",
    "unattended-upgrades.service",
    "cron.service",
    "systemd-timesyncd.service",
    "restic-backup.service",
];

impl SimHost {
    /// Runs a program; `None` where the host has none of that name.
    pub(super) fn linux_program(
        &self,
        name: &str,
        args: &[&str],
        now: Timestamp,
    ) -> io::Result<Option<Said>> {
        let mut life = self.life();
        Ok(Some(match name {
            "dpkg" if args.contains(&"--configure") => self.configure(&mut life, now)?,
            "dpkg" if args.contains(&"--audit") => Said::ok(audit(&life)),
            "apt-get" => self.apt_get(&mut life, args, now)?,
            "systemctl" if args == ["-i", "reboot"] => {
                drop(life);
                self.restart(now)?;
                return Ok(Some(Said::ok("")));
            }
            "systemctl" => self.systemctl(&mut life, args, now)?,
            "journalctl" => Said::ok(self.journal(args)),
            _ => return Ok(None),
        }))
    }

    fn configure(&self, life: &mut Life, now: Timestamp) -> io::Result<Said> {
        let waited = waiting(life).is_some();
        self.done(life, "tool:--configure", now)?;
        Ok(match waiting(life) {
            Some(fault) if fault.model.trace == Trace::Script => {
                Said::worked(1, layout::script_words(fault.model) + "\n")
            }
            Some(_) => Said::worked(
                1,
                format!(
                    "dpkg: error processing package {PACKAGE} (--configure):\n package is in a very bad inconsistent state\n"
                ),
            ),
            None if waited => Said::worked(
                0,
                format!("Setting up {PACKAGE} (1.0) ...\n{PACKAGE} is configured\n"),
            ),
            None => Said::ok(""),
        })
    }

    fn apt_get(&self, life: &mut Life, args: &[&str], now: Timestamp) -> io::Result<Said> {
        let deed = ["check", "clean", "update", "-f"].into_iter().find(|d| args.contains(d));
        let Some(deed) = deed else { return Ok(Said { status: 100, ..Said::default() }) };
        if let Some(fault) = waiting(life)
            && fault.model.trace == Trace::Interrupted
            && !["clean", "update"].contains(&deed)
        {
            let words = "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.\n";
            return Ok(Said { status: 100, text: words.to_owned(), at_work: false });
        }
        if deed != "check" {
            self.done(life, &format!("tool:{deed}"), now)?;
        }
        let head = "Reading package lists...\nBuilding dependency tree...\n";
        Ok(match deed {
            "check" | "-f" => match life.failing(Trace::Deps) {
                Some(fault) => Said {
                    status: 100,
                    text: format!(
                        "{head}The following packages have unmet dependencies:\n {}\nE: Unmet dependencies. Try 'apt --fix-broken install' with no packages (or specify a solution).\n",
                        fault.model.words
                    ),
                    at_work: deed == "-f",
                },
                None => Said { status: 0, text: head.to_owned(), at_work: deed == "-f" },
            },
            "update" => match life.faults.iter().find(|f| f.fails() && f.model.work == Work::Lists)
            {
                Some(fault) => {
                    let words = self.words(fault.model);
                    let status = if words.starts_with("E:") { 100 } else { 0 };
                    Said::worked(
                        status,
                        format!("Hit:1 http://mirror.example.com bookworm InRelease\n{words}\n"),
                    )
                }
                None => Said::worked(
                    0,
                    "Hit:1 http://mirror.example.com bookworm InRelease\nReading package lists...\n",
                ),
            },
            _ => {
                // Room was made: the next run shows whether it was enough.
                life.soon(Work::Upgrade, now.after(self.pace.step));
                Said::worked(0, "")
            }
        })
    }

    fn systemctl(&self, life: &mut Life, args: &[&str], now: Timestamp) -> io::Result<Said> {
        let unit = args.last().copied().unwrap_or_default();
        Ok(match args.first().copied() {
            Some("list-units") => Said::ok(match failed_unit(life) {
                Some(unit) => format!("{unit} loaded failed failed Simulated backup\n"),
                None => String::new(),
            }),
            Some("list-timers") => Said::ok(timers(life, now)),
            Some("show") => {
                let units = args.iter().skip(1).filter(|a| UNITS.contains(a) || is_unit(a));
                let shown: Vec<_> = units.map(|unit| Self::show(life, unit, now)).collect();
                Said::ok(shown.join("\n"))
            }
            Some("reset-failed") => {
                life.unit_reset = true;
                Said::ok("")
            }
            Some("enable") => {
                self.done(life, "tool:enable", now)?;
                Said::ok("")
            }
            Some("start" | "restart") => {
                if unit == "restic-backup.service" {
                    self.done(life, "tool:start", now)?;
                    life.invocations += 1;
                    (life.unit_reset, life.unit_changed) = (false, now);
                    if failed_unit(life).is_some() {
                        let words = format!(
                            "Job for {unit} failed because the control process exited with error code.\n"
                        );
                        return Ok(Said::worked(1, words));
                    }
                }
                Said::worked(0, "")
            }
            _ => Said::ok(""),
        })
    }

    fn show(life: &Life, unit: &str, now: Timestamp) -> String {
        let idle = life.failing(Trace::Idle).is_some() && unit.starts_with("apt-daily");
        let failed = failed_unit(life) == Some(unit);
        let known = UNITS.contains(&unit) || life.failing(Trace::Timer).is_some();
        let (active, sub) = if failed {
            ("failed", "failed")
        } else if idle || unit.ends_with("backup.service") || unit.ends_with("upgrade.service") {
            ("inactive", "dead")
        } else {
            ("active", "running")
        };
        let file = if idle && !unit.contains(".service") { "disabled" } else { "enabled" };
        let result = if failed { "exit-code" } else { "success" };
        let load = if known { "loaded" } else { "not-found" };
        let up = now.since(life.booted).saturating_sub(now.since(life.unit_changed));
        let invocation = format!("{:032x}", life.invocations);
        format!(
            "Id={unit}\nLoadState={load}\nActiveState={active}\nSubState={sub}\nUnitFileState={file}\nResult={result}\nInvocationID={invocation}\nStateChangeTimestampMonotonic={}\n",
            up.as_micros()
        )
    }

    /// What the journal of apt's timers holds between two moments.
    fn journal(&self, args: &[&str]) -> String {
        let bound = |name: &str| {
            let at = args.iter().position(|a| *a == name)?;
            args.get(at + 1)?.strip_prefix('@')?.parse::<f64>().ok()
        };
        let (since, until) = (bound("--since").unwrap_or(0.0), bound("--until"));
        let mut text = String::new();
        for file in [format!("{}.1", layout::JOURNAL), layout::JOURNAL.to_owned()] {
            text += &std::fs::read_to_string(self.root.join(file)).unwrap_or_default();
        }
        let within = |line: &&str| {
            let at = line.split(' ').next().and_then(|s| s.parse::<f64>().ok());
            at.is_some_and(|at| at >= since && until.is_none_or(|until| at < until))
        };
        text.lines().filter(within).fold(String::new(), |mut kept, line| {
            let _ = writeln!(kept, "{line}");
            kept
        })
    }
}

/// The unit that has failed and that nobody has reset.
fn failed_unit(life: &Life) -> Option<&str> {
    let fault = life.failing(Trace::Unit).filter(|_| !life.unit_reset)?;
    fault.model.unit.as_deref()
}

fn is_unit(word: &str) -> bool {
    [".service", ".timer"].iter().any(|end| word.ends_with(end))
}

/// The fault that makes packages wait for dpkg.
fn waiting(life: &Life) -> Option<&Fault> {
    life.failing(Trace::Interrupted).or_else(|| life.failing(Trace::Script))
}

fn audit(life: &Life) -> String {
    match waiting(life) {
        Some(_) => format!(
            "The following packages are only half configured, probably due to problems\nconfiguring them the first time:\n {PACKAGE}          simulated package\n"
        ),
        None => String::new(),
    }
}

fn timers(life: &Life, now: Timestamp) -> String {
    let micros = |at: Timestamp| u64::try_from(at.as_millis()).unwrap_or(0) * 1_000;
    let hours = |n: u64| Duration::from_hours(n);
    let timer = |unit: &str, last: Timestamp, next: Option<Timestamp>| {
        serde_json::json!({
            "next": next.map_or(0, micros),
            "last": micros(last),
            "unit": unit,
            "activates": unit.replace(".timer", ".service"),
        })
    };
    let mut all = vec![timer("apt-daily.timer", now.before(hours(7)), Some(now.after(hours(5))))];
    match life.failing(Trace::Timer).and_then(|f| Some((f.model.unit.as_deref()?, f.since))) {
        // Silent for longer than anybody waits, and nothing planned.
        Some((unit, since)) => all.push(timer(unit, since.before(hours(15 * 24)), None)),
        None => {
            all.push(timer(
                "restic-backup.timer",
                now.before(hours(9)),
                Some(now.after(hours(15))),
            ));
        }
    }
    serde_json::Value::Array(all).to_string() + "\n"
}
