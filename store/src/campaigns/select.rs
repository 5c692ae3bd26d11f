//! Which hosts a selector finds, and which it leaves out and why.

use std::collections::BTreeMap;

use fleetmend_core::campaign::Selector;
use fleetmend_core::host::{Labels, Lifecycle, OsFamily};
use fleetmend_core::ids::{CampaignId, HostId, IncidentId};
use fleetmend_core::limits;
use fleetmend_core::report::{Operation, Product};
use fleetmend_core::time::Timestamp;
use fleetmend_core::triage::Certainty;
use fleetmend_core::words::Slug;
use uuid::Uuid;

use crate::backend::{Db, on_read};
use crate::error::Result;
use crate::filter::{Filter, begins, bind_all, holds};
use crate::row::{At, some, time};

/// What [`Row`] is read from. A host may have several incidents of the kind: the one that its cause is
/// surest of comes first, and the first counts.
pub(crate) const HEAD: &str = "SELECT i.id, i.host_id, i.cause, i.certainty, h.name, h.os, h.os_build, h.labels, h.roles, h.lifecycle, \
    h.simulated, h.last_seen_ms, a.id AS active, \
    (SELECT ch.campaign_id FROM campaign_host ch JOIN campaign c ON c.id = ch.campaign_id AND c.run = ch.run \
        WHERE ch.incident_id = i.id AND ch.left_out = FALSE AND c.state IN ('running', 'paused') \
        ORDER BY c.created_ms LIMIT 1) AS other \
    FROM incident i JOIN host h ON h.id = i.host_id \
    LEFT JOIN job a ON a.host_id = i.host_id AND a.ended_ms IS NULL AND a.state <> 'verifying'";
const ORDER: &str = " ORDER BY h.name, i.host_id, \
    CASE i.certainty WHEN 'confirmed' THEN 0 WHEN 'likely' THEN 1 WHEN 'possible' THEN 2 ELSE 3 END, i.last_seen_ms DESC, i.id";

/// Kinds counted by name in a preview, at most.
const KINDS: usize = 50;
/// The same in a row of the audit log.
const KINDS_TOLD: usize = 10;

fleetmend_core::words! {
    /// Why a host that has the failure is left out.
    pub enum Exclusion ("exclusion") {
        /// It is a server or has a role that the selector does not name.
        Role = "role",
        /// It has a label that the selector leaves out.
        Label = "label",
        /// Its place in its life forbids orders.
        Lifecycle = "lifecycle",
        /// Another campaign at work has this failure of it.
        OtherCampaign = "other_campaign",
        /// The campaign may have no more hosts.
        TooMany = "too_many",
    }
}

/// A host that belongs to the campaign.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Member {
    /// The host.
    pub host: HostId,
    /// Its name.
    pub host_name: String,
    /// Whether it is simulated.
    pub simulated: bool,
    /// Its failure.
    pub incident: IncidentId,
    /// The leading cause.
    pub cause: Option<String>,
    /// How sure that is.
    pub certainty: Option<Certainty>,
    /// Its system.
    pub os: OsFamily,
    /// Its build.
    pub build: String,
    /// Its roles.
    pub roles: Vec<String>,
    /// Its labels.
    pub labels: Labels,
    /// Whether a job is at work on it now.
    pub busy: bool,
    /// Whether it was not heard of for so long that it counts as silent.
    pub offline: bool,
    /// When it was last heard of.
    pub last_seen: Timestamp,
}

/// A host that has the failure and is left out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Left {
    /// The host.
    pub host: HostId,
    /// Its name.
    pub host_name: String,
    /// Why.
    pub why: Exclusion,
    /// The role, label, state or campaign.
    pub detail: String,
}

/// What a selector finds.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct Selection {
    /// The hosts, by name.
    pub members: Vec<Member>,
    /// Those that are left out, by name.
    pub left_out: Vec<Left>,
}

/// How many hosts are of a kind.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct NameCount {
    /// The kind.
    pub name: String,
    /// Hosts.
    pub hosts: u64,
}

/// What a selector would find, in numbers, with the first hosts.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct Preview {
    /// Hosts that would be taken in.
    pub hosts: u64,
    /// Those with a job at work: they wait for its end.
    pub busy: u64,
    /// Those that are silent now: they are begun when they come back.
    pub offline: u64,
    /// Those that are simulated.
    pub simulated: u64,
    /// By system.
    pub by_os: Vec<NameCount>,
    /// By build; the 50 with most hosts, as all that follow.
    pub by_build: Vec<NameCount>,
    /// By leading cause; the empty name where none leads.
    pub by_cause: Vec<NameCount>,
    /// By role; the empty name for hosts without one.
    pub by_role: Vec<NameCount>,
    /// Hosts left out, by why.
    pub left_out: Vec<NameCount>,
    /// The first hosts, by name.
    pub first: Vec<Member>,
    /// The first of those left out, by name.
    pub first_left_out: Vec<Left>,
}

impl Db {
    /// The hosts that a selector finds now. `campaign` is the one it is for: that a host is in it
    /// already is no reason to leave it out.
    pub async fn campaign_selection(
        &self,
        selector: &Selector,
        max_hosts: Option<u32>,
        campaign: Option<CampaignId>,
        now: Timestamp,
    ) -> Result<Selection> {
        let filter = conditions(selector);
        let rows: Vec<Row> = on_read!(self, |c| {
            bind_all!(sqlx::query_as(filter.sql(HEAD, ORDER)), filter.args()).fetch_all(c).await
        })?;
        let most = max_hosts.unwrap_or(limits::CAMPAIGN_HOSTS) as usize;
        let mut found = Selection::default();
        let mut last = None;
        for row in rows {
            if last == Some(row.host_id) {
                continue;
            }
            last = Some(row.host_id);
            let (member, lifecycle, other) = row.read(now)?;
            let other = other.filter(|other| Some(*other) != campaign);
            match exclusion(selector, &member, lifecycle, other) {
                None if found.members.len() < most => found.members.push(member),
                None => found.left_out.push(left(
                    member,
                    Exclusion::TooMany,
                    format!("the campaign has {most} hosts at most"),
                )),
                Some((why, detail)) => found.left_out.push(left(member, why, detail)),
            }
        }
        Ok(found)
    }
}

impl Selection {
    /// The numbers alone, for the audit log: the kinds with most hosts, and no host by name.
    pub(super) fn in_numbers(&self) -> serde_json::Value {
        let found = self.preview(0);
        let kinds = |kinds: &[NameCount]| -> serde_json::Map<String, serde_json::Value> {
            let name = |kind: &NameCount| Some(kind.name.clone()).filter(|name| !name.is_empty());
            let pair = |kind: &NameCount| {
                (name(kind).unwrap_or_else(|| "none".to_owned()), kind.hosts.into())
            };
            kinds.iter().take(KINDS_TOLD).map(pair).collect()
        };
        serde_json::json!({
            "hosts": found.hosts, "busy": found.busy, "offline": found.offline,
            "simulated": found.simulated, "by_os": kinds(&found.by_os),
            "by_build": kinds(&found.by_build), "by_cause": kinds(&found.by_cause),
            "by_role": kinds(&found.by_role), "left_out": kinds(&found.left_out),
        })
    }

    /// The numbers, with the first hosts of each list.
    pub fn preview(&self, first: usize) -> Preview {
        let all = &self.members;
        let number = |is: fn(&Member) -> bool| all.iter().filter(|m| is(m)).count() as u64;
        let roles = all.iter().flat_map(|member| {
            let none = member.roles.is_empty().then_some("");
            member.roles.iter().map(String::as_str).chain(none)
        });
        Preview {
            hosts: all.len() as u64,
            busy: number(|m| m.busy),
            offline: number(|m| m.offline),
            simulated: number(|m| m.simulated),
            by_os: counted(all.iter().map(|m| m.os.as_str())),
            by_build: counted(all.iter().map(|m| m.build.as_str())),
            by_cause: counted(all.iter().map(|m| m.cause.as_deref().unwrap_or_default())),
            by_role: counted(roles),
            left_out: counted(self.left_out.iter().map(|l| l.why.as_str())),
            first: all.iter().take(first).cloned().collect(),
            first_left_out: self.left_out.iter().take(first).cloned().collect(),
        }
    }
}

fn conditions(selector: &Selector) -> Filter {
    let mut filter = Filter::default();
    filter
        .and("i.ended_ms IS NULL AND i.state <> 'ignored'", [])
        .maybe("i.product = ?", selector.product.map(Product::as_str))
        .maybe("i.operation = ?", selector.operation.map(Operation::as_str))
        .maybe("i.code = ?", selector.code.as_ref().map(ToString::to_string).as_deref())
        .maybe("i.cause = ?", selector.cause.as_ref().map(Slug::as_str))
        .maybe("LOWER(i.subject) LIKE ? ESCAPE '\\'", selector.kb.as_deref().map(holds).as_deref())
        .maybe("h.os = ?", selector.os.map(OsFamily::as_str))
        .maybe(
            "LOWER(h.os_build) LIKE ? ESCAPE '\\'",
            selector.build.as_deref().map(begins).as_deref(),
        )
        .any_id("i.id", selector.incidents.iter().map(|id| id.0))
        .any_id("i.host_id", selector.hosts.iter().map(|id| id.0));
    for (key, value) in &selector.labels {
        filter.and(
            "i.host_id IN (SELECT l.host_id FROM host_label l WHERE l.key = ? AND l.value = ?)",
            [key.as_str().into(), value.as_str().into()],
        );
    }
    filter
}

/// Why a host is left out.
fn exclusion(
    selector: &Selector,
    member: &Member,
    lifecycle: Lifecycle,
    other: Option<CampaignId>,
) -> Option<(Exclusion, String)> {
    if !lifecycle.may_get_orders() {
        return Some((Exclusion::Lifecycle, lifecycle.to_string()));
    }
    let unwanted = |(key, value): &(&String, &String)| member.labels.get(*key) == Some(*value);
    if let Some((key, value)) = selector.without.iter().find(unwanted) {
        return Some((Exclusion::Label, format!("{key}={value}")));
    }
    if let Some(role) = unnamed_role(&member.roles, &selector.roles) {
        return Some((Exclusion::Role, role.to_owned()));
    }
    other.map(|other| (Exclusion::OtherCampaign, other.to_string()))
}

/// A role of the host that the selector does not name. A server with another role is named by that.
fn unnamed_role<'m>(has: &'m [String], named: &[String]) -> Option<&'m str> {
    const SERVER: &str = "server";
    let others = || has.iter().filter(|role| *role != SERVER);
    let unnamed = others().find(|role| !named.contains(role));
    let plain_server = || has.iter().find(|role| *role == SERVER && others().next().is_none());
    unnamed.or_else(|| plain_server().filter(|role| !named.contains(role))).map(String::as_str)
}

fn left(member: Member, why: Exclusion, detail: String) -> Left {
    Left { host: member.host, host_name: member.host_name, why, detail }
}

/// Names with their numbers, the most frequent first.
fn counted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<NameCount> {
    let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
    for name in names {
        *numbers.entry(name).or_default() += 1;
    }
    let mut counts: Vec<NameCount> = numbers
        .into_iter()
        .map(|(name, hosts)| NameCount { name: name.to_owned(), hosts })
        .collect();
    counts.sort_by(|a, b| b.hosts.cmp(&a.hosts).then_with(|| a.name.cmp(&b.name)));
    counts.truncate(KINDS);
    counts
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Uuid,
    host_id: Uuid,
    cause: String,
    certainty: String,
    name: String,
    os: String,
    os_build: String,
    labels: String,
    roles: String,
    lifecycle: String,
    simulated: bool,
    last_seen_ms: i64,
    active: Option<Uuid>,
    other: Option<Uuid>,
}

impl Row {
    fn read(self, now: Timestamp) -> Result<(Member, Lifecycle, Option<CampaignId>)> {
        let at = At { table: "host", id: &self.host_id };
        let lifecycle = at.word("lifecycle", &self.lifecycle)?;
        let last_seen = time(self.last_seen_ms);
        let member = Member {
            host: self.host_id.into(),
            host_name: self.name,
            simulated: self.simulated,
            incident: self.id.into(),
            cause: some(self.cause),
            certainty: at.maybe("certainty", &self.certainty)?,
            os: at.word("os", &self.os)?,
            build: self.os_build,
            roles: at.json("roles", &self.roles)?,
            labels: at.json("labels", &self.labels)?,
            busy: self.active.is_some(),
            offline: now.since(last_seen) >= limits::SILENT_AFTER,
            last_seen,
        };
        Ok((member, lifecycle, self.other.map(CampaignId::from)))
    }
}
