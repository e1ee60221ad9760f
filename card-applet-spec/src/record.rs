//! The 160-byte entitlement record (chapter 03): content, signature, sealing.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use cipher::Array;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::bytes::{Reader, SliceWriter, Write};
use crate::codes::{Role, SUITE, Tier, VERSION};
use crate::crypto::{Key32, PrivateKey, PublicKey, equal, sha256};
use crate::date::Date;
use crate::error::Error;

/// Length of a record.
pub const RECORD_LEN: usize = 160;
const LABEL: &[u8] = b"YZT-R-1";

/// What a record says. All of it is for the terminals of its role; none of it names a person.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entitlement {
    /// Role.
    pub role: Role,
    /// Key version.
    pub kv: u8,
    /// Counts the records of this card and role.
    pub issue_counter: u32,
    /// Tier of the permit.
    pub tier: Tier,
    /// Fare or service class, 0 for none.
    pub class: u8,
    /// Bit mask of services.
    pub services: u64,
    /// Bit mask of zones.
    pub zones: u64,
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// SHA-256(rule set id)[0..8].
    pub rule_set: [u8; 8],
    /// Ties the record to the card's key.
    pub binding: [u8; 16],
}

impl core::fmt::Debug for Entitlement {
    /// Role and version only: the rest is what the holder is entitled to.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { role, kv, .. } = self;
        write!(f, "Entitlement({role}, kv {kv}, personal data)")
    }
}

/// First 8 bytes of SHA-256 of a rule set's id, as records carry it.
#[must_use]
pub fn rule_set_digest(id: &str) -> [u8; 8] {
    sha256(&[id.as_bytes()])
        .first_chunk()
        .copied()
        .unwrap_or_default()
}

/// The binding of a record: SHA-256(public64 || pid || role)[0..16].
#[must_use]
pub fn binding(public64: &[u8; 64], pid: &[u8; 16], role: Role) -> [u8; 16] {
    let digest = sha256(&[public64, pid, &[role.code()]]);
    let mut out = [0; 16];
    for (to, from) in out.iter_mut().zip(digest) {
        *to = from;
    }
    out
}

/// Header fields of a record, readable without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// Role.
    pub role: Role,
    /// Key version.
    pub kv: u8,
    /// Issue counter.
    pub issue_counter: u32,
    /// Last day.
    pub expiry: Date,
}

impl RecordHeader {
    /// Parses the first 12 bytes of a record.
    ///
    /// # Errors
    /// [`Error::Malformed`] for another version or suite, or unknown codes.
    pub fn parse(record: &[u8; RECORD_LEN]) -> Result<Self, Error> {
        let mut reader = Reader::new(record, "record header");
        if reader.array()? != [VERSION, SUITE] {
            return Err(reader.malformed());
        }
        Ok(Self {
            role: Role::try_from(reader.u8()?)?,
            kv: reader.u8()?,
            issue_counter: reader.u32()?,
            expiry: Date::from_bytes(reader.array()?)?,
        })
    }
}

impl Entitlement {
    fn header(&self) -> [u8; 12] {
        let [c0, c1, c2, c3] = self.issue_counter.to_be_bytes();
        let [e0, e1, e2, e3] = self.to.to_bytes();
        [
            VERSION,
            SUITE,
            self.role.code(),
            self.kv,
            c0,
            c1,
            c2,
            c3,
            e0,
            e1,
            e2,
            e3,
        ]
    }

    fn content(&self) -> Result<[u8; 56], Error> {
        let mut out = [0; 56];
        let mut writer = SliceWriter::new(&mut out);
        writer.put(&[self.tier.code(), self.class])?;
        writer.put(&self.services.to_be_bytes())?;
        writer.put(&self.zones.to_be_bytes())?;
        writer.put(&self.from.to_bytes())?;
        writer.put(&self.to.to_bytes())?;
        writer.put(&self.rule_set)?;
        writer.put(&[0; 6])?;
        writer.put(&self.binding)?;
        Ok(out)
    }

    /// Signs and seals. `nonce` must never repeat under one record key.
    ///
    /// # Errors
    /// [`Error::Crypto`] when the signature does not verify (a fault of the machine).
    pub fn seal(
        &self,
        signer: &PrivateKey,
        key: &Key32,
        pid: &[u8; 16],
        nonce: &[u8; 12],
        rng: &mut impl CryptoRng,
    ) -> Result<[u8; RECORD_LEN], Error> {
        let header = self.header();
        let content = self.content()?;
        let signature = signer.sign(&[LABEL, &header, pid, &content], rng)?;
        self.seal_signed(&signature, key, pid, nonce)
    }

    /// Seals with a signature made before (a vault that signs elsewhere, and the vectors).
    ///
    /// # Errors
    /// [`Error::Crypto`] when sealing fails, which it does not for this size.
    pub fn seal_signed(
        &self,
        signature: &[u8; 64],
        key: &Key32,
        pid: &[u8; 16],
        nonce: &[u8; 12],
    ) -> Result<[u8; RECORD_LEN], Error> {
        let header = self.header();
        let mut plain = Zeroizing::new([0; 120]);
        let mut writer = SliceWriter::new(&mut *plain);
        writer.put(&self.content()?)?;
        writer.put(signature)?;
        let mut aad = [0; 28];
        let mut writer = SliceWriter::new(&mut aad);
        writer.put(&header)?;
        writer.put(pid)?;
        let tag = Aes256Gcm::new(&Array(*key.expose()))
            .encrypt_inout_detached(&Array(*nonce), &aad, plain.as_mut_slice().into())
            .map_err(|_| Error::Crypto)?;
        let mut out = [0; RECORD_LEN];
        let mut writer = SliceWriter::new(&mut out);
        writer.put(&header)?;
        writer.put(nonce)?;
        writer.put(&*plain)?;
        writer.put(&tag)?;
        Ok(out)
    }

    /// Opens a record and checks its signature. Dates, zones and the binding are the caller's to check.
    ///
    /// # Errors
    /// [`Error::Crypto`] when key, pid, header, tag or signature do not fit together; [`Error::Malformed`] when what is
    /// inside is not in the form of the specification.
    pub fn open(
        record: &[u8; RECORD_LEN],
        key: &Key32,
        pid: &[u8; 16],
        signer: &PublicKey,
    ) -> Result<Self, Error> {
        let parsed = RecordHeader::parse(record)?;
        let mut reader = Reader::new(record, "record");
        let header: [u8; 12] = reader.array()?;
        let nonce: [u8; 12] = reader.array()?;
        let mut plain: Zeroizing<[u8; 120]> = Zeroizing::new(reader.array()?);
        let tag: [u8; 16] = reader.array()?;
        let mut aad = [0; 28];
        let mut writer = SliceWriter::new(&mut aad);
        writer.put(&header)?;
        writer.put(pid)?;
        Aes256Gcm::new(&Array(*key.expose()))
            .decrypt_inout_detached(&Array(nonce), &aad, plain.as_mut_slice().into(), &Array(tag))
            .map_err(|_| Error::Crypto)?;
        let mut reader = Reader::new(&*plain, "record content");
        let content: [u8; 56] = reader.array()?;
        let signature: [u8; 64] = reader.array()?;
        signer.verify(&[LABEL, &header, pid, &content], &signature)?;
        let mut reader = Reader::new(&content, "record content");
        let entitlement = Self {
            role: parsed.role,
            kv: parsed.kv,
            issue_counter: parsed.issue_counter,
            tier: Tier::try_from(reader.u8()?)?,
            class: reader.u8()?,
            services: reader.u64()?,
            zones: reader.u64()?,
            from: Date::from_bytes(reader.array()?)?,
            to: Date::from_bytes(reader.array()?)?,
            rule_set: reader.array()?,
            binding: {
                let _rfu: [u8; 6] = reader.array()?;
                reader.array()?
            },
        };
        if entitlement.to != parsed.expiry {
            return Err(Error::Malformed { what: "record" });
        }
        Ok(entitlement)
    }

    /// True when the record is bound to this card key (door S).
    #[must_use]
    pub fn is_bound_to(&self, public64: &[u8; 64], pid: &[u8; 16]) -> bool {
        equal(&self.binding, &binding(public64, pid, self.role))
    }

    /// True on every day from `from` to `to`, both included.
    #[must_use]
    pub fn is_valid_on(&self, day: Date) -> bool {
        self.from <= day && day <= self.to
    }
}
