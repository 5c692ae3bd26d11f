//! Plots, made on the server: from zero, with labelled axes, each line named where it ends. What a
//! plot shows stands in its sentence too, and in the table behind it.

use std::fmt::Write as _;

use fleetmend_store::StepsOfDay;

use super::i18n::Words;

/// The drawing's size; it is shown at most half as large again, so that its letters stay readable.
const WIDTH: usize = 340;
const HEIGHT: usize = 150;
/// What is left of it for the lines.
const LEFT: usize = 34;
const RIGHT: usize = 254;
const TOP: usize = 12;
const BOTTOM: usize = 122;
/// Names of lines keep this distance.
const LETTERS: usize = 13;

/// Incidents opened and proved fixed, day by day; the last day is today.
pub(crate) fn fleet(days: &[StepsOfDay], t: Words) -> String {
    let opened: Vec<u64> = days.iter().map(|d| d.opened).collect();
    let fixed: Vec<u64> = days.iter().map(|d| d.fixed).collect();
    let top = nice(opened.iter().chain(&fixed).copied().max().unwrap_or(0));
    let said = t.f3(
        "plot.fleet_said",
        t.num(opened.iter().sum::<u64>()),
        t.num(fixed.iter().sum::<u64>()),
        t.n("time.days", days.len()),
    );
    let mut svg = format!(
        "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{said}\"><title>{said}</title>"
    );
    for step in 0..=2 {
        let value = top * step / 2;
        let y = height(value, top);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y}\" y2=\"{y}\"/><text class=\"end\" x=\"{}\" y=\"{}\">{}</text>",
            LEFT - 5,
            y + 4,
            t.num(value)
        );
    }
    let last = days.len().saturating_sub(1);
    for (at, day) in days.iter().enumerate() {
        if !(last - at).is_multiple_of(10) || at + 3 > days.len() && at != last {
            continue;
        }
        let place = place(at, days.len());
        let class = if at == last { "end" } else { "middle" };
        let label = if at == last { t.s("plot.today").to_owned() } else { t.day(day.day) };
        let x = if at == last { RIGHT } else { place };
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{place}\" x2=\"{place}\" y1=\"{BOTTOM}\" y2=\"{}\"/><text class=\"{class}\" x=\"{x}\" y=\"{}\">{label}</text>",
            BOTTOM + 4,
            BOTTOM + 18
        );
    }
    let ends = apart(
        height(opened.last().copied().unwrap_or(0), top),
        height(fixed.last().copied().unwrap_or(0), top),
    );
    for (class, counts, end, name) in
        [("opened", &opened, ends.0, "plot.opened"), ("fixed", &fixed, ends.1, "plot.fixed")]
    {
        let points: Vec<String> = counts
            .iter()
            .enumerate()
            .map(|(at, n)| format!("{},{}", place(at, counts.len()), height(*n, top)))
            .collect();
        let _ = write!(
            svg,
            "<polyline class=\"{class}\" points=\"{}\"/><text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>",
            points.join(" "),
            RIGHT + 5,
            end + 4,
            t.s(name)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// A top of the axis that halves well, and never zero.
fn nice(most: u64) -> u64 {
    let mut step = 1_u64;
    loop {
        for factor in [2, 4, 10] {
            if let Some(top) = step.checked_mul(factor)
                && top >= most
            {
                return top;
            }
        }
        let Some(next) = step.checked_mul(10) else { return most };
        step = next;
    }
}

fn height(value: u64, top: u64) -> usize {
    let span = (BOTTOM - TOP) as u64;
    let part = u128::from(value.min(top)) * u128::from(span) / u128::from(top.max(1));
    BOTTOM - usize::try_from(part).unwrap_or(0)
}

fn place(at: usize, of: usize) -> usize {
    LEFT + at * (RIGHT - LEFT) / of.saturating_sub(1).max(1)
}

/// Two heights, moved apart until their letters do not touch.
fn apart(first: usize, second: usize) -> (usize, usize) {
    if first.abs_diff(second) >= LETTERS {
        return (first, second);
    }
    let middle = usize::midpoint(first, second).clamp(TOP + LETTERS / 2, BOTTOM - LETTERS / 2);
    let (above, below) = (middle - LETTERS / 2, middle + LETTERS.div_ceil(2));
    if first <= second { (above, below) } else { (below, above) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetmend_core::knowledge::Lang;

    #[test]
    fn lines_start_at_zero_and_are_named_apart() {
        let days: Vec<StepsOfDay> =
            (0..30).map(|n| StepsOfDay { day: 20_000 + n, opened: 3, fixed: 3 }).collect();
        let svg = fleet(&days, Words(Lang::En));
        assert!(svg.contains(">0</text>"), "the axis has a zero: {svg}");
        assert!(svg.contains("90 incidents opened"), "{svg}");
        assert!(svg.contains("role=\"img\""));
        let (a, b) = apart(100, 100);
        assert!(a.abs_diff(b) >= LETTERS);
        assert_eq!(height(0, nice(0)), BOTTOM);
        assert_eq!(height(7, nice(7)), height(7, 10));
        assert_eq!([nice(3), nice(21), nice(41)], [4, 40, 100]);
        assert!(fleet(&[], Words(Lang::Ru)).ends_with("</svg>"));
    }
}
