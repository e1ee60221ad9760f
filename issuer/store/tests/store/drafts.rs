//! Forms that are not filed, and how people want to see the pages.

use issuer_store::{Draft, Error};
use jiff::ToSpan as _;
use permit_domain::ApplicationId;
use rstest::rstest;

use crate::ledger::Ledger;
use crate::people::{Engine, at, staff};

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_draft_is_written_over_listed_for_its_person_and_taken_away(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let draft = |number: u8, who: &str, version, hours: i64| Draft {
        application: ApplicationId::new(at(), [number; 10]),
        account: staff(who),
        version,
        fields: format!("[[\"name\",\"{number}.{version}\"]]"),
        saved_at: at() + hours.hours(),
    };
    let saved = async |draft: &Draft| {
        let mut tx = ledger.store.begin(at()).await.unwrap();
        tx.save_draft(draft).await?;
        tx.commit_without_entry().await
    };
    let of = async |who: &str| {
        let mut read = ledger.store.read().await.unwrap();
        read.drafts_of(&staff(who)).await.unwrap()
    };
    let (first, second, other) = (
        draft(1, "liu", 1, 0),
        draft(2, "liu", 1, 1),
        draft(3, "sun", 1, 2),
    );
    for draft in [&first, &second, &other] {
        saved(draft).await.unwrap();
    }
    assert_eq!(of("liu").await, [second.clone(), first]);
    let again = draft(1, "liu", 2, 3);
    saved(&again).await.unwrap();
    assert_eq!(of("liu").await, [again.clone(), second.clone()]);
    assert_eq!(of("sun").await, std::slice::from_ref(&other));
    let endless = Draft {
        fields: "x".repeat(131_073),
        ..again.clone()
    };
    assert!(matches!(saved(&endless).await, Err(Error::Refused { .. })));

    let mut tx = ledger.store.begin(at()).await.unwrap();
    tx.delete_drafts_before(at() + 2.hours()).await.unwrap();
    tx.delete_draft(other.application).await.unwrap();
    tx.commit_without_entry().await.unwrap();
    assert_eq!(of("liu").await, std::slice::from_ref(&again));
    let mut read = ledger.store.read().await.unwrap();
    assert_eq!(read.draft(again.application).await.unwrap(), Some(again));
    assert_eq!(read.draft(other.application).await.unwrap(), None);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn how_somebody_sees_the_pages_is_kept_for_them_alone(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let of = async |who: &str| {
        let mut read = ledger.store.read().await.unwrap();
        read.view_of(&staff(who)).await.unwrap()
    };
    assert_eq!(of("liu").await, None);
    for (who, shows) in [("liu", "en"), ("sun", "zh-CN"), ("liu", "en.large")] {
        let mut tx = ledger.store.begin(at()).await.unwrap();
        tx.keep_view(&staff(who), shows).await.unwrap();
        tx.commit_without_entry().await.unwrap();
    }
    assert_eq!(of("liu").await.as_deref(), Some("en.large"));
    assert_eq!(of("sun").await.as_deref(), Some("zh-CN"));
}
