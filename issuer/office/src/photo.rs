//! The holder's photo for a case of the office: its receipt taken, its renditions read, its case closed. The picture stays
//! in the photo store.

use issuer_store::StoredApplication;
use permit_domain::{Actor as _, Permit, Producer};
use photo_store_protocol as photo;

use crate::connection::Stream;
use crate::error::OfficeError;
use crate::frozen_photo::FrozenPhoto;
use crate::office::Office;

impl Office {
    pub(crate) async fn take_photo(
        &self,
        case: &StoredApplication,
        permit: &Permit,
        producer: &Producer,
        receipt: photo::ReceiptNumber,
    ) -> Result<(FrozenPhoto, Vec<u8>), OfficeError> {
        let number = case.application.id().to_string();
        self.take_photo_for(&number, permit, producer, receipt).await
    }

    /// Takes a photo for the case of this number and freezes it; with its rendition for the face.
    pub(crate) async fn take_photo_for(
        &self,
        number: &str,
        permit: &Permit,
        producer: &Producer,
        receipt: photo::ReceiptNumber,
    ) -> Result<(FrozenPhoto, Vec<u8>), OfficeError> {
        let mut photos = self.photo_store().await?;
        let take = || -> Result<photo::TakeReceipt, photo::Error> {
            Ok(photo::TakeReceipt {
                number: receipt,
                case: case_number(number)?,
                person: photo::PersonId::from_bytes(*permit.grant().person.as_bytes()),
                by: photo_actor(producer)?,
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
        let mut chip = read_photo(&mut photos, taken.photo, photo::Profile::Chip, number, producer).await?;
        let mut print = read_photo(&mut photos, taken.photo, photo::Profile::Print, number, producer).await?;
        let frozen = FrozenPhoto::new(taken.photo, number, &chip.jpeg, &print.jpeg).by(receipt);
        chip.jpeg.clear();
        Ok((frozen, std::mem::take(&mut print.jpeg)))
    }

    /// A connection to the photo store.
    ///
    /// # Errors
    /// The photo store is away, or speaks another version.
    pub async fn photo_store(&self) -> Result<photo::Client<Stream>, photo::Error> {
        let stream = self.photos.connect().await.map_err(photo::Error::Broken)?;
        photo::Client::connect(stream).await
    }

    /// Nobody reads the photo for this case any more.
    ///
    /// # Errors
    /// The photo store's.
    pub async fn close_photo_case(&self, case: &str, producer: &Producer) -> Result<(), photo::Error> {
        let mut photos = self.photo_store().await?;
        photos
            .close_case(case_number(case)?, photo_actor(producer)?)
            .await
    }
}

/// Reads one rendition for a case.
pub async fn read_photo(
    photos: &mut photo::Client<Stream>,
    id: photo::PhotoId,
    profile: photo::Profile,
    case: &str,
    producer: &Producer,
) -> Result<photo::Picture, photo::Error> {
    let reader = photo_actor(producer)?;
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

fn case_number(text: &str) -> Result<photo::CaseNumber, photo::Error> {
    text.parse().map_err(photo::Error::Failed)
}

fn photo_actor(producer: &Producer) -> Result<photo::Actor, photo::Error> {
    producer.staff().as_str().parse().map_err(photo::Error::Failed)
}
