//! The law as data: rule sets, purse rules and the rest days of the year, and the engine that decides by them.
//!
//! The texts stand beside this crate, `JURISDICTION/ID.toml`; one is published once and superseded, never edited. Law: State
//! Council Decree 663 (residence permits), Civil Code articles 200 to 204 (periods). Left out: points tables and settlement
//! quotas, the counting of years after a gap, and reading files.
//!
//! # The way of a case
//!
//! ```
//! use jiff::civil::date;
//! use permit_domain::{ApplicantForm, Tier};
//! use permit_rules::RuleSets;
//!
//! let text = include_str!("../../permit/samples/applicant-li-na.json");
//! let today = date(2026, 11, 21);
//! let applicant = ApplicantForm::from_json(text)?.into_applicant(today)?;
//! let rules = RuleSets::embedded()?;
//! let set = rules.get("440300-three-tiers-2026")?;
//! let decision = set.decide(&applicant, today, rules.calendar())?;
//! assert_eq!(decision.tier, Some(Tier::Employment));
//! for line in &decision.explanation {
//!     println!("{} {} {}: {}", line.article, line.condition, line.met, line.because);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod calendar;
mod condition;
mod format;
mod grade;
mod library;
mod purse;
mod set;

pub use calendar::{Calendar, Period};
pub use condition::Test;
pub use format::{CitySize, Condition, Instrument, Requirement, Service, Settlement, TierRule};
pub use grade::Grade;
pub use library::RuleSets;
pub use purse::{PurseLimits, PurseRules};
pub use set::{Endorsement, RuleSet};
