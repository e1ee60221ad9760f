//! Codes of chapter 01: states, roles, rights, key domains, regions, tiers.

use core::fmt;

use crate::error::Error;

/// The application's identifier.
pub const AID: [u8; 7] = [0xF0, 0x59, 0x5A, 0x54, 0x52, 0x50, 0x01];

/// The one algorithm suite in use: AES, SHA-256, P-256.
pub const SUITE: u8 = 0x01;

/// Version byte of records, certificates and boxes.
pub const VERSION: u8 = 0x01;

macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $what:literal, { $($(#[$vdoc:meta])* $variant:ident = $value:literal => $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $value,)+ }

        impl $name {
            /// All values, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The byte of the specification.
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The word of the specification.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl TryFrom<u8> for $name {
            type Error = Error;
            fn try_from(code: u8) -> Result<Self, Error> {
                match code { $($value => Ok(Self::$variant),)+ _ => Err(Error::Malformed { what: $what }) }
            }
        }

        impl core::str::FromStr for $name {
            type Err = Error;

            /// The word of the specification, in upper case.
            fn from_str(text: &str) -> Result<Self, Error> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(Error::Malformed { what: $what }) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use code;

code!(
    /// State of the application on the chip, as the card itself reports it under MAC.
    CardState, "state", {
        /// Only a serial and transport keys.
        Blank = 0x01 => "BLANK",
        /// Written, not yet handed over.
        Personalised = 0x02 => "PERSONALISED",
        /// In the holder's hands.
        Active = 0x03 => "ACTIVE",
        /// Stopped, may be taken up again.
        Blocked = 0x04 => "BLOCKED",
        /// Ended for good; nothing is left on it.
        Terminated = 0x05 => "TERMINATED",
    }
);

code!(
    /// What an entitlement record is for.
    Role, "role", {
        /// Bus and metro.
        Transit = 0x01 => "TRANSIT",
        /// Social-insurance desks.
        SocialInsurance = 0x02 => "SOCIAL_INSURANCE",
        /// Small payments in shops.
        SmallPayment = 0x03 => "SMALL_PAYMENT",
        /// Clinics.
        Clinic = 0x04 => "CLINIC",
        /// Doors.
        Door = 0x05 => "DOOR",
    }
);

impl Role {
    /// True for the roles that answer at door F.
    #[must_use]
    pub const fn has_door_f(self) -> bool {
        matches!(self, Self::Transit | Self::SmallPayment | Self::Door)
    }

    /// The key pair that this role's records are bound to.
    #[must_use]
    pub const fn domain(self) -> Domain {
        match self {
            Self::Clinic => Domain::Clinic,
            Self::SocialInsurance => Domain::SocialInsurance,
            Self::Transit | Self::SmallPayment | Self::Door => Domain::Person,
        }
    }
}

code!(
    /// Which of the card's key pairs.
    Domain, "key domain", {
        /// Identity, portrait, permit, and the office.
        Person = 0x01 => "PERSON",
        /// Clinics.
        Clinic = 0x02 => "CLINIC",
        /// Social insurance.
        SocialInsurance = 0x03 => "SOCIAL_INSURANCE",
    }
);

code!(
    /// Tier of a permit.
    Tier, "tier", {
        /// Temporary residence permit.
        Temp = 0x01 => "TEMP",
        /// Employment residence permit.
        Employment = 0x02 => "EMPLOYMENT",
        /// Talent residence permit.
        Talent = 0x03 => "TALENT",
    }
);

code!(
    /// State of a key version as terminals see it.
    KeyState, "key state", {
        /// Use it first.
        Active = 0x01 => "ACTIVE",
        /// Accepted until its date.
        Draining = 0x02 => "DRAINING",
        /// Not accepted now.
        Suspended = 0x03 => "SUSPENDED",
        /// Refused at once.
        Compromised = 0x04 => "COMPROMISED",
    }
);

/// A mask of rights in a terminal's certificate, 4 bytes big endian.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rights(u32);

impl Rights {
    /// No right.
    pub const NONE: Self = Self(0);
    /// Read DG1.
    pub const IDENTITY: Self = Self(1);
    /// Read DG2.
    pub const PORTRAIT: Self = Self(1 << 1);
    /// Read DG3.
    pub const PERMIT: Self = Self(1 << 2);
    /// Check a card that is not active.
    pub const VERIFY: Self = Self(1 << 16);
    /// Read the serial, reset the failure counter.
    pub const ISSUER: Self = Self(1 << 17);
    /// Every right that there is.
    pub const ALL: Self = Self(0x0003_1F07);

    /// The right to a role's record.
    #[must_use]
    pub const fn role(role: Role) -> Self {
        Self(match role {
            Role::Transit => 1 << 8,
            Role::SocialInsurance => 1 << 9,
            Role::SmallPayment => 1 << 10,
            Role::Clinic => 1 << 11,
            Role::Door => 1 << 12,
        })
    }

    /// From the four bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] when a bit is set that has no meaning.
    pub fn from_bytes(bytes: [u8; 4]) -> Result<Self, Error> {
        let bits = u32::from_be_bytes(bytes);
        if bits & !Self::ALL.0 == 0 {
            Ok(Self(bits))
        } else {
            Err(Error::Malformed { what: "rights" })
        }
    }

    /// The four bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// Both masks together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both masks have.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// True when every right of `other` is in `self`.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// True when at least one right is common.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// True for no right.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The key domain that serves exactly these rights (chapter 02), if one does.
    #[must_use]
    pub fn domain(self) -> Option<Domain> {
        let person = Self::IDENTITY
            .union(Self::PORTRAIT)
            .union(Self::PERMIT)
            .union(Self::VERIFY)
            .union(Self::ISSUER);
        if self.intersects(person) {
            Some(Domain::Person)
        } else if self == Self::role(Role::Clinic) {
            Some(Domain::Clinic)
        } else if self == Self::role(Role::SocialInsurance) {
            Some(Domain::SocialInsurance)
        } else {
            None
        }
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({:08x})", self.0)
    }
}

/// A GB/T 2260 division, 6 decimal digits, 3 bytes packed BCD.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region([u8; 3]);

impl Region {
    /// From the three bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] when a nibble is no digit.
    pub fn from_bytes(bytes: [u8; 3]) -> Result<Self, Error> {
        if bytes.iter().any(|byte| byte >> 4 > 9 || byte & 15 > 9) {
            return Err(Error::Malformed { what: "region" });
        }
        Ok(Self(bytes))
    }

    /// The three bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 3] {
        self.0
    }

    /// The six digits as a number: 440300 is Shenzhen.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0.iter().fold(0_u32, |number, byte| {
            let pair = u32::from(byte >> 4)
                .saturating_mul(10)
                .saturating_add(u32::from(byte & 15));
            number.saturating_mul(100).saturating_add(pair)
        })
    }

    /// Whether GB/T 2260 can have this division: its first two digits are a province. A card carries any six digits.
    #[must_use]
    pub const fn is_division(self) -> bool {
        let [province, ..] = self.0;
        is_province((province >> 4).saturating_mul(10).saturating_add(province & 15))
    }
}

/// Whether GB/T 2260 has a province of this number, the first two digits of its divisions.
#[must_use]
pub const fn is_province(number: u8) -> bool {
    matches!(
        number,
        11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81 | 82
    )
}

impl TryFrom<u32> for Region {
    type Error = Error;

    /// The division of six digits as a number, the first of them not zero.
    fn try_from(number: u32) -> Result<Self, Error> {
        const MALFORMED: Error = Error::Malformed { what: "region" };
        if !(100_000..=999_999).contains(&number) {
            return Err(MALFORMED);
        }
        let mut rest = number;
        let mut out = [0; 3];
        for byte in out.iter_mut().rev() {
            let pair = u8::try_from(rest.checked_rem(100).ok_or(MALFORMED)?).map_err(|_| MALFORMED)?;
            rest = rest.checked_div(100).ok_or(MALFORMED)?;
            *byte = pair.checked_div(10).ok_or(MALFORMED)? << 4 | pair.checked_rem(10).ok_or(MALFORMED)?;
        }
        Ok(Self(out))
    }
}

impl core::str::FromStr for Region {
    type Err = Error;

    /// Six decimal digits.
    fn from_str(text: &str) -> Result<Self, Error> {
        let digits: [u8; 6] = text
            .as_bytes()
            .try_into()
            .map_err(|_| Error::Malformed { what: "region" })?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(Error::Malformed { what: "region" });
        }
        let mut out = [0; 3];
        for (to, [high, low]) in out.iter_mut().zip(digits.as_chunks::<2>().0) {
            *to = (high & 15) << 4 | (low & 15);
        }
        Ok(Self(out))
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}")
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Serial of a card, 10 bytes: `issuer(2) || lot(4) || number(4)`, big endian; in text 20 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial(pub [u8; 10]);

impl Serial {
    /// From the ten bytes; every ten bytes are a serial.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 10]) -> Self {
        Self(bytes)
    }

    /// The ten bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 10] {
        self.0
    }

    /// The ten bytes, borrowed.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 10] {
        &self.0
    }
}

impl From<[u8; 10]> for Serial {
    fn from(bytes: [u8; 10]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<&[u8]> for Serial {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| Error::Malformed { what: "serial" })
    }
}

impl core::str::FromStr for Serial {
    type Err = Error;

    /// 20 lower-case hex digits: one spelling only, serials are compared as text elsewhere.
    fn from_str(text: &str) -> Result<Self, Error> {
        const MALFORMED: Error = Error::Malformed { what: "serial" };
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte & 15),
            b'a'..=b'f' => Ok((byte & 15).saturating_add(9)),
            _ => Err(MALFORMED),
        };
        let digits: [u8; 20] = text.as_bytes().try_into().map_err(|_| MALFORMED)?;
        let mut out = [0; 10];
        for (to, [high, low]) in out.iter_mut().zip(digits.as_chunks::<2>().0) {
            *to = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(out))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
