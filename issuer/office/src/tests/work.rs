//! Lists of work and holders at the counter, on both engines: what is counted is what is listed, wherever a case stands.

use issuer_store::{Entry, PhotoToConfirm};
use permit_domain::{EndOfCard, PermitId};
use rstest::rstest;

use super::ledger::{Book as _, Ledger};
use super::people::{Engine, at, li_na, n, somebody, staff};
use super::reads::Reads as _;
use crate::find_case::{Shown, Wanted};
use crate::holder::{Brought, LookUp};
use crate::loss::LossReport;
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
        (WorkList::ConfirmPhoto, 0),
        (WorkList::Review, 1),
        (WorkList::SignOff, 1),
        (WorkList::Order, 1),
        (WorkList::Production, 1),
        (WorkList::HandOver, 1),
        (WorkList::SignChange, 0),
        (WorkList::WriteChange, 0),
        (WorkList::InDoubt, 0),
        (WorkList::AllowCard, 0),
        (WorkList::Destroy, 0),
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
async fn a_card_in_doubt_and_one_to_allow_again_wait_where_their_people_look(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let order = ledger.allocated(&somebody(1), 1).await;
    let encoding = order.begin_encoding().unwrap();
    let encoding = ledger.store.advance_order(encoding, "{}", at()).await.unwrap();
    let handing = ledger.verified(&somebody(2), 2).await;
    let handing = handing.begin_hand_over("chen".parse().unwrap()).unwrap();
    ledger.store.advance_order(handing, "{}", at()).await.unwrap();
    let count = async |list| {
        let all = office.waiting().await.unwrap();
        all.into_iter().find(|(of, _)| *of == list).unwrap().1
    };
    assert_eq!(count(WorkList::InDoubt).await, 2);
    // Each stands in the list of its step too.
    assert_eq!(count(WorkList::Production).await, 1);
    assert_eq!(count(WorkList::HandOver).await, 1);
    let doubtful = office.work(WorkList::InDoubt).await.unwrap();
    assert_eq!(doubtful.len(), 2);
    assert!(doubtful.iter().all(crate::work::Waiting::in_doubt));
    assert_eq!(doubtful[0].order.as_ref().unwrap().id(), encoding.id());

    let used = ledger.handed_over(&somebody(3), 3).await;
    let number = used.state().card().unwrap().number.clone();
    let clerk = "ma".parse().unwrap();
    // The vault is away: the ledger has it, and says so.
    for how in [EndOfCard::Lost, EndOfCard::Returned] {
        let error = office.end_card(&number, how, &clerk).await.unwrap_err();
        assert_eq!(error.code(), "DENIAL_WANTED");
    }
    assert_eq!(count(WorkList::AllowCard).await, 0);
    office.propose_allowing(&number, &clerk).await.unwrap();
    assert_eq!(count(WorkList::AllowCard).await, 1);
    let waiting = office.work(WorkList::AllowCard).await.unwrap();
    assert_eq!(waiting[0].card.as_ref().unwrap().number, number);
    assert_eq!(waiting[0].applicant.citizen_number, somebody(3).citizen_number);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_loss_that_somebody_else_reports_says_so_in_the_ledger_and_names_nobody(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let order = ledger.handed_over(&li_na(), 1).await;
    let number = order.state().card().unwrap().number.clone();
    let report = LossReport::read("OTHER", "TELEPHONE").unwrap();
    assert_eq!(LossReport::read("OTHER", ""), None);
    let error = office
        .report_loss(&number, report, &"ma".parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "DENIAL_WANTED");
    let entries = ledger.store.ledger_of(number.as_str()).await.unwrap();
    let lost = entries.iter().find(|entry| entry.action == "card LOST").unwrap();
    assert_eq!(lost.detail, r#"{"reported_by":"OTHER","channel":"TELEPHONE"}"#);
    // Before the vault confirmed it nobody knows from when lists have it.
    let card = office.card(&number).await.unwrap();
    let exposure = office.exposure(&card).await.unwrap();
    assert_eq!((exposure.denied_at, exposure.until), (None, None));
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

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_case_is_found_by_slip_and_by_citizen_number_for_a_purpose_that_the_ledger_keeps(
    #[case] engine: Engine,
) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let id = ledger.accepted(&li_na(), 1).await.id();
    let slip = office.slip(id).await.unwrap();
    let by = staff("sun");
    for (shown, why) in [
        (Shown::Citizen(li_na().citizen_number), Wanted::Enquiry),
        (Shown::Receipt(slip.receipt.clone()), Wanted::Slip),
        (Shown::Receipt(slip.receipt.replace(' ', "-")), Wanted::Work),
    ] {
        assert_eq!(office.find_case(&shown, why, &by).await.unwrap(), id);
    }
    for nobodys in [
        Shown::Citizen(somebody(2).citizen_number),
        Shown::Receipt("0123 4567 89AB".to_owned()),
    ] {
        let error = office.find_case(&nobodys, Wanted::Work, &by).await.unwrap_err();
        assert_eq!(error.code(), "NOT_FOUND");
    }
    let looked = |entries: Vec<issuer_store::LedgerEntry>| {
        let of = entries
            .into_iter()
            .filter(|entry| entry.action == "case LOOKED_UP");
        of.map(|entry| entry.detail).collect::<Vec<_>>()
    };
    let found = looked(ledger.store.ledger_of(&id.to_string()).await.unwrap());
    assert_eq!(found[1], r#"{"by":"RECEIPT","purpose":"SLIP","found":true}"#);
    assert_eq!(found.len(), 3);
    assert_eq!(looked(ledger.store.ledger_of("sun").await.unwrap()).len(), 2);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_photo_that_waits_for_a_colleague_stands_in_a_list_until_its_case_is_over(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let application = ledger.accepted(&li_na(), 1).await;
    let wait = async |photo: &str| {
        let mut tx = ledger.store.begin(at()).await.unwrap();
        let waiting = PhotoToConfirm {
            application: application.id(),
            photo: photo.repeat(32),
            taken_by: staff("liu"),
        };
        tx.photo_waits(&waiting).await.unwrap();
        let appended = tx.append(entry("photo TAKEN")).await.unwrap();
        tx.commit(appended).await.unwrap();
    };
    // A later one stands in its place.
    wait("a").await;
    wait("b").await;
    let count = async || {
        let all = office.waiting().await.unwrap();
        all.into_iter()
            .find(|(of, _)| *of == WorkList::ConfirmPhoto)
            .unwrap()
            .1
    };
    assert_eq!(count().await, 1);
    let listed = office.work(WorkList::ConfirmPhoto).await.unwrap();
    assert_eq!(listed[0].application, application.id());
    assert_eq!(listed[0].taken_by, Some(staff("liu")));
    ledger.store.withdraw(application, at()).await.unwrap();
    assert_eq!(count().await, 0);
    assert!(office.work(WorkList::ConfirmPhoto).await.unwrap().is_empty());
}

fn entry(action: &str) -> Entry<'_> {
    Entry {
        role: "photo clerk",
        actor: "liu",
        action,
        subject: "a case",
        detail: "{}",
    }
}
