//! A cause explained: how it is recognised, what is done about it, where it occurs.

use fleetmend_core::code::FailureCode;
use fleetmend_core::knowledge::{Catalogue, Cause, Lang, Risk, Strength};
use fleetmend_core::report::{Operation, Product};
use fleetmend_core::update_class::UpdateClass;
use fleetmend_core::words::Slug;
use serde::Serialize;

use super::remediation::{ExplainedRemediation, explained as explained_remediation};

/// One cause, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainedCause {
    /// Its stable name.
    pub id: Slug,
    /// Its name for people.
    pub name: String,
    /// Its explanation; empty where there is none yet.
    pub explanation: String,
    /// Its share before any evidence, 0 to 1, in the context it stands in.
    pub prior: Option<f64>,
    /// The products whose failures it explains; empty for any.
    pub products: Vec<Product>,
    /// How it is recognised, what tells most first.
    pub recognised_by: Vec<Recognition>,
    /// What can be done; what is never done stands last, with its reason.
    pub remediations: Vec<ExplainedRemediation>,
}

/// What a probe's answers say of a cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recognition {
    /// The probe.
    pub probe: Slug,
    /// What it asks, for people.
    pub name: String,
    /// What *yes* says.
    pub yes: Strength,
    /// What *no* says.
    pub no: Strength,
    /// Whether the probe is the cause itself.
    pub own: bool,
    /// Where the strength comes from, or `expert`.
    pub source: String,
}

/// A cause asked for by its name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CauseTopic {
    /// It.
    #[serde(flatten)]
    pub cause: ExplainedCause,
    /// Where it occurs, likeliest first.
    pub occurs: Vec<Occurrence>,
    /// The catalogue that said so.
    pub catalogue: String,
}

/// A context that a cause occurs in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Occurrence {
    /// The product; `None` where the code alone leads to the cause.
    pub product: Option<Product>,
    /// The operation; `None` for any.
    pub operation: Option<Operation>,
    /// The class of update, where it matters.
    pub update_class: Option<UpdateClass>,
    /// The code; `None` for failures without one.
    pub code: Option<FailureCode>,
    /// Its symbol.
    pub symbol: Option<String>,
    /// The cause's share before any evidence; `None` where the code alone leads to it.
    pub prior: Option<f64>,
}

/// Explains a cause.
pub fn explain_cause(cat: &Catalogue, cause: &Cause, lang: Lang) -> CauseTopic {
    CauseTopic {
        cause: explained(cat, cause, None, lang),
        occurs: occurs(cat, &cause.id),
        catalogue: cat.version.clone(),
    }
}

pub(super) fn explained(
    cat: &Catalogue,
    cause: &Cause,
    prior: Option<f64>,
    lang: Lang,
) -> ExplainedCause {
    let recognised = cause.indications.iter().filter_map(|indication| {
        let probe = cat.probes.get(&indication.probe)?;
        Some(Recognition {
            probe: probe.id.clone(),
            name: probe.name.get(lang).to_owned(),
            yes: indication.yes,
            no: indication.no,
            own: cause.own_probe.as_ref() == Some(&probe.id),
            source: indication.source.clone(),
        })
    });
    let mut recognised_by: Vec<Recognition> = recognised.collect();
    recognised_by.sort_by(|a, b| says(b).total_cmp(&says(a)));
    let known = cause.remediations.iter().filter_map(|id| cat.remediations.get(id));
    let mut remediations: Vec<_> = known.map(|r| explained_remediation(cat, r, lang)).collect();
    remediations.sort_by_key(|r| r.risk == Risk::Refused);
    ExplainedCause {
        id: cause.id.clone(),
        name: cause.name.get(lang).to_owned(),
        explanation: cause.explanation.get(lang).to_owned(),
        prior,
        products: cause.products.clone(),
        recognised_by,
        remediations,
    }
}

/// How much either answer tells.
fn says(r: &Recognition) -> f64 {
    r.yes.ratio().ln().abs().max(r.no.ratio().ln().abs())
}

fn occurs(cat: &Catalogue, cause: &Slug) -> Vec<Occurrence> {
    let bound = cat.bindings.iter().filter_map(|b| {
        let share = b.causes.iter().find(|(id, _)| id == cause).map(|(_, share)| *share)?;
        Some(Occurrence {
            product: Some(b.product),
            operation: b.operation,
            update_class: b.update_class,
            symbol: cat.symbol_of(b.code.as_ref()),
            code: b.code.clone(),
            prior: Some(share),
        })
    });
    let mut found: Vec<Occurrence> = bound.collect();
    let share = |o: &Occurrence| o.prior.unwrap_or(0.0);
    found.sort_by(|a, b| share(b).total_cmp(&share(a)));
    let alone = cat.codes.values().filter(|entry| entry.causes.contains(cause));
    found.extend(alone.map(|entry| Occurrence {
        product: None,
        operation: None,
        update_class: None,
        code: Some(entry.code.clone()),
        symbol: entry.symbol.clone(),
        prior: None,
    }));
    found
}
