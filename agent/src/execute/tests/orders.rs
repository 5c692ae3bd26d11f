use std::time::Duration;

use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::order::{Order, Task};
use fleetmend_core::step::Tool;
use fleetmend_proto::trust::ORDER_KEY_USAGE;
use fleetmend_proto::v1;
use prost::Message as _;

use super::authority::Authority;
use super::world::{NOW, World, end, settle, slug, told, tool};
use crate::execute::Offered;

fn world() -> World {
    World::new(vec![tool(Tool::DpkgConfigureAll)])
}

#[tokio::test]
async fn forged_orders_are_counted_and_never_answered() {
    let world = world();
    let (ours, foreign) = (&world.authority, Authority::new());
    let order = world.order(1);
    let good = ours.sign(&order);
    let mut flipped = good.clone();
    flipped.payload[3] ^= 1;
    let mut signature = good.clone();
    signature.signature[0] ^= 1;
    let no_order_key = ours.certify(None, (2020, 2100));
    let expired = ours.certify(Some(ORDER_KEY_USAGE), (2020, 2021));
    let cases = [
        ("a flipped payload", ours.key(), flipped),
        ("a flipped signature", ours.key(), signature),
        ("another server's key", ours.key(), foreign.sign(&order)),
        ("another server's chain", foreign.key(), foreign.sign(&order)),
        (
            "another server's chain under our pin",
            foreign.key_by(foreign.certify(Some(ORDER_KEY_USAGE), (2020, 2100)), ours.pin()),
            foreign.sign(&order),
        ),
        (
            "a certificate for hosts",
            ours.key_by(no_order_key.clone(), ours.pin()),
            ours.sign_by(&order, &no_order_key),
        ),
        (
            "an expired order key",
            ours.key_by(expired.clone(), ours.pin()),
            ours.sign_by(&order, &expired),
        ),
        ("no chain", crate::order::OrderKey::new(Vec::new(), ours.pin()), good.clone()),
    ];
    let executor = world.executor();
    let count = cases.len() as u64;
    for (what, key, envelope) in cases {
        let offered = match what {
            // The pin belongs to the agent, whatever chain a server sends.
            "another server's chain" => executor.offer(
                &foreign.key_by(foreign.certify(Some(ORDER_KEY_USAGE), (2020, 2100)), ours.pin()),
                &envelope,
            ),
            _ => executor.offer(&key, &envelope),
        };
        assert_eq!(offered, Offered::Forged, "{what}");
    }
    settle(&executor).await;
    assert_eq!((told(&executor).len(), world.calls().len()), (0, 0));
    assert_eq!(executor.shop.book().forged, count);
    assert_eq!(executor.highest_counter(), 0);
    assert_eq!(executor.offer(&ours.key(), &good), Offered::Taken, "the right one is taken");
}

#[tokio::test]
async fn an_order_for_another_host_is_not_answered() {
    let world = world();
    let order = Order { host: HostId::at(NOW, [9; 10]), ..world.order(1) };
    let executor = world.executor();
    let envelope = world.authority.sign(&order);
    assert_eq!(executor.offer(&world.authority.key(), &envelope), Offered::Forged);
    assert!(told(&executor).is_empty());
}

#[tokio::test]
async fn replayed_rolled_back_expired_and_early_orders_are_refused() {
    let world = world();
    let hour = Duration::from_hours(1);
    assert_eq!(end(&world.run(&world.order(5)).await).0, JobState::Fixed);
    let ran = world.calls().len();
    let executor = world.executor();
    assert_eq!(executor.highest_counter(), 5, "the counter is on disk");

    let replay = world.authority.sign(&world.order(5));
    assert_eq!(executor.offer(&world.authority.key(), &replay), Offered::Known);

    let old = Order { job: JobId::at(NOW, [77; 10]), ..world.order(5) };
    let lower = Order { job: JobId::at(NOW, [78; 10]), counter: 4, ..world.order(5) };
    let expired = Order { expires: NOW.before(hour), ..world.order(6) };
    let early = Order { not_before: NOW.after(hour), ..world.order(7) };
    for (order, words) in [
        (old, "is not above 5"),
        (lower, "is not above 5"),
        (expired, "expired"),
        (early, "before"),
    ] {
        let envelope = world.authority.sign(&order);
        assert_eq!(executor.offer(&world.authority.key(), &envelope), Offered::Refused);
        let (state, why) = end(&told(&executor));
        assert_eq!(state, JobState::Skipped);
        assert!(why.contains(words), "{why}");
    }
    settle(&executor).await;
    assert_eq!(world.calls().len(), ran, "nothing ran again");
}

#[tokio::test]
async fn what_the_own_catalogue_does_not_hold_is_refused_by_name() {
    let world = world();
    let right = world.order(1);
    let cases = [
        (
            Order { remediation: slug("test.unknown"), ..right.clone() },
            "no remediation \"test.unknown\"",
        ),
        (Order { version: 4, ..right.clone() }, "version 3"),
        (Order { digest: "0".repeat(64), ..right.clone() }, "other contents"),
        (Order { cause: slug("test.nothing"), ..right.clone() }, "no cause \"test.nothing\""),
        (Order { cause: slug("test.other"), ..right }, "no remediation against"),
    ];
    for (n, (order, words)) in (1u8..).zip(cases) {
        let order = Order { counter: n.into(), job: JobId::at(NOW, [50 + n; 10]), ..order };
        let (state, why) = end(&world.run(&order).await);
        assert_eq!(state, JobState::Skipped);
        assert!(why.contains(words), "{why}");
    }
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn a_fresh_host_refuses_everything_and_says_so() {
    let world = world();
    std::fs::remove_file(world.ceiling_file()).expect("removed");
    let (state, why) = end(&world.run(&world.order(1)).await);
    assert_eq!(state, JobState::Skipped);
    assert!(why.contains("ceiling is \"observe\""), "{why}");
    world.ceiling("risk = \"sefe\"");
    let (state, why) = end(&world.run(&world.order(2)).await);
    assert!(state == JobState::Skipped && why.contains("not usable"), "{why}");
    world.ceiling("risk = \"safe\"\nfamilies = [\"file.*\"]");
    let (state, why) = end(&world.run(&world.order(3)).await);
    assert!(state == JobState::Skipped && why.contains("tool.run"), "{why}");
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn the_kill_switch_works_without_a_server() {
    let world = world();
    std::fs::write(world.state().join("halt"), "").expect("written");
    let (state, why) = end(&world.run(&world.order(1)).await);
    assert!(state == JobState::Skipped && why.contains("kill switch"), "{why}");
    assert!(world.calls().is_empty());
}

/// What a newer server asks for that this agent has never heard of.
#[tokio::test]
async fn what_is_not_understood_is_refused_and_never_taken_for_a_remediation() {
    let world = world();
    let wire = |order: &Order| {
        let bytes = fleetmend_proto::encode_order(order);
        v1::OrderPayload::decode(bytes.as_slice()).expect("decodes")
    };
    let order = Order { task: Task::Verify, ..world.order(1) };
    let mut task = wire(&order);
    task.task.as_mut().expect("a task").kind = None;
    let needs = v1::OrderPayload { must_know: vec!["pace".to_owned()], ..wire(&world.order(2)) };
    let reboot = v1::OrderPayload { reboot: 99, ..wire(&world.order(3)) };
    let executor = world.executor();
    for (wire, words) in [(task, "task: is none"), (needs, "\"pace\""), (reboot, "reboot")] {
        let envelope = world.authority.sign_bytes(wire.encode_to_vec());
        assert_eq!(executor.offer(&world.authority.key(), &envelope), Offered::Refused);
        let (state, why) = end(&told(&executor));
        assert_eq!(state, JobState::Skipped);
        assert!(why.contains("does not understand the order") && why.contains(words), "{why}");
    }
    let foreign = v1::OrderPayload {
        host: HostId::at(NOW, [9; 10]).0.as_bytes().to_vec(),
        must_know: vec!["pace".to_owned()],
        ..wire(&world.order(4))
    };
    for bytes in [foreign.encode_to_vec(), vec![0xff; 9]] {
        let envelope = world.authority.sign_bytes(bytes);
        assert_eq!(executor.offer(&world.authority.key(), &envelope), Offered::Forged);
    }
    settle(&executor).await;
    assert_eq!((told(&executor).len(), world.calls().len()), (3, 0));
}

#[tokio::test]
async fn passwords_in_the_words_of_a_program_stay_on_the_host() {
    let world = world();
    let said = "Err:1 https://fleet:hunter2@mirror.example.com/x\nE: ssh://root:hunter2@h";
    world.machine.answers.lock().expect("lock").insert(String::new(), (100, said.to_owned()));
    let executor = world.executor();
    executor.offer(&world.authority.key(), &world.authority.sign(&world.order(1)));
    settle(&executor).await;
    let mut spool = executor.shop.spool.lock();
    let mut text = String::new();
    while let Some(lease) = spool.lease(100, NOW) {
        text.push_str(&serde_json::to_string(&lease.items).expect("json"));
    }
    assert!(text.contains("https://***@mirror.example.com/x"), "{text}");
    assert!(
        text.contains("ended with exit 100: Err:1 https://***@"),
        "in the words of the end too"
    );
    assert!(!text.contains("hunter2"), "{text}");
}
