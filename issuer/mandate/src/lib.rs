//! The office's decision, proved: a mandate says what may be written, and the assertions of two people say that they want it.
//!
//! Whoever acts on a mandate checks it with this crate: the office when it is signed, production before the first write, the vault
//! later. Nothing here reaches a file, a clock or a random source. Left out: showing a mandate to a person and asking an authenticator
//! (the signing page), keeping what was signed (the ledger), and which mandates were used (whoever acts on them).

mod assertion;
mod authority;
mod batch;
mod content;
mod error;
mod given;
mod mandate;
mod sha256;

pub use assertion::{Assertion, Relying, client_data};
pub use authority::{EnrolledKey, Signature, SignerRole, Wanted, authorise};
pub use batch::{Batch, DRAWN, LARGEST, Proof};
pub use content::{CardItems, Entitlement, PermitItems, PersonItems};
pub use error::{AssertionError, MandateError};
pub use given::Given;
pub use mandate::{CaseRef, Kind, Mandate};
