//! `service install|uninstall`: the systemd unit of this very binary.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::platform::{Platform, Program};

const UNIT: &str = "etc/systemd/system/fleetmend-agent.service";
/// The one text of the unit; people may install it by hand, too.
const TEMPLATE: &str = include_str!("../../../deploy/systemd/fleetmend-agent.service");
const NAME: &str = "fleetmend-agent.service";

/// Writes the unit, and starts it where systemd runs. Says what was done.
pub async fn install(
    platform: &dyn Platform,
    binary: &Path,
    arguments: &[String],
    identity: &Path,
) -> io::Result<Vec<String>> {
    let unit = unit_path(platform);
    let text = unit_text(binary, arguments, identity)?;
    if let Some(folder) = unit.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&unit, text)?;
    let mut done = vec![format!("wrote {}", unit.display())];
    done.extend(systemctl(platform, &[&["daemon-reload"], &["enable", "--now", NAME]]).await);
    if !identity.exists() {
        done.push(
            "this host is not enrolled: enrol it, then `systemctl start fleetmend-agent`"
                .to_owned(),
        );
    }
    Ok(done)
}

/// Stops the service and removes the unit. State and identity stay.
pub async fn uninstall(platform: &dyn Platform) -> io::Result<Vec<String>> {
    let unit = unit_path(platform);
    let mut done = systemctl(platform, &[&["disable", "--now", NAME]]).await;
    match fs::remove_file(&unit) {
        Ok(()) => done.push(format!("removed {}", unit.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            done.push(format!("{} was not there", unit.display()));
        }
        Err(error) => return Err(error),
    }
    done.extend(systemctl(platform, &[&["daemon-reload"]]).await);
    Ok(done)
}

fn unit_path(platform: &dyn Platform) -> PathBuf {
    platform.root().join(UNIT)
}

async fn systemctl(platform: &dyn Platform, calls: &[&[&str]]) -> Vec<String> {
    if !platform.root().join("run/systemd/system").exists() {
        return vec!["systemd does not run here: the unit is not started".to_owned()];
    }
    let mut done = Vec::new();
    for call in calls {
        let program = Program {
            path: "/usr/bin/systemctl".to_owned(),
            args: call.iter().map(|a| (*a).to_owned()).collect(),
            timeout: Duration::from_mins(2),
            max_output: 16 * 1024,
        };
        let said = match platform.run(&program, &mut |_| {}).await {
            Ok(exit) if exit.status == Some(0) => "ok".to_owned(),
            Ok(exit) => exit.text().trim().to_owned(),
            Err(error) => error.to_string(),
        };
        done.push(format!("systemctl {}: {said}", call.join(" ")));
    }
    done
}

/// The unit as it is installed by hand, with this program, these flags, and this identity.
fn unit_text(binary: &Path, arguments: &[String], identity: &Path) -> io::Result<String> {
    let words = std::iter::once(binary.display().to_string())
        .chain(std::iter::once("run".to_owned()))
        .chain(arguments.iter().cloned());
    let mut run = Vec::new();
    for word in words {
        run.push(format!("\"{}\"", plain(&word)?));
    }
    let identity = identity.display().to_string();
    let (run, identity) = (run.join(" "), plain(&identity)?);
    let lines: Vec<String> = TEMPLATE
        .lines()
        .map(|line| match line.split_once('=') {
            Some((key @ "ExecStart", _)) => format!("{key}={run}"),
            Some((key @ "ConditionPathExists", _)) => format!("{key}={identity}"),
            _ => line.to_owned(),
        })
        .collect();
    Ok(lines.join("\n") + "\n")
}

/// A word that means itself in a unit.
fn plain(word: &str) -> io::Result<&str> {
    if word.contains(['"', '\\', '\n', '%', '$']) {
        let why = format!("{word:?} cannot stand in a systemd unit");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Ok(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: &str = "/var/lib/fleetmend-agent/identity.json";

    #[test]
    fn the_unit_runs_this_binary_with_its_flags() {
        let flags = ["--state-dir".to_owned(), "/srv/my state".to_owned()];
        let identity = Path::new("/srv/my state/identity.json");
        let text = unit_text(Path::new("/opt/fleetmend-agent"), &flags, identity);
        let text = text.expect("written");
        let exec =
            "\nExecStart=\"/opt/fleetmend-agent\" \"run\" \"--state-dir\" \"/srv/my state\"\n";
        assert!(text.contains(exec), "{text}");
        assert!(text.contains("\nConditionPathExists=/srv/my state/identity.json\n"), "{text}");
        assert!(unit_text(Path::new("/opt/a\"b"), &[], identity).is_err());
        assert!(unit_text(Path::new("/opt/a"), &[], Path::new("/a%b")).is_err());
    }

    #[test]
    fn all_else_is_the_unit_of_a_hand_made_installation() {
        let text = unit_text(Path::new("/usr/local/sbin/fleetmend-agent"), &[], IDENTITY.as_ref());
        let text = text.expect("written").replace('"', "");
        assert_eq!(text, TEMPLATE);
    }
}
