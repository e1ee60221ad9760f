//! A case, found by a number that the applicant brings, for a purpose that the ledger keeps.
//!
//! Left out: search by name. Whoever brings neither slip nor identity card is asked for the card.

use issuer_store::Entry;
use permit_domain::{ApplicationId, CitizenNumber, StaffId};

use crate::error::OfficeError;
use crate::office::Office;
use crate::slip;
use crate::staff::StaffRole;

/// Who finds cases: whoever works on them.
pub const FINDS: &[StaffRole] = &[
    StaffRole::IntakeClerk,
    StaffRole::Reviewer,
    StaffRole::Approver,
    StaffRole::Producer,
    StaffRole::HandOverClerk,
    StaffRole::ChangeClerk,
];

/// What the applicant brought.
#[derive(Debug, Clone)]
pub enum Shown {
    /// The identity card.
    Citizen(CitizenNumber),
    /// The acceptance slip, its number as it was typed.
    Receipt(String),
}

/// Why a case is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// To go on with it.
    Work,
    /// To print the slip again.
    Slip,
    /// The applicant asks how it stands.
    Enquiry,
}

impl Wanted {
    /// Every purpose.
    pub const ALL: [Self; 3] = [Self::Work, Self::Slip, Self::Enquiry];

    /// The name in forms and in the ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Work => "WORK",
            Self::Slip => "SLIP",
            Self::Enquiry => "ENQUIRY",
        }
    }
}

impl Office {
    /// The newest case of an applicant, or the case of a slip; the ledger has who looked, why, and what was found.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`] for a number that no case has; the ledger's.
    pub async fn find_case(
        &self,
        shown: &Shown,
        why: Wanted,
        by: &StaffId,
    ) -> Result<ApplicationId, OfficeError> {
        let mut tx = self.begin().await?;
        let (found, brought) = match shown {
            Shown::Citizen(number) => {
                let found = match tx.person(number).await? {
                    Some(person) => tx.newest_application(person).await?,
                    None => None,
                };
                (found, "CITIZEN_NUMBER")
            }
            // Two with the same last digits are nobody's: the identity card tells them apart.
            Shown::Receipt(typed) => {
                let found = tx.applications_of_receipt(&slip::plain_receipt(typed)).await?;
                (<[_; 1]>::try_from(found).ok().map(|[id]| id), "RECEIPT")
            }
        };
        let subject = found.map_or_else(|| by.to_string(), |id| id.to_string());
        let detail = format!(
            r#"{{"by":"{brought}","purpose":"{}","found":{}}}"#,
            why.name(),
            found.is_some()
        );
        let appended = tx
            .append(Entry {
                role: "counter clerk",
                actor: by.as_str(),
                action: "case LOOKED_UP",
                subject: &subject,
                detail: &detail,
            })
            .await?;
        tx.commit(appended).await?;
        found.ok_or(OfficeError::NotFound { what: "application" })
    }
}
