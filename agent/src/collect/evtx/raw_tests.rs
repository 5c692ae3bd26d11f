use super::*;

/// A value of a template: its type and its bytes.
type Typed = (u8, Vec<u8>);

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The values of the usual template of `System`; the provider stands in them or in the template.
fn system(record: u64, id: u16, level: u8, provider: Option<&str>) -> Vec<Typed> {
    let mut values: Vec<Typed> = vec![(0, Vec::new()); 18];
    values[0] = (0x04, vec![level]);
    values[3] = (0x06, id.to_le_bytes().to_vec());
    values[10] = (0x0A, record.to_le_bytes().to_vec());
    if let Some(provider) = provider {
        values[14] = (TEXT, wide(provider));
    }
    values[17] = (0x21, vec![1; 40]);
    values
}

/// A chunk under construction. Templates are not binary XML here: nobody reads them as that.
struct Chunk {
    bytes: Vec<u8>,
    next: u64,
}

impl Chunk {
    fn new() -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[..8].copy_from_slice(b"ElfChnk\0");
        Self { bytes, next: 1 }
    }

    /// Adds a record; gives where its binary XML begins, and where its template stands.
    fn record(&mut self, template: Result<&[u8], u32>, values: &[Typed]) -> (u64, u32) {
        let begin = self.bytes.len() + RECORD_HEADER;
        let place = template.err().unwrap_or_else(|| u32::try_from(begin + 14).expect("small"));
        let mut xml = FRAGMENT.to_vec();
        xml.extend([TEMPLATE, 1]);
        xml.extend(7_u32.to_le_bytes());
        xml.extend(place.to_le_bytes());
        if let Ok(data) = template {
            xml.extend([0; 20]);
            xml.extend(u32::try_from(data.len()).expect("small").to_le_bytes());
            xml.extend(data);
        }
        xml.extend(u32::try_from(values.len()).expect("small").to_le_bytes());
        for (kind, data) in values {
            xml.extend(u16::try_from(data.len()).expect("small").to_le_bytes());
            xml.extend([*kind, 0]);
        }
        xml.extend(values.iter().flat_map(|(_, data)| data.clone()));
        let size = u32::try_from(RECORD_HEADER + xml.len() + 4).expect("small");
        self.bytes.extend(b"**\0\0");
        self.bytes.extend(size.to_le_bytes());
        self.bytes.extend(self.next.to_le_bytes());
        self.bytes.extend((self.next * 10).to_le_bytes());
        self.bytes.extend(xml);
        self.bytes.extend(size.to_le_bytes());
        self.next += 1;
        (begin as u64, place)
    }

    /// What is wanted of it, its header admitting `free` bytes.
    fn look_as(&self, free: usize, since: Mark) -> (Wanted, Walked) {
        let mut bytes = self.bytes.clone();
        bytes[48..52].copy_from_slice(&u32::try_from(free).expect("small").to_le_bytes());
        bytes.resize(65_536, 0);
        look(&bytes, since, &Names::new())
    }

    fn look(&self) -> Wanted {
        self.look_as(self.bytes.len(), Mark::default()).0
    }
}

const WUC: &str = "Microsoft-Windows-WindowsUpdateClient";

#[test]
fn records_are_chosen_by_the_values_of_system() {
    let mut chunk = Chunk::new();
    let (_, place) = chunk.record(Ok(b"System"), &system(1, 43, 4, Some(WUC)));
    assert_eq!(chunk.look(), Wanted::None, "a start of an installation");
    let (failed, _) = chunk.record(Err(place), &system(2, 20, 2, Some(WUC)));
    chunk.record(Err(place), &system(3, 20, 2, Some("Somebody-Else")));
    let (vss, _) = chunk.record(Err(place), &system(4, 12_289, 2, Some("vss")));
    chunk.record(Err(place), &system(5, 12_289, 3, Some("VSS")));
    // The zero that may end a text.
    let (ended, _) = chunk.record(Err(place), &system(6, 24, 4, Some(&format!("{WUC}\0"))));
    assert_eq!(chunk.look(), Wanted::These(vec![failed, vss, ended], Vec::new()));
}

#[test]
fn a_provider_may_stand_in_the_template() {
    let mut chunk = Chunk::new();
    let ours = [&[1, 2, 3][..], &wide("VolSnap"), &[9]].concat();
    let (_, place) = chunk.record(Ok(&ours), &system(1, 33, 4, None));
    let (failed, _) = chunk.record(Err(place), &system(2, 36, 2, None));
    let (_, other) = chunk.record(Ok(&wide("Somebody-Else")), &system(3, 36, 2, None));
    chunk.record(Err(other), &system(4, 36, 2, None));
    assert_eq!(chunk.look(), Wanted::These(vec![failed], Vec::new()));
}

#[test]
fn what_is_not_understood_is_read() {
    let mut chunk = Chunk::new();
    // Other values than those of `System`: the id is not known, the provider is.
    let (odd, place) = chunk.record(Ok(b"x"), &system(9, 43, 4, Some(WUC)));
    chunk.record(Err(place), &[(TEXT, wide("Somebody-Else"))]);
    // A template beyond the chunk, and no template at all.
    let (lost, _) = chunk.record(Err(u32::MAX), &system(3, 36, 2, None));
    let (plain, _) = chunk.record(Ok(b"x"), &[]);
    let at = usize::try_from(plain).expect("small");
    chunk.bytes[at + 4] = 0x01;
    assert_eq!(chunk.look(), Wanted::These(vec![odd, lost, plain], Vec::new()));
}

#[test]
fn a_broken_walk_leaves_all_to_the_library() {
    let mut chunk = Chunk::new();
    chunk.record(Ok(b"x"), &system(1, 43, 4, Some(WUC)));
    let second = chunk.bytes.len();
    chunk.record(Ok(b"x"), &system(2, 43, 4, Some(WUC)));
    chunk.bytes[second] = b'X';
    let (wanted, walked) = chunk.look_as(chunk.bytes.len(), Mark::default());
    assert_eq!((wanted, walked.end), (Wanted::All, second));
    // A size that leads out of the chunk is no reason to fall.
    chunk.bytes[second] = b'*';
    chunk.bytes[second + 4..second + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(chunk.look(), Wanted::All);
}

#[test]
fn a_header_behind_its_records_hides_none_of_this_round() {
    let mut chunk = Chunk::new();
    chunk.record(Ok(b"x"), &system(1, 43, 4, Some(WUC)));
    let known = chunk.bytes.len();
    let (new, _) = chunk.record(Ok(b"x"), &system(2, 20, 2, Some(WUC)));
    let end = chunk.bytes.len();
    chunk.next = 1_000;
    chunk.record(Ok(b"x"), &system(1_000, 20, 2, Some(WUC)));
    let (wanted, walked) = chunk.look_as(known, Mark::default());
    assert_eq!(wanted, Wanted::These(vec![new], Vec::new()));
    assert_eq!((walked.end, walked.last), (end, Mark { record: 2, time: 20 }));
}

#[test]
fn a_mark_passes_over_what_was_seen_and_notices_a_cleared_log() {
    let mut chunk = Chunk::new();
    let (_, place) = chunk.record(Ok(b"x"), &system(1, 20, 2, Some(WUC)));
    let (second, _) = chunk.record(Err(place), &system(2, 20, 2, Some(WUC)));
    let free = chunk.bytes.len();
    let since = |record, time| chunk.look_as(free, Mark { record, time });
    let (wanted, walked) = since(1, 10);
    assert_eq!((wanted, walked.cleared), (Wanted::These(vec![second], Vec::new()), false));
    assert_eq!(since(2, 20).0, Wanted::None);
    assert!(since(1, 11).1.cleared);
}
