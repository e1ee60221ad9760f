//! Door S from the terminal's side (chapter 07): certificates with any content, every byte of AGREE in the hand of a case.

use card_applet_spec::apdu::Header;
use card_applet_spec::certificate::{CardCertificate, CertificateName, OID_RIGHTS, OID_TA_ECDSA_SHA256};
use card_applet_spec::codes::{Domain, Rights};
use card_applet_spec::crypto::{PrivateKey, PublicKey, sha256};
use card_applet_spec::date::Date;
use card_applet_spec::door_s::{Agree, AgreeAnswer, MAX_READ, Object, read_request};
use card_applet_spec::scp03::Channel;

use crate::conformance::check::{Check, Stop, ensure, failed};
use crate::conformance::keys::EPOCH;
use crate::conformance::test_rig::{Answer, TestRig, encode};

/// One TLV object with a tag of one or two bytes and a minimal length.
pub(crate) fn tlv(tag: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = tag.to_vec();
    match u8::try_from(value.len()) {
        Ok(short @ 0..=0x7F) => out.push(short),
        Ok(long) => out.extend([0x81, long]),
        Err(_) => {
            let length = u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes();
            out.push(0x82);
            out.extend(length);
        }
    }
    out.extend(value);
    out
}

/// A terminal certificate with any content, right or wrong.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) profile: Vec<u8>,
    pub(crate) issuer: [u8; 16],
    pub(crate) algorithm: Vec<u8>,
    pub(crate) point: Vec<u8>,
    pub(crate) holder: [u8; 16],
    pub(crate) oid: Vec<u8>,
    pub(crate) rights: [u8; 4],
    pub(crate) effective: [u8; 6],
    pub(crate) expiry: [u8; 6],
    /// An object put behind the profile, which a reader skips or refuses.
    pub(crate) extra: Vec<u8>,
}

impl Draft {
    /// A right one.
    pub(crate) fn new(
        issuer: CertificateName,
        holder: CertificateName,
        key: &PublicKey,
        rights: Rights,
        effective: Date,
        expiry: Date,
    ) -> Self {
        Self {
            profile: vec![0x00],
            issuer: issuer.0,
            algorithm: OID_TA_ECDSA_SHA256.to_vec(),
            point: key.to_point65().to_vec(),
            holder: holder.0,
            oid: OID_RIGHTS.to_vec(),
            rights: rights.to_bytes(),
            effective: effective.to_six_digits(),
            expiry: expiry.to_six_digits(),
            extra: Vec::new(),
        }
    }

    /// The 7F4E object.
    pub(crate) fn body(&self) -> Vec<u8> {
        let key = [tlv(&[0x06], &self.algorithm), tlv(&[0x86], &self.point)].concat();
        let rights = [tlv(&[0x06], &self.oid), tlv(&[0x53], &self.rights)].concat();
        let inside = [
            tlv(&[0x5F, 0x29], &self.profile),
            self.extra.clone(),
            tlv(&[0x42], &self.issuer),
            tlv(&[0x7F, 0x49], &key),
            tlv(&[0x5F, 0x20], &self.holder),
            tlv(&[0x7F, 0x4C], &rights),
            tlv(&[0x5F, 0x25], &self.effective),
            tlv(&[0x5F, 0x24], &self.expiry),
        ]
        .concat();
        tlv(&[0x7F, 0x4E], &inside)
    }

    /// The 7F21 object, signed.
    pub(crate) fn sign(&self, key: &PrivateKey, rig: &mut TestRig<'_>) -> Result<Vec<u8>, Stop> {
        let body = self.body();
        let signature = key.sign(&[&body], rig.rng())?;
        Ok(certificate(&body, &signature))
    }
}

/// A 7F21 object of a body and a signature.
pub(crate) fn certificate(body: &[u8], signature: &[u8]) -> Vec<u8> {
    tlv(&[0x7F, 0x21], &[body, &tlv(&[0x5F, 0x37], signature)].concat())
}

/// What a chain says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) intermediate: Rights,
    pub(crate) leaf: Rights,
    pub(crate) epoch: u16,
    /// Days from today: the intermediate's first and last, the leaf's first and last.
    pub(crate) days: [i32; 4],
}

impl Plan {
    /// A chain that every card of the suite accepts, with these rights.
    pub(crate) const fn with(rights: Rights) -> Self {
        Self {
            intermediate: rights,
            leaf: rights,
            epoch: EPOCH,
            days: [-10, 300, 0, 6],
        }
    }
}

/// Intermediate and leaf, with the leaf's key.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) intermediate: Vec<u8>,
    pub(crate) leaf: Vec<u8>,
    pub(crate) leaf_key: PrivateKey,
    pub(crate) intermediate_key: PrivateKey,
    pub(crate) leaf_draft: Draft,
}

impl Chain {
    /// Signs a chain under the test terminal CA.
    pub(crate) fn make(rig: &mut TestRig<'_>, plan: Plan) -> Result<Self, Stop> {
        let keys = rig.keys()?;
        let intermediate_key = PrivateKey::generate(rig.rng());
        let leaf_key = PrivateKey::generate(rig.rng());
        let (middle, end) = (
            CertificateName::new("YZTTESTIM", plan.epoch, 1),
            CertificateName::new("YZTTESTTM", 0, 1),
        );
        let [first, last, leaf_first, leaf_last] = plan.days;
        let intermediate = Draft::new(
            keys.root_name(),
            middle,
            &intermediate_key.public(),
            plan.intermediate,
            rig.day(first)?,
            rig.day(last)?,
        )
        .sign(&keys.terminal_root, rig)?;
        let leaf_draft = Draft::new(
            middle,
            end,
            &leaf_key.public(),
            plan.leaf,
            rig.day(leaf_first)?,
            rig.day(leaf_last)?,
        );
        let leaf = leaf_draft.sign(&intermediate_key, rig)?;
        Ok(Self {
            intermediate,
            leaf,
            leaf_key,
            intermediate_key,
            leaf_draft,
        })
    }

    /// S1 twice, both accepted.
    pub(crate) fn present(&self, rig: &mut TestRig<'_>) -> Check {
        present(rig, 0, &self.intermediate)?.ok("S1 with the intermediate")?;
        present(rig, 1, &self.leaf)?.ok("S1 with the leaf")?;
        Ok(())
    }
}

/// PRESENT CERTIFICATE.
pub(crate) fn present(rig: &mut TestRig<'_>, place: u8, certificate: &[u8]) -> Result<Answer, Stop> {
    rig.send(&encode([0x80, 0x20, place, 0x00], certificate, None))
}

/// GET CHALLENGE, accepted.
pub(crate) fn challenge(rig: &mut TestRig<'_>) -> Result<[u8; 16], Stop> {
    let body = rig.send(&[0x00, 0x84, 0x00, 0x00, 0x10])?.ok("GET CHALLENGE")?;
    match body.try_into() {
        Ok(challenge) => Ok(challenge),
        Err(_) => failed("GET CHALLENGE does not answer 16 bytes"),
    }
}

/// The data of AGREE with any bytes in it, signed by the leaf key over what is sent.
pub(crate) fn agree_data(
    rig: &mut TestRig<'_>,
    chain: &Chain,
    challenge: &[u8; 16],
    rights: [u8; 4],
    point: &[u8; 65],
) -> Result<Vec<u8>, Stop> {
    let leaf = sha256(&[&chain.leaf]);
    let signature = chain.leaf_key.sign(
        &[b"YZT-S-TA-1", &[0x01], &rights, challenge, point, &leaf],
        rig.rng(),
    )?;
    Ok([&[0x01][..], &rights, point, &signature].concat())
}

/// AGREE.
pub(crate) fn agree(rig: &mut TestRig<'_>, data: &[u8]) -> Result<Answer, Stop> {
    rig.command(Header::AGREE.to_bytes(), data)
}

/// Runs S1 to S3 with a fresh point and gives the answer of AGREE, whatever it is.
pub(crate) fn try_agree(rig: &mut TestRig<'_>, chain: &Chain, rights: [u8; 4]) -> Result<Answer, Stop> {
    rig.select()?;
    chain.present(rig)?;
    let rc = challenge(rig)?;
    let point = PrivateKey::generate(rig.rng()).public().to_point65();
    let data = agree_data(rig, chain, &rc, rights, &point)?;
    agree(rig, &data)
}

/// An open door S.
#[derive(Debug)]
pub(crate) struct DoorS {
    channel: Channel,
    pub(crate) certificate: CardCertificate,
    /// The card's ephemeral point.
    pub(crate) point: [u8; 65],
}

impl DoorS {
    /// Resets, selects, and opens door S for these rights with a chain that has every right.
    pub(crate) fn open(rig: &mut TestRig<'_>, rights: Rights) -> Result<Self, Stop> {
        let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
        Self::open_with(rig, &chain, rights)
    }

    /// As [`DoorS::open`], with a given chain. The card's certificate, its domain and its MAC are checked.
    pub(crate) fn open_with(rig: &mut TestRig<'_>, chain: &Chain, rights: Rights) -> Result<Self, Stop> {
        let keys = rig.keys()?;
        rig.select()?;
        chain.present(rig)?;
        let rc = challenge(rig)?;
        let ephemeral = PrivateKey::generate(rig.rng());
        let request = Agree::sign(
            rights,
            &ephemeral.public(),
            &rc,
            &chain.leaf,
            &chain.leaf_key,
            rig.rng(),
        )?;
        let body = agree(rig, &request.encode()?)?.ok("AGREE")?;
        if body.len() != 241 {
            return failed(format!("AGREE answers {} bytes instead of 241", body.len()));
        }
        let answer = AgreeAnswer::parse(&body)?;
        let Ok(point) = PublicKey::from_point65(&answer.point) else {
            return failed("the card's ephemeral point is not on the curve");
        };
        let certificates = sha256(&[&chain.intermediate, &chain.leaf]);
        let transcript = request.transcript(&certificates, &rc, &answer.point);
        let z1 = ephemeral.agree(&point);
        let opened = transcript.open_certificate(&z1, &answer.sealed_certificate)?;
        let Ok(certificate) = CardCertificate::parse(&opened) else {
            return failed("what Ecert holds is no card certificate");
        };
        let Ok(fixed) = certificate.verify(&keys.card_ca.public()) else {
            return failed("the card certificate is not signed by the card CA");
        };
        ensure(
            rights.domain() == Some(certificate.domain),
            "the card certificate is that of another domain",
        )?;
        let z2 = ephemeral.agree(&fixed);
        let agreed = transcript.agree(&z1, &z2, &answer.sealed_certificate, &opened);
        if answer.verify(&agreed).is_err() {
            return failed("the MAC of AGREE is wrong: the card does not prove its static key");
        }
        Ok(Self {
            channel: Channel::new(agreed.keys),
            certificate,
            point: answer.point,
        })
    }

    /// A wrapped command.
    pub(crate) fn call(
        &mut self,
        rig: &mut TestRig<'_>,
        header: Header,
        data: &[u8],
    ) -> Result<Answer, Stop> {
        let command = self.channel.wrap_command(header, data)?;
        let answer = rig.send(&command)?;
        let whole = [&answer.body[..], &answer.sw.to_be_bytes()].concat();
        let Ok((body, status)) = self.channel.unwrap_answer(&whole) else {
            return failed("the MAC or the padding of an answer in door S is wrong");
        };
        if !status.carries_mac() && !answer.body.is_empty() {
            return failed("bytes stand before a status that carries no MAC");
        }
        Ok(Answer {
            body: body.to_vec(),
            sw: answer.sw,
        })
    }

    /// READ OBJECT as it goes over the wire, for cases that change or repeat it.
    pub(crate) fn wrapped_read(&mut self, object: Object) -> Result<Vec<u8>, Stop> {
        let request = read_request(0, 16);
        Ok(self
            .channel
            .wrap_command(Header::read_object(object.code()), &request)?
            .to_vec())
    }

    /// One READ OBJECT.
    pub(crate) fn read_part(
        &mut self,
        rig: &mut TestRig<'_>,
        object: u8,
        offset: u16,
        length: u8,
    ) -> Result<Answer, Stop> {
        self.call(rig, Header::read_object(object), &read_request(offset, length))
    }

    /// A whole object, part by part; the total must be the same in each.
    pub(crate) fn read(&mut self, rig: &mut TestRig<'_>, object: Object) -> Result<Vec<u8>, Stop> {
        let mut bytes = Vec::new();
        let mut said = None;
        while said.is_none_or(|total| bytes.len() < usize::from(total)) {
            let offset = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            let part = self
                .read_part(rig, object.code(), offset, MAX_READ)?
                .ok(&format!("READ OBJECT {:02X}", object.code()))?;
            let Some((&[high, low], data)) = part.split_first_chunk::<2>() else {
                return failed("READ OBJECT answers less than the total");
            };
            let total = u16::from_be_bytes([high, low]);
            ensure(
                said.is_none_or(|before| before == total),
                "the total of an object changes",
            )?;
            ensure(!data.is_empty(), "READ OBJECT gives no bytes before the end")?;
            said = Some(total);
            bytes.extend_from_slice(data);
        }
        ensure(
            said == u16::try_from(bytes.len()).ok(),
            "READ OBJECT gives more than the total",
        )?;
        Ok(bytes)
    }
}

/// Opens door S with ISSUER and VERIFY and resets door I's failure counter.
pub(crate) fn reset_counter(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorS::open(rig, Rights::ISSUER.union(Rights::VERIFY))?;
    door.call(rig, Header::RESET_COUNTER, &[])?.ok("RESET COUNTER")?;
    Ok(())
}

/// Rights that ask for one domain each.
pub(crate) fn rights_of(domain: Domain) -> Rights {
    match domain {
        Domain::Person => Rights::IDENTITY,
        Domain::Clinic => Rights::role(card_applet_spec::codes::Role::Clinic),
        Domain::SocialInsurance => Rights::role(card_applet_spec::codes::Role::SocialInsurance),
    }
}
