//! What goes to terminals and lots.

pub(crate) mod bundle;
pub(crate) mod registry;
