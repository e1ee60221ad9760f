//! One read of the ledger, for a test that wants one thing to look at.

#![allow(dead_code, reason = "no test program asks everything")]

use issuer_store::{
    Card, Error, LedgerEntry, LedgerState, PublishedRules, StepRecord, Stock, Store, StoredApplication,
    StoredCardChange, TerminalReport,
};
use permit_domain::payment::{CardPseudonym, Registration};
use permit_domain::{
    ApplicationId, CardNumber, CardSerial, ChangeId, CitizenNumber, Order, OrderId, Permit, PermitId,
    PersonId, Purse,
};

macro_rules! reads {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        pub(crate) trait Reads {
            $(async fn $name(&self, $($argument: $kind),*) -> Result<$answer, Error>;)*
        }

        impl Reads for Store {
            $(async fn $name(&self, $($argument: $kind),*) -> Result<$answer, Error> {
                self.read().await?.$name($($argument),*).await
            })*
        }
    };
}

reads! {
    person(number: &CitizenNumber) -> Option<PersonId>;
    application(id: ApplicationId) -> Option<StoredApplication>;
    permit(id: PermitId) -> Option<Permit>;
    live_permit(person: PersonId) -> Option<Permit>;
    order(id: OrderId) -> Option<Order>;
    orders_of_permit(permit: PermitId) -> Vec<Order>;
    running_orders() -> Vec<Order>;
    order_steps(order: OrderId) -> Vec<StepRecord>;
    card(number: &CardNumber) -> Option<Card>;
    card_by_serial(serial: CardSerial) -> Option<Card>;
    cards_of_permit(permit: PermitId) -> Vec<Card>;
    unconfirmed_denials() -> Vec<Card>;
    stock() -> Stock;
    change(id: ChangeId) -> Option<StoredCardChange>;
    purse(card: &CardNumber) -> Purse;
    payment_terminals() -> Vec<Registration>;
    undenied() -> Vec<CardPseudonym>;
    terminal_report(tid: u32) -> Option<TerminalReport>;
    published_rule_set(id: &str) -> Option<PublishedRules>;
    ledger_after(seq: i64, limit: u32) -> Vec<LedgerEntry>;
    ledger_of(subject: &str) -> Vec<LedgerEntry>;
    verify_ledger() -> LedgerState;
}
