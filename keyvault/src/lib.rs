//! The sealed key vault: shares, sealed rows, typed derivation, personalisation sessions.
//!
//! Read [`ceremony`] (how a vault comes to be), [`Vault`] (how it opens), `keys` (what it holds and may do with it),
//! `card_session` (how a card is written through the issuer's hands), [`serve`] (how it is reached). Left out, with its
//! place kept in the formats: rollback protection by a Merkle root, the audit tree and its witnesses, the header pair,
//! custodian cards, rotation, dual control of requests, TR-31 key blocks.

pub mod arena;
mod card_session;
pub mod ceremony;
pub mod clock;
mod error;
mod exports;
pub mod isolation;
mod journal;
mod keys;
mod orders;
pub mod package;
mod photo;
pub mod rehearsal;
pub mod sealing;
pub mod serve;
pub mod shamir;
mod store;
mod vault;
pub mod xaes;

pub use clock::{Clock, FixedClock};
pub use error::Error;
pub use vault::{FolderLock, Random, Vault};
