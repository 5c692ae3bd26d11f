//! The records of a chunk as they lie there, looked at without being parsed: which are there, and
//! which of them can be of use.
//!
//! Windows writes a record as values for a template. In the live logs the template of `System` is
//! always the same one, and its values are told by their places; other templates are told by the
//! names that they or their values hold. In doubt a record is wanted: the library reads it, and the
//! rules judge what it reads. (Structures: libyal/libevtx, *Windows XML Event Log format*.)

use fleetmend_core::time::{SourceTime, Timestamp};
use memchr::memmem::Finder;

use super::event::{Event, Head};
use super::rules;

/// Bytes of a chunk's header.
const HEADER: usize = 512;
/// Bytes of a record's header.
const RECORD_HEADER: usize = 24;
/// A fragment's header, as every record begins.
const FRAGMENT: [u8; 4] = [0x0F, 1, 1, 0];
/// The token of a template with values.
const TEMPLATE: u8 = 0x0C;
/// The type of a value that is text in UTF-16.
const TEXT: u8 = 0x01;
/// The type of a value that is an identifier.
const GUID: u8 = 0x0F;
/// The type of a value that is binary XML.
const FRAGMENT_VALUE: u8 = 0x21;
/// 1970 in steps of 100 ns since 1601.
const EPOCH: i64 = 116_444_736_000_000_000;

/// A place in an event file: the last record that was looked at. Numbers begin again when a log is
/// cleared, so the number alone does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mark {
    /// Its number.
    pub record: u64,
    /// Its time, as the file writes it (100 ns since 1601).
    pub time: u64,
}

/// What a look at a chunk tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// None of its records.
    None,
    /// The records whose binary XML begins at these places, in order; and what was read without the
    /// library already.
    These(Vec<u64>, Vec<Event>),
    /// The walk broke off where records should be: only the library, which finds its way again, can
    /// tell.
    All,
}

/// The last record of a chunk's sound beginning, for marks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Walked {
    /// The record with the highest number.
    pub(super) last: Mark,
    /// Whether a record has the number of the mark that was asked for, and another time.
    pub(super) cleared: bool,
    /// Where the last sound record ends.
    pub(super) end: usize,
}

/// Which records of `chunk` after `since` can be of use.
pub(super) fn look(chunk: &[u8], since: Mark, names: &Names) -> (Wanted, Walked) {
    let mut walked = Walked { end: HEADER, ..Walked::default() };
    let (mut wanted, mut brief) = (Vec::new(), Vec::new());
    let mut templates = Vec::new();
    let free = u32_at(chunk, 48).map_or(0, |n| n as usize).min(chunk.len());
    while let Some(record) = Record::at(chunk, walked.end) {
        // Behind what the header admits lie records that it does not know yet, or the remains of an
        // older round of the log: only the next number is of this one.
        // A number out of its order is a damaged one, or what an older chunk left behind.
        let next = walked.last.record.checked_add(1) == Some(record.mark.record);
        if !next && (walked.end >= free || walked.last.record != 0) {
            break;
        }
        walked.end += record.size;
        if record.mark.record > walked.last.record {
            walked.last = record.mark;
        }
        if record.mark.record == since.record && record.mark.time != since.time {
            walked.cleared = true;
        }
        if record.mark.record <= since.record {
            continue;
        }
        if let Some(event) = record.brief(names) {
            brief.push(event);
        } else if record.matters(chunk, names, &mut templates) {
            wanted.push(record.xml_at as u64);
        }
    }
    let wanted = match wanted {
        _ if walked.end < free => Wanted::All,
        none if none.is_empty() && brief.is_empty() => Wanted::None,
        some => Wanted::These(some, brief),
    };
    (wanted, walked)
}

/// One record in its chunk.
struct Record<'c> {
    size: usize,
    mark: Mark,
    xml_at: usize,
    xml: &'c [u8],
}

impl<'c> Record<'c> {
    fn at(chunk: &'c [u8], at: usize) -> Option<Self> {
        let head = chunk.get(at..at + RECORD_HEADER)?;
        let size = u32_at(head, 4)? as usize;
        let fits = head.starts_with(b"**\0\0") && size >= RECORD_HEADER + 4;
        let xml = chunk.get(at + RECORD_HEADER..at.checked_add(size)?.checked_sub(4)?);
        let mark = Mark { record: u64_at(head, 8)?, time: u64_at(head, 16)? };
        Some(Self { size, mark, xml_at: at + RECORD_HEADER, xml: xml.filter(|_| fits)? })
    }

    /// Whether it can be of use; so is what is not understood here.
    fn matters(&self, chunk: &[u8], names: &Names, known: &mut Templates) -> bool {
        let Some(values) = self.values() else { return true };
        let told = self.id_and_level(&values);
        let ours = |provider: &str| {
            told.is_none_or(|(id, level)| rules::may_matter(Head { provider, id, level }))
        };
        let mut texts = values.texts().peekable();
        if texts.peek().is_some() {
            return texts.filter_map(|text| names.one(text)).any(ours);
        }
        // The provider stands in the template itself.
        let place = u32_at(self.xml, 10).unwrap_or(0);
        let at = known.iter().position(|(at, _)| *at == place).unwrap_or_else(|| {
            let definition = chunk.get(place as usize..).and_then(definition);
            known.push((place, definition.map(|data| names.all_in(data))));
            known.len() - 1
        });
        known[at].1.as_ref().is_none_or(|providers| providers.iter().any(|p| ours(p)))
    }

    /// A success of the update client, read from the values of its own template, which stands in a
    /// value of `System`'s: the only text is the title, the first identifier the update's.
    fn brief(&self, names: &Names) -> Option<Event> {
        let values = self.values()?;
        let (id, level) = self.id_and_level(&values)?;
        let provider = names.one(values.texts().next()?)?;
        let provider = rules::brief(Head { provider, id, level })?;
        let inner = values.each().find(|v| v.kind == FRAGMENT_VALUE)?.data;
        let at = self.xml_at + (inner.as_ptr() as usize - self.xml.as_ptr() as usize);
        let own = template(inner, at)?;
        let mut fields = Vec::new();
        if let Some(title) = own.texts().next() {
            let units = trimmed(title).chunks_exact(2).map(|u| u16::from_le_bytes([u[0], u[1]]));
            let title = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
            fields.push(("updateTitle".to_owned(), title.collect()));
        }
        // A scan names the service there, not an update.
        if let Some(guid) = own.each().find(|v| v.kind == GUID && id != 26) {
            fields.push(("updateGuid".to_owned(), guid_text(guid.data)?));
        }
        let time = i64::try_from(self.mark.time).ok()?.checked_sub(EPOCH)? / 10_000;
        let time = SourceTime::utc(Timestamp::from_millis(time));
        let provider = provider.to_owned();
        Some(Event { provider, id, level, record: self.mark.record, time, fields })
    }

    /// The values of its template; `None` where it is written in another form.
    fn values(&self) -> Option<Values<'c>> {
        template(self.xml.strip_prefix(&FRAGMENT)?, self.xml_at + FRAGMENT.len())
    }

    /// Id and level, where the values are those of the usual template of `System`: the record's own
    /// number in its place proves it.
    fn id_and_level(&self, values: &Values<'c>) -> Option<(u32, u8)> {
        let of = |n, kind| values.each().nth(n).filter(|v| v.kind == kind).map(|v| v.data);
        let number = u64_at(of(10, 0x0A)?, 0)?;
        let id = u16::from_le_bytes(of(3, 0x06)?.try_into().ok()?);
        let level = *of(0, 0x04)?.first()?;
        (number == self.mark.record).then_some((u32::from(id), level))
    }
}

/// The providers of ours that stand in templates, by the templates' places; `None` where a template
/// cannot be read.
type Templates = Vec<(u32, Option<Vec<&'static str>>)>;

/// The values of a template that is used at this place in the chunk.
fn template(xml: &[u8], at: usize) -> Option<Values<'_>> {
    if xml.first()? & 0x0F != TEMPLATE {
        return None;
    }
    // The template itself stands before the values where it is used for the first time.
    let own = u32_at(xml, 6)? as usize == at + 10;
    let skipped = if own { 24 + definition(xml.get(10..)?)?.len() } else { 0 };
    let table = xml.get(10 + skipped..)?;
    let count = u32_at(table, 0)? as usize;
    let kinds = table.get(4..4 + count.checked_mul(4)?)?;
    Some(Values { kinds, data: &table[4 + count * 4..] })
}

/// The body of a template's definition.
fn definition(at: &[u8]) -> Option<&[u8]> {
    let size = u32_at(at, 20)? as usize;
    at.get(24..24_usize.checked_add(size)?)
}

/// A template's values: a table of sizes and types, then the data.
struct Values<'c> {
    kinds: &'c [u8],
    data: &'c [u8],
}

#[derive(Clone, Copy)]
struct Value<'c> {
    kind: u8,
    data: &'c [u8],
}

impl<'c> Values<'c> {
    fn each(&self) -> impl Iterator<Item = Value<'c>> + use<'c> {
        let mut rest = self.data;
        self.kinds.chunks_exact(4).map_while(move |entry| {
            let size = usize::from(u16::from_le_bytes([entry[0], entry[1]]));
            let (data, after) = rest.split_at_checked(size)?;
            rest = after;
            Some(Value { kind: entry[2], data })
        })
    }

    fn texts(&self) -> impl Iterator<Item = &'c [u8]> + use<'c> {
        self.each().filter(|v| v.kind == TEXT).map(|v| v.data)
    }
}

/// Our providers' names as they stand in a chunk: in UTF-16, here in lower case.
#[derive(Debug)]
pub(super) struct Names(Vec<Name>);

#[derive(Debug)]
struct Name {
    plain: &'static str,
    wide: Vec<u8>,
    finder: Finder<'static>,
}

impl Names {
    pub(super) fn new() -> Self {
        let name = |name: &'static str| {
            let wide = name.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
            let wide = wide.to_ascii_lowercase();
            Name { plain: name, finder: Finder::new(&wide).into_owned(), wide }
        };
        Self(rules::providers().map(name).collect())
    }

    /// The name that the text is, in any case.
    fn one(&self, text: &[u8]) -> Option<&'static str> {
        let text = trimmed(text);
        let found = self.0.iter().find(|name| name.wide.eq_ignore_ascii_case(text));
        found.map(|name| name.plain)
    }

    /// The names that stand anywhere in a template, in any case.
    fn all_in(&self, data: &[u8]) -> Vec<&'static str> {
        let lower = data.to_ascii_lowercase();
        let held = self.0.iter().filter(|name| name.finder.find(&lower).is_some());
        held.map(|name| name.plain).collect()
    }
}

/// An identifier as the library renders it.
fn guid_text(bytes: &[u8]) -> Option<String> {
    let (a, b, c) = (u32_at(bytes, 0)?, u32_at(bytes, 4)?, bytes.get(8..16)?);
    let rest = hex::encode_upper(c);
    let (b, second) = (b & 0xFFFF, b >> 16);
    Some(format!("{a:08X}-{b:04X}-{second:04X}-{}-{}", &rest[..4], &rest[4..]))
}

/// Text in UTF-16 without the zero that may end it.
fn trimmed(text: &[u8]) -> &[u8] {
    text.strip_suffix(&[0, 0]).filter(|rest| rest.len() % 2 == 0).unwrap_or(text)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

#[cfg(test)]
#[path = "raw_tests.rs"]
mod tests;
