//! What group policy says of services. Policy sets them as a security template, and Windows keeps a
//! copy of each that it applied.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use fleetmend_core::step::StartType;

use crate::collect::utf16::Utf8;

/// Where the copies lie.
const TEMPLATES: &str = "Windows/security/templates/policies";
/// Templates that are read, and how much of each.
const FILES: usize = 200;
const BYTES: u64 = 1024 * 1024;

/// How policy sets a service's start, and the file that says so; `None` where it says nothing of it.
/// The template that was applied last holds.
pub(crate) fn service_start_by_policy(root: &Path, service: &str) -> Option<(StartType, String)> {
    let folder = fs::read_dir(root.join(TEMPLATES)).ok()?;
    let mut files: Vec<_> = folder.flatten().map(|e| e.path()).take(FILES).collect();
    // They are numbered in the order in which they are applied.
    files.sort();
    files.into_iter().rev().find_map(|path| {
        let file = File::open(&path).ok()?;
        let mut text = Vec::new();
        Utf8::new(file).ok()?.take(BYTES).read_to_end(&mut text).ok()?;
        let start = start_in(&String::from_utf8_lossy(&text), service)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Some((start, format!(r"C:\{}\{name}", TEMPLATES.replace('/', "\\"))))
    })
}

/// `"wuauserv",4,"D:(…)"` below `[Service General Setting]`; the quotes may be missing.
fn start_in(text: &str, service: &str) -> Option<StartType> {
    let mut inside = false;
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line.eq_ignore_ascii_case("[Service General Setting]");
        } else if inside {
            let mut parts = line.split(',').map(|part| part.trim().trim_matches('"'));
            if parts.next().is_some_and(|name| name.eq_ignore_ascii_case(service)) {
                found = match parts.next() {
                    Some("2") => Some(StartType::Auto),
                    Some("3") => Some(StartType::Manual),
                    Some("4") => Some(StartType::Disabled),
                    _ => found,
                };
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_template_holds_in_utf16_too() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let folder = root.path().join(TEMPLATES);
            fs::create_dir_all(&folder).expect("made");
            let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
            let bytes: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
            fs::write(folder.join(name), bytes).expect("written");
        };
        assert_eq!(service_start_by_policy(root.path(), "wuauserv"), None);
        let head = "[Unicode]\r\nUnicode=yes\r\n";
        let set =
            |start| format!("{head}[Service General Setting]\r\n\"wuauserv\",{start},\"D:AR\"\r\n");
        write("gpt00000.inf", &set(3));
        write("gpt00001.inf", &set(4));
        write("gpt00002.inf", &format!("{head}[Registry Values]\r\n\"wuauserv\",2\r\n"));
        let (start, file) = service_start_by_policy(root.path(), "WUAUSERV").expect("found");
        assert_eq!(start, StartType::Disabled);
        assert_eq!(file, r"C:\Windows\security\templates\policies\gpt00001.inf");
        assert_eq!(service_start_by_policy(root.path(), "BITS"), None);
    }
}
