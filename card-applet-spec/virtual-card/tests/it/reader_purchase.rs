//! Purchases from a terminal's side, against the real applet in process (chapters 06 and 11): the retry rule under lost
//! answers, other cards, forged answers and losses of power, and money conserved in all of them.

use std::path::PathBuf;

use crate::reader_fixture::{CAP, Issuer, KV, LOADED, TID, Wanted, Wire, day, today};
use card_applet_spec::codes::Role;
use card_applet_spec::crypto::PublicKey;
use card_applet_spec::settlement::UnverifiedSettlement;
use card_reader::door_f::NoWatch;
use card_reader::journal::{Journal, JournalError};
use card_reader::purchase::{Moment, Outcome, PurchaseError, Sale, Till};
use card_reader::transport::Transport;
use card_reader::{Card, Check, Error, Folder, Reason, Terminal, TerminalKey};
use virtual_card::InProcess;
use virtual_card::fault::{Fault, Faulty};

const AMOUNT: u32 = 1_250;
const NOW: u32 = 848_534_400;
const ROLES: [Role; 2] = [Role::Transit, Role::SmallPayment];

fn moment() -> Moment {
    Moment {
        today: today(),
        seconds: NOW,
    }
}

/// A shop, its terminal, and the folder that survives a loss of power.
struct Shop {
    issuer: Issuer,
    key: TerminalKey,
    terminal: Terminal,
    folder: tempfile::TempDir,
}

impl Shop {
    fn new(seed: u8) -> Self {
        let mut issuer = Issuer::new(seed);
        let (key, bundle) = issuer.terminal(&Wanted::of(&[Role::SmallPayment]));
        Self {
            issuer,
            key,
            terminal: Terminal::new(bundle),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    fn journal(&self) -> Journal {
        Journal::open_file(&self.path(), TID).unwrap()
    }

    /// Every call opens the journal anew: as after a loss of power.
    fn sell(&mut self, wire: &mut dyn Transport, amount: u32) -> Result<Outcome, PurchaseError> {
        let mut journal = self.journal();
        Till::new(&mut self.terminal, &mut journal).sell(
            wire,
            amount,
            moment(),
            &NoWatch,
            &mut self.issuer.rng,
        )
    }

    fn again(&mut self, wire: &mut dyn Transport) -> Result<Outcome, PurchaseError> {
        let mut journal = self.journal();
        Till::new(&mut self.terminal, &mut journal).again(wire, moment(), &NoWatch, &mut self.issuer.rng)
    }

    fn balance(&mut self, wire: &mut dyn Transport) -> u32 {
        let card = Card::new(wire).select().unwrap();
        self.terminal
            .open(card, Role::SmallPayment, today(), &NoWatch, &mut self.issuer.rng)
            .unwrap()
            .balance()
    }
}

fn sold(outcome: Result<Outcome, PurchaseError>) -> Sale {
    match outcome {
        Ok(Outcome::Sold(sale)) => sale,
        other => panic!("not sold: {other:?}"),
    }
}

fn refused(outcome: Result<Outcome, PurchaseError>) -> (Reason, Check) {
    match outcome {
        Ok(Outcome::Refused(refusal)) | Err(PurchaseError::Card(Error::Refused(refusal))) => {
            (refusal.reason, refusal.check)
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_purchase_is_debited_once_proved_and_stands_in_the_settlement_file() {
    let mut shop = Shop::new(1);
    let (mut reader, _, made) = shop.issuer.active_card(1, &ROLES);
    let first = sold(shop.sell(&mut reader, AMOUNT));
    assert_eq!(
        (first.amount, first.before, first.after, first.tid, first.seconds),
        (AMOUNT, LOADED, LOADED - AMOUNT, TID, NOW)
    );
    assert!(!first.earlier);
    let second = sold(shop.sell(&mut reader, CAP));
    assert_eq!(
        (second.before, second.after),
        (LOADED - AMOUNT, LOADED - AMOUNT - CAP)
    );
    assert_eq!(shop.balance(&mut reader), LOADED - AMOUNT - CAP);

    let journal = shop.journal();
    let file = journal
        .settlement(&shop.key, &mut shop.issuer.rng)
        .unwrap()
        .unwrap();
    let authentication = PublicKey::from_point65(&shop.key.request().authentication_key).unwrap();
    let file = UnverifiedSettlement::parse(&file)
        .unwrap()
        .verify(&authentication)
        .unwrap();
    let lines: Vec<_> = file.lines().collect();
    assert_eq!(file.head.tid, TID);
    assert_eq!(lines.len(), 2);
    let pid = made.pid(Role::SmallPayment);
    for line in &lines {
        // What the vault does with it: the card's own code under a key that no terminal has.
        let ktac = shop.issuer.tac_key(KV, &line.pid);
        let tac = line
            .body
            .tac(
                &ktac,
                Role::SmallPayment.code(),
                KV,
                &line.pid,
                line.seq,
                line.loaded,
                line.spent,
            )
            .unwrap();
        assert_eq!((line.tac, line.pid), (tac, pid));
    }
    assert_eq!(lines[0].before, None, "never debited before");
    let before = lines[1].before.unwrap();
    assert_eq!(
        (before.seq, before.tac, before.last_txno),
        (lines[0].seq, lines[0].tac, first.txno)
    );
    assert_eq!((before.loaded, before.spent), (LOADED, AMOUNT));
}

#[test]
fn a_cut_at_any_command_is_mended_by_presenting_the_same_card_and_debits_once() {
    // SELECT, TAP, COMMIT.
    for at in 1..=3 {
        for after in [false, true] {
            // A second cut at any command of the next attempt, or none.
            for second in 0..=3 {
                let mut shop = Shop::new(2);
                let (reader, ..) = shop.issuer.active_card(1, &ROLES);
                let cut = || if after { Fault::CutAfter } else { Fault::CutBefore };
                let mut wire = Faulty::new(reader).with(at, cut());
                if second > 0 {
                    wire = wire.with(at + second, cut());
                }
                let mut outcome = shop.sell(&mut wire, AMOUNT);
                let mut attempts = 0;
                while !matches!(outcome, Ok(Outcome::Sold(_))) {
                    attempts += 1;
                    assert!(attempts < 5, "cut at {at} {after} {second}: {outcome:?}");
                    wire.reset().unwrap();
                    let open = shop.journal().open().is_some();
                    match &outcome {
                        Ok(Outcome::PresentAgain(_)) => assert!(open),
                        Err(PurchaseError::Card(Error::Transport(_))) => {}
                        other => panic!("cut at {at} {after} {second}: {other:?}"),
                    }
                    outcome = if open {
                        shop.again(&mut wire)
                    } else {
                        shop.sell(&mut wire, AMOUNT)
                    };
                }
                assert_eq!(
                    shop.balance(&mut wire),
                    LOADED - AMOUNT,
                    "cut at {at} {after} {second}"
                );
                let journal = shop.journal();
                assert_eq!((journal.lines().len(), journal.open()), (1, None));
            }
        }
    }
}

#[test]
fn any_bit_flipped_in_the_answer_to_commit_leaves_the_outcome_open_and_the_debit_single() {
    let mut shop = Shop::new(3);
    let (reader, ..) = shop.issuer.active_card(1, &ROLES);
    let mut wire = Faulty::new(reader);
    let mut spent = 0;
    for bit in 0..27 * 8 {
        let place = wire.sent() + 3;
        wire = wire.with(place, Fault::FlipBit(bit));
        let amount = 1 + bit % 3;
        let outcome = shop.sell(&mut wire, amount);
        match outcome {
            // A changed status is asked for again at once, by a fresh tap.
            Ok(Outcome::Sold(sale)) => assert!(sale.earlier && bit >= 25 * 8, "bit {bit}"),
            Ok(Outcome::PresentAgain(_)) => {
                assert!(bit < 25 * 8, "bit {bit}");
                let sale = sold(shop.again(&mut wire));
                assert!(sale.earlier);
            }
            other => panic!("bit {bit}: {other:?}"),
        }
        spent += amount;
    }
    assert_eq!(shop.balance(&mut wire), LOADED - spent);
    assert_eq!(shop.journal().lines().len(), 27 * 8);
}

#[test]
fn another_card_in_between_is_never_debited() {
    let mut shop = Shop::new(4);
    let (mine, _, _) = shop.issuer.active_card(1, &ROLES);
    let (mut other, _, _) = shop.issuer.active_card(2, &ROLES);
    let mut wire = Faulty::new(mine).with(3, Fault::CutAfter);
    assert!(matches!(
        shop.sell(&mut wire, AMOUNT),
        Ok(Outcome::PresentAgain(_))
    ));
    for _ in 0..2 {
        assert_eq!(shop.again(&mut other).unwrap(), Outcome::OtherCard);
    }
    assert!(
        matches!(
            shop.sell(&mut other, AMOUNT),
            Err(PurchaseError::Journal(JournalError::StillOpen))
        ),
        "nothing else is sold while a purchase is open"
    );
    assert_eq!(shop.balance(&mut other), LOADED);
    wire.reset().unwrap();
    assert!(sold(shop.again(&mut wire)).earlier);
    assert_eq!(shop.balance(&mut wire), LOADED - AMOUNT);
}

#[test]
fn a_card_swapped_between_tap_and_commit_is_not_debited() {
    let mut shop = Shop::new(5);
    let (reader, ..) = shop.issuer.active_card(1, &ROLES);
    let (mut other, ..) = shop.issuer.active_card(2, &ROLES);
    let chip = other.pull().unwrap();
    let mut wire = Faulty::new(reader).with(
        3,
        Fault::Before(Box::new(|reader: &mut InProcess| {
            reader.insert(chip);
        })),
    );
    // The other card is not even selected; asked at once, it shows another pid.
    let outcome = shop.sell(&mut wire, AMOUNT).unwrap();
    assert!(
        matches!(outcome, Outcome::OtherCard | Outcome::PresentAgain(_)),
        "{outcome:?}"
    );
    assert!(shop.journal().open().is_some());
    assert_eq!(shop.balance(&mut wire), LOADED);
}

#[test]
fn a_forged_refusal_hides_no_debit_and_makes_none() {
    // The card debits and the wire says 6985; or the wire swallows the command and says 6985.
    let mut shop = Shop::new(6);
    let (reader, ..) = shop.issuer.active_card(1, &ROLES);
    let mut wire = Wire::new(reader);
    wire.play = Some((3, vec![0x69, 0x85]));
    let sale = sold(shop.sell(&mut wire, AMOUNT));
    assert!(sale.earlier, "the fresh tap showed the debit");

    let mut swallowing = Swallow {
        inner: wire.inner,
        sent: 0,
    };
    let outcome = shop.sell(&mut swallowing, AMOUNT);
    assert_eq!(refused(outcome), (Reason::Denied, Check::CardLimit));
    assert_eq!(shop.journal().open(), None);
    assert_eq!(shop.balance(&mut swallowing.inner), LOADED - AMOUNT);
}

/// Swallows the third command and says 6985.
struct Swallow {
    inner: InProcess,
    sent: usize,
}

impl Transport for Swallow {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, card_reader::transport::TransportError> {
        self.sent += 1;
        if self.sent == 3 {
            return Ok(vec![0x69, 0x85]);
        }
        self.inner.transmit(command)
    }

    fn reset(&mut self) -> Result<(), card_reader::transport::TransportError> {
        self.inner.reset()
    }

    fn name(&self) -> &'static str {
        "swallow"
    }
}

/// Takes a copy of the journal at the moment when COMMIT is sent.
struct Look<'a> {
    inner: &'a mut Faulty<InProcess>,
    path: PathBuf,
    copy: &'a mut Option<Vec<u8>>,
    sent: usize,
}
impl Transport for Look<'_> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, card_reader::transport::TransportError> {
        self.sent += 1;
        if self.sent == 3 {
            *self.copy = Some(std::fs::read(&self.path).unwrap());
        }
        self.inner.transmit(command)
    }
    fn reset(&mut self) -> Result<(), card_reader::transport::TransportError> {
        self.inner.reset()
    }
    fn name(&self) -> &'static str {
        "look"
    }
}

#[test]
fn a_loss_of_power_before_commit_or_before_its_end_is_written_is_resumed_from_the_journal() {
    let mut shop = Shop::new(7);
    let (reader, ..) = shop.issuer.active_card(1, &ROLES);
    // Power goes between the journal and COMMIT: the command never leaves.
    let mut wire = Faulty::new(reader).with(3, Fault::CutBefore);
    assert!(matches!(
        shop.sell(&mut wire, AMOUNT),
        Ok(Outcome::PresentAgain(_))
    ));
    wire.reset().unwrap();
    assert_eq!(shop.balance(&mut wire), LOADED);
    let bundle = shop
        .issuer
        .bundle(&Wanted::of(&[Role::SmallPayment]), &shop.key)
        .unwrap();
    shop.terminal = Terminal::new(bundle);
    let sale = sold(shop.again(&mut wire));
    assert!(!sale.earlier);
    assert_eq!(shop.balance(&mut wire), LOADED - AMOUNT);

    // Power goes after the card's proof and before its end is written: the journal is as it was.
    let mut copy = None;
    let path = shop.path();
    let mut look = Look {
        inner: &mut wire,
        path: path.clone(),
        copy: &mut copy,
        sent: 0,
    };
    sold(shop.sell(&mut look, AMOUNT));
    std::fs::write(&path, copy.unwrap()).unwrap();
    assert!(
        shop.journal().open().is_some(),
        "written down before COMMIT was sent"
    );
    assert!(sold(shop.again(&mut wire)).earlier);
    assert_eq!(shop.balance(&mut wire), LOADED - 2 * AMOUNT);
    assert_eq!(shop.journal().lines().len(), 2);
}

#[test]
fn after_another_debit_the_purchase_is_given_up_and_settled_as_unknown() {
    let mut shop = Shop::new(8);
    let (reader, ..) = shop.issuer.active_card(1, &ROLES);
    let mut wire = Faulty::new(reader).with(3, Fault::CutAfter);
    assert!(matches!(
        shop.sell(&mut wire, AMOUNT),
        Ok(Outcome::PresentAgain(_))
    ));
    wire.reset().unwrap();
    // The holder buys elsewhere first.
    let mut elsewhere = Shop::new(8);
    elsewhere.terminal = Terminal::new(shop.issuer.terminal(&Wanted::of(&[Role::SmallPayment])).1);
    sold(elsewhere.sell(&mut wire, 300));
    assert_eq!(shop.again(&mut wire).unwrap(), Outcome::GivenUp);
    let journal = shop.journal();
    assert_eq!(
        (journal.lines().len(), journal.unknown().len(), journal.open()),
        (0, 1, None)
    );
    assert!(matches!(
        shop.again(&mut wire),
        Err(PurchaseError::Journal(JournalError::NoneOpen))
    ));
    assert_eq!(shop.balance(&mut wire), LOADED - AMOUNT - 300);
    // What the next terminal saw proves the lost debit: its line has it as the debit before.
    let line = elsewhere.journal().lines()[0];
    assert_eq!(line.before.unwrap().last_txno, journal.unknown()[0].body.txno);
}

#[test]
fn too_much_for_the_balance_is_never_sent_and_too_much_for_the_card_is_shown_not_debited() {
    let mut shop = Shop::new(9);
    let (reader, ..) = shop.issuer.active_card(1, &ROLES);
    let mut wire = Wire::new(reader);
    for amount in [0, LOADED + 1, u32::MAX] {
        let low = (Reason::BalanceTooLow, Check::Balance);
        assert_eq!(refused(shop.sell(&mut wire, amount)), low);
    }
    assert_eq!(wire.tape.len(), 6, "SELECT and TAP each time");
    assert_eq!(
        refused(shop.sell(&mut wire, CAP + 1)),
        (Reason::Denied, Check::CardLimit)
    );
    assert_eq!(shop.balance(&mut wire), LOADED);
    assert_eq!(shop.journal().open(), None);
    sold(shop.sell(&mut wire, CAP));
    sold(shop.sell(&mut wire, CAP));
    sold(shop.sell(&mut wire, LOADED - 2 * CAP));
    assert_eq!(shop.balance(&mut wire), 0);
}

#[test]
fn a_card_denied_while_its_purchase_is_open_buys_nothing_and_is_debited_no_more() {
    let mut shop = Shop::new(10);
    let (reader, _, made) = shop.issuer.active_card(1, &ROLES);
    let mut wire = Faulty::new(reader).with(3, Fault::CutBefore);
    assert!(matches!(
        shop.sell(&mut wire, AMOUNT),
        Ok(Outcome::PresentAgain(_))
    ));
    wire.reset().unwrap();
    let mut wanted = Wanted::of(&[Role::SmallPayment]);
    wanted.denied = vec![made.pid(Role::SmallPayment)];
    shop.terminal = Terminal::new(shop.issuer.bundle(&wanted, &shop.key).unwrap());
    assert_eq!(refused(shop.again(&mut wire)), (Reason::Denied, Check::DenyList));
    assert_eq!(shop.journal().open(), None);

    // Debited before it was denied: the proof is fetched, the money is the shop's.
    let mut shop = Shop::new(10);
    let (reader, _, made) = shop.issuer.active_card(1, &ROLES);
    let mut wire = Faulty::new(reader).with(3, Fault::CutAfter);
    assert!(matches!(
        shop.sell(&mut wire, AMOUNT),
        Ok(Outcome::PresentAgain(_))
    ));
    wire.reset().unwrap();
    wanted.denied = vec![made.pid(Role::SmallPayment)];
    shop.terminal = Terminal::new(shop.issuer.bundle(&wanted, &shop.key).unwrap());
    assert!(sold(shop.again(&mut wire)).earlier);
}

#[test]
fn a_terminal_without_a_registration_or_with_an_old_list_sells_nothing() {
    let mut shop = Shop::new(11);
    let (reader, ..) = shop.issuer.active_card(1, &ROLES);
    let mut wire = Wire::new(reader);
    let mut wanted = Wanted::of(&[Role::SmallPayment]);
    for tid in [None, Some(TID + 1)] {
        wanted.tid = tid;
        shop.terminal = Terminal::new(shop.issuer.bundle(&wanted, &shop.key).unwrap());
        assert_eq!(
            refused(shop.sell(&mut wire, AMOUNT)),
            (Reason::WrongRole, Check::Registration)
        );
    }
    // A payment has no days of grace, whatever signer and operator say.
    wanted.tid = Some(TID);
    wanted.list_issued = day("2026-11-10");
    wanted.grace = Some(30);
    let mut bundle = shop.issuer.bundle(&wanted, &shop.key).unwrap();
    bundle.set_stale_list(card_reader::StaleList::Grace);
    shop.terminal = Terminal::new(bundle);
    assert_eq!(
        refused(shop.sell(&mut wire, AMOUNT)),
        (Reason::ListTooOld, Check::DenyListAge)
    );
    assert!(wire.tape.is_empty(), "no card was touched");
}

#[test]
fn nothing_shown_of_a_purchase_names_a_card() {
    let mut shop = Shop::new(12);
    let (reader, _, made) = shop.issuer.active_card(1, &ROLES);
    let mut wire = Faulty::new(reader).with(3, Fault::CutAfter);
    let outcome = shop.sell(&mut wire, AMOUNT);
    let journal = shop.journal();
    let text = format!("{outcome:?} {journal:?} {:?}", journal.open());
    let pid = hex::encode(made.pid(Role::SmallPayment));
    let debug = format!("{:?}", made.pid(Role::SmallPayment));
    assert!(
        !text.contains(&pid[..8]) && !text.contains(debug.trim_matches(['[', ']'])),
        "{text}"
    );
}

#[test]
fn a_settlement_file_that_a_loss_of_power_cut_off_from_its_journal_is_finished_and_no_line_goes_out_twice() {
    let mut shop = Shop::new(13);
    let (mut reader, ..) = shop.issuer.active_card(1, &ROLES);
    let state = shop.folder.path().join("state");
    let sell = |shop: &mut Shop, reader: &mut InProcess, amount: u32| {
        let folder = Folder::open(&state).unwrap();
        let mut journal = folder.journal(TID).unwrap();
        let outcome = Till::new(&mut shop.terminal, &mut journal).sell(
            reader,
            amount,
            moment(),
            &NoWatch,
            &mut shop.issuer.rng,
        );
        sold(outcome);
        (folder, journal)
    };
    let (folder, journal) = sell(&mut shop, &mut reader, 100);
    // The file is written, and the power goes before the journal is begun anew.
    let file = journal
        .settlement(&shop.key, &mut shop.issuer.rng)
        .unwrap()
        .unwrap();
    let path = state
        .join("out")
        .join(format!("settlement-{TID:08x}-00000001.yzts"));
    std::fs::write(&path, &file).unwrap();
    drop((folder, journal));

    let (folder, journal) = sell(&mut shop, &mut reader, 200);
    assert_eq!((journal.number(), journal.lines().len()), (2, 1));
    drop(journal);
    folder.close(&shop.key, today(), &mut shop.issuer.rng).unwrap();
    let amounts: Vec<Vec<u32>> = folder
        .out()
        .unwrap()
        .iter()
        .map(|path| {
            let bytes = std::fs::read(path).unwrap();
            let authentication = PublicKey::from_point65(&shop.key.request().authentication_key).unwrap();
            let file = UnverifiedSettlement::parse(&bytes)
                .unwrap()
                .verify(&authentication)
                .unwrap();
            file.lines().map(|line| line.body.amount).collect()
        })
        .collect();
    assert_eq!(amounts, [[100], [200]]);
}
