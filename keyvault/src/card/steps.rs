//! Steps of scripts (card specification, chapter 05): their encoding, the chain over them, and the steps that carry keys.
//!
//! Shared by personalisation and rewrite. Left out: what a script consists of, which is theirs.

use card_applet_spec::codes::{Role, Serial};
use card_applet_spec::crypto::Key16;
use card_applet_spec::date::Date;
use card_applet_spec::script::{MAX_CHUNK, Step, WritableObject, chain_next, chain_start};
use zeroize::{Zeroize, Zeroizing};

use crate::authority::certificates::{TERMINAL_CA_EPOCH, root_name};
use crate::authority::signers::Signer;
use crate::card::record::CardSlot;
use crate::error::{Error, fault};
use crate::keys::material::Keys;
use crate::open::transaction::{Open, Random};

pub(crate) type StepBuffer = Zeroizing<Vec<u8>>;

pub(crate) fn encode(step: &Step<'_>) -> Result<StepBuffer, Error> {
    step.encode()
        .map(|mut bytes| {
            let copy = Zeroizing::new(bytes.to_vec());
            bytes.zeroize();
            copy
        })
        .map_err(fault)
}

pub(crate) fn write_steps(
    object: WritableObject,
    bytes: &[u8],
    steps: &mut Vec<StepBuffer>,
) -> Result<(), Error> {
    let total = step_number(bytes.len())?;
    let mut offset = 0u16;
    for data in bytes.chunks(MAX_CHUNK) {
        steps.push(encode(&Step::Write {
            object,
            total,
            offset,
            data,
        })?);
        offset += step_number(data.len())?;
    }
    Ok(())
}

pub(crate) fn step_number(count: usize) -> Result<u16, Error> {
    u16::try_from(count).map_err(|_| Error::BadContent {
        what: "the content needs too many steps",
    })
}

/// h(n) of a script whose steps are known up to n.
pub(crate) fn chain_at(script: &[u8; 16], steps: &[&[u8]], n: u16) -> Option<[u8; 32]> {
    let known = steps.get(..usize::from(n))?;
    Some(
        (1..)
            .zip(known)
            .fold(chain_start(script), |hash, (n, step)| chain_next(&hash, n, step)),
    )
}

/// Count in a FINALISE step: the number of steps before it.
pub(crate) fn finalise_count(step: &[u8]) -> Option<u16> {
    match Step::parse(step) {
        Ok(Step::Finalise { count, .. }) => Some(count),
        _ => None,
    }
}

/// PURSE: seq counts only on a card that has no purse yet.
pub(crate) fn purse_step(
    keys: &Keys,
    rng: &mut Random,
    slot: &CardSlot,
    cap: u32,
) -> Result<StepBuffer, Error> {
    let mut seq = [0u8; 4];
    rng.fill_bytes(&mut seq);
    let ktac = keys.tac_key(Role::SmallPayment, slot.key_version, &slot.pid)?;
    encode(&Step::Purse {
        kv: slot.key_version,
        seq: u32::from_be_bytes(seq) >> 1,
        cap,
        ktac: ktac.expose(),
    })
}

/// KEYS: issuance keys, and update keys of a generation, under the card's present DEK.
pub(crate) fn keys_step(
    keys: &Keys,
    serial: &Serial,
    generation: u32,
    dek: &Key16,
) -> Result<StepBuffer, Error> {
    let (issuance, update) = (keys.issuance_keys(serial)?, keys.update_keys(serial, generation)?);
    let mut wrapped = Zeroizing::new([0u8; 96]);
    let fresh = [
        &issuance.enc,
        &issuance.mac,
        &issuance.dek,
        &update.enc,
        &update.mac,
        &update.dek,
    ];
    for (to, key) in wrapped.chunks_exact_mut(16).zip(fresh) {
        to.copy_from_slice(key.expose());
    }
    dek.cbc_encrypt(&[0; 16], &mut *wrapped).map_err(fault)?;
    encode(&Step::Keys { wrapped: &wrapped })
}

/// The six key check values that the card must answer to KEYS.
pub(crate) fn check_values(keys: &Keys, serial: &Serial, generation: u32) -> Result<Vec<u8>, Error> {
    let issuance = keys.issuance_keys(serial)?;
    let update = keys.update_keys(serial, generation)?;
    Ok([
        &issuance.enc,
        &issuance.mac,
        &issuance.dek,
        &update.enc,
        &update.mac,
        &update.dek,
    ]
    .into_iter()
    .flat_map(Key16::kcv)
    .collect())
}

/// TRUST: the terminal CA's root and epoch, and the date floor.
pub(crate) fn trust_step(open: &Open, floor: Date) -> Result<StepBuffer, Error> {
    let root = open.keys.public(Signer::TerminalCaRoot)?.to_public64();
    encode(&Step::Trust {
        name: &root_name(open.founded).0,
        public64: &root,
        epoch: TERMINAL_CA_EPOCH,
        floor,
    })
}
