//! Security descriptors of a record, in words: `allow 0x1F01FF S-1-5-18`.

/// The descriptor of these entries, as Windows gives it; `None` where one is none.
pub(super) fn bytes(entries: &[String]) -> Option<Vec<u8>> {
    let mut list = Vec::new();
    for entry in entries {
        let mut words = entry.split(' ');
        let kind = match words.next()? {
            "allow" => 0_u8,
            "deny" => 1,
            _ => return None,
        };
        let mask = u32::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
        let sid = sid(words.next()?)?;
        list.extend([kind, 0]);
        list.extend(u16::try_from(8 + sid.len()).ok()?.to_le_bytes());
        list.extend(mask.to_le_bytes());
        list.extend(sid);
    }
    // Revision, control: self-relative, with a list; it begins after these 20 bytes.
    let mut all = vec![1, 0, 0x04, 0x80];
    all.extend([0; 12]);
    all.extend(20_u32.to_le_bytes());
    all.extend([2, 0]);
    all.extend(u16::try_from(8 + list.len()).ok()?.to_le_bytes());
    all.extend(u16::try_from(entries.len()).ok()?.to_le_bytes());
    all.extend([0, 0]);
    all.extend(list);
    Some(all)
}

fn sid(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.strip_prefix("S-1-")?.split('-');
    let authority: u64 = parts.next()?.parse().ok()?;
    let parts: Vec<u32> = parts.map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let mut bytes = vec![1, u8::try_from(parts.len()).ok()?];
    bytes.extend(&authority.to_be_bytes()[2..]);
    for part in &parts {
        bytes.extend(part.to_le_bytes());
    }
    Some(bytes)
}
