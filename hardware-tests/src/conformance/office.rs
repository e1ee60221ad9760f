//! The suite's own issuing office (chapter 05): it opens door I, runs scripts step by step, and remembers what it wrote.
//!
//! Left out on purpose: doing it in one go as a vault does. A conformance case wants to stop between any two steps.

use card_applet_spec::apdu::Header;
use card_applet_spec::bytes::SliceWriter;
use card_applet_spec::certificate::CardCertificate;
use card_applet_spec::codes::{CardState, Domain, Role, Tier};
use card_applet_spec::crypto::{Key16, sha256};
use card_applet_spec::data_group::{Dg1, Dg2, Dg3, MAX_DG2, PortraitFormat, SignatureObject};
use card_applet_spec::record::{Entitlement, binding, rule_set_digest};
use card_applet_spec::scp03::{Channel, InitializeUpdate, SessionKeys};
use card_applet_spec::script::{
    MAX_CHUNK, ScriptKind, SlotStep, Status, Step, WritableObject, chain_next, chain_start,
};

use super::bench::{Answer, Bench, Purse, Slot, encode, ensure, failed, not_run};
use super::tap::Tap;
use super::{Check, Stop};

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
/// Epoch that TRUST sets.
pub(crate) const EPOCH: u16 = 3;

/// An open door I.
#[derive(Debug)]
pub(crate) struct DoorI {
    channel: Channel,
    /// True when the transport keys opened it.
    pub(crate) transport: bool,
}

impl DoorI {
    /// Resets, selects and opens door I with whichever keys the card proves.
    pub(crate) fn open(bench: &mut Bench<'_>) -> Result<Self, Stop> {
        bench.select()?;
        let mut door = Self::propose(bench)?;
        let command = door.0.external_authenticate(&door.1)?;
        bench
            .send(&command)?
            .ok("EXTERNAL AUTHENTICATE with right keys")?;
        Ok(Self {
            channel: door.0,
            transport: door.2,
        })
    }

    /// INITIALIZE UPDATE: the channel, the host cryptogram, and whether the keys are the transport keys.
    pub(crate) fn propose(bench: &mut Bench<'_>) -> Result<(Channel, [u8; 8], bool), Stop> {
        let keys = bench.static_keys()?;
        let host: [u8; 8] = bench.random();
        let body = bench
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
        bench: &mut Bench<'_>,
        header: Header,
        data: &[u8],
    ) -> Result<Answer, Stop> {
        let command = self.channel.wrap_command(header, data)?;
        let answer = bench.send(&command)?;
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
    pub(crate) fn status(&mut self, bench: &mut Bench<'_>) -> Result<Status, Stop> {
        let body = self.call(bench, Header::GET_STATUS, &[])?.ok("GET STATUS")?;
        Ok(Status::parse(&body)?)
    }

    /// A step that must be accepted.
    pub(crate) fn step(&mut self, bench: &mut Bench<'_>, n: u16, bytes: &[u8]) -> Result<Vec<u8>, Stop> {
        self.call(bench, Header::step(n), bytes)?.ok(&format!("step {n}"))
    }

    /// A step that must be accepted, and the milliseconds until its answer.
    pub(crate) fn timed_step(&mut self, bench: &mut Bench<'_>, n: u16, bytes: &[u8]) -> Result<f64, Stop> {
        let command = self.channel.wrap_command(Header::step(n), bytes)?;
        let (answer, spent) = bench.timed(&command)?;
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
        bench: &mut Bench<'_>,
        n: u16,
        bytes: &[u8],
        sw: Option<u16>,
        what: &str,
    ) -> Check {
        let answer = self.call(bench, Header::step(n), bytes)?;
        match sw {
            Some(sw) => answer.is(sw, what)?,
            None => answer.is_refusal(what)?,
        }
        *self = Self::open(bench)?;
        Ok(())
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
    pub(crate) fn begin(bench: &mut Bench<'_>, door: &mut DoorI, kind: ScriptKind) -> Result<Self, Stop> {
        let id = bench.random();
        Self::begin_as(bench, door, kind, id)
    }

    /// BEGIN with a given id.
    pub(crate) fn begin_as(
        bench: &mut Bench<'_>,
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
        script.next(bench, door, &begin_bytes(kind, id)?)?;
        Ok(script)
    }

    /// The next step, which must be accepted.
    pub(crate) fn next(
        &mut self,
        bench: &mut Bench<'_>,
        door: &mut DoorI,
        bytes: &[u8],
    ) -> Result<Vec<u8>, Stop> {
        let n = self.n.saturating_add(1);
        let body = door.step(bench, n, bytes)?;
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
        bench: &mut Bench<'_>,
        door: &mut DoorI,
        bytes: &[u8],
        sw: Option<u16>,
        what: &str,
    ) -> Check {
        door.refused(bench, self.n.saturating_add(1), bytes, sw, what)
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
    pub(crate) fn finalise(&mut self, bench: &mut Bench<'_>, door: &mut DoorI) -> Result<u8, Stop> {
        let bytes = self.finalise_bytes(bench.day(0)?)?;
        let body = self.next(bench, door, &bytes)?;
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
pub(crate) fn change_state(bench: &mut Bench<'_>, kind: ScriptKind) -> Result<CardState, Stop> {
    let mut door = DoorI::open(bench)?;
    let mut script = Script::begin(bench, &mut door, kind)?;
    let state = script.finalise(bench, &mut door)?;
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
    pub(crate) fn live(self, bench: &mut Bench<'_>) {
        let world = &mut bench.world;
        if let Some(publics) = self.publics {
            world.publics = Some(publics);
            // New keys: records bound to the old ones are gone.
            world.slots.clear();
        }
        if let Some(objects) = self.objects {
            world.objects = objects;
        }
        for (role, kv) in self.drop_others {
            world
                .slots
                .retain(|slot| slot.role != role || slot.kv == kv || slot.kv.checked_add(1) == Some(kv));
        }
        for new in self.slots {
            world
                .slots
                .retain(|slot| (slot.role, slot.kv) != (new.role, new.kv));
            world.slots.push(new);
        }
        match &mut world.purse {
            Some(purse) => purse.loaded = purse.loaded.max(self.loaded),
            none => *none = self.purse,
        }
    }
}

/// Stages a personalisation behind BEGIN, all of it or all but one part.
pub(crate) fn stage(
    bench: &mut Bench<'_>,
    door: &mut DoorI,
    script: &mut Script,
    without: Option<Part>,
    portrait: usize,
) -> Result<Staged, Stop> {
    let mut publics = [[0; 64]; 3];
    for (domain, public) in Domain::ALL.iter().zip(&mut publics) {
        // Without a pair its certificate cannot come either; what is signed over it names a key of nobody.
        if without == Some(Part::Pair(*domain)) {
            *public = card_applet_spec::crypto::PrivateKey::generate(bench.rng())
                .public()
                .to_public64();
            continue;
        }
        let body = script.next(bench, door, &generate(*domain))?;
        *public = match <[u8; 64]>::try_from(&body[..]) {
            Ok(public) => public,
            Err(_) => return failed("the answer of GENERATE is not 64 bytes"),
        };
        if without != Some(Part::Certificate(*domain)) {
            let step = certificate_step(bench, *domain, public)?;
            script.next(bench, door, &step)?;
        }
    }
    let objects = objects(bench, &publics[0], portrait, 1)?;
    for (object, bytes) in WritableObject::ALL.into_iter().zip(&objects) {
        if without != Some(Part::Object(object)) {
            write_object(bench, door, script, object, bytes)?;
        }
    }
    let mut staged = Staged {
        publics: Some(publics),
        objects: Some(objects),
        loaded: LOADED,
        ..Staged::default()
    };
    for role in Role::ALL {
        let slot = new_slot(bench, *role, KV, &publics, CAP)?;
        let loaded = if *role == Role::SmallPayment { LOADED } else { 0 };
        script.next(bench, door, &slot_bytes(&slot, 0, loaded)?)?;
        if *role == Role::SmallPayment {
            let seq = u32::from_be_bytes(bench.random()) >> 1;
            script.next(bench, door, &purse_bytes(&slot, seq)?)?;
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
        let (step, values) = keys_step(bench, door.transport)?;
        let body = script.next(bench, door, &step)?;
        ensure(
            body == values,
            "KEYS does not answer the check values of the six keys",
        )?;
    }
    if without != Some(Part::Trust) {
        let step = trust_step(bench, EPOCH, bench.day(-20)?)?;
        script.next(bench, door, &step)?;
    }
    Ok(staged)
}

/// The step CERTIFICATE for a key that the card made.
pub(crate) fn certificate_step(
    bench: &mut Bench<'_>,
    domain: Domain,
    public: &[u8; 64],
) -> Result<Vec<u8>, Stop> {
    let keys = bench.keys()?;
    let (from, to, id) = (bench.day(0)?, bench.day(3650)?, bench.random());
    let certificate = CardCertificate::sign(&keys.card_ca, domain, 1, from, to, id, *public, bench.rng())?;
    let step = Step::Certificate {
        domain,
        certificate: &certificate.encode()?,
    };
    Ok(step.encode()?.to_vec())
}

/// The step KEYS under the DEK in force, and the check values that it must answer.
pub(crate) fn keys_step(bench: &Bench<'_>, transport: bool) -> Result<(Vec<u8>, Vec<u8>), Stop> {
    let serial = bench.serial()?;
    let [blank, issued] = bench.static_keys()?;
    let updates = bench.keys()?.update_keys(&serial)?;
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
    bench: &Bench<'_>,
    epoch: u16,
    floor: card_applet_spec::date::Date,
) -> Result<Vec<u8>, Stop> {
    let keys = bench.keys()?;
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
    bench: &mut Bench<'_>,
    person: &[u8; 64],
    portrait: usize,
    counter: u32,
) -> Result<[Vec<u8>; 4], Stop> {
    let keys = bench.keys()?;
    let mut image = vec![0; portrait];
    rand_core::Rng::fill_bytes(bench.rng(), &mut image);
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
        issue_date: bench.day(0)?,
        salt: bench.random(),
    }
    .encode()?
    .to_vec();
    let mut room = [0; MAX_DG2];
    let mut writer = SliceWriter::new(&mut room);
    Dg2 {
        format: PortraitFormat::Jpeg,
        image: &image,
        salt: bench.random(),
    }
    .encode(&mut writer)?;
    let used = writer.len();
    let dg2 = room[..used].to_vec();
    let dg3 = dg3(bench, counter)?;
    let signature = SignatureObject::sign(1, &keys.document_signer, person, [&dg1, &dg2, &dg3], bench.rng())?;
    Ok([dg1, dg2, dg3, signature.encode()?.to_vec()])
}

/// A permit block.
pub(crate) fn dg3(bench: &mut Bench<'_>, counter: u32) -> Result<Vec<u8>, Stop> {
    Ok(Dg3 {
        permit_id: bench.random(),
        tier: Tier::Employment,
        issued: bench.day(0)?,
        endorsed_until: bench.day(365)?,
        rule_set: RULE_SET,
        state_counter: counter,
        salt: bench.random(),
    }
    .encode()?
    .to_vec())
}

/// WRITE steps of an object, accepted.
pub(crate) fn write_object(
    bench: &mut Bench<'_>,
    door: &mut DoorI,
    script: &mut Script,
    object: WritableObject,
    bytes: &[u8],
) -> Check {
    let mut offset = 0;
    for data in bytes.chunks(MAX_CHUNK) {
        script.next(bench, door, &write_bytes(object as u8, bytes.len(), offset, data))?;
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
    bench: &mut Bench<'_>,
    role: Role,
    kv: u8,
    publics: &[[u8; 64]; 3],
    cap: u32,
) -> Result<Slot, Stop> {
    slot_valid(bench, role, kv, publics, cap, [0, 365])
}

/// As [`new_slot`], with the record's first and last day counted from today.
pub(crate) fn slot_valid(
    bench: &mut Bench<'_>,
    role: Role,
    kv: u8,
    publics: &[[u8; 64]; 3],
    cap: u32,
    days: [i32; 2],
) -> Result<Slot, Stop> {
    let keys = bench.keys()?;
    let pid: [u8; 16] = bench.random();
    let [cohort] = bench.random();
    let nonce: [u8; 12] = bench.random();
    bench.world.issued += 1;
    let public = match role.domain() {
        Domain::Person => &publics[0],
        Domain::Clinic => &publics[1],
        Domain::SocialInsurance => &publics[2],
    };
    let record = Entitlement {
        role,
        kv,
        issue_counter: bench.world.issued,
        tier: Tier::Employment,
        class: 1,
        services: 0b11,
        zones: 0b1,
        from: bench.day(days[0])?,
        to: bench.day(days[1])?,
        rule_set: rule_set_digest(RULE_SET),
        binding: binding(public, &pid, role),
    }
    .seal(
        &keys.entitlement_signer,
        &keys.record_key(role, kv, &pid)?,
        &pid,
        &nonce,
        bench.rng(),
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
pub(crate) fn personalise(bench: &mut Bench<'_>) -> Check {
    let mut door = DoorI::open(bench)?;
    let mut script = Script::begin(bench, &mut door, ScriptKind::Personalise)?;
    let staged = stage(bench, &mut door, &mut script, None, PORTRAIT)?;
    let state = script.finalise(bench, &mut door)?;
    ensure(
        state == CardState::Personalised.code(),
        "FINALISE of kind 01 does not answer 02",
    )?;
    staged.live(bench);
    Ok(())
}

/// A rewrite that brings new slots; each with its flags. The money on the purse becomes `loaded` where that is more.
pub(crate) fn rewrite_slots(bench: &mut Bench<'_>, slots: &[(Role, u8, u8)], loaded: u32) -> Check {
    let publics = bench.publics()?;
    let mut door = DoorI::open(bench)?;
    let mut script = Script::begin(bench, &mut door, ScriptKind::Rewrite)?;
    let mut staged = Staged {
        loaded,
        ..Staged::default()
    };
    for (role, kv, flags) in slots {
        let slot = new_slot(bench, *role, *kv, &publics, CAP)?;
        let payment = *role == Role::SmallPayment;
        script.next(
            bench,
            &mut door,
            &slot_bytes(&slot, *flags, if payment { loaded } else { 0 })?,
        )?;
        if payment {
            let seq = u32::from_be_bytes(bench.random()) >> 1;
            script.next(bench, &mut door, &purse_bytes(&slot, seq)?)?;
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
    script.finalise(bench, &mut door)?;
    staged.live(bench);
    Ok(())
}

/// A rewrite of TRUST; FINALISE then moves the floor to today.
pub(crate) fn rewrite_trust(bench: &mut Bench<'_>, epoch: u16, floor: card_applet_spec::date::Date) -> Check {
    let mut door = DoorI::open(bench)?;
    let mut script = Script::begin(bench, &mut door, ScriptKind::Rewrite)?;
    let step = trust_step(bench, epoch, floor)?;
    script.next(bench, &mut door, &step)?;
    script.finalise(bench, &mut door)?;
    Ok(())
}

/// Brings a card of ours to a state, from whichever it is in.
pub(crate) fn bring_to(bench: &mut Bench<'_>, wanted: CardState) -> Check {
    if bench.world.terminated {
        return if wanted == CardState::Terminated {
            Ok(())
        } else {
            not_run("it is TERMINATED")
        };
    }
    // Wrong tries of an earlier case may have locked door I; then door S opens it.
    let mut door = match DoorI::open(bench) {
        Err(Stop::Failed(_)) if bench.world.publics.is_some() => {
            bench.unlock()?;
            DoorI::open(bench)?
        }
        other => other?,
    };
    // Two changes at most lead from any state to any other that can be reached.
    for _ in 0..4 {
        let state = door.status(bench)?.state;
        if state == wanted {
            return look_at_purse(bench, state);
        }
        match (state, wanted) {
            (CardState::Blank, _) => personalise(bench)?,
            (CardState::Terminated, _) => return not_run("it is TERMINATED"),
            (_, CardState::Blank) => return not_run("it is not BLANK any more"),
            (_, CardState::Terminated) => drop(change_state(bench, ScriptKind::Terminate)?),
            (CardState::Blocked, _) => drop(change_state(bench, ScriptKind::Unblock)?),
            (CardState::Personalised, _) => drop(change_state(bench, ScriptKind::Activate)?),
            (CardState::Active, CardState::Blocked) => drop(change_state(bench, ScriptKind::Block)?),
            (CardState::Active, _) => return not_run("it is ACTIVE already"),
        }
        if wanted == CardState::Terminated {
            bench.world.terminated = true;
            return Ok(());
        }
        door = DoorI::open(bench)?;
    }
    not_run("it does not change its state")
}

/// EXTERNAL AUTHENTICATE with a wrong cryptogram: one wrong try. The status must be 6982.
pub(crate) fn wrong_try(bench: &mut Bench<'_>) -> Check {
    bench.select()?;
    let host: [u8; 8] = bench.random();
    bench
        .command(Header::INITIALIZE_UPDATE.to_bytes(), &host)?
        .ok("INITIALIZE UPDATE")?;
    let guess: [u8; 16] = bench.random();
    let command = encode(Header::EXTERNAL_AUTHENTICATE.to_bytes(), &guess, None);
    bench
        .send(&command)?
        .is(0x6982, "EXTERNAL AUTHENTICATE with a wrong cryptogram")
}

/// Everything before the wrong try itself.
pub(crate) fn prepare_wrong_try(bench: &mut Bench<'_>) -> Result<Vec<u8>, Stop> {
    bench.select()?;
    let host: [u8; 8] = bench.random();
    bench
        .command(Header::INITIALIZE_UPDATE.to_bytes(), &host)?
        .ok("INITIALIZE UPDATE")?;
    let guess: [u8; 16] = bench.random();
    Ok(encode(Header::EXTERNAL_AUTHENTICATE.to_bytes(), &guess, None))
}

/// The purse as the card shows it: a case that failed may have left another than the suite thinks.
fn look_at_purse(bench: &mut Bench<'_>, state: CardState) -> Check {
    if state != CardState::Active || bench.world.purse.is_none() {
        return Ok(());
    }
    let kv = bench.newest(Role::SmallPayment)?;
    bench.select()?;
    // A card that shows nothing keeps the suite's figures, and its cases fail by them.
    if let Ok(plain) = Tap::send(bench, Role::SmallPayment.code(), kv)?.open(bench) {
        bench.world.purse = Some(Purse {
            seq: plain.seq,
            loaded: plain.loaded,
            spent: plain.spent,
            txno: plain.last_txno,
            tac: plain.tac,
            masked: plain.masked,
        });
    }
    Ok(())
}
