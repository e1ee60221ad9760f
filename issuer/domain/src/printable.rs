//! Which characters a text may hold that is typed for a card: what a reader of the card sees, and nothing else. One table of
//! middle dots, Unicode Normalization Form C (UAX #15), and no character that is hidden, blank or without a meaning of its own.
//!
//! A letter of Unicode need not be visible (U+3164 is one), so classes of letters decide nothing here. Left out: which
//! characters the fonts of a card draw, and whether a text fits (crate `issuer-artwork`, asked at intake).

use unicode_normalization::UnicodeNormalization as _;

use crate::error::Error;

/// The middle dot between the parts of a name (GB/T 28039).
pub(crate) const MIDDLE_DOT: char = '\u{B7}';

/// What input methods and older registers put in its place. It has no other use inside a name.
const LOOK_ALIKES: [char; 20] = [
    '\u{387}',   // Greek ano teleia
    '\u{119E}',  // Hangul jungseong araea
    '\u{1427}',  // Canadian syllabics final middle dot
    '\u{16EB}',  // runic single punctuation
    '\u{2022}',  // bullet
    '\u{2024}',  // one dot leader
    '\u{2027}',  // hyphenation point
    '\u{2219}',  // bullet operator
    '\u{22C5}',  // dot operator
    '\u{25CF}',  // black circle
    '\u{2981}',  // Z notation spot
    '\u{2B24}',  // black large circle
    '\u{2E31}',  // word separator middle dot
    '\u{2E33}',  // raised dot
    '\u{30FB}',  // katakana middle dot
    '\u{318D}',  // Hangul letter araea
    '\u{A78F}',  // Latin letter sinological dot
    '\u{FE52}',  // small full stop
    '\u{FF65}',  // halfwidth katakana middle dot
    '\u{10101}', // Aegean word separator dot
];

/// `Default_Ignorable_Code_Point` of Unicode 16 (zero width, bidi controls, fillers, variation selectors, tags), and the
/// characters that are drawn as a blank though they are neither that nor white space.
const HIDDEN: [(char, char); 24] = [
    ('\u{AD}', '\u{AD}'),
    ('\u{34F}', '\u{34F}'),
    ('\u{61C}', '\u{61C}'),
    ('\u{115F}', '\u{1160}'),
    ('\u{17B4}', '\u{17B5}'),
    ('\u{180B}', '\u{180F}'),
    ('\u{200B}', '\u{200F}'),
    ('\u{202A}', '\u{202E}'),
    ('\u{2060}', '\u{206F}'),
    // Braille pattern blank.
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{FE00}', '\u{FE0F}'),
    ('\u{FEFF}', '\u{FEFF}'),
    ('\u{FFA0}', '\u{FFA0}'),
    // Interlinear annotation and the object replacement, which no font draws as a text.
    ('\u{FFF0}', '\u{FFFC}'),
    // Egyptian hieroglyph full and half blank, Khitan filler.
    ('\u{13441}', '\u{13442}'),
    ('\u{16FE4}', '\u{16FE4}'),
    ('\u{1BCA0}', '\u{1BCA3}'),
    // Musical null notehead, and the beams and slurs that only shape others.
    ('\u{1D159}', '\u{1D159}'),
    ('\u{1D173}', '\u{1D17A}'),
    // Language tags and variation selectors.
    ('\u{E0000}', '\u{E0FFF}'),
    // The replacement character stands for what was lost on the way here.
    ('\u{FFFD}', '\u{FFFD}'),
    ('\u{FDD0}', '\u{FDEF}'),
    ('\u{FFFE}', '\u{FFFF}'),
];

/// The three areas of private use.
const PRIVATE: [(char, char); 3] = [
    ('\u{E000}', '\u{F8FF}'),
    ('\u{F0000}', '\u{FFFFD}'),
    ('\u{100000}', '\u{10FFFD}'),
];

/// The one form of a text: Normalization Form C.
pub(crate) fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// The one form of a name: Normalization Form C, with the middle dot in place of its look-alikes.
pub(crate) fn composed_name(text: &str) -> String {
    text.chars()
        .map(|c| if LOOK_ALIKES.contains(&c) { MIDDLE_DOT } else { c })
        .nfc()
        .collect()
}

/// Refuses a text with a character that nobody sees on a card, or that means something on one machine alone.
///
/// # Errors
/// [`Error::HiddenCharacter`], [`Error::PrivateCharacter`]: the first such character, and its place, counted from 1.
pub(crate) fn check(text: &str) -> Result<(), Error> {
    let within = |ranges: &[(char, char)], c| ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
    for (before, character) in text.chars().enumerate() {
        let place = before + 1;
        if within(&PRIVATE, character) {
            return Err(Error::PrivateCharacter { character, place });
        }
        let is_blank = character.is_whitespace() && character != ' ';
        // The last two code points of every plane are no characters.
        let is_none = u32::from(character) & 0xFFFE == 0xFFFE;
        if character.is_control() || is_blank || is_none || within(&HIDDEN, character) {
            return Err(Error::HiddenCharacter { character, place });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_nobody_sees_is_found_with_its_place_and_what_somebody_sees_is_not() {
        for hidden in [
            '\u{A0}',
            '\u{3000}',
            '\u{2003}',
            '\u{85}',
            '\t',
            '\u{0}',
            '\u{AD}',
            '\u{200B}',
            '\u{200D}',
            '\u{202E}',
            '\u{2066}',
            '\u{2069}',
            '\u{61C}',
            '\u{FEFF}',
            '\u{115F}',
            '\u{1160}',
            '\u{3164}',
            '\u{FFA0}',
            '\u{FE0F}',
            '\u{E0101}',
            '\u{E0041}',
            '\u{2800}',
            '\u{180E}',
            '\u{13441}',
            '\u{FFFD}',
            '\u{FFFF}',
            '\u{3FFFE}',
        ] {
            assert_eq!(
                check(&format!("科苑{hidden}路")),
                Err(Error::HiddenCharacter {
                    character: hidden,
                    place: 3
                })
            );
        }
        for private in ['\u{E863}', '\u{F8FF}', '\u{F0001}', '\u{10FFFD}'] {
            assert!(matches!(
                check(&private.to_string()),
                Err(Error::PrivateCharacter { place: 1, .. })
            ));
        }
        for seen in [
            "科苑路8号3栋1204",
            "𠮷田",
            "阿卜杜·外力",
            "José López",
            "한글",
            "ཀི",
            "Anna-Maria O’Neil",
            "㐂",
        ] {
            assert_eq!(check(seen), Ok(()), "{seen}");
        }
    }

    #[test]
    fn every_look_alike_of_the_middle_dot_becomes_it_and_a_text_has_one_form() {
        for dot in LOOK_ALIKES {
            assert_eq!(
                composed_name(&format!("买买提{dot}艾力")),
                "买买提·艾力",
                "{:04X}",
                u32::from(dot)
            );
        }
        assert_eq!(composed_name("Jose\u{301} Lo\u{301}pez"), "José López");
        assert_eq!(composed("\u{1112}\u{1161}\u{11AB}"), "한");
        // A compatibility ideograph is the unified one in this form: on the chip, on the face and in a search.
        assert_eq!(composed("\u{F90A}"), "金");
    }

    proptest! {
        #[test]
        fn the_one_form_of_a_text_is_its_own_form(text in "\\PC*") {
            let once = composed_name(&text);
            prop_assert_eq!(composed_name(&once), once.clone());
            prop_assert_eq!(composed(&once), once);
        }
    }
}
