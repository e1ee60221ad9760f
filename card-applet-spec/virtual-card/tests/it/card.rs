//! The reference card in process, in a file, and behind a real `pcscd`: the same bytes everywhere.

use std::path::{Path, PathBuf};
use std::time::Duration;

use card_applet_spec::codes::Serial;
use card_applet_spec::kdf::KeySet;
use card_reader::transport::{Connect, PcscTransport, Transport, TransportError};
use rand::SeedableRng;
use rand::rngs::StdRng;
use virtual_card::blank::{Blank, manufacture};
use virtual_card::chip::ATR;
use virtual_card::control::Order;
use virtual_card::fault::{Fault, Faulty};
use virtual_card::pcscd::{Options, READERS, as_client};
use virtual_card::slot::LineFault;
use virtual_card::tape::{Recorder, Tape};
use virtual_card::{Card, CardMemory, CardRandom, InProcess};

const SEED: [u8; 32] = [9; 32];
const SERIAL: Serial = Serial([0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
const WAIT: Duration = Duration::from_secs(3);

const SELECT: [u8; 13] = [
    0x00, 0xA4, 0x04, 0x00, 0x07, 0xF0, 0x59, 0x5A, 0x54, 0x52, 0x50, 0x01, 0x00,
];
const GET_SERIAL: [u8; 5] = [0x80, 0xCA, 0x00, 0x45, 0x00];
const INITIALIZE_UPDATE: [u8; 14] = [0x80, 0x50, 0x00, 0x00, 0x08, 1, 2, 3, 4, 5, 6, 7, 8, 0x00];
const GET_CHALLENGE: [u8; 5] = [0x00, 0x84, 0x00, 0x00, 0x10];
/// TAP at a card that is blank: the decoy answers.
const TAP: [u8; 22] = [
    0x80, 0x10, 0x01, 0x01, 0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0x00,
];

fn blank_in(memory: &CardMemory) {
    let blank = Blank {
        serial: SERIAL,
        keys: KeySet::from_bytes(&[7; 48]),
    };
    manufacture(memory, &blank, &mut StdRng::from_seed(SEED)).unwrap();
}

fn blank_in_ram() -> CardMemory {
    let memory = CardMemory::ram(card_applet::MEMORY_LEN);
    blank_in(&memory);
    memory
}

fn blank_in_file(folder: &Path) -> PathBuf {
    let path = folder.join("a.card");
    blank_in(&CardMemory::create(&path, card_applet::MEMORY_LEN).unwrap());
    path
}

fn ends_well(answer: &[u8]) -> bool {
    answer.ends_with(&[0x90, 0x00])
}

/// Everything that a blank answers, wrong commands included.
fn talk(card: &mut impl Transport) {
    for _ in 0..2 {
        assert!(ends_well(&card.transmit(&SELECT).unwrap()));
        let serial = card.transmit(&GET_SERIAL).unwrap();
        assert_eq!(serial, [&SERIAL.0[..], &[0x90, 0x00]].concat());
        assert!(ends_well(&card.transmit(&INITIALIZE_UPDATE).unwrap()));
        assert!(ends_well(&card.transmit(&SELECT).unwrap()));
        assert_eq!(
            card.transmit(&GET_CHALLENGE).unwrap(),
            [0x69, 0x85],
            "door S is shut on a blank"
        );
        assert!(ends_well(&card.transmit(&SELECT).unwrap()));
        assert_eq!(card.transmit(&TAP).unwrap().len(), 256 + 2);
        assert!(!ends_well(&card.transmit(&[0x80, 0xFF, 0x00, 0x00]).unwrap()));
        assert!(!ends_well(&card.transmit(&[0xFF; 4]).unwrap()));
        card.reset().unwrap();
    }
}

fn tape(card: impl Transport) -> Tape {
    let mut card = Recorder::new(card);
    talk(&mut card);
    card.into_parts().1
}

#[test]
fn a_card_behind_pcscd_answers_as_in_process_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let memory = blank_in_file(folder.path());
    let options = Options {
        program: Some(env!("CARGO_BIN_EXE_virtual-card").into()),
        memory: Some(memory),
        seed: Some(SEED),
        ..Options::default()
    };
    as_client(
        "card::a_card_behind_pcscd_answers_as_in_process_byte_for_byte",
        &options,
        |_| {
            let mut behind = PcscTransport::connect(&Connect {
                reader: Some(READERS[0].to_owned()),
                wait: WAIT,
            })
            .unwrap();
            assert_eq!(behind.atr().unwrap(), ATR);
            behind.reset().unwrap();
            let behind = tape(behind);
            let here = tape(InProcess::with(Card::new(
                blank_in_ram(),
                CardRandom::repeating(SEED),
            )));
            assert_eq!(behind.to_json_lines(), here.to_json_lines());
            assert!(behind.commands() > 15);
        },
    )
    .unwrap();
}

#[test]
fn a_card_pulled_torn_and_swapped_behind_pcscd_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let memory = blank_in_file(folder.path());
    let options = Options {
        program: Some(env!("CARGO_BIN_EXE_virtual-card").into()),
        memory: Some(memory.clone()),
        ..Options::default()
    };
    as_client(
        "card::a_card_pulled_torn_and_swapped_behind_pcscd_is_told_apart",
        &options,
        |service| {
            let manipulator = service.manipulator(0);
            let reader = Connect {
                reader: Some(READERS[0].to_owned()),
                wait: WAIT,
            };
            let mut card = PcscTransport::connect(&reader).unwrap();
            talk(&mut card);

            // The door-I failure counter is written before the comparison: that write is torn, and with it goes the power.
            assert!(ends_well(&card.transmit(&SELECT).unwrap()));
            assert!(ends_well(&card.transmit(&INITIALIZE_UPDATE).unwrap()));
            manipulator.order(&Order::Tear { write: 1, bytes: 3 }).unwrap();
            let authenticate = [&[0x84, 0x82, 0x33, 0x00, 0x10][..], &[0; 16]].concat();
            assert_eq!(card.transmit(&authenticate), Err(TransportError::ReaderLost));
            manipulator.order(&Order::Insert { memory: None }).unwrap();
            card.reset().unwrap();
            talk(&mut card);

            manipulator
                .order(&Order::Fault {
                    fault: LineFault::FlipBit { apdu: 2, bit: 0 },
                })
                .unwrap();
            assert!(ends_well(&card.transmit(&SELECT).unwrap()));
            assert_eq!(card.transmit(&GET_SERIAL).unwrap()[0], SERIAL.0[0] ^ 0x80);

            // Nobody is told of a swap: the new card answers in the old one's place, without its session.
            manipulator.order(&Order::Eject).unwrap();
            assert_eq!(manipulator.order(&Order::Status).unwrap().unwrap().state, "empty");
            manipulator.order(&Order::Foreign).unwrap();
            card.reset().unwrap();
            assert_eq!(card.transmit(&SELECT), Ok(vec![0x6A, 0x82]));
        },
    )
    .unwrap();
}

#[test]
fn a_card_in_a_file_is_the_same_card_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = blank_in_file(folder.path());
    for _ in 0..2 {
        let card = Card::new(CardMemory::open(&path).unwrap(), CardRandom::repeating(SEED));
        talk(&mut InProcess::with(card));
    }
}

#[test]
fn a_memory_without_a_card_looks_like_a_broken_card() {
    let memory = CardMemory::ram(card_applet::MEMORY_LEN);
    let mut reader = InProcess::with(Card::new(memory, CardRandom::repeating(SEED)));
    assert_eq!(reader.reset(), Err(TransportError::CardUnpowered));
}

#[test]
fn a_card_torn_at_each_write_of_a_failed_opening_starts_again() {
    let authenticate = [&[0x84, 0x82, 0x33, 0x00, 0x10][..], &[0; 16]].concat();
    let attempt = |card: &mut InProcess| {
        card.transmit(&SELECT)?;
        card.transmit(&INITIALIZE_UPDATE)?;
        card.transmit(&authenticate)
    };
    let memory = blank_in_ram();
    let before = memory.image();
    let made = memory.writes();
    attempt(&mut InProcess::with(Card::new(
        memory.clone(),
        CardRandom::repeating(SEED),
    )))
    .unwrap();
    let writes = u32::try_from(memory.writes() - made).unwrap();
    assert!(writes > 0);
    for write in 1..=writes {
        for bytes in [0, 1, 7, 100, 383, 384] {
            let memory = CardMemory::from_image(before.clone());
            memory.tear(write, bytes);
            let mut card = InProcess::with(Card::new(memory, CardRandom::repeating(SEED)));
            assert_eq!(attempt(&mut card), Err(TransportError::ReaderLost));
            assert_eq!(card.transmit(&SELECT), Err(TransportError::CardReset));
            card.reset().unwrap();
            talk(&mut card);
        }
    }
}

#[test]
fn a_swapped_card_answers_in_process_as_it_would_on_a_reader() {
    let other = Card::new(blank_in_ram(), CardRandom::repeating([1; 32]));
    let mut card = Faulty::new(InProcess::with(Card::new(
        blank_in_ram(),
        CardRandom::repeating(SEED),
    )))
    .with(
        2,
        Fault::Before(Box::new(move |reader: &mut InProcess| {
            reader.insert(Box::new(other));
        })),
    );
    assert!(ends_well(&card.transmit(&SELECT).unwrap()));
    assert!(
        !ends_well(&card.transmit(&GET_SERIAL).unwrap()),
        "the other card was not selected"
    );
}
