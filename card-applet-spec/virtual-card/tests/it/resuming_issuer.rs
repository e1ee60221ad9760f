//! An issuing office for tests of the card: the host side of door I (specification, chapter 05) written from crate
//! `card-applet-spec` alone, with resuming. It keeps its keys in the open, which the vault never does; the vault's own
//! sessions are tested in `hardware-tests`.

use card_applet_spec::apdu::{Header, StatusWord, split_answer};
use card_applet_spec::certificate::{CARD_CERTIFICATE_LEN, CardCertificate};
use card_applet_spec::codes::{AID, CardState, Domain, Role, Serial};
use card_applet_spec::crypto::{Key16, PrivateKey};
use card_applet_spec::date::Date;
use card_applet_spec::door_f::{TapAnswer, TapPlain, tap_command};
use card_applet_spec::kdf::KeySet;
use card_applet_spec::scp03::{Channel, InitializeUpdate, SessionKeys};
use card_applet_spec::script::{ScriptKind, SlotStep, Status, Step, WritableObject, chain_next, chain_start};
use card_reader::transport::{Transport, TransportError};
use rand::SeedableRng;
use rand::rngs::StdRng;
use virtual_card::CardMemory;
use virtual_card::blank::{Blank, manufacture};

pub(crate) const SERIAL: Serial = Serial([0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
pub(crate) const KV: u8 = 1;
const TRANSPORT: [u8; 48] = [7; 48];
pub(crate) const NEW_KEYS: [u8; 96] = [8; 96];
pub(crate) const G: [u8; 16] = [0x61; 16];
pub(crate) const M: [u8; 16] = [0x62; 16];
pub(crate) const PID: [u8; 16] = [0x63; 16];
const DOMAINS: [Domain; 3] = [Domain::Person, Domain::Clinic, Domain::SocialInsurance];

/// Why an attempt ended early.
#[derive(Debug)]
pub(crate) enum Trouble {
    Transport(#[expect(dead_code, reason = "for the debug print of a failed test")] TransportError),
    /// A status other than 9000.
    Status(#[expect(dead_code, reason = "for the debug print of a failed test")] StatusWord),
    /// A MAC, a cryptogram or a form is wrong.
    Answer,
}

impl From<TransportError> for Trouble {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

impl From<card_applet_spec::Error> for Trouble {
    fn from(_: card_applet_spec::Error) -> Self {
        Self::Answer
    }
}

/// A blank card with the office's transport keys.
pub(crate) fn blank() -> CardMemory {
    let memory = CardMemory::ram(card_applet::MEMORY_LEN);
    let blank = Blank {
        serial: SERIAL,
        keys: KeySet::from_bytes(&TRANSPORT),
    };
    manufacture(&memory, &blank, &mut StdRng::from_seed([1; 32])).unwrap();
    memory
}

/// One script for one card, and how far it has come.
pub(crate) struct ResumingIssuer {
    kind: ScriptKind,
    script: [u8; 16],
    portrait: Vec<u8>,
    card_ca: PrivateKey,
    rng: StdRng,
    /// Op and payload of each step, once it is known; a step's content never changes afterwards.
    steps: Vec<Vec<u8>>,
    /// The card's public keys, as they arrive.
    public: [Option<[u8; 64]>; 3],
    sessions: u8,
}

pub(crate) fn today() -> Date {
    Date::new(2026, 11, 21).unwrap()
}

impl ResumingIssuer {
    pub(crate) fn personalise(portrait: usize) -> Self {
        Self::new(ScriptKind::Personalise, 0x50, portrait)
    }

    pub(crate) fn activate() -> Self {
        Self::new(ScriptKind::Activate, 0x51, 0)
    }

    fn new(kind: ScriptKind, script: u8, portrait: usize) -> Self {
        let mut rng = StdRng::from_seed([2; 32]);
        let card_ca = PrivateKey::generate(&mut rng);
        Self {
            kind,
            script: [script; 16],
            portrait: (0..portrait).map(|at| (at % 251).to_le_bytes()[0]).collect(),
            card_ca,
            rng,
            steps: Vec::new(),
            public: [None; 3],
            sessions: 0,
        }
    }

    /// Runs the script from wherever the card stands.
    pub(crate) fn run(&mut self, card: &mut impl Transport) -> Result<CardState, Trouble> {
        let mut channel = self.open(card)?;
        let status = Self::status(card, &mut channel)?;
        let mut next = 1;
        if status.script == self.script && status.digest == self.digest(status.last) {
            if !status.open {
                return Ok(status.state);
            }
            // The last step's answer may have been lost with the key in it: it is sent again, word for word.
            next = status.last.max(1);
        }
        while let Some(step) = self.step(next) {
            let answer = exchange(card, &mut channel, Header::step(next), &step)?;
            if let [0x03, domain] = step[..] {
                self.public[usize::from(domain) - 1] =
                    Some(answer[..].try_into().map_err(|_| Trouble::Answer)?);
            }
            next += 1;
        }
        Ok(Self::status(card, &mut channel)?.state)
    }

    /// What the card says of itself, from a session of its own.
    pub(crate) fn ask(&mut self, card: &mut impl Transport) -> Result<Status, Trouble> {
        let mut channel = self.open(card)?;
        Self::status(card, &mut channel)
    }

    /// h(n) of the steps so far.
    pub(crate) fn digest(&self, n: u16) -> [u8; 32] {
        self.steps
            .iter()
            .zip(1_u16..=n)
            .fold(chain_start(&self.script), |digest, (step, n)| {
                chain_next(&digest, n, step)
            })
    }

    fn open(&mut self, card: &mut impl Transport) -> Result<Channel, Trouble> {
        card.reset()?;
        plain(card, Header::SELECT, &AID)?;
        self.sessions += 1;
        let challenge = [self.sessions; 8];
        let answer = InitializeUpdate::parse(&plain(card, Header::INITIALIZE_UPDATE, &challenge)?)?;
        // The office does not know which keys count: it computes both cryptograms.
        let new: [u8; 48] = NEW_KEYS[..48].try_into().unwrap();
        let keys = [TRANSPORT, new]
            .map(|bytes| SessionKeys::derive(&KeySet::from_bytes(&bytes), &challenge, &answer.card_challenge))
            .into_iter()
            .find(|keys| keys.card_cryptogram(&challenge, &answer.card_challenge) == answer.card_cryptogram)
            .ok_or(Trouble::Answer)?;
        let cryptogram = keys.host_cryptogram(&challenge, &answer.card_challenge);
        let mut channel = Channel::new(keys);
        let (body, status) = sent(card, &channel.external_authenticate(&cryptogram)?)?;
        if !status.is_ok() || !body.is_empty() {
            return Err(Trouble::Status(status));
        }
        Ok(channel)
    }

    fn status(card: &mut impl Transport, channel: &mut Channel) -> Result<Status, Trouble> {
        Ok(Status::parse(&exchange(card, channel, Header::GET_STATUS, &[])?)?)
    }

    fn step(&mut self, n: u16) -> Option<Vec<u8>> {
        let index = usize::from(n) - 1;
        if index == self.steps.len() {
            let step = self.next_step(index)?;
            self.steps.push(step);
        }
        self.steps.get(index).cloned()
    }

    /// BEGIN, the writes, three key pairs, three certificates, a slot, keys, trust, FINALISE.
    fn next_step(&mut self, index: usize) -> Option<Vec<u8>> {
        let content: &[Content] = if self.kind == ScriptKind::Personalise {
            &Content::PERSONALISE
        } else {
            &Content::STATE_ONLY
        };
        let mut at = index;
        for part in content {
            let count = part.count(self.portrait.len());
            if at < count {
                return Some(self.encode(*part, at, index));
            }
            at -= count;
        }
        None
    }

    fn encode(&mut self, part: Content, at: usize, index: usize) -> Vec<u8> {
        let (wrapped, certificate, root);
        let small = [part as u8; SMALL];
        let step = match part {
            Content::Begin => Step::Begin {
                kind: self.kind,
                script: self.script,
            },
            Content::Dg1 => whole(WritableObject::Dg1, &small),
            Content::Dg3 => whole(WritableObject::Dg3, &small),
            Content::Signature => whole(WritableObject::Signature, &small),
            Content::Dg2 => {
                let offset = at * CHUNK;
                Step::Write {
                    object: WritableObject::Dg2,
                    total: self.portrait.len().try_into().unwrap(),
                    offset: offset.try_into().unwrap(),
                    data: self.portrait.chunks(CHUNK).nth(at).unwrap(),
                }
            }
            Content::Generate => Step::Generate { domain: DOMAINS[at] },
            Content::Certificate => {
                certificate = self.certify(DOMAINS[at]);
                Step::Certificate {
                    domain: DOMAINS[at],
                    certificate: &certificate,
                }
            }
            Content::Slot => Step::Slot(SlotStep {
                role: Role::Transit.code(),
                kv: KV,
                flags: 0,
                g: &G,
                m: &M,
                pid: &PID,
                record: &[0x64; 160],
                loaded: 0,
            }),
            Content::Keys => {
                let mut bytes = NEW_KEYS;
                KeySet::from_bytes(&TRANSPORT)
                    .dek
                    .cbc_encrypt(&[0; 16], &mut bytes)
                    .unwrap();
                wrapped = bytes;
                Step::Keys { wrapped: &wrapped }
            }
            Content::Trust => {
                root = self.card_ca.public().to_public64();
                Step::Trust {
                    name: b"CNYZTTCA0001R001",
                    public64: &root,
                    epoch: 1,
                    floor: today(),
                }
            }
            Content::Finalise => {
                let count = index.try_into().unwrap();
                Step::Finalise {
                    count,
                    digest: self.digest(count),
                    today: today(),
                }
            }
        };
        step.encode().unwrap().to_vec()
    }

    fn certify(&mut self, domain: Domain) -> [u8; CARD_CERTIFICATE_LEN] {
        let public = self.public[usize::from(domain.code()) - 1].expect("the key was generated before");
        let to = Date::new(2036, 11, 20).unwrap();
        let id = [domain.code(); 16];
        CardCertificate::sign(&self.card_ca, domain, 1, today(), to, id, public, &mut self.rng)
            .unwrap()
            .encode()
            .unwrap()
    }
}

/// What the terminal of a bus gets out of a TAP, if it is more than a decoy.
pub(crate) fn tap(card: &mut impl Transport) -> Result<Option<TapPlain>, Trouble> {
    card.reset()?;
    plain(card, Header::SELECT, &AID)?;
    let challenge = [0x33; 16];
    let (body, status) = sent(card, &tap_command(Role::Transit.code(), KV, &challenge)?)?;
    if !status.is_ok() {
        return Err(Trouble::Status(status));
    }
    let answer = TapAnswer::parse(&body)?;
    let Ok(opened) = answer.open(&Key16::new(G)) else {
        return Ok(None);
    };
    answer.verify(&Key16::new(M), Role::Transit.code(), KV, &challenge)?;
    Ok(Some(opened))
}

/// Chunk of a WRITE, bytes.
const CHUNK: usize = 233;
/// Length of the small objects, bytes.
const SMALL: usize = 100;

#[derive(Debug, Clone, Copy)]
enum Content {
    Begin,
    Dg1,
    Dg2,
    Dg3,
    Signature,
    Generate,
    Certificate,
    Slot,
    Keys,
    Trust,
    Finalise,
}

impl Content {
    const PERSONALISE: [Self; 11] = [
        Self::Begin,
        Self::Dg1,
        Self::Dg2,
        Self::Dg3,
        Self::Generate,
        Self::Certificate,
        Self::Signature,
        Self::Slot,
        Self::Keys,
        Self::Trust,
        Self::Finalise,
    ];
    const STATE_ONLY: [Self; 2] = [Self::Begin, Self::Finalise];

    fn count(self, portrait: usize) -> usize {
        match self {
            Self::Dg2 => portrait.div_ceil(CHUNK),
            Self::Generate | Self::Certificate => DOMAINS.len(),
            _ => 1,
        }
    }
}

fn whole(object: WritableObject, data: &[u8; SMALL]) -> Step<'_> {
    Step::Write {
        object,
        total: 100,
        offset: 0,
        data,
    }
}

fn sent(card: &mut impl Transport, command: &[u8]) -> Result<(Vec<u8>, StatusWord), Trouble> {
    let answer = card.transmit(command)?;
    let (body, status) = split_answer(&answer)?;
    Ok((body.to_vec(), status))
}

fn plain(card: &mut impl Transport, header: Header, data: &[u8]) -> Result<Vec<u8>, Trouble> {
    let (body, status) = sent(card, &header.command(data, Some(0))?)?;
    if status.is_ok() {
        Ok(body)
    } else {
        Err(Trouble::Status(status))
    }
}

fn exchange(
    card: &mut impl Transport,
    channel: &mut Channel,
    header: Header,
    data: &[u8],
) -> Result<Vec<u8>, Trouble> {
    let command = channel.wrap_command(header, data)?;
    let answer = card.transmit(&command)?;
    let (body, status) = channel.unwrap_answer(&answer)?;
    if status.is_ok() {
        Ok(body.to_vec())
    } else {
        Err(Trouble::Status(status))
    }
}
