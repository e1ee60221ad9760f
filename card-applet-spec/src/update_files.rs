//! The files in which terminals carry sealed updates to cards and receipts back (chapter 09): update batch 7F52 and
//! receipts 7F53. The box around a batch is [`crate::sealed_box`]; an update itself is [`crate::update`].
//!
//! Left out on purpose: when a terminal fetches a batch and when it sends receipts. Neither file has room for where or
//! when a card was read.

use rand_core::CryptoRng;

use crate::bytes::SliceWriter;
use crate::codes::{Role, VERSION};
use crate::crypto::{PrivateKey, PublicKey};
use crate::date::Date;
use crate::error::Error;
use crate::tlv::{self, Fields};
use crate::update::SealedUpdate;

const LABEL: &[u8] = b"YZT-UPDATES-1";
const BATCH: &str = "update batch";
const RECEIPTS: &str = "receipts";
const MALFORMED_BATCH: Error = Error::Malformed { what: BATCH };
const MALFORMED_RECEIPTS: Error = Error::Malformed { what: RECEIPTS };
const BATCH_TAGS: &[u16] = &[0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0xA6];

/// Bytes of one update in a batch: the head of A6, then id, role, pid, ctr, E and umac, each with its head.
const ENTRY_LEN: usize = 4 + 18 + 3 + 18 + 6 + 227 + 18;
/// Bytes of a batch without updates: heads of 7F52 and of its objects, the longest name, and the signature.
const FRAME_LEN: usize = 6 + 3 + 18 + 66 + 6 + 6 + 6 + 3 + 64;
/// Bytes of one receipt in its file.
const RECEIPT_LEN: usize = 2 + 18 + 18;

/// What stands before the updates of a batch, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHead<'a> {
    /// Batch id.
    pub id: [u8; 16],
    /// Terminal name, as in its bundle; 1 to 64 bytes.
    pub name: &'a str,
    /// Issued on.
    pub issued: Date,
    /// Last day of use.
    pub not_after: Date,
    /// Sequence number: a terminal never loads an older one.
    pub sequence: u32,
}

/// One update of a batch, and through which role it is delivered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BatchEntry {
    /// Update id: random, another one for every role through which the same change may be delivered.
    pub id: [u8; 16],
    /// Role of the TAP that delivers it; its target is inside and may be another role.
    pub role: Role,
    /// Pseudonym of the card in that role.
    pub pid: [u8; 16],
    /// The update.
    pub update: SealedUpdate,
}

impl core::fmt::Debug for BatchEntry {
    /// The update's id and role; not whose it is.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("BatchEntry(")?;
        self.id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, ", {})", self.role)
    }
}

/// Room that a batch of `updates` needs before it is sealed.
#[must_use]
pub const fn batch_len(updates: usize) -> usize {
    updates.saturating_mul(ENTRY_LEN).saturating_add(FRAME_LEN)
}

/// Writes and signs a batch into `out`; gives its length. Updates of one pid stand in the order of their counters.
///
/// # Errors
/// [`Error::TooLong`] when `out` is too small or the name is empty or longer than 64 bytes; [`Error::Malformed`] for an
/// update delivered through a role without door F; [`Error::Crypto`] for a fault of the machine.
pub fn encode_batch(
    head: &BatchHead<'_>,
    updates: &[BatchEntry],
    root: &PrivateKey,
    rng: &mut impl CryptoRng,
    out: &mut [u8],
) -> Result<usize, Error> {
    if head.name.is_empty() || head.name.len() > 64 {
        return Err(Error::TooLong {
            what: "terminal name",
        });
    }
    if !updates.iter().all(|entry| entry.role.has_door_f()) {
        return Err(MALFORMED_BATCH);
    }
    let mut writer = SliceWriter::new(out);
    tlv::put_template(&mut writer, 0x7F52, &|out| {
        tlv::put(out, 0x80, &[VERSION])?;
        tlv::put(out, 0x81, &head.id)?;
        tlv::put(out, 0x82, head.name.as_bytes())?;
        tlv::put(out, 0x83, &head.issued.to_bytes())?;
        tlv::put(out, 0x84, &head.not_after.to_bytes())?;
        tlv::put(out, 0x85, &head.sequence.to_be_bytes())?;
        updates.iter().try_for_each(|entry| {
            tlv::put_template(out, 0xA6, &|out| {
                tlv::put(out, 0x80, &entry.id)?;
                tlv::put(out, 0x81, &[entry.role.code()])?;
                tlv::put(out, 0x82, &entry.pid)?;
                tlv::put(out, 0x83, &entry.update.counter.to_be_bytes())?;
                tlv::put(out, 0x84, &entry.update.cipher)?;
                tlv::put(out, 0x85, &entry.update.mac)
            })
        })
    })?;
    let used = writer.len();
    let signature = root.sign(&[LABEL, out.get(..used).ok_or(MALFORMED_BATCH)?], rng)?;
    let rest = out.get_mut(used..).ok_or(MALFORMED_BATCH)?;
    let mut writer = SliceWriter::new(rest);
    tlv::put(&mut writer, 0x5F37, &signature)?;
    Ok(used.saturating_add(writer.len()))
}

/// A batch that was opened and whose signature holds. Its name, days and sequence are the caller's to check.
#[derive(Clone, Copy)]
pub struct UpdateBatch<'a> {
    /// Head.
    pub head: BatchHead<'a>,
    body: &'a [u8],
}

impl core::fmt::Debug for UpdateBatch<'_> {
    /// The head; the body holds pseudonyms.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("UpdateBatch")
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

impl<'a> UpdateBatch<'a> {
    /// Parses the plain text and checks its signature under the pinned root.
    ///
    /// # Errors
    /// [`Error::Malformed`], or [`Error::Crypto`] when the signature fails.
    pub fn parse_and_verify(plain: &'a [u8], pinned_root: &PublicKey) -> Result<Self, Error> {
        let (body, signature) = tlv::parse_signed(plain, 0x7F52, BATCH)?;
        pinned_root.verify(&[LABEL, body.raw], &signature)?;
        let mut fields = Fields::new(body.value, BATCH_TAGS, BATCH);
        if fields.array(0x80)? != [VERSION] {
            return Err(MALFORMED_BATCH);
        }
        let head = BatchHead {
            id: fields.array(0x81)?,
            name: fields.text(0x82, 1, 64)?,
            issued: Date::from_bytes(fields.array(0x83)?)?,
            not_after: Date::from_bytes(fields.array(0x84)?)?,
            sequence: u32::from_be_bytes(fields.array(0x85)?),
        };
        while let Some(entry) = fields.optional(0xA6)? {
            parse_entry(entry.value)?;
        }
        fields.end()?;
        Ok(Self {
            head,
            body: body.value,
        })
    }

    /// The updates, in the order of the file.
    pub fn updates(&self) -> impl Iterator<Item = BatchEntry> + 'a {
        inside(self.body, 0xA6, parse_entry)
    }
}

/// The objects `tag` of a template that was parsed once from end to end: an error cannot come here, and would end the walk.
fn inside<'a, T>(
    body: &'a [u8],
    tag: u16,
    parse: impl Fn(&'a [u8]) -> Result<T, Error> + 'a,
) -> impl Iterator<Item = T> + 'a {
    let mut rest = body;
    core::iter::from_fn(move || {
        while let Ok((object, next)) = tlv::parse(rest) {
            rest = next;
            if object.tag == tag {
                return parse(object.value).ok();
            }
        }
        None
    })
}

fn parse_entry(bytes: &[u8]) -> Result<BatchEntry, Error> {
    let mut fields = Fields::new(bytes, &[0x80, 0x81, 0x82, 0x83, 0x84, 0x85], BATCH);
    let entry = BatchEntry {
        id: fields.array(0x80)?,
        role: Role::try_from(u8::from_be_bytes(fields.array(0x81)?))?,
        pid: fields.array(0x82)?,
        update: SealedUpdate {
            counter: u32::from_be_bytes(fields.array(0x83)?),
            cipher: fields.array(0x84)?,
            mac: fields.array(0x85)?,
        },
    };
    fields.end()?;
    if entry.role.has_door_f() {
        Ok(entry)
    } else {
        Err(MALFORMED_BATCH)
    }
}

/// A card's receipt for one update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Receipt {
    /// Update id.
    pub update: [u8; 16],
    /// The 16 bytes that the card answered.
    pub receipt: [u8; 16],
}

/// Room that `receipts` need in their file.
#[must_use]
pub const fn receipts_len(receipts: usize) -> usize {
    receipts.saturating_mul(RECEIPT_LEN).saturating_add(6 + 3)
}

/// Writes receipts into `out`; gives the length.
///
/// # Errors
/// [`Error::Malformed`] when they are not ascending by update id, or one comes twice; [`Error::TooLong`] when `out` is too small.
pub fn encode_receipts(receipts: &[Receipt], out: &mut [u8]) -> Result<usize, Error> {
    if !receipts.is_sorted_by(|a, b| a.update < b.update) {
        return Err(MALFORMED_RECEIPTS);
    }
    let mut writer = SliceWriter::new(out);
    tlv::put_template(&mut writer, 0x7F53, &|out| {
        tlv::put(out, 0x80, &[VERSION])?;
        receipts.iter().try_for_each(|receipt| {
            tlv::put_template(out, 0xA4, &|out| {
                tlv::put(out, 0x80, &receipt.update)?;
                tlv::put(out, 0x81, &receipt.receipt)
            })
        })
    })?;
    Ok(writer.len())
}

/// Receipts as a terminal sends them. Nothing is proved before the vault has compared each with its own.
#[derive(Debug, Clone, Copy)]
pub struct Receipts<'a> {
    body: &'a [u8],
}

impl<'a> Receipts<'a> {
    /// Parses the file.
    ///
    /// # Errors
    /// [`Error::Malformed`], also when the receipts are not ascending by update id.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let file = tlv::parse_only(bytes).map_err(|_| MALFORMED_RECEIPTS)?;
        if file.tag != 0x7F53 {
            return Err(MALFORMED_RECEIPTS);
        }
        let mut fields = Fields::new(file.value, &[0x80, 0xA4], RECEIPTS);
        if fields.array(0x80)? != [VERSION] {
            return Err(MALFORMED_RECEIPTS);
        }
        let mut before = None;
        while let Some(receipt) = fields.optional(0xA4)? {
            let receipt = parse_receipt(receipt.value)?;
            if before.is_some_and(|before| before >= receipt.update) {
                return Err(MALFORMED_RECEIPTS);
            }
            before = Some(receipt.update);
        }
        fields.end()?;
        Ok(Self { body: file.value })
    }

    /// The receipts, ascending by update id.
    pub fn iter(&self) -> impl Iterator<Item = Receipt> + 'a {
        inside(self.body, 0xA4, parse_receipt)
    }
}

fn parse_receipt(bytes: &[u8]) -> Result<Receipt, Error> {
    let mut fields = Fields::new(bytes, &[0x80, 0x81], RECEIPTS);
    let receipt = Receipt {
        update: fields.array(0x80)?,
        receipt: fields.array(0x81)?,
    };
    fields.end()?;
    Ok(receipt)
}
