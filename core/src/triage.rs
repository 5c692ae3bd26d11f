//! Triage: from a failure and evidence to ranked causes. Pure; the same on server, agent and CLI.

use serde::{Deserialize, Serialize};

use crate::evidence::Answer;
use crate::ids::EvidenceId;
use crate::knowledge::Strength;
use crate::words;
use crate::words::Slug;

words! {
    /// How sure a cause is.
    pub enum Certainty ("certainty") {
        /// Decisive evidence speaks for it and it leads.
        Confirmed = "confirmed",
        /// It leads clearly.
        Likely = "likely",
        /// It may be.
        Possible = "possible",
        /// Evidence speaks against it.
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
