//! See what a card's purse holds, at the counter: a TAP with a shop's keys, for no purchase. Card specification, chapter 06.
//!
//! Door S does not show the purse, so the counter has a second name in the vault, that of a shop without a registration
//! to be paid. Its bundle serves one day and is not kept. Left out: what was bought, which no card tells.

use std::sync::Arc;

use card_applet_spec::codes::Role;
use card_reader::{Bundle, Card, Stopwatch, Terminal};
use issuer_office::card_content::card_date;
use keyvault_protocol::BundleRequest;
use permit_domain::{PermitId, Purse};

use crate::error::ProductionError;
use crate::production::Production;
use crate::station::{Observed, Station};

/// Nobody measures how long the card takes here: it lies on the clerk's desk.
struct NoWatch;

impl Stopwatch for NoWatch {
    fn nanoseconds(&self) -> u64 {
        0
    }
}

impl Production {
    /// Reads the purse of the permit's card on the station and keeps what it spent in all. Refused for a card that shows
    /// more than the ledger gave it.
    ///
    /// # Errors
    /// [`ProductionError::CardSwapped`]; [`permit_domain::Error::PurseFigures`]; the reader's, the vault's, the ledger's.
    pub async fn see_purse(&self, permit: PermitId, station: &mut Station) -> Result<Purse, ProductionError> {
        let card = self.office.card_in_use(permit).await?;
        let content = self.office.content_of(&card).await?;
        match station.look(&self.counter(&content).await?).await? {
            Observed::Written(serial, _) if serial == card.serial => {}
            _ => {
                return Err(ProductionError::CardSwapped {
                    expected: card.serial,
                });
            }
        }
        let mut rng = self.office.random().session();
        let key = Arc::clone(&self.purse);
        let today = self.clock().today();
        let mut vault = self.vault().await?;
        let sealed = vault
            .export_bundle(&BundleRequest {
                terminal: key.name().as_str().to_owned(),
                zones: None,
                from: today,
                to: today,
            })
            .await?;
        let day = card_date(today)?;
        let bundle = Bundle::open(&sealed, &key, None, day)?;
        let (loaded, spent) = station
            .visit(move |transport| {
                let card = Card::new(transport).reset()?.select()?;
                let card = Terminal::new(bundle).open(card, Role::SmallPayment, day, &NoWatch, &mut rng)?;
                Ok::<_, card_reader::Error>(card.purse())
            })
            .await??;
        let shown = Purse { loaded, spent };
        Ok(self.office.take_over_purse(&card.number, shown).await?)
    }
}
