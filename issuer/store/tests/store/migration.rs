//! A ledger of before the years of a permit were counted from an anchor is carried over, on both engines.

use issuer_store::Store;
use jiff::civil::{Date, date};
use rstest::rstest;
use sqlx::AssertSqlSafe;
use sqlx::migrate::Migrator;

use super::ledger::migrated;
use super::people::Engine;
use super::reads::Reads as _;

const PERMIT: &str = "00000000-0000-7000-8000-000000000001";

/// Migrations up to the third, in a folder of the test.
async fn third(engine: Engine) -> (tempfile::TempDir, Migrator) {
    let folder = tempfile::tempdir().unwrap();
    let name = match engine {
        Engine::Sqlite => "sqlite",
        Engine::Postgres => "postgres",
    };
    let all = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(name);
    for file in std::fs::read_dir(all).unwrap() {
        let file = file.unwrap();
        if file.file_name().to_string_lossy().as_ref() < "0004" {
            std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
    }
    let migrator = Migrator::new(folder.path().to_owned()).await.unwrap();
    (folder, migrator)
}

async fn run(store: &Store, sql: String) {
    match store {
        Store::Sqlite(pool) => drop(sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap()),
        Store::Postgres(pool) => drop(sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap()),
    }
}

/// A change of the card as version 3 wrote it: frozen content with the last day that it gives the card.
fn change(
    store: &Store,
    id: u8,
    kind: &str,
    state: &str,
    granted: Option<u8>,
    day: &str,
    until: &str,
) -> String {
    let content = format!(r#"{{"version":1,"after":{{"tier":"TALENT","valid_to":"{until}"}}}}"#);
    let digest = permit_domain::Digest::of(content.as_bytes());
    let at = format!("{day}T02:00:00Z")
        .parse::<jiff::Timestamp>()
        .unwrap()
        .as_millisecond();
    let granted = granted.map_or("NULL".to_owned(), |row| row.to_string());
    let approver = if granted == "NULL" { "NULL" } else { "'zhao'" };
    let (way, on) = if state == "DONE" {
        ("'COUNTER'", "'2028-11-01'")
    } else {
        ("NULL", "NULL")
    };
    format!(
        "INSERT INTO changes (id, permit, card, kind, clerk, approver, content, content_digest, permit_version, granted,
            state, way, done_on, version, created_at, changed_at)
         VALUES ('00000000-0000-7000-8000-0000000000{id:02}', '{PERMIT}', '4400000000015', '{kind}', 'liu', {approver},
            {content}, {digest}, 1, {granted}, '{state}', {way}, {on}, 1, {at}, {at});",
        content = blob(store, content.as_bytes()),
        digest = blob(store, digest.as_bytes()),
    )
}

fn blob(store: &Store, bytes: &[u8]) -> String {
    let hex = bytes
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    match store {
        Store::Sqlite(_) => format!("x'{hex}'"),
        Store::Postgres(_) => format!("'\\x{hex}'::bytea"),
    }
}

/// A person, a permit whose last day had drifted, and a card that was encoded.
fn rows(store: &Store) -> String {
    let order = r#"{"version":1,"certificate_to":"2036-11-21","valid_to":"2027-11-22"}"#;
    let digest = permit_domain::Digest::of(order.as_bytes());
    let (order, digest) = (blob(store, order.as_bytes()), blob(store, digest.as_bytes()));
    let rules = blob(store, &[1; 32]);
    format!(
        "INSERT INTO rule_sets VALUES ('rules', {rules}, 'text', 0);
         INSERT INTO persons VALUES ('00000000-0000-7000-8000-000000000002', '440305198511120028', 0);
         INSERT INTO applications (id, person, applicant, submitted_on, state, intake, reviewer, approver, permit,
            version, created_at, changed_at)
         VALUES ('00000000-0000-7000-8000-000000000003', '00000000-0000-7000-8000-000000000002', '{{}}', '2026-11-20',
            'APPROVED', 'liu', 'wang', 'zhao', '{PERMIT}', 1, 0, 0);
         INSERT INTO permits (id, person, application, tier, rule_set, valid_from, valid_to, state, state_on, version,
            created_at, changed_at)
         VALUES ('{PERMIT}', '00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-000000000003', 'TALENT',
            'rules', '2026-11-20', '2029-11-22', 'ACTIVE', '2026-11-20', 5, 0, 0);
         INSERT INTO blanks VALUES ('00010000000100000001', 'lot', 'ALLOCATED', 0, 0);
         INSERT INTO orders (id, permit, reviewer, approver, producer, content, content_digest, state, card_number,
            card_serial, clerk, handed_over_on, version, created_at, changed_at)
         VALUES ('00000000-0000-7000-8000-000000000004', '{PERMIT}', 'wang', 'zhao', 'sun', {order}, {digest},
            'HANDED_OVER', '4400000000015', '00010000000100000001', 'chen', '2026-11-20', 1, 0, 0);
         INSERT INTO order_steps VALUES ('00000000-0000-7000-8000-000000000004', 3, 'ENCODED', 'producer', 'sun', '{{}}', 0);
         INSERT INTO cards (number, serial, permit, order_id, state, version, created_at, changed_at)
         VALUES ('4400000000015', '00010000000100000001', '{PERMIT}', '00000000-0000-7000-8000-000000000004',
            'HANDED_OVER', 1, 0, 0);"
    )
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_ledger_of_before_anchors_keeps_every_row_and_gets_the_days_that_follow_from_them(
    #[case] engine: Engine,
) {
    let folder = tempfile::tempdir().unwrap();
    let (_migrations, old) = third(engine).await;
    let store = match engine {
        Engine::Sqlite => {
            let file = folder.path().join("issuer.db");
            std::fs::write(&file, "").unwrap();
            let store = Store::open(&format!("sqlite:{}", file.display())).await.unwrap();
            let Store::Sqlite(pool) = &store else {
                unreachable!()
            };
            old.run(pool).await.unwrap();
            store
        }
        Engine::Postgres => {
            let store = Store::open(&scratch_postgres::database(migrated).await)
                .await
                .unwrap();
            run(&store, "DROP SCHEMA public CASCADE; CREATE SCHEMA public;".into()).await;
            let Store::Postgres(pool) = &store else {
                unreachable!()
            };
            old.run(pool).await.unwrap();
            store
        }
    };
    run(&store, rows(&store)).await;
    for row in [
        // Written; signed off in its window and never written; queued; begun; a rotation; given up.
        change(&store, 11, "ENDORSE", "DONE", Some(3), "2027-11-10", "2028-11-22"),
        change(
            &store,
            12,
            "ENDORSE",
            "ORDERED",
            Some(5),
            "2028-11-20",
            "2029-11-22",
        ),
        change(&store, 13, "TIER", "QUEUED", Some(4), "2028-11-01", "2028-11-22"),
        change(&store, 14, "ROTATE", "WRITING", None, "2028-11-01", "2028-11-22"),
        change(
            &store,
            15,
            "ADDRESS",
            "GIVEN_UP",
            None,
            "2028-11-01",
            "2028-11-22",
        ),
    ] {
        run(&store, row).await;
    }
    let update = format!(
        "INSERT INTO change_updates VALUES ({}, '00000000-0000-7000-8000-000000000013', 0);",
        blob(&store, &[7; 16])
    );
    run(&store, update).await;

    assert_eq!(store.founded_under().await.unwrap(), None);
    store.migrate().await.unwrap();
    store.migrate().await.unwrap();
    store.ready().await.unwrap();
    assert_eq!(store.founded_under().await.unwrap(), None, "nobody wrote it down");
    let permit = store.permit(PERMIT.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(
        (permit.grant().anchor, permit.grant().valid_to),
        (date(2026, 11, 20), date(2029, 11, 22))
    );
    let card = store
        .card(&"4400000000015".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        card.until,
        Some(date(2028, 11, 22)),
        "of the endorsement that was written"
    );
    let mut ledger = store.read().await.unwrap();
    let changes = ledger.changes_of_permit(permit.id()).await.unwrap();
    let found: Vec<(&str, &str, Option<Date>)> = changes
        .iter()
        .map(|it| {
            (
                it.change.kind().name(),
                it.change.state().name(),
                it.change.holds_until(),
            )
        })
        .collect();
    assert_eq!(
        found.iter().filter(|it| it.2.is_some()).collect::<Vec<_>>(),
        [&("ENDORSE", "ORDERED", Some(date(2028, 11, 22)))],
        "{found:?}"
    );
    assert_eq!(found.len(), 5);
    let owner = ledger.change_of_update(&[7; 16]).await.unwrap().unwrap();
    assert_eq!(
        owner,
        changes[changes
            .iter()
            .position(|it| it.change.kind().name() == "TIER")
            .unwrap()]
        .change
        .id()
    );
    assert_eq!(
        ledger.overdue_changes(date(2028, 11, 23)).await.unwrap().len(),
        1,
        "it expires with its window"
    );
    drop(ledger);
    // What was written stays, behind the new tables too.
    for forbidden in [
        "DELETE FROM changes",
        "DELETE FROM change_updates",
        "UPDATE changes SET holds_until = '2099-01-01'",
        "UPDATE permits SET anchor = '2026-11-21'",
    ] {
        let refused = match &store {
            Store::Sqlite(pool) => sqlx::query(forbidden).execute(pool).await.map(drop),
            Store::Postgres(pool) => sqlx::query(forbidden).execute(pool).await.map(drop),
        };
        assert!(refused.is_err(), "{forbidden}");
    }
}
