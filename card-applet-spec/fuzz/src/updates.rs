//! Target `updates`: sealed updates, the batch that carries them and the receipts (chapter 09).

use std::collections::HashSet;

use card_applet_spec::bytes::SliceWriter;
use card_applet_spec::crypto::Key16;
use card_applet_spec::kdf::KeySet;
use card_applet_spec::sealed_box;
use card_applet_spec::tlv;
use card_applet_spec::update::{Operation, SealedUpdate, UPDATE_LEN};
use card_applet_spec::update_files::{
    BatchEntry, BatchHead, Receipt, Receipts, UpdateBatch, batch_len, encode_batch, encode_receipts,
    receipts_len,
};

use card_reader::updates::Updates;

use crate::fixture::{Fixture, seal_as, today, with_fixture};
use crate::tape::Tape;

/// The first byte chooses.
pub fn updates(input: &[u8]) {
    let mut tape = Tape::new(input);
    match tape.byte() % 7 {
        0 => foreign(&mut tape),
        1 => sealed(&mut tape),
        2 => operation(&tape.array()),
        3 => with_fixture(|fixture| signed_batch(fixture, tape.all())),
        4 => with_fixture(|fixture| made_batch(fixture, &mut tape)),
        5 => receipts(tape.all()),
        _ => made_receipts(&mut tape),
    }
}

fn keys() -> KeySet {
    KeySet::from_bytes(&[0x2F; 48])
}

/// Without the card's keys nothing opens.
fn foreign(tape: &mut Tape<'_>) {
    let update = SealedUpdate {
        counter: tape.u32(),
        cipher: tape.array(),
        mac: tape.array(),
    };
    assert!(update.open(&keys()).is_err(), "nobody has these keys");
}

/// With them, what was sealed opens, under its own counter only and unchanged only.
fn sealed(tape: &mut Tape<'_>) {
    let counter = tape.u32();
    let plain: [u8; UPDATE_LEN] = tape.array();
    let update = SealedUpdate::seal(&keys(), counter, &plain).expect("it seals");
    assert_eq!(update.open(&keys()).expect("ours")[..], plain);
    let m = Key16::new([4; 16]);
    let tap_mac = update.tap_mac(&m, 1, 1, &[5; 16], &[6; 16]).expect("8 bytes");
    let data = update.command_data(&tap_mac).expect("252 bytes");
    assert_eq!(SealedUpdate::parse_command(&data), Ok((update, tap_mac)));
    let (at, flip) = (usize::from(tape.byte()) % (UPDATE_LEN + 20), tape.byte());
    let mut changed = update;
    match at {
        0..UPDATE_LEN => changed.cipher[at] ^= flip,
        _ if at < UPDATE_LEN + 16 => changed.mac[at - UPDATE_LEN] ^= flip,
        _ => changed.counter ^= u32::from(flip),
    }
    assert_eq!(
        changed.open(&keys()).is_ok(),
        flip == 0,
        "byte {at} of an update counts"
    );
}

/// P224 has one form: what a card understands is what a vault would have written.
fn operation(plain: &[u8; UPDATE_LEN]) {
    if let Ok(operation) = Operation::parse(plain) {
        assert_eq!(operation.encode().expect("it was one")[..], plain[..]);
        let shown = format!("{operation:?}");
        assert!(shown.len() < 80, "a log line holds no content: {shown}");
    }
}

/// The inside of a batch by the fuzzer's hand, signed by the root.
fn signed_batch(fixture: &mut Fixture, body: &[u8]) {
    let mut plain = vec![0; body.len() + 80];
    let mut out = SliceWriter::new(&mut plain);
    tlv::put(&mut out, 0x7F52, body).expect("there is room");
    let length = out.len();
    plain.truncate(length);
    let host = &mut fixture.host;
    let signature = host
        .root
        .sign(&[b"YZT-UPDATES-1", &plain], &mut host.rng)
        .expect("it signs");
    plain.extend_from_slice(&[0x5F, 0x37, 0x40]);
    plain.extend_from_slice(&signature);
    assert!(UpdateBatch::parse_and_verify(&plain, &host.card_ca.public()).is_err());
    if let Ok(batch) = UpdateBatch::parse_and_verify(&plain, &host.root.public()) {
        let entries: Vec<BatchEntry> = batch.updates().collect();
        loaded(fixture, &plain, &batch.head, &entries);
        again(fixture, &batch.head, &entries);
    }
}

/// The same as a terminal loads it: its own, in order, not behind its last day.
fn loaded(fixture: &mut Fixture, plain: &[u8], head: &BatchHead<'_>, entries: &[BatchEntry]) {
    let sealed = seal_as(sealed_box::UPDATES, &mut fixture.host, &fixture.terminal, plain);
    let none = HashSet::new();
    let opened = Updates::open(&sealed, &fixture.terminal, None, &none, today());
    let mine = head.name == fixture.terminal.name().as_str() && today() <= head.not_after;
    assert_eq!(opened.is_ok(), mine);
    let Ok(opened) = opened else { return };
    assert_eq!(opened.len(), entries.len());
    if let Some(newer) = head.sequence.checked_add(1) {
        assert!(Updates::open(&sealed, &fixture.terminal, Some(newer), &none, today()).is_err());
    }
    let done: HashSet<[u8; 16]> = entries.iter().map(|entry| entry.id).take(1).collect();
    let rest = Updates::open(&sealed, &fixture.terminal, None, &done, today()).expect("as before");
    assert!(done.iter().all(|id| opened.holds(id) && !rest.holds(id)));
}

fn again(fixture: &mut Fixture, head: &BatchHead<'_>, entries: &[BatchEntry]) {
    let mut out = vec![0; batch_len(entries.len())];
    let length = encode_batch(head, entries, &fixture.host.root, &mut fixture.host.rng, &mut out)
        .expect("what was read can be written, and batch_len is enough");
    let root = fixture.host.root.public();
    let batch = UpdateBatch::parse_and_verify(&out[..length], &root).expect("ours");
    assert_eq!(batch.head, *head);
    assert!(batch.updates().eq(entries.iter().copied()));
}

fn made_batch(fixture: &mut Fixture, tape: &mut Tape<'_>) {
    use card_applet_spec::codes::Role;

    let head = BatchHead {
        id: tape.array(),
        name: "gate 1",
        issued: today(),
        not_after: today(),
        sequence: tape.u32(),
    };
    let entries: Vec<BatchEntry> = (0..tape.byte() % 4)
        .map(|_| BatchEntry {
            id: tape.array(),
            role: tape.choose(&[Role::Transit, Role::SmallPayment, Role::Door]),
            pid: tape.array(),
            update: SealedUpdate {
                counter: tape.u32(),
                cipher: [tape.byte(); UPDATE_LEN],
                mac: tape.array(),
            },
        })
        .collect();
    again(fixture, &head, &entries);
}

fn receipts(bytes: &[u8]) {
    if let Ok(file) = Receipts::parse(bytes) {
        let found: Vec<Receipt> = file.iter().collect();
        assert!(found.is_sorted_by(|a, b| a.update < b.update));
        let mut out = vec![0; receipts_len(found.len())];
        let length = encode_receipts(&found, &mut out).expect("receipts_len is enough");
        let file = Receipts::parse(&out[..length]).expect("ours");
        assert!(file.iter().eq(found));
    }
}

fn made_receipts(tape: &mut Tape<'_>) {
    let made: Vec<Receipt> = (0..tape.byte() % 8)
        .map(|_| Receipt {
            update: tape.array(),
            receipt: tape.array(),
        })
        .collect();
    let mut out = vec![0; receipts_len(made.len())];
    let written = encode_receipts(&made, &mut out);
    assert_eq!(written.is_ok(), made.is_sorted_by(|a, b| a.update < b.update));
    if let Ok(length) = written {
        assert!(Receipts::parse(&out[..length]).expect("ours").iter().eq(made));
    }
}
