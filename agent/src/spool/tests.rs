use std::fs;
use std::path::Path;

use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::ids::JobId;
use fleetmend_core::job::{JobState, JobUpdate};
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::Timestamp;
use fleetmend_core::words::Slug;
use proptest::prelude::*;

use super::{Bounds, Spool};
use crate::random;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

const SMALL: Bounds = Bounds { total: 4_000, segment: 700, reserve: 0 };

fn item(n: u64) -> SpoolItem {
    SpoolItem::Evidence(vec![Evidence {
        id: random::evidence_id(NOW),
        probe: Slug::new("test.probe").expect("valid"),
        subject: None,
        answer: Answer::Yes,
        proof: format!("item {n}"),
        value: None,
        at: NOW,
    }])
}

/// The item's number, or how many a gap stands for.
fn read(item: &SpoolItem) -> Result<u64, u64> {
    match item {
        SpoolItem::Evidence(list) => Ok(list[0].proof[5..].parse().expect("numbered")),
        SpoolItem::Gap(gap) => Err(gap.items),
        other => panic!("unexpected {other:?}"),
    }
}

fn drain(spool: &mut Spool) -> Vec<(u64, Result<u64, u64>)> {
    let mut all = Vec::new();
    while let Some(lease) = spool.lease(7, NOW) {
        all.extend((lease.first..).zip(lease.items.iter().map(read)));
    }
    all
}

fn small(dir: &Path) -> Spool {
    Spool::open_with(dir, SMALL, None, NOW).expect("opens")
}

fn filled(dir: &Path, items: u64) -> Spool {
    let mut spool = small(dir);
    for n in 1..=items {
        spool.append(&[item(n)], NOW).expect("kept");
    }
    spool
}

#[test]
fn items_come_in_order_and_again_until_committed() {
    let dir = tempfile::tempdir().expect("temp");
    let mut spool = filled(dir.path(), 5);
    assert_eq!(drain(&mut spool), (1..=5).map(|n| (n, Ok(n))).collect::<Vec<_>>());
    spool.commit(2);
    spool.rollback();
    let epoch = spool.epoch();
    drop(spool);
    let mut spool = small(dir.path());
    assert_eq!(spool.epoch(), epoch);
    assert_eq!(drain(&mut spool), (3..=5).map(|n| (n, Ok(n))).collect::<Vec<_>>());
    assert_eq!(spool.stats().items, 3);
}

#[test]
fn the_oldest_goes_first_and_is_counted_and_told() {
    let dir = tempfile::tempdir().expect("temp");
    let mut spool = filled(dir.path(), 40);
    let stats = spool.stats();
    assert!(stats.dropped > 0 && stats.bytes <= 4_000, "{stats:?}");
    let all = drain(&mut spool);
    let told: u64 = all.iter().filter_map(|(_, read)| read.err()).sum();
    assert_eq!(told, stats.dropped);
    assert_eq!(all.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (1..=40).collect::<Vec<_>>());
    assert_eq!(all.last(), Some(&(40, Ok(40))));
    let files: u64 = fs::read_dir(dir.path())
        .expect("listed")
        .map(|e| e.expect("entry").metadata().expect("there").len())
        .sum();
    assert!(files < 4_500, "{files} bytes on disk");
}

/// News of a job.
fn job(n: u8, state: JobState) -> SpoolItem {
    SpoolItem::Job(Box::new(JobUpdate {
        job: JobId::at(NOW, [n; 10]),
        attempt: 1,
        state,
        detail: String::new(),
        step: None,
        evidence: Vec::new(),
        proof: None,
        at: NOW,
    }))
}

/// The ends of jobs that are handed out, by job.
fn ends(spool: &mut Spool) -> Vec<JobId> {
    let items = std::iter::from_fn(|| spool.lease(7, NOW)).flat_map(|lease| lease.items);
    let end = |item| match item {
        SpoolItem::Job(update) if update.state.is_final() => Some(update.job),
        _ => None,
    };
    items.filter_map(end).collect()
}

#[test]
fn no_end_of_a_job_is_dropped_for_reports() {
    let dir = tempfile::tempdir().expect("temp");
    let mut spool = filled(dir.path(), 2);
    let known = [job(1, JobState::Running), job(1, JobState::Fixed), job(2, JobState::Failed)];
    spool.append(&known, NOW).expect("kept");
    for n in 0..200 {
        spool.append(&[item(n)], NOW).expect("kept");
        let bytes = spool.stats().bytes;
        assert!(bytes <= SMALL.total + SMALL.segment, "the bound holds: {bytes}");
    }
    assert!(spool.stats().dropped > 100, "{:?}", spool.stats());
    let both = [1, 2].map(|n| JobId::at(NOW, [n; 10]));
    assert_eq!(ends(&mut spool), both, "each once, and nothing of what is under way");
    let mut again = small(dir.path());
    assert_eq!(ends(&mut again), both, "on disk, too");
    // What the server has does not come again.
    let last = again.stats().items;
    again.commit(again.next - 1 - again.position.base);
    assert!(last > 0 && again.stats().items == 0);
    for n in 0..200 {
        again.append(&[item(n)], NOW).expect("kept");
    }
    assert_eq!(ends(&mut again), [], "{:?}", again.stats());
}

#[test]
fn any_flipped_byte_costs_one_record_and_is_told() {
    let dir = tempfile::tempdir().expect("temp");
    drop(filled(dir.path(), 4));
    let segments = super::segment::list(dir.path()).expect("listed");
    for (_, path) in segments {
        let sound = fs::read(&path).expect("read");
        for at in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[at] ^= 0x41;
            fs::write(&path, &bytes).expect("written");
            let mut spool = small(dir.path());
            let all = drain(&mut spool);
            let kept: Vec<u64> = all.iter().filter_map(|(_, read)| read.ok()).collect();
            assert_eq!(kept.len(), 3, "byte {at} of {}: {all:?}", path.display());
            assert_eq!(spool.stats().corrupt, 1, "byte {at}");
            assert!(all.iter().zip(1..).all(|((n, _), want)| *n == want), "{all:?}");
            assert!(all.iter().all(|(n, read)| read.is_err() || *read == Ok(*n)), "{all:?}");
        }
        fs::write(&path, &sound).expect("restored");
    }
}

#[test]
fn a_tail_cut_at_any_byte_keeps_what_is_whole_and_takes_new_items() {
    let dir = tempfile::tempdir().expect("temp");
    drop(filled(dir.path(), 2));
    let (_, path) = super::segment::list(dir.path()).expect("listed").pop().expect("one");
    let sound = fs::read(&path).expect("read");
    for length in 0..sound.len() {
        let copy = tempfile::tempdir().expect("temp");
        for entry in fs::read_dir(dir.path()).expect("listed") {
            let entry = entry.expect("entry");
            fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("copied");
        }
        let tail = copy.path().join(path.file_name().expect("named"));
        fs::write(&tail, &sound[..length]).expect("cut");
        let mut spool = small(copy.path());
        spool.append(&[item(99)], NOW).expect("kept");
        let all = drain(&mut spool);
        assert_eq!(all.last().map(|(_, read)| *read), Some(Ok(99)), "cut at {length}: {all:?}");
        assert!(all.iter().zip(1..).all(|((n, _), want)| *n == want), "cut at {length}: {all:?}");
    }
}

#[test]
fn after_a_damaged_position_the_server_says_how_far_it_is() {
    let dir = tempfile::tempdir().expect("temp");
    let mut spool = filled(dir.path(), 4);
    spool.commit(2);
    let epoch = spool.epoch();
    drop(spool);
    fs::write(dir.path().join("position"), b"00000000 {}").expect("damaged");
    let mut spool = small(dir.path());
    assert_eq!((spool.epoch(), spool.stats().corrupt), (epoch, 1));
    assert!(!spool.agree(2, NOW).expect("agrees"));
    assert_eq!(drain(&mut spool), [(3, Ok(3)), (4, Ok(4))]);
    // The same after a new epoch.
    assert!(spool.agree(0, NOW).expect("written"));
    let epoch = spool.epoch();
    drop(spool);
    fs::write(dir.path().join("position"), b"").expect("damaged");
    assert_eq!(small(dir.path()).epoch(), epoch);
}

#[test]
fn a_damaged_position_starts_a_new_life_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("temp");
    let mut spool = filled(dir.path(), 4);
    spool.commit(1);
    let epoch = spool.epoch();
    drop(spool);
    for file in ["position", "epoch"] {
        fs::write(dir.path().join(file), b"00000000 {}").expect("damaged");
    }
    let mut spool = small(dir.path());
    assert_ne!(spool.epoch(), epoch);
    let all: Vec<_> = drain(&mut spool).into_iter().filter_map(|(_, read)| read.ok()).collect();
    assert_eq!(all, [1, 2, 3, 4]);
}

#[test]
fn a_server_that_forgot_gets_a_new_epoch_from_one() {
    let dir = tempfile::tempdir().expect("temp");
    let mut spool = filled(dir.path(), 5);
    spool.commit(3);
    let epoch = spool.epoch();
    assert!(!spool.agree(3, NOW).expect("agrees"));
    assert!(spool.agree(1, NOW).expect("written"));
    assert_ne!(spool.epoch(), epoch);
    assert_eq!(drain(&mut spool), [(1, Ok(4)), (2, Ok(5))]);
    assert!(!spool.agree(1, NOW).expect("agrees"));
    assert_eq!(spool.stats().items, 1);
}

#[derive(Debug, Clone)]
enum Act {
    Append(u8),
    Lease(u8),
    CommitLeased(u8),
    Rollback,
    Reopen,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (1..5u8).prop_map(Act::Append),
        3 => (1..9u8).prop_map(Act::Lease),
        2 => (0..9u8).prop_map(Act::CommitLeased),
        1 => Just(Act::Rollback),
        1 => Just(Act::Reopen),
    ];
    proptest::collection::vec(act, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Against a plain list: everything comes, in order, each committed item once only.
    #[test]
    fn behaves_as_a_list(acts in acts()) {
        let dir = tempfile::tempdir().expect("temp");
        let bounds = Bounds { total: 1 << 20, ..SMALL };
        let open = || Spool::open_with(dir.path(), bounds, None, NOW).expect("opens");
        let mut spool = open();
        let (mut appended, mut leased, mut committed) = (0u64, 0u64, 0u64);
        for act in acts {
            match act {
                Act::Append(count) => {
                    let items: Vec<_> = (1..=u64::from(count)).map(|n| item(appended + n)).collect();
                    spool.append(&items, NOW).expect("kept");
                    appended += u64::from(count);
                }
                Act::Lease(most) => match spool.lease(usize::from(most), NOW) {
                    None => prop_assert_eq!(leased, appended),
                    Some(lease) => {
                        prop_assert_eq!(lease.first, leased + 1);
                        for (n, item) in (lease.first..).zip(&lease.items) {
                            prop_assert_eq!(read(item), Ok(n));
                        }
                        leased = lease.last();
                    }
                },
                Act::CommitLeased(back) => {
                    let through = leased.saturating_sub(u64::from(back));
                    spool.commit(through);
                    committed = committed.max(through);
                }
                Act::Rollback => { spool.rollback(); leased = committed; }
                Act::Reopen => { drop(spool); spool = open(); leased = committed; }
            }
            prop_assert_eq!(spool.stats().items, appended - committed);
        }
    }
}

/// A group of three behind two single items, all in one segment.
fn grouped(dir: &Path) -> Spool {
    let bounds = Bounds { segment: 1 << 20, ..SMALL };
    let mut spool = Spool::open_with(dir, bounds, None, NOW).expect("opens");
    spool.append(&[item(1)], NOW).expect("kept");
    spool.append(&[item(2)], NOW).expect("kept");
    spool.append_group(&[item(3), item(4), item(5)], Some(77), NOW).expect("kept");
    spool
}

#[test]
fn a_group_is_whole_or_not_there_wherever_its_write_was_cut() {
    let dir = tempfile::tempdir().expect("temp");
    drop(grouped(dir.path()));
    let (_, path) = super::segment::list(dir.path()).expect("listed").pop().expect("one");
    let sound = fs::read(&path).expect("read");
    let second = super::format::next(&sound, super::format::next(&sound, 0).expect("one").end);
    let begin = second.expect("two").end;
    for length in begin..=sound.len() {
        fs::write(&path, &sound[..length]).expect("cut");
        let mut spool = small(dir.path());
        let whole = length == sound.len();
        assert_eq!(spool.has_mark(77), whole, "cut at {length}");
        let found: Vec<u64> = drain(&mut spool).iter().filter_map(|(_, read)| read.ok()).collect();
        let wanted: &[u64] = if whole { &[1, 2, 3, 4, 5] } else { &[1, 2] };
        assert_eq!(found, wanted, "cut at {length}");
        if !whole {
            // Found again, it comes once.
            spool.append_group(&[item(3), item(4), item(5)], Some(78), NOW).expect("kept");
            spool.rollback();
            let found: Vec<u64> =
                drain(&mut spool).iter().filter_map(|(_, read)| read.ok()).collect();
            assert_eq!(found, [1, 2, 3, 4, 5], "cut at {length}");
        }
        drop(spool);
        for (_, path) in super::segment::list(dir.path()).expect("listed") {
            fs::remove_file(path).expect("removed");
        }
    }
}

#[test]
fn damage_to_a_group_that_was_whole_costs_one_record() {
    let dir = tempfile::tempdir().expect("temp");
    drop(grouped(dir.path()));
    let (_, path) = super::segment::list(dir.path()).expect("listed").pop().expect("one");
    let sound = fs::read(&path).expect("read");
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x41;
        fs::write(&path, &bytes).expect("written");
        // The collectors know that this look was safe.
        let mut spool = Spool::open_with(dir.path(), SMALL, Some(77), NOW).expect("opens");
        let all = drain(&mut spool);
        let kept = all.iter().filter(|(_, read)| read.is_ok()).count();
        assert_eq!((kept, spool.stats().corrupt), (4, 1), "byte {at}: {all:?}");
        assert!(all.iter().zip(1..).all(|((n, _), want)| *n == want), "byte {at}: {all:?}");
    }
}

#[test]
fn whatever_byte_of_the_position_is_damaged_nothing_comes_twice() {
    let dir = tempfile::tempdir().expect("temp");
    let mut spool = filled(dir.path(), 5);
    spool.commit(2);
    let epoch = spool.epoch();
    drop(spool);
    for name in ["position", "epoch"] {
        let path = dir.path().join(name);
        let sound = fs::read(&path).expect("read");
        for at in 0..sound.len() {
            let mut flipped = sound.clone();
            flipped[at] ^= 0x41;
            for bytes in [&flipped[..], &sound[..at]] {
                fs::write(&path, bytes).expect("written");
                let mut spool = small(dir.path());
                assert_eq!(spool.epoch(), epoch, "{name}, byte {at}");
                assert!(!spool.agree(2, NOW).expect("agrees"), "{name}, byte {at}");
                let found: Vec<_> = drain(&mut spool);
                assert_eq!(found, [(3, Ok(3)), (4, Ok(4)), (5, Ok(5))], "{name}, byte {at}");
            }
            fs::write(&path, &sound).expect("restored");
        }
    }
}

#[test]
fn what_a_refused_write_left_is_never_taken_for_what_came_later() {
    let dir = tempfile::tempdir().expect("temp");
    drop(filled(dir.path(), 2));
    // A write of item 3 that was refused and could not be cut off, and the item that then got its
    // number, in the next segment.
    let (_, path) = super::segment::list(dir.path()).expect("listed").pop().expect("one");
    let mut bytes = fs::read(&path).expect("read");
    super::format::encode(3, None, &serde_json::to_vec(&item(99)).expect("json"), &mut bytes);
    fs::write(&path, bytes).expect("written");
    let mut later = Vec::new();
    super::format::encode(3, None, &serde_json::to_vec(&item(3)).expect("json"), &mut later);
    fs::write(dir.path().join(format!("{:020}.spool", 3)), later).expect("written");
    let all = drain(&mut small(dir.path()));
    assert_eq!(all, [(1, Ok(1)), (2, Ok(2)), (3, Ok(3))]);
}
