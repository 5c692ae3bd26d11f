//! What people write: codes in any spelling, catalogue files, remediation steps.

use fleetmend_catalog::{Topic, Wish, ask, builtin, explain, known, load, read_code};
use fleetmend_core::code::{FailureCode, decode, read};
use fleetmend_core::knowledge::Lang;
use fleetmend_core::step::Step;
use serde::Deserialize;

/// A code as typed: what is read prints as itself, and is read again as itself.
pub(crate) fn code(bytes: &[u8]) {
    let typed = String::from_utf8_lossy(bytes);
    if let Ok(exact) = typed.parse::<FailureCode>() {
        let read = read(&typed, &|value| known(builtin(), value)).expect("exact codes are read");
        assert_eq!(read.code.to_string().parse::<FailureCode>().ok(), Some(read.code));
        // Hex digits may be small.
        assert_eq!(exact.to_string().to_lowercase(), typed.to_lowercase());
    }
    match read_code(builtin(), &typed) {
        Ok(reading) => {
            let printed = reading.code.to_string();
            let again = read(&printed, &|_| false).expect("what is printed is read");
            assert_eq!(again.code, reading.code, "{printed}");
            assert!(again.changes.is_empty() && !again.suggested, "{printed} was changed");
            if let FailureCode::Hresult(value) = reading.code {
                assert!(!decode(value, Lang::Ru).words.is_empty());
            }
        }
        Err(why) => assert!(!why.to_string().is_empty()),
    }
}

/// What a person asks the catalogue: an answer leaves room for what nobody knows, and a question
/// without one is told why.
pub(crate) fn question(bytes: &[u8]) {
    let typed = String::from_utf8_lossy(bytes);
    // The language changes the texts and nothing else: either one is asked for, by the question.
    let lang = if bytes.len().is_multiple_of(2) { Lang::En } else { Lang::Ru };
    match ask(builtin(), &typed, Wish::all(lang)) {
        Ok(Topic::Code(told)) => {
            let contexts = &told.explanation.contexts;
            assert!(contexts.iter().all(|c| c.other > 0.0), "no room for other");
        }
        Ok(Topic::Cause(_) | Topic::Remediation(_) | Topic::Probe(_)) => {}
        Err(lost) => assert!(!lost.why.words(lang).is_empty()),
    }
}

/// A catalogue file: all that is wrong with it is said, and what passes can be explained.
pub(crate) fn catalogue(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match load(&[("fuzzed.toml", text)]) {
        Ok(catalogue) => {
            for code in catalogue.codes.keys() {
                let told = explain(&catalogue, code, Wish::all(Lang::Ru));
                assert!(told.known);
            }
        }
        Err(problems) => assert!(!problems.is_empty()),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Steps {
    step: Vec<Step>,
}

/// The steps of a remediation: what is read is written and read as the same.
pub(crate) fn steps(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(Steps { step: steps }) = toml::from_str(text) else { return };
    for step in &steps {
        assert!(step.action.title().starts_with(step.action.kind()));
        let json = serde_json::to_vec(step).expect("a step is JSON");
        let again: Step = serde_json::from_slice(&json).expect("its own JSON is read");
        assert_eq!(&again, step);
        let _ = step.action.undo();
    }
}
