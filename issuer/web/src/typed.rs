//! What people type and paste, as the office reads it: digits of an input method, the blanks of a copied number, a date as an identity card
//! prints it, the dot of a name from the nearest key. Only pages read so; the API takes one form of each (`docs/contracts.md`).
//!
//! What cannot be read stays as it was typed: whoever parses it says what is wrong. Left out: which characters a name or an address may
//! hold, and which days there are (`permit_domain`).

use unicode_normalization::UnicodeNormalization as _;

/// The middle dot between the parts of a name (GB/T 28039).
const MIDDLE_DOT: char = '\u{B7}';

/// A number or a code of digits, letters and hyphens: without blanks and signs that nobody sees, and with plain hyphens.
pub(crate) fn token(text: &str) -> String {
    let signs = text.nfkc().filter(|sign| !sign.is_whitespace() && !unseen(*sign));
    signs.map(|sign| if is_dash(sign) { '-' } else { sign }).collect()
}

/// A number whose groups are set apart by blanks or hyphens, or by nothing.
pub(crate) fn number(text: &str) -> String {
    token(text).replace('-', "")
}

/// A day as YYYY-MM-DD: typed as eight digits, or with the separators of a card, a form or a keyboard.
pub(crate) fn day(text: &str) -> String {
    let plain = token(text);
    let parts: Vec<&str> = plain
        .trim_end_matches('日')
        .split(['-', '.', '/', '。', '年', '月'])
        .collect();
    let is_digits = |part: &&str| !part.is_empty() && part.bytes().all(|sign| sign.is_ascii_digit());
    if !parts.iter().all(is_digits) {
        return plain;
    }
    match parts[..] {
        [all] if all.len() == 8 => format!("{}-{}-{}", &all[..4], &all[4..6], &all[6..]),
        [year, month, day] if year.len() == 4 && month.len() <= 2 && day.len() <= 2 => {
            format!("{year}-{month:0>2}-{day:0>2}")
        }
        _ => plain,
    }
}

/// The last day of a paper; nothing where the paper says that it has none (长期).
pub(crate) fn last_day(text: &str) -> String {
    let plain = token(text);
    match plain.as_str() {
        "长期" | "长期有效" | "永久" | "無期限" | "无期限" => String::new(),
        _ => day(&plain),
    }
}

/// A whole number of months, also with its unit.
pub(crate) fn months(text: &str) -> String {
    let plain = number(text);
    let months = plain.trim_end_matches('月').trim_end_matches('个');
    months.to_owned()
}

/// An amount of money: with the full stop of any keyboard, also with the sign or the word of the currency.
pub(crate) fn amount(text: &str) -> String {
    let plain = token(text).replace('。', ".");
    let amount = plain.trim_start_matches(['¥', '\u{FFE5}']);
    amount.trim_end_matches('元').to_owned()
}

/// A line of text: every blank is the plain one, one at a time, and none at the ends.
pub(crate) fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A name. In one with Chinese characters the full stop of any keyboard between two letters is the middle dot, and blanks neither
/// stand at the dot nor between two Chinese characters: an identity card spaces a name of two.
pub(crate) fn name(text: &str) -> String {
    let line = line(text);
    if !line.chars().any(is_han) {
        return line;
    }
    let signs: Vec<char> = line
        .chars()
        .map(|sign| match sign {
            '.' | '。' | '\u{FF0E}' | '\u{FF61}' => MIDDLE_DOT,
            other => other,
        })
        .collect();
    // A stop at an end is no part of a name: it stays what it is, to be refused with its place.
    let last = signs.len().saturating_sub(1);
    let at = |place: usize| signs.get(place).copied();
    let mut name = String::new();
    for ((place, sign), typed) in signs.iter().enumerate().zip(line.chars()) {
        match *sign {
            ' ' => {
                let (before, behind) = (at(place.wrapping_sub(1)), at(place + 1));
                let joins = |sign: Option<char>| sign.is_some_and(is_dot);
                let between_han = before.is_some_and(is_han) && behind.is_some_and(is_han);
                if !joins(before) && !joins(behind) && !between_han {
                    name.push(' ');
                }
            }
            MIDDLE_DOT if place == 0 || place == last => name.push(typed),
            sign => name.push(sign),
        }
    }
    name
}

/// Blank or without width: pasted along, seen by nobody, and no part of a number.
fn unseen(sign: char) -> bool {
    matches!(sign, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

/// Hyphens and dashes of all lengths, and the minus sign.
fn is_dash(sign: char) -> bool {
    matches!(sign, '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// The middle dot, and what input methods put in its place most often.
fn is_dot(sign: char) -> bool {
    matches!(
        sign,
        MIDDLE_DOT | '\u{2022}' | '\u{2027}' | '\u{22C5}' | '\u{30FB}' | '\u{FF65}'
    )
}

/// A Chinese character: the blocks of CJK ideographs, and 〇.
fn is_han(sign: char) -> bool {
    matches!(sign, '\u{3007}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFD}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_what_is_left_without_blanks_hyphens_and_what_nobody_sees() {
        for typed in [
            " 430102 19900615 7789",
            "430102-19900615-7789",
            "\u{200E}430102199006157789",
            "４３０１０２１９９００６１５７７８９",
            "430102\u{3000}19900615\u{A0}7789\n",
        ] {
            assert_eq!(number(typed), "430102199006157789", "{typed:?}");
        }
        assert_eq!(
            number("１１０１０５１９４９１２３１００２Ｘ"),
            "11010519491231002X"
        );
        assert_eq!(token("４４０３—0000 0001"), "4403-00000001");
    }

    #[test]
    fn a_day_is_read_as_cards_forms_and_keyboards_write_it() {
        for typed in [
            "1990-06-05",
            "19900605",
            "1990.06.05",
            "1990/6/5",
            "1990。6。5",
            "1990年6月5日",
            "1990 年 06 月 05 日",
            "１９９０-０６-０５",
            "1990－06－05",
            "1990-6-5",
        ] {
            assert_eq!(day(typed), "1990-06-05", "{typed}");
        }
        // What is none of these stays what it is, and is refused by whoever parses it.
        for typed in [
            "",
            "90-06-05",
            "1990-06",
            "199006055",
            "1990-006-05",
            "六月五日",
            "1990-06-05T00:00",
        ] {
            assert_eq!(day(typed), typed);
        }
        assert_eq!(last_day("长期"), "");
        assert_eq!(last_day("2041.12.01"), "2041-12-01");
        assert_eq!(
            (months("１８"), months("18个月")),
            ("18".to_owned(), "18".to_owned())
        );
        assert_eq!(
            (amount("￥12。50"), amount("５０元")),
            ("12.50".to_owned(), "50".to_owned())
        );
    }

    #[test]
    fn a_name_has_its_dot_and_no_blank_of_layout() {
        for typed in [
            "古丽米热·艾比布力",
            "古丽米热.艾比布力",
            "古丽米热。艾比布力",
            "古丽米热．艾比布力",
            "古丽米热 · 艾比布力",
            "古丽米热 . 艾比布力",
            "\u{3000}古丽米热\u{A0}·艾比布力 ",
        ] {
            assert_eq!(name(typed), "古丽米热·艾比布力", "{typed:?}");
        }
        assert_eq!(name("周 敏"), "周敏");
        assert_eq!(name("周\u{3000}敏"), "周敏");
        // A stop where no dot can be stays, and so do the blanks of other scripts.
        assert_eq!(name("周敏."), "周敏.");
        assert_eq!(name("Anna  Maria J. Smith"), "Anna Maria J. Smith");
        assert_eq!(name("周敏 Anna"), "周敏 Anna");
        assert_eq!(line("科苑路\u{3000}8号\u{A0}3栋\t"), "科苑路 8号 3栋");
    }
}
