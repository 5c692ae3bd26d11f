use fleetmend_core::report::{FailureReport, IncidentKey, Operation, Product};
use fleetmend_core::time::Timestamp;

use crate::collect::draft::Draft;
use fleetmend_core::code::FailureCode;
use fleetmend_core::time::SourceTime;

use super::*;

const ID: &str = "8B24B027-1DEE-BABB-9A95-3517DFB9C552";
const OTHER: &str = "213FAD25-6621-4AD6-B82C-38EFC14C5C72";
const KB: &str = "KB5031356";
/// Places of files.
const ROWS: usize = 3;
const LINES: usize = 4;
const EVENTS: usize = 10;

fn failed(file: usize, subject: Option<&str>, second: i64) -> New {
    let source = match file {
        ROWS => Source::ReportingEvents,
        LINES => Source::WindowsUpdate,
        _ => Source::Evtx,
    };
    let draft = Draft {
        product: Product::WindowsUpdate,
        operation: if subject.is_some() { Operation::Install } else { Operation::Scan },
        code: Some(FailureCode::Hresult(0x8007_0643)),
        subject: subject.map(str::to_owned),
        time: SourceTime::utc(Timestamp::from_millis(second * 1_000)),
        source,
        event: None,
        line: None,
        count: None,
        update_class: None,
        message: String::new(),
    };
    let update = (file == EVENTS && subject.is_some()).then(|| ID.to_owned());
    New { file, report: draft.finish(fleetmend_catalog::builtin()), update }
}

fn named(id: &str, name: &str) -> Vec<Named> {
    vec![Named { id: id.to_owned(), product: Product::WindowsUpdate, name: name.to_owned() }]
}

fn told(joined: &mut Joined, found: Vec<New>) -> Vec<(Option<String>, i64)> {
    let about = |f: FailureReport| (f.subject, f.time.to_timestamp(0).as_millis() / 1_000);
    joined.failures(found, 0).into_iter().map(about).collect()
}

fn one(subject: &str, second: i64) -> Vec<(Option<String>, i64)> {
    vec![(Some(subject.to_owned()), second)]
}

#[test]
fn one_failed_update_of_three_logs_is_told_once_by_its_kb() {
    let mut joined = Joined::default();
    joined.learn(named(ID, KB));
    let found = vec![
        failed(ROWS, Some(ID), 101),
        failed(LINES, Some(ID), 99),
        failed(EVENTS, Some(KB), 100),
    ];
    assert_eq!(told(&mut joined, found), one(KB, 100), "the event says most");
}

#[test]
fn what_is_read_later_or_names_the_update_first_does_not_matter() {
    // The event first, the row in a look an hour later.
    let mut joined = Joined::default();
    joined.learn(named(ID, KB));
    assert_eq!(told(&mut joined, vec![failed(EVENTS, Some(KB), 100)]), one(KB, 100));
    assert_eq!(told(&mut joined, vec![failed(ROWS, Some(ID), 101)]), []);
    // The line of a log without titles first: it keeps the name that it was told under.
    let mut joined = Joined::default();
    assert_eq!(told(&mut joined, vec![failed(LINES, Some(ID), 99)]), one(ID, 99));
    joined.learn(named(ID, KB));
    assert_eq!(told(&mut joined, vec![failed(EVENTS, Some(KB), 100)]), []);
    assert_eq!(told(&mut joined, vec![failed(EVENTS, Some(KB), 5_000)]), one(ID, 5_000));
    // Its success ends both, and the update's next identifier is called by its KB.
    let key = |subject: &str| IncidentKey {
        product: Product::WindowsUpdate,
        operation: Operation::Install,
        code: None,
        subject: Some(subject.to_owned()),
    };
    let at = Timestamp::from_millis(0);
    let recovery = Recovery { key: key(KB), at, message: String::new() };
    let ended: Vec<_> = joined.recovered(recovery).into_iter().map(|r| r.key).collect();
    assert_eq!(ended, [key(ID), key(KB)]);
    joined.learn(named(OTHER, KB));
    assert_eq!(told(&mut joined, vec![failed(ROWS, Some(OTHER), 9_000)]), one(KB, 9_000));
    let row = Recovery { key: key(OTHER), at, message: String::new() };
    let ended: Vec<_> = joined.recovered(row).into_iter().map(|r| r.key).collect();
    assert_eq!(ended, [key(ID), key(KB)]);
}

#[test]
fn each_failure_counts_once_and_none_is_lost() {
    let mut joined = Joined::default();
    // Three searches within a minute, each told by an event and by a row.
    let found = [10, 40, 70]
        .into_iter()
        .flat_map(|at| [failed(ROWS, None, at + 1), failed(EVENTS, None, at)])
        .collect();
    assert_eq!(told(&mut joined, found).len(), 3);
    // One that the event log alone tells, and one further away than the clocks of two logs are.
    assert_eq!(told(&mut joined, vec![failed(EVENTS, None, 100)]).len(), 1);
    assert_eq!(told(&mut joined, vec![failed(ROWS, None, 100 + 121)]).len(), 1);
    // Other updates, and other products, are other failures.
    let mut joined = Joined::default();
    joined.learn(named(ID, KB));
    let mut servicing = failed(ROWS, Some(KB), 100);
    servicing.report.product = Product::Servicing;
    let found = vec![failed(EVENTS, Some(KB), 100), failed(ROWS, Some(OTHER), 100), servicing];
    assert_eq!(told(&mut joined, found).len(), 3);
}

#[test]
fn a_package_of_the_store_is_one_in_the_row_too() {
    let mut joined = Joined::default();
    let name = "9NBLGGH4LS1F-Microsoft.StorePurchaseApp";
    let store = Named { id: ID.to_owned(), product: Product::StoreApps, name: name.to_owned() };
    joined.learn(vec![store]);
    let failures = joined.failures(vec![failed(ROWS, Some(ID), 7)], 0);
    assert_eq!(
        (failures[0].product, failures[0].subject.as_deref()),
        (Product::StoreApps, Some(name))
    );
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut joined = Joined::default();
    for n in 0..2_000 {
        let id = format!("8B24B027-1DEE-BABB-9A95-{n:012X}");
        joined.learn(named(&id, KB));
        joined.failures(vec![failed(ROWS, Some(&id), n * 1_000)], 0);
    }
    assert_eq!((joined.names.len(), joined.told.len()), (NAMES, TOLD));
    let text = serde_json::to_string(&joined).expect("written");
    assert!(text.len() < 150_000, "{}", text.len());
    assert_eq!(serde_json::from_str::<Joined>(&text).expect("read"), joined);
}
