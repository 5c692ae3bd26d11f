//! A verdict as pages show it: each cause with every piece of evidence, its weight and its age.

use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::knowledge::{Catalogue, Strength};
use fleetmend_core::time::Timestamp;
use fleetmend_core::triage::{Certainty, Verdict};
use fleetmend_core::words::Slug;

use super::i18n::Words;

/// One cause.
#[derive(Debug)]
pub(crate) struct CauseCard {
    /// Its name in the reader's language.
    pub(crate) name: String,
    /// Its explanation.
    pub(crate) explanation: String,
    /// How sure it is.
    pub(crate) certainty: Certainty,
    /// Its share.
    pub(crate) share: f64,
    /// Whether it is a cause of the catalogue, not *other*.
    pub(crate) named: bool,
    /// What speaks for or against it.
    pub(crate) evidence: Vec<EvidenceLine>,
}

/// One piece of evidence.
#[derive(Debug)]
pub(crate) struct EvidenceLine {
    /// What was asked, for people.
    pub(crate) name: String,
    /// The probe.
    pub(crate) probe: Slug,
    /// What the answer is about; `None` where it is about the host.
    pub(crate) subject: Option<String>,
    /// The answer.
    pub(crate) answer: Answer,
    /// Its weight.
    pub(crate) strength: Strength,
    /// What was seen.
    pub(crate) proof: String,
    /// When; `None` where newer evidence took its place.
    pub(crate) at: Option<Timestamp>,
}

/// The causes of a verdict as cards, likeliest first.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    /// What a reader needs first: all that is confirmed or likely, else the first few.
    pub(crate) first: Vec<CauseCard>,
    /// What stands folded below: less likely or ruled out.
    pub(crate) more: Vec<CauseCard>,
}

/// Causes that a page shows unfolded where nothing is sure.
const FIRST: usize = 3;

/// The causes of a verdict, the weightiest apart.
pub(crate) fn causes(
    verdict: Option<&Verdict>,
    evidence: &[Evidence],
    catalogue: &Catalogue,
    t: Words,
) -> Causes {
    let cards = cards(verdict, evidence, catalogue, t);
    let sure = cards.iter().any(|c| c.certainty == Certainty::Confirmed);
    let mut causes = Causes::default();
    for card in cards {
        let shown = match card.certainty {
            Certainty::Confirmed | Certainty::Likely => true,
            Certainty::Possible => !sure && causes.first.len() < FIRST,
            Certainty::RuledOut => false,
        };
        if shown { causes.first.push(card) } else { causes.more.push(card) }
    }
    causes
}

fn cards(
    verdict: Option<&Verdict>,
    evidence: &[Evidence],
    catalogue: &Catalogue,
    t: Words,
) -> Vec<CauseCard> {
    let Some(verdict) = verdict else { return Vec::new() };
    verdict
        .causes
        .iter()
        .map(|ranked| {
            let entry = ranked.cause.as_ref().and_then(|id| catalogue.causes.get(id));
            let name = match (&ranked.cause, entry) {
                (_, Some(entry)) => entry.name.get(t.0).to_owned(),
                (Some(id), None) => id.to_string(),
                (None, None) => t.s("cause.other").to_owned(),
            };
            let evidence = ranked.evidence.iter().map(|w| EvidenceLine {
                name: catalogue
                    .probes
                    .get(&w.probe)
                    .map_or_else(String::new, |p| p.name.get(t.0).to_owned()),
                probe: w.probe.clone(),
                subject: w.subject.clone(),
                answer: w.answer,
                strength: w.strength,
                proof: w.proof.clone(),
                at: evidence.iter().find(|e| e.id == w.evidence).map(|e| e.at),
            });
            CauseCard {
                name,
                explanation: entry.map(|e| e.explanation.get(t.0).to_owned()).unwrap_or_default(),
                certainty: ranked.certainty,
                share: ranked.share,
                named: ranked.cause.is_some(),
                evidence: evidence.collect(),
            }
        })
        .collect()
}
