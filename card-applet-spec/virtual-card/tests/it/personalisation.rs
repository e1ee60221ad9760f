//! A whole personalisation (specification, chapters 05 and 10) cut at every command, torn at every write, and compared
//! between the card in process and the card behind a real `pcscd`; and a sample of updates and debits (chapters 06, 09)
//! torn behind `pcscd`. Every byte of every write of those is torn in process, by `card-applet`.

use std::time::{Duration, Instant};

use crate::resuming_issuer::{G, KV, M, NEW_KEYS, PID, ResumingIssuer, blank, tap};
use card_applet_spec::apdu::{Header, split_answer};
use card_applet_spec::codes::{AID, CardState, Role};
use card_applet_spec::crypto::Key16;
use card_applet_spec::door_f::{CommitBody, TapAnswer, TapPlain, tap_command};
use card_applet_spec::kdf::KeySet;
use card_applet_spec::script::SlotStep;
use card_applet_spec::update::{Operation, SealedUpdate};
use card_reader::transport::{Connect, PcscTransport, Transport};
use virtual_card::control::Order;
use virtual_card::fault::{Fault, Faulty};
use virtual_card::pcscd::{Options, READERS, as_client};
use virtual_card::slot::LineFault;
use virtual_card::tape::Recorder;
use virtual_card::{Card, CardMemory, CardRandom, InProcess};

const SEED: [u8; 32] = [9; 32];
/// A small portrait keeps the exhaustive runs short: two chunks show what twenty would.
const PORTRAIT: usize = 300;

fn card(memory: CardMemory) -> InProcess {
    InProcess::with(Card::new(memory, CardRandom::repeating(SEED)))
}

/// The card was finished by a second run: it can be handed over, and the bus reads its pseudonym.
fn finish(issuer: &mut ResumingIssuer, card: &mut impl Transport) {
    assert_eq!(issuer.run(card).unwrap(), CardState::Personalised);
    assert!(
        tap(card).unwrap().is_none(),
        "a card stolen before hand-over is dead"
    );
    assert_eq!(ResumingIssuer::activate().run(card).unwrap(), CardState::Active);
    assert_eq!(tap(card).unwrap().expect("an active card answers").pid, PID);
}

#[test]
fn a_card_is_personalised_activated_and_tapped() {
    finish(&mut ResumingIssuer::personalise(5000), &mut card(blank()));
}

#[test]
fn a_card_cut_at_each_command_is_finished_by_a_second_run() {
    let mut whole = Faulty::new(card(blank()));
    ResumingIssuer::personalise(PORTRAIT).run(&mut whole).unwrap();
    assert!(whole.sent() > 18, "{}", whole.sent());
    for command in 1..=whole.sent() {
        for fault in [Fault::CutBefore, Fault::CutAfter] {
            let mut issuer = ResumingIssuer::personalise(PORTRAIT);
            let mut card = Faulty::new(card(blank())).with(command, fault);
            issuer.run(&mut card).unwrap_err();
            finish(&mut issuer, &mut card);
        }
    }
}

#[test]
fn a_card_torn_at_each_write_is_before_or_after_and_is_finished_by_a_second_run() {
    let memory = blank();
    let made = memory.writes();
    ResumingIssuer::personalise(PORTRAIT)
        .run(&mut card(memory.clone()))
        .unwrap();
    let writes = u32::try_from(memory.writes() - made).unwrap();
    assert!(writes > 20, "{writes}");
    for write in 1..=writes {
        for bytes in [0, 1, 40, 383, u32::MAX] {
            let memory = blank();
            memory.tear(write, bytes);
            let mut issuer = ResumingIssuer::personalise(PORTRAIT);
            let mut card = card(memory);
            issuer.run(&mut card).unwrap_err();
            let status = issuer.ask(&mut card).unwrap();
            let begun = status.last > 0;
            if begun {
                assert_eq!(
                    status.digest,
                    issuer.digest(status.last),
                    "write {write}, {bytes} bytes: another step"
                );
            }
            let expected = if status.open || !begun {
                CardState::Blank
            } else {
                CardState::Personalised
            };
            assert_eq!(status.state, expected, "write {write}, {bytes} bytes");
            finish(&mut issuer, &mut card);
        }
    }
}

#[test]
fn any_bit_flipped_in_an_answer_stops_the_script_and_a_second_run_finishes_it() {
    let mut whole = Faulty::new(card(blank()));
    ResumingIssuer::personalise(PORTRAIT).run(&mut whole).unwrap();
    let mut unnoticed = Vec::new();
    // SELECT and INITIALIZE UPDATE first: their answers are not under a MAC yet, the cryptograms catch what matters.
    for command in 3..=whole.sent() {
        // A stride that is prime to 8 meets every bit of a byte and every part of an answer.
        for bit in (0..2064).step_by(101) {
            let mut issuer = ResumingIssuer::personalise(PORTRAIT);
            let mut card = Faulty::new(card(blank())).with(command, Fault::FlipBit(bit));
            if issuer.run(&mut card).is_ok() {
                unnoticed.push((command, bit));
            }
            finish(&mut issuer, &mut card);
        }
    }
    assert_eq!(unnoticed, [], "flipped bits that the office did not notice");
}

#[test]
fn a_personalisation_behind_pcscd_is_that_in_process_byte_for_byte_and_fast() {
    let folder = tempfile::tempdir().unwrap();
    let options = in_file(folder.path());
    as_client(
        "personalisation::a_personalisation_behind_pcscd_is_that_in_process_byte_for_byte_and_fast",
        &options,
        |_| {
            let behind = PcscTransport::connect(&first_reader()).unwrap();
            let mut behind = Recorder::new(behind);
            let mut issuer = ResumingIssuer::personalise(5000);
            let begin = Instant::now();
            issuer.run(&mut behind).unwrap();
            let took = begin.elapsed();
            println!(
                "{took:?} for a personalisation of {} commands through pcscd",
                behind.tape().commands()
            );
            finish(&mut issuer, &mut behind);

            let mut here = Recorder::new(card(blank()));
            let mut issuer = ResumingIssuer::personalise(5000);
            issuer.run(&mut here).unwrap();
            finish(&mut issuer, &mut here);
            assert_eq!(behind.tape().to_json_lines(), here.tape().to_json_lines());
        },
    )
    .unwrap();
}

#[test]
fn a_card_pulled_or_torn_behind_pcscd_is_finished_by_a_second_run() {
    let folder = tempfile::tempdir().unwrap();
    let options = in_file(folder.path());
    as_client(
        "personalisation::a_card_pulled_or_torn_behind_pcscd_is_finished_by_a_second_run",
        &options,
        |service| {
            let manipulator = service.manipulator(0);
            let mut card = PcscTransport::connect(&first_reader()).unwrap();
            let mut issuer = ResumingIssuer::personalise(PORTRAIT);
            for order in [
                Order::Fault {
                    fault: LineFault::PullBefore { apdu: 6 },
                },
                Order::Fault {
                    fault: LineFault::PullAfter { apdu: 9 },
                },
                Order::Tear { write: 14, bytes: 20 },
            ] {
                manipulator.order(&order).unwrap();
                issuer.run(&mut card).unwrap_err();
                manipulator.order(&Order::Insert { memory: None }).unwrap();
            }
            finish(&mut issuer, &mut card);
        },
    )
    .unwrap();
}

/// The body of an answer with 9000; nothing when the card went away or refused.
fn said(card: &mut impl Transport, command: &[u8]) -> Option<Vec<u8>> {
    let answer = card.transmit(command).ok()?;
    let (body, status) = split_answer(&answer).unwrap();
    status.is_ok().then(|| body.to_vec())
}

const CHALLENGE: [u8; 16] = [0x33; 16];

/// TAP after SELECT: the answer, and what is in it when it is no decoy.
fn tapped(card: &mut impl Transport, role: Role) -> Option<(TapAnswer, Option<TapPlain>)> {
    card.reset().ok()?;
    said(card, &Header::SELECT.command(&AID, Some(0)).unwrap())?;
    let answer = said(card, &tap_command(role.code(), KV, &CHALLENGE).unwrap())?;
    let answer = TapAnswer::parse(&answer).unwrap();
    let plain = answer.open(&Key16::new(G)).ok();
    Some((answer, plain))
}

fn update_keys() -> KeySet {
    KeySet::from_bytes(NEW_KEYS.last_chunk().unwrap())
}

/// TAP of the bus and UPDATE: the receipt.
fn deliver(card: &mut impl Transport, update: &SealedUpdate) -> Option<Vec<u8>> {
    let role = Role::Transit.code();
    let (answer, _) = tapped(card, Role::Transit)?;
    let m = Key16::new(M);
    let tap_mac = update
        .tap_mac(&m, role, KV, &CHALLENGE, &answer.card_challenge)
        .unwrap();
    let data = update.command_data(&tap_mac).unwrap();
    said(card, &Header::update(role, KV).command(&data, Some(16)).unwrap())
}

/// TAP of the shop and COMMIT of 700 fen: the result, 0 debited now, 1 debited before.
fn pay(card: &mut impl Transport, txno: u8) -> Option<u8> {
    let role = Role::SmallPayment.code();
    let (answer, plain) = tapped(card, Role::SmallPayment)?;
    let body = CommitBody {
        amount: 700,
        tid: 42,
        txno: [txno; 8],
        time: 848_000_000,
        kind: 1,
    };
    let m = Key16::new(M);
    let mac = body
        .mac(&m, role, KV, &CHALLENGE, &answer.card_challenge, plain?.seq)
        .unwrap();
    let data = [&body.encode().unwrap()[..], &mac].concat();
    let answer = said(card, &Header::commit(role, KV).command(&data, Some(25)).unwrap())?;
    answer.first().copied()
}

#[test]
fn updates_and_debits_torn_behind_pcscd_are_whole_or_not_done_and_come_to_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let options = in_file(folder.path());
    as_client(
        "personalisation::updates_and_debits_torn_behind_pcscd_are_whole_or_not_done_and_come_to_their_end",
        &options,
        |service| {
            let manipulator = service.manipulator(0);
            let mut card = PcscTransport::connect(&first_reader()).unwrap();
            finish(&mut ResumingIssuer::personalise(PORTRAIT), &mut card);
            let purse = |card: &mut PcscTransport| {
                let (_, plain) = tapped(card, Role::SmallPayment).unwrap();
                plain.map(|plain| (plain.loaded, plain.spent))
            };
            let slot = |loaded| {
                let slot = SlotStep {
                    role: Role::SmallPayment.code(),
                    kv: KV,
                    flags: 0,
                    g: &G,
                    m: &M,
                    pid: &PID,
                    record: &[0x64; 160],
                    loaded,
                };
                Operation::Slot { slot, cap: 1_000 }.encode().unwrap()
            };
            // The first purse, torn at its slot, at the purse and at the control block; then the same slot with more
            // money, torn at the erasing of the old one; then a load.
            let mut before = None;
            for (counter, (plain, tears, after)) in (1..).zip([
                (slot(2_000), &[(1, 100), (4, 30), (5, 200)][..], (2_000, 0)),
                (slot(3_000), &[(5, 1)], (3_000, 0)),
                (
                    Operation::Load { loaded: 9_000 }.encode().unwrap(),
                    &[(1, 383)],
                    (9_000, 0),
                ),
            ]) {
                let update = SealedUpdate::seal(&update_keys(), counter, &plain).unwrap();
                for (write, bytes) in tears {
                    manipulator
                        .order(&Order::Tear {
                            write: *write,
                            bytes: *bytes,
                        })
                        .unwrap();
                    assert_eq!(
                        deliver(&mut card, &update),
                        None,
                        "update {counter}, write {write}"
                    );
                    manipulator.order(&Order::Insert { memory: None }).unwrap();
                    let seen = purse(&mut card);
                    assert!(seen == before || seen == Some(after), "{seen:?}");
                }
                for _ in 0..2 {
                    let receipt = deliver(&mut card, &update).expect("it comes to its end");
                    assert_eq!(receipt, update.receipt(&update_keys()));
                    assert_eq!(purse(&mut card), Some(after));
                }
                before = Some(after);
            }
            for (txno, bytes) in [(1, 0), (2, 20), (3, 51)] {
                let spent = 700 * (u32::from(txno) - 1);
                manipulator.order(&Order::Tear { write: 1, bytes }).unwrap();
                assert_eq!(pay(&mut card, txno), None);
                manipulator.order(&Order::Insert { memory: None }).unwrap();
                assert_eq!(
                    purse(&mut card),
                    Some((9_000, spent)),
                    "{bytes} bytes are no debit"
                );
                assert_eq!(pay(&mut card, txno), Some(0));
                assert_eq!(pay(&mut card, txno), Some(1), "the same again is the same");
                assert_eq!(purse(&mut card), Some((9_000, spent + 700)));
            }
        },
    )
    .unwrap();
}

fn first_reader() -> Connect {
    Connect {
        reader: Some(READERS[0].to_owned()),
        wait: Duration::from_secs(3),
    }
}

/// A blank in a file, on the first reader of a private service.
fn in_file(folder: &std::path::Path) -> Options {
    use card_applet::Memory;
    let path = folder.join("a.card");
    let mut memory = CardMemory::create(&path, card_applet::MEMORY_LEN).unwrap();
    memory.write(0, &blank().image()).unwrap();
    Options {
        program: Some(env!("CARGO_BIN_EXE_virtual-card").into()),
        memory: Some(path),
        seed: Some(SEED),
        ..Options::default()
    }
}
