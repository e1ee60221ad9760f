//! Slots: an entitlement as record, keys and pseudonym of a card in one role and key version (card specification,
//! chapter 03). Shared by personalisation, rewrite and sealed update, which differ in how the slot travels only.

use card_applet_spec::codes::{Role, Serial};
use card_applet_spec::crypto::{Key16, sha256};
use card_applet_spec::date::Date;
use card_applet_spec::record::{Entitlement as Record, RECORD_LEN, binding, rule_set_digest};
use card_applet_spec::script::SlotStep;
use jiff::Timestamp;
use keyvault_protocol::{DeliveredBy, Entitlement, SlotVersion};
use zeroize::Zeroizing;

use crate::authority::signers::Signer;
use crate::card::record::{CardSlot, MAX_LOAD, Stamp, Standing};
use crate::clock;
use crate::error::{Error, fault};
use crate::keys::material::Keys;
use crate::keys::version::RoleKeyId;
use crate::open::transaction::{Core, Open, Random};

/// A slot with its keys, to be sent.
pub(crate) struct MadeSlot {
    g: Key16,
    m: Key16,
    record: [u8; RECORD_LEN],
    pub(crate) slot: CardSlot,
    role: Role,
}

impl MadeSlot {
    /// As the step SLOT. `drop_older`: versions older than the one before it leave the card.
    pub(crate) fn step(&self, drop_older: bool, loaded: u32) -> SlotStep<'_> {
        SlotStep {
            role: self.role.code(),
            kv: self.slot.key_version,
            flags: u8::from(drop_older),
            g: self.g.expose(),
            m: self.m.expose(),
            pid: &self.slot.pid,
            record: &self.record,
            loaded,
        }
    }
}

/// For what a slot is made.
pub(crate) struct Target<'a> {
    pub(crate) serial: &'a Serial,
    /// Its key version.
    pub(crate) id: RoleKeyId,
    /// The card's key of this role's domain.
    pub(crate) public64: [u8; 64],
    pub(crate) issue_counter: u32,
    pub(crate) delivered_by: DeliveredBy,
    pub(crate) stamp: Stamp,
}

/// Draws a slot.
pub(crate) fn make(
    keys: &Keys,
    rng: &mut Random,
    target: &Target<'_>,
    entitlement: &Entitlement,
) -> Result<MadeSlot, Error> {
    let Target {
        serial,
        id,
        ref public64,
        issue_counter,
        delivered_by,
        stamp,
    } = *target;
    let (mut pid, mut cohort, mut nonce) = ([0u8; 16], [0u8; 1], [0u8; 12]);
    rng.fill_bytes(&mut pid);
    rng.fill_bytes(&mut cohort);
    rng.fill_bytes(&mut nonce);
    let [cohort] = cohort;
    // Hedged: a random source that repeats itself must not repeat a nonce under another content.
    let hedge = sha256(&[&nonce, &pid, serial.as_bytes(), entitlement.rule_set.as_bytes()]);
    nonce.copy_from_slice(&hedge[..12]);
    let to = clock::card_day(entitlement.valid_to)?;
    let record = Record {
        role: id.role,
        kv: id.version,
        issue_counter,
        tier: entitlement.tier,
        class: entitlement.class,
        services: entitlement.services,
        zones: entitlement.zones,
        from: clock::card_day(entitlement.valid_from)?,
        to,
        rule_set: rule_set_digest(&entitlement.rule_set),
        binding: binding(public64, &pid, id.role),
    };
    let signer = keys.signer(Signer::Entitlement)?;
    let record = record
        .seal(&signer, &keys.record_key(id, &pid)?, &pid, &nonce, rng)
        .map_err(fault)?;
    // Roles without door F have no use for G and M; the slot has the same length with random ones.
    let (g, m) = if id.role.has_door_f() {
        (keys.group_key(id, cohort)?, keys.tap_key(id, &pid)?)
    } else {
        let mut random = Zeroizing::new([0u8; 32]);
        rng.fill_bytes(&mut *random);
        let half = |skip: usize| {
            let mut key = [0u8; 16];
            key.copy_from_slice(&random[skip..skip + 16]);
            Key16::new(key)
        };
        (half(0), half(16))
    };
    Ok(MadeSlot {
        g,
        m,
        record,
        role: id.role,
        slot: CardSlot {
            role: entitlement.role,
            region: entitlement.region,
            key_version: id.version,
            cohort,
            pid,
            issue_counter,
            delivered_by,
            expires: Some(to.to_bytes()),
            stamp,
            standing: Standing::Possible,
        },
    })
}

/// How far ahead of today an entitlement may begin: an endorsement is given in the month before the one of before ends. Nobody
/// takes that day for the present one.
const MAX_DAYS_AHEAD: u32 = 31;

/// Whether an entitlement is one of today. The day on which it began is its permit's and stays where it is, however often
/// the card is written again: a permit of any age is served up to its last day.
pub(crate) fn check_days(entitlement: &Entitlement, today: Date) -> Result<(), Error> {
    let (from, to) = (
        clock::card_day(entitlement.valid_from)?,
        clock::card_day(entitlement.valid_to)?,
    );
    if to < today || from.day_number() > today.day_number() + MAX_DAYS_AHEAD {
        return Err(Error::BadContent {
            what: "an entitlement begins at most 31 days ahead, and is not over yet",
        });
    }
    Ok(())
}

/// What holds of every entitlement on every day, whatever permit it belongs to.
pub(crate) fn check_entitlement(entitlement: &Entitlement) -> Result<(), Error> {
    let bad = |what| Err(Error::BadContent { what });
    let (from, to) = (
        clock::card_day(entitlement.valid_from)?,
        clock::card_day(entitlement.valid_to)?,
    );
    if from > to {
        return bad("an entitlement ends before it begins");
    }
    let purse = entitlement.role == Role::SmallPayment;
    if purse != (entitlement.purse_cap > 0) {
        return bad("a purse has a largest amount above zero, and no other role has one");
    }
    if entitlement.purse_cap > MAX_LOAD {
        return Err(Error::PurseLimit {
            what: "a purchase",
            most: MAX_LOAD,
        });
    }
    if !(1..=48).contains(&entitlement.rule_set.len()) || !entitlement.rule_set.is_ascii() {
        return bad("a rule set's id has 1 to 48 ASCII characters");
    }
    Ok(())
}

/// The Active versions of entitlements, in their order.
pub(crate) async fn active_versions(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    entitlements: &[Entitlement],
) -> Result<Vec<RoleKeyId>, Error> {
    let wanted: Vec<_> = entitlements
        .iter()
        .map(|wanted| (wanted.role, wanted.region))
        .collect();
    open.all_active(core, now, &wanted).await
}

/// Whether every slot is of a version that may still be written.
pub(crate) fn all_usable(open: &Open, slots: &[CardSlot], now: Timestamp) -> bool {
    let Ok(today) = clock::card_day(clock::day(now)) else {
        return false;
    };
    slots.iter().all(|slot| open.usable(slot.key(), today).is_some())
}

/// The live slots of a card.
pub(crate) async fn versions(
    core: &mut Core,
    open: &Open,
    serial: &Serial,
) -> Result<Vec<SlotVersion>, Error> {
    let card = open.card(core, serial).await?;
    let mut slots = card
        .live()
        .map(|slot| {
            let row = open.roles.get(&slot.key()).ok_or(Error::Damaged {
                what: "a card has a key version that the vault does not know",
            })?;
            Ok(SlotVersion {
                role: slot.role,
                region: slot.region,
                key_version: slot.key_version,
                state: row.state,
                issue_counter: slot.issue_counter,
                delivered_by: slot.delivered_by,
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    slots.sort_by_key(|slot| (slot.role, std::cmp::Reverse(slot.key_version)));
    Ok(slots)
}
