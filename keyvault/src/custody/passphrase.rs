//! Passphrases of custodians: one form however they were typed, and whether one is worth anything.
//!
//! A passphrase is UTF-8 text in NFKC (UAX #15) without space at its ends, so that a file of another editor and another
//! keyboard give the same bytes. Length follows NIST SP 800-63B-4, section 3.1.1.2 (15 characters where nothing else
//! protects). Left out: lists of known passphrases.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use crate::error::Error;

/// Fewest characters; one of the Chinese script counts for two.
const MIN_LENGTH: usize = 15;
/// Fewest different characters.
const MIN_DIFFERENT: usize = 8;
/// The byte-order mark in UTF-8, which some editors put before a text.
const MARK: &[u8] = b"\xEF\xBB\xBF";

const NOT_TEXT: Error = Error::BadCeremony {
    what: "a passphrase is not UTF-8 text on one line: save its file as UTF-8, without control or invisible characters",
};
const WEAK: Error = Error::BadCeremony {
    what: "a passphrase is too easy to guess: it has at least 15 characters (a Chinese one counts for two), 8 of them different, and no rows such as aaaa or 1234 to fill it up",
};

/// The bytes that protect an envelope.
///
/// # Errors
/// [`Error::BadCeremony`] for what is no text, or has characters that nobody sees.
pub(crate) fn normal(typed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let typed = typed.strip_prefix(MARK).unwrap_or(typed);
    let typed = std::str::from_utf8(typed).map_err(|_| NOT_TEXT)?;
    // As large as NFKC makes a text at most, so that nothing is copied while it grows.
    let mut text = Zeroizing::new(String::with_capacity(typed.len() * 18));
    text.extend(typed.nfkc());
    if text.chars().any(is_unseen) {
        return Err(NOT_TEXT);
    }
    Ok(Zeroizing::new(text.trim().as_bytes().to_vec()))
}

/// What may open an envelope, in the order in which it is tried: the normal form; and for envelopes of earlier releases, which
/// took the bytes as they came, these bytes, with and without a mark.
pub(crate) fn candidates(typed: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let without = typed.strip_prefix(MARK).unwrap_or(typed);
    let as_it_came = [
        Zeroizing::new(without.to_vec()),
        Zeroizing::new([MARK, without].concat()),
    ];
    let mut candidates: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    for candidate in normal(typed).into_iter().chain(as_it_came) {
        if !candidates.contains(&candidate) {
            candidates.push(candidate);
        }
    }
    candidates
}

/// Refuses a passphrase that a program guesses.
///
/// # Errors
/// [`Error::BadCeremony`], as [`normal`] too.
pub(crate) fn judge(typed: &[u8]) -> Result<(), Error> {
    let normal = normal(typed)?;
    let text = std::str::from_utf8(&normal).map_err(|_| NOT_TEXT)?;
    let (mut length, mut before, mut step) = (0, None, None);
    for character in text.chars() {
        let place = i64::from(u32::from(character));
        let next = before.map(|before| place - before);
        // A row: the third of aaa, abc or 321 adds nothing.
        let in_a_row = next == step && matches!(next, Some(-1..=1));
        if !in_a_row {
            length += if is_han(character) { 2 } else { 1 };
        }
        (before, step) = (Some(place), next);
    }
    let different = text.chars().collect::<BTreeSet<char>>().len();
    let han = text.chars().filter(|character| is_han(*character)).count();
    // Eight Chinese characters are long enough, so fewer different ones are not asked of them.
    let enough = if han * 2 >= MIN_LENGTH {
        MIN_DIFFERENT - 1
    } else {
        MIN_DIFFERENT
    };
    if length < MIN_LENGTH || different < enough {
        return Err(WEAK);
    }
    Ok(())
}

fn is_han(character: char) -> bool {
    matches!(character, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// Control characters, and those that a screen shows as nothing.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{AD}' | '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_passphrase_has_one_form_however_it_was_typed() {
        let wanted = normal("café au lait, 木棉花开".as_bytes()).unwrap();
        for typed in [
            // A byte-order mark; a decomposed accent; full width letters and comma; space at the ends; both.
            "\u{FEFF}café au lait, 木棉花开",
            "cafe\u{301} au lait, 木棉花开",
            "ｃａｆé au lait， 木棉花开",
            "  café au\u{A0}lait,\u{3000}木棉花开 \t",
            "\u{FEFF}cafe\u{301} au lait, 木棉花开 ",
        ] {
            let normal = normal(typed.trim_end_matches('\t').as_bytes()).unwrap();
            assert_eq!(normal, wanted, "{typed:?}");
        }
    }

    #[test]
    fn what_is_no_text_or_is_not_seen_is_no_passphrase() {
        let utf16: Vec<u8> = "木棉花开了又谢了"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let marked = [&b"\xFF\xFE"[..], &utf16].concat();
        // GB 18030 of the same beginning; a tab; a zero-width space; a filler.
        for wrong in [
            &utf16[..],
            &marked,
            b"\xC4\xBE\xC3\xDE\xBB\xA8\xBF\xAA",
            b"tab\tin the middle of it",
            "zero\u{200B}width in the middle".as_bytes(),
            "a filler \u{3164} in the middle".as_bytes(),
        ] {
            assert_eq!(normal(wrong), Err(NOT_TEXT), "{wrong:?}");
        }
    }

    #[test]
    fn strength_is_judged_by_what_must_be_guessed_and_not_by_bytes() {
        for weak in [
            "",
            "密码一",
            "一证通密码本",
            "一二三四五六七",
            "aaaaaaaaaaaaaaaaaaaa",
            "abcdefghijklmnopqrst",
            "12345678901234567890",
            "abababababababababab",
            "correct horse",
            "木木木木木木木木木木",
        ] {
            assert_eq!(judge(weak.as_bytes()), Err(WEAK), "{weak}");
        }
        for good in [
            "correct horse battery",
            "passphrase of li",
            "木棉花开了又谢了",
            "春江潮水连海平，海上明月共潮生",
            "k7Qp2-x9Wd4-m3Zr8",
        ] {
            assert_eq!(judge(good.as_bytes()), Ok(()), "{good}");
        }
    }

    #[test]
    fn an_envelope_of_earlier_bytes_is_tried_with_them_too() {
        let plain = candidates(b"correct horse");
        assert_eq!(plain.len(), 2);
        assert_eq!(*plain[0], b"correct horse");
        assert_eq!(*plain[1], b"\xEF\xBB\xBFcorrect horse");
        let decomposed = candidates("cafe\u{301}".as_bytes());
        assert_eq!(*decomposed[0], "café".as_bytes());
        assert_eq!(*decomposed[1], "cafe\u{301}".as_bytes());
        assert_eq!(*candidates(b"\xFFraw")[0], b"\xFFraw");
    }
}
