//! Draws faces: fonts and templates, loaded once and shared; nothing is drawn half-way.

use std::collections::BTreeMap;
use std::sync::Arc;

use resvg::{tiny_skia, usvg};

use crate::area::Area;
use crate::error::ArtworkError;
use crate::face::{BackFace, Face, FrontFace, HEIGHT, WIDTH};
use crate::fonts::{CardFonts, place};
use crate::template::Template;
use crate::{png, qr};

/// How far ink may reach over the edge of its area, px: half a stroke and the anti-aliased edge.
const SLACK: f32 = 2.0;

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
    /// Whether every face that is drawn is marked as a specimen.
    specimens: bool,
}

/// What stands over a card that is none.
const SPECIMEN: &str = "样本 SPECIMEN";

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
        Ok(Self {
            fonts,
            faces,
            specimens: false,
        })
    }

    /// The same artist for an installation whose cards are none: 样本 SPECIMEN stands over every face.
    #[must_use]
    pub fn of_specimens(self, specimens: bool) -> Self {
        Self { specimens, ..self }
    }

    /// Draws the front for a permit of `division` (GB/T 2260, 6 digits).
    ///
    /// # Errors
    /// Every [`ArtworkError`]; nothing is drawn half-way.
    pub fn front(&self, division: &str, face: &FrontFace) -> Result<Face, ArtworkError> {
        check_photo(&face.photo)?;
        self.draw(
            &self.of(division)?.front,
            &front_values(face),
            None,
            Some(&face.photo),
        )
    }

    /// Whether the texts of a front can be printed on a card of `division` (6 digits), as [`Artist::front`] would lay them
    /// out, before there is a portrait: nothing is drawn, and [`FrontFace::photo`] is not looked at.
    ///
    /// # Errors
    /// Every text that cannot be printed, each with its field: [`ArtworkError::MissingGlyph`], [`ArtworkError::Overflow`],
    /// [`ArtworkError::ValueMissing`]; alone [`ArtworkError::NoTemplate`] and [`ArtworkError::Template`].
    pub fn check_front(&self, division: &str, face: &FrontFace) -> Result<(), Vec<ArtworkError>> {
        let template = &self.of(division).map_err(|error| vec![error])?.front;
        let values = front_values(face);
        let faults = template.faults(&values, &self.fonts);
        if !faults.is_empty() {
            return Err(faults);
        }
        self.lay_out(template, &values, None, None)
            .map(drop)
            .map_err(|error| vec![error])
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
        let (tree, boxes) = self.lay_out(template, values, qr, photo)?;
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

    /// The face as it would be drawn, and where its ink stands: every glyph is there, every value within its area. Without
    /// a photo the place of the portrait stays empty.
    fn lay_out(
        &self,
        template: &Template,
        values: &BTreeMap<&str, String>,
        qr: Option<&str>,
        photo: Option<&[u8]>,
    ) -> Result<(usvg::Tree, Boxes), ArtworkError> {
        let mark = self.specimens.then_some(SPECIMEN);
        let filled = template.fill(values, qr, mark, &self.fonts)?;
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
        let mut boxes = Boxes::new();
        collect(tree.root(), &mut boxes)?;
        for (id, area) in &filled.areas {
            match boxes.iter().find(|(name, _)| name == id) {
                Some((_, ink)) if area.holds(ink, SLACK) => {}
                Some(_) => return Err(ArtworkError::Overflow { field: id.clone() }),
                None if photo.is_none() && template.is_photo(id) => {}
                None => {
                    return Err(ArtworkError::Template {
                        what: format!("{id} is not drawn"),
                    });
                }
            }
        }
        Ok((tree, boxes))
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

/// Where the ink of each named text and picture stands.
type Boxes = Vec<(String, Area)>;

/// The texts of the front, by the ids of the template: as they are, for the chip holds the same.
fn front_values(face: &FrontFace) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("name", face.name.clone()),
        ("sex", face.sex.clone()),
        ("nation", face.nation.clone()),
        ("birth_date", date(face.birth_date)),
        ("citizen_number", face.citizen_number.clone()),
        ("hukou_address", face.hukou_address.clone()),
        ("residence_address", face.residence_address.clone()),
        ("issuing_organ", face.issuing_organ.clone()),
        ("issue_date", date(face.issue_date)),
    ])
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

/// The ink of every named text and picture; stops on a glyph that is not there.
fn collect(group: &usvg::Group, boxes: &mut Boxes) -> Result<(), ArtworkError> {
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
