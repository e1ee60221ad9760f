//! What documents name exists. A name in code style of four words and more, `like_this_one_here`, is a test's or a function's.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

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
    for document in documents(root) {
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

fn is_test(name: &str) -> bool {
    name.split('_').count() > 3
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Every document of the repository: what builds, demos and tools leave is no part of it.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() && !name.starts_with('.') && !["target", "demo"].contains(&name.as_str()) {
            found.extend(documents(&path));
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
    found
}
