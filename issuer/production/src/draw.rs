//! Draw and print: both faces as PNG files, written whole. A print that failed leaves the card encoded; the next run
//! prints the same card.

use issuer_artwork::BackFace;
use issuer_artwork::qr::Statement;
use issuer_office::card_content::CardContent;
use issuer_office::photo::read_photo;
use permit_domain::{Maker, Order};
use program_contract::file;

use crate::error::ProductionError;
use crate::production::Production;

impl Production {
    /// Draws the faces from the frozen content and writes them to the order's folder.
    pub(crate) async fn draw(&self, order: Order, by: &Maker) -> Result<Order, ProductionError> {
        let content = CardContent::from_content(order.content())?;
        let card = order.state().card().ok_or(ProductionError::NoOrder)?;
        let mut photos = self.office.photo_store().await?;
        let photo = content.photo();
        let mut print = read_photo(
            &mut photos,
            photo.id()?,
            photo_store_protocol::Profile::Print,
            photo.case(),
            by.name(),
        )
        .await?;
        let front = content.front(std::mem::take(&mut print.jpeg))?;

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
                division: division.clone(),
                issued_on,
                signature,
            },
            card_serial: card.serial.to_string(),
        };

        let artist = self.office.artist();
        let folder = self.faces_of(order.id());
        tokio::task::spawn_blocking(move || {
            let front = artist.front(&division, &front)?;
            content.check_front(&front.png)?;
            let faces = [("front.png", front), ("back.png", artist.back(&back)?)];
            let failed = |path: &std::path::Path| {
                let path = path.to_owned();
                move |source| ProductionError::Print { path, source }
            };
            std::fs::create_dir_all(&folder).map_err(failed(&folder))?;
            for (name, face) in faces {
                let path = folder.join(name);
                // The front shows a person: the office's account alone may read it.
                file::replace(&path, &face.png, file::PRIVATE).map_err(failed(&path))?;
            }
            Ok::<_, ProductionError>(())
        })
        .await
        .map_err(|_| ProductionError::Internal)??;
        Ok(self.office.advance(order.drawn()?, by.in_ledger(), "{}").await?)
    }
}
