//! A page of a paper, scanned or photographed: from a stranger's file to one that is written anew.
//!
//! The file is read as a photo is (`ingest`), turned upright, brought to sRGB and made no larger than the rule says. What comes out is a
//! baseline JPEG (ITU-T T.81) of its pixels alone: nothing that stood in or behind the file reaches whoever looks at it. Left out: PDF,
//! which a scanner writes as JPEG just as well and which no decoder here reads; straightening; any reading of the text.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use photo_store_protocol::CheckCode;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::ingest;
use crate::raster::{Raster, luma};
use crate::rules::PageRule;

/// A page as it is kept; its bytes are wiped when dropped.
pub struct Page {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// The file.
    pub jpeg: Zeroizing<Vec<u8>>,
}

impl core::fmt::Debug for Page {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "Page({} x {}, {} bytes)",
            self.width,
            self.height,
            self.jpeg.len()
        )
    }
}

/// Makes a page of a file, or says which check it does not pass.
///
/// # Errors
/// [`Error::DoesNotFit`] when the lowest allowed quality is over the byte limit; [`Error::Pixels`] on our own fault.
pub fn page(file: &[u8], rule: &PageRule) -> Result<Result<Page, CheckCode>, Error> {
    let decoded = match ingest::read(file) {
        Ok(decoded) => decoded,
        Err(rejected) => return Ok(Err(rejected.code)),
    };
    let (width, height) = (decoded.raster.width(), decoded.raster.height());
    if width.min(height) < rule.short_side_min {
        return Ok(Err(CheckCode::PageSmall));
    }
    let (width, height) = fitted(width, height, rule.long_side_max);
    let mut raster = decoded.raster.framed(decoded.raster.whole(), width, height)?;
    if let Some(colour) = &decoded.colour {
        colour.to_srgb(&mut raster);
    }
    if contrast(&raster) < rule.contrast_min {
        return Ok(Err(CheckCode::PageBlank));
    }
    let mut quality = rule.quality_near;
    loop {
        let jpeg = at_quality(&raster, quality)?;
        if jpeg.len() <= rule.bytes_max {
            return Ok(Ok(Page { width, height, jpeg }));
        }
        if quality == rule.quality_min {
            return Err(Error::DoesNotFit);
        }
        quality = quality.saturating_sub(10).max(rule.quality_min);
    }
}

/// The sides scaled down until the longer one has at most `most` pixels.
fn fitted(width: u32, height: u32, most: u32) -> (u32, u32) {
    let long = width.max(height);
    if long <= most {
        return (width, height);
    }
    let scaled = |side: u32| {
        let pixels = (u64::from(side) * u64::from(most) + u64::from(long) / 2) / u64::from(long);
        u32::try_from(pixels).unwrap_or(most).max(1)
    };
    (scaled(width), scaled(height))
}

/// Levels between the 2nd and the 98th percentile of brightness.
fn contrast(raster: &Raster) -> f64 {
    let mut counts = [0u64; 256];
    for pixel in raster.pixels() {
        counts[usize::from(luma(pixel))] += 1;
    }
    let all: u64 = counts.iter().sum();
    let level = |share: u64| {
        let mut seen = 0;
        let at = counts.iter().position(|count| {
            seen += count;
            seen * 100 >= all * share
        });
        u8::try_from(at.unwrap_or_default()).unwrap_or(u8::MAX)
    };
    f64::from(level(98)) - f64::from(level(2))
}

fn at_quality(raster: &Raster, quality: u8) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut out = Zeroizing::new(Vec::new());
    let mut encoder = Encoder::new(&mut *out, quality);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    encoder.set_optimized_huffman_tables(true);
    let side = |length: u32| u16::try_from(length).map_err(|_| Error::Pixels);
    encoder
        .encode(
            raster.rgb(),
            side(raster.width())?,
            side(raster.height())?,
            ColorType::Rgb,
        )
        .map_err(|_| Error::Pixels)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_its_proportions_and_is_never_enlarged() {
        assert_eq!(fitted(1_654, 2_339, 2_400), (1_654, 2_339));
        assert_eq!(fitted(4_960, 7_016, 2_400), (1_697, 2_400));
        assert_eq!(fitted(25_000, 1_000, 2_400), (2_400, 96));
    }
}
