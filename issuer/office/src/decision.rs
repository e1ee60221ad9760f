//! The decision on an application: a reviewer stands for what was frozen when intake ended, whose decision the rule set made; then an
//! approver signs it off, by which the permit comes into being. Decree 663, article 9.
//!
//! Each names the digest of what was read, and where a card is granted signs its mandate (`mandate`). The next card of a permit is reviewed and signed off in the same way; its permit stands.

use issuer_mandate::{Given, SignerRole};
use issuer_store::{Appended, StoredApplication, Transaction};
use jiff::civil::Date;
use permit_domain::{
    Actor as _, Applicant, Application, ApplicationId, ApplicationState, Approver, CaseContent, ContentState,
    Decision, Digest, Error as DomainError, Permit, Reviewer,
};

use crate::completion::as_read;
use crate::error::OfficeError;
use crate::frozen_case::FrozenCase;
use crate::office::{Office, published_as};
use crate::{on_file, paper};

impl Office {
    /// A reviewer stands for what the case decides on, by the digest of what was read. Repeating it answers the same.
    ///
    /// # Errors
    /// [`OfficeError::NotCompleted`]; [`OfficeError::OtherContent`] when that is not what stands there;
    /// [`DomainError::SamePersonTwice`], [`DomainError::WrongState`]; [`crate::signing_error::SigningError`].
    pub async fn review(
        &self,
        id: ApplicationId,
        reviewer: Reviewer,
        content: Digest,
        signed: Option<&Given>,
    ) -> Result<StoredApplication, OfficeError> {
        let mut tx = self.begin().await?;
        let case = on_file::application(&mut tx, id).await?;
        is_decided_on(&case, "a review")?;
        let live = as_read(&case, content)?;
        if reviewed_by(&live, &reviewer) {
            return Ok(case);
        }
        paper::apart(&mut tx, id, "reviewer", reviewer.staff()).await?;
        let frozen = FrozenCase::from_content(live.content())?;
        let decision = frozen.decision().clone();
        let by = (Reviewer::ROLE, reviewer.staff().as_str());
        let live = live.review(reviewer.clone())?;
        // The decision on a permit that stands was signed off before.
        let after = match case.application.state() {
            ApplicationState::Approved { .. } => None,
            _ => Some(case.application.review(reviewer.clone(), &decision)?),
        };
        let who = (SignerRole::Reviewer, reviewer.staff());
        self.take_signature(&mut tx, &live, who, signed, frozen.grants())
            .await?;
        let mut appended = tx.update_case_content(&live, by).await?;
        if let Some(after) = after {
            appended = review(&mut tx, after, live.version(), &decision).await?.1;
        }
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

    /// The approver's sign-off, by the digest of what was read: the permit comes into being. Repeating it answers the same.
    ///
    /// # Errors
    /// [`OfficeError::NotCompleted`]; [`OfficeError::OtherContent`] when that is not what stands there;
    /// [`DomainError::SamePersonTwice`], [`DomainError::WrongState`], [`permit_domain::Refusal::AlreadyHasPermit`];
    /// [`crate::signing_error::SigningError`].
    pub async fn approve(
        &self,
        id: ApplicationId,
        approver: Approver,
        content: Digest,
        signed: Option<&Given>,
    ) -> Result<StoredApplication, OfficeError> {
        let mut tx = self.begin().await?;
        let case = on_file::application(&mut tx, id).await?;
        is_decided_on(&case, "an approval")?;
        let live = as_read(&case, content)?;
        if live.signed_by().is_some_and(|(_, by)| *by == approver) {
            return Ok(case);
        }
        paper::apart(&mut tx, id, "approver", approver.staff()).await?;
        let frozen = FrozenCase::from_content(live.content())?;
        let by = (Approver::ROLE, approver.staff().as_str());
        let live = live.sign(approver.clone())?;
        let (permit_id, person) = (frozen.permit()?, case.application.person());
        let after = match case.application.state() {
            ApplicationState::Approved { .. } => None,
            _ => Some(case.application.approve(approver.clone(), permit_id)?),
        };
        let who = (SignerRole::Approver, approver.staff());
        self.take_signature(&mut tx, &live, who, signed, frozen.grants())
            .await?;
        let mut appended = tx.update_case_content(&live, by).await?;
        if let Some(after) = after {
            let permit = Permit::granted(permit_id, person, id, frozen.decision())?;
            appended = approve(&mut tx, after, &permit).await?.1;
        }
        let case = on_file::application(&mut tx, id).await?;
        tx.commit(appended).await?;
        Ok(case)
    }
}

/// A case on which somebody decides: accepted, or decided before.
fn is_decided_on(case: &StoredApplication, wanted: &'static str) -> Result<(), DomainError> {
    match case.application.state() {
        ApplicationState::Accepted { .. }
        | ApplicationState::Refused { .. }
        | ApplicationState::Reviewed { .. }
        | ApplicationState::Approved { .. } => Ok(()),
        state => Err(DomainError::WrongState {
            thing: "application",
            state: state.name(),
            wanted,
        }),
    }
}

/// Enters a review of this version, whose decision rests on a published rule set.
pub(crate) async fn review(
    tx: &mut Transaction,
    application: Application,
    version: i64,
    decision: &Decision,
) -> Result<(Application, Appended), OfficeError> {
    published_as(tx, &decision.rule_set, decision.rule_digest).await?;
    Ok(tx.insert_review(application, version, decision).await?)
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

fn reviewed_by(live: &CaseContent, reviewer: &Reviewer) -> bool {
    matches!(live.state(),
        ContentState::Reviewed { reviewer: by } | ContentState::Signed { reviewer: by, .. } if by == reviewer)
}
