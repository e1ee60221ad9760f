//! A secret that a person types: a passphrase, a token. At a terminal it is asked for and not shown; otherwise it is the
//! first line of a file, or of standard input.
//!
//! A secret is never an argument: other users of the machine see those. Left out: what a good secret is, which its owner
//! judges.

use std::io;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use zeroize::Zeroizing;

use crate::language::{Language, Said, Words};
use crate::outcome::Failure;

/// More bytes than any secret has.
const LIMIT: usize = 4096;

/// Keys of a terminal, as bytes.
const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const KILL: u8 = 0x15;
const BACKSPACES: [u8; 2] = [0x08, 0x7F];

/// The secret in the file, where `-` and no file are standard input. Where that is a terminal, `prompt` asks there, in the language
/// of this process.
///
/// # Errors
/// A [`Failure`] that never carries what was read.
pub fn read(file: Option<&Path>, prompt: impl Said) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let file = file.filter(|file| *file != Path::new("-"));
    let failed = |error: io::Error| {
        Failure::file(
            Words("读取口令文件", "read a secret from"),
            file.unwrap_or(Path::new("/dev/stdin")),
            &error,
        )
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT + 1));
    match file {
        Some(file) => {
            std::fs::File::open(file)
                // Room for one byte more, to tell a line that is cut from one that ends.
                .and_then(|file| file.take(LIMIT as u64 + 1).read_to_end(&mut bytes))
                .map_err(failed)?;
            if line(&bytes).len() > LIMIT {
                return Err(failed(too_long()));
            }
        }
        None if io::stdin().is_terminal() => {
            bytes =
                hidden_line(&Language::of_process().text(&prompt)).map_err(|error| match error.kind() {
                    io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof => given_up(&prompt),
                    _ => failed(error),
                })?;
        }
        None => bytes = piped_line().map_err(failed)?,
    }
    let secret = Zeroizing::new(line(&bytes).to_vec());
    if secret.is_empty() {
        return Err(not_given(&prompt));
    }
    Ok(secret)
}

/// Whether a person types the secret that [`read`] takes from there.
#[must_use]
pub fn is_typed(file: Option<&Path>) -> bool {
    file.is_none_or(|file| file == Path::new("-")) && io::stdin().is_terminal()
}

/// Told before the same person is asked again.
const NOT_THE_SAME: Words = Words("两次输入不一致，请再来一次", "not the same: once more");

/// How often somebody whose two entries differ is asked.
const TRIES: usize = 3;

/// As [`read`], of a secret that is new: at a terminal it is typed twice, so that no slip lasts. After a slip the same person is
/// asked again, three times in all.
///
/// # Errors
/// As [`read`], and `SECRETS_DIFFER`.
pub fn read_new(file: Option<&Path>, prompt: impl Said) -> Result<Zeroizing<Vec<u8>>, Failure> {
    for left in (0..TRIES).rev() {
        let secret = read(file, &prompt)?;
        if !is_typed(file) || secret == read(file, again(&prompt))? {
            return Ok(secret);
        }
        if left > 0 {
            crate::tell!(NOT_THE_SAME);
        }
    }
    Err(differ(&prompt))
}

/// Shows a secret that the program made, on the terminal of standard input alone, and has it typed back, so that it was written
/// down or learnt before it counts. Then the screen is cleared.
///
/// # Errors
/// `NO_TERMINAL`, `SECRETS_DIFFER`, `GIVEN_UP`; as [`read`].
pub fn show_new(secret: &[u8], prompt: impl Said) -> Result<(), Failure> {
    // Clears the screen and what was scrolled away, and goes to the top (ECMA-48, xterm).
    const CLEAR: &[u8] = b"\x1b[2J\x1b[3J\x1b[H";
    if !io::stdin().is_terminal() {
        return Err(no_terminal(&prompt));
    }
    let question = Language::of_process().text(&prompt);
    let shown = || -> io::Result<()> {
        for part in [question.as_bytes(), b":\r\n\r\n    ", secret, b"\r\n\r\n"] {
            let mut rest = part;
            while !rest.is_empty() {
                rest = &rest[rustix::io::write(io::stdin(), rest)?..];
            }
        }
        Ok(())
    };
    shown().map_err(|error| {
        Failure::file(
            Words("在终端上显示", "show it at the terminal"),
            Path::new("/dev/stdin"),
            &error,
        )
    })?;
    let typed_back = || -> Result<(), Failure> {
        for left in (0..TRIES).rev() {
            if *read(None, write_down(&prompt))? == secret {
                return Ok(());
            }
            if left > 0 {
                crate::tell!(NOT_THE_SAME);
            }
        }
        Err(differ(&prompt))
    };
    let typed = typed_back();
    // What cannot be cleared scrolls away.
    let _ = rustix::io::write(io::stdin(), CLEAR);
    typed
}

crate::sentences! {
    fn again(prompt) = "{prompt}，再输一次", "{prompt}, again";
    fn write_down(prompt) = "{prompt}，请记下后输入一次", "{prompt}, write it down and type it";
}

crate::failures! {
    fn no_terminal(prompt) = Usage "NO_TERMINAL" {
        "程序生成的口令只在终端上显示（{prompt}），标准输入不是终端；未做任何改动", "a secret that is made is shown at a terminal alone ({prompt}), and standard input is none; nothing was done";
        "请在终端运行同一命令。", "Run the same command at a terminal.";
    }
    fn not_given(prompt) = Usage "NO_SECRET" {
        "没有给出口令（{prompt}）", "no secret was given ({prompt})";
        "请在终端运行同一命令并输入，或指定一个首行为该口令的文件。",
        "Run the same command at a terminal and type it, or name a file that holds it in its first line.";
    }
    fn differ(prompt) = Refused "SECRETS_DIFFER" {
        "两次输入不一致（{prompt}）；未做任何改动", "what was typed is not the same twice ({prompt}); nothing was done";
        "请再运行同一命令，两次输入须相同。", "Run the same command again and type the same twice.";
    }
    fn given_up(prompt) = Refused "GIVEN_UP" {
        "没有输入（{prompt}）；未做任何改动", "nothing was typed ({prompt}); nothing was done";
        "备好后再运行同一命令。", "Run the same command again when you have it.";
    }
}

/// The first line of a file, without its end, and without the mark that some editors write before a text.
#[must_use]
pub fn line(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Asks for one line on the terminal, and shows nothing of what is typed. The terminal is as it was afterwards.
fn hidden_line(question: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let silent = Silent::begin()?;
    // Asked when the terminal is silent already: nothing that is typed at once is shown.
    let mut prose = io::stderr();
    write!(prose, "{question}: ")?;
    prose.flush()?;
    let line = read_line(&mut Unbuffered);
    drop(silent);
    writeln!(prose)?;
    line
}

/// Standard input without the buffer of `Stdin`, which lives for as long as the process and is not wiped, and takes what
/// stands behind the line.
struct Unbuffered;

impl io::Read for Unbuffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(io::stdin(), buffer)?)
    }
}

/// One line of standard input that is no terminal, and nothing behind it: the next one is the next question's.
fn piped_line() -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(LIMIT));
    let mut byte = [0];
    while Unbuffered.read(&mut byte)? == 1 && byte != *b"\n" {
        if line.len() == LIMIT {
            return Err(too_long());
        }
        line.extend_from_slice(&byte);
    }
    Ok(line)
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the line is longer than 4096 bytes")
}

/// The terminal while a secret is typed.
struct Silent(Termios);

impl Silent {
    fn begin() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        // Byte by byte, with the keys that end programs as bytes: else Ctrl-C would leave the terminal silent.
        silent
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        termios::tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // Nothing better is left to try; `reset` in the shell brings a terminal back.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

fn read_line(typed: &mut impl io::Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(LIMIT));
    let mut byte = Zeroizing::new([0]);
    // One at a time: what stands behind the line is for whoever reads next.
    while typed.read(&mut *byte)? > 0 {
        match byte[0] {
            b'\n' | b'\r' => return Ok(line),
            INTERRUPT => return Err(io::ErrorKind::Interrupted.into()),
            END if line.is_empty() => break,
            END => return Ok(line),
            KILL => line.clear(),
            byte if BACKSPACES.contains(&byte) => {
                // The whole character, of up to four bytes.
                while line.pop().is_some_and(|byte| byte & 0xC0 == 0x80) {}
            }
            _ if line.len() == LIMIT => return Err(too_long()),
            byte => line.push(byte),
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
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

    fn typed(keys: &[u8]) -> Result<String, io::ErrorKind> {
        read_line(&mut &*keys)
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .map_err(|error| error.kind())
    }

    #[test]
    fn a_line_ends_where_it_was_ended_and_a_slip_is_taken_back_by_the_character() {
        assert_eq!(typed(b"abc\rrest"), Ok("abc".into()));
        assert_eq!(typed("木棉\u{7f}花\n".as_bytes()), Ok("木花".into()));
        assert_eq!(typed(b"\x7f\x08ab\x08c\n"), Ok("ac".into()));
        assert_eq!(typed(b"wrong\x15right\n"), Ok("right".into()));
        assert_eq!(typed(b"abc\x04"), Ok("abc".into()));
    }

    #[test]
    fn a_line_that_is_given_up_is_no_passphrase() {
        assert_eq!(typed(b"abc\x03"), Err(io::ErrorKind::Interrupted));
        assert_eq!(typed(b"\x04"), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(typed(b"cut"), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(typed(&[b'a'; 5000]), Err(io::ErrorKind::InvalidData));
    }
}
