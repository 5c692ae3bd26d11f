use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::ids::EvidenceId;
use fleetmend_core::job::{JobState, ProofLevel, StepState};
use fleetmend_core::knowledge::{Strength, Verification};
use fleetmend_core::order::Order;
use fleetmend_core::report::Product;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::step::{Action, Hive, Step, Tool};

use super::world::{NOW, World, end, rename, settle, slug, step, told, tool};

fn impossible() -> Step {
    step(Action::RegistryDelete { hive: Hive::LocalMachine, key: "k".into(), name: "n".into() })
}

fn service(action: fn(String) -> Action, always: bool) -> Step {
    Step { always, ..step(action("a.service".to_owned())) }
}

#[tokio::test]
async fn a_repair_is_done_proved_and_told_in_order() {
    let world = World::with(|r| {
        r.steps = vec![tool(Tool::DpkgConfigureAll)];
        r.verification = Verification::AptCheck;
    });
    world.machine.answers.lock().expect("lock").insert("-a".into(), (0, "Setting up x\n".into()));
    let updates = world.run(&world.order(1)).await;
    let states: Vec<JobState> = updates.iter().map(|u| u.state).collect();
    assert_eq!(
        states,
        [
            JobState::Running,
            JobState::Running,
            JobState::Running,
            JobState::Verifying,
            JobState::Fixed
        ]
    );
    let last = updates.last().expect("an end");
    assert_eq!(last.proof, Some(ProofLevel::Repeated));
    assert_eq!(last.evidence[0].answer, Answer::No);
    assert_eq!(
        world.calls(),
        [
            "/usr/bin/dpkg --force-confdef --force-confold --configure -a",
            "/usr/bin/dpkg --audit",
            "/usr/bin/apt-get -q check"
        ]
    );
}

#[tokio::test]
async fn output_travels_as_it_came() {
    let world = World::new(vec![tool(Tool::DpkgConfigureAll)]);
    let text = "ошибка\n".repeat(5_000);
    world.machine.answers.lock().expect("lock").insert("-a".into(), (0, text.clone()));
    let executor = world.executor();
    executor.offer(&world.authority.key(), &world.authority.sign(&world.order(1)));
    settle(&executor).await;
    let mut logged = String::new();
    let mut spool = executor.shop.spool.lock();
    while let Some(lease) = spool.lease(100, NOW) {
        for item in lease.items {
            if let SpoolItem::Log(log) = item {
                assert!(log.text.len() <= fleetmend_core::limits::LOG_CHUNK_BYTES);
                logged.push_str(&log.text);
            }
        }
    }
    assert!(logged == text, "{} of {} bytes", logged.len(), text.len());
}

#[tokio::test]
async fn a_failed_repair_says_what_the_program_said() {
    let world = World::new(vec![tool(Tool::DpkgConfigureAll)]);
    let said = (1, "one\nsub-process returned error 7\n".to_owned());
    world.machine.answers.lock().expect("lock").insert("-a".into(), said);
    let (state, why) = end(&world.run(&world.order(1)).await);
    assert_eq!(state, JobState::Failed, "what cannot be undone is not called rolled back");
    assert!(why.contains("exit 1") && why.contains("error 7"), "{why}");
}

#[tokio::test]
async fn what_was_done_is_taken_back_last_first() {
    let world = World::new(vec![rename("pkg/a"), rename("pkg/b"), impossible()]);
    world.write("var/lib/pkg/a/file");
    world.write("var/lib/pkg/b");
    let updates = world.run(&world.order(1)).await;
    let undone: Vec<u32> = updates
        .iter()
        .filter_map(|u| u.step.as_ref())
        .filter(|s| s.state == StepState::Undone)
        .map(|s| s.index)
        .collect();
    assert_eq!(undone, [1, 0]);
    assert_eq!(end(&updates).0, JobState::RolledBack);
    assert!(world.path("var/lib/pkg/a/file").exists() && world.path("var/lib/pkg/b").exists());
}

#[tokio::test]
async fn a_repair_that_does_not_cure_is_taken_back() {
    let world = World::new(vec![rename("pkg/a")]);
    world.write("var/lib/pkg/a");
    world.answer("test.fault", &[Answer::Yes]);
    let (state, why) = end(&world.run(&world.order(1)).await);
    assert_eq!(state, JobState::RolledBack);
    assert!(why.contains("the cause is still there"), "{why}");
    assert!(world.path("var/lib/pkg/a").exists());
}

#[tokio::test]
async fn stopped_services_run_again_whatever_happened() {
    let stop = service(|service| Action::ServiceStop { service }, false);
    let start = service(|service| Action::ServiceStart { service }, true);
    let world = World::new(vec![stop, tool(Tool::DpkgConfigureAll), start]);
    world.machine.running.lock().expect("lock").push("a.service".into());
    world.machine.answers.lock().expect("lock").insert("-a".into(), (2, String::new()));
    assert_eq!(end(&world.run(&world.order(1)).await).0, JobState::Failed);
    assert_eq!(*world.machine.running.lock().expect("lock"), ["a.service"]);
    assert_eq!(
        world.calls(),
        [
            "stop a.service",
            "/usr/bin/dpkg --force-confdef --force-confold --configure -a",
            "start a.service"
        ]
    );
}

#[tokio::test]
async fn a_cause_that_is_gone_is_left_alone() {
    let world = World::new(vec![tool(Tool::DpkgConfigureAll)]);
    world.answer("test.fault", &[Answer::No]);
    assert_eq!(end(&world.run(&world.order(1)).await).0, JobState::NotApplicable);
    world.answer("test.fault", &[Answer::Unknown]);
    let updates = world.run(&world.order(2)).await;
    assert_eq!(end(&updates).0, JobState::Unverified);
    assert!(updates.iter().any(|u| u.detail.contains("still there is not known")));
    assert_eq!(world.calls().len(), 1);
}

/// What the cause's own probe says settles nothing where its *no* is weak: neither at the door nor as
/// the proof.
#[tokio::test]
async fn a_weak_no_ends_nothing_and_proves_nothing() {
    let mut world = World::new(vec![tool(Tool::DpkgConfigureAll)]);
    let mut catalogue = world.catalogue.clone();
    for cause in catalogue.causes.values_mut() {
        cause.indications[0].no = Strength::WeakAgainst;
    }
    world.catalogue = Box::leak(Box::new(catalogue));
    world.answer("test.fault", &[Answer::No]);
    let updates = world.run(&world.order(1)).await;
    let (state, why) = end(&updates);
    assert!(state == JobState::Unverified && why.contains("is not known"), "{state} {why}");
    assert!(updates.iter().any(|u| u.detail.contains("does not see the cause")), "{updates:#?}");
    assert_eq!(world.calls().len(), 1, "done all the same");
    // Its yes still means that it is not cured.
    world.answer("test.fault", &[Answer::No, Answer::Yes]);
    assert_eq!(end(&world.run(&world.order(2)).await).0, JobState::Failed);
}

/// A restart that is long due is no operation: no run of it is ever seen.
#[tokio::test]
async fn a_state_of_the_host_is_proved_by_its_probe_where_else_a_run_is_awaited() {
    let world = World::with(|remediation| {
        remediation.steps = vec![tool(Tool::DpkgConfigureAll)];
        remediation.verification = Verification::NextRun;
    });
    let mut order = world.order(1);
    order.key.code = "reboot.pending_aged".parse().ok();
    let updates = world.run(&order).await;
    assert_eq!(end(&updates).0, JobState::Fixed);
    assert_eq!(updates.last().and_then(|u| u.proof), Some(ProofLevel::ProbeOnly));
    // Any other failure waits for its run.
    world.answer("test.fault", &[Answer::Yes, Answer::No]);
    let updates = world.run(&world.order(2)).await;
    assert_eq!(updates.last().map(|u| u.state), Some(JobState::Verifying));
}

#[tokio::test]
async fn blockers_are_waited_for_and_named() {
    let world = World::new(vec![tool(Tool::DpkgConfigureAll)]);
    world.answer("test.blocker", &[Answer::Yes, Answer::Yes, Answer::No]);
    let updates = world.run(&world.order(1)).await;
    let blocked: Vec<&str> = updates
        .iter()
        .filter(|u| u.state == JobState::Blocked)
        .map(|u| u.detail.as_str())
        .collect();
    assert_eq!(blocked, ["test.blocker: test.blocker is yes"], "told once");
    assert_eq!(end(&updates).0, JobState::Fixed);
}

#[tokio::test]
async fn a_blocked_job_ends_with_its_time_or_when_taken_back() {
    let world = World::new(vec![tool(Tool::DpkgConfigureAll)]);
    world.answer("test.blocker", &[Answer::Yes]);
    let executor = world.executor();
    executor.offer(&world.authority.key(), &world.authority.sign(&world.order(1)));
    executor.offer(&world.authority.key(), &world.authority.sign(&world.order(2)));
    executor.recall(world.order(1).job, "not wanted".to_owned());
    world.clock.advance(std::time::Duration::from_hours(3));
    settle(&executor).await;
    let updates = told(&executor);
    let of = |counter| {
        let job = world.order(counter).job;
        end(&updates.iter().filter(|u| u.job == job).cloned().collect::<Vec<_>>())
    };
    assert_eq!(of(1), (JobState::Cancelled, "not wanted".to_owned()));
    assert_eq!(of(2).0, JobState::Skipped);
    assert!(of(2).1.contains("test.blocker"), "{}", of(2).1);
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn the_days_limit_makes_jobs_wait() {
    let world = World::new(vec![tool(Tool::DpkgConfigureAll)]);
    world.ceiling("risk = \"safe\"\nactions_per_day = 1");
    assert_eq!(end(&world.run(&world.order(1)).await).0, JobState::Fixed);
    world.answer("test.fault", &[Answer::Yes, Answer::No]);
    let executor = world.executor();
    executor.offer(&world.authority.key(), &world.authority.sign(&world.order(2)));
    world.clock.advance(std::time::Duration::from_hours(2));
    settle(&executor).await;
    let (state, why) = end(&told(&executor));
    assert!(state == JobState::Skipped && why.contains("1 jobs a day"), "{why}");
}

#[tokio::test]
async fn values_come_from_the_agents_own_evidence_only() {
    let reset =
        Action::ToolRun { tool: Tool::SystemctlResetFailed, value_from: Some(slug("test.unit")) };
    let world = World::new(vec![step(reset)]);
    let (state, why) = end(&world.run(&world.order(1)).await);
    assert!(state == JobState::Failed && why.contains("order names none"), "{why}");
    let id = crate::random::evidence_id(NOW);
    let mut evidence = fleetmend_core::evidence::Finding::new(Answer::Yes, "failed").into_evidence(
        id,
        slug("test.unit"),
        NOW,
    );
    for (counter, value, wanted) in [
        (2, "--help", JobState::Failed),
        (3, "a.service; rm", JobState::Failed),
        (4, "a.service", JobState::Fixed),
    ] {
        evidence.value = Some(value.to_owned());
        world.remember(&evidence);
        world.answer("test.fault", &[Answer::Yes, Answer::No]);
        let mut order = world.order(counter);
        order.evidence = vec![id];
        assert_eq!(end(&world.run(&order).await).0, wanted, "{value}");
    }
    assert_eq!(world.calls(), ["reset-failed a.service"]);
}

/// An order against a failed unit, and the world of it.
fn unit_world() -> (World, Order) {
    let reset =
        Action::ToolRun { tool: Tool::SystemctlResetFailed, value_from: Some(slug("test.unit")) };
    let world = World::with(|remediation| {
        remediation.steps = vec![step(reset)];
        remediation.verification = Verification::SystemdUnit;
    });
    let mut order = world.order(1);
    order.key.product = Product::Systemd;
    order.key.subject = Some("b.service".to_owned());
    (world, order)
}

fn saw(world: &World, unit: &str) -> EvidenceId {
    let id = crate::random::evidence_id(NOW);
    let mut evidence =
        Finding::new(Answer::Yes, "failed").into_evidence(id, slug("test.unit"), NOW);
    evidence.value = Some(unit.to_owned());
    world.remember(&evidence);
    id
}

#[tokio::test]
async fn an_order_against_one_unit_never_touches_another() {
    let (world, mut order) = unit_world();
    // The server names the evidence that it has of the probe: of another unit that failed too.
    let other = saw(&world, "a.service");
    order.evidence = vec![other];
    let (state, why) = end(&world.run(&order).await);
    assert!(state == JobState::Failed && why.contains("order names none"), "{why}");
    assert_eq!(world.calls(), Vec::<String>::new());

    let (world, mut order) = unit_world();
    saw(&world, "b.service");
    order.evidence = vec![saw(&world, "a.service")];
    let (state, why) = end(&world.run(&order).await);
    assert_eq!(state, JobState::Fixed, "{why}");
    assert_eq!(world.calls(), ["reset-failed b.service", "start b.service"]);
}

#[tokio::test]
async fn a_unit_that_systemd_does_not_run_anew_proves_nothing() {
    let (world, mut order) = unit_world();
    order.evidence = vec![saw(&world, "b.service")];
    world.machine.running.lock().expect("lock").push("b.service".to_owned());
    let (state, why) = end(&world.run(&order).await);
    assert!(state == JobState::Unverified && why.contains("it ran already"), "{why}");
}
