//! Every installed rule set, purse rule and calendar: found by id, or by what is in force for a residence on a day.

use std::collections::BTreeMap;

use jiff::civil::Date;
use permit_domain::{Division, Error};

use crate::calendar::Calendar;
use crate::purse::PurseRules;
use crate::set::RuleSet;

/// Every installed rule set, and the calendar of rest days.
#[derive(Debug, Clone, Default)]
pub struct RuleSets {
    sets: BTreeMap<String, RuleSet>,
    purses: BTreeMap<String, PurseRules>,
    calendar: Calendar,
}

impl RuleSets {
    /// The rule set of the demonstration: three tiers, after Guangdong.
    pub const DEFAULT: &'static str = "440300-three-tiers-2026";

    /// The rule sets and calendars that ship with the program.
    ///
    /// # Errors
    /// None in a program whose tests ran.
    pub fn embedded() -> Result<Self, Error> {
        let mut rules = Self::default();
        for (name, text) in [
            (
                "440300/440300-three-tiers-2026.toml",
                include_str!("../440300/440300-three-tiers-2026.toml"),
            ),
            (
                "100000/100000-decree-663-2016.toml",
                include_str!("../100000/100000-decree-663-2016.toml"),
            ),
            (
                "510000/510000-two-tiers-2011.toml",
                include_str!("../510000/510000-two-tiers-2011.toml"),
            ),
        ] {
            rules.add(RuleSet::parse(name, text)?)?;
        }
        rules.add_purse(PurseRules::parse(
            "440300/440300-purse-2026.toml",
            include_str!("../440300/440300-purse-2026.toml"),
        )?)?;
        rules
            .calendar
            .add_year("calendar/2026.toml", include_str!("../calendar/2026.toml"))?;
        Ok(rules)
    }

    /// Adds one. The same text again changes nothing.
    ///
    /// # Errors
    /// [`Error::RuleSetEdited`] if another text has its id.
    pub fn add(&mut self, set: RuleSet) -> Result<(), Error> {
        if let Some(other) = self.sets.get(set.id())
            && other.digest() != set.digest()
        {
            return Err(Error::RuleSetEdited {
                id: set.id().to_owned(),
                published: other.digest(),
                now: set.digest(),
            });
        }
        self.sets.insert(set.id().to_owned(), set);
        Ok(())
    }

    /// Adds purse rules. The same text again changes nothing.
    ///
    /// # Errors
    /// [`Error::RuleSetEdited`] if another text has their id.
    pub fn add_purse(&mut self, rules: PurseRules) -> Result<(), Error> {
        if let Some(other) = self.purses.get(rules.id())
            && other.digest() != rules.digest()
        {
            return Err(Error::RuleSetEdited {
                id: rules.id().to_owned(),
                published: other.digest(),
                now: rules.digest(),
            });
        }
        self.purses.insert(rules.id().to_owned(), rules);
        Ok(())
    }

    /// The purse rules with this id.
    ///
    /// # Errors
    /// [`Error::RuleSetUnknown`].
    pub fn purse_rules(&self, id: &str) -> Result<&PurseRules, Error> {
        self.purses.get(id).ok_or_else(|| unknown(id, self.purses.keys()))
    }

    /// All purse rules, by id.
    pub fn purses(&self) -> impl Iterator<Item = &PurseRules> {
        self.purses.values()
    }

    /// The purse rules in force for a residence on a day, chosen as [`RuleSets::in_force`] chooses.
    #[must_use]
    pub fn purse_in_force(&self, division: &Division, at: Date) -> Option<&PurseRules> {
        self.purses
            .values()
            .filter(|s| s.in_force(at) && division.lies_in(s.jurisdiction()))
            .max_by_key(|s| {
                (
                    s.jurisdiction().as_str() != "100000",
                    s.jurisdiction().as_str().trim_end_matches('0').len(),
                    s.effective_from(),
                )
            })
    }

    /// The rule set with this id.
    ///
    /// # Errors
    /// [`Error::RuleSetUnknown`].
    pub fn get(&self, id: &str) -> Result<&RuleSet, Error> {
        self.sets.get(id).ok_or_else(|| unknown(id, self.sets.keys()))
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &RuleSet> {
        self.sets.values()
    }

    /// The rule set in force for a residence on a day: that of the smallest jurisdiction around it, the youngest if
    /// several are in force.
    #[must_use]
    pub fn in_force(&self, division: &Division, at: Date) -> Option<&RuleSet> {
        self.sets
            .values()
            .filter(|s| s.in_force(at) && division.lies_in(s.jurisdiction()))
            .max_by_key(|s| {
                (
                    s.jurisdiction().as_str() != "100000",
                    s.jurisdiction().as_str().trim_end_matches('0').len(),
                    s.effective().0,
                )
            })
    }

    /// The rest days.
    #[must_use]
    pub const fn calendar(&self) -> &Calendar {
        &self.calendar
    }
}

/// That nothing has this id, and what there is.
fn unknown<'a>(id: &str, there: impl Iterator<Item = &'a String>) -> Error {
    Error::RuleSetUnknown {
        id: id.to_owned(),
        there: there.map(String::as_str).collect::<Vec<_>>().join(", "),
    }
}
