//! `issuer verify-qr --anchors FILE`: whether the QR code of a card's back is genuine (card specification, chapter 15), from
//! its text and the anchors alone, on a machine that knows nothing else; and by the office's list whether its number counts no more. Left out: reading a picture, which scanners do.

use std::path::{Path, PathBuf};

use card_reader::Pinned;
use issuer_artwork::qr;
use issuer_office::card_back;
use issuer_production::EndedList;
use jiff::civil::Date;
use program_contract::language::{Line, Words};
use program_contract::{Exit, Failure, Outcome, file, line};
use serde::Serialize;

use crate::command::failure;
use crate::command::place::{MAX_ANCHORS, or_standard_input};

/// Longest text that is read, bytes: many times that of a code.
const MAX_TEXT: u64 = 4096;

/// Longest list of ended numbers, bytes: four million of them.
const MAX_LIST: u64 = 64 << 20;

/// What the code leaves open, whoever signed it.
const UNSAID: [&str; 5] = ["HOLDER", "TIER", "LAST_DAY", "LOSS", "COPY"];

/// Arguments of `verify-qr`.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyQr {
    /// A file with the text that a scanner read from the code; `-` is standard input.
    #[arg(
        value_name = "FILE",
        required_unless_present = "text",
        conflicts_with = "text"
    )]
    file: Option<PathBuf>,
    /// The text itself.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// The vault's anchors file (`keyvault anchors --json`).
    #[arg(long, value_name = "FILE")]
    anchors: PathBuf,
    /// The office's list of ended numbers, as `/check/ended` gives it.
    #[arg(long, value_name = "FILE", requires = "office_key")]
    ended: Option<PathBuf>,
    /// The key that signs that list, 130 hex digits, as the check page shows it.
    #[arg(long, value_name = "HEX", requires = "ended")]
    office_key: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct Verified {
    card_number: String,
    division: String,
    issued_on: Date,
    rehearsal: bool,
    unsaid: [&'static str; 5],
    /// The day of the list on which the number is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_ended_on: Option<Date>,
}

impl VerifyQr {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let anchors = read(&self.anchors, MAX_ANCHORS)?;
        let (pinned, document_signer) = Pinned::with_document_signer(&anchors).map_err(|error| {
            let mut failure = Failure::from(error);
            failure.exit = Exit::Usage;
            failure
        })?;
        let bytes = match (&self.text, &self.file) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(path)) => read(path, MAX_TEXT)?,
            (None, None) => Vec::new(),
        };
        let text = scanned(&bytes)?;
        let statement = qr::parse(text).ok_or_else(|| unreadable(text))?;
        if !card_back::has_signature_of(&statement, &document_signer.to_point65()) {
            return Err(failure::qr_not_signed());
        }
        let not_ended_on = self.not_ended(&statement.card_number, &document_signer.to_point65())?;
        let founded = pinned.founded();
        let mut lines: Vec<Line> = founded.banner().map(|banner| line!(banner)).into_iter().collect();
        lines.extend([
            line!(Words("真", "genuine")),
            line!(Words("卡号", "card number"), ": ", &statement.card_number),
            line!(Words("签发地", "division"), ": ", &statement.division),
            line!(Words("签发日期", "issued"), ": ", statement.issued_on),
        ]);
        if let Some(day) = not_ended_on {
            lines.push(line!(
                Words("不在失效名单上，名单日期", "not on the list of ended numbers of"),
                ": ",
                day
            ));
        }
        lines.extend([
            line!(Words(
                "二维码不载明持卡人、居住证类别和有效期，也不能说明证件是否已挂失、换发，或此码是否翻印：请读取芯片，并核对本人与照片。",
                "The code does not say who holds the card, for which tier and until when it counts, whether it was lost or replaced, or whether this is a copy of it: read the chip, and compare the face with the person."
            )),
        ]);
        let report = Verified {
            card_number: statement.card_number,
            division: statement.division,
            issued_on: statement.issued_on,
            rehearsal: founded.is_rehearsal(),
            unsaid: UNSAID,
            not_ended_on,
        };
        Outcome::done("yzt.verify_qr/1", &report, lines)
    }
}

impl VerifyQr {
    /// The day of the list, where one was given, on which the number is not.
    fn not_ended(&self, number: &str, document_signer: &[u8; 65]) -> Result<Option<Date>, Failure> {
        let (Some(path), Some(key)) = (&self.ended, &self.office_key) else {
            return Ok(None);
        };
        let key = hex::decode(key).ok().and_then(|key| key.try_into().ok());
        let text = String::from_utf8(read(path, MAX_LIST)?).ok();
        let list = key
            .zip(text)
            .and_then(|(key, text): ([u8; 65], String)| EndedList::verified(&text, &key))
            .filter(|list| list.signer == *document_signer)
            .ok_or_else(failure::qr_list)?;
        if list.has(number) {
            return Err(failure::qr_ended(number));
        }
        Ok(Some(list.day))
    }
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    file::read(or_standard_input(path), most)
        .map_err(|error| Failure::file(Words("读取", "read"), path, &error))
}

/// The text that the code has, without what an editor or a scanner puts around it.
fn scanned(bytes: &[u8]) -> Result<&str, Failure> {
    let pictures: [&[u8]; 4] = [b"\x89PNG", b"\xFF\xD8\xFF", b"GIF8", b"%PDF"];
    if pictures.iter().any(|picture| bytes.starts_with(picture)) {
        return Err(failure::qr_picture());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| failure::qr_foreign())?;
    Ok(text
        .trim_start_matches('\u{FEFF}')
        .trim_matches(|sign: char| sign.is_ascii_whitespace()))
}

/// What is wrong with a text that is no statement.
fn unreadable(text: &str) -> Failure {
    match text.split(':').next().unwrap_or_default() {
        qr::PREFIX => failure::qr_damaged(),
        other if is_version(other) => failure::qr_version(),
        _ => failure::qr_foreign(),
    }
}

/// `YZT` and a number.
fn is_version(prefix: &str) -> bool {
    prefix
        .strip_prefix("YZT")
        .is_some_and(|version| !version.is_empty() && version.bytes().all(|sign| sign.is_ascii_digit()))
}
