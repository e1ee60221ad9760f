//! What a run says: a table by chapter for people, one object for programs, and the list of cases for the page.

use std::fmt::Write;

use program_contract::language::Line;
use program_contract::{Exit, Failure, Outcome, line};
use serde_json::{Map, Value, json};

use crate::conformance::case::Case;
use crate::conformance::chapters::cases;
use crate::conformance::verdict::{Report, Verdict};

/// Schema of the object.
pub const SCHEMA: &str = "yzt.conformance/1";

/// The heading of a chapter.
#[must_use]
pub const fn chapter_name(chapter: u8) -> &'static str {
    match chapter {
        1 => "Foundations",
        2 => "Data groups",
        3 => "Records and slots",
        4 => "Keys",
        5 => "Door I",
        6 => "Door F",
        7 => "Door S",
        8 => "Terminals",
        9 => "Updates",
        10 => "Storage",
        11 => "Payment",
        13 => "For card makers",
        _ => "",
    }
}

/// The table by chapter.
#[must_use]
pub fn table(report: &Report) -> String {
    let mut out = String::new();
    let mut chapter = 0;
    for outcome in &report.outcomes {
        let case = &outcome.case;
        if case.chapter() != chapter {
            chapter = case.chapter();
            let _ = writeln!(out, "\nChapter {chapter:02} {}", chapter_name(chapter));
        }
        let (word, detail) = match &outcome.verdict {
            Verdict::Pass => ("pass", String::new()),
            Verdict::Fail(what) => ("FAIL", what.clone()),
            Verdict::NotRun(why) => ("not run", why.clone()),
        };
        let _ = writeln!(
            out,
            "  {} {}  {word:<7}  {} [{}]",
            case.number,
            case.class.letter(),
            case.sentence,
            case.reference
        );
        if !detail.is_empty() {
            let _ = writeln!(out, "                    {detail}");
        }
    }
    if !report.figures.is_empty() {
        let _ = writeln!(out, "\nFigures (information, no verdict; limits of chapter 13)");
        for figure in &report.figures {
            let limit = figure
                .limit
                .map_or(String::new(), |limit| format!("  (at most {limit})"));
            let _ = writeln!(
                out,
                "  {:<62} {:>10.3} {}{limit}",
                figure.name, figure.value, figure.unit
            );
        }
    }
    let (passed, failed, not_run) = report.counts();
    let _ = writeln!(
        out,
        "\n{passed} passed, {failed} failed, {not_run} not run; {} commands, card info {}",
        report.commands, report.card_info
    );
    out
}

/// How the run ended: the object and the table.
///
/// # Errors
///
/// Cases failed, or the card was lost; the object and the table say the same, with the error.
pub fn outcome(report: &Report) -> Result<Outcome, Failure> {
    let lines: Vec<Line> = table(report).lines().map(|text| line!(text)).collect();
    let fields = fields(report);
    let (_, failed, _) = report.counts();
    let mut failure = match &report.lost {
        Some(lost) => {
            let mut failure = Failure::from(lost.clone());
            failure.exit = Exit::Unknown;
            failure
        }
        None if failed > 0 => cases_failed(failed),
        None => {
            return Ok(Outcome {
                exit: Exit::Done,
                schema: SCHEMA.into(),
                fields,
                lines,
            });
        }
    };
    failure.fields = fields;
    failure.lines = lines;
    Err(failure)
}

fn fields(report: &Report) -> Map<String, Value> {
    let cases: Vec<Value> = report
        .outcomes
        .iter()
        .map(|outcome| {
            let (verdict, detail) = match &outcome.verdict {
                Verdict::Pass => ("pass", Value::Null),
                Verdict::Fail(what) => ("fail", what.as_str().into()),
                Verdict::NotRun(why) => ("not_run", why.as_str().into()),
            };
            let case = &outcome.case;
            json!({
                "case": case.number,
                "chapter": case.chapter(),
                "class": case.class.letter().to_string(),
                "reference": case.reference,
                "sentence": case.sentence,
                "verdict": verdict,
                "detail": detail,
            })
        })
        .collect();
    let figures: Vec<Value> = report
        .figures
        .iter()
        .map(|figure| {
            json!({
                "name": figure.name,
                "value": figure.value,
                "unit": figure.unit,
                "limit": figure.limit,
            })
        })
        .collect();
    let (passed, failed, not_run) = report.counts();
    Map::from_iter(
        [
            ("reader", json!(report.reader)),
            ("card_info", json!(report.card_info)),
            ("commands", json!(report.commands)),
            ("passed", json!(passed)),
            ("failed", json!(failed)),
            ("not_run", json!(not_run)),
            ("cases", json!(cases)),
            ("figures", json!(figures)),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    )
}

/// The list of cases as the page has it: one table a chapter.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::new();
    let mut chapter = 0;
    for case in cases() {
        if case.chapter() != chapter {
            chapter = case.chapter();
            let _ = write!(
                out,
                "\n### Chapter {chapter:02}: {}\n\n| case | part | state | writes | sentence | where |\n|---|---|---|---|---|---|\n",
                chapter_name(chapter)
            );
        }
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            case.number,
            case.class.letter(),
            case.phase.state().map_or("any", |state| state.as_str()),
            if case.effect.is_empty() { "" } else { "yes" },
            case.sentence,
            case.reference
        );
    }
    out
}

/// One line of `--list`.
#[must_use]
pub fn line(case: &Case) -> String {
    format!(
        "{} {}  {} [{}]",
        case.number,
        case.class.letter(),
        case.sentence,
        case.reference
    )
}

program_contract::failures! {
    fn cases_failed(failed) = Refused "CASES_FAILED" {
        "{failed} 个用例未通过", "{failed} cases failed";
        "请看表：每个未通过的用例写明卡做了什么、规范何处另有规定。",
        "Read the table: each failed case says what the card did and where the specification says otherwise.";
    }
}
