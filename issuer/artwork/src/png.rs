//! A rendered face as a PNG file: 8-bit RGB without alpha (printers blend alpha each in their own way), sRGB,
//! and the resolution, so that a print program makes it card size without being told.

use resvg::tiny_skia::Pixmap;

use crate::face::PIXELS_PER_METRE;

/// Encodes `pixmap`, which is opaque.
pub(crate) fn encode(pixmap: &Pixmap) -> Vec<u8> {
    let rgb: Vec<u8> = pixmap
        .pixels()
        .iter()
        .flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()])
        .collect();
    let mut file = Vec::with_capacity(rgb.len() / 3);
    let mut encoder = ::png::Encoder::new(&mut file, pixmap.width(), pixmap.height());
    encoder.set_color(::png::ColorType::Rgb);
    encoder.set_depth(::png::BitDepth::Eight);
    // The file goes to a printer beside it: bytes are cheap, a clerk's second is not.
    encoder.set_compression(::png::Compression::Fast);
    encoder.set_source_srgb(::png::SrgbRenderingIntent::Perceptual);
    encoder.set_pixel_dims(Some(::png::PixelDimensions {
        xppu: PIXELS_PER_METRE,
        yppu: PIXELS_PER_METRE,
        unit: ::png::Unit::Meter,
    }));
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&rgb)?;
        writer.finish()
    });
    debug_assert!(written.is_ok(), "a vector takes every byte");
    file
}
