//! The conformance suite can fail: each mutant is the reference card with one fault between it and the reader, and the case
//! that is there for that fault must fail.
//!
//! A mutant sits on the wire. Where the fault lies inside door I it knows the test keys and opens the channel on both sides;
//! where it lies under G and M it takes them from the steps that went by.

use std::collections::BTreeMap;

use card_applet_spec::apdu::{Header, ParsedCommand, StatusWord};
use card_applet_spec::crypto::Key16;
use card_applet_spec::door_f::{TapAnswer, TapPlain};
use card_applet_spec::kdf::KeySet;
use card_applet_spec::scp03::{Channel, InitializeUpdate, SessionKeys};
use card_applet_spec::update::SealedUpdate;
use card_reader::transport::{Transport, TransportError};
use hardware_tests::conformance::{Case, Choice, Report, Setup, TestKeys, Verdict, report, run};
use hardware_tests::{rig, sample};
use rand::SeedableRng;
use rand::rngs::StdRng;
use virtual_card::{Card, CardMemory, CardRandom, InProcess};

fn rng(seed: u8) -> StdRng {
    StdRng::from_seed([seed; 32])
}

/// What a mutant knows of the card.
#[derive(Default)]
struct Spy {
    /// G and M by role and version.
    slots: BTreeMap<(u8, u8), (Key16, Key16)>,
    /// Last step that the card accepted.
    last: u16,
    /// U-ENC, U-MAC, U-RCPT.
    updates: Option<KeySet>,
    /// Power was lost during a command.
    lost: bool,
    /// The host cryptogram that would be right.
    cryptogram: Option<[u8; 8]>,
    /// A certificate of a year after the next was shown.
    far_ahead: bool,
}

impl Spy {
    /// Learns from a step.
    fn learn(&mut self, n: u16, plain: &[u8]) {
        self.last = n;
        if plain[0] == 0x05 {
            let key = |at: usize| Key16::new(plain[at..at + 16].try_into().unwrap());
            self.slots.insert((plain[1], plain[2]), (key(4), key(20)));
        }
    }
}

type OnWire = Box<dyn FnMut(&mut Spy, &[u8], Vec<u8>) -> Vec<u8>>;
type Instead = Box<dyn FnMut(&mut Spy, &[u8]) -> Option<Vec<u8>>>;
type Inside = Box<
    dyn FnMut(&mut Spy, Header, &[u8], &mut dyn FnMut(Header, &[u8]) -> (Vec<u8>, u16)) -> (Vec<u8>, u16),
>;

/// A fault.
enum Fault {
    /// None: the control.
    Nothing,
    /// Another answer than the card's.
    Wire(OnWire),
    /// An answer without asking the card.
    Instead(Instead),
    /// Something else inside door I.
    Inside(Inside),
    /// Successful commands of this instruction are forgotten.
    Forgets(u8),
    /// Power that fails during a command throws the card back to what it was when it was made.
    ThrownBack,
    /// The random source starts anew with the power.
    Repeats,
    /// A reset changes nothing.
    NoReset,
}

fn wire(change: impl FnMut(&mut Spy, &[u8], Vec<u8>) -> Vec<u8> + 'static) -> Fault {
    Fault::Wire(Box::new(change))
}

fn instead(change: impl FnMut(&mut Spy, &[u8]) -> Option<Vec<u8>> + 'static) -> Fault {
    Fault::Instead(Box::new(change))
}

fn inside(
    change: impl FnMut(&mut Spy, Header, &[u8], &mut dyn FnMut(Header, &[u8]) -> (Vec<u8>, u16)) -> (Vec<u8>, u16)
    + 'static,
) -> Fault {
    Fault::Inside(Box::new(change))
}

/// Another status word everywhere.
fn status(from: u16, to: u16) -> Fault {
    wire(move |_, _, mut answer| {
        if answer == from.to_be_bytes() {
            answer = to.to_be_bytes().to_vec();
        }
        answer
    })
}

/// Both ends of an open door I.
struct Channels {
    host: Channel,
    card: Channel,
}

/// What INITIALIZE UPDATE gave.
struct Opening {
    host: [u8; 8],
    card: [u8; 8],
    keys: KeySet,
}

struct Mutant<'a> {
    inner: InProcess,
    memory: CardMemory,
    /// The card as it was made.
    made: Vec<u8>,
    keys: &'a TestKeys,
    fault: Fault,
    spy: Spy,
    opening: Option<Opening>,
    door: Option<Channels>,
}

impl<'a> Mutant<'a> {
    fn new(keys: &'a TestKeys, fault: Fault) -> Self {
        let blank = rig::test_lot_blank(keys, 1).unwrap();
        let memory = CardMemory::ram(card_applet::MEMORY_LEN);
        virtual_card::blank::manufacture(&memory, &blank, &mut rng(3)).unwrap();
        let random = match fault {
            Fault::Repeats => CardRandom::repeating([8; 32]),
            _ => CardRandom::from_source(&mut rng(4)),
        };
        let spy = Spy {
            updates: Some(keys.update_keys(&keys.serial(1)).unwrap()),
            ..Spy::default()
        };
        Self {
            inner: InProcess::with(Card::new(memory.clone(), random)),
            made: memory.image(),
            memory,
            keys,
            fault,
            spy,
            opening: None,
            door: None,
        }
    }

    /// One command to the card, and what the mutant learns from it.
    fn card(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        let before = match self.fault {
            Fault::Forgets(ins) if command[1] == ins => Some(self.memory.image()),
            _ => None,
        };
        let answer = self.inner.transmit(command);
        if let (Some(before), Ok([.., 0x90, 0x00])) = (before, answer.as_deref()) {
            self.memory = CardMemory::from_image(before);
            let random = CardRandom::from_source(&mut rng(5));
            self.inner
                .insert(Box::new(Card::new(self.memory.clone(), random)));
        }
        let answer = answer?;
        match (command[0], command[1]) {
            (0x80, 0x50) if answer.len() == 31 => {
                let card = InitializeUpdate::parse(&answer[..29]).unwrap();
                let host = command[5..13].try_into().unwrap();
                let serial = self.keys.serial(1);
                let candidates = [
                    self.keys.transport_keys(&serial).unwrap(),
                    self.keys.issuance_keys(&serial).unwrap(),
                ];
                self.opening = candidates
                    .into_iter()
                    .find(|keys| {
                        SessionKeys::derive(keys, &host, &card.card_challenge)
                            .card_cryptogram(&host, &card.card_challenge)
                            == card.card_cryptogram
                    })
                    .inspect(|keys| {
                        let session = SessionKeys::derive(keys, &host, &card.card_challenge);
                        self.spy.cryptogram = Some(session.host_cryptogram(&host, &card.card_challenge));
                    })
                    .map(|keys| Opening {
                        host,
                        card: card.card_challenge,
                        keys,
                    });
            }
            (0x84, 0x82) if answer == [0x90, 0x00] => {
                if let Some(opening) = self.opening.take() {
                    let end = || {
                        let session = SessionKeys::derive(&opening.keys, &opening.host, &opening.card);
                        let cryptogram = session.host_cryptogram(&opening.host, &opening.card);
                        let mut channel = Channel::new(session);
                        channel.external_authenticate(&cryptogram).unwrap();
                        channel
                    };
                    self.door = Some(Channels {
                        host: end(),
                        card: end(),
                    });
                }
            }
            (0x84, 0xDA | 0xF2) => {}
            _ => self.door = None,
        }
        Ok(answer)
    }

    /// A wrapped command of door I, opened, changed, and wrapped again. None: not ours to open.
    fn through(&mut self, command: &[u8]) -> Option<Result<Vec<u8>, TransportError>> {
        let mut door = self.door.take()?;
        let parsed = ParsedCommand::parse(command).ok()?;
        if !matches!((parsed.header.cla, parsed.header.ins), (0x84, 0xDA | 0xF2)) {
            return None;
        }
        // A broken command goes to the card as it is: the card refuses it too.
        if parsed.le != Some(0) {
            return None;
        }
        let plain = door.host.unwrap_command(&parsed).ok()?;
        let (inner, spy) = (&mut self.inner, &mut self.spy);
        let mut trouble = None;
        let mut learnt = None;
        let channel = &mut door.card;
        let mut call = |header: Header, plain: &[u8]| {
            let wrapped = channel.wrap_command(header, plain).unwrap();
            match inner.transmit(&wrapped) {
                Ok(answer) => {
                    let (body, sw) = channel.unwrap_answer(&answer).unwrap();
                    if sw.is_ok() && header.ins == 0xDA {
                        learnt = Some((u16::from_be_bytes([header.p1, header.p2]), plain.to_vec()));
                    }
                    (body.to_vec(), sw.0)
                }
                Err(error) => {
                    trouble = Some(error);
                    (Vec::new(), 0x6F00)
                }
            }
        };
        let (body, sw) = match &mut self.fault {
            Fault::Inside(change) => change(spy, parsed.header, &plain, &mut call),
            _ => call(parsed.header, &plain),
        };
        if let Some(error) = trouble {
            self.spy.lost = true;
            return Some(Err(error));
        }
        if let Some((n, plain)) = learnt {
            self.spy.learn(n, &plain);
        }
        let answer = door.host.wrap_answer(&body, StatusWord(sw)).unwrap();
        if sw == 0x9000 {
            self.door = Some(door);
        }
        Some(Ok(answer.to_vec()))
    }
}

impl Transport for Mutant<'_> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        if let Fault::Instead(change) = &mut self.fault
            && let Some(answer) = change(&mut self.spy, command)
        {
            return Ok(answer);
        }
        self.spy.far_ahead |= is(command, 0x80, 0x20) && far_ahead(command);
        let answer = match self.through(command) {
            Some(answer) => answer?,
            None => self.card(command).inspect_err(|_| self.spy.lost = true)?,
        };
        Ok(match &mut self.fault {
            Fault::Wire(change) => change(&mut self.spy, command, answer),
            _ => answer,
        })
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        if matches!(self.fault, Fault::ThrownBack) && std::mem::take(&mut self.spy.lost) {
            // The same memory goes on, so that the rig can cut it again.
            self.memory.light();
            self.memory.tear(u32::MAX, 0);
            CardWriter(self.memory.clone()).overwrite(&self.made);
        }
        if matches!(self.fault, Fault::NoReset) {
            return Ok(());
        }
        self.door = None;
        self.opening = None;
        self.inner.reset()
    }

    fn name(&self) -> &'static str {
        "mutant"
    }
}

/// Writes a memory whole.
struct CardWriter(CardMemory);

impl CardWriter {
    fn overwrite(&mut self, bytes: &[u8]) {
        use card_applet::Memory;
        self.0.write(0, bytes).unwrap();
    }
}

/// Runs cases on a mutant.
fn verdicts(fault: Fault, expected: &[&str]) -> Report {
    let keys = TestKeys::generate(&mut rng(1));
    let mut card = Mutant::new(&keys, fault);
    let memory = card.memory.clone();
    let mut cutter = Tear(memory);
    let setup = Setup {
        transport: &mut card,
        keys: Some(&keys),
        rng: rng(2),
        watch: &|| 0,
        cutter: Some(&mut cutter),
        today: sample::TODAY,
        samples: 64,
        wear: 20,
    };
    let choice = Choice {
        cases: expected.iter().map(|number| (*number).to_owned()).collect(),
        destructive: true,
        ..Choice::default()
    };
    run(setup, &choice, &mut |_: &Case| {}).unwrap()
}

/// As the cutter of the crate, over the mutant's memory.
struct Tear(CardMemory);

impl hardware_tests::conformance::Cutter for Tear {
    fn arm(&mut self, step: u32) -> bool {
        self.0.tear(step / 2 + 1, step % 2 * 7);
        true
    }

    fn restore(&mut self) {
        self.0.tear(u32::MAX, 0);
    }
}

/// Every mutant must fail its cases. What it is, the cases, the fault.
fn killed(mutants: Vec<(&str, &[&str], Fault)>) {
    let mut survivors = Vec::new();
    for (name, expected, fault) in mutants {
        let report = verdicts(fault, expected);
        for number in expected {
            match report.verdict(number) {
                Some(Verdict::Fail(what)) => println!("{name}: {number}: {what}"),
                other => survivors.push(format!("{name}: {number} is {other:?}")),
            }
        }
    }
    assert!(survivors.is_empty(), "{survivors:#?}");
}

/// TAP answered again with a changed P, right under G and M.
fn resealed(spy: &Spy, command: &[u8], answer: Vec<u8>, change: impl FnOnce(&mut TapPlain)) -> Vec<u8> {
    if (command[0], command[1]) != (0x80, 0x10) || answer.len() != 258 {
        return answer;
    }
    let Some((g, m)) = spy.slots.get(&(command[2], command[3])) else {
        return answer;
    };
    let body = TapAnswer::parse(&answer[..256]).unwrap();
    let Ok(mut plain) = body.open(g) else {
        return answer;
    };
    change(&mut plain);
    let rt = command[5..21].try_into().unwrap();
    let again = TapAnswer::make(
        g,
        m,
        command[2],
        command[3],
        &rt,
        body.card_challenge,
        &plain.encode().unwrap(),
    )
    .unwrap();
    [&again.encode().unwrap()[..], &[0x90, 0x00]].concat()
}

fn is(command: &[u8], cla: u8, ins: u8) -> bool {
    (command[0], command[1]) == (cla, ins)
}

#[test]
fn without_a_fault_the_mutant_passes_every_case() {
    let report = verdicts(Fault::Nothing, &[]);
    assert_eq!(report.counts().1, 0, "{}", report::table(&report));
}

#[test]
fn wrong_status_words_are_found() {
    killed(vec![
        ("6982 becomes 6985", &["06.03", "05.03"], status(0x6982, 0x6985)),
        ("6985 becomes 6982", &["01.04", "01.06"], status(0x6985, 0x6982)),
        ("6D00 becomes 6E00", &["01.04"], status(0x6D00, 0x6E00)),
        ("6E00 becomes 6D00", &["01.04"], status(0x6E00, 0x6D00)),
        (
            "6A80 becomes 6A88",
            &["01.13", "07.04", "05.21"],
            status(0x6A80, 0x6A88),
        ),
        (
            "6A88 becomes 6A86",
            &["02.03", "07.02", "07.16"],
            status(0x6A88, 0x6A86),
        ),
        ("6A86 becomes 6A80", &["01.12", "07.15"], status(0x6A86, 0x6A80)),
        ("6984 becomes 6982", &["07.21"], status(0x6984, 0x6982)),
        ("6700 becomes 6A80", &["01.11", "01.12"], status(0x6700, 0x6A80)),
        ("6A82 becomes 6A88", &["01.02"], status(0x6A82, 0x6A88)),
        (
            "a byte stands before a refusal",
            &["01.04", "06.03"],
            wire(|_, _, answer| {
                if answer.len() == 2 && answer[0] != 0x90 {
                    [&[0x00], &answer[..]].concat()
                } else {
                    answer
                }
            }),
        ),
    ]);
}

#[test]
fn wrong_sessions_and_names_are_found() {
    const INFO: &[u8] = &[0x6F, 0x00, 0x90, 0x00];
    killed(vec![
        (
            "a part of the AID is enough",
            &["01.02"],
            wire(|_, command, answer| {
                if is(command, 0x00, 0xA4) {
                    INFO.to_vec()
                } else {
                    answer
                }
            }),
        ),
        (
            "an error does not end an opening",
            &["01.06"],
            instead(|_, command| (is(command, 0x80, 0xCA)).then(|| vec![0x69, 0x85])),
        ),
        (
            "card info has another profile",
            &["02.01"],
            wire(|_, command, mut answer| {
                if is(command, 0x00, 0xA4) && answer.len() > 20 {
                    answer[18] ^= 0x01;
                }
                answer
            }),
        ),
        ("card info changes with each SELECT", &["01.01"], {
            let mut count = 0_u8;
            wire(move |_, command, mut answer| {
                if is(command, 0x00, 0xA4) && answer.len() > 20 {
                    count = count.wrapping_add(1);
                    answer[18] = count;
                }
                answer
            })
        }),
        (
            "the serial is told for ever",
            &["02.04", "01.18", "01.16"],
            wire(|_, command, answer| {
                if command == [0x80, 0xCA, 0x00, 0x45, 0x00] && answer == [0x6A, 0x88] {
                    vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0x90, 0x00]
                } else {
                    answer
                }
            }),
        ),
        (
            "an unknown tag in a certificate is refused",
            &["01.14"],
            instead(|_, command| {
                (is(command, 0x80, 0x20) && command.windows(4).any(|part| part == [0x5B, 0x02, 0x01, 0x02]))
                    .then(|| vec![0x6A, 0x80])
            }),
        ),
        (
            "a length that is not minimal is taken",
            &["01.13"],
            instead(|_, command| {
                (is(command, 0x80, 0x20) && command[5..].starts_with(&[0x7F, 0x21, 0x82]))
                    .then(|| vec![0x90, 0x00])
            }),
        ),
        ("a reset ends no session", &["01.03"], Fault::NoReset),
        (
            "the security domain is selectable",
            &["13.01"],
            wire(|_, command, answer| {
                if is(command, 0x00, 0xA4) && command.get(5) == Some(&0xA0) {
                    vec![0x6F, 0x00, 0x90, 0x00]
                } else {
                    answer
                }
            }),
        ),
        (
            "production data are told before SELECT",
            &["13.02"],
            wire(|_, command, answer| {
                if command == [0x80, 0xCA, 0x9F, 0x7F, 0x00] {
                    vec![0x9F, 0x7F, 0x2A, 0x90, 0x00]
                } else {
                    answer
                }
            }),
        ),
        (
            "the identifier is constant",
            &["13.03"],
            wire(|_, command, answer| {
                if is(command, 0xFF, 0xCA) {
                    vec![0x04, 1, 2, 3, 4, 5, 6, 0x90, 0x00]
                } else {
                    answer
                }
            }),
        ),
        (
            "the random source starts anew with the power",
            &["05.02", "13.04"],
            Fault::Repeats,
        ),
    ]);
}

#[test]
fn faults_of_door_f_are_found() {
    let tap = |change: fn(&mut Vec<u8>)| {
        wire(move |_, command, mut answer| {
            if is(command, 0x80, 0x10) && answer.len() == 258 {
                change(&mut answer);
            }
            answer
        })
    };
    let plain =
        |change: fn(&mut TapPlain)| wire(move |spy, command, answer| resealed(spy, command, answer, change));
    let commit = |change: fn(&mut Vec<u8>)| {
        wire(move |_, command, mut answer| {
            if is(command, 0x80, 0x12) && answer.len() == 27 {
                change(&mut answer);
            }
            answer
        })
    };
    killed(vec![
        (
            "rC is constant",
            &["06.02", "13.04", "13.05"],
            tap(|answer| answer[..16].fill(0x11)),
        ),
        (
            "T is constant",
            &["06.02", "06.05"],
            tap(|answer| answer[240..256].fill(0x11)),
        ),
        ("T is wrong", &["06.05"], tap(|answer| answer[255] ^= 0x01)),
        (
            "a bit of C is always set",
            &["13.05"],
            tap(|answer| {
                for byte in &mut answer[16..240] {
                    *byte |= 0x01;
                }
            }),
        ),
        (
            "a decoy is shorter",
            &["06.01"],
            wire(|_, command, mut answer| {
                if is(command, 0x80, 0x10) && command[3] == 0x7F && answer.len() == 258 {
                    answer.remove(0);
                }
                answer
            }),
        ),
        (
            "an unknown role has a status of its own",
            &["06.01", "01.16"],
            wire(|_, command, answer| {
                if is(command, 0x80, 0x10) && command[2] == 0x06 {
                    vec![0x6A, 0x88]
                } else {
                    answer
                }
            }),
        ),
        (
            "TAP shows seq of the debit before",
            &["06.07", "11.01"],
            plain(|plain| plain.seq = plain.seq.wrapping_sub(1)),
        ),
        (
            "TAP shows other money",
            &["06.07"],
            plain(|plain| plain.loaded += 1),
        ),
        (
            "SB is not masked",
            &["06.07"],
            plain(|plain| plain.masked = [0; 16]),
        ),
        (
            "the purse shows at every role",
            &["03.06"],
            plain(|plain| plain.seq = plain.seq.max(1)),
        ),
        ("another pid", &["06.05"], plain(|plain| plain.pid[0] ^= 0x01)),
        (
            "another record",
            &["06.05"],
            plain(|plain| plain.record[100] ^= 0x01),
        ),
        (
            "a card that is blocked or not handed over taps",
            &["03.08", "03.09"],
            wire(|spy, command, answer| {
                if !is(command, 0x80, 0x10) || answer.len() != 258 {
                    return answer;
                }
                let Some((g, m)) = spy.slots.get(&(command[2], command[3])) else {
                    return answer;
                };
                let plain = TapPlain {
                    pid: [1; 16],
                    seq: 0,
                    loaded: 0,
                    spent: 0,
                    last_txno: [0; 8],
                    masked: [0; 16],
                    tac: [0; 8],
                    record: [0; 160],
                };
                let made = TapAnswer::make(
                    g,
                    m,
                    command[2],
                    command[3],
                    &command[5..21].try_into().unwrap(),
                    answer[..16].try_into().unwrap(),
                    &plain.encode().unwrap(),
                );
                [&made.unwrap().encode().unwrap()[..], &[0x90, 0x00]].concat()
            }),
        ),
        (
            "the proof is wrong",
            &["06.07", "06.08"],
            commit(|answer| answer[20] ^= 0x01),
        ),
        ("the TAC is wrong", &["06.07"], commit(|answer| answer[3] ^= 0x01)),
        (
            "a repeated COMMIT is called a new one",
            &["06.08"],
            commit(|answer| answer[0] = 0x00),
        ),
        (
            "a debit is called a repetition",
            &["06.07", "11.02"],
            commit(|answer| answer[0] = 0x01),
        ),
        (
            "a debit is not written",
            &["06.07", "11.01"],
            Fault::Forgets(0x12),
        ),
        (
            "a wrong MAC of COMMIT is taken",
            &["06.10", "06.03"],
            wire(|_, command, answer| {
                if is(command, 0x80, 0x12) && answer == [0x69, 0x82] {
                    [&[0; 25][..], &[0x90, 0x00]].concat()
                } else {
                    answer
                }
            }),
        ),
        (
            "limits are not looked at",
            &["06.09", "06.11", "06.12", "06.13", "06.14", "06.15"],
            wire(|_, command, answer| {
                if is(command, 0x80, 0x12) && answer == [0x69, 0x85] {
                    [&[0; 25][..], &[0x90, 0x00]].concat()
                } else {
                    answer
                }
            }),
        ),
        (
            "rfu of the body is not looked at",
            &["06.16"],
            status(0x6A80, 0x9000),
        ),
        (
            "a cut throws the card back",
            &["10.01", "10.03", "10.04", "10.06"],
            Fault::ThrownBack,
        ),
        (
            "money is lost with the power",
            &["10.02"],
            wire(|spy, command, answer| {
                if spy.lost {
                    resealed(spy, command, answer, |plain| plain.spent += 1)
                } else {
                    answer
                }
            }),
        ),
    ]);
}

/// Op of a step, 0 for what is no step.
fn op(header: Header, plain: &[u8]) -> u8 {
    if header.ins == 0xDA { plain[0] } else { 0 }
}

#[test]
fn faults_of_door_i_are_found() {
    let number = |header: Header| u16::from_be_bytes([header.p1, header.p2]);
    // Done, though the card would refuse: it is not asked.
    let takes = |which: u8| {
        let mut seen: Vec<Vec<u8>> = Vec::new();
        inside(move |_, header, plain, card| {
            if op(header, plain) != which {
                return card(header, plain);
            }
            if seen.iter().any(|before| before[..2] == plain[..2]) {
                return (Vec::new(), 0x9000);
            }
            let answer = card(header, plain);
            if answer.1 == 0x9000 {
                seen.push(plain.to_vec());
            }
            answer
        })
    };
    killed(vec![
        (
            "diversification data in INITIALIZE UPDATE",
            &["05.01"],
            wire(|_, command, mut answer| {
                if is(command, 0x80, 0x50) && answer.len() == 31 {
                    answer[5] = 0x42;
                }
                answer
            }),
        ),
        (
            "a sequence counter behind it",
            &["05.01"],
            wire(|_, command, mut answer| {
                if is(command, 0x80, 0x50) && answer.len() == 31 {
                    answer[12] = 0x70;
                    answer.splice(29..29, [0, 0, 1]);
                }
                answer
            }),
        ),
        (
            "the card challenge is constant",
            &["05.02", "13.04"],
            wire(|_, command, mut answer| {
                if is(command, 0x80, 0x50) && answer.len() == 31 {
                    answer[13..21].fill(0x11);
                }
                answer
            }),
        ),
        (
            "a wrong cryptogram opens",
            &["05.03", "05.05"],
            wire(|_, command, answer| {
                if is(command, 0x84, 0x82) {
                    vec![0x90, 0x00]
                } else {
                    answer
                }
            }),
        ),
        (
            "the MAC of answers is wrong",
            &["05.04"],
            wire(|_, command, mut answer| {
                if is(command, 0x84, 0xF2) && answer.len() > 10 {
                    let at = answer.len() - 3;
                    answer[at] ^= 0x01;
                }
                answer
            }),
        ),
        (
            "a command without MAC is taken",
            &["05.07"],
            instead(|_, command| (command == [0x84, 0xF2, 0x00, 0x00, 0x00]).then(|| vec![0x90, 0x00])),
        ),
        (
            "a step with a number above the next is taken",
            &["05.11"],
            inside(move |spy, header, plain, card| {
                if op(header, plain) == 0x02 && number(header) == spy.last + 2 {
                    return (Vec::new(), 0x9000);
                }
                card(header, plain)
            }),
        ),
        (
            "another step under the last number is taken",
            &["05.12"],
            inside(move |spy, header, plain, card| {
                let answer = card(header, plain);
                if op(header, plain) == 0x02 && number(header) == spy.last && answer.1 == 0x6985 {
                    return (Vec::new(), 0x9000);
                }
                answer
            }),
        ),
        (
            "the last step again is refused",
            &["05.12", "05.13"],
            inside(move |spy, header, plain, card| {
                if op(header, plain) == 0x02 && number(header) == spy.last {
                    return (Vec::new(), 0x6985);
                }
                card(header, plain)
            }),
        ),
        ("GENERATE again makes another key", &["05.15"], {
            let mut count = 0_u8;
            inside(move |_, header, plain, card| {
                let (mut body, sw) = card(header, plain);
                if op(header, plain) == 0x03 && sw == 0x9000 {
                    count += 1;
                    if count.is_multiple_of(2) {
                        body[0] ^= 0x01;
                    }
                }
                (body, sw)
            })
        }),
        (
            "a second GENERATE is taken",
            &["05.15"],
            inside(|_, header, plain, card| {
                let answer = card(header, plain);
                if op(header, plain) == 0x03 && answer.1 == 0x6985 {
                    return (vec![4; 64], 0x9000);
                }
                answer
            }),
        ),
        (
            "CERTIFICATE of another key is taken",
            &["05.16"],
            inside(|_, header, plain, card| {
                let answer = card(header, plain);
                if op(header, plain) == 0x04 && answer.1 == 0x6A80 {
                    return (Vec::new(), 0x9000);
                }
                answer
            }),
        ),
        (
            "WRITE out of order is taken",
            &["05.17"],
            inside(|_, header, plain, card| {
                let answer = card(header, plain);
                if op(header, plain) == 0x02 && answer.1 != 0x9000 {
                    return (Vec::new(), 0x9000);
                }
                answer
            }),
        ),
        ("a second SLOT of a role and version is taken", &["05.18"], {
            inside(|_, header, plain, card| {
                let answer = card(header, plain);
                if op(header, plain) == 0x05 && answer.1 == 0x6A80 {
                    return (Vec::new(), 0x9000);
                }
                answer
            })
        }),
        ("a second PURSE is taken", &["05.19"], takes(0x06)),
        (
            "a seq of 2^31 is taken",
            &["05.19"],
            inside(|_, header, plain, card| {
                if op(header, plain) == 0x06 && plain[2] & 0x80 != 0 {
                    return (Vec::new(), 0x9000);
                }
                card(header, plain)
            }),
        ),
        ("a second KEYS is taken", &["05.20"], {
            let mut count = 0_u8;
            inside(move |_, header, plain, card| {
                if op(header, plain) == 0x07 {
                    count += 1;
                    if count > 1 {
                        return (vec![0; 18], 0x9000);
                    }
                }
                card(header, plain)
            })
        }),
        (
            "a check value is wrong",
            &["04.03"],
            inside(|spy, header, plain, card| {
                let (mut body, sw) = card(header, plain);
                // In the rewrite only: KEYS is its second step, so that the card can be personalised first.
                if op(header, plain) == 0x07 && sw == 0x9000 && spy.last == 1 {
                    body[17] ^= 0x01;
                }
                (body, sw)
            }),
        ),
        (
            "FINALISE of an unfinished personalisation is taken",
            &["05.22"],
            inside(|_, header, plain, card| {
                let answer = card(header, plain);
                if op(header, plain) == 0x0F && answer.1 == 0x6985 {
                    return (vec![0x02], 0x9000);
                }
                answer
            }),
        ),
        (
            "FINALISE answers another state",
            &["05.24"],
            inside(|spy, header, plain, card| {
                let (mut body, sw) = card(header, plain);
                if op(header, plain) == 0x0F && sw == 0x9000 && spy.last < 5 {
                    body[0] = 0x03;
                }
                (body, sw)
            }),
        ),
        (
            "GET STATUS never says that a script is open",
            &["05.10", "05.13"],
            inside(|_, header, plain, card| {
                let (mut body, sw) = card(header, plain);
                if header == Header::GET_STATUS && body.len() == 59 {
                    body[58] = 0;
                }
                (body, sw)
            }),
        ),
        (
            "GET STATUS tells a floor that stays",
            &["05.34"],
            inside(|_, header, plain, card| {
                let (mut body, sw) = card(header, plain);
                if header == Header::GET_STATUS && body.len() == 59 {
                    body[52..56].copy_from_slice(&[0x20, 0x26, 0x01, 0x01]);
                }
                (body, sw)
            }),
        ),
        (
            "a script of any kind begins in any state",
            &["05.09", "05.27", "05.29", "05.38"],
            inside(|_, header, plain, card| {
                let answer = card(header, plain);
                if op(header, plain) == 0x01 && answer.1 == 0x6985 {
                    return (Vec::new(), 0x9000);
                }
                answer
            }),
        ),
        (
            "wrong tries are not counted",
            &["05.36", "05.37"],
            instead(|spy, command| {
                (is(command, 0x84, 0x82)
                    && command.len() == 21
                    && spy.cryptogram.is_some_and(|right| command[5..13] != right))
                .then(|| vec![0x69, 0x82])
            }),
        ),
        (
            "the key version that it names is unknown to it",
            &["05.41"],
            instead(|_, command| {
                command
                    .starts_with(&[0x80, 0x50, 0x01, 0x00])
                    .then(|| vec![0x6A, 0x86])
            }),
        ),
        (
            "any key version is taken",
            &["05.41"],
            wire(|_, command, answer| {
                if is(command, 0x80, 0x50) && answer == [0x6A, 0x86] {
                    vec![0; 29].into_iter().chain([0x90, 0x00]).collect()
                } else {
                    answer
                }
            }),
        ),
        (
            "Le on EXTERNAL AUTHENTICATE is taken",
            &["05.42", "01.19"],
            wire(|_, command, answer| {
                if is(command, 0x84, 0x82) && answer == [0x67, 0x00] {
                    vec![0x90, 0x00]
                } else {
                    answer
                }
            }),
        ),
        (
            "in the channel any Le is taken",
            &["05.42", "01.20"],
            wire(|_, command, answer| {
                if command[0] == 0x84 && command[1] != 0x82 && answer == [0x67, 0x00] {
                    vec![0x90, 0x00]
                } else {
                    answer
                }
            }),
        ),
        (
            "a missing Le in the channel is a wrong MAC",
            &["05.42", "01.20"],
            status(0x6700, 0x6982),
        ),
        (
            "padding alone is no data",
            &["05.43"],
            wire(|_, command, answer| {
                if command[0] == 0x84 && command.get(4) == Some(&24) && answer == [0x69, 0x82] {
                    vec![0x90, 0x00]
                } else {
                    answer
                }
            }),
        ),
        (
            "GET STATUS in door I never tells of wrong tries",
            &["05.44"],
            inside(|_, header, plain, card| {
                let (mut body, sw) = card(header, plain);
                if header == Header::GET_STATUS && body.len() == 59 {
                    body[51] = 0;
                }
                (body, sw)
            }),
        ),
        (
            "the count of wrong tries is told for ever",
            &["05.04", "05.42", "05.44"],
            {
                let mut most = 0;
                inside(move |_, header, plain, card| {
                    let (mut body, sw) = card(header, plain);
                    if header == Header::GET_STATUS && body.len() == 59 {
                        most = most.max(body[51]);
                        body[51] = most.max(1);
                    }
                    (body, sw)
                })
            },
        ),
        ("a locked door opens after some more tries", &["05.45"], {
            let mut wrong = 0_u8;
            wire(move |_, command, answer| {
                if is(command, 0x84, 0x82) {
                    wrong = if answer == [0x69, 0x82] { wrong + 1 } else { 0 };
                    if wrong > 20 {
                        return vec![0x90, 0x00];
                    }
                }
                answer
            })
        }),
        ("a blank is locked", &["05.06"], {
            let mut wrong = 0_u8;
            wire(move |_, command, answer| {
                if is(command, 0x84, 0x82) {
                    if answer == [0x69, 0x82] {
                        wrong = wrong.saturating_add(1);
                    }
                    if wrong >= 16 {
                        return vec![0x69, 0x82];
                    }
                }
                answer
            })
        }),
    ]);
}

/// Whether a certificate's effective date is in the year after next or later, as the suite's day counts.
fn far_ahead(command: &[u8]) -> bool {
    let at = command.windows(3).position(|part| part == [0x5F, 0x25, 0x06]);
    let year = at.and_then(|at| command.get(at + 3..at + 5));
    year.is_some_and(|year| i16::from(year[0]) * 10 + i16::from(year[1]) > sample::TODAY.year() - 2000 + 1)
}

#[test]
fn faults_of_door_s_and_of_the_platform_are_found() {
    killed(vec![
        (
            "a chain far ahead is refused",
            &["07.25"],
            wire(|spy, command, answer| {
                if is(command, 0x80, 0x22) && std::mem::take(&mut spy.far_ahead) {
                    vec![0x69, 0x84]
                } else {
                    answer
                }
            }),
        ),
        (
            "a chain far ahead moves the floor",
            &["07.25"],
            inside(|spy, header, plain, card| {
                let (mut body, sw) = card(header, plain);
                if header == Header::GET_STATUS && body.len() == 59 && spy.far_ahead {
                    body[52..56].copy_from_slice(&[0x20, 0x95, 0x01, 0x01]);
                }
                (body, sw)
            }),
        ),
        (
            "AGREE takes any point",
            &["13.07"],
            wire(|_, command, answer| {
                if is(command, 0x80, 0x22) && answer == [0x69, 0x82] {
                    [&[0x04; 241][..], &[0x90, 0x00]].concat()
                } else {
                    answer
                }
            }),
        ),
        (
            "a blank and an ended card take certificates",
            &["07.01", "07.24", "05.40"],
            wire(|_, command, answer| {
                if is(command, 0x80, 0x20) && answer == [0x69, 0x85] {
                    vec![0x90, 0x00]
                } else {
                    answer
                }
            }),
        ),
        (
            "S1 takes any point",
            &["13.06"],
            wire(|_, command, answer| {
                if is(command, 0x80, 0x20) && answer == [0x6A, 0x80] {
                    vec![0x90, 0x00]
                } else {
                    answer
                }
            }),
        ),
        (
            "S1 takes any signature",
            &["07.03"],
            wire(|_, command, answer| {
                if is(command, 0x80, 0x20) && answer == [0x69, 0x82] {
                    vec![0x90, 0x00]
                } else {
                    answer
                }
            }),
        ),
        (
            "a trust anchor is any point",
            &["13.08"],
            inside(|_, header, plain, card| {
                let answer = card(header, plain);
                if op(header, plain) == 0x08 && answer.1 == 0x6A80 {
                    return (Vec::new(), 0x9000);
                }
                answer
            }),
        ),
        (
            "the challenge of door S is constant",
            &["07.11"],
            wire(|_, command, mut answer| {
                if is(command, 0x00, 0x84) && answer.len() == 18 {
                    answer[..16].fill(0x11);
                }
                answer
            }),
        ),
        (
            "the MAC of AGREE is wrong",
            &["07.07"],
            wire(|_, command, mut answer| {
                if is(command, 0x80, 0x22) && answer.len() == 243 {
                    answer[240] ^= 0x01;
                }
                answer
            }),
        ),
        (
            "Ecert is another certificate",
            &["07.07"],
            wire(|_, command, mut answer| {
                if is(command, 0x80, 0x22) && answer.len() == 243 {
                    answer[100] ^= 0x01;
                }
                answer
            }),
        ),
        (
            "floor and epoch are not compared",
            &["07.21"],
            wire(|_, command, answer| {
                if is(command, 0x80, 0x22) && answer == [0x69, 0x84] {
                    [&[0x04; 241][..], &[0x90, 0x00]].concat()
                } else {
                    answer
                }
            }),
        ),
        (
            "rights are not looked at in AGREE",
            &["07.09"],
            wire(|_, command, answer| {
                if is(command, 0x80, 0x22) && matches!(answer[..], [0x69, 0x82] | [0x6A, 0x80]) {
                    [&[0x04; 241][..], &[0x90, 0x00]].concat()
                } else {
                    answer
                }
            }),
        ),
        (
            "objects are given without their right",
            &["07.14", "07.17"],
            wire(|_, command, answer| {
                if is(command, 0x84, command[1])
                    && matches!(command[1], 0xB0 | 0x2C)
                    && answer == [0x69, 0x82]
                {
                    [&[0; 16][..], &[0x90, 0x00]].concat()
                } else {
                    answer
                }
            }),
        ),
        (
            "door S opens before the hand-over",
            &["07.12"],
            wire(|_, command, answer| {
                if is(command, 0x80, 0x22) && answer == [0x69, 0x85] {
                    [&[0x04; 241][..], &[0x90, 0x00]].concat()
                } else {
                    answer
                }
            }),
        ),
        ("floor and epoch are forgotten", &["07.20"], Fault::Forgets(0x22)),
        (
            "a stranger is told another status",
            &["07.01"],
            status(0x6985, 0x6A81),
        ),
    ]);
}

/// A receipt as the card would make it.
fn receipt(spy: &Spy, command: &[u8]) -> Vec<u8> {
    let (sealed, _) = SealedUpdate::parse_command(&command[5..257]).unwrap();
    let receipt = sealed.receipt(spy.updates.as_ref().unwrap());
    [&receipt[..], &[0x90, 0x00]].concat()
}

#[test]
fn faults_of_updates_are_found() {
    let accepts = |refusal: u16| {
        wire(move |spy, command, answer| {
            if is(command, 0x80, 0x14) && command.len() == 258 && answer == refusal.to_be_bytes() {
                receipt(spy, command)
            } else {
                answer
            }
        })
    };
    killed(vec![
        (
            "the receipt is wrong",
            &["09.03"],
            wire(|_, command, mut answer| {
                if is(command, 0x80, 0x14) && answer.len() == 18 {
                    answer[0] ^= 0x01;
                }
                answer
            }),
        ),
        (
            "an update is not written",
            &["09.03", "09.05"],
            Fault::Forgets(0x14),
        ),
        ("an old counter is taken", &["09.05"], accepts(0x6985)),
        (
            "wrong MACs are taken",
            &["09.06", "09.02", "09.16"],
            accepts(0x6982),
        ),
        ("any form is taken", &["09.08"], accepts(0x6A80)),
        (
            "an update is done while a script is open",
            &["09.14"],
            accepts(0x6985),
        ),
        ("an update of a blocked card is done", &["09.15"], accepts(0x6982)),
        ("the same update again is refused", &["09.04"], {
            let mut last = Vec::new();
            wire(move |_, command, answer| {
                if !is(command, 0x80, 0x14) || answer.len() != 18 {
                    return answer;
                }
                if last == answer {
                    return vec![0x69, 0x85];
                }
                last.clone_from(&answer);
                answer
            })
        }),
        (
            "an update is refused everywhere though card info says it",
            &["09.01", "09.03", "09.09", "09.11", "09.12", "09.13"],
            instead(|_, command| is(command, 0x80, 0x14).then(|| vec![0x6D, 0x00])),
        ),
        (
            "the card says nothing of updates and does them",
            &["09.01"],
            wire(|_, command, answer| {
                if is(command, 0x00, 0xA4) && answer.ends_with(&[0x83, 0x01, 0x01, 0x90, 0x00]) {
                    let end = answer.len() - 5;
                    let mut shorter = [&answer[..end], &[0x90, 0x00]].concat();
                    shorter[1] -= 3;
                    shorter[12] -= 3;
                    shorter
                } else {
                    answer
                }
            }),
        ),
    ]);
}
