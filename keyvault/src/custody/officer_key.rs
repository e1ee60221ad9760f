//! Key files of officers: a P-256 key that signs requests, under a passphrase, with its public half in clear.
//!
//! One JSON object, as a share envelope is one, and protected as that is. Left out: keys on a smart card or a security key.

use keyvault_protocol::PointBytes;
use keyvault_protocol::sealed::{fresh_key, point_of};
use p256::SecretKey;
use p256::ecdsa::SigningKey;
use program_contract::Founded;
use program_contract::unseen::is_name;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::custody::passphrase;
use crate::custody::protection::{self, Cost, PASSPHRASE, Protection};
use crate::error::Error;

/// Schema of the file.
const SCHEMA: &str = "yzt.officer-key/1";

/// A key file as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfficerKey {
    schema: String,
    /// Name of the officer.
    pub name: String,
    /// Whether any passphrase was taken: such a key is for a rehearsal.
    pub rehearsal: bool,
    public_key: String,
    protection: String,
    cost: Cost,
    salt: String,
    nonce: String,
    sealed: String,
    checksum: String,
}

impl OfficerKey {
    /// Makes a key for an officer.
    ///
    /// # Errors
    /// [`Error::WeakPassphrase`], but in a rehearsal; [`Error::PassphraseForm`].
    pub fn make(
        name: &str,
        passphrase: &[u8],
        founded: Founded,
        cost: Cost,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, Error> {
        if !is_name(name, 64) {
            return Err(Error::BadContent {
                what: "a caller's name has 1 to 64 bytes of text, all of it seen, without commas and quotation marks",
            });
        }
        let key = fresh_key(rng);
        Self::around(&key, name, passphrase, founded, cost, rng)
    }

    fn around(
        key: &SecretKey,
        name: &str,
        passphrase: &[u8],
        founded: Founded,
        cost: Cost,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, Error> {
        passphrase::judge(passphrase, name, founded)?;
        let drawn = Protection::draw(cost, rng);
        let mut file = Self {
            schema: SCHEMA.to_owned(),
            name: name.to_owned(),
            rehearsal: founded.is_rehearsal(),
            public_key: hex::encode(point_of(&key.public_key())),
            protection: PASSPHRASE.to_owned(),
            cost,
            salt: hex::encode(drawn.salt),
            nonce: hex::encode(drawn.nonce),
            sealed: String::new(),
            checksum: String::new(),
        };
        let scalar = Zeroizing::new(key.to_bytes());
        file.sealed = hex::encode(drawn.seal(passphrase, &file.clear_fields(), &scalar)?);
        file.checksum = protection::checksum(&file.clear_fields(), &file.sealed);
        Ok(file)
    }

    /// Reads a key file and checks its form and checksum.
    ///
    /// # Errors
    /// [`Error::OfficerKeyForm`] for what is none, [`Error::OfficerKeyDamaged`].
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let value: serde_json::Value = serde_json::from_slice(text).map_err(|_| Error::OfficerKeyForm)?;
        if value.get("schema").and_then(serde_json::Value::as_str) != Some(SCHEMA) {
            return Err(Error::OfficerKeyForm);
        }
        let file: Self = serde_json::from_value(value).map_err(|_| Error::OfficerKeyDamaged)?;
        let good = file.checksum == protection::checksum(&file.clear_fields(), &file.sealed)
            && file.protection == PASSPHRASE
            && file.cost.is_fair()
            && file.public().is_ok();
        if good {
            Ok(file)
        } else {
            Err(Error::OfficerKeyDamaged)
        }
    }

    /// The file's text.
    ///
    /// # Errors
    /// [`Error::OfficerKeyDamaged`] when it cannot be written as JSON, which it can.
    pub fn to_text(&self) -> Result<Vec<u8>, Error> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|_| Error::OfficerKeyDamaged)?;
        text.push(b'\n');
        Ok(text)
    }

    /// The public half.
    ///
    /// # Errors
    /// [`Error::OfficerKeyDamaged`].
    pub fn public(&self) -> Result<PointBytes, Error> {
        protection::array(&self.public_key).ok_or(Error::OfficerKeyDamaged)
    }

    /// Opens the file with its passphrase.
    ///
    /// # Errors
    /// [`Error::WrongOfficerPassphrase`], [`Error::OfficerKeyDamaged`].
    pub fn open(&self, passphrase: &[u8]) -> Result<SigningKey, Error> {
        self.secret(passphrase).map(|key| SigningKey::from(&key))
    }

    /// As [`OfficerKey::open`], the key itself: for a channel.
    ///
    /// # Errors
    /// As [`OfficerKey::open`].
    pub fn secret(&self, passphrase: &[u8]) -> Result<SecretKey, Error> {
        let damaged = || Error::OfficerKeyDamaged;
        let drawn = Protection::of(self.cost, &self.salt, &self.nonce).ok_or_else(damaged)?;
        let sealed = hex::decode(&self.sealed).map_err(|_| damaged())?;
        let scalar = drawn.open(passphrase, &self.clear_fields(), &sealed)?;
        let scalar = scalar.ok_or_else(|| Error::WrongOfficerPassphrase {
            officer: self.name.clone(),
        })?;
        let key = SecretKey::from_slice(&scalar).map_err(|_| damaged())?;
        if point_of(&key.public_key()) == self.public()? {
            Ok(key)
        } else {
            Err(damaged())
        }
    }

    /// Another file with the same key, under another passphrase. This one stays as it is, and opens as before.
    ///
    /// # Errors
    /// Those of [`OfficerKey::open`] and [`OfficerKey::make`]; [`Error::SamePassphrase`].
    pub fn under_another_passphrase(
        &self,
        passphrase: &[u8],
        new: &[u8],
        cost: Cost,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, Error> {
        let key = self.secret(passphrase)?;
        let founded = if self.rehearsal {
            Founded::Rehearsal
        } else {
            Founded::Real
        };
        passphrase::differs(passphrase, new)?;
        Self::around(&key, &self.name, new, founded, cost, rng)
    }

    fn clear_fields(&self) -> Vec<u8> {
        protection::joined(&[
            self.schema.as_bytes(),
            self.name.as_bytes(),
            &[u8::from(self.rehearsal)],
            self.public_key.as_bytes(),
            self.protection.as_bytes(),
            &self.cost.memory_kib.to_be_bytes(),
            &self.cost.passes.to_be_bytes(),
            self.salt.as_bytes(),
            self.nonce.as_bytes(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const COST: Cost = Cost {
        memory_kib: 64,
        passes: 1,
    };

    #[test]
    fn a_key_file_opens_with_its_passphrase_and_no_changed_byte_passes() {
        let mut rng = StdRng::seed_from_u64(4);
        let passphrase = "渡船 石英 苔藓 灯笼 木棉".as_bytes();
        let weak = OfficerKey::make("chen", b"chen", Founded::Real, COST, &mut rng);
        assert_eq!(weak.unwrap_err().code(), "WEAK_PASSPHRASE");
        assert!(OfficerKey::make("chen", b"chen", Founded::Rehearsal, COST, &mut rng).is_ok());
        let made = OfficerKey::make("chen", passphrase, Founded::Real, COST, &mut rng).unwrap();
        let text = made.to_text().unwrap();
        let read = OfficerKey::parse(&text).unwrap();
        assert_eq!(read, made);
        let key = read.open(passphrase).unwrap();
        assert_eq!(point_of(&key.verifying_key().into()), read.public().unwrap());
        assert_eq!(read.open(b"another").unwrap_err().code(), "WRONG_PASSPHRASE");
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 1;
            let opened = OfficerKey::parse(&changed).and_then(|file| file.open(passphrase));
            assert!(
                opened.is_err() || changed.trim_ascii() != text.trim_ascii(),
                "byte {at}"
            );
            if let Ok(file) = OfficerKey::parse(&changed) {
                assert_eq!(file, made, "byte {at}");
            }
        }
        // Relabelled, with a fresh checksum.
        let mut relabelled = made.clone();
        relabelled.name = "sun".into();
        relabelled.checksum = protection::checksum(&relabelled.clear_fields(), &relabelled.sealed);
        assert_eq!(
            relabelled.open(passphrase).unwrap_err().code(),
            "WRONG_PASSPHRASE"
        );
        let new = b"walnut tunnel copper violin harbour";
        let changed = made
            .under_another_passphrase(passphrase, new, COST, &mut rng)
            .unwrap();
        assert_eq!(changed.public(), made.public());
        assert!(changed.open(new).is_ok() && changed.open(passphrase).is_err());
        let same = made.under_another_passphrase(passphrase, passphrase, COST, &mut rng);
        assert_eq!(same.unwrap_err(), Error::SamePassphrase);
        for other in [&b"a letter"[..], b"{}", br#"{"schema":"yzt.share/2"}"#] {
            assert_eq!(OfficerKey::parse(other).unwrap_err(), Error::OfficerKeyForm);
        }
    }
}
