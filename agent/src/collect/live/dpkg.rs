//! What dpkg's own files say of its packages: no program is run, so that it can be asked at any
//! moment, also of a host that cannot run one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::UNIX_EPOCH;

use fleetmend_core::time::Timestamp;

/// The largest status file that is read.
const STATUS: u64 = 256 * 1024 * 1024;
/// The longest line of it that matters.
const LINE: u64 = 64 * 1024;
/// Packages in a bad state that are named.
pub const NAMED: usize = 200;

/// A package that is not in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// dpkg's state: `unpacked`, `half-configured`, `half-installed`, `triggers-pending`…
    pub state: String,
    /// Whether dpkg wants it reinstalled.
    pub reinstall: bool,
}

impl Package {
    /// Whether it waits for `dpkg --configure`.
    pub fn waits_for_configure(&self) -> bool {
        matches!(
            self.state.as_str(),
            "unpacked" | "half-configured" | "triggers-pending" | "triggers-awaited"
        )
    }

    /// Whether only another installation helps.
    pub fn needs_reinstall(&self) -> bool {
        self.reinstall || self.state == "half-installed"
    }
}

/// dpkg's state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dpkg {
    /// Packages not in order, by name and architecture; at most [`NAMED`].
    pub bad: BTreeMap<(String, String), Package>,
    /// Packages installed.
    pub installed: u64,
    /// Files of dpkg's journal: it was ended in the middle of its work.
    pub journal: u64,
    /// When any of it last changed.
    pub changed: Timestamp,
}

impl Dpkg {
    /// Reads `/var/lib/dpkg` below `root`; `None` where the host has none.
    pub fn read(root: &Path) -> io::Result<Option<Self>> {
        let folder = root.join("var/lib/dpkg");
        let status = folder.join("status");
        let mut dpkg = Self::default();
        match File::open(&status) {
            Ok(file) => dpkg.take(file, true)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        }
        dpkg.changed = modified(&status).unwrap_or_default();
        let mut journal = Vec::new();
        match fs::read_dir(folder.join("updates")) {
            Ok(entries) => {
                for entry in entries.take(100_000) {
                    let name = entry?.file_name();
                    // dpkg itself looks only at names that are numbers.
                    let digits = name
                        .to_str()
                        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
                    if digits {
                        journal.push(name);
                    }
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        journal.sort();
        dpkg.journal = journal.len() as u64;
        // The journal holds what was not yet written to the status file, newest last.
        for name in journal {
            let path = folder.join("updates").join(name);
            dpkg.changed = dpkg.changed.max(modified(&path).unwrap_or_default());
            match File::open(&path) {
                Ok(file) => dpkg.take(file, false)?,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Some(dpkg))
    }

    /// Whether dpkg was interrupted or left packages that wait for `dpkg --configure`.
    pub fn interrupted(&self) -> bool {
        self.journal > 0 || self.waiting().next().is_some()
    }

    /// Packages that wait for `dpkg --configure`.
    pub fn waiting(&self) -> impl Iterator<Item = (&str, &Package)> {
        self.bad.iter().filter(|(_, p)| p.waits_for_configure()).map(|((n, _), p)| (n.as_str(), p))
    }

    /// Packages that only another installation helps.
    pub fn reinstall(&self) -> impl Iterator<Item = (&str, &Package)> {
        self.bad.iter().filter(|(_, p)| p.needs_reinstall()).map(|((n, _), p)| (n.as_str(), p))
    }

    /// What is wrong, in words; `None` where nothing waits.
    pub fn words(&self) -> Option<String> {
        let names: Vec<_> =
            self.waiting().take(20).map(|(n, p)| format!("{n} ({})", p.state)).collect();
        let more = self.waiting().count().saturating_sub(names.len());
        let files = if self.journal == 1 { "file" } else { "files" };
        let mut words = match (self.journal, names.is_empty()) {
            (0, true) => return None,
            (0, false) => "packages wait for dpkg --configure: ".to_owned(),
            (n, true) => format!("dpkg was interrupted: {n} {files} in /var/lib/dpkg/updates"),
            (n, false) => format!(
                "dpkg was interrupted: {n} {files} in /var/lib/dpkg/updates; packages wait for dpkg --configure: "
            ),
        };
        words += &names.join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Some(words + &more)
    }

    /// Takes the stanzas of a status file; a later one of the same package replaces an earlier.
    pub(super) fn take(&mut self, file: impl Read, counted: bool) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(64 * 1024, file.take(STATUS));
        let (mut name, mut arch, mut status) = (String::new(), String::new(), String::new());
        let mut line = Vec::new();
        loop {
            line.clear();
            let got = reader.by_ref().take(LINE).read_until(b'\n', &mut line)?;
            let text = line.trim_ascii_end();
            if let Some(value) = text.strip_prefix(b"Package:") {
                name = value_of(value);
            } else if let Some(value) = text.strip_prefix(b"Architecture:") {
                arch = value_of(value);
            } else if let Some(value) = text.strip_prefix(b"Status:") {
                status = value_of(value);
            }
            if (got == 0 || text.is_empty()) && !name.is_empty() {
                self.stanza(&name, &arch, &status, counted);
                (name, arch, status) = (String::new(), String::new(), String::new());
            }
            if got == 0 {
                return Ok(());
            }
        }
    }

    /// `Status: install ok installed`: what is wanted, whether it must be reinstalled, the state.
    fn stanza(&mut self, name: &str, arch: &str, status: &str, counted: bool) {
        let mut words = status.split_whitespace();
        let (Some(_), Some(flag), Some(state)) = (words.next(), words.next(), words.next()) else {
            return;
        };
        let reinstall = flag == "reinstreq";
        let fine = matches!(state, "installed" | "config-files" | "not-installed") && !reinstall;
        let key = (name.to_owned(), arch.to_owned());
        if fine {
            self.bad.remove(&key);
            self.installed += u64::from(counted && state == "installed");
        } else if self.bad.len() < NAMED || self.bad.contains_key(&key) {
            self.bad.insert(key, Package { state: state.to_owned(), reinstall });
        }
    }
}

/// When a file was last changed.
pub fn modified(path: &Path) -> Option<Timestamp> {
    let at = fs::symlink_metadata(path).ok()?.modified().ok()?;
    let since = at.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?))
}

fn value_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(status: &str, journal: &[(&str, &str)]) -> (tempfile::TempDir, Option<Dpkg>) {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("var/lib/dpkg/updates");
        fs::create_dir_all(&folder).expect("made");
        fs::write(root.path().join("var/lib/dpkg/status"), status).expect("written");
        for (name, text) in journal {
            fs::write(folder.join(name), text).expect("written");
        }
        let dpkg = Dpkg::read(root.path()).expect("readable");
        (root, dpkg)
    }

    const GOOD: &str = "Package: a\nStatus: install ok installed\nArchitecture: amd64\n\n";

    #[test]
    fn a_host_in_order_has_nothing_bad() {
        let dpkg = host(&format!("{GOOD}Package: b\nStatus: deinstall ok config-files\n"), &[]).1;
        let dpkg = dpkg.expect("dpkg");
        assert!(!dpkg.interrupted() && dpkg.bad.is_empty());
        assert_eq!((dpkg.installed, dpkg.words()), (1, None));
        assert_eq!(Dpkg::read(Path::new("/nonexistent")).expect("no error"), None);
    }

    #[test]
    fn waiting_packages_are_named() {
        let text = format!(
            "{GOOD}Package: b\nStatus: install ok half-configured\n\nPackage: c\nStatus: install ok unpacked"
        );
        let dpkg = host(&text, &[]).1.expect("dpkg");
        assert!(dpkg.interrupted());
        let words = dpkg.words().expect("words");
        assert_eq!(words, "packages wait for dpkg --configure: b (half-configured), c (unpacked)");
        assert_eq!(dpkg.reinstall().count(), 0);
    }

    #[test]
    fn the_journal_is_newer_than_the_status() {
        let update =
            "Package: a\nStatus: install reinstreq half-installed\nArchitecture: amd64\n\n";
        let (_, dpkg) = host(GOOD, &[("0001", update), ("tmp.i", ""), ("0000", "")]);
        let dpkg = dpkg.expect("dpkg");
        assert_eq!(dpkg.journal, 2);
        assert!(dpkg.interrupted());
        assert_eq!(dpkg.reinstall().map(|(n, _)| n).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn any_bytes_are_read() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("var/lib/dpkg");
        fs::create_dir_all(&folder).expect("made");
        fs::write(
            folder.join("status"),
            b"Package:\xff\xfe\nStatus: x\n\n\n\nStatus:\nPackage: ok\nStatus: install ok unpacked",
        )
        .expect("written");
        assert!(Dpkg::read(root.path()).expect("readable").expect("dpkg").interrupted());
    }
}
