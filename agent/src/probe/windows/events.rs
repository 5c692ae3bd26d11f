//! Questions to the event logs.

use std::time::Duration;

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::time::Timestamp;

use super::{Found, told};
use crate::platform::{Event, EventQuery, Platform};
use crate::probe::with_value;

/// Events that are looked through for a text.
const MOST: usize = 500;

/// Which events are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) channel: &'a str,
    pub(super) providers: &'a [String],
    pub(super) ids: &'a [u32],
    /// What one of their fields holds.
    pub(super) says: Option<&'a str>,
}

pub(super) async fn seen(
    platform: &dyn Platform,
    asked: Asked<'_>,
    days: u32,
    now: Timestamp,
) -> Found {
    let Asked { channel, ids, .. } = asked;
    let providers: Vec<&str> = asked.providers.iter().map(String::as_str).collect();
    let since = now.before(Duration::from_hours(u64::from(days) * 24));
    let most = if asked.says.is_some() { MOST } else { 1 };
    let query = EventQuery { channel, providers: &providers, ids, since, most };
    let events = platform.events(query).await.map_err(told)?;
    if let Some(event) =
        events.iter().find(|event| asked.says.is_none_or(|text| holds(event, text)))
    {
        let value = format!("{} at {}", event.id, event.at);
        let proof = format!("{channel}: {} {value}", event.provider);
        return Ok(with_value(Answer::Yes, proof, value));
    }
    let of = asked.says.map(|text| format!(" of {text}")).unwrap_or_default();
    let none = format!("{channel}: none of {}{of} in {days} days", providers.join(", "));
    if events.len() >= most {
        return Err(format!("{none} among the newest {most}; there are more"));
    }
    // A log that begins later was cleared, or has overwritten what was before: that is no *no*.
    match platform.oldest_event(channel).await.map_err(told)? {
        Some(oldest) if oldest <= since => Ok(Finding::new(Answer::No, none)),
        Some(oldest) => Err(format!("{none}, but the log only reaches back to {oldest}")),
        None => Err(format!("{channel} is empty")),
    }
}

fn holds(event: &Event, text: &str) -> bool {
    let text = text.to_lowercase();
    event.data.values().any(|field| field.to_lowercase().contains(&text))
}
