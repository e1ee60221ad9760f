//! The purse of small payments: its limits as published data, and the decision on a load. Card specification, chapters 03
//! and 11; design card.md, door F ("a capped offline counter, not licensed e-money").
//!
//! Amounts are in fen. What was loaded is one figure that only grows, and a load books its new value: a load that is done
//! twice makes no money. What was spent is known to the office only as the card last showed it at the counter, so the
//! balance is taken to be the largest that the card can have. Left out: what was bought (nobody tells the office), fees.

use jiff::civil::Date;
use permit_domain::{Digest, Division, Error, ExplanationLine, LoadDecision, Purse, Tier};
use serde::Deserialize;

use crate::format::Instrument;
use crate::grade::Grade;

/// The TOML of purse rules.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct PurseFile {
    id: String,
    jurisdiction: Division,
    zh: String,
    en: String,
    grade: Grade,
    effective_from: Date,
    #[serde(default)]
    effective_to: Option<Date>,
    wait_days: u16,
    instruments: Vec<Instrument>,
    limits: Vec<PurseLimits>,
}

/// The limits of one tier, fen.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurseLimits {
    /// The tier.
    pub tier: Tier,
    /// Largest single amount that a terminal may debit.
    pub cap: u32,
    /// Largest balance outstanding.
    pub balance: u32,
    /// Largest sum ever loaded onto one card.
    pub loaded: u32,
    /// Key of an instrument.
    pub instrument: String,
    /// The article.
    pub article: String,
    /// Why these figures.
    pub because: String,
}

/// Purse rules that were read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurseRules {
    file: PurseFile,
    text: String,
    digest: Digest,
}

impl PurseRules {
    /// Reads and checks purse rules. `name` names the text in errors.
    ///
    /// # Errors
    /// [`Error::RuleSetUnreadable`] for text of another form (unknown keys too), [`Error::RuleSetInvalid`] for rules that
    /// contradict themselves.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let file: PurseFile = toml::from_str(text).map_err(|e| Error::RuleSetUnreadable {
            name: name.to_owned(),
            problem: e.to_string().trim().to_owned(),
        })?;
        if let Some(problem) = file.fault() {
            return Err(Error::RuleSetInvalid { id: file.id, problem });
        }
        Ok(Self {
            file,
            text: text.to_owned(),
            digest: Digest::of(text.as_bytes()),
        })
    }

    /// Its id, ASCII, 1 to 48 bytes.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.file.id
    }

    /// Its published text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the text.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Where it holds.
    #[must_use]
    pub const fn jurisdiction(&self) -> &Division {
        &self.file.jurisdiction
    }

    /// Its name in Chinese and English.
    #[must_use]
    pub fn name(&self) -> (&str, &str) {
        (&self.file.zh, &self.file.en)
    }

    /// First day in force.
    #[must_use]
    pub(crate) const fn effective_from(&self) -> Date {
        self.file.effective_from
    }

    /// Whether it is in force on the day.
    #[must_use]
    pub fn in_force(&self, at: Date) -> bool {
        self.file.effective_from <= at && self.file.effective_to.is_none_or(|to| at <= to)
    }

    /// Days after the end of a card for which its debits may still come in.
    #[must_use]
    pub const fn wait_days(&self) -> u16 {
        self.file.wait_days
    }

    /// The limits of a tier; `None`: its cards have no purse.
    #[must_use]
    pub fn limits(&self, tier: Tier) -> Option<&PurseLimits> {
        self.file.limits.iter().find(|l| l.tier == tier)
    }

    /// Decides a load of `amount` fen onto a purse of this tier. Every limit is explained, whether it holds or not.
    ///
    /// ```
    /// use permit_domain::{Purse, Tier};
    /// use permit_rules::RuleSets;
    /// let rules = RuleSets::embedded()?;
    /// let rules = rules.purse_rules("440300-purse-2026")?;
    /// let purse = Purse { loaded: 60_000, spent: 10_000 };
    /// let load = rules.decide_load(Tier::Temp, purse, 1_000);
    /// assert_eq!(load.loaded, None, "50 000 fen are outstanding already");
    /// assert_eq!(load.unmet().map(|l| l.condition.as_str()).collect::<Vec<_>>(), ["PURSE_BALANCE"]);
    /// assert_eq!(rules.decide_load(Tier::Talent, purse, 1_000).loaded, Some(61_000));
    /// # Ok::<(), permit_domain::Error>(())
    /// ```
    #[must_use]
    pub fn decide_load(&self, tier: Tier, purse: Purse, amount: u32) -> LoadDecision {
        let mut decision = LoadDecision {
            rules: self.file.id.clone(),
            digest: self.digest,
            loaded: None,
            explanation: Vec::new(),
        };
        let Some(limits) = self.limits(tier) else {
            line(
                &mut decision,
                "PURSE",
                String::new(),
                false,
                (
                    format!("cards of the tier {tier} have no purse"),
                    format!("{tier} 类卡没有钱包"),
                ),
            );
            return decision;
        };
        let article = self
            .file
            .instruments
            .iter()
            .find(|i| i.key == limits.instrument)
            .map_or_else(String::new, |i| format!("{} {}", i.name, limits.article));
        // In 64 bits nothing here can overflow: every figure is below 2^32.
        let loaded = u64::from(purse.loaded) + u64::from(amount);
        let balance = loaded.saturating_sub(u64::from(purse.spent));
        line(
            &mut decision,
            "PURSE_AMOUNT",
            article.clone(),
            amount > 0,
            (
                format!("a load is at least 1 fen: {amount}"),
                format!("充值至少 1 分：{amount}"),
            ),
        );
        line(
            &mut decision,
            "PURSE_FIGURES",
            article.clone(),
            purse.spent <= purse.loaded,
            (
                format!(
                    "a card spends no more than was loaded: {} of {}",
                    purse.spent, purse.loaded
                ),
                format!("消费不得超过已充值：{} / {}", purse.spent, purse.loaded),
            ),
        );
        line(
            &mut decision,
            "PURSE_BALANCE",
            article.clone(),
            balance <= u64::from(limits.balance),
            (
                format!(
                    "at most {} fen outstanding: {balance} with this load; {}",
                    limits.balance, limits.because
                ),
                format!("未消费金额至多 {} 分：本次充值后为 {balance} 分", limits.balance),
            ),
        );
        line(
            &mut decision,
            "PURSE_LOADED",
            article,
            loaded <= u64::from(limits.loaded),
            (
                format!(
                    "at most {} fen in the card's life: {loaded} with this load; {}",
                    limits.loaded, limits.because
                ),
                format!("每卡累计充值至多 {} 分：本次充值后为 {loaded} 分", limits.loaded),
            ),
        );
        if decision.explanation.iter().all(|l| l.met) {
            decision.loaded = u32::try_from(loaded).ok();
        }
        decision
    }
}

/// One limit, and whether the load keeps it.
fn line(
    decision: &mut LoadDecision,
    condition: &str,
    article: String,
    met: bool,
    (because, because_zh): (String, String),
) {
    decision.explanation.push(ExplanationLine {
        rule_set: decision.rules.clone(),
        article,
        condition: condition.to_owned(),
        met,
        because,
        because_zh,
        evidence: Vec::new(),
    });
}

impl PurseFile {
    fn fault(&self) -> Option<String> {
        if !(1..=48).contains(&self.id.len())
            || !self
                .id
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        {
            return Some("its id is not 1 to 48 of a-z, 0-9 and -".to_owned());
        }
        if !self.id.starts_with(self.jurisdiction.as_str()) {
            return Some("its id does not begin with its jurisdiction".to_owned());
        }
        if self.effective_to.is_some_and(|to| to < self.effective_from) {
            return Some("it ends before it begins".to_owned());
        }
        if self.limits.is_empty() {
            return Some("it has no limits".to_owned());
        }
        if self.limits.windows(2).any(|pair| pair[0].tier <= pair[1].tier) {
            return Some("tiers stand highest first, each once: TALENT, EMPLOYMENT, TEMP".to_owned());
        }
        for l in &self.limits {
            let tier = l.tier.as_str();
            if l.cap == 0 || l.cap > l.balance || l.balance > l.loaded {
                return Some(format!(
                    "the limits of {tier} are not 0 < cap <= balance <= loaded"
                ));
            }
            if !self.instruments.iter().any(|i| i.key == l.instrument) {
                return Some(format!(
                    "the limits of {tier} cite the unknown instrument {}",
                    l.instrument
                ));
            }
            if l.because.trim().is_empty() {
                return Some(format!("the limits of {tier} give no reason"));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const TEXT: &str = include_str!("../440300/440300-purse-2026.toml");

    fn rules(cap: u32, balance: u32, loaded: u32) -> PurseRules {
        let text = format!(
            "id = \"440300-x\"\njurisdiction = \"440300\"\nzh = \"x\"\nen = \"x\"\ngrade = \"R\"\n\
             effective_from = \"2026-01-01\"\nwait_days = 1\n\
             [[instruments]]\nkey = \"X\"\nname = \"x\"\nsource = \"x\"\ngrade = \"R\"\n\
             [[limits]]\ntier = \"TEMP\"\ncap = {cap}\nbalance = {balance}\nloaded = {loaded}\n\
             instrument = \"X\"\narticle = \"x\"\nbecause = \"x\"\n"
        );
        PurseRules::parse("x", &text).unwrap()
    }

    #[rstest]
    #[case("wait_days = 35", "wait_days = 35\nwaits = 1", "RULE_SET_UNREADABLE")]
    #[case("cap = 20000", "cap = 20000\nceiling = 1", "RULE_SET_UNREADABLE")]
    #[case("cap = 20000", "cap = -1", "RULE_SET_UNREADABLE")]
    #[case("cap = 20000", "cap = 4294967296", "RULE_SET_UNREADABLE")]
    #[case("cap = 20000", "cap = 0", "RULE_SET_INVALID")]
    #[case("cap = 20000", "cap = 50001", "RULE_SET_INVALID")]
    #[case("balance = 50000", "balance = 1000001", "RULE_SET_INVALID")]
    #[case("tier = \"TEMP\"", "tier = \"TALENT\"", "RULE_SET_INVALID")]
    #[case("tier = \"TEMP\"", "tier = \"GOLD\"", "RULE_SET_UNREADABLE")]
    #[case("key = \"TIERS\"", "key = \"OTHER\"", "RULE_SET_INVALID")]
    #[case("because = \"The card lives", "because = \" \"\n# \"", "RULE_SET_INVALID")]
    #[case(
        "id = \"440300-purse-2026\"",
        "id = \"510000-purse-2026\"",
        "RULE_SET_INVALID"
    )]
    fn purse_rules_that_contradict_themselves_are_refused(
        #[case] from: &str,
        #[case] to: &str,
        #[case] code: &str,
    ) {
        let text = TEXT.replace(from, to);
        assert_ne!(text, TEXT, "the case changes something");
        assert_eq!(PurseRules::parse("x", &text).unwrap_err().code(), code);
    }

    #[test]
    fn a_refused_load_names_the_limit_and_its_reason() {
        let rules = PurseRules::parse("x", TEXT).unwrap();
        let purse = Purse {
            loaded: 50_000,
            spent: 0,
        };
        let decision = rules.decide_load(Tier::Temp, purse, 1);
        assert_eq!(decision.loaded, None);
        let unmet: Vec<_> = decision.unmet().collect();
        assert_eq!(unmet.len(), 1);
        assert_eq!(unmet[0].condition, "PURSE_BALANCE");
        assert!(unmet[0].because.contains("50001"));
        assert!(unmet[0].because.contains("half a year"));
        assert!(unmet[0].article.contains("第七条"));
    }

    #[test]
    fn a_tier_without_limits_has_no_purse() {
        let decision = rules(1, 2, 3).decide_load(Tier::Talent, Purse::default(), 1);
        assert_eq!((decision.loaded, decision.unmet().count()), (None, 1));
    }

    proptest! {
        #[test]
        fn no_row_of_loads_brings_a_card_above_a_limit(
            limits in (1_u32..=u32::MAX, 0_u32..=u32::MAX, 0_u32..=u32::MAX),
            steps in proptest::collection::vec((any::<u32>(), 0_u32..=100), 0..40),
        ) {
            let mut sorted = [limits.0, limits.1.max(1), limits.2.max(1)];
            sorted.sort_unstable();
            let rules = rules(sorted[0], sorted[1], sorted[2]);
            let mut purse = Purse::default();
            for (amount, percent) in steps {
                let decision = rules.decide_load(Tier::Temp, purse, amount);
                let expected = u64::from(purse.loaded) + u64::from(amount);
                let fits = amount > 0
                    && expected <= u64::from(sorted[2])
                    && expected - u64::from(purse.spent) <= u64::from(sorted[1]);
                prop_assert_eq!(decision.loaded.is_some(), fits);
                prop_assert_eq!(decision.loaded.is_some(), decision.unmet().count() == 0);
                if let Some(loaded) = decision.loaded {
                    prop_assert!(loaded > purse.loaded, "only grows");
                    purse.loaded = loaded;
                }
                prop_assert!(purse.loaded <= sorted[2] && purse.balance() <= sorted[1]);
                let more = u64::from(purse.balance()) * u64::from(percent) / 100;
                let spent = purse.spent + u32::try_from(more).unwrap();
                purse = purse.seen(Purse { loaded: purse.loaded, spent }).unwrap();
            }
        }
    }
}
