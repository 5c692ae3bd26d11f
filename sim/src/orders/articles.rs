//! The orders of published articles: `models/articles.toml`, typed.

use std::sync::OnceLock;

use fleetmend_core::words::Slug;
use serde::Deserialize;

/// One article.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Article {
    /// Its name here.
    pub id: String,
    /// What it is.
    pub source: String,
    /// What it says, in its order.
    pub step: Vec<Step>,
}

/// One thing that it says to try.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The row of docs/seeds.md.
    pub row: String,
    /// In words.
    pub what: String,
    /// The remediations that come to the same.
    pub does: Vec<Slug>,
}

/// All of them.
///
/// # Panics
/// Where the table in the source is wrong, which a test finds.
pub fn articles() -> &'static [Article] {
    #[derive(Deserialize)]
    struct File {
        article: Vec<Article>,
    }
    static ARTICLES: OnceLock<Vec<Article>> = OnceLock::new();
    ARTICLES.get_or_init(|| {
        let file: File = toml::from_str(include_str!("../../models/articles.toml"))
            .unwrap_or_else(|error| panic!("articles.toml: {error}"));
        file.article
    })
}

#[cfg(test)]
mod tests {
    use fleetmend_core::knowledge::Remediation;

    use super::*;

    #[test]
    fn what_articles_do_is_what_agents_may_do() {
        let catalogue = fleetmend_catalog::builtin();
        for article in articles() {
            for id in article.step.iter().flat_map(|s| &s.does) {
                let remediation = catalogue.remediations.get(id);
                let known = remediation.is_some_and(Remediation::is_automatic);
                assert!(known, "{}: {id}", article.id);
            }
        }
    }
}
