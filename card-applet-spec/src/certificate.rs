//! Certificates: the 160-byte card certificate (chapter 02) and the terminal certificates of door S (chapter 07, layout
//! of BSI TR-03110-3 C.1 without domain parameters).

use rand_core::CryptoRng;

use crate::bytes::Bytes;
use crate::bytes::{Reader, SliceWriter, Write};
use crate::codes::{Domain, Rights, SUITE, VERSION};
use crate::crypto::{PrivateKey, PublicKey};
use crate::date::Date;
use crate::error::Error;
use crate::tlv::{self, Fields};

/// Length of a card certificate.
pub const CARD_CERTIFICATE_LEN: usize = 160;
const CARD_LABEL: &[u8] = b"YZT-CC-1";

/// A card certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardCertificate {
    /// Domain of the key pair.
    pub domain: Domain,
    /// Number of the card CA's key.
    pub ca: u8,
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// Random id.
    pub id: [u8; 16],
    /// The certified key, `X || Y`.
    pub public64: [u8; 64],
    /// Signature by the card CA.
    pub signature: [u8; 64],
}

impl CardCertificate {
    fn signed_part(
        domain: Domain,
        ca: u8,
        from: Date,
        to: Date,
        id: &[u8; 16],
        public64: &[u8; 64],
    ) -> Result<[u8; 92], Error> {
        let mut out = [0; 92];
        let mut writer = SliceWriter::new(&mut out);
        writer.put(&[VERSION, SUITE, domain.code(), ca])?;
        writer.put(&from.to_bytes())?;
        writer.put(&to.to_bytes())?;
        writer.put(id)?;
        writer.put(public64)?;
        Ok(out)
    }

    /// Signs a certificate. The public key must be on the curve.
    ///
    /// # Errors
    /// [`Error::Crypto`] for a point off the curve, or a fault of the machine.
    #[expect(
        clippy::too_many_arguments,
        reason = "the fields of the certificate, and the signer"
    )]
    pub fn sign(
        ca_key: &PrivateKey,
        domain: Domain,
        ca: u8,
        from: Date,
        to: Date,
        id: [u8; 16],
        public64: [u8; 64],
        rng: &mut impl CryptoRng,
    ) -> Result<Self, Error> {
        PublicKey::from_public64(&public64)?;
        let part = Self::signed_part(domain, ca, from, to, &id, &public64)?;
        let signature = ca_key.sign(&[CARD_LABEL, &part], rng)?;
        Ok(Self {
            domain,
            ca,
            from,
            to,
            id,
            public64,
            signature,
        })
    }

    /// The 160 bytes.
    ///
    /// # Errors
    /// Never for these sizes.
    pub fn encode(&self) -> Result<[u8; CARD_CERTIFICATE_LEN], Error> {
        let part = Self::signed_part(self.domain, self.ca, self.from, self.to, &self.id, &self.public64)?;
        let mut out = [0; CARD_CERTIFICATE_LEN];
        let mut writer = SliceWriter::new(&mut out);
        writer.put(&part)?;
        writer.put(&self.signature)?;
        Ok(out)
    }

    /// Parses the 160 bytes. The signature is not checked here.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(bytes: &[u8; CARD_CERTIFICATE_LEN]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, "card certificate");
        if reader.array()? != [VERSION, SUITE] {
            return Err(reader.malformed());
        }
        let certificate = Self {
            domain: Domain::try_from(reader.u8()?)?,
            ca: reader.u8()?,
            from: Date::from_bytes(reader.array()?)?,
            to: Date::from_bytes(reader.array()?)?,
            id: reader.array()?,
            public64: reader.array()?,
            signature: reader.array()?,
        };
        if reader.array()? != [0_u8; 4] {
            return Err(reader.malformed());
        }
        Ok(certificate)
    }

    /// Checks the card CA's signature; gives the key, which is on the curve.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn verify(&self, card_ca: &PublicKey) -> Result<PublicKey, Error> {
        let part = Self::signed_part(self.domain, self.ca, self.from, self.to, &self.id, &self.public64)?;
        card_ca.verify(&[CARD_LABEL, &part], &self.signature)?;
        PublicKey::from_public64(&self.public64)
    }
}

/// id-TA-ECDSA-SHA-256, 0.4.0.127.0.7.2.2.2.2.3.
pub const OID_TA_ECDSA_SHA256: [u8; 10] = [0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x02, 0x02, 0x03];
/// Our rights, 2.25.65379310213236419261574798494105878741.1: an arc under a UUID, because none is registered.
pub const OID_RIGHTS: [u8; 20] = [
    0x69, 0xE2, 0xAF, 0xCC, 0xB7, 0xAC, 0xE8, 0xFA, 0xC7, 0xAF, 0xB0, 0xAC, 0xAA, 0xCF, 0x95, 0xBB, 0xC1,
    0x81, 0x55, 0x01,
];
/// Room for a terminal certificate, which must fit one command.
pub const MAX_TERMINAL_CERTIFICATE: usize = 255;
/// Longest life of a leaf: its last day minus its first.
pub const MAX_LEAF_DAYS: u32 = 7;

/// Name of a certificate authority or terminal: 10 ASCII, epoch 2, number 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateName(pub [u8; 16]);

impl CertificateName {
    /// Builds a name; `authority` is cut to or filled up with spaces to 10 bytes of ASCII.
    #[must_use]
    pub fn new(authority: &str, epoch: u16, number: u32) -> Self {
        let mut name = [b' '; 16];
        for (to, from) in name
            .iter_mut()
            .zip(authority.bytes().filter(u8::is_ascii_graphic).take(10))
        {
            *to = from;
        }
        let tail = epoch.to_be_bytes().into_iter().chain(number.to_be_bytes());
        for (to, from) in name.iter_mut().skip(10).zip(tail) {
            *to = from;
        }
        Self(name)
    }

    /// Epoch of the authority.
    #[must_use]
    pub const fn epoch(&self) -> u16 {
        let [.., a, b, _, _, _, _] = self.0;
        u16::from_be_bytes([a, b])
    }
}

/// A terminal certificate, parsed or about to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalCertificate {
    /// Name of the key that signs.
    pub issuer: CertificateName,
    /// The certified key.
    pub public: PublicKey,
    /// Name of this key.
    pub holder: CertificateName,
    /// Rights.
    pub rights: Rights,
    /// First day.
    pub effective: Date,
    /// Last day.
    pub expiry: Date,
}

const WHAT: &str = "terminal certificate";
const MALFORMED: Error = Error::Malformed { what: WHAT };

impl TerminalCertificate {
    fn body(&self, out: &mut dyn Write) -> Result<(), Error> {
        tlv::put_template(out, 0x7F4E, &|out| {
            tlv::put(out, 0x5F29, &[0x00])?;
            tlv::put(out, 0x42, &self.issuer.0)?;
            tlv::put_template(out, 0x7F49, &|out| {
                tlv::put(out, 0x06, &OID_TA_ECDSA_SHA256)?;
                tlv::put(out, 0x86, &self.public.to_point65())
            })?;
            tlv::put(out, 0x5F20, &self.holder.0)?;
            tlv::put_template(out, 0x7F4C, &|out| {
                tlv::put(out, 0x06, &OID_RIGHTS)?;
                tlv::put(out, 0x53, &self.rights.to_bytes())
            })?;
            tlv::put(out, 0x5F25, &self.effective.to_six_digits())?;
            tlv::put(out, 0x5F24, &self.expiry.to_six_digits())
        })
    }

    /// Signs; gives the whole 7F21 object.
    ///
    /// # Errors
    /// [`Error::Crypto`] for a fault of the machine.
    pub fn sign(
        &self,
        key: &PrivateKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Bytes<MAX_TERMINAL_CERTIFICATE>, Error> {
        let mut body = Bytes::<MAX_TERMINAL_CERTIFICATE>::new();
        self.body(&mut body)?;
        let signature = key.sign(&[&body], rng)?;
        let mut out = Bytes::new();
        tlv::put_template(&mut out, 0x7F21, &|out| {
            out.put(&body)?;
            tlv::put(out, 0x5F37, &signature)
        })?;
        Ok(out)
    }

    /// Parses a 7F21 object and checks its signature under `issuer`.
    ///
    /// # Errors
    /// [`Error::Malformed`], or [`Error::Crypto`] when signature or point are wrong.
    pub fn parse_and_verify(bytes: &[u8], issuer: &PublicKey) -> Result<Self, Error> {
        let (certificate, body, signature) = Self::parse(bytes)?;
        issuer.verify(&[body], &signature)?;
        Ok(certificate)
    }

    /// Parses a 7F21 object without checking the signature: what it says of itself, the signed bytes, the signature.
    ///
    /// # Errors
    /// [`Error::Malformed`], or [`Error::Crypto`] for a point off the curve.
    pub fn parse(bytes: &[u8]) -> Result<(Self, &[u8], [u8; 64]), Error> {
        if bytes.len() > MAX_TERMINAL_CERTIFICATE {
            return Err(MALFORMED);
        }
        let outer = tlv::parse_only(bytes)?;
        if outer.tag != 0x7F21 {
            return Err(MALFORMED);
        }
        let mut fields = Fields::new(outer.value, &[0x7F4E, 0x5F37], WHAT);
        let body = fields.required(0x7F4E)?;
        let signature = fields.array(0x5F37)?;
        fields.end()?;
        let mut fields = Fields::new(
            body.value,
            &[0x5F29, 0x42, 0x7F49, 0x5F20, 0x7F4C, 0x5F25, 0x5F24],
            WHAT,
        );
        if fields.array(0x5F29)? != [0x00] {
            return Err(MALFORMED);
        }
        let issuer = CertificateName(fields.array(0x42)?);
        let key = fields.required(0x7F49)?.value;
        let holder = CertificateName(fields.array(0x5F20)?);
        let template = fields.required(0x7F4C)?.value;
        let effective = Date::from_six_digits(fields.array(0x5F25)?)?;
        let expiry = Date::from_six_digits(fields.array(0x5F24)?)?;
        fields.end()?;
        let mut fields = Fields::new(key, &[0x06, 0x86], WHAT);
        if fields.required(0x06)?.value != OID_TA_ECDSA_SHA256 {
            return Err(MALFORMED);
        }
        let public = PublicKey::from_point65(&fields.array(0x86)?)?;
        fields.end()?;
        let mut fields = Fields::new(template, &[0x06, 0x53], WHAT);
        if fields.required(0x06)?.value != OID_RIGHTS {
            return Err(MALFORMED);
        }
        let rights = Rights::from_bytes(fields.array(0x53)?)?;
        fields.end()?;
        Ok((
            Self {
                issuer,
                public,
                holder,
                rights,
                effective,
                expiry,
            },
            body.raw,
            signature,
        ))
    }

    /// True when the first day is not after the last.
    #[must_use]
    pub fn has_sound_dates(&self) -> bool {
        self.effective <= self.expiry
    }

    /// True when this could be a leaf: it lives at most [`MAX_LEAF_DAYS`] days.
    #[must_use]
    pub fn is_short_lived(&self) -> bool {
        self.has_sound_dates()
            && self
                .expiry
                .day_number()
                .saturating_sub(self.effective.day_number())
                <= MAX_LEAF_DAYS
    }
}
