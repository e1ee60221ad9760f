//! The end of intake (受理完毕): what the case decides on is frozen, before anybody reviews it. Decree 663, article 9.
//!
//! What is completed again with another photo, on another day, or after a change of its permit is a newer version: the case goes back
//! to review, and who signs what was read before is told so. The next card of a permit is completed in the same way. Facts are not
//! edited: corrected ones are another application ([`crate::withdrawal`]).

use issuer_artwork::Artist;
use issuer_mandate::CardItems;
use issuer_store::{Appended, StoredApplication, Transaction};
use jiff::civil::Date;
use permit_domain::{
    Actor as _, Applicant, ApplicationId, ApplicationState, CaseContent, ContentState, Decision, Digest,
    Error as DomainError, IntakeClerk, Permit, PermitId, PermitState,
};
use photo_store_protocol as photo;

use crate::error::{ContentError, OfficeError};
use crate::frozen_case::{CardPlan, FrozenCard, FrozenCase};
use crate::frozen_photo::FrozenPhoto;
use crate::office::Office;
use crate::on_file;
use crate::photo::comes_onto_a_card;

/// What a case stands on when its intake ends.
struct Standing {
    case: StoredApplication,
    permit: PermitId,
    /// The permit, once it is granted.
    granted: Option<Permit>,
    applicant: Applicant,
    decision: Decision,
}

impl Office {
    /// Intake of a case ends: facts, decision, photo and the front as it will be printed are frozen under one digest, which is
    /// reviewed and signed off. Where the rules grant nothing no photo is needed. Repeating it on the same day answers the same.
    ///
    /// # Errors
    /// [`OfficeError::NoReceipt`] where a card is granted and no photo is named; the photo store's refusal;
    /// [`issuer_artwork::ArtworkError`]; [`DomainError::WrongState`] for a case that is not accepted, or whose card is being made.
    pub async fn complete_intake(
        &self,
        id: ApplicationId,
        clerk: IntakeClerk,
        receipt: Option<photo::ReceiptNumber>,
    ) -> Result<StoredApplication, OfficeError> {
        let standing = self.stands(id).await?;
        let card = Box::pin(self.freeze_card(&standing, &clerk, receipt)).await?;
        let (card, items) = card.unzip();
        let Standing {
            case,
            permit,
            applicant,
            decision,
            ..
        } = standing;
        let frozen = FrozenCase::new(&case.application, permit, &applicant, decision, card);
        let mandate = match items {
            Some(items) => {
                let digest = frozen.to_content()?.digest();
                Some(self.mandate(id, digest, &applicant.residence.division, items)?)
            }
            None => None,
        };
        let mut tx = self.begin().await?;
        let new = (&frozen, mandate.as_deref());
        let entering = enter(&mut tx, &case, new, clerk, self.clock.today());
        let appended = Box::pin(entering).await?;
        let case = on_file::application(&mut tx, id).await?;
        if let Some(appended) = appended {
            tx.commit(appended).await?;
        }
        Ok(case)
    }

    /// What an application is completed from: its own facts and the rules; for the next card of its permit those that hold now.
    async fn stands(&self, id: ApplicationId) -> Result<Standing, OfficeError> {
        let mut ledger = self.read().await?;
        let case = on_file::application(&mut ledger, id).await?;
        match case.application.state() {
            ApplicationState::Accepted { .. } | ApplicationState::Reviewed { .. } => {
                drop(ledger);
                let accepted = case.accepted_on.unwrap_or(self.clock.today());
                let decision = self.decided_at(&case.applicant, accepted)?;
                let permit = match &case.content {
                    Some(live) => FrozenCase::from_content(live.content())?.permit()?,
                    None => PermitId::new(self.clock.now(), self.random.bytes()),
                };
                Ok(Standing {
                    permit,
                    granted: None,
                    applicant: case.applicant.clone(),
                    decision,
                    case,
                })
            }
            ApplicationState::Approved { permit, .. } => {
                let permit = on_file::permit(&mut ledger, *permit).await?;
                if !matches!(permit.state(), PermitState::Approved) {
                    return Err(not_now("permit", permit.state().name()));
                }
                permit.grant().check_in_force(self.clock.today())?;
                let (applicant, decision) = on_file::facts_of(&mut ledger, &permit).await?;
                Ok(Standing {
                    case,
                    permit: permit.id(),
                    granted: Some(permit),
                    applicant,
                    decision,
                })
            }
            state => Err(not_now("application", state.name())),
        }
    }

    /// Freezes the card of a case, where its decision grants one: its photo's receipt is used up by it.
    async fn freeze_card(
        &self,
        standing: &Standing,
        clerk: &IntakeClerk,
        receipt: Option<photo::ReceiptNumber>,
    ) -> Result<Option<(FrozenCard, CardItems)>, OfficeError> {
        let Standing {
            case,
            applicant,
            decision,
            ..
        } = standing;
        if decision.tier.is_none() {
            return Ok(None);
        }
        let receipt = receipt.ok_or(OfficeError::NoReceipt)?;
        let (id, person) = (case.application.id(), case.application.person());
        let permit = match &standing.granted {
            Some(granted) => granted.clone(),
            None => Permit::granted(standing.permit, person, id, decision)?,
        };
        let division = &applicant.residence.division;
        let organ = self
            .rules
            .get(&permit.grant().rule_set)?
            .organ(division)
            .ok_or_else(|| ContentError::NoOrgan {
                division: division.clone(),
            })?;
        let issued_on = self.clock.today();
        let plan = CardPlan {
            permit: &permit,
            applicant,
            decision,
            organ,
            issued_on,
            purse_cap: self.purse_cap(applicant, permit.grant().tier, issued_on),
        };
        // All that can be known without the photo is looked at before its receipt is used up.
        self.try_print(|stand_in| plan.with(stand_in, &self.random))
            .await?;
        let (photo, print) = self
            .take_photo(&id.to_string(), person, clerk.staff(), receipt)
            .await?;
        let front = self.front_of(&plan, &photo, print).await?;
        let items = plan.items(photo.clone(), &self.random)?;
        Ok(Some((plan.freeze(photo, front), items)))
    }

    /// SHA-256 of the front's PNG file, drawn as production will draw it.
    async fn front_of(
        &self,
        plan: &CardPlan<'_>,
        photo: &FrozenPhoto,
        print: Vec<u8>,
    ) -> Result<Digest, OfficeError> {
        let face = plan.front(photo.clone(), print, &self.random)?;
        let division = plan.applicant.residence.division.as_str().to_owned();
        let artist = self.artist();
        let drawn = tokio::task::spawn_blocking(move || Artist::front(&artist, &division, &face));
        let drawn = drawn.await.map_err(|_| OfficeError::Internal)??;
        Ok(Digest::of(&drawn.png))
    }
}

/// Enters what intake ended with and its mandate, unless this very content is live with one; `read` is the case from which it was made
/// up.
///
/// # Errors
/// [`issuer_store::Error::Stale`] where somebody else went on with the case meanwhile.
pub(crate) async fn enter(
    tx: &mut Transaction,
    read: &StoredApplication,
    (frozen, mandate): (&FrozenCase, Option<&[u8]>),
    clerk: IntakeClerk,
    on: Date,
) -> Result<Option<Appended>, OfficeError> {
    let (id, content) = (read.application.id(), frozen.to_content()?);
    let now = on_file::application(tx, id).await?;
    if let Some(live) = &now.content
        && FrozenCase::from_content(live.content())?.says_the_same_as(frozen)
        && (mandate.is_none() || tx.mandate(id, live.version()).await?.is_some())
    {
        return Ok(None);
    }
    if now.application.version() != read.application.version() || now.content != read.content {
        return Err(issuer_store::Error::Stale { what: "application" }.into());
    }
    if let Some(photo) = frozen.photo() {
        comes_onto_a_card(tx, id, photo).await?;
    }
    if let Some(live) = now.content {
        let by = (IntakeClerk::ROLE, clerk.staff().as_str());
        let _first = tx.update_case_content(&live.superseded()?, by).await?;
    }
    let back = match now.application.state() {
        ApplicationState::Reviewed { .. } => {
            let accepted = now.accepted_on.unwrap_or(on);
            Some(now.application.completed_anew(accepted)?)
        }
        _ => None,
    };
    let version = tx.last_content_version(id).await?.saturating_add(1);
    let content = CaseContent::completed(id, version, clerk, content);
    let appended = tx.insert_case_content(&content, back).await?;
    if let Some(mandate) = mandate {
        tx.insert_mandate(id, version, mandate).await?;
    }
    Ok(Some(appended))
}

fn not_now(thing: &'static str, state: &'static str) -> OfficeError {
    DomainError::WrongState {
        thing,
        state,
        wanted: "completing its intake",
    }
    .into()
}

/// The live content of a case, if it is the one that was read.
///
/// # Errors
/// [`OfficeError::NotCompleted`], [`OfficeError::OtherContent`].
pub(crate) fn as_read(case: &StoredApplication, read: Digest) -> Result<CaseContent, OfficeError> {
    let live = case.content.clone().ok_or(OfficeError::NotCompleted)?;
    if live.content().digest() == read {
        Ok(live)
    } else {
        Err(OfficeError::OtherContent)
    }
}

/// The live content of a case that two people signed.
///
/// # Errors
/// [`OfficeError::NotCompleted`]; [`DomainError::WrongState`] for content that is not signed.
pub(crate) fn signed(case: &StoredApplication) -> Result<CaseContent, OfficeError> {
    let live = case.content.clone().ok_or(OfficeError::NotCompleted)?;
    if matches!(live.state(), ContentState::Signed { .. }) {
        Ok(live)
    } else {
        Err(DomainError::WrongState {
            thing: "content",
            state: live.state().name(),
            wanted: "production",
        }
        .into())
    }
}
