//! What people see: steps as they happen on standard error, one result on standard output.

use std::io::IsTerminal as _;
use std::time::Instant;

use program_contract::Failure;
use serde::Serialize;

/// Says something on standard error. Nobody may be there to read it any more: a terminal that was closed ends nothing.
pub(crate) fn say(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A step that was done, or failed.
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

/// A step under way.
#[derive(Debug)]
pub(crate) struct Under {
    name: String,
    actor: String,
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

    pub(crate) fn begin(&self, name: impl Into<String>, actor: impl Into<String>) -> Under {
        let under = Under {
            name: name.into(),
            actor: actor.into(),
            began: Instant::now(),
        };
        if self.on_terminal {
            use std::io::Write as _;
            let _ = write!(std::io::stderr(), "  … {}\r", under.name);
        }
        under
    }

    /// Ends a step and shows it; gives the result on.
    pub(crate) fn end<T>(&mut self, under: Under, result: Result<T, Failure>) -> Result<T, Failure> {
        let ms = under.began.elapsed().as_secs_f64() * 1000.0;
        self.push(Step {
            name: under.name,
            actor: under.actor,
            ok: result.is_ok(),
            ms,
        });
        result
    }

    /// A step that somebody else timed.
    pub(crate) fn done(&mut self, name: impl Into<String>, actor: impl Into<String>, ms: f64) {
        self.push(Step {
            name: name.into(),
            actor: actor.into(),
            ok: true,
            ms,
        });
    }

    pub(crate) fn push(&mut self, step: Step) {
        let mark = if step.ok { "✓" } else { "✗" };
        say(&format!(
            "  {mark} {} {} {:>9.1} ms",
            pad(&step.name, 52),
            pad(&step.actor, 38),
            step.ms
        ));
        self.done.push(step);
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
