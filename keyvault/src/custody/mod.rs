//! Custody: how a vault comes to be, how its shares are kept, how it opens, and how a store of the previous format is
//! taken over.

pub mod ceremony;
pub(crate) mod migration;
pub mod officer_key;
pub(crate) mod passphrase;
pub mod protection;
pub(crate) mod shamir;
pub mod share_envelope;
pub mod strength;
pub(crate) mod transport;
pub(crate) mod unsealing;
