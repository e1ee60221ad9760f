//! Target `files`: what a terminal or a card maker loads (chapter 08): boxes, bundles, deny lists, lot files, the key file,
//! the vault's anchors. Without the authority's key there is none; with it the form alone decides, and never a panic.

use card_applet_spec::bundle;
use card_applet_spec::codes::{Role, Serial};
use card_applet_spec::date::Date;
use card_applet_spec::deny_list::DenyList;
use card_applet_spec::kdf::KeySet;
use card_applet_spec::lot::{self, Lot};
use card_applet_spec::{crypto, sealed_box, tlv};
use card_reader::{Bundle, Pinned, TerminalKey};

use crate::tape::Tape;
use crate::world::{World, seal, today, with_world};

/// The first byte chooses.
pub fn files(input: &[u8]) {
    let mut tape = Tape::new(input);
    with_world(|world| match tape.byte() % 10 {
        0 => foreign_box(world, tape.all()),
        1 => changed_box(world, &mut tape),
        2 => signed_bundle(world, tape.all()),
        3 => foreign_bundle(world, tape.all()),
        4 => signed_list(world, tape.all()),
        5 => made_list(world, &mut tape),
        6 => signed_lot(world, tape.all()),
        7 => made_lot(world, &mut tape),
        8 => key_file(tape.all()),
        _ => anchors_file(tape.all()),
    });
}

fn foreign_box(world: &World, bytes: &[u8]) {
    let opened = Bundle::open(bytes, &world.terminal, None, today());
    assert!(
        opened.is_err() || bytes == world.sealed_bundle,
        "nobody but the vault seals bundles"
    );
}

fn changed_box(world: &World, tape: &mut Tape<'_>) {
    let mut bytes = world.sealed_bundle.clone();
    while !tape.is_empty() {
        let at = usize::from(tape.u16()) % bytes.len();
        bytes[at] ^= tape.byte();
    }
    let changed = bytes != world.sealed_bundle;
    let opened = Bundle::open(&bytes, &world.terminal, None, today());
    assert_eq!(opened.is_err(), changed, "every byte of a box counts");
}

/// The inside of a bundle by the fuzzer's hand, signed by the root and sealed to the terminal.
fn signed_bundle(world: &mut World, body: &[u8]) {
    let mut plain = Vec::new();
    object(&mut plain, 0x7F50, body);
    let signature = world
        .host
        .root
        .sign(&[b"YZT-BUNDLE-1", &plain], &mut world.host.rng)
        .expect("it signs");
    object(&mut plain, 0x5F37, &signature);
    let root = world.host.root.public();
    if let Ok(parsed) = bundle::Bundle::parse_and_verify(&plain, &root) {
        let _ = format!("{parsed:?}");
        let _ = parsed.role_keys().flatten().count();
        for list in parsed.deny_lists() {
            let _ = DenyList::parse_and_verify(list, &parsed.head.anchors.deny_list_signer);
        }
    }
    let sealed = seal(&mut world.host, &world.terminal, &plain);
    if let Ok(bundle) = Bundle::open(&sealed, &world.terminal, None, today()) {
        assert_eq!(
            bundle.terminal(),
            world.terminal.name(),
            "another terminal's bundle"
        );
        assert!(today() <= bundle.last_day(), "a bundle behind its last day");
        let newer = bundle.sequence().checked_add(1);
        if let Some(newer) = newer {
            assert!(Bundle::open(&sealed, &world.terminal, Some(newer), today()).is_err());
        }
        for role in Role::ALL {
            let _ = bundle.serves(*role);
        }
    }
}

fn foreign_bundle(world: &World, bytes: &[u8]) {
    let root = world.host.root.public();
    let parsed = bundle::Bundle::parse_and_verify(bytes, &root);
    assert!(
        parsed.is_err() || bytes == world.plain_bundle,
        "the root did not sign this"
    );
    let mut bytes_again = bytes.to_vec();
    let opened = sealed_box::open(sealed_box::LOT, &world.host.root, &mut bytes_again);
    assert!(opened.is_err(), "nothing was sealed to the root");
}

/// Objects of a deny list by the fuzzer's hand, signed as they stand.
fn signed_list(world: &mut World, body: &[u8]) {
    let signature = world
        .deny_signer
        .sign(&[b"YZT-DENY-1", body], &mut world.host.rng)
        .expect("it signs");
    let mut bytes = body.to_vec();
    object(&mut bytes, 0x9E, &signature);
    let signer = world.deny_signer.public();
    if let Ok(list) = DenyList::parse_and_verify(&bytes, &signer) {
        assert_eq!(list.entries.len() % 8, 0);
        // Closed: what was understood is all that there was.
        let mut again = vec![0; bytes.len()];
        let mut out = card_applet_spec::bytes::SliceWriter::new(&mut again);
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
    assert_eq!(
        list.is_fresh_on(today()),
        age.is_some_and(|age| age <= u32::from(list.max_age))
    );
}

fn made_list(world: &mut World, tape: &mut Tape<'_>) {
    let (Ok(role), Ok(issued)) = (Role::try_from(tape.byte()), Date::from_bytes(tape.array())) else {
        return;
    };
    let (version, max_age) = (tape.u32(), tape.u16());
    let entries = tape.all();
    let list = DenyList {
        role,
        version,
        issued,
        max_age,
        entries,
    };
    let mut scratch = vec![0; entries.len() + 64];
    let signature = list.sign(&world.deny_signer, &mut scratch, &mut world.host.rng);
    let ascending = entries.len().is_multiple_of(8)
        && entries
            .chunks(8)
            .zip(entries.chunks(8).skip(1))
            .all(|(a, b)| a < b);
    assert_eq!(signature.is_ok(), ascending, "only ascending entries are signed");
    if let Ok(signature) = signature {
        let mut bytes = vec![0; entries.len() + 160];
        let mut out = card_applet_spec::bytes::SliceWriter::new(&mut bytes);
        list.encode(&signature, &mut out).expect("there is room");
        let length = out.len();
        bytes.truncate(length);
        assert_eq!(
            DenyList::parse_and_verify(&bytes, &world.deny_signer.public()),
            Ok(list)
        );
        assert!(DenyList::parse_and_verify(&bytes, &world.host.root.public()).is_err());
        judge(&list);
    }
}

fn signed_lot(world: &mut World, body: &[u8]) {
    let mut plain = Vec::new();
    object(&mut plain, 0x7F51, body);
    let signature = world
        .host
        .card_ca
        .sign(&[b"YZT-LOT-1", &plain], &mut world.host.rng)
        .expect("it signs");
    object(&mut plain, 0x5F37, &signature);
    if let Ok(mut lot) = Lot::parse_and_verify(&plain, &world.host.card_ca.public()) {
        let mut blanks = 0_usize;
        while let Ok(Some(_)) = lot.next_blank() {
            blanks += 1;
            assert!(blanks <= body.len(), "a blank takes room");
        }
    }
}

fn made_lot(world: &mut World, tape: &mut Tape<'_>) {
    let number = tape.array();
    let count = usize::from(tape.byte() % 8);
    let blanks: Vec<(Serial, KeySet)> = (0..count)
        .map(|_| (Serial(tape.array()), KeySet::from_bytes(&[tape.byte(); 48])))
        .collect();
    let mut out = vec![0; lot::encoded_len(count)];
    let length = lot::encode(
        number,
        &blanks,
        &world.host.card_ca,
        &mut world.host.rng,
        &mut out,
    )
    .expect("encoded_len is enough");
    let mut lot = Lot::parse_and_verify(&out[..length], &world.host.card_ca.public()).expect("ours");
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

/// Appends one object.
fn object(out: &mut Vec<u8>, tag: u16, value: &[u8]) {
    let start = out.len();
    out.resize(start + value.len() + 8, 0);
    let mut writer = card_applet_spec::bytes::SliceWriter::new(&mut out[start..]);
    tlv::put(&mut writer, tag, value).expect("there is room");
    let length = writer.len();
    out.truncate(start + length);
}
