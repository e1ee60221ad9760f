//! `photo-store normalise`: makes one rendition and puts it in place whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use photo_store::picture::judge::judge;
use photo_store_protocol::FailureCode;
use serde_json::{Map, json};

use super::{Failure, Outcome, check, profile, read_file, tools};

/// Judges the file, makes the rendition and writes it.
pub(super) fn run(file: &Path, profile_name: &str, out: &Path, force: bool) -> Result<Outcome, Failure> {
    let profile = profile(profile_name)?;
    if !force && out.symlink_metadata().is_ok() {
        return Err(FailureCode::OutputExists.into());
    }
    let bytes = read_file(file)?;
    let (rules, faces) = tools()?;
    let judged = judge(&bytes, &rules, &faces)?;
    let Some(portrait) = judged.portrait else {
        let refused = check::outcome(&judged.judgement);
        // The checks are for people here: the object of this command has other keys.
        for line in &refused.lines {
            eprintln!("{line}");
        }
        return Err(refused
            .failure
            .unwrap_or_else(|| FailureCode::PhotoRefused.into()));
    };
    let rendition = portrait.rendition(profile, &rules)?;
    put_in_place(out, &rendition.jpeg, force)?;

    let mut fields = Map::new();
    fields.insert("profile".to_owned(), json!(rendition.profile.as_str()));
    fields.insert("width".to_owned(), json!(rendition.width));
    fields.insert("height".to_owned(), json!(rendition.height));
    fields.insert("bytes".to_owned(), json!(rendition.jpeg.len()));
    fields.insert("dpi".to_owned(), json!(rendition.dpi));
    fields.insert("quality".to_owned(), json!(rendition.quality));
    let line = format!(
        "{}: {} x {}, {} bytes, {} dpi, quality {}",
        rendition.profile,
        rendition.width,
        rendition.height,
        rendition.jpeg.len(),
        rendition.dpi,
        rendition.quality
    );
    Ok(Outcome {
        fields,
        lines: vec![line],
        failure: None,
    })
}

/// Writes beside the target, makes it durable, then renames: a reader sees the old file or the whole new one.
fn put_in_place(out: &Path, bytes: &[u8], force: bool) -> Result<(), Failure> {
    let name = out.file_name().ok_or(FailureCode::OutputUnwritable)?;
    let folder = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let temporary = folder.join(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
    let written = write(&temporary, bytes).and_then(|()| place(&temporary, out, force));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    } else if let Ok(folder) = File::open(folder) {
        // The name itself is durable only with its folder; a file system that cannot do that loses a name, not a byte.
        let _ = folder.sync_all();
    }
    written
}

fn write(temporary: &PathBuf, bytes: &[u8]) -> Result<(), Failure> {
    let unwritable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::StorageFull => Failure::from(FailureCode::StorageFull),
        _ => Failure::from(FailureCode::OutputUnwritable),
    };
    // A face is for its owner's eyes, whatever the umask.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(temporary)
        .map_err(unwritable)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(unwritable)
}

/// Without `force` the name is taken by a link, which fails where the name exists, so that two runs cannot overwrite
/// each other's result.
fn place(temporary: &Path, out: &Path, force: bool) -> Result<(), Failure> {
    let unwritable = |_| Failure::from(FailureCode::OutputUnwritable);
    if force {
        return fs::rename(temporary, out).map_err(unwritable);
    }
    match fs::hard_link(temporary, out) {
        Ok(()) => fs::remove_file(temporary).map_err(unwritable),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(FailureCode::OutputExists.into())
        }
        // A file system without links (FAT on a stick).
        Err(_) if out.symlink_metadata().is_ok() => Err(FailureCode::OutputExists.into()),
        Err(_) => fs::rename(temporary, out).map_err(unwritable),
    }
}
