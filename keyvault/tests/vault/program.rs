//! The `keyvault` program as scripts see it: JSON, exit codes, files, signals, damage, a full disk, a read-only mount.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keyvault_protocol::channel::Acceptor;
use keyvault_protocol::{
    Asked, CardState, CardTask, ChannelKey, Client, Identity, OPERATIONS, Order, PROTOCOL_VERSION, Request,
    Response, Script, SignedRequest, TaskKind, VaultAnchors, Welcome, frame,
};
use program_contract::Clock;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use scratch_vault::Everybody;
use serde_json::Value;
use service_contract::{Hands, Kind};
use sqlx::Connection as _;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use virtual_card::chip::Chip;

use super::support::{Mishap, blanks, content_of, for_card, run};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_keyvault");

/// A folder with passphrases, and the vault in it.
pub(crate) struct Site {
    folder: TempDir,
    /// Everything that its commands said, on both streams, with the most talkative log.
    said: Mutex<Vec<u8>>,
}

/// What a custodian of the tests has in mind.
pub(crate) fn phrase(custodian: &str) -> String {
    format!("kapok ferry moss quartz {custodian} lantern")
}

/// A founding.
const INIT: [&str; 13] = [
    "init",
    "--threshold",
    "2",
    "--shares",
    "3",
    "--custodian",
    "li=li.pass",
    "--custodian",
    "wang=wang.pass",
    "--custodian",
    "zhang=zhang.pass",
    "--out",
    "shares",
];

/// A founding has these officers, unless a test names others.
fn with_officers<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    const OFFICERS: [&str; 6] = [
        "--officer",
        "chen=chen.pub",
        "--officer",
        "sun=sun.pub",
        "--officer",
        "zhou=zhou.pub",
    ];
    let is_founding = arguments.contains(&"init") && !arguments.contains(&"--officer");
    [arguments, if is_founding { &OFFICERS } else { &[] }].concat()
}

pub(crate) struct Served {
    pub(crate) child: Child,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Site {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["li", "wang", "zhang"] {
            std::fs::write(
                folder.path().join(format!("{name}.pass")),
                format!("{}\n", phrase(name)),
            )
            .unwrap();
        }
        for name in scratch_vault::OFFICERS {
            let point = hex::encode(scratch_vault::point(name));
            std::fs::write(folder.path().join(format!("{name}.pub")), point).unwrap();
        }
        for name in ["chen", "shenzhen"] {
            let path = folder.path().join(format!("{name}.key"));
            scratch_vault::key(name).save_new(&path).unwrap();
        }
        Self {
            folder,
            said: Mutex::default(),
        }
    }

    /// What its commands said so far.
    pub(crate) fn said(&self) -> Vec<u8> {
        self.said.lock().unwrap().clone()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, Value) {
        let output = Command::new(PROGRAM)
            .current_dir(self.folder.path())
            .args(["--json", "--dir", "vault"])
            .args(with_officers(arguments))
            .envs(self.as_caller(arguments))
            .env("KEYVAULT_LOG", "trace")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        self.said
            .lock()
            .unwrap()
            .extend([&output.stdout[..], &output.stderr].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            text.lines().count(),
            1,
            "{arguments:?}: {text} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let object: Value = serde_json::from_str(&text).unwrap();
        assert!(object["schema"].as_str().unwrap().starts_with("yzt."), "{object}");
        let code = output.status.code().unwrap();
        assert_eq!(
            object["ok"].as_bool().unwrap(),
            code == 0 || object.get("error").is_none()
        );
        if let Some(error) = object.get("error") {
            for key in ["code", "message", "action"] {
                assert!(!error[key].as_str().unwrap().is_empty(), "{object}");
            }
        }
        (code, object)
    }

    /// Who runs a command, once there is a vault: what an officer may not ask for the issuer does.
    fn as_caller(&self, arguments: &[&str]) -> Vec<(&'static str, PathBuf)> {
        let anchors = self.path("shares/anchors.json");
        if !anchors.exists() {
            return Vec::new();
        }
        let is_issuers = arguments
            .iter()
            .any(|argument| ["allow", "end-card"].contains(argument));
        let name = if is_issuers { "shenzhen.key" } else { "chen.key" };
        vec![("YZT_VAULT_ANCHORS", anchors), ("YZT_VAULT_KEY", self.path(name))]
    }

    /// Has every kind of caller enrolled.
    fn enrol_everybody(&self) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        drop(runtime.block_on(self.everybody()));
    }

    fn expect_error(&self, arguments: &[&str], exit: i32, code: &str) -> Value {
        let (got, object) = self.run(arguments);
        assert_eq!(
            (got, object["error"]["code"].as_str().unwrap()),
            (exit, code),
            "{object}"
        );
        object
    }

    /// A request that two officers signed, in a file of this name.
    fn signed(&self, file: &str, act: &[&str]) -> (i32, Value) {
        let rest = [
            "--requester",
            "tests",
            "--anchors",
            "shares/anchors.json",
            "--out",
            file,
        ];
        let made = self.run(&[&["request", "new"], act, &rest].concat());
        if made.0 == 0 {
            let path = self.path(file);
            let mut written: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let mut signed = SignedRequest {
                request: hex::decode(written["request"].as_str().unwrap()).unwrap(),
                signatures: Vec::new(),
            };
            scratch_vault::sign(&mut signed, &scratch_vault::OFFICERS[..2]);
            let signatures = signed.signatures.iter().zip(scratch_vault::OFFICERS);
            written["signatures"] = signatures
                .map(|(signature, name)| {
                    serde_json::json!({
                        "officer": name,
                        "key": hex::encode(scratch_vault::point(name)),
                        "signature": hex::encode(signature.signature),
                    })
                })
                .collect();
            std::fs::write(path, written.to_string()).unwrap();
        }
        made
    }

    /// Has two officers do it, or gives why that was refused.
    fn approved(&self, act: &[&str], submit: &[&str]) -> (i32, Value) {
        let _ = std::fs::remove_file(self.path("request.file"));
        let made = self.signed("request.file", act);
        if made.0 != 0 {
            return made;
        }
        self.run(&[&["request", "submit", "request.file"], submit].concat())
    }

    pub(crate) fn init(&self) -> Vec<String> {
        self.found(&[])
    }

    /// Founds a rehearsal: a vault that takes another day.
    pub(crate) fn rehearse(&self) -> Vec<String> {
        self.found(&["--rehearsal"])
    }

    /// Founds a rehearsal by a command that is prepared.
    pub(crate) fn founding<'a>(&self, program: &'a mut Command) -> &'a mut Command {
        program
            .current_dir(self.folder.path())
            .args(["--json", "--dir", "vault"])
            .args(with_officers(&[&INIT[..], &["--rehearsal"]].concat()))
            .stdin(Stdio::null())
    }

    /// The envelope of a custodian, by a founding whose answer nobody saw.
    pub(crate) fn envelope_of(&self, custodian: &str) -> String {
        let end = format!("-{custodian}.share.json");
        let names = std::fs::read_dir(self.path("shares")).unwrap();
        let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let name = names.find(|name| name.ends_with(&end)).unwrap();
        format!("shares/{name}")
    }

    fn found(&self, more: &[&str]) -> Vec<String> {
        let (code, object) = self.run(&[&INIT[..], more].concat());
        assert_eq!(code, 0, "{object}");
        object["packages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|path| path.as_str().unwrap().to_owned())
            .collect()
    }

    /// A caller of the vault that was founded here.
    pub(crate) fn identity(&self, name: &str) -> Identity {
        let anchors = VaultAnchors::read(&self.path("shares/anchors.json")).unwrap();
        let now = self.run(&["status"]).1["high_water"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        Identity::of(scratch_vault::key(name), anchors, Clock::fixed(now))
    }

    /// One of every kind of caller of the running vault.
    pub(crate) async fn everybody(&self) -> Everybody<UnixStream> {
        let socket = self.path("vault/keyvault.sock");
        let dial = async |name: &str| Client::connect_unix(&socket, &self.identity(name)).await;
        scratch_vault::everybody_by(dial, true, "shenzhen").await.unwrap()
    }

    pub(crate) fn serve(&self, arguments: &[&str]) -> Served {
        self.serve_logging_to(Stdio::piped(), arguments)
    }

    fn serve_logging_to(&self, log: Stdio, arguments: &[&str]) -> Served {
        self.serve_by(Command::new(PROGRAM).stdout(Stdio::null()).stderr(log), arguments)
    }

    /// Serves as a command that is prepared.
    pub(crate) fn serve_by(&self, program: &mut Command, arguments: &[&str]) -> Served {
        let child = program
            .current_dir(self.folder.path())
            .args(["--dir", "vault", "serve"])
            .args(arguments)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let served = Served { child };
        let until = Instant::now() + Duration::from_secs(20);
        while self.run(&["status"]).0 == 3 {
            assert!(Instant::now() < until, "the vault does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        served
    }

    pub(crate) fn unseal(&self, envelope: &str, custodian: &str) -> (i32, Value) {
        let passphrase = format!("{custodian}.pass");
        self.run(&["unseal", "--share", envelope, "--passphrase-file", &passphrase])
    }

    pub(crate) fn seal(&self, envelope: &str, custodian: &str) -> (i32, Value) {
        let passphrase = format!("{custodian}.pass");
        self.run(&["seal", "--share", envelope, "--passphrase-file", &passphrase])
    }
}

#[test]
fn a_vault_is_founded_served_unsealed_and_sealed() {
    let site = Site::new();
    site.expect_error(&["status"], 5, "NO_VAULT");
    site.expect_error(&["serve"], 5, "NO_VAULT");
    // Neither a custodian's envelope nor an officer's key.
    site.expect_error(&["seal"], 2, "USAGE");
    let envelopes = site.init();
    assert_eq!(envelopes.len(), 3);
    for envelope in &envelopes {
        let mode = std::fs::metadata(site.path(envelope))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    for file in ["vault", "vault/vault.sqlite"] {
        assert_eq!(
            std::fs::metadata(site.path(file)).unwrap().permissions().mode() & 0o077,
            0,
            "{file}"
        );
    }
    site.expect_error(
        &[
            "init",
            "--threshold",
            "2",
            "--shares",
            "2",
            "--custodian",
            "a=li.pass",
            "--custodian",
            "b=wang.pass",
            "--out",
            "x",
        ],
        1,
        "ALREADY_INITIALISED",
    );
    let mut served = site.serve(&[]);
    site.expect_error(&["serve"], 5, "IN_USE");
    assert_eq!(site.run(&["status"]).0, 1);

    let wrong = site.run(&[
        "unseal",
        "--share",
        &envelopes[0],
        "--passphrase-file",
        "wang.pass",
    ]);
    assert_eq!(
        (wrong.0, wrong.1["error"]["code"].as_str().unwrap()),
        (1, "WRONG_PASSPHRASE")
    );
    assert!(wrong.1["error"]["message"].as_str().unwrap().contains("li"));
    let (code, first) = site.unseal(&envelopes[0], "li");
    assert_eq!((code, first["state"].as_str().unwrap()), (0, "unsealing"));
    assert_eq!(
        (
            first["given"].as_u64().unwrap(),
            first["needed"].as_u64().unwrap()
        ),
        (1, 2)
    );
    assert_eq!(first["missing"], serde_json::json!(["wang", "zhang"]));
    assert_eq!(site.run(&["status"]).0, 1);
    let (code, twice) = site.unseal(&envelopes[0], "li");
    assert_eq!(
        (code, twice["error"]["code"].as_str().unwrap()),
        (1, "SAME_SHARE_TWICE")
    );
    site.expect_error(&["anchors"], 3, "VAULT_SEALED");
    let (code, open) = site.unseal(&envelopes[2], "zhang");
    assert_eq!((code, open["state"].as_str().unwrap()), (0, "open"));
    assert_eq!(site.run(&["status"]).0, 0);
    let (code, anchors) = site.run(&["anchors"]);
    assert_eq!((code, anchors["schema"].as_str().unwrap()), (0, "yzt.anchors/1"));

    // An issuer, a lot and a terminal's bundle over the command line.
    let point = anchors["card_ca"].as_str().unwrap().to_owned();
    std::fs::write(site.path("point"), &point).unwrap();
    let written: Value =
        serde_json::from_slice(&std::fs::read(site.path("shares/anchors.json")).unwrap()).unwrap();
    assert_eq!(written, anchors);
    std::fs::write(site.path("issuer"), hex_point()).unwrap();
    let issuer = [
        "enrol-caller",
        "--name",
        "shenzhen",
        "--kind",
        "issuer",
        "--public-key",
        "issuer",
    ];
    let (code, done) = site.approved(&issuer, &[]);
    assert_eq!((code, &done["outcome"]), (0, &"done".into()), "{done}");
    let lot = [
        "export-lot",
        "--issuer",
        "4403",
        "--lot",
        "00000001",
        "--first",
        "1",
        "--count",
        "3",
        "--maker",
        "m",
        "--maker-key",
        "point",
    ];
    assert_eq!(site.approved(&lot, &["--out", "lot.bin"]).0, 0);
    // The same request again, and the file is not overwritten.
    site.expect_error(
        &["request", "submit", "request.file", "--out", "lot.bin"],
        5,
        "FILE",
    );
    site.expect_error(&["request", "submit", "request.file"], 2, "USAGE");
    let request = serde_json::json!({
        "schema": "yzt.terminal-request/1", "ok": true, "terminal": "gate 1", "sealing_key": point,
        "authentication_key": point,
    });
    std::fs::write(site.path("request.json"), request.to_string()).unwrap();
    let bundle = [
        "export-bundle",
        "--terminal",
        "gate 1",
        "--from",
        "2000-01-01",
        "--to",
        "2000-01-02",
        "--out",
        "bundle.bin",
    ];
    site.expect_error(&bundle, 1, "NOT_FOUND");
    let seen: jiff::Timestamp = site.run(&["status"]).1["high_water"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let until = program_contract::day::of(seen).tomorrow().unwrap().to_string();
    let terminal = [
        "enrol-terminal",
        "--kind",
        "bus",
        "--request",
        "request.json",
        "--region",
        "440300",
        "--until",
    ];
    assert_eq!(site.approved(&[&terminal[..], &[&until]].concat(), &[]).0, 0);
    site.expect_error(&bundle, 1, "BAD_CONTENT");
    assert!(!site.path("bundle.bin").exists());
    // The service that exports bundles may do that and nothing else.
    let (_, key) = site.run(&["key", "new", "--out", "bundles.key"]);
    std::fs::write(site.path("bundles.public"), key["public_key"].as_str().unwrap()).unwrap();
    let service = [
        "enrol-caller",
        "--kind",
        "issuer",
        "--name",
        "bundles",
        "--public-key",
        "bundles.public",
    ];
    let service = [&service[..], &["--operation", "ExportBundle"]].concat();
    assert_eq!(site.approved(&service, &[]).0, 0);
    let today = program_contract::day::of(seen).to_string();
    let asked = [
        "export-bundle",
        "--terminal",
        "gate 1",
        "--from",
        &today,
        "--to",
        &today,
        "--out",
        "bundle.bin",
    ];
    let (code, exported) = site.run(&[&["--key", "bundles.key"], &asked[..]].concat());
    assert_eq!((code, &exported["keys"]), (0, &Value::Null), "{exported}");
    assert!(site.path("bundle.bin").exists());
    // What it is counted for, and what it has used of that.
    let (code, used) = site.run(&["ceilings"]);
    assert_eq!(
        (code, &used["schema"]),
        (0, &"yzt.keyvault_ceilings/1".into()),
        "{used}"
    );
    let all = used["ceilings"].as_array().unwrap();
    let of_service: Vec<&Value> = all.iter().filter(|used| used["of"] == "bundles").collect();
    let one = serde_json::json!({
        "of": "bundles", "counted": "bundles", "used": 1, "most": 20_000, "near": false,
    });
    assert_eq!(of_service, [&one]);
    let shown = Command::new(PROGRAM)
        .current_dir(site.folder.path())
        .args(["--lang", "en", "--dir", "vault", "ceilings"])
        .envs(site.as_caller(&[]))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    // The nearest to its number first.
    assert_eq!(
        shown.lines().collect::<Vec<_>>(),
        [
            "vault: 1 of 100 lots",
            "bundles: 1 of 20000 bundles",
            "vault: 3 of 200000 blanks"
        ]
    );

    // An officer seals by the own key.
    let (code, by) = site.run(&["seal"]);
    assert_eq!(
        (code, by["state"].as_str(), &by["by"]),
        (0, Some("sealed"), &Value::Null)
    );
    site.unseal(&envelopes[0], "li");
    assert_eq!(site.unseal(&envelopes[1], "wang").1["state"], "open");
    let (_, lines) = site.run(&["journal", "--about", "chen"]);
    let sealed = |line: &Value| line["kind"] == "sealed" && line["values"]["by"] == "chen";
    assert!(lines["lines"].as_array().unwrap().iter().any(sealed), "{lines}");
    let (code, by) = site.seal(&envelopes[1], "wang");
    assert_eq!(
        (code, by["state"].as_str(), by["by"].as_str()),
        (0, Some("sealed"), Some("wang"))
    );
    assert_eq!(
        site.seal(&envelopes[1], "wang").1["error"]["code"],
        "VAULT_SEALED"
    );
    assert_eq!(site.run(&["status"]).0, 1);
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&served.child),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert!(served.child.wait().unwrap().success());
    assert!(!site.path("vault/keyvault.sock").exists());
    site.expect_error(&["status"], 3, "VAULT_NOT_RUNNING");
}

#[test]
fn a_socket_path_that_is_too_long_and_a_file_without_end_are_refused() {
    let site = Site::new();
    site.init();
    let long = format!("/tmp/{}", "s".repeat(120));
    for command in ["serve", "status", "anchors"] {
        let object = site.expect_error(&["--socket", &long, command], 2, "SOCKET_PATH");
        assert!(object["error"]["message"].as_str().unwrap().contains("107"));
    }
    let zero = "/dev/zero";
    let unseal = ["unseal", "--share", zero, "--passphrase-file", "li.pass"];
    site.expect_error(&unseal, 5, "FILE");
    let enrol = [
        "request",
        "new",
        "enrol-caller",
        "--name",
        "x",
        "--kind",
        "issuer",
        "--public-key",
        zero,
    ];
    let rest = [
        "--requester",
        "x",
        "--anchors",
        "shares/anchors.json",
        "--out",
        "r",
    ];
    site.expect_error(&[&enrol[..], &rest].concat(), 5, "FILE");
}

#[test]
fn a_share_of_another_vault_and_usage_errors_have_their_codes() {
    let (site, other) = (Site::new(), Site::new());
    site.init();
    let foreign = other.init();
    let _served = site.serve(&[]);
    let foreign = other.path(&foreign[0]);
    let (code, object) = site.unseal(foreign.to_str().unwrap(), "li");
    assert_eq!(
        (code, object["error"]["code"].as_str().unwrap()),
        (1, "WRONG_VAULT")
    );
    // Nor does an officer sign what another vault is to do.
    let made = other.signed("theirs.request", &["restore-caller", "--name", "bank"]);
    assert_eq!(made.0, 0, "{}", made.1);
    let theirs = other.path("theirs.request");
    let officer = ["--officer", "chen=chen.key"];
    let sign = [&["request", "sign", theirs.to_str().unwrap()][..], &officer].concat();
    site.expect_error(&sign, 1, "WRONG_VAULT");
    let text = std::fs::read_to_string(&foreign)
        .unwrap()
        .replace("\"li\"", "\"lo\"");
    std::fs::write(site.path("changed.json"), text).unwrap();
    let (code, object) = site.unseal("changed.json", "li");
    assert_eq!(
        (code, object["error"]["code"].as_str().unwrap()),
        (1, "PACKAGE_DAMAGED")
    );
    site.expect_error(&["unseal"], 2, "USAGE");
    site.expect_error(
        &[
            "init",
            "--threshold",
            "2",
            "--shares",
            "3",
            "--custodian",
            "li=li.pass",
            "--out",
            "o",
        ],
        2,
        "USAGE",
    );
    site.expect_error(
        &["unseal", "--share", "absent", "--passphrase-file", "li.pass"],
        5,
        "FILE",
    );
}

#[test]
fn a_key_file_of_another_kind_is_told_from_a_file_that_cannot_be_read() {
    let site = Site::new();
    site.init();
    let good = std::fs::read(site.path("chen.key")).unwrap();
    let changed = [&good[..good.len() - 1], &[good[good.len() - 1] ^ 1]].concat();
    let pem = b"-----BEGIN PRIVATE KEY-----\n";
    let pem = [pem, &[b'M'; 184][..]].concat();
    for (name, bytes) in [
        ("public", std::fs::read(site.path("chen.pub")).unwrap()),
        ("pem", pem),
        ("changed", changed),
        ("empty", Vec::new()),
    ] {
        std::fs::write(site.path(name), bytes).unwrap();
        std::fs::set_permissions(site.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
        let object = site.expect_error(&["--key", name, "callers"], 5, "KEY_FILE");
        assert!(
            object["error"]["action"]
                .as_str()
                .unwrap()
                .contains("openssl pkcs8"),
            "{object}"
        );
    }
    site.expect_error(&["--key", "none", "callers"], 5, "FILE");
    // One that others may read is taken, and said to be.
    assert!(!String::from_utf8(site.said()).unwrap().contains("chmod 600"));
    std::fs::set_permissions(site.path("chen.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    site.expect_error(&["--key", "chen.key", "callers"], 3, "VAULT_NOT_RUNNING");
    assert!(String::from_utf8(site.said()).unwrap().contains("chmod 600"));
    // What is no request is told by what it is not, and not by the disk.
    let show = ["request", "show", "shares/anchors.json"];
    site.expect_error(&show, 2, "REQUEST_FORM");
}

#[test]
fn a_killed_vault_opens_again_with_what_it_had() {
    let site = Site::new();
    let envelopes = site.init();
    let mut served = site.serve(&[]);
    site.unseal(&envelopes[0], "li");
    assert_eq!(site.unseal(&envelopes[1], "wang").1["state"], "open");
    let anchors = site.run(&["anchors"]).1;
    std::fs::write(site.path("point"), anchors["card_ca"].as_str().unwrap()).unwrap();
    let issuer = |key| {
        [
            "enrol-caller",
            "--name",
            "shenzhen",
            "--kind",
            "issuer",
            "--public-key",
            key,
        ]
    };
    assert_eq!(site.approved(&issuer("point"), &[]).0, 0);
    served.child.kill().unwrap();
    served.child.wait().unwrap();
    site.expect_error(&["status"], 3, "VAULT_NOT_RUNNING");
    let _served = site.serve(&[]);
    site.unseal(&envelopes[2], "zhang");
    assert_eq!(site.unseal(&envelopes[1], "wang").1["state"], "open");
    assert_eq!(site.run(&["anchors"]).1, anchors);
    std::fs::write(site.path("other"), anchors["audit_signer"].as_str().unwrap()).unwrap();
    let (code, object) = site.approved(&issuer("other"), &[]);
    assert_eq!((code, object["error"]["code"].as_str()), (1, Some("NAME_TAKEN")));
}

#[test]
fn another_day_is_taken_by_a_rehearsal_vault_alone_and_a_real_one_cannot_become_one() {
    let site = Site::new();
    let day = ["--at", "2090-01-01"];
    let asked = |arguments: &[&'static str]| [&day[..], arguments].concat();
    // Before anybody types a passphrase, and nothing is made.
    let founding = [
        "init",
        "--threshold",
        "2",
        "--shares",
        "2",
        "--custodian",
        "li=-",
        "--custodian",
        "wang=-",
    ];
    let founding = [&founding[..], &["--out", "shares"]].concat();
    site.expect_error(&asked(&founding), 1, "NOT_A_REHEARSAL");
    assert!(!site.path("vault").exists() && !site.path("shares").exists());

    let envelopes = site.init();
    site.expect_error(&asked(&["serve"]), 1, "NOT_A_REHEARSAL");
    for left in ["vault/keyvault.sock", "vault/socket"] {
        assert!(!site.path(left).exists(), "{left}");
    }
    let served = site.serve(&[]);
    for command in [&["role-keys"][..], &["anchors"], &["terminals"]] {
        site.expect_error(&asked(command), 1, "NOT_A_REHEARSAL");
    }
    // There 1 says sealed, and nothing else.
    site.expect_error(&asked(&["status"]), 2, "NOT_A_REHEARSAL");
    site.unseal(&envelopes[0], "li");
    assert_eq!(site.unseal(&envelopes[1], "wang").1["state"], "open");
    let status = site.run(&["status"]).1;
    assert_eq!(status["rehearsal"], false);
    assert!(status["high_water"].as_str().unwrap() < "2090");
    assert!(site.run(&["anchors"]).1.get("rehearsal").is_none());
    drop(served);

    // Its number in the header is what says it. With another number it serves on another day, and no share opens it.
    let number = status["vault"].as_str().unwrap();
    let mut marked = [0; 16];
    hex::decode_to_slice(number, &mut marked).unwrap();
    let marked = card_applet_spec::rehearsal::vault_number(marked, true);
    let store = sqlx::sqlite::SqliteConnectOptions::new().filename(site.path("vault/vault.sqlite"));
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut connection = sqlx::SqliteConnection::connect_with(&store).await.unwrap();
        sqlx::query("UPDATE header SET vault = $1")
            .bind(&marked[..])
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    });
    let _served = site.serve(&day);
    assert_eq!(site.unseal(&envelopes[0], "li").1["error"]["code"], "WRONG_VAULT");

    let trial = Site::new();
    let envelopes = trial.rehearse();
    let _served = trial.serve(&day);
    trial.unseal(&envelopes[0], "li");
    assert_eq!(trial.unseal(&envelopes[1], "wang").1["state"], "open");
    let (exit, status) = trial.run(&asked(&["status"]));
    assert_eq!((exit, &status["rehearsal"]), (0, &true.into()));
    assert!(status["high_water"].as_str().unwrap() > "2089");
    assert_eq!(trial.run(&["anchors"]).1["rehearsal"], true);
}

#[test]
fn a_vault_killed_in_the_middle_of_a_card_finishes_it_afterwards() {
    let site = Site::new();
    let envelopes = site.rehearse();
    let open = || {
        site.unseal(&envelopes[0], "li");
        assert_eq!(site.unseal(&envelopes[1], "wang").1["state"], "open");
    };
    let mut served = site.serve(&["--at", "2080-11-21"]);
    open();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let connect = || runtime.block_on(site.everybody());
    let mut client = connect();
    let issuer = scratch_vault::officer("shenzhen");
    let order = Order {
        order: [1; 16],
        issuer: "shenzhen".into(),
        profile: "resident-1".into(),
        cards: 3,
        tasks: vec![TaskKind::Personalise],
        station: "counter 1".into(),
        // The day begins at 16:00 UTC; the vault has the time of day of the machine.
        from: "2080-11-20T16:00:00Z".parse().unwrap(),
        until: "2080-11-30T00:00:00Z".parse().unwrap(),
    };
    let order = order.sign(&issuer).unwrap();
    let mut cards = runtime.block_on(blanks(&mut client, 3));
    let task = || CardTask::Personalise(Box::new(content_of(1, jiff::civil::date(2080, 11, 21))));
    // Between INITIALIZE UPDATE and the first step, in the first part, in the second part.
    for (index, commands) in [(0u32, 2), (1, 20), (2, 38)] {
        let card = &mut cards[index as usize];
        let mut client = connect();
        let session = runtime.block_on(client.open_order(&order)).unwrap();
        let mishap = Mishap::BeforeCommand(commands);
        runtime
            .block_on(run(&mut client, &session, index, card, task(), mishap))
            .0
            .unwrap_err();
        card.reset();
        let script = runtime
            .block_on(client.start_card(&session, index, card.serial, for_card(card.serial, task())))
            .unwrap();
        served.child.kill().unwrap();
        served.child.wait().unwrap();
        let Script::Send { commands } = script else {
            panic!("nothing to send")
        };
        let answers = commands
            .iter()
            .map(|command| card.chip.process(command).unwrap())
            .collect();
        let gone = runtime
            .block_on(client.continue_card(&session, index, answers))
            .unwrap_err();
        assert_eq!((gone.code(), gone.exit_code()), ("VAULT_GONE", 4));

        served = site.serve(&["--at", "2080-11-21"]);
        open();
        card.reset();
        let mut client = connect();
        let session = runtime.block_on(client.open_order(&order)).unwrap();
        let result = runtime
            .block_on(run(&mut client, &session, index, card, task(), Mishap::None))
            .0
            .unwrap();
        assert_eq!(result.state, CardState::Personalised);
    }
    // What an administrator sees of it.
    let serial = cards[0].serial.to_string();
    let (code, versions) = site.run(&["card-versions", "--serial", &serial]);
    assert_eq!(
        (code, versions["schema"].as_str()),
        (0, Some("yzt.keyvault_card_versions/1"))
    );
    let slots = versions["slots"].as_array().unwrap();
    assert_eq!(slots.len(), 5);
    assert!(
        slots
            .iter()
            .all(|slot| slot["key_version"] == 1 && slot["state"] == "active")
    );
    assert!(slots.iter().all(|slot| slot["brought_by"] == "script"));
    // The journal tells every use of a key: all of it, about one card, of one day, in words.
    let (code, all) = site.run(&["journal"]);
    assert_eq!(
        (code, all["schema"].as_str()),
        (0, Some("yzt.keyvault_journal/1"))
    );
    let lines = all["lines"].as_array().unwrap();
    assert_eq!(lines[0]["kind"], "created");
    assert!(
        lines
            .iter()
            .zip(1..)
            .all(|(line, number)| line["seq"] == number && line["hash"].as_str().unwrap().len() == 64)
    );
    let (_, one) = site.run(&["journal", "--about", &serial]);
    let of_card: Vec<_> = one["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["kind"].as_str().unwrap(), &line["values"]["serial"]))
        .collect();
    let serial_value = Value::from(serial.as_str());
    assert_eq!(
        of_card,
        [("card-intent", &serial_value), ("card-outcome", &serial_value)]
    );
    let last = lines.last().unwrap()["seq"].to_string();
    let count = |arguments: &[&str]| {
        let (code, some) = site.run(&[&["journal"], arguments].concat());
        assert_eq!(code, 0, "{some}");
        some["lines"].as_array().unwrap().len()
    };
    assert_eq!(count(&["--after", &last]), 0);
    assert_eq!(count(&["--to", "2001-01-01"]), 0);
    assert_eq!(count(&["--from", "2001-01-01"]), lines.len());
    assert_eq!(count(&["--about", "nobody"]), 0);
    // An order as the office writes its number.
    let order = lines.iter().find_map(|line| line["values"]["order"].as_str());
    let order = order.unwrap();
    let at = |range: std::ops::Range<usize>| &order[range];
    let written = [at(0..8), at(8..12), at(12..16), at(16..20), at(20..32)].join("-");
    assert!(count(&["--about", order]) > 0);
    assert_eq!(count(&["--about", &written]), count(&["--about", order]));
    let (code, pending) = site.run(&["pending-updates", "--serial", &serial]);
    assert_eq!(
        (code, pending["schema"].as_str()),
        (0, Some("yzt.keyvault_pending_updates/1"))
    );
    assert_eq!(
        (pending["waiting"].as_u64(), pending["withdrawn"].as_u64()),
        (Some(0), Some(0))
    );
}

#[test]
fn a_vault_with_a_clock_before_its_high_water_mark_does_not_open() {
    let site = Site::new();
    let envelopes = site.rehearse();
    let mut served = site.serve(&["--at", "2020-01-01"]);
    let (code, object) = site.unseal(&envelopes[0], "li");
    assert_eq!(
        (code, object["error"]["code"].as_str().unwrap()),
        (5, "CLOCK_BEHIND")
    );
    // It had said so before anybody came.
    let mut log = served.child.stderr.take().unwrap();
    drop(served);
    let mut said = String::new();
    log.read_to_string(&mut said).unwrap();
    assert!(
        said.contains("[CLOCK_BEHIND]") && said.contains("2020-01-01"),
        "{said}"
    );
    let _served = site.serve(&["--at", "2090-01-02"]);
    site.unseal(&envelopes[0], "li");
    assert_eq!(site.unseal(&envelopes[1], "wang").1["state"], "open");
    let seen: jiff::Timestamp = site.run(&["status"]).1["high_water"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    // The day of the office; in UTC it may be the day before.
    assert_eq!(program_contract::day::of(seen), jiff::civil::date(2090, 1, 2));
}

#[test]
fn two_officers_and_the_custodians_set_the_time_of_a_vault_that_had_gone_to_2095() {
    let site = Site::new();
    let envelopes = site.rehearse();
    let unseal = |day: &[&str]| -> Vec<String> {
        let with = |(envelope, custodian): (&String, &str)| {
            let passphrase = format!("{custodian}.pass");
            let share = [
                "unseal",
                "--share",
                envelope.as_str(),
                "--passphrase-file",
                &passphrase,
            ];
            let (_, told) = site.run(&[&share[..], day].concat());
            let said = told["state"].as_str().or(told["error"]["code"].as_str());
            said.unwrap().to_owned()
        };
        envelopes.iter().zip(["li", "wang"]).map(with).collect()
    };
    let served = site.serve(&["--at", "2095-01-01"]);
    assert_eq!(unseal(&[]), ["unsealing", "open"]);
    drop(served);
    let _served = site.serve(&["--at", "2080-11-21"]);
    assert_eq!(unseal(&[]), ["CLOCK_BEHIND", "CLOCK_BEHIND"]);
    assert_eq!(unseal(&["--day", "2080-11-22"]), ["NOT_THE_DAY", "NOT_THE_DAY"]);
    assert_eq!(unseal(&["--day", "2080-11-21"]), ["unsealing", "OFFICERS_THERE"]);
    // The request asks the sealed vault how its store stands.
    let act = ["set-time", "--day", "2080-11-21", "--at", "2080-11-21"];
    let (code, made) = site.signed("time.json", &act);
    let generation = site.run(&["status"]).1["generation"].as_u64().unwrap();
    let words = made["words"]["en"].to_string();
    assert!(
        code == 0 && words.contains("2080-11-21") && words.contains(&format!("generation {generation},")),
        "{made}"
    );
    assert_eq!(unseal(&["--time-request", "time.json"]), ["unsealing", "open"]);
    let seen = site.run(&["status"]).1["high_water"].as_str().unwrap().to_owned();
    let seen = program_contract::day::of(seen.parse().unwrap());
    assert_eq!(seen, jiff::civil::date(2080, 11, 21));
}

#[test]
fn a_damaged_store_is_refused_with_five() {
    let site = Site::new();
    let envelopes = site.init();
    let file = site.path("vault/vault.sqlite");
    let good = std::fs::read(&file).unwrap();
    std::fs::write(&file, &good[..good.len() / 2]).unwrap();
    site.expect_error(&["serve"], 5, "DAMAGED_STORE");
    std::fs::write(
        &file,
        b"not a database at all, but long enough to look like a file of some kind",
    )
    .unwrap();
    site.expect_error(&["serve"], 5, "DAMAGED_STORE");
    // A byte in a sealed row: the structure holds, so it is the last share that finds it.
    let mut changed = good.clone();
    let at = changed
        .windows(13)
        .rposition(|window| window == b"signer/card-c")
        .unwrap();
    changed[at + 60] ^= 1;
    std::fs::write(&file, &changed).unwrap();
    let served = site.serve(&[]);
    site.unseal(&envelopes[0], "li");
    let (code, object) = site.unseal(&envelopes[1], "wang");
    assert_eq!(
        (code, object["error"]["code"].as_str().unwrap()),
        (5, "DAMAGED_STORE")
    );
    assert_eq!(site.run(&["status"]).0, 5);
    drop(served);
    std::fs::write(&file, &good).unwrap();
    let _served = site.serve(&[]);
    site.unseal(&envelopes[0], "li");
    assert_eq!(site.unseal(&envelopes[1], "wang").1["state"], "open");
}

/// Before: it was called damaged, and the backup was to be restored.
#[test]
fn a_store_that_a_newer_program_wrote_is_named_and_left_as_it_is() {
    let site = Site::new();
    let envelopes = site.init();
    let file = site.path("vault/vault.sqlite");
    let good = std::fs::read(&file).unwrap();
    // A later header may have other columns too.
    let later = "UPDATE header SET format = 99; ALTER TABLE header RENAME COLUMN kek_commitment TO another";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(outside(&file, later).close()).unwrap();
    let written = std::fs::read(&file).unwrap();
    let object = site.expect_error(&["serve"], 5, "STORE_NEWER");
    assert!(
        object["error"]["message"].as_str().unwrap().contains("99"),
        "{object}"
    );
    assert!(std::fs::read(&file).unwrap() == written);
    std::fs::write(&file, good).unwrap();
    let _served = site.serve(&[]);
    site.unseal(&envelopes[0], "li");
    assert_eq!(site.unseal(&envelopes[1], "wang").1["state"], "open");
}

/// Runs statements in a store, as a program that is no vault.
fn outside(file: &Path, statements: &'static str) -> sqlx::SqliteConnection {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
        connection
    })
}

#[test]
fn a_program_that_has_the_store_open_is_not_called_a_vault() {
    let site = Site::new();
    site.init();
    let held = outside(&site.path("vault/vault.sqlite"), "BEGIN IMMEDIATE");
    let object = site.expect_error(&["serve"], 5, "IN_USE");
    let error = &object["error"];
    assert!(
        error["message"].as_str().unwrap().contains("vault.sqlite"),
        "{object}"
    );
    assert!(error["action"].as_str().unwrap().contains("fuser"), "{object}");
    drop(held);
    let _served = site.serve(&[]);
    assert_eq!(site.run(&["status"]).0, 1);
}

#[test]
fn the_serving_process_is_confined() {
    let site = Site::new();
    site.init();
    let served = site.serve(&[]);
    let proc = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", served.child.id()));
    let status = proc("status").unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    assert!(status.contains("Seccomp:\t2"), "{status}");
    let limits = proc("limits").unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"));
    // Not dumpable: its files under /proc belong to root, so no other process of the same user looks inside.
    assert_eq!(
        std::fs::metadata(format!("/proc/{}/mem", served.child.id()))
            .unwrap()
            .uid(),
        0
    );
    // Where there is memfd_secret, all that is kept out of dumps lies there: keys, heap, and the stack of who works with them.
    let maps = proc("smaps").unwrap();
    let mut lines = maps.lines();
    let mut kept = Vec::new();
    while let Some(mapping) = lines.next() {
        let flags = lines.find(|line| line.starts_with("VmFlags:")).unwrap();
        if flags.contains(" dd") && !mapping.contains("[v") {
            kept.push(mapping);
        }
    }
    let secret = kept
        .iter()
        .filter(|mapping| mapping.contains("secretmem"))
        .count();
    assert!(kept.len() >= 3 && [0, kept.len()].contains(&secret), "{kept:?}");
}

/// Runs a shell script where file systems may be mounted; `None` where this machine does not allow that.
fn with_mounts(folder: &Path, script: &str) -> Option<String> {
    let may = Command::new("unshare")
        .args(["-Urm", "true"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !may {
        return None;
    }
    let output = Command::new("unshare")
        .args(["-Urm", "sh", "-eu", "-c", script])
        .current_dir(folder)
        .env("PROGRAM", PROGRAM)
        .output()
        .unwrap();
    Some(format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}

#[test]
fn a_read_only_mount_is_named_and_nothing_is_written() {
    let site = Site::new();
    site.init();
    let before = std::fs::read(site.path("vault/vault.sqlite")).unwrap();
    let script = "mount --bind vault vault; mount -o remount,bind,ro vault; \
                  $PROGRAM --json --dir vault serve --socket $PWD/s || echo exit $?; \
                  $PROGRAM --json --dir vault/new init --threshold 2 --shares 2 --custodian li=li.pass \
                  --officer chen=chen.pub --officer sun=sun.pub --officer zhou=zhou.pub \
                  --custodian wang=wang.pass --out other || echo exit $?";
    let Some(said) = with_mounts(site.folder.path(), script) else {
        return;
    };
    // Twice each: in the object, and for people in both languages.
    assert_eq!(said.matches("STORE_UNAVAILABLE").count(), 3, "{said}");
    assert!(
        said.contains("\"code\":\"FILE\"") && said.contains("只读"),
        "{said}"
    );
    assert_eq!(said.matches("exit 5").count(), 2, "{said}");
    assert!(
        !site.path("other").exists(),
        "envelopes of a vault that does not exist"
    );
    assert_eq!(std::fs::read(site.path("vault/vault.sqlite")).unwrap(), before);
}

#[test]
fn a_full_disk_is_named_and_the_vault_goes_on_when_there_is_room() {
    let site = Site::new();
    let envelopes = site.init();
    let request = |name: &str| {
        std::fs::write(
            site.path(&format!("{name}.pub")),
            hex::encode(scratch_vault::point(name)),
        )
        .unwrap();
        let key = format!("{name}.pub");
        let act = [
            "enrol-caller",
            "--name",
            name,
            "--kind",
            "auditor",
            "--public-key",
            &key,
        ];
        let (code, made) = site.signed(name, &act);
        assert_eq!(code, 0, "{made}");
        made["digest"].as_str().unwrap().to_owned()
    };
    for number in 1..=40 {
        request(&format!("name{number}"));
    }
    let last = request("last");
    let script = format!(
        "export YZT_VAULT_KEY=$PWD/chen.key YZT_VAULT_ANCHORS=$PWD/shares/anchors.json; \
         mkdir small; mount -t tmpfs -o size=600k tmpfs small; cp -a vault small/vault; \
         $PROGRAM --dir small/vault serve --socket $PWD/s & child=$!; \
         ask() {{ $PROGRAM --json --dir small/vault --socket $PWD/s \"$@\" || echo exit $?; }}; \
         while ! test -S s; do sleep 0.05; done; sleep 0.2; \
         ask unseal --share {} --passphrase-file li.pass; ask unseal --share {} --passphrase-file wang.pass; \
         dd if=/dev/zero of=small/fill bs=1k 2>/dev/null || true; \
         i=0; while test $i -lt 40; do i=$((i+1)); ask request submit name$i; done; \
         rm small/fill; ask request submit last; ask status; kill $child; wait",
        envelopes[0], envelopes[1]
    );
    let Some(said) = with_mounts(site.folder.path(), &script) else {
        return;
    };
    assert!(said.contains("the disk is full"), "{said}");
    // And it had said so before anything was refused.
    let warned = said.find("little room left").unwrap_or(usize::MAX);
    assert!(
        warned < said.find("refused code=\"STORE_UNAVAILABLE\"").unwrap(),
        "{said}"
    );
    assert!(
        said.contains("STORE_UNAVAILABLE") && said.contains("exit 5"),
        "{said}"
    );
    assert!(said.contains(&last), "{said}");
    assert!(said.contains("\"state\":\"open\""), "{said}");
}

/// Everything in a folder, itself included, that others may read, write or enter.
fn open_to_others(folder: &Path) -> Vec<PathBuf> {
    let mut paths = vec![folder.to_owned()];
    paths.extend(
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    paths.retain(|path| std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o077 != 0);
    paths
}

#[test]
fn nothing_of_the_vault_is_for_other_users() {
    let site = Site::new();
    let envelopes = site.init();
    let vault = site.path("vault");
    assert_eq!(open_to_others(&vault), Vec::<PathBuf>::new());
    // As a careless restore leaves it.
    std::fs::set_permissions(&vault, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(vault.join("vault.sqlite"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let _served = site.serve(&[]);
    assert_eq!(site.unseal(&envelopes[0], "li").0, 0);
    assert_eq!(site.unseal(&envelopes[1], "wang").1["state"], "open");
    let names: Vec<String> = std::fs::read_dir(&vault)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in [
        "vault.sqlite",
        "vault.sqlite-wal",
        "transport.key",
        "lock",
        "socket",
        "keyvault.sock",
    ] {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
    assert_eq!(open_to_others(&vault), Vec::<PathBuf>::new());
    let socket = std::fs::metadata(vault.join("keyvault.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    let anchors = site.run(&["anchors"]).1;
    std::fs::write(site.path("point"), anchors["card_ca"].as_str().unwrap()).unwrap();
    let lot = "export-lot --issuer 4403 --lot 00000001 --first 1 --count 3 --maker m --maker-key point";
    let lot: Vec<&str> = lot.split(' ').collect();
    assert_eq!(site.approved(&lot, &["--out", "lot.bin"]).0, 0);
    let mode = std::fs::metadata(site.path("lot.bin"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0);
    assert_eq!(open_to_others(&site.path("shares")), Vec::<PathBuf>::new());
}

/// The founding of [`Site::found`] as a process, under this file mode mask.
fn founding(site: &Site, mask: &str) -> Command {
    let mut founding = Command::new("sh");
    founding.current_dir(site.folder.path()).args([
        "-c",
        "umask $0; exec \"$@\"",
        mask,
        PROGRAM,
        "--json",
        "--dir",
        "vault",
    ]);
    founding.args("init --threshold 2 --shares 3 --out shares".split(' '));
    for name in ["li", "wang", "zhang"] {
        founding.args(["--custodian", &format!("{name}={name}.pass")]);
    }
    for name in scratch_vault::OFFICERS {
        founding.args(["--officer", &format!("{name}={name}.pub")]);
    }
    founding
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    founding
}

#[test]
fn a_founding_that_was_killed_is_begun_anew_by_the_same_command_and_no_dead_envelope_stays() {
    let site = Site::new();
    let staged = |name: &str| site.path(".vault.founding").join(name).exists();
    let whole = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.unwrap().file_name();
        name.to_string_lossy().ends_with(".share.json")
    };
    let written = || {
        let entries = std::fs::read_dir(site.path("shares"));
        entries.map_or(0, |entries| {
            entries.filter_map(|entry| whole(entry).then_some(())).count()
        })
    };
    let moments: [&dyn Fn() -> bool; 5] = [
        &|| staged("lock"),
        &|| staged("vault.sqlite"),
        &|| staged("founding"),
        &|| written() >= 1,
        // They are all there, and the proof that they open the vault takes its time.
        &|| written() >= 3,
    ];
    for (i, moment) in moments.iter().enumerate() {
        let mut founding = founding(&site, "022").spawn().unwrap();
        let until = Instant::now() + Duration::from_mins(1);
        while !moment() {
            assert!(
                Instant::now() < until && founding.try_wait().unwrap().is_none(),
                "moment {i}"
            );
            std::thread::sleep(Duration::from_micros(200));
        }
        founding.kill().unwrap();
        founding.wait().unwrap();
        assert!(!site.path("vault").exists(), "moment {i}");
    }
    let dead = written();
    assert_eq!(dead, 3);
    let (exit, object) = site.run(&INIT);
    assert_eq!(exit, 0, "{object}");
    assert_eq!(object["taken_back"].as_array().unwrap().len(), dead, "{object}");
    // The envelopes, and the anchors.
    assert_eq!(std::fs::read_dir(site.path("shares")).unwrap().count(), 4);
    assert!(!site.path(".vault.founding").exists() && !site.path("vault/founding").exists());
    let _served = site.serve(&[]);
    for (custodian, state) in [("li", "unsealing"), ("zhang", "open")] {
        let envelope = std::fs::read_dir(site.path("shares"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| {
                path.to_str()
                    .unwrap()
                    .ends_with(&format!("-{custodian}.share.json"))
            })
            .unwrap();
        assert_eq!(
            site.unseal(envelope.to_str().unwrap(), custodian).1["state"],
            state
        );
    }
}

#[test]
fn what_a_founding_writes_is_private_under_any_mask() {
    for mask in ["000", "077"] {
        let site = Site::new();
        assert!(founding(&site, mask).status().unwrap().success());
        for folder in ["vault", "shares"] {
            assert_eq!(
                open_to_others(&site.path(folder)),
                Vec::<PathBuf>::new(),
                "{mask}"
            );
        }
    }
}

#[test]
fn a_disk_without_room_for_the_envelopes_is_named_and_a_file_in_the_way_too() {
    let site = Site::new();
    let script = format!(
        "mkdir stick && mount -t tmpfs -o size=4k tmpfs stick && echo 1 > stick/a
         '{PROGRAM}' --json --dir vault init --threshold 2 --shares 2 --officer chen=chen.pub --officer sun=sun.pub --officer zhou=zhou.pub --custodian li=li.pass --custodian wang=wang.pass --out stick 2>/dev/null || true"
    );
    if let Some(out) = with_mounts(site.folder.path(), &script) {
        let object: Value = serde_json::from_str(&out).unwrap();
        let error = &object["error"];
        assert_eq!(error["code"], "FILE", "{object}");
        assert!(error["message"].as_str().unwrap().contains("/stick/"), "{object}");
        assert!(error["action"].as_str().unwrap().contains("腾出空间"), "{object}");
        assert!(!site.path("vault").exists() && !site.path(".vault.founding").exists());
    }
    let envelopes = site.init();
    std::fs::write(site.path("li.new"), "渡船 石英 苔藓 灯笼 木棉").unwrap();
    let object = site.expect_error(
        &[
            "share",
            "passphrase",
            "--share",
            &envelopes[0],
            "--passphrase-file",
            "li.pass",
            "--new-passphrase-file",
            "li.new",
            "--out",
            &envelopes[1],
        ],
        5,
        "FILE",
    );
    assert!(
        object["error"]["message"].as_str().unwrap().contains("未被覆盖"),
        "{object}"
    );
    assert!(
        object["error"]["action"]
            .as_str()
            .unwrap()
            .contains("另指定一个文件名"),
        "{object}"
    );
}

#[test]
fn after_an_orderly_end_the_file_of_the_vault_has_everything_without_its_log() {
    let site = Site::new();
    let envelopes = site.rehearse();
    let open = |at: &Site| {
        assert_eq!(at.unseal(&envelopes[0], "li").0, 0);
        assert_eq!(at.unseal(&envelopes[1], "wang").1["state"], "open");
    };
    let log = |at: &Site| std::fs::metadata(at.path("vault/vault.sqlite-wal")).map_or(0, |log| log.len());
    let rotate = |region: &str| {
        let rotate = [
            "rotate-role",
            "--role",
            "transit",
            "--region",
            region,
            "--drain-until",
        ];
        let seen = site.run(&["status"]).1["high_water"].clone();
        let seen: jiff::Timestamp = seen.as_str().unwrap().parse().unwrap();
        let day = program_contract::day::of(seen).tomorrow().unwrap().to_string();
        assert_eq!(site.approved(&[&rotate[..], &[day.as_str()]].concat(), &[]).0, 0);
    };
    let mut served = site.serve(&[]);
    open(&site);
    rotate("440300");
    assert!(log(&site) > 0);
    // A custodian seals; then it is opened again, and the process is told to end.
    assert_eq!(site.seal(&envelopes[2], "zhang").0, 0);
    assert_eq!(log(&site), 0);
    open(&site);
    rotate("441900");
    let pid = rustix::process::Pid::from_child(&served.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    served.child.wait().unwrap();
    assert_eq!(log(&site), 0);
    let alone = Site::new();
    std::fs::create_dir(alone.path("vault")).unwrap();
    std::fs::create_dir(alone.path("shares")).unwrap();
    for file in ["vault/vault.sqlite", "vault/transport.key", "shares/anchors.json"]
        .into_iter()
        .chain(envelopes.iter().map(String::as_str))
    {
        std::fs::copy(site.path(file), alone.path(file)).unwrap();
    }
    let _served = alone.serve(&[]);
    open(&alone);
    let keys = alone.run(&["role-keys"]).1;
    for region in ["440300", "441900"] {
        assert!(keys.to_string().contains(region), "{keys}");
    }
}

#[test]
fn a_vault_that_this_user_may_not_see_is_not_called_absent() {
    let site = Site::new();
    site.init();
    let program = site.path("keyvault");
    std::fs::copy(PROGRAM, &program).unwrap();
    let as_stranger = || {
        let output = Command::new("setpriv")
            .args(["--reuid", &STRANGER.to_string(), "--clear-groups", "--"])
            .arg(&program)
            .args(["--json", "--dir"])
            .arg(site.path("vault"))
            .arg("serve")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), object)
    };
    let rights = |path: &str, mode| {
        std::fs::set_permissions(site.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    if !rustix::process::geteuid().is_root() {
        return;
    }
    rights("", 0o755);
    // The folder, then the file in it.
    for (folder, file) in [(0o700, 0o600), (0o755, 0o600)] {
        rights("vault", folder);
        rights("vault/vault.sqlite", file);
        let (exit, object) = as_stranger();
        let error = &object["error"];
        assert_eq!((exit, &error["code"]), (Some(5), &"FILE".into()), "{object}");
        let said = error["message"].as_str().unwrap();
        assert!(
            said.contains("权限不足") && said.contains("属于用户 root"),
            "{object}"
        );
        assert!(error["action"].as_str().unwrap().contains("runuser"), "{object}");
    }
    std::fs::remove_dir_all(site.path("vault")).unwrap();
    assert_eq!(as_stranger().1["error"]["code"], "NO_VAULT");
}

#[test]
fn a_vault_of_another_user_is_named_with_its_user_and_the_way_on() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can act as two users");
        return;
    }
    let site = Site::new();
    site.init();
    let program = site.path("keyvault");
    std::fs::copy(PROGRAM, &program).unwrap();
    let open_to_all = |path: &str| {
        std::fs::set_permissions(site.path(path), std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    open_to_all("");
    std::fs::create_dir(site.path("run")).unwrap();
    open_to_all("run");
    let socket = site.path("run/vault.sock");
    let socket = socket.to_str().unwrap();
    let status = |user: u32, place: &[&str]| {
        let output = Command::new("setpriv")
            .args(["--reuid", &user.to_string(), "--clear-groups", "--"])
            .arg(&program)
            .current_dir(site.path(""))
            .args(["--lang", "en", "--json"])
            .args(place)
            .arg("status")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), object)
    };
    let refused = |(exit, object): (i32, Value), said: &[&str]| {
        let error = &object["error"];
        assert_eq!(
            (exit, &error["code"]),
            (5, &"VAULT_OTHER_USER".into()),
            "{object}"
        );
        let told = format!("{} {}", error["message"], error["action"]);
        assert!(said.iter().all(|said| told.contains(said)), "{object}");
    };
    // One whom it serves, and one whom it does not.
    let served_user = STRANGER - 1;
    let _served = site.serve(&["--socket", socket, "--allow-user", &served_user.to_string()]);
    let whose = ["vault belongs to user root", "runuser", "--socket"];
    refused(status(served_user, &["--dir", "vault"]), &whose);
    assert_eq!(status(served_user, &["--socket", socket]).0, 1);
    refused(
        status(STRANGER, &["--socket", socket]),
        &["does not serve user", "--allow-user"],
    );
    let shut = site.path("vault/keyvault.sock");
    refused(
        status(served_user, &["--socket", shut.to_str().unwrap()]),
        &["vault belongs to user root", "--allow-user"],
    );
}

#[test]
fn an_officer_is_enrolled_under_the_name_of_the_key_or_signs_under_the_one_of_the_list() {
    let site = Site::new();
    let made = [
        "officer",
        "new",
        "--name",
        "xu",
        "--passphrase-file",
        "li.pass",
        "--out",
    ];
    assert_eq!(site.run(&[&made[..], &["xu.json"]].concat()).0, 0);
    // What is there is told before a passphrase is asked for.
    let again = [
        "officer",
        "new",
        "--name",
        "xu",
        "--passphrase-file",
        "nowhere",
        "--out",
    ];
    let told = site.expect_error(&[&again[..], &["xu.json"]].concat(), 5, "FILE");
    assert!(
        told["error"]["message"].as_str().unwrap().contains("xu.json"),
        "{told}"
    );
    let founding = [
        "init",
        "--threshold",
        "2",
        "--shares",
        "2",
        "--custodian",
        "li=li.pass",
    ];
    let rest = ["--custodian", "wang=wang.pass", "--out", "shares"];
    let officers = [
        "--officer",
        "chen=chen.pub",
        "--officer",
        "sun=sun.pub",
        "--officer",
        "Xu=xu.json",
    ];
    site.expect_error(&[&founding[..], &rest, &officers].concat(), 2, "OFFICER_NAME");
    assert!(!site.path("vault").exists());
    site.init();
    let enrolment = [
        "enrol-caller",
        "--kind",
        "key-officer",
        "--name",
        "Xu",
        "--public-key",
        "xu.json",
    ];
    let replacement = ["replace-key", "--name", "chen", "--public-key", "xu.json"];
    for act in [&enrolment[..], &replacement] {
        let (exit, object) = site.signed("xu.request", act);
        assert_eq!(
            (exit, &object["error"]["code"]),
            (2, &"OFFICER_NAME".into()),
            "{object}"
        );
        assert!(!site.path("xu.request").exists());
    }
    // Of a public half nobody knows the name: its owner signs under the one that stands on the list.
    let act = ["restore-caller", "--name", "chen"];
    assert_eq!(site.signed("xu.request", &act).0, 0);
    let sign = [
        "request",
        "sign",
        "xu.request",
        "--passphrase-file",
        "li.pass",
        "--officer",
        "Xu=xu.json",
    ];
    let (exit, object) = site.run(&sign);
    assert_eq!(exit, 0, "{object}");
    let signatures = object["signatures"].as_array().unwrap();
    let own = signatures
        .iter()
        .find(|signature| signature["signer"] == "Xu")
        .unwrap();
    assert_eq!(own["fits"], true, "{object}");
}

/// Number of a user who is nobody here.
const STRANGER: u32 = 65_534;

/// Says hello to a socket as another user; what came back, in hex, or why not.
fn hello_as(user: u32, socket: &Path, hello: &[u8]) -> String {
    const SCRIPT: &str = r#"use Socket; $SIG{PIPE} = 'IGNORE';
        socket(S, AF_UNIX, SOCK_STREAM, 0) or die;
        connect(S, pack_sockaddr_un($ARGV[0])) or do { print "not connected"; exit };
        syswrite(S, pack("H*", $ARGV[1]));
        sysread(S, $answer, 4096);
        print unpack("H*", $answer);"#;
    let user = user.to_string();
    let output = Command::new("setpriv")
        .args([
            "--reuid",
            &user,
            "--regid",
            &user,
            "--clear-groups",
            "perl",
            "-e",
            SCRIPT,
        ])
        .arg(socket)
        .arg(hex::encode(hello))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn another_user_is_not_served_even_where_the_socket_lets_him_in() {
    use keyvault::serve;

    use super::support::{NOON, TestClock, random};

    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can act as two users");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Everybody may enter, and the socket is everybody's: only the look at the peer is left.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let socket = folder.path().join("open.sock");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // What TLS answers with an alert.
    let hello = b"no handshake, but something to answer";
    runtime.block_on(async {
        let clock = TestClock::at(NOON);
        let vault = scratch_vault::open(folder.path(), clock.clock(), random(70))
            .await
            .unwrap();
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
        let server = serve::Server::new(vault).unwrap();
        tokio::spawn(async move { serve::listen(listener, server, &[], std::future::pending()).await });
    });
    let turned_away = hex::encode(keyvault_protocol::channel::TURNED_AWAY);
    let of_tls = hello_as(0, &socket, hello);
    assert!(of_tls.starts_with("15") && of_tls != turned_away, "{of_tls}");
    assert_eq!(hello_as(STRANGER, &socket, hello), turned_away);
    assert_eq!(hello_as(0, &socket, hello), of_tls);
    // And with the mode that the program gives its socket, he does not get that far.
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(hello_as(STRANGER, &socket, hello), "not connected");
}

#[test]
fn two_servers_never_have_one_folder_by_whatever_name() {
    let site = Site::new();
    site.init();
    let _served = site.serve(&[]);
    std::os::unix::fs::symlink("vault", site.path("alias")).unwrap();
    let by_alias = Command::new(PROGRAM)
        .current_dir(site.folder.path())
        .args(["--json", "--dir", "alias", "--socket", "other.sock", "serve"])
        .output()
        .unwrap();
    assert_eq!(by_alias.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&by_alias.stdout).contains("\"IN_USE\""));
    // Without the lock file there is still the lock of the store.
    std::fs::remove_file(site.path("vault/lock")).unwrap();
    site.expect_error(&["--socket", "other.sock", "serve"], 5, "IN_USE");
    // The one that runs is still found, and is as it was.
    assert_eq!(site.run(&["status"]).1["state"], "sealed");
}

#[test]
fn a_log_that_cannot_be_written_ends_nothing() {
    let site = Site::new();
    let envelopes = site.init();
    let full = || Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    // A pipe that nobody reads any more.
    let gone = || Stdio::from(std::io::pipe().unwrap().1);
    for log in [full(), gone()] {
        let mut served = site.serve_logging_to(log, &[]);
        site.unseal(&envelopes[0], "li");
        assert_eq!(site.unseal(&envelopes[1], "wang").1["state"], "open");
        // A refusal is a line of the log.
        for _ in 0..2 {
            let list = [
                "deny-list",
                "--role",
                "transit",
                "--issued",
                "2099-01-01",
                "--out",
                "x.list",
            ];
            site.expect_error(&list, 1, "BAD_CONTENT");
        }
        assert_eq!(site.run(&["status"]).0, 0);
        served.child.kill().unwrap();
        served.child.wait().unwrap();
    }
}

#[test]
fn a_copied_folder_is_served_by_itself_and_leaves_the_first_one_alone() {
    let site = Site::new();
    let envelopes = site.init();
    let _served = site.serve(&[]);
    site.unseal(&envelopes[0], "li");
    assert_eq!(site.unseal(&envelopes[1], "wang").1["state"], "open");
    std::fs::create_dir(site.path("copy")).unwrap();
    for name in ["vault.sqlite", "vault.sqlite-wal", "lock", "transport.key"] {
        std::fs::copy(site.path("vault").join(name), site.path("copy").join(name)).unwrap();
    }
    let copy = ["--dir", "copy"];
    let at = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.current_dir(site.folder.path()).args(copy).args(arguments);
        command
    };
    let child = at(&["serve"]).stderr(Stdio::null()).spawn().unwrap();
    let _second = Served { child };
    let until = Instant::now() + Duration::from_secs(20);
    while at(&["status"]).output().unwrap().status.code() == Some(3) {
        assert!(Instant::now() < until, "the copy does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Sealed as any vault that was just started, whatever the first one is.
    assert_eq!(at(&["status"]).output().unwrap().status.code(), Some(1));
    for (envelope, name) in [(&envelopes[0], "li.pass"), (&envelopes[2], "zhang.pass")] {
        let unsealed = at(&["unseal", "--share", envelope, "--passphrase-file", name])
            .output()
            .unwrap();
        assert!(unsealed.status.success());
    }
    assert_eq!(at(&["status"]).output().unwrap().status.code(), Some(0));
    assert_eq!(site.seal(&envelopes[0], "li").0, 0);
    assert_eq!(at(&["status"]).output().unwrap().status.code(), Some(0));
}

#[test]
fn a_vault_that_is_told_to_stop_while_requests_run_keeps_what_it_answered() {
    let site = Site::new();
    let envelopes = site.init();
    let open = || {
        site.unseal(&envelopes[0], "li");
        assert_eq!(site.unseal(&envelopes[1], "wang").1["state"], "open");
    };
    let mut served = site.serve(&[]);
    open();
    site.enrol_everybody();
    let socket = site.path("vault/keyvault.sock");
    let stations: Vec<_> = (0..3u8)
        .map(|station| {
            let (socket, identity) = (socket.clone(), site.identity(scratch_vault::PHOTO_STORE));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                let mut client = runtime
                    .block_on(Client::connect_unix(&socket, &identity))
                    .unwrap();
                let mut answered = Vec::new();
                for version in 0..100_000 {
                    let context = keyvault_protocol::PhotoKeyContext {
                        photo_id: [station; 16],
                        person: [2; 16],
                        profile: "print".into(),
                        version,
                    };
                    match runtime.block_on(client.photo_key_new(&context)) {
                        Ok((key, wrapped)) => answered.push((context, key, wrapped)),
                        Err(error) => return (answered, error.code()),
                    }
                }
                panic!("the vault did not stop")
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&served.child),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert!(served.child.wait().unwrap().success());
    assert!(!socket.exists() && !site.path("vault/socket").exists());
    let outcomes: Vec<_> = stations
        .into_iter()
        .map(|station| station.join().unwrap())
        .collect();

    let _served = site.serve(&[]);
    open();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut client = runtime.block_on(site.everybody());
    for (answered, code) in outcomes {
        assert!(["VAULT_GONE", "VAULT_SEALED"].contains(&code), "{code}");
        assert!(!answered.is_empty());
        for (context, key, wrapped) in answered {
            let again = runtime
                .block_on(client.photo_key_open(&context, &wrapped))
                .unwrap();
            assert_eq!(again, key);
        }
    }
}

#[test]
fn an_operator_rotates_compromises_retires_denies_and_revokes() {
    let site = Site::new();
    let envelopes = site.rehearse();
    let _served = site.serve(&["--at", "2030-01-10"]);
    assert_eq!(site.unseal(&envelopes[0], "li").0, 0);
    assert_eq!(site.unseal(&envelopes[1], "wang").0, 0);
    site.enrol_everybody();
    let ok = |arguments: &[&str]| {
        let (code, object) = site.run(arguments);
        assert_eq!(code, 0, "{object}");
        object
    };
    assert_eq!(ok(&["role-keys"])["role_keys"].as_array().unwrap().len(), 0);
    let of = ["--role", "transit", "--region", "440300"];
    let with = |command: &'static str, more: &[&'static str]| -> Vec<&'static str> {
        [&[command][..], &of, more].concat()
    };
    let at = ["--at", "2030-01-10"];
    let approved = |act: &[&str]| site.approved(&[act, &at].concat(), &[]);
    let refused = |act: &[&str], code: &str| {
        let (exit, object) = approved(act);
        assert_eq!(
            (exit, object["error"]["code"].as_str()),
            (1, Some(code)),
            "{object}"
        );
    };
    // The first rotation makes version 1; there was none to drain.
    for version in 1..=2 {
        let (code, key) = approved(&with("rotate-role", &["--drain-until", "2030-02-10"]));
        assert_eq!((code, &key["act"]), (0, &"rotate-role".into()), "{key}");
        assert_eq!(key["role_key"]["version"], version);
        assert_eq!(key["role_key"]["state"], "active");
    }
    let keys = ok(&["role-keys"]);
    assert_eq!(keys["schema"], "yzt.role_keys/1");
    let first = &keys["role_keys"][0];
    assert_eq!(
        (first["state"].as_str(), first["until"].as_str()),
        (Some("draining"), Some("2030-02-10"))
    );
    assert_eq!(
        (first["cards"].as_u64(), first["cards_alone"].as_u64()),
        (Some(0), Some(0))
    );
    refused(
        &with("rotate-role", &["--drain-until", "2030-01-09"]),
        "BAD_CONTENT",
    );
    refused(&with("retire-role", &["--version", "2"]), "ROLE_KEY_STATE");
    refused(&with("retire-role", &["--version", "9"]), "NOT_FOUND");
    assert_eq!(
        ok(&with(
            "compromise",
            &["--version", "1", "--confirm", "transit/440300/1"]
        ))["role_key"]["state"],
        "compromised"
    );
    assert_eq!(
        approved(&with("retire-role", &["--version", "1"])).1["role_key"]["state"],
        "destroyed"
    );
    let again = with("compromise", &["--version", "1", "--confirm", "transit/440300/1"]);
    site.expect_error(&again, 1, "ROLE_KEY_STATE");

    site.expect_error(&["deny", "--serial", "44030000000100000001"], 1, "NOT_FOUND");
    site.expect_error(&["allow", "--serial", "44030000000100000001"], 1, "NOT_FOUND");
    site.expect_error(&["deny", "--serial", "4403"], 2, "USAGE");
    let list = [
        "deny-list",
        "--role",
        "transit",
        "--role",
        "clinic",
        "--issued",
        "2030-01-10",
    ];
    let written = ok(&[&list[..], &["--grace-days", "3", "--out", "lists"]].concat());
    let bytes = std::fs::read(site.path("lists")).unwrap();
    assert_eq!(written["bytes"].as_u64().unwrap(), bytes.len() as u64);
    assert_eq!(bytes[0], 0xA9);
    site.expect_error(&[&list[..], &["--out", "lists"]].concat(), 5, "FILE");
    let door = [
        "deny-list",
        "--role",
        "door",
        "--issued",
        "2030-01-10",
        "--grace-days",
        "1",
        "--out",
        "door",
    ];
    site.expect_error(&door, 1, "BAD_CONTENT");
    assert!(!site.path("door").exists());

    assert_eq!(ok(&["terminals"])["terminals"].as_array().unwrap().len(), 0);
    let revoke = ["revoke-terminal", "--name", "bus 1", "--confirm", "bus 1"];
    site.expect_error(&revoke, 1, "NOT_FOUND");
    let point = hex_point();
    let request = serde_json::json!({
        "schema": "yzt.terminal-request/1", "terminal": "bus 1",
        "sealing_key": point, "authentication_key": point,
    });
    std::fs::write(site.path("request"), request.to_string()).unwrap();
    let terminal = [
        "enrol-terminal",
        "--kind",
        "bus",
        "--request",
        "request",
        "--region",
        "440300",
    ];
    let export = [
        "export-bundle",
        "--terminal",
        "bus 1",
        "--from",
        "2030-01-10",
        "--to",
        "2030-02-10",
        "--out",
    ];
    let unknown = [
        "export-updates",
        "--terminal",
        "bus 1",
        "--to",
        "2030-01-20",
        "--out",
        "updates",
    ];
    site.expect_error(&unknown, 1, "NOT_FOUND");
    site.expect_error(&[&export[..], &["bundle"]].concat(), 1, "NOT_FOUND");
    assert_eq!(
        approved(&[&terminal[..], &["--until", "2030-02-09"]].concat()).0,
        0
    );
    site.expect_error(&[&export[..], &["bundle"]].concat(), 1, "ENROLMENT_ENDED");
    assert_eq!(
        approved(&[&terminal[..], &["--until", "2030-12-31"]].concat()).0,
        0
    );
    assert_eq!(ok(&[&export[..], &["bundle"]].concat())["keys"], 1);
    let batch = ok(&unknown);
    assert_eq!(batch["schema"], "yzt.keyvault_export_updates/1");
    let bytes = std::fs::read(site.path("updates")).unwrap();
    assert_eq!(batch["bytes"].as_u64().unwrap(), bytes.len() as u64);
    site.expect_error(
        &["card-versions", "--serial", "44030000000100000001"],
        1,
        "NOT_FOUND",
    );
    site.expect_error(
        &["pending-updates", "--serial", "44030000000100000001"],
        1,
        "NOT_FOUND",
    );
    // The third of a day has none behind it: until the next rotation there is no key for the bus, and that is said.
    for (version, next) in [("2", Some(4)), ("4", Some(6)), ("6", None)] {
        let confirm = format!("transit/440300/{version}");
        let of_version = ["--version", version, "--confirm", &confirm];
        let (code, compromised) = site.run(&[&with("compromise", &[])[..], &of_version].concat());
        assert_eq!(code, 0, "{compromised}");
        assert_eq!(compromised["role_key"]["state"], "compromised");
        assert_eq!(compromised["active"]["version"].as_u64(), next);
    }
    assert_eq!(ok(&[&export[..], &["keyless"]].concat())["keys"], 0);
    let revoked = ok(&revoke);
    assert_eq!(revoked["terminal"]["revoked"], "2030-01-10");
    assert_eq!(revoked["terminal"]["bundle_until"], "2030-02-10");
    assert_eq!(ok(&["terminals"])["terminals"][0], revoked["terminal"]);
    site.expect_error(&[&export[..], &["again"]].concat(), 1, "TERMINAL_REVOKED");
}

fn hex_point() -> String {
    let key = keyvault_protocol::sealed::fresh_key(&mut StdRng::seed_from_u64(4));
    hex::encode(keyvault_protocol::sealed::point_of(&key.public_key()))
}

/// A terminal with a person at it.
struct Keyboard {
    keys: File,
    /// Kept open, so that the terminal outlives the program.
    screen: File,
}

impl Keyboard {
    fn new() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let screen = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        Self {
            keys: File::from(master),
            screen: File::from(screen),
        }
    }

    fn start(&self, site: &Site, arguments: &[&str]) -> Child {
        Command::new(PROGRAM)
            .current_dir(site.folder.path())
            .args(["--json", "--dir", "vault"])
            .args(with_officers(arguments))
            .stdin(self.screen.try_clone().unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Reads until it asks for a passphrase.
    fn is_asked(prose: &mut impl std::io::Read) {
        Self::is_asked_for("passphrase of ", prose);
    }

    /// Reads until it asks, and gives what it said.
    fn is_asked_for(what: &str, prose: &mut impl std::io::Read) -> String {
        let mut asked = Vec::new();
        // The question is the last line; what is told before it may have colons too.
        let is_question = |asked: &[u8]| {
            let line = asked.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            line.ends_with(": ") && line.contains(what) && !line.starts_with("keyvault")
        };
        while !is_question(&asked) {
            let mut byte = [0];
            assert_eq!(
                prose.read(&mut byte).unwrap(),
                1,
                "it does not ask: {}",
                String::from_utf8_lossy(&asked)
            );
            asked.extend(byte);
        }
        String::from_utf8_lossy(&asked).into_owned()
    }

    /// What the terminal has shown since it was looked at last.
    fn shown(&mut self) -> String {
        fcntl_setfl(&self.keys, OFlags::NONBLOCK).unwrap();
        let mut shown = Vec::new();
        // What is there; then it would wait.
        let _ = self.keys.read_to_end(&mut shown);
        fcntl_setfl(&self.keys, OFlags::empty()).unwrap();
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// The passphrase that the program made and shows at the terminal.
    fn made(&mut self) -> String {
        let shown = self.shown();
        shown
            .split_whitespace()
            .find(|word| word.len() == 19 && word.matches('-').count() == 3)
            .unwrap_or_else(|| panic!("{shown}"))
            .to_owned()
    }

    /// Runs the program, types an answer whenever it asks, and gives exit code, object, and what the terminal showed.
    fn answer(&mut self, site: &Site, arguments: &[&str], answers: &[&str]) -> (i32, Value, String) {
        let mut child = self.start(site, arguments);
        let mut prose = child.stderr.take().unwrap();
        for answer in answers {
            Self::is_asked(&mut prose);
            self.keys.write_all(answer.as_bytes()).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let modes = tcgetattr(&self.screen).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG));
        (
            output.status.code().unwrap(),
            serde_json::from_slice(&output.stdout).unwrap(),
            self.shown(),
        )
    }
}

/// Claim K14. Before: a version was compromised and a terminal revoked for good at the first word.
#[test]
fn what_one_person_does_once_and_for_all_is_named_twice_or_nothing_is_done() {
    let site = Site::new();
    let envelopes = site.rehearse();
    let compromise = [
        "compromise",
        "--role",
        "transit",
        "--region",
        "440300",
        "--version",
        "1",
    ];
    // By door: the command, what it is about, another such thing, and what the vault lists of it.
    let mut commands = BTreeMap::from([
        (
            "keyvault compromise",
            (
                &compromise[..],
                "transit/440300/1",
                "transit/440300/2",
                "role-keys",
            ),
        ),
        (
            "keyvault revoke-terminal",
            (
                &["revoke-terminal", "--name", "bus 1"][..],
                "bus 1",
                "bus 2",
                "terminals",
            ),
        ),
    ]);
    let mut asked = Vec::new();
    for operation in OPERATIONS {
        let policy = operation.policy;
        if policy.irreversible && policy.hands == Hands::One && policy.kind != Kind::Service {
            for door in operation.doors {
                let known = commands.remove(door);
                asked.push(known.unwrap_or_else(|| panic!("{door} is not tried here")));
            }
        }
    }
    assert!(commands.is_empty(), "{commands:?}");
    for (command, name, other, _) in &asked {
        // No vault runs here: before anything is asked of it.
        let told = site.expect_error(command, 2, "NOT_CONFIRMED");
        let action = told["error"]["action"].as_str().unwrap();
        assert!(action.contains(&format!("--confirm \"{name}\"")), "{told}");
        let confirmed = |name| [*command, &["--confirm", name][..]].concat();
        site.expect_error(&confirmed(*other), 2, "CONFIRMED_ANOTHER");
        site.expect_error(&confirmed(""), 2, "CONFIRMED_ANOTHER");
        site.expect_error(&confirmed(*name), 3, "VAULT_NOT_RUNNING");
    }

    let _served = site.serve(&["--at", "2030-01-10"]);
    for (share, name) in [(0, "li"), (1, "wang")] {
        assert_eq!(site.unseal(&envelopes[share], name).0, 0);
    }
    site.enrol_everybody();
    let point = hex_point();
    let request = serde_json::json!({
        "schema": "yzt.terminal-request/1", "terminal": "bus 1",
        "sealing_key": point, "authentication_key": point,
    });
    std::fs::write(site.path("request"), request.to_string()).unwrap();
    let of = ["--region", "440300", "--at", "2030-01-10"];
    for act in [
        &["rotate-role", "--role", "transit", "--drain-until", "2030-02-10"][..],
        &[
            "enrol-terminal",
            "--kind",
            "bus",
            "--request",
            "request",
            "--until",
            "2030-12-31",
        ],
    ] {
        assert_eq!(site.approved(&[act, &of].concat(), &[]).0, 0);
    }
    let mut keyboard = Keyboard::new();
    for (command, name, other, list) in asked {
        let before = site.run(&[list]);
        let arguments = [
            command,
            &["--key", "chen.key", "--anchors", "shares/anchors.json"],
        ]
        .concat();
        let other = format!("{other}\r");
        let right = format!("{name}\r");
        for (typed, exit, code) in [
            (&["\u{4}"][..], 2, Some("NOT_CONFIRMED")),
            (&[&other, &other, &other], 2, Some("CONFIRMED_ANOTHER")),
            (&["yes\r", &right], 0, None),
        ] {
            assert_eq!(site.run(&[list]), before);
            let mut child = keyboard.start(&site, &arguments);
            let mut prose = child.stderr.take().unwrap();
            for (n, line) in typed.iter().enumerate() {
                let said = Keyboard::is_asked_for("to do it", &mut prose);
                assert!(said.contains(name), "{said}");
                // What it is about, and that it is for good.
                let is_told = said.contains("This is never taken back") && said.lines().count() >= 3;
                assert_eq!(is_told, n == 0, "{said}");
                keyboard.keys.write_all(line.as_bytes()).unwrap();
            }
            let output = child.wait_with_output().unwrap();
            let object: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(output.status.code(), Some(exit), "{object}");
            assert_eq!(object["error"]["code"].as_str(), code, "{object}");
        }
        assert_ne!(site.run(&[list]), before);
    }
}

#[test]
fn passphrases_are_typed_without_being_shown_and_twice_where_a_slip_would_last() {
    let site = Site::new();
    let mut keyboard = Keyboard::new();
    let init = [
        "init",
        "--threshold",
        "2",
        "--shares",
        "3",
        "--custodian",
        "li=-",
        "--custodian",
        "wang=wang.pass",
        "--custodian",
        "zhang=-",
        "--out",
        "shares",
    ];
    let li = "木棉 花开 渡船 谢了 2026\r";
    let slip = "木棉 花开 渡船 谢了 2025\r";
    let zhang = "kapok ferry moss quartz zhang lantern\r";
    // A slip, then a change of mind: nothing is made.
    for (answers, ends, code) in [
        (&[li, slip, li, slip, slip, li][..], 1, "SECRETS_DIFFER"),
        (&[li, li, "passphr\u{3}"], 1, "GIVEN_UP"),
        (&["\u{4}"], 1, "GIVEN_UP"),
        // Before the next one is called, three times.
        (&["密码一\r"; 6], 1, "WEAK_PASSPHRASE"),
    ] {
        let (exit, object, shown) = keyboard.answer(&site, &init, answers);
        assert_eq!(
            (exit, object["error"]["code"].as_str()),
            (ends, Some(code)),
            "{object}"
        );
        assert_eq!(shown.trim(), "");
        assert!(!site.path("vault").exists() && !site.path("shares").exists());
    }
    // A slip of one character that is taken back at once.
    let corrected = "木棉 花开 渡船 谢谢\u{7f}了 2026\r";
    // One who slips, and one whose passphrase will not do, are asked again themselves; nobody else is.
    let answers = [
        li,
        slip,
        corrected,
        li,
        li,
        li,
        "11111111\r",
        "11111111\r",
        zhang,
        zhang,
    ];
    let (exit, object, shown) = keyboard.answer(&site, &init, &answers);
    assert_eq!((exit, shown.trim()), (0, ""), "{object}");
    let envelopes: Vec<&str> = object["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| path.as_str().unwrap())
        .collect();

    let _served = site.serve(&[]);
    let unseal = |share| ["unseal", "--share", share, "--passphrase-file", "-"];
    let (exit, object, shown) = keyboard.answer(&site, &unseal(envelopes[0]), &["木棉花开了又谢了\r"]);
    assert_eq!(
        (exit, object["error"]["code"].as_str()),
        (1, Some("WRONG_PASSPHRASE"))
    );
    assert_eq!(shown.trim(), "");
    let (exit, object, shown) = keyboard.answer(&site, &unseal(envelopes[0]), &[li]);
    assert_eq!(
        (exit, object["state"].as_str(), shown.trim()),
        (0, Some("unsealing"), "")
    );
    // A pipe is asked nothing, and gives one line.
    let mut piped = Command::new(PROGRAM)
        .current_dir(site.folder.path())
        .args(["--json", "--dir", "vault"])
        .args(unseal(envelopes[2]))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = piped.stdin.take().unwrap();
    line.write_all(zhang.replace('\r', "\r\nmore\n").as_bytes())
        .unwrap();
    let output = piped.wait_with_output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("passphrase of"));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["state"], "open");
    drop(line);
}

#[test]
fn a_passphrase_file_with_a_byte_order_mark_is_the_passphrase_without_it() {
    let site = Site::new();
    std::fs::write(site.path("li.pass"), "\u{FEFF}kapok ferry moss quartz\r\n").unwrap();
    std::fs::write(site.path("wang.pass"), "cafe\u{301} au lait, 木棉花开\n").unwrap();
    let envelopes = site.init();
    let _served = site.serve(&[]);
    // By hand, and from another editor.
    std::fs::write(site.path("li.pass"), "kapok ferry moss quartz").unwrap();
    std::fs::write(
        site.path("wang.pass"),
        "\u{FEFF}café au lait，\u{3000}木棉花开 \n",
    )
    .unwrap();
    assert_eq!(site.unseal(&envelopes[0], "li").1["state"], "unsealing");
    assert_eq!(site.unseal(&envelopes[1], "wang").1["state"], "open");
    // Of another encoding, with the way out.
    let other = Site::new();
    let utf16: Vec<u8> = "correct horse battery"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    std::fs::write(other.path("zhang.pass"), [&b"\xFF\xFE"[..], &utf16].concat()).unwrap();
    let object = other.expect_error(
        &[
            "init",
            "--threshold",
            "2",
            "--shares",
            "2",
            "--custodian",
            "li=li.pass",
            "--custodian",
            "zhang=zhang.pass",
            "--out",
            "shares",
        ],
        2,
        "PASSPHRASE_FORM",
    );
    assert!(
        object["error"]["message"].as_str().unwrap().contains("UTF-8"),
        "{object}"
    );
    assert!(!other.path("vault").exists());
}

#[test]
fn a_custodian_tries_the_own_envelope_without_the_vault() {
    let site = Site::new();
    let envelopes = site.init();
    // No vault runs, and nothing but the envelope is there.
    std::fs::remove_dir_all(site.path("vault")).unwrap();
    let before = std::fs::read(site.path(&envelopes[0])).unwrap();
    let check =
        |share: &str, file: &str| site.run(&["share", "check", "--share", share, "--passphrase-file", file]);
    let (code, object) = check(&envelopes[0], "li.pass");
    assert_eq!(
        (code, object["schema"].as_str()),
        (0, Some("yzt.keyvault_share_check/1"))
    );
    let said = |key: &str| object[key].clone();
    assert_eq!(
        (
            said("custodian"),
            said("epoch"),
            said("index"),
            said("needed"),
            said("shares")
        ),
        ("li".into(), 1.into(), 1.into(), 2.into(), 3.into())
    );
    assert_eq!((said("rehearsal"), said("weak")), (false.into(), false.into()));
    let number = said("vault").as_str().unwrap().to_owned();
    assert!(envelopes[0].contains(&number[..8]), "{number}");
    // At a terminal it is asked for, and not shown.
    let (exit, object, shown) = Keyboard::new().answer(
        &site,
        &["share", "check", "--share", &envelopes[1]],
        &[&format!("{}\r", phrase("wang"))],
    );
    assert_eq!(
        (exit, object["custodian"].as_str(), shown.trim()),
        (0, Some("wang"), "")
    );

    let text = String::from_utf8(before.clone()).unwrap();
    std::fs::write(site.path("cut"), &text[..text.len() - 40]).unwrap();
    std::fs::write(site.path("relabelled"), text.replace("\"li\"", "\"lo\"")).unwrap();
    std::fs::write(site.path("later"), text.replace("yzt.share/", "yzt.share/9")).unwrap();
    for (share, file, exit, code) in [
        (envelopes[0].as_str(), "wang.pass", 1, "WRONG_PASSPHRASE"),
        ("cut", "li.pass", 1, "PACKAGE_DAMAGED"),
        ("relabelled", "li.pass", 1, "PACKAGE_DAMAGED"),
        ("later", "li.pass", 2, "PACKAGE_FORM"),
        ("li.pass", "li.pass", 2, "PACKAGE_FORM"),
        ("absent", "li.pass", 5, "FILE"),
    ] {
        site.expect_error(
            &["share", "check", "--share", share, "--passphrase-file", file],
            exit,
            code,
        );
    }
    assert_eq!(std::fs::read(site.path(&envelopes[0])).unwrap(), before);
    assert_eq!(std::fs::read_dir(site.path("shares")).unwrap().count(), 4);
    assert!(!site.path("vault").exists());
}

#[test]
fn a_custodian_changes_the_own_passphrase_and_needs_nobody_else() {
    let site = Site::new();
    let envelopes = site.init();
    let (old, li) = (std::fs::read(site.path(&envelopes[0])).unwrap(), phrase("li"));
    let change = |more: &[&'static str]| -> Vec<String> {
        let fixed = [
            "share",
            "passphrase",
            "--share",
            &envelopes[0],
            "--out",
            "new.json",
        ];
        fixed.iter().chain(more).map(|part| (*part).to_owned()).collect()
    };
    let mut keyboard = Keyboard::new();
    let mut answered = |answers: &[&str]| {
        let arguments = change(&[]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        keyboard.answer(&site, &arguments, answers)
    };
    let (own, new) = (format!("{li}\r"), "渡船 石英 苔藓 灯笼 木棉\r");
    let (own, slip) = (own.as_str(), "渡船 石英 苔藓 灯笼 木绵\r");
    // Wrong, a slip, too easy, the same again: nothing is written.
    for (answers, ends, code) in [
        (&["somebody else's\r"][..], 1, "WRONG_PASSPHRASE"),
        (&[own, new, slip, new, slip, new, slip], 1, "SECRETS_DIFFER"),
        (&[own, "11111111\r", "11111111\r"], 1, "WEAK_PASSPHRASE"),
        (&[own, own, own], 1, "SAME_PASSPHRASE"),
    ] {
        let (exit, object, shown) = answered(answers);
        assert_eq!(
            (exit, object["error"]["code"].as_str()),
            (ends, Some(code)),
            "{object}"
        );
        assert_eq!(shown.trim(), "");
        assert!(!site.path("new.json").exists());
    }
    let (exit, object, shown) = answered(&[own, new, new]);
    assert_eq!((exit, shown.trim()), (0, ""), "{object}");
    assert_eq!(object["replaces"].as_str(), Some(envelopes[0].as_str()));
    let rights = std::fs::metadata(site.path("new.json")).unwrap().permissions();
    assert_eq!(rights.mode() & 0o777, 0o600);
    // The old one is there, byte by byte, and so is a file that would be in the way, for which nobody is asked anything.
    assert_eq!(std::fs::read(site.path(&envelopes[0])).unwrap(), old);
    let written = std::fs::read(site.path("new.json")).unwrap();
    let (exit, object, _) = answered(&[]);
    assert_eq!((exit, object["error"]["code"].as_str()), (5, Some("FILE")));
    assert_eq!(std::fs::read(site.path("new.json")).unwrap(), written);

    // The program makes one, shows it at the terminal alone, and has it typed back.
    std::fs::remove_file(site.path("new.json")).unwrap();
    std::fs::write(site.path("old.pass"), &li).unwrap();
    let arguments = change(&["--passphrase-file", "old.pass", "--generate"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    site.expect_error(&arguments, 2, "NO_TERMINAL");
    let mut child = keyboard.start(&site, &arguments);
    let mut prose = child.stderr.take().unwrap();
    Keyboard::is_asked(&mut prose);
    let made = keyboard.made();
    keyboard.keys.write_all(format!("{made}\r").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let mut told = String::new();
    prose.read_to_string(&mut told).unwrap();
    for said in [&told, &String::from_utf8_lossy(&output.stdout).into_owned()] {
        assert!(!said.contains(&made), "it is shown at the terminal alone");
    }
    // It opens the vault beside an envelope that was not changed.
    std::fs::write(site.path("made.pass"), &made).unwrap();
    let _served = site.serve(&[]);
    let unseal = ["unseal", "--share", "new.json", "--passphrase-file", "made.pass"];
    assert_eq!(site.run(&unseal).1["state"], "unsealing");
    assert_eq!(site.unseal(&envelopes[1], "wang").1["state"], "open");
}

#[test]
fn at_the_founding_the_program_makes_a_passphrase_for_each_who_wants_one() {
    let site = Site::new();
    let mut keyboard = Keyboard::new();
    let init = "init --threshold 2 --shares 3 --custodian li=- --custodian wang=wang.pass --custodian zhang=- \
                --out shares --generate";
    let init: Vec<&str> = init.split_whitespace().collect();
    // Not written down: nothing is made.
    for is_slip in [true, false] {
        let mut child = keyboard.start(&site, &init);
        let mut prose = child.stderr.take().unwrap();
        let mut made = Vec::new();
        for name in ["li", "zhang"] {
            Keyboard::is_asked(&mut prose);
            let passphrase = keyboard.made();
            let typed = if is_slip { "something else" } else { &passphrase };
            keyboard.keys.write_all(format!("{typed}\r").as_bytes()).unwrap();
            made.push((name, passphrase));
            if is_slip {
                // Asked again, while it still stands there, three times in all.
                for _ in 0..2 {
                    Keyboard::is_asked(&mut prose);
                    keyboard.keys.write_all(b"something else\r").unwrap();
                }
                break;
            }
        }
        let output = child.wait_with_output().unwrap();
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        if is_slip {
            assert_eq!(object["error"]["code"], "SECRETS_DIFFER", "{object}");
            assert!(!site.path("vault").exists() && !site.path("shares").exists());
            continue;
        }
        assert_eq!(output.status.code(), Some(0), "{object}");
        for (name, passphrase) in made {
            std::fs::write(site.path("made.pass"), passphrase).unwrap();
            let envelopes = object["packages"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str);
            let own = envelopes.into_iter().find(|path| path.contains(name)).unwrap();
            let check = ["share", "check", "--share", own, "--passphrase-file", "made.pass"];
            let (exit, object) = site.run(&check);
            assert_eq!((exit, object["weak"].as_bool()), (0, Some(false)), "{object}");
        }
    }
}

/// What a process does that listens in the vault's place.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trick {
    /// It answers with a transport key of its own.
    OwnKey,
    /// It carries a first connection to the vault, so that all looks well, and answers the next with a key of its own.
    TwoFaces,
    /// It carries everything.
    Relay,
}

/// Somebody in the vault's place: what was asked of him, and what he carried.
struct Trap {
    socket: PathBuf,
    came: Arc<Mutex<u32>>,
    asked: Arc<Mutex<Vec<Request>>>,
    carried: Arc<Mutex<Vec<u8>>>,
    runtime: tokio::runtime::Runtime,
}

impl Trap {
    fn set(socket: &Path, vault: &Path, trick: Trick) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(async { UnixListener::bind(socket).unwrap() });
        let trap = Self {
            socket: socket.to_owned(),
            came: Arc::default(),
            asked: Arc::default(),
            carried: Arc::default(),
            runtime,
        };
        let (came, asked, carried) = (trap.came.clone(), trap.asked.clone(), trap.carried.clone());
        let vault = vault.to_owned();
        trap.runtime.spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let number = {
                    let mut count = came.lock().unwrap();
                    *count += 1;
                    *count
                };
                let through = trick == Trick::Relay || (trick == Trick::TwoFaces && number % 2 == 1);
                if through {
                    tokio::spawn(Self::carry(client, vault.clone(), carried.clone()));
                } else {
                    tokio::spawn(Self::pose(client, asked.clone()));
                }
            }
        });
        trap
    }

    /// Says what the vault would, under a key of his own.
    async fn pose(client: UnixStream, asked: Arc<Mutex<Vec<Request>>>) {
        let acceptor = Acceptor::new(&ChannelKey::fresh()).unwrap();
        let Ok((mut client, _)) = acceptor.accept(client).await else {
            return;
        };
        while let Ok(Some(request)) = frame::read::<_, Asked>(&mut client).await {
            asked.lock().unwrap().push(request.request);
            let welcome = Welcome {
                version: PROTOCOL_VERSION,
                vault: [0; 16],
                statement: None,
                generation: None,
            };
            frame::write(&mut client, &Response::Welcome(welcome))
                .await
                .unwrap();
        }
    }

    async fn carry(mut client: UnixStream, vault: PathBuf, carried: Arc<Mutex<Vec<u8>>>) {
        let mut vault = UnixStream::connect(vault).await.unwrap();
        let (mut from, mut to) = (vec![0; 1 << 14], vec![0; 1 << 14]);
        loop {
            let (bytes, other) = tokio::select! {
                read = client.read(&mut from) => (&from[..read.unwrap_or(0)], &mut vault),
                read = vault.read(&mut to) => (&to[..read.unwrap_or(0)], &mut client),
            };
            if bytes.is_empty() {
                return;
            }
            carried.lock().unwrap().extend_from_slice(bytes);
            if other.write_all(bytes).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}

#[test]
fn who_seals_the_vault_and_listens_in_its_place_harvests_no_share() {
    let site = Site::new();
    let envelopes = site.init();
    let _served = site.serve(&[]);
    site.unseal(&envelopes[0], "li");
    assert_eq!(site.unseal(&envelopes[1], "wang").1["state"], "open");
    // The attack: the vault is sealed, and another process of its own user takes its socket away, and listens there.
    assert_eq!(site.seal(&envelopes[1], "wang").0, 0);
    let (socket, real) = (site.path("vault/keyvault.sock"), site.path("vault/real.sock"));
    std::fs::rename(&socket, &real).unwrap();
    for trick in [Trick::OwnKey, Trick::TwoFaces] {
        let trap = Trap::set(&socket, &real, trick);
        for (envelope, name) in [(&envelopes[0], "li"), (&envelopes[2], "zhang")] {
            let (exit, object) = site.unseal(envelope, name);
            let code = object["error"]["code"].as_str().unwrap();
            let expected: &[&str] = match trick {
                // He says a number too, and cannot say the right one without having asked.
                Trick::OwnKey => &["WRONG_VAULT", "TRANSPORT_KEY_DIFFERS"],
                _ => &["TRANSPORT_KEY_DIFFERS"],
            };
            assert!(exit == 1 && expected.contains(&code), "{trick:?}: {object}");
        }
        assert!(*trap.came.lock().unwrap() >= 2, "{trick:?}: nobody came");
        let asked = trap.asked.lock().unwrap();
        assert!(
            asked.iter().all(|request| matches!(request, Request::Hello(_))),
            "{trick:?}: {asked:?}"
        );
    }
    // Nothing reached the vault either.
    let at_the_vault = |arguments: &[&str]| site.run(&[&["--socket", "vault/real.sock"], arguments].concat());
    assert_eq!(at_the_vault(&["status"]).1["given"], serde_json::json!([]));
    // Who carries everything sees no word of it.
    let trap = Trap::set(&socket, &real, Trick::Relay);
    assert_eq!(site.unseal(&envelopes[0], "li").1["state"], "unsealing");
    assert_eq!(site.unseal(&envelopes[2], "zhang").1["state"], "open");
    assert_eq!(at_the_vault(&["status"]).0, 0);
    let carried = trap.carried.lock().unwrap();
    assert!(carried.len() > 2000);
    for word in ["zhang", "wang"] {
        assert!(
            !carried.windows(word.len()).any(|part| part == word.as_bytes()),
            "{word}"
        );
    }
}

/// A vault and its envelopes as they were before envelopes pinned a transport key.
#[test]
fn an_envelope_of_before_is_compared_by_a_person_and_pinned_once() {
    let site = Site::new();
    let before = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vault/sealed_before");
    std::fs::create_dir(site.path("vault")).unwrap();
    std::fs::copy(before.join("vault.sqlite"), site.path("vault/vault.sqlite")).unwrap();
    for (name, passphrase) in [("li", "correct horse battery"), ("wang", "wrong horse battery")] {
        std::fs::copy(
            before.join(format!("{name}.share.json")),
            site.path(&format!("{name}.json")),
        )
        .unwrap();
        std::fs::write(site.path(&format!("{name}.pass")), passphrase).unwrap();
    }
    let served = site.serve(&[]);
    let shown = site.run(&["status"]).1["transport_key"]
        .as_str()
        .unwrap()
        .to_owned();
    let key = site.path("vault/transport.key");
    assert_eq!(
        std::fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let unseal = ["unseal", "--share", "li.json", "--passphrase-file", "li.pass"];
    site.expect_error(&unseal, 1, "TRANSPORT_KEY_NOT_PINNED");
    let wrong = ["--fingerprint", "0123 4567 89ab cdef"];
    site.expect_error(&[&unseal[..], &wrong].concat(), 1, "TRANSPORT_KEY_DIFFERS");
    let pin = [
        "share",
        "pin",
        "--share",
        "li.json",
        "--passphrase-file",
        "li.pass",
        "--out",
        "new.json",
    ];
    site.expect_error(&[&pin[..], &wrong].concat(), 1, "TRANSPORT_KEY_DIFFERS");
    assert!(!site.path("new.json").exists());
    // However the person writes the groups.
    let compared = shown.to_uppercase().replace(' ', "-");
    let (exit, object) = site.run(&[&pin[..], &["--fingerprint", &compared]].concat());
    assert_eq!(
        (exit, object["transport_key"].as_str()),
        (0, Some(shown.as_str())),
        "{object}"
    );
    let check = |share: &str| {
        site.run(&["share", "check", "--share", share, "--passphrase-file", "li.pass"])
            .1
    };
    assert_eq!(check("li.json")["transport_key"], Value::Null);
    assert_eq!(check("new.json")["transport_key"], *shown);
    // Pinned, it needs no person; compared, the old form serves once more.
    assert_eq!(site.unseal("new.json", "li").1["state"], "unsealing");
    let unseal = ["unseal", "--share", "wang.json", "--passphrase-file", "wang.pass"];
    let opened = site.run(&[&unseal[..], &["--fingerprint", &shown]].concat()).1;
    assert_eq!(opened["state"], "open", "{opened}");

    // It is the same key after a start, and another vault's without its file.
    drop(served);
    let served = site.serve(&[]);
    assert_eq!(site.run(&["status"]).1["transport_key"], *shown);
    assert_eq!(site.unseal("new.json", "li").1["state"], "unsealing");
    drop(served);
    std::fs::remove_file(&key).unwrap();
    let _served = site.serve(&[]);
    let unseal = ["unseal", "--share", "new.json", "--passphrase-file", "li.pass"];
    site.expect_error(&unseal, 1, "TRANSPORT_KEY_DIFFERS");
}

/// The files of a folder, without its socket.
pub(crate) fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Claim K1: the whole store, where something outside remembers.
#[test]
fn a_whole_store_of_an_earlier_moment_is_not_opened_by_a_custodian_who_saw_a_later_one() {
    let site = Site::new();
    let envelopes = site.init();
    let vault = site.path("vault");
    let opened = |first: usize, last: usize| {
        let names = ["li", "wang", "zhang"];
        let given = site.unseal(&envelopes[first], names[first]);
        assert_eq!((given.0, &given.1["generation"]), (0, &Value::Null));
        site.unseal(&envelopes[last], names[last])
    };
    let served = site.serve(&[]);
    let (code, object) = opened(0, 1);
    assert_eq!((code, &object["remembered"]), (0, &Value::Bool(true)));
    drop(served);
    let earlier = tempfile::tempdir().unwrap();
    copy_files(&vault, earlier.path());
    let served = site.serve(&[]);
    assert_eq!(opened(0, 1).0, 0);
    drop(served);
    let later = tempfile::tempdir().unwrap();
    copy_files(&vault, later.path());
    let put = |store: &Path| {
        std::fs::remove_dir_all(&vault).unwrap();
        copy_files(store, &vault);
    };

    put(earlier.path());
    let served = site.serve(&[]);
    // Whichever of the two comes last: wang remembers.
    for (first, last) in [(0, 1), (1, 0), (2, 1)] {
        let (code, object) = opened(first, last);
        assert_eq!(
            (code, object["error"]["code"].as_str().unwrap()),
            (5, "ROLLED_BACK")
        );
        assert!(
            object["error"]["message"].as_str().unwrap().contains("wang"),
            "{object}"
        );
        assert_eq!(site.run(&["status"]).1["state"], "sealed");
    }
    drop(served);
    put(later.path());
    let served = site.serve(&[]);
    assert_eq!(opened(0, 1).0, 0);
    drop(served);

    // A restore that was decided on is remembered in its turn.
    put(earlier.path());
    for _ in 0..2 {
        let served = site.serve(&[]);
        let restored = |envelope: &str, custodian: &str| {
            let passphrase = format!("{custodian}.pass");
            let arguments = [
                "unseal",
                "--restored",
                "--share",
                envelope,
                "--passphrase-file",
                &passphrase,
            ];
            site.run(&arguments)
        };
        restored(&envelopes[0], "li");
        assert_eq!(restored(&envelopes[1], "wang").1["state"], "open");
        drop(served);
        let served = site.serve(&[]);
        assert_eq!(opened(0, 1).0, 0);
        drop(served);
    }
    // Where the note cannot be read, nothing is sent.
    std::fs::create_dir(site.path(&format!("{}.seen", envelopes[2]))).unwrap();
    let _served = site.serve(&[]);
    let (code, object) = site.unseal(&envelopes[2], "zhang");
    assert_eq!((code, object["error"]["code"].as_str()), (5, Some("FILE")));
    assert_eq!(site.run(&["status"]).1["state"], "sealed");
}
