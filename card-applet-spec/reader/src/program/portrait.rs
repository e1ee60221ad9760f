//! A portrait in a terminal window: the graphics protocol of kitty, or sixel (DEC VT340). Where the window has neither,
//! nothing is drawn.
//!
//! Left out: JPEG 2000 (the file can still be written), and asking the window what it can do: its answer would come
//! back as typed keys.

use std::fmt::Write as _;

use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat};

use crate::program::args::Picture;

/// Height of a shown portrait, dots.
const HEIGHT: u32 = 240;

/// What a window can draw, by what it says of itself in the environment.
pub(crate) fn choose(wanted: Picture, variable: impl Fn(&str) -> Option<String>) -> Picture {
    if wanted != Picture::Auto {
        return wanted;
    }
    let has = |name: &str, part: &str| variable(name).is_some_and(|value| value.contains(part));
    if variable("KITTY_WINDOW_ID").is_some()
        || has("TERM", "kitty")
        || has("TERM", "ghostty")
        || has("TERM_PROGRAM", "WezTerm")
        || has("TERM_PROGRAM", "ghostty")
    {
        Picture::Kitty
    } else if has("TERM", "sixel") || has("TERM", "foot") || has("TERM", "mlterm") {
        Picture::Sixel
    } else {
        Picture::None
    }
}

/// The text that draws a JPEG; `None` for what is no JPEG, or nothing to be drawn.
pub(crate) fn draw(jpeg: &[u8], how: Picture) -> Option<String> {
    if matches!(how, Picture::None | Picture::Auto) {
        return None;
    }
    let picture = image::load_from_memory_with_format(jpeg, ImageFormat::Jpeg).ok()?;
    let picture = picture.resize(HEIGHT, HEIGHT, FilterType::Triangle);
    Some(match how {
        Picture::Sixel => sixel(&picture),
        _ => kitty(&picture),
    })
}

/// Raw RGB, base64, in pieces of 4096 characters.
fn kitty(picture: &DynamicImage) -> String {
    let rgb = picture.to_rgb8();
    let text = base64(rgb.as_raw());
    let mut out = String::new();
    let mut pieces = text.as_bytes().chunks(4096).peekable();
    let mut head = format!("a=T,f=24,s={},v={},", rgb.width(), rgb.height());
    while let Some(piece) = pieces.next() {
        let more = u8::from(pieces.peek().is_some());
        // Base64 is ASCII.
        let piece = String::from_utf8_lossy(piece);
        let _ = write!(out, "\x1b_G{head}m={more};{piece}\x1b\\");
        head.clear();
    }
    out.push('\n');
    out
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| char::from(DIGITS.get((bits & 63) as usize).copied().unwrap_or(b'='));
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            if place <= chunk.len() {
                out.push(digit(bits >> (18 - 6 * place)));
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// Six rows at a time, in the 216 colours of a cube of six steps.
fn sixel(picture: &DynamicImage) -> String {
    let rgb = picture.to_rgb8();
    let (width, height) = (rgb.width(), rgb.height());
    // 0 to 5, and back to per cent.
    let step = |value: u8| {
        u32::from(value)
            .saturating_mul(5)
            .saturating_add(127)
            .div_euclid(255)
    };
    let mut out = format!("\x1bPq\"1;1;{width};{height}");
    for colour in 0..216_u32 {
        let (r, g, b) = (
            colour.div_euclid(36),
            colour.div_euclid(6).rem_euclid(6),
            colour.rem_euclid(6),
        );
        let _ = write!(out, "#{colour};2;{};{};{}", r * 20, g * 20, b * 20);
    }
    for top in (0..height).step_by(6) {
        // Every colour of this band, and its six-bit column at each place.
        let mut band: std::collections::BTreeMap<u32, Vec<u8>> = std::collections::BTreeMap::new();
        for x in 0..width {
            for row in 0..6.min(height - top) {
                let [r, g, b] = rgb.get_pixel(x, top + row).0;
                let colour = step(r) * 36 + step(g) * 6 + step(b);
                let columns = band.entry(colour).or_insert_with(|| vec![0; width as usize]);
                if let Some(column) = columns.get_mut(x as usize) {
                    *column |= 1 << row;
                }
            }
        }
        for (colour, columns) in band {
            let _ = write!(out, "#{colour}");
            out.extend(columns.iter().map(|column| char::from(0x3F + column)));
            out.push('$');
        }
        out.push('-');
    }
    out.push_str("\x1b\\\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jpeg() -> Vec<u8> {
        let picture = DynamicImage::ImageRgb8(image::RgbImage::from_fn(90, 120, |x, y| {
            image::Rgb([u8::try_from(x * 2).unwrap(), u8::try_from(y * 2).unwrap(), 60])
        }));
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (text, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }

    #[test]
    fn a_portrait_is_drawn_by_the_protocol_that_the_window_has() {
        let jpeg = jpeg();
        let kitty = draw(&jpeg, Picture::Kitty).unwrap();
        assert!(kitty.starts_with("\x1b_Ga=T,f=24,s=180,v=240,m=1;") && kitty.trim_end().ends_with("\x1b\\"));
        assert_eq!(kitty.matches("m=0;").count(), 1);
        let sixel = draw(&jpeg, Picture::Sixel).unwrap();
        assert!(sixel.starts_with("\x1bPq\"1;1;180;240#0;2;0;0;0"));
        assert_eq!(sixel.matches('-').count(), 240 / 6);
        assert!(draw(&jpeg, Picture::None).is_none());
        assert!(draw(b"no picture", Picture::Sixel).is_none());
    }

    #[test]
    fn a_window_that_says_nothing_of_itself_gets_no_picture() {
        let with = |name: &'static str, value: &'static str| {
            move |asked: &str| (asked == name).then(|| value.to_owned())
        };
        assert_eq!(
            choose(Picture::Auto, with("TERM", "xterm-256color")),
            Picture::None
        );
        assert_eq!(choose(Picture::Auto, with("TERM", "xterm-kitty")), Picture::Kitty);
        assert_eq!(choose(Picture::Auto, with("TERM", "foot")), Picture::Sixel);
        assert_eq!(choose(Picture::Sixel, |_| None), Picture::Sixel);
    }
}
