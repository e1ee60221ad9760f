//! A list that is signed at once.

use std::collections::BTreeSet;

use issuer_mandate::{Batch, DRAWN, LARGEST, MandateError};

fn digests(count: usize) -> Vec<[u8; 32]> {
    (0..count)
        .map(|number| [u8::try_from(number).unwrap(); 32])
        .collect()
}

#[test]
fn each_mandate_of_a_list_of_any_length_is_proved_and_no_other_one() {
    for count in 1..=LARGEST {
        let all = digests(count);
        let batch = Batch::of(&all).unwrap();
        let other = Batch::of(&digests(count + 1)[1..]).unwrap();
        assert_ne!(batch.digest(), other.digest());
        for (index, digest) in all.iter().enumerate() {
            let proof = batch.proof(index).unwrap();
            assert_eq!(proof.signed(digest), Ok(batch.digest()), "{index} of {count}");
            assert_ne!(proof.signed(&[0xEE; 32]), Ok(batch.digest()));
            // A list of one has an empty proof.
            if count > 1 {
                let elsewhere = other.proof(index).unwrap();
                assert_ne!(
                    elsewhere.signed(digest),
                    Ok(batch.digest()),
                    "a proof of another list"
                );
                let next = batch.proof((index + 1) % count).unwrap();
                assert_ne!(
                    next.signed(digest),
                    Ok(batch.digest()),
                    "a proof of another place"
                );
            }
        }
        assert_eq!(batch.proof(count), Err(MandateError::NotInBatch));
    }
}

#[test]
fn a_list_of_none_of_more_than_50_or_with_one_twice_is_not_signed() {
    let twice = [digests(3), digests(1)].concat();
    for wrong in [Vec::new(), digests(LARGEST + 1), twice] {
        assert_eq!(Batch::of(&wrong), Err(MandateError::BatchSize));
    }
}

#[test]
fn two_are_drawn_by_the_signature_and_every_place_comes_up() {
    let batch = Batch::of(&digests(LARGEST)).unwrap();
    let mut seen = BTreeSet::new();
    for number in 0..2_000_u32 {
        let drawn = batch.drawn(&number.to_be_bytes());
        assert_eq!(drawn, batch.drawn(&number.to_be_bytes()), "nobody draws again");
        assert_eq!(drawn.len(), DRAWN);
        assert!(drawn[0] < drawn[1] && drawn[1] < LARGEST, "{drawn:?}");
        seen.extend(drawn);
    }
    assert_eq!(seen.len(), LARGEST);
    assert_eq!(Batch::of(&digests(1)).unwrap().drawn(b"any"), [0]);
}
