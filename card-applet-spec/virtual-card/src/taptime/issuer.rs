//! The people around the counted card: an office that personalises it through door I, and terminals that open doors F and
//! S. They hold their keys in the open, which a vault never does, and exist for the length of a count.
//!
//! Every command goes through [`Reader::send`], which counts what the card does between command and answer and nothing
//! else. Left out on purpose: whatever a terminal decides. It is the card's time that is modelled.

use std::collections::BTreeSet;

use card_applet::{Applet, Blank, MEMORY_LEN, manufacture};
use card_applet_spec::Error as SpecError;
use card_applet_spec::apdu::{Command, Header, StatusWord, split_answer};
use card_applet_spec::certificate::{CardCertificate, CertificateName, TerminalCertificate};
use card_applet_spec::codes::{AID, Domain, Region, Rights, Role, Serial, Tier};
use card_applet_spec::crypto::{Key32, PrivateKey, PublicKey, sha256};
use card_applet_spec::data_group::{Dg1, Dg2, Dg3, MAX_DG2, MAX_PORTRAIT, PortraitFormat, SignatureObject};
use card_applet_spec::date::Date;
use card_applet_spec::door_f::{CommitBody, TapAnswer, TapPlain, tap_command};
use card_applet_spec::door_s::{Agree, AgreeAnswer, MAX_READ, Object, read_request};
use card_applet_spec::kdf::{self, KeySet};
use card_applet_spec::meter::KeyTag;
use card_applet_spec::record::{Entitlement, binding, rule_set_digest};
use card_applet_spec::scp03::{Channel, InitializeUpdate, SessionKeys};
use card_applet_spec::script::{
    MAX_CHUNK, ScriptKind, SlotStep, Step, WritableObject, chain_next, chain_start,
};
use card_applet_spec::update::{Operation, SealedUpdate};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_core::Rng;

use crate::error::Error;
use crate::memory::CardMemory;
use crate::meter::{Event, MeteredMemory, MeteredRandom, record};

/// Key version of what the card is personalised with.
pub(super) const KV: u8 = 1;

/// A command and its answer.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    /// The command, in the words of the specification.
    pub(super) command: &'static str,
    /// Bytes of the command APDU.
    pub(super) sent: usize,
    /// Bytes of the answer APDU.
    pub(super) answered: usize,
    /// What the card did.
    pub(super) events: Vec<Event>,
    /// Symmetric keys that the command brings to stay: a Java Card sets them into key objects, the reference card writes
    /// them to its memory.
    pub(super) new_keys: u32,
}

/// A card on a reader, from power on; everything that it did.
pub(super) struct Reader {
    card: Applet<MeteredMemory<CardMemory>, MeteredRandom<StdRng>>,
    pub(super) exchanges: Vec<Exchange>,
}

/// Why a count stops: the card refuses, or an encoder does.
pub(super) enum Stop {
    Status(StatusWord),
    Form(SpecError),
}

impl From<SpecError> for Stop {
    fn from(error: SpecError) -> Self {
        Self::Form(error)
    }
}

fn stopped(step: &'static str) -> impl FnOnce(Stop) -> Error {
    move |stop| Error::ModelStopped {
        step,
        reason: match stop {
            Stop::Status(status) => format!("the card answered {status}"),
            Stop::Form(error) => error.to_string(),
        },
    }
}

/// An encoder of ours refused: the step names where.
fn form(step: &'static str) -> impl FnOnce(SpecError) -> Error {
    move |error| stopped(step)(Stop::Form(error))
}

/// The array that these bytes should be.
fn array<const N: usize>(step: &'static str, bytes: &[u8]) -> Result<[u8; N], Error> {
    bytes
        .try_into()
        .map_err(|_| form(step)(SpecError::Malformed { what: "answer" }))
}

impl Reader {
    pub(super) fn power_on(image: &[u8], seed: u8) -> Result<Self, Error> {
        let memory = MeteredMemory(CardMemory::from_image(image.to_vec()));
        let random = MeteredRandom(StdRng::from_seed([seed; 32]));
        let card = Applet::power_on(memory, random).map_err(|error| Error::ModelStopped {
            step: "power on",
            reason: error.to_string(),
        })?;
        Ok(Self {
            card,
            exchanges: Vec::new(),
        })
    }

    /// The card's memory as it is now.
    pub(super) fn image(self) -> Vec<u8> {
        self.card.power_off().0.0.image()
    }

    /// Sends a command; gives body and status word, whatever it is.
    fn exchange(&mut self, name: &'static str, command: &Command, new_keys: u32) -> (Vec<u8>, Vec<u8>) {
        let (answer, events) = record(|| self.card.process(command));
        self.exchanges.push(Exchange {
            command: name,
            sent: command.len(),
            answered: answer.len(),
            events,
            new_keys,
        });
        let body = split_answer(&answer).map_or(&[][..], |(body, _)| body);
        (body.to_vec(), answer.to_vec())
    }

    /// Sends a command in clear that must be answered 9000; gives the body.
    pub(super) fn send(
        &mut self,
        name: &'static str,
        header: Header,
        data: &[u8],
        le: Option<u8>,
    ) -> Result<Vec<u8>, Error> {
        let command = header.command(data, le).map_err(form(name))?;
        let (body, answer) = self.exchange(name, &command, 0);
        match split_answer(&answer) {
            Ok((_, status)) if status.is_ok() => Ok(body),
            Ok((_, status)) => Err(stopped(name)(Stop::Status(status))),
            Err(error) => Err(stopped(name)(Stop::Form(error))),
        }
    }

    /// Sends a command inside a secure channel; the answer's MAC must be right and its status 9000.
    fn send_inside(
        &mut self,
        name: &'static str,
        channel: &mut Channel,
        header: Header,
        data: &[u8],
        new_keys: u32,
    ) -> Result<Vec<u8>, Error> {
        let command = channel.wrap_command(header, data).map_err(form(name))?;
        let (_, answer) = self.exchange(name, &command, new_keys);
        let (body, status) = channel.unwrap_answer(&answer).map_err(form(name))?;
        if status.is_ok() {
            Ok(body.to_vec())
        } else {
            Err(stopped(name)(Stop::Status(status)))
        }
    }

    pub(super) fn select(&mut self) -> Result<(), Error> {
        self.send("SELECT", Header::SELECT, &AID, Some(0)).map(|_| ())
    }
}

/// A TAP and what it showed.
pub(super) struct Tapped {
    role: Role,
    kv: u8,
    terminal_challenge: [u8; 16],
    answer: TapAnswer,
    plain: Option<TapPlain>,
}

impl Tapped {
    /// True when the card showed a live slot.
    #[cfg(test)]
    pub(super) const fn is_live(&self) -> bool {
        self.plain.is_some()
    }
}

/// Masters, signers and the random source of the host side.
pub(super) struct Issuer {
    serial: Serial,
    region: Region,
    lot: Key32,
    issuance: Key32,
    group: Key32,
    tap: Key32,
    record: Key32,
    tac: Key32,
    card_ca: PrivateKey,
    document_signer: PrivateKey,
    entitlement_signer: PrivateKey,
    root: PrivateKey,
    intermediate: PrivateKey,
    today: Date,
    rng: StdRng,
    /// The card's public keys, once it is personalised.
    publics: [[u8; 64]; 3],
    /// Keys that stay on the card: a Java Card holds them as initialised key objects.
    pub(super) stored: BTreeSet<KeyTag>,
}

const ROOT_NAME: &str = "YZTROOT";
const CA_NAME: &str = "YZTCA";
const RULE_SET: &str = "cn-440300/1";
const COHORT: u8 = 77;

impl Issuer {
    pub(super) fn new() -> Result<Self, Error> {
        let mut rng = StdRng::from_seed([0x59; 32]);
        let mut master = || {
            let mut bytes = [0; 32];
            rng.fill_bytes(&mut bytes);
            Key32::new(bytes)
        };
        let [lot, issuance, group, tap, record, tac] = std::array::from_fn(|_| master());
        let mut signer = || PrivateKey::generate(&mut rng);
        let [card_ca, document_signer, entitlement_signer, root, intermediate] =
            std::array::from_fn(|_| signer());
        let region = Region::from_bytes([0x44, 0x03, 0x00]).map_err(form("region"))?;
        let mut issuer = Self {
            serial: Serial([0, 1, 0, 0, 0, 1, 0, 0, 0, 1]),
            region,
            lot,
            issuance,
            group,
            tap,
            record,
            tac,
            card_ca,
            document_signer,
            entitlement_signer,
            root,
            intermediate,
            today: Date::new(2026, 11, 21).map_err(form("today"))?,
            rng,
            publics: [[0; 64]; 3],
            stored: BTreeSet::new(),
        };
        issuer.stored.extend(issuer.keys_that_stay()?);
        Ok(issuer)
    }

    /// Transport, issuance and update keys, G and M of every slot, Ktac, and the trust anchor.
    fn keys_that_stay(&self) -> Result<Vec<KeyTag>, Error> {
        let step = "keys";
        let mut tags = vec![KeyTag::of(&self.root.public().to_point65())];
        let sets = [
            kdf::transport_keys(&self.lot, &self.serial),
            kdf::issuance_keys(&self.issuance, &self.serial),
            kdf::update_keys(&self.issuance, &self.serial),
        ];
        for set in sets {
            let KeySet { enc, mac, dek } = set.map_err(form(step))?;
            tags.extend([enc, mac, dek].map(|key| KeyTag::of(key.expose())));
        }
        for role in Role::ALL {
            let (g, m) = self.slot_keys(*role, KV).map_err(form(step))?;
            tags.extend([g, m].map(|key| KeyTag::of(key.expose())));
        }
        let pid = Self::pid(Role::SmallPayment, KV);
        let ktac = kdf::tac_key(&self.tac, Role::SmallPayment, KV, &pid).map_err(form(step))?;
        tags.push(KeyTag::of(ktac.expose()));
        Ok(tags)
    }

    /// Any value does: the card does the same work for each.
    const fn pid(role: Role, kv: u8) -> [u8; 16] {
        let mut pid = [0xA0; 16];
        pid[0] = role.code();
        pid[1] = kv;
        pid
    }

    fn slot_keys(
        &self,
        role: Role,
        kv: u8,
    ) -> Result<(card_applet_spec::crypto::Key16, card_applet_spec::crypto::Key16), SpecError> {
        Ok((
            kdf::group_key(&self.group, role, self.region, kv, COHORT)?,
            kdf::tap_key(&self.tap, role, self.region, kv, &Self::pid(role, kv))?,
        ))
    }

    /// The memory of a blank.
    pub(super) fn blank(&mut self) -> Result<Vec<u8>, Error> {
        let memory = CardMemory::ram(MEMORY_LEN);
        let transport = kdf::transport_keys(&self.lot, &self.serial).map_err(form("blank"))?;
        let blank = Blank {
            serial: self.serial,
            transport: &transport,
        };
        manufacture(&mut memory.clone(), &blank, &mut self.rng).map_err(|_| Error::BlankFailed)?;
        Ok(memory.image())
    }

    // Door I

    /// Opens door I, and reads the status as the vault does before each script.
    fn open_door_i(&mut self, reader: &mut Reader, keys: &KeySet) -> Result<Channel, Error> {
        reader.select()?;
        let mut challenge = [0; 8];
        self.rng.fill_bytes(&mut challenge);
        let step = "INITIALIZE UPDATE";
        let answer = reader.send(step, Header::INITIALIZE_UPDATE, &challenge, Some(0))?;
        let answer = InitializeUpdate::parse(&answer).map_err(form(step))?;
        let session = SessionKeys::derive(keys, &challenge, &answer.card_challenge);
        let cryptogram = session.host_cryptogram(&challenge, &answer.card_challenge);
        let mut channel = Channel::new(session);
        let step = "EXTERNAL AUTHENTICATE";
        let command = channel.external_authenticate(&cryptogram).map_err(form(step))?;
        let (_, answer) = reader.exchange(step, &command, 0);
        let (_, status) = split_answer(&answer).map_err(form(step))?;
        if !status.is_ok() {
            return Err(stopped(step)(Stop::Status(status)));
        }
        reader.send_inside("GET STATUS", &mut channel, Header::GET_STATUS, &[], 0)?;
        Ok(channel)
    }

    fn issuance_keys(&self) -> Result<KeySet, Error> {
        kdf::issuance_keys(&self.issuance, &self.serial).map_err(form("issuance keys"))
    }

    /// The first session of a card: from BLANK to PERSONALISED.
    pub(super) fn personalise(&mut self, reader: &mut Reader) -> Result<(), Error> {
        let transport = kdf::transport_keys(&self.lot, &self.serial).map_err(form("transport keys"))?;
        let channel = self.open_door_i(reader, &transport)?;
        let mut script = Script::begin(reader, channel, ScriptKind::Personalise, 1)?;
        for (index, domain) in Domain::ALL.iter().enumerate() {
            let public = script.step(&Step::Generate { domain: *domain })?;
            self.publics[index] = array("GENERATE", &public)?;
        }
        self.write_groups(&mut script, &["广东省深圳市南山区粤海街道"; 2], true)?;
        for (domain, public) in Domain::ALL.iter().zip(self.publics) {
            let until = Date::new(2036, 11, 20).map_err(form("certificate"))?;
            let id = [domain.code(); 16];
            let certificate = CardCertificate::sign(
                &self.card_ca,
                *domain,
                1,
                self.today,
                until,
                id,
                public,
                &mut self.rng,
            )
            .and_then(|certificate| certificate.encode())
            .map_err(form("certificate"))?;
            script.step(&Step::Certificate {
                domain: *domain,
                certificate: &certificate,
            })?;
        }
        for role in Role::ALL {
            self.write_slot(&mut script, *role, KV)?;
        }
        let pid = Self::pid(Role::SmallPayment, KV);
        let ktac = kdf::tac_key(&self.tac, Role::SmallPayment, KV, &pid).map_err(form("PURSE"))?;
        script.step(&Step::Purse {
            kv: KV,
            seq: 1000,
            cap: 10_000,
            ktac: ktac.expose(),
        })?;
        let mut wrapped = self.new_card_keys()?;
        transport
            .dek
            .cbc_encrypt(&[0; 16], &mut wrapped)
            .map_err(form("KEYS"))?;
        script.step(&Step::Keys { wrapped: &wrapped })?;
        script.step(&Step::Trust {
            name: &CertificateName::new(ROOT_NAME, 1, 1).0,
            public64: &self.root.public().to_public64(),
            epoch: 1,
            floor: self.today,
        })?;
        script.finalise(self.today)
    }

    /// The holder has moved: new DG1 and DG3 with their signature, and a new record of one role.
    pub(super) fn change_address(&mut self, reader: &mut Reader) -> Result<(), Error> {
        let keys = self.issuance_keys()?;
        let channel = self.open_door_i(reader, &keys)?;
        let mut script = Script::begin(reader, channel, ScriptKind::Rewrite, 2)?;
        self.write_groups(
            &mut script,
            &["湖南省长沙市岳麓区", "广东省深圳市福田区莲花街道"],
            false,
        )?;
        self.write_slot(&mut script, Role::Clinic, KV + 1)?;
        script.finalise(self.today)
    }

    /// A script that only changes the state: activate, block, unblock, terminate.
    pub(super) fn change_state(&mut self, reader: &mut Reader, kind: ScriptKind) -> Result<(), Error> {
        let keys = self.issuance_keys()?;
        let channel = self.open_door_i(reader, &keys)?;
        Script::begin(reader, channel, kind, kind.code() + 16)?.finalise(self.today)
    }

    fn new_card_keys(&self) -> Result<[u8; 96], Error> {
        let mut bytes = Vec::new();
        let updates = kdf::update_keys(&self.issuance, &self.serial).map_err(form("KEYS"))?;
        for set in [self.issuance_keys()?, updates] {
            for key in [&set.enc, &set.mac, &set.dek] {
                bytes.extend_from_slice(key.expose());
            }
        }
        array("KEYS", &bytes)
    }

    /// DG1 to DG3 and the signature object; DG2 only with the first writing.
    fn write_groups(
        &mut self,
        script: &mut Script<'_>,
        [hukou, residence]: &[&str; 2],
        with_portrait: bool,
    ) -> Result<(), Error> {
        let step = "data groups";
        let image: Vec<u8> = (0..MAX_PORTRAIT).map(|at| (at % 251).to_le_bytes()[0]).collect();
        let birth = Date::new(1985, 11, 12).map_err(form(step))?;
        let until = Date::new(2027, 11, 20).map_err(form(step))?;
        let dg1 = Dg1 {
            name: "李娜",
            sex: 2,
            nation: 1,
            birth_date: birth,
            citizen_number: "440305198511120028",
            photo: sha256(&[&image]),
            hukou_address: hukou,
            residence_address: residence,
            issuing_organ: "深圳市公安局南山分局",
            issue_date: self.today,
            salt: [1; 16],
        };
        let dg1 = dg1.encode().map_err(form(step))?;
        let mut dg2 = card_applet_spec::Bytes::<MAX_DG2>::new();
        let portrait = Dg2 {
            format: PortraitFormat::Jpeg,
            image: &image,
            salt: [2; 16],
        };
        portrait.encode(&mut dg2).map_err(form(step))?;
        let dg3 = Dg3 {
            permit_id: [7; 16],
            tier: Tier::Employment,
            issued: self.today,
            endorsed_until: until,
            rule_set: RULE_SET,
            state_counter: 1,
            salt: [3; 16],
        };
        let dg3 = dg3.encode().map_err(form(step))?;
        let signature = SignatureObject::sign(
            1,
            &self.document_signer,
            &self.publics[0],
            [&dg1, &dg2, &dg3],
            &mut self.rng,
        )
        .and_then(|object| object.encode())
        .map_err(form(step))?;
        script.write(WritableObject::Dg1, &dg1)?;
        if with_portrait {
            script.write(WritableObject::Dg2, &dg2)?;
        }
        script.write(WritableObject::Dg3, &dg3)?;
        script.write(WritableObject::Signature, &signature)
    }

    fn record_of(&mut self, role: Role, kv: u8) -> Result<[u8; 160], SpecError> {
        let pid = Self::pid(role, kv);
        let public64 = &self.publics[usize::from(role.domain().code()) - 1];
        let entitlement = Entitlement {
            role,
            kv,
            issue_counter: 1,
            tier: Tier::Employment,
            class: 1,
            services: 3,
            zones: 1,
            from: self.today,
            to: Date::new(2027, 11, 20)?,
            rule_set: rule_set_digest(RULE_SET),
            binding: binding(public64, &pid, role),
        };
        let key = kdf::record_key(&self.record, role, self.region, kv, &pid)?;
        entitlement.seal(&self.entitlement_signer, &key, &pid, &[5; 12], &mut self.rng)
    }

    fn write_slot(&mut self, script: &mut Script<'_>, role: Role, kv: u8) -> Result<(), Error> {
        let record = self.record_of(role, kv).map_err(form("SLOT"))?;
        let (g, m) = self.slot_keys(role, kv).map_err(form("SLOT"))?;
        script.step(&Step::Slot(SlotStep {
            role: role.code(),
            kv,
            flags: 0,
            g: g.expose(),
            m: m.expose(),
            pid: &Self::pid(role, kv),
            record: &record,
            loaded: if role == Role::SmallPayment { 20_000 } else { 0 },
        }))?;
        Ok(())
    }

    // Door F

    /// TAP, after SELECT. A card that shows nothing gives a TAP without content; that is no error.
    pub(super) fn tap(&mut self, reader: &mut Reader, role: Role, kv: u8) -> Result<Tapped, Error> {
        let step = "TAP";
        let mut terminal_challenge = [0; 16];
        self.rng.fill_bytes(&mut terminal_challenge);
        let command = tap_command(role.code(), kv, &terminal_challenge).map_err(form(step))?;
        let (body, _) = reader.exchange(step, &command, 0);
        let answer = TapAnswer::parse(&body).map_err(form(step))?;
        let (g, m) = self.slot_keys(role, kv).map_err(form(step))?;
        let plain = answer.open(&g).ok();
        if plain.is_some() {
            answer
                .verify(&m, role.code(), kv, &terminal_challenge)
                .map_err(form(step))?;
        }
        Ok(Tapped {
            role,
            kv,
            terminal_challenge,
            answer,
            plain,
        })
    }

    /// COMMIT. The same `txno` a second time is the shop that lost the answer.
    pub(super) fn commit(&self, reader: &mut Reader, tapped: &Tapped, txno: u8) -> Result<(), Error> {
        let step = "COMMIT";
        let (role, kv) = (tapped.role.code(), tapped.kv);
        let (_, m) = self.slot_keys(tapped.role, kv).map_err(form(step))?;
        let body = CommitBody {
            amount: 250,
            tid: 42,
            txno: [txno; 8],
            time: 848_000_000,
            kind: 1,
        };
        let seq = tapped.plain.as_ref().map_or(0, |plain| plain.seq);
        let mac = body
            .mac(
                &m,
                role,
                kv,
                &tapped.terminal_challenge,
                &tapped.answer.card_challenge,
                seq,
            )
            .map_err(form(step))?;
        let data = [&body.encode().map_err(form(step))?[..], &mac].concat();
        reader
            .send(step, Header::commit(role, kv), &data, Some(25))
            .map(|_| ())
    }

    /// UPDATE that brings the next version of the tapped slot. False when this card takes no updates (6D00).
    pub(super) fn update(&mut self, reader: &mut Reader, tapped: &Tapped) -> Result<bool, Error> {
        let step = "UPDATE";
        let next = tapped.kv + 1;
        let record = self.record_of(tapped.role, next).map_err(form(step))?;
        let (g, m) = self.slot_keys(tapped.role, next).map_err(form(step))?;
        let slot = SlotStep {
            role: tapped.role.code(),
            kv: next,
            flags: 0,
            g: g.expose(),
            m: m.expose(),
            pid: &Self::pid(tapped.role, next),
            record: &record,
            loaded: 0,
        };
        let plain = Operation::Slot { slot, cap: 0 }.encode().map_err(form(step))?;
        let keys = kdf::update_keys(&self.issuance, &self.serial).map_err(form(step))?;
        let sealed = SealedUpdate::seal(&keys, 1, &plain).map_err(form(step))?;
        let (_, tap_key) = self.slot_keys(tapped.role, tapped.kv).map_err(form(step))?;
        let (role, kv) = (tapped.role.code(), tapped.kv);
        let mac = sealed
            .tap_mac(
                &tap_key,
                role,
                kv,
                &tapped.terminal_challenge,
                &tapped.answer.card_challenge,
            )
            .map_err(form(step))?;
        let data = sealed.command_data(&mac).map_err(form(step))?;
        let command = Header::update(role, kv)
            .command(&data, Some(16))
            .map_err(form(step))?;
        let (body, answer) = reader.exchange(step, &command, 2);
        let (_, status) = split_answer(&answer).map_err(form(step))?;
        if status == StatusWord::NO_INSTRUCTION {
            return Ok(false);
        }
        if !status.is_ok() {
            return Err(stopped(step)(Stop::Status(status)));
        }
        if body != sealed.receipt(&keys) {
            return Err(form(step)(SpecError::Crypto));
        }
        Ok(true)
    }

    // Door S

    /// Opens door S with these rights, with an intermediate that the card has seen before and a leaf of today.
    pub(super) fn open_door_s(&mut self, reader: &mut Reader, rights: Rights) -> Result<Channel, Error> {
        let step = "PRESENT CERTIFICATE";
        let day = |year, month, day| Date::new(year, month, day).map_err(form(step));
        let leaf_key = PrivateKey::generate(&mut self.rng);
        let ca_name = CertificateName::new(CA_NAME, 1, 1);
        let intermediate = TerminalCertificate {
            issuer: CertificateName::new(ROOT_NAME, 1, 1),
            public: self.intermediate.public(),
            holder: ca_name,
            rights: Rights::ALL,
            effective: day(2026, 11, 1)?,
            expiry: day(2027, 11, 1)?,
        }
        .sign(&self.root, &mut self.rng)
        .map_err(form(step))?;
        let leaf = TerminalCertificate {
            issuer: ca_name,
            public: leaf_key.public(),
            holder: CertificateName::new("TERMINAL", 1, 7),
            rights,
            effective: self.today,
            expiry: day(2026, 11, 25)?,
        }
        .sign(&self.intermediate, &mut self.rng)
        .map_err(form(step))?;
        reader.select()?;
        reader.send(
            "PRESENT CERTIFICATE 0",
            Header::present_certificate(0),
            &intermediate,
            None,
        )?;
        reader.send(
            "PRESENT CERTIFICATE 1",
            Header::present_certificate(1),
            &leaf,
            None,
        )?;
        let step = "GET CHALLENGE";
        let challenge = array(step, &reader.send(step, Header::GET_CHALLENGE, &[], Some(16))?)?;
        let step = "AGREE";
        let ephemeral = PrivateKey::generate(&mut self.rng);
        let agree = Agree::sign(
            rights,
            &ephemeral.public(),
            &challenge,
            &leaf,
            &leaf_key,
            &mut self.rng,
        )
        .map_err(form(step))?;
        let data = agree.encode().map_err(form(step))?;
        let body = reader.send(step, Header::AGREE, &data, Some(0))?;
        self.key_of(&agree, &ephemeral, &challenge, [&intermediate, &leaf], &body)
            .map_err(form(step))
    }

    /// The terminal's end of the agreement; the card must be genuine.
    fn key_of(
        &self,
        agree: &Agree,
        ephemeral: &PrivateKey,
        challenge: &[u8; 16],
        certificates: [&[u8]; 2],
        body: &[u8],
    ) -> Result<Channel, SpecError> {
        let answer = AgreeAnswer::parse(body)?;
        let transcript = agree.transcript(&sha256(&certificates), challenge, &answer.point);
        let z1 = ephemeral.agree(&PublicKey::from_point65(&answer.point)?);
        let bytes = transcript.open_certificate(&z1, &answer.sealed_certificate)?;
        let fixed = CardCertificate::parse(&bytes)?.verify(&self.card_ca.public())?;
        let agreed = transcript.agree(&z1, &ephemeral.agree(&fixed), &answer.sealed_certificate, &bytes);
        answer.verify(&agreed)?;
        Ok(Channel::new(agreed.keys))
    }
}

impl Reader {
    /// READ OBJECT until the end of the object; gives its length.
    pub(super) fn read_object(&mut self, channel: &mut Channel, object: Object) -> Result<usize, Error> {
        let step = "READ OBJECT";
        let mut length = 0;
        loop {
            let offset =
                u16::try_from(length).map_err(|_| form(step)(SpecError::TooLong { what: "object" }))?;
            let body = self.send_inside(
                step,
                channel,
                Header::read_object(object.code()),
                &read_request(offset, MAX_READ),
                0,
            )?;
            let (total, part) = body
                .split_first_chunk::<2>()
                .ok_or_else(|| form(step)(SpecError::Malformed { what: "object" }))?;
            length += part.len();
            if length >= usize::from(u16::from_be_bytes(*total)) {
                return Ok(length);
            }
        }
    }

    /// RESET COUNTER.
    pub(super) fn reset_counter(&mut self, channel: &mut Channel) -> Result<(), Error> {
        self.send_inside("RESET COUNTER", channel, Header::RESET_COUNTER, &[], 0)
            .map(|_| ())
    }
}

/// A script that runs in door I.
struct Script<'a> {
    reader: &'a mut Reader,
    channel: Channel,
    last: u16,
    digest: [u8; 32],
}

impl<'a> Script<'a> {
    fn begin(reader: &'a mut Reader, channel: Channel, kind: ScriptKind, number: u8) -> Result<Self, Error> {
        let script = [number; 16];
        let mut begun = Self {
            reader,
            channel,
            last: 0,
            digest: chain_start(&script),
        };
        begun.step(&Step::Begin { kind, script })?;
        Ok(begun)
    }

    fn step(&mut self, step: &Step<'_>) -> Result<Vec<u8>, Error> {
        let (name, new_keys) = match step {
            Step::Begin { .. } => ("STEP BEGIN", 0),
            Step::Write { .. } => ("STEP WRITE", 0),
            Step::Generate { .. } => ("STEP GENERATE", 0),
            Step::Certificate { .. } => ("STEP CERTIFICATE", 0),
            // G and M.
            Step::Slot(_) => ("STEP SLOT", 2),
            // Ktac.
            Step::Purse { .. } => ("STEP PURSE", 1),
            Step::Keys { .. } => ("STEP KEYS", 6),
            Step::Trust { .. } => ("STEP TRUST", 0),
            Step::Finalise { .. } => ("STEP FINALISE", 0),
        };
        let bytes = step.encode().map_err(form(name))?;
        self.last += 1;
        self.digest = chain_next(&self.digest, self.last, &bytes);
        self.reader
            .send_inside(name, &mut self.channel, Header::step(self.last), &bytes, new_keys)
    }

    fn write(&mut self, object: WritableObject, bytes: &[u8]) -> Result<(), Error> {
        let too_long = |_| form("STEP WRITE")(SpecError::TooLong { what: "object" });
        let total = u16::try_from(bytes.len()).map_err(too_long)?;
        for (place, data) in bytes.chunks(MAX_CHUNK).enumerate() {
            let offset = u16::try_from(place * MAX_CHUNK).map_err(too_long)?;
            self.step(&Step::Write {
                object,
                total,
                offset,
                data,
            })?;
        }
        Ok(())
    }

    fn finalise(mut self, today: Date) -> Result<(), Error> {
        let (count, digest) = (self.last, self.digest);
        self.step(&Step::Finalise { count, digest, today }).map(|_| ())
    }
}
