//! The fuzzing engine around one target: `FLEETMEND_FUZZ_TARGET=cbs fleetmend-fuzz corpus/cbs`.
//! One program for all targets, so that it is linked once; `scripts/fuzz.sh` builds and runs it.

#![no_main]
use std::sync::OnceLock;

use fleetmend_fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

static CHOSEN: OnceLock<&'static Target> = OnceLock::new();

fn choose() {
    let name = std::env::var("FLEETMEND_FUZZ_TARGET").unwrap_or_default();
    let Some(target) = TARGETS.iter().find(|t| t.name == name) else {
        let names: Vec<_> = TARGETS.iter().map(|t| t.name).collect();
        panic!("FLEETMEND_FUZZ_TARGET must be one of {}", names.join(", "));
    };
    CHOSEN.get_or_init(|| target);
}

fuzz_target!(init: choose(), |bytes: &[u8]| {
    if let Some(target) = CHOSEN.get() {
        (target.run)(bytes);
    }
});
