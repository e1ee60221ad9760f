//! What the commands for files need: the file, the rules and the detector.

use std::io::Read;
use std::path::Path;

use photo_picture::faces::Faces;
use photo_picture::judge::{Judged, judge};
use photo_picture::rules::Rules;
use photo_store_protocol::{FailureCode, MAX_PHOTO_BYTES};
use program_contract::Failure;
use zeroize::Zeroizing;

use crate::error::Error;

/// Judges a file, or standard input for `-`; with the rules that it was judged by.
pub(crate) fn judged(path: &Path) -> Result<(Judged, Rules), Failure> {
    let file = if path == Path::new("-") {
        read(std::io::stdin())
    } else {
        std::fs::File::open(path).and_then(read)
    };
    let file = file.map_err(|_| FailureCode::FileUnreadable)?;
    judge_by_built_in(&file).map_err(|error| Error::from(error).into())
}

fn judge_by_built_in(file: &[u8]) -> Result<(Judged, Rules), photo_picture::error::Error> {
    let rules = Rules::built_in()?;
    let judged = judge(file, &rules, &Faces::new()?)?;
    Ok((judged, rules))
}

/// Never more than one byte over the limit: the check of the size refuses that.
fn read(file: impl Read) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let limit = u64::try_from(MAX_PHOTO_BYTES).unwrap_or(u64::MAX) + 1;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}
