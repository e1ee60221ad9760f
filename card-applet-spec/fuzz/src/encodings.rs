//! Targets `apdu` and `objects`: every fixed form that a card or a terminal reads, and that what was understood is
//! understood in the same way when it is written again (chapters 01 to 07).

use card_applet_spec::Bytes;
use card_applet_spec::apdu::{Header, MAX_COMMAND, ParsedCommand, split_answer};
use card_applet_spec::codes::Rights;
use card_applet_spec::crypto::{Key16, Key32};
use card_applet_spec::data_group::{CardInfo, Dg1, Dg2, Dg3, SignatureObject};
use card_applet_spec::date::Date;
use card_applet_spec::door_f::{CommitBody, TapAnswer, TapPlain};
use card_applet_spec::door_s::{Agree, AgreeAnswer, Object, SlotObject};
use card_applet_spec::kdf::KeySet;
use card_applet_spec::record::{Entitlement, RecordHeader};
use card_applet_spec::scp03::{Channel, InitializeUpdate, SessionKeys};
use card_applet_spec::script::{Status, Step};

use crate::fixture::{Fixture, with_fixture};
use crate::tape::Tape;

/// Commands and answers, bare and inside the secure channel.
pub fn apdu(input: &[u8]) {
    if let Ok(command) = ParsedCommand::parse(input) {
        assert!(command.data.len() <= 255);
        assert!(input.len() <= MAX_COMMAND);
        let again = command
            .header
            .command(command.data, command.le)
            .expect("it was short");
        assert_eq!(&again[..], input, "a command has one form");
    }
    if let Ok((body, status)) = split_answer(input) {
        assert_eq!(body.len() + 2, input.len());
        let _ = (status.is_ok(), status.carries_mac(), status.to_string());
    }
    step(input);
    door_s_forms(input);
    if let Ok(status) = Status::parse(input) {
        assert_eq!(&status.encode().expect("59 bytes")[..], input);
    }
    if let Ok(opening) = InitializeUpdate::parse(input) {
        let _ = format!("{opening:?}");
    }
    if let Ok(answer) = TapAnswer::parse(input) {
        assert_eq!(&answer.encode().expect("256 bytes")[..], input);
        let key = Key16::new([7; 16]);
        let _ = answer.open(&key);
        assert!(
            answer.verify(&key, 1, 1, &[9; 16]).is_err(),
            "nobody has this key"
        );
    }
    channel(input);
}

fn step(input: &[u8]) {
    if let Ok(step) = Step::parse(input) {
        assert_eq!(
            &step.encode().expect("it was a step")[..],
            input,
            "a step has one form"
        );
        let _ = format!("{step:?}");
    }
}

fn door_s_forms(input: &[u8]) {
    if let Ok(agree) = Agree::parse(input) {
        assert_eq!(agree.encode().expect("134 bytes")[..], *input);
        assert!(Rights::ALL.contains(agree.rights));
        let _ = agree.rights.domain();
    }
    if let Ok(answer) = AgreeAnswer::parse(input) {
        assert_eq!(answer.encode().expect("241 bytes")[..], *input);
    }
    if let Some(code) = input.first()
        && let Ok(object) = Object::from_code(*code)
    {
        assert_eq!(object.code(), *code);
    }
}

/// Both ends of a channel, fed with bytes of a stranger: neither understands them, neither dies.
fn channel(input: &[u8]) {
    let keys = || KeySet::from_bytes(&[5; 48]);
    let session = || SessionKeys::derive(&keys(), &[1; 8], &[2; 8]);
    let mut card = Channel::new(session());
    let mut terminal = Channel::new(session());
    if let Ok(command) = ParsedCommand::parse(input) {
        assert!(card.unwrap_command(&command).is_err());
        if let (Some(given), Some(mac)) = (command.data.first_chunk(), command.data.last_chunk())
            && command.data.len() == 16
        {
            let holds = card.check_external_authenticate(command.header, given, mac);
            assert!(!holds, "nobody has these keys");
        }
    }
    if let Ok((body, status)) = terminal.unwrap_answer(input) {
        // Without a MAC there is a status and nothing else.
        assert!(body.is_empty() && !status.carries_mac());
    }
    // What one end wraps, the other one reads, as long as it fits.
    let data = input.get(..input.len().min(239)).unwrap_or_default();
    let (mut card, mut terminal) = (Channel::new(session()), Channel::new(session()));
    let command = terminal.wrap_command(Header::step(1), data).expect("it fits");
    let command = ParsedCommand::parse(&command).expect("ours");
    assert_eq!(&card.unwrap_command(&command).expect("ours")[..], data);
}

/// Data groups, records and whatever else has a form of its own. The first byte chooses.
pub fn objects(input: &[u8]) {
    let mut tape = Tape::new(input);
    match tape.byte() % 9 {
        0 => card_info(tape.all()),
        1 => dg1(tape.all()),
        2 => dg2(tape.all()),
        3 => dg3(tape.all()),
        4 => signature_object(tape.all()),
        5 => record(&mut tape),
        6 => purse(&mut tape),
        7 => date(&mut tape),
        _ => slot_object(tape.all()),
    }
}

fn card_info(bytes: &[u8]) {
    if let Ok(info) = CardInfo::parse(bytes) {
        let again = info.encode().expect("it fits");
        assert_eq!(CardInfo::parse(&again), Ok(info));
    }
}

fn dg1(bytes: &[u8]) {
    if let Ok(group) = Dg1::parse(bytes) {
        let again = group.encode().expect("it fitted");
        let parsed = Dg1::parse(&again).expect("ours");
        assert_eq!(parsed.encode().expect("it fitted"), again);
    }
}

fn dg2(bytes: &[u8]) {
    if let Ok(group) = Dg2::parse(bytes) {
        let mut again = Bytes::<6200>::new();
        group.encode(&mut again).expect("it fitted");
        let parsed = Dg2::parse(&again).expect("ours");
        assert_eq!((parsed.image, parsed.salt), (group.image, group.salt));
    }
}

fn dg3(bytes: &[u8]) {
    if let Ok(group) = Dg3::parse(bytes) {
        let again = group.encode().expect("it fitted");
        let parsed = Dg3::parse(&again).expect("ours");
        assert_eq!(parsed.encode().expect("it fitted"), again);
    }
}

fn signature_object(bytes: &[u8]) {
    if let Ok(object) = SignatureObject::parse(bytes) {
        let again = object.encode().expect("it fitted");
        assert_eq!(SignatureObject::parse(&again), Ok(object));
        for number in 0..=4 {
            let _ = object.covers(number, bytes);
        }
        with_fixture(|fixture| {
            let key = fixture.host.root.public();
            assert!(
                object.verify(&key, &key.to_public64()).is_err(),
                "nobody signed it with this key"
            );
        });
    }
}

/// A record whose content the fuzzer writes, sealed with the right key: the reader's checks behind the tag.
fn record(tape: &mut Tape<'_>) {
    let key = Key32::new([3; 32]);
    let pid = [4; 16];
    let mut record: [u8; 160] = tape.array();
    with_fixture(|fixture| {
        let signer = fixture.host.entitlement_signer.public();
        assert!(
            Entitlement::open(&record, &key, &pid, &signer).is_err(),
            "no key, no record"
        );
        if let Ok(header) = RecordHeader::parse(&record) {
            let again = RecordHeader::parse(&record).expect("twice");
            assert_eq!(header, again);
        }
        // A real one, and one of its bytes changed.
        let entitlement = Fixture::entitlement(tape.byte(), tape.u32());
        record = entitlement
            .seal(
                &fixture.host.entitlement_signer,
                &key,
                &pid,
                &[5; 12],
                &mut fixture.host.rng,
            )
            .expect("it seals");
        let opened = Entitlement::open(&record, &key, &pid, &signer).expect("ours");
        assert!(opened == entitlement);
        let (at, flip) = (usize::from(tape.byte()) % record.len(), tape.byte());
        record[at] ^= flip;
        let opened = Entitlement::open(&record, &key, &pid, &signer);
        assert_eq!(opened.is_ok(), flip == 0, "byte {at} of a record counts");
    });
}

fn purse(tape: &mut Tape<'_>) {
    let body: [u8; 28] = tape.array();
    if let Ok(parsed) = CommitBody::parse(&body) {
        assert_eq!(parsed.encode(), Ok(body));
    }
    let plain: [u8; 224] = tape.array();
    if let Ok(parsed) = TapPlain::parse(&plain) {
        assert_eq!(parsed.encode(), Ok(plain));
    }
}

fn date(tape: &mut Tape<'_>) {
    if let Ok(date) = Date::from_bytes(tape.array()) {
        let again: Result<Date, _> = date.to_string().parse();
        if !date.is_none() {
            assert_eq!(again, Ok(date));
            let (year, month, day) = date.parts();
            assert_eq!(Date::new(year, month, day), Ok(date));
        }
        let _ = date.day_number();
    }
    if let Ok(date) = Date::from_six_digits(tape.array()) {
        assert_eq!(Date::from_six_digits(date.to_six_digits()), Ok(date));
    }
    if let Ok(text) = std::str::from_utf8(tape.all()) {
        let _ = text.parse::<Date>();
        let _ = text.parse::<card_applet_spec::codes::Region>();
    }
}

fn slot_object(bytes: &[u8]) {
    if let Ok(slot) = SlotObject::parse(bytes) {
        assert_eq!(bytes.len(), SlotObject::LEN);
        assert_eq!(slot.kv, bytes[0]);
    }
}
