//! The halt of the fleet.

use super::{at, contract};
use crate::{AuditFilter, HaltMark, PageRequest};

contract! {
    async fn a_halt_stands_until_it_is_lifted_and_the_first_one_stands(db) {
        assert_eq!(db.halt_mark().await.expect("reads"), None);
        let first = db.halt("bad update", "user anna", at(1)).await.expect("halts");
        let again = db.halt("me too", "user ben", at(2)).await.expect("halts");
        assert_eq!(first, again);
        let mark = HaltMark { by: "user anna".into(), since: at(1), reason: "bad update".into() };
        assert_eq!(db.halt_mark().await.expect("reads"), Some(mark));
        assert!(db.lift_halt("user ben", at(3)).await.expect("lifts"));
        assert!(!db.lift_halt("user ben", at(4)).await.expect("nothing is left"));
        assert_eq!(db.halt_mark().await.expect("reads"), None);
        assert_eq!(log(db).await, [
            "user ben fleet.resume user anna", "user ben fleet.halt already", "user anna fleet.halt",
        ]);
    }

    async fn a_halt_file_is_noted_once_when_it_comes_and_once_when_it_goes(db) {
        let mark = HaltMark { by: "command line".into(), since: at(1), reason: "fire".into() };
        assert!(!db.note_halt_file("one", None, at(0)).await.expect("nothing new"));
        assert!(db.note_halt_file("one", Some(&mark), at(1)).await.expect("noted"));
        assert!(!db.note_halt_file("one", Some(&mark), at(2)).await.expect("known"));
        assert!(db.note_halt_file("one", None, at(3)).await.expect("noted"));
        assert!(!db.note_halt_file("one", None, at(4)).await.expect("known"));
        assert_eq!(db.halt_mark().await.expect("reads"), None, "the file is the server's business");
        assert_eq!(log(db).await, ["command line fleet.resume", "command line fleet.halt"]);
    }

    async fn servers_with_different_halt_files_write_each_change_once(db) {
        let of = |reason: &str| HaltMark { by: "command line".into(), since: at(1), reason: reason.into() };
        let (fire, flood) = (of("fire"), of("flood"));
        let all = [("one", Some(&fire)), ("two", None), ("three", Some(&flood))];
        for minute in 1..4 {
            for (server, mark) in all {
                let news = db.note_halt_file(server, mark, at(minute)).await.expect("notes");
                assert_eq!(news, minute == 1 && mark.is_some(), "{server} at {minute}");
            }
        }
        assert!(db.note_halt_file("one", None, at(5)).await.expect("notes"));
        assert!(!db.note_halt_file("two", None, at(5)).await.expect("notes"));
        assert_eq!(log(db).await, ["command line fleet.resume", "command line fleet.halt", "command line fleet.halt"]);
    }
}

async fn log(db: &crate::Db) -> Vec<String> {
    let wanted = AuditFilter { subject: Some("fleet".into()), ..AuditFilter::default() };
    let page = db.audit_log(&wanted, &PageRequest::default()).await.expect("reads");
    let words = |row: crate::AuditRow| {
        let more = match row.detail["halted"]["by"].as_str() {
            Some(by) => format!(" {by}"),
            None if row.detail["already"] == true => " already".to_owned(),
            None => String::new(),
        };
        format!("{} {}{more}", row.actor, row.action)
    };
    page.items.into_iter().map(words).collect()
}
