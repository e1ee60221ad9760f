//! Code tables: GB/T 2260 (division), 2261.1 (sex), 3304 (nation), 4658 (education), and our own closed lists.
//!
//! Left out: the names and history of divisions (GB/T 2260 changes every year; a rule set names the divisions it
//! needs), and everything that the system refuses to know about a person.

use std::fmt;
use std::str::FromStr;

pub use card_applet_spec::codes::{Role, Tier};

use crate::error::Error;

/// Serialize by `Display`, deserialize by `FromStr`.
macro_rules! serde_by_text {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_by_text;

/// Whether two digits name a province. 83 stands for Taiwan in the numbers of residence permits (GB 11643 as used
/// since 2018), 71 in GB/T 2260.
pub(crate) fn is_province(text: &str) -> bool {
    text == "83" || (text.len() == 2 && text.parse().is_ok_and(card_applet_spec::codes::is_province))
}

/// A division of GB/T 2260: six digits, province, prefecture, county. Abolished ones count too.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Division(String);

impl Division {
    /// The six digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this division lies in (or is) the other: `440305` in `440300`, `440300` in `440000`; all lie in
    /// `100000`, the whole country.
    #[must_use]
    pub fn lies_in(&self, other: &Self) -> bool {
        if other.0 == "100000" {
            return true;
        }
        let mut significant = other.0.as_str();
        while let Some(shorter) = significant.strip_suffix("00") {
            significant = shorter;
        }
        self.0.starts_with(significant)
    }
}

impl FromStr for Division {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit());
        let known = text == "100000" || text.get(..2).is_some_and(is_province);
        if digits && known {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::Division)
        }
    }
}

impl fmt::Display for Division {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_by_text!(Division);

/// One closed list: code, Chinese word, English word. The first two and the English word are all read; the code is
/// written.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident, $table:literal { $($(#[$vdoc:meta])* $variant:ident = $code:literal, $zh:literal, $en:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every value, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code, as stored, sent and compared.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The Chinese word.
            #[must_use]
            pub const fn zh(self) -> &'static str {
                match self { $(Self::$variant => $zh,)+ }
            }

            /// The English word.
            #[must_use]
            pub const fn en(self) -> &'static str {
                match self { $(Self::$variant => $en,)+ }
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|v| v.code() == text || v.zh() == text || v.en().eq_ignore_ascii_case(text))
                    .ok_or(Error::UnknownCode { table: $table })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.code())
            }
        }

        serde_by_text!($name);
    };
}

table! {
    /// Sex: GB/T 2261.1.
    Sex, "GB/T 2261.1 (sex)" {
        /// Not known.
        Unknown = "0", "未知", "unknown";
        /// Male.
        Male = "1", "男", "male";
        /// Female.
        Female = "2", "女", "female";
        /// Not stated.
        NotStated = "9", "未说明", "not stated";
    }
}

impl TryFrom<u8> for Sex {
    type Error = Error;

    /// From the number of the standard.
    fn try_from(number: u8) -> Result<Self, Error> {
        [Self::Unknown, Self::Male, Self::Female, Self::NotStated]
            .into_iter()
            .find(|sex| sex.number() == number)
            .ok_or(Error::UnknownCode {
                table: "GB/T 2261.1 (sex)",
            })
    }
}

impl Sex {
    /// The number of the standard: the byte on the card.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Male => 1,
            Self::Female => 2,
            Self::NotStated => 9,
        }
    }
}

table! {
    /// Education: GB/T 4658, first level.
    Education, "GB/T 4658 (education)" {
        /// Master or doctor.
        Graduate = "10", "研究生", "graduate";
        /// University, four years or more.
        Bachelor = "20", "大学本科", "bachelor";
        /// College, two or three years.
        College = "30", "大学专科", "college";
        /// Secondary vocational school.
        Vocational = "40", "中等职业教育", "vocational";
        /// Senior high school.
        SeniorHigh = "60", "普通高级中学", "senior high";
        /// Junior high school.
        JuniorHigh = "70", "初级中学", "junior high";
        /// Primary school.
        Primary = "80", "小学", "primary";
        /// Any other.
        Other = "90", "其他", "other";
    }
}

impl Education {
    /// Whether this is at least as high as the other. `Other` is at least as high as itself only.
    #[must_use]
    pub fn is_at_least(self, other: Self) -> bool {
        self == other || (self != Self::Other && self < other)
    }
}

table! {
    /// Professional title or skill level (national occupational qualification, level 5 lowest).
    Title, "titles and skill levels" {
        /// None.
        None = "NONE", "无", "none";
        /// Skill level 5, junior worker.
        Skill5 = "SKILL_5", "初级工", "skill level 5";
        /// Skill level 4, intermediate worker.
        Skill4 = "SKILL_4", "中级工", "skill level 4";
        /// Skill level 3, senior worker.
        Skill3 = "SKILL_3", "高级工", "skill level 3";
        /// Skill level 2, technician.
        Skill2 = "SKILL_2", "技师", "skill level 2";
        /// Skill level 1, senior technician.
        Skill1 = "SKILL_1", "高级技师", "skill level 1";
        /// Junior professional title.
        Junior = "TITLE_JUNIOR", "初级职称", "junior";
        /// Intermediate professional title.
        Intermediate = "TITLE_INTERMEDIATE", "中级职称", "intermediate";
        /// Senior professional title.
        Senior = "TITLE_SENIOR", "高级职称", "senior";
    }
}

/// Chinese and English words of the tiers, in the order of [`Tier::ALL`]. The legal permit is one; what a tier is called is
/// said by the rule set.
const TIER_WORDS: [(Tier, &str, &str); 3] = [
    (Tier::Temp, "临时居住证", "temporary"),
    (Tier::Employment, "就业居住证", "employment"),
    (Tier::Talent, "人才居住证", "talent"),
];

/// A tier in Chinese and English words.
#[must_use]
pub fn tier_words(tier: Tier) -> (&'static str, &'static str) {
    TIER_WORDS
        .iter()
        .find(|(of, ..)| *of == tier)
        .map_or(("", ""), |(_, zh, en)| (zh, en))
}

/// A tier by its code, or by its Chinese or English word.
///
/// # Errors
/// [`Error::UnknownCode`].
pub fn read_tier(text: &str) -> Result<Tier, Error> {
    TIER_WORDS
        .iter()
        .find(|(tier, zh, en)| tier.as_str() == text || *zh == text || en.eq_ignore_ascii_case(text))
        .map(|(tier, ..)| *tier)
        .ok_or(Error::UnknownCode { table: "tiers" })
}

/// What a piece of evidence speaks for. Decree 663, article 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EvidenceKind {
    /// Where the person lives.
    Address,
    /// What the person works as.
    Work,
    /// Where the person studies.
    Study,
    /// Who the person is, or who files for the person.
    Identity,
}

table! {
    /// A kind of paper: Decree 663, article 9.
    EvidenceCode, "evidence codes (Decree 663, article 9)" {
        /// Lease.
        AddrLease = "ADDR_LEASE", "房屋租赁合同", "lease";
        /// Title deed.
        AddrTitle = "ADDR_TITLE", "房屋产权证明", "title deed";
        /// Purchase contract.
        AddrPurchase = "ADDR_PURCHASE", "购房合同", "purchase contract";
        /// Statement of the landlord, employer or school.
        AddrLodging = "ADDR_LODGING", "住宿证明", "lodging statement";
        /// Business licence.
        JobLicence = "JOB_LICENCE", "工商营业执照", "business licence";
        /// Labour contract.
        JobContract = "JOB_CONTRACT", "劳动合同", "labour contract";
        /// Statement of the employer.
        JobStatement = "JOB_STATEMENT", "劳动关系证明", "employer's statement";
        /// Other proof of legal stable work.
        JobOther = "JOB_OTHER", "其他就业证明", "other proof of work";
        /// Student card.
        StudyCard = "STUDY_CARD", "学生证", "student card";
        /// Statement of the school.
        StudyStatement = "STUDY_STATEMENT", "就读证明", "school's statement";
        /// Other proof of continuous schooling.
        StudyOther = "STUDY_OTHER", "其他就读证明", "other proof of schooling";
        /// Identity card.
        IdCard = "ID_CARD", "居民身份证", "identity card";
        /// Photo receipt.
        Photo = "PHOTO", "相片回执", "photo receipt";
        /// Identity card of the guardian or close relative who files.
        AgentId = "AGENT_ID", "代办人身份证", "agent's identity card";
        /// Power of attorney or proof of kinship.
        AgentPower = "AGENT_POWER", "委托书或亲属关系证明", "power of attorney";
    }
}

impl EvidenceCode {
    /// What it speaks for.
    #[must_use]
    pub const fn kind(self) -> EvidenceKind {
        match self {
            Self::AddrLease | Self::AddrTitle | Self::AddrPurchase | Self::AddrLodging => {
                EvidenceKind::Address
            }
            Self::JobLicence | Self::JobContract | Self::JobStatement | Self::JobOther => EvidenceKind::Work,
            Self::StudyCard | Self::StudyStatement | Self::StudyOther => EvidenceKind::Study,
            Self::IdCard | Self::Photo | Self::AgentId | Self::AgentPower => EvidenceKind::Identity,
        }
    }
}

/// GB/T 3304: two digits, Chinese name, romanised name; then the two codes of identity-card practice.
const NATIONS: [(u8, &str, &str); 58] = [
    (1, "汉族", "Han"),
    (2, "蒙古族", "Mongol"),
    (3, "回族", "Hui"),
    (4, "藏族", "Zang"),
    (5, "维吾尔族", "Uygur"),
    (6, "苗族", "Miao"),
    (7, "彝族", "Yi"),
    (8, "壮族", "Zhuang"),
    (9, "布依族", "Buyei"),
    (10, "朝鲜族", "Chosen"),
    (11, "满族", "Man"),
    (12, "侗族", "Dong"),
    (13, "瑶族", "Yao"),
    (14, "白族", "Bai"),
    (15, "土家族", "Tujia"),
    (16, "哈尼族", "Hani"),
    (17, "哈萨克族", "Kazak"),
    (18, "傣族", "Dai"),
    (19, "黎族", "Li"),
    (20, "傈僳族", "Lisu"),
    (21, "佤族", "Va"),
    (22, "畲族", "She"),
    (23, "高山族", "Gaoshan"),
    (24, "拉祜族", "Lahu"),
    (25, "水族", "Sui"),
    (26, "东乡族", "Dongxiang"),
    (27, "纳西族", "Naxi"),
    (28, "景颇族", "Jingpo"),
    (29, "柯尔克孜族", "Kirgiz"),
    (30, "土族", "Tu"),
    (31, "达斡尔族", "Daur"),
    (32, "仫佬族", "Mulao"),
    (33, "羌族", "Qiang"),
    (34, "布朗族", "Blang"),
    (35, "撒拉族", "Salar"),
    (36, "毛南族", "Maonan"),
    (37, "仡佬族", "Gelao"),
    (38, "锡伯族", "Xibe"),
    (39, "阿昌族", "Achang"),
    (40, "普米族", "Pumi"),
    (41, "塔吉克族", "Tajik"),
    (42, "怒族", "Nu"),
    (43, "乌孜别克族", "Uzbek"),
    (44, "俄罗斯族", "Russ"),
    (45, "鄂温克族", "Ewenki"),
    (46, "德昂族", "Deang"),
    (47, "保安族", "Bonan"),
    (48, "裕固族", "Yugur"),
    (49, "京族", "Gin"),
    (50, "塔塔尔族", "Tatar"),
    (51, "独龙族", "Derung"),
    (52, "鄂伦春族", "Oroqen"),
    (53, "赫哲族", "Hezhen"),
    (54, "门巴族", "Monba"),
    (55, "珞巴族", "Lhoba"),
    (56, "基诺族", "Jino"),
    (97, "其他", "Other"),
    (98, "外国血统中国籍", "Foreign descent"),
];

/// Nation: GB/T 3304, 01 to 56, and 97 (other) and 98 (foreign descent) of identity-card practice.
///
/// Read from the two digits, from the Chinese name with or without 族, or from the romanised name; written as digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nation(u8);

impl Nation {
    /// Every value, in the order of the standard.
    pub fn all() -> impl Iterator<Item = Self> {
        NATIONS.iter().map(|n| Self(n.0))
    }

    /// The number of the standard: the byte on the card.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The Chinese name, with 族.
    #[must_use]
    pub fn zh(self) -> &'static str {
        self.row().1
    }

    /// The romanised name of the standard.
    #[must_use]
    pub fn en(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (u8, &'static str, &'static str) {
        // A `Nation` is only made from a row.
        NATIONS
            .iter()
            .copied()
            .find(|n| n.0 == self.0)
            .unwrap_or((self.0, "", ""))
    }
}

impl FromStr for Nation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let by_number = || {
            let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
            let number: u8 = if digits { text.parse().ok()? } else { return None };
            NATIONS.iter().find(|n| n.0 == number)
        };
        let by_name = || {
            NATIONS.iter().find(|(_, zh, en)| {
                *zh == text || zh.strip_suffix('族') == Some(text) || en.eq_ignore_ascii_case(text)
            })
        };
        by_number()
            .or_else(by_name)
            .map(|n| Self(n.0))
            .ok_or(Error::UnknownCode {
                table: "GB/T 3304 (nation)",
            })
    }
}

impl fmt::Display for Nation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

serde_by_text!(Nation);

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn gb_3304_has_56_nations_without_gaps_and_two_more_codes() {
        let numbers: Vec<_> = Nation::all().map(Nation::number).collect();
        let expected: Vec<_> = (1..=56).chain([97, 98]).collect();
        assert_eq!(numbers, expected);
        let mut names: Vec<_> = Nation::all().map(Nation::zh).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 58, "no name stands twice");
    }

    #[rstest]
    #[case("01", "汉族")]
    #[case("汉", "汉族")]
    #[case("维吾尔族", "维吾尔族")]
    #[case("jino", "基诺族")]
    #[case("97", "其他")]
    fn a_nation_is_read_from_code_or_name(#[case] text: &str, #[case] zh: &str) {
        let nation: Nation = text.parse().unwrap();
        assert_eq!(nation.zh(), zh);
        assert_eq!(nation.to_string().parse(), Ok(nation));
    }

    #[rstest]
    #[case("00")]
    #[case("57")]
    #[case("1")]
    #[case("+1")]
    #[case("")]
    #[case("族")]
    fn what_is_no_nation_is_refused(#[case] text: &str) {
        assert!(text.parse::<Nation>().is_err());
    }

    #[test]
    fn a_division_lies_in_its_prefecture_province_and_country() {
        let d = |text: &str| text.parse::<Division>().unwrap();
        assert!(d("440305").lies_in(&d("440305")));
        assert!(d("440305").lies_in(&d("440300")));
        assert!(d("440305").lies_in(&d("440000")));
        assert!(d("440305").lies_in(&d("100000")));
        assert!(!d("441900").lies_in(&d("440300")));
        assert!(!d("440300").lies_in(&d("440305")));
        assert!("990000".parse::<Division>().is_err());
        assert!("44030".parse::<Division>().is_err());
    }

    #[test]
    fn a_tier_is_read_from_its_code_and_from_both_of_its_words() {
        for tier in Tier::ALL {
            let (zh, en) = tier_words(*tier);
            for text in [tier.as_str(), zh, en, &en.to_uppercase()] {
                assert_eq!(read_tier(text), Ok(*tier));
            }
        }
        assert!(read_tier("").is_err());
    }

    #[test]
    fn every_code_reads_back() {
        for v in Education::ALL {
            assert_eq!(v.code().parse(), Ok(*v));
            assert_eq!(v.zh().parse(), Ok(*v));
        }
        for v in EvidenceCode::ALL {
            assert_eq!(v.code().parse(), Ok(*v));
        }
        for v in Title::ALL {
            assert_eq!(v.code().parse(), Ok(*v));
        }
    }

    #[test]
    fn education_is_ordered_and_other_stands_apart() {
        assert!(Education::Graduate.is_at_least(Education::Bachelor));
        assert!(Education::Bachelor.is_at_least(Education::Bachelor));
        assert!(!Education::College.is_at_least(Education::Bachelor));
        assert!(!Education::Other.is_at_least(Education::Primary));
        assert!(Education::Other.is_at_least(Education::Other));
    }
}
