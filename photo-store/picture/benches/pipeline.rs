//! `cargo bench -p photo-picture`: processor time per photo, beside `vipsthumbnail` (libvips, C) in the same run.
//!
//! Processor time (user and system, all threads) of this process by `/proc/self/stat`, of the children by the same
//! file, so that other work on the machine does not count. Each figure is the mean of warm runs; a line says how many.
//! Left out: the time of the vault and the disk, which `serve` adds.

use std::hint::black_box;
use std::process::Command;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use photo_picture::faces::Faces;
use photo_picture::ingest;
use photo_picture::judge::judge;
use photo_picture::normalise::Portrait;
use photo_picture::raster::Frame;
use photo_picture::rules::Rules;
use photo_store_protocol::Profile;

const SAMPLE: &[u8] = include_bytes!("../../samples/astronaut.png");
const RUNS: u32 = 20;
/// Clock ticks a second in `/proc` (`USER_HZ` is 100 on every Linux that Debian supports).
const TICK_MS: f64 = 10.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rules = Rules::built_in()?;
    let faces = Faces::new()?;
    let big = twelve_megapixels()?;
    println!(
        "photo of 12 megapixels (3024 x 4032), JPEG, {} bytes; processor time a photo, {RUNS} warm runs",
        big.len()
    );

    let decoded = ingest::read(&big).map_err(|_| "the picture is not readable")?;
    let found = faces.find(&decoded.raster)?;
    let face = found.faces.first().ok_or("no face")?;
    let scale = 207.0 / f64::from(face.w);
    let frame = Frame {
        x: f64::from(face.x) + f64::from(face.w) / 2.0 - 179.0 / scale,
        y: f64::from(face.y) - 95.0 / scale,
        w: 358.0 / scale,
        h: 441.0 / scale,
    };

    let pipeline = measure(|| {
        let decoded = ingest::read(black_box(&big)).map_err(|_| "not readable")?;
        let portrait = Portrait {
            raster: decoded.raster,
            frame,
            colour: decoded.colour,
        };
        black_box(portrait.rendition(Profile::Ga461, &rules)?);
        Ok(())
    })?;
    line("decode, frame, scale, encode: 12 Mpx JPEG -> ga461", pipeline);
    line(
        "  of it: decode",
        measure(|| {
            black_box(ingest::read(black_box(&big)).map_err(|_| "not readable")?);
            Ok(())
        })?,
    );
    line(
        "face detection in the 12 Mpx picture (searched at 512 px)",
        measure(|| {
            black_box(faces.find(black_box(&decoded.raster))?);
            Ok(())
        })?,
    );
    line(
        "everything `check` does (decode, faces, eyes, all checks)",
        measure(|| {
            black_box(judge(black_box(&big), &rules, &faces)?);
            Ok(())
        })?,
    );
    line(
        "the sample (280 x 350): everything `check` does",
        measure(|| {
            black_box(judge(black_box(SAMPLE), &rules, &faces)?);
            Ok(())
        })?,
    );
    vips(&big, pipeline)
}

fn vips(big: &[u8], ours: f64) -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("big.jpg");
    std::fs::write(&input, big)?;
    let run = |size: &str, from: &std::path::Path| {
        Command::new("vipsthumbnail")
            .env("VIPS_CONCURRENCY", "1")
            .args(["--size", size, "-o", "out.jpg[Q=70]"])
            .arg(from)
            .current_dir(folder.path())
            .status()
    };
    let small = folder.path().join("small.png");
    std::fs::write(&small, SAMPLE)?;
    if run("358x441!", &input).is_err() {
        println!("vipsthumbnail is not installed (package libvips-tools): no comparison");
        return Ok(());
    }
    let mean = |input: &std::path::Path| -> Result<f64, Box<dyn std::error::Error>> {
        let before = processor_ms(2)?;
        for _ in 0..RUNS {
            run("358x441!", input)?;
        }
        Ok((processor_ms(2)? - before) / f64::from(RUNS))
    };
    let whole = mean(&input)?;
    let start = mean(&small)?;
    line(
        "vipsthumbnail, 12 Mpx JPEG -> 358 x 441 JPEG (uses DCT scaling)",
        whole,
    );
    line(
        "  of it: starting the program (measured on the small sample)",
        start,
    );
    println!(
        "ours / vipsthumbnail: {:.2}; without its start: {:.2}",
        ours / whole,
        ours / (whole - start).max(1.0)
    );
    Ok(())
}

fn measure(
    mut run: impl FnMut() -> Result<(), Box<dyn std::error::Error>>,
) -> Result<f64, Box<dyn std::error::Error>> {
    for _ in 0..3 {
        run()?;
    }
    let before = processor_ms(0)?;
    for _ in 0..RUNS {
        run()?;
    }
    Ok((processor_ms(0)? - before) / f64::from(RUNS))
}

fn line(what: &str, ms: f64) {
    println!("{ms:8.1} ms  {what}");
}

/// User and system time of this process (`offset` 0) or of its waited-for children (`offset` 2).
fn processor_ms(offset: usize) -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .ok_or("no fields")?
        .split_whitespace()
        .collect();
    // utime is field 14 of proc(5), stime 15, cutime 16, cstime 17; behind the name the third field is the first.
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|text| text.parse::<f64>().ok())
            .ok_or("no number")
    };
    Ok((ticks(11 + offset)? + ticks(12 + offset)?) * TICK_MS)
}

/// The sample enlarged to what a telephone makes.
fn twelve_megapixels() -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let sample = image::load_from_memory(SAMPLE)?.to_rgb8();
    let cut = imageops::crop_imm(&sample, 8, 0, 262, 350).to_image();
    let big = imageops::resize(&cut, 3024, 4032, FilterType::CatmullRom);
    let mut out = Vec::new();
    big.write_with_encoder(JpegEncoder::new_with_quality(&mut out, 90))?;
    Ok(out)
}
