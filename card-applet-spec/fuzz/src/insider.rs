//! Target `insider`: a conversation with somebody who has every key of the issuer, and a card that loses its power at any
//! write (chapters 05, 06, 07, 09, 10).
//!
//! Whatever the issuer's own machines send, in whatever order, and wherever the card is torn: it comes back as a card, its
//! answers keep their form, an ended card stays ended, a blank never comes back, and money is conserved: `spent` grows by
//! exactly the debits that were done, a torn one was done whole or not at all, `loaded` never falls and is never more than
//! the issuer sent, and no debit is above the balance.

use std::cell::RefCell;
use std::rc::Rc;

use card_applet::{Applet, Memory, MemoryFault};
use card_applet_spec::apdu::{Answer, Header, StatusWord, split_answer};
use card_applet_spec::codes::{CardState, Rights, Role};
use card_applet_spec::crypto::Key16;
use card_applet_spec::data_group::CardInfo;
use card_applet_spec::date::Date;
use card_applet_spec::door_f::{CommitBody, TapAnswer, TapPlain, tap_command};
use card_applet_spec::kdf;
use card_applet_spec::scp03::Channel;
use card_applet_spec::script::{ScriptKind, Step, StepBytes, chain_next, chain_start};
use card_applet_spec::update::{SealedUpdate, UPDATE_LEN};
use card_host::{Card, Dice, Host, Ram, payment_purse, payment_slot, read_status, select, slot};

use crate::fixture::{Fixture, STATES, commit_data, memory, opened_tap, today, with_fixture};
use crate::tape::Tape;

/// Commands in one conversation.
const MOST: usize = 40;
const PAYMENT: Role = Role::SmallPayment;
/// Highest key version whose slot the office writes here.
const VERSIONS: u8 = 4;

/// What came to pass in a conversation: so a test can see that the corpus reaches what this target is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Debits that the card confirmed as new.
    pub debits: u32,
    /// Debits that it confirmed again.
    pub repeated: u32,
    /// COMMITs that it refused.
    pub refused: u32,
    /// Steps that it took.
    pub steps: u32,
    /// Scripts that it finished.
    pub finished: u32,
    /// Updates that it did.
    pub updates: u32,
    /// Objects that it showed in door S.
    pub read: u32,
    /// Times that it lost its power in the middle of a write.
    pub torn: u32,
    /// The same, while it was coming up.
    pub torn_at_power_on: u32,
    /// Lost debits that had been done, as the next look showed.
    pub lost_and_done: u32,
}

/// The first byte chooses the card; then what is done to it.
pub fn insider(input: &[u8]) {
    let _ = insider_done(input);
}

/// As [`insider`], and says what came to pass.
#[must_use]
pub fn insider_done(input: &[u8]) -> Done {
    let mut tape = Tape::new(input);
    with_fixture(|fixture| {
        let which = usize::from(tape.byte()) % STATES.len();
        let mut office = Office::begin(fixture, which);
        office.observe(fixture);
        for _ in 0..MOST {
            if tape.is_empty() {
                break;
            }
            office.next(fixture, &mut tape);
            if office.dead() {
                office.done.torn += 1;
                office.power_cycle(None);
                office.observe(fixture);
            }
        }
        office.power_cycle(None);
        office.observe(fixture);
        office.done
    })
}

/// What the purse may hold at the next look.
#[derive(Clone, Copy)]
struct Purse {
    seq: u32,
    spent: u32,
    loaded: u32,
}

struct Office {
    card: Option<Card>,
    seed: u64,
    /// An open channel of door I or S.
    channel: Option<Channel>,
    /// Steps of the script that was begun, and its id.
    script: [u8; 16],
    steps: Vec<Vec<u8>>,
    /// The last look at the purse: what it held, and what a debit whose answer was lost would have made of it.
    seen: Option<Purse>,
    lost: Option<Purse>,
    /// Most money that was ever named to this card.
    named: u32,
    state: CardState,
    /// Door I may no longer open with the office's keys: somebody sent other keys, or tried wrong ones.
    keys_unsure: bool,
    /// The counter of the last update that was sent.
    counter: u32,
    /// The last debit that was asked for.
    debit: Option<(u8, CommitBody)>,
    done: Done,
}

impl Office {
    fn begin(fixture: &Fixture, which: usize) -> Self {
        let mut office = Self {
            card: None,
            seed: 0x1_0000,
            channel: None,
            script: [0; 16],
            steps: Vec::new(),
            seen: None,
            lost: None,
            // What the host's personalisation loads.
            named: 20_000,
            state: STATES[which],
            keys_unsure: false,
            counter: 0,
            debit: None,
            done: Done::default(),
        };
        office.power_on(memory(&fixture.images[which]));
        office
    }

    fn power_on(&mut self, ram: Ram) {
        self.seed += 1;
        let rng = Dice::new(self.seed);
        self.card = Some(Applet::power_on(ram, rng).expect("a card stays a card, wherever it was torn"));
        self.channel = None;
    }

    /// Power off and on; with `tear`, power fails once more while the card finishes what a cut left to erase.
    fn power_cycle(&mut self, tear: Option<(usize, usize)>) {
        let (mut ram, _) = self.card.take().expect("a card").power_off();
        ram.dead = false;
        ram.tear = tear.map(|(at, kept)| (ram.writes + at, kept));
        let shared = Shared(Rc::new(RefCell::new(ram)));
        let coming_up = Applet::power_on(shared.clone(), Dice::new(self.seed));
        self.done.torn_at_power_on += u32::from(coming_up.is_err());
        drop(coming_up);
        let mut ram = shared.0.replace(Ram::new());
        (ram.dead, ram.tear) = (false, None);
        self.power_on(ram);
    }

    fn card(&mut self) -> &mut Card {
        self.card.as_mut().expect("a card")
    }

    /// The power failed: the card says so to everything. Asked only where no channel is open, for the question ends it.
    fn dead(&mut self) -> bool {
        // An empty command is 6700, but of a card without power.
        self.channel.is_none() && check_form(&self.card().process(&[])) == StatusWord::MEMORY_FAILURE
    }

    fn next(&mut self, fixture: &mut Fixture, tape: &mut Tape<'_>) {
        match tape.byte() % 18 {
            0 => self.channel = fixture.host.open_door_i(self.card.as_mut().expect("a card")),
            1 => self.begin_script(tape),
            2 => self.content(fixture, tape),
            3 => {
                let n = self.number(tape);
                let step = tape.short().to_vec();
                self.step(n, &step);
            }
            4 => self.finalise(tape),
            5 => {
                let n = u16::try_from(self.steps.len()).unwrap_or(u16::MAX);
                if let Some(step) = self.steps.last().cloned() {
                    self.step(n, &step);
                }
            }
            6 => self.inside(Header::GET_STATUS, &[]),
            7 => self.inside(Header::get_public_key(tape.byte() % 5), &[]),
            8 => self.pay(fixture, tape),
            9 => self.pay_again(fixture, tape),
            10 => {
                let mut bits: [u8; 4] = tape.array();
                for (bits, all) in bits.iter_mut().zip(Rights::ALL.to_bytes()) {
                    *bits &= all;
                }
                let rights = Rights::from_bytes(bits).expect("masked");
                let card = self.card.as_mut().expect("a card");
                self.channel = select(card)
                    .and_then(|_| fixture.host.open_door_s(card, rights).ok())
                    .map(|(channel, _)| channel);
            }
            11 => {
                let header = Header::read_object(tape.byte());
                let request: [u8; 3] = tape.array();
                self.inside(header, &request);
            }
            12 => self.inside(Header::RESET_COUNTER, &[]),
            13 => self.tear(tape),
            14 => self.update(fixture, tape),
            15 => self.short_script(fixture, tape),
            16 => {
                let header: [u8; 4] = tape.array();
                let [cla, ins, p1, p2] = header;
                let header = Header { cla, ins, p1, p2 };
                let data = tape.short().to_vec();
                self.keys_unsure |= ins == 0xDA;
                self.named = u32::MAX;
                self.inside(header, &data);
            }
            _ => {
                let command = tape.short().to_vec();
                self.keys_unsure = true;
                self.channel = None;
                check_form(&self.card().process(&command));
            }
        }
    }

    /// The number of a step: mostly the next one.
    fn number(&self, tape: &mut Tape<'_>) -> u16 {
        let next = u16::try_from(self.steps.len())
            .unwrap_or(u16::MAX)
            .saturating_add(1);
        match tape.byte() {
            0..=199 => next,
            200..=227 => next.saturating_sub(1),
            _ => tape.u16(),
        }
    }

    fn begin_script(&mut self, tape: &mut Tape<'_>) {
        let Ok(kind) = ScriptKind::try_from(tape.byte() % 7) else {
            return;
        };
        self.script = [tape.byte(); 16];
        let step = card_host::begin(kind, self.script);
        self.steps.clear();
        self.step(1, &step);
    }

    /// A step that a vault could write.
    fn content(&mut self, fixture: &Fixture, tape: &mut Tape<'_>) {
        let n = self.number(tape);
        let step = match tape.byte() % 6 {
            0 => {
                let code = tape.byte();
                Step::parse(&[&[0x02, code][..], &tape.array::<4>(), tape.short()].concat())
                    .and_then(|step| step.encode())
            }
            1 => {
                let mut bytes = StepBytes::new();
                bytes
                    .extend_from_slice(&[0x03, tape.byte() % 5])
                    .map_err(|_| card_applet_spec::Error::Crypto)
                    .map(|()| bytes)
            }
            2 => return self.slot_step(fixture, tape, n),
            3 => {
                let kv = tape.byte() % VERSIONS + 1;
                let purse = payment_purse(&fixture.host, kv, pid(kv), tape.u32());
                return self.step(n, &purse);
            }
            4 => {
                let wrapped = card_host::issued_keys(&fixture.host.issuance, &fixture.host.serial);
                // Under the DEK of the transport keys, as a personalisation sends them; another state's DEK makes other
                // keys of them.
                self.keys_unsure = true;
                Step::Keys { wrapped: &wrapped }.encode()
            }
            _ => {
                let floor = Date::from_bytes(tape.array()).unwrap_or(Date::NONE);
                let name = fixture.host.root_name.0;
                let public64 = fixture.host.root.public().to_public64();
                let epoch = tape.u16();
                Step::Trust {
                    name: &name,
                    public64: &public64,
                    epoch,
                    floor,
                }
                .encode()
            }
        };
        if let Ok(step) = step {
            self.step(n, &step);
        }
    }

    fn slot_step(&mut self, fixture: &Fixture, tape: &mut Tape<'_>, n: u16) {
        let kv = tape.byte() % VERSIONS + 1;
        let role = tape.choose(Role::ALL);
        let loaded = tape.u32();
        let mut bytes = if role == PAYMENT {
            payment_slot(&fixture.host, kv, pid(kv), loaded)
        } else {
            slot(&fixture.host, role, kv, pid(kv), 0)
        };
        // Flags are the fourth byte of the step.
        if let Some(flags) = bytes.get_mut(3) {
            *flags = tape.byte() & 1;
        }
        self.step(n, &bytes);
    }

    fn finalise(&mut self, tape: &mut Tape<'_>) {
        let mut digest = chain_start(&self.script);
        for (n, step) in (1..).zip(&self.steps) {
            digest = chain_next(&digest, n, step);
        }
        let count = u16::try_from(self.steps.len()).unwrap_or(u16::MAX);
        let today = match tape.byte() % 4 {
            0 => today(),
            1 => "2027-11-30".parse().expect("a date"),
            2 => Date::from_bytes(tape.array()).unwrap_or(Date::NONE),
            _ => {
                digest = [tape.byte(); 32];
                today()
            }
        };
        let step = Step::Finalise { count, digest, today }.encode().expect("it fits");
        self.step(count.saturating_add(1), &step);
    }

    /// Sends a step; keeps it when the card took it as the next one.
    fn step(&mut self, n: u16, step: &[u8]) {
        self.name_money(step);
        self.keys_unsure |= step.first() == Some(&0x07);
        let Some(answer) = self.wrapped(Header::step(n), step) else {
            return;
        };
        self.done.steps += u32::from(answer.is_ok());
        self.done.finished += u32::from(answer.is_ok() && step.first() == Some(&0x0F));
        if answer.is_ok() && usize::from(n) == self.steps.len() + 1 {
            self.steps.push(step.to_vec());
        }
    }

    /// Every amount that a step or an update names: at the place where SLOT and LOAD have `loaded`.
    fn name_money(&mut self, plain: &[u8]) {
        let at = match plain.first() {
            Some(0x05) => 212,
            Some(0x14) => 1,
            _ => return,
        };
        if let Some(loaded) = plain.get(at..at + 4) {
            let loaded = loaded.first_chunk().copied().unwrap_or_default();
            self.named = self.named.max(u32::from_be_bytes(loaded));
        }
    }

    fn inside(&mut self, header: Header, data: &[u8]) {
        let status = self.wrapped(header, data);
        self.done.read += u32::from(header.ins == 0xB0 && status == Some(StatusWord::OK));
    }

    /// A command through the open channel; its status. Without a channel nothing is sent.
    fn wrapped(&mut self, header: Header, data: &[u8]) -> Option<StatusWord> {
        let mut channel = self.channel.take()?;
        let command = channel.wrap_command(header, data).ok()?;
        let answer = self.card().process(&command);
        let bare = check_form(&answer);
        let (_, status) = channel
            .unwrap_answer(&answer)
            .expect("a genuine card's answers verify in the channel");
        assert_eq!(bare, status);
        if status.carries_mac() {
            self.channel = Some(channel);
        }
        Some(status)
    }

    fn tap(&mut self, fixture: &Fixture, role: Role, kv: u8) -> Option<([u8; 16], TapAnswer, TapPlain)> {
        self.channel = None;
        let rt = [0x3C; 16];
        let card = self.card();
        select(card)?;
        let answer = card.process(&tap_command(role.code(), kv, &rt).expect("short"));
        let (body, status) = split_answer(&answer).expect("an answer");
        assert!(status.is_ok() || status == StatusWord::MEMORY_FAILURE);
        let answer = TapAnswer::parse(body).ok()?;
        let (plain, _) = opened_tap(&fixture.host, role, kv, &rt, &answer)?;
        Some((rt, answer, plain))
    }

    fn pay(&mut self, fixture: &Fixture, tape: &mut Tape<'_>) {
        let kv = tape.byte() % VERSIONS + 1;
        let amount = match tape.byte() % 4 {
            0 => u32::from(tape.byte()),
            1 => u32::from(tape.u16()),
            2 => tape.u32(),
            _ => 10_000,
        };
        let debit = CommitBody {
            amount,
            tid: 42,
            txno: [tape.byte(); 8],
            time: 848_000_000,
            kind: 1,
        };
        self.debit = Some((kv, debit));
        self.commit(fixture, kv, &debit);
    }

    fn pay_again(&mut self, fixture: &Fixture, tape: &mut Tape<'_>) {
        if let Some((kv, mut debit)) = self.debit {
            debit.amount ^= u32::from(tape.byte() & 1);
            self.commit(fixture, kv, &debit);
        }
    }

    /// TAP and COMMIT, against the model of the purse.
    fn commit(&mut self, fixture: &Fixture, kv: u8, debit: &CommitBody) {
        let Some((rt, answer, before)) = self.tap(fixture, PAYMENT, kv) else {
            return;
        };
        self.look(&before);
        let data = commit_data(&fixture.host, kv, &rt, &answer, debit).expect("its slot opened");
        let command = Header::commit(PAYMENT.code(), kv)
            .command(&data, Some(25))
            .expect("short");
        let challenge = answer.card_challenge;
        let answer = self.card().process(&command);
        let status = check_form(&answer);
        let after = Purse {
            seq: before.seq.wrapping_add(1),
            spent: before.spent.wrapping_add(debit.amount),
            loaded: before.loaded,
        };
        match status {
            StatusWord::MEMORY_FAILURE => self.lost = Some(after),
            StatusWord::OK => {
                let (result, rest) = answer.split_first().expect("25 bytes");
                let tac: [u8; 8] = rest.first_chunk().copied().expect("25 bytes");
                let m = key(fixture, PAYMENT, kv, &before.pid);
                let purse = match result {
                    0 => {
                        assert!(
                            debit.amount <= before.loaded - before.spent,
                            "no debit above the balance"
                        );
                        after
                    }
                    1 => {
                        assert_eq!(before.last_txno, debit.txno, "only the last debit is repeated");
                        Purse {
                            seq: before.seq,
                            spent: before.spent,
                            loaded: before.loaded,
                        }
                    }
                    other => panic!("result {other}"),
                };
                let proof = debit.proof(
                    &m,
                    PAYMENT.code(),
                    kv,
                    &rt,
                    &challenge,
                    *result,
                    purse.seq,
                    purse.spent,
                    &tac,
                );
                assert_eq!(
                    rest.get(8..24),
                    proof.ok().as_ref().map(|proof| &proof[..]),
                    "the proof is right"
                );
                self.seen = Some(purse);
                self.done.debits += u32::from(*result == 0);
                self.done.repeated += u32::from(*result == 1);
            }
            StatusWord::CONDITIONS | StatusWord::SECURITY => self.done.refused += 1,
            other => panic!("COMMIT: {other}"),
        }
    }

    /// A look at the purse: it is what the model says, or what the one lost debit would have made of it.
    fn look(&mut self, plain: &TapPlain) {
        let now = Purse {
            seq: plain.seq,
            spent: plain.spent,
            loaded: plain.loaded,
        };
        assert!(now.spent <= now.loaded, "more was spent than loaded");
        assert!(now.loaded <= self.named, "money that nobody loaded");
        if let Some(seen) = self.seen {
            assert!(now.loaded >= seen.loaded, "loaded money went away");
            let as_seen = (now.seq, now.spent) == (seen.seq, seen.spent);
            let as_lost = self
                .lost
                .is_some_and(|lost| (now.seq, now.spent) == (lost.seq, lost.spent));
            assert!(as_seen || as_lost, "spent is what the debits made of it");
            self.done.lost_and_done += u32::from(as_lost && !as_seen);
        }
        (self.seen, self.lost) = (Some(now), None);
    }

    /// Power will fail at one of the next writes, with a part of it written; or it goes now, and once more on the way up.
    fn tear(&mut self, tape: &mut Tape<'_>) {
        let (at, kept) = (usize::from(tape.byte() % 16) + 1, usize::from(tape.u16() % 512));
        if tape.byte() & 1 == 1 {
            return self.power_cycle(Some((at, kept)));
        }
        let (mut ram, rng) = self.card.take().expect("a card").power_off();
        self.channel = None;
        // Nothing is written on the way up: that was done when it came up before.
        let card = Applet::power_on(ram.clone(), rng).expect("a card");
        let (clean, rng) = card.power_off();
        assert_eq!(
            clean.bytes, ram.bytes,
            "what a cut left to erase is erased at once"
        );
        ram.tear = Some((ram.writes + at, kept));
        self.card = Some(Applet::power_on(ram, rng).expect("a card"));
    }

    /// A sealed update with genuine MACs, whatever is in it.
    fn update(&mut self, fixture: &Fixture, tape: &mut Tape<'_>) {
        let role = tape.choose(&[PAYMENT, Role::Transit, Role::Door]);
        let kv = tape.byte() % VERSIONS + 1;
        let mut plain = Self::update_plain(fixture, tape);
        let (at, flip) = (usize::from(tape.byte()) % UPDATE_LEN, tape.byte());
        plain[at] ^= flip;
        self.name_money(&plain);
        self.counter = match tape.byte() {
            0..=199 => self.counter.saturating_add(1),
            200..=227 => self.counter,
            _ => tape.u32(),
        };
        let keys = kdf::update_keys(&fixture.host.issuance, &fixture.host.serial).expect("a key set");
        let sealed = SealedUpdate::seal(&keys, self.counter, &plain).expect("it seals");
        let Some((rt, answer, plain)) = self.tap(fixture, role, kv) else {
            return;
        };
        let m = key(fixture, role, kv, &plain.pid);
        let tap_mac = sealed
            .tap_mac(&m, role.code(), kv, &rt, &answer.card_challenge)
            .expect("8 bytes");
        let data = sealed.command_data(&tap_mac).expect("252 bytes");
        let command = Header::update(role.code(), kv)
            .command(&data, Some(16))
            .expect("short");
        let answer = self.card().process(&command);
        if check_form(&answer).is_ok() {
            self.done.updates += 1;
            assert_eq!(
                answer.get(..16),
                Some(&sealed.receipt(&keys)[..]),
                "the receipt is right"
            );
        }
    }

    fn update_plain(fixture: &Fixture, tape: &mut Tape<'_>) -> [u8; UPDATE_LEN] {
        let mut plain = [0; UPDATE_LEN];
        let mut put = |at: usize, bytes: &[u8]| {
            for (to, from) in plain.iter_mut().skip(at).zip(bytes) {
                *to = *from;
            }
        };
        match tape.byte() % 7 {
            0 => {
                let kv = tape.byte() % VERSIONS + 1;
                let role = tape.choose(Role::ALL);
                let loaded = if role == PAYMENT { tape.u32() } else { 0 };
                put(0, &slot(&fixture.host, role, kv, pid(kv), loaded));
                if role == PAYMENT {
                    put(216, &tape.array::<4>());
                }
            }
            1 => {
                put(0, &[0x10, 2]);
                let group = &fixture.groups[1];
                put(2, &[u8::try_from(group.len()).unwrap_or(u8::MAX)]);
                put(3, group);
                put(160, &tape.array::<64>());
            }
            2 => {
                put(0, &[0x11]);
                put(1, &tape.array::<4>());
            }
            3 => put(0, &[0x12]),
            4 => put(0, &[0x13, tape.byte() % 7, tape.byte() % 6]),
            5 => {
                put(0, &[0x14]);
                put(1, &tape.array::<4>());
            }
            _ => put(0, tape.short()),
        }
        plain
    }

    fn short_script(&mut self, fixture: &mut Fixture, tape: &mut Tape<'_>) {
        let kind = tape.choose(&[
            ScriptKind::Activate,
            ScriptKind::Block,
            ScriptKind::Unblock,
            ScriptKind::Terminate,
        ]);
        self.channel = None;
        let id = [tape.byte(); 16];
        let card = self.card.as_mut().expect("a card");
        let finished = fixture.host.short_script(card, kind, id).is_some();
        self.done.finished += u32::from(finished);
    }

    /// SELECT, the state through door I, the purse through door F.
    fn observe(&mut self, fixture: &mut Fixture) {
        let card = self.card();
        let info = select(card).expect("it can be selected");
        assert_eq!(CardInfo::parse(&info), Ok(CardInfo::CURRENT));
        let state = status(&mut fixture.host, card);
        if let Some(state) = state {
            let was = self.state;
            assert!(was != CardState::Terminated, "an ended card came back");
            assert!(
                was == CardState::Blank || state != CardState::Blank,
                "a blank came back"
            );
            self.state = state;
        }
        for kv in 1..=VERSIONS {
            if let Some((_, _, plain)) = self.tap(fixture, PAYMENT, kv) {
                self.look(&plain);
            }
        }
    }
}

/// A memory that stays here when the card that had it comes to nothing.
#[derive(Clone)]
struct Shared(Rc<RefCell<Ram>>);

impl Memory for Shared {
    fn len(&self) -> usize {
        self.0.borrow().len()
    }

    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), MemoryFault> {
        self.0.borrow().read(offset, out)
    }

    fn write(&mut self, offset: usize, data: &[u8]) -> Result<(), MemoryFault> {
        self.0.borrow_mut().write(offset, data)
    }
}

/// The state as door I tells it; `None` where it does not open.
fn status(host: &mut Host, card: &mut Card) -> Option<CardState> {
    let mut channel = host.open_door_i(card)?;
    read_status(&mut channel, card).map(|status| status.state)
}

/// M of a slot.
fn key(fixture: &Fixture, role: Role, kv: u8, pid: &[u8; 16]) -> Key16 {
    kdf::tap_key(&fixture.host.tap, role, fixture.host.region, kv, pid).expect("a key")
}

/// The pseudonym that the office gives in a key version.
fn pid(kv: u8) -> [u8; 16] {
    [0xD0 | kv; 16]
}

/// An answer has a form, whatever happened.
fn check_form(answer: &Answer) -> StatusWord {
    assert!((2..=258).contains(&answer.len()));
    let (_, status) = split_answer(answer).expect("two bytes");
    status
}
