//! `photo-store check`: judges a photo and says what to do about each check that did not pass.

use std::path::Path;

use photo_store_protocol::{Check, Judgement, Verdict};
use program_contract::{Failure, Outcome};
use serde_json::{Value, json};

use crate::cli::input;

/// Judges the file; a refusal is a failure by the first check that refused.
pub(crate) fn run(schema: &'static str, file: &Path) -> Result<Outcome, Failure> {
    let (judged, _) = input::judged(file)?;
    let judgement = &judged.judgement;
    let outcome = Outcome::done(schema, &object(judgement), lines(judgement))?;
    match judgement.refusals().first() {
        None => Ok(outcome),
        Some(check) => {
            let mut failure = Failure::from(*check);
            failure.fields = outcome.fields;
            failure.lines = outcome.lines;
            Err(failure)
        }
    }
}

fn object(judgement: &Judgement) -> Value {
    let faces: Vec<Value> = judgement
        .faces
        .iter()
        .map(|face| json!({ "x": face.x, "y": face.y, "w": face.w, "h": face.h, "score": face.score }))
        .collect();
    let checks: Vec<Value> = judgement
        .checks
        .iter()
        .map(|check| {
            json!({
                "code": check.code.as_str(),
                "level": check.level.as_str(),
                "passed": check.passed,
                "measured": check.measured,
                "limit": check.limit,
                "unit": check.unit,
            })
        })
        .collect();
    json!({
        "verdict": judgement.verdict.as_str(),
        "width": judgement.width,
        "height": judgement.height,
        "faces": faces,
        "checks": checks,
    })
}

/// The judgement for a person.
pub(crate) fn lines(judgement: &Judgement) -> Vec<String> {
    let verdict = match judgement.verdict {
        Verdict::Accept => "通过 / accepted",
        Verdict::Warn => "需具名确认 / a named person has to confirm",
        _ => "拒绝 / refused",
    };
    let mut lines = vec![format!("{verdict}  ({} x {})", judgement.width, judgement.height)];
    for check in judgement.checks.iter().filter(|check| !check.passed) {
        let texts = check.code.texts();
        lines.push(format!(
            "  {} {}{}",
            check.code,
            texts.message_zh,
            measured(check)
        ));
        lines.push(format!("      {}", texts.action_zh));
        lines.push(format!("      {} {}", texts.message, texts.action));
    }
    lines
}

fn measured(check: &Check) -> String {
    match (check.measured, check.limit) {
        (Some(measured), Some(limit)) => {
            format!("（{measured} {unit}，限值 / limit {limit}）", unit = check.unit)
        }
        _ => String::new(),
    }
}
