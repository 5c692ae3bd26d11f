//! Work for people.

use fleetmend_core::guided::{GuidedProof, GuidedState};
use fleetmend_core::ids::{GuidedTaskId, IncidentId};
use fleetmend_core::job::JobState;

use super::{
    at, broken_host, contract, fails, failure, id, incidents, job, job_says, recovers, send,
};
use crate::{AuditFilter, Db, GuidedDetail, GuidedFilter, NewGuidedTask, PageRequest, StoreError};

fn new(n: u128, incident: IncidentId) -> NewGuidedTask {
    NewGuidedTask {
        id: GuidedTaskId(id(n)),
        incident,
        cause: "apt.disk_full".parse().expect("a slug"),
        remediation: "apt.free_space".parse().expect("a slug"),
        version: 2,
    }
}

async fn get(db: &Db, task: GuidedTaskId) -> GuidedDetail {
    db.guided_task(task).await.expect("reads").expect("is there")
}

contract! {
    async fn asked_taken_ticked_noted_done_and_proved(db) {
        let (host, incident) = broken_host(db).await;
        let task = db.open_guided_task(&new(700, incident), false, "server", at(2)).await.expect("asks").expect("new");
        assert_eq!(db.open_guided_task(&new(701, incident), true, "ops", at(2)).await.expect("asks"), None, "one an incident");
        assert_eq!(db.guided_open().await.expect("counts"), 1);
        db.tick_guided_task(task, (&[0, 2], &[]), ("ann", "user ann"), at(3)).await.expect("ticks");
        db.tick_guided_task(task, (&[0, 1], &[2]), ("bob", "user bob"), at(4)).await.expect("ticks");
        db.note_guided_task(task, "the cable was loose", ("ann", "user ann"), at(5)).await.expect("notes");
        let seen = get(db, task).await;
        assert_eq!((seen.task.state, seen.task.assignee.as_deref()), (GuidedState::Doing, Some("ann")));
        let ticks: Vec<_> = seen.ticks.iter().map(|t| (t.step, t.by.as_str(), t.at)).collect();
        assert_eq!(ticks, [(0, "ann", at(3)), (1, "bob", at(4))], "who did it first keeps it");
        assert_eq!((seen.notes[0].text.as_str(), seen.task.ticked), ("the cable was loose", 2));
        db.take_guided_task(task, "bob", "user bob", at(6)).await.expect("takes");
        assert_eq!(db.finish_guided_task(task, "user bob", at(7)).await.expect("ends"), incident);
        let done = get(db, task).await.task;
        assert_eq!((done.state, done.proof()), (GuidedState::Done, Some(GuidedProof::Awaited)));
        let over = db.tick_guided_task(task, (&[3], &[]), ("bob", "user bob"), at(8)).await.expect_err("over");
        assert!(matches!(over, StoreError::Conflict(why) if why == "the work is done already"));

        let proof = db.create_job(&job(500, host, incident), "ops", at(8)).await.expect("made").id;
        db.offer(proof, at(8)).await.expect("offers");
        db.prove_guided_task(task, proof).await.expect("names it");
        send(db, host, [job_says(proof, 1, JobState::Fixed, at(9))], at(9)).await;
        assert_eq!(get(db, task).await.task.proof(), Some(GuidedProof::Proved));
        let rows = db.audit_log(&AuditFilter::default(), &PageRequest::first(100)).await.expect("reads").items;
        let said: Vec<_> = rows.iter().rev().filter(|r| r.action.starts_with("guided.")).map(|r| r.action.as_str()).collect();
        assert_eq!(said, ["guided.create", "guided.tick", "guided.tick", "guided.note", "guided.take", "guided.done"]);
    }

    async fn what_people_dropped_no_program_asks_for_again(db) {
        let (_, incident) = broken_host(db).await;
        let task = db.open_guided_task(&new(700, incident), false, "server", at(2)).await.expect("asks").expect("new");
        db.drop_guided_task(task, "not worth it", "user ann", at(3)).await.expect("drops");
        assert_eq!(get(db, task).await.task.reason.as_deref(), Some("not worth it"));
        assert_eq!(db.open_guided_task(&new(701, incident), false, "server", at(4)).await.expect("asks"), None);
        let again = db.open_guided_task(&new(702, incident), true, "user ann", at(4)).await.expect("asks");
        assert_eq!(again, Some(GuidedTaskId(id(702))));
    }

    async fn what_people_did_or_declined_counts_as_tried(db) {
        let (_, incident) = broken_host(db).await;
        let task = db.open_guided_task(&new(700, incident), false, "server", at(2)).await.expect("asks").expect("new");
        assert_eq!(db.tried_in(incident).await.expect("reads"), [], "not yet");
        db.drop_guided_task(task, "not worth it", "user ann", at(3)).await.expect("drops");
        let tried = db.tried_in(incident).await.expect("reads");
        assert_eq!((tried[0].remediation.as_str(), tried[0].version, tried.len()), ("apt.free_space", 2, 1));
        assert_eq!((tried[0].cause.as_str(), tried[0].known.len()), ("apt.disk_full", 0), "it stands for ever");
    }

    async fn work_ends_with_its_incident_and_lists_are_filtered_and_paged(db) {
        let (host, first) = broken_host(db).await;
        send(db, host, [fails(failure(101, "apt.lock_held", None, at(1)))], at(1)).await;
        let second = incidents(db).await.into_iter().find(|i| i.id != first).expect("two").id;
        for (n, incident) in [(700, first), (701, second)] {
            db.open_guided_task(&new(n, incident), false, "server", at(2)).await.expect("asks").expect("new");
        }
        let page = db.guided_tasks(&GuidedFilter::default(), &PageRequest::first(1)).await.expect("lists");
        assert_eq!((page.total, page.items.len()), (2, 1));
        let rest = db.guided_tasks(&GuidedFilter::default(), &PageRequest { limit: 1, cursor: page.next }).await.expect("lists");
        assert_eq!((rest.items.len(), rest.next), (1, None));
        assert!(db.drop_needless_guided_tasks(at(3), 10).await.expect("looks").is_empty());
        send(db, host, [recovers(Some("apt.lock_held"), at(4))], at(4)).await;
        let dropped = db.drop_needless_guided_tasks(at(5), 10).await.expect("looks");
        assert_eq!(dropped, [GuidedTaskId(id(701))]);
        assert_eq!(get(db, dropped[0]).await.task.reason.as_deref(), Some("the incident is resolved"));
        let of = GuidedFilter {
            state: vec![GuidedState::Open], host: Some(host), incident: Some(first),
            remediation: Some("apt.free_space".to_owned()), assignee: Some(String::new()),
        };
        assert_eq!(db.guided_tasks(&of, &PageRequest::default()).await.expect("lists").total, 1);
        let late = db.open_guided_task(&new(703, second), true, "ops", at(6)).await.expect_err("over");
        assert!(matches!(late, StoreError::Conflict(_)), "{late}");
    }
}
