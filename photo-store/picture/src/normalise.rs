//! From a judged portrait to a rendition: the profile's frame and size, and the JPEG quality that meets its byte range.
//!
//! Baseline JPEG (ITU-T T.81) with a JFIF header that states the resolution, and no other metadata. Same portrait, same
//! rules: same bytes. Left out: JPEG 2000, which the chip's standards allow beside JPEG.

use jpeg_encoder::{ColorType, Encoder, PixelDensity, SamplingFactor};
use zeroize::Zeroizing;

use photo_store_protocol::Profile;

use crate::error::Error;
use crate::ingest::Colour;
use crate::raster::{Frame, Raster};
use crate::rules::{Chroma, ProfileRule, Rules};

/// An upright picture with the frame in which it becomes a permit photo.
#[derive(Debug)]
pub struct Portrait {
    /// The picture.
    pub raster: Raster,
    /// The part that becomes the 358 x 441 picture; may reach over the edges, which become white.
    pub frame: Frame,
    /// The file's colour profile.
    pub colour: Option<Colour>,
}

/// A finished rendition; its bytes are wiped when dropped.
pub struct Rendition {
    /// Which.
    pub profile: Profile,
    /// Version of the profile.
    pub version: u32,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Pixels per inch.
    pub dpi: u16,
    /// The JPEG quality that was found, 1 to 100.
    pub quality: u8,
    /// The file.
    pub jpeg: Zeroizing<Vec<u8>>,
}

impl core::fmt::Debug for Rendition {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "Rendition({}, {} bytes, quality {})",
            self.profile,
            self.jpeg.len(),
            self.quality
        )
    }
}

impl Portrait {
    /// Makes a rendition.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] when even the lowest allowed quality is over the byte limit; [`Error::Pixels`] on our own fault.
    pub fn rendition(&self, profile: Profile, rules: &Rules) -> Result<Rendition, Error> {
        let rule = rules.profile(profile)?;
        let mut small = self
            .raster
            .framed(sides_cut(self.frame, rule), rule.width, rule.height)?;
        if let Some(colour) = &self.colour {
            colour.to_srgb(&mut small);
        }
        encode(&small, rule)
    }
}

/// Makes a rendition from a finished one that has at least as many pixels, such as `chip` from `print`.
///
/// # Errors
/// As [`Portrait::rendition`].
pub fn from_finished(raster: &Raster, profile: Profile, rules: &Rules) -> Result<Rendition, Error> {
    let rule = rules.profile(profile)?;
    encode(
        &raster.framed(sides_cut(raster.whole(), rule), rule.width, rule.height)?,
        rule,
    )
}

/// The frame cut at both sides to the profile's proportions: a chip picture is narrower than the archive's.
fn sides_cut(frame: Frame, rule: &ProfileRule) -> Frame {
    let width = frame.h * f64::from(rule.width) / f64::from(rule.height);
    if width < frame.w {
        Frame {
            x: frame.x + (frame.w - width) / 2.0,
            w: width,
            ..frame
        }
    } else {
        frame
    }
}

/// Searches the quality: near the profile's own; lower while the file is over its target, higher while it is below its
/// least size. The hard limit holds always, the target where it can be met.
fn encode(raster: &Raster, rule: &ProfileRule) -> Result<Rendition, Error> {
    let at = |quality: u8| at_quality(raster, rule, quality);
    let mut quality = rule.quality_near;
    let mut jpeg = at(quality)?;
    if jpeg.len() > rule.bytes_target {
        // The highest quality in min..near that meets the target; the lowest one where none does.
        let (mut low, mut high) = (rule.quality_min, rule.quality_near);
        quality = low;
        jpeg = at(low)?;
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let candidate = at(middle)?;
            if candidate.len() <= rule.bytes_target {
                (low, quality, jpeg) = (middle, middle, candidate);
            } else {
                high = middle;
            }
        }
    } else if jpeg.len() < rule.bytes_min {
        // The lowest quality in near..max that reaches the least size, without leaving the target.
        let (mut low, mut high) = (rule.quality_near, rule.quality_max);
        let best = at(high)?;
        if best.len() <= rule.bytes_target {
            (quality, jpeg) = (high, best);
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let candidate = at(middle)?;
            if candidate.len() < rule.bytes_min {
                low = middle;
            } else {
                high = middle;
                if candidate.len() <= rule.bytes_target {
                    (quality, jpeg) = (middle, candidate);
                }
            }
        }
    }
    if jpeg.len() > rule.bytes_max {
        return Err(Error::DoesNotFit);
    }
    Ok(Rendition {
        profile: rule.name,
        version: rule.version,
        width: rule.width,
        height: rule.height,
        dpi: rule.dpi,
        quality,
        jpeg,
    })
}

fn at_quality(raster: &Raster, rule: &ProfileRule, quality: u8) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut out = Zeroizing::new(Vec::with_capacity(rule.bytes_max * 2));
    let mut encoder = Encoder::new(&mut *out, quality);
    encoder.set_density(PixelDensity::dpi(rule.dpi));
    encoder.set_sampling_factor(match rule.chroma {
        Chroma::Full => SamplingFactor::R_4_4_4,
        Chroma::Quarter => SamplingFactor::R_4_2_0,
    });
    encoder.set_chroma_subsampling_method(jpeg_encoder::ChromaSubsamplingMethod::Average);
    encoder.set_optimized_huffman_tables(true);
    let side = |length: u32| u16::try_from(length).map_err(|_| Error::Pixels);
    let (width, height) = (side(raster.width())?, side(raster.height())?);
    encoder
        .encode(raster.rgb(), width, height, ColorType::Rgb)
        .map_err(|_| Error::Pixels)?;
    Ok(out)
}
