//! What a program says when it fails, and what it says when it did something, stands in tables or in pairs, in Chinese and in English side by
//! side; no message is built beside them.
//!
//! The texts are read here: which language they are in, that words which errors carry in English have their Chinese, and that what is
//! filled into a row is a word of both languages or no word. That a row or an error has both does not have to be read: without it
//! nothing compiles. Left out: what another library says of its own errors, which stands in its own words in both.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::imports::{crates, find};

/// Sources of every crate without their tests, with their path for people.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in crates() {
        find(&folder.join("src"), &mut files);
    }
    files
        .into_iter()
        .filter(|file| !file.iter().any(|part| part == "tests" || part == "tests.rs"))
        .map(|file| {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            let code: Vec<&str> = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect();
            (file.display().to_string(), code.join("\n"))
        })
        .collect()
}

fn is_chinese(text: &str) -> bool {
    text.chars().any(|sign| ('\u{4E00}'..='\u{9FFF}').contains(&sign))
}

/// Nothing is left to read but what is filled in, codes and signs.
fn has_no_words(text: &str) -> bool {
    let mut depth = 0_usize;
    let outside: String = text
        .chars()
        .filter(|sign| {
            match sign {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => return depth == 0,
            }
            false
        })
        .collect();
    !outside.chars().any(char::is_lowercase)
}

/// The texts between quotation marks, in order, with what is escaped as it stands.
fn literals(code: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut signs = code.chars();
    while let Some(sign) = signs.next() {
        match sign {
            // A quotation mark as a sign of its own.
            '\'' if signs.as_str().starts_with("\"'") => {
                signs.next();
            }
            '"' => {
                let mut text = String::new();
                while let Some(sign) = signs.next() {
                    match sign {
                        '"' => break,
                        '\\' => text.extend(signs.next()),
                        other => text.push(other),
                    }
                }
                texts.push(text);
            }
            _ => {}
        }
    }
    texts
}

/// The blocks in braces, or the arguments in brackets, behind every place of `mark`.
fn blocks<'a>(code: &'a str, mark: &str, brackets: [char; 2]) -> Vec<&'a str> {
    code.match_indices(mark)
        .filter_map(|(at, _)| {
            // A mark may end with the bracket.
            let rest = &code[at + mark.len() - 1..];
            let begin = rest.find(brackets[0])?;
            let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
            for (place, sign) in rest[begin..].char_indices() {
                match sign {
                    _ if escaped => escaped = false,
                    '\\' if quoted => escaped = true,
                    '"' => quoted = !quoted,
                    _ if quoted => {}
                    sign if sign == brackets[0] => depth += 1,
                    sign if sign == brackets[1] && depth == 1 => {
                        return Some(&rest[begin..begin + place]);
                    }
                    sign if sign == brackets[1] => depth -= 1,
                    _ => {}
                }
            }
            None
        })
        .collect()
}

#[test]
fn every_row_of_a_table_of_failures_has_chinese_and_english() {
    let (mut rows, mut strays) = (0, Vec::new());
    for (file, code) in sources() {
        let tables = ["failures!", "closed_list!"];
        for table in tables.iter().flat_map(|mark| blocks(&code, mark, ['{', '}'])) {
            for row in literals(table).chunks(5) {
                let [code, message_zh, message, action_zh, action] = row else {
                    panic!("{file}: {row:?} is no whole row");
                };
                rows += 1;
                let is_right = |chinese: &str, english: &str| {
                    (is_chinese(chinese) || has_no_words(chinese)) && !is_chinese(english)
                };
                if !is_right(message_zh, message) || !is_right(action_zh, action) || !is_chinese(action_zh) {
                    strays.push(format!("{file}: {code}"));
                }
            }
        }
    }
    assert!(rows > 50, "{rows}: the tables are not where they were");
    assert!(strays.is_empty(), "not in both languages:\n{}", strays.join("\n"));
}

#[test]
fn what_an_error_says_in_chinese_is_chinese() {
    let (mut texts, mut strays) = (0, Vec::new());
    for (file, code) in sources() {
        for text in blocks(&code, "fn chinese(", ['{', '}'])
            .into_iter()
            .flat_map(literals)
        {
            texts += 1;
            if !is_chinese(&text) && !has_no_words(&text) {
                strays.push(format!("{file}: {text}"));
            }
        }
        for pair in blocks(&code, "Words(", ['(', ')']).into_iter().map(literals) {
            if let [chinese, english] = pair.as_slice()
                && (!is_chinese(chinese) || is_chinese(english))
            {
                strays.push(format!("{file}: {chinese} / {english}"));
            }
        }
    }
    assert!(texts > 200, "{texts}: the tables are not where they were");
    assert!(strays.is_empty(), "not Chinese:\n{}", strays.join("\n"));
}

/// The code without what stands in the brackets behind every place of `mark`.
fn without(code: &str, mark: &str) -> String {
    let mut left = code.to_owned();
    for block in blocks(code, mark, ['(', ')']) {
        left = left.replace(block, "");
    }
    left
}

/// What stands in the brackets of every call of a row, or of a failure that takes words.
fn filled_in(code: &str) -> Vec<&str> {
    let rows = code.match_indices("failure::").filter_map(|(at, mark)| {
        let rest = &code[at + mark.len()..];
        let name = rest.find(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_')?;
        rest[name..]
            .starts_with('(')
            .then(|| blocks(&code[at..], &code[at..=at + mark.len() + name], ['(', ')'])[0])
    });
    let taken = ["Failure::usage(", "Failure::internal("];
    rows.chain(taken.iter().flat_map(|mark| blocks(code, mark, ['(', ')'])))
        .collect()
}

#[test]
fn what_is_filled_into_a_failure_is_a_word_of_both_languages_or_no_word() {
    let (mut calls, mut strays) = (0, Vec::new());
    for (file, code) in sources() {
        for call in filled_in(&code) {
            calls += 1;
            let texts = literals(&without(call, "Words("));
            let mut texts = texts.iter().peekable();
            while let Some(text) = texts.next() {
                // Chinese, and beside it English: a text of each language.
                let is_pair = is_chinese(text) && texts.next_if(|other| !is_chinese(other)).is_some();
                if !is_pair && (is_chinese(text) || !has_no_words(text)) {
                    strays.push(format!("{file}: {text}"));
                }
            }
        }
    }
    assert!(calls > 80, "{calls}: the failures are not where they were");
    assert!(strays.is_empty(), "in one language:\n{}", strays.join("\n"));
}

/// Signs and units that read the same in both languages.
const SIGNS: [&str; 2] = ["ms", "Ctrl"];

/// A text that has nothing to translate: signs, units, what is filled in, or the name of a program before what it says.
fn is_sign(text: &str) -> bool {
    let mut depth = 0_usize;
    let outside: String = text
        .chars()
        .filter(|sign| match sign {
            '{' => {
                depth += 1;
                false
            }
            '}' => {
                depth = depth.saturating_sub(1);
                false
            }
            _ => depth == 0,
        })
        .collect();
    let is_name = |text: &str| {
        let mut signs = text.chars();
        signs.all(|sign| sign.is_ascii_lowercase() || sign == '-')
    };
    let names_a_program = outside.strip_suffix(": ").is_some_and(is_name);
    let mut words = outside.split(|sign: char| !sign.is_alphanumeric());
    let has_no_word =
        words.all(|word| word.len() < 2 || SIGNS.contains(&word) || !word.chars().any(char::is_lowercase));
    !is_chinese(text) && (names_a_program || has_no_word)
}

#[test]
fn every_line_for_a_person_has_chinese_and_english() {
    let (mut rows, mut lines, mut strays) = (0, 0, Vec::new());
    for (file, code) in sources() {
        for table in blocks(&code, "sentences!", ['{', '}']) {
            for row in literals(table).chunks(2) {
                let [chinese, english] = row else {
                    panic!("{file}: {row:?} is no whole row");
                };
                rows += 1;
                if !(is_chinese(chinese) || is_sign(chinese)) || is_chinese(english) {
                    strays.push(format!("{file}: {chinese} / {english}"));
                }
            }
        }
        for mark in [" line!(", "(line!(", "[line!(", "tell!("] {
            for line in blocks(&code, mark, ['(', ')']) {
                lines += 1;
                let texts = literals(&without(line, "Words("));
                for text in texts.iter().filter(|text| !is_sign(text)) {
                    strays.push(format!("{file}: {text}"));
                }
            }
        }
    }
    assert!(
        rows > 50 && lines > 100,
        "{rows}, {lines}: they are not where they were"
    );
    assert!(strays.is_empty(), "in one language:\n{}", strays.join("\n"));
}

#[test]
fn a_page_that_a_message_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut named, mut strays) = (0, Vec::new());
    for (file, code) in sources() {
        for text in literals(&code) {
            for (at, _) in text.match_indices("docs/") {
                let is_part = |sign: char| sign.is_ascii_alphanumeric() || "/-._".contains(sign);
                let page = text[at..].split(|sign| !is_part(sign)).next().unwrap_or_default();
                let page = page.trim_end_matches('.');
                named += 1;
                if !root.join(page).is_file() {
                    strays.push(format!("{file}: {page}"));
                }
            }
        }
    }
    assert!(named > 5, "{named}: the messages are not where they were");
    assert!(strays.is_empty(), "no such page:\n{}", strays.join("\n"));
}

/// Where errors carry words in English: folders, what stands before such a word, and the table that has its Chinese.
const CARRIED: [(&[&str], &[&str], &str); 2] = [
    (
        &["keyvault/src"],
        &["what: \"", "bad(\"", "failed(\"", "conflict(\"", "unavailable(\""],
        "keyvault/src/words.rs",
    ),
    (
        &[
            "issuer/domain/src",
            "issuer/store/src",
            "issuer/office/src",
            "issuer/production/src",
        ],
        &[
            "what: \"",
            "thing: \"",
            "wanted: \"",
            "first: \"",
            "second: \"",
            "table: \"",
            "refused(\"",
            ".of(\"",
        ],
        "issuer/domain/src/words.rs",
    ),
];

#[test]
fn a_word_that_an_error_carries_in_english_has_its_chinese() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut strays = Vec::new();
    for (folders, marks, table) in CARRIED {
        let text = fs::read_to_string(root.join(table)).unwrap();
        let known: BTreeSet<String> = literals(&text).into_iter().collect();
        let mut carried = 0;
        for (file, code) in sources() {
            // What is wrong with a field of the applicant's file has its Chinese by its code.
            let is_other = file.ends_with(table) || file.ends_with("domain/src/form.rs");
            if is_other || !folders.iter().any(|folder| file.contains(&format!("{folder}/"))) {
                continue;
            }
            for mark in marks {
                for (at, _) in code.match_indices(mark) {
                    let word = literals(&code[at + mark.len() - 1..]).swap_remove(0);
                    carried += 1;
                    // Codes and columns have no language.
                    let is_word =
                        word.chars().any(char::is_lowercase) && (word.contains(' ') || !word.contains('.'));
                    if is_word && !known.contains(&word) {
                        strays.push(format!("{file}: {word}; its Chinese belongs into {table}"));
                    }
                }
            }
        }
        assert!(
            carried > 30,
            "{carried}: nothing of {table} is carried where it was"
        );
    }
    assert!(strays.is_empty(), "{}", strays.join("\n"));
}

#[test]
fn texts_are_found_whatever_stands_around_them() {
    let code = "failures! {\n    fn a(b) = Usage \"A\" { \"{b} 没有\", \"no \\\"{b}\\\"\"; \"请重试。\", \"Again }.\"; }\n}\nfn c() { '\"'; \"d\" }";
    let table = blocks(code, "failures!", ['{', '}']);
    assert_eq!(
        table.iter().flat_map(|table| literals(table)).collect::<Vec<_>>(),
        ["A", "{b} 没有", "no \"{b}\"", "请重试。", "Again }."]
    );
    assert_eq!(literals("fn c() { '\"'; \"d\" }"), ["d"]);
    let code = "failure::gone(Words(\"卡\", \"card\"), \"x\")?; failure::none; failure::of(a(\"y\"))";
    assert_eq!(
        filled_in(code)
            .iter()
            .map(|call| literals(&without(call, "Words(")))
            .collect::<Vec<_>>(),
        [["x"], ["y"]]
    );
    assert!(
        is_sign(" ms; {n} x ") && is_sign("keyvault: ") && !is_sign("keyvault: is open") && !is_sign("卡")
    );
    assert!(has_no_words("{path}: {error}") && has_no_words("RFC {n}") && !has_no_words("no {path}"));
}
