//! The stock of blanks, what is destroyed by two people, and cards that nobody fetches, on both engines.

use jiff::ToSpan as _;
use permit_domain::{Agent, CardStage, HandOverClerk, Producer, Refusal, ScrapReason, ScrapState, StaffId};
use rstest::rstest;

use super::ledger::{Book as _, Ledger};
use super::people::{Engine, at, li_na, new_order, serial, somebody, staff};
use super::reads::Reads as _;
use crate::error::OfficeError;
use crate::work::WorkList;

fn sun() -> Producer {
    "sun".parse().unwrap()
}

fn witness() -> StaffId {
    staff("chen")
}

/// The vault is away in these tests: the ledger has it, and says that the deny lists wait.
fn but_for_the_vault<T: std::fmt::Debug>(done: Result<T, OfficeError>) {
    assert_eq!(done.unwrap_err().code(), "DENIAL_WANTED");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_blank_is_set_aside_by_one_and_destroyed_before_another_and_no_card_is_made_of_it(
    #[case] engine: Engine,
) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let blanks = [serial(1), serial(2), serial(3)];
    ledger
        .store
        .receive_blanks(&blanks, "lot-1", &staff("gao"), at())
        .await
        .unwrap();
    let set = office
        .set_aside(serial(1), ScrapReason::Chip, &sun())
        .await
        .unwrap();
    // A double press is one.
    let again = office
        .set_aside(serial(1), ScrapReason::Chip, &sun())
        .await
        .unwrap();
    assert_eq!(set, again);
    let stock = office.stock().await.unwrap();
    assert_eq!((stock.in_stock, stock.set_aside, stock.scrapped), (2, 1, 0));
    let (_, permit) = ledger.approved(&li_na(), 1).await;
    let order = ledger
        .store
        .order_production(&new_order(permit.id(), 1), at())
        .await
        .unwrap();
    let refused = ledger
        .store
        .allocate_card(order.clone(), serial(1), at())
        .await
        .unwrap_err();
    assert!(matches!(
        refused,
        OfficeError::Refused(Refusal::BlankNotInStock {
            state: "SCRAPPED",
            ..
        })
    ));
    // One person is not two, and what is set aside by mistake goes back.
    let alone = office
        .destroyed_before(serial(1), &staff("sun"))
        .await
        .unwrap_err();
    assert_eq!(alone.code(), "SAME_PERSON_TWICE");
    office.put_back(serial(1), &sun()).await.unwrap();
    assert_eq!(office.stock().await.unwrap().in_stock, 3);
    let nothing = office.destroyed_before(serial(1), &witness()).await.unwrap_err();
    assert_eq!(nothing.code(), "WRONG_STATE");
    office
        .set_aside(serial(1), ScrapReason::Missing, &sun())
        .await
        .unwrap();
    let done = office.destroyed_before(serial(1), &witness()).await.unwrap();
    assert_eq!(*done.state(), ScrapState::Done { witness: witness() });
    assert_eq!(
        office.destroyed_before(serial(1), &witness()).await.unwrap(),
        done
    );
    let stock = office.stock().await.unwrap();
    assert_eq!((stock.in_stock, stock.set_aside, stock.scrapped), (2, 0, 1));
    assert_eq!(office.open_day().await.unwrap().scrapped, 1);
    assert!(
        ledger
            .store
            .allocate_card(order.clone(), serial(1), at())
            .await
            .is_err()
    );
    ledger.store.allocate_card(order, serial(2), at()).await.unwrap();
    let lines = ledger.store.ledger_of(&serial(1).to_string()).await.unwrap();
    let actions: Vec<&str> = lines.iter().map(|line| line.action.as_str()).collect();
    assert_eq!(
        actions,
        ["scrap OPEN", "scrap TAKEN_BACK", "scrap OPEN", "scrap DONE"]
    );
    let unknown = office
        .set_aside(serial(9), ScrapReason::Chip, &sun())
        .await
        .unwrap_err();
    assert!(matches!(
        unknown,
        OfficeError::Refused(Refusal::BlankNotInStock { state: "UNKNOWN", .. })
    ));
    ledger.store.verify_ledger().await.unwrap();
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_rejected_card_frees_its_permit_at_once_and_is_destroyed_by_two(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let order = ledger.verified(&li_na(), 1).await;
    // Nobody destroys what is being made, or what its holder has.
    let early = office
        .set_aside(serial(1), ScrapReason::Print, &sun())
        .await
        .unwrap_err();
    assert_eq!(early.code(), "WRONG_STATE");
    let used = ledger.handed_over(&somebody(2), 2).await;
    let held = office
        .set_aside(serial(2), ScrapReason::Damaged, &sun())
        .await
        .unwrap_err();
    assert_eq!(held.code(), "WRONG_STATE");
    assert_eq!(
        office
            .reject(used.id(), ScrapReason::Print, &sun())
            .await
            .unwrap_err()
            .code(),
        "WRONG_STATE"
    );

    let rejected = office
        .reject(order.id(), ScrapReason::Mismatch, &sun())
        .await
        .unwrap();
    assert_eq!(rejected.state().name(), "GIVEN_UP");
    assert_eq!(
        office
            .reject(order.id(), ScrapReason::Mismatch, &sun())
            .await
            .unwrap(),
        rejected
    );
    assert_eq!(
        office.permit(order.permit()).await.unwrap().state().name(),
        "APPROVED"
    );
    let waiting = office.waiting().await.unwrap();
    assert!(waiting.contains(&(WorkList::Destroy, 1)), "{waiting:?}");
    let set = office.all_set_aside().await.unwrap();
    assert_eq!(set[0].scrap.reason(), ScrapReason::Mismatch);
    assert_eq!(
        set[0].card.as_ref().unwrap().state.name(),
        "DAMAGED",
        "kept from everybody until it is destroyed"
    );
    but_for_the_vault(office.destroyed_before(serial(1), &witness()).await);
    let number = &set[0].card.as_ref().unwrap().number;
    assert_eq!(office.card(number).await.unwrap().state, CardStage::Destroyed);
    assert!(office.all_set_aside().await.unwrap().is_empty());
    assert_eq!(
        office.put_back(serial(1), &sun()).await.unwrap_err().code(),
        "WRONG_STATE"
    );
    ledger.store.verify_ledger().await.unwrap();
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_lot_is_counted_and_the_difference_is_told(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let blanks = [serial(1), serial(2), serial(3)];
    ledger
        .store
        .receive_blanks(&blanks, "lot-1", &staff("gao"), at())
        .await
        .unwrap();
    office
        .set_aside(serial(3), ScrapReason::Chip, &sun())
        .await
        .unwrap();
    let counted = office.count_lot("lot-1", 1, &staff("sun")).await.unwrap();
    assert_eq!((counted.expected, counted.difference()), (2, -1));
    let nowhere = office.count_lot("lot-9", 1, &staff("sun")).await.unwrap_err();
    assert_eq!(nowhere.code(), "NOT_FOUND");
    let lots = office.lots().await.unwrap();
    let (lot, last) = &lots[0];
    assert_eq!((lot.lot.as_str(), lot.stock.in_stock), ("lot-1", 2));
    assert_eq!(last.as_ref().unwrap(), &counted);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_card_that_nobody_fetches_has_a_notice_at_each_term_and_goes_back_after_the_last(
    #[case] engine: Engine,
) {
    let ledger = Ledger::open(engine).await;
    let order = ledger.verified(&li_na(), 1).await;
    let chen: HandOverClerk = "chen".parse().unwrap();
    let on = |days: i64| ledger.service_at(at().checked_add((24 * days).hours()).unwrap());
    assert!(on(29).uncollected().await.unwrap().is_empty());
    assert_eq!(
        on(29).notice(order.id(), &chen).await.unwrap_err().code(),
        "NOT_FOUND"
    );
    let waiting = on(31).uncollected().await.unwrap();
    assert_eq!((waiting[0].days, waiting[0].terms()), (31, 1));
    assert!(waiting[0].is_due() && !waiting[0].may_be_taken_back());
    on(31).notice(order.id(), &chen).await.unwrap();
    assert!(!on(31).uncollected().await.unwrap()[0].is_due());
    assert!(on(60).uncollected().await.unwrap()[0].is_due());
    let early = on(89)
        .reject(order.id(), ScrapReason::NotCollected, &chen)
        .await
        .unwrap_err();
    assert_eq!(early.code(), "WAITS_FOR_HOLDER");
    let last = on(90);
    assert!(last.uncollected().await.unwrap()[0].may_be_taken_back());
    last.reject(order.id(), ScrapReason::NotCollected, &chen)
        .await
        .unwrap();
    assert!(last.uncollected().await.unwrap().is_empty());
    assert_eq!(
        last.all_set_aside().await.unwrap()[0].scrap.proposer(),
        &staff("chen")
    );
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn of_an_agent_a_name_and_a_kind_of_document_are_kept_and_the_ledger_names_nobody(
    #[case] engine: Engine,
) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let order = ledger.verified(&li_na(), 1).await;
    let agent = |name: &str| Agent {
        name: name.parse().unwrap(),
        document: "IDENTITY_CARD".parse().unwrap(),
    };
    let chen: HandOverClerk = "chen".parse().unwrap();
    office
        .keep_agent(order.id(), &agent("王小明"), &chen)
        .await
        .unwrap();
    // Another one came after all: who did not fetch it is forgotten.
    office
        .keep_agent(order.id(), &agent("李大同"), &chen)
        .await
        .unwrap();
    assert_eq!(office.agent_of(order.id()).await.unwrap(), Some(agent("李大同")));
    let lines = ledger.store.ledger_of(&order.id().to_string()).await.unwrap();
    let checked: Vec<&str> = lines
        .iter()
        .filter(|line| line.action == "agent CHECKED")
        .map(|line| line.detail.as_str())
        .collect();
    assert_eq!(checked, [r#"{"document":"IDENTITY_CARD"}"#; 2]);
    // Whoever made the card does not hand it over, to nobody.
    let maker: HandOverClerk = "sun".parse().unwrap();
    let error = office
        .keep_agent(order.id(), &agent("王小明"), &maker)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "SAME_PERSON_TWICE");
    let early = ledger.allocated(&somebody(2), 2).await;
    let error = office
        .keep_agent(early.id(), &agent("王小明"), &chen)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "WRONG_STATE");
}
