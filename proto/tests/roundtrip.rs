//! What goes over the wire comes back as it was; what is over a bound is refused by its field.

use std::collections::BTreeMap;

use fleetmend_core::campaign::RebootPolicy;
use fleetmend_core::code::FailureCode;
use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::hold::Interval;
use fleetmend_core::host::{
    AgentHealth, Disk, HostFacts, HostState, OsFamily, ServiceState, UpdateAuthority,
};
use fleetmend_core::ids::{EvidenceId, HostId, IncidentId, JobId, ReportId, SpoolEpoch};
use fleetmend_core::job::{JobLog, JobState, JobUpdate, ProofLevel, StepReport, StepState};
use fleetmend_core::order::{Order, Task};
use fleetmend_core::report::{
    FailureReport, IncidentKey, Kind, Operation, Product, Recovery, ReportedFailure, Source,
};
use fleetmend_core::spool_item::{Gap, SpoolItem};
use fleetmend_core::time::{SourceTime, Timestamp};
use fleetmend_core::update_class::UpdateClass;
use fleetmend_core::words::Slug;
use fleetmend_proto::{Hello, OpenJob, Whose, decode_order, encode_order, v1, whose_order};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message as _;
use uuid::Uuid;

fn id<T: From<Uuid> + std::fmt::Debug>() -> impl Strategy<Value = T> {
    any::<[u8; 16]>().prop_map(|bytes| T::from(Uuid::from_bytes(bytes)))
}

fn at() -> impl Strategy<Value = Timestamp> {
    (0..=Timestamp::MAX.as_millis()).prop_map(Timestamp::from_millis)
}

fn text(max: usize) -> impl Strategy<Value = String> {
    "[ -~а-яё\\n\"\\\\]{0,40}".prop_map(move |t| fleetmend_core::words::cut(&t, max).to_owned())
}

fn slug() -> impl Strategy<Value = Slug> {
    "[a-z][a-z0-9_.-]{0,79}".prop_map(|text| Slug::new(text).expect("a slug"))
}

fn code() -> impl Strategy<Value = FailureCode> {
    prop_oneof![
        any::<u32>().prop_map(FailureCode::Hresult),
        any::<i32>().prop_map(FailureCode::Exit),
        "[a-z]{1,9}\\.[a-z_]{1,9}".prop_map(|t| FailureCode::Slug(Slug::new(t).expect("a slug"))),
    ]
}

fn key() -> impl Strategy<Value = IncidentKey> {
    (select(Product::ALL), select(Operation::ALL), option::of(code()), option::of(text(512)))
        .prop_map(|(product, operation, code, subject)| IncidentKey {
            product,
            operation,
            code,
            subject,
        })
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let subject = option::of(text(512));
    (id(), slug(), subject, select(Answer::ALL), text(2_048), option::of(text(1_024)), at())
        .prop_map(
            |(id, probe, subject, answer, proof, value, at): (EvidenceId, _, _, _, _, _, _)| {
                Evidence { id, probe, subject, answer, proof, value, at }
            },
        )
}

fn source_time() -> impl Strategy<Value = SourceTime> {
    let wall = 0i64..4_000_000_000_000;
    prop_oneof![
        at().prop_map(SourceTime::utc),
        wall.clone().prop_map(SourceTime::local),
        (wall, -1_079i16..1_080).prop_map(|(ms, offset)| SourceTime::with_offset(ms, offset)),
    ]
}

fn report() -> impl Strategy<Value = FailureReport> {
    let place = (
        option::of(text(256)),
        option::of(any::<u32>()),
        option::of(0..i64::MAX as u64),
        option::of(0..i64::MAX as u64),
        option::of(0..i64::MAX as u64),
        option::of(select(UpdateClass::ALL)),
    );
    (key(), select(Kind::ALL), select(Source::ALL), source_time(), place, text(1_024)).prop_map(
        |(
            key,
            kind,
            source,
            time,
            (provider, event_id, record_id, line, count, update_class),
            message,
        )| {
            FailureReport {
                product: key.product,
                operation: key.operation,
                code: key.code,
                symbol: provider.clone(),
                kind,
                subject: key.subject,
                time,
                source,
                provider,
                event_id,
                record_id,
                line,
                count,
                update_class,
                message,
            }
        },
    )
}

fn step() -> impl Strategy<Value = StepReport> {
    (
        0u32..64,
        text(512),
        select(StepState::ALL),
        option::of(any::<i32>()),
        text(2_048),
        any::<u32>(),
    )
        .prop_map(|(index, title, state, exit, detail, dropped)| StepReport {
            index,
            title,
            state,
            exit,
            detail,
            output_dropped: dropped.into(),
        })
}

fn job_update() -> impl Strategy<Value = JobUpdate> {
    (
        (id(), 1u32..1_000, select(JobState::ALL), text(2_048)),
        (option::of(step()), vec(evidence(), 0..4), option::of(select(ProofLevel::ALL)), at()),
    )
        .prop_map(
            |((job, attempt, state, detail), (step, evidence, proof, at)): (
                (JobId, _, _, _),
                _,
            )| { JobUpdate { job, attempt, state, detail, step, evidence, proof, at } },
        )
}

fn item() -> impl Strategy<Value = SpoolItem> {
    prop_oneof![
        (id(), at(), report(), vec(evidence(), 0..5)).prop_map(
            |(id, at, failure, evidence): (ReportId, _, _, _)| {
                SpoolItem::Failure(Box::new(ReportedFailure { id, at, failure, evidence }))
            }
        ),
        (key(), at(), text(1_024)).prop_map(|(key, at, message)| SpoolItem::Recovery(Recovery {
            key,
            at,
            message
        })),
        vec(evidence(), 0..5).prop_map(SpoolItem::Evidence),
        job_update().prop_map(|update| SpoolItem::Job(Box::new(update))),
        (id(), 1u32..9, 0u32..64, 0u32..9_999, text(16_384), at()).prop_map(
            |(job, attempt, step, sequence, text, at): (JobId, _, _, _, _, _)| {
                SpoolItem::Log(JobLog { job, attempt, step, sequence, text, at })
            }
        ),
        (any::<u32>(), "[a-z_]{1,20}", at()).prop_map(|(n, reason, at)| SpoolItem::Gap(Gap {
            items: n.into(),
            reason,
            at
        })),
    ]
}

fn facts() -> impl Strategy<Value = HostFacts> {
    ("[a-z0-9-]{1,60}", select(OsFamily::ALL), vec(text(256), 5), any::<bool>()).prop_map(
        |(name, os, texts, simulated)| {
            let [os_name, os_build, arch, agent_version, boot_id] =
                texts.try_into().expect("five texts");
            HostFacts { name, os, os_name, os_build, arch, agent_version, boot_id, simulated }
        },
    )
}

fn state() -> impl Strategy<Value = HostState> {
    let times = vec(option::of(at()), 5);
    let disk = (text(512), text(256), any::<u32>(), any::<bool>()).prop_map(
        |(mount, file_system, size, read_only)| Disk {
            mount,
            file_system,
            size_bytes: size.into(),
            free_bytes: u64::from(size / 2),
            read_only,
        },
    );
    let service = (text(256), text(256), text(256)).prop_map(|(name, state, start)| ServiceState {
        name,
        state,
        start,
    });
    let authority = option::of(select(UpdateAuthority::ALL));
    let more = btree_map("[a-z.]{1,20}", text(256), 0..5);
    (
        (vec(text(256), 0..9), times, option::of(text(2_048)), vec(disk, 0..4)),
        (vec(service, 0..4), authority, vec(text(256), 0..4), more, any::<u32>()),
    )
        .prop_map(|((updates, times, words, disks), (services, authority, roles, more, n))| {
            HostState {
                updates,
                last_scan: times[0],
                last_install: times[1],
                last_backup: times[2],
                booted_at: times[3],
                pending_reboot: words.clone(),
                disks,
                services,
                update_authority: authority,
                update_authority_proof: words,
                roles,
                agent: AgentHealth {
                    spool_items: n.into(),
                    files_damaged: n.into(),
                    ceiling: "observe".to_owned(),
                    ..AgentHealth::default()
                },
                more,
                at: times[4],
            }
        })
}

/// Through the bytes, as it really travels.
fn sent<T: prost::Message + Default>(message: &T) -> T {
    T::decode(message.encode_to_vec().as_slice()).expect("own bytes")
}

proptest! {
    #[test]
    fn items_return_as_themselves(item in item()) {
        prop_assert_eq!(SpoolItem::try_from(sent(&v1::SpoolItem::from(&item))), Ok(item));
    }

    #[test]
    fn states_return_as_themselves(state in state()) {
        prop_assert_eq!(HostState::try_from(sent(&v1::HostState::from(&state))), Ok(state));
    }

    #[test]
    fn hellos_return_as_themselves(
        facts in facts(), epoch in id::<SpoolEpoch>(), order_counter in 0..u64::from(u32::MAX),
        jobs in vec((id::<JobId>(), 1u32..9, select(JobState::ALL)), 0..3),
    ) {
        let open_jobs = jobs.into_iter()
            .map(|(job, attempt, state)| OpenJob { job, attempt, state }).collect();
        let hello = Hello { facts, epoch, order_counter, open_jobs };
        prop_assert_eq!(Hello::try_from(sent(&v1::Hello::from(hello.clone()))), Ok(hello));
    }

    #[test]
    fn orders_return_as_themselves(
        ids in (id::<HostId>(), id::<JobId>(), id::<IncidentId>()), key in key(),
        names in (slug(), slug()), numbers in (1u32..9, any::<u32>(), any::<u64>()),
        evidence in vec(id::<EvidenceId>(), 0..5), times in (at(), at()),
        task in prop_oneof![
            Just(Task::Remediate), Just(Task::Verify),
            (id::<JobId>(), any::<u32>()).prop_map(|(job, attempt)| Task::Undo { job, attempt }),
        ],
        spans in vec((0i64..9_999, 1i64..9_999), 0..4), reboot in select(RebootPolicy::ALL),
        users in (any::<u8>(), 0u32..86_400),
    ) {
        let moment = Timestamp::from_millis;
        let span = |(from, long)| Interval { from: moment(from), until: moment(from + long) };
        let order = Order {
            host: ids.0, job: ids.1, attempt: numbers.0, incident: ids.2, key,
            cause: names.0, remediation: names.1, version: numbers.1, digest: "ab".repeat(32),
            evidence, counter: numbers.2, not_before: times.0, expires: times.1, task,
            begin_in: spans.into_iter().map(span).collect(), reboot,
            max_deferrals: users.0, notice_seconds: users.1,
        };
        let bytes = encode_order(&order);
        // An agent from before there were tasks must not take another task for a remediation.
        let wire = v1::OrderPayload::decode(bytes.as_slice()).expect("decodes");
        prop_assert_eq!(wire.remediation.is_empty(), order.task != Task::Remediate);
        // Nor may one of today pass over what a newer server says that it must know.
        let newer = v1::OrderPayload { must_know: vec!["pace".to_owned()], ..wire };
        let newer = newer.encode_to_vec();
        prop_assert_eq!(decode_order(&newer).expect_err("unknown").field, "must_know");
        let whose = Whose { host: order.host, job: order.job, attempt: order.attempt };
        prop_assert_eq!(whose_order(&newer), Some(whose));
        prop_assert_eq!(decode_order(&bytes), Ok(order));
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        if let Ok(wire) = v1::SpoolItem::decode(bytes.as_slice()) {
            let _ = SpoolItem::try_from(wire);
        }
        if let Ok(wire) = v1::HostState::decode(bytes.as_slice()) {
            let _ = HostState::try_from(wire);
        }
        let _ = decode_order(&bytes);
    }
}

fn failure() -> v1::ReportedFailure {
    v1::ReportedFailure {
        id: vec![1; 16],
        at: 1,
        failure: Some(v1::FailureReport {
            product: v1::Product::Apt.into(),
            operation: v1::Operation::Install.into(),
            code: Some("apt.dpkg_interrupted".to_owned()),
            kind: v1::Kind::Failure.into(),
            time: "2026-11-22T08:00:00.000Z".to_owned(),
            source: v1::Source::Apt.into(),
            ..v1::FailureReport::default()
        }),
        evidence: vec![],
    }
}

fn refused(change: impl FnOnce(&mut v1::ReportedFailure)) -> (String, String) {
    let mut wire = failure();
    change(&mut wire);
    let item = v1::SpoolItem { item: Some(v1::spool_item::Item::Failure(wire)) };
    let err = SpoolItem::try_from(item).expect_err("must be refused");
    (err.field, err.problem)
}

#[test]
fn what_is_over_a_bound_or_unknown_is_refused_by_its_field() {
    fn report(change: impl FnOnce(&mut v1::FailureReport)) -> (String, String) {
        refused(|wire| change(wire.failure.as_mut().expect("there")))
    }
    let cases = [
        (refused(|w| w.id = vec![1; 15]), "failure.id", "15 bytes"),
        (refused(|w| w.at = -1), "failure.at", "1970 to 9999"),
        (refused(|w| w.failure = None), "failure.failure", "missing"),
        (
            refused(|w| w.evidence = vec![v1::Evidence::default(); 65]),
            "failure.evidence",
            "at most 64",
        ),
        (
            refused(|w| w.evidence = vec![v1::Evidence::default()]),
            "failure.evidence[0].id",
            "0 bytes",
        ),
        (report(|r| r.product = 99), "failure.product", "99 is no Product"),
        (report(|r| r.kind = 0), "failure.kind", "missing"),
        (report(|r| r.code = Some("0x8007".to_owned())), "failure.code", "not a failure code"),
        (
            report(|r| r.subject = Some("x".repeat(513))),
            "failure.subject",
            "513 bytes; at most 512",
        ),
        (report(|r| r.message = "x".repeat(1_025)), "failure.message", "at most 1024"),
        (report(|r| r.message = "\0".to_owned()), "failure.message", "NUL"),
        (report(|r| r.time = "yesterday".to_owned()), "failure.time", "not a time"),
        (report(|r| r.record_id = Some(u64::MAX)), "failure.record_id", "at most"),
    ];
    for ((field, problem), wanted, part) in cases {
        assert_eq!(field, wanted, "{problem}");
        assert!(problem.contains(part), "{field}: {problem}");
    }
}

#[test]
fn a_kind_of_item_from_the_future_is_refused_and_not_a_panic() {
    // Field 15 is none of ours.
    let wire = v1::SpoolItem::decode([0x7a, 0x00].as_slice()).expect("skipped");
    assert_eq!(SpoolItem::try_from(wire).expect_err("refused").field, "item");
}

#[test]
fn a_state_over_its_bounds_is_refused_by_its_field() {
    let field = |wire: v1::HostState| HostState::try_from(wire).expect_err("refused").field;
    let more: BTreeMap<_, _> = (0..65).map(|n| (n.to_string(), String::new())).collect();
    assert_eq!(
        field(v1::HostState { more: more.into_iter().collect(), ..Default::default() }),
        "more"
    );
    assert_eq!(
        field(v1::HostState { updates: vec![String::new(); 501], ..Default::default() }),
        "updates"
    );
    assert_eq!(
        field(v1::HostState { updates: vec!["x".repeat(200_000)], ..Default::default() }),
        "host_state"
    );
    assert_eq!(field(v1::HostState { last_scan: Some(-5), ..Default::default() }), "last_scan");
    let disk = v1::Disk { size_bytes: u64::MAX, ..Default::default() };
    assert_eq!(
        field(v1::HostState { disks: vec![disk], ..Default::default() }),
        "disks.size_bytes"
    );
}

#[test]
fn nul_characters_are_replaced_on_the_way_out() {
    let item =
        SpoolItem::Gap(Gap { items: 1, reason: "a\0b".to_owned(), at: Timestamp::from_millis(1) });
    let back = SpoolItem::try_from(v1::SpoolItem::from(&item)).expect("taken");
    assert!(matches!(back, SpoolItem::Gap(gap) if gap.reason == "a\u{FFFD}b"));
}
