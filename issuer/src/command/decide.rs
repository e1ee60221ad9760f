//! `issuer decide --rules ID --case FILE --at DATE`: what a rule set says about one applicant file. Nothing is stored.

use std::path::PathBuf;

use issuer_office::error::OfficeError;
use jiff::civil::Date;
use permit_domain::{ApplicantForm, Decision, FormErrors, tier_words};
use permit_rules::RuleSets;
use program_contract::language::{Line, Words};
use program_contract::{Exit, Failure, Language, Outcome, file, line};

use crate::command::place::{MAX_APPLICANT, or_standard_input};

use crate::command::failure;

const SCHEMA: &str = "yzt.decision/1";

/// Arguments of `decide`.
#[derive(Debug, clap::Args)]
pub(super) struct Decide {
    /// Id of the rule set.
    #[arg(long, value_name = "ID")]
    rules: String,
    /// The applicant file, JSON; `-` is standard input.
    #[arg(long = "case", value_name = "FILE")]
    case: PathBuf,
    /// The day of the decision, YYYY-MM-DD.
    #[arg(long, value_name = "DATE")]
    at: Date,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

impl Decide {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let bytes = file::read(or_standard_input(&self.case), MAX_APPLICANT)
            .map_err(|error| Failure::file(Words("读取", "read"), &self.case, &error))?;
        let applicant = ApplicantForm::from_bytes(&bytes)
            .and_then(|form| form.into_applicant(self.at))
            .map_err(|errors| form(&errors))?;
        let rules = RuleSets::embedded().map_err(OfficeError::from)?;
        let set = rules.get(&self.rules).map_err(|error| {
            let mut failure = Failure::from(OfficeError::from(error));
            // The id is an argument.
            failure.exit = Exit::Usage;
            failure
        })?;
        let decision = set
            .decide(&applicant, self.at, rules.calendar())
            .map_err(OfficeError::from)?;
        let lines: Vec<Line> = decision
            .explanation
            .iter()
            .map(|line| {
                let mark = if line.met {
                    Words("满足", "met")
                } else {
                    Words("不满足", "UNMET")
                };
                line!(
                    mark,
                    " ",
                    &line.rule_set,
                    " ",
                    &line.article,
                    " ",
                    &line.condition,
                    ": ",
                    (line.chinese(), &line.because)
                )
            })
            .collect();
        if let Some(tier) = decision.tier {
            let mut lines = lines;
            let (zh, en) = tier_words(tier);
            lines.push(line!(tier.as_str(), " ", Words(zh, en)));
            return Outcome::done(SCHEMA, &decision.report(), lines);
        }
        let mut failure = not_eligible(&decision);
        if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(decision.report()) {
            failure.fields.extend(fields);
        }
        failure.lines = lines;
        Err(failure)
    }
}

/// A refusal by the rule set: what is missing, what is met, and what would be granted.
pub(super) fn not_eligible(decision: &Decision) -> Failure {
    let refusal = decision.refusal();
    let (chinese, english) = refusal
        .as_ref()
        .map(permit_domain::RefusalReport::words)
        .unwrap_or_default();
    let mut failure = failure::not_eligible((chinese, english));
    failure.fields.insert(
        "explanation".into(),
        serde_json::to_value(&decision.explanation).unwrap_or_default(),
    );
    if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(refusal) {
        failure.fields.extend(fields);
    }
    failure
}

/// What is wrong with an applicant file, field by field.
pub(super) fn form(errors: &FormErrors) -> Failure {
    let exit = if errors.is_format() {
        Exit::Usage
    } else {
        Exit::Refused
    };
    let mut failure = failure::applicant_form((errors.chinese(), errors.to_string()));
    failure.exit = exit;
    let language = Language::of_process();
    failure.fields.insert(
        "errors".into(),
        serde_json::to_value(language.one(errors.in_chinese(), errors.fields().to_vec())).unwrap_or_default(),
    );
    failure
}
