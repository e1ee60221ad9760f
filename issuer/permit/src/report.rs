//! What people see: steps as they happen on standard error, one result on standard output.

use std::io::IsTerminal as _;
use std::time::Instant;

use program_contract::language::Said;
use program_contract::unseen::in_lines;
use program_contract::{Failure, Language};
use serde::Serialize;

/// Says something on standard error. Nobody may be there to read it any more: a terminal that was closed ends nothing.
pub(crate) fn say(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{}", in_lines(text));
}

/// Says these words, in the language that was chosen.
pub(crate) fn say_of(words: impl Said) {
    say(&Language::of_process().text(&words));
}

/// Says what went wrong where work goes on.
pub(crate) fn trouble(failure: &Failure) {
    for (_, message, action) in failure.told(Language::of_process()) {
        say(&format!("  ✗ {message} [{}]\n    → {action}", failure.code));
    }
}

/// A step that was done, or failed. Its object is in English, as every key.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) actor: String,
    pub(crate) ok: bool,
    pub(crate) ms: f64,
}

/// The steps so far.
#[derive(Debug)]
pub(crate) struct Steps {
    done: Vec<Step>,
    /// On a terminal the step under way is shown until its result replaces it.
    on_terminal: bool,
}

/// What is done, and by whom, in both languages.
#[derive(Debug)]
struct Named {
    name: (String, String),
    actor: (String, String),
}

impl Named {
    fn new(name: &impl Said, actor: &impl Said) -> Self {
        let both = |said: &dyn Said| (said.zh().into_owned(), said.en().into_owned());
        Self {
            name: both(name),
            actor: both(actor),
        }
    }
}

/// A step under way.
#[derive(Debug)]
pub(crate) struct Under {
    named: Named,
    began: Instant,
}

impl Steps {
    /// Steps for a person at a terminal, or for a log.
    pub(crate) fn for_standard_error() -> Self {
        Self {
            done: Vec::new(),
            on_terminal: std::io::stderr().is_terminal(),
        }
    }

    pub(crate) fn begin(&self, name: impl Said, actor: impl Said) -> Under {
        let under = Under {
            named: Named::new(&name, &actor),
            began: Instant::now(),
        };
        if self.on_terminal {
            use std::io::Write as _;
            let name = Language::of_process().text(&under.named.name);
            let _ = write!(std::io::stderr(), "  … {name}\r");
        }
        under
    }

    /// Ends a step and shows it; gives the result on.
    pub(crate) fn end<T>(&mut self, under: Under, result: Result<T, Failure>) -> Result<T, Failure> {
        let ms = under.began.elapsed().as_secs_f64() * 1000.0;
        self.push(under.named, result.is_ok(), ms);
        result
    }

    /// A step that somebody else timed.
    pub(crate) fn done(&mut self, name: impl Said, actor: impl Said, ok: bool, ms: f64) {
        self.push(Named::new(&name, &actor), ok, ms);
    }

    fn push(&mut self, named: Named, ok: bool, ms: f64) {
        let language = Language::of_process();
        let mark = if ok { "✓" } else { "✗" };
        say(&format!(
            "  {mark} {} {} {ms:>9.1} ms",
            pad(&language.text(&named.name), 52),
            pad(&language.text(&named.actor), 38),
        ));
        self.done.push(Step {
            name: named.name.1,
            actor: named.actor.1,
            ok,
            ms,
        });
    }

    pub(crate) fn all(&self) -> &[Step] {
        &self.done
    }
}

/// Columns that a text takes on a terminal: two for each Han character and full-width sign.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(|c| if matches!(u32::from(c), 0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFE30..=0xFE4F | 0xFF00..=0xFF60 | 0xFFE0..=0xFFE6 | 0x2_0000..=0x3_FFFD) { 2 } else { 1 }).sum()
}

/// A text filled up to a width in columns.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// A table with aligned columns.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| width(cell))
                .max()
                .unwrap_or_default()
        })
        .collect();
    let mut out = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| pad(cell, *width))
            .collect();
        out.push_str("  ");
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
        if index == 0 {
            out.push_str("  ");
            out.push_str(&"─".repeat(widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)));
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn han_characters_take_two_columns() {
        assert_eq!(width("一证通 card"), 11);
        assert_eq!(pad("公交", 6), "公交  ");
        let text = table(&[vec!["谁".into(), "saw".into()], vec!["bus".into(), "x".into()]]);
        assert!(text.contains("  bus  x\n"), "{text}");
    }
}
