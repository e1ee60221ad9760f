//! The keys of the vault: their names, their stored form, and typed derivation and signing.
//!
//! No function here takes bytes from outside and signs, encrypts or runs them through a MAC as they are: every use is a
//! named derivation of the card specification (chapter 04) or a typed object that the specification's crate builds
//! (claim K8).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use card_applet_spec::codes::{Role, Serial};
use card_applet_spec::crypto::{Key16, Key32, PrivateKey, PublicKey, equal};
use card_applet_spec::kdf::{self, KeySet};
use card_applet_spec::update;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::authority::signers::Signer;
use crate::error::{Error, fault};
use crate::keys::arena::{Arena, OpenKey};
use crate::keys::check;
use crate::keys::version::RoleKeyId;
use crate::store::sealing::SUITE;

/// The kinds of key, and which of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum KeyId {
    /// Lot transport master, for issuer and lot (the first six bytes of a serial).
    LotTransport([u8; 6]),
    /// Issuance master.
    Issuance,
    /// TAC master.
    Tac,
    /// Photo key-encryption key.
    PhotoKek,
    /// Key of the index of pseudonyms and of the queue of updates.
    PidIndex,
    /// Settlement key: of the pseudonyms that stand for cards.
    Settlement,
    /// Group master, of 256 cohorts.
    Group(RoleKeyId),
    /// Tap master.
    Tap(RoleKeyId),
    /// Record data master.
    Record(RoleKeyId),
    /// P-256 signer.
    Signer(Signer),
}

impl RoleKeyId {
    /// The three masters of a version.
    pub(crate) fn masters(self) -> [KeyId; 3] {
        [KeyId::Group(self), KeyId::Tap(self), KeyId::Record(self)]
    }
}

/// Keys that every vault has for its cards, beside issuance and TAC master.
pub(crate) const INDEX_KEYS: [KeyId; 2] = [KeyId::PidIndex, KeyId::Settlement];

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_role = |f: &mut fmt::Formatter<'_>, kind: &str, id: &RoleKeyId| {
            write!(f, "{kind}/{}/{}/{}", id.role.code(), id.region, id.version)
        };
        match self {
            Self::LotTransport(lot) => write!(f, "lot/{}", hex::encode(lot)),
            Self::Issuance => f.write_str("issuance"),
            Self::Tac => f.write_str("tac"),
            Self::PhotoKek => f.write_str("photo"),
            Self::PidIndex => f.write_str("pid-index"),
            Self::Settlement => f.write_str("settlement"),
            Self::Group(id) => of_role(f, "group", id),
            Self::Tap(id) => of_role(f, "tap", id),
            Self::Record(id) => of_role(f, "record", id),
            Self::Signer(signer) => write!(f, "signer/{}", signer.name()),
        }
    }
}

impl FromStr for KeyId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::Damaged {
            what: "a key of a kind that this program does not know",
        };
        let parts: Vec<&str> = text.split('/').collect();
        let id = match parts.as_slice() {
            ["issuance"] => Self::Issuance,
            ["tac"] => Self::Tac,
            ["photo"] => Self::PhotoKek,
            ["pid-index"] => Self::PidIndex,
            ["settlement"] => Self::Settlement,
            ["lot", lot] => {
                let mut number = [0u8; 6];
                hex::decode_to_slice(lot, &mut number).map_err(|_| unknown())?;
                Self::LotTransport(number)
            }
            ["signer", name] => Self::Signer(
                Signer::ALL
                    .into_iter()
                    .find(|s| s.name() == *name)
                    .ok_or_else(unknown)?,
            ),
            [kind, role, region, version] => {
                let id = RoleKeyId {
                    role: role
                        .parse::<u8>()
                        .ok()
                        .and_then(|r| Role::try_from(r).ok())
                        .ok_or_else(unknown)?,
                    region: region.parse().map_err(|_| unknown())?,
                    version: version.parse().map_err(|_| unknown())?,
                };
                match *kind {
                    "group" => Self::Group(id),
                    "tap" => Self::Tap(id),
                    "record" => Self::Record(id),
                    _ => return Err(unknown()),
                }
            }
            _ => return Err(unknown()),
        };
        Ok(id)
    }
}

/// The plaintext of a key row. Lives only between a row and the arena.
#[derive(Encode, Decode, Zeroize, ZeroizeOnDrop)]
pub(crate) struct KeyRecord {
    #[n(0)]
    #[zeroize(skip)]
    pub(crate) suite: u8,
    /// Seconds since 1970.
    #[n(1)]
    #[zeroize(skip)]
    pub(crate) created: i64,
    /// The key, or the scalar of a signer.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) secret: [u8; 32],
}

/// The open keys.
#[derive(Debug)]
pub(crate) struct Keys {
    arena: Arc<Arena>,
    open: BTreeMap<KeyId, OpenKey>,
    public: BTreeMap<Signer, PublicKey>,
}

impl Keys {
    pub(crate) fn new(arena: Arc<Arena>) -> Self {
        Self {
            arena,
            open: BTreeMap::new(),
            public: BTreeMap::new(),
        }
    }

    pub(crate) fn holds(&self, id: KeyId) -> bool {
        self.open.contains_key(&id)
    }

    /// The names of all open keys.
    pub(crate) fn ids(&self) -> Vec<KeyId> {
        self.open.keys().copied().collect()
    }

    /// Takes a key from its row.
    pub(crate) fn load(&mut self, id: KeyId, record: &mut KeyRecord) -> Result<(), Error> {
        if record.suite != SUITE {
            return Err(Error::Damaged {
                what: "a key of a suite that this program does not know",
            });
        }
        let key = OpenKey::store(&self.arena, &mut record.secret)?;
        self.insert(id, key)
    }

    pub(crate) fn insert(&mut self, id: KeyId, key: OpenKey) -> Result<(), Error> {
        if let KeyId::Signer(signer) = id {
            let private = PrivateKey::from_bytes(key.expose()).map_err(|_| Error::Damaged {
                what: "a signer's key",
            })?;
            self.public.insert(signer, private.public());
        }
        self.open.insert(id, key);
        Ok(())
    }

    /// Makes a fresh key of the kind that `id` names; it is not held until [`Keys::insert`].
    pub(crate) fn make(&self, id: KeyId, rng: &mut impl CryptoRng) -> Result<OpenKey, Error> {
        match id {
            KeyId::Signer(_) => {
                let mut scalar = PrivateKey::generate(rng).expose();
                OpenKey::store(&self.arena, &mut scalar)
            }
            _ => OpenKey::random(&self.arena, rng),
        }
    }

    /// Wipes a key whose row is gone.
    pub(crate) fn forget(&mut self, id: KeyId) {
        self.open.remove(&id);
    }

    /// What may be shown of a key: a key check value, or the hash of a public key.
    pub(crate) fn check_value(id: KeyId, key: &OpenKey) -> Result<Vec<u8>, Error> {
        match id {
            KeyId::Signer(_) => {
                let private = PrivateKey::from_bytes(key.expose()).map_err(|_| Error::Damaged {
                    what: "a signer's key",
                })?;
                Ok(card_applet_spec::crypto::sha256(&[&private.public().to_point65()])[..8].to_vec())
            }
            _ => Ok(Key32::new(*key.expose()).kcv().to_vec()),
        }
    }

    fn master(&self, id: KeyId, what: &'static str) -> Result<Key32, Error> {
        self.open
            .get(&id)
            .map(|key| Key32::new(*key.expose()))
            .ok_or(Error::NotFound { what })
    }

    /// Transport keys of a blank.
    pub(crate) fn transport_keys(&self, serial: &Serial) -> Result<KeySet, Error> {
        let mut lot = [0u8; 6];
        lot.copy_from_slice(&serial.0[..6]);
        let master = self.master(KeyId::LotTransport(lot), "keys for the lot of this card")?;
        kdf::transport_keys(&master, serial).map_err(fault)
    }

    /// Issuance keys of a card.
    pub(crate) fn issuance_keys(&self, serial: &Serial) -> Result<KeySet, Error> {
        kdf::issuance_keys(&self.master(KeyId::Issuance, "issuance master")?, serial).map_err(fault)
    }

    /// Keys of a card's sealed updates, of a generation.
    pub(crate) fn update_keys(&self, serial: &Serial, generation: u32) -> Result<KeySet, Error> {
        let master = self.master(KeyId::Issuance, "issuance master")?;
        kdf::update_keys_of(&master, serial, generation).map_err(fault)
    }

    /// Group key of a cohort.
    pub(crate) fn group_key(&self, id: RoleKeyId, cohort: u8) -> Result<Key16, Error> {
        let master = self.master(KeyId::Group(id), "group master for this role and region")?;
        kdf::group_key(&master, id.role, id.region, id.version, cohort).map_err(fault)
    }

    /// Tap key of a card.
    pub(crate) fn tap_key(&self, id: RoleKeyId, pid: &[u8; 16]) -> Result<Key16, Error> {
        let master = self.master(KeyId::Tap(id), "tap master for this role and region")?;
        kdf::tap_key(&master, id.role, id.region, id.version, pid).map_err(fault)
    }

    /// Record key of a card.
    pub(crate) fn record_key(&self, id: RoleKeyId, pid: &[u8; 16]) -> Result<Key32, Error> {
        let master = self.master(KeyId::Record(id), "record master for this role and region")?;
        kdf::record_key(&master, id.role, id.region, id.version, pid).map_err(fault)
    }

    /// Ktac of a slot that a script brought.
    pub(crate) fn tac_key(&self, role: Role, version: u8, pid: &[u8; 16]) -> Result<Key16, Error> {
        kdf::tac_key(&self.master(KeyId::Tac, "TAC master")?, role, version, pid).map_err(fault)
    }

    /// Ktac of a slot that an update of this generation brought.
    pub(crate) fn update_tac_key(
        &self,
        serial: &Serial,
        generation: u32,
        role: Role,
        version: u8,
        pid: &[u8; 16],
    ) -> Result<Key16, Error> {
        let keys = self.update_keys(serial, generation)?;
        Ok(update::tac_key(&keys, role, version, pid))
    }

    /// Id of a pseudonym's row in the index.
    pub(crate) fn pid_index(&self, pid: &[u8; 16]) -> Result<[u8; 16], Error> {
        Ok(self
            .master(KeyId::PidIndex, "key of the index")?
            .cmac(&[b"YZT-PID-1", pid]))
    }

    /// What a printed number of a card is known by on disk.
    pub(crate) fn number_index(&self, number: &str) -> Result<[u8; 16], Error> {
        Ok(self
            .master(KeyId::PidIndex, "key of the index")?
            .cmac(&[b"YZT-NUMBER-1", number.as_bytes()]))
    }

    /// Where the updates for a pseudonym stand in the queue of its role and region.
    pub(crate) fn queue_place(&self, pid: &[u8; 16]) -> Result<[u8; 16], Error> {
        Ok(self
            .master(KeyId::PidIndex, "key of the index")?
            .cmac(&[b"YZT-QUEUE-1", pid]))
    }

    /// The pseudonym of a card in settlement: CMAC under the settlement key over its serial (chapter 11).
    pub(crate) fn card_pseudonym(&self, serial: &Serial) -> Result<[u8; 16], Error> {
        Ok(self
            .master(KeyId::Settlement, "settlement key")?
            .cmac(&[&serial.0]))
    }

    /// The card of a pseudonym. A serial is shorter than a block, so its CMAC (RFC 4493) is one block under AES and can be
    /// taken back by the holder of the key: no index ties pseudonyms to cards on disk.
    pub(crate) fn serial_of(&self, pseudonym: &[u8; 16]) -> Result<Serial, Error> {
        let unknown = Error::NotFound {
            what: "card behind this chain",
        };
        let key = self.master(KeyId::Settlement, "settlement key")?;
        let k2 = doubled(doubled(key.encrypt_block([0; 16])));
        let mut block = key.decrypt_block(*pseudonym);
        for (byte, mask) in block.iter_mut().zip(k2) {
            *byte ^= mask;
        }
        let (number, padding) = block.split_first_chunk::<10>().ok_or(unknown.clone())?;
        let serial = Serial(*number);
        if padding == [0x80, 0, 0, 0, 0, 0] && equal(&key.cmac(&[&serial.0]), pseudonym) {
            Ok(serial)
        } else {
            Err(unknown)
        }
    }

    /// The masters of a terminal bundle: group and tap master only for roles with door F.
    pub(crate) fn bundle_masters(&self, id: RoleKeyId) -> Result<(Option<(Key32, Key32)>, Key32), Error> {
        let record = self.master(KeyId::Record(id), "record master for this role and region")?;
        let door_f = if id.role.has_door_f() {
            let group = self.master(KeyId::Group(id), "group master for this role and region")?;
            let tap = self.master(KeyId::Tap(id), "tap master for this role and region")?;
            Some((group, tap))
        } else {
            None
        };
        Ok((door_f, record))
    }

    /// The photo key-encryption key, for wrapping data keys only.
    pub(crate) fn photo_kek(&self) -> Result<&OpenKey, Error> {
        self.open.get(&KeyId::PhotoKek).ok_or(Error::NotFound {
            what: "photo key-encryption key",
        })
    }

    /// A signer's private key, for one typed signature, which leaves only if another implementation finds that it holds under the
    /// public key that the anchors have.
    pub(crate) fn signer(&self, signer: Signer) -> Result<PrivateKey, Error> {
        let key = self
            .open
            .get(&KeyId::Signer(signer))
            .ok_or(Error::NotFound { what: "signer" })?;
        PrivateKey::checked(key.expose(), self.public(signer)?, check::holds).map_err(|_| Error::Damaged {
            what: "a signer's key",
        })
    }

    /// A signer's public key.
    pub(crate) fn public(&self, signer: Signer) -> Result<PublicKey, Error> {
        self.public
            .get(&signer)
            .copied()
            .ok_or(Error::NotFound { what: "signer" })
    }

    /// Before service: each signer signs for its public key. The primitives are tried by [`self_test`](crate::keys::self_test).
    pub(crate) fn self_test(&self, rng: &mut impl CryptoRng) -> Result<(), Error> {
        let failed = |what| move |_| Error::SelfTestFailed { what };
        // Those that are there: the operating key of a vault of before comes when it opens.
        for signer in self.public.keys().copied() {
            let signature = self
                .signer(signer)?
                .sign(&[b"YZT-SELF-TEST-1"], rng)
                .map_err(failed("a signer does not sign"))?;
            self.public(signer)?
                .verify(&[b"YZT-SELF-TEST-1"], &signature)
                .map_err(failed("a signature does not verify"))?;
        }
        Ok(())
    }
}

/// Doubling in GF(2^128), as RFC 4493 makes its sub-keys.
pub(crate) fn doubled(block: [u8; 16]) -> [u8; 16] {
    let value = u128::from_be_bytes(block);
    let carry = (value >> 127) * 0x87;
    ((value << 1) ^ carry).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn every_key_id_comes_back_from_its_text() {
        let role = RoleKeyId {
            role: Role::Clinic,
            region: "440305".parse().unwrap(),
            version: 7,
        };
        let mut ids = vec![
            KeyId::LotTransport([1, 2, 3, 4, 5, 6]),
            KeyId::Issuance,
            KeyId::Tac,
            KeyId::PhotoKek,
            KeyId::PidIndex,
            KeyId::Settlement,
            KeyId::Group(role),
            KeyId::Tap(role),
            KeyId::Record(role),
        ];
        ids.extend(Signer::ALL.map(KeyId::Signer));
        for id in ids {
            assert_eq!(id.to_string().parse::<KeyId>().unwrap(), id);
        }
        for wrong in [
            "",
            "group",
            "group/9/440305/1",
            "lot/01",
            "signer/x",
            "tap/1/44030/1",
            "what/1/440305/1",
        ] {
            assert!(wrong.parse::<KeyId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn derivations_of_different_kinds_and_contexts_give_different_keys() {
        let mut keys = Keys::new(Arena::new().unwrap());
        let one = RoleKeyId {
            role: Role::Transit,
            region: "440300".parse().unwrap(),
            version: 1,
        };
        let two = RoleKeyId {
            region: "440305".parse().unwrap(),
            ..one
        };
        for id in [one, two] {
            for id in [KeyId::Group(id), KeyId::Tap(id), KeyId::Record(id)] {
                // The same master everywhere: only label and context may tell the results apart.
                keys.insert(id, OpenKey::store(&keys.arena, &mut [9; 32]).unwrap())
                    .unwrap();
            }
        }
        for id in [
            KeyId::Tac,
            KeyId::Issuance,
            KeyId::LotTransport([0; 6]),
            KeyId::PidIndex,
            KeyId::Settlement,
        ] {
            keys.insert(id, OpenKey::store(&keys.arena, &mut [9; 32]).unwrap())
                .unwrap();
        }
        let serial = Serial([0; 10]);
        let mut seen: Vec<[u8; 16]> = vec![
            *keys.group_key(one, 0).unwrap().expose(),
            *keys.group_key(one, 1).unwrap().expose(),
            *keys.group_key(two, 0).unwrap().expose(),
            *keys.tap_key(one, &[0; 16]).unwrap().expose(),
            *keys.tap_key(one, &[1; 16]).unwrap().expose(),
            *keys.tap_key(two, &[0; 16]).unwrap().expose(),
            *keys.tac_key(Role::Transit, 1, &[0; 16]).unwrap().expose(),
            *keys
                .update_tac_key(&serial, 0, Role::Transit, 1, &[0; 16])
                .unwrap()
                .expose(),
            *keys
                .update_tac_key(&serial, 1, Role::Transit, 1, &[0; 16])
                .unwrap()
                .expose(),
            keys.pid_index(&[0; 16]).unwrap(),
            keys.queue_place(&[0; 16]).unwrap(),
            keys.number_index("0000000000000000").unwrap(),
            keys.card_pseudonym(&serial).unwrap(),
            keys.record_key(one, &[0; 16]).unwrap().expose()[..16]
                .try_into()
                .unwrap(),
        ];
        for set in [
            keys.transport_keys(&serial),
            keys.issuance_keys(&serial),
            keys.update_keys(&serial, 0),
            keys.update_keys(&serial, 1),
        ] {
            let set = set.unwrap();
            seen.extend([*set.enc.expose(), *set.mac.expose(), *set.dek.expose()]);
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn a_signature_that_does_not_hold_under_the_public_key_of_its_signer_does_not_leave() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let mut keys = Keys::new(Arena::new().unwrap());
        let (signer, other) = (Signer::Document, Signer::CardCa);
        for id in [signer, other] {
            let key = keys.make(KeyId::Signer(id), &mut rng).unwrap();
            keys.insert(KeyId::Signer(id), key).unwrap();
        }
        let signature = keys.signer(signer).unwrap().sign(&[b"a card"], &mut rng).unwrap();
        keys.public(signer)
            .unwrap()
            .verify(&[b"a card"], &signature)
            .unwrap();
        let foreign = keys.public(other).unwrap();
        keys.public.insert(signer, foreign);
        assert!(keys.signer(signer).unwrap().sign(&[b"a card"], &mut rng).is_err());
    }

    #[test]
    fn a_chain_leads_back_to_its_card_and_no_other_sixteen_bytes_do() {
        let mut keys = Keys::new(Arena::new().unwrap());
        keys.insert(
            KeyId::Settlement,
            OpenKey::store(&keys.arena, &mut [3; 32]).unwrap(),
        )
        .unwrap();
        for n in 0..64u8 {
            let serial = Serial([n, 3, 0, 0, 0, 1, 0, 0, n, 255 - n]);
            let pseudonym = keys.card_pseudonym(&serial).unwrap();
            assert_eq!(keys.serial_of(&pseudonym).unwrap(), serial);
            for bit in 0..128 {
                let mut other = pseudonym;
                other[bit / 8] ^= 1 << (bit % 8);
                assert!(keys.serial_of(&other).is_err());
            }
        }
    }
}
