//! Lists of work and holders at the counter, on both engines: what is counted is what is listed, wherever a case stands.

use permit_domain::PermitId;
use rstest::rstest;

use super::ledger::Ledger;
use super::people::{Engine, at, li_na, n, somebody, staff};
use crate::holder::{Brought, LookUp};
use crate::work::WorkList;

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn each_case_waits_in_the_list_of_whose_turn_it_is_and_is_counted_there(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    ledger.accepted(&somebody(1), 1).await;
    ledger.completed(&somebody(7), 7).await;
    ledger.reviewed(&somebody(2), 2).await;
    ledger.approved(&somebody(3), 3).await;
    ledger.allocated(&somebody(4), 4).await;
    ledger.verified(&somebody(5), 5).await;
    ledger.handed_over(&somebody(6), 6).await;
    let expected = [
        (WorkList::Complete, 1),
        (WorkList::Review, 1),
        (WorkList::SignOff, 1),
        (WorkList::Order, 1),
        (WorkList::Production, 1),
        (WorkList::HandOver, 1),
        (WorkList::SignChange, 0),
        (WorkList::WriteChange, 0),
    ];
    assert_eq!(office.waiting().await.unwrap(), expected);
    for (list, count) in expected {
        let cases = office.work(list).await.unwrap();
        assert_eq!(u64::try_from(cases.len()).unwrap(), count, "{list:?}");
        for case in cases {
            // Every case that was accepted has a day by which it is to be issued.
            assert!(case.issue_by.is_some(), "{list:?}");
            assert_eq!(
                case.order.is_some(),
                matches!(list, WorkList::Production | WorkList::HandOver)
            );
        }
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn who_looks_a_holder_up_stands_in_the_ledger_found_or_not(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let order = ledger.handed_over(&li_na(), 1).await;
    let number = order.state().card().unwrap().number.clone();
    let by = staff("ma");
    for brought in [
        Brought::Citizen(li_na().citizen_number),
        Brought::Card(number),
        Brought::Permit(order.permit()),
    ] {
        let found = office.look_up(&brought, LookUp::Change, &by).await.unwrap();
        assert_eq!(found, order.permit());
    }
    let nobodys = Brought::Permit(PermitId::new(at(), n(9)));
    let error = office.look_up(&nobodys, LookUp::Card, &by).await.unwrap_err();
    assert_eq!(error.code(), "NOT_FOUND");
    let mut reads = ledger.store.read().await.unwrap();
    assert_eq!(
        reads
            .ledger_of(&order.permit().to_string())
            .await
            .unwrap()
            .iter()
            .filter(|entry| entry.action == "holder LOOKED_UP")
            .count(),
        3
    );
    let missed = reads.ledger_of("ma").await.unwrap();
    assert_eq!(missed.len(), 1);
    assert!(
        missed[0].detail.contains("\"found\":false"),
        "{}",
        missed[0].detail
    );
    let holding = office.holding(order.permit()).await.unwrap();
    assert_eq!((holding.cards.len(), holding.changes.len()), (1, 0));
}
