//! `.evtx` files: walked chunk by chunk to their true end.
//!
//! A copied live log is usually dirty and its header lies about the number of chunks, so the header
//! is not asked. Records that no rule can use are passed over unread.

mod event;
mod parts;
mod raw;
mod rules;
pub(crate) mod runs;

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use ::evtx::{EvtxChunkData, ParserSettings};

use super::draft::Sink;
pub(crate) use raw::Mark;
use raw::Wanted;

/// Bytes of the file's header.
const FILE_HEADER: usize = 4_096;
/// Bytes of a chunk.
const CHUNK: usize = 65_536;
/// What a chunk starts with.
const MAGIC: &[u8] = b"ElfChnk\0";
/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ReadEvents {
    /// Bytes.
    pub bytes: u64,
    /// Chunks accepted.
    pub chunks: u64,
    /// Chunks that could not be read and were passed over.
    pub bad_chunks: u64,
    /// Records that could not be read and were passed over.
    pub bad_records: u64,
    /// The record with the highest number.
    pub last: Mark,
    /// Whether the log was cleared since the mark that was asked for: its numbers began again.
    pub cleared: bool,
}

/// Reads the records after `since`; all of them after the mark that is nothing.
pub(crate) fn collect(
    mut reader: impl Read,
    since: Mark,
    sink: &mut Sink<'_>,
) -> io::Result<ReadEvents> {
    static NAMES: LazyLock<raw::Names> = LazyLock::new(raw::Names::new);
    let settings = Arc::new(ParserSettings::new().num_threads(1).indent(false));
    let mut read = ReadEvents::default();
    let mut chunk = Vec::new();
    read.bytes += fill(&mut reader, FILE_HEADER, &mut chunk)?;
    loop {
        let got = fill(&mut reader, CHUNK, &mut chunk)?;
        read.bytes += got;
        if got == 0 {
            // A log whose last number is behind the mark has begun again, too.
            read.cleared |= read.last.record < since.record;
            return Ok(read);
        }
        // A file cut inside a chunk: what is missing reads as zeroes, that is, free space.
        chunk.resize(CHUNK, 0);
        if !chunk.starts_with(MAGIC) {
            // Room that was never used is no damage.
            read.bad_chunks += u64::from(chunk.iter().any(|b| *b != 0));
            continue;
        }
        read.chunks += 1;
        let (wanted, walked) = raw::look(&chunk, since, &NAMES);
        read.cleared |= walked.cleared;
        if walked.last.record > read.last.record {
            read.last = walked.last;
        }
        if wanted == Wanted::None {
            continue;
        }
        if let Wanted::These(_, brief) = &wanted {
            for event in brief {
                rules::apply(event, sink);
            }
        }
        if matches!(&wanted, Wanted::These(places, _) if places.is_empty()) {
            continue;
        }
        // The parser is another's code and the bytes are anyone's: its panic costs one chunk.
        let part = Part { wanted, end: walked.end, since };
        let bytes = std::mem::take(&mut chunk);
        let done = catch_unwind(AssertUnwindSafe(|| part.read(bytes, &settings, sink)));
        match done {
            Ok(Some(bad)) => read.bad_records += bad,
            Ok(None) | Err(_) => read.bad_chunks += 1,
        }
    }
}

/// What is read of one chunk.
struct Part {
    wanted: Wanted,
    /// Where its sound records end.
    end: usize,
    since: Mark,
}

impl Part {
    /// Reads the wanted records; gives how many could not be read, `None` for all.
    fn read(
        &self,
        chunk: Vec<u8>,
        settings: &Arc<ParserSettings>,
        sink: &mut Sink<'_>,
    ) -> Option<u64> {
        let mut data = EvtxChunkData::new(chunk, false).ok()?;
        if let Ok(end) = u32::try_from(self.end) {
            // The header of a chunk that is being written is behind its records.
            data.header.free_space_offset = data.header.free_space_offset.max(end);
        }
        let mut parsed = data.parse(Arc::clone(settings)).ok()?;
        let mut bad = 0;
        for record in parsed.iter() {
            let Ok(record) = record else {
                bad += 1;
                continue;
            };
            let wanted = match &self.wanted {
                Wanted::These(places, _) => places.binary_search(&record.binxml_offset).is_ok(),
                _ => record.event_record_id > self.since.record,
            };
            if !wanted {
                continue;
            }
            let Ok(json) = record.into_json_bytes() else {
                bad += 1;
                continue;
            };
            let at = json.timestamp.as_millisecond();
            match event::read(json.event_record_id, at, &json.data) {
                Some(event) => rules::apply(&event, sink),
                None => bad += 1,
            }
        }
        Some(bad)
    }
}

/// Reads so many bytes, fewer only where the source ends; what was there before is gone.
fn fill(reader: &mut impl Read, bytes: usize, into: &mut Vec<u8>) -> io::Result<u64> {
    into.clear();
    // The room first: where it grew with what is read, each piece would be moved again. None is
    // taken at the end of a file, where it would be given back unused.
    if reader.by_ref().take(1).read_to_end(into)? == 0 {
        return Ok(0);
    }
    into.reserve_exact(bytes - into.len());
    let rest = (bytes - into.len()) as u64;
    reader.take(rest).read_to_end(into)?;
    Ok(into.len() as u64)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Real logs stand beside the repository: they have no licence to be copied into it.
    #[test]
    fn what_is_passed_over_unread_would_have_said_nothing() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples/evtx");
        let Ok(entries) = std::fs::read_dir(&folder) else {
            eprintln!("skipped: {} is absent", folder.display());
            return;
        };
        let settings = Arc::new(ParserSettings::new().num_threads(1).indent(false));
        let mut logs = 0;
        for entry in entries {
            let path = entry.expect("an entry").path();
            let bytes = std::fs::read(&path).expect("readable");
            let mut chosen = Sink::new(fleetmend_catalog::builtin());
            collect(bytes.as_slice(), Mark::default(), &mut chosen).expect("memory");
            let mut all = Sink::new(fleetmend_catalog::builtin());
            for chunk in bytes[FILE_HEADER..].chunks(CHUNK).filter(|c| c.starts_with(MAGIC)) {
                let part = Part { wanted: Wanted::All, end: 0, since: Mark::default() };
                assert_eq!(part.read(chunk.to_vec(), &settings, &mut all), Some(0));
            }
            assert_eq!(chosen.finish(), all.finish(), "{}", path.display());
            logs += 1;
        }
        assert!(logs > 0);
    }
}
