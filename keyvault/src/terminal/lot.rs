//! Lot files: transport keys of blanks, in a sealed box for the card maker (card specification, chapter 08).
//!
//! The intent is durable before the bytes exist, the outcome has their hash.

use card_applet_spec::codes::Serial;
use card_applet_spec::crypto::{PublicKey, sha256};
use card_applet_spec::kdf::KeySet;
use card_applet_spec::{lot, sealed_box};
use jiff::Timestamp;
use keyvault_protocol::{Counted, LotRequest, MAX_LOT_CARDS};
use program_contract::unseen::is_name;
use zeroize::Zeroizing;

use crate::audit::journal::Event;
use crate::authority::ceilings::Use;
use crate::authority::signers::Signer;
use crate::error::{Error, fault};
use crate::keys::material::KeyId;
use crate::keys::sealed_box::boxed;
use crate::open::callers::ForWhom;
use crate::open::transaction::{Core, Open, Transaction};

/// Makes the transport keys of a lot of blanks, for the card maker; the intent is in one transaction with `transaction`.
pub(crate) async fn export_lot(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    request: &LotRequest,
    mut transaction: Transaction,
) -> Result<Vec<u8>, Error> {
    if request.count == 0 || request.count > MAX_LOT_CARDS {
        return Err(Error::LimitExceeded {
            what: "the count of blanks (at least 1)",
            limit: MAX_LOT_CARDS,
        });
    }
    let last = request.first.checked_add(request.count - 1);
    let last = last.ok_or(Error::BadContent {
        what: "the numbers of a lot end at 4294967295",
    })?;
    if !is_name(&request.maker, 64) {
        return Err(Error::BadContent {
            what: "a card maker's name has 1 to 64 bytes of text, all of it seen, without commas and quotation marks",
        });
    }
    let maker = PublicKey::from_point65(&request.maker_key).map_err(|_| Error::BadContent {
        what: "a card maker's key is a point of P-256",
    })?;
    let mut number = [0u8; 6];
    number[..2].copy_from_slice(&request.issuer);
    number[2..].copy_from_slice(&request.lot);
    for (counted, by) in [(Counted::Lots, 1), (Counted::Blanks, u64::from(request.count))] {
        transaction.uses.push(Use {
            // Two officers want it: whoever submits their request.
            of: Some(ForWhom::ITSELF.to_owned()),
            counted,
            by,
        });
    }
    transaction.note(Event::LotIntent {
        lot: number,
        first: request.first,
        count: request.count,
        maker: request.maker.clone(),
    });
    let key = KeyId::LotTransport(number);
    if open.keys.holds(key) {
        open.apply(core, now, transaction).await?;
    } else {
        open.make_keys(core, now, &[key], transaction).await?;
    }

    let mut blanks: Vec<(Serial, KeySet)> = Vec::new();
    for card in request.first..=last {
        let mut serial = [0u8; 10];
        serial[..6].copy_from_slice(&number);
        serial[6..].copy_from_slice(&card.to_be_bytes());
        let serial = Serial(serial);
        blanks.push((serial, open.keys.transport_keys(&serial)?));
    }
    let mut plain = Zeroizing::new(vec![0u8; lot::encoded_len(blanks.len()) + 16]);
    let card_ca = open.keys.signer(Signer::CardCa)?;
    let used = lot::encode(request.lot, &blanks, &card_ca, &mut core.rng, &mut plain).map_err(fault)?;
    let sealed = boxed(
        sealed_box::LOT,
        &maker,
        plain,
        used,
        (&open.ring.nonce, &mut core.rng),
    )?;
    let mut transaction = Transaction::default();
    transaction.note(Event::LotOutcome {
        lot: number,
        digest: sha256(&[&sealed]),
    });
    open.apply(core, now, transaction).await?;
    Ok(sealed)
}
