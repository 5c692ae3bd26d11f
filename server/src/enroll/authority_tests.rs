//! The authority on disk, over time, and before hostile bytes.

use fleetmend_core::time::ManualClock;

use super::*;
use crate::enroll::identity::host_certificate;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at("2026-11-22T08:00:00Z".parse().expect("a time")))
}

fn open(dir: &Path) -> Result<Authority, AuthorityError> {
    Authority::open(dir, clock())
}

#[test]
fn a_second_start_finds_the_same_root_and_issues_from_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let ca = dir.path().join("ca");
    let first = open(&ca).expect("made");
    let second = open(&ca).expect("opened");
    assert_eq!(first.root_sha256(), second.root_sha256());
    assert_ne!(first.order_key().key_id(), second.order_key().key_id(), "keys in memory are new");
    let host = HostId::at(Timestamp::from_millis(5), [7; 10]);
    let key = KeyPair::generate().expect("a key").subject_public_key_info();
    let issued = second.issue_host(host, &key, DAY).expect("issued");
    let read = host_certificate(&issued.chain[0]).expect("read");
    assert_eq!((read.host, &read.serial), (host, &issued.serial));
    assert_eq!(issued.chain[2], first.root().to_vec());
    // What the server presents is no host.
    assert!(host_certificate(&second.server_key().cert[0]).is_err());
    assert!(host_certificate(&second.order_key().chain()[0]).is_err());
}

#[test]
fn half_an_authority_is_never_completed_by_guess() {
    for file in ["root.crt", "intermediate.crt", "intermediate.key"] {
        let dir = tempfile::tempdir().expect("a directory");
        open(dir.path()).expect("made");
        std::fs::remove_file(dir.path().join(file)).expect("removed");
        let err = open(dir.path()).expect_err("must be refused").to_string();
        assert!(err.contains(file) && err.contains("backup"), "{err}");
    }
}

#[test]
fn the_roots_key_may_be_moved_away() {
    let dir = tempfile::tempdir().expect("a directory");
    open(dir.path()).expect("made");
    std::fs::remove_file(dir.path().join("root.key")).expect("removed");
    open(dir.path()).expect("the intermediate signs");
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_or_that_is_another_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    open(dir.path()).expect("made");
    let key = dir.path().join("intermediate.key");
    let mode = std::fs::metadata(&key).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).expect("set");
    let err = open(dir.path()).expect_err("must be refused").to_string();
    assert!(err.contains("chmod 600"), "{err}");

    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("set");
    std::fs::write(&key, KeyPair::generate().expect("a key").serialize_pem()).expect("written");
    let err = open(dir.path()).expect_err("must be refused").to_string();
    assert!(err.contains("does not belong"), "{err}");
}

#[test]
fn certificates_in_memory_are_renewed_before_they_grow_old() {
    let (dir, clock) = (tempfile::tempdir().expect("a directory"), clock());
    let authority = Authority::open(dir.path(), clock.clone()).expect("made");
    let (server, order) = (authority.server_key(), authority.order_key());
    authority.refresh().expect("nothing to do");
    assert!(Arc::ptr_eq(&server, &authority.server_key()));
    clock.advance(DAY * 2);
    authority.refresh().expect("refreshed");
    assert!(Arc::ptr_eq(&server, &authority.server_key()));
    assert_ne!(order.key_id(), authority.order_key().key_id());
    clock.advance(DAY * 9);
    authority.refresh().expect("refreshed");
    assert!(!Arc::ptr_eq(&server, &authority.server_key()));
}

#[test]
fn changed_certificates_never_panic_the_reader() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = open(dir.path()).expect("made");
    let host = HostId::at(Timestamp::from_millis(5), [7; 10]);
    let key = KeyPair::generate().expect("a key").subject_public_key_info();
    let good = authority.issue_host(host, &key, DAY).expect("issued").chain.swap_remove(0);
    for round in 0..10_000 {
        let mut bad = good.clone();
        for _ in 0..=(round % 3) {
            let at = fastrand::usize(..bad.len());
            bad[at] = fastrand::u8(..);
        }
        bad.truncate(bad.len() - round % 7);
        let _ = host_certificate(&bad);
    }
}
