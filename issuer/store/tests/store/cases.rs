//! Cases from intake to hand-over, the stock and the ledger.

use issuer_store::{Entry, Error, Store};
use jiff::{Timestamp, ToSpan as _};
use permit_domain::{
    ApplicationId, ApplicationState, CardStage, EndOfCard, EndReason, OrderState, PermitId, PermitState,
    PersonId,
};
use permit_rules::RuleSets;
use rstest::rstest;

use crate::ledger::{Book as _, Ledger};
use crate::people::{Engine, TODAY, at, li_na, n, new_order, serial, staff};
use crate::reads::Reads as _;

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_whole_case_goes_from_intake_to_hand_over(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let order = ledger.handed_over(&li_na(), 1).await;
    let store = &ledger.store;

    assert!(matches!(order.state(), OrderState::HandedOver { .. }));
    assert_eq!(store.order(order.id()).await.unwrap().as_ref(), Some(&order));
    let permit = store.permit(order.permit()).await.unwrap().unwrap();
    assert_eq!(permit.state(), &PermitState::Active { since: TODAY });
    let card = order.state().card().unwrap();
    let stored = store.card(&card.number).await.unwrap().unwrap();
    assert_eq!(
        (stored.state, stored.serial, stored.permit),
        (CardStage::HandedOver, card.serial, permit.id())
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
    assert_eq!(store.verify_ledger().await.unwrap().entries, 20);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn an_application_reads_back_with_its_applicant_and_its_decision(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let applicant = li_na();
    let (application, decision) = ledger.reviewed(&applicant, 1).await;

    let stored = ledger.store.application(application.id()).await.unwrap().unwrap();
    assert_eq!(stored.application, application);
    assert_eq!(stored.applicant, applicant);
    assert_eq!(stored.decision, Some(decision));
    assert_eq!(stored.submitted_on, TODAY);
    assert_eq!(stored.created_at, at());
    assert_eq!(
        ledger.store.person(&applicant.citizen_number).await.unwrap(),
        Some(application.person())
    );
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn what_is_not_there_is_none(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let store = &ledger.store;
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
async fn a_refusal_is_stored_with_its_reasons(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let text = include_str!("../../../permit/samples/applicant-refused.json");
    let applicant = permit_domain::ApplicantForm::from_json(text)
        .unwrap()
        .into_applicant(TODAY)
        .unwrap();
    let (application, decision) = ledger.reviewed(&applicant, 1).await;

    assert!(matches!(application.state(), ApplicationState::Refused { .. }));
    assert!(decision.unmet().count() > 0);
    let stored = ledger.store.application(application.id()).await.unwrap().unwrap();
    assert_eq!(stored.decision, Some(decision));
    // A refused person may apply again.
    ledger.submit(&applicant, 2).await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_case_changed_by_somebody_else_is_stale(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let mine = ledger.submit(&li_na(), 1).await;
    let theirs = mine.clone();
    ledger
        .store
        .save_application(theirs.need_more().unwrap(), at())
        .await
        .unwrap();

    let error = ledger
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
    let (ledger, other) = (Ledger::open(engine).await, Ledger::open(engine).await);
    let application = other.submit(&li_na(), 1).await.accept(TODAY).unwrap();
    let error = ledger
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
    let ledger = Ledger::open(engine).await;
    let application = ledger.submit(&li_na(), 1).await;
    let application = ledger
        .store
        .save_application(application.accept(TODAY).unwrap(), at())
        .await
        .unwrap();
    let decision = ledger.decision(&li_na());
    let reviewed = application.review("wang".parse().unwrap(), &decision).unwrap();
    let error = ledger
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
    let ledger = Ledger::open(engine).await;
    let (reviewed, decision) = ledger.reviewed(&li_na(), 1).await;
    let error = ledger
        .store
        .save_application(reviewed.clone(), at())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "WRONG_STATE");

    let id = PermitId::new(at(), n(1));
    let other = PermitId::new(at(), n(2));
    let permit = permit_domain::Permit::granted(other, reviewed.person(), reviewed.id(), &decision).unwrap();
    let approved = reviewed.approve("zhao".parse().unwrap(), id).unwrap();
    let error = ledger
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
async fn a_permit_is_suspended_restored_and_ended(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let order = ledger.handed_over(&li_na(), 1).await;
    let store = &ledger.store;
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
    ledger.submit(&li_na(), 2).await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn an_order_found_encoding_after_a_restart_is_in_doubt_and_resumes_on_the_same_card(
    #[case] engine: Engine,
) {
    let ledger = Ledger::open(engine).await;
    let order = ledger.allocated(&li_na(), 1).await;
    let card = order.state().card().unwrap().clone();
    ledger
        .store
        .advance_order(order.begin_encoding().unwrap(), "{}", at())
        .await
        .unwrap();
    ledger.store.close().await;

    let store = ledger.again().await;
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
    let ledger = Ledger::open(engine).await;
    let order = ledger.allocated(&li_na(), 1).await;
    let other = order.clone();
    let order = order.begin_encoding().unwrap();
    ledger.store.advance_order(order, "{}", at()).await.unwrap();
    let error = ledger
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
async fn a_handed_over_card_is_lost_and_a_lost_card_is_not_destroyed(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let order = ledger.handed_over(&li_na(), 1).await;
    let number = &order.state().card().unwrap().number;
    let store = &ledger.store;
    let card = store.card(number).await.unwrap().unwrap();
    let stale = card.clone();
    let by = staff("he");
    let returned = card.standing().end(EndOfCard::Returned).unwrap();
    let lost = card.standing().end(EndOfCard::Lost).unwrap();
    let card = store.save_standing(card, lost, &by, at()).await.unwrap();
    assert_eq!(store.card(number).await.unwrap().as_ref(), Some(&card));
    let error = store.save_standing(stale, returned, &by, at()).await.unwrap_err();
    assert!(matches!(error, Error::Stale { what: "card" }));
    assert_eq!(card.standing().destroyed().unwrap_err().code(), "WRONG_STATE");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn the_engine_itself_keeps_what_was_written(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    ledger.handed_over(&li_na(), 1).await;
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
        let refused = match &ledger.store {
            Store::Sqlite(pool) => sqlx::query(statement).execute(pool).await.is_err(),
            Store::Postgres(pool) => sqlx::query(statement).execute(pool).await.is_err(),
        };
        assert!(refused, "{statement}");
    }
    ledger.store.verify_ledger().await.unwrap();
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_ledger_that_was_altered_behind_our_back_is_found(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    ledger.approved(&li_na(), 1).await;
    let entries = ledger.store.ledger_after(0, 100).await.unwrap();
    assert_eq!(entries.len(), 9);
    assert_eq!(entries[1].action, "application APPLIED");
    assert_eq!(ledger.store.ledger_after(4, 100).await.unwrap(), entries[4..]);

    // What somebody with the rights of an owner could do.
    match &ledger.store {
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
    let error = ledger.store.verify_ledger().await.unwrap_err();
    assert!(matches!(error, Error::BrokenLedger { seq: 3 }));
    assert_eq!(error.code(), "LEDGER_BROKEN");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn the_end_of_the_ledger_cannot_be_cut_off_unseen(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    ledger.approved(&li_na(), 1).await;
    match &ledger.store {
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
        ledger.store.verify_ledger().await,
        Err(Error::BrokenLedger { seq: 6 })
    ));
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_migrated_store_is_ready_and_migrates_again_without_change(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    ledger.store.ready().await.unwrap();
    ledger.store.migrate().await.unwrap();
    ledger.store.ready().await.unwrap();
    ledger.store.close().await;
    assert!(matches!(
        ledger.store.ready().await,
        Err(Error::Unavailable { .. })
    ));
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn the_ledger_holds_no_fact_about_the_person(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    ledger.handed_over(&li_na(), 1).await;
    let a = li_na();
    let all = format!("{:?}", ledger.store.ledger_after(0, 100).await.unwrap());
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

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn the_ledgers_time_does_not_go_back(#[case] engine: Engine) {
    let office = Ledger::open(engine).await;
    let write = async |at: Timestamp, subject: &str| {
        let mut tx = office.store.begin(at).await?;
        let entry = Entry {
            role: "staff",
            actor: "liu",
            action: "signed in",
            subject,
            detail: "{}",
        };
        let appended = tx.append(entry).await?;
        tx.commit(appended).await
    };
    write(at(), "first").await.unwrap();
    // Two machines' clocks differ by a moment: it happens with the entry before it.
    write(at() - 59.seconds(), "skewed").await.unwrap();
    let mut ledger = office.store.read().await.unwrap();
    assert_eq!(ledger.ledger_of("skewed").await.unwrap()[0].at, at());
    drop(ledger);
    for back in [61.seconds(), 48.hours(), 8760.hours()] {
        let error = write(at() - back, "back").await.unwrap_err();
        assert!(
            matches!(error, Error::ClockBehind { last } if last == at()),
            "{error:?}"
        );
        assert_eq!(error.code(), "CLOCK_BEHIND");
        let probed = office.store.takes_an_entry(at() - back).await.unwrap_err();
        assert!(matches!(probed, Error::ClockBehind { last } if last == at()));
    }
    let before = office.store.verify_ledger().await.unwrap();
    office.store.takes_an_entry(at() - 59.seconds()).await.unwrap();
    assert_eq!(
        office.store.verify_ledger().await.unwrap(),
        before,
        "a probe leaves nothing"
    );
    // A year later everything goes on, and last year does not come back.
    write(at() + 8760.hours(), "later").await.unwrap();
    assert!(write(at(), "back").await.is_err());
    assert_eq!(office.store.verify_ledger().await.unwrap().entries, 3);
}

#[tokio::test]
async fn a_new_ledger_is_for_its_owner_only_and_is_founded_once_and_never_by_opening() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("issuer.db");
    let url = format!("sqlite:{}", path.display());
    assert!(matches!(Store::open(&url).await, Err(Error::NoLedger)));
    assert!(!path.exists(), "looking founds nothing");
    // An empty file is what a founding left that was cut off: it says so, and is founded.
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let empty = Store::open(&url).await.unwrap();
    assert!(matches!(empty.ready().await, Err(Error::NotMigrated)));
    assert!(matches!(empty.migrate().await, Err(Error::NoLedger)));
    assert!(matches!(
        empty.permit(PermitId::new(at(), n(1))).await,
        Err(Error::NotMigrated)
    ));
    empty.close().await;
    std::fs::remove_file(&path).unwrap();
    let store = Store::found(&url, &[7; 16]).await.unwrap();
    store.ready().await.unwrap();
    assert!(matches!(Store::found(&url, &[8; 16]).await, Err(Error::Founded)));
    assert_eq!(store.founded_under().await.unwrap(), Some([7; 16]));
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[tokio::test]
async fn a_program_that_holds_the_file_is_told_from_a_database_that_is_away() {
    use sqlx::Connection as _;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("issuer.db");
    let url = format!("sqlite:{}", file.display());
    let store = Store::found(&url, &[7; 16]).await.unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    let error = store.ready().await.unwrap_err();
    assert!(matches!(error, Error::Held), "{error}");
    assert_eq!(error.code(), "STORE_UNAVAILABLE");
    assert!(error.action().contains("fuser"));
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    store.ready().await.unwrap();
}

#[tokio::test]
async fn a_url_of_another_engine_is_refused_and_a_missing_folder_is_told() {
    assert!(matches!(Store::open("mysql://x").await, Err(Error::Url)));
    assert!(matches!(
        Store::open("sqlite:/nonexistent/folder/x.db").await,
        Err(Error::NoLedger)
    ));
    assert!(matches!(
        Store::found("sqlite:/nonexistent/folder/x.db", &[7; 16]).await,
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

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn the_engine_keeps_one_open_application_one_permit_and_one_running_order(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let order = ledger.allocated(&li_na(), 1).await;
    ledger.store.submit(&li_na(), 2).await.unwrap();
    let before = ledger.store.verify_ledger().await.unwrap();
    let second = ledger.store.submit(&li_na(), 3).await.unwrap_err();
    assert!(
        matches!(second, Error::Exists { what: "application" }),
        "{second:?}"
    );

    let mut tx = ledger.store.begin(at()).await.unwrap();
    let second = tx.insert_order(&new_order(order.permit(), 2)).await.unwrap_err();
    assert!(
        matches!(
            second,
            Error::Exists {
                what: "production order"
            }
        ),
        "{second:?}"
    );
    drop(tx);

    let again = ledger
        .store
        .receive_blanks(&[serial(5), serial(1)], "lot-2", &staff("gao"), at())
        .await
        .unwrap_err();
    assert!(matches!(again, Error::Exists { what: "blank" }), "{again:?}");
    assert_eq!(
        ledger.store.stock().await.unwrap().in_stock,
        0,
        "then none is taken"
    );
    assert_eq!(ledger.store.verify_ledger().await.unwrap(), before);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_blank_that_is_not_in_stock_and_a_published_text_are_not_taken_twice(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let order = ledger.allocated(&li_na(), 1).await;
    let mut tx = ledger.store.begin(at()).await.unwrap();
    assert!(matches!(
        tx.take_blank(serial(1)).await,
        Err(Error::Stale { what: "blank" })
    ));
    assert!(matches!(
        tx.take_blank(serial(9)).await,
        Err(Error::Missing { what: "blank" })
    ));
    let card = order.state().card().unwrap();
    assert!(matches!(
        tx.insert_card(card, &order).await,
        Err(Error::Exists { what: "card" })
    ));
    drop(tx);
    let set = ledger.rules.get(RuleSets::DEFAULT).unwrap();
    let mut tx = ledger.store.begin(at()).await.unwrap();
    let twice = tx.publish_rule_set(set.id(), set.digest(), set.text()).await;
    assert!(matches!(twice, Err(Error::Exists { what: "rule set" })));
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn whoever_lets_go_of_a_transaction_has_changed_nothing_and_the_next_one_writes(
    #[case] engine: Engine,
) {
    let ledger = Ledger::open(engine).await;
    let application = ledger.submit(&li_na(), 1).await;
    let before = ledger.store.verify_ledger().await.unwrap();
    for _ in 0..20 {
        let mut tx = ledger.store.begin(at()).await.unwrap();
        let (changed, _appended) = tx
            .update_application(application.clone().accept(TODAY).unwrap())
            .await
            .unwrap();
        let seen = tx.application(changed.id()).await.unwrap().unwrap();
        assert_eq!(seen.application, changed, "a transaction reads what it wrote");
        let apart = ledger.store.application(changed.id()).await.unwrap().unwrap();
        assert_eq!(apart.application, application, "nobody else does");
    }
    assert_eq!(ledger.store.verify_ledger().await.unwrap(), before);
    let accepted = application.accept(TODAY).unwrap();
    ledger.store.save_application(accepted, at()).await.unwrap();
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn an_entry_without_the_ledgers_head_is_refused_and_leaves_nothing(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let region = crate::people::guangdong();
    let mut tx = ledger.store.begin(at()).await.unwrap();
    tx.set_last_card_number(region, 7).await.unwrap();
    let entry = Entry {
        role: "tester",
        actor: "liu",
        action: "counted",
        subject: "44",
        detail: "{}",
    };
    // Let go of the proof that there is one.
    let _ = tx.append(entry).await.unwrap();
    let error = tx.commit_without_entry().await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused { code } if code == "ENTRY_WITHOUT_HEAD"),
        "{error:?}"
    );
    let mut snapshot = ledger.store.read().await.unwrap();
    assert_eq!(snapshot.last_card_number(region).await.unwrap(), 0);
    assert_eq!(snapshot.verify_ledger().await.unwrap().entries, 0);
    drop(snapshot);
    // Without an entry it writes.
    let mut tx = ledger.store.begin(at()).await.unwrap();
    tx.set_last_card_number(region, 7).await.unwrap();
    tx.commit_without_entry().await.unwrap();
    let mut snapshot = ledger.store.read().await.unwrap();
    assert_eq!(snapshot.last_card_number(region).await.unwrap(), 7);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_come_one_after_the_other_and_what_one_has_read_stays_so(#[case] engine: Engine) {
    const EACH: i64 = 12;
    let ledger = Ledger::open(engine).await;
    let count = |store: Store| async move {
        for _ in 0..EACH {
            let mut tx = store.begin(at()).await.unwrap();
            let last = tx.last_card_number(crate::people::guangdong()).await.unwrap();
            tokio::task::yield_now().await;
            tx.set_last_card_number(crate::people::guangdong(), last + 1)
                .await
                .unwrap();
            let entry = issuer_store::Entry {
                role: "tester",
                actor: "liu",
                action: "counted",
                subject: "44",
                detail: "{}",
            };
            let appended = tx.append(entry).await.unwrap();
            tx.commit(appended).await.unwrap();
        }
    };
    let (a, b, c) = (ledger.again().await, ledger.again().await, ledger.again().await);
    let (x, y, z) = tokio::join!(
        tokio::spawn(count(a)),
        tokio::spawn(count(b)),
        tokio::spawn(count(c))
    );
    x.unwrap();
    y.unwrap();
    z.unwrap();
    let mut ledger = ledger.store.read().await.unwrap();
    assert_eq!(
        ledger.last_card_number(crate::people::guangdong()).await.unwrap(),
        36
    );
    assert_eq!(ledger.verify_ledger().await.unwrap().entries, 3 * EACH);
}
