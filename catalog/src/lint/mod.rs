//! What a catalogue must hold to be used: nothing dangles, nothing is said in one language only,
//! no step reaches further than its remediation says.

mod complete;
mod steps;

use std::collections::BTreeSet;

use fleetmend_core::code::FailureCode;
use fleetmend_core::job::ProofLevel;
use fleetmend_core::knowledge::{
    Binding, Catalogue, Cause, CodeEntry, Indication, Message, Probe, Remediation, Risk, Strength,
    Text, Verification,
};
use fleetmend_core::limits;
use fleetmend_core::probe::{Question, is_windows_program};
use fleetmend_core::report::Product;
use fleetmend_core::step::Undo;
use fleetmend_core::triage::OTHER_AT_LEAST;
use fleetmend_core::words::Slug;

use crate::load::LintProblem;

/// Remediations (and their variants, after a dot) that are never *safe*, whatever their steps.
const NEVER_SAFE: &[&str] = &[
    "ensure_firewall_service_running",
    "restart_writer_service",
    "restore_service_start_types",
    "free_disk_space",
    "delete_oldest_shadow",
];

/// The longest time a remediation may claim, in minutes.
const MINUTES: u32 = 24 * 60;

/// All that is wrong with a catalogue.
pub fn lint(cat: &Catalogue) -> Vec<LintProblem> {
    let mut lint = Lint { cat, problems: Vec::new() };
    cat.codes.values().for_each(|entry| lint.code(entry));
    cat.bindings.iter().for_each(|binding| lint.binding(binding));
    cat.causes.values().for_each(|cause| lint.cause(cause));
    cat.probes.values().for_each(|probe| lint.probe(probe));
    cat.remediations.values().for_each(|remediation| lint.remediation(remediation));
    cat.exits.iter().for_each(|(key, code)| lint.exit(*key, code));
    cat.messages.iter().for_each(|message| lint.message(message));
    lint.unused();
    lint.whole();
    lint.problems
}

struct Lint<'a> {
    cat: &'a Catalogue,
    problems: Vec<LintProblem>,
}

impl Lint<'_> {
    fn say(&mut self, place: &str, message: impl std::fmt::Display) {
        self.problems.push(LintProblem::new(place, message));
    }

    fn both_languages(&mut self, place: &str, what: &str, text: &Text) {
        for (language, words) in [("en", &text.en), ("ru", &text.ru)] {
            if words.trim().is_empty() {
                self.say(place, format!("{what} is missing in {language}"));
            }
        }
    }

    fn has_code(&mut self, place: &str, code: &FailureCode) {
        if !self.cat.codes.contains_key(code) {
            self.say(place, format!("the code {code} does not exist"));
        }
    }

    fn exit(&mut self, (product, status): (Product, i32), code: &FailureCode) {
        self.has_code(&format!("exit code {status} of {product}"), code);
    }

    fn message(&mut self, message: &Message) {
        let place = format!("message \"{}\"", message.text);
        self.has_code(&place, &message.code);
        if message.text != message.text.to_lowercase() || message.text.chars().count() < 5 {
            self.say(&place, "the text must be in lower case, of 5 characters and more");
        }
        let mut others = self.cat.messages.iter().filter(|m| m.product == message.product);
        let first = others.find(|m| message.text.contains(&m.text));
        if first.is_some_and(|first| first != message) {
            self.say(&place, "it is never reached: one before it stands in it");
        }
    }

    fn has_cause(&mut self, place: &str, id: &Slug) {
        if !self.cat.causes.contains_key(id) {
            self.say(place, format!("the cause {id} does not exist"));
        }
    }

    fn has_probe(&mut self, place: &str, id: &Slug) {
        if !self.cat.probes.contains_key(id) {
            self.say(place, format!("the probe {id} does not exist"));
        }
    }

    fn code(&mut self, entry: &CodeEntry) {
        let place = format!("code {}", entry.code);
        self.both_languages(&place, "the meaning", &entry.meaning);
        if entry.area.is_empty() || entry.source.is_empty() {
            self.say(&place, "area and source must be given");
        }
        entry.causes.iter().for_each(|cause| self.has_cause(&place, cause));
        if entry.causes.iter().collect::<BTreeSet<_>>().len() != entry.causes.len() {
            self.say(&place, "a cause stands twice");
        }
    }

    fn binding(&mut self, binding: &Binding) {
        let code = binding.code.as_ref().map_or("no code".to_owned(), ToString::to_string);
        let operation = binding.operation.map_or("any", fleetmend_core::report::Operation::as_str);
        let place = format!("binding {} {operation} {code}", binding.product);
        if let Some(code) = &binding.code
            && !self.cat.codes.contains_key(code)
        {
            self.say(&place, format!("the code {code} does not exist"));
        }
        if binding.causes.is_empty() {
            self.say(&place, "it names no cause");
        }
        for (cause, share) in &binding.causes {
            self.has_cause(&place, cause);
            if self.cat.causes.get(cause).is_some_and(|c| !c.fits(binding.product)) {
                self.say(&place, format!("{cause} is no cause of {}", binding.product));
            }
            if !(*share > 0.0 && *share <= 1.0) {
                self.say(
                    &place,
                    format!("the share {share} of {cause} is not above 0 and at most 1"),
                );
            }
        }
        let sum: f64 = binding.causes.iter().map(|(_, share)| share).sum();
        if sum > 1.0 - OTHER_AT_LEAST + 1e-9 {
            self.say(
                &place,
                format!("the shares sum to {sum:.2}; 0.9 is the most: the rest is other"),
            );
        }
        if binding.source.is_empty() {
            self.say(&place, "the source is missing: name it, or write expert");
        }
    }

    fn cause(&mut self, cause: &Cause) {
        let place = format!("cause {}", cause.id);
        self.both_languages(&place, "the name", &cause.name);
        if is_told(cause) {
            self.both_languages(&place, "the explanation", &cause.explanation);
        }
        let mut seen = BTreeSet::new();
        for indication in &cause.indications {
            self.has_probe(&place, &indication.probe);
            if !seen.insert(&indication.probe) {
                self.say(&place, format!("the probe {} stands twice", indication.probe));
            }
            if indication.yes == Strength::Nothing && indication.no == Strength::Nothing {
                self.say(&place, format!("the probe {} says nothing", indication.probe));
            }
            if indication.source.is_empty() {
                self.say(&place, format!("the source of {} is missing", indication.probe));
            }
        }
        cause.remediations.iter().for_each(|id| {
            if !self.cat.remediations.contains_key(id) {
                self.say(&place, format!("the remediation {id} does not exist"));
            }
        });
        for id in cause.retries.iter().filter(|id| !cause.remediations.contains(id)) {
            self.say(&place, format!("the retry {id} is not among its remediations"));
        }
        if !cause.retries.is_empty() && cause.retries.len() >= cause.remediations.len() {
            self.say(&place, "all its remediations are retries: name what a person does first");
        }
        self.own_probe(&place, cause);
        self.seeds(&place, &cause.seeds);
    }

    /// The probe that is the cause itself: wanted wherever an agent acts against the cause.
    fn own_probe(&mut self, place: &str, cause: &Cause) {
        let cat = self.cat;
        let automatic = || {
            let found = cause.remediations.iter().filter_map(|id| cat.remediations.get(id));
            found.filter(|r| r.is_automatic())
        };
        let present = |id: &Slug| cat.probes.get(id).is_some_and(|p| !p.question.is_of_the_past());
        let Some(own) = &cause.own_probe else {
            // A question that tells both ways of the present state is the cause's own. Where there
            // is none, the operation itself, repeated or observed, is the only proof.
            let both_ways = |i: &Indication| {
                i.yes.ratio() >= Strength::Strong.ratio()
                    && i.no.ratio() <= Strength::StrongAgainst.ratio()
                    && present(&i.probe)
            };
            let could = cause.indications.iter().any(both_ways);
            let proves = |r: &&Remediation| r.verification.level() != ProofLevel::ProbeOnly;
            if let Some(first) = automatic().find(|r| could || !proves(r)) {
                let id = &first.id;
                self.say(
                    place,
                    format!("own_probe is missing, and {id} acts against it by itself"),
                );
            }
            return;
        };
        if cat.probes.contains_key(own) && !present(own) {
            let why = "it is read from logs, which still say so when the cause is gone";
            self.say(place, format!("{own} cannot be own_probe: {why}"));
        }
        self.has_probe(place, own);
        match cause.indications.iter().find(|i| i.probe == *own) {
            None => self.say(place, format!("own_probe {own} is not among its indications")),
            Some(i) if i.no.ratio() >= 1.0 => {
                self.say(place, format!("own_probe {own}: its no must speak against the cause"));
            }
            Some(_) => {}
        }
        for remediation in automatic() {
            let answers =
                cat.probes.get(own).is_some_and(|p| p.question.has_answer_on(remediation.os));
            if cat.probes.contains_key(own) && !answers {
                let (id, os) = (&remediation.id, remediation.os);
                self.say(place, format!("own_probe {own} has no answer on {os}, where {id} acts"));
            }
        }
    }

    fn probe(&mut self, probe: &Probe) {
        let place = format!("probe {}", probe.id);
        self.both_languages(&place, "the name", &probe.name);
        if !probe.question.systems().iter().any(|os| probe.question.has_answer_on(*os)) {
            self.say(&place, "no system has both the question and what it names");
        }
        match &probe.question {
            Question::AptUpdateError { contains } | Question::LogSays { contains } => {
                if contains.trim().len() < 4 {
                    self.say(&place, "contains must have at least 4 characters");
                }
            }
            Question::ProcessRuns { programs } => {
                let plain = |name: &String| !name.is_empty() && !name.contains(['/', '\\']);
                let windows = programs.iter().filter(|name| is_windows_program(name)).count();
                if programs.is_empty() || !programs.iter().all(plain) {
                    self.say(&place, "programs must be file names");
                } else if windows != 0 && windows != programs.len() {
                    self.say(&place, "programs must all be of one system");
                }
            }
            Question::Missing { place: at }
            | Question::Exists { place: at }
            | Question::StaleFolder { place: at, .. } => self.place(&place, at),
            Question::RegistryNot { key, name, accepted, .. } => {
                if key.is_empty() || name.is_empty() || accepted.is_empty() {
                    self.say(&place, "key, name and accepted must be given");
                }
            }
            Question::RegistryIs { key, name, values, .. } => {
                if key.is_empty() || name.is_empty() || values.is_empty() {
                    self.say(&place, "key, name and values must be given");
                }
            }
            Question::RegistrySet { key, name, .. } => {
                if key.is_empty() || name.is_empty() {
                    self.say(&place, "key and name must be given");
                }
            }
            Question::EventSeen { channel, providers, ids, days, says } => {
                if channel.is_empty() || providers.is_empty() || ids.is_empty() || *days == 0 {
                    self.say(&place, "channel, providers, ids and days must be given");
                }
                if says.as_ref().is_some_and(|text| text.trim().len() < 3) {
                    self.say(&place, "says must have at least 3 characters");
                }
            }
            Question::AclLacks { place: at, sids } => {
                self.place(&place, at);
                if sids.is_empty() || !sids.iter().all(|sid| sid.starts_with("S-1-")) {
                    self.say(&place, "sids must be SIDs: S-1-5-20");
                }
            }
            Question::FailureEvent { providers, ids } => {
                if providers.is_empty() || ids.is_empty() {
                    self.say(&place, "providers and ids must be given");
                }
            }
            Question::UpdateMissing { any_of, builds } => {
                if any_of.is_empty() || builds.is_empty() {
                    self.say(&place, "any_of and builds must be given");
                }
            }
            Question::UpdateServer { .. }
            | Question::FeaturesFromServerOnly
            | Question::FileUnsigned { .. }
            | Question::Proxy { .. }
            | Question::EndpointUnreachable
            | Question::PartitionSmall { .. }
            | Question::BackupTarget { .. }
            | Question::ShadowStorageSmall { .. }
            | Question::ShadowCopiesMany { .. }
            | Question::SnapshotUnderWay
            | Question::DefenderDown
            | Question::HostsFileRedirects
            | Question::RepairSourceMissing
            | Question::ComLaunchDenied
            | Question::Tls12Off
            | Question::VssWriterFailed
            | Question::VssProviderForeign
            | Question::ProfileFolderMissing
            | Question::OnBattery
            | Question::MeteredNetwork
            | Question::MemoryLow { .. }
            | Question::ForeignAntivirus
            | Question::DiskFull { .. }
            | Question::ReadOnly { .. }
            | Question::DpkgInterrupted
            | Question::DpkgReinstRequired
            | Question::DpkgScriptFails
            | Question::AptBrokenDeps
            | Question::AptLockHeld
            | Question::AptPeriodicStale { .. }
            | Question::RebootPending
            | Question::ClockWrong
            | Question::NameResolutionFails
            | Question::Service { .. }
            | Question::RpmLockHeld
            | Question::RpmDbDamaged
            | Question::DnfCheckFails
            | Question::BackupLockDead
            | Question::SystemdUnitFailed
            | Question::SystemdTimerMissed
            | Question::LibraryReparse { .. }
            | Question::StoreDamaged
            | Question::SfcUnrepairable
            | Question::FailurePathMissing => {}
        }
    }

    fn remediation(&mut self, r: &Remediation) {
        let place = format!("remediation {}", r.id);
        self.both_languages(&place, "the name", &r.name);
        self.both_languages(&place, "the explanation", &r.explanation);
        r.guide.iter().for_each(|text| self.both_languages(&place, "a line of the guide", text));
        if r.version == 0 {
            self.say(&place, "versions begin at 1");
        }
        if !(1..=MINUTES).contains(&r.minutes) {
            self.say(&place, format!("minutes must be 1 to {MINUTES}"));
        }
        match r.risk {
            Risk::Guided | Risk::Refused => {
                if !r.steps.is_empty() {
                    self.say(&place, format!("a {} remediation has no steps", r.risk));
                }
                if r.guide.is_empty() {
                    self.say(&place, format!("a {} remediation needs a guide", r.risk));
                }
            }
            Risk::Safe | Risk::Disruptive | Risk::Dangerous => {
                if !(1..=limits::STEPS).contains(&r.steps.len()) {
                    self.say(&place, format!("it must have 1 to {} steps", limits::STEPS));
                }
            }
        }
        if r.risk == Risk::Safe {
            if r.undo() == Undo::None {
                self.say(&place, "a step has no undo: it is at least disruptive");
            }
            let stem = r.id.as_str().split('.').next().unwrap_or_default();
            if NEVER_SAFE.contains(&stem) {
                self.say(&place, "this kind of remediation is never safe");
            }
        }
        self.verification(&place, r);
        for blocker in &r.blockers {
            self.has_probe(&place, blocker);
            let probe = self.cat.probes.get(blocker);
            if probe.is_some_and(|p| !p.question.has_answer_on(r.os)) {
                self.say(&place, format!("the blocker {blocker} has no answer on {}", r.os));
            }
        }
        self.seeds(&place, &r.seeds);
        self.steps(&place, r);
    }

    fn verification(&mut self, place: &str, r: &Remediation) {
        let system = match r.verification {
            Verification::AptCheck
            | Verification::AptUpdate
            | Verification::DnfMakecache
            | Verification::DnfCheck
            | Verification::ZypperRefresh
            | Verification::SystemdUnit => Some(fleetmend_core::host::OsFamily::Linux),
            Verification::UpdateScan => Some(fleetmend_core::host::OsFamily::Windows),
            Verification::NextRun | Verification::OwnProbe => None,
        };
        if system.is_some_and(|os| os != r.os) {
            self.say(place, format!("{} cannot verify on {}", r.verification, r.os));
        }
        let unprobed = |c: &&Cause| c.gone_by().is_none() && c.remediations.contains(&r.id);
        if r.is_automatic()
            && r.verification == Verification::OwnProbe
            && let Some(cause) = self.cat.causes.values().find(unprobed)
        {
            let why = "has no own_probe whose no settles it";
            self.say(place, format!("nothing verifies it: {} {why}", cause.id));
        }
    }

    fn seeds(&mut self, place: &str, seeds: &[String]) {
        for seed in seeds {
            let number = seed.strip_prefix('S').and_then(|n| n.parse::<u32>().ok());
            if !number.is_some_and(|n| (1..=50).contains(&n)) {
                self.say(place, format!("the seed {seed} is not one of S1 to S50"));
            }
        }
    }

    /// Entries that nothing leads to.
    fn unused(&mut self) {
        let cat = self.cat;
        let bound = cat.bindings.iter().flat_map(|b| b.causes.iter().map(|(cause, _)| cause));
        let reached: BTreeSet<&Slug> =
            cat.codes.values().flat_map(|c| &c.causes).chain(bound).collect();
        for cause in cat.causes.values().filter(|c| is_told(c) && !reached.contains(&c.id)) {
            self.say(&format!("cause {}", cause.id), "no code and no binding leads to it");
        }
        let used: BTreeSet<&Slug> = cat.causes.values().flat_map(|c| &c.remediations).collect();
        for id in cat.remediations.keys().filter(|id| !used.contains(id)) {
            self.say(&format!("remediation {id}"), "no cause names it");
        }
        let asked = cat.causes.values().flat_map(|c| c.indications.iter().map(|i| &i.probe));
        let blocks = cat.remediations.values().flat_map(|r| &r.blockers);
        let asked: BTreeSet<&Slug> = asked.chain(blocks).collect();
        for id in cat.probes.keys().filter(|id| !asked.contains(id)) {
            self.say(&format!("probe {id}"), "no cause and no blocker asks it");
        }
    }
}

/// Whether a cause is more than a name: it is explained, recognised or acted against.
fn is_told(cause: &Cause) -> bool {
    !cause.explanation.en.is_empty()
        || !cause.explanation.ru.is_empty()
        || !cause.indications.is_empty()
        || !cause.remediations.is_empty()
}

#[cfg(test)]
mod tests;
