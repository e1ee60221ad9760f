//! What is said to the photo store and what it answers.
//!
//! Instants are seconds since 1970-01-01T00:00:00Z as `i64`; picture coordinates are pixels from the upper left corner.
//! Optional fields are encoded as CBOR maps by number, so that a later version can add one. Left out: names and citizen
//! numbers of holders. A person is a pseudonym of 16 bytes that the issuer makes and only the issuer can resolve.

use core::fmt;
use core::str::FromStr;

use minicbor::{Decode, Encode};
use program_contract::language::{Line, Words};
use program_contract::line;
use zeroize::Zeroize;

use crate::codes::{CheckCode, FailureCode};
use crate::receipt::ReceiptNumber;

/// The version of this protocol; both sides must speak the same.
pub const PROTOCOL_VERSION: u32 = 1;
/// The largest photo file that is taken at all, in bytes (10 MB, decimal).
pub const MAX_PHOTO_BYTES: usize = 10_000_000;
/// The largest picture of which hints are given at the camera, in bytes: 480 pixels need a tenth.
pub const MAX_CAMERA_FRAME_BYTES: usize = 300_000;
/// The largest frame in bytes: the largest photo and room for what is said about it.
pub const MAX_FRAME_BYTES: usize = MAX_PHOTO_BYTES + 65_536;

macro_rules! opaque_id {
    ($(#[$outer:meta])* $name:ident) => {
        $(#[$outer])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[cbor(n(0), with = "minicbor::bytes")] [u8; 16]);

        impl $name {
            /// Takes 16 bytes as they are.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            /// 32 hexadecimal digits, lower case.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = FailureCode;

            /// Reads 32 hexadecimal digits.
            fn from_str(text: &str) -> Result<Self, FailureCode> {
                let mut bytes = [0u8; 16];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| FailureCode::BadField)?;
                Ok(Self(bytes))
            }
        }
    };
}

opaque_id!(
    /// A photo. Opaque: it tells neither person nor day.
    PhotoId
);
opaque_id!(
    /// A person, as a pseudonym that only the issuer can resolve.
    PersonId
);

opaque_id!(
    /// A page of a paper. Opaque likewise.
    PageId
);

macro_rules! short_text {
    ($(#[$outer:meta])* $name:ident, $limit:literal, $allowed:expr) => {
        $(#[$outer])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = FailureCode;

            fn from_str(text: &str) -> Result<Self, FailureCode> {
                let text = text.trim();
                let allowed: fn(char) -> bool = $allowed;
                if text.is_empty() || text.chars().count() > $limit || !text.chars().all(allowed) {
                    return Err(FailureCode::BadField);
                }
                Ok(Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                Self::from_str(d.str()?)
                    .map_err(|_| minicbor::decode::Error::message(concat!("not a ", stringify!($name))))
            }
        }
    };
}

short_text!(
    /// The person who does something: an operator's name or number, 1 to 64 letters and digits of any script, spaces and `. _ - / @ ·`.
    /// Nothing invisible: two names that look the same are the same.
    Actor, 64, |c: char| {
        let is_filler = matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}');
        (c.is_alphanumeric() && !is_filler) || matches!(c, ' ' | '.' | '_' | '-' | '/' | '@' | '·')
    }
);
short_text!(
    /// The number of a case: 1 to 64 letters, digits and `. _ - /`.
    CaseNumber, 64, |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/')
);

short_text!(
    /// Which paper a page is of, by the issuer's code: 1 to 32 capital letters, digits and `_`.
    PaperCode, 32, |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'
);

macro_rules! named_list {
    ($(#[$outer:meta])* $name:ident { $( $(#[$doc:meta])* $index:literal $variant:ident $code:literal ),+ $(,)? }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
        #[cbor(index_only)]
        #[non_exhaustive]
        pub enum $name { $( $(#[$doc])* #[n($index)] $variant, )+ }

        impl $name {
            /// Every value of the list.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The name in JSON, in the index and on the command line.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $code, )+ }
            }
        }

        impl FromStr for $name {
            type Err = FailureCode;

            fn from_str(text: &str) -> Result<Self, FailureCode> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text).ok_or(FailureCode::BadField)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

named_list!(
    /// A rendition of a photo.
    Profile {
        /// Archive and exchange: 358 x 441 pixels at 350 dpi, 14 to 20 kB.
        0 Ga461 "ga461",
        /// The card's face: 358 x 441 pixels, high quality.
        1 Print "print",
        /// Data group 2 of the chip: 120 x 160 pixels, at most 6 kB.
        2 Chip "chip",
        /// Screens: 90 x 111 pixels, at most 5 kB.
        3 Thumb "thumb",
    }
);

named_list!(
    /// Why a photo is read. Closed: a new purpose is a new version of the rule that allows it.
    Purpose {
        /// Somebody looks at a photo before confirming its warnings, or a reviewer or approver compares the applicant with it.
        0 Review "REVIEW",
        /// The card's chip or face is being made.
        1 Production "PRODUCTION",
        /// The finished card is compared, or handed over.
        2 HandOver "HAND_OVER",
        /// A yearly endorsement.
        3 Endorsement "ENDORSEMENT",
        /// The holder looks at the holder's own data.
        4 HolderAccess "HOLDER_ACCESS",
        /// A privacy officer or auditor answers a question about this photo.
        5 Inspection "INSPECTION",
    }
);

named_list!(
    /// Where a photo stands in its life.
    PhotoState {
        /// Announced in the index; its objects are being written.
        0 Received "RECEIVED",
        /// Checked and sealed; a named person has to confirm its warnings, and may read it for `REVIEW` to see it.
        1 Waiting "WAITING",
        /// Confirmed where that was needed; may be read for an open case.
        2 Sealed "SEALED",
        /// A later photo of the same person was sealed; still readable for an open case.
        3 Superseded "SUPERSEDED",
        /// Its keys are destroyed: nobody can read it again.
        4 Shredded "SHREDDED",
    }
);

named_list!(
    /// What the checks say together.
    Verdict {
        /// Every check passed.
        0 Accept "accept",
        /// A named person has to confirm what a check warns of.
        1 Warn "warn",
        /// A hard check did not pass.
        2 Refuse "refuse",
    }
);

named_list!(
    /// What follows when a check does not pass.
    Level {
        /// The photo is refused.
        0 Hard "hard",
        /// A named person may confirm it.
        1 Warn "warn",
    }
);

named_list!(
    /// Whether the store's vault can be used now.
    VaultState {
        /// Keys can be made and opened.
        0 Open "OPEN",
        /// The custodians have to open it.
        1 Sealed "SEALED",
        /// Nobody answers.
        2 Unreachable "UNREACHABLE",
        /// It is open, and does not serve the store's key: that is not enrolled, or was suspended.
        3 Refused "REFUSED",
    }
);

named_list!(
    /// What can still be done with a receipt.
    ReceiptState {
        /// May be taken for one case.
        0 Valid "VALID",
        /// Was taken for a case.
        1 Used "USED",
        /// Its period is over.
        2 Expired "EXPIRED",
        /// Its photo was shredded.
        3 Shredded "SHREDDED",
    }
);

/// One check of one photo.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Check {
    /// Which check.
    #[n(0)]
    pub code: CheckCode,
    /// What follows when it does not pass.
    #[n(1)]
    pub level: Level,
    /// Whether it passed.
    #[n(2)]
    pub passed: bool,
    /// What was measured, in `unit`; `None` where nothing could be measured.
    #[n(3)]
    pub measured: Option<f64>,
    /// The limit that it was held against, in `unit`.
    #[n(4)]
    pub limit: Option<f64>,
    /// The unit of both, such as `px`, `bytes`, `degrees`, `level` (0 to 255); empty where nothing is measured.
    #[n(5)]
    pub unit: String,
}

/// A face in the upright picture, pixels from the upper left corner.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Face {
    /// Left edge.
    #[n(0)]
    pub x: i32,
    /// Upper edge.
    #[n(1)]
    pub y: i32,
    /// Width.
    #[n(2)]
    pub w: u32,
    /// Height.
    #[n(3)]
    pub h: u32,
    /// The detector's score, no unit; about 2 for a doubtful and above 10 for a clear face.
    #[n(4)]
    pub score: f64,
}

/// Guide lines for the person who confirms the geometry, in pixels of the `ga461` rendition.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Guides {
    /// Left edge of the face.
    #[n(0)]
    pub face_left: f64,
    /// Right edge of the face.
    #[n(1)]
    pub face_right: f64,
    /// Line through both eyes, from the upper edge; `None` when the eyes were not located.
    #[n(2)]
    pub eye_line: Option<f64>,
    /// Top of the hair, from the upper edge; `None` when the background was too uneven to find it.
    #[n(3)]
    pub hair_top: Option<f64>,
}

/// What the checks found.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Judgement {
    /// All checks together.
    #[n(0)]
    pub verdict: Verdict,
    /// Width of the upright picture in pixels; what the file claims where it was not decoded; 0 where it claims nothing.
    #[n(1)]
    pub width: u32,
    /// Height likewise.
    #[n(2)]
    pub height: u32,
    /// Faces, the largest first.
    #[n(3)]
    pub faces: Vec<Face>,
    /// Every check that was made, in the order of the list of codes.
    #[n(4)]
    pub checks: Vec<Check>,
    /// Guide lines, where a face was found.
    #[n(5)]
    pub guides: Option<Guides>,
    /// Version of the profiles and limits that were used, such as `2026-11`.
    #[n(6)]
    pub rules: String,
}

impl Judgement {
    /// The codes of the warnings that a named person has to confirm, in the order of the list.
    #[must_use]
    pub fn warnings(&self) -> Vec<CheckCode> {
        self.failed(Level::Warn)
    }

    /// The codes of the hard checks that did not pass.
    #[must_use]
    pub fn refusals(&self) -> Vec<CheckCode> {
        self.failed(Level::Hard)
    }

    /// What it says to a person: the verdict, then each check that did not pass with what was measured and what to do.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let verdict = match self.verdict {
            Verdict::Accept => Words("通过", "accepted"),
            Verdict::Warn => Words("需具名确认", "a named person has to confirm"),
            Verdict::Refuse => Words("拒绝", "refused"),
        };
        let mut lines = vec![line!(verdict, "  (", self.width, " x ", self.height, ")")];
        for check in self.checks.iter().filter(|check| !check.passed) {
            let texts = check.code.texts();
            lines.push(match (check.measured, check.limit) {
                (Some(measured), Some(limit)) => line!(
                    "  ",
                    check.code.as_str(),
                    " ",
                    Words(texts.message_zh, texts.message),
                    " ",
                    measured_against(measured.to_string(), &check.unit, limit.to_string())
                ),
                _ => line!(
                    "  ",
                    check.code.as_str(),
                    " ",
                    Words(texts.message_zh, texts.message)
                ),
            });
            lines.push(line!("      ", Words(texts.action_zh, texts.action)));
        }
        lines
    }

    fn failed(&self, level: Level) -> Vec<CheckCode> {
        self.checks
            .iter()
            .filter(|check| check.level == level && !check.passed)
            .map(|check| check.code)
            .collect()
    }
}

program_contract::sentences! {
    fn measured_against(measured, unit, limit) =
        "（{measured} {unit}，限值 {limit}）", "({measured} {unit}, limit {limit})";
}

/// A receipt as it is given out.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Receipt {
    /// The number.
    #[n(0)]
    pub number: ReceiptNumber,
    /// From this instant on it is expired.
    #[n(1)]
    pub expires_at: i64,
}

/// How long a receipt is valid; the rule of the place decides which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ReceiptPeriod {
    /// 30 days.
    #[n(30)]
    Days30,
    /// 60 days.
    #[n(60)]
    Days60,
    /// 90 days.
    #[n(90)]
    Days90,
}

impl ReceiptPeriod {
    /// The period in days of 86,400 seconds.
    #[must_use]
    pub const fn days(self) -> i64 {
        match self {
            Self::Days30 => 30,
            Self::Days60 => 60,
            Self::Days90 => 90,
        }
    }
}

/// A request to judge, normalise and seal a photo.
#[derive(Encode, Decode)]
#[cbor(map)]
pub struct Submit {
    /// Whose photo.
    #[n(0)]
    pub person: PersonId,
    /// Who submits it: the camera's operator.
    #[n(1)]
    pub by: Actor,
    /// How long the receipt shall be valid.
    #[n(2)]
    pub period: ReceiptPeriod,
    /// The file as it came: JPEG or PNG, at most 10 MB.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub file: Vec<u8>,
}

impl Drop for Submit {
    fn drop(&mut self) {
        self.file.zeroize();
    }
}

impl fmt::Debug for Submit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Submit({} bytes)", self.file.len())
    }
}

/// What a camera sees: a small picture that is judged and not kept.
#[derive(Encode, Decode)]
#[cbor(map)]
pub struct CameraFrame {
    /// JPEG or PNG, at most [`MAX_CAMERA_FRAME_BYTES`].
    #[cbor(n(0), with = "minicbor::bytes")]
    pub file: Vec<u8>,
}

impl Drop for CameraFrame {
    fn drop(&mut self) {
        self.file.zeroize();
    }
}

impl fmt::Debug for CameraFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CameraFrame({} bytes)", self.file.len())
    }
}

/// What became of a submitted photo.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum Submission {
    /// A hard check refused it; nothing was kept.
    #[n(0)]
    Refused(#[n(0)] Judgement),
    /// It is sealed. `photo.receipt` is there unless its warnings wait for a named person.
    #[n(1)]
    Held {
        /// The photo as it stands now.
        #[n(0)]
        photo: PhotoStatus,
        /// Whether the same person had submitted the same bytes before: then nothing new was made.
        #[n(1)]
        already_held: bool,
    },
}

/// What the store knows about a photo, without the picture.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct PhotoStatus {
    /// The photo.
    #[n(0)]
    pub photo: PhotoId,
    /// Where it stands.
    #[n(1)]
    pub state: PhotoState,
    /// What the checks found when it came in; `None` before it is sealed and after it is shredded.
    #[n(2)]
    pub judgement: Option<Judgement>,
    /// When it came in.
    #[n(3)]
    pub received_at: i64,
    /// Who submitted it.
    #[n(4)]
    pub submitted_by: Actor,
    /// Who confirmed its warnings.
    #[n(5)]
    pub confirmed_by: Option<Actor>,
    /// When they were confirmed.
    #[n(6)]
    pub confirmed_at: Option<i64>,
    /// Its receipt, once there is one.
    #[n(7)]
    pub receipt: Option<Receipt>,
    /// When the same person gave the same bytes before, as a photo that is over: the picture is not a new one.
    #[n(8)]
    pub given_before: Option<i64>,
}

/// A named person's confirmation of a photo's warnings.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Confirm {
    /// The photo.
    #[n(0)]
    pub photo: PhotoId,
    /// Who confirms.
    #[n(1)]
    pub by: Actor,
    /// Every warning of the photo: all of them, so that nobody confirms what was not looked at.
    #[n(2)]
    pub warnings: Vec<CheckCode>,
}

/// What can be done with a receipt, without telling whose it is.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct ReceiptInfo {
    /// What can still be done with it.
    #[n(0)]
    pub state: ReceiptState,
    /// From this instant on it is expired.
    #[n(1)]
    pub expires_at: i64,
    /// The photo.
    #[n(2)]
    pub photo: PhotoId,
}

/// A case that is open for a person: while it is, photos of that person may be read for it.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct OpenCase {
    /// The case.
    #[n(0)]
    pub case: CaseNumber,
    /// For whom.
    #[n(1)]
    pub person: PersonId,
    /// Who opens it.
    #[n(2)]
    pub by: Actor,
}

/// The use of a receipt for a case: opens the case and tells the photo.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct TakeReceipt {
    /// The receipt that the applicant brought.
    #[n(0)]
    pub number: ReceiptNumber,
    /// The case that it is used for.
    #[n(1)]
    pub case: CaseNumber,
    /// The applicant: must be the person of the photo.
    #[n(2)]
    pub person: PersonId,
    /// Who takes it.
    #[n(3)]
    pub by: Actor,
}

/// A read of one rendition.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Read {
    /// The photo.
    #[n(0)]
    pub photo: PhotoId,
    /// Which rendition.
    #[n(1)]
    pub profile: Profile,
    /// Why.
    #[n(2)]
    pub purpose: Purpose,
    /// For which open case of the photo's owner.
    #[n(3)]
    pub case: CaseNumber,
    /// Who looks at it.
    #[n(4)]
    pub reader: Actor,
}

/// A release: a read that somebody else redeems within some minutes.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Release {
    /// The read that is allowed; `reader` is who may redeem it.
    #[n(0)]
    pub read: Read,
    /// How long, 1 to 60 minutes.
    #[n(1)]
    pub minutes: u32,
    /// Who releases it.
    #[n(2)]
    pub by: Actor,
}

/// The secret that redeems a release, 32 random bytes; the store keeps only its digest.
#[derive(Encode, Decode)]
#[cbor(transparent)]
pub struct ReleaseToken(#[cbor(n(0), with = "minicbor::bytes")] [u8; 32]);

impl ReleaseToken {
    /// Takes 32 bytes as they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes, to be handed to the reader and to nobody else.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Drop for ReleaseToken {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for ReleaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReleaseToken(..)")
    }
}

/// A rendition that left the store. Wiped when dropped.
#[derive(Encode, Decode)]
#[cbor(map)]
pub struct Picture {
    /// Which rendition.
    #[n(0)]
    pub profile: Profile,
    /// Version of the profile.
    #[n(1)]
    pub version: u32,
    /// Pixels across.
    #[n(2)]
    pub width: u32,
    /// Pixels down.
    #[n(3)]
    pub height: u32,
    /// Pixels per inch, both ways.
    #[n(4)]
    pub dpi: u16,
    /// A JPEG file (baseline, 24-bit colour) without metadata.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub jpeg: Vec<u8>,
}

impl Drop for Picture {
    fn drop(&mut self) {
        self.jpeg.zeroize();
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({}, {} bytes)", self.profile, self.jpeg.len())
    }
}

/// One line of the record of reads, as a holder or an auditor sees it.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct ReadRecord {
    /// When.
    #[n(0)]
    pub at: i64,
    /// Which photo.
    #[n(1)]
    pub photo: PhotoId,
    /// Which rendition.
    #[n(2)]
    pub profile: Profile,
    /// Why.
    #[n(3)]
    pub purpose: Purpose,
    /// For which case.
    #[n(4)]
    pub case: CaseNumber,
    /// Who.
    #[n(5)]
    pub reader: Actor,
    /// `None` where the read was allowed, else why it was refused.
    #[n(6)]
    pub refused: Option<FailureCode>,
}

/// The end of a photo: its wrapped keys are destroyed.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Erase {
    /// The photo.
    #[n(0)]
    pub photo: PhotoId,
    /// Who orders it.
    #[n(1)]
    pub by: Actor,
    /// The order or rule that it follows.
    #[n(2)]
    pub case: CaseNumber,
}

/// The end of a photo that no case has used: a mistake at the camera, or the holder's wish.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct TakeBack {
    /// The photo.
    #[n(0)]
    pub photo: PhotoId,
    /// Whose: must be the person of the photo.
    #[n(1)]
    pub person: PersonId,
    /// Who takes it back.
    #[n(2)]
    pub by: Actor,
}

/// How the store is.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct ServiceStatus {
    /// The store's clock.
    #[n(0)]
    pub now: i64,
    /// Whether the vault can be used.
    #[n(1)]
    pub vault: VaultState,
    /// Photos that may be read.
    #[n(2)]
    pub sealed: u64,
    /// Photos whose warnings wait for a named person.
    #[n(3)]
    pub waiting: u64,
    /// Version of the profiles and limits.
    #[n(4)]
    pub rules: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = minicbor::decode::<Submit>(&bytes);
            let _ = minicbor::decode::<PhotoStatus>(&bytes);
        }

        #[test]
        fn a_submission_survives_the_wire(person: [u8; 16], file in proptest::collection::vec(any::<u8>(), 0..2048)) {
            let sent = Submit {
                person: PersonId::from_bytes(person),
                by: "王芳 0731".parse().unwrap(),
                period: ReceiptPeriod::Days60,
                file: file.clone(),
            };
            let bytes = minicbor::to_vec(&sent).unwrap();
            let came: Submit = minicbor::decode(&bytes).unwrap();
            prop_assert_eq!(came.person.as_bytes(), &person);
            prop_assert_eq!(&came.file, &file);
            prop_assert_eq!(came.period.days(), 60);
        }
    }

    #[test]
    fn a_nameless_actor_and_a_crooked_case_number_do_not_parse() {
        assert_eq!("  ".parse::<Actor>(), Err(FailureCode::BadField));
        assert_eq!("a\nb".parse::<Actor>(), Err(FailureCode::BadField));
        assert_eq!("wa\u{200b}ng".parse::<Actor>(), Err(FailureCode::BadField));
        assert_eq!("\u{3164}".parse::<Actor>(), Err(FailureCode::BadField));
        assert_eq!("case 7".parse::<CaseNumber>(), Err(FailureCode::BadField));
        assert!("YZT-2026/000017".parse::<CaseNumber>().is_ok());
    }

    #[test]
    fn a_blank_name_is_refused_on_the_wire_too() {
        let bytes = minicbor::to_vec("   ").unwrap();
        assert!(minicbor::decode::<Actor>(&bytes).is_err());
    }

    #[test]
    fn debug_output_shows_no_picture_no_token_and_no_receipt() {
        let picture = Picture {
            profile: Profile::Chip,
            version: 1,
            width: 120,
            height: 160,
            dpi: 350,
            jpeg: vec![0xAB; 3],
        };
        assert_eq!(format!("{picture:?}"), "Picture(chip, 3 bytes)");
        assert_eq!(
            format!("{:?}", ReleaseToken::from_bytes([7; 32])),
            "ReleaseToken(..)"
        );
        assert_eq!(
            format!("{:?}", ReceiptNumber::from_random([7; 15])),
            "ReceiptNumber(..)"
        );
    }
}
