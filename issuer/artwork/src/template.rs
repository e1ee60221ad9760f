//! A card face as an SVG template: which text stands where, and the SVG with the values of one card in place.
//!
//! A template is plain SVG 1.1 that any editor opens. Attributes of the name space `urn:yzt:card-face:1` say where a
//! value may stand (`area`, x y width height in px), how it may be fitted (`fit`, `lines`, `min`). Left out: styles by
//! CSS, nested transforms around a field (an area is in card px).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use resvg::usvg::roxmltree;

use crate::area::Area;
use crate::error::ArtworkError;
use crate::face::{HEIGHT, WIDTH};
use crate::fit::{Breaks, Demand, LINE_HEIGHT, REFERENCE};
use crate::fonts::{CardFonts, family};
use crate::{fit, qr};

const NAME_SPACE: &str = "urn:yzt:card-face:1";

/// Name of what is written across a whole face.
const MARK: &str = "specimen";

/// Part of the type size that stands above the base line of a Han character.
const ABOVE: f32 = 0.86;

/// What stands in an area.
#[derive(Debug, Clone)]
enum Content {
    /// A text of the template itself: a label.
    Label(String),
    /// A value of the card.
    Value { area: Area, demand: Demand },
    /// The portrait.
    Photo(Area),
    /// The QR code.
    Qr(Area),
}

/// A piece of the template that is written anew for each card.
#[derive(Debug, Clone)]
struct Place {
    id: String,
    /// Bytes of the element in the template.
    range: Range<usize>,
    /// Attributes that are kept, already escaped, with a leading space each.
    kept: String,
    content: Content,
}

/// A parsed template of one card face.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    source: String,
    places: Vec<Place>,
}

/// The SVG of one card and the areas that its texts must stay in.
pub(crate) struct Filled {
    pub(crate) svg: String,
    pub(crate) areas: BTreeMap<String, Area>,
}

impl Template {
    /// Parses a template and checks that its areas lie on the card and do not overlap.
    ///
    /// # Errors
    /// [`ArtworkError::Template`] with what is wrong and where.
    pub(crate) fn parse(source: &str) -> Result<Self, ArtworkError> {
        let broken = |what: String| ArtworkError::Template { what };
        let document =
            roxmltree::Document::parse(source).map_err(|error| broken(format!("it is no XML: {error}")))?;
        let mut places = Vec::new();
        for node in document.descendants().filter(roxmltree::Node::is_element) {
            let tag = node.tag_name().name();
            let area = node.attribute((NAME_SPACE, "area"));
            if tag != "text" && area.is_none() {
                continue;
            }
            let id = node
                .attribute("id")
                .ok_or_else(|| broken(format!("a {tag} element has no id")))?
                .to_owned();
            let content = match (tag, area) {
                ("text", None) => Content::Label(node.text().unwrap_or_default().trim().to_owned()),
                ("text", Some(area)) => {
                    let area = parse_area(area)
                        .ok_or_else(|| broken(format!("{id}: the area is not four numbers on the card")))?;
                    Content::Value {
                        area,
                        demand: demand(&node, area)
                            .ok_or_else(|| broken(format!("{id}: fit, lines, min or font-size")))?,
                    }
                }
                ("image", Some(area)) => {
                    Content::Photo(parse_area(area).ok_or_else(|| broken(format!("{id}: the area")))?)
                }
                ("path", Some(area)) => {
                    Content::Qr(parse_area(area).ok_or_else(|| broken(format!("{id}: the area")))?)
                }
                _ => return Err(broken(format!("{id}: a {tag} element holds no card content"))),
            };
            if places.iter().any(|place: &Place| place.id == id) {
                return Err(broken(format!("{id} comes twice")));
            }
            places.push(Place {
                range: node.range(),
                kept: kept(&node, &content),
                id,
                content,
            });
        }
        let template = Self {
            source: source.to_owned(),
            places,
        };
        template.check_areas()?;
        Ok(template)
    }

    /// Writes `mark` across the face, in red that lets everything below it be read; a QR code is left free, so that it scans.
    fn write_mark(&self, svg: &mut String, mark: &str, fonts: &CardFonts) -> Result<(), ArtworkError> {
        let place = Place {
            id: MARK.to_owned(),
            range: 0..0,
            kept: format!(" id=\"{MARK}\" fill=\"#c8102e\" fill-opacity=\"0.42\" text-anchor=\"middle\""),
            content: Content::Label(String::new()),
        };
        let codes = self.places.iter().filter_map(|place| match place.content {
            Content::Qr(area) => Some(area),
            _ => None,
        });
        #[expect(clippy::cast_precision_loss, reason = "the card's own size")]
        let (width, height) = (WIDTH as f32, HEIGHT as f32);
        // The room left and right of the codes: the mark stands in the wider one.
        let (mut left, mut right) = (0.0_f32, width);
        for code in codes {
            if code.x - left >= right - (code.x + code.width) {
                right = right.min(code.x);
            } else {
                left = left.max(code.x + code.width);
            }
        }
        let ems: f32 = advances(mark, fonts)
            .map_err(|character| ArtworkError::MissingGlyph {
                field: MARK.to_owned(),
                character,
            })?
            .iter()
            .sum::<f32>()
            / REFERENCE;
        let size = ((right - left) * 0.8 / ems).min(height * 0.24);
        let (x, y) = (f32::midpoint(left, right), height / 2.0);
        let _ = write!(svg, "<g transform=\"rotate(-16 {x} {y})\">");
        write_text(
            svg,
            &place,
            &[(mark.to_owned(), Some((x, y + 0.36 * size, size)))],
            fonts,
        )?;
        svg.push_str("</g>");
        Ok(())
    }

    fn check_areas(&self) -> Result<(), ArtworkError> {
        let areas: Vec<(&str, Area)> = self.areas().collect();
        for (index, (id, area)) in areas.iter().enumerate() {
            if let Some((other, _)) = areas
                .iter()
                .skip(index + 1)
                .find(|(_, other)| area.overlaps(other))
            {
                return Err(ArtworkError::Template {
                    what: format!("the areas of {id} and {other} overlap"),
                });
            }
        }
        Ok(())
    }

    /// The areas of values, portrait and QR code.
    fn areas(&self) -> impl Iterator<Item = (&str, Area)> {
        self.places.iter().filter_map(|place| match place.content {
            Content::Label(_) => None,
            Content::Value { area, .. } | Content::Photo(area) | Content::Qr(area) => {
                Some((place.id.as_str(), area))
            }
        })
    }

    /// Whether this is the portrait's place.
    pub(crate) fn is_photo(&self, id: &str) -> bool {
        self.places
            .iter()
            .any(|place| place.id == id && matches!(place.content, Content::Photo(_)))
    }

    /// Every value that cannot be set, in the order of the template.
    pub(crate) fn faults(&self, values: &BTreeMap<&str, String>, fonts: &CardFonts) -> Vec<ArtworkError> {
        self.places
            .iter()
            .filter_map(|place| match place.content {
                Content::Value { area, demand } => value_of(place, values)
                    .and_then(|value| set_lines(place, area, demand, value, fonts))
                    .err(),
                _ => None,
            })
            .collect()
    }

    /// Writes the SVG of one card. `qr` is the payload of the QR code, `mark` what is written across the whole face.
    pub(crate) fn fill(
        &self,
        values: &BTreeMap<&str, String>,
        qr: Option<&str>,
        mark: Option<&str>,
        fonts: &CardFonts,
    ) -> Result<Filled, ArtworkError> {
        let mut svg = String::with_capacity(self.source.len() + 16 * 1024);
        let mut from = 0;
        for place in &self.places {
            svg.push_str(self.source.get(from..place.range.start).unwrap_or_default());
            from = place.range.end;
            match &place.content {
                Content::Label(text) => write_text(&mut svg, place, &[(text.clone(), None)], fonts)?,
                Content::Value { area, demand } => {
                    let value = value_of(place, values)?;
                    let lines = set_lines(place, *area, *demand, value, fonts)?;
                    write_text(&mut svg, place, &lines, fonts)?;
                }
                Content::Photo(_) => {
                    let _ = write!(svg, "<image{}/>", place.kept);
                }
                Content::Qr(area) => {
                    let payload = qr.ok_or_else(|| ArtworkError::ValueMissing {
                        field: place.id.clone(),
                    })?;
                    let path = qr::path(payload, area.x, area.y, area.width.min(area.height))?;
                    let _ = write!(
                        svg,
                        "<path{} shape-rendering=\"crispEdges\" d=\"{path}\"/>",
                        place.kept
                    );
                }
            }
        }
        let rest = self.source.get(from..).unwrap_or_default();
        match (mark, rest.rsplit_once("</svg>")) {
            (Some(mark), Some((before, after))) => {
                svg.push_str(before);
                self.write_mark(&mut svg, mark, fonts)?;
                svg.push_str("</svg>");
                svg.push_str(after);
            }
            _ => svg.push_str(rest),
        }
        Ok(Filled {
            svg,
            areas: self.areas().map(|(id, area)| (id.to_owned(), area)).collect(),
        })
    }
}

fn value_of<'a>(place: &Place, values: &'a BTreeMap<&str, String>) -> Result<&'a str, ArtworkError> {
    let value = values.get(place.id.as_str()).map(String::as_str);
    value.ok_or_else(|| ArtworkError::ValueMissing {
        field: place.id.clone(),
    })
}

/// A line, and where it stands: x, base line, type size. `None`: where the template's own attributes say.
type Line = (String, Option<(f32, f32, f32)>);

fn set_lines(
    place: &Place,
    area: Area,
    demand: Demand,
    value: &str,
    fonts: &CardFonts,
) -> Result<Vec<Line>, ArtworkError> {
    let value = value.trim();
    if value.is_empty() {
        return Err(ArtworkError::ValueMissing {
            field: place.id.clone(),
        });
    }
    let advances = advances(value, fonts).map_err(|character| ArtworkError::MissingGlyph {
        field: place.id.clone(),
        character,
    })?;
    let fitted = fit::fit(value, &advances, demand).ok_or_else(|| ArtworkError::Overflow {
        field: place.id.clone(),
    })?;
    #[expect(clippy::cast_precision_loss, reason = "a handful of lines")]
    let height = fitted.size * (1.0 + (fitted.lines.len() as f32 - 1.0) * LINE_HEIGHT);
    let mut base_line = area.y + (area.height - height) / 2.0 + ABOVE * fitted.size;
    let mut lines = Vec::with_capacity(fitted.lines.len());
    for line in fitted.lines {
        lines.push((line, Some((area.x, base_line, fitted.size))));
        base_line += LINE_HEIGHT * fitted.size;
    }
    Ok(lines)
}

/// The width of each character at the reference size.
fn advances(text: &str, fonts: &CardFonts) -> Result<Vec<f32>, char> {
    let mut advances = Vec::with_capacity(text.len() / 3);
    for run in fonts.runs(text)? {
        advances.extend(fonts.advances(run.font, run.text, REFERENCE));
    }
    Ok(advances)
}

fn write_text(
    svg: &mut String,
    place: &Place,
    lines: &[Line],
    fonts: &CardFonts,
) -> Result<(), ArtworkError> {
    let _ = write!(svg, "<text xml:space=\"preserve\"{}>", place.kept);
    for (text, position) in lines {
        let runs = fonts.runs(text).map_err(|character| ArtworkError::MissingGlyph {
            field: place.id.clone(),
            character,
        })?;
        for (index, run) in runs.iter().enumerate() {
            let _ = write!(svg, "<tspan font-family=\"{}\"", family(run.font));
            if let (0, Some((x, y, size))) = (index, position) {
                let _ = write!(svg, " x=\"{x}\" y=\"{y}\"");
                let _ = write!(svg, " font-size=\"{size}\"");
            } else if let Some((_, _, size)) = position {
                let _ = write!(svg, " font-size=\"{size}\"");
            }
            let _ = write!(svg, ">{}</tspan>", escape(run.text));
        }
    }
    svg.push_str("</text>");
    Ok(())
}

fn kept(node: &roxmltree::Node<'_, '_>, content: &Content) -> String {
    let mut kept = String::new();
    for attribute in node.attributes() {
        let dropped = match content {
            Content::Value { .. } => matches!(attribute.name(), "x" | "y" | "font-size" | "font-family"),
            Content::Label(_) => attribute.name() == "font-family",
            Content::Qr(_) => attribute.name() == "d",
            Content::Photo(_) => false,
        };
        if attribute.namespace().is_none() && !dropped {
            let _ = write!(kept, " {}=\"{}\"", attribute.name(), escape(attribute.value()));
        }
    }
    kept
}

fn demand(node: &roxmltree::Node<'_, '_>, area: Area) -> Option<Demand> {
    let number = |name: &str| node.attribute((NAME_SPACE, name)).map(str::parse::<f32>);
    // A name is set smaller by a quarter, an address by a tenth, before it takes a second line.
    let (breaks, comfort) = match node.attribute((NAME_SPACE, "fit"))? {
        "line" => (Breaks::Never, 0.0),
        "name" => (Breaks::AfterMiddleDot, 0.75),
        "address" => (Breaks::Anywhere, 0.9),
        _ => return None,
    };
    let lines = node
        .attribute((NAME_SPACE, "lines"))
        .map_or(Some(1), |lines| lines.parse().ok())?;
    let full: f32 = node.attribute("font-size")?.parse().ok()?;
    let minimum = number("min")?.ok()?;
    let spacing = node
        .attribute("letter-spacing")
        .map_or(Some(0.0), |spacing| spacing.parse().ok())?;
    (minimum > 0.0 && minimum <= full && (1..=4).contains(&lines)).then_some(Demand {
        width: area.width,
        height: area.height,
        full,
        minimum,
        lines,
        breaks,
        comfortable: full * comfort,
        spacing,
    })
}

fn parse_area(text: &str) -> Option<Area> {
    let numbers: Vec<f32> = text
        .split_ascii_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let &[x, y, width, height] = numbers.as_slice() else {
        return None;
    };
    #[expect(clippy::cast_precision_loss, reason = "the card's own size")]
    let card = Area {
        x: 0.0,
        y: 0.0,
        width: WIDTH as f32,
        height: HEIGHT as f32,
    };
    let area = Area { x, y, width, height };
    (width > 0.0 && height > 0.0 && card.holds(&area, 0.0)).then_some(area)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(body: &str) -> Result<Template, ArtworkError> {
        Template::parse(&format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" xmlns:card="urn:yzt:card-face:1" width="1011" height="638">{body}</svg>"#
        ))
    }

    #[test]
    fn areas_that_overlap_are_refused() {
        let error = template(
            r#"<text id="a" card:area="0 0 100 50" card:fit="line" card:min="21" font-size="30">x</text>
               <text id="b" card:area="99 0 100 50" card:fit="line" card:min="21" font-size="30">x</text>"#,
        )
        .unwrap_err();
        assert_eq!(
            error,
            ArtworkError::Template {
                what: "the areas of a and b overlap".into()
            }
        );
    }

    #[test]
    fn an_area_beside_the_card_is_refused() {
        assert!(template(r#"<text id="a" card:area="1000 0 100 50" card:fit="line" card:min="21" font-size="30">x</text>"#).is_err());
    }

    #[test]
    fn a_value_that_nobody_gave_stops() {
        let fonts = CardFonts::installed().unwrap();
        let template = template(
            r#"<text id="a" card:area="0 0 100 50" card:fit="line" card:min="21" font-size="30">x</text>"#,
        )
        .unwrap();
        assert_eq!(
            template.fill(&BTreeMap::new(), None, None, &fonts).err(),
            Some(ArtworkError::ValueMissing { field: "a".into() })
        );
    }

    #[test]
    fn markup_in_a_value_stays_text() {
        let fonts = CardFonts::installed().unwrap();
        let template = template(
            r#"<text id="a" card:area="0 0 900 50" card:fit="line" card:min="21" font-size="30">x</text>"#,
        )
        .unwrap();
        let filled = template
            .fill(&BTreeMap::from([("a", "<b>&\"".to_owned())]), None, None, &fonts)
            .unwrap();
        assert!(filled.svg.contains("&lt;b&gt;&amp;&quot;"));
    }
}
