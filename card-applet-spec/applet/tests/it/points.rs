//! Every point that comes in is checked before it is used (chapter 01): the terminal's point at AGREE, the keys of both
//! certificates, the root of TRUST. A card that multiplied its key with a point of another curve would give it away.
use card_applet_spec::apdu::{Header, StatusWord};
use card_applet_spec::codes::{Rights, Role};
use card_applet_spec::crypto::{PrivateKey, PublicKey, sha256};
use card_applet_spec::door_s::Agree;
use card_applet_spec::meter::Operation::{EcKeyGeneration, Ecdh};
use card_applet_spec::script::Step;
use card_applet_spec::tlv;
use card_host::{Event, Host, check, date, events, ok, rewrite, run_steps, select};
use hex_literal::hex;

/// Y of the point of P-256 with X = 0.
const Y_AT_ZERO: [u8; 32] = hex!("66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4");
/// The prime of the field.
const P: [u8; 32] = hex!("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");

fn point(first: u8, x: [u8; 32], y: [u8; 32]) -> [u8; 65] {
    let mut out = [first; 65];
    out[1..33].copy_from_slice(&x);
    out[33..].copy_from_slice(&y);
    out
}

fn small(value: u8) -> [u8; 32] {
    let mut out = [0; 32];
    out[31] = value;
    out
}

/// Encodings that are no point of P-256 in the one form that the specification knows.
fn wrong_points() -> Vec<(&'static str, [u8; 65])> {
    let good = PrivateKey::from_bytes(&[0x33; 32]).unwrap().public().to_point65();
    let (x, y): ([u8; 32], [u8; 32]) = (good[1..33].try_into().unwrap(), good[33..].try_into().unwrap());
    let mut off = y;
    off[31] ^= 1;
    let parity = y[31] & 1;
    vec![
        ("off the curve", point(4, x, off)),
        ("X and Y exchanged", point(4, y, x)),
        ("of order 2 on another curve", point(4, x, [0; 32])),
        ("of order 3 on another curve", point(4, small(3), small(4))),
        ("zeros", point(4, [0; 32], [0; 32])),
        ("infinity", [0; 65]),
        ("infinity with a 4 before it", point(4, P, P)),
        ("X not below the prime", point(4, P, Y_AT_ZERO)),
        ("Y not below the prime", point(4, [0; 32], [0xFF; 32])),
        ("all ones", [0xFF; 65]),
        ("compressed", point(2 | parity, x, [0; 32])),
        ("compressed, of the other parity", point(3 ^ parity, x, y)),
        ("hybrid", point(6 | parity, x, y)),
    ]
}

#[test]
fn the_list_of_wrong_points_is_one() {
    for (name, point) in wrong_points() {
        assert!(PublicKey::from_point65(&point).is_err(), "{name}");
    }
    // What is next to them is right: it is the encoding that is refused, not the point.
    assert!(PublicKey::from_point65(&point(4, [0; 32], Y_AT_ZERO)).is_ok());
}

#[test]
fn agree_takes_no_wrong_point_and_makes_no_key_for_one() {
    let mut host = Host::new(300);
    let mut card = host.active_card();
    let intermediate = host.intermediate(Rights::ALL, "2026-11-01", "2027-11-01");
    let key = PrivateKey::generate(&mut host.rng);
    let leaf = host.leaf(&key, Rights::ALL, "2026-11-20", "2026-11-25");
    for (name, point) in wrong_points() {
        select(&mut card).unwrap();
        for (place, certificate) in [(0, &intermediate), (1, &leaf)] {
            let command = Header::present_certificate(place).command(certificate, None);
            ok(&card.process(&command.unwrap())).unwrap();
        }
        let challenge = ok(&card.process(&Header::GET_CHALLENGE.command(&[], Some(16)).unwrap())).unwrap();
        let rights = Rights::role(Role::Clinic);
        let parts: [&[u8]; 6] = [
            b"YZT-S-TA-1",
            &[1],
            &rights.to_bytes(),
            &challenge,
            &point,
            &sha256(&[&leaf]),
        ];
        // The terminal means it: its signature over the wrong point holds.
        let signature = key.sign(&parts, &mut host.rng).unwrap();
        let agree = Agree {
            rights,
            point,
            signature,
        };
        let command = Header::AGREE.command(&agree.encode().unwrap(), Some(0)).unwrap();
        let (answer, done) = events(|| card.process(&command));
        assert_eq!(check(&answer), Err(StatusWord::SECURITY), "{name}");
        let used = |event: &Event| {
            matches!(event, Event::Primitive(EcKeyGeneration | Ecdh)) || matches!(event, Event::Write(_))
        };
        assert!(!done.iter().any(used), "{name}: no key, no agreement, no write");
    }
    assert!(host.open_door_s(&mut card, Rights::role(Role::Clinic)).is_ok());
}

/// A certificate with other bytes for its key, signed again.
fn with_point(certificate: &[u8], point: &[u8; 65], signer: &PrivateKey, host: &mut Host) -> Vec<u8> {
    let inside = tlv::parse_only(certificate).unwrap().value;
    let mut body = tlv::parse(inside).unwrap().0.raw.to_vec();
    let head = [0x86, 0x41, 0x04];
    let at = body.windows(3).position(|part| part == head).unwrap() + 2;
    body[at..at + 65].copy_from_slice(point);
    let signature = signer.sign(&[&body], &mut host.rng).unwrap();
    let mut value = card_applet_spec::Bytes::<300>::new();
    value.extend_from_slice(&body).unwrap();
    tlv::put(&mut value, 0x5F37, &signature).unwrap();
    let mut out = card_applet_spec::Bytes::<300>::new();
    tlv::put(&mut out, 0x7F21, &value).unwrap();
    out.to_vec()
}

#[test]
fn no_certificate_brings_a_wrong_point() {
    let mut host = Host::new(301);
    let mut card = host.active_card();
    let intermediate = host.intermediate(Rights::ALL, "2026-11-01", "2027-11-01");
    let key = PrivateKey::generate(&mut host.rng);
    let leaf = host.leaf(&key, Rights::ALL, "2026-11-20", "2026-11-25");
    let root = PrivateKey::from_bytes(&host.root.expose()).unwrap();
    let middle = PrivateKey::from_bytes(&host.intermediate_key.expose()).unwrap();
    let show = |card: &mut card_host::Card, place, certificate: &[u8]| {
        check(
            &card.process(
                &Header::present_certificate(place)
                    .command(certificate, None)
                    .unwrap(),
            ),
        )
        .map(|_| ())
    };
    // Signed anew with its own key a certificate is taken: it is the point that is refused below.
    select(&mut card).unwrap();
    let same = with_point(&intermediate, &middle.public().to_point65(), &root, &mut host);
    assert_eq!(show(&mut card, 0, &same), Ok(()));
    for (name, point) in wrong_points() {
        let upper = with_point(&intermediate, &point, &root, &mut host);
        select(&mut card).unwrap();
        assert_eq!(show(&mut card, 0, &upper), Err(StatusWord::WRONG_DATA), "{name}");
        let lower = with_point(&leaf, &point, &middle, &mut host);
        select(&mut card).unwrap();
        assert_eq!(show(&mut card, 0, &intermediate), Ok(()));
        assert_eq!(show(&mut card, 1, &lower), Err(StatusWord::WRONG_DATA), "{name}");
    }
}

#[test]
fn trust_takes_no_wrong_root() {
    let mut host = Host::new(302);
    let mut card = host.active_card();
    for (number, (name, point)) in (1..).zip(wrong_points()) {
        // TRUST names X and Y alone: what is wrong in the first byte cannot be said.
        if point[0] != 4 {
            continue;
        }
        let step = Step::Trust {
            name: &host.root_name.0,
            public64: point[1..].try_into().unwrap(),
            epoch: 1,
            floor: date(card_host::TODAY),
        };
        let steps = rewrite([number; 16], vec![step.encode().unwrap().to_vec()]);
        let refused = run_steps(&mut host, &mut card, &steps, 0);
        assert_eq!(refused, Err((2, StatusWord::WRONG_DATA)), "{name}");
        assert!(host.open_door_s(&mut card, Rights::role(Role::Clinic)).is_ok());
    }
}
