//! Why a face was not drawn, and what to do about it.

use std::path::PathBuf;

/// Why a face was not drawn. Field names are the template's; no value is repeated but the one character without a glyph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArtworkError {
    /// No card font is installed.
    #[error("no card font is installed")]
    NoFont,
    /// A font file cannot be read as a font.
    #[error("the font file {} cannot be read as a font", file.display())]
    FontUnreadable {
        /// The file.
        file: PathBuf,
    },
    /// No font of the card draws a character.
    #[error("the item {field} holds the character U+{:04X}, which no installed card font draws", u32::from(*character))]
    MissingGlyph {
        /// The field of the template.
        field: String,
        /// The character.
        character: char,
    },
    /// A text does not fit at the legal minimum size.
    #[error("the item {field} does not fit on the card at the smallest type that the law allows")]
    Overflow {
        /// The field of the template.
        field: String,
    },
    /// A field of the template got no value.
    #[error("the item {field} has no value")]
    ValueMissing {
        /// The field of the template.
        field: String,
    },
    /// The portrait is no JPEG or PNG that can be drawn.
    #[error("the portrait cannot be decoded")]
    PhotoUnreadable,
    /// The QR code would have modules too small to print.
    #[error("the QR code does not fit its place")]
    QrTooLong,
    /// There is no template for a jurisdiction.
    #[error("there is no card template for the division {division}")]
    NoTemplate {
        /// GB/T 2260 division, 6 digits.
        division: String,
    },
    /// A template is wrong.
    #[error("the card template is wrong: {what}")]
    Template {
        /// What is wrong with it.
        what: String,
    },
}

impl ArtworkError {
    /// The code for programs, from a closed list.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoFont => "NO_CARD_FONT",
            Self::FontUnreadable { .. } => "FONT_UNREADABLE",
            Self::MissingGlyph { .. } => "MISSING_GLYPH",
            Self::Overflow { .. } => "TEXT_OVERFLOW",
            Self::ValueMissing { .. } => "FACE_ITEM_MISSING",
            Self::PhotoUnreadable => "PORTRAIT_UNREADABLE",
            Self::QrTooLong => "QR_TOO_LONG",
            Self::NoTemplate { .. } => "NO_CARD_TEMPLATE",
            Self::Template { .. } => "CARD_TEMPLATE",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::NoFont => "Install fonts-wqy-zenhei, or name font files with --font.",
            Self::FontUnreadable { .. } => "Install the font again, or take it out of the list.",
            Self::MissingGlyph { .. } => {
                "Install fonts-noto-cjk, fonts-hanazono or fonts-babelstone-han, which draw rare characters; or correct the text and hand the file in again."
            }
            Self::Overflow { .. } => {
                "Shorten the text by the rules of the register, and hand in the corrected file."
            }
            Self::ValueMissing { .. } => "Complete the file and hand it in again.",
            Self::PhotoUnreadable => "Fetch the print rendition from the photo store again.",
            Self::QrTooLong => "Check the card number: it is longer than the format allows.",
            Self::NoTemplate { .. } => {
                "Add the jurisdiction's templates under issuer/artwork and their line in the table."
            }
            Self::Template { .. } => "Correct the template; `cargo test -p issuer-artwork` checks it.",
        }
    }

    /// What happened and what to do, in Chinese.
    #[must_use]
    pub fn chinese(&self) -> (String, &'static str) {
        match self {
            Self::NoFont => (
                "没有安装卡面字体".to_owned(),
                "请安装 fonts-wqy-zenhei，或用 --font 指明字体文件。",
            ),
            Self::FontUnreadable { file } => (
                format!("字体文件 {} 无法读取", file.display()),
                "请重新安装该字体，或将其移出列表。",
            ),
            Self::MissingGlyph { field, character } => (
                format!(
                    "项目 {field} 含有字符 U+{:04X}，已安装的卡面字体都没有此字",
                    u32::from(*character)
                ),
                "请安装 fonts-noto-cjk、fonts-hanazono 或 fonts-babelstone-han；仍没有此字的，提交生僻字工单。此前不得印卡。",
            ),
            Self::Overflow { field } => (
                format!("项目 {field} 用法定最小字号也排不下"),
                "请发证机关按规定缩写该文字，再重新下单。",
            ),
            Self::ValueMissing { field } => (format!("项目 {field} 没有内容"), "请补全案件，再重新下单。"),
            Self::PhotoUnreadable => ("照片无法解码".to_owned(), "请从照片库重新取印刷规格的照片。"),
            Self::QrTooLong => ("二维码排不下".to_owned(), "请核对证件卡号：它超过了规定长度。"),
            Self::NoTemplate { division } => (
                format!("行政区划 {division} 没有卡面模板"),
                "请在 issuer/artwork 下添加该地的模板，并在模板表中加一行。",
            ),
            Self::Template { what } => (
                format!("卡面模板有误：{what}"),
                "请改正模板；`cargo test -p issuer-artwork` 可检查。",
            ),
        }
    }
}
