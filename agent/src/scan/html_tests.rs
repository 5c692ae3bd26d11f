use fleetmend_core::limits;
use fleetmend_core::report::{IncidentKey, Operation, Product, Source};
use fleetmend_core::time::SourceTime;
use fleetmend_core::triage::Verdict;
use fleetmend_core::words::Slug;

use super::*;
use crate::collect::draft::Draft;

#[test]
fn both_languages_say_the_same_things() {
    let keys = |lang| said(lang).into_keys().collect::<Vec<_>>();
    assert_eq!(keys(Lang::En), keys(Lang::Ru));
}

/// A scan that found so many of everything.
fn scanned(reports: usize, incidents: usize, codes: usize, notes: usize) -> ScanResult {
    let report = |n: usize| {
        let draft = Draft {
            product: Product::WindowsUpdate,
            operation: Operation::Install,
            code: Some(FailureCode::Hresult(0x8024_0000)),
            subject: Some(format!("[subject {n}]")),
            time: SourceTime::utc(Timestamp::from_millis(0)),
            source: Source::Evtx,
            event: None,
            line: None,
            count: None,
            update_class: None,
            message: "<b>".repeat(100_000),
        };
        draft.finish(&Catalogue::default())
    };
    let incident = |n: usize| IncidentVerdict {
        key: IncidentKey { subject: Some(format!("[incident {n}]")), ..report(n).incident_key() },
        reports: 1,
        verdict: Verdict { causes: Vec::new(), catalogue: String::new() },
        help: Vec::new(),
        would_ask: Vec::new(),
    };
    ScanResult {
        sources: 1,
        reports: (0..reports).map(report).collect(),
        by_code: (0..codes).map(|n| (format!("0x{:08X}", 0x8000_0000 + n), 1)).collect(),
        verdicts: (0..incidents).map(incident).collect(),
        notes: (0..notes).map(|n| format!("[note {n}]")).collect(),
        failed: false,
    }
}

#[test]
fn what_is_over_a_bound_is_counted_and_not_told() {
    let told = |over: usize| {
        let result = scanned(FAILURES + over, INCIDENTS + over, CODES + over, NOTES + over);
        let paths: Vec<_> = (0..PATHS + over).map(|n| format!("[path {n}]").into()).collect();
        let head = Head { paths: &paths, now: Timestamp::from_millis(0), lang: Lang::En };
        report(&result, &Catalogue::default(), head)
    };
    let (whole, cut) = (told(0), told(7));
    assert!(!whole.contains("more</p>") && !whole.contains("(+"), "nothing was left out");
    assert_eq!(cut.matches("<p>and 7 more</p>").count(), 4);
    assert_eq!(cut.matches("(+7)").count(), 1);
    for page in [&whole, &cut] {
        for (name, bound) in
            [("subject", FAILURES), ("incident", INCIDENTS), ("note", NOTES), ("path", PATHS)]
        {
            assert_eq!(page.matches(&format!("[{name} ")).count(), bound, "{name}");
        }
        assert_eq!(page.matches("<code>0x80000").count(), CODES);
    }
}

#[test]
fn what_windows_wrote_is_not_repaired_as_linux() {
    let mut result = scanned(1, 1, 1, 0);
    let cause = Slug::new("pending_reboot").expect("a name");
    let of_both = &fleetmend_catalog::builtin().causes[&cause].remediations;
    assert!(of_both.iter().any(|id| id.as_str() == "restart.linux"), "{of_both:?}");
    result.verdicts[0].verdict.causes.push(RankedCause {
        cause: Some(cause),
        share: 0.6,
        certainty: Certainty::Likely,
        evidence: Vec::new(),
    });
    let head = Head { paths: &[], now: Timestamp::from_millis(0), lang: Lang::En };
    let page = report(&result, fleetmend_catalog::builtin(), head);
    assert_eq!(page.matches("<summary>Restart the host ").count(), 1, "{page}");
    result.verdicts[0].key.product = Product::Other;
    let page = report(&result, fleetmend_catalog::builtin(), head);
    assert_eq!(page.matches("<summary>Restart the host ").count(), 2, "of either system");
}

#[test]
fn the_longest_words_of_a_log_make_no_endless_report() {
    let mut result = scanned(3, 1, 1, 0);
    result.verdicts[0].key = result.reports[0].incident_key();
    let head = Head { paths: &[], now: Timestamp::from_millis(0), lang: Lang::En };
    let page = report(&result, &Catalogue::default(), head);
    // Escaped, each letter becomes four at most.
    let most = 4 * limits::REPORT_MESSAGE_BYTES + STYLE.len() + 8_192;
    assert!(page.contains("&lt;b&gt;&lt;b&gt;") && page.len() < most, "{}", page.len());
}

#[test]
fn hostile_text_stays_text() {
    let hostile = "<script>&\"'\u{202e}\u{1b}x";
    assert_eq!(esc(hostile), "&lt;script&gt;&amp;&quot;&#39;\u{fffd}\u{fffd}x");
}
