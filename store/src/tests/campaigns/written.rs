//! Written, approved, found, frozen: all that comes before the first host.

use fleetmend_core::campaign::CampaignState;
use fleetmend_core::campaign::calendar::{FreezeRule, FreezeWhen};
use fleetmend_core::host::{HostState, Labels, Lifecycle};
use fleetmend_core::ids::FreezeId;
use fleetmend_core::reason::Reason;
use fleetmend_core::token::Role;
use serde_json::json;

use super::{ANNA, BORIS, CODE, broken, definition, found, look, new, running, text};
use crate::tests::{at, contract, id};
use crate::{
    AuditFilter, CampaignFilter, CampaignMove, CampaignText, Db, Exclusion, NameCount, NewFreeze,
    PageRequest, StoreError, Who,
};

fn refused<T: std::fmt::Debug>(done: Result<T, StoreError>, part: &str) {
    match done {
        Err(StoreError::Conflict(why)) => assert!(why.contains(part), "{part}: {why}"),
        other => panic!("{part}: {other:?}"),
    }
}

async fn actions(db: &Db, subject: &str) -> Vec<(String, String)> {
    let filter = AuditFilter { subject: Some(subject.to_owned()), ..AuditFilter::default() };
    let rows = db.audit_log(&filter, &PageRequest::first(100)).await.expect("reads").items;
    rows.into_iter().rev().map(|row| (row.action, row.actor)).collect()
}

contract! {
    async fn an_approval_is_a_second_persons_and_bound_to_what_was_written(db) {
        let mut new = new(1, &json!({}));
        new.text.needs = vec![Reason::of_text("it is dangerous")];
        let made = db.create_campaign(&new, ANNA, at(1)).await.expect("creates");
        assert_eq!((made.state, made.revision), (CampaignState::AwaitingApproval, 1));
        assert_eq!(made.digest, made.definition.digest());
        let none = crate::Selection::default();
        refused(db.start_campaign((made.id, &made.digest), &none, "", ANNA, at(1)).await, "it is dangerous");

        // Neither as herself, nor by a token of hers, nor in other letters; and no nameless token.
        for who in [ANNA, Who { actor: "api-token ci", person: "Anna" }, Who { actor: "USER anna", person: "x" }] {
            refused(db.approve_campaign(made.id, &made.digest, "", who, at(2)).await, "second person");
        }
        let nameless = Who { actor: "api-token ci", person: "" };
        refused(db.approve_campaign(made.id, &made.digest, "", nameless, at(2)).await, "a person's");
        refused(db.approve_campaign(made.id, "00", "", BORIS, at(2)).await, "changed since");
        let approved = db.approve_campaign(made.id, &made.digest, "seen", BORIS, at(2)).await.expect("approves");
        assert_eq!((approved.state, approved.approved_by.as_deref()), (CampaignState::Draft, Some("user boris")));
        refused(db.approve_campaign(made.id, &made.digest, "", BORIS, at(2)).await, "awaits no approval");

        // An edit takes it its force, and the old text does not bring it back.
        refused(db.edit_campaign(made.id, made.revision, &new.text, BORIS, at(3)).await, "changed meanwhile");
        let other = CampaignText { definition: definition(&json!({"max_risk": "dangerous"})), ..new.text.clone() };
        let edited = db.edit_campaign(made.id, approved.revision, &other, BORIS, at(3)).await.expect("edits");
        assert_eq!((edited.state, edited.approved_by.as_deref()), (CampaignState::AwaitingApproval, None));
        assert_ne!(edited.digest, made.digest);
        let back = db.edit_campaign(made.id, edited.revision, &new.text, BORIS, at(4)).await.expect("edits");
        assert_eq!((&back.digest, back.approved_by.as_deref()), (&made.digest, None));
        // Whoever had a hand in it is an author, though another edited it after them.
        let dora = Who { actor: "api-token dora's", person: "user dora" };
        let theirs = db.edit_campaign(made.id, back.revision, &other, dora, at(4)).await.expect("edits");
        let back = db.edit_campaign(made.id, theirs.revision, &new.text, ANNA, at(4)).await.expect("edits");
        let dora = Who { actor: "user dora", person: "user dora" };
        for who in [ANNA, BORIS, dora] {
            refused(db.approve_campaign(made.id, &back.digest, "", who, at(5)).await, "second person");
        }
        let third = Who { actor: "user clara", person: "clara" };
        let approved = db.approve_campaign(made.id, &back.digest, "fine", third, at(5)).await.expect("approves");
        // Asked again, since the catalogue has another remediation now: the approval was for the old one.
        let mut today = new.text.clone();
        today.definition.remediations.insert("apt.other".parse().expect("a name"), "00".to_owned());
        refused(db.ask_again(made.id, approved.revision + 1, &today, "server", at(5)).await, "changed meanwhile");
        let asked = db.ask_again(made.id, approved.revision, &today, "server", at(5)).await.expect("asks");
        assert_eq!((asked.state, asked.approved_by.as_deref()), (CampaignState::AwaitingApproval, None));
        assert_eq!((asked.digest.as_str(), asked.edited_by.as_str()), (today.definition.digest().as_str(), "user anna"));
        refused(db.approve_campaign(made.id, &back.digest, "", third, at(5)).await, "changed since");
        refused(db.approve_campaign(made.id, &asked.digest, "", ANNA, at(5)).await, "second person");
        db.approve_campaign(made.id, &asked.digest, "fine", third, at(5)).await.expect("approves");
        refused(db.start_campaign((made.id, &back.digest), &none, "now", ANNA, at(6)).await, "changed meanwhile");
        let made = asked;
        let begun = db.start_campaign((made.id, &made.digest), &none, "now", ANNA, at(6)).await.expect("starts");
        assert_eq!((begun.state, begun.run, begun.started), (CampaignState::Running, 1, Some(at(6))));
        refused(db.edit_campaign(made.id, begun.revision, &new.text, ANNA, at(6)).await, "has not begun");
        refused(db.start_campaign((made.id, &made.digest), &none, "now", ANNA, at(6)).await, "running");

        let given = db.campaign_approvals(made.id).await.expect("lists");
        assert_eq!(given.iter().map(|a| (a.by.as_str(), a.void)).collect::<Vec<_>>(),
            [("user boris", Some(at(3))), ("user clara", Some(at(5))), ("user clara", None)]);
        assert_eq!(db.approvals(1).await.expect("lists")[0].by, "user clara");
        let document = db.campaign_document(made.id, at(9)).await.expect("exports");
        assert_eq!((document.approvals.len(), document.runs.len(), document.audit_omitted), (3, 1, 0));
        let told: Vec<_> = document.audit.iter().map(|row| row.action.as_str()).collect();
        assert_eq!(told, ["campaign.create", "campaign.approve", "campaign.edit", "campaign.edit",
            "campaign.edit", "campaign.edit", "campaign.approve", "campaign.ask", "campaign.approve", "campaign.start"]);
        assert_eq!(document.audit[1].actor, "user boris");
        serde_json::to_string(&document).expect("one document");
    }

    async fn one_that_is_paused_for_want_of_an_approval_goes_on_with_a_new_one(db) {
        use CampaignMove as M;
        use CampaignState as S;
        let mut new = new(1, &json!({}));
        new.text.needs = vec![Reason::of_text("it is dangerous")];
        let made = db.create_campaign(&new, ANNA, at(1)).await.expect("creates");
        let approved = db.approve_campaign(made.id, &made.digest, "", BORIS, at(2)).await.expect("approves");
        assert_eq!(approved.state_reasons[0].to_string(), approved.state_reason);
        let none = crate::Selection::default();
        let begun = db.start_campaign((made.id, &made.digest), &none, "", ANNA, at(3)).await.expect("starts");
        let mut today = new.text.clone();
        today.definition.remediations.insert("apt.other".parse().expect("a name"), "00".to_owned());
        let paused = db.ask_again(made.id, begun.revision, &today, "campaign", at(4)).await.expect("asks");
        assert_eq!((paused.state, paused.approved_by.as_deref()), (S::Paused, None));
        assert_eq!(paused.digest, today.definition.digest());
        assert!(paused.state_reason.contains("settings or catalogue have changed"), "{}", paused.state_reason);
        assert_eq!(fleetmend_core::reason::joined(&paused.state_reasons), paused.state_reason);
        let asked = CampaignFilter { awaits_approval: true, ..CampaignFilter::default() };
        assert_eq!(db.campaigns(&asked, &PageRequest::default()).await.expect("lists").total, 1);

        // It does not go on without, and not by its author's word or for what it was before.
        refused(db.move_campaign(made.id, M::Resume, "", ANNA, at(5)).await, "second person must approve");
        refused(db.approve_campaign(made.id, &paused.digest, "", ANNA, at(5)).await, "second person");
        refused(db.approve_campaign(made.id, &made.digest, "", BORIS, at(5)).await, "changed since");
        let anew = db.approve_campaign(made.id, &paused.digest, "", BORIS, at(6)).await.expect("approves");
        assert_eq!((anew.state, anew.approved_by.as_deref()), (S::Paused, Some("user boris")));
        assert_eq!(anew.state_reason, "approved anew by user boris: it may be resumed");
        refused(db.approve_campaign(made.id, &paused.digest, "", BORIS, at(6)).await, "awaits no approval");
        let resumed = db.move_campaign(made.id, M::Resume, "", ANNA, at(7)).await.expect("resumes");
        assert_eq!((resumed.state, resumed.run), (S::Running, 1));
        assert_eq!(db.campaigns(&asked, &PageRequest::default()).await.expect("lists").total, 0);

        // One that somebody paused is asked about too, and keeps that somebody's reason.
        db.move_campaign(made.id, M::Pause, "too loud", ANNA, at(8)).await.expect("pauses");
        let paused = db.campaign(made.id).await.expect("reads").expect("there");
        let asked = db.ask_again(made.id, paused.revision, &new.text, "user anna", at(9)).await.expect("asks");
        assert_eq!((asked.state, asked.state_reason.as_str()), (S::Paused, "too loud"));
        let anew = db.approve_campaign(made.id, &asked.digest, "", BORIS, at(9)).await.expect("approves");
        assert_eq!((anew.state, anew.state_reason.as_str()), (S::Paused, "too loud"));
        db.move_campaign(made.id, M::Abort, "enough", ANNA, at(10)).await.expect("aborts");
        let over = db.campaign(made.id).await.expect("reads").expect("there");
        refused(db.ask_again(made.id, over.revision, &today, "server", at(11)).await, "is aborted");
    }

    async fn who_was_demoted_or_shut_out_meanwhile_approves_nothing(db) {
        let mut new = new(1, &json!({}));
        new.text.needs = vec![Reason::of_text("it is dangerous")];
        let made = db.create_campaign(&new, ANNA, at(1)).await.expect("creates");
        let anna = crate::tests::users::user(71, "anna", Role::Admin);
        let boris = crate::tests::users::user(72, "boris", Role::Viewer);
        for user in [&anna, &boris] {
            db.create_user(user, "test", at(1)).await.expect("made");
        }
        let who = Who { actor: "user boris", person: "user boris" };
        refused(db.approve_campaign(made.id, &made.digest, "", who, at(2)).await, "any more");
        db.set_user_role(boris.id, Role::Approver, "user anna", at(3)).await.expect("promoted");
        db.set_user_disabled(boris.id, true, "user anna", at(3)).await.expect("shut out");
        refused(db.approve_campaign(made.id, &made.digest, "", who, at(4)).await, "any more");
        db.set_user_disabled(boris.id, false, "user anna", at(5)).await.expect("let in");
        db.approve_campaign(made.id, &made.digest, "", who, at(6)).await.expect("approves");
    }

    async fn people_move_a_campaign_only_where_it_can_go(db) {
        use CampaignMove as M;
        use CampaignState as S;
        let made = db.create_campaign(&new(1, &json!({})), ANNA, at(1)).await.expect("creates");
        refused(db.move_campaign(made.id, M::Schedule, "", ANNA, at(1)).await, "no schedule");
        for what in [M::Pause, M::Resume, M::Abort] {
            refused(db.move_campaign(made.id, what, "", ANNA, at(1)).await, "is draft");
        }
        let none = crate::Selection::default();
        db.start_campaign((made.id, &made.digest), &none, "", ANNA, at(2)).await.expect("starts");
        let paused = db.move_campaign(made.id, M::Pause, "lunch", BORIS, at(3)).await.expect("pauses");
        assert_eq!((paused.state, paused.state_by.as_str(), paused.state_reason.as_str()),
            (S::Paused, "user boris", "lunch"));
        assert_eq!((paused.state_since, paused.next_look), (at(3), Some(at(3))));
        let resumed = db.move_campaign(made.id, M::Resume, "", ANNA, at(4)).await.expect("resumes");
        assert_eq!((resumed.state, resumed.started, resumed.run_ended), (S::Running, Some(at(2)), None));
        let aborted = db.move_campaign(made.id, M::Abort, "wrong", ANNA, at(5)).await.expect("aborts");
        assert_eq!((aborted.state, aborted.run_ended), (S::Aborted, Some(at(5))));
        refused(db.move_campaign(made.id, M::Resume, "", ANNA, at(6)).await, "is aborted");

        let once = json!({"schedule": {"once": {"at": "2030-01-01T22:00"}}});
        let later = db.create_campaign(&new(2, &once), ANNA, at(1)).await.expect("creates");
        let waits = db.move_campaign(later.id, M::Schedule, "", ANNA, at(2)).await.expect("schedules");
        assert_eq!(waits.state, S::Scheduled);
        assert_eq!(db.campaigns_due(at(2), 10).await.expect("reads").last(), Some(&later.id));
        assert_eq!(db.campaigns_at_work(10).await.expect("reads"), [later.id]);
        let cancelled = db.move_campaign(later.id, M::Cancel, "", ANNA, at(3)).await.expect("cancels");
        assert_eq!((cancelled.state, cancelled.next_look), (S::Cancelled, None));

        let all = db.campaigns(&CampaignFilter::default(), &PageRequest::default()).await.expect("lists");
        assert_eq!((all.total, all.items.len()), (2, 2));
        let some = CampaignFilter { state: vec![S::Aborted], search: Some("DPKG".to_owned()), ..CampaignFilter::default() };
        let some = db.campaigns(&some, &PageRequest::first(1)).await.expect("lists");
        assert_eq!(some.items.iter().map(|c| c.id).collect::<Vec<_>>(), [made.id]);
        let subject = format!("campaign {}", made.id);
        let told: Vec<_> = actions(db, &subject).await.into_iter().map(|(action, _)| action).collect();
        assert_eq!(told, ["campaign.create", "campaign.start", "campaign.pause", "campaign.resume", "campaign.abort"]);
    }

    async fn a_selector_finds_hosts_and_says_why_it_leaves_others_out(db) {
        let all = broken(db, 8).await;
        let host = |n: usize| all[n].0;
        let roles = |roles: &[&str]| HostState {
            roles: roles.iter().map(|&r| r.to_owned()).collect(), at: Some(at(1)), ..HostState::default()
        };
        db.save_state(host(0), &roles(&["server"]), at(1)).await.expect("saves");
        db.save_state(host(1), &roles(&["server", "sql_server"]), at(1)).await.expect("saves");
        let label = |key: &str, value: &str| Labels::from([(key.to_owned(), value.to_owned())]);
        db.set_labels(host(2), &label("keep", "off"), "ops", at(1)).await.expect("labels");
        db.set_lifecycle(host(3), Lifecycle::Quarantined, "twins", "ops", at(1)).await.expect("moves");
        db.create_job(&crate::tests::job(900, host(4), all[4].1), "ops", at(1)).await.expect("makes");

        let wanted = definition(&json!({"selector": {"code": CODE, "without": {"keep": "off"}}})).selector;
        let selection = db.campaign_selection(&wanted, None, None, at(2)).await.expect("selects");
        let why: Vec<_> = selection.left_out.iter().map(|l| (l.host, l.why, l.detail.as_str())).collect();
        assert_eq!(why, [
            (host(0), Exclusion::Role, "server"), (host(1), Exclusion::Role, "sql_server"),
            (host(2), Exclusion::Label, "keep=off"), (host(3), Exclusion::Lifecycle, "quarantined"),
        ]);
        let preview = selection.preview(2);
        assert_eq!((preview.hosts, preview.busy, preview.offline, preview.first.len()), (4, 1, 0, 2));
        let count = |name: &str, hosts| NameCount { name: name.to_owned(), hosts };
        assert_eq!(preview.by_os, [count("linux", 4)]);
        assert_eq!(preview.by_cause, [count("", 4)]);
        assert_eq!(preview.left_out, [count("role", 2), count("label", 1), count("lifecycle", 1)]);
        assert_eq!(selection.members.iter().map(|m| m.host).collect::<Vec<_>>(),
            [host(4), host(5), host(6), host(7)]);

        // Roles that are named are wanted; a server with another role is named by that.
        let mut named = wanted.clone();
        named.roles = vec!["sql_server".to_owned()];
        let selection = db.campaign_selection(&named, Some(2), None, at(60)).await.expect("selects");
        assert_eq!(selection.members.iter().map(|m| m.host).collect::<Vec<_>>(), [host(1), host(4)]);
        assert!(selection.members.iter().all(|m| m.offline), "silent for an hour");
        assert_eq!(selection.left_out.iter().filter(|l| l.why == Exclusion::TooMany).count(), 3);
        // By id, by label, by system and build.
        for (selector, hosts) in [
            (json!({"code": CODE, "hosts": [host(6)], "incidents": [all[6].1, all[7].1]}), vec![host(6)]),
            (json!({"code": CODE, "labels": {"keep": "off"}}), vec![host(2)]),
            (json!({"code": CODE, "os": "windows"}), vec![]),
            (json!({"code": CODE, "build": "6.1.0", "product": "apt", "hosts": [host(7)]}), vec![host(7)]),
            (json!({"code": CODE, "kb": "KB5"}), vec![]),
            (json!({"cause": "apt.dpkg_interrupted"}), vec![]),
        ] {
            let wanted = definition(&json!({"selector": selector})).selector;
            let found = db.campaign_selection(&wanted, None, None, at(2)).await.expect("selects");
            assert_eq!(found.members.iter().map(|m| m.host).collect::<Vec<_>>(), hosts, "{selector}");
        }

        // What another campaign has is left to it.
        let first = running(db, 1, &json!({"selector": {"code": CODE, "hosts": [host(5)]}}), at(3)).await;
        let second = db.create_campaign(&new(2, &json!({})), ANNA, at(3)).await.expect("creates");
        let left = found(db, &second, at(3)).await.left_out;
        assert!(left.iter().any(|l| l.host == host(5) && l.why == Exclusion::OtherCampaign
            && l.detail == first.id.to_string()));
        assert!(found(db, &first, at(3)).await.members.iter().any(|m| m.host == host(5)), "its own");
    }

    async fn freezes_are_kept_told_and_removed(db) {
        let rule = |when| FreezeRule {
            name: "quarter end".to_owned(), when, zone: "Europe/Berlin".to_owned(), labels: Labels::new(),
        };
        let freeze = |n, when| NewFreeze { id: FreezeId(id(n)), rule: rule(when), reason: "closing".to_owned() };
        let once = FreezeWhen::Once { from: at(10), until: at(20) };
        refused(db.create_freeze(&freeze(1, once.clone()), "ops", at(30)).await, "over already");
        refused(db.create_freeze(&freeze(1, FreezeWhen::Once { from: at(9), until: at(9) }), "ops", at(1)).await, "span");
        let bad = FreezeWhen::Yearly { first: "13-40".to_owned(), last: "01-06".to_owned() };
        refused(db.create_freeze(&freeze(1, bad), "ops", at(1)).await, "13-40");
        db.create_freeze(&freeze(1, once), "ops", at(1)).await.expect("keeps");
        let yearly = FreezeWhen::Yearly { first: "09-20".to_owned(), last: "09-25".to_owned() };
        db.create_freeze(&freeze(2, yearly), "ops", at(2)).await.expect("keeps");
        let kept = db.freezes().await.expect("lists");
        assert_eq!(kept.iter().map(|f| f.id.0).collect::<Vec<_>>(), [id(1), id(2)]);
        let spans = db.freeze_spans(at(1)).await.expect("reads");
        assert_eq!((spans.len(), spans[0].from, spans[0].until), (2, at(10), at(20)));
        let campaign = running(db, 1, &json!({}), at(1)).await;
        assert_eq!(look(db, campaign.id, at(1)).await.snapshot.freezes, spans);
        assert!(db.remove_freeze(FreezeId(id(1)), "ops", at(3)).await.expect("removes"));
        assert!(!db.remove_freeze(FreezeId(id(1)), "ops", at(3)).await.expect("looks"));
        assert_eq!(db.freezes().await.expect("lists").len(), 1);
        let told = actions(db, &format!("freeze {}", id(1))).await;
        assert_eq!(told.iter().map(|(a, _)| a.as_str()).collect::<Vec<_>>(), ["freeze.create", "freeze.remove"]);
    }

    async fn an_edit_keeps_what_a_person_wrote(db) {
        let made = db.create_campaign(&new(1, &json!({"change": "CHG-7"})), ANNA, at(1)).await.expect("creates");
        let later = text(&json!({"change": "CHG-8", "max_hosts": 3}));
        let edited = db.edit_campaign(made.id, 1, &later, BORIS, at(2)).await.expect("edits");
        let read = db.campaign(made.id).await.expect("reads").expect("there");
        assert_eq!((&read, &read.definition), (&edited, &later.definition));
        assert_eq!((read.created_by.as_str(), read.edited_by.as_str(), read.edited), ("user anna", "user boris", at(2)));
    }
}
