//! The index: which photos, renditions, receipts, cases and releases there are, and who read what.
//!
//! All SQL of the crate is in this module, each text beside the function that uses it, one text for SQLite and
//! PostgreSQL. A function writes what it is told and decides nothing: the service opens a transaction, reads through it,
//! decides, writes and commits. Left out: pictures (they are sealed objects) and any name or citizen number of a holder.
//!
//! | module | what it does |
//! |---|---|
//! | [`index`] | the two engines |
//! | `founding` | under which vault the store was founded |
//! | [`transaction`] | one state to read from, and the transaction that changes it |
//! | [`photos`] | photos and their renditions |
//! | `pages` | pages of papers, and who looked at them |
//! | `receipts` | receipts, and the cases that they open |
//! | `reads` | the record of reads, and releases |
//! | `keys` | the store's own keys, wrapped |
//! | `rows` | from columns to types |

pub(crate) mod founding;
pub mod index;
pub(crate) mod keys;
pub(crate) mod pages;
pub mod photos;
pub(crate) mod reads;
pub(crate) mod receipts;
mod rows;
pub mod transaction;
