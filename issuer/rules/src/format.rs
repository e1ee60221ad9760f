//! The TOML of a rule set: its shape, and what the loader checks beyond it.
//!
//! Limits checked: Decree 663 articles 9 (issue within 15 days, 30 in remote areas), 10 (yearly endorsement), 15 and 16
//! (settlement), 21 (fees). Left out: whether a rule is the law; its grade says how well that was confirmed.

use std::collections::BTreeSet;

use jiff::civil::Date;
use permit_domain::{Division, Error, Role, Tier};
use serde::{Deserialize, Serialize};

use crate::calendar::Period;
use crate::condition::{Because, Test};
use crate::grade::Grade;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleSetFile {
    pub(crate) id: String,
    pub(crate) jurisdiction: Division,
    pub(crate) zh: String,
    pub(crate) en: String,
    pub(crate) grade: Grade,
    pub(crate) effective_from: Date,
    #[serde(default)]
    pub(crate) effective_to: Option<Date>,
    /// Article 9: from acceptance.
    pub(crate) issue_within: Period,
    /// Article 9: a remote area by local rule, up to 30 days.
    #[serde(default)]
    pub(crate) remote_area: bool,
    pub(crate) fees: Fees,
    pub(crate) instruments: Vec<Instrument>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) tiers: Vec<TierRule>,
    #[serde(default)]
    pub(crate) services: Vec<Service>,
    #[serde(default)]
    pub(crate) organs: Vec<Organ>,
    #[serde(default)]
    pub(crate) settlement: Option<Settlement>,
}

/// Fees in fen.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fees {
    first: u32,
    endorse: u32,
    /// Local data: article 21 lets the replacement pay its cost.
    replace: u32,
}

/// A law, regulation or rule that conditions cite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instrument {
    /// How conditions call it.
    pub key: String,
    /// Its name, before the article in explanations.
    pub name: String,
    /// Where it was read.
    pub source: String,
    /// How well it was confirmed.
    pub grade: Grade,
}

/// A condition: a test with its article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Upper case, unique in the set.
    pub id: String,
    /// Key of an instrument.
    pub instrument: String,
    /// For example `第二条`.
    pub article: String,
    /// How well it was confirmed.
    pub grade: Grade,
    /// In Chinese, for screens.
    pub zh: String,
    /// In English, for screens.
    pub en: String,
    /// What is compared.
    pub test: Test,
}

/// What a tier requires: a condition by id, or a combination.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "a condition id, or one of { all = [..] }, { any = [..] }, { at_least = n, of = [..] }, { not = .. }"
)]
pub enum Requirement {
    /// The condition with this id.
    Condition(String),
    /// Every one.
    All(AllOf),
    /// At least one.
    Any(AnyOf),
    /// At least so many.
    AtLeast(AtLeast),
    /// The opposite.
    Not(NotOf),
}

/// `{ all = [..] }`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllOf {
    all: Vec<Requirement>,
}

/// `{ any = [..] }`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnyOf {
    any: Vec<Requirement>,
}

/// `{ at_least = n, of = [..] }`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtLeast {
    at_least: usize,
    of: Vec<Requirement>,
}

/// `{ not = .. }`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotOf {
    not: Box<Requirement>,
}

/// What joins the ids of conditions to a sentence.
struct Joints {
    and: &'static str,
    or: &'static str,
    of: &'static str,
    more_of: &'static str,
    not: &'static str,
    comma: &'static str,
    nothing: &'static str,
}

const ENGLISH: Joints = Joints {
    and: " and ",
    or: " or ",
    of: " of ",
    more_of: " more of ",
    not: "not ",
    comma: ", ",
    nothing: "nothing",
};

const CHINESE: Joints = Joints {
    and: " 且 ",
    or: " 或 ",
    of: " 项，取自 ",
    more_of: " 项，取自 ",
    not: "非 ",
    comma: "、",
    nothing: "无",
};

impl Requirement {
    /// Whether it holds, given which conditions are met.
    pub fn holds(&self, met: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Condition(id) => met(id),
            Self::All(x) => x.all.iter().all(|r| r.holds(met)),
            Self::Any(x) => x.any.iter().any(|r| r.holds(met)),
            Self::AtLeast(x) => x.of.iter().filter(|r| r.holds(met)).count() >= x.at_least,
            Self::Not(x) => !x.not.holds(met),
        }
    }

    /// The ids of all conditions in it.
    #[must_use]
    pub fn conditions(&self) -> Vec<&str> {
        match self {
            Self::Condition(id) => vec![id],
            Self::All(x) => x.all.iter().flat_map(Self::conditions).collect(),
            Self::Any(x) => x.any.iter().flat_map(Self::conditions).collect(),
            Self::AtLeast(x) => x.of.iter().flat_map(Self::conditions).collect(),
            Self::Not(x) => x.not.conditions(),
        }
    }

    /// In words: `A and (B or C)`.
    #[must_use]
    pub fn words(&self) -> String {
        self.said(&ENGLISH)
    }

    fn said(&self, words: &Joints) -> String {
        let list = |items: &[Self], between: &str| {
            let inner: Vec<_> = items.iter().map(|item| item.inner(words)).collect();
            inner.join(between)
        };
        match self {
            Self::Condition(id) => id.clone(),
            Self::All(x) => list(&x.all, words.and),
            Self::Any(x) => list(&x.any, words.or),
            Self::AtLeast(x) => format!("{}{}{}", x.at_least, words.of, list(&x.of, words.comma)),
            Self::Not(x) => format!("{}{}", words.not, x.not.inner(words)),
        }
    }

    fn inner(&self, words: &Joints) -> String {
        match self {
            Self::Condition(id) => id.clone(),
            other => format!("({})", other.said(words)),
        }
    }

    /// The conditions that tell why it holds or fails: of alternatives that were not needed, none.
    pub(crate) fn telling<'a>(&'a self, met: &dyn Fn(&str) -> bool, found: &mut BTreeSet<&'a str>) {
        let alternatives: &[Self] = match self {
            Self::Condition(id) => {
                found.insert(id);
                return;
            }
            Self::All(x) => &x.all,
            Self::Any(x) => &x.any,
            Self::AtLeast(x) => &x.of,
            Self::Not(x) => {
                found.extend(x.not.conditions());
                return;
            }
        };
        let is_choice = !matches!(self, Self::All(_));
        let holds = self.holds(met);
        for part in alternatives {
            if !(is_choice && holds) || part.holds(met) {
                part.telling(met, found);
            }
        }
    }

    /// What is missing, in words, without the parts that are there: one text for each part of it that fails.
    fn missing(&self, met: &dyn Fn(&str) -> bool, words: &Joints) -> Vec<String> {
        match self {
            r if r.holds(met) => Vec::new(),
            Self::Condition(id) => vec![id.clone()],
            Self::All(x) => x.all.iter().flat_map(|r| r.missing(met, words)).collect(),
            Self::Any(x) => {
                let each: Vec<String> = x
                    .any
                    .iter()
                    .map(|r| r.missing(met, words).join(words.and))
                    .collect();
                vec![format!("({})", each.join(words.or))]
            }
            Self::AtLeast(x) => {
                let more = x.at_least - x.of.iter().filter(|r| r.holds(met)).count();
                let each: Vec<String> =
                    x.of.iter()
                        .filter(|r| !r.holds(met))
                        .map(|r| r.missing(met, words).join(words.and))
                        .collect();
                vec![format!("({more}{}{})", words.more_of, each.join(words.comma))]
            }
            Self::Not(x) => vec![format!("{}{}", words.not, x.not.inner(words))],
        }
    }

    fn fault(&self) -> Option<&'static str> {
        match self {
            Self::Condition(_) => None,
            Self::All(x) if x.all.is_empty() => Some("an empty `all`, which every applicant meets"),
            Self::Any(x) if x.any.is_empty() => Some("an empty `any`, which no applicant meets"),
            Self::AtLeast(x) if x.at_least == 0 || x.at_least > x.of.len() => {
                Some("an `at_least` of none, or of more than it lists")
            }
            Self::All(x) => x.all.iter().find_map(Self::fault),
            Self::Any(x) => x.any.iter().find_map(Self::fault),
            Self::AtLeast(x) => x.of.iter().find_map(Self::fault),
            Self::Not(x) => x.not.fault(),
        }
    }
}

/// A tier: what it requires and what it grants.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierRule {
    /// Which one of the service layer.
    pub tier: Tier,
    /// What it is called here, in Chinese.
    pub zh: String,
    /// What it is called here, in English.
    pub en: String,
    /// Key of an instrument.
    pub instrument: String,
    /// The article that grants it.
    pub article: String,
    /// The article on its validity or endorsement.
    pub validity_article: String,
    /// What it requires.
    pub require: Requirement,
    /// How long it holds until it must be endorsed.
    pub validity: Period,
    /// Whether its holder may apply for settlement.
    pub may_apply_settlement: bool,
    /// What its card grants.
    #[serde(default)]
    pub entitlements: Vec<EntitlementRule>,
}

impl TierRule {
    /// What is missing and what is met of it, without alternatives that were not needed.
    pub(crate) fn because(&self, met: &dyn Fn(&str) -> bool) -> Because {
        let mut telling = BTreeSet::new();
        self.require.telling(met, &mut telling);
        // In the order in which the rule names them.
        let there: Vec<&str> = self
            .require
            .conditions()
            .into_iter()
            .filter(|id| met(id) && telling.remove(id))
            .collect();
        let list = |items: &[&str], words: &Joints| {
            if items.is_empty() {
                words.nothing.to_owned()
            } else {
                items.join(words.comma)
            }
        };
        let missing = |words: &Joints| self.require.missing(met, words).join(words.comma);
        let (name, english, chinese) = (&self.zh, list(&there, &ENGLISH), list(&there, &CHINESE));
        if self.require.holds(met) {
            return Because {
                english: format!("{name}: met is {english}"),
                chinese: format!("{name}：已满足 {chinese}"),
            };
        }
        Because {
            english: format!("{name}: not met is {}; met is {english}", missing(&ENGLISH)),
            chinese: format!("{name}：不满足 {}；已满足 {chinese}", missing(&CHINESE)),
        }
    }
}

/// An entitlement as written in the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntitlementRule {
    /// The role whose terminals read it.
    pub role: Role,
    /// Fare or service class, 0 none.
    pub class: u8,
    /// Codes of services of this set.
    pub services: Vec<String>,
    /// Bits 0 to 63; empty: not checked.
    #[serde(default)]
    pub zones: Vec<u8>,
}

/// A service that a card may grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its bit in the record, 0 to 63; never given to another service of the jurisdiction.
    pub bit: u8,
    /// Upper case.
    pub code: String,
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
    /// The article that it rests on.
    pub basis: String,
}

/// The organ of a division.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Organ {
    pub(crate) division: Division,
    pub(crate) zh: String,
}

/// The size of a city, by inhabitants of its urban area: Decree 663 article 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CitySize {
    /// Towns and cities up to 500 000.
    UpTo500K,
    /// 500 000 to 1 million.
    UpTo1M,
    /// 1 to 3 million.
    UpTo3M,
    /// 3 to 5 million.
    UpTo5M,
    /// More than 5 million.
    Over5M,
}

/// Settlement: Decree 663 articles 15 and 16.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// The city's size.
    pub city_size: CitySize,
    /// Whether points decide.
    pub by_points: bool,
    /// Full years of social insurance asked for.
    pub insurance_years: u8,
}

impl RuleSetFile {
    pub(crate) fn article(&self, instrument: &str, article: &str) -> String {
        let name = self
            .instruments
            .iter()
            .find(|i| i.key == instrument)
            .map_or(instrument, |i| &i.name);
        format!("{name} {article}")
    }

    pub(crate) fn mask(&self, codes: &[String]) -> u64 {
        self.services
            .iter()
            .filter(|s| codes.contains(&s.code))
            .fold(0, |mask, s| mask | 1 << s.bit)
    }

    /// The first thing that is wrong, in words.
    fn fault(&self) -> Option<String> {
        let s = |text: &str| Some(text.to_owned());
        if self.effective_to.is_some_and(|to| to < self.effective_from) {
            return s("effective_to lies before effective_from");
        }
        let (days, limit) = match self.issue_within {
            Period::Days(n) => (n, if self.remote_area { 30 } else { 15 }),
            _ => return s("issue_within is a number of days"),
        };
        if days == 0 || days > limit {
            return Some(format!(
                "issue_within is {days} days; Decree 663 article 9 allows 1 to {limit}"
            ));
        }
        if self.fees.first != 0 || self.fees.endorse != 0 {
            return s("first issue and endorsement are free (Decree 663 article 21)");
        }
        if self.fees.replace > 10_000 {
            return s(
                "a replacement costs more than 100 yuan: that is no cost of a card (Decree 663 article 21)",
            );
        }
        self.fault_of_names()
            .or_else(|| self.fault_of_tiers())
            .or_else(|| self.fault_of_settlement())
    }

    fn fault_of_names(&self) -> Option<String> {
        let id_shaped = (1..=48).contains(&self.id.len())
            && self
                .id
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !id_shaped {
            return Some("the id has 1 to 48 of a-z, 0-9 and -".to_owned());
        }
        let keys: BTreeSet<_> = self.instruments.iter().map(|i| i.key.as_str()).collect();
        if keys.len() != self.instruments.len() {
            return Some("two instruments have one key".to_owned());
        }
        let mut ids = BTreeSet::new();
        for c in &self.conditions {
            if !is_code(&c.id) || Tier::ALL.iter().any(|t| t.as_str() == c.id) || c.id == "VALIDITY" {
                return Some(format!(
                    "{} is no condition id: 2 to 32 of A-Z, 0-9, _, and no name of a tier",
                    c.id
                ));
            }
            if !ids.insert(&c.id) {
                return Some(format!("two conditions are called {}", c.id));
            }
            if !keys.contains(c.instrument.as_str()) {
                return Some(format!(
                    "condition {} cites the unknown instrument {}",
                    c.id, c.instrument
                ));
            }
            if let Some(fault) = c.test.fault() {
                return Some(format!("condition {}: {fault}", c.id));
            }
        }
        let mut bits = BTreeSet::new();
        let mut codes = BTreeSet::new();
        for service in &self.services {
            if service.bit > 63 || !bits.insert(service.bit) {
                return Some(format!(
                    "bit {} of service {} is taken or above 63",
                    service.bit, service.code
                ));
            }
            if !is_code(&service.code) || !codes.insert(&service.code) {
                return Some(format!(
                    "service code {} is malformed or stands twice",
                    service.code
                ));
            }
        }
        None
    }

    fn fault_of_tiers(&self) -> Option<String> {
        if self.tiers.is_empty() {
            return Some("it has no tier".to_owned());
        }
        // Highest first: the order of the file is the order of grants.
        if self.tiers.windows(2).any(|pair| pair[0].tier <= pair[1].tier) {
            return Some("tiers stand highest first, each once: TALENT, EMPLOYMENT, TEMP".to_owned());
        }
        let known: BTreeSet<_> = self.conditions.iter().map(|c| c.id.as_str()).collect();
        let mut used = BTreeSet::new();
        for tier in &self.tiers {
            let code = tier.tier.as_str();
            if let Some(fault) = tier.require.fault() {
                return Some(format!("tier {code} requires {fault}"));
            }
            for id in tier.require.conditions() {
                if !known.contains(id) {
                    return Some(format!("tier {code} requires the unknown condition {id}"));
                }
                used.insert(id);
            }
            if !self.instruments.iter().any(|i| i.key == tier.instrument) {
                return Some(format!(
                    "tier {code} cites the unknown instrument {}",
                    tier.instrument
                ));
            }
            if matches!(
                tier.validity,
                Period::Days(0) | Period::Months(0) | Period::Years(0)
            ) {
                return Some(format!("tier {code} holds for no time"));
            }
            if tier.may_apply_settlement && self.settlement.is_none() {
                return Some(format!(
                    "tier {code} speaks of settlement and the set has no rule on it"
                ));
            }
            let mut roles = BTreeSet::new();
            for e in &tier.entitlements {
                if !roles.insert(e.role) {
                    return Some(format!("tier {code} has two entitlements of {}", e.role));
                }
                if let Some(service) = e
                    .services
                    .iter()
                    .find(|c| !self.services.iter().any(|s| s.code == **c))
                {
                    return Some(format!("tier {code} grants the unknown service {service}"));
                }
                if e.zones.iter().any(|bit| *bit > 63) {
                    return Some(format!("tier {code} has a zone bit above 63"));
                }
            }
        }
        known
            .iter()
            .find(|id| !used.contains(*id))
            .map(|id| format!("no tier requires condition {id}"))
    }

    fn fault_of_settlement(&self) -> Option<String> {
        let rule = self.settlement.as_ref()?;
        let (most, points_allowed) = match rule.city_size {
            CitySize::UpTo500K => (0, false),
            CitySize::UpTo1M => (3, false),
            CitySize::UpTo3M => (5, false),
            CitySize::UpTo5M => (5, true),
            CitySize::Over5M => (u8::MAX, true),
        };
        if rule.insurance_years > most {
            return Some(format!(
                "settlement asks for more than {most} years of insurance (Decree 663 article 16)"
            ));
        }
        if rule.by_points && !points_allowed {
            return Some(
                "settlement by points needs a city above 3 million (Decree 663 article 16)".to_owned(),
            );
        }
        if rule.city_size == CitySize::Over5M && !rule.by_points {
            return Some("a city above 5 million settles by points (Decree 663 article 16)".to_owned());
        }
        None
    }
}

fn is_code(text: &str) -> bool {
    (2..=32).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// Reads and checks.
pub(crate) fn read(name: &str, text: &str) -> Result<RuleSetFile, Error> {
    let file: RuleSetFile = toml::from_str(text).map_err(|e| Error::RuleSetUnreadable {
        name: name.to_owned(),
        problem: e.to_string().trim().to_owned(),
    })?;
    match file.fault() {
        Some(problem) => Err(Error::RuleSetInvalid { id: file.id, problem }),
        None => Ok(file),
    }
}
