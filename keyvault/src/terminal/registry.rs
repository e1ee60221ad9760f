//! Terminals: which there are, what the last bundle of each lets it do until when, and which are revoked.
//!
//! A revoked terminal gets nothing new. What it has, it has: the rows say until which day its bundle, its leaf
//! certificate and its update batch serve.

use card_applet_spec::codes::Region;
use jiff::{Timestamp, civil};
use keyvault_protocol::{BundleKind, BundleRequest, PointBytes, TerminalInfo};
use minicbor::{Decode, Encode};

use crate::audit::journal::Event;
use crate::clock;
use crate::error::Error;
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sql::Table;

/// Row of a terminal; its id is the name.
#[derive(Clone, Debug, Encode, Decode)]
pub(crate) struct Terminal {
    /// Number in its certificates, and its tid.
    #[n(0)]
    pub(crate) number: u32,
    /// Sequence of its newest bundle.
    #[n(1)]
    pub(crate) sequence: u32,
    #[n(2)]
    pub(crate) kind: String,
    /// Of its newest bundle; absent in rows of the previous format until the next one, like all that follows.
    #[cbor(n(3), default)]
    pub(crate) regions: Vec<Region>,
    #[cbor(n(4), with = "minicbor::bytes")]
    pub(crate) sealing_key: Option<PointBytes>,
    #[cbor(n(5), with = "minicbor::bytes")]
    pub(crate) authentication_key: Option<PointBytes>,
    /// Last days, date4 each, of whatever ends last.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub(crate) bundle_until: Option<[u8; 4]>,
    #[cbor(n(7), with = "minicbor::bytes")]
    pub(crate) leaf_until: Option<[u8; 4]>,
    #[cbor(n(8), with = "minicbor::bytes")]
    pub(crate) updates_until: Option<[u8; 4]>,
    /// Sequence of its newest update batch.
    #[cbor(n(9), default)]
    pub(crate) batch: u32,
    /// Day on which it was revoked, date4.
    #[cbor(n(10), with = "minicbor::bytes")]
    pub(crate) revoked: Option<[u8; 4]>,
}

impl Terminal {
    pub(crate) fn new(number: u32, kind: &str) -> Self {
        Self {
            number,
            sequence: 0,
            kind: kind.to_owned(),
            regions: Vec::new(),
            sealing_key: None,
            authentication_key: None,
            bundle_until: None,
            leaf_until: None,
            updates_until: None,
            batch: 0,
            revoked: None,
        }
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> Result<BundleKind, Error> {
        BundleKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == self.kind)
            .ok_or(Error::Damaged {
                what: "a terminal's row",
            })
    }

    /// Refuses a revoked one.
    pub(crate) fn in_service(&self) -> Result<(), Error> {
        match self.revoked {
            Some(_) => Err(Error::TerminalRevoked),
            None => Ok(()),
        }
    }

    fn info(self, name: String) -> Result<TerminalInfo, Error> {
        let day = |day: Option<[u8; 4]>| -> Result<Option<civil::Date>, Error> {
            day.map(clock::civil_day).transpose()
        };
        Ok(TerminalInfo {
            name,
            kind: self.kind()?,
            tid: self.number,
            regions: self.regions,
            sequence: self.sequence,
            revoked: day(self.revoked)?,
            bundle_until: day(self.bundle_until)?,
            leaf_until: day(self.leaf_until)?,
            updates_until: day(self.updates_until)?,
            authentication_key: self.authentication_key,
        })
    }
}

/// The later of two days.
pub(crate) fn later(known: Option<[u8; 4]>, day: card_applet_spec::date::Date) -> Option<[u8; 4]> {
    known.max(Some(day.to_bytes()))
}

/// Revokes a terminal. The same again changes nothing.
pub(crate) async fn revoke(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    name: &str,
) -> Result<(), Error> {
    let id = name.as_bytes();
    let terminal = open.get::<Terminal>(core, Table::Terminal, id).await?;
    let mut terminal = terminal.ok_or(Error::NotFound {
        what: "terminal of this name",
    })?;
    if terminal.revoked.is_some() {
        return Ok(());
    }
    terminal.revoked = Some(clock::card_day(clock::day(now))?.to_bytes());
    let mut transaction = Transaction::default();
    transaction.put(Table::Terminal, id, &terminal)?;
    transaction.note(Event::TerminalRevoked {
        terminal: name.to_owned(),
    });
    open.apply(core, now, transaction).await
}

/// All terminals, by name.
pub(crate) async fn list(core: &mut Core, open: &Open) -> Result<Vec<TerminalInfo>, Error> {
    let all = all(core, open).await?;
    all.into_iter()
        .map(|(name, terminal)| terminal.info(name))
        .collect()
}

/// How many terminals there are, before one with the keys of `request` is enrolled. A key is one terminal's for good: whose
/// name was revoked does not come back with it under another.
pub(crate) async fn enrolled(core: &mut Core, open: &Open, request: &BundleRequest) -> Result<usize, Error> {
    let all = all(core, open).await?;
    let asked = [request.sealing_key, request.authentication_key];
    let is_known = all.iter().any(|(_, terminal)| {
        [terminal.sealing_key, terminal.authentication_key]
            .into_iter()
            .flatten()
            .any(|known| asked.contains(&known))
    });
    if is_known {
        return Err(Error::TerminalKeys);
    }
    Ok(all.len())
}

async fn all(core: &mut Core, open: &Open) -> Result<Vec<(String, Terminal)>, Error> {
    let damaged = Error::Damaged {
        what: "a terminal's row",
    };
    let mut terminals = Vec::new();
    for row in open.rows(core, Table::Terminal).await? {
        let plain = core.open_row(&open.ring, Table::Terminal, &row)?;
        let terminal: Terminal = minicbor::decode(&plain).map_err(|_| damaged.clone())?;
        let name = String::from_utf8(row.id).map_err(|_| damaged.clone())?;
        terminals.push((name, terminal));
    }
    Ok(terminals)
}
