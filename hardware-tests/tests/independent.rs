//! A tapping reader that was written by someone who saw only the specification, in another language, reads a card of ours
//! over PC/SC and agrees with our reader.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may die")]

use std::path::Path;
use std::process::Command;

use card_applet_spec::codes::Role;
use card_applet_spec::crypto::PublicKey;
use card_reader::{Admission, Pinned, Terminal, TerminalKey};
use hardware_tests::installation::{Installation, REHEARSAL};
use hardware_tests::rig::{Needs, with_reader};
use hardware_tests::{Rig, sample, scene};
use keyvault_protocol::BundleKind;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use virtual_card::hex;

const READER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/independent/tap_reader.py");

/// Makes bundle and key file of the other reader, as any terminal gets them.
fn equip(office: &mut Installation, folder: &Path, rng: &mut StdRng) {
    let anchors = office.anchors();
    let pinned = Pinned {
        vault: anchors.vault,
        root: PublicKey::from_point65(&anchors.terminal_ca).unwrap(),
    };
    let key = TerminalKey::generate("bus of others".parse().unwrap(), pinned, rng);
    key.save_new(&folder.join("bus.bundle.key")).unwrap();
    let public = key.request();
    let bundle = office
        .bundle_for(
            BundleKind::Bus,
            "bus of others",
            public.sealing_key,
            public.authentication_key,
        )
        .unwrap();
    std::fs::write(folder.join("bus.bundle"), bundle).unwrap();
}

/// Lets the other reader tap: its exit code and its object.
fn tapped(folder: &Path, rig: &Rig) -> (Option<i32>, Value) {
    // The system's own interpreter: `make setup` installs its packages, not those of another one on the search path.
    let output = Command::new("/usr/bin/python3")
        .arg(READER)
        .arg("--bundle")
        .arg(folder.join("bus.bundle"))
        .arg("--key")
        .arg(folder.join("bus.bundle.key"))
        .args([
            "--role",
            "transit",
            "--reader",
            rig.reader(),
            "--at",
            &sample::TODAY.to_string(),
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let object = serde_json::from_str(&text);
    (
        output.status.code(),
        object.unwrap_or_else(|_| said(&text, &output.stderr)),
    )
}

/// What it said instead of an object.
fn said(out: &str, err: &[u8]) -> Value {
    json!({"out": out, "err": String::from_utf8_lossy(err)})
}

/// What our reader saw, in the words of the other one.
fn in_its_words(seen: &Admission) -> Value {
    json!({
        "role": seen.role.as_str(),
        "tier": seen.tier.as_str(),
        "class": seen.class,
        "services": hex::encode(&seen.services.to_be_bytes()),
        "zones": hex::encode(&seen.zones.to_be_bytes()),
        "valid_from": seen.valid_from.to_string(),
        "valid_to": seen.valid_to.to_string(),
        "rule_set": hex::encode(&seen.rule_set),
    })
}

#[test]
fn an_independent_reader_agrees_with_ours() {
    with_reader("an_independent_reader_agrees_with_ours", Needs::Writing, |rig| {
        let folder = tempfile::tempdir().unwrap();
        let mut rng = StdRng::from_seed([4; 32]);
        let mut office = Installation::found(&folder.path().join("vault"), REHEARSAL).unwrap();
        equip(&mut office, folder.path(), &mut rng);
        let blank = office.blank(1).unwrap();
        rig.lay_blank(&blank, &mut rng).unwrap();

        let (code, refused) = tapped(folder.path(), rig);
        assert_eq!(code, Some(1), "a blank: {refused}");
        assert_eq!(refused["decision"], "refused");

        let mut card = rig.connect().unwrap();
        scene::issue(&mut office, &mut card, 1).unwrap();
        let mut bus = Terminal::new(office.enrol(BundleKind::Bus, "bus of ours").unwrap().bundle);
        let ours = scene::tap(&mut bus, &mut card, Role::Transit, &mut rng).unwrap();
        drop(card);

        let (code, theirs) = tapped(folder.path(), rig);
        assert_eq!(code, Some(0), "{theirs}");
        assert_eq!(theirs["saw"], in_its_words(&ours));
    })
    .unwrap();
}
