//! Denied cards: each row keeps every pseudonym that the card shows or may show, those of updates under way included (card
//! specification, chapter 08).
//!
//! An entry leaves the lists when its key version is destroyed or its record is over.

use card_applet_spec::codes::{Region, Role, Serial};
use card_applet_spec::date::Date;
use keyvault_protocol::RoleKeyState;
use minicbor::{Decode, Encode};

use crate::card::record::Card;
use crate::error::Error;
use crate::keys::version::RoleKeyId;
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sql::Table;

/// Row of a denied card; its id is the serial.
#[derive(Debug, Encode, Decode)]
pub(crate) struct Denied {
    #[n(0)]
    pub(crate) since: i64,
    #[n(1)]
    pub(crate) entries: Vec<Entry>,
    /// Settlement found the card copied or broken.
    #[cbor(n(2), default)]
    pub(crate) copied: bool,
}

/// One pseudonym of a denied card.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Entry {
    #[n(0)]
    pub(crate) role: Role,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) prefix: [u8; 8],
    /// Region and version; none in rows of the previous format, whose version is 1.
    #[n(2)]
    pub(crate) region: Option<Region>,
    #[n(3)]
    pub(crate) key_version: Option<u8>,
    /// Last day of the record, date4.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub(crate) expires: Option<[u8; 4]>,
}

impl Entry {
    pub(crate) fn stands(&self, open: &Open, today: Date) -> bool {
        if let Some(expires) = self.expires
            && expires < today.to_bytes()
        {
            return false;
        }
        let (Some(region), Some(version)) = (self.region, self.key_version) else {
            return true;
        };
        let id = RoleKeyId {
            role: self.role,
            region,
            version,
        };
        open.roles
            .get(&id)
            .is_none_or(|row| row.state != RoleKeyState::Destroyed)
    }
}

pub(crate) fn entries_of(card: &Card) -> Vec<Entry> {
    card.shown()
        .map(|slot| {
            let mut prefix = [0u8; 8];
            prefix.copy_from_slice(&slot.pid[..8]);
            Entry {
                role: slot.role,
                prefix,
                region: Some(slot.region),
                key_version: Some(slot.key_version),
                expires: slot.expires,
            }
        })
        .collect()
}

/// Whether a card is on the lists.
pub(crate) async fn is_denied(core: &mut Core, open: &Open, serial: &Serial) -> Result<bool, Error> {
    let row = open.get::<Denied>(core, Table::Denied, serial.as_bytes()).await?;
    Ok(row.is_some())
}

/// A card's row changes: a denied card's new pseudonyms go onto the lists with it. None leaves: a copy of the card may
/// still show it.
pub(crate) async fn card_changed(
    core: &mut Core,
    open: &Open,
    transaction: &mut Transaction,
    serial: &Serial,
    card: &Card,
) -> Result<(), Error> {
    let known = match transaction.pending::<Denied>(Table::Denied, serial.as_bytes()) {
        Some(pending) => Some(pending?),
        None => open.get::<Denied>(core, Table::Denied, serial.as_bytes()).await?,
    };
    let Some(mut denied) = known else { return Ok(()) };
    let mut changed = false;
    for entry in entries_of(card) {
        let known = denied
            .entries
            .iter()
            .any(|known| known.role == entry.role && known.prefix == entry.prefix);
        if !known {
            denied.entries.push(entry);
            changed = true;
        }
    }
    if changed {
        transaction.put(Table::Denied, serial.as_bytes(), &denied)?;
    }
    Ok(())
}
