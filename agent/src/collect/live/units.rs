//! What is wrong with systemd's units that update or save the system, and with apt's periodic work.
//! Where systemd does not run nothing is said, and nothing taken back.

use fleetmend_core::report::{IncidentKey, Operation, Product, Source};
use fleetmend_core::time::{SourceTime, Timestamp};

use super::conditions::{Present, compare};
use super::cursor::Failing;
use super::{Live, Observed};
use crate::collect::draft::slug;
use crate::platform::Platform;
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
                    let code = slug(name);
                    let same = self.cursor.units.iter().filter(|f| f.key.code == code);
                    present.extend(same.map(|known| kept(known, now)));
                }
            }
        }
        let gone = "no longer so by systemd's own state";
        compare(&mut self.cursor.units, present, (now, gone), self.catalogue, observed);
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

/// A failed unit. Another failed run of it is another occurrence.
async fn failed(
    platform: &dyn Platform,
    unit: &str,
    now: Timestamp,
) -> Result<Option<Present>, String> {
    let found = units::properties(platform, unit).await?;
    let get = |name: &str| found.get(name).map_or("", String::as_str);
    if get("ActiveState") != "failed" {
        return Ok(None);
    }
    let result = get("Result");
    let words = format!("{unit} failed; systemd calls its result \"{result}\"");
    let time = SourceTime::utc(changed_at(platform, get("StateChangeTimestampMonotonic"), now));
    let key = key("systemd.unit_failed", operation_of(unit), Some(unit.to_owned()));
    Ok(key.map(|key| present_of(key, get("InvocationID").to_owned(), time, words)))
}

/// Whether the unit of a reported failure is just being started or stopped.
async fn at_work(platform: &dyn Platform, known: &Failing) -> Result<bool, String> {
    let failed_unit = known.key.code == slug("systemd.unit_failed");
    let Some(unit) = known.key.subject.as_deref().filter(|_| failed_unit) else {
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
