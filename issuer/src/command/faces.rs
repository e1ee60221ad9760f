//! `issuer faces --sample --out DIR`: both faces of nobody's card, for the README and to look at a changed template.

use std::path::PathBuf;

use issuer_artwork::{Artist, CardFonts, HEIGHT, SAMPLE_DIVISION, WIDTH, sample_back, sample_front};
use issuer_office::error::OfficeError;
use program_contract::language::Words;
use program_contract::{Failure, Outcome, file, line};
use serde::Serialize;

/// Arguments of `faces`.
#[derive(Debug, clap::Args)]
pub(super) struct Faces {
    /// Draw the sample person (a drawing and invented data).
    #[arg(long, required = true)]
    sample: bool,
    /// The folder for card-front.png and card-back.png; must exist.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A JPEG or PNG portrait in place of the drawing.
    #[arg(long, value_name = "FILE")]
    photo: Option<PathBuf>,
    /// Font files in the order in which they are asked, in place of the installed ones.
    #[arg(long = "font", value_name = "FILE")]
    fonts: Vec<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

/// Longest portrait, bytes.
const MAX_PHOTO: u64 = 10 << 20;

#[derive(Serialize)]
struct Report {
    faces: Vec<ReportFace>,
}

#[derive(Serialize)]
struct ReportFace {
    side: &'static str,
    path: PathBuf,
    format: &'static str,
    width: u32,
    height: u32,
}

impl Faces {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let fonts = if self.fonts.is_empty() {
            CardFonts::installed()
        } else {
            CardFonts::from_files(&self.fonts)
        }
        .map_err(OfficeError::from)?;
        let artist = Artist::new(fonts).map_err(OfficeError::from)?;
        let photo = match &self.photo {
            Some(path) => Some(
                file::read(path, MAX_PHOTO)
                    .map_err(|error| Failure::file(Words("读取", "read"), path, &error))?,
            ),
            None => None,
        };
        let front = artist
            .front(SAMPLE_DIVISION, &sample_front(photo))
            .map_err(OfficeError::from)?;
        let back = artist.back(&sample_back()).map_err(OfficeError::from)?;
        let mut faces = Vec::new();
        for (side, face) in [("front", front), ("back", back)] {
            let path = self.out.join(format!("card-{side}.png"));
            file::replace(&path, &face.png, file::PRIVATE)
                .map_err(|error| Failure::file(Words("写入", "write"), &path, &error))?;
            faces.push(ReportFace {
                side,
                path,
                format: "png",
                width: WIDTH,
                height: HEIGHT,
            });
        }
        let lines = faces.iter().map(|face| line!(face.path.display())).collect();
        Outcome::done("yzt.faces/1", &Report { faces }, lines)
    }
}
