//! The typed tests of a condition: what is compared, and the words and papers of the outcome.
//!
//! Left out: anything about a person that the law does not ask for.

use jiff::civil::Date;
use permit_domain::{Applicant, Division, Education, Error, EvidenceCode, Title};
use serde::{Deserialize, Serialize};

use crate::calendar::Period;

/// One comparison of a fact of the applicant with the rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// The residence is registered in one of these divisions.
    RegisteredIn(Vec<Division>),
    /// The residence was registered so long ago: the period is full on its last day (Civil Code article 202).
    RegisteredFor(Period),
    /// Full years of age, at least.
    AgeAtLeast(u8),
    /// Months of social insurance, at least.
    InsuranceMonths(u16),
    /// Education, at least.
    EducationAtLeast(Education),
    /// Title or skill level, one of these.
    TitleIn(Vec<Title>),
    /// A paper of one of these kinds holds on the day.
    EvidenceInForce(Vec<EvidenceCode>),
}

/// What a test found.
pub(crate) struct Outcome {
    pub(crate) met: bool,
    pub(crate) because: String,
    pub(crate) evidence: Vec<String>,
}

impl Test {
    /// Compares.
    pub(crate) fn apply(&self, a: &Applicant, at: Date) -> Result<Outcome, Error> {
        let outcome = |met, because, evidence: &[&str]| Outcome {
            met,
            because,
            evidence: evidence.iter().map(|e| (*e).to_owned()).collect(),
        };
        Ok(match self {
            Self::RegisteredIn(divisions) => {
                let met = divisions.iter().any(|d| a.residence.division.lies_in(d));
                let here = words(divisions, " or ");
                let because = if met {
                    format!("registered in {}, which lies in {here}", a.residence.division)
                } else {
                    format!(
                        "registered in {}, which does not lie in {here}: apply there",
                        a.residence.division
                    )
                };
                outcome(met, because, &["residence.division"])
            }
            Self::RegisteredFor(period) => {
                let since = a.residence.registered_on;
                let full = period.last_day(since)?;
                let length = period.words();
                let because = if full <= at {
                    format!("registered since {since}: {length} were full on {full}")
                } else {
                    let days = at.duration_until(full).as_hours() / 24;
                    format!("registered since {since}: {length} are full on {full}, {days} days after {at}")
                };
                outcome(full <= at, because, &["residence.registered_on"])
            }
            Self::AgeAtLeast(years) => {
                let age = a.age(at);
                let met = age >= i16::from(*years);
                let verb = if met { "at least" } else { "less than" };
                outcome(
                    met,
                    format!("{age} years of age, {verb} {years}"),
                    &["birth_date"],
                )
            }
            Self::InsuranceMonths(months) => {
                let paid = a.insurance_months;
                let met = paid >= *months;
                let rest = if met {
                    String::new()
                } else {
                    format!(", {} missing", months - paid)
                };
                outcome(
                    met,
                    format!("{paid} months of social insurance, {months} needed{rest}"),
                    &["insurance_months"],
                )
            }
            Self::EducationAtLeast(level) => {
                let met = a.education.is_at_least(*level);
                let verb = if met { "at least" } else { "below" };
                outcome(
                    met,
                    format!("education {}, {verb} {}", a.education.en(), level.en()),
                    &["education"],
                )
            }
            Self::TitleIn(titles) => {
                let met = titles.contains(&a.title);
                let verb = if met { "is" } else { "is not" };
                let wanted: Vec<_> = titles.iter().map(|t| t.en()).collect();
                outcome(
                    met,
                    format!("title {}: {verb} one of {}", a.title.en(), wanted.join(", ")),
                    &["title"],
                )
            }
            Self::EvidenceInForce(codes) => papers(codes, a, at),
        })
    }

    /// What the loader finds wrong with it.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        match self {
            Self::RegisteredIn(list) if list.is_empty() => Some("registered_in names no division"),
            Self::TitleIn(list) if list.is_empty() => Some("title_in names no title"),
            Self::EvidenceInForce(list) if list.is_empty() => Some("evidence_in_force names no code"),
            _ => None,
        }
    }
}

fn papers(codes: &[EvidenceCode], a: &Applicant, at: Date) -> Outcome {
    let in_force: Vec<_> = a.evidence_in_force(codes, at).collect();
    if let Some(first) = in_force.first() {
        let until = first
            .validity
            .to()
            .map_or_else(|| "without end".to_owned(), |to| format!("until {to}"));
        return Outcome {
            met: true,
            because: format!("{} holds on {at} ({until})", first.code),
            evidence: in_force.iter().map(|e| e.code.to_string()).collect(),
        };
    }
    let shown: Vec<_> = a.evidence.iter().filter(|e| codes.contains(&e.code)).collect();
    let because = if shown.is_empty() {
        format!("none of {} was shown", words(codes, ", "))
    } else {
        let each: Vec<_> = shown
            .iter()
            .map(|e| match (e.validity.from(), e.validity.to()) {
                (_, Some(to)) if to < at => format!("{} ended on {to}", e.code),
                (Some(from), _) => format!("{} begins on {from}", e.code),
                _ => format!("{} does not hold", e.code),
            })
            .collect();
        format!("no paper holds on {at}: {}", each.join(", "))
    };
    Outcome {
        met: false,
        because,
        evidence: shown.iter().map(|e| e.code.to_string()).collect(),
    }
}

fn words<T: ToString>(items: &[T], between: &str) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(between)
}
