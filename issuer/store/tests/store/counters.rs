//! Terminals that count and what they counted: rows come back as they were written, and stay.

use issuer_store::{BookedCounts, Error, Store};
use jiff::civil::{Date, date};
use permit_domain::counting::{Answer, CountingTerminal, Row};
use permit_domain::{Digest, Role};
use rstest::rstest;

use super::ledger::Ledger;
use super::people::{Engine, at, staff};

const DAY: Date = date(2026, 11, 20);

fn terminal(name: &str, role: Role, line: Option<&str>) -> CountingTerminal {
    CountingTerminal {
        name: name.to_owned(),
        authentication_key: [4; 65],
        role,
        operator: "公交集团".to_owned(),
        line: line.map(str::to_owned),
        from: date(2026, 11, 1),
        withdrawn_after: None,
    }
}

fn booked(row: Row, day: Date, number: u64) -> BookedCounts {
    BookedCounts { row, day, number }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn what_terminals_counted_adds_up_by_row_and_stays(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    let (store, by) = (&ledger.store, staff("gao"));
    let bus = terminal("公交 42", Role::Transit, Some("M204"));
    let gate = terminal("gate 1", Role::Door, Some("house 7"));
    let mut tx = store.begin(at()).await.unwrap();
    let _ = tx.insert_counting_terminal(&gate, &by).await.unwrap();
    let appended = tx.insert_counting_terminal(&bus, &by).await.unwrap();
    tx.commit(appended).await.unwrap();
    let mut tx = store.begin(at()).await.unwrap();
    let later = CountingTerminal {
        from: DAY,
        ..bus.clone()
    };
    let twice = tx.insert_counting_terminal(&later, &by).await.unwrap_err();
    assert!(matches!(
        twice,
        Error::Exists {
            what: "terminal name"
        }
    ));
    drop(tx);

    let (on, month) = (bus.row(Answer::Accepted), date(2026, 11, 1));
    let (off, doors) = (bus.row(Answer::Refused), gate.row(Answer::Accepted));
    for (name, file, counts) in [
        (
            &bus.name,
            1,
            vec![booked(on.clone(), DAY, 7), booked(off.clone(), DAY, 1)],
        ),
        (&gate.name, 2, vec![booked(doors.clone(), month, 5)]),
        (&"公交 43".to_owned(), 3, vec![booked(on.clone(), DAY, 5)]),
    ] {
        let mut tx = store.begin(at()).await.unwrap();
        let digest = Digest::of(&[file]);
        let appended = tx
            .insert_counted_day(name, DAY, digest, &counts, &by)
            .await
            .unwrap();
        tx.commit(appended).await.unwrap();
    }
    let mut tx = store.begin(at()).await.unwrap();
    let again = tx
        .insert_counted_day(&bus.name, DAY, Digest::of(&[9]), &[], &by)
        .await
        .unwrap_err();
    assert!(matches!(again, Error::Exists { what: "counted day" }));
    drop(tx);

    let mut tx = store.begin(at()).await.unwrap();
    let appended = tx.withdraw_counting_terminal(&bus, DAY, &by).await.unwrap();
    tx.commit(appended).await.unwrap();
    let mut read = store.read().await.unwrap();
    let gone = CountingTerminal {
        withdrawn_after: Some(DAY),
        ..bus.clone()
    };
    assert_eq!(
        read.counting_terminal(&bus.name).await.unwrap(),
        std::slice::from_ref(&gone)
    );
    let mut all = read.counting_terminals().await.unwrap();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(all, [gate, gone]);
    assert_eq!(
        read.counted_day(&bus.name, DAY).await.unwrap(),
        Some(Digest::of(&[1]))
    );
    assert_eq!(read.counted_day("nobody", DAY).await.unwrap(), None);
    assert_eq!(
        read.booked_counts().await.unwrap(),
        [booked(doors, month, 5), booked(on, DAY, 12), booked(off, DAY, 1)]
    );
    drop(read);

    for statement in [
        "DELETE FROM counting_terminals",
        "UPDATE counting_terminals SET line = 'M205'",
        "UPDATE counting_terminals SET withdrawn_after = '2026-10-31'",
        "DELETE FROM counted_days",
        "UPDATE counted_days SET day = '2026-11-19'",
        "DELETE FROM counted",
        "UPDATE counted SET number = 1",
        "UPDATE counted SET number = number + 1, line = 'M205'",
        // Of doors neither a line nor a day.
        "INSERT INTO counted (operator, line, role, answer, day, number) VALUES ('a', 'b', 'DOOR', 'ACCEPTED', '2026-11-01', 9)",
        "INSERT INTO counted (operator, line, role, answer, day, number) VALUES ('a', '', 'DOOR', 'ACCEPTED', '2026-11-02', 9)",
    ] {
        let refused = match store {
            Store::Sqlite(pool) => sqlx::query(statement).execute(pool).await.is_err(),
            Store::Postgres(pool) => sqlx::query(statement).execute(pool).await.is_err(),
        };
        assert!(refused, "{statement}");
    }
    // No entry says how often.
    let entries = store.read().await.unwrap().ledger_of(&bus.name).await.unwrap();
    let said: Vec<_> = entries
        .iter()
        .map(|entry| (entry.action.as_str(), entry.detail.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            ("counting terminal REGISTERED", r#"{"from":"2026-11-01"}"#),
            ("counters IMPORTED", r#"{"day":"2026-11-20"}"#),
            ("counting terminal WITHDRAWN", r#"{"after":"2026-11-20"}"#),
        ]
    );
    store.read().await.unwrap().verify_ledger().await.unwrap();
}
