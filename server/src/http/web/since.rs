//! *Changes since*: since when, as the reader chose it, or since the last visit, which a cookie
//! remembers.

use std::time::Duration;

use fleetmend_core::time::Timestamp;

use crate::http::auth;
use crate::http::call::Call;
use crate::http::problem::Problem;

/// The cookie: when this visit began seeing the page, and when the one before last did.
const COOKIE: &str = "visit";
/// Who was away for so long comes for a new visit.
const AWAY: Duration = Duration::from_mins(30);
const DAY: Duration = Duration::from_hours(24);
/// What can be chosen besides the last visit, by its word in the address.
const CHOICES: [(&str, Duration); 4] = [
    ("1h", Duration::from_hours(1)),
    ("24h", DAY),
    ("7d", Duration::from_hours(7 * 24)),
    ("30d", Duration::from_hours(30 * 24)),
];

/// Since when changes are told.
#[derive(Debug)]
pub(crate) struct Since {
    /// From then on.
    pub(crate) from: Timestamp,
    /// Each choice, and whether it is taken.
    pub(crate) choices: Vec<(&'static str, bool)>,
    /// Whether it is the last visit.
    pub(crate) is_visit: bool,
    /// What the reader's browser is to remember.
    pub(crate) cookie: String,
}

/// Since when the reader wants to know.
pub(crate) fn since(call: &Call) -> Result<Since, Problem> {
    let (last, seen) = visits(auth::cookie(&call.headers, COOKIE).unwrap_or_default());
    let recent = |at: Option<Timestamp>| at.filter(|at| *at <= call.now);
    let (last, seen) = (recent(last), recent(seen));
    // A new visit begins after a time away: what was seen last is then the visit before.
    let before = match seen {
        Some(seen) if call.now.since(seen) >= AWAY => Some(seen),
        _ => last,
    };
    let asked = call.query.text("since");
    let chosen = match asked {
        None => None,
        Some(word) => match CHOICES.iter().find(|(name, _)| *name == word) {
            Some((_, span)) => Some(call.now.before(*span)),
            None => Some(word.parse::<Timestamp>().map_err(|_| {
                let words = CHOICES.map(|(name, _)| name);
                let detail =
                    format!("since: {} or a time such as 2026-11-22T08:00:00Z", words.join(", "));
                Problem::bad("since", detail).accepting(words)
            })?),
        },
    };
    let month = call.now.before(30 * DAY);
    let from = chosen.or(before).unwrap_or_else(|| call.now.before(DAY)).max(month);
    let secure = if call.site.secure { "; Secure" } else { "" };
    let remembered = before.map(|at| at.as_millis().to_string()).unwrap_or_default();
    Ok(Since {
        from,
        choices: CHOICES
            .iter()
            .map(|(name, _)| {
                (*name, asked.map_or(before.is_none() && *name == "24h", |a| a == *name))
            })
            .collect(),
        is_visit: chosen.is_none() && before.is_some(),
        cookie: format!(
            "{COOKIE}={remembered}.{}; Path=/; SameSite=Lax; HttpOnly; Max-Age=2592000{secure}",
            call.now.as_millis()
        ),
    })
}

fn visits(text: &str) -> (Option<Timestamp>, Option<Timestamp>) {
    let (last, seen) = text.split_once('.').unwrap_or(("", ""));
    let read = |text: &str| text.parse().ok().map(Timestamp::from_millis);
    (read(last), read(seen))
}
