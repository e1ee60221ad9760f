//! Every committed input of every target, and changes of the seeds: what the fuzzer once found stays found, on the stable
//! toolchain, in `make test`.
use std::path::{Path, PathBuf};

use card_fuzz::{Done, Sold, TARGETS, insider_done, reader_took, shop_sold, unpack};

/// Targets that no run of hours has fuzzed yet: their seeds are replayed.
const NOT_GROWN: [&str; 1] = ["mandates"];
/// Changes of each input that are tried.
const CHANGES: u64 = 6;

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect()
}

/// `SplitMix64`: the same changes on every machine.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn changed(input: &[u8], state: &mut u64) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=draw(state) % 4 {
        let [kind, value, a, b, ..] = draw(state).to_be_bytes();
        let at = usize::from(u16::from_be_bytes([a, b])) % (bytes.len() + 1);
        match kind % 4 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, value),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= value;
                }
            }
        }
    }
    bytes
}

/// Runs one target over its corpus and over changes of it; a panic names the file.
fn replay(name: &str) {
    let (_, run) = TARGETS
        .into_iter()
        .find(|(target, _)| *target == name)
        .expect("a target");
    let files = corpus(name);
    assert!(files.len() >= 4, "{name}: {} inputs", files.len());
    let mut state = 0x59_5A54;
    for (path, input) in &files {
        let tried = std::panic::catch_unwind(|| run(input));
        assert!(tried.is_ok(), "{} does not hold", path.display());
        for number in 0..CHANGES {
            let bytes = changed(input, &mut state);
            let tried = std::panic::catch_unwind(|| run(&bytes));
            assert!(tried.is_ok(), "{}, change {number}: {bytes:02x?}", path.display());
        }
    }
    // Ends and beginnings.
    for input in [&[][..], &[0], &[0xFF; 1], &[0xFF; 700], &[0x00; 700]] {
        run(input);
    }
    if NOT_GROWN.contains(&name) {
        return;
    }
    // What hours of fuzzing kept, as it is.
    let grown = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("corpus/grown/{name}.bin"));
    let grown = std::fs::read(&grown).unwrap_or_else(|error| panic!("{}: {error}", grown.display()));
    let inputs = unpack(&grown).expect("a whole file");
    assert!(inputs.len() >= 20, "{name}: {} inputs", inputs.len());
    for (number, input) in inputs.into_iter().enumerate() {
        let tried = std::panic::catch_unwind(|| run(input));
        assert!(tried.is_ok(), "grown input {number} of {name}: {input:02x?}");
    }
}

#[test]
fn the_corpus_of_the_insider_reaches_what_it_is_for() {
    let mut all = Done::default();
    for (_, input) in corpus("insider") {
        let done = insider_done(&input);
        all.debits += done.debits;
        all.repeated += done.repeated;
        all.refused += done.refused;
        all.steps += done.steps;
        all.finished += done.finished;
        all.read += done.read;
        all.torn += done.torn;
        all.updates += done.updates;
        all.lost_and_done += done.lost_and_done;
    }
    let reached = [
        all.debits,
        all.repeated,
        all.refused,
        all.steps,
        all.finished,
        all.read,
        all.torn,
        all.updates,
        all.lost_and_done,
    ];
    assert!(reached.iter().all(|count| *count > 0), "{all:?}");
}

#[test]
fn in_the_corpus_of_the_reader_honest_cards_are_taken_at_every_door() {
    let doors: std::collections::BTreeSet<u8> = corpus("reader")
        .into_iter()
        .filter(|(_, input)| reader_took(input))
        .map(|(_, input)| (input[0] >> 1) % 5)
        .collect();
    assert_eq!(doors.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

#[test]
fn the_corpus_of_the_shop_reaches_what_it_is_for() {
    let mut all = Sold::default();
    for (_, input) in corpus("shop") {
        let sold = shop_sold(&input);
        all.at_once += sold.at_once;
        all.later += sold.later;
        all.refused += sold.refused;
        all.given_up += sold.given_up;
        all.given_up_but_debited += sold.given_up_but_debited;
    }
    let reached = [all.at_once, all.later, all.given_up, all.given_up_but_debited];
    assert!(reached.iter().all(|count| *count > 0), "{all:?}");
}

macro_rules! targets {
    ($($test:ident $name:literal)+) => {
        $(#[test] fn $test() { replay($name); })+

        #[test]
        fn every_target_is_replayed() {
            let here = [$($name),+];
            assert_eq!(TARGETS.map(|(name, _)| name), here);
            for name in here {
                let program = format!("{}/targets/fuzz_targets/{name}.rs", env!("CARGO_MANIFEST_DIR"));
                let text = std::fs::read_to_string(&program).unwrap();
                assert!(text.contains(&format!("card_fuzz::{name}(input)")), "{program}");
            }
        }
    };
}

targets! {
    tlv_holds_for_the_whole_corpus "tlv"
    apdu_holds_for_the_whole_corpus "apdu"
    objects_hold_for_the_whole_corpus "objects"
    certificates_hold_for_the_whole_corpus "certificates"
    a_stranger_gets_nowhere_with_the_whole_corpus "stranger"
    an_insider_breaks_nothing_with_the_whole_corpus "insider"
    a_reader_takes_nothing_from_the_whole_corpus "reader"
    a_shop_counts_right_with_the_whole_corpus "shop"
    updates_hold_for_the_whole_corpus "updates"
    files_hold_for_the_whole_corpus "files"
    mandates_hold_for_the_whole_corpus "mandates"
}
