//! Sealed updates (chapter 09): what an update does (P224), how it is sealed for one card and bound to one tap, and its
//! receipt. The files in which terminals carry updates and receipts are in [`crate::update_files`]; what the card does
//! with one is in `card-applet`.

use core::fmt;

use zeroize::Zeroizing;

use crate::bytes::{Reader, SliceWriter, Write};
use crate::codes::Role;
use crate::crypto::{Key16, equal};
use crate::date::Date;
use crate::error::Error;
use crate::kdf::KeySet;
use crate::script::SlotStep;
use crate::tlv;

/// Length of the plain text of an update.
pub const UPDATE_LEN: usize = 224;
/// Length of the data of UPDATE: ctr4, E224, umac16, tmac8.
pub const COMMAND_LEN: usize = 252;
/// Most bytes of a DG3 in an update.
pub const MAX_UPDATE_DG3: usize = 157;

const WHAT: &str = "update";
const MALFORMED: Error = Error::Malformed { what: WHAT };

/// What an update does: P224. Each names a state and not a difference, so that doing one twice does no harm.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Operation<'a> {
    /// A full snapshot of the slot (role, kv), made live as at FINALISE.
    Slot {
        /// As the step of chapter 05; its role is one that there is, and `loaded` is zero but for `SMALL_PAYMENT`.
        slot: SlotStep<'a>,
        /// Largest single amount, in fen; zero but for `SMALL_PAYMENT`.
        cap: u32,
    },
    /// DG3 is replaced, and with it its digest, the signer's number and the signature in the signature object.
    Dg3 {
        /// Number of the document signer's key.
        signer: u8,
        /// The whole template 6D, 1 to 157 bytes.
        dg3: &'a [u8],
        /// Signature of the signature object with this DG3.
        signature: &'a [u8; 64],
    },
    /// The date floor becomes the later of its value and this one.
    Floor(Date),
    /// The card becomes BLOCKED.
    Block,
    /// The live slot (role, kv) is erased.
    Erase {
        /// Role.
        role: Role,
        /// Key version.
        kv: u8,
    },
    /// `loaded` of the purse becomes the larger of its value and this one.
    Load {
        /// All money ever loaded, in fen.
        loaded: u32,
    },
}

impl fmt::Debug for Operation<'_> {
    /// What a log may hold: which operation, and no key, no amount, no content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slot { slot, .. } => slot.fmt(f),
            Self::Dg3 { signer, dg3, .. } => write!(f, "DG3(signer {signer}, {} bytes)", dg3.len()),
            Self::Floor(floor) => write!(f, "FLOOR({floor})"),
            Self::Block => f.write_str("BLOCK"),
            Self::Erase { role, kv } => write!(f, "ERASE({role}, kv {kv})"),
            Self::Load { .. } => f.write_str("LOAD(an amount)"),
        }
    }
}

impl<'a> Operation<'a> {
    /// P224. It holds keys: what is given is erased when it is dropped.
    ///
    /// # Errors
    /// [`Error::Malformed`] for what a card would refuse with 6A80; [`Error::TooLong`] for a DG3 of more than 157 bytes.
    pub fn encode(&self) -> Result<Zeroizing<[u8; UPDATE_LEN]>, Error> {
        let mut plain = Zeroizing::new([0; UPDATE_LEN]);
        let mut out = SliceWriter::new(&mut *plain);
        match self {
            Self::Slot { slot, cap } => {
                // The step ends in `loaded` and eight zeros, of which the cap takes the first four.
                let step = Zeroizing::new(slot.encode()?);
                let (front, _) = step.split_last_chunk::<8>().ok_or(MALFORMED)?;
                out.put(front)?;
                out.put(&cap.to_be_bytes())?;
            }
            Self::Dg3 {
                signer,
                dg3,
                signature,
            } => {
                let length = u8::try_from(dg3.len()).map_err(|_| Error::TooLong { what: "DG3" })?;
                let fill = MAX_UPDATE_DG3
                    .checked_sub(dg3.len())
                    .ok_or(Error::TooLong { what: "DG3" })?;
                out.put(&[0x10, *signer, length])?;
                out.put(dg3)?;
                out.put([0; MAX_UPDATE_DG3].get(..fill).ok_or(MALFORMED)?)?;
                out.put(*signature)?;
            }
            Self::Floor(floor) => {
                out.put(&[0x11])?;
                out.put(&floor.to_bytes())?;
            }
            Self::Block => out.put(&[0x12])?,
            Self::Erase { role, kv } => out.put(&[0x13, role.code(), *kv])?,
            Self::Load { loaded } => {
                out.put(&[0x14])?;
                out.put(&loaded.to_be_bytes())?;
            }
        }
        // Nothing leaves that a card would refuse.
        Operation::parse(&plain)?;
        Ok(plain)
    }

    /// From P224. Every byte that the operation does not name must be zero.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(plain: &'a [u8; UPDATE_LEN]) -> Result<Self, Error> {
        let mut reader = Reader::new(plain, WHAT);
        let operation = match reader.u8()? {
            0x05 => {
                let slot = SlotStep::read(&mut reader)?;
                let cap = reader.u32()?;
                let role = Role::try_from(slot.role)?;
                if role != Role::SmallPayment && (slot.loaded, cap) != (0, 0) {
                    return Err(MALFORMED);
                }
                Self::Slot { slot, cap }
            }
            0x10 => {
                let (signer, length) = (reader.u8()?, usize::from(reader.u8()?));
                let (dg3, fill) = reader
                    .slice(MAX_UPDATE_DG3)?
                    .split_at_checked(length)
                    .ok_or(MALFORMED)?;
                if !is_zero(fill) || tlv::parse_only(dg3)?.tag != 0x6D {
                    return Err(MALFORMED);
                }
                Self::Dg3 {
                    signer,
                    dg3,
                    signature: reader.borrowed()?,
                }
            }
            0x11 => Self::Floor(Date::from_bytes(reader.array()?)?),
            0x12 => Self::Block,
            0x13 => {
                let (role, kv) = (Role::try_from(reader.u8()?)?, reader.u8()?);
                if kv == 0 {
                    return Err(MALFORMED);
                }
                Self::Erase { role, kv }
            }
            0x14 => Self::Load {
                loaded: reader.u32()?,
            },
            _ => return Err(MALFORMED),
        };
        if is_zero(reader.rest()) {
            Ok(operation)
        } else {
            Err(MALFORMED)
        }
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Ktac of a slot of `SMALL_PAYMENT` that an update brought: P has no room for one, so card and vault derive it from
/// U-RCPT (`dek` of the update keys). A slot that a script brought has that of [`crate::kdf::tac_key`].
#[must_use]
pub fn tac_key(keys: &KeySet, role: Role, kv: u8, pid: &[u8; 16]) -> Key16 {
    Key16::new(keys.dek.cmac(&[&[0x0A, role.code(), kv], pid]))
}

/// An update as terminals carry it, without the part that binds it to a tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedUpdate {
    /// Counter; grows.
    pub counter: u32,
    /// Cipher text.
    pub cipher: [u8; UPDATE_LEN],
    /// MAC under U-MAC.
    pub mac: [u8; 16],
}

fn iv(enc: &Key16, counter: u32) -> [u8; 16] {
    let [a, b, c, d] = counter.to_be_bytes();
    enc.encrypt_block([0x08, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

impl SealedUpdate {
    /// Seals `plain` ([`Operation::encode`]) under the card's update keys (ENC = U-ENC, MAC = U-MAC).
    ///
    /// # Errors
    /// Never for this size.
    pub fn seal(keys: &KeySet, counter: u32, plain: &[u8; UPDATE_LEN]) -> Result<Self, Error> {
        let mut cipher = *plain;
        keys.enc.cbc_encrypt(&iv(&keys.enc, counter), &mut cipher)?;
        let mac = keys.mac.cmac(&[&[0x08], &counter.to_be_bytes(), &cipher]);
        Ok(Self { counter, cipher, mac })
    }

    /// Checks the MAC.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn verify(&self, keys: &KeySet) -> Result<(), Error> {
        let expected = keys
            .mac
            .cmac(&[&[0x08], &self.counter.to_be_bytes(), &self.cipher]);
        if equal(&expected, &self.mac) {
            Ok(())
        } else {
            Err(Error::Crypto)
        }
    }

    /// Checks the MAC and opens; what is given is erased when it is dropped.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn open(&self, keys: &KeySet) -> Result<Zeroizing<[u8; UPDATE_LEN]>, Error> {
        self.verify(keys)?;
        self.decrypt(keys)
    }

    /// P224 of an update whose MAC was checked just before: a card checks the MAC first, and opens later.
    ///
    /// # Errors
    /// Never for this size.
    pub fn decrypt(&self, keys: &KeySet) -> Result<Zeroizing<[u8; UPDATE_LEN]>, Error> {
        let mut plain = Zeroizing::new(self.cipher);
        keys.enc
            .cbc_decrypt(&iv(&keys.enc, self.counter), &mut *plain)
            .map_err(|_| Error::Crypto)?;
        Ok(plain)
    }

    /// The receipt, under U-RCPT (`dek` of the update keys).
    #[must_use]
    pub fn receipt(&self, keys: &KeySet) -> [u8; 16] {
        keys.dek.cmac(&[&[0x09], &self.counter.to_be_bytes(), &self.mac])
    }

    /// The part that binds it to a tap, under M.
    ///
    /// # Errors
    /// Never for this size.
    pub fn tap_mac(
        &self,
        m: &Key16,
        role: u8,
        version: u8,
        rt: &[u8; 16],
        rc: &[u8; 16],
    ) -> Result<[u8; 8], Error> {
        let head = [0x07, role, version];
        let mac = m.cmac(&[
            &head,
            rt,
            rc,
            &self.counter.to_be_bytes(),
            &self.cipher,
            &self.mac,
        ]);
        Reader::new(&mac, WHAT).array()
    }

    /// Command data of UPDATE: 252 bytes.
    ///
    /// # Errors
    /// Never for this size.
    pub fn command_data(&self, tap_mac: &[u8; 8]) -> Result<[u8; COMMAND_LEN], Error> {
        let mut out = [0; COMMAND_LEN];
        let mut writer = SliceWriter::new(&mut out);
        writer.put(&self.counter.to_be_bytes())?;
        writer.put(&self.cipher)?;
        writer.put(&self.mac)?;
        writer.put(tap_mac)?;
        Ok(out)
    }

    /// From the command data of UPDATE: the update and tmac.
    ///
    /// # Errors
    /// [`Error::Malformed`] for another length.
    pub fn parse_command(data: &[u8]) -> Result<(Self, [u8; 8]), Error> {
        let mut reader = Reader::new(data, WHAT);
        let update = Self {
            counter: reader.u32()?,
            cipher: reader.array()?,
            mac: reader.array()?,
        };
        let tap_mac = reader.array()?;
        reader.end()?;
        Ok((update, tap_mac))
    }
}
