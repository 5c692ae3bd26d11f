//! Whether the lock that stopped a backup belongs to a process that is gone. restic names the holder in
//! its message; borg names the lock's folder, whose one file is called after the holder.

use std::fs;

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::report::{FailureReport, Product};

use super::below;
use super::processes::Process;
use crate::platform::Platform;

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    pid: u32,
    host: String,
}

pub(super) fn dead(platform: &dyn Platform, failure: Option<&FailureReport>) -> Finding {
    let Some(failure) = failure else { return Finding::unknown("no failure that names a lock") };
    let (program, holders) = match failure.product {
        Product::Restic => ("restic", named_by_restic(&failure.message).into_iter().collect()),
        Product::Borg => match left_by_borg(platform, &failure.message) {
            Ok(holders) => ("borg", holders),
            Err(why) => return Finding::unknown(why),
        },
        _ => return Finding::unknown("no backup that locks its repository"),
    };
    if holders.is_empty() {
        return Finding::unknown("the failure does not name who holds the lock");
    }
    let ours = match platform.facts() {
        Ok(facts) => facts.name,
        Err(e) => return Finding::unknown(format!("this host's name cannot be told: {e}")),
    };
    for holder in &holders {
        let Holder { pid, host } = holder;
        if !same_host(host, &ours) {
            let proof = format!("the lock is of process {pid} on {host}, and this is {ours}");
            return Finding::new(Answer::No, proof);
        }
        match Process::read(platform.root(), *pid) {
            None => {}
            Some(process) if process.is(program) => {
                return Finding::new(Answer::No, format!("{program} runs as process {pid}"));
            }
            // Its number went to another since, or it runs under a name of its own.
            Some(_) => return Finding::unknown(format!("process {pid} runs, as something else")),
        }
    }
    let pid = holders[0].pid;
    Finding::new(Answer::Yes, format!("the lock is of {program} as process {pid}, which is gone"))
}

/// Whether two names are of one host: whole where both are whole, else as far as both go.
fn same_host(one: &str, other: &str) -> bool {
    if one.contains('.') && other.contains('.') {
        return one.eq_ignore_ascii_case(other);
    }
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    short(one) == short(other)
}

/// `… already locked exclusively by PID 22 on server1 by root (UID 0, GID 0)`
fn named_by_restic(message: &str) -> Option<Holder> {
    let mut words = message.split(" by PID ").nth(1)?.split_whitespace();
    let pid = words.next()?.parse().ok()?;
    let host = (words.next()? == "on").then(|| words.next())??.to_owned();
    Some(Holder { pid, host })
}

/// `Failed to create/acquire the lock /srv/borg/lock.exclusive (timeout).`
fn left_by_borg(platform: &dyn Platform, message: &str) -> Result<Vec<Holder>, String> {
    let begin = message.find("the lock /").map(|at| at + "the lock ".len());
    let path = begin.and_then(|at| message[at..].split(" (").next()).map(str::trim);
    let Some(path) = path.filter(|p| p.ends_with("lock.exclusive")) else {
        return Err("the failure does not name the lock".to_owned());
    };
    let folder = below(platform.root(), path);
    let entries =
        fs::read_dir(&folder).map_err(|e| format!("{path} cannot be looked at from here: {e}"))?;
    let names = entries.flatten().take(100).map(|e| e.file_name().to_string_lossy().into_owned());
    Ok(names.filter_map(|name| holder_of(&name)).collect())
}

/// `server1@3281355014145.400-0`: host, machine, process, thread.
fn holder_of(name: &str) -> Option<Holder> {
    let (host, rest) = name.rsplit_once('@')?;
    let pid = rest.rsplit_once('.')?.1.split('-').next()?.parse().ok()?;
    Some(Holder { pid, host: host.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_are_read_as_both_write_them() {
        let said = "unable to create lock in backend: repository is already locked exclusively by PID 22 on server1 by root (UID 0, GID 0)";
        let holder = named_by_restic(said).expect("a holder");
        assert_eq!((holder.pid, holder.host.as_str()), (22, "server1"));
        let holder = holder_of("server1.example.com@3281355014145.400-0").expect("a holder");
        assert_eq!((holder.pid, holder.host.as_str()), (400, "server1.example.com"));
        for other in ["", "by PID x on y", "a@b", "repository is locked by PID 4"] {
            assert_eq!((named_by_restic(other), holder_of(other)), (None, None), "{other}");
        }
    }
}
