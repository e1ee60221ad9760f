//! Money as people write and read it: in yuan, whole fen. No floating point. Programs among themselves count fen.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::language::{Said, Words};

/// An amount in fen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fen(pub u32);

impl fmt::Display for Fen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&yuan(self.0.into()))
    }
}

impl Said for Fen {
    fn zh(&self) -> Cow<'_, str> {
        self.to_string().into()
    }

    fn en(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

/// A sum of amounts, in yuan.
#[must_use]
pub fn yuan(fen: u64) -> String {
    format!("{}.{:02}", fen / 100, fen % 100)
}

impl FromStr for Fen {
    type Err = Words;

    /// Yuan with at most two decimals, more than zero: `12`, `12.5`, `12.50`. Full-width digits and the stops that a Chinese input
    /// method writes are read as what they are; nothing else is guessed at, a comma least of all.
    fn from_str(text: &str) -> Result<Self, Words> {
        const FORM: Words = Words(
            "金额以元为单位，最多两位小数，须大于零",
            "an amount is yuan with at most two decimals, more than zero",
        );
        const COMMA: Words = Words(
            "金额中不写逗号；小数点写作“.”，如 12.50",
            "an amount has no comma; write its decimals behind a point, such as 12.50",
        );
        const DECIMALS: Words = Words(
            "金额最多两位小数：最小为一分",
            "an amount has at most two decimals: the least is one fen",
        );
        const NOTHING: Words = Words("金额须大于零", "an amount is more than zero");
        const TOO_LARGE: Words = Words(
            "金额过大：最多 42949672.95 元",
            "the amount is too large: at most 42949672.95 yuan",
        );
        let text: String = text.chars().map(plain).collect();
        if text.contains([',', '，', '、']) {
            return Err(COMMA);
        }
        let (yuan, fen) = text.split_once('.').unwrap_or((&text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(yuan) || !digits(fen) {
            return Err(FORM);
        }
        if fen.len() > 2 {
            return Err(DECIMALS);
        }
        let amount = yuan.parse::<u32>().ok().and_then(|yuan| {
            let fen = format!("{fen:0<2}").parse().ok()?;
            yuan.checked_mul(100)?.checked_add(fen)
        });
        match amount {
            None => Err(TOO_LARGE),
            Some(0) => Err(NOTHING),
            Some(amount) => Ok(Self(amount)),
        }
    }
}

/// A full-width digit or a stop as ASCII has it.
fn plain(character: char) -> char {
    match character {
        '０'..='９' => {
            char::from_u32(u32::from(character) - u32::from('０') + u32::from('0')).unwrap_or(character)
        }
        '．' | '。' | '｡' => '.',
        character => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yuan_are_read_as_a_clerk_writes_them_and_nothing_else_is() {
        for (text, fen) in [
            ("12.50", 1250),
            ("12.5", 1250),
            ("12", 1200),
            ("0.01", 1),
            ("0.10", 10),
            ("007", 700),
            ("12。50", 1250),
            ("１２．５", 1250),
            ("12｡05", 1205),
        ] {
            assert_eq!(text.parse(), Ok(Fen(fen)), "{text}");
        }
        for text in [
            "",
            "0",
            "0.00",
            "-1",
            "+1",
            "1.",
            ".5",
            "1.234",
            "1,50",
            "1e3",
            " 1",
            "42949673",
            "一",
            "12，5",
            "12。",
            "1。2.3",
            "999999999",
        ] {
            assert!(text.parse::<Fen>().is_err(), "{text}");
        }
        let why = |text: &str| text.parse::<Fen>().unwrap_err().1;
        assert!(why("12,5").contains("comma") && why("12，5").contains("comma"));
        assert!(why("12.345").contains("two decimals") && why("0").contains("more than zero"));
        assert!(why("999999999").contains("too large") && why("99999999999").contains("too large"));
        assert_eq!(Fen(1250).to_string(), "12.50");
        assert_eq!(Fen(7).to_string(), "0.07");
    }

    #[test]
    fn what_is_shown_is_read_again() {
        for fen in (1..=100_001).chain([u32::MAX - 1, u32::MAX]) {
            assert_eq!(Fen(fen).to_string().parse(), Ok(Fen(fen)));
        }
    }
}
