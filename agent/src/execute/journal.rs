//! What became of each order, written before anything is done: accepted → intent → outcome →
//! finished → told. One file a try, one checksummed line an entry, each fsynced.
//!
//! Read back after a crash, a journal says exactly how far a job was ([`Progress`]). An intent
//! without an outcome is the one thing it cannot say; the step's own check is asked then.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use fleetmend_core::ids::JobId;
use fleetmend_core::job::{JobUpdate, StepState};
use fleetmend_core::order::Order;
use fleetmend_core::time::Timestamp;
use fleetmend_faults::{Point, crash_point};
use serde::{Deserialize, Serialize};

use super::steps::UndoRecord;
use crate::state;

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "entry")]
pub(crate) enum Entry {
    /// The order was verified and taken.
    Accepted {
        /// It.
        order: Box<Order>,
    },
    /// Ceiling and blockers let it pass; the steps begin.
    Running {
        /// When.
        at: Timestamp,
    },
    /// A step is about to be done or undone. Its undo stands here before its effect.
    Intent {
        /// Which step.
        step: u32,
        /// Whether it is being undone.
        undoing: bool,
        /// What undoing it takes.
        undo: UndoRecord,
        /// The boot it happens in.
        boot: String,
    },
    /// A step that a crash hid was found to have had no effect: it is to be done.
    NotDone {
        /// Which step.
        step: u32,
    },
    /// How it went.
    Outcome {
        /// Which step.
        step: u32,
        /// How.
        state: StepState,
        /// In words.
        detail: String,
    },
    /// No further step is begun, though none failed: taken back, halted, or not cured.
    GaveUp {
        /// Why.
        reason: String,
        /// Whether somebody took it back.
        cancelled: bool,
        /// Whether what was done cannot be told any more.
        #[serde(default)]
        hidden: bool,
    },
    /// The agent was started again under an unfinished job.
    Resumed {
        /// When.
        at: Timestamp,
    },
    /// A restart is the next step, and is waited for.
    RestartDue {
        /// Since when.
        at: Timestamp,
        /// The boot then: in another one somebody else has restarted the host.
        boot: String,
    },
    /// A user put the restart off.
    PutOff {
        /// When.
        at: Timestamp,
        /// Who.
        by: String,
    },
    /// The users were told, and the time of the notice is over.
    Noticed {
        /// When.
        at: Timestamp,
    },
    /// The steps are done; the proof is sought.
    Verifying {
        /// When.
        at: Timestamp,
    },
    /// The end, as it is told to the server.
    Finished {
        /// The last update.
        update: Box<JobUpdate>,
    },
    /// The last update is durable in the spool.
    Told,
}

/// How far one step came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum StepProgress {
    /// Not begun.
    #[default]
    Waiting,
    /// Begun, and hidden by a crash.
    Intent {
        /// Its undo.
        undo: UndoRecord,
        /// The boot it happened in.
        boot: String,
    },
    /// Done, or so already.
    Done {
        /// Its undo.
        undo: UndoRecord,
        /// *done* or *already_done*.
        state: StepState,
    },
    /// Failed; may have changed something.
    Failed {
        /// Its undo.
        undo: UndoRecord,
    },
    /// Its undo was begun, and hidden by a crash.
    Undoing {
        /// What undoing it takes.
        undo: UndoRecord,
    },
    /// Taken back.
    Undone,
    /// Could not be taken back.
    UndoFailed {
        /// What undoing it takes.
        undo: UndoRecord,
    },
    /// Hidden for good.
    Unknown {
        /// What undoing it takes.
        undo: UndoRecord,
    },
}

/// How far a job came, by its journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The order.
    pub order: Order,
    /// Whether its steps were begun.
    pub running: bool,
    /// When they were.
    pub running_since: Option<Timestamp>,
    /// Its steps; as many as the journal speaks of.
    pub steps: Vec<StepProgress>,
    /// In words why it failed, by the first step that did, or why it was given up.
    pub failure: Option<String>,
    /// Steps before this place are taken back after a failure; those from it on were not begun
    /// when it failed.
    pub failed_at: usize,
    /// Whether somebody took it back.
    pub cancelled: bool,
    /// Whether what was done cannot be told any more.
    pub hidden: bool,
    /// How often the agent was started under it.
    pub resumes: u32,
    /// Since when a restart is waited for, and the boot then.
    pub restart_due: Option<(Timestamp, String)>,
    /// When users put the restart off last, and who.
    pub put_off: Option<(Timestamp, String)>,
    /// How often they did.
    pub deferrals: u32,
    /// Since when they know of the restart, and did not put it off.
    pub noticed: Option<Timestamp>,
    /// Whether verification was begun.
    pub verifying: bool,
    /// When that was.
    pub verifying_since: Timestamp,
    /// Its end.
    pub finished: Option<JobUpdate>,
    /// Whether the end is safe in the spool.
    pub told: bool,
}

impl Progress {
    /// What the entries say; `None` where the first is no acceptance.
    pub(crate) fn of(entries: &[Entry]) -> Option<Self> {
        let Some(Entry::Accepted { order }) = entries.first() else { return None };
        let mut progress = Self {
            order: (**order).clone(),
            running: false,
            running_since: None,
            steps: Vec::new(),
            failure: None,
            failed_at: 0,
            cancelled: false,
            hidden: false,
            resumes: 0,
            restart_due: None,
            put_off: None,
            deferrals: 0,
            noticed: None,
            verifying: false,
            verifying_since: Timestamp::default(),
            finished: None,
            told: false,
        };
        for entry in entries {
            progress.take(entry);
        }
        Some(progress)
    }

    /// Moves on by one entry.
    pub(crate) fn take(&mut self, entry: &Entry) {
        match entry {
            Entry::Accepted { .. } => {}
            Entry::Running { at } => (self.running, self.running_since) = (true, Some(*at)),
            Entry::Resumed { .. } => self.resumes += 1,
            Entry::GaveUp { reason, cancelled, hidden } => {
                self.hidden |= hidden;
                if self.failure.is_none() {
                    let waiting = self.steps.iter().position(|s| *s == StepProgress::Waiting);
                    self.failed_at = waiting.unwrap_or(self.steps.len());
                    self.failure = Some(reason.clone());
                    self.cancelled = *cancelled;
                }
            }
            Entry::RestartDue { at, boot } => {
                self.restart_due = Some((*at, boot.clone()));
                (self.put_off, self.deferrals, self.noticed) = (None, 0, None);
            }
            Entry::PutOff { at, by } => {
                self.put_off = Some((*at, by.clone()));
                self.deferrals += 1;
            }
            Entry::Noticed { at } => self.noticed = Some(*at),
            Entry::Verifying { at } => (self.verifying, self.verifying_since) = (true, *at),
            Entry::Finished { update } => self.finished = Some((**update).clone()),
            Entry::Told => self.told = true,
            Entry::Intent { step, undoing, undo, boot } => {
                let undo = undo.clone();
                *self.at(*step) = if *undoing {
                    StepProgress::Undoing { undo }
                } else {
                    StepProgress::Intent { undo, boot: boot.clone() }
                };
            }
            Entry::NotDone { step } => *self.at(*step) = StepProgress::Waiting,
            Entry::Outcome { step, state, detail } => {
                // What was waited for is over; the next restart is asked for anew.
                self.restart_due = None;
                self.outcome(*step, *state, detail);
            }
        }
    }

    /// How far a step came.
    pub(crate) fn step(&self, index: usize) -> &StepProgress {
        self.steps.get(index).unwrap_or(&StepProgress::Waiting)
    }

    fn at(&mut self, step: u32) -> &mut StepProgress {
        let index = (step as usize).min(fleetmend_core::limits::STEPS);
        if self.steps.len() <= index {
            self.steps.resize(index + 1, StepProgress::Waiting);
        }
        &mut self.steps[index]
    }

    fn outcome(&mut self, step: u32, state: StepState, detail: &str) {
        let place = self.at(step);
        let undo = match place {
            StepProgress::Intent { undo, .. }
            | StepProgress::Done { undo, .. }
            | StepProgress::Failed { undo }
            | StepProgress::Undoing { undo }
            | StepProgress::UndoFailed { undo }
            | StepProgress::Unknown { undo } => undo.clone(),
            StepProgress::Waiting | StepProgress::Undone => UndoRecord::Nothing,
        };
        *place = match state {
            StepState::Running => return,
            StepState::AlreadyDone | StepState::Done => StepProgress::Done { undo, state },
            StepState::Failed => StepProgress::Failed { undo },
            StepState::Undone => StepProgress::Undone,
            StepState::UndoFailed => StepProgress::UndoFailed { undo },
            StepState::Unknown => StepProgress::Unknown { undo },
        };
        if matches!(state, StepState::Failed | StepState::Unknown) && self.failure.is_none() {
            self.failure = Some(detail.to_owned());
            self.failed_at = step as usize + 1;
        }
    }
}

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    /// How far the job is; always what the file says.
    pub progress: Progress,
    /// Whether a whole line was unsound, not only a torn end: what followed it is lost, so the
    /// progress may lag behind what was done.
    pub damaged: bool,
    /// Whether the agent was started anew since the journal was written to.
    pub after_stop: bool,
    /// Bytes of whole lines.
    whole: u64,
}

impl Journal {
    /// Begins the journal of an order. Fails where there is one already: a try is taken once.
    pub(crate) fn begin(dir: &Path, order: Order) -> io::Result<Self> {
        let path = dir.join(name(order.job, order.attempt));
        let file = state::private().create_new(true).append(true).open(&path)?;
        state::sync_dir(dir)?;
        let entry = Entry::Accepted { order: Box::new(order) };
        let Some(progress) = Progress::of(std::slice::from_ref(&entry)) else {
            return Err(io::Error::other("a journal begins with its order"));
        };
        let (damaged, after_stop) = (false, false);
        let mut journal = Self { file, path, progress, damaged, after_stop, whole: 0 };
        if let Err(error) = journal.write(&entry) {
            // Nothing was done: the try is refused, and may be taken again another time.
            let _ = fs::remove_file(&journal.path);
            return Err(error);
        }
        Ok(journal)
    }

    /// Opens a journal as a crash left it; a torn last line is cut off. `None` where not even the
    /// order was written: nothing was done then, and the file is removed.
    pub(crate) fn reopen(path: &Path) -> io::Result<Option<Self>> {
        let bytes = fs::read(path)?;
        let (progress, whole) = progress_of(&bytes);
        let Some(progress) = progress else {
            if memchr::memchr(b'\n', &bytes).is_some() {
                // Whole lines, and the order in the first is lost: something may have been done. The
                // file stays, so that the try is not taken a second time.
                let why = "its first line is damaged: what the job did cannot be known";
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            fs::remove_file(path)?;
            return Ok(None);
        };
        let file = fs::OpenOptions::new().append(true).open(path)?;
        // Of a damaged journal only the torn end goes. Without the lines behind the damage the next
        // agent would take the journal for a sound one, and do again what they tell of.
        let lines = memchr::memrchr(b'\n', &bytes).map_or(0, |end| end + 1);
        let damaged = lines > whole;
        let whole = lines.max(whole);
        if whole < bytes.len() && !progress.told {
            file.set_len(whole as u64)?;
            file.sync_all()?;
        }
        let (path, whole) = (path.to_owned(), whole as u64);
        Ok(Some(Self { file, path, progress, damaged, after_stop: false, whole }))
    }

    /// How far a journal on disk is, without touching it.
    pub(crate) fn read(path: &Path) -> io::Result<Option<Progress>> {
        Ok(progress_of(&fs::read(path)?).0)
    }

    /// Adds an entry: on disk when this returns, and only then part of the progress.
    pub(crate) fn add(&mut self, entry: Entry) -> io::Result<()> {
        self.write(&entry)?;
        self.progress.take(&entry);
        Ok(())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        crash_point(Point::JournalBeforeEntry);
        let body = serde_json::to_string(entry).map_err(io::Error::other)?;
        let line = format!("{:08x} {body}\n", crc32fast::hash(body.as_bytes()));
        // What a full disk took of the last line goes first: a line is whole or not there.
        self.file.set_len(self.whole)?;
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.whole += line.len() as u64;
                crash_point(Point::JournalEntry);
            }
            Err(_) => drop(self.file.set_len(self.whole)),
        }
        written
    }
}

/// The journals of a folder, oldest order first.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "journal"))
        .collect();
    found.sort();
    Ok(found)
}

/// A journal's file name; ids sort by time.
pub(crate) fn name(job: JobId, attempt: u32) -> String {
    format!("{job}-{attempt}.journal")
}

/// The job and try that a journal's name tells of.
pub(crate) fn named(path: &Path) -> Option<(JobId, u32)> {
    let (job, attempt) = path.file_stem()?.to_str()?.rsplit_once('-')?;
    Some((job.parse().ok()?, attempt.parse().ok()?))
}

/// How far the job is, and the bytes of the lines that say so. One that came to its end, and told it,
/// is at its end whatever is damaged before.
fn progress_of(bytes: &[u8]) -> (Option<Progress>, usize) {
    let (entries, whole) = parse(bytes);
    let mut progress = Progress::of(&entries);
    if let (Some(progress), Some(end)) = (&mut progress, end_behind(&bytes[whole..])) {
        progress.take(&end);
        progress.take(&Entry::Told);
    }
    (progress, whole)
}

/// Reads a journal's bytes through and keeps nothing.
#[cfg(feature = "fuzz")]
pub(crate) fn read_through(bytes: &[u8]) {
    let (_, whole) = progress_of(bytes);
    assert!(whole <= bytes.len(), "{whole} bytes taken of {}", bytes.len());
}

/// The lines of a try that began and was given up.
#[cfg(feature = "fuzz")]
pub(crate) fn written(order: &Order) -> Vec<u8> {
    let at = order.not_before;
    let entries = [
        Entry::Accepted { order: Box::new(order.clone()) },
        Entry::Running { at },
        Entry::Intent { step: 0, undoing: false, undo: UndoRecord::Nothing, boot: "b".to_owned() },
        Entry::Outcome { step: 0, state: StepState::Failed, detail: "why".to_owned() },
        Entry::GaveUp { reason: "why".to_owned(), cancelled: false, hidden: false },
        Entry::Verifying { at },
        Entry::Told,
    ];
    let lines = entries.iter().filter_map(|entry| {
        let body = serde_json::to_string(entry).ok()?;
        Some(format!("{:08x} {body}\n", crc32fast::hash(body.as_bytes())))
    });
    lines.collect::<String>().into_bytes()
}

/// The sound entries from the beginning, and the bytes they take. A damaged line ends the reading:
/// what follows it cannot be put in order.
fn parse(bytes: &[u8]) -> (Vec<Entry>, usize) {
    let (mut entries, mut whole) = (Vec::new(), 0);
    while let Some(length) = memchr::memchr(b'\n', &bytes[whole..]) {
        let Some(entry) = line(&bytes[whole..whole + length]) else { break };
        entries.push(entry);
        whole += length + 1;
    }
    (entries, whole)
}

/// The end of a job that was told, behind damage.
fn end_behind(bytes: &[u8]) -> Option<Entry> {
    let lines: Vec<Entry> = bytes.split(|b| *b == b'\n').filter_map(line).collect();
    match &lines[..] {
        [.., end @ Entry::Finished { .. }, Entry::Told] => Some(end.clone()),
        _ => None,
    }
}

fn line(bytes: &[u8]) -> Option<Entry> {
    let (crc, body) = std::str::from_utf8(bytes).ok()?.split_once(' ')?;
    let sound = u32::from_str_radix(crc, 16).ok()? == crc32fast::hash(body.as_bytes());
    sound.then(|| serde_json::from_str(body).ok())?
}
