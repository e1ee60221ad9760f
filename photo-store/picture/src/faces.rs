//! Where faces are: presence, count, box and turn, by `rustface` (a funnel-structured cascade).
//!
//! The detector finds upright faces only, so a picture without a clear one is tried in the other three turns. It gives a
//! box and a score, no eyes and no identity. Left out: recognising anybody; the store does no face matching.

use rustface::{ImageData, Model};

use photo_store_protocol::Face;

use crate::error::Error;
use crate::raster::{Orientation, Raster};

const MODEL: &[u8] = include_bytes!("../model/seeta_fd_frontal_v1.0.bin");
/// Longer side of the picture that is searched, in pixels: faces of a permit photo stay above 60 pixels.
const SEARCH_SIDE: u32 = 512;
/// Smallest face that is searched for, in pixels of the searched picture.
const SMALLEST_FACE: u32 = 32;
/// Boxes below this score are noise (the detector's authors use 2.0 to 4.5).
const SCORE_MIN: f64 = 2.5;
/// A face of this score stands upright; the other turns need not be tried.
const SCORE_CLEAR: f64 = 8.0;

/// The detector, with its model read once.
pub struct Faces {
    model: Model,
}

impl core::fmt::Debug for Faces {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Faces(..)")
    }
}

/// What was found in a picture.
#[derive(Debug, Clone)]
pub struct Found {
    /// How the picture has to be turned so that the faces stand upright.
    pub(crate) turn: Orientation,
    /// The faces in pixels of the picture after that turn, the largest first.
    pub faces: Vec<Face>,
}

impl Faces {
    /// Reads the model.
    ///
    /// # Errors
    /// [`Error::Rules`] when the model inside the program is damaged.
    pub fn new() -> Result<Self, Error> {
        let model = rustface::read_model(MODEL).map_err(|_| Error::Rules("face model"))?;
        Ok(Self { model })
    }

    /// Finds the faces of a picture, upright first, then in the other three turns.
    ///
    /// # Errors
    /// [`Error::Pixels`] when the picture cannot be scaled.
    pub fn find(&self, raster: &Raster) -> Result<Found, Error> {
        let longest = raster.width().max(raster.height());
        let scale = f64::from(longest.min(SEARCH_SIDE)) / f64::from(longest);
        let side = |length: u32| scaled(length, scale);
        let small = raster.framed(raster.whole(), side(raster.width()), side(raster.height()))?;

        let mut best = Found {
            turn: Orientation::Upright,
            faces: self.in_small(&small, scale),
        };
        if score(&best.faces) < SCORE_CLEAR {
            let mut turned = small;
            for turn in [
                Orientation::Clockwise,
                Orientation::HalfTurn,
                Orientation::CounterClockwise,
            ] {
                turned = turned.oriented(Orientation::Clockwise);
                let faces = self.in_small(&turned, scale);
                // A turn has to be clearly better: upright is what nearly everybody submits.
                if score(&faces) > score(&best.faces) + 2.0 {
                    best = Found { turn, faces };
                }
            }
        }
        best.faces
            .sort_by(|a, b| (b.w * b.h).cmp(&(a.w * a.h)).then(a.x.cmp(&b.x)));
        Ok(best)
    }

    fn in_small(&self, small: &Raster, scale: f64) -> Vec<Face> {
        if small.width() < SMALLEST_FACE || small.height() < SMALLEST_FACE {
            return Vec::new();
        }
        let grey: Vec<u8> = small.pixels().map(crate::raster::luma).collect();
        let mut detector = rustface::create_detector_with_model(self.model.clone());
        detector.set_min_face_size(SMALLEST_FACE);
        detector.set_score_thresh(SCORE_MIN);
        detector.set_pyramid_scale_factor(0.8);
        detector.set_slide_window_step(4, 4);
        let found = detector.detect(&ImageData::new(&grey, small.width(), small.height()));
        found
            .iter()
            .map(|face| {
                let at = face.bbox();
                Face {
                    x: unscaled(f64::from(at.x()), scale),
                    y: unscaled(f64::from(at.y()), scale),
                    w: unscaled(f64::from(at.width()), scale).unsigned_abs(),
                    h: unscaled(f64::from(at.height()), scale).unsigned_abs(),
                    score: (face.score() * 100.0).round() / 100.0,
                }
            })
            .collect()
    }
}

fn score(faces: &[Face]) -> f64 {
    faces.iter().map(|face| face.score).fold(0.0, f64::max)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most the length itself, which is a u32"
)]
fn scaled(length: u32, scale: f64) -> u32 {
    ((f64::from(length) * scale).round() as u32).max(1)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "coordinates of a picture of at most 65,535 pixels a side"
)]
fn unscaled(value: f64, scale: f64) -> i32 {
    (value / scale).round() as i32
}
