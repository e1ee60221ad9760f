//! The one thing that is read from Exif: the orientation, tag 0x0112 of image file directory 0 (CIPA DC-008, section 4.6.4).
//!
//! Everything else in Exif (place, time, camera, previews) is dropped unread.

use crate::raster::Orientation;

/// The orientation in a TIFF structure (with or without the leading `Exif\0\0`); upright where there is none or the
/// structure is damaged: metadata never refuses a photo.
#[must_use]
pub(crate) fn orientation(exif: &[u8]) -> Orientation {
    find(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif)).map_or(Orientation::Upright, Orientation::from_exif)
}

fn find(tiff: &[u8]) -> Option<u16> {
    let big_endian = match tiff.get(..4)? {
        b"MM\0*" => true,
        b"II*\0" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    };
    let long = |at: usize| {
        let bytes = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    };
    let directory = usize::try_from(long(4)?).ok()?;
    let entries = usize::from(short(directory)?);
    (0..entries).find_map(|entry| {
        let at = directory.checked_add(2 + entry * 12)?;
        // Tag 0x0112, type 3 (SHORT), count 1: the value stands in the entry itself.
        (short(at)? == 0x0112 && short(at + 2)? == 3)
            .then(|| short(at + 8))
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tiff(value: u8, big_endian: bool) -> Vec<u8> {
        if big_endian {
            [
                b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(),
                &[value],
                b"\0\0\0\0\0\0",
            ]
            .concat()
        } else {
            [
                b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".as_slice(),
                &[value],
                b"\0\0\0\0\0\0\0",
            ]
            .concat()
        }
    }

    #[test]
    fn the_orientation_is_read_in_both_byte_orders() {
        for big_endian in [true, false] {
            assert_eq!(orientation(&tiff(6, big_endian)), Orientation::Clockwise);
            assert_eq!(
                orientation(&[b"Exif\0\0".as_slice(), &tiff(3, big_endian)].concat()),
                Orientation::HalfTurn
            );
        }
        assert_eq!(orientation(&tiff(9, true)), Orientation::Upright);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            head in prop_oneof![Just(b"MM\0*".to_vec()), Just(b"II*\0".to_vec()), Just(vec![])],
            tail in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let _ = orientation(&[head, tail].concat());
        }
    }
}
