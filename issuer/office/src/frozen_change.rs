//! The frozen content of a change, as the ledger keeps it: what the card holds after it.

use permit_domain::Content;
use serde::{Deserialize, Serialize};

use crate::card_content::CardContent;
use crate::error::ContentError;

/// Version of a change's frozen form.
const VERSION: u8 = 1;

/// The frozen content of a change: what the card holds after it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FrozenChange {
    version: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<CardContent>,
}

impl FrozenChange {
    pub(crate) fn to_content(after: Option<&CardContent>) -> Result<Content, ContentError> {
        let frozen = Self {
            version: VERSION,
            after: after.cloned(),
        };
        serde_json::to_vec(&frozen)
            .map(Content::freeze)
            .map_err(|_| ContentError::Unreadable)
    }

    /// What the card holds after the change; `None`: the change leaves its content as it is.
    pub(crate) fn from_content(content: &Content) -> Result<Option<CardContent>, ContentError> {
        let frozen: Self = serde_json::from_slice(content.bytes()).map_err(|_| ContentError::Unreadable)?;
        if frozen.version == VERSION {
            Ok(frozen.after)
        } else {
            Err(ContentError::Unreadable)
        }
    }
}
