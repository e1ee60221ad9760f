//! Every function of the store, on both engines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod office;
mod postgres;

use issuer_store::{Error, Stock, Store, Submission};
use office::{Engine, Office, TODAY, at, guangdong, li_na, n, new_order, serial, somebody, staff};
use permit_domain::{
    ApplicationId, ApplicationState, CardState, EndOfCard, EndReason, OrderState, PermitId, PermitState,
    PersonId, SeparatedDuties,
};
use permit_rules::{RuleSet, RuleSets};
use rstest::rstest;

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_whole_case_goes_from_intake_to_hand_over(#[case] engine: Engine) {
    let office = Office::open(engine).await;
    let order = office.handed_over(&li_na(), 1).await;
    let store = &office.store;

    assert!(matches!(order.state(), OrderState::HandedOver { .. }));
    assert_eq!(store.order(order.id()).await.unwrap().as_ref(), Some(&order));
    let permit = store.permit(order.permit()).await.unwrap().unwrap();
    assert_eq!(permit.state(), &PermitState::Active { since: TODAY });
    let card = order.state().card().unwrap();
    let stored = store.card(&card.number).await.unwrap().unwrap();
    assert_eq!(
        (stored.state, stored.serial, stored.permit),
        (CardState::HandedOver, card.serial, permit.id())
    );
    assert_eq!(store.card_by_serial(card.serial).await.unwrap().unwrap(), stored);
    assert_eq!(store.cards_of_permit(permit.id()).await.unwrap(), [stored]);
    assert_eq!(
        store.orders_of_permit(permit.id()).await.unwrap(),
        std::slice::from_ref(&order)
    );
    assert_eq!(store.running_orders().await.unwrap(), []);

    let steps: Vec<_> = store
        .order_steps(order.id())
        .await
        .unwrap()
        .into_iter()
        .map(|s| (s.step, s.actor, s.result))
        .collect();
    let names: Vec<_> = steps.iter().map(|s| (s.0.as_str(), s.1.as_str())).collect();
    assert_eq!(
        names,
        [
            ("ALLOCATED", "sun"),
            ("ENCODING", "sun"),
            ("ENCODED", "sun"),
            ("DRAWN", "sun"),
            ("VERIFIED", "sun"),
            ("HANDING_OVER", "chen"),
            ("HANDED_OVER", "chen"),
        ]
    );
    assert_eq!(steps[2].2, r#"{"apdus":41}"#);
    assert_eq!(store.verify_ledger().await.unwrap().entries, 17);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn an_application_reads_back_with_its_applicant_and_its_decision(#[case] engine: Engine) {
    let office = Office::open(engine).await;
    let applicant = li_na();
    let (application, decision) = office.reviewed(&applicant, 1).await;

    let stored = office.store.application(application.id()).await.unwrap().unwrap();
    assert_eq!(stored.application, application);
    assert_eq!(stored.applicant, applicant);
    assert_eq!(stored.decision, Some(decision));
    assert_eq!(stored.submitted_on, TODAY);
    assert_eq!(stored.created_at, at());
    assert_eq!(
        office.store.person(&applicant.citizen_number).await.unwrap(),
        Some(application.person())
    );
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn what_is_not_there_is_none(#[case] engine: Engine) {
    let office = Office::open(engine).await;
    let store = &office.store;
    assert_eq!(
        store.application(ApplicationId::new(at(), n(9))).await.unwrap(),
        None
    );
    assert_eq!(store.permit(PermitId::new(at(), n(9))).await.unwrap(), None);
    assert_eq!(store.live_permit(PersonId::new(at(), n(9))).await.unwrap(), None);
    assert_eq!(store.card_by_serial(serial(9)).await.unwrap(), None);
    assert_eq!(store.published_rule_set("none").await.unwrap(), None);
    assert_eq!(store.person(&li_na().citizen_number).await.unwrap(), None);
    assert_eq!(store.ledger_after(0, 10).await.unwrap(), []);
    assert_eq!(store.verify_ledger().await.unwrap().entries, 0);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn the_same_applicant_twice_is_told_of_the_permit_and_nothing_changes(#[case] engine: Engine) {
    let office = Office::open(engine).await;
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

    assert!(matches!(error, Error::AlreadyHasPermit { permit: p } if p == permit.id()));
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
    let office = Office::open(engine).await;
    let first = office.submit(&li_na(), 1).await;
    let second = || Submission {
        id: ApplicationId::new(at(), n(2)),
        person: PersonId::new(at(), n(2)),
        applicant: Box::leak(Box::new(li_na())),
        intake: "liu".parse().unwrap(),
        on: TODAY,
    };
    let error = office.store.submit(second(), at()).await.unwrap_err();
    assert!(matches!(error, Error::ApplicationOpen { application } if application == first.id()));

    let person = first.person();
    office
        .store
        .save_application(first.withdraw().unwrap(), at())
        .await
        .unwrap();
    let second = office.store.submit(second(), at()).await.unwrap();
    assert_eq!(second.person(), person, "the person keeps the id");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn two_counters_that_take_one_applicant_at_once_make_one_application(#[case] engine: Engine) {
    let office = Office::open(engine).await;
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
            .any(|r| matches!(r, Err(Error::ApplicationOpen { .. })))
    );
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_refusal_is_stored_with_its_reasons(#[case] engine: Engine) {
    let office = Office::open(engine).await;
    let text = include_str!("../../permit/samples/applicant-refused.json");
    let applicant = permit_domain::ApplicantForm::from_json(text)
        .unwrap()
        .into_applicant(TODAY)
        .unwrap();
    let (application, decision) = office.reviewed(&applicant, 1).await;

    assert!(matches!(application.state(), ApplicationState::Refused { .. }));
    assert!(decision.unmet().count() > 0);
    let stored = office.store.application(application.id()).await.unwrap().unwrap();
    assert_eq!(stored.decision, Some(decision));
    // A refused person may apply again.
    office.submit(&applicant, 2).await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_case_changed_by_somebody_else_is_stale(#[case] engine: Engine) {
    let office = Office::open(engine).await;
    let mine = office.submit(&li_na(), 1).await;
    let theirs = mine.clone();
    office
        .store
        .save_application(theirs.need_more().unwrap(), at())
        .await
        .unwrap();

    let error = office
        .store
        .save_application(mine.accept(TODAY).unwrap(), at())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Stale { what: "application" }));
    assert_eq!(error.code(), "STALE");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn an_application_that_is_not_stored_is_missing(#[case] engine: Engine) {
    let (office, other) = (Office::open(engine).await, Office::open(engine).await);
    let application = other.submit(&li_na(), 1).await.accept(TODAY).unwrap();
    let error = office
        .store
        .save_application(application, at())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Missing { what: "application" }));
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_review_needs_the_published_rule_set(#[case] engine: Engine) {
    let office = Office::open(engine).await;
    let application = office.submit(&li_na(), 1).await;
    let application = office
        .store
        .save_application(application.accept(TODAY).unwrap(), at())
        .await
        .unwrap();
    let decision = office.decision(&li_na());
    let reviewed = application.review("wang".parse().unwrap(), &decision).unwrap();
    let error = office
        .store
        .record_review(reviewed, &decision, at())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Missing { what: "rule set" }));
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_review_and_an_approval_cannot_be_stored_without_what_belongs_to_them(#[case] engine: Engine) {
    let office = Office::open(engine).await;
    let (reviewed, decision) = office.reviewed(&li_na(), 1).await;
    let error = office
        .store
        .save_application(reviewed.clone(), at())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "WRONG_STATE");

    let id = PermitId::new(at(), n(1));
    let other = PermitId::new(at(), n(2));
    let permit = permit_domain::Permit::granted(other, reviewed.person(), reviewed.id(), &decision).unwrap();
    let approved = reviewed.approve("zhao".parse().unwrap(), id).unwrap();
    let error = office
        .store
        .record_approval(approved, &permit, at())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "WRONG_STATE");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_published_rule_set_is_never_edited(#[case] engine: Engine) {
    let office = Office::open(engine).await;
    let set = office.rules.get(RuleSets::DEFAULT).unwrap();
    office.store.publish_rule_set(set, at()).await.unwrap();
    office.store.publish_rule_set(set, at()).await.unwrap();
    let published = office.store.published_rule_set(set.id()).await.unwrap().unwrap();
    assert_eq!(
        (published.digest, published.text.as_str()),
        (set.digest(), set.text())
    );
    assert_eq!(office.store.ledger_of(set.id()).await.unwrap().len(), 1);

    let edited = RuleSet::parse("edited", &format!("{}# softer\n", set.text())).unwrap();
    let error = office.store.publish_rule_set(&edited, at()).await.unwrap_err();
    assert_eq!(error.code(), "RULE_SET_EDITED");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_permit_is_suspended_restored_and_ended(#[case] engine: Engine) {
    let office = Office::open(engine).await;
    let order = office.handed_over(&li_na(), 1).await;
    let store = &office.store;
    let permit = store.permit(order.permit()).await.unwrap().unwrap();
    assert_eq!(
        store.live_permit(permit.grant().person).await.unwrap().as_ref(),
        Some(&permit)
    );

    let by = staff("he");
    let permit = permit.change(|s| s.suspend(TODAY)).unwrap();
    let permit = store.save_permit(permit, &by, at()).await.unwrap();
    let permit = permit.change(|s| s.restore(TODAY)).unwrap();
    let permit = store.save_permit(permit, &by, at()).await.unwrap();
    let stale = permit.clone().change(|s| s.suspend(TODAY)).unwrap();
    let permit = permit.change(|s| s.end(TODAY, EndReason::Withdrawn)).unwrap();
    let permit = store.save_permit(permit, &by, at()).await.unwrap();
    assert_eq!(store.permit(permit.id()).await.unwrap().as_ref(), Some(&permit));
    assert!(matches!(
        store.save_permit(stale, &by, at()).await,
        Err(Error::Stale { what: "permit" })
    ));

    // Now the person may have another one.
    assert_eq!(store.live_permit(permit.grant().person).await.unwrap(), None);
    office.submit(&li_na(), 2).await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_permit_in_production_changes_by_its_order_only(#[case] engine: Engine) {
    let office = Office::open(engine).await;
    let order = office.allocated(&li_na(), 1).await;
    let permit = office.store.permit(order.permit()).await.unwrap().unwrap();
    assert_eq!(permit.state(), &PermitState::InProduction { order: order.id() });
    let error = office
        .store
        .save_permit(permit, &staff("he"), at())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "WRONG_STATE");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn an_order_by_other_people_than_those_who_decided_is_refused(#[case] engine: Engine) {
    let office = Office::open(engine).await;
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
        Err(Error::OtherPeople)
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
    let office = Office::open(engine).await;
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
    assert!(matches!(error, Error::Exists { what: "blank" }));
    assert_eq!(
        store.stock().await.unwrap(),
        Stock {
            in_stock: 3,
            allocated: 0,
            recalled: 0
        }
    );

    let (_, permit) = office.approved(&li_na(), 1).await;
    let order = store
        .order_production(&new_order(permit.id(), 1), at())
        .await
        .unwrap();
    let error = store
        .allocate_card(order.clone(), guangdong(), serial(9), at())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::BlankNotInStock { state: "UNKNOWN", .. }));
    let order = store
        .allocate_card(order, guangdong(), serial(1), at())
        .await
        .unwrap();
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
        .allocate_card(order.clone(), guangdong(), serial(1), at())
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        Error::BlankNotInStock {
            state: "ALLOCATED",
            ..
        }
    ));
    assert_eq!(store.recall_lot("lot-1", &gao, at()).await.unwrap(), 2);
    let error = store
        .allocate_card(order, guangdong(), serial(2), at())
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        Error::BlankNotInStock {
            state: "RECALLED",
            ..
        }
    ));
    assert_eq!(
        store.stock().await.unwrap(),
        Stock {
            in_stock: 0,
            allocated: 1,
            recalled: 2
        }
    );
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_connections_never_draw_one_card_number_twice(#[case] engine: Engine) {
    const EACH: u8 = 8;
    let office = Office::open(engine).await;
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
            let order = store
                .allocate_card(order, guangdong(), serial, at())
                .await
                .unwrap();
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
    let office = Office::open(engine).await;
    let store = &office.store;
    let order = office.allocated(&li_na(), 1).await;
    let first = order.state().card().unwrap().clone();
    let order = store
        .advance_order(order.give_up().unwrap(), r#"{"why":"torn"}"#, at())
        .await
        .unwrap();
    assert_eq!(store.order(order.id()).await.unwrap().as_ref(), Some(&order));
    let card = store.card(&first.number).await.unwrap().unwrap();
    assert_eq!(card.state, CardState::Ended(EndOfCard::Damaged));
    assert_eq!(
        store.permit(order.permit()).await.unwrap().unwrap().state(),
        &PermitState::Approved
    );

    let next = store
        .order_production(&new_order(order.permit(), 2), at())
        .await
        .unwrap();
    let error = store
        .allocate_card(next.clone(), guangdong(), first.serial, at())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::BlankNotInStock {
                state: "ALLOCATED",
                ..
            }
        ),
        "the chip is spent too"
    );
    store
        .receive_blanks(&[serial(2)], "lot-2", &staff("gao"), at())
        .await
        .unwrap();
    let next = store
        .allocate_card(next, guangdong(), serial(2), at())
        .await
        .unwrap();
    assert_ne!(next.state().card().unwrap().number, first.number);

    let card = store.destroy_card(card, &staff("gao"), at()).await.unwrap();
    assert_eq!(store.card(&first.number).await.unwrap().as_ref(), Some(&card));
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn an_order_found_encoding_after_a_restart_is_in_doubt_and_resumes_on_the_same_card(
    #[case] engine: Engine,
) {
    let office = Office::open(engine).await;
    let order = office.allocated(&li_na(), 1).await;
    let card = order.state().card().unwrap().clone();
    office
        .store
        .advance_order(order.begin_encoding().unwrap(), "{}", at())
        .await
        .unwrap();
    office.store.close().await;

    let store = office.again().await;
    let mut running = store.running_orders().await.unwrap();
    let order = running.pop().unwrap();
    assert!(running.is_empty() && order.state().in_doubt());
    assert_eq!(order.content(), new_order(order.permit(), 1).content());
    let order = store
        .advance_order(order.begin_encoding().unwrap(), "{}", at())
        .await
        .unwrap();
    let order = store
        .advance_order(order.encoded().unwrap(), "{}", at())
        .await
        .unwrap();
    assert_eq!(order.state().card(), Some(&card), "no new number");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn two_workers_on_one_order_cannot_both_go_on(#[case] engine: Engine) {
    let office = Office::open(engine).await;
    let order = office.allocated(&li_na(), 1).await;
    let other = order.clone();
    let order = order.begin_encoding().unwrap();
    office.store.advance_order(order, "{}", at()).await.unwrap();
    let error = office
        .store
        .advance_order(other.begin_encoding().unwrap(), "{}", at())
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        Error::Stale {
            what: "production order"
        }
    ));
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn an_order_cannot_be_advanced_into_a_beginning(#[case] engine: Engine) {
    let office = Office::open(engine).await;
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
        .allocate_card(order, guangdong(), serial(1), at())
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        Error::BlankNotInStock {
            state: "ALLOCATED",
            ..
        }
    ));
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_handed_over_card_is_lost_and_a_lost_card_is_not_destroyed(#[case] engine: Engine) {
    let office = Office::open(engine).await;
    let order = office.handed_over(&li_na(), 1).await;
    let number = &order.state().card().unwrap().number;
    let store = &office.store;
    let card = store.card(number).await.unwrap().unwrap();
    let stale = card.clone();
    let by = staff("he");
    let card = store.end_card(card, EndOfCard::Lost, &by, at()).await.unwrap();
    assert_eq!(store.card(number).await.unwrap().as_ref(), Some(&card));
    let error = store
        .end_card(stale, EndOfCard::Returned, &by, at())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Stale { what: "card" }));
    assert_eq!(
        store.destroy_card(card, &by, at()).await.unwrap_err().code(),
        "WRONG_STATE"
    );
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn the_engine_itself_keeps_what_was_written(#[case] engine: Engine) {
    let office = Office::open(engine).await;
    office.handed_over(&li_na(), 1).await;
    for statement in [
        "UPDATE events SET actor = 'nobody' WHERE seq = 3",
        "DELETE FROM events WHERE seq = 3",
        "DELETE FROM cards",
        "UPDATE cards SET number = '4400000000029'",
        "UPDATE orders SET content = content",
        "UPDATE card_counters SET last = 1",
        "DELETE FROM card_counters",
        "UPDATE decisions SET tier = 'TALENT'",
        "DELETE FROM rule_sets",
        "DELETE FROM order_steps",
        "UPDATE orders SET producer = reviewer",
        "UPDATE permits SET state = 'NONSENSE'",
    ] {
        let refused = match &office.store {
            Store::Sqlite(pool) => sqlx::query(statement).execute(pool).await.is_err(),
            Store::Postgres(pool) => sqlx::query(statement).execute(pool).await.is_err(),
        };
        assert!(refused, "{statement}");
    }
    office.store.verify_ledger().await.unwrap();
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_ledger_that_was_altered_behind_our_back_is_found(#[case] engine: Engine) {
    let office = Office::open(engine).await;
    office.approved(&li_na(), 1).await;
    let entries = office.store.ledger_after(0, 100).await.unwrap();
    assert_eq!(entries.len(), 6);
    assert_eq!(entries[1].action, "application APPLIED");
    assert_eq!(office.store.ledger_after(4, 100).await.unwrap(), entries[4..]);

    // What somebody with the rights of an owner could do.
    match &office.store {
        Store::Sqlite(pool) => {
            sqlx::query("DROP TRIGGER events_no_update")
                .execute(pool)
                .await
                .unwrap();
            sqlx::query("UPDATE events SET actor = 'nobody' WHERE seq = 3")
                .execute(pool)
                .await
                .unwrap();
        }
        Store::Postgres(pool) => {
            sqlx::query("DROP TRIGGER events_stay ON events")
                .execute(pool)
                .await
                .unwrap();
            sqlx::query("UPDATE events SET actor = 'nobody' WHERE seq = 3")
                .execute(pool)
                .await
                .unwrap();
        }
    }
    let error = office.store.verify_ledger().await.unwrap_err();
    assert!(matches!(error, Error::BrokenLedger { seq: 3 }));
    assert_eq!(error.code(), "LEDGER_BROKEN");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn the_end_of_the_ledger_cannot_be_cut_off_unseen(#[case] engine: Engine) {
    let office = Office::open(engine).await;
    office.approved(&li_na(), 1).await;
    match &office.store {
        Store::Sqlite(pool) => {
            sqlx::query("DROP TRIGGER events_no_delete")
                .execute(pool)
                .await
                .unwrap();
            sqlx::query("DELETE FROM events WHERE seq = 6")
                .execute(pool)
                .await
                .unwrap();
        }
        Store::Postgres(pool) => {
            sqlx::query("DROP TRIGGER events_stay ON events")
                .execute(pool)
                .await
                .unwrap();
            sqlx::query("DELETE FROM events WHERE seq = 6")
                .execute(pool)
                .await
                .unwrap();
        }
    }
    assert!(matches!(
        office.store.verify_ledger().await,
        Err(Error::BrokenLedger { seq: 6 })
    ));
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_migrated_store_is_ready_and_migrates_again_without_change(#[case] engine: Engine) {
    let office = Office::open(engine).await;
    office.store.ready().await.unwrap();
    office.store.migrate().await.unwrap();
    office.store.ready().await.unwrap();
    office.store.close().await;
    assert!(matches!(
        office.store.ready().await,
        Err(Error::Unavailable { .. })
    ));
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn the_ledger_holds_no_fact_about_the_person(#[case] engine: Engine) {
    let office = Office::open(engine).await;
    office.handed_over(&li_na(), 1).await;
    let a = li_na();
    let all = format!("{:?}", office.store.ledger_after(0, 100).await.unwrap());
    for fact in [
        a.citizen_number.as_str(),
        a.name.as_str(),
        a.hukou_address.as_str(),
        a.residence.address.as_str(),
        "1985-11-12",
    ] {
        assert!(!all.contains(fact));
    }
}

#[tokio::test]
async fn a_new_sqlite_file_is_for_its_owner_only_and_says_that_it_is_not_migrated() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("issuer.db");
    let store = Store::open(&format!("sqlite:{}", path.display())).await.unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(matches!(store.ready().await, Err(Error::NotMigrated)));
    assert!(matches!(
        store.permit(PermitId::new(at(), n(1))).await,
        Err(Error::NotMigrated)
    ));
}

#[tokio::test]
async fn a_url_of_another_engine_is_refused_and_a_missing_folder_is_told() {
    assert!(matches!(Store::open("mysql://x").await, Err(Error::Url)));
    assert!(matches!(
        Store::open("sqlite:/nonexistent/folder/x.db").await,
        Err(Error::Unavailable { .. })
    ));
    assert!(matches!(
        Store::open("postgres:///x?host=/nonexistent").await,
        Err(Error::Unavailable { .. })
    ));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("issuer.db");
    std::fs::write(
        &path,
        "not a database, and long enough to be looked at as one ".repeat(30),
    )
    .unwrap();
    let error = Store::open(&format!("sqlite:{}", path.display()))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
}
