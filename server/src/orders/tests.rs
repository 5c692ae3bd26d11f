//! What is chosen within which bounds.

use fleetmend_core::host::{HostFacts, Labels, Lifecycle, OsFamily};
use fleetmend_core::ids::{HostId, IncidentId};
use fleetmend_core::incident::IncidentState;
use fleetmend_core::overdue::Health;
use fleetmend_core::report::{IncidentKey, Operation, Product};
use fleetmend_core::time::Timestamp;
use fleetmend_store::Incident;
use uuid::Uuid;

use super::*;

const CONFIGURE: &str = "apt.configure_pending";

/// An interrupted dpkg, in a catalogue whose automatic remediations were changed.
fn case(change: impl Fn(&mut Remediation)) -> Case {
    let mut catalogue = fleetmend_catalog::builtin().clone();
    for remediation in catalogue.remediations.values_mut().filter(|r| r.is_automatic()) {
        change(remediation);
    }
    let (at, host) = (Timestamp::from_millis(1), HostId(Uuid::from_u128(1)));
    let incident = Incident {
        id: IncidentId(Uuid::from_u128(2)),
        host,
        host_name: "web-1".to_owned(),
        simulated: false,
        key: IncidentKey {
            product: Product::Apt,
            operation: Operation::Install,
            code: "apt.dpkg_interrupted".parse().ok(),
            subject: None,
        },
        symbol: None,
        update_class: None,
        message: String::new(),
        state: IncidentState::Open,
        opened: at,
        first_seen: at,
        last_seen: at,
        ended: None,
        reports: 1,
        previous: None,
        successor: None,
        verdict: None,
        cause: None,
        share: None,
        certainty: None,
        untriaged: true,
        ignored: None,
    };
    let facts = HostFacts {
        name: "web-1".to_owned(),
        os: OsFamily::Linux,
        os_name: "Debian GNU/Linux 12".to_owned(),
        os_build: "6.1".to_owned(),
        arch: "x86_64".to_owned(),
        agent_version: "0.1.0".to_owned(),
        boot_id: "b".to_owned(),
        simulated: false,
    };
    let host = Host {
        id: host,
        facts,
        lifecycle: Lifecycle::Active,
        health: Health::Unknown,
        lifecycle_reason: String::new(),
        labels: Labels::new(),
        enrolled: at,
        last_seen: at,
        token: None,
        ceiling: String::new(),
        state_at: None,
        open_incidents: 1,
        active_job: None,
        lost_items: 0,
        quarantined_items: 0,
    };
    let detail = IncidentDetail { incident, jobs: Vec::new(), reports: Vec::new() };
    Case {
        catalogue: Box::leak(Box::new(catalogue)),
        detail,
        host,
        evidence: Vec::new(),
        tried: Vec::new(),
        efficacy: Efficacy::default(),
    }
}

fn bounds(named: Option<&'static str>, max_risk: Risk) -> Bounds<'static> {
    Bounds { named, max_risk, reboot: RebootPolicy::Never, approved: false }
}

#[test]
fn nobody_orders_alone_what_is_dangerous() {
    let case = case(|remediation| remediation.risk = Risk::Dangerous);
    for named in [Some(CONFIGURE), None] {
        let refused = case.choose(&bounds(named, Risk::Dangerous)).expect_err("refused");
        assert!(matches!(refused, NotChosen::NeedsApproval { .. }), "{refused}");
        let approved = Bounds { approved: true, ..bounds(named, Risk::Dangerous) };
        assert_eq!(case.choose(&approved).expect("chosen").step.risk, Risk::Dangerous);
        let lower = Bounds { approved: true, ..bounds(named, Risk::Disruptive) };
        assert!(case.choose(&lower).is_err(), "an approval is for the risk that it names");
    }
}

#[test]
fn what_restarts_is_chosen_only_where_restarts_are_allowed() {
    let case = case(|remediation| remediation.reboot = RebootNeed::Maybe);
    for named in [Some(CONFIGURE), None] {
        let never = bounds(named, Risk::Disruptive);
        let refused = case.choose(&never).expect_err("refused");
        assert!(refused.to_string().contains("no restart is allowed"), "{refused}");
        let anytime = Bounds { reboot: RebootPolicy::Anytime, ..never };
        case.choose(&anytime).expect("chosen");
    }
}

/// An agent does not begin with what hardly helps while a person has the remedy; by its name it may be
/// ordered, and it is the agent's turn when the person has done or declined his.
#[test]
fn a_persons_work_goes_first_where_it_is_worth_far_more() {
    let mut case = case(|_| {});
    case.host.facts.os = OsFamily::Windows;
    "10.0.19045.3803".clone_into(&mut case.host.facts.os_build);
    case.detail.incident.key = IncidentKey {
        product: Product::Upgrade,
        operation: Operation::Upgrade,
        code: "0x8007000D".parse().ok(),
        subject: None,
    };
    let anytime =
        |named| Bounds { reboot: RebootPolicy::Anytime, ..bounds(named, Risk::Disruptive) };
    let refused = case.choose(&anytime(None)).expect_err("a person's").to_string();
    assert!(refused.contains("a person does redownload_media first"), "{refused}");
    let plan = case.plan(Risk::Disruptive, RebootPolicy::Anytime);
    assert_eq!(plan.for_people().map(|s| s.remediation.as_str()), Some("redownload_media"));
    let named = case.choose(&anytime(Some("dism_restorehealth"))).expect("somebody's decision");
    assert_eq!(named.step.remediation.as_str(), "dism_restorehealth");
    let media: Slug = "redownload_media".parse().expect("a slug");
    let declined = fleetmend_core::plan::Tried {
        version: case.catalogue.remediations[&media].version,
        remediation: media,
        cause: "media_corrupt".parse().expect("a slug"),
        known: Vec::new(),
    };
    case.tried.push(declined);
    let next = case.choose(&anytime(None)).expect("the agent's turn");
    assert_eq!(next.step.remediation.as_str(), "dism_restorehealth");
}

#[test]
fn bounds_and_names_are_kept_to() {
    let case = case(|_| {});
    let over = case.choose(&bounds(Some(CONFIGURE), Risk::Safe)).expect_err("over the risk");
    assert!(matches!(over, NotChosen::OverRisk { risk: Risk::Disruptive, .. }), "{over}");
    let safe = case.choose(&bounds(None, Risk::Safe)).expect_err("nothing is safe");
    assert!(matches!(&safe, NotChosen::Nothing { reasons } if !reasons.is_empty()), "{safe}");
    let other = case.choose(&bounds(Some("wu.no_such"), Risk::Safe)).expect_err("no such");
    assert!(matches!(other, NotChosen::NotInPlan { .. }), "{other}");
    let chosen = case.choose(&bounds(None, Risk::Disruptive)).expect("chosen");
    assert_eq!(chosen.digest.len(), 64);
    assert!(chosen.steps_time > Duration::ZERO);
}
