//! How far the vault had come, and that it was put back on purpose.

use issuer_store::VaultSeen;
use rstest::rstest;

use crate::ledger::Ledger;
use crate::people::{Engine, at, staff};

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn what_was_seen_of_the_vault_grows_and_goes_back_by_an_entry_alone(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let now = async || ledger.store.read().await.unwrap().vault_seen().await.unwrap();
    assert_eq!(now().await, VaultSeen::default());
    for (saw, then) in [(7, 7), (5, 7), (9, 9), (9, 9)] {
        let mut tx = ledger.store.begin(at()).await.unwrap();
        tx.saw_vault(saw).await.unwrap();
        tx.commit_without_entry().await.unwrap();
        assert_eq!(now().await.generation, then);
    }
    let entries = async || {
        let mut read = ledger.store.read().await.unwrap();
        read.verify_ledger().await.unwrap().entries
    };
    let before = entries().await;
    let mut seen = VaultSeen {
        generation: 9,
        proposed: Some((3, staff("wang"))),
    };
    for (who, generation, proposed) in [("wang", 9, Some((3, staff("wang")))), ("zhao", 3, None)] {
        (seen.generation, seen.proposed) = (generation, proposed);
        let mut tx = ledger.store.begin(at()).await.unwrap();
        let appended = tx.set_vault_seen(&seen, ("operator", &staff(who))).await.unwrap();
        tx.commit(appended).await.unwrap();
        assert_eq!(now().await, seen);
    }
    assert_eq!(entries().await, before + 2);
}
