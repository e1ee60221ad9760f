//! Packs a folder of inputs into one file, or lays a file out as a folder: `grown pack FOLDER FILE`, `grown unpack FILE FOLDER`.
//! Used by `scripts/soak.sh`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a tool of the developers: it says what is wrong by stopping"
)]

use std::path::PathBuf;

use card_fuzz::{pack, unpack};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["pack", folder, file] => {
            let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect();
            paths.sort();
            let mut inputs: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
            // Short ones first: whoever reads a failure sees the simplest.
            inputs.sort_by_key(Vec::len);
            std::fs::write(file, pack(inputs.iter().map(Vec::as_slice))).unwrap();
        }
        ["unpack", file, folder] => {
            let bytes = std::fs::read(file).unwrap();
            for (number, input) in unpack(&bytes).expect("a whole file").into_iter().enumerate() {
                std::fs::write(format!("{folder}/grown-{number:05}"), input).unwrap();
            }
        }
        _ => panic!("grown pack FOLDER FILE | grown unpack FILE FOLDER"),
    }
}
