//! Target `files`: what a terminal or a card maker loads, and what a terminal hands in (chapters 08, 11): boxes, bundles,
//! deny lists and list files, lot files, the key file, the vault's anchors, settlement and counters; tapes and journals as
//! they lie on a disk. Without the authority's key there is none; with it the form alone decides, and never a panic.

use card_applet_spec::bundle;
use card_applet_spec::bytes::SliceWriter;
use card_applet_spec::codes::{Role, Serial};
use card_applet_spec::counters::{self, Count, UnverifiedCounters};
use card_applet_spec::date::Date;
use card_applet_spec::deny_list::{Age, DenyList, lists_of_file};
use card_applet_spec::kdf::KeySet;
use card_applet_spec::lot::{self, Lot};
use card_applet_spec::settlement::{self, Line, Unknown, UnverifiedSettlement};
use card_applet_spec::{crypto, sealed_box, tlv};
use card_reader::journal::Journal;
use card_reader::tape::Replay;
use card_reader::transport::Transport;
use card_reader::{Bundle, Pinned, TerminalKey};

use crate::fixture::{Fixture, seal, today, with_fixture};
use crate::tape::Tape;

/// The first byte chooses.
pub fn files(input: &[u8]) {
    let mut tape = Tape::new(input);
    with_fixture(|fixture| match tape.byte() % 15 {
        0 => foreign_box(fixture, tape.all()),
        1 => changed_box(fixture, &mut tape),
        2 => signed_bundle(fixture, tape.all()),
        3 => foreign_bundle(fixture, tape.all()),
        4 => signed_list(fixture, tape.all()),
        5 => made_list(fixture, &mut tape),
        6 => signed_lot(fixture, tape.all()),
        7 => made_lot(fixture, &mut tape),
        8 => key_file(tape.all()),
        9 => anchors_file(tape.all()),
        10 => list_file(fixture, &mut tape),
        11 => settlement_file(fixture, tape.all()),
        12 => counters_file(fixture, tape.all()),
        13 => tape_of_a_card(tape.all()),
        _ => journal_file(&mut tape),
    });
}

fn foreign_box(fixture: &Fixture, bytes: &[u8]) {
    let opened = Bundle::open(bytes, &fixture.terminal, None, today());
    assert!(
        opened.is_err() || bytes == fixture.sealed_bundle,
        "nobody but the vault seals bundles"
    );
}

fn changed_box(fixture: &Fixture, tape: &mut Tape<'_>) {
    let mut bytes = fixture.sealed_bundle.clone();
    while !tape.is_empty() {
        let at = usize::from(tape.u16()) % bytes.len();
        bytes[at] ^= tape.byte();
    }
    let changed = bytes != fixture.sealed_bundle;
    let opened = Bundle::open(&bytes, &fixture.terminal, None, today());
    assert_eq!(opened.is_err(), changed, "every byte of a box counts");
}

/// The inside of a bundle by the fuzzer's hand, signed by the root and sealed to the terminal.
fn signed_bundle(fixture: &mut Fixture, body: &[u8]) {
    let mut plain = Vec::new();
    object(&mut plain, 0x7F50, body);
    let signature = fixture
        .host
        .root
        .sign(&[b"YZT-BUNDLE-1", &plain], &mut fixture.host.rng)
        .expect("it signs");
    object(&mut plain, 0x5F37, &signature);
    let root = fixture.host.root.public();
    if let Ok(parsed) = bundle::Bundle::parse_and_verify(&plain, &root) {
        let _ = format!("{parsed:?}");
        let _ = parsed.role_keys().flatten().count();
        for list in parsed.deny_lists() {
            let _ = DenyList::parse_and_verify(list, &parsed.head.anchors.deny_list_signer);
        }
    }
    let sealed = seal(&mut fixture.host, &fixture.terminal, &plain);
    if let Ok(bundle) = Bundle::open(&sealed, &fixture.terminal, None, today()) {
        assert_eq!(
            bundle.terminal(),
            fixture.terminal.name(),
            "another terminal's bundle"
        );
        assert!(today() <= bundle.last_day(), "a bundle behind its last day");
        let newer = bundle.sequence().checked_add(1);
        if let Some(newer) = newer {
            assert!(Bundle::open(&sealed, &fixture.terminal, Some(newer), today()).is_err());
        }
        for role in Role::ALL {
            let _ = bundle.serves(*role);
        }
    }
}

fn foreign_bundle(fixture: &Fixture, bytes: &[u8]) {
    let root = fixture.host.root.public();
    let parsed = bundle::Bundle::parse_and_verify(bytes, &root);
    assert!(
        parsed.is_err() || bytes == fixture.plain_bundle,
        "the root did not sign this"
    );
    let mut bytes_again = bytes.to_vec();
    let opened = sealed_box::open(sealed_box::LOT, &fixture.host.root, &mut bytes_again);
    assert!(opened.is_err(), "nothing was sealed to the root");
}

/// Objects of a deny list by the fuzzer's hand, signed as they stand.
fn signed_list(fixture: &mut Fixture, body: &[u8]) {
    let signature = fixture
        .deny_signer
        .sign(&[b"YZT-DENY-1", body], &mut fixture.host.rng)
        .expect("it signs");
    let mut bytes = body.to_vec();
    object(&mut bytes, 0x9E, &signature);
    let signer = fixture.deny_signer.public();
    if let Ok(list) = DenyList::parse_and_verify(&bytes, &signer) {
        assert_eq!(list.entries.len() % 8, 0);
        // Closed: what was understood is all that there was.
        let mut again = vec![0; bytes.len()];
        let mut out = SliceWriter::new(&mut again);
        list.encode(&signature, &mut out)
            .expect("it came from so many bytes");
        assert_eq!(again, bytes, "a list has one form");
        judge(&list);
    }
}

fn judge(list: &DenyList<'_>) {
    for entry in list.entries.chunks(8) {
        let mut pid = [0xFF; 16];
        pid[..8].copy_from_slice(entry);
        assert!(list.contains(&pid), "an entry is found");
        pid[7] ^= 1;
        let other = &pid[..8];
        assert_eq!(
            list.contains(&pid),
            list.entries.chunks(8).any(|entry| entry == other),
            "the search finds what is there and nothing else"
        );
    }
    let age = today().day_number().checked_sub(list.issued.day_number());
    let most = u32::from(list.max_age);
    let grace = u32::from(list.grace.unwrap_or(0));
    let expected = match age {
        Some(age) if age <= most => Age::Fresh,
        Some(age) if age - most <= grace => Age::InGrace,
        _ => Age::TooOld,
    };
    assert_eq!(list.age_on(today()), expected);
    assert_eq!(list.is_fresh_on(today()), expected == Age::Fresh);
}

fn made_list(fixture: &mut Fixture, tape: &mut Tape<'_>) {
    let (Ok(role), Ok(issued)) = (Role::try_from(tape.byte()), Date::from_bytes(tape.array())) else {
        return;
    };
    let (version, max_age) = (tape.u32(), tape.u16());
    let grace = (tape.byte() & 1 == 1).then(|| tape.u16());
    let entries = tape.all();
    let list = DenyList {
        role,
        version,
        issued,
        max_age,
        entries,
        grace,
    };
    let mut scratch = vec![0; entries.len() + 64];
    let signature = list.sign(&fixture.deny_signer, &mut scratch, &mut fixture.host.rng);
    let ascending = entries.len().is_multiple_of(8)
        && entries
            .chunks(8)
            .zip(entries.chunks(8).skip(1))
            .all(|(a, b)| a < b);
    assert_eq!(signature.is_ok(), ascending, "only ascending entries are signed");
    if let Ok(signature) = signature {
        let mut bytes = vec![0; entries.len() + 160];
        let mut out = SliceWriter::new(&mut bytes);
        list.encode(&signature, &mut out).expect("there is room");
        let length = out.len();
        bytes.truncate(length);
        assert_eq!(
            DenyList::parse_and_verify(&bytes, &fixture.deny_signer.public()),
            Ok(list)
        );
        assert!(DenyList::parse_and_verify(&bytes, &fixture.host.root.public()).is_err());
        judge(&list);
    }
}

fn signed_lot(fixture: &mut Fixture, body: &[u8]) {
    let mut plain = Vec::new();
    object(&mut plain, 0x7F51, body);
    let signature = fixture
        .host
        .card_ca
        .sign(&[b"YZT-LOT-1", &plain], &mut fixture.host.rng)
        .expect("it signs");
    object(&mut plain, 0x5F37, &signature);
    if let Ok(mut lot) = Lot::parse_and_verify(&plain, &fixture.host.card_ca.public()) {
        let mut blanks = 0_usize;
        while let Ok(Some(_)) = lot.next_blank() {
            blanks += 1;
            assert!(blanks <= body.len(), "a blank takes room");
        }
    }
}

fn made_lot(fixture: &mut Fixture, tape: &mut Tape<'_>) {
    let number = tape.array();
    let count = usize::from(tape.byte() % 8);
    let blanks: Vec<(Serial, KeySet)> = (0..count)
        .map(|_| (Serial(tape.array()), KeySet::from_bytes(&[tape.byte(); 48])))
        .collect();
    let mut out = vec![0; lot::encoded_len(count)];
    let length = lot::encode(
        number,
        &blanks,
        &fixture.host.card_ca,
        &mut fixture.host.rng,
        &mut out,
    )
    .expect("encoded_len is enough");
    let mut lot = Lot::parse_and_verify(&out[..length], &fixture.host.card_ca.public()).expect("ours");
    assert_eq!(lot.lot, number);
    for (serial, _) in &blanks {
        let (found, _) = lot.next_blank().expect("ours").expect("as many");
        assert_eq!(found, *serial);
    }
    assert!(lot.next_blank().expect("ours").is_none());
}

/// A key file by the fuzzer's hand, its check value set right.
fn key_file(body: &[u8]) {
    let mut bytes = body.to_vec();
    let check = crypto::sha256(&[b"YZT-TERMINAL-KEY-1", &bytes]);
    bytes.extend_from_slice(&check[..8]);
    if let Ok(key) = TerminalKey::from_bytes(&bytes) {
        assert_eq!(key.to_bytes()[..], bytes, "a key file has one form");
    }
    // As it stands, only one that somebody wrote whole is read.
    if let Ok(key) = TerminalKey::from_bytes(body) {
        assert_eq!(key.to_bytes()[..], *body, "a key file has one form");
    }
}

fn anchors_file(bytes: &[u8]) {
    if let Ok(pinned) = Pinned::from_anchors_json(bytes) {
        let _ = format!("{pinned:?}");
    }
}

/// Lists, genuine and not, one behind the other.
fn list_file(fixture: &Fixture, tape: &mut Tape<'_>) {
    let mut file = Vec::new();
    let mut genuine = 0_usize;
    while !tape.is_empty() {
        match tape.byte() % 4 {
            0 => {
                object(&mut file, 0xA9, &fixture.deny_list);
                genuine += 1;
            }
            1 => object(&mut file, 0xA9, tape.short()),
            2 => {
                let mut list = fixture.deny_list.clone();
                let at = usize::from(tape.byte()) % list.len();
                list[at] ^= tape.byte() | 1;
                object(&mut file, 0xA9, &list);
            }
            _ => file.extend_from_slice(tape.short()),
        }
    }
    let signer = fixture.deny_signer.public();
    let mut length = 0_usize;
    let mut lists = 0_usize;
    for list in lists_of_file(&file) {
        let Ok(list) = list else { continue };
        length += list.len();
        if DenyList::parse_and_verify(list, &signer).is_ok() {
            assert_eq!(list, fixture.deny_list, "the signer signed one list");
            lists += 1;
        }
    }
    assert!(length <= file.len() && lists <= genuine + file.len() / fixture.deny_list.len());
}

/// A recorded tape: its commands, played in their order, are answered as it says, and then no more.
fn tape_of_a_card(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(mut replay) = Replay::parse(text) else {
        return;
    };
    let _ = replay.challenges().len();
    let most = text.lines().count();
    let mut played = 0_usize;
    while !replay.is_at_end() {
        let _ = replay.transmit(&[0x00, 0xA4, 0x04, 0x00]);
        played += 1;
        assert!(played <= most, "a tape has an end");
    }
    assert!(replay.transmit(&[0x00, 0xA4, 0x04, 0x00]).is_err());
}

/// Records of the fuzzer's with checks that hold, and what lies behind the last one.
fn journal(tape: &mut Tape<'_>) -> Vec<u8> {
    let mut out = b"YZTP\x01\0\0\0\x2A".to_vec();
    out.extend_from_slice(&tape.array::<4>());
    let mut check = crypto::sha256(&[b"YZT-JOURNAL-1", &out])[..8].to_vec();
    out.extend_from_slice(&check);
    for _ in 0..tape.byte() % 8 {
        let (kind, payload) = (tape.byte() % 7, tape.short());
        let length = u16::try_from(payload.len() + 1).expect("a short one");
        out.extend_from_slice(&length.to_be_bytes());
        out.push(kind);
        out.extend_from_slice(payload);
        check = crypto::sha256(&[b"YZT-JOURNAL-1", &check, &[kind], payload])[..8].to_vec();
        out.extend_from_slice(&check);
    }
    let cut = out.len() - usize::from(tape.byte() % 16).min(out.len());
    out.truncate(cut);
    out.extend_from_slice(tape.short());
    out.resize(out.len() + usize::from(tape.u16() % 600), 0);
    out
}

/// A till's journal as a disk gives it back. What opens once opens again and says the same.
fn journal_file(tape: &mut Tape<'_>) {
    let bytes = match tape.byte() & 1 {
        0 => tape.all().to_vec(),
        _ => journal(tape),
    };
    let path = crate::shop::journal_path();
    std::fs::write(&path, bytes).expect("a folder to write to");
    if let Ok(journal) = Journal::open_file(&path, 42) {
        let (open, lines, unknown) = (
            journal.open(),
            journal.lines().to_vec(),
            journal.unknown().to_vec(),
        );
        let number = journal.number();
        drop(journal);
        let again = Journal::open_file(&path, 42).expect("it opened before");
        assert!(again.open() == open && again.lines() == lines && again.unknown() == unknown);
        assert_eq!(again.number(), number);
        assert!(Journal::open_file(&path, 43).is_err(), "another till's journal");
    }
    let _ = std::fs::remove_file(&path);
}

/// Signed by a terminal's key as it stands.
fn signed_file(fixture: &mut Fixture, tag: u16, label: &[u8], body: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    object(&mut file, tag, body);
    let signature = fixture
        .host
        .intermediate_key
        .sign(&[label, &file], &mut fixture.host.rng)
        .expect("it signs");
    object(&mut file, 0x5F37, &signature);
    file
}

fn settlement_file(fixture: &mut Fixture, body: &[u8]) {
    let file = signed_file(fixture, 0x7F55, b"YZT-SETTLEMENT-1", body);
    let Ok(read) = UnverifiedSettlement::parse(&file) else {
        return;
    };
    assert!(
        read.clone().verify(&fixture.host.root.public()).is_err(),
        "another terminal's key"
    );
    let read = read
        .verify(&fixture.host.intermediate_key.public())
        .expect("signed");
    let lines: Vec<Line> = read.lines().collect();
    let unknown: Vec<Unknown> = read.unknown().collect();
    let mut out = vec![0; settlement::encoded_len(lines.len(), unknown.len())];
    let (key, rng) = (&fixture.host.intermediate_key, &mut fixture.host.rng);
    let length = settlement::encode(&read.head, &lines, &unknown, key, rng, &mut out)
        .expect("what was read can be written, and encoded_len is enough");
    let again = UnverifiedSettlement::parse(&out[..length]).expect("ours");
    let again = again.verify(&key.public()).expect("signed");
    assert_eq!(again.head, read.head);
    assert!(again.lines().eq(lines) && again.unknown().eq(unknown));
}

fn counters_file(fixture: &mut Fixture, body: &[u8]) {
    let file = signed_file(fixture, 0x7F54, b"YZT-COUNTERS-1", body);
    let Ok(read) = UnverifiedCounters::parse(&file) else {
        return;
    };
    assert!(
        read.clone().verify(&fixture.host.root.public()).is_err(),
        "another terminal's key"
    );
    let read = read
        .verify(&fixture.host.intermediate_key.public())
        .expect("signed");
    let counts: Vec<Count> = read.counts().collect();
    let mut out = vec![0; counters::encoded_len(counts.len())];
    let (key, rng) = (&fixture.host.intermediate_key, &mut fixture.host.rng);
    let length = counters::encode(&read.head, &counts, key, rng, &mut out)
        .expect("what was read can be written, and encoded_len is enough");
    let again = UnverifiedCounters::parse(&out[..length]).expect("ours");
    let again = again.verify(&key.public()).expect("signed");
    assert_eq!(again.head, read.head);
    assert!(again.counts().eq(counts));
}

/// Appends one object.
fn object(out: &mut Vec<u8>, tag: u16, value: &[u8]) {
    let start = out.len();
    out.resize(start + value.len() + 8, 0);
    let mut writer = SliceWriter::new(&mut out[start..]);
    tlv::put(&mut writer, tag, value).expect("there is room");
    let length = writer.len();
    out.truncate(start + length);
}
