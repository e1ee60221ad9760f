//! Draw and print: both faces as PNG files, written whole, with their digests in the ledger. A print that failed leaves the card encoded;
//! the next run prints the same card. And the same faces for whoever looks before or after.

use std::path::{Path, PathBuf};

use issuer_artwork::BackFace;
use issuer_artwork::qr::Statement;
use issuer_office::card_content::CardContent;
use issuer_office::photo::read_photo;
use permit_domain::{Digest, Maker, Order, OrderId, StaffId};
use program_contract::file;
use serde::{Deserialize, Serialize};

use crate::error::ProductionError;
use crate::production::Production;

/// Largest file of a face, bytes.
const MAX_FACE: u64 = 8 << 20;

/// What the ledger keeps of drawn faces: SHA-256 of each PNG file, in hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaceDigests {
    /// Of the front.
    pub front: String,
    /// Of the back.
    pub back: String,
}

/// The faces of an order's card, as they are printed: PNG.
#[derive(Debug)]
pub struct Faces {
    /// The front.
    pub front: Vec<u8>,
    /// The back; `None` before the card has a number.
    pub back: Option<Vec<u8>>,
    /// Whether they are what the ledger says was drawn; `None` before anything was.
    pub as_drawn: Option<bool>,
}

impl Faces {
    /// SHA-256 of the front, in hex.
    #[must_use]
    pub fn front_digest(&self) -> String {
        Digest::of(&self.front).to_string()
    }

    /// SHA-256 of the back, in hex.
    #[must_use]
    pub fn back_digest(&self) -> Option<String> {
        self.back.as_ref().map(|png| Digest::of(png).to_string())
    }
}

impl Production {
    /// Draws the faces from the frozen content and writes them to the order's folder.
    pub(crate) async fn draw(&self, order: Order, by: &Maker) -> Result<Order, ProductionError> {
        let front = self.front(&order, by.name()).await?;
        let back = self.back(&order).await?.ok_or(ProductionError::NoOrder)?;
        let digests = FaceDigests {
            front: Digest::of(&front).to_string(),
            back: Digest::of(&back).to_string(),
        };
        let folder = self.faces_of(order.id());
        tokio::task::spawn_blocking(move || {
            let failed = |path: &Path| {
                let path = path.to_owned();
                move |source| ProductionError::Print { path, source }
            };
            std::fs::create_dir_all(&folder).map_err(failed(&folder))?;
            for (name, png) in [(FRONT, front), (BACK, back)] {
                let path = folder.join(name);
                // The front shows a person: the office's account alone may read it.
                file::replace(&path, &png, file::PRIVATE).map_err(failed(&path))?;
            }
            Ok::<_, ProductionError>(())
        })
        .await
        .map_err(|_| ProductionError::Internal)??;
        let kept = serde_json::to_string(&digests).map_err(|_| ProductionError::Internal)?;
        Ok(self.office.advance(order.drawn()?, by.in_ledger(), &kept).await?)
    }

    /// The faces of an order's card: the files that were drawn, else drawn now from the frozen content, by the same hand.
    ///
    /// # Errors
    /// Every [`ProductionError`].
    pub async fn faces(&self, id: OrderId, by: &StaffId) -> Result<Faces, ProductionError> {
        let order = self.order(id).await?;
        let steps = self.office.order_steps(id).await?;
        let kept = steps.iter().rfind(|step| step.step == "DRAWN");
        let kept: Option<FaceDigests> = kept.and_then(|step| serde_json::from_str(&step.result).ok());
        let folder = self.faces_of(id);
        let (front, back) = match (read(&folder, FRONT).await?, read(&folder, BACK).await?) {
            (Some(front), Some(back)) => (front, Some(back)),
            _ => (self.front(&order, by).await?, self.back(&order).await?),
        };
        let mut faces = Faces {
            front,
            back,
            as_drawn: None,
        };
        faces.as_drawn =
            kept.map(|kept| kept.front == faces.front_digest() && Some(kept.back) == faces.back_digest());
        Ok(faces)
    }

    /// The front, drawn now; who has the photo read for it stands in the photo store.
    async fn front(&self, order: &Order, by: &StaffId) -> Result<Vec<u8>, ProductionError> {
        let content = CardContent::from_content(order.content())?;
        let mut photos = self.office.photo_store().await?;
        let photo = content.photo();
        let print = photo_store_protocol::Profile::Print;
        let mut print = read_photo(&mut photos, photo.id()?, print, photo.case(), by).await?;
        let front = content.front(std::mem::take(&mut print.jpeg))?;
        let (artist, division) = (self.office.artist(), content.division().as_str().to_owned());
        let drawn = tokio::task::spawn_blocking(move || artist.front(&division, &front)).await;
        let png = drawn.map_err(|_| ProductionError::Internal)??.png;
        content.check_front(&png)?;
        Ok(png)
    }

    /// The back, drawn now; `None` for an order without a card. The same statement has the same signature whenever it is asked for.
    async fn back(&self, order: &Order) -> Result<Option<Vec<u8>>, ProductionError> {
        let Some(card) = order.state().card() else {
            return Ok(None);
        };
        let content = CardContent::from_content(order.content())?;
        let (division, issued_on) = (content.division().as_str().to_owned(), content.issued_on()?);
        let region = division
            .parse::<keyvault_protocol::Region>()
            .map_err(|_| ProductionError::Internal)?;
        let signature = self
            .vault()
            .await?
            .sign_card_back(card.number.as_str(), region, issued_on)
            .await?;
        let back = BackFace {
            statement: Statement {
                card_number: card.number.to_string(),
                division,
                issued_on,
                signature,
            },
            card_serial: card.serial.to_string(),
        };
        let artist = self.office.artist();
        let drawn = tokio::task::spawn_blocking(move || artist.back(&back)).await;
        Ok(Some(drawn.map_err(|_| ProductionError::Internal)??.png))
    }
}

const FRONT: &str = "front.png";
const BACK: &str = "back.png";

/// A face that was drawn; `None` where none was, or on another machine.
async fn read(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, ProductionError> {
    let path: PathBuf = folder.join(name);
    let at = path.clone();
    let read = tokio::task::spawn_blocking(move || file::read(&at, MAX_FACE)).await;
    match read.map_err(|_| ProductionError::Internal)? {
        Ok(png) => Ok(Some(png)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ProductionError::Print { path, source }),
    }
}
