use fleetmend_core::code;
use fleetmend_core::host::OsFamily;
use fleetmend_core::knowledge::Risk;
use fleetmend_core::step::Undo;

use super::*;
use crate::builtin;

fn of(code: &str, product: Option<Product>, operation: Option<Operation>) -> Explanation {
    let wish = Wish { product, operation, ..Wish::all(Lang::En) };
    explain(builtin(), &code.parse().expect("a code"), wish)
}

#[test]
fn one_code_has_other_causes_in_other_contexts() {
    let first = |product, operation| {
        let told = of("0x80070003", Some(product), Some(operation));
        told.contexts[0].causes[0].id.to_string()
    };
    assert_eq!(first(Product::WindowsUpdate, Operation::Download), "wu_cache_corrupt");
    assert_eq!(first(Product::Servicing, Operation::Repair), "component_store_corrupt");
    assert_eq!(first(Product::WindowsBackup, Operation::Restore), "reparse_deleted_target");
    assert_eq!(first(Product::WindowsBackup, Operation::Backup), "library_missing");
    assert_eq!(first(Product::Other, Operation::Download), "content_source_path");
    let all = of("0x80070003", None, None);
    assert!(all.contexts.len() >= 10 && all.contexts.last().expect("some").product.is_none());
    for context in &all.contexts {
        let sum: f64 = context.causes.iter().filter_map(|c| c.prior).sum::<f64>() + context.other;
        assert!((sum - 1.0).abs() < 1e-5 && context.other >= 0.1 - 1e-5);
    }
}

#[test]
fn a_symbol_is_read_as_its_code() {
    for typed in ["ERROR_PATH_NOT_FOUND", " error_path_not_found "] {
        let reading = read_code(builtin(), typed).expect("a symbol");
        assert_eq!(reading.code.to_string(), "0x80070003");
        assert!(!reading.suggested && reading.changes.contains(&code::Change::Symbol));
    }
    assert!(read_code(builtin(), "ERROR_OF_NOBODY").is_err());
}

#[test]
fn an_unknown_code_is_decoded_and_nothing_is_made_up() {
    let told = of("0x800706C5", None, None);
    assert!(!told.known && told.meaning.is_none() && told.contexts.is_empty());
    let bits = told.decoded.expect("bits");
    assert_eq!(bits.win32, Some(0x6C5));
    assert!(bits.words.contains("Win32") && bits.words.contains("1733"), "{}", bits.words);
    let told = of("fleet.nonsense", None, None);
    assert!(!told.known && told.decoded.is_none() && told.contexts.is_empty());
}

#[test]
fn both_languages_are_told() {
    let code = "apt.dpkg_interrupted".parse().expect("a code");
    for lang in [Lang::En, Lang::Ru] {
        let told =
            explain(builtin(), &code, Wish { product: Some(Product::Apt), ..Wish::all(lang) });
        let cyrillic = |text: &str| text.chars().any(|c| ('а'..='я').contains(&c));
        assert_eq!(cyrillic(told.meaning.as_deref().expect("known")), lang == Lang::Ru);
        let fix = &told.contexts[0].causes[0].remediations[0];
        assert_eq!(fix.id.as_str(), "apt.configure_pending");
        assert_eq!((fix.risk, fix.undo), (Risk::Disruptive, Some(Undo::None)));
        assert_eq!(cyrillic(&fix.explanation), lang == Lang::Ru);
    }
}

#[test]
fn people_are_asked_whether_they_meant_it() {
    let reading = read_code(builtin(), "0х8007003").expect("one zero is missing");
    assert_eq!(reading.code.to_string(), "0x80070003");
    assert!(reading.suggested);
}

fn asked(text: &str) -> Topic {
    ask(builtin(), text, Wish::all(Lang::En)).unwrap_or_else(|e| panic!("{text}: {e:?}"))
}

#[test]
fn whatever_has_a_name_is_explained_by_it() {
    let Topic::Cause(cause) = asked(" WU_cache_corrupt ") else { panic!("a cause") };
    assert!(cause.occurs.iter().any(|o| o.product == Some(Product::WindowsUpdate)));
    assert!(cause.occurs[0].prior >= cause.occurs[1].prior);
    assert!(!cause.cause.recognised_by.is_empty() && cause.cause.prior.is_none());
    let Topic::Remediation(fix) = asked("clear_update_cache") else { panic!("a remediation") };
    assert!(fix.causes.iter().any(|c| c.id.as_str() == "wu_cache_corrupt"));
    assert_eq!(fix.digest.len(), 64);
    assert_eq!(fix.dry_run.len(), fix.remediation.steps.len());
    let lines = fix.dry_run.iter().flat_map(|step| step.details(Lang::En)).collect::<Vec<_>>();
    assert!(lines.contains(&"service: wuauserv".to_owned()), "{lines:#?}");
    let Topic::Probe(probe) = asked("probe:apt_lock_held") else { panic!("a probe") };
    assert!(probe.tells.iter().any(|t| t.own) && !probe.blocks.is_empty());
    let Topic::Cause(_) = asked("apt_lock_held") else { panic!("the cause of that name") };
    let Topic::Code(_) = asked("apt.lock_held") else { panic!("the code") };
    let Topic::Remediation(_) = asked("restore_service_start_types.bits") else { panic!("one") };
}

#[test]
fn what_is_not_found_is_helped_along() {
    let lost = |text: &str| ask(builtin(), text, Wish::all(Lang::En)).expect_err(text);
    assert_eq!(lost("0x8007002").near, ["0x80070002", "0x80070020"]);
    assert!(lost("update cache").near.iter().any(|n| n == "clear_update_cache"));
    assert!(lost("firewall").near.contains(&"turn_firewall_off".to_owned()));
    assert!(lost("zzz nothing").near.is_empty());
    assert!(lost("").near.is_empty());
}

#[test]
fn codes_of_others_are_known_as_such() {
    for code in ["0x8004DE40", "0x80041004"] {
        let told = of(code, None, None);
        assert!(told.known && told.out_of_scope, "{code}");
    }
    assert!(!of("0x8007000D", None, None).out_of_scope);
}

#[test]
fn a_wrapped_code_leads_to_what_it_wraps() {
    let told = of("0x00000003", None, None);
    assert_eq!(told.related.expect("Win32").code.to_string(), "0x80070003");
    assert_eq!(of("0x80070003", None, None).related, None);
}

#[test]
fn the_stage_of_setup_is_told() {
    let Topic::Code(told) = asked("0xC1900101 - 0x4000D") else { panic!("a code") };
    let stage = told.stage.expect("a stage");
    assert_eq!(stage.code.to_string(), "0x4000D");
    assert_eq!(stage.operation, Some("moving data and settings over"));
    let json = serde_json::to_value(asked("0х80070003 0ха001в")).expect("JSON");
    assert_eq!(json["topic"], "code");
    assert_eq!(json["code"], "0x80070003");
    assert_eq!(json["stage"]["code"], "0xA001B");
    assert_eq!(json["stage"]["phase"], serde_json::Value::Null);
}

#[test]
fn the_product_beside_an_exit_code_narrows_the_answer() {
    let Topic::Code(told) = asked("restic exit 11") else { panic!("a code") };
    assert!(told.explanation.contexts.iter().all(|c| c.product == Some(Product::Restic)));
}

#[test]
fn what_is_never_done_stands_last() {
    for cause in builtin().causes.values() {
        let told = explain_cause(builtin(), cause, Lang::Ru).cause;
        let refused: Vec<bool> =
            told.remediations.iter().map(|r| r.risk == Risk::Refused).collect();
        assert!(refused.is_sorted(), "{}", cause.id);
    }
}

fn told(asked: &str) -> CodeTopic {
    match ask(builtin(), asked, Wish::all(Lang::En)) {
        Ok(Topic::Code(told)) => *told,
        other => panic!("{asked}: {other:?}"),
    }
}

#[test]
fn a_sentence_is_read_as_its_code() {
    for (asked, code) in [
        (
            "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'",
            "apt.dpkg_interrupted",
        ),
        (
            "Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (apt)",
            "apt.lock_held",
        ),
        ("The system cannot find the path specified.", "0x80070003"),
        ("Status_wait_3", "0x80070003"),
        ("Cannot read configuration file", "0x80070003"),
        ("Ошибка 5: Отказано в доступе.", "0x80070005"),
        ("Windows Backup failed while trying to read from the shadow copy", "0x81000037"),
        ("Fatal: wrong password or no key found", "restic.wrong_password"),
    ] {
        let told = told(asked);
        assert_eq!(told.explanation.code.to_string(), code, "{asked}");
        assert!(!told.suggested && told.explanation.known, "{asked}");
    }
    // A code that stands in it tells more.
    let both = told("The system cannot find the path specified (0x80070002)");
    assert_eq!(both.explanation.code.to_string(), "0x80070002");
}

#[test]
fn an_exit_code_is_its_programs_own() {
    for (asked, code) in [
        ("zypper exit 5", "zypper.misused"),
        ("dnf exit 100", "dnf.updates_available"),
        ("borg exit 12", "borg.repo_damaged"),
        ("restic exit 12", "restic.wrong_password"),
        ("rsync 23", "rsync.partial"),
        ("exit:3010", "0x80070BC2"),
        ("DISM exit code -2146498529", "0x800F081F"),
        ("wusa 2359302", "0x00240006"),
    ] {
        let told = told(asked);
        assert_eq!(told.explanation.code.to_string(), code, "{asked}");
        assert!(told.explanation.known && !told.changes.is_empty(), "{asked}");
    }
    let wish = Wish { product: Some(Product::Borg), ..Wish::all(Lang::En) };
    let reading = read_code(builtin(), "exit:70").expect("an exit code");
    assert_eq!(
        explain_reading(builtin(), reading, wish).explanation.code.to_string(),
        "borg.locked"
    );
    // Without a program, what it means to each, and no cause for a program that nobody named.
    let every = told("exit:12").explanation;
    let products: Vec<_> = every.contexts.iter().filter_map(|c| c.product).collect();
    assert!(
        products.contains(&Product::Restic) && products.contains(&Product::Borg),
        "{products:?}"
    );
    assert!(every.contexts.iter().all(|c| c.product.is_some()) && every.retry.is_some());
}

#[test]
fn one_context_is_told_where_one_is_asked_for() {
    let one = of("0x80070003", Some(Product::WindowsUpdate), Some(Operation::Download));
    assert_eq!(one.contexts.len(), 1, "{:?}", one.contexts);
    let class = told("0x80070643 .net").explanation;
    assert!(!class.contexts.is_empty());
    for context in class.contexts.iter().filter(|c| c.product == Some(Product::WindowsUpdate)) {
        assert_eq!(context.update_class, Some(UpdateClass::Dotnet), "{context:?}");
    }
    let setup = told("0x80070003 0xA001B").explanation;
    assert!(setup.contexts.iter().all(|c| c.product.is_none_or(|p| p == Product::Upgrade)));
}

#[test]
fn what_is_no_failure_of_ours_gets_no_advice() {
    for code in ["0x8004DE40", "0x80240017", "0x00240006", "0x00000000"] {
        assert_eq!(of(code, None, None).retry, None, "{code}");
    }
    let foreign = of("0x8004DE40", None, None);
    assert!(foreign.out_of_scope && foreign.contexts.is_empty());
    // A code of Windows names no help for Linux.
    let clock = of("0x80072F8F", None, None);
    let help = clock.contexts.iter().flat_map(|c| &c.causes).flat_map(|c| &c.remediations);
    assert!(help.clone().count() > 0 && help.clone().all(|r| r.os == OsFamily::Windows));
}

#[test]
fn the_second_code_of_a_pair_tells_why() {
    let told = told("0x8078011E (0x80070005)");
    assert_eq!(told.explanation.code.to_string(), "0x8078011E");
    let detail = told.detail.expect("the second code");
    assert_eq!(detail.code.to_string(), "0x80070005");
    assert!(!detail.meaning.is_empty());
}
