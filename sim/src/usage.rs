//! What this process itself takes: memory, processor time, file descriptors.

use std::fs;
use std::time::Duration;

/// What it takes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Resident memory in bytes.
    pub(crate) rss: u64,
    /// Processor time, user and system.
    pub(crate) cpu: Duration,
}

impl Usage {
    /// Asks the system; zeroes where it does not say.
    pub(crate) fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or_default();
        let kib = line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The program's name may hold blanks; what follows it does not.
        let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let ticks = rest.split(' ').skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
        // Linux counts these in hundredths of a second on every architecture.
        Self { rss: kib * 1_024, cpu: Duration::from_millis(10).saturating_mul(clamp(ticks)) }
    }
}

fn clamp(ticks: u64) -> u32 {
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// Asks for as many open files as the system grants: each agent holds a socket, a lock and a spool.
#[cfg(unix)]
pub(crate) fn many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// There is no such limit here.
#[cfg(not(unix))]
pub(crate) fn many_files() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_says_what_this_process_takes() {
        let begun = std::time::Instant::now();
        while Usage::now().cpu.is_zero() {
            assert!(begun.elapsed() < Duration::from_secs(20), "no processor time is ever counted");
        }
        assert!(Usage::now().rss > 100_000);
    }
}
