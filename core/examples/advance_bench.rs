//! How long `advance` takes over many hosts.
//!
//! `cargo run --release -p fleetmend-core --example advance_bench -- [HOSTS]` looks at a running campaign
//! of so many hosts (20,000) in several standings, each with labels, sites, groups, zones, windows
//! and freezes, and ends with 1 where a look takes 20 ms or more in the mean. It counts
//! processor time where the system tells it, so that what else runs does not matter.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use fleetmend_core::campaign::{
    Aim, CampaignState, Definition, FreezeSpan, HostStanding, Snapshot, WaveStanding, advance,
};
use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::time::Timestamp;

/// The most that one look may take.
const LIMIT: Duration = Duration::from_millis(20);
/// Looks at each standing.
const TIMES: u32 = 100;
/// Where the job of a host stands, by its number.
type State = fn(usize) -> Option<JobState>;

const ZONES: [&str; 5] =
    ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Mars/Olympus"];

#[expect(clippy::print_stdout, reason = "its figures are its purpose")]
fn main() -> ExitCode {
    let hosts = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let now: Timestamp = Timestamp::from_millis(1_795_465_200_000);
    let mut worst = Duration::ZERO;
    let standings: [(&str, State); 4] = [
        ("nothing started", |_| None),
        ("half at work", |n| n.is_multiple_of(2).then_some(JobState::Running)),
        ("most ended", |n| (!n.is_multiple_of(10)).then_some(JobState::Fixed)),
        ("all verifying", |_| Some(JobState::Verifying)),
    ];
    for (name, state) in standings {
        let snapshot = snapshot(hosts, now, state);
        let (begun, busy) = (Instant::now(), processor_time());
        for _ in 0..TIMES {
            std::hint::black_box(advance(std::hint::black_box(&snapshot), now));
        }
        let spent = match (busy, processor_time()) {
            (Some(before), Some(after)) => after.saturating_sub(before),
            _ => begun.elapsed(),
        };
        let each = spent / TIMES;
        worst = worst.max(each);
        let decisions = advance(&snapshot, now);
        println!(
            "{hosts} hosts, {name}: {:.2} ms a look, starts {}",
            each.as_secs_f64() * 1e3,
            decisions.start.len()
        );
    }
    if worst < LIMIT { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What this thread has used so far, by Linux.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

fn snapshot(hosts: usize, now: Timestamp, state: State) -> Snapshot {
    let definition: Definition = serde_json::from_str(
        r#"{
            "name": "n", "reason": "r", "selector": { "product": "apt" },
            "waves": [{ "share": "all" }],
            "zone": { "host": { "fallback": "UTC" } },
            "windows": [
                { "days": "daily", "start": "20:00", "end": "06:00", "least_left": "1h" },
                { "days": "sat,sun", "start": "08:00", "end": "18:00" }
            ],
            "thresholds": { "abort": "5%", "pause_in_wave": "3%" },
            "pace": { "at_once": 10000, "group_label": "cluster" }
        }"#,
    )
    .expect("a definition");
    let since = now.before(Duration::from_mins(30));
    let standing = |n: usize| {
        let (high, low) = (u8::try_from(n >> 8).unwrap_or(0), u8::try_from(n & 255).unwrap_or(0));
        let id = [0, 0, 0, 0, 0, 0, 0, 0, high, low];
        let job_state = state(n);
        let labels = [
            ("site".to_owned(), format!("site{}", n % 100)),
            ("cluster".to_owned(), format!("cluster{}", n / 3)),
            ("timezone".to_owned(), ZONES[n % ZONES.len()].to_owned()),
            ("role".to_owned(), "server".to_owned()),
        ];
        HostStanding {
            reachable: !n.is_multiple_of(4),
            busy: n.is_multiple_of(50),
            network: n.is_multiple_of(2),
            wave: job_state.map(|_| 0),
            job: job_state.map(|_| JobId::at(now, id)),
            job_state,
            state_since: job_state.map(|_| since),
            begun: job_state.map(|_| since),
            ended: job_state.filter(|state| state.is_final()).map(|_| since),
            ..HostStanding::without_job(HostId::at(now, id), labels.into(), now)
        }
    };
    Snapshot {
        definition,
        aim: Aim::Cure,
        state: CampaignState::Running,
        state_since: since,
        started: Some(since),
        halted: false,
        // Some hold now, most are to come.
        freezes: (0..20)
            .map(|n| FreezeSpan {
                from: if n < 4 { since } else { now.after(Duration::from_hours(n)) },
                until: now.after(Duration::from_hours(n + 1)),
                name: format!("freeze {n}"),
                labels: [("role".to_owned(), format!("role{n}"))].into(),
            })
            .collect(),
        waves: vec![WaveStanding { opened: since, gate_held: None }],
        hosts: (0..hosts).map(standing).collect(),
        started_last_minute: 0,
        groups_busy: std::collections::BTreeSet::new(),
        groups_down: std::collections::BTreeMap::new(),
        sites_at_work: std::collections::BTreeMap::new(),
        sites_busy: std::collections::BTreeMap::new(),
    }
}
