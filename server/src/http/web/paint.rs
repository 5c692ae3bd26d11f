//! Colours, shapes and small pictures. State is never colour alone: each tone has a shape.

use super::i18n::Words;

/// The tone and shape of a word of a closed set.
pub(crate) fn tone(set: &str, word: &str) -> (&'static str, &'static str) {
    match (set, word) {
        ("incident", "open")
        | ("answer", "yes")
        | ("timeline", "failure")
        | ("job", "failed" | "unknown" | "timed_out")
        | ("step", "failed" | "undo_failed" | "unknown")
        | ("host", "quarantined")
        | ("guided", "refuted")
        | ("campaign", "aborted" | "completed_with_errors")
        | ("outcome", "failed" | "unknown" | "timed_out" | "silent" | "rolled_back")
        | ("halt", "halted")
        | ("risk", "dangerous") => ("bad", "▲"),
        ("incident", "recurred") | ("timeline", "gap") => ("bad", "↻"),
        ("host", "stale" | "pending")
        | ("job", "unverified" | "rolled_back" | "not_reached" | "blocked")
        | ("risk", "disruptive")
        | ("campaign", "paused" | "awaiting_approval")
        | ("outcome", "not_reached")
        | ("freeze", "holds")
        | ("step", "undone") => ("warn", "◆"),
        ("incident", "remediating" | "verifying")
        | ("job", "running" | "reboot_pending" | "rebooting" | "verifying" | "offered")
        | ("step", "running")
        | ("guided", "doing" | "awaited")
        | ("campaign", "running" | "scheduled")
        | ("wave", "open" | "soaking")
        | ("outcome", "queued" | "running" | "verifying")
        | ("certainty", "likely") => ("info", "◐"),
        ("incident", "fixed" | "resolved")
        | ("job" | "outcome", "fixed")
        | ("step", "done" | "already_done")
        | ("host" | "user", "active")
        | ("health", "healthy")
        | ("answer", "no")
        | ("risk", "safe")
        | ("token", "usable")
        | ("guided", "done" | "proved")
        | ("campaign", "completed")
        | ("wave", "done")
        | ("approval", "holds")
        | ("halt", "works")
        | ("timeline", "recovery" | "enrolled") => ("good", "✓"),
        ("certainty", "confirmed") => ("strong", "●"),
        ("certainty", "ruled_out")
        | ("host", "revoked")
        | ("risk", "refused")
        | ("approval", "void")
        | ("campaign", "cancelled") => ("mute", "✕"),
        _ => ("mute", "○"),
    }
}

/// Incidents standing at the end of each day as a small line of bars, from zero; the last is now. The
/// day of the onset (the first after days without any) is marked.
pub(crate) fn spark(trend: &[u64], t: Words) -> String {
    use std::fmt::Write as _;
    let most = trend.iter().copied().max().unwrap_or(0).max(1);
    let now = trend.last().copied().unwrap_or(0);
    let onset = trend.iter().position(|n| *n > 0).filter(|at| *at > 0);
    let said = t.f2("spark.said", t.num(now), trend.len());
    let width = trend.len() * 8;
    let mut svg = format!(
        "<svg class=\"spark\" width=\"{width}\" height=\"28\" viewBox=\"0 0 {width} 28\" role=\"img\" aria-label=\"{said}\"><title>{said}</title>"
    );
    for (at, count) in trend.iter().enumerate() {
        let height = if *count == 0 { 1 } else { (count * 24).div_ceil(most).max(2) };
        let class = if *count == 0 { "none" } else { "some" };
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"6\" height=\"{height}\"/>",
            at * 8 + 1,
            28 - height
        );
    }
    if let Some(at) = onset {
        let x = at * 8;
        let _ = write!(svg, "<line class=\"onset\" x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"28\"/>");
    }
    svg.push_str("</svg>");
    svg
}

/// A bar of hosts against the most of any problem.
pub(crate) fn bar(count: u64, most: u64) -> String {
    let width = if count == 0 { 0 } else { (count * 80).div_ceil(most.max(1)).max(2) };
    format!(
        "<svg class=\"bar\" width=\"80\" height=\"10\" aria-hidden=\"true\"><rect class=\"back\" width=\"80\" height=\"10\"/><rect class=\"fill\" width=\"{width}\" height=\"10\"/></svg>"
    )
}

/// A share as a bar from nothing to all.
pub(crate) fn share_bar(share: f64) -> String {
    let mut width = 0_u64;
    while width < 120 && (f64::from(u32::try_from(width).unwrap_or(0)) + 0.5) / 120.0 <= share {
        width += 1;
    }
    format!(
        "<svg class=\"bar\" width=\"120\" height=\"10\" aria-hidden=\"true\"><rect class=\"back\" width=\"120\" height=\"10\"/><rect class=\"fill\" width=\"{width}\" height=\"10\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetmend_core::knowledge::Lang;

    #[test]
    fn bars_start_at_zero_and_mark_the_onset() {
        let svg = spark(&[0, 0, 1, 4], Words(Lang::En));
        assert_eq!(svg.matches("<rect").count(), 4);
        assert!(svg.contains("height=\"24\""), "the most is full height");
        assert!(svg.contains("class=\"onset\" x1=\"16\""));
        assert!(svg.contains("4 incidents stand now"), "{svg}");
    }
}
