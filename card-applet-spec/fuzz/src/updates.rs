//! Target `updates`: sealed updates as vault and card compute them (chapter 09).

use card_applet_spec::crypto::Key16;
use card_applet_spec::kdf::KeySet;
use card_applet_spec::update::{SealedUpdate, UPDATE_LEN};

use crate::tape::Tape;

/// The first byte chooses.
pub fn updates(input: &[u8]) {
    let mut tape = Tape::new(input);
    match tape.byte() % 2 {
        0 => foreign(&mut tape),
        _ => sealed(&mut tape),
    }
}

fn keys() -> KeySet {
    KeySet::from_bytes(&[0x2F; 48])
}

/// Without the card's keys nothing opens.
fn foreign(tape: &mut Tape<'_>) {
    let update = SealedUpdate {
        counter: tape.u32(),
        cipher: tape.array(),
        mac: tape.array(),
    };
    assert!(update.open(&keys()).is_err(), "nobody has these keys");
}

/// With them, what was sealed opens, under its own counter only and unchanged only.
fn sealed(tape: &mut Tape<'_>) {
    let counter = tape.u32();
    let plain: [u8; UPDATE_LEN] = tape.array();
    let update = SealedUpdate::seal(&keys(), counter, &plain).expect("it seals");
    assert_eq!(update.open(&keys()), Ok(plain));
    let m = Key16::new([4; 16]);
    let tap_mac = update.tap_mac(&m, 1, 1, &[5; 16], &[6; 16]).expect("8 bytes");
    assert_eq!(update.command_data(&tap_mac).expect("252 bytes").len(), 252);
    let (at, flip) = (usize::from(tape.byte()) % (UPDATE_LEN + 20), tape.byte());
    let mut changed = update;
    match at {
        0..UPDATE_LEN => changed.cipher[at] ^= flip,
        _ if at < UPDATE_LEN + 16 => changed.mac[at - UPDATE_LEN] ^= flip,
        _ => changed.counter ^= u32::from(flip),
    }
    assert_eq!(
        changed.open(&keys()).is_ok(),
        flip == 0,
        "byte {at} of an update counts"
    );
}
