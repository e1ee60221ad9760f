//! The table of chapter 01, commands by session: every command in every session, with right keys and right form, is
//! looked at or refused as the table says; and any error leads back to where the application is selected.
use card_applet_spec::apdu::{Header, StatusWord};
use card_applet_spec::codes::{AID, Rights, Role};
use card_applet_spec::crypto::PrivateKey;
use card_applet_spec::door_f::{CommitBody, tap_command};
use card_applet_spec::door_s::{Agree, read_request};
use card_applet_spec::kdf;
use card_applet_spec::scp03::{Channel, InitializeUpdate, SessionKeys};
use card_applet_spec::script::ScriptKind;
use card_applet_spec::update::Operation;
use card_host::{Card, Host, KV, Ram, begin, check, ok, plain, seal, select, tap_seen};

const SHOP: Role = Role::SmallPayment;

/// Where a card stands. The table's *presenting* has three stages here: which command comes next depends on them.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Session {
    Reset,
    Selected,
    Tapped,
    Opening,
    DoorI,
    Presenting,
    Presented,
    Challenged,
    DoorS,
}

const SESSIONS: [Session; 9] = [
    Session::Reset,
    Session::Selected,
    Session::Tapped,
    Session::Opening,
    Session::DoorI,
    Session::Presenting,
    Session::Presented,
    Session::Challenged,
    Session::DoorS,
];

/// A card in a session, and what the other side knows of it.
struct Open {
    card: Card,
    channel: Option<Channel>,
    /// EXTERNAL AUTHENTICATE of the opening door I.
    authenticate: Vec<u8>,
    commit: Vec<u8>,
    update: Vec<u8>,
    /// Leaf, and AGREE for the challenge that is outstanding.
    leaf: Vec<u8>,
    agree: Vec<u8>,
}

fn bytes(header: Header, data: &[u8], le: Option<u8>) -> Vec<u8> {
    header.command(data, le).unwrap().to_vec()
}

/// COMMIT and UPDATE behind a TAP of the shop.
fn behind_tap(host: &mut Host, card: &mut Card) -> (Vec<u8>, Vec<u8>) {
    let (rt, tap, seen) = tap_seen(host, card, SHOP, KV);
    let seen = seen.unwrap();
    let m = kdf::tap_key(&host.tap, SHOP, host.region, KV, &seen.pid).unwrap();
    let body = CommitBody {
        amount: 1,
        tid: 2,
        txno: [3; 8],
        time: 4,
        kind: 1,
    };
    let mac = body
        .mac(&m, SHOP.code(), KV, &rt, &tap.card_challenge, seen.seq)
        .unwrap();
    let update = seal(host, 1, &plain(&Operation::Load { loaded: 30_000 }));
    let tap_mac = update
        .tap_mac(&m, SHOP.code(), KV, &rt, &tap.card_challenge)
        .unwrap();
    let commit = [&body.encode().unwrap()[..], &mac].concat();
    (
        bytes(Header::commit(SHOP.code(), KV), &commit, Some(25)),
        bytes(
            Header::update(SHOP.code(), KV),
            &update.command_data(&tap_mac).unwrap(),
            Some(16),
        ),
    )
}

/// EXTERNAL AUTHENTICATE behind INITIALIZE UPDATE, with the right keys.
fn behind_opening(host: &mut Host, card: &mut Card) -> Vec<u8> {
    let opened = ok(&card.process(&bytes(Header::INITIALIZE_UPDATE, &[3; 8], Some(0)))).unwrap();
    let parsed = InitializeUpdate::parse(&opened).unwrap();
    let keys = kdf::issuance_keys(&host.issuance, &host.serial).unwrap();
    let mut channel = Channel::new(SessionKeys::derive(&keys, &[3; 8], &parsed.card_challenge));
    let cryptogram = channel.keys().host_cryptogram(&[3; 8], &parsed.card_challenge);
    channel.external_authenticate(&cryptogram).unwrap().to_vec()
}

fn open(host: &mut Host, ram: &Ram, session: Session) -> Open {
    let mut card = host.power_on(ram.clone());
    let key = PrivateKey::generate(&mut host.rng);
    let intermediate = host.intermediate(Rights::ALL, "2026-11-01", "2027-11-01");
    let leaf = host.leaf(&key, Rights::ALL, "2026-11-20", "2026-11-25");
    let ephemeral = PrivateKey::generate(&mut host.rng).public();
    let mut out = Open {
        channel: None,
        authenticate: bytes(Header::EXTERNAL_AUTHENTICATE, &[0; 16], None),
        commit: bytes(Header::commit(SHOP.code(), KV), &[0; 44], Some(25)),
        update: bytes(Header::update(SHOP.code(), KV), &[0; 252], Some(16)),
        agree: bytes(Header::AGREE, &[&[1][..], &[0; 133]].concat(), Some(0)),
        leaf: bytes(Header::present_certificate(1), &leaf, None),
        card: host.power_on(ram.clone()),
    };
    select(&mut card).unwrap();
    let present = [
        bytes(Header::present_certificate(0), &intermediate, None),
        out.leaf.clone(),
    ];
    match session {
        Session::Reset => card.reset(),
        Session::Selected => {}
        Session::Tapped => (out.commit, out.update) = behind_tap(host, &mut card),
        Session::Opening => out.authenticate = behind_opening(host, &mut card),
        Session::DoorI => out.channel = host.open_door_i(&mut card),
        Session::DoorS => out.channel = Some(host.open_door_s(&mut card, Rights::ALL).unwrap().0),
        Session::Presenting | Session::Presented | Session::Challenged => {
            let stages = if session == Session::Presenting { 1 } else { 2 };
            for command in &present[..stages] {
                ok(&card.process(command)).unwrap();
            }
            if session == Session::Challenged {
                let challenge = ok(&card.process(&bytes(Header::GET_CHALLENGE, &[], Some(16)))).unwrap();
                let challenge = challenge.try_into().unwrap();
                let agree = Agree::sign(Rights::ALL, &ephemeral, &challenge, &leaf, &key, &mut host.rng);
                out.agree = bytes(Header::AGREE, &agree.unwrap().encode().unwrap(), Some(0));
            }
        }
    }
    out.card = card;
    out
}

/// A row of the table: a name, how the command is made, and the sessions in which it is looked at, with the answer there.
struct Row {
    name: &'static str,
    make: fn(&mut Host, &mut Open) -> Vec<u8>,
    looked_at: &'static [Session],
    there: StatusWord,
}

/// In a secure channel where there is one; else something of that shape.
fn wrapped(open: &mut Open, header: Header, data: &[u8]) -> Vec<u8> {
    match &mut open.channel {
        Some(channel) => channel.wrap_command(header, data).unwrap().to_vec(),
        None => bytes(header, &[0; 24], Some(0)),
    }
}

const fn row(
    name: &'static str,
    make: fn(&mut Host, &mut Open) -> Vec<u8>,
    looked_at: &'static [Session],
    there: StatusWord,
) -> Row {
    Row {
        name,
        make,
        looked_at,
        there,
    }
}

/// Sessions in which a door is opened.
const OPEN: &[Session] = &[Session::Selected, Session::Tapped];
const OK: StatusWord = StatusWord::OK;

fn rows_of_doors_i_and_f() -> Vec<Row> {
    use Session::{DoorI, Opening, Tapped};
    vec![
        row(
            "SELECT",
            |_, _| bytes(Header::SELECT, &AID, Some(0)),
            &SESSIONS,
            OK,
        ),
        row(
            "GET DATA",
            |_, _| bytes(Header::GET_SERIAL, &[], Some(0)),
            OPEN,
            StatusWord::NOT_FOUND,
        ),
        row(
            "INITIALIZE UPDATE",
            |_, _| bytes(Header::INITIALIZE_UPDATE, &[3; 8], Some(0)),
            OPEN,
            OK,
        ),
        row(
            "EXTERNAL AUTHENTICATE",
            |_, open| open.authenticate.clone(),
            &[Opening],
            OK,
        ),
        row(
            "STEP",
            |_, open| wrapped(open, Header::step(1), &begin(ScriptKind::Rewrite, [0x51; 16])),
            &[DoorI],
            OK,
        ),
        row(
            "GET STATUS",
            |_, open| wrapped(open, Header::GET_STATUS, &[]),
            &[DoorI],
            OK,
        ),
        row(
            "GET PUBLIC KEY",
            |_, open| wrapped(open, Header::get_public_key(1), &[]),
            &[DoorI],
            StatusWord::NOT_FOUND,
        ),
        row(
            "TAP",
            |_, _| tap_command(1, KV, &[3; 16]).unwrap().to_vec(),
            OPEN,
            OK,
        ),
        row("COMMIT", |_, open| open.commit.clone(), &[Tapped], OK),
        row("UPDATE", |_, open| open.update.clone(), &[Tapped], OK),
    ]
}

fn rows_of_door_s_and_of_none() -> Vec<Row> {
    use Session::{Challenged, DoorS, Presented, Presenting};
    vec![
        row(
            "PRESENT CERTIFICATE 0",
            |host, _| {
                let certificate = host.intermediate(Rights::ALL, "2026-11-01", "2027-11-01");
                bytes(Header::present_certificate(0), &certificate, None)
            },
            OPEN,
            OK,
        ),
        row(
            "PRESENT CERTIFICATE 1",
            |_, open| open.leaf.clone(),
            &[Presenting],
            OK,
        ),
        row(
            "GET CHALLENGE",
            |_, _| bytes(Header::GET_CHALLENGE, &[], Some(16)),
            &[Presented, Challenged],
            OK,
        ),
        row("AGREE", |_, open| open.agree.clone(), &[Challenged], OK),
        row(
            "READ OBJECT",
            |_, open| wrapped(open, Header::read_object(1), &read_request(0, 9)),
            &[DoorS],
            OK,
        ),
        row(
            "RESET COUNTER",
            |_, open| wrapped(open, Header::RESET_COUNTER, &[]),
            &[DoorS],
            OK,
        ),
        row(
            "another instruction",
            |_, _| vec![0x80, 0x77, 0, 0],
            OPEN,
            StatusWord::NO_INSTRUCTION,
        ),
        row(
            "another class",
            |_, _| vec![0x90, 0x10, 1, 1],
            OPEN,
            StatusWord::NO_CLASS,
        ),
        row(
            "no command at all",
            |_, _| vec![0x80, 0x10, 1],
            &SESSIONS,
            StatusWord::WRONG_LENGTH,
        ),
    ]
}

#[test]
fn every_command_in_every_session_is_as_the_table_says() {
    let mut host = Host::new(600);
    let (ram, _) = host.active_card().power_off();
    for row in rows_of_doors_i_and_f()
        .into_iter()
        .chain(rows_of_door_s_and_of_none())
    {
        for session in SESSIONS {
            let mut open = open(&mut host, &ram, session);
            let command = (row.make)(&mut host, &mut open);
            let expected = if row.looked_at.contains(&session) {
                row.there
            } else {
                StatusWord::CONDITIONS
            };
            let status = check(&open.card.process(&command))
                .err()
                .unwrap_or(StatusWord::OK);
            assert_eq!(status, expected, "{} in {session:?}", row.name);
            if expected == StatusWord::OK {
                continue;
            }
            // An error leads back to *selected*, from *reset* nowhere: a TAP says which.
            let tap = tap_command(1, KV, &[3; 16]).unwrap();
            let tapped = check(&open.card.process(&tap)).map(|body| body.len());
            let there = if session == Session::Reset {
                Err(StatusWord::CONDITIONS)
            } else {
                Ok(256)
            };
            assert_eq!(tapped, there, "behind {} in {session:?}", row.name);
        }
    }
}

#[test]
fn what_is_done_once_is_not_done_again() {
    let mut host = Host::new(601);
    let (ram, _) = host.active_card().power_off();
    // COMMIT and UPDATE use the TAP up, GET DATA and another TAP too.
    let uses: [fn(&Open) -> Vec<u8>; 3] = [
        |open| open.commit.clone(),
        |open| open.update.clone(),
        |_| bytes(Header::GET_SERIAL, &[], Some(0)),
    ];
    for first in uses {
        for second in [
            |open: &Open| open.commit.clone(),
            |open: &Open| open.update.clone(),
        ] {
            let mut open = open(&mut host, &ram, Session::Tapped);
            open.card.process(&first(&open));
            let answer = open.card.process(&second(&open));
            assert_eq!(check(&answer), Err(StatusWord::CONDITIONS));
        }
    }
    // A leaf is presented once; a challenge serves one AGREE.
    let mut open = open(&mut host, &ram, Session::Presented);
    assert_eq!(check(&open.card.process(&open.leaf)), Err(StatusWord::CONDITIONS));
}
