//! `permit demo` on a disk that is full, and on one that cannot be written: a typed failure, and nothing left running.
//!
//! The disks are small file systems in memory, mounted in a mount namespace of the test's own.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

/// Runs the demo with its folder on a file system in memory that is mounted at `place` with these options.
fn demo_on(place: &Path, options: &str) -> Output {
    let script = format!(
        "set -e; mount -t tmpfs -o {options} tmpfs \"$1\"; exec \"$2\" demo --no-pcsc --json --at 2026-11-21 --dir \"$1/installation\""
    );
    Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "--",
            "sh",
            "-c",
            &script,
            "sh",
        ])
        .arg(place)
        .arg(env!("CARGO_BIN_EXE_permit"))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn object(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        text.lines().count(),
        1,
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(&text).unwrap()
}

fn nothing_is_left(folder: &Path) {
    let folder = folder.to_str().unwrap();
    let left = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
            .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
            .find(|line| line.contains(folder))
    };
    for _ in 0..100 {
        if left().is_none() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("left running: {:?}", left());
}

#[test]
fn a_disk_that_fills_up_at_any_point_ends_the_demo_with_a_typed_failure() {
    let place = tempfile::tempdir().unwrap();
    // Room enough: the file system in memory is no trouble by itself.
    let roomy = demo_on(place.path(), "size=64m");
    assert_eq!(object(&roomy)["ok"], true, "{}", object(&roomy));
    nothing_is_left(place.path());
    let mut codes = Vec::new();
    for kilobytes in [4, 64, 256, 512, 1024, 1536, 2048, 3072] {
        let output = demo_on(place.path(), &format!("size={kilobytes}k"));
        let shown = object(&output);
        nothing_is_left(place.path());
        if shown["ok"] == true {
            continue;
        }
        let error = &shown["error"];
        println!("{kilobytes} kB: {:?} {error}", output.status.code());
        // 5, or 3 where the full disk ended a service of ours first, or 4 where it was full in the middle of a card.
        assert!(
            matches!(output.status.code(), Some(3..=5)),
            "{kilobytes} kB: {shown}"
        );
        for key in ["code", "message", "action"] {
            assert!(
                !error[key].as_str().unwrap().is_empty(),
                "{kilobytes} kB: {shown}"
            );
        }
        assert!(!shown.to_string().contains("李娜"));
        codes.push(kilobytes);
    }
    assert!(codes.len() >= 3, "too few disks were too small: {codes:?}");
}

#[test]
fn a_disk_that_cannot_be_written_ends_the_demo_before_anything_is_started() {
    let place = tempfile::tempdir().unwrap();
    let output = demo_on(place.path(), "size=1m,ro");
    let shown = object(&output);
    assert_eq!(output.status.code(), Some(5), "{shown}");
    assert_eq!(shown["error"]["code"], "FILE", "{shown}");
    let steps = String::from_utf8_lossy(&output.stderr);
    assert!(!steps.contains('✓'), "{steps}");
    nothing_is_left(place.path());
}
