//! A decision as the API shows it, with its explanation.

use permit_domain::{Decision, ExplanationLine};
use serde::Serialize;
use utoipa::ToSchema;

/// A decision and its explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Decision)]
pub(crate) struct DecisionBody {
    /// TEMP, EMPLOYMENT, TALENT, or null: refused.
    tier: Option<String>,
    /// Id of the rule set that decided.
    rule_set: String,
    /// Day that it was decided for, YYYY-MM-DD.
    #[schema(format = Date)]
    at: String,
    /// One line per condition that counts, with its article.
    explanation: Vec<LineBody>,
    /// First day, if granted.
    #[schema(format = Date)]
    valid_from: Option<String>,
    /// Last day, included, if granted.
    #[schema(format = Date)]
    valid_to: Option<String>,
    /// Last day on which the organ may issue the card, counted from acceptance, if granted.
    #[schema(format = Date)]
    issue_by: Option<String>,
    /// Whether the holder may apply for settlement with it.
    may_apply_settlement: bool,
    /// What a refusal says beside its explanation.
    refusal: Option<RefusalBody>,
}

/// What an applicant who is refused can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Refusal)]
pub(crate) struct RefusalBody {
    /// Ids of the conditions that are missing.
    missing: Vec<String>,
    /// Ids of those that are met today.
    met: Vec<String>,
    /// The highest tier that would be granted today, if it were asked for.
    best_today: Option<String>,
}

/// Why one condition is met or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ExplanationLine)]
pub(crate) struct LineBody {
    /// Id of the rule set.
    rule_set: String,
    /// Instrument and article.
    article: String,
    /// Id of the condition.
    condition: String,
    /// Whether it is met.
    met: bool,
    /// In words.
    because: String,
    /// The same in Chinese.
    #[serde(skip_serializing_if = "String::is_empty")]
    because_zh: String,
    /// The papers and fields that it rests on.
    evidence: Vec<String>,
}

impl From<&ExplanationLine> for LineBody {
    fn from(line: &ExplanationLine) -> Self {
        Self {
            rule_set: line.rule_set.clone(),
            article: line.article.clone(),
            condition: line.condition.clone(),
            met: line.met,
            because: line.because.clone(),
            because_zh: line.because_zh.clone(),
            evidence: line.evidence.clone(),
        }
    }
}

impl From<&Decision> for DecisionBody {
    fn from(decision: &Decision) -> Self {
        Self {
            tier: decision.tier.map(|tier| tier.to_string()),
            rule_set: decision.rule_set.clone(),
            at: decision.at.to_string(),
            explanation: decision.explanation.iter().map(LineBody::from).collect(),
            valid_from: decision.valid_from.map(|day| day.to_string()),
            valid_to: decision.valid_to.map(|day| day.to_string()),
            issue_by: decision.issue_by.map(|day| day.to_string()),
            may_apply_settlement: decision.may_apply_settlement,
            refusal: decision.refusal().map(|refusal| RefusalBody {
                missing: refusal.missing.into_iter().map(str::to_owned).collect(),
                met: refusal.met.into_iter().map(str::to_owned).collect(),
                best_today: refusal.best_today.map(|tier| tier.to_string()),
            }),
        }
    }
}
