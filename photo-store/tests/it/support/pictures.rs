//! Pictures for the tests. What the checks say about many more is tested where they are made.

/// A careless photo: it waits for a person who confirms its warnings.
pub(crate) const SAMPLE: &[u8] = include_bytes!("../../../samples/astronaut.png");

/// A studio photo: accepted without a warning.
pub(crate) fn studio_jpeg() -> Vec<u8> {
    include_bytes!("../../../samples/studio.jpg").to_vec()
}

/// A picture without anybody, PNG.
pub(crate) fn nobody() -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_fn(400, 500, |x, y| image::Rgb([(x / 2) as u8, (y / 2) as u8, 128]))
        .write_to(&mut out, image::ImageFormat::Png)
        .unwrap();
    out.into_inner()
}
