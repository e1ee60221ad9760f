//! What goes to terminals and card makers, and what is known of terminals.

pub(crate) mod batch;
pub(crate) mod bundle;
pub(crate) mod deny_list;
pub(crate) mod lot;
pub(crate) mod registry;
