//! Which photos belong to an application, which are to end, and what a client's key stood for.

use issuer_store::PhotoErasure;
use jiff::ToSpan as _;
use permit_domain::{ApplicationId, Digest};
use rstest::rstest;

use crate::ledger::Ledger;
use crate::people::{Engine, at, li_na, n, staff};

const PHOTO: &str = "0123456789abcdef0123456789abcdef";

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_photo_belongs_to_its_applications_and_two_people_end_it(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let application = ledger.submit(&li_na(), 1).await;
    let (id, other) = (application.id(), ApplicationId::new(at(), n(9)));
    let mut erasure = PhotoErasure {
        photo: PHOTO.to_owned(),
        application: id,
        order: "GD-2026/17".to_owned(),
        requested_by: staff("liu"),
        approved_by: None,
    };
    let mut tx = ledger.store.begin(at()).await.unwrap();
    for _ in 0..2 {
        tx.photo_belongs(id, PHOTO).await.unwrap();
    }
    let appended = tx.set_photo_erasure(&erasure, ("clerk", "liu")).await.unwrap();
    tx.commit(appended).await.unwrap();

    let mut read = ledger.store.read().await.unwrap();
    assert!(read.is_photo_of(id, PHOTO).await.unwrap());
    assert!(!read.is_photo_of(other, PHOTO).await.unwrap());
    assert!(!read.is_photo_of(id, &PHOTO.replace('0', "1")).await.unwrap());
    assert_eq!(read.photo_erasure(PHOTO).await.unwrap(), Some(erasure.clone()));
    assert!(
        read.permits_of_person(application.person())
            .await
            .unwrap()
            .is_empty()
    );
    drop(read);

    for (second, is_stored) in [("liu", false), ("zhao", true)] {
        erasure.approved_by = Some(staff(second));
        let mut tx = ledger.store.begin(at()).await.unwrap();
        let stored = tx.set_photo_erasure(&erasure, ("approver", second)).await;
        assert_eq!(stored.is_ok(), is_stored, "{second}");
        if let Ok(appended) = stored {
            tx.commit(appended).await.unwrap();
        }
    }
    let mut read = ledger.store.read().await.unwrap();
    assert_eq!(read.photo_erasure(PHOTO).await.unwrap(), Some(erasure));
    read.verify_ledger().await.unwrap();
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn what_a_key_did_is_known_for_thirty_days_and_not_changed(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let (first, second) = (Digest::of(b"first"), Digest::of(b"second"));
    let keep = async |id: [u8; 16], request, days: i64| {
        let on = at().checked_add((24 * days).hours()).unwrap();
        let mut tx = ledger.store.begin(on).await.unwrap();
        tx.keep_request(&id, request).await.unwrap();
        tx.commit_without_entry().await.unwrap();
    };
    let known = async |id: [u8; 16]| ledger.store.read().await.unwrap().request(&id).await.unwrap();
    assert_eq!(known([1; 16]).await, None);
    keep([1; 16], first, 0).await;
    keep([1; 16], second, 30).await;
    assert_eq!(known([1; 16]).await, Some(first));
    keep([2; 16], second, 31).await;
    assert_eq!((known([1; 16]).await, known([2; 16]).await), (None, Some(second)));
}
