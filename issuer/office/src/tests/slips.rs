//! What the holder of a slip learns and may say, on both engines; and which numbers anybody may have.

use permit_domain::{CardStage, EndOfCard};
use rstest::rstest;

use super::chief::at_the;
use super::ledger::Ledger;
use super::people::{Engine, li_na, somebody};
use crate::service::ServiceKind;
use crate::slip::Stage;

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_slip_says_where_its_case_stands_and_a_wrong_one_nothing(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let accepted = ledger.accepted(&somebody(1), 1).await;
    let (other, _) = ledger.approved(&somebody(2), 2).await;
    let slip = office.slip(accepted.id()).await.unwrap();
    assert_eq!(
        slip,
        office.slip(accepted.id()).await.unwrap(),
        "printed again it is the same"
    );
    let status = office
        .status_of_slip(
            &slip.receipt.to_lowercase().replace(' ', ""),
            &slip.code.to_lowercase(),
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!(status.stage, Stage::Accepted);
    assert!(status.issue_by > status.accepted_on);
    assert_eq!(status.to_evaluate, None, "nothing was handed over");

    let others = office.slip(other.id()).await.unwrap();
    assert_ne!(slip.code, others.code);
    for (receipt, code) in [
        (slip.receipt.as_str(), others.code.as_str()),
        (others.receipt.as_str(), slip.code.as_str()),
        (slip.receipt.as_str(), ""),
        ("0000 0000 0000", slip.code.as_str()),
        ("%", slip.code.as_str()),
    ] {
        assert_eq!(
            office.status_of_slip(receipt, code).await.unwrap(),
            None,
            "{receipt} {code}"
        );
    }
    let status = office
        .status_of_slip(&others.receipt, &others.code)
        .await
        .unwrap();
    assert_eq!(status.unwrap().stage, Stage::InProduction);
    let order = ledger.verified(&somebody(3), 3).await;
    let case = office.permit(order.permit()).await.unwrap().grant().application;
    let slip = office.slip(case).await.unwrap();
    let status = office.status_of_slip(&slip.receipt, &slip.code).await.unwrap();
    assert_eq!(status.unwrap().stage, Stage::ToPickUp);
    // Two offices have other codes for the same number. (The test's PostgreSQL copies one founded database.)
    if matches!(engine, Engine::Sqlite) {
        let elsewhere = Ledger::open(engine).await;
        let foreign = elsewhere.service().slip(case).await.unwrap();
        assert_eq!(foreign.receipt, slip.receipt);
        assert_ne!(foreign.code, slip.code);
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_service_is_evaluated_once_and_a_month_is_told_from_ten_up_when_it_is_over(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let mut slips = Vec::new();
    for number in 1..=10 {
        let order = ledger.handed_over(&somebody(number), number).await;
        let case = office.permit(order.permit()).await.unwrap().grant().application;
        slips.push(office.slip(case).await.unwrap());
    }
    let later = at_the(&office, "2027-01-02T02:00:00Z");
    for (index, slip) in slips.iter().enumerate() {
        let status = office
            .status_of_slip(&slip.receipt, &slip.code)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(status.stage, Stage::HandedOver);
        assert_eq!(status.to_evaluate, Some(ServiceKind::FirstIssue));
        // Nine are not told yet, when their month is over.
        if index == 9 {
            assert_eq!(later.evaluations().await.unwrap()[0].told, None);
        }
        let score = if index == 0 { 1 } else { 5 };
        office.evaluate(&slip.receipt, &slip.code, score).await.unwrap();
        let twice = office.evaluate(&slip.receipt, &slip.code, 5).await.unwrap_err();
        assert_eq!(twice.code(), "EVALUATED");
        let status = office
            .status_of_slip(&slip.receipt, &slip.code)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(status.to_evaluate, None);
    }
    let first = &slips[0];
    for (receipt, code, score) in [
        (first.receipt.as_str(), "22222222", 5),
        (first.receipt.as_str(), first.code.as_str(), 0),
        (first.receipt.as_str(), first.code.as_str(), 6),
    ] {
        assert_eq!(
            office.evaluate(receipt, code, score).await.unwrap_err().code(),
            "NOT_FOUND"
        );
    }
    assert_eq!(office.evaluations().await.unwrap(), [], "the month is not over");
    let told = later.evaluations().await.unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].month.as_str(), told[0].division.as_str()),
        ("2026-11", "440305")
    );
    assert_eq!(told[0].told, Some((10, 46)), "ten, 4.6 on the mean");
    // Nothing of a case, a clerk or an hour: the ledger has no line of it.
    let mut reads = ledger.store.read().await.unwrap();
    let lines = reads.ledger_after(0, 1_000).await.unwrap();
    assert!(lines.iter().all(|line| !line.action.contains("evaluat")));
    reads.verify_ledger().await.unwrap();
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn the_numbers_that_count_no_more_are_those_of_lost_and_given_up_cards(#[case] engine: Engine) {
    use super::ledger::Book as _;
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let good = ledger.handed_over(&li_na(), 1).await;
    let lost = ledger.handed_over(&somebody(2), 2).await;
    assert_eq!(office.ended_numbers().await.unwrap(), []);
    let number = lost.state().card().unwrap().number.clone();
    let card = office.card(&number).await.unwrap();
    let standing = card.standing().end(EndOfCard::Lost).unwrap();
    ledger
        .store
        .save_standing(card, standing, ("change clerk", "he"), super::people::at())
        .await
        .unwrap();
    assert_eq!(
        office.card(&number).await.unwrap().state,
        CardStage::Ended(EndOfCard::Lost)
    );
    assert_eq!(
        office.ended_numbers().await.unwrap(),
        std::slice::from_ref(&number)
    );
    let given_up = ledger.allocated(&somebody(3), 3).await;
    let second = given_up.state().card().unwrap().number.clone();
    ledger
        .store
        .advance_order(given_up.give_up().unwrap(), "{}", super::people::at())
        .await
        .unwrap();
    let mut expected = [number, second];
    expected.sort();
    assert_eq!(office.ended_numbers().await.unwrap(), expected);
    assert!(good.state().card().is_some());
}
