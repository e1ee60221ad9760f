//! What is told of counts: nothing small, whatever is asked for and whenever, and nothing twice or not at all.

use std::collections::BTreeMap;

use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use permit_domain::Role;
use permit_domain::counting::{
    Answer, CountingTerminal, OPEN_DAYS, Period, SMALLEST, Told, booked_on, closed_to, tell,
};
use proptest::prelude::*;

const FIRST: Date = date(2026, 1, 1);

fn after(days: i64) -> Date {
    FIRST.checked_add(days.days()).unwrap()
}

/// A file of a terminal: its day, the day on which it comes, and its number, with which the days since [`FIRST`] are meant.
type Arrival = (i64, i64, u64);

/// What a report tells that is asked for on a day, when the files before it, and `also` those of this day, are in.
fn report(role: Role, files: &[Arrival], on: i64, also: bool) -> Told {
    let mut booked: BTreeMap<Date, u64> = BTreeMap::new();
    for (day, comes, number) in files {
        if *comes < on || (also && *comes == on) {
            *booked
                .entry(booked_on(role, after(*day), after(*comes)))
                .or_default() += number;
        }
    }
    let booked: Vec<_> = booked.into_iter().collect();
    tell(role, &booked, closed_to(after(on)))
}

fn sum<'a>(periods: impl Iterator<Item = &'a Period>) -> u64 {
    periods.map(|period| period.count).sum()
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    // Most files come in time, some long after; most numbers are small.
    let late = prop_oneof![4 => 1_i64..8, 1 => 8_i64..90];
    let number = prop_oneof![4 => 1_u64..10, 1 => 10_u64..200];
    let one = (0_i64..120, late, number).prop_map(|(day, late, number)| (day, day + late, number));
    proptest::collection::vec(one, 0..60)
}

proptest! {
    /// Two reports, of any days and on any two days, by whoever sees both.
    #[test]
    fn no_two_reports_differ_by_a_small_number(
        files in arrivals(), door in any::<bool>(),
        (one, two) in (0_i64..300, 0_i64..300), also in any::<(bool, bool)>(),
        (from_one, to_one, from_two, to_two) in (0_i64..260, 0_i64..260, 0_i64..260, 0_i64..260),
    ) {
        let role = if door { Role::Door } else { Role::Transit };
        let (earlier, later) = (report(role, &files, one.min(two), also.0), report(role, &files, one.max(two), also.1 || (one == two && also.0)));
        // What was told stays as it was told; more comes behind it.
        prop_assert!(later.periods.starts_with(&earlier.periods));
        for told in [&earlier, &later] {
            prop_assert!(told.periods.iter().all(|period| period.count >= SMALLEST));
            for pair in told.periods.windows(2) {
                prop_assert_eq!(pair[0].to.tomorrow().unwrap(), pair[1].from);
            }
            if let (Some(last), Some(below)) = (told.periods.last(), told.below_from) {
                prop_assert_eq!(last.to.tomorrow().unwrap(), below);
            }
        }
        let a = earlier.within(after(from_one), after(to_one));
        let b = later.within(after(from_two), after(to_two));
        for (x, y) in [(&a, &b), (&b, &a)] {
            // What one has and the other has not: all that a difference of two answers can show.
            let only = sum(x.periods.iter().filter(|period| !y.periods.contains(period)));
            prop_assert!(only == 0 || only >= SMALLEST, "{only}");
            if y.periods.iter().all(|period| x.periods.contains(period)) {
                let difference = sum(x.periods.iter()) - sum(y.periods.iter());
                prop_assert!(difference == 0 || difference >= SMALLEST, "{difference}");
            }
            // No two different numbers for days that overlap.
            for p in &x.periods {
                for q in &y.periods {
                    prop_assert!(p == q || p.to < q.from || q.to < p.from, "{p:?} {q:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_told_twice_and_in_the_end_less_than_ten_is_kept_back(files in arrivals(), door in any::<bool>()) {
        let role = if door { Role::Door } else { Role::Transit };
        let told = report(role, &files, 400, true);
        let all: u64 = files.iter().map(|(_, _, number)| number).sum();
        let kept = all - sum(told.periods.iter());
        prop_assert!(kept < SMALLEST);
        prop_assert_eq!(told.below_from.is_some(), !files.is_empty());
    }
}

#[test]
fn a_small_day_is_told_with_the_next_and_a_late_file_changes_nothing_that_was_told() {
    let role = Role::Transit;
    let mut files = vec![(0, 1, 50), (1, 2, 4), (2, 3, 5), (4, 5, 8), (5, 6, 9)];
    let on = 6 + OPEN_DAYS;
    let told = report(role, &files, on, true);
    let period = |from, to, count| Period {
        from: after(from),
        to: after(to),
        count,
    };
    assert_eq!(told.periods, [period(0, 0, 50), period(1, 4, 17)]);
    assert_eq!(told.below_from, Some(after(5)));
    // Three of the first day, from a terminal that lay in a workshop: not 53 on a day of which 50 was told.
    files.push((0, on, 3));
    let told = report(role, &files, on + 1, true);
    assert_eq!(
        told.periods,
        [period(0, 0, 50), period(1, 4, 17), period(5, 6, 12)]
    );
    // Asked for by days, a period comes with its last one alone.
    assert_eq!(told.clone().within(after(1), after(3)).periods, [] as [Period; 0]);
    assert_eq!(told.within(after(4), after(4)).periods, [period(1, 4, 17)]);
    // The days that are still open are not told, be they as large as they like.
    let open = report(role, &[(9, 10, 1_000)], 9 + OPEN_DAYS, true);
    assert!(open.is_empty());
}

#[test]
fn a_door_is_told_by_operator_and_whole_months() {
    let gate = CountingTerminal {
        name: "gate 1".to_owned(),
        authentication_key: [4; 65],
        role: Role::Door,
        operator: "estate".to_owned(),
        line: Some("house 7".to_owned()),
        from: FIRST,
        withdrawn_after: None,
    };
    assert_eq!(gate.row(Answer::Accepted).line, None);
    let bus = CountingTerminal {
        role: Role::Transit,
        ..gate
    };
    assert_eq!(bus.row(Answer::Accepted).line.as_deref(), Some("house 7"));
    let files = [(3, 4, 6), (30, 31, 3), (40, 41, 2), (70, 71, 40)];
    let told = report(Role::Door, &files, 130, true);
    let months = Period {
        from: FIRST,
        to: date(2026, 2, 28),
        count: 11,
    };
    assert_eq!(told.periods[0], months);
    // A month is closed when its last day is.
    let march = date(2026, 3, 31);
    let days = |day: Date| i64::from((day - FIRST).get_days());
    let (open, closed) = (days(march) + OPEN_DAYS, days(march) + OPEN_DAYS + 1);
    assert_eq!(report(Role::Door, &files, open, true).periods, [months]);
    assert_eq!(report(Role::Door, &files, closed, true).periods[1].to, march);
}

#[test]
fn a_terminal_counts_from_its_first_day_to_its_last() {
    let bus = CountingTerminal {
        name: "bus 42".to_owned(),
        authentication_key: [4; 65],
        role: Role::Transit,
        operator: "buses".to_owned(),
        line: None,
        from: after(10),
        withdrawn_after: None,
    };
    assert!(!bus.counts_on(after(9)) && bus.counts_on(after(10)));
    let gone = bus.clone().withdrawn(after(20)).unwrap().unwrap();
    assert!(gone.counts_on(after(20)) && !gone.counts_on(after(21)));
    assert_eq!(gone.clone().withdrawn(after(20)).unwrap(), None);
    assert_eq!(
        gone.clone().withdrawn(after(21)).unwrap_err().code(),
        "WRONG_STATE"
    );
    assert!(gone.withdrawn(after(15)).unwrap().is_some());
    assert_eq!(bus.withdrawn(after(9)).unwrap_err().code(), "REVERSED");
}
