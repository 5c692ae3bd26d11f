use super::*;
use crate::step::{Action, Base, Hive, Place, RegistryData, Tool};

fn slug(text: &str) -> Slug {
    Slug::new(text).expect("a slug")
}

fn of(action: &Action, lang: Lang) -> (String, Vec<String>, String) {
    let cat = Catalogue::default();
    let touches = steps::touches(&cat, action, lang).into_iter().map(|t| t.name).collect();
    (steps::does(&cat, action, lang), touches, steps::undoing(action, lang))
}

#[test]
fn what_is_touched_is_named_in_full() {
    let download =
        Place::Below { base: Base::Windows, path: "SoftwareDistribution/Download".to_owned() };
    let cases = [
        (Action::ServiceStop { service: "BITS".to_owned() }, "BITS"),
        (Action::FileRename { place: download }, "%SystemRoot%\\SoftwareDistribution\\Download"),
        (
            Action::FileQuarantine {
                place: Place::Below { base: Base::VarLib, path: "apt/lists".to_owned() },
            },
            "/var/lib/apt/lists",
        ),
        (
            Action::RegistrySet {
                hive: Hive::LocalMachine,
                key: "SYSTEM\\X".to_owned(),
                name: "ImagePath".to_owned(),
                data: RegistryData::Dword(1),
            },
            "HKLM\\SYSTEM\\X\\ImagePath",
        ),
        (
            Action::ToolRun { tool: Tool::SfcScannow, value_from: None },
            "%SystemRoot%\\System32\\sfc.exe /scannow",
        ),
        (
            Action::ToolRun {
                tool: Tool::SystemctlResetFailed,
                value_from: Some(slug("unit_failed")),
            },
            "/usr/bin/systemctl reset-failed <what the probe unit_failed found>",
        ),
    ];
    for (action, name) in cases {
        assert_eq!(of(&action, Lang::En).1, [name]);
    }
}

#[test]
fn every_tool_says_why_it_is_final_exactly_where_it_is() {
    for tool in Tool::ALL {
        for lang in Lang::ALL {
            let why = tool.why_final(*lang);
            assert_eq!(why.is_some(), tool.undo() == Undo::None, "{tool} in {lang}");
        }
        let action = Action::ToolRun { tool: *tool, value_from: None };
        let told = of(&action, Lang::En).2;
        assert_eq!(told.starts_with("none: "), tool.undo() == Undo::None, "{tool}: {told}");
        assert_eq!(told.contains("changes nothing"), !tool.changes(), "{tool}: {told}");
    }
}

#[test]
fn times_are_told_in_whole_units() {
    let told = |s| phrases::time(s, Lang::En);
    assert_eq!(
        [told(0), told(59), told(60), told(61), told(3_600), told(3_660), told(3_661)],
        ["0 s", "59 s", "1 min", "1 min 1 s", "1 h", "1 h 1 min", "1 h 1 min 1 s"]
    );
    assert_eq!(phrases::time(7_200, Lang::Ru), "2 ч");
}
