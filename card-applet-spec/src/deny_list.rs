//! Deny lists (chapter 08): which cards of a role a terminal refuses.

use rand_core::CryptoRng;

use crate::bytes::{Bytes, Write};
use crate::codes::Role;
use crate::crypto::{PrivateKey, PublicKey};
use crate::date::Date;
use crate::error::Error;
use crate::tlv::{self, Fields};

const LABEL: &[u8] = b"YZT-DENY-1";
const WHAT: &str = "deny list";
const MALFORMED: Error = Error::Malformed { what: WHAT };
const TAGS: &[u16] = &[0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x9E];
/// Tag of a whole list, in a bundle and in a list file.
pub const TEMPLATE: u16 = 0xA9;

/// A deny list, borrowed; its signature is checked by [`DenyList::parse_and_verify`].
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
    /// Days behind the largest age in which a terminal may still accept for `TRANSIT` and `CLINIC`, where its operator
    /// asks for it; none in most lists.
    pub grace: Option<u16>,
}

/// How old a list is on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// Within its largest age.
    Fresh,
    /// Behind its largest age, within the days of grace that its signer allows. What that means for a role is
    /// [`has_grace`]'s to say, and the operator's.
    InGrace,
    /// Behind both, or made after that day.
    TooOld,
}

/// The roles that days of grace may serve: a bus and a clinic. A door and a payment never accept with an old list.
#[must_use]
pub const fn has_grace(role: Role) -> bool {
    matches!(role, Role::Transit | Role::Clinic)
}

impl<'a> DenyList<'a> {
    fn signed_part(&self, out: &mut dyn Write) -> Result<(), Error> {
        tlv::put(out, 0x80, &[self.role.code()])?;
        tlv::put(out, 0x81, &self.version.to_be_bytes())?;
        tlv::put(out, 0x82, &self.issued.to_bytes())?;
        tlv::put(out, 0x83, &self.max_age.to_be_bytes())?;
        tlv::put(out, 0x84, self.entries)?;
        self.grace
            .map_or(Ok(()), |days| tlv::put(out, 0x85, &days.to_be_bytes()))
    }

    /// Signs `"YZT-DENY-1" || objects 80 to 85`. `scratch` needs room for those objects: entries and 40 bytes.
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

    /// Writes the whole A9 template: one list of a list file.
    ///
    /// # Errors
    /// [`Error::TooLong`] when there is no room.
    pub fn encode_template(&self, signature: &[u8; 64], out: &mut dyn Write) -> Result<(), Error> {
        tlv::put_template(out, TEMPLATE, &|out| self.encode(signature, out))
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
        let grace = fields
            .optional(0x85)?
            .map(|days| {
                days.value
                    .try_into()
                    .map(u16::from_be_bytes)
                    .map_err(|_| MALFORMED)
            })
            .transpose()?;
        let signature = fields.array(0x9E)?;
        fields.end()?;
        let list = Self {
            role,
            version,
            issued,
            max_age,
            entries,
            grace,
        };
        // What stands around the entries is written again from what was understood: nothing skipped is trusted.
        let mut head = Bytes::<32>::new();
        tlv::put(&mut head, 0x80, &[role.code()])?;
        tlv::put(&mut head, 0x81, &version.to_be_bytes())?;
        tlv::put(&mut head, 0x82, &issued.to_bytes())?;
        tlv::put(&mut head, 0x83, &max_age.to_be_bytes())?;
        let mut tail = Bytes::<4>::new();
        if let Some(days) = grace {
            tlv::put(&mut tail, 0x85, &days.to_be_bytes())?;
        }
        // Closed: the objects and the signature (2 + 64 bytes) are all that there is.
        let known = head
            .len()
            .saturating_add(entries_object.raw.len())
            .saturating_add(tail.len())
            .saturating_add(66);
        if known != bytes.len() {
            return Err(MALFORMED);
        }
        signer.verify(&[LABEL, &head, entries_object.raw, &tail], &signature)?;
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
        self.age_on(day) == Age::Fresh
    }

    /// How old the list is on `day`. A list made after that day is too old: one of the two clocks is wrong.
    #[must_use]
    pub fn age_on(&self, day: Date) -> Age {
        let most = u32::from(self.max_age);
        match day.day_number().checked_sub(self.issued.day_number()) {
            Some(age) if age <= most => Age::Fresh,
            Some(age) if age <= most.saturating_add(u32::from(self.grace.unwrap_or(0))) => Age::InGrace,
            _ => Age::TooOld,
        }
    }
}

/// The lists of a list file: the insides of its A9 templates, for [`DenyList::parse_and_verify`]. The file has no signature
/// of its own; the lists have.
///
/// # Errors
/// [`Error::Malformed`], as an item, for an empty file and at the first byte that begins no A9 template; nothing follows.
pub fn lists_of_file(file: &[u8]) -> impl Iterator<Item = Result<&[u8], Error>> {
    const FILE: Error = Error::Malformed { what: "list file" };
    let mut rest = Some(file);
    let mut first = true;
    core::iter::from_fn(move || {
        let bytes = rest.take()?;
        if bytes.is_empty() && !first {
            return None;
        }
        first = false;
        match tlv::parse(bytes) {
            Ok((object, behind)) if object.tag == TEMPLATE => {
                rest = Some(behind);
                Some(Ok(object.value))
            }
            _ => Some(Err(FILE)),
        }
    })
}

fn is_ascending(entries: &[u8]) -> bool {
    let (chunks, rest) = entries.as_chunks::<8>();
    rest.is_empty() && chunks.is_sorted_by(|a, b| a < b)
}
