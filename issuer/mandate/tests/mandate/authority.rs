//! Two people, or nothing.

use issuer_mandate::{
    AssertionError, Batch, EnrolledKey, Kind, Mandate, MandateError, Signature, SignerRole, authorise,
};

use super::sample::{Authenticator, DAY, NOW, items, mandate, wanted};

struct Two {
    wang: Authenticator,
    zhao: Authenticator,
    bytes: Vec<u8>,
}

impl Two {
    fn new() -> Self {
        Self {
            wang: Authenticator::new(1),
            zhao: Authenticator::new(2),
            bytes: mandate().encode().unwrap(),
        }
    }

    fn keys(&self) -> [EnrolledKey; 2] {
        [
            self.wang.enrolled("wang", SignerRole::Reviewer),
            self.zhao.enrolled("zhao", SignerRole::Approver),
        ]
    }

    fn signed(&self) -> [Signature; 2] {
        [self.wang.gives(&self.bytes), self.zhao.gives(&self.bytes)]
    }

    fn with(&self, signed: &[Signature; 2], keys: &[EnrolledKey; 2]) -> Result<Mandate, MandateError> {
        let items = items();
        authorise(
            &wanted(&items),
            &self.bytes,
            [(&signed[0], &keys[0]), (&signed[1], &keys[1])],
        )
    }
}

#[test]
fn what_two_enrolled_people_signed_is_given() {
    let two = Two::new();
    assert_eq!(two.with(&two.signed(), &two.keys()), Ok(mandate()));
}

#[test]
fn a_mandate_gives_nothing_else_than_it_says() {
    let two = Two::new();
    let (signed, keys) = (two.signed(), two.keys());
    let items = items();
    let asked = |wanted| {
        authorise(
            &wanted,
            &two.bytes,
            [(&signed[0], &keys[0]), (&signed[1], &keys[1])],
        )
    };
    let mut other = wanted(&items);
    other.vault = [9; 16];
    assert_eq!(asked(other), Err(MandateError::OtherVault));
    let mut other = wanted(&items);
    other.kind = Kind::Rewrite;
    assert_eq!(asked(other), Err(MandateError::OtherKind));
    let mut other = wanted(&items);
    other.case.id = [9; 16];
    assert_eq!(asked(other), Err(MandateError::OtherCase));
    // The same case, and content that was frozen anew.
    let mut other = wanted(&items);
    other.case.frozen = [9; 32];
    assert_eq!(asked(other), Err(MandateError::OtherCase));
    let mut other = wanted(&items);
    other.organ = "440306";
    assert_eq!(asked(other), Err(MandateError::OtherOrgan));
    let mut other = wanted(&items);
    other.policy = [9; 32];
    assert_eq!(asked(other), Err(MandateError::OtherPolicy));
    for at in [NOW - 1, NOW + 30 * DAY + 1] {
        let mut other = wanted(&items);
        other.at = at;
        assert_eq!(asked(other), Err(MandateError::OutOfTime));
    }
    let mut changed = super::sample::items();
    changed.permit.valid_to = "2028-11-21".to_owned();
    assert_eq!(asked(wanted(&changed)), Err(MandateError::OtherContent));
}

#[test]
fn one_person_a_wrong_role_another_organ_and_a_key_past_its_day_sign_nothing() {
    let two = Two::new();
    let signed = two.signed();
    let key = |change: &dyn Fn(&mut [EnrolledKey; 2])| {
        let mut keys = two.keys();
        change(&mut keys);
        two.with(&signed, &keys)
    };
    // One person with two keys, and one key under two names.
    assert_eq!(
        key(&|keys| keys[1].person = "wang".to_owned()),
        Err(MandateError::SamePerson)
    );
    assert_eq!(
        key(&|keys| keys[1].public_key = keys[0].public_key.clone()),
        Err(MandateError::SamePerson)
    );
    assert_eq!(
        key(&|keys| keys[0].role = SignerRole::Approver),
        Err(MandateError::NotSigned)
    );
    assert_eq!(key(&|keys| keys.swap(0, 1)), Err(MandateError::NotSigned));
    for organ in ["440306", "510000", "000000", "44", ""] {
        assert_eq!(
            key(&|keys| keys[1].organ = organ.to_owned()),
            Err(MandateError::KeyNotEnrolled),
            "{organ}"
        );
    }
    for organ in ["440305", "440300", "440000"] {
        assert!(key(&|keys| keys[1].organ = organ.to_owned()).is_ok(), "{organ}");
    }
    assert_eq!(
        key(&|keys| keys[1].until = NOW),
        Err(MandateError::KeyNotEnrolled)
    );
    let removed = Authenticator::new(3);
    assert_eq!(
        key(&|keys| keys[1].public_key = removed.public_key()),
        Err(MandateError::Assertion(AssertionError::Signature)),
        "who signs with another key than is enrolled now"
    );
}

#[test]
fn a_signature_over_another_mandate_is_none_over_this_one() {
    let two = Two::new();
    let mut other = mandate();
    other.id = [0x99; 16];
    let other = other.encode().unwrap();
    let signed = [two.wang.gives(&two.bytes), two.zhao.gives(&other)];
    let refused = Err(MandateError::Assertion(AssertionError::ClientData));
    assert_eq!(two.with(&signed, &two.keys()), refused);
}

#[test]
fn a_mandate_of_a_signed_list_is_given_and_one_with_the_proof_of_another_list_is_not() {
    let two = Two::new();
    let others: Vec<[u8; 32]> = (0..20).map(|number| [number; 32]).collect();
    let list = [&others[..], &[Mandate::digest(&two.bytes)]].concat();
    let batch = Batch::of(&list).unwrap();
    let of_list = |batch: &Batch, index| Signature {
        assertion: two.zhao.signs(&batch.digest()),
        proof: Some(batch.proof(index).unwrap()),
    };
    let signed = [two.wang.gives(&two.bytes), of_list(&batch, 20)];
    assert_eq!(two.with(&signed, &two.keys()), Ok(mandate()));

    // Another list was signed, in which the mandate does not stand.
    let other = Batch::of(&others).unwrap();
    let signed = [two.wang.gives(&two.bytes), of_list(&other, 3)];
    let refused = Err(MandateError::Assertion(AssertionError::ClientData));
    assert_eq!(two.with(&signed, &two.keys()), refused);
    // The proof of this list with the signature over another one.
    let mixed = Signature {
        assertion: two.zhao.signs(&other.digest()),
        proof: Some(batch.proof(20).unwrap()),
    };
    assert_eq!(
        two.with(&[two.wang.gives(&two.bytes), mixed], &two.keys()),
        refused
    );
    // The signature over a list shown as one over the mandate itself.
    let bare = Signature {
        proof: None,
        ..of_list(&batch, 20)
    };
    assert_eq!(
        two.with(&[two.wang.gives(&two.bytes), bare], &two.keys()),
        refused
    );
}
