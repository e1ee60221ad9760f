//! Terminals: which are enrolled for what, what the last bundle of each lets it do until when, and which are revoked.
//!
//! A revoked terminal gets nothing new. What it has, it has: the rows say until which day its bundle, its leaf
//! certificate and its update batch serve.

use card_applet_spec::codes::Region;
use card_applet_spec::crypto::PublicKey;
use card_applet_spec::date::Date;
use jiff::{Timestamp, civil};
use keyvault_protocol::{BundleKind, MAX_BUNDLE_REGIONS, PointBytes, TerminalEnrolment, TerminalInfo};
use minicbor::{Decode, Encode};
use program_contract::unseen::{is_name, is_text};

use crate::audit::journal::Event;
use crate::authority::role_keys;
use crate::clock;
use crate::error::Error;
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sql::Table;

/// First number of terminals; the ones below are the authority's own.
const FIRST_TERMINAL: u32 = 0x0001_0000;
/// Longest enrolment, in days: the life of a device, after which somebody looks at it.
const MAX_ENROLMENT_DAYS: u32 = 5 * 366;

/// Names of before may have had what a name has no longer.
const BAD_NAME: &str =
    "a terminal's name has 1 to 64 bytes of text, all of it seen, without commas and quotation marks";

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
    /// Of its enrolment, as the keys are; of its newest bundle in rows of format 4 and before, and absent in the oldest of them.
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
    /// Zones of its enrolment; 0, zones are not checked, in rows of format 4 and before.
    #[cbor(n(11), default)]
    pub(crate) zones: u64,
    /// Last day of its enrolment, date4; none in rows of format 4 and before.
    #[cbor(n(12), with = "minicbor::bytes")]
    pub(crate) enrolled_until: Option<[u8; 4]>,
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
            zones: 0,
            enrolled_until: None,
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

    /// Refuses a revoked one, and one whose enrolment ends before `to`.
    pub(crate) fn serves_until(&self, to: Date) -> Result<(), Error> {
        if self.revoked.is_some() {
            return Err(Error::TerminalRevoked);
        }
        match self.enrolled_until {
            Some(until) if until < to.to_bytes() => Err(Error::EnrolmentEnded {
                until: clock::civil_day(until)?,
            }),
            _ => Ok(()),
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
            enrolled_until: day(self.enrolled_until)?,
        })
    }
}

/// The later of two days.
pub(crate) fn later(known: Option<[u8; 4]>, day: Date) -> Option<[u8; 4]> {
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

/// Enrols a terminal: what bundles it may have until when. One that is enrolled with the same keys gets the new terms; other keys
/// take the place of its own only where the request says so. A key is one terminal's for good: whose name was revoked does not
/// come back with it under another.
pub(crate) async fn enrol(
    core: &mut Core,
    open: &Open,
    now: Timestamp,
    enrolment: &TerminalEnrolment,
    transaction: &mut Transaction,
) -> Result<(), Error> {
    let regions = check(enrolment)?;
    let today = clock::card_day(clock::day(now))?;
    let until = clock::card_day(enrolment.until)?;
    if until < today || until.day_number() > today.day_number() + MAX_ENROLMENT_DAYS {
        return Err(Error::BadContent {
            what: "a terminal is enrolled until a day from today on, at most five years ahead",
        });
    }
    let keys = [enrolment.sealing_key, enrolment.authentication_key];
    let all = all(core, open).await?;
    let is_others = |(name, terminal): &(String, Terminal)| {
        let known = [terminal.sealing_key, terminal.authentication_key];
        *name != enrolment.terminal && known.into_iter().flatten().any(|known| keys.contains(&known))
    };
    if all.iter().any(is_others) {
        return Err(Error::TerminalKeys);
    }
    let count = u32::try_from(all.len()).ok();
    let known = all.into_iter().find(|(name, _)| *name == enrolment.terminal);
    let mut terminal = if let Some((_, known)) = known {
        let has_others = [known.sealing_key, known.authentication_key]
            .into_iter()
            .zip(keys)
            .any(|(known, key)| known.is_some_and(|known| known != key));
        if known.revoked.is_some() {
            return Err(Error::TerminalRevoked);
        }
        if known.kind != enrolment.kind.as_str() || (has_others && !enrolment.replaces) {
            return Err(Error::NameTaken);
        }
        known
    } else {
        if !is_name(&enrolment.terminal, 64) {
            return Err(Error::BadContent { what: BAD_NAME });
        }
        let number = count.and_then(|count| FIRST_TERMINAL.checked_add(count));
        let number = number.ok_or(Error::LimitExceeded {
            what: "the number of terminals",
            limit: u32::MAX,
        })?;
        Terminal::new(number, enrolment.kind.as_str())
    };
    terminal.regions = regions;
    terminal.zones = enrolment.zones;
    terminal.enrolled_until = Some(until.to_bytes());
    [terminal.sealing_key, terminal.authentication_key] = keys.map(Some);
    transaction.put(Table::Terminal, enrolment.terminal.as_bytes(), &terminal)?;
    transaction.note(Event::TerminalEnrolled {
        terminal: enrolment.terminal.clone(),
        kind: enrolment.kind.as_str().to_owned(),
        until: until.to_string(),
        key: enrolment.sealing_key.to_vec(),
    });
    Ok(())
}

/// Whether a terminal may be enrolled so; gives its regions, each once.
fn check(enrolment: &TerminalEnrolment) -> Result<Vec<Region>, Error> {
    let bad = |what| Error::BadContent { what };
    if !is_text(&enrolment.terminal, 64) {
        return Err(bad(BAD_NAME));
    }
    if enrolment.regions.is_empty() || enrolment.regions.len() > MAX_BUNDLE_REGIONS {
        return Err(Error::LimitExceeded {
            what: "the number of regions (at least 1)",
            limit: 64,
        });
    }
    let mut regions = Vec::new();
    for &region in &enrolment.regions {
        role_keys::division(region)?;
        if !regions.contains(&region) {
            regions.push(region);
        }
    }
    for key in [&enrolment.sealing_key, &enrolment.authentication_key] {
        PublicKey::from_point65(key).map_err(|_| bad("a terminal's keys are points of P-256"))?;
    }
    Ok(regions)
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
