//! `virtual-card taptime` as people and scripts use it.
use std::process::{Command, Output};

use serde_json::Value;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_virtual-card"))
        .arg("taptime")
        .args(arguments)
        .output()
        .unwrap()
}

fn object(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    let text = std::str::from_utf8(&output.stdout).unwrap();
    assert_eq!(text.matches('\n').count(), 1, "one object and a newline");
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_object_has_every_card_rate_and_use_and_its_parts_add_up() {
    let object = object(&run(&["--json"]));
    assert_eq!(object["schema"], "yzt.taptime/1");
    assert_eq!(object["ok"], true);
    let count = |name: &str| object[name].as_array().unwrap().len();
    assert_eq!(count("cards"), 4);
    assert_eq!(count("times"), count("scenarios") * 4 * 4);
    for row in object["times"].as_array().unwrap() {
        let parts: f64 = row["ms"]
            .as_object()
            .unwrap()
            .values()
            .map(|part| part.as_f64().unwrap())
            .sum();
        let total = row["total_ms"].as_f64().unwrap();
        assert!((parts - total).abs() < 0.05, "{row}");
    }
    assert_eq!(object["assumptions"]["dispatch_ms"], 3.0);
    assert_eq!(object["assumptions"]["key_set_up"], "once");
    assert_eq!(count("targets"), 6);
}

#[test]
fn assumptions_change_the_result_and_stand_in_it() {
    let total = |arguments: &[&str]| {
        let object = object(&run(arguments));
        object["times"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["scenario"] == "tap")
            .unwrap()["total_ms"]
            .as_f64()
            .unwrap()
    };
    let base = ["--json", "--card", "j3r180", "--bit-rate", "424"];
    let with = |more: &[&str]| total(&[&base[..], more].concat());
    let near = |a: f64, b: f64| assert!((a - b).abs() < 0.05, "{a} {b}");
    // Two commands, one activation.
    near(with(&["--dispatch-ms", "4"]), with(&[]) + 2.0);
    near(with(&["--activation-ms", "0"]), with(&[]) - 12.0);
    assert!(with(&["--frame", "64"]) > with(&[]) + 0.5);
    assert!(total(&["--json", "--card", "j3r180", "--bit-rate", "106"]) > with(&[]) + 15.0);
}

#[test]
fn a_gate_opens_within_its_goal_and_says_what_is_assumed() {
    let passage = |arguments: &[&str], scenario: &str| {
        let all = object(&run(&[&["--json", "--card", "j3r180"], arguments].concat()));
        let passages = all["gate"]["passages"].as_array().unwrap().clone();
        let found = passages
            .into_iter()
            .find(|passage| passage["scenario"] == scenario)
            .unwrap();
        let sum = |kind: &str| -> f64 {
            found[kind]
                .as_object()
                .unwrap()
                .values()
                .map(|part| part.as_f64().unwrap())
                .sum()
        };
        let total = found["total_ms"].as_f64().unwrap();
        assert!(
            (sum("assumed_ms") + sum("modelled_ms") - total).abs() < 0.05,
            "{found}"
        );
        (total, found["goal_ms"].as_f64().unwrap())
    };
    let near = |a: f64, b: f64| assert!((a - b).abs() < 0.05, "{a} {b}");
    for (scenario, goal) in [("tap", 100.0), ("tap_commit", 140.0)] {
        let (total, at_most) = passage(&[], scenario);
        near(at_most, goal);
        assert!(total <= goal, "{scenario}: {total}");
    }
    let (base, _) = passage(&[], "tap");
    near(passage(&["--polling-ms", "100"], "tap").0, base + 80.0);
    near(passage(&["--regions", "12"], "tap").0, base + 5.12);
    near(passage(&["--output-ms", "0"], "tap").0, base - 5.0);
    assert!(passage(&["--other-selects", "4"], "tap").0 > base + 9.0);
}

#[test]
fn people_get_tables_with_assumptions_and_targets() {
    let output = run(&["--card", "j3h145", "--bit-rate", "848"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "Modelled, not measured",
        "12 ms activation",
        "848 kbit/s",
        "J3H145 (JCOP3)",
        "TAP + COMMIT",
        "targets at 424 kbit/s",
        "A gate at 424 kbit/s",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    assert!(!text.contains("SECORA"));
}

#[test]
fn charts_are_drawn_into_files() {
    let folder = tempfile::tempdir().unwrap();
    let (uses, rates) = (folder.path().join("uses.svg"), folder.path().join("rates.svg"));
    let output = run(&[
        "--svg",
        uses.to_str().unwrap(),
        "--svg-rates",
        rates.to_str().unwrap(),
    ]);
    assert!(output.status.success());
    for file in [&uses, &rates] {
        let svg = std::fs::read_to_string(file).unwrap();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("目标 target"));
    }
    let nowhere = folder.path().join("not there/x.svg");
    let output = run(&["--json", "--svg", nowhere.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(5));
    let failure: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&failure["ok"], &failure["error"]["code"]),
        (&false.into(), &"FILE".into())
    );
}

#[test]
fn what_is_no_card_rate_or_time_is_refused() {
    for arguments in [
        ["--card", "j2a081"],
        ["--bit-rate", "300"],
        ["--dispatch-ms", "-1"],
        ["--activation-ms", "NaN"],
        ["--frame", "8"],
        ["--regions", "0"],
        ["--polling-ms", "-1"],
        ["--key-set-up", "never"],
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
