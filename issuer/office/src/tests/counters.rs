//! Counters files come in once, of terminals that stand on a line, and what is told of them stays as it was told.

use card_applet_spec::codes::Role;
use card_applet_spec::counters::{Count, Counted, CountersHead, encode, encoded_len};
use card_applet_spec::crypto::PrivateKey;
use issuer_store::Store;
use jiff::civil::{Date, date};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use permit_domain::counting::{Answer, CountingTerminal, OPEN_DAYS, Period, Row};
use program_contract::day;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rstest::rstest;

use super::ledger::Ledger;
use super::people::{Engine, TODAY, at, staff};
use super::reads::Reads as _;
use crate::counters::{self, CountersFile, CountersRefusal, CountersReport, MAX_FILE};
use crate::error::OfficeError;

const FROM: Date = date(2026, 11, 10);

/// A terminal with its key.
struct Bus {
    key: PrivateKey,
    standing: CountingTerminal,
}

impl Bus {
    fn new(name: &str, role: Role) -> Self {
        let key = PrivateKey::from_bytes(&[u8::try_from(name.len()).unwrap(); 32]).unwrap();
        let standing = CountingTerminal {
            name: name.to_owned(),
            authentication_key: key.public().to_point65(),
            role,
            operator: "buses".to_owned(),
            line: Some("M204".to_owned()),
            from: FROM,
            withdrawn_after: None,
        };
        Self { key, standing }
    }

    /// The file of a day with these counts, as `seed` signs it.
    fn signed(&self, day: Date, counts: &[(Role, Counted, u32)], seed: u64) -> Vec<u8> {
        let counts: Vec<Count> = counts
            .iter()
            .map(|(role, counted, number)| Count {
                role: *role,
                counted: *counted,
                number: *number,
            })
            .collect();
        let head = CountersHead {
            terminal: &self.standing.name,
            day: day::to_card(day).unwrap(),
        };
        let mut file = vec![0; encoded_len(counts.len())];
        let mut rng = StdRng::seed_from_u64(seed);
        let used = encode(&head, &counts, &self.key, &mut rng, &mut file).unwrap();
        file.truncate(used);
        file
    }

    fn file(&self, day: Date, accepted: u32) -> Vec<u8> {
        self.signed(day, &[(self.standing.role, Counted::Accepted, accepted)], 1)
    }
}

async fn registered(store: &Store, terminal: &CountingTerminal) -> Result<(), OfficeError> {
    let mut tx = store.begin(at()).await?;
    if let Some(appended) = counters::register(&mut tx, terminal, &staff("gao")).await? {
        tx.commit(appended).await?;
    }
    Ok(())
}

async fn withdrawn(store: &Store, name: &str, after: Date) -> Result<CountingTerminal, OfficeError> {
    let mut tx = store.begin(at()).await?;
    let (terminal, appended) = counters::withdraw(&mut tx, name, after, &staff("gao")).await?;
    if let Some(appended) = appended {
        tx.commit(appended).await?;
    }
    Ok(terminal)
}

async fn import(store: &Store, files: &[Vec<u8>], at: Timestamp) -> Vec<CountersFile> {
    let mut tx = store.begin(at).await.unwrap();
    let (outcomes, appended) = counters::import(&mut tx, files, &staff("gao")).await.unwrap();
    if let Some(appended) = appended {
        tx.commit(appended).await.unwrap();
    }
    outcomes
}

async fn report(store: &Store, from: Date, to: Date, at: Timestamp) -> CountersReport {
    let mut tx = store.begin(at).await.unwrap();
    let (report, appended) = counters::report(&mut tx, from, to, &staff("gao")).await.unwrap();
    tx.commit(appended).await.unwrap();
    report
}

/// The instant of the tests, so many days on.
fn later(days: i64) -> Timestamp {
    at() + SignedDuration::from_hours(24 * days)
}

fn before(days: i64) -> Date {
    TODAY.saturating_sub(days.days())
}

fn taken(name: &str, day: Date, booked_on: Option<Date>) -> CountersFile {
    CountersFile::Taken {
        terminal: name.to_owned(),
        day,
        booked_on,
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_terminals_day_counts_once_and_what_does_not_fit_changes_nothing(#[case] engine: Engine) {
    let office = Ledger::open(engine).await;
    let store = &office.store;
    let (bus, stranger) = (
        Bus::new("bus 42", Role::Transit),
        Bus::new("a stranger's", Role::Transit),
    );
    registered(store, &bus.standing).await.unwrap();
    let day = before(1);
    let good = bus.file(day, 30);
    assert_eq!(
        import(store, &[good.clone(), good.clone()], at()).await,
        [taken("bus 42", day, Some(day)), taken("bus 42", day, None)]
    );

    let (numbers, ledger) = (
        store.read().await.unwrap().booked_counts().await.unwrap(),
        store.verify_ledger().await.unwrap(),
    );
    let name = || "bus 42".to_owned();
    let forged = Bus {
        key: PrivateKey::from_bytes(&[77; 32]).unwrap(),
        standing: bus.standing.clone(),
    };
    let other = (Role::Clinic, Counted::Accepted, 1);
    let mut long = bus.file(before(2), 1);
    long.resize(usize::try_from(MAX_FILE).unwrap() + 1, 0);
    for (file, refusal) in [
        (b"YZTS".to_vec(), CountersRefusal::Form),
        (long, CountersRefusal::Form),
        (
            stranger.file(day, 5),
            CountersRefusal::TerminalUnknown {
                terminal: "a stranger\\'s".to_owned(),
            },
        ),
        (
            bus.file(FROM.yesterday().unwrap(), 5),
            CountersRefusal::NotRegistered {
                terminal: name(),
                day: FROM.yesterday().unwrap(),
            },
        ),
        (
            forged.file(before(2), 5),
            CountersRefusal::Signature { terminal: name() },
        ),
        (bus.file(TODAY, 5), CountersRefusal::Future { day: TODAY }),
        (
            bus.file(date(2027, 1, 1), 5),
            CountersRefusal::Future {
                day: date(2027, 1, 1),
            },
        ),
        (
            bus.signed(before(2), &[other], 1),
            CountersRefusal::OtherRole {
                terminal: name(),
                role: Role::Clinic,
            },
        ),
        // More, fewer, and the same numbers signed again.
        (
            bus.file(day, 31),
            CountersRefusal::DayTaken {
                terminal: name(),
                day,
            },
        ),
        (
            bus.file(day, 29),
            CountersRefusal::DayTaken {
                terminal: name(),
                day,
            },
        ),
        (
            bus.signed(day, &[(Role::Transit, Counted::Accepted, 30)], 2),
            CountersRefusal::DayTaken {
                terminal: name(),
                day,
            },
        ),
    ] {
        assert_eq!(
            import(store, &[file], at()).await,
            [CountersFile::Refused(refusal.clone())]
        );
        assert!(!refusal.code().is_empty() && !refusal.action().is_empty());
    }
    for at_byte in 0..good.len() {
        let mut edited = good.clone();
        edited[at_byte] ^= 1;
        let done = import(store, &[edited], at()).await;
        assert!(matches!(done[..], [CountersFile::Refused(_)]), "byte {at_byte}");
    }
    assert_eq!(
        store.read().await.unwrap().booked_counts().await.unwrap(),
        numbers
    );
    assert_eq!(store.verify_ledger().await.unwrap(), ledger);

    // One that is refused keeps none back; a role that nobody asked the terminal for is no refusal of the line's.
    let mixed = [
        (Role::Transit, Counted::Accepted, 4),
        (Role::Transit, Counted::Denied, 1),
        (Role::Transit, Counted::AcceptedInGrace, 2),
        (Role::Clinic, Counted::WrongRole, 9),
    ];
    let done = import(
        store,
        &[bus.file(day, 29), bus.signed(before(2), &mixed, 1)],
        at(),
    )
    .await;
    assert_eq!(done[1], taken("bus 42", before(2), Some(before(2))));
    let booked = store.read().await.unwrap().booked_counts().await.unwrap();
    let booked: Vec<_> = booked
        .iter()
        .map(|one| (one.row.answer, one.day, one.number))
        .collect();
    assert_eq!(
        booked,
        [
            (Answer::Accepted, before(2), 6),
            (Answer::Accepted, day, 30),
            (Answer::Refused, before(2), 1)
        ]
    );
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn two_who_import_one_file_at_once_count_it_once(#[case] engine: Engine) {
    let office = Ledger::open(engine).await;
    let bus = Bus::new("bus 42", Role::Transit);
    registered(&office.store, &bus.standing).await.unwrap();
    let run = |store: Store, file: Vec<u8>| tokio::spawn(async move { import(&store, &[file], at()).await });
    let file = bus.file(before(1), 30);
    let (x, y) = tokio::join!(
        run(office.again().await, file.clone()),
        run(office.again().await, file)
    );
    let outcomes = [x.unwrap().swap_remove(0), y.unwrap().swap_remove(0)];
    let day = before(1);
    assert!(
        outcomes.contains(&taken("bus 42", day, Some(day))),
        "{outcomes:?}"
    );
    assert!(outcomes.contains(&taken("bus 42", day, None)), "{outcomes:?}");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn what_was_told_stays_and_of_doors_only_the_operators_month_is_kept(#[case] engine: Engine) {
    let office = Ledger::open(engine).await;
    let store = &office.store;
    let (one, two) = (
        Bus::new("bus 42", Role::Transit),
        Bus::new("bus 143", Role::Transit),
    );
    let gate = Bus::new("gate", Role::Door);
    for bus in [&one, &two, &gate] {
        registered(store, &bus.standing).await.unwrap();
    }
    let files = [
        one.file(before(3), 20),
        two.file(before(3), 3),
        one.file(before(2), 4),
        one.file(before(1), 5),
        two.file(before(1), 1),
        gate.file(before(3), 30),
        gate.file(before(1), 2),
    ];
    import(store, &files, at()).await;
    let all = (FROM, date(2027, 12, 31));
    assert!(
        report(store, all.0, all.1, at()).await.rows.is_empty(),
        "all days are open"
    );

    let row = |bus: &Bus| bus.standing.row(Answer::Accepted);
    let told = |report: &CountersReport, row: &Row| {
        let found = report.rows.iter().find(|(of, _)| of == row);
        found.map(|(_, told)| told.clone()).unwrap_or_default()
    };
    let period = |from, to, count| Period { from, to, count };
    let closed = report(store, all.0, all.1, later(OPEN_DAYS)).await;
    assert_eq!(closed.closed_to, before(1));
    // Both buses of the line together; the small days with the one that makes them ten.
    let lines = told(&closed, &row(&one));
    assert_eq!(
        lines.periods,
        [period(before(3), before(3), 23), period(before(2), before(1), 10)]
    );
    assert_eq!(told(&closed, &row(&gate)).periods, [] as [Period; 0]);
    // A file that lay somewhere: on the day that is still open, and nothing that was told is told otherwise.
    let late = import(store, &[two.file(before(2), 2)], later(OPEN_DAYS)).await;
    assert_eq!(late, [taken("bus 143", before(2), Some(TODAY))]);
    let again = report(store, all.0, all.1, later(60)).await;
    let more = told(&again, &row(&one));
    assert_eq!(more.periods, lines.periods);
    assert_eq!(more.below_from, Some(TODAY));
    let doors = told(&again, &row(&gate));
    assert_eq!(doors.periods, [period(date(2026, 11, 1), date(2026, 11, 30), 32)]);
    let booked = store.read().await.unwrap().booked_counts().await.unwrap();
    assert!(
        booked
            .iter()
            .filter(|one| one.row.role == Role::Door)
            .all(|one| one.row.line.is_none() && one.day == date(2026, 11, 1))
    );
    // Who asked is known, and a clock behind that day imports nothing that could change what was told.
    let entries = store.ledger_of("counters").await.unwrap();
    assert_eq!(
        entries.last().unwrap().detail,
        r#"{"from":"2026-11-10","to":"2027-12-31"}"#
    );
    let mut tx = store.begin(later(20)).await.unwrap();
    let behind = counters::import(&mut tx, &[two.file(before(4), 2)], &staff("gao"))
        .await
        .unwrap_err();
    assert_eq!(behind.code(), "CLOCK_BEHIND");
    drop(tx);
    let mut tx = store.begin(later(60)).await.unwrap();
    let reversed = counters::report(&mut tx, all.1, all.0, &staff("gao"))
        .await
        .unwrap_err();
    assert_eq!(reversed.code(), "REVERSED");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_bus_that_moves_counts_for_the_line_on_which_it_stood(#[case] engine: Engine) {
    let office = Ledger::open(engine).await;
    let store = &office.store;
    let bus = Bus::new("bus 42", Role::Transit);
    registered(store, &bus.standing).await.unwrap();
    registered(store, &bus.standing).await.unwrap();
    let moved = CountingTerminal {
        line: Some("M205".to_owned()),
        from: before(2),
        ..bus.standing.clone()
    };
    let stands = registered(store, &moved).await.unwrap_err();
    assert_eq!(stands.code(), "EXISTS");
    let unknown = withdrawn(store, "bus 43", before(3)).await.unwrap_err();
    assert_eq!(unknown.code(), "TERMINAL_UNKNOWN");
    withdrawn(store, "bus 42", before(2)).await.unwrap();
    // On that day it stood on the old line.
    assert_eq!(registered(store, &moved).await.unwrap_err().code(), "EXISTS");
    withdrawn(store, "bus 42", before(3)).await.unwrap();
    let later = withdrawn(store, "bus 42", before(1)).await.unwrap_err();
    assert_eq!(later.code(), "WRONG_STATE");
    registered(store, &moved).await.unwrap();
    import(store, &[bus.file(before(3), 11), bus.file(before(2), 12)], at()).await;
    let booked = store.read().await.unwrap().booked_counts().await.unwrap();
    let booked: Vec<_> = booked
        .iter()
        .map(|one| (one.row.line.as_deref(), one.number))
        .collect();
    assert_eq!(booked, [(Some("M204"), 11), (Some("M205"), 12)]);
    assert_eq!(office.service().counting_terminals().await.unwrap().len(), 2);
}
