//! Cards: what is known of each, how each is written, what waits for it, and how its debits are settled.

pub(crate) mod denial;
pub(crate) mod order;
pub(crate) mod record;
pub(crate) mod rewrite;
pub(crate) mod session;
pub(crate) mod settlement;
pub(crate) mod slot;
pub(crate) mod update;
