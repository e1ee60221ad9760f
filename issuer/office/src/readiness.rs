//! What work needs, each checked by doing it.

use serde::Serialize;

/// One thing that the office needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// `ledger`, `vault`, `photo_store` or `clock`.
    pub name: &'static str,
    /// Whether it can be used.
    pub ok: bool,
    /// The code of the failure, or null.
    pub code: Option<String>,
    /// What to do, or null.
    pub action: Option<String>,
}

impl Check {
    /// A check that passed.
    #[must_use]
    pub const fn passed(name: &'static str) -> Self {
        Self {
            name,
            ok: true,
            code: None,
            action: None,
        }
    }

    /// A check that failed.
    #[must_use]
    pub fn failed(name: &'static str, code: &str, action: &str) -> Self {
        Self {
            name,
            ok: false,
            code: Some(code.to_owned()),
            action: Some(action.to_owned()),
        }
    }
}
