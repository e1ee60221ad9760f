//! Takes an application: facts that can be decided and printed here are filed and accepted. Decree 663, articles 8 and 9.
//!
//! Left out: drafts and notices of missing papers.

use issuer_store::{StoredApplication, Submission};
use permit_domain::{Applicant, ApplicationId, ApplicationState, IntakeClerk, PersonId};

use crate::error::{ContentError, OfficeError};
use crate::fault::Fault;
use crate::office::Office;

impl Office {
    /// Takes a complete application and accepts it. Repeating it with the same id and facts answers the same.
    ///
    /// # Errors
    /// [`issuer_store::Error::AlreadyHasPermit`], [`issuer_store::Error::ApplicationOpen`], [`OfficeError::IdTaken`].
    /// [`OfficeError::NoRuleSet`], [`permit_domain::Error::TierNotOffered`], [`ContentError::NoOrgan`] and
    /// [`issuer_artwork::ArtworkError::NoTemplate`] when the office could never decide it or print its card; then nothing is stored.
    pub async fn apply(
        &self,
        id: ApplicationId,
        intake: IntakeClerk,
        applicant: Applicant,
    ) -> Result<StoredApplication, OfficeError> {
        if !self.is_filed(id, &intake, &applicant).await? {
            let (now, today) = (self.clock.now(), self.clock.today());
            self.can_be_decided(&applicant, today)?;
            let new = Submission {
                id,
                person: PersonId::new(now, self.random.bytes()),
                applicant: &applicant,
                intake: intake.clone(),
                on: today,
            };
            if let Err(error) = self.store.submit(new, now).await.map_err(OfficeError::from) {
                // The same request may have come a moment before: then its outcome is the answer to this one too.
                if error.fault() != Fault::State || !self.is_filed(id, &intake, &applicant).await? {
                    return Err(error);
                }
            }
        }
        let filed = self.application(id).await?;
        if !matches!(filed.application.state(), ApplicationState::Applied) {
            return Ok(filed);
        }
        let accepted = filed.application.accept(self.clock.today())?;
        let saved = self.store.save_application(accepted, self.clock.now()).await;
        let after = self.application(id).await?;
        match saved {
            Err(error) if matches!(after.application.state(), ApplicationState::Applied) => Err(error.into()),
            _ => Ok(after),
        }
    }

    /// Whether the id stands for this very application.
    async fn is_filed(
        &self,
        id: ApplicationId,
        intake: &IntakeClerk,
        applicant: &Applicant,
    ) -> Result<bool, OfficeError> {
        match self.store.application(id).await? {
            None => Ok(false),
            Some(known) if known.applicant == *applicant && known.application.intake() == intake => Ok(true),
            Some(_) => Err(OfficeError::IdTaken),
        }
    }

    /// An application that could never be decided or printed here would stand open and keep its person from applying
    /// anywhere: it is refused before anything is stored.
    fn can_be_decided(&self, applicant: &Applicant, today: jiff::civil::Date) -> Result<(), OfficeError> {
        let division = &applicant.residence.division;
        let set = self
            .rules
            .in_force(division, today)
            .ok_or(OfficeError::NoRuleSet)?;
        if let Some(tier) = applicant.requested_tier
            && !set.tiers().iter().any(|rule| rule.tier == tier)
        {
            let id = set.id().to_owned();
            return Err(permit_domain::Error::TierNotOffered { id, tier }.into());
        }
        if set.organ(division).is_none() {
            let division = division.clone();
            return Err(ContentError::NoOrgan { division }.into());
        }
        let asked = |tier| applicant.requested_tier.is_none_or(|wanted| wanted == tier);
        let without_limits = set.tiers().iter().any(|rule| {
            asked(rule.tier)
                && rule
                    .entitlements
                    .iter()
                    .any(|entitlement| entitlement.role == permit_domain::Role::SmallPayment)
                && self.purse_cap(applicant, rule.tier, today).is_none()
        });
        if without_limits {
            let division = division.clone();
            return Err(ContentError::NoPurseRules { division }.into());
        }
        Ok(self.artist.prints_for(division.as_str())?)
    }
}
