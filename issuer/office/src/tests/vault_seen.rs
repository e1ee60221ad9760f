//! A vault that was put back is refused until two people say that it was meant.

use keyvault_protocol::RefusalCode;
use rstest::rstest;

use super::ledger::Ledger;
use super::people::{Engine, staff};
use crate::vault_seen::{Restored, STEP};

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_vault_that_was_put_back_is_refused_until_two_people_say_so(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let office = ledger.service();
    let remembered = async |generation| {
        let until = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        while office
            .read()
            .await
            .unwrap()
            .vault_seen()
            .await
            .unwrap()
            .generation
            != generation
        {
            assert!(tokio::time::Instant::now() < until, "{generation}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    // A ledger of before, or a fresh one, takes what it is shown; each step is written down.
    office.hold_against_memory(100).await.unwrap();
    remembered(100).await;
    office.hold_against_memory(100 + STEP - 1).await.unwrap();
    office.hold_against_memory(100 + STEP).await.unwrap();
    remembered(100 + STEP).await;

    let refused = office.hold_against_memory(99).await.unwrap_err();
    assert!(refused.is(RefusalCode::RolledBack), "{refused}");
    assert!(refused.to_string().contains("99") && refused.chinese_text().contains("99"));
    let said = async |generation, who: &str| {
        let by = ("operator", &staff(who));
        office
            .accept_restored(generation, by)
            .await
            .map_err(|error| error.code())
    };
    assert_eq!(said(100 + STEP, "sun").await, Err("NOT_ROLLED_BACK"));
    assert_eq!(said(99, "sun").await, Ok(Restored::Proposed));
    assert_eq!(said(99, "sun").await, Err("SAME_PERSON_TWICE"));
    assert!(office.hold_against_memory(99).await.is_err());
    // Another number is another word: the first one's does not count for it.
    assert_eq!(said(98, "zhao").await, Ok(Restored::Proposed));
    assert_eq!(said(99, "zhao").await, Ok(Restored::Proposed));
    assert_eq!(said(99, "sun").await, Ok(Restored::Accepted));
    office.hold_against_memory(99).await.unwrap();
    assert!(office.hold_against_memory(98).await.is_err());
    assert_eq!(said(99, "zhao").await, Err("NOT_ROLLED_BACK"));
    office.verify_ledger().await.unwrap();
}
