//! Authenticators, recoveries and what sessions remember.

use issuer_mandate::SignerRole;
use issuer_store::{
    Authenticator, ConfirmedRecovery, Error, OpenedBy, Recovery, Session, SigningKey, SigningKeyKind,
};
use jiff::ToSpan as _;
use permit_domain::Digest;
use rstest::rstest;

use crate::ledger::Ledger;
use crate::people::{Engine, at, staff};

fn authenticator(number: u8, account: &str) -> Authenticator {
    Authenticator {
        credential: vec![number; 32],
        account: staff(account),
        public_key: [4; 65],
        counter: 0,
        label: "蓝色密钥".to_owned(),
        invitation: "TOKEN".to_owned(),
        enrolled_at: at(),
        removed_at: None,
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn an_authenticator_that_was_removed_stays_and_is_enrolled_nowhere_again(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let (first, second) = (authenticator(1, "lin"), authenticator(2, "lin"));
    let mut tx = ledger.store.begin(at()).await.unwrap();
    tx.insert_authenticator(&first).await.unwrap();
    tx.insert_authenticator(&second).await.unwrap();
    tx.set_authenticator_counter(&second.credential, u32::MAX)
        .await
        .unwrap();
    assert_eq!(
        tx.remove_authenticators(&staff("chen"), Some(&first.credential))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        tx.remove_authenticators(&staff("lin"), Some(&first.credential))
            .await
            .unwrap(),
        1
    );
    tx.commit_without_entry().await.unwrap();
    let mut tx = ledger.store.begin(at()).await.unwrap();
    let all = tx.authenticators_of(&staff("lin")).await.unwrap();
    assert_eq!(
        all[0],
        Authenticator {
            removed_at: Some(at()),
            ..first.clone()
        }
    );
    assert_eq!(all[1].counter, u32::MAX);
    assert_eq!(
        tx.authenticator(&second.credential)
            .await
            .unwrap()
            .unwrap()
            .removed_at,
        None
    );
    for account in ["lin", "chen"] {
        let again = Authenticator {
            account: staff(account),
            ..first.clone()
        };
        let again = tx.insert_authenticator(&again).await;
        assert!(matches!(
            again,
            Err(Error::Exists {
                what: "authenticator"
            })
        ));
    }
    assert_eq!(tx.remove_authenticators(&staff("lin"), None).await.unwrap(), 1);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_challenge_is_answered_once_and_the_key_of_challenges_stays(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let later = at() + 10.minutes();
    let mut tx = ledger.store.begin(at()).await.unwrap();
    assert_eq!(tx.sign_in_key().await.unwrap(), None);
    tx.keep_sign_in_key([1; 32]).await.unwrap();
    tx.keep_sign_in_key([2; 32]).await.unwrap();
    assert_eq!(tx.sign_in_key().await.unwrap(), Some([1; 32]));
    let challenge = Digest::of(b"challenge");
    assert!(tx.answer_challenge(challenge, later).await.unwrap());
    assert!(!tx.answer_challenge(challenge, later).await.unwrap());
    tx.commit_without_entry().await.unwrap();
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn one_person_neither_asks_and_confirms_nor_brings_back_the_own_account(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let recovery = |asked_by: &str, by: Option<&str>| Recovery {
        account: staff("lin"),
        asked_by: staff(asked_by),
        asked_at: at(),
        confirmed: by.map(|by| ConfirmedRecovery {
            by: staff(by),
            code: Digest::of(b"code"),
            until: at() + 30.minutes(),
        }),
    };
    for (asked_by, by) in [("lin", None), ("sun", Some("sun")), ("sun", Some("lin"))] {
        let mut tx = ledger.store.begin(at()).await.unwrap();
        tx.set_recovery(&recovery(asked_by, by)).await.unwrap_err();
    }
    for it in [recovery("sun", None), recovery("sun", Some("tian"))] {
        let mut tx = ledger.store.begin(at()).await.unwrap();
        tx.set_recovery(&it).await.unwrap();
        tx.commit_without_entry().await.unwrap();
        let mut read = ledger.store.read().await.unwrap();
        assert_eq!(read.recovery(&staff("lin")).await.unwrap(), Some(it));
    }
    let mut tx = ledger.store.begin(at()).await.unwrap();
    tx.delete_recovery(&staff("lin")).await.unwrap();
    assert_eq!(tx.recovery(&staff("lin")).await.unwrap(), None);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_session_remembers_how_it_was_opened_when_it_was_used_and_when_its_person_was_there(
    #[case] engine: Engine,
) {
    let ledger = Ledger::open(engine).await;
    let mut session = Session {
        account: staff("lin"),
        token_sha256: "0".repeat(64),
        opened_by: OpenedBy::InvitedByToken,
        since: at(),
        until: at() + 1.hour(),
        seen_at: at(),
        proved_at: None,
    };
    let secret = Digest::of(b"secret");
    let mut tx = ledger.store.begin(at()).await.unwrap();
    tx.insert_session(secret, &session).await.unwrap();
    assert_eq!(tx.session(secret).await.unwrap(), Some(session.clone()));
    (session.seen_at, session.proved_at) = (at() + 9.minutes(), Some(at() + 5.minutes()));
    tx.proved_session(secret, at() + 5.minutes()).await.unwrap();
    tx.saw_session(secret, at() + 9.minutes()).await.unwrap();
    tx.saw_session(secret, at() + 2.minutes()).await.unwrap();
    assert_eq!(tx.session(secret).await.unwrap(), Some(session));
    tx.delete_sessions_of(&staff("chen")).await.unwrap();
    assert!(tx.session(secret).await.unwrap().is_some());
    tx.delete_sessions_of(&staff("lin")).await.unwrap();
    assert_eq!(tx.session(secret).await.unwrap(), None);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_signing_key_is_proposed_and_confirmed_by_two_others_and_stays_when_it_is_removed(
    #[case] engine: Engine,
) {
    let ledger = Ledger::open(engine).await;
    let key = |number: u8, proposer: &str| SigningKey {
        credential: vec![number; 32],
        account: staff("wang"),
        role: SignerRole::Approver,
        organ: "440300".parse().unwrap(),
        kind: SigningKeyKind::Authenticator,
        origin: "https://sign.example.cn".to_owned(),
        public_key: [number; 65],
        counter: 0,
        until: at() + 24.hours(),
        proposed: (staff(proposer), at()),
        confirmed: None,
        removed: None,
    };
    let mut tx = ledger.store.begin(at()).await.unwrap();
    tx.insert_signing_key(&key(1, "wang")).await.unwrap_err();
    drop(tx);
    let new = key(1, "xu");
    let mut tx = ledger.store.begin(at()).await.unwrap();
    tx.insert_signing_key(&new).await.unwrap();
    tx.commit_without_entry().await.unwrap();
    // Neither the person nor the proposer confirms.
    for nobody in ["wang", "xu"] {
        let mut tx = ledger.store.begin(at()).await.unwrap();
        tx.confirm_signing_key(&new.credential, &staff(nobody))
            .await
            .unwrap_err();
    }
    let mut tx = ledger.store.begin(at()).await.unwrap();
    assert!(
        tx.confirm_signing_key(&new.credential, &staff("zhou"))
            .await
            .unwrap()
    );
    assert!(
        !tx.confirm_signing_key(&new.credential, &staff("tang"))
            .await
            .unwrap()
    );
    tx.set_signing_counter(&new.credential, u32::MAX).await.unwrap();
    let enrolled = tx.signing_key(&new.credential).await.unwrap().unwrap();
    assert!(enrolled.is_enrolled());
    assert_eq!(
        enrolled,
        SigningKey {
            counter: u32::MAX,
            confirmed: Some((staff("zhou"), at())),
            ..new.clone()
        }
    );
    assert!(
        tx.remove_signing_key(&new.credential, &staff("tang"))
            .await
            .unwrap()
    );
    assert!(
        !tx.remove_signing_key(&new.credential, &staff("xu"))
            .await
            .unwrap()
    );
    let removed = tx.signing_keys().await.unwrap().remove(0);
    assert!(!removed.is_enrolled());
    assert_eq!(removed.removed, Some((staff("tang"), at())));
    // It is enrolled nowhere again, under whatever id.
    let renamed = SigningKey {
        credential: vec![2; 32],
        ..new.clone()
    };
    for again in [new, renamed] {
        let again = tx.insert_signing_key(&again).await;
        assert!(matches!(again, Err(Error::Exists { what: "signing key" })));
    }
    tx.commit_without_entry().await.unwrap();
}
