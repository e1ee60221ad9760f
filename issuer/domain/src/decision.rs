//! A decision and its explanation: one line for every condition, with the article. PIPL article 24.
//!
//! Left out: how the decision is reached (crate `permit-rules`).

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::codes::{Role, Tier, tier_words};
use crate::digest::Digest;

/// Why one condition is met or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplanationLine {
    /// Id of the rule set.
    pub rule_set: String,
    /// Instrument and article.
    pub article: String,
    /// Id of the condition; for the line of a whole tier its name; `VALIDITY` for the dates.
    pub condition: String,
    /// Whether it is met.
    pub met: bool,
    /// In words, with the figures that were compared.
    pub because: String,
    /// The same in Chinese; empty in what was decided before there was any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub because_zh: String,
    /// The papers and fields that it rests on.
    pub evidence: Vec<String>,
}

impl ExplanationLine {
    /// Why, in Chinese, or as it was told when there was no Chinese.
    #[must_use]
    pub fn chinese(&self) -> &str {
        if self.because_zh.is_empty() {
            &self.because
        } else {
            &self.because_zh
        }
    }
}

/// What a terminal of a role may grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlement {
    /// The role whose terminals read it.
    pub role: Role,
    /// Fare or service class, 0 none.
    pub class: u8,
    /// Bit mask over the services of the rule set.
    pub services: u64,
    /// Bit mask over the zones of the jurisdiction; 0: not checked.
    pub zones: u64,
}

/// What the rule set says about one applicant on one day. Stored whole with the case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Id of the rule set, ASCII, at most 48 bytes.
    pub rule_set: String,
    /// SHA-256 of its published text.
    pub rule_digest: Digest,
    /// The day of the decision.
    pub at: Date,
    /// The tier granted; `None`: refused.
    pub tier: Option<Tier>,
    /// Every tier whose conditions are met, highest first, whether asked for or not.
    pub eligible: Vec<Tier>,
    /// One line per condition that tells, then one per tier looked at, then the dates. An alternative that was not needed
    /// has none.
    pub explanation: Vec<ExplanationLine>,
    /// First day, if granted.
    pub valid_from: Option<Date>,
    /// Last day, included, if granted: the day by which the permit must be endorsed.
    pub valid_to: Option<Date>,
    /// The last day on which the organ may issue it (article 9), if granted.
    pub issue_by: Option<Date>,
    /// Whether the holder may apply for settlement with it.
    pub may_apply_settlement: bool,
    /// What the card grants, in the order of the rule set.
    pub entitlements: Vec<Entitlement>,
}

impl Decision {
    /// The lines that stand against the tier asked for.
    pub fn unmet(&self) -> impl Iterator<Item = &ExplanationLine> {
        self.explanation.iter().filter(|line| !line.met)
    }

    /// What a refusal says beside its explanation; `None`: a tier is granted.
    #[must_use]
    pub fn refusal(&self) -> Option<RefusalReport<'_>> {
        if self.tier.is_some() {
            return None;
        }
        let is_tier = |line: &&ExplanationLine| Tier::ALL.iter().any(|tier| tier.as_str() == line.condition);
        let conditions = |met: bool| {
            self.explanation
                .iter()
                .filter(|line| !is_tier(line) && line.met == met)
                .map(|line| line.condition.as_str())
                .collect()
        };
        Some(RefusalReport {
            missing: conditions(false),
            met: conditions(true),
            best_today: self.eligible.first().copied(),
        })
    }

    /// The object that `issuer decide` prints.
    #[must_use]
    pub fn report(&self) -> DecisionReport<'_> {
        DecisionReport {
            tier: self.tier,
            explanation: &self.explanation,
            valid_from: self.valid_from,
            valid_to: self.valid_to,
            may_apply_settlement: self.may_apply_settlement,
        }
    }
}

/// `{missing[], met[], best_today or null}`: what an applicant who is refused can do. The words stand in the explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusalReport<'a> {
    /// Ids of the conditions that are missing.
    pub missing: Vec<&'a str>,
    /// Ids of those that are met today.
    pub met: Vec<&'a str>,
    /// The highest tier that would be granted today, if it were asked for.
    pub best_today: Option<Tier>,
}

impl RefusalReport<'_> {
    /// The same in one line, in Chinese and in English.
    #[must_use]
    pub fn words(&self) -> (String, String) {
        let list = |ids: &[&str], nothing: &str| {
            if ids.is_empty() {
                nothing.to_owned()
            } else {
                ids.join(", ")
            }
        };
        let (best_zh, best) = match self.best_today {
            None => (
                "今日不能获核定任何类别".to_owned(),
                "no tier would be granted today".to_owned(),
            ),
            Some(tier) => {
                let (zh, en) = tier_words(tier);
                (
                    format!("今日可获核定 {zh}（{tier}）"),
                    format!("{tier} ({en}) would be granted today"),
                )
            }
        };
        let (missing, met) = (&self.missing, &self.met);
        (
            format!(
                "缺：{}；已满足：{}；{best_zh}",
                list(missing, "无"),
                list(met, "无")
            ),
            format!(
                "missing: {}; met: {}; {best}",
                list(missing, "nothing"),
                list(met, "nothing")
            ),
        )
    }
}

/// `{tier or null, explanation[], valid_from, valid_to, may_apply_settlement}`: a contract with scripts.
#[derive(Debug, Clone, Serialize)]
pub struct DecisionReport<'a> {
    /// The tier granted, or null.
    pub tier: Option<Tier>,
    /// One line per condition.
    pub explanation: &'a [ExplanationLine],
    /// First day, or null.
    pub valid_from: Option<Date>,
    /// Last day, or null.
    pub valid_to: Option<Date>,
    /// Whether the holder may apply for settlement.
    pub may_apply_settlement: bool,
}
