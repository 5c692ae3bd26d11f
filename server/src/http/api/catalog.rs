//! `/api/v1/catalog`: what the catalogue knows.

use fleetmend_catalog::Wish;
use fleetmend_core::code::CodeReading;
use fleetmend_core::knowledge::{Cause, Lang, Remediation};
use fleetmend_core::report::{Operation, Product};
use fleetmend_core::update_class::UpdateClass;
use serde::Serialize;

use crate::http::call::{Call, ok};
use crate::http::csv::Column;
use crate::http::paging;
use crate::http::problem::Problem;
use crate::http::route::Answer;

const CAUSES: &[Column] = &[
    ("id", "/id"),
    ("name", "/name"),
    ("explanation", "/explanation"),
    ("probes", "/probes"),
    ("remediations", "/remediations"),
    ("seeds", "/seeds"),
];
const REMEDIATIONS: &[Column] = &[
    ("id", "/id"),
    ("version", "/version"),
    ("os", "/os"),
    ("name", "/name"),
    ("risk", "/risk"),
    ("reboot", "/reboot"),
    ("undo", "/undo"),
    ("steps", "/steps"),
    ("verification", "/verification"),
    ("unproven", "/unproven"),
    ("digest", "/digest"),
];

/// A cause.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CauseView {
    /// Its name in the catalogue.
    pub(crate) id: String,
    /// Its name for people.
    pub(crate) name: String,
    /// The explanation.
    pub(crate) explanation: String,
    /// The probes that speak for or against it.
    pub(crate) probes: Vec<String>,
    /// Remediations against it.
    pub(crate) remediations: Vec<String>,
    /// The seed rows that it carries.
    pub(crate) seeds: Vec<String>,
}

impl From<&Cause> for CauseView {
    fn from(cause: &Cause) -> Self {
        Self {
            id: cause.id.to_string(),
            name: cause.name.en.clone(),
            explanation: cause.explanation.en.clone(),
            probes: cause.indications.iter().map(|i| i.probe.to_string()).collect(),
            remediations: cause.remediations.iter().map(ToString::to_string).collect(),
            seeds: cause.seeds.clone(),
        }
    }
}

/// A remediation.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct RemediationView {
    /// Its name in the catalogue.
    pub(crate) id: String,
    /// Its version.
    pub(crate) version: u32,
    /// SHA-256 of all of it: what an order binds.
    pub(crate) digest: String,
    /// windows or linux.
    pub(crate) os: &'static str,
    /// Its name for people.
    pub(crate) name: String,
    /// What it does and what not.
    pub(crate) explanation: String,
    /// safe, disruptive, dangerous, guided or refused.
    pub(crate) risk: &'static str,
    /// never, maybe or always.
    pub(crate) reboot: &'static str,
    /// exact, compensating or none.
    pub(crate) undo: &'static str,
    /// Minutes that it usually takes.
    pub(crate) minutes: u32,
    /// Its steps in words.
    pub(crate) steps: Vec<String>,
    /// What a person does, or why it is never done.
    pub(crate) guide: Vec<String>,
    /// How the fix is proved.
    pub(crate) verification: &'static str,
    /// Whether it has not yet run on a real system of its kind.
    pub(crate) unproven: bool,
}

impl From<&Remediation> for RemediationView {
    fn from(r: &Remediation) -> Self {
        Self {
            id: r.id.to_string(),
            version: r.version,
            digest: r.digest(),
            os: r.os.as_str(),
            name: r.name.en.clone(),
            explanation: r.explanation.en.clone(),
            risk: r.risk.as_str(),
            reboot: r.reboot.as_str(),
            undo: r.undo().as_str(),
            minutes: r.minutes,
            steps: r.steps.iter().map(|s| s.action.title()).collect(),
            guide: r.guide.iter().map(|text| text.en.clone()).collect(),
            verification: r.verification.as_str(),
            unproven: r.unproven,
        }
    }
}

/// Reads a code in any spelling; the problem says what is accepted, or what may be meant.
pub(crate) fn read_code(call: &Call, text: &str, field: &str) -> Result<CodeReading, Problem> {
    fleetmend_catalog::read_code(call.shared().catalogue, text).map_err(|unreadable| {
        let candidates = unreadable.candidates().to_vec();
        Problem::bad(field, unreadable.words(call.words.0)).accepting(candidates)
    })
}

/// What the caller says of the context, and the language of the answer.
pub(crate) fn wish(call: &Call, lang: Lang) -> Result<Wish, Problem> {
    Ok(Wish {
        product: call.query.word::<Product>("product")?,
        operation: call.query.word::<Operation>("operation")?,
        update_class: call.query.word::<UpdateClass>("update_class")?,
        lang: call.query.word::<Lang>("lang")?.unwrap_or(lang),
    })
}

/// Explains a code in any spelling.
pub(crate) async fn code(call: Call) -> Answer {
    let reading = read_code(&call, call.part("code"), "code")?;
    let wish = wish(&call, Lang::En)?;
    ok(&fleetmend_catalog::explain_reading(call.shared().catalogue, reading, wish))
}

/// Explains a code in any spelling, or a cause, a remediation or a probe by its name.
pub(crate) async fn explain(call: Call) -> Answer {
    let Some(asked) = call.query.text("q") else {
        return Err(Problem::bad("q", "q: a code in any spelling, or a name of the catalogue"));
    };
    let wish = wish(&call, Lang::En)?;
    match fleetmend_catalog::ask(call.shared().catalogue, asked, wish) {
        Ok(topic) => ok(&topic),
        Err(lost) => {
            Err(Problem::bad("q", format!("q: {}", lost.why.words(wish.lang))).accepting(lost.near))
        }
    }
}

/// Lists causes.
pub(crate) async fn causes(call: Call) -> Answer {
    paging::list(call, CAUSES, (), |call, _, page| {
        let all: Vec<CauseView> =
            call.shared().catalogue.causes.values().map(CauseView::from).collect();
        std::future::ready(Ok(paging::whole(all, &page)))
    })
    .await
}

/// Lists remediations.
pub(crate) async fn remediations(call: Call) -> Answer {
    paging::list(call, REMEDIATIONS, (), |call, _, page| {
        let all: Vec<RemediationView> =
            call.shared().catalogue.remediations.values().map(RemediationView::from).collect();
        std::future::ready(Ok(paging::whole(all, &page)))
    })
    .await
}
