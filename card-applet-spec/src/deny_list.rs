//! Deny lists (chapter 08): which cards of a role a terminal refuses.

use rand_core::CryptoRng;

use crate::Error;
use crate::bytes::Write;
use crate::codes::Role;
use crate::crypto::{PrivateKey, PublicKey};
use crate::date::Date;
use crate::tlv::{self, Fields};

const LABEL: &[u8] = b"YZT-DENY-1";
const WHAT: &str = "deny list";
const MALFORMED: Error = Error::Malformed { what: WHAT };
const TAGS: &[u16] = &[0x80, 0x81, 0x82, 0x83, 0x84, 0x9E];

/// A deny list, borrowed; `signature` is checked by [`DenyList::verify`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DenyList<'a> {
    /// Role.
    pub role: Role,
    /// Version: a terminal never loads an older one.
    pub version: u32,
    /// Day it was made.
    pub issued: Date,
    /// Largest age in days.
    pub max_age: u16,
    /// 8 bytes each, ascending, without repetition.
    pub entries: &'a [u8],
}

impl<'a> DenyList<'a> {
    fn signed_part(&self, out: &mut dyn Write) -> Result<(), Error> {
        tlv::put(out, 0x80, &[self.role.code()])?;
        tlv::put(out, 0x81, &self.version.to_be_bytes())?;
        tlv::put(out, 0x82, &self.issued.to_bytes())?;
        tlv::put(out, 0x83, &self.max_age.to_be_bytes())?;
        tlv::put(out, 0x84, self.entries)
    }

    /// Signs `"YZT-DENY-1" || objects 80 to 84`. `scratch` needs room for those objects: entries and 40 bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] when entries are not ascending; [`Error::Crypto`] for a fault of the machine.
    pub fn sign(
        &self,
        key: &PrivateKey,
        scratch: &mut [u8],
        rng: &mut impl CryptoRng,
    ) -> Result<[u8; 64], Error> {
        if !is_ascending(self.entries) {
            return Err(MALFORMED);
        }
        let mut writer = crate::bytes::SliceWriter::new(scratch);
        self.signed_part(&mut writer)?;
        let used = writer.len();
        let part = scratch.get(..used).ok_or(MALFORMED)?;
        key.sign(&[LABEL, part], rng)
    }

    /// Writes the inside of an A9 template, signature last.
    ///
    /// # Errors
    /// [`Error::TooLong`] when there is no room.
    pub fn encode(&self, signature: &[u8; 64], out: &mut dyn Write) -> Result<(), Error> {
        self.signed_part(out)?;
        tlv::put(out, 0x9E, signature)
    }

    /// Parses the inside of an A9 template and checks its signature.
    ///
    /// # Errors
    /// [`Error::Malformed`], or [`Error::Crypto`].
    pub fn parse_and_verify(bytes: &'a [u8], signer: &PublicKey) -> Result<Self, Error> {
        let mut fields = Fields::new(bytes, TAGS, WHAT);
        let role = Role::try_from(u8::from_be_bytes(fields.array(0x80)?))?;
        let version = u32::from_be_bytes(fields.array(0x81)?);
        let issued = Date::from_bytes(fields.array(0x82)?)?;
        let max_age = u16::from_be_bytes(fields.array(0x83)?);
        let entries_object = fields.required(0x84)?;
        let entries = entries_object.value;
        let signature = fields.array(0x9E)?;
        fields.end()?;
        let list = Self {
            role,
            version,
            issued,
            max_age,
            entries,
        };
        // What stands before the entries is written again from what was understood: nothing skipped is trusted.
        let mut head = crate::Bytes::<32>::new();
        tlv::put(&mut head, 0x80, &[role.code()])?;
        tlv::put(&mut head, 0x81, &version.to_be_bytes())?;
        tlv::put(&mut head, 0x82, &issued.to_bytes())?;
        tlv::put(&mut head, 0x83, &max_age.to_be_bytes())?;
        // Closed: the objects and the signature (2 + 64 bytes) are all that there is.
        let known = head
            .len()
            .saturating_add(entries_object.raw.len())
            .saturating_add(66);
        if known != bytes.len() {
            return Err(MALFORMED);
        }
        signer.verify(&[LABEL, &head, entries_object.raw], &signature)?;
        if is_ascending(entries) {
            Ok(list)
        } else {
            Err(MALFORMED)
        }
    }

    /// True when the first 8 bytes of `pid` are on the list. A binary search.
    #[must_use]
    pub fn contains(&self, pid: &[u8; 16]) -> bool {
        let Some((prefix, _)) = pid.split_first_chunk::<8>() else {
            return false;
        };
        let (entries, _) = self.entries.as_chunks::<8>();
        entries.binary_search(prefix).is_ok()
    }

    /// True when the list may be used on `day`: made on that day or before, and not older than its largest age.
    #[must_use]
    pub fn is_fresh_on(&self, day: Date) -> bool {
        day.day_number()
            .checked_sub(self.issued.day_number())
            .is_some_and(|age| age <= u32::from(self.max_age))
    }
}

fn is_ascending(entries: &[u8]) -> bool {
    let (chunks, rest) = entries.as_chunks::<8>();
    rest.is_empty() && chunks.is_sorted_by(|a, b| a < b)
}
