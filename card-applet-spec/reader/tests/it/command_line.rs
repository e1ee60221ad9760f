//! The `card-reader` program as scripts see it (design, contracts), as far as it needs no card: usage, enrolment, absent
//! service, damaged files. What it does with a card is tested over PC/SC in `hardware-tests`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

fn program() -> Command {
    let mut command = Command::cargo_bin("card-reader").unwrap();
    // A socket that nobody listens on: these tests never touch a service of the machine.
    command.env("PCSCLITE_CSOCK_NAME", "/nonexistent/pcscd.comm");
    // No language of whoever runs the tests.
    command.env("LC_ALL", "C.UTF-8");
    command
}

/// Runs, checks the exit code and that standard output is one object and a newline.
fn object(arguments: &[&str], exit: i32) -> Value {
    let output = program().args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.ends_with('\n') && text.trim_end().lines().count() == 1,
        "{text}"
    );
    let object: Value = serde_json::from_str(&text).unwrap();
    assert!(object["schema"].as_str().unwrap().starts_with("yzt."));
    object
}

fn failure(arguments: &[&str], exit: i32, code: &str) -> Value {
    let object = object(arguments, exit);
    assert_eq!(object["ok"], false);
    assert_eq!(object["error"]["code"], code);
    assert!(!object["error"]["message"].as_str().unwrap().is_empty());
    assert!(!object["error"]["action"].as_str().unwrap().is_empty());
    object
}

fn anchors(folder: &Path) -> String {
    // The generator of P-256 is a point on the curve, and nobody's key here.
    let point = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    let path = folder.join("anchors.json");
    let json = serde_json::json!({
        "schema": "yzt.anchors/1", "ok": true, "vault": "11".repeat(16), "card_ca": point, "terminal_ca": point,
        "document_signer": point, "entitlement_signer": point, "deny_list_signer": point, "audit_signer": point,
    });
    std::fs::write(&path, json.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn no_service_is_absent_and_says_what_to_do() {
    failure(&["list", "--json"], 3, "NO_SERVICE");
    failure(&["info", "--json"], 3, "NO_SERVICE");
    failure(&["inspect", "--json"], 3, "NO_SERVICE");
}

#[test]
fn without_json_the_failure_is_on_standard_error_only() {
    let output = program().arg("list").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8(output.stderr).unwrap().contains("NO_SERVICE"));
}

#[test]
fn a_failure_is_told_in_the_language_that_was_chosen_and_in_both_where_none_was() {
    let (zh, en) = ("智能卡服务没有应答", "the smart-card service does not answer");
    for (locale, option, chinese, english) in [
        ("C.UTF-8", None, true, true),
        ("zh_CN.UTF-8", None, true, false),
        ("en_GB.UTF-8", None, false, true),
        ("en_GB.UTF-8", Some("zh-CN"), true, false),
        ("zh_CN.UTF-8", Some("en"), false, true),
    ] {
        let run = |arguments: &[&str]| {
            let mut command = program();
            command.env("LC_ALL", locale).args(arguments);
            if let Some(tag) = option {
                command.args(["--lang", tag]);
            }
            let output = command.output().unwrap();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            (text(output.stdout), text(output.stderr))
        };
        let told = run(&["list"]).1;
        assert_eq!(
            (told.contains(zh), told.contains(en)),
            (chinese, english),
            "{told}"
        );
        // One text has room in an object; codes and keys have no language.
        let object: Value = serde_json::from_str(&run(&["list", "--json"]).0).unwrap();
        assert_eq!(object["error"]["message"], if chinese { zh } else { en });
        assert_eq!(object["error"]["code"], "NO_SERVICE");
        // Arguments that are not understood are told by the parser of the command line.
        let usage = run(&["list", "--readr", "x"]).1;
        assert_eq!(
            (
                usage.contains("没有参数 --readr") && usage.contains("card-reader --help"),
                usage.contains("unexpected argument '--readr'")
            ),
            (chinese, english),
            "{usage}"
        );
        let object: Value = serde_json::from_str(&run(&["bus", "--json"]).0).unwrap();
        assert_eq!(object["error"]["code"], "USAGE");
        let message = object["error"]["message"].as_str().unwrap();
        assert_eq!(message.starts_with("缺少参数"), chinese, "{message}");
    }
}

#[test]
fn a_language_that_nobody_speaks_here_is_a_usage_error() {
    let object = failure(&["list", "--lang", "fr", "--json"], 2, "USAGE");
    assert_eq!(
        object["error"]["message"],
        "参数 --lang <LANGUAGE> 不能取“fr”，可取：zh-CN、en"
    );
}

#[test]
fn a_bus_without_a_bundle_is_a_usage_error() {
    for command in ["bus", "door", "clinic"] {
        failure(&[command, "--json"], 2, "USAGE");
    }
    failure(&["info", "--at", "yesterday", "--json"], 2, "USAGE");
    failure(&["--json"], 2, "USAGE");
    assert_eq!(program().arg("bus").output().unwrap().status.code(), Some(2));
    assert_eq!(program().arg("--help").output().unwrap().status.code(), Some(0));
}

#[test]
fn enrolment_makes_a_private_key_file_and_prints_the_public_request_only() {
    let folder = tempfile::tempdir().unwrap();
    let anchors = anchors(folder.path());
    let key = folder.path().join("gate.key");
    let key = key.to_str().unwrap();
    let made = object(
        &["enrol", "--name", "gate 1", "--anchors", &anchors, "--out", key],
        0,
    );
    assert_eq!(made["schema"], "yzt.terminal-request/1");
    assert_eq!(made["ok"], true);
    assert_eq!(made["terminal"], "gate 1");
    assert_eq!(made["vault"], "11".repeat(16));
    for name in ["sealing_key", "authentication_key"] {
        let point = made[name].as_str().unwrap();
        assert!(point.len() == 130 && point.starts_with("04"), "{point}");
    }
    assert_eq!(made.as_object().unwrap().len(), 6);
    assert_eq!(
        std::fs::metadata(key).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let before = std::fs::read(key).unwrap();
    failure(
        &[
            "enrol",
            "--name",
            "gate 1",
            "--anchors",
            &anchors,
            "--out",
            key,
            "--json",
        ],
        5,
        "KEY_FILE_EXISTS",
    );
    assert_eq!(
        std::fs::read(key).unwrap(),
        before,
        "the only copy of a key is never replaced"
    );
}

#[test]
fn every_command_of_a_real_terminal_refuses_another_day_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let real = anchors(folder.path());
    let trial = at("trial.json");
    let number = hex::encode(card_applet_spec::rehearsal::vault_number([0x11; 16], true));
    let text = std::fs::read_to_string(&real).unwrap();
    std::fs::write(&trial, text.replace(&"11".repeat(16), &number)).unwrap();
    for (anchors, rehearsal) in [(&real, false), (&trial, true)] {
        let (key, config, state) = (at("gate.key"), at("gate.toml"), at("state"));
        let enrol = |day: &[&'static str]| {
            let enrol = [
                "enrol",
                "--name",
                "gate",
                "--anchors",
                anchors,
                "--out",
                &key,
                "--json",
            ];
            program().args(enrol).args(day).output().unwrap()
        };
        let day = ["--at", "2031-05-01"];
        assert_eq!(enrol(&day).status.success(), rehearsal);
        assert_eq!(Path::new(&key).exists(), rehearsal, "a refused day makes no key");
        assert!(rehearsal || enrol(&[]).status.success());
        std::fs::write(&config, format!("key = \"{key}\"\nstate = \"{state}\"\n")).unwrap();
        let bundle = at("gate.bundle");
        let by_bundle = |command| vec![command, "--bundle", &bundle, "--terminal-key", &key];
        let by_config = |command| vec![command, "--config", &config];
        let commands = [
            by_bundle("bus"),
            by_bundle("door"),
            by_bundle("clinic"),
            by_bundle("insurance"),
            by_bundle("identity"),
            by_bundle("inspect"),
            by_bundle("what-can-it-do"),
            by_config("bus"),
            by_config("self-test"),
            [by_config("sync"), vec!["--to", folder.path().to_str().unwrap()]].concat(),
            [by_config("shop"), vec!["--again"]].concat(),
            vec!["run", "bus", "--config", &config, "--json-lines"],
        ];
        for command in commands {
            let json: &[&str] = if command[0] == "run" { &[] } else { &["--json"] };
            let output = program().args(&command).args(day).args(json).output().unwrap();
            let object: Value = serde_json::from_slice(&output.stdout).unwrap();
            let refused = object["error"]["code"] == "NOT_A_REHEARSAL";
            assert_eq!(refused, !rehearsal, "{command:?}: {object}");
            assert!(rehearsal || output.status.code() == Some(1), "{command:?}");
            assert!(
                rehearsal || !Path::new(&state).exists(),
                "{command:?} made a folder"
            );
        }
        std::fs::remove_file(&key).unwrap();
    }
    // Without a terminal nothing says that it is a rehearsal.
    failure(&["info", "--at", "2031-05-01", "--json"], 1, "NOT_A_REHEARSAL");
    failure(&["inspect", "--at", "2031-05-01", "--json"], 1, "NOT_A_REHEARSAL");
}

#[test]
fn enrolment_with_bad_input_makes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let anchors = anchors(folder.path());
    let key = folder.path().join("gate.key");
    let out = key.to_str().unwrap();
    failure(
        &[
            "enrol",
            "--name",
            "",
            "--anchors",
            &anchors,
            "--out",
            out,
            "--json",
        ],
        2,
        "USAGE",
    );
    let text = std::fs::read_to_string(&anchors).unwrap();
    std::fs::write(&anchors, text.replacen('{', r#"{"unknown":1,"#, 1)).unwrap();
    failure(
        &[
            "enrol",
            "--name",
            "g",
            "--anchors",
            &anchors,
            "--out",
            out,
            "--json",
        ],
        2,
        "ANCHORS_DAMAGED",
    );
    failure(
        &[
            "enrol",
            "--name",
            "g",
            "--anchors",
            "/nonexistent",
            "--out",
            out,
            "--json",
        ],
        5,
        "FILE_UNREADABLE",
    );
    assert!(!key.exists());
}

#[test]
fn a_damaged_key_or_bundle_is_said_so_before_any_card_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let anchors = anchors(folder.path());
    let bundle = folder.path().join("gate.yztb");
    let bundle = bundle.to_str().unwrap();
    let key = format!("{bundle}.key");

    failure(&["bus", "--bundle", bundle, "--json"], 5, "FILE_UNREADABLE");
    object(
        &["enrol", "--name", "gate", "--anchors", &anchors, "--out", &key],
        0,
    );
    failure(&["bus", "--bundle", bundle, "--json"], 5, "FILE_UNREADABLE");
    std::fs::write(bundle, b"YZTB and then nothing of use").unwrap();
    failure(&["bus", "--bundle", bundle, "--json"], 5, "BUNDLE_NOT_OURS");

    let mut bytes = std::fs::read(&key).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&key, &bytes).unwrap();
    failure(
        &["clinic", "--bundle", bundle, "--json"],
        5,
        "TERMINAL_KEY_DAMAGED",
    );
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    failure(&["door", "--bundle", bundle, "--json"], 5, "TERMINAL_KEY_EXPOSED");
    assert!(
        !Path::new(&format!("{key}.sequence")).exists(),
        "nothing was loaded"
    );
}

#[test]
fn every_code_is_in_the_documented_list() {
    let readme = include_str!("../../README.md");
    let transport = [
        "NO_SERVICE",
        "NO_READER",
        "UNKNOWN_READER",
        "SEVERAL_READERS",
        "READER_BUSY",
        "NO_CARD",
        "CARD_UNPOWERED",
        "READER_LOST",
        "CARD_RESET",
        "TIMEOUT",
    ];
    let material = [
        card_reader::MaterialError::KeyFile,
        card_reader::MaterialError::KeyFileExposed,
        card_reader::MaterialError::AnchorsFile,
        card_reader::MaterialError::BundleSeal,
        card_reader::MaterialError::BundleSignature,
        card_reader::MaterialError::BundleForm,
        card_reader::MaterialError::BundleName,
        card_reader::MaterialError::BundleOlder {
            offered: 1,
            loaded: 2,
        },
    ];
    let codes = card_reader::Reason::ALL
        .iter()
        .map(|reason| reason.code())
        .chain(material.iter().map(card_reader::MaterialError::code))
        .chain(transport);
    for code in codes {
        assert!(readme.contains(code), "{code}");
    }
}
