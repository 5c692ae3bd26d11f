//! Pauses end: with the job's steps, at their time, when the agent stops, and when it starts again after
//! a crash or a restart, with no server anywhere.

use std::sync::Arc;
use std::time::Duration;

use fleetmend_core::ids::JobId;
use fleetmend_core::job::JobState;
use fleetmend_core::step::Action;
use fleetmend_core::time::{Clock as _, ManualClock};
use fleetmend_core::words::Slug;
use tokio_util::sync::CancellationToken;

use super::recorded::bed::{Bed, rows, summed};
use super::world::{step, told};
use crate::execute::pauses::{Pause, Paused, Pauses};
use crate::execute::runner::Came;
use crate::platform::Platform;
use crate::platform::recorded::hosts::NOW;

const TEN: Duration = Duration::from_mins(10);

fn bed() -> Bed {
    let rows = rows();
    let row = rows.iter().find(|r| r.remediation.as_str() == "suspend_firewall_briefly");
    Bed::new(row.expect("a row"))
}

async fn suspended(bed: &Bed, pauses: &Pauses, length: Duration) {
    let was = bed.host.firewall(None).await.expect("asked");
    let off = was.keys().map(|profile| (*profile, false)).collect();
    let pause = Pause {
        job: JobId::at(NOW, [9; 10]),
        step: 0,
        paused: Paused::Firewall { was },
        until: NOW.after(TEN),
    };
    pauses.begin(pause, length).await.expect("written");
    bed.host.firewall(Some(&off)).await.expect("off");
    assert!(!bed.is_protected());
}

fn open(bed: &Bed, clock: &Arc<ManualClock>) -> Pauses {
    Pauses::open(&bed.state(), bed.host.clone(), clock.clone())
}

#[tokio::test]
async fn one_that_a_crash_left_ends_at_the_next_start() {
    let bed = bed();
    let clock = Arc::new(ManualClock::at(NOW));
    suspended(&bed, &open(&bed, &clock), TEN).await;
    // The process is gone; the next one has work for nobody and no server.
    let executor = bed.executor();
    let stop = CancellationToken::new();
    let started = async {
        while !bed.is_protected() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
    };
    tokio::join!(executor.run(&stop), started);
    assert!(bed.is_protected());
    // And once only: what an admin sets afterwards stays.
    let off = bed.host.firewall(None).await.expect("asked").keys().map(|p| (*p, false)).collect();
    bed.host.firewall(Some(&off)).await.expect("off");
    drop(executor);
    let (executor, stopped) = (bed.executor(), CancellationToken::new());
    stopped.cancel();
    executor.run(&stopped).await;
    assert!(!bed.is_protected(), "a pause that is over was ended again");
}

#[tokio::test]
async fn one_ends_at_its_time_by_either_clock() {
    for by_wall in [true, false] {
        let bed = bed();
        let clock = Arc::new(ManualClock::at(NOW));
        let pauses = open(&bed, &clock);
        let length = if by_wall { TEN } else { Duration::from_millis(50) };
        suspended(&bed, &pauses, length).await;
        let job = JobId::at(NOW, [9; 10]);
        let over = async {
            if by_wall {
                assert!(pauses.lasts(job, 0).await);
                clock.advance(TEN);
            } else {
                // Somebody set the clock back: that does not make it longer.
                clock.set(NOW.before(Duration::from_hours(5)));
            }
            while !bed.is_protected() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let over = tokio::time::timeout(Duration::from_secs(20), over);
        tokio::select! {
            () = pauses.guard(Duration::from_millis(5)) => unreachable!("it never ends"),
            over = over => over.expect("it ends at its time"),
        }
        assert!(!pauses.lasts(job, 0).await);
    }
}

#[tokio::test]
async fn one_that_cannot_be_ended_is_tried_until_it_is() {
    let bed = bed();
    bed.breaks("firewall domain=on private=on public=on");
    let executor = bed.executor();
    bed.offer(&executor);
    let mended = async {
        let put_back = "firewall domain=on private=on public=on";
        while bed.done().iter().filter(|call| *call == put_back).count() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!bed.is_protected());
        bed.mends("firewall domain=on private=on public=on");
    };
    let stop = CancellationToken::new();
    let journal = executor.queue().pop_front().expect("a job");
    let (came, ()) = tokio::join!(executor.work(journal, &stop), mended);
    assert_eq!(came.expect("written"), Came::Waits);
    assert!(bed.is_protected());
}

/// A profile that was off stays as whoever set it wants it.
#[tokio::test]
async fn only_profiles_that_were_on_are_switched() {
    let bed = bed();
    bed.becomes("firewall.private = false");
    let told = bed.run(true).await;
    let done = bed.done();
    assert!(done.iter().any(|call| call == "firewall domain=off public=off"), "{told:#?}");
    assert!(done.iter().any(|call| call == "firewall domain=on public=on"), "{told:#?}");
    assert!(!done.iter().any(|call| call.contains("private")), "{done:#?}");
}

/// The pause ends between two steps: the next one is not done as if it lasted.
#[tokio::test]
async fn a_step_that_needs_a_pause_is_not_done_without_it() {
    let mut bed = bed();
    let mut catalogue = fleetmend_catalog::builtin().clone();
    let id = Slug::new("suspend_firewall_briefly").expect("a slug");
    let remediation = catalogue.remediations.get_mut(&id).expect("there");
    let probe = Slug::new("installer_running").expect("a slug");
    remediation.blockers.clear();
    remediation.steps.insert(1, step(Action::WaitUntil { probe }));
    bed.catalogue = Box::leak(Box::new(catalogue));
    bed.becomes("service.msiserver.state = 'running'");
    let executor = bed.executor();
    bed.offer(&executor);
    let journal = executor.queue().pop_front().expect("a job");
    let over = async {
        while bed.is_protected() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        executor.shop.pauses.end_all().await;
        bed.becomes("service.msiserver.state = 'stopped'");
    };
    let stop = CancellationToken::new();
    let (came, ()) = tokio::join!(executor.work(journal, &stop), over);
    assert_eq!(came.expect("written"), Came::ToItsEnd);
    let told = summed(&told(&executor));
    assert_eq!(told.end.0, JobState::RolledBack, "{told:#?}");
    assert!(told.end.1.contains("is over before it"), "{told:#?}");
    assert!(bed.is_protected());
    assert!(!bed.done().iter().any(|call| call == "update.scan"));
}

#[tokio::test]
async fn none_is_begun_where_the_register_cannot_be_read() {
    let bed = bed();
    let clock = Arc::new(ManualClock::at(NOW));
    suspended(&bed, &open(&bed, &clock), TEN).await;
    std::fs::write(bed.state().join("pauses.json"), "damaged").expect("written");
    let pauses = open(&bed, &clock);
    let pause = Pause {
        job: JobId::at(NOW, [9; 10]),
        step: 0,
        paused: Paused::Antivirus { excluded: Vec::new() },
        until: clock.now(),
    };
    let refused = pauses.begin(pause, Duration::ZERO).await.expect_err("refused");
    assert!(refused.contains("cannot be read"), "{refused}");
    // What the journal knows is put back all the same.
    let off = bed.host.firewall(None).await.expect("asked");
    let paused = Paused::Firewall { was: off.into_keys().map(|p| (p, true)).collect() };
    let said = pauses.end_known(JobId::at(NOW, [9; 10]), &paused).await.expect("put back");
    assert!(bed.is_protected(), "{said:?}");
}

/// The steps are done and the agent is gone before the pause ended; its register is damaged.
#[tokio::test]
async fn the_journal_alone_ends_a_pause_after_the_last_step() {
    let bed = bed();
    let executor = bed.executor();
    bed.offer(&executor);
    let journal = executor.queue().pop_front().expect("a job");
    let path = journal.path().to_owned();
    let stop = CancellationToken::new();
    executor.work(journal, &stop).await.expect("written");
    drop(executor);
    let text = std::fs::read_to_string(&path).expect("read");
    let proof = text.lines().position(|l| l.contains("\"verifying\"")).expect("a proof is sought");
    let kept: Vec<&str> = text.lines().take(proof).collect();
    std::fs::write(&path, kept.join("\n") + "\n").expect("written");
    let off = bed.host.firewall(None).await.expect("asked").keys().map(|p| (*p, false)).collect();
    bed.host.firewall(Some(&off)).await.expect("off");
    std::fs::write(bed.state().join("pauses.json"), "damaged").expect("written");
    let executor = bed.executor();
    let journal = executor.queue().pop_front().expect("it goes on");
    executor.work(journal, &stop).await.expect("written");
    assert!(bed.is_protected(), "the firewall stays off");
}
