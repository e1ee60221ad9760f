//! The list of ended numbers that was made last, and when.

use std::sync::Arc;

use jiff::Timestamp;

/// A list that was made.
pub(crate) struct Kept {
    pub(crate) made: Timestamp,
    pub(crate) text: Arc<str>,
}
