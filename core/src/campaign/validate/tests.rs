//! Every field has bounds, and every refusal names its field.

use serde_json::{Value, json};

use crate::campaign::{
    ApprovalFacts, ApprovalPolicy, Definition, RebootPolicy, StandardChange, needs_approval,
};
use crate::code::FailureCode;
use crate::host::OsFamily;
use crate::knowledge::{
    Binding, Catalogue, Cause, CodeEntry, Confidence, NetworkCost, RebootNeed, Remediation, Retry,
    Risk, Text, Verification,
};
use crate::report::{Kind, Product};
use crate::step::{Action, Step};
use crate::words::Slug;

fn slug(text: &str) -> Slug {
    Slug::new(text).expect("a slug")
}

fn remediation(id: &str, risk: Risk, action: Action) -> Remediation {
    Remediation {
        id: slug(id),
        version: 2,
        os: OsFamily::Linux,
        name: Text::default(),
        explanation: Text::default(),
        risk,
        reboot: RebootNeed::Never,
        minutes: 5,
        network: NetworkCost::None,
        authorities: Vec::new(),
        steps: vec![Step { action, timeout_s: 60, always: false }],
        guide: Vec::new(),
        verification: Verification::OwnProbe,
        blockers: Vec::new(),
        unproven: false,
        seeds: Vec::new(),
    }
}

fn start(service: &str) -> Action {
    Action::ServiceStart { service: service.to_owned() }
}

fn cause(id: &str, remediations: &[&str]) -> Cause {
    Cause {
        id: slug(id),
        name: Text::default(),
        explanation: Text::default(),
        indications: Vec::new(),
        own_probe: None,
        remediations: remediations.iter().map(|id| slug(id)).collect(),
        retries: Vec::new(),
        products: Vec::new(),
        seeds: Vec::new(),
    }
}

/// One failure with two causes, and one of another product.
fn catalogue() -> Catalogue {
    let mut cat = Catalogue::default();
    let mut reboots = remediation("host.restart", Risk::Disruptive, Action::Reboot {});
    reboots.reboot = RebootNeed::Always;
    let mut perhaps = remediation("apt.perhaps", Risk::Safe, start("a"));
    perhaps.reboot = RebootNeed::Maybe;
    let mut unproven = remediation("borg.unproven", Risk::Safe, start("b"));
    unproven.unproven = true;
    let mut guided = remediation("apt.guided", Risk::Guided, start("c"));
    guided.steps.clear();
    for it in [
        remediation("apt.configure", Risk::Safe, start("d")),
        remediation("apt.risky", Risk::Dangerous, start("e")),
        reboots,
        perhaps,
        unproven,
        guided,
    ] {
        cat.remediations.insert(it.id.clone(), it);
    }
    for it in [
        cause("apt.interrupted", &["apt.configure", "apt.guided", "apt.perhaps"]),
        cause("apt.broken", &["apt.risky", "host.restart"]),
        cause("borg.lock", &["borg.unproven"]),
    ] {
        cat.causes.insert(it.id.clone(), it);
    }
    let bind = |product, causes: &[&str]| Binding {
        product,
        operation: None,
        code: None,
        update_class: None,
        causes: causes.iter().map(|id| (slug(id), 0.3)).collect(),
        source: "expert".to_owned(),
    };
    cat.bindings.push(bind(Product::Apt, &["apt.interrupted", "apt.broken"]));
    cat.bindings.push(bind(Product::Borg, &["borg.lock"]));
    cat
}

fn definition(changes: &Value) -> Definition {
    let mut value = json!({
        "name": "Interrupted dpkg",
        "reason": "updates fail",
        "selector": { "cause": "apt.interrupted" },
        "max_hosts": 100,
    });
    let changes = changes.as_object().expect("an object").clone();
    value.as_object_mut().expect("an object").extend(changes);
    serde_json::from_value(value).expect("a definition")
}

fn problems(changes: &Value) -> Vec<String> {
    let found = definition(changes).validate(&catalogue());
    for problem in &found {
        assert!(!problem.text.is_empty() && !problem.remedy.is_empty(), "{problem:?}");
        assert!(problem.text.len() < 300, "{problem:?}");
    }
    found.into_iter().map(|problem| problem.field).collect()
}

#[test]
fn a_short_definition_is_strict_and_valid() {
    assert_eq!(problems(&json!({})), [] as [&str; 0]);
    let it = definition(&json!({}));
    assert_eq!((it.max_risk, it.reboot), (Risk::Safe, RebootPolicy::Never));
    assert_eq!(it.thresholds.abort.to_string(), "5%");
    let waves: Vec<String> = it.waves.iter().map(|wave| wave.share.to_string()).collect();
    assert_eq!(waves, ["1", "1%", "10%", "all"]);
    assert_eq!(it.expires.to_string(), "30d");
    assert_eq!((it.restart.notice.to_string(), it.restart.deferrals), ("5m".to_owned(), 3));
}

#[test]
fn unknown_fields_and_unreadable_texts_are_refused_when_they_are_read() {
    for bad in [
        json!({ "thresholds": { "abort": "" } }),
        json!({ "thresholds": { "abort": "none" } }),
        json!({ "thresholds": { "abort": null } }),
        json!({ "thresholds": { "abort_in_waves": "5%" } }),
        json!({ "thresholds": { "regressions": "" } }),
        json!({ "thresholds": { "regressions": null } }),
        json!({ "waves": [{ "share": "0%" }] }),
        json!({ "pace": { "at_once": -1 } }),
        json!({ "max_risk": "reckless" }),
        json!({ "selector": { "label": "ring=1" } }),
        json!({ "remedies": "plan" }),
        json!({ "expires": "soon" }),
        json!({ "restart": { "notice": "5 minutes" } }),
        json!({ "restart": { "deferrals": 256 } }),
    ] {
        let mut value = serde_json::to_value(definition(&json!({}))).expect("json");
        value.as_object_mut().expect("an object").extend(bad.as_object().expect("object").clone());
        assert!(serde_json::from_value::<Definition>(value).is_err(), "{bad}");
    }
}

#[test]
fn every_refusal_names_its_field() {
    let long = "x".repeat(2_000);
    let labels: serde_json::Map<String, Value> =
        (0..65).map(|n| (format!("k{n}"), json!("v"))).collect();
    let ids: Vec<String> = (0..1_001).map(|n| uuid::Uuid::from_u128(n).to_string()).collect();
    let wave = |share: &str| json!({ "share": share });
    let window = |days: &str, start: &str| json!({ "days": days, "start": start, "end": "04:00" });
    for (changes, field) in [
        (json!({ "name": " " }), "name"),
        (json!({ "name": long }), "name"),
        (json!({ "name": "a\nb" }), "name"),
        (json!({ "reason": "" }), "reason"),
        (json!({ "change": "" }), "change"),
        (json!({ "standard_change": long }), "standard_change"),
        (json!({ "max_hosts": 0 }), "max_hosts"),
        (json!({ "max_hosts": 1_000_001 }), "max_hosts"),
        (json!({ "selector": {} }), "selector"),
        (json!({ "selector": { "labels": { "ring": "1" }, "os": "linux" } }), "selector"),
        (json!({ "selector": { "cause": "apt.nobody_knows" } }), "selector.cause"),
        (json!({ "selector": { "product": "apt", "kb": "" } }), "selector.kb"),
        (json!({ "selector": { "product": "apt", "build": "10 0" } }), "selector.build"),
        (json!({ "selector": { "incidents": ids } }), "selector.incidents"),
        (json!({ "selector": { "product": "apt", "hosts": ids } }), "selector.hosts"),
        (json!({ "selector": { "product": "apt", "roles": [""] } }), "selector.roles[0]"),
        (json!({ "selector": { "product": "apt", "labels": labels } }), "selector.labels"),
        (
            json!({ "selector": { "product": "apt", "without": { "ring": long } } }),
            "selector.without.ring",
        ),
        (
            json!({ "selector": { "product": "apt", "labels": { "a": "b" }, "without": { "a": "b" } } }),
            "selector.without.a",
        ),
        (json!({ "max_risk": "guided" }), "max_risk"),
        (json!({ "max_risk": "refused" }), "max_risk"),
        (json!({ "reboot": "in_window" }), "reboot"),
        (
            json!({ "remedy": { "remediation": { "id": "apt.none", "version": 1 } } }),
            "remedy.remediation.id",
        ),
        (
            json!({ "remedy": { "remediation": { "id": "apt.guided", "version": 2 } } }),
            "remedy.remediation.id",
        ),
        (
            json!({ "remedy": { "remediation": { "id": "apt.configure", "version": 1 } } }),
            "remedy.remediation.version",
        ),
        (
            json!({ "remedy": { "remediation": { "id": "apt.configure", "version": 2, "digest": "00" } } }),
            "remedy.remediation.digest",
        ),
        (
            json!({
                "remedy": { "remediation": { "id": "apt.configure", "version": 2 } },
                "selector": { "cause": "apt.interrupted", "os": "windows" },
            }),
            "remedy.remediation.id",
        ),
        (json!({ "remedy": { "remediation": { "id": "apt.risky", "version": 2 } } }), "max_risk"),
        (
            json!({ "max_risk": "disruptive", "remedy": { "remediation": { "id": "host.restart", "version": 2 } } }),
            "reboot",
        ),
        (json!({ "remedy": { "remediation": { "id": "apt.perhaps", "version": 2 } } }), "reboot"),
        (json!({ "zone": { "named": "Mars/Olympus" } }), "zone.named"),
        (json!({ "zone": { "host": { "fallback": "Local" } } }), "zone.host.fallback"),
        (json!({ "schedule": { "once": { "at": "2026-12-01T22:00+01:00" } } }), "schedule.once.at"),
        (json!({ "schedule": { "once": { "at": "2026-02-30T22:00" } } }), "schedule.once.at"),
        (
            json!({ "schedule": { "cron": { "expression": "* * * *" } } }),
            "schedule.cron.expression",
        ),
        (
            json!({ "schedule": { "monthly": { "expression": "tuesday" } } }),
            "schedule.monthly.expression",
        ),
        (json!({ "windows": [window("daily", "22:00"), window("dayly", "22:00")] }), "windows[1]"),
        (json!({ "windows": [window("daily", "25:00")] }), "windows[0]"),
        (json!({ "windows": vec![window("daily", "22:00"); 17] }), "windows"),
        (json!({ "expires": "59m" }), "expires"),
        (json!({ "expires": "366d" }), "expires"),
        (json!({ "restart": { "notice": "25h" } }), "restart.notice"),
        (json!({ "restart": { "deferrals": 21 } }), "restart.deferrals"),
        (
            json!({ "membership": { "joining": { "until": "2026-12-01T00:00:00Z" } }, "max_hosts": null }),
            "max_hosts",
        ),
        (json!({ "waves": [] }), "waves"),
        (json!({ "waves": [wave("1"), wave("50%")] }), "waves[1].share"),
        (json!({ "waves": [wave("5"), wave("5"), wave("all")] }), "waves[1].share"),
        (json!({ "waves": [wave("10%"), wave("20"), wave("all")] }), "waves[1].share"),
        (json!({ "waves": [wave("10%"), wave("all"), wave("all")] }), "waves[2].share"),
        (json!({ "waves": [{ "share": "all", "label": ["ring", "1"] }] }), "waves[0].label"),
        (json!({ "waves": [{ "share": "1", "label": ["", "1"] }, wave("all")] }), "waves[0].label"),
        (
            json!({ "waves": (1..=32).map(|n| wave(&n.to_string())).chain([wave("all")]).collect::<Vec<_>>() }),
            "waves",
        ),
        (json!({ "thresholds": { "abort": "off" } }), "thresholds.abort"),
        (json!({ "thresholds": { "abort": "51%" } }), "thresholds.abort"),
        (json!({ "thresholds": { "abort": "51" } }), "thresholds.abort"),
        (json!({ "gate": { "success_percent": 0 } }), "gate.success_percent"),
        (json!({ "gate": { "success_percent": 101 } }), "gate.success_percent"),
        (json!({ "gate": { "least_sample": 0 } }), "gate.least_sample"),
        (json!({ "gate": { "soak": "31d" } }), "gate.soak"),
        (json!({ "pace": { "at_once": 0 } }), "pace.at_once"),
        (json!({ "pace": { "at_once": 10_001 } }), "pace.at_once"),
        (json!({ "pace": { "per_minute": 0 } }), "pace.per_minute"),
        (json!({ "pace": { "network_per_site": 0 } }), "pace.network_per_site"),
        (json!({ "pace": { "per_site": 0 } }), "pace.per_site"),
        (json!({ "pace": { "site_label": "" } }), "pace.site_label"),
        (json!({ "pace": { "group_label": "" } }), "pace.group_label"),
        (
            json!({ "selector": { "cause": "borg.lock" }, "waves": [wave("6"), wave("all")] }),
            "waves[0].share",
        ),
    ] {
        assert_eq!(
            problems(&changes),
            [field],
            "{}",
            changes.to_string().get(..200).unwrap_or("short")
        );
    }
}

#[test]
fn dangerous_limits_are_for_few_hosts_and_for_campaigns_that_only_look() {
    let off = json!({ "abort": "off" });
    assert_eq!(problems(&json!({ "thresholds": off, "max_hosts": 50 })), [] as [&str; 0]);
    assert_eq!(problems(&json!({ "thresholds": off, "max_hosts": 51 })), ["thresholds.abort"]);
    assert_eq!(problems(&json!({ "thresholds": off, "max_hosts": null })), ["thresholds.abort"]);
    let looks = json!({ "thresholds": off, "max_hosts": null, "remedy": "verify_only" });
    assert_eq!(problems(&looks), [] as [&str; 0]);
    let half = json!({ "thresholds": { "abort": "50" }, "max_hosts": 100 });
    assert_eq!(problems(&half), [] as [&str; 0]);
    let some = json!({ "thresholds": { "abort": "26" }, "max_hosts": null });
    assert_eq!(problems(&some), ["thresholds.abort"]);
}

#[test]
fn several_problems_are_told_at_once() {
    let found = problems(&json!({ "name": "", "waves": [], "zone": { "named": "x" } }));
    assert_eq!(found, ["name", "zone.named", "waves"]);
}

#[test]
fn an_approval_binds_every_field() {
    let digest = definition(&json!({})).digest();
    assert_eq!(digest.len(), 64);
    assert_eq!(digest, definition(&json!({})).digest());
    let read: Definition =
        serde_json::from_str(&serde_json::to_string(&definition(&json!({}))).expect("json"))
            .expect("reads");
    assert_eq!(read.digest(), digest, "the same after it was kept");
    for change in [
        json!({ "reason": "other" }),
        json!({ "max_hosts": 101 }),
        json!({ "reboot": "anytime" }),
        json!({ "thresholds": { "abort": "6%" } }),
        json!({ "gate": { "soak": "61m" } }),
        json!({ "waves": [{ "share": "all" }] }),
        json!({ "expires": "31d" }),
        json!({ "selector": { "cause": "apt.interrupted", "labels": { "a": "b" } } }),
        json!({ "zone": { "named": "Europe/Berlin" } }),
    ] {
        assert_ne!(definition(&change).digest(), digest, "{change}");
    }
}

fn reasons(changes: &Value, hosts: u32, policy: &ApprovalPolicy) -> Option<Vec<String>> {
    let (cat, it) = (catalogue(), definition(changes));
    let facts = ApprovalFacts { hosts, may_do: it.may_do(&cat) };
    let reasons = needs_approval(&it, &facts, policy)?;
    Some(reasons.iter().map(ToString::to_string).collect())
}

#[test]
fn a_second_person_is_asked_for_what_is_dangerous_final_large_or_unproven() {
    let policy = ApprovalPolicy::default();
    let few = json!({ "max_hosts": null });
    assert_eq!(reasons(&few, 20, &policy), None);
    assert_eq!(reasons(&few, 500, &policy), None);
    let large = reasons(&few, 501, &policy).expect("large");
    assert_eq!(large, ["it may reach 501 hosts, more than 500"]);
    let capped = reasons(&json!({ "max_hosts": 900 }), 20, &policy).expect("it may grow");
    assert_eq!(capped, ["it may reach 900 hosts, more than 500"]);
    let dangerous = json!({ "max_risk": "dangerous", "max_hosts": null });
    let why = reasons(&dangerous, 1, &policy).expect("dangerous");
    assert_eq!(why, ["it allows dangerous remediations"]);
    let restarts = json!({ "max_risk": "disruptive", "reboot": "anytime", "max_hosts": null });
    let why = reasons(&restarts, 1, &policy).expect("a restart is final");
    assert_eq!(
        why,
        ["it cannot be taken back: host.restart"],
        "the other cause of the same failure"
    );
    let lenient = ApprovalPolicy { irreversible: false, ..policy.clone() };
    assert_eq!(reasons(&restarts, 1, &lenient), None);
    let unproven = json!({ "selector": { "product": "borg" }, "max_hosts": null });
    assert_eq!(reasons(&unproven, 5, &policy), None);
    assert!(
        reasons(&unproven, 6, &policy).expect("unproven")[0].ends_with("5 hosts: borg.unproven")
    );
    let looks = json!({ "remedy": "verify_only", "max_hosts": 9_000 });
    assert_eq!(reasons(&looks, 9_000, &policy), None);
}

#[test]
fn a_standard_change_needs_nobody_within_its_bounds() {
    let change = StandardChange {
        name: "apt".to_owned(),
        max_risk: Risk::Dangerous,
        remediations: ["apt.configure", "apt.risky"].map(slug).into(),
        max_hosts: 2_000,
        reboot: RebootPolicy::Never,
    };
    let policy = ApprovalPolicy { standard_changes: vec![change], ..ApprovalPolicy::default() };
    let within = json!({ "standard_change": "apt", "max_risk": "dangerous", "max_hosts": 2_000 });
    assert_eq!(reasons(&within, 10, &policy), None);
    let over = json!({ "standard_change": "apt", "max_hosts": 2_001 });
    assert!(reasons(&over, 10, &policy).expect("too many").join("\n").contains("\"apt\" 2000"));
    let restarts =
        json!({ "standard_change": "apt", "max_risk": "disruptive", "reboot": "anytime" });
    let why = reasons(&restarts, 10, &policy).expect("more than it covers").join("\n");
    assert!(why.contains("it restarts anytime") && why.contains("host.restart"), "{why}");
    let unknown = reasons(&json!({ "standard_change": "yum" }), 1, &policy).expect("unknown");
    assert_eq!(unknown, ["there is no standard change \"yum\""], "never read as approved");
}

#[test]
fn what_it_may_do_is_what_its_hosts_plans_may_hold() {
    let cat = catalogue();
    let names = |changes: &Value| -> Vec<String> {
        definition(changes).may_do(&cat).iter().map(|r| r.id.to_string()).collect()
    };
    assert_eq!(names(&json!({})), ["apt.configure"], "never restarts, only safe, not guided");
    let all = names(&json!({ "max_risk": "dangerous", "reboot": "anytime" }));
    assert_eq!(all, ["apt.configure", "apt.perhaps", "apt.risky", "host.restart"]);
    let incidents = json!({ "selector": { "incidents": [uuid::Uuid::nil().to_string()] } });
    assert_eq!(names(&incidents), ["apt.configure", "borg.unproven"], "of any failure");
    let named = json!({ "remedy": { "remediation": { "id": "apt.risky", "version": 2 } } });
    assert_eq!(names(&named), ["apt.risky"]);
    assert!(names(&json!({ "remedy": "verify_only" })).is_empty());
}

#[test]
fn a_product_alone_takes_what_its_failures_can_have_and_nothing_else() {
    let mut cat = catalogue();
    let mut code = |text: &str, cause_of: &str| {
        let code: FailureCode = text.parse().expect("a code");
        let entry = CodeEntry {
            code: code.clone(),
            symbol: None,
            area: "x".to_owned(),
            kind: Kind::Failure,
            confidence: Confidence::Official,
            retry: Retry::Permanent,
            meaning: Text::default(),
            source: "expert".to_owned(),
            causes: vec![slug(cause_of)],
        };
        cat.codes.insert(code, entry);
    };
    code("0x80070002", "win.missing");
    code("apt.other", "apt.third");
    code("exit:7", "borg.lock");
    code("fs.full", "fs.full_disk");
    for (id, os) in [
        ("win.repair", OsFamily::Windows),
        ("apt.third", OsFamily::Linux),
        ("fs.clean", OsFamily::Linux),
    ] {
        let mut it = remediation(id, Risk::Safe, start("w"));
        it.os = os;
        cat.remediations.insert(it.id.clone(), it);
    }
    for it in [
        cause("win.missing", &["win.repair"]),
        cause("apt.third", &["apt.third"]),
        cause("fs.full_disk", &["fs.clean"]),
    ] {
        cat.causes.insert(it.id.clone(), it);
    }
    let mut binding = cat.bindings[1].clone();
    binding.code = Some("exit:7".parse().expect("a code"));
    cat.bindings.push(binding);
    let names = |product: &str| -> Vec<String> {
        let it = definition(&json!({ "selector": { "product": product } }));
        it.may_do(&cat).iter().map(|r| r.id.to_string()).collect()
    };
    assert_eq!(names("apt"), ["apt.configure", "apt.third", "fs.clean"]);
    assert_eq!(names("borg"), ["borg.unproven", "fs.clean", "win.repair"]);
    assert_eq!(names("windows_update"), ["win.repair"], "what Linux does is not done there");
}
