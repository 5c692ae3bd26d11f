//! Triage: from a failure and evidence to ranked causes. Pure; the same on server, agent and CLI.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::code::FailureCode;
use crate::evidence::{Answer, Evidence};
use crate::host::OsFamily;
use crate::ids::EvidenceId;
use crate::knowledge::{Binding, Catalogue, Cause, Probe, Strength};
use crate::report::IncidentKey;
use crate::update_class::UpdateClass;
use crate::words;
use crate::words::Slug;

/// The share of *other* that no cause can take before evidence.
pub const OTHER_AT_LEAST: f64 = 0.1;
/// What the causes of a code share where no binding names the context.
pub const UNBOUND_SHARE: f64 = 0.6;
/// A leading cause with decisive evidence and this share is *confirmed*.
pub const CONFIRMED_FROM: f64 = 0.5;
/// A cause with this share is *likely*.
pub const LIKELY_FROM: f64 = 0.4;
/// A cause below this share, with at least strong evidence against it, is *ruled out*.
pub const RULED_OUT_BELOW: f64 = 0.05;
/// Most probes asked for one failure.
pub const PROBES_PER_FAILURE: usize = 32;

words! {
    /// How sure a cause is.
    pub enum Certainty ("certainty") {
        /// Decisive evidence speaks for it, and it leads with at least half of all shares.
        Confirmed = "confirmed",
        /// It has at least two fifths of all shares.
        Likely = "likely",
        /// It may be.
        Possible = "possible",
        /// Decisive evidence speaks against it, or strong evidence does and little is left.
        RuledOut = "ruled_out",
    }
}

/// One piece of evidence in a verdict, with its weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weighed {
    /// The evidence.
    pub evidence: EvidenceId,
    /// Its probe.
    pub probe: Slug,
    /// What the answer is about; `None` where it is about the host.
    #[serde(default)]
    pub subject: Option<String>,
    /// Its answer.
    pub answer: Answer,
    /// What it says of the cause.
    pub strength: Strength,
    /// What was seen.
    pub proof: String,
}

/// One cause of a verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankedCause {
    /// The cause; `None` is *other*: none of those listed.
    pub cause: Option<Slug>,
    /// Its share, 0 to 1; all shares of a verdict sum to 1.
    pub share: f64,
    /// In a word.
    pub certainty: Certainty,
    /// What speaks for or against it.
    pub evidence: Vec<Weighed>,
}

/// The ranked causes of one incident, likeliest first, always with *other*.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The causes.
    pub causes: Vec<RankedCause>,
    /// The catalogue that said so.
    pub catalogue: String,
}

impl Verdict {
    /// The likeliest named cause, unless *other* leads.
    pub fn first(&self) -> Option<&RankedCause> {
        self.causes.first().filter(|c| c.cause.is_some())
    }
}

/// The causes a failure may have, with their shares before any evidence, likeliest first: of the
/// binding that fits its context best, else what the code itself names, as far as it fits the
/// product.
pub fn priors(
    cat: &Catalogue,
    key: &IncidentKey,
    update_class: Option<UpdateClass>,
) -> Vec<(Slug, f64)> {
    let best = cat
        .bindings
        .iter()
        .filter(|b| fits(b, key))
        .filter(|b| b.update_class.is_none_or(|class| update_class == Some(class)))
        .max_by_key(|b| (b.update_class.is_some(), b.operation.is_some()));
    let mut shares = match best {
        Some(binding) => binding.causes.clone(),
        None => unbound(cat, key),
    };
    let sum: f64 = shares.iter().map(|(_, share)| share).sum();
    if sum > 1.0 - OTHER_AT_LEAST {
        // The lint refuses this; a bundle that slipped through must still leave room for *other*.
        for (_, share) in &mut shares {
            *share *= (1.0 - OTHER_AT_LEAST) / sum;
        }
    }
    shares
}

/// Ranks the causes of a failure by prior × likelihood ratios, normalised over them and *other*.
///
/// Of each probe the newest answer counts, once; *unknown* counts nothing, and neither does an
/// answer about another subject than the failure's. The order of the evidence does not matter.
pub fn triage(
    cat: &Catalogue,
    key: &IncidentKey,
    update_class: Option<UpdateClass>,
    evidence: &[Evidence],
) -> Verdict {
    triage_by(cat, key, update_class, evidence, &Strength::ratio)
}

/// As [`triage`], on another scale than the catalogue's: how far a verdict hangs on its ratios.
pub fn triage_by(
    cat: &Catalogue,
    key: &IncidentKey,
    update_class: Option<UpdateClass>,
    evidence: &[Evidence],
    ratio: &dyn Fn(Strength) -> f64,
) -> Verdict {
    let newest = newest_answers(evidence, key.subject.as_deref());
    let shares = priors(cat, key, update_class);
    let other = 1.0 - shares.iter().map(|(_, share)| share).sum::<f64>();
    let mut causes: Vec<RankedCause> = shares
        .into_iter()
        .map(|(cause, prior)| {
            let weighed = cat.causes.get(&cause).map(|c| weigh(c, &newest)).unwrap_or_default();
            let share = prior * own_ratio(&weighed, ratio);
            let certainty = Certainty::Possible;
            RankedCause { cause: Some(cause), share, certainty, evidence: weighed }
        })
        .collect();
    causes.push(RankedCause {
        cause: None,
        share: other,
        certainty: Certainty::Possible,
        evidence: Vec::new(),
    });
    let sum: f64 = causes.iter().map(|c| c.share).sum();
    for cause in &mut causes {
        cause.share /= sum;
    }
    causes.sort_by(|a, b| {
        let named = (a.cause.is_none(), &a.cause).cmp(&(b.cause.is_none(), &b.cause));
        level(b.share).total_cmp(&level(a.share)).then(named)
    });
    for (rank, cause) in causes.iter_mut().enumerate() {
        cause.certainty = certainty(cause, rank == 0, ratio);
    }
    Verdict { causes, catalogue: cat.version.clone() }
}

/// The probes that can tell the causes of a failure apart on this system, weightiest first, at
/// most [`PROBES_PER_FAILURE`].
pub fn probes_for<'a>(cat: &'a Catalogue, key: &IncidentKey, os: OsFamily) -> Vec<&'a Probe> {
    // The class of the update may not be known yet: ask for every class.
    let mut shares: BTreeMap<&Slug, f64> = BTreeMap::new();
    for binding in cat.bindings.iter().filter(|b| fits(b, key)) {
        for (cause, share) in &binding.causes {
            let most = shares.entry(cause).or_default();
            *most = most.max(*share);
        }
    }
    let fallback = if shares.is_empty() { unbound(cat, key) } else { Vec::new() };
    for (cause, share) in &fallback {
        shares.insert(cause, *share);
    }
    let mut weights: BTreeMap<&Slug, f64> = BTreeMap::new();
    for (cause, share) in shares {
        let Some(cause) = cat.causes.get(cause) else { continue };
        for indication in &cause.indications {
            let says = indication.yes.ratio().ln().abs().max(indication.no.ratio().ln().abs());
            *weights.entry(&indication.probe).or_default() += share * says;
        }
    }
    let mut wanted: Vec<(&Probe, f64)> = weights
        .into_iter()
        .filter_map(|(id, weight)| cat.probes.get(id).map(|probe| (probe, weight)))
        .filter(|(probe, _)| probe.question.has_answer_on(os))
        .collect();
    wanted.sort_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| a.id.cmp(&b.id)));
    wanted.into_iter().take(PROBES_PER_FAILURE).map(|(probe, _)| probe).collect()
}

fn fits(binding: &Binding, key: &IncidentKey) -> bool {
    binding.product == key.product
        && binding.operation.is_none_or(|operation| operation == key.operation)
        && binding.code == key.code
}

/// What the code itself names, as far as it fits the product. The share of what does not goes to
/// *other*: that another product's cause is out of the question makes none of the rest likelier.
fn unbound(cat: &Catalogue, key: &IncidentKey) -> Vec<(Slug, f64)> {
    let Some(code) = &key.code else { return Vec::new() };
    let fits = |id: &Slug| cat.causes.get(id).is_none_or(|cause| cause.fits(key.product));
    shares_of(cat, code).into_iter().filter(|(cause, _)| fits(cause)).collect()
}

/// The causes that a code itself names, of whatever product, the first twice as likely as the
/// second, and so on.
pub fn shares_of(cat: &Catalogue, code: &FailureCode) -> Vec<(Slug, f64)> {
    let causes = cat.codes.get(code).map_or(&[][..], |entry| &entry.causes);
    let weights = || std::iter::successors(Some(1.0_f64), |w| Some(w / 2.0));
    let sum: f64 = weights().take(causes.len()).sum();
    causes.iter().cloned().zip(weights().map(|w| UNBOUND_SHARE * w / sum)).collect()
}

/// The newest known answer of each probe, of those that count for the subject.
fn newest_answers<'a>(
    evidence: &'a [Evidence],
    subject: Option<&str>,
) -> BTreeMap<&'a Slug, &'a Evidence> {
    let mut newest: BTreeMap<&Slug, &Evidence> = BTreeMap::new();
    let known = evidence.iter().filter(|e| e.answer != Answer::Unknown);
    for seen in known.filter(|e| e.counts_for(subject)) {
        let kept = newest.entry(&seen.probe).or_insert(seen);
        if (seen.at, seen.id, seen.answer) > (kept.at, kept.id, kept.answer) {
            *kept = seen;
        }
    }
    newest
}

/// A share as it is compared: without the last digits of a binary fraction. Two fifths are two fifths,
/// whichever way they were worked out, and what is equal is ranked as equal.
fn level(share: f64) -> f64 {
    const STEPS: f64 = 1e9;
    (share * STEPS).round() / STEPS
}

fn weigh(cause: &Cause, newest: &BTreeMap<&Slug, &Evidence>) -> Vec<Weighed> {
    let mut weighed: Vec<Weighed> = cause
        .indications
        .iter()
        .filter_map(|indication| {
            let seen = newest.get(&indication.probe)?;
            let strength = match seen.answer {
                Answer::Yes => indication.yes,
                Answer::No => indication.no,
                Answer::Unknown => return None,
            };
            Some(Weighed {
                evidence: seen.id,
                probe: seen.probe.clone(),
                subject: seen.subject.clone(),
                answer: seen.answer,
                strength,
                proof: seen.proof.clone(),
            })
        })
        .collect();
    weighed.sort_by(|a, b| a.probe.cmp(&b.probe));
    weighed
}

fn own_ratio(weighed: &[Weighed], ratio: &dyn Fn(Strength) -> f64) -> f64 {
    weighed.iter().map(|w| ratio(w.strength)).product()
}

fn certainty(cause: &RankedCause, leads: bool, ratio: &dyn Fn(Strength) -> f64) -> Certainty {
    let has = |strength| cause.evidence.iter().any(|w| w.strength == strength);
    let decisive = has(Strength::Decisive);
    let against = own_ratio(&cause.evidence, ratio) <= ratio(Strength::StrongAgainst);
    if has(Strength::DecisiveAgainst) && !decisive
        || against && level(cause.share) < RULED_OUT_BELOW
    {
        return Certainty::RuledOut;
    }
    if decisive && leads && level(cause.share) >= CONFIRMED_FROM && cause.cause.is_some() {
        return Certainty::Confirmed;
    }
    if level(cause.share) >= LIKELY_FROM { Certainty::Likely } else { Certainty::Possible }
}

#[cfg(test)]
#[path = "triage_tests.rs"]
mod tests;
