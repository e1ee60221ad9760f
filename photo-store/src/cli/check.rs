//! `photo-store check`: judges a photo and says what to do about each check that did not pass.

use std::path::Path;

use photo_store::picture::judge::judge;
use photo_store_protocol::{Check, Judgement, Verdict};
use serde_json::{Map, Value, json};

use super::{Failure, Outcome, read_file, tools};

/// Judges the file.
pub(super) fn run(file: &Path) -> Result<Outcome, Failure> {
    let bytes = read_file(file)?;
    let (rules, faces) = tools()?;
    let judged = judge(&bytes, &rules, &faces)?;
    Ok(outcome(&judged.judgement))
}

/// A judgement as a result; a refusal is a failure by the first check that refused.
pub(super) fn outcome(judgement: &Judgement) -> Outcome {
    let refusal = judgement.refusals().first().copied();
    Outcome {
        fields: fields(judgement),
        lines: lines(judgement),
        failure: refusal.map(Failure::from),
    }
}

fn fields(judgement: &Judgement) -> Map<String, Value> {
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
    let mut fields = Map::new();
    fields.insert("verdict".to_owned(), json!(judgement.verdict.as_str()));
    fields.insert("width".to_owned(), json!(judgement.width));
    fields.insert("height".to_owned(), json!(judgement.height));
    fields.insert("faces".to_owned(), Value::Array(faces));
    fields.insert("checks".to_owned(), Value::Array(checks));
    fields
}

fn lines(judgement: &Judgement) -> Vec<String> {
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
