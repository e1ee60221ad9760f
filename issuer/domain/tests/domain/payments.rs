//! What is paid to payment terminals: lines, doubles, copies, evidence, gaps. Card specification, chapter 11.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, date};
use permit_domain::Digest;
use permit_domain::payment::{
    CardPseudonym, Check, CheckedFile, CheckedLine, DebitBefore, GenuineLine, Known, Registration, Settled,
    Sum, UnknownLine, missing_numbers, settle,
};
use proptest::prelude::*;

const DAY: Date = date(2026, 11, 21);

fn terminal(tid: u32) -> Registration {
    Registration {
        tid,
        name: format!("shop {tid}"),
        authentication_key: [4; 65],
        from: date(2026, 11, 1),
        to: date(2026, 11, 30),
        withdrawn_after: None,
    }
}

fn known(tids: &[u32]) -> Known {
    Known {
        terminals: tids.iter().map(|tid| (*tid, terminal(*tid))).collect(),
        ..Known::default()
    }
}

fn key(card: u8, seq: u32) -> Digest {
    Digest::of(&[[card; 4], seq.to_be_bytes()].concat())
}

fn line(tid: u32, card: u8, seq: u32, amount: u32, spent: u32) -> CheckedLine {
    CheckedLine {
        tid,
        day: DAY,
        amount,
        key: key(card, seq),
        check: Check::Genuine(Box::new(GenuineLine {
            pseudonym: CardPseudonym::from_bytes([card; 16]),
            seq,
            tac: [card + 100; 8],
            spent,
            loaded_known: true,
            given: u32::MAX,
            before: None,
        })),
    }
}

fn edit(mut line: CheckedLine, with: impl FnOnce(&mut GenuineLine)) -> CheckedLine {
    if let Check::Genuine(it) = &mut line.check {
        with(it);
    }
    line
}

/// The line, with the debit before it as the terminal saw it.
fn seen_before(line: CheckedLine, tid: u32, amount: u32) -> CheckedLine {
    let own = line.amount;
    edit(line, |it| {
        it.before = Some(DebitBefore {
            seq: it.seq - 1,
            tac: it.tac,
            tid,
            day: DAY,
            amount,
            spent: it.spent - own,
            key: key(it.pseudonym.as_bytes()[0], it.seq - 1),
        });
    })
}

fn file(tid: u32, number: u32, lines: Vec<CheckedLine>) -> CheckedFile {
    CheckedFile {
        tid,
        number,
        digest: Digest::of(&number.to_be_bytes()),
        lines,
        unknown: Vec::new(),
    }
}

fn sum(count: u64, fen: u64) -> Sum {
    Sum { count, fen }
}

/// The ledger after a batch.
fn after(mut known: Known, settled: &Settled) -> Known {
    for taken in &settled.taken {
        known.debits.insert((taken.pseudonym, taken.seq), taken.tac);
    }
    known.copied.extend(&settled.copied);
    for (pseudonym, fen) in &settled.paid_more {
        *known.paid.entry(*pseudonym).or_default() += fen;
    }
    known.waiting.extend(settled.waiting.iter().map(|w| w.key));
    known.waiting.retain(|w| !settled.resolved.contains(w));
    known.recovered.extend(&settled.recovered_keys);
    known
}

#[test]
fn a_line_that_comes_twice_is_paid_once_in_one_batch_and_in_two() {
    let known = known(&[1]);
    let first = settle(
        &known,
        &[file(1, 1, vec![line(1, 9, 5, 100, 100), line(1, 9, 5, 100, 100)])],
    );
    assert_eq!(
        (first.files[0].paid, first.files[0].doubled),
        (sum(1, 100), sum(1, 100))
    );
    let second = settle(
        &after(known, &first),
        &[file(1, 2, vec![line(1, 9, 5, 100, 100)])],
    );
    assert_eq!(
        (second.files[0].paid, second.files[0].doubled),
        (sum(0, 0), sum(1, 100))
    );
    assert!(second.taken.is_empty() && second.copied.is_empty());
}

#[test]
fn one_number_with_two_tacs_is_a_copied_card_and_nothing_of_it_is_paid() {
    let known = known(&[1, 2]);
    let other = edit(line(2, 9, 5, 900, 900), |it| it.tac = [1; 8]);
    let files = [
        file(1, 1, vec![line(1, 9, 5, 100, 100)]),
        file(2, 1, vec![other.clone()]),
    ];
    let both = settle(&known, &files);
    assert_eq!(both.files[0].copied, sum(1, 100));
    assert_eq!(both.files[1].copied, sum(1, 900));
    assert_eq!(both.copied, BTreeSet::from([CardPseudonym::from_bytes([9; 16])]));

    // One after the other: the second and everything later is not paid, and the card is named once.
    let first = settle(&known, &files[..1]);
    let ledger = after(known, &first);
    let second = settle(&ledger, &files[1..]);
    assert_eq!((second.files[0].copied, second.copied.len()), (sum(1, 900), 1));
    let third = settle(
        &after(ledger, &second),
        &[file(1, 2, vec![line(1, 9, 6, 50, 150)])],
    );
    assert_eq!((third.files[0].copied, third.copied.len()), (sum(1, 50), 0));
}

#[test]
fn evidence_that_contradicts_a_paid_line_is_a_copied_card_too() {
    let known = known(&[1, 2]);
    let first = settle(&known, &[file(1, 1, vec![line(1, 9, 5, 100, 100)])]);
    let next = edit(seen_before(line(2, 9, 6, 10, 110), 1, 100), |it| {
        it.before.as_mut().unwrap().tac = [1; 8];
    });
    let second = settle(&after(known, &first), &[file(2, 1, vec![next])]);
    assert_eq!(
        (second.files[0].paid, second.files[0].copied),
        (sum(0, 0), sum(1, 10))
    );
    assert_eq!(second.copied.len(), 1);
    assert!(second.recovered.is_empty());
}

#[test]
fn the_debit_of_a_lost_terminal_is_paid_to_it_from_what_the_next_one_saw_and_only_once() {
    let known = known(&[1, 2]);
    let evidence = || seen_before(line(2, 9, 6, 10, 110), 1, 100);
    let first = settle(&known, &[file(2, 1, vec![evidence()])]);
    assert_eq!(first.recovered, BTreeMap::from([(1, sum(1, 100))]));
    assert_eq!(first.files[0].paid, sum(1, 10));
    // Its own file comes after all, and the evidence once more.
    let ledger = after(known, &first);
    let second = settle(
        &ledger,
        &[
            file(1, 1, vec![line(1, 9, 5, 100, 100)]),
            file(2, 2, vec![evidence()]),
        ],
    );
    assert_eq!(
        (second.files[0].paid, second.files[0].doubled),
        (sum(0, 0), sum(1, 100))
    );
    assert!(second.recovered.is_empty());
}

#[test]
fn in_one_batch_the_terminals_own_line_goes_before_the_evidence() {
    let evidence = seen_before(line(2, 9, 6, 10, 110), 1, 100);
    let settled = settle(
        &known(&[1, 2]),
        &[
            file(2, 1, vec![evidence]),
            file(1, 1, vec![line(1, 9, 5, 100, 100)]),
        ],
    );
    assert_eq!(settled.files[1].paid, sum(1, 100));
    assert!(settled.recovered.is_empty());
}

#[test]
fn what_another_shop_saw_of_a_withdrawn_one_is_paid_only_if_it_had_handed_it_in_before() {
    let mut known = known(&[1, 2]);
    known.terminals.get_mut(&1).unwrap().withdrawn_after = Some(date(2026, 11, 22));
    let evidence = seen_before(line(2, 9, 6, 10, 110), 1, 100);
    let Check::Genuine(seen) = &evidence.check else {
        panic!("a genuine line")
    };
    let key = seen.before.as_ref().unwrap().key;
    let files = [file(2, 1, vec![evidence])];
    for (on, handed_in, paid) in [
        (date(2026, 11, 22), false, true),
        (date(2026, 11, 23), false, false),
        (date(2026, 11, 23), true, true),
    ] {
        known.on = Some(on);
        known.waiting = handed_in.then_some(key).into_iter().collect();
        let settled = settle(&known, &files);
        assert_eq!(settled.recovered.contains_key(&1), paid, "{on} {handed_in}");
        let unpaid = if paid { sum(0, 0) } else { sum(1, 100) };
        assert_eq!(settled.recovered_unregistered, unpaid, "{on} {handed_in}");
    }
}

#[test]
fn days_on_which_a_terminal_was_not_registered_are_never_paid() {
    let mut known = known(&[1, 2]);
    known.terminals.get_mut(&1).unwrap().withdrawn_after = Some(date(2026, 11, 20));
    let late = line(1, 9, 5, 100, 101);
    let early = CheckedLine {
        day: date(2026, 11, 20),
        ..line(1, 9, 4, 1, 1)
    };
    let strange = line(7, 9, 9, 5, 900);
    let evidence = seen_before(line(2, 8, 6, 10, 110), 1, 100);
    let settled = settle(
        &known,
        &[
            file(1, 1, vec![late, early]),
            file(7, 1, vec![strange]),
            file(2, 1, vec![evidence]),
        ],
    );
    assert_eq!(
        (settled.files[0].paid, settled.files[0].not_registered),
        (sum(1, 1), sum(1, 100))
    );
    assert_eq!(settled.files[1].not_registered, sum(1, 5));
    assert_eq!(settled.recovered_unregistered, sum(1, 100));
    assert!(settled.recovered.is_empty());
}

#[test]
fn a_merchant_is_not_paid_for_another_ones_lines_and_does_not_spoil_them() {
    let known = known(&[1, 2]);
    let stolen = settle(&known, &[file(2, 1, vec![line(1, 9, 5, 100, 100)])]);
    assert_eq!(
        (stolen.files[0].paid, stolen.files[0].other_terminal),
        (sum(0, 0), sum(1, 100))
    );
    let own = settle(
        &after(known, &stolen),
        &[file(1, 1, vec![line(1, 9, 5, 100, 100)])],
    );
    assert_eq!(own.files[0].paid, sum(1, 100));
}

#[test]
fn forged_lines_and_strangers_cards_are_counted_and_not_paid() {
    let forged = CheckedLine {
        check: Check::Forged,
        ..line(1, 9, 5, 100, 100)
    };
    let stranger = CheckedLine {
        check: Check::UnknownCard,
        ..line(1, 9, 5, 7, 100)
    };
    let settled = settle(&known(&[1]), &[file(1, 1, vec![forged, stranger])]);
    assert_eq!(settled.files[0].forged, sum(1, 100));
    assert_eq!(settled.files[0].unknown_card, sum(1, 7));
    assert!(settled.taken.is_empty());
}

#[test]
fn a_card_that_claims_money_that_nobody_gave_it_is_not_paid_and_is_denied() {
    let rich = edit(line(1, 9, 5, 100, 100), |it| it.loaded_known = false);
    let settled = settle(&known(&[1]), &[file(1, 1, vec![rich, line(1, 9, 6, 3, 103)])]);
    assert_eq!(
        (settled.files[0].overdrawn, settled.files[0].copied),
        (sum(1, 100), sum(1, 3))
    );
    assert_eq!(settled.copied.len(), 1);
}

#[test]
fn new_numbers_whose_figures_do_not_add_up_are_a_broken_card_and_nothing_of_it_is_paid() {
    // Whoever has the keys of an opened card signs as many numbers as he likes over the same 100 fen.
    let again = vec![line(1, 9, 5, 100, 100), line(1, 9, 6, 100, 100)];
    let backwards = vec![line(1, 9, 5, 10, 500), line(1, 9, 8, 10, 400)];
    let more_than_spent = vec![line(1, 9, 5, 100, 99)];
    let gap_in_a_row = vec![line(1, 9, 5, 100, 100), line(1, 9, 6, 10, 510)];
    let evidence = vec![seen_before(line(1, 9, 6, 50, 150), 2, 101)];
    for lines in [again, backwards, more_than_spent, gap_in_a_row, evidence] {
        let count = u64::try_from(lines.len()).unwrap();
        let settled = settle(&known(&[1, 2]), &[file(1, 1, lines)]);
        assert_eq!(settled.files[0].copied.count, count);
        assert_eq!((settled.files[0].paid, settled.gaps), (sum(0, 0), sum(0, 0)));
        assert!(settled.taken.is_empty() && settled.recovered.is_empty());
        assert_eq!(settled.copied.len(), 1);
    }
}

fn given(line: CheckedLine, given: u32) -> CheckedLine {
    edit(line, |it| it.given = given)
}

#[test]
fn forged_new_numbers_over_many_imports_are_paid_up_to_what_the_card_was_given_and_no_further() {
    // Figures that add up in each import by itself: the same 400 of the card's 1000 fen again and again.
    let forged = |seq| given(line(1, 9, seq, 400, 400), 1_000);
    let mut ledger = known(&[1, 2]);
    for (number, seq) in [(1, 5), (2, 6)] {
        let settled = settle(&ledger, &[file(1, number, vec![forged(seq)])]);
        assert_eq!(settled.files[0].paid, sum(1, 400));
        ledger = after(ledger, &settled);
    }
    let third = settle(&ledger, &[file(1, 3, vec![forged(7)])]);
    assert_eq!(
        (third.files[0].paid, third.files[0].copied),
        (sum(0, 0), sum(1, 400))
    );
    assert_eq!(third.copied.len(), 1);
    assert!(third.taken.is_empty() && third.paid_more.is_empty());

    // As evidence of a terminal's lost debit it is the same money.
    let as_evidence = seen_before(given(line(2, 9, 9, 1, 401), 1_000), 1, 400);
    let evidence = settle(&ledger, &[file(2, 1, vec![as_evidence])]);
    assert!(evidence.recovered.is_empty() && evidence.copied.len() == 1);

    // To the last fen it is paid; and once the card was found, a load brings nothing back.
    let last = settle(
        &ledger,
        &[file(1, 3, vec![given(line(1, 9, 7, 200, 1_000), 1_000)])],
    );
    assert_eq!((last.files[0].paid, last.copied.len()), (sum(1, 200), 0));
    let loaded = settle(
        &after(ledger, &third),
        &[file(1, 4, vec![given(line(1, 9, 8, 1, 401), 9_000)])],
    );
    assert_eq!(loaded.files[0].copied, sum(1, 1));
}

#[test]
fn an_import_that_claims_too_much_is_paid_nothing_of_whatever_line_comes_first() {
    let lines = [
        given(line(1, 9, 5, 600, 600), 1_000),
        given(line(1, 9, 7, 600, 1_200), 1_000),
    ];
    let turned = lines.iter().rev().cloned().collect();
    for lines in [lines.to_vec(), turned] {
        let settled = settle(&known(&[1]), &[file(1, 1, lines)]);
        assert_eq!(
            (settled.files[0].paid, settled.files[0].copied),
            (sum(0, 0), sum(2, 1_200))
        );
    }
}

#[test]
fn what_is_not_paid_counts_for_nothing_and_a_debit_in_line_and_evidence_counts_once() {
    // 600 at a terminal that is not registered, and one debit of 600 as a line, as evidence, and once more a month later.
    let first = given(line(1, 9, 6, 600, 1_200), 1_300);
    let shown = given(seen_before(line(2, 9, 7, 50, 1_250), 1, 600), 1_300);
    let stranger = seen_before(first.clone(), 77, 600);
    let settled = settle(
        &known(&[1, 2]),
        &[file(1, 1, vec![stranger]), file(2, 1, vec![shown.clone()])],
    );
    assert!(settled.copied.is_empty());
    assert_eq!(settled.recovered_unregistered, sum(1, 600));
    let pseudonym = CardPseudonym::from_bytes([9; 16]);
    assert_eq!(settled.paid_more, BTreeMap::from([(pseudonym, 650)]));
    let again = settle(
        &after(known(&[1, 2]), &settled),
        &[file(1, 2, vec![first]), file(2, 2, vec![shown])],
    );
    assert!(again.copied.is_empty() && again.paid_more.is_empty());
    assert_eq!(again.files[0].doubled, sum(1, 600));
}

/// How a debit of an honest card comes to the office.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Line,
    LineAndEvidence,
    EvidenceAlone,
}

proptest! {
    #[test]
    fn a_card_that_spends_what_it_has_is_never_found_copied_in_whatever_order_its_debits_come(
        debits in prop::collection::vec(
            (1u32..500, 0u32..3, prop::sample::select(vec![Way::Line, Way::LineAndEvidence, Way::EvidenceAlone])),
            1..12,
        ),
        order in any::<prop::sample::Index>(),
        cut in 1usize..5,
    ) {
        // Each debit: amount, how much is loaded beyond it, and how the debit before it comes.
        let (mut loaded, mut spent) = (0u32, 0u32);
        let mut lines: Vec<CheckedLine> = Vec::new();
        let mut known_amounts: BTreeMap<u32, u32> = BTreeMap::new();
        let mut before: Option<u32> = None;
        for (seq, (amount, more, way)) in (5u32..).zip(&debits) {
            spent += amount;
            loaded = loaded.max(spent + more);
            let mut one = given(line(1, 9, seq, *amount, spent), loaded);
            if let Some(before) = before.filter(|_| *way != Way::Line) {
                one = seen_before(one, 2, before);
                if *way == Way::EvidenceAlone {
                    lines.pop();
                }
            }
            lines.push(one);
            before = Some(*amount);
        }
        for line in &lines {
            if let Check::Genuine(it) = &line.check {
                known_amounts.insert(it.seq, line.amount);
                known_amounts.extend(it.before.iter().map(|before| (before.seq, before.amount)));
            }
        }
        let turn = order.index(lines.len());
        lines.rotate_left(turn);
        if turn % 2 == 1 {
            lines.reverse();
        }
        // The vault had given at least what the card was loaded with when it made the debits that came so far.
        let (mut ledger, mut most) = (known(&[1, 2]), 0);
        for (number, part) in (1u32..).zip(lines.chunks(cut)) {
            let mut part = part.to_vec();
            for line in &part {
                if let Check::Genuine(it) = &line.check {
                    most = it.given.max(most);
                }
            }
            part = part.into_iter().map(|line| given(line, most)).collect();
            let settled = settle(&ledger, &[file(1, number, part)]);
            prop_assert!(settled.copied.is_empty());
            ledger = after(ledger, &settled);
        }
        let known_amounts: u64 = known_amounts.into_values().map(u64::from).sum();
        prop_assert_eq!(ledger.paid.values().sum::<u64>(), known_amounts);
    }
}

#[test]
fn an_honest_card_with_loads_between_and_late_lines_is_never_found_copied() {
    // Loaded 1000, spends 900; loaded 500 more, spends 550; the first shop's file comes last, after everything was spent.
    let mut ledger = known(&[1, 2, 3]);
    let batches = [
        (2, given(line(2, 9, 6, 300, 900), 1_000), 300),
        (3, given(line(3, 9, 8, 150, 1_450), 1_500), 150),
        (2, given(line(2, 9, 7, 400, 1_300), 1_500), 400),
        (1, given(line(1, 9, 5, 600, 600), 1_500), 600),
        (3, given(line(3, 9, 9, 50, 1_500), 1_500), 50),
    ];
    for (number, (tid, line, fen)) in (1u32..).zip(batches) {
        let settled = settle(&ledger, &[file(tid, number, vec![line])]);
        assert_eq!(settled.files[0].paid, sum(1, fen));
        assert!(settled.copied.is_empty());
        ledger = after(ledger, &settled);
    }
    assert_eq!(ledger.paid[&CardPseudonym::from_bytes([9; 16])], 1_500);
}

#[test]
fn an_unknown_debit_waits_until_evidence_comes_and_is_paid_once() {
    let known = known(&[1, 2]);
    let unknown = UnknownLine {
        tid: 1,
        day: DAY,
        amount: 100,
        key: key(9, 5),
    };
    let mut gave_up = file(1, 1, Vec::new());
    gave_up.unknown = vec![unknown.clone(), unknown.clone()];
    let first = settle(&known, &[gave_up]);
    assert_eq!(
        (first.files[0].waiting, first.files[0].paid),
        (sum(1, 100), sum(0, 0))
    );
    let ledger = after(known.clone(), &first);
    let second = settle(
        &ledger,
        &[file(2, 1, vec![seen_before(line(2, 9, 6, 10, 110), 1, 100)])],
    );
    assert_eq!(second.recovered, BTreeMap::from([(1, sum(1, 100))]));
    assert_eq!(second.resolved, BTreeSet::from([key(9, 5)]));

    // The other way round: the evidence first, the unknown line after it.
    let evidence = settle(
        &known,
        &[file(2, 1, vec![seen_before(line(2, 9, 6, 10, 110), 1, 100)])],
    );
    let mut late = file(1, 1, Vec::new());
    late.unknown = vec![unknown];
    let late = settle(&after(known, &evidence), &[late]);
    assert_eq!(
        (late.files[0].resolved, late.files[0].waiting),
        (sum(1, 100), sum(0, 0))
    );
    assert!(late.recovered.is_empty());
}

#[test]
fn missing_debits_are_counted_and_summed_where_the_cards_figures_show_it() {
    let lines = vec![line(1, 9, 5, 100, 100), line(1, 9, 9, 10, 510)];
    let settled = settle(&known(&[1]), &[file(1, 1, lines)]);
    assert_eq!(settled.gaps, sum(3, 400));
    // A debit between them that the ledger knows, whose amount it does not keep, leaves no sum to tell.
    let mut partly = known(&[1]);
    partly
        .debits
        .insert((CardPseudonym::from_bytes([9; 16]), 7), [9; 8]);
    let lines = vec![line(1, 9, 5, 100, 100), line(1, 9, 9, 10, 510)];
    assert_eq!(settle(&partly, &[file(1, 1, lines)]).gaps, sum(0, 0));
}

#[test]
fn missing_file_numbers_are_named() {
    assert_eq!(missing_numbers(&BTreeSet::from([1, 2, 5])), [3, 4]);
    assert!(missing_numbers(&BTreeSet::new()).is_empty());
}

#[test]
fn a_chain_is_not_shown_by_debug() {
    let settled = settle(&known(&[1]), &[file(1, 1, vec![line(1, 9, 5, 100, 100)])]);
    assert!(!format!("{settled:?}").contains("9, 9"));
}

/// A card's honest history: amounts, each at one of three shops.
fn history() -> impl Strategy<Value = Vec<(u32, u32)>> {
    proptest::collection::vec((1_u32..=3, 1_u32..500), 1..12)
}

proptest! {
    #[test]
    fn whatever_is_lost_doubled_or_late_nobody_is_paid_more_than_was_spent(
        debits in history(),
        picks in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..30),
        cuts in 1_usize..5,
    ) {
        let mut spent = 0;
        let mut lines = Vec::new();
        for (index, (tid, amount)) in debits.iter().enumerate() {
            spent += amount;
            let made = line(*tid, 9, u32::try_from(index).unwrap() + 10, *amount, spent);
            let shown = match index.checked_sub(1).map(|i| debits[i]) {
                Some((tid, amount)) => seen_before(made.clone(), tid, amount),
                None => made.clone(),
            };
            lines.push((made, shown));
        }
        let picked: Vec<CheckedLine> = picks
            .iter()
            .map(|(at, with)| {
                let (made, shown) = at.get(&lines);
                if *with { shown.clone() } else { made.clone() }
            })
            .collect();
        let mut ledger = known(&[1, 2, 3]);
        let mut paid: BTreeMap<u32, u64> = BTreeMap::new();
        let size = picked.len().div_ceil(cuts).max(1);
        for (number, part) in picked.chunks(size).enumerate() {
            let files: Vec<CheckedFile> = (1..=3)
                .map(|tid| {
                    let own = part.iter().filter(|l| l.tid == tid).cloned().collect();
                    file(tid, u32::try_from(number).unwrap() + 1, own)
                })
                .collect();
            let settled = settle(&ledger, &files);
            prop_assert!(settled.copied.is_empty());
            for (file, sums) in files.iter().zip(&settled.files) {
                *paid.entry(file.tid).or_default() += sums.paid.fen;
                let all = sums.paid.and(sums.doubled);
                prop_assert_eq!(all.count, u64::try_from(file.lines.len()).unwrap());
            }
            for (tid, sum) in &settled.recovered {
                *paid.entry(*tid).or_default() += sum.fen;
            }
            ledger = after(ledger, &settled);
        }
        // Everything that some file shows is paid to the shop that sold it, exactly once.
        let covered: BTreeSet<u32> = ledger.debits.keys().map(|(_, seq)| *seq).collect();
        for tid in 1..=3 {
            let owed: u64 = debits
                .iter()
                .enumerate()
                .filter(|(i, (t, _))| *t == tid && covered.contains(&(u32::try_from(*i).unwrap() + 10)))
                .map(|(_, (_, amount))| u64::from(*amount))
                .sum();
            prop_assert_eq!(paid.get(&tid).copied().unwrap_or_default(), owed);
        }
    }
}
