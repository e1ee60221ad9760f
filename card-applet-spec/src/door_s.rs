//! Door S: the key agreement and the objects behind it (chapter 07), the bytes that both sides compute.

use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use crate::bytes::Bytes;
use crate::bytes::{Reader, SliceWriter, Write};
use crate::certificate::CARD_CERTIFICATE_LEN;
use crate::codes::{Rights, Role, SUITE};
use crate::crypto::{Key16, PrivateKey, PublicKey, equal, sha256};
use crate::error::Error;
use crate::kdf::kdf56c;
use crate::scp03::SessionKeys;

const TA_LABEL: &[u8] = b"YZT-S-TA-1";
const LABEL: &[u8] = b"YZT-S-1";

/// Length of the data of AGREE.
pub const AGREE_LEN: usize = 134;
/// Length of the body of its answer.
pub const AGREE_ANSWER_LEN: usize = 241;
/// Most bytes that one READ OBJECT asks for: with the total before them they fit the secure channel.
pub const MAX_READ: u8 = 237;

/// Objects behind door S.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// DG1.
    Dg1,
    /// DG2.
    Dg2,
    /// DG3.
    Dg3,
    /// Signature object.
    Signature,
    /// Newest live slot of a role.
    Newest(Role),
    /// The other live slot of a role.
    Older(Role),
    /// Serial.
    Serial,
    /// Status, as GET STATUS.
    Status,
}

impl Object {
    /// The byte of the specification.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Dg1 => 0x01,
            Self::Dg2 => 0x02,
            Self::Dg3 => 0x03,
            Self::Signature => 0x0F,
            Self::Newest(role) => 0x10 | role.code(),
            Self::Older(role) => 0x20 | role.code(),
            Self::Serial => 0xF0,
            Self::Status => 0xF1,
        }
    }

    /// From the byte.
    ///
    /// # Errors
    /// [`Error::Malformed`] for an unknown object.
    pub fn from_code(code: u8) -> Result<Self, Error> {
        Ok(match code {
            0x01 => Self::Dg1,
            0x02 => Self::Dg2,
            0x03 => Self::Dg3,
            0x0F => Self::Signature,
            0xF0 => Self::Serial,
            0xF1 => Self::Status,
            0x10..=0x1F => Self::Newest(Role::try_from(code & 0x0F)?),
            0x20..=0x2F => Self::Older(Role::try_from(code & 0x0F)?),
            _ => return Err(Error::Malformed { what: "object" }),
        })
    }

    /// Rights of which one is enough to read this object.
    #[must_use]
    pub const fn readable_with(self) -> Rights {
        match self {
            Self::Dg1 => Rights::IDENTITY,
            Self::Dg2 => Rights::PORTRAIT,
            Self::Dg3 => Rights::PERMIT,
            Self::Signature => Rights::IDENTITY
                .union(Rights::PORTRAIT)
                .union(Rights::PERMIT)
                .union(Rights::VERIFY),
            Self::Newest(role) | Self::Older(role) => Rights::role(role),
            Self::Serial => Rights::ISSUER,
            Self::Status => Rights::VERIFY.union(Rights::ISSUER),
        }
    }
}

/// Command data of AGREE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agree {
    /// Rights asked for.
    pub rights: Rights,
    /// Terminal's ephemeral point, `04 || X || Y`, not yet checked.
    pub point: [u8; 65],
    /// Signature by the leaf key.
    pub signature: [u8; 64],
}

impl Agree {
    /// Terminal: signs with the leaf key.
    ///
    /// # Errors
    /// [`Error::Crypto`] for a fault of the machine.
    pub fn sign(
        rights: Rights,
        ephemeral: &PublicKey,
        card_challenge: &[u8; 16],
        leaf: &[u8],
        leaf_key: &PrivateKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, Error> {
        let point = ephemeral.to_point65();
        let leaf_digest = sha256(&[leaf]);
        let signature = leaf_key.sign(
            &[
                TA_LABEL,
                &[SUITE],
                &rights.to_bytes(),
                card_challenge,
                &point,
                &leaf_digest,
            ],
            rng,
        )?;
        Ok(Self {
            rights,
            point,
            signature,
        })
    }

    /// Card: checks the terminal's signature. `leaf_digest` is SHA-256 of the leaf's 7F21 object.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn verify(
        &self,
        card_challenge: &[u8; 16],
        leaf_digest: &[u8; 32],
        leaf_key: &PublicKey,
    ) -> Result<(), Error> {
        leaf_key.verify(
            &[
                TA_LABEL,
                &[SUITE],
                &self.rights.to_bytes(),
                card_challenge,
                &self.point,
                leaf_digest,
            ],
            &self.signature,
        )
    }

    /// The 134 bytes.
    ///
    /// # Errors
    /// Never for these sizes.
    pub fn encode(&self) -> Result<[u8; AGREE_LEN], Error> {
        let mut out = [0; AGREE_LEN];
        let mut writer = SliceWriter::new(&mut out);
        writer.put(&[SUITE])?;
        writer.put(&self.rights.to_bytes())?;
        writer.put(&self.point)?;
        writer.put(&self.signature)?;
        Ok(out)
    }

    /// From the 134 bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] for another length or suite or unknown rights.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, "AGREE");
        if reader.u8()? != SUITE {
            return Err(reader.malformed());
        }
        let agree = Self {
            rights: Rights::from_bytes(reader.array()?)?,
            point: reader.array()?,
            signature: reader.array()?,
        };
        reader.end()?;
        Ok(agree)
    }

    /// TH1. `certificates` is SHA-256(intermediate || leaf).
    #[must_use]
    pub fn transcript(
        &self,
        certificates: &[u8; 32],
        card_challenge: &[u8; 16],
        card_point: &[u8; 65],
    ) -> Transcript {
        Transcript {
            th1: sha256(&[
                LABEL,
                &[SUITE],
                certificates,
                card_challenge,
                &self.rights.to_bytes(),
                &self.point,
                &self.signature,
                card_point,
            ]),
        }
    }
}

/// TH1, from which everything follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transcript {
    /// The hash.
    pub th1: [u8; 32],
}

/// What the agreement gives.
#[derive(Debug)]
pub struct Agreed {
    /// Keys of the record layer.
    pub keys: SessionKeys,
    /// The card's MAC.
    pub mac: [u8; 16],
}

impl Transcript {
    fn k1(&self, z1: &[u8; 32]) -> Key16 {
        let mut bytes = [0; 16];
        kdf56c(&[z1], "cert", &self.th1, &mut bytes);
        let key = Key16::new(bytes);
        bytes.zeroize();
        key
    }

    /// Card: Ecert.
    ///
    /// # Errors
    /// Never for this size.
    pub fn seal_certificate(
        &self,
        z1: &[u8; 32],
        certificate: &[u8; CARD_CERTIFICATE_LEN],
    ) -> Result<[u8; CARD_CERTIFICATE_LEN], Error> {
        let mut out = *certificate;
        self.k1(z1).cbc_encrypt(&[0; 16], &mut out)?;
        Ok(out)
    }

    /// Terminal: opens Ecert. Nothing is proved by this.
    ///
    /// # Errors
    /// Never for this size.
    pub fn open_certificate(
        &self,
        z1: &[u8; 32],
        sealed: &[u8; CARD_CERTIFICATE_LEN],
    ) -> Result<[u8; CARD_CERTIFICATE_LEN], Error> {
        let mut out = *sealed;
        self.k1(z1).cbc_decrypt(&[0; 16], &mut out)?;
        Ok(out)
    }

    /// Both: session keys and the card's MAC.
    #[must_use]
    pub fn agree(
        &self,
        z1: &[u8; 32],
        z2: &[u8; 32],
        sealed: &[u8; CARD_CERTIFICATE_LEN],
        certificate: &[u8; CARD_CERTIFICATE_LEN],
    ) -> Agreed {
        let th2 = sha256(&[&self.th1, sealed, &sha256(&[certificate])]);
        let mut bytes = Zeroizing::new([0; 64]);
        kdf56c(&[z1, z2], "keys", &th2, &mut *bytes);
        let mut reader = Reader::new(&*bytes, "keys");
        // 64 bytes hold four keys.
        let mut next = || Key16::read(&mut reader).unwrap_or(Key16::new([0; 16]));
        let (enc, mac, rmac, conf) = (next(), next(), next(), next());
        Agreed {
            keys: SessionKeys::from_parts(enc, mac, rmac),
            mac: conf.cmac(&[&[0x01], &th2]),
        }
    }
}

/// Body of the answer to AGREE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgreeAnswer {
    /// Card's ephemeral point.
    pub point: [u8; 65],
    /// Card certificate under K1.
    pub sealed_certificate: [u8; CARD_CERTIFICATE_LEN],
    /// MAC under CONF.
    pub mac: [u8; 16],
}

impl AgreeAnswer {
    /// The 241 bytes.
    ///
    /// # Errors
    /// Never for these sizes.
    pub fn encode(&self) -> Result<Bytes<AGREE_ANSWER_LEN>, Error> {
        let mut out = Bytes::new();
        out.put(&self.point)?;
        out.put(&self.sealed_certificate)?;
        out.put(&self.mac)?;
        Ok(out)
    }

    /// From the 241 bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] for another length.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(body, "AGREE answer");
        let answer = Self {
            point: reader.array()?,
            sealed_certificate: reader.array()?,
            mac: reader.array()?,
        };
        reader.end()?;
        Ok(answer)
    }

    /// Terminal: compares the card's MAC.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn verify(&self, agreed: &Agreed) -> Result<(), Error> {
        if equal(&self.mac, &agreed.mac) {
            Ok(())
        } else {
            Err(Error::Crypto)
        }
    }
}

/// Data of READ OBJECT: offset2, length1.
#[must_use]
pub const fn read_request(offset: u16, length: u8) -> [u8; 3] {
    let [high, low] = offset.to_be_bytes();
    [high, low, length]
}

/// Content of a slot object: kv, pid, record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SlotObject {
    /// Key version.
    pub kv: u8,
    /// Pseudonym.
    pub pid: [u8; 16],
    /// Sealed record.
    pub record: [u8; crate::record::RECORD_LEN],
}

impl SlotObject {
    /// Length of the object.
    pub const LEN: usize = 177;

    /// Parses the object.
    ///
    /// # Errors
    /// [`Error::Malformed`] for another length.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, "slot object");
        let slot = Self {
            kv: reader.u8()?,
            pid: reader.array()?,
            record: reader.array()?,
        };
        reader.end()?;
        Ok(slot)
    }
}
