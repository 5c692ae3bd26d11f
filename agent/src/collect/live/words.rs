//! What the package tools' error texts mean (`catalog/data/messages`). English only: the tools are
//! run with `LC_ALL=C.UTF-8` by the system's own timers and by us; a person's own locale hides its runs from this list.

use fleetmend_catalog::builtin;
use fleetmend_core::report::{Operation, Product};

/// The slug of a failure of apt or dpkg that `text` tells of.
pub fn slug_of(text: &str) -> Option<&'static str> {
    told(Some(Product::Apt), &text.to_ascii_lowercase())
}

/// The slug of a failure of the file system that any program may tell of; `lower` is in lower case.
pub(crate) fn kernel_words(lower: &str) -> Option<&'static str> {
    told(None, lower)
}

fn told(product: Option<Product>, lower: &str) -> Option<&'static str> {
    let mut said = builtin().said_by(product);
    said.find(|(text, _)| lower.contains(text)).map(|(_, slug)| slug.as_str())
}

/// What was being done when a failure of this slug happened: fetching lists fails scans.
pub(crate) fn operation_of(slug: &str) -> Operation {
    match slug {
        "apt.hash_mismatch"
        | "apt.no_pubkey"
        | "apt.release_expired"
        | "apt.release_missing"
        | "apt.release_info_changed"
        | "apt.net" => Operation::Scan,
        _ => Operation::Install,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_texts_are_told_apart() {
        for (text, slug) in [
            ("E: Failed to fetch http://x  Hash Sum mismatch", "apt.hash_mismatch"),
            ("W: GPG error: … NO_PUBKEY 0E98404D386FA1D9", "apt.no_pubkey"),
            (
                "E: Release file for http://x/InRelease is expired (invalid since 3d 2h). Updates",
                "apt.release_expired",
            ),
            ("Err:1 http://x  Temporary failure resolving 'deb.debian.org'", "apt.net"),
            (
                "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (apt)",
                "apt.lock_held",
            ),
        ] {
            assert_eq!(slug_of(text), Some(slug), "{text}");
        }
        assert_eq!(slug_of("all is well"), None);
    }
}
