//! A card goes out of use, and comes back: lost, found, confiscated, replaced, destroyed. Decree 663 articles 11 and 19.
//!
//! What the vault has to do with the deny lists is wanted in the ledger first and confirmed after it; in between the ledger
//! says so.

use issuer_store::Card;
use jiff::ToSpan as _;
use permit_domain::{
    Actor as _, Approver, CardNumber, CardState, ChangeClerk, ChangeKind, Denial, EndOfCard, StaffId,
    Standing,
};

use crate::error::OfficeError;
use crate::office::Office;

impl Office {
    /// A card goes out of use: the ledger first, then the deny lists. Called again it finishes what the vault did not.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`]; [`OfficeError::Denial`] when the ledger has it and the vault does not.
    pub async fn end_card(
        &self,
        number: &CardNumber,
        how: EndOfCard,
        by: &ChangeClerk,
    ) -> Result<Card, OfficeError> {
        let card = self.card(number).await?;
        let card = if card.state == CardState::Ended(how) {
            card
        } else {
            let standing = card.standing().end(how)?;
            self.stand(card, standing, (ChangeClerk::ROLE, by.staff()))
                .await?
        };
        self.confirm_denial(card).await
    }

    /// A lost card was brought back. It stays denied: two people allow it again, or it is destroyed.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`] for a card that was not lost; [`OfficeError::Denial`].
    pub async fn found(&self, number: &CardNumber, by: &ChangeClerk) -> Result<Card, OfficeError> {
        let card = self.card(number).await?;
        if !matches!(
            card.state,
            CardState::Ended(EndOfCard::Lost | EndOfCard::Returned)
        ) {
            return Err(wrong(card.state.name(), "bringing it back as found"));
        }
        self.end_card(number, EndOfCard::Returned, by).await
    }

    /// Two people allow a card again that was brought back.
    ///
    /// # Errors
    /// [`permit_domain::Error::SamePersonTwice`]; [`permit_domain::Error::WrongState`] when it was not brought back, when its
    /// permit has or gets another card, or when a block is on its way that nobody can call back; [`OfficeError::Denial`].
    pub async fn allow_again(
        &self,
        number: &CardNumber,
        by: &ChangeClerk,
        approver: &Approver,
    ) -> Result<Card, OfficeError> {
        if by.staff() == approver.staff() {
            return Err(permit_domain::Error::SamePersonTwice {
                first: ChangeClerk::ROLE,
                second: Approver::ROLE,
            }
            .into());
        }
        let card = self.card(number).await?;
        if card.state == CardState::HandedOver && card.denial == Denial::Lifting {
            return self.confirm_denial(card).await;
        }
        let permit = self.permit(card.permit).await?;
        if !matches!(permit.state(), permit_domain::PermitState::Active { .. }) {
            return Err(wrong(permit.state().name(), "allowing an old card again"));
        }
        let changes = self.store().changes_of_card(number).await?;
        if changes
            .iter()
            .any(|stored| stored.change.kind() == ChangeKind::Block && !stored.change.state().is_over())
        {
            return Err(wrong("BEING_BLOCKED", "allowing it again"));
        }
        let standing = card.standing().allow_again()?;
        let card = self
            .stand(card, standing, (Approver::ROLE, approver.staff()))
            .await?;
        self.confirm_denial(card).await
    }

    /// The card was cut up.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`] for a card that is not at hand.
    pub async fn destroy(&self, number: &CardNumber, by: &ChangeClerk) -> Result<Card, OfficeError> {
        let card = self.card(number).await?;
        if card.state == CardState::Destroyed {
            return Ok(card);
        }
        let standing = card.standing().destroyed()?;
        self.stand(card, standing, (ChangeClerk::ROLE, by.staff())).await
    }

    /// Frees the permit for another card: one that is in use is REPLACED, one that is out of use stays as it ended.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`]; [`OfficeError::Denial`].
    pub async fn replace(&self, number: &CardNumber, by: &ChangeClerk) -> Result<Card, OfficeError> {
        let card = self.card(number).await?;
        let permit = self.permit(card.permit).await?;
        let waits = matches!(permit.state(), permit_domain::PermitState::Approved);
        let card = if waits && matches!(card.state, CardState::Ended(_)) {
            card
        } else {
            let standing = match card.state {
                CardState::HandedOver => card.standing().end(EndOfCard::Replaced)?,
                CardState::Ended(_) => card.standing(),
                state => return Err(wrong(state.name(), "replacing it")),
            };
            let actor = (ChangeClerk::ROLE, by.staff().as_str());
            self.store()
                .replace_card(card, standing, actor, self.clock().now())
                .await?
        };
        self.confirm_denial(card).await
    }

    /// The balance of a card that was replaced, for the holder's new card: refused, and why. The office cannot know what a
    /// card spent that does not lie before it: settlement knows chains and no cards, and debits may come for
    /// [`permit_rules::PurseRules::wait_days`] after the card's end.
    ///
    /// # Errors
    /// Always: [`OfficeError::BalanceUnknown`], with the day from which no debits of registered terminals are due any more.
    pub async fn transfer_balance(&self, number: &CardNumber) -> Result<(), OfficeError> {
        let card = self.card(number).await?;
        let permit = self.permit(card.permit).await?;
        let (facts, _) = self.facts_of(&permit).await?;
        let today = self.clock().today();
        let days = self
            .rules()
            .purse_in_force(&facts.residence.division, today)
            .map_or(0, permit_rules::PurseRules::wait_days);
        let from = today.checked_add(i64::from(days).days()).unwrap_or(today);
        Err(OfficeError::BalanceUnknown { days, from })
    }

    /// Does what the ledger wants of the deny lists and the vault has not confirmed: of cards, and of chains that settlement
    /// found copied. How many.
    ///
    /// # Errors
    /// The vault's first; all that it confirmed stays so, and one card that it refuses keeps no other from its list.
    pub async fn confirm_denials(&self) -> Result<u64, OfficeError> {
        let mut done = 0;
        let mut refused = None;
        for card in self.store().unconfirmed_denials().await? {
            match self.confirm_denial(card).await {
                Ok(_) => done += 1,
                Err(error) => {
                    refused.get_or_insert(error);
                }
            }
        }
        done += self.deny_copied().await?;
        refused.map_or(Ok(done), Err)
    }

    /// Names copied cards to the vault, which alone knows them.
    pub(crate) async fn deny_copied(&self) -> Result<u64, OfficeError> {
        let chains = self.store().undenied().await?;
        if chains.is_empty() {
            return Ok(0);
        }
        let mut client = self.vault_client().await.map_err(OfficeError::Denial)?;
        let mut done = 0;
        for chain in chains {
            client
                .deny_chain(*chain.as_bytes())
                .await
                .map_err(OfficeError::Denial)?;
            self.store().denied(chain).await?;
            done += 1;
        }
        Ok(done)
    }

    pub(crate) async fn stand(
        &self,
        card: Card,
        standing: Standing,
        by: (&str, &StaffId),
    ) -> Result<Card, OfficeError> {
        let actor = (by.0, by.1.as_str());
        Ok(self
            .store()
            .save_standing(card, standing, actor, self.clock().now())
            .await?)
    }

    pub(crate) async fn confirm_denial(&self, card: Card) -> Result<Card, OfficeError> {
        let wanted = match card.denial {
            Denial::Wanted => true,
            Denial::Lifting => false,
            Denial::No | Denial::Yes => return Ok(card),
        };
        let confirmed = async {
            let mut client = self.vault_client().await?;
            let serial = *card.serial.as_bytes();
            if wanted {
                client.deny_card(serial).await
            } else {
                client.allow_card(serial).await
            }
        };
        confirmed.await.map_err(OfficeError::Denial)?;
        let standing = card.standing().denial_confirmed()?;
        let actor = ("programme", "issuer");
        Ok(self
            .store()
            .save_standing(card, standing, actor, self.clock().now())
            .await?)
    }
}

fn wrong(state: &'static str, wanted: &'static str) -> OfficeError {
    permit_domain::Error::WrongState {
        thing: "card",
        state,
        wanted,
    }
    .into()
}
