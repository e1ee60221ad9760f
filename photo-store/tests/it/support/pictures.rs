//! Pictures for the tests. What the checks say about many more is tested where they are made.

/// A careless photo: it waits for a person who confirms its warnings.
pub(crate) const SAMPLE: &[u8] = include_bytes!("../../../samples/astronaut.png");

/// A studio photo: accepted without a warning.
pub(crate) fn studio_jpeg() -> Vec<u8> {
    include_bytes!("../../../samples/studio.jpg").to_vec()
}

/// A picture without anybody, PNG.
pub(crate) fn nobody() -> Vec<u8> {
    png(&image::RgbImage::from_fn(400, 500, |x, y| {
        image::Rgb([(x / 2) as u8, (y / 2) as u8, 128])
    }))
}

/// A page with lines on it, each number another one, PNG.
pub(crate) fn page(number: usize) -> Vec<u8> {
    png(&lines(number))
}

/// A page with lines on it, JPEG.
pub(crate) fn page_jpeg() -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    lines(0).write_to(&mut out, image::ImageFormat::Jpeg).unwrap();
    out.into_inner()
}

fn lines(number: usize) -> image::RgbImage {
    let black = 20 * u32::try_from(number).unwrap() + 60;
    image::RgbImage::from_fn(700, 900, |x, y| {
        let is_black = y / 10 % 3 == 0 && x > 60 && (x < black || y > 100);
        image::Rgb([if is_black { 20 } else { 250 }; 3])
    })
}

/// A picture as PNG.
pub(crate) fn png(picture: &image::RgbImage) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

/// A small file that claims 60,000 x 60,000 pixels.
pub(crate) fn bomb() -> Vec<u8> {
    let mut file = page(0);
    let side = 60_000u32.to_be_bytes();
    file[16..20].copy_from_slice(&side);
    file[20..24].copy_from_slice(&side);
    file
}
