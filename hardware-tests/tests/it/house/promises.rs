//! One place for each promise: what the system says once in code stands in one file, and nobody says it again.
//!
//! Read from the text of the sources of every crate, without comments and without tests inside a file.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::imports::{crates, find, library, names_and_signs};

/// A promise: what its code looks like, where it stands, and what everybody else uses.
struct Promise {
    /// Names and signs of the code, in order.
    code: &'static str,
    /// Ends of the paths where it may stand.
    places: &'static [&'static str],
    /// What to use instead.
    instead: &'static str,
}

const PROMISES: &[Promise] = &[
    Promise {
        code: "fs :: rename",
        places: &[
            "program/src/file.rs",
            // A folder, a socket: put in place as a whole too, but no file.
            "keyvault/src/custody/ceremony.rs",
            "photo-store/src/socket.rs",
        ],
        instead: "program_contract::file, which flushes the folder too",
    },
    Promise {
        code: "hard_link (",
        places: &["program/src/file.rs"],
        instead: "program_contract::file::create",
    },
    Promise {
        code: "Timestamp :: now",
        places: &["program/src/clock.rs"],
        instead: "program_contract::Clock, made in main",
    },
    Promise {
        code: "trait Clock",
        places: &[],
        instead: "program_contract::Clock, whose `new` takes any source of the time",
    },
    Promise {
        code: "Offset :: constant",
        places: &["program/src/day.rs"],
        instead: "program_contract::day::OFFICE",
    },
    Promise {
        code: "tz :: offset (",
        places: &[],
        instead: "program_contract::day::OFFICE",
    },
    Promise {
        code: "from_digit (",
        places: &[],
        instead: "crate hex",
    },
    Promise {
        code: "to_digit ( 16",
        places: &[],
        instead: "crate hex",
    },
    Promise {
        code: "to_string ( ) . parse",
        // A round trip is what it tries.
        places: &["fuzz/src/encodings.rs"],
        instead: "one type for one concept: card_applet_spec::codes",
    },
    Promise {
        code: "u32 :: from_be_bytes ( prefix",
        places: &["service/src/frame.rs"],
        instead: "service_contract::frame",
    },
    Promise {
        // They panic where standard error or standard output is full or closed.
        code: "eprintln !",
        places: &[],
        instead: "program_contract::tell",
    },
    Promise {
        code: "eprint !",
        places: &[],
        instead: "program_contract::tell",
    },
    Promise {
        code: "; println !",
        places: &["hardware-tests/src/rig.rs", "keyvault/src/serve/tests.rs"],
        instead: "an Outcome of program_contract",
    },
    Promise {
        code: "{ println !",
        // Inside a test, whose output is the test's.
        places: &[
            "hardware-tests/src/rig.rs",
            "virtual-card/src/pcscd.rs",
            "keyvault/src/serve/tests.rs",
        ],
        instead: "an Outcome of program_contract",
    },
    Promise {
        code: "io :: stdout (",
        places: &[
            "program/src/outcome.rs",
            // What a program that goes on says first or between; a failure to say it is `Failure::output`.
            "keyvault/src/command/serve.rs",
            "photo-store/src/cli/mod.rs",
            "permit/src/up.rs",
            "reader/src/program/run/mod.rs",
            "virtual-card/src/pcscd.rs",
            // The document is no object.
            "issuer/src/command/openapi.rs",
        ],
        instead: "program_contract::Program::end",
    },
    Promise {
        code: "try_get_matches_from_mut (",
        places: &["program/src/outcome.rs"],
        instead: "program_contract::Program::arguments",
    },
    Promise {
        code: "of_row (",
        places: &["program/src/outcome.rs", "permit/src/failure.rs"],
        instead: "a table of program_contract::failures!, in both languages",
    },
];

#[test]
fn what_is_promised_once_stands_once() {
    let mut strays = Vec::new();
    for file in sources() {
        let text = names_and_signs(&fs::read_to_string(&file).unwrap()).join(" ");
        for promise in PROMISES {
            let may_stand = promise.places.iter().any(|place| file.ends_with(place));
            if !may_stand && text.contains(promise.code) {
                strays.push(format!(
                    "{}: `{}`; use {}",
                    file.display(),
                    promise.code,
                    promise.instead
                ));
            }
        }
    }
    assert!(strays.is_empty(), "{}", strays.join("\n"));
}

/// Words of the card that have one type, and the file that has it.
const VOCABULARY: [(&str, &str); 8] = [
    ("enum Role", "card-applet-spec/src/codes.rs"),
    ("enum Tier", "card-applet-spec/src/codes.rs"),
    ("enum CardState", "card-applet-spec/src/codes.rs"),
    ("struct Region", "card-applet-spec/src/codes.rs"),
    ("struct Serial", "card-applet-spec/src/codes.rs"),
    ("struct Date", "card-applet-spec/src/date.rs"),
    ("enum Exit", "card-applet-spec/program/src/outcome.rs"),
    ("struct Clock", "card-applet-spec/program/src/clock.rs"),
];

/// A log that says on its own stream that the stream failed ends the program with a panic.
#[test]
fn no_program_ends_because_its_log_cannot_be_written() {
    let mut logs = 0;
    for file in sources() {
        let text = fs::read_to_string(&file).unwrap();
        for set_up in text.split("tracing_subscriber::fmt()").skip(1) {
            logs += 1;
            let set_up = set_up.split(".init()").next().unwrap();
            assert!(
                set_up.contains(".log_internal_errors(false)"),
                "{}",
                file.display()
            );
        }
    }
    assert!(logs > 3, "{logs}");
}

#[test]
fn one_concept_has_one_type() {
    let texts: Vec<(PathBuf, String)> = sources()
        .into_iter()
        .map(|file| {
            let text = names_and_signs(&fs::read_to_string(&file).unwrap()).join(" ");
            (file, text)
        })
        .collect();
    for (definition, place) in VOCABULARY {
        let strays: BTreeSet<_> = texts
            .iter()
            .filter(|(file, text)| {
                !file.ends_with(place)
                    && text
                        .match_indices(definition)
                        .any(|(at, _)| text[at + definition.len()..].starts_with(' '))
            })
            .map(|(file, _)| file.display().to_string())
            .collect();
        assert!(
            strays.is_empty(),
            "{definition} belongs into {place} alone, and stands in {strays:?}"
        );
        let name = definition.split(' ').next_back().unwrap_or_default();
        let is_there = texts
            .iter()
            .any(|(file, text)| file.ends_with(place) && text.split(' ').any(|word| word == name));
        assert!(is_there, "{place} has no {name}");
    }
}

/// Public, and used by no product: a part of what is being built next, or of a test in every program.
const KEPT: [(&str, &str); 6] = [
    ("has_door", "the tests of the programs hold their doors with it"),
    (
        "by_two",
        "a policy's final shape; the vault's dual control fills it in",
    ),
    ("ceiling", "likewise"),
    ("only", "likewise"),
    ("who", "likewise"),
    ("organisation", "an employer is known by it"),
];

#[test]
fn a_public_function_is_used_by_another_crate() {
    let mut strays = Vec::new();
    let everything: Vec<(PathBuf, BTreeSet<String>)> = all_code()
        .into_iter()
        .map(|file| {
            let names = names_and_signs(&fs::read_to_string(&file).unwrap())
                .into_iter()
                .collect();
            (file, names)
        })
        .collect();
    for folder in crates() {
        // A program is another crate than the library beside it.
        let own = library(&folder);
        for file in &own {
            let tokens = names_and_signs(&fs::read_to_string(file).unwrap());
            for name in public_functions(&tokens) {
                let is_used = everything
                    .iter()
                    .any(|(other, names)| !own.contains(other) && names.contains(&name));
                if !is_used && !KEPT.iter().any(|(kept, _)| *kept == name) {
                    strays.push(format!("{}: {name}", file.display()));
                }
            }
        }
    }
    assert!(
        strays.is_empty(),
        "public, and no other crate names them; give them a door, make them pub(crate), or delete them:\n{}",
        strays.join("\n")
    );
}

fn public_functions(tokens: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, token) in tokens.iter().enumerate() {
        if token == "pub" && tokens.get(at + 1).is_some_and(|next| next != "(") {
            let name = tokens[at + 1..]
                .iter()
                .take(4)
                .skip_while(|word| ["const", "async", "unsafe"].contains(&word.as_str()))
                .take(2)
                .collect::<Vec<_>>();
            if let [first, name] = name.as_slice()
                && *first == "fn"
            {
                found.insert((*name).clone());
            }
        }
    }
    found
}

fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in crates() {
        find(&folder.join("src"), &mut files);
    }
    files
}

/// Every Rust file of the repository that may use a crate: tests, benches, fuzz targets too.
pub(super) fn all_code() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in crates() {
        for part in ["src", "tests", "benches", "examples", "targets"] {
            find(&folder.join(part), &mut files);
        }
    }
    files
}
