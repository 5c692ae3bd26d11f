//! What the catalogue knows: codes, bindings, causes, probes and remediations, as plain data. The
//! `catalog` crate reads it from TOML; triage and planning read it from here.

mod catalogue;

pub use catalogue::Catalogue;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::code::FailureCode;
use crate::host::{OsFamily, UpdateAuthority};
use crate::overdue::OverdueKind;
use crate::probe::Question;
use crate::report::{IncidentKey, Kind, Operation, Product};
use crate::step::{Action, Step, Undo};
use crate::update_class::UpdateClass;
use crate::words;
use crate::words::Slug;

words! {
    /// A language of the product.
    pub enum Lang ("language") {
        /// English.
        En = "en",
        /// Russian.
        Ru = "ru",
    }
}

impl Lang {
    /// Of two texts, the one in this language.
    pub const fn pick<'t>(self, en: &'t str, ru: &'t str) -> &'t str {
        match self {
            Self::En => en,
            Self::Ru => ru,
        }
    }
}

/// A text in both languages of the product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// English.
    pub en: String,
    /// Russian.
    pub ru: String,
}

impl Text {
    /// The text in a language.
    pub fn get(&self, lang: Lang) -> &str {
        match lang {
            Lang::En => &self.en,
            Lang::Ru => &self.ru,
        }
    }
}

words! {
    /// How sure the meaning of a code is.
    pub enum Confidence ("confidence") {
        /// The vendor's text or message table was seen.
        Official = "official",
        /// Symbol and text stand in the SDK's headers.
        Header = "header",
        /// The symbol stands in one public table.
        CodeTable = "code-table",
        /// Judged from real logs.
        Sample = "sample",
        /// Told by users.
        Community = "community",
    }
}

words! {
    /// What a failure asks for before it is tried again.
    pub enum Retry ("retry class") {
        /// Goes by itself: try later.
        Transient = "transient",
        /// Needs a restart first.
        NeedsReboot = "needs_reboot",
        /// Needs space first.
        NeedsSpace = "needs_space",
        /// A policy decides: changing it is the admin's.
        Policy = "policy",
        /// Fails again until something is repaired.
        Permanent = "permanent",
    }
}

/// What a code means, whatever the context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeEntry {
    /// The code.
    pub code: FailureCode,
    /// Its symbolic name.
    pub symbol: Option<String>,
    /// Where it comes from: `wu`, `cbs`, `vss`, `win32`, `apt`…
    pub area: String,
    /// What it means for the operation.
    pub kind: Kind,
    /// How sure that is.
    pub confidence: Confidence,
    /// What it asks for before a retry.
    pub retry: Retry,
    /// In words.
    pub meaning: Text,
    /// Where that stands.
    pub source: String,
    /// Causes in contexts that no binding names, likeliest first.
    pub causes: Vec<Slug>,
}

/// Which causes a code has in one context, with their shares before any evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// The product.
    pub product: Product,
    /// The operation; `None` for every one.
    pub operation: Option<Operation>,
    /// The code; `None` for failures without one.
    pub code: Option<FailureCode>,
    /// The class of update where it matters.
    pub update_class: Option<UpdateClass>,
    /// Causes and their shares, each above 0; at most 0.9 in sum, the rest is *other*.
    pub causes: Vec<(Slug, f64)>,
    /// Where that stands, or `expert`.
    pub source: String,
}

/// A sentence that a program says of a failure, and the code that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The program; `None` where the system itself says so, through any program.
    pub product: Option<Product>,
    /// A part of the sentence, in lower case.
    pub text: String,
    /// What it stands for.
    pub code: FailureCode,
    /// Whether it tells this by itself, without the program being known.
    pub alone: bool,
}

words! {
    /// How strongly an answer speaks for or against a cause: a likelihood ratio from one scale.
    pub enum Strength ("strength") {
        /// 50: settles it.
        Decisive = "decisive",
        /// 10.
        Strong = "strong",
        /// 3.
        Weak = "weak",
        /// 1: says nothing.
        Nothing = "nothing",
        /// 1/3.
        WeakAgainst = "weak_against",
        /// 1/10.
        StrongAgainst = "strong_against",
        /// 1/50: rules it out.
        DecisiveAgainst = "decisive_against",
    }
}

impl Strength {
    /// The likelihood ratio.
    pub const fn ratio(self) -> f64 {
        match self {
            Self::Decisive => 50.0,
            Self::Strong => 10.0,
            Self::Weak => 3.0,
            Self::Nothing => 1.0,
            Self::WeakAgainst => 1.0 / 3.0,
            Self::StrongAgainst => 1.0 / 10.0,
            Self::DecisiveAgainst => 1.0 / 50.0,
        }
    }
}

/// How a probe's answers bear on a cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indication {
    /// The probe.
    pub probe: Slug,
    /// What *yes* says.
    pub yes: Strength,
    /// What *no* says.
    pub no: Strength,
    /// Where the strength comes from, or `expert`.
    pub source: String,
}

/// Why something fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Its stable name.
    pub id: Slug,
    /// Its short name for people.
    pub name: Text,
    /// The explanation.
    pub explanation: Text,
    /// The probes that speak for or against it.
    pub indications: Vec<Indication>,
    /// The probe that is nearest to the cause itself. Looked at before a job's first step, and after
    /// its last: *yes* then means that it is not cured. What *no* means, [`Cause::gone_by`] tells.
    pub own_probe: Option<Slug>,
    /// Remediations against it, in the order of the sources.
    pub remediations: Vec<Slug>,
    /// Those among them that only ask again what failed: while the cause is *confirmed* they meet the
    /// same failure, so a plan holds them back until a person has put it right.
    pub retries: Vec<Slug>,
    /// The products whose failures it explains; empty for any. Where no binding names the context,
    /// a code leads only to causes that fit its product: a restore point does not fail for the
    /// cache of Windows Update.
    pub products: Vec<Product>,
    /// The seed rows (S1…S50) it carries.
    pub seeds: Vec<String>,
}

impl Cause {
    /// Whether it can be why something of this product fails.
    pub fn fits(&self, product: Product) -> bool {
        self.products.is_empty() || self.products.contains(&product)
    }

    /// The own probe, where its *no* tells that the cause is gone: it speaks at least strongly against
    /// it. A weaker *no* (of one service among many, of one folder of two, of a log that may not reach
    /// back) makes the cause less likely and settles nothing: no job ends by it, nothing is proved by it.
    pub fn gone_by(&self) -> Option<&Slug> {
        self.own().filter(|i| i.no.ratio() <= Strength::StrongAgainst.ratio()).map(|i| &i.probe)
    }

    /// The own probe, where its *yes* tells as much that the cause is there, and its *no* that it is gone.
    pub fn told_by(&self) -> Option<&Slug> {
        let yes = self.own().is_some_and(|i| i.yes.ratio() >= Strength::Strong.ratio());
        self.gone_by().filter(|_| yes)
    }

    fn own(&self) -> Option<&Indication> {
        let own = self.own_probe.as_ref()?;
        self.indications.iter().find(|i| i.probe == *own)
    }
}

/// A probe: a question with a stable name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Its stable name.
    pub id: Slug,
    /// What it asks, for people.
    pub name: Text,
    /// What it asks.
    pub question: Question,
}

words! {
    /// The risk of a remediation. Ordered from harmless to never.
    pub enum Risk ("risk") {
        /// Changes little, can be undone.
        Safe = "safe",
        /// Interrupts work, or cannot be undone.
        Disruptive = "disruptive",
        /// May make things worse: two persons.
        Dangerous = "dangerous",
        /// Steps for a person.
        Guided = "guided",
        /// Never done; the reason and the better way are told.
        Refused = "refused",
    }
}

words! {
    /// Whether a remediation restarts the host.
    pub enum RebootNeed ("reboot need") {
        /// Never.
        Never = "never",
        /// Perhaps: the tools will say.
        Maybe = "maybe",
        /// Always.
        Always = "always",
    }
}

words! {
    /// How a fix is proved.
    pub enum Verification ("verification") {
        /// apt's own state: `dpkg --audit` empty and `apt-get check` clean.
        AptCheck = "apt_check",
        /// `apt-get update` without warnings.
        AptUpdate = "apt_update",
        /// `dnf makecache` fetches the metadata of every repository.
        DnfMakecache = "dnf_makecache",
        /// `dnf check` finds no fault in the installed packages.
        DnfCheck = "dnf_check",
        /// `zypper refresh` fetches the metadata of every repository.
        ZypperRefresh = "zypper_refresh",
        /// The unit starts and its result is success.
        SystemdUnit = "systemd_unit",
        /// A search for updates through the host's own update authority.
        UpdateScan = "update_scan",
        /// The next natural run of the failing operation.
        NextRun = "next_run",
        /// Only the cause's own probe.
        OwnProbe = "own_probe",
    }
}

impl Verification {
    /// Whether the proof itself changes something on the host: it starts a unit, fetches lists, or has
    /// the update agent search. The others only look.
    pub const fn changes(self) -> bool {
        match self {
            Self::AptUpdate
            | Self::DnfMakecache
            | Self::ZypperRefresh
            | Self::SystemdUnit
            | Self::UpdateScan => true,
            Self::AptCheck | Self::DnfCheck | Self::NextRun | Self::OwnProbe => false,
        }
    }

    /// The proof it gives when it passes.
    pub const fn level(self) -> crate::job::ProofLevel {
        match self {
            Self::AptCheck
            | Self::AptUpdate
            | Self::DnfMakecache
            | Self::DnfCheck
            | Self::ZypperRefresh
            | Self::SystemdUnit
            | Self::UpdateScan => crate::job::ProofLevel::Repeated,
            Self::NextRun => crate::job::ProofLevel::Observed,
            Self::OwnProbe => crate::job::ProofLevel::ProbeOnly,
        }
    }
}

words! {
    /// What a remediation costs on the network.
    pub enum NetworkCost ("network cost") {
        /// Next to nothing.
        None = "none",
        /// Some megabytes: a search, a list.
        Small = "small",
        /// Hundreds of megabytes or more: limited per site.
        Large = "large",
    }
}

/// What is done against a cause: a versioned list of typed steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remediation {
    /// Its stable name.
    pub id: Slug,
    /// Raised with every change of its steps.
    pub version: u32,
    /// The system it is for.
    pub os: OsFamily,
    /// Its short name for people.
    pub name: Text,
    /// What it does and what it does not, for people.
    pub explanation: Text,
    /// Its risk.
    pub risk: Risk,
    /// Whether it restarts the host.
    pub reboot: RebootNeed,
    /// Minutes it usually takes: its cost in the plan.
    pub minutes: u32,
    /// What it costs on the network.
    pub network: NetworkCost,
    /// The update authorities it is compatible with; empty for all.
    pub authorities: Vec<UpdateAuthority>,
    /// Its steps; empty for *guided* and *refused*.
    pub steps: Vec<Step>,
    /// For *guided*: what a person does. For *refused*: why not, and the better way.
    pub guide: Vec<Text>,
    /// How the fix is proved.
    pub verification: Verification,
    /// Probes that put it off while they answer *yes* (an update runs, a lock is held).
    pub blockers: Vec<Slug>,
    /// Whether it has not yet run on a real system of its kind.
    pub unproven: bool,
    /// The seed rows it carries.
    pub seeds: Vec<String>,
}

impl Remediation {
    /// How far it can be taken back: as far as its weakest step.
    pub fn undo(&self) -> Undo {
        self.steps.iter().map(|s| s.action.undo()).max().unwrap_or(Undo::Exact)
    }

    /// How a fix of this failure is proved. A restart that is long due is a state of the host and no
    /// operation: no run of it is ever seen, and the probe that reads the state is the proof.
    pub fn proof_of(&self, failure: &IncidentKey) -> Verification {
        let kind = OverdueKind::of(failure.code.as_ref());
        match (self.verification, kind) {
            (Verification::NextRun, Some(OverdueKind::RebootPendingAged)) => Verification::OwnProbe,
            (verification, _) => verification,
        }
    }

    /// Whether an agent can run it at all.
    pub fn is_automatic(&self) -> bool {
        !self.steps.is_empty()
            && matches!(self.risk, Risk::Safe | Risk::Disruptive | Risk::Dangerous)
    }

    /// Whether nothing of it does anything on a build: the programs that it runs are there on others
    /// only. Of an unknown build (an empty one) that is not said.
    pub fn is_idle_on(&self, build: &str) -> bool {
        let idle =
            |action: &Action| matches!(action, Action::ToolRun { tool, .. } if !tool.is_on(build));
        !build.is_empty() && !self.steps.is_empty() && self.steps.iter().all(|s| idle(&s.action))
    }

    /// SHA-256 over the canonical JSON of all of it, in lower-case hex: what an order binds.
    pub fn digest(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        hex::encode(Sha256::digest(json))
    }
}
