//! Applications that are not filed, on both engines: whose they are, how long they live, and two windows.

use jiff::ToSpan as _;
use permit_domain::{ApplicationId, IntakeClerk};
use rstest::rstest;

use super::ledger::Ledger;
use super::people::{Engine, at, n, somebody, staff};
use crate::drafts::{Saved, Typed};

fn typed(name: &str) -> Typed {
    vec![("name".to_owned(), name.to_owned())]
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_draft_is_its_persons_own_and_of_two_windows_the_second_is_told(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let (liu, sun) = (staff("liu"), staff("sun"));
    let id = ApplicationId::new(at(), n(1));
    let save = async |who, seen, name: &str| office.save_draft(who, id, seen, &typed(name)).await;
    let Saved::Kept(first) = save(&liu, 0, "周").await.unwrap() else {
        panic!("kept")
    };
    assert_eq!((first.version, first.typed), (1, typed("周")));
    let Saved::Kept(second) = save(&liu, 1, "周敏").await.unwrap() else {
        panic!("kept")
    };
    // The other window still has the first.
    assert_eq!(
        save(&liu, 1, "周明").await.unwrap(),
        Saved::Changed(second.clone())
    );
    assert_eq!(office.drafts(&liu).await.unwrap(), [second]);

    assert!(office.drafts(&sun).await.unwrap().is_empty());
    assert_eq!(save(&sun, 2, "孙").await.unwrap_err().code(), "ID_TAKEN");
    office.drop_draft(&sun, id).await.unwrap();
    assert_eq!(
        office.drafts(&liu).await.unwrap().len(),
        1,
        "it is not the other's to drop"
    );
    office.drop_draft(&liu, id).await.unwrap();
    assert!(office.drafts(&liu).await.unwrap().is_empty());

    // The oldest gives way.
    for number in 1..=25 {
        let id = ApplicationId::new(at(), n(number));
        office.save_draft(&liu, id, 0, &typed("x")).await.unwrap();
    }
    assert_eq!(office.drafts(&liu).await.unwrap().len(), 20);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_draft_goes_with_its_filing_and_after_three_days(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let liu = staff("liu");
    let id = ApplicationId::new(at(), n(1));
    office.save_draft(&liu, id, 0, &typed("周敏")).await.unwrap();
    office
        .apply(id, IntakeClerk::new(liu.clone()), somebody(1))
        .await
        .unwrap();
    assert!(office.drafts(&liu).await.unwrap().is_empty());
    // A window that is still open does not bring it back.
    assert_eq!(
        office.save_draft(&liu, id, 1, &typed("周")).await.unwrap(),
        Saved::Filed
    );

    let other = ApplicationId::new(at(), n(2));
    office.save_draft(&liu, other, 0, &typed("王")).await.unwrap();
    let mut tx = ledger.store.begin(at()).await.unwrap();
    let mut old = tx.draft(other).await.unwrap().unwrap();
    old.saved_at -= 73.hours();
    tx.save_draft(&old).await.unwrap();
    tx.commit_without_entry().await.unwrap();
    // Nobody is shown it, and the next who saves takes it away.
    assert!(office.drafts(&liu).await.unwrap().is_empty());
    let next = ApplicationId::new(at(), n(3));
    office
        .save_draft(&staff("sun"), next, 0, &typed("孙"))
        .await
        .unwrap();
    assert_eq!(
        ledger.store.read().await.unwrap().draft(other).await.unwrap(),
        None
    );
}
