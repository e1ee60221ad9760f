//! Issuers and their orders: who may have what done to how many cards until when.

use jiff::{SignedDuration, Timestamp};
use keyvault_protocol::{CallerEntry, Counted, Order, OrderSession, SignedOrder};
use minicbor::{Decode, Encode};
use program_contract::unseen::is_text;
use service_contract::Caller;
use sha2::{Digest, Sha256};

use crate::audit::journal::Event;
use crate::authority::asker::Asker;
use crate::error::Error;
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sql::Table;

/// Longest life of an order.
const MAX_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How far the clocks of issuer and vault may stand apart at the beginning of an order.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// Most cards in one order.
const MAX_CARDS: u32 = 10_000;

const NO_ORDER: Error = Error::NotFound {
    what: "order of this number",
};

/// Row of an accepted order; its id is the order's number.
#[derive(Debug, Encode, Decode)]
struct AcceptedOrder {
    #[cbor(n(0), with = "minicbor::bytes")]
    signed: Vec<u8>,
    #[n(1)]
    accepted: i64,
    /// How often the vault's time had been set back when it was accepted.
    #[cbor(n(2), default)]
    set_back: u32,
}

/// Accepts an order, or finds that it was accepted before.
pub(crate) async fn accept(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    caller: &Asker,
    signed: &SignedOrder,
) -> Result<OrderSession, Error> {
    let order = verified(open, caller, signed)?;
    if order.cards == 0 || order.cards > MAX_CARDS {
        return Err(Error::LimitExceeded {
            what: "the count of cards in an order",
            limit: MAX_CARDS,
        });
    }
    if order.tasks.is_empty() || !is_text(&order.profile, 64) || !is_text(&order.station, 64) {
        return Err(Error::BadContent {
            what: "an order names a profile, a station and at least one task",
        });
    }
    if order.until.duration_since(order.from) > MAX_LIFE || order.until <= order.from {
        return Err(Error::BadContent {
            what: "an order ends after it begins and lives at most 30 days",
        });
    }
    in_time(&order, now)?;
    let bytes = signed.to_bytes().map_err(|_| Error::MalformedRequest)?;
    let session = OrderSession {
        order: order.order,
        cards: order.cards,
        until: order.until,
    };
    if let Some(known) = open
        .get::<AcceptedOrder>(core, Table::Order, &order.order)
        .await?
    {
        if known.set_back != open.state.set_back {
            return Err(Error::OrderExpired);
        }
        let known =
            SignedOrder::from_bytes(&known.signed).map_err(|_| Error::Damaged { what: "an order" })?;
        // Signatures are not unique; what was ordered is.
        let same = known.order_bytes() == signed.order_bytes();
        return if same {
            Ok(session)
        } else {
            Err(Error::OrderConflict)
        };
    }
    let mut transaction = Transaction::default();
    transaction.put(
        Table::Order,
        &order.order,
        &AcceptedOrder {
            signed: bytes,
            accepted: now.as_second(),
            set_back: open.state.set_back,
        },
    )?;
    transaction.spend(Counted::Orders, 1);
    transaction.note(Event::OrderAccepted {
        order: order.order,
        issuer: order.issuer.clone(),
        digest: Sha256::digest(signed.order_bytes()).into(),
    });
    open.apply(core, now, transaction).await?;
    Ok(session)
}

/// An order that was accepted and is valid now. It is its issuer's alone: who knows another's number has no order.
pub(crate) async fn running(
    core: &mut Core,
    open: &Open,
    now: Timestamp,
    number: &[u8; 16],
) -> Result<Order, Error> {
    let accepted = open
        .get::<AcceptedOrder>(core, Table::Order, number)
        .await?
        .ok_or(NO_ORDER)?;
    let order = SignedOrder::from_bytes(&accepted.signed)
        .and_then(|signed| signed.claimed())
        .map_err(|_| Error::Damaged { what: "an order" })?;
    if order.issuer != open.asked.by {
        return Err(NO_ORDER);
    }
    if accepted.set_back != open.state.set_back {
        return Err(Error::OrderExpired);
    }
    in_time(&order, now)?;
    Ok(order)
}

fn in_time(order: &Order, now: Timestamp) -> Result<(), Error> {
    let begins = order.from.saturating_sub(SKEW).map_err(|_| Error::OrderExpired)?;
    if now < begins || now >= order.until {
        Err(Error::OrderExpired)
    } else {
        Ok(())
    }
}

/// The order, if the issuer that it names signed it, and it is this one who asks.
fn verified(open: &Open, caller: &Asker, signed: &SignedOrder) -> Result<Order, Error> {
    let claimed = signed.claimed().map_err(|_| Error::MalformedRequest)?;
    let issuer = serving(open, caller, &claimed.issuer)?;
    signed
        .verify(&issuer.enrolment.key)
        .map_err(|_| Error::OrderNotSigned)
}

/// The entry of the issuer of this name, which must be who asks.
fn serving<'a>(open: &'a Open, caller: &Asker, issuer: &str) -> Result<&'a CallerEntry, Error> {
    let entry = open.serving(issuer, Caller::Issuer).ok_or(Error::UnknownIssuer)?;
    if caller.name == issuer {
        Ok(entry)
    } else {
        Err(Error::OrderNotSigned)
    }
}
