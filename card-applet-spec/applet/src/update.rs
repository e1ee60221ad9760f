//! UPDATE on the card: a sealed update that a terminal delivers after a TAP (chapter 09).
//!
//! What is new is written to spare areas; one control block makes it live together with the counter and the MAC of the
//! update, by which a repetition is known. Whoever has no genuine umac writes nothing.

use card_applet_spec::apdu::{ParsedCommand, StatusWord};
use card_applet_spec::codes::{CardState, Role};
use card_applet_spec::crypto::equal;
use card_applet_spec::data_group::SignatureObject;
use card_applet_spec::kdf::KeySet;
use card_applet_spec::script::SlotStep;
use card_applet_spec::update::{Operation, SealedUpdate, tac_key};
use rand_core::CryptoRng;

use crate::answer::{Outcome, answer, insecure, internal, memory_failure, wrong_data};
use crate::card::Card;
use crate::control::{Control, SlotState, UpdateControl};
use crate::door_f::Tapped;
use crate::door_i::is_leap;
use crate::memory::{self, Half, Memory, MemoryFault};

/// Places of DG3 and of the signature object among the objects.
const DG3: usize = 2;
const SIGNATURE: usize = 3;
/// Offset of U-ENC, U-MAC, U-RCPT in the area of the static keys.
const UPDATE_KEYS: usize = 48;

/// What is left to erase when an update is live.
enum Old {
    Nothing,
    /// Slots of a role, from 0.
    Slots(usize),
    /// The DG3 and the signature object before it.
    Permit,
}

impl<M: Memory, R: CryptoRng> Card<M, R> {
    /// `tapped` is the TAP just before; it is used up, whatever the answer.
    pub(crate) fn update(
        &mut self,
        tapped: Option<&Tapped>,
        role: u8,
        version: u8,
        command: &ParsedCommand<'_>,
    ) -> Outcome {
        let (update, tap_mac) =
            SealedUpdate::parse_command(command.data).map_err(|_| StatusWord::WRONG_LENGTH)?;
        let tapped = tapped
            .filter(|tapped| (tapped.role, tapped.version) == (role, version))
            .ok_or(StatusWord::CONDITIONS)?;
        command.has_le(Some(16))?;
        // After a decoy the answer is that of a wrong MAC, for the same reads and the same MAC: nobody knows its keys.
        let (_, decoy_m) = self.decoy_keys()?;
        let (index, physical) = tapped.slot.unwrap_or((0, 0));
        let content = self.slot_content(index, physical)?;
        let m = if tapped.slot.is_some() {
            &content.m
        } else {
            &decoy_m
        };
        let (rt, rc) = (&tapped.terminal_challenge, &tapped.card_challenge);
        let expected = update.tap_mac(m, role, version, rt, rc).map_err(internal)?;
        if !(equal(&expected, &tap_mac) & tapped.slot.is_some()) {
            return Err(StatusWord::SECURITY);
        }
        let keys = self.update_keys()?;
        update.verify(&keys).map_err(insecure)?;
        let receipt = update.receipt(&keys);
        let control = *self.storage.control();
        if update.counter == control.update.counter && equal(&update.mac, &control.update.mac) {
            return answer(&receipt);
        }
        // What a script has staged stands in the same spare areas.
        if update.counter <= control.update.counter || control.script.open.is_some() {
            return Err(StatusWord::CONDITIONS);
        }
        let plain = update.decrypt(&keys).map_err(internal)?;
        let operation = Operation::parse(&plain).map_err(wrong_data)?;
        let mut next = control;
        let old = self.perform_update(&operation, &keys, &mut next)?;
        next.update = UpdateControl {
            counter: update.counter,
            mac: update.mac,
        };
        self.storage.commit(next).map_err(memory_failure)?;
        self.erase_old(&old).map_err(memory_failure)?;
        answer(&receipt)
    }

    fn update_keys(&self) -> Result<KeySet, StatusWord> {
        // A slot answered, so the card is ACTIVE and has its issuance keys.
        let half = self.storage.control().keys.live.ok_or(StatusWord::CONDITIONS)?;
        let bytes = self
            .storage
            .read_at::<48>(memory::keys(half), UPDATE_KEYS)
            .map_err(memory_failure)?;
        Ok(KeySet::from_bytes(&bytes))
    }

    /// Does an operation on spare areas and in `next`; nothing is live before `next` is committed.
    fn perform_update(
        &mut self,
        operation: &Operation<'_>,
        keys: &KeySet,
        next: &mut Control,
    ) -> Result<Old, StatusWord> {
        match operation {
            Operation::Slot { slot, cap } => self.update_slot(slot, *cap, keys, next),
            Operation::Dg3 {
                signer,
                dg3,
                signature,
            } => self.update_dg3(*signer, dg3, signature, next),
            Operation::Floor(floor) => {
                if is_leap(next.floor, *floor) {
                    return Err(StatusWord::CONDITIONS);
                }
                next.floor = next.floor.max(*floor);
                Ok(Old::Nothing)
            }
            Operation::Block => {
                next.before_block = next.state;
                next.state = CardState::Blocked;
                Ok(Old::Nothing)
            }
            Operation::Erase { role, kv } => {
                let index = usize::from(role.code()).saturating_sub(1);
                for slot in next.slots.get_mut(index).into_iter().flatten() {
                    if *slot == (SlotState::Live { kv: *kv }) {
                        *slot = SlotState::Empty;
                    }
                }
                Ok(Old::Slots(index))
            }
            Operation::Load { loaded } => {
                if !next.purse.live {
                    return Err(StatusWord::CONDITIONS);
                }
                next.purse.loaded = next.purse.loaded.max(*loaded);
                Ok(Old::Nothing)
            }
        }
    }

    /// As SLOT, PURSE and FINALISE of a script, but for Ktac and the start of a first purse, which the card makes.
    fn update_slot(
        &mut self,
        slot: &SlotStep<'_>,
        cap: u32,
        keys: &KeySet,
        next: &mut Control,
    ) -> Result<Old, StatusWord> {
        let role = Role::try_from(slot.role).map_err(wrong_data)?;
        self.stage_slot(next, slot)?;
        if role == Role::SmallPayment {
            let mut seq = [0; 4];
            self.rng.fill_bytes(&mut seq);
            let seq = u32::from_be_bytes(seq) >> 1;
            let ktac = tac_key(keys, role, slot.kv, slot.pid);
            self.stage_purse(next, slot.kv, seq, cap, ktac.expose())?;
            if next.stages_first_purse() {
                self.write_first_purse(seq)?;
            }
        }
        next.make_live();
        Ok(Old::Slots(usize::from(role.code()).saturating_sub(1)))
    }

    fn update_dg3(
        &mut self,
        signer: u8,
        dg3: &[u8],
        signature: &[u8; 64],
        next: &mut Control,
    ) -> Result<Old, StatusWord> {
        let before = next.objects.get(SIGNATURE).ok_or(StatusWord::CONDITIONS)?;
        let half = before.pair.live.ok_or(StatusWord::CONDITIONS)?;
        let mut encoded = [0; card_applet_spec::data_group::MAX_SIGNATURE_OBJECT];
        let encoded = encoded
            .get_mut(..usize::from(before.len))
            .ok_or(StatusWord::CONDITIONS)?;
        self.storage
            .read_into(memory::object(SIGNATURE, half), 0, encoded)
            .map_err(memory_failure)?;
        let object = SignatureObject::parse(encoded).map_err(|_| StatusWord::CONDITIONS)?;
        let object = object
            .with_dg3(signer, dg3, signature)
            .encode()
            .map_err(internal)?;
        self.replace_object(next, DG3, dg3)?;
        self.replace_object(next, SIGNATURE, &object)?;
        next.make_live();
        Ok(Old::Permit)
    }

    /// Writes an object whole to its spare copy, and stages it. One that is not there is not replaced.
    fn replace_object(&mut self, next: &mut Control, index: usize, bytes: &[u8]) -> Result<(), StatusWord> {
        let state = next.objects.get_mut(index).ok_or(StatusWord::CONDITIONS)?;
        if state.pair.live.is_none() {
            return Err(StatusWord::CONDITIONS);
        }
        let total = u16::try_from(bytes.len()).map_err(|_| StatusWord::WRONG_DATA)?;
        self.storage
            .write(memory::object(index, state.pair.spare()), 0, bytes)
            .map_err(memory_failure)?;
        state.pair.staged = true;
        state.total = total;
        state.received = total;
        Ok(())
    }

    fn erase_old(&mut self, old: &Old) -> Result<(), MemoryFault> {
        match old {
            Old::Nothing => Ok(()),
            Old::Slots(role) => self.storage.sweep_slots(*role),
            Old::Permit => [DG3, SIGNATURE].into_iter().try_for_each(|index| {
                let state = self.storage.control().objects.get(index);
                let spare = state.map_or(Half::A, |state| state.pair.spare());
                self.storage.wipe(memory::object(index, spare))
            }),
        }
    }
}
