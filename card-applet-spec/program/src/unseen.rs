//! Characters that a screen does not show, or that change what it shows beside them: control characters, those of zero width, fillers,
//! other line ends, and the bidirectional controls of UAX #9.
//!
//! A name with one looks like another name, or forges what stands around it. So names are taken without them, and what is
//! printed shows them escaped. Left out: letters of two scripts that look alike.

use std::borrow::Cow;

/// Whether a character is not shown as itself.
#[must_use]
pub fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Whether a text has 1 to `max` bytes, and nothing unseen.
#[must_use]
pub fn is_text(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && !text.contains(is_unseen)
}

/// Whether a text is a name: 1 to `max` bytes, nothing unseen, no blank at its ends, no two together and none but U+0020, no comma
/// (which stands between the names of a list), and no quotation marks (between which a name stands in a sentence).
#[must_use]
pub fn is_name(text: &str, max: usize) -> bool {
    let is_foreign = |character: char| {
        (character.is_whitespace() && character != ' ')
            || matches!(character, ',' | '，' | '、' | '"' | '“' | '”')
    };
    is_text(text, max) && text.trim() == text && !text.contains("  ") && !text.contains(is_foreign)
}

/// A text for a line of a screen: what is unseen stands escaped.
pub(crate) fn in_a_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_unseen)
}

/// A text for a screen, of one line or several.
#[must_use]
pub fn in_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| is_unseen(character) && character != '\n')
}

fn escaped(text: &str, which: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&which) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if which(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_it_looks_like_and_one_alone() {
        let long = "x".repeat(64);
        for name in [
            "chen",
            "陈·伟",
            "bus 42",
            "counter 1 (north)",
            "O'Neil-Łoś",
            &long,
        ] {
            assert!(is_name(name, 64), "{name}");
        }
        for wrong in [
            "",
            " chen",
            "chen ",
            "chen  wu",
            "chen\u{A0}wu",
            "chen\u{3000}wu",
            "chen, wu",
            "chen\u{200B}",
            "ch\u{AD}en",
            "\u{202E}nehc",
            "chen\u{2066}",
            "chen\u{61C}",
            "chen\nwu",
            "chen\u{2028}wu",
            "chen\u{1B}[2K",
            "chen\u{9B}2K",
            "chen\u{FE0F}",
            "chen\u{E0041}",
            "chen” (auditor): “wu",
            &"x".repeat(65),
        ] {
            assert!(!is_name(wrong, 64), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_printed_does_nothing_to_the_screen() {
        let text = "a\u{1B}[2Kb\u{202E}c\u{200B}\nd";
        assert_eq!(in_lines(text), "a\\u{1b}[2Kb\\u{202e}c\\u{200b}\nd");
        assert_eq!(in_a_line(text), "a\\u{1b}[2Kb\\u{202e}c\\u{200b}\\nd");
        assert!(matches!(in_lines("陈伟\nbus"), Cow::Borrowed(_)));
    }
}
