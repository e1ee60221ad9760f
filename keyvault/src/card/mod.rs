//! Cards: what is known of each, how each is written, what waits for it, and how its debits are settled.

pub(crate) mod denial;
pub(crate) mod denied;
pub(crate) mod entry;
pub(crate) mod job;
pub(crate) mod number;
pub(crate) mod order;
pub(crate) mod personalise;
pub(crate) mod queue;
pub(crate) mod receipts;
pub(crate) mod record;
pub(crate) mod rewrite;
pub(crate) mod scripts;
pub(crate) mod session;
pub(crate) mod settlement;
pub(crate) mod slot;
pub(crate) mod steps;
pub(crate) mod update;
