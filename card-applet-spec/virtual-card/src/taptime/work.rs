//! From what the reference card did to what a Java Card would do, command by command.
//!
//! The reference card makes a cipher for each use of a key. A Java Card keeps key objects: a key that stays on the card is
//! set once when it is written, and a cipher object takes it up once in each session; a session key is set and taken up
//! once. Both directions of AES need a cipher object each. A CMAC is made with the cipher object that encrypts; its
//! sub-keys are stored for keys that stay, and cost one block for a session key. An initial value is added to the first
//! block by the applet, so that the cipher stays initialised with zero; where it is the encryption of a counter under the
//! same key, counter and data go through the cipher in one call, and the first block that comes out is not sent. Check
//! values of memory are not counted: the platform's transactions do their work.

use std::collections::BTreeSet;

use card_applet_spec::meter::{KeyTag, KeyUsage, Operation};
use serde::Serialize;

use crate::meter::Event;
use crate::taptime::issuer::Exchange;

/// When a key is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum SetUp {
    /// Once in a session: each key has a cipher object of its own. The rule of the specification.
    #[default]
    Once,
    /// At each change of key: one cipher object for all keys.
    EachChange,
}

/// What a Java Card does between a command and its answer. Lengths are bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Work {
    /// Set-ups of keys that stay on the card.
    pub stored_key_set_ups: u32,
    /// Set-ups of keys made in this session: set key and init.
    pub session_key_set_ups: u32,
    /// Further cipher objects that take up a session key: the other direction, or once more.
    pub further_inits: u32,
    /// Keys that are set to stay.
    pub new_stored_keys: u32,
    /// AES-CBC or single blocks, each call.
    pub aes: Vec<usize>,
    /// CMACs.
    pub cmac: Vec<usize>,
    /// SHA-256.
    pub sha256: Vec<usize>,
    /// Draws of the random source.
    pub random: Vec<usize>,
    /// P-256 key generations.
    pub key_generations: u32,
    /// P-256 key agreements.
    pub agreements: u32,
    /// ECDSA verifications.
    pub verifications: u32,
    /// Public keys set into key objects.
    pub points_set: u32,
    /// Bytes of memory read.
    pub read: usize,
    /// Stretches of memory written.
    pub written: Vec<usize>,
    /// Check values of memory that the reference card computed, and a Java Card does not.
    pub memory_checks: u32,
    /// Operations that this model has no place for: none, or its figures are too small.
    pub unknown: u32,
}

impl Work {
    /// Set-ups of symmetric keys, of either kind.
    #[must_use]
    pub(crate) const fn key_set_ups(&self) -> u32 {
        self.stored_key_set_ups + self.session_key_set_ups + self.further_inits
    }

    /// Adds what another command takes.
    pub fn add(&mut self, other: &Self) {
        self.stored_key_set_ups += other.stored_key_set_ups;
        self.session_key_set_ups += other.session_key_set_ups;
        self.further_inits += other.further_inits;
        self.new_stored_keys += other.new_stored_keys;
        self.aes.extend(&other.aes);
        self.cmac.extend(&other.cmac);
        self.sha256.extend(&other.sha256);
        self.random.extend(&other.random);
        self.key_generations += other.key_generations;
        self.agreements += other.agreements;
        self.verifications += other.verifications;
        self.points_set += other.points_set;
        self.read += other.read;
        self.written.extend(&other.written);
        self.memory_checks += other.memory_checks;
        self.unknown += other.unknown;
    }
}

/// The key objects of a Java Card from power on to power off.
pub(super) struct KeyObjects<'a> {
    stored: &'a BTreeSet<KeyTag>,
    rule: SetUp,
    /// Cipher objects that have taken up a key; the flag is decryption.
    taken_up: BTreeSet<(KeyTag, bool)>,
    /// Session keys that are set.
    set: BTreeSet<KeyTag>,
    /// Session keys whose sub-keys are made.
    sub_keys: BTreeSet<KeyTag>,
    last: Option<(KeyTag, bool)>,
    /// A single block was just encrypted with the last key: an initial value, if its key encrypts on.
    block_encrypted: bool,
}

impl<'a> KeyObjects<'a> {
    pub(super) fn new(stored: &'a BTreeSet<KeyTag>, rule: SetUp) -> Self {
        Self {
            stored,
            rule,
            taken_up: BTreeSet::new(),
            set: BTreeSet::new(),
            sub_keys: BTreeSet::new(),
            last: None,
            block_encrypted: false,
        }
    }

    /// What a Java Card would do where the reference card did this.
    pub(super) fn work(&mut self, exchange: &Exchange) -> Work {
        let mut work = Work {
            new_stored_keys: exchange.new_keys,
            ..Work::default()
        };
        let mut end_of_write = None;
        for event in &exchange.events {
            match *event {
                Event::Read { bytes } => work.read += bytes,
                Event::Write { offset, bytes } => {
                    // An area that is erased in pieces is one stretch.
                    match (end_of_write, work.written.last_mut()) {
                        (Some(end), Some(stretch)) if end == offset => *stretch += bytes,
                        _ => work.written.push(bytes),
                    }
                    end_of_write = Some(offset + bytes);
                }
                Event::Operation(operation) => self.operation(exchange.command, operation, &mut work),
            }
        }
        work
    }

    fn operation(&mut self, command: &str, operation: Operation, work: &mut Work) {
        match operation {
            Operation::KeySetup { key, usage } => self.use_key(key, usage, work),
            Operation::AesBlock => {
                work.aes.push(16);
                self.block_encrypted = self.last.is_some_and(|(_, decrypts)| !decrypts);
            }
            Operation::AesCbc { bytes } => match work.aes.last_mut() {
                Some(call) if self.block_encrypted => {
                    *call += bytes;
                    self.block_encrypted = false;
                }
                _ => work.aes.push(bytes),
            },
            Operation::Cmac { bytes } => work.cmac.push(bytes),
            Operation::Sha256 { bytes } => work.sha256.push(bytes),
            Operation::MemoryCheck { .. } => work.memory_checks += 1,
            Operation::Random { bytes } => work.random.push(bytes),
            // The trust anchor stays in its key object; the terminal's ephemeral point goes straight into the agreement.
            Operation::SetPublicKey { key } if self.stored.contains(&key) && command != "STEP TRUST" => {}
            Operation::SetPublicKey { .. } if command == "AGREE" => {}
            Operation::SetPublicKey { .. } => work.points_set += 1,
            Operation::EcKeyGeneration => {
                // The platform draws its own random bytes: the draw just before is a part of this.
                work.random.pop();
                work.key_generations += 1;
            }
            Operation::Ecdh => work.agreements += 1,
            Operation::EcdsaVerify { .. } => work.verifications += 1,
            // The card signs nothing. An operation that is new here must be given its place before a figure is believed.
            _ => work.unknown += 1,
        }
    }

    fn use_key(&mut self, key: KeyTag, usage: KeyUsage, work: &mut Work) {
        let object = (key, usage == KeyUsage::Decrypt);
        let ready = match self.rule {
            SetUp::Once => self.taken_up.contains(&object),
            SetUp::EachChange => self.last == Some(object),
        };
        self.block_encrypted &= self.last == Some(object) && usage == KeyUsage::Encrypt;
        self.last = Some(object);
        self.taken_up.insert(object);
        let stored = self.stored.contains(&key);
        if !ready {
            if stored {
                work.stored_key_set_ups += 1;
            } else if self.set.insert(key) {
                work.session_key_set_ups += 1;
            } else {
                work.further_inits += 1;
            }
        }
        if usage == KeyUsage::Mac && !stored && self.sub_keys.insert(key) {
            work.aes.push(16);
        }
    }
}
