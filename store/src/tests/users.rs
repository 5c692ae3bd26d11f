//! Users: what they open, what bars them, and what ends with them.

use std::time::Duration;

use fleetmend_core::ids::{ApiTokenId, UserId, WebSessionId};
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use fleetmend_core::token::Role;

use super::{at, contract, hash, id};
use crate::{
    AuditFilter, Credentials, Db, Holder, LogIn, LoggedIn, NewApiToken, NewPassword, NewUser,
    PageRequest, StoreError, Wish,
};

fn user_id(n: u128) -> UserId {
    UserId(id(n))
}

pub(super) fn user(n: u128, name: &str, role: Role) -> NewUser {
    NewUser { id: user_id(n), name: name.to_owned(), role, password: own(&format!("hash {n}")) }
}

fn own(hash: &str) -> NewPassword {
    NewPassword { hash: hash.to_owned(), one_time_until: None }
}

/// A log-in in a browser; session, cookie and browser have the number.
pub(super) fn browse(n: u128, browser: Option<u128>) -> LogIn {
    LogIn {
        wish: Wish::Session {
            id: WebSessionId(id(n)),
            secret_hash: hash(n),
            expires: at(10_000),
            browser: hash(n),
        },
        peer: "192.0.2.1".to_owned(),
        browser: browser.map(hash),
        new_password: None,
    }
}

fn ask_token(n: u128, role: Option<Role>) -> LogIn {
    LogIn {
        wish: Wish::Token {
            id: ApiTokenId(id(n)),
            name: "anna's log-in".to_owned(),
            secret_hash: hash(n),
            expires: at(10_000),
            role,
        },
        peer: "192.0.2.1".to_owned(),
        browser: None,
        new_password: None,
    }
}

async fn held(db: &Db, name: &str) -> Credentials {
    db.credentials(name).await.expect("reads").expect("is there")
}

async fn try_in(db: &Db, name: &str, right: bool, log_in: &LogIn, now: Timestamp) -> LoggedIn {
    db.log_in(&held(db, name).await, right, log_in, now).await.expect("answers")
}

async fn is_open(db: &Db, n: u128, now: Timestamp) -> bool {
    db.session(&hash(n), now).await.expect("reads").is_some()
}

async fn actions(db: &Db) -> Vec<String> {
    let rows = db.audit_log(&AuditFilter::default(), &PageRequest::first(1_000)).await;
    rows.expect("audit").items.into_iter().rev().map(|row| row.action).collect()
}

async fn two_admins(db: &Db) {
    for (n, name, role) in [(1, "anna", Role::Admin), (2, "boris", Role::Admin)] {
        db.create_user(&user(n, name, role), "test", at(0)).await.expect("made");
    }
}

fn refused_as(error: Result<impl std::fmt::Debug, StoreError>, part: &str) {
    let error = error.expect_err("must be refused");
    assert!(matches!(error, StoreError::Conflict(_)), "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

contract! {
    async fn a_name_is_given_once_and_lists_go_by_name(db) {
        two_admins(db).await;
        refused_as(db.create_user(&user(3, "anna", Role::Viewer), "test", at(1)).await, "already");
        let mut page = PageRequest::first(1);
        let first = db.users(&page).await.expect("lists");
        assert_eq!((first.total, first.items[0].name.as_str()), (2, "anna"));
        page.cursor = first.next;
        assert_eq!(db.users(&page).await.expect("lists").items[0].name, "boris");
        let anna = db.user_by_name("anna").await.expect("reads").expect("there");
        assert_eq!(Some(&anna), db.user(user_id(1)).await.expect("reads").as_ref());
        assert!(db.user_by_name("Anna").await.expect("reads").is_none(), "names are in lower case");
        assert!(db.credentials("nobody").await.expect("reads").is_none());
    }

    async fn a_log_in_opens_a_session_that_is_the_users(db) {
        two_admins(db).await;
        assert!(matches!(try_in(db, "anna", true, &browse(10, None), at(1)).await, LoggedIn::Yes(_)));
        let session = db.session(&hash(10), at(2)).await.expect("reads").expect("open");
        let Holder::User(user) = session.holder else { panic!("a user's") };
        assert_eq!((user.name.as_str(), user.role, user.last_login), ("anna", Role::Admin, Some(at(1))));
        assert!(!is_open(db, 10, at(10_000)).await, "it is over");
        assert_eq!(try_in(db, "anna", false, &browse(11, None), at(2)).await, LoggedIn::No);
        assert!(!is_open(db, 11, at(2)).await);
        let own = db.sessions_of(user_id(1), at(2)).await.expect("lists");
        assert_eq!(own.iter().map(|s| s.id).collect::<Vec<_>>(), [WebSessionId(id(10))]);
        assert!(!db.end_own_session(user_id(2), own[0].id, "user boris", at(3)).await.expect("looks"));
        assert!(db.end_own_session(user_id(1), own[0].id, "user anna", at(3)).await.expect("ends"));
        assert!(!is_open(db, 10, at(3)).await);
        let wanted = ["user.create", "user.create", "session.create", "session.refuse", "session.end"];
        assert_eq!(actions(db).await, wanted);
    }

    async fn who_is_demoted_disabled_or_reset_is_out_at_once(db) {
        two_admins(db).await;
        for n in [10, 11] {
            try_in(db, "anna", true, &browse(n, None), at(1)).await;
        }
        try_in(db, "boris", true, &browse(12, None), at(1)).await;
        let ended = db.set_user_role(user_id(1), Role::Operator, "test", at(2)).await.expect("set");
        assert_eq!((ended.sessions, ended.tokens), (2, 0));
        assert!(!is_open(db, 10, at(2)).await && !is_open(db, 11, at(2)).await);
        assert!(is_open(db, 12, at(2)).await, "another user's");

        try_in(db, "anna", true, &browse(13, None), at(3)).await;
        let once = NewPassword { hash: "other".into(), one_time_until: Some(at(100)) };
        db.reset_password(user_id(1), &once, "test", at(4)).await.expect("reset");
        assert!(!is_open(db, 13, at(4)).await);

        try_in(db, "anna", true, &browse(14, None), at(5)).await;
        db.set_user_disabled(user_id(1), true, "test", at(6)).await.expect("disabled");
        assert!(!is_open(db, 14, at(6)).await);
        assert_eq!(try_in(db, "anna", true, &browse(15, None), at(6)).await, LoggedIn::No);
        db.set_user_disabled(user_id(1), false, "test", at(7)).await.expect("enabled");
        assert!(!is_open(db, 14, at(7)).await, "nothing comes back");
        assert!(matches!(try_in(db, "anna", true, &browse(16, None), at(8)).await, LoggedIn::Yes(_)));
    }

    async fn tokens_do_no_more_than_their_user_and_end_with_it(db) {
        two_admins(db).await;
        let token = |n, role| NewApiToken {
            id: ApiTokenId(id(n)), name: "ci".into(), role, secret_hash: hash(n), expires: None, user: Some(user_id(1)),
        };
        for (n, role) in [(20, Role::Admin), (21, Role::Viewer), (22, Role::Operator)] {
            db.create_api_token(&token(n, role), "user anna", at(1)).await.expect("made");
        }
        let lives = async |n| db.api_token(&hash(n), at(2)).await.expect("reads").is_some();
        assert!(lives(20).await && lives(21).await);
        let found = db.api_token(&hash(20), at(2)).await.expect("reads").expect("holds");
        assert_eq!(found.user.map(|u| u.name).as_deref(), Some("anna"));

        let ended = db.set_user_role(user_id(1), Role::Author, "test", at(2)).await.expect("set");
        assert_eq!(ended.tokens, 1);
        assert!(!lives(20).await, "it could do more than its maker");
        assert!(lives(21).await && lives(22).await);
        refused_as(db.create_api_token(&token(23, Role::Admin), "user anna", at(2)).await, "more than");
        db.create_api_token(&token(24, Role::Author), "user anna", at(2)).await.expect("made");

        refused_as(db.log_in(&held(db, "anna").await, true, &ask_token(25, Some(Role::Auditor)), at(2)).await, "more than");
        assert!(matches!(try_in(db, "anna", true, &ask_token(26, None), at(2)).await, LoggedIn::Yes(_)));
        let given = db.api_token(&hash(26), at(2)).await.expect("reads").expect("holds");
        assert_eq!((given.role, given.by_login), (Role::Author, true));

        // A new password ends what a log-in made, and nothing else.
        let ended = db.reset_password(user_id(1), &own("new"), "test", at(2)).await.expect("reset");
        assert_eq!(ended.tokens, 1);
        assert!(!lives(26).await && lives(24).await);
        db.set_user_disabled(user_id(1), true, "test", at(2)).await.expect("disabled");
        for n in [21, 22, 24] {
            assert!(!lives(n).await, "{n}");
        }
        refused_as(db.create_api_token(&token(27, Role::Viewer), "user anna", at(2)).await, "more than");
    }

    async fn the_last_admin_stays(db) {
        two_admins(db).await;
        db.create_user(&user(3, "vera", Role::Viewer), "test", at(0)).await.expect("made");
        db.set_user_disabled(user_id(2), true, "test", at(1)).await.expect("another is left");
        refused_as(db.set_user_disabled(user_id(1), true, "test", at(2)).await, "last admin");
        refused_as(db.set_user_role(user_id(1), Role::Author, "test", at(2)).await, "last admin");
        // Once more of the same is nothing.
        db.set_user_role(user_id(1), Role::Admin, "test", at(2)).await.expect("as it was");
        db.set_user_role(user_id(3), Role::Admin, "test", at(3)).await.expect("promoted");
        db.set_user_role(user_id(1), Role::Author, "test", at(4)).await.expect("another is left");
        db.set_user_disabled(user_id(2), false, "test", at(5)).await.expect("enabled");
        // Two who take each other's role away at once: one of them stays.
        let (one, two) = tokio::join!(
            db.set_user_role(user_id(2), Role::Viewer, "test", at(6)),
            db.set_user_role(user_id(3), Role::Viewer, "test", at(6)),
        );
        assert_eq!(u32::from(one.is_ok()) + u32::from(two.is_ok()), 1, "{one:?} {two:?}");
    }

    async fn an_admin_whose_password_for_one_log_in_ran_out_is_no_other_admin(db) {
        db.create_user(&user(1, "anna", Role::Admin), "test", at(0)).await.expect("made");
        let until = NewPassword { one_time_until: Some(at(10)), ..own("once") };
        let boris = NewUser { password: until, ..user(2, "boris", Role::Admin) };
        db.create_user(&boris, "test", at(0)).await.expect("made");
        refused_as(db.set_user_disabled(user_id(1), true, "test", at(10)).await, "last admin");
        refused_as(db.set_user_role(user_id(1), Role::Author, "test", at(11)).await, "last admin");
        db.set_user_role(user_id(1), Role::Author, "test", at(9)).await.expect("the other can log in yet");
    }

    async fn refused_tries_lock_the_name_and_not_its_owners_browser(db) {
        two_admins(db).await;
        try_in(db, "anna", true, &browse(10, None), at(1)).await;
        for _ in 0..limits::LOCK_AFTER {
            assert_eq!(try_in(db, "anna", false, &browse(99, None), at(2)).await, LoggedIn::No);
        }
        let until = db.user(user_id(1)).await.expect("reads").expect("there").locked_until;
        assert_eq!(until, at(2).after(limits::LOCKED_FOR));
        assert_eq!(try_in(db, "anna", true, &browse(11, None), at(2)).await, LoggedIn::No, "locked");
        assert_eq!(try_in(db, "anna", true, &browse(11, Some(77)), at(2)).await, LoggedIn::No, "unknown browser");
        assert!(is_open(db, 10, at(2)).await, "who is in stays in");
        assert!(matches!(try_in(db, "anna", true, &browse(11, Some(10)), at(2)).await, LoggedIn::Yes(_)));
        assert_eq!(try_in(db, "boris", true, &browse(12, Some(11)), at(2)).await, LoggedIn::Yes(
            db.user(user_id(2)).await.expect("reads").map(|u| crate::User { last_login: None, ..u }).expect("there")
        ));

        // Tries while it is locked do not keep it locked; each lock-out in a row is longer.
        for minute in [10_u64, 20] {
            for _ in 0..limits::LOCK_AFTER {
                try_in(db, "boris", false, &browse(99, None), at(minute)).await;
            }
            for _ in 0..5 {
                try_in(db, "boris", false, &browse(99, None), at(minute)).await;
            }
        }
        let until = db.user(user_id(2)).await.expect("reads").expect("there").locked_until;
        assert_eq!(until, at(20).after(limits::LOCKED_FOR * 2));

        // A browser that fails by itself is not known any more.
        try_in(db, "boris", true, &browse(30, None), at(100)).await;
        for _ in 0..limits::LOCK_AFTER {
            try_in(db, "boris", false, &browse(99, Some(30)), at(100)).await;
        }
        let boris = db.user(user_id(2)).await.expect("reads").expect("there");
        assert!(boris.locked_until < at(100), "its failures are its own");
        for _ in 0..limits::LOCK_AFTER {
            try_in(db, "boris", false, &browse(99, Some(30)), at(100)).await;
        }
        assert_eq!(try_in(db, "boris", true, &browse(31, Some(30)), at(100)).await, LoggedIn::No);
        assert!(actions(db).await.iter().any(|action| action == "user.lock"));
    }

    async fn a_one_time_password_is_good_once_and_for_a_time(db) {
        let once = NewPassword { hash: "once".into(), one_time_until: Some(at(50)) };
        let new = NewUser { password: once.clone(), ..user(1, "anna", Role::Admin) };
        db.create_user(&new, "test", at(0)).await.expect("made");
        assert_eq!(try_in(db, "anna", true, &ask_token(20, None), at(1)).await, LoggedIn::ChangeFirst);
        assert_eq!(try_in(db, "anna", false, &ask_token(20, None), at(1)).await, LoggedIn::No);
        let LoggedIn::Yes(user) = try_in(db, "anna", true, &browse(10, None), at(1)).await else { panic!("in") };
        assert!(user.must_change);
        assert_eq!(try_in(db, "anna", true, &browse(11, None), at(50)).await, LoggedIn::No, "too late");

        try_in(db, "anna", true, &browse(12, None), at(2)).await;
        let session = WebSessionId(id(10));
        let by = "user anna";
        refused_as(db.change_password(user_id(1), "was", &own("mine"), session, by, at(2)).await, "meanwhile");
        let ended = db.change_password(user_id(1), "once", &own("mine"), session, by, at(2)).await.expect("set");
        assert_eq!(ended.sessions, 1);
        assert!(is_open(db, 10, at(3)).await && !is_open(db, 12, at(3)).await);
        let user = db.user(user_id(1)).await.expect("reads").expect("there");
        assert!(!user.must_change && user.password_until.is_none());
        // A password that was checked against the old hash opens nothing.
        let old = Credentials { user: user_id(1), password_hash: "once".into() };
        assert_eq!(db.log_in(&old, true, &browse(13, None), at(3)).await.expect("answers"), LoggedIn::No);
    }

    async fn browsers_that_are_known_are_few_and_forgotten(db) {
        two_admins(db).await;
        for n in 0..limits::BROWSERS as u128 + 5 {
            let minute = u64::try_from(n).expect("small");
            try_in(db, "anna", true, &browse(100 + n, None), at(minute)).await;
        }
        for _ in 0..limits::LOCK_AFTER {
            try_in(db, "anna", false, &browse(99, None), at(500)).await;
        }
        assert_eq!(try_in(db, "anna", true, &browse(200, Some(100)), at(500)).await, LoggedIn::No, "the oldest");
        assert!(matches!(try_in(db, "anna", true, &browse(201, Some(120)), at(500)).await, LoggedIn::Yes(_)));
        let later = at(500).after(limits::BROWSER_KNOWN).after(Duration::from_secs(1));
        db.drop_expired_sessions(later).await.expect("drops");
        for _ in 0..limits::LOCK_AFTER {
            try_in(db, "anna", false, &browse(99, None), later).await;
        }
        assert_eq!(try_in(db, "anna", true, &browse(202, Some(201)), later).await, LoggedIn::No);
    }
}
