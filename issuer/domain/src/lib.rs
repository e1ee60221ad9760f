//! Citizens, applications, permits, cards and orders, and their life cycles: pure, without I/O.
//!
//! Law: State Council Decree 663 (residence permits). Standards: GB 11643, GB 32100, GB/T 2260, GB/T 2261.1, GB/T 3304,
//! GB/T 4658. Left out on purpose: files, databases, clocks and random sources (they are arguments), and what the law asks
//! for, which is data (crate `permit-rules`).
//!
//! # What the system refuses
//!
//! There is no field for marriage, births, religion, politics, conduct or a "risk" of a person, in no form, record or
//! state here, and an applicant file that carries one is refused (tests in `tests/domain/refuses.rs`).

mod age;
mod agent;
mod applicant;
mod application;
mod card;
mod case_content;
mod change;
mod citizen;
mod codes;
pub mod counting;
mod credit;
mod decision;
mod digest;
mod error;
mod form;
mod identifiers;
mod order;
pub mod payment;
mod people;
mod permit;
mod printable;
mod purse;
mod refusal;
mod scrap;
pub mod words;

pub use agent::{Agent, AgentDocument};
pub use applicant::{Address, Applicant, Evidence, PersonName, Registration, Validity};
pub use application::{Application, ApplicationState};
pub use card::{CardStage, Chip, Denial, EndOfCard, Standing};
pub use case_content::{CaseContent, ContentState};
pub use change::{CardChange, ChangeKind, ChangeState, Way};
pub use citizen::CitizenNumber;
pub use codes::{
    Division, Education, EvidenceCode, EvidenceKind, Nation, Role, Sex, Tier, Title, read_tier, tier_words,
};
pub use credit::CreditCode;
pub use decision::{Decision, DecisionReport, Entitlement, ExplanationLine, RefusalReport};
pub use digest::{Digest, NotADigest};
pub use error::Error;
pub use form::{ApplicantForm, EvidenceForm, FieldError, FormErrors, Raw, ResidenceForm};
pub use identifiers::{
    ApplicationId, CardNumber, CardSerial, ChangeId, OrderId, PaperNumber, PermitId, PersonId, Province,
};
pub use order::{AllocatedCard, Content, Order, OrderState, Step};
pub use people::{
    Actor, Approver, ChangeClerk, HandOverClerk, IntakeClerk, Maker, Producer, Reviewer, SeparatedDuties,
    StaffId,
};
pub use permit::{EndReason, Grant, Permit, PermitState};
pub use purse::{LoadDecision, Purse};
pub use refusal::Refusal;
pub use scrap::{Scrap, ScrapReason, ScrapState};
