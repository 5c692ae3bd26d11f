//! What group policy says of services. Policy sets them as a security template, and as a preference;
//! Windows keeps a copy of each that it applied. What a management agent or a script of somebody's sets
//! leaves no such copy, and is not seen here.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use fleetmend_core::step::StartType;

use crate::collect::utf16::Utf8;

/// Where the copies of templates lie.
const TEMPLATES: &str = "Windows/security/templates/policies";
/// Where those of preferences lie, a folder for each policy, and what is looked at in each.
const PREFERENCES: &str = "ProgramData/Microsoft/Group Policy/History";
const OF_SERVICES: &str = "Machine/Preferences/Services/Services.xml";
/// Copies that are read, and how much of each. More is an error.
const FILES: usize = 500;
const BYTES: u64 = 4 * 1024 * 1024;

/// How policy sets a service's start, and the file that says so; `None` where it says nothing of it.
/// Of templates the one that was applied last holds; of preferences one that disables it. The reason
/// where the copies cannot be read: then nobody knows what policy wants.
pub(crate) fn service_start_by_policy(
    root: &Path,
    service: &str,
) -> Result<Option<(StartType, String)>, String> {
    // They are numbered in the order in which they are applied.
    for path in entries(&root.join(TEMPLATES))?.into_iter().rev() {
        if let Some(text) = text_of(&path)?
            && let Some(start) = start_in(&text, service)
        {
            return Ok(Some((start, shown(root, &path))));
        }
    }
    let mut found = None;
    for folder in entries(&root.join(PREFERENCES))? {
        let path = folder.join(OF_SERVICES);
        if let Some(text) = text_of(&path)?
            && let Some(start) = preference_in(&text, service)
        {
            let said = (start, shown(root, &path));
            if start == StartType::Disabled {
                return Ok(Some(said));
            }
            found = Some(said);
        }
    }
    Ok(found)
}

/// What lies in a folder, by name; nothing where there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |e: &io::Error| format!("{} cannot be read: {e}", folder.display());
    let list = match fs::read_dir(folder) {
        Ok(list) => list,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(&e)),
    };
    let mut found = Vec::new();
    for entry in list {
        found.push(entry.map_err(|e| failed(&e))?.path());
        if found.len() > FILES {
            return Err(format!("{} holds more than {FILES} files", folder.display()));
        }
    }
    found.sort();
    Ok(found)
}

/// The whole text of a file; `None` where there is none.
fn text_of(path: &Path) -> Result<Option<String>, String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        Utf8::new(File::open(path)?)?.take(BYTES + 1).read_to_end(&mut text)?;
        Ok(text)
    };
    match read() {
        Ok(text) if text.len() as u64 > BYTES => {
            Err(format!("{} is larger than {BYTES} bytes", path.display()))
        }
        Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        // A folder on the way that is none means the same as one that is not there.
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(e) => Err(format!("{} cannot be read: {e}", path.display())),
    }
}

/// A path as a person of that host knows it.
fn shown(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('/', "\\");
    format!(r"C:\{path}")
}

/// What a file of preferences sets: `<NTService … disabled="1"><Properties startupType="DISABLED"
/// serviceName="wuauserv" …/>` (Microsoft, [MS-GPPREF]). An item that is switched off sets nothing;
/// what a filter keeps it from is not judged.
fn preference_in(text: &str, service: &str) -> Option<StartType> {
    let mut off = false;
    let mut found = None;
    for tag in text.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or_default()) {
        if tag.starts_with("NTService ") {
            off = attribute(tag, "disabled") == Some("1");
        } else if tag.starts_with("Properties ")
            && !off
            && attribute(tag, "serviceName").is_some_and(|name| name.eq_ignore_ascii_case(service))
        {
            found = match attribute(tag, "startupType").map(str::to_ascii_uppercase).as_deref() {
                Some("DISABLED") => Some(StartType::Disabled),
                Some("MANUAL") => Some(StartType::Manual),
                Some("AUTOMATIC") => Some(StartType::Auto),
                _ => found,
            };
        }
    }
    found
}

/// `name="value"` of a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = tag;
    loop {
        let at = rest.find(name)?;
        let before = rest[..at].chars().next_back();
        let after = rest[at + name.len()..].trim_start();
        if before.is_some_and(char::is_whitespace) && after.starts_with('=') {
            let value = after[1..].trim_start();
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            return value[1..].split(quote).next();
        }
        rest = &rest[at + name.len()..];
    }
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
        assert_eq!(service_start_by_policy(root.path(), "wuauserv"), Ok(None));
        let head = "[Unicode]\r\nUnicode=yes\r\n";
        let set =
            |start| format!("{head}[Service General Setting]\r\n\"wuauserv\",{start},\"D:AR\"\r\n");
        write("gpt00000.inf", &set(3));
        write("gpt00001.inf", &set(4));
        write("gpt00002.inf", &format!("{head}[Registry Values]\r\n\"wuauserv\",2\r\n"));
        let (start, file) =
            service_start_by_policy(root.path(), "WUAUSERV").expect("read").expect("found");
        assert_eq!(start, StartType::Disabled);
        assert_eq!(file, r"C:\Windows\security\templates\policies\gpt00001.inf");
        assert_eq!(service_start_by_policy(root.path(), "BITS"), Ok(None));
    }

    #[test]
    fn a_preference_is_policy_too() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |policy: &str, items: &str| {
            let path = root.path().join(PREFERENCES).join(policy).join(OF_SERVICES);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            let head = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>";
            fs::write(path, format!("{head}\r\n<NTServices>{items}</NTServices>"))
                .expect("written");
        };
        let item = |service: &str, start: &str, off: &str| {
            format!(
                "<NTService clsid=\"{{AB6F0B67}}\" name=\"{service}\" image=\"0\"{off}>\r\n<Properties startupType=\"{start}\" serviceName=\"{service}\" serviceAction=\"STOP\" timeout=\"30\"/></NTService>"
            )
        };
        let said = |service| service_start_by_policy(root.path(), service).expect("read");
        write(
            "{1}",
            &(item("wuauserv", "MANUAL", "") + &item("BITS", "DISABLED", " disabled=\"1\"")),
        );
        assert_eq!(said("WUAUSERV").map(|(start, _)| start), Some(StartType::Manual));
        assert_eq!(said("BITS"), None, "that item is switched off");
        write("{2}", &item("wuauserv", "DISABLED", ""));
        let (start, file) = said("wuauserv").expect("found");
        assert_eq!(start, StartType::Disabled);
        assert!(file.ends_with(r"History\{2}\Machine\Preferences\Services\Services.xml"), "{file}");
        write("{2}", &item("wuauserv", "NOCHANGE", ""));
        assert_eq!(said("wuauserv").map(|(start, _)| start), Some(StartType::Manual));
    }

    #[test]
    fn policy_that_cannot_be_read_is_not_taken_for_none() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join(TEMPLATES);
        fs::create_dir_all(folder.parent().expect("a folder")).expect("made");
        fs::write(&folder, "no folder").expect("written");
        let error = service_start_by_policy(root.path(), "wuauserv").expect_err("unreadable");
        assert!(error.contains("cannot be read"), "{error}");
        fs::remove_file(&folder).expect("removed");
        fs::create_dir_all(folder.join("gpt00000.inf")).expect("made");
        assert!(
            service_start_by_policy(root.path(), "wuauserv").is_err(),
            "a folder is no template"
        );
    }
}
