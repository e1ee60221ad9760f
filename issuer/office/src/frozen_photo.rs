//! The photo of an order, frozen: where it is, and what both renditions must hash to. The picture itself stays in the photo
//! store.

use permit_domain::Digest;
use photo_store_protocol::{PhotoId, ReceiptNumber};
use serde::{Deserialize, Serialize};

use crate::error::ContentError;

/// The photo of an order: where it is, and what both renditions must hash to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenPhoto {
    /// The photo, 32 hex digits.
    photo: String,
    /// The case under which the photo store lets it be read.
    case: String,
    /// SHA-256 of the rendition `chip`.
    pub(crate) chip: Digest,
    /// SHA-256 of the rendition `print`.
    print: Digest,
    /// SHA-256 of the receipt's number: by it an order that is repeated with another receipt is told from the same one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receipt: Option<Digest>,
}

impl FrozenPhoto {
    /// Binds a photo and its renditions.
    #[must_use]
    pub fn new(photo: PhotoId, case: &str, chip: &[u8], print: &[u8]) -> Self {
        Self {
            photo: photo.to_string(),
            case: case.to_owned(),
            chip: Digest::of(chip),
            print: Digest::of(print),
            receipt: None,
        }
    }

    /// The same photo, bound to the receipt that it was taken by.
    #[must_use]
    pub fn by(mut self, receipt: ReceiptNumber) -> Self {
        self.receipt = Some(Digest::of(receipt.compact().as_bytes()));
        self
    }

    /// Whether the order was made with this receipt. An order that kept none tells nothing apart.
    #[must_use]
    pub(crate) fn came_by(&self, receipt: ReceiptNumber) -> bool {
        self.receipt
            .is_none_or(|kept| kept == Digest::of(receipt.compact().as_bytes()))
    }

    /// The photo.
    ///
    /// # Errors
    /// [`ContentError::Unreadable`].
    pub fn id(&self) -> Result<PhotoId, ContentError> {
        self.photo.parse().map_err(|_| ContentError::Unreadable)
    }

    /// The case.
    #[must_use]
    pub fn case(&self) -> &str {
        &self.case
    }

    /// Whether this is the rendition for the face that was frozen.
    ///
    /// # Errors
    /// [`ContentError::OtherPhoto`].
    pub(crate) fn check_print(&self, picture: &[u8]) -> Result<(), ContentError> {
        if Digest::of(picture) == self.print {
            Ok(())
        } else {
            Err(ContentError::OtherPhoto)
        }
    }

    pub(crate) fn check_chip(&self, picture: &[u8]) -> Result<(), ContentError> {
        if Digest::of(picture) == self.chip {
            Ok(())
        } else {
            Err(ContentError::OtherPhoto)
        }
    }
}
