//! A small issuer for the reader's tests: keys from a seed, door I step by step with the real channel, bundles with the
//! real signatures. The card is the real applet, in process. The vault itself is tested with the card in `keyvault`.

use card_applet_spec::apdu::{Header, split_answer};
use card_applet_spec::bundle::{self as wire, Anchors, BundleHead};
use card_applet_spec::certificate::{CardCertificate, CertificateName, TerminalCertificate};
use card_applet_spec::codes::{Domain, KeyState, Region, Rights, Role, Serial, Tier};
use card_applet_spec::crypto::{Key16, Key32, PrivateKey, sha256};
use card_applet_spec::data_group::{Dg1, Dg2, Dg3, MAX_DG2, PortraitFormat, SignatureObject};
use card_applet_spec::date::Date;
use card_applet_spec::deny_list::DenyList;
use card_applet_spec::kdf::{self, KeySet};
use card_applet_spec::record::{Entitlement, binding, rule_set_digest};
use card_applet_spec::scp03::{Channel, InitializeUpdate, SessionKeys};
use card_applet_spec::script::{ScriptKind, SlotStep, Step, WritableObject, chain_next, chain_start};
use card_applet_spec::update::{Operation, SealedUpdate};
use card_applet_spec::update_files::{self, BatchEntry, BatchHead};
use card_applet_spec::{Bytes, rehearsal, sealed_box};
use card_reader::transport::{Transport, TransportError};
use card_reader::{Bundle, Error, Pinned, TerminalKey};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_core::Rng as _;
use virtual_card::{Card as ChipCard, CardMemory, CardRandom, InProcess};

pub(crate) const REGION: &str = "440300";
pub(crate) const OTHER_REGION: &str = "440100";
pub(crate) const RULES: &str = "cn-440300/2026-1";
pub(crate) const KV: u8 = 3;
pub(crate) const TID: u32 = 4711;
/// What a card of `SMALL_PAYMENT` holds, and its limit for one payment, in fen.
pub(crate) const LOADED: u32 = 20_000;
pub(crate) const CAP: u32 = 8_000;
pub(crate) const SERVICES: u64 = 0b1011;
pub(crate) const ZONES: u64 = 0b0110;

pub(crate) fn day(text: &str) -> Date {
    text.parse().unwrap()
}

/// The day of most tests.
pub(crate) fn today() -> Date {
    day("2026-11-21")
}

pub(crate) fn region() -> Region {
    REGION.parse().unwrap()
}

/// A reader on which one can flip a bit of an answer, play an old answer, or look at what went over it.
pub(crate) struct Wire<T> {
    pub(crate) inner: T,
    /// Bit of the answer to command number (from 1) to turn over.
    pub(crate) flip: Option<(usize, usize)>,
    /// Body and status to give instead of the answer to a command (from 1).
    pub(crate) play: Option<(usize, Vec<u8>)>,
    pub(crate) tape: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<T> Wire<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self {
            inner,
            flip: None,
            play: None,
            tape: Vec::new(),
        }
    }
}

impl<T: Transport> Transport for Wire<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        let mut answer = self.inner.transmit(command)?;
        let number = self.tape.len() + 1;
        self.tape.push((command.to_vec(), answer.clone()));
        if let Some((at, played)) = &self.play
            && *at == number
        {
            answer.clone_from(played);
        }
        if let Some((at, bit)) = self.flip
            && at == number
            && bit / 8 < answer.len()
        {
            answer[bit / 8] ^= 0x80 >> (bit % 8);
        }
        Ok(answer)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.inner.reset()
    }

    fn name(&self) -> &str {
        self.inner.name()
    }
}

/// What one record of a card shall say.
#[derive(Clone)]
pub(crate) struct Entitled {
    pub(crate) role: Role,
    pub(crate) region: Region,
    pub(crate) kv: u8,
    pub(crate) from: Date,
    pub(crate) to: Date,
    pub(crate) zones: u64,
    /// Bind it to this key instead of the card's.
    pub(crate) bound_to: Option<[u8; 64]>,
    /// Seal it for this pid instead of the slot's.
    pub(crate) sealed_for: Option<[u8; 16]>,
    /// Put this record there instead.
    pub(crate) record: Option<[u8; 160]>,
    pub(crate) pid: [u8; 16],
}

/// What goes onto one card.
#[derive(Clone)]
pub(crate) struct Content {
    pub(crate) serial: Serial,
    pub(crate) name: &'static str,
    pub(crate) entitled: Vec<Entitled>,
    pub(crate) certificate_from: Date,
    pub(crate) certificate_to: Date,
    /// Groups and signature object of somebody else, as they are.
    pub(crate) transplanted: Option<Groups>,
    pub(crate) date_floor: Date,
}

/// Encoded data groups with their signature object.
#[derive(Clone)]
pub(crate) struct Groups {
    pub(crate) dg1: Vec<u8>,
    pub(crate) dg2: Vec<u8>,
    pub(crate) dg3: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

/// What the issuer knows of a card that it made.
pub(crate) struct Made {
    pub(crate) groups: Groups,
    /// PERSON, CLINIC, `SOCIAL_INSURANCE`.
    pub(crate) keys: [[u8; 64]; 3],
    pub(crate) records: Vec<(Role, [u8; 16], [u8; 160])>,
}

impl Made {
    pub(crate) fn pid(&self, role: Role) -> [u8; 16] {
        self.records.iter().find(|record| record.0 == role).unwrap().1
    }
}

/// The certificates of a terminal, as the tests vary them.
#[derive(Clone, Copy)]
pub(crate) struct Certificates {
    pub(crate) intermediate_rights: Rights,
    pub(crate) leaf_rights: Rights,
    pub(crate) intermediate_from: Date,
    pub(crate) from: Date,
    pub(crate) to: Date,
    pub(crate) epoch: u16,
    /// Sign the intermediate with a key that is not the root's.
    pub(crate) wrong_root: bool,
    /// Name another authority.
    pub(crate) unknown_authority: bool,
}

impl Certificates {
    pub(crate) fn with(rights: Rights) -> Self {
        Self {
            intermediate_rights: Rights::ALL,
            leaf_rights: rights,
            intermediate_from: day("2026-01-01"),
            from: today(),
            to: day("2026-11-28"),
            epoch: 1,
            wrong_root: false,
            unknown_authority: false,
        }
    }
}

/// A bundle, as the tests vary it.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) roles: Vec<(Role, &'static str, u8, KeyState, Date)>,
    pub(crate) certificates: Option<Certificates>,
    pub(crate) zones: u64,
    pub(crate) denied: Vec<[u8; 16]>,
    pub(crate) list_version: u32,
    pub(crate) grace: Option<u16>,
    pub(crate) tid: Option<u32>,
    pub(crate) issued: Date,
    pub(crate) list_issued: Date,
    pub(crate) without_lists: bool,
    pub(crate) last_day: Date,
    pub(crate) sequence: u32,
}

impl Wanted {
    /// A terminal of these roles in the usual region and version.
    pub(crate) fn of(roles: &[Role]) -> Self {
        Self {
            name: "terminal 1".to_owned(),
            roles: roles
                .iter()
                .map(|role| (*role, REGION, KV, KeyState::Active, Date::NONE))
                .collect(),
            certificates: None,
            zones: 0,
            denied: Vec::new(),
            list_version: 1,
            grace: None,
            tid: roles.contains(&Role::SmallPayment).then_some(TID),
            issued: day("2026-11-20"),
            list_issued: day("2026-11-20"),
            without_lists: false,
            last_day: day("2026-12-31"),
            sequence: 5,
        }
    }

    pub(crate) fn and(mut self, certificates: Certificates) -> Self {
        self.certificates = Some(certificates);
        self
    }
}

pub(crate) struct Issuer {
    pub(crate) rng: StdRng,
    seed: u8,
    pub(crate) card_ca: PrivateKey,
    pub(crate) entitlement: PrivateKey,
    pub(crate) document: PrivateKey,
    pub(crate) root: PrivateKey,
    pub(crate) root_name: CertificateName,
    pub(crate) deny: PrivateKey,
}

impl Issuer {
    pub(crate) fn new(seed: u8) -> Self {
        let mut rng = StdRng::from_seed([seed; 32]);
        let mut key = || PrivateKey::generate(&mut rng);
        let (card_ca, entitlement, document, root, deny) = (key(), key(), key(), key(), key());
        Self {
            rng,
            seed,
            card_ca,
            entitlement,
            document,
            root,
            root_name: CertificateName::new(rehearsal::AUTHORITY, 1, 1),
            deny,
        }
    }

    fn master(&self, label: &str, role: Role, region: Region, kv: u8) -> Key32 {
        Key32::new(sha256(&[
            &[self.seed],
            label.as_bytes(),
            &[role.code()],
            &region.to_bytes(),
            &[kv],
        ]))
    }

    /// Group master and tap master of a role in the usual region: what a bundle holds.
    pub(crate) fn tap_masters(&self, role: Role, kv: u8) -> (Key32, Key32) {
        (
            self.master("group", role, region(), kv),
            self.master("tap", role, region(), kv),
        )
    }

    fn lot_master(&self) -> Key32 {
        Key32::new(sha256(&[&[self.seed], b"lot"]))
    }

    fn issuance_master(&self) -> Key32 {
        Key32::new(sha256(&[&[self.seed], b"issuance"]))
    }

    pub(crate) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.rng.fill_bytes(&mut out);
        out
    }

    /// A blank of our lot, and its memory.
    pub(crate) fn blank(&mut self, number: u8) -> (InProcess, CardMemory, Serial) {
        let serial = Serial([0, 1, 0, 0, 0, 2, 0, 0, 0, number]);
        let keys = kdf::transport_keys(&self.lot_master(), &serial).unwrap();
        let memory = CardMemory::ram(card_applet::MEMORY_LEN);
        let blank = card_applet::Blank {
            serial,
            transport: &keys,
        };
        card_applet::manufacture(&mut memory.clone(), &blank, &mut self.rng).unwrap();
        (self.on_reader(&memory), memory, serial)
    }

    /// A card with this memory on a reader of its own.
    pub(crate) fn on_reader(&mut self, memory: &CardMemory) -> InProcess {
        InProcess::with(ChipCard::new(
            memory.clone(),
            CardRandom::from_source(&mut self.rng),
        ))
    }

    pub(crate) fn entitled(&mut self, role: Role) -> Entitled {
        Entitled {
            role,
            region: region(),
            kv: KV,
            from: day("2026-11-01"),
            to: day("2027-10-31"),
            zones: ZONES,
            bound_to: None,
            sealed_for: None,
            record: None,
            pid: self.random(),
        }
    }

    pub(crate) fn content(&mut self, serial: Serial, roles: &[Role]) -> Content {
        Content {
            serial,
            name: "张三",
            entitled: roles.iter().map(|role| self.entitled(*role)).collect(),
            certificate_from: day("2026-11-01"),
            certificate_to: day("2031-10-31"),
            transplanted: None,
            date_floor: day("2026-11-01"),
        }
    }

    fn groups(&mut self, content: &Content, person: &[u8; 64]) -> Groups {
        let image = [0xFF, 0xD8, 1, 2, 3, 0xFF, 0xD9].repeat(120);
        let dg1 = Dg1 {
            name: content.name,
            sex: 1,
            nation: 1,
            birth_date: day("1990-03-07"),
            citizen_number: "11010119900307803X",
            photo: sha256(&[&image]),
            hukou_address: "湖南省长沙市某路1号",
            residence_address: "广东省深圳市南山区某路2号",
            issuing_organ: "深圳市公安局南山分局",
            issue_date: today(),
            salt: self.random(),
        };
        let dg2 = Dg2 {
            format: PortraitFormat::Jpeg,
            image: &image,
            salt: self.random(),
        };
        let dg3 = Dg3 {
            permit_id: self.random(),
            tier: Tier::Employment,
            issued: today(),
            endorsed_until: day("2027-11-20"),
            rule_set: RULES,
            state_counter: 1,
            salt: self.random(),
        };
        let dg1 = dg1.encode().unwrap().to_vec();
        let mut encoded = Bytes::<MAX_DG2>::new();
        dg2.encode(&mut encoded).unwrap();
        let (dg2, dg3) = (encoded.to_vec(), dg3.encode().unwrap().to_vec());
        let signature =
            SignatureObject::sign(1, &self.document, person, [&dg1, &dg2, &dg3], &mut self.rng).unwrap();
        Groups {
            dg1,
            dg2,
            dg3,
            signature: signature.encode().unwrap().to_vec(),
        }
    }

    pub(crate) fn record(&mut self, entitled: &Entitled, bound_to: &[u8; 64]) -> [u8; 160] {
        let pid = entitled.sealed_for.unwrap_or(entitled.pid);
        let entitlement = Entitlement {
            role: entitled.role,
            kv: entitled.kv,
            issue_counter: 1,
            tier: Tier::Employment,
            class: 2,
            services: SERVICES,
            zones: entitled.zones,
            from: entitled.from,
            to: entitled.to,
            rule_set: rule_set_digest(RULES),
            binding: binding(bound_to, &pid, entitled.role),
        };
        let master = self.master("record", entitled.role, entitled.region, entitled.kv);
        let key = kdf::record_key(&master, entitled.role, entitled.region, entitled.kv, &pid).unwrap();
        let nonce = self.random();
        entitlement
            .seal(&self.entitlement, &key, &pid, &nonce, &mut self.rng)
            .unwrap()
    }

    /// Writes a blank up to FINALISE.
    pub(crate) fn personalise(&mut self, transport: &mut impl Transport, content: &Content) -> Made {
        let old = kdf::transport_keys(&self.lot_master(), &content.serial).unwrap();
        let script = self.random();
        let mut door = DoorI::open(&mut *transport, &old, self.random());
        door.begin(ScriptKind::Personalise, script);
        let mut keys = [[0; 64]; 3];
        for (key, domain) in keys.iter_mut().zip(Domain::ALL) {
            *key = door.step(&Step::Generate { domain: *domain }).try_into().unwrap();
        }
        let groups = match &content.transplanted {
            Some(groups) => groups.clone(),
            None => self.groups(content, &keys[0]),
        };
        for (object, bytes) in [
            (WritableObject::Dg1, &groups.dg1),
            (WritableObject::Dg2, &groups.dg2),
            (WritableObject::Dg3, &groups.dg3),
            (WritableObject::Signature, &groups.signature),
        ] {
            let total = u16::try_from(bytes.len()).unwrap();
            let mut offset = 0;
            for data in bytes.chunks(233) {
                door.step(&Step::Write {
                    object,
                    total,
                    offset,
                    data,
                });
                offset += u16::try_from(data.len()).unwrap();
            }
        }
        for (key, domain) in keys.iter().zip(Domain::ALL) {
            let id = self.random();
            let (from, to) = (content.certificate_from, content.certificate_to);
            let certificate =
                CardCertificate::sign(&self.card_ca, *domain, 1, from, to, id, *key, &mut self.rng)
                    .unwrap()
                    .encode()
                    .unwrap();
            door.step(&Step::Certificate {
                domain: *domain,
                certificate: &certificate,
            });
        }
        let mut records = Vec::new();
        for entitled in &content.entitled {
            let own = keys[usize::from(entitled.role.domain().code()) - 1];
            let record = match entitled.record {
                Some(record) => record,
                None => self.record(entitled, &entitled.bound_to.unwrap_or(own)),
            };
            let (role, region, kv) = (entitled.role, entitled.region, entitled.kv);
            let cohort = self.random::<1>()[0];
            let (g, m) = if role.has_door_f() {
                let group = self.master("group", role, region, kv);
                let tap = self.master("tap", role, region, kv);
                (
                    *kdf::group_key(&group, role, region, kv, cohort).unwrap().expose(),
                    *kdf::tap_key(&tap, role, region, kv, &entitled.pid)
                        .unwrap()
                        .expose(),
                )
            } else {
                (self.random(), self.random())
            };
            door.step(&Step::Slot(SlotStep {
                role: role.code(),
                kv,
                flags: 0,
                g: &g,
                m: &m,
                pid: &entitled.pid,
                record: &record,
                loaded: if role == Role::SmallPayment { LOADED } else { 0 },
            }));
            if role == Role::SmallPayment {
                let ktac = self.tac_key(kv, &entitled.pid);
                door.step(&Step::Purse {
                    kv,
                    seq: u32::from_be_bytes(self.random()) >> 1,
                    cap: CAP,
                    ktac: ktac.expose(),
                });
            }
            records.push((role, entitled.pid, record));
        }
        let issuance = kdf::issuance_keys(&self.issuance_master(), &content.serial).unwrap();
        let update = kdf::update_keys(&self.issuance_master(), &content.serial).unwrap();
        let mut wrapped = [0; 96];
        let six = [
            &issuance.enc,
            &issuance.mac,
            &issuance.dek,
            &update.enc,
            &update.mac,
            &update.dek,
        ];
        for (to, key) in wrapped.chunks_mut(16).zip(six) {
            to.copy_from_slice(key.expose());
        }
        old.dek.cbc_encrypt(&[0; 16], &mut wrapped).unwrap();
        door.step(&Step::Keys { wrapped: &wrapped });
        door.step(&Step::Trust {
            name: &self.root_name.0,
            public64: &self.root.public().to_public64(),
            epoch: 1,
            floor: content.date_floor,
        });
        door.finalise(content.date_floor);
        Made {
            groups,
            keys,
            records,
        }
    }

    /// A script without steps: activate, block, unblock, terminate.
    pub(crate) fn bare_script(
        &mut self,
        transport: &mut impl Transport,
        serial: Serial,
        kind: ScriptKind,
        on: Date,
    ) {
        let keys = kdf::issuance_keys(&self.issuance_master(), &serial).unwrap();
        let script = self.random();
        let mut door = DoorI::open(&mut *transport, &keys, self.random());
        door.begin(kind, script);
        door.finalise(on);
    }

    /// A card with these roles, handed over; its reader, memory, and what was made.
    pub(crate) fn active_card(&mut self, number: u8, roles: &[Role]) -> (InProcess, CardMemory, Made) {
        let (mut reader, memory, serial) = self.blank(number);
        let content = self.content(serial, roles);
        let made = self.personalise(&mut reader, &content);
        self.bare_script(&mut reader, serial, ScriptKind::Activate, day("2026-11-02"));
        (reader, memory, made)
    }

    /// As [`Issuer::active_card`], with content changed by the test.
    pub(crate) fn active_card_with(
        &mut self,
        number: u8,
        roles: &[Role],
        change: impl FnOnce(&mut Content),
    ) -> (InProcess, Made) {
        let (mut reader, _, serial) = self.blank(number);
        let mut content = self.content(serial, roles);
        change(&mut content);
        let made = self.personalise(&mut reader, &content);
        self.bare_script(&mut reader, serial, ScriptKind::Activate, content.date_floor);
        (reader, made)
    }

    pub(crate) fn anchors(&self) -> Anchors {
        Anchors {
            card_ca: self.card_ca.public(),
            entitlement_signer: self.entitlement.public(),
            document_signer: self.document.public(),
            terminal_ca_name: self.root_name,
            terminal_ca: self.root.public(),
            deny_list_signer: self.deny.public(),
        }
    }

    /// The number of the vault that there is none of: a rehearsal's, because the tests give days.
    pub(crate) fn vault() -> [u8; 16] {
        rehearsal::vault_number([7; 16], true)
    }

    pub(crate) fn enrol(&mut self, name: &str) -> TerminalKey {
        let pinned = Pinned {
            vault: Self::vault(),
            root: self.root.public(),
        };
        TerminalKey::generate(name.parse().unwrap(), pinned, &mut self.rng)
    }

    fn chain(&mut self, wanted: Certificates, key: &TerminalKey) -> (Vec<u8>, Vec<u8>) {
        let between = PrivateKey::generate(&mut self.rng);
        let stranger = PrivateKey::generate(&mut self.rng);
        let holder = CertificateName::new("YZTSUB", wanted.epoch, 7);
        let issuer = if wanted.unknown_authority {
            CertificateName::new("NOBODY", 1, 1)
        } else {
            self.root_name
        };
        let above = TerminalCertificate {
            issuer,
            public: between.public(),
            holder,
            rights: wanted.intermediate_rights,
            effective: wanted.intermediate_from,
            expiry: day("2028-12-31"),
        };
        let point = key.request().authentication_key;
        let below = TerminalCertificate {
            issuer: holder,
            public: card_applet_spec::crypto::PublicKey::from_point65(&point).unwrap(),
            holder: CertificateName::new("YZTTERM", wanted.epoch, 9),
            rights: wanted.leaf_rights,
            effective: wanted.from,
            expiry: wanted.to,
        };
        let signer = if wanted.wrong_root { &stranger } else { &self.root };
        (
            above.sign(signer, &mut self.rng).unwrap().to_vec(),
            below.sign(&between, &mut self.rng).unwrap().to_vec(),
        )
    }

    /// Inside of the A9 template of a deny list.
    pub(crate) fn list(&mut self, role: Role, wanted: &Wanted) -> Vec<u8> {
        let mut entries: Vec<[u8; 8]> = wanted
            .denied
            .iter()
            .map(|pid| pid[..8].try_into().unwrap())
            .collect();
        entries.sort_unstable();
        let list = DenyList {
            role,
            version: wanted.list_version,
            issued: wanted.list_issued,
            max_age: 7,
            entries: &entries.concat(),
            grace: wanted.grace,
        };
        let signature = list.sign(&self.deny, &mut [0; 512], &mut self.rng).unwrap();
        let mut out = Bytes::<512>::new();
        list.encode(&signature, &mut out).unwrap();
        out.to_vec()
    }

    /// A list file with one list.
    pub(crate) fn list_file(&mut self, role: Role, wanted: &Wanted) -> Vec<u8> {
        let inside = self.list(role, wanted);
        let mut out = Bytes::<520>::new();
        card_applet_spec::tlv::put(&mut out, card_applet_spec::deny_list::TEMPLATE, &inside).unwrap();
        out.to_vec()
    }

    /// Ktac of a card's slot of `SMALL_PAYMENT`.
    pub(crate) fn tac_key(&self, kv: u8, pid: &[u8; 16]) -> Key16 {
        let master = Key32::new(sha256(&[&[self.seed], b"tac"]));
        kdf::tac_key(&master, Role::SmallPayment, kv, pid).unwrap()
    }

    /// A sealed update for a card.
    pub(crate) fn update(&self, serial: &Serial, counter: u32, operation: &Operation<'_>) -> SealedUpdate {
        let keys = kdf::update_keys(&self.issuance_master(), serial).unwrap();
        SealedUpdate::seal(&keys, counter, &operation.encode().unwrap()).unwrap()
    }

    /// The receipt that a card gives for an update.
    pub(crate) fn receipt(&self, serial: &Serial, update: &SealedUpdate) -> [u8; 16] {
        update.receipt(&kdf::update_keys(&self.issuance_master(), serial).unwrap())
    }

    /// A sealed batch of updates for a terminal.
    pub(crate) fn batch(
        &mut self,
        key: &TerminalKey,
        sequence: u32,
        last_day: Date,
        entries: &[BatchEntry],
    ) -> Vec<u8> {
        let head = BatchHead {
            id: self.random(),
            name: key.name().as_str(),
            issued: day("2026-11-20"),
            not_after: last_day,
            sequence,
        };
        let mut plain = vec![0; update_files::batch_len(entries.len())];
        let used = update_files::encode_batch(&head, entries, &self.root, &mut self.rng, &mut plain).unwrap();
        plain.truncate(used);
        self.seal_as(sealed_box::UPDATES, plain, key)
    }

    /// Plain text of a bundle, signed.
    pub(crate) fn plain_bundle(&mut self, wanted: &Wanted, key: &TerminalKey) -> Vec<u8> {
        let chain = wanted
            .certificates
            .map(|certificates| self.chain(certificates, key));
        let keys: Vec<wire::RoleKey> = wanted
            .roles
            .iter()
            .map(|(role, region, kv, state, until)| {
                let region = region.parse().unwrap();
                wire::RoleKey {
                    role: *role,
                    region,
                    kv: *kv,
                    state: *state,
                    until: *until,
                    door_f: role.has_door_f().then(|| {
                        (
                            self.master("group", *role, region, *kv),
                            self.master("tap", *role, region, *kv),
                        )
                    }),
                    record_master: self.master("record", *role, region, *kv),
                }
            })
            .collect();
        let mut roles: Vec<Role> = wanted.roles.iter().map(|(role, ..)| *role).collect();
        roles.dedup();
        let mut lists = Vec::new();
        if !wanted.without_lists {
            for role in roles {
                lists.push(self.list(role, wanted));
            }
        }
        let head = BundleHead {
            id: self.random(),
            name: &wanted.name,
            issued: wanted.issued,
            not_after: wanted.last_day,
            sequence: wanted.sequence,
            anchors: self.anchors(),
            chain: chain
                .as_ref()
                .map(|(above, below)| (above.as_slice(), below.as_slice())),
            zones: wanted.zones,
            tid: wanted.tid,
        };
        let lists: Vec<&[u8]> = lists.iter().map(Vec::as_slice).collect();
        let mut out = vec![0; 16384];
        let used = wire::encode(&head, &keys, &lists, &self.root, &mut self.rng, &mut out).unwrap();
        out.truncate(used);
        out
    }

    /// Seals a bundle's plain text to a terminal.
    pub(crate) fn seal(&mut self, plain: Vec<u8>, key: &TerminalKey) -> Vec<u8> {
        self.seal_as(sealed_box::BUNDLE, plain, key)
    }

    fn seal_as(&mut self, magic: [u8; 4], mut plain: Vec<u8>, key: &TerminalKey) -> Vec<u8> {
        let point = key.request().sealing_key;
        let receiver = card_applet_spec::crypto::PublicKey::from_point65(&point).unwrap();
        let (head, tag) = sealed_box::seal(magic, &receiver, &mut plain, &mut self.rng).unwrap();
        [&head[..], &plain, &tag].concat()
    }

    /// A terminal, ready.
    pub(crate) fn terminal(&mut self, wanted: &Wanted) -> (TerminalKey, Bundle) {
        let key = self.enrol(&wanted.name);
        let bundle = self.bundle(wanted, &key).unwrap();
        (key, bundle)
    }

    pub(crate) fn bundle(&mut self, wanted: &Wanted, key: &TerminalKey) -> Result<Bundle, Error> {
        let plain = self.plain_bundle(wanted, key);
        let sealed = self.seal(plain, key);
        Bundle::open(&sealed, key, None, today())
    }
}

/// Door I from the host's side, one step at a time.
struct DoorI<T> {
    transport: T,
    channel: Channel,
    n: u16,
    digest: [u8; 32],
}

impl<T: Transport> DoorI<T> {
    fn open(mut transport: T, keys: &KeySet, host: [u8; 8]) -> Self {
        transport.reset().unwrap();
        let select = Header::SELECT
            .command(&card_applet_spec::codes::AID, Some(0))
            .unwrap();
        transport.transmit(&select).unwrap();
        let init = Header::INITIALIZE_UPDATE.command(&host, Some(0)).unwrap();
        let answer = transport.transmit(&init).unwrap();
        let (body, status) = split_answer(&answer).unwrap();
        assert!(status.is_ok());
        let init = InitializeUpdate::parse(body).unwrap();
        let session = SessionKeys::derive(keys, &host, &init.card_challenge);
        assert_eq!(
            session.card_cryptogram(&host, &init.card_challenge),
            init.card_cryptogram
        );
        let cryptogram = session.host_cryptogram(&host, &init.card_challenge);
        let mut channel = Channel::new(session);
        let command = channel.external_authenticate(&cryptogram).unwrap();
        let answer = transport.transmit(&command).unwrap();
        assert_eq!(answer, [0x90, 0x00]);
        Self {
            transport,
            channel,
            n: 0,
            digest: [0; 32],
        }
    }

    fn begin(&mut self, kind: ScriptKind, script: [u8; 16]) {
        self.digest = chain_start(&script);
        self.step(&Step::Begin { kind, script });
    }

    fn step(&mut self, step: &Step<'_>) -> Vec<u8> {
        self.n += 1;
        let bytes = step.encode().unwrap();
        self.digest = chain_next(&self.digest, self.n, &bytes);
        let command = self.channel.wrap_command(Header::step(self.n), &bytes).unwrap();
        let answer = self.transport.transmit(&command).unwrap();
        let (body, status) = self.channel.unwrap_answer(&answer).unwrap();
        assert!(status.is_ok(), "step {} answered {status}", self.n);
        body.to_vec()
    }

    fn finalise(&mut self, today: Date) {
        let (count, digest) = (self.n, self.digest);
        self.step(&Step::Finalise { count, digest, today });
    }
}
