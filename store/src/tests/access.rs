//! API tokens and sessions.

use fleetmend_core::ids::{ApiTokenId, WebSessionId};
use fleetmend_core::token::Role;

use super::{at, contract, hash, id};
use crate::{Holder, NewApiToken, NewSession, PageRequest, StoreError};

fn token(n: u128) -> NewApiToken {
    NewApiToken {
        id: ApiTokenId(id(n)),
        name: format!("token {n}"),
        role: Role::Operator,
        secret_hash: hash(n),
        expires: Some(at(100)),
        user: None,
    }
}

contract! {
    async fn a_token_holds_until_it_expires_or_is_revoked(db) {
        db.create_api_token(&token(1), "test", at(0)).await.expect("made");
        let found = db.api_token(&hash(1), at(1)).await.expect("reads").expect("holds");
        assert_eq!((found.role, found.name.as_str()), (Role::Operator, "token 1"));
        assert!(db.api_token(&hash(2), at(1)).await.expect("reads").is_none());
        assert!(db.api_token(&hash(1), at(100)).await.expect("reads").is_none());
        let listed = db.api_tokens(&PageRequest::default()).await.expect("lists").items.remove(0);
        assert_eq!(listed.last_used, Some(at(1)));
        assert!(db.revoke_api_token(ApiTokenId(id(1)), "test", at(2)).await.expect("revokes"));
        assert!(!db.revoke_api_token(ApiTokenId(id(1)), "test", at(2)).await.expect("again"));
        assert!(db.api_token(&hash(1), at(2)).await.expect("reads").is_none());
        let none = db.revoke_api_token(ApiTokenId(id(9)), "test", at(2)).await;
        assert!(matches!(none, Err(StoreError::NotFound { .. })));
    }

    async fn a_session_holds_no_longer_than_its_token(db) {
        db.create_api_token(&token(1), "test", at(0)).await.expect("made");
        let session = |n, expires| NewSession {
            id: WebSessionId(id(n)), secret_hash: hash(n), token: ApiTokenId(id(1)), created: at(0), expires,
        };
        for new in [session(5, at(50)), session(6, at(500))] {
            db.create_session(&new, "test", "192.0.2.1").await.expect("made");
        }
        let held = db.session(&hash(5), at(1)).await.expect("reads").expect("holds").holder;
        assert!(matches!(held, Holder::Token(token) if token.role == Role::Operator));
        assert!(db.session(&hash(5), at(50)).await.expect("reads").is_none(), "over");
        assert!(db.session(&hash(6), at(100)).await.expect("reads").is_none(), "its token is over");
        assert_eq!(db.drop_expired_sessions(at(60)).await.expect("drops"), 1);
        db.revoke_api_token(ApiTokenId(id(1)), "test", at(2)).await.expect("revokes");
        assert!(db.session(&hash(6), at(3)).await.expect("reads").is_none());
        assert!(db.end_session(&hash(6), "test", at(3)).await.expect("ends"));
        assert!(!db.end_session(&hash(6), "test", at(3)).await.expect("again"));
    }
}
