//! What updates are called. Some sources of Windows name an update by its title, others by its
//! identifier alone; those that tell both say which is which.

use std::collections::BTreeMap;

use fleetmend_core::limits;
use fleetmend_core::report::Product;
use fleetmend_core::words::cut;

/// Names kept of one file; the latest.
const NAMES_PER_FILE: usize = 2_048;

/// What an update's identifier stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// The identifier, as [`identifier`] gives it.
    pub(crate) id: String,
    /// The product whose update it is.
    pub(crate) product: Product,
    /// Its name, as failures of it are called.
    pub(crate) name: String,
}

/// The names that one file tells.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// With their places in the file.
    by_id: BTreeMap<String, (u64, Product, String)>,
    told: u64,
    /// The updates of failed events, by their records.
    by_record: BTreeMap<u64, String>,
}

impl Names {
    /// Takes the title of an update.
    pub(crate) fn title(&mut self, id: &str, title: &str) {
        self.take(id, name_of(title));
    }

    /// Takes words about an update in which its name may stand.
    pub(crate) fn words(&mut self, id: &str, words: &str) {
        if let Some(name) = name_in(words) {
            self.take(id, name);
        }
    }

    /// Takes the update that a failed event is about.
    pub(crate) fn event(&mut self, record: u64, id: &str) {
        if let Some(id) = identifier(id)
            && self.by_record.len() < super::draft::REPORTS_PER_FILE
        {
            self.by_record.insert(record, id);
        }
    }

    /// The names in the order in which they were told, and the updates of events by their records.
    pub(crate) fn finish(self) -> (Vec<Named>, BTreeMap<u64, String>) {
        let mut all: Vec<_> = self.by_id.into_iter().collect();
        all.sort_unstable_by_key(|(_, (place, ..))| *place);
        let named = |(id, (_, product, name))| Named { id, product, name };
        (all.into_iter().map(named).collect(), self.by_record)
    }

    fn take(&mut self, id: &str, (product, name): (Product, &str)) {
        let name = cut(name, limits::SUBJECT_BYTES);
        let Some(id) = identifier(id).filter(|_| !name.is_empty()) else { return };
        self.told += 1;
        self.by_id.insert(id, (self.told, product, name.to_owned()));
        if self.by_id.len() > NAMES_PER_FILE {
            // Half of them at once: so it is seldom done.
            let mut places: Vec<u64> = self.by_id.values().map(|(place, ..)| *place).collect();
            places.sort_unstable();
            let from = places[places.len() / 2];
            self.by_id.retain(|_, (place, ..)| *place >= from);
        }
    }
}

/// The product of an update with this title, and what failures of it are called: by its KB, else by
/// the title.
pub(crate) fn name_of(title: &str) -> (Product, &str) {
    let title = title.trim();
    let store = is_store_package(title);
    let product = if store { Product::StoreApps } else { Product::WindowsUpdate };
    (product, kb(title).unwrap_or(title))
}

/// An identifier without braces, in capital letters.
pub(crate) fn identifier(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix('{').map_or(text, |rest| rest.strip_suffix('}').unwrap_or(rest));
    let right = text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        });
    (right && text.bytes().any(|b| !matches!(b, b'0' | b'-'))).then(|| text.to_ascii_uppercase())
}

/// A name that stands in other words: `… with error 0x80070643: … (KB5031356).`
fn name_in(words: &str) -> Option<(Product, &str)> {
    let starts = words.split(' ').map(|word| word.as_ptr() as usize - words.as_ptr() as usize);
    let package = starts.map(|at| &words[at..]).find(|rest| is_store_package(rest));
    let package = package.map(|name| (Product::StoreApps, name.trim_end_matches(['.', ' '])));
    package.or_else(|| Some((Product::WindowsUpdate, kb(words)?)))
}

/// The `KB` number in a title: six to eight digits.
fn kb(title: &str) -> Option<&str> {
    title.match_indices("KB").find_map(|(at, _)| {
        let digits = title[at + 2..].bytes().take(8).take_while(u8::is_ascii_digit).count();
        (digits >= 6).then(|| &title[at..at + 2 + digits])
    })
}

/// `9NBLGGH3FL3T-Microsoft.VCLibs…`: a package of the Store.
pub(crate) fn is_store_package(title: &str) -> bool {
    let bytes = title.as_bytes();
    bytes.len() >= 13
        && bytes[0] == b'9'
        && bytes[12] == b'-'
        && bytes[1..12].iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "{8b24b027-1dee-babb-9a95-3517dfb9c552}";

    fn name(words: &str) -> Option<(Product, String)> {
        let mut names = Names::default();
        names.words(ID, words);
        let named = names.finish().0.pop()?;
        assert_eq!(named.id, "8B24B027-1DEE-BABB-9A95-3517DFB9C552");
        Some((named.product, named.name))
    }

    #[test]
    fn a_name_is_found_in_the_words_of_any_language() {
        let update = |kb: &str| Some((Product::WindowsUpdate, kb.to_owned()));
        assert_eq!(
            name(
                "Installation Failure: Windows failed to install the following update with error 0x80070643: 2023-10 Cumulative Update for Windows 10 Version 22H2 for x64-based Systems (KB5031356)."
            ),
            update("KB5031356")
        );
        assert_eq!(name("Ошибка установки: … 0x80070643: … (KB4054517)."), update("KB4054517"));
        assert_eq!(
            name(
                "Installation Failure: … error 0x80073D02: 9NBLGGH4LS1F-Microsoft.StorePurchaseApp."
            ),
            Some((Product::StoreApps, "9NBLGGH4LS1F-Microsoft.StorePurchaseApp".to_owned()))
        );
        assert_eq!(name("Windows failed to install a driver"), None);
    }

    #[test]
    fn only_identifiers_are_named_and_the_latest_stay() {
        for none in ["", "8b24b027", "{00000000-0000-0000-0000-000000000000}", "Ж24b027-1dee"] {
            assert_eq!(identifier(none), None, "{none}");
        }
        let mut names = Names::default();
        for n in 0..NAMES_PER_FILE * 3 {
            names.title(&format!("8b24b027-1dee-babb-9a95-{n:012x}"), &format!("driver {n}"));
        }
        let named = names.finish().0;
        assert!((NAMES_PER_FILE / 2..=NAMES_PER_FILE).contains(&named.len()));
        let last = named.last().expect("some");
        assert_eq!(last.name, format!("driver {}", NAMES_PER_FILE * 3 - 1));
    }
}
