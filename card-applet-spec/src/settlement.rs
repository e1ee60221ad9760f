//! The settlement file (chapter 11): what a payment terminal hands in to be paid. What the office concludes from it is the
//! vault's and the issuer's.
//!
//! A line names a card by its pseudonym, so the file is for the office alone; Debug prints none of it.

use core::fmt;

use rand_core::CryptoRng;

use crate::bytes::{Reader, SliceWriter, Write};
use crate::codes::VERSION;
use crate::crypto::{PrivateKey, PublicKey};
use crate::door_f::{CommitBody, TapPlain};
use crate::error::Error;
use crate::tlv::{self, Fields};

const LABEL: &[u8] = b"YZT-SETTLEMENT-1";
const WHAT: &str = "settlement file";
const MALFORMED: Error = Error::Malformed { what: WHAT };
const TEMPLATE: u16 = 0x7F55;

/// Length of [`Before`], bytes.
pub const BEFORE_LEN: usize = 44;
/// Most bytes of one line in a file.
const LINE_LEN: usize = 3 + 3 + (2 + 16) + (2 + 28) + 6 + 6 + 6 + (2 + 8) + (2 + BEFORE_LEN);

/// What a TAP showed of the card's last debit, wherever that was.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// Number of debits at that TAP.
    pub seq: u32,
    /// All money ever loaded at that TAP, in fen.
    pub loaded: u32,
    /// All money ever spent at that TAP, in fen.
    pub spent: u32,
    /// Number of the last transaction; not zero.
    pub last_txno: [u8; 8],
    /// SB: the last transaction, masked for the vault.
    pub masked: [u8; 16],
    /// Its TAC.
    pub tac: [u8; 8],
}

impl fmt::Debug for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Before(a debit of a card)")
    }
}

impl Before {
    /// What this TAP showed; none of a card that was never debited.
    #[must_use]
    pub fn of_tap(tap: &TapPlain) -> Option<Self> {
        (tap.last_txno != [0; 8]).then_some(Self {
            seq: tap.seq,
            loaded: tap.loaded,
            spent: tap.spent,
            last_txno: tap.last_txno,
            masked: tap.masked,
            tac: tap.tac,
        })
    }

    /// The 44 bytes.
    ///
    /// # Errors
    /// Never for these sizes.
    pub fn encode(&self) -> Result<[u8; BEFORE_LEN], Error> {
        let mut out = [0; BEFORE_LEN];
        let mut writer = SliceWriter::new(&mut out);
        writer.put(&self.seq.to_be_bytes())?;
        writer.put(&self.loaded.to_be_bytes())?;
        writer.put(&self.spent.to_be_bytes())?;
        writer.put(&self.last_txno)?;
        writer.put(&self.masked)?;
        writer.put(&self.tac)?;
        Ok(out)
    }

    /// From the 44 bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] for another length, or a last txno of zero.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, WHAT);
        let before = Self {
            seq: reader.u32()?,
            loaded: reader.u32()?,
            spent: reader.u32()?,
            last_txno: reader.array()?,
            masked: reader.array()?,
            tac: reader.array()?,
        };
        reader.end()?;
        if before.last_txno == [0; 8] {
            return Err(MALFORMED);
        }
        Ok(before)
    }
}

/// One debit that the card proved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Key version of the tap.
    pub kv: u8,
    /// Pseudonym.
    pub pid: [u8; 16],
    /// What was debited.
    pub body: CommitBody,
    /// seq': s0 + 1.
    pub seq: u32,
    /// All money ever loaded, in fen.
    pub loaded: u32,
    /// spent': all money ever spent, this debit included, in fen.
    pub spent: u32,
    /// TAC of this debit.
    pub tac: [u8; 8],
    /// The card's debit before this one.
    pub before: Option<Before>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line(a debit of a card)")
    }
}

/// A purchase whose outcome the terminal never learnt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Unknown {
    /// Key version of the tap.
    pub kv: u8,
    /// Pseudonym.
    pub pid: [u8; 16],
    /// What was to be debited.
    pub body: CommitBody,
    /// s0: number of debits before it.
    pub seq: u32,
}

impl fmt::Debug for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unknown(a purchase)")
    }
}

/// Whose file, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettlementHead<'a> {
    /// Terminal name.
    pub terminal: &'a str,
    /// Registration number of the terminal.
    pub tid: u32,
    /// Number of the file: one more with every file of this tid, from 1.
    pub number: u32,
}

/// Room that a file with so many lines and unknown lines needs.
#[must_use]
pub const fn encoded_len(lines: usize, unknown: usize) -> usize {
    // The tag and length of a line, and of the whole.
    lines
        .saturating_add(unknown)
        .saturating_mul(LINE_LEN + 3)
        .saturating_add(6 + 3 + (2 + 64) + 6 + 6 + 3 + 64)
}

/// Writes and signs a settlement file into `out`; gives its length.
///
/// # Errors
/// [`Error::TooLong`] when `out` is too small, or the name is empty or longer than 64 bytes; [`Error::Malformed`] for a file
/// number 0, a key version 0, or a line of another tid; [`Error::Crypto`] for a fault of the machine.
pub fn encode(
    head: &SettlementHead<'_>,
    lines: &[Line],
    unknown: &[Unknown],
    key: &PrivateKey,
    rng: &mut impl CryptoRng,
    out: &mut [u8],
) -> Result<usize, Error> {
    if head.terminal.is_empty() || head.terminal.len() > 64 {
        return Err(Error::TooLong {
            what: "terminal name",
        });
    }
    let sound = lines.iter().all(|line| is_sound(head, line.kv, &line.body))
        && unknown.iter().all(|line| is_sound(head, line.kv, &line.body));
    if head.number == 0 || !sound {
        return Err(MALFORMED);
    }
    let mut writer = SliceWriter::new(out);
    tlv::put_template(&mut writer, TEMPLATE, &|out| {
        tlv::put(out, 0x80, &[VERSION])?;
        tlv::put(out, 0x81, head.terminal.as_bytes())?;
        tlv::put(out, 0x82, &head.tid.to_be_bytes())?;
        tlv::put(out, 0x83, &head.number.to_be_bytes())?;
        for line in lines {
            tlv::put_template(out, 0xA4, &|out| put_line(out, line))?;
        }
        for line in unknown {
            tlv::put_template(out, 0xA5, &|out| put_unknown(out, line))?;
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

const fn is_sound(head: &SettlementHead<'_>, kv: u8, body: &CommitBody) -> bool {
    kv != 0 && body.tid == head.tid
}

fn put_line(out: &mut dyn Write, line: &Line) -> Result<(), Error> {
    tlv::put(out, 0x80, &[line.kv])?;
    tlv::put(out, 0x81, &line.pid)?;
    tlv::put(out, 0x82, &line.body.encode()?)?;
    tlv::put(out, 0x83, &line.seq.to_be_bytes())?;
    tlv::put(out, 0x84, &line.loaded.to_be_bytes())?;
    tlv::put(out, 0x85, &line.spent.to_be_bytes())?;
    tlv::put(out, 0x86, &line.tac)?;
    match &line.before {
        Some(before) => tlv::put(out, 0x87, &before.encode()?),
        None => Ok(()),
    }
}

fn put_unknown(out: &mut dyn Write, line: &Unknown) -> Result<(), Error> {
    tlv::put(out, 0x80, &[line.kv])?;
    tlv::put(out, 0x81, &line.pid)?;
    tlv::put(out, 0x82, &line.body.encode()?)?;
    tlv::put(out, 0x83, &line.seq.to_be_bytes())
}

/// A settlement file whose form is right and whose signature nobody has checked: it names the terminal whose key to ask for.
#[derive(Debug, Clone)]
pub struct UnverifiedSettlement<'a> {
    settlement: Settlement<'a>,
    body: &'a [u8],
    signature: [u8; 64],
}

/// A settlement file whose signature holds.
#[derive(Debug, Clone)]
pub struct Settlement<'a> {
    /// Whose, and which.
    pub head: SettlementHead<'a>,
    fields: Fields<'a>,
}

impl<'a> UnverifiedSettlement<'a> {
    /// Parses the whole file.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(file: &'a [u8]) -> Result<Self, Error> {
        let (body, signature) = tlv::parse_signed(file, TEMPLATE, WHAT)?;
        let mut fields = Fields::new(body.value, &[0x80, 0x81, 0x82, 0x83, 0xA4, 0xA5], WHAT);
        if fields.array(0x80)? != [VERSION] {
            return Err(MALFORMED);
        }
        let head = SettlementHead {
            terminal: fields.text(0x81, 1, 64)?,
            tid: u32::from_be_bytes(fields.array(0x82)?),
            number: u32::from_be_bytes(fields.array(0x83)?),
        };
        if head.number == 0 {
            return Err(MALFORMED);
        }
        let mut walk = fields.clone();
        while let Some(object) = walk.optional(0xA4)? {
            let line = parse_line(object.value)?;
            if !is_sound(&head, line.kv, &line.body) {
                return Err(MALFORMED);
            }
        }
        while let Some(object) = walk.optional(0xA5)? {
            let line = parse_unknown(object.value)?;
            if !is_sound(&head, line.kv, &line.body) {
                return Err(MALFORMED);
            }
        }
        walk.end()?;
        Ok(Self {
            settlement: Settlement { head, fields },
            body: body.raw,
            signature,
        })
    }

    /// Whose file, and which, as the file says.
    #[must_use]
    pub const fn head(&self) -> &SettlementHead<'a> {
        &self.settlement.head
    }

    /// Checks the signature by that terminal's authentication key.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn verify(self, key: &PublicKey) -> Result<Settlement<'a>, Error> {
        key.verify(&[LABEL, self.body], &self.signature)?;
        Ok(self.settlement)
    }
}

impl Settlement<'_> {
    /// The debits that cards proved, in the order of the file.
    pub fn lines(&self) -> impl Iterator<Item = Line> + '_ {
        let mut fields = self.fields.clone();
        // All of it was parsed once: an error cannot come here, and would end the walk.
        core::iter::from_fn(move || {
            fields
                .optional(0xA4)
                .ok()
                .flatten()
                .and_then(|object| parse_line(object.value).ok())
        })
    }

    /// The purchases whose outcome is unknown, in the order of the file.
    pub fn unknown(&self) -> impl Iterator<Item = Unknown> + '_ {
        let mut fields = self.fields.clone();
        while let Ok(Some(_)) = fields.optional(0xA4) {}
        core::iter::from_fn(move || {
            fields
                .optional(0xA5)
                .ok()
                .flatten()
                .and_then(|object| parse_unknown(object.value).ok())
        })
    }
}

fn parse_line(bytes: &[u8]) -> Result<Line, Error> {
    let mut fields = Fields::new(bytes, &[0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87], WHAT);
    let line = Line {
        kv: u8::from_be_bytes(fields.array(0x80)?),
        pid: fields.array(0x81)?,
        body: CommitBody::parse(&fields.array(0x82)?)?,
        seq: u32::from_be_bytes(fields.array(0x83)?),
        loaded: u32::from_be_bytes(fields.array(0x84)?),
        spent: u32::from_be_bytes(fields.array(0x85)?),
        tac: fields.array(0x86)?,
        before: fields
            .optional(0x87)?
            .map(|before| Before::parse(before.value))
            .transpose()?,
    };
    fields.end()?;
    Ok(line)
}

fn parse_unknown(bytes: &[u8]) -> Result<Unknown, Error> {
    let mut fields = Fields::new(bytes, &[0x80, 0x81, 0x82, 0x83], WHAT);
    let line = Unknown {
        kv: u8::from_be_bytes(fields.array(0x80)?),
        pid: fields.array(0x81)?,
        body: CommitBody::parse(&fields.array(0x82)?)?,
        seq: u32::from_be_bytes(fields.array(0x83)?),
    };
    fields.end()?;
    Ok(line)
}
