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

/// Why, in words of both languages.
#[derive(Debug, Clone)]
pub(crate) struct Because {
    pub(crate) english: String,
    pub(crate) chinese: String,
}

fn because(english: impl Into<String>, chinese: impl Into<String>) -> Because {
    Because {
        english: english.into(),
        chinese: chinese.into(),
    }
}

/// What a test found.
pub(crate) struct Outcome {
    pub(crate) met: bool,
    pub(crate) because: Because,
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
            Self::RegisteredIn(divisions) => registered_in(divisions, a),
            Self::RegisteredFor(period) => registered_for(*period, a, at)?,
            Self::AgeAtLeast(years) => {
                let age = a.age(at);
                let met = age >= i16::from(*years);
                let (verb, zh) = if met {
                    ("at least", "已满")
                } else {
                    ("less than", "未满")
                };
                outcome(
                    met,
                    because(
                        format!("{age} years of age, {verb} {years}"),
                        format!("年龄 {age} 周岁，{zh} {years} 周岁"),
                    ),
                    &["birth_date"],
                )
            }
            Self::InsuranceMonths(months) => {
                let paid = a.insurance_months;
                let met = paid >= *months;
                let (rest, zh) = if met {
                    (String::new(), String::new())
                } else {
                    let missing = months - paid;
                    (format!(", {missing} missing"), format!("，还差 {missing} 个月"))
                };
                outcome(
                    met,
                    because(
                        format!("{paid} months of social insurance, {months} needed{rest}"),
                        format!("参加社会保险 {paid} 个月，须满 {months} 个月{zh}"),
                    ),
                    &["insurance_months"],
                )
            }
            Self::EducationAtLeast(level) => {
                let met = a.education.is_at_least(*level);
                let (verb, zh) = if met {
                    ("at least", "不低于")
                } else {
                    ("below", "低于")
                };
                outcome(
                    met,
                    because(
                        format!("education {}, {verb} {}", a.education.en(), level.en()),
                        format!("学历为{}，{zh}{}", a.education.zh(), level.zh()),
                    ),
                    &["education"],
                )
            }
            Self::TitleIn(titles) => {
                let met = titles.contains(&a.title);
                let (verb, zh) = if met {
                    ("is", "属于")
                } else {
                    ("is not", "不属于")
                };
                let list = |of: fn(Title) -> &'static str, between: &str| {
                    let wanted: Vec<_> = titles.iter().map(|title| of(*title)).collect();
                    wanted.join(between)
                };
                outcome(
                    met,
                    because(
                        format!("title {}: {verb} one of {}", a.title.en(), list(Title::en, ", ")),
                        format!("职称或技能等级为{}，{zh}{}", a.title.zh(), list(Title::zh, "、")),
                    ),
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

fn registered_in(divisions: &[Division], a: &Applicant) -> Outcome {
    let there = &a.residence.division;
    let met = divisions.iter().any(|division| there.lies_in(division));
    let (here, zh) = (words(divisions, " or "), words(divisions, "、"));
    let because = if met {
        because(
            format!("registered in {there}, which lies in {here}"),
            format!("登记在 {there}，属于 {zh}"),
        )
    } else {
        because(
            format!("registered in {there}, which does not lie in {here}: apply there"),
            format!("登记在 {there}，不属于 {zh}：请向登记地申请"),
        )
    };
    Outcome {
        met,
        because,
        evidence: vec!["residence.division".to_owned()],
    }
}

fn registered_for(period: Period, a: &Applicant, at: Date) -> Result<Outcome, Error> {
    let since = a.residence.registered_on;
    let full = period.last_day(since)?;
    let (length, zh) = (period.words(), period.chinese());
    let because = if full <= at {
        because(
            format!("registered since {since}: {length} were full on {full}"),
            format!("{since} 起登记，{full} 满 {zh}"),
        )
    } else {
        let days = at.duration_until(full).as_hours() / 24;
        because(
            format!("registered since {since}: {length} are full on {full}, {days} days after {at}"),
            format!("{since} 起登记，{full} 才满 {zh}，距 {at} 还有 {days} 天"),
        )
    };
    Ok(Outcome {
        met: full <= at,
        because,
        evidence: vec!["residence.registered_on".to_owned()],
    })
}

fn papers(codes: &[EvidenceCode], a: &Applicant, at: Date) -> Outcome {
    let in_force: Vec<_> = a.evidence_in_force(codes, at).collect();
    if let Some(first) = in_force.first() {
        let (until, zh) = first.validity.to().map_or_else(
            || ("without end".to_owned(), "长期".to_owned()),
            |to| (format!("until {to}"), format!("至 {to}")),
        );
        return Outcome {
            met: true,
            because: because(
                format!("{} holds on {at} ({until})", first.code.en()),
                format!("{}在 {at} 有效（{zh}）", first.code.zh()),
            ),
            evidence: in_force.iter().map(|e| e.code.to_string()).collect(),
        };
    }
    let shown: Vec<_> = a.evidence.iter().filter(|e| codes.contains(&e.code)).collect();
    let named = |name: fn(EvidenceCode) -> &'static str, between: &str| {
        let names: Vec<_> = codes.iter().map(|code| name(*code)).collect();
        names.join(between)
    };
    let because = if shown.is_empty() {
        because(
            format!("none of these was shown: {}", named(EvidenceCode::en, ", ")),
            format!("未出示下列任何一项：{}", named(EvidenceCode::zh, "、")),
        )
    } else {
        let each: Vec<(String, String)> = shown
            .iter()
            .map(|e| match (e.validity.from(), e.validity.to()) {
                (_, Some(to)) if to < at => (
                    format!("{} ended on {to}", e.code.en()),
                    format!("{}已于 {to} 到期", e.code.zh()),
                ),
                (Some(from), _) => (
                    format!("{} begins on {from}", e.code.en()),
                    format!("{}自 {from} 起才有效", e.code.zh()),
                ),
                _ => (
                    format!("{} does not hold", e.code.en()),
                    format!("{}无效", e.code.zh()),
                ),
            })
            .collect();
        let (english, chinese): (Vec<String>, Vec<String>) = each.into_iter().unzip();
        because(
            format!("no paper holds on {at}: {}", english.join(", ")),
            format!("{at} 没有有效材料：{}", chinese.join("，")),
        )
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
