//! A campaign that repairs nothing: whether another hand has fixed it is proved or refuted.

use fleetmend_tests::root::Root;
use serde_json::json;

use crate::faults;
use crate::fleet::{Fleet, at_once, definition};

#[test]
fn what_another_hand_did_is_proved_or_refuted() {
    let names = ["mended", "broken"];
    let copies: Option<Vec<Root>> = at_once(&names, |_| Root::copy()).into_iter().collect();
    let Some(roots) = copies else { return };
    at_once(&roots, faults::damaged_mirror);
    let fleet = Fleet::of(&names.into_iter().zip(&roots).collect::<Vec<_>>());
    for host in names {
        fleet.triaged(host, "apt.hash_mismatch", "apt_lists_damaged");
    }
    faults::sh(&roots[0], "cp /srv/Release /srv/apt/Release");

    let mut wish = definition("check", "apt.hash_mismatch", "apt_lists_damaged", "safe");
    wish["remedy"] = json!("verify_only");
    let (status, made) = fleet.anna.api().post("/api/v1/campaigns", &wish);
    assert_eq!((status, &made["needs_approval"]), (201, &json!([])), "{made}");
    let id = made["id"].as_str().expect("an id");
    fleet.act(id, "start", "the mirror's people say that it is mended");
    let ended = fleet.wait(id, "completed");
    assert_eq!(ended["counts"], json!({"fixed": 1, "failed": 1}), "{ended}");
    let hosts = fleet.hosts(id);
    let of = |name: &str| hosts.iter().find(|h| h["host"]["name"] == name).expect("a host");
    assert_eq!(
        (&of("mended")["proof"], &of("mended")["task"]),
        (&json!("repeated"), &json!("verify"))
    );
    let why = of("broken")["detail"].as_str().unwrap_or_default();
    assert!(why.contains("it is not fixed") && why.contains("Hash Sum mismatch"), "{hosts:?}");
}
