//! The access list: who is enrolled, with which key, and how an entry comes, changes and is suspended.
//!
//! Taking away needs one officer and is at once; giving, and giving back, comes by a request of two. An entry never goes: its
//! name is not given to anybody else.

use card_applet_spec::crypto::PublicKey;
use jiff::Timestamp;
use keyvault_protocol::{About, CallerEntry, Counted, ENROLLED_KINDS, Enrolment, OPERATIONS, PointBytes};
use program_contract::unseen::is_name;
use service_contract::Caller;

use crate::audit::journal::Event;
use crate::authority::role_keys;
use crate::card::record::Card;
use crate::error::Error;
use crate::open::callers::ForWhom;
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sql::Table;
use crate::terminal::registry::Terminal;

/// Officers that a vault is founded with, and has again when custodians replace them: two sign, and neither is who asks.
pub(crate) const MIN_OFFICERS: usize = 3;
/// Most entries: the list is in memory, and looked through for each connection.
const MAX_CALLERS: usize = 1000;

impl Open {
    /// Reads the access list.
    pub(crate) async fn load_callers(&mut self, core: &mut Core) -> Result<(), Error> {
        let damaged = || Error::Damaged {
            what: "an entry of the access list",
        };
        for row in self.rows(core, Table::Caller).await? {
            let plain = core.open_row(&self.ring, Table::Caller, &row)?;
            let entry: CallerEntry = minicbor::decode(&plain).map_err(|_| damaged())?;
            if entry.enrolment.name.as_bytes() != row.id {
                return Err(damaged());
            }
            self.callers.insert(entry.enrolment.name.clone(), entry);
        }
        Ok(())
    }

    /// The entry with this key, suspended or not.
    pub(crate) fn caller(&self, key: &PointBytes) -> Option<&CallerEntry> {
        self.callers.values().find(|entry| entry.enrolment.key == *key)
    }

    /// The entry of this name and kind, if it is not suspended.
    pub(crate) fn serving(&self, name: &str, kind: Caller) -> Option<&CallerEntry> {
        let entry = self.callers.get(name)?;
        (entry.enrolment.kind == kind && entry.suspended.is_none()).then_some(entry)
    }
}

/// Refuses what is about a region that the caller is not enrolled for.
pub(crate) async fn within_regions(
    core: &mut Core,
    open: &Open,
    entry: &CallerEntry,
    about: &About,
) -> Result<(), Error> {
    let allowed = &entry.enrolment.regions;
    if allowed.is_empty() {
        return Ok(());
    }
    let mut regions = about.regions.clone();
    if let Some(serial) = &about.card
        && let Some(card) = open.get::<Card>(core, Table::Card, serial.as_bytes()).await?
    {
        regions.extend(card.slots.iter().map(|slot| slot.region));
    }
    if let Some(name) = &about.terminal
        && let Some(terminal) = open
            .get::<Terminal>(core, Table::Terminal, name.as_bytes())
            .await?
    {
        regions.extend(terminal.regions);
    }
    match regions.into_iter().find(|region| !allowed.contains(region)) {
        Some(region) => Err(Error::WrongRegion {
            region: region.to_string(),
        }),
        None => Ok(()),
    }
}

/// The access list, by name.
pub(crate) fn list(open: &Open) -> Vec<CallerEntry> {
    open.callers.values().cloned().collect()
}

/// Suspends a caller: nothing that they ask for is done any more, and no signature of theirs counts. The same again changes
/// nothing.
pub(crate) async fn suspend(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    name: &str,
) -> Result<(), Error> {
    let mut entry = known(open, name)?;
    if entry.suspended.is_some() {
        return Ok(());
    }
    entry.suspended = Some(now);
    let mut transaction = Transaction::default();
    transaction.callers.insert(name.to_owned(), entry);
    transaction.note(Event::CallerSuspended {
        name: name.to_owned(),
    });
    open.apply(core, now, transaction).await
}

/// Puts new entries onto the list.
pub(crate) fn enrol(
    core: &Core,
    open: &Open,
    now: Timestamp,
    enrolments: &[Enrolment],
    transaction: &mut Transaction,
) -> Result<(), Error> {
    for enrolment in enrolments {
        check(core, open, enrolment)?;
        is_new_key(core, open, &enrolment.key, transaction)?;
        let name = &enrolment.name;
        if open.callers.contains_key(name) || transaction.callers.contains_key(name) {
            return Err(Error::NameTaken);
        }
        transaction.note(Event::CallerEnrolled {
            name: name.clone(),
            kind: enrolment.kind.as_str().to_owned(),
            key: enrolment.key.to_vec(),
        });
        let entry = CallerEntry {
            enrolment: enrolment.clone(),
            enrolled: now,
            suspended: None,
        };
        transaction.callers.insert(name.clone(), entry);
    }
    Ok(())
}

/// Gives a suspended caller back what was taken. One who is not suspended stays as they are.
pub(crate) fn restore(open: &Open, name: &str, transaction: &mut Transaction) -> Result<(), Error> {
    let mut entry = known(open, name)?;
    if entry.suspended.take().is_some() {
        transaction.callers.insert(name.to_owned(), entry);
        transaction.note(Event::CallerRestored {
            name: name.to_owned(),
        });
    }
    Ok(())
}

/// Puts another key in the place of a caller's.
pub(crate) fn replace_key(
    core: &Core,
    open: &Open,
    name: &str,
    key: &PointBytes,
    transaction: &mut Transaction,
) -> Result<(), Error> {
    let mut entry = known(open, name)?;
    is_new_key(core, open, key, transaction)?;
    entry.enrolment.key = *key;
    transaction.callers.insert(name.to_owned(), entry);
    transaction.note(Event::CallerKeyReplaced {
        name: name.to_owned(),
        key: key.to_vec(),
    });
    Ok(())
}

fn known(open: &Open, name: &str) -> Result<CallerEntry, Error> {
    let entry = open.callers.get(name).cloned();
    entry.ok_or(Error::NotFound {
        what: "caller of this name",
    })
}

/// Refuses a key that is a caller's or a custodian's already: one key is one name in the journal.
fn is_new_key(core: &Core, open: &Open, key: &PointBytes, transaction: &Transaction) -> Result<(), Error> {
    PublicKey::from_point65(key).map_err(|_| Error::BadContent {
        what: "a caller's key is a point of P-256, uncompressed",
    })?;
    let is_custodians = core.shares.iter().any(|share| share.key == Some(*key));
    let enrolled = open.callers.values().chain(transaction.callers.values());
    if is_custodians || enrolled.into_iter().any(|entry| entry.enrolment.key == *key) {
        return Err(Error::NameTaken);
    }
    Ok(())
}

/// Whether a caller can have this name beside these custodians: in the journal a name is one person's, or the vault's.
pub(crate) fn is_free_name<'a>(name: &str, mut custodians: impl Iterator<Item = &'a str>) -> bool {
    is_name(name, 64) && name != ForWhom::ITSELF && custodians.all(|custodian| custodian != name)
}

/// Whether an entry of this content may be on the list.
fn check(core: &Core, open: &Open, enrolment: &Enrolment) -> Result<(), Error> {
    let bad = |what| Err(Error::BadContent { what });
    let Enrolment {
        name,
        kind,
        key: _,
        regions,
        operations,
        ceilings,
    } = enrolment;
    if !is_name(name, 64) {
        return bad(
            "a caller's name has 1 to 64 bytes of text, all of it seen, without commas and quotation marks",
        );
    }
    if !is_free_name(name, core.shares.iter().map(|share| share.custodian.as_str())) {
        return Err(Error::NameTaken);
    }
    if !ENROLLED_KINDS.contains(kind) {
        return bad("a caller is an issuer, the photo store, the settlement, a key officer or an auditor");
    }
    for region in regions {
        role_keys::division(*region)?;
    }
    let of_kind = || {
        OPERATIONS
            .iter()
            .filter(|listed| listed.policy.who.contains(kind))
    };
    let is_of_kind = |number: &u32| of_kind().any(|listed| listed.number == *number);
    if !operations.iter().all(is_of_kind) {
        return bad("an operation is none that callers of this kind may ask for");
    }
    let is_counted = |name: &str| {
        let counted = Counted::ALL.iter().find(|counted| counted.name() == name);
        counted.is_some_and(|counted| of_kind().any(|listed| counted.is_counted_by(&listed.policy)))
    };
    if !ceilings.iter().all(|lowered| is_counted(&lowered.counted)) {
        return bad("a ceiling is for something that is not counted for callers of this kind");
    }
    if open.callers.len() >= MAX_CALLERS {
        return Err(Error::LimitExceeded {
            what: "the number of callers",
            limit: 1000,
        });
    }
    Ok(())
}
