//! The conformance suite on the reference card: all of it in this process, a sample over a private PC/SC service, what it
//! needs on a physical reader by name; and that suite, program and page say the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use card_reader::transport::{Transport, TransportError};
use hardware_tests::conformance::{
    Case, Choice, Cutter, Report, Setup, TestKeys, Verdict, cases, report, run,
};
use hardware_tests::rig::{self, Needs, READER_VARIABLE, WRITE_VARIABLE, with_reader};
use hardware_tests::sample;
use program_contract::Language;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

fn rng(seed: u8) -> StdRng {
    StdRng::from_seed([seed; 32])
}

fn conform(
    card: &mut dyn Transport,
    keys: Option<&TestKeys>,
    cutter: Option<&mut (dyn Cutter + 'static)>,
    choice: &Choice,
) -> Report {
    let setup = Setup {
        transport: card,
        keys,
        rng: rng(2),
        watch: &|| 0,
        cutter: match cutter {
            Some(cutter) => Some(cutter),
            None => None,
        },
        today: sample::TODAY,
        samples: 256,
        wear: 30,
    };
    run(setup, choice, &mut |_: &Case| {}).unwrap()
}

fn everything() -> Choice {
    Choice {
        destructive: true,
        ..Choice::default()
    }
}

#[test]
fn the_reference_card_passes_every_case_in_process() {
    let keys = TestKeys::generate(&mut rng(1));
    let (mut card, mut cutter) = rig::test_blank(&keys, 1, &mut rng(3)).unwrap();
    let report = conform(&mut card, Some(&keys), Some(&mut cutter), &everything());
    let (_, failed, not_run) = report.counts();
    assert_eq!(failed, 0, "{}", report::table(&report));
    // A card in this process has no radio interface.
    let left: Vec<&str> = report
        .outcomes
        .iter()
        .filter(|outcome| matches!(outcome.verdict, Verdict::NotRun(_)))
        .map(|outcome| outcome.case.number)
        .collect();
    assert_eq!(
        (not_run, &left[..]),
        (1, &["13.03"][..]),
        "{}",
        report::table(&report)
    );
    assert_eq!(report.outcomes.len(), cases().len());
}

#[test]
fn without_keys_nothing_is_written_and_what_needs_them_is_said() {
    let keys = TestKeys::generate(&mut rng(1));
    let (mut card, cutter) = rig::test_blank(&keys, 1, &mut rng(3)).unwrap();
    drop(cutter);
    let report = conform(&mut card, None, None, &Choice::default());
    let (passed, failed, not_run) = report.counts();
    assert_eq!(failed, 0, "{}", report::table(&report));
    assert!(passed >= 20 && not_run > 80, "{passed} passed, {not_run} not run");
    for outcome in &report.outcomes {
        if let Verdict::NotRun(why) = &outcome.verdict {
            assert!(!why.is_empty(), "{}", outcome.case.number);
        } else {
            assert!(!outcome.case.writes(), "{} was run", outcome.case.number);
        }
    }
}

#[test]
fn a_card_outside_the_test_lot_is_not_written() {
    let keys = TestKeys::generate(&mut rng(1));
    let others = TestKeys::generate(&mut rng(9));
    let (mut card, _) = rig::test_blank(&others, 1, &mut rng(3)).unwrap();
    let report = conform(&mut card, Some(&keys), None, &everything());
    for outcome in &report.outcomes {
        if outcome.case.needs_keys() {
            assert!(
                matches!(&outcome.verdict, Verdict::NotRun(why) if why.contains("test lot")),
                "{}: {:?}",
                outcome.case.number,
                outcome.verdict
            );
        }
    }
    // It still is a blank.
    let again = conform(
        &mut card,
        Some(&others),
        None,
        &Choice {
            cases: vec!["05.04".to_owned()],
            destructive: true,
            ..Choice::default()
        },
    );
    assert_eq!(again.verdict("05.04"), Some(&Verdict::Pass));
}

#[test]
fn a_card_that_was_used_up_is_told_and_keeps_what_a_stranger_may_see() {
    let keys = TestKeys::generate(&mut rng(1));
    let (mut card, _) = rig::test_blank(&keys, 1, &mut rng(3)).unwrap();
    conform(&mut card, Some(&keys), None, &everything());
    let report = conform(&mut card, Some(&keys), None, &everything());
    let (passed, failed, _) = report.counts();
    assert_eq!(failed, 0, "{}", report::table(&report));
    assert!(passed >= 20, "{passed}");
}

/// A card that says nothing to some commands.
struct Silent<T> {
    card: T,
    /// Commands until it falls silent for the first time.
    left: u32,
    /// It never comes back.
    for_good: bool,
}

impl<T: Transport> Transport for Silent<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        if self.left == 0 && (self.for_good || command[1] == 0x12) {
            return Err(TransportError::ReaderLost);
        }
        self.left = self.left.saturating_sub(1);
        self.card.transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        if self.left == 0 && self.for_good {
            return Err(TransportError::NoCard);
        }
        self.card.reset()
    }

    fn name(&self) -> &'static str {
        "silent"
    }
}

#[test]
fn a_card_that_is_lost_ends_the_run_and_one_that_falls_silent_fails_the_case() {
    let keys = TestKeys::generate(&mut rng(1));
    let (card, _) = rig::test_blank(&keys, 1, &mut rng(3)).unwrap();
    let mut lost = Silent {
        card,
        left: 200,
        for_good: true,
    };
    let report = conform(&mut lost, Some(&keys), None, &everything());
    // It went away at a command or at the reset before one.
    let trouble = report.lost.clone().unwrap();
    assert!(
        matches!(trouble, TransportError::ReaderLost | TransportError::NoCard),
        "{trouble}"
    );
    let said = report::outcome(&report)
        .unwrap_err()
        .object(report::SCHEMA, Language::English);
    assert_eq!(
        (&said["ok"], &said["error"]["code"]),
        (&false.into(), &trouble.code().into())
    );
    assert_eq!(report.outcomes.len(), cases().len(), "every case has a verdict");
    assert_eq!(report.counts().1, 1, "{}", report::table(&report));

    let (card, _) = rig::test_blank(&keys, 1, &mut rng(3)).unwrap();
    let mut silent = Silent {
        card,
        left: 0,
        for_good: false,
    };
    let report = conform(&mut silent, Some(&keys), None, &everything());
    assert_eq!(report.lost, None);
    assert!(matches!(report.verdict("06.07"), Some(Verdict::Fail(what)) if what.contains("no answer")));
    assert_eq!(report.verdict("07.07"), Some(&Verdict::Pass), "the run goes on");
    assert_eq!(
        report.verdict("05.40"),
        Some(&Verdict::Pass),
        "to the end of the card's life"
    );
}

#[test]
fn the_suite_runs_over_pcsc() {
    // On a physical reader: all that the card and the keys beside it allow.
    if std::env::var_os(READER_VARIABLE).is_some() {
        with_reader("conformance::the_suite_runs_over_pcsc", Needs::Card, |rig| {
            let keys =
                std::env::var_os("YZT_TEST_KEYS").map(|path| TestKeys::read(Path::new(&path)).unwrap());
            let choice = Choice {
                destructive: std::env::var(WRITE_VARIABLE).is_ok_and(|word| word == "1"),
                ..Choice::default()
            };
            let mut card = rig.connect().unwrap();
            let report = conform(&mut card, keys.as_ref(), None, &choice);
            println!("{}", report::table(&report));
            assert_eq!(report.counts().1, 0);
        })
        .unwrap();
        return;
    }
    with_reader("conformance::the_suite_runs_over_pcsc", Needs::Writing, |rig| {
        let keys = TestKeys::generate(&mut rng(1));
        let blank = rig::test_lot_blank(&keys, 1).unwrap();
        rig.lay_blank(&blank, &mut rng(3)).unwrap();
        let mut card = rig.connect().unwrap();
        // One or more of each door, of each part, and the whole life of the card; each reset costs time here.
        let sample = [
            "01.01", "01.04", "02.01", "02.02", "02.05", "03.01", "04.01", "05.01", "05.12", "05.24",
            "06.01", "06.05", "06.07", "06.08", "07.05", "07.07", "09.03", "11.01", "13.01", "13.02",
            "13.09", "13.10", "05.40",
        ];
        let choice = Choice {
            cases: sample.map(str::to_owned).to_vec(),
            destructive: true,
            ..Choice::default()
        };
        let report = conform(&mut card, Some(&keys), None, &choice);
        assert_eq!(
            report.counts(),
            (sample.len(), 0, 0),
            "{}",
            report::table(&report)
        );
    })
    .unwrap();
}

#[test]
fn cases_have_numbers_of_their_own_and_sentences() {
    let all = cases();
    for pair in all.windows(2) {
        assert!(pair[0].number < pair[1].number, "{} comes twice", pair[1].number);
    }
    for case in &all {
        assert!((1..=14).contains(&case.chapter()), "{}", case.number);
        assert!(
            !case.sentence.ends_with('.') && case.sentence.len() > 20,
            "{}",
            case.number
        );
        assert!(
            !report::chapter_name(case.chapter()).is_empty(),
            "{}",
            case.number
        );
        let (chapter, heading) = case.reference.split_once(' ').unwrap();
        assert!(chapter.len() == 2 && !heading.is_empty(), "{}", case.reference);
    }
}

#[test]
fn the_suite_uses_nothing_of_the_reference_card() {
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conformance")];
    let mut seen = 0;
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            seen += 1;
            let text = fs::read_to_string(&path).unwrap();
            for inside in [
                "card_applet::",
                "virtual_card",
                "keyvault",
                "crate::rig",
                "crate::scratch_issuer",
            ] {
                assert!(!text.contains(inside), "{} uses {inside}", path.display());
            }
        }
    }
    assert!(seen > 10);
}

/// The page for card makers.
fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/card-acceptance.md")
}

#[test]
fn the_page_lists_the_cases_of_the_program() {
    let (begin, end) = ("<!-- cases: begin -->\n", "<!-- cases: end -->");
    let text = fs::read_to_string(page()).unwrap();
    let (before, rest) = text.split_once(begin).unwrap();
    let (listed, behind) = rest.split_once(end).unwrap();
    let right = format!("{}\n", report::markdown());
    if std::env::var_os("YZT_UPDATE_PAGE").is_some() {
        fs::write(page(), format!("{before}{begin}{right}{end}{behind}")).unwrap();
        return;
    }
    assert_eq!(
        listed, right,
        "run this test with YZT_UPDATE_PAGE=1: the page's list is made from the program's"
    );
}

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_conformance"))
        .args(arguments)
        .env_remove(READER_VARIABLE)
        .env_remove(WRITE_VARIABLE)
        // No service answers here: the machine's own readers are left alone.
        .env("PCSCLITE_CSOCK_NAME", "/nonexistent/socket")
        .output()
        .unwrap()
}

fn object(output: &Output) -> Value {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "one object and a newline: {text}");
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_program_says_verdicts_as_a_table_and_as_one_object() {
    let output = program(&["--in-process", "--chapter", "2", "--json"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said = object(&output);
    assert_eq!(
        (&said["schema"], &said["ok"]),
        (&"yzt.conformance/1".into(), &true.into())
    );
    let cases = said["cases"].as_array().unwrap();
    assert!(
        cases.len() > 5
            && cases
                .iter()
                .all(|case| case["chapter"] == 2 && case["verdict"] == "pass"),
        "{said}"
    );
    let output = program(&["--in-process", "--case", "05.01"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("Chapter 05 Door I") && text.contains("05.01 A  pass"),
        "{text}"
    );
    assert!(text.contains("1 passed, 0 failed, 0 not run"), "{text}");
}

#[test]
fn the_program_keeps_to_its_exit_codes() {
    for (arguments, exit, code) in [
        (&["--json"][..], 3, Some("NO_SERVICE")),
        (
            &["--in-process", "--chapter", "99", "--json"],
            2,
            Some("NO_SUCH_CASE"),
        ),
        (
            &["--in-process", "--test-keys", "/nonexistent", "--json"],
            5,
            Some("FILE"),
        ),
        (&["--in-process", "--reader", "x"], 2, None),
        (&["make-test-keys"], 2, None),
    ] {
        let output = program(arguments);
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}");
        if let Some(code) = code {
            assert_eq!(object(&output)["error"]["code"], code, "{arguments:?}");
        }
    }
}

#[test]
fn test_keys_lead_from_the_makers_key_to_a_blank_that_passes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).display().to_string();
    let maker = virtual_card::blank::make_maker_key(&path("maker.key"), &mut rng(5)).unwrap();
    fs::write(path("maker.pub"), hex::encode(maker.to_point65())).unwrap();
    let output = program(&[
        "make-test-keys",
        "--out",
        &text("test.keys"),
        "--maker",
        &text("maker.pub"),
        "--lot-out",
        &text("lot.yztl"),
        "--blanks",
        "3",
        "--json",
    ]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said = object(&output);
    fs::write(path("ca.pub"), said["card_ca"].as_str().unwrap()).unwrap();
    let made = virtual_card::blank::make_file(
        &path("lot.yztl"),
        &virtual_card::blank::read_private_key(&path("maker.key")).unwrap(),
        &virtual_card::blank::read_public_key(&path("ca.pub")).unwrap(),
        3,
        virtual_card::model::Model::Reference,
        &path("3.card"),
        &mut rng(6),
    )
    .unwrap();
    assert_eq!(made.to_string(), said["last_serial"].as_str().unwrap());
    let keys = TestKeys::read(&path("test.keys")).unwrap();
    let memory = virtual_card::CardMemory::open(&path("3.card")).unwrap();
    let mut card = virtual_card::InProcess::with(virtual_card::Card::new(
        memory,
        virtual_card::CardRandom::from_source(&mut rng(7)),
    ));
    let report = conform(
        &mut card,
        Some(&keys),
        None,
        &Choice {
            cases: vec!["04.01".to_owned(), "04.02".to_owned(), "06.05".to_owned()],
            destructive: true,
            ..Choice::default()
        },
    );
    assert_eq!(report.counts(), (3, 0, 0), "{}", report::table(&report));
    // A file of keys is never written over.
    let again = program(&["make-test-keys", "--out", &text("test.keys"), "--json"]);
    assert_eq!(again.status.code(), Some(5));
}
