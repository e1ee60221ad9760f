//! How well a rule was confirmed.

use serde::{Deserialize, Serialize};

/// How well a rule was confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grade {
    /// The text of the law was read in full.
    #[serde(rename = "L")]
    Law,
    /// A public page was read.
    #[serde(rename = "P")]
    Page,
    /// From recall: a draft, shown as unverified.
    #[serde(rename = "R")]
    Recall,
}
