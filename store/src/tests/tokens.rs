//! Enrolment tokens: each refusal by its name, and uses that cannot be taken twice.

use fleetmend_core::host::Lifecycle;
use fleetmend_core::token::TokenKind;

use super::{at, contract, enrolment, hash, peer, token};
use crate::{EnrolError, HostFilter, PageRequest, TokenRefused};

fn refused<T: std::fmt::Debug>(result: Result<T, EnrolError>) -> TokenRefused {
    match result.expect_err("must be refused") {
        EnrolError::Token(refused) => refused,
        EnrolError::Store(e) => panic!("the store failed: {e}"),
    }
}

contract! {
    async fn a_one_use_token_lets_one_host_in_and_it_is_active(db) {
        db.create_enrollment_token(&token(1, TokenKind::OneUse, 1), "test", at(0)).await.expect("made");
        let enrolled = db.enrol(&enrolment(1, 1), at(1)).await.expect("enrols");
        assert_eq!(enrolled.lifecycle, Lifecycle::Active);
        assert_eq!(enrolled.labels["site"], "north");
        assert_eq!(refused(db.enrol(&enrolment(2, 1), at(1)).await), TokenRefused::Used);
        let hosts = db.hosts(&HostFilter::default(), &PageRequest::default()).await.expect("lists");
        assert_eq!(hosts.total, 1, "a refused enrolment leaves nothing behind");
    }

    async fn a_deployment_token_lets_many_in_and_they_are_pending(db) {
        db.create_enrollment_token(&token(1, TokenKind::Deployment, 2), "test", at(0)).await.expect("made");
        for host in [1, 2] {
            let enrolled = db.enrol(&enrolment(host, 1), at(1)).await.expect("enrols");
            assert_eq!(enrolled.lifecycle, Lifecycle::Pending);
        }
        assert_eq!(refused(db.enrol(&enrolment(3, 1), at(1)).await), TokenRefused::Used);
    }

    async fn every_refusal_has_its_name(db) {
        let mut narrow = token(1, TokenKind::Deployment, 5);
        narrow.networks = vec!["192.168.0.0/16".parse().expect("a network")];
        db.create_enrollment_token(&narrow, "test", at(0)).await.expect("made");
        db.create_enrollment_token(&token(2, TokenKind::OneUse, 1), "test", at(0)).await.expect("made");
        assert!(db.revoke_enrollment_token(token(2, TokenKind::OneUse, 1).id, "test", at(1)).await.expect("revoked"));
        assert!(!db.revoke_enrollment_token(token(2, TokenKind::OneUse, 1).id, "test", at(1)).await.expect("again"));

        let foreign = refused(db.check_enrollment_token(&hash(1), peer(), at(1)).await);
        assert_eq!(foreign, TokenRefused::ForeignNetwork(peer()));
        let mapped = "::ffff:192.168.3.4".parse().expect("an address");
        db.check_enrollment_token(&hash(1), mapped, at(1)).await.expect("a mapped address of the network");
        let late = refused(db.check_enrollment_token(&hash(1), mapped, at(1_000)).await);
        assert_eq!(late, TokenRefused::Expired(at(1_000)));
        assert_eq!(refused(db.enrol(&enrolment(1, 2), at(1)).await), TokenRefused::Revoked);
        assert_eq!(refused(db.enrol(&enrolment(1, 9), at(1)).await), TokenRefused::Unknown);
        let tokens = db.enrollment_tokens(&PageRequest::first(1)).await.expect("lists");
        assert_eq!((tokens.total, tokens.items.len(), tokens.next.is_some()), (2, 1, true));
    }

    async fn a_host_is_never_overwritten(db) {
        db.create_enrollment_token(&token(1, TokenKind::Deployment, 5), "test", at(0)).await.expect("made");
        db.enrol(&enrolment(1, 1), at(1)).await.expect("enrols");
        let mut again = enrolment(1, 1);
        again.facts.name = "impostor".to_owned();
        let error = db.enrol(&again, at(2)).await.expect_err("must be refused");
        assert!(matches!(error, EnrolError::Store(crate::StoreError::Conflict(_))), "{error}");
        let host = db.host(again.host).await.expect("reads").expect("is there");
        assert_eq!(host.facts.name, "host-001");
        let tokens = db.enrollment_tokens(&PageRequest::default()).await.expect("lists");
        assert_eq!(tokens.items[0].uses, 1, "the refused try took no use");
    }

    async fn two_writers_cannot_both_take_the_last_use(db) {
        db.create_enrollment_token(&token(1, TokenKind::OneUse, 1), "test", at(0)).await.expect("made");
        let (one, two) = (enrolment(1, 1), enrolment(2, 1));
        let (a, b) = tokio::join!(db.enrol(&one, at(1)), db.enrol(&two, at(1)));
        assert_eq!(u8::from(a.is_ok()) + u8::from(b.is_ok()), 1);
    }
}
