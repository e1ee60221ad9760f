//! Slots: an entitlement as record, keys and pseudonym of a card in one role and key version (card specification,
//! chapter 03). Shared by personalisation, rewrite and sealed update, which differ in how the slot travels only.

use card_applet_spec::codes::{Region, Role, Serial, Tier};
use card_applet_spec::crypto::{Key16, sha256};
use card_applet_spec::record::{Entitlement as Record, RECORD_LEN, binding, rule_set_digest};
use card_applet_spec::script::SlotStep;
use keyvault_protocol::Entitlement;
use zeroize::Zeroizing;

use crate::card::record::{Brought, CardSlot, Stamp, Standing, spec_role};
use crate::clock;
use crate::error::Error;
use crate::keys::material::{Keys, RoleKeyId, Signer, fault};
use crate::open::transaction::Random;

/// Role and region of an entitlement, as the card specification has them.
pub(crate) fn place(entitlement: &Entitlement) -> Result<(Role, Region), Error> {
    let region = entitlement.region.to_string().parse().map_err(fault)?;
    Ok((spec_role(entitlement.role)?, region))
}

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
    pub(crate) brought: Brought,
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
        brought,
        stamp,
    } = *target;
    let (mut pid, mut cohort, mut nonce) = ([0u8; 16], [0u8; 1], [0u8; 12]);
    rng.fill_bytes(&mut pid);
    rng.fill_bytes(&mut cohort);
    rng.fill_bytes(&mut nonce);
    let [cohort] = cohort;
    // Hedged: a random source that repeats itself must not repeat a nonce under another content.
    let hedge = sha256(&[&nonce, &pid, &serial.0, entitlement.rule_set.as_bytes()]);
    nonce.copy_from_slice(&hedge[..12]);
    let to = clock::card_day(entitlement.valid_to)?;
    let record = Record {
        role: id.role,
        kv: id.version,
        issue_counter,
        tier: Tier::try_from(entitlement.tier).map_err(fault)?,
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
            brought,
            expires: Some(to.to_bytes()),
            stamp,
            standing: Standing::Possible,
        },
    })
}
