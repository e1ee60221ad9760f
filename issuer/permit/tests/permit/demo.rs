//! `permit demo` from outside, by the contracts: its object, exit codes, repetition, interruption, and that nothing is
//! left running.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const DAY: &str = "2026-11-21";

/// The program with its neighbours: `make test` builds all of them before the tests.
fn permit() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_permit"));
    command.stdin(Stdio::null());
    command
}

fn demo(folder: &Path, more: &[&str]) -> Output {
    let output = permit()
        .arg("demo")
        .arg("--dir")
        .arg(folder)
        .args(["--at", DAY, "--json"])
        .args(more)
        .output();
    output.unwrap()
}

/// The one object on standard output.
fn object(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(
        text.lines().count(),
        1,
        "exactly one line: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let object: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(object["schema"], "yzt.demo/1");
    object
}

fn failure(output: &Output, exit: i32, code: &str) -> Value {
    let object = object(output);
    assert_eq!(output.status.code(), Some(exit), "{object}");
    assert_eq!(object["ok"], false);
    assert_eq!(object["error"]["code"], code, "{object}");
    assert!(!object["error"]["message"].as_str().unwrap().is_empty());
    assert!(!object["error"]["action"].as_str().unwrap().is_empty());
    object
}

/// Processes whose command line names the folder.
fn left_running(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        if let Ok(line) = std::fs::read(entry.path().join("cmdline")) {
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains(folder) {
                found.push(line);
            }
        }
    }
    found
}

fn nothing_is_left(folder: &Path) {
    // The last processes end within moments of the program's own end.
    for _ in 0..100 {
        if left_running(folder).is_empty() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("left running: {:?}", left_running(folder));
}

#[test]
fn what_permit_and_a_program_that_it_starts_say_is_in_the_language_that_was_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let is_chinese = |text: &Value| {
        let mut signs = text.as_str().unwrap().chars();
        signs.any(|sign| ('\u{4E00}'..='\u{9FFF}').contains(&sign))
    };
    // The vault is not founded in a folder that holds something: its program says so, and permit passes it on.
    let foreign = folder.path().join("foreign");
    let half = folder.path().join("half");
    for (place, file, text) in [
        (&foreign, "notes", ""),
        (&half, "installation.json", "{\"schema\":\"yzt.installation/1\"}"),
        (&half, "vault/notes", ""),
    ] {
        let file = place.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    for (place, code) in [(&foreign, "FOLDER_FOREIGN"), (&half, "NOT_A_VAULT_FOLDER")] {
        for (tag, chinese) in [("zh-CN", true), ("en", false)] {
            let shown = failure(&demo(place, &["--no-pcsc", "--lang", tag]), 5, code);
            for key in ["message", "action"] {
                assert_eq!(is_chinese(&shown["error"][key]), chinese, "{tag}: {shown}");
            }
        }
        nothing_is_left(place);
    }
    // The fields of an applicant's file likewise, and what a person reads on the way.
    let file = folder.path().join("applicant.json");
    std::fs::write(&file, "{\"name\": \"\"}").unwrap();
    for (tag, chinese) in [("zh-CN", true), ("en", false)] {
        let output = demo(
            &folder.path().join("whole"),
            &["--no-pcsc", "--lang", tag, "--applicant", file.to_str().unwrap()],
        );
        let shown = failure(&output, 1, "APPLICANT");
        for field in shown["fields"].as_array().unwrap() {
            assert_eq!(is_chinese(&field["what"]), chinese, "{tag}: {field}");
        }
        let steps = String::from_utf8_lossy(&output.stderr);
        assert_eq!(steps.contains("启动密钥库"), chinese, "{steps}");
        assert_eq!(steps.contains("start the vault"), !chinese, "{steps}");
    }
}

#[test]
fn a_permit_is_issued_over_pcsc_and_read_by_each_with_its_own_keys() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path(), &[]);
    let shown = object(&output);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{shown}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(shown["ok"], true);
    assert_eq!(shown["tier"], "EMPLOYMENT");
    assert_eq!(shown["transport"], "pcsc");
    assert!(shown["reader"].is_string());
    assert_eq!(shown["card_number"].as_str().unwrap().len(), 13);
    assert_eq!(shown["card_serial"].as_str().unwrap().len(), 20);
    for line in shown["explanation"].as_array().unwrap() {
        for key in ["rule_set", "article", "condition", "met", "because"] {
            assert!(!line[key].is_null(), "{line}");
        }
    }
    for (face, side) in shown["faces"].as_array().unwrap().iter().zip(["front", "back"]) {
        assert_eq!(
            (face["side"].as_str(), face["format"].as_str()),
            (Some(side), Some("png"))
        );
        assert_eq!(
            (face["width"].as_u64(), face["height"].as_u64()),
            (Some(1011), Some(638))
        );
        let bytes = std::fs::read(face["path"].as_str().unwrap()).unwrap();
        assert!(bytes.starts_with(b"\x89PNG"));
    }
    let identity = &shown["office"]["saw"]["identity"];
    assert_eq!(identity["citizen_number"], "440305198511120028");
    for (who, role) in [("bus", "TRANSIT"), ("clinic", "CLINIC")] {
        let read = &shown[who];
        assert_eq!(read["decision"], "accepted", "{read}");
        assert_eq!(read["reason"], Value::Null);
        assert_eq!(read["saw"]["role"], role);
        assert!(read["apdus"].as_u64().unwrap() >= 2);
        let seen = read.to_string();
        for secret in [
            "李娜",
            "440305198511120028",
            "pid",
            shown["card_serial"].as_str().unwrap(),
        ] {
            assert!(!seen.contains(secret), "{who} saw {secret}");
        }
    }
    assert_eq!(shown["bus"]["apdus"], 2);
    assert_eq!(shown["stranger"]["decision"], "refused");
    for step in shown["steps"].as_array().unwrap() {
        assert_eq!(step["ok"], true);
        assert!(step["ms"].is_number() && step["actor"].is_string() && step["name"].is_string());
    }
    nothing_is_left(folder.path());
    the_independent_reader_agrees(folder.path(), &shown);

    let again = failure(&demo(folder.path(), &[]), 1, "ALREADY_HAS_PERMIT");
    assert!(again["permit_id"].is_null());
    let earlier = permit()
        .args(["demo", "--at", "2026-11-19", "--json", "--dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    failure(&earlier, 5, "CLOCK_BEHIND");
    nothing_is_left(folder.path());
}

/// The tapping reader that was written from the specification alone taps the demo's card, with the demo's bus bundle.
fn the_independent_reader_agrees(folder: &Path, shown: &Value) {
    let beside = Path::new(env!("CARGO_BIN_EXE_permit")).with_file_name("virtual-card");
    let reader = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../hardware-tests/independent/tap_reader.py"
    );
    let card = folder
        .join("cards")
        .join(format!("{}.card", shown["card_serial"].as_str().unwrap()));
    let bundle = folder.join("terminals/bus-m204.bundle");
    let output = Command::new(beside)
        .arg("reader")
        .arg("--memory")
        .arg(card)
        // The system's own interpreter: `make setup` installs its packages, not those of another one on the path.
        .args([
            "--",
            "/usr/bin/python3",
            reader,
            "--at",
            DAY,
            "--reader",
            shown["reader"].as_str().unwrap(),
        ])
        .arg("--bundle")
        .arg(&bundle)
        .arg("--key")
        .arg(folder.join("terminals/bus-m204.bundle.key"))
        .output()
        .unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(said["decision"], "accepted");
    for key in [
        "role",
        "tier",
        "class",
        "services",
        "zones",
        "valid_from",
        "valid_to",
        "rule_set",
    ] {
        assert_eq!(said["saw"][key], shown["bus"]["saw"][key], "{key}");
    }
}

#[test]
fn an_applicant_who_is_not_eligible_is_told_why() {
    let folder = tempfile::tempdir().unwrap();
    let applicant = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/applicant-refused.json");
    let output = demo(folder.path(), &["--no-pcsc", "--applicant", applicant]);
    let shown = failure(&output, 1, "NOT_ELIGIBLE");
    assert!(shown["permit_id"].is_null());
    let unmet = shown["explanation"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["met"] == false)
        .count();
    assert!(unmet > 0);
    // The same question has the same answer.
    let again = failure(
        &demo(folder.path(), &["--no-pcsc", "--applicant", applicant]),
        1,
        "NOT_ELIGIBLE",
    );
    assert_eq!(again["explanation"], shown["explanation"]);
    // And the installation still works for somebody else.
    assert_eq!(
        object(&demo(folder.path(), &["--no-pcsc"]))["transport"],
        "in-process"
    );
    nothing_is_left(folder.path());
}

#[test]
fn faults_of_the_form_are_told_all_at_once_before_anything_is_issued() {
    let folder = tempfile::tempdir().unwrap();
    let sample = include_str!("../../samples/applicant-li-na.json");
    let case = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let place = folder.path().join("installation");
    for (name, text, exit, code, field) in [
        (
            "digit",
            sample.replace("440305198511120028", "440305198511120029"),
            1,
            "APPLICANT",
            "citizen_number",
        ),
        (
            "birthday",
            sample.replace("440305198511120028", "440305198502300028"),
            1,
            "APPLICANT",
            "citizen_number",
        ),
        (
            "unknown",
            sample.replace("\"name\"", "\"nickname\""),
            2,
            "APPLICANT_FORMAT",
            "nickname",
        ),
        ("no json", "{".to_owned(), 2, "APPLICANT_FORMAT", "$"),
    ] {
        let file = case(name, text);
        let shown = failure(&demo(&place, &["--no-pcsc", "--applicant", &file]), exit, code);
        let fields = shown["fields"].to_string();
        assert!(fields.contains(field), "{name}: {fields}");
        assert!(
            !shown.to_string().contains("李娜"),
            "no personal data in a message"
        );
    }
    nothing_is_left(&place);
}

#[test]
fn names_that_cannot_be_printed_stop_before_a_card_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let sample = include_str!("../../samples/applicant-li-na.json");
    let place = folder.path().join("installation");
    for (name, code, number) in [
        // U+2A6D6, which the screen font lacks.
        ("李𪛖", "MISSING_GLYPH", "440106199003071012"),
        (
            "阿卜杜热合曼买买提图尔荪努尔买买提阿卜杜热合曼买买提阿卜杜热合曼买买提图尔荪努尔",
            "TEXT_OVERFLOW",
            "120223198902021249",
        ),
    ] {
        let (birth, sex) = (
            &number[6..14],
            if number.as_bytes()[16] % 2 == 1 { "1" } else { "2" },
        );
        let birth = format!("{}-{}-{}", &birth[..4], &birth[4..6], &birth[6..]);
        let text = sample
            .replace("李娜", name)
            .replace("440305198511120028", number)
            .replace("1985-11-12", &birth)
            .replace("\"sex\": \"2\"", &format!("\"sex\": \"{sex}\""));
        let file = folder.path().join("applicant.json");
        std::fs::write(&file, text).unwrap();
        let output = demo(&place, &["--no-pcsc", "--applicant", file.to_str().unwrap()]);
        let shown = object(&output);
        assert_eq!(output.status.code(), Some(1), "{shown}");
        assert_eq!(shown["error"]["code"], "APPLICANT", "{shown}");
        let field = &shown["fields"][0];
        assert_eq!(
            (&field["field"], &field["code"]),
            (&"name".into(), &code.into()),
            "{shown}"
        );
    }
    // No card number was spent on them.
    let good = object(&demo(&place, &["--no-pcsc"]));
    assert_eq!(good["card_serial"], "44030000000100000001");
}

#[test]
fn a_photo_without_a_face_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("installation");
    let text = folder.path().join("photo.txt");
    std::fs::write(&text, "no picture at all").unwrap();
    let output = demo(&place, &["--no-pcsc", "--photo", text.to_str().unwrap()]);
    let shown = object(&output);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown["permit_id"].is_null());
    assert_eq!(
        demo(&place, &["--no-pcsc"]).status.code(),
        Some(0),
        "another photo for the same case"
    );
}

#[test]
fn usage_and_foreign_folders_change_nothing() {
    let output = permit()
        .args(["demo", "--json", "--no-such-option"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["error"]["code"], "USAGE");

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("diary.txt"), "mine").unwrap();
    failure(&demo(folder.path(), &["--no-pcsc"]), 5, "FOLDER_FOREIGN");
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(names, ["diary.txt"]);
}

#[test]
fn a_named_reader_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let output = permit()
        .arg("demo")
        .arg("--dir")
        .arg(folder.path().join("installation"))
        .args(["--json", "--reader", "No Such Reader 00"])
        // A socket that nobody serves: the machine's own service, if it has one, is left alone.
        .env("PCSCLITE_CSOCK_NAME", folder.path().join("nobody"))
        .output()
        .unwrap();
    let shown = object(&output);
    assert_eq!(output.status.code(), Some(3), "{shown}");
    nothing_is_left(folder.path());
}

/// Runs the demo under this file mode mask, and kills it at the moment that `is_come` sees.
fn killed_when(folder: &Path, mask: &str, is_come: impl Fn() -> bool) {
    let mut child = Command::new("sh")
        .args(["-c", "umask $0; exec \"$@\"", mask, env!("CARGO_BIN_EXE_permit")])
        .args(["demo", "--no-pcsc", "--at", DAY, "--json", "--dir"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !is_come() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_micros(500));
    }
    // As a loss of power: it may have ended by itself.
    let _ = child.kill();
    child.wait().unwrap();
}

/// Everything in a folder that others may read, write or enter.
fn open_to_others(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    use std::os::unix::fs::PermissionsExt as _;
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let meta = entry.metadata().unwrap();
        if meta.is_symlink() {
            continue;
        }
        if meta.permissions().mode() & 0o077 != 0 {
            found.push(entry.path());
        }
        if meta.is_dir() {
            open_to_others(&entry.path(), found);
        }
    }
}

#[test]
fn killed_at_any_moment_the_same_command_goes_on_and_all_that_it_makes_is_private() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("installation");
    let is_there = |name: &str| folder.join(name).exists();
    let is_envelope = |name: std::ffi::OsString| name.to_string_lossy().ends_with(".share.json");
    let packages = || {
        let found = std::fs::read_dir(folder.join("custodians/packages"));
        found.map_or(0, |found| {
            found
                .flatten()
                .filter(|entry| is_envelope(entry.file_name()))
                .count()
        })
    };
    let moments: [&dyn Fn() -> bool; 9] = [
        &|| is_there(".lock"),
        &|| is_there("installation.json"),
        &|| is_there(".vault.founding/vault.sqlite"),
        &|| packages() >= 2,
        &|| packages() >= 5,
        &|| is_there("vault/vault.sqlite"),
        &|| is_there("vault/socket"),
        &|| is_there("photo-store/photos.sqlite"),
        &|| is_there("issuer/issuer.db"),
    ];
    for is_come in moments {
        killed_when(&folder, "000", is_come);
        // Its children end with it.
        nothing_is_left(&folder);
    }
    let output = demo(&folder, &["--no-pcsc"]);
    let shown = object(&output);
    assert_eq!(
        shown["ok"],
        true,
        "{shown}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(packages(), 5);
    nothing_is_left(&folder);
    let mut open = Vec::new();
    open_to_others(&folder, &mut open);
    assert_eq!(open, Vec::<std::path::PathBuf>::new());

    // Envelopes of another vault beside its own, as earlier versions left them: it takes those of the vault that it has.
    for package in std::fs::read_dir(folder.join("custodians/packages"))
        .unwrap()
        .flatten()
    {
        let name = package.file_name().into_string().unwrap();
        if !is_envelope(package.file_name()) {
            continue;
        }
        let text = std::fs::read_to_string(package.path()).unwrap();
        let vault = serde_json::from_str::<Value>(&text).unwrap()["vault"]
            .as_str()
            .unwrap()
            .to_owned();
        let other = format!("00000000-{}", name.split_once('-').unwrap().1);
        std::fs::write(
            package.path().with_file_name(other),
            text.replace(&vault, &"0".repeat(32)),
        )
        .unwrap();
    }
    let again = object(&demo(&folder, &["--no-pcsc"]));
    assert_eq!(again["error"]["code"], "ALREADY_HAS_PERMIT", "{again}");
    nothing_is_left(&folder);
}

/// Interrupts a run when its `at`-th step is told; gives its exit code, `None` when it ended before.
fn interrupted(folder: &Path, at: usize, signal: &str, more: &[&str]) -> Option<i32> {
    let mut child = permit()
        .arg("demo")
        .arg("--dir")
        .arg(folder)
        .args(["--at", DAY])
        .args(more)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut steps = 0;
    let mut sent = false;
    for line in lines.map_while(Result::ok) {
        steps += usize::from(line.contains('✓'));
        if !sent && steps == at {
            sent = true;
            let pid = child.id().to_string();
            assert!(
                Command::new("kill")
                    .args(["-s", signal, &pid])
                    .status()
                    .unwrap()
                    .success()
            );
        }
    }
    let code = child.wait().unwrap().code();
    if sent { code } else { None }
}

#[test]
fn interrupted_at_every_step_it_cleans_up_and_the_next_run_goes_on() {
    for (mode, signal) in [(&["--no-pcsc"][..], "INT"), (&[][..], "TERM")] {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("installation");
        // One folder: each run goes on where the one before was cut, and is cut at a later step of its own.
        let mut finished = false;
        for at in 1..40 {
            let Some(code) = interrupted(&place, at, signal, mode) else {
                // It came to its end before its `at`-th step.
                finished = true;
                break;
            };
            assert!(code == 4 || code == 0, "step {at}: exit {code}");
            nothing_is_left(&place);
            if code == 0 {
                finished = true;
                break;
            }
        }
        let output = demo(&place, mode);
        let shown = object(&output);
        let told = String::from_utf8_lossy(&output.stderr);
        if shown["ok"] == true {
            assert_eq!(
                shown["card_serial"], "44030000000100000001",
                "never a second card"
            );
        } else {
            // Only a run that came to its end before the signal leaves nothing to show.
            assert_eq!(shown["error"]["code"], "ALREADY_HAS_PERMIT", "{shown}\n{told}");
        }
        assert!(shown["ok"] == true || finished, "{shown}\n{told}");
        nothing_is_left(&place);
    }
}
