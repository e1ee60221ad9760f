//! All SQL of the issuer, for SQLite and PostgreSQL.
//!
//! One text serves both engines; only the migrations differ. Each writing function is one transaction that takes the
//! head of the ledger first (so writers come one after the other on both engines), checks, writes, appends to the
//! ledger, and is durable when it returns. Instants and ids are arguments. Left out: queues, search, retention, and the
//! photo, which has a store of its own.
//!
//! # A case
//!
//! ```
//! # use jiff::{civil::date, Timestamp};
//! # use permit_domain::*;
//! # use issuer_store::{Store, Submission};
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let url = format!("sqlite:{}", folder.path().join("issuer.db").display());
//! # let text = include_str!("../../permit/samples/applicant-li-na.json");
//! # let at: Timestamp = "2026-11-21T02:00:00Z".parse()?;
//! # let today = date(2026, 11, 21);
//! let store = Store::open(&url).await?;
//! store.migrate().await?;
//! let rules = RuleSets::embedded()?;
//! let set = rules.get(RuleSets::DEFAULT)?;
//! store.publish_rule_set(set, at).await?;
//!
//! // intake
//! let applicant = ApplicantForm::from_json(text)?.into_applicant(today)?;
//! let application = store
//!     .submit(
//!         Submission {
//!             id: ApplicationId::new(at, [1; 10]),
//!             person: PersonId::new(at, [2; 10]),
//!             applicant: &applicant,
//!             intake: "liu".parse()?,
//!             on: today,
//!         },
//!         at,
//!     )
//!     .await?;
//! let application = store.save_application(application.accept(today)?, at).await?;
//!
//! // review and approval
//! let decision = set.decide(&applicant, today, rules.calendar())?;
//! let application = store.record_review(application.review("wang".parse()?, &decision)?, &decision, at).await?;
//! let id = PermitId::new(at, [3; 10]);
//! let permit = Permit::granted(id, application.person(), application.id(), &decision)?;
//! let application = store.record_approval(application.approve("zhao".parse()?, id)?, &permit, at).await?;
//!
//! // production
//! let (reviewer, approver) = application.decided_by().ok_or("not approved")?;
//! let duties = SeparatedDuties::new(reviewer.clone(), approver.clone(), "sun".parse()?)?;
//! let content = Content::freeze(b"what goes onto the card".to_vec());
//! let order = store.order_production(&Order::new(OrderId::new(at, [4; 10]), id, duties, content), at).await?;
//! let serial = CardSerial::from_bytes([5; 10]);
//! store.receive_blanks(&[serial], "lot-1", &"gao".parse()?, at).await?;
//! let order = store.allocate_card(order, "44".parse()?, serial, at).await?;
//! let order = store.advance_order(order.begin_encoding()?, "{}", at).await?;
//! // ... the chip is written ...
//! let order = store.advance_order(order.encoded()?, r#"{"apdus":41}"#, at).await?;
//! assert_eq!(order.state().next_step(), Some(Step::Draw));
//! store.verify_ledger().await?;
//! # Ok(()) }
//! ```

mod applications;
mod changes;
mod error;
mod ledger;
mod orders;
mod payments;
mod permits;
mod rows;
mod rule_sets;
mod store;

pub use applications::{StoredApplication, Submission};
pub use changes::{Booked, LoadOutcome, StoredChange};
pub use error::Error;
pub use ledger::{LedgerEntry, LedgerState};
pub use orders::{Card, StepRecord, Stock};
pub use payments::{FileOutcome, Imported, ImportedFile, TerminalReport};
pub use rule_sets::PublishedRuleSet;
pub use store::Store;
