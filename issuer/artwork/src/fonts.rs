//! The fonts of a card: named files in a fixed order, and which of them draws which character.
//!
//! The system's own fallback is never asked: it may restyle a whole run and it differs from machine to machine.
//! A text is split into runs by coverage, first font first. What is left out: vertical writing and right-to-left
//! scripts (a card prints a name in Han characters or in the letters of GB 18030 that these fonts draw).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use resvg::usvg::fontdb;

use crate::error::ArtworkError;

/// The font files that are looked for, in the order in which they are asked for a character.
///
/// Zen Hei covers GB 18030's common part; Noto CJK, Hanazono (Extension B to F) and `BabelStone` Han (G) follow where
/// they are installed.
pub(crate) const INSTALLED: [&str; 5] = [
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/hanazono/HanaMinA.ttf",
    "/usr/share/fonts/truetype/hanazono/HanaMinB.ttf",
    "/usr/share/fonts/truetype/babelstone/BabelStoneHan.ttf",
];

/// The plain blank, and the one of the width of a Han character, which stands in addresses on cards of before both were told
/// apart at intake.
const BLANKS: [char; 2] = [' ', '\u{3000}'];

/// The fonts of a card, in the order in which they are asked.
#[derive(Debug, Clone)]
pub struct CardFonts {
    database: Arc<fontdb::Database>,
    chain: Arc<[fontdb::ID]>,
}

/// A piece of text that one font draws.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run<'a> {
    /// Place of the font in the chain.
    pub(crate) font: usize,
    pub(crate) text: &'a str,
}

impl CardFonts {
    /// Loads the fonts of [`INSTALLED`] that this machine has.
    ///
    /// # Errors
    /// [`ArtworkError::NoFont`] if there is none, [`ArtworkError::FontUnreadable`] if a file is no font.
    pub fn installed() -> Result<Self, ArtworkError> {
        let found: Vec<PathBuf> = INSTALLED
            .iter()
            .map(PathBuf::from)
            .filter(|path| path.is_file())
            .collect();
        Self::from_files(&found)
    }

    /// Loads the named files; of a collection the first face is used.
    ///
    /// # Errors
    /// [`ArtworkError::NoFont`] for an empty list, [`ArtworkError::FontUnreadable`] if a file is no font.
    pub fn from_files<P: AsRef<Path>>(files: &[P]) -> Result<Self, ArtworkError> {
        let mut database = fontdb::Database::new();
        let mut chain = Vec::with_capacity(files.len());
        for file in files {
            let unreadable = || ArtworkError::FontUnreadable {
                file: file.as_ref().to_path_buf(),
            };
            let bytes = std::fs::read(file).map_err(|_| unreadable())?;
            let ids = database.load_font_source(fontdb::Source::Binary(Arc::new(bytes)));
            chain.push(*ids.first().ok_or_else(unreadable)?);
        }
        if chain.is_empty() {
            return Err(ArtworkError::NoFont);
        }
        Ok(Self {
            database: Arc::new(database),
            chain: chain.into(),
        })
    }

    pub(crate) fn database(&self) -> Arc<fontdb::Database> {
        Arc::clone(&self.database)
    }

    pub(crate) fn id(&self, place: usize) -> Option<fontdb::ID> {
        self.chain.get(place).copied()
    }

    /// The widths of the characters of `text` in the font at `place`, for a type of `size` px.
    pub(crate) fn advances(&self, place: usize, text: &str, size: f32) -> Vec<f32> {
        let measured = self.id(place).and_then(|id| {
            self.database.with_face_data(id, |data, index| {
                let face = ttf_parser::Face::parse(data, index).ok()?;
                let scale = size / f32::from(face.units_per_em());
                Some(
                    text.chars()
                        .map(|character| {
                            let glyph = face.glyph_index(character).unwrap_or_default();
                            f32::from(face.glyph_hor_advance(glyph).unwrap_or_default()) * scale
                        })
                        .collect(),
                )
            })
        });
        // A face that was read when the fonts were loaded reads again; a full em per character errs to the safe side.
        measured
            .flatten()
            .unwrap_or_else(|| vec![size; text.chars().count()])
    }

    /// The first font that draws `character`, by its place in the chain. A glyph without ink draws nothing that a reader of
    /// the card could see, whatever the font says: only blanks may be so.
    fn covering(&self, character: char) -> Option<usize> {
        self.chain.iter().position(|&id| {
            self.database
                .with_face_data(id, |data, index| {
                    ttf_parser::Face::parse(data, index)
                        .ok()
                        .and_then(|face| {
                            let glyph = face.glyph_index(character).filter(|glyph| glyph.0 != 0)?;
                            let has_ink = face.glyph_bounding_box(glyph).is_some();
                            (has_ink || BLANKS.contains(&character)).then_some(glyph)
                        })
                        .is_some()
                })
                .unwrap_or(false)
        })
    }

    /// Splits `text` into runs of one font each.
    ///
    /// # Errors
    /// The first character that no font draws.
    pub(crate) fn runs<'a>(&self, text: &'a str) -> Result<Vec<Run<'a>>, char> {
        let mut runs: Vec<(usize, usize, usize)> = Vec::new();
        for (start, character) in text.char_indices() {
            let end = start + character.len_utf8();
            let font = self.covering(character).ok_or(character)?;
            match runs.last_mut() {
                Some((last, _, until)) if *last == font => *until = end,
                _ => runs.push((font, start, end)),
            }
        }
        Ok(runs
            .into_iter()
            .filter_map(|(font, start, end)| text.get(start..end).map(|text| Run { font, text }))
            .collect())
    }
}

/// The name under which the font at `place` is asked for inside our SVG.
pub(crate) fn family(place: usize) -> String {
    format!("card-font-{place}")
}

pub(crate) fn place(family: &str) -> Option<usize> {
    family.strip_prefix("card-font-")?.parse().ok()
}
