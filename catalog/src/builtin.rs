//! The catalogue compiled into every program.

use std::sync::OnceLock;

use fleetmend_core::knowledge::Catalogue;

use crate::load::File;

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../data/", $name)))),+]
    };
}

/// The files of `catalog/data`; a test holds that none is forgotten.
pub(crate) const FILES: &[File<'static>] = files!(
    "bindings/backup.toml",
    "bindings/linux.toml",
    "bindings/linux_tools.toml",
    "bindings/other_windows.toml",
    "bindings/overdue.toml",
    "bindings/servicing.toml",
    "bindings/snapshots.toml",
    "bindings/windows_update.toml",
    "causes/apt.toml",
    "causes/backup.toml",
    "causes/backup_tools.toml",
    "causes/client.toml",
    "causes/linux.toml",
    "causes/machine.toml",
    "causes/network.toml",
    "causes/other.toml",
    "causes/overdue.toml",
    "causes/packages.toml",
    "causes/policy.toml",
    "causes/services.toml",
    "causes/servicing.toml",
    "causes/setup.toml",
    "causes/store_apps.toml",
    "causes/trust.toml",
    "causes/vss.toml",
    "causes/windows_update.toml",
    "causes/wsus.toml",
    "codes/appx.toml",
    "codes/backup_tools.toml",
    "codes/bits.toml",
    "codes/cbs.toml",
    "codes/com.toml",
    "codes/do.toml",
    "codes/exits.toml",
    "codes/licensing.toml",
    "codes/linux.toml",
    "codes/net.toml",
    "codes/other.toml",
    "codes/overdue.toml",
    "codes/packages.toml",
    "codes/restore.toml",
    "codes/sdclt.toml",
    "codes/servicing.toml",
    "codes/setup.toml",
    "codes/spp.toml",
    "codes/trust.toml",
    "codes/upgrade.toml",
    "codes/vss.toml",
    "codes/wbengine.toml",
    "codes/win32.toml",
    "codes/wu.toml",
    "messages/linux.toml",
    "messages/windows.toml",
    "probes/linux.toml",
    "probes/linux_tools.toml",
    "probes/shared.toml",
    "probes/windows.toml",
    "probes/windows_events.toml",
    "probes/windows_failures.toml",
    "probes/windows_machine.toml",
    "probes/windows_policy.toml",
    "probes/windows_services.toml",
    "remediations/apt.toml",
    "remediations/backup.toml",
    "remediations/backup_tools.toml",
    "remediations/client.toml",
    "remediations/linux.toml",
    "remediations/network.toml",
    "remediations/other.toml",
    "remediations/overdue.toml",
    "remediations/packages.toml",
    "remediations/policy.toml",
    "remediations/retries.toml",
    "remediations/services.toml",
    "remediations/servicing.toml",
    "remediations/store_apps.toml",
    "remediations/trust.toml",
    "remediations/vss.toml",
    "remediations/windows_update.toml",
    "remediations/wsus.toml",
);

static BUILTIN: OnceLock<Catalogue> = OnceLock::new();

/// The catalogue compiled into this program.
pub fn builtin() -> &'static Catalogue {
    BUILTIN.get_or_init(|| {
        let (catalogue, problems) = crate::parse(FILES);
        // The data are fixed at compile time and the tests of this crate refuse any problem.
        assert!(problems.is_empty(), "the built-in catalogue is wrong: {problems:?}");
        catalogue
    })
}

/// Whether a catalogue is that one itself, not one like it.
pub(crate) fn is_builtin(cat: &Catalogue) -> bool {
    BUILTIN.get().is_some_and(|builtin| std::ptr::eq(builtin, cat))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_builtin_catalogue_is_right() {
        let problems = crate::load(FILES).err().unwrap_or_default();
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(shown.is_empty(), "\n{}", shown.join("\n"));
    }

    #[test]
    fn no_file_is_forgotten() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
        let mut found = BTreeSet::new();
        for folder in std::fs::read_dir(&data).expect("data").flatten() {
            for file in std::fs::read_dir(folder.path()).expect("a folder").flatten() {
                let name = file.path().strip_prefix(&data).expect("below").display().to_string();
                found.insert(name);
            }
        }
        let listed: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(found, listed);
    }

    #[test]
    fn it_holds_what_was_promised() {
        let cat = builtin();
        let numbers = cat.codes.keys().filter(|c| c.to_string().starts_with("0x")).count();
        assert!(numbers >= 333, "{numbers} codes");
        let carried: BTreeSet<&str> = cat
            .causes
            .values()
            .flat_map(|c| &c.seeds)
            .chain(cat.remediations.values().flat_map(|r| &r.seeds))
            .map(String::as_str)
            .collect();
        for row in 1..=50 {
            let row = format!("S{row}");
            assert!(carried.contains(row.as_str()), "{row} is not carried");
        }
        let unexplained: Vec<_> =
            cat.causes.values().filter(|c| c.explanation.en.is_empty()).map(|c| &c.id).collect();
        assert_eq!(unexplained, Vec::<&fleetmend_core::words::Slug>::new());
    }

    /// Until one has run there: this test changes when the first has.
    #[test]
    fn what_never_ran_on_windows_says_so() {
        for r in builtin().remediations.values().filter(|r| r.is_automatic()) {
            let windows = r.os == fleetmend_core::host::OsFamily::Windows;
            assert_eq!(r.unproven, windows, "{}", r.id);
        }
    }
}
