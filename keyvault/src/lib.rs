//! The sealed key vault: shares, sealed rows, typed derivation, card sessions, sealed updates.
//!
//! Read [`ceremony`] (how a vault comes to be), [`Vault`] (how it opens), `keys` (what it holds and may do with it),
//! `card_session` and `rewrite` (how a card is written through the issuer's hands), `updates` (how terminals bring it
//! what is new), `card` (what is known of it), [`serve`] (how the vault is reached). Left out, with its place kept in the
//! formats: rollback protection by a Merkle root, the audit tree and its witnesses, the header pair, custodian cards,
//! dual control of requests, TR-31 key blocks.

pub mod arena;
mod card;
mod card_session;
pub mod ceremony;
pub mod clock;
mod deny;
mod entitlement;
mod error;
mod exports;
mod former;
pub mod isolation;
mod journal;
mod keys;
mod orders;
pub mod package;
mod photo;
pub mod rehearsal;
mod rewrite;
mod role_keys;
pub mod sealing;
pub mod serve;
mod settlement;
pub mod shamir;
mod store;
mod terminals;
mod updates;
mod vault;
pub mod xaes;

pub use clock::{Clock, FixedClock};
pub use error::Error;
pub use vault::{FolderLock, Random, Vault};
