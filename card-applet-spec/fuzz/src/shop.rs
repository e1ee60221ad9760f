//! Target `shop`: a till, two genuine cards, and a man in the middle who cuts, doubles, forges and holds back what passes;
//! power fails in the card and in the till (chapter 11).
//!
//! Whatever happens: a sale that was told as sold was debited once, one that was refused never was, nothing is ever debited
//! twice, the journal comes back as it was, and every line that is handed in holds before the vault.

use std::path::PathBuf;

use card_applet::Applet;
use card_applet_spec::apdu::split_answer;
use card_applet_spec::codes::Role;
use card_applet_spec::crypto::PublicKey;
use card_applet_spec::door_f::{TapAnswer, TapPlain, tap_command};
use card_applet_spec::kdf;
use card_applet_spec::settlement::{Line, UnverifiedSettlement};
use card_host::{Card, Dice, KV, select};
use card_reader::Terminal;
use card_reader::door_f::NoWatch;
use card_reader::journal::{Journal, JournalError};
use card_reader::purchase::{Moment, Outcome, PurchaseError, Till};
use rand::rngs::StdRng;

use crate::fixture::{Fixture, memory, opened_tap, today, with_fixture};
use crate::tape::Tape;
use crate::wire::Wire;

/// Steps of one day at the till.
const MOST: usize = 24;
/// Purchases cost 1, 3, 9, .. fen: what a card has spent says which of them were debited, and how often.
const SALES: usize = 9;
const TID: u32 = 42;

/// What came to pass at the till: so a test can see that the corpus reaches what this target is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sold {
    /// Sold at the first attempt.
    pub at_once: u32,
    /// Sold when the same card came back: debited before, or only then.
    pub later: u32,
    /// Refused, and never debited.
    pub refused: u32,
    /// Given up by the clerk, or by the retry rule.
    pub given_up: u32,
    /// Of those, debited all the same.
    pub given_up_but_debited: u32,
}

/// What is known of one purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Open,
    Sold,
    Refused,
    GivenUp,
}

/// The first byte is for the random numbers; then what happens at the till.
pub fn shop(input: &[u8]) {
    let _ = shop_sold(input);
}

/// As [`shop`], and says what came to pass.
#[must_use]
pub fn shop_sold(input: &[u8]) -> Sold {
    let mut tape = Tape::new(input);
    with_fixture(|fixture| {
        let seed = 0x5A_0000 + u64::from(tape.byte());
        let path = journal_path();
        let _ = std::fs::remove_file(&path);
        let cards = [fixture.active(seed), other(fixture, seed)];
        let before = cards_spent(fixture, cards);
        let mut day = Day {
            terminal: Terminal::new(fixture.till_bundle()),
            journal: Some(Journal::open_file(&path, TID).expect("a new journal")),
            path,
            wire: Wire::new(tape, None, fixture),
            cards: before.1.map(Some),
            sales: Vec::new(),
            sold: Sold::default(),
            seed,
        };
        for _ in 0..MOST {
            if day.wire.tape.is_empty() {
                break;
            }
            day.next(fixture);
        }
        day.close(fixture, before.0)
    })
}

/// A file of this thread's own, in memory where there is such a place.
pub(crate) fn journal_path() -> PathBuf {
    let shared = PathBuf::from("/dev/shm");
    let folder = if shared.is_dir() {
        shared
    } else {
        std::env::temp_dir()
    };
    let thread = format!("{:?}", std::thread::current().id());
    let thread: String = thread.chars().filter(char::is_ascii_digit).collect();
    folder.join(format!("yzt-fuzz-journal-{}-{thread}", std::process::id()))
}

fn other(fixture: &Fixture, seed: u64) -> Card {
    Applet::power_on(memory(&fixture.other), Dice::new(seed + 0x100)).expect("a card")
}

/// An honest look at a card's purse.
fn purse(fixture: &Fixture, card: &mut Card) -> TapPlain {
    let rt = [0x77; 16];
    select(card).expect("it can be selected");
    let role = Role::SmallPayment;
    let answer = card.process(&tap_command(role.code(), KV, &rt).expect("short"));
    let (body, _) = split_answer(&answer).expect("an answer");
    let answer = TapAnswer::parse(body).expect("a TAP answer");
    opened_tap(&fixture.host, role, KV, &rt, &answer)
        .expect("one of ours")
        .0
}

fn cards_spent(fixture: &Fixture, mut cards: [Card; 2]) -> ([u32; 2], [Card; 2]) {
    let spent = [0, 1].map(|which: usize| purse(fixture, &mut cards[which]).spent);
    (spent, cards)
}

struct Day<'a> {
    terminal: Terminal,
    journal: Option<Journal>,
    path: PathBuf,
    wire: Wire<'a>,
    cards: [Option<Card>; 2],
    /// Card and what is known, in the order of the prices.
    sales: Vec<(usize, Known)>,
    sold: Sold,
    seed: u64,
}

impl Day<'_> {
    fn next(&mut self, fixture: &mut Fixture) {
        match self.wire.tape.byte() % 10 {
            0..=3 => {
                let which = usize::from(self.wire.tape.byte() & 1);
                self.sell(fixture, which);
            }
            4 | 5 => self.again(fixture, 0),
            6 => self.again(fixture, 1),
            7 => self.give_up(),
            8 => self.till_restarts(),
            _ => self.power(),
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            today: today(),
            seconds: 848_000_000 + u32::try_from(self.sales.len()).unwrap_or(0),
        }
    }

    /// The card `which` lies on the reader while `run` does something at the till.
    fn with_card<T>(
        &mut self,
        fixture: &mut Fixture,
        which: usize,
        run: impl FnOnce(&mut Till<'_>, &mut Wire<'_>, Moment, &mut StdRng) -> T,
    ) -> T {
        let moment = self.moment();
        self.wire.genuine = self.cards[which].take();
        let mut till = Till::new(&mut self.terminal, self.journal.as_mut().expect("open"));
        let result = run(&mut till, &mut self.wire, moment, &mut fixture.host.rng);
        self.cards[which] = self.wire.genuine.take();
        result
    }

    fn open_sale(&mut self) -> Option<&mut (usize, Known)> {
        self.sales.last_mut().filter(|(_, known)| *known == Known::Open)
    }

    fn sell(&mut self, fixture: &mut Fixture, which: usize) {
        if self.sales.len() >= SALES {
            return;
        }
        let was_open = self.open_sale().is_some();
        let amount = 3_u32.pow(u32::try_from(self.sales.len()).expect("a few"));
        let outcome = self.with_card(fixture, which, |till, wire, moment, rng| {
            till.sell(wire, amount, moment, &NoWatch, rng)
        });
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(PurchaseError::Journal(JournalError::StillOpen)) => {
                assert!(was_open, "nothing was open");
                return;
            }
            // Nothing was sent that could debit, and nothing was written.
            Err(PurchaseError::Card(_)) => {
                assert!(!was_open && self.journal.as_ref().expect("open").open().is_none());
                return;
            }
            Err(error) => panic!("the journal: {error}"),
        };
        assert!(!was_open, "one purchase at a time");
        self.sales.push((which, Known::Open));
        if matches!(outcome, Outcome::Sold(_)) {
            self.sold.at_once += 1;
        }
        self.told(&outcome, which, amount);
    }

    fn again(&mut self, fixture: &mut Fixture, which: usize) {
        let Some((of, _)) = self.open_sale().copied() else {
            return;
        };
        let amount = self
            .journal
            .as_ref()
            .expect("open")
            .open()
            .expect("one is open")
            .purchase()
            .amount();
        let outcome = self.with_card(fixture, which, |till, wire, moment, rng| {
            till.again(wire, moment, &NoWatch, rng)
        });
        match outcome {
            Ok(outcome) => {
                assert!(
                    which == of || matches!(outcome, Outcome::OtherCard | Outcome::PresentAgain(_)),
                    "another card ended a purchase: {outcome:?}"
                );
                if matches!(outcome, Outcome::Sold(_)) {
                    self.sold.later += 1;
                }
                self.told(&outcome, of, amount);
            }
            Err(PurchaseError::Card(_)) => {
                assert!(
                    self.journal.as_ref().expect("open").open().is_some(),
                    "it is still open"
                );
            }
            Err(error) => panic!("the journal: {error}"),
        }
    }

    fn told(&mut self, outcome: &Outcome, which: usize, amount: u32) {
        let known = match outcome {
            Outcome::Sold(sale) => {
                assert_eq!((sale.amount, sale.tid), (amount, TID));
                assert_eq!(sale.before - sale.after, amount);
                Known::Sold
            }
            Outcome::Refused(_) => {
                self.sold.refused += 1;
                Known::Refused
            }
            Outcome::GivenUp => {
                self.sold.given_up += 1;
                Known::GivenUp
            }
            Outcome::PresentAgain(_) | Outcome::OtherCard => Known::Open,
        };
        let open = self.journal.as_ref().expect("open").open().is_some();
        assert_eq!(open, known == Known::Open, "{outcome:?}");
        *self.sales.last_mut().expect("one was begun") = (which, known);
    }

    fn give_up(&mut self) {
        if let Some((which, _)) = self.open_sale().copied() {
            self.journal
                .as_mut()
                .expect("open")
                .give_up()
                .expect("one was open");
            self.sold.given_up += 1;
            *self.sales.last_mut().expect("one was begun") = (which, Known::GivenUp);
        }
    }

    /// The till loses its power: what was written down is there again.
    fn till_restarts(&mut self) {
        let before = self.journal.take().expect("open");
        let (open, lines, unknown) = (before.open(), before.lines().to_vec(), before.unknown().to_vec());
        drop(before);
        let after = Journal::open_file(&self.path, TID).expect("the journal comes back");
        assert!(after.open() == open && after.lines() == lines && after.unknown() == unknown);
        self.journal = Some(after);
    }

    /// A card loses its power, now or at one of its next writes.
    fn power(&mut self) {
        let which = usize::from(self.wire.tape.byte() & 1);
        let (at, kept) = (
            usize::from(self.wire.tape.byte() % 4),
            usize::from(self.wire.tape.u16() % 512),
        );
        self.seed += 0x1000;
        let (mut ram, _) = self.cards[which].take().expect("a card").power_off();
        ram.dead = false;
        ram.tear = (at > 0).then(|| (ram.writes + at, kept));
        let card = Applet::power_on(ram, Dice::new(self.seed)).expect("a card");
        self.cards[which] = Some(card);
    }

    /// Both cards are looked at, and the settlement file is what the vault wants to see.
    fn close(mut self, fixture: &mut Fixture, before: [u32; 2]) -> Sold {
        let mut owed = [0_u32; 2];
        for (which, spent_before) in before.into_iter().enumerate() {
            let (mut ram, _) = self.cards[which].take().expect("a card").power_off();
            (ram.dead, ram.tear) = (false, None);
            let mut card = Applet::power_on(ram, Dice::new(self.seed)).expect("a card");
            let mut spent = purse(fixture, &mut card).spent - spent_before;
            // Base 3: digit n is how often purchase n was debited on this card.
            for (sale, (of, known)) in self.sales.iter().enumerate() {
                let times = spent % 3;
                spent /= 3;
                let may = match known {
                    _ if *of != which => 0..=0,
                    Known::Sold => 1..=1,
                    Known::Refused => 0..=0,
                    Known::Open | Known::GivenUp => 0..=1,
                };
                assert!(
                    may.contains(&times),
                    "purchase {sale} ({known:?}) was debited {times} times"
                );
                self.sold.given_up_but_debited += u32::from(*known == Known::GivenUp && times == 1);
                owed[which] += u32::from(*of == which && *known == Known::Sold);
            }
            assert_eq!(spent, 0, "nothing else was debited");
        }
        self.settle(fixture, owed);
        let _ = std::fs::remove_file(&self.path);
        self.sold
    }

    fn settle(&mut self, fixture: &mut Fixture, owed: [u32; 2]) {
        let journal = self.journal.as_mut().expect("open");
        let file = journal
            .settlement(&fixture.terminal, &mut fixture.host.rng)
            .expect("it signs");
        let Some(file) = file else {
            assert_eq!(owed, [0, 0], "what was sold is handed in");
            return;
        };
        let key = PublicKey::from_point65(&fixture.terminal.request().authentication_key).expect("its own");
        let file = UnverifiedSettlement::parse(&file)
            .expect("ours")
            .verify(&key)
            .expect("signed");
        let lines: Vec<Line> = file.lines().collect();
        assert_eq!(lines.len(), usize::try_from(owed[0] + owed[1]).expect("a few"));
        for line in &lines {
            let ktac =
                kdf::tac_key(&fixture.host.tac, Role::SmallPayment, line.kv, &line.pid).expect("a key");
            let tac = line.body.tac(
                &ktac,
                Role::SmallPayment.code(),
                line.kv,
                &line.pid,
                line.seq,
                line.loaded,
                line.spent,
            );
            assert_eq!(tac, Ok(line.tac), "the vault would call this line forged");
        }
        let open = journal.open();
        let number = journal.number();
        journal.settled().expect("a new journal begins");
        assert!(journal.open() == open && journal.number() == number + 1 && journal.lines().is_empty());
    }
}
