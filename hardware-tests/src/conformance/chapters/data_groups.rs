//! Chapter 02: card info, the serial, the groups as they were written, the card certificate.

use card_applet_spec::certificate::CardCertificate;
use card_applet_spec::codes::{Domain, Rights};
use card_applet_spec::crypto::PublicKey;
use card_applet_spec::data_group::SignatureObject;
use card_applet_spec::door_s::Object;

use crate::conformance::case::{Case, Class, case};
use crate::conformance::check::{Check, ensure, failed};
use crate::conformance::phase::Phase;
use crate::conformance::terminal::{DoorS, rights_of, tlv};
use crate::conformance::test_rig::TestRig;

pub(super) const CASES: &[Case] = &[
    case(
        "02.01",
        "02 Card info",
        Class::Outside,
        Phase::AsLaid,
        "",
        "card info is exactly the bytes of this profile, with or without tag 83",
        card_info,
    ),
    case(
        "02.02",
        "02 Card info",
        Class::Outside,
        Phase::Blank,
        "",
        "a BLANK shows its serial of 10 bytes, the same each time",
        serial,
    ),
    case(
        "02.03",
        "02 Card info",
        Class::Outside,
        Phase::AsLaid,
        "",
        "GET DATA of any other tag is 6A88",
        other_tags,
    ),
    case(
        "02.04",
        "02 Card info",
        Class::Keys,
        Phase::Personalised,
        "",
        "from the first script on the serial is 6A88 over the air and readable by ISSUER in door S only",
        serial_is_hidden,
    ),
    case(
        "02.05",
        "02 DG1, DG2, DG3",
        Class::Keys,
        Phase::Active,
        "",
        "each group is read back byte by byte as it was written, the longest portrait included",
        groups,
    ),
    case(
        "02.06",
        "02 Signature object",
        Class::Keys,
        Phase::Active,
        "",
        "the signature object holds under the document signer and names the card's PERSON key",
        signature,
    ),
    case(
        "02.07",
        "02 Card certificate",
        Class::Keys,
        Phase::Active,
        "",
        "each domain has a certificate of its own key and a random id of its own",
        certificates,
    ),
];

fn card_info(rig: &mut TestRig<'_>) -> Check {
    let seen = rig.select()?;
    let aid = tlv(&[0x84], &card_applet_spec::codes::AID);
    let old = [
        tlv(&[0x80], &[0x01, 0x00]),
        tlv(&[0x81], &[0x00, 0x01]),
        tlv(&[0x82], &[0x01]),
    ]
    .concat();
    let new = [&old[..], &tlv(&[0x83], &[0x01])].concat();
    let info = |inside: &[u8]| tlv(&[0x6F], &[&aid[..], &tlv(&[0xA5], inside)].concat());
    ensure(
        seen == info(&new) || seen == info(&old),
        format!("card info is {}", hex::encode(&seen)),
    )
}

fn serial(rig: &mut TestRig<'_>) -> Check {
    let first = rig
        .send(&[0x80, 0xCA, 0x00, 0x45, 0x00])?
        .ok("GET DATA of the serial")?;
    ensure(first.len() == 10, format!("the serial has {} bytes", first.len()))?;
    rig.select()?;
    let again = rig
        .send(&[0x80, 0xCA, 0x00, 0x45, 0x00])?
        .ok("GET DATA of the serial")?;
    ensure(first == again, "the serial changes")
}

fn other_tags(rig: &mut TestRig<'_>) -> Check {
    for (high, low) in [
        (0x00, 0x00),
        (0x00, 0x42),
        (0x00, 0x46),
        (0x00, 0x66),
        (0x9F, 0x7F),
        (0xFF, 0xFF),
    ] {
        rig.select()?;
        rig.send(&[0x80, 0xCA, high, low, 0x00])?
            .is(0x6A88, &format!("GET DATA {high:02X}{low:02X}"))?;
    }
    Ok(())
}

fn serial_is_hidden(rig: &mut TestRig<'_>) -> Check {
    rig.send(&[0x80, 0xCA, 0x00, 0x45, 0x00])?
        .is(0x6A88, "GET DATA of the serial")?;
    let mut door = DoorS::open(rig, Rights::ISSUER.union(Rights::VERIFY))?;
    let seen = door.read(rig, Object::Serial)?;
    ensure(
        seen == rig.serial()?.0,
        "door S gives another serial than the blank showed",
    )
}

fn groups(rig: &mut TestRig<'_>) -> Check {
    let all = Rights::IDENTITY.union(Rights::PORTRAIT).union(Rights::PERMIT);
    let mut door = DoorS::open(rig, all)?;
    for (at, object) in [Object::Dg1, Object::Dg2, Object::Dg3, Object::Signature]
        .into_iter()
        .enumerate()
    {
        let seen = door.read(rig, object)?;
        ensure(
            seen == rig.fixture.objects[at],
            format!("object {:02X} is not what was written", object.code()),
        )?;
    }
    Ok(())
}

fn signature(rig: &mut TestRig<'_>) -> Check {
    let signer = rig.keys()?.document_signer.public();
    let mut door = DoorS::open(rig, Rights::IDENTITY.union(Rights::PERMIT))?;
    let person = door.certificate.public64;
    let bytes = door.read(rig, Object::Signature)?;
    let Ok(object) = SignatureObject::parse(&bytes) else {
        return failed("the signature object has another form");
    };
    ensure(
        object.verify(&signer, &person).is_ok(),
        "the signature object does not hold for this card's key",
    )?;
    let dg1 = door.read(rig, Object::Dg1)?;
    let dg3 = door.read(rig, Object::Dg3)?;
    ensure(
        object.covers(1, &dg1) && object.covers(3, &dg3),
        "a digest is not that of the group",
    )
}

fn certificates(rig: &mut TestRig<'_>) -> Check {
    let publics = rig.publics()?;
    let mut ids = Vec::new();
    for (domain, public) in Domain::ALL.iter().zip(publics) {
        let door = DoorS::open(rig, rights_of(*domain))?;
        let CardCertificate { public64, id, .. } = door.certificate;
        ensure(
            public64 == public,
            format!("the certificate of {domain} is over another key than GENERATE gave"),
        )?;
        ensure(
            PublicKey::from_public64(&public64).is_ok(),
            "a card key is not on the curve",
        )?;
        ensure(!ids.contains(&id), "two domains have the same certificate id")?;
        ids.push(id);
    }
    Ok(())
}
