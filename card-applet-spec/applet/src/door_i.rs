//! Door I on the card: SCP03 with i = 60, numbered steps, FINALISE (chapter 05).

use card_applet_spec::Bytes;
use card_applet_spec::apdu::{Header, ParsedCommand, StatusWord};
use card_applet_spec::bytes::{Reader, SliceWriter, Write};
use card_applet_spec::certificate::CardCertificate;
use card_applet_spec::codes::{CardState, Role};
use card_applet_spec::crypto::{PrivateKey, PublicKey, equal};
use card_applet_spec::date::Date;
use card_applet_spec::kdf::KeySet;
use card_applet_spec::scp03::{Channel, InitializeUpdate, SessionKeys};
use card_applet_spec::script::{ScriptKind, SlotStep, Status, Step, WritableObject, chain_next, chain_start};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::answer::{Opening, answer, internal, memory_failure, unwrapped, wrong_data};
use crate::card::Card;
use crate::command::{Command, Gate};
use crate::control::{Control, SMALL_PAYMENT, ScriptState, SlotState};
use crate::manufacture::layout;
use crate::memory::{self, FACTORY, Half, Memory};
use crate::storage::{SlotContent, slot_layout};

/// Attempts at EXTERNAL AUTHENTICATE without a success before door I is locked.
const MAX_FAILURES: u8 = 16;
/// Days by which `today` of a FINALISE, the floor of an update, or an intermediate's first day at door S may be ahead of
/// the date floor.
const MAX_LEAP_DAYS: u32 = 400;

/// Between INITIALIZE UPDATE and EXTERNAL AUTHENTICATE.
#[derive(Debug)]
pub(crate) struct OpeningI {
    channel: Channel,
    host_challenge: [u8; 8],
    card_challenge: [u8; 8],
}

/// An open door I.
#[derive(Debug)]
pub(crate) struct DoorI {
    channel: Channel,
    /// The failure counter before this session's own try.
    failures: u8,
}

impl DoorI {
    /// The door stays open, and says this.
    fn answering(mut self, body: &[u8]) -> Opening<Self> {
        let answer = self.channel.wrap_answer(body, StatusWord::OK).map_err(internal)?;
        Ok((answer, self))
    }
}

/// What a step answers, and the control block that makes it so. `None` writes nothing.
struct Done {
    body: Bytes<64>,
    next: Option<Control>,
}

impl<M: Memory, R: CryptoRng> Card<M, R> {
    pub(crate) fn initialize_update(&mut self, command: &ParsedCommand<'_>) -> Opening<OpeningI> {
        if ![Header::INITIALIZE_UPDATE, Header::INITIALIZE_UPDATE_NAMED].contains(&command.header) {
            return Err(StatusWord::WRONG_P1P2);
        }
        command.has_le(Some(0))?;
        let host_challenge: [u8; 8] = command.data.try_into().map_err(|_| StatusWord::WRONG_LENGTH)?;
        let mut card_challenge = [0; 8];
        self.rng.fill_bytes(&mut card_challenge);
        let keys = SessionKeys::derive(&self.static_keys()?, &host_challenge, &card_challenge);
        let cryptogram = keys.card_cryptogram(&host_challenge, &card_challenge);
        let opening = OpeningI {
            channel: Channel::new(keys),
            host_challenge,
            card_challenge,
        };
        let body = InitializeUpdate::encode_i60(&card_challenge, &cryptogram);
        Ok((answer(&body)?, opening))
    }

    /// ENC, MAC, DEK in force; keys that nobody knows once TERMINATED.
    fn static_keys(&self) -> Result<KeySet, StatusWord> {
        let bytes = match self.storage.control().keys.live {
            Some(half) => self.storage.read::<48>(memory::keys(half)),
            None => self.storage.read_at::<48>(FACTORY, layout::NOBODY),
        };
        Ok(KeySet::from_bytes(&*bytes.map_err(memory_failure)?))
    }

    pub(crate) fn external_authenticate(
        &mut self,
        mut opening: OpeningI,
        command: &ParsedCommand<'_>,
    ) -> Opening<DoorI> {
        let header = command.header;
        if header != Header::EXTERNAL_AUTHENTICATE {
            return Err(StatusWord::WRONG_P1P2);
        }
        command.has_le(None)?;
        let mut reader = Reader::new(command.data, "EXTERNAL AUTHENTICATE");
        let (cryptogram, mac) = (reader.array::<8>(), reader.array::<8>());
        let (Ok(cryptogram), Ok(mac), Ok(())) = (cryptogram, mac, reader.end()) else {
            return Err(StatusWord::WRONG_LENGTH);
        };
        // Counted before it is compared: pulling the card gives no free try. From the sixteenth on the count stays, and
        // nothing is written: tries near a pocket must not wear the card.
        let before = self.storage.failures();
        let spent = before >= MAX_FAILURES;
        // A blank has no door S that could open door I again.
        let locked = spent && self.state() != CardState::Blank;
        let counted = if spent { before } else { before.saturating_add(1) };
        self.storage.set_failures(counted).map_err(memory_failure)?;
        let expected = opening
            .channel
            .keys()
            .host_cryptogram(&opening.host_challenge, &opening.card_challenge);
        // Everything is computed before anything is decided: the work is the same for each way to be wrong.
        let checks = [
            opening
                .channel
                .check_external_authenticate(header, &cryptogram, &mac),
            equal(&expected, &cryptogram),
            !locked,
            self.gate(Command::ExternalAuthenticate) == Gate::Open,
        ];
        let right = checks.into_iter().fold(true, |all, check| all & check);
        if !right {
            return Err(StatusWord::SECURITY);
        }
        self.storage.set_failures(0).map_err(memory_failure)?;
        let door = DoorI {
            channel: opening.channel,
            failures: before,
        };
        Ok((answer(&[])?, door))
    }

    /// STEP.
    pub(crate) fn script_step(
        &mut self,
        mut door: DoorI,
        n: u16,
        command: &ParsedCommand<'_>,
    ) -> Opening<DoorI> {
        let plain = unwrapped(&mut door.channel, command)?;
        let body = self.step(n, &plain)?;
        door.answering(&body)
    }

    /// GET STATUS and GET PUBLIC KEY.
    pub(crate) fn report(
        &self,
        mut door: DoorI,
        what: u8,
        domain: u8,
        command: &ParsedCommand<'_>,
    ) -> Opening<DoorI> {
        let plain = unwrapped(&mut door.channel, command)?;
        if !plain.is_empty() {
            return Err(StatusWord::WRONG_LENGTH);
        }
        let body = match (what, domain) {
            (0x00, 0x00) => {
                let mut body = Bytes::new();
                let status = Status {
                    failures: door.failures,
                    ..self.status()
                };
                body.put(&status.encode().map_err(internal)?).map_err(internal)?;
                body
            }
            (0x01, domain) => self.staged_public_key(domain)?,
            _ => return Err(StatusWord::WRONG_P1P2),
        };
        door.answering(&body)
    }

    fn staged_public_key(&self, domain: u8) -> Result<Bytes<64>, StatusWord> {
        let index = usize::from(domain).checked_sub(1).ok_or(StatusWord::NOT_FOUND)?;
        let state = self
            .storage
            .control()
            .domains
            .get(index)
            .ok_or(StatusWord::NOT_FOUND)?;
        if !state.pair.staged {
            return Err(StatusWord::NOT_FOUND);
        }
        let area = memory::domain(index, state.pair.spare());
        let public = self.storage.read_at::<64>(area, 32).map_err(memory_failure)?;
        let mut body = Bytes::new();
        body.put(&*public).map_err(internal)?;
        Ok(body)
    }

    /// One step: accepted, repeated, or refused.
    fn step(&mut self, n: u16, bytes: &[u8]) -> Result<Bytes<64>, StatusWord> {
        let step = Step::parse(bytes).map_err(wrong_data)?;
        let control = *self.storage.control();
        if let Step::Begin { kind, script } = step {
            return self.begin(n, bytes, kind, script, &control);
        }
        let current = &control.script;
        if n != 0 && n == current.last && equal(&chain_next(&current.before, n, bytes), &current.digest) {
            return self.repeat(&step);
        }
        if Some(n) != current.last.checked_add(1) {
            return Err(StatusWord::CONDITIONS);
        }
        let kind = current.open.ok_or(StatusWord::CONDITIONS)?;
        if !kind.has_content() && !matches!(step, Step::Finalise { .. }) {
            return Err(StatusWord::CONDITIONS);
        }
        let finalises = matches!(step, Step::Finalise { .. });
        let done = self.perform(&step, kind, n, control)?;
        if let Some(mut next) = done.next {
            next.script.before = current.digest;
            next.script.digest = chain_next(&current.digest, n, bytes);
            next.script.last = n;
            self.storage.commit(next).map_err(memory_failure)?;
            if finalises {
                self.storage.sweep().map_err(memory_failure)?;
            }
        }
        Ok(done.body)
    }

    fn begin(
        &mut self,
        n: u16,
        bytes: &[u8],
        kind: ScriptKind,
        script: [u8; 16],
        control: &Control,
    ) -> Result<Bytes<64>, StatusWord> {
        let current = &control.script;
        if n != 1 {
            return Err(StatusWord::CONDITIONS);
        }
        let start = chain_start(&script);
        let digest = chain_next(&start, 1, bytes);
        if current.last > 0 && current.script == script {
            // A repetition of the step that came last, or a script that has gone on or is finished.
            let repeated = current.open.is_some() && current.last == 1 && equal(&digest, &current.digest);
            return if repeated {
                Ok(Bytes::new())
            } else {
                Err(StatusWord::CONDITIONS)
            };
        }
        if !kind.starts_in(control.state) {
            return Err(StatusWord::CONDITIONS);
        }
        let mut next = *control;
        next.drop_staged();
        next.script = ScriptState {
            open: Some(kind),
            script,
            last: 1,
            digest,
            before: start,
        };
        self.storage.commit(next).map_err(memory_failure)?;
        self.storage.sweep().map_err(memory_failure)?;
        Ok(Bytes::new())
    }

    /// The answer of the step that came last, again. Nothing is written.
    fn repeat(&self, step: &Step<'_>) -> Result<Bytes<64>, StatusWord> {
        let mut body = Bytes::new();
        match step {
            Step::Generate { domain } => return self.staged_public_key(domain.code()),
            Step::Keys { .. } => {
                let half = self.storage.control().keys.spare();
                body.put(&self.key_check_values(half)?).map_err(internal)?;
            }
            Step::Finalise { .. } => body.put(&[self.state().code()]).map_err(internal)?,
            _ => {}
        }
        Ok(body)
    }

    /// Does a step on spare areas; gives the control block that will count it.
    fn perform(
        &mut self,
        step: &Step<'_>,
        kind: ScriptKind,
        n: u16,
        mut next: Control,
    ) -> Result<Done, StatusWord> {
        let mut body = Bytes::new();
        match step {
            Step::Begin { .. } => return Err(StatusWord::CONDITIONS),
            Step::Write {
                object,
                total,
                offset,
                data,
            } => {
                self.write_chunk(&mut next, *object, *total, *offset, data)?;
            }
            Step::Generate { domain } => {
                let index = usize::from(domain.code()).saturating_sub(1);
                let state = next.domains.get_mut(index).ok_or(StatusWord::WRONG_DATA)?;
                if state.pair.staged {
                    return Err(StatusWord::CONDITIONS);
                }
                let area = memory::domain(index, state.pair.spare());
                let key = PrivateKey::generate(&mut self.rng);
                let public = key.public().to_public64();
                self.storage
                    .write(area, 0, &*key.expose())
                    .map_err(memory_failure)?;
                self.storage.write(area, 32, &public).map_err(memory_failure)?;
                state.pair.staged = true;
                state.certified = false;
                body.put(&public).map_err(internal)?;
            }
            Step::Certificate { domain, certificate } => {
                let index = usize::from(domain.code()).saturating_sub(1);
                let state = next.domains.get_mut(index).ok_or(StatusWord::WRONG_DATA)?;
                if !state.pair.staged || state.certified {
                    return Err(StatusWord::CONDITIONS);
                }
                let area = memory::domain(index, state.pair.spare());
                let public = self.storage.read_at::<64>(area, 32).map_err(memory_failure)?;
                let parsed = CardCertificate::parse(certificate).map_err(wrong_data)?;
                if parsed.domain != *domain || !equal(&parsed.public64, &*public) {
                    return Err(StatusWord::WRONG_DATA);
                }
                self.storage
                    .write(area, 96, *certificate)
                    .map_err(memory_failure)?;
                state.certified = true;
            }
            Step::Slot(slot) => self.stage_slot(&mut next, slot)?,
            Step::Purse { kv, seq, cap, ktac } => self.stage_purse(&mut next, *kv, *seq, *cap, ktac)?,
            // What is staged is never written over: a cut in the middle would leave neither the one nor the other.
            Step::Keys { .. } if next.keys.staged => return Err(StatusWord::CONDITIONS),
            Step::Trust { .. } if next.trust.staged => return Err(StatusWord::CONDITIONS),
            Step::Keys { wrapped } => {
                let mut keys = Zeroizing::new(**wrapped);
                self.static_keys()?
                    .dek
                    .cbc_decrypt(&[0; 16], &mut *keys)
                    .map_err(wrong_data)?;
                let half = next.keys.spare();
                self.storage
                    .write(memory::keys(half), 0, &*keys)
                    .map_err(memory_failure)?;
                next.keys.staged = true;
                body.put(&self.key_check_values(half)?).map_err(internal)?;
            }
            Step::Trust {
                name,
                public64,
                epoch,
                floor,
            } => {
                PublicKey::from_public64(public64).map_err(wrong_data)?;
                let area = memory::trust(next.trust.spare());
                self.storage.write(area, 0, *name).map_err(memory_failure)?;
                self.storage.write(area, 16, *public64).map_err(memory_failure)?;
                next.trust.staged = true;
                next.staged_epoch = *epoch;
                next.staged_floor = *floor;
            }
            Step::Finalise { count, digest, today } => {
                let first_purse = next.stages_first_purse().then_some(next.purse.staged_seq);
                finalise(&mut next, kind, n, *count, digest, *today)?;
                if let Some(seq) = first_purse {
                    self.write_first_purse(seq)?;
                }
                body.put(&[next.state.code()]).map_err(internal)?;
            }
        }
        Ok(Done {
            body,
            next: Some(next),
        })
    }

    fn write_chunk(
        &mut self,
        next: &mut Control,
        object: WritableObject,
        total: u16,
        offset: u16,
        data: &[u8],
    ) -> Result<(), StatusWord> {
        let index = WritableObject::ALL
            .iter()
            .position(|o| *o == object)
            .ok_or(StatusWord::WRONG_DATA)?;
        let state = next.objects.get_mut(index).ok_or(StatusWord::WRONG_DATA)?;
        if !state.pair.staged {
            state.pair.staged = true;
            state.total = total;
            state.received = 0;
        }
        let end = u16::try_from(data.len())
            .ok()
            .and_then(|len| offset.checked_add(len));
        let end = end.ok_or(StatusWord::WRONG_DATA)?;
        let fits = usize::from(total) <= object.capacity() && end <= total;
        if state.total != total || state.received != offset || !fits {
            return Err(StatusWord::WRONG_DATA);
        }
        let area = memory::object(index, state.pair.spare());
        self.storage
            .write(area, usize::from(offset), data)
            .map_err(memory_failure)?;
        state.received = end;
        Ok(())
    }

    pub(crate) fn stage_slot(&mut self, next: &mut Control, step: &SlotStep<'_>) -> Result<(), StatusWord> {
        let role = Role::try_from(step.role).map_err(wrong_data)?;
        let index = usize::from(role.code()).saturating_sub(1);
        let slots = next.slots.get_mut(index).ok_or(StatusWord::WRONG_DATA)?;
        let known = |slot: &SlotState| matches!(slot, SlotState::Staged { kv, .. } if *kv == step.kv);
        if slots.iter().any(known) {
            return Err(StatusWord::WRONG_DATA);
        }
        let spare = slots
            .iter()
            .position(|slot| *slot == SlotState::Empty)
            .ok_or(StatusWord::CONDITIONS)?;
        // An attempt that was cut may have left a part of another slot.
        let area = memory::slot(index, spare);
        self.storage.wipe(area).map_err(memory_failure)?;
        let mut content = Zeroizing::new([0; SlotContent::LEN]);
        let mut writer = SliceWriter::new(&mut *content);
        writer
            .put(&[step.kv])
            .and_then(|()| writer.put(step.g))
            .and_then(|()| writer.put(step.m))
            .and_then(|()| writer.put(step.pid))
            .and_then(|()| writer.put(step.record))
            .map_err(internal)?;
        self.storage
            .write(area, slot_layout::KEYS, &*content)
            .map_err(memory_failure)?;
        let state = slots.get_mut(spare).ok_or(StatusWord::CONDITIONS)?;
        *state = SlotState::Staged {
            kv: step.kv,
            drop_others: step.flags == 1,
            purse: false,
        };
        if index == SMALL_PAYMENT {
            next.purse.staged_loaded = next.purse.staged_loaded.max(step.loaded);
        }
        Ok(())
    }

    pub(crate) fn stage_purse(
        &mut self,
        next: &mut Control,
        kv: u8,
        seq: u32,
        cap: u32,
        ktac: &[u8; 16],
    ) -> Result<(), StatusWord> {
        if seq > u32::MAX >> 1 {
            return Err(StatusWord::WRONG_DATA);
        }
        let slots = next.slots.get_mut(SMALL_PAYMENT).ok_or(StatusWord::CONDITIONS)?;
        // Its slot is staged, and has no purse yet.
        let waiting = |slot: &SlotState| matches!(slot, SlotState::Staged { kv: staged, purse: false, .. } if *staged == kv);
        let slot = slots.iter().position(waiting).ok_or(StatusWord::CONDITIONS)?;
        let area = memory::slot(SMALL_PAYMENT, slot);
        self.storage
            .write(area, slot_layout::PURSE_FIXED, &cap.to_be_bytes())
            .map_err(memory_failure)?;
        self.storage
            .write(area, slot_layout::PURSE_FIXED.saturating_add(4), ktac)
            .map_err(memory_failure)?;
        if let Some(SlotState::Staged { purse, .. }) = slots.get_mut(slot) {
            *purse = true;
        }
        next.purse.staged_seq = seq;
        Ok(())
    }

    fn key_check_values(&self, half: Half) -> Result<Bytes<18>, StatusWord> {
        let keys = self
            .storage
            .read::<96>(memory::keys(half))
            .map_err(memory_failure)?;
        let mut out = Bytes::new();
        for key in keys.as_chunks::<16>().0 {
            out.put(&card_applet_spec::crypto::Key16::new(*key).kcv())
                .map_err(internal)?;
        }
        Ok(out)
    }
}

/// True when `day` is further ahead of the floor than any visit to the office explains.
pub(crate) fn is_leap(floor: Date, day: Date) -> bool {
    !floor.is_none() && day.day_number().saturating_sub(floor.day_number()) > MAX_LEAP_DAYS
}

fn finalise(
    next: &mut Control,
    kind: ScriptKind,
    n: u16,
    count: u16,
    digest: &[u8; 32],
    today: Date,
) -> Result<(), StatusWord> {
    let counted = count.checked_add(1) == Some(n) && equal(digest, &next.script.digest);
    let whole = if kind == ScriptKind::Personalise {
        next.is_complete()
    } else {
        next.has_no_half_staged()
    };
    if !counted || !whole || !next.has_its_purses() || today.is_none() {
        return Err(StatusWord::CONDITIONS);
    }
    // A clock that is years ahead would shut door S to every terminal. Without TRUST, which sets the floor, a script
    // with content is refused then; one that only changes the state is done, and leaves the floor where it is.
    let leap = !next.trust.staged && is_leap(next.floor, today);
    if leap && kind.has_content() {
        return Err(StatusWord::CONDITIONS);
    }
    next.make_live();
    if !leap {
        next.floor = next.floor.max(today);
    }
    let before = next.state;
    next.state = match kind {
        ScriptKind::Unblock => next.before_block,
        _ => kind.ends_in(before),
    };
    if kind == ScriptKind::Block {
        next.before_block = before;
    }
    next.script.open = None;
    if next.state == CardState::Terminated {
        // Nothing stays but the state and the name of the script that ended it.
        let ended = *next;
        *next = Control::BLANK;
        next.keys.live = None;
        next.generation = ended.generation;
        next.state = CardState::Terminated;
        next.script = ended.script;
        next.floor = ended.floor;
    }
    Ok(())
}
