//! A private PC/SC service with real cards, and the program `card-reader` beside it: what the tests of the program share.

use std::path::{Path, PathBuf};
use std::process::Command;

use card_applet_spec::codes::Role;
use card_applet_spec::script::ScriptKind;
use card_reader::TerminalKey;
use serde_json::{Value, json};
use virtual_card::CardMemory;
use virtual_card::control::Order;
use virtual_card::pcscd::{Options, PrivatePcscd, READERS};

use crate::reader_fixture::{Issuer, Wanted, day};

pub(crate) const ROLES: [Role; 5] = [
    Role::Transit,
    Role::Clinic,
    Role::Door,
    Role::SmallPayment,
    Role::SocialInsurance,
];
pub(crate) const AT: &str = "2026-11-21";

/// The program, beside this test's own folder; built when it is not there yet.
pub(crate) fn program() -> PathBuf {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let profile = deps.parent().unwrap();
    let path = profile.join("card-reader");
    if !path.exists() {
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--package", "card-reader", "--target-dir"])
            .arg(profile.parent().unwrap());
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success());
    }
    path
}

/// A private service, an issuer, and a folder for everybody's files.
pub(crate) struct PcscFixture {
    pub(crate) service: PrivatePcscd,
    pub(crate) issuer: Issuer,
    pub(crate) folder: tempfile::TempDir,
    /// Nothing that was ever printed may contain one of these.
    pub(crate) secrets: Vec<String>,
    /// Number of the card, role, pseudonym.
    pub(crate) pids: Vec<(u8, Role, [u8; 16])>,
}

impl PcscFixture {
    pub(crate) fn new(seed: u8) -> Self {
        let options = Options {
            program: Some(env!("CARGO_BIN_EXE_virtual-card").into()),
            ..Options::default()
        };
        Self {
            service: PrivatePcscd::start(&options).unwrap(),
            issuer: Issuer::new(seed),
            folder: tempfile::tempdir().unwrap(),
            secrets: vec!["张三".to_owned(), "11010119900307803X".to_owned()],
            pids: Vec::new(),
        }
    }

    pub(crate) fn order(&self, order: &Order) {
        self.service.manipulator(0).order(order).unwrap();
    }

    pub(crate) fn lay(&self, memory: &Path) {
        self.order(&Order::Insert {
            memory: Some(memory.to_owned()),
        });
    }

    /// A card's memory file: personalised, or handed over too.
    pub(crate) fn card(&mut self, number: u8, active: bool) -> PathBuf {
        let (mut reader, memory, serial) = self.issuer.blank(number);
        let content = self.issuer.content(serial, &ROLES);
        let made = self.issuer.personalise(&mut reader, &content);
        if active {
            self.issuer
                .bare_script(&mut reader, serial, ScriptKind::Activate, day("2026-11-02"));
        }
        for (role, pid, _) in &made.records {
            self.pids.push((number, *role, *pid));
            self.secrets.push(hex::encode(&pid[..8]));
        }
        for key in made.keys {
            self.secrets.push(hex::encode(&key[..8]));
        }
        self.secrets.push(serial.to_string());
        let path = self.path(&format!("{number}.card"));
        let image = memory.image();
        let mut file = CardMemory::create(&path, image.len()).unwrap();
        card_applet::Memory::write(&mut file, 0, &image).unwrap();
        path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Enrols a terminal with the program and puts a bundle for it beside its key.
    pub(crate) fn terminal(&mut self, name: &str, wanted: Wanted) -> String {
        let anchors = self.issuer.anchors();
        let point = |key: card_applet_spec::crypto::PublicKey| hex::encode(key.to_point65());
        let file = self.path("anchors.json");
        let object = json!({
            "schema": "yzt.anchors/1", "vault": hex::encode(Issuer::vault()), "card_ca": point(anchors.card_ca),
            "terminal_ca": point(anchors.terminal_ca), "document_signer": point(anchors.document_signer),
            "entitlement_signer": point(anchors.entitlement_signer),
            "deny_list_signer": point(anchors.deny_list_signer),
        });
        std::fs::write(&file, object.to_string()).unwrap();
        let bundle = self.path(&format!("{name}.yztb"));
        let key = self.path(&format!("{name}.yztb.key"));
        if !key.exists() {
            let (exit, request) = self.run(&[
                "enrol",
                "--name",
                name,
                "--anchors",
                file.to_str().unwrap(),
                "--out",
                key.to_str().unwrap(),
            ]);
            assert_eq!((exit, &request["terminal"]), (0, &json!(name)));
        }
        let key = TerminalKey::load(&key).unwrap();
        let wanted = Wanted {
            name: name.to_owned(),
            ..wanted
        };
        let plain = self.issuer.plain_bundle(&wanted, &key);
        std::fs::write(&bundle, self.issuer.seal(plain, &key)).unwrap();
        bundle.to_str().unwrap().to_owned()
    }

    /// Runs the program with JSON; gives exit code and object, and checks that nothing secret was printed anywhere.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, Value) {
        let (name, socket) = self.service.folder().environment();
        let output = Command::new(program())
            .args(arguments)
            .arg("--json")
            .env(name, socket)
            .env("RUST_LOG", "trace")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        for secret in &self.secrets {
            assert!(!text.contains(secret) && !log.contains(secret), "{text}\n{log}");
        }
        (
            output.status.code().unwrap(),
            serde_json::from_str(&text).unwrap(),
        )
    }

    /// Runs a command at the first reader; with a bundle, which says that it is a rehearsal, on the day of the tests.
    pub(crate) fn read(&self, command: &str, more: &[&str]) -> (i32, Value) {
        let mut arguments = vec![command, "--reader", READERS[0]];
        if more.contains(&"--bundle") {
            arguments.extend(["--at", AT]);
        }
        arguments.extend_from_slice(more);
        self.run(&arguments)
    }
}

pub(crate) fn failed((exit, object): &(i32, Value)) -> (i32, &str) {
    assert_eq!(object["ok"], false, "{object}");
    (*exit, object["error"]["code"].as_str().unwrap())
}
