//! Target `mandates`: what the office signs and how it is checked. One text for each mandate; nothing that is not by the enrolled key
//! over the asked challenge on the asked page is taken.

use issuer_mandate::{Assertion, Batch, Mandate, Relying, client_data};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};

use crate::tape::Tape;

const PAGE: &str = "http://localhost:8441";
const CHALLENGE: [u8; 32] = [0xC5; 32];
/// The counter that was seen last.
const COUNTER: u32 = 6;

/// The first byte chooses among the text of a mandate, an assertion of a stranger, one that the key signed over fields of the input, and
/// a proof.
pub fn mandates(input: &[u8]) {
    let mut tape = Tape::new(input);
    match tape.byte() % 4 {
        0 => text(tape.all()),
        1 => strangers(&mut tape),
        2 => of_the_key(&mut tape),
        _ => proofs(&mut tape),
    }
}

fn text(bytes: &[u8]) {
    if let Ok(mandate) = Mandate::decode(bytes) {
        assert_eq!(mandate.encode().expect("it was read"), bytes, "one text");
        assert!(mandate.until >= mandate.from);
    }
}

fn page() -> Relying {
    Relying::at(PAGE).expect("a page")
}

fn key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).expect("a key")
}

fn taken(assertion: &Assertion) -> Option<u32> {
    let public = key().verifying_key().to_sec1_point(false);
    assertion
        .verify(&CHALLENGE, &page(), public.as_bytes(), COUNTER)
        .ok()
}

/// Nobody who has not the key signs anything.
fn strangers(tape: &mut Tape<'_>) {
    let assertion = Assertion {
        client_data: tape.short().to_vec(),
        authenticator_data: tape.short().to_vec(),
        signature: tape.all().to_vec(),
    };
    assert_eq!(taken(&assertion), None);
    if let Ok(one) = assertion.in_one_form() {
        assert_eq!(one.clone().in_one_form(), Ok(one));
    }
}

/// The key signs whatever it is given, as an authenticator does that a hostile page asks: only the right challenge from the right page,
/// with a person present and verified, is taken.
fn of_the_key(tape: &mut Tape<'_>) {
    let (right_client, right_party, flags, counter) =
        (tape.byte() & 1, tape.byte() & 1, tape.byte(), tape.u32());
    let wanted = client_data(&CHALLENGE, &page());
    let client = if right_client == 1 {
        [wanted.as_bytes(), tape.all()].concat()
    } else {
        tape.all().to_vec()
    };
    let party = if right_party == 1 {
        page().party_hash()
    } else {
        [counter.to_be_bytes()[3]; 32]
    };
    let mut data = party.to_vec();
    data.push(flags);
    data.extend(counter.to_be_bytes());
    let hash = card_applet_spec::crypto::sha256(&[&client]);
    let signature: Signature = key().sign(&[&data[..], &hash[..]].concat());
    let assertion = Assertion {
        client_data: client,
        authenticator_data: data,
        signature: signature.to_der().as_bytes().to_vec(),
    };
    if let Some(new) = taken(&assertion) {
        assert!(assertion.client_data.starts_with(wanted.as_bytes()));
        assert!(assertion.client_data.ends_with(b"}"));
        assert_eq!((right_party, flags, new), (1, 0x05, counter));
        assert!(counter > COUNTER);
    }
}

/// A proof proves its own mandate, and no other one.
fn proofs(tape: &mut Tape<'_>) {
    let count = usize::from(tape.byte() % 51);
    let at = usize::from(tape.byte());
    let digests: Vec<[u8; 32]> = (0..count).map(|_| tape.array()).collect();
    let Ok(batch) = Batch::of(&digests) else {
        return;
    };
    let Ok(proof) = batch.proof(at % count) else {
        panic!("there is a mandate at this place");
    };
    for (index, digest) in digests.iter().enumerate() {
        assert_eq!(proof.signed(digest) == Ok(batch.digest()), index == at % count);
    }
    let drawn = batch.drawn(tape.all());
    assert!(drawn.len() == count.min(2) && drawn.iter().all(|index| *index < count));
}
