//! The office's own look at a card: verification before hand-over, and `inspect` (chapters 05 and 07).
//!
//! The issuer compares [`CardOnCounter`] with the order that it froze; nothing here knows an order. Reading what is not
//! there ends a session, by the card's rule; so absent roles are looked at last, each from a fresh session.

use card_applet_spec::codes::{Domain, Region, Rights, Role, Serial};
use card_applet_spec::date::Date;
use card_applet_spec::door_s::SlotObject;
use card_applet_spec::record::{Entitlement, RecordHeader};
use card_applet_spec::script::Status;
use rand_core::CryptoRng;

use crate::bundle::Bundle;
use crate::card::Card;
use crate::door_s::Secure;
use crate::enrol::TerminalKey;
use crate::error::{Check, Error};
use crate::genuine::{Admission, Chip, DataGroups, Genuine};
use crate::transport::Transport;

/// Whose key a record is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// The key that this card proved or that the vault certified for it.
    ThisCard,
    /// The key of that domain was not given: nobody can say.
    NotChecked,
    /// Another key: the record was moved here.
    AnotherCard,
}

/// A record as it stands on a card in front of the office.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordOnCounter {
    /// The role whose slot it stands in.
    pub role: Role,
    /// Key version of the slot.
    pub kv: u8,
    /// Header of the record: role, key version, issue counter, last day.
    pub header: RecordHeader,
    /// What it says and whose keys opened it, where the bundle holds a key. Its rules (days, zones, deny list) are not
    /// applied: a card may be verified before its first day.
    pub opened: Option<OpenedOnCounter>,
}

/// The content of a record that opened, its signature checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedOnCounter {
    /// Issue counter.
    pub issue_counter: u32,
    /// What it says.
    pub admission: Admission,
    /// Whose key it is bound to.
    pub binding: Binding,
}

/// All that the office sees of one card. The groups are genuine; state, script and serial come through the channel of the
/// same genuine card. Debug prints neither the serial nor any group.
pub struct CardOnCounter {
    /// The card's serial.
    pub serial: Serial,
    /// State, script, failure counter, date floor, epoch.
    pub status: Status,
    /// The card, with the days of its certificate.
    pub chip: Genuine<Chip>,
    /// DG1 to DG3, covered by the signature object that is bound to this card's key.
    pub groups: Genuine<DataGroups>,
    /// The roles' newest records, in the order of the roles.
    pub records: Vec<RecordOnCounter>,
    /// Roles of which the card says that it holds nothing. (Absence carries no MAC: it is a hint, not a proof.)
    pub absent: Vec<Role>,
}

impl std::fmt::Debug for CardOnCounter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CardOnCounter")
            .field("state", &self.status.state)
            .field("records", &self.records)
            .field("absent", &self.absent)
            .finish_non_exhaustive()
    }
}

/// What was being read when the office's look at a card failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {source}")]
pub struct CounterError {
    /// The part of the card.
    pub what: &'static str,
    /// Why.
    pub source: Error,
}

impl CounterError {
    fn at(what: &'static str) -> impl FnOnce(Error) -> Self {
        move |source| Self { what, source }
    }
}

/// Everything that a counter's certificate may ask for.
#[must_use]
pub fn counter_rights() -> Rights {
    Role::ALL.iter().fold(
        Rights::VERIFY
            .union(Rights::ISSUER)
            .union(Rights::IDENTITY)
            .union(Rights::PORTRAIT)
            .union(Rights::PERMIT),
        |rights, role| rights.union(Rights::role(*role)),
    )
}

/// A session from a cold card.
fn open<T: Transport>(
    transport: T,
    bundle: &Bundle,
    key: &TerminalKey,
    rights: Rights,
    today: Date,
    rng: &mut impl CryptoRng,
) -> Result<Card<T, Secure>, Error> {
    Card::new(transport)
        .reset()?
        .select()?
        .present(bundle, today)?
        .agree(rights, key, today, rng)
}

/// Reads everything that the office checks, from a new connection: serial, status, groups, records. `expected` are the
/// roles that the order holds (read first, in one session). `certified` are the card's public keys of other domains, as
/// the vault certified them, so that records of `CLINIC` and `SOCIAL_INSURANCE` can be checked for their binding.
///
/// # Errors
///
/// [`CounterError`]: the part that failed and why; an expected record that is not there is `absent`, not an error.
pub fn look<T: Transport>(
    transport: &mut T,
    bundle: &Bundle,
    key: &TerminalKey,
    expected: &[Role],
    certified: &[(Domain, [u8; 64])],
    today: Date,
    rng: &mut impl CryptoRng,
) -> Result<CardOnCounter, CounterError> {
    let rights = counter_rights();
    let card =
        open(&mut *transport, bundle, key, rights, today, rng).map_err(CounterError::at("key agreement"))?;
    let chip = card.chip();
    let (card, serial) = card.serial().map_err(CounterError::at("serial"))?;
    let (card, status) = card.status().map_err(CounterError::at("status"))?;
    let (card, groups) = card
        .read_groups(Rights::IDENTITY.union(Rights::PORTRAIT).union(Rights::PERMIT))
        .map_err(CounterError::at("data groups"))?;

    let person = *card.card_key();
    let (first, last): (Vec<Role>, Vec<Role>) = Role::ALL.iter().partition(|role| expected.contains(role));
    let mut pending = first.into_iter().chain(last).peekable();
    let mut records = Vec::new();
    let mut absent = Vec::new();
    let mut take = |role: Role, slot: Option<&SlotObject>| -> Result<(), CounterError> {
        match slot {
            None => absent.push(role),
            Some(slot) => {
                let record =
                    record(role, slot, bundle, &person, certified, today).map_err(|check| CounterError {
                        what: role.as_str(),
                        source: check.into(),
                    })?;
                records.push(record);
            }
        }
        Ok(())
    };
    slots_until_absent(card, &mut pending, &mut take)?;
    while pending.peek().is_some() {
        let card = open(&mut *transport, bundle, key, rights, today, rng)
            .map_err(CounterError::at("key agreement"))?;
        // The card may have been swapped between two sessions: it must be the same one.
        if *card.card_key() != person {
            return Err(CounterError {
                what: "same card",
                source: Check::KeyProof.into(),
            });
        }
        slots_until_absent(card, &mut pending, &mut take)?;
    }
    records.sort_by_key(|record| record.role);
    absent.sort_unstable();
    Ok(CardOnCounter {
        serial,
        status,
        chip,
        groups,
        records,
        absent,
    })
}

/// Takes the newest slots of pending roles in one session, up to and including the first that is absent: the card ends
/// the session there.
fn slots_until_absent<T: Transport>(
    mut card: Card<T, Secure>,
    pending: &mut impl Iterator<Item = Role>,
    take: &mut impl FnMut(Role, Option<&SlotObject>) -> Result<(), CounterError>,
) -> Result<(), CounterError> {
    for role in pending {
        match card.newest_slot(role) {
            Ok((next, slot)) => {
                take(role, Some(&slot))?;
                card = next;
            }
            Err(Error::Refused(refusal)) if refusal.check == Check::Keys => return take(role, None),
            Err(source) => {
                return Err(CounterError {
                    what: role.as_str(),
                    source,
                });
            }
        }
    }
    Ok(())
}

fn record(
    role: Role,
    slot: &SlotObject,
    bundle: &Bundle,
    person: &[u8; 64],
    certified: &[(Domain, [u8; 64])],
    today: Date,
) -> Result<RecordOnCounter, Check> {
    let header = RecordHeader::parse(&slot.record).map_err(|_| Check::RecordHeader)?;
    let opened = match bundle.open_record(role, slot.kv, &slot.pid, &slot.record, today) {
        Ok(opened) => Some(opened_on_counter(
            &opened.entitlement,
            opened.region,
            slot,
            person,
            certified,
        )),
        // The bundle holds no key of this version: the header is all there is to see.
        Err(Check::Keys) => None,
        Err(check) => return Err(check),
    };
    Ok(RecordOnCounter {
        role,
        kv: slot.kv,
        header,
        opened,
    })
}

fn opened_on_counter(
    entitlement: &Entitlement,
    region: Region,
    slot: &SlotObject,
    person: &[u8; 64],
    certified: &[(Domain, [u8; 64])],
) -> OpenedOnCounter {
    let domain = entitlement.role.domain();
    let bound_to = if domain == Domain::Person {
        Some(person)
    } else {
        certified
            .iter()
            .find(|(of, _)| *of == domain)
            .map(|(_, public64)| public64)
    };
    let binding = match bound_to {
        None => Binding::NotChecked,
        Some(public64) if entitlement.is_bound_to(public64, &slot.pid) => Binding::ThisCard,
        Some(_) => Binding::AnotherCard,
    };
    OpenedOnCounter {
        issue_counter: entitlement.issue_counter,
        admission: Admission::new(entitlement, region),
        binding,
    }
}

/// One slot of a card as `inspect` shows it: structure and state, no content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedSlot {
    /// The role.
    pub role: Role,
    /// Header of its newest record, `None` when the card says that there is none.
    pub header: Option<RecordHeader>,
}

/// What `inspect` sees: structure and states only.
#[derive(Debug)]
#[non_exhaustive]
pub struct Structure {
    /// The card, with the days of its certificate.
    pub chip: Genuine<Chip>,
    /// Status, with the right VERIFY or ISSUER.
    pub status: Option<Status>,
    /// The slots of the roles that the terminal may read, in the order of the roles.
    pub slots: Vec<ObservedSlot>,
}

/// The part of a certificate's rights with which structure and state can be read, and no data group: everything of the
/// office with VERIFY, else one role that has a key of its own on the card, else ISSUER.
fn structure_rights(given: Rights) -> Option<Rights> {
    let office = given.intersection(Rights::VERIFY.union(Rights::ISSUER));
    if given.contains(Rights::VERIFY) {
        let all = Role::ALL
            .iter()
            .fold(office, |rights, role| rights.union(Rights::role(*role)));
        return Some(all.intersection(given));
    }
    [
        Rights::role(Role::Clinic),
        Rights::role(Role::SocialInsurance),
        Rights::ISSUER,
    ]
    .into_iter()
    .find(|right| given.contains(*right))
}

/// Looks at a card's structure with whatever rights the terminal's certificates give, and at no content: no data group
/// is read, and no record is opened.
///
/// # Errors
///
/// As the doors: [`Error::Refused`], [`Error::CardRefused`], [`Error::Transport`].
pub fn inspect<T: Transport>(
    transport: &mut T,
    bundle: &Bundle,
    key: &TerminalKey,
    today: Date,
    rng: &mut impl CryptoRng,
) -> Result<Structure, Error> {
    let given = bundle.chain().ok_or(Check::BundleRole)?.rights();
    let rights = structure_rights(given).ok_or(Check::BundleRole)?;
    let roles: Vec<Role> = Role::ALL
        .iter()
        .copied()
        .filter(|role| rights.contains(Rights::role(*role)))
        .collect();

    let mut card = open(&mut *transport, bundle, key, rights, today, rng)?;
    let chip = card.chip();
    let first = *card.card_key();
    let mut status = None;
    if rights.intersects(Rights::VERIFY.union(Rights::ISSUER)) {
        let (next, seen) = card.status()?;
        card = next;
        status = Some(seen);
    }
    let mut slots = Vec::new();
    let mut take = |role: Role, slot: Option<&SlotObject>| -> Result<(), CounterError> {
        let header = slot
            .map(|slot| RecordHeader::parse(&slot.record))
            .transpose()
            .map_err(|_| CounterError {
                what: role.as_str(),
                source: Check::RecordHeader.into(),
            })?;
        slots.push(ObservedSlot { role, header });
        Ok(())
    };
    let mut pending = roles.into_iter().peekable();
    slots_until_absent(card, &mut pending, &mut take).map_err(|error| error.source)?;
    while pending.peek().is_some() {
        let card = open(&mut *transport, bundle, key, rights, today, rng)?;
        if *card.card_key() != first {
            return Err(Check::KeyProof.into());
        }
        slots_until_absent(card, &mut pending, &mut take).map_err(|error| error.source)?;
    }
    Ok(Structure { chip, status, slots })
}
