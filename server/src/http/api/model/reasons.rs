//! Reasons on the wire.

use fleetmend_core::reason::{Code, Reason};
use serde::Serialize;
use utoipa::ToSchema;

/// Why something stands as it does, in a form that can be told in any language.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Reason)]
pub(crate) struct ReasonView {
    /// What it says: a stable word. `words` where only words are known.
    pub(crate) code: &'static str,
    /// Its values by name: numbers, texts, moments with what the clock shows, hosts by how they stand,
    /// names, and other reasons.
    #[schema(value_type = Object)]
    pub(crate) params: serde_json::Value,
    /// In English.
    pub(crate) text: String,
}

impl ReasonView {
    /// From a reason.
    pub(crate) fn new(reason: &Reason) -> Self {
        Self {
            code: reason.code.as_str(),
            params: serde_json::to_value(&reason.params).unwrap_or_default(),
            text: reason.to_string(),
        }
    }

    /// From several.
    pub(crate) fn all(reasons: &[Reason]) -> Vec<Self> {
        reasons.iter().map(Self::new).collect()
    }

    /// From words of an agent or of the server, where they are known.
    pub(crate) fn of_words(words: &str) -> Option<Self> {
        let read = Reason::read(words).filter(|reason| reason.code != Code::Words);
        read.as_ref().map(Self::new)
    }
}
