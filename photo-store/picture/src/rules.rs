//! The photo profiles, the geometry of the head and the limits of the checks, read from versioned data.
//!
//! The data is `profiles/profiles.toml`, with a source and a grade per block. It is part of the program: a photo's record
//! names the version that judged it. Left out: any limit in code.

use photo_store_protocol::Profile;
use serde::Deserialize;

use crate::error::Error;

const BUILT_IN: &str = include_str!("../profiles/profiles.toml");

/// All rules of one version.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Version of the file, such as `2026-11`.
    pub version: String,
    /// The renditions.
    #[serde(rename = "profile")]
    profiles: Vec<ProfileRule>,
    /// What becomes of a page of a paper.
    pub page: PageRule,
    /// Where the head has to be.
    pub(crate) geometry: Geometry,
    /// Limits of the checks.
    pub(crate) limits: Limits,
}

/// One rendition.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileRule {
    #[serde(deserialize_with = "profile_name")]
    /// Which.
    pub(crate) name: Profile,
    /// Version of this profile.
    pub version: u32,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Pixels per inch, both ways, written into the file.
    pub dpi: u16,
    /// Smaller files are encoded again with a higher quality, in bytes.
    pub(crate) bytes_min: usize,
    /// Larger files are encoded again with a lower quality, in bytes.
    pub(crate) bytes_target: usize,
    /// What no file may exceed, in bytes.
    pub(crate) bytes_max: usize,
    /// Quality to start from, 1 to 100 (the scale of the Independent JPEG Group).
    pub(crate) quality_near: u8,
    /// Lowest quality to try.
    pub(crate) quality_min: u8,
    /// Highest quality to try.
    pub(crate) quality_max: u8,
    /// Chroma subsampling.
    pub(crate) chroma: Chroma,
    /// Where the numbers come from.
    source: String,
    /// How well that is known.
    #[serde(rename = "grade")]
    _grade: Grade,
}

/// A page of a paper: what it must have, and what it becomes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageRule {
    /// Version of this rule.
    pub version: u32,
    /// The longer side is scaled down to this many pixels.
    pub long_side_max: u32,
    /// A page whose shorter side has fewer pixels cannot be read.
    pub(crate) short_side_min: u32,
    /// Least levels between the 2nd and the 98th percentile of brightness.
    pub(crate) contrast_min: f64,
    /// Quality to start from, 1 to 100.
    pub(crate) quality_near: u8,
    /// Lowest quality to try.
    pub(crate) quality_min: u8,
    /// What no file may exceed, in bytes.
    pub bytes_max: usize,
    /// Where the numbers come from.
    source: String,
    /// How well that is known.
    #[serde(rename = "grade")]
    _grade: Grade,
}

/// How many colour samples a JPEG keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Chroma {
    /// One per pixel.
    #[serde(rename = "4:4:4")]
    Full,
    /// One per four pixels.
    #[serde(rename = "4:2:0")]
    Quarter,
}

/// How well a number is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Grade {
    /// A public text quotes the standard.
    P,
    /// Verified by calculation.
    V,
    /// Measured by us.
    M,
    /// Our rule, where no text says anything.
    R,
}

/// Where the head has to be in the 358 x 441 picture, in its pixels.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Geometry {
    /// Width of the face.
    pub(crate) face_width: f64,
    /// Allowed difference from it, and of the face's centre from the picture's.
    pub(crate) face_width_tolerance: f64,
    /// Least distance of the hair from the upper edge.
    pub(crate) hair_top_min: f64,
    /// Greatest distance of the hair from the upper edge.
    pub(crate) hair_top_max: f64,
    /// Least distance of the eye line from the lower edge; wins a conflict.
    pub(crate) eye_line_min: f64,
    /// Where the numbers come from.
    source: String,
    /// How well that is known.
    #[serde(rename = "grade")]
    _grade: Grade,
}

/// Limits of the checks; what each means, and its unit, stands beside its value in the data file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) face_width_hard_min: f64,
    pub(crate) second_face_share: f64,
    pub(crate) sharpness_min: f64,
    pub(crate) exposure_share_max: f64,
    pub(crate) dynamic_range_min: f64,
    pub(crate) background_mean_min: f64,
    pub(crate) background_deviation_max: f64,
    pub(crate) roll_max: f64,
    pub(crate) red_share_max: f64,
    pub(crate) padding_share_max: f64,
    pub(crate) chroma_min: f64,
    source: String,
    #[serde(rename = "grade")]
    _grade: Grade,
}

impl Rules {
    /// The rules that this program was built with.
    ///
    /// # Errors
    /// [`Error::Rules`] when the data is not usable; a test makes sure that it is.
    pub fn built_in() -> Result<Self, Error> {
        let rules: Self = toml::from_str(BUILT_IN).map_err(|_| Error::Rules("not readable"))?;
        for profile in Profile::ALL {
            let rule = rules.profile(*profile)?;
            let qualities = rule.quality_min <= rule.quality_near && rule.quality_near <= rule.quality_max;
            let sizes = rule.bytes_min <= rule.bytes_target && rule.bytes_target <= rule.bytes_max;
            if !(qualities
                && sizes
                && rule.quality_min > 0
                && rule.quality_max <= 100
                && rule.width * rule.height > 0)
            {
                return Err(Error::Rules("contradicting numbers"));
            }
        }
        let mut sources = rules.profiles.iter().map(|rule| &rule.source);
        let others = [&rules.geometry.source, &rules.limits.source, &rules.page.source];
        if sources.any(String::is_empty) || others.iter().any(|source| source.is_empty()) {
            return Err(Error::Rules("a source is missing"));
        }
        Ok(rules)
    }

    /// The rule of a profile.
    ///
    /// # Errors
    /// [`Error::Rules`] when the data lacks it.
    pub fn profile(&self, profile: Profile) -> Result<&ProfileRule, Error> {
        self.profiles
            .iter()
            .find(|rule| rule.name == profile)
            .ok_or(Error::Rules("a profile is missing"))
    }
}

fn profile_name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Profile, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse()
        .map_err(|_| serde::de::Error::custom("unknown profile"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_have_every_profile_with_source_and_grade() {
        let rules = Rules::built_in().unwrap();
        let archive = rules.profile(Profile::Ga461).unwrap();
        assert_eq!((archive.width, archive.height, archive.dpi), (358, 441, 350));
        assert_eq!(
            (archive.bytes_min, archive.bytes_target, archive.bytes_max),
            (14_000, 20_000, 30_000)
        );
        assert_eq!(rules.profile(Profile::Chip).unwrap().bytes_max, 6_000);
        assert!(
            Profile::ALL
                .iter()
                .all(|p| !rules.profile(*p).unwrap().source.is_empty())
        );
    }
}
