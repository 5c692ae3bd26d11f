//! Which hosts are started now, and why the others are not.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::tz::TimeZone;

use super::tally::{Tally, site_of};
use super::{clock, has_label, look_at};
use crate::campaign::calendar::{Opening, clock_in, zone};
use crate::campaign::snapshot::{Between, Decisions, FreezeSpan, HostStanding, Snapshot};
use crate::ids::HostId;
use crate::reason;
use crate::reason::{Reason, Value};
use crate::time::Timestamp;

/// How soon it looks again while new jobs are held to so many a minute.
const RAMP_LOOK: Duration = Duration::from_secs(10);

/// How a zone's clock bears on its hosts.
enum Hours {
    Open,
    /// Closed until then; `None` for longer than two weeks.
    Closed(Option<Timestamp>),
    Unreadable,
}

/// Why hosts are held, counted.
#[derive(Default)]
struct Held<'s> {
    unreachable: usize,
    busy: usize,
    /// How many have not told what their remediation needs, and when the first is looked at again.
    untold: (usize, Option<Timestamp>),
    groups: usize,
    /// How many wait for a host of their group that may be down, and the first such host.
    down: Option<(usize, HostId)>,
    /// By site: held by its jobs, and by those that cost the network.
    full: BTreeMap<&'s str, usize>,
    sites: BTreeMap<&'s str, usize>,
    freezes: BTreeMap<&'s str, (usize, Timestamp)>,
    /// By zone: how many, and when it opens.
    closed: BTreeMap<&'s str, (usize, Option<Timestamp>)>,
    unreadable: BTreeMap<&'s str, usize>,
    /// Nothing holds them but the campaign's own limits.
    ready: usize,
}

/// Lets those go on that wait for their next try, as far as there is a place for each; they go before
/// hosts that have not begun. Says in words how many wait for a place.
pub(super) fn go_on(
    s: &Snapshot,
    tally: &mut Tally<'_>,
    now: Timestamp,
    decisions: &mut Decisions,
) -> Option<Reason> {
    let pace = &s.definition.pace;
    let (mut soon, mut held) = (Vec::new(), 0_usize);
    for host in std::mem::take(&mut tally.next_tries) {
        // One that is away would only keep a place from others.
        if !host.reachable {
            continue;
        }
        match host.between {
            Some(Between::Chosen { from }) if now < from => look_at(decisions, Some(from)),
            Some(Between::Chosen { .. }) => {
                let group = pace.group_label.as_ref().and_then(|label| host.labels.get(label));
                let is_free = |group: &String| {
                    !tally.groups.contains(group.as_str())
                        && may_be_down(tally, group, host).is_none()
                };
                let fits = tally.in_flight < pace.at_once as usize
                    && group.is_none_or(is_free)
                    && !has_its_jobs(s, &tally.at_sites, site_of(s, host))
                    && !(host.network && is_full(s, &tally.sites, site_of(s, host)));
                if fits {
                    decisions.go_on.extend(host.job);
                    tally.fly(s, host);
                } else {
                    held += 1;
                    soon.push(host);
                }
            }
            Some(Between::Choosing) | None => soon.push(host),
        }
    }
    // What comes next for them is kept free of new hosts.
    for host in soon {
        tally.fly(s, host);
    }
    (held > 0).then(|| reason!(JobsWait, n = held))
}

/// Whether a site has as many jobs as it may.
fn has_its_jobs(s: &Snapshot, at_sites: &BTreeMap<&str, u32>, site: &str) -> bool {
    let most = s.definition.pace.per_site;
    most.is_some_and(|most| at_sites.get(site).is_some_and(|jobs| *jobs >= most))
}

/// Whether a site has as many jobs that cost the network as it may.
fn is_full(s: &Snapshot, sites: &BTreeMap<&str, u32>, site: &str) -> bool {
    sites.get(site).is_some_and(|jobs| *jobs >= s.definition.pace.network_per_site)
}

pub(super) fn pick(
    s: &Snapshot,
    tally: &Tally<'_>,
    places: usize,
    now: Timestamp,
    decisions: &mut Decisions,
) {
    let pace = &s.definition.pace;
    let in_flight = (pace.at_once as usize).saturating_sub(tally.in_flight);
    let a_minute = pace
        .per_minute
        .map_or(usize::MAX, |most| most.saturating_sub(s.started_last_minute) as usize);
    let room = places.min(in_flight).min(a_minute).min(tally.may_start);
    let label = s.definition.waves[s.waves.len().min(s.definition.waves.len()) - 1].label.as_ref();

    // Groups of hosts that are started now.
    let mut groups: HashSet<&str> = HashSet::new();
    let freezes: Vec<&FreezeSpan> =
        s.freezes.iter().filter(|f| f.from <= now && now < f.until).collect();
    let labels = || s.hosts.iter().map(|host| &host.labels);
    let turn = s.started.and_then(|started| s.definition.turn(started, labels()));
    let mut sites = tally.sites.clone();
    let mut at_sites = tally.at_sites.clone();
    let mut hours: BTreeMap<&str, Hours> = BTreeMap::new();
    let mut held = Held::default();
    for host in s.hosts.iter().filter(|h| h.waits()) {
        if label.is_some_and(|label| !has_label(host, label)) {
            continue;
        }
        let own_zone = s.definition.zone.of(&host.labels);
        if !host.reachable {
            held.unreachable += 1;
        } else if host.busy {
            held.busy += 1;
        } else if let Some(at) = host.untold.filter(|at| now < *at) {
            let (count, first) = held.untold;
            held.untold = (count + 1, Some(first.map_or(at, |first| first.min(at))));
        } else if let Some(freeze) = freeze_on(&freezes, host) {
            let frozen = held.freezes.entry(&freeze.name).or_insert((0, freeze.until));
            frozen.0 += 1;
            frozen.1 = frozen.1.min(freeze.until);
        } else if let Some((closed, opens)) =
            closed(hours.entry(own_zone).or_insert_with(|| hours_of(s, own_zone, turn, now)))
        {
            if closed {
                let zone = held.closed.entry(own_zone).or_insert((0, opens));
                zone.0 += 1;
            } else {
                *held.unreadable.entry(own_zone).or_default() += 1;
            }
        } else {
            let group = pace.group_label.as_ref().and_then(|label| host.labels.get(label));
            let site = site_of(s, host);
            let group = group.map(String::as_str);
            if group.is_some_and(|g| groups.contains(g) || tally.groups.contains(g)) {
                held.groups += 1;
            } else if let Some(down) = group.and_then(|group| may_be_down(tally, group, host)) {
                let (count, first) = held.down.unwrap_or((0, down));
                held.down = Some((count + 1, first));
            } else if has_its_jobs(s, &at_sites, site) {
                *held.full.entry(site).or_default() += 1;
            } else if host.network && is_full(s, &sites, site) {
                *held.sites.entry(site).or_default() += 1;
            } else if decisions.start.len() >= room {
                held.ready += 1;
            } else {
                decisions.start.push(host.host);
                groups.extend(group);
                *at_sites.entry(site).or_default() += 1;
                if host.network {
                    *sites.entry(site).or_default() += 1;
                }
            }
        }
    }
    look_at(decisions, held.untold.1);
    for (_, until) in held.freezes.values() {
        look_at(decisions, Some(*until));
    }
    for (_, opens) in held.closed.values() {
        look_at(decisions, *opens);
    }
    let mut parts = Vec::new();
    if held.ready > 0 {
        let started = decisions.start.len();
        let wave = s.waves.len();
        let waves = s.definition.waves.len();
        parts.push(if started + tally.in_flight >= pace.at_once as usize {
            match pace.at_once {
                1 => reason!(OneAtOnce),
                most => reason!(ManyAtOnce, most = most),
            }
        } else if started >= a_minute {
            look_at(decisions, Some(now.after(RAMP_LOOK)));
            reason!(PerMinute, most = pace.per_minute.unwrap_or_default())
        } else if started >= places {
            look_at(decisions, Some(now));
            reason!(WaveFull, wave = wave, waves = waves)
        } else {
            reason!(NoMore)
        });
    }
    let held = held.reasons(s);
    if let Some((key, value)) = label.filter(|_| decisions.start.is_empty() && !held.is_empty()) {
        let wave = s.waves.len();
        parts.push(reason!(
            WaveLabel,
            wave = wave,
            label = format!("{key}={value}"),
            places = places
        ));
    }
    parts.extend(held);
    if parts.is_empty() && decisions.start.is_empty() {
        parts.push(tally.at_work());
    }
    decisions.waiting_for = parts;
}

/// The first other host of a group that may be down. One that may be down itself waits for no other: the
/// group has lost it already.
fn may_be_down(tally: &Tally<'_>, group: &str, host: &HostStanding) -> Option<HostId> {
    let down = tally.down.get(group)?;
    if down.contains(&host.host) { None } else { down.first().copied() }
}

/// Whether a zone's hosts are held: by its hours (`true`, with when it opens) or because nobody can
/// tell them (`false`).
const fn closed(hours: &Hours) -> Option<(bool, Option<Timestamp>)> {
    match hours {
        Hours::Open => None,
        Hours::Closed(opens) => Some((true, *opens)),
        Hours::Unreadable => Some((false, None)),
    }
}

fn hours_of(s: &Snapshot, name: &str, turn: Option<Timestamp>, now: Timestamp) -> Hours {
    let Ok(zone) = zone(name) else { return Hours::Unreadable };
    if let Some(at) = s.definition.not_before(&zone, turn).filter(|at| now < *at) {
        return Hours::Closed(Some(at));
    }
    if s.definition.windows.is_empty() {
        return Hours::Open;
    }
    match s.definition.opening(&zone, now) {
        Ok(Opening::Open(_)) => Hours::Open,
        Ok(Opening::Opens(at)) => Hours::Closed(Some(at)),
        Ok(Opening::Never) => Hours::Closed(None),
        Err(_) => Hours::Unreadable,
    }
}

/// The first of the freezes that hold now, and hold this host.
fn freeze_on<'s>(freezes: &[&'s FreezeSpan], host: &HostStanding) -> Option<&'s FreezeSpan> {
    let fits = |freeze: &&&FreezeSpan| {
        freeze.labels.iter().all(|(key, value)| host.labels.get(key) == Some(value))
    };
    freezes.iter().find(fits).copied()
}

impl Held<'_> {
    fn reasons(&self, s: &Snapshot) -> Vec<Reason> {
        let mut parts = Vec::new();
        let mut part = |count: usize, why: Reason| {
            if count > 0 {
                parts.push(reason!(HostsWait, n = count, held = why));
            }
        };
        part(self.unreachable, reason!(Unreachable));
        part(self.busy, reason!(HostBusy));
        if let (count, Some(at)) = self.untold {
            part(count, reason!(Untold, at = clock(s, at)));
        }
        for (name, (count, until)) in &self.freezes {
            part(*count, reason!(Frozen, name = *name, at = clock(s, *until)));
        }
        for (name, (count, opens)) in &self.closed {
            let zone: Option<TimeZone> = zone(name).ok();
            let clock = |at: Timestamp| {
                zone.as_ref().map_or_else(|| at.to_string(), |zone| clock_in(zone, at))
            };
            let why = match opens {
                Some(at) => {
                    let opens = Value::Moment { at: *at, clock: clock(*at) };
                    reason!(HoursOpen, at = opens, zone = *name)
                }
                None => reason!(HoursClosed, zone = *name),
            };
            part(*count, why);
        }
        for (name, count) in &self.unreadable {
            let name: String = name.chars().take(40).collect();
            part(*count, reason!(NoSuchZone, zone = name));
        }
        part(self.groups, reason!(GroupBusy));
        if let Some((count, host)) = self.down {
            part(count, reason!(GroupDown, host = host.to_string()));
        }
        let pace = &s.definition.pace;
        let label = pace.site_label.as_str();
        for (site, count) in &self.full {
            let most = pace.per_site.unwrap_or_default();
            part(
                *count,
                match *site {
                    "" => reason!(NoSiteFull, label = label, most = most),
                    site => reason!(SiteFull, site = site, most = most),
                },
            );
        }
        for (site, count) in &self.sites {
            let most = pace.network_per_site;
            part(
                *count,
                match *site {
                    "" => reason!(NoSiteBusy, label = label, most = most),
                    site => reason!(SiteBusy, site = site, most = most),
                },
            );
        }
        parts
    }
}
