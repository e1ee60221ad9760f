//! What a passphrase is worth: an estimate, in bits, of what a program that guesses must go through, and a passphrase that
//! the program makes.
//!
//! The cheapest way to spell the text is looked for, as in "zxcvbn: Low-Budget Password Strength Estimation" (Wheeler,
//! USENIX Security 2016): rows of a keyboard or an alphabet, what was written before, dates, names and known words cost
//! little, whatever their length; the rest costs what words cost in running text, 2 bits a letter (Shannon 1951). A Chinese
//! character costs 6 in a word of one or two that stands for itself; all longer runs together cost no more than a line of a known text,
//! because people choose lines that they know by heart and no list has all of them. The crate `zxcvbn` is not used: it counts a Chinese character like a digit, knows English lists alone,
//! reads the clock, and leaves copies of the passphrase in memory that nothing wipes. Left out: long lists of words,
//! which a guesser has and this program has not.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Bits that a passphrase is worth at least. With [`Cost::STANDARD`](crate::custody::protection::Cost::STANDARD) a core tries
/// ten a second: 2^50 take it three and a half million years, and an estimate that is wrong by ten bits leaves three and a half thousand.
pub(crate) const ENOUGH: u32 = 50;

/// A bit has ten of these: all costs are whole numbers.
const BIT: u32 = 10;
const HAN: u32 = 60;
/// The longest run of Chinese characters that is a word and no text.
const HAN_WORD: usize = 2;
/// So many characters of all longer runs count: 24 bits say which line of which poem, song, saying or book. Its other characters, and the
/// lines behind it, follow from there.
const HAN_TEXT: usize = 4;
const DIGIT: u32 = 33;
/// The first letter of a word, and one that stands in no word.
const LETTER: u32 = 40;
/// A further letter of a word.
const IN_A_WORD: u32 = 20;
const CAPITAL: u32 = 10;
const BLANK: u32 = 10;
const SIGN: u32 = 40;
const SIGN_AGAIN: u32 = 10;
/// Where it begins, how it goes, and how long: the length adds nothing.
const ROW: u32 = 60;
/// From where, and how much.
const COPY: u32 = 40;
const NAME: u32 = 30;
const KNOWN: u32 = 50;
const YEAR: u32 = 70;
const DAY_OF_YEAR: u32 = 90;
const DATE: u32 = 150;

/// Rows of keyboards, and of what is counted by; neighbours of code points are a row beside these.
const ROWS: &[&str] = &[
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "1234567890-=",
    "!@#$%^&*()_+",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "零一二三四五六七八九十百千万",
    "壹贰叁肆伍陆柒捌玖拾",
    "甲乙丙丁戊己庚辛壬癸",
    "子丑寅卯辰巳午未申酉戌亥",
];

/// What everybody tries first, and the words of this trade.
const WORDS: &[&str] = &[
    "password",
    "passwort",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "admin",
    "administrator",
    "root",
    "letmein",
    "welcome",
    "iloveyou",
    "monkey",
    "dragon",
    "master",
    "login",
    "default",
    "changeme",
    "test",
    "guest",
    "hello",
    "sunshine",
    "princess",
    "football",
    "keyvault",
    "vault",
    "custodian",
    "envelope",
    "openssl",
    "rehearsal",
    "scratch",
    "correct",
    "horse",
    "battery",
    "staple",
    "woaini",
    "woaiwojia",
    "mima",
    "kouling",
    "nihao",
    "yizhengtong",
    "juzhuzheng",
    "shenzhen",
    "guangdong",
    "guangzhou",
    "beijing",
    "shanghai",
    "zhongguo",
    "china",
    "密码",
    "口令",
    "密钥",
    "密钥库",
    "保管人",
    "信封",
    "分片",
    "一证通",
    "居住证",
    "居住",
    "深圳",
    "广东",
    "广州",
    "北京",
    "上海",
    "中国",
    "公安",
    "公安局",
    "我爱你",
    "你好",
    "管理员",
    "测试",
    "默认",
    "秘密",
    "芝麻开门",
    "床前明月光",
    "疑是地上霜",
    "举头望明月",
    "低头思故乡",
];

/// The bits that `text` is worth, rounded down. `names` are those of its owner and of the vault.
pub(crate) fn bits(text: &str, names: &[&str]) -> u32 {
    let signs: Zeroizing<Vec<char>> = Zeroizing::new(text.chars().collect());
    let small: Zeroizing<Vec<char>> = Zeroizing::new(signs.iter().copied().map(to_small).collect());
    let plain: Zeroizing<Vec<char>> = Zeroizing::new(small.iter().copied().map(without_disguise).collect());
    let singles = singles(&signs, &small);
    let words: Vec<(Vec<char>, u32)> = WORDS
        .iter()
        .map(|word| (word.chars().collect(), KNOWN))
        .chain(parts(names).map(|name| (name, NAME)))
        .collect();
    // The least that the first so many signs cost.
    let mut least = vec![u32::MAX; signs.len() + 1];
    least[0] = 0;
    for at in 0..signs.len() {
        let before = least[at];
        let mut spell = |length: usize, cost: u32| {
            let end = &mut least[at + length];
            *end = (*end).min(before.saturating_add(cost));
        };
        spell(1, singles[at]);
        for length in 3..=row(&small[at..]) {
            spell(length, ROW);
        }
        for length in 2..=copied(&small, at) {
            spell(length, COPY);
        }
        for (word, cost) in &words {
            if [&small, &plain].iter().any(|text| text[at..].starts_with(word)) {
                spell(word.len(), *cost);
            }
        }
        for (length, cost) in dates(&small[at..]) {
            spell(length, cost);
        }
    }
    least[signs.len()] / BIT
}

/// The parts of names that stand alone: two signs at least.
fn parts(names: &[&str]) -> impl Iterator<Item = Vec<char>> {
    names
        .iter()
        .flat_map(|name| name.split(|sign: char| !sign.is_alphanumeric()))
        .map(|part| part.chars().map(to_small).collect::<Vec<char>>())
        .filter(|part| part.len() >= 2)
}

fn to_small(sign: char) -> char {
    let mut small = sign.to_lowercase();
    match (small.next(), small.next()) {
        (Some(small), None) => small,
        _ => sign,
    }
}

/// The letter behind a digit or sign that is written for it.
fn without_disguise(sign: char) -> char {
    match sign {
        '@' | '4' => 'a',
        '3' => 'e',
        '1' | '!' => 'i',
        '0' => 'o',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

pub(crate) fn is_han(sign: char) -> bool {
    matches!(sign, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

fn is_letter(sign: char) -> bool {
    sign.is_alphabetic() && !is_han(sign)
}

/// What each sign costs where nothing better is found.
fn singles(signs: &[char], small: &[char]) -> Vec<u32> {
    let mut costs = Vec::with_capacity(signs.len());
    let mut of_text = 0;
    for (at, sign) in signs.iter().copied().enumerate() {
        costs.push(match sign {
            _ if is_han(sign) && run_of_han(signs, at) <= HAN_WORD => HAN,
            _ if is_han(sign) => {
                of_text += 1;
                if of_text <= HAN_TEXT { HAN } else { 0 }
            }
            _ if sign.is_numeric() => DIGIT,
            _ if is_letter(sign) => letter(signs, small, at),
            ' ' => BLANK,
            _ if signs[..at].contains(&sign) => SIGN_AGAIN,
            _ => SIGN,
        });
    }
    costs
}

/// How many Chinese characters stand together around this one.
fn run_of_han(signs: &[char], at: usize) -> usize {
    let before = signs[..at].iter().rev().take_while(|sign| is_han(**sign)).count();
    before + signs[at..].iter().take_while(|sign| is_han(**sign)).count()
}

fn letter(signs: &[char], small: &[char], at: usize) -> u32 {
    let begin = signs[..at]
        .iter()
        .rposition(|sign| !is_letter(*sign))
        .map_or(0, |end| end + 1);
    let length = signs[begin..].iter().take_while(|sign| is_letter(**sign)).count();
    let letters = &small[begin..begin + length];
    // A word has a vowel, or is of another script.
    let is_word = length > 2
        && letters
            .iter()
            .any(|sign| "aeiouy".contains(*sign) || !sign.is_ascii());
    let capital = if at > begin && signs[at].is_uppercase() {
        CAPITAL
    } else {
        0
    };
    capital + if is_word && at > begin { IN_A_WORD } else { LETTER }
}

/// How many signs at the beginning go along a row, forwards or backwards, by the same step.
fn row(text: &[char]) -> usize {
    let along = |place: &dyn Fn(char) -> Option<i64>| {
        let places: Vec<i64> = text.iter().map_while(|sign| place(*sign)).collect();
        let steps: Vec<i64> = places.windows(2).map(|two| two[1] - two[0]).collect();
        let same = steps
            .iter()
            .take_while(|step| Some(*step) == steps.first() && step.abs() <= 2)
            .count();
        if same > 0 { same + 1 } else { 0 }
    };
    let by_code = along(&|sign| Some(i64::from(u32::from(sign))));
    let by_row = |row: &&str| {
        along(&|sign| {
            row.chars()
                .position(|other| other == sign)
                .and_then(|place| i64::try_from(place).ok())
        })
    };
    ROWS.iter().map(by_row).fold(by_code, usize::max)
}

/// How many signs at `at` were written before, in the same order.
fn copied(text: &[char], at: usize) -> usize {
    (0..at)
        .map(|from| {
            text[from..]
                .iter()
                .zip(&text[at..])
                .take_while(|(before, now)| before == now)
                .count()
        })
        .max()
        .unwrap_or(0)
}

/// Lengths and costs of the dates at the beginning: a year, a day, or both, with or without something between.
fn dates(text: &[char]) -> Vec<(usize, u32)> {
    let digits = text.iter().take_while(|sign| sign.is_ascii_digit()).count();
    let number = |from: usize, length: usize| {
        let digits = text.get(from..from + length)?;
        digits
            .iter()
            .try_fold(0_u32, |number, digit| Some(number * 10 + digit.to_digit(10)?))
    };
    let is = |from, length, least: u32, most: u32| {
        number(from, length).is_some_and(|number| (least..=most).contains(&number))
    };
    let year = |from| is(from, 4, 1900, 2099);
    let (month, day) = (|from| is(from, 2, 1, 12), |from| is(from, 2, 1, 31));
    let month_day = |from| (month(from) && day(from + 2)) || (day(from) && month(from + 2));
    let mut found = Vec::new();
    if digits >= 4 && year(0) {
        found.push((4, YEAR));
    }
    if digits >= 4 && month_day(0) {
        found.push((4, DAY_OF_YEAR));
    }
    if digits >= 6 && (month_day(2) || month_day(0)) {
        found.push((6, DATE));
    }
    if digits >= 8 && ((year(0) && month_day(4)) || (month_day(0) && year(4))) {
        found.push((8, DATE));
    }
    // 2026-11-30, 30.11.2026, 2026年1月3日
    let (mut at, mut groups) = (0, 0);
    while groups < 3 {
        let length = text[at..].iter().take_while(|sign| sign.is_ascii_digit()).count();
        if length == 0 || length > 4 {
            break;
        }
        (at, groups) = (at + length, groups + 1);
        let parted = text.get(at).is_some_and(|sign| "-/._ 年月日".contains(*sign));
        if groups == 3 {
            found.push((at + usize::from(text.get(at) == Some(&'日')), DATE));
        }
        if !parted {
            break;
        }
        at += 1;
    }
    found
}

/// Signs of a passphrase that is made: no vowels, so that no word comes about, and none that looks like another.
const SIGNS: &[u8; 27] = b"bcdfghjkmnpqrstvwxz23456789";
/// Groups of four signs.
const GROUPS: usize = 4;
/// What [`make`] is worth, in bits: 16 signs of 27.
pub const MADE_BITS: u32 = 76;

/// A passphrase of the random source, to be written down or learnt: four groups of four signs, 76 bits.
pub fn make(rng: &mut impl CryptoRng) -> Zeroizing<Vec<u8>> {
    let mut made = Zeroizing::new(Vec::with_capacity(5 * GROUPS));
    let mut byte = Zeroizing::new([0_u8; 1]);
    while made.len() < 5 * GROUPS - 1 {
        if made.len() % 5 == 4 {
            made.push(b'-');
        }
        rng.fill_bytes(&mut *byte);
        // 243 is nine times 27: every sign is as likely.
        if byte[0] < 243 {
            made.push(SIGNS[usize::from(byte[0]) % SIGNS.len()]);
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn what_a_program_guesses_is_worth_little_however_long_it_is() {
        for weak in [
            "密码一",
            "一证通密码本",
            "一二三四五六七八九十",
            "11111111",
            "aaaaaaaaaaaaaaaaaaaa",
            "abcdefghijklmnopqrst",
            "98765432109876543210",
            "abababababababababababababab",
            "qwertyuiopasdfghjklzxcvbnm",
            "1qaz2wsx3edc4rfv",
            "木木木木木木木木木木木木",
            "P@ssw0rd P@ssw0rd 2026-11-30",
            "correct horse battery staple",
            "2026年11月30日 1990.01.01",
            "19900101 20261130 0228",
            "passphrase of li xiaoming",
            "李小明李小明19900101",
            "床前明月光，疑是地上霜",
            "春眠不觉晓处处闻啼鸟",
            "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。",
            "起来不愿做奴隶的人们把我们的血肉筑成我们新的长城",
            "关关雎鸠 在河之洲 窈窕淑女 君子好逑",
            "木棉花开了又谢了 2026",
            "渡船石英苔藓灯笼木棉",
        ] {
            let worth = bits(weak, &["li-xiaoming", "李小明"]);
            assert!(worth < ENOUGH, "{weak}: {worth}");
        }
        // A name is worth nothing to its owner, and something to anybody else.
        assert!(bits("wang dawei", &["wang dawei"]) < bits("wang dawei", &[]));
    }

    #[test]
    fn words_that_do_not_belong_together_are_enough_in_either_language() {
        for good in [
            "kapok ferry moss quartz lantern",
            "渡船 石英 苔藓 灯笼 木棉",
            "木棉、渡船、7、苔藓、灯笼、石英",
            "café au lait, 木棉花开",
            "k7Qp2-x9Wd4-m3Zr8",
        ] {
            let worth = bits(good, &["li"]);
            assert!(worth >= ENOUGH, "{good}: {worth}");
        }
    }

    #[test]
    fn a_passphrase_that_is_made_is_new_each_time_and_passes() {
        let mut rng = StdRng::seed_from_u64(3);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let made = make(&mut rng);
            let text = std::str::from_utf8(&made).unwrap().to_owned();
            assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [4; GROUPS]);
            assert!(bits(&text, &[]) >= ENOUGH, "{text}");
            assert!(seen.insert(text));
        }
        // 27 signs, 16 times: 76 whole bits.
        assert!(27_f64.powi(16).log2() >= f64::from(MADE_BITS));
    }
}
