//! Reading a file of a bounded length, and what is said when it cannot be read.

use std::io::Read as _;
use std::path::Path;

use program_contract::Failure;

use crate::program::failure;

/// Reads a file of a bounded length.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|error| unreadable(path, &error))?;
    if u64::try_from(bytes.len()).map_or(true, |length| length > most) {
        return Err(failure::too_long(path.display(), most));
    }
    Ok(bytes)
}

pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    failure::unreadable(path.display(), error.kind())
}

#[cfg(test)]
mod tests {
    use program_contract::Exit;

    use super::*;

    #[test]
    fn a_file_without_end_is_not_read() {
        let error = read(Path::new("/dev/zero"), 1024).unwrap_err();
        assert_eq!((&*error.code, error.exit), ("FILE_TOO_LONG", Exit::Damaged));
    }
}
