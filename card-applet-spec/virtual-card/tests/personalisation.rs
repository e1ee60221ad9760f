//! A whole personalisation (specification, chapters 05 and 10) cut at every command, torn at every write, and compared
//! between the card in process and the card behind a real `pcscd`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may die"
)]

mod office;

use std::time::{Duration, Instant};

use card_applet_spec::codes::State;
use card_reader::transport::{Connect, PcscTransport, Transport};
use office::{Office, PID, blank, tap};
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
fn finish(office: &mut Office, card: &mut impl Transport) {
    assert_eq!(office.run(card).unwrap(), State::Personalised);
    assert!(
        tap(card).unwrap().is_none(),
        "a card stolen before hand-over is dead"
    );
    assert_eq!(Office::activate().run(card).unwrap(), State::Active);
    assert_eq!(tap(card).unwrap().expect("an active card answers").pid, PID);
}

#[test]
fn a_card_is_personalised_activated_and_tapped() {
    finish(&mut Office::personalise(5000), &mut card(blank()));
}

#[test]
fn a_card_cut_at_each_command_is_finished_by_a_second_run() {
    let mut whole = Faulty::new(card(blank()));
    Office::personalise(PORTRAIT).run(&mut whole).unwrap();
    assert!(whole.sent() > 18, "{}", whole.sent());
    for command in 1..=whole.sent() {
        for fault in [Fault::CutBefore, Fault::CutAfter] {
            let mut office = Office::personalise(PORTRAIT);
            let mut card = Faulty::new(card(blank())).with(command, fault);
            office.run(&mut card).unwrap_err();
            finish(&mut office, &mut card);
        }
    }
}

#[test]
fn a_card_torn_at_each_write_is_before_or_after_and_is_finished_by_a_second_run() {
    let memory = blank();
    let made = memory.writes();
    Office::personalise(PORTRAIT)
        .run(&mut card(memory.clone()))
        .unwrap();
    let writes = u32::try_from(memory.writes() - made).unwrap();
    assert!(writes > 20, "{writes}");
    for write in 1..=writes {
        for bytes in [0, 1, 40, 383, u32::MAX] {
            let memory = blank();
            memory.tear(write, bytes);
            let mut office = Office::personalise(PORTRAIT);
            let mut card = card(memory);
            office.run(&mut card).unwrap_err();
            let status = office.ask(&mut card).unwrap();
            let begun = status.last > 0;
            if begun {
                assert_eq!(
                    status.digest,
                    office.digest(status.last),
                    "write {write}, {bytes} bytes: another step"
                );
            }
            let expected = if status.open || !begun {
                State::Blank
            } else {
                State::Personalised
            };
            assert_eq!(status.state, expected, "write {write}, {bytes} bytes");
            finish(&mut office, &mut card);
        }
    }
}

#[test]
fn any_bit_flipped_in_an_answer_stops_the_script_and_a_second_run_finishes_it() {
    let mut whole = Faulty::new(card(blank()));
    Office::personalise(PORTRAIT).run(&mut whole).unwrap();
    let mut unnoticed = Vec::new();
    // SELECT and INITIALIZE UPDATE first: their answers are not under a MAC yet, the cryptograms catch what matters.
    for command in 3..=whole.sent() {
        // A stride that is prime to 8 meets every bit of a byte and every part of an answer.
        for bit in (0..2064).step_by(101) {
            let mut office = Office::personalise(PORTRAIT);
            let mut card = Faulty::new(card(blank())).with(command, Fault::FlipBit(bit));
            if office.run(&mut card).is_ok() {
                unnoticed.push((command, bit));
            }
            finish(&mut office, &mut card);
        }
    }
    assert_eq!(unnoticed, [], "flipped bits that the office did not notice");
}

#[test]
fn a_personalisation_behind_pcscd_is_that_in_process_byte_for_byte_and_fast() {
    let folder = tempfile::tempdir().unwrap();
    let options = in_file(folder.path());
    as_client(
        "a_personalisation_behind_pcscd_is_that_in_process_byte_for_byte_and_fast",
        &options,
        |_| {
            let behind = PcscTransport::connect(&first_reader()).unwrap();
            let mut behind = Recorder::new(behind);
            let mut office = Office::personalise(5000);
            let begin = Instant::now();
            office.run(&mut behind).unwrap();
            let took = begin.elapsed();
            println!(
                "{took:?} for a personalisation of {} commands through pcscd",
                behind.tape().commands()
            );
            finish(&mut office, &mut behind);

            let mut here = Recorder::new(card(blank()));
            let mut office = Office::personalise(5000);
            office.run(&mut here).unwrap();
            finish(&mut office, &mut here);
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
        "a_card_pulled_or_torn_behind_pcscd_is_finished_by_a_second_run",
        &options,
        |service| {
            let hand = service.hand(0);
            let mut card = PcscTransport::connect(&first_reader()).unwrap();
            let mut office = Office::personalise(PORTRAIT);
            for order in [
                Order::Fault {
                    fault: LineFault::PullBefore { apdu: 6 },
                },
                Order::Fault {
                    fault: LineFault::PullAfter { apdu: 9 },
                },
                Order::Tear { write: 14, bytes: 20 },
            ] {
                hand.order(&order).unwrap();
                office.run(&mut card).unwrap_err();
                hand.order(&Order::Insert { memory: None }).unwrap();
            }
            finish(&mut office, &mut card);
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
