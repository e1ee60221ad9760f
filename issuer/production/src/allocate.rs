//! Allocate: the blank on the reader and the next card number of the province belong to the order, for good.

use issuer_office::card_content::CardContent;
use permit_domain::{Maker, Order, Province};

use crate::error::ProductionError;
use crate::production::Production;
use crate::station::Station;

impl Production {
    /// Reads the blank's serial and joins it to the order; the number is drawn in the same transaction.
    pub(crate) async fn allocate(
        &self,
        order: Order,
        station: &mut Station,
        by: &Maker,
    ) -> Result<Order, ProductionError> {
        // A damaged order stops before a number is spent.
        let content = CardContent::from_content(order.content())?;
        let serial = station.blank().await?.ok_or(ProductionError::NotBlank)?;
        let province = Province::try_from(content.division())?;
        Ok(self.office.allocate(order, province, serial, by).await?)
    }
}
