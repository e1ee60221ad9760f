//! What a counter has beside the pages: a reader on which cards are written and handed over.

use std::pin::Pin;

use issuer_production::{Faces, HolderChecked};
use permit_domain::{ChangeId, HandOverClerk, Maker, Order, OrderId, PermitId, Producer, Purse, StaffId};
use program_contract::Failure;

/// Work at the reader, which goes on when nobody waits for it any more.
pub type AtReader = Pin<Box<dyn Future<Output = Result<Order, Failure>> + Send>>;

/// A change that is written at the reader.
pub type Written = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// What a card's purse holds, as the card shows it.
pub type PurseSeen = Pin<Box<dyn Future<Output = Result<Purse, Failure>> + Send>>;

/// The order that the card on the reader belongs to; none for a card of no order.
pub type OrderHere = Pin<Box<dyn Future<Output = Result<Option<OrderId>, Failure>> + Send>>;

/// The faces of an order's card, as they are printed.
pub type FacesHere = Pin<Box<dyn Future<Output = Result<Faces, Failure>> + Send>>;

/// The reader of this counter.
pub trait Desk: Send + Sync + 'static {
    /// Whether a worker of the installation makes every card that is ordered, without anybody's asking.
    fn makes_by_itself(&self) -> bool;

    /// Writes, draws and verifies the card of an order with what lies on the reader; `None` where a worker does.
    fn make(&self, order: OrderId, maker: Maker) -> Option<AtReader>;

    /// Writes a change onto its card, which lies on the reader.
    fn write_change(&self, change: ChangeId, producer: Producer) -> Written;

    /// Reads the purse of the permit's card, which lies on the reader.
    fn see_purse(&self, permit: PermitId) -> PurseSeen;

    /// Which order the card on the reader belongs to: presenting it opens the case.
    fn order_here(&self) -> OrderHere;

    /// The faces of an order's card: those that were drawn, or drawn now as they will be.
    fn faces(&self, order: OrderId, by: StaffId) -> FacesHere;

    /// Activates the order's card on the reader for the holder.
    fn hand_over(&self, order: OrderId, clerk: HandOverClerk, holder: HolderChecked) -> AtReader;
}
