//! What is wrong with systemd's units that update or save the system, and with apt's periodic work.
//! Where systemd does not run nothing is said, and nothing taken back.

use fleetmend_core::code::FailureCode;
use fleetmend_core::limits;
use fleetmend_core::passwords::without_passwords;
use fleetmend_core::report::{IncidentKey, Operation, Product, Source};
use fleetmend_core::time::{SourceTime, Timestamp};

use super::backups;
use super::conditions::{Present, compare};
use super::cursor::Failing;
use super::{Live, Observed};
use crate::collect::draft::slug;
use crate::platform::{Platform, Program};
use crate::probe::{packages, system, units};

impl Live {
    /// Compares the units' state with what was reported.
    pub(super) async fn units(
        &mut self,
        platform: &dyn Platform,
        now: Timestamp,
        observed: &mut Observed,
    ) {
        let mut present = Vec::new();
        for (name, found) in [
            ("systemd.unit_failed", self.failed(platform, now).await),
            ("systemd.timer_missed", late(platform, now).await),
            ("apt.periodic_stale", self.idle(platform, now).await),
        ] {
            match found {
                Ok(found) => present.extend(found),
                Err(why) => {
                    // Not found out: what was reported stays as it is.
                    observed.notes.push(format!("systemd cannot be asked for {name}: {why}"));
                    let of = |code: Option<FailureCode>| {
                        let others = [slug("systemd.timer_missed"), slug("apt.periodic_stale")];
                        if others.contains(&code) { code } else { slug("systemd.unit_failed") }
                    };
                    let same =
                        self.cursor.units.iter().filter(|f| of(f.key.code.clone()) == slug(name));
                    present.extend(same.map(|known| kept(known, now)));
                }
            }
        }
        let gone = "no longer so by systemd's own state";
        let before = self.cursor.units.clone();
        let cleared = observed.cleared.len();
        compare(&mut self.cursor.units, present, (now, gone), self.catalogue, observed);
        for key in observed.cleared.split_off(cleared) {
            let failed = before.iter().find(|f| f.key == key);
            match worked_since(platform, &key, failed.map_or("", |f| &f.mark)).await {
                Some(words) => {
                    let told = observed.recoveries.iter_mut().filter(|r| r.key == key);
                    told.for_each(|r| r.message.clone_from(&words));
                }
                None => observed.cleared.push(key),
            }
        }
    }

    async fn failed(
        &self,
        platform: &dyn Platform,
        now: Timestamp,
    ) -> Result<Vec<Present>, String> {
        let mut present = Vec::new();
        for unit in units::failed_units(platform).await? {
            present.extend(failed(platform, &unit, now).await?);
        }
        for known in &self.cursor.units {
            if present.iter().all(|p| p.key != known.key) && at_work(platform, known).await? {
                // Whether it works this time is not known yet.
                present.push(kept(known, now));
            }
        }
        Ok(present)
    }

    async fn idle(&self, platform: &dyn Platform, now: Timestamp) -> Result<Vec<Present>, String> {
        let has_apt = self.root.join("var/lib/dpkg/status").exists();
        let idle = if has_apt { packages::idle(platform, now).await? } else { None };
        let found = idle.zip(slug("apt.periodic_stale")).map(|((at, words), code)| {
            let (product, operation) = (Product::Apt, Operation::Scan);
            let key = IncidentKey { product, operation, code: Some(code), subject: None };
            present_of(key, String::new(), SourceTime::utc(at.min(now)), words)
        });
        Ok(found.into_iter().collect())
    }
}

async fn late(platform: &dyn Platform, now: Timestamp) -> Result<Vec<Present>, String> {
    let found = units::late_timers(platform, now).await?.0.into_iter().filter_map(|late| {
        let words = format!("{} last ran at {}", late.unit, late.last);
        let mark = late.last.as_millis().to_string();
        let key = key("systemd.timer_missed", operation_of(&late.unit), Some(late.unit))?;
        // It was missed by now; when exactly, its period would say.
        Some(present_of(key, mark, SourceTime::utc(now), words))
    });
    Ok(found.collect())
}

/// A failed unit. Another failed run of it is another occurrence. One that runs a backup program fails
/// as that program does: with its own code, told by its own words.
async fn failed(
    platform: &dyn Platform,
    unit: &str,
    now: Timestamp,
) -> Result<Option<Present>, String> {
    let shown = units::shown(platform, unit).await?;
    let found = units::pairs(&shown);
    let get = |name: &str| found.get(name).map_or("", String::as_str);
    if get("ActiveState") != "failed" {
        return Ok(None);
    }
    let result = get("Result");
    let invocation = get("InvocationID");
    let time = SourceTime::utc(changed_at(platform, get("StateChangeTimestampMonotonic"), now));
    let words = format!("{unit} failed; systemd calls its result \"{result}\"");
    let commands = backups::commands(&shown);
    let ended = commands.iter().rfind(|c| c.status.is_some_and(|s| s != 0)).or(commands.last());
    let Some((command, (product, operation))) = ended.and_then(|c| Some((c, backups::runs(c)?)))
    else {
        let key = key("systemd.unit_failed", operation_of(unit), Some(unit.to_owned()));
        return Ok(key.map(|key| present_of(key, invocation.to_owned(), time, words)));
    };
    // 1: it came to its own end, and no signal did.
    let status = command.status.filter(|_| get("ExecMainCode") == "1");
    let log = said(platform, invocation).await;
    let (code, line) = backups::judge(product, status, &log);
    let code = code.or_else(|| slug("systemd.unit_failed"));
    let status = status.map(|s| format!(", exit {s}")).unwrap_or_default();
    let line = line.map(|l| format!(": {}", without_passwords(l.trim()))).unwrap_or_default();
    let key = IncidentKey { product, operation, code, subject: Some(unit.to_owned()) };
    let words = format!("{unit}{line} ({result}{status})");
    Ok(Some(present_of(key, invocation.to_owned(), time, words)))
}

/// The last words of a unit's run, by the journal; none where it cannot be asked: the exit status
/// tells then.
async fn said(platform: &dyn Platform, invocation: &str) -> String {
    let hex = |id: &str| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
    if !hex(invocation) {
        return String::new();
    }
    let program = Program {
        path: "/usr/bin/journalctl".to_owned(),
        args: [
            "-q",
            "--no-pager",
            "--output=json",
            "--output-fields=MESSAGE",
            "-n200",
            &format!("_SYSTEMD_INVOCATION_ID={invocation}"),
        ]
        .map(str::to_owned)
        .to_vec(),
        timeout: limits::PROBE_TIME,
        max_output: limits::PROBE_OUTPUT_BYTES,
    };
    match platform.run(&program, &mut |_: &[u8]| {}).await {
        Ok(exit) if exit.status == Some(0) => messages(&exit.text()),
        _ => String::new(),
    }
}

/// The messages of the journal's entries; one that is no text is passed over.
fn messages(entries: &str) -> String {
    let entry = |line: &str| -> Option<String> {
        let entry: serde_json::Value = serde_json::from_str(line).ok()?;
        entry.get("MESSAGE")?.as_str().map(str::to_owned)
    };
    entries.lines().filter_map(entry).collect::<Vec<_>>().join("\n")
}

/// What tells of a later run of the unit that worked: another one than the run that failed (`mark`).
async fn worked_since(platform: &dyn Platform, key: &IncidentKey, mark: &str) -> Option<String> {
    let unit = key.subject.as_deref().filter(|_| key.code != slug("systemd.timer_missed"))?;
    let found = units::properties(platform, unit).await.ok()?;
    let get = |name: &str| found.get(name).map_or("", String::as_str);
    let id = get("InvocationID");
    let anew = !mark.is_empty() && !id.is_empty() && id != mark;
    let ended = matches!(get("ActiveState"), "inactive" | "active");
    let worked = anew && ended && get("Result") == "success";
    worked.then(|| format!("{unit} ran again (invocation {id}), its result is success"))
}

/// Whether the unit of a reported failure is just being started or stopped.
async fn at_work(platform: &dyn Platform, known: &Failing) -> Result<bool, String> {
    let is_timer = known.key.code == slug("systemd.timer_missed");
    let Some(unit) = known.key.subject.as_deref().filter(|_| !is_timer) else {
        return Ok(false);
    };
    let found = units::properties(platform, unit).await?;
    let active = found.get("ActiveState").map_or("", String::as_str);
    Ok(!matches!(active, "active" | "inactive" | "failed" | ""))
}

/// When a unit came into its state: systemd tells it by the clock that runs since the start.
fn changed_at(platform: &dyn Platform, monotonic_us: &str, now: Timestamp) -> Timestamp {
    let changed = monotonic_us.parse().ok().map(std::time::Duration::from_micros);
    let up = system::up_for(platform.root());
    let ago = changed.zip(up).and_then(|(changed, up)| up.checked_sub(changed));
    ago.map_or(now, |ago| now.before(ago))
}

fn operation_of(unit: &str) -> Operation {
    let saves = ["backup", "restic", "borg", "rsync", "snapper", "btrbk", "rsnapshot"];
    if saves.iter().any(|part| unit.contains(part)) {
        Operation::Backup
    } else {
        Operation::Install
    }
}

fn key(name: &'static str, operation: Operation, subject: Option<String>) -> Option<IncidentKey> {
    Some(IncidentKey { product: Product::Systemd, operation, code: Some(slug(name)?), subject })
}

fn present_of(key: IncidentKey, mark: String, time: SourceTime, message: String) -> Present {
    Present { key, mark, time, source: Source::Systemd, message }
}

fn kept(known: &Failing, now: Timestamp) -> Present {
    let (key, mark) = (known.key.clone(), known.mark.clone());
    present_of(key, mark, SourceTime::utc(now), String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_are_no_text_are_passed_over() {
        let entries =
            "{\"MESSAGE\":\"one\"}\n{\"MESSAGE\":[255,1]}\nbroken\n{\"MESSAGE\":\"two\"}\n";
        assert_eq!(messages(entries), "one\ntwo");
    }
}
