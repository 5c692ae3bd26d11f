//! The words of closed sets, English and Russian: `catalog/locales/*.toml`. Pages, command line and
//! reports say the same ones.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fleetmend_core::knowledge::Lang;

/// Texts by their key, such as `risk.safe`.
pub type Texts = BTreeMap<String, String>;

static EN: LazyLock<Texts> = LazyLock::new(|| texts(include_str!("../locales/en.toml")));
static RU: LazyLock<Texts> = LazyLock::new(|| texts(include_str!("../locales/ru.toml")));

/// All words of a language.
pub fn words(lang: Lang) -> &'static Texts {
    match lang {
        Lang::En => &EN,
        Lang::Ru => &RU,
    }
}

/// The word for a word of a closed set, such as `risk` and `safe`; the word itself where the
/// language has none.
pub fn word(lang: Lang, set: &str, word: impl std::fmt::Display) -> String {
    let word = word.to_string();
    let found = words(lang).get(&format!("{set}.{word}")).cloned();
    found.unwrap_or_else(|| word.replace('_', " "))
}

/// Reads a file of texts: tables within tables become keys with dots. What is no TOML gives none;
/// the files are compiled in, and the tests read them.
pub fn texts(file: &str) -> Texts {
    fn flatten(prefix: &str, table: &toml::Table, into: &mut Texts) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match value {
                toml::Value::Table(inner) => flatten(&key, inner, into),
                toml::Value::String(text) => {
                    into.insert(key, text.clone());
                }
                _ => {}
            }
        }
    }
    let mut texts = Texts::new();
    if let Ok(table) = file.parse::<toml::Table>() {
        flatten("", &table, &mut texts);
    }
    texts
}

#[cfg(test)]
mod tests {
    use fleetmend_core::evidence::Answer;
    use fleetmend_core::host::OsFamily;
    use fleetmend_core::knowledge::{Confidence, RebootNeed, Retry, Risk, Strength, Verification};
    use fleetmend_core::report::{Kind, Operation, Product};
    use fleetmend_core::step::Undo;
    use fleetmend_core::triage::Certainty;
    use fleetmend_core::update_class::UpdateClass;

    use super::*;

    #[test]
    fn every_word_of_every_set_is_said_in_both_languages() {
        let sets: [(&str, Vec<String>); 14] = [
            ("certainty", Certainty::ALL.iter().map(ToString::to_string).collect()),
            ("answer", Answer::ALL.iter().map(ToString::to_string).collect()),
            ("strength", Strength::ALL.iter().map(ToString::to_string).collect()),
            ("risk", Risk::ALL.iter().map(ToString::to_string).collect()),
            ("undo", Undo::ALL.iter().map(ToString::to_string).collect()),
            ("reboot", RebootNeed::ALL.iter().map(ToString::to_string).collect()),
            ("verification", Verification::ALL.iter().map(ToString::to_string).collect()),
            ("retry", Retry::ALL.iter().map(ToString::to_string).collect()),
            ("kind", Kind::ALL.iter().map(ToString::to_string).collect()),
            ("product", Product::ALL.iter().map(ToString::to_string).collect()),
            ("operation", Operation::ALL.iter().map(ToString::to_string).collect()),
            ("confidence", Confidence::ALL.iter().map(ToString::to_string).collect()),
            ("update_class", UpdateClass::ALL.iter().map(ToString::to_string).collect()),
            ("os", OsFamily::ALL.iter().map(ToString::to_string).collect()),
        ];
        for (set, all) in sets {
            for word in all {
                let key = format!("{set}.{word}");
                for lang in [Lang::En, Lang::Ru] {
                    assert!(words(lang).contains_key(&key), "{key} is not said in {lang}");
                }
            }
        }
        let keys = |lang| words(lang).keys().collect::<Vec<_>>();
        assert_eq!(keys(Lang::En), keys(Lang::Ru));
    }
}
