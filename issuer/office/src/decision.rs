//! The decision on an application: the reviewer's by the rule set, then the approver's sign-off, by which the permit comes
//! into being. Decree 663, article 9.

use issuer_store::StoredApplication;
use permit_domain::{ApplicationId, ApplicationState, Approver, Permit, PermitId, Reviewer};

use crate::error::OfficeError;
use crate::fault::Fault;
use crate::office::Office;

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
        let case = self.application(id).await?;
        let accepted = match case.application.state() {
            ApplicationState::Accepted { on } => *on,
            _ if reviewed_by(&case, &reviewer) => return Ok(case),
            // The domain says what is wrong with the state; it needs no decision for that.
            _ => self.clock.today(),
        };
        let division = &case.applicant.residence.division;
        let set = self
            .rules
            .in_force(division, accepted)
            .ok_or(OfficeError::NoRuleSet)?;
        // A rule set that ended between acceptance and review still decides the case, for its last day.
        let today = self.clock.today();
        let at = if set.in_force(today) { today } else { accepted };
        let decision = set.decide_accepted(&case.applicant, accepted, at, self.rules.calendar())?;
        let after = case.application.review(reviewer.clone(), &decision)?;
        let recorded = self.store.record_review(after, &decision, self.clock.now()).await;
        self.outcome(id, recorded, |case| reviewed_by(case, &reviewer))
            .await
    }

    /// What a step left behind. If it met another's change, that may have been the same request, sent at the same moment:
    /// when the case says that the step is done, that is the answer.
    async fn outcome<T>(
        &self,
        id: ApplicationId,
        recorded: Result<T, issuer_store::Error>,
        is_done: impl Fn(&StoredApplication) -> bool,
    ) -> Result<StoredApplication, OfficeError> {
        match recorded.map_err(OfficeError::from) {
            Ok(_) => self.application(id).await,
            Err(error) if error.fault() == Fault::State => {
                let case = self.application(id).await?;
                if is_done(&case) { Ok(case) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    /// The approver's sign-off: the permit comes into being. Repeating it answers the same.
    ///
    /// # Errors
    /// [`permit_domain::Error::SamePersonTwice`], [`permit_domain::Error::WrongState`],
    /// [`issuer_store::Error::AlreadyHasPermit`].
    pub async fn approve(
        &self,
        id: ApplicationId,
        approver: Approver,
    ) -> Result<StoredApplication, OfficeError> {
        let case = self.application(id).await?;
        if approved_by(&case, &approver) {
            return Ok(case);
        }
        let now = self.clock.now();
        let permit_id = PermitId::new(now, self.random.bytes());
        let person = case.application.person();
        let after = case.application.approve(approver.clone(), permit_id)?;
        let decision = case
            .decision
            .as_ref()
            .ok_or(permit_domain::Error::NothingGranted)?;
        let permit = Permit::granted(permit_id, person, id, decision)?;
        let recorded = self.store.record_approval(after, &permit, now).await;
        self.outcome(id, recorded, |case| approved_by(case, &approver))
            .await
    }
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
