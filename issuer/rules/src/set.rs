//! One rule set: the law of a jurisdiction as versioned data, and the engine that decides by it.
//!
//! A rule set is a TOML text ([`crate::format`]). It is published once and superseded, never edited: decisions carry the
//! SHA-256 of its text. Conditions are typed tests; a tier requires them in `all`, `any`, `at_least` and `not`. Left out:
//! points, quotas, reading files (callers hand in texts).

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use permit_domain::{
    Applicant, Decision, Digest, Division, Entitlement, Error, ExplanationLine, Grant, Tier,
};

use crate::calendar::{Calendar, endorsement_opens, endorsement_window, period_granted};
use crate::format;
use crate::format::{Condition, Service, Settlement, TierRule};
use crate::grade::Grade;

/// The decision on an endorsement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endorsement {
    /// What was decided.
    pub decision: Decision,
    /// The last day on which it may be signed off and written: the last day of its window; of one that is late, the day
    /// before the next window.
    pub holds_until: Date,
}

/// A rule set that was read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSet {
    file: format::RuleSetFile,
    text: String,
    digest: Digest,
}

impl RuleSet {
    /// Reads and checks a rule set. `name` names the text in errors, for example its path.
    ///
    /// # Errors
    /// [`Error::RuleSetUnreadable`] for text that is no rule set (unknown keys too), [`Error::RuleSetInvalid`] for one
    /// that contradicts itself or the limits of Decree 663.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let file = format::read(name, text)?;
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

    /// How well it was confirmed as a whole.
    #[must_use]
    pub const fn grade(&self) -> Grade {
        self.file.grade
    }

    /// Whether it is in force on the day.
    #[must_use]
    pub fn in_force(&self, at: Date) -> bool {
        self.file.effective_from <= at && self.file.effective_to.is_none_or(|to| at <= to)
    }

    /// First and last day in force.
    #[must_use]
    pub const fn effective(&self) -> (Date, Option<Date>) {
        (self.file.effective_from, self.file.effective_to)
    }

    /// Its conditions, in the order of the file.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        &self.file.conditions
    }

    /// Its tiers, highest first.
    #[must_use]
    pub fn tiers(&self) -> &[TierRule] {
        &self.file.tiers
    }

    /// The services whose bits its entitlements use.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.file.services
    }

    /// The rule on settlement, if it has one.
    #[must_use]
    pub const fn settlement(&self) -> Option<&Settlement> {
        self.file.settlement.as_ref()
    }

    /// The organ that issues permits for a residence in this division: the one named for the smallest area around it.
    #[must_use]
    pub fn organ(&self, division: &Division) -> Option<&str> {
        self.file
            .organs
            .iter()
            .filter(|o| division.lies_in(&o.division))
            // The division with the fewest trailing zeros is the smallest area.
            .max_by_key(|o| o.division.as_str().trim_end_matches('0').len())
            .map(|o| o.zh.as_str())
    }

    /// The divisions for which it names an organ of their own, and that organ, in the order of the set.
    pub fn organs(&self) -> impl Iterator<Item = (&Division, &str)> {
        self.file.organs.iter().map(|o| (&o.division, o.zh.as_str()))
    }

    /// The last day on which the organ may issue what was accepted on this day (Decree 663, article 9).
    ///
    /// # Errors
    /// [`Error::OutOfCalendar`].
    pub fn issue_by(&self, accepted: Date, calendar: &Calendar) -> Result<Date, Error> {
        calendar.end_of(self.file.issue_within, accepted)
    }

    /// Decides one applicant on the day of acceptance. See [`RuleSet::decide_accepted`].
    ///
    /// # Errors
    /// Those of [`RuleSet::decide_accepted`].
    pub fn decide(&self, applicant: &Applicant, at: Date, calendar: &Calendar) -> Result<Decision, Error> {
        self.decide_accepted(applicant, at, at, calendar)
    }

    /// Decides one applicant on day `at`, for an application that was accepted on day `accepted`: the organ's time to
    /// issue runs from acceptance (Decree 663 article 9), however late the review is.
    ///
    /// A tier that was asked for is granted or refused as asked: nobody gets what they did not ask for. Without a wish
    /// the highest tier whose conditions are met is granted. [`Decision::eligible`] lists all of them either way.
    ///
    /// # Errors
    /// [`Error::RuleSetNotInForce`], [`Error::TierNotOffered`], [`Error::OutOfCalendar`]. Not being eligible is no error.
    pub fn decide_accepted(
        &self,
        applicant: &Applicant,
        accepted: Date,
        at: Date,
        calendar: &Calendar,
    ) -> Result<Decision, Error> {
        if !self.in_force(at) {
            return Err(Error::RuleSetNotInForce {
                id: self.file.id.clone(),
                at,
            });
        }
        let considered: Vec<&TierRule> = match applicant.requested_tier {
            None => self.file.tiers.iter().collect(),
            Some(tier) => {
                let rule = self.file.tiers.iter().find(|t| t.tier == tier);
                vec![rule.ok_or_else(|| Error::TierNotOffered {
                    id: self.file.id.clone(),
                    tier,
                })?]
            }
        };

        let mut outcomes = BTreeMap::new();
        for condition in &self.file.conditions {
            outcomes.insert(condition.id.as_str(), condition.test.apply(applicant, at)?);
        }
        let met = |id: &str| outcomes.get(id).is_some_and(|o| o.met);
        let eligible: Vec<Tier> = self
            .file
            .tiers
            .iter()
            .filter(|t| t.require.holds(&met))
            .map(|t| t.tier)
            .collect();

        let mut telling = BTreeSet::new();
        for rule in &considered {
            rule.require.telling(&met, &mut telling);
        }
        let mut explanation: Vec<ExplanationLine> = self
            .file
            .conditions
            .iter()
            .filter(|c| telling.contains(c.id.as_str()))
            .filter_map(|c| outcomes.get(c.id.as_str()).map(|o| (c, o)))
            .map(|(condition, outcome)| ExplanationLine {
                rule_set: self.file.id.clone(),
                article: self.file.article(&condition.instrument, &condition.article),
                condition: condition.id.clone(),
                met: outcome.met,
                because: outcome.because.english.clone(),
                because_zh: outcome.because.chinese.clone(),
                evidence: outcome.evidence.clone(),
            })
            .collect();
        for rule in &considered {
            let because = rule.because(&met);
            explanation.push(ExplanationLine {
                rule_set: self.file.id.clone(),
                article: self.file.article(&rule.instrument, &rule.article),
                condition: rule.tier.as_str().to_owned(),
                met: rule.require.holds(&met),
                because: because.english,
                because_zh: because.chinese,
                evidence: Vec::new(),
            });
        }

        let granted = considered.into_iter().find(|t| t.require.holds(&met));
        let mut decision = Decision {
            rule_set: self.file.id.clone(),
            rule_digest: self.digest,
            at,
            tier: granted.map(|t| t.tier),
            eligible,
            explanation,
            valid_from: None,
            valid_to: None,
            issue_by: None,
            may_apply_settlement: granted.is_some_and(|t| t.may_apply_settlement),
            entitlements: Vec::new(),
        };
        if let Some(rule) = granted {
            self.grant(rule, at, 1, calendar, &mut decision)?;
            decision.issue_by = Some(self.issue_by(accepted, calendar)?);
        }
        Ok(decision)
    }

    /// Decides the endorsement of a permit (Decree 663 article 10): its conditions are looked at on day `at`, and its years
    /// are counted from its anchor, also where it is late.
    ///
    /// # Errors
    /// [`Error::TooEarly`] before the month ahead of its last full period; those of [`RuleSet::decide_accepted`].
    pub fn decide_endorsement(
        &self,
        applicant: &Applicant,
        grant: &Grant,
        at: Date,
        calendar: &Calendar,
    ) -> Result<Endorsement, Error> {
        let rule = self.rule(grant.tier)?;
        let from = endorsement_opens(grant.anchor, rule.validity, grant.valid_to)?;
        if at < from {
            return Err(Error::TooEarly {
                valid_to: grant.valid_to,
                from,
            });
        }
        let number = period_granted(grant.anchor, rule.validity, at)?;
        let decision = self.decide_again(applicant, rule, grant, number, at, calendar)?;
        let holds_until = if at <= grant.valid_to {
            grant.valid_to
        } else {
            let (next, _) = endorsement_window(grant.anchor, rule.validity, number, calendar)?;
            next.yesterday().map_err(|_| Error::OutOfCalendar)?
        };
        Ok(Endorsement {
            decision,
            holds_until,
        })
    }

    /// Decides another tier, or what the same tier grants today, for a permit that is in force. The same tier keeps its last
    /// day, and so does one of the same period: a later one is an endorsement's. A tier of another period has its own periods,
    /// counted from the permit's anchor too, and ends no sooner than what was decided before.
    ///
    /// # Errors
    /// [`Error::LastDayOver`] for a permit that is over: it is endorsed first; those of [`RuleSet::decide_accepted`].
    pub fn decide_change(
        &self,
        applicant: &Applicant,
        tier: Tier,
        grant: &Grant,
        at: Date,
        calendar: &Calendar,
    ) -> Result<Decision, Error> {
        let rule = self.rule(tier)?;
        grant.check_in_force(at)?;
        let number = period_granted(grant.anchor, rule.validity, at)?;
        let mut decision = self.decide_again(applicant, rule, grant, number, at, calendar)?;
        let first_period = |rule: &TierRule| rule.validity.last_day(grant.anchor);
        let as_long = match self.rule(grant.tier) {
            Ok(present) => first_period(present)? == first_period(rule)?,
            // The set in force has no such tier any more.
            Err(_) => false,
        };
        let keeps = tier == grant.tier || as_long || decision.valid_to.is_some_and(|to| to < grant.valid_to);
        if decision.tier.is_some() && keeps {
            decision.valid_to = Some(grant.valid_to);
            for line in &mut decision.explanation {
                if line.condition == "VALIDITY" {
                    let stays = grant.valid_to;
                    line.because = format!("the last day that was decided before stays: {stays}");
                    line.because_zh = format!("维持原核定的截止日 {stays}");
                }
            }
        }
        Ok(decision)
    }

    fn rule(&self, tier: Tier) -> Result<&TierRule, Error> {
        let rule = self.file.tiers.iter().find(|t| t.tier == tier);
        rule.ok_or_else(|| Error::TierNotOffered {
            id: self.file.id.clone(),
            tier,
        })
    }

    /// Decides a tier for a permit that exists, up to the end of the period of this number after its anchor.
    fn decide_again(
        &self,
        applicant: &Applicant,
        rule: &TierRule,
        grant: &Grant,
        number: u16,
        at: Date,
        calendar: &Calendar,
    ) -> Result<Decision, Error> {
        let mut asked = applicant.clone();
        asked.requested_tier = Some(rule.tier);
        let mut decision = self.decide(&asked, at, calendar)?;
        if decision.tier.is_some() {
            decision.explanation.retain(|line| line.condition != "VALIDITY");
            decision.entitlements.clear();
            self.grant(rule, grant.anchor, number, calendar, &mut decision)?;
            decision.valid_from = Some(at);
        }
        Ok(decision)
    }

    /// Grants a tier up to the end of its period of this number after `from`.
    fn grant(
        &self,
        rule: &TierRule,
        from: Date,
        number: u16,
        calendar: &Calendar,
        decision: &mut Decision,
    ) -> Result<(), Error> {
        let period = rule.validity.times(number)?;
        let last = period.last_day(from)?;
        let (_, valid_to) = endorsement_window(from, rule.validity, number, calendar)?;
        let (moved, moved_zh) = if valid_to == last {
            (String::new(), String::new())
        } else {
            (
                format!("; {last} is a rest day, so the period ends on {valid_to} (Civil Code article 203)"),
                format!("；{last} 为休息日，期限至 {valid_to} 届满（民法典第二百零三条）"),
            )
        };
        decision.valid_from = Some(from);
        decision.valid_to = Some(valid_to);
        decision.explanation.push(ExplanationLine {
            rule_set: self.file.id.clone(),
            article: self.file.article(&rule.instrument, &rule.validity_article),
            condition: "VALIDITY".to_owned(),
            met: true,
            because: format!(
                "{} from {from}, the first day not counted, end on {last} (Civil Code articles 201 and 202){moved}",
                period.words()
            ),
            because_zh: format!(
                "自 {from} 起 {}，开始当日不计入，至 {last}（民法典第二百零一条、第二百零二条）{moved_zh}",
                period.chinese()
            ),
            evidence: Vec::new(),
        });
        for e in &rule.entitlements {
            decision.entitlements.push(Entitlement {
                role: e.role,
                class: e.class,
                services: self.file.mask(&e.services),
                zones: e.zones.iter().fold(0, |mask, bit| mask | 1 << bit),
            });
        }
        Ok(())
    }
}
