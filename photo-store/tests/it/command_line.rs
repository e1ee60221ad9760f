//! The program as scripts see it: one JSON object, exit codes, files whole or not at all.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::pictures;

fn photo_store(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_photo-store"))
        .args(arguments)
        .env("LC_ALL", "en_GB.UTF-8")
        .output()
        .unwrap()
}

/// The exit code and the one JSON object of a run.
fn json(arguments: &[&str]) -> (i32, Value) {
    let output = photo_store(arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with('\n') && text.lines().count() == 1, "{text}");
    (
        output.status.code().unwrap(),
        serde_json::from_str(&text).unwrap(),
    )
}

fn error_code(object: &Value) -> &str {
    assert_eq!(object["ok"], false);
    assert!(!object["error"]["message"].as_str().unwrap().is_empty());
    assert!(object["error"]["action"].as_str().unwrap().ends_with('.'));
    object["error"]["code"].as_str().unwrap()
}

fn file(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn check_prints_the_contracts_keys_and_exits_0_for_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let (exit, object) = json(&["check", "--json", &file(folder.path(), "a.png", pictures::SAMPLE)]);
    assert_eq!(exit, 0);
    assert_eq!(object["schema"], "yzt.photo-check/1");
    assert_eq!(object["ok"], true);
    assert_eq!(object["verdict"], "warn");
    assert_eq!(
        (object["width"].as_u64(), object["height"].as_u64()),
        (Some(280), Some(350))
    );
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&object["faces"][0]), ["h", "score", "w", "x", "y"]);
    assert_eq!(
        keys(&object["checks"][0]),
        ["code", "level", "limit", "measured", "passed", "unit"]
    );
}

#[test]
fn check_exits_1_with_the_check_that_refused_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("GIF89a".as_bytes().to_vec(), "FORMAT"),
        (pictures::SAMPLE[..50_000].to_vec(), "TRUNCATED"),
        (pictures::nobody(), "NO_FACE"),
    ];
    for (bytes, code) in cases {
        let (exit, object) = json(&["check", "--json", &file(folder.path(), "a", &bytes)]);
        assert_eq!((exit, object["verdict"].as_str()), (1, Some("refuse")), "{code}");
        assert_eq!(error_code(&object), code);
    }
}

#[test]
fn check_reads_standard_input() {
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_photo-store"))
        .args(["check", "--json", "-"])
        .write_stdin(pictures::SAMPLE)
        .output()
        .unwrap();
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["verdict"], "warn");
}

#[test]
fn an_unreadable_path_exits_5_and_a_misused_command_2() {
    let folder = tempfile::tempdir().unwrap();
    let (exit, object) = json(&["check", "--json", folder.path().join("absent").to_str().unwrap()]);
    assert_eq!((exit, error_code(&object)), (5, "FILE_UNREADABLE"));
    let (exit, object) = json(&["check", "--json", folder.path().to_str().unwrap()]);
    assert_eq!((exit, error_code(&object)), (5, "FILE_UNREADABLE"));
    let (exit, object) = json(&["check", "--json"]);
    assert_eq!((exit, error_code(&object)), (2, "USAGE"));
    let sample = file(folder.path(), "a.png", pictures::SAMPLE);
    let out = folder.path().join("out.jpg");
    let (exit, object) = json(&[
        "normalise",
        "--json",
        &sample,
        "--profile",
        "passport",
        "--out",
        out.to_str().unwrap(),
    ]);
    assert_eq!((exit, error_code(&object)), (2, "UNKNOWN_PROFILE"));
}

#[test]
fn a_failure_is_told_in_the_language_that_was_chosen() {
    for (tag, message) in [("zh-CN", "无法读取文件"), ("en", "The file cannot be read")] {
        let (exit, object) = json(&["check", "--json", "--lang", tag, "/nowhere/photo.jpg"]);
        assert_eq!(
            (exit, &object["error"]["code"]),
            (5, &Value::from("FILE_UNREADABLE"))
        );
        let told = object["error"]["message"].as_str().unwrap();
        assert!(told.contains(message), "{told}");
    }
}

#[test]
fn a_socket_path_that_is_too_long_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, long) = (folder.path().join("store"), format!("/tmp/{}", "s".repeat(120)));
    let dir = dir.to_str().unwrap();
    for arguments in [
        &["serve", "--dir", dir, "--socket", &long, "--vault", "vault.sock"][..],
        &["serve", "--dir", dir, "--socket", "photos.sock", "--vault", &long],
    ] {
        let (exit, object) = json(&[arguments, &["--json"]].concat());
        assert_eq!(
            (exit, &object["error"]["code"]),
            (2, &"SOCKET_PATH".into()),
            "{object}"
        );
    }
    assert!(!Path::new(dir).exists());
}

#[test]
fn people_get_the_language_that_they_chose_or_chinese_first_and_english_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let sample = file(folder.path(), "a.png", pictures::SAMPLE);
    let said = |locale: &str, more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_photo-store"))
            .args(["check", &sample])
            .args(more)
            .env("LC_ALL", locale)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let both = said("C.UTF-8", &[]);
    assert!(
        both.starts_with("需具名确认 a named person has to confirm"),
        "{both}"
    );
    let (chinese, english) = ("背景不是白色", "The background is not white.");
    assert!(both.contains(chinese) && both.contains(english), "{both}");
    for (locale, more) in [("zh_CN.UTF-8", &[][..]), ("en_GB", &["--lang", "zh-CN"])] {
        let one = said(locale, more);
        assert!(one.contains(chinese) && !one.contains(english), "{one}");
    }
    for (locale, more) in [("en_GB.UTF-8", &[][..]), ("zh_CN", &["--lang", "en"])] {
        let one = said(locale, more);
        assert!(one.contains(english) && one.is_ascii(), "{one}");
    }
}

#[test]
fn normalise_writes_a_photo_of_350_dpi_and_says_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let sample = file(folder.path(), "a.png", pictures::SAMPLE);
    let out = folder.path().join("out.jpg");
    let (exit, object) = json(&[
        "normalise",
        "--json",
        &sample,
        "--profile",
        "ga461",
        "--out",
        out.to_str().unwrap(),
    ]);
    assert_eq!(exit, 0);
    assert_eq!(object["schema"], "yzt.photo-normalise/1");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&out).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "a face is for its owner only");
    let written = std::fs::read(&out).unwrap();
    assert_eq!(object["bytes"].as_u64().unwrap(), written.len() as u64);
    assert_eq!(
        (object["width"].as_u64(), object["height"].as_u64()),
        (Some(358), Some(441))
    );
    assert_eq!(
        (object["dpi"].as_u64(), object["profile"].as_str()),
        (Some(350), Some("ga461"))
    );
    assert!(object["quality"].as_u64().is_some());
    assert_eq!(
        &written[13..18],
        [1, 1, 0x5e, 1, 0x5e],
        "dots per inch, 350 both ways"
    );
}

#[test]
fn normalise_overwrites_only_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let sample = file(folder.path(), "a.png", pictures::SAMPLE);
    let out = file(folder.path(), "out.jpg", b"somebody's file");
    let arguments = ["normalise", "--json", &sample, "--profile", "chip", "--out", &out];
    let (exit, object) = json(&arguments);
    assert_eq!((exit, error_code(&object)), (1, "OUTPUT_EXISTS"));
    assert_eq!(std::fs::read(&out).unwrap(), b"somebody's file");
    let (exit, _) = json(&[&arguments[..], &["--force"]].concat());
    assert_eq!(exit, 0);
    assert!(std::fs::read(&out).unwrap().starts_with(&[0xff, 0xd8]));
}

#[test]
fn a_refused_photo_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = file(folder.path(), "nobody.png", &pictures::nobody());
    let out = folder.path().join("out.jpg");
    let (exit, object) = json(&[
        "normalise",
        "--json",
        &nobody,
        "--profile",
        "ga461",
        "--out",
        out.to_str().unwrap(),
    ]);
    assert_eq!((exit, error_code(&object)), (1, "NO_FACE"));
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "the input only"
    );
}

/// Runs `normalise` into `out` inside a mount namespace, after `mount`.
fn normalise_after(mount: &str, sample: &str, out: &Path) -> (i32, Value) {
    let script = format!("{mount} && exec \"$0\" \"$@\"");
    let output = Command::new("unshare")
        .args(["-Urm", "sh", "-c", &script, env!("CARGO_BIN_EXE_photo-store")])
        .env("LC_ALL", "en_GB.UTF-8")
        .args([
            "normalise",
            "--json",
            sample,
            "--profile",
            "print",
            "--out",
            out.to_str().unwrap(),
        ])
        .output()
        .unwrap();
    let object = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), object)
}

#[test]
fn a_read_only_or_full_target_is_named_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let sample = file(folder.path(), "a.png", pictures::SAMPLE);
    let target = folder.path().join("target");
    std::fs::create_dir(&target).unwrap();
    let at = target.to_str().unwrap();

    let read_only = format!("mount --bind {at} {at} && mount -o remount,ro,bind {at}");
    let (exit, object) = normalise_after(&read_only, &sample, &target.join("out.jpg"));
    assert_eq!((exit, error_code(&object)), (5, "OUTPUT_UNWRITABLE"));

    // The mount is gone with the namespace, so the listing is made inside it.
    let full = format!("mount -t tmpfs -o size=16k tmpfs {at} && trap 'ls -A {at} >&2' EXIT");
    let (exit, object) = normalise_after(&full, &sample, &target.join("out.jpg"));
    assert_eq!((exit, error_code(&object)), (5, "STORAGE_FULL"));
    assert_eq!(std::fs::read_dir(&target).unwrap().count(), 0);
}

#[test]
fn a_store_that_this_user_may_not_use_is_not_called_read_only_or_absent() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    std::fs::create_dir(&store).unwrap();
    std::fs::write(store.join("photos.sqlite"), b"").unwrap();
    // Not even seen; seen, and not written.
    for mode in [0o000, 0o555] {
        std::fs::set_permissions(&store, std::fs::Permissions::from_mode(mode)).unwrap();
        // Root would pass the mode.
        let output = Command::new("unshare")
            .args(["--user", "--map-user=1000", "--map-group=1000"])
            .args([
                env!("CARGO_BIN_EXE_photo-store"),
                "serve",
                "--json",
                "--socket",
                "s",
                "--vault",
                "v",
            ])
            .arg("--dir")
            .arg(&store)
            .current_dir(folder.path())
            .env("LC_ALL", "en_GB.UTF-8")
            .output()
            .unwrap();
        let object: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(
            (output.status.code(), error_code(&object)),
            (Some(5), "STORE_DENIED"),
            "{mode:o}"
        );
    }
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o700)).unwrap();
}
