//! The form of a campaign: its fields as texts, and the definition that they make. What is wrong is
//! said beside its field, and every text stays as it was typed.

use std::collections::BTreeMap;
use std::fmt::Display;

use fleetmend_core::campaign::{Definition, Membership, Problem, Remedy, Schedule, Wave, Zone};
use fleetmend_core::host::Labels;
use fleetmend_core::span::Span;

use super::read::field_of;
use crate::http::params::{Params, encode};
use crate::http::route::Param;

/// What the address of a form or a preview holds: every field, and which campaign is changed.
pub(crate) const QUERY: &[Param] = &[
    Param::one("name", "Its name."),
    Param::one("reason", "Why."),
    Param::one("change", "The number of the change request."),
    Param::one("standard_change", "The pre-approved standard change."),
    Param::one("product", "The product."),
    Param::one("operation", "The operation."),
    Param::one("code", "A failure code in any spelling."),
    Param::one("cause", "The leading cause."),
    Param::one("kb", "Part of the subject: a KB, a package."),
    Param::one("label", "Labels that the hosts have: KEY=VALUE, with spaces between."),
    Param::one("without", "Labels of hosts that are left out."),
    Param::one("os", "The hosts' system: windows or linux."),
    Param::one("build", "What the hosts' build begins with."),
    Param::one("role", "Roles that are not left out, with spaces between."),
    Param::one("max_hosts", "The most hosts."),
    Param::one("remedy", "plan, verify, or the name of a remediation."),
    Param::one("max_risk", "The highest risk."),
    Param::one("reboot", "Whether hosts may be restarted."),
    Param::one("notice", "How long before a restart users are told."),
    Param::one("deferrals", "How often users may put a restart off."),
    Param::one("schedule", "by_hand, once, monthly or cron."),
    Param::one("at", "When, as the schedule has it."),
    Param::one("zone", "The time zone."),
    Param::one("clock", "campaign, or host for each host's own clock."),
    Param::one("joining", "Until when hosts may join."),
    Param::one("days", "The days of the window."),
    Param::one("start", "When the window opens."),
    Param::one("end", "When the window closes."),
    Param::one("left", "The least time left in the window."),
    Param::one("expires", "How long a run lasts at most."),
    Param::one("waves", "The cumulative shares, with commas between."),
    Param::one("canary", "The label of the hosts of the first wave."),
    Param::one("success", "Proved success that the next wave wants, in percent."),
    Param::one("sample", "Hosts that must have come to an end before the next wave."),
    Param::one("soak", "Time to wait before the next wave."),
    Param::one("pause", "Errors that pause it."),
    Param::one("pause_in_wave", "Errors of one wave that pause it."),
    Param::one("abort", "Errors that abort it."),
    Param::one("abort_in_wave", "Errors of one wave that abort it."),
    Param::one(
        "regressions",
        "Hosts that failed again, or otherwise, after their job, that pause it.",
    ),
    Param::one("at_once", "Jobs in flight at once."),
    Param::one("per_minute", "New jobs a minute."),
    Param::one("site", "The label that names a host's site."),
    Param::one("at_site", "Jobs at once in one site."),
    Param::one("per_site", "Jobs that cost the network, at once in one site."),
    Param::one("group", "The label of which one host at a time is worked on."),
    Param::one("edit", "The campaign that is changed."),
    Param::one("revision", "The revision of it that was seen."),
];
/// The fields alone.
pub(crate) const FIELDS: &[Param] = QUERY.split_at(QUERY.len() - 2).0;

/// The form: a text for each field that has one, and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form {
    values: BTreeMap<&'static str, String>,
    errors: BTreeMap<&'static str, String>,
}

impl Form {
    /// What a definition looks like as a form.
    pub(crate) fn of(definition: &Definition) -> Self {
        let mut form = Self::default();
        let d = definition;
        form.set("name", &d.name);
        form.set("reason", &d.reason);
        form.maybe("change", d.change.as_ref());
        form.maybe("standard_change", d.standard_change.as_ref());
        form.selector(d);
        form.maybe("max_hosts", d.max_hosts);
        form.set(
            "remedy",
            match &d.remedy {
                Remedy::Plan => "plan",
                Remedy::VerifyOnly => "verify",
                Remedy::Remediation { id, .. } => id.as_str(),
            },
        );
        form.set("max_risk", d.max_risk);
        form.set("reboot", d.reboot);
        form.set("notice", d.restart.notice);
        form.set("deferrals", d.restart.deferrals);
        form.when(d);
        let shares: Vec<String> = d.waves.iter().map(|wave| wave.share.to_string()).collect();
        form.set("waves", shares.join(", "));
        let canary = d.waves.first().and_then(|wave| wave.label.as_ref());
        form.maybe("canary", canary.map(|(key, value)| format!("{key}={value}")));
        form.set("success", d.gate.success_percent);
        form.set("sample", d.gate.least_sample);
        form.set("soak", d.gate.soak);
        form.set("pause", d.thresholds.pause);
        form.set("pause_in_wave", d.thresholds.pause_in_wave);
        form.set("abort", d.thresholds.abort);
        form.set("abort_in_wave", d.thresholds.abort_in_wave);
        form.set("regressions", d.thresholds.regressions);
        form.set("at_once", d.pace.at_once);
        form.maybe("per_minute", d.pace.per_minute);
        form.set("site", &d.pace.site_label);
        form.maybe("at_site", d.pace.per_site);
        form.set("per_site", d.pace.network_per_site);
        form.maybe("group", d.pace.group_label.as_ref());
        form
    }

    fn selector(&mut self, d: &Definition) {
        let selector = &d.selector;
        self.maybe("product", selector.product);
        self.maybe("operation", selector.operation);
        self.maybe("code", selector.code.as_ref());
        self.maybe("cause", selector.cause.as_ref());
        self.maybe("kb", selector.kb.as_ref());
        self.set("label", labels(&selector.labels));
        self.set("without", labels(&selector.without));
        self.maybe("os", selector.os);
        self.maybe("build", selector.build.as_ref());
        self.set("role", selector.roles.join(" "));
    }

    fn when(&mut self, d: &Definition) {
        let (schedule, at) = match &d.schedule {
            Schedule::ByHand => ("by_hand", ""),
            Schedule::Once { at } => ("once", at.as_str()),
            Schedule::Cron { expression } => ("cron", expression.as_str()),
            Schedule::Monthly { expression } => ("monthly", expression.as_str()),
        };
        self.set("schedule", schedule);
        self.set("at", at);
        self.set("zone", d.zone.name());
        self.set("clock", if matches!(d.zone, Zone::Host { .. }) { "host" } else { "campaign" });
        if let Membership::Joining { until } = d.membership {
            self.set("joining", until);
        }
        if let Some(window) = d.windows.first() {
            self.set("days", &window.days);
            self.set("start", &window.start);
            self.set("end", &window.end);
            self.maybe("left", window.least_left);
        }
        self.set("expires", d.expires);
    }

    /// Takes what was typed in place of what stood there. An empty text empties its field; a field
    /// that was not sent stays.
    pub(crate) fn fill(&mut self, typed: &Params) {
        for (name, value) in typed.pairs() {
            if let Some(field) = FIELDS.iter().find(|field| field.name == name) {
                self.set(field.name, value.trim());
            }
        }
    }

    /// What is typed in a field.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// What is wrong with a field.
    pub(crate) fn error(&self, name: &str) -> Option<&str> {
        self.errors.get(name).map(String::as_str)
    }

    /// Whether anything is wrong.
    pub(crate) fn is_bad(&self) -> bool {
        !self.errors.is_empty()
    }

    /// The fields with something wrong, in the form's order.
    pub(crate) fn bad_fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        FIELDS.iter().filter_map(|f| self.errors.get(f.name).map(|why| (f.name, why.as_str())))
    }

    /// Every field, as hidden fields of a form hold it. Empty ones too: that a default was emptied is
    /// meant.
    pub(crate) fn hidden(&self) -> Vec<(&'static str, String)> {
        self.values.iter().map(|(name, value)| (*name, value.clone())).collect()
    }

    /// All of it as the query of an address. Empty fields stand there too: that a default was
    /// emptied is meant.
    pub(crate) fn query(&self) -> String {
        let pairs: Vec<String> =
            self.values.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        pairs.join("&")
    }

    /// Notes what is wrong with the definition at the fields that it was made from.
    pub(crate) fn note(&mut self, problems: &[Problem]) {
        for problem in problems {
            let text = format!("{}: {}", problem.text, problem.remedy);
            self.wrong(field_of(&problem.field), text);
        }
    }

    /// Notes one thing that is wrong; the first of a field is the one that is shown.
    pub(crate) fn wrong(&mut self, name: &'static str, why: impl Display) {
        self.errors.entry(name).or_insert_with(|| why.to_string());
    }

    /// Forgets what was wrong.
    pub(super) fn forgive(&mut self) {
        self.errors.clear();
    }

    fn set(&mut self, name: &'static str, value: impl Display) {
        self.values.insert(name, value.to_string());
    }

    fn maybe(&mut self, name: &'static str, value: Option<impl Display>) {
        self.set(name, value.map(|v| v.to_string()).unwrap_or_default());
    }
}

fn labels(labels: &Labels) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

/// What nobody has written yet: the strict defaults of every campaign.
pub(crate) fn blank() -> Definition {
    Definition {
        name: String::new(),
        reason: String::new(),
        change: None,
        standard_change: None,
        selector: fleetmend_core::campaign::Selector::default(),
        remedy: Remedy::Plan,
        max_risk: fleetmend_core::knowledge::Risk::Safe,
        max_hosts: None,
        reboot: fleetmend_core::campaign::RebootPolicy::Never,
        restart: fleetmend_core::campaign::RestartNotice::default(),
        membership: Membership::Static,
        schedule: Schedule::ByHand,
        zone: Zone::default(),
        windows: Vec::new(),
        waves: ["1", "1%", "10%", "all"]
            .iter()
            .filter_map(|share| share.parse().ok())
            .map(|share| Wave { share, label: None })
            .collect(),
        gate: fleetmend_core::campaign::Gate::default(),
        thresholds: fleetmend_core::campaign::Thresholds::default(),
        pace: fleetmend_core::campaign::Pace::default(),
        expires: Span::days(30),
        remediations: std::collections::BTreeMap::new(),
    }
}
