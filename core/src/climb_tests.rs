//! Climbs over a made-up catalogue: golden texts of whole jobs, and what must hold of any of them.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::efficacy::{Against, Count, Efficacy};
use crate::evidence::{Answer, Evidence};
use crate::host::OsFamily;
use crate::ids::EvidenceId;
use crate::knowledge::{
    Binding, Cause, CodeEntry, Confidence, Indication, NetworkCost, Remediation, Risk, Strength,
    Text, Verification,
};
use crate::known::Known;
use crate::plan::Tried;
use crate::report::{IncidentKey, Kind, Operation, Product};
use crate::step::{Action, Step, Tool};
use crate::triage::triage;
use crate::words::Slug;

fn slug(text: &str) -> Slug {
    text.parse().expect("a slug")
}

fn key() -> IncidentKey {
    let code = "apt.broken".parse().ok();
    IncidentKey { product: Product::Apt, operation: Operation::Install, code, subject: None }
}

fn remediation(id: &str, risk: Risk, minutes: u32, reboot: RebootNeed) -> Remediation {
    let by_hand = matches!(risk, Risk::Guided | Risk::Refused);
    let action = Action::ToolRun { tool: Tool::AptClean, value_from: None };
    let step = Step { action, timeout_s: 60, always: false };
    Remediation {
        id: slug(id),
        version: 1,
        os: OsFamily::Linux,
        name: Text::default(),
        explanation: Text::default(),
        risk,
        reboot,
        minutes,
        network: NetworkCost::None,
        authorities: Vec::new(),
        steps: if by_hand { Vec::new() } else { vec![step] },
        guide: Vec::new(),
        verification: Verification::AptCheck,
        blockers: Vec::new(),
        unproven: false,
        seeds: Vec::new(),
    }
}

/// Three causes, each with a probe of its own; the first has two remediations.
fn catalogue() -> Catalogue {
    catalogue_where(Strength::DecisiveAgainst)
}

/// The same, by how much a *no* of the causes' own probes says.
fn catalogue_where(no: Strength) -> Catalogue {
    let mut cat = Catalogue::default();
    let remediations: [(&str, &[&str]); 3] =
        [("lock", &["unlock", "restart"]), ("full", &["clean"]), ("store", &["repair", "by_hand"])];
    for (id, names) in remediations {
        let probe = slug(&format!("{id}.seen"));
        let indication = Indication {
            probe: probe.clone(),
            yes: Strength::Decisive,
            no,
            source: "expert".to_owned(),
        };
        let cause = Cause {
            id: slug(id),
            name: Text::default(),
            explanation: Text::default(),
            indications: vec![indication],
            own_probe: Some(probe),
            remediations: names.iter().map(|name| slug(name)).collect(),
            retries: Vec::new(),
            products: Vec::new(),
            seeds: Vec::new(),
        };
        cat.causes.insert(cause.id.clone(), cause);
    }
    for remediation in [
        remediation("unlock", Risk::Safe, 2, RebootNeed::Never),
        remediation("restart", Risk::Disruptive, 10, RebootNeed::Always),
        remediation("clean", Risk::Safe, 5, RebootNeed::Never),
        remediation("repair", Risk::Disruptive, 30, RebootNeed::Maybe),
        remediation("by_hand", Risk::Guided, 60, RebootNeed::Never),
    ] {
        cat.remediations.insert(remediation.id.clone(), remediation);
    }
    cat.bindings.push(Binding {
        product: Product::Apt,
        operation: None,
        code: key().code,
        update_class: None,
        causes: vec![(slug("lock"), 0.4), (slug("full"), 0.3), (slug("store"), 0.2)],
        source: "expert".to_owned(),
    });
    cat
}

/// A host in a test: the causes that are there, and what cures each.
struct Bed {
    truth: Vec<(&'static str, &'static [&'static str])>,
    /// Probes that answer nothing.
    mute: Vec<&'static str>,
    /// Causes whose own probe does not see them.
    unseen: Vec<&'static str>,
    /// What a *no* says.
    no: Strength,
    /// What remediations bring.
    brings: Vec<(&'static str, (&'static str, &'static [&'static str]))>,
    risk: Risk,
    restarts: bool,
    retry: Option<Retry>,
    efficacy: Efficacy,
}

impl Bed {
    fn of(truth: &[(&'static str, &'static [&'static str])]) -> Self {
        Self {
            truth: truth.to_vec(),
            mute: Vec::new(),
            unseen: Vec::new(),
            no: Strength::DecisiveAgainst,
            brings: Vec::new(),
            risk: Risk::Disruptive,
            restarts: true,
            retry: None,
            efficacy: Efficacy::default(),
        }
    }

    fn look(&self, minute: i64) -> Vec<Evidence> {
        let one = |(n, id): (u8, &str)| {
            let at = Timestamp::from_millis(minute * 60_000);
            let is = self.truth.iter().any(|(cause, _)| *cause == id) && !self.unseen.contains(&id);
            let answer = if self.mute.contains(&id) {
                Answer::Unknown
            } else if is {
                Answer::Yes
            } else {
                Answer::No
            };
            Evidence {
                id: EvidenceId::at(at, [n; 10]),
                probe: slug(&format!("{id}.seen")),
                subject: None,
                answer,
                proof: String::new(),
                value: None,
                at,
            }
        };
        [(1, "lock"), (2, "full"), (3, "store")].into_iter().map(one).collect()
    }

    /// Climbs to the end; each line is a try and what became of it.
    fn climb(mut self) -> (String, Vec<(PlannedStep, Vec<Evidence>)>) {
        let cat = catalogue_where(self.no);
        let (mut log, mut done) = (String::new(), Vec::new());
        let mut tried: Vec<Tried> = Vec::new();
        let mut minute = 0;
        loop {
            let evidence = self.look(minute);
            let verdict = triage(&cat, &key(), None, &evidence);
            let ask = Ask {
                os: OsFamily::Linux,
                build: "12",
                allowed: self.risk,
                restarts: self.restarts,
                subject: None,
                evidence: &evidence,
                tried: &tried,
                efficacy: &self.efficacy,
            };
            let now = Timestamp::from_millis(minute * 60_000);
            let standing = Standing {
                ask,
                tries: u32::try_from(tried.len()).expect("few"),
                retry: self.retry.filter(|_| !tried.is_empty()),
                draw: 1,
                expires: Timestamp::from_millis(24 * 3_600_000),
                now,
            };
            match climb(&cat, &verdict, &standing).1 {
                Climb::End { why } => {
                    let _ = writeln!(log, "end: {why}");
                    return (log, done);
                }
                Climb::Try { step, not_before } => {
                    let cause = &cat.causes[&step.cause];
                    let before = Known::of(cause, None, &evidence);
                    minute = not_before.as_millis() / 60_000 + i64::from(5_u8);
                    self.truth.retain(|(_, cures)| !cures.contains(&step.remediation.as_str()));
                    let by = |(by, _): &&(&str, _)| *by == step.remediation.as_str();
                    self.truth.extend(self.brings.iter().filter(by).map(|(_, fault)| *fault));
                    let after = Known::of(cause, None, &self.look(minute));
                    let waits = not_before.since(now).as_secs() / 60;
                    let _ = writeln!(
                        log,
                        "after {waits} min: {} against {}: {}",
                        step.remediation, step.cause, step.reason
                    );
                    tried.push(Tried {
                        remediation: step.remediation.clone(),
                        version: step.version,
                        cause: step.cause.clone(),
                        known: vec![before, after],
                    });
                    done.push((*step, evidence));
                    if self.truth.is_empty() {
                        log.push_str("cured\n");
                        return (log, done);
                    }
                }
            }
        }
    }
}

fn golden() -> Vec<(&'static str, Bed)> {
    let counted = |cured, not_cured| {
        let mut efficacy = Efficacy::default();
        let against = Against { cause: slug("lock"), remediation: slug("unlock"), version: 1 };
        let count = Count { tries: cured + not_cured, cured, not_cured, ..Count::default() };
        efficacy.add(against, "12", count);
        efficacy
    };
    let lock = || Bed::of(&[("lock", &["restart"])]);
    vec![
        ("cured at the first try", Bed::of(&[("lock", &["unlock"])])),
        ("the second remediation of the same cause cures", lock()),
        (
            "the same, where the fleet counted that the first never does",
            Bed { efficacy: counted(0, 60), ..lock() },
        ),
        ("the same, where no restart is allowed", Bed { restarts: false, ..lock() }),
        ("the same, where only what is safe is allowed", Bed { risk: Risk::Safe, ..lock() }),
        (
            "three faults at once, cured by the third remediation",
            Bed::of(&[("lock", &["unlock"]), ("full", &["clean"]), ("store", &["repair"])]),
        ),
        ("nothing cures, and a person is asked for", Bed::of(&[("store", &["magic"])])),
        (
            "nothing is known: by share and cost alone",
            Bed { mute: vec!["lock", "full", "store"], ..Bed::of(&[("store", &["repair"])]) },
        ),
        (
            "the code goes by itself: waits grow",
            Bed {
                retry: Some(Retry::Transient),
                mute: vec!["lock", "full", "store"],
                ..Bed::of(&[("store", &["repair"])])
            },
        ),
        ("the code needs space: longer waits", Bed { retry: Some(Retry::NeedsSpace), ..lock() }),
        (
            "the code needs a restart: only what restarts",
            Bed {
                retry: Some(Retry::NeedsReboot),
                mute: vec!["lock", "full", "store"],
                ..Bed::of(&[("store", &["repair"])])
            },
        ),
        (
            "the code needs a restart, and none is allowed",
            Bed {
                retry: Some(Retry::NeedsReboot),
                restarts: false,
                mute: vec!["lock", "full", "store"],
                ..Bed::of(&[("store", &["repair"])])
            },
        ),
        (
            "the probe of the true cause does not see it, and its no is decisive: it is left alone",
            Bed { unseen: vec!["full"], ..Bed::of(&[("full", &["clean"])]) },
        ),
        (
            "the same, where its no is weak: it is tried all the same",
            Bed {
                unseen: vec!["full"],
                no: Strength::WeakAgainst,
                ..Bed::of(&[("full", &["clean"])])
            },
        ),
        (
            "a later try brings the first cause back: it is tried again",
            Bed {
                brings: vec![("repair", ("lock", &["unlock"]))],
                ..Bed::of(&[("lock", &["unlock"]), ("store", &["repair"])])
            },
        ),
        (
            "it comes back each time: it is tried twice at most",
            Bed {
                brings: vec![
                    ("unlock", ("store", &["repair"])),
                    ("repair", ("lock", &["unlock", "restart"])),
                ],
                ..Bed::of(&[("lock", &["unlock"])])
            },
        ),
        ("a policy stands in the way", Bed { retry: Some(Retry::Policy), ..lock() }),
    ]
}

#[test]
fn jobs_climb_as_was_reviewed() {
    let mut text = String::new();
    for (name, bed) in golden() {
        let _ = writeln!(text, "== {name}\n{}", bed.climb().0);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_hidden_or_open_is_not_climbed_over() {
    let on: Vec<_> = JobState::ALL.iter().copied().filter(|s| may_go_on(*s)).collect();
    assert_eq!(on, [JobState::Failed, JobState::RolledBack, JobState::NotApplicable]);
}

proptest! {
    #[test]
    fn never_the_same_on_unchanged_evidence_nor_over_what_is_allowed(
        causes in prop::collection::btree_map(0..3_usize, prop::option::of(0..5_usize), 1..4),
        mute in prop::collection::vec(0..3_usize, 0..3),
        risk in prop::sample::select(&[Risk::Safe, Risk::Disruptive, Risk::Dangerous][..]),
        restarts: bool,
        retry in prop::option::of(prop::sample::select(Retry::ALL)),
    ) {
        const CAUSES: [&str; 3] = ["lock", "full", "store"];
        const CURES: [&[&str]; 5] = [&["unlock"], &["restart"], &["clean"], &["repair"], &["unlock", "repair"]];
        let truth: Vec<(&str, &[&str])> =
            causes.iter().map(|(cause, cure)| (CAUSES[*cause], cure.map_or(&[][..], |n| CURES[n]))).collect();
        let bed = Bed {
            mute: mute.iter().map(|n| CAUSES[*n]).collect(), risk, restarts, retry, ..Bed::of(&truth)
        };
        let (log, done) = bed.climb();
        let cat = catalogue();
        prop_assert!(done.len() <= limits::TRIES as usize, "{log}");
        for (n, (step, evidence)) in done.iter().enumerate() {
            prop_assert!(step.risk <= risk && (restarts || step.reboot == RebootNeed::Never), "{log}");
            let cause = &cat.causes[&step.cause];
            let known = |evidence: &[Evidence]| Known::of(cause, None, evidence);
            let same = done[..n].iter().any(|(before, then)| {
                before.remediation == step.remediation && !known(then).has_changed(&known(evidence))
            });
            prop_assert!(!same, "{} again: {log}", step.remediation);
        }
    }
}

#[test]
fn codes_without_an_entry_are_permanent() {
    let entry = CodeEntry {
        code: "apt.broken".parse().expect("a code"),
        symbol: None,
        area: "apt".to_owned(),
        kind: Kind::Failure,
        confidence: Confidence::Sample,
        retry: Retry::Policy,
        meaning: Text::default(),
        source: String::new(),
        causes: Vec::new(),
    };
    let mut cat = catalogue();
    assert_eq!(cat.retry_of(key().code.as_ref()), None);
    cat.codes.insert(entry.code.clone(), entry);
    assert_eq!(cat.retry_of(key().code.as_ref()), Some(Retry::Policy));
}
