//! Security descriptors as Windows keeps them ([MS-DTYP] 2.4.6, self-relative), as far as is needed to
//! say what an account may do.

use std::fmt::Write as _;

/// Marks that a list of rights is there.
const DACL_PRESENT: u16 = 0x0004;
/// An entry is for what will be below, not for the thing itself.
const INHERIT_ONLY: u8 = 0x08;
const ALLOWED: u8 = 0x00;
const DENIED: u8 = 0x01;
/// Everything, as a right of its own.
const GENERIC_ALL: u32 = 0x1000_0000;
/// Entries and parts of a SID that are read.
const ENTRIES: u16 = 4_096;
const PARTS: u8 = 15;

/// Who may do what with something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rights {
    /// The entries in their order; `None` where there is no list, so that everybody may do all.
    entries: Option<Vec<Entry>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    allows: bool,
    mask: u32,
    sid: String,
}

impl Rights {
    /// Reads a descriptor; the reason where it is none.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        Self::parse(bytes).ok_or_else(|| "that is no security descriptor".to_owned())
    }

    /// Whether an account with these SIDs has all of `wanted`: each entry gives or takes what none
    /// before it has said (as Windows checks access).
    pub(super) fn allow(&self, sids: &[&str], wanted: u32) -> bool {
        let Some(entries) = &self.entries else { return true };
        let mut left = wanted;
        for entry in entries.iter().filter(|entry| sids.iter().any(|sid| *sid == entry.sid)) {
            let mask = if entry.mask & GENERIC_ALL == 0 { entry.mask } else { u32::MAX };
            if entry.allows {
                left &= !mask;
            } else if mask & left != 0 {
                return false;
            }
            if left == 0 {
                return true;
            }
        }
        false
    }

    /// Whether an entry of one of these SIDs speaks of one of these rights.
    pub(super) fn names(&self, sids: &[&str], rights: u32) -> bool {
        let of = |entry: &&Entry| sids.iter().any(|sid| *sid == entry.sid);
        self.entries.iter().flatten().filter(of).any(|entry| entry.mask & rights != 0)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        if *bytes.first()? != 1 {
            return None;
        }
        let control = u16_at(bytes, 2)?;
        let at = usize::try_from(u32_at(bytes, 16)?).ok()?;
        if control & DACL_PRESENT == 0 || at == 0 {
            return Some(Self { entries: None });
        }
        let count = u16_at(bytes, at + 4)?.min(ENTRIES);
        let mut entries = Vec::new();
        let mut at = at + 8;
        for _ in 0..count {
            let (kind, flags) = (*bytes.get(at)?, *bytes.get(at + 1)?);
            let size = usize::from(u16_at(bytes, at + 2)?);
            if size < 8 {
                return None;
            }
            if matches!(kind, ALLOWED | DENIED) && flags & INHERIT_ONLY == 0 {
                let (mask, sid) = (u32_at(bytes, at + 4)?, sid(bytes.get(at + 8..at + size)?)?);
                entries.push(Entry { allows: kind == ALLOWED, mask, sid });
            }
            at += size;
        }
        Some(Self { entries: Some(entries) })
    }
}

/// `S-1-5-18`.
fn sid(bytes: &[u8]) -> Option<String> {
    let (revision, parts) = (*bytes.first()?, *bytes.get(1)?);
    if revision != 1 || parts > PARTS {
        return None;
    }
    let authority = bytes.get(2..8)?.iter().fold(0_u64, |all, b| (all << 8) | u64::from(*b));
    let mut text = format!("S-1-{authority}");
    for part in 0..usize::from(parts) {
        let _ = write!(text, "-{}", u32_at(bytes, 8 + part * 4)?);
    }
    Some(text)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &[u8] = &[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
    const EVERYONE: &[u8] = &[1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];

    fn descriptor(entries: &[(u8, u8, u32, &[u8])]) -> Vec<u8> {
        let mut list = vec![2, 0, 0, 0];
        list.extend(u16::try_from(entries.len()).expect("few").to_le_bytes());
        list.extend([0, 0]);
        for (kind, flags, mask, sid) in entries {
            list.extend([*kind, *flags]);
            list.extend(u16::try_from(8 + sid.len()).expect("short").to_le_bytes());
            list.extend(mask.to_le_bytes());
            list.extend(*sid);
        }
        let mut all = vec![1, 0, 4, 0x80];
        all.extend([0; 12]);
        all.extend(20_u32.to_le_bytes());
        all.extend(list);
        all
    }

    #[test]
    fn entries_hold_in_their_order() {
        let may = |entries: &[(u8, u8, u32, &[u8])], wanted| {
            let rights = Rights::read(&descriptor(entries)).expect("read");
            rights.allow(&["S-1-5-18", "S-1-1-0"], wanted)
        };
        assert!(may(&[(ALLOWED, 0, 0b1010, SYSTEM)], 0b1010));
        assert!(!may(&[(ALLOWED, 0, 0b0010, SYSTEM)], 0b1010));
        assert!(may(&[(ALLOWED, 0, 0b0010, SYSTEM), (ALLOWED, 0, 0b1000, EVERYONE)], 0b1010));
        assert!(!may(&[(DENIED, 0, 0b1000, EVERYONE), (ALLOWED, 0, 0b1010, SYSTEM)], 0b1010));
        assert!(may(&[(ALLOWED, 0, 0b1010, SYSTEM), (DENIED, 0, 0b1000, EVERYONE)], 0b1010));
        assert!(!may(&[(ALLOWED, INHERIT_ONLY, 0b1010, SYSTEM)], 0b1010));
        assert!(may(&[(ALLOWED, 0, GENERIC_ALL, SYSTEM)], 0b1010));
        assert!(!may(&[], 1), "an empty list lets nobody in");
    }

    #[test]
    fn no_list_lets_everybody_in_and_damage_is_named() {
        let mut none = descriptor(&[]);
        none[2] = 0;
        assert!(Rights::read(&none).expect("read").allow(&["S-1-5-18"], u32::MAX));
        let whole = descriptor(&[(ALLOWED, 0, 1, SYSTEM)]);
        for end in 0..whole.len() {
            assert!(Rights::read(&whole[..end]).is_err(), "cut at {end}");
        }
        let service = [&[1, 6, 0, 0, 0, 0, 0, 5, 80, 0, 0, 0][..], &[0; 20]].concat();
        assert_eq!(sid(&service).as_deref(), Some("S-1-5-80-0-0-0-0-0"));
    }
}
