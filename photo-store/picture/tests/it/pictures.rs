//! What the checks say, picture by picture.

use image::imageops;
use photo_picture::faces::Faces;
use photo_picture::judge::{Judged, judge};
use photo_picture::normalise::Rendition;
use photo_picture::rules::Rules;
use photo_store_protocol::{CheckCode, Profile, Verdict};
use proptest::prelude::*;

use crate::made as pictures;

fn tools() -> &'static (Rules, Faces) {
    static TOOLS: std::sync::OnceLock<(Rules, Faces)> = std::sync::OnceLock::new();
    TOOLS.get_or_init(|| (Rules::built_in().unwrap(), Faces::new().unwrap()))
}

fn judged(file: &[u8]) -> Judged {
    let (rules, faces) = tools();
    judge(file, rules, faces).unwrap()
}

fn rendition(file: &[u8], profile: Profile) -> Rendition {
    judged(file)
        .portrait
        .expect("not refused")
        .rendition(profile, &tools().0)
        .unwrap()
}

/// The only hard check that does not pass.
fn refusal(file: &[u8]) -> CheckCode {
    let judged = judged(file);
    assert_eq!(judged.judgement.verdict, Verdict::Refuse);
    assert!(judged.portrait.is_none());
    let refusals = judged.judgement.refusals();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    let texts = refusals[0].texts();
    assert!(!texts.message.is_empty() && !texts.action.is_empty());
    refusals[0]
}

/// Mean distance of two pictures' samples, in levels.
fn distance(a: &Rendition, b: &Rendition) -> f64 {
    let decode = |r: &Rendition| image::load_from_memory(&r.jpeg).unwrap().to_rgb8();
    let (a, b) = (decode(a), decode(b));
    let sum: u32 = a
        .iter()
        .zip(b.iter())
        .map(|(x, y)| u32::from(x.abs_diff(*y)))
        .sum();
    f64::from(sum) / a.len() as f64
}

#[test]
fn the_sample_is_accepted_after_confirming_its_size_and_its_background() {
    let judged = judged(pictures::SAMPLE);
    assert_eq!(judged.judgement.verdict, Verdict::Warn);
    assert_eq!(
        judged.judgement.warnings(),
        [CheckCode::FaceEnlarged, CheckCode::Background]
    );
    assert_eq!(judged.judgement.faces.len(), 1);
    let guides = judged.judgement.guides.unwrap();
    assert!((guides.face_right - guides.face_left - 207.0).abs() < 1.0);
    assert!((7.0..=21.0).contains(&guides.hair_top.unwrap()));
    assert!(441.0 - guides.eye_line.unwrap() >= 207.0);
}

#[test]
fn a_studio_photo_is_accepted_without_a_warning() {
    let judged = judged(&pictures::studio_jpeg());
    assert_eq!(judged.judgement.warnings(), [], "{:#?}", judged.judgement.checks);
    assert_eq!(judged.judgement.verdict, Verdict::Accept);
}

#[test]
fn the_studio_sample_is_what_is_made_here_from_the_careless_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/studio.jpg");
    if std::env::var_os("YZT_WRITE").is_some() {
        std::fs::write(path, pictures::studio_jpeg()).unwrap();
    }
    let kept = std::fs::read(path).unwrap();
    assert!(decoded_distance(&kept, &pictures::studio_jpeg()) < 0.5);
    assert_eq!(judged(&kept).judgement.verdict, Verdict::Accept);
}

#[test]
fn a_finished_photo_is_framed_as_it_is() {
    let first = rendition(&pictures::studio_jpeg(), Profile::Print);
    let second = rendition(&first.jpeg, Profile::Print);
    assert!(distance(&first, &second) < 1.5, "{}", distance(&first, &second));
}

#[test]
fn every_rendition_has_its_size_its_resolution_and_its_byte_range() {
    for file in [pictures::SAMPLE.to_vec(), pictures::studio_jpeg()] {
        for (profile, width, height, bytes) in [
            (Profile::Ga461, 358, 441, 14_000..=20_000),
            (Profile::Print, 358, 441, 1..=120_000),
            (Profile::Chip, 120, 160, 1..=3_000),
            (Profile::Thumb, 90, 111, 1..=5_000),
        ] {
            let made = rendition(&file, profile);
            assert!(bytes.contains(&made.jpeg.len()), "{made:?}");
            let decoded = image::load_from_memory(&made.jpeg).unwrap();
            assert_eq!((decoded.width(), decoded.height()), (width, height));
            assert_eq!(decoded.color(), image::ColorType::Rgb8);
            // JFIF: version 1.02, unit 1 (inch), 350 both ways.
            assert_eq!(&made.jpeg[6..18], b"JFIF\0\x01\x02\x01\x01\x5e\x01\x5e");
        }
    }
}

#[test]
fn the_same_file_makes_the_same_bytes() {
    let make = || rendition(pictures::SAMPLE, Profile::Ga461).jpeg;
    assert_eq!(*make(), *make());
}

#[test]
fn a_noisy_picture_gets_a_lower_quality_and_stays_below_the_hard_limit() {
    let mut noise = 1u32;
    let mut grainy = pictures::studio();
    for sample in grainy.iter_mut() {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample = sample.saturating_add((noise >> 27) as u8);
    }
    let made = rendition(&pictures::png(&grainy), Profile::Ga461);
    assert!(made.jpeg.len() <= 30_000 && made.quality < 70, "{made:?}");
}

#[test]
fn a_file_that_is_no_image_is_refused() {
    assert_eq!(refusal(b"GIF89a and the rest of an animation"), CheckCode::Format);
    assert_eq!(refusal(b"%PDF-1.7"), CheckCode::Format);
    assert_eq!(refusal(b""), CheckCode::Format);
}

#[test]
fn a_cut_file_is_refused_wherever_it_is_cut() {
    for file in [pictures::SAMPLE.to_vec(), pictures::jpeg(&pictures::sample())] {
        for tenths in 1..10 {
            assert_eq!(
                refusal(&file[..file.len() * tenths / 10]),
                CheckCode::Truncated,
                "{tenths} tenths"
            );
        }
        assert_eq!(refusal(&file[..file.len() - 1]), CheckCode::Truncated);
    }
}

#[test]
fn a_progressive_picture_is_read_like_a_plain_one() {
    let picture = pictures::sample();
    let (width, height) = picture.dimensions();
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, 92);
    encoder.set_progressive(true);
    let size = (u16::try_from(width).unwrap(), u16::try_from(height).unwrap());
    encoder
        .encode(picture.as_raw(), size.0, size.1, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    assert_eq!(judged(&file).judgement.refusals(), []);
    for tenths in 1..10 {
        assert_eq!(
            refusal(&file[..file.len() * tenths / 10]),
            CheckCode::Truncated,
            "{tenths} tenths"
        );
    }
}

#[test]
fn a_cut_file_that_pretends_to_be_whole_is_refused() {
    let jpeg = pictures::jpeg(&pictures::sample());
    let pretending = [&jpeg[..jpeg.len() / 2], &[0xff, 0xd9]].concat();
    assert_eq!(refusal(&pretending), CheckCode::Damaged);
}

#[test]
fn a_picture_that_claims_too_much_is_refused_before_it_is_decoded() {
    let started = std::time::Instant::now();
    for file in [
        pictures::claiming_png(64_250, 64_250),
        pictures::claiming_jpeg(64_250, 64_250),
    ] {
        let judged = judged(&file);
        assert_eq!(judged.judgement.refusals(), [CheckCode::Pixels]);
        assert_eq!(
            (judged.judgement.width, judged.judgement.height),
            (64_250, 64_250)
        );
    }
    assert_eq!(refusal(&pictures::claiming_png(5_001, 5_000)), CheckCode::Pixels);
    assert_eq!(
        refusal(&pictures::claiming_png(u32::MAX, u32::MAX)),
        CheckCode::Pixels
    );
    assert!(started.elapsed().as_secs() < 2, "decoded after all?");
}

#[test]
fn a_picture_of_exactly_25_megapixels_is_decoded() {
    let white = image::RgbImage::from_pixel(5_000, 5_000, image::Rgb([255; 3]));
    assert_eq!(refusal(&pictures::png(&white)), CheckCode::NoFace);
}

#[test]
fn a_file_over_ten_megabytes_is_refused_unread() {
    let mut file = pictures::jpeg(&pictures::sample());
    file.resize(10_000_001, 0);
    assert_eq!(refusal(&file), CheckCode::FileSize);
    file.truncate(10_000_000);
    assert_eq!(
        judged(&file).judgement.verdict,
        Verdict::Warn,
        "zeros behind a picture are padding"
    );
}

#[test]
fn an_animation_is_refused() {
    assert_eq!(refusal(&pictures::animated_png()), CheckCode::Animated);
}

#[test]
fn a_polyglot_is_confirmed_by_a_person_and_leaves_nothing_of_its_payload() {
    for picture in [pictures::SAMPLE.to_vec(), pictures::jpeg(&pictures::sample())] {
        let polyglot = [picture.as_slice(), b"PK\x03\x04 payload of a stranger"].concat();
        let judged = judged(&polyglot);
        assert!(judged.judgement.warnings().contains(&CheckCode::ExtraData));
        for profile in Profile::ALL {
            let made = rendition(&polyglot, *profile);
            assert!(!made.jpeg.windows(7).any(|window| window == b"payload"));
        }
    }
}

#[test]
fn a_picture_of_nobody_and_a_picture_of_two_are_refused() {
    assert_eq!(refusal(&pictures::png(&pictures::nobody())), CheckCode::NoFace);
    assert_eq!(
        refusal(&pictures::png(&pictures::two_faces(1.0))),
        CheckCode::SecondFace
    );
}

#[test]
fn a_small_face_in_the_background_does_not_refuse_the_photo() {
    let judged = judged(&pictures::png(&pictures::two_faces(0.45)));
    assert_eq!(judged.judgement.faces.len(), 2);
    assert_ne!(judged.judgement.verdict, Verdict::Refuse);
}

#[test]
fn a_face_of_fewer_than_90_pixels_is_refused() {
    assert_eq!(
        refusal(&pictures::png(&pictures::resized(0.8))),
        CheckCode::FaceNarrow
    );
}

/// Mean distance of two files' decoded samples, in levels.
fn decoded_distance(a: &[u8], b: &[u8]) -> f64 {
    let decode = |file: &[u8]| photo_picture::ingest::read(file).unwrap();
    let (a, b) = (decode(a), decode(b));
    assert_eq!(
        (a.raster.width(), a.raster.height()),
        (b.raster.width(), b.raster.height())
    );
    let sum: u32 = a
        .raster
        .rgb()
        .iter()
        .zip(b.raster.rgb())
        .map(|(x, y)| u32::from(x.abs_diff(*y)))
        .sum();
    f64::from(sum) / a.raster.rgb().len() as f64
}

#[test]
fn the_exif_orientation_is_applied_and_the_metadata_dropped() {
    let upright = pictures::sample();
    let expected = pictures::jpeg(&upright);
    let turned = [
        (6, imageops::rotate270(&upright)),
        (3, imageops::rotate180(&upright)),
        (8, imageops::rotate90(&upright)),
    ];
    for (orientation, stored) in turned {
        let file = pictures::with_exif(&pictures::jpeg(&stored), orientation);
        let distance = decoded_distance(&expected, &file);
        assert!(distance < 3.0, "orientation {orientation}: {distance}");
        assert!(!judged(&file).judgement.warnings().contains(&CheckCode::Turned));
        let made = rendition(&file, Profile::Print);
        for trace in [b"Exif".as_slice(), b"GPS", b"Holder"] {
            assert!(!made.jpeg.windows(trace.len()).any(|window| window == trace));
        }
    }
}

#[test]
fn a_turned_picture_without_exif_is_turned_upright_and_confirmed_by_a_person() {
    let upright = pictures::sample();
    let expected = rendition(&pictures::png(&upright), Profile::Print);
    for turned in [
        imageops::rotate90(&upright),
        imageops::rotate180(&upright),
        imageops::rotate270(&upright),
    ] {
        let file = pictures::png(&turned);
        assert!(judged(&file).judgement.warnings().contains(&CheckCode::Turned));
        assert!(distance(&expected, &rendition(&file, Profile::Print)) < 1.0);
    }
}

#[test]
fn every_kind_of_pixel_becomes_the_same_24_bit_picture() {
    let upright = pictures::sample();
    let expected = pictures::png(&upright);
    let kinds = [
        ("16 bit", pictures::sixteen_bit_png(&upright), 0.0),
        ("opaque alpha", pictures::alpha_png(&upright, 0), 0.0),
        ("JPEG", pictures::jpeg(&upright), 3.0),
        ("CMYK", pictures::cmyk_jpeg(&upright, false), 3.0),
        (
            "CMYK without Adobe's marker",
            pictures::plain_cmyk_jpeg(&upright),
            3.0,
        ),
        ("YCCK", pictures::cmyk_jpeg(&upright, true), 4.0),
    ];
    for (kind, file, most) in kinds {
        let distance = decoded_distance(&expected, &file);
        assert!(distance <= most, "{kind}: {distance}");
        assert_ne!(judged(&file).judgement.verdict, Verdict::Refuse, "{kind}");
    }
}

#[test]
fn a_grey_picture_becomes_24_bit_and_is_confirmed_by_a_person() {
    for file in [
        pictures::grey_png(&pictures::sample()),
        pictures::grey_jpeg(&pictures::sample()),
    ] {
        assert!(
            judged(&file)
                .judgement
                .warnings()
                .contains(&CheckCode::Colourless)
        );
        let made = rendition(&file, Profile::Ga461);
        assert_eq!(
            image::load_from_memory(&made.jpeg).unwrap().color(),
            image::ColorType::Rgb8
        );
    }
}

#[test]
fn transparent_parts_become_white() {
    // The studio photo's left edge is inside the frame.
    let studio = pictures::studio();
    let made = rendition(&pictures::alpha_png(&studio, 230), Profile::Print);
    let decoded = image::load_from_memory(&made.jpeg).unwrap().to_rgb8();
    let corner = decoded.get_pixel(2, 2).0;
    assert!(corner.iter().all(|sample| *sample > 250), "{corner:?}");
}

#[test]
fn a_wide_colour_profile_is_converted_to_srgb() {
    // Display P3's red is more than sRGB's: the same numbers must become a stronger red.
    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let plain = pictures::png(&pictures::studio());
    let tagged = pictures::png_with_profile(&pictures::studio(), &profile);
    let skin = |file: &[u8]| {
        let made = rendition(file, Profile::Print);
        let picture = image::load_from_memory(&made.jpeg).unwrap().to_rgb8();
        let [r, _, b] = picture.get_pixel(179, 300).0;
        i32::from(r) - i32::from(b)
    };
    assert!(
        skin(&tagged) > skin(&plain) + 3,
        "{} {}",
        skin(&tagged),
        skin(&plain)
    );
}

#[test]
fn a_broken_colour_profile_does_not_refuse_a_photo() {
    let file = pictures::png_with_profile(&pictures::sample(), b"not a profile");
    assert_eq!(judged(&file).judgement.verdict, Verdict::Warn);
}

#[test]
fn blur_is_noticed_and_only_warns() {
    let blurred = imageops::blur(&pictures::studio(), 6.0);
    let judged = judged(&pictures::png(&blurred));
    assert_eq!(judged.judgement.verdict, Verdict::Warn);
    assert!(
        judged.judgement.warnings().contains(&CheckCode::Sharpness),
        "{:#?}",
        judged.judgement.checks
    );
}

#[test]
fn exposure_warns_and_never_refuses() {
    let dark = pictures::mapped(&pictures::studio(), |v| v / 9);
    let bright = pictures::mapped(&pictures::studio(), |v| v.saturating_mul(2).saturating_add(60));
    for picture in [dark, bright] {
        let judged = judged(&pictures::png(&picture));
        assert!(
            judged
                .judgement
                .checks
                .iter()
                .any(|c| c.code == CheckCode::Exposure && !c.passed)
                || judged.judgement.refusals() == [CheckCode::NoFace],
            "{:#?}",
            judged.judgement.checks
        );
        let exposure = judged
            .judgement
            .checks
            .iter()
            .find(|c| c.code == CheckCode::Exposure);
        assert!(exposure.is_none_or(|check| check.level == photo_store_protocol::Level::Warn));
    }
}

#[test]
fn a_darker_skin_alone_is_no_reason_to_warn() {
    let darker = pictures::mapped(&pictures::studio(), |v| if v > 240 { v } else { v / 2 });
    let judged = judged(&pictures::png(&darker));
    assert!(
        !judged.judgement.warnings().contains(&CheckCode::Exposure),
        "{:#?}",
        judged.judgement.checks
    );
}

#[test]
fn a_flat_picture_has_too_few_shades() {
    let flat = pictures::mapped(&pictures::studio(), |v| 120 + v / 8);
    let found = judged(&pictures::png(&flat));
    let judgement = found.judgement;
    assert!(
        judgement.warnings().contains(&CheckCode::DynamicRange)
            || judgement.refusals() == [CheckCode::NoFace],
        "{:#?}",
        judgement.checks
    );
}

#[test]
fn red_eyes_are_noticed() {
    let mut picture = pictures::studio();
    let (rules, faces) = tools();
    let decoded = photo_picture::ingest::read(&pictures::png(&picture)).unwrap();
    let face = faces.find(&decoded.raster).unwrap().faces[0];
    let eyes = photo_picture::eyes::locate(&decoded.raster, &face)
        .unwrap()
        .expect("eyes of the sample");
    for (x, y) in [eyes.left, eyes.right] {
        for dy in -4i32..=4 {
            for dx in -4i32..=4 {
                let at = |value: f64, by: i32| (value.round() as i32 + by) as u32;
                picture.put_pixel(at(x, dx), at(y, dy), image::Rgb([190, 20, 25]));
            }
        }
    }
    let judged = judge(&pictures::png(&picture), rules, faces).unwrap();
    assert!(
        judged.judgement.warnings().contains(&CheckCode::RedEyes),
        "{:#?}",
        judged.judgement.checks
    );
}

#[test]
fn a_tilted_head_is_noticed() {
    let studio = pictures::studio();
    let (w, h) = (f64::from(studio.width()), f64::from(studio.height()));
    let angle = 14f64.to_radians();
    let tilted = image::RgbImage::from_fn(studio.width(), studio.height(), |x, y| {
        let (dx, dy) = (f64::from(x) - w / 2.0, f64::from(y) - h / 2.0);
        let sx = dx * angle.cos() + dy * angle.sin() + w / 2.0;
        let sy = dy * angle.cos() - dx * angle.sin() + h / 2.0;
        if sx < 0.0 || sy < 0.0 || sx >= w || sy >= h {
            image::Rgb([250; 3])
        } else {
            *studio.get_pixel(sx as u32, sy as u32)
        }
    });
    let judged = judged(&pictures::png(&tilted));
    assert!(
        judged.judgement.warnings().contains(&CheckCode::HeadPose),
        "{:#?}",
        judged.judgement.checks
    );
}

#[test]
fn a_head_at_the_edge_is_filled_up_with_white_and_confirmed_by_a_person() {
    let tight = imageops::crop_imm(&pictures::sample(), 60, 5, 160, 170).to_image();
    let judged = judged(&pictures::png(&tight));
    assert!(
        judged.judgement.warnings().contains(&CheckCode::FrameTooTight),
        "{:#?}",
        judged.judgement.checks
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_file_is_judged_without_a_panic(
        as_jpeg: bool,
        places in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let small = imageops::thumbnail(&pictures::sample(), 56, 70);
        let mut file = if as_jpeg { pictures::jpeg(&small) } else { pictures::png(&small) };
        for (place, value) in places {
            let at = place.index(file.len());
            file[at] = value;
        }
        let (rules, faces) = tools();
        let judged = judge(&file, rules, faces).unwrap();
        prop_assert_eq!(judged.judgement.verdict == Verdict::Refuse, judged.portrait.is_none());
    }

    #[test]
    fn any_bytes_behind_a_signature_are_judged_without_a_panic(
        signature in prop_oneof![Just(b"\xff\xd8\xff".to_vec()), Just(b"\x89PNG\r\n\x1a\n".to_vec())],
        tail in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let (rules, faces) = tools();
        let _ = judge(&[signature, tail].concat(), rules, faces).unwrap();
    }
}
