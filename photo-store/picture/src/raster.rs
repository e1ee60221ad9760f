//! A picture in memory: 8-bit RGB, rows from the top, wiped when dropped; turning, cropping and scaling it.
//!
//! Scaling is done on the coded values, as ID photo programs do, not in linear light. Left out: alpha (flattened when
//! the file is read) and every other pixel format.

use core::fmt;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use zeroize::Zeroizing;

use crate::error::Error;

/// A picture: three bytes a pixel (red, green, blue), sRGB unless a colour profile travels beside it.
pub struct Raster {
    width: u32,
    height: u32,
    rgb: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Raster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raster({} x {})", self.width, self.height)
    }
}

/// How a stored picture is to be turned so that it stands upright, by the eight values of Exif tag 0x0112.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Orientation {
    /// 1: as it is.
    #[default]
    Upright,
    /// 2: mirrored left to right.
    Mirrored,
    /// 3: upside down.
    HalfTurn,
    /// 4: upside down and mirrored.
    HalfTurnMirrored,
    /// 5: mirrored along the diagonal from the upper left corner.
    Transposed,
    /// 6: to be turned clockwise by 90 degrees.
    Clockwise,
    /// 7: mirrored along the other diagonal.
    Transversed,
    /// 8: to be turned counter-clockwise by 90 degrees.
    CounterClockwise,
}

impl Orientation {
    /// The orientation of an Exif value; values outside 1 to 8 mean upright.
    #[must_use]
    pub(crate) const fn from_exif(value: u16) -> Self {
        match value {
            2 => Self::Mirrored,
            3 => Self::HalfTurn,
            4 => Self::HalfTurnMirrored,
            5 => Self::Transposed,
            6 => Self::Clockwise,
            7 => Self::Transversed,
            8 => Self::CounterClockwise,
            _ => Self::Upright,
        }
    }

    /// Whether width and height change places.
    #[must_use]
    pub(crate) const fn swaps_sides(self) -> bool {
        matches!(
            self,
            Self::Transposed | Self::Clockwise | Self::Transversed | Self::CounterClockwise
        )
    }
}

/// A rectangle with fractions of pixels; may reach over the picture's edges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
}

impl Raster {
    /// Takes `rgb` of exactly `width * height * 3` bytes; `None` when the length is another or a side is 0.
    #[must_use]
    pub(crate) fn new(width: u32, height: u32, rgb: Vec<u8>) -> Option<Self> {
        let rgb = Zeroizing::new(rgb);
        let pixels = usize::try_from(u64::from(width) * u64::from(height)).ok()?;
        (pixels > 0 && pixels.checked_mul(3)? == rgb.len()).then_some(Self { width, height, rgb })
    }

    /// Pixels across.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Pixels down.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The samples, row by row.
    #[must_use]
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The samples, to be changed in place (colour conversion).
    pub(crate) fn rgb_mut(&mut self) -> &mut [u8] {
        &mut self.rgb
    }

    /// The pixels.
    pub(crate) fn pixels(&self) -> impl Iterator<Item = [u8; 3]> + '_ {
        self.rgb.chunks_exact(3).map(|p| [p[0], p[1], p[2]])
    }

    /// The pixels of the part of `frame` that lies inside, row by row, with its width.
    #[must_use]
    pub(crate) fn part(&self, frame: Frame) -> (usize, Vec<[u8; 3]>) {
        let (left, right) = span(frame.x, frame.w, self.width);
        let (top, bottom) = span(frame.y, frame.h, self.height);
        let row_bytes = self.width as usize * 3;
        let pixels = self
            .rgb
            .chunks_exact(row_bytes)
            .skip(top)
            .take(bottom - top)
            .flat_map(|row| row.chunks_exact(3).skip(left).take(right - left))
            .map(|p| [p[0], p[1], p[2]])
            .collect();
        (right - left, pixels)
    }

    /// The picture turned upright.
    #[must_use]
    pub(crate) fn oriented(self, orientation: Orientation) -> Self {
        if orientation == Orientation::Upright {
            return self;
        }
        let (w, h) = (self.width as usize, self.height as usize);
        let (out_w, out_h) = if orientation.swaps_sides() { (h, w) } else { (w, h) };
        let mut out = Vec::with_capacity(self.rgb.len());
        for y in 0..out_h {
            for x in 0..out_w {
                let (sx, sy) = match orientation {
                    Orientation::Upright => (x, y),
                    Orientation::Mirrored => (w - 1 - x, y),
                    Orientation::HalfTurn => (w - 1 - x, h - 1 - y),
                    Orientation::HalfTurnMirrored => (x, h - 1 - y),
                    Orientation::Transposed => (y, x),
                    Orientation::Clockwise => (y, h - 1 - x),
                    Orientation::Transversed => (w - 1 - y, h - 1 - x),
                    Orientation::CounterClockwise => (w - 1 - y, x),
                };
                let at = (sy * w + sx) * 3;
                out.extend_from_slice(&self.rgb[at..at + 3]);
            }
        }
        let (width, height) = if orientation.swaps_sides() {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        };
        Self {
            width,
            height,
            rgb: Zeroizing::new(out),
        }
    }

    /// The part inside `frame`, scaled to `width` x `height` with Lanczos3; what lies outside the picture is white.
    ///
    /// # Errors
    /// [`Error::Pixels`] when the frame does not meet the picture at all.
    pub(crate) fn framed(&self, frame: Frame, width: u32, height: u32) -> Result<Self, Error> {
        let mut out = Zeroizing::new(vec![255u8; width as usize * height as usize * 3]);
        let (scale_x, scale_y) = (f64::from(width) / frame.w, f64::from(height) / frame.h);
        // Whole target pixels that are covered by the picture; their source rectangle follows from them, so that the
        // scale is the same with and without padding.
        let left = target_edge((0.0 - frame.x) * scale_x, width);
        let top = target_edge((0.0 - frame.y) * scale_y, height);
        let right = target_end((f64::from(self.width) - frame.x) * scale_x, width);
        let bottom = target_end((f64::from(self.height) - frame.y) * scale_y, height);
        if right <= left || bottom <= top {
            return Err(Error::Pixels);
        }
        let (part_w, part_h) = (right - left, bottom - top);
        let x = (frame.x + f64::from(left) / scale_x).clamp(0.0, f64::from(self.width));
        let y = (frame.y + f64::from(top) / scale_y).clamp(0.0, f64::from(self.height));
        let w = (f64::from(part_w) / scale_x).min(f64::from(self.width) - x);
        let h = (f64::from(part_h) / scale_y).min(f64::from(self.height) - y);
        let part = resize(&self.rgb, self.width, self.height, (x, y, w, h), part_w, part_h)?;
        let row = part_w as usize * 3;
        let out_row = width as usize * 3;
        for (line, source) in part.chunks_exact(row).enumerate() {
            let at = (top as usize + line) * out_row + left as usize * 3;
            out[at..at + row].copy_from_slice(source);
        }
        Ok(Self {
            width,
            height,
            rgb: out,
        })
    }

    /// Brightness (Rec. 601 luma, 0 to 255) of the part inside `frame`, scaled to `width` x `height`.
    ///
    /// # Errors
    /// As [`Raster::framed`].
    pub(crate) fn grey(&self, frame: Frame, width: u32, height: u32) -> Result<Zeroizing<Vec<u8>>, Error> {
        let small = self.framed(frame, width, height)?;
        Ok(Zeroizing::new(small.pixels().map(luma).collect()))
    }

    /// The whole picture as a frame.
    #[must_use]
    pub(crate) fn whole(&self) -> Frame {
        Frame {
            x: 0.0,
            y: 0.0,
            w: f64::from(self.width),
            h: f64::from(self.height),
        }
    }
}

/// Rec. 601 luma of a pixel, 0 to 255.
#[must_use]
pub(crate) fn luma([r, g, b]: [u8; 3]) -> u8 {
    let sum = u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114 + 500;
    u8::try_from(sum / 1000).unwrap_or(u8::MAX)
}

/// Scales a crop of `rgb`, with fractions, to `width` x `height`. Named for this one kind of pixel: asked for any kind, the
/// resizer is compiled for fifteen.
fn resize(
    rgb: &[u8],
    from_width: u32,
    from_height: u32,
    (x, y, w, h): (f64, f64, f64, f64),
    width: u32,
    height: u32,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut out = Zeroizing::new(vec![0; width as usize * height as usize * 3]);
    let source =
        TypedImageRef::<U8x3>::from_buffer(from_width, from_height, rgb).map_err(|_| Error::Pixels)?;
    let mut target = TypedImage::<U8x3>::from_buffer(width, height, &mut out).map_err(|_| Error::Pixels)?;
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .crop(x, y, w, h);
    Resizer::new()
        .resize_typed(&source, &mut target, &options)
        .map_err(|_| Error::Pixels)?;
    drop(target);
    Ok(out)
}

/// First target pixel that lies wholly inside, from the position of the picture's near edge.
fn target_edge(edge: f64, limit: u32) -> u32 {
    clamp(edge.max(0.0).ceil(), limit)
}

/// One past the last target pixel that lies wholly inside, from the position of the picture's far edge.
fn target_end(edge: f64, limit: u32) -> u32 {
    // A thousandth of a pixel is rounding and not a border.
    clamp((edge + 0.001).floor(), limit)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=limit first"
)]
fn clamp(value: f64, limit: u32) -> u32 {
    value.clamp(0.0, f64::from(limit)) as u32
}

/// First and one past the last whole pixel of a span that lie inside 0..limit.
fn span(start: f64, length: f64, limit: u32) -> (usize, usize) {
    let first = clamp(start.max(0.0).round(), limit) as usize;
    let end = clamp((start + length).round(), limit) as usize;
    (first, end.max(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of 3 x 2 pixels whose red channel numbers them from 1.
    fn numbered() -> Raster {
        Raster::new(3, 2, (1..=6).flat_map(|n| [n, 0, 0]).collect()).unwrap()
    }

    fn reds(raster: &Raster) -> Vec<u8> {
        raster.pixels().map(|p| p[0]).collect()
    }

    #[test]
    fn the_eight_exif_orientations_turn_as_the_standard_draws_them() {
        let expected: [(u16, u32, &[u8]); 8] = [
            (1, 3, &[1, 2, 3, 4, 5, 6]),
            (2, 3, &[3, 2, 1, 6, 5, 4]),
            (3, 3, &[6, 5, 4, 3, 2, 1]),
            (4, 3, &[4, 5, 6, 1, 2, 3]),
            (5, 2, &[1, 4, 2, 5, 3, 6]),
            (6, 2, &[4, 1, 5, 2, 6, 3]),
            (7, 2, &[6, 3, 5, 2, 4, 1]),
            (8, 2, &[3, 6, 2, 5, 1, 4]),
        ];
        for (value, width, pixels) in expected {
            let turned = numbered().oriented(Orientation::from_exif(value));
            assert_eq!(
                (turned.width(), reds(&turned).as_slice()),
                (width, pixels),
                "Exif {value}"
            );
        }
    }

    #[test]
    fn what_lies_outside_the_picture_becomes_white() {
        let black = Raster::new(10, 10, vec![0; 300]).unwrap();
        let framed = black
            .framed(
                Frame {
                    x: -5.0,
                    y: 0.0,
                    w: 15.0,
                    h: 10.0,
                },
                30,
                20,
            )
            .unwrap();
        let row: Vec<u8> = reds(&framed)[..30].to_vec();
        assert!(row[..10].iter().all(|v| *v == 255), "{row:?}");
        assert!(row[10..].iter().all(|v| *v == 0), "{row:?}");
    }

    #[test]
    fn a_raster_of_the_wrong_length_is_not_made() {
        assert!(Raster::new(3, 2, vec![0; 17]).is_none());
        assert!(Raster::new(0, 2, vec![]).is_none());
    }
}
