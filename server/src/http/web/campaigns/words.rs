//! A definition in words, and what its parts are called.

use fleetmend_core::campaign::{
    Definition, ErrorLimit, Membership, RebootPolicy, Remedy, Schedule, Selector, Share, Window,
    Zone,
};
use fleetmend_core::host::Labels;
use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::span::Span;

use crate::http::api::model::cause_name;
use crate::http::web::i18n::Words;

/// One part of a definition: what it is about, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// What it is about.
    pub(crate) term: String,
    /// What it says.
    pub(crate) text: String,
}

/// All of a definition, in the order in which a reader asks.
pub(crate) fn lines(d: &Definition, catalogue: &Catalogue, t: Words) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut say = |key: &str, text: String| {
        if !text.is_empty() {
            lines.push(Line { term: t.s(&format!("camp.term.{key}")).to_owned(), text });
        }
    };
    say("problem", problem(&d.selector, catalogue, t));
    say("hosts", hosts(d, t));
    say("does", does(d, catalogue, t));
    say("reboot", reboot(d, t));
    say("when", when(d, t));
    say("windows", d.windows.iter().map(|w| window(w, t)).collect::<Vec<_>>().join("; "));
    say("waves", waves(d, t));
    say("gate", gate(d, t));
    say("stops", stops(d, t));
    say("pace", pace(d, t));
    say("expires", t.f("camp.expires", span(d.expires, t)));
    lines
}

/// Whether hosts may be restarted, and what their users are told before.
fn reboot(d: &Definition, t: Words) -> String {
    let policy = t.word("reboot_policy", d.reboot);
    let notice = d.restart.notice;
    if d.reboot == RebootPolicy::Never {
        policy
    } else if notice.duration().is_zero() {
        format!("{policy}; {}", t.s("camp.no_notice"))
    } else {
        format!("{policy}; {}", t.f2("camp.notice", span(notice, t), d.restart.deferrals))
    }
}

/// The problem that a selector names.
pub(crate) fn problem(selector: &Selector, catalogue: &Catalogue, t: Words) -> String {
    let mut parts = Vec::new();
    if let Some(cause) = &selector.cause {
        parts.push(cause_name(catalogue, cause.as_str(), t.0));
    }
    match (selector.product, selector.operation) {
        (Some(product), Some(operation)) => {
            parts.push(format!(
                "{}: {}",
                t.word("product", product),
                t.word("operation", operation)
            ));
        }
        (Some(product), None) => parts.push(t.word("product", product)),
        (None, Some(operation)) => parts.push(t.word("operation", operation)),
        (None, None) => {}
    }
    parts.extend(selector.code.as_ref().map(ToString::to_string));
    parts.extend(selector.kb.as_ref().map(|kb| t.f("camp.about", kb)));
    if !selector.incidents.is_empty() {
        parts.push(t.n("camp.incidents", selector.incidents.len()));
    }
    parts.join(" · ")
}

/// A span of time in words.
pub(crate) fn span(span: Span, t: Words) -> String {
    let seconds = span.duration().as_secs();
    let (key, count) = match seconds {
        s if s.is_multiple_of(86_400) && s > 0 => ("time.days", s / 86_400),
        s if s.is_multiple_of(3_600) && s > 0 => ("time.hours", s / 3_600),
        s if s.is_multiple_of(60) => ("time.minutes", s / 60),
        s => ("camp.seconds", s),
    };
    t.n(key, count)
}

/// A share of hosts in words.
pub(crate) fn share(share: Share, t: Words) -> String {
    match share {
        Share::Hosts(n) => t.n("count.hosts", n),
        Share::Percent(100) => t.s("camp.all").to_owned(),
        Share::Percent(p) => t.percent(f64::from(p) / 100.0),
    }
}

/// A limit of errors in words; `None` where there is none.
pub(crate) fn limit(limit: ErrorLimit, t: Words) -> Option<String> {
    match limit {
        ErrorLimit::Off => None,
        ErrorLimit::Hosts(0) => Some(t.s("camp.first_error").to_owned()),
        ErrorLimit::Hosts(n) => Some(t.n("camp.more_errors", n)),
        ErrorLimit::Percent(p) => Some(t.f("camp.more_percent", t.percent(f64::from(p) / 100.0))),
    }
}

fn hosts(d: &Definition, t: Words) -> String {
    let selector = &d.selector;
    let mut parts = Vec::new();
    parts.extend(selector.os.map(|os| t.word("os", os)));
    parts.extend(selector.build.as_ref().map(|build| t.f("camp.build", build)));
    if !selector.labels.is_empty() {
        parts.push(t.f("camp.with", labels(&selector.labels)));
    }
    if !selector.without.is_empty() {
        parts.push(t.f("camp.without", labels(&selector.without)));
    }
    if !selector.hosts.is_empty() {
        parts.push(t.n("camp.named_hosts", selector.hosts.len()));
    }
    parts.push(if selector.roles.is_empty() {
        t.s("camp.no_roles").to_owned()
    } else {
        t.f("camp.roles", selector.roles.join(", "))
    });
    parts.extend(d.max_hosts.map(|n| t.f("camp.at_most", t.n("count.hosts", n))));
    if let Membership::Joining { until } = d.membership {
        parts.push(t.f("camp.joining", t.exact(until)));
    }
    parts.join("; ")
}

fn does(d: &Definition, catalogue: &Catalogue, t: Words) -> String {
    match &d.remedy {
        Remedy::VerifyOnly => t.s("camp.verify_only").to_owned(),
        Remedy::Plan => t.f("camp.by_plan", t.word("risk", d.max_risk)),
        Remedy::Remediation { id, version, .. } => {
            let name = catalogue
                .remediations
                .get(id)
                .map_or_else(|| id.to_string(), |r| r.name.get(t.0).to_owned());
            format!("{name} ({id}, {})", t.f("job.version", version))
        }
    }
}

fn when(d: &Definition, t: Words) -> String {
    let start = match &d.schedule {
        Schedule::ByHand => t.s("camp.by_hand").to_owned(),
        Schedule::Once { at } => t.f("camp.once", at.replace('T', " ")),
        Schedule::Cron { expression } => t.f("camp.cron", expression),
        Schedule::Monthly { expression } => t.f("camp.monthly", expression),
    };
    let clock = match &d.zone {
        Zone::Named(name) => name.clone(),
        Zone::Host { fallback } => t.f("camp.own_clock", fallback),
    };
    if matches!(d.schedule, Schedule::ByHand) && d.windows.is_empty() {
        return start;
    }
    format!("{start} ({clock})")
}

fn window(window: &Window, t: Words) -> String {
    let days = if window.days == "daily" {
        t.s("camp.daily").to_owned()
    } else {
        window.days.replace(',', ", ")
    };
    let hours = format!("{days} {}–{}", window.start, window.end);
    match window.least_left {
        Some(left) => format!("{hours}, {}", t.f("camp.left", span(left, t))),
        None => hours,
    }
}

fn waves(d: &Definition, t: Words) -> String {
    let steps = d.waves.iter().map(|wave| {
        let text = share(wave.share, t);
        match &wave.label {
            Some((key, value)) => format!("{text} ({key}={value})"),
            None => text,
        }
    });
    steps.collect::<Vec<_>>().join(" → ")
}

fn gate(d: &Definition, t: Words) -> String {
    if d.waves.len() < 2 {
        return t.s("camp.no_gate").to_owned();
    }
    let gate = &d.gate;
    t.f3(
        "camp.gate",
        t.percent(f64::from(gate.success_percent) / 100.0),
        t.n("count.hosts", gate.least_sample),
        span(gate.soak, t),
    )
}

fn stops(d: &Definition, t: Words) -> String {
    let limits = &d.thresholds;
    let mut parts: Vec<String> = [
        ("camp.pauses", limits.pause),
        ("camp.pauses_wave", limits.pause_in_wave),
        ("camp.aborts", limits.abort),
        ("camp.aborts_wave", limits.abort_in_wave),
    ]
    .into_iter()
    .filter_map(|(key, is)| limit(is, t).map(|limit| t.f(key, limit)))
    .collect();
    let regressions = match limits.regressions {
        ErrorLimit::Off => None,
        ErrorLimit::Hosts(n) => Some(t.num(n)),
        ErrorLimit::Percent(p) => Some(t.percent(f64::from(p) / 100.0)),
    };
    parts.extend(regressions.map(|most| t.f("camp.regresses", most)));
    if parts.is_empty() { t.s("camp.never_stops").to_owned() } else { parts.join("; ") }
}

fn pace(d: &Definition, t: Words) -> String {
    let pace = &d.pace;
    let mut parts = vec![t.n("camp.at_once", pace.at_once)];
    parts.extend(pace.per_minute.map(|n| t.n("camp.per_minute", n)));
    parts.extend(pace.per_site.map(|n| t.f2("camp.at_site", t.num(n), &pace.site_label)));
    parts.push(t.f2("camp.per_site", t.num(pace.network_per_site), &pace.site_label));
    parts.extend(pace.group_label.as_ref().map(|label| t.f("camp.per_group", label)));
    parts.join("; ")
}

fn labels(labels: &Labels) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}
