//! `/api/v1/hosts`.

use fleetmend_core::host::{Labels, Lifecycle};
use fleetmend_core::ids::HostId;
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use fleetmend_store::{Host, HostFilter, Page};
use serde::Deserialize;

use super::model::{FactsView, HostView, JobView, TimelineView};
use super::{code, labels, reason, words};
use crate::events::Event;
use crate::http::call::{Call, ok};
use crate::http::csv::Column;
use crate::http::paging::{self, PageOf};
use crate::http::problem::Problem;
use crate::http::route::Answer;

/// The columns of hosts in CSV.
pub(crate) const COLUMNS: &[Column] = &[
    ("id", "/id"),
    ("name", "/name"),
    ("state", "/state"),
    ("health", "/health"),
    ("connected", "/connected"),
    ("simulated", "/simulated"),
    ("os", "/os"),
    ("os_name", "/os_name"),
    ("os_build", "/os_build"),
    ("agent_version", "/agent_version"),
    ("ceiling", "/ceiling"),
    ("labels", "/labels"),
    ("open_incidents", "/open_incidents"),
    ("enrolled_at", "/enrolled_at"),
    ("last_seen", "/last_seen"),
    ("lost_items", "/lost_items"),
    ("quarantined_items", "/quarantined_items"),
];
const TIMELINE: &[Column] = &[
    ("at", "/at"),
    ("kind", "/kind"),
    ("text", "/text"),
    ("incident", "/incident"),
    ("job", "/job"),
];

/// A reason, and nothing else.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Why {
    /// Why; kept in the audit log.
    pub(crate) reason: String,
}

/// Nothing: an empty object.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// Labels to set and to remove.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabelChange {
    /// Labels to set, over those that stand.
    #[serde(default)]
    pub(crate) set: Labels,
    /// Keys to remove.
    #[serde(default)]
    pub(crate) remove: Vec<String>,
}

/// Which hosts the parameters want.
pub(crate) fn filter(call: &Call) -> Result<HostFilter, Problem> {
    let lifecycle: Vec<Lifecycle> = words(call, "state")?;
    Ok(HostFilter {
        lifecycle,
        labels: labels(call)?,
        search: call.query.text("search").map(str::to_owned),
        code: code(call)?,
        cause: call.query.text("cause").map(str::to_owned),
        subject: call.query.text("kb").map(str::to_owned),
        build: call.query.text("build").map(str::to_owned),
    })
}

/// A host, or 404.
pub(crate) async fn find(call: &Call, id: HostId) -> Result<Host, Problem> {
    call.db().host(id).await?.ok_or_else(|| {
        Problem::not_found(format!("there is no host {id}: GET /api/v1/hosts lists them"))
    })
}

/// As the caller sees it.
pub(crate) fn view(call: &Call, host: Host) -> HostView {
    let connected = call.shared().registry.is_connected(host.id);
    HostView::new(host, connected)
}

/// Lists hosts.
pub(crate) async fn list(call: Call) -> Answer {
    let filter = filter(&call)?;
    paging::list(call, COLUMNS, filter, |call, filter, page| async move {
        let page = call.db().hosts(&filter, &page).await?;
        let items = page.items.into_iter().map(|h| view(&call, h)).collect();
        Ok(Page { items, next: page.next, total: page.total })
    })
    .await
}

/// Shows a host.
pub(crate) async fn get(call: Call) -> Answer {
    let host = find(&call, call.id()?).await?;
    ok(&view(&call, host))
}

/// Shows what is known of a host's state.
pub(crate) async fn facts(call: Call) -> Answer {
    let id: HostId = call.id()?;
    find(&call, id).await?;
    let state = call.db().host_state(id).await?;
    let state = state.map(|s| serde_json::to_value(s).map_err(Problem::internal)).transpose()?;
    let evidence = call.db().evidence(id).await?.into_iter().map(Into::into).collect();
    let passing = call.db().passing_failures(id).await?.into_iter().map(Into::into).collect();
    ok(&FactsView { state, evidence, passing })
}

/// Shows a host's history, newest first. The cursor is the time before which it goes on.
pub(crate) async fn timeline(call: Call) -> Answer {
    let id: HostId = call.id()?;
    find(&call, id).await?;
    let limit = match call.query.parse::<u32>("limit")? {
        None => limits::PAGE,
        Some(n) if (1..=limits::PAGE_MAX).contains(&n) => n,
        Some(_) => {
            let detail = format!("limit: a number from 1 to {}", limits::PAGE_MAX);
            return Err(Problem::bad("limit", detail));
        }
    };
    let before: Option<Timestamp> = call.query.parse("cursor")?;
    let entries = call.db().timeline(id, before, limit).await?;
    let full = entries.len() >= limit as usize;
    let next_cursor = entries.last().filter(|_| full).map(|e| e.at.to_string());
    let items: Vec<TimelineView> = entries.into_iter().map(Into::into).collect();
    if let Some(form) = paging::csv_form(&call)? {
        return paging::csv(TIMELINE, &items, full, form);
    }
    let total = items.len() as u64;
    ok(&PageOf { items, next_cursor, total })
}

/// Lists the jobs of a host.
pub(crate) async fn jobs(call: Call) -> Answer {
    let id: HostId = call.id()?;
    find(&call, id).await?;
    let filter = fleetmend_store::JobFilter { host: Some(id), ..Default::default() };
    paging::list(call, super::jobs::COLUMNS, filter, |call, filter, page| async move {
        let page = call.db().jobs(&filter, &page).await?;
        let catalogue = call.shared().catalogue;
        let items = page.items.into_iter().map(|j| JobView::new(j, catalogue)).collect();
        Ok(Page { items, next: page.next, total: page.total })
    })
    .await
}

/// Accepts a pending host.
pub(crate) async fn accept(call: Call) -> Answer {
    let _: Nothing = call.json()?;
    let host = move_to(&call, call.id()?, Lifecycle::Active, "accepted").await?;
    ok(&view(&call, host))
}

/// Voids a host's certificates and ends its stream.
pub(crate) async fn revoke(call: Call) -> Answer {
    let body: Why = call.json()?;
    let host = move_to(&call, call.id()?, Lifecycle::Revoked, reason(&body.reason)?).await?;
    ok(&view(&call, host))
}

/// Takes a host out of the fleet.
pub(crate) async fn retire(call: Call) -> Answer {
    let body: Why = call.json()?;
    let host = move_to(&call, call.id()?, Lifecycle::Retired, reason(&body.reason)?).await?;
    ok(&view(&call, host))
}

/// Sets and removes labels.
pub(crate) async fn set_labels(call: Call) -> Answer {
    let body: LabelChange = call.json()?;
    let id: HostId = call.id()?;
    let mut labels = find(&call, id).await?.labels;
    for key in &body.remove {
        labels.remove(key);
    }
    labels.extend(body.set);
    check_labels(&labels)?;
    call.db().set_labels(id, &labels, &call.actor(), call.now).await?;
    call.shared().events.tell(Event::Host { id });
    ok(&view(&call, find(&call, id).await?))
}

/// Moves a host to another place in its life, and does what follows from it. Also used by pages.
pub(crate) async fn move_to(
    call: &Call,
    id: HostId,
    to: Lifecycle,
    reason: &str,
) -> Result<Host, Problem> {
    let host = find(call, id).await?;
    let from = host.lifecycle;
    let may = match to {
        Lifecycle::Active => matches!(from, Lifecycle::Pending | Lifecycle::Quarantined),
        Lifecycle::Revoked => from != Lifecycle::Revoked,
        Lifecycle::Retired => from != Lifecycle::Retired,
        Lifecycle::Pending | Lifecycle::Stale | Lifecycle::Quarantined => false,
    };
    if !may {
        let detail = match to {
            Lifecycle::Active => {
                format!("the host is {from}: only pending and quarantined hosts can be accepted")
            }
            _ => format!("the host is {from} already"),
        };
        return Err(Problem::conflict("host_state", detail).with("state", from));
    }
    let actor = call.actor();
    call.db().set_lifecycle(id, to, reason, &actor, call.now).await?;
    if to == Lifecycle::Revoked {
        call.db().revoke_certificates(id, reason, &actor, call.now).await?;
    }
    let shared = call.shared();
    if to.may_connect() {
        shared.registry.nudge(id);
    } else {
        shared.registry.end(id, &format!("the host was {to}"));
    }
    shared.events.tell(Event::Host { id });
    find(call, id).await
}

/// Holds labels to their bounds.
pub(crate) fn check_labels(labels: &Labels) -> Result<(), Problem> {
    if labels.len() > limits::LABELS_PER_HOST {
        let detail = format!("labels: at most {} on one host", limits::LABELS_PER_HOST);
        return Err(Problem::bad("labels", detail));
    }
    let fits = |text: &str| {
        text.len() <= limits::LABEL_BYTES && !text.chars().any(|c| c.is_control() || c == '=')
    };
    match labels.iter().find(|(k, v)| k.trim().is_empty() || !fits(k) || !fits(v)) {
        None => Ok(()),
        Some((key, _)) => Err(Problem::bad(
            "labels",
            format!(
                "label \"{}\": key and value are text of at most {} bytes without = and control characters, and the key is not empty",
                fleetmend_core::words::cut(key, 80),
                limits::LABEL_BYTES
            ),
        )),
    }
}
