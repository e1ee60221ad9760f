//! `photo-store check`: judges a photo and says what to do about each check that did not pass.

use std::path::Path;

use photo_store_protocol::Judgement;
use program_contract::{Failure, Outcome};
use serde_json::{Value, json};

use crate::cli::input;

/// Judges the file; a refusal is a failure by the first check that refused.
pub(crate) fn run(schema: &'static str, file: &Path) -> Result<Outcome, Failure> {
    let (judged, _) = input::judged(file)?;
    let judgement = &judged.judgement;
    let outcome = Outcome::done(schema, &object(judgement), judgement.lines())?;
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
