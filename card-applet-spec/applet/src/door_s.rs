//! Door S on the card: the terminal shows itself first, then keys are agreed, then objects are read (chapter 07).

use card_applet_spec::Bytes;
use card_applet_spec::Error as SpecError;
use card_applet_spec::apdu::{Header, ParsedCommand, StatusWord};
use card_applet_spec::bytes::{Reader, Write};
use card_applet_spec::certificate::{CARD_CERTIFICATE_LEN, TerminalCertificate};
use card_applet_spec::codes::{Rights, SUITE};
use card_applet_spec::crypto::{Hash, PrivateKey, PublicKey, sha256};
use card_applet_spec::date::Date;
use card_applet_spec::door_s::{Agree, AgreeAnswer, Object};
use card_applet_spec::scp03::{Channel, MAX_PLAIN};
use rand_core::CryptoRng;

use crate::answer::{Opening, answer, insecure, internal, memory_failure, unwrapped};
use crate::card::Card;
use crate::command::{Command, Gate};
use crate::control::Control;
use crate::door_i::is_leap;
use crate::memory::{self, Memory};
use crate::storage::{SlotContent, slot_layout};

/// The chain so far.
#[derive(Debug)]
pub(crate) struct Presenting {
    /// Over the certificates as they came.
    certificates: Hash,
    intermediate: TerminalCertificate,
    leaf: Option<Leaf>,
    challenge: Option<[u8; 16]>,
}

#[derive(Debug)]
struct Leaf {
    public: PublicKey,
    digest: [u8; 32],
    /// Rights of the chain.
    rights: Rights,
    expiry: Date,
}

/// An open door S.
#[derive(Debug)]
pub(crate) struct DoorS {
    channel: Channel,
    rights: Rights,
}

impl DoorS {
    /// The door stays open, and says this.
    fn answering(mut self, body: &[u8]) -> Opening<Self> {
        let answer = self.channel.wrap_answer(body, StatusWord::OK).map_err(internal)?;
        Ok((answer, self))
    }
}

/// A certificate that cannot be parsed: a point off the curve is a matter of form here, nothing was signed by it.
fn unparsable(_: SpecError) -> StatusWord {
    StatusWord::WRONG_DATA
}

impl Presenting {
    /// S1 with the leaf. Nothing of the card is looked at.
    pub(crate) fn leaf(mut self, command: &ParsedCommand<'_>) -> Opening<Self> {
        if self.leaf.is_some() || command.header != Header::present_certificate(1) {
            return Err(StatusWord::CONDITIONS);
        }
        command.has_le(None)?;
        let (certificate, body, signature) = TerminalCertificate::parse(command.data).map_err(unparsable)?;
        let intermediate = &self.intermediate;
        if certificate.issuer != intermediate.holder {
            return Err(StatusWord::NOT_FOUND);
        }
        intermediate
            .public
            .verify(&[body], &signature)
            .map_err(insecure)?;
        if !certificate.is_short_lived() {
            return Err(StatusWord::WRONG_DATA);
        }
        let rights = certificate.rights.intersection(intermediate.rights);
        if rights.is_empty() {
            return Err(StatusWord::WRONG_DATA);
        }
        self.certificates.update(command.data);
        self.leaf = Some(Leaf {
            public: certificate.public,
            digest: sha256(&[command.data]),
            rights,
            expiry: certificate.expiry,
        });
        Ok((answer(&[])?, self))
    }
}

impl<M: Memory, R: CryptoRng> Card<M, R> {
    /// S1 with the intermediate.
    pub(crate) fn present_intermediate(&self, command: &ParsedCommand<'_>) -> Opening<Presenting> {
        if self.gate(Command::PresentCertificate) != Gate::Open {
            return Err(StatusWord::CONDITIONS);
        }
        if command.header != Header::present_certificate(0) {
            // A leaf before its intermediate, or a wrong place.
            return Err(if command.header == Header::present_certificate(1) {
                StatusWord::CONDITIONS
            } else {
                StatusWord::WRONG_P1P2
            });
        }
        command.has_le(None)?;
        let half = self.storage.control().trust.live.ok_or(StatusWord::CONDITIONS)?;
        let trust = self
            .storage
            .read::<80>(memory::trust(half))
            .map_err(memory_failure)?;
        let mut reader = Reader::new(&*trust, "trust anchor");
        let name: [u8; 16] = reader.array().map_err(internal)?;
        let root = PublicKey::from_public64(&reader.array().map_err(internal)?).map_err(internal)?;
        let (certificate, body, signature) = TerminalCertificate::parse(command.data).map_err(unparsable)?;
        if certificate.issuer.0 != name {
            return Err(StatusWord::NOT_FOUND);
        }
        root.verify(&[body], &signature).map_err(insecure)?;
        // Anybody may hold these bytes: they move nothing on the card, and are not compared with its floor before the
        // terminal has proved its key (`freshened`).
        if !certificate.has_sound_dates() || certificate.rights.is_empty() {
            return Err(StatusWord::WRONG_DATA);
        }
        let mut certificates = Hash::new();
        certificates.update(command.data);
        let presenting = Presenting {
            certificates,
            intermediate: certificate,
            leaf: None,
            challenge: None,
        };
        Ok((answer(&[])?, presenting))
    }

    /// S2.
    pub(crate) fn get_challenge(
        &mut self,
        mut presenting: Presenting,
        command: &ParsedCommand<'_>,
    ) -> Opening<Presenting> {
        if command.header != Header::GET_CHALLENGE {
            return Err(StatusWord::WRONG_P1P2);
        }
        command.has_le(Some(16))?;
        if !command.data.is_empty() {
            return Err(StatusWord::WRONG_LENGTH);
        }
        if presenting.leaf.is_none() {
            return Err(StatusWord::CONDITIONS);
        }
        let mut challenge = [0; 16];
        self.rng.fill_bytes(&mut challenge);
        presenting.challenge = Some(challenge);
        Ok((answer(&challenge)?, presenting))
    }

    /// The control block with the floor and epoch that a chain brings, once its terminal has proved its key. A chain from
    /// a day that no visit explains is served and brings nothing: it may be a wrong clock's, and a floor in 2095 would
    /// shut the door to every honest terminal; but refused, a card that slept would find no terminal at all.
    fn freshened(&self, intermediate: &TerminalCertificate, leaf: &Leaf) -> Result<Control, StatusWord> {
        let control = *self.storage.control();
        let mut next = control;
        if !is_leap(control.floor, intermediate.effective) {
            next.floor = control.floor.max(intermediate.effective);
            next.epoch = control.epoch.max(intermediate.holder.epoch());
        }
        let ended = intermediate.expiry < next.floor
            || leaf.expiry < next.floor
            || intermediate.holder.epoch() < control.epoch;
        if ended { Err(StatusWord::ENDED) } else { Ok(next) }
    }

    /// S3: the terminal proves its key, and keys are agreed.
    pub(crate) fn agree(&mut self, presenting: &Presenting, command: &ParsedCommand<'_>) -> Opening<DoorS> {
        if command.header != Header::AGREE {
            return Err(StatusWord::WRONG_P1P2);
        }
        command.has_le(Some(0))?;
        if command.data.len() != card_applet_spec::door_s::AGREE_LEN {
            return Err(StatusWord::WRONG_LENGTH);
        }
        if command.data.first() != Some(&SUITE) {
            return Err(StatusWord::WRONG_DATA);
        }
        let (Some(leaf), Some(challenge)) = (&presenting.leaf, &presenting.challenge) else {
            return Err(StatusWord::CONDITIONS);
        };
        // Length and suite are right: what is left to refuse is a right that there is not, in no chain either.
        let request = Agree::parse(command.data).map_err(insecure)?;
        if request.rights.is_empty() || !leaf.rights.contains(request.rights) {
            return Err(StatusWord::SECURITY);
        }
        let domain = request.rights.domain().ok_or(StatusWord::WRONG_DATA)?;
        request
            .verify(challenge, &leaf.digest, &leaf.public)
            .map_err(insecure)?;
        let next = self.freshened(&presenting.intermediate, leaf)?;
        let answers = match self.gate(Command::Agree) {
            Gate::Open => true,
            Gate::ToVerify => request.rights.contains(Rights::VERIFY),
            Gate::Shut => false,
        };
        if !answers {
            return Err(StatusWord::CONDITIONS);
        }
        let terminal = PublicKey::from_point65(&request.point).map_err(insecure)?;
        let index = usize::from(domain.code()).saturating_sub(1);
        let pair = self.storage.control().domains.get(index).map(|state| state.pair);
        let half = pair.and_then(|pair| pair.live).ok_or(StatusWord::CONDITIONS)?;
        let area = memory::domain(index, half);
        let private = self.storage.read::<32>(area).map_err(memory_failure)?;
        let certificate = self
            .storage
            .read_at::<CARD_CERTIFICATE_LEN>(area, 96)
            .map_err(memory_failure)?;
        let fixed = PrivateKey::from_bytes(&private).map_err(internal)?;
        let control = self.storage.control();
        if (next.floor, next.epoch) != (control.floor, control.epoch) {
            self.storage.commit(next).map_err(memory_failure)?;
        }
        let ephemeral = PrivateKey::generate(&mut self.rng);
        let point = ephemeral.public().to_point65();
        let (z1, z2) = (ephemeral.agree(&terminal), fixed.agree(&terminal));
        let certificates = presenting.certificates.clone().finish();
        let transcript = request.transcript(&certificates, challenge, &point);
        let sealed = transcript.seal_certificate(&z1, &certificate).map_err(internal)?;
        let agreed = transcript.agree(&z1, &z2, &sealed, &certificate);
        let body = AgreeAnswer {
            point,
            sealed_certificate: sealed,
            mac: agreed.mac,
        }
        .encode()
        .map_err(internal)?;
        let door = DoorS {
            channel: Channel::new(agreed.keys),
            rights: request.rights,
        };
        Ok((answer(&body)?, door))
    }

    /// READ OBJECT.
    pub(crate) fn read(
        &self,
        mut door: DoorS,
        object: u8,
        p2: u8,
        command: &ParsedCommand<'_>,
    ) -> Opening<DoorS> {
        let plain = unwrapped(&mut door.channel, command)?;
        if p2 != 0 {
            return Err(StatusWord::WRONG_P1P2);
        }
        let body = self.read_object(door.rights, object, &plain)?;
        door.answering(&body)
    }

    /// RESET COUNTER.
    pub(crate) fn reset_counter(&mut self, mut door: DoorS, command: &ParsedCommand<'_>) -> Opening<DoorS> {
        let plain = unwrapped(&mut door.channel, command)?;
        if command.header != Header::RESET_COUNTER {
            return Err(StatusWord::WRONG_P1P2);
        }
        if !plain.is_empty() {
            return Err(StatusWord::WRONG_LENGTH);
        }
        if !door.rights.contains(Rights::ISSUER) {
            return Err(StatusWord::SECURITY);
        }
        self.storage.set_failures(0).map_err(memory_failure)?;
        door.answering(&[])
    }

    fn read_object(&self, rights: Rights, code: u8, request: &[u8]) -> Result<Bytes<MAX_PLAIN>, StatusWord> {
        let mut reader = Reader::new(request, "READ OBJECT");
        let (Ok(offset), Ok(length), Ok(())) = (reader.u16(), reader.u8(), reader.end()) else {
            return Err(StatusWord::WRONG_LENGTH);
        };
        if length == 0 || length > card_applet_spec::door_s::MAX_READ {
            return Err(StatusWord::WRONG_DATA);
        }
        let object = Object::from_code(code).map_err(|_| StatusWord::NOT_FOUND)?;
        // Roles with door F belong to terminals in the street; behind door S only the office checks them.
        let office_only = matches!(object, Object::Newest(role) | Object::Older(role) if role.has_door_f());
        if !rights.intersects(object.readable_with()) || (office_only && !rights.contains(Rights::VERIFY)) {
            return Err(StatusWord::SECURITY);
        }
        let offset = usize::from(offset);
        let length = usize::from(length);
        let control = self.storage.control();
        let stored = |index: usize| -> Result<_, StatusWord> {
            let state = control.objects.get(index).ok_or(StatusWord::NOT_FOUND)?;
            let half = state.pair.live.ok_or(StatusWord::NOT_FOUND)?;
            Ok((memory::object(index, half), usize::from(state.len)))
        };
        match object {
            Object::Dg1 => self.part_of_area(stored(0)?, offset, length),
            Object::Dg2 => self.part_of_area(stored(1)?, offset, length),
            Object::Dg3 => self.part_of_area(stored(2)?, offset, length),
            Object::Signature => self.part_of_area(stored(3)?, offset, length),
            Object::Newest(role) | Object::Older(role) => {
                let index = usize::from(role.code()).saturating_sub(1);
                let [newest, older] = self.storage.live_versions(index);
                let kv = if matches!(object, Object::Newest(_)) {
                    newest
                } else {
                    older
                };
                let slot = kv
                    .and_then(|kv| self.storage.live_slot(index, kv))
                    .ok_or(StatusWord::NOT_FOUND)?;
                let area = memory::slot(index, slot);
                let bytes = self
                    .storage
                    .read_at(area, slot_layout::KEYS)
                    .map_err(memory_failure)?;
                let content = SlotContent::parse(&bytes).map_err(internal)?;
                let mut out = Bytes::<177>::new();
                out.put(&[content.kv])
                    .and_then(|()| out.put(&content.pid))
                    .and_then(|()| out.put(&content.record))
                    .map_err(internal)?;
                part(&out, offset, length)
            }
            Object::Serial => part(&self.serial()?, offset, length),
            Object::Status => part(&self.status().encode().map_err(internal)?, offset, length),
        }
    }

    fn part_of_area(
        &self,
        (area, total): (memory::Area, usize),
        offset: usize,
        length: usize,
    ) -> Result<Bytes<MAX_PLAIN>, StatusWord> {
        let mut buffer = [0; MAX_PLAIN];
        let rest = total
            .checked_sub(offset)
            .filter(|rest| *rest > 0)
            .ok_or(StatusWord::WRONG_P1P2)?;
        let bytes = buffer.get_mut(..rest.min(length)).ok_or(StatusWord::WRONG_DATA)?;
        self.storage
            .read_into(area, offset, bytes)
            .map_err(memory_failure)?;
        with_total(total, bytes)
    }
}

fn part(object: &[u8], offset: usize, length: usize) -> Result<Bytes<MAX_PLAIN>, StatusWord> {
    let rest = object
        .get(offset..)
        .filter(|rest| !rest.is_empty())
        .ok_or(StatusWord::WRONG_P1P2)?;
    with_total(object.len(), rest.get(..length).unwrap_or(rest))
}

fn with_total(total: usize, bytes: &[u8]) -> Result<Bytes<MAX_PLAIN>, StatusWord> {
    let total = u16::try_from(total).map_err(|_| StatusWord::WRONG_DATA)?;
    let mut out = Bytes::new();
    out.put(&total.to_be_bytes())
        .and_then(|()| out.put(bytes))
        .map_err(internal)?;
    Ok(out)
}
