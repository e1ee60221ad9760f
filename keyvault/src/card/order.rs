//! Issuers and their orders: who may have what done to how many cards until when.

use jiff::{SignedDuration, Timestamp};
use keyvault_protocol::{Counted, IssuerKey, Order, OrderSession, PointBytes, SignedOrder};
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

use card_applet_spec::crypto::PublicKey;

use crate::audit::journal::Event;
use crate::error::Error;
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sql::Table;

/// Longest life of an order.
const MAX_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How far the clocks of issuer and vault may stand apart at the beginning of an order.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// Most cards in one order.
const MAX_CARDS: u32 = 10_000;

/// Row of an enrolled issuer; its id is the name.
#[derive(Debug, Encode, Decode)]
struct Issuer {
    #[cbor(n(0), with = "minicbor::bytes")]
    key: PointBytes,
    #[n(1)]
    enrolled: i64,
}

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

/// A name for journal and rows: 1 to `max` bytes of text without control characters.
pub(crate) fn is_name(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Enrols an issuer's service key. The same again changes nothing.
pub(crate) async fn enrol(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    request: &IssuerKey,
) -> Result<(), Error> {
    if !is_name(&request.name, 64) {
        return Err(Error::BadContent {
            what: "an issuer's name has 1 to 64 bytes of text",
        });
    }
    PublicKey::from_point65(&request.key).map_err(|_| Error::BadContent {
        what: "an issuer's key is a point of P-256, uncompressed",
    })?;
    match open
        .get::<Issuer>(core, Table::Issuer, request.name.as_bytes())
        .await?
    {
        Some(known) if known.key == request.key => return Ok(()),
        Some(_) => return Err(Error::NameTaken),
        None => {}
    }
    let mut transaction = Transaction::default();
    let issuer = Issuer {
        key: request.key,
        enrolled: now.as_second(),
    };
    transaction.put(Table::Issuer, request.name.as_bytes(), &issuer)?;
    transaction.note(Event::IssuerEnrolled {
        name: request.name.clone(),
        key: request.key.to_vec(),
    });
    open.apply(core, now, transaction).await
}

/// Accepts an order, or finds that it was accepted before.
pub(crate) async fn accept(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    signed: &SignedOrder,
) -> Result<OrderSession, Error> {
    let order = verified(core, open, signed).await?;
    if order.cards == 0 || order.cards > MAX_CARDS {
        return Err(Error::LimitExceeded {
            what: "the count of cards in an order",
            limit: MAX_CARDS,
        });
    }
    if order.tasks.is_empty() || !is_name(&order.profile, 64) || !is_name(&order.station, 64) {
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

/// An order that was accepted and is valid now.
pub(crate) async fn running(
    core: &mut Core,
    open: &Open,
    now: Timestamp,
    number: &[u8; 16],
) -> Result<Order, Error> {
    let accepted = open
        .get::<AcceptedOrder>(core, Table::Order, number)
        .await?
        .ok_or(Error::NotFound {
            what: "order of this number",
        })?;
    let order = SignedOrder::from_bytes(&accepted.signed)
        .and_then(|signed| signed.claimed())
        .map_err(|_| Error::Damaged { what: "an order" })?;
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

async fn verified(core: &mut Core, open: &Open, signed: &SignedOrder) -> Result<Order, Error> {
    let claimed = signed.claimed().map_err(|_| Error::MalformedRequest)?;
    let issuer = open
        .get::<Issuer>(core, Table::Issuer, claimed.issuer.as_bytes())
        .await?
        .ok_or(Error::UnknownIssuer)?;
    signed.verify(&issuer.key).map_err(|_| Error::OrderNotSigned)
}
