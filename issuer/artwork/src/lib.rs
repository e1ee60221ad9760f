//! The faces of a card as PNG: 1011 x 638 px at 300 dpi, from an SVG template per face and jurisdiction.
//!
//! Decree 663 (居住证暂行条例), article 4, closes the list of what the front may show: ten items. The back shows the card
//! number, the chip's serial, a signed QR code without personal data, and what to do when the card is found.
//! Drawing stops on a character that no font draws and on a text that does not fit at the legal minimum: never a box,
//! never a cut name on a card. Left out: PDF output (the printer takes the raster), the printer itself.

mod fit;
mod fonts;
mod png;
pub mod qr;
mod sample;
mod template;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use resvg::{tiny_skia, usvg};

pub use fit::normalise_middle_dots;
pub use fonts::{CardFonts, INSTALLED};
pub use sample::{DIVISION as SAMPLE_DIVISION, sample_back, sample_front};
pub use template::{Area, Template};

/// Width of a face, px: 85.60 mm at 300 dpi.
pub const WIDTH: u32 = 1011;
/// Height of a face, px: 53.98 mm at 300 dpi.
pub const HEIGHT: u32 = 638;
/// Resolution written into the PNG: 300 dpi in px per metre.
pub const PIXELS_PER_METRE: u32 = 11_811;

/// How far ink may reach over the edge of its area, px: half a stroke and the anti-aliased edge.
const SLACK: f32 = 2.0;

/// Why a face was not drawn. Field names are the template's; no value is repeated but the one character without a glyph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArtworkError {
    /// No card font is installed.
    #[error("no card font is installed")]
    NoFont,
    /// A font file cannot be read as a font.
    #[error("the font file {} cannot be read as a font", file.display())]
    FontUnreadable {
        /// The file.
        file: PathBuf,
    },
    /// No font of the card draws a character.
    #[error("the item {field} holds the character U+{:04X}, which no installed card font draws", u32::from(*character))]
    MissingGlyph {
        /// The field of the template.
        field: String,
        /// The character.
        character: char,
    },
    /// A text does not fit at the legal minimum size.
    #[error("the item {field} does not fit on the card at the smallest type that the law allows")]
    Overflow {
        /// The field of the template.
        field: String,
    },
    /// A field of the template got no value.
    #[error("the item {field} has no value")]
    ValueMissing {
        /// The field of the template.
        field: String,
    },
    /// The portrait is no JPEG or PNG that can be drawn.
    #[error("the portrait cannot be decoded")]
    PhotoUnreadable,
    /// The QR code would have modules too small to print.
    #[error("the QR code does not fit its place")]
    QrTooLong,
    /// There is no template for a jurisdiction.
    #[error("there is no card template for the division {division}")]
    NoTemplate {
        /// GB/T 2260 division, 6 digits.
        division: String,
    },
    /// A template is wrong.
    #[error("the card template is wrong: {what}")]
    Template {
        /// What is wrong with it.
        what: String,
    },
}

impl ArtworkError {
    /// The code for programs, from a closed list.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoFont => "NO_CARD_FONT",
            Self::FontUnreadable { .. } => "FONT_UNREADABLE",
            Self::MissingGlyph { .. } => "MISSING_GLYPH",
            Self::Overflow { .. } => "TEXT_OVERFLOW",
            Self::ValueMissing { .. } => "FACE_ITEM_MISSING",
            Self::PhotoUnreadable => "PORTRAIT_UNREADABLE",
            Self::QrTooLong => "QR_TOO_LONG",
            Self::NoTemplate { .. } => "NO_CARD_TEMPLATE",
            Self::Template { .. } => "CARD_TEMPLATE",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::NoFont => "Install fonts-wqy-zenhei, or name font files with --font.",
            Self::FontUnreadable { .. } => "Install the font again, or take it out of the list.",
            Self::MissingGlyph { .. } => {
                "Install fonts-noto-cjk, fonts-hanazono or fonts-babelstone-han; if none of them has the character, open a rare-character work item. The card is not printed until then."
            }
            Self::Overflow { .. } => "Have the office shorten the text by its own rules, then order again.",
            Self::ValueMissing { .. } => "Complete the case, then order again.",
            Self::PhotoUnreadable => "Fetch the print rendition from the photo store again.",
            Self::QrTooLong => "Check the card number: it is longer than the format allows.",
            Self::NoTemplate { .. } => {
                "Add the jurisdiction's templates under issuer/artwork and their line in the table."
            }
            Self::Template { .. } => "Correct the template; `cargo test -p issuer --test artwork` checks it.",
        }
    }
}

/// The ten items of the front. Printed values are personal data: no `Clone`, and `Debug` shows none.
pub struct FrontFace {
    /// Name, in the spelling of the register.
    pub name: String,
    /// Sex in words.
    pub sex: String,
    /// Nation (GB/T 3304) in words.
    pub nation: String,
    /// Birth date.
    pub birth_date: jiff::civil::Date,
    /// Citizen number, 18 characters.
    pub citizen_number: String,
    /// Portrait: JPEG or PNG, the photo store's rendition `print`.
    pub photo: Vec<u8>,
    /// Address of the permanent hukou.
    pub hukou_address: String,
    /// Address of residence.
    pub residence_address: String,
    /// Issuing organ.
    pub issuing_organ: String,
    /// Issue date.
    pub issue_date: jiff::civil::Date,
}

impl std::fmt::Debug for FrontFace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("FrontFace(redacted)")
    }
}

/// What the back shows: no personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackFace {
    /// Card number, division, date of issue, and the document signer's signature over them: printed as QR code.
    pub statement: qr::Statement,
    /// Chip serial, 20 hexadecimal digits.
    pub card_serial: String,
}

/// A drawn face.
#[derive(Debug)]
pub struct Face {
    /// The PNG file.
    pub png: Vec<u8>,
    /// Where the ink of each text, the portrait and the QR code stand, by the ids of the template.
    pub boxes: Vec<(String, Area)>,
}

/// The two templates of a jurisdiction.
#[derive(Debug)]
struct Faces {
    /// Leading digits of the divisions that use it.
    divisions: &'static str,
    front: Template,
    back: Template,
}

/// Draws faces: fonts and templates, loaded once and shared.
#[derive(Debug)]
pub struct Artist {
    fonts: CardFonts,
    faces: Vec<Faces>,
}

/// The GB/T 2260 prefix of the divisions that a template serves, its front and its back.
const TEMPLATES: [(&str, &str, &str); 2] = [
    (
        "44",
        include_str!("../440000/front.svg"),
        include_str!("../440000/back.svg"),
    ),
    (
        "51",
        include_str!("../510000/front.svg"),
        include_str!("../510000/back.svg"),
    ),
];

impl Artist {
    /// Parses the built-in templates.
    ///
    /// # Errors
    /// [`ArtworkError::Template`] if one is wrong, which the tests of this crate rule out.
    pub fn new(fonts: CardFonts) -> Result<Self, ArtworkError> {
        let faces = TEMPLATES
            .iter()
            .map(|(divisions, front, back)| {
                Ok(Faces {
                    divisions,
                    front: Template::parse(front)?,
                    back: Template::parse(back)?,
                })
            })
            .collect::<Result<_, ArtworkError>>()?;
        Ok(Self { fonts, faces })
    }

    /// Draws the front for a permit of `division` (GB/T 2260, 6 digits).
    ///
    /// # Errors
    /// Every [`ArtworkError`]; nothing is drawn half-way.
    pub fn front(&self, division: &str, face: &FrontFace) -> Result<Face, ArtworkError> {
        check_photo(&face.photo)?;
        let values = BTreeMap::from([
            ("name", normalise_middle_dots(&face.name)),
            ("sex", face.sex.clone()),
            ("nation", face.nation.clone()),
            ("birth_date", date(face.birth_date)),
            ("citizen_number", face.citizen_number.clone()),
            ("hukou_address", face.hukou_address.clone()),
            ("residence_address", face.residence_address.clone()),
            ("issuing_organ", face.issuing_organ.clone()),
            ("issue_date", date(face.issue_date)),
        ]);
        self.draw(&self.of(division)?.front, &values, None, Some(&face.photo))
    }

    /// Draws the back for the division of its statement.
    ///
    /// # Errors
    /// Every [`ArtworkError`]; nothing is drawn half-way.
    pub fn back(&self, face: &BackFace) -> Result<Face, ArtworkError> {
        let values = BTreeMap::from([
            ("card_number", face.statement.card_number.clone()),
            ("card_serial", face.card_serial.clone()),
        ]);
        let payload = qr::payload(&face.statement);
        self.draw(
            &self.of(&face.statement.division)?.back,
            &values,
            Some(&payload),
            None,
        )
    }

    /// Whether there is a template for cards of this division (6 digits).
    ///
    /// # Errors
    /// [`ArtworkError::NoTemplate`].
    pub fn prints_for(&self, division: &str) -> Result<(), ArtworkError> {
        self.of(division).map(drop)
    }

    fn of(&self, division: &str) -> Result<&Faces, ArtworkError> {
        self.faces
            .iter()
            .find(|faces| division.starts_with(faces.divisions))
            .ok_or_else(|| ArtworkError::NoTemplate {
                division: division.to_owned(),
            })
    }

    fn draw(
        &self,
        template: &Template,
        values: &BTreeMap<&str, String>,
        qr: Option<&str>,
        photo: Option<&[u8]>,
    ) -> Result<Face, ArtworkError> {
        let filled = template.fill(values, qr, &self.fonts)?;
        let tree = usvg::Tree::from_str(&filled.svg, &self.options(photo)).map_err(|error| {
            ArtworkError::Template {
                what: format!("it is no SVG: {error}"),
            }
        })?;
        if tree.size().to_int_size().dimensions() != (WIDTH, HEIGHT) {
            return Err(ArtworkError::Template {
                what: format!("its size is not {WIDTH} x {HEIGHT}"),
            });
        }
        let mut boxes = Vec::new();
        collect(tree.root(), &mut boxes)?;
        for (id, area) in &filled.areas {
            let Some((_, ink)) = boxes.iter().find(|(name, _)| name == id) else {
                return Err(ArtworkError::Template {
                    what: format!("{id} is not drawn"),
                });
            };
            if !area.holds(ink, SLACK) {
                return Err(ArtworkError::Overflow { field: id.clone() });
            }
        }
        let mut pixmap = tiny_skia::Pixmap::new(WIDTH, HEIGHT).ok_or_else(|| ArtworkError::Template {
            what: "no size".into(),
        })?;
        pixmap.fill(tiny_skia::Color::WHITE);
        resvg::render(&tree, tiny_skia::Transform::identity(), &mut pixmap.as_mut());
        Ok(Face {
            png: png::encode(&pixmap),
            boxes,
        })
    }

    fn options(&self, photo: Option<&[u8]>) -> usvg::Options<'_> {
        let photo = photo.map(|bytes| Arc::new(bytes.to_vec()));
        let fonts = &self.fonts;
        usvg::Options {
            fontdb: fonts.database(),
            font_resolver: usvg::FontResolver {
                select_font: Box::new(move |font, _| {
                    font.families().iter().find_map(|wanted| match wanted {
                        usvg::FontFamily::Named(name) => place(name).and_then(|place| fonts.id(place)),
                        _ => None,
                    })
                }),
                // No fallback: a character without a glyph must stop the drawing.
                select_fallback: Box::new(|_, _, _| None),
            },
            // A template reaches nothing but the portrait: no file, no address.
            image_href_resolver: usvg::ImageHrefResolver {
                resolve_data: Box::new(|_, _, _| None),
                resolve_string: Box::new(move |href, _| {
                    let bytes = photo.as_ref().filter(|_| href == "card:photo")?;
                    Some(if bytes.starts_with(&PNG_MAGIC) {
                        usvg::ImageKind::PNG(Arc::clone(bytes))
                    } else {
                        usvg::ImageKind::JPEG(Arc::clone(bytes))
                    })
                }),
            },
            ..usvg::Options::default()
        }
    }
}

const PNG_MAGIC: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// Largest side of a portrait, px: more is no rendition of the photo store.
const LARGEST_PHOTO: u32 = 2_000;

/// A renderer skips a picture that it cannot decode: so it is decoded here first.
fn check_photo(photo: &[u8]) -> Result<(), ArtworkError> {
    let Ok(format @ (image::ImageFormat::Jpeg | image::ImageFormat::Png)) = image::guess_format(photo) else {
        return Err(ArtworkError::PhotoUnreadable);
    };
    let mut reader = image::ImageReader::with_format(std::io::Cursor::new(photo), format);
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(LARGEST_PHOTO);
    limits.max_image_height = Some(LARGEST_PHOTO);
    reader.limits(limits);
    reader
        .decode()
        .map(|_| ())
        .map_err(|_| ArtworkError::PhotoUnreadable)
}

/// The name under which the font at `place` is asked for inside our SVG.
fn family(place: usize) -> String {
    format!("card-font-{place}")
}

fn place(family: &str) -> Option<usize> {
    family.strip_prefix("card-font-")?.parse().ok()
}

/// The ink of every named text and picture; stops on a glyph that is not there.
fn collect(group: &usvg::Group, boxes: &mut Vec<(String, Area)>) -> Result<(), ArtworkError> {
    for node in group.children() {
        let (id, ink) = match node {
            usvg::Node::Group(group) => {
                collect(group, boxes)?;
                // A portrait that is cut to its frame becomes a clipped group with the picture's id.
                let clipped = group
                    .layer_bounding_box()
                    .transform(group.abs_transform())
                    .unwrap_or(group.layer_bounding_box());
                (group.id(), clipped.to_rect())
            }
            usvg::Node::Text(text) => {
                if let Some(glyph) = text
                    .layouted()
                    .iter()
                    .flat_map(|span| &span.positioned_glyphs)
                    .find(|glyph| glyph.id.0 == 0)
                {
                    return Err(ArtworkError::MissingGlyph {
                        field: text.id().to_owned(),
                        character: glyph.text.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER),
                    });
                }
                (text.id(), text.flattened().abs_bounding_box())
            }
            usvg::Node::Image(image) => (image.id(), image.abs_bounding_box()),
            usvg::Node::Path(path) => (path.id(), path.abs_bounding_box()),
        };
        if !id.is_empty() {
            boxes.push((
                id.to_owned(),
                Area {
                    x: ink.x(),
                    y: ink.y(),
                    width: ink.width(),
                    height: ink.height(),
                },
            ));
        }
    }
    Ok(())
}

/// A date as the card prints it.
fn date(date: jiff::civil::Date) -> String {
    format!("{}年{}月{}日", date.year(), date.month(), date.day())
}
