//! Card info, DG1 to DG3 and the signature object (chapter 02).

use rand_core::CryptoRng;

use crate::bytes::Bytes;
use crate::bytes::Write;
use crate::codes::{AID, SUITE, Tier, VERSION};
use crate::crypto::{PrivateKey, PublicKey, equal, sha256};
use crate::date::Date;
use crate::error::Error;
use crate::tlv::{self, Fields};

/// Most bytes of an encoded DG1.
pub const MAX_DG1: usize = 1024;
/// Most bytes of the image in DG2.
pub const MAX_PORTRAIT: usize = 6144;
/// Most bytes of an encoded DG2: image, and 32 bytes of frame.
pub const MAX_DG2: usize = 6176;
/// Most bytes of an encoded DG3.
pub const MAX_DG3: usize = 256;
/// Most bytes of an encoded signature object.
pub const MAX_SIGNATURE_OBJECT: usize = 256;

const SIGNATURE_LABEL: &[u8] = b"YZT-SO-1";
const TEXT: Error = Error::Malformed {
    what: "text of a data group",
};

/// What SELECT answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardInfo {
    /// Version of the specification, major and minor.
    pub specification: [u8; 2],
    /// Profile.
    pub profile: u16,
    /// Form of the sealed updates that the card takes (chapter 09); none on a card that takes none.
    pub updates: Option<u8>,
}

/// The form of sealed updates of this specification.
pub const UPDATE_FORM: u8 = 0x01;

impl CardInfo {
    /// The card of this specification.
    pub const CURRENT: Self = Self {
        specification: [1, 0],
        profile: 1,
        updates: Some(UPDATE_FORM),
    };

    /// True when the card takes sealed updates of the form of this specification. Another one answers 6D00 to UPDATE.
    #[must_use]
    pub const fn takes_updates(&self) -> bool {
        matches!(self.updates, Some(UPDATE_FORM))
    }

    /// Encodes the answer to SELECT.
    ///
    /// # Errors
    /// Never for these sizes.
    pub fn encode(&self) -> Result<Bytes<32>, Error> {
        let mut out = Bytes::new();
        tlv::put_template(&mut out, 0x6F, &|out| {
            tlv::put(out, 0x84, &AID)?;
            tlv::put_template(out, 0xA5, &|out| {
                tlv::put(out, 0x80, &self.specification)?;
                tlv::put(out, 0x81, &self.profile.to_be_bytes())?;
                tlv::put(out, 0x82, &[SUITE])?;
                self.updates.map_or(Ok(()), |form| tlv::put(out, 0x83, &[form]))
            })
        })?;
        Ok(out)
    }

    /// Parses the answer to SELECT.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is not a card of ours.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        const WHAT: Error = Error::Malformed { what: "card info" };
        let fci = tlv::parse_only(body)?;
        if fci.tag != 0x6F {
            return Err(WHAT);
        }
        let mut fields = Fields::new(fci.value, &[0x84, 0xA5], "card info");
        if fields.array::<7>(0x84)? != AID {
            return Err(WHAT);
        }
        let inside = fields.required(0xA5)?.value;
        fields.end()?;
        let mut fields = Fields::new(inside, &[0x80, 0x81, 0x82, 0x83], "card info");
        let specification = fields.array(0x80)?;
        let profile = u16::from_be_bytes(fields.array(0x81)?);
        if !fields.required(0x82)?.value.contains(&SUITE) {
            return Err(WHAT);
        }
        let updates = match fields.optional(0x83)?.map(|form| form.value) {
            None => None,
            Some([form]) => Some(*form),
            Some(_) => return Err(WHAT),
        };
        fields.end()?;
        Ok(Self {
            specification,
            profile,
            updates,
        })
    }
}

fn text(value: &str, max: usize) -> Result<&[u8], Error> {
    if value.is_empty() || value.len() > max {
        Err(TEXT)
    } else {
        Ok(value.as_bytes())
    }
}

/// DG1: the ten legal face items, borrowed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Dg1<'a> {
    /// Name, 1 to 120 bytes.
    pub name: &'a str,
    /// GB/T 2261.1.
    pub sex: u8,
    /// GB/T 3304.
    pub nation: u8,
    /// Birth date.
    pub birth_date: Date,
    /// GB 11643, 18 ASCII characters.
    pub citizen_number: &'a str,
    /// SHA-256 of the image in DG2.
    pub photo: [u8; 32],
    /// Hukou address, 1 to 210 bytes.
    pub hukou_address: &'a str,
    /// Residence address, 1 to 210 bytes.
    pub residence_address: &'a str,
    /// Issuing organ, 1 to 120 bytes.
    pub issuing_organ: &'a str,
    /// Issue date.
    pub issue_date: Date,
    /// Salt.
    pub salt: [u8; 16],
}

impl core::fmt::Debug for Dg1<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Dg1(personal data)")
    }
}

impl<'a> Dg1<'a> {
    const TAGS: &'static [u16] = &[
        0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8F,
    ];

    /// Encodes DG1.
    ///
    /// # Errors
    /// [`Error::Malformed`] when an item has a length or a value that chapter 02 does not allow.
    pub fn encode(&self) -> Result<Bytes<MAX_DG1>, Error> {
        self.check()?;
        let (name, hukou) = (text(self.name, 120)?, text(self.hukou_address, 210)?);
        let (residence, organ) = (text(self.residence_address, 210)?, text(self.issuing_organ, 120)?);
        let mut out = Bytes::new();
        tlv::put_template(&mut out, 0x61, &|out| {
            tlv::put(out, 0x80, &[VERSION])?;
            tlv::put(out, 0x81, name)?;
            tlv::put(out, 0x82, &[self.sex])?;
            tlv::put(out, 0x83, &[self.nation])?;
            tlv::put(out, 0x84, &self.birth_date.to_bytes())?;
            tlv::put(out, 0x85, self.citizen_number.as_bytes())?;
            tlv::put(out, 0x86, &self.photo)?;
            tlv::put(out, 0x87, hukou)?;
            tlv::put(out, 0x88, residence)?;
            tlv::put(out, 0x89, organ)?;
            tlv::put(out, 0x8A, &self.issue_date.to_bytes())?;
            tlv::put(out, 0x8F, &self.salt)
        })?;
        Ok(out)
    }

    /// Parses an encoded DG1.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut fields = open(bytes, 0x61, Self::TAGS, "DG1")?;
        let dg1 = Self {
            name: fields.text(0x81, 1, 120)?,
            sex: u8::from_be_bytes(fields.array(0x82)?),
            nation: u8::from_be_bytes(fields.array(0x83)?),
            birth_date: Date::from_bytes(fields.array(0x84)?)?,
            citizen_number: fields.text(0x85, 18, 18)?,
            photo: fields.array(0x86)?,
            hukou_address: fields.text(0x87, 1, 210)?,
            residence_address: fields.text(0x88, 1, 210)?,
            issuing_organ: fields.text(0x89, 1, 120)?,
            issue_date: Date::from_bytes(fields.array(0x8A)?)?,
            salt: fields.array(0x8F)?,
        };
        fields.end()?;
        dg1.check()?;
        Ok(dg1)
    }

    /// The closed value sets of chapter 02.
    fn check(&self) -> Result<(), Error> {
        let number = matches!(self.citizen_number.as_bytes(), [digits @ .., last]
            if digits.len() == 17 && digits.iter().all(u8::is_ascii_digit) && matches!(last, b'0'..=b'9' | b'X'));
        let sex = matches!(self.sex, 0 | 1 | 2 | 9);
        let nation = matches!(self.nation, 1..=56 | 97 | 98);
        if number && sex && nation && !self.birth_date.is_none() && !self.issue_date.is_none() {
            Ok(())
        } else {
            Err(Error::Malformed { what: "DG1" })
        }
    }
}

/// Opens a template of ours and takes its version byte.
fn open<'a>(
    bytes: &'a [u8],
    tag: u16,
    known: &'static [u16],
    what: &'static str,
) -> Result<Fields<'a>, Error> {
    let object = tlv::parse_only(bytes).map_err(|_| Error::Malformed { what })?;
    if object.tag != tag {
        return Err(Error::Malformed { what });
    }
    let mut fields = Fields::new(object.value, known, what);
    if fields.array(0x80)? != [VERSION] {
        return Err(Error::Malformed { what });
    }
    Ok(fields)
}

/// Form of a portrait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortraitFormat {
    /// JPEG, ISO/IEC 10918-1.
    Jpeg,
    /// JPEG 2000, ISO/IEC 15444-1.
    Jpeg2000,
}

/// DG2: the portrait, borrowed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Dg2<'a> {
    /// Form.
    pub format: PortraitFormat,
    /// Image, 1 to 6144 bytes.
    pub image: &'a [u8],
    /// Salt.
    pub salt: [u8; 16],
}

impl core::fmt::Debug for Dg2<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Dg2(personal data)")
    }
}

impl<'a> Dg2<'a> {
    /// Encodes DG2 into `out` ([`MAX_DG2`] bytes are enough).
    ///
    /// # Errors
    /// [`Error::TooLong`] when the image is empty or longer than 6144 bytes.
    pub fn encode(&self, out: &mut dyn Write) -> Result<(), Error> {
        if self.image.is_empty() || self.image.len() > MAX_PORTRAIT {
            return Err(Error::TooLong { what: "portrait" });
        }
        let format = match self.format {
            PortraitFormat::Jpeg => 1,
            PortraitFormat::Jpeg2000 => 2,
        };
        tlv::put_template(out, 0x75, &|out| {
            tlv::put(out, 0x80, &[VERSION])?;
            tlv::put(out, 0x81, &[format])?;
            tlv::put(out, 0x82, self.image)?;
            tlv::put(out, 0x8F, &self.salt)
        })
    }

    /// Parses an encoded DG2.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut fields = open(bytes, 0x75, &[0x80, 0x81, 0x82, 0x8F], "DG2")?;
        let format = match fields.array(0x81)? {
            [1] => PortraitFormat::Jpeg,
            [2] => PortraitFormat::Jpeg2000,
            _ => return Err(Error::Malformed { what: "DG2" }),
        };
        let image = fields.required(0x82)?.value;
        if image.is_empty() || image.len() > MAX_PORTRAIT {
            return Err(Error::Malformed { what: "DG2" });
        }
        let salt = fields.array(0x8F)?;
        fields.end()?;
        Ok(Self { format, image, salt })
    }
}

/// DG3: the permit block, borrowed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Dg3<'a> {
    /// Permit id.
    pub permit_id: [u8; 16],
    /// Tier.
    pub tier: Tier,
    /// Issued on.
    pub issued: Date,
    /// Endorsed until, included.
    pub endorsed_until: Date,
    /// Rule set id, 1 to 48 ASCII characters.
    pub rule_set: &'a str,
    /// Grows with every rewrite.
    pub state_counter: u32,
    /// Salt.
    pub salt: [u8; 16],
}

impl core::fmt::Debug for Dg3<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Dg3(personal data)")
    }
}

impl<'a> Dg3<'a> {
    /// Encodes DG3.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the rule set id is empty, too long or not ASCII.
    pub fn encode(&self) -> Result<Bytes<MAX_DG3>, Error> {
        let rule_set = text(self.rule_set, 48)?;
        if !rule_set.is_ascii() {
            return Err(TEXT);
        }
        let mut out = Bytes::new();
        tlv::put_template(&mut out, 0x6D, &|out| {
            tlv::put(out, 0x80, &[VERSION])?;
            tlv::put(out, 0x81, &self.permit_id)?;
            tlv::put(out, 0x82, &[self.tier.code()])?;
            tlv::put(out, 0x83, &self.issued.to_bytes())?;
            tlv::put(out, 0x84, &self.endorsed_until.to_bytes())?;
            tlv::put(out, 0x85, rule_set)?;
            tlv::put(out, 0x86, &self.state_counter.to_be_bytes())?;
            tlv::put(out, 0x8F, &self.salt)
        })?;
        Ok(out)
    }

    /// Parses an encoded DG3.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut fields = open(
            bytes,
            0x6D,
            &[0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x8F],
            "DG3",
        )?;
        let dg3 = Self {
            permit_id: fields.array(0x81)?,
            tier: Tier::try_from(u8::from_be_bytes(fields.array(0x82)?))?,
            issued: Date::from_bytes(fields.array(0x83)?)?,
            endorsed_until: Date::from_bytes(fields.array(0x84)?)?,
            rule_set: fields.text(0x85, 1, 48)?,
            state_counter: u32::from_be_bytes(fields.array(0x86)?),
            salt: fields.array(0x8F)?,
        };
        fields.end()?;
        if !dg3.rule_set.is_ascii() {
            return Err(TEXT);
        }
        Ok(dg3)
    }
}

/// The signature object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureObject {
    /// Number of the document signer's key.
    pub signer: u8,
    /// SHA-256(public64 of the PERSON key).
    pub card_key: [u8; 32],
    /// SHA-256 of DG1, DG2, DG3.
    pub groups: [[u8; 32]; 3],
    /// Signature.
    pub signature: [u8; 64],
}

impl SignatureObject {
    fn signed_part(signer: u8, card_key: &[u8; 32], groups: &[[u8; 32]; 3]) -> Result<Bytes<160>, Error> {
        let mut out = Bytes::new();
        tlv::put(&mut out, 0x80, &[VERSION])?;
        tlv::put(&mut out, 0x81, &[SUITE])?;
        tlv::put(&mut out, 0x82, &[signer])?;
        tlv::put(&mut out, 0x83, card_key)?;
        let [dg1, dg2, dg3] = groups;
        tlv::put(&mut out, 0x84, dg1)?;
        tlv::put(&mut out, 0x85, dg2)?;
        tlv::put(&mut out, 0x86, dg3)?;
        Ok(out)
    }

    /// Signs the encoded groups for the card with this PERSON key.
    ///
    /// # Errors
    /// [`Error::Crypto`] when the signature does not verify (a fault of the machine).
    pub fn sign(
        signer: u8,
        key: &PrivateKey,
        public64: &[u8; 64],
        groups: [&[u8]; 3],
        rng: &mut impl CryptoRng,
    ) -> Result<Self, Error> {
        Self::sign_digests(
            signer,
            key,
            sha256(&[public64]),
            groups.map(|group| sha256(&[group])),
            rng,
        )
    }

    /// The same from digests: for a signer that keeps those of a card, and not its groups.
    ///
    /// # Errors
    /// As [`SignatureObject::sign`].
    pub fn sign_digests(
        signer: u8,
        key: &PrivateKey,
        card_key: [u8; 32],
        groups: [[u8; 32]; 3],
        rng: &mut impl CryptoRng,
    ) -> Result<Self, Error> {
        let signature = key.sign(
            &[SIGNATURE_LABEL, &Self::signed_part(signer, &card_key, &groups)?],
            rng,
        )?;
        Ok(Self {
            signer,
            card_key,
            groups,
            signature,
        })
    }

    /// Checks the signature and that the object speaks of the card with this PERSON key.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn verify(&self, document_signer: &PublicKey, public64: &[u8; 64]) -> Result<(), Error> {
        let part = Self::signed_part(self.signer, &self.card_key, &self.groups)?;
        document_signer.verify(&[SIGNATURE_LABEL, &part], &self.signature)?;
        if equal(&self.card_key, &sha256(&[public64])) {
            Ok(())
        } else {
            Err(Error::Crypto)
        }
    }

    /// True when `bytes` is the encoded group `number` (1 to 3) that was signed.
    #[must_use]
    pub fn covers(&self, number: u8, bytes: &[u8]) -> bool {
        let index = usize::from(number).checked_sub(1);
        let digest = index.and_then(|index| self.groups.get(index));
        digest.is_some_and(|digest| equal(digest, &sha256(&[bytes])))
    }

    /// The object of the same card with another DG3: what a sealed update makes of it (chapter 09). Nothing is checked:
    /// the signature is the document signer's, and readers verify it.
    #[must_use]
    pub fn with_dg3(&self, signer: u8, dg3: &[u8], signature: &[u8; 64]) -> Self {
        let [dg1, dg2, _] = self.groups;
        Self {
            signer,
            card_key: self.card_key,
            groups: [dg1, dg2, sha256(&[dg3])],
            signature: *signature,
        }
    }

    /// Encodes the object.
    ///
    /// # Errors
    /// Never for these sizes.
    pub fn encode(&self) -> Result<Bytes<MAX_SIGNATURE_OBJECT>, Error> {
        let part = Self::signed_part(self.signer, &self.card_key, &self.groups)?;
        let mut out = Bytes::new();
        tlv::put_template(&mut out, 0x77, &|out| {
            out.put(&part)?;
            tlv::put(out, 0x9E, &self.signature)
        })?;
        Ok(out)
    }

    /// Parses an encoded object. Its signature is not checked here.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        const WHAT: &str = "signature object";
        let mut fields = open(
            bytes,
            0x77,
            &[0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x9E],
            WHAT,
        )?;
        if fields.array(0x81)? != [SUITE] {
            return Err(Error::Malformed { what: WHAT });
        }
        let object = Self {
            signer: u8::from_be_bytes(fields.array(0x82)?),
            card_key: fields.array(0x83)?,
            groups: [fields.array(0x84)?, fields.array(0x85)?, fields.array(0x86)?],
            signature: fields.array(0x9E)?,
        };
        fields.end()?;
        // The template is closed: what was not understood was not signed.
        if object.encode()? != bytes {
            return Err(Error::Malformed { what: WHAT });
        }
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_as_they_were_written() {
        let date = |text: &str| text.parse::<Date>().unwrap();
        let dg1 = Dg1 {
            name: "阿卜杜拉·买买提",
            sex: 1,
            nation: 5,
            birth_date: date("1990-03-07"),
            citizen_number: "440106199003071012",
            photo: [7; 32],
            hukou_address: "新疆维吾尔自治区喀什市",
            residence_address: "广东省深圳市南山区",
            issuing_organ: "深圳市公安局南山分局",
            issue_date: date("2026-11-21"),
            salt: [9; 16],
        };
        assert_eq!(Dg1::parse(&dg1.encode().unwrap()).unwrap(), dg1);
        let dg3 = Dg3 {
            permit_id: [3; 16],
            tier: Tier::Talent,
            issued: date("2026-11-21"),
            endorsed_until: date("2027-11-20"),
            rule_set: "cn-440300/2026-1",
            state_counter: 1,
            salt: [4; 16],
        };
        assert_eq!(Dg3::parse(&dg3.encode().unwrap()).unwrap(), dg3);
        let dg2 = Dg2 {
            format: PortraitFormat::Jpeg,
            image: &[0xFF; MAX_PORTRAIT],
            salt: [1; 16],
        };
        let mut out = Bytes::<MAX_DG2>::new();
        dg2.encode(&mut out).unwrap();
        assert_eq!(out.len(), MAX_DG2);
        assert_eq!(Dg2::parse(&out).unwrap(), dg2);
        assert_eq!(
            CardInfo::parse(&CardInfo::CURRENT.encode().unwrap()).unwrap(),
            CardInfo::CURRENT
        );
    }
}
