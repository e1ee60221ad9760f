//! Chapter 01: the application, commands by session, status words, TLV as far as a stranger can see it.

use card_applet_spec::apdu::Header;
use card_applet_spec::certificate::CertificateName;
use card_applet_spec::codes::{AID, Rights};
use card_applet_spec::crypto::PrivateKey;
use card_applet_spec::door_s::Object;
use serde_json::Value;

use crate::conformance::case::{Case, Class, case};
use crate::conformance::check::{Check, Stop, ensure, failed, not_run};
use crate::conformance::issuer::DoorI;
use crate::conformance::phase::Phase;
use crate::conformance::terminal::{
    Chain, DoorS, Draft, Plan, agree_data, certificate, challenge, present, tlv,
};
use crate::conformance::test_rig::{TestRig, encode, select_command};

pub(super) const CASES: &[Case] = &[
    case(
        "01.01",
        "01 Application",
        Class::Outside,
        Phase::AsLaid,
        "",
        "SELECT of the AID is answered with 9000, and again with the same bytes",
        selects,
    ),
    case(
        "01.02",
        "01 Status words",
        Class::Outside,
        Phase::AsLaid,
        "",
        "SELECT of another AID, of a longer and of a shorter one is 6A82",
        other_names,
    ),
    case(
        "01.03",
        "01 Commands by session",
        Class::Outside,
        Phase::AsLaid,
        "",
        "after a failed SELECT no command of the application is answered",
        nothing_without_select,
    ),
    case(
        "01.04",
        "01 Commands by session",
        Class::Outside,
        Phase::AsLaid,
        "",
        "in session selected every command out of order, unknown instruction and class has its status",
        |rig| sessions(rig, "selected"),
    ),
    case(
        "01.05",
        "01 Commands by session",
        Class::Outside,
        Phase::AsLaid,
        "",
        "after a TAP the same holds, and the error ends the session",
        |rig| sessions(rig, "tapped"),
    ),
    case(
        "01.06",
        "01 Commands by session",
        Class::Outside,
        Phase::AsLaid,
        "",
        "between INITIALIZE UPDATE and EXTERNAL AUTHENTICATE every other command is 6985 and ends it",
        |rig| sessions(rig, "opening"),
    ),
    case(
        "01.07",
        "01 Commands by session",
        Class::Keys,
        Phase::Personalised,
        "",
        "inside door I a command of another door is 6985 and ends the session",
        |rig| sessions(rig, "door_i"),
    ),
    case(
        "01.08",
        "01 Commands by session",
        Class::Keys,
        Phase::Active,
        "",
        "while certificates are presented a command of another door is 6985 and ends it",
        |rig| sessions(rig, "presenting"),
    ),
    case(
        "01.09",
        "01 Commands by session",
        Class::Keys,
        Phase::Active,
        "",
        "inside door S a command of another door is 6985 and ends the session",
        |rig| sessions(rig, "door_s"),
    ),
    case(
        "01.10",
        "01 Commands by session",
        Class::Outside,
        Phase::AsLaid,
        "",
        "a SELECT ends a session that was begun",
        select_ends,
    ),
    case(
        "01.11",
        "01 Application",
        Class::Outside,
        Phase::AsLaid,
        "",
        "only short commands: an extended length and an Lc that does not fit are 6700",
        only_short,
    ),
    case(
        "01.12",
        "01 Status words",
        Class::Outside,
        Phase::AsLaid,
        "",
        "wrong lengths are 6700 and wrong P1 P2 are 6A86",
        lengths_and_parameters,
    ),
    case(
        "01.13",
        "01 TLV",
        Class::Keys,
        Phase::Active,
        "",
        "lengths that are not minimal, indefinite lengths, long tags and bytes behind the object are 6A80",
        strict_tlv,
    ),
    case(
        "01.14",
        "01 TLV",
        Class::Keys,
        Phase::Active,
        "",
        "an unknown tag in a template is skipped",
        unknown_tag,
    ),
    case(
        "01.15",
        "01 TLV",
        Class::Keys,
        Phase::Active,
        "",
        "a known tag that comes twice or out of order is 6A80",
        known_tag_twice,
    ),
    case(
        "01.16",
        "01 Commands by life-cycle state",
        Class::Keys,
        Phase::Active,
        "",
        "a stranger sees of a card in use the same lengths and statuses as of one before its hand-over",
        as_a_stranger,
    ),
    case(
        "01.17",
        "01 Commands by life-cycle state",
        Class::Keys,
        Phase::Blocked,
        "",
        "a stranger sees of a blocked card the same",
        as_a_stranger,
    ),
    case(
        "01.18",
        "01 Commands by life-cycle state",
        Class::Keys,
        Phase::Personalised,
        "",
        "before its hand-over a card refuses a stranger as the table says",
        as_a_stranger,
    ),
    case(
        "01.19",
        "01 Commands by session",
        Class::Outside,
        Phase::AsLaid,
        "",
        "a missing Le, another than the chapter writes and one where none is written are 6700, but at SELECT",
        le,
    ),
    case(
        "01.20",
        "01 Commands by session",
        Class::Keys,
        Phase::Active,
        "",
        "the same at door S: S1, AGREE and the commands inside",
        le_at_door_s,
    ),
];

fn selects(rig: &mut TestRig<'_>) -> Check {
    let first = rig.select()?;
    let second = rig.select_again()?;
    ensure(first == second, "the second SELECT answers other bytes")?;
    let third = rig.select()?;
    ensure(first == third, "after a reset SELECT answers other bytes")
}

fn other_names(rig: &mut TestRig<'_>) -> Check {
    let mut other = AID;
    other[6] ^= 0x01;
    let longer = [&AID[..], &[0x00]].concat();
    for name in [&other[..], &longer, &AID[..6], &[0xF0]] {
        rig.reset()?;
        let answer = rig.send(&encode(Header::SELECT.to_bytes(), name, Some(0)))?;
        answer.is(0x6A82, &format!("SELECT of {}", hex::encode(name)))?;
    }
    Ok(())
}

fn nothing_without_select(rig: &mut TestRig<'_>) -> Check {
    let commands = [
        &[0x80, 0xCA, 0x00, 0x45, 0x00][..],
        &[0x80, 0x50, 0x00, 0x00, 0x08, 1, 2, 3, 4, 5, 6, 7, 8, 0x00],
        &[
            0x80, 0x10, 0x01, 0x01, 0x10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0x00,
        ],
    ];
    for command in commands {
        rig.reset()?;
        rig.send(command)?
            .is_refusal(&format!("{} after a reset", hex::encode(&command[..2])))?;
        rig.select()?;
        rig.send(&encode(Header::SELECT.to_bytes(), &[0xF0], Some(0)))?
            .is(0x6A82, "SELECT of another AID")?;
        rig.send(command)?
            .is_refusal(&format!("{} after a failed SELECT", hex::encode(&command[..2])))?;
    }
    Ok(())
}

/// Opens a session by its name in the table.
fn open(rig: &mut TestRig<'_>, session: &str) -> Check {
    rig.select()?;
    match session {
        "tapped" => {
            let rt: [u8; 16] = rig.random();
            rig.command([0x80, 0x10, 0x01, 0x01], &rt)?.ok("TAP")?;
        }
        "opening" => {
            let host: [u8; 8] = rig.random();
            rig.command(Header::INITIALIZE_UPDATE.to_bytes(), &host)?
                .ok("INITIALIZE UPDATE")?;
        }
        "door_i" => drop(DoorI::open(rig)?),
        "presenting" => {
            let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
            present(rig, 0, &chain.intermediate)?.ok("S1 with the intermediate")?;
        }
        "door_s" => drop(DoorS::open(rig, Rights::IDENTITY)?),
        _ => {}
    }
    Ok(())
}

/// One column of the table.
fn sessions(rig: &mut TestRig<'_>, session: &str) -> Check {
    let table: Value = serde_json::from_str(include_str!("../sessions.json")).unwrap_or_default();
    let rows = table
        .get("rows")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    if rows.is_empty() {
        return failed("the table of sessions cannot be read: a fault of the suite");
    }
    for row in rows {
        let text = |key: &str| row.get(key).and_then(Value::as_str);
        let Some(sw) = text(session) else { continue };
        let (Some(name), Some(send), Ok(sw)) = (
            text("command"),
            text("send").and_then(|send| hex::decode(send.replace(' ', "")).ok()),
            u16::from_str_radix(sw, 16),
        ) else {
            return failed("a row of the table of sessions has a wrong form: a fault of the suite");
        };
        open(rig, session)?;
        rig.send(&send)?.is(sw, &format!("{name} in session {session}"))?;
        // The error ended the session: nothing that needs one is taken up again.
        if session != "selected" {
            for next in continuations(session) {
                rig.send(next)?.is(
                    0x6985,
                    &format!("going on in session {session} after a refused {name}"),
                )?;
            }
        }
    }
    Ok(())
}

/// A command that only the session itself would look at.
fn continuations(session: &str) -> &'static [&'static [u8]] {
    const COMMIT: &[u8] = &[0x80, 0x12, 0x01, 0x01, 0x01, 0x00];
    const AUTHENTICATE: &[u8] = &[0x84, 0x82, 0x33, 0x00, 0x01, 0x00];
    const STATUS: &[u8] = &[0x84, 0xF2, 0x00, 0x00, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0x00];
    const LEAF: &[u8] = &[0x80, 0x20, 0x01, 0x00, 0x02, 0x7F, 0x21];
    const READ: &[u8] = &[0x84, 0xB0, 0x01, 0x00, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0x00];
    match session {
        "tapped" => &[COMMIT],
        "opening" => &[AUTHENTICATE],
        "door_i" => &[STATUS],
        "presenting" => &[LEAF],
        _ => &[READ],
    }
}

fn select_ends(rig: &mut TestRig<'_>) -> Check {
    for (session, next) in [("tapped", 0x12), ("opening", 0x82)] {
        open(rig, session)?;
        rig.select_again()?;
        let class = if next == 0x82 { 0x84 } else { 0x80 };
        rig.send(&[class, next, 0x33, 0x00, 0x01, 0x00])?
            .is(0x6985, &format!("going on in session {session} after SELECT"))?;
    }
    Ok(())
}

fn only_short(rig: &mut TestRig<'_>) -> Check {
    let select = select_command();
    let extended = [&select[..4], &[0x00, 0x00, 0x07], &AID[..]].concat();
    let long_le = [&select[..4], &[0x00, 0x01, 0x00]].concat();
    let commands = [
        ("SELECT with an extended length", &extended[..]),
        ("SELECT with an extended Le", &long_le),
        (
            "an Lc above the data",
            &[0x80, 0x10, 0x01, 0x01, 0x10, 0x00, 0x00],
        ),
        (
            "an Lc below the data",
            &[0x80, 0x10, 0x01, 0x01, 0x01, 0x00, 0x00, 0x00],
        ),
    ];
    let mut stopped = 0;
    for (what, command) in commands {
        rig.select()?;
        match rig.send(command) {
            Ok(answer) => answer.is(0x6700, what)?,
            // Some readers look at a command themselves and do not let this one through.
            Err(Stop::Lost(_)) => stopped += 1,
            Err(other) => return Err(other),
        }
    }
    if stopped == commands.len() {
        rig.select()?;
        return not_run("the reader carries no command of a wrong form");
    }
    Ok(())
}

fn lengths_and_parameters(rig: &mut TestRig<'_>) -> Check {
    let rows: [(&str, [u8; 4], usize, u16); 9] = [
        ("TAP with 15 bytes", [0x80, 0x10, 1, 1], 15, 0x6700),
        ("TAP with 17 bytes", [0x80, 0x10, 1, 1], 17, 0x6700),
        ("TAP without data", [0x80, 0x10, 1, 1], 0, 0x6700),
        ("INITIALIZE UPDATE with 7 bytes", [0x80, 0x50, 0, 0], 7, 0x6700),
        ("INITIALIZE UPDATE with 9 bytes", [0x80, 0x50, 0, 0], 9, 0x6700),
        ("INITIALIZE UPDATE with P1 02", [0x80, 0x50, 2, 0], 8, 0x6A86),
        ("INITIALIZE UPDATE with P2 01", [0x80, 0x50, 0, 1], 8, 0x6A86),
        ("SELECT with P1 00", [0x00, 0xA4, 0, 0], 7, 0x6A86),
        ("SELECT of the next occurrence", [0x00, 0xA4, 4, 2], 7, 0x6A86),
    ];
    for (what, header, length, sw) in rows {
        rig.select()?;
        let data = if header[1] == 0xA4 {
            AID.to_vec()
        } else {
            vec![0x5A; length]
        };
        rig.send(&encode(header, &data, Some(0)))?.is(sw, what)?;
    }
    for length in [15, 17] {
        rig.select()?;
        let host: [u8; 8] = rig.random();
        rig.command(Header::INITIALIZE_UPDATE.to_bytes(), &host)?
            .ok("INITIALIZE UPDATE")?;
        rig.send(&encode([0x84, 0x82, 0x33, 0x00], &vec![0; length], None))?
            .is(0x6700, &format!("EXTERNAL AUTHENTICATE with {length} bytes"))?;
    }
    rig.select()?;
    let host: [u8; 8] = rig.random();
    rig.command(Header::INITIALIZE_UPDATE.to_bytes(), &host)?
        .ok("INITIALIZE UPDATE")?;
    rig.send(&encode([0x84, 0x82, 0x03, 0x00], &[0; 16], None))?
        .is(0x6A86, "EXTERNAL AUTHENTICATE with another security level")
}

fn le(rig: &mut TestRig<'_>) -> Check {
    let select = encode(Header::SELECT.to_bytes(), &AID, None);
    let seen = rig.select()?;
    for le in [&[][..], &[0xFF]] {
        rig.reset()?;
        let body = rig
            .send(&[&select[..], le].concat())?
            .ok("SELECT with another Le")?;
        ensure(body == seen, "SELECT with another Le answers other bytes")?;
    }
    let (host, rt): ([u8; 8], [u8; 16]) = (rig.random(), rig.random());
    let tap = encode([0x80, 0x10, 0x03, 0x01], &rt, Some(0));
    let commit = encode([0x80, 0x12, 0x03, 0x01], &[0; 44], Some(0x19));
    let update = encode([0x80, 0x14, 0x03, 0x01], &[0; 252], Some(0x10));
    let initialize = encode(Header::INITIALIZE_UPDATE.to_bytes(), &host, Some(0));
    let serial = encode(Header::GET_SERIAL.to_bytes(), &[], Some(0));
    for (what, before, right) in [
        ("GET DATA", None, &serial),
        ("INITIALIZE UPDATE", None, &initialize),
        ("TAP", None, &tap),
        ("COMMIT", Some(&tap), &commit),
        ("UPDATE", Some(&tap), &update),
    ] {
        let bare = &right[..right.len() - 1];
        for wrong in [&[][..], &[0x01], &[0xFE]] {
            rig.select()?;
            if let Some(before) = before {
                rig.send(before)?.ok("TAP")?;
            }
            rig.send(&[bare, wrong].concat())?
                .is(0x6700, &format!("{what} with Le {wrong:02X?}"))?;
        }
    }
    rig.select()?;
    rig.send(&initialize)?.ok("INITIALIZE UPDATE")?;
    rig.send(&encode(
        Header::EXTERNAL_AUTHENTICATE.to_bytes(),
        &[0; 16],
        Some(0),
    ))?
    .is(0x6700, "EXTERNAL AUTHENTICATE with Le")
}

fn le_at_door_s(rig: &mut TestRig<'_>) -> Check {
    let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
    let with_le = |header: Header, data: &[u8]| encode(header.to_bytes(), data, Some(0));
    rig.select()?;
    rig.send(&with_le(Header::present_certificate(0), &chain.intermediate))?
        .is(0x6700, "S1 of the intermediate with Le")?;
    rig.select()?;
    present(rig, 0, &chain.intermediate)?.ok("S1 with the intermediate")?;
    rig.send(&with_le(Header::present_certificate(1), &chain.leaf))?
        .is(0x6700, "S1 of the leaf with Le")?;
    for le in [&[][..], &[0x00], &[0x08]] {
        rig.select()?;
        chain.present(rig)?;
        rig.send(&[&[0x00, 0x84, 0x00, 0x00], le].concat())?
            .is(0x6700, &format!("GET CHALLENGE with Le {le:02X?}"))?;
    }
    for le in [None, Some(0xF1)] {
        rig.select()?;
        chain.present(rig)?;
        let rc = challenge(rig)?;
        let point = PrivateKey::generate(rig.rng()).public().to_point65();
        let data = agree_data(rig, &chain, &rc, Rights::IDENTITY.to_bytes(), &point)?;
        rig.send(&encode(Header::AGREE.to_bytes(), &data, le))?
            .is(0x6700, &format!("AGREE with Le {le:02X?}"))?;
    }
    for le in [&[][..], &[0x10]] {
        let mut door = DoorS::open_with(rig, &chain, Rights::IDENTITY)?;
        let mut command = door.wrapped_read(Object::Dg1)?;
        command.pop();
        rig.send(&[&command[..], le].concat())?
            .is(0x6700, &format!("READ OBJECT with Le {le:02X?}"))?;
    }
    DoorS::open_with(rig, &chain, Rights::IDENTITY).map(drop)
}

/// An intermediate that the card would take.
fn intermediate(rig: &mut TestRig<'_>) -> Result<Draft, Stop> {
    let key = PrivateKey::generate(rig.rng());
    Ok(Draft::new(
        rig.keys()?.root_name(),
        CertificateName::new("YZTTESTIM", crate::conformance::keys::EPOCH, 2),
        &key.public(),
        Rights::ALL,
        rig.day(-10)?,
        rig.day(300)?,
    ))
}

fn strict_tlv(rig: &mut TestRig<'_>) -> Check {
    let root = &rig.keys()?.terminal_root;
    let draft = intermediate(rig)?;
    let body = draft.body();
    let signature = root.sign(&[&body], rig.rng())?;
    let right = certificate(&body, &signature);
    rig.select()?;
    present(rig, 0, &right)?.ok("S1 with a right certificate")?;
    // 7F21 81 LL .. 5F37 40 ..
    let inside = &right[4..];
    let length = u8::try_from(inside.len()).unwrap_or(u8::MAX);
    let signed = tlv(&[0x5F, 0x37], &signature);
    let forms: [(&str, Vec<u8>); 9] = [
        (
            "a length in a longer form than needed",
            [&[0x7F, 0x21, 0x82, 0x00, length], inside].concat(),
        ),
        (
            "an indefinite length",
            [&[0x7F, 0x21, 0x80], inside, &[0x00, 0x00]].concat(),
        ),
        ("a byte behind the object", [&right[..], &[0x00]].concat()),
        (
            "a length above the bytes",
            [&[0x7F, 0x21, 0x81, length.saturating_add(1)], inside].concat(),
        ),
        (
            "a length below the bytes",
            [&[0x7F, 0x21, 0x81, length.saturating_sub(1)], inside].concat(),
        ),
        (
            "a short length in the form 81",
            [
                &[0x7F, 0x21, 0x81, length.saturating_add(1)],
                &body[..],
                &[0x5F, 0x37, 0x81, 0x40],
                &signature,
            ]
            .concat(),
        ),
        (
            "a tag of three bytes",
            [&[0x7F, 0x81, 0x21, 0x81, length], inside].concat(),
        ),
        (
            "another outer tag",
            [&[0x7F, 0x22, 0x81, length], inside].concat(),
        ),
        (
            "the signature before the body",
            tlv(&[0x7F, 0x21], &[&signed[..], &body].concat()),
        ),
    ];
    for (what, bytes) in forms {
        rig.select()?;
        present(rig, 0, &bytes)?.is(0x6A80, what)?;
    }
    for cut in [0, 1, 2, 3, 4, 40, right.len() - 1] {
        rig.select()?;
        present(rig, 0, &right[..cut])?.is(0x6A80, &format!("a certificate cut to {cut} bytes"))?;
    }
    Ok(())
}

fn unknown_tag(rig: &mut TestRig<'_>) -> Check {
    let root = &rig.keys()?.terminal_root;
    let mut draft = intermediate(rig)?;
    // There is room for a small object: the longest certificate has 247 bytes.
    draft.extra = tlv(&[0x5B], &[0x01, 0x02]);
    let bytes = draft.sign(root, rig)?;
    rig.select()?;
    present(rig, 0, &bytes)?.ok("a certificate with an unknown object in it")?;
    Ok(())
}

fn known_tag_twice(rig: &mut TestRig<'_>) -> Check {
    let root = &rig.keys()?.terminal_root;
    let mut draft = intermediate(rig)?;
    draft.extra = tlv(&[0x5F, 0x29], &[0x00]);
    let twice = draft.sign(root, rig)?;
    // The two dates, each of 9 bytes, are the last objects: they change places.
    let mut body = intermediate(rig)?.body();
    let at = body.len() - 18;
    body[at..].rotate_left(9);
    let signature = root.sign(&[&body], rig.rng())?;
    let swapped = certificate(&body, &signature);
    for (what, bytes) in [
        ("a profile that comes twice", twice),
        ("an expiry before the effective date", swapped),
    ] {
        rig.select()?;
        present(rig, 0, &bytes)?.is(0x6A80, what)?;
    }
    Ok(())
}

/// The table of what a stranger sees of a card that is neither BLANK nor TERMINATED.
fn as_a_stranger(rig: &mut TestRig<'_>) -> Check {
    rig.select()?;
    rig.send(&[0x80, 0xCA, 0x00, 0x45, 0x00])?
        .is(0x6A88, "GET DATA of the serial")?;
    for role in 0..=6 {
        for version in [0, 1, 2, 0xFF] {
            let rt: [u8; 16] = rig.random();
            let body = rig.command([0x80, 0x10, role, version], &rt)?.ok("TAP")?;
            ensure(
                body.len() == 256,
                format!("TAP of role {role} answers {} bytes", body.len()),
            )?;
        }
    }
    let rt: [u8; 16] = rig.random();
    rig.command([0x80, 0x10, 0x03, 0xFE], &rt)?.ok("TAP")?;
    rig.send(&encode([0x80, 0x12, 0x03, 0xFE], &[0; 44], Some(0x19)))?
        .is(0x6982, "COMMIT after a decoy")?;
    let host: [u8; 8] = rig.random();
    let body = rig
        .command(Header::INITIALIZE_UPDATE.to_bytes(), &host)?
        .ok("INITIALIZE UPDATE")?;
    ensure(body.len() == 29, "INITIALIZE UPDATE does not answer 29 bytes")?;
    rig.select()?;
    present(rig, 0, &[0x7F, 0x21])?.is(0x6A80, "S1 with bytes that are no certificate")?;
    // A certificate of somebody else's authority.
    let key = PrivateKey::generate(rig.rng());
    let name = CertificateName::new("SOMEBODY", 1, 1);
    let (from, to) = (rig.day(-1)?, rig.day(10)?);
    let foreign = Draft::new(name, name, &key.public(), Rights::ALL, from, to).sign(&key, rig)?;
    present(rig, 0, &foreign)?.is(0x6A88, "S1 with a certificate of another authority")
}
