//! Chapter 13: what the platform below the application must be. Times are figures, never a verdict: a reader adds its own.

use card_applet_spec::apdu::Header;
use card_applet_spec::codes::{Rights, Role};
use card_applet_spec::crypto::PrivateKey;
use card_applet_spec::door_s::Object;
use card_applet_spec::script::{ScriptKind, Step, WritableObject};

use super::super::bench::{Bench, encode, ensure, failed, not_run};
use super::super::office::{
    DoorI, EPOCH, PORTRAIT, Script, keys_step, objects, trust_step, write_object, wrong_try,
};
use super::super::tap::{Tap, commit, debited, purchase, purse, tap};
use super::super::terminal::{Chain, DoorS, Plan, agree, agree_data, challenge, present};
use super::super::{Case, Check, Class, Phase, Stop};
use super::records::abandon;
use super::{TRIES, WRITES, case};

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
        "a terminal's key that is no point of P-256 is 6A80 in S1",
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

fn no_security_domain(bench: &mut Bench<'_>) -> Check {
    for name in SECURITY_DOMAINS {
        let aid = hex::decode(name).unwrap_or_default();
        bench.reset()?;
        let answer = bench.send(&encode(Header::SELECT.to_bytes(), &aid, Some(0)))?;
        answer.is_refusal(&format!(
            "SELECT of {}",
            if name.is_empty() { "nothing" } else { name }
        ))?;
        bench.select()?;
        let answer = bench.send(&encode(Header::SELECT.to_bytes(), &aid, Some(0)))?;
        answer.is_refusal(&format!("SELECT of {name:?} after the application"))?;
    }
    Ok(())
}

fn no_default_application(bench: &mut Bench<'_>) -> Check {
    let host: [u8; 8] = bench.random();
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
        bench.reset()?;
        bench
            .send(&command)?
            .is_refusal(&format!("{what} before SELECT"))?;
    }
    Ok(())
}

fn random_identifier(bench: &mut Bench<'_>) -> Check {
    let mut seen = Vec::new();
    for _ in 0..2 {
        bench.reset()?;
        // PC/SC part 3, 3.2.2.1.3: answered by a contactless reader, not by the card.
        let answer = bench.send(&[0xFF, 0xCA, 0x00, 0x00, 0x00])?;
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
fn is_random(bench: &mut Bench<'_>, name: &str, values: &[Vec<u8>]) -> Check {
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
    bench.note(
        format!("{name}: chi-square of {} bytes, 255 degrees", all.len()),
        chi,
        "",
        None,
    );
    bench.note(format!("{name}: bias"), bias, "sigma", Some(SIGMAS));
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

fn random_challenges(bench: &mut Bench<'_>) -> Check {
    let (mut taps, mut openings) = (Vec::new(), Vec::new());
    for round in 0..bench.samples().max(16) {
        // Some of them right after a power-on: a generator that starts at the same place shows it then.
        if round % 4 == 0 {
            bench.select()?;
        }
        let body = bench.command([0x80, 0x10, 0x01, 0x01], &[0; 16])?.ok("TAP")?;
        let Some(rc) = body.get(..16) else {
            return failed("TAP answers less than rC");
        };
        taps.push(rc.to_vec());
        let body = bench
            .command([0x80, 0x50, 0x00, 0x00], &[0; 8])?
            .ok("INITIALIZE UPDATE")?;
        let Some(card) = body.get(13..21) else {
            return failed("INITIALIZE UPDATE answers less than the challenge");
        };
        openings.push(card.to_vec());
        bench.select_again()?;
    }
    is_random(bench, "rC of TAP", &taps)?;
    is_random(bench, "card challenge of door I", &openings)
}

fn random_taps(bench: &mut Bench<'_>) -> Check {
    let mut taps = Vec::new();
    for _ in 0..bench.samples().clamp(16, 128) {
        taps.push(bench.command([0x80, 0x10, 0x01, 0xFE], &[0; 16])?.ok("TAP")?);
    }
    ensure(
        taps.iter().all(|tap| tap.len() == 256),
        "a TAP does not answer 256 bytes",
    )?;
    is_random(bench, "whole TAP answers", &taps)
}

/// What is no point of P-256, each with its name.
fn bad_points(bench: &mut Bench<'_>) -> Vec<(&'static str, [u8; 65])> {
    let right = PrivateKey::generate(bench.rng()).public().to_point65();
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

fn points_in_certificates(bench: &mut Bench<'_>) -> Check {
    let root = &bench.keys()?.terminal_root;
    for (what, point) in bad_points(bench) {
        let chain = Chain::make(bench, Plan::with(Rights::ALL))?;
        let mut leaf = chain.leaf_draft.clone();
        leaf.point = point.to_vec();
        let leaf_bytes = leaf.sign(&chain.intermediate_key, bench)?;
        leaf.issuer = bench.keys()?.root_name().0;
        let middle = leaf.sign(root, bench)?;
        bench.select()?;
        present(bench, 0, &middle)?.is(0x6A80, &format!("an intermediate with {what}"))?;
        bench.select()?;
        present(bench, 0, &chain.intermediate)?.ok("S1 with the intermediate")?;
        present(bench, 1, &leaf_bytes)?.is(0x6A80, &format!("a leaf with {what}"))?;
    }
    Ok(())
}

fn points_in_agree(bench: &mut Bench<'_>) -> Check {
    let chain = Chain::make(bench, Plan::with(Rights::ALL))?;
    for rights in [Rights::IDENTITY, Rights::role(Role::Clinic)] {
        for (what, point) in bad_points(bench) {
            bench.select()?;
            chain.present(bench)?;
            let rc = challenge(bench)?;
            // The signature over the point holds: only the point itself is wrong.
            let data = agree_data(bench, &chain, &rc, rights.to_bytes(), &point)?;
            agree(bench, &data)?.is(0x6982, &format!("AGREE with {what}"))?;
        }
    }
    DoorS::open_with(bench, &chain, Rights::IDENTITY).map(drop)
}

fn points_in_trust(bench: &mut Bench<'_>) -> Check {
    let name = bench.keys()?.root_name();
    let mut door = DoorI::open(bench)?;
    let script = Script::begin(bench, &mut door, ScriptKind::Rewrite)?;
    for (what, point) in bad_points(bench) {
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
            floor: bench.day(-20)?,
        };
        script.refused(
            bench,
            &mut door,
            &step.encode()?,
            Some(0x6A80),
            &format!("TRUST with {what}"),
        )?;
    }
    abandon(bench, &mut door)
}

fn sizes(bench: &mut Bench<'_>) -> Check {
    let publics = bench.publics()?;
    present(bench, 0, &[0x5A; 255])?.is(0x6A80, "S1 with 255 bytes")?;
    bench.select()?;
    Tap::send(bench, 0x01, 0x01)?;
    let mut door = DoorI::open(bench)?;
    let mut script = Script::begin(bench, &mut door, ScriptKind::Rewrite)?;
    let new = objects(bench, &publics[0], PORTRAIT, 3)?;
    for (object, bytes) in WritableObject::ALL.into_iter().zip(&new) {
        write_object(bench, &mut door, &mut script, object, bytes)?;
    }
    script.finalise(bench, &mut door)?;
    bench.world.objects = new;
    let seen = DoorS::open(bench, Rights::PORTRAIT)?.read(bench, Object::Dg2)?;
    ensure(
        seen == bench.world.objects[1],
        "the second portrait is not read as it was written",
    )
}

fn resets(bench: &mut Bench<'_>) -> Check {
    let before = DoorI::open(bench)?.status(bench)?;
    // Door I, open.
    let mut door = DoorI::open(bench)?;
    let next = door.channel().wrap_command(Header::GET_STATUS, &[])?;
    bench.select()?;
    bench
        .send(&next)?
        .is(0x6985, "a command of door I after a reset")?;
    // Opening.
    bench.select()?;
    let (mut channel, cryptogram, _) = DoorI::propose(bench)?;
    let command = channel.external_authenticate(&cryptogram)?;
    bench.select()?;
    bench
        .send(&command)?
        .is(0x6985, "EXTERNAL AUTHENTICATE after a reset")?;
    // A TAP.
    bench.select()?;
    let (tapped, _) = tap(bench, Role::SmallPayment)?;
    let body = purchase(bench, 0);
    let seq = purse(bench)?.seq;
    bench.select()?;
    commit(bench, &tapped, &body, seq)?.is(0x6985, "COMMIT after a reset")?;
    // Door S: presenting, challenged, open.
    let chain = Chain::make(bench, Plan::with(Rights::ALL))?;
    bench.select()?;
    chain.present(bench)?;
    let rc = challenge(bench)?;
    let point = PrivateKey::generate(bench.rng()).public().to_point65();
    let data = agree_data(bench, &chain, &rc, Rights::IDENTITY.to_bytes(), &point)?;
    bench.select()?;
    agree(bench, &data)?.is(0x6985, "AGREE after a reset")?;
    let mut door = DoorS::open_with(bench, &chain, Rights::IDENTITY)?;
    let read = door.wrapped_read(Object::Dg1)?;
    bench.select()?;
    bench.send(&read)?.is(0x6985, "READ OBJECT after a reset")?;
    let after = DoorI::open(bench)?.status(bench)?;
    ensure(before == after, "the resets changed something on the card")
}

/// Median of some times.
fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Median time of a command that is answered with 9000.
fn time(bench: &mut Bench<'_>, rounds: usize, command: &[u8]) -> Result<f64, Stop> {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let (answer, spent) = bench.timed(command)?;
        answer.ok("a command that is timed")?;
        times.push(spent);
    }
    Ok(median(&mut times))
}

/// Rounds of a timing.
const ROUNDS: usize = 31;

fn live_and_decoy(bench: &mut Bench<'_>) -> Check {
    let kv = bench.newest(Role::Transit)?;
    let rt: [u8; 16] = bench.random();
    let (mut live, mut decoy) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for (version, times) in [(kv, &mut live), (0xFE, &mut decoy)] {
            let command = encode([0x80, 0x10, Role::Transit.code(), version], &rt, Some(0));
            let (answer, spent) = bench.timed(&command)?;
            let body = answer.ok("TAP")?;
            ensure(body.len() == 256, "TAP does not answer 256 bytes")?;
            times.push(spent);
        }
    }
    let (live, decoy) = (median(&mut live), median(&mut decoy));
    bench.note("TAP of a live slot, median", live, "ms", Some(80.0));
    bench.note("TAP of a decoy, median", decoy, "ms", Some(80.0));
    bench.note("TAP: live less decoy", live - decoy, "ms", None);
    Ok(())
}

fn times(bench: &mut Bench<'_>) -> Check {
    let select = super::super::bench::select_command();
    let selected = time(bench, ROUNDS, &select)?;
    bench.note("SELECT, median", selected, "ms", None);
    let kv = bench.newest(Role::Transit)?;
    let rt: [u8; 16] = bench.random();
    let tapped = time(
        bench,
        ROUNDS,
        &encode([0x80, 0x10, Role::Transit.code(), kv], &rt, Some(0)),
    )?;
    let mut openings = Vec::new();
    for _ in 0..ROUNDS {
        bench.select_again()?;
        let host: [u8; 8] = bench.random();
        let (answer, spent) = bench.timed(&encode(Header::INITIALIZE_UPDATE.to_bytes(), &host, Some(0)))?;
        answer.ok("INITIALIZE UPDATE")?;
        openings.push(spent);
    }
    let opened = median(&mut openings);
    bench.note("INITIALIZE UPDATE, median", opened, "ms", None);
    // TAP sets up G and M at least; INITIALIZE UPDATE the two static keys and a session key. What is left of a command
    // after a SELECT of about the same length, divided by that, is more than one set-up takes. Noise of the reader that
    // swallows the difference gives no bound.
    let bound = ((tapped - selected) / 2.0).min((opened - selected) / 3.0);
    if bound > 0.0 {
        bench.note("an AES key set-up takes less than", bound, "ms", Some(15.0));
    }

    times_of_keys(bench)?;
    let committed = time_of_commit(bench)?;
    bench.note("COMMIT, median", committed, "ms", None);
    bench.note("TAP and COMMIT", tapped + committed, "ms", Some(145.0));
    times_of_door_s(bench, selected)
}

/// Steps of a script that load keys.
fn times_of_keys(bench: &mut Bench<'_>) -> Check {
    let mut door = DoorI::open(bench)?;
    let mut script = Script::begin(bench, &mut door, ScriptKind::Rewrite)?;
    let trust = trust_step(bench, EPOCH, bench.day(-20)?)?;
    let anchored = door.timed_step(bench, script.n + 1, &trust)?;
    script.count(&trust);
    let (keys, _) = keys_step(bench, door.transport)?;
    let loaded = door.timed_step(bench, script.n + 1, &keys)?;
    script.count(&keys);
    script.finalise(bench, &mut door)?;
    bench.note("TRUST, a step that writes 80 bytes", anchored, "ms", None);
    bench.note("KEYS, a step that loads six keys", loaded, "ms", None);
    bench.note(
        "one AES key: opened, written, checked",
        (loaded - anchored) / 6.0,
        "ms",
        None,
    );
    Ok(())
}

/// Median time of a debit.
fn time_of_commit(bench: &mut Bench<'_>) -> Result<f64, Stop> {
    let mut commits = Vec::new();
    for _ in 0..5 {
        bench.select()?;
        let (tapped, _) = tap(bench, Role::SmallPayment)?;
        let before = purse(bench)?;
        let body = purchase(bench, 0);
        let slot = bench.slot(Role::SmallPayment, tapped.version)?;
        let mac = body.mac(
            &slot.m,
            tapped.role,
            tapped.version,
            &tapped.rt,
            &tapped.answer.card_challenge,
            before.seq,
        )?;
        let data = [&body.encode()?[..], &mac].concat();
        let after = debited(bench, &tapped, &body, &before)?;
        let command = encode(
            Header::commit(tapped.role, tapped.version).to_bytes(),
            &data,
            Some(0x19),
        );
        let (answer, spent) = bench.timed(&command)?;
        answer.ok("COMMIT")?;
        bench.world.purse = Some(after);
        commits.push(spent);
    }
    Ok(median(&mut commits))
}

/// The commands of door S.
fn times_of_door_s(bench: &mut Bench<'_>, selected: f64) -> Check {
    let chain = Chain::make(bench, Plan::with(Rights::ALL))?;
    let (mut first, mut second, mut third) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..5 {
        bench.select()?;
        for (place, bytes, times) in [
            (0, &chain.intermediate, &mut first),
            (1, &chain.leaf, &mut second),
        ] {
            let (answer, spent) = bench.timed(&encode([0x80, 0x20, place, 0x00], bytes, None))?;
            answer.ok("S1")?;
            times.push(spent);
        }
        let rc = challenge(bench)?;
        let point = PrivateKey::generate(bench.rng()).public().to_point65();
        let data = agree_data(bench, &chain, &rc, Rights::role(Role::Clinic).to_bytes(), &point)?;
        let (answer, spent) = bench.timed(&encode(Header::AGREE.to_bytes(), &data, Some(0)))?;
        answer.ok("AGREE")?;
        third.push(spent);
    }
    let (first, second, third) = (median(&mut first), median(&mut second), median(&mut third));
    bench.note(
        "PRESENT CERTIFICATE, median (one ECDSA verify and the link)",
        first.min(second),
        "ms",
        None,
    );
    bench.note("AGREE, median", third, "ms", None);
    bench.note(
        "door S, without reading",
        selected + first + second + third,
        "ms",
        Some(800.0),
    );
    Ok(())
}

fn wear(bench: &mut Bench<'_>) -> Check {
    let rounds = bench.wear();
    if rounds == 0 {
        return not_run("it writes one page again and again: say how often (--wear N)");
    }
    for round in 0..rounds {
        // Fewer than the limit in a row: door I stays open.
        if round % 10 == 9 {
            DoorI::open(bench)?;
        } else {
            wrong_try(bench)?;
        }
    }
    DoorI::open(bench)?;
    bench.note(
        "writes of the failure counter",
        f64::from(rounds),
        "",
        Some(500_000.0),
    );
    Ok(())
}
