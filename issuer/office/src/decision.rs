//! The decision on an application: the reviewer's by the rule set, then the approver's sign-off, by which the permit comes
//! into being. Decree 663, article 9.

use issuer_store::{Appended, StoredApplication, Transaction};
use jiff::civil::Date;
use permit_domain::{
    Actor as _, Applicant, Application, ApplicationId, ApplicationState, Approver, Decision, Permit,
    PermitId, Reviewer,
};

use crate::error::OfficeError;
use crate::office::{Office, published_as};
use crate::{on_file, paper};

impl Office {
    /// The reviewer's decision, by the rule set in force on the day of acceptance. Repeating it answers the same.
    ///
    /// # Errors
    /// [`permit_domain::Error::SamePersonTwice`], [`permit_domain::Error::WrongState`], [`OfficeError::NoRuleSet`].
    pub async fn review(
        &self,
        id: ApplicationId,
        reviewer: Reviewer,
    ) -> Result<StoredApplication, OfficeError> {
        let mut tx = self.begin().await?;
        let case = on_file::application(&mut tx, id).await?;
        let accepted = match case.application.state() {
            ApplicationState::Accepted { on } => *on,
            _ if reviewed_by(&case, &reviewer) => return Ok(case),
            // The domain says what is wrong with the state; it needs no decision for that.
            _ => self.clock.today(),
        };
        let decision = self.decided_at(&case.applicant, accepted)?;
        paper::apart(&mut tx, id, "reviewer", reviewer.staff()).await?;
        let after = case.application.review(reviewer, &decision)?;
        let (_, appended) = review(&mut tx, after, &decision).await?;
        let case = on_file::application(&mut tx, id).await?;
        tx.commit(appended).await?;
        Ok(case)
    }

    /// What the rule set in force on the day of acceptance says today. One that ended since still decides the case, for its last day.
    pub(crate) fn decided_at(&self, applicant: &Applicant, accepted: Date) -> Result<Decision, OfficeError> {
        let set = self.set_in_force(applicant, accepted)?;
        let today = self.clock.today();
        let at = if set.in_force(today) { today } else { accepted };
        Ok(set.decide_accepted(applicant, accepted, at, self.rules.calendar())?)
    }

    /// The approver's sign-off: the permit comes into being. Repeating it answers the same.
    ///
    /// # Errors
    /// [`permit_domain::Error::SamePersonTwice`], [`permit_domain::Error::WrongState`],
    /// [`permit_domain::Refusal::AlreadyHasPermit`].
    pub async fn approve(
        &self,
        id: ApplicationId,
        approver: Approver,
    ) -> Result<StoredApplication, OfficeError> {
        let mut tx = self.begin().await?;
        let case = on_file::application(&mut tx, id).await?;
        if approved_by(&case, &approver) {
            return Ok(case);
        }
        let permit_id = PermitId::new(self.clock.now(), self.random.bytes());
        let person = case.application.person();
        paper::apart(&mut tx, id, "approver", approver.staff()).await?;
        let after = case.application.approve(approver, permit_id)?;
        let decision = case
            .decision
            .as_ref()
            .ok_or(permit_domain::Error::NothingGranted)?;
        let permit = Permit::granted(permit_id, person, id, decision)?;
        let (_, appended) = approve(&mut tx, after, &permit).await?;
        let case = on_file::application(&mut tx, id).await?;
        tx.commit(appended).await?;
        Ok(case)
    }
}

/// Enters a review, whose decision rests on a published rule set.
pub(crate) async fn review(
    tx: &mut Transaction,
    application: Application,
    decision: &Decision,
) -> Result<(Application, Appended), OfficeError> {
    published_as(tx, &decision.rule_set, decision.rule_digest).await?;
    Ok(tx.insert_review(application, decision).await?)
}

/// Enters an approval and its permit, unless the person has another one by now.
pub(crate) async fn approve(
    tx: &mut Transaction,
    application: Application,
    permit: &Permit,
) -> Result<(Application, Appended), OfficeError> {
    if let Some(live) = tx.live_permit(application.person()).await? {
        return Err(permit_domain::Refusal::AlreadyHasPermit { permit: live.id() }.into());
    }
    Ok(tx.insert_approval(application, permit).await?)
}

fn reviewed_by(case: &StoredApplication, reviewer: &Reviewer) -> bool {
    matches!(
        case.application.state(),
        ApplicationState::Refused { reviewer: by }
            | ApplicationState::Reviewed { reviewer: by }
            | ApplicationState::Approved { reviewer: by, .. } if by == reviewer
    )
}

fn approved_by(case: &StoredApplication, approver: &Approver) -> bool {
    matches!(case.application.state(), ApplicationState::Approved { approver: by, .. } if by == approver)
}
