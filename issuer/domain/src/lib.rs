//! Permit, tier, clocks, life cycles and rules of decision: pure, without I/O.
//!
//! Law: State Council Decree 663 (residence permits), Civil Code articles 200 to 204 (periods). Standards: GB 11643,
//! GB 32100, GB/T 2260, GB/T 2261.1, GB/T 3304, GB/T 4658. Left out on purpose: files, databases, clocks and random
//! sources (they are arguments); points tables, settlement quotas and the counting of years after a gap.
//!
//! # The way of a case
//!
//! ```
//! use jiff::civil::date;
//! use permit_domain::{ApplicantForm, RuleSets, Tier};
//!
//! let text = include_str!("../../permit/samples/applicant-li-na.json");
//! let today = date(2026, 11, 21);
//! let applicant = ApplicantForm::from_json(text)?.into_applicant(today)?;
//! let rules = RuleSets::embedded()?;
//! let set = rules.get("440300-three-tiers-2026")?;
//! let decision = set.decide(&applicant, today, &rules)?;
//! assert_eq!(decision.tier, Some(Tier::Employment));
//! for line in &decision.explanation {
//!     println!("{} {} {}: {}", line.article, line.condition, line.met, line.because);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What the system refuses
//!
//! There is no field for marriage, births, religion, politics, conduct or a "risk" of a person, in no form, record or
//! state here, and an applicant file that carries one is refused (tests in `tests/refuses.rs`).

mod applicant;
mod application;
mod calendar;
mod card;
mod change;
mod citizen;
mod codes;
mod credit;
mod decision;
mod error;
mod form;
mod hex;
mod identifiers;
mod order;
pub mod payment;
mod people;
mod permit;
mod purse;
mod rules;

pub use applicant::{Address, Applicant, Evidence, PersonName, Registration, Validity};
pub use application::{Application, ApplicationState};
pub use calendar::{Calendar, Period, endorsement_window};
pub use card::{CardState, Chip, Denial, EndOfCard, Standing};
pub use change::{Change, ChangeKind, ChangeState, Way};
pub use citizen::CitizenNumber;
pub use codes::{Division, Education, EvidenceCode, EvidenceKind, Nation, Role, Sex, Tier, Title};
pub use credit::CreditCode;
pub use decision::{Decision, DecisionReport, Entitlement, ExplanationLine};
pub use error::Error;
pub use form::{ApplicantForm, EvidenceForm, FieldError, FormErrors, Raw, ResidenceForm};
pub use hex::Digest;
pub use identifiers::{
    ApplicationId, CardNumber, CardSerial, ChangeId, OrderId, PermitId, PersonId, Province,
};
pub use order::{AllocatedCard, Content, Order, OrderState, Step};
pub use people::{
    Actor, Approver, ChangeClerk, HandOverClerk, IntakeClerk, Producer, Reviewer, SeparatedDuties, StaffId,
};
pub use permit::{EndReason, Grant, Permit, PermitState};
pub use purse::{LoadDecision, Purse, PurseLimits, PurseRules};
pub use rules::{
    CitySize, Condition, Grade, Instrument, Requirement, RuleSet, RuleSets, Service, Settlement, Test,
    TierRule,
};
