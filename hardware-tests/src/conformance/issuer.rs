//! The suite's own issuer (chapter 05): it opens door I, runs scripts step by step, and remembers what it wrote.
//!
//! Left out on purpose: doing it in one go as a vault does. A conformance case wants to stop between any two steps.

use card_applet_spec::apdu::Header;
use card_applet_spec::bytes::SliceWriter;
use card_applet_spec::certificate::CardCertificate;
use card_applet_spec::codes::{CardState, Domain, Role, Tier};
use card_applet_spec::crypto::{Key16, sha256};
use card_applet_spec::data_group::{Dg1, Dg2, Dg3, MAX_DG2, PortraitFormat, SignatureObject};
use card_applet_spec::kdf::KeySet;
use card_applet_spec::record::{Entitlement, binding, rule_set_digest};
use card_applet_spec::scp03::{Channel, InitializeUpdate, SessionKeys};
use card_applet_spec::script::{
    MAX_CHUNK, ScriptKind, SlotStep, Status, Step, WritableObject, chain_next, chain_start,
};

use crate::conformance::check::{Check, Stop, ensure, failed};
use crate::conformance::keys::EPOCH;
use crate::conformance::test_rig::{Answer, Purse, Slot, TestRig, encode};

/// Key version of the first personalisation.
pub(crate) const KV: u8 = 1;
/// Rule set of the suite's permits.
const RULE_SET: &str = "conformance-1";
/// Bytes of the portrait: the largest, so that the card's room is tried.
pub(crate) const PORTRAIT: usize = 6144;
/// Money on the purse after the personalisation, in fen.
pub(crate) const LOADED: u32 = 10_000;
/// Largest single amount, in fen.
pub(crate) const CAP: u32 = 3_000;
/// An open door I.
#[derive(Debug)]
pub(crate) struct DoorI {
    channel: Channel,
    /// True when the transport keys opened it.
    pub(crate) transport: bool,
}

impl DoorI {
    /// Resets, selects and opens door I with whichever keys the card proves.
    pub(crate) fn open(rig: &mut TestRig<'_>) -> Result<Self, Stop> {
        rig.select()?;
        let mut door = Self::propose(rig)?;
        let command = door.0.external_authenticate(&door.1)?;
        rig.send(&command)?.ok("EXTERNAL AUTHENTICATE with right keys")?;
        Ok(Self {
            channel: door.0,
            transport: door.2,
        })
    }

    /// INITIALIZE UPDATE: the channel, the host cryptogram, and whether the keys are the transport keys.
    pub(crate) fn propose(rig: &mut TestRig<'_>) -> Result<(Channel, [u8; 8], bool), Stop> {
        let keys = rig.static_keys()?;
        let host: [u8; 8] = rig.random();
        let body = rig
            .command(Header::INITIALIZE_UPDATE.to_bytes(), &host)?
            .ok("INITIALIZE UPDATE")?;
        let card = InitializeUpdate::parse(&body)?;
        for (at, keys) in keys.iter().enumerate() {
            let session = SessionKeys::derive(keys, &host, &card.card_challenge);
            if session.card_cryptogram(&host, &card.card_challenge) == card.card_cryptogram {
                let cryptogram = session.host_cryptogram(&host, &card.card_challenge);
                return Ok((Channel::new(session), cryptogram, at == 0));
            }
        }
        failed("the card cryptogram is made neither with the transport nor with the issuance keys")
    }

    /// The channel, for cases that break it.
    pub(crate) const fn channel(&mut self) -> &mut Channel {
        &mut self.channel
    }

    /// A wrapped command; the MAC of an answer with 9000, 62xx, 63xx is checked.
    pub(crate) fn call(
        &mut self,
        rig: &mut TestRig<'_>,
        header: Header,
        data: &[u8],
    ) -> Result<Answer, Stop> {
        let command = self.channel.wrap_command(header, data)?;
        let answer = rig.send(&command)?;
        let whole = [&answer.body[..], &answer.sw.to_be_bytes()].concat();
        let Ok((body, status)) = self.channel.unwrap_answer(&whole) else {
            return failed("the MAC or the padding of an answer in door I is wrong");
        };
        if !status.carries_mac() && !answer.body.is_empty() {
            return failed("bytes stand before a status that carries no MAC");
        }
        Ok(Answer {
            body: body.to_vec(),
            sw: answer.sw,
        })
    }

    /// GET STATUS.
    pub(crate) fn status(&mut self, rig: &mut TestRig<'_>) -> Result<Status, Stop> {
        let body = self.call(rig, Header::GET_STATUS, &[])?.ok("GET STATUS")?;
        Ok(Status::parse(&body)?)
    }

    /// A step that must be accepted.
    pub(crate) fn step(&mut self, rig: &mut TestRig<'_>, n: u16, bytes: &[u8]) -> Result<Vec<u8>, Stop> {
        self.call(rig, Header::step(n), bytes)?.ok(&format!("step {n}"))
    }

    /// A step that must be accepted, and the milliseconds until its answer.
    pub(crate) fn timed_step(&mut self, rig: &mut TestRig<'_>, n: u16, bytes: &[u8]) -> Result<f64, Stop> {
        let command = self.channel.wrap_command(Header::step(n), bytes)?;
        let (answer, spent) = rig.timed(&command)?;
        let whole = [&answer.body[..], &answer.sw.to_be_bytes()].concat();
        match self.channel.unwrap_answer(&whole) {
            Ok((_, status)) if status.is_ok() => Ok(spent),
            _ => failed(format!("step {n}: {:04X}, or a wrong MAC", answer.sw)),
        }
    }

    /// A step that must be refused, with this status where the specification names one. Then door I is opened again: a
    /// refusal ends the session.
    pub(crate) fn refused(
        &mut self,
        rig: &mut TestRig<'_>,
        n: u16,
        bytes: &[u8],
        sw: Option<u16>,
        what: &str,
    ) -> Check {
        let answer = self.call(rig, Header::step(n), bytes)?;
        match sw {
            Some(sw) => answer.is(sw, what)?,
            None => answer.is_refusal(what)?,
        }
        *self = Self::open(rig)?;
        Ok(())
    }
}

/// A session of door I whose bytes the suite makes itself, for what the record layer of the crate never wraps.
#[derive(Debug)]
pub(crate) struct OwnSession {
    enc: Key16,
    mac: Key16,
    /// Chaining value after EXTERNAL AUTHENTICATE.
    chaining: [u8; 16],
}

impl OwnSession {
    /// Resets, selects and opens door I.
    pub(crate) fn open(rig: &mut TestRig<'_>) -> Result<Self, Stop> {
        let keys = rig.static_keys()?;
        rig.select()?;
        let host: [u8; 8] = rig.random();
        let body = rig
            .command(Header::INITIALIZE_UPDATE.to_bytes(), &host)?
            .ok("INITIALIZE UPDATE")?;
        let card = InitializeUpdate::parse(&body)?;
        let challenges: [&[u8]; 2] = [&host, &card.card_challenge];
        let proves = |keys: &&KeySet| {
            SessionKeys::derive(keys, &host, &card.card_challenge)
                .card_cryptogram(&host, &card.card_challenge)
                == card.card_cryptogram
        };
        let Some(keys) = keys.iter().find(proves) else {
            return failed("the card cryptogram is made with no keys of the suite");
        };
        // SCP03, section 4.1.5: label with the constant, separator, length in bits, counter, context.
        let derived = |key: &Key16, constant: u8, bits: u8| {
            let label = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, constant, 0x00, 0x00, bits, 0x01];
            key.cmac(&[&label, challenges[0], challenges[1]])
        };
        let enc = Key16::new(derived(&keys.enc, 0x04, 0x80));
        let mac = Key16::new(derived(&keys.mac, 0x06, 0x80));
        let cryptogram = &derived(&mac, 0x01, 0x40)[..8];
        let header = Header::EXTERNAL_AUTHENTICATE.to_bytes();
        let chaining = mac.cmac(&[&[0; 16], &header, &[16], cryptogram]);
        let command = encode(header, &[cryptogram, &chaining[..8]].concat(), None);
        rig.send(&command)?.ok("EXTERNAL AUTHENTICATE with right keys")?;
        Ok(Self { enc, mac, chaining })
    }

    /// The first command, its body a block of padding and nothing else.
    pub(crate) fn padding_alone(&mut self, header: Header) -> Result<Vec<u8>, Stop> {
        let mut body = [0; 16];
        body[0] = 0x80;
        let mut counter = [0; 16];
        counter[15] = 1;
        let iv = self.enc.encrypt_block(counter);
        self.enc.cbc_encrypt(&iv, &mut body)?;
        let header = header.to_bytes();
        self.chaining = self.mac.cmac(&[&self.chaining, &header, &[24], &body]);
        Ok(encode(
            header,
            &[&body[..], &self.chaining[..8]].concat(),
            Some(0),
        ))
    }
}

/// A script under way.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) id: [u8; 16],
    /// Last step that the card accepted.
    pub(crate) n: u16,
    pub(crate) h: [u8; 32],
    /// h before the last step.
    pub(crate) before: [u8; 32],
    /// Op and payload of the last step.
    pub(crate) last: Vec<u8>,
}

impl Script {
    /// BEGIN of a fresh script.
    pub(crate) fn begin(rig: &mut TestRig<'_>, door: &mut DoorI, kind: ScriptKind) -> Result<Self, Stop> {
        let id = rig.random();
        Self::begin_as(rig, door, kind, id)
    }

    /// BEGIN with a given id.
    pub(crate) fn begin_as(
        rig: &mut TestRig<'_>,
        door: &mut DoorI,
        kind: ScriptKind,
        id: [u8; 16],
    ) -> Result<Self, Stop> {
        let mut script = Self {
            id,
            n: 0,
            h: chain_start(&id),
            before: [0; 32],
            last: Vec::new(),
        };
        script.next(rig, door, &begin_bytes(kind, id)?)?;
        Ok(script)
    }

    /// The next step, which must be accepted.
    pub(crate) fn next(
        &mut self,
        rig: &mut TestRig<'_>,
        door: &mut DoorI,
        bytes: &[u8],
    ) -> Result<Vec<u8>, Stop> {
        let n = self.n.saturating_add(1);
        let body = door.step(rig, n, bytes)?;
        self.count(bytes);
        Ok(body)
    }

    /// Counts a step as accepted.
    pub(crate) fn count(&mut self, bytes: &[u8]) {
        self.n = self.n.saturating_add(1);
        self.before = self.h;
        self.h = chain_next(&self.h, self.n, bytes);
        self.last = bytes.to_vec();
    }

    /// The next step, which must be refused.
    pub(crate) fn refused(
        &self,
        rig: &mut TestRig<'_>,
        door: &mut DoorI,
        bytes: &[u8],
        sw: Option<u16>,
        what: &str,
    ) -> Check {
        door.refused(rig, self.n.saturating_add(1), bytes, sw, what)
    }

    /// The bytes of FINALISE after the steps so far.
    pub(crate) fn finalise_bytes(&self, today: card_applet_spec::date::Date) -> Result<Vec<u8>, Stop> {
        let step = Step::Finalise {
            count: self.n,
            digest: self.h,
            today,
        };
        Ok(step.encode()?.to_vec())
    }

    /// FINALISE, which must be accepted; the state that the card says.
    pub(crate) fn finalise(&mut self, rig: &mut TestRig<'_>, door: &mut DoorI) -> Result<u8, Stop> {
        let bytes = self.finalise_bytes(rig.day(0)?)?;
        let body = self.next(rig, door, &bytes)?;
        match body[..] {
            [state] => Ok(state),
            _ => failed("the answer of FINALISE is not one byte"),
        }
    }
}

/// Op and payload of BEGIN.
pub(crate) fn begin_bytes(kind: ScriptKind, script: [u8; 16]) -> Result<Vec<u8>, Stop> {
    Ok(Step::Begin { kind, script }.encode()?.to_vec())
}

/// GENERATE of a domain.
pub(crate) fn generate(domain: Domain) -> [u8; 2] {
    [0x03, domain.code()]
}

/// A script that only changes the state.
pub(crate) fn change_state(rig: &mut TestRig<'_>, kind: ScriptKind) -> Result<CardState, Stop> {
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, kind)?;
    let state = script.finalise(rig, &mut door)?;
    Ok(CardState::try_from(state)?)
}

/// Something that a personalisation cannot be without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Object(WritableObject),
    Pair(Domain),
    Certificate(Domain),
    Keys,
    Trust,
}

impl Part {
    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        let mut all: Vec<Self> = WritableObject::ALL.into_iter().map(Self::Object).collect();
        all.extend(Domain::ALL.iter().map(|domain| Self::Pair(*domain)));
        all.extend(Domain::ALL.iter().map(|domain| Self::Certificate(*domain)));
        all.extend([Self::Keys, Self::Trust]);
        all
    }
}

/// What a script staged and the suite will know once it is live.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    pub(crate) publics: Option<[[u8; 64]; 3]>,
    pub(crate) objects: Option<[Vec<u8>; 4]>,
    pub(crate) slots: Vec<Slot>,
    /// Roles whose slots of other versions than the staged one and the one before are erased.
    pub(crate) drop_others: Vec<(Role, u8)>,
    pub(crate) purse: Option<Purse>,
    pub(crate) loaded: u32,
}

impl Staged {
    /// The script was finished: all of it counts.
    pub(crate) fn live(self, rig: &mut TestRig<'_>) {
        let fixture = &mut rig.fixture;
        if let Some(publics) = self.publics {
            fixture.publics = Some(publics);
            // New keys: records bound to the old ones are gone.
            fixture.slots.clear();
        }
        if let Some(objects) = self.objects {
            fixture.objects = objects;
        }
        for (role, kv) in self.drop_others {
            fixture
                .slots
                .retain(|slot| slot.role != role || slot.kv == kv || slot.kv.checked_add(1) == Some(kv));
        }
        for new in self.slots {
            fixture
                .slots
                .retain(|slot| (slot.role, slot.kv) != (new.role, new.kv));
            fixture.slots.push(new);
        }
        match &mut fixture.purse {
            Some(purse) => purse.loaded = purse.loaded.max(self.loaded),
            none => *none = self.purse,
        }
    }
}

/// Stages a personalisation behind BEGIN, all of it or all but one part.
pub(crate) fn stage(
    rig: &mut TestRig<'_>,
    door: &mut DoorI,
    script: &mut Script,
    without: Option<Part>,
    portrait: usize,
) -> Result<Staged, Stop> {
    let mut publics = [[0; 64]; 3];
    for (domain, public) in Domain::ALL.iter().zip(&mut publics) {
        // Without a pair its certificate cannot come either; what is signed over it names a key of nobody.
        if without == Some(Part::Pair(*domain)) {
            *public = card_applet_spec::crypto::PrivateKey::generate(rig.rng())
                .public()
                .to_public64();
            continue;
        }
        let body = script.next(rig, door, &generate(*domain))?;
        *public = match <[u8; 64]>::try_from(&body[..]) {
            Ok(public) => public,
            Err(_) => return failed("the answer of GENERATE is not 64 bytes"),
        };
        if without != Some(Part::Certificate(*domain)) {
            let step = certificate_step(rig, *domain, public)?;
            script.next(rig, door, &step)?;
        }
    }
    let objects = objects(rig, &publics[0], portrait, 1)?;
    for (object, bytes) in WritableObject::ALL.into_iter().zip(&objects) {
        if without != Some(Part::Object(object)) {
            write_object(rig, door, script, object, bytes)?;
        }
    }
    let mut staged = Staged {
        publics: Some(publics),
        objects: Some(objects),
        loaded: LOADED,
        ..Staged::default()
    };
    for role in Role::ALL {
        let slot = new_slot(rig, *role, KV, &publics, CAP)?;
        let loaded = if *role == Role::SmallPayment { LOADED } else { 0 };
        script.next(rig, door, &slot_bytes(&slot, 0, loaded)?)?;
        if *role == Role::SmallPayment {
            let seq = u32::from_be_bytes(rig.random()) >> 1;
            script.next(rig, door, &purse_bytes(&slot, seq)?)?;
            staged.purse = Some(Purse {
                seq,
                loaded: LOADED,
                spent: 0,
                txno: [0; 8],
                tac: [0; 8],
                masked: [0; 16],
            });
        }
        staged.slots.push(slot);
    }
    if without != Some(Part::Keys) {
        let (step, values) = keys_step(rig, door.transport)?;
        let body = script.next(rig, door, &step)?;
        ensure(
            body == values,
            "KEYS does not answer the check values of the six keys",
        )?;
    }
    if without != Some(Part::Trust) {
        let step = trust_step(rig, EPOCH, rig.day(-20)?)?;
        script.next(rig, door, &step)?;
    }
    Ok(staged)
}

/// The step CERTIFICATE for a key that the card made.
pub(crate) fn certificate_step(
    rig: &mut TestRig<'_>,
    domain: Domain,
    public: &[u8; 64],
) -> Result<Vec<u8>, Stop> {
    let keys = rig.keys()?;
    let (from, to, id) = (rig.day(0)?, rig.day(3650)?, rig.random());
    let certificate = CardCertificate::sign(&keys.card_ca, domain, 1, from, to, id, *public, rig.rng())?;
    let step = Step::Certificate {
        domain,
        certificate: &certificate.encode()?,
    };
    Ok(step.encode()?.to_vec())
}

/// The step KEYS under the DEK in force, and the check values that it must answer.
pub(crate) fn keys_step(rig: &TestRig<'_>, transport: bool) -> Result<(Vec<u8>, Vec<u8>), Stop> {
    let serial = rig.serial()?;
    let [blank, issued] = rig.static_keys()?;
    let updates = rig.keys()?.update_keys(&serial)?;
    let mut wrapped = [0; 96];
    let mut values = Vec::new();
    let six: [&Key16; 6] = [
        &issued.enc,
        &issued.mac,
        &issued.dek,
        &updates.enc,
        &updates.mac,
        &updates.dek,
    ];
    for (room, key) in wrapped.chunks_exact_mut(16).zip(six) {
        room.copy_from_slice(key.expose());
        values.extend(key.kcv());
    }
    let dek = if transport { &blank.dek } else { &issued.dek };
    dek.cbc_encrypt(&[0; 16], &mut wrapped)?;
    let step = Step::Keys { wrapped: &wrapped }.encode()?.to_vec();
    Ok((step, values))
}

/// The step TRUST with the test terminal CA.
pub(crate) fn trust_step(
    rig: &TestRig<'_>,
    epoch: u16,
    floor: card_applet_spec::date::Date,
) -> Result<Vec<u8>, Stop> {
    let keys = rig.keys()?;
    let step = Step::Trust {
        name: &keys.root_name().0,
        public64: &keys.terminal_root.public().to_public64(),
        epoch,
        floor,
    };
    Ok(step.encode()?.to_vec())
}

/// DG1, DG2, DG3 and signature object of a person who does not exist.
pub(crate) fn objects(
    rig: &mut TestRig<'_>,
    person: &[u8; 64],
    portrait: usize,
    counter: u32,
) -> Result<[Vec<u8>; 4], Stop> {
    let keys = rig.keys()?;
    let mut image = vec![0; portrait];
    rand_core::Rng::fill_bytes(rig.rng(), &mut image);
    let dg1 = Dg1 {
        name: "测试卡",
        sex: 2,
        nation: 1,
        birth_date: card_applet_spec::date::Date::new(1990, 3, 7)?,
        citizen_number: "440305199003070029",
        photo: sha256(&[&image]),
        hukou_address: "湖南省长沙市岳麓区示例路1号",
        residence_address: "广东省深圳市南山区示例街2号",
        issuing_organ: "测试卡不得用于人员",
        issue_date: rig.day(0)?,
        salt: rig.random(),
    }
    .encode()?
    .to_vec();
    let mut room = [0; MAX_DG2];
    let mut writer = SliceWriter::new(&mut room);
    Dg2 {
        format: PortraitFormat::Jpeg,
        image: &image,
        salt: rig.random(),
    }
    .encode(&mut writer)?;
    let used = writer.len();
    let dg2 = room[..used].to_vec();
    let dg3 = dg3(rig, counter)?;
    let signature = SignatureObject::sign(1, &keys.document_signer, person, [&dg1, &dg2, &dg3], rig.rng())?;
    Ok([dg1, dg2, dg3, signature.encode()?.to_vec()])
}

/// A permit block.
pub(crate) fn dg3(rig: &mut TestRig<'_>, counter: u32) -> Result<Vec<u8>, Stop> {
    Ok(Dg3 {
        permit_id: rig.random(),
        tier: Tier::Employment,
        issued: rig.day(0)?,
        endorsed_until: rig.day(365)?,
        rule_set: RULE_SET,
        state_counter: counter,
        salt: rig.random(),
    }
    .encode()?
    .to_vec())
}

/// WRITE steps of an object, accepted.
pub(crate) fn write_object(
    rig: &mut TestRig<'_>,
    door: &mut DoorI,
    script: &mut Script,
    object: WritableObject,
    bytes: &[u8],
) -> Check {
    let mut offset = 0;
    for data in bytes.chunks(MAX_CHUNK) {
        script.next(rig, door, &write_bytes(object as u8, bytes.len(), offset, data))?;
        offset += data.len();
    }
    Ok(())
}

/// Op and payload of WRITE, with any numbers.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a case of the suite never writes more than 64 kB"
)]
pub(crate) fn write_bytes(object: u8, total: usize, offset: usize, data: &[u8]) -> Vec<u8> {
    let mut step = vec![0x02, object];
    step.extend((total as u16).to_be_bytes());
    step.extend((offset as u16).to_be_bytes());
    step.extend(data);
    step
}

/// A slot with fresh keys, pseudonym and record, bound to the card's keys and valid for a year.
pub(crate) fn new_slot(
    rig: &mut TestRig<'_>,
    role: Role,
    kv: u8,
    publics: &[[u8; 64]; 3],
    cap: u32,
) -> Result<Slot, Stop> {
    slot_valid(rig, role, kv, publics, cap, [0, 365])
}

/// As [`new_slot`], with the record's first and last day counted from today.
pub(crate) fn slot_valid(
    rig: &mut TestRig<'_>,
    role: Role,
    kv: u8,
    publics: &[[u8; 64]; 3],
    cap: u32,
    days: [i32; 2],
) -> Result<Slot, Stop> {
    let keys = rig.keys()?;
    let pid: [u8; 16] = rig.random();
    let [cohort] = rig.random();
    let nonce: [u8; 12] = rig.random();
    rig.fixture.issued += 1;
    let public = match role.domain() {
        Domain::Person => &publics[0],
        Domain::Clinic => &publics[1],
        Domain::SocialInsurance => &publics[2],
    };
    let record = Entitlement {
        role,
        kv,
        issue_counter: rig.fixture.issued,
        tier: Tier::Employment,
        class: 1,
        services: 0b11,
        zones: 0b1,
        from: rig.day(days[0])?,
        to: rig.day(days[1])?,
        rule_set: rule_set_digest(RULE_SET),
        binding: binding(public, &pid, role),
    }
    .seal(
        &keys.entitlement_signer,
        &keys.record_key(role, kv, &pid)?,
        &pid,
        &nonce,
        rig.rng(),
    )?;
    Ok(Slot {
        role,
        kv,
        g: keys.group_key(role, kv, cohort)?,
        m: keys.tap_key(role, kv, &pid)?,
        pid,
        record,
        cap,
        ktac: keys.tac_key(kv, &pid)?,
    })
}

/// Op and payload of SLOT.
pub(crate) fn slot_bytes(slot: &Slot, flags: u8, loaded: u32) -> Result<Vec<u8>, Stop> {
    let step = Step::Slot(SlotStep {
        role: slot.role.code(),
        kv: slot.kv,
        flags,
        g: slot.g.expose(),
        m: slot.m.expose(),
        pid: &slot.pid,
        record: &slot.record,
        loaded,
    });
    Ok(step.encode()?.to_vec())
}

/// Op and payload of PURSE.
pub(crate) fn purse_bytes(slot: &Slot, seq: u32) -> Result<Vec<u8>, Stop> {
    let step = Step::Purse {
        kv: slot.kv,
        seq,
        cap: slot.cap,
        ktac: slot.ktac.expose(),
    };
    Ok(step.encode()?.to_vec())
}

/// The whole first script.
pub(crate) fn personalise(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Personalise)?;
    let staged = stage(rig, &mut door, &mut script, None, PORTRAIT)?;
    let state = script.finalise(rig, &mut door)?;
    ensure(
        state == CardState::Personalised.code(),
        "FINALISE of kind 01 does not answer 02",
    )?;
    staged.live(rig);
    Ok(())
}

/// A rewrite that brings new slots; each with its flags. The money on the purse becomes `loaded` where that is more.
pub(crate) fn rewrite_slots(rig: &mut TestRig<'_>, slots: &[(Role, u8, u8)], loaded: u32) -> Check {
    let publics = rig.publics()?;
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    let mut staged = Staged {
        loaded,
        ..Staged::default()
    };
    for (role, kv, flags) in slots {
        let slot = new_slot(rig, *role, *kv, &publics, CAP)?;
        let payment = *role == Role::SmallPayment;
        script.next(
            rig,
            &mut door,
            &slot_bytes(&slot, *flags, if payment { loaded } else { 0 })?,
        )?;
        if payment {
            let seq = u32::from_be_bytes(rig.random()) >> 1;
            script.next(rig, &mut door, &purse_bytes(&slot, seq)?)?;
            staged.purse = Some(Purse {
                seq,
                loaded,
                spent: 0,
                txno: [0; 8],
                tac: [0; 8],
                masked: [0; 16],
            });
        }
        if flags & 1 == 1 {
            staged.drop_others.push((*role, *kv));
        }
        staged.slots.push(slot);
    }
    script.finalise(rig, &mut door)?;
    staged.live(rig);
    Ok(())
}

/// A rewrite of TRUST; FINALISE then moves the floor to today.
pub(crate) fn rewrite_trust(rig: &mut TestRig<'_>, epoch: u16, floor: card_applet_spec::date::Date) -> Check {
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    let step = trust_step(rig, epoch, floor)?;
    script.next(rig, &mut door, &step)?;
    script.finalise(rig, &mut door)?;
    Ok(())
}

/// EXTERNAL AUTHENTICATE with a wrong cryptogram: one wrong try. The status must be 6982.
pub(crate) fn wrong_try(rig: &mut TestRig<'_>) -> Check {
    rig.select()?;
    let host: [u8; 8] = rig.random();
    rig.command(Header::INITIALIZE_UPDATE.to_bytes(), &host)?
        .ok("INITIALIZE UPDATE")?;
    let guess: [u8; 16] = rig.random();
    let command = encode(Header::EXTERNAL_AUTHENTICATE.to_bytes(), &guess, None);
    rig.send(&command)?
        .is(0x6982, "EXTERNAL AUTHENTICATE with a wrong cryptogram")
}

/// Everything before the wrong try itself.
pub(crate) fn prepare_wrong_try(rig: &mut TestRig<'_>) -> Result<Vec<u8>, Stop> {
    rig.select()?;
    let host: [u8; 8] = rig.random();
    rig.command(Header::INITIALIZE_UPDATE.to_bytes(), &host)?
        .ok("INITIALIZE UPDATE")?;
    let guess: [u8; 16] = rig.random();
    Ok(encode(Header::EXTERNAL_AUTHENTICATE.to_bytes(), &guess, None))
}
