//! Entries by what a person may call them: codes by their symbols, everything by words of its name.
//! Made once for the built-in catalogue; for any other, when it is asked.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

use fleetmend_core::code::FailureCode;
use fleetmend_core::knowledge::{Catalogue, Text};
use memchr::memmem::Finder;

use crate::builtin::is_builtin;

/// Entries that are named where nothing was found.
const NEAR: usize = 8;

/// The index of a catalogue.
#[derive(Debug, Clone)]
pub(super) struct Index {
    /// By symbol in capitals; several codes may share one.
    symbols: HashMap<String, Vec<FailureCode>>,
    /// The ids of all that has a name, with that name in both languages, in small letters.
    names: Vec<(String, String)>,
    /// The same of causes and remediations with all that is told of them.
    told: Vec<(String, String)>,
}

impl Index {
    /// That of a catalogue.
    pub(super) fn of(cat: &Catalogue) -> Cow<'static, Self> {
        static BUILTIN: OnceLock<Index> = OnceLock::new();
        if is_builtin(cat) {
            Cow::Borrowed(BUILTIN.get_or_init(|| Self::make(cat)))
        } else {
            Cow::Owned(Self::make(cat))
        }
    }

    /// The codes of a symbol, in any letters.
    pub(super) fn by_symbol(&self, symbol: &str) -> &[FailureCode] {
        self.symbols.get(&symbol.to_ascii_uppercase()).map_or(&[], Vec::as_slice)
    }

    /// Names of entries in whose name every word of the text stands, in either language; where there
    /// is none, of causes and remediations that tell of all of them.
    pub(super) fn near(&self, asked: &str) -> Vec<String> {
        let asked = asked.to_lowercase();
        let split = |c: char| !(c.is_alphanumeric());
        let words: Vec<&str> = asked.split(split).filter(|w| w.chars().count() >= 3).collect();
        if words.is_empty() {
            return Vec::new();
        }
        let named = fitting(&self.names, &words);
        if !named.is_empty() {
            return named;
        }
        fitting(&self.told, &words.into_iter().map(stem).collect::<Vec<_>>())
    }

    fn make(cat: &Catalogue) -> Self {
        let mut symbols: HashMap<String, Vec<FailureCode>> = HashMap::new();
        for (code, entry) in &cat.codes {
            if let Some(symbol) = &entry.symbol {
                symbols.entry(symbol.to_ascii_uppercase()).or_default().push(code.clone());
            }
        }
        let slugs = cat.codes.values().filter_map(|c| match &c.code {
            FailureCode::Slug(id) => Some((id, &c.meaning)),
            FailureCode::Hresult(_) | FailureCode::Exit(_) => None,
        });
        let causes = cat.causes.values().map(|c| (&c.id, &c.name));
        let remediations = cat.remediations.values().map(|r| (&r.id, &r.name));
        let probes = cat.probes.values().filter(|p| !cat.causes.contains_key(&p.id));
        let probes = probes.map(|p| (&p.id, &p.name));
        let named = slugs.chain(causes).chain(remediations).chain(probes);
        let names = named.map(|(id, name)| (id.to_string(), words_of(id.as_str(), name))).collect();
        let causes = cat.causes.values().map(|c| (&c.id, words_of(c.id.as_str(), &c.explanation)));
        let remediations = cat.remediations.values().map(|r| {
            let told = std::iter::once(&r.name).chain([&r.explanation]).chain(&r.guide);
            (&r.id, told.map(|text| words_of(r.id.as_str(), text)).collect::<String>())
        });
        let told = causes.chain(remediations).map(|(id, text)| (id.to_string(), text)).collect();
        Self { symbols, names, told }
    }
}

/// The ids of the entries that have every word.
fn fitting(entries: &[(String, String)], words: &[&str]) -> Vec<String> {
    // Each word is looked for in hundreds of texts: it is made ready once.
    let words: Vec<Finder<'_>> = words.iter().map(|word| Finder::new(*word)).collect();
    let fits = |text: &str| words.iter().all(|word| word.find(text.as_bytes()).is_some());
    let found = entries.iter().filter(|(_, text)| fits(text));
    found.map(|(id, _)| id.clone()).take(NEAR).collect()
}

/// A Russian word without its ending, by which its forms differ.
fn stem(word: &str) -> &str {
    let letters = word.chars().count();
    let russian = word.chars().all(|c| ('а'..='я').contains(&c) || c == 'ё');
    let kept = if russian && letters > 5 { letters - 2 } else { letters };
    word.char_indices().nth(kept).map_or(word, |(at, _)| &word[..at])
}

fn words_of(id: &str, name: &Text) -> String {
    format!("{id} {} {} ", name.en, name.ru).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;

    #[test]
    fn every_symbol_of_the_catalogue_is_found_in_any_letters() {
        let index = Index::of(builtin());
        for (code, entry) in &builtin().codes {
            let Some(symbol) = &entry.symbol else { continue };
            for typed in [symbol.to_lowercase(), symbol.clone()] {
                assert!(index.by_symbol(&typed).contains(code), "{symbol}");
            }
        }
        assert!(index.by_symbol("").is_empty());
    }

    #[test]
    fn the_words_of_the_seeds_find_their_rows() {
        let index = Index::of(builtin());
        for (asked, wanted) in [
            ("netsh advfirewall", "turn_firewall_off"),
            ("точка восстановления", "system_restore_or_inplace"),
            ("AllowOSUpgrade", "allow_os_upgrade"),
            ("sppsvc.exe", "move_sppsvc"),
        ] {
            let near = index.near(asked);
            assert!(near.iter().any(|id| id == wanted), "{asked}: {near:?}");
        }
        assert_eq!(
            (stem("восстановления"), stem("место"), stem("server")),
            ("восстановлен", "место", "server")
        );
    }

    #[test]
    fn another_catalogue_has_an_index_of_its_own() {
        let mut other = Catalogue::default();
        let (id, cause) = builtin().causes.iter().next().expect("a cause");
        other.causes.insert(id.clone(), cause.clone());
        assert_eq!(Index::of(&other).near(id.as_str()), [id.to_string()]);
        let named = |index: &Index, id: &str| index.names.iter().any(|(name, _)| name == id);
        assert!(named(&Index::of(builtin()), "clear_update_cache"));
        assert!(!named(&Index::of(&other), "clear_update_cache"));
    }
}
