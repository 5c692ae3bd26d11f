//! Running a program as a unit runs its own: with the unit's user, folder and environment files, so
//! that restic and borg find the unit's repository and its password.
//!
//! systemd opens the files itself: what they hold is never read, kept, logged or sent by this agent,
//! and stands in no command line. A secret that stands in the unit itself (`Environment=`, an address
//! with a password) could only be passed on in a command line: such a unit is left to a person.

use fleetmend_core::step::Tool;

use super::{Bench, StepError};
use crate::platform::Program;

/// Settings of restic and borg that are names and places, no secrets.
const PLAIN: [&str; 16] = [
    "RESTIC_REPOSITORY",
    "RESTIC_REPOSITORY_FILE",
    "RESTIC_PASSWORD_FILE",
    "RESTIC_CACHE_DIR",
    "RESTIC_CACERT",
    "BORG_REPO",
    "BORG_BASE_DIR",
    "BORG_CACHE_DIR",
    "BORG_CONFIG_DIR",
    "BORG_SECURITY_DIR",
    "BORG_KEYS_DIR",
    "BORG_KEY_FILE",
    "BORG_RELOCATED_REPO_ACCESS_IS_OK",
    "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK",
    "HOME",
    "XDG_CACHE_HOME",
];
/// Beginnings of the names of settings that the programs need and that may be secrets.
const NEEDED: [&str; 10] =
    ["RESTIC_", "BORG_", "AWS_", "B2_", "AZURE_", "GOOGLE_", "OS_", "ST_", "RCLONE_", "SSH_"];
/// Options of restic and borg that say where the repository is and how to come to it.
const OPTIONS: [(&str, &str); 8] = [
    ("-r", "--repo"),
    ("", "--repository-file"),
    ("-p", "--password-file"),
    ("", "--cacert"),
    ("", "--tls-client-cert"),
    ("", "--cache-dir"),
    ("", "--rsh"),
    ("", "--remote-path"),
];

/// What stands before the program, for systemd-run, and after its command, for itself.
pub(super) struct AsUnit {
    pub(super) before: Vec<String>,
    pub(super) after: Vec<String>,
}

/// Reads the unit. Its settings go into no log.
pub(super) async fn as_unit(
    unit: &str,
    tool: Tool,
    bench: &Bench<'_>,
) -> Result<AsUnit, StepError> {
    let asked = "LoadState,User,Group,WorkingDirectory,Environment,EnvironmentFiles,ExecStart";
    let program = Program {
        path: "/usr/bin/systemctl".to_owned(),
        args: ["show", "--no-pager", "-p", asked, "--", unit].map(str::to_owned).to_vec(),
        timeout: fleetmend_core::limits::PROBE_TIME,
        max_output: fleetmend_core::limits::PROBE_OUTPUT_BYTES,
    };
    let exit = bench.platform.run(&program, &mut |_: &[u8]| {}).await;
    let exit = exit.map_err(|e| StepError::Impossible(format!("systemctl cannot be run: {e}")))?;
    if exit.status != Some(0) || exit.dropped > 0 {
        return Err(StepError::Impossible(format!("systemd does not show the unit {unit}")));
    }
    let name = if tool.to_string().starts_with("borg") { "borg" } else { "restic" };
    of(&exit.text(), unit, name)
}

fn of(shown: &str, unit: &str, program: &str) -> Result<AsUnit, StepError> {
    let no = |why: String| StepError::Impossible(format!("{unit}: {why}; a person runs it"));
    let values = |key: &'static str| {
        shown.lines().filter_map(move |l| l.strip_prefix(key)?.strip_prefix('=')).map(str::trim)
    };
    let value = |key: &'static str| values(key).find(|v| !v.is_empty());
    if value("LoadState") != Some("loaded") {
        return Err(no("systemd has no such unit".to_owned()));
    }
    let mut before = Vec::new();
    let mut set = |text: String| before.extend(["-p".to_owned(), text]);
    for key in ["User", "Group", "WorkingDirectory"] {
        if let Some(value) = value(key) {
            set(format!("{key}={value}"));
        }
    }
    let mut settings = false;
    for file in values("EnvironmentFiles").filter(|v| !v.is_empty()) {
        let (path, rest) = file.split_once(" (").unwrap_or((file, ""));
        if !path.starts_with('/')
            || path.contains(|c: char| c.is_whitespace() || "\"'\\".contains(c))
        {
            return Err(no("the name of an environment file cannot be passed on".to_owned()));
        }
        let optional = if rest.contains("ignore_errors=yes") { "-" } else { "" };
        set(format!("EnvironmentFile={optional}{path}"));
        settings = true;
    }
    for pair in values("Environment").flat_map(str::split_whitespace) {
        let Some((name, text)) = pair.trim_matches('"').split_once('=') else { continue };
        if PLAIN.contains(&name) && is_plain(text) {
            set(format!("Environment={name}={text}"));
            settings |= name != "HOME" && name != "XDG_CACHE_HOME";
        } else if NEEDED.iter().any(|begin| name.starts_with(begin)) {
            return Err(no(format!(
                "{name} stands in the unit itself and would have to stand in a command line: move it to an EnvironmentFile"
            )));
        }
    }
    let mut after = Vec::new();
    if let Some(words) = command_of(shown, program) {
        after = options(&words, program).map_err(no)?;
        settings |= !after.is_empty();
    }
    if !settings {
        return Err(no(format!(
            "where {program}'s repository is stands neither in its environment nor in its command"
        )));
    }
    Ok(AsUnit { before, after })
}

/// The arguments of the unit's own call of the program.
fn command_of<'t>(shown: &'t str, program: &str) -> Option<Vec<&'t str>> {
    let commands = shown.lines().filter_map(|l| l.strip_prefix("ExecStart="));
    commands.filter_map(|l| l.split("argv[]=").nth(1)?.split(" ; ").next()).find_map(|argv| {
        let mut words = argv.split_whitespace();
        words.find(|word| word.rsplit('/').next() == Some(program))?;
        Some(words.collect())
    })
}

/// Those of the arguments that say where the repository is.
fn options(words: &[&str], program: &str) -> Result<Vec<String>, String> {
    let mut kept = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value)),
            _ => (*word, None),
        };
        if name == "--password-command" || name == "--option" || name == "-o" && program == "restic"
        {
            return Err(format!("{name} cannot be passed on: set it in an EnvironmentFile"));
        }
        // Borg's -p shows its progress.
        let short = |s: &str| name == s && !s.is_empty() && (program == "restic" || s != "-p");
        let known = OPTIONS.iter().find(|(s, long)| name == *long || short(s));
        if let Some((_, long)) = known {
            let value = inline.or_else(|| words.get(at).copied()).unwrap_or_default();
            at += usize::from(inline.is_none());
            if !is_plain(value) {
                return Err(format!("the value of {name} cannot be passed on"));
            }
            kept.push(format!("{long}={value}"));
        } else if let Some((repository, _)) = word.split_once("::")
            && program == "borg"
            && !repository.is_empty()
        {
            if !is_plain(repository) {
                return Err("the repository's address cannot be passed on".to_owned());
            }
            kept.push(repository.to_owned());
            break;
        }
    }
    Ok(kept)
}

/// Whether a value may stand in a command line: one word without quotes, and no password in an
/// address.
fn is_plain(value: &str) -> bool {
    let (scheme, rest) = value.split_once("://").unwrap_or(("", value));
    // restic writes `sftp:user@host:/path`: that colon begins no password.
    let rest = if scheme.is_empty() { rest.strip_prefix("sftp:").unwrap_or(rest) } else { rest };
    let secret = rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    !value.is_empty()
        && !value.starts_with('-')
        && !secret
        && !value.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'\\%$".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: &str = "LoadState=loaded\nUser=backup\nGroup=\nWorkingDirectory=\n";

    fn words(shown: &str, program: &str) -> Result<String, String> {
        let found = of(&format!("{UNIT}{shown}"), "nightly.service", program);
        let found = found.map_err(|e| e.to_string())?;
        Ok(format!("{} -- {}", found.before.join(" "), found.after.join(" ")))
    }

    #[test]
    fn names_of_files_are_passed_on_and_secrets_are_not() {
        let shown = "EnvironmentFiles=/etc/restic/a.env (ignore_errors=no)\nEnvironmentFiles=/etc/restic/b.env (ignore_errors=yes)\nEnvironment=RESTIC_REPOSITORY=/srv/r LANG=C";
        assert_eq!(
            words(shown, "restic").expect("plain"),
            "-p User=backup -p EnvironmentFile=/etc/restic/a.env -p EnvironmentFile=-/etc/restic/b.env -p Environment=RESTIC_REPOSITORY=/srv/r -- "
        );
        for secret in [
            "Environment=RESTIC_PASSWORD=hunter2",
            "Environment=AWS_SECRET_ACCESS_KEY=hunter2",
            "Environment=RESTIC_REPOSITORY=rest:https://u:hunter2@backup.example.com/",
            "Environment=RESTIC_REPOSITORY=rest:https://u:hunter2@ss@backup.example.com/",
            "ExecStart={ path=/usr/bin/restic ; argv[]=/usr/bin/restic -r rest:https://u:hunter2@backup.example.com/ backup / ; x }",
            "ExecStart={ path=/usr/bin/restic ; argv[]=/usr/bin/restic --password-command echo hunter2 backup / ; x }",
        ] {
            let why = words(secret, "restic").expect_err(secret);
            assert!(!why.contains("hunter2") && why.contains("a person"), "{why}");
        }
    }

    #[test]
    fn an_address_with_a_password_is_a_secret() {
        for plain in ["/srv/r", "sftp:backup@nas:/srv/r", "ssh://u@nas:22/srv/b", "u@nas:/srv/b"] {
            assert!(is_plain(plain), "{plain}");
        }
        for secret in ["rest:https://u:p@ss@host/", "rest:https://u:p@host/", "ssh://u:p@nas/b"] {
            assert!(!is_plain(secret), "{secret}");
        }
    }

    #[test]
    fn the_unit_s_own_call_says_where_the_repository_is() {
        let restic = "ExecStart={ path=/usr/bin/restic ; argv[]=/usr/bin/restic -q -r /srv/r --password-file=/etc/p backup /home ; ignore_errors=no ; status=1 }";
        let found = words(restic, "restic").expect("plain");
        assert_eq!(found, "-p User=backup -- --repo=/srv/r --password-file=/etc/p");
        let borg = "ExecStart={ path=/usr/bin/borg ; argv[]=/usr/bin/borg create --stats /srv/b::{now} /home ; ignore_errors=no ; status=2 }";
        assert_eq!(words(borg, "borg").expect("plain"), "-p User=backup -- /srv/b");
        let script = "ExecStart={ path=/opt/backup.sh ; argv[]=/opt/backup.sh ; ignore_errors=no }";
        assert!(words(script, "borg").expect_err("nothing known").contains("repository"));
    }
}
