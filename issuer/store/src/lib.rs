//! All SQL of the issuer, for SQLite and PostgreSQL.
//!
//! One text serves both engines; only the migrations differ. The caller opens a [`Snapshot`] to read or a [`Transaction`]
//! to write, and decides in between; the functions here read rows and write rows as they are told, each under the version
//! that was read, and durably once the transaction is committed. Instants and ids are arguments. Left out: every decision
//! (the domain's and the service's), queues, search, retention, and the photo, which has a store of its own.
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
//! let store = Store::found(&url, &[7; 16]).await?;
//! let applicant = ApplicantForm::from_json(text)?.into_applicant(today)?;
//!
//! // The service opens the transaction, reads, decides, writes.
//! let mut tx = store.begin(at).await?;
//! assert_eq!(tx.person(&applicant.citizen_number).await?, None);
//! let person = PersonId::new(at, [2; 10]);
//! tx.insert_person(person, &applicant.citizen_number).await?;
//! let (id, intake) = (ApplicationId::new(at, [1; 10]), "liu".parse()?);
//! let new = Submission { id, person, applicant: &applicant, intake, on: today };
//! let (application, _) = tx.insert_application(&new).await?;
//! let (application, appended) = tx.update_application(application.accept(today)?).await?;
//! tx.commit(appended).await?;
//!
//! let mut ledger = store.read().await?;
//! let stored = ledger.application(id).await?.ok_or("not there")?;
//! assert_eq!(stored.application, application);
//! assert_eq!(ledger.verify_ledger().await?.entries, 2);
//! # Ok(()) }
//! ```

mod applications;
mod authenticators;
mod cards;
mod case_contents;
mod changes;
mod counters;
mod day;
mod drafts;
mod entry;
mod error;
mod evaluations;
mod ledger;
mod mandates;
mod orders;
mod paper_forms;
mod permits;
mod photos;
mod purses;
mod recoveries;
mod requests;
mod rows;
mod rule_sets;
mod scraps;
mod sessions;
mod settlement;
mod signing_keys;
mod store;
mod transaction;
mod vault_seen;

pub use applications::{StoredApplication, Submission};
pub use authenticators::Authenticator;
pub use cards::{BlankState, Card, Lot, Stock};
pub use changes::{Booked, StoredCardChange};
pub use counters::BookedCounts;
pub use day::{DayClosing, DoneCount};
pub use drafts::Draft;
pub use entry::Entry;
pub use error::Error;
pub use evaluations::ScoreCount;
pub use ledger::{LedgerEntry, LedgerState};
pub use mandates::MandateSignature;
pub use orders::StepRecord;
pub use paper_forms::{PaperForm, PaperState};
pub use photos::{PhotoErasure, PhotoToConfirm};
pub use recoveries::{ConfirmedRecovery, Recovery};
pub use rule_sets::PublishedRules;
pub use sessions::{OpenedBy, Session};
pub use settlement::{ImportedFile, TerminalReport};
pub use signing_keys::{SigningKey, SigningKeyKind, signer_role};
pub use store::Store;
pub use transaction::{Appended, Snapshot, Transaction};
pub use vault_seen::VaultSeen;
