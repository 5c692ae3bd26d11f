//! What can be wrong with a simulated host: the table in `models/models.toml`, typed and checked.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use fleetmend_core::code::FailureCode;
use fleetmend_core::evidence::Answer;
use fleetmend_core::host::OsFamily;
use fleetmend_core::report::{Operation, Product};
use fleetmend_core::words;
use fleetmend_core::words::Slug;
use serde::Deserialize;

words! {
    /// Which of a host's own runs a fault makes fail.
    pub enum Work ("work") {
        /// The search for updates.
        Scan = "scan",
        /// The download of an update.
        Download = "download",
        /// The installation of an update.
        Install = "install",
        /// The servicing of a package.
        Servicing = "servicing",
        /// The backup of files.
        Backup = "backup",
        /// The image of the system.
        Image = "image",
        /// A shadow copy.
        Snapshot = "snapshot",
        /// The fetching of package lists.
        Lists = "lists",
        /// The installation of packages.
        Upgrade = "upgrade",
        /// None: it is a state that the host is in.
        State = "state",
    }
}

words! {
    /// How a run leaves its mark, in the form that the real system writes.
    pub enum Trace ("trace") {
        /// A row of ReportingEvents.log.
        Reporting = "reporting",
        /// Lines of WindowsUpdate.log; successes in ReportingEvents.log.
        UpdateLog = "update_log",
        /// An event of the update client.
        UpdateEvent = "update_event",
        /// A session of CBS.log.
        Cbs = "cbs",
        /// An event of Windows Backup.
        BackupEvent = "backup_event",
        /// An event of the backup engine.
        ImageEvent = "image_event",
        /// An event of the shadow-copy service.
        VssEvent = "vss_event",
        /// dpkg's journal, left behind.
        Interrupted = "interrupted",
        /// A half-configured package, dpkg.log and apt's term.log.
        Script = "script",
        /// What `apt-get check` says.
        Deps = "deps",
        /// The journal of apt's timers.
        Journal = "journal",
        /// The log of unattended-upgrades.
        Unattended = "unattended",
        /// apt's term.log and history.log.
        Term = "term",
        /// A failed systemd unit.
        Unit = "unit",
        /// A systemd timer that no longer runs.
        Timer = "timer",
        /// apt's own timers, disabled.
        Idle = "idle",
    }
}

/// How a host answers one probe; the rest to 1 is *unknown*.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Share of *yes*.
    pub yes: f64,
    /// Share of *no*.
    pub no: f64,
}

impl Rates {
    /// Draws an answer.
    pub fn draw(self, rng: &mut fastrand::Rng) -> Answer {
        let x = rng.f64();
        if x < self.yes {
            Answer::Yes
        } else if x < self.yes + self.no {
            Answer::No
        } else {
            Answer::Unknown
        }
    }
}

/// What a fault is reported as.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The product.
    pub product: Product,
    /// The operation.
    pub operation: Operation,
    /// The code.
    pub code: FailureCode,
}

/// What helps against a fault, and how often.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cure {
    /// What must be done, as the simulation sees it: `moved:PLACE`, `tool:ARGUMENT`,
    /// `service:NAME`, `started:NAME`, `asked:TIMES` or `boot`.
    pub by: String,
    /// Whether it takes hold at the next restart only: until then the work fails.
    #[serde(default)]
    pub boot: bool,
    /// The share it cures.
    #[serde(default)]
    pub cured: f64,
    /// The share in which the probes turn clean and the work still fails.
    #[serde(default)]
    pub partly: f64,
    /// The share in which another fault comes on top.
    #[serde(default)]
    pub worse: f64,
}

/// One way for a host to fail.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its name.
    pub id: String,
    /// The system it happens on.
    pub os: OsFamily,
    /// The hidden truth: a cause of the catalogue.
    pub cause: Slug,
    /// How often it is drawn beside others.
    pub weight: u32,
    /// What fails.
    pub work: Work,
    /// How that shows.
    pub trace: Trace,
    /// What it is reported as.
    pub expect: Expect,
    /// The words of its log lines.
    pub words: String,
    /// A Windows service that it disables.
    pub service: Option<String>,
    /// A systemd unit that it concerns.
    pub unit: Option<String>,
    /// Hours after which it goes away by itself.
    pub heals_h: Option<u32>,
    /// Hours after a cure until it is there again: what brought it was never taken away.
    pub relapses_h: Option<u32>,
    /// Other faults that come with it and lie beneath: of the same work, one shows when this one is
    /// gone.
    #[serde(default)]
    pub with: Vec<String>,
    /// How the host answers while it is there.
    #[serde(default)]
    pub probes: BTreeMap<Slug, Rates>,
    /// The values that go with *yes*.
    #[serde(default)]
    pub values: BTreeMap<Slug, String>,
    /// What helps.
    #[serde(default)]
    pub cure: Vec<Cure>,
}

impl Model {
    /// Whether the failure can be logged as often as wanted, each time as a failure of its own.
    pub const fn repeats(&self) -> bool {
        matches!(self.trace, Trace::Reporting | Trace::UpdateLog | Trace::Cbs)
    }

    /// A Win32 or component code, where the code is one.
    pub const fn hresult(&self) -> Option<u32> {
        match self.expect.code {
            FailureCode::Hresult(code) => Some(code),
            _ => None,
        }
    }
}

words! {
    /// What is wrong with a host itself, whatever fails on it.
    #[derive(Default)]
    pub enum Ailment ("ailment") {
        /// Nothing: it answers, and restarts as hosts do.
        #[default]
        None = "none",
        /// It is switched off for weeks.
        Offline = "offline",
        /// It says nothing any more once a job has begun.
        Silent = "silent",
        /// Its restarts take long.
        SlowReboot = "slow_reboot",
    }
}

/// How often hosts behave in a way of their own.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manner {
    /// In which way.
    pub ailment: Ailment,
    /// The share of hosts that do.
    pub share: f64,
    /// The least and most minutes it lasts.
    pub minutes: (u32, u32),
}

/// The whole table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Models {
    /// What hosts do beside their faults; the rest behave as hosts should.
    #[serde(rename = "manner")]
    pub manners: Vec<Manner>,
    /// How hosts answer where no fault speaks.
    pub noise: BTreeMap<Slug, Rates>,
    /// The faults.
    #[serde(rename = "model")]
    pub all: Vec<Model>,
}

impl Models {
    /// The model of a name.
    pub fn get(&self, id: &str) -> Option<&Model> {
        self.all.iter().find(|m| m.id == id)
    }
}

/// The table that this program was built with.
///
/// # Panics
/// Where the table in the source is wrong, which a test finds.
pub fn models() -> &'static Models {
    static MODELS: OnceLock<Models> = OnceLock::new();
    MODELS.get_or_init(|| {
        toml::from_str(include_str!("../models/models.toml"))
            .unwrap_or_else(|error| panic!("models.toml: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_is_sound_and_names_what_the_catalogue_knows() {
        let catalogue = fleetmend_catalog::builtin();
        let models = models();
        let ids: BTreeSet<_> = models.all.iter().map(|m| &m.id).collect();
        assert_eq!(ids.len(), models.all.len(), "an id twice");
        assert!(models.all.len() >= 40, "{}", models.all.len());
        let mut rates: Vec<_> = models.noise.iter().collect();
        for model in &models.all {
            assert!(catalogue.causes.contains_key(&model.cause), "{}: {}", model.id, model.cause);
            rates.extend(&model.probes);
            for other in &model.with {
                let other = models.get(other).unwrap_or_else(|| panic!("{}: {other}", model.id));
                assert_eq!((other.os, other.with.len()), (model.os, 0), "{}", model.id);
            }
            for cure in &model.cure {
                let sum = cure.cured + cure.partly + cure.worse;
                assert!((0.0..=1.0).contains(&sum), "{}", model.id);
            }
        }
        for (probe, rate) in rates {
            assert!(catalogue.probes.contains_key(probe), "{probe} is no probe");
            assert!((0.0..=1.0 + 1e-9).contains(&(rate.yes + rate.no)), "{probe}");
        }
        let shares: f64 = models.manners.iter().map(|m| m.share).sum();
        assert!((0.0..0.5).contains(&shares), "most hosts behave: {shares}");
        assert!(models.manners.iter().all(|m| m.minutes.0 <= m.minutes.1));
    }

    #[test]
    fn every_kind_of_trouble_has_a_model() {
        let has = |what: &str, is: &dyn Fn(&Model) -> bool| {
            assert!(models().all.iter().any(is), "no model {what}");
        };
        has("with several faults at once", &|m| !m.with.is_empty());
        has("that remediations often make worse", &|m| m.cure.iter().any(|c| c.worse >= 0.25));
        has("that comes back", &|m| m.relapses_h.is_some());
        has("that goes by itself", &|m| m.heals_h.is_some() && m.cure.is_empty());
        has("that a restart cures", &|m| m.cure.iter().any(|c| c.by == "boot"));
        has("whose cure needs a restart", &|m| m.cure.iter().any(|c| c.boot));
        has("that nothing cures", &|m| m.cure.is_empty() && m.heals_h.is_none());
        has("that is only masked", &|m| m.cure.iter().any(|c| c.partly > 0.0));
        for ailment in Ailment::ALL.iter().filter(|a| **a != Ailment::None) {
            let drawn = models().manners.iter().any(|m| m.ailment == *ailment && m.share > 0.0);
            assert!(drawn, "{ailment} is never drawn");
        }
    }
}
