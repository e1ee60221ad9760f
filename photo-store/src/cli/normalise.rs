//! `photo-store normalise`: makes one rendition and puts it in place whole or not at all.

use std::io::ErrorKind;
use std::path::Path;

use photo_store_protocol::{FailureCode, Profile};
use program_contract::{Failure, Outcome, file, line};
use serde_json::json;

use crate::cli::input;
use crate::error::Error;

/// Judges the file, makes the rendition and writes it.
pub(crate) fn run(
    schema: &'static str,
    photo: &Path,
    profile: &str,
    out: &Path,
    force: bool,
) -> Result<Outcome, Failure> {
    let profile: Profile = profile.parse().map_err(|_| FailureCode::UnknownProfile)?;
    if !force && out.symlink_metadata().is_ok() {
        return Err(FailureCode::OutputExists.into());
    }
    let (judged, rules) = input::judged(photo)?;
    let Some(portrait) = judged.portrait else {
        // The checks are for people here: the object of this command has other keys.
        for line in judged.judgement.lines() {
            program_contract::tell!(line);
        }
        return Err(match judged.judgement.refusals().first() {
            Some(check) => (*check).into(),
            None => FailureCode::PhotoRefused.into(),
        });
    };
    let rendition = portrait.rendition(profile, &rules).map_err(Error::from)?;
    // A face is for its owner's eyes, whatever the umask.
    let write = if force { file::replace } else { file::create };
    write(out, &rendition.jpeg, file::PRIVATE).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => FailureCode::OutputExists,
        ErrorKind::StorageFull => FailureCode::StorageFull,
        _ => FailureCode::OutputUnwritable,
    })?;

    let line = line!(
        rendition.profile.as_str(),
        ": ",
        rendition.width,
        " x ",
        rendition.height,
        ", ",
        bytes_and_quality(
            rendition.jpeg.len(),
            rendition.dpi.to_string(),
            rendition.quality.to_string()
        )
    );
    let object = json!({
        "profile": rendition.profile.as_str(),
        "width": rendition.width,
        "height": rendition.height,
        "bytes": rendition.jpeg.len(),
        "dpi": rendition.dpi,
        "quality": rendition.quality,
    });
    Outcome::done(schema, &object, vec![line])
}

program_contract::sentences! {
    fn bytes_and_quality(bytes, dpi, quality) =
        "{bytes} 字节，{dpi} dpi，质量 {quality}", "{bytes} bytes, {dpi} dpi, quality {quality}";
}
