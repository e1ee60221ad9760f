//! The sealed key vault: shares, sealed rows, typed derivation, card sessions, sealed updates.
//!
//! The wings: `custody` (how a vault comes to be and opens), `keys` (what it holds and may do with it), `card` (how a card
//! is written through the issuer's hands, and what is known of it), `terminal` (what terminals get), `authority` (versions
//! and certificates), `open` (the open vault), `audit` (the journal), `store` (sealed rows), [`serve`] (how the vault is
//! reached). Left out, with its place kept in the formats: rollback protection by a Merkle root, the audit tree and its
//! witnesses, the header pair, custodian cards, dual control of requests, TR-31 key blocks.

mod audit;
mod authority;
mod card;
mod clock;
pub mod custody;
mod error;
pub mod keys;
mod open;
pub mod serve;
mod store;
mod terminal;
mod words;

// The scratch vault of the tests opens this crate by its name; the unit tests read the same file.
#[cfg(test)]
extern crate self as keyvault;
#[cfg(test)]
#[path = "../scratch/src/lib.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "public for the crates that use it as a crate, and used by them"
)]
mod scratch_vault;

pub use custody::unsealing::Vault;
pub use error::Error;
pub use open::folder::FolderLock;
pub use open::transaction::Random;
pub use store::sql::look;
