//! How the hosts of a campaign stand, as bars: each host is in one group, every group has its count
//! in words beside the drawing.

use std::fmt::Write as _;

use fleetmend_core::campaign::{Aim, ErrorLimit, Outcome};

use crate::http::web::i18n::Words;

/// What outcomes come down to for somebody who looks whether it goes well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Proved.
    Fixed,
    /// At work.
    Flight,
    /// Counts against the thresholds.
    Errors,
    /// Came to an end that is neither proof nor error.
    Ended,
    /// Never began.
    NotReached,
    /// Has no job yet.
    Waiting,
}

impl Group {
    /// From left to right.
    pub(crate) const ALL: [Self; 6] =
        [Self::Fixed, Self::Errors, Self::Ended, Self::NotReached, Self::Flight, Self::Waiting];

    /// Its word: also its class.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Flight => "flight",
            Self::Errors => "errors",
            Self::Ended => "ended",
            Self::NotReached => "missed",
            Self::Waiting => "waiting",
        }
    }

    /// Its tone and shape, as badges have them.
    const fn tone(self) -> (&'static str, &'static str) {
        match self {
            Self::Fixed => ("good", "✓"),
            Self::Flight => ("info", "◐"),
            Self::Errors => ("bad", "▲"),
            Self::Ended => ("mute", "■"),
            Self::NotReached => ("warn", "◆"),
            Self::Waiting => ("mute", "○"),
        }
    }

    /// Where an outcome belongs.
    pub(crate) const fn of(outcome: Outcome, aim: Aim) -> Self {
        if outcome.is_error(aim) {
            return Self::Errors;
        }
        if matches!(aim, Aim::Undo) && outcome.is_success(aim) {
            return Self::Fixed;
        }
        match outcome {
            Outcome::Waiting => Self::Waiting,
            Outcome::Queued | Outcome::Running | Outcome::Verifying | Outcome::Silent => {
                Self::Flight
            }
            Outcome::Fixed => Self::Fixed,
            Outcome::NotReached => Self::NotReached,
            Outcome::Excluded
            | Outcome::Unverified
            | Outcome::Failed
            | Outcome::RolledBack
            | Outcome::TimedOut
            | Outcome::Unknown
            | Outcome::NotApplicable
            | Outcome::Skipped
            | Outcome::Cancelled => Self::Ended,
        }
    }
}

/// Hosts by group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Groups([u64; 6]);

impl Groups {
    /// So many more.
    pub(crate) fn add(&mut self, group: Group, count: u64) {
        self.0[group as usize] += count;
    }

    /// How many.
    pub(crate) const fn get(&self, group: Group) -> u64 {
        self.0[group as usize]
    }

    /// All.
    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The groups that have hosts, as badges with their counts. Safe as HTML: all of it is our own.
    pub(crate) fn badges(&self, t: Words) -> String {
        let mut html = String::new();
        for group in Group::ALL.into_iter().filter(|group| self.get(*group) > 0) {
            let (tone, shape) = group.tone();
            let _ = write!(
                html,
                "<span class=\"badge {tone}\"><span aria-hidden=\"true\">{shape}</span> {}</span> ",
                t.n(&format!("group.{}", group.as_str()), self.get(group))
            );
        }
        html
    }

    /// The groups in words.
    pub(crate) fn said(&self, t: Words) -> String {
        let said: Vec<String> = Group::ALL
            .into_iter()
            .filter(|group| self.get(*group) > 0)
            .map(|group| t.n(&format!("group.{}", group.as_str()), self.get(group)))
            .collect();
        if said.is_empty() { t.s("camp.no_hosts").to_owned() } else { said.join(", ") }
    }

    /// The groups as one bar over its whole width. Safe as HTML.
    pub(crate) fn bar(&self, t: Words) -> String {
        const WIDTH: u64 = 600;
        let said = self.said(t);
        let mut svg = format!(
            "<svg class=\"outcomes\" viewBox=\"0 0 {WIDTH} 14\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{said}\"><title>{said}</title><rect class=\"back\" width=\"{WIDTH}\" height=\"14\"/>"
        );
        let mut from = 0;
        for (group, width) in self.widths(WIDTH) {
            let _ = write!(
                svg,
                "<rect class=\"{}\" x=\"{from}\" width=\"{width}\" height=\"14\"/>",
                group.as_str()
            );
            if from > 0 {
                let _ = write!(svg, "<rect class=\"gap\" x=\"{from}\" width=\"2\" height=\"14\"/>");
            }
            from += width;
        }
        svg.push_str("</svg>");
        svg
    }

    /// How wide each group is: as its share, and never too thin to be seen.
    fn widths(&self, whole: u64) -> Vec<(Group, u64)> {
        const LEAST: u64 = 8;
        let sum = self.sum();
        let some: Vec<(Group, u64)> = Group::ALL
            .into_iter()
            .map(|group| (group, self.get(group)))
            .filter(|(_, count)| *count > 0)
            .collect();
        let count = some.len() as u64;
        let free = whole.saturating_sub(LEAST * count);
        let mut widths: Vec<(Group, u64)> =
            some.iter().map(|(group, n)| (*group, LEAST + free * n / sum.max(1))).collect();
        let rest = whole - widths.iter().map(|(_, w)| w).sum::<u64>().min(whole);
        if let Some(last) = widths.last_mut() {
            last.1 += rest;
        }
        widths
    }
}

/// How near a limit of errors is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gauge {
    /// What it does when it is crossed.
    pub(crate) name: String,
    /// How things stand, and what would trip it.
    pub(crate) said: String,
    /// The drawing.
    pub(crate) bar: String,
    /// Whether it is crossed.
    pub(crate) crossed: bool,
}

/// A limit as a gauge; `None` where there is none.
pub(crate) fn gauge(
    key: &str,
    limit: ErrorLimit,
    (errors, started): (u64, u64),
    t: Words,
) -> Option<Gauge> {
    let (errors_n, started_n) =
        (usize::try_from(errors).unwrap_or(usize::MAX), usize::try_from(started).unwrap_or(0));
    let said = super::words::limit(limit, t)?;
    let crossed = limit.is_crossed(errors_n, started_n);
    // The first number of errors that is too many among the hosts started so far, or among one more.
    let trips = (0..=started_n.saturating_add(1))
        .find(|n| limit.is_crossed(*n, started_n.max(1)))
        .unwrap_or(started_n + 1) as u64;
    let status = t.f2("camp.gauge_now", t.n("camp.errors", errors), t.n("camp.started", started));
    let trip = if crossed {
        t.s("camp.gauge_crossed").to_owned()
    } else {
        t.n("camp.gauge_trip", trips.saturating_sub(errors).max(1))
    };
    Some(Gauge {
        name: t.f(key, said),
        bar: meter(errors, trips, &status),
        said: format!("{status}; {trip}"),
        crossed,
    })
}

/// From zero to a little past where it trips, with a mark there.
pub(crate) fn meter(value: u64, mark: u64, said: &str) -> String {
    const WIDTH: u64 = 200;
    let mark = mark.max(1);
    let top = (mark + mark.div_ceil(4)).max(value);
    let place = |n: u64| n.min(top) * WIDTH / top;
    let class = if value >= mark { "over" } else { "fill" };
    let fill = place(value);
    let at = place(mark);
    format!(
        "<svg class=\"meter\" viewBox=\"0 0 {WIDTH} 16\" role=\"img\" aria-label=\"{said}\"><title>{said}</title><rect class=\"back\" y=\"3\" width=\"{WIDTH}\" height=\"10\"/><rect class=\"{class}\" y=\"3\" width=\"{fill}\" height=\"10\"/><line class=\"mark\" x1=\"{at}\" x2=\"{at}\" y1=\"0\" y2=\"16\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetmend_core::knowledge::Lang;

    const EN: Words = Words(Lang::En);

    #[test]
    fn every_outcome_is_in_one_group_and_no_group_is_too_thin() {
        let of = |aim| {
            let mut groups = Groups::default();
            for outcome in Outcome::ALL {
                groups.add(Group::of(*outcome, aim), 1);
            }
            groups
        };
        let groups = of(Aim::Cure);
        assert_eq!(groups.sum(), Outcome::ALL.len() as u64);
        assert_eq!(groups.get(Group::Errors), 5);
        assert_eq!(of(Aim::Proof).get(Group::Errors), 4, "a refuted fix is a result");
        let undo = of(Aim::Undo);
        assert_eq!(
            (undo.get(Group::Errors), undo.get(Group::Fixed)),
            (4, 2),
            "taken back is what it is for"
        );
        let mut few = Groups::default();
        few.add(Group::Errors, 1);
        few.add(Group::Waiting, 100_000);
        let widths = few.widths(600);
        assert_eq!(widths.iter().map(|(_, w)| w).sum::<u64>(), 600);
        assert!(widths[0].1 >= 8, "{widths:?}");
        assert!(few.bar(EN).contains("aria-label=\"1 error, 100,000 waiting\""), "{}", few.bar(EN));
        assert!(Groups::default().bar(EN).contains("no hosts"));
    }

    #[test]
    fn gauges_say_what_would_trip_them() {
        let five: ErrorLimit = "5%".parse().expect("a limit");
        let gauge_of =
            |errors, started| gauge("camp.aborts", five, (errors, started), EN).expect("a gauge");
        assert!(
            gauge_of(2, 100).said.ends_with("4 more would trip it"),
            "{}",
            gauge_of(2, 100).said
        );
        assert!(gauge_of(0, 0).said.ends_with("1 more would trip it"), "{}", gauge_of(0, 0).said);
        assert!(gauge_of(6, 100).crossed);
        assert!(gauge("camp.aborts", ErrorLimit::Off, (9, 9), EN).is_none());
    }
}
