//! The holder's photo for a case of the office: taken, seen, confirmed and taken back at the counter; its receipt taken, its
//! renditions read, its case opened and closed; its end, and who read it. The picture stays in the photo store.
//!
//! Which roles do what stands here, once for every door. A photo belongs to the applications for which it was taken or came
//! onto a card, and one of somebody else is not found. Left out: who acts (the doors know).

use issuer_store::{Entry, PhotoErasure, PhotoToConfirm, Snapshot, Transaction};
use permit_domain::{
    Actor as _, Application, ApplicationId, ApplicationState, ChangeKind, Error as DomainError, PermitState,
    PersonId, StaffId,
};
use photo_store_protocol as photo;

use crate::card_content::CardContent;
use crate::connection::Stream;
use crate::error::OfficeError;
use crate::frozen_change::FrozenChange;
use crate::frozen_photo::FrozenPhoto;
use crate::office::Office;
use crate::on_file;
use crate::staff::StaffRole;

/// Who takes a photo at the counter, and takes it back.
pub const TAKES: &[StaffRole] = &[StaffRole::IntakeClerk, StaffRole::ChangeClerk];
/// Who confirms the warnings of a photo that somebody else took.
pub const CONFIRMS: &[StaffRole] = &[
    StaffRole::IntakeClerk,
    StaffRole::ChangeClerk,
    StaffRole::Reviewer,
];
/// Who opens and closes the case for which a photo may be read.
pub const OPENS: &[StaffRole] = &[
    StaffRole::IntakeClerk,
    StaffRole::ChangeClerk,
    StaffRole::Reviewer,
    StaffRole::Approver,
];
/// Who asks how a photo or a receipt stands, without the picture.
pub const ASKS: &[StaffRole] = &[
    StaffRole::IntakeClerk,
    StaffRole::ChangeClerk,
    StaffRole::Reviewer,
    StaffRole::Approver,
    StaffRole::Producer,
    StaffRole::Auditor,
];
/// Who requests that a photo ends by an order.
pub const REQUESTS_ERASURE: &[StaffRole] = &[
    StaffRole::IntakeClerk,
    StaffRole::ChangeClerk,
    StaffRole::Approver,
];
/// Who approves that, as the second of two people: the photo ends.
pub const ERASES: &[StaffRole] = &[StaffRole::Approver];
/// Who asks who read a photo.
pub const AUDITS: &[StaffRole] = &[StaffRole::Auditor];

/// Who looks at a picture, by why. Production reads for itself; a release is another matter.
#[must_use]
pub const fn looks(purpose: photo::Purpose) -> &'static [StaffRole] {
    match purpose {
        photo::Purpose::Review => OPENS,
        photo::Purpose::HandOver => &[StaffRole::HandOverClerk],
        photo::Purpose::Endorsement | photo::Purpose::HolderAccess => &[StaffRole::ChangeClerk],
        photo::Purpose::Inspection => AUDITS,
        _ => &[],
    }
}

/// A photo that was submitted, and whether it is a new one.
#[derive(Debug, Clone)]
pub struct Taken {
    /// As it stands now.
    pub photo: photo::PhotoStatus,
    /// Whether anything was made.
    pub novelty: Novelty,
}

/// Whether a submitted file became a photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// A photo of its own.
    New,
    /// The same file is a photo of the case already; nothing was made.
    Known,
    /// The same file is the photo that the case has used; nothing was made, and no other card gets it.
    Used,
}

/// How long a receipt is valid that the counter gives out.
const RECEIPT: photo::ReceiptPeriod = photo::ReceiptPeriod::Days30;

impl Office {
    /// Takes a photo of the applicant: judged, normalised, sealed. It has a receipt unless its warnings wait for somebody
    /// who confirms them. The same file again is the same photo, and is told so.
    ///
    /// # Errors
    /// [`OfficeError::PhotoRefused`] with what every check says; the photo store's; [`DomainError::WrongState`] for an
    /// application that is over.
    pub async fn submit_photo(
        &self,
        application: ApplicationId,
        file: Vec<u8>,
        by: &StaffId,
    ) -> Result<Taken, OfficeError> {
        let mut ledger = self.read().await?;
        let case = on_file::application(&mut ledger, application).await?.application;
        drop(ledger);
        let is_over = matches!(
            case.state(),
            ApplicationState::Refused { .. } | ApplicationState::Withdrawn
        );
        not_over(&case, is_over, "taking a photo")?;
        let submit = photo::Submit {
            person: photo::PersonId::from_bytes(*case.person().as_bytes()),
            by: actor(by)?,
            period: RECEIPT,
            file,
        };
        let mut photos = self.photo_store().await?;
        match photos.submit(submit).await? {
            photo::Submission::Held { photo, already_held } => {
                self.taken_for(application, &photo).await?;
                let novelty = match &photo.receipt {
                    _ if !already_held => Novelty::New,
                    Some(receipt)
                        if photos.receipt(receipt.number).await?.state == photo::ReceiptState::Used =>
                    {
                        Novelty::Used
                    }
                    _ => Novelty::Known,
                };
                Ok(Taken { photo, novelty })
            }
            photo::Submission::Refused(judgement) => Err(OfficeError::PhotoRefused(Box::new(judgement))),
        }
    }

    /// What the checks of a photo say of what a camera sees: a small picture, of which nothing is kept. Nothing while a photo is judged.
    ///
    /// # Errors
    /// The photo store's.
    pub async fn judge_frame(&self, file: Vec<u8>) -> Result<Option<photo::Judgement>, OfficeError> {
        let seen = photo::CameraFrame { file };
        Ok(self.photo_store().await?.judge_frame(seen).await?)
    }

    /// Enters that a photo was taken for an application, and whether it waits for a colleague. The photo store holds it already:
    /// whoever does not hear of this submits the same file again.
    async fn taken_for(
        &self,
        application: ApplicationId,
        status: &photo::PhotoStatus,
    ) -> Result<(), OfficeError> {
        let photo = status.photo.to_string();
        let waiting = match status.state {
            photo::PhotoState::Waiting => Some(PhotoToConfirm {
                application,
                photo: photo.clone(),
                taken_by: status.submitted_by.as_str().parse()?,
            }),
            _ => None,
        };
        let mut ledger = self.read().await?;
        if ledger.is_photo_of(application, &photo).await?
            && ledger.photo_to_confirm(application).await? == waiting
        {
            return Ok(());
        }
        drop(ledger);
        let mut tx = self.begin().await?;
        tx.photo_belongs(application, &photo).await?;
        match &waiting {
            Some(waiting) => tx.photo_waits(waiting).await?,
            None => tx.no_photo_waits(application).await?,
        }
        let entry = Entry {
            role: "photo clerk",
            actor: status.submitted_by.as_str(),
            action: "photo TAKEN",
            subject: &application.to_string(),
            detail: &format!(r#"{{"photo":"{photo}"}}"#),
        };
        let appended = tx.append(entry).await?;
        Ok(tx.commit(appended).await?)
    }

    /// Takes a photo out of those that wait for a colleague, with an entry that says why; nothing where it does not wait.
    async fn waits_no_more(
        &self,
        application: ApplicationId,
        id: photo::PhotoId,
        (action, by): (&str, &str),
    ) -> Result<(), OfficeError> {
        let photo = id.to_string();
        let waiting = self.read().await?.photo_to_confirm(application).await?;
        if waiting.is_none_or(|waiting| waiting.photo != photo) {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        tx.no_photo_waits(application).await?;
        let entry = Entry {
            role: "photo clerk",
            actor: by,
            action,
            subject: &application.to_string(),
            detail: &format!(r#"{{"photo":"{photo}"}}"#),
        };
        let appended = tx.append(entry).await?;
        Ok(tx.commit(appended).await?)
    }

    /// How every photo of the applicant stands, the newest first.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`]; the photo store's.
    pub async fn photos_of(
        &self,
        application: ApplicationId,
    ) -> Result<Vec<photo::PhotoStatus>, OfficeError> {
        let person = self.photographed(application).await?;
        let photos = self.photo_store().await?.photos(person).await?;
        // The photo store lets go of what nobody confirms in time, and the list with it.
        if let Some(waiting) = self.read().await?.photo_to_confirm(application).await? {
            let id = waiting.photo.parse().map_err(photo::Error::Failed)?;
            let waits = |status: &photo::PhotoStatus| {
                status.photo == id && matches!(status.state, photo::PhotoState::Waiting)
            };
            if !photos.iter().any(waits) {
                let why = ("photo NOT_CONFIRMED", waiting.taken_by.as_str());
                self.waits_no_more(application, id, why).await?;
            }
        }
        Ok(photos)
    }

    /// How one photo stands, by its id alone.
    ///
    /// # Errors
    /// The photo store's.
    pub async fn photo(&self, id: photo::PhotoId) -> Result<photo::PhotoStatus, OfficeError> {
        Ok(self.photo_store().await?.photo(id).await?)
    }

    /// What can be done with a receipt that an applicant brings.
    ///
    /// # Errors
    /// The photo store's.
    pub async fn photo_receipt(
        &self,
        number: photo::ReceiptNumber,
    ) -> Result<photo::ReceiptInfo, OfficeError> {
        Ok(self.photo_store().await?.receipt(number).await?)
    }

    /// Confirms every warning of a photo by name; it has a receipt then.
    ///
    /// # Errors
    /// [`DomainError::SamePersonTwice`] for who took the photo; the photo store's, such as `WRONG_WARNINGS` where not all
    /// are listed.
    pub async fn confirm_photo(
        &self,
        application: ApplicationId,
        id: photo::PhotoId,
        warnings: Vec<photo::CheckCode>,
        by: &StaffId,
    ) -> Result<photo::PhotoStatus, OfficeError> {
        let (mut photos, status) = self.photo_of(application, id).await?;
        if status.submitted_by.as_str() == by.as_str() {
            return Err(DomainError::SamePersonTwice {
                first: "who took the photo",
                second: "who confirms its warnings",
            }
            .into());
        }
        let confirm = photo::Confirm {
            photo: id,
            by: actor(by)?,
            warnings,
        };
        let confirmed = photos.confirm(confirm).await?;
        self.waits_no_more(application, id, ("photo CONFIRMED", by.as_str()))
            .await?;
        Ok(confirmed)
    }

    /// Takes a photo back that no case has used: a mistake at the camera, or the holder's wish.
    ///
    /// # Errors
    /// `PHOTO_IN_USE` and the photo store's other codes.
    pub async fn take_back_photo(
        &self,
        application: ApplicationId,
        id: photo::PhotoId,
        by: &StaffId,
    ) -> Result<photo::PhotoStatus, OfficeError> {
        let person = self.photographed(application).await?;
        let take = photo::TakeBack {
            photo: id,
            person,
            by: actor(by)?,
        };
        let taken = self.photo_store().await?.take_back(take).await?;
        self.waits_no_more(application, id, ("photo TAKEN_BACK", by.as_str()))
            .await?;
        Ok(taken)
    }

    /// Requests that a photo ends by an order, used or not: the first of two people. What was requested before, and nobody
    /// approved, gives way; the same again changes nothing.
    ///
    /// # Errors
    /// [`DomainError::WrongState`] while a card or a change is being made with it, or when its end is approved; the photo
    /// store's.
    pub async fn request_erasure(
        &self,
        application: ApplicationId,
        id: photo::PhotoId,
        order: &str,
        by: &StaffId,
    ) -> Result<photo::PhotoStatus, OfficeError> {
        let order = case_number(order)?.to_string();
        let (_, status) = self.photo_of(application, id).await?;
        let mut tx = self.begin().await?;
        not_being_printed(&mut tx, application, id).await?;
        let wanted = PhotoErasure {
            photo: id.to_string(),
            application,
            order,
            requested_by: by.clone(),
            approved_by: None,
        };
        match tx.photo_erasure(&wanted.photo).await? {
            Some(known) if known == wanted => return Ok(status),
            Some(known) if known.approved_by.is_some() => {
                return Err(DomainError::WrongState {
                    thing: "photo",
                    state: "TO_BE_ERASED",
                    wanted: "another request",
                }
                .into());
            }
            _ => {}
        }
        let appended = tx
            .set_photo_erasure(&wanted, ("erasure clerk", by.as_str()))
            .await?;
        tx.commit(appended).await?;
        Ok(status)
    }

    /// Approves that a photo ends by the order that was requested, as the second of two people, and ends it. Nobody can undo
    /// it. The ledger has it before the photo store is told, and nothing is made with the photo from then on; said again it
    /// goes on.
    ///
    /// # Errors
    /// [`OfficeError::ErasureNotRequested`]; [`OfficeError::OtherContent`] for another order than was requested;
    /// [`DomainError::SamePersonTwice`]; [`DomainError::WrongState`] while a card or a change is being made with it; the photo
    /// store's.
    pub async fn approve_erasure(
        &self,
        application: ApplicationId,
        id: photo::PhotoId,
        order: &str,
        by: &StaffId,
    ) -> Result<photo::PhotoStatus, OfficeError> {
        let order = case_number(order)?;
        let (mut photos, _) = self.photo_of(application, id).await?;
        let mut tx = self.begin().await?;
        let known = tx.photo_erasure(&id.to_string()).await?;
        let mut erasure = known.ok_or(OfficeError::ErasureNotRequested)?;
        if erasure.order != order.as_str() || erasure.application != application {
            return Err(OfficeError::OtherContent);
        }
        if erasure.requested_by == *by {
            return Err(DomainError::SamePersonTwice {
                first: "who requested the erasure",
                second: "who approves it",
            }
            .into());
        }
        if erasure.approved_by.is_none() {
            not_being_printed(&mut tx, application, id).await?;
            erasure.approved_by = Some(by.clone());
            let by = (permit_domain::Approver::ROLE, by.as_str());
            let appended = tx.set_photo_erasure(&erasure, by).await?;
            tx.commit(appended).await?;
        } else {
            drop(tx);
        }
        // In the name of who approved it first.
        let approved_by = erasure.approved_by.as_ref().unwrap_or(by);
        let erase = photo::Erase {
            photo: id,
            by: actor(approved_by)?,
            case: order,
        };
        let erased = photos.erase(erase).await?;
        self.waits_no_more(application, id, ("photo ERASED", approved_by.as_str()))
            .await?;
        Ok(erased)
    }

    /// Opens the application's case for reads of its applicant's photos; it may be open already.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`]; [`DomainError::WrongState`] for an application that was withdrawn; the photo store's.
    pub async fn open_photo_case(&self, application: ApplicationId, by: &StaffId) -> Result<(), OfficeError> {
        let case = self.application(application).await?.application;
        let is_over = matches!(case.state(), ApplicationState::Withdrawn);
        not_over(&case, is_over, "opening its photo case")?;
        let open = photo::OpenCase {
            case: case_number(&application.to_string())?,
            person: photo::PersonId::from_bytes(*case.person().as_bytes()),
            by: actor(by)?,
        };
        Ok(self.photo_store().await?.open_case(open).await?)
    }

    /// Closes the application's case: nobody reads its applicant's photos for it any more. It may be closed already. Where the case is
    /// over, its scanned papers end with it.
    ///
    /// # Errors
    /// [`DomainError::WrongState`] while its card is being made, which reads the photo.
    pub async fn end_photo_case(&self, application: ApplicationId, by: &StaffId) -> Result<(), OfficeError> {
        let mut ledger = self.read().await?;
        let case = on_file::application(&mut ledger, application).await?.application;
        let is_over = match case.state() {
            ApplicationState::Approved { permit, .. } => {
                let permit = on_file::permit(&mut ledger, *permit).await?;
                if matches!(permit.state(), PermitState::InProduction { .. }) {
                    return Err(DomainError::WrongState {
                        thing: "permit",
                        state: permit.state().name(),
                        wanted: "closing its photo case",
                    }
                    .into());
                }
                !matches!(permit.state(), PermitState::Approved)
            }
            state => !state.is_open(),
        };
        drop(ledger);
        if is_over {
            return Ok(self.close_photo_case(&application.to_string(), by).await?);
        }
        let case = case_number(&application.to_string())?;
        Ok(self.photo_store().await?.close_case(case, actor(by)?).await?)
    }

    /// Reads a photo of the application for its open case; on record before a byte leaves. Another application's photo of the same
    /// person is not there.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`]; `CASE_NOT_OPEN`, `NOT_CONFIRMED` (which a look for the confirmation is not told), and the photo store's others.
    pub async fn look_at_photo(
        &self,
        application: ApplicationId,
        id: photo::PhotoId,
        profile: photo::Profile,
        purpose: photo::Purpose,
        by: &StaffId,
    ) -> Result<photo::Picture, OfficeError> {
        let (mut photos, _) = self.photo_of(application, id).await?;
        if !self
            .read()
            .await?
            .is_photo_of(application, &id.to_string())
            .await?
        {
            return Err(OfficeError::NotFound { what: "photo" });
        }
        let read = photo::Read {
            photo: id,
            profile,
            purpose,
            case: case_number(&application.to_string())?,
            reader: actor(by)?,
        };
        Ok(photos.read(read).await?)
    }

    /// Who read the applicant's photos, refused attempts too, the newest first.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`]; the photo store's.
    pub async fn photo_reads(
        &self,
        application: ApplicationId,
    ) -> Result<Vec<photo::ReadRecord>, OfficeError> {
        let person = self.photographed(application).await?;
        Ok(self.photo_store().await?.reads(person).await?)
    }

    /// The applicant, as the photo store knows a person.
    async fn photographed(&self, application: ApplicationId) -> Result<photo::PersonId, OfficeError> {
        let case = on_file::application(&mut self.read().await?, application).await?;
        Ok(photo::PersonId::from_bytes(*case.application.person().as_bytes()))
    }

    /// A photo of the applicant, and the connection on which it was looked up.
    async fn photo_of(
        &self,
        application: ApplicationId,
        id: photo::PhotoId,
    ) -> Result<(photo::Client<Stream>, photo::PhotoStatus), OfficeError> {
        let person = self.photographed(application).await?;
        let mut photos = self.photo_store().await?;
        let found = photos
            .photos(person)
            .await?
            .into_iter()
            .find(|status| status.photo == id);
        let status = found.ok_or(OfficeError::NotFound { what: "photo" })?;
        Ok((photos, status))
    }
}

impl Office {
    /// Takes a photo for the case of this number and freezes it; with it the rendition for the face.
    pub(crate) async fn take_photo(
        &self,
        number: &str,
        person: PersonId,
        by: &StaffId,
        receipt: photo::ReceiptNumber,
    ) -> Result<(FrozenPhoto, Vec<u8>), OfficeError> {
        let mut photos = self.photo_store().await?;
        let take = || -> Result<photo::TakeReceipt, photo::Error> {
            Ok(photo::TakeReceipt {
                number: receipt,
                case: case_number(number)?,
                person: photo::PersonId::from_bytes(*person.as_bytes()),
                by: actor(by)?,
            })
        };
        let taken = match photos.take_receipt(take()?).await {
            // Two of the same request at one moment: the one that came second asks again, and the receipt that this very
            // case has used is given to it like the first time.
            Err(photo::Error::Failed(photo::FailureCode::ReceiptUsed)) => {
                photos.take_receipt(take()?).await?
            }
            taken => taken?,
        };
        let mut chip = read_photo(&mut photos, taken.photo, photo::Profile::Chip, number, by).await?;
        let mut print = read_photo(&mut photos, taken.photo, photo::Profile::Print, number, by).await?;
        let frozen = FrozenPhoto::new(taken.photo, number, &chip.jpeg, &print.jpeg).by(receipt);
        chip.jpeg.clear();
        Ok((frozen, std::mem::take(&mut print.jpeg)))
    }

    /// A connection to the photo store.
    ///
    /// # Errors
    /// The photo store is away, or speaks another version.
    pub async fn photo_store(&self) -> Result<photo::Client<Stream>, photo::Error> {
        let stream = self
            .photos
            .connect()
            .await
            .map_err(photo::Error::from_connecting)?;
        photo::Client::connect(stream).await
    }

    /// The case is over: nobody reads the photo for it any more, and the papers that were scanned for it are gone.
    ///
    /// # Errors
    /// The photo store's.
    pub async fn close_photo_case(&self, case: &str, by: &StaffId) -> Result<(), photo::Error> {
        let mut photos = self.photo_store().await?;
        photos.close_case(case_number(case)?, actor(by)?).await?;
        photos.end_pages(case_number(case)?, actor(by)?).await
    }
}

/// Reads one rendition for a case.
pub async fn read_photo(
    photos: &mut photo::Client<Stream>,
    id: photo::PhotoId,
    profile: photo::Profile,
    case: &str,
    by: &StaffId,
) -> Result<photo::Picture, photo::Error> {
    let reader = actor(by)?;
    let case = case_number(case)?;
    photos
        .read(photo::Read {
            photo: id,
            profile,
            purpose: photo::Purpose::Production,
            case,
            reader,
        })
        .await
}

fn not_over(case: &Application, is_over: bool, wanted: &'static str) -> Result<(), DomainError> {
    if is_over {
        return Err(DomainError::WrongState {
            thing: "application",
            state: case.state().name(),
            wanted,
        });
    }
    Ok(())
}

/// Refuses while an order that runs, or a change that writes the picture, is made with this photo, by whichever of the
/// person's permits.
async fn not_being_printed(
    ledger: &mut Snapshot,
    application: ApplicationId,
    id: photo::PhotoId,
) -> Result<(), OfficeError> {
    let person = on_file::application(ledger, application)
        .await?
        .application
        .person();
    let being = |thing, state| DomainError::WrongState {
        thing,
        state,
        wanted: "erasing its photo",
    };
    for permit in ledger.permits_of_person(person).await? {
        for order in ledger.orders_of_permit(permit).await? {
            let made = order.state().next_step().is_none();
            if !made && CardContent::from_content(order.content())?.photo().id()? == id {
                return Err(being("production order", order.state().name()).into());
            }
        }
        for stored in ledger.changes_of_permit(permit).await? {
            let change = &stored.change;
            // What other changes keep of the photo is its digest, as it is on the card.
            if change.state().is_over() || change.kind() != ChangeKind::Address {
                continue;
            }
            if let Some(after) = FrozenChange::from_content(change.content())?
                && after.photo().id()? == id
            {
                return Err(being("change", change.state().name()).into());
            }
        }
    }
    Ok(())
}

/// Enters that a photo comes onto a card by an application.
///
/// # Errors
/// [`DomainError::WrongState`] for one whose end is approved.
pub(crate) async fn comes_onto_a_card(
    tx: &mut Transaction,
    application: ApplicationId,
    photo: &FrozenPhoto,
) -> Result<(), OfficeError> {
    let photo = photo.id()?.to_string();
    let erasure = tx.photo_erasure(&photo).await?;
    if erasure.is_some_and(|erasure| erasure.approved_by.is_some()) {
        return Err(DomainError::WrongState {
            thing: "photo",
            state: "TO_BE_ERASED",
            wanted: "putting it onto a card",
        }
        .into());
    }
    Ok(tx.photo_belongs(application, &photo).await?)
}

pub(crate) fn actor(staff: &StaffId) -> Result<photo::Actor, photo::Error> {
    staff.as_str().parse().map_err(photo::Error::Failed)
}

pub(crate) fn case_number(text: &str) -> Result<photo::CaseNumber, photo::Error> {
    text.parse().map_err(photo::Error::Failed)
}
