//! What is wrong with dpkg's and apt's present state.

use std::time::Duration;

use fleetmend_core::code::FailureCode;
use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::limits;
use fleetmend_core::report::{IncidentKey, Operation, Product, Recovery, Source};
use fleetmend_core::time::{SourceTime, Timestamp};

use super::apt_logs::{Failure, Run, runs, unfinished_configure};
use super::cursor::{Checked, Failing};
use super::dpkg::Dpkg;
use super::tail::added;
use super::{Live, Observed, lock};
use crate::collect::draft::{Draft, slug};
use crate::platform::{Platform, Program};

/// Packages whose own condition is reported at once.
const PACKAGES: usize = 50;

/// A condition that is there now.
pub(super) struct Present {
    pub key: IncidentKey,
    /// What tells this occurrence from a later one.
    pub mark: String,
    pub time: SourceTime,
    pub source: Source,
    pub message: String,
}

impl Live {
    /// Compares what is wrong now with what was reported.
    pub(super) async fn conditions(
        &mut self,
        platform: &dyn Platform,
        now: Timestamp,
        observed: &mut Observed,
    ) {
        match lock::holder(&self.root, &lock::LOCKS[..2]) {
            // A package tool is at work: what is half done is not broken.
            Ok(Some(_)) => return,
            Ok(None) => {}
            Err(e) => observed.notes.push(format!("dpkg's locks cannot be asked: {e}")),
        }
        let dpkg = match Dpkg::read(&self.root) {
            Ok(Some(dpkg)) => dpkg,
            Ok(None) => return,
            Err(e) => {
                observed.notes.push(format!("dpkg's state cannot be read: {e}"));
                return;
            }
        };
        let mut present = self.packages(&dpkg, now);
        match self.dependencies(platform, &dpkg).await {
            Ok(Some(words)) => present.extend(present_of(
                "apt.broken_deps",
                None,
                String::new(),
                SourceTime::utc(dpkg.changed.min(now)),
                Source::Apt,
                words,
            )),
            Ok(None) => {}
            Err(note) => {
                // Not found out: what was reported stays as it is.
                observed.notes.extend(note);
                let kept = |f: &&Failing| is(&f.key, "apt.broken_deps");
                present.extend(self.cursor.failing.iter().find(kept).map(|f| Present {
                    key: f.key.clone(),
                    mark: f.mark.clone(),
                    time: SourceTime::utc(now),
                    source: Source::Apt,
                    message: String::new(),
                }));
            }
        }
        let gone = "no longer so by dpkg's own state";
        compare(&mut self.cursor.failing, present, (now, gone), self.catalogue, observed);
    }

    /// What is wrong with packages.
    fn packages(&self, dpkg: &Dpkg, now: Timestamp) -> Vec<Present> {
        let mut present = Vec::new();
        let changed = SourceTime::utc(dpkg.changed.min(now));
        if let Some(words) = dpkg.words() {
            present.extend(present_of(
                "apt.dpkg_interrupted",
                None,
                String::new(),
                changed,
                Source::Dpkg,
                words,
            ));
        }
        for (name, package) in dpkg.reinstall().take(PACKAGES) {
            let words = format!("{name} is {} and needs to be installed again", package.state);
            let name = Some(name.to_owned());
            present.extend(present_of(
                "apt.half_installed",
                name,
                String::new(),
                changed,
                Source::Dpkg,
                words,
            ));
        }
        // Only a dpkg that came to its own end says of a script that it failed: a journal that is
        // left means that dpkg itself was stopped.
        if dpkg.journal == 0 {
            let tried = |state: &str| matches!(state, "half-configured" | "unpacked");
            let waiting = dpkg.waiting().filter(|(_, p)| tried(&p.state));
            let names: Vec<_> = waiting.map(|(n, _)| n).take(PACKAGES).collect();
            present.extend(names.into_iter().filter_map(|name| self.script(name)));
        }
        present
    }

    /// Whether the last attempt to configure a package ended in an error.
    fn script(&self, name: &str) -> Option<Present> {
        let attempt = configure_attempt(&self.root, name)?;
        let told = last_failure(&self.root, name, attempt);
        let (slug, words) = match told {
            Some(failure) => (failure.slug, failure.words),
            None => (
                "apt.maintainer_script",
                format!(
                    "dpkg came to its end and left {name} half-configured: its configuration script failed"
                ),
            ),
        };
        let time = self.zone.source_time(attempt);
        present_of(slug, Some(name.to_owned()), attempt.to_string(), time, Source::Dpkg, words)
    }

    /// Whether apt calls dependencies unmet: asked only when dpkg's files have changed.
    async fn dependencies(
        &mut self,
        platform: &dyn Platform,
        dpkg: &Dpkg,
    ) -> Result<Option<String>, Option<String>> {
        if dpkg.journal > 0 {
            // apt refuses to look at anything before dpkg is configured; that is reported already.
            return Err(None);
        }
        let changed = dpkg.changed.as_millis();
        let words = |broken: bool| {
            broken.then(|| "apt-get check: packages have unmet dependencies".to_owned())
        };
        if let Some(known) = self.cursor.checked.filter(|c| c.changed == changed) {
            return Ok(words(known.broken));
        }
        match broken_dependencies(platform).await {
            Ok(found) => {
                self.cursor.checked = Some(Checked { changed, broken: found.is_some() });
                Ok(found)
            }
            Err(why) => Err(Some(format!("dependencies could not be checked: {why}"))),
        }
    }
}

/// Compares what is wrong now with what was reported: what is new is a failure, what is gone a
/// recovery, in the words of `gone`.
pub(super) fn compare(
    failing: &mut Vec<Failing>,
    present: Vec<Present>,
    (now, gone): (Timestamp, &str),
    catalogue: &Catalogue,
    observed: &mut Observed,
) {
    let before = std::mem::take(failing);
    for last in &before {
        if !present.iter().any(|p| p.key == last.key) {
            let key = last.key.clone();
            observed.cleared.push(key.clone());
            observed.recoveries.push(Recovery { key, at: now, message: gone.to_owned() });
        }
    }
    for condition in present {
        let found = Failing { key: condition.key.clone(), mark: condition.mark };
        if !before.contains(&found) {
            let draft = Draft {
                product: condition.key.product,
                operation: condition.key.operation,
                code: condition.key.code,
                subject: condition.key.subject,
                time: condition.time,
                source: condition.source,
                event: None,
                line: None,
                count: None,
                update_class: None,
                message: condition.message,
            };
            observed.failures.push(draft.finish(catalogue));
        }
        failing.push(found);
    }
}

/// The wall clock of the last attempt to configure `name` that did not end in *installed*, by
/// dpkg.log.
pub(crate) fn configure_attempt(root: &std::path::Path, name: &str) -> Option<i64> {
    let folder = root.join("var/log");
    let mut text = Vec::new();
    for file in ["dpkg.log.1", "dpkg.log"] {
        if let Ok(Some(piece)) = added(&folder.join(file), None) {
            text.extend_from_slice(&piece.text);
        }
    }
    unfinished_configure(&text, name)
}

/// What apt's term log says of the last failure of `name`, not before `since` (a wall clock).
pub(crate) fn last_failure(root: &std::path::Path, name: &str, since: i64) -> Option<Failure> {
    let piece = added(&root.join("var/log/apt/term.log"), None).ok()??;
    let recent = |run: &Run| run.end >= since;
    let failures = runs(&piece.text).0.into_iter().filter(recent).flat_map(|run| run.failures);
    failures.fold(None, |last, f| if f.package.as_deref() == Some(name) { Some(f) } else { last })
}

/// Asks `apt-get check`, without a lock and without writing its caches: `None` where all
/// dependencies are met.
pub(crate) async fn broken_dependencies(platform: &dyn Platform) -> Result<Option<String>, String> {
    let args = [
        "-q",
        "-o",
        "Debug::NoLocking=true",
        "-o",
        "Dir::Cache::pkgcache=",
        "-o",
        "Dir::Cache::srcpkgcache=",
        "check",
    ];
    let program = Program {
        path: "/usr/bin/apt-get".to_owned(),
        args: args.map(str::to_owned).to_vec(),
        timeout: limits::PROBE_TIME.max(Duration::from_secs(30)),
        max_output: limits::PROBE_OUTPUT_BYTES,
    };
    let exit = platform.run(&program, &mut |_: &[u8]| {}).await.map_err(|e| e.to_string())?;
    let text = exit.text();
    if exit.timed_out {
        return Err("apt-get check took too long".to_owned());
    }
    if exit.status == Some(0) {
        return Ok(None);
    }
    if text.to_lowercase().contains("unmet dependencies") {
        let lines: Vec<_> =
            text.lines().map(str::trim).filter(|l| !l.is_empty()).take(12).collect();
        return Ok(Some(format!("apt-get check: {}", lines.join(" "))));
    }
    Err(format!("apt-get check ended with {:?}: {}", exit.status, text.trim()))
}

fn present_of(
    name: &'static str,
    subject: Option<String>,
    mark: String,
    time: SourceTime,
    source: Source,
    message: String,
) -> Option<Present> {
    let operation = Operation::Install;
    let key = IncidentKey { product: Product::Apt, operation, code: Some(slug(name)?), subject };
    Some(Present { key, mark, time, source, message })
}

fn is(key: &IncidentKey, name: &'static str) -> bool {
    matches!(&key.code, Some(FailureCode::Slug(slug)) if slug.as_str() == name)
}
