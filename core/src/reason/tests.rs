use super::*;

#[test]
fn a_reason_is_kept_and_told_as_it_was() {
    let at = Timestamp::from_millis(1_800_000_000_000);
    let counts = Value::Counts { counts: vec![(Outcome::Fixed, 3), (Outcome::RolledBack, 1)] };
    let held = reason!(Frozen, name = "year end", at = Value::Moment { at, clock: "then".into() });
    let all = [
        (reason!(WaveFull, wave = 2_usize, waves = 4_usize), "wave 2 of 4 is full"),
        (reason!(AtWork, hosts = counts), "at work: 3 fixed, 1 rolled back"),
        (
            reason!(HostsWait, n = 1_usize, held = held),
            "1 host waits: frozen by \"year end\" until then",
        ),
        (
            reason!(
                NeedsIrreversible,
                remediations = Value::Names { names: vec!["a".into(), "b".into()], more: 2 }
            ),
            "it cannot be taken back: a, b and 2 more",
        ),
    ];
    for (reason, text) in all {
        assert_eq!(reason.to_string(), text);
        let kept = serde_json::to_string(&reason).expect("kept");
        assert_eq!(serde_json::from_str::<Reason>(&kept).expect("read"), reason, "{kept}");
    }
}

#[test]
fn what_was_kept_as_words_is_read_as_words() {
    let read: Vec<Reason> =
        serde_json::from_str(r#"["it allows dangerous remediations", "because"]"#).expect("read");
    assert_eq!(read[0], reason!(NeedsDangerous));
    assert_eq!(read[1], reason!(Words, text = "because"));
    assert_eq!(joined(&read), "it allows dangerous remediations; because");
}

#[test]
fn every_text_is_read_back_as_what_it_says() {
    for code in Code::ALL.iter().filter(|code| **code != Code::Words) {
        let mut reason = Reason { code: *code, params: BTreeMap::new() };
        for (at, (name, kind)) in holes(code.english()).enumerate() {
            let value = match kind {
                "" => Value::Text(format!("v{at}")),
                "counts" => Value::Counts { counts: vec![(Outcome::TimedOut, 2)] },
                "names" => Value::Names { names: vec!["x".into()], more: 0 },
                "why" => Value::from(reason!(Words, text = format!("because of {at}"))),
                "hosts_wait" | "jobs_wait" => Value::Number(3),
                "threshold" => Value::Text("abort_in_wave".into()),
                _ => Value::Text("some_word".into()),
            };
            reason.params.insert(name.to_owned(), value);
        }
        assert_eq!(Reason::read(&reason.to_string()).as_ref(), Some(&reason), "{reason}");
    }
}

#[test]
fn reasons_within_reasons_are_read_too() {
    let said = "its time was over before it could begin: the fleet is halted: storm";
    let read = Reason::read(said).expect("known");
    assert_eq!(read.params["reason"], reason!(HaltedThere, reason = "storm").into());
    assert_eq!(read.to_string(), said);
    let said = "taken back by its campaign: it is paused: somebody must resume or abort it; nothing is at work";
    let read = Reason::read(said).expect("known");
    assert_eq!(read.params["reason"], reason!(Paused, work = reason!(NothingAtWork)).into());
    assert_eq!(Reason::read("dpkg was in a bad mood"), None);
    assert_eq!(Reason::read(&"the fleet is halted: ".repeat(1_000)), None);
}

#[test]
fn any_words_are_read_and_told_again_as_they_were() {
    proptest::proptest!(|(parts in proptest::collection::vec("[a-z0-9:;, ]{0,12}", 0..6), at in 0..Code::ALL.len())| {
        let code = Code::ALL[at].english();
        let mut said = code.to_owned();
        for part in &parts {
            if let Some((before, after)) = said.split_once('{').and_then(|(b, r)| Some((b, r.split_once('}')?.1))) {
                said = format!("{before}{part}{after}");
            }
        }
        if let Some(read) = Reason::read(&said) {
            proptest::prop_assert_eq!(read.to_string(), said);
        }
    });
}
