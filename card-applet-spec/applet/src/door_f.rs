//! Door F on the card: TAP and COMMIT (chapter 06). UPDATE is in `update.rs`.

use card_applet_spec::Error as SpecError;
use card_applet_spec::apdu::{ParsedCommand, StatusWord};
use card_applet_spec::bytes::{Reader, SliceWriter, Write};
use card_applet_spec::codes::Role;
use card_applet_spec::crypto::{Key16, equal, memory_check};
use card_applet_spec::door_f::{CommitBody, PLAIN_LEN, TapAnswer, TapPlain};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::answer::{Opening, Outcome, answer, internal, memory_failure, wrong_data};
use crate::card::Card;
use crate::command::{Command, Gate};
use crate::control::SMALL_PAYMENT;
use crate::manufacture::layout;
use crate::memory::{self, FACTORY, Half, Memory};
use crate::storage::{SlotContent, slot_layout};

/// What COMMIT and UPDATE refer to: the TAP just before.
#[derive(Debug)]
pub(crate) struct Tapped {
    pub(crate) role: u8,
    pub(crate) version: u8,
    pub(crate) terminal_challenge: [u8; 16],
    pub(crate) card_challenge: [u8; 16],
    /// Role (from 0) and physical slot; none after a decoy.
    pub(crate) slot: Option<(usize, usize)>,
}

impl Tapped {
    /// Physical slot of `SMALL_PAYMENT`; none after a decoy or another role.
    fn purse(&self) -> Option<usize> {
        self.slot
            .filter(|(index, _)| *index == SMALL_PAYMENT)
            .map(|(_, slot)| slot)
    }
}

/// What debits change: one of two copies, the one with the higher `seq` counts. There is one purse, whatever slots
/// look at it (decision 0002); `loaded` is in the control block, because only scripts change it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PurseState {
    pub(crate) seq: u32,
    pub(crate) spent: u32,
    pub(crate) last_txno: [u8; 8],
    pub(crate) last_tac: [u8; 8],
    /// `loaded` at the last debit.
    pub(crate) last_loaded: u32,
    pub(crate) masked: [u8; 16],
}

impl core::fmt::Debug for PurseState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("PurseState(pseudonymous data)")
    }
}

const BLOCK_LEN: usize = 52;
const DAMAGED: SpecError = SpecError::Malformed { what: "purse" };

impl PurseState {
    pub(crate) const NEW: Self = Self {
        seq: 0,
        spent: 0,
        last_txno: [0; 8],
        last_tac: [0; 8],
        last_loaded: 0,
        masked: [0; 16],
    };

    pub(crate) fn encode(&self) -> Result<[u8; BLOCK_LEN], SpecError> {
        let mut out = [0; BLOCK_LEN];
        let mut writer = SliceWriter::new(&mut out);
        writer.put(&self.seq.to_be_bytes())?;
        writer.put(&self.spent.to_be_bytes())?;
        writer.put(&self.last_txno)?;
        writer.put(&self.last_tac)?;
        writer.put(&self.last_loaded.to_be_bytes())?;
        writer.put(&self.masked)?;
        let (body, check) = out.split_last_chunk_mut::<8>().ok_or(DAMAGED)?;
        check.copy_from_slice(&memory_check(&[body]));
        Ok(out)
    }

    pub(crate) fn decode(bytes: &[u8; BLOCK_LEN]) -> Result<Self, SpecError> {
        let (body, check) = bytes.split_last_chunk::<8>().ok_or(DAMAGED)?;
        if memory_check(&[body]) != *check {
            return Err(DAMAGED);
        }
        let mut reader = Reader::new(body, "purse");
        Ok(Self {
            seq: reader.u32()?,
            spent: reader.u32()?,
            last_txno: reader.array()?,
            last_tac: reader.array()?,
            last_loaded: reader.u32()?,
            masked: reader.array()?,
        })
    }
}

impl<M: Memory, R: CryptoRng> Card<M, R> {
    pub(crate) fn tap(&mut self, role: u8, version: u8, command: &ParsedCommand<'_>) -> Opening<Tapped> {
        command.has_le(Some(0))?;
        let terminal_challenge: [u8; 16] = command.data.try_into().map_err(|_| StatusWord::WRONG_LENGTH)?;
        let mut card_challenge = [0; 16];
        self.rng.fill_bytes(&mut card_challenge);
        // Everything is read in any case, and looked at only then: an unknown role, another state, a role without a
        // purse do the same work as a live slot (chapter 03).
        let (decoy_g, decoy_m) = self.decoy_keys()?;
        let decoy_plain = self
            .storage
            .read_at::<PLAIN_LEN>(FACTORY, layout::DECOY_PLAIN)
            .map_err(memory_failure)?;
        let slot = self.tappable_slot(role, version);
        let (index, physical) = slot.unwrap_or((0, 0));
        let content = self.slot_content(index, physical)?;
        let purse = self.purse()?;
        let (purse, loaded) = if index == SMALL_PAYMENT {
            (purse.map(|(purse, _)| purse), self.storage.control().purse.loaded)
        } else {
            (Some(PurseState::NEW), 0)
        };
        if slot.is_some() && purse.is_none() {
            return Err(StatusWord::MEMORY_FAILURE);
        }
        let purse = purse.unwrap_or(PurseState::NEW);
        let live = TapPlain {
            pid: content.pid,
            seq: purse.seq,
            loaded,
            spent: purse.spent,
            last_txno: purse.last_txno,
            masked: purse.masked,
            tac: purse.last_tac,
            record: content.record,
        };
        let live = Zeroizing::new(live.encode().map_err(internal)?);
        let (g, m, plain) = if slot.is_some() {
            (&content.g, &content.m, &live)
        } else {
            (&decoy_g, &decoy_m, &decoy_plain)
        };
        let made = TapAnswer::make(g, m, role, version, &terminal_challenge, card_challenge, plain);
        let body = made.and_then(|made| made.encode()).map_err(internal)?;
        let tapped = Tapped {
            role,
            version,
            terminal_challenge,
            card_challenge,
            slot,
        };
        Ok((answer(&body)?, tapped))
    }

    /// Role (from 0) and physical slot that may answer this TAP.
    fn tappable_slot(&self, role: u8, version: u8) -> Option<(usize, usize)> {
        let open = self.gate(Command::Tap { role, version }) == Gate::Open;
        let role = Role::try_from(role).ok()?;
        if !open || !role.has_door_f() {
            return None;
        }
        let index = usize::from(role.code()).checked_sub(1)?;
        self.storage.live_slot(index, version).map(|slot| (index, slot))
    }

    /// G and M of the decoy, which nobody knows.
    pub(crate) fn decoy_keys(&self) -> Result<(Key16, Key16), StatusWord> {
        let bytes = self
            .storage
            .read_at::<32>(FACTORY, layout::DECOY_KEYS)
            .map_err(memory_failure)?;
        let mut reader = Reader::new(&*bytes, "decoy");
        let g = Key16::read(&mut reader).map_err(internal)?;
        let m = Key16::read(&mut reader).map_err(internal)?;
        Ok((g, m))
    }

    pub(crate) fn slot_content(&self, index: usize, slot: usize) -> Result<SlotContent, StatusWord> {
        let bytes = self
            .storage
            .read_at(memory::slot(index, slot), slot_layout::KEYS)
            .map_err(memory_failure)?;
        SlotContent::parse(&bytes).map_err(internal)
    }

    /// The purse, and where its next state goes. None when neither copy is whole, as before the first purse.
    fn purse(&self) -> Result<Option<(PurseState, Half)>, StatusWord> {
        let copy = |half| {
            let block = self.storage.read(memory::purse(half)).map_err(memory_failure)?;
            Ok::<_, StatusWord>(PurseState::decode(&block).ok())
        };
        Ok(match (copy(Half::A)?, copy(Half::B)?) {
            (Some(a), Some(b)) if b.seq > a.seq => Some((b, Half::A)),
            (Some(a), _) => Some((a, Half::B)),
            (None, Some(b)) => Some((b, Half::A)),
            (None, None) => None,
        })
    }

    /// The card's first purse, before the control block makes it live. Done again, it writes the same.
    pub(crate) fn write_first_purse(&mut self, seq: u32) -> Result<(), StatusWord> {
        let block = PurseState {
            seq,
            ..PurseState::NEW
        };
        let block = block.encode().map_err(internal)?;
        self.storage
            .wipe(memory::purse(Half::B))
            .and_then(|()| self.storage.write(memory::purse(Half::A), 0, &block))
            .map_err(memory_failure)
    }

    /// A debit, after the TAP of the same slot.
    pub(crate) fn commit(
        &mut self,
        tapped: &Tapped,
        role: u8,
        version: u8,
        command: &ParsedCommand<'_>,
    ) -> Outcome {
        if (role, version) != (tapped.role, tapped.version) || role != Role::SmallPayment.code() {
            return Err(StatusWord::CONDITIONS);
        }
        command.has_le(Some(25))?;
        let (body, mac) = command
            .data
            .split_last_chunk::<16>()
            .ok_or(StatusWord::WRONG_LENGTH)?;
        let body: &[u8; 28] = body.try_into().map_err(|_| StatusWord::WRONG_LENGTH)?;
        let request = CommitBody::parse(body).map_err(wrong_data)?;
        let (rt, rc) = (&tapped.terminal_challenge, &tapped.card_challenge);
        // After a decoy the answer is that of a wrong MAC, for the same reads and the same MAC: nobody knows its keys.
        let (_, decoy_m) = self.decoy_keys()?;
        let tapped_purse = tapped.purse();
        let slot = tapped_purse.unwrap_or(0);
        let content = self.slot_content(SMALL_PAYMENT, slot)?;
        let fixed = self
            .storage
            .read_at::<20>(memory::slot(SMALL_PAYMENT, slot), slot_layout::PURSE_FIXED)
            .map_err(memory_failure)?;
        let mut reader = Reader::new(&*fixed, "purse");
        let cap = reader.u32().map_err(internal)?;
        let ktac = Key16::read(&mut reader).map_err(internal)?;
        let purse = self.purse()?;
        if tapped_purse.is_some() && purse.is_none() {
            return Err(StatusWord::MEMORY_FAILURE);
        }
        let (purse, spare) = purse.unwrap_or((PurseState::NEW, Half::A));
        let loaded = self.storage.control().purse.loaded;
        let m = if tapped_purse.is_some() {
            &content.m
        } else {
            &decoy_m
        };
        let expected = request
            .mac(m, role, version, rt, rc, purse.seq)
            .map_err(internal)?;
        if !(equal(&expected, mac) & tapped_purse.is_some()) {
            return Err(StatusWord::SECURITY);
        }
        let codes = Codes {
            request: &request,
            ktac: &ktac,
            version,
            pid: &content.pid,
        };
        let (result, next) = if purse.last_txno == request.txno {
            let again = codes.tac(purse.seq, purse.last_loaded, purse.spent)?;
            if !equal(&again, &purse.last_tac) {
                return Err(StatusWord::CONDITIONS);
            }
            (0x01, purse)
        } else {
            let next = codes.debit(&purse, loaded, cap)?;
            let block = next.encode().map_err(internal)?;
            self.storage
                .write(memory::purse(spare), 0, &block)
                .map_err(memory_failure)?;
            (0x00, next)
        };
        let purse = next;
        let proof = request
            .proof(
                m,
                role,
                version,
                rt,
                rc,
                result,
                purse.seq,
                purse.spent,
                &purse.last_tac,
            )
            .map_err(internal)?;
        let mut out = [0; 25];
        let mut writer = SliceWriter::new(&mut out);
        let put = writer.put(&[result]).and_then(|()| writer.put(&purse.last_tac));
        put.and_then(|()| writer.put(&proof)).map_err(internal)?;
        answer(&out)
    }
}

/// What the codes of a debit are made over.
struct Codes<'a> {
    request: &'a CommitBody,
    ktac: &'a Key16,
    version: u8,
    pid: &'a [u8; 16],
}

impl Codes<'_> {
    const ROLE: u8 = 0x03;

    fn tac(&self, seq: u32, loaded: u32, spent: u32) -> Result<[u8; 8], StatusWord> {
        self.request
            .tac(self.ktac, Self::ROLE, self.version, self.pid, seq, loaded, spent)
            .map_err(internal)
    }

    /// The purse after this debit. Limits are compared by subtraction: nothing wraps.
    fn debit(&self, purse: &PurseState, loaded: u32, cap: u32) -> Result<PurseState, StatusWord> {
        let balance = loaded.checked_sub(purse.spent).ok_or(StatusWord::CONDITIONS)?;
        if self.request.amount > cap || self.request.amount > balance {
            return Err(StatusWord::CONDITIONS);
        }
        let spent = purse
            .spent
            .checked_add(self.request.amount)
            .ok_or(StatusWord::CONDITIONS)?;
        let seq = purse.seq.checked_add(1).ok_or(StatusWord::CONDITIONS)?;
        let masked = self
            .request
            .masked(self.ktac, Self::ROLE, self.version, self.pid, seq, spent);
        Ok(PurseState {
            seq,
            spent,
            last_txno: self.request.txno,
            last_tac: self.tac(seq, loaded, spent)?,
            last_loaded: loaded,
            masked: masked.map_err(internal)?,
        })
    }
}
