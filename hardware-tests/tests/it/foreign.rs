//! Software of other people on a card of ours: a host opens door I with its own SCP03, and tools for other cards change nothing.
//!
//! It is no part of `make test`: `make e2e` installs it and runs these. The packages of Python lie where `YZT_FOREIGN` says.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use card_applet_spec::codes::Role;
use card_applet_spec::crypto::PublicKey;
use card_reader::transport::Transport as _;
use hardware_tests::rig::{Needs, stray_blank, with_reader};
use hardware_tests::scratch_issuer::{REHEARSAL, ScratchIssuer};
use hardware_tests::{Rig, scenario};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use virtual_card::blank::Blank;
use virtual_card::control::Order;

/// Where `make e2e` puts the packages of Python.
const PACKAGES: &str = "YZT_FOREIGN";

/// How long a tool may take over a card that is not its own.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lays a new virtual blank on the reader and gives its memory file.
fn laid(rig: &Rig, blank: &Blank, rng: &mut StdRng) -> PathBuf {
    let memory = rig.make_blank(blank, rng).unwrap();
    let insert = Order::Insert {
        memory: Some(memory.clone()),
    };
    rig.manipulator().unwrap().order(&insert).unwrap();
    memory
}

#[test]
#[ignore = "foreign software: make e2e"]
fn yubikit_opens_door_i_and_commands_go_both_ways() {
    let test = "foreign::yubikit_opens_door_i_and_commands_go_both_ways";
    with_reader(test, Needs::Manipulator, |rig| {
        let packages = std::env::var_os(PACKAGES).expect("`make e2e` says where the packages are");
        let mut rng = StdRng::from_seed([5; 32]);
        laid(rig, &stray_blank(), &mut rng);
        let mut host = Command::new("/usr/bin/python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/foreign/door_i.py"))
            .arg(rig.reader())
            .env("PYTHONPATH", packages)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let keys = hex::encode([0xFF; 48]);
        host.stdin.take().unwrap().write_all(keys.as_bytes()).unwrap();
        let output = host.wait_with_output().unwrap();
        assert!(output.status.success());
        let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
        let said = |key: &str| seen[key].as_str().unwrap_or_else(|| panic!("{key}: {seen}"));

        // The card is as strict as its chapter.
        assert_eq!(said("initialize update without le"), "6700");
        assert_eq!(said("key version 2"), "6a86");
        assert_eq!(said("wrong keys"), "Incorrect SCP parameters");
        assert_eq!(said("padding for nothing"), "6982");

        // What was sent arrived, and what was answered was read.
        assert_eq!(said("begin"), "");
        let public: [u8; 64] = hex::decode(said("generate")).unwrap().try_into().unwrap();
        let point: [u8; 65] = [&[4], &public[..]].concat().try_into().unwrap();
        assert!(PublicKey::from_point65(&point).is_ok());
        assert_eq!(said("public key"), said("generate"));
        let status = hex::decode(said("status")).unwrap();
        let script: Vec<u8> = (0..16).collect();
        assert_eq!((status.len(), status[0], &status[1..17]), (59, 1, &script[..]));
        assert_eq!((&status[17..19], status[51], status[58]), (&[0, 2][..], 0, 1));
        assert_eq!(said("status of version 0"), said("status"));
    })
    .unwrap();
}

/// The tools of `OpenSC`, each with what it would do to a card of its kind; the last ones would erase or write it.
const TOOLS: &[&[&str]] = &[
    &["opensc-tool", "--list-readers"],
    &["opensc-tool", "-r", "0", "--atr"],
    &["opensc-tool", "-r", "0", "--name"],
    &["opensc-tool", "-r", "0", "--serial"],
    &["opensc-tool", "-r", "0", "--list-files"],
    &["opensc-tool", "-r", "0", "--list-algorithms"],
    &[
        "opensc-tool",
        "-r",
        "0",
        "--send-apdu",
        "00A4040007F0595A5452500100",
    ],
    &["pkcs15-tool", "-r", "0", "--dump"],
    &["pkcs15-tool", "-r", "0", "--list-certificates"],
    &["pkcs11-tool", "--list-slots"],
    &["pkcs11-tool", "--list-objects"],
    &["piv-tool", "-r", "0", "--name", "--serial"],
    &["openpgp-tool", "-r", "0", "--card-info", "--key-info"],
    &["eidenv", "-r", "0"],
    &["cardos-tool", "-r", "0", "--info"],
    &["cryptoflex-tool", "-r", "0", "--list-keys"],
    &["dnie-tool", "-r", "0", "--all"],
    &["egk-tool", "-r", "0", "--pd"],
    &["iasecc-tool", "-r", "0", "--list-sdos", "2"],
    &["netkey-tool", "-r", "0"],
    &["sc-hsm-tool", "-r", "0"],
    &["gids-tool", "-r", "0", "--get-cardinfo"],
    &["goid-tool", "-r", "0", "--info"],
    &["westcos-tool", "-r", "0", "--generate-key"],
    &["openpgp-tool", "-r", "0", "--erase"],
    &["cardos-tool", "-r", "0", "--format"],
    &["pkcs15-init", "-r", "0", "--erase-card"],
    &[
        "pkcs15-init",
        "-r",
        "0",
        "--create-pkcs15",
        "--so-pin",
        "123456",
        "--so-puk",
        "123456",
    ],
    &[
        "pkcs11-tool",
        "--init-token",
        "--label",
        "x",
        "--so-pin",
        "123456",
    ],
];

/// Runs a tool to its end and gives what it said, into `said`.
fn sweep(tool: &[&str], said: &Path) -> String {
    let mut child = Command::new(tool[0])
        .args(&tool[1..])
        .stdin(Stdio::null())
        .stdout(fs::File::create(said).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{tool:?}: {error}: `make e2e` installs opensc"));
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{tool:?} did not come to an end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    fs::read_to_string(said).unwrap()
}

#[test]
#[ignore = "foreign software: make e2e"]
fn the_tools_of_opensc_leave_the_memory_and_the_counters_of_a_card_as_they_are() {
    let test = "foreign::the_tools_of_opensc_leave_the_memory_and_the_counters_of_a_card_as_they_are";
    with_reader(test, Needs::Manipulator, |rig| {
        let folder = tempfile::tempdir().unwrap();
        let mut office = ScratchIssuer::found(&folder.path().join("vault"), REHEARSAL).unwrap();
        let mut rng = StdRng::from_seed([6; 32]);
        let (mut bus, _) = scenario::bus_and_clinic(&mut office).unwrap();
        let memory = laid(rig, &office.blank(1).unwrap(), &mut rng);
        let image = |path: &Path| fs::read(path).unwrap();
        // A blank, and then a card in use.
        for is_blank in [true, false] {
            if !is_blank {
                let mut card = rig.connect().unwrap();
                scenario::issue(&mut office, &mut card, 1).unwrap();
            }
            let before = image(&memory);
            for tool in TOOLS {
                let said = sweep(tool, &folder.path().join("said"));
                assert!(image(&memory) == before, "{tool:?} changed the card");
                // They do reach it.
                let is_answered = !tool.contains(&"--send-apdu") || said.contains("SW1=0x90, SW2=0x00");
                assert!(is_answered, "{tool:?}: {said}");
            }
        }
        let mut card = rig.connect().unwrap();
        let seen = scenario::tap(&mut bus, &mut card, Role::Transit, &mut rng).unwrap();
        assert_eq!(seen.role, Role::Transit);

        // One wrong try at door I is seen in the image: a counter of the card is not missed here.
        let before = image(&memory);
        for command in ["00A4040007F0595A5452500100", "8050000008000000000000000000"] {
            card.transmit(&hex::decode(command).unwrap()).unwrap();
        }
        let wrong = [&hex::decode("8482330010").unwrap()[..], &[0; 16]].concat();
        assert_eq!(card.transmit(&wrong).unwrap(), [0x69, 0x82]);
        assert!(image(&memory) != before);
    })
    .unwrap();
}
