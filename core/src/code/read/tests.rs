//! The spellings that people and public sources really use.

use proptest::prelude::*;

use super::tokens::is_label;
use super::*;
use crate::knowledge::Lang;

/// Codes that stand for the catalogue.
fn known(value: u32) -> bool {
    [
        0x8007_0003,
        0x8007_0002,
        0x8007_0020,
        0x8007_000D,
        0x800F_0831,
        0x8007_2EFE,
        0x0024_0006,
        0x8004_DE40,
    ]
    .contains(&value)
}

fn ok(text: &str) -> CodeReading {
    read(text, &known).unwrap_or_else(|e| panic!("{text:?}: {e}"))
}

fn refused(text: &str) -> String {
    match read(text, &known) {
        Ok(reading) => panic!("{text:?} was read as {}", reading.code),
        Err(why) => why.to_string(),
    }
}

#[test]
fn every_spelling_gives_the_same_code() {
    for text in [
        "0x80070003",
        "0X80070003",
        "80070003",
        "-2147024893",
        "2147942403",
        "−2147024893",
        "0х80070003",
        "0Х80070003",
        "х80070003",
        "\\x80070003",
        "8007000З",
        "0×80070003",
        "ох8оо7ооо3",
        "0x8OO70003",
        " (0x80070003). ",
        "[80070003]",
        "\u{A0}0x8007\u{200B}0003\u{FEFF}",
        "(hr:0x80070003)",
        "HRESULT = 80070003",
        "hr=80070003",
        "код ошибки 0х80070003",
        "Ошибка: 80070003",
        "Error code: (0x80070003)",
        "Windows failed to install the following update with error 0x80070003",
        "%%2147942403",
        "%%3",
        "0xFFFFFFFF80070003",
        "0x80070003",
    ] {
        let reading = ok(text);
        assert_eq!(reading.code, FailureCode::Hresult(0x8007_0003), "{text:?}");
        assert_eq!(reading.original, text);
        assert!(!reading.suggested, "{text:?}");
    }
}

#[test]
fn other_codes_of_public_sources() {
    for (text, code) in [
        ("0х8007000d", "0x8007000D"),
        ("0х8004de40", "0x8004DE40"),
        ("0X8007000D", "0x8007000D"),
        ("800f0831", "0x800F0831"),
        ("[80070426]", "0x80070426"),
        ("(hr:0x800f081f)", "0x800F081F"),
        ("%%2155348254", "0x8078011E"),
        ("80072EFE", "0x80072EFE"),
        ("2149580817", "0x80200011"),
        ("0x240006", "0x00240006"),
        ("2359302", "0x00240006"),
        ("0xС1900101", "0xC1900101"),
        ("0x8ОО7ОООВ", "0x8007000B"),
        ("exit:11", "exit:11"),
        ("exit code 11", "exit:11"),
        ("exit52x24.4", "exit52x24.4"),
        ("Exit status: -1", "exit:-1"),
        ("apt.lock_held", "apt.lock_held"),
        ("APT.Lock_Held.", "apt.lock_held"),
        ("servicing.store_corrupt", "servicing.store_corrupt"),
    ] {
        assert_eq!(ok(text).code.to_string(), code, "{text:?}");
    }
}

#[test]
fn what_stands_around_an_exit_code_is_understood() {
    for (text, code, product) in [
        ("restic exit 11", "exit:11", Some(Product::Restic)),
        ("restic: exit code 12", "exit:12", Some(Product::Restic)),
        ("borg exit status 2", "exit:2", Some(Product::Borg)),
        ("rsync error (exit 23)", "exit:23", Some(Product::Rsync)),
        ("exit code 11 (lock failed)", "exit:11", None),
        ("zypper exit 106, repos skipped", "exit:106", Some(Product::Zypper)),
    ] {
        let reading = ok(text);
        assert_eq!((reading.code.to_string().as_str(), reading.product), (code, product), "{text}");
        assert_eq!(reading.product.is_some() || text.contains('('), !reading.changes.is_empty());
    }
    assert!(refused("exit 11x").contains("is not an exit code"));
}

#[test]
fn a_program_of_windows_ends_with_a_code_of_windows() {
    for (text, code, change) in [
        ("wusa.exe returned 3010", "0x80070BC2", Change::Win32(3010)),
        ("msiexec 1603", "0x80070643", Change::Win32(1603)),
        ("dism exit 87", "0x80070057", Change::Win32(87)),
        ("DISM exit code -2146498529", "0x800F081F", Change::Signed),
        ("exit code 2149842967", "0x80240017", Change::Unsigned),
        ("wusa 2359302", "0x00240006", Change::Unsigned),
    ] {
        let reading = ok(text);
        assert_eq!(reading.code.to_string(), code, "{text}");
        assert!(reading.changes.contains(&change) && !reading.suggested, "{text}: {reading:?}");
    }
    for (text, code, product) in [
        ("rsync 23", "exit:23", Product::Rsync),
        ("borg 2", "exit:2", Product::Borg),
        ("zypper returned 106", "exit:106", Product::Zypper),
        (
            "rsync error: some files could not be transferred (code 23) at main.c(1338) [sender=3.2.7]",
            "exit:23",
            Product::Rsync,
        ),
    ] {
        let reading = ok(text);
        assert_eq!((reading.code.to_string().as_str(), reading.product), (code, Some(product)));
    }
    for text in ["restic 0.17 is here", "apt is held by process 7 (apt)", "borg 1 2", "dism"] {
        assert!(refused(text).contains("holds no code"), "{text}");
    }
    assert_eq!(of_windows(3010).map(|(code, _)| code.to_string()).as_deref(), Some("0x80070BC2"));
    assert_eq!(of_windows(23), None);
}

#[test]
fn a_small_number_is_taken_for_a_win32_error_and_asked_about() {
    for (text, code) in [
        ("3010", "0x80070BC2"),
        ("exited with code 1618", "0x80070652"),
        ("(5)", "0x80070005"),
        ("Error: 87", "0x80070057"),
        ("ошибка 5 отказано в доступе", "0x80070005"),
        ("0x643", "0x80070643"),
        ("0x57", "0x80070057"),
    ] {
        let reading = ok(text);
        assert_eq!((reading.code.to_string().as_str(), reading.suggested), (code, true), "{text}");
    }
    assert_eq!(ok("0x0").code, FailureCode::Hresult(0));
    assert!(refused("0x8007").contains("hex digits"));
}

#[test]
fn what_programs_and_languages_write_around_a_code_is_taken_off() {
    for text in [
        "80070003h",
        "0x80070003L",
        "0x80070003UL",
        "&H80070003",
        "WindowsUpdate_80070003",
        "0x8007 0003",
        "ООх80070003",
        "ERROR_PATH_NOT_FOUND 80070003",
    ] {
        let reading = ok(text);
        assert_eq!(reading.code.to_string(), "0x80070003", "{text}");
        assert!(!reading.changes.is_empty() && !reading.suggested, "{text}");
    }
}

#[test]
fn the_pair_of_a_backup_program_is_its_code_and_why() {
    for text in ["0x8078011E (0x80070005)", "HRESULT = 0x8078011E, detailed 0x80070005"] {
        let reading = ok(text);
        assert_eq!(reading.code.to_string(), "0x8078011E");
        assert_eq!(reading.detail, Some(FailureCode::Hresult(0x8007_0005)));
    }
    assert!(refused("0x8024200b 0x80070005").contains("0x8024200B, 0x80070005"));
}

#[test]
fn letters_are_said_to_be_replaced_only_where_one_of_the_code_was() {
    for (text, replaced) in [
        ("Ошибка 0x8024402f", false),
        ("0x80070003 – ошибка установки", false),
        ("Ошибка 0х8024402f", true),
        ("−2147024893", true),
    ] {
        assert_eq!(ok(text).changes.contains(&Change::Letters), replaced, "{text}");
    }
}

#[test]
fn symbols_of_windows_are_looked_up() {
    for (text, code) in [
        ("ERROR_ACCESS_DENIED", "0x80070005"),
        ("error_path_not_found", "0x80070003"),
        ("STATUS_DISK_FULL", "0xC000007F"),
    ] {
        let reading = ok(text);
        assert_eq!(reading.code.to_string(), code);
        assert_eq!(reading.changes, [Change::Symbol]);
    }
    assert!(refused("ERROR_OF_NOBODY").contains("holds no code"));
}

#[test]
fn what_the_seeds_write_is_read() {
    for (text, code, suggested) in [
        (
            "Some update files are missing or have problems. We'll try to download the update again later. Error code: (0x80070003)",
            "0x80070003",
            false,
        ),
        ("We couldn't install this update but you can try again (0x80070003)", "0x80070003", false),
        ("Status_wait_3 0x8007003 – Manually download each Windows update", "0x80070003", true),
        ("Код ошибки 0х80070003 0ха001в", "0x80070003", false),
        ("Code (0x80070003)", "0x80070003", false),
        ("0х8007000d", "0x8007000D", false),
        ("0x800700003", "0x80070003", true),
        ("0x801901F7", "0x801901F7", false),
        ("0xD0000034", "0xD0000034", false),
    ] {
        let reading = ok(text);
        assert_eq!(
            (reading.code.to_string().as_str(), reading.suggested),
            (code, suggested),
            "{text}"
        );
    }
    assert_eq!(ok("Код ошибки 0х80070003 0ха001в").stage, Some(Stage(0xA001B)));
}

#[test]
fn every_change_and_refusal_is_said_in_both_languages() {
    let cyrillic = |text: &str| text.chars().any(|c| ('а'..='я').contains(&c));
    for text in [
        "0х80070003",
        "-2147024893",
        "2147942403",
        "%%3",
        "0x8007003",
        "0x800700003",
        "(80070003)",
        "0xFFFFFFFF80070003",
        "0x240006",
        "APT.x",
        "STATUS_DISK_FULL",
        "see 80070003 there",
    ] {
        for change in ok(text).changes {
            assert!(
                cyrillic(&change.words(Lang::Ru)) && !cyrillic(&change.words(Lang::En)),
                "{change:?}"
            );
        }
    }
    for text in [
        "",
        "wuauserv",
        "70000",
        "0x8007002",
        "exit:x",
        "0xA001B",
        "0x80070003 and 0x80070005",
        "КВ 5034441",
    ] {
        let why = read(text, &known).expect_err(text);
        assert!(cyrillic(&why.words(Lang::Ru)) && !cyrillic(&why.words(Lang::En)), "{why:?}");
    }
}

#[test]
fn a_missing_or_extra_zero_is_a_suggestion() {
    let missing = ok("0x8007003");
    assert_eq!(missing.code, FailureCode::Hresult(0x8007_0003));
    assert!(missing.suggested);
    assert_eq!(missing.changes, [Change::ZeroAdded]);
    let extra = ok("0x800700003");
    assert_eq!(extra.code, FailureCode::Hresult(0x8007_0003));
    assert!(extra.suggested);
    assert_eq!(ok("800700003").changes, [Change::Prefix, Change::ZeroRemoved]);
    assert_eq!(ok("8007003").code, FailureCode::Hresult(0x8007_0003));
    assert!(ok("Status_wait_3 0x8007003").suggested);
}

#[test]
fn two_possible_codes_are_both_named_and_none_taken() {
    let message = refused("0x8007002");
    assert!(message.ends_with("did you mean 0x80070002 or 0x80070020?"), "{message}");
}

#[test]
fn setup_prints_a_stage_after_its_code() {
    let stages = [
        ("0x80070003 0xA001B", 0xA001B),
        ("0x80070003 0ха001в", 0xA001B),
        ("0xC1900101 - 0x4000D", 0x4000D),
        ("0xC1900101-0x20017", 0x20017),
        ("0xC1900101, 0x00020017", 0x20017),
        ("80070003 A001B", 0xA001B),
        ("0xC1900101-20017", 0x20017),
        ("0x80070003/0xA001B", 0xA001B),
    ];
    for (text, stage) in stages {
        assert_eq!(ok(text).stage, Some(Stage(stage)), "{text:?}");
    }
    assert!(refused("0xA001B").contains("put the result code before it"));
}

#[test]
fn refusals_say_what_was_wrong_and_what_is_accepted() {
    assert!(refused("").contains("0x80070003, 80070003, -2147024893"));
    assert!(refused("\u{200B} ()").contains("no code was given"));
    assert!(refused("wuauserv").contains("holds no code"));
    assert!(refused("70000").contains("exit:70000"));
    assert!(refused("KB5034441").contains("--kb KB5034441"));
    assert!(refused("ошибка без кода").contains("\"ошибка без кода\" holds no code"));
    assert!(refused("0x12345678901").contains("has 11 hex digits where a code has 8"));
    assert!(refused("0x8008888").contains("has 7 hex digits"));
    assert!(refused("exit:eleven").contains("exit:11"));
    assert!(refused("-99999999999").contains("no 32-bit"));
    assert!(refused("0x80070003 and 0x80070005").contains("several codes"));
    assert!(refused(&"x".repeat(2_000)).contains("longer than"));
}

#[test]
fn bare_digits_in_running_text_are_no_code() {
    for text in [
        "update 9482f4b4-e343-43b6 failed",
        "the file at deadbeef is gone",
        "error 9482f4b4 on disk",
        "see 80071234 there",
    ] {
        assert!(refused(text).contains("holds no code"), "{text:?}");
    }
}

#[test]
fn digits_of_a_known_code_in_running_text_are_asked_about_and_behind_a_label_taken() {
    for (text, asked) in [
        ("80070003 kb5034441", true),
        ("KB5034441 80070003", true),
        ("see 80070003 there", true),
        ("windows update 80070003", true),
        ("обновление 80070003 не ставится", true),
        ("windows update error 80070003 after reboot", false),
        ("ошибка 80070003 при установке", false),
        ("Error code: 80070003 (kb5034441)", false),
    ] {
        let reading = ok(text);
        assert_eq!(reading.code, FailureCode::Hresult(0x8007_0003), "{text}");
        assert_eq!(reading.suggested, asked, "{text}");
        assert_eq!(reading.changes.contains(&Change::FromText), asked, "{text}");
    }
    assert!(refused("first 80070002 then 80070003").contains("80070002, 80070003"));
    assert_eq!(ok("0x80070005 at 80070003").code, FailureCode::Hresult(0x8007_0005));
}

#[test]
fn updates_are_known_by_their_number() {
    for text in ["KB5034441", "kb5034441", " Kb 5034441 ", "КВ5034441"] {
        assert_eq!(update_number(text).as_deref(), Some("KB5034441"), "{text}");
    }
    for text in ["KB", "KBx", "0x80070003", "kb-server-1", "5034441"] {
        assert_eq!(update_number(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn nothing_typed_panics(text in "\\PC{0,60}") {
        let _ = read(&text, &known);
    }

    #[test]
    fn nothing_that_looks_like_a_code_panics(text in "[0-9a-fA-FхХxXоаве%:\\-() .]{0,24}") {
        let _ = read(&text, &known);
    }

    #[test]
    fn canonical_numbers_come_back_unchanged(value: u32) {
        let code = FailureCode::Hresult(value);
        let reading = read(&code.to_string(), &known).expect("canonical");
        prop_assert_eq!(reading.code, code);
        prop_assert!(reading.changes.is_empty() && !reading.suggested && reading.stage.is_none());
    }

    #[test]
    fn every_number_reads_the_same_in_every_base(value in 0x8000_0000u32..) {
        for text in [value.to_string(), value.cast_signed().to_string(), format!("{value:x}"), format!("%%{value}")] {
            // Ten digits with a minus and eight hex digits are never mistaken for each other.
            prop_assert_eq!(read(&text, &known).expect("a form").code, FailureCode::Hresult(value), "{}", text);
        }
    }

    #[test]
    fn exit_codes_and_names_come_back(status: i32, name in "[a-z][a-z0-9_]{0,12}\\.[a-z0-9_]{1,20}") {
        for code in [FailureCode::Exit(status), name.parse().expect("a slug")] {
            let reading = read(&code.to_string(), &known).expect("canonical");
            prop_assert_eq!(&reading.code, &code);
            prop_assert!(reading.changes.is_empty());
        }
    }
}

#[test]
fn labels_are_known_in_the_letters_that_they_have_by_then() {
    for label in
        ["hr", "HRESULT", "Error", "code", "failed", "with", "код", "Ошибка", "ошибки", "ошибк"]
    {
        assert!(is_label(&latin(label).to_lowercase()), "{label}");
        assert_eq!(ok(&format!("{label} 80070003")).code, FailureCode::Hresult(0x8007_0003));
    }
    assert!(!is_label("80070003") && !is_label(""));
}
