//! What the package tools' error texts mean. English only: the tools are run with `LC_ALL=C.UTF-8`
//! by the system's own timers and by us; a person's own locale hides its runs from this list.

use fleetmend_core::report::Operation;

/// Texts that tell a failure apart, most telling first.
const TEXTS: &[(&str, &str)] = &[
    ("no space left on device", "fs.disk_full"),
    ("dpkg was interrupted", "apt.dpkg_interrupted"),
    ("could not get lock", "apt.lock_held"),
    ("unable to acquire the dpkg frontend lock", "apt.lock_held"),
    ("lock could not be acquired", "apt.lock_held"),
    ("lock file is already taken", "apt.lock_held"),
    ("unmet dependencies", "apt.broken_deps"),
    ("cache has broken packages", "apt.broken_deps"),
    ("very bad inconsistent state", "apt.half_installed"),
    ("end of file on stdin at conffile prompt", "apt.conffile_prompt"),
    ("script subprocess returned error exit status", "apt.maintainer_script"),
    ("script subprocess was killed by signal", "apt.maintainer_script"),
    ("hash sum mismatch", "apt.hash_mismatch"),
    ("mirror sync in progress", "apt.hash_mismatch"),
    ("no_pubkey", "apt.no_pubkey"),
    ("expkeysig", "apt.no_pubkey"),
    ("is not valid yet (invalid for another", "apt.release_expired"),
    ("is expired (invalid since", "apt.release_expired"),
    ("is not valid anymore", "apt.release_expired"),
    ("does not have a release file", "apt.release_missing"),
    ("no longer has a release file", "apt.release_missing"),
    ("changed its '", "apt.release_info_changed"),
    ("temporary failure resolving", "apt.net"),
    ("could not resolve", "apt.net"),
    ("could not connect", "apt.net"),
    ("connection timed out", "apt.net"),
    ("connection failed", "apt.net"),
    ("network is unreachable", "apt.net"),
    ("read-only file system", "fs.readonly"),
];

/// The slug of a failure that `text` tells of.
pub fn slug_of(text: &str) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    TEXTS.iter().find(|(part, _)| text.contains(part)).map(|(_, slug)| *slug)
}

/// The slug of a failure of the file system that any program may tell of; `lower` is in lower case.
pub(crate) fn kernel_words(lower: &str) -> Option<&'static str> {
    const TEXTS: [(&str, &str); 4] = [
        ("no space left on device", "fs.disk_full"),
        ("more space needed on the", "fs.disk_full"),
        ("disk quota exceeded", "fs.disk_full"),
        ("read-only file system", "fs.readonly"),
    ];
    TEXTS.iter().find(|(part, _)| lower.contains(part)).map(|(_, slug)| *slug)
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
    use fleetmend_core::words::Slug;

    use super::*;

    #[test]
    fn every_slug_is_one_and_every_text_is_lower_case() {
        for (text, slug) in TEXTS {
            assert!(Slug::new(*slug).is_ok(), "{slug}");
            assert_eq!(*text, text.to_ascii_lowercase());
        }
    }

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
