//! `service install|uninstall`: the systemd unit of this very binary.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::platform::{Platform, Program};

const UNIT: &str = "etc/systemd/system/fleetmend-agent.service";
const NAME: &str = "fleetmend-agent.service";

/// Writes the unit, and starts it where systemd runs. Says what was done.
pub async fn install(
    platform: &dyn Platform,
    binary: &Path,
    arguments: &[String],
) -> io::Result<Vec<String>> {
    let unit = unit_path(platform);
    let text = unit_text(binary, arguments)?;
    if let Some(folder) = unit.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&unit, text)?;
    let mut done = vec![format!("wrote {}", unit.display())];
    done.extend(systemctl(platform, &[&["daemon-reload"], &["enable", "--now", NAME]]).await);
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

/// The unit. A repair that runs is not killed with the agent: the agent waits for it, and what it
/// started in its own group goes on.
fn unit_text(binary: &Path, arguments: &[String]) -> io::Result<String> {
    let words = std::iter::once(binary.display().to_string())
        .chain(std::iter::once("run".to_owned()))
        .chain(arguments.iter().cloned());
    let mut line = Vec::new();
    for word in words {
        if word.contains(['"', '\\', '\n', '%', '$']) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{word:?} cannot stand in a systemd unit"),
            ));
        }
        line.push(format!("\"{word}\""));
    }
    Ok(format!(
        "[Unit]\nDescription=Fleetmend agent\nAfter=network-online.target\nWants=network-online.target\n\n\
         [Service]\nType=simple\nExecStart={}\nRestart=always\nRestartSec=10\nTimeoutStopSec=120\n\
         KillMode=process\nUMask=0077\n\n[Install]\nWantedBy=multi-user.target\n",
        line.join(" ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_runs_this_binary_with_its_flags() {
        let flags = ["--state-dir".to_owned(), "/srv/my state".to_owned()];
        let text = unit_text(Path::new("/opt/fleetmend-agent"), &flags).expect("written");
        let exec = "ExecStart=\"/opt/fleetmend-agent\" \"run\" \"--state-dir\" \"/srv/my state\"\n";
        assert!(text.contains(exec), "{text}");
        assert!(unit_text(Path::new("/opt/a\"b"), &[]).is_err());
    }
}
