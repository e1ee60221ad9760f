//! What documents name exists. A name in code style of four words and more, `like_this_one_here`, is a test's or a function's;
//! one in capitals a code or a setting, one of fewer words a key, a column, a role, a function: it stands in some source.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use program_contract::documents::files;

use super::promises::all_code;

#[test]
fn every_test_that_a_document_names_exists() {
    let mut functions = BTreeSet::new();
    for file in all_code() {
        let text = fs::read_to_string(file).unwrap();
        let named = text
            .split("fn ")
            .skip(1)
            .filter_map(|rest| rest.split(['(', '<']).next());
        functions.extend(named.map(str::to_owned));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut named, mut strays) = (0, Vec::new());
    for document in files(root, "md").unwrap() {
        let text = fs::read_to_string(&document).unwrap();
        for name in text.split('`').skip(1).step_by(2).filter(|name| is_test(name)) {
            named += 1;
            if !functions.contains(name) {
                strays.push(format!("{}: {name}", document.display()));
            }
        }
    }
    assert!(named > 100, "{named}: the documents are not where they were");
    assert!(strays.is_empty(), "no such test:\n{}", strays.join("\n"));
}

/// A command that runs no test passes: each word by which tests are chosen is in the name of a test, of its file or of its module.
#[test]
fn every_choice_of_tests_that_a_document_gives_chooses_some() {
    let mut names = BTreeSet::new();
    for file in all_code() {
        let text = fs::read_to_string(&file).unwrap();
        let functions = text.split("fn ").skip(1);
        names.extend(
            functions
                .filter_map(|rest| rest.split(['(', '<']).next())
                .map(str::to_owned),
        );
        // A folder with a `mod.rs` is a module too.
        names.extend(
            file.iter()
                .map(|part| part.to_string_lossy().trim_end_matches(".rs").to_owned()),
        );
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut chosen, mut strays) = (0, Vec::new());
    for document in files(root, "md").unwrap() {
        let text = fs::read_to_string(&document).unwrap();
        let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
        for command in spans.filter_map(|span| span.strip_prefix("cargo test ")) {
            let words: Vec<&str> = command.split_whitespace().collect();
            let is_value =
                |at: usize| at > 0 && ["-p", "--test", "--bin", "--test-threads"].contains(&words[at - 1]);
            for (at, word) in words.iter().enumerate() {
                if word.starts_with('-') || is_value(at) || *word == "..." {
                    continue;
                }
                chosen += 1;
                let parts = word.split("::").filter(|part| !part.is_empty());
                if !parts
                    .clone()
                    .all(|part| names.iter().any(|name| name.contains(part)))
                {
                    strays.push(format!("{}: {word}", document.display()));
                }
            }
        }
    }
    assert!(chosen > 30, "{chosen}: the documents are not where they were");
    assert!(strays.is_empty(), "chooses no test:\n{}", strays.join("\n"));
}

fn is_test(name: &str) -> bool {
    name.split('_').count() > 3
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Names of other people's: of the Java Card platform and of measured products.
const FOREIGN: [&str; 5] = [
    "LICENSE",
    "NXP_JCOP3_J3H145_SECID_P60",
    "NXP_JCOP4_J3R180_SECID_P71",
    "NXP_JCOP4_P71D321",
    "SIG_CIPHER_ECDSA_PLAIN",
];

#[test]
fn every_code_key_and_setting_that_a_document_names_stands_in_a_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut sources = BTreeSet::new();
    for ending in [
        "rs", "java", "sql", "toml", "json", "py", "sh", "txt", "html", "vp", "service",
    ] {
        for file in files(root, ending).unwrap() {
            let text = fs::read_to_string(file).unwrap_or_default();
            let is_part = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
            sources.extend(text.split(|sign| !is_part(sign)).map(str::to_owned));
        }
    }
    let is_past = |path: &Path| path.ends_with("CHANGELOG.md") || path.iter().any(|part| part == "decisions");
    let (mut named, mut strays) = (0, Vec::new());
    for document in files(root, "md").unwrap() {
        if is_past(&document) {
            continue;
        }
        let text = fs::read_to_string(&document).unwrap();
        let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
        for name in spans.filter(|name| is_code(name) && !FOREIGN.contains(name)) {
            named += 1;
            if !sources.contains(name) {
                strays.push(format!("{}: {name}", document.display()));
            }
        }
    }
    assert!(named > 200, "{named}: the documents are not where they were");
    assert!(strays.is_empty(), "in no source:\n{}", strays.join("\n"));
}

/// `SOME_CODE`, `CODE`, `some_key`, `TypeName`.
fn is_code(name: &str) -> bool {
    let bytes = name.as_bytes();
    let all = |allowed: fn(&u8) -> bool| bytes.iter().all(allowed);
    let capitals = bytes.len() > 2
        && bytes[0].is_ascii_uppercase()
        && all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_');
    let snake = name.contains('_')
        && bytes[0].is_ascii_lowercase()
        && all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_');
    let camel = bytes.len() > 2
        && bytes[0].is_ascii_uppercase()
        && bytes[1].is_ascii_lowercase()
        && all(u8::is_ascii_alphanumeric)
        && bytes[1..].iter().any(u8::is_ascii_uppercase);
    capitals || snake || camel
}
