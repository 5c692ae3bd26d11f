//! A full disk, for real: a state directory on a file system of one mebibyte.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use fleetmend_core::job::JobState;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::step::{Action, Tool};

use super::world::{NOW, World, end, settle, step, told, tool};
use crate::execute::Offered;
use crate::spool::{Bounds, Spool, SpoolError};

/// A small file system, gone with this.
struct Small(tempfile::TempDir);

impl Small {
    /// `None` where this user may not mount anything.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().expect("temp");
        let path = dir.path().to_str().expect("text");
        let mounted = run("mount", &["-t", "tmpfs", "-o", "size=1m", "fleetmend-test", path]);
        if mounted {
            return Some(Self(dir));
        }
        let wanted = std::env::var_os("FLEETMEND_REQUIRE_SYSTEM").is_some();
        assert!(!wanted, "a file system of its own cannot be mounted: run as root");
        println!("skipped: only root mounts a small file system");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        run("umount", &["-l", self.0.path().to_str().unwrap_or_default()]);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test mounts what it needs")]
fn run(program: &str, args: &[&str]) -> bool {
    let done = std::process::Command::new(program).args(args).output();
    done.is_ok_and(|output| output.status.success())
}

/// Leaves no room in a folder's file system.
pub(super) fn fill(folder: &Path) {
    let open = fs::OpenOptions::new().create(true).append(true).open(folder.join("filler"));
    let mut file = open.expect("opened");
    for size in [64 * 1024, 4 * 1024, 1] {
        while file.write_all(&vec![b'x'; size]).is_ok() {}
    }
}

fn empty(folder: &Path) {
    fs::remove_file(folder.join("filler")).expect("removed");
}

fn small_world(small: &Small, root: &Path, steps: Vec<fleetmend_core::step::Step>) -> World {
    World::on(small.path(), root, false, |remediation| remediation.steps = steps)
}

#[tokio::test]
async fn an_order_on_a_full_disk_is_refused_and_that_is_told() {
    let Some(small) = Small::new() else { return };
    let root = tempfile::tempdir().expect("temp");
    let world = small_world(&small, root.path(), vec![tool(Tool::DpkgConfigureAll)]);
    let executor = world.executor();
    fill(small.path());
    let offered = executor.offer(&world.authority.key(), &world.authority.sign(&world.order(1)));
    assert_eq!(offered, Offered::Refused);
    settle(&executor).await;
    let (state, why) = end(&told(&executor));
    assert_eq!(state, JobState::Skipped);
    assert!(why.contains("cannot write its state"), "{why}");
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn a_step_that_cannot_be_written_down_is_not_begun() {
    let mut refused = 0;
    // The last page of the journal may have room for a line or not: steps that find all done already
    // move its end.
    for before in 28..48 {
        let Some(small) = Small::new() else { return };
        let root = tempfile::tempdir().expect("temp");
        let stop = step(Action::ServiceStop { service: "a.service".to_owned() });
        let mut steps = vec![stop; before];
        steps.push(step(Action::ServiceStart { service: "full.service".to_owned() }));
        let world = small_world(&small, root.path(), steps);
        let executor = world.executor();
        executor.offer(&world.authority.key(), &world.authority.sign(&world.order(1)));
        // The disk is full when the last step's own check is over.
        *world.machine.fill.lock().expect("lock") = Some(small.path().to_owned());
        settle(&executor).await;
        let (state, why) = end(&told(&executor));
        if state == JobState::Failed {
            refused += 1;
            assert!(why.contains("was not begun"), "{why}");
            assert!(world.calls().is_empty(), "{:?}", world.calls());
        } else {
            assert_eq!((state, world.calls().len()), (JobState::Fixed, 1), "{why}");
        }
        // All of it is there for the next agent, too.
        drop(executor);
        let executor = world.executor();
        assert_eq!(end(&told(&executor)).0, state);
    }
    assert!(refused > 0, "every journal had room for its line");
}

fn word(n: usize, size: usize) -> SpoolItem {
    SpoolItem::Log(fleetmend_core::job::JobLog {
        job: fleetmend_core::ids::JobId::at(NOW, [1; 10]),
        attempt: 1,
        step: 0,
        sequence: u32::try_from(n).expect("small"),
        text: "x".repeat(size),
        at: NOW,
    })
}

fn drained(spool: &mut Spool) -> (Vec<u32>, u64) {
    let (mut numbers, mut gaps) = (Vec::new(), 0);
    while let Some(lease) = spool.lease(10, NOW) {
        for item in lease.items {
            match item {
                SpoolItem::Log(log) => numbers.push(log.sequence),
                SpoolItem::Gap(gap) => gaps += gap.items,
                other => panic!("unexpected {other:?}"),
            }
        }
    }
    (numbers, gaps)
}

#[test]
fn a_spool_that_fills_its_disk_stays_readable_and_tells_what_it_lost() {
    let Some(small) = Small::new() else { return };
    let dir = small.path();
    let open = || Spool::open_with(dir, Bounds::default(), None, NOW).expect("opens");
    let mut spool = open();
    let mut kept = 0;
    // Sizes that end somewhere in a page: the last write is cut in the middle of a frame.
    let refused = loop {
        match spool.append(&[word(kept, 3_333)], NOW) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(refused.is_full(), "{refused}");
    assert!(matches!(spool.append(&[word(kept, 3_333)], NOW), Err(SpoolError::Io { .. })));
    // A group is not lost by that: it is found again.
    let group = [word(kept, 3_333), word(kept, 3_333)];
    assert!(spool.append_group(&group, Some(7), NOW).is_err() && !spool.has_mark(7));
    assert_eq!(spool.stats().dropped, 2);
    drop(spool);
    let mut spool = open();
    let all: Vec<u32> = (0..u32::try_from(kept).expect("small")).collect();
    assert_eq!(drained(&mut spool), (all.clone(), 0));
    // What the server has makes room, even where the position cannot be written meanwhile.
    spool.commit(kept as u64);
    assert_eq!(spool.stats().items, 0);
    spool.append(&[word(9, 3_333)], NOW).expect("there is room again");
    assert_eq!(drained(&mut spool).0, [9]);
    drop(spool);
    assert_eq!(drained(&mut open()).0, [9]);
}

#[test]
fn what_a_full_disk_refused_is_told_as_a_gap() {
    let Some(small) = Small::new() else { return };
    let dir = small.path();
    let mut spool = Spool::open_with(dir, Bounds::default(), None, NOW).expect("opens");
    spool.append(&[word(1, 5_000)], NOW).expect("kept");
    fill(dir);
    for n in 2..5 {
        assert!(spool.append(&[word(n, 5_000)], NOW).is_err());
    }
    empty(dir);
    spool.append(&[word(5, 5_000)], NOW).expect("kept");
    assert_eq!(drained(&mut spool), (vec![1, 5], 3));
    assert_eq!(spool.stats().dropped, 3);
}
