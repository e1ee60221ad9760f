//! Cases from intake to production: who may, how often, and what two at once come to.

use issuer_mandate::SignerRole;
use issuer_store::{Stock, Store, Submission};
use permit_domain::{
    ApplicantForm, ApplicationId, ApplicationState, CardStage, EndOfCard, EndReason, PermitState, PersonId,
    Raw, Refusal, SeparatedDuties,
};
use permit_rules::RuleSets;
use rstest::rstest;

use super::ledger::{Book as _, Ledger};
use super::people::{Engine, TODAY, at, li_na, n, new_order, serial, somebody, staff};
use super::reads::Reads as _;
use crate::error::OfficeError;
use crate::fault::Fault;

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn the_same_applicant_twice_is_told_of_the_permit_and_nothing_changes(#[case] engine: Engine) {
    let office = Ledger::open(engine).await;
    let (_, permit) = office.approved(&li_na(), 1).await;
    let before = office.store.verify_ledger().await.unwrap();

    let again = Submission {
        id: ApplicationId::new(at(), n(2)),
        person: PersonId::new(at(), n(2)),
        applicant: &li_na(),
        intake: "liu".parse().unwrap(),
        on: TODAY,
    };
    let error = office.store.submit(again, at()).await.unwrap_err();

    assert!(
        matches!(error, OfficeError::Refused(Refusal::AlreadyHasPermit { permit: p }) if p == permit.id())
    );
    assert_eq!(error.code(), "ALREADY_HAS_PERMIT");
    assert!(error.action().contains("one permit"));
    assert_eq!(office.store.verify_ledger().await.unwrap(), before);
    assert_eq!(
        office
            .store
            .application(ApplicationId::new(at(), n(2)))
            .await
            .unwrap(),
        None
    );
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn an_open_application_bars_a_second_one_until_it_is_withdrawn(#[case] engine: Engine) {
    let office = Ledger::open(engine).await;
    let first = office.submit(&li_na(), 1).await;
    let second = || Submission {
        id: ApplicationId::new(at(), n(2)),
        person: PersonId::new(at(), n(2)),
        applicant: Box::leak(Box::new(li_na())),
        intake: "liu".parse().unwrap(),
        on: TODAY,
    };
    let error = office.store.submit(second(), at()).await.unwrap_err();
    assert!(
        matches!(error, OfficeError::Refused(Refusal::ApplicationOpen { application }) if application == first.id())
    );

    let person = first.person();
    office.store.withdraw(first, at()).await.unwrap();
    let second = office.store.submit(second(), at()).await.unwrap();
    assert_eq!(second.person(), person, "the person keeps the id");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn an_approved_application_ends_with_its_permit_by_neither_who_decided_it_and_frees_its_person(
    #[case] engine: Engine,
) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let (application, permit) = ledger.approved(&li_na(), 1).await;
    let id = application.id();
    let before = ledger.store.verify_ledger().await.unwrap();
    for decided in ["wang", "zhao"] {
        let error = office.withdraw(id, &decided.parse().unwrap()).await.unwrap_err();
        assert_eq!(error.code(), "SAME_PERSON_TWICE");
    }
    let unknown = ApplicationId::new(at(), n(9));
    let error = office
        .withdraw(unknown, &"luo".parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "NOT_FOUND");
    assert_eq!(ledger.store.verify_ledger().await.unwrap(), before);

    // There is no photo store here: the ledger has it, and the case may be open; the same call again goes on.
    for _ in 0..2 {
        let error = office.withdraw(id, &"luo".parse().unwrap()).await.unwrap_err();
        assert_eq!((error.code(), error.fault()), ("PHOTO_CASE_OPEN", Fault::Unknown));
    }
    let stored = ledger.store.application(id).await.unwrap().unwrap();
    assert_eq!(stored.application.state(), &ApplicationState::Withdrawn);
    assert!(stored.decision.is_some(), "what was decided stays on file");
    let ended = ledger.store.permit(permit.id()).await.unwrap().unwrap();
    assert_eq!(
        ended.state(),
        &PermitState::Ended {
            on: TODAY,
            reason: EndReason::Withdrawn
        }
    );
    let entries = ledger.store.ledger_of(&id.to_string()).await.unwrap();
    let done: Vec<_> = entries
        .iter()
        .filter(|entry| (entry.role.as_str(), entry.actor.as_str()) == ("intake clerk", "luo"))
        .map(|entry| entry.action.as_str())
        .collect();
    // Permit and application have one id in these tests.
    assert_eq!(done, ["permit ENDED", "application WITHDRAWN"]);
    ledger.store.verify_ledger().await.unwrap();
    let again = ledger.submit(&li_na(), 2).await;
    assert_eq!(again.person(), application.person());
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_correction_is_a_new_application_in_place_of_the_old_one_or_nothing(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let (old, _) = ledger.reviewed(&li_na(), 1).await;
    let (mut form, new) = (ApplicantForm::from(&li_na()), ApplicationId::new(at(), n(2)));
    form.residence.address = Raw::from("广东省深圳市南山区科苑路18号");
    let right = form.into_applicant(TODAY).unwrap();
    let correct = async |by: &str, file: &permit_domain::Applicant| {
        let clerk = by.parse().unwrap();
        let error = office
            .correct(old.id(), new, clerk, file.clone())
            .await
            .unwrap_err();
        error.code()
    };
    let before = ledger.store.verify_ledger().await.unwrap();
    assert_eq!(correct("luo", &somebody(7)).await, "OTHER_APPLICANT");
    assert_eq!(correct("wang", &right).await, "SAME_PERSON_TWICE");
    let mut long = ApplicantForm::from(&li_na());
    long.name = Raw::from("赵".repeat(38));
    assert_eq!(
        correct("luo", &long.into_applicant(TODAY).unwrap()).await,
        "APPLICANT_FORM"
    );
    assert_eq!(ledger.store.verify_ledger().await.unwrap(), before);

    // The photo store is away: said twice, it was done once.
    for _ in 0..2 {
        assert_eq!(correct("luo", &right).await, "PHOTO_CASE_OPEN");
    }
    let withdrawn = ledger.store.application(old.id()).await.unwrap().unwrap();
    assert_eq!(withdrawn.application.state(), &ApplicationState::Withdrawn);
    assert_eq!(withdrawn.applicant, li_na(), "what was filed is not edited");
    let entries = ledger.store.ledger_of(&old.id().to_string()).await.unwrap();
    assert!(entries.last().unwrap().detail.contains(&new.to_string()));
    let filed = ledger.store.application(new).await.unwrap().unwrap();
    assert_eq!(
        filed.application.state(),
        &ApplicationState::Accepted { on: TODAY }
    );
    assert_eq!(filed.application.person(), old.person());
    assert_eq!((filed.applicant, filed.decision), (right.clone(), None));
    assert_eq!(
        correct("luo", &li_na()).await,
        "ID_TAKEN",
        "the same id, and other facts"
    );
    // An id that stands for another case corrects nothing: neither the case itself nor a stranger's, whose photo case stays open.
    let stranger = ledger.submit(&somebody(7), 3).await.id();
    let before = ledger.store.verify_ledger().await.unwrap();
    for other in [new, stranger] {
        let clerk = "luo".parse().unwrap();
        let error = office
            .correct(other, new, clerk, right.clone())
            .await
            .unwrap_err();
        assert_eq!(error.code(), "ID_TAKEN");
    }
    assert_eq!(ledger.store.verify_ledger().await.unwrap(), before);
    // Nobody who took the correction reviews it, whoever completed it.
    let content = ledger.complete(new, "liu", b"her photo").await;
    assert_eq!(
        office
            .review(new, "luo".parse().unwrap(), content, None)
            .await
            .unwrap_err()
            .code(),
        "SAME_PERSON_TWICE"
    );
    ledger.store.verify_ledger().await.unwrap();
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn two_counters_that_take_one_applicant_at_once_make_one_application(#[case] engine: Engine) {
    let office = Ledger::open(engine).await;
    let (a, b) = (office.again().await, office.again().await);
    let take = |store: Store, number: u8| async move {
        let applicant = li_na();
        let submission = Submission {
            id: ApplicationId::new(at(), n(number)),
            person: PersonId::new(at(), n(number)),
            applicant: &applicant,
            intake: "liu".parse().unwrap(),
            on: TODAY,
        };
        store.submit(submission, at()).await
    };
    let (x, y) = tokio::join!(tokio::spawn(take(a, 1)), tokio::spawn(take(b, 2)));
    let results = [x.unwrap(), y.unwrap()];
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
    assert!(
        results
            .iter()
            .any(|r| matches!(r, Err(OfficeError::Refused(Refusal::ApplicationOpen { .. }))))
    );
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_published_rule_set_is_never_edited(#[case] engine: Engine) {
    let office = Ledger::open(engine).await;
    let set = office.rules.get(RuleSets::DEFAULT).unwrap();
    office.service().migrate().await.unwrap();
    office.service().migrate().await.unwrap();
    let published = office.store.published_rule_set(set.id()).await.unwrap().unwrap();
    assert_eq!(
        (published.digest, published.text.as_str()),
        (set.digest(), set.text())
    );
    assert_eq!(office.store.ledger_of(set.id()).await.unwrap().len(), 1);

    let office = Ledger::unpublished(engine).await;
    let softer = format!("{}# softer\n", set.text());
    let digest = permit_domain::Digest::of(softer.as_bytes());
    let mut tx = office.store.begin(at()).await.unwrap();
    let appended = tx.publish_rule_set(set.id(), digest, &softer).await.unwrap();
    tx.commit(appended).await.unwrap();
    let error = office.service().migrate().await.unwrap_err();
    assert_eq!(error.code(), "RULE_SET_EDITED");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_permit_in_production_changes_by_its_order_only(#[case] engine: Engine) {
    let office = Ledger::open(engine).await;
    let order = office.allocated(&li_na(), 1).await;
    let permit = office.store.permit(order.permit()).await.unwrap().unwrap();
    assert_eq!(permit.state(), &PermitState::InProduction { order: order.id() });
    for refused in [
        permit.clone().change(|state| state.suspend(TODAY)),
        permit.clone().change(|state| state.restore(TODAY)),
        permit.change(|state| state.end(TODAY, EndReason::Withdrawn)),
    ] {
        assert_eq!(refused.unwrap_err().code(), "WRONG_STATE");
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn an_order_by_other_people_than_those_who_decided_is_refused(#[case] engine: Engine) {
    let office = Ledger::open(engine).await;
    let (_, permit) = office.approved(&li_na(), 1).await;
    let duties = SeparatedDuties::new(
        "wang".parse().unwrap(),
        "deng".parse().unwrap(),
        "sun".parse().unwrap(),
    )
    .unwrap();
    let right = new_order(permit.id(), 1);
    let order = permit_domain::Order::new(right.id(), permit.id(), duties, right.content().clone());
    assert!(matches!(
        office.store.order_production(&order, at()).await,
        Err(OfficeError::Refused(Refusal::OtherPeople))
    ));

    office.store.order_production(&right, at()).await.unwrap();
    let second = new_order(permit.id(), 2);
    let error = office.store.order_production(&second, at()).await.unwrap_err();
    assert_eq!(error.code(), "WRONG_STATE", "one order at a time");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn blanks_enter_the_stock_once_and_leave_it_once(#[case] engine: Engine) {
    let office = Ledger::open(engine).await;
    let store = &office.store;
    let gao = staff("gao");
    store
        .receive_blanks(&[serial(1), serial(2), serial(3)], "lot-1", &gao, at())
        .await
        .unwrap();
    let error = store
        .receive_blanks(&[serial(4), serial(1)], "lot-2", &gao, at())
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        OfficeError::Store(issuer_store::Error::Exists { what: "blank" })
    ));
    assert_eq!(
        store.stock().await.unwrap(),
        Stock {
            in_stock: 3,
            allocated: 0,
            recalled: 0,
            set_aside: 0,
            scrapped: 0
        }
    );

    let (_, permit) = office.approved(&li_na(), 1).await;
    let order = store
        .order_production(&new_order(permit.id(), 1), at())
        .await
        .unwrap();
    let error = store
        .allocate_card(order.clone(), serial(9), at())
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        OfficeError::Refused(Refusal::BlankNotInStock { state: "UNKNOWN", .. })
    ));
    let order = store.allocate_card(order, serial(1), at()).await.unwrap();
    assert_eq!(
        order.state().card().unwrap().number.as_str().get(..12),
        Some("440000000001")
    );

    let (_, permit) = office.approved(&somebody(2), 2).await;
    let order = store
        .order_production(&new_order(permit.id(), 2), at())
        .await
        .unwrap();
    let error = store
        .allocate_card(order.clone(), serial(1), at())
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        OfficeError::Refused(Refusal::BlankNotInStock {
            state: "ALLOCATED",
            ..
        })
    ));
    assert_eq!(store.recall_lot("lot-1", &gao, at()).await.unwrap(), 2);
    let error = store.allocate_card(order, serial(2), at()).await.unwrap_err();
    assert!(matches!(
        error,
        OfficeError::Refused(Refusal::BlankNotInStock {
            state: "RECALLED",
            ..
        })
    ));
    assert_eq!(
        store.stock().await.unwrap(),
        Stock {
            in_stock: 0,
            allocated: 1,
            recalled: 2,
            set_aside: 0,
            scrapped: 0
        }
    );
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_connections_never_draw_one_card_number_twice(#[case] engine: Engine) {
    const EACH: u8 = 8;
    let office = Ledger::open(engine).await;
    let mut orders = Vec::new();
    for i in 1..=2 * EACH {
        let (_, permit) = office.approved(&somebody(i), i).await;
        orders.push(
            office
                .store
                .order_production(&new_order(permit.id(), i), at())
                .await
                .unwrap(),
        );
    }
    let serials: Vec<_> = (1..=2 * EACH).map(serial).collect();
    office
        .store
        .receive_blanks(&serials, "lot-1", &staff("gao"), at())
        .await
        .unwrap();

    let draw = |store: Store, work: Vec<_>| async move {
        let mut numbers = Vec::new();
        for (order, serial) in work {
            let order = store.allocate_card(order, serial, at()).await.unwrap();
            numbers.push(order.state().card().unwrap().number.clone());
        }
        numbers
    };
    let mut work: Vec<_> = orders.into_iter().zip(serials).collect();
    let other = work.split_off(usize::from(EACH));
    let (a, b) = (office.again().await, office.again().await);
    let (x, y) = tokio::join!(tokio::spawn(draw(a, work)), tokio::spawn(draw(b, other)));
    let mut numbers = [x.unwrap(), y.unwrap()].concat();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), usize::from(2 * EACH));
    office.store.verify_ledger().await.unwrap();
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_given_up_order_spends_its_number_and_frees_the_permit(#[case] engine: Engine) {
    let office = Ledger::open(engine).await;
    let store = &office.store;
    let order = office.allocated(&li_na(), 1).await;
    let first = order.state().card().unwrap().clone();
    let order = store
        .advance_order(order.give_up().unwrap(), r#"{"why":"torn"}"#, at())
        .await
        .unwrap();
    assert_eq!(store.order(order.id()).await.unwrap().as_ref(), Some(&order));
    let card = store.card(&first.number).await.unwrap().unwrap();
    assert_eq!(card.state, CardStage::Ended(EndOfCard::Damaged));
    assert_eq!(
        store.permit(order.permit()).await.unwrap().unwrap().state(),
        &PermitState::Approved
    );

    let next = store
        .order_production(&new_order(order.permit(), 2), at())
        .await
        .unwrap();
    let error = store
        .allocate_card(next.clone(), first.serial, at())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            OfficeError::Refused(Refusal::BlankNotInStock {
                state: "ALLOCATED",
                ..
            })
        ),
        "the chip is spent too"
    );
    store
        .receive_blanks(&[serial(2)], "lot-2", &staff("gao"), at())
        .await
        .unwrap();
    let next = store.allocate_card(next, serial(2), at()).await.unwrap();
    assert_ne!(next.state().card().unwrap().number, first.number);

    let destroyed = card.standing().destroyed().unwrap();
    let card = store
        .save_standing(card, destroyed, ("officer", "gao"), at())
        .await
        .unwrap();
    assert_eq!(store.card(&first.number).await.unwrap().as_ref(), Some(&card));
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn an_order_cannot_be_advanced_into_a_beginning(#[case] engine: Engine) {
    let office = Ledger::open(engine).await;
    let order = office.allocated(&li_na(), 1).await;
    assert_eq!(
        office
            .store
            .advance_order(order.clone(), "{}", at())
            .await
            .unwrap_err()
            .code(),
        "WRONG_STATE"
    );
    assert_eq!(
        office
            .store
            .order_production(&order, at())
            .await
            .unwrap_err()
            .code(),
        "WRONG_STATE"
    );
    let error = office
        .store
        .allocate_card(order, serial(1), at())
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        OfficeError::Refused(Refusal::BlankNotInStock {
            state: "ALLOCATED",
            ..
        })
    ));
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn filing_is_one_transaction_and_the_same_request_again_answers_the_same(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let before = ledger.store.verify_ledger().await.unwrap().entries;
    let id = ApplicationId::new(at(), n(1));
    let apply = |id, clerk: &str, applicant| office.apply(id, clerk.parse().unwrap(), applicant);
    let filed = apply(id, "liu", li_na()).await.unwrap();
    assert_eq!(
        filed.application.state(),
        &ApplicationState::Accepted { on: TODAY }
    );
    assert_eq!(apply(id, "liu", li_na()).await.unwrap(), filed);
    let entries = ledger.store.ledger_of(&id.to_string()).await.unwrap();
    let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(
        actions,
        ["application APPLIED", "identity BY_HAND", "application ACCEPTED"]
    );

    for (clerk, applicant) in [("chen", li_na()), ("liu", somebody(2))] {
        let other = apply(id, clerk, applicant).await.unwrap_err();
        assert_eq!(other.code(), "ID_TAKEN");
    }
    let second = apply(ApplicationId::new(at(), n(2)), "liu", li_na())
        .await
        .unwrap_err();
    assert!(
        matches!(second, OfficeError::Refused(Refusal::ApplicationOpen { application }) if application == id)
    );
    assert_eq!(ledger.store.verify_ledger().await.unwrap().entries, before + 3);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_counters_that_file_one_applicant_at_once_are_one_that_does_and_one_that_is_told(
    #[case] engine: Engine,
) {
    let ledger = Ledger::open(engine).await;
    let (a, b) = (
        Ledger::service_over(ledger.again().await),
        Ledger::service_over(ledger.again().await),
    );
    let (x, y) = tokio::join!(
        a.apply(ApplicationId::new(at(), n(1)), "liu".parse().unwrap(), li_na()),
        b.apply(ApplicationId::new(at(), n(2)), "chen".parse().unwrap(), li_na())
    );
    let (Ok(filed), Err(OfficeError::Refused(Refusal::ApplicationOpen { application }))) =
        (if x.is_ok() { (x, y) } else { (y, x) })
    else {
        panic!("one does, the other is told");
    };
    assert_eq!(application, filed.application.id());

    // The same request twice at one moment: one application, one answer.
    let (x, y) = tokio::join!(
        a.apply(
            ApplicationId::new(at(), n(3)),
            "liu".parse().unwrap(),
            somebody(3)
        ),
        b.apply(
            ApplicationId::new(at(), n(3)),
            "liu".parse().unwrap(),
            somebody(3)
        )
    );
    assert_eq!(x.unwrap(), y.unwrap());
    ledger.store.verify_ledger().await.unwrap();
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_decide_one_case_at_once_are_one_that_does_and_one_that_is_told(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let (a, b) = (
        Ledger::service_over(ledger.again().await),
        Ledger::service_over(ledger.again().await),
    );
    let id = ApplicationId::new(at(), n(1));
    a.apply(id, "liu".parse().unwrap(), li_na()).await.unwrap();
    let content = ledger.complete(id, "liu", b"her photo").await;
    let wang = ledger.signs("wang", SignerRole::Reviewer, id).await;
    let deng = ledger.signs("deng", SignerRole::Reviewer, id).await;
    let (x, y) = tokio::join!(
        a.review(id, "wang".parse().unwrap(), content, Some(&wang)),
        b.review(id, "deng".parse().unwrap(), content, Some(&deng))
    );
    let (done, told) = if x.is_ok() { (x, y) } else { (y, x) };
    assert!(matches!(
        done.unwrap().application.state(),
        ApplicationState::Reviewed { .. }
    ));
    assert_eq!(told.unwrap_err().fault(), crate::fault::Fault::State);
    // The same sign-off twice: one permit, one answer.
    let zhao = ledger.signs("zhao", SignerRole::Approver, id).await;
    let (x, y) = tokio::join!(
        a.approve(id, "zhao".parse().unwrap(), content, Some(&zhao)),
        b.approve(id, "zhao".parse().unwrap(), content, Some(&zhao))
    );
    let (x, y) = (x.unwrap(), y.unwrap());
    assert_eq!(x, y);
    let permits = ledger.store.ledger_after(0, 1000).await.unwrap();
    let granted = permits
        .iter()
        .filter(|entry| entry.action == "permit APPROVED")
        .count();
    assert_eq!(granted, 1);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn what_changed_since_it_was_read_is_reviewed_and_signed_anew(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let id = ApplicationId::new(at(), n(1));
    office.apply(id, "liu".parse().unwrap(), li_na()).await.unwrap();
    let nothing = permit_domain::Digest::of(b"");
    let unsigned = office.review(id, "wang".parse().unwrap(), nothing, None).await;
    assert_eq!(unsigned.unwrap_err().code(), "NOT_COMPLETED");
    let first = ledger.complete(id, "liu", b"her photo").await;
    // Each signs the mandate that is live when they do.
    let review = async |content| {
        let signed = ledger.signs("wang", SignerRole::Reviewer, id).await;
        office
            .review(id, "wang".parse().unwrap(), content, Some(&signed))
            .await
    };
    let approve = async |content| {
        let signed = ledger.signs("zhao", SignerRole::Approver, id).await;
        office
            .approve(id, "zhao".parse().unwrap(), content, Some(&signed))
            .await
    };
    assert_eq!(
        first,
        ledger.complete(id, "liu", b"her photo").await,
        "the same again is the same"
    );
    let state = async || {
        let case = ledger.store.application(id).await.unwrap().unwrap();
        let content = case.content.map(|live| (live.version(), live.state().name()));
        (case.application.state().name(), content)
    };
    assert_eq!(state().await, ("ACCEPTED", Some((1, "COMPLETED"))));
    assert_eq!(review(nothing).await.unwrap_err().code(), "OTHER_CONTENT");
    assert_eq!(approve(first).await.unwrap_err().code(), "WRONG_STATE");
    review(first).await.unwrap();
    assert_eq!(state().await, ("REVIEWED", Some((1, "REVIEWED"))));

    // Another photo after the review: what was reviewed is over, and no old page signs anything.
    let second = ledger.complete(id, "liu", b"another photo").await;
    assert_eq!(state().await, ("ACCEPTED", Some((2, "COMPLETED"))));
    let case = ledger.store.application(id).await.unwrap().unwrap();
    assert_eq!((case.accepted_on, case.decision), (Some(TODAY), None));
    let before = ledger.store.verify_ledger().await.unwrap();
    for old in [review(first).await, approve(first).await] {
        let error = old.unwrap_err();
        assert_eq!((error.code(), error.fault()), ("OTHER_CONTENT", Fault::State));
    }
    assert_eq!(approve(second).await.unwrap_err().code(), "WRONG_STATE");
    assert_eq!(ledger.store.verify_ledger().await.unwrap(), before);
    let own = office.review(id, "liu".parse().unwrap(), second, None).await;
    assert_eq!(own.unwrap_err().code(), "SAME_PERSON_TWICE");

    review(second).await.unwrap();
    let own = office.approve(id, "wang".parse().unwrap(), second, None).await;
    assert_eq!(own.unwrap_err().code(), "SAME_PERSON_TWICE");
    let approved = approve(second).await.unwrap();
    assert_eq!(approve(second).await.unwrap(), approved);
    assert_eq!(state().await, ("APPROVED", Some((2, "SIGNED"))));

    // And once more after the sign-off, before its card: the permit stands, and its card waits for two people.
    let third = ledger.complete(id, "luo", b"a third photo").await;
    assert_eq!(state().await, ("APPROVED", Some((3, "COMPLETED"))));
    let ApplicationState::Approved { permit, .. } = *approved.application.state() else {
        panic!("approved");
    };
    let order = async || {
        let id = new_order(permit, 1).id();
        office.order(id, permit, "sun".parse().unwrap(), None).await
    };
    assert_eq!(order().await.unwrap_err().code(), "WRONG_STATE");
    review(third).await.unwrap();
    assert_eq!(order().await.unwrap_err().code(), "WRONG_STATE");
    approve(third).await.unwrap();
    let ordered = order().await.unwrap();
    let content = crate::card_content::CardContent::from_content(ordered.content()).unwrap();
    assert_eq!(content.signed_content(), Some(third));
    let actions: Vec<_> = ledger
        .store
        .ledger_of(&id.to_string())
        .await
        .unwrap()
        .into_iter()
        .filter(|entry| entry.action.starts_with("content"))
        .map(|entry| {
            (
                entry.action,
                entry.actor,
                entry.detail.contains(&third.to_string()),
            )
        })
        .collect();
    let said: Vec<_> = actions
        .iter()
        .map(|(a, b, c)| (a.as_str(), b.as_str(), *c))
        .collect();
    assert_eq!(
        said,
        [
            ("content COMPLETED", "liu", false),
            ("content REVIEWED", "wang", false),
            ("content SUPERSEDED", "liu", false),
            ("content COMPLETED", "liu", false),
            ("content REVIEWED", "wang", false),
            ("content SIGNED", "zhao", false),
            ("content SUPERSEDED", "luo", false),
            ("content COMPLETED", "luo", true),
            ("content REVIEWED", "wang", true),
            ("content SIGNED", "zhao", true),
        ]
    );
    ledger.store.verify_ledger().await.unwrap();
}

/// Runs a statement past every trigger, as somebody does who has the database.
async fn tampered(store: &Store, sql: &str) {
    match store {
        Store::Sqlite(pool) => {
            let drop = "DROP TRIGGER decisions_no_update; DROP TRIGGER case_contents_keep;";
            let all = sqlx::AssertSqlSafe(format!("{drop} {sql}"));
            sqlx::raw_sql(all).execute(pool).await.unwrap();
        }
        Store::Postgres(pool) => {
            let all = sqlx::AssertSqlSafe(format!(
                "SET session_replication_role = replica; {sql}; RESET session_replication_role"
            ));
            sqlx::raw_sql(all).execute(pool).await.unwrap();
        }
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn rows_that_changed_after_the_sign_off_make_no_card(#[case] engine: Engine) {
    for (sql, code) in [
        (
            "UPDATE applications SET applicant = replace(applicant, '李娜', '李挪')",
            "SIGNED_OTHERWISE",
        ),
        ("UPDATE permits SET valid_to = '2031-11-21'", "SIGNED_OTHERWISE"),
        ("UPDATE permits SET tier = 'TALENT'", "SIGNED_OTHERWISE"),
        (
            "UPDATE decisions SET body = replace(body, '\"class\":', '\"class\":1')",
            "SIGNED_OTHERWISE",
        ),
        (
            "UPDATE case_contents SET content_digest = applied.d FROM (SELECT digest AS d FROM rule_sets LIMIT 1) AS applied",
            "STORE_DAMAGED",
        ),
    ] {
        let ledger = Ledger::open(engine).await;
        let office = ledger.service();
        let id = ApplicationId::new(at(), n(1));
        office.apply(id, "liu".parse().unwrap(), li_na()).await.unwrap();
        let content = ledger.complete(id, "liu", b"her photo").await;
        let approved = ledger.decided(id, content).await;
        let ApplicationState::Approved { permit, .. } = *approved.application.state() else {
            panic!("approved");
        };
        tampered(&ledger.store, sql).await;
        let order = new_order(permit, 1).id();
        let refused = office.order(order, permit, "sun".parse().unwrap(), None).await;
        assert_eq!(refused.unwrap_err().code(), code, "{sql}");
        assert_eq!(
            ledger
                .store
                .read()
                .await
                .unwrap()
                .orders_of_permit(permit)
                .await
                .unwrap(),
            []
        );
    }
}
