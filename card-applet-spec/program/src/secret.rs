//! A secret that a person types: a passphrase, a token. At a terminal it is asked for and not shown; otherwise it is the
//! first line of a file, or of standard input.
//!
//! A secret is never an argument: other users of the machine see those. Left out: what a good secret is, which its owner
//! judges.

use std::io;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

use crate::outcome::{Exit, Failure};

/// More than any secret has.
const LIMIT: u64 = 4096;

/// The secret in the file, where `-` and no file are standard input. Where that is a terminal, `prompt` asks there.
///
/// # Errors
/// A [`Failure`] that never carries what was read.
pub fn read(file: Option<&Path>, prompt: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let file = file.filter(|file| *file != Path::new("-"));
    let failed = |error: io::Error| {
        Failure::file(
            "read a secret from",
            file.unwrap_or(Path::new("standard input")),
            &error,
        )
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    match file {
        Some(file) => {
            std::fs::File::open(file)
                .and_then(|file| file.take(LIMIT).read_to_end(&mut bytes))
                .map_err(failed)?;
        }
        None if io::stdin().is_terminal() => {
            let typed = Zeroizing::new(rpassword::prompt_password(format!("{prompt}: ")).map_err(failed)?);
            bytes.extend_from_slice(typed.as_bytes());
        }
        None => {
            io::stdin().take(LIMIT).read_to_end(&mut bytes).map_err(failed)?;
        }
    }
    let secret = Zeroizing::new(line(&bytes).to_vec());
    if secret.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "NO_SECRET",
            format!("no secret was given ({prompt})"),
            "Run the same command at a terminal and type it, or name a file that holds it in its first line.",
        ));
    }
    Ok(secret)
}

/// The first line of a file, without its end, and without the mark that some editors write before a text.
#[must_use]
pub fn line(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_secret_whatever_an_editor_put_around_it() {
        for written in [
            "open 开门",
            "open 开门\n",
            "open 开门\r\n",
            "\u{feff}open 开门\n",
            "open 开门\nmore",
        ] {
            assert_eq!(line(written.as_bytes()), "open 开门".as_bytes(), "{written:?}");
        }
    }

    #[test]
    fn a_file_without_a_secret_is_told_and_an_absent_one_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        assert_eq!(read(Some(&path), "passphrase").unwrap_err().code, "FILE");
        for empty in ["", "\n", "\u{feff}\r\n"] {
            std::fs::write(&path, empty).unwrap();
            assert_eq!(read(Some(&path), "passphrase").unwrap_err().code, "NO_SECRET");
        }
        std::fs::write(&path, "open\n").unwrap();
        assert_eq!(*read(Some(&path), "passphrase").unwrap(), b"open");
    }
}
