//! Spans of time as people type them.

use std::time::Duration;

/// Reads `90m`, `24h`, `7d`.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let bad = || "write a number and m, h or d, such as 24h".to_owned();
    let unit = text.chars().last().ok_or_else(bad)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(bad()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| bad())?;
    count.checked_mul(seconds).map(Duration::from_secs).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_written() {
        assert_eq!(parse("90m"), Ok(Duration::from_mins(90)));
        assert_eq!(parse("7d"), Ok(Duration::from_hours(168)));
        for bad in ["", "7", "d", "7w", "-1h", "99999999999999999999d", "7д"] {
            assert!(parse(bad).is_err(), "{bad:?} was taken");
        }
    }
}
