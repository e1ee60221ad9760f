//! The faces of a card: size, resolution, areas, and every reason to stop.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

use std::io::Cursor;

use issuer_artwork::{
    Area, Artist, ArtworkError, CardFonts, Face, FrontFace, HEIGHT, WIDTH, qr, sample_back, sample_front,
};
use rstest::rstest;

const NANSHAN: &str = "440305";

fn artist() -> Artist {
    Artist::new(CardFonts::installed().unwrap()).unwrap()
}

fn front(change: impl FnOnce(&mut FrontFace)) -> Result<Face, ArtworkError> {
    let mut face = sample_front(None);
    change(&mut face);
    artist().front(NANSHAN, &face)
}

fn find(face: &Face, id: &str) -> Area {
    face.boxes
        .iter()
        .find(|(name, _)| name == id)
        .map(|(_, area)| *area)
        .unwrap()
}

/// The linter: ink of no two named things may touch, and nothing reaches over the card's safe edge.
fn lint(face: &Face) {
    let edge = Area {
        x: 24.0,
        y: 12.0,
        width: 1011.0 - 48.0,
        height: 638.0 - 24.0,
    };
    for (index, (id, area)) in face.boxes.iter().enumerate() {
        assert!(edge.holds(area, 0.0), "{id} is too near to the edge: {area:?}");
        for (other, place) in &face.boxes[index + 1..] {
            assert!(!area.overlaps(place), "{id} {area:?} overlaps {other} {place:?}");
        }
    }
}

fn png(face: &Face) -> png::Reader<Cursor<&[u8]>> {
    png::Decoder::new(Cursor::new(face.png.as_slice()))
        .read_info()
        .unwrap()
}

#[test]
fn both_faces_are_card_size_at_300_dpi() {
    let artist = artist();
    for face in [
        artist.front(NANSHAN, &sample_front(None)).unwrap(),
        artist.back(&sample_back()).unwrap(),
    ] {
        let reader = png(&face);
        assert_eq!((reader.info().width, reader.info().height), (WIDTH, HEIGHT));
        assert_eq!((WIDTH, HEIGHT), (1011, 638));
        let dims = reader.info().pixel_dims.unwrap();
        assert_eq!(
            (dims.xppu, dims.yppu, dims.unit),
            (11_811, 11_811, png::Unit::Meter)
        );
        assert_eq!(reader.info().color_type, png::ColorType::Rgb);
    }
}

#[test]
fn the_same_values_draw_the_same_bytes() {
    assert_eq!(front(|_| {}).unwrap().png, front(|_| {}).unwrap().png);
}

#[test]
fn the_front_shows_the_ten_items_of_the_law_and_nothing_else() {
    let face = front(|_| {}).unwrap();
    let mut items: Vec<&str> = face
        .boxes
        .iter()
        .map(|(id, _)| id.as_str())
        .filter(|id| !id.starts_with("label-") && !id.starts_with("title"))
        .collect();
    items.sort_unstable();
    assert_eq!(
        items,
        [
            "birth_date",
            "citizen_number",
            "hukou_address",
            "issue_date",
            "issuing_organ",
            "name",
            "nation",
            "photo",
            "residence_address",
            "sex"
        ]
    );
}

#[test]
fn the_sample_faces_keep_clear_of_each_other_and_of_the_edge() {
    lint(&front(|_| {}).unwrap());
    lint(&artist().back(&sample_back()).unwrap());
}

#[test]
fn the_longest_permitted_values_are_laid_out_without_overlap() {
    let face = front(|face| {
        face.name = format!("{}·{}", "阿".repeat(19), "卜".repeat(20));
        face.sex = "未说明".into();
        face.nation = "外国血统中国籍人士".into();
        face.birth_date = jiff::civil::date(1988, 12, 28);
        face.hukou_address = "霸".repeat(70);
        face.residence_address = "疆".repeat(70);
        face.issuing_organ = "疆".repeat(40);
        face.issue_date = jiff::civil::date(2026, 12, 28);
        face.citizen_number = "888888888888888888".into();
    })
    .unwrap();
    lint(&face);
    let mut back = sample_back();
    back.statement.card_number = "8".repeat(20);
    back.statement.signature = [0xff; 64];
    back.card_serial = "d".repeat(20);
    lint(&artist().back(&back).unwrap());
}

#[test]
fn a_name_of_eighteen_characters_stands_whole_in_its_area() {
    let face = front(|face| face.name = "阿卜杜热合曼·阿卜杜热西提江·买买".into()).unwrap();
    let name = find(&face, "name");
    assert!(name.width > 300.0 && name.x + name.width < 696.0);
    lint(&face);
}

#[test]
fn the_front_shows_the_very_characters_that_the_chip_holds() {
    // What the domain made one is not made one again here: two look-alikes draw two faces, or none.
    let plain = front(|face| face.name = "阿卜杜·热合曼".into()).unwrap();
    for look_alike in ["阿卜杜•热合曼", "阿卜杜・热合曼", "阿卜杜●热合曼"] {
        let drawn = front(|face| face.name = look_alike.into()).map(|face| face.png);
        assert!(drawn.ok() != Some(plain.png.clone()), "{look_alike}");
    }
}

#[rstest]
#[case('\u{10ffff}')]
#[case('\u{e000}')]
#[case('\u{1f600}')]
// Fonts have a glyph without ink for these, and for none of them does a reader see anything.
#[case('\u{a0}')]
#[case('\u{3164}')]
#[case('\u{200b}')]
#[case('\u{2003}')]
fn a_character_that_no_font_draws_stops_and_is_named(#[case] character: char) {
    let error = front(|face| face.name = format!("王{character}明"))
        .map(|_| ())
        .unwrap_err();
    assert_eq!(
        error,
        ArtworkError::MissingGlyph {
            field: "name".into(),
            character
        }
    );
    let message = error.to_string();
    assert!(message.contains(&format!("U+{:04X}", u32::from(character))));
    assert!(error.action().contains("nstall"), "it says what to do");
    assert!(!message.contains('王'), "it does not repeat the name");
}

#[test]
fn every_text_that_cannot_be_printed_is_told_before_there_is_a_portrait() {
    let artist = artist();
    let mut face = sample_front(Some(Vec::new()));
    assert_eq!(artist.check_front(NANSHAN, &face), Ok(()));
    face.name = "赵".repeat(40);
    face.hukou_address = "湖南省长沙市\u{a0}岳麓区".into();
    face.residence_address = "深圳市🏠科苑路".into();
    let missing = |field: &str, character| ArtworkError::MissingGlyph {
        field: field.into(),
        character,
    };
    let mut faults = artist.check_front(NANSHAN, &face).unwrap_err();
    faults.sort_by_key(ToString::to_string);
    let mut expected = vec![
        ArtworkError::Overflow { field: "name".into() },
        missing("hukou_address", '\u{a0}'),
        missing("residence_address", '🏠'),
    ];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(faults, expected);
    assert_eq!(
        artist.check_front("310115", &face),
        Err(vec![ArtworkError::NoTemplate {
            division: "310115".into()
        }])
    );
}

#[test]
fn a_name_that_overflows_stops_at_the_legal_minimum() {
    let error = front(|face| face.name = "赵".repeat(25)).unwrap_err();
    assert_eq!(error, ArtworkError::Overflow { field: "name".into() });
    assert!(!error.to_string().contains('赵'));
}

#[test]
fn an_address_that_overflows_stops() {
    assert_eq!(
        front(|face| face.residence_address = "赵".repeat(73)).unwrap_err(),
        ArtworkError::Overflow {
            field: "residence_address".into()
        }
    );
}

#[test]
fn an_empty_value_stops() {
    assert_eq!(
        front(|face| face.issuing_organ = "  ".into()).unwrap_err(),
        ArtworkError::ValueMissing {
            field: "issuing_organ".into()
        }
    );
}

#[rstest]
#[case(Vec::new())]
#[case(b"not a picture".to_vec())]
#[case(sample_front(None).photo[..2000].to_vec())]
fn a_portrait_that_cannot_be_decoded_stops(#[case] photo: Vec<u8>) {
    assert_eq!(
        front(|face| face.photo = photo).unwrap_err(),
        ArtworkError::PhotoUnreadable
    );
}

#[test]
fn a_division_without_a_template_stops() {
    assert_eq!(
        artist().front("310115", &sample_front(None)).unwrap_err(),
        ArtworkError::NoTemplate {
            division: "310115".into()
        }
    );
}

#[test]
fn every_jurisdiction_with_a_template_draws_both_faces() {
    for division in ["440305", "510104"] {
        let mut back = sample_back();
        back.statement.division = division.into();
        lint(&artist().front(division, &sample_front(None)).unwrap());
        lint(&artist().back(&back).unwrap());
    }
}

#[test]
fn a_font_file_that_is_no_font_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"no font").unwrap();
    let error = CardFonts::from_files(&[file.path()]).unwrap_err();
    assert_eq!(
        error,
        ArtworkError::FontUnreadable {
            file: file.path().to_path_buf()
        }
    );
    assert_eq!(
        CardFonts::from_files::<&str>(&[]).unwrap_err(),
        ArtworkError::NoFont
    );
}

#[test]
fn the_qr_code_on_the_drawn_back_reads_as_number_and_signature() {
    let mut back = sample_back();
    for (place, byte) in back.statement.signature.iter_mut().enumerate() {
        *byte = u8::try_from(place * 41 % 251).unwrap();
    }
    // A specimen's mark leaves the code free.
    for artist in [artist(), artist().of_specimens(true)] {
        let face = artist.back(&back).unwrap();
        assert_eq!(read_code(&face), Some(back.statement.clone()));
    }
}

fn read_code(face: &Face) -> Option<qr::Statement> {
    let picture = image::load_from_memory(&face.png).unwrap().to_luma8();
    let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(
        picture.width() as usize,
        picture.height() as usize,
        |x, y| {
            picture
                .get_pixel(u32::try_from(x).unwrap(), u32::try_from(y).unwrap())
                .0[0]
        },
    );
    let (_, text) = prepared.detect_grids()[0].decode().unwrap();
    qr::parse(&text)
}

#[test]
fn a_specimen_is_marked_in_red_across_both_faces_of_every_jurisdiction_and_a_card_is_not() {
    /// Pixels of the mark's red, by quarter of the width.
    fn red(face: &Face) -> [usize; 4] {
        let picture = image::load_from_memory(&face.png).unwrap().to_rgb8();
        let mut found = [0; 4];
        for (x, _, pixel) in picture.enumerate_pixels() {
            let [r, g, b] = pixel.0.map(i32::from);
            if r - g > 60 && r - b > 60 && (g - b).abs() < 40 {
                found[(x * 4 / WIDTH) as usize] += 1;
            }
        }
        found
    }
    for division in ["440305", "510104"] {
        let mut back = sample_back();
        back.statement.division = division.into();
        let faces = |artist: Artist| {
            [
                artist.front(division, &sample_front(None)).unwrap(),
                artist.back(&back).unwrap(),
            ]
        };
        let (plain, marked) = (faces(artist()), faces(artist().of_specimens(true)));
        for (plain, marked) in plain.iter().zip(&marked) {
            let (before, after) = (red(plain), red(marked));
            let more = after
                .iter()
                .zip(before)
                .filter(|(after, before)| **after > before + 1500);
            assert!(more.count() >= 2, "{division}: {before:?} {after:?}");
            // Every item still stands in its place, and is read.
            assert!(plain.boxes.iter().all(|item| marked.boxes.contains(item)));
            assert_eq!(marked.boxes.len(), plain.boxes.len() + 1);
        }
    }
}

#[test]
fn a_debug_line_shows_no_holder() {
    assert_eq!(format!("{:?}", sample_front(None)), "FrontFace(redacted)");
}
