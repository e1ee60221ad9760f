//! Target `certificates`: card and terminal certificates (chapters 02, 07). Without the issuer's key there is none; with it
//! there is only what the issuer wrote.

use card_applet_spec::certificate::{
    CARD_CERTIFICATE_LEN, CardCertificate, CertificateName, TerminalCertificate,
};
use card_applet_spec::codes::{Domain, Rights};
use card_applet_spec::date::Date;
use card_applet_spec::tlv;

use crate::fixture::{Fixture, with_fixture};
use crate::tape::Tape;

/// The first byte chooses among raw bytes, signed bytes, and certificates made of fields.
pub fn certificates(input: &[u8]) {
    let mut tape = Tape::new(input);
    with_fixture(|fixture| match tape.byte() % 5 {
        0 => raw_terminal(fixture, tape.all()),
        1 => signed_terminal(fixture, tape.all()),
        2 => made_terminal(fixture, &mut tape),
        3 => raw_card(fixture, &tape.array()),
        _ => made_card(fixture, &mut tape),
    });
}

fn raw_terminal(fixture: &Fixture, bytes: &[u8]) {
    if let Ok((certificate, body, _)) = TerminalCertificate::parse(bytes) {
        assert!(bytes.windows(body.len()).any(|window| window == body));
        let _ = (certificate.has_sound_dates(), certificate.is_short_lived());
        let _ = (certificate.issuer.epoch(), format!("{certificate:?}"));
    }
    // The fixture's certificates are signed by the root, and a seed may hold one of them.
    if let Ok(certificate) = TerminalCertificate::parse_and_verify(bytes, &fixture.host.root.public()) {
        assert_eq!(
            certificate.holder, fixture.host.intermediate_name,
            "only the intermediate was signed"
        );
    }
}

/// A body that the fuzzer wrote and the root signed: form alone decides.
fn signed_terminal(fixture: &mut Fixture, body: &[u8]) {
    let mut object = card_applet_spec::Bytes::<400>::new();
    if tlv::put(&mut object, 0x7F4E, body).is_err() {
        return;
    }
    let signature = fixture
        .host
        .root
        .sign(&[&object], &mut fixture.host.rng)
        .expect("it signs");
    let mut inside = object.to_vec();
    inside.extend_from_slice(&[0x5F, 0x37, 0x40]);
    inside.extend_from_slice(&signature);
    let mut whole = card_applet_spec::Bytes::<600>::new();
    tlv::put(&mut whole, 0x7F21, &inside).expect("there is room");
    let verified = TerminalCertificate::parse_and_verify(&whole, &fixture.host.root.public());
    assert_eq!(verified.is_ok(), TerminalCertificate::parse(&whole).is_ok());
    if let Ok(certificate) = verified {
        assert!(whole.len() <= 255, "it fits one command");
        assert!(Rights::ALL.contains(certificate.rights));
        // Written again, the same is read.
        let again = certificate.sign(&fixture.host.root, &mut fixture.host.rng);
        let again = again.expect("it fitted");
        assert_eq!(
            TerminalCertificate::parse_and_verify(&again, &fixture.host.root.public()),
            Ok(certificate)
        );
    }
}

fn made_terminal(fixture: &mut Fixture, tape: &mut Tape<'_>) {
    let (Ok(effective), Ok(expiry)) = (
        Date::from_six_digits(tape.array()),
        Date::from_six_digits(tape.array()),
    ) else {
        return;
    };
    let mut rights: [u8; 4] = tape.array();
    for (bits, all) in rights.iter_mut().zip(Rights::ALL.to_bytes()) {
        *bits &= all;
    }
    let certificate = TerminalCertificate {
        issuer: CertificateName(tape.array()),
        public: fixture.host.root.public(),
        holder: CertificateName(tape.array()),
        rights: Rights::from_bytes(rights).expect("masked"),
        effective,
        expiry,
    };
    let mut bytes = certificate
        .sign(&fixture.host.root, &mut fixture.host.rng)
        .expect("it fits")
        .to_vec();
    let root = fixture.host.root.public();
    assert_eq!(
        TerminalCertificate::parse_and_verify(&bytes, &root),
        Ok(certificate)
    );
    assert_eq!(certificate.has_sound_dates(), effective <= expiry);
    if certificate.is_short_lived() {
        assert!(certificate.has_sound_dates() && expiry.day_number() - effective.day_number() <= 7);
    }
    let (at, flip) = (usize::from(tape.byte()) % bytes.len(), tape.byte());
    bytes[at] ^= flip;
    assert_eq!(
        TerminalCertificate::parse_and_verify(&bytes, &root).is_ok(),
        flip == 0,
        "byte {at} of a certificate counts"
    );
}

fn raw_card(fixture: &Fixture, bytes: &[u8; CARD_CERTIFICATE_LEN]) {
    if let Ok(certificate) = CardCertificate::parse(bytes) {
        assert_eq!(
            certificate.encode(),
            Ok(*bytes),
            "a card certificate has one form"
        );
        if certificate.verify(&fixture.host.card_ca.public()).is_ok() {
            assert!(
                fixture.card_certificates.contains(bytes),
                "the card CA did not sign this"
            );
        }
    }
}

fn made_card(fixture: &mut Fixture, tape: &mut Tape<'_>) {
    let (Ok(from), Ok(to)) = (Date::from_bytes(tape.array()), Date::from_bytes(tape.array())) else {
        return;
    };
    let domain = tape.choose(Domain::ALL);
    let mut public64 = fixture.host.root.public().to_public64();
    let flip = tape.byte();
    public64[usize::from(tape.byte()) % 64] ^= flip;
    let id = tape.array();
    let made = CardCertificate::sign(
        &fixture.host.card_ca,
        domain,
        tape.byte(),
        from,
        to,
        id,
        public64,
        &mut fixture.host.rng,
    );
    // Off the curve, nothing is signed. (A change may lead to another point: Y and its negative differ in many bytes.)
    let Ok(made) = made else {
        assert_ne!(flip, 0, "a point on the curve is certified");
        return;
    };
    let mut bytes = made.encode().expect("160 bytes");
    assert_eq!(CardCertificate::parse(&bytes), Ok(made));
    assert!(made.verify(&fixture.host.card_ca.public()).is_ok());
    let (at, flip) = (usize::from(tape.byte()) % bytes.len(), tape.byte());
    bytes[at] ^= flip;
    let holds = CardCertificate::parse(&bytes)
        .is_ok_and(|certificate| certificate.verify(&fixture.host.card_ca.public()).is_ok());
    assert_eq!(holds, flip == 0, "byte {at} of a card certificate counts");
}
