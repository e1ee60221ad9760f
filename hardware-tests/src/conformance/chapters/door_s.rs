//! Chapter 07: certificates, key agreement, objects and rights.

use card_applet_spec::apdu::Header;
use card_applet_spec::certificate::CertificateName;
use card_applet_spec::codes::{CardState, Domain, Rights, Role};
use card_applet_spec::crypto::{PrivateKey, sha256};
use card_applet_spec::door_s::{MAX_READ, Object};
use card_applet_spec::script::Status;

use crate::conformance::case::{Case, Class, WRITES, case};
use crate::conformance::check::{Check, Stop, ensure, failed};
use crate::conformance::issuer::{DoorI, rewrite_trust};
use crate::conformance::keys::EPOCH;
use crate::conformance::phase::Phase;
use crate::conformance::terminal::{
    Chain, DoorS, Draft, Plan, agree, agree_data, certificate, challenge, present, rights_of, try_agree,
};
use crate::conformance::test_rig::{TestRig, encode};

pub(super) const CASES: &[Case] = &[
    case(
        "07.01",
        "07 Terminal certificates",
        Class::Outside,
        Phase::AsLaid,
        "",
        "S1 with bytes that are no certificate is 6985 on a BLANK or TERMINATED card and 6A80 on every other",
        stranger,
    ),
    case(
        "07.02",
        "07 Terminal certificates",
        Class::Keys,
        Phase::Personalised,
        "",
        "a certificate of another authority is 6A88",
        other_authority,
    ),
    case(
        "07.03",
        "07 Terminal certificates",
        Class::Keys,
        Phase::Personalised,
        "",
        "a wrong signature is 6982, of the intermediate and of the leaf",
        wrong_signatures,
    ),
    case(
        "07.04",
        "07 Terminal certificates",
        Class::Keys,
        Phase::Personalised,
        "",
        "a wrong profile, algorithm, rights OID, date or unknown right in a certificate is 6A80",
        wrong_forms,
    ),
    case(
        "07.05",
        "07 Terminal certificates",
        Class::Keys,
        Phase::Personalised,
        "",
        "effective after expiry, a leaf of more than 7 days, and rights of zero over the chain are 6A80",
        wrong_content,
    ),
    case(
        "07.06",
        "07 Terminal certificates",
        Class::Keys,
        Phase::Personalised,
        "",
        "a chain is exactly intermediate and leaf: a third certificate, a leaf first and a leaf of the root are refused",
        wrong_chain,
    ),
    case(
        "07.07",
        "07 Opening",
        Class::Keys,
        Phase::Active,
        "",
        "door S opens for each domain; the card proves its certified key and a fresh point each time",
        opens,
    ),
    case(
        "07.08",
        "07 Opening",
        Class::Keys,
        Phase::Active,
        "",
        "AGREE with a wrong length is 6700, with another suite 6A80, without a challenge 6985",
        agree_forms,
    ),
    case(
        "07.09",
        "07 Opening",
        Class::Keys,
        Phase::Active,
        "",
        "rights of zero, beyond the chain, or with a bit without meaning are 6982; a set that no domain serves is 6A80",
        rights,
    ),
    case(
        "07.10",
        "07 Opening",
        Class::Keys,
        Phase::Active,
        "",
        "a wrong signature, one over another challenge, leaf, point or rights is 6982",
        wrong_agreement,
    ),
    case(
        "07.11",
        "07 Opening",
        Class::Keys,
        Phase::Active,
        "",
        "a challenge serves once, and comes new each time",
        challenge_once,
    ),
    case(
        "07.12",
        "07 Opening",
        Class::Keys,
        Phase::Personalised,
        "",
        "before the hand-over door S opens with VERIFY only",
        |rig| only_with_verify(rig, CardState::Personalised),
    ),
    case(
        "07.13",
        "07 Opening",
        Class::Keys,
        Phase::Blocked,
        "",
        "a blocked card opens door S with VERIFY only",
        |rig| only_with_verify(rig, CardState::Blocked),
    ),
    case(
        "07.14",
        "07 Inside",
        Class::Keys,
        Phase::Active,
        "",
        "every object is read with its right and is 6982 without it",
        objects,
    ),
    case(
        "07.15",
        "07 Inside",
        Class::Keys,
        Phase::Active,
        "",
        "an offset at or behind the end is 6A86, a length of 0 or above 237 is refused, the end gives fewer bytes",
        offsets,
    ),
    case(
        "07.16",
        "07 Inside",
        Class::Keys,
        Phase::Active,
        "",
        "an unknown object and one that is not there are 6A88",
        nothing_there,
    ),
    case(
        "07.17",
        "07 Inside",
        Class::Keys,
        Phase::Active,
        "",
        "RESET COUNTER without ISSUER is 6982",
        reset_counter,
    ),
    case(
        "07.18",
        "07 Inside",
        Class::Keys,
        Phase::Active,
        "",
        "in the channel a wrong MAC, a repeated and a bare command are 6982 and end the session",
        record_layer,
    ),
    case(
        "07.19",
        "07 Terminal certificates",
        Class::Keys,
        Phase::Active,
        WRITES,
        "S1 alone, and an AGREE that is refused, move neither floor nor epoch",
        nothing_moves,
    ),
    case(
        "07.20",
        "07 Terminal certificates",
        Class::Keys,
        Phase::Active,
        WRITES,
        "AGREE moves floor and epoch to those of the intermediate, and a leaf moves nothing",
        moves,
    ),
    case(
        "07.21",
        "07 Terminal certificates",
        Class::Keys,
        Phase::Active,
        WRITES,
        "an intermediate or leaf that ended before the floor, and one of an earlier epoch, are 6984",
        ended,
    ),
    case(
        "07.22",
        "07 Inside",
        Class::Keys,
        Phase::Active,
        "",
        "status behind door S is that of GET STATUS",
        status,
    ),
    case(
        "07.23",
        "07 Opening",
        Class::Keys,
        Phase::Active,
        "",
        "a card certificate never leaves in clear, and is under another key each time",
        sealed_certificate,
    ),
    case(
        "07.24",
        "07 Terminal certificates",
        Class::Keys,
        Phase::Blank,
        "",
        "a BLANK refuses a right chain with 6985 as it refuses any bytes",
        refused_by_a_blank,
    ),
    case(
        "07.25",
        "07 Terminal certificates",
        Class::Keys,
        Phase::Active,
        WRITES,
        "an intermediate more than 400 days ahead of the floor is served and moves neither floor nor epoch",
        leap,
    ),
];

fn refused_by_a_blank(rig: &mut TestRig<'_>) -> Check {
    let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
    rig.select()?;
    present(rig, 0, &chain.intermediate)?.is(0x6985, "S1 of a BLANK")
}

fn stranger(rig: &mut TestRig<'_>) -> Check {
    let mut statuses = std::collections::BTreeSet::new();
    for bytes in [
        &[0x7F, 0x21][..],
        &[0x00],
        &[0x30, 0x03, 0x02, 0x01, 0x01],
        &[0x7F, 0x21, 0x02, 0x7F, 0x4E],
    ] {
        rig.select()?;
        let answer = present(rig, 0, bytes)?;
        ensure(answer.body.is_empty(), "bytes stand before the status")?;
        statuses.insert(answer.sw);
    }
    let right = if rig.fixture.was_blank { 0x6985 } else { 0x6A80 };
    // A card of which we know nothing may be TERMINATED.
    let known = statuses.len() == 1
        && (statuses.contains(&right) || (!rig.fixture.was_blank && statuses.contains(&0x6985)));
    ensure(known, format!("S1 is answered {statuses:04X?}"))
}

/// Intermediate of the test authority, unsigned.
fn intermediate(rig: &mut TestRig<'_>) -> Result<Draft, Stop> {
    let key = PrivateKey::generate(rig.rng());
    Ok(Draft::new(
        rig.keys()?.root_name(),
        CertificateName::new("YZTTESTIM", EPOCH, 1),
        &key.public(),
        Rights::ALL,
        rig.day(-10)?,
        rig.day(300)?,
    ))
}

fn other_authority(rig: &mut TestRig<'_>) -> Check {
    let root = &rig.keys()?.terminal_root;
    let mut draft = intermediate(rig)?;
    for name in [
        CertificateName::new("YZTTESTCA", 1, 2),
        CertificateName::new("YZTTESTCA", 2, 1),
        CertificateName::new("OTHER", 1, 1),
    ] {
        draft.issuer = name.0;
        let bytes = draft.sign(root, rig)?;
        rig.select()?;
        present(rig, 0, &bytes)?.is(0x6A88, "an intermediate of another authority")?;
    }
    let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
    let mut leaf = chain.leaf_draft.clone();
    leaf.issuer = CertificateName::new("YZTTESTIM", EPOCH, 9).0;
    let leaf = leaf.sign(&chain.intermediate_key, rig)?;
    rig.select()?;
    present(rig, 0, &chain.intermediate)?.ok("S1 with the intermediate")?;
    present(rig, 1, &leaf)?.is(0x6A88, "a leaf of another authority")
}

fn wrong_signatures(rig: &mut TestRig<'_>) -> Check {
    let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
    let stranger = PrivateKey::generate(rig.rng());
    let draft = intermediate(rig)?;
    let body = draft.body();
    let forged = stranger.sign(&[&body], rig.rng())?;
    let mut changed = chain.intermediate.clone();
    let at = changed.len() - 1;
    changed[at] ^= 0x01;
    for (what, bytes) in [
        (
            "an intermediate signed by a stranger",
            certificate(&body, &forged),
        ),
        ("an intermediate with a changed signature", changed),
        (
            "an intermediate with a signature of zeros",
            certificate(&body, &[0; 64]),
        ),
        (
            "an intermediate with a signature of ones",
            certificate(&body, &[0xFF; 64]),
        ),
    ] {
        rig.select()?;
        present(rig, 0, &bytes)?.is(0x6982, what)?;
    }
    let body = chain.leaf_draft.body();
    let by_root = rig.keys()?.terminal_root.sign(&[&body], rig.rng())?;
    let forged = stranger.sign(&[&body], rig.rng())?;
    for (what, signature) in [
        ("a leaf signed by a stranger", forged),
        ("a leaf signed by the root", by_root),
        ("a leaf with a signature of zeros", [0; 64]),
    ] {
        rig.select()?;
        present(rig, 0, &chain.intermediate)?.ok("S1 with the intermediate")?;
        present(rig, 1, &certificate(&body, &signature))?.is(0x6982, what)?;
        rig.send(&[0x00, 0x84, 0x00, 0x00, 0x10])?
            .is(0x6985, &format!("GET CHALLENGE after {what}"))?;
    }
    Ok(())
}

fn wrong_forms(rig: &mut TestRig<'_>) -> Check {
    type Change = fn(&mut Draft);
    let changes: [(&str, Change); 11] = [
        ("profile 01", |d| d.profile = vec![0x01]),
        ("an empty profile", |d| d.profile = Vec::new()),
        ("another algorithm", |d| d.algorithm[9] = 0x01),
        ("another rights OID", |d| d.oid[19] = 0x02),
        ("a right without meaning", |d| d.rights[0] = 0x80),
        ("a right without meaning", |d| d.rights[2] |= 0x80),
        ("a day 32", |d| d.expiry = [2, 7, 0, 1, 3, 2]),
        ("a month 13", |d| d.effective = [2, 6, 1, 3, 0, 1]),
        ("a digit of ten", |d| d.expiry = [2, 10, 0, 1, 0, 1]),
        ("a key of 64 bytes", |d| d.point = d.point[1..].to_vec()),
        ("a compressed key", |d| {
            d.point.truncate(33);
            d.point[0] = 0x02;
        }),
    ];
    let root = &rig.keys()?.terminal_root;
    for (what, change) in changes {
        let mut draft = intermediate(rig)?;
        change(&mut draft);
        let bytes = draft.sign(root, rig)?;
        rig.select()?;
        present(rig, 0, &bytes)?.is(0x6A80, &format!("an intermediate with {what}"))?;
    }
    let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
    for (what, change) in changes {
        let mut draft = chain.leaf_draft.clone();
        change(&mut draft);
        let bytes = draft.sign(&chain.intermediate_key, rig)?;
        rig.select()?;
        present(rig, 0, &chain.intermediate)?.ok("S1 with the intermediate")?;
        present(rig, 1, &bytes)?.is(0x6A80, &format!("a leaf with {what}"))?;
    }
    Ok(())
}

fn wrong_content(rig: &mut TestRig<'_>) -> Check {
    let plan = Plan::with(Rights::ALL);
    let refused: [(&str, Plan, u8); 6] = [
        (
            "an intermediate effective after its expiry",
            Plan {
                days: [5, 4, 0, 6],
                ..plan
            },
            0,
        ),
        (
            "an intermediate without rights",
            Plan {
                intermediate: Rights::NONE,
                ..plan
            },
            0,
        ),
        (
            "a leaf effective after its expiry",
            Plan {
                days: [-10, 300, 3, 2],
                ..plan
            },
            1,
        ),
        (
            "a leaf of 8 days",
            Plan {
                days: [-10, 300, 0, 8],
                ..plan
            },
            1,
        ),
        (
            "a leaf without rights",
            Plan {
                leaf: Rights::NONE,
                ..plan
            },
            1,
        ),
        (
            "a chain without a common right",
            Plan {
                intermediate: Rights::role(Role::Clinic),
                leaf: Rights::IDENTITY,
                ..plan
            },
            1,
        ),
    ];
    for (what, plan, at) in refused {
        let chain = Chain::make(rig, plan)?;
        rig.select()?;
        let first = present(rig, 0, &chain.intermediate)?;
        if at == 0 {
            first.is(0x6A80, what)?;
        } else {
            first.ok("S1 with the intermediate")?;
            present(rig, 1, &chain.leaf)?.is(0x6A80, what)?;
        }
    }
    // Seven days are not too many.
    let chain = Chain::make(
        rig,
        Plan {
            days: [-10, 300, 0, 7],
            ..plan
        },
    )?;
    rig.select()?;
    chain.present(rig)
}

fn wrong_chain(rig: &mut TestRig<'_>) -> Check {
    let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
    rig.select()?;
    present(rig, 1, &chain.leaf)?.is(0x6985, "a leaf before its intermediate")?;
    rig.select()?;
    present(rig, 0, &chain.leaf)?.is(0x6A88, "a leaf in the place of the intermediate")?;
    rig.select()?;
    chain.present(rig)?;
    present(rig, 1, &chain.leaf)?.is(0x6985, "a third certificate")?;
    rig.select()?;
    chain.present(rig)?;
    present(rig, 0, &chain.intermediate)?.is(0x6985, "the intermediate again behind the leaf")?;
    for (place, second) in [(2, 0), (0, 1), (0xFF, 0)] {
        rig.select()?;
        rig.send(&encode([0x80, 0x20, place, second], &chain.intermediate, None))?
            .is(0x6A86, "PRESENT CERTIFICATE with another place")?;
    }
    rig.select()?;
    present(rig, 0, &chain.intermediate)?.ok("S1 with the intermediate")?;
    rig.send(&[0x00, 0x84, 0x00, 0x00, 0x10])?
        .is(0x6985, "GET CHALLENGE before the leaf")?;
    // A leaf straight under the root.
    let root = &rig.keys()?.terminal_root;
    let mut leaf = chain.leaf_draft.clone();
    leaf.issuer = rig.keys()?.root_name().0;
    let bytes = leaf.sign(root, rig)?;
    rig.select()?;
    present(rig, 0, &chain.intermediate)?.ok("S1 with the intermediate")?;
    present(rig, 1, &bytes)?.is(0x6A88, "a leaf of the root behind the intermediate")
}

fn opens(rig: &mut TestRig<'_>) -> Check {
    let mut points = Vec::new();
    for domain in Domain::ALL {
        for _ in 0..2 {
            let door = DoorS::open(rig, rights_of(*domain))?;
            ensure(
                !points.contains(&door.point),
                "the card's ephemeral point comes again",
            )?;
            points.push(door.point);
        }
    }
    // With roles beside a right of the office the PERSON key serves.
    let many = Rights::VERIFY
        .union(Rights::role(Role::Transit))
        .union(Rights::role(Role::Clinic));
    DoorS::open(rig, many).map(drop)
}

/// Presents a chain with every right and gets a challenge.
fn challenged(rig: &mut TestRig<'_>) -> Result<(Chain, [u8; 16]), Stop> {
    let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
    rig.select()?;
    chain.present(rig)?;
    let rc = challenge(rig)?;
    Ok((chain, rc))
}

fn agree_forms(rig: &mut TestRig<'_>) -> Check {
    let point = PrivateKey::generate(rig.rng()).public().to_point65();
    let rights = Rights::IDENTITY.to_bytes();
    for length in [0, 133, 135] {
        let (chain, rc) = challenged(rig)?;
        let mut data = agree_data(rig, &chain, &rc, rights, &point)?;
        data.resize(length, 0);
        agree(rig, &data)?.is(0x6700, &format!("AGREE with {length} bytes"))?;
    }
    for suite in [0x00, 0x02, 0xFF] {
        let (chain, rc) = challenged(rig)?;
        let mut data = agree_data(rig, &chain, &rc, rights, &point)?;
        data[0] = suite;
        agree(rig, &data)?.is(0x6A80, &format!("AGREE of suite {suite:02X}"))?;
    }
    let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
    rig.select()?;
    chain.present(rig)?;
    let data = agree_data(rig, &chain, &[0; 16], rights, &point)?;
    agree(rig, &data)?.is(0x6985, "AGREE without a challenge")?;
    for (p1, p2) in [(1, 0), (0, 1)] {
        let (chain, rc) = challenged(rig)?;
        let data = agree_data(rig, &chain, &rc, rights, &point)?;
        rig.command([0x80, 0x22, p1, p2], &data)?
            .is(0x6A86, "AGREE with other parameters")?;
    }
    for command in [
        &[0x00, 0x84, 0x00, 0x00, 0x08][..],
        &[0x00, 0x84, 0x00, 0x00, 0x00],
    ] {
        rig.select()?;
        chain.present(rig)?;
        rig.send(command)?.is(0x6700, "GET CHALLENGE of another length")?;
    }
    Ok(())
}

fn rights(rig: &mut TestRig<'_>) -> Check {
    let all = Chain::make(rig, Plan::with(Rights::ALL))?;
    for (what, rights, sw) in [
        ("no right", [0, 0, 0, 0], 0x6982),
        ("a bit without meaning", [0x80, 0, 0, 1], 0x6982),
        ("a bit without meaning", [0, 0, 0x20, 1], 0x6982),
        ("TRANSIT alone", Rights::role(Role::Transit).to_bytes(), 0x6A80),
        (
            "SMALL_PAYMENT alone",
            Rights::role(Role::SmallPayment).to_bytes(),
            0x6A80,
        ),
        (
            "CLINIC with SOCIAL_INSURANCE",
            Rights::role(Role::Clinic)
                .union(Rights::role(Role::SocialInsurance))
                .to_bytes(),
            0x6A80,
        ),
    ] {
        try_agree(rig, &all, rights)?.is(sw, &format!("AGREE for {what}"))?;
    }
    // Beyond the leaf, and beyond the intermediate.
    let plan = Plan::with(Rights::ALL);
    for plan in [
        Plan {
            leaf: Rights::IDENTITY.union(Rights::PORTRAIT),
            ..plan
        },
        Plan {
            intermediate: Rights::IDENTITY.union(Rights::PORTRAIT),
            ..plan
        },
    ] {
        let chain = Chain::make(rig, plan)?;
        for asked in [
            Rights::PERMIT,
            Rights::IDENTITY.union(Rights::PERMIT),
            Rights::ISSUER,
        ] {
            try_agree(rig, &chain, asked.to_bytes())?.is(0x6982, "AGREE for a right beyond the chain")?;
        }
        DoorS::open_with(rig, &chain, Rights::IDENTITY)?;
    }
    Ok(())
}

fn wrong_agreement(rig: &mut TestRig<'_>) -> Check {
    let point = PrivateKey::generate(rig.rng()).public().to_point65();
    let other = PrivateKey::generate(rig.rng()).public().to_point65();
    let rights = Rights::IDENTITY.to_bytes();
    for what in [
        "signature",
        "challenge",
        "leaf",
        "point",
        "rights",
        "label",
        "zeros",
    ] {
        let (chain, rc) = challenged(rig)?;
        let mut data = agree_data(rig, &chain, &rc, rights, &point)?;
        match what {
            "signature" => data[133] ^= 0x01,
            "challenge" => data = agree_data(rig, &chain, &[7; 16], rights, &point)?,
            "leaf" => {
                let stranger = Chain {
                    leaf: chain.intermediate.clone(),
                    ..chain
                };
                data = agree_data(rig, &stranger, &rc, rights, &point)?;
            }
            "point" => data[5..70].copy_from_slice(&other),
            "rights" => data[1..5].copy_from_slice(&Rights::PORTRAIT.to_bytes()),
            "label" => {
                let leaf = sha256(&[&chain.leaf]);
                let signature = chain
                    .leaf_key
                    .sign(&[b"YZT-S-TA-2", &[0x01], &rights, &rc, &point, &leaf], rig.rng())?;
                data[70..].copy_from_slice(&signature);
            }
            _ => data[70..].fill(0),
        }
        agree(rig, &data)?.is(0x6982, &format!("AGREE with a wrong {what}"))?;
        rig.command(Header::AGREE.to_bytes(), &data)?
            .is(0x6985, "AGREE after one that was refused")?;
    }
    Ok(())
}

fn challenge_once(rig: &mut TestRig<'_>) -> Check {
    let (chain, first) = challenged(rig)?;
    let second = challenge(rig)?;
    ensure(first != second, "GET CHALLENGE gives the same bytes again")?;
    let point = PrivateKey::generate(rig.rng()).public().to_point65();
    let rights = Rights::IDENTITY.to_bytes();
    let data = agree_data(rig, &chain, &first, rights, &point)?;
    agree(rig, &data)?.is(0x6982, "AGREE over the challenge before the last")?;
    rig.select()?;
    chain.present(rig)?;
    let rc = challenge(rig)?;
    let data = agree_data(rig, &chain, &rc, rights, &point)?;
    agree(rig, &data)?.ok("AGREE")?;
    agree(rig, &data)?.is(0x6985, "the same AGREE again")
}

fn only_with_verify(rig: &mut TestRig<'_>, state: CardState) -> Check {
    let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
    for rights in [
        Rights::IDENTITY,
        Rights::PORTRAIT,
        Rights::PERMIT,
        Rights::ISSUER,
        Rights::role(Role::Clinic),
        Rights::role(Role::SocialInsurance),
    ] {
        try_agree(rig, &chain, rights.to_bytes())?.is(0x6985, &format!("AGREE without VERIFY in {state}"))?;
    }
    let mut door = DoorS::open_with(rig, &chain, Rights::VERIFY.union(Rights::ISSUER))?;
    let status = Status::parse(&door.read(rig, Object::Status)?)?;
    ensure(status.state == state, format!("status says {}", status.state))
}

/// The readable objects and which rights let them be read, after chapter 07.
fn readable(rights: Rights, object: Object) -> bool {
    let any = |wanted: &[Rights]| wanted.iter().any(|right| rights.contains(*right));
    match object {
        Object::Dg1 => any(&[Rights::IDENTITY]),
        Object::Dg2 => any(&[Rights::PORTRAIT]),
        Object::Dg3 => any(&[Rights::PERMIT]),
        Object::Signature => any(&[Rights::IDENTITY, Rights::PORTRAIT, Rights::PERMIT, Rights::VERIFY]),
        Object::Serial => any(&[Rights::ISSUER]),
        Object::Status => any(&[Rights::VERIFY, Rights::ISSUER]),
        Object::Newest(role) | Object::Older(role) => {
            let street = matches!(role, Role::Transit | Role::SmallPayment | Role::Door);
            any(&[Rights::role(role)]) && (!street || any(&[Rights::VERIFY]))
        }
    }
}

fn objects(rig: &mut TestRig<'_>) -> Check {
    let mut objects = vec![
        Object::Dg1,
        Object::Dg2,
        Object::Dg3,
        Object::Signature,
        Object::Serial,
        Object::Status,
    ];
    objects.extend(Role::ALL.iter().map(|role| Object::Newest(*role)));
    let roles = Role::ALL
        .iter()
        .fold(Rights::NONE, |all, role| all.union(Rights::role(*role)));
    let sets = [
        Rights::IDENTITY,
        Rights::PORTRAIT,
        Rights::PERMIT,
        Rights::role(Role::Clinic),
        Rights::role(Role::SocialInsurance),
        Rights::VERIFY,
        Rights::ISSUER,
        Rights::IDENTITY.union(roles),
        Rights::VERIFY.union(roles),
    ];
    let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
    for rights in sets {
        let mut door = DoorS::open_with(rig, &chain, rights)?;
        for object in &objects {
            let answer = door.read_part(rig, object.code(), 0, 16)?;
            let what = format!("object {:02X} with {rights:?}", object.code());
            if readable(rights, *object) {
                answer.ok(&what)?;
            } else {
                answer.is(0x6982, &what)?;
                door = DoorS::open_with(rig, &chain, rights)?;
            }
        }
    }
    Ok(())
}

fn offsets(rig: &mut TestRig<'_>) -> Check {
    let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
    let rights = Rights::IDENTITY.union(Rights::ISSUER);
    let total = rig.fixture.objects[0].len();
    let end = u16::try_from(total).unwrap_or(u16::MAX);
    for (object, offset, length, sw) in [
        (Object::Dg1, end, 1, Some(0x6A86)),
        (Object::Dg1, end + 1, 1, Some(0x6A86)),
        (Object::Dg1, 0xFFFF, 1, Some(0x6A86)),
        (Object::Serial, 10, 1, Some(0x6A86)),
        (Object::Dg1, 0, 0, None),
        (Object::Dg1, 0, MAX_READ + 1, None),
        (Object::Dg1, 0, 0xFF, None),
    ] {
        let mut door = DoorS::open_with(rig, &chain, rights)?;
        let answer = door.read_part(rig, object.code(), offset, length)?;
        let what = format!("object {:02X} from {offset}, {length} bytes", object.code());
        match sw {
            Some(sw) => answer.is(sw, &what)?,
            None => answer.is_refusal(&what)?,
        }
    }
    let mut door = DoorS::open_with(rig, &chain, rights)?;
    let part = door
        .read_part(rig, Object::Dg1.code(), end - 1, MAX_READ)?
        .ok("the last byte of DG1")?;
    let expected = [&end.to_be_bytes()[..], &rig.fixture.objects[0][total - 1..]].concat();
    ensure(part == expected, "the end of an object is not given as it is")?;
    for length in [1, MAX_READ] {
        // DG2: it is longer than any answer.
        let mut door = DoorS::open_with(rig, &chain, Rights::PORTRAIT)?;
        let part = door
            .read_part(rig, Object::Dg2.code(), 3, length)?
            .ok("a part of DG2")?;
        let expected = rig.fixture.objects[1].get(3..3 + usize::from(length));
        ensure(
            part.get(2..) == expected,
            "a part of an object is not given as it is",
        )?;
    }
    for data in [&[][..], &[0, 0], &[0, 0, 1, 1]] {
        let mut door = DoorS::open_with(rig, &chain, rights)?;
        door.call(rig, Header::read_object(0x01), data)?
            .is(0x6700, "READ OBJECT with another length of data")?;
    }
    let mut door = DoorS::open_with(rig, &chain, rights)?;
    let header = Header {
        p2: 0x01,
        ..Header::read_object(0x01)
    };
    door.call(rig, header, &[0, 0, 1])?
        .is(0x6A86, "READ OBJECT with P2 01")
}

fn nothing_there(rig: &mut TestRig<'_>) -> Check {
    let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
    for object in [
        0x00, 0x04, 0x0E, 0x10, 0x16, 0x1F, 0x20, 0x26, 0x30, 0xEF, 0xF2, 0xFF,
    ] {
        let mut door = DoorS::open_with(rig, &chain, Rights::ALL)?;
        door.read_part(rig, object, 0, 1)?
            .is(0x6A88, &format!("object {object:02X}"))?;
    }
    // One version of CLINIC is live, and no other.
    let mut door = DoorS::open_with(rig, &chain, Rights::ALL)?;
    door.read_part(rig, Object::Older(Role::Clinic).code(), 0, 1)?
        .is(0x6A88, "the other slot of CLINIC")
}

fn reset_counter(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorS::open(rig, Rights::VERIFY.union(Rights::IDENTITY))?;
    door.call(rig, Header::RESET_COUNTER, &[])?
        .is(0x6982, "RESET COUNTER without ISSUER")?;
    let mut door = DoorS::open(rig, Rights::ISSUER)?;
    door.call(rig, Header::RESET_COUNTER, &[0x00])?
        .is(0x6700, "RESET COUNTER with data")?;
    let mut door = DoorS::open(rig, Rights::ISSUER)?;
    door.call(rig, Header::RESET_COUNTER, &[])?
        .ok("RESET COUNTER with ISSUER")?;
    // The session goes on.
    door.read(rig, Object::Serial).map(drop)
}

fn record_layer(rig: &mut TestRig<'_>) -> Check {
    let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
    let mut door = DoorS::open_with(rig, &chain, Rights::IDENTITY)?;
    let first = door.wrapped_read(Object::Dg1)?;
    rig.send(&first)?.ok("READ OBJECT")?;
    rig.send(&first)?.is(0x6982, "the same wrapped command again")?;
    let next = door.wrapped_read(Object::Dg1)?;
    rig.send(&next)?
        .is(0x6985, "the next command after a refused one")?;
    let mut door = DoorS::open_with(rig, &chain, Rights::IDENTITY)?;
    let mut changed = door.wrapped_read(Object::Dg1)?;
    changed[2] = 0x02;
    rig.send(&changed)?
        .is(0x6982, "another object under the same MAC")?;
    let mut door = DoorS::open_with(rig, &chain, Rights::IDENTITY)?;
    let mut changed = door.wrapped_read(Object::Dg1)?;
    let at = changed.len() - 2;
    changed[at] ^= 0x01;
    rig.send(&changed)?.is(0x6982, "a changed MAC")?;
    DoorS::open_with(rig, &chain, Rights::IDENTITY)?;
    rig.send(&[0x84, 0xB0, 0x01, 0x00, 0x03, 0x00, 0x00, 0x10, 0x00])?
        .is(0x6982, "a bare command")
}

/// Floor and epoch.
fn freshness(rig: &mut TestRig<'_>) -> Result<(card_applet_spec::date::Date, u16), Stop> {
    let mut door = DoorI::open(rig)?;
    let status = door.status(rig)?;
    Ok((status.floor, status.epoch))
}

/// Floor and epoch as the suite likes them.
fn settle(rig: &mut TestRig<'_>) -> Check {
    rewrite_trust(rig, EPOCH, rig.day(-20)?)
}

fn nothing_moves(rig: &mut TestRig<'_>) -> Check {
    settle(rig)?;
    let before = freshness(rig)?;
    let plan = Plan {
        days: [5, 300, 5, 9],
        epoch: EPOCH + 2,
        ..Plan::with(Rights::ALL)
    };
    let chain = Chain::make(rig, plan)?;
    rig.select()?;
    chain.present(rig)?;
    ensure(freshness(rig)? == before, "S1 moved floor or epoch")?;
    rig.select()?;
    chain.present(rig)?;
    let rc = challenge(rig)?;
    let point = PrivateKey::generate(rig.rng()).public().to_point65();
    let mut data = agree_data(rig, &chain, &rc, Rights::IDENTITY.to_bytes(), &point)?;
    data[133] ^= 0x01;
    agree(rig, &data)?.is(0x6982, "AGREE with a wrong signature")?;
    ensure(
        freshness(rig)? == before,
        "an AGREE with a wrong signature moved floor or epoch",
    )?;
    try_agree(rig, &chain, Rights::role(Role::Door).to_bytes())?.is(0x6A80, "AGREE that no domain serves")?;
    ensure(freshness(rig)? == before, "a refused AGREE moved floor or epoch")
}

fn moves(rig: &mut TestRig<'_>) -> Check {
    settle(rig)?;
    let plan = Plan {
        days: [2, 300, 6, 9],
        epoch: EPOCH + 1,
        ..Plan::with(Rights::ALL)
    };
    let chain = Chain::make(rig, plan)?;
    DoorS::open_with(rig, &chain, Rights::IDENTITY)?;
    let moved = freshness(rig)?;
    ensure(
        moved == (rig.day(2)?, EPOCH + 1),
        format!("floor and epoch are {} and {}", moved.0, moved.1),
    )?;
    // An older chain of the same epoch, still valid, moves nothing back.
    let plan = Plan {
        days: [-10, 300, 0, 6],
        epoch: EPOCH + 1,
        ..Plan::with(Rights::ALL)
    };
    let chain = Chain::make(rig, plan)?;
    DoorS::open_with(rig, &chain, Rights::IDENTITY)?;
    ensure(
        freshness(rig)? == moved,
        "an older intermediate moved the floor back",
    )?;
    settle(rig)
}

fn ended(rig: &mut TestRig<'_>) -> Check {
    settle(rig)?;
    // The floor is the day of the run.
    let plan = Plan::with(Rights::ALL);
    for (what, plan) in [
        (
            "an intermediate that ended yesterday",
            Plan {
                days: [-30, -1, 0, 6],
                ..plan
            },
        ),
        (
            "a leaf that ended yesterday",
            Plan {
                days: [-30, 300, -7, -1],
                ..plan
            },
        ),
        (
            "an intermediate of an earlier epoch",
            Plan {
                epoch: EPOCH - 1,
                ..plan
            },
        ),
        (
            "a leaf that ends before its own intermediate begins",
            Plan {
                days: [7, 300, 0, 6],
                ..plan
            },
        ),
    ] {
        let before = freshness(rig)?;
        let chain = Chain::make(rig, plan)?;
        try_agree(rig, &chain, Rights::IDENTITY.to_bytes())?.is(0x6984, what)?;
        ensure(freshness(rig)? == before, format!("{what} moved floor or epoch"))?;
    }
    // The last day is included.
    let chain = Chain::make(
        rig,
        Plan {
            days: [-30, 0, -6, 0],
            ..plan
        },
    )?;
    DoorS::open_with(rig, &chain, Rights::IDENTITY).map(drop)
}

fn leap(rig: &mut TestRig<'_>) -> Check {
    settle(rig)?;
    let ahead = |first: i32, epoch| Plan {
        days: [first, first + 300, first, first + 6],
        epoch,
        ..Plan::with(Rights::ALL)
    };
    let before = freshness(rig)?;
    for first in [401, 1_826, 20_000] {
        let chain = Chain::make(rig, ahead(first, EPOCH + 3))?;
        let mut door = DoorS::open_with(rig, &chain, Rights::ALL)?;
        door.read(rig, Object::Serial)?;
        ensure(
            freshness(rig)? == before,
            format!("an intermediate {first} days ahead moved floor or epoch"),
        )?;
        DoorS::open(rig, Rights::IDENTITY)?;
    }
    let chain = Chain::make(rig, ahead(401, EPOCH - 1))?;
    try_agree(rig, &chain, Rights::IDENTITY.to_bytes())?
        .is(0x6984, "an intermediate far ahead, of an earlier epoch")?;
    // One day less is followed.
    let chain = Chain::make(rig, ahead(400, EPOCH + 1))?;
    DoorS::open_with(rig, &chain, Rights::IDENTITY)?;
    ensure(
        freshness(rig)? == (rig.day(400)?, EPOCH + 1),
        "an intermediate 400 days ahead moved floor or epoch elsewhere",
    )?;
    settle(rig)
}

fn status(rig: &mut TestRig<'_>) -> Check {
    // Wrong tries of an earlier case are told by the first session after them.
    DoorI::open(rig)?;
    let mut door = DoorI::open(rig)?;
    let bytes = door.call(rig, Header::GET_STATUS, &[])?.ok("GET STATUS")?;
    let seen = DoorS::open(rig, Rights::VERIFY)?.read(rig, Object::Status)?;
    ensure(seen == bytes, "the two statuses differ")
}

fn sealed_certificate(rig: &mut TestRig<'_>) -> Check {
    let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
    let public = DoorS::open_with(rig, &chain, Rights::IDENTITY)?
        .certificate
        .public64;
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for _ in 0..3 {
        let body = try_agree(rig, &chain, Rights::IDENTITY.to_bytes())?.ok("AGREE")?;
        if body.len() != 241 {
            return failed("AGREE does not answer 241 bytes");
        }
        ensure(
            !body.windows(16).any(|part| part == &public[..16]),
            "the card's key is in the answer in clear",
        )?;
        for block in body[65..225].chunks(16) {
            ensure(!seen.contains(&block.to_vec()), "a block of Ecert comes again")?;
            seen.push(block.to_vec());
        }
    }
    Ok(())
}
