//! The checks of a photo and the frame in which it becomes a permit photo.
//!
//! Formulas follow OFIQ's measures without a neural net (luminance, exposure, range, head size and margins, eyes) as
//! approximations: nothing here is a score of ISO/IEC 29794-5. Hard checks refuse; warnings are confirmed by a named
//! person. Exposure only ever warns, because its users report that it differs by skin tone (BSI-OFIQ issue 93). Left
//! out: any judgement of who it is.

use photo_store_protocol::{Check, CheckCode, Face, Guides, Judgement, Level, Verdict};

use zeroize::Zeroizing;

use crate::error::Error;
use crate::eyes::{self, Eyes};
use crate::faces::Faces;
use crate::ingest::{self, MAX_PIXELS, Rejected};
use crate::normalise::Portrait;
use crate::raster::{Frame, Orientation, Raster, luma};
use crate::rules::Rules;

/// Largest file in bytes, as a measured limit.
const MAX_BYTES: f64 = 10_000_000.0;
/// Levels below and above which a face shows no detail; far from any skin's own level.
const DARK: u8 = 16;
const BRIGHT: u8 = 250;
/// Where the hair ends above a face box, in shares of the box, where the background is too uneven to see it.
const HAIR_ABOVE_BOX: f64 = 0.38;
/// Where the eyes are in a face box, in shares from its top, where they were not located.
const EYES_IN_BOX: f64 = 0.40;

/// What the checks found, and the portrait unless a hard check refused it.
#[derive(Debug)]
pub struct Judged {
    /// The findings.
    pub judgement: Judgement,
    /// The picture with its frame; `None` when refused.
    pub portrait: Option<Portrait>,
}

/// Judges a file.
///
/// # Errors
/// Only our own faults: what is wrong with the file is in the judgement.
pub fn judge(file: &[u8], rules: &Rules, faces: &Faces) -> Result<Judged, Error> {
    let mut checks = Checks { list: Vec::new() };
    let decoded = match ingest::read(file) {
        Ok(decoded) => decoded,
        Err(rejected) => return Ok(refused_file(file, rejected, rules)),
    };
    checks.file(file.len(), decoded.raster.width(), decoded.raster.height(), None);
    checks.warn_above(CheckCode::ExtraData, count(decoded.extra_bytes), 0.0, "bytes");

    let found = faces.find(&decoded.raster)?;
    let raster = decoded.raster.oriented(found.turn);
    checks.add(
        CheckCode::Turned,
        Level::Warn,
        found.turn == Orientation::Upright,
        None,
        None,
        "",
    );
    let first = checks.presence(&found.faces, rules);
    let Some(first) = first.filter(|_| !checks.refuse()) else {
        return Ok(checks.close(&raster, found.faces, None, rules));
    };
    let asked = rules.geometry.face_width - rules.geometry.face_width_tolerance;
    checks.warn_below(CheckCode::FaceEnlarged, f64::from(first.w), asked, "px");

    let eyes = eyes::locate(&raster, &first)?;
    let hair = hair_top(&raster, &first, rules.limits.background_deviation_max * 1.5);
    let frame = frame(&raster, &first, eyes.as_ref(), hair, rules);
    let guides = checks.geometry(&first, eyes.as_ref(), hair, frame, rules);
    checks.pose(&first, eyes.as_ref(), rules);
    let portrait = Portrait {
        raster,
        frame,
        colour: decoded.colour,
    };
    checks.pixels(&portrait, &first, eyes.as_ref(), rules)?;
    let judged = checks.close(&portrait.raster, found.faces, Some(guides), rules);
    Ok(Judged {
        portrait: Some(portrait),
        ..judged
    })
}

fn refused_file(file: &[u8], rejected: Rejected, rules: &Rules) -> Judged {
    let mut checks = Checks { list: Vec::new() };
    checks.file(file.len(), rejected.width, rejected.height, Some(rejected.code));
    let judgement = Judgement {
        verdict: Verdict::Refuse,
        width: rejected.width,
        height: rejected.height,
        faces: Vec::new(),
        checks: checks.list,
        guides: None,
        rules: rules.version.clone(),
    };
    Judged {
        judgement,
        portrait: None,
    }
}

/// The checks made so far.
struct Checks {
    list: Vec<Check>,
}

impl Checks {
    fn add(
        &mut self,
        code: CheckCode,
        level: Level,
        passed: bool,
        measured: Option<f64>,
        limit: Option<f64>,
        unit: &str,
    ) {
        // Adding nothing turns the negative zero of a rounding into zero.
        let rounded = measured.map(|value| (value * 1000.0).round() / 1000.0 + 0.0);
        self.list.push(Check {
            code,
            level,
            passed,
            measured: rounded,
            limit,
            unit: unit.to_owned(),
        });
    }

    fn warn_below(&mut self, code: CheckCode, measured: f64, least: f64, unit: &str) {
        self.add(
            code,
            Level::Warn,
            measured >= least,
            Some(measured),
            Some(least),
            unit,
        );
    }

    fn warn_above(&mut self, code: CheckCode, measured: f64, most: f64, unit: &str) {
        self.add(
            code,
            Level::Warn,
            measured <= most,
            Some(measured),
            Some(most),
            unit,
        );
    }

    fn refuse(&self) -> bool {
        self.list
            .iter()
            .any(|check| check.level == Level::Hard && !check.passed)
    }

    /// The checks of the file itself, in the order in which they are made, up to the one that failed.
    fn file(&mut self, bytes: usize, width: u32, height: u32, failed: Option<CheckCode>) {
        let pixels = f64::from(width) * f64::from(height);
        #[expect(clippy::cast_precision_loss, reason = "25 million")]
        let most = MAX_PIXELS as f64;
        let order = [
            (CheckCode::FileSize, Some(count(bytes)), Some(MAX_BYTES), "bytes"),
            (CheckCode::Format, None, None, ""),
            (CheckCode::Pixels, Some(pixels), Some(most), "px"),
            (CheckCode::Animated, None, None, ""),
            (CheckCode::Truncated, None, None, ""),
            (CheckCode::Damaged, None, None, ""),
        ];
        for (code, measured, limit, unit) in order {
            self.add(code, Level::Hard, failed != Some(code), measured, limit, unit);
            if failed == Some(code) {
                return;
            }
        }
    }

    /// Whether one face is there and wide enough; answers it where there is any.
    fn presence(&mut self, faces: &[Face], rules: &Rules) -> Option<Face> {
        let limits = &rules.limits;
        let found = Some(count(faces.len()));
        self.add(
            CheckCode::NoFace,
            Level::Hard,
            !faces.is_empty(),
            found,
            Some(1.0),
            "faces",
        );
        let first = faces.first().copied()?;
        let area = |face: &Face| f64::from(face.w) * f64::from(face.h);
        let second = faces.get(1).map_or(0.0, |face| area(face) / area(&first));
        let share = limits.second_face_share;
        self.add(
            CheckCode::SecondFace,
            Level::Hard,
            second <= share,
            Some(second),
            Some(share),
            "share",
        );
        let (width, least) = (f64::from(first.w), limits.face_width_hard_min);
        self.add(
            CheckCode::FaceNarrow,
            Level::Hard,
            width >= least,
            Some(width),
            Some(least),
            "px",
        );
        Some(first)
    }

    /// Where the head is in the finished picture; returns the guide lines for the person who confirms.
    fn geometry(
        &mut self,
        face: &Face,
        eyes: Option<&Eyes>,
        hair: Option<f64>,
        frame: Frame,
        rules: &Rules,
    ) -> Guides {
        let scale = 358.0 / frame.w;
        let guides = Guides {
            face_left: tenth((f64::from(face.x) - frame.x) * scale),
            face_right: tenth((f64::from(face.x) + f64::from(face.w) - frame.x) * scale),
            eye_line: eyes.map(|eyes| tenth((eyes.line() - frame.y) * scale)),
            hair_top: hair.map(|hair| tenth((hair - frame.y) * scale)),
        };
        let geometry = &rules.geometry;
        let above_edge = guides.eye_line.map(|line| 441.0 - line);
        // A tenth of a pixel is rounding. Where the eye line stands exactly at its limit it won a conflict, and the
        // hair may then be nearer to the upper edge than the standard asks.
        let eyes_fit = above_edge.is_some_and(|above| above >= geometry.eye_line_min - 0.15);
        let eyes_won = above_edge.is_some_and(|above| above <= geometry.eye_line_min + 1.0);
        let hair_fits = guides.hair_top.is_some_and(|top| {
            (geometry.hair_top_min - 0.15..=geometry.hair_top_max + 0.15).contains(&top)
                || (eyes_won && (0.0..geometry.hair_top_min).contains(&top))
        });
        let passed = eyes_fit && hair_fits;
        self.add(
            CheckCode::Geometry,
            Level::Warn,
            passed,
            above_edge,
            Some(geometry.eye_line_min),
            "px",
        );
        guides
    }

    fn pose(&mut self, face: &Face, eyes: Option<&Eyes>, rules: &Rules) {
        let limit = rules.limits.roll_max;
        let (passed, roll) = eyes.map_or((false, None), |eyes| {
            let middle = f64::midpoint(eyes.left.0, eyes.right.0);
            let centre = f64::from(face.x) + f64::from(face.w) / 2.0;
            // Turned to a side, the middle of the eyes leaves the middle of the face.
            let turned = (middle - centre).abs() / f64::from(face.w);
            (
                eyes.roll().abs() <= limit && turned <= 0.10,
                Some(eyes.roll().abs()),
            )
        });
        self.add(
            CheckCode::HeadPose,
            Level::Warn,
            passed,
            roll,
            Some(limit),
            "degrees",
        );
    }

    /// What is measured on pixels: the face patch of the submitted picture, and the finished picture's background.
    fn pixels(
        &mut self,
        portrait: &Portrait,
        face: &Face,
        eyes: Option<&Eyes>,
        rules: &Rules,
    ) -> Result<(), Error> {
        let limits = &rules.limits;
        let at = Frame {
            x: f64::from(face.x),
            y: f64::from(face.y),
            w: f64::from(face.w),
            h: f64::from(face.h),
        };
        // Never enlarged: an enlarged face has soft edges that its photo did not have.
        let side = face.w.min(207);
        let tall = (face.h * side).checked_div(face.w).unwrap_or(side).max(1);
        let mut patch = portrait.raster.framed(at, side, tall)?;
        let mut finished = portrait.raster.framed(portrait.frame, 358, 441)?;
        if let Some(colour) = &portrait.colour {
            colour.to_srgb(&mut patch);
            colour.to_srgb(&mut finished);
        }

        self.warn_below(
            CheckCode::Sharpness,
            laplacian_variance(&patch),
            limits.sharpness_min,
            "level²",
        );
        let mut levels = Zeroizing::new(patch.pixels().map(luma).collect::<Vec<u8>>());
        levels.sort_unstable();
        let dark = levels.iter().filter(|level| **level < DARK).count();
        let bright = levels.iter().filter(|level| **level > BRIGHT).count();
        let extreme = count(dark.max(bright)) / count(levels.len());
        self.warn_above(CheckCode::Exposure, extreme, limits.exposure_share_max, "share");
        let at_percent = |percent: usize| {
            levels
                .get(levels.len() * percent / 100)
                .copied()
                .map_or(0.0, f64::from)
        };
        let range = at_percent(98) - at_percent(2);
        self.warn_below(CheckCode::DynamicRange, range, limits.dynamic_range_min, "level");

        let (mean, deviation) = background(&finished);
        self.warn_below(CheckCode::Background, mean, limits.background_mean_min, "level");
        let most = limits.background_deviation_max;
        self.warn_above(CheckCode::BackgroundEvenness, deviation, most, "level");

        if let Some(eyes) = eyes {
            let red = red_share(&portrait.raster, eyes);
            self.warn_above(CheckCode::RedEyes, red, limits.red_share_max, "share");
        }
        let padding = padding_share(&portrait.raster, portrait.frame);
        self.warn_above(
            CheckCode::FrameTooTight,
            padding,
            limits.padding_share_max,
            "share",
        );
        self.warn_below(
            CheckCode::Colourless,
            channel_spread(&patch),
            limits.chroma_min,
            "level",
        );
        Ok(())
    }

    fn close(mut self, raster: &Raster, faces: Vec<Face>, guides: Option<Guides>, rules: &Rules) -> Judged {
        self.list.sort_by_key(|check| check.code);
        let failed = |level| {
            self.list
                .iter()
                .any(|check| check.level == level && !check.passed)
        };
        let verdict = if failed(Level::Hard) {
            Verdict::Refuse
        } else if failed(Level::Warn) {
            Verdict::Warn
        } else {
            Verdict::Accept
        };
        let judgement = Judgement {
            verdict,
            width: raster.width(),
            height: raster.height(),
            faces,
            checks: self.list,
            guides,
            rules: rules.version.clone(),
        };
        Judged {
            judgement,
            portrait: None,
        }
    }
}

/// The frame that brings the face to its width and place. A picture that has the profile's proportions and a face of the
/// right width in its middle is taken whole, so that a finished photo is not framed a second time.
fn frame(raster: &Raster, face: &Face, eyes: Option<&Eyes>, hair: Option<f64>, rules: &Rules) -> Frame {
    let geometry = &rules.geometry;
    let whole = raster.whole();
    let width = f64::from(face.w);
    let centre = f64::from(face.x) + width / 2.0;
    let scale = 358.0 / whole.w;
    let proportions = (whole.w / whole.h) / (358.0 / 441.0);
    let tolerance = geometry.face_width_tolerance;
    let eye_line = eyes.map_or(f64::from(face.y) + EYES_IN_BOX * f64::from(face.h), Eyes::line);
    let hair_top = hair.unwrap_or(f64::from(face.y) - HAIR_ABOVE_BOX * f64::from(face.h));
    if (0.995..=1.005).contains(&proportions)
        && (width * scale - geometry.face_width).abs() <= tolerance
        && ((centre - whole.w / 2.0) * scale).abs() <= tolerance
        && 441.0 - eye_line * scale >= geometry.eye_line_min
        && hair_top >= 0.0
    {
        return whole;
    }
    let scale = geometry.face_width / width;
    let (w, h) = (358.0 / scale, 441.0 / scale);
    let hair_wanted = f64::midpoint(geometry.hair_top_min, geometry.hair_top_max);
    let by_hair = hair_top - hair_wanted / scale;
    // The eye line wins: it may not be lower than this many pixels below the upper edge.
    let by_eyes = eye_line - (441.0 - geometry.eye_line_min) / scale;
    Frame {
        x: centre - w / 2.0,
        y: by_hair.max(by_eyes),
        w,
        h,
    }
}

/// The first row above the face where something stands before an even background; `None` where it is uneven or nothing
/// is found.
fn hair_top(raster: &Raster, face: &Face, deviation_max: f64) -> Option<f64> {
    let (x, y, w, h) = (
        f64::from(face.x),
        f64::from(face.y),
        f64::from(face.w),
        f64::from(face.h),
    );
    let top = (y - 1.1 * h).max(0.0);
    let beside = |x: f64| {
        raster
            .part(Frame {
                x,
                y: top,
                w: 0.25 * w,
                h: y + 0.2 * h - top,
            })
            .1
    };
    let mut even: Vec<[u8; 3]> = beside(x - 0.75 * w);
    even.extend(beside(x + 1.5 * w));
    let (means, deviation) = statistics(&even)?;
    if deviation > deviation_max {
        return None;
    }
    let (across, pixels) = raster.part(Frame {
        x,
        y: top,
        w,
        h: y + 0.2 * h - top,
    });
    if across == 0 {
        return None;
    }
    let row = pixels.chunks_exact(across).position(|row| {
        let different = row
            .iter()
            .filter(|pixel| {
                pixel
                    .iter()
                    .zip(means)
                    .any(|(value, mean)| (f64::from(*value) - mean).abs() > 40.0)
            })
            .count();
        count(different) >= 0.08 * count(across)
    })?;
    // Cut at the picture's own edge: the hair may go on above it.
    (row > 0).then(|| top.round() + count(row))
}

/// Mean per channel and the deviation of the brightness.
fn statistics(pixels: &[[u8; 3]]) -> Option<([f64; 3], f64)> {
    if pixels.is_empty() {
        return None;
    }
    let total = count(pixels.len());
    let mut means = [0.0; 3];
    for pixel in pixels {
        for (mean, value) in means.iter_mut().zip(pixel) {
            *mean += f64::from(*value) / total;
        }
    }
    let brightness = pixels.iter().map(|p| f64::from(luma(*p))).sum::<f64>() / total;
    let variance = pixels
        .iter()
        .map(|p| (f64::from(luma(*p)) - brightness).powi(2))
        .sum::<f64>()
        / total;
    Some((means, variance.sqrt()))
}

/// Mean and deviation of the brightness around the head in the finished picture, where broad hair does not reach: a
/// strip above the hair, both upper corners, and a narrow strip below each.
fn background(finished: &Raster) -> (f64, f64) {
    let top = Frame {
        x: 2.0,
        y: 2.0,
        w: 354.0,
        h: 4.0,
    };
    let corner = |x| Frame {
        x,
        y: 6.0,
        w: 36.0,
        h: 40.0,
    };
    let strip = |x| Frame {
        x,
        y: 46.0,
        w: 5.0,
        h: 94.0,
    };
    let pixels: Vec<[u8; 3]> = [top, corner(2.0), corner(320.0), strip(2.0), strip(351.0)]
        .into_iter()
        .flat_map(|part| finished.part(part).1)
        .collect();
    statistics(&pixels).map_or((0.0, 255.0), |(means, deviation)| {
        (means[0] * 0.299 + means[1] * 0.587 + means[2] * 0.114, deviation)
    })
}

/// Variance of the 4-neighbour Laplacian of the brightness: edges that are sharp make it large.
fn laplacian_variance(patch: &Raster) -> f64 {
    let width = patch.width() as usize;
    let grey: Vec<f64> = patch.pixels().map(|p| f64::from(luma(p))).collect();
    let rows: Vec<&[f64]> = grey.chunks_exact(width).collect();
    let mut values = Vec::with_capacity(grey.len());
    for around in rows.windows(3) {
        for x in 1..width.saturating_sub(1) {
            values
                .push(around[0][x] + around[2][x] + around[1][x - 1] + around[1][x + 1] - 4.0 * around[1][x]);
        }
    }
    if values.is_empty() {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / count(values.len());
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count(values.len())
}

/// Share of strongly red pixels around both eyes.
fn red_share(raster: &Raster, eyes: &Eyes) -> f64 {
    let radius = eyes.distance() * 0.09;
    let share = |(x, y): (f64, f64)| {
        let (_, pixels) = raster.part(Frame {
            x: x - radius,
            y: y - radius,
            w: 2.0 * radius,
            h: 2.0 * radius,
        });
        let red = pixels
            .iter()
            .filter(|[r, g, b]| *r > 90 && f64::from(*r) > 2.0 * f64::from((*g).max(*b)))
            .count();
        if pixels.is_empty() {
            0.0
        } else {
            count(red) / count(pixels.len())
        }
    };
    share(eyes.left).max(share(eyes.right))
}

/// Mean distance between a pixel's highest and lowest channel: 0 for a grey picture.
fn channel_spread(patch: &Raster) -> f64 {
    let spread = |[r, g, b]: [u8; 3]| f64::from(r.max(g).max(b) - r.min(g).min(b));
    patch.pixels().map(spread).sum::<f64>() / (f64::from(patch.width()) * f64::from(patch.height()))
}

/// Share of the frame that lies outside the picture.
fn padding_share(raster: &Raster, frame: Frame) -> f64 {
    let inside = |start: f64, length: f64, limit: u32| {
        ((start + length).min(f64::from(limit)) - start.max(0.0)).max(0.0) / length
    };
    1.0 - inside(frame.x, frame.w, raster.width()) * inside(frame.y, frame.h, raster.height())
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of pixels and bytes, far below 2^52"
)]
fn count(number: usize) -> f64 {
    number as f64
}
