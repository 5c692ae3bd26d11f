//! Event files of our own, written by the public description of the format: one inline record form,
//! no templates. Only what simulated hosts and the agent's tests need.

const CHUNK: usize = 65_536;

/// An event to be written.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    provider: String,
    id: u32,
    level: u8,
    /// When, in milliseconds since 1970.
    at: i64,
    /// Fields of `EventData`; those without a name are classic ones.
    data: Vec<(String, String)>,
    user_data: Vec<(String, String)>,
}

impl Event {
    pub(crate) fn new(provider: &str, id: u32, level: u8) -> Self {
        let provider = provider.to_owned();
        // 2026-01-02T03:04:05.678Z, unless told.
        let at = 1_767_323_045_678;
        Self { provider, id, level, at, data: Vec::new(), user_data: Vec::new() }
    }

    pub(crate) fn at(mut self, millis: i64) -> Self {
        self.at = millis;
        self
    }

    pub(crate) fn data(mut self, name: &str, value: &str) -> Self {
        self.data.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn user_data(mut self, fields: &[(&str, &str)]) -> Self {
        self.user_data = fields.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect();
        self
    }
}

/// A file of these chunks. Its header lies: it admits one chunk only, and calls itself dirty.
pub(crate) fn file(chunks: &[Vec<Event>]) -> Vec<u8> {
    file_from(1, chunks)
}

/// The same; its first record has this number.
pub(crate) fn file_from(mut record: u64, chunks: &[Vec<Event>]) -> Vec<u8> {
    let mut file = vec![0; 4_096];
    file[..8].copy_from_slice(b"ElfFile\0");
    put(&mut file, 42, &1_u16.to_le_bytes());
    put(&mut file, 120, &1_u32.to_le_bytes());
    for events in chunks {
        file.extend(chunk(events, &mut record));
    }
    file
}

fn chunk(events: &[Event], record: &mut u64) -> Vec<u8> {
    let mut chunk = vec![0; 512];
    chunk[..8].copy_from_slice(b"ElfChnk\0");
    let first = *record;
    let mut last_offset = 512;
    for event in events {
        last_offset = chunk.len();
        let xml = binary_xml(event, chunk.len() + 24);
        let size = u32::try_from(24 + xml.len() + 4).expect("small");
        chunk.extend(b"**\0\0");
        chunk.extend(size.to_le_bytes());
        chunk.extend(record.to_le_bytes());
        // In steps of 100 ns since 1601.
        chunk.extend((event.at * 10_000 + 116_444_736_000_000_000).to_le_bytes());
        chunk.extend(xml);
        chunk.extend(size.to_le_bytes());
        *record += 1;
    }
    let last = *record - 1;
    for (at, id) in [(8, first), (16, last), (24, first), (32, last)] {
        put(&mut chunk, at, &id.to_le_bytes());
    }
    let free = chunk.len();
    for (at, value) in [(40, 128), (44, last_offset), (48, free)] {
        put(&mut chunk, at, &u32::try_from(value).expect("small").to_le_bytes());
    }
    assert!(free <= CHUNK, "too many events for a chunk");
    chunk.resize(CHUNK, 0);
    chunk
}

fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) {
    buffer[at..at + bytes.len()].copy_from_slice(bytes);
}

/// The record's binary XML; `base` is where it stands in its chunk.
fn binary_xml(event: &Event, base: usize) -> Vec<u8> {
    let mut xml = Writer { bytes: vec![0x0F, 1, 1, 0], base };
    xml.open("Event", None);
    xml.open("System", None);
    xml.open("Provider", Some(("Name", &event.provider)));
    xml.end();
    xml.element("EventID", None, &event.id.to_string());
    xml.element("Level", None, &event.level.to_string());
    xml.end();
    if !event.data.is_empty() {
        xml.open("EventData", None);
        for (name, value) in &event.data {
            let name = (!name.is_empty()).then_some(("Name", name.as_str()));
            xml.element("Data", name, value);
        }
        xml.end();
    }
    if !event.user_data.is_empty() {
        xml.open("UserData", None);
        xml.open("CbsPackageChangeState", None);
        for (name, value) in &event.user_data {
            xml.element(name, None, value);
        }
        xml.end();
        xml.end();
    }
    xml.end();
    xml.bytes.push(0);
    xml.bytes
}

struct Writer {
    bytes: Vec<u8>,
    base: usize,
}

impl Writer {
    fn open(&mut self, name: &str, attribute: Option<(&str, &str)>) {
        self.bytes.push(if attribute.is_some() { 0x41 } else { 0x01 });
        self.bytes.extend([0; 4]);
        self.name(name);
        if let Some((key, value)) = attribute {
            self.bytes.extend([0; 4]);
            self.bytes.push(0x06);
            self.name(key);
            self.text(value);
        }
        self.bytes.push(0x02);
    }

    fn element(&mut self, name: &str, attribute: Option<(&str, &str)>, text: &str) {
        self.open(name, attribute);
        self.text(text);
        self.end();
    }

    fn end(&mut self) {
        self.bytes.push(0x04);
    }

    fn text(&mut self, text: &str) {
        self.bytes.extend([0x05, 0x01]);
        self.counted(text);
    }

    /// A name that stands where it is used.
    fn name(&mut self, name: &str) {
        let here = u32::try_from(self.base + self.bytes.len() + 4).expect("small");
        self.bytes.extend(here.to_le_bytes());
        self.bytes.extend([0; 6]);
        self.counted(name);
        self.bytes.extend([0; 2]);
    }

    fn counted(&mut self, text: &str) {
        let units: Vec<u16> = text.encode_utf16().collect();
        self.bytes.extend(u16::try_from(units.len()).expect("short").to_le_bytes());
        self.bytes.extend(units.into_iter().flat_map(u16::to_le_bytes));
    }
}
