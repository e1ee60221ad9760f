//! The counters file (chapter 08): how often a terminal accepted and refused on one whole day, by role and reason.
//!
//! Left out on purpose: any card, any hour. Nothing finer than a day and a number leaves a terminal.

use core::fmt;

use rand_core::CryptoRng;

use crate::bytes::SliceWriter;
use crate::codes::{Role, code};
use crate::crypto::{PrivateKey, PublicKey};
use crate::date::Date;
use crate::error::Error;
use crate::tlv::{self, Fields};

const LABEL: &[u8] = b"YZT-COUNTERS-1";
const WHAT: &str = "counters file";
const MALFORMED: Error = Error::Malformed { what: WHAT };
const TEMPLATE: u16 = 0x7F54;
/// Version of the body. 01 added several days up.
const BODY: u8 = 0x02;

/// Bytes of one count in a file.
const COUNT_LEN: usize = 2 + 3 + 3 + 6;

code!(
    /// What is counted.
    Counted, "counted reason", {
        /// Accepted.
        Accepted = 0x00 => "ACCEPTED",
        /// Nothing on the card answered.
        NotActive = 0x01 => "NOT_ACTIVE",
        /// Behind the last day.
        Expired = 0x02 => "EXPIRED",
        /// Deny list or zones.
        Denied = 0x03 => "DENIED",
        /// Something did not hold.
        NotGenuine = 0x04 => "NOT_GENUINE",
        /// Another role.
        WrongRole = 0x05 => "WRONG_ROLE",
        /// No card of this specification.
        ForeignCard = 0x06 => "FOREIGN_CARD",
        /// An answer that came before.
        Replay = 0x07 => "REPLAY",
        /// The list was missing or too old.
        ListTooOld = 0x08 => "LIST_TOO_OLD",
        /// The bundle had ended.
        BundleExpired = 0x09 => "BUNDLE_EXPIRED",
        /// Accepted in the days of grace of an old list.
        AcceptedInGrace = 0x0A => "ACCEPTED_IN_GRACE",
        /// Nobody knows whether the card was debited.
        OutcomeUnknown = 0x0B => "OUTCOME_UNKNOWN",
        /// The amount was above the balance.
        BalanceTooLow = 0x0C => "BALANCE_TOO_LOW",
    }
);

/// How often one thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Role that was asked for.
    pub role: Role,
    /// What happened.
    pub counted: Counted,
    /// How often; not zero.
    pub number: u32,
}

impl Count {
    const fn place(self) -> (u8, u8) {
        (self.role.code(), self.counted.code())
    }
}

/// Whose counters, of which day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountersHead<'a> {
    /// Terminal name.
    pub terminal: &'a str,
    /// The day, which is over when the file is written: a day of a terminal stands in one file.
    pub day: Date,
}

/// Room that a file with so many counts needs.
#[must_use]
pub const fn encoded_len(counts: usize) -> usize {
    counts
        .saturating_mul(COUNT_LEN)
        .saturating_add(6 + 3 + (2 + 64) + 6 + 3 + 64)
}

/// Writes and signs a counters file into `out`; gives its length.
///
/// # Errors
/// [`Error::TooLong`] when `out` is too small, or the name is empty or longer than 64 bytes; [`Error::Malformed`] without a day, for
/// counts that are not ascending by role and reason, or zero; [`Error::Crypto`] for a fault of the machine.
pub fn encode(
    head: &CountersHead<'_>,
    counts: &[Count],
    key: &PrivateKey,
    rng: &mut impl CryptoRng,
    out: &mut [u8],
) -> Result<usize, Error> {
    if head.terminal.is_empty() || head.terminal.len() > 64 {
        return Err(Error::TooLong {
            what: "terminal name",
        });
    }
    let ascending = counts.is_sorted_by(|a, b| a.place() < b.place());
    if head.day.is_none() || !ascending || counts.iter().any(|count| count.number == 0) {
        return Err(MALFORMED);
    }
    let mut writer = SliceWriter::new(out);
    tlv::put_template(&mut writer, TEMPLATE, &|out| {
        tlv::put(out, 0x80, &[BODY])?;
        tlv::put(out, 0x81, head.terminal.as_bytes())?;
        tlv::put(out, 0x82, &head.day.to_bytes())?;
        for count in counts {
            tlv::put_template(out, 0xA4, &|out| {
                tlv::put(out, 0x80, &[count.role.code()])?;
                tlv::put(out, 0x81, &[count.counted.code()])?;
                tlv::put(out, 0x82, &count.number.to_be_bytes())
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

/// A counters file whose form is right and whose signature nobody has checked: it names the terminal whose key to ask for.
#[derive(Clone)]
pub struct UnverifiedCounters<'a> {
    terminal: &'a str,
    counters: Counters<'a>,
    body: &'a [u8],
    signature: [u8; 64],
}

impl fmt::Debug for UnverifiedCounters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedCounters")
            .field("terminal", &self.terminal)
            .finish_non_exhaustive()
    }
}

/// A counters file whose signature holds.
#[derive(Debug, Clone)]
pub struct Counters<'a> {
    /// Whose, and of which day.
    pub head: CountersHead<'a>,
    fields: Fields<'a>,
}

impl<'a> UnverifiedCounters<'a> {
    /// Parses the whole file.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(file: &'a [u8]) -> Result<Self, Error> {
        let (body, signature) = tlv::parse_signed(file, TEMPLATE, WHAT)?;
        let mut fields = Fields::new(body.value, &[0x80, 0x81, 0x82, 0xA4], WHAT);
        if fields.array(0x80)? != [BODY] {
            return Err(MALFORMED);
        }
        let terminal = fields.text(0x81, 1, 64)?;
        let head = CountersHead {
            terminal,
            day: Date::from_bytes(fields.array(0x82)?)?,
        };
        if head.day.is_none() {
            return Err(MALFORMED);
        }
        let counters = Counters { head, fields };
        let mut walk = counters.fields.clone();
        let mut before = (0, 0);
        while let Some(object) = walk.optional(0xA4)? {
            let place = parse_count(object.value)?.place();
            if place <= before {
                return Err(MALFORMED);
            }
            before = place;
        }
        walk.end()?;
        Ok(Self {
            terminal,
            counters,
            body: body.raw,
            signature,
        })
    }

    /// The terminal that the file says it is from.
    #[must_use]
    pub const fn terminal(&self) -> &'a str {
        self.terminal
    }

    /// The day that the file says it is of.
    #[must_use]
    pub const fn day(&self) -> Date {
        self.counters.head.day
    }

    /// Checks the signature by that terminal's authentication key.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn verify(self, key: &PublicKey) -> Result<Counters<'a>, Error> {
        key.verify(&[LABEL, self.body], &self.signature)?;
        Ok(self.counters)
    }
}

impl Counters<'_> {
    /// The counts, ascending by role and reason.
    pub fn counts(&self) -> impl Iterator<Item = Count> + '_ {
        let mut fields = self.fields.clone();
        // All of it was parsed once: an error cannot come here, and would end the walk.
        core::iter::from_fn(move || {
            fields
                .optional(0xA4)
                .ok()
                .flatten()
                .and_then(|object| parse_count(object.value).ok())
        })
    }
}

fn parse_count(bytes: &[u8]) -> Result<Count, Error> {
    let mut fields = Fields::new(bytes, &[0x80, 0x81, 0x82], WHAT);
    let count = Count {
        role: Role::try_from(u8::from_be_bytes(fields.array(0x80)?))?,
        counted: Counted::try_from(u8::from_be_bytes(fields.array(0x81)?))?,
        number: u32::from_be_bytes(fields.array(0x82)?),
    };
    fields.end()?;
    if count.number == 0 {
        Err(MALFORMED)
    } else {
        Ok(count)
    }
}
