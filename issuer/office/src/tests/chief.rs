//! What a chief sees and closes, on both engines: figures are those of the ledger, and every entry stands in one report.

use jiff::Timestamp;
use permit_domain::{Digest, Refusal};
use program_contract::Clock;
use rstest::rstest;

use super::ledger::Ledger;
use super::people::{Engine, at, somebody, staff};
use crate::error::OfficeError;
use crate::office::Office;

/// The office of a later moment.
pub(super) fn at_the(office: &Office, moment: &str) -> Office {
    let moment: Timestamp = moment.parse().unwrap();
    let mut office = office.clone();
    office.clock = Clock::fixed(moment);
    office
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_day_is_closed_once_as_it_was_read_and_what_comes_after_is_of_the_next(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let (office, chief) = (ledger.service(), staff("qin"));
    ledger.accepted(&somebody(1), 1).await;
    ledger.verified(&somebody(2), 2).await;
    let read = office.open_day().await.unwrap();
    assert_eq!((read.day, read.since), (office.clock().today(), None));
    assert_eq!(read.count("application ACCEPTED"), 2);
    assert_eq!(read.count("production ALLOCATED"), 1, "a blank was used");
    assert_eq!(read.count("production VERIFIED"), 1, "a card was made");
    assert_eq!((read.scrapped, read.blanks_left), (0, 0));
    let by: Vec<&str> = read
        .done
        .iter()
        .filter(|done| done.action == "application REVIEWED")
        .map(|done| done.by.as_str())
        .collect();
    assert_eq!(by, ["wang"]);

    // A card came into doubt since it was read: the report has to be read again.
    let order = ledger.allocated(&somebody(3), 3).await;
    let doubtful = ledger.store_order_encoding(order).await;
    let moved = office
        .close_day(read.to, read.digest(), &chief)
        .await
        .unwrap_err();
    assert!(matches!(moved, OfficeError::Refused(Refusal::ReportMoved)));
    let unread = office
        .close_day(read.to, Digest::of(b""), &chief)
        .await
        .unwrap_err();
    assert_eq!(unread.code(), "REPORT_MOVED");
    let read = office.open_day().await.unwrap();
    assert_eq!(read.in_doubt, [doubtful]);
    // What is done between reading and closing is of the next day, and stops nobody.
    ledger.accepted(&somebody(4), 4).await;
    let closed = office.close_day(read.to, read.digest(), &chief).await.unwrap();
    assert_eq!(closed, read);
    let next = office.open_day().await.unwrap();
    assert_eq!(next.day, closed.day.tomorrow().unwrap());
    assert_eq!(next.count("application ACCEPTED"), 1);
    let twice = office
        .close_day(next.to, next.digest(), &chief)
        .await
        .unwrap_err();
    assert!(matches!(twice, OfficeError::Refused(Refusal::DayClosed { day }) if day == closed.day));

    let kept = office.closed_day(closed.day).await.unwrap();
    assert_eq!((kept.report, kept.by), (closed.clone(), chief.clone()));
    // Two days later: nothing is lost that was done on the day that nobody closed.
    let later = at_the(&office, "2026-11-23T09:00:00Z");
    let open = later.open_day().await.unwrap();
    assert_eq!((open.day, open.since), (later.clock().today(), Some(closed.day)));
    assert_eq!(open.count("application ACCEPTED"), 1);
    later.close_day(open.to, open.digest(), &chief).await.unwrap();
    let days: Vec<_> = later.closed_days().await.unwrap();
    assert_eq!(days.len(), 2);
    assert_eq!(days[0].report.day, open.day);
    let mut reads = ledger.store.read().await.unwrap();
    let lines = reads.ledger_of(&closed.day.to_string()).await.unwrap();
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].detail.contains(&closed.digest().to_string()),
        "{}",
        lines[0].detail
    );
    reads.verify_ledger().await.unwrap();
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn the_dashboard_counts_the_way_of_cases_and_names_what_is_late_by_the_law(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let late = ledger.accepted(&somebody(1), 1).await;
    ledger.approved(&somebody(2), 2).await;
    ledger.verified(&somebody(3), 3).await;
    ledger.handed_over(&somebody(4), 4).await;
    let now = office.dashboard().await.unwrap();
    assert_eq!(now.day, [4, 4, 3, 3, 2, 1]);
    assert_eq!(now.week, now.day);
    assert_eq!((now.late.len(), now.near), (0, 0));
    assert_eq!(now.not_picked_up, (1, [0; 4]));
    // Steps that nobody finished have no wait; the others were finished in the instant of the test.
    let all = now.waits.iter().find(|wait| wait.step == "ALL").unwrap();
    assert_eq!((all.count, all.p50, all.p90), (1, 0, 0));

    // Fifteen days and more later two are late: the card that was made is the holder's to fetch.
    let later = at_the(&office, "2026-12-30T02:00:00Z");
    let then = later.dashboard().await.unwrap();
    assert_eq!((then.day, then.week), ([0; 6], [0; 6]));
    assert_eq!(then.late.len(), 2);
    assert!(then.late.iter().any(|(id, _)| *id == late.id()));
    assert_eq!(then.not_picked_up, (1, [1, 1, 0, 0]));
    assert!(then.waits.is_empty());
    let near = at_the(&office, "2026-12-04T02:00:00Z").dashboard().await.unwrap();
    assert_eq!((near.late.len(), near.near), (0, 2));

    // A permit in force stands in the week in which it ends.
    let stored = permit_of(&ledger, 4).await;
    let before = stored.grant().valid_to.yesterday().unwrap();
    let eve = at_the(&office, &format!("{before}T02:00:00Z"));
    assert_eq!(eve.dashboard().await.unwrap().ending[0].1, 1);
    let mut reads = ledger.store.read().await.unwrap();
    assert_eq!(reads.done_between(at(), at()).await.unwrap(), []);
}

async fn permit_of(ledger: &Ledger, number: u8) -> permit_domain::Permit {
    let id = permit_domain::PermitId::new(at(), super::people::n(number));
    ledger
        .store
        .read()
        .await
        .unwrap()
        .permit(id)
        .await
        .unwrap()
        .unwrap()
}

impl Ledger {
    /// Takes an order into doubt; its id.
    async fn store_order_encoding(&self, order: permit_domain::Order) -> String {
        use super::ledger::Book as _;
        let order = self
            .store
            .advance_order(order.begin_encoding().unwrap(), "{}", at())
            .await
            .unwrap();
        order.id().to_string()
    }
}
