//! Encode: the vault writes the card through this program, which carries cipher text and holds no key. Card
//! specification, chapter 05.

use card_applet_spec::codes::CardState;
use issuer_office::card_content::CardContent;
use issuer_office::photo::read_photo;
use keyvault_protocol::{CardTask, TaskKind};
use permit_domain::{AllocatedCard, Maker, Order};
use serde::{Deserialize, Serialize};

use crate::error::ProductionError;
use crate::pipe::{begin, carry};
use crate::production::{ORDER_DAYS, Production};
use crate::station::{Observed, Station};

/// What the ledger keeps of an encoded card: its certified public keys, so that the records' bindings can be checked.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Encoded {
    /// Domain number and public key, `04 || X || Y` in hex.
    pub(crate) keys: Vec<(u8, String)>,
    /// Steps of the script.
    pub(crate) steps: u16,
}

impl Production {
    /// Writes the order's card up to FINALISE, or finishes what an earlier run began.
    pub(crate) async fn encode(
        &self,
        order: Order,
        station: &mut Station,
        by: &Maker,
    ) -> Result<Order, ProductionError> {
        let content = CardContent::from_content(order.content())?;
        let AllocatedCard {
            number: printed,
            serial,
        } = order.state().card().cloned().ok_or(ProductionError::NoOrder)?;
        // Everything that can fail without the card is fetched before it is touched.
        let mut photos = self.office.photo_store().await?;
        let photo = content.photo();
        let chip = read_photo(
            &mut photos,
            photo.id()?,
            photo_store_protocol::Profile::Chip,
            photo.case(),
            by.name(),
        )
        .await?;
        let task = CardTask::Personalise(Box::new(content.for_vault(&printed, &chip.jpeg)?));
        drop(chip);

        self.check_card(&content, serial, station).await?;
        let number = *order.id().as_bytes();
        let tasks = vec![TaskKind::Personalise, TaskKind::Inspect];
        let session = self.session(number, tasks, content.made_on(), ORDER_DAYS).await?;
        let begun = begin(session, serial, task, station).await?;
        let order = self
            .office
            .advance(order.begin_encoding()?, by.in_ledger(), "{}")
            .await?;
        let result = carry(begun, station).await?;
        if result.serial.as_bytes() != serial.as_bytes() || result.state != CardState::Personalised {
            return Err(ProductionError::OtherResult);
        }
        let kept = Encoded {
            keys: result
                .keys
                .iter()
                .map(|key| (key.domain.code(), hex::encode(key.public_key)))
                .collect(),
            steps: result.steps,
        };
        let kept = serde_json::to_string(&kept).map_err(|_| ProductionError::Internal)?;
        Ok(self
            .office
            .advance(order.encoded()?, by.in_ledger(), &kept)
            .await?)
    }

    /// The order's own card, blank or written in an earlier run and not handed over.
    async fn check_card(
        &self,
        content: &CardContent,
        serial: permit_domain::CardSerial,
        station: &mut Station,
    ) -> Result<(), ProductionError> {
        let seen = match station.blank().await? {
            Some(blank) => Observed::Blank(blank),
            None => station.look(&self.counter(content).await?).await?,
        };
        match seen {
            _ if seen.serial() != serial => Err(ProductionError::CardSwapped { expected: serial }),
            Observed::Written(_, status) if status.state != CardState::Personalised => {
                Err(ProductionError::NotBlank)
            }
            _ => Ok(()),
        }
    }
}
