//! Pictures for the tests: the sample, and everything that a counter should not get.

use std::io::Cursor;
use std::sync::LazyLock;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

/// The sample as a file.
pub(crate) const SAMPLE: &[u8] = include_bytes!("../../../samples/astronaut.png");

/// The sample as pixels, 280 x 350, face about 94 wide.
pub(crate) fn sample() -> RgbImage {
    image::load_from_memory(SAMPLE).unwrap().to_rgb8()
}

/// A studio photo made from the sample: enlarged so that the face is about 210 wide, before a white background.
pub(crate) fn studio() -> RgbImage {
    static MADE: LazyLock<RgbImage> = LazyLock::new(make_studio);
    MADE.clone()
}

/// The studio photo as a file.
pub(crate) fn studio_jpeg() -> Vec<u8> {
    static MADE: LazyLock<Vec<u8>> = LazyLock::new(|| jpeg(&studio()));
    MADE.clone()
}

fn make_studio() -> RgbImage {
    let mut cut = sample();
    for (x, y, pixel) in cut.enumerate_pixels_mut() {
        let (fx, fy) = (f64::from(x), f64::from(y));
        let face = ((fx - 140.0) / 50.0).powi(2) + ((fy - 110.0) / 60.0).powi(2) < 1.0;
        let head = ((fx - 140.0) / 77.0).powi(2) + ((fy - 92.0) / 90.0).powi(2) < 1.0;
        let neck = (fx - 140.0).abs() < 45.0 && fy > 150.0;
        let body = fy > 195.0 + (fx - 140.0).abs() * 0.25;
        // The wall behind her hair is light and has little colour.
        let [low, high] = [pixel.0.iter().min().unwrap(), pixel.0.iter().max().unwrap()];
        let wall = *low > 120 && high - low < 50;
        if !(face || (head && !wall) || neck || body) {
            *pixel = Rgb([250, 250, 250]);
        }
    }
    // Room on all sides.
    let mut canvas = RgbImage::from_pixel(340, 400, Rgb([250, 250, 250]));
    imageops::overlay(&mut canvas, &cut, 30, 50);
    let enlarged = imageops::resize(&canvas, 782, 920, FilterType::Lanczos3);
    // What enlarging took from the edges.
    imageops::unsharpen(&enlarged, 2.0, 1)
}

pub(crate) fn png(image: &RgbImage) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image.write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

pub(crate) fn jpeg(image: &RgbImage) -> Vec<u8> {
    let mut out = Vec::new();
    image
        .write_with_encoder(JpegEncoder::new_with_quality(&mut out, 92))
        .unwrap();
    out
}

pub(crate) fn grey_png(image: &RgbImage) -> Vec<u8> {
    let grey: GrayImage = DynamicImage::ImageRgb8(image.clone()).to_luma8();
    let mut out = Cursor::new(Vec::new());
    grey.write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

pub(crate) fn grey_jpeg(image: &RgbImage) -> Vec<u8> {
    let grey: GrayImage = DynamicImage::ImageRgb8(image.clone()).to_luma8();
    let mut out = Vec::new();
    grey.write_with_encoder(JpegEncoder::new_with_quality(&mut out, 92))
        .unwrap();
    out
}

pub(crate) fn sixteen_bit_png(image: &RgbImage) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image.clone())
        .to_rgb16()
        .write_to(&mut out, ImageFormat::Png)
        .unwrap();
    out.into_inner()
}

/// The picture with a transparent strip of black at the left, `width` pixels wide.
pub(crate) fn alpha_png(image: &RgbImage, width: u32) -> Vec<u8> {
    let rgba = RgbaImage::from_fn(image.width(), image.height(), |x, y| {
        let Rgb([r, g, b]) = *image.get_pixel(x, y);
        if x < width {
            Rgba([0, 0, 0, 0])
        } else {
            Rgba([r, g, b, 255])
        }
    });
    let mut out = Cursor::new(Vec::new());
    rgba.write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

/// A CMYK JPEG without black generation; `ycck` stores it as YCCK as Adobe's programs do.
pub(crate) fn cmyk_jpeg(image: &RgbImage, ycck: bool) -> Vec<u8> {
    let inks: Vec<u8> = image
        .pixels()
        .flat_map(|Rgb([r, g, b])| [255 - r, 255 - g, 255 - b, 0])
        .collect();
    let mut out = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut out, 92);
    let kind = if ycck {
        jpeg_encoder::ColorType::CmykAsYcck
    } else {
        jpeg_encoder::ColorType::Cmyk
    };
    let side = |length: u32| u16::try_from(length).unwrap();
    encoder
        .encode(&inks, side(image.width()), side(image.height()), kind)
        .unwrap();
    out
}

/// A CMYK JPEG without Adobe's marker: ink percentages as they are, paper white is 0.
pub(crate) fn plain_cmyk_jpeg(image: &RgbImage) -> Vec<u8> {
    // The encoder inverts as Adobe does, so inverted samples go in and its marker (16 bytes) comes out.
    let inks: Vec<u8> = image
        .pixels()
        .flat_map(|Rgb(rgb)| [rgb[0], rgb[1], rgb[2], 255])
        .collect();
    let mut out = Vec::new();
    let side = |length: u32| u16::try_from(length).unwrap();
    jpeg_encoder::Encoder::new(&mut out, 92)
        .encode(
            &inks,
            side(image.width()),
            side(image.height()),
            jpeg_encoder::ColorType::Cmyk,
        )
        .unwrap();
    let at = out
        .windows(9)
        .position(|window| window == b"\xff\xee\x00\x0eAdobe")
        .unwrap();
    out.drain(at..at + 16);
    out
}

/// A PNG with an ICC profile.
pub(crate) fn png_with_profile(image: &RgbImage, profile: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut info = png::Info::with_size(image.width(), image.height());
    info.color_type = png::ColorType::Rgb;
    info.bit_depth = png::BitDepth::Eight;
    info.icc_profile = Some(profile.to_vec().into());
    let mut writer = png::Encoder::with_info(&mut out, info)
        .unwrap()
        .write_header()
        .unwrap();
    writer.write_image_data(image.as_raw()).unwrap();
    writer.finish().unwrap();
    out
}

/// A JPEG with an Exif orientation, and with a place and a name in Exif that must not survive.
pub(crate) fn with_exif(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let tiff: &[u8] = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0";
    let body = [
        b"Exif\0\0".as_slice(),
        tiff,
        &[orientation],
        b"\0\0\0\0\0\0\0GPS 22.54N 114.06E Holder Name",
    ]
    .concat();
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &body, &jpeg[2..]].concat()
}

/// An animated PNG: the sample with an animation control and a second frame's control before its end.
pub(crate) fn animated_png() -> Vec<u8> {
    let mut out = Vec::new();
    {
        let image = sample();
        let mut encoder = png::Encoder::new(&mut out, image.width(), image.height());
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_animated(2, 0).unwrap();
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(image.as_raw()).unwrap();
        writer.write_image_data(image.as_raw()).unwrap();
        writer.finish().unwrap();
    }
    out
}

/// A PNG that claims these sides and holds nothing: 57 bytes.
pub(crate) fn claiming_png(width: u32, height: u32) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    [
        b"\x89PNG\r\n\x1a\n".as_slice(),
        &chunk(*b"IHDR", &header),
        &chunk(*b"IEND", b""),
    ]
    .concat()
}

/// A JPEG that claims these sides and holds nothing.
pub(crate) fn claiming_jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut out = vec![0xff, 0xd8, 0xff, 0xc0, 0, 17, 8];
    out.extend(height.to_be_bytes());
    out.extend(width.to_be_bytes());
    out.extend([3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 0xff, 0xd9]);
    out
}

fn chunk(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut check = 0xffff_ffff_u32;
    for byte in kind.iter().chain(body) {
        check ^= u32::from(*byte);
        for _ in 0..8 {
            check = if check & 1 == 1 {
                check >> 1 ^ 0xedb8_8320
            } else {
                check >> 1
            };
        }
    }
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&length[..], &kind, body, &(!check).to_be_bytes()].concat()
}

/// Two faces side by side; the second is scaled by `second`.
pub(crate) fn two_faces(second: f64) -> RgbImage {
    let one = sample();
    let small = imageops::resize(
        &one,
        scaled(280, second),
        scaled(350, second),
        FilterType::Lanczos3,
    );
    let mut both = RgbImage::from_pixel(560, 350, Rgb([200, 200, 200]));
    imageops::overlay(&mut both, &one, 0, 0);
    imageops::overlay(&mut both, &small, 280, 0);
    both
}

/// The sample scaled.
pub(crate) fn resized(factor: f64) -> RgbImage {
    imageops::resize(
        &sample(),
        scaled(280, factor),
        scaled(350, factor),
        FilterType::Lanczos3,
    )
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small positive pictures"
)]
fn scaled(length: u32, factor: f64) -> u32 {
    (f64::from(length) * factor).round() as u32
}

/// A picture without anybody.
pub(crate) fn nobody() -> RgbImage {
    RgbImage::from_fn(400, 500, |x, y| Rgb([(x / 2) as u8, (y / 2) as u8, 128]))
}

/// Every sample through a function.
pub(crate) fn mapped(image: &RgbImage, change: impl Fn(u8) -> u8) -> RgbImage {
    let mut out = image.clone();
    for sample in out.iter_mut() {
        *sample = change(*sample);
    }
    out
}
