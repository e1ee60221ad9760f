//! What two people sign, and every way in which it is not taken.

use issuer_mandate::{Given, Mandate, SignerRole};
use issuer_signing::{REHEARSAL_ORIGIN, RehearsalKey};
use issuer_store::{SigningKey, SigningKeyKind};
use jiff::ToSpan as _;
use permit_domain::{ApplicationId, ApplicationState, Digest, PermitId};
use rstest::rstest;

use super::ledger::Ledger;
use super::people::{Engine, at, li_na, n, new_order, staff};
use super::reads::Reads as _;
use crate::office::Office;
use crate::signing_keys::Signer;

/// A case whose intake ended, and what is reviewed.
async fn completed(ledger: &Ledger) -> (ApplicationId, Digest) {
    let id = ApplicationId::new(at(), n(1));
    let office = ledger.service();
    office.apply(id, "liu".parse().unwrap(), li_na()).await.unwrap();
    (id, ledger.complete(id, "liu", b"her photo").await)
}

fn permit_of(state: &ApplicationState) -> PermitId {
    match state {
        ApplicationState::Approved { permit, .. } => *permit,
        state => panic!("{}", state.name()),
    }
}

async fn order(ledger: &Ledger, office: &Office, permit: PermitId) -> Result<(), &'static str> {
    let id = new_order(permit, 1).id();
    let done = office.order(id, permit, "sun".parse().unwrap(), None).await;
    let orders = ledger.store.read().await.unwrap().orders_of_permit(permit).await;
    assert_eq!(orders.unwrap().len(), usize::from(done.is_ok()));
    done.map(drop).map_err(|error| error.code())
}

/// A key of a person as a test wants it, enrolled past every rule.
async fn enrolled(ledger: &Ledger, account: &str, change: impl FnOnce(&mut SigningKey)) -> RehearsalKey {
    let seed = Digest::of(format!("another key of {account}").as_bytes());
    let key = RehearsalKey::from_bytes(seed.as_bytes()).unwrap();
    let mut row = SigningKey {
        credential: key.credential().to_vec(),
        account: staff(account),
        role: SignerRole::Reviewer,
        organ: "440300".parse().unwrap(),
        kind: SigningKeyKind::Rehearsal,
        origin: REHEARSAL_ORIGIN.to_owned(),
        public_key: key.public_key(),
        counter: 0,
        until: at() + 240.hours(),
        proposed: (staff("xu"), at()),
        confirmed: Some((staff("zhou"), at())),
        removed: None,
    };
    change(&mut row);
    let mut tx = ledger.store.begin(at()).await.unwrap();
    tx.insert_signing_key(&row).await.unwrap();
    tx.commit_without_entry().await.unwrap();
    key
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn review_and_sign_off_take_the_persons_own_enrolled_key_over_this_very_mandate(
    #[case] engine: Engine,
) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let (id, content) = completed(&ledger).await;
    let review = async |signed: Option<&Given>| {
        let done = office.review(id, "wang".parse().unwrap(), content, signed).await;
        done.map(drop).map_err(|error| error.code())
    };
    let right = ledger.signs("wang", SignerRole::Reviewer, id).await;
    let mandate = office
        .to_sign(id, &staff("wang"), SignerRole::Reviewer)
        .await
        .unwrap()
        .mandate;
    let before = ledger.store.verify_ledger().await.unwrap();
    assert_eq!(review(None).await, Err("SIGNATURE_MISSING"));

    // Somebody else's, and one for the other step.
    let other = ledger.signs("deng", SignerRole::Reviewer, id).await;
    assert_eq!(review(Some(&other)).await, Err("SIGNING_KEY_OTHER"));
    let other = ledger.signs("wang", SignerRole::Approver, id).await;
    assert_eq!(review(Some(&other)).await, Err("SIGNING_KEY_ROLE"));
    // Of a person whom nobody enrolled, also under the id of a key that is.
    let stranger = RehearsalKey::from_bytes(&[9; 32])
        .unwrap()
        .sign(&mandate)
        .unwrap();
    assert_eq!(review(Some(&stranger)).await, Err("SIGNING_KEY_UNKNOWN"));
    let forged = Given {
        credential: right.credential.clone(),
        ..stranger
    };
    assert_eq!(review(Some(&forged)).await, Err("SIGNATURE_REFUSED"));

    // The right person over another mandate of the same case: any text that differs, also by its number alone.
    let mut otherwise = Mandate::decode(&mandate).unwrap();
    otherwise.id = [1; 16];
    let key = ledger.key_of("wang", SignerRole::Reviewer).await;
    let signed = key.sign(&otherwise.encode().unwrap()).unwrap();
    assert_eq!(review(Some(&signed)).await, Err("SIGNED_ANOTHER"));

    // Nothing of all this changed the case; keys that were enrolled for it stand in the ledger and nothing else.
    let after = ledger.store.verify_ledger().await.unwrap();
    assert_eq!(after.entries, before.entries + 2);
    review(Some(&right)).await.unwrap();
    assert_eq!(review(None).await, Ok(()), "said again it is the same");

    // One person is not both, whatever keys they have.
    let own = office
        .approve(id, "wang".parse().unwrap(), content, Some(&other))
        .await;
    assert_eq!(own.unwrap_err().code(), "SAME_PERSON_TWICE");
    // The reviewer's signature is no approver's.
    let zhao = async |signed: Given| {
        let done = office
            .approve(id, "zhao".parse().unwrap(), content, Some(&signed))
            .await;
        done.map_err(|error| error.code())
    };
    assert_eq!(zhao(right.clone()).await.unwrap_err(), "SIGNING_KEY_OTHER");
    let approved = zhao(ledger.signs("zhao", SignerRole::Approver, id).await)
        .await
        .unwrap();
    let said = ledger
        .store
        .read()
        .await
        .unwrap()
        .ledger_of(&id.to_string())
        .await
        .unwrap();
    let signed: Vec<_> = said
        .iter()
        .filter(|entry| entry.action == "mandate SIGNED")
        .map(|entry| (entry.role.as_str(), entry.actor.as_str()))
        .collect();
    assert_eq!(signed, [("reviewer", "wang"), ("approver", "zhao")]);
    let digest = hex::encode(Mandate::digest(&mandate));
    assert!(said.iter().any(|entry| entry.detail.contains(&digest)));
    order(&ledger, &office, permit_of(approved.application.state()))
        .await
        .unwrap();
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_key_signs_for_its_organ_until_its_day_and_with_a_counter_that_goes_on(#[case] engine: Engine) {
    type Change = fn(&mut SigningKey);
    let cases: [(Change, &str); 6] = [
        (|key| key.organ = "440100".parse().unwrap(), "SIGNING_KEY_ORGAN"),
        (|key| key.until = at() - 1.hour(), "SIGNING_KEY_ENDED"),
        (|key| key.confirmed = None, "SIGNING_KEY_UNKNOWN"),
        (|key| key.counter = 1, "SIGNING_COUNTER"),
        (
            |key| key.origin = "http://sign.localhost:8441".to_owned(),
            "SIGNED_ANOTHER",
        ),
        (|key| key.organ = "440305".parse().unwrap(), ""),
    ];
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let (id, content) = completed(&ledger).await;
    for (number, (change, code)) in cases.into_iter().enumerate() {
        let account = format!("reviewer-{number}");
        let key = enrolled(&ledger, &account, change).await;
        // The key that is enrolled by every rule names the mandate to sign.
        let _enrolled = ledger.key_of(&account, SignerRole::Reviewer).await;
        let who = account.parse().unwrap();
        let to_sign = office.to_sign(id, &who, SignerRole::Reviewer).await.unwrap();
        let signed = key.sign(&to_sign.mandate).unwrap();
        let done = office
            .review(id, account.parse().unwrap(), content, Some(&signed))
            .await;
        let said = done.map_or_else(|error| error.code(), |_| "");
        assert_eq!(said, code, "{number}");
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn what_a_removed_key_signed_makes_no_card_nor_does_a_mandate_whose_days_are_over(
    #[case] engine: Engine,
) {
    let ledger = Ledger::open(engine).await;
    let (id, content) = completed(&ledger).await;
    let late = ledger.service_at(at() + 721.hours());
    let signed = ledger.signs("wang", SignerRole::Reviewer, id).await;
    let wang = "wang".parse().unwrap();
    let refused = late.review(id, wang, content, Some(&signed)).await;
    assert_eq!(refused.unwrap_err().code(), "MANDATE_ENDED");

    let approved = ledger.decided(id, content).await;
    let permit = permit_of(approved.application.state());
    assert_eq!(order(&ledger, &late, permit).await, Err("MANDATE_ENDED"));
    // An office that is no rehearsal takes no key file, whatever stands in its rows.
    let real = ledger.service().founded_under(Some([7; 16]));
    assert_eq!(order(&ledger, &real, permit).await, Err("REHEARSAL_KEY"));
    let ids = (&[1; 32][..], &[4; 65]);
    let signer = Signer {
        account: staff("wang"),
        role: SignerRole::Reviewer,
        organ: "440300".parse().unwrap(),
    };
    let refused = real.enrol_rehearsal_key(signer, REHEARSAL_ORIGIN, ids).await;
    assert_eq!(refused.unwrap_err().code(), "REHEARSAL_KEY");
    // Nor one of another vault.
    let other = ledger.service().founded_under(Some(*b"anotherpREHEARSE"));
    assert_eq!(order(&ledger, &other, permit).await, Err("SIGNED_OTHERWISE"));

    let mut tx = ledger.store.begin(at()).await.unwrap();
    assert!(
        tx.remove_signing_key(&signed.credential, &staff("xu"))
            .await
            .unwrap()
    );
    assert!(
        !tx.remove_signing_key(&signed.credential, &staff("xu"))
            .await
            .unwrap()
    );
    tx.commit_without_entry().await.unwrap();
    let office = ledger.service();
    assert_eq!(order(&ledger, &office, permit).await, Err("SIGNING_KEY_UNKNOWN"));
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn content_of_before_mandates_is_completed_anew_and_an_old_signature_does_not_come_with_it(
    #[case] engine: Engine,
) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let (id, _) = completed(&ledger).await;
    let old = ledger.signs("wang", SignerRole::Reviewer, id).await;
    // The rows as a program of before left them.
    ledger.without_mandates().await;
    let case = office.application(id).await.unwrap();
    let content = case.content.unwrap().content().digest();
    let refused = office
        .review(id, "wang".parse().unwrap(), content, Some(&old))
        .await;
    assert_eq!(refused.unwrap_err().code(), "MANDATE_MISSING");
    // The same content again is a new version now, with a mandate of its own.
    let later = at() + 1.minute();
    let again = ledger.complete_at(later, id, "liu", b"her photo").await;
    assert_eq!(again, content);
    let office = ledger.service_at(later);
    let review = async |content, signed: &Given| {
        let done = office
            .review(id, "wang".parse().unwrap(), content, Some(signed))
            .await;
        done.map(drop).map_err(|error| error.code())
    };
    assert_eq!(review(again, &old).await, Err("SIGNED_ANOTHER"));
    let new = ledger.signs("wang", SignerRole::Reviewer, id).await;
    assert_eq!(review(again, &new).await, Ok(()));
}
