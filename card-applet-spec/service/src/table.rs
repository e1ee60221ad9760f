//! The table of a protocol's operations as a document shows it, and how a document is held against it.
//!
//! A document has the table between [`BEGIN`] and [`END`]. A test calls [`hold`]; when the table is another one, the test
//! says so, and writes it when the environment has `YZT_WRITE=1`. Left out: everything else in the document.

use std::fmt::Write as _;
use std::path::Path;

use crate::operation::{Hands, Kind, Listed, Policy};

/// The line before the table.
pub const BEGIN: &str = "<!-- operations: made by a test, see its message -->";
/// The line behind it.
pub const END: &str = "<!-- end of operations -->";

/// The table in Markdown: a head, and one line per operation.
#[must_use]
pub fn markdown(operations: &[Listed]) -> String {
    let mut table = String::from(
        "| no. | operation | who | hands | person or service | ceiling | once and for all | sealed | again | journal | by |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for Listed {
        number,
        name,
        policy,
        doors,
    } in operations
    {
        let Policy {
            who,
            hands,
            kind,
            ceiling,
            irreversible,
            while_sealed,
            idempotent,
            journal,
        } = policy;
        let who: Vec<&str> = who.iter().map(|caller| caller.as_str()).collect();
        let hands = match hands {
            Hands::One => "one",
            Hands::Two => "two",
        };
        let kind = match kind {
            Kind::Person => "person",
            Kind::Service => "service",
            Kind::Any => "any",
        };
        let ceiling = match ceiling {
            None => String::from("–"),
            Some(ceiling) => ceiling.per_day.map_or_else(
                || format!("{}: none yet", ceiling.counted),
                |most| format!("{most} {} a day", ceiling.counted),
            ),
        };
        let yes = |is: bool, word: &'static str| if is { word } else { "–" };
        let doors: Vec<String> = doors.iter().map(|door| format!("`{door}`")).collect();
        let _ = writeln!(
            table,
            "| {number} | {name} | {} | {hands} | {kind} | {ceiling} | {} | {} | {} | {} | {} |",
            who.join(", "),
            yes(*irreversible, "yes"),
            yes(*while_sealed, "answers"),
            yes(*idempotent, "same"),
            journal.as_str(),
            doors.join(", "),
        );
    }
    table
}

/// Holds the table in a document against the list; `command` is the one that runs the calling test.
///
/// # Errors
/// What to run when the document has another table or no place for one, or why it could not be read or written.
pub fn hold(document: &Path, operations: &[Listed], command: &str) -> Result<(), String> {
    hold_between(document, "operations", &markdown(operations), command)
}

/// Holds another table in a document, between lines like [`BEGIN`] and [`END`] that name it.
///
/// # Errors
/// As [`hold`].
pub fn hold_between(document: &Path, name: &str, table: &str, command: &str) -> Result<(), String> {
    let (begin, end) = (BEGIN.replace("operations", name), END.replace("operations", name));
    let shown = document.display();
    let text = std::fs::read_to_string(document).map_err(|error| format!("{shown}: {error}"))?;
    let (before, behind) = text
        .split_once(&begin)
        .and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)))
        .ok_or_else(|| format!("{shown} has no place for the table: the lines\n{begin}\n{end}"))?;
    let right = format!("{before}{begin}\n\n{table}\n{end}{behind}");
    if text == right {
        return Ok(());
    }
    if std::env::var_os("YZT_WRITE").is_some_and(|value| value == "1") {
        return std::fs::write(document, right).map_err(|error| format!("{shown}: {error}"));
    }
    Err(format!(
        "the table of {name} in {shown} is not what the program does; write it with\n  YZT_WRITE=1 {command}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Caller, Journal};

    const LIST: &[Listed] = &[
        Listed {
            number: 1,
            name: "Status",
            policy: Policy::of_today(Journal::None).while_sealed().idempotent(),
            doors: &["vault status"],
        },
        Listed {
            number: 4,
            name: "Rotate",
            policy: Policy::of(&[Caller::KeyOfficer], Journal::Before)
                .by_two()
                .only(Kind::Person)
                .ceiling("versions", Some(2))
                .irreversible(),
            doors: &["vault rotate", "/keys"],
        },
    ];

    #[test]
    fn every_operation_is_a_line_of_the_table() {
        let table = markdown(LIST);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines[2],
            "| 1 | Status | socket user | one | any | – | – | answers | same | none | `vault status` |"
        );
        assert_eq!(
            lines[3],
            "| 4 | Rotate | key officer | two | person | 2 versions a day | yes | – | – | before | `vault rotate`, `/keys` |"
        );
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn a_document_with_another_table_is_named_with_the_command_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let document = folder.path().join("README.md");
        std::fs::write(&document, "nothing\n").unwrap();
        assert!(hold(&document, LIST, "cargo test").unwrap_err().contains(BEGIN));

        let text = format!("# Vault\n\n{BEGIN}\n{END}\n\nMore.\n");
        std::fs::write(&document, &text).unwrap();
        let error = hold(&document, LIST, "cargo test").unwrap_err();
        assert!(error.ends_with("YZT_WRITE=1 cargo test"), "{error}");
        assert_eq!(std::fs::read_to_string(&document).unwrap(), text);

        let right = format!("# Vault\n\n{BEGIN}\n\n{}\n{END}\n\nMore.\n", markdown(LIST));
        std::fs::write(&document, right).unwrap();
        hold(&document, LIST, "cargo test").unwrap();
    }
}
