//! What becomes of an application before its card is made, besides the decision: it is withdrawn, or corrected. Decree 663,
//! article 9.
//!
//! What was filed is never edited: a corrected application is a new one of the same person, filed in the moment in which the
//! old one is withdrawn. It is reviewed and signed off anew, and the organ's time to issue runs from the first acceptance: an
//! applicant does not wait longer for a clerk's slip. A permit that nobody was given a card of ends with its application. Left
//! out: refusals, supplements, appeals.

use issuer_store::{Appended, Entry, Snapshot, StoredApplication, Submission, Transaction};
use jiff::civil::Date;
use permit_domain::{
    Actor as _, Applicant, Application, ApplicationId, ApplicationState, EndReason, IntakeClerk, OrderState,
    Refusal,
};

use crate::error::OfficeError;
use crate::intake;
use crate::office::Office;
use crate::on_file;

impl Office {
    /// The applicant takes the application back, and is free to apply again. Nobody looks at photos for it any more.
    /// Repeating it answers the same, and closes a photo case that stayed open.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`] for one that is over; [`permit_domain::Error::SamePersonTwice`] for a clerk who
    /// reviewed or approved it; [`Refusal::CardBeingMade`], [`Refusal::CardWasMade`]; [`OfficeError::PhotoCaseOpen`] when the
    /// ledger has it and the photo store does not.
    pub async fn withdraw(
        &self,
        id: ApplicationId,
        by: &IntakeClerk,
    ) -> Result<StoredApplication, OfficeError> {
        let mut tx = self.begin().await?;
        let mut case = on_file::application(&mut tx, id).await?;
        if !matches!(case.application.state(), ApplicationState::Withdrawn) {
            let appended = take_back(&mut tx, case.application, by, self.clock.today(), None).await?;
            case = on_file::application(&mut tx, id).await?;
            tx.commit(appended).await?;
        }
        self.close_withdrawn(id, by).await?;
        Ok(case)
    }

    /// Files the right facts in place of wrong ones: the application is withdrawn, and another of the same person accepted
    /// with the id `corrected`. Repeating it with the same facts answers the same, under the id of the first time whatever id is
    /// given then.
    ///
    /// # Errors
    /// [`OfficeError::OtherApplicant`] for a file of somebody else; those of [`Office::apply`] and of [`Office::withdraw`].
    pub async fn correct(
        &self,
        id: ApplicationId,
        corrected: ApplicationId,
        clerk: IntakeClerk,
        applicant: Applicant,
    ) -> Result<StoredApplication, OfficeError> {
        let mut ledger = self.read().await?;
        let known = filed_before(&mut ledger, id, corrected, &clerk, &applicant).await?;
        let old = on_file::application(&mut ledger, id).await?;
        drop(ledger);
        let case = match known {
            Some(known) => known,
            None => self.file_corrected(&old, corrected, &clerk, &applicant).await?,
        };
        self.close_withdrawn(id, &clerk).await?;
        Ok(case)
    }

    /// The application that was filed in place of this one; none where it was not corrected.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn corrected_as(&self, id: ApplicationId) -> Result<Option<ApplicationId>, OfficeError> {
        Ok(self.read().await?.corrected_as(id).await?)
    }

    async fn file_corrected(
        &self,
        old: &StoredApplication,
        corrected: ApplicationId,
        clerk: &IntakeClerk,
        applicant: &Applicant,
    ) -> Result<StoredApplication, OfficeError> {
        if old.applicant.citizen_number != applicant.citizen_number {
            return Err(OfficeError::OtherApplicant);
        }
        let today = self.clock.today();
        let division = &applicant.residence.division;
        let accepted = old
            .accepted_on
            .filter(|day| self.rules.in_force(division, *day).is_some())
            .unwrap_or(today);
        self.can_be_made(applicant, accepted).await?;
        let mut tx = self.begin().await?;
        // The same request may have come a moment before: then its outcome is the answer to this one too.
        let id = old.application.id();
        if let Some(known) = filed_before(&mut tx, id, corrected, clerk, applicant).await? {
            return Ok(known);
        }
        let old = on_file::application(&mut tx, id).await?.application;
        let person = old.person();
        let _first = take_back(&mut tx, old, clerk, today, Some(corrected)).await?;
        let new = Submission {
            id: corrected,
            person,
            applicant,
            intake: clerk.clone(),
            on: today,
        };
        let (filed, _second) = intake::file(&mut tx, new).await?;
        let (_, appended) = tx.update_application(filed.accept(accepted)?).await?;
        let case = on_file::application(&mut tx, corrected).await?;
        tx.commit(appended).await?;
        Ok(case)
    }

    /// Nobody looks at photos for a withdrawn application; the photos stay the person's.
    async fn close_withdrawn(&self, id: ApplicationId, by: &IntakeClerk) -> Result<(), OfficeError> {
        self.end_photo_case(id, by.staff())
            .await
            .map_err(|error| match error {
                OfficeError::Photo(error) => OfficeError::PhotoCaseOpen(error),
                error => error,
            })
    }
}

/// This very correction, where it was made before: under the id that it is given now, or under the one of its first time. An id
/// that stands for anything else than what was filed in place of `old` is taken.
async fn filed_before(
    ledger: &mut Snapshot,
    old: ApplicationId,
    corrected: ApplicationId,
    clerk: &IntakeClerk,
    applicant: &Applicant,
) -> Result<Option<StoredApplication>, OfficeError> {
    let first = ledger.corrected_as(old).await?;
    if first != Some(corrected)
        && intake::same_application(ledger, corrected, clerk, applicant)
            .await?
            .is_some()
    {
        return Err(OfficeError::IdTaken);
    }
    let Some(first) = first else {
        return Ok(None);
    };
    match intake::same_application(ledger, first, clerk, applicant).await {
        // Somebody corrected it otherwise; under this id it is another correction.
        Err(OfficeError::IdTaken) if first != corrected => Ok(None),
        known => known,
    }
}

/// Withdraws an application, and with it the permit that no card was made of.
async fn take_back(
    tx: &mut Transaction,
    application: Application,
    by: &IntakeClerk,
    on: Date,
    corrected_as: Option<ApplicationId>,
) -> Result<Appended, OfficeError> {
    let granted = match application.state() {
        ApplicationState::Approved { permit, .. } => Some(*permit),
        _ => None,
    };
    let withdrawn = application.withdraw(by)?;
    if let Some(id) = granted {
        for order in tx.orders_of_permit(id).await? {
            match order.state() {
                OrderState::GivenUp { .. } => {}
                OrderState::HandedOver { .. } => return Err(Refusal::CardWasMade { permit: id }.into()),
                _ => return Err(Refusal::CardBeingMade { order: order.id() }.into()),
            }
        }
        let permit = on_file::permit(tx, id).await?;
        let ended = tx
            .update_permit(permit.change(|state| state.withdraw(on))?)
            .await?;
        let _first = tx
            .append(Entry {
                role: IntakeClerk::ROLE,
                actor: by.staff().as_str(),
                action: &format!("permit {}", ended.state().name()),
                subject: &id.to_string(),
                detail: &format!(r#"{{"reason":"{}"}}"#, EndReason::Withdrawn),
            })
            .await?;
    }
    let (_, appended) = tx.withdraw_application(withdrawn, by, corrected_as).await?;
    Ok(appended)
}
