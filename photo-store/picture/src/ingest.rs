//! From bytes of a stranger to pixels: limits before decoding, then JPEG (ITU-T T.81) or PNG (third edition) by decoders
//! without C.
//!
//! The file's structure is walked first: what it claims, whether it is whole, whether it holds one picture and what
//! stands behind it. Only a file that passed is decoded. Alpha is laid onto white, 16 bits become 8, grey and CMYK
//! become RGB. Left out: every other format, Exif but for the orientation, and pictures behind the first one (phones
//! put previews and depth maps there, declared by a multi-picture index; they are dropped).

use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};
use photo_store_protocol::{CheckCode, MAX_PHOTO_BYTES};
use zeroize::Zeroizing;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

use crate::exif;
use crate::raster::{Orientation, Raster};

/// The most pixels that a file may claim (25 megapixels): 75 MB once decoded.
pub(crate) const MAX_PIXELS: u64 = 25_000_000;
/// Memory for what a PNG carries beside its pixels, in bytes; a colour profile has some hundred thousand at most.
const PNG_SIDE_BYTES: usize = 128 * 1024 * 1024;

/// A decoded picture, turned as its Exif asks.
#[derive(Debug)]
pub struct Decoded {
    /// The pixels, in the file's own colour space.
    pub raster: Raster,
    /// How the file's samples become sRGB, where it brought a profile that says so.
    pub colour: Option<Colour>,
    /// Bytes behind the picture that nothing declares; they were dropped.
    pub(crate) extra_bytes: usize,
}

/// Why a file is no photo, with what was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rejected {
    /// The check that did not pass.
    pub(crate) code: CheckCode,
    /// What the file claims; 0 where it does not get that far.
    pub(crate) width: u32,
    /// Likewise.
    pub(crate) height: u32,
}

/// A file's colour profile (ICC.1), kept to convert the small renditions instead of all pixels.
pub struct Colour {
    profile: ColorProfile,
    layout: Layout,
}

impl core::fmt::Debug for Colour {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Colour(..)")
    }
}

impl Colour {
    fn read(icc: &[u8]) -> Option<Self> {
        let profile = ColorProfile::new_from_slice(icc).ok()?;
        let layout = match profile.color_space {
            DataColorSpace::Rgb => Layout::Rgb,
            DataColorSpace::Gray => Layout::Gray,
            _ => return None,
        };
        Some(Self { profile, layout })
    }

    /// Converts a picture to sRGB. A profile that cannot be used leaves it as it is: colour never refuses a photo.
    pub(crate) fn to_srgb(&self, raster: &mut Raster) {
        let srgb = ColorProfile::new_srgb();
        let options = TransformOptions::default();
        let Ok(transform) = self
            .profile
            .create_transform_8bit(self.layout, &srgb, Layout::Rgb, options)
        else {
            return;
        };
        let source: Zeroizing<Vec<u8>> = Zeroizing::new(match self.layout {
            Layout::Gray => raster.pixels().map(|p| p[0]).collect(),
            _ => raster.rgb().to_vec(),
        });
        let mut target = Zeroizing::new(vec![0u8; raster.rgb().len()]);
        if transform.transform(&source, &mut target).is_ok() {
            raster.rgb_mut().copy_from_slice(&target);
        }
    }
}

/// Reads a photo file.
///
/// # Errors
/// The first check that the file does not pass, in the order: size, format, pixels, cut, animation, damage.
pub fn read(file: &[u8]) -> Result<Decoded, Rejected> {
    let rejected = |code| Rejected {
        code,
        width: 0,
        height: 0,
    };
    if file.len() > MAX_PHOTO_BYTES {
        return Err(rejected(CheckCode::FileSize));
    }
    if file.starts_with(&[0xff, 0xd8, 0xff]) {
        read_jpeg(file)
    } else if file.starts_with(PNG_SIGNATURE) {
        read_png(file)
    } else {
        Err(rejected(CheckCode::Format))
    }
}

/// What the walk over a file's structure found.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent findings of one walk, none a state of the other"
)]
struct Structure {
    width: u32,
    height: u32,
    /// One past the picture's last byte; `None` when the file ends before it.
    end: Option<usize>,
    animated: bool,
    /// The size is stated twice, or not where it must stand: the walk and a decoder could each believe another one.
    contradictory: bool,
    /// A multi-picture index (CIPA DC-007) declares what stands behind the picture.
    declares_more: bool,
    /// JPEG: number of components, and whether Adobe's marker is there.
    components: u8,
    adobe: bool,
    /// JPEG: several scans refine one picture (T.81, SOF2, SOF6, SOF10, SOF14).
    progressive: bool,
}

impl Structure {
    fn judge(&self) -> Result<usize, Rejected> {
        let rejected = |code| Rejected {
            code,
            width: self.width,
            height: self.height,
        };
        if self.contradictory && !self.animated {
            return Err(rejected(CheckCode::Damaged));
        }
        if u64::from(self.width) * u64::from(self.height) > MAX_PIXELS {
            return Err(rejected(CheckCode::Pixels));
        }
        if self.animated {
            return Err(rejected(CheckCode::Animated));
        }
        let end = self.end.ok_or(rejected(CheckCode::Truncated))?;
        if self.width == 0 || self.height == 0 {
            Err(rejected(CheckCode::Damaged))
        } else {
            Ok(end)
        }
    }

    fn rejected(&self, code: CheckCode) -> Rejected {
        Rejected {
            code,
            width: self.width,
            height: self.height,
        }
    }

    /// Bytes behind the picture that nothing declares; padding with zeros is no data.
    fn extra_bytes(&self, file: &[u8], end: usize) -> usize {
        let behind = file.get(end..).unwrap_or_default();
        if self.declares_more || behind.iter().all(|byte| *byte == 0) {
            0
        } else {
            behind.len()
        }
    }
}

// ---- JPEG ----

fn read_jpeg(file: &[u8]) -> Result<Decoded, Rejected> {
    let structure = walk_jpeg(file);
    let end = structure.judge()?;
    let damaged = structure.rejected(CheckCode::Damaged);
    // Without its end marker: the decoder takes that marker for a reason to fill up missing rows in silence, and takes
    // the end of the data inside a picture for what it is. The scans of a progressive picture end only there, and a
    // missing one shows as blur, not as missing rows.
    let picture = &file[..if structure.progressive { end } else { end - 2 }];

    let raw_cmyk = structure.components == 4 && !structure.adobe;
    let out = if raw_cmyk {
        ColorSpace::CMYK
    } else {
        ColorSpace::RGB
    };
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(structure.width as usize)
        .set_max_height(structure.height as usize)
        .jpeg_set_out_colorspace(out);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(picture), options);
    // What was judged is what is decoded: the decoder reads the same size from the file, or allocates nothing for it.
    decoder.decode_headers().map_err(|_| damaged)?;
    if decoder.dimensions() != Some((structure.width as usize, structure.height as usize)) {
        return Err(damaged);
    }
    let samples = Zeroizing::new(decoder.decode().map_err(|_| damaged)?);
    let rgb = if raw_cmyk {
        plain_cmyk_to_rgb(&samples)
    } else {
        samples.to_vec()
    };
    let raster = Raster::new(structure.width, structure.height, rgb).ok_or(damaged)?;
    let orientation = decoder
        .exif()
        .map_or(Orientation::Upright, |exif| exif::orientation(exif));
    Ok(Decoded {
        raster: raster.oriented(orientation),
        colour: decoder.icc_profile().as_deref().and_then(Colour::read),
        extra_bytes: structure.extra_bytes(file, end),
    })
}

/// Ink percentages without Adobe's marker are not inverted: paper white is 0.
fn plain_cmyk_to_rgb(samples: &[u8]) -> Vec<u8> {
    let light = |ink: u8, black: u8| {
        let product = u32::from(255 - ink) * u32::from(255 - black) + 127;
        u8::try_from(product / 255).unwrap_or(u8::MAX)
    };
    samples
        .chunks_exact(4)
        .flat_map(|p| [light(p[0], p[3]), light(p[1], p[3]), light(p[2], p[3])])
        .collect()
}

/// Walks the markers (T.81 annex B) without decoding anything.
fn walk_jpeg(file: &[u8]) -> Structure {
    let mut found = Structure::default();
    let (mut framed, mut scanned) = (false, false);
    let mut at = 2;
    while let Some(marker) = next_marker(file, &mut at) {
        match marker {
            0xd9 => {
                found.end = Some(at);
                return found;
            }
            0x01 | 0xd0..=0xd7 => continue,
            // A second start inside the picture: motion JPEG and the like.
            0xd8 => found.animated = true,
            _ => {}
        }
        let Some(length) = file
            .get(at..at + 2)
            .map(|b| usize::from(u16::from_be_bytes([b[0], b[1]])))
        else {
            return found;
        };
        let Some(body) = file.get(at + 2..at + length.max(2)) else {
            return found;
        };
        match marker {
            // Start of frame; C4, C8 and CC are tables and extensions. Once, before the first scan: the hierarchical
            // mode has several, and no camera writes it.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                if framed || scanned {
                    found.contradictory = true;
                } else if let [_, h1, h0, w1, w0, components, ..] = body {
                    found.height = u32::from(u16::from_be_bytes([*h1, *h0]));
                    found.width = u32::from(u16::from_be_bytes([*w1, *w0]));
                    found.components = *components;
                    found.progressive = matches!(marker, 0xc2 | 0xc6 | 0xca | 0xce);
                }
                framed = true;
            }
            0xda => {
                found.contradictory |= !framed;
                scanned = true;
            }
            0xe2 => found.declares_more |= body.starts_with(b"MPF\0"),
            0xee => found.adobe |= body.starts_with(b"Adobe"),
            _ => {}
        }
        at += length.max(2);
        if marker == 0xda {
            skip_scan(file, &mut at);
        }
    }
    found
}

/// The next marker's second byte, `at` moved behind it; fill bytes (FF) before it are skipped.
fn next_marker(file: &[u8], at: &mut usize) -> Option<u8> {
    if *file.get(*at)? != 0xff {
        return None;
    }
    while *file.get(*at)? == 0xff {
        *at += 1;
    }
    let marker = *file.get(*at)?;
    *at += 1;
    (marker != 0).then_some(marker)
}

/// Moves `at` to the marker that ends a scan's entropy-coded data.
fn skip_scan(file: &[u8], at: &mut usize) {
    while let Some(pair) = file.get(*at..*at + 2) {
        if pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7 | 0xff) {
            return;
        }
        *at += 1;
    }
    *at = file.len();
}

// ---- PNG ----

const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

fn read_png(file: &[u8]) -> Result<Decoded, Rejected> {
    let structure = walk_png(file);
    let end = structure.judge()?;
    let damaged = structure.rejected(CheckCode::Damaged);

    let limits = png::Limits {
        bytes: PNG_SIDE_BYTES,
    };
    let mut decoder = png::Decoder::new_with_limits(std::io::Cursor::new(&file[..end]), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    let mut reader = decoder.read_info().map_err(|_| damaged)?;
    // What was judged is what is decoded.
    if reader.info().size() != (structure.width, structure.height) {
        return Err(damaged);
    }
    let size = reader.output_buffer_size().ok_or(damaged)?;
    let mut samples = Zeroizing::new(vec![0u8; size]);
    let info = reader.next_frame(&mut samples).map_err(|_| damaged)?;
    reader.finish().map_err(|_| damaged)?;
    samples.truncate(info.buffer_size());
    let rgb = match info.color_type {
        png::ColorType::Rgb => samples.to_vec(),
        png::ColorType::Grayscale => samples.iter().flat_map(|v| [*v; 3]).collect(),
        png::ColorType::GrayscaleAlpha => samples
            .chunks_exact(2)
            .flat_map(|p| [onto_white(p[0], p[1]); 3])
            .collect(),
        png::ColorType::Rgba => samples
            .chunks_exact(4)
            .flat_map(|p| {
                [
                    onto_white(p[0], p[3]),
                    onto_white(p[1], p[3]),
                    onto_white(p[2], p[3]),
                ]
            })
            .collect(),
        png::ColorType::Indexed => return Err(damaged),
    };
    let raster = Raster::new(structure.width, structure.height, rgb).ok_or(damaged)?;
    let orientation = reader
        .info()
        .exif_metadata
        .as_deref()
        .map_or(Orientation::Upright, exif::orientation);
    let colour = reader.info().icc_profile.as_deref().and_then(Colour::read);
    Ok(Decoded {
        raster: raster.oriented(orientation),
        colour,
        extra_bytes: structure.extra_bytes(file, end),
    })
}

fn onto_white(sample: u8, alpha: u8) -> u8 {
    let sum = u32::from(sample) * u32::from(alpha) + 255 * u32::from(255 - alpha) + 127;
    u8::try_from(sum / 255).unwrap_or(u8::MAX)
}

/// Walks the chunks without inflating anything.
fn walk_png(file: &[u8]) -> Structure {
    let mut found = Structure::default();
    let mut at = PNG_SIGNATURE.len();
    while let Some(head) = file.get(at..at + 8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let kind = &head[4..8];
        let body = file.get(at + 8..).unwrap_or_default();
        // The header is the first chunk and the only one of its kind.
        let first = at == PNG_SIGNATURE.len();
        found.contradictory |= first != (kind == b"IHDR");
        if first
            && kind == b"IHDR"
            && let [w3, w2, w1, w0, h3, h2, h1, h0, ..] = body
        {
            found.width = u32::from_be_bytes([*w3, *w2, *w1, *w0]);
            found.height = u32::from_be_bytes([*h3, *h2, *h1, *h0]);
        }
        found.animated |= kind == b"acTL" || kind == b"fcTL" || kind == b"fdAT";
        // Length, kind and check value are 12 bytes beside the content.
        let Some(next) = at.checked_add(12).and_then(|sum| sum.checked_add(length)) else {
            return found;
        };
        if next > file.len() {
            return found;
        }
        at = next;
        if kind == b"IEND" {
            found.end = Some(at);
            return found;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let mut check = 0xffff_ffff_u32;
        for byte in kind.iter().chain(body) {
            check ^= u32::from(*byte);
            for _ in 0..8 {
                check = (check >> 1) ^ (0xedb8_8320 * (check & 1));
            }
        }
        [&length[..], &kind, body, &(!check).to_be_bytes()].concat()
    }

    fn header(side: u32) -> Vec<u8> {
        let body = [&side.to_be_bytes()[..], &side.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
        chunk(*b"IHDR", &body)
    }

    /// The walk alone refuses the file, so that nothing of it reaches a decoder.
    fn refused_by_the_walk(file: &[u8], structure: Structure, side: u32) {
        let damaged = Rejected {
            code: CheckCode::Damaged,
            width: side,
            height: side,
        };
        assert_eq!(structure.judge().unwrap_err(), damaged);
        assert_eq!(read(file).unwrap_err(), damaged);
    }

    #[test]
    fn a_png_with_a_second_header_is_refused_without_decoding() {
        let data = chunk(*b"IDAT", &[]);
        let end = chunk(*b"IEND", &[]);
        let bomb = [PNG_SIGNATURE, &header(64_250), &data, &header(100), &end].concat();
        refused_by_the_walk(&bomb, walk_png(&bomb), 64_250);
        let twice = [PNG_SIGNATURE, &header(100), &header(100), &data, &end].concat();
        refused_by_the_walk(&twice, walk_png(&twice), 100);
    }

    #[test]
    fn a_png_whose_header_is_not_its_first_chunk_is_refused_without_decoding() {
        let gamma = chunk(*b"gAMA", &[0, 0, 0xb1, 0x8f]);
        let late = [PNG_SIGNATURE, &gamma, &header(100), &chunk(*b"IEND", &[])].concat();
        refused_by_the_walk(&late, walk_png(&late), 0);
    }

    fn grey_jpeg(side: u16, progressive: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut out, 50);
        encoder.set_progressive(progressive);
        let samples = vec![0x80; usize::from(side) * usize::from(side)];
        encoder
            .encode(&samples, side, side, jpeg_encoder::ColorType::Luma)
            .unwrap();
        out
    }

    fn with_frame_before_its_end(jpeg: &[u8], side: u16) -> Vec<u8> {
        let (picture, end) = jpeg.split_at(jpeg.len() - 2);
        let sides = [side.to_be_bytes(), side.to_be_bytes()].concat();
        [picture, &[0xff, 0xc0, 0, 11, 8], &sides, &[1, 1, 0x11, 0], end].concat()
    }

    #[test]
    fn a_jpeg_with_a_second_frame_is_refused_without_decoding() {
        for progressive in [false, true] {
            let honest = grey_jpeg(2_000, progressive);
            assert_eq!(walk_jpeg(&honest).judge(), Ok(honest.len()));
            for claimed in [64, 2_000] {
                let forged = with_frame_before_its_end(&honest, claimed);
                refused_by_the_walk(&forged, walk_jpeg(&forged), 2_000);
            }
        }
    }

    #[test]
    fn a_jpeg_whose_frame_comes_after_its_scan_is_refused_without_decoding() {
        let mut jpeg = grey_jpeg(64, false);
        let at = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        jpeg.drain(at..at + 13);
        let late = with_frame_before_its_end(&jpeg, 64);
        refused_by_the_walk(&late, walk_jpeg(&late), 0);
    }
}
