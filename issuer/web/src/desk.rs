//! What a counter has beside the pages: a reader on which cards are written and handed over.

use std::pin::Pin;

use issuer_production::HolderChecked;
use permit_domain::{HandOverClerk, Maker, Order, OrderId};
use program_contract::Failure;

/// Work at the reader, which goes on when nobody waits for it any more.
pub type AtReader = Pin<Box<dyn Future<Output = Result<Order, Failure>> + Send>>;

/// The reader of this counter.
pub trait Desk: Send + Sync + 'static {
    /// Whether a worker of the installation makes every card that is ordered, without anybody's asking.
    fn makes_by_itself(&self) -> bool;

    /// Writes, draws and verifies the card of an order with what lies on the reader; `None` where a worker does.
    fn make(&self, order: OrderId, maker: Maker) -> Option<AtReader>;

    /// Activates the order's card on the reader for the holder.
    fn hand_over(&self, order: OrderId, clerk: HandOverClerk, holder: HolderChecked) -> AtReader;
}
