//! The purse against a small model (chapters 03, 06, 09, 11): several shops and several cards, answers that are lost,
//! power that fails inside a debit, retries by the rule of chapter 11, clerks that give up, loads and rotations by script
//! and by update. Money is conserved, nobody pays twice, and what the shops can prove is what was spent.
//!
//! Left out on purpose: what an office does with the settlement (`issuer`); here it only adds up.
use std::cell::Cell;
use std::rc::Rc;

use card_applet_spec::apdu::{Header, StatusWord, split_answer};
use card_applet_spec::codes::Role;
use card_applet_spec::crypto::Key16;
use card_applet_spec::door_f::{CommitBody, TapPlain};
use card_applet_spec::kdf::{self, KeySet};
use card_applet_spec::script::Step;
use card_applet_spec::update::{Operation, tac_key};
use card_host::{
    Card, Host, KV, Ram, deliver, payment_slot, plain, purse_seen, rewrite, run_steps, seal, slot_update,
    tap_seen,
};
use proptest::prelude::*;

const SHOP: Role = Role::SmallPayment;
const CARDS: usize = 2;
const SHOPS: usize = 3;
const CAP: u32 = 10_000;

/// Where a purchase goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Loss {
    None,
    /// COMMIT never reaches the card.
    Command,
    /// The card does it, and the answer never comes.
    Answer,
    /// Somebody on the wire says 6985.
    Forged,
    /// Power fails in the card's write, after so many bytes.
    Power(usize),
}

#[derive(Debug, Clone)]
enum Action {
    /// Card, shop, amount, what goes wrong.
    Buy(usize, usize, u32, Loss),
    /// The shop that waits sees a card again, perhaps another one.
    Present(usize, usize, Loss),
    /// The clerk gives up.
    GiveUp(usize),
    /// Card, money to add, by update or by script.
    Load(usize, u32, bool),
    /// Card, by update or by script: a new key version.
    Rotate(usize, bool),
    PowerOff(usize),
}

fn loss() -> impl Strategy<Value = Loss> {
    prop_oneof![
        5 => Just(Loss::None),
        1 => Just(Loss::Command),
        2 => Just(Loss::Answer),
        1 => Just(Loss::Forged),
        3 => (0_usize..=52).prop_map(Loss::Power),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let (card, shop) = (0..CARDS, 0..SHOPS);
    prop_oneof![
        10 => (card.clone(), shop.clone(), 0_u32..6_000, loss()).prop_map(|(card, shop, amount, loss)| Action::Buy(card, shop, amount, loss)),
        8 => (card.clone(), shop.clone(), loss()).prop_map(|(card, shop, loss)| Action::Present(card, shop, loss)),
        1 => shop.prop_map(Action::GiveUp),
        2 => (card.clone(), 0_u32..15_000, any::<bool>()).prop_map(|(card, more, update)| Action::Load(card, more, update)),
        2 => (card.clone(), any::<bool>()).prop_map(|(card, update)| Action::Rotate(card, update)),
        1 => card.prop_map(Action::PowerOff),
    ]
}

/// What a shop keeps of a purchase that it began, before COMMIT is sent.
#[derive(Debug, Clone)]
struct Pending {
    kv: u8,
    pid: [u8; 16],
    body: CommitBody,
    s0: u32,
    /// `loaded` of the last TAP that showed s0: that of the debit, when there is one.
    loaded: u32,
}

/// A line of the settlement file.
#[derive(Debug, Clone)]
struct Line {
    of: Pending,
    seq: u32,
    spent: u32,
    tac: [u8; 8],
}

#[derive(Debug, Default)]
struct Shop {
    pending: Option<Pending>,
    lines: Vec<Line>,
    unknown: Vec<Pending>,
}

/// A card, and what the model knows of its money.
struct Purse {
    host: Host,
    card: Option<Card>,
    /// Makes power fail at the card's next write.
    fuse: Rc<Cell<Option<usize>>>,
    /// Version and pseudonym of the live slots, the newest last.
    slots: Vec<(u8, [u8; 16])>,
    loaded: u32,
    spent: u32,
    start: u32,
    /// Every debit that the card did: number of the transaction and amount.
    debits: Vec<([u8; 8], u32)>,
    counter: u32,
    scripts: u8,
}

/// The pseudonym of a later slot; it says to this test whether an update brought it.
fn pid_of(card: usize, kv: u8, by_update: bool) -> [u8; 16] {
    let mut pid = [kv; 16];
    pid[0] = u8::try_from(card).unwrap();
    pid[1] = if by_update { 0xFF } else { 0xFE };
    pid
}

impl Purse {
    fn new(mut host: Host, ram: &Ram) -> Self {
        let fuse = Rc::new(Cell::new(None));
        let mut ram = ram.clone();
        ram.fuse = Rc::clone(&fuse);
        let card = Some(host.power_on(ram));
        let pid = host.pid(SHOP);
        assert_ne!(pid[1], 0xFF);
        Self {
            host,
            card,
            fuse,
            slots: vec![(KV, pid)],
            loaded: 20_000,
            spent: 0,
            start: 1000,
            debits: Vec::new(),
            counter: 0,
            scripts: 0,
        }
    }

    fn with<T>(&mut self, action: impl FnOnce(&mut Host, &mut Card) -> T) -> T {
        let mut card = self.card.take().unwrap();
        let done = action(&mut self.host, &mut card);
        self.card = Some(card);
        done
    }

    fn seq(&self) -> u32 {
        self.start + u32::try_from(self.debits.len()).unwrap()
    }

    /// The card against the model. A debit, which only `body` may have brought, shows as one more in seq.
    fn compare(&mut self, body: Option<&CommitBody>) {
        let (kv, _) = *self.slots.last().unwrap();
        let (_, _, seen) = self.with(|host, card| purse_seen(host, card, kv));
        if let Some(body) = body
            && seen.seq == self.seq() + 1
        {
            let before = self.debits.iter().any(|(txno, _)| *txno == body.txno);
            assert!(!before, "two debits for one purchase");
            self.debits.push((body.txno, body.amount));
            self.spent += body.amount;
            assert_eq!(seen.last_txno, body.txno);
        }
        assert_eq!(
            (seen.seq, seen.loaded, seen.spent),
            (self.seq(), self.loaded, self.spent),
            "money came or went"
        );
        assert!(seen.spent <= seen.loaded);
        assert_eq!(
            self.debits.iter().map(|(_, amount)| amount).sum::<u32>(),
            seen.spent
        );
    }

    fn power_off(&mut self) {
        let (ram, _) = self.card.take().unwrap().power_off();
        self.card = Some(self.host.power_on(ram));
    }

    /// Sends a command with whatever goes wrong on the way; the answer that comes back.
    fn send(&mut self, command: &[u8], loss: Loss) -> Option<Vec<u8>> {
        match loss {
            Loss::Command => return None,
            Loss::Power(kept) => self.fuse.set(Some(kept)),
            Loss::None | Loss::Answer | Loss::Forged => {}
        }
        let answer = self.card.as_mut().unwrap().process(command).to_vec();
        match loss {
            Loss::None => Some(answer),
            Loss::Forged => Some(StatusWord::CONDITIONS.0.to_be_bytes().to_vec()),
            Loss::Power(_) => {
                self.fuse.set(None);
                self.power_off();
                None
            }
            Loss::Command | Loss::Answer => None,
        }
    }

    fn update_keys(&self) -> KeySet {
        kdf::update_keys(&self.host.issuance, &self.host.serial).unwrap()
    }

    /// Ktac of a slot, as the vault knows it.
    fn ktac(&self, kv: u8, pid: &[u8; 16]) -> Key16 {
        if pid[1] == 0xFF {
            tac_key(&self.update_keys(), SHOP, kv, pid)
        } else {
            kdf::tac_key(&self.host.tac, SHOP, kv, pid).unwrap()
        }
    }

    fn update(&mut self, plain: &card_host::Plain) {
        self.counter += 1;
        let update = seal(&self.host, self.counter, plain);
        let (kv, _) = *self.slots.last().unwrap();
        let receipt = self.with(|host, card| deliver(host, card, SHOP, kv, &update));
        assert_eq!(receipt, Ok(update.receipt(&self.update_keys())));
    }

    /// A script that brings a slot; one that is there keeps its Ktac, so that a lost debit can be repeated.
    fn script(&mut self, kv: u8, pid: [u8; 16], loaded: u32) {
        self.scripts += 1;
        let ktac = self.ktac(kv, &pid);
        let purse = Step::Purse {
            kv,
            seq: 77,
            cap: CAP,
            ktac: ktac.expose(),
        };
        let content = vec![
            payment_slot(&self.host, kv, pid, loaded),
            purse.encode().unwrap().to_vec(),
        ];
        let steps = rewrite([self.scripts; 16], content);
        self.with(|host, card| run_steps(host, card, &steps, 0)).unwrap();
    }

    fn load(&mut self, more: u32, by_update: bool) {
        self.loaded += more;
        if by_update {
            self.update(&plain(&Operation::Load { loaded: self.loaded }));
        } else {
            let (kv, pid) = *self.slots.last().unwrap();
            self.script(kv, pid, self.loaded);
        }
    }

    fn rotate(&mut self, number: usize, by_update: bool) {
        let (newest, _) = *self.slots.last().unwrap();
        let (kv, pid) = (newest + 1, pid_of(number, newest + 1, by_update));
        if by_update {
            self.update(&slot_update(&self.host, (SHOP, kv, 0), pid, 0, CAP));
        } else {
            self.script(kv, pid, 0);
        }
        self.slots.push((kv, pid));
        let old = self.slots.len().saturating_sub(2);
        self.slots.drain(..old);
    }
}

struct Fixture {
    purses: Vec<Purse>,
    shops: Vec<Shop>,
    purchases: u64,
}

impl Fixture {
    fn new(cards: &[(u64, Ram)]) -> Self {
        Self {
            purses: cards
                .iter()
                .map(|(seed, ram)| Purse::new(Host::new(*seed), ram))
                .collect(),
            shops: (0..SHOPS).map(|_| Shop::default()).collect(),
            purchases: 0,
        }
    }

    /// Step 1 of chapter 11.
    fn buy(&mut self, card: usize, shop: usize, amount: u32, loss: Loss) {
        if self.shops[shop].pending.is_some() {
            return;
        }
        let purse = &mut self.purses[card];
        // Active or draining: the shop takes either.
        let (kv, _) = purse.slots[usize::from(amount.is_multiple_of(3)).min(purse.slots.len() - 1)];
        let (rt, tap, seen) = purse.with(|host, card| purse_seen(host, card, kv));
        if amount > seen.loaded - seen.spent {
            return;
        }
        self.purchases += 1;
        let pending = Pending {
            kv,
            pid: seen.pid,
            body: CommitBody {
                amount,
                tid: 40 + u32::try_from(shop).unwrap(),
                txno: self.purchases.to_be_bytes(),
                time: 848_000_000,
                kind: 1,
            },
            s0: seen.seq,
            loaded: seen.loaded,
        };
        self.shops[shop].pending = Some(pending);
        self.commit(card, shop, (rt, tap.card_challenge), &seen, loss);
    }

    /// Step 2: COMMIT of what the shop waits for, behind this TAP.
    fn commit(
        &mut self,
        card: usize,
        shop: usize,
        (rt, rc): ([u8; 16], [u8; 16]),
        seen: &TapPlain,
        loss: Loss,
    ) {
        let purse = &mut self.purses[card];
        let shop = &mut self.shops[shop];
        let pending = shop.pending.clone().unwrap();
        let (kv, body) = (pending.kv, &pending.body);
        let m = kdf::tap_key(&purse.host.tap, SHOP, purse.host.region, kv, &pending.pid).unwrap();
        let mac = body.mac(&m, 3, kv, &rt, &rc, seen.seq).unwrap();
        let data = [&body.encode().unwrap()[..], &mac].concat();
        let command = Header::commit(3, kv).command(&data, Some(25)).unwrap();
        let answer = purse.send(&command, loss);
        purse.compare(Some(body));
        let Some(answer) = answer else { return };
        let (answer, status) = split_answer(&answer).unwrap();
        if !status.is_ok() {
            return;
        }
        // What a debit, or its repetition, must have made of the purse.
        let done = seen.seq != pending.s0;
        let (seq, spent) = if done {
            (seen.seq, seen.spent)
        } else {
            (seen.seq + 1, seen.spent + body.amount)
        };
        let tac: [u8; 8] = answer[1..9].try_into().unwrap();
        let proof = body
            .proof(&m, 3, kv, &rt, &rc, answer[0], seq, spent, &tac)
            .unwrap();
        assert_eq!((answer[0], &answer[9..]), (u8::from(done), &proof[..]));
        shop.pending = None;
        shop.lines.push(Line {
            of: pending,
            seq,
            spent,
            tac,
        });
    }

    /// Step 3: a card comes, and the shop waits.
    fn present(&mut self, card: usize, shop: usize, loss: Loss) {
        let Some(mut pending) = self.shops[shop].pending.clone() else {
            return;
        };
        let purse = &mut self.purses[card];
        let (rt, tap, seen) = purse.with(|host, card| tap_seen(host, card, SHOP, pending.kv));
        // Another card, or one whose version has gone: go on waiting.
        let Some(seen) = seen.filter(|seen| seen.pid == pending.pid) else {
            return;
        };
        let ours = seen.seq == pending.s0 + 1 && seen.last_txno == pending.body.txno;
        if seen.seq != pending.s0 && !ours {
            self.give_up(shop);
            return;
        }
        if seen.seq == pending.s0 {
            pending.loaded = seen.loaded;
            self.shops[shop].pending = Some(pending);
        }
        self.commit(card, shop, (rt, tap.card_challenge), &seen, loss);
    }

    /// Step 4.
    fn give_up(&mut self, shop: usize) {
        let shop = &mut self.shops[shop];
        shop.unknown.extend(shop.pending.take());
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Buy(card, shop, amount, loss) => self.buy(card, shop, amount, loss),
            Action::Present(card, shop, loss) => self.present(card, shop, loss),
            Action::GiveUp(shop) => self.give_up(shop),
            Action::Load(card, more, by_update) => self.purses[card].load(more, by_update),
            Action::Rotate(card, by_update) => self.purses[card].rotate(card, by_update),
            Action::PowerOff(card) => self.purses[card].power_off(),
        }
        for purse in &mut self.purses {
            purse.compare(None);
        }
    }

    /// Everybody comes back with the right card, and the office adds up.
    fn settle(&mut self) {
        for shop in 0..SHOPS {
            for card in 0..CARDS {
                self.present(card, shop, Loss::None);
            }
            self.give_up(shop);
        }
        for purse in &self.purses {
            let is_theirs = |pending: &Pending| purse.pids_ever().contains(&pending.pid);
            let lines: Vec<&Line> = self
                .shops
                .iter()
                .flat_map(|shop| &shop.lines)
                .filter(|line| is_theirs(&line.of))
                .collect();
            let mut sequence: Vec<u32> = lines.iter().map(|line| line.seq).collect();
            sequence.sort_unstable();
            sequence.dedup();
            assert_eq!(sequence.len(), lines.len(), "a debit is in one line");
            for line in &lines {
                let Pending {
                    kv,
                    pid,
                    body,
                    loaded,
                    ..
                } = &line.of;
                let expected = body.tac(&purse.ktac(*kv, pid), 3, *kv, pid, line.seq, *loaded, line.spent);
                assert_eq!(line.tac, expected.unwrap(), "the office pays by this code");
            }
            let proved: u32 = lines.iter().map(|line| line.of.body.amount).sum();
            // What nobody could prove and the card did: seq shows that it is missing.
            let lost: Vec<u32> = self
                .shops
                .iter()
                .flat_map(|shop| &shop.unknown)
                .filter(|pending| purse.debits.iter().any(|(txno, _)| *txno == pending.body.txno))
                .map(|pending| pending.body.amount)
                .collect();
            assert_eq!(proved + lost.iter().sum::<u32>(), purse.spent);
            assert_eq!(lines.len() + lost.len(), purse.debits.len());
        }
    }
}

impl Purse {
    /// Every pseudonym that this card has had in a shop.
    fn pids_ever(&self) -> Vec<[u8; 16]> {
        let number = usize::from(self.slots.last().unwrap().1[0]);
        let later = (2..=60).flat_map(|kv| [true, false].map(|by_update| pid_of(number, kv, by_update)));
        let later = later.filter(|_| self.slots.iter().any(|(kv, _)| *kv > KV));
        std::iter::once(self.host.pid(SHOP)).chain(later).collect()
    }
}

#[test]
fn money_is_conserved_and_nobody_pays_twice() {
    let cards: Vec<(u64, Ram)> = (500..)
        .take(CARDS)
        .map(|seed| (seed, Host::new(seed).active_card().power_off().0))
        .collect();
    proptest!(crate::cases::cases(96), |(actions in proptest::collection::vec(action(), 1..50))| {
        let mut fixture = Fixture::new(&cards);
        for action in &actions {
            fixture.act(action);
        }
        fixture.settle();
    });
}

#[test]
fn the_model_meets_what_it_is_made_for() {
    // Each way to lose an answer, then the same card again: sold once.
    let cards: Vec<(u64, Ram)> = (500..)
        .take(CARDS)
        .map(|seed| (seed, Host::new(seed).active_card().power_off().0))
        .collect();
    for (loss, debits_before) in [
        (Loss::Command, 0),
        (Loss::Answer, 1),
        (Loss::Forged, 1),
        (Loss::Power(0), 0),
        (Loss::Power(20), 0),
        (Loss::Power(52), 1),
    ] {
        let mut fixture = Fixture::new(&cards);
        fixture.act(&Action::Buy(0, 0, 700, loss));
        assert_eq!(fixture.purses[0].debits.len(), debits_before, "{loss:?}");
        assert!(fixture.shops[0].pending.is_some());
        // Another card is sent away, a load in between does not matter, and neither does a rotation.
        fixture.act(&Action::Present(1, 0, Loss::None));
        fixture.act(&Action::Load(0, 500, true));
        fixture.act(&Action::Rotate(0, true));
        fixture.act(&Action::Present(0, 0, Loss::None));
        assert_eq!(fixture.shops[0].lines.len(), 1, "{loss:?}");
        assert_eq!(fixture.purses[0].spent, 700);
        // Another debit in between: never again.
        fixture.act(&Action::Buy(0, 0, 300, loss));
        fixture.act(&Action::Buy(0, 1, 100, Loss::None));
        fixture.act(&Action::Present(0, 0, Loss::None));
        assert_eq!(fixture.shops[0].unknown.len(), 1, "{loss:?}");
        fixture.settle();
    }
}
