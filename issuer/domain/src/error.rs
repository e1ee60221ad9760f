//! The errors of this crate: what happened, and what to do. No message holds a person's data.

use std::borrow::Cow;

use card_applet_spec::codes::Tier;

use crate::digest::Digest;
use crate::words::chinese;

/// Everything that can be wrong with a value, a rule set or a transition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not 17 digits and a check character.
    #[error("a citizen number has 18 characters: 17 digits and a digit or X")]
    CitizenNumberShape,
    /// The first six digits name no province.
    #[error("the first six digits of the citizen number are no division of GB/T 2260")]
    CitizenNumberDivision,
    /// Digits 7 to 14 are no date of the calendar.
    #[error("the citizen number holds a birthday that is no date of the calendar")]
    CitizenNumberBirthday,
    /// The last character does not fit the others.
    #[error("the check character of the citizen number does not fit the other 17")]
    CitizenNumberCheck,
    /// Not 18 characters of the set of GB 32100.
    #[error("a unified social credit code has 18 characters: digits and capitals without I, O, S, V, Z")]
    CreditCodeShape,
    /// Characters 3 to 8 name no province.
    #[error("characters 3 to 8 of the credit code are no division of GB/T 2260")]
    CreditCodeDivision,
    /// The organisation code inside (GB 11714) has another check character.
    #[error("the check character of the organisation code inside the credit code does not fit")]
    CreditCodeOrganisation,
    /// The last character does not fit the others.
    #[error("the check character of the credit code does not fit the other 17")]
    CreditCodeCheck,
    /// A value that its code table does not know.
    #[error("the value is not in the code table {table}")]
    UnknownCode {
        /// The table's name, for example `GB/T 3304`.
        table: &'static str,
    },
    /// Not six digits of a province that exists.
    #[error("a division is six digits of GB/T 2260")]
    Division,
    /// Not a date of the form YYYY-MM-DD.
    #[error("a date is a day of the calendar, written YYYY-MM-DD")]
    Date,
    /// A name that is empty, too long, or holds what no name holds.
    #[error("a name has letters, middle dots, hyphens and single spaces, and at most 120 bytes of UTF-8")]
    Name,
    /// A name with a character that no name has.
    #[error("character {place} is {}, which no name has", shown(*character))]
    NameCharacter {
        /// Which one.
        character: char,
        /// Its place, from 1.
        place: usize,
    },
    /// An address that is empty, too long, or holds control characters.
    #[error("an address has 4 characters or more, no control characters, and at most 210 bytes of UTF-8")]
    Address,
    /// A character that nobody sees on a card: zero width, bidi control, filler, or another blank than the plain one.
    #[error("character {place} is U+{:04X}, which nobody sees on a card", u32::from(*character))]
    HiddenCharacter {
        /// Which one.
        character: char,
        /// Its place, from 1.
        place: usize,
    },
    /// A character of private use: another machine draws another one, or none.
    #[error("character {place} is U+{:04X}, whose meaning no standard tells (private use)", u32::from(*character))]
    PrivateCharacter {
        /// Which one.
        character: char,
        /// Its place, from 1.
        place: usize,
    },
    /// An identifier of another form.
    #[error("this is no {what}")]
    Identifier {
        /// `card number`, `card serial`, the id of a permit and so on.
        what: &'static str,
    },
    /// The province has used up its numbers.
    #[error("the province has no card number left")]
    CardNumbersExhausted,
    /// One person in two of the roles that the law keeps apart.
    #[error("{first} and {second} of one case must be different people")]
    SamePersonTwice {
        /// The role that the person has in the case already.
        first: &'static str,
        /// The role that the same person asked for.
        second: &'static str,
    },
    /// A step that does not follow from the present state.
    #[error("{thing} is {state}: {wanted} is not possible from there")]
    WrongState {
        /// `application`, `permit`, `card` or `production order`.
        thing: &'static str,
        /// The present state, as stored.
        state: &'static str,
        /// The step that was asked for.
        wanted: &'static str,
    },
    /// Approval of a case whose decision grants nothing.
    #[error("the decision grants no tier")]
    NothingGranted,
    /// An end date before its start.
    #[error("the end lies before the start")]
    Reversed,
    /// The rule set cannot be read.
    #[error("the rule set {name} cannot be read: {problem}")]
    RuleSetUnreadable {
        /// File name or id.
        name: String,
        /// The reader's words: line, column, unknown key.
        problem: String,
    },
    /// The rule set reads well and contradicts itself or the law's limits.
    #[error("the rule set {id} is not usable: {problem}")]
    RuleSetInvalid {
        /// Its id.
        id: String,
        /// What is wrong.
        problem: String,
    },
    /// No rule set has this id.
    #[error("no rule set has the id {id}; there are {there}")]
    RuleSetUnknown {
        /// The id asked for.
        id: String,
        /// The ids that there are.
        there: String,
    },
    /// Two texts under one id: a published rule set is superseded, never edited.
    #[error("the rule set {id} was published with another text ({published} before, {now} now)")]
    RuleSetEdited {
        /// Its id.
        id: String,
        /// Digest of the published text.
        published: Digest,
        /// Digest of the text at hand.
        now: Digest,
    },
    /// The date lies outside the rule set's time.
    #[error("the rule set {id} is not in force on {at}")]
    RuleSetNotInForce {
        /// Its id.
        id: String,
        /// The date of the decision.
        at: jiff::civil::Date,
    },
    /// The applicant asks for a tier that the rule set does not have.
    #[error("the rule set {id} has no tier {tier}")]
    TierNotOffered {
        /// The rule set.
        id: String,
        /// The tier asked for.
        tier: Tier,
    },
    /// A card shows money that the ledger never gave it.
    #[error("the card shows more money than it was ever given")]
    PurseFigures,
    /// A change of this kind does not fit what was decided.
    #[error("the decision is no {kind}: {why}")]
    NotThisChange {
        /// The kind asked for.
        kind: &'static str,
        /// What does not fit.
        why: &'static str,
    },
    /// An endorsement outside its window.
    #[error("a permit that holds until {valid_to} is endorsed from {from} on")]
    TooEarly {
        /// The present last day.
        valid_to: jiff::civil::Date,
        /// First day of the window.
        from: jiff::civil::Date,
    },
    /// Something for a permit that is over.
    #[error("the permit's last day was {valid_to}")]
    LastDayOver {
        /// The last day.
        valid_to: jiff::civil::Date,
    },
    /// A change that was not written in its time.
    #[error("the change held until {until} and expired with it: nothing of it was written")]
    ChangeExpired {
        /// Its last day.
        until: jiff::civil::Date,
    },
    /// A date computation left the calendar of the program (years -9999 to 9999).
    #[error("the date lies outside the calendar")]
    OutOfCalendar,
}

/// A sign and its number; of what cannot be seen the number alone.
fn shown(character: char) -> String {
    let number = u32::from(character);
    if character.is_control() || character.is_whitespace() {
        format!("U+{number:04X}")
    } else {
        format!("“{character}” U+{number:04X}")
    }
}

impl Error {
    /// A stable code for programs: upper case, from this closed list.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::CitizenNumberShape => "CITIZEN_NUMBER_SHAPE",
            Self::CitizenNumberDivision => "CITIZEN_NUMBER_DIVISION",
            Self::CitizenNumberBirthday => "CITIZEN_NUMBER_BIRTHDAY",
            Self::CitizenNumberCheck => "CITIZEN_NUMBER_CHECK",
            Self::CreditCodeShape => "CREDIT_CODE_SHAPE",
            Self::CreditCodeDivision => "CREDIT_CODE_DIVISION",
            Self::CreditCodeOrganisation => "CREDIT_CODE_ORGANISATION",
            Self::CreditCodeCheck => "CREDIT_CODE_CHECK",
            Self::UnknownCode { .. } => "UNKNOWN_CODE",
            Self::Division => "DIVISION",
            Self::Date => "DATE",
            Self::Name | Self::NameCharacter { .. } => "NAME",
            Self::Address => "ADDRESS",
            Self::HiddenCharacter { .. } => "HIDDEN_CHARACTER",
            Self::PrivateCharacter { .. } => "PRIVATE_CHARACTER",
            Self::Identifier { .. } => "IDENTIFIER",
            Self::CardNumbersExhausted => "CARD_NUMBERS_EXHAUSTED",
            Self::SamePersonTwice { .. } => "SAME_PERSON_TWICE",
            Self::WrongState { .. } => "WRONG_STATE",
            Self::NothingGranted => "NOTHING_GRANTED",
            Self::Reversed => "REVERSED",
            Self::RuleSetUnreadable { .. } => "RULE_SET_UNREADABLE",
            Self::RuleSetInvalid { .. } => "RULE_SET_INVALID",
            Self::RuleSetUnknown { .. } => "RULE_SET_UNKNOWN",
            Self::RuleSetEdited { .. } => "RULE_SET_EDITED",
            Self::RuleSetNotInForce { .. } => "RULE_SET_NOT_IN_FORCE",
            Self::TierNotOffered { .. } => "TIER_NOT_OFFERED",
            Self::PurseFigures => "PURSE_FIGURES",
            Self::NotThisChange { .. } => "NOT_THIS_CHANGE",
            Self::TooEarly { .. } => "TOO_EARLY",
            Self::LastDayOver { .. } => "LAST_DAY_OVER",
            Self::ChangeExpired { .. } => "CHANGE_EXPIRED",
            Self::OutOfCalendar => "OUT_OF_CALENDAR",
        }
    }

    /// What the person at the desk can do about it.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::CitizenNumberShape
            | Self::CitizenNumberDivision
            | Self::CitizenNumberBirthday
            | Self::CitizenNumberCheck => {
                "Read the number again from the identity card and type it once more."
            }
            Self::CreditCodeShape
            | Self::CreditCodeDivision
            | Self::CreditCodeOrganisation
            | Self::CreditCodeCheck => "Read the code again from the licence and type it once more.",
            Self::UnknownCode { .. } => "Choose a value of the table; docs/applicant.schema.json lists them.",
            Self::Division => "Choose the district from the list.",
            Self::Date => "Write the date as year-month-day, for example 2026-05-20.",
            Self::Name | Self::NameCharacter { .. } => {
                "Write the name as on the identity card; the dot between its parts is U+00B7 (\u{b7})."
            }
            Self::Address => "Write the address as on the paper, shortened to fit the card.",
            Self::HiddenCharacter { .. } => {
                "Type the text anew, or take the character out; where a blank belongs, type a plain one."
            }
            Self::PrivateCharacter { .. } => {
                "Type the character by its own code: since GB 18030-2022 nearly every rare character of a name has one."
            }
            Self::Identifier { .. } => "Copy the identifier again, without blanks.",
            Self::CardNumbersExhausted => "Ask the province to open a new range of numbers.",
            Self::SamePersonTwice { .. } => "Let a colleague take this step.",
            Self::WrongState { .. } => "Read the case again: somebody may have moved it on.",
            Self::NothingGranted => {
                "Refuse the application with its reasons, or decide it again with new papers."
            }
            Self::Reversed => "Correct the two dates.",
            Self::RuleSetUnreadable { .. } | Self::RuleSetInvalid { .. } => {
                "Correct the rule file, or put the published one back."
            }
            Self::RuleSetUnknown { .. } => "Choose one of those.",
            Self::RuleSetEdited { .. } => {
                "Put the published text back, and give the change a rule set of its own with a new id."
            }
            Self::RuleSetNotInForce { .. } => {
                "Choose the rule set that was in force on the day of acceptance."
            }
            Self::TierNotOffered { .. } => "Ask for a tier that this jurisdiction has, or for none.",
            Self::PurseFigures => {
                "Keep the card, block it, and call the key officer: no card of ours shows such figures."
            }
            Self::NotThisChange { .. } => "Choose the kind of change that fits, or leave the card as it is.",
            Self::TooEarly { .. } => "Come back in the month before the permit's last day (article 10).",
            Self::LastDayOver { .. } => {
                "Endorse the permit first, with `issuer change propose --kind endorse`: a late endorsement restores it."
            }
            Self::ChangeExpired { .. } => "Propose it again, with `issuer change propose`.",
            Self::OutOfCalendar => "Correct the date.",
        }
    }

    /// What happened and what to do, in Chinese.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one line per error, read as a table")]
    pub fn chinese(&self) -> (String, &'static str) {
        let (message, action): (Cow<'static, str>, _) = match self {
            Self::CitizenNumberShape => (
                "公民身份号码为 18 位：17 位数字加一位数字或 X".into(),
                "请按居民身份证核对，重新录入号码。",
            ),
            Self::CitizenNumberDivision => (
                "公民身份号码前六位不是 GB/T 2260 的行政区划".into(),
                "请按居民身份证核对，重新录入号码。",
            ),
            Self::CitizenNumberBirthday => (
                "公民身份号码中的出生日期不存在".into(),
                "请按居民身份证核对，重新录入号码。",
            ),
            Self::CitizenNumberCheck => (
                "公民身份号码的校验码与前 17 位不符".into(),
                "请按居民身份证核对，重新录入号码。",
            ),
            Self::CreditCodeShape => (
                "统一社会信用代码为 18 位：数字和大写字母，不含 I、O、S、V、Z".into(),
                "请按营业执照核对，重新录入代码。",
            ),
            Self::CreditCodeDivision => (
                "统一社会信用代码第 3 至 8 位不是 GB/T 2260 的行政区划".into(),
                "请按营业执照核对，重新录入代码。",
            ),
            Self::CreditCodeOrganisation => (
                "统一社会信用代码中主体标识码的校验码不符".into(),
                "请按营业执照核对，重新录入代码。",
            ),
            Self::CreditCodeCheck => (
                "统一社会信用代码的校验码与前 17 位不符".into(),
                "请按营业执照核对，重新录入代码。",
            ),
            Self::UnknownCode { table } => (
                format!("所填值不在代码表 {} 中", chinese(table)).into(),
                "请从代码表中选取；见 docs/applicant.schema.json。",
            ),
            Self::Division => ("行政区划为 GB/T 2260 的六位数字".into(), "请从列表中选择区县。"),
            Self::Date => (
                "日期须为存在的日期，写作 YYYY-MM-DD".into(),
                "请按 年-月-日 填写，例如 2026-05-20。",
            ),
            Self::Name => (
                "姓名由文字、间隔号、连字符和单个空格组成，最长 120 字节（UTF-8）".into(),
                "请按居民身份证填写姓名。",
            ),
            Self::NameCharacter { character, place } => (
                format!("第 {place} 个字符为 {}，姓名中不能用", shown(*character)).into(),
                "请按居民身份证填写姓名；姓名各部分之间的间隔号为“·”（U+00B7）。",
            ),
            Self::Address => (
                "住址至少 4 个字符，不含控制字符，最长 210 字节（UTF-8）".into(),
                "请按证明材料填写住址，并缩写到卡面写得下。",
            ),
            Self::HiddenCharacter { character, place } => (
                format!(
                    "第 {place} 个字符为 U+{:04X}，印在卡上无人看得见",
                    u32::from(*character)
                )
                .into(),
                "请重新录入，或删去该字符；需要空格处请用普通空格。",
            ),
            Self::PrivateCharacter { character, place } => (
                format!(
                    "第 {place} 个字符为 U+{:04X}，属专用区，没有标准含义",
                    u32::from(*character)
                )
                .into(),
                "请用该字的正式编码录入：自 GB 18030-2022 起，姓名用的生僻字几乎都有编码。",
            ),
            Self::Identifier { what } => (
                format!("这不是{}", chinese(what)).into(),
                "请重新复制编号，不带空格。",
            ),
            Self::CardNumbersExhausted => ("本省卡号已用完".into(), "请向省级主管部门申请新的号段。"),
            Self::SamePersonTwice { first, second } => (
                format!("同一案件的{}与{}须为不同的人", chinese(first), chinese(second)).into(),
                "请由另一名同事办理这一步。",
            ),
            Self::WrongState { thing, state, wanted } => (
                format!("{}的状态为 {state}，不能{}", chinese(thing), chinese(wanted)).into(),
                "请重新查看该案件：可能已有人往下办理。",
            ),
            Self::NothingGranted => (
                "审核决定没有核定任何类别".into(),
                "请说明理由不予办理，或凭新材料重新审核。",
            ),
            Self::Reversed => ("截止日早于起始日".into(), "请改正这两个日期。"),
            Self::RuleSetUnreadable { name, problem } => (
                format!("规则集 {name} 无法读取：{problem}").into(),
                "请改正规则文件，或恢复已发布的文件。",
            ),
            Self::RuleSetInvalid { id, problem } => (
                format!("规则集 {id} 不可用：{problem}").into(),
                "请改正规则文件，或恢复已发布的文件。",
            ),
            Self::RuleSetUnknown { id, there } => (
                format!("没有编号为 {id} 的规则集；已安装的有 {there}").into(),
                "请选用其中之一。",
            ),
            Self::RuleSetEdited { id, published, now } => (
                format!("规则集 {id} 发布时是另一文本（原为 {published}，现为 {now}）").into(),
                "请恢复已发布的文本；要修改的，另立新编号的规则集。",
            ),
            Self::RuleSetNotInForce { id, at } => (
                format!("规则集 {id} 在 {at} 不生效").into(),
                "请选用受理当日生效的规则集。",
            ),
            Self::TierNotOffered { id, tier } => (
                format!("规则集 {id} 没有类别 {tier}").into(),
                "请申请本地设有的类别，或不指定类别。",
            ),
            Self::PurseFigures => (
                "卡上金额多于历次充值".into(),
                "请扣留并锁定此卡，通知密钥管理员：真卡不会出现这样的数目。",
            ),
            Self::NotThisChange { kind, why } => (
                format!("该审核决定不属于 {kind}：{}", chinese(why)).into(),
                "请选择相符的变更种类，或不变更此卡。",
            ),
            Self::TooEarly { valid_to, from } => (
                format!("居住证有效期至 {valid_to}，自 {from} 起才可签注").into(),
                "请在居住证期满前一个月内办理（第十条）。",
            ),
            Self::LastDayOver { valid_to } => (
                format!("居住证已于 {valid_to} 期满").into(),
                "请先用 `issuer change propose --kind endorse` 办理签注：补办签注后恢复使用功能。",
            ),
            Self::ChangeExpired { until } => (
                format!("该变更有效期至 {until}，已过期；未写入任何内容").into(),
                "请用 `issuer change propose` 重新提出。",
            ),
            Self::OutOfCalendar => ("日期超出历法范围".into(), "请改正日期。"),
        };
        (message.into_owned(), action)
    }
}
