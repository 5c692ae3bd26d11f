//! `file.*`: rename, quarantine, create, restore. Nothing is deleted, nothing replaced, no link
//! followed.

use std::path::Path;

use fleetmend_core::ids::JobId;
use fleetmend_core::step::{Action, Base, Place};

use super::{AfterCrash, Applied, Bench, Checked, Kept, StepError, UndoRecord};

/// A place on the host, checked: absolute, without `.`, `..`, empty parts or NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HostPath(Vec<String>);

pub(super) fn check(action: &Action, bench: &Bench<'_>) -> Result<Checked, StepError> {
    match action {
        Action::FileRename { place } => {
            let path = resolve(place, bench)?;
            let kept = Kept::Beside(aside(&path, bench.job));
            moving(&path, kept, bench)
        }
        Action::FileQuarantine { place } => {
            let path = resolve(place, bench)?;
            let name = format!("{}-{}-{}", bench.job, bench.index, path.name());
            moving(&path, Kept::Quarantine(name), bench)
        }
        Action::FileCreateDir { place } => making(&resolve(place, bench)?, bench),
        Action::FileRestore { place } => restoring(&resolve(place, bench)?, bench),
        _ => Err(StepError::Impossible("no file step".to_owned())),
    }
}

/// Does what the undo record of the step says was to be undone.
pub(super) fn apply(undo: &UndoRecord, bench: &Bench<'_>) -> Result<Applied, StepError> {
    let detail = match undo {
        UndoRecord::Moved { from, to } => there(&from.parse()?, to, bench)?,
        UndoRecord::Made { folders } => {
            for folder in folders {
                let path: HostPath = folder.parse()?;
                walk::parent(&path, bench.platform.root())?.make(path.name())?;
            }
            format!("made {}", folders.join(", "))
        }
        _ => return Err(StepError::Impossible("nothing was prepared for this step".to_owned())),
    };
    Ok(Applied { detail, exit: None })
}

pub(super) fn verify(undo: &UndoRecord, bench: &Bench<'_>) -> Result<(), StepError> {
    let so = match undo {
        UndoRecord::Moved { from, to } => {
            let (original, kept) = ends(&from.parse()?, to, bench)?;
            !original && kept
        }
        UndoRecord::Made { folders } => {
            let mut all = true;
            for folder in folders {
                let path: HostPath = folder.parse()?;
                all &= walk::exists(&path, bench.platform.root())?;
            }
            all
        }
        _ => true,
    };
    if so { Ok(()) } else { Err(StepError::failed("it is not where it was moved to")) }
}

pub(super) fn undo(undo: &UndoRecord, bench: &Bench<'_>) -> Result<String, StepError> {
    match undo {
        UndoRecord::Moved { from, to } => back(&from.parse()?, to, bench),
        UndoRecord::Made { folders } => {
            for folder in folders.iter().rev() {
                let path: HostPath = folder.parse()?;
                walk::parent(&path, bench.platform.root())?.remove_empty(path.name())?;
            }
            Ok("removed what was made and is empty".to_owned())
        }
        _ => Ok("nothing to take back".to_owned()),
    }
}

pub(super) fn after_crash(undo: &UndoRecord, bench: &Bench<'_>) -> AfterCrash {
    let unclear = |e: StepError| AfterCrash::Unclear(e.to_string());
    match undo {
        UndoRecord::Moved { from, to } => {
            let ends = from.parse().and_then(|path| ends(&path, to, bench));
            match ends {
                Ok((true, false)) => AfterCrash::NotDone,
                Ok((false, true)) => AfterCrash::Done("found moved".to_owned()),
                Ok((original, kept)) => AfterCrash::Unclear(format!(
                    "{from} is {}there, and what it was moved to is {}there",
                    if original { "" } else { "not " },
                    if kept { "" } else { "not " }
                )),
                Err(error) => unclear(error),
            }
        }
        // Making a folder that is there already changes nothing.
        _ => AfterCrash::NotDone,
    }
}

/// A file that came to the place since the thing was moved away. Folders are another matter: systems
/// make theirs anew at once, and the new one is kept when the old one comes back.
pub(super) fn in_the_way(
    undo: &UndoRecord,
    bench: &Bench<'_>,
) -> Result<Option<String>, StepError> {
    let UndoRecord::Moved { from, to } = undo else { return Ok(None) };
    let path: HostPath = from.parse()?;
    let (there, kept) = ends(&path, to, bench)?;
    if !kept {
        return Ok((!there).then(|| format!("what {from} was moved to is gone")));
    }
    let place = bench.platform.root().join(from.trim_start_matches('/'));
    let folder = std::fs::symlink_metadata(place).is_ok_and(|meta| meta.is_dir());
    Ok((there && !folder).then(|| {
        format!("something new is at {from} since: it stays, and so does what was moved away")
    }))
}

/// Removes what a step of a job that is over keeps beside its old place. Only where something is at
/// that place again: else it is the only one there is.
pub(super) fn forget(undo: &UndoRecord, job: JobId, root: &Path) -> Result<(), StepError> {
    let UndoRecord::Moved { from, to } = undo else { return Ok(()) };
    let path: HostPath = from.parse()?;
    let name = match to {
        Kept::Beside(name) if *name == aside(&path, job) => name.clone(),
        // The old name itself: what was restored is the host's.
        Kept::Beside(_) => return Ok(()),
        Kept::Quarantine(name) => hidden(name),
    };
    if walk::exists(&path, root)? { walk::parent(&path, root)?.remove_all(&name) } else { Ok(()) }
}

/// The name under which a job keeps what it renames.
fn aside(path: &HostPath, job: JobId) -> String {
    format!("{}.fleetmend-{job}", path.name())
}

/// A place as a path of this host.
fn resolve(place: &Place, bench: &Bench<'_>) -> Result<HostPath, StepError> {
    match place {
        Place::Below { base, path } => {
            let base = match base {
                Base::Etc => "/etc",
                Base::VarLib => "/var/lib",
                Base::VarCache => "/var/cache",
                Base::VarLog => "/var/log",
                // Below the platform's root, which is the system drive.
                Base::Windows => "/Windows",
                Base::System32 => "/Windows/System32",
                Base::ProgramData => "/ProgramData",
            };
            format!("{base}/{path}").parse()
        }
        Place::Evidence { evidence } => match bench.values.get(evidence) {
            Some(value) => from_evidence(value),
            None => Err(StepError::Impossible(format!(
                "the order names no evidence of {evidence} that this agent collected"
            ))),
        },
    }
}

/// A path that the agent's own probe found, as its system writes it.
fn from_evidence(value: &str) -> Result<HostPath, StepError> {
    let Some((drive, rest)) = value.split_once(":\\") else { return value.parse() };
    if !drive.eq_ignore_ascii_case("c") {
        return Err(StepError::Impossible(format!(
            "{value} lies on another volume than the system: files are worked on there only"
        )));
    }
    // A colon would name a stream of the file, or another drive.
    if rest.contains([':', '/', '*', '?', '"', '<', '>', '|']) {
        return Err(StepError::Impossible(format!("\"{value}\" is no plain absolute path")));
    }
    format!("/{}", rest.trim_end_matches('\\').replace('\\', "/")).parse()
}

fn moving(path: &HostPath, to: Kept, bench: &Bench<'_>) -> Result<Checked, StepError> {
    let (original, kept) = ends(path, &to, bench)?;
    match (original, kept) {
        (true, false) => Ok(Checked::Todo(UndoRecord::Moved { from: path.to_string(), to })),
        (false, _) => Ok(Checked::AlreadySo(format!("{path} is not there"))),
        (true, true) => Err(StepError::Impossible(format!(
            "{path} was moved away before by this job and is there again"
        ))),
    }
}

fn making(path: &HostPath, bench: &Bench<'_>) -> Result<Checked, StepError> {
    let mut folders = Vec::new();
    for depth in 1..=path.0.len() {
        let part = HostPath(path.0[..depth].to_vec());
        if !folders.is_empty() || !walk::exists(&part, bench.platform.root())? {
            folders.push(part.to_string());
        }
    }
    if folders.is_empty() {
        return Ok(Checked::AlreadySo(format!("{path} is there")));
    }
    Ok(Checked::Todo(UndoRecord::Made { folders }))
}

/// What an earlier step of this job moved from `path`, moved back; its undo moves it away again.
fn restoring(path: &HostPath, bench: &Bench<'_>) -> Result<Checked, StepError> {
    let wanted = path.to_string();
    let moved = bench.earlier.iter().rev().find_map(|undo| match undo {
        UndoRecord::Moved { from, to: Kept::Beside(name) } if *from == wanted => Some(name),
        _ => None,
    });
    let Some(name) = moved else {
        return Err(StepError::Impossible(format!(
            "no earlier step of this job renamed {path} within its folder"
        )));
    };
    if walk::exists(path, bench.platform.root())? {
        return Ok(Checked::AlreadySo(format!("something new is at {path}: it stays")));
    }
    let mut aside = path.clone();
    if let Some(last) = aside.0.last_mut() {
        last.clone_from(name);
    }
    let to = Kept::Beside(path.name().to_owned());
    Ok(Checked::Todo(UndoRecord::Moved { from: aside.to_string(), to }))
}

/// Moves a thing to where it is kept.
fn there(path: &HostPath, to: &Kept, bench: &Bench<'_>) -> Result<String, StepError> {
    let parent = walk::parent(path, bench.platform.root())?;
    let (folder, name) = walk::kept(path, to, bench)?;
    if parent.rename(path.name(), &folder, name)? {
        return Ok(format!("{path} moved to {name}"));
    }
    // Another file system: kept beside, under the quarantine's name.
    if parent.rename(path.name(), &parent, &hidden(name))? {
        return Ok(format!("{path} moved to {} beside it", hidden(name)));
    }
    Err(StepError::failed(format!("{path} cannot be moved")))
}

/// Moves it back; what took its place goes into the quarantine.
fn back(path: &HostPath, to: &Kept, bench: &Bench<'_>) -> Result<String, StepError> {
    let parent = walk::parent(path, bench.platform.root())?;
    let (folder, name) = walk::kept(path, to, bench)?;
    let taken = parent.kind(path.name())?.is_some();
    let beside = hidden(name);
    let (from, name) = if folder.kind(name)?.is_some() {
        (&folder, name)
    } else if parent.kind(&beside)?.is_some() {
        (&parent, beside.as_str())
    } else if taken {
        return Ok(format!("{path} is where it was"));
    } else {
        return Err(StepError::failed(format!("what {path} was moved to is gone")));
    };
    let mut told = String::new();
    if taken {
        // What came in its place meanwhile, as Windows makes its folders anew, is kept as well.
        let new = format!("{}-{}-new-{}", bench.job, bench.index, path.name());
        let aside = Kept::Quarantine(new.clone());
        there(path, &aside, bench)?;
        told = format!("; what came in its place is kept as {new}");
    }
    if !from.rename(name, &parent, path.name())? {
        return Err(StepError::failed(format!(
            "{path} lies on another file system than {name} now"
        )));
    }
    Ok(format!("{path} moved back{told}"))
}

/// Whether the original is there, and whether the kept one is.
fn ends(path: &HostPath, to: &Kept, bench: &Bench<'_>) -> Result<(bool, bool), StepError> {
    let original = walk::exists(path, bench.platform.root())?;
    if !original && !walk::parent_exists(path, bench.platform.root())? {
        return Ok((false, false));
    }
    let (folder, name) = walk::kept(path, to, bench)?;
    let beside = walk::parent(path, bench.platform.root())?.kind(&hidden(name))?.is_some();
    Ok((original, folder.kind(name)?.is_some() || beside))
}

fn hidden(name: &str) -> String {
    format!(".fleetmend-quarantine-{name}")
}

impl HostPath {
    fn name(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }
}

impl std::fmt::Display for HostPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/{}", self.0.join("/"))
    }
}

impl std::str::FromStr for HostPath {
    type Err = StepError;
    fn from_str(text: &str) -> Result<Self, StepError> {
        let bad = || StepError::Impossible(format!("\"{text}\" is no plain absolute path"));
        let parts: Vec<String> =
            text.strip_prefix('/').ok_or_else(bad)?.split('/').map(str::to_owned).collect();
        let plain =
            |part: &String| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
        // The system's own top folders are never worked on.
        let shared = [
            "var",
            "usr",
            "boot",
            "home",
            "run",
            "users",
            "programdata",
            "program files",
            "program files (x86)",
        ];
        let shared = shared.iter().any(|top| parts[0].eq_ignore_ascii_case(top));
        let deep = parts.len() >= if shared { 3 } else { 2 };
        if deep && parts.iter().all(plain) { Ok(Self(parts)) } else { Err(bad()) }
    }
}

#[cfg(unix)]
mod walk {
    use std::path::Path;

    use super::super::tree::Folder;
    use super::{Bench, HostPath, Kept, StepError};

    /// The folder that holds the place.
    pub(super) fn parent(path: &HostPath, root: &Path) -> Result<Folder, StepError> {
        let mut folder = Folder::open(root)?;
        for part in &path.0[..path.0.len() - 1] {
            folder = folder.enter(part)?;
        }
        Ok(folder)
    }

    pub(super) fn parent_exists(path: &HostPath, root: &Path) -> Result<bool, StepError> {
        let mut folder = Folder::open(root)?;
        for part in &path.0[..path.0.len() - 1] {
            if folder.kind(part)?.is_none() {
                return Ok(false);
            }
            folder = folder.enter(part)?;
        }
        Ok(true)
    }

    pub(super) fn exists(path: &HostPath, root: &Path) -> Result<bool, StepError> {
        if path.0.len() > 1 && !parent_exists(path, root)? {
            return Ok(false);
        }
        Ok(parent(path, root)?.kind(path.name())?.is_some())
    }

    /// Where a moved thing is kept: the folder and the name in it.
    pub(super) fn kept<'a>(
        path: &HostPath,
        to: &'a Kept,
        bench: &Bench<'_>,
    ) -> Result<(Folder, &'a str), StepError> {
        match to {
            Kept::Beside(name) => Ok((parent(path, bench.platform.root())?, name)),
            Kept::Quarantine(name) => Ok((Folder::open(bench.quarantine)?, name)),
        }
    }
}

/// Steps on files of other systems come with those systems.
#[cfg(not(unix))]
mod walk {
    use std::path::Path;

    use super::{Bench, HostPath, Kept, StepError};

    pub(super) struct Folder;

    fn not_yet<T>() -> Result<T, StepError> {
        Err(StepError::Impossible("file steps are not available on this system".to_owned()))
    }

    impl Folder {
        pub(super) fn kind(&self, _: &str) -> Result<Option<()>, StepError> {
            not_yet()
        }
        pub(super) fn rename(&self, _: &str, _: &Self, _: &str) -> Result<bool, StepError> {
            not_yet()
        }
        pub(super) fn make(&self, _: &str) -> Result<(), StepError> {
            not_yet()
        }
        pub(super) fn remove_empty(&self, _: &str) -> Result<(), StepError> {
            not_yet()
        }
        pub(super) fn remove_all(&self, _: &str) -> Result<(), StepError> {
            not_yet()
        }
    }

    pub(super) fn parent(_: &HostPath, _: &Path) -> Result<Folder, StepError> {
        not_yet()
    }
    pub(super) fn parent_exists(_: &HostPath, _: &Path) -> Result<bool, StepError> {
        not_yet()
    }
    pub(super) fn exists(_: &HostPath, _: &Path) -> Result<bool, StepError> {
        not_yet()
    }
    pub(super) fn kept<'a>(
        _: &HostPath,
        _: &'a Kept,
        _: &Bench<'_>,
    ) -> Result<(Folder, &'a str), StepError> {
        not_yet()
    }
}
