//! Takes an application: facts that can be decided and printed here are filed and accepted. Decree 663, articles 8 and 9.
//!
//! Left out: drafts and notices of missing papers.

use issuer_artwork::ArtworkError;
use issuer_store::{Appended, Entry, Snapshot, StoredApplication, Submission, Transaction};
use jiff::civil::Date;
use permit_domain::words::of_field;
use permit_domain::{
    Actor as _, Applicant, Application, ApplicationId, ApplicationState, FieldError, FormErrors, IntakeClerk,
    PersonId,
};

use crate::card_content::front_without_photo;
use crate::error::{ContentError, OfficeError};
use crate::identity::IdentityEntry;
use crate::office::Office;
use crate::on_file;

impl Office {
    /// Takes an application whose items were typed, as programs and paper forms bring them: [`Office::apply_with`].
    ///
    /// # Errors
    /// Those of [`Office::apply_with`].
    pub async fn apply(
        &self,
        id: ApplicationId,
        intake: IntakeClerk,
        applicant: Applicant,
    ) -> Result<StoredApplication, OfficeError> {
        self.apply_with(id, intake, applicant, IdentityEntry::ByHand)
            .await
    }

    /// Takes a complete application and accepts it, in one transaction. Repeating it with the same id and facts answers the
    /// same; of two counters that take one applicant at once, one does and the other is told.
    ///
    /// # Errors
    /// [`permit_domain::Refusal::AlreadyHasPermit`], [`permit_domain::Refusal::ApplicationOpen`], [`OfficeError::IdTaken`].
    /// [`OfficeError::NoRuleSet`], [`permit_domain::Error::TierNotOffered`], [`ContentError::NoOrgan`],
    /// [`ArtworkError::NoTemplate`] and [`OfficeError::Unprintable`] with every item when the office could never decide it or
    /// print its card; then nothing is stored.
    pub async fn apply_with(
        &self,
        id: ApplicationId,
        intake: IntakeClerk,
        applicant: Applicant,
        entry: IdentityEntry,
    ) -> Result<StoredApplication, OfficeError> {
        let (now, today) = (self.clock.now(), self.clock.today());
        if self.read().await?.application(id).await?.is_none() {
            // Laying a face out takes its time: nobody waits for the ledger meanwhile.
            self.can_be_made(&applicant, today).await?;
        }
        let mut tx = self.begin().await?;
        let filed = match same_application(&mut tx, id, &intake, &applicant).await? {
            Some(known) if !matches!(known.application.state(), ApplicationState::Applied) => {
                return Ok(known);
            }
            Some(known) => known.application,
            None => {
                let clerk = intake.staff().clone();
                let new = Submission {
                    id,
                    person: PersonId::new(now, self.random.bytes()),
                    applicant: &applicant,
                    intake,
                    on: today,
                };
                let filed = file(&mut tx, new).await?.0;
                let _entered = tx
                    .append(Entry {
                        role: IntakeClerk::ROLE,
                        actor: clerk.as_str(),
                        action: entry.action(),
                        subject: &id.to_string(),
                        detail: "{}",
                    })
                    .await?;
                filed
            }
        };
        let (_, appended) = tx.update_application(filed.accept(today)?).await?;
        tx.delete_draft(id).await?;
        let case = on_file::application(&mut tx, id).await?;
        tx.commit(appended).await?;
        Ok(case)
    }

    /// An application that could never be decided or printed here would stand open and keep its person from applying
    /// anywhere: it is refused before anything is stored.
    pub(crate) async fn can_be_made(&self, applicant: &Applicant, today: Date) -> Result<(), OfficeError> {
        let organ = self.can_be_decided(applicant, today)?;
        self.can_be_printed(applicant, organ, today).await
    }

    /// Whether every text of the front can be printed: the artist's own look, before anybody reviews the case.
    pub(crate) async fn can_be_printed(
        &self,
        applicant: &Applicant,
        organ: &str,
        today: Date,
    ) -> Result<(), OfficeError> {
        let front = front_without_photo(applicant, organ, today)?;
        let (artist, division) = (self.artist(), applicant.residence.division.as_str().to_owned());
        let faults = tokio::task::spawn_blocking(move || artist.check_front(&division, &front))
            .await
            .map_err(|_| OfficeError::Internal)?
            .err()
            .unwrap_or_default();
        unprintable(faults)
    }

    /// The organ that would issue it.
    fn can_be_decided(&self, applicant: &Applicant, today: Date) -> Result<&str, OfficeError> {
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
        let organ = set.organ(division).ok_or_else(|| ContentError::NoOrgan {
            division: division.clone(),
        })?;
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
        Ok(organ)
    }
}

/// The items that cannot be printed, by the keys of the applicant file. A fault of the installation is told as it is.
fn unprintable(faults: Vec<ArtworkError>) -> Result<(), OfficeError> {
    let mut fields = Vec::new();
    for fault in faults {
        let item = match &fault {
            ArtworkError::MissingGlyph { field, .. }
            | ArtworkError::Overflow { field }
            | ArtworkError::ValueMissing { field } => field.as_str(),
            _ => return Err(fault.into()),
        };
        let field = match item {
            "residence_address" => "residence.address",
            // The organ follows from the division.
            "issuing_organ" => "residence.division",
            item => item,
        };
        let code = fault.code();
        fields.push(FieldError::new(
            field,
            code,
            (fault.to_string(), fault.action()),
            (fault.chinese().0, of_field(code).1),
        ));
    }
    FormErrors::found(fields).map_or(Ok(()), |errors| Err(OfficeError::Unprintable(errors)))
}

/// The application that the id stands for, if it is this very one: an id that was used by another clerk or for other facts is
/// refused.
pub(crate) async fn same_application(
    ledger: &mut Snapshot,
    id: ApplicationId,
    intake: &IntakeClerk,
    applicant: &Applicant,
) -> Result<Option<StoredApplication>, OfficeError> {
    match ledger.application(id).await? {
        Some(known) if known.applicant != *applicant || known.application.intake() != intake => {
            Err(OfficeError::IdTaken)
        }
        known => Ok(known),
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
