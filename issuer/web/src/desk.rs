//! What a counter has beside the pages: a reader on which cards are written and handed over.

use std::pin::Pin;

use issuer_production::HolderChecked;
use permit_domain::{ChangeId, HandOverClerk, Maker, Order, OrderId, Producer};
use program_contract::Failure;

/// Work at the reader, which goes on when nobody waits for it any more.
pub type AtReader = Pin<Box<dyn Future<Output = Result<Order, Failure>> + Send>>;

/// A change that is written at the reader.
pub type Written = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// The reader of this counter.
pub trait Desk: Send + Sync + 'static {
    /// Whether a worker of the installation makes every card that is ordered, without anybody's asking.
    fn makes_by_itself(&self) -> bool;

    /// Writes, draws and verifies the card of an order with what lies on the reader; `None` where a worker does.
    fn make(&self, order: OrderId, maker: Maker) -> Option<AtReader>;

    /// Writes a change onto its card, which lies on the reader.
    fn write_change(&self, change: ChangeId, producer: Producer) -> Written;

    /// Activates the order's card on the reader for the holder.
    fn hand_over(&self, order: OrderId, clerk: HandOverClerk, holder: HolderChecked) -> AtReader;
}
