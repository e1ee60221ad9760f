//! Chapter 13: what the platform below the application must be. Times are figures, never a verdict: a reader adds its own.

use card_applet_spec::apdu::Header;
use card_applet_spec::codes::{Rights, Role};
use card_applet_spec::crypto::PrivateKey;
use card_applet_spec::door_s::Object;
use card_applet_spec::script::{ScriptKind, Step, WritableObject};

use crate::conformance::case::{Case, Class, TRIES, WRITES, case};
use crate::conformance::chapters::records::abandon;
use crate::conformance::check::{Check, Stop, ensure, failed, not_run};
use crate::conformance::issuer::{
    DoorI, PORTRAIT, Script, keys_step, objects, trust_step, write_object, wrong_try,
};
use crate::conformance::keys::EPOCH;
use crate::conformance::phase::Phase;
use crate::conformance::tap::{Tap, commit, debited, purchase, purse, tap};
use crate::conformance::terminal::{Chain, DoorS, Plan, agree, agree_data, challenge, present};
use crate::conformance::test_rig::{Answer, TestRig, encode};

pub(super) const CASES: &[Case] = &[
    case(
        "13.01",
        "13 The platform",
        Class::Platform,
        Phase::AsLaid,
        "",
        "no platform security domain is selectable, and no application by default",
        no_security_domain,
    ),
    case(
        "13.02",
        "13 The platform",
        Class::Platform,
        Phase::AsLaid,
        "",
        "before SELECT nothing answers: no INITIALIZE UPDATE of the platform, no production data",
        no_default_application,
    ),
    case(
        "13.03",
        "13 The platform",
        Class::Platform,
        Phase::AsLaid,
        "",
        "the identifier of the radio interface is random",
        random_identifier,
    ),
    case(
        "13.04",
        "13 The platform",
        Class::Platform,
        Phase::AsLaid,
        "",
        "challenges show no gross fault of the random generator: repetition, bias, chi-square",
        random_challenges,
    ),
    case(
        "13.05",
        "13 The platform",
        Class::Platform,
        Phase::AsLaid,
        "",
        "TAP answers look random at every place of their 256 bytes",
        random_taps,
    ),
    case(
        "13.06",
        "13 The platform",
        Class::Platform,
        Phase::Personalised,
        "",
        "a terminal's key that is no point of P-256 is 6A80 in S1, or nothing verifies under it",
        points_in_certificates,
    ),
    case(
        "13.07",
        "13 The platform",
        Class::Platform,
        Phase::Active,
        "",
        "a point of AGREE off the curve, of another curve, infinity, or above the prime is 6982",
        points_in_agree,
    ),
    case(
        "13.08",
        "13 The platform",
        Class::Platform,
        Phase::Personalised,
        WRITES,
        "a trust anchor that is no point of P-256 is refused",
        points_in_trust,
    ),
    case(
        "13.09",
        "13 The platform",
        Class::Platform,
        Phase::Active,
        WRITES,
        "the longest command and the longest answer pass, and a second portrait of full length fits beside the first",
        sizes,
    ),
    case(
        "13.10",
        "13 The platform",
        Class::Platform,
        Phase::Active,
        "",
        "a reset in the middle of any session ends it, and the card is as before",
        resets,
    ),
    case(
        "13.11",
        "13 The platform",
        Class::Platform,
        Phase::Active,
        "",
        "a live slot and a decoy answer with the same length and status; their times are figures",
        live_and_decoy,
    ),
    case(
        "13.12",
        "13 Limits for procurement",
        Class::Platform,
        Phase::Active,
        WRITES,
        "the times of the commands are measured; the smallest bound on an AES key set-up is a figure",
        times,
    ),
    case(
        "13.13",
        "13 The platform",
        Class::Platform,
        Phase::Active,
        TRIES,
        "the failure counter stands the number of writes that --wear asks for",
        wear,
    ),
];

/// Names under which platforms let their security domain be selected: GlobalPlatform, and makers' own.
const SECURITY_DOMAINS: [&str; 7] = [
    "",
    "A000000151000000",
    "A0000001510000",
    "A000000003000000",
    "A000000018434D00",
    "A00000000353504200",
    "A000000167413000FF",
];

fn no_security_domain(rig: &mut TestRig<'_>) -> Check {
    for name in SECURITY_DOMAINS {
        let aid = hex::decode(name).unwrap_or_default();
        rig.reset()?;
        let answer = rig.send(&encode(Header::SELECT.to_bytes(), &aid, Some(0)))?;
        answer.is_refusal(&format!(
            "SELECT of {}",
            if name.is_empty() { "nothing" } else { name }
        ))?;
        rig.select()?;
        let answer = rig.send(&encode(Header::SELECT.to_bytes(), &aid, Some(0)))?;
        answer.is_refusal(&format!("SELECT of {name:?} after the application"))?;
    }
    Ok(())
}

fn no_default_application(rig: &mut TestRig<'_>) -> Check {
    let host: [u8; 8] = rig.random();
    for (what, command) in [
        (
            "INITIALIZE UPDATE",
            encode([0x80, 0x50, 0x00, 0x00], &host, Some(0)),
        ),
        (
            "GET DATA of the production life cycle",
            vec![0x80, 0xCA, 0x9F, 0x7F, 0x00],
        ),
        (
            "GET DATA of the production life cycle",
            vec![0x00, 0xCA, 0x9F, 0x7F, 0x00],
        ),
        (
            "GET DATA of the issuer number",
            vec![0x80, 0xCA, 0x00, 0x42, 0x00],
        ),
        (
            "GET DATA of the card image number",
            vec![0x80, 0xCA, 0x00, 0x45, 0x00],
        ),
        ("GET DATA of the key template", vec![0x80, 0xCA, 0x00, 0xE0, 0x00]),
        ("GET DATA of card data", vec![0x80, 0xCA, 0x00, 0x66, 0x00]),
        (
            "GET DATA of the sequence counter",
            vec![0x80, 0xCA, 0x00, 0xC1, 0x00],
        ),
    ] {
        rig.reset()?;
        rig.send(&command)?.is_refusal(&format!("{what} before SELECT"))?;
    }
    Ok(())
}

fn random_identifier(rig: &mut TestRig<'_>) -> Check {
    let mut seen = Vec::new();
    for _ in 0..2 {
        rig.reset()?;
        // PC/SC part 3, 3.2.2.1.3: answered by a contactless reader, not by the card.
        let answer = rig.send(&[0xFF, 0xCA, 0x00, 0x00, 0x00])?;
        if answer.sw != 0x9000 || answer.body.is_empty() {
            return not_run(
                "the reader does not tell the identifier (a reader with contacts, or a virtual one)",
            );
        }
        seen.push(answer.body);
    }
    // ISO/IEC 14443-3: a single-size identifier that begins with 08 is random.
    let random = seen.iter().all(|id| id.len() == 4 && id.first() == Some(&0x08));
    ensure(
        random || seen[0] != seen[1],
        format!(
            "the identifier of {} bytes is the same after a reset and is not marked random",
            seen[0].len()
        ),
    )
}

/// Chi-square of bytes over 256 cells.
fn chi_square(bytes: &[u8]) -> f64 {
    let mut cells = [0_u32; 256];
    for byte in bytes {
        cells[usize::from(*byte)] += 1;
    }
    let expected = f64::from(u32::try_from(bytes.len()).unwrap_or(u32::MAX)) / 256.0;
    cells
        .iter()
        .map(|seen| (f64::from(*seen) - expected).powi(2) / expected)
        .sum()
}

/// Distance of the number of set bits from a half, in standard deviations.
fn bias(bytes: &[u8]) -> f64 {
    let ones: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
    let bits = f64::from(u32::try_from(bytes.len()).unwrap_or(u32::MAX)) * 8.0;
    (f64::from(ones) - bits / 2.0).abs() / (bits / 4.0).sqrt()
}

/// Six standard deviations: a good generator fails once in a thousand million runs.
const SIGMAS: f64 = 6.0;
/// Chi-square with 255 degrees of freedom at six standard deviations, both ends.
const CHI: (f64, f64) = (120.0, 392.0);

/// Gross faults in a heap of random values of one length.
fn is_random(rig: &mut TestRig<'_>, name: &str, values: &[Vec<u8>]) -> Check {
    let all: Vec<u8> = values.concat();
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    ensure(
        sorted.len() == values.len(),
        format!("{name}: a value came twice"),
    )?;
    let length = values.first().map_or(0, Vec::len);
    for at in 0..length {
        let column: Vec<u8> = values.iter().map(|value| value[at]).collect();
        ensure(
            column.iter().any(|byte| *byte != column[0]),
            format!("{name}: byte {at} is always {:02x}", column[0]),
        )?;
    }
    let (chi, bias) = (chi_square(&all), bias(&all));
    rig.note(
        format!("{name}: chi-square of {} bytes, 255 degrees", all.len()),
        chi,
        "",
        None,
    );
    rig.note(format!("{name}: bias"), bias, "sigma", Some(SIGMAS));
    ensure(
        bias < SIGMAS,
        format!("{name}: set bits are {bias:.1} standard deviations off"),
    )?;
    // Fewer than 8 a cell say nothing.
    if all.len() >= 2048 {
        ensure(
            chi > CHI.0 && chi < CHI.1,
            format!("{name}: chi-square is {chi:.0} with 255 degrees of freedom"),
        )?;
    }
    Ok(())
}

fn random_challenges(rig: &mut TestRig<'_>) -> Check {
    let (mut taps, mut openings) = (Vec::new(), Vec::new());
    for round in 0..rig.samples().max(16) {
        // Some of them right after a power-on: a generator that starts at the same place shows it then.
        if round % 4 == 0 {
            rig.select()?;
        }
        let body = rig.command([0x80, 0x10, 0x01, 0x01], &[0; 16])?.ok("TAP")?;
        let Some(rc) = body.get(..16) else {
            return failed("TAP answers less than rC");
        };
        taps.push(rc.to_vec());
        let body = rig
            .command([0x80, 0x50, 0x00, 0x00], &[0; 8])?
            .ok("INITIALIZE UPDATE")?;
        let Some(card) = body.get(13..21) else {
            return failed("INITIALIZE UPDATE answers less than the challenge");
        };
        openings.push(card.to_vec());
        rig.select_again()?;
    }
    is_random(rig, "rC of TAP", &taps)?;
    is_random(rig, "card challenge of door I", &openings)
}

fn random_taps(rig: &mut TestRig<'_>) -> Check {
    let mut taps = Vec::new();
    for _ in 0..rig.samples().clamp(16, 128) {
        taps.push(rig.command([0x80, 0x10, 0x01, 0xFE], &[0; 16])?.ok("TAP")?);
    }
    ensure(
        taps.iter().all(|tap| tap.len() == 256),
        "a TAP does not answer 256 bytes",
    )?;
    is_random(rig, "whole TAP answers", &taps)
}

/// What is no point of P-256, each with its name.
fn bad_points(rig: &mut TestRig<'_>) -> Vec<(&'static str, [u8; 65])> {
    let right = PrivateKey::generate(rig.rng()).public().to_point65();
    let of = |x: &str, y: &str| {
        let mut point = [0x04; 65];
        let bytes = hex::decode(format!("{x}{y}")).unwrap_or_default();
        if bytes.len() == 64 {
            point[1..].copy_from_slice(&bytes);
        }
        point
    };
    let with = |at: usize, value: u8| {
        let mut point = right;
        point[at] = value;
        point
    };
    let zeros = "00".repeat(32);
    let small = |number: u8| format!("{}{number:02x}", "00".repeat(31));
    let prime = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
    // y of the point with x = 0.
    let root = "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4";
    let mut negated = right;
    negated[33..].reverse();
    vec![
        ("a point with a changed bit in Y", with(64, right[64] ^ 0x01)),
        ("a point with a changed bit in X", with(1, right[1] ^ 0x40)),
        ("a point with Y reversed", negated),
        ("infinity as zeros", of(&zeros, &zeros)),
        ("ones everywhere", of(&"ff".repeat(32), &"ff".repeat(32))),
        ("X equal to the prime", of(prime, root)),
        ("Y equal to the prime", of(&small(5), prime)),
        ("a point of order 2 of another curve", of(&small(5), &zeros)),
        (
            "a point of order 3 of another curve",
            of(
                &small(11),
                "5cabe92a102cf6b20440d949109fc739eea769579b3c3db0b8975d6ee32a7f2e",
            ),
        ),
        (
            "the generator of secp256k1",
            of(
                "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
                "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8",
            ),
        ),
        (
            "the generator of brainpoolP256r1",
            of(
                "8bd2aeb9cb7e57cb2c4b482ffc81b7afb9de27e1e3bd23c23a4453bd9ace3262",
                "547ef835c3dac4fd97f8461a14611dc9c27745132ded8e545c1d54c72f046997",
            ),
        ),
        ("a right point in hybrid form", with(0, 0x06 | (right[64] & 1))),
        ("a right point marked as compressed", with(0, 0x02)),
        ("a right point marked 00", with(0, 0x00)),
    ]
}

fn points_in_certificates(rig: &mut TestRig<'_>) -> Check {
    let root = &rig.keys()?.terminal_root;
    for (what, point) in bad_points(rig) {
        let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
        let mut leaf = chain.leaf_draft.clone();
        leaf.point = point.to_vec();
        let leaf_bytes = leaf.sign(&chain.intermediate_key, rig)?;
        leaf.issuer = rig.keys()?.root_name().0;
        let middle = leaf.sign(root, rig)?;
        let mut below = chain.leaf_draft.clone();
        below.issuer = leaf.holder;
        let below = below.sign(&chain.intermediate_key, rig)?;
        rig.select()?;
        let taken = refused_or_taken(
            &present(rig, 0, &middle)?,
            &format!("an intermediate with {what}"),
        )?;
        if taken {
            present(rig, 1, &below)?.is(0x6982, &format!("a leaf under an intermediate with {what}"))?;
        }
        rig.select()?;
        present(rig, 0, &chain.intermediate)?.ok("S1 with the intermediate")?;
        let taken = refused_or_taken(&present(rig, 1, &leaf_bytes)?, &format!("a leaf with {what}"))?;
        if taken {
            let rc = challenge(rig)?;
            let right = PrivateKey::generate(rig.rng()).public().to_point65();
            let data = agree_data(rig, &chain, &rc, Rights::IDENTITY.to_bytes(), &right)?;
            agree(rig, &data)?.is(0x6982, &format!("AGREE under a leaf with {what}"))?;
        }
    }
    Ok(())
}

/// S1 with a key that is no point: 6A80, or taken by a card that finds out when it verifies (decision 0045).
fn refused_or_taken(answer: &Answer, what: &str) -> Result<bool, Stop> {
    if answer.sw == 0x9000 {
        return Ok(true);
    }
    answer.is(0x6A80, what)?;
    Ok(false)
}

fn points_in_agree(rig: &mut TestRig<'_>) -> Check {
    let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
    for rights in [Rights::IDENTITY, Rights::role(Role::Clinic)] {
        for (what, point) in bad_points(rig) {
            rig.select()?;
            chain.present(rig)?;
            let rc = challenge(rig)?;
            // The signature over the point holds: only the point itself is wrong.
            let data = agree_data(rig, &chain, &rc, rights.to_bytes(), &point)?;
            agree(rig, &data)?.is(0x6982, &format!("AGREE with {what}"))?;
        }
    }
    DoorS::open_with(rig, &chain, Rights::IDENTITY).map(drop)
}

fn points_in_trust(rig: &mut TestRig<'_>) -> Check {
    let name = rig.keys()?.root_name();
    let mut door = DoorI::open(rig)?;
    let script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    for (what, point) in bad_points(rig) {
        // TRUST has public64: what is wrong in the first byte only cannot be said there.
        if point[0] != 0x04 {
            continue;
        }
        let mut public64 = [0; 64];
        public64.copy_from_slice(&point[1..]);
        let step = Step::Trust {
            name: &name.0,
            public64: &public64,
            epoch: EPOCH,
            floor: rig.day(-20)?,
        };
        script.refused(
            rig,
            &mut door,
            &step.encode()?,
            Some(0x6A80),
            &format!("TRUST with {what}"),
        )?;
    }
    abandon(rig, &mut door)
}

fn sizes(rig: &mut TestRig<'_>) -> Check {
    let publics = rig.publics()?;
    present(rig, 0, &[0x5A; 255])?.is(0x6A80, "S1 with 255 bytes")?;
    rig.select()?;
    Tap::send(rig, 0x01, 0x01)?;
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    let new = objects(rig, &publics[0], PORTRAIT, 3)?;
    for (object, bytes) in WritableObject::ALL.into_iter().zip(&new) {
        write_object(rig, &mut door, &mut script, object, bytes)?;
    }
    script.finalise(rig, &mut door)?;
    rig.fixture.objects = new;
    let seen = DoorS::open(rig, Rights::PORTRAIT)?.read(rig, Object::Dg2)?;
    ensure(
        seen == rig.fixture.objects[1],
        "the second portrait is not read as it was written",
    )
}

fn resets(rig: &mut TestRig<'_>) -> Check {
    let before = DoorI::open(rig)?.status(rig)?;
    // Door I, open.
    let mut door = DoorI::open(rig)?;
    let next = door.channel().wrap_command(Header::GET_STATUS, &[])?;
    rig.select()?;
    rig.send(&next)?.is(0x6985, "a command of door I after a reset")?;
    // Opening.
    rig.select()?;
    let (mut channel, cryptogram, _) = DoorI::propose(rig)?;
    let command = channel.external_authenticate(&cryptogram)?;
    rig.select()?;
    rig.send(&command)?
        .is(0x6985, "EXTERNAL AUTHENTICATE after a reset")?;
    // A TAP.
    rig.select()?;
    let (tapped, _) = tap(rig, Role::SmallPayment)?;
    let body = purchase(rig, 0);
    let seq = purse(rig)?.seq;
    rig.select()?;
    commit(rig, &tapped, &body, seq)?.is(0x6985, "COMMIT after a reset")?;
    // Door S: presenting, challenged, open.
    let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
    rig.select()?;
    chain.present(rig)?;
    let rc = challenge(rig)?;
    let point = PrivateKey::generate(rig.rng()).public().to_point65();
    let data = agree_data(rig, &chain, &rc, Rights::IDENTITY.to_bytes(), &point)?;
    rig.select()?;
    agree(rig, &data)?.is(0x6985, "AGREE after a reset")?;
    let mut door = DoorS::open_with(rig, &chain, Rights::IDENTITY)?;
    let read = door.wrapped_read(Object::Dg1)?;
    rig.select()?;
    rig.send(&read)?.is(0x6985, "READ OBJECT after a reset")?;
    let after = DoorI::open(rig)?.status(rig)?;
    ensure(before == after, "the resets changed something on the card")
}

/// Median of some times.
fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Median time of a command that is answered with 9000.
fn time(rig: &mut TestRig<'_>, rounds: usize, command: &[u8]) -> Result<f64, Stop> {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let (answer, spent) = rig.timed(command)?;
        answer.ok("a command that is timed")?;
        times.push(spent);
    }
    Ok(median(&mut times))
}

/// Rounds of a timing.
const ROUNDS: usize = 31;

fn live_and_decoy(rig: &mut TestRig<'_>) -> Check {
    let kv = rig.newest(Role::Transit)?;
    let rt: [u8; 16] = rig.random();
    let (mut live, mut decoy) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for (version, times) in [(kv, &mut live), (0xFE, &mut decoy)] {
            let command = encode([0x80, 0x10, Role::Transit.code(), version], &rt, Some(0));
            let (answer, spent) = rig.timed(&command)?;
            let body = answer.ok("TAP")?;
            ensure(body.len() == 256, "TAP does not answer 256 bytes")?;
            times.push(spent);
        }
    }
    let (live, decoy) = (median(&mut live), median(&mut decoy));
    rig.note("TAP of a live slot, median", live, "ms", Some(80.0));
    rig.note("TAP of a decoy, median", decoy, "ms", Some(80.0));
    rig.note("TAP: live less decoy", live - decoy, "ms", None);
    Ok(())
}

fn times(rig: &mut TestRig<'_>) -> Check {
    let select = crate::conformance::test_rig::select_command();
    let selected = time(rig, ROUNDS, &select)?;
    rig.note("SELECT, median", selected, "ms", None);
    let kv = rig.newest(Role::Transit)?;
    let rt: [u8; 16] = rig.random();
    let tapped = time(
        rig,
        ROUNDS,
        &encode([0x80, 0x10, Role::Transit.code(), kv], &rt, Some(0)),
    )?;
    let mut openings = Vec::new();
    for _ in 0..ROUNDS {
        rig.select_again()?;
        let host: [u8; 8] = rig.random();
        let (answer, spent) = rig.timed(&encode(Header::INITIALIZE_UPDATE.to_bytes(), &host, Some(0)))?;
        answer.ok("INITIALIZE UPDATE")?;
        openings.push(spent);
    }
    let opened = median(&mut openings);
    rig.note("INITIALIZE UPDATE, median", opened, "ms", None);
    // TAP sets up G and M at least; INITIALIZE UPDATE the two static keys and a session key. What is left of a command
    // after a SELECT of about the same length, divided by that, is more than one set-up takes. Noise of the reader that
    // swallows the difference gives no bound.
    let bound = ((tapped - selected) / 2.0).min((opened - selected) / 3.0);
    if bound > 0.0 {
        rig.note("an AES key set-up takes less than", bound, "ms", Some(15.0));
    }

    times_of_keys(rig)?;
    let committed = time_of_commit(rig)?;
    rig.note("COMMIT, median", committed, "ms", None);
    rig.note("TAP and COMMIT", tapped + committed, "ms", Some(145.0));
    times_of_door_s(rig, selected)
}

/// Steps of a script that load keys.
fn times_of_keys(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    let trust = trust_step(rig, EPOCH, rig.day(-20)?)?;
    let anchored = door.timed_step(rig, script.n + 1, &trust)?;
    script.count(&trust);
    let (keys, _) = keys_step(rig, door.transport)?;
    let loaded = door.timed_step(rig, script.n + 1, &keys)?;
    script.count(&keys);
    script.finalise(rig, &mut door)?;
    rig.note("TRUST, a step that writes 80 bytes", anchored, "ms", None);
    rig.note("KEYS, a step that loads six keys", loaded, "ms", None);
    rig.note(
        "one AES key: opened, written, checked",
        (loaded - anchored) / 6.0,
        "ms",
        None,
    );
    Ok(())
}

/// Median time of a debit.
fn time_of_commit(rig: &mut TestRig<'_>) -> Result<f64, Stop> {
    let mut commits = Vec::new();
    for _ in 0..5 {
        rig.select()?;
        let (tapped, _) = tap(rig, Role::SmallPayment)?;
        let before = purse(rig)?;
        let body = purchase(rig, 0);
        let slot = rig.slot(Role::SmallPayment, tapped.version)?;
        let mac = body.mac(
            &slot.m,
            tapped.role,
            tapped.version,
            &tapped.rt,
            &tapped.answer.card_challenge,
            before.seq,
        )?;
        let data = [&body.encode()?[..], &mac].concat();
        let after = debited(rig, &tapped, &body, &before)?;
        let command = encode(
            Header::commit(tapped.role, tapped.version).to_bytes(),
            &data,
            Some(0x19),
        );
        let (answer, spent) = rig.timed(&command)?;
        answer.ok("COMMIT")?;
        rig.fixture.purse = Some(after);
        commits.push(spent);
    }
    Ok(median(&mut commits))
}

/// The commands of door S.
fn times_of_door_s(rig: &mut TestRig<'_>, selected: f64) -> Check {
    let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
    let (mut first, mut second, mut third) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..5 {
        rig.select()?;
        for (place, bytes, times) in [
            (0, &chain.intermediate, &mut first),
            (1, &chain.leaf, &mut second),
        ] {
            let (answer, spent) = rig.timed(&encode([0x80, 0x20, place, 0x00], bytes, None))?;
            answer.ok("S1")?;
            times.push(spent);
        }
        let rc = challenge(rig)?;
        let point = PrivateKey::generate(rig.rng()).public().to_point65();
        let data = agree_data(rig, &chain, &rc, Rights::role(Role::Clinic).to_bytes(), &point)?;
        let (answer, spent) = rig.timed(&encode(Header::AGREE.to_bytes(), &data, Some(0)))?;
        answer.ok("AGREE")?;
        third.push(spent);
    }
    let (first, second, third) = (median(&mut first), median(&mut second), median(&mut third));
    rig.note(
        "PRESENT CERTIFICATE, median (one ECDSA verify and the link)",
        first.min(second),
        "ms",
        None,
    );
    rig.note("AGREE, median", third, "ms", None);
    rig.note(
        "door S, without reading",
        selected + first + second + third,
        "ms",
        Some(800.0),
    );
    Ok(())
}

fn wear(rig: &mut TestRig<'_>) -> Check {
    let rounds = rig.wear();
    if rounds == 0 {
        return not_run("it writes one page again and again: say how often (--wear N)");
    }
    for round in 0..rounds {
        // Fewer than the limit in a row: door I stays open.
        if round % 10 == 9 {
            DoorI::open(rig)?;
        } else {
            wrong_try(rig)?;
        }
    }
    DoorI::open(rig)?;
    rig.note(
        "writes of the failure counter",
        f64::from(rounds),
        "",
        Some(500_000.0),
    );
    Ok(())
}
