//! One text for one mandate.

use issuer_mandate::{Kind, Mandate, MandateError};
use proptest::prelude::*;

use super::sample::{DAY, mandate};

/// Text and digest of the sample, as every reader in any language must see them.
const GOLDEN: &str = include_str!("../mandate.txt");

#[test]
fn the_text_of_the_sample_and_its_digest_are_the_committed_ones() {
    let bytes = mandate().encode().unwrap();
    let said = format!(
        "mandate {}\ndigest {}\n",
        hex::encode(&bytes),
        hex::encode(Mandate::digest(&bytes))
    );
    assert_eq!(said, GOLDEN);
    assert_eq!(Mandate::decode(&bytes).unwrap(), mandate());
}

#[test]
fn any_other_text_of_the_same_is_none() {
    let bytes = mandate().encode().unwrap();
    let behind = [&bytes[..], &[0]].concat();
    // The same map without its length, a longer form of a small number, and one key twice.
    let indefinite = [&[0xBF][..], &bytes[1..], &[0xFF]].concat();
    assert_eq!(&bytes[..3], [0xA9, 0x01, 0x50], "a map of nine, key 1, 16 bytes");
    let wide = [&[0xA9, 0x18, 0x01][..], &bytes[2..]].concat();
    let twice = [&[0xAA][..], &bytes[1..], &[0x09, 0x58, 0x20], &[0x77; 32]].concat();
    for other in [behind, indefinite, wide, twice] {
        assert_eq!(Mandate::decode(&other), Err(MandateError::Form));
    }
    for end in 0..bytes.len() {
        assert_eq!(Mandate::decode(&bytes[..end]), Err(MandateError::Form), "{end}");
    }
}

#[test]
fn what_no_mandate_says_is_none() {
    let mut longer = mandate();
    longer.until = longer.from + 30 * DAY + 1;
    let mut backwards = mandate();
    backwards.until = backwards.from - 1;
    let mut organ = mandate();
    organ.organ = "44030".to_owned();
    let mut hidden = mandate();
    hidden.content.person.name.push('\u{7}');
    let mut long = mandate();
    long.content.person.hukou_address = "路".repeat(90);
    for wrong in [longer, backwards, organ, hidden, long] {
        assert_eq!(wrong.encode(), Err(MandateError::Form));
    }
}

proptest! {
    #[test]
    fn a_mandate_reads_back_and_a_changed_byte_is_another_one_or_none(
        name in "\\PC{1,40}", from in 0..4_000_000_000_u64, life in 0..=30 * DAY, loaded in proptest::option::of(any::<u32>()),
        kind in 0..6_usize, at in any::<prop::sample::Index>(), bit in 0..8_u8,
    ) {
        let mut one = mandate();
        one.content.person.name = name;
        one.content.loaded = loaded;
        (one.from, one.until) = (from, from + life);
        one.kind = [Kind::Personalise, Kind::Rewrite, Kind::Load, Kind::Unblock, Kind::Allow, Kind::End][kind];
        let Ok(bytes) = one.encode() else {
            return Ok(());
        };
        prop_assert_eq!(Mandate::decode(&bytes).unwrap(), one.clone());
        let mut other = bytes.clone();
        other[at.index(bytes.len())] ^= 1 << bit;
        if let Ok(read) = Mandate::decode(&other) {
            prop_assert_ne!(&read, &one);
            prop_assert_eq!(read.encode().unwrap(), other);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(read) = Mandate::decode(&bytes) {
            prop_assert_eq!(read.encode().unwrap(), bytes);
        }
    }
}
