//! Before a restart: named obstacles, the window, the users' word, and one that somebody else made.

use std::time::Duration;

use fleetmend_core::campaign::RebootPolicy;
use fleetmend_core::evidence::Answer;
use fleetmend_core::hold::{Freeze, Halt, Interval};
use fleetmend_core::job::JobState;
use fleetmend_core::order::Order;
use fleetmend_core::step::{Action, Tool};
use tokio_util::sync::CancellationToken;

use super::machine::People;
use super::world::{NOW, World, end, settle, step, told, tool};
use crate::execute::Executor;
use crate::execute::runner::Came;
use crate::platform::Power;

const HOUR: Duration = Duration::from_hours(1);

fn world(people: People) -> World {
    let world = World::new(vec![tool(Tool::DpkgConfigureAll), step(Action::Reboot {})]);
    *world.machine.people.lock().expect("lock") = people;
    world
}

fn order(world: &World) -> Order {
    Order { notice_seconds: 60, max_deferrals: 2, ..world.order(1) }
}

fn asked(world: &World) -> bool {
    world.calls().iter().any(|call| call.starts_with("reboot"))
}

/// The last thing that was told of the waiting restart.
fn pending(executor: &Executor) -> String {
    let updates = told(executor);
    let last = updates.iter().rfind(|u| u.state == JobState::RebootPending && !u.detail.is_empty());
    last.map(|u| u.detail.clone()).unwrap_or_default()
}

/// Works until the restart was asked for; in between, whenever it is told why it waits, `next` says
/// what changes.
async fn restarted(world: &World, order: &Order, mut next: impl FnMut(&str)) {
    let executor = taken(world, order);
    let look = async {
        let mut seen = String::new();
        while !asked(world) {
            let now = pending(&executor);
            if now != seen {
                next(&now);
                seen = now;
            }
            tokio::task::yield_now().await;
        }
    };
    working(&executor, look).await;
}

/// An agent that has taken the order.
fn taken(world: &World, order: &Order) -> Executor {
    let executor = world.executor();
    executor.offer(&world.authority.key(), &world.authority.sign(order));
    executor
}

/// Works at the job until `look` is over; it must not end before.
async fn working(executor: &Executor, look: impl Future<Output = ()>) {
    let stop = CancellationToken::new();
    let journal = executor.queue().pop_front().expect("taken");
    let both = async {
        tokio::select! {
            came = executor.work(journal, &stop) => panic!("{came:?}, {:?}", told(executor)),
            () = look => {}
        }
    };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("it restarts");
}

/// Waits until it is told that the restart waits for this.
async fn waits(executor: &Executor, words: &str) {
    while !pending(executor).contains(words) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_host_that_nobody_could_start_again_is_not_begun() {
    let world = world(People { asks: Some("a PIN".to_owned()), ..People::default() });
    let (state, why) = end(&world.run(&order(&world)).await);
    assert!(state == JobState::Skipped && why.contains("startup_key: "), "{why}");
    assert!(world.calls().is_empty(), "not even its first step");
}

#[tokio::test]
async fn it_waits_for_the_mains_and_for_others_at_work() {
    let world = world(People {
        power: Some(Power { on_battery: true, percent: Some(90) }),
        ..People::default()
    });
    world.answer("apt_lock_held", &[Answer::Yes]);
    let mut told = Vec::new();
    restarted(&world, &order(&world), |why| {
        told.push(why.to_owned());
        if why.contains("on_battery") {
            world.machine.people.lock().expect("lock").power = None;
        }
        if why.contains("apt_lock_held") {
            world.answer("apt_lock_held", &[Answer::No]);
        }
    })
    .await;
    assert!(told.iter().any(|t| t.contains("on_battery: the host runs on battery")), "{told:?}");
    assert!(told.iter().any(|t| t.contains("apt_lock_held: ")), "{told:?}");
}

#[tokio::test]
async fn it_waits_for_its_window() {
    let world = world(People::default());
    let span = |from: u32, until: u32| Interval {
        from: NOW.after(HOUR * from),
        until: NOW.after(HOUR * until),
    };
    let begin_in = vec![span(0, 1), span(10, 12)];
    let order = Order {
        begin_in,
        reboot: RebootPolicy::InWindow,
        expires: NOW.after(HOUR * 24),
        ..order(&world)
    };
    let executor = taken(&world, &order);
    // The first step takes until after the window.
    world.machine.slow.lock().expect("lock").replace((world.clock.clone(), HOUR * 2));
    let look = async {
        waits(&executor, "waits for its window: opens").await;
        assert!(!asked(&world));
        world.clock.advance(HOUR * 8);
        while !asked(&world) {
            tokio::task::yield_now().await;
        }
    };
    working(&executor, look).await;
}

#[tokio::test]
async fn users_are_told_and_put_it_off_as_often_as_they_may() {
    let world =
        world(People { sessions: vec!["anna".to_owned()], put_off: 9, ..People::default() });
    let mut waits = 0;
    restarted(&world, &order(&world), |why| {
        if why.contains("deferred by anna until") {
            waits += 1;
            world.clock.advance(HOUR);
        }
    })
    .await;
    assert_eq!(waits, 2, "two times, and then no more");
    assert_eq!(world.machine.people.lock().expect("lock").told, 3);
}

#[tokio::test]
async fn a_restart_that_is_never_possible_ends_the_job() {
    let world = world(People {
        power: Some(Power { on_battery: true, percent: Some(90) }),
        ..People::default()
    });
    let executor = taken(&world, &order(&world));
    let look = async {
        waits(&executor, "on_battery").await;
        world.clock.advance(HOUR * 25);
    };
    let both = async { tokio::join!(settle(&executor), look) };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("it ends");
    let (state, why) = end(&told(&executor));
    assert!(state == JobState::Failed && why.contains("not restarted within 24 hours"), "{why}");
    assert!(!asked(&world));
}

#[tokio::test]
async fn no_host_goes_down_in_a_freeze_or_while_the_fleet_is_halted() {
    let world = world(People::default());
    let order = order(&world);
    let executor = taken(&world, &order);
    // It begins before the freeze, and its first step takes until the freeze has begun.
    let span = Interval { from: NOW.after(HOUR), until: NOW.after(HOUR * 3) };
    executor.freeze(vec![Freeze { span, name: "end of the quarter".to_owned() }]);
    world.machine.slow.lock().expect("lock").replace((world.clock.clone(), HOUR * 2));
    let waits = async |words: &str| {
        waits(&executor, words).await;
        assert!(!asked(&world), "{words}");
    };
    let look = async {
        waits("a freeze until ").await;
        executor.halt(Halt { on: true, reason: "bad restarts".to_owned() });
        world.clock.advance(HOUR);
        waits("the fleet is halted: bad restarts").await;
        executor.halt(Halt::default());
        while !asked(&world) {
            tokio::task::yield_now().await;
        }
    };
    working(&executor, look).await;
}

#[tokio::test]
async fn the_ceiling_has_the_last_word_before_a_restart() {
    let world = world(People {
        power: Some(Power { on_battery: true, percent: Some(90) }),
        ..People::default()
    });
    let executor = taken(&world, &order(&world));
    let look = async {
        waits(&executor, "on_battery").await;
        // Eight in the morning, and the host's own hours are over.
        world.ceiling("risk = \"dangerous\"\nreboot = true\nhours = \"09:00-10:00\"");
        waits(&executor, "hours for work are 09:00-10:00").await;
        world.ceiling("risk = \"dangerous\"");
    };
    let both = async { tokio::join!(settle(&executor), look) };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("it ends");
    let (state, why) = end(&told(&executor));
    assert!(state == JobState::Failed && why.contains("does not allow a restart"), "{why}");
    assert!(!asked(&world));
}

#[tokio::test]
async fn users_are_told_again_where_the_restart_was_held_back_after_their_notice() {
    for (held, told) in [(Duration::from_mins(10), 1), (HOUR, 2)] {
        let world = world(People { sessions: vec!["anna".to_owned()], ..People::default() });
        world.answer("apt_lock_held", &[Answer::No, Answer::Yes]);
        restarted(&world, &order(&world), |why| {
            if why.contains("apt_lock_held") {
                world.clock.advance(held);
                world.answer("apt_lock_held", &[Answer::No]);
            }
        })
        .await;
        assert_eq!(world.machine.people.lock().expect("lock").told, told, "held for {held:?}");
    }
}

#[tokio::test]
async fn a_restart_by_somebody_else_is_as_good() {
    let world = world(People {
        power: Some(Power { on_battery: true, percent: Some(90) }),
        ..People::default()
    });
    let executor = taken(&world, &order(&world));
    working(&executor, waits(&executor, "on_battery")).await;
    drop(executor);
    *world.machine.boot.lock().expect("lock") = "boot-2".to_owned();
    world.answer("test.fault", &[Answer::No]);
    let executor = world.executor();
    settle(&executor).await;
    assert_eq!(end(&told(&executor)).0, JobState::Fixed);
    assert!(!asked(&world), "it is not restarted a second time");
}

#[tokio::test]
async fn a_restart_does_not_wait_for_the_agent_that_asked_for_it() {
    let world = world(People::default());
    let executor = taken(&world, &order(&world));
    let journal = executor.queue().pop_front().expect("taken");
    let stop = CancellationToken::new();
    let look = async {
        while !asked(&world) {
            tokio::task::yield_now().await;
        }
        // As the host's service manager does on its way down.
        stop.cancel();
    };
    // The step itself waits twenty seconds for the restart.
    let both = async { tokio::join!(executor.work(journal, &stop), look).0 };
    let came = tokio::time::timeout(Duration::from_secs(10), both).await.expect("at once");
    assert_eq!(came.expect("written"), Came::Stopped);
    drop(executor);
    *world.machine.boot.lock().expect("lock") = "boot-2".to_owned();
    world.answer("test.fault", &[Answer::No]);
    let executor = world.executor();
    settle(&executor).await;
    assert_eq!(end(&told(&executor)).0, JobState::Fixed);
}
