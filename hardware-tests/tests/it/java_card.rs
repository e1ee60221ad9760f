//! The card as a Java Card applet: the conformance suite that the reference card passes.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use hardware_tests::conformance::{Case, Choice, Setup, TestKeys, Verdict, cases, report, run};
use hardware_tests::{rig, sample};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// The folder of the compiled classes; none, and said, where there is no Java compiler.
static CLASSES: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/javacard.sh");
    let built = Command::new(script).arg("build").output().unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    if said.contains("there is no Java compiler") {
        println!("{said}");
        return None;
    }
    assert!(built.status.success(), "{said}");
    Some(PathBuf::from(String::from_utf8(built.stdout).unwrap().trim()))
});

fn rng(seed: u8) -> StdRng {
    StdRng::from_seed([seed; 32])
}

#[test]
fn the_java_card_passes_every_case_of_the_suite() {
    let Some(classes) = &*CLASSES else { return };
    let keys = TestKeys::generate(&mut rng(1));
    let (mut card, mut cutter) = rig::java_blank(&keys, 1, classes).unwrap();
    let setup = Setup {
        transport: &mut card,
        keys: Some(&keys),
        rng: rng(2),
        watch: &|| 0,
        cutter: Some(&mut cutter),
        today: sample::TODAY,
        samples: 256,
        wear: 30,
    };
    let choice = Choice {
        destructive: true,
        ..Choice::default()
    };
    let report = run(setup, &choice, &mut |_: &Case| {}).unwrap();
    let (_, failed, not_run) = report.counts();
    assert_eq!(failed, 0, "{}", report::table(&report));
    // A card in a process has no radio interface.
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
    let figure = |name| cutter.card().figure(name).unwrap().unwrap();
    assert_eq!(figure("memory.allocations-after-install"), 0);
    assert!(figure("write.largest-transaction") <= 384);
    assert!(figure("memory.transient") <= 2048);
}
