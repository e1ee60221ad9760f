//! Properties of what terminals load and hand in (chapters 08 and 11): settlement file, counters file, list file, and the
//! registration number of a bundle. What is written is read again, nothing that comes in makes a parser panic, a single
//! flipped bit of anything signed is refused, and what must not be written is not.
use crate::support::rng;
use card_applet_spec::codes::Role;
use card_applet_spec::counters::{self, Count, Counted, CountersHead, UnverifiedCounters};
use card_applet_spec::crypto::PrivateKey;
use card_applet_spec::date::Date;
use card_applet_spec::deny_list::{Age, DenyList, has_grace, lists_of_file};
use card_applet_spec::door_f::{CommitBody, TapPlain};
use card_applet_spec::settlement::{self, Before, Line, SettlementHead, Unknown, UnverifiedSettlement};
use card_applet_spec::{Bytes, Error};
use proptest::array::{uniform8, uniform16};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const TID: u32 = 4711;

fn signer() -> PrivateKey {
    PrivateKey::from_bytes(&[0x11; 32]).unwrap()
}

fn other() -> PrivateKey {
    PrivateKey::from_bytes(&[0x22; 32]).unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

prop_compose! {
    fn body()(amount in any::<u32>(), txno in uniform8(any::<u8>()), time in any::<u32>(), kind in any::<u8>()) -> CommitBody {
        CommitBody { amount, tid: TID, txno, time, kind }
    }
}

prop_compose! {
    fn before()(
        seq in any::<u32>(), loaded in any::<u32>(), spent in any::<u32>(), last_txno in uniform8(1_u8..),
        masked in uniform16(any::<u8>()), tac in uniform8(any::<u8>()),
    ) -> Before {
        Before { seq, loaded, spent, last_txno, masked, tac }
    }
}

prop_compose! {
    fn line()(
        kv in 1_u8.., pid in uniform16(any::<u8>()), body in body(), seq in any::<u32>(), loaded in any::<u32>(),
        spent in any::<u32>(), tac in uniform8(any::<u8>()), before in proptest::option::of(before()),
    ) -> Line {
        Line { kv, pid, body, seq, loaded, spent, tac, before }
    }
}

prop_compose! {
    fn unknown()(kv in 1_u8.., pid in uniform16(any::<u8>()), body in body(), seq in any::<u32>()) -> Unknown {
        Unknown { kv, pid, body, seq }
    }
}

fn settlement_file(head: &SettlementHead<'_>, lines: &[Line], unknown: &[Unknown]) -> Result<Vec<u8>, Error> {
    let mut out = vec![0; settlement::encoded_len(lines.len(), unknown.len())];
    let used = settlement::encode(head, lines, unknown, &signer(), &mut rng(1), &mut out)?;
    out.truncate(used);
    Ok(out)
}

fn counters_file(head: &CountersHead<'_>, counts: &[Count]) -> Result<Vec<u8>, Error> {
    let mut out = vec![0; counters::encoded_len(counts.len())];
    let used = counters::encode(head, counts, &signer(), &mut rng(1), &mut out)?;
    out.truncate(used);
    Ok(out)
}

fn sample_line() -> Line {
    Line {
        kv: 3,
        pid: [1; 16],
        body: CommitBody {
            amount: 1250,
            tid: TID,
            txno: [2; 8],
            time: 848_000_000,
            kind: 0,
        },
        seq: 8,
        loaded: 10_000,
        spent: 1250,
        tac: [3; 8],
        before: Some(Before {
            seq: 7,
            loaded: 10_000,
            spent: 0,
            last_txno: [4; 8],
            masked: [5; 16],
            tac: [6; 8],
        }),
    }
}

fn sample_unknown() -> Unknown {
    let line = sample_line();
    Unknown {
        kv: line.kv,
        pid: line.pid,
        body: line.body,
        seq: 7,
    }
}

const HEAD: SettlementHead<'_> = SettlementHead {
    terminal: "小店 1",
    tid: TID,
    number: 1,
};

fn counters_head() -> CountersHead<'static> {
    CountersHead {
        terminal: "公交 42",
        day: day("2026-11-21"),
    }
}

const COUNTS: [Count; 2] = [
    Count {
        role: Role::Transit,
        counted: Counted::Accepted,
        number: 9000,
    },
    Count {
        role: Role::Transit,
        counted: Counted::NotActive,
        number: 12,
    },
];

fn list(role: Role, grace: Option<u16>) -> Vec<u8> {
    let list = DenyList {
        role,
        version: 12,
        issued: day("2026-11-21"),
        max_age: 7,
        entries: &[1; 8],
        grace,
    };
    let signature = list.sign(&signer(), &mut [0; 128], &mut rng(5)).unwrap();
    let mut out = Bytes::<256>::new();
    list.encode_template(&signature, &mut out).unwrap();
    out.to_vec()
}

fn no_bit_may_flip(bytes: &[u8], accepts: impl Fn(&[u8]) -> bool) {
    assert!(accepts(bytes));
    for bit in 0..bytes.len() * 8 {
        let mut wrong = bytes.to_vec();
        wrong[bit / 8] ^= 0x80 >> (bit % 8);
        assert!(!accepts(&wrong), "bit {bit}");
    }
}

#[test]
fn no_bit_of_a_settlement_file_may_flip() {
    let file = settlement_file(&HEAD, &[sample_line()], &[sample_unknown()]).unwrap();
    let key = signer().public();
    no_bit_may_flip(&file, |bytes| {
        UnverifiedSettlement::parse(bytes).is_ok_and(|file| file.verify(&key).is_ok())
    });
}

#[test]
fn no_bit_of_a_counters_file_may_flip() {
    let file = counters_file(&counters_head(), &COUNTS).unwrap();
    let key = signer().public();
    no_bit_may_flip(&file, |bytes| {
        UnverifiedCounters::parse(bytes).is_ok_and(|file| file.verify(&key).is_ok())
    });
}

#[test]
fn no_bit_of_a_list_file_may_flip() {
    let file = [list(Role::Transit, Some(3)), list(Role::Door, None)].concat();
    let key = signer().public();
    no_bit_may_flip(&file, |bytes| {
        lists_of_file(bytes).all(|list| list.is_ok_and(|list| DenyList::parse_and_verify(list, &key).is_ok()))
    });
}

#[test]
fn the_files_of_two_kinds_are_not_taken_for_each_other() {
    let settlement = settlement_file(&HEAD, &[], &[]).unwrap();
    let counters = counters_file(&counters_head(), &[]).unwrap();
    assert!(UnverifiedCounters::parse(&settlement).is_err());
    assert!(UnverifiedSettlement::parse(&counters).is_err());
    assert!(
        UnverifiedSettlement::parse(&settlement)
            .unwrap()
            .verify(&other().public())
            .is_err()
    );
    assert!(
        UnverifiedCounters::parse(&counters)
            .unwrap()
            .verify(&other().public())
            .is_err()
    );
}

#[test]
fn a_settlement_file_that_must_not_be_written_is_not() {
    let of_another_tid = Line {
        body: CommitBody {
            tid: TID + 1,
            ..sample_line().body
        },
        ..sample_line()
    };
    assert!(settlement_file(&HEAD, &[of_another_tid], &[]).is_err());
    let without_version = Unknown {
        kv: 0,
        ..sample_unknown()
    };
    assert!(settlement_file(&HEAD, &[], &[without_version]).is_err());
    assert!(settlement_file(&SettlementHead { number: 0, ..HEAD }, &[], &[]).is_err());
    assert!(settlement_file(&SettlementHead { terminal: "", ..HEAD }, &[], &[]).is_err());
}

#[test]
fn counts_out_of_order_twice_or_of_nothing_are_not_written() {
    let head = counters_head();
    let [first, second] = COUNTS;
    assert!(counters_file(&head, &[second, first]).is_err());
    assert!(counters_file(&head, &[first, first]).is_err());
    assert!(counters_file(&head, &[Count { number: 0, ..first }]).is_err());
    let without_day = CountersHead {
        day: Date::NONE,
        ..head
    };
    assert!(counters_file(&without_day, &[]).is_err());
}

#[test]
fn a_card_that_was_never_debited_shows_nothing_before() {
    let mut tap = TapPlain {
        pid: [1; 16],
        seq: 9,
        loaded: 5,
        spent: 0,
        last_txno: [0; 8],
        masked: [0; 16],
        tac: [0; 8],
        record: [0; 160],
    };
    assert_eq!(Before::of_tap(&tap), None);
    assert!(Before::parse(&[0; 44]).is_err());
    tap.last_txno = [7; 8];
    let before = Before::of_tap(&tap).unwrap();
    assert_eq!((before.seq, before.last_txno), (9, [7; 8]));
}

#[test]
fn a_list_file_is_read_to_its_first_fault_and_an_empty_one_is_none() {
    let (one, two) = (list(Role::Transit, None), list(Role::Door, None));
    assert_eq!(lists_of_file(&[one.clone(), two.clone()].concat()).count(), 2);
    assert!(lists_of_file(&[]).next().unwrap().is_err());
    let mut broken = [one.clone(), two].concat();
    broken.pop();
    let read: Vec<_> = lists_of_file(&broken).map(|list| list.is_ok()).collect();
    assert_eq!(read, [true, false]);
    let with_more = [&one[..], &[0x80, 0x00]].concat();
    assert!(lists_of_file(&with_more).last().unwrap().is_err());
}

#[test]
fn grace_is_for_a_bus_and_a_clinic_and_ends() {
    let with = list(Role::Transit, Some(3));
    let inside = lists_of_file(&with).next().unwrap().unwrap();
    let list = DenyList::parse_and_verify(inside, &signer().public()).unwrap();
    for (on, age) in [
        ("2026-11-20", Age::TooOld),
        ("2026-11-21", Age::Fresh),
        ("2026-11-28", Age::Fresh),
        ("2026-11-29", Age::InGrace),
        ("2026-12-01", Age::InGrace),
        ("2026-12-02", Age::TooOld),
    ] {
        assert_eq!(list.age_on(day(on)), age, "{on}");
        assert_eq!(list.is_fresh_on(day(on)), age == Age::Fresh);
    }
    let without = DenyList { grace: None, ..list };
    assert_eq!(without.age_on(day("2026-11-29")), Age::TooOld);
    let served: Vec<_> = Role::ALL.iter().filter(|role| has_grace(**role)).collect();
    assert_eq!(served, [&Role::Transit, &Role::Clinic]);
}

#[test]
fn nothing_of_a_card_is_in_the_debug_of_a_line() {
    let text = format!(
        "{:?} {:?} {:?}",
        sample_line(),
        sample_unknown(),
        sample_line().before
    );
    assert_eq!(
        text,
        "Line(a debit of a card) Unknown(a purchase) Some(Before(a debit of a card))"
    );
}

proptest! {
    #[test]
    fn a_settlement_file_is_read_as_it_was_written(
        terminal in "\\PC{1,16}", number in 1_u32.., lines in vec(line(), 0..6), unknown in vec(unknown(), 0..4),
    ) {
        let head = SettlementHead { terminal: &terminal, tid: TID, number };
        let file = settlement_file(&head, &lines, &unknown).unwrap();
        let read = UnverifiedSettlement::parse(&file).unwrap();
        prop_assert_eq!(read.head(), &head);
        let read = read.verify(&signer().public()).unwrap();
        prop_assert!(read.lines().eq(lines));
        prop_assert!(read.unknown().eq(unknown));
    }

    #[test]
    fn a_counters_file_is_read_as_it_was_written(
        terminal in "\\PC{1,16}",
        counts in proptest::collection::btree_map((select(Role::ALL), select(Counted::ALL)), 1_u32.., 0..20),
    ) {
        let head = CountersHead { terminal: &terminal, ..counters_head() };
        let counts: Vec<Count> = counts.into_iter().map(|((role, counted), number)| Count { role, counted, number }).collect();
        let file = counters_file(&head, &counts).unwrap();
        let read = UnverifiedCounters::parse(&file).unwrap();
        prop_assert_eq!((read.terminal(), read.day()), (&terminal[..], head.day));
        let read = read.verify(&signer().public()).unwrap();
        prop_assert_eq!(read.head, head);
        prop_assert!(read.counts().eq(counts));
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>()) {
        let _ = UnverifiedSettlement::parse(&bytes);
        let _ = UnverifiedCounters::parse(&bytes);
        let _ = Before::parse(&bytes);
        let _ = lists_of_file(&bytes).count();
        // And from something that is right but for a few bytes.
        let files = [
            settlement_file(&HEAD, &[sample_line()], &[sample_unknown()]).unwrap(),
            counters_file(&counters_head(), &COUNTS).unwrap(),
            list(Role::Transit, Some(3)),
        ];
        for mut file in files {
            let place = at.index(file.len());
            for (to, from) in file.iter_mut().skip(place).zip(bytes.iter().take(4)) {
                *to = *from;
            }
            let _ = UnverifiedSettlement::parse(&file).map(|file| file.verify(&signer().public()).is_ok());
            let _ = UnverifiedCounters::parse(&file).map(|file| file.verify(&signer().public()).is_ok());
            for list in lists_of_file(&file).flatten() {
                let _ = DenyList::parse_and_verify(list, &signer().public());
            }
        }
    }
}
