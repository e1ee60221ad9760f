//! One issuer with one card in each state, a terminal with its bundle, and what a stranger could have recorded: made once,
//! from a fixed seed, with the host that the applet's own tests use.

use std::cell::RefCell;

use card_applet::{Applet, MEMORY_LEN};
use card_applet_spec::apdu::{Header, split_answer};
use card_applet_spec::bundle::{self, Anchors, BundleHead, RoleKey};
use card_applet_spec::certificate::{CertificateName, TerminalCertificate};
use card_applet_spec::codes::{AID, CardState, KeyState, Rights, Role, Tier};
use card_applet_spec::crypto::{Key16, Key32, PrivateKey, PublicKey};
use card_applet_spec::date::Date;
use card_applet_spec::deny_list::DenyList;
use card_applet_spec::door_f::{CommitBody, TapAnswer, TapPlain, tap_command};
use card_applet_spec::door_s::{Agree, Object};
use card_applet_spec::kdf;
use card_applet_spec::record::Entitlement;
use card_applet_spec::scp03::{Channel, InitializeUpdate, SessionKeys};
use card_applet_spec::script::ScriptKind;
use card_applet_spec::sealed_box;
use card_host::{Card, Dice, Host, KV, Ram, TODAY, date, read_object, wrong_try};
use card_reader::{Bundle, Pinned, TerminalKey};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// What a stranger could have written down beside a reader: commands, and the card's answers.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// Commands, in their order.
    pub commands: Vec<Vec<u8>>,
    /// The answers to them.
    pub answers: Vec<Vec<u8>>,
}

/// The issuer, its cards, and a terminal.
#[expect(missing_debug_implementations, reason = "it is a bag of keys")]
pub struct Fixture {
    pub(crate) host: Host,
    /// Memory of one card in each state, in the order of [`STATES`].
    pub(crate) images: Vec<Vec<u8>>,
    /// For each card, which bytes of its memory are door I's failure counter.
    pub(crate) failure_cells: Vec<Vec<bool>>,
    /// The three certificates of the card.
    pub(crate) card_certificates: Vec<[u8; 160]>,
    /// Sessions of the active card with the vault, a bus, a shop, a clinic.
    pub recorded: Recorded,
    /// The terminal's chain, as every card sees it.
    pub chain: [Vec<u8>; 2],
    pub(crate) terminal: TerminalKey,
    /// The terminal's bundle, sealed.
    pub sealed_bundle: Vec<u8>,
    /// The same without its box: 7F50 and signature.
    pub plain_bundle: Vec<u8>,
    /// A till's bundle, sealed: `SMALL_PAYMENT`, and the registration number 42.
    pub(crate) sealed_till: Vec<u8>,
    /// Memory of another person's active card.
    pub(crate) other: Vec<u8>,
    /// A deny list of TRANSIT, the inside of its template.
    pub deny_list: Vec<u8>,
    pub(crate) deny_signer: PrivateKey,
    /// DG1 and DG3 of the card.
    pub(crate) groups: [Vec<u8>; 2],
}

/// The cohort of every slot that the host writes.
pub(crate) const COHORT: u8 = 77;

/// The states in the order of the cards.
pub(crate) const STATES: [CardState; 5] = [
    CardState::Blank,
    CardState::Personalised,
    CardState::Active,
    CardState::Blocked,
    CardState::Terminated,
];

/// The day on which everything happens.
pub(crate) fn today() -> Date {
    date(TODAY)
}

thread_local! {
    static FIXTURE: RefCell<Fixture> = RefCell::new(Fixture::make());
}

/// Lends the fixture of this thread, with its random source set back: the same input does the same.
pub fn with_fixture<T>(run: impl FnOnce(&mut Fixture) -> T) -> T {
    FIXTURE.with(|fixture| {
        let mut fixture = fixture.borrow_mut();
        fixture.host.rng = StdRng::seed_from_u64(0xF0);
        run(&mut fixture)
    })
}

/// A memory that holds `image`.
pub(crate) fn memory(image: &[u8]) -> Ram {
    let mut ram = Ram::new();
    ram.bytes = image.to_vec();
    ram
}

/// Where the card in each state keeps its failure counter: the bytes that wrong tries at door I change. Learnt from
/// outside, so that the layout of the memory stays the applet's own affair. Enough tries that every byte of both copies
/// that can change has changed.
fn failure_cells(images: &[Vec<u8>]) -> Vec<Vec<bool>> {
    let cells_of = |image: &Vec<u8>| {
        let mut cells = vec![false; MEMORY_LEN];
        let mut ram = memory(image);
        for _ in 0..16 {
            let mut card = Applet::power_on(ram, Dice::new(1)).expect("a card");
            assert!(wrong_try(&mut card).is_err());
            (ram, _) = card.power_off();
            for (cell, (after, before)) in cells.iter_mut().zip(ram.bytes.iter().zip(image)) {
                *cell |= after != before;
            }
        }
        assert!(
            cells.iter().filter(|cell| **cell).count() <= 32,
            "two copies of 16 bytes"
        );
        cells
    };
    images.iter().map(cells_of).collect()
}

fn image(card: Card) -> (Vec<u8>, Ram) {
    let (ram, _) = card.power_off();
    (ram.bytes.clone(), ram)
}

impl Fixture {
    fn make() -> Self {
        let mut host = Host::new(0x59);
        let mut images = Vec::new();
        let blank = host.blank();
        images.push(blank.bytes.clone());
        let (bytes, ram) = image(host.personalised_card());
        images.push(bytes);
        let mut card = host.power_on(ram);
        host.short_script(&mut card, ScriptKind::Activate, [9; 16])
            .expect("a personalised card is activated");
        let (active, ram) = image(card);
        images.push(active.clone());
        let mut card = host.power_on(ram);
        host.short_script(&mut card, ScriptKind::Block, [2; 16])
            .expect("an active card is blocked");
        images.push(image(card).0);
        let mut card = host.power_on(memory(&active));
        host.short_script(&mut card, ScriptKind::Terminate, [3; 16])
            .expect("an active card is ended");
        images.push(image(card).0);

        let mut card = host.power_on(memory(&active));
        let (mut channel, person) = host
            .open_door_s(&mut card, Rights::ALL)
            .expect("the office reads");
        let groups = [Object::Dg1, Object::Dg3]
            .map(|object| read_object(&mut channel, &mut card, object).expect("a group is there"));
        let mut card_certificates = vec![person.encode().expect("160 bytes")];
        for role in [Role::Clinic, Role::SocialInsurance] {
            let (_, certificate) = host
                .open_door_s(&mut card, Rights::role(role))
                .expect("a department reads");
            card_certificates.push(certificate.encode().expect("160 bytes"));
        }
        let deny_signer = PrivateKey::generate(&mut host.rng);
        let anchors = anchors(&host, &deny_signer);
        let pinned = Pinned {
            vault: [7; 16],
            root: host.root.public(),
        };
        let terminal = TerminalKey::generate("gate 1".parse().expect("a name"), pinned, &mut host.rng);
        let deny_list = deny_list(&mut host, &deny_signer, Role::Transit, &[9; 16]);
        let chain = chain(&mut host, &terminal);
        let gate = [Role::Transit, Role::Clinic];
        let plain_bundle = plain_bundle_of(&mut host, &deny_signer, &chain, &anchors, &gate);
        let sealed_bundle = seal(&mut host, &terminal, &plain_bundle);
        let till = plain_bundle_of(&mut host, &deny_signer, &chain, &anchors, &[Role::SmallPayment]);
        let sealed_till = seal(&mut host, &terminal, &till);
        let other = other_card(&mut host);
        let recorded = record(&mut host, &active, &chain);
        Self {
            host,
            failure_cells: failure_cells(&images),
            images,
            card_certificates,
            recorded,
            chain,
            terminal,
            sealed_bundle,
            plain_bundle,
            sealed_till,
            other,
            deny_list,
            deny_signer,
            groups,
        }
    }

    /// The active card, powered on; its own random numbers follow from `seed`.
    pub(crate) fn active(&self, seed: u64) -> Card {
        let image = self.images.get(2).expect("five cards");
        Applet::power_on(memory(image), Dice::new(seed)).expect("a card")
    }

    /// The bundle, opened anew (a terminal remembers what it saw: each input needs its own).
    pub(crate) fn bundle(&self) -> Bundle {
        Bundle::open(&self.sealed_bundle, &self.terminal, None, today()).expect("our own bundle")
    }

    /// The till's bundle, opened anew.
    pub(crate) fn till_bundle(&self) -> Bundle {
        Bundle::open(&self.sealed_till, &self.terminal, None, today()).expect("our own bundle")
    }

    /// An entitlement of many kinds.
    pub(crate) fn entitlement(which: u8, number: u32) -> Entitlement {
        let role = *Role::ALL
            .get(usize::from(which) % Role::ALL.len())
            .expect("one of them");
        Entitlement {
            role,
            kv: which,
            issue_counter: number,
            tier: Tier::Talent,
            class: which,
            services: u64::from(number),
            zones: u64::from(number) << 7,
            from: today(),
            to: date("2031-01-31"),
            rule_set: [which; 8],
            binding: [which; 16],
        }
    }
}

fn anchors(host: &Host, deny_signer: &PrivateKey) -> Anchors {
    Anchors {
        card_ca: host.card_ca.public(),
        entitlement_signer: host.entitlement_signer.public(),
        document_signer: host.document_signer.public(),
        terminal_ca_name: host.root_name,
        terminal_ca: host.root.public(),
        deny_list_signer: deny_signer.public(),
    }
}

/// The terminal's two certificates, with every right.
fn chain(host: &mut Host, terminal: &TerminalKey) -> [Vec<u8>; 2] {
    let intermediate = host.intermediate(Rights::ALL, "2026-11-01", "2027-11-01");
    let leaf = TerminalCertificate {
        issuer: host.intermediate_name,
        public: PublicKey::from_point65(&terminal.request().authentication_key).expect("its own"),
        holder: CertificateName::new("TERMINAL", 1, 7),
        rights: Rights::ALL,
        effective: date("2026-11-20"),
        expiry: date("2026-11-25"),
    };
    let leaf = leaf
        .sign(&host.intermediate_key, &mut host.rng)
        .expect("it signs");
    [intermediate, leaf.to_vec()]
}

/// The inside of an A9 template, with one entry.
fn deny_list(host: &mut Host, signer: &PrivateKey, role: Role, pid: &[u8; 16]) -> Vec<u8> {
    let list = DenyList {
        role,
        version: 1,
        issued: today(),
        max_age: 3,
        entries: pid.get(..8).expect("a pseudonym has 16 bytes"),
        grace: None,
    };
    let signature = list.sign(signer, &mut [0; 128], &mut host.rng).expect("it signs");
    let mut out = card_applet_spec::Bytes::<256>::new();
    list.encode(&signature, &mut out).expect("it fits");
    out.to_vec()
}

fn plain_bundle_of(
    host: &mut Host,
    deny_signer: &PrivateKey,
    chain: &[Vec<u8>; 2],
    anchors: &Anchors,
    roles: &[Role],
) -> Vec<u8> {
    let copy = |key: &Key32| Key32::new(*key.expose());
    let keys: Vec<RoleKey> = roles
        .iter()
        .copied()
        .map(|role| RoleKey {
            role,
            region: host.region,
            kv: KV,
            state: KeyState::Active,
            until: Date::NONE,
            door_f: role.has_door_f().then(|| (copy(&host.group), copy(&host.tap))),
            record_master: copy(&host.record),
        })
        .collect();
    let lists: Vec<Vec<u8>> = roles
        .iter()
        .map(|role| deny_list(host, deny_signer, *role, &[9; 16]))
        .collect();
    let lists: Vec<&[u8]> = lists.iter().map(Vec::as_slice).collect();
    let [intermediate, leaf] = chain;
    let head = BundleHead {
        id: [1; 16],
        name: "gate 1",
        issued: today(),
        not_after: date("2026-12-21"),
        sequence: 5,
        anchors: *anchors,
        chain: Some((intermediate, leaf)),
        zones: 0,
        tid: Some(42),
    };
    let mut out = vec![0; 4096];
    let length = bundle::encode(&head, &keys, &lists, &host.root, &mut host.rng, &mut out).expect("it fits");
    out.truncate(length);
    out
}

/// An active card of the same office with other pseudonyms.
fn other_card(host: &mut Host) -> Vec<u8> {
    let others = host
        .pids
        .iter()
        .map(|(role, pid)| (*role, pid.map(|byte| byte ^ 0x5A)))
        .collect();
    let mine = std::mem::replace(&mut host.pids, others);
    let card = host.active_card();
    host.pids = mine;
    image(card).0
}

/// Seals a plain text to the terminal.
pub(crate) fn seal(host: &mut Host, terminal: &TerminalKey, plain: &[u8]) -> Vec<u8> {
    seal_as(sealed_box::BUNDLE, host, terminal, plain)
}

/// The same for another kind of box.
pub(crate) fn seal_as(magic: [u8; 4], host: &mut Host, terminal: &TerminalKey, plain: &[u8]) -> Vec<u8> {
    let receiver = PublicKey::from_point65(&terminal.request().sealing_key).expect("its own");
    let mut message = plain.to_vec();
    let (head, tag) = sealed_box::seal(magic, &receiver, &mut message, &mut host.rng).expect("it seals");
    [&head[..], &message, &tag].concat()
}

/// One session of each kind with the active card, as a stranger beside the reader hears it.
fn record(host: &mut Host, active: &[u8], chain: &[Vec<u8>; 2]) -> Recorded {
    let mut recorded = Recorded::default();
    // Door S by somebody who has no right to that chain: the card hears, and refuses.
    let mut card = Heard::new(host, active);
    card.say(&Header::SELECT.command(&AID, Some(0)).expect("short"));
    for (place, certificate) in (0_u8..).zip(chain) {
        card.say(
            &Header::present_certificate(place)
                .command(certificate, None)
                .expect("short"),
        );
    }
    let challenge = card.say(&Header::GET_CHALLENGE.command(&[], Some(16)).expect("short"));
    // The terminal's own key stays inside `TerminalKey`: the signature of this session is by another one, and refused.
    let key = PrivateKey::generate(&mut host.rng);
    let challenge = challenge.first_chunk().copied().unwrap_or_default();
    let agree = Agree::sign(
        Rights::IDENTITY,
        &key.public(),
        &challenge,
        &chain[1],
        &key,
        &mut host.rng,
    )
    .expect("it signs");
    card.say(
        &Header::AGREE
            .command(&agree.encode().expect("134 bytes"), Some(0))
            .expect("short"),
    );
    recorded.append(card);

    // Door S in earnest, by a chain whose key is here.
    let mut card = Heard::new(host, active);
    let intermediate = host.intermediate(Rights::ALL, "2026-11-01", "2027-11-01");
    let key = PrivateKey::generate(&mut host.rng);
    let leaf = host.leaf(&key, Rights::ALL, "2026-11-20", "2026-11-25");
    card.say(&Header::SELECT.command(&AID, Some(0)).expect("short"));
    for (place, certificate) in [(0_u8, &intermediate), (1, &leaf)] {
        card.say(
            &Header::present_certificate(place)
                .command(certificate, None)
                .expect("short"),
        );
    }
    let challenge = card.say(&Header::GET_CHALLENGE.command(&[], Some(16)).expect("short"));
    let challenge = challenge.first_chunk().copied().expect("16 bytes");
    let ephemeral = PrivateKey::generate(&mut host.rng);
    let agree = Agree::sign(
        Rights::role(Role::Clinic),
        &ephemeral.public(),
        &challenge,
        &leaf,
        &key,
        &mut host.rng,
    )
    .expect("it signs");
    card.say(
        &Header::AGREE
            .command(&agree.encode().expect("134 bytes"), Some(0))
            .expect("short"),
    );
    recorded.append(card);

    record_shop(host, active, &mut recorded);
    record_office(host, active, &mut recorded);
    recorded
}

/// A shop: TAP, COMMIT, and the same COMMIT again.
fn record_shop(host: &mut Host, active: &[u8], recorded: &mut Recorded) {
    let role = Role::SmallPayment;
    let mut card = Heard::new(host, active);
    card.say(&Header::SELECT.command(&AID, Some(0)).expect("short"));
    let body = card.say(&tap_command(role.code(), KV, &[6; 16]).expect("short"));
    let answer = TapAnswer::parse(split_answer(&body).expect("an answer").0).expect("a TAP answer");
    let debit = CommitBody {
        amount: 100,
        tid: 42,
        txno: [1; 8],
        time: 848_000_000,
        kind: 1,
    };
    let data = commit_data(host, KV, &[6; 16], &answer, &debit).expect("the card is ours");
    let paid = card.say(
        &Header::commit(role.code(), KV)
            .command(&data, Some(25))
            .expect("short"),
    );
    assert_eq!(paid.len(), 27, "the debit is done");
    recorded.append(card);
}

/// Data of a genuine COMMIT behind the TAP `answer`; `None` when its slot is not one of ours.
pub(crate) fn commit_data(
    host: &Host,
    kv: u8,
    rt: &[u8; 16],
    answer: &TapAnswer,
    debit: &CommitBody,
) -> Option<Vec<u8>> {
    let role = Role::SmallPayment;
    let (plain, m) = opened_tap(host, role, kv, rt, answer)?;
    let mac = debit
        .mac(&m, role.code(), kv, rt, &answer.card_challenge, plain.seq)
        .ok()?;
    Some([&debit.encode().ok()?[..], &mac].concat())
}

/// What a TAP answer says, and its key M, when the slot is one that this host wrote.
pub(crate) fn opened_tap(
    host: &Host,
    role: Role,
    kv: u8,
    rt: &[u8; 16],
    answer: &TapAnswer,
) -> Option<(TapPlain, Key16)> {
    let g = kdf::group_key(&host.group, role, host.region, kv, COHORT).ok()?;
    let plain = answer.open(&g).ok()?;
    let m = kdf::tap_key(&host.tap, role, host.region, kv, &plain.pid).ok()?;
    answer.verify(&m, role.code(), kv, rt).ok()?;
    Some((plain, m))
}

/// The office: door I, and a script that blocks the card up to FINALISE.
fn record_office(host: &mut Host, active: &[u8], recorded: &mut Recorded) {
    let mut card = Heard::new(host, active);
    card.say(&Header::SELECT.command(&AID, Some(0)).expect("short"));
    let opening = card.say(
        &Header::INITIALIZE_UPDATE
            .command(&[1; 8], Some(0))
            .expect("short"),
    );
    let opening = InitializeUpdate::parse(split_answer(&opening).expect("an answer").0).expect("29 bytes");
    let keys = kdf::issuance_keys(&host.issuance, &host.serial).expect("a key set");
    let session = SessionKeys::derive(&keys, &[1; 8], &opening.card_challenge);
    let cryptogram = session.host_cryptogram(&[1; 8], &opening.card_challenge);
    let mut channel = Channel::new(session);
    let done = card.say(&channel.external_authenticate(&cryptogram).expect("short"));
    assert_eq!(done, [0x90, 0x00], "door I is open");
    let begin = card_host::begin(ScriptKind::Block, [0x42; 16]);
    let last = card_host::finalise([0x42; 16], std::slice::from_ref(&begin), TODAY);
    for (n, step) in [(1, begin), (2, last)] {
        let answer = card.say(&channel.wrap_command(Header::step(n), &step).expect("short"));
        assert_eq!(answer[answer.len() - 2..], [0x90, 0x00], "step {n}");
    }
    recorded.append(card);
}

/// A card that says everything twice: to the terminal, and to the stranger.
struct Heard {
    card: Card,
    recorded: Recorded,
}

impl Heard {
    fn new(host: &mut Host, image: &[u8]) -> Self {
        Self {
            card: host.power_on(memory(image)),
            recorded: Recorded::default(),
        }
    }

    fn say(&mut self, command: &[u8]) -> Vec<u8> {
        let answer = self.card.process(command).to_vec();
        self.recorded.commands.push(command.to_vec());
        self.recorded.answers.push(answer.clone());
        answer
    }
}

impl Recorded {
    fn append(&mut self, heard: Heard) {
        self.commands.extend(heard.recorded.commands);
        self.answers.extend(heard.recorded.answers);
    }
}
