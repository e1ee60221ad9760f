//! The holder at the counter: found by a number that they bring, for a purpose that the ledger keeps; and all that the office has of
//! their permit.
//!
//! Left out: search by name. Whoever brings no number is asked for the identity card.

use issuer_store::{Card, Entry, StoredApplication, StoredCardChange};
use permit_domain::{Applicant, CardNumber, CitizenNumber, Permit, PermitId, StaffId};

use crate::error::OfficeError;
use crate::office::Office;
use crate::on_file;

/// What the holder brought.
#[derive(Debug, Clone)]
pub enum Brought {
    /// The identity card.
    Citizen(CitizenNumber),
    /// The card, or its number.
    Card(CardNumber),
    /// The permit's number.
    Permit(PermitId),
}

impl Brought {
    const fn name(&self) -> &'static str {
        match self {
            Self::Citizen(_) => "CITIZEN_NUMBER",
            Self::Card(_) => "CARD_NUMBER",
            Self::Permit(_) => "PERMIT",
        }
    }
}

/// Why a holder is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookUp {
    /// The card is lost, found, damaged or to be replaced.
    Card,
    /// Endorsement, another tier, another address.
    Change,
    /// The holder asks what is on file.
    Enquiry,
}

impl LookUp {
    /// Every purpose.
    pub const ALL: [Self; 3] = [Self::Card, Self::Change, Self::Enquiry];

    /// The name in forms and in the ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Card => "CARD",
            Self::Change => "CHANGE",
            Self::Enquiry => "ENQUIRY",
        }
    }
}

/// A permit with everything that hangs on it.
#[derive(Debug, Clone)]
pub struct Holding {
    /// The permit.
    pub permit: Permit,
    /// The application that it came from.
    pub application: StoredApplication,
    /// The holder's facts that hold now.
    pub facts: Applicant,
    /// Its cards, oldest first.
    pub cards: Vec<Card>,
    /// Changes of its cards, oldest first.
    pub changes: Vec<StoredCardChange>,
}

impl Office {
    /// The permit of a holder who brought one of these numbers; the ledger has who looked, why, and what was found.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`] for a number that no permit has; the ledger's.
    pub async fn look_up(
        &self,
        brought: &Brought,
        why: LookUp,
        by: &StaffId,
    ) -> Result<PermitId, OfficeError> {
        let mut tx = self.begin().await?;
        let found = match brought {
            Brought::Citizen(number) => match tx.person(number).await? {
                Some(person) => tx.permits_of_person(person).await?.last().copied(),
                None => None,
            },
            Brought::Card(number) => tx.card(number).await?.map(|card| card.permit),
            Brought::Permit(id) => tx.permit(*id).await?.map(|permit| permit.id()),
        };
        let subject = found.map_or_else(|| by.to_string(), |permit| permit.to_string());
        let detail = format!(
            r#"{{"by":"{}","purpose":"{}","found":{}}}"#,
            brought.name(),
            why.name(),
            found.is_some()
        );
        let appended = tx
            .append(Entry {
                role: "counter clerk",
                actor: by.as_str(),
                action: "holder LOOKED_UP",
                subject: &subject,
                detail: &detail,
            })
            .await?;
        tx.commit(appended).await?;
        found.ok_or(OfficeError::NotFound { what: "permit" })
    }

    /// All that the office has of a permit.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`]; the ledger's.
    pub async fn holding(&self, id: PermitId) -> Result<Holding, OfficeError> {
        let mut ledger = self.read().await?;
        let permit = on_file::permit(&mut ledger, id).await?;
        let (facts, _) = on_file::facts_of(&mut ledger, &permit).await?;
        Ok(Holding {
            application: on_file::application(&mut ledger, permit.grant().application).await?,
            cards: ledger.cards_of_permit(id).await?,
            changes: ledger.changes_of_permit(id).await?,
            facts,
            permit,
        })
    }
}
