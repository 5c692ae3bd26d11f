//! The facts that the catalogue was made from, where they stand beside the repository.

use std::path::Path;

use serde_json::Value;

/// A file of them; `None` where it is absent, which is said.
pub(crate) fn facts(name: &str) -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    let Ok(bytes) = std::fs::read(&path) else {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    };
    Some(serde_json::from_slice(&bytes).expect("JSON"))
}
