//! Door I's numbered steps (chapter 05): operations, the hash chain, and the status of a card.

use core::fmt;

use crate::bytes::Bytes;
use crate::bytes::{Reader, SliceWriter, Write};
use crate::certificate::CARD_CERTIFICATE_LEN;
use crate::codes::{CardState, Domain};
use crate::crypto::sha256;
use crate::date::Date;
use crate::error::Error;
use crate::record::RECORD_LEN;
use crate::scp03::MAX_PLAIN;

/// Room for op and payload of a step.
pub type StepBytes = Bytes<MAX_PLAIN>;
/// Most data bytes of one WRITE.
pub const MAX_CHUNK: usize = 233;
const LABEL: &[u8] = b"YZT-SCRIPT-1";
/// Length of a SLOT step, op included.
const SLOT_STEP_LEN: usize = 224;

/// What a script is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ScriptKind {
    /// BLANK to PERSONALISED.
    Personalise = 0x01,
    /// New content on a live card.
    Rewrite = 0x02,
    /// PERSONALISED to ACTIVE.
    Activate = 0x03,
    /// To BLOCKED.
    Block = 0x04,
    /// BLOCKED back to the state before the block.
    Unblock = 0x05,
    /// To TERMINATED.
    Terminate = 0x06,
}

impl ScriptKind {
    /// The byte of the specification.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// True when a card in `state` takes a script of this kind.
    #[must_use]
    pub const fn starts_in(self, state: CardState) -> bool {
        match self {
            Self::Personalise => matches!(state, CardState::Blank),
            Self::Rewrite | Self::Block => matches!(state, CardState::Personalised | CardState::Active),
            Self::Activate => matches!(state, CardState::Personalised),
            Self::Unblock => matches!(state, CardState::Blocked),
            Self::Terminate => matches!(
                state,
                CardState::Personalised | CardState::Active | CardState::Blocked
            ),
        }
    }

    /// State of the card after FINALISE, from `state`. A card that was blocked before its hand-over goes back to
    /// PERSONALISED when it is unblocked, not to ACTIVE as this says: the card knows, `state` does not.
    #[must_use]
    pub const fn ends_in(self, state: CardState) -> CardState {
        match self {
            Self::Personalise => CardState::Personalised,
            Self::Rewrite => state,
            Self::Activate | Self::Unblock => CardState::Active,
            Self::Block => CardState::Blocked,
            Self::Terminate => CardState::Terminated,
        }
    }

    /// True when its script may hold steps between BEGIN and FINALISE.
    #[must_use]
    pub const fn has_content(self) -> bool {
        matches!(self, Self::Personalise | Self::Rewrite)
    }
}

impl TryFrom<u8> for ScriptKind {
    type Error = Error;

    fn try_from(code: u8) -> Result<Self, Error> {
        Ok(match code {
            0x01 => Self::Personalise,
            0x02 => Self::Rewrite,
            0x03 => Self::Activate,
            0x04 => Self::Block,
            0x05 => Self::Unblock,
            0x06 => Self::Terminate,
            _ => return Err(Error::Malformed { what: "script kind" }),
        })
    }
}

/// Objects that WRITE fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum WritableObject {
    /// DG1.
    Dg1 = 0x01,
    /// DG2.
    Dg2 = 0x02,
    /// DG3.
    Dg3 = 0x03,
    /// Signature object.
    Signature = 0x0F,
}

impl WritableObject {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Dg1, Self::Dg2, Self::Dg3, Self::Signature];

    /// Most bytes.
    #[must_use]
    pub const fn capacity(self) -> usize {
        match self {
            Self::Dg1 => crate::data_group::MAX_DG1,
            Self::Dg2 => crate::data_group::MAX_DG2,
            Self::Dg3 => crate::data_group::MAX_DG3,
            Self::Signature => crate::data_group::MAX_SIGNATURE_OBJECT,
        }
    }
}

impl TryFrom<u8> for WritableObject {
    type Error = Error;

    fn try_from(code: u8) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|object| *object as u8 == code)
            .ok_or(Error::Malformed { what: "object" })
    }
}

/// The SLOT step: op 05 and 223 bytes. A sealed update carries the same slot (chapter 09).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SlotStep<'a> {
    /// Role code.
    pub role: u8,
    /// Key version.
    pub kv: u8,
    /// Bit 0: erase other versions than kv and kv - 1.
    pub flags: u8,
    /// Group key.
    pub g: &'a [u8; 16],
    /// Tap key.
    pub m: &'a [u8; 16],
    /// Pseudonym.
    pub pid: &'a [u8; 16],
    /// Record.
    pub record: &'a [u8; RECORD_LEN],
    /// All money ever loaded, in fen.
    pub loaded: u32,
}

impl fmt::Debug for SlotStep<'_> {
    /// Neither keys nor pseudonym nor record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, kv, flags, .. } = self;
        write!(f, "SlotStep(role {role}, kv {kv}, flags {flags}, secret)")
    }
}

impl<'a> SlotStep<'a> {
    /// Op 05, the slot, and eight zeros: 224 bytes.
    pub(crate) fn encode(&self) -> Result<[u8; SLOT_STEP_LEN], Error> {
        let mut out = [0; SLOT_STEP_LEN];
        let mut writer = SliceWriter::new(&mut out);
        writer.put(&[0x05, self.role, self.kv, self.flags])?;
        writer.put(self.g)?;
        writer.put(self.m)?;
        writer.put(self.pid)?;
        writer.put(self.record)?;
        writer.put(&self.loaded.to_be_bytes())?;
        Ok(out)
    }

    /// What stands behind op, up to `loaded`.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let slot = Self {
            role: reader.u8()?,
            kv: reader.u8()?,
            flags: reader.u8()?,
            g: reader.borrowed()?,
            m: reader.borrowed()?,
            pid: reader.borrowed()?,
            record: reader.borrowed()?,
            loaded: reader.u32()?,
        };
        if slot.flags > 1 || slot.kv == 0 {
            return Err(reader.malformed());
        }
        Ok(slot)
    }
}

/// One step, borrowed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// Opens a script.
    Begin {
        /// Kind.
        kind: ScriptKind,
        /// Script id.
        script: [u8; 16],
    },
    /// A chunk of an object.
    Write {
        /// Object.
        object: WritableObject,
        /// Length of the whole object.
        total: u16,
        /// Where this chunk begins.
        offset: u16,
        /// 1 to 233 bytes.
        data: &'a [u8],
    },
    /// Makes a key pair.
    Generate {
        /// Domain.
        domain: Domain,
    },
    /// Stores the certificate of a generated key.
    Certificate {
        /// Domain.
        domain: Domain,
        /// Certificate.
        certificate: &'a [u8; CARD_CERTIFICATE_LEN],
    },
    /// Fills a slot.
    Slot(SlotStep<'a>),
    /// Sets up the purse of a slot.
    Purse {
        /// Key version of the slot.
        kv: u8,
        /// Random start below 2^31.
        seq: u32,
        /// Largest single amount, in fen.
        cap: u32,
        /// Ktac.
        ktac: &'a [u8; 16],
    },
    /// New static keys, under the current DEK (96 bytes of cipher text).
    Keys {
        /// `CBC(DEK, 0, ENC MAC DEK U-ENC U-MAC U-RCPT)`.
        wrapped: &'a [u8; 96],
    },
    /// The terminal CA's root and the date floor.
    Trust {
        /// Name of the root.
        name: &'a [u8; 16],
        /// Its key.
        public64: &'a [u8; 64],
        /// Lowest epoch of an intermediate.
        epoch: u16,
        /// Date floor.
        floor: Date,
    },
    /// Makes everything staged live.
    Finalise {
        /// Number of steps before this one.
        count: u16,
        /// h(count).
        digest: [u8; 32],
        /// Today.
        today: Date,
    },
}

impl fmt::Debug for Step<'_> {
    /// What a log may hold: which step, and no key, no content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin { kind, .. } => write!(f, "BEGIN({kind:?})"),
            Self::Write {
                object,
                total,
                offset,
                data,
            } => write!(
                f,
                "WRITE({object:?}, {} bytes at {offset} of {total})",
                data.len()
            ),
            Self::Generate { domain } => write!(f, "GENERATE({domain})"),
            Self::Certificate { domain, .. } => write!(f, "CERTIFICATE({domain})"),
            Self::Slot(slot) => slot.fmt(f),
            Self::Purse { kv, cap, .. } => write!(f, "PURSE(kv {kv}, cap {cap}, secret)"),
            Self::Keys { .. } => f.write_str("KEYS(secret)"),
            Self::Trust { epoch, floor, .. } => write!(f, "TRUST(epoch {epoch}, floor {floor})"),
            Self::Finalise { count, today, .. } => write!(f, "FINALISE({count} steps, {today})"),
        }
    }
}

impl<'a> Step<'a> {
    /// Op and payload.
    ///
    /// # Errors
    /// [`Error::TooLong`] when a chunk is longer than 233 bytes.
    pub fn encode(&self) -> Result<StepBytes, Error> {
        let mut out = StepBytes::new();
        match self {
            Self::Begin { kind, script } => {
                out.put(&[0x01, kind.code()])?;
                out.put(script)?;
            }
            Self::Write {
                object,
                total,
                offset,
                data,
            } => {
                if data.is_empty() || data.len() > MAX_CHUNK {
                    return Err(Error::TooLong { what: "chunk" });
                }
                out.put(&[0x02, *object as u8])?;
                out.put(&total.to_be_bytes())?;
                out.put(&offset.to_be_bytes())?;
                out.put(data)?;
            }
            Self::Generate { domain } => out.put(&[0x03, domain.code()])?,
            Self::Certificate { domain, certificate } => {
                out.put(&[0x04, domain.code()])?;
                out.put(*certificate)?;
            }
            Self::Slot(slot) => out.put(&slot.encode()?)?,
            Self::Purse { kv, seq, cap, ktac } => {
                out.put(&[0x06, *kv])?;
                out.put(&seq.to_be_bytes())?;
                out.put(&cap.to_be_bytes())?;
                out.put(*ktac)?;
            }
            Self::Keys { wrapped } => {
                out.put(&[0x07])?;
                out.put(*wrapped)?;
            }
            Self::Trust {
                name,
                public64,
                epoch,
                floor,
            } => {
                out.put(&[0x08])?;
                out.put(*name)?;
                out.put(*public64)?;
                out.put(&epoch.to_be_bytes())?;
                out.put(&floor.to_bytes())?;
            }
            Self::Finalise { count, digest, today } => {
                out.put(&[0x0F])?;
                out.put(&count.to_be_bytes())?;
                out.put(digest)?;
                out.put(&today.to_bytes())?;
            }
        }
        Ok(out)
    }

    /// From op and payload.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        const WHAT: &str = "step";
        let mut reader = Reader::new(bytes, WHAT);
        let op = reader.u8()?;
        let step = match op {
            0x01 => Self::Begin {
                kind: ScriptKind::try_from(reader.u8()?)?,
                script: reader.array()?,
            },
            0x02 => {
                let object = WritableObject::try_from(reader.u8()?)?;
                let total = reader.u16()?;
                let offset = reader.u16()?;
                let data = reader.rest();
                if data.is_empty() || data.len() > MAX_CHUNK {
                    return Err(reader.malformed());
                }
                return Ok(Self::Write {
                    object,
                    total,
                    offset,
                    data,
                });
            }
            0x03 => Self::Generate {
                domain: Domain::try_from(reader.u8()?)?,
            },
            0x04 => Self::Certificate {
                domain: Domain::try_from(reader.u8()?)?,
                certificate: reader.borrowed()?,
            },
            0x05 => {
                let slot = SlotStep::read(&mut reader)?;
                if reader.array()? != [0_u8; 8] {
                    return Err(reader.malformed());
                }
                Self::Slot(slot)
            }
            0x06 => Self::Purse {
                kv: reader.u8()?,
                seq: reader.u32()?,
                cap: reader.u32()?,
                ktac: reader.borrowed()?,
            },
            0x07 => Self::Keys {
                wrapped: reader.borrowed()?,
            },
            0x08 => Self::Trust {
                name: reader.borrowed()?,
                public64: reader.borrowed()?,
                epoch: reader.u16()?,
                floor: Date::from_bytes(reader.array()?)?,
            },
            0x0F => Self::Finalise {
                count: reader.u16()?,
                digest: reader.array()?,
                today: Date::from_bytes(reader.array()?)?,
            },
            _ => return Err(reader.malformed()),
        };
        reader.end()?;
        Ok(step)
    }
}

/// h(0) of a script.
#[must_use]
pub fn chain_start(script: &[u8; 16]) -> [u8; 32] {
    sha256(&[LABEL, script])
}

/// h(n) from h(n - 1), n, and op and payload of step n.
#[must_use]
pub fn chain_next(previous: &[u8; 32], n: u16, step: &[u8]) -> [u8; 32] {
    sha256(&[previous, &n.to_be_bytes(), step])
}

/// Answer to GET STATUS, and content of the status object of door S.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// State.
    pub state: CardState,
    /// Script that is open, or was finished last.
    pub script: [u8; 16],
    /// Its last accepted step.
    pub last: u16,
    /// h(last).
    pub digest: [u8; 32],
    /// Failures of door I since the last success.
    pub failures: u8,
    /// Date floor.
    pub floor: Date,
    /// Lowest epoch of an intermediate.
    pub epoch: u16,
    /// True while a script is unfinished.
    pub open: bool,
}

impl Status {
    /// The 59 bytes.
    ///
    /// # Errors
    /// Never for these sizes.
    pub fn encode(&self) -> Result<Bytes<59>, Error> {
        let mut out = Bytes::new();
        out.put(&[self.state.code()])?;
        out.put(&self.script)?;
        out.put(&self.last.to_be_bytes())?;
        out.put(&self.digest)?;
        out.put(&[self.failures])?;
        out.put(&self.floor.to_bytes())?;
        out.put(&self.epoch.to_be_bytes())?;
        out.put(&[u8::from(self.open)])?;
        Ok(out)
    }

    /// From the 59 bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, "status");
        let status = Self {
            state: CardState::try_from(reader.u8()?)?,
            script: reader.array()?,
            last: reader.u16()?,
            digest: reader.array()?,
            failures: reader.u8()?,
            floor: Date::from_bytes(reader.array()?)?,
            epoch: reader.u16()?,
            open: match reader.u8()? {
                0 => false,
                1 => true,
                _ => return Err(reader.malformed()),
            },
        };
        reader.end()?;
        Ok(status)
    }
}
