//! Door S (chapter 07), terminal side: certificates, key agreement, secure channel, objects. Each step is a type: a card
//! whose certificates were not accepted has no `agree`, and a card that did not prove its key has no `read`.
//!
//! The checks of [`crate::genuine`] are made here and nowhere else. Left out: any retry (the caller resets, selects and
//! begins anew with fresh randomness), and resuming a session (there is none after an error).

use card_applet_spec::apdu::{Header, StatusWord};
use card_applet_spec::bytes::Reader;
use card_applet_spec::certificate::{CARD_CERTIFICATE_LEN, CardCertificate};
use card_applet_spec::codes::{Domain, Rights, Role, Serial};
use card_applet_spec::crypto::{PrivateKey, PublicKey, sha256};
use card_applet_spec::data_group::{
    Dg1, Dg2, Dg3, MAX_DG1, MAX_DG2, MAX_DG3, MAX_SIGNATURE_OBJECT, SignatureObject,
};
use card_applet_spec::date::Date;
use card_applet_spec::door_s::{Agree, AgreeAnswer, MAX_READ, Object, SlotObject, read_request};
use card_applet_spec::scp03::Channel;
use card_applet_spec::script::Status;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::bundle::{Anchors, Bundle, Chain};
use crate::card::{Card, Selected};
use crate::enrol::TerminalKey;
use crate::error::{Check, Error, Step};
use crate::genuine::{Admission, Chip, DataGroups, Evidence, Genuine};
use crate::transport::Transport;

/// The card has accepted both certificates of the terminal.
pub struct Presented {
    chain: Chain,
    anchors: Anchors,
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presented")
            .field("rights", &self.chain.rights())
            .finish_non_exhaustive()
    }
}

/// The card has proved its key, and a secure channel stands. Debug does not print the card's key: it names one card.
pub struct Secure {
    channel: Channel,
    certificate: CardCertificate,
    certificate_bytes: [u8; CARD_CERTIFICATE_LEN],
    rights: Rights,
    anchors: Anchors,
}

impl std::fmt::Debug for Secure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secure")
            .field("domain", &self.certificate.domain)
            .field("rights", &self.rights)
            .finish_non_exhaustive()
    }
}

impl<T: Transport> Card<T, Selected> {
    /// S1: shows the card the terminal's two certificates.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]: `BUNDLE_EXPIRED` behind the last day of the bundle or its leaf; `CLOCK_WRONG` before a day that the
    /// office has signed; `WRONG_ROLE` without certificates in the bundle or with empty rights; `FOREIGN_CARD` when the card
    /// does not know the authority; `NOT_ACTIVE` when the card takes no certificates in its state. Else
    /// [`Error::CardRefused`], [`Error::Transport`].
    pub fn present(mut self, bundle: &Bundle, today: Date) -> Result<Card<T, Presented>, Error> {
        bundle.check_days(today)?;
        let chain = bundle.chain().ok_or(Check::BundleRole)?.clone();
        if !chain.is_valid_on(today) {
            return Err(Check::BundleDays.into());
        }
        for (place, certificate) in [(0, &chain.intermediate), (1, &chain.leaf)] {
            let step = Step::PresentCertificate;
            let (_, status) = self.send(step, Header::present_certificate(place), certificate, None)?;
            if !status.is_ok() {
                return Err(certificate_refused(status, &chain));
            }
        }
        let anchors = *bundle.anchors();
        Ok(self.with_state(Presented { chain, anchors }))
    }
}

fn certificate_refused(status: StatusWord, chain: &Chain) -> Error {
    match status {
        StatusWord::NOT_FOUND | StatusWord::SECURITY => Check::TerminalCertificate.into(),
        StatusWord::WRONG_DATA if chain.rights().is_empty() => Check::TerminalRights.into(),
        StatusWord::CONDITIONS => Check::CardState.into(),
        _ => Error::CardRefused {
            step: Step::PresentCertificate,
            status: status.0,
        },
    }
}

impl<T: Transport> Card<T, Presented> {
    /// S2 and S3: asks for `rights`, agrees on keys, and accepts the card only if it proves that it is genuine.
    ///
    /// The rights are the card's to judge: asking for more than the certificates give is refused by the card.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]: `WRONG_ROLE` for rights that the certificates do not give or that no single key of the card
    /// serves; `BUNDLE_EXPIRED` when the certificates ended before the card's date floor or are of an epoch before its
    /// own; `NOT_ACTIVE`; `EXPIRED` outside the days of the card's certificate; `NOT_GENUINE`. Else
    /// [`Error::CardRefused`], [`Error::BadAnswer`], [`Error::Transport`].
    pub fn agree(
        mut self,
        rights: Rights,
        key: &TerminalKey,
        today: Date,
        rng: &mut impl CryptoRng,
    ) -> Result<Card<T, Secure>, Error> {
        let (body, status) = self.send(Step::Challenge, Header::GET_CHALLENGE, &[], Some(0x10))?;
        if !status.is_ok() {
            return Err(Error::CardRefused {
                step: Step::Challenge,
                status: status.0,
            });
        }
        let challenge = <[u8; 16]>::try_from(body.as_slice()).map_err(|_| Error::BadAnswer {
            step: Step::Challenge,
        })?;

        let ephemeral = PrivateKey::generate(rng);
        let chain = &self.state().chain;
        let request = Agree::sign(
            rights,
            &ephemeral.public(),
            &challenge,
            &chain.leaf,
            key.authentication(),
            rng,
        )
        .map_err(|_| Check::AgreementForm)?;
        let data = request.encode().map_err(|_| Check::AgreementForm)?;
        let (body, status) = self.send(Step::Agree, Header::AGREE, &data, Some(0x00))?;
        if !status.is_ok() {
            return Err(agreement_refused(status, rights, &self.state().chain));
        }

        let Presented { chain, anchors } = self.state();
        let secure = accept(&body, &request, &challenge, &ephemeral, chain, anchors, today)?;
        Ok(self.with_state(secure))
    }
}

fn agreement_refused(status: StatusWord, rights: Rights, chain: &Chain) -> Error {
    match status {
        // Said here and not at S1: the card compares dates only with a terminal that has proved its key.
        StatusWord::ENDED => Check::CertificateEnded.into(),
        StatusWord::CONDITIONS => Check::CardState.into(),
        StatusWord::SECURITY if rights.is_empty() || !chain.rights().contains(rights) => {
            Check::TerminalRights.into()
        }
        StatusWord::WRONG_DATA if rights.domain().is_none() => Check::TerminalRights.into(),
        _ => Error::CardRefused {
            step: Step::Agree,
            status: status.0,
        },
    }
}

/// The checks that make a card genuine, in the order in which they can be made: form and points, the certificate's
/// signature, domain and days, and the MAC under both secrets.
fn accept(
    body: &[u8],
    request: &Agree,
    challenge: &[u8; 16],
    ephemeral: &PrivateKey,
    chain: &Chain,
    anchors: &Anchors,
    today: Date,
) -> Result<Secure, Check> {
    let answer = AgreeAnswer::parse(body).map_err(|_| Check::AgreementForm)?;
    let card_ephemeral = PublicKey::from_point65(&answer.point).map_err(|_| Check::AgreementForm)?;
    let certificates = sha256(&[&chain.intermediate, &chain.leaf]);
    let transcript = request.transcript(&certificates, challenge, &answer.point);

    let z1 = ephemeral.agree(&card_ephemeral);
    let certificate_bytes = transcript
        .open_certificate(&z1, &answer.sealed_certificate)
        .map_err(|_| Check::CertificateForm)?;
    let certificate = CardCertificate::parse(&certificate_bytes).map_err(|_| Check::CertificateForm)?;
    let card_key = certificate
        .verify(&anchors.card_ca)
        .map_err(|_| Check::CertificateSignature)?;
    if Some(certificate.domain) != request.rights.domain() {
        return Err(Check::CertificateForm);
    }

    let z2 = ephemeral.agree(&card_key);
    let agreed = transcript.agree(&z1, &z2, &answer.sealed_certificate, &certificate_bytes);
    answer.verify(&agreed).map_err(|_| Check::KeyProof)?;
    // Last, so that "expired" is only ever said of a genuine card.
    if today < certificate.from {
        return Err(Check::CertificateNotYet);
    }
    if certificate.to < today {
        return Err(Check::CertificateDays);
    }
    Ok(Secure {
        channel: Channel::new(agreed.keys),
        certificate,
        certificate_bytes,
        rights: request.rights,
        anchors: *anchors,
    })
}

/// Most bytes of an object, as chapter 02 and 03 bound them.
fn room(object: Object) -> usize {
    match object {
        Object::Dg1 => MAX_DG1,
        Object::Dg2 => MAX_DG2,
        Object::Dg3 => MAX_DG3,
        Object::Signature => MAX_SIGNATURE_OBJECT,
        Object::Newest(_) | Object::Older(_) => SlotObject::LEN,
        Object::Serial => 10,
        Object::Status => 59,
    }
}

impl<T: Transport> Card<T, Secure> {
    /// The card as such: genuine, and nothing of its holder.
    pub fn chip(&self) -> Genuine<Chip> {
        let certificate = &self.state().certificate;
        let chip = Chip {
            domain: certificate.domain,
            from: certificate.from,
            to: certificate.to,
        };
        Genuine::earned(chip, self.evidence(None))
    }

    /// The rights of this session.
    pub fn rights(&self) -> Rights {
        self.state().rights
    }

    /// The certified key that proved itself, `X || Y`.
    pub(crate) fn card_key(&self) -> &[u8; 64] {
        &self.state().certificate.public64
    }

    pub(crate) fn domain(&self) -> Domain {
        self.state().certificate.domain
    }

    fn evidence(&self, signature_object: Option<Vec<u8>>) -> Evidence {
        Evidence {
            card_certificate: self.state().certificate_bytes,
            signature_object,
        }
    }

    /// One command through the channel.
    fn command(&mut self, step: Step, header: Header, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let command = self
            .state_mut()
            .channel
            .wrap_command(header, data)
            .map_err(|_| Error::BadAnswer { step })?;
        let answer = self.exchange(&command)?;
        let (body, status) = self
            .state_mut()
            .channel
            .unwrap_answer(&answer)
            .map_err(|_| Check::ChannelMac)?;
        if !status.is_ok() {
            return Err(Error::CardRefused {
                step,
                status: status.0,
            });
        }
        Ok(Zeroizing::new(body.to_vec()))
    }

    /// Reads a whole object, piece by piece.
    fn object(&mut self, object: Object) -> Result<Zeroizing<Vec<u8>>, Error> {
        let most = room(object);
        // Room for all of it at once: a vector that grows leaves copies of personal data behind.
        let mut out = Zeroizing::new(Vec::with_capacity(most));
        let mut expected = None;
        loop {
            let offset = u16::try_from(out.len()).map_err(|_| Check::ObjectForm)?;
            let header = Header::read_object(object.code());
            let piece = self
                .command(Step::ReadObject, header, &read_request(offset, MAX_READ))
                .map_err(|error| self.without_right(object, error))?;
            let mut reader = Reader::new(&piece, "object");
            let total = usize::from(reader.u16().map_err(|_| Check::ObjectForm)?);
            let bytes = reader.rest();
            let sound = (1..=most).contains(&total)
                && expected.is_none_or(|expected| expected == total)
                && !bytes.is_empty()
                && bytes.len() <= usize::from(MAX_READ)
                && out.len().saturating_add(bytes.len()) <= total;
            if !sound {
                return Err(Check::ObjectForm.into());
            }
            expected = Some(total);
            out.extend_from_slice(bytes);
            if out.len() == total {
                return Ok(out);
            }
        }
    }

    /// A refusal for a right that this session does not have is the terminal's fault, and is said so.
    fn without_right(&self, object: Object, error: Error) -> Error {
        let rights = self.rights();
        let office_only = matches!(object, Object::Newest(role) | Object::Older(role) if role.has_door_f());
        let may =
            rights.intersects(object.readable_with()) && (!office_only || rights.contains(Rights::VERIFY));
        match error {
            Error::CardRefused { status, .. } if status == StatusWord::SECURITY.0 && !may => {
                Check::TerminalRights.into()
            }
            error => error,
        }
    }

    /// Reads data groups with their signature object, and accepts them only as this card's own. `groups` holds the
    /// rights IDENTITY, PORTRAIT, PERMIT for DG1, DG2, DG3; others are ignored.
    ///
    /// # Errors
    ///
    /// `NOT_GENUINE` when the signature object is not signed, is for another card, or does not cover a group;
    /// `WRONG_ROLE` for a group that the session may not read; [`Error::CardRefused`]; [`Error::Transport`].
    pub fn read_groups(mut self, groups: Rights) -> Result<(Self, Genuine<DataGroups>), Error> {
        let encoded = self.object(Object::Signature)?;
        let signature_object = SignatureObject::parse(&encoded).map_err(|_| Check::SignatureObject)?;
        // Bound to the PERSON key that proved itself in this session, or to nobody.
        if self.domain() != Domain::Person || signature_object.card_key != sha256(&[self.card_key()]) {
            return Err(Check::SignatureObjectBinding.into());
        }
        signature_object
            .verify(&self.state().anchors.document_signer, self.card_key())
            .map_err(|_| Check::SignatureObject)?;

        let mut read = DataGroups {
            dg1: None,
            dg2: None,
            dg3: None,
            signature_object,
        };
        if groups.contains(Rights::IDENTITY) {
            let bytes = self.covered(Object::Dg1, 1, &signature_object)?;
            Dg1::parse(&bytes).map_err(|_| Check::ObjectForm)?;
            read.dg1 = Some(bytes);
        }
        if groups.contains(Rights::PORTRAIT) {
            let bytes = self.covered(Object::Dg2, 2, &signature_object)?;
            Dg2::parse(&bytes).map_err(|_| Check::ObjectForm)?;
            read.dg2 = Some(bytes);
        }
        if groups.contains(Rights::PERMIT) {
            let bytes = self.covered(Object::Dg3, 3, &signature_object)?;
            Dg3::parse(&bytes).map_err(|_| Check::ObjectForm)?;
            read.dg3 = Some(bytes);
        }
        let evidence = self.evidence(Some(encoded.to_vec()));
        Ok((self, Genuine::earned(read, evidence)))
    }

    fn covered(
        &mut self,
        object: Object,
        number: u8,
        signature_object: &SignatureObject,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let bytes = self.object(object)?;
        if !signature_object.covers(number, &bytes) {
            return Err(Check::GroupDigest.into());
        }
        Ok(bytes)
    }

    /// Reads the record of a role and applies every rule: key version, signature, binding to the key of this session,
    /// days, zones, deny list. Where the terminal does not hold the newest key version, the other live slot is read.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `LIST_TOO_OLD`, `NOT_ACTIVE` (nothing there that this terminal can open), `WRONG_ROLE`,
    /// `NOT_GENUINE`, `EXPIRED`, `DENIED`; [`Error::CardRefused`]; [`Error::Transport`].
    pub fn read_entitlement(
        mut self,
        role: Role,
        bundle: &Bundle,
        today: Date,
    ) -> Result<(Self, Genuine<Admission>), Error> {
        bundle.check_days(today)?;
        if !bundle.serves(role) {
            return Err(Check::BundleRole.into());
        }
        bundle.check_deny_list_age(role, today)?;
        let mut slot = self.slot(Object::Newest(role))?;
        if !bundle.holds(role, slot.kv, today) {
            slot = self.slot(Object::Older(role))?;
        }
        let opened = bundle.open_record(role, slot.kv, &slot.pid, &slot.record, today)?;
        if role.domain() != self.domain() || !opened.entitlement.is_bound_to(self.card_key(), &slot.pid) {
            return Err(Check::RecordBinding.into());
        }
        bundle.apply_rules(&opened.entitlement, &slot.pid, today)?;
        let admission = Admission::new(&opened.entitlement, opened.region);
        let evidence = self.evidence(None);
        Ok((self, Genuine::earned(admission, evidence)))
    }

    /// One slot as it stands. Absence (6A88, which anybody on the wire can say) is `NOT_ACTIVE`.
    fn slot(&mut self, object: Object) -> Result<SlotObject, Error> {
        let bytes = self.object(object).map_err(|error| match error {
            Error::CardRefused { status, .. } if status == StatusWord::NOT_FOUND.0 => Check::Keys.into(),
            error => error,
        })?;
        SlotObject::parse(&bytes).map_err(|_| Check::ObjectForm.into())
    }

    /// The newest live slot of a role: key version, pseudonym, sealed record.
    pub(crate) fn newest_slot(mut self, role: Role) -> Result<(Self, SlotObject), Error> {
        let slot = self.slot(Object::Newest(role))?;
        Ok((self, slot))
    }

    /// The card's serial (right ISSUER).
    ///
    /// # Errors
    ///
    /// `WRONG_ROLE` without the right; `NOT_GENUINE`; [`Error::CardRefused`]; [`Error::Transport`].
    pub fn serial(mut self) -> Result<(Self, Serial), Error> {
        let bytes = self.object(Object::Serial)?;
        let serial = <[u8; 10]>::try_from(bytes.as_slice()).map_err(|_| Check::ObjectForm)?;
        Ok((self, Serial(serial)))
    }

    /// State, script, failure counter, date floor and epoch (right VERIFY or ISSUER).
    ///
    /// # Errors
    ///
    /// As [`Card::serial`].
    pub fn status(mut self) -> Result<(Self, Status), Error> {
        let bytes = self.object(Object::Status)?;
        let status = Status::parse(&bytes).map_err(|_| Check::ObjectForm)?;
        Ok((self, status))
    }

    /// Sets door I's failure counter back to zero (right ISSUER).
    ///
    /// # Errors
    ///
    /// As [`Card::serial`].
    pub fn reset_counter(mut self) -> Result<Self, Error> {
        self.command(Step::ResetCounter, Header::RESET_COUNTER, &[])?;
        Ok(self)
    }
}
