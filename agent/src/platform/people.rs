//! Linux: who is logged in, who holds back a shutdown, and what the machine asks at its start; by
//! systemd's own files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Platform, Program, Session};

const WALL: &str = "/usr/bin/wall";
/// Sessions and inhibitors that are looked at.
const MOST: usize = 1_000;

/// People's sessions, by logind; graphical, on a terminal and over the network alike.
pub(super) fn sessions(root: &Path) -> io::Result<Vec<Session>> {
    let files = read_all(&root.join("run/systemd/sessions"))?;
    let of_people = |file: &BTreeMap<String, String>| {
        let is = |key: &str, words: &[&str]| {
            file.get(key).is_some_and(|value| words.contains(&value.as_str()))
        };
        is("CLASS", &["user", "user-early"]) && !is("STATE", &["closing"])
    };
    let sessions = files.into_iter().filter(of_people);
    Ok(sessions.filter_map(|mut file| Some(Session { user: file.remove("USER")? })).collect())
}

/// Who keeps the machine from shutting down now.
fn held_back_by(root: &Path) -> Option<String> {
    let files = read_all(&root.join("run/systemd/inhibit")).ok()?;
    files.into_iter().find_map(|file| {
        let what = file.get("WHAT")?;
        let blocks = file.get("MODE").is_some_and(|mode| mode == "block");
        (blocks && what.split(':').any(|word| word == "shutdown")).then(|| {
            let who = file.get("WHO").map_or("somebody", String::as_str);
            let why = file.get("WHY").map(|why| format!(" ({why})")).unwrap_or_default();
            format!("{who}{why}")
        })
    })
}

/// Disks that ask for a passphrase at each start.
pub(super) fn asks_at_boot(root: &Path) -> io::Result<Option<String>> {
    let text = match fs::read_to_string(root.join("etc/crypttab")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // Clevis unlocks what crypttab would ask for; whether it is bound to this disk is not told here.
    if root.join("usr/lib/systemd/system/clevis-luks-askpass.path").exists() {
        return Ok(None);
    }
    let asks = |line: &&str| {
        let mut fields = line.split_whitespace();
        let key = fields.nth(2).unwrap_or("none");
        let options = fields.next().unwrap_or_default();
        let by_itself =
            ["tpm2-device=", "fido2-device=", "pkcs11-uri=", "noauto", "keyscript=", "nofail"];
        matches!(key, "none" | "-")
            && !options.split(',').any(|o| by_itself.iter().any(|b| o.starts_with(b)))
    };
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let name = lines.filter(|line| asks(line)).find_map(|line| line.split_whitespace().next());
    Ok(name.map(|name| format!("the encrypted disk {name} asks for its passphrase")))
}

/// Writes to everybody's terminal, waits, and looks who holds the shutdown back then.
pub(super) async fn notify(
    platform: &dyn Platform,
    text: &str,
    wait: Duration,
    may_defer: bool,
) -> io::Result<Option<String>> {
    let mut words = text.to_owned();
    if may_defer {
        words.push_str(" To put it off, keep running: systemd-inhibit --what=shutdown sleep 1h");
    }
    let program = Program {
        path: WALL.to_owned(),
        args: vec![words],
        timeout: Duration::from_secs(20),
        max_output: 4_096,
    };
    let told = platform.run(&program, &mut |_: &[u8]| {}).await?;
    if told.status != Some(0) {
        return Err(io::Error::other(format!("wall ended with {:?}", told.status)));
    }
    tokio::time::sleep(wait).await;
    Ok(held_back_by(platform.root()).filter(|_| may_defer))
}

/// The files of a folder as systemd writes them: `KEY=value`.
fn read_all(folder: &Path) -> io::Result<Vec<BTreeMap<String, String>>> {
    // Without logind it is not known who is there: that is an error, and not nobody.
    let entries = fs::read_dir(folder)?;
    let file = |entry: fs::DirEntry| {
        // Each has a pipe beside it, which would never end.
        entry.file_type().ok()?.is_file().then_some(())?;
        let text = fs::read_to_string(entry.path()).ok()?;
        let pair = |line: &str| {
            let (key, value) = line.split_once('=')?;
            Some((key.to_owned(), value.trim_matches('"').to_owned()))
        };
        Some(text.lines().filter_map(pair).collect())
    };
    Ok(entries.flatten().take(MOST).filter_map(file).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }

    #[test]
    fn people_are_those_whom_logind_knows() {
        let root = tempfile::tempdir().expect("a folder");
        assert!(sessions(root.path()).is_err(), "without logind nothing is known");
        let session =
            |name: &str, text| write(root.path(), &format!("run/systemd/sessions/{name}"), text);
        session("1", "UID=1000\nUSER=anna\nACTIVE=1\nSTATE=active\nCLASS=user\n");
        session("2", "UID=110\nUSER=gdm\nSTATE=online\nCLASS=greeter\n");
        session("3", "UID=1001\nUSER=boris\nSTATE=closing\nCLASS=user\n");
        let found = sessions(root.path()).expect("read");
        assert_eq!(found, [Session { user: "anna".to_owned() }]);
    }

    #[test]
    fn only_a_block_of_the_shutdown_holds_it_back() {
        let root = tempfile::tempdir().expect("a folder");
        let lock =
            |name: &str, text| write(root.path(), &format!("run/systemd/inhibit/{name}"), text);
        lock("1", "WHAT=sleep\nWHO=Screen\nMODE=block\n");
        lock("2", "WHAT=shutdown:sleep\nWHO=Updates\nMODE=delay\n");
        assert_eq!(held_back_by(root.path()), None);
        lock("3", "WHAT=shutdown:sleep\nWHO=sleep 1h\nWHY=Unknown reason\nMODE=block\n");
        assert_eq!(held_back_by(root.path()).as_deref(), Some("sleep 1h (Unknown reason)"));
    }

    #[test]
    fn a_disk_that_asks_for_its_passphrase_is_named() {
        let root = tempfile::tempdir().expect("a folder");
        let asks = |text: &str| {
            write(root.path(), "etc/crypttab", text);
            asks_at_boot(root.path()).expect("read")
        };
        assert_eq!(asks_at_boot(root.path()).expect("none"), None);
        assert_eq!(asks("# all\nswap /dev/sda2 /dev/urandom swap\n"), None);
        assert_eq!(asks("root UUID=1 none luks,tpm2-device=auto\n"), None);
        assert_eq!(asks("root UUID=1 /etc/key luks\n"), None);
        assert!(
            asks("swap /dev/sda2 /dev/urandom swap\nroot UUID=1 none luks\n")
                .expect("asks")
                .contains("disk root")
        );
    }
}
