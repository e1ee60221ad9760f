//! What can be seen of a card without a key (chapters 01, 03, 06, 07, 09): the same commands get answers of the same
//! lengths and statuses, for the same reads, writes and cryptographic operations in the same order, whatever the card is,
//! holds and has been through. The exceptions are those that the chapters name.
//!
//! And what a stranger can do to a card: nothing but count up the failures of door I, in a cell of its own.
//!
//! Left out on purpose: two cards of different terminal CAs (which certificate a card takes shows whose it is), and time,
//! which is the platform's.
use std::collections::BTreeMap;

use card_applet::Applet;
use card_applet_spec::apdu::{Header, StatusWord, split_answer};
use card_applet_spec::codes::{AID, CardState, Rights, Role};
use card_applet_spec::crypto::PrivateKey;
use card_applet_spec::door_f::tap_command;
use card_applet_spec::door_s::Agree;
use card_applet_spec::meter::KeyUsage;
use card_applet_spec::script::ScriptKind;
use card_applet_spec::update::Operation;
use card_host::{
    Card, Dice, Event, Host, KV, Plan, Ram, begin, check, date, deliver, events, pay, plain, rewrite,
    run_steps, seal, select, slot, slot_update, wrong_try,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Where a card's failure counter lies: its last 32 bytes, and nothing else does.
const CELL: usize = 32;

/// A card in some state, and what it has been through.
struct Subject {
    name: String,
    life: Life,
    state: CardState,
    host: Host,
    ram: Ram,
}

/// What a card was given, and what happened to it before it is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Life {
    /// All roles, never used.
    Full,
    /// No role at all, a long portrait.
    Bare,
    /// Updated, paid, with an open script, another floor, and a locked door I.
    Worn,
}

/// Brings a card of this life into a state.
fn subject(mut host: Host, life: Life, state: CardState) -> Subject {
    if life == Life::Bare {
        host.roles.clear();
    }
    let ram = host.blank();
    let mut card = host.power_on(ram);
    if state != CardState::Blank {
        let image = vec![0x55; if life == Life::Bare { 3_000 } else { 700 }];
        assert!(host.personalise(&mut card, &mut Plan::new(image)));
    }
    if matches!(
        state,
        CardState::Active | CardState::Blocked | CardState::Terminated
    ) {
        host.short_script(&mut card, ScriptKind::Activate, [9; 16])
            .unwrap();
        if life == Life::Worn {
            wear(&mut host, &mut card);
        }
    }
    match state {
        CardState::Blocked => host.short_script(&mut card, ScriptKind::Block, [2; 16]).unwrap(),
        CardState::Terminated => host
            .short_script(&mut card, ScriptKind::Terminate, [2; 16])
            .unwrap(),
        _ => {}
    }
    if life == Life::Worn {
        if matches!(state, CardState::Personalised | CardState::Active) {
            let steps = [
                begin(ScriptKind::Rewrite, [8; 16]),
                slot(&host, Role::Door, 3, [0x42; 16], 0),
            ];
            run_steps(&mut host, &mut card, &steps, 0).unwrap();
        }
        for _ in 0..18 {
            assert_eq!(wrong_try(&mut card), Err(StatusWord::SECURITY));
        }
    }
    let (ram, _) = card.power_off();
    Subject {
        name: format!("{life:?} {state}"),
        life,
        state,
        host,
        ram,
    }
}

fn wear(host: &mut Host, card: &mut Card) {
    let updates = [
        slot_update(host, (Role::Transit, 2, 0), [0x41; 16], 0, 0),
        slot_update(host, (Role::SmallPayment, 2, 0), [0x43; 16], 30_000, 10_000),
        plain(&Operation::Floor(date("2026-12-24"))),
    ];
    for (counter, update) in (1..).zip(&updates) {
        let update = seal(host, counter, update);
        deliver(host, card, Role::Transit, KV, &update).unwrap();
    }
    pay(host, card, 2, 300, 1).unwrap();
    pay(host, card, KV, 200, 2).unwrap();
}

/// Cards of every state and life, all of one terminal CA.
fn subjects() -> Vec<Subject> {
    let first = Host::new(80);
    let mut all = Vec::new();
    for (seed, life) in (81..).zip([Life::Full, Life::Bare, Life::Worn]) {
        for state in CardState::ALL {
            all.push(subject(first.sibling(seed), life, *state));
        }
    }
    all
}

/// Which cards a command may tell apart.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shows {
    /// None.
    Nothing,
    /// A blank from the others: it gives its serial (chapter 02).
    Blank,
    /// A blank and an ended card from the others: they refuse S1 (chapter 07).
    Unused,
    /// A card that was tried sixteen times from the others: it writes nothing more (chapter 05).
    Locked,
}

/// A command of somebody without a key, the commands before it, and a name for all those that must look alike.
struct Probe {
    name: String,
    before: Vec<Vec<u8>>,
    command: Vec<u8>,
    shows: Shows,
}

fn command(header: Header, data: &[u8], le: Option<u8>) -> Vec<u8> {
    header.command(data, le).unwrap().to_vec()
}

fn header(cla: u8, ins: u8, p1: u8, p2: u8) -> Header {
    Header { cla, ins, p1, p2 }
}

/// Commands at nobody's door, and the issuer's.
fn probes_of_door_i() -> Vec<Probe> {
    let open = command(Header::INITIALIZE_UPDATE, &[3; 8], Some(0));
    let probe = |name: &str, before: &[Vec<u8>], command| Probe {
        name: name.to_owned(),
        before: before.to_vec(),
        command,
        shows: Shows::Nothing,
    };
    let wrong = |data: &[u8]| command(Header::EXTERNAL_AUTHENTICATE, data, None);
    vec![
        probe("SELECT", &[], command(Header::SELECT, &AID, Some(0))),
        probe(
            "SELECT of another",
            &[],
            command(Header::SELECT, &[0xA0, 0, 0, 1, 0x51], Some(0)),
        ),
        probe(
            "SELECT with P1",
            &[],
            command(header(0, 0xA4, 0, 0), &AID, Some(0)),
        ),
        Probe {
            shows: Shows::Blank,
            ..probe("GET DATA", &[], command(Header::GET_SERIAL, &[], Some(0)))
        },
        probe(
            "GET DATA of another tag",
            &[],
            command(header(0x80, 0xCA, 0, 0x46), &[], Some(0)),
        ),
        probe(
            "GET DATA with data",
            &[],
            command(Header::GET_SERIAL, &[1], Some(0)),
        ),
        probe("INITIALIZE UPDATE", &[], open.clone()),
        probe(
            "INITIALIZE UPDATE, short",
            &[],
            command(Header::INITIALIZE_UPDATE, &[3; 7], Some(0)),
        ),
        probe(
            "INITIALIZE UPDATE with P1",
            &[],
            command(header(0x80, 0x50, 2, 0), &[3; 8], Some(0)),
        ),
        probe(
            "INITIALIZE UPDATE with the key version",
            &[],
            command(Header::INITIALIZE_UPDATE_NAMED, &[3; 8], Some(0)),
        ),
        Probe {
            shows: Shows::Locked,
            ..probe(
                "EXTERNAL AUTHENTICATE",
                std::slice::from_ref(&open),
                wrong(&[0; 16]),
            )
        },
        probe(
            "EXTERNAL AUTHENTICATE with Le",
            std::slice::from_ref(&open),
            command(Header::EXTERNAL_AUTHENTICATE, &[0; 16], Some(0)),
        ),
        probe(
            "EXTERNAL AUTHENTICATE, short",
            std::slice::from_ref(&open),
            wrong(&[0; 15]),
        ),
        probe(
            "EXTERNAL AUTHENTICATE, level 0",
            std::slice::from_ref(&open),
            command(header(0x84, 0x82, 0, 0), &[0; 16], None),
        ),
        probe("EXTERNAL AUTHENTICATE out of order", &[], wrong(&[0; 16])),
        probe(
            "TAP behind INITIALIZE UPDATE",
            &[open],
            command(Header::tap(1, 1), &[3; 16], Some(0)),
        ),
        probe("STEP", &[], command(Header::step(1), &[0; 24], Some(0))),
        probe("GET STATUS", &[], command(Header::GET_STATUS, &[0; 8], Some(0))),
        probe(
            "GET PUBLIC KEY",
            &[],
            command(Header::get_public_key(1), &[0; 8], Some(0)),
        ),
        probe(
            "READ OBJECT",
            &[],
            command(Header::read_object(1), &[0; 24], Some(0)),
        ),
        probe(
            "RESET COUNTER",
            &[],
            command(Header::RESET_COUNTER, &[0; 8], Some(0)),
        ),
        probe(
            "an unknown instruction",
            &[],
            command(header(0x80, 0x77, 0, 0), &[], Some(0)),
        ),
        probe(
            "an unknown class",
            &[],
            command(header(0x90, 0x10, 0, 0), &[], Some(0)),
        ),
        probe("junk", &[], vec![0x80, 0x10, 1, 1, 0x20, 0x00]),
    ]
}

fn probes_of_door_f() -> Vec<Probe> {
    let mut all = Vec::new();
    let probe = |name: &str, before: &[&Vec<u8>], command| Probe {
        name: name.to_owned(),
        before: before.iter().copied().cloned().collect(),
        command,
        shows: Shows::Nothing,
    };
    let commit = |role, version, data: &[u8]| command(Header::commit(role, version), data, Some(25));
    let update = |role, version, data: &[u8]| command(Header::update(role, version), data, Some(16));
    let mut rfu = [0; 44];
    rfu[27] = 1;
    for role in 0..=6_u8 {
        for version in [0, KV, KV + 1, 3, 9] {
            let tap = tap_command(role, version, &[3; 16]).unwrap().to_vec();
            // One name for all of them: an unknown role or version looks like a known one.
            all.push(probe("TAP", &[], tap.clone()));
            all.push(probe(
                "TAP, short",
                &[],
                command(Header::tap(role, version), &[3; 15], Some(0)),
            ));
            all.push(probe("TAP again", &[&tap], tap.clone()));
            all.push(probe("UPDATE", &[&tap], update(role, version, &[7; 252])));
            all.push(probe("UPDATE, short", &[&tap], update(role, version, &[7; 251])));
            all.push(probe(
                "UPDATE of another role",
                &[&tap],
                update(role ^ 1, version, &[7; 252]),
            ));
            all.push(probe(
                "UPDATE of another version",
                &[&tap],
                update(role, version ^ 1, &[7; 252]),
            ));
            let after = commit(role, version, &[0; 44]);
            all.push(probe(
                "UPDATE behind COMMIT",
                &[&tap, &after],
                update(role, version, &[7; 252]),
            ));
            if role == Role::SmallPayment.code() {
                all.push(probe("COMMIT", &[&tap], after));
                all.push(probe("COMMIT, short", &[&tap], commit(role, version, &[0; 43])));
                all.push(probe(
                    "COMMIT with an rfu byte",
                    &[&tap],
                    commit(role, version, &rfu),
                ));
            } else {
                all.push(probe("COMMIT of a role without a purse", &[&tap], after));
            }
            all.push(probe(
                "COMMIT of another version",
                &[&tap],
                commit(role, version ^ 1, &[0; 44]),
            ));
        }
    }
    all.push(probe("COMMIT without TAP", &[], commit(3, KV, &[0; 44])));
    all.push(probe("UPDATE without TAP", &[], update(1, KV, &[7; 252])));
    all
}

/// Certificates are public bytes: a stranger has collected a whole chain, and lacks the leaf's key.
fn probes_of_door_s(host: &mut Host) -> Vec<Probe> {
    let key = PrivateKey::generate(&mut host.rng);
    let certificates = [
        host.intermediate(Rights::ALL, "2026-11-01", "2027-11-01"),
        host.leaf(&key, Rights::ALL, "2026-11-20", "2026-11-25"),
        host.leaf(&key, Rights::ALL, "2026-11-20", "2027-11-25"),
        Host::new(7).intermediate(Rights::ALL, "2026-11-01", "2027-11-01"),
    ];
    let present =
        |place: u8, which: usize| command(Header::present_certificate(place), &certificates[which], None);
    let challenge = command(Header::GET_CHALLENGE, &[], Some(16));
    let ephemeral = PrivateKey::generate(&mut host.rng).public();
    let sign = |host: &mut Host, rights| {
        let forged = Agree::sign(
            rights,
            &ephemeral,
            &[5; 16],
            &certificates[1],
            &key,
            &mut host.rng,
        );
        command(Header::AGREE, &forged.unwrap().encode().unwrap(), Some(0))
    };
    let (person, nothing, mixed) = (
        sign(host, Rights::VERIFY),
        sign(host, Rights::NONE),
        sign(host, Rights::role(Role::Transit)),
    );
    let probe = |name: &str, before: &[&Vec<u8>], command, shows| Probe {
        name: name.to_owned(),
        before: before.iter().copied().cloned().collect(),
        command,
        shows,
    };
    let (upper, lower) = (present(0, 0), present(1, 1));
    let mut flipped = certificates[0].clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    let (shut, open) = (Shows::Unused, Shows::Nothing);
    vec![
        probe("S1", &[], upper.clone(), shut),
        probe(
            "S1, junk",
            &[],
            command(Header::present_certificate(0), &[0x7F], None),
            shut,
        ),
        probe(
            "S1, a flipped bit",
            &[],
            command(Header::present_certificate(0), &flipped, None),
            shut,
        ),
        // The name of the root is the same, its key is not.
        probe("S1 of another root", &[], present(0, 3), shut),
        probe("S1, the leaf first", &[], lower.clone(), shut),
        probe(
            "S1, a third place",
            &[],
            command(Header::present_certificate(2), &certificates[0], None),
            shut,
        ),
        probe("S1, leaf", &[&upper], lower.clone(), shut),
        probe("S1, a leaf that lives too long", &[&upper], present(1, 2), shut),
        probe("S1, a leaf of somebody else", &[&upper], present(1, 0), shut),
        probe("GET CHALLENGE", &[&upper, &lower], challenge.clone(), shut),
        probe(
            "GET CHALLENGE before the leaf",
            &[&upper],
            challenge.clone(),
            open,
        ),
        probe("GET CHALLENGE out of order", &[], challenge.clone(), open),
        probe("AGREE out of order", &[], person.clone(), open),
        probe("AGREE without challenge", &[&upper, &lower], person.clone(), open),
        probe(
            "AGREE, short",
            &[&upper, &lower, &challenge],
            person[..100].to_vec(),
            open,
        ),
        probe("AGREE", &[&upper, &lower, &challenge], person, shut),
        probe("AGREE for nothing", &[&upper, &lower, &challenge], nothing, shut),
        probe(
            "AGREE for a set that no key serves",
            &[&upper, &lower, &challenge],
            mixed,
            shut,
        ),
        probe(
            "TAP behind S1",
            &[&upper],
            tap_command(1, KV, &[3; 16]).unwrap().to_vec(),
            shut,
        ),
    ]
}

fn probes(host: &mut Host) -> Vec<Probe> {
    let mut all = probes_of_door_i();
    all.extend(probes_of_door_f());
    all.extend(probes_of_door_s(host));
    all
}

/// What can be seen of a command: length and status of the answer, and what the card did.
type Showing = (usize, StatusWord, Vec<Event>);

/// Power on, SELECT, the commands before, and the command itself, watched.
fn look(subject: &Subject, before: &[Vec<u8>], command: &[u8]) -> (Showing, Vec<u8>) {
    let mut card = Applet::power_on(subject.ram.clone(), Dice::new(5)).unwrap();
    select(&mut card).unwrap();
    for command in before {
        card.process(command);
    }
    let (answer, done) = events(|| card.process(command));
    let (body, status) = split_answer(&answer).unwrap();
    ((answer.len(), status, done), body.to_vec())
}

#[test]
fn nothing_differs_that_a_stranger_can_see() {
    let subjects = subjects();
    let mut host = Host::new(80);
    let mut looked = 0;
    // By name of the probe and class of the card.
    let mut first: BTreeMap<(String, bool), (String, Showing)> = BTreeMap::new();
    for probe in probes(&mut host) {
        for subject in &subjects {
            let told_apart = match probe.shows {
                Shows::Nothing => false,
                Shows::Blank => subject.state == CardState::Blank,
                Shows::Unused => matches!(subject.state, CardState::Blank | CardState::Terminated),
                Shows::Locked => subject.life == Life::Worn,
            };
            let (seen, _) = look(subject, &probe.before, &probe.command);
            looked += 1;
            let (other, expected) = first
                .entry((probe.name.clone(), told_apart))
                .or_insert_with(|| (subject.name.clone(), seen.clone()));
            assert_eq!(
                &seen, expected,
                "{} tells {} from {other}",
                probe.name, subject.name
            );
        }
    }
    assert!(looked > 5_000, "{looked} looks");
    // The watch sees something, and the probes reach what they are named after.
    let (_, (_, _, tap)) = &first[&("TAP".to_owned(), false)];
    let keys: Vec<_> = tap
        .iter()
        .filter(|event| matches!(event, Event::Key(..)))
        .collect();
    assert_eq!(
        keys,
        [&Event::Key(0, KeyUsage::Encrypt), &Event::Key(1, KeyUsage::Mac)]
    );
    let status = |name: &str, told_apart| first[&(name.to_owned(), told_apart)].1.1;
    for (name, told_apart, expected) in [
        ("TAP", false, StatusWord::OK),
        ("COMMIT", false, StatusWord::SECURITY),
        ("UPDATE", false, StatusWord::SECURITY),
        ("UPDATE behind COMMIT", false, StatusWord::CONDITIONS),
        ("EXTERNAL AUTHENTICATE", false, StatusWord::SECURITY),
        ("EXTERNAL AUTHENTICATE", true, StatusWord::SECURITY),
        ("EXTERNAL AUTHENTICATE with Le", false, StatusWord::WRONG_LENGTH),
        ("GET DATA", true, StatusWord::OK),
        ("GET DATA", false, StatusWord::NOT_FOUND),
        ("S1, leaf", false, StatusWord::OK),
        ("S1 of another root", false, StatusWord::SECURITY),
        ("AGREE", false, StatusWord::SECURITY),
        ("AGREE", true, StatusWord::CONDITIONS),
        (
            "AGREE for a set that no key serves",
            false,
            StatusWord::WRONG_DATA,
        ),
    ] {
        assert_eq!(status(name, told_apart), expected, "{name}");
    }
}

#[test]
fn a_power_on_reads_the_same_whatever_the_card_holds() {
    let mut first = None;
    for subject in subjects() {
        let (_, done) = events(|| Applet::power_on(subject.ram.clone(), Dice::new(5)).unwrap());
        let first = first.get_or_insert_with(|| done.clone());
        assert_eq!(&done, first, "{}", subject.name);
        assert!(!done.iter().any(|event| matches!(event, Event::Write(_))));
    }
}

#[test]
fn answers_to_strangers_are_constants_or_fresh_random_bytes() {
    let subjects = subjects();
    let opening = command(Header::INITIALIZE_UPDATE, &[3; 8], Some(0));
    let mut constants = Vec::new();
    let mut blocks = Vec::new();
    for subject in &subjects {
        let mut card =
            Applet::power_on(subject.ram.clone(), Dice::new(u64::from(subject.state.code()))).unwrap();
        let info = select(&mut card).unwrap();
        let opened = check(&card.process(&opening)).unwrap();
        constants.push((info, opened[..13].to_vec()));
        blocks.push(opened[13..].to_vec());
        for role in 0..=6 {
            for _ in 0..3 {
                select(&mut card).unwrap();
                let answer = check(&card.process(&tap_command(role, KV, &[3; 16]).unwrap())).unwrap();
                blocks.extend(answer.chunks(16).map(<[u8]>::to_vec));
            }
        }
    }
    constants.dedup();
    assert_eq!(constants.len(), 1, "the same bytes on every card");
    // rC of two subjects with one seed are alike by construction of this test; everything behind it is not.
    let behind: Vec<_> = blocks.iter().filter(|block| block.len() == 16).collect();
    for subject_pid in subjects.iter().flat_map(|subject| subject.host.pids.iter()) {
        assert!(
            !behind.contains(&&subject_pid.1.to_vec()),
            "a pseudonym in the clear"
        );
    }
}

#[test]
fn two_taps_of_a_card_share_no_block() {
    let subject = subject(Host::new(80), Life::Full, CardState::Active);
    let mut card = Applet::power_on(subject.ram.clone(), Dice::new(6)).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        for (role, kv) in [(1, KV), (3, KV), (5, KV), (1, 9), (2, KV), (0, 0)] {
            select(&mut card).unwrap();
            let answer = check(&card.process(&tap_command(role, kv, &[3; 16]).unwrap())).unwrap();
            for block in answer.chunks(16) {
                assert!(
                    seen.insert(block.to_vec()),
                    "a block came twice: a card is known again by it"
                );
            }
        }
    }
}

#[test]
fn trying_the_issuers_door_costs_every_card_the_same_and_a_locked_one_no_write() {
    let open = command(Header::INITIALIZE_UPDATE, &[3; 8], Some(0));
    let wrong = command(Header::EXTERNAL_AUTHENTICATE, &[0; 16], None);
    // By whether the card is locked.
    let mut first: BTreeMap<bool, (Showing, Showing)> = BTreeMap::new();
    for mut subject in subjects() {
        // The last tries are those of a locked card.
        for attempt in 0..20 {
            let (opened, _) = look(&subject, &[], &open);
            let mut card = Applet::power_on(subject.ram.clone(), Dice::new(5)).unwrap();
            select(&mut card).unwrap();
            card.process(&open);
            let (answer, done) = events(|| card.process(&wrong));
            let (_, status) = split_answer(&answer).unwrap();
            subject.ram = card.power_off().0;
            let locked = subject.life == Life::Worn || attempt >= 16;
            let seen = (opened, (answer.len(), status, done));
            let first = first.entry(locked).or_insert_with(|| seen.clone());
            assert_eq!(&seen, first, "{} attempt {attempt}", subject.name);
        }
    }
    let (counted, locked) = (&first[&false], &first[&true]);
    assert_eq!(counted.0, locked.0, "it opens alike");
    assert_eq!(
        (counted.0.0, counted.1.0, counted.1.1),
        (31, 2, StatusWord::SECURITY)
    );
    assert_eq!((locked.1.0, locked.1.1), (2, StatusWord::SECURITY));
    // The same keys are used for the same; what is missing is the write and the check value in it.
    let of = |tried: &Showing, wanted: fn(&&Event) -> bool| -> Vec<Event> {
        tried.2.iter().filter(wanted).copied().collect()
    };
    let keys = |event: &&Event| matches!(event, Event::Key(..));
    let writes = |event: &&Event| matches!(event, Event::Write(_));
    assert_eq!(of(&counted.1, keys), of(&locked.1, keys));
    assert_eq!(of(&counted.1, writes), [Event::Write(16)]);
    assert_eq!(of(&locked.1, writes), []);
}

/// Genuine commands that somebody recorded: a script, an update, a payment, a door S.
fn recorded(host: &mut Host, ram: &Ram) -> Vec<Vec<u8>> {
    let mut tape = Vec::new();
    let mut card = host.power_on(ram.clone());
    let mut channel = host.open_door_i(&mut card).unwrap();
    for (n, step) in (1..).zip(rewrite(
        [0x61; 16],
        vec![slot(host, Role::Door, 2, [0x62; 16], 0)],
    )) {
        let wrapped = channel.wrap_command(Header::step(n), &step).unwrap();
        card.process(&wrapped);
        tape.push(wrapped.to_vec());
    }
    let (mut channel, _) = host.open_door_s(&mut card, Rights::ALL).unwrap();
    for (header, data) in [
        (Header::RESET_COUNTER, &[][..]),
        (Header::read_object(1), &[0, 0, 9][..]),
    ] {
        tape.push(channel.wrap_command(header, data).unwrap().to_vec());
    }
    let update = seal(host, 77, &plain(&Operation::Block));
    tape.push(command(
        Header::update(1, KV),
        &update.command_data(&[0; 8]).unwrap(),
        Some(16),
    ));
    tape
}

#[test]
fn nothing_that_a_stranger_sends_writes_but_the_count_of_tries() {
    let subjects = subjects();
    let mut host = Host::new(80);
    let mut alphabet: Vec<Vec<u8>> = vec![command(Header::SELECT, &AID, Some(0))];
    for probe in probes(&mut host) {
        alphabet.extend(probe.before);
        alphabet.push(probe.command);
    }
    for subject in subjects.iter().filter(|subject| subject.name == "Full ACTIVE") {
        let mut host = host.sibling(81);
        host.pids.clone_from(&subject.host.pids);
        alphabet.extend(recorded(&mut host, &subject.ram));
    }
    alphabet.sort();
    alphabet.dedup();
    let known = (0..alphabet.len()).prop_map(|at| alphabet[at].clone());
    let junk = (
        prop::sample::select(&[0x00_u8, 0x80, 0x84, 0x90][..]),
        vec(any::<u8>(), 3..40),
    )
        .prop_map(|(cla, rest)| {
            let mut command = vec![cla];
            command.extend(rest);
            command
        });
    let changed =
        ((0..alphabet.len()), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, place, value)| {
            let mut command = alphabet[at].clone();
            let place = place.index(command.len());
            command[place] = value;
            command
        });
    let command = prop_oneof![6 => known, 1 => junk, 2 => changed];
    proptest!(crate::cases::cases(48), |(which in 0..subjects.len(), commands in vec(command, 1..60))| {
        let subject = &subjects[which];
        let mut card = Applet::power_on(subject.ram.clone(), Dice::new(5)).unwrap();
        select(&mut card).unwrap();
        let mut tries = 0;
        let ((), done) = events(|| for command in &commands {
            tries += usize::from(command.get(1) == Some(&0x82));
            let answer = card.process(command);
            assert!(answer.len() >= 2);
        });
        let writes: Vec<_> = done.iter().filter(|event| matches!(event, Event::Write(_))).collect();
        prop_assert!(writes.len() <= tries && writes.iter().all(|event| **event == Event::Write(16)));
        let (ram, _) = card.power_off();
        let rest = ram.bytes.len() - CELL;
        prop_assert_eq!(&ram.bytes[..rest], &subject.ram.bytes[..rest], "{} has changed", &subject.name);
    });
}

#[test]
fn a_worn_out_count_of_tries_costs_door_i_and_nothing_else() {
    let mut host = Host::new(84);
    let mut card = host.active_card();
    let (mut ram, _) = card.power_off();
    // The cell takes no write any more.
    ram.dead_from = Some(ram.bytes.len() - CELL);
    card = host.power_on(ram);
    for _ in 0..3 {
        assert_eq!(wrong_try(&mut card), Err(StatusWord::MEMORY_FAILURE));
        card.reset();
    }
    assert!(host.open_door_i(&mut card).is_none());
    card.reset();
    for role in [Role::Transit, Role::Door] {
        let (rt, tap) = host.tap(&mut card, role, KV);
        assert!(host.tap_is_genuine(role, KV, &rt, &tap));
    }
    assert_eq!(pay(&mut host, &mut card, KV, 700, 1).unwrap().0, 0);
    let update = seal(&host, 1, &plain(&Operation::Load { loaded: 30_000 }));
    assert!(deliver(&mut host, &mut card, Role::Transit, KV, &update).is_ok());
    assert!(host.open_door_s(&mut card, Rights::role(Role::Clinic)).is_ok());
}

#[test]
fn a_card_shown_for_a_log_shows_its_state_and_nothing_else_of_its_memory() {
    let mut host = Host::new(83);
    let mut card = host.active_card();
    pay(&mut host, &mut card, KV, 777, 1).unwrap();
    select(&mut card).unwrap();
    let shown = format!("{card:?}");
    assert!(shown.contains("Storage(ACTIVE)"), "{shown}");
    for mark in ["777", "20000", "165, 165", "loaded"] {
        assert!(!shown.contains(mark), "{mark} in {shown}");
    }
}
