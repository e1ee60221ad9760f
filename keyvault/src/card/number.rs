//! The printed number of a card: given to one card, once, and signed for its back.
//!
//! The office draws numbers from its ledger, which can go back when a backup is restored; the vault's rows say which number
//! is a card's already. On disk a number is a keyed hash, as a purse's pseudonym is. Left out: numbers of cards that were
//! personalised before the vault was told them.

use card_applet_spec::codes::Serial;
use card_applet_spec::crypto::sha256;
use jiff::Timestamp;
use keyvault_protocol::{CardBack, Counted};

use crate::audit::journal::Event;
use crate::authority::signers::Signer;
use crate::card::record::Owner;
use crate::clock;
use crate::error::{Error, fault};
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sql::Table;

/// Whether a text is a number: what the statement of a card's back takes.
pub(crate) fn is_one(number: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    (1..=32).contains(&number.len()) && number.as_bytes().iter().all(plain)
}

/// What a number is known by. Refuses one that is another card's already.
pub(crate) async fn of_card(
    core: &mut Core,
    open: &Open,
    number: &str,
    serial: &Serial,
) -> Result<[u8; 16], Error> {
    let index = open.keys.number_index(number)?;
    match open.get::<Owner>(core, Table::Pid, &index).await? {
        Some(owner) if owner.serial != *serial => Err(Error::NumberUsed),
        _ => Ok(index),
    }
}

/// Keeps a number for a card.
pub(crate) fn keep(transaction: &mut Transaction, index: &[u8; 16], serial: &Serial) -> Result<(), Error> {
    transaction.put(Table::Pid, index, &Owner { serial: *serial })
}

/// Signs the statement of a card's back: for the finished card that has the number, and never another statement for it.
pub(crate) async fn sign_back(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    back: &CardBack,
) -> Result<[u8; 64], Error> {
    let message = back.signed_bytes().map_err(|_| Error::BadContent {
        what: "a card number has 1 to 32 ASCII letters, digits and `-`",
    })?;
    clock::check_issued(
        clock::card_day(back.issued_on)?,
        clock::card_day(clock::day(now))?,
    )?;
    let index = open.keys.number_index(&back.card_number)?;
    let no_card = Error::NotFound {
        what: "finished card of this number",
    };
    let owner = open.get::<Owner>(core, Table::Pid, &index).await?;
    let serial = owner.ok_or(no_card.clone())?.serial;
    let before = open.card(core, &serial).await.map_err(|error| match error {
        Error::NotFound { .. } => no_card.clone(),
        error => error,
    })?;
    if before.number != Some(index) {
        return Err(no_card);
    }
    let digest = sha256(&[&message]);
    let mut transaction = Transaction::default();
    match before.back {
        None => {
            let mut card = before.clone();
            card.back = Some(digest);
            // Nothing that hangs on the row changes.
            transaction.put(Table::Card, serial.as_bytes(), &card)?;
        }
        Some(known) if known == digest => {}
        Some(_) => return Err(Error::NumberUsed),
    }
    transaction.spend(Counted::Backs, 1);
    transaction.note(Event::CardBackSigned {
        card_number: back.card_number.clone(),
    });
    open.apply(core, now, transaction).await?;
    open.keys
        .signer(Signer::Document)?
        .sign(&[&message], &mut core.rng)
        .map_err(fault)
}
