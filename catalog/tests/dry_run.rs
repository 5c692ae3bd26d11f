//! What every automatic remediation would do, as people are shown it before.

use fleetmend_catalog::builtin;
use fleetmend_core::dry_run::dry_run;
use fleetmend_core::host::OsFamily;
use fleetmend_core::knowledge::{Lang, Remediation};

fn told<'a>(remediations: impl Iterator<Item = &'a Remediation>, lang: Lang) -> String {
    let told: Vec<String> = remediations.map(|r| dry_run(builtin(), r, lang).to_string()).collect();
    told.join("\n\n")
}

#[test]
fn of_every_remediation_for_windows() {
    for (lang, name) in [(Lang::En, "windows_en"), (Lang::Ru, "windows_ru")] {
        let all = builtin().remediations.values();
        insta::assert_snapshot!(
            name,
            told(all.filter(|r| r.is_automatic() && r.os == OsFamily::Windows), lang)
        );
    }
}

#[test]
fn of_what_is_refused_and_guided() {
    let some = ["turn_firewall_off", "reset_keeping_files"];
    let some =
        some.iter().filter_map(|id| builtin().remediations.values().find(|r| r.id.as_str() == *id));
    insta::assert_snapshot!("refused_and_guided", told(some, Lang::En));
}

/// Nothing that a step names is left out, and no sentence stands in one language only.
#[test]
fn nothing_is_left_out() {
    for remediation in builtin().remediations.values() {
        let [en, ru] = [Lang::En, Lang::Ru].map(|lang| dry_run(builtin(), remediation, lang));
        assert_eq!(en.acts(), remediation.is_automatic(), "{}", remediation.id);
        assert_eq!(en.steps.len(), remediation.steps.len());
        for (step, (en, ru)) in remediation.steps.iter().zip(en.steps.iter().zip(&ru.steps)) {
            let place = format!("{}: {}", remediation.id, step.action.title());
            assert!(!en.touches.is_empty(), "{place}");
            assert_eq!(en.touches.len(), ru.touches.len(), "{place}");
            for (en, ru) in [(&en.does, &ru.does), (&en.undoing, &ru.undoing)] {
                assert!(en.is_ascii() && !ru.is_ascii(), "{place}: {en} / {ru}");
            }
        }
    }
}
