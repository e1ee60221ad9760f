//! Loads of a card's purse: decided by the purse rules in force, booked once for each key. Card specification, chapter 11.

use issuer_store::LoadOutcome;
use permit_domain::{AllocatedCard, Change, ChangeClerk, ChangeId, ChangeKind, PermitId};

use crate::error::{ContentError, OfficeError};
use crate::frozen_change::FrozenChange;
use crate::hashed_id::uuid8;
use crate::office::Office;

/// The id of a load by the key that its clerk names, such as the number of the till's receipt: the same key for the same
/// permit is the same load. UUID version 8 (RFC 9562, section 5.8).
#[must_use]
pub fn load_id(permit: PermitId, key: &str) -> ChangeId {
    ChangeId::from_bytes(uuid8(&[b"YZT-LOAD-KEY-1", permit.as_bytes(), key.as_bytes()]))
}

impl Office {
    /// Decides a load onto a permit's card by the purse rules in force and books it. The same key is the same load.
    ///
    /// # Errors
    /// [`OfficeError::NoCard`], [`ContentError::NoPurseRules`], [`issuer_store::Error::ChangeOpen`] while an earlier load is
    /// not on its way, [`OfficeError::IdTaken`] for the key of another load.
    pub async fn load(
        &self,
        permit: PermitId,
        amount: u32,
        key: &str,
        clerk: ChangeClerk,
    ) -> Result<LoadOutcome, OfficeError> {
        let id = load_id(permit, key);
        let permit = self.permit(permit).await?;
        // A load that is repeated belongs to the card that it was booked for.
        let card = match self.store().change(id).await? {
            Some(known) => self.card(&known.change.card().number).await?,
            None => self.card_in_use(permit.id()).await?,
        };
        let (facts, _) = self.facts_of(&permit).await?;
        let division = &facts.residence.division;
        let rules = self
            .rules()
            .purse_in_force(division, self.clock().today())
            .ok_or_else(|| ContentError::NoPurseRules {
                division: division.clone(),
            })?;
        let allocated = AllocatedCard {
            number: card.number,
            serial: card.serial,
        };
        let content = FrozenChange::to_content(None)?;
        let change = Change::new(id, permit.id(), allocated, ChangeKind::Load, clerk, content);
        let booked = self
            .store()
            .book_load(&change, amount, rules, self.clock().now())
            .await;
        match booked {
            Err(issuer_store::Error::Exists { .. }) => Err(OfficeError::IdTaken),
            booked => Ok(booked?),
        }
    }
}
