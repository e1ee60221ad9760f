//! What the ledger decides about a photo before the photo store is asked; here nobody answers there. What the store decides is
//! tested with it, in the program's own tests.

use permit_domain::{ApplicationId, StaffId};
use rstest::rstest;

use super::ledger::{Book as _, Ledger};
use super::people::{Engine, at, li_na, n, new_order, staff};
use crate::error::OfficeError;

fn code<T: std::fmt::Debug>(result: Result<T, OfficeError>) -> &'static str {
    let error = result.unwrap_err();
    assert!(!error.action().is_empty());
    error.code()
}

fn clerk() -> StaffId {
    staff("liu")
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_photo_is_taken_for_an_application_that_is_not_over(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let submit = async |id| code(office.submit_photo(id, vec![1], &clerk()).await);
    assert_eq!(submit(ApplicationId::new(at(), n(9))).await, "NOT_FOUND");

    let application = ledger.submit(&li_na(), 1).await;
    let id = application.id();
    assert_eq!(submit(id).await, "STORE_UNREACHABLE", "asked");
    ledger.store.withdraw(application, at()).await.unwrap();
    assert_eq!(submit(id).await, "WRONG_STATE");
    // What was taken before may still be taken back, and its case closed.
    assert_eq!(
        code(office.end_photo_case(id, &clerk()).await),
        "STORE_UNREACHABLE"
    );
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_case_is_not_closed_while_its_card_is_being_made(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let close = async |id| code(office.end_photo_case(id, &clerk()).await);
    let (application, permit) = ledger.approved(&li_na(), 1).await;
    let id = application.id();
    assert_eq!(close(id).await, "STORE_UNREACHABLE", "asked");
    let order = ledger
        .store
        .order_production(&new_order(permit.id(), 1), at())
        .await
        .unwrap();
    assert_eq!(close(id).await, "WRONG_STATE");
    ledger
        .store
        .advance_order(order.give_up().unwrap(), "{}", at())
        .await
        .unwrap();
    assert_eq!(close(id).await, "STORE_UNREACHABLE", "asked again");
}
