//! The program's own contract: exit codes, one JSON object, nothing on standard output but the result.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::Output;

use permit_domain::Digest;
use serde_json::Value;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/permit/samples");

fn issuer(arguments: &[&str]) -> Output {
    assert_cmd::Command::cargo_bin("issuer")
        .unwrap()
        .args(arguments)
        .output()
        .unwrap()
}

fn object(output: &Output) -> Value {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    assert_eq!(text.matches('\n').count(), 1, "one object and a newline: {text}");
    serde_json::from_str(text).unwrap()
}

/// The anchors file of the vault with this number; its keys are the generator of P-256, a point that anybody can check.
fn anchors(vault: &[u8; 16]) -> tempfile::NamedTempFile {
    const POINT: &str = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    let file = tempfile::NamedTempFile::new().unwrap();
    let object = serde_json::json!({
        "schema": "yzt.anchors/1", "vault": hex::encode(vault), "card_ca": POINT, "terminal_ca": POINT,
        "document_signer": POINT, "entitlement_signer": POINT, "deny_list_signer": POINT,
        "operating_key": POINT,
    });
    std::fs::write(file.path(), object.to_string()).unwrap();
    file
}

/// Founds an office by the anchors of the vault with this number.
fn found(dir: &str, vault: &[u8; 16]) -> Output {
    let anchors = anchors(vault);
    issuer(&[
        "migrate",
        "--new",
        "--dir",
        dir,
        "--anchors",
        anchors.path().to_str().unwrap(),
        "--json",
    ])
}

fn decide(case: &str, extra: &[&str]) -> Output {
    let rules = "440300-three-tiers-2026";
    let arguments = [
        &["decide", "--rules", rules, "--case", case, "--at", "2026-11-21"],
        extra,
    ]
    .concat();
    issuer(&arguments)
}

#[test]
fn an_eligible_applicant_is_decided_with_an_explanation_and_exit_code_0() {
    let output = decide(&format!("{SAMPLES}/applicant-li-na.json"), &["--json"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let object = object(&output);
    assert_eq!(
        (&object["schema"], &object["ok"]),
        (&"yzt.decision/1".into(), &true.into())
    );
    assert_eq!(object["tier"], "EMPLOYMENT");
    assert_eq!(object["valid_from"], "2026-11-21");
    let line = &object["explanation"][0];
    for key in ["rule_set", "article", "condition", "met", "because", "evidence"] {
        assert!(!line[key].is_null(), "{key}");
    }
    assert!(object["may_apply_settlement"].is_boolean());
}

#[test]
fn a_refused_applicant_gets_exit_code_1_the_explanation_and_no_tier() {
    let output = decide(&format!("{SAMPLES}/applicant-refused.json"), &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let object = object(&output);
    assert_eq!(
        (&object["ok"], &object["error"]["code"], &object["tier"]),
        (&false.into(), &"NOT_ELIGIBLE".into(), &Value::Null)
    );
    assert!(
        object["explanation"]
            .as_array()
            .unwrap()
            .iter()
            .any(|line| line["met"] == false)
    );
}

#[test]
fn unknown_keys_are_usage_wrong_values_are_refused_and_a_file_that_is_not_there_is_5() {
    let folder = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(format!("{SAMPLES}/applicant-li-na.json")).unwrap();
    let write = |name: &str, text: String| -> String {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let unknown = write("unknown.json", good.replacen('{', r#"{"religion": "x","#, 1));
    let output = decide(&unknown, &["--json"]);
    assert_eq!(
        (output.status.code(), object(&output)["error"]["code"].as_str()),
        (Some(2), Some("APPLICANT_FORM"))
    );
    let wrong = write(
        "wrong.json",
        good.replace("440305198511120028", "440305198511120027"),
    );
    let output = decide(&wrong, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("440305198511120027"));
    assert_eq!(object(&output)["errors"][0]["field"], "citizen_number");
    assert_eq!(
        decide(&folder.path().join("none").display().to_string(), &["--json"])
            .status
            .code(),
        Some(5)
    );
    assert_eq!(
        issuer(&["decide", "--rules", "none", "--case", &wrong, "--at", "today"])
            .status
            .code(),
        Some(2)
    );
    let output = issuer(&[
        "decide",
        "--rules",
        "none",
        "--case",
        &write("good.json", good),
        "--at",
        "2026-11-21",
        "--json",
    ]);
    assert_eq!(
        (output.status.code(), object(&output)["error"]["code"].as_str()),
        (Some(2), Some("RULE_SET_UNKNOWN"))
    );
}

#[test]
fn the_sample_faces_are_drawn_into_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    let output = issuer(&["faces", "--sample", "--out", &out, "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let object = object(&output);
    for (index, side) in ["front", "back"].iter().enumerate() {
        let face = &object["faces"][index];
        assert_eq!(
            (&face["side"], &face["width"], &face["height"]),
            (&(*side).into(), &1011.into(), &638.into())
        );
        assert!(PathBuf::from(face["path"].as_str().unwrap()).is_file());
    }
    let none = folder.path().join("none").display().to_string();
    let output = issuer(&["faces", "--sample", "--out", &none, "--json"]);
    assert_eq!(
        (
            output.status.code(),
            self::object(&output)["error"]["code"].as_str()
        ),
        (Some(5), Some("FILE"))
    );
}

#[test]
fn a_new_installation_is_migrated_twice_and_the_doctor_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("office").display().to_string();
    let first = found(&dir, &[7; 16]);
    assert_eq!(
        first.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&first.stderr)
    );
    let second = issuer(&["migrate", "--dir", &dir, "--json"]);
    assert_eq!(
        object(&first)["public_key"],
        object(&second)["public_key"],
        "the key stays"
    );
    let again = found(&dir, &[7; 16]);
    assert_eq!(code(&again), (Some(1), "LEDGER_FOUNDED".into()));
    assert_eq!(object(&first)["public_key"].as_str().unwrap().len(), 130);

    let doctor = issuer(&["doctor", "--dir", &dir, "--json"]);
    assert_eq!(doctor.status.code(), Some(5));
    let object = object(&doctor);
    let check = |name: &str| {
        object["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|check| check["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(
        (&check("ledger")["ok"], &check("service_key")["ok"]),
        (&true.into(), &true.into())
    );
    assert_eq!(check("vault")["code"], "VAULT_NOT_RUNNING");
    assert_eq!(check("staff")["code"], "STAFF_FILE");
}

#[test]
fn another_day_is_taken_by_a_rehearsal_office_alone_and_a_real_one_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (real, trial) = (folder.path().join("real"), folder.path().join("trial"));
    let (real, trial) = (real.to_str().unwrap(), trial.to_str().unwrap());
    let numbers =
        [false, true].map(|rehearsal| card_applet_spec::rehearsal::vault_number([7; 16], rehearsal));
    let day = ["--at", "2027-11-15", "--json"];

    // Not even its folder is made on another day.
    let file = anchors(&numbers[0]);
    let founding = [
        "migrate",
        "--new",
        "--dir",
        real,
        "--anchors",
        file.path().to_str().unwrap(),
    ];
    let refused = (Some(1), "NOT_A_REHEARSAL".to_owned());
    assert_eq!(code(&issuer(&[&founding[..], &day].concat())), refused);
    assert!(!std::path::Path::new(real).exists());

    for (dir, number) in [(real, &numbers[0]), (trial, &numbers[1])] {
        let output = found(dir, number);
        let rehearsal = number == &numbers[1];
        assert_eq!(object(&output)["rehearsal"], rehearsal);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.contains("演练系统 REHEARSAL"), rehearsal, "{said}");
    }
    // By what it holds: the file changes by itself when what a process left in its log is folded in.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ledger = |dir: &str| {
        let url = format!("sqlite:{dir}/issuer.db");
        runtime.block_on(async {
            let store = issuer_store::Store::open(&url).await.unwrap();
            let state = store.read().await.unwrap().verify_ledger().await.unwrap();
            store.close().await;
            state
        })
    };
    let before = ledger(real);
    let order = "019abcde-0000-7000-8000-000000000000";
    for command in [
        &["migrate"][..],
        &["doctor"],
        &["serve"],
        &["worker", "--once"],
        &["sign-in", "--token-file", "/dev/null"],
        &["change", "show", "--id", order],
        &["change", "expire"],
        &["settlement", "report", "--tid", "7"],
        &["terminal", "list"],
        &["card", "confirm"],
    ] {
        let on = |dir| code(&issuer(&[command, &["--dir", dir], &day].concat()));
        assert_eq!(on(real), refused, "{command:?}");
        if command != ["serve"] {
            assert_ne!(on(trial).1, refused.1, "{command:?}");
        }
    }
    assert!(ledger(real) == before, "a refused day changed the ledger");
    // A settings file makes no rehearsal of it.
    std::fs::write(format!("{real}/issuer.toml"), "rehearsal = true").unwrap();
    assert_eq!(code(&issuer(&["doctor", "--dir", real, "--json"])).1, "SETTINGS");
}

#[test]
fn an_office_of_another_user_is_named_with_its_user_and_its_settings_are_not_called_wrong() {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("skipped: only root can act as two users");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (program, office) = (folder.path().join("issuer"), folder.path().join("office"));
    std::fs::copy(assert_cmd::cargo::cargo_bin("issuer"), &program).unwrap();
    std::fs::create_dir(&office).unwrap();
    std::fs::write(office.join("issuer.toml"), "").unwrap();
    for (path, mode) in [(folder.path(), 0o755), (&*office, 0o700)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let output = std::process::Command::new("setpriv")
        .args(["--reuid", "65534", "--clear-groups", "--"])
        .arg(&program)
        .args(["doctor", "--json", "--lang", "en", "--dir"])
        .arg(&office)
        .output()
        .unwrap();
    let (exit, told) = (output.status.code(), object(&output));
    let error = &told["error"];
    assert_eq!((exit, &error["code"]), (Some(5), &"FILE".into()), "{told}");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("belongs to user root"),
        "{told}"
    );
    assert!(
        error["action"].as_str().unwrap().contains("runuser -u root"),
        "{told}"
    );
}

#[tokio::test]
async fn the_cards_of_a_rehearsal_office_are_specimens_and_those_of_a_real_one_are_not() {
    let folder = tempfile::tempdir().unwrap();
    for rehearsal in [false, true] {
        let dir = folder.path().join(if rehearsal { "trial" } else { "real" });
        let number = card_applet_spec::rehearsal::vault_number([7; 16], rehearsal);
        assert_eq!(found(dir.to_str().unwrap(), &number).status.code(), Some(0));
        let installation = issuer::installation::Installation::open(&dir, None).unwrap();
        let clock = program_contract::Clock::fixed(crate::fixture::now());
        let random = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(1);
        let random = issuer_office::random::Random::new(random);
        let office = installation.office(&clock, None, random).await.unwrap();
        let artist = office.artist();
        let front = artist
            .front("440305", &issuer_artwork::sample_front(None))
            .unwrap();
        let back = artist.back(&issuer_artwork::sample_back()).unwrap();
        for face in [front, back] {
            assert_eq!(face.boxes.iter().any(|(id, _)| id == "specimen"), rehearsal);
        }
    }
}

#[test]
fn without_the_anchors_of_a_vault_no_office_is_founded() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("office").display().to_string();
    let output = issuer(&["migrate", "--new", "--dir", &dir, "--json"]);
    assert_eq!(code(&output), (Some(2), "USAGE".into()));
    let wrong = folder.path().join("anchors");
    std::fs::write(&wrong, "{}").unwrap();
    let wrong = wrong.to_str().unwrap();
    let output = issuer(&["migrate", "--new", "--dir", &dir, "--anchors", wrong, "--json"]);
    assert_eq!(code(&output), (Some(2), "ANCHORS_DAMAGED".into()));
    assert!(!std::path::Path::new(&dir).exists());
}

#[test]
fn a_mistyped_folder_founds_no_office() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let absent = folder.path().join("absent");
    let order = "019abcde-0000-7000-8000-000000000000";
    for (dir, told) in [(&empty, "NO_LEDGER"), (&absent, "NO_INSTALLATION")] {
        let dir = dir.to_str().unwrap();
        for command in [
            &["migrate"][..],
            &["doctor"],
            &["serve"],
            &["worker", "--once"],
            &["sign-in", "--token-file", "/dev/null"],
            &["change", "show", "--id", order],
            &["settlement", "report", "--tid", "7"],
            &["terminal", "list"],
            &["card", "confirm"],
        ] {
            let output = issuer(&[command, &["--dir", dir, "--json"]].concat());
            let said = object(&output);
            assert_eq!(
                (output.status.code(), &said["error"]["code"]),
                (Some(5), &told.into()),
                "{command:?} {said}"
            );
            assert!(
                said["error"]["action"].as_str().unwrap().contains("--dir"),
                "{said}"
            );
        }
    }
    assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0);
    assert!(!absent.exists());
}

#[test]
fn the_server_answers_until_it_is_told_to_stop() {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};

    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    assert_eq!(
        issuer(&["serve", "--dir", &dir, "--json"]).status.code(),
        Some(5),
        "not migrated"
    );
    assert_eq!(found(&dir, &[7; 16]).status.code(), Some(0));
    std::fs::write(folder.path().join("staff.toml"), "").unwrap();
    // Cards are made at this machine, whose PC/SC service does not run.
    let settings = "listen = \"127.0.0.1:0\"\nreader_here = true";
    std::fs::write(folder.path().join("issuer.toml"), settings).unwrap();
    let mut server = std::process::Command::new(assert_cmd::cargo::cargo_bin("issuer"))
        .args(["serve", "--dir", &dir, "--json"])
        .env("PCSCLITE_CSOCK_NAME", folder.path().join("nobody"))
        .env("RUST_LOG", "trace")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(server.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("http://") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "the server ended");
    }
    let address = line
        .split("http://")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    let get = |path: &str| {
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: office\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    // Nobody takes the log any more, and everybody is answered.
    drop(said);
    assert!(get("/healthz").starts_with("HTTP/1.1 200"));
    let ready = get("/readyz");
    assert!(
        ready.starts_with("HTTP/1.1 503")
            && ready.contains("VAULT_NOT_RUNNING")
            && ready.contains(r#"{"name":"reader","ok":false,"code":"NO_SERVICE""#),
        "{ready}"
    );

    // The terminal in which it ran was closed.
    let stopped = std::process::Command::new("kill")
        .args(["-HUP", &server.id().to_string()])
        .status()
        .unwrap();
    assert!(stopped.success());
    let mut printed = String::new();
    server
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut printed)
        .unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0));
    let object: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (&object["schema"], &object["ok"]),
        (&"yzt.serve/1".into(), &true.into())
    );
}

#[test]
fn a_log_that_cannot_be_written_ends_nothing_and_hangs_nothing() {
    let (_folder, dir) = installation();
    let session = session(&dir, "liu");
    let signed_in = ["--session", &session];
    for (command, session, exit) in [
        (&["doctor"][..], &[][..], 3),
        (&["card", "confirm"], &[], 0),
        (&["card", "lost", "--card", "4400000000015"], &signed_in, 1),
    ] {
        let log = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = std::process::Command::new(assert_cmd::cargo::cargo_bin("issuer"))
            .args(command)
            .args(["--dir", &dir, "--json"])
            .args(session)
            .env("RUST_LOG", "trace")
            .stderr(log)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(exit), "{command:?}");
        let whole: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(whole["ok"], exit == 0);
    }
}

#[test]
fn the_session_of_the_environment_is_taken_where_one_is_wanted_and_an_empty_one_is_none() {
    let (_folder, dir) = installation();
    let liu = session(&dir, "liu");
    let with = |session: &str, arguments: &[&str]| {
        let output = std::process::Command::new(assert_cmd::cargo::cargo_bin("issuer"))
            .args(arguments)
            .args(["--dir", &dir, "--json"])
            .env("YZT_SESSION", session)
            .env("XDG_STATE_HOME", "/nonexistent")
            .output()
            .unwrap();
        code(&output)
    };
    let lost = ["card", "lost", "--card", "4400000000015"];
    assert_eq!(with(&liu, &lost), (Some(1), "NOT_FOUND".into()));
    assert_eq!(with("", &lost), (Some(1), "NOT_SIGNED_IN".into()));
    // A service acts for itself, whoever's session stands in its environment.
    let service = ["worker", "--service", "--once"];
    assert_eq!(with("", &service).0, with(&liu, &service).0);
    assert_ne!(with(&liu, &service).1, "USAGE");
}

#[test]
fn the_openapi_document_is_printed_as_it_is_committed() {
    let output = issuer(&["openapi"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        output.stdout == include_bytes!("../../openapi.json"),
        "another document than the committed one"
    );
}

#[test]
fn wrong_usage_is_2() {
    assert_eq!(issuer(&["unknown"]).status.code(), Some(2));
    assert_eq!(issuer(&["faces"]).status.code(), Some(2));
}

#[test]
fn usage_that_is_not_understood_is_one_object_too_when_json_is_asked_for() {
    for arguments in [
        &["unknown", "--json"][..],
        &["faces", "--json"],
        &["doctor", "--json"],
        &["worker", "--dir", "x", "--order", "no id", "--json"],
    ] {
        let output = issuer(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let object = object(&output);
        assert_eq!(
            (&object["schema"], &object["ok"], &object["error"]["code"]),
            (&"yzt.issuer/1".into(), &false.into(), &"USAGE".into())
        );
        assert!(!object["error"]["message"].as_str().unwrap().is_empty());
        assert!(!object["error"]["action"].as_str().unwrap().is_empty());
    }
    let missing = object(&issuer(&["doctor", "--json"]));
    assert!(
        missing["error"]["message"].as_str().unwrap().contains("--dir"),
        "{missing}"
    );
    assert_eq!(issuer(&["openapi", "--json"]).stdout, issuer(&["openapi"]).stdout);
}

#[test]
fn a_person_who_is_refused_reads_the_explanation_without_json_too() {
    let output = decide(&format!("{SAMPLES}/applicant-refused.json"), &[]);
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.lines().any(|line| line.starts_with("不满足 UNMET")),
        "{printed}"
    );
    assert!(String::from_utf8(output.stderr).unwrap().contains("NOT_ELIGIBLE"));

    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    found(&dir, &[7; 16]);
    let output = issuer(&["doctor", "--dir", &dir]);
    assert_eq!(output.status.code(), Some(5));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.contains("VAULT_NOT_RUNNING") && printed.contains("STAFF_FILE"),
        "{printed}"
    );
    // Findings and what to do, in the language that was chosen; the codes are the same.
    for (tag, vault, action) in [
        ("zh-CN", "密钥库", "启动后再试"),
        ("en", "vault", "start it with `keyvault serve`"),
    ] {
        let printed = issuer(&["doctor", "--dir", &dir, "--lang", tag]).stdout;
        let printed = String::from_utf8(printed).unwrap();
        let line = printed.lines().find(|line| line.contains("VAULT_NOT_RUNNING"));
        let line = line.unwrap_or_else(|| panic!("{printed}"));
        assert!(line.starts_with(vault), "{line}");
        assert!(line.contains(action), "{line}");
        assert_eq!(printed.is_ascii(), tag == "en", "{printed}");
        let shown = object(&issuer(&["doctor", "--dir", &dir, "--lang", tag, "--json"]));
        let checks = shown["checks"].as_array().unwrap();
        let vault = checks.iter().find(|check| check["name"] == "vault").unwrap();
        assert!(vault["action"].as_str().unwrap().contains(action), "{vault}");
    }
}

#[test]
fn an_applicant_file_comes_on_standard_input_too() {
    let file = std::fs::read(format!("{SAMPLES}/applicant-li-na.json")).unwrap();
    let output = assert_cmd::Command::cargo_bin("issuer")
        .unwrap()
        .args(["decide", "--rules", "440300-three-tiers-2026", "--case", "-"])
        .args(["--at", "2026-11-21", "--json"])
        .write_stdin(file)
        .output()
        .unwrap();
    assert_eq!(
        (output.status.code(), &object(&output)["tier"]),
        (Some(0), &"EMPLOYMENT".into())
    );
}

#[test]
fn an_applicant_file_in_another_encoding_is_told_by_a_code() {
    let good = std::fs::read_to_string(format!("{SAMPLES}/applicant-li-na.json")).unwrap();
    let wide = |bytes: fn(u16) -> [u8; 2], mark: &str| -> Vec<u8> {
        format!("{mark}{good}").encode_utf16().flat_map(bytes).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    for (file, code, names) in [
        (
            format!("\u{feff}{good}").into_bytes(),
            "BYTE_ORDER_MARK",
            "byte-order mark",
        ),
        (wide(u16::to_le_bytes, "\u{feff}"), "ENCODING", "UTF-16"),
        (wide(u16::to_be_bytes, "\u{feff}"), "ENCODING", "UTF-16"),
        // As a script writes it, without a mark.
        (wide(u16::to_le_bytes, ""), "ENCODING", "UTF-16"),
        // 李娜 as GB 18030 has it.
        (
            [&b"{\"name\": \""[..], &[0xC0, 0xEE, 0xC4, 0xC8], b"\"}"].concat(),
            "ENCODING",
            "GB 18030",
        ),
        // 𠮷, which has four bytes there.
        (
            [&b"{\"name\": \""[..], &[0x95, 0x34, 0xB5, 0x35], b"\"}"].concat(),
            "ENCODING",
            "GB 18030",
        ),
        // É of Latin 1: two bytes that no encoding of ours has side by side.
        (
            [&b"{\"name\": \"\xc9\"}"[..], &[0x80]].concat(),
            "ENCODING",
            "not known",
        ),
    ] {
        let path = folder.path().join("applicant.json").display().to_string();
        std::fs::write(&path, file).unwrap();
        let chinese = &object(&decide(&path, &["--json", "--lang", "zh-CN"]))["errors"][0];
        let what = chinese["what"].as_str().unwrap();
        assert!(what.contains("编码") || what.contains("BOM"), "{chinese}");
        let output = decide(&path, &["--json", "--lang", "en"]);
        let shown = object(&output);
        assert_eq!(
            (output.status.code(), &shown["error"]["code"]),
            (Some(2), &"APPLICANT_FORM".into())
        );
        let error = &shown["errors"][0];
        assert_eq!((&error["field"], &error["code"]), (&"$".into(), &code.into()));
        assert!(error["what"].as_str().unwrap().contains(names), "{error}");
        assert!(error["action"].as_str().unwrap().contains("UTF-8"));
    }
}

#[test]
fn a_full_output_is_4_and_no_panic_whatever_was_asked_for() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let case = format!("{SAMPLES}/applicant-li-na.json");
    let refused = format!("{SAMPLES}/applicant-refused.json");
    let rules = [
        "--rules",
        "440300-three-tiers-2026",
        "--at",
        "2026-11-21",
        "--case",
    ];
    let decided = |case: &str, json: bool| {
        let mut words = vec!["decide".to_owned()];
        words.extend(rules.map(str::to_owned));
        words.push(case.to_owned());
        words.extend(json.then(|| "--json".to_owned()));
        words
    };
    let word = |text: &str| vec![text.to_owned()];
    for (words, exit) in [
        (decided(&case, true), 4),
        (decided(&case, false), 4),
        // What a caller has to act on is not hidden by it.
        (decided(&refused, true), 1),
        (word("openapi"), 4),
        (word("--help"), 4),
        (word("--version"), 4),
    ] {
        let run = |error: std::process::Stdio| {
            std::process::Command::new(assert_cmd::cargo::cargo_bin("issuer"))
                .args(&words)
                .stdout(full())
                .stderr(error)
                .output()
                .unwrap()
        };
        let told = run(std::process::Stdio::piped());
        assert_eq!(told.status.code(), Some(exit), "{words:?}");
        let prose = String::from_utf8(told.stderr).unwrap();
        assert!(
            prose.contains("[OUTPUT]") && !prose.contains("panicked"),
            "{prose}"
        );
        // Nobody reads standard error either.
        assert_eq!(run(full().into()).status.code(), Some(exit), "{words:?}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_said_to_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none").display().to_string();
    for command in ["serve", "worker", "doctor"] {
        let output = issuer(&[command, "--dir", &none, "--json"]);
        assert_eq!(
            (output.status.code(), &object(&output)["error"]["code"]),
            (Some(5), &"NO_INSTALLATION".into()),
            "{command}"
        );
    }
}

/// The session of a person in an installation of these tests.
fn session(dir: &str, account: &str) -> String {
    format!("{dir}/{account}.session")
}

fn sign_in(dir: &str, account: &str) -> Output {
    let token = format!("{dir}/{account}.token");
    let session = session(dir, account);
    issuer(&[
        "sign-in",
        "--dir",
        dir,
        "--token-file",
        &token,
        "--session",
        &session,
        "--json",
    ])
}

/// A staff file: account, role, and the last day of a token that lies beside it.
fn staff_file(dir: &str, members: &[(&str, &str, &str)]) {
    let entry = |(account, role, until): &(&str, &str, &str)| {
        let token = format!("token of {account}");
        std::fs::write(format!("{dir}/{account}.token"), &token).unwrap();
        let digest = Digest::of(token.as_bytes());
        format!(
            "[[staff]]\naccount = \"{account}\"\nroles = [\"{role}\"]\ntoken_sha256 = \"{digest}\"\ntoken_until = \"{until}\"\n"
        )
    };
    let text: String = members.iter().map(entry).collect();
    std::fs::write(format!("{dir}/staff.toml"), text).unwrap();
}

#[test]
fn only_who_signed_in_acts_and_only_in_their_roles_and_only_while_the_token_lives() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    assert_eq!(found(&dir, &[7; 16]).status.code(), Some(0));
    let sun = ("sun", "PRODUCER", "2999-12-31");
    staff_file(&dir, &[sun, ("chen", "HAND_OVER_CLERK", "2020-01-01")]);
    let serials = folder.path().join("serials").display().to_string();
    std::fs::write(&serials, "00010000000100000001\n").unwrap();
    let order = "019abcde-0000-7000-8000-000000000000";
    let as_sun = session(&dir, "sun");
    let run = |arguments: &[&str]| {
        let common = ["--dir", &dir, "--session", &as_sun, "--json"];
        code(&issuer(&[&arguments[..1], &common, &arguments[1..]].concat()))
    };
    let refused = |code: &str| (Some(1), code.to_owned());
    let done = (Some(0), "none".to_owned());
    let give_up = ["give-up", "--order", order];
    let receive = ["receive", "--lot", "0001-00000001", "--serials", &serials];

    // A name is no argument, and nobody is nobody.
    assert_eq!(
        run(&[&receive[..], &["--session", &session(&dir, "sun")]].concat()).0,
        Some(2)
    );
    assert_eq!(run(&receive), refused("NOT_SIGNED_IN"));
    assert_eq!(code(&sign_in(&dir, "chen")), refused("TOKEN_ENDED"));
    std::fs::write(format!("{dir}/wang.token"), "token of nobody").unwrap();
    assert_eq!(code(&sign_in(&dir, "wang")), refused("NOT_SIGNED_IN"));
    std::fs::write(format!("{dir}/wang.token"), "").unwrap();
    assert_eq!(code(&sign_in(&dir, "wang")), (Some(2), "NO_SECRET".into()));
    // What somebody made up is no session, and the digest of a real token neither.
    for invented in ["f".repeat(64), Digest::of(b"token of sun").to_string()] {
        std::fs::write(&as_sun, invented).unwrap();
        std::fs::set_permissions(&as_sun, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(run(&receive), refused("SESSION_ENDED"));
    }

    let signed_in = sign_in(&dir, "sun");
    assert_eq!(object(&signed_in)["account"], "sun");
    let mode = std::fs::metadata(&as_sun).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let hand_over = ["hand-over", "--order", order, "--checked", "holder"];
    assert_eq!(run(&hand_over), refused("ROLE_MISSING"));
    for other in ["0001-00000002", "0002-00000001", "lot-1"] {
        let receive = ["receive", "--lot", other, "--serials", &serials];
        assert_eq!(run(&receive), refused("OTHER_LOT"), "{other}");
    }
    assert_eq!(run(&receive), done);
    assert_eq!(run(&give_up), refused("NOT_FOUND"));

    // Who signs in again ends the session before, and its copies.
    let before = std::fs::read(&as_sun).unwrap();
    assert_eq!(code(&sign_in(&dir, "sun")), done);
    let now = std::fs::read(&as_sun).unwrap();
    std::fs::write(&as_sun, before).unwrap();
    assert_eq!(run(&give_up), refused("SESSION_ENDED"));
    std::fs::write(&as_sun, now).unwrap();
    assert_eq!(run(&give_up), refused("NOT_FOUND"));
    // A file of anything else is neither replaced nor taken away.
    let staff = format!("{dir}/staff.toml");
    let text = std::fs::read(&staff).unwrap();
    let token = format!("{dir}/sun.token");
    for command in [&["sign-in", "--token-file", &token][..], &["sign-out"]] {
        let place = ["--dir", &dir, "--session", &staff, "--json"];
        let output = issuer(&[&command[..1], &place, &command[1..]].concat());
        assert_eq!(code(&output), (Some(2), "NO_SESSION_FILE".into()));
        assert_eq!(std::fs::read(&staff).unwrap(), text);
    }

    // Others may read it; it is copied for another day; the token goes; the account's token is another one.
    std::fs::set_permissions(&as_sun, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(run(&give_up), refused("SESSION_EXPOSED"));
    std::fs::set_permissions(&as_sun, std::fs::Permissions::from_mode(0o600)).unwrap();
    staff_file(&dir, &[("sun", "PRODUCER", "2020-01-01")]);
    assert_eq!(run(&give_up), refused("TOKEN_ENDED"));
    staff_file(&dir, &[]);
    assert_eq!(run(&give_up), refused("NOT_SIGNED_IN"));
    staff_file(&dir, &[sun]);
    assert_eq!(run(&give_up), refused("NOT_FOUND"));

    // Signed out, a copy of the session opens nothing.
    let copy = std::fs::read(&as_sun).unwrap();
    assert_eq!(run(&["sign-out"]), done);
    assert_eq!(run(&give_up), refused("NOT_SIGNED_IN"));
    std::fs::write(&as_sun, copy).unwrap();
    std::fs::set_permissions(&as_sun, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(run(&give_up), refused("SESSION_ENDED"));
}

#[test]
fn without_a_file_named_the_session_is_in_the_persons_own_folder_one_for_each_installation() {
    let (_folder, dir) = installation();
    let (_other, elsewhere) = installation();
    let home = tempfile::tempdir().unwrap();
    let run = |dir: &str, arguments: &[&str]| {
        let output = assert_cmd::Command::cargo_bin("issuer")
            .unwrap()
            .env_remove("XDG_STATE_HOME")
            .env_remove("YZT_SESSION")
            .env("HOME", home.path())
            .args(&arguments[..1])
            .args(["--dir", dir, "--json"])
            .args(&arguments[1..])
            .output()
            .unwrap();
        code(&output)
    };
    let settle = ["settle", "/nowhere/file"];
    let token = format!("{dir}/gao.token");
    let done = (Some(0), "none".to_owned());
    assert_eq!(run(&dir, &settle), (Some(1), "NOT_SIGNED_IN".into()));
    assert_eq!(run(&dir, &["sign-in", "--token-file", &token]), done);
    assert_eq!(run(&dir, &settle), (Some(5), "FILE".into()));
    assert_eq!(run(&elsewhere, &settle), (Some(1), "NOT_SIGNED_IN".into()));
    let kept = home.path().join(".local/state/yizhengtong");
    let mode = std::fs::metadata(&kept).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(run(&dir, &["sign-out"]), done);
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 0);
    assert_eq!(run(&dir, &["sign-out"]), done, "nobody is signed in");
}

/// A migrated installation with a clerk, an approver and an officer, and nothing around it.
fn installation() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let dir = folder.path().display().to_string();
    assert_eq!(found(&dir, &[7; 16]).status.code(), Some(0));
    let members = [
        ("liu", "CHANGE_CLERK", "2999-12-31"),
        ("zhao", "APPROVER", "2999-12-31"),
        ("gao", "SETTLEMENT_OFFICER", "2999-12-31"),
    ];
    staff_file(&dir, &members);
    for (account, ..) in members {
        assert_eq!(sign_in(&dir, account).status.code(), Some(0));
    }
    (folder, dir)
}

fn code(output: &Output) -> (Option<i32>, String) {
    let code = object(output)["error"]["code"]
        .as_str()
        .unwrap_or("none")
        .to_owned();
    (output.status.code(), code)
}

#[test]
fn a_payment_terminal_is_registered_withdrawn_and_reported_by_the_officer_alone() {
    let (_folder, dir) = installation();
    // The generator of P-256 is a point that anybody can check.
    let key = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    let register = |key: &str, by: &str| {
        issuer(&[
            "terminal",
            "register",
            "--dir",
            &dir,
            "--name",
            "shop 1",
            "--tid",
            "7",
            "--authentication-key",
            key,
            "--from",
            "2026-11-01",
            "--to",
            "2027-10-31",
            "--session",
            &session(&dir, by),
            "--json",
        ])
    };
    assert_eq!(code(&register(key, "liu")), (Some(1), "ROLE_MISSING".into()));
    let off_curve = format!("{}4", &key[..129]);
    assert_eq!(
        code(&register(&off_curve, "gao")),
        (Some(2), "TERMINAL_KEY".into())
    );
    assert_eq!(code(&register("04", "gao")), (Some(2), "TERMINAL_KEY".into()));
    for _ in 0..2 {
        let output = register(key, "gao");
        assert_eq!(
            (output.status.code(), &object(&output)["tid"]),
            (Some(0), &7.into())
        );
    }
    let report = issuer(&["settlement", "report", "--dir", &dir, "--tid", "7", "--json"]);
    let report_object = object(&report);
    assert_eq!(report_object["schema"], "yzt.settlement_report/1");
    assert_eq!(
        (&report_object["owed"]["fen"], &report_object["missing_files"]),
        (&0.into(), &Value::Array(vec![]))
    );
    let unknown = issuer(&["settlement", "report", "--dir", &dir, "--tid", "8", "--json"]);
    assert_eq!(code(&unknown), (Some(1), "TERMINAL_UNKNOWN".into()));
    // As its settlement files have it; what may be one number or another is none.
    let report = |tid: &str| {
        issuer(&[
            "settlement",
            "report",
            "--dir",
            &dir,
            "--tid",
            tid,
            "--lang",
            "en",
            "--json",
        ])
    };
    assert_eq!(object(&report("00000007"))["tid"], 7);
    let unknown = object(&report("00010002"));
    let message = unknown["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("00010002") && message.contains("65538"),
        "{message}"
    );
    for ambiguous in ["007", "12345678"] {
        assert_eq!(code(&report(ambiguous)), (Some(2), "USAGE".into()), "{ambiguous}");
    }
    let withdraw = |day: &str| {
        issuer(&[
            "terminal",
            "withdraw",
            "--dir",
            &dir,
            "--tid",
            "7",
            "--after",
            day,
            "--session",
            &session(&dir, "gao"),
            "--json",
        ])
    };
    assert_eq!(object(&withdraw("2026-11-20"))["withdrawn_after"], "2026-11-20");
    assert_eq!(code(&withdraw("2026-12-20")), (Some(1), "WRONG_STATE".into()));
    let list = issuer(&["terminal", "list", "--dir", &dir, "--json"]);
    assert_eq!(object(&list)["terminals"][0]["name"], "shop 1");
}

#[test]
fn a_file_that_is_no_settlement_file_is_refused_by_itself_with_what_to_do() {
    let (folder, dir) = installation();
    let path = folder.path().join("shop.yzts");
    std::fs::write(&path, b"a shopping list").unwrap();
    let path = path.display().to_string();
    let output = issuer(&[
        "settle",
        "--dir",
        &dir,
        &path,
        "--session",
        &session(&dir, "gao"),
        "--lang",
        "en",
        "--json",
    ]);
    assert_eq!(code(&output), (Some(1), "FILES_REFUSED".into()));
    let file = object(&output)["files"][0].clone();
    assert_eq!(
        (&file["outcome"], &file["code"]),
        (&"REFUSED".into(), &"SETTLEMENT_FORM".into())
    );
    assert!(file["action"].as_str().unwrap().contains("merchant"));
    let none = issuer(&[
        "settle",
        "--dir",
        &dir,
        "--session",
        &session(&dir, "gao"),
        "--json",
    ]);
    assert_eq!(none.status.code(), Some(2));
    let missing = issuer(&[
        "settle",
        "--dir",
        &dir,
        "/nowhere/file",
        "--session",
        &session(&dir, "gao"),
        "--json",
    ]);
    assert_eq!(missing.status.code(), Some(5));
}

#[test]
fn commands_on_cards_say_what_is_not_there_and_who_may() {
    let (_folder, dir) = installation();
    let lost = |by: &str| {
        issuer(&[
            "card",
            "lost",
            "--dir",
            &dir,
            "--card",
            "4400000000015",
            "--session",
            &session(&dir, by),
            "--json",
        ])
    };
    assert_eq!(code(&lost("liu")), (Some(1), "NOT_FOUND".into()));
    assert_eq!(code(&lost("zhao")), (Some(1), "ROLE_MISSING".into()));
    assert_eq!(code(&lost("nobody")), (Some(1), "NOT_SIGNED_IN".into()));
    let id = "01a1fbd4-f500-701a-8d03-3d345b50f2b2";
    let show = issuer(&["change", "show", "--dir", &dir, "--id", id, "--json"]);
    assert_eq!(code(&show), (Some(1), "NOT_FOUND".into()));
    let propose = |kind: &str| {
        issuer(&[
            "change",
            "propose",
            "--dir",
            &dir,
            "--permit",
            id,
            "--kind",
            kind,
            "--session",
            &session(&dir, "liu"),
            "--json",
        ])
    };
    assert_eq!(code(&propose("tier")), (Some(2), "USAGE".into()));
    assert_eq!(code(&propose("address")), (Some(2), "USAGE".into()));
    assert_eq!(code(&propose("rotate")), (Some(1), "NOT_FOUND".into()));
    assert_eq!(propose("gild").status.code(), Some(2));
    let load = |key: &str| {
        issuer(&[
            "load",
            "--dir",
            &dir,
            "--permit",
            id,
            "--amount",
            "1.00",
            "--key",
            key,
            "--session",
            &session(&dir, "liu"),
            "--json",
        ])
    };
    assert_eq!(code(&load("till-1")), (Some(1), "NOT_FOUND".into()));
    assert_eq!(load("two words").status.code(), Some(2));
    for amount in ["0", "-1", "1.234", "1,50", "50000000000"] {
        let as_liu = session(&dir, "liu");
        let rest = ["--permit", id, "--key", "till-2", "--session", &as_liu, "--json"];
        let refused = issuer(&[&["load", "--dir", &dir, "--amount", amount], &rest[..]].concat());
        assert_eq!(refused.status.code(), Some(2), "{amount}");
    }
    let confirm = issuer(&["card", "confirm", "--dir", &dir, "--json"]);
    assert_eq!(
        (confirm.status.code(), &object(&confirm)["confirmed"]),
        (Some(0), &0.into())
    );
}
