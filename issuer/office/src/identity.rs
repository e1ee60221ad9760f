//! Whether the person's own items of an application were read off an identity document or typed: the ledger says it of every application.
//!
//! What a reader read is given out with a mark, an HMAC-like digest under a secret of the office over application, clerk and items; only
//! items that come back unchanged with their mark count as read. So a mark survives a draft and a restart, and nothing that was read is
//! kept anywhere until the application is filed. Left out: the reader itself, and whether the document is genuine, which the clerk looks at.

use permit_domain::{ApplicationId, Digest, StaffId};

use crate::error::OfficeError;
use crate::office::Office;

/// How the person's own items came into an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityEntry {
    /// A reader read them off the document, and nobody changed them.
    Read,
    /// Somebody typed them, or changed what was read (手工录入).
    ByHand,
}

impl IdentityEntry {
    /// What the ledger says.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::Read => "identity READ",
            Self::ByHand => "identity BY_HAND",
        }
    }
}

/// Citizen number, name, sex, nation, date of birth, address of permanent registration: as the form has them.
pub type IdentityItems<'a> = [&'a str; 6];

impl Office {
    /// What goes with items that a reader read for this application of this clerk.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn identity_mark(
        &self,
        application: ApplicationId,
        clerk: &StaffId,
        items: IdentityItems<'_>,
    ) -> Result<String, OfficeError> {
        let key = self.read().await?.slip_key().await?;
        let mut text = Vec::new();
        for part in [&application.to_string(), clerk.as_str()]
            .into_iter()
            .chain(items)
        {
            text.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            text.extend_from_slice(part.as_bytes());
        }
        // Twice, so that nobody lengthens what was marked.
        let inner = Digest::of(&[&key[..], b"YZT-IDENTITY-READ-1", &text].concat());
        Ok(Digest::of(&[&key[..], b"YZT-IDENTITY-READ-2", inner.as_bytes()].concat()).to_string())
    }

    /// Whether these items are the ones that were marked.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn identity_entry(
        &self,
        application: ApplicationId,
        clerk: &StaffId,
        items: IdentityItems<'_>,
        mark: &str,
    ) -> Result<IdentityEntry, OfficeError> {
        if mark.is_empty() {
            return Ok(IdentityEntry::ByHand);
        }
        Ok(if self.identity_mark(application, clerk, items).await? == mark {
            IdentityEntry::Read
        } else {
            IdentityEntry::ByHand
        })
    }
}
