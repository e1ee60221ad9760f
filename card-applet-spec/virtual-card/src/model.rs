//! Which card lies in a memory file: the reference card or the Java Card. A file tells by how it begins.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use clap::ValueEnum;

use crate::card::Card;
use crate::chip::Chip;
use crate::error::Error;
use crate::java_card::{self, JavaCard};
use crate::memory::CardMemory;
use crate::random::CardRandom;

/// A model of card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Model {
    /// 参考实现 / The reference card
    #[default]
    Reference,
    /// Java 卡 / The Java Card applet, in a process of its own
    Javacard,
}

/// The card of a memory file, without power. `random` is the reference card's source; a Java Card has its own.
///
/// # Errors
///
/// As [`CardMemory::open`]; [`Error::JavaCard`].
pub fn open(memory: &Path, random: CardRandom) -> Result<Box<dyn Chip>, Error> {
    if is_java(memory) {
        return Ok(Box::new(JavaCard::open(memory)?));
    }
    Ok(Box::new(Card::new(CardMemory::open(memory)?, random)))
}

fn is_java(memory: &Path) -> bool {
    let mut head = [0; java_card::MAGIC.len()];
    let read = File::open(memory).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && head == java_card::MAGIC
}

#[cfg(test)]
mod tests {
    use card_applet_spec::codes::Serial;
    use card_applet_spec::kdf::KeySet;

    use super::*;

    #[test]
    fn a_memory_file_tells_which_card_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let (java, reference) = (folder.path().join("j.card"), folder.path().join("r.card"));
        let (serial, keys) = (Serial([1; 10]), KeySet::from_bytes(&[2; 48]));
        JavaCard::create(&java, serial, &keys).unwrap();
        CardMemory::create(&reference, 64).unwrap();
        assert!(is_java(&java));
        assert!(!is_java(&reference));
        assert!(!is_java(&folder.path().join("none")));
        assert_eq!(JavaCard::create(&java, serial, &keys).unwrap_err().code(), "FILE");
    }
}
