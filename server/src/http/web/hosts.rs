//! The list of hosts, and a host's page.

use askama::Template;
use fleetmend_core::evidence::Evidence;
use fleetmend_core::host::{HostState, Lifecycle};
use fleetmend_core::ids::HostId;
use fleetmend_core::incident::IncidentState;
use fleetmend_core::overdue::Health;
use fleetmend_store::{
    Host, Incident, IncidentFilter, Job, JobFilter, PageRequest, PassingFailure, TimelineEntry,
};

use super::incidents::meaning;
use super::list::Foot;
use super::verdict::{self, Causes};
use super::{Choice, Frame, choices, history, html, see};
use crate::http::api::hosts;
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::route::{Answer, Param};

/// Entries of a page's lists.
const ROWS: u32 = 100;

#[derive(Debug, Template)]
#[template(path = "hosts.html")]
struct HostsPage {
    p: Frame,
    hosts: Vec<Row>,
    total: u64,
    foot: Foot,
    search: String,
    states: Vec<Choice>,
    kept: Vec<(String, String)>,
    filtered: bool,
}

#[derive(Debug)]
struct Row {
    host: Host,
    connected: bool,
}

#[derive(Debug, Template)]
#[template(path = "host.html")]
struct HostPage {
    p: Frame,
    host: Host,
    connected: bool,
    /// Whether something proves it well and nothing fails.
    is_healthy: bool,
    can_accept: bool,
    can_revoke: bool,
    /// Why it gets no orders now; empty where it may.
    blocks: Vec<String>,
    incidents: Vec<Card>,
    /// What failed and is no incident yet.
    passing: Vec<PassingFailure>,
    lanes: String,
    /// Whether older entries are not shown.
    timeline_cut: bool,
    timeline: Vec<TimelineEntry>,
    jobs: Vec<Job>,
    facts: Vec<(String, String)>,
    state: Option<HostState>,
    evidence: Vec<Evidence>,
}

#[derive(Debug)]
struct Card {
    incident: Incident,
    /// What its code means.
    meaning: String,
    causes: Causes,
}

/// The list.
pub(crate) async fn list(call: Call) -> Answer {
    let filter = hosts::filter(&call)?;
    let cursor = call.query.parse("cursor")?;
    let page = call.db().hosts(&filter, &PageRequest { limit: ROWS, cursor }).await?;
    let registry = &call.shared().registry;
    let p = Frame::new(&call, "hosts");
    let next = page.next.map(|c| c.to_string());
    html(&HostsPage {
        foot: Foot::new(&call, &p, "hosts", (page.items.len(), page.total), next),
        kept: super::kept(&call, &["search", "state"]),
        filtered: super::filtered(&call),
        p,
        hosts: page
            .items
            .into_iter()
            .map(|host| Row { connected: registry.is_connected(host.id), host })
            .collect(),
        total: page.total,
        search: filter.search.clone().unwrap_or_default(),
        states: choices(Lifecycle::ALL, Lifecycle::as_str, filter.lifecycle.first().copied()),
    })
}

/// A host's page.
pub(crate) async fn page(call: Call) -> Answer {
    let id: HostId = call.id()?;
    let host = hosts::find(&call, id).await?;
    let p = Frame::new(&call, "hosts");
    let evidence = call.db().evidence(id).await?;
    let standing = IncidentState::ALL.iter().copied().filter(|s| s.is_open()).collect();
    let filter = IncidentFilter { host: Some(id), state: standing, ..Default::default() };
    let catalogue = call.shared().catalogue;
    let incidents = call.db().incidents(&filter, &PageRequest::first(ROWS)).await?;
    let jobs = JobFilter { host: Some(id), ..Default::default() };
    let state = call.db().host_state(id).await?;
    let timeline = call.db().timeline(id, None, ROWS).await?;
    let connected = call.shared().registry.is_connected(id);
    html(&HostPage {
        blocks: blocks(&p, &host, connected, state.as_ref()),
        lanes: history::lanes(&host, &timeline, p.t, p.now),
        timeline_cut: timeline.len() == ROWS as usize,
        connected,
        is_healthy: host.health == Health::Healthy,
        can_accept: matches!(host.lifecycle, Lifecycle::Pending | Lifecycle::Quarantined),
        can_revoke: host.lifecycle != Lifecycle::Revoked,
        incidents: incidents
            .items
            .into_iter()
            .map(|incident| Card {
                meaning: meaning(&incident, catalogue, p.t),
                causes: verdict::causes(incident.verdict.as_ref(), &evidence, catalogue, p.t),
                incident,
            })
            .collect(),
        timeline,
        passing: call.db().passing_failures(id).await?,
        jobs: call.db().jobs(&jobs, &PageRequest::first(20)).await?.items,
        facts: facts(&p, &host, state.as_ref()),
        state,
        evidence,
        host,
        p,
    })
}

/// Accepts a host.
pub(crate) async fn accept(call: Call) -> Answer {
    call.form(&[])?;
    let id: HostId = call.id()?;
    hosts::move_to(&call, id, Lifecycle::Active, "accepted").await?;
    Ok(see(&format!("/hosts/{id}")))
}

/// Revokes a host.
pub(crate) async fn revoke(call: Call) -> Answer {
    let form = call.form(&[Param::one("reason", "")])?;
    let id: HostId = call.id()?;
    let reason = crate::http::api::reason(form.text("reason").unwrap_or_default())?;
    hosts::move_to(&call, id, Lifecycle::Revoked, reason).await?;
    Ok(see(&format!("/hosts/{id}")))
}

/// What stands in the way of orders to a host now, each in a sentence.
fn blocks(p: &Frame, host: &Host, connected: bool, state: Option<&HostState>) -> Vec<String> {
    let t = p.t;
    let mut blocks = Vec::new();
    let mut add = |holds: bool, key: &str| {
        if holds {
            blocks.push(t.s(key).to_owned());
        }
    };
    add(host.lifecycle == Lifecycle::Pending, "block.pending");
    add(
        !matches!(host.lifecycle, Lifecycle::Pending | Lifecycle::Active | Lifecycle::Stale),
        "block.lifecycle",
    );
    add(host.lifecycle == Lifecycle::Stale, "block.silent");
    add(!connected && host.lifecycle == Lifecycle::Active, "block.not_connected");
    add(host.ceiling == "observe", "block.observe");
    add(host.active_job.is_some(), "block.job");
    add(state.is_some_and(|s| s.pending_reboot.is_some()), "block.reboot");
    blocks
}

fn facts(p: &Frame, host: &Host, state: Option<&HostState>) -> Vec<(String, String)> {
    let t = p.t;
    let mut facts: Vec<(String, String)> = Vec::new();
    let mut add = |key: &str, value: String| {
        if !value.is_empty() {
            facts.push((t.s(key).to_owned(), value));
        }
    };
    add("fact.system", format!("{} ({})", host.facts.os_name, host.facts.os_build));
    add("fact.arch", host.facts.arch.clone());
    add("fact.agent", host.facts.agent_version.clone());
    if !host.ceiling.is_empty() {
        add("fact.ceiling", t.word("risk", &host.ceiling));
    }
    add("fact.enrolled", t.exact(host.enrolled));
    add("fact.reason", host.lifecycle_reason.clone());
    let labels: Vec<String> = host.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    add("fact.labels", labels.join(", "));
    if host.lost_items > 0 {
        add("fact.lost", t.num(host.lost_items));
    }
    let Some(state) = state else { return facts };
    let day = |at: Option<fleetmend_core::time::Timestamp>| {
        at.map(|at| format!("{} ({})", t.ago(at, p.now), t.exact(at))).unwrap_or_default()
    };
    add("fact.last_scan", day(state.last_scan));
    add("fact.last_install", day(state.last_install));
    add("fact.last_backup", day(state.last_backup));
    add("fact.booted", day(state.booted_at));
    add("fact.reboot", state.pending_reboot.clone().unwrap_or_default());
    if let Some(authority) = state.update_authority {
        let proof = state.update_authority_proof.as_deref().unwrap_or_default();
        let proof = if proof.is_empty() { String::new() } else { format!(" ({proof})") };
        add("fact.authority", format!("{}{proof}", t.word("authority", authority)));
    }
    add("fact.roles", state.roles.join(", "));
    for (key, value) in &state.more {
        facts.push((key.clone(), value.clone()));
    }
    facts
}

/// The host that a search means, if exactly one bears the name; else how many match in part.
pub(crate) async fn search(call: &Call, text: &str) -> Result<Found, Problem> {
    let filter =
        fleetmend_store::HostFilter { search: Some(text.to_owned()), ..Default::default() };
    let page = call.db().hosts(&filter, &PageRequest::first(ROWS)).await?;
    let same: Vec<&Host> =
        page.items.iter().filter(|h| h.facts.name.eq_ignore_ascii_case(text)).collect();
    Ok(match (same.as_slice(), page.items.as_slice()) {
        ([one], _) => Found::Named(one.id),
        ([], [one]) => Found::One(one.id),
        (_, []) => Found::None,
        _ => Found::Many,
    })
}

/// What a search for a host found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found {
    /// This one has the whole name.
    Named(HostId),
    /// This one alone has it in its name.
    One(HostId),
    /// Several.
    Many,
    /// None.
    None,
}
