//! The verifier of assertions: each check by an authenticator that is right but for one thing.

use issuer_mandate::{Assertion, AssertionError, Relying, client_data};
use p256::ecdsa::Signature as Ecdsa;
use proptest::prelude::*;

use super::sample::{Authenticator, PAGE, page};

const CHALLENGE: [u8; 32] = [0xC5; 32];

fn verified(assertion: &Assertion, authenticator: &Authenticator) -> Result<u32, AssertionError> {
    assertion.verify(&CHALLENGE, &page(), &authenticator.public_key(), 6)
}

#[test]
fn an_assertion_of_the_enrolled_key_over_the_challenge_is_taken_and_its_counter_told() {
    let right = Authenticator::new(1);
    assert_eq!(verified(&right.signs(&CHALLENGE), &right), Ok(7));
    // A browser may add more behind what it must say.
    let more = format!(
        r#"{},"other_keys_can_be_added_here":"do not compare"}}"#,
        client_data(&CHALLENGE, &page())
    );
    assert_eq!(verified(&right.over(more.into_bytes()), &right), Ok(7));
}

#[test]
fn each_thing_that_is_not_right_is_told() {
    let right = Authenticator::new(1);
    let with = |change: &dyn Fn(&mut Authenticator)| {
        let mut one = Authenticator::new(1);
        change(&mut one);
        verified(&one.signs(&CHALLENGE), &right)
    };
    assert_eq!(with(&|_| ()), Ok(7));
    assert_eq!(with(&|one| one.flags = 0x04), Err(AssertionError::NotPresent));
    assert_eq!(with(&|one| one.flags = 0x01), Err(AssertionError::NotVerified));
    assert_eq!(with(&|one| one.flags = 0x0D), Err(AssertionError::BackupEligible));
    assert_eq!(with(&|one| one.flags = 0x1D), Err(AssertionError::BackupEligible));
    for flags in [0x45, 0x85, 0x07, 0x25] {
        assert_eq!(
            with(&|one| one.flags = flags),
            Err(AssertionError::AuthenticatorData),
            "{flags:#x}"
        );
    }
    for counter in [0, 5, 6] {
        assert_eq!(
            with(&|one| one.counter = counter),
            Err(AssertionError::Counter),
            "{counter}"
        );
    }
    let elsewhere = |origin: &str| {
        let origin = Relying::at(origin).unwrap();
        with(&|one| one.page = origin.clone())
    };
    for origin in [
        "http://localhost:8440",
        "https://localhost:8441",
        "https://sign.example.cn",
    ] {
        assert_eq!(elsewhere(origin), Err(AssertionError::ClientData), "{origin}");
    }
    // The page's client data, and an authenticator that was asked by another party.
    let mut one = Authenticator::new(1);
    one.page = Relying::at("https://sign.example.cn").unwrap();
    let client = format!("{}}}", client_data(&CHALLENGE, &page())).into_bytes();
    assert_eq!(
        verified(&one.over(client), &right),
        Err(AssertionError::OtherParty)
    );
    assert_eq!(
        verified(&right.signs(&[0xC6; 32]), &right),
        Err(AssertionError::ClientData)
    );
    assert_eq!(
        verified(&Authenticator::new(2).signs(&CHALLENGE), &right),
        Err(AssertionError::Signature)
    );
    assert_eq!(
        right.signs(&CHALLENGE).verify(&CHALLENGE, &page(), &[4; 65], 6),
        Err(AssertionError::Signature),
        "no point of the curve"
    );
}

#[test]
fn an_authenticator_that_does_not_count_says_zero_each_time() {
    let mut one = Authenticator::new(1);
    one.counter = 0;
    let assertion = one.signs(&CHALLENGE);
    assert_eq!(assertion.verify(&CHALLENGE, &page(), &one.public_key(), 0), Ok(0));
}

#[test]
fn client_data_of_another_kind_or_of_a_frame_are_refused() {
    let right = Authenticator::new(1);
    let said = client_data(&CHALLENGE, &page());
    for wrong in [
        said.replace("webauthn.get", "webauthn.create"),
        said.replace(
            r#""crossOrigin":false"#,
            r#""crossOrigin":true,"topOrigin":"http://localhost:8440""#,
        ),
        said.replace(r#""crossOrigin":false"#, r#""crossOrigin":falsehood"#),
        said.replace(":8441", ":8441/x"),
        said.replace(PAGE, "http://localhost:84410"),
        format!(" {said}"),
        said.replace(r#","origin""#, r#", "origin""#),
        format!("{said},{}", "x".repeat(2048)),
        String::new(),
    ] {
        let assertion = right.over(format!("{wrong}}}").into_bytes());
        assert_eq!(
            verified(&assertion, &right),
            Err(AssertionError::ClientData),
            "{wrong}"
        );
    }
    assert_eq!(
        verified(&right.over(said.into_bytes()), &right),
        Err(AssertionError::ClientData),
        "no end"
    );
}

#[test]
fn a_signature_has_one_form_whichever_its_authenticator_gave_and_a_malformed_one_none() {
    let right = Authenticator::new(1);
    let low = right.signs(&CHALLENGE).in_one_form().unwrap();
    let signature = Ecdsa::from_der(&low.signature).unwrap();
    let (r, s) = (signature.r(), -signature.s());
    let high = Ecdsa::from_scalars(r.to_bytes(), s.to_bytes()).unwrap();
    let high = Assertion {
        signature: high.to_der().as_bytes().to_vec(),
        ..low.clone()
    };
    assert_ne!(high, low);
    assert_eq!(verified(&high, &right), Ok(7), "half of all real ones");
    assert_eq!(high.in_one_form().unwrap(), low, "and it is the same one");
    let der = low.signature.clone();
    let mut longer = der.clone();
    longer.push(0);
    let raw = [
        signature.r().to_bytes().to_vec(),
        signature.s().to_bytes().to_vec(),
    ]
    .concat();
    let zero = vec![0x30, 0x06, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00];
    for wrong in [Vec::new(), der[1..].to_vec(), longer, raw, zero, vec![0x30; 200]] {
        let assertion = Assertion {
            signature: wrong,
            ..low.clone()
        };
        assert_eq!(verified(&assertion, &right), Err(AssertionError::Signature));
    }
}

#[test]
fn a_page_is_https_or_this_machine() {
    for right in [
        "https://sign.example.cn",
        "https://sign.example.cn:8443",
        "http://localhost",
        PAGE,
    ] {
        assert_eq!(Relying::at(right).unwrap().origin(), right);
    }
    for wrong in [
        "http://sign.example.cn",
        "https://",
        "https://sign.example.cn/",
        "https://Sign.example.cn",
        "https://a:b",
        "https://a\"b",
        "http://localhost.example.cn",
        "localhost",
        "https://user@sign.example.cn",
        "https://a:123456",
    ] {
        assert!(Relying::at(wrong).is_err(), "{wrong}");
    }
}

proptest! {
    /// Whatever comes, the verifier says no and does not die; and one changed bit of a right one is a no.
    #[test]
    fn no_changed_bit_and_no_bytes_are_taken(
        part in 0..3_usize, at in any::<prop::sample::Index>(), bit in 0..8_u8,
        client in proptest::collection::vec(any::<u8>(), 0..300),
        data in proptest::collection::vec(any::<u8>(), 0..60),
        signature in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let right = Authenticator::new(1);
        let mut one = right.signs(&CHALLENGE);
        let bytes = match part {
            0 => &mut one.client_data,
            1 => &mut one.authenticator_data,
            _ => &mut one.signature,
        };
        let index = at.index(bytes.len());
        bytes[index] ^= 1 << bit;
        prop_assert!(verified(&one, &right).is_err());
        let random = Assertion { client_data: client, authenticator_data: data, signature };
        prop_assert!(verified(&random, &right).is_err());
    }
}
