//! The program `virtual-card` as people and scripts use it.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use card_applet_spec::codes::Serial;
use card_applet_spec::crypto::{PrivateKey, PublicKey};
use card_applet_spec::kdf::KeySet;
use card_applet_spec::{lot, sealed_box};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_virtual-card"))
}

fn object(bytes: &[u8]) -> Value {
    let text = std::str::from_utf8(bytes).unwrap();
    assert_eq!(text.matches('\n').count(), 1, "one object and a newline: {text}");
    serde_json::from_str(text).unwrap()
}

/// A maker's key, the anchors, and a lot of one blank, as the vault would hand it over.
fn lot_in(folder: &Path) {
    let output = program()
        .arg("maker-key")
        .arg("--out")
        .arg(folder.join("maker.key"))
        .arg("--json")
        .output()
        .unwrap();
    assert!(output.status.success());
    let point = object(&output.stdout)["public"].as_str().unwrap().to_owned();
    let maker = PublicKey::from_point65(&hex::decode(&point).unwrap().try_into().unwrap()).unwrap();
    let mut rng = StdRng::from_seed([3; 32]);
    let card_ca = PrivateKey::generate(&mut rng);
    fs::write(folder.join("card-ca"), hex::encode(card_ca.public().to_point65())).unwrap();
    let blanks = [(Serial([1; 10]), KeySet::from_bytes(&[2; 48]))];
    let mut plain = vec![0; lot::encoded_len(1)];
    let used = lot::encode([0, 0, 0, 1], &blanks, &card_ca, &mut rng, &mut plain).unwrap();
    plain.truncate(used);
    let (head, tag) = sealed_box::seal(sealed_box::LOT, &maker, &mut plain, &mut rng).unwrap();
    fs::write(folder.join("lot"), [&head[..], &plain, &tag].concat()).unwrap();
}

fn blank(folder: &Path, number: &str) -> std::process::Output {
    program()
        .current_dir(folder)
        .args([
            "blank",
            "--out",
            "a.card",
            "--lot-file",
            "lot",
            "--maker-key",
            "maker.key",
            "--card-ca",
            "card-ca",
        ])
        .args(["--number", number, "--json"])
        .output()
        .unwrap()
}

#[test]
fn a_blank_is_made_of_a_lot_once() {
    let folder = tempfile::tempdir().unwrap();
    lot_in(folder.path());
    let missing = blank(folder.path(), "2");
    assert_eq!(missing.status.code(), Some(1));
    assert_eq!(object(&missing.stdout)["error"]["code"], "NO_SUCH_BLANK");
    assert!(!folder.path().join("a.card").exists());

    let made = blank(folder.path(), "1");
    assert_eq!(
        made.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&made.stdout)
    );
    assert_eq!(object(&made.stdout)["card_serial"], "01".repeat(10));
    let card = fs::read(folder.path().join("a.card")).unwrap();

    let again = blank(folder.path(), "1");
    assert_eq!(again.status.code(), Some(5), "a card is never overwritten");
    assert_eq!(fs::read(folder.path().join("a.card")).unwrap(), card);
}

#[test]
fn a_command_runs_as_a_client_of_a_service_of_its_own_and_gives_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    lot_in(folder.path());
    assert!(blank(folder.path(), "1").status.success());
    let run = |command: &str| {
        let reader = ["reader", "--dir", "r", "--memory", "a.card", "--", "sh", "-c"];
        program()
            .current_dir(folder.path())
            .args(reader)
            .arg(command)
            .output()
            .unwrap()
    };
    assert_eq!(run("exit 7").status.code(), Some(7));
    let status = format!(
        "{} status --control r/card0.sock",
        env!("CARGO_BIN_EXE_virtual-card")
    );
    let output = run(&format!("test -S \"$PCSCLITE_CSOCK_NAME\" && {status}"));
    let status = object(&output.stdout);
    assert_eq!(
        status["status"]["state"],
        "card",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let order = format!(
        "{} order --control r/card0.sock --json",
        env!("CARGO_BIN_EXE_virtual-card")
    );
    let output = run(&format!("{order} '{{\"order\":\"stop\"}}'"));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(object(&output.stdout)["error"]["code"], "ORDER");
}

#[test]
fn a_command_ends_with_the_program_that_runs_it_and_one_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for (signal, name) in [("TERM", "a"), ("KILL", "b")] {
        let mut running = std::process::Command::new(env!("CARGO_BIN_EXE_virtual-card"))
            .current_dir(folder.path())
            .args(["reader", "--", "sh", "-c"])
            .arg(format!(
                "echo $$ > {name}.part; mv {name}.part {name}; exec sleep 600"
            ))
            .spawn()
            .unwrap();
        let note = folder.path().join(name);
        wait_for(|| note.exists());
        let command = fs::read_to_string(&note).unwrap();
        let ended = std::process::Command::new("kill")
            .args(["-s", signal, &running.id().to_string()])
            .status();
        assert!(ended.unwrap().success());
        running.wait().unwrap();
        let process = std::path::Path::new("/proc").join(command.trim()).join("stat");
        // Ended, or ended and not collected yet.
        wait_for(|| fs::read_to_string(&process).map_or(true, |stat| stat.contains(") Z ")));
    }
    for missing in ["no-such-program", "./no-such-program"] {
        let output = program().args(["reader", "--", missing]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be started"));
    }
}

/// Waits until it is so, for 20 seconds at most.
fn wait_for(is_so: impl Fn() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("it did not come");
}

#[test]
fn a_card_that_nobody_serves_is_told() {
    let output = program()
        .args(["status", "--control", "/nowhere/card.sock", "--json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(object(&output.stdout)["error"]["code"], "CARD_GONE");
}

#[test]
fn a_seed_of_another_form_is_a_matter_of_usage() {
    let output = program()
        .args(["serve", "--control", "x", "--seed", "00"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}
