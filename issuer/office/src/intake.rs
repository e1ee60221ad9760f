//! Takes an application: facts that can be decided and printed here are filed and accepted. Decree 663, articles 8 and 9.
//!
//! Left out: drafts and notices of missing papers.

use issuer_store::{Appended, StoredApplication, Submission, Transaction};
use permit_domain::{Applicant, Application, ApplicationId, ApplicationState, IntakeClerk, PersonId};

use crate::error::{ContentError, OfficeError};
use crate::office::Office;
use crate::on_file;

impl Office {
    /// Takes a complete application and accepts it, in one transaction. Repeating it with the same id and facts answers the
    /// same; of two counters that take one applicant at once, one does and the other is told.
    ///
    /// # Errors
    /// [`permit_domain::Refusal::AlreadyHasPermit`], [`permit_domain::Refusal::ApplicationOpen`], [`OfficeError::IdTaken`].
    /// [`OfficeError::NoRuleSet`], [`permit_domain::Error::TierNotOffered`], [`ContentError::NoOrgan`] and
    /// [`issuer_artwork::ArtworkError::NoTemplate`] when the office could never decide it or print its card; then nothing
    /// is stored.
    pub async fn apply(
        &self,
        id: ApplicationId,
        intake: IntakeClerk,
        applicant: Applicant,
    ) -> Result<StoredApplication, OfficeError> {
        let (now, today) = (self.clock.now(), self.clock.today());
        let mut tx = self.begin().await?;
        let filed = match tx.application(id).await? {
            Some(known) if known.applicant != applicant || *known.application.intake() != intake => {
                return Err(OfficeError::IdTaken);
            }
            Some(known) if !matches!(known.application.state(), ApplicationState::Applied) => {
                return Ok(known);
            }
            Some(known) => known.application,
            None => {
                self.can_be_decided(&applicant, today)?;
                let new = Submission {
                    id,
                    person: PersonId::new(now, self.random.bytes()),
                    applicant: &applicant,
                    intake,
                    on: today,
                };
                file(&mut tx, new).await?.0
            }
        };
        let (_, appended) = tx.update_application(filed.accept(today)?).await?;
        let case = on_file::application(&mut tx, id).await?;
        tx.commit(appended).await?;
        Ok(case)
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

/// Files an application, unless its person has a permit that has not ended, or an application that is still open. The id of
/// the person is taken for one whose citizen number the ledger does not know.
pub(crate) async fn file(
    tx: &mut Transaction,
    new: Submission<'_>,
) -> Result<(Application, Appended), OfficeError> {
    let number = &new.applicant.citizen_number;
    let person = if let Some(person) = tx.person(number).await? {
        if let Some(permit) = tx.live_permit(person).await? {
            return Err(permit_domain::Refusal::AlreadyHasPermit { permit: permit.id() }.into());
        }
        if let Some(application) = tx.open_application(person).await? {
            return Err(permit_domain::Refusal::ApplicationOpen { application }.into());
        }
        person
    } else {
        tx.insert_person(new.person, number).await?;
        new.person
    };
    Ok(tx.insert_application(&Submission { person, ..new }).await?)
}
