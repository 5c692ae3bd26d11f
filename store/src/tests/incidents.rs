//! Incidents: verdicts, decisions, lists.

use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::incident::IncidentState;
use fleetmend_core::report::{Operation, Product};
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::triage::{Certainty, RankedCause, Verdict};
use fleetmend_core::update_class::UpdateClass;

use super::{
    at, broken_host, contract, evidence, fails, failure, hosts, incidents, job, recovers, send,
};
use crate::{IncidentFilter, PageRequest, StoreError};

pub(super) fn verdict(cause: Option<&str>, share: f64) -> Verdict {
    let ranked = |cause: Option<&str>, share, certainty| RankedCause {
        cause: cause.map(|c| c.parse().expect("a slug")),
        share,
        certainty,
        evidence: Vec::new(),
    };
    let mut causes = vec![ranked(cause, share, Certainty::Likely)];
    if cause.is_some() {
        causes.push(ranked(None, 1.0 - share, Certainty::Possible));
    }
    Verdict { causes, catalogue: "1".to_owned() }
}

contract! {
    async fn each_failed_unit_has_the_proof_of_its_own(db) {
        let host = hosts(db, 1).await[0];
        let found = |n, unit: &str, answer, minute| Evidence {
            subject: Some(unit.to_owned()),
            proof: format!("{unit} is {answer}"),
            value: Some(unit.to_owned()),
            ..evidence(n, "systemd.unit_failed", answer, at(minute))
        };
        let fails_with = |n, unit: &str, evidence| {
            let mut failure = failure(n, "systemd.unit_failed", Some(unit), at(1));
            failure.evidence = vec![evidence];
            fails(failure)
        };
        let items = [
            fails_with(1, "a.service", found(10, "a.service", Answer::Yes, 1)),
            fails_with(2, "b.service", found(11, "b.service", Answer::Yes, 1)),
            SpoolItem::Evidence(vec![
                found(12, "b.service", Answer::No, 3),
                found(13, "b.service", Answer::Yes, 2),
                evidence(14, "systemd.unit_failed", Answer::Unknown, at(1)),
            ]),
        ];
        send(db, host, items, at(3)).await;
        let kept: Vec<_> = db.evidence(host).await.expect("reads").into_iter()
            .map(|e| (e.subject, e.answer)).collect();
        let unit = |name: &str| Some(name.to_owned());
        assert_eq!(kept, [
            (None, Answer::Unknown),
            (unit("a.service"), Answer::Yes),
            (unit("b.service"), Answer::No),
        ]);
        let stored = db.reports(&crate::ReportFilter::default(), &PageRequest::first(9)).await.expect("reads");
        assert!(stored.items.iter().all(|r| r.evidence[0].subject == r.failure.subject), "in the report too");
    }

    async fn a_verdict_is_kept_and_news_ask_for_another(db) {
        let (host, id) = broken_host(db).await;
        let waiting = db.incidents_to_triage(10).await.expect("reads").remove(0);
        assert_eq!((waiting.id, waiting.host), (id, host));
        // New evidence comes while the verdict is being found.
        let found = evidence(1, "apt.dpkg_interrupted", Answer::Yes, at(2));
        send(db, host, [SpoolItem::Evidence(vec![found])], at(2)).await;
        assert!(db.save_verdict(&waiting, &verdict(None, 1.0)).await.expect("saves"));
        let again = db.incidents_to_triage(10).await.expect("reads").remove(0);
        assert!(db.save_verdict(&again, &verdict(Some("apt.cause"), 0.8)).await.expect("saves"));
        assert!(!db.save_verdict(&waiting, &verdict(None, 1.0)).await.expect("late"), "the later one stays");
        assert!(db.incidents_to_triage(10).await.expect("reads").is_empty());
        let incident = db.incident(id).await.expect("reads").expect("there").incident;
        assert_eq!((incident.cause.as_deref(), incident.share), (Some("apt.cause"), Some(0.8)));
        assert_eq!((incident.certainty, incident.untriaged), (Some(Certainty::Likely), false));
        assert_eq!(incident.verdict, Some(verdict(Some("apt.cause"), 0.8)));
    }

    async fn the_class_of_an_update_comes_to_triage_and_asks_for_another_verdict(db) {
        let host = hosts(db, 1).await[0];
        let of = |n, class| {
            let mut one = failure(n, "0x80070643", Some("KB5034441"), at(1));
            one.failure.update_class = class;
            fails(one)
        };
        send(db, host, [of(1, None)], at(1)).await;
        let waiting = db.incidents_to_triage(10).await.expect("reads").remove(0);
        assert_eq!(waiting.update_class, None);
        db.save_verdict(&waiting, &verdict(None, 1.0)).await.expect("saves");
        // A log that tells what the update is; then one that does not, and leaves what is known.
        send(db, host, [of(2, Some(UpdateClass::Winre))], at(2)).await;
        let waiting = db.incidents_to_triage(10).await.expect("reads").remove(0);
        assert_eq!(waiting.update_class, Some(UpdateClass::Winre));
        db.save_verdict(&waiting, &verdict(None, 1.0)).await.expect("saves");
        send(db, host, [of(3, None), of(4, Some(UpdateClass::Winre))], at(3)).await;
        assert!(db.incidents_to_triage(10).await.expect("reads").is_empty(), "nothing new");
        let incident = db.incident(waiting.id).await.expect("reads").expect("there");
        assert_eq!(incident.incident.update_class, Some(UpdateClass::Winre));
        let told = incident.reports.iter().filter(|r| r.failure.update_class.is_some()).count();
        assert_eq!((incident.reports.len(), told), (4, 2), "each report as it was read");
    }

    async fn a_new_catalogue_judges_all_again(db) {
        broken_host(db).await;
        assert_eq!(db.triage_all_again("1").await.expect("marks"), 1);
        let waiting = db.incidents_to_triage(10).await.expect("reads").remove(0);
        db.save_verdict(&waiting, &verdict(None, 1.0)).await.expect("saves");
        assert_eq!(db.triage_all_again("1").await.expect("marks"), 0, "the same catalogue");
        assert!(db.incidents_to_triage(10).await.expect("reads").is_empty());
        assert_eq!(db.triage_all_again("2").await.expect("marks"), 1);
        assert_eq!(db.incidents_to_triage(10).await.expect("reads").len(), 1);
    }

    async fn ignoring_needs_reason_owner_and_expiry_and_ends(db) {
        let (host, id) = broken_host(db).await;
        for (reason, owner, until) in [("", "me", at(9)), ("known", " ", at(9)), ("known", "me", at(2))] {
            let refused = db.ignore_incident(id, reason, owner, until, "ops", at(2)).await;
            assert!(matches!(refused, Err(StoreError::Conflict(_))));
        }
        db.ignore_incident(id, "known", "me", at(9), "ops", at(2)).await.expect("ignores");
        let ignored = incidents(db).await.remove(0);
        assert_eq!(ignored.state, IncidentState::Ignored);
        assert_eq!(ignored.ignored.expect("told").owner, "me");
        send(db, host, [fails(failure(200, "apt.dpkg_interrupted", None, at(5)))], at(5)).await;
        let all = incidents(db).await;
        assert_eq!((all.len(), all[0].reports, all[0].state), (1, 2, IncidentState::Ignored), "counted, still hidden");
        assert!(db.end_ignoring(at(8), 10).await.expect("looks").is_empty());
        assert_eq!(db.end_ignoring(at(9), 10).await.expect("looks"), [id]);
        assert_eq!(incidents(db).await[0].state, IncidentState::Open);
        db.ignore_incident(id, "known", "me", at(20), "ops", at(10)).await.expect("ignores");
        db.reopen_incident(id, "ops", at(11)).await.expect("reopens");
        assert!(matches!(db.reopen_incident(id, "ops", at(11)).await, Err(StoreError::Conflict(_))));
        db.create_job(&job(1, host, id), "ops", at(12)).await.expect("made");
        let busy = db.ignore_incident(id, "known", "me", at(20), "ops", at(13)).await;
        assert!(matches!(busy, Err(StoreError::JobActive { .. })));
    }

    async fn an_ignored_incident_ends_when_its_host_is_healthy(db) {
        let (host, id) = broken_host(db).await;
        db.ignore_incident(id, "known", "me", at(90), "ops", at(2)).await.expect("ignores");
        send(db, host, [recovers(None, at(5))], at(5)).await;
        assert_eq!(incidents(db).await[0].state, IncidentState::Resolved);
    }

    async fn every_filter_narrows_and_pages_hold_each_incident_once(db) {
        let all = hosts(db, 3).await;
        for host in &all {
            let n = host.0.as_u128() % 1_000 * 10;
            let items = [
                fails(failure(n, "apt.lock_held", Some("100%_dpkg"), at(1))),
                fails(failure(n + 1, "", None, at(3))),
            ];
            send(db, *host, items, at(4)).await;
        }
        let labels = [("ring".to_owned(), "one".to_owned())].into();
        db.set_labels(all[0], &labels, "test", at(4)).await.expect("labels");
        let none = IncidentFilter::default;
        let total = async |filter: IncidentFilter| {
            db.incidents(&filter, &PageRequest::default()).await.expect("lists").total
        };
        assert_eq!(total(none()).await, 6);
        assert_eq!(total(IncidentFilter { host: Some(all[1]), ..none() }).await, 2);
        assert_eq!(total(IncidentFilter { state: vec![IncidentState::Open], ..none() }).await, 6);
        assert_eq!(total(IncidentFilter { state: vec![IncidentState::Fixed], ..none() }).await, 0);
        assert_eq!(total(IncidentFilter { code: Some("apt.lock_held".into()), ..none() }).await, 3);
        assert_eq!(total(IncidentFilter { code: Some(String::new()), ..none() }).await, 3);
        assert_eq!(total(IncidentFilter { cause: Some(String::new()), ..none() }).await, 6);
        assert_eq!(total(IncidentFilter { subject: Some("%_DPKG".into()), ..none() }).await, 3);
        assert_eq!(total(IncidentFilter { since: Some(at(2)), ..none() }).await, 3);
        assert_eq!(total(IncidentFilter { labels: vec![("ring".into(), "one".into())], ..none() }).await, 2);
        assert_eq!(total(IncidentFilter { build: Some("6.1.".into()), ..none() }).await, 6);
        assert_eq!(total(IncidentFilter { product: Some(Product::Vss), ..none() }).await, 0);
        assert_eq!(total(IncidentFilter { operation: Some(Operation::Install), ..none() }).await, 6);
        let (mut seen, mut page) = (Vec::new(), PageRequest::first(4));
        loop {
            let found = db.incidents(&none(), &page).await.expect("lists");
            seen.extend(found.items.iter().map(|i| i.id));
            page.cursor = found.next;
            if page.cursor.is_none() { break }
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 6);
        page.cursor = Some("t61.00000000000000000000000000000000".parse().expect("a cursor of another list"));
        assert!(matches!(db.incidents(&none(), &page).await, Err(StoreError::BadCursor(_))));
    }
}
