//! Where the eyes are in a face box: the centre of the dark disc from which most brightness gradients point away.
//!
//! Method: F. Timm and E. Barth, "Accurate eye centre localisation by means of gradients", VISAPP 2011, on a face scaled
//! to 120 pixels, with gates of plausibility (distance, level, symmetry). It is an approximation and says `None` rather
//! than a guess: then a person confirms the geometry with guide lines. Left out: lids, gaze and pupils.

use photo_store_protocol::Face;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::raster::{Frame, Raster};

/// Side to which a face box is scaled, in pixels.
const SIDE: usize = 120;
/// Where an eye may be, in shares of the face box: from the outer side, and from the top.
const OUTER: (f64, f64) = (0.12, 0.46);
const HEIGHT: (f64, f64) = (0.20, 0.56);
/// Distance of the eyes in shares of the box that a frontal face shows.
const DISTANCE: (f64, f64) = (0.30, 0.62);
/// The most that one eye may stand above the other, in shares of the box (about 25 degrees).
const STEP_MAX: f64 = 0.18;

/// Both eyes, in pixels of the picture that holds the face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Eyes {
    /// The eye on the picture's left side (the person's right eye), x and y.
    pub left: (f64, f64),
    /// The eye on the picture's right side.
    pub right: (f64, f64),
}

impl Eyes {
    /// Height of the line through both eyes at their middle.
    #[must_use]
    pub(crate) fn line(&self) -> f64 {
        f64::midpoint(self.left.1, self.right.1)
    }

    /// Angle of that line against the horizontal, in degrees, positive where the picture's right side is lower.
    #[must_use]
    pub(crate) fn roll(&self) -> f64 {
        (self.right.1 - self.left.1)
            .atan2(self.right.0 - self.left.0)
            .to_degrees()
    }

    /// Distance between the eyes.
    #[must_use]
    pub(crate) fn distance(&self) -> f64 {
        (self.right.0 - self.left.0).hypot(self.right.1 - self.left.1)
    }
}

/// Locates both eyes of a face; `None` where they are not plausible.
///
/// # Errors
/// [`Error::Pixels`] when the face lies outside the picture.
pub fn locate(raster: &Raster, face: &Face) -> Result<Option<Eyes>, Error> {
    let frame = Frame {
        x: f64::from(face.x),
        y: f64::from(face.y),
        w: f64::from(face.w),
        h: f64::from(face.h),
    };
    let side = u32::try_from(SIDE).unwrap_or(u32::MAX);
    let grey = blurred(&raster.grey(frame, side, side)?);
    let side = f64::from(side);
    let (Some(left), Some(right)) = (
        centre(&grey, OUTER.0, OUTER.1),
        centre(&grey, 1.0 - OUTER.1, 1.0 - OUTER.0),
    ) else {
        return Ok(None);
    };
    let distance = (right.0 - left.0) / side;
    let step = (right.1 - left.1).abs() / side;
    let middle = f64::midpoint(left.0, right.0) / side;
    let plausible =
        (DISTANCE.0..=DISTANCE.1).contains(&distance) && step <= STEP_MAX && (0.38..=0.62).contains(&middle);
    let place = |(x, y): (f64, f64)| (frame.x + x * frame.w / side, frame.y + y * frame.h / side);
    Ok(plausible.then(|| Eyes {
        left: place(left),
        right: place(right),
    }))
}

/// A 3 x 3 box blur, twice: removes the noise of sensor and JPEG from the gradients.
fn blurred(grey: &[u8]) -> Zeroizing<Vec<f64>> {
    let mut values: Vec<f64> = grey.iter().map(|v| f64::from(*v)).collect();
    for _ in 0..2 {
        let before = values.clone();
        for y in 1..SIDE - 1 {
            for x in 1..SIDE - 1 {
                let rows = [y - 1, y, y + 1];
                let sum: f64 = rows
                    .iter()
                    .flat_map(|row| &before[row * SIDE + x - 1..=row * SIDE + x + 1])
                    .sum();
                values[y * SIDE + x] = sum / 9.0;
            }
        }
    }
    Zeroizing::new(values)
}

/// The darkest disc's centre in a part of the face, in pixels of the scaled face; `None` where nothing has an edge or
/// the best place lies on the part's border, which is a lock of hair or the rim of glasses.
fn centre(grey: &[f64], from: f64, to: f64) -> Option<(f64, f64)> {
    let (x0, x1) = (place(from), place(to));
    let (y0, y1) = (place(HEIGHT.0), place(HEIGHT.1));
    let mut gradients = Vec::new();
    for y in y0..y1 {
        for x in x0..x1 {
            let dx = grey[y * SIDE + x + 1] - grey[y * SIDE + x - 1];
            let dy = grey[(y + 1) * SIDE + x] - grey[(y - 1) * SIDE + x];
            gradients.push((number(x), number(y), dx, dy, dx.hypot(dy)));
        }
    }
    let count = number(gradients.len());
    let mean = gradients.iter().map(|g| g.4).sum::<f64>() / count;
    let deviation = (gradients.iter().map(|g| (g.4 - mean).powi(2)).sum::<f64>() / count).sqrt();
    let edges: Vec<_> = gradients
        .into_iter()
        .filter(|g| g.4 > mean + 0.3 * deviation && g.4 > 2.0)
        .collect();
    if edges.len() < 20 {
        return None;
    }
    let mut best = (0.0, 0, 0);
    for y in y0..y1 {
        for x in x0..x1 {
            let darkness = 255.0 - grey[y * SIDE + x];
            let mut sum = 0.0;
            for (ex, ey, dx, dy, length) in &edges {
                let (away_x, away_y) = (ex - number(x), ey - number(y));
                let reach = away_x.hypot(away_y);
                // An iris is at most a tenth of the face across; farther edges belong to brows and glasses.
                if !(1.0..=14.0).contains(&reach) {
                    continue;
                }
                let along = (away_x * dx + away_y * dy) / (reach * length);
                if along > 0.0 {
                    sum += along * along;
                }
            }
            let value = sum * darkness;
            if value > best.0 {
                best = (value, x, y);
            }
        }
    }
    let (_, x, y) = best;
    let inside = x > x0 + 1 && x + 2 < x1 && y > y0 + 1 && y + 2 < y1;
    inside.then(|| (number(x) + 0.5, number(y) + 0.5))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of 120 pixels"
)]
fn place(share: f64) -> usize {
    (share * number(SIDE)).round() as usize
}

#[expect(clippy::cast_precision_loss, reason = "counts of pixels of a small picture")]
fn number(value: usize) -> f64 {
    value as f64
}
