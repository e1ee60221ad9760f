//! Short command APDUs and status words (ISO/IEC 7816-4; chapter 01). Extended lengths and chaining are left out: the
//! card does not speak them.

use core::fmt;

use crate::bytes::Bytes;
use crate::bytes::Write;
use crate::error::Error;

/// Room for the longest command: header 4, Lc, 255 bytes, Le.
pub const MAX_COMMAND: usize = 261;
/// Room for the longest answer: 256 bytes and the status word.
pub const MAX_ANSWER: usize = 258;

/// Encoded command.
pub type Command = Bytes<MAX_COMMAND>;
/// Encoded answer: body and status word.
pub type Answer = Bytes<MAX_ANSWER>;

/// The four header bytes of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Class.
    pub cla: u8,
    /// Instruction.
    pub ins: u8,
    /// Parameter 1.
    pub p1: u8,
    /// Parameter 2.
    pub p2: u8,
}

impl Header {
    /// The four bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        [self.cla, self.ins, self.p1, self.p2]
    }

    const fn new(cla: u8, ins: u8, p1: u8, p2: u8) -> Self {
        Self { cla, ins, p1, p2 }
    }

    /// SELECT by AID.
    pub const SELECT: Self = Self::new(0x00, 0xA4, 0x04, 0x00);
    /// GET DATA, serial of a blank.
    pub const GET_SERIAL: Self = Self::new(0x80, 0xCA, 0x00, 0x45);
    /// INITIALIZE UPDATE with whichever keys the card has.
    pub const INITIALIZE_UPDATE: Self = Self::new(0x80, 0x50, 0x00, 0x00);
    /// INITIALIZE UPDATE with the key version that its answer names.
    pub const INITIALIZE_UPDATE_NAMED: Self = Self::new(0x80, 0x50, 0x01, 0x00);
    /// EXTERNAL AUTHENTICATE, security level 33.
    pub const EXTERNAL_AUTHENTICATE: Self = Self::new(0x84, 0x82, 0x33, 0x00);
    /// GET STATUS in door I.
    pub const GET_STATUS: Self = Self::new(0x84, 0xF2, 0x00, 0x00);
    /// GET CHALLENGE.
    pub const GET_CHALLENGE: Self = Self::new(0x00, 0x84, 0x00, 0x00);
    /// AGREE in door S.
    pub const AGREE: Self = Self::new(0x80, 0x22, 0x00, 0x00);
    /// RESET COUNTER in door S.
    pub const RESET_COUNTER: Self = Self::new(0x84, 0x2C, 0x00, 0x00);

    /// STEP number `n` in door I.
    #[must_use]
    pub const fn step(n: u16) -> Self {
        let [high, low] = n.to_be_bytes();
        Self::new(0x84, 0xDA, high, low)
    }

    /// GET PUBLIC KEY of a domain in door I.
    #[must_use]
    pub const fn get_public_key(domain: u8) -> Self {
        Self::new(0x84, 0xF2, 0x01, domain)
    }

    /// TAP.
    #[must_use]
    pub const fn tap(role: u8, version: u8) -> Self {
        Self::new(0x80, 0x10, role, version)
    }

    /// COMMIT.
    #[must_use]
    pub const fn commit(role: u8, version: u8) -> Self {
        Self::new(0x80, 0x12, role, version)
    }

    /// UPDATE.
    #[must_use]
    pub const fn update(role: u8, version: u8) -> Self {
        Self::new(0x80, 0x14, role, version)
    }

    /// PRESENT CERTIFICATE, place in the chain 0 or 1.
    #[must_use]
    pub const fn present_certificate(place: u8) -> Self {
        Self::new(0x80, 0x20, place, 0x00)
    }

    /// READ OBJECT in door S.
    #[must_use]
    pub const fn read_object(object: u8) -> Self {
        Self::new(0x84, 0xB0, object, 0x00)
    }

    /// Encodes a command with this header: `data` up to 255 bytes, `le` where an answer is expected (256 is byte 00).
    ///
    /// # Errors
    /// [`Error::TooLong`] when `data` is longer than 255 bytes.
    pub fn command(self, data: &[u8], le: Option<u8>) -> Result<Command, Error> {
        let mut out = Command::new();
        out.put(&self.to_bytes())?;
        if !data.is_empty() {
            let lc = u8::try_from(data.len()).map_err(|_| Error::TooLong { what: "command data" })?;
            out.put(&[lc])?;
            out.put(data)?;
        }
        if let Some(le) = le {
            out.put(&[le])?;
        }
        Ok(out)
    }
}

/// A parsed short command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsedCommand<'a> {
    /// Header.
    pub header: Header,
    /// Command data, at most 255 bytes.
    pub data: &'a [u8],
    /// Le byte if one was sent.
    pub le: Option<u8>,
}

impl<'a> ParsedCommand<'a> {
    /// Parses cases 1 to 4 of short commands.
    ///
    /// # Errors
    /// [`StatusWord::WRONG_LENGTH`] when the lengths do not add up or are extended.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, StatusWord> {
        let (&[cla, ins, p1, p2], rest) = bytes.split_first_chunk::<4>().ok_or(StatusWord::WRONG_LENGTH)?;
        let header = Header { cla, ins, p1, p2 };
        let (data, le): (&[u8], _) = match rest {
            [] => (&[], None),
            [le] => (&[], Some(*le)),
            [lc, rest @ ..] => {
                let lc = usize::from(*lc);
                if lc == 0 {
                    return Err(StatusWord::WRONG_LENGTH);
                }
                let (data, tail) = rest.split_at_checked(lc).ok_or(StatusWord::WRONG_LENGTH)?;
                match tail {
                    [] => (data, None),
                    [le] => (data, Some(*le)),
                    _ => return Err(StatusWord::WRONG_LENGTH),
                }
            }
        };
        Ok(Self { header, data, le })
    }

    /// The Le that the command's chapter writes, or none where it writes none.
    ///
    /// # Errors
    /// [`StatusWord::WRONG_LENGTH`] for another one.
    pub fn has_le(&self, le: Option<u8>) -> Result<(), StatusWord> {
        if self.le == le {
            Ok(())
        } else {
            Err(StatusWord::WRONG_LENGTH)
        }
    }
}

/// Splits an answer into body and status word.
///
/// # Errors
/// [`Error::Malformed`] when it is shorter than two bytes: the reader lost the card, the outcome is unknown.
pub fn split_answer(answer: &[u8]) -> Result<(&[u8], StatusWord), Error> {
    let (body, sw) = answer
        .split_last_chunk::<2>()
        .ok_or(Error::Malformed { what: "answer" })?;
    Ok((body, StatusWord(u16::from_be_bytes(*sw))))
}

/// A status word.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatusWord(pub u16);

impl StatusWord {
    /// Done.
    pub const OK: Self = Self(0x9000);
    /// The write did not happen or is not known.
    pub const MEMORY_FAILURE: Self = Self(0x6581);
    /// Wrong length of command data, or a wrong Le.
    pub const WRONG_LENGTH: Self = Self(0x6700);
    /// A cryptogram, MAC, signature or right is wrong.
    pub const SECURITY: Self = Self(0x6982);
    /// A certificate has ended.
    pub const ENDED: Self = Self(0x6984);
    /// Not in this state or order.
    pub const CONDITIONS: Self = Self(0x6985);
    /// Data has a wrong form.
    pub const WRONG_DATA: Self = Self(0x6A80);
    /// Unknown application.
    pub const NO_APPLICATION: Self = Self(0x6A82);
    /// Wrong P1 P2.
    pub const WRONG_P1P2: Self = Self(0x6A86);
    /// Object, key or authority not found.
    pub const NOT_FOUND: Self = Self(0x6A88);
    /// Unknown instruction.
    pub const NO_INSTRUCTION: Self = Self(0x6D00);
    /// Unknown class.
    pub const NO_CLASS: Self = Self(0x6E00);

    /// True for 9000.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 == 0x9000
    }

    /// True where a secure channel puts a MAC behind the answer: 9000, 62xx, 63xx. Anything else can be forged.
    #[must_use]
    pub const fn carries_mac(self) -> bool {
        matches!(self.0.to_be_bytes(), [0x90, 0x00] | [0x62 | 0x63, _])
    }
}

impl fmt::Display for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

impl fmt::Debug for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
