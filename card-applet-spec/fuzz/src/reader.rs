//! Target `reader`: a terminal in front of a card that the fuzzer plays (chapters 06, 07, 08).
//!
//! Two players. The *forger* has no key: it answers with bytes of its own and with answers that it heard before; no terminal
//! ever accepts it. The *man in the middle* holds a genuine card and changes what passes: a terminal accepts what that card
//! really said, or nothing.

use card_applet_spec::codes::{CardState, Rights, Role};
use card_host::KV;
use card_reader::counter::{inspect, look};
use card_reader::relay::relay;
use card_reader::{Bundle, Card as Reader, Secure, Terminal};

use crate::fixture::{Fixture, today, with_fixture};
use crate::tape::Tape;
use crate::wire::Wire;

/// The first byte chooses player and terminal; the rest is what the player does, one choice for each exchange.
pub fn reader(input: &[u8]) {
    let _ = reader_took(input);
}

/// As [`reader`]; true when the terminal took the card for genuine.
#[must_use]
pub fn reader_took(input: &[u8]) -> bool {
    let mut tape = Tape::new(input);
    with_fixture(|fixture| {
        let choice = tape.byte();
        let seed = u64::from(tape.byte());
        let genuine = (choice & 1 == 1).then(|| fixture.active(0x7E_0000 + seed));
        let bundle = fixture.bundle();
        let forged = genuine.is_none();
        let mut wire = Wire::new(tape, genuine, fixture);
        let took = match (choice >> 1) % 5 {
            0 => tap(fixture, bundle, &mut wire),
            1 => groups(fixture, &bundle, &mut wire),
            2 => record(fixture, &bundle, &mut wire),
            3 => office(fixture, &bundle, &mut wire),
            _ => inspect(
                &mut wire,
                &bundle,
                &fixture.terminal,
                today(),
                &mut fixture.host.rng,
            )
            .is_ok(),
        };
        assert!(!(forged && took), "a forgery was taken for a card");
        took
    })
}

/// The office: everything.
fn office(fixture: &mut Fixture, bundle: &Bundle, wire: &mut Wire<'_>) -> bool {
    let rng = &mut fixture.host.rng;
    let Ok(seen) = look(wire, bundle, &fixture.terminal, Role::ALL, &[], today(), rng) else {
        return false;
    };
    assert_eq!(seen.serial, fixture.host.serial);
    assert_eq!(seen.groups.content().encoded(1), Some(&fixture.groups[0][..]));
    let _ = format!("{seen:?}");
    true
}

/// A bus: SELECT and TAP.
fn tap(fixture: &mut Fixture, bundle: Bundle, wire: &mut Wire<'_>) -> bool {
    let mut terminal = Terminal::new(bundle);
    let Ok(card) = Reader::new(&mut *wire).select() else {
        return false;
    };
    let admission = terminal.tap(card, Role::Transit, today(), &mut fixture.host.rng);
    if let Ok(admission) = &admission {
        assert!(!wire.changed, "the bus took a changed answer");
        assert_eq!(
            (admission.role, admission.region),
            (Role::Transit, fixture.host.region)
        );
        assert_eq!(admission.valid_from, today());
    }
    // A blank's serial is what any card may say of itself: only the form counts.
    if let Ok(card) = Reader::new(&mut *wire).select() {
        let _ = card.info();
        let _ = card.blank_serial();
    }
    // Whatever comes is carried.
    if Reader::new(&mut *wire).select().is_ok() {
        let _ = relay(&mut *wire, &[vec![0x80, 0x10, 0x01, KV], vec![0; 300], vec![]]);
    }
    admission.is_ok()
}

/// The police: the data groups.
fn groups(fixture: &mut Fixture, bundle: &Bundle, wire: &mut Wire<'_>) -> bool {
    let rights = Rights::IDENTITY.union(Rights::PERMIT).union(Rights::VERIFY);
    let Some(card) = agreed(fixture, bundle, wire, rights) else {
        return false;
    };
    assert_eq!(
        card.chip().evidence().card_certificate,
        fixture.card_certificates[0]
    );
    let Ok((card, read)) = card.read_groups(rights) else {
        return true;
    };
    assert_eq!(read.content().encoded(1), Some(&fixture.groups[0][..]));
    assert_eq!(read.content().encoded(3), Some(&fixture.groups[1][..]));
    assert_eq!(read.content().encoded(2), None);
    if let Ok((_, status)) = card.status() {
        assert_eq!(status.state, CardState::Active);
    }
    true
}

/// A clinic: the record.
fn record(fixture: &mut Fixture, bundle: &Bundle, wire: &mut Wire<'_>) -> bool {
    let role = Role::Clinic;
    let Some(card) = agreed(fixture, bundle, wire, Rights::role(role)) else {
        return false;
    };
    assert_eq!(
        card.chip().evidence().card_certificate,
        fixture.card_certificates[1]
    );
    if let Ok((_, admission)) = card.read_entitlement(role, bundle, today()) {
        assert_eq!(admission.content().role, role);
        assert_eq!(admission.content().valid_from, today());
    }
    true
}

/// SELECT to AGREE: a card that proved its key.
fn agreed<'w, 'a>(
    fixture: &mut Fixture,
    bundle: &Bundle,
    wire: &'w mut Wire<'a>,
    rights: Rights,
) -> Option<Reader<&'w mut Wire<'a>, Secure>> {
    let card = Reader::new(wire).select().ok()?;
    let card = card.present(bundle, today()).ok()?;
    card.agree(rights, &fixture.terminal, today(), &mut fixture.host.rng)
        .ok()
}
