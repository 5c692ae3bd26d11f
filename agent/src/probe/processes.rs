//! The processes of a host, by its own /proc.

use std::fs;
use std::io;
use std::path::Path;

/// Processes that are looked at.
const MOST: usize = 100_000;

/// A living process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) id: u32,
    /// What the kernel calls it.
    comm: String,
    /// The file names at the beginning of its command line: a script has its interpreter before it.
    line: Vec<String>,
}

impl Process {
    /// The process of an id; `None` where there is none.
    pub(super) fn read(root: &Path, id: u32) -> Option<Self> {
        let folder = root.join(format!("proc/{id}"));
        let comm = fs::read_to_string(folder.join("comm")).ok()?.trim().to_owned();
        // One that is dead and not yet collected does nothing any more.
        let stat = fs::read_to_string(folder.join("stat")).unwrap_or_default();
        if stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')) {
            return None;
        }
        let line = fs::read(folder.join("cmdline")).unwrap_or_default();
        let words = line[..line.len().min(4_096)].split(|b| *b == 0).take(2);
        let names = words.map(|word| {
            let word = String::from_utf8_lossy(word).into_owned();
            word.rsplit('/').next().unwrap_or_default().to_owned()
        });
        Some(Self { id, comm, line: names.collect() })
    }

    /// Whether it is the program of this file name.
    pub(super) fn is(&self, program: &str) -> bool {
        // The kernel keeps 15 bytes of a name.
        let kernel = &program[..program.len().min(15)];
        self.comm == kernel || self.line.iter().any(|name| name == program)
    }
}

/// The living processes.
pub(super) fn all(root: &Path) -> io::Result<impl Iterator<Item = Process>> {
    let ids = fs::read_dir(root.join("proc"))?.flatten().filter_map(|entry| {
        let name = entry.file_name();
        name.to_str()?.parse::<u32>().ok()
    });
    Ok(ids.take(MOST).filter_map(|id| Process::read(root, id)))
}

/// A process of this program.
pub(super) fn named(root: &Path, program: &str) -> io::Result<Option<Process>> {
    Ok(all(root)?.find(|process| process.is(program)))
}
