//! `.evtx` files: walked chunk by chunk to their true end.
//!
//! A copied live log is usually dirty and its header lies about the number of chunks, so the header
//! is not asked. Chunks that name none of our providers are passed over unread.

mod event;
mod rules;

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ::evtx::{EvtxChunkData, ParserSettings};
use memchr::memmem;

use super::draft::Sink;

/// Bytes of the file's header.
const FILE_HEADER: usize = 4_096;
/// Bytes of a chunk.
const CHUNK: usize = 65_536;
/// What a chunk starts with.
const MAGIC: &[u8] = b"ElfChnk\0";
/// Parts of our providers' names, enough to tell chunks that may matter.
const PROVIDERS: [&str; 8] = [
    "WindowsUpdateClient",
    "Windows-Servicing",
    "Bits-Client",
    "Windows Backup",
    "Windows-Backup",
    "VSS",
    "olsnap",
    "OLSNAP",
];

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadEvents {
    /// Bytes.
    pub bytes: u64,
    /// Chunks accepted.
    pub chunks: u64,
    /// Chunks that could not be read and were passed over.
    pub bad_chunks: u64,
    /// Records that could not be read and were passed over.
    pub bad_records: u64,
}

/// Reads a whole event file.
pub(crate) fn collect(mut reader: impl Read, sink: &mut Sink<'_>) -> io::Result<ReadEvents> {
    let search = Search::new();
    let settings = Arc::new(ParserSettings::new().num_threads(1).indent(false));
    let mut read = ReadEvents::default();
    let mut header = vec![0; FILE_HEADER];
    read.bytes += fill(&mut reader, &mut header)? as u64;
    loop {
        let mut chunk = vec![0; CHUNK];
        // A file cut inside a chunk: what is missing reads as zeroes, that is, free space.
        let got = fill(&mut reader, &mut chunk)?;
        read.bytes += got as u64;
        if got == 0 {
            return Ok(read);
        }
        if !chunk.starts_with(MAGIC) {
            // Room that was never used is no damage.
            read.bad_chunks += u64::from(chunk.iter().any(|b| *b != 0));
            continue;
        }
        read.chunks += 1;
        if !search.in_chunk(&chunk) {
            continue;
        }
        // The parser is another's code and the bytes are anyone's: its panic costs one chunk.
        let done = catch_unwind(AssertUnwindSafe(|| records(chunk, &settings, &search, sink)));
        match done {
            Ok(Some(bad)) => read.bad_records += bad,
            Ok(None) | Err(_) => read.bad_chunks += 1,
        }
    }
}

/// Reads the records of one chunk; gives how many could not be read, `None` for all.
fn records(
    chunk: Vec<u8>,
    settings: &Arc<ParserSettings>,
    search: &Search,
    sink: &mut Sink<'_>,
) -> Option<u64> {
    let mut data = EvtxChunkData::new(chunk, false).ok()?;
    let mut parsed = data.parse(Arc::clone(settings)).ok()?;
    let mut bad = 0;
    for record in parsed.iter() {
        let Ok(json) = record.and_then(::evtx::EvtxRecord::into_json_bytes) else {
            bad += 1;
            continue;
        };
        // Reading the rendered form whole costs more than rendering it: most events are told to
        // be of no use by their first words.
        let head = search.marks.head(&json.data);
        let matters = |head| rules::may_matter(head) && rules::may_be_ours(head, &json.data);
        if !head.map_or_else(|| search.in_json(&json.data), matters) {
            continue;
        }
        let at = json.timestamp.as_millisecond();
        let brief = head
            .filter(|head| rules::is_success(*head))
            .and_then(|head| event::brief(head, json.event_record_id, at, &json.data));
        match brief.or_else(|| event::read(json.event_record_id, at, &json.data)) {
            Some(event) => rules::apply(&event, sink),
            None => bad += 1,
        }
    }
    Some(bad)
}

/// Searches for our providers' names.
struct Search {
    /// As they stand in a chunk (UTF-16LE).
    raw: Vec<memmem::Finder<'static>>,
    /// As they stand in a rendered record.
    text: Vec<memmem::Finder<'static>>,
    /// For a record's first words.
    marks: event::Marks,
}

impl Search {
    fn new() -> Self {
        let wide =
            |name: &str| -> Vec<u8> { name.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        Self {
            raw: PROVIDERS.iter().map(|n| memmem::Finder::new(&wide(n)).into_owned()).collect(),
            text: PROVIDERS.iter().map(|n| memmem::Finder::new(n.as_bytes())).collect(),
            marks: event::Marks::new(),
        }
    }

    fn in_chunk(&self, chunk: &[u8]) -> bool {
        self.raw.iter().any(|f| f.find(chunk).is_some())
    }

    fn in_json(&self, json: &[u8]) -> bool {
        // The provider stands near the front, in `System`.
        let head = &json[..json.len().min(2_048)];
        self.text.iter().any(|f| f.find(head).is_some())
    }
}

/// Reads until `into` is full or the source ends.
fn fill(reader: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < into.len() {
        match reader.read(&mut into[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}
