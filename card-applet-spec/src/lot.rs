//! The lot file (chapter 08): transport keys of blanks for the card maker. The box around it is [`crate::sealed_box`].

use rand_core::CryptoRng;

use zeroize::Zeroizing;

use crate::bytes::SliceWriter;
use crate::codes::Serial;
use crate::crypto::{PrivateKey, PublicKey};
use crate::error::Error;
use crate::kdf::KeySet;
use crate::tlv::{self, Fields, Tlv};

const LABEL: &[u8] = b"YZT-LOT-1";
const WHAT: &str = "lot file";
const MALFORMED: Error = Error::Malformed { what: WHAT };

/// Bytes of one blank in a lot file.
const BLANK_LEN: usize = 2 + 2 + 10 + 2 + 48;

/// Room that a lot file of `blanks` cards needs before it is sealed.
#[must_use]
pub const fn encoded_len(blanks: usize) -> usize {
    blanks.saturating_mul(BLANK_LEN).saturating_add(6 + 6 + 3 + 64)
}

/// Writes and signs a lot file into `out`; gives its length.
///
/// # Errors
/// [`Error::TooLong`] when `out` is too small; [`Error::Crypto`] for a fault of the machine.
pub fn encode(
    lot: [u8; 4],
    blanks: &[(Serial, KeySet)],
    key: &PrivateKey,
    rng: &mut impl CryptoRng,
    out: &mut [u8],
) -> Result<usize, Error> {
    let mut writer = SliceWriter::new(out);
    tlv::put_template(&mut writer, 0x7F51, &|out| {
        tlv::put(out, 0x80, &lot)?;
        for (serial, keys) in blanks {
            tlv::put_template(out, 0xA1, &|out| {
                tlv::put(out, 0x80, &serial.0)?;
                tlv::put_template(out, 0x81, &|out| {
                    out.put(keys.enc.expose())?;
                    out.put(keys.mac.expose())?;
                    out.put(keys.dek.expose())
                })
            })?;
        }
        Ok(())
    })?;
    let used = writer.len();
    let signature = key.sign(&[LABEL, out.get(..used).ok_or(MALFORMED)?], rng)?;
    let rest = out.get_mut(used..).ok_or(MALFORMED)?;
    let mut writer = SliceWriter::new(rest);
    tlv::put(&mut writer, 0x5F37, &signature)?;
    Ok(used.saturating_add(writer.len()))
}

/// A lot file that was opened and whose signature holds.
#[derive(Clone)]
pub struct Lot<'a> {
    /// Lot number.
    pub lot: [u8; 4],
    fields: Fields<'a>,
}

impl core::fmt::Debug for Lot<'_> {
    /// The number; what follows are keys.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Lot")
            .field("lot", &self.lot)
            .finish_non_exhaustive()
    }
}

impl<'a> Lot<'a> {
    /// Parses the plain text and checks the card CA's signature.
    ///
    /// # Errors
    /// [`Error::Malformed`], or [`Error::Crypto`].
    pub fn parse_and_verify(plain: &'a [u8], card_ca: &PublicKey) -> Result<Self, Error> {
        let (body, signature) = tlv::parse_signed(plain, 0x7F51, WHAT)?;
        card_ca.verify(&[LABEL, body.raw], &signature)?;
        let mut fields = Fields::new(body.value, &[0x80, 0xA1], WHAT);
        let lot = fields.array(0x80)?;
        Ok(Self { lot, fields })
    }

    /// The next blank: serial and transport keys.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn next_blank(&mut self) -> Result<Option<(Serial, KeySet)>, Error> {
        let Some(Tlv { value, .. }) = self.fields.optional(0xA1)? else {
            self.fields.clone().end()?;
            return Ok(None);
        };
        let mut fields = Fields::new(value, &[0x80, 0x81], WHAT);
        let serial = Serial(fields.array(0x80)?);
        let keys = KeySet::from_bytes(&Zeroizing::new(fields.array(0x81)?));
        fields.end()?;
        Ok(Some((serial, keys)))
    }
}
