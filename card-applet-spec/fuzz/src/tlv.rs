//! Target `tlv`: what is read is inside the input, minimal, and the same when it is written again (chapter 01).

use card_applet_spec::bytes::SliceWriter;
use card_applet_spec::tlv::{Fields, Tlv, parse, parse_only, put};

/// Deepest nesting that is followed; real templates have four levels.
const DEEPEST: usize = 8;
const KNOWN: &[u16] = &[0x80, 0x81, 0x82, 0x84, 0x9E, 0xA6, 0x5F37, 0x7F21, 0x7F4E, 0x7F50];

/// Reads the input as objects, inside templates too.
pub fn tlv(input: &[u8]) {
    walk(input, 0);
    // A template's reader never gives an object twice, and never one that it does not know.
    let mut fields = Fields::new(input, KNOWN, "fuzz");
    let mut seen = 0_usize;
    for tag in KNOWN {
        while let Ok(Some(object)) = fields.optional(*tag) {
            assert_eq!(object.tag, *tag);
            seen = seen.saturating_add(object.raw.len());
        }
    }
    assert!(seen <= input.len());
    let _ = fields.end();
}

fn walk(bytes: &[u8], depth: usize) {
    let mut rest = bytes;
    while let Ok((object, behind)) = parse(rest) {
        assert!(
            behind.len() < rest.len(),
            "an object has at least a tag and a length"
        );
        assert_eq!(object.raw.len() + behind.len(), rest.len());
        assert_eq!(&rest[..object.raw.len()], object.raw);
        again(&object);
        // Bit 6 of the first byte says template.
        if object.raw.first().is_some_and(|first| first & 0x20 != 0) && depth < DEEPEST {
            walk(object.value, depth + 1);
        }
        rest = behind;
    }
}

/// Minimal lengths have one form: what was read is what would have been written.
fn again(object: &Tlv<'_>) {
    let mut room = vec![0; object.raw.len()];
    let mut out = SliceWriter::new(&mut room);
    put(&mut out, object.tag, object.value).expect("it came from so many bytes");
    assert_eq!(out.len(), object.raw.len());
    assert_eq!(room, object.raw);
    assert_eq!(parse_only(object.raw).expect("alone too").value, object.value);
}
