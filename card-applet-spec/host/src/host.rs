//! The host: memory that tears, masters as a vault holds them, scripts as a vault writes them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use card_applet::{Applet, Blank, MEMORY_LEN, Memory, MemoryFault, manufacture};
use card_applet_spec::apdu::{Answer, Header, StatusWord, split_answer};
use card_applet_spec::certificate::{CardCertificate, CertificateName, TerminalCertificate};
use card_applet_spec::codes::{AID, CardState, Domain, Region, Rights, Role, Serial, Tier};
use card_applet_spec::crypto::{Key32, PrivateKey};
use card_applet_spec::data_group::{Dg1, Dg2, Dg3, PortraitFormat, SignatureObject};
use card_applet_spec::date::Date;
use card_applet_spec::door_f::{CommitBody, TapAnswer, TapPlain, tap_command};
use card_applet_spec::door_s::{Agree, AgreeAnswer, Object, read_request};
use card_applet_spec::kdf::{self, KeySet};
use card_applet_spec::record::{Entitlement, binding, rule_set_digest};
use card_applet_spec::scp03::{Channel, InitializeUpdate, SessionKeys};
use card_applet_spec::script::{
    MAX_CHUNK, ScriptKind, SlotStep, Status, Step, WritableObject, chain_next, chain_start,
};
use card_applet_spec::update::{Operation, SealedUpdate};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_core::Rng;

use crate::dice::Dice;
use crate::watch::{has_read, has_written};

pub type Card = Applet<Ram, Dice>;

/// Memory whose power can fail in the middle of a write.
#[derive(Clone, Debug)]
pub struct Ram {
    pub bytes: Vec<u8>,
    /// Writes so far.
    pub writes: usize,
    /// Power fails at this write, after this many bytes of it (cut to its length).
    pub tear: Option<(usize, usize)>,
    pub dead: bool,
    /// The write fails, but power stays: the memory goes on to work.
    pub stays_lit: bool,
    /// Writes so far, of this memory and its clones together.
    pub written: Rc<Cell<usize>>,
    /// Set from outside while a card runs: power fails at its next write, after so many bytes.
    pub fuse: Rc<Cell<Option<usize>>>,
    /// From here on no write works: a part of the memory that is worn out.
    pub dead_from: Option<usize>,
    /// Every write, in order: where, and what. Kept while somebody asks for it.
    pub journal: Option<Rc<RefCell<Vec<Written>>>>,
}

/// One write: where, and what.
pub type Written = (usize, Vec<u8>);

impl Ram {
    pub fn new() -> Self {
        Self {
            bytes: vec![0xA5; MEMORY_LEN],
            writes: 0,
            tear: None,
            dead: false,
            stays_lit: false,
            written: Rc::default(),
            fuse: Rc::default(),
            dead_from: None,
            journal: None,
        }
    }
}

impl Memory for Ram {
    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), MemoryFault> {
        if self.dead {
            return Err(MemoryFault);
        }
        has_read(out.len());
        out.copy_from_slice(self.bytes.get(offset..offset + out.len()).ok_or(MemoryFault)?);
        Ok(())
    }

    fn write(&mut self, offset: usize, data: &[u8]) -> Result<(), MemoryFault> {
        if self.dead || self.dead_from.is_some_and(|from| offset >= from) {
            return Err(MemoryFault);
        }
        let room = self
            .bytes
            .get_mut(offset..offset + data.len())
            .ok_or(MemoryFault)?;
        self.writes += 1;
        has_written(data.len());
        self.written.set(self.written.get() + 1);
        if let Some(journal) = &self.journal {
            journal.borrow_mut().push((offset, data.to_vec()));
        }
        let armed = self.fuse.take().map(|kept| (self.writes, kept));
        if let Some((at, kept)) = armed.or(self.tear)
            && at == self.writes
        {
            let kept = kept.min(data.len());
            room[..kept].copy_from_slice(&data[..kept]);
            self.dead = !self.stays_lit;
            return Err(MemoryFault);
        }
        room.copy_from_slice(data);
        Ok(())
    }
}

pub fn date(text: &str) -> Date {
    text.parse().unwrap()
}

pub const KV: u8 = 1;
pub const TODAY: &str = "2026-11-21";

/// Masters and signers as a vault holds them.
pub struct Host {
    pub serial: Serial,
    pub region: Region,
    pub lot: Key32,
    pub issuance: Key32,
    pub group: Key32,
    pub tap: Key32,
    pub record: Key32,
    pub tac: Key32,
    pub card_ca: PrivateKey,
    pub document_signer: PrivateKey,
    pub entitlement_signer: PrivateKey,
    pub root: PrivateKey,
    pub root_name: CertificateName,
    pub intermediate_key: PrivateKey,
    pub intermediate_name: CertificateName,
    pub rng: StdRng,
    pub pids: Vec<(Role, [u8; 16])>,
    /// Roles whose slots a personalisation brings.
    pub roles: Vec<Role>,
}

impl Host {
    pub fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut master = || {
            let mut bytes = [0; 32];
            rng.fill_bytes(&mut bytes);
            Key32::new(bytes)
        };
        let (lot, issuance, group, tap, record, tac) =
            (master(), master(), master(), master(), master(), master());
        let pids = Role::ALL
            .iter()
            .map(|role| {
                let mut pid = [0; 16];
                rng.fill_bytes(&mut pid);
                (*role, pid)
            })
            .collect();
        Self {
            serial: Serial([0, 1, 0, 0, 0, 1, 0, 0, 0, u8::try_from(seed & 0xFF).unwrap()]),
            region: "440300".parse().unwrap(),
            lot,
            issuance,
            group,
            tap,
            record,
            tac,
            card_ca: PrivateKey::generate(&mut rng),
            document_signer: PrivateKey::generate(&mut rng),
            entitlement_signer: PrivateKey::generate(&mut rng),
            root: PrivateKey::generate(&mut rng),
            root_name: CertificateName::new("YZTROOT", 1, 1),
            intermediate_key: PrivateKey::generate(&mut rng),
            intermediate_name: CertificateName::new("YZTCA", 1, 1),
            rng,
            pids,
            roles: Role::ALL.to_vec(),
        }
    }

    /// Another card of the same terminal CA: other serial, keys, pseudonyms.
    pub fn sibling(&self, seed: u64) -> Self {
        let copy = |key: &PrivateKey| PrivateKey::from_bytes(&key.expose()).unwrap();
        Self {
            root: copy(&self.root),
            intermediate_key: copy(&self.intermediate_key),
            ..Self::new(seed)
        }
    }

    pub fn pid(&self, role: Role) -> [u8; 16] {
        self.pids.iter().find(|(r, _)| *r == role).unwrap().1
    }

    pub fn blank(&mut self) -> Ram {
        let mut ram = Ram::new();
        let transport = kdf::transport_keys(&self.lot, &self.serial).unwrap();
        manufacture(
            &mut ram,
            &Blank {
                serial: self.serial,
                transport: &transport,
            },
            &mut self.rng,
        )
        .unwrap();
        ram
    }

    pub fn power_on(&mut self, ram: Ram) -> Card {
        let mut ram = ram;
        ram.dead = false;
        ram.tear = None;
        Applet::power_on(ram, Dice::new(self.rng.next_u64())).unwrap()
    }

    /// Opens door I with the keys of the card's state. `None` when the card went away on the way, or has keys that nobody knows (TERMINATED).
    pub fn open_door_i(&mut self, card: &mut Card) -> Option<Channel> {
        select(card)?;
        let mut host_challenge = [0; 8];
        self.rng.fill_bytes(&mut host_challenge);
        let command = Header::INITIALIZE_UPDATE
            .command(&host_challenge, Some(0))
            .unwrap();
        let answer = ok(&card.process(&command))?;
        let parsed = InitializeUpdate::parse(&answer).unwrap();
        let candidates = [
            kdf::transport_keys(&self.lot, &self.serial).unwrap(),
            kdf::issuance_keys(&self.issuance, &self.serial).unwrap(),
        ];
        let keys = candidates.iter().find_map(|keys| {
            let session = SessionKeys::derive(keys, &host_challenge, &parsed.card_challenge);
            (session.card_cryptogram(&host_challenge, &parsed.card_challenge) == parsed.card_cryptogram)
                .then_some(session)
        });
        let mut channel = Channel::new(keys?);
        let cryptogram = channel
            .keys()
            .host_cryptogram(&host_challenge, &parsed.card_challenge);
        ok(&card.process(&channel.external_authenticate(&cryptogram).unwrap()))?;
        Some(channel)
    }

    pub fn status(&mut self, card: &mut Card) -> Status {
        let mut channel = self.open_door_i(card).unwrap();
        read_status(&mut channel, card).unwrap()
    }

    /// The steps of a personalisation, made from the public keys that the card generated.
    pub fn content_steps(&mut self, publics: &[[u8; 64]; 3], image: &[u8]) -> Vec<Vec<u8>> {
        let dg1 = Dg1 {
            name: "李娜",
            sex: 2,
            nation: 1,
            birth_date: date("1985-11-12"),
            citizen_number: "440305198511120028",
            photo: card_applet_spec::crypto::sha256(&[image]),
            hukou_address: "湖南省长沙市岳麓区",
            residence_address: "广东省深圳市南山区粤海街道",
            issuing_organ: "深圳市公安局南山分局",
            issue_date: date(TODAY),
            salt: [1; 16],
        };
        let dg1 = dg1.encode().unwrap().to_vec();
        let mut dg2 = card_applet_spec::Bytes::<6200>::new();
        Dg2 {
            format: PortraitFormat::Jpeg,
            image,
            salt: [2; 16],
        }
        .encode(&mut dg2)
        .unwrap();
        let dg3 = Dg3 {
            permit_id: [7; 16],
            tier: Tier::Employment,
            issued: date(TODAY),
            endorsed_until: date("2027-11-20"),
            rule_set: "cn-440300/1",
            state_counter: 1,
            salt: [3; 16],
        };
        let dg3 = dg3.encode().unwrap().to_vec();
        let signature = SignatureObject::sign(
            1,
            &self.document_signer,
            &publics[0],
            [&dg1, &dg2, &dg3],
            &mut self.rng,
        )
        .unwrap();
        let mut steps = Vec::new();
        let mut keys = issued_keys(&self.issuance, &self.serial);
        let transport = kdf::transport_keys(&self.lot, &self.serial).unwrap();
        transport.dek.cbc_encrypt(&[0; 16], &mut keys).unwrap();
        steps.push(Step::Keys { wrapped: &keys }.encode().unwrap().to_vec());
        steps.push(
            Step::Trust {
                name: &self.root_name.0,
                public64: &self.root.public().to_public64(),
                epoch: 1,
                floor: date("2026-11-01"),
            }
            .encode()
            .unwrap()
            .to_vec(),
        );
        for (object, bytes) in [
            (WritableObject::Dg1, dg1),
            (WritableObject::Dg2, dg2.to_vec()),
            (WritableObject::Dg3, dg3),
            (WritableObject::Signature, signature.encode().unwrap().to_vec()),
        ] {
            steps.extend(write_steps(object, &bytes));
        }
        for (domain, public64) in Domain::ALL.iter().zip(publics) {
            let certificate = CardCertificate::sign(
                &self.card_ca,
                *domain,
                1,
                date(TODAY),
                date("2036-11-20"),
                [*domain as u8; 16],
                *public64,
                &mut self.rng,
            );
            let certificate = certificate.unwrap().encode().unwrap();
            steps.push(
                Step::Certificate {
                    domain: *domain,
                    certificate: &certificate,
                }
                .encode()
                .unwrap()
                .to_vec(),
            );
        }
        for role in self.roles.clone() {
            steps.push(self.slot_step(role, publics));
        }
        if self.roles.contains(&Role::SmallPayment) {
            steps.push(payment_purse(self, KV, self.pid(Role::SmallPayment), 1000));
        }
        steps
    }

    fn slot_step(&mut self, role: Role, publics: &[[u8; 64]; 3]) -> Vec<u8> {
        let pid = self.pid(role);
        let public64 = &publics[usize::from(role.domain().code()) - 1];
        let entitlement = Entitlement {
            role,
            kv: KV,
            issue_counter: 1,
            tier: Tier::Employment,
            class: 1,
            services: 3,
            zones: 1,
            from: date(TODAY),
            to: date("2027-11-20"),
            rule_set: rule_set_digest("cn-440300/1"),
            binding: binding(public64, &pid, role),
        };
        let key = kdf::record_key(&self.record, role, self.region, KV, &pid).unwrap();
        let record = entitlement
            .seal(&self.entitlement_signer, &key, &pid, &[5; 12], &mut self.rng)
            .unwrap();
        let g = kdf::group_key(&self.group, role, self.region, KV, 77).unwrap();
        let m = kdf::tap_key(&self.tap, role, self.region, KV, &pid).unwrap();
        let step = SlotStep {
            role: role.code(),
            kv: KV,
            flags: 0,
            g: g.expose(),
            m: m.expose(),
            pid: &pid,
            record: &record,
            loaded: if role == Role::SmallPayment { 20_000 } else { 0 },
        };
        Step::Slot(step).encode().unwrap().to_vec()
    }

    /// One run of a personalisation, resumable: `plan` keeps what was made, as a vault's durable row does.
    /// Gives true when the card says that it is PERSONALISED.
    pub fn personalise(&mut self, card: &mut Card, plan: &mut Plan) -> bool {
        let Some(mut channel) = self.open_door_i(card) else {
            return false;
        };
        let Some(status) = read_status(&mut channel, card) else {
            return false;
        };
        if status.script == plan.script && !status.open {
            return status.state == CardState::Personalised;
        }
        let mut last = if status.script == plan.script {
            status.last
        } else {
            0
        };
        if plan.steps.is_empty() {
            plan.steps.push(
                Step::Begin {
                    kind: ScriptKind::Personalise,
                    script: plan.script,
                }
                .encode()
                .unwrap()
                .to_vec(),
            );
            for domain in Domain::ALL {
                plan.steps
                    .push(Step::Generate { domain: *domain }.encode().unwrap().to_vec());
            }
        }
        while usize::from(last) < 4 {
            last += 1;
            if run_step(&mut channel, card, last, &plan.steps[usize::from(last) - 1]).is_none() {
                return false;
            }
        }
        let mut publics = [[0; 64]; 3];
        for (domain, public) in (1..).zip(&mut publics) {
            let command = channel.wrap_command(Header::get_public_key(domain), &[]).unwrap();
            let Some(body) = unwrap(&mut channel, &card.process(&command)) else {
                return false;
            };
            *public = body[..].try_into().unwrap();
        }
        if plan.steps.len() == 4 {
            plan.steps
                .extend(self.content_steps(&publics, &plan.image.clone()));
            plan.finish();
        }
        assert_eq!(
            status_digest(plan, last),
            read_status(&mut channel, card).unwrap().digest
        );
        while usize::from(last) < plan.steps.len() {
            last += 1;
            if plan.stop_before_finalise && usize::from(last) == plan.steps.len() {
                return false;
            }
            if run_step(&mut channel, card, last, &plan.steps[usize::from(last) - 1]).is_none() {
                return false;
            }
        }
        true
    }

    /// A short script of one of the kinds without content.
    pub fn short_script(&mut self, card: &mut Card, kind: ScriptKind, script: [u8; 16]) -> Option<()> {
        let mut plan = Plan {
            script,
            steps: Vec::new(),
            image: Vec::new(),
            stop_before_finalise: false,
        };
        plan.steps
            .push(Step::Begin { kind, script }.encode().unwrap().to_vec());
        plan.finish();
        let mut channel = self.open_door_i(card)?;
        let status = read_status(&mut channel, card)?;
        let done = if status.script == script {
            usize::from(status.last)
        } else {
            0
        };
        for (n, step) in (1..).zip(&plan.steps).skip(done) {
            run_step(&mut channel, card, n, step)?;
        }
        Some(())
    }

    pub fn active_card(&mut self) -> Card {
        let mut card = self.personalised_card();
        self.short_script(&mut card, ScriptKind::Activate, [9; 16])
            .unwrap();
        card
    }

    pub fn personalised_card(&mut self) -> Card {
        let ram = self.blank();
        let mut card = self.power_on(ram);
        assert!(self.personalise(&mut card, &mut Plan::new(vec![0x55; 700])));
        card
    }

    pub fn tap(&mut self, card: &mut Card, role: Role, kv: u8) -> ([u8; 16], TapAnswer) {
        select(card).unwrap();
        let mut rt = [0; 16];
        self.rng.fill_bytes(&mut rt);
        let body = ok(&card.process(&tap_command(role.code(), kv, &rt).unwrap())).unwrap();
        (rt, TapAnswer::parse(&body).unwrap())
    }

    /// True when the TAP answer is that of this card's live slot.
    pub fn tap_is_genuine(&self, role: Role, kv: u8, rt: &[u8; 16], answer: &TapAnswer) -> bool {
        let g = kdf::group_key(&self.group, role, self.region, kv, 77).unwrap();
        let Ok(plain) = answer.open(&g) else { return false };
        let m = kdf::tap_key(&self.tap, role, self.region, kv, &plain.pid).unwrap();
        let key = kdf::record_key(&self.record, role, self.region, kv, &plain.pid).unwrap();
        answer.verify(&m, role.code(), kv, rt).is_ok()
            && Entitlement::open(&plain.record, &key, &plain.pid, &self.entitlement_signer.public()).is_ok()
    }

    pub fn intermediate(&mut self, rights: Rights, effective: &str, expiry: &str) -> Vec<u8> {
        let certificate = TerminalCertificate {
            issuer: self.root_name,
            public: self.intermediate_key.public(),
            holder: self.intermediate_name,
            rights,
            effective: date(effective),
            expiry: date(expiry),
        };
        certificate.sign(&self.root, &mut self.rng).unwrap().to_vec()
    }

    pub fn leaf(&mut self, key: &PrivateKey, rights: Rights, effective: &str, expiry: &str) -> Vec<u8> {
        let certificate = TerminalCertificate {
            issuer: self.intermediate_name,
            public: key.public(),
            holder: CertificateName::new("TERMINAL", 1, 7),
            rights,
            effective: date(effective),
            expiry: date(expiry),
        };
        certificate
            .sign(&self.intermediate_key, &mut self.rng)
            .unwrap()
            .to_vec()
    }

    /// Opens door S with a chain of full rights; asks for `rights`. The card's refusal is the error.
    pub fn open_door_s(
        &mut self,
        card: &mut Card,
        rights: Rights,
    ) -> Result<(Channel, CardCertificate), StatusWord> {
        let intermediate = self.intermediate(Rights::ALL, "2026-11-01", "2027-11-01");
        let key = PrivateKey::generate(&mut self.rng);
        let leaf = self.leaf(&key, Rights::ALL, "2026-11-20", "2026-11-25");
        self.open_door_s_with(card, rights, &intermediate, &leaf, &key)
    }

    pub fn open_door_s_with(
        &mut self,
        card: &mut Card,
        rights: Rights,
        intermediate: &[u8],
        leaf: &[u8],
        key: &PrivateKey,
    ) -> Result<(Channel, CardCertificate), StatusWord> {
        select(card).unwrap();
        for (place, certificate) in [(0, intermediate), (1, leaf)] {
            check(
                &card.process(
                    &Header::present_certificate(place)
                        .command(certificate, None)
                        .unwrap(),
                ),
            )?;
        }
        let challenge = check(&card.process(&Header::GET_CHALLENGE.command(&[], Some(16)).unwrap()))?;
        let challenge: [u8; 16] = challenge[..].try_into().unwrap();
        let ephemeral = PrivateKey::generate(&mut self.rng);
        let agree = Agree::sign(rights, &ephemeral.public(), &challenge, leaf, key, &mut self.rng).unwrap();
        let body = check(&card.process(&Header::AGREE.command(&agree.encode().unwrap(), Some(0)).unwrap()))?;
        let answer = AgreeAnswer::parse(&body).unwrap();
        let certificates = card_applet_spec::crypto::sha256(&[intermediate, leaf]);
        let transcript = agree.transcript(&certificates, &challenge, &answer.point);
        let z1 = ephemeral.agree(&card_applet_spec::crypto::PublicKey::from_point65(&answer.point).unwrap());
        let bytes = transcript
            .open_certificate(&z1, &answer.sealed_certificate)
            .unwrap();
        let certificate = CardCertificate::parse(&bytes).unwrap();
        let fixed = certificate.verify(&self.card_ca.public()).unwrap();
        let agreed = transcript.agree(&z1, &ephemeral.agree(&fixed), &answer.sealed_certificate, &bytes);
        answer.verify(&agreed).unwrap();
        Ok((Channel::new(agreed.keys), certificate))
    }
}

/// The steps of a script, kept between attempts.
#[derive(Clone)]
pub struct Plan {
    pub script: [u8; 16],
    pub steps: Vec<Vec<u8>>,
    pub image: Vec<u8>,
    /// Ends a run right before FINALISE.
    pub stop_before_finalise: bool,
}

impl Plan {
    pub fn new(image: Vec<u8>) -> Self {
        Self {
            script: [0xAB; 16],
            steps: Vec::new(),
            image,
            stop_before_finalise: false,
        }
    }

    fn finish(&mut self) {
        let count = u16::try_from(self.steps.len()).unwrap();
        let digest = status_digest(self, count);
        self.steps.push(
            Step::Finalise {
                count,
                digest,
                today: date(TODAY),
            }
            .encode()
            .unwrap()
            .to_vec(),
        );
    }
}

fn status_digest(plan: &Plan, last: u16) -> [u8; 32] {
    let mut digest = chain_start(&plan.script);
    for (n, step) in (1..=last).zip(&plan.steps) {
        digest = chain_next(&digest, n, step);
    }
    digest
}

pub fn issued_keys(issuance: &Key32, serial: &Serial) -> [u8; 96] {
    let mut out = Vec::new();
    let sets: [KeySet; 2] = [
        kdf::issuance_keys(issuance, serial).unwrap(),
        kdf::update_keys(issuance, serial).unwrap(),
    ];
    for set in &sets {
        for key in [&set.enc, &set.mac, &set.dek] {
            out.extend_from_slice(key.expose());
        }
    }
    out.try_into().unwrap()
}

pub fn write_steps(object: WritableObject, bytes: &[u8]) -> Vec<Vec<u8>> {
    let total = u16::try_from(bytes.len()).unwrap();
    let mut offset = 0_u16;
    let mut steps = Vec::new();
    for data in bytes.chunks(MAX_CHUNK) {
        steps.push(
            Step::Write {
                object,
                total,
                offset,
                data,
            }
            .encode()
            .unwrap()
            .to_vec(),
        );
        offset += u16::try_from(data.len()).unwrap();
    }
    steps
}

pub fn select(card: &mut Card) -> Option<Vec<u8>> {
    ok(&card.process(&Header::SELECT.command(&AID, Some(0)).unwrap()))
}

/// The body of an answer with 9000.
pub fn ok(answer: &Answer) -> Option<Vec<u8>> {
    check(answer).ok()
}

pub fn check(answer: &Answer) -> Result<Vec<u8>, StatusWord> {
    let (body, status) = split_answer(answer).unwrap();
    if status.is_ok() {
        Ok(body.to_vec())
    } else {
        Err(status)
    }
}

pub fn unwrap(channel: &mut Channel, answer: &Answer) -> Option<Vec<u8>> {
    let (body, status) = channel.unwrap_answer(answer).unwrap();
    status.is_ok().then(|| body.to_vec())
}

pub fn run_step(channel: &mut Channel, card: &mut Card, n: u16, step: &[u8]) -> Option<Vec<u8>> {
    let command = channel.wrap_command(Header::step(n), step).unwrap();
    unwrap(channel, &card.process(&command))
}

pub fn read_status(channel: &mut Channel, card: &mut Card) -> Option<Status> {
    let command = channel.wrap_command(Header::GET_STATUS, &[]).unwrap();
    unwrap(channel, &card.process(&command)).map(|body| Status::parse(&body).unwrap())
}

pub fn read_object(channel: &mut Channel, card: &mut Card, object: Object) -> Result<Vec<u8>, StatusWord> {
    let mut out = Vec::new();
    loop {
        let request = read_request(u16::try_from(out.len()).unwrap(), 237);
        let command = channel
            .wrap_command(Header::read_object(object.code()), &request)
            .unwrap();
        let (body, status) = channel.unwrap_answer(&card.process(&command)).unwrap();
        if !status.is_ok() {
            return Err(status);
        }
        let total = usize::from(u16::from_be_bytes([body[0], body[1]]));
        out.extend_from_slice(&body[2..]);
        if out.len() >= total {
            return Ok(out);
        }
    }
}

/// BEGIN.
pub fn begin(kind: ScriptKind, script: [u8; 16]) -> Vec<u8> {
    Step::Begin { kind, script }.encode().unwrap().to_vec()
}

/// FINALISE behind `steps` of `script`.
pub fn finalise(script: [u8; 16], steps: &[Vec<u8>], today: &str) -> Vec<u8> {
    let mut digest = chain_start(&script);
    for (n, step) in (1..).zip(steps) {
        digest = chain_next(&digest, n, step);
    }
    let count = u16::try_from(steps.len()).unwrap();
    let today = date(today);
    Step::Finalise { count, digest, today }.encode().unwrap().to_vec()
}

/// A whole rewrite script: BEGIN, `content`, FINALISE.
pub fn rewrite(script: [u8; 16], content: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut steps = vec![begin(ScriptKind::Rewrite, script)];
    steps.extend(content);
    let last = finalise(script, &steps, TODAY);
    steps.push(last);
    steps
}

/// SLOT of `SMALL_PAYMENT`.
pub fn payment_slot(host: &Host, kv: u8, pid: [u8; 16], loaded: u32) -> Vec<u8> {
    slot(host, Role::SmallPayment, kv, pid, loaded)
}

/// Calls `with` with a slot of a role, whose record says nothing.
fn with_slot<T>(
    host: &Host,
    (role, kv, flags): (Role, u8, u8),
    pid: [u8; 16],
    loaded: u32,
    with: impl FnOnce(SlotStep<'_>) -> T,
) -> T {
    let g = kdf::group_key(&host.group, role, host.region, kv, 77).unwrap();
    let m = kdf::tap_key(&host.tap, role, host.region, kv, &pid).unwrap();
    with(SlotStep {
        role: role.code(),
        kv,
        flags,
        g: g.expose(),
        m: m.expose(),
        pid: &pid,
        record: &[pid[0]; 160],
        loaded,
    })
}

/// SLOT of a role, with a record that says nothing.
pub fn slot(host: &Host, role: Role, kv: u8, pid: [u8; 16], loaded: u32) -> Vec<u8> {
    with_slot(host, (role, kv, 0), pid, loaded, |slot| {
        Step::Slot(slot).encode().unwrap().to_vec()
    })
}

/// Plain text of an update.
pub type Plain = [u8; 224];

/// P224 of an operation.
pub fn plain(operation: &Operation<'_>) -> Plain {
    *operation.encode().unwrap()
}

/// P224 of SLOT, with a record that says nothing.
pub fn slot_update(host: &Host, which: (Role, u8, u8), pid: [u8; 16], loaded: u32, cap: u32) -> Plain {
    with_slot(host, which, pid, loaded, |slot| {
        plain(&Operation::Slot { slot, cap })
    })
}

/// P224 of DG3: the permit block of this card, endorsed anew and signed over what else the card holds.
pub fn dg3_update(host: &mut Host, before: &SignatureObject, endorsed_until: &str) -> (Plain, Vec<u8>) {
    let dg3 = Dg3 {
        permit_id: [7; 16],
        tier: Tier::Talent,
        issued: date(TODAY),
        endorsed_until: date(endorsed_until),
        rule_set: "cn-440300/1",
        state_counter: 2,
        salt: [4; 16],
    };
    let dg3 = dg3.encode().unwrap().to_vec();
    let [dg1, dg2, _] = before.groups;
    let signed = SignatureObject::sign_digests(
        2,
        &host.document_signer,
        before.card_key,
        [dg1, dg2, card_applet_spec::crypto::sha256(&[&dg3])],
        &mut host.rng,
    )
    .unwrap();
    let operation = Operation::Dg3 {
        signer: 2,
        dg3: &dg3,
        signature: &signed.signature,
    };
    (plain(&operation), dg3)
}

/// An update for this card.
pub fn seal(host: &Host, counter: u32, plain: &Plain) -> SealedUpdate {
    let keys = kdf::update_keys(&host.issuance, &host.serial).unwrap();
    SealedUpdate::seal(&keys, counter, plain).unwrap()
}

/// TAP and UPDATE, as a terminal does it; the receipt. After a decoy the terminal has no M: any will do.
pub fn deliver(
    host: &mut Host,
    card: &mut Card,
    role: Role,
    kv: u8,
    update: &SealedUpdate,
) -> Result<[u8; 16], StatusWord> {
    let (rt, tap, plain) = tap_seen(host, card, role, kv);
    let pid = plain.map_or([0; 16], |plain| plain.pid);
    let m = kdf::tap_key(&host.tap, role, host.region, kv, &pid).unwrap();
    let tap_mac = update
        .tap_mac(&m, role.code(), kv, &rt, &tap.card_challenge)
        .unwrap();
    let data = update.command_data(&tap_mac).unwrap();
    let command = Header::update(role.code(), kv).command(&data, Some(16)).unwrap();
    check(&card.process(&command)).map(|receipt| receipt.try_into().unwrap())
}

/// The receipt that the vault expects.
pub fn expected_receipt(host: &Host, update: &SealedUpdate) -> [u8; 16] {
    update.receipt(&kdf::update_keys(&host.issuance, &host.serial).unwrap())
}

/// Everything that an office can see of a card without changing it.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub state: CardState,
    pub floor: Date,
    /// Script, its last step, its digest, whether it is open.
    pub script: ([u8; 16], u16, [u8; 32], bool),
    /// What TAP shows, for each role with door F and the first key versions.
    pub taps: Vec<(Role, u8, Option<TapPlain>)>,
    /// What door S shows: object and content, or the refusal.
    pub objects: Vec<(Object, Result<Vec<u8>, StatusWord>)>,
}

impl Observed {
    pub fn purse(&self) -> Option<(u32, u32, u32)> {
        let seen = self
            .taps
            .iter()
            .find_map(|(role, _, plain)| plain.as_ref().filter(|_| *role == Role::SmallPayment))?;
        Some((seen.seq, seen.loaded, seen.spent))
    }
}

/// Every object of chapter 07 but serial and status.
pub fn every_object() -> Vec<Object> {
    let slots = Role::ALL
        .iter()
        .flat_map(|role| [Object::Newest(*role), Object::Older(*role)]);
    [Object::Dg1, Object::Dg2, Object::Dg3, Object::Signature]
        .into_iter()
        .chain(slots)
        .collect()
}

/// Looks at a card through door I and door F, and at `objects` through door S.
pub fn observe(host: &mut Host, card: &mut Card, objects: &[Object]) -> Observed {
    let status = host.status(card);
    let mut taps = Vec::new();
    for role in Role::ALL.iter().filter(|role| role.has_door_f()) {
        for kv in 1..=3 {
            taps.push((*role, kv, tap_seen(host, card, *role, kv).2));
        }
    }
    let mut channel = None;
    let objects = objects
        .iter()
        .map(|object| {
            let mut open = channel
                .take()
                .unwrap_or_else(|| host.open_door_s(card, Rights::ALL).unwrap().0);
            let read = read_object(&mut open, card, *object);
            // A refusal ends the session.
            channel = read.is_ok().then_some(open);
            (*object, read)
        })
        .collect();
    Observed {
        state: status.state,
        floor: status.floor,
        script: (status.script, status.last, status.digest, status.open),
        taps,
        objects,
    }
}

/// Where power failed: the number of the write, and how many bytes of it happened.
pub type Cut = (usize, usize);

/// How much was cut.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cuts {
    /// Writes of one whole run.
    pub writes: usize,
    /// Different contents of the memory that a cut can leave.
    pub images: usize,
}

/// Lets power fail at every write of `action` and at every byte of it, and calls `after` for what came back.
///
/// A cut leaves the memory as it was, with all writes before and a part of one: these contents are made from a journal of
/// one whole run, and those that a byte does not change are the same and looked at once. That a card really stops at a
/// failed write is seen by cutting a run of its own in the middle of each write.
pub fn at_every_byte<T>(
    host: &mut Host,
    ram: &Ram,
    action: &mut dyn FnMut(&mut Host, &mut Card) -> T,
    after: &mut dyn FnMut(&mut Host, &mut Card, &T, Cut),
) -> Cuts {
    let start = |host: &mut Host, tear, journal| {
        let (mut ram, rng) = host.power_on(ram.clone()).power_off();
        ram.writes = 0;
        ram.tear = tear;
        ram.journal = journal;
        Applet::power_on(ram, rng).unwrap()
    };
    let journal = Rc::new(RefCell::new(Vec::new()));
    let mut card = start(host, None, Some(Rc::clone(&journal)));
    let done = action(host, &mut card);
    let (end, _) = card.power_off();
    let journal = journal.take();
    let mut cuts = Cuts {
        writes: journal.len(),
        images: 0,
    };
    let mut image = ram.clone();
    let mut look = |host: &mut Host, image: &Ram, cut| {
        cuts.images += 1;
        let mut card = host.power_on(image.clone());
        after(host, &mut card, &done, cut);
    };
    look(host, &image, (1, 0));
    for (at, (offset, data)) in (1..).zip(&journal) {
        for (kept, byte) in (1..).zip(data) {
            let place = &mut image.bytes[offset + kept - 1];
            if *place != *byte {
                *place = *byte;
                look(host, &image, (at, kept));
            }
        }
    }
    assert_eq!(image.bytes, end.bytes, "the journal is the whole run");
    for (at, (_, data)) in (1..).zip(&journal) {
        let kept = data.len() / 2;
        let mut card = start(host, Some((at, kept)), None);
        let done = action(host, &mut card);
        let (torn, _) = card.power_off();
        assert!(torn.dead, "write {at} of a run like the first");
        let mut card = host.power_on(torn);
        after(host, &mut card, &done, (at, kept));
    }
    cuts
}

/// TRUST with the root of the host.
pub fn trust(host: &Host, epoch: u16, floor: &str) -> Vec<u8> {
    let step = Step::Trust {
        name: &host.root_name.0,
        public64: &host.root.public().to_public64(),
        epoch,
        floor: date(floor),
    };
    step.encode().unwrap().to_vec()
}

/// EXTERNAL AUTHENTICATE by somebody who does not know the keys.
pub fn wrong_try(card: &mut Card) -> Result<Vec<u8>, StatusWord> {
    select(card).unwrap();
    let command = Header::INITIALIZE_UPDATE.command(&[0; 8], Some(0)).unwrap();
    assert_eq!(ok(&card.process(&command)).unwrap().len(), 29);
    check(&card.process(&Header::EXTERNAL_AUTHENTICATE.command(&[0; 16], None).unwrap()))
}

/// GET STATUS through door S, which counts nothing.
pub fn status_at_door_s(host: &mut Host, card: &mut Card) -> Status {
    let (mut channel, _) = host.open_door_s(card, Rights::VERIFY).unwrap();
    Status::parse(&read_object(&mut channel, card, Object::Status).unwrap()).unwrap()
}

/// PURSE of the same slot.
pub fn payment_purse(host: &Host, kv: u8, pid: [u8; 16], seq: u32) -> Vec<u8> {
    let ktac = kdf::tac_key(&host.tac, Role::SmallPayment, kv, &pid).unwrap();
    let (cap, ktac) = (10_000, ktac.expose());
    Step::Purse { kv, seq, cap, ktac }.encode().unwrap().to_vec()
}

/// Runs `steps` behind the first `done`, in one door I; the refused step and its status otherwise (0: no door I).
pub fn run_steps(
    host: &mut Host,
    card: &mut Card,
    steps: &[Vec<u8>],
    done: usize,
) -> Result<(), (u16, StatusWord)> {
    let mut channel = host.open_door_i(card).ok_or((0, StatusWord::SECURITY))?;
    for (n, step) in (1_u16..).zip(steps).skip(done) {
        let command = channel.wrap_command(Header::step(n), step).unwrap();
        let answer = card.process(&command);
        let (_, status) = channel.unwrap_answer(&answer).unwrap();
        if !status.is_ok() {
            return Err((n, status));
        }
    }
    Ok(())
}

/// TAP, and what it says when it is this card's: it opens under G, and T holds.
pub fn tap_seen(
    host: &mut Host,
    card: &mut Card,
    role: Role,
    kv: u8,
) -> ([u8; 16], TapAnswer, Option<TapPlain>) {
    let (rt, tap) = host.tap(card, role, kv);
    let g = kdf::group_key(&host.group, role, host.region, kv, 77).unwrap();
    let plain = tap.open(&g).ok().filter(|plain| {
        let m = kdf::tap_key(&host.tap, role, host.region, kv, &plain.pid).unwrap();
        tap.verify(&m, role.code(), kv, &rt).is_ok()
    });
    (rt, tap, plain)
}

/// What a shop sees of the purse.
pub fn purse_seen(host: &mut Host, card: &mut Card, kv: u8) -> ([u8; 16], TapAnswer, TapPlain) {
    let (rt, tap, plain) = tap_seen(host, card, Role::SmallPayment, kv);
    (rt, tap, plain.expect("the card has this slot"))
}

/// TAP and COMMIT; the answer's result and TAC.
pub fn pay(
    host: &mut Host,
    card: &mut Card,
    kv: u8,
    amount: u32,
    txno: u8,
) -> Result<(u8, [u8; 8]), StatusWord> {
    let role = Role::SmallPayment;
    let (rt, tap, plain) = purse_seen(host, card, kv);
    let m = kdf::tap_key(&host.tap, role, host.region, kv, &plain.pid).unwrap();
    let body = CommitBody {
        amount,
        tid: 42,
        txno: [txno; 8],
        time: 848_000_000,
        kind: 1,
    };
    let mac = body
        .mac(&m, role.code(), kv, &rt, &tap.card_challenge, plain.seq)
        .unwrap();
    let data = [&body.encode().unwrap()[..], &mac].concat();
    let answer = check(&card.process(&Header::commit(role.code(), kv).command(&data, Some(25)).unwrap()))?;
    Ok((answer[0], answer[1..9].try_into().unwrap()))
}
