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

    /// Yuan with at most two decimals, more than zero: `12`, `12.5`, `12.50`.
    fn from_str(text: &str) -> Result<Self, Words> {
        let wrong = || {
            Words(
                "金额以元为单位，最多两位小数，须大于零",
                "an amount is yuan with at most two decimals, more than zero",
            )
        };
        let (yuan, fen) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(yuan) || !digits(fen) || fen.len() > 2 || (fen == "0" && text.ends_with('.')) {
            return Err(wrong());
        }
        let fen = format!("{fen:0<2}");
        let amount = yuan
            .parse::<u32>()
            .ok()
            .and_then(|yuan| yuan.checked_mul(100)?.checked_add(fen.parse().ok()?))
            .filter(|amount| *amount > 0)
            .ok_or_else(wrong)?;
        Ok(Self(amount))
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
        ] {
            assert_eq!(text.parse(), Ok(Fen(fen)), "{text}");
        }
        for text in [
            "", "0", "0.00", "-1", "+1", "1.", ".5", "1.234", "1,50", "1e3", " 1", "42949673", "一",
        ] {
            assert!(text.parse::<Fen>().is_err(), "{text}");
        }
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
