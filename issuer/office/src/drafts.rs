//! What a person at the pages has for themselves: applications that they type and have not filed, and how they want to see the pages.
//!
//! A draft is its person's own and nobody else sees that it is there. It goes with the filing of its application, and three days after it
//! was last saved: at the next sign-in of anybody, and until then nobody is shown it. It is in the ledger's database as the applications
//! are, and stands in no line of the ledger. Two windows of one person do not write over each other unseen. Left out: what the fields mean.

use issuer_store::Draft;
use jiff::{Timestamp, ToSpan as _};
use permit_domain::{ApplicationId, StaffId};

use crate::error::OfficeError;
use crate::office::Office;

/// How long a draft is kept after it was last saved, hours: over a weekend.
const HOURS: i64 = 72;
/// How many drafts a person has at most; the oldest gives way.
const MOST: usize = 20;

/// A form as it was typed: names and values.
pub type Typed = Vec<(String, String)>;

/// An application that is not filed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfiled {
    /// The application that it files.
    pub application: ApplicationId,
    /// How often it was saved: 1 and on.
    pub version: i64,
    /// What was typed.
    pub typed: Typed,
    /// When it was last saved.
    pub saved_at: Timestamp,
}

/// What became of what was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saved {
    /// It is kept.
    Kept(Unfiled),
    /// Another window of the same person saved it since; nothing was written. This is what is there.
    Changed(Unfiled),
    /// The application was filed meanwhile; nothing was written.
    Filed,
}

impl Office {
    /// The drafts of a person, the newest first.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn drafts(&self, account: &StaffId) -> Result<Vec<Unfiled>, OfficeError> {
        let drafts = self.read().await?.drafts_of(account).await?;
        let since = self.drafts_since()?;
        drafts
            .into_iter()
            .filter(|draft| draft.saved_at >= since)
            .map(|draft| unfiled(&draft))
            .collect()
    }

    /// Keeps what somebody typed so far. `seen` is the version that their window has, 0 for none.
    ///
    /// # Errors
    /// [`OfficeError::IdTaken`] for a draft of somebody else; the ledger's.
    pub async fn save_draft(
        &self,
        account: &StaffId,
        application: ApplicationId,
        seen: i64,
        typed: &Typed,
    ) -> Result<Saved, OfficeError> {
        let since = self.drafts_since()?;
        let mut tx = self.begin().await?;
        tx.delete_drafts_before(since).await?;
        if tx.application(application).await?.is_some() {
            return Ok(Saved::Filed);
        }
        let known = tx.draft(application).await?;
        let version = match known {
            Some(known) if known.account != *account => return Err(OfficeError::IdTaken),
            Some(known) if known.version != seen => return Ok(Saved::Changed(unfiled(&known)?)),
            Some(known) => known.version,
            None => {
                for old in tx.drafts_of(account).await?.iter().skip(MOST - 1) {
                    tx.delete_draft(old.application).await?;
                }
                0
            }
        };
        let draft = Draft {
            application,
            account: account.clone(),
            version: version.saturating_add(1),
            fields: serde_json::to_string(typed).map_err(|_| OfficeError::Internal)?,
            saved_at: self.clock().now(),
        };
        tx.save_draft(&draft).await?;
        tx.commit_without_entry().await?;
        Ok(Saved::Kept(unfiled(&draft)?))
    }

    /// Takes a draft of a person away; one that is not there, or is not theirs, is no error.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn drop_draft(&self, account: &StaffId, application: ApplicationId) -> Result<(), OfficeError> {
        let mut tx = self.begin().await?;
        if tx
            .draft(application)
            .await?
            .is_some_and(|draft| draft.account == *account)
        {
            tx.delete_draft(application).await?;
        }
        Ok(tx.commit_without_entry().await?)
    }

    /// How a person wants to see the pages, as [`Self::keep_view`] was given it.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn view_of(&self, account: &StaffId) -> Result<Option<String>, OfficeError> {
        Ok(self.read().await?.view_of(account).await?)
    }

    /// Keeps how a person wants to see the pages: at most 64 characters.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn keep_view(&self, account: &StaffId, shows: &str) -> Result<(), OfficeError> {
        let mut tx = self.begin().await?;
        tx.keep_view(account, shows).await?;
        Ok(tx.commit_without_entry().await?)
    }

    /// A draft that was last saved before this is over.
    pub(crate) fn drafts_since(&self) -> Result<Timestamp, OfficeError> {
        self.clock()
            .now()
            .checked_sub(HOURS.hours())
            .map_err(|_| OfficeError::Internal)
    }
}

fn unfiled(draft: &Draft) -> Result<Unfiled, OfficeError> {
    Ok(Unfiled {
        application: draft.application,
        version: draft.version,
        typed: serde_json::from_str(&draft.fields).map_err(|_| OfficeError::Internal)?,
        saved_at: draft.saved_at,
    })
}
