//! Hand over: the chip's serial opens the case, the clerk has checked the person, then the card becomes active. The card
//! leaves production inactive, so a card stolen before this step is dead.

use card_applet_spec::codes::CardState;
use issuer_office::card_content::CardContent;
use keyvault_protocol::{CardTask, TaskKind};
use permit_domain::{Actor as _, HandOverClerk, Order, OrderState};
use sha2::{Digest as _, Sha256};

use crate::error::ProductionError;
use crate::pipe::{begin, carry};
use crate::production::Production;
use crate::station::{Observed, Station};

/// Days that the signed order of a hand-over holds: the day itself, and a night's clock difference.
const HAND_OVER_DAYS: i64 = 2;

/// The clerk's statement of who stands at the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderChecked {
    /// The holder, compared with the identity card and the photo.
    Holder,
    /// An agent with a power of attorney, compared with the agent's identity card.
    Agent,
}

impl HolderChecked {
    /// As the ledger keeps it.
    const fn name(self) -> &'static str {
        match self {
            Self::Holder => "HOLDER",
            Self::Agent => "AGENT",
        }
    }
}

impl Production {
    /// Activates the order's card.
    pub(crate) async fn activate(
        &self,
        order: Order,
        station: &mut Station,
        clerk: HandOverClerk,
        holder: HolderChecked,
    ) -> Result<Order, ProductionError> {
        // The domain's word on state and people comes first: nothing is asked of a card for an order that is not due.
        let name = clerk.staff().clone();
        let by = (HandOverClerk::ROLE, name.as_str());
        let due = order.clone().begin_hand_over(clerk)?;
        let content = CardContent::from_content(order.content())?;
        let serial = order
            .state()
            .card()
            .map(|card| card.serial)
            .ok_or(ProductionError::NoOrder)?;
        let was_handing_over = matches!(order.state(), OrderState::HandingOver { .. });

        let seen = station.look(&self.counter(&content).await?).await?;
        if seen.serial() != serial {
            return Err(ProductionError::CardSwapped { expected: serial });
        }
        let Observed::Written(_, status) = seen else {
            return Err(ProductionError::WrongContent { what: "state" });
        };
        let active = match status.state {
            CardState::Personalised => false,
            // The card became active and the ledger did not hear of it.
            CardState::Active if was_handing_over => true,
            _ => return Err(ProductionError::WrongContent { what: "state" }),
        };

        let kept = format!(r#"{{"checked":"{}"}}"#, holder.name());
        let today = self.clock().today();
        let begun = if active {
            None
        } else {
            // An order of its own: weeks may have passed since the card was written.
            let number = hand_over_number(&order, today);
            let tasks = vec![TaskKind::Activate, TaskKind::Inspect];
            let session = self.session(number, tasks, today, HAND_OVER_DAYS).await?;
            let task = CardTask::Activate { date: today };
            Some(begin(session, serial, task, station).await?)
        };
        let order = self.office.advance(due, by, &kept).await?;
        if let Some(begun) = begun {
            let result = carry(begun, station).await?;
            if result.serial.as_bytes() != serial.as_bytes() || result.state != CardState::Active {
                return Err(ProductionError::OtherResult);
            }
        }
        Ok(self.office.advance(order.handed_over(today)?, by, &kept).await?)
    }
}

/// Number of the vault's order for one day's hand-over: UUID version 8 (RFC 9562, section 5.8) of order and day.
fn hand_over_number(order: &Order, day: jiff::civil::Date) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(b"YZT-HAND-OVER-1");
    hash.update(order.id().as_bytes());
    hash.update(day.to_string().as_bytes());
    let mut number = [0; 16];
    number.copy_from_slice(&hash.finalize()[..16]);
    number[6] = (number[6] & 0x0f) | 0x80;
    number[8] = (number[8] & 0x3f) | 0x80;
    number
}
