//! Versions of role keys: which one is Active, which drain, which are compromised or destroyed, and how many cards have
//! each.
//!
//! A transition is one transaction: state, journal, and with a destruction the keys themselves. The rows are in memory
//! while the vault is open and change with their transaction only, so that no cache outlives a revocation (claim K11).
//! A new version, and the end of one, come by a request of two officers; but the compromise of the Active version, which one
//! officer says, makes the next one with it (decision 0037). Left out: Proposed to Distributed, and Suspended.

use card_applet_spec::codes::{KeyState, Region, Role};
use card_applet_spec::date::Date;
use jiff::{Timestamp, civil};
use keyvault_protocol::{Counted, RoleCompromised, RoleKeyInfo, RoleKeyState};

use crate::audit::journal::Event;
use crate::authority::ceilings::Use;
use crate::clock;
use crate::error::Error;
use crate::keys::version::{RoleKeyId, RoleKeyRow, Roles};
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sql::Table;

/// Longest that a version may drain: a card that is never seen for so long comes to the counter.
const MAX_DRAIN_DAYS: u32 = 3 * 366;

/// Versions that no planned rotation takes, and nobody alone: four compromises, each of which leaves a number out.
const KEPT_VERSIONS: u8 = 8;

/// With fewer versions left than these, each rotation says so.
const FEW_VERSIONS: u8 = 24;

/// Prepares the next version, which [`Open::make_active`] makes: the one that was Active drains until `drain_until`.
///
/// A number is never used again. Behind a compromised version one is left out: a slot of the new version then takes the
/// compromised one off the card, which keeps the number before its own only (card specification, chapter 05, SLOT).
pub(crate) fn rotate(
    open: &Open,
    now: Timestamp,
    (role, region): (Role, Region),
    drain_until: civil::Date,
    transaction: &mut Transaction,
) -> Result<RoleKeyId, Error> {
    division(region)?;
    let until = clock::card_day(drain_until)?;
    let today = clock::card_day(clock::day(now))?;
    if until < today || until.day_number() > today.day_number() + MAX_DRAIN_DAYS {
        return Err(Error::BadContent {
            what: "a version drains until a day from today on, at most three years ahead",
        });
    }
    let first = id_of(role, region, 1);
    let newest = versions(&open.roles, first.role, first.region).last();
    let is_first = newest.is_none();
    let state = newest.map(|(_, row)| row.state);
    // The newest is the Active one, unless it was compromised; and then it may be destroyed by now.
    let is_planned = state.is_none_or(|state| state == RoleKeyState::Active);
    let step = if state == Some(RoleKeyState::Compromised) {
        2
    } else {
        1
    };
    // A planned rotation leaves some for the day on which the newest version is compromised.
    let kept = if is_planned { KEPT_VERSIONS } else { 0 };
    let newest = newest.map_or(RoleKeyId { version: 0, ..first }, |(id, _)| *id);
    let next = number_behind(newest, step, kept)?;
    let active = versions(&open.roles, first.role, first.region)
        .find(|(_, row)| row.state == RoleKeyState::Active)
        .map(|(id, _)| *id);
    if let Some(id) = active {
        let row = transaction.role(open, id)?;
        row.state = RoleKeyState::Draining;
        row.until = Some(until.to_bytes());
        row.since = now.as_second();
    }
    transaction.note(Event::RoleRotated {
        version: next.words(),
        until: until.to_string(),
    });
    if !is_first {
        transaction.uses.push(Use {
            // What was planned does not stop what must be.
            of: Some(if is_planned {
                format!("{} {region}", role.as_str())
            } else {
                format!("{} {region} (compromised)", role.as_str())
            }),
            counted: Counted::Rotations,
            by: 1,
        });
    }
    tell_what_is_left(next, transaction);
    Ok(next)
}

/// The version `step` numbers behind another, where `kept` numbers stay behind it.
fn number_behind(newest: RoleKeyId, step: u8, kept: u8) -> Result<RoleKeyId, Error> {
    let version = newest.version.checked_add(step);
    let version = version.filter(|version| u8::MAX - version >= kept);
    let version = version.ok_or_else(|| Error::VersionsUsedUp {
        role: newest.role.as_str(),
        region: newest.region.to_string(),
        left: u8::MAX - newest.version,
    })?;
    Ok(RoleKeyId { version, ..newest })
}

fn tell_what_is_left(next: RoleKeyId, transaction: &mut Transaction) {
    let (version, left) = (next.words(), u8::MAX - next.version);
    if left < FEW_VERSIONS {
        tracing::warn!(version, left, "few versions are left to a role key");
        transaction.note(Event::VersionsRunOut { version, left });
    }
}

/// Takes a version out of every bundle for good, and if it is Active makes the next one in the same transaction. The same again
/// changes nothing.
///
/// Nothing that the next one wants stops the compromise: where it cannot be made there is none, which the journal and the
/// answer say.
pub(crate) async fn compromise(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    role: Role,
    region: Region,
    version: u8,
) -> Result<RoleCompromised, Error> {
    let id = id_of(role, region, version);
    let is_done = match open.roles.get(&id).ok_or(NO_VERSION)?.state {
        RoleKeyState::Active => match replace(core, open, now, id).await {
            Err(
                error @ (Error::VersionsUsedUp { .. } | Error::CeilingReached { .. } | Error::TooManyKeys),
            ) => {
                tracing::warn!(%error, version = id.words(), "a compromised version has no next one");
                false
            }
            replaced => replaced.map(|()| true)?,
        },
        RoleKeyState::Draining => false,
        RoleKeyState::Compromised => true,
        state => {
            return Err(Error::RoleKeyState {
                version: id.words(),
                state: state.as_str(),
            });
        }
    };
    if !is_done {
        let transaction = compromised(open, now, id, None)?;
        open.apply(core, now, transaction).await?;
    }
    let active = versions(&open.roles, role, region).find(|(_, row)| row.state == RoleKeyState::Active);
    Ok(RoleCompromised {
        version: open.info(id)?,
        active: active.map(|(id, _)| open.info(*id)).transpose()?,
    })
}

/// The compromise of the Active version with the next one: one number is left out, as behind any compromised version.
async fn replace(core: &mut Core, open: &mut Open, now: Timestamp, id: RoleKeyId) -> Result<(), Error> {
    let next = number_behind(id, 2, KEPT_VERSIONS)?;
    let mut transaction = compromised(open, now, id, Some(next))?;
    transaction.uses.push(Use {
        // What one says alone uses up nothing of what two may.
        of: Some(format!("{} {} (by one)", id.role.as_str(), id.region)),
        counted: Counted::Rotations,
        by: 1,
    });
    tell_what_is_left(next, &mut transaction);
    open.make_active(core, now, next, transaction).await
}

fn compromised(
    open: &Open,
    now: Timestamp,
    id: RoleKeyId,
    next: Option<RoleKeyId>,
) -> Result<Transaction, Error> {
    let mut transaction = Transaction::default();
    let row = transaction.role(open, id)?;
    row.state = RoleKeyState::Compromised;
    row.until = None;
    row.since = now.as_second();
    transaction.note(Event::RoleCompromised {
        version: id.words(),
        next: next.map(RoleKeyId::words),
    });
    Ok(transaction)
}

/// Prepares the end of a version: its keys go, its number stays. The same again changes nothing. Gives the version as it will be.
pub(crate) fn retire(
    open: &Open,
    now: Timestamp,
    (role, region, version): (Role, Region, u8),
    transaction: &mut Transaction,
) -> Result<RoleKeyInfo, Error> {
    let id = id_of(role, region, version);
    let row = open.roles.get(&id).ok_or(NO_VERSION)?;
    match row.state {
        RoleKeyState::Draining | RoleKeyState::Compromised => {}
        RoleKeyState::Destroyed => return open.info(id),
        state => {
            return Err(Error::RoleKeyState {
                version: id.words(),
                state: state.as_str(),
            });
        }
    }
    if row.alone > 0 {
        return Err(Error::StillHeld { cards: row.alone });
    }
    let row = transaction.role(open, id)?;
    row.state = RoleKeyState::Destroyed;
    row.until = None;
    row.since = now.as_second();
    for key in id.masters() {
        transaction.delete(Table::Key, key.to_string().as_bytes());
    }
    transaction.note(Event::RoleDestroyed { version: id.words() });
    Ok(RoleKeyInfo {
        state: RoleKeyState::Destroyed,
        until: None,
        ..open.info(id)?
    })
}

/// Takes the keys of a version that was retired out of memory.
pub(crate) fn forget(open: &mut Open, (role, region, version): (Role, Region, u8)) {
    for key in id_of(role, region, version).masters() {
        open.forget_key(key);
    }
}

/// All versions.
pub(crate) fn list(open: &Open) -> Result<Vec<RoleKeyInfo>, Error> {
    open.roles.keys().map(|id| open.info(*id)).collect()
}

const NO_VERSION: Error = Error::NotFound {
    what: "key version of this role, region and number",
};

/// Refuses a region that no province has: a slip of the hand would found keys that no division uses.
pub(crate) fn division(region: Region) -> Result<(), Error> {
    if region.is_division() {
        return Ok(());
    }
    Err(Error::BadContent {
        what: "a region is a division of GB/T 2260: its first two digits are a province",
    })
}

fn id_of(role: Role, region: Region, version: u8) -> RoleKeyId {
    RoleKeyId {
        role,
        region,
        version,
    }
}

impl RoleKeyId {
    /// What is shown of a version that was just made.
    pub(crate) fn made(self) -> RoleKeyInfo {
        RoleKeyInfo {
            role: self.role,
            region: self.region,
            version: self.version,
            state: RoleKeyState::Active,
            until: None,
            cards: 0,
            cards_alone: 0,
        }
    }
}

/// The versions of one role and region, ascending.
pub(crate) fn versions(
    roles: &Roles,
    role: Role,
    region: Region,
) -> impl Iterator<Item = (&RoleKeyId, &RoleKeyRow)> {
    roles
        .iter()
        .filter(move |(id, _)| id.role == role && id.region == region)
}

impl Open {
    /// Reads all rows; every version that is not destroyed must have its keys.
    pub(crate) async fn load_roles(&mut self, core: &mut Core) -> Result<(), Error> {
        let damaged = || Error::Damaged {
            what: "a key version's row",
        };
        for row in self.rows(core, Table::RoleKey).await? {
            let plain = core.open_row(&self.ring, Table::RoleKey, &row)?;
            let id = RoleKeyId::from_row_id(&row.id).ok_or_else(damaged)?;
            let row: RoleKeyRow = minicbor::decode(&plain).map_err(|_| damaged())?;
            let held = id
                .masters()
                .into_iter()
                .filter(|key| self.keys.holds(*key))
                .count();
            if held
                != if row.state == RoleKeyState::Destroyed {
                    0
                } else {
                    3
                }
            {
                return Err(Error::Damaged {
                    what: "key versions and keys do not agree",
                });
            }
            self.roles.insert(id, row);
        }
        Ok(())
    }

    /// The Active version of a role and region; the first one is made on first use.
    pub(crate) async fn active(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        role: Role,
        region: Region,
    ) -> Result<RoleKeyId, Error> {
        if let Some(id) = self.active_now(role, region)? {
            return Ok(id);
        }
        let id = id_of(role, region, 1);
        self.make_active(core, now, id, Transaction::default()).await?;
        Ok(id)
    }

    /// The Active versions of these, in their order. None is made where one of them is refused.
    pub(crate) async fn all_active(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        wanted: &[(Role, Region)],
    ) -> Result<Vec<RoleKeyId>, Error> {
        for (role, region) in wanted {
            self.active_now(*role, *region)?;
        }
        let mut active = Vec::with_capacity(wanted.len());
        for (role, region) in wanted {
            active.push(self.active(core, now, *role, *region).await?);
        }
        Ok(active)
    }

    /// The Active version of a role and region; `None` where there is no version yet, and the first may be made.
    pub(crate) fn active_now(&self, role: Role, region: Region) -> Result<Option<RoleKeyId>, Error> {
        division(region)?;
        let mut any = false;
        for (id, row) in versions(&self.roles, role, region) {
            any = true;
            if row.state == RoleKeyState::Active {
                return Ok(Some(*id));
            }
        }
        if any {
            return Err(Error::NoActiveVersion {
                role: role.as_str(),
                region: region.to_string(),
            });
        }
        Ok(None)
    }

    /// Makes the masters of a version and takes it into use, together with what else `change` holds.
    pub(crate) async fn make_active(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        id: RoleKeyId,
        mut transaction: Transaction,
    ) -> Result<(), Error> {
        transaction.roles.insert(id, RoleKeyRow::active(now));
        self.make_keys(core, now, &id.masters(), transaction).await
    }

    /// What may be shown of a version.
    fn info(&self, id: RoleKeyId) -> Result<RoleKeyInfo, Error> {
        let row = self.roles.get(&id).ok_or(NO_VERSION)?;
        let until = match row.until {
            Some(day) => Some(clock::civil_day(day)?),
            None => None,
        };
        Ok(RoleKeyInfo {
            role: id.role,
            region: id.region,
            version: id.version,
            state: row.state,
            until,
            cards: row.cards,
            cards_alone: row.alone,
        })
    }

    /// A version as terminals may use it on `today`.
    pub(crate) fn usable(&self, id: RoleKeyId, today: Date) -> Option<(KeyState, Date)> {
        self.roles.get(&id)?.usable(today)
    }

    /// All versions of a role and region that terminals may use on `today`.
    pub(crate) fn usable_versions(
        &self,
        role: Role,
        region: Region,
        today: Date,
    ) -> Vec<(RoleKeyId, KeyState, Date)> {
        versions(&self.roles, role, region)
            .filter_map(|(id, row)| row.usable(today).map(|(state, until)| (*id, state, until)))
            .collect()
    }
}
