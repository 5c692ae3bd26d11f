//! The TOML form of the catalogue, as people write it. Every file may hold every kind of entry.

use std::collections::BTreeMap;

use fleetmend_core::code::FailureCode;
use fleetmend_core::host::{OsFamily, UpdateAuthority};
use fleetmend_core::knowledge::{
    Binding, Cause, CodeEntry, Confidence, Indication, Message, NetworkCost, Probe, RebootNeed,
    Remediation, Retry, Risk, Strength, Text, Verification,
};
use fleetmend_core::probe::Question;
use fleetmend_core::report::{Kind, Operation, Product};
use fleetmend_core::step::Step;
use fleetmend_core::update_class::UpdateClass;
use fleetmend_core::words::Slug;
use serde::Deserialize;

/// One file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Document {
    pub(crate) code: Vec<CodeForm>,
    pub(crate) binding: Vec<BindingForm>,
    pub(crate) cause: Vec<CauseForm>,
    pub(crate) probe: Vec<ProbeForm>,
    pub(crate) remediation: Vec<RemediationForm>,
    pub(crate) exit: Vec<ExitForm>,
    pub(crate) message: Vec<MessageForm>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExitForm {
    pub(crate) product: Product,
    pub(crate) statuses: Vec<i32>,
    pub(crate) code: FailureCode,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessageForm {
    product: Option<Product>,
    text: String,
    code: FailureCode,
    #[serde(default = "yes")]
    alone: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodeForm {
    code: FailureCode,
    symbol: Option<String>,
    area: String,
    kind: Kind,
    confidence: Confidence,
    retry: Retry,
    meaning: Text,
    source: String,
    #[serde(default)]
    causes: Vec<Slug>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BindingForm {
    product: Product,
    operation: Option<Operation>,
    code: Option<FailureCode>,
    update_class: Option<UpdateClass>,
    causes: BTreeMap<Slug, f64>,
    source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CauseForm {
    id: Slug,
    name: Text,
    #[serde(default)]
    explanation: Text,
    #[serde(default)]
    indications: Vec<IndicationForm>,
    own_probe: Option<Slug>,
    #[serde(default)]
    remediations: Vec<Slug>,
    #[serde(default)]
    retries: Vec<Slug>,
    #[serde(default)]
    products: Vec<Product>,
    #[serde(default)]
    seeds: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IndicationForm {
    probe: Slug,
    #[serde(default = "nothing")]
    yes: Strength,
    #[serde(default = "nothing")]
    no: Strength,
    #[serde(default = "expert")]
    source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProbeForm {
    id: Slug,
    name: Text,
    question: Question,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemediationForm {
    id: Slug,
    version: u32,
    os: OsFamily,
    name: Text,
    explanation: Text,
    risk: Risk,
    #[serde(default = "never")]
    reboot: RebootNeed,
    minutes: u32,
    #[serde(default = "no_network")]
    network: NetworkCost,
    #[serde(default)]
    authorities: Vec<UpdateAuthority>,
    #[serde(default)]
    step: Vec<Step>,
    #[serde(default)]
    guide: Vec<Text>,
    verification: Verification,
    #[serde(default)]
    blockers: Vec<Slug>,
    #[serde(default)]
    unproven: bool,
    #[serde(default)]
    seeds: Vec<String>,
}

fn yes() -> bool {
    true
}

fn nothing() -> Strength {
    Strength::Nothing
}

fn never() -> RebootNeed {
    RebootNeed::Never
}

fn no_network() -> NetworkCost {
    NetworkCost::None
}

fn expert() -> String {
    "expert".to_owned()
}

impl From<MessageForm> for Message {
    fn from(form: MessageForm) -> Self {
        let MessageForm { product, text, code, alone } = form;
        Self { product, text, code, alone }
    }
}

impl From<CodeForm> for CodeEntry {
    fn from(form: CodeForm) -> Self {
        let CodeForm { code, symbol, area, kind, confidence, retry, meaning, source, causes } =
            form;
        Self { code, symbol, area, kind, confidence, retry, meaning, source, causes }
    }
}

impl From<BindingForm> for Binding {
    fn from(form: BindingForm) -> Self {
        let mut causes: Vec<(Slug, f64)> = form.causes.into_iter().collect();
        causes.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let BindingForm { product, operation, code, update_class, source, .. } = form;
        Self { product, operation, code, update_class, causes, source }
    }
}

impl From<CauseForm> for Cause {
    fn from(form: CauseForm) -> Self {
        let indications = form.indications.into_iter().map(|i| Indication {
            probe: i.probe,
            yes: i.yes,
            no: i.no,
            source: i.source,
        });
        Self {
            id: form.id,
            name: form.name,
            explanation: form.explanation,
            indications: indications.collect(),
            own_probe: form.own_probe,
            remediations: form.remediations,
            retries: form.retries,
            products: form.products,
            seeds: form.seeds,
        }
    }
}

impl From<ProbeForm> for Probe {
    fn from(form: ProbeForm) -> Self {
        Self { id: form.id, name: form.name, question: form.question }
    }
}

impl From<RemediationForm> for Remediation {
    fn from(form: RemediationForm) -> Self {
        Self {
            id: form.id,
            version: form.version,
            os: form.os,
            name: form.name,
            explanation: form.explanation,
            risk: form.risk,
            reboot: form.reboot,
            minutes: form.minutes,
            network: form.network,
            authorities: form.authorities,
            steps: form.step,
            guide: form.guide,
            verification: form.verification,
            blockers: form.blockers,
            unproven: form.unproven,
            seeds: form.seeds,
        }
    }
}
