//! A host's history as lanes: what failed, what worked again, jobs, its life, and silence, over the
//! same time. Each mark has its words; the list below the drawing says the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use fleetmend_core::host::Lifecycle;
use fleetmend_core::time::Timestamp;
use fleetmend_store::{Host, TimelineEntry, TimelineKind};

use super::i18n::Words;

const WIDTH: usize = 720;
const LEFT: usize = 120;
const RIGHT: usize = 708;
const LANE: usize = 24;
const TOP: usize = 8;
/// Marks of a lane that would touch are drawn as one.
const SLOT: usize = 12;
/// The shortest time that is drawn.
const LEAST: Duration = Duration::from_hours(24);

/// A lane, from the top.
const LANES: [(&str, Lane); 5] = [
    ("lane.failures", Lane::Failures),
    ("lane.recoveries", Lane::Recoveries),
    ("lane.jobs", Lane::Jobs),
    ("lane.life", Lane::Life),
    ("lane.silence", Lane::Silence),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Failures,
    Recoveries,
    Jobs,
    Life,
    Silence,
}

/// The lanes of a host, from its oldest entry (newest first in `entries`) to now; empty where
/// there is nothing to draw.
pub(crate) fn lanes(host: &Host, entries: &[TimelineEntry], t: Words, now: Timestamp) -> String {
    let Some(oldest) = entries.iter().map(|e| e.at).min() else { return String::new() };
    let start = oldest.min(now.before(LEAST));
    let axis = Axis { start, now };
    let bottom = TOP + LANES.len() * LANE;
    let failures = entries.iter().filter(|e| e.kind == TimelineKind::Failure).count();
    let jobs = entries.iter().filter(|e| e.kind == TimelineKind::JobCreated).count();
    let said = t.f3("lane.said", t.num(failures), t.num(jobs), t.exact(start));
    let mut svg = format!(
        "<svg class=\"lanes\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{said}\"><title>{said}</title>",
        bottom + 22
    );
    for (row, (name, lane)) in LANES.iter().enumerate() {
        let y = TOP + row * LANE + LANE / 2;
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y}\" y2=\"{y}\"/><text class=\"end\" x=\"{}\" y=\"{}\">{}</text>",
            LEFT - 12,
            y + 4,
            t.s(name)
        );
        if *lane == Lane::Silence {
            for (from, to) in silences(host, entries, now) {
                let (x, end) = (axis.place(from), axis.place(to));
                let _ = write!(
                    svg,
                    "<rect class=\"silence\" x=\"{x}\" y=\"{}\" width=\"{}\" height=\"10\"><title>{} – {}</title></rect>",
                    y - 5,
                    (end - x).max(3),
                    t.exact(from),
                    t.exact(to)
                );
            }
        } else {
            marks(&mut svg, *lane, entries, &axis, y, t);
        }
    }
    let ends = [(LEFT, "", start), (RIGHT, "end", now)];
    for (x, class, at) in ends {
        let label = if at == now { t.s("plot.now").to_owned() } else { t.day_of(at) };
        let _ =
            write!(svg, "<text class=\"{class}\" x=\"{x}\" y=\"{}\">{label}</text>", bottom + 16);
    }
    svg.push_str("</svg>");
    svg
}

fn marks(svg: &mut String, lane: Lane, entries: &[TimelineEntry], axis: &Axis, y: usize, t: Words) {
    let mut slots: BTreeMap<usize, (usize, Timestamp, &TimelineEntry)> = BTreeMap::new();
    for entry in entries.iter().filter(|e| lane_of(e.kind) == lane) {
        let slot = axis.place(entry.at) / SLOT;
        let held = slots.entry(slot).or_insert((0, entry.at, entry));
        held.0 += 1;
    }
    for (slot, (count, at, entry)) in slots {
        let x = (slot * SLOT + SLOT / 2).min(RIGHT);
        let (class, shape) = shape(lane, x, y);
        let what = t.word("timeline", entry.kind);
        let more = if count > 1 { format!(" ×{}", t.num(count)) } else { String::new() };
        let _ = write!(
            svg,
            "<path class=\"{class}\" d=\"{shape}\"><title>{what}{more}: {}</title></path>",
            t.exact(at)
        );
    }
}

fn lane_of(kind: TimelineKind) -> Lane {
    match kind {
        TimelineKind::Failure => Lane::Failures,
        TimelineKind::Recovery => Lane::Recoveries,
        TimelineKind::JobCreated | TimelineKind::JobEnded => Lane::Jobs,
        TimelineKind::Enrolled
        | TimelineKind::Lifecycle
        | TimelineKind::Labels
        | TimelineKind::Overdue
        | TimelineKind::Superseded
        | TimelineKind::Gap => Lane::Life,
    }
}

/// The colour and the outline of a lane's marks: each lane has its own shape.
fn shape(lane: Lane, x: usize, y: usize) -> (&'static str, String) {
    match lane {
        Lane::Failures => ("bad", format!("M{x} {}l6 11h-12z", y - 6)),
        Lane::Recoveries => ("good", format!("M{} {y}l4 5l7 -10l-2 -2l-5 8l-2 -3z", x - 5)),
        Lane::Jobs => ("info", format!("M{} {}h10v10h-10z", x - 5, y - 5)),
        Lane::Life | Lane::Silence => ("mute", format!("M{x} {}l6 6l-6 6l-6 -6z", y - 6)),
    }
}

/// From when to when nothing was heard of the host, as far as its history is shown.
fn silences(host: &Host, entries: &[TimelineEntry], now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let mut spans = Vec::new();
    let mut since: Option<Timestamp> = None;
    let changes = entries.iter().rev().filter(|e| e.kind == TimelineKind::Lifecycle);
    for change in changes {
        let silent = change.text.starts_with(Lifecycle::Stale.as_str());
        match (silent, since) {
            (true, None) => since = Some(change.at),
            (false, Some(from)) => {
                spans.push((from, change.at));
                since = None;
            }
            _ => {}
        }
    }
    if host.lifecycle == Lifecycle::Stale {
        // Silence began when it was last heard of, before it was noticed.
        let from = since.map_or(host.last_seen, |noticed| noticed.min(host.last_seen));
        spans.push((from, now));
    }
    spans
}

/// Time from left to right.
#[derive(Debug)]
struct Axis {
    start: Timestamp,
    now: Timestamp,
}

impl Axis {
    fn place(&self, at: Timestamp) -> usize {
        let whole = self.now.since(self.start).as_millis().max(1);
        let part = at.max(self.start).min(self.now).since(self.start).as_millis();
        LEFT + usize::try_from(part * (RIGHT - LEFT) as u128 / whole).unwrap_or(0)
    }
}
