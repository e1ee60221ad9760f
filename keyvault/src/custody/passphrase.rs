//! Passphrases of custodians and officers: one form however they were typed, and whether one is worth anything.
//!
//! A passphrase is UTF-8 text in NFKC (UAX #15) without space at its ends, so that a file of another editor and another
//! keyboard give the same bytes. What it is worth is estimated in [`strength`].

use program_contract::Founded;
use program_contract::unseen::is_unseen;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use crate::custody::strength;
use crate::error::Error;

/// The byte-order mark in UTF-8, which some editors put before a text.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// The bytes that protect an envelope.
///
/// # Errors
/// [`Error::PassphraseForm`] for what is no text, or has characters that nobody sees.
pub(crate) fn normal(typed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let typed = typed.strip_prefix(MARK).unwrap_or(typed);
    let typed = std::str::from_utf8(typed).map_err(|_| Error::PassphraseForm)?;
    // As large as NFKC makes a text at most, so that nothing is copied while it grows.
    let mut text = Zeroizing::new(String::with_capacity(typed.len() * 18));
    text.extend(typed.nfkc());
    if text.chars().any(is_unseen) {
        return Err(Error::PassphraseForm);
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

/// Refuses a passphrase of `custodian` that a program guesses. A rehearsal protects nothing and takes any.
///
/// # Errors
/// [`Error::WeakPassphrase`], as [`normal`] too.
pub(crate) fn judge(typed: &[u8], custodian: &str, founded: Founded) -> Result<(), Error> {
    let bits = worth(typed, custodian)?;
    if bits >= strength::ENOUGH || founded.is_rehearsal() {
        return Ok(());
    }
    Err(Error::WeakPassphrase {
        custodian: custodian.to_owned(),
        bits,
        needed: strength::ENOUGH,
    })
}

/// Refuses a new passphrase that is the old one, however they were typed.
///
/// # Errors
/// [`Error::SamePassphrase`], as [`normal`] too.
pub(crate) fn differs(old: &[u8], new: &[u8]) -> Result<(), Error> {
    if normal(new)? == normal(old).unwrap_or_default() {
        return Err(Error::SamePassphrase);
    }
    Ok(())
}

/// What the passphrase of `custodian` is worth, in bits.
///
/// # Errors
/// As [`normal`].
pub(crate) fn worth(typed: &[u8], custodian: &str) -> Result<u32, Error> {
    let normal = normal(typed)?;
    let text = std::str::from_utf8(&normal).map_err(|_| Error::PassphraseForm)?;
    Ok(strength::bits(text, &[custodian]))
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
            assert_eq!(normal(wrong), Err(Error::PassphraseForm), "{wrong:?}");
        }
    }

    #[test]
    fn strength_is_judged_by_what_must_be_guessed_and_not_by_bytes_and_not_in_a_rehearsal() {
        for weak in ["密码一", "11111111", "passphrase of li", "李小明李小明20261130"] {
            for custodian in ["li", "李小明"] {
                let judged = judge(weak.as_bytes(), custodian, Founded::Real);
                assert!(matches!(judged, Err(Error::WeakPassphrase { .. })), "{weak}");
                assert_eq!(judge(weak.as_bytes(), custodian, Founded::Rehearsal), Ok(()));
            }
        }
        let good = "渡船 石英 苔藓 灯笼 木棉".as_bytes();
        assert_eq!(judge(good, "li", Founded::Real), Ok(()));
        assert_eq!(
            judge(b"\xFF", "li", Founded::Rehearsal),
            Err(Error::PassphraseForm)
        );
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
