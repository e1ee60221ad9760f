//! The QR code of the card's back: a signed card number, so that a finder or a counter can tell a forged number
//! from an issued one without asking anybody, and nothing about the holder.
//!
//! Text and signature: card specification, chapter 15. Left out: the check of the signature, and any address to open, so
//! that a scan tells nobody that it happened.

use fast_qr::{ECL, QRBuilder, QRCode};
use jiff::civil::Date;

use crate::error::ArtworkError;

/// Prefix with the format's version.
pub const PREFIX: &str = "YZT1";

/// Longest card number, signs (chapter 15).
const MAX_NUMBER: usize = 32;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Light modules around the code that the standard demands.
const QUIET: usize = 4;

/// What the QR code says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Card number.
    pub card_number: String,
    /// Issuing division, GB/T 2260, 6 digits.
    pub division: String,
    /// Date of issue.
    pub issued_on: Date,
    /// Signature over the three, r || s.
    pub signature: [u8; 64],
}

/// The text of the QR code.
#[must_use]
pub fn payload(statement: &Statement) -> String {
    let Statement {
        card_number,
        division,
        issued_on,
        signature,
    } = statement;
    format!(
        "{PREFIX}:{card_number}:{division}:{}:{}",
        issued_on.strftime("%Y%m%d"),
        base32(signature)
    )
}

/// Takes a payload apart. `None` if it is not one of ours; the signature is not checked here.
#[must_use]
pub fn parse(payload: &str) -> Option<Statement> {
    let [PREFIX, card_number, division, issued_on, signature] = payload.split(':').collect::<Vec<_>>()[..]
    else {
        return None;
    };
    let is_number = (1..=MAX_NUMBER).contains(&card_number.len())
        && card_number
            .bytes()
            .all(|sign| sign.is_ascii_uppercase() || sign.is_ascii_digit() || sign == b'-');
    let has_digits =
        |text: &str, count| text.len() == count && text.bytes().all(|sign| sign.is_ascii_digit());
    if !is_number || !has_digits(division, 6) || !has_digits(issued_on, 8) {
        return None;
    }
    let statement = Statement {
        card_number: card_number.to_owned(),
        division: division.to_owned(),
        issued_on: Date::strptime("%Y%m%d", issued_on).ok()?,
        signature: unbase32(signature)?,
    };
    (self::payload(&statement) == payload).then_some(statement)
}

fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut buffer, mut bits) = (0u32, 0u32);
    for &byte in bytes {
        buffer = (buffer << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(BASE32[((buffer >> bits) & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(BASE32[((buffer << (5 - bits)) & 31) as usize]));
    }
    text
}

fn unbase32(text: &str) -> Option<[u8; 64]> {
    let mut bytes = Vec::with_capacity(64);
    let (mut buffer, mut bits) = (0u32, 0u32);
    for letter in text.bytes() {
        let value = BASE32.iter().position(|&candidate| candidate == letter)?;
        buffer = (buffer << 5) | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((buffer >> bits) & 255).ok()?);
        }
        buffer &= (1 << bits) - 1;
    }
    // One spelling for one signature: the left-over bits are zero.
    if buffer != 0 {
        return None;
    }
    bytes.try_into().ok()
}

/// A code as a picture of its own, for a page: one unit for a module, quiet zone included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width and height, units.
    pub side: usize,
    /// The dark modules, as an SVG path.
    pub path: String,
}

/// The code of any text.
///
/// # Errors
/// [`ArtworkError::QrTooLong`] for more than a code holds.
pub fn picture(text: &str) -> Result<Picture, ArtworkError> {
    let code = code_of(text)?;
    Ok(Picture {
        side: code.size + 2 * QUIET,
        path: dark(&code, (0.0, 0.0), QUIET, 1),
    })
}

fn code_of(text: &str) -> Result<QRCode, ArtworkError> {
    QRBuilder::new(text)
        .ecl(ECL::M)
        .build()
        .map_err(|_| ArtworkError::QrTooLong)
}

/// The dark modules as one SVG path inside the square at (`x`, `y`) of side `side` px, quiet zone included.
///
/// A module is a whole number of px, or a printer blurs its edges; what is left over goes to the quiet zone.
pub(crate) fn path(payload: &str, x: f32, y: f32, side: f32) -> Result<String, ArtworkError> {
    let code = code_of(payload)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an area is a few hundred px"
    )]
    let room = side as usize;
    let module = room / (code.size + 2 * QUIET);
    // 3 px are 0.25 mm, the least that ISO/IEC 15415 grades well from a card printer.
    if module < 3 {
        return Err(ArtworkError::QrTooLong);
    }
    let inset = (room - module * code.size) / 2;
    Ok(dark(&code, (x, y), inset, module))
}

/// Runs of dark modules as rectangles, `inset` behind (`x`, `y`).
fn dark(code: &QRCode, (x, y): (f32, f32), inset: usize, module: usize) -> String {
    use std::fmt::Write as _;

    let mut path = String::new();
    for row in 0..code.size {
        let mut column = 0;
        while column < code.size {
            let start = column;
            while column < code.size && code[row][column].value() {
                column += 1;
            }
            if column > start {
                #[expect(clippy::cast_precision_loss, reason = "below 1011")]
                let (left, top) = (
                    x + (inset + start * module) as f32,
                    y + (inset + row * module) as f32,
                );
                let width = (column - start) * module;
                let _ = write!(path, "M{left} {top}h{width}v{module}h-{width}z");
            }
            column += 1;
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_reads_back_and_no_other_spelling_does() {
        let mut signature = [0u8; 64];
        for (place, byte) in signature.iter_mut().enumerate() {
            *byte = u8::try_from(place * 37 % 256).unwrap();
        }
        let statement = Statement {
            card_number: "44030026000001".into(),
            division: "440305".into(),
            issued_on: jiff::civil::date(2026, 11, 21),
            signature,
        };
        let text = payload(&statement);
        assert!(text.starts_with("YZT1:44030026000001:440305:20261121:"));
        assert_eq!(parse(&text), Some(statement));
        assert!(
            text.bytes()
                .all(|letter| b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:".contains(&letter))
        );
        assert_eq!(parse(&text.to_lowercase()), None);
        let with = |from: &str, to: &str| parse(&text.replacen(from, to, 1));
        assert_eq!(with(":44030026000001:", "::"), None);
        assert_eq!(with("44030026000001", "4403002600000a"), None);
        assert_eq!(with("44030026000001", &"4".repeat(33)), None);
        assert_eq!(with(":440305:", ":44030:"), None);
        assert_eq!(with("20261121", "20261131"), None);
        assert_eq!(with("20261121", "2026-1-1"), None);
        assert_eq!(parse(&text[..text.len() - 1]), None);
        let mut other = text.into_bytes();
        *other.last_mut().unwrap() += 1;
        assert_eq!(parse(std::str::from_utf8(&other).unwrap()), None);
    }

    #[test]
    fn base_32_is_that_of_rfc_4648() {
        for (plain, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(plain.as_bytes()), text);
        }
    }
}
