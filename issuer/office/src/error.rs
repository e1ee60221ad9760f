//! Why the office did not do it, what to do about it, and whose fault it is.

use std::borrow::Cow;

use issuer_artwork::ArtworkError;
use permit_domain::words::chinese;
use permit_domain::{Division, FormErrors};
use photo_store_protocol as photo;
use program_contract::{Exit, Failing};

use crate::fault::Fault;

/// Why the office did not do it. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfficeError {
    /// Nothing has this id.
    #[error("there is no {what} with this id")]
    NotFound {
        /// What it is.
        what: &'static str,
    },
    /// The id stands for another piece of work.
    #[error("this id stands for another piece of work")]
    IdTaken,
    /// No rule set is in force.
    #[error("no rule set is in force for the residence on that day")]
    NoRuleSet,
    /// A rule of the law or of the case.
    #[error(transparent)]
    Domain(#[from] permit_domain::Error),
    /// The state of the ledger.
    #[error(transparent)]
    Refused(#[from] permit_domain::Refusal),
    /// The ledger.
    #[error(transparent)]
    Store(issuer_store::Error),
    /// The photo store refused or is away.
    #[error("{}", .0.code().texts().message)]
    Photo(#[from] photo::Error),
    /// Checks refused the photo; nothing of it was kept.
    #[error("the photo is refused: {}", refusals(.0, |texts| texts.message).join(" "))]
    PhotoRefused(Box<photo::Judgement>),
    /// A page of a paper cannot be read; nothing of it was kept.
    #[error("{}", .0.texts().message)]
    PageRefused(photo::CheckCode),
    /// The application does not name the paper that was scanned.
    #[error("the application does not name this paper")]
    PaperNotNamed,
    /// The card's content.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// A face cannot be drawn.
    #[error(transparent)]
    Artwork(#[from] ArtworkError),
    /// Items of an applicant file cannot be printed; every one of them.
    #[error("{0}")]
    Unprintable(FormErrors),
    /// The vault refused or is away.
    #[error(transparent)]
    Vault(#[from] keyvault_protocol::Error),
    /// The ledger has what was wanted of the deny lists, and the vault did not confirm it.
    #[error("it is in the ledger, and the deny lists do not have it yet ({0})")]
    Denial(#[source] keyvault_protocol::Error),
    /// The ledger has what was wanted, and the photo store did not close the case.
    #[error("it is in the ledger, and the photo case of the withdrawn application is still open ({})", .0.code().texts().message)]
    PhotoCaseOpen(#[source] photo::Error),
    /// The corrected file is somebody else's.
    #[error("the corrected file has another citizen number than the application")]
    OtherApplicant,
    /// The permit has no card that its holder uses.
    #[error("the permit has no card in use")]
    NoCard,
    /// The vault was not put back, as far as this office knows.
    #[error("this office saw no later generation of the vault's store")]
    NotRolledBack,
    /// The rule set in force does not grant it.
    #[error("the rule set in force does not grant it")]
    NotEligible(Box<permit_domain::Decision>),
    /// The facts are another person's.
    #[error("the applicant file is not the holder's, or changes what only a new application can change")]
    OtherPerson,
    /// The holder lives elsewhere than the file on record says.
    #[error("the applicant file names another residence than the card")]
    Moved,
    /// The new residence belongs to another office.
    #[error("the new residence lies in another prefecture, whose office issues there")]
    OtherOffice,
    /// A blank of another lot than the one that is taken in.
    #[error("the blank {serial} is of the lot {lot}; none was taken into stock")]
    OtherLot {
        /// Which blank.
        serial: permit_domain::CardSerial,
        /// The lot that it names.
        lot: String,
    },
    /// A card that nobody fetched waits for its holder still.
    #[error("the card waits for its holder until {until}")]
    WaitsForHolder {
        /// From this day on it may be taken back.
        until: jiff::civil::Date,
    },
    /// The bytes are no receipts file.
    #[error("this is no file of receipts")]
    ReceiptsForm,
    /// Nobody knows what a card spent that does not lie on a counter.
    #[error(
        "the balance of a card that was replaced is not known: the office does not learn what a card spent, and debits may come in for {days} days, until {from}"
    )]
    BalanceUnknown {
        /// How long debits may still come in.
        days: u16,
        /// The day on which that is over.
        from: jiff::civil::Date,
    },
    /// The staff file, or a token that opens nothing.
    #[error(transparent)]
    Staff(#[from] crate::staff::StaffError),
    /// Nobody was signed in, or an authenticator or account not taken.
    #[error(transparent)]
    SignIn(#[from] crate::sign_in_error::SignInError),
    /// A signature under a mandate, or a key for it, not taken.
    #[error(transparent)]
    Signing(#[from] crate::signing_error::SigningError),
    /// The first of two people did not propose it.
    #[error("nobody proposed that this card works again")]
    AllowingNotProposed,
    /// The first of two people did not request it.
    #[error("nobody requested that this photo ends")]
    ErasureNotRequested,
    /// What was read is not what stands there.
    #[error("what is to be signed off is not what was read")]
    OtherContent,
    /// Intake of the case has not ended: nothing is frozen that could be reviewed, signed off or made.
    #[error("the intake of this case is not completed")]
    NotCompleted,
    /// The permit's facts are not those that two people signed.
    #[error("the ledger says something else of this permit than what two people signed")]
    SignedOtherwise,
    /// A card is granted, and no photo's receipt is named for it.
    #[error("a card is granted, and no photo's receipt is named for it")]
    NoReceipt,
    /// The session is over, or none was opened.
    #[error("nobody is signed in here, or the session is over")]
    SessionEnded,
    /// A thread of this program failed.
    #[error("a part of the program failed")]
    Internal,
}

impl From<issuer_store::Error> for OfficeError {
    fn from(error: issuer_store::Error) -> Self {
        match error {
            issuer_store::Error::Domain(error) => Self::Domain(error),
            error => Self::Store(error),
        }
    }
}

impl OfficeError {
    /// The code for programs, from a closed list.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "NOT_FOUND",
            Self::IdTaken => "ID_TAKEN",
            Self::NoRuleSet => "NO_RULE_SET",
            Self::Domain(error) => error.code(),
            Self::Refused(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
            Self::Photo(error) => error.code().as_str(),
            Self::PhotoRefused(judgement) => judgement
                .refusals()
                .first()
                .map_or(photo::FailureCode::PhotoRefused.as_str(), |code| code.as_str()),
            Self::PageRefused(code) => code.as_str(),
            Self::PaperNotNamed => "PAPER_NOT_NAMED",
            Self::Content(error) => error.code(),
            Self::Artwork(error) => error.code(),
            Self::Unprintable(_) => "APPLICANT_FORM",
            Self::Vault(error) => error.code(),
            Self::Denial(_) => "DENIAL_WANTED",
            Self::PhotoCaseOpen(_) => "PHOTO_CASE_OPEN",
            Self::OtherApplicant => "OTHER_APPLICANT",
            Self::NoCard => "NO_CARD",
            Self::NotRolledBack => "NOT_ROLLED_BACK",
            Self::NotEligible(_) => "NOT_ELIGIBLE",
            Self::OtherPerson => "OTHER_PERSON",
            Self::Moved => "MOVED",
            Self::OtherOffice => "OTHER_OFFICE",
            Self::OtherLot { .. } => "OTHER_LOT",
            Self::WaitsForHolder { .. } => "WAITS_FOR_HOLDER",
            Self::ReceiptsForm => "RECEIPTS_FORM",
            Self::BalanceUnknown { .. } => "BALANCE_UNKNOWN",
            Self::Staff(error) => error.code(),
            Self::SignIn(error) => error.code(),
            Self::Signing(error) => error.code(),
            Self::AllowingNotProposed => "ALLOWING_NOT_PROPOSED",
            Self::ErasureNotRequested => "ERASURE_NOT_REQUESTED",
            Self::OtherContent => "OTHER_CONTENT",
            Self::NotCompleted => "NOT_COMPLETED",
            Self::SignedOtherwise => "SIGNED_OTHERWISE",
            Self::NoReceipt => "NO_RECEIPT",
            Self::SessionEnded => "SESSION_ENDED",
            Self::Internal => "INTERNAL",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "Check the id.",
            Self::IdTaken => "Use a fresh id.",
            Self::NoRuleSet => {
                "Publish a rule set for the jurisdiction, or correct the division of the residence."
            }
            Self::Domain(error) => error.action(),
            Self::Refused(refusal) => refusal.action(),
            Self::Store(error) => error.action(),
            Self::Photo(error) => error.code().texts().action,
            Self::PhotoRefused(judgement) => refusals(judgement, |texts| texts.action)
                .first()
                .copied()
                .unwrap_or(photo::FailureCode::PhotoRefused.texts().action),
            Self::PageRefused(code) => code.texts().action,
            Self::PaperNotNamed => {
                "Choose one of the papers of the case; where another one is shown, correct the application with `issuer application withdraw` and file it anew."
            }
            Self::Content(error) => error.action(),
            Self::Artwork(error) => error.action(),
            Self::Unprintable(_) => "Correct every field that is named, then try again.",
            Self::Vault(_) => "Do what the vault says, then run the same command again.",
            Self::Denial(_) => {
                "Do what the vault says, then run the same command again, or `issuer card confirm`."
            }
            Self::PhotoCaseOpen(_) => {
                "When the photo store answers, run the same command again, or `issuer photo close-case` for the withdrawn application."
            }
            Self::OtherApplicant => {
                "Take this applicant's file; where the number itself was wrong, withdraw the application with `issuer application withdraw` and file the right one."
            }
            Self::NotRolledBack => {
                "Nothing to do: `issuer doctor` says whether the office works with its vault."
            }
            Self::NoCard => "Look at the permit: its card may be lost, replaced, or not handed over yet.",
            Self::NotEligible(_) => "Read the explanation; hand in an applicant file with newer papers.",
            Self::OtherPerson => {
                "Take the holder's own file; a changed name, sex, nation, birth date or hukou needs a new application."
            }
            Self::Moved => "Change the address first, with `issuer change propose --kind address`.",
            Self::OtherOffice => "Send the holder to the office of the new residence.",
            Self::OtherLot { .. } => {
                "Give that lot with --lot: issuer and number, the first 12 digits of its serials, such as 4403-00000001; take each lot in by itself."
            }
            Self::WaitsForHolder { .. } => {
                "Print the notice and leave the card in the safe; a card that is spoilt is rejected with that reason."
            }
            Self::ReceiptsForm => "Take the file as the terminal wrote it.",
            Self::BalanceUnknown { .. } => {
                "Do not credit it. Who brings the old card back whole has it allowed again, and its purse with it."
            }
            Self::Staff(error) => error.action(),
            Self::SignIn(error) => error.action(),
            Self::Signing(error) => error.action(),
            Self::AllowingNotProposed => "Have a clerk propose it with `issuer card allow`.",
            Self::ErasureNotRequested => {
                "Have a colleague request it with `issuer photo erase`, by the number of the order."
            }
            Self::OtherContent => {
                "Read it again, on the page of the case, with `issuer change proposal`, `issuer card show` or in the order that demands it, and sign off what you read."
            }
            Self::NotCompleted => {
                "Have an intake clerk complete it, on the page of the case or with `issuer application complete`; for a new card with a new photo."
            }
            Self::SignedOtherwise => {
                "Have the intake completed again, with `issuer application complete`; it is reviewed and signed off anew."
            }
            Self::NoReceipt => "Take the applicant's photo with `issuer photo submit`, and name its receipt.",
            Self::SessionEnded => "Sign in with `issuer sign-in`.",
            Self::Internal => "Repeat it, and report this.",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::NotFound { .. } => Fault::Absent,
            Self::SessionEnded => Fault::Stranger,
            Self::Staff(error) => Fault::of_staff(error),
            Self::SignIn(error) => error.fault(),
            Self::Signing(error) => error.fault(),
            Self::IdTaken
            | Self::NoCard
            | Self::NotRolledBack
            | Self::AllowingNotProposed
            | Self::ErasureNotRequested
            | Self::OtherContent
            | Self::NotCompleted
            | Self::SignedOtherwise
            | Self::WaitsForHolder { .. }
            | Self::BalanceUnknown { .. } => Fault::State,
            Self::NoRuleSet
            | Self::NotEligible(_)
            | Self::NoReceipt
            | Self::OtherPerson
            | Self::OtherApplicant
            | Self::Moved
            | Self::OtherOffice
            | Self::PhotoRefused(_)
            | Self::PageRefused(_)
            | Self::PaperNotNamed
            | Self::Unprintable(_)
            | Self::OtherLot { .. }
            | Self::ReceiptsForm => Fault::Caller,
            // Done by half: running it again goes on.
            Self::Denial(_) | Self::PhotoCaseOpen(_) => Fault::Unknown,
            Self::Internal => Fault::Machine,
            Self::Domain(error) => Fault::of_domain(error),
            Self::Refused(refusal) => Fault::of_refusal(refusal),
            Self::Store(error) => Fault::of_store(error),
            Self::Photo(error) => Fault::of_photo_store(error.code()),
            Self::Content(error) => error.fault(),
            Self::Artwork(error) => Fault::of_artwork(error),
            Self::Vault(error) => Fault::of_vault(error),
        }
    }
}

impl Failing for OfficeError {
    fn code(&self) -> Cow<'static, str> {
        self.code().into()
    }

    fn exit(&self) -> Exit {
        self.fault().exit()
    }

    fn action(&self) -> Cow<'static, str> {
        self.action().into()
    }

    #[expect(clippy::too_many_lines, reason = "one line per error, read as a table")]
    fn chinese(&self) -> (String, String) {
        let static_action = |(message, action): (String, &'static str)| (message, action.to_owned());
        static_action(match self {
            Self::NotFound { what } => (format!("没有此编号的{}", chinese(what)), "请核对编号。"),
            Self::IdTaken => ("此编号已用于另一件工作".to_owned(), "请换用新的编号。"),
            Self::NoRuleSet => (
                "当日居住地没有生效的规则集".to_owned(),
                "请为该地发布规则集，或改正居住地的行政区划。",
            ),
            Self::Domain(error) => error.chinese(),
            Self::Refused(refusal) => refusal.chinese(),
            Self::Store(error) => error.chinese(),
            Self::Photo(error) => return error.chinese(),
            Self::PhotoRefused(judgement) => {
                return (
                    format!(
                        "照片未通过检查：{}",
                        refusals(judgement, |texts| texts.message_zh).concat()
                    ),
                    refusals(judgement, |texts| texts.action_zh).concat(),
                );
            }
            Self::PageRefused(code) => (code.texts().message_zh.to_owned(), code.texts().action_zh),
            Self::PaperNotNamed => (
                "申请中没有列出这种材料".to_owned(),
                "请选择本案所列的材料；出示的是其他材料的，请用 `issuer application withdraw` 撤回申请，更正后重新提交。",
            ),
            Self::Content(error) => error.chinese(),
            Self::Artwork(error) => error.chinese(),
            Self::Vault(error) => (error.chinese_text(), "请按密钥库的提示处理，再运行同一命令。"),
            Self::Denial(error) => (
                format!("台账已记录，但停用名单尚未生效（{}）", error.chinese_text()),
                "请按密钥库的提示处理，再运行同一命令，或 `issuer card confirm`。",
            ),
            Self::Unprintable(errors) => (errors.chinese(), "请改正所列的每个字段，再试。"),
            Self::PhotoCaseOpen(error) => (
                format!(
                    "台账已记录，但已撤回申请的照片案件尚未关闭（{}）",
                    error.chinese().0
                ),
                "照片库恢复后，再运行同一命令，或对已撤回的申请运行 `issuer photo close-case`。",
            ),
            Self::OtherApplicant => (
                "更正后的文件与申请的公民身份号码不同".to_owned(),
                "请取该申请人的文件；如号码本身有误，请用 `issuer application withdraw` 撤回申请，再提交正确的申请。",
            ),
            Self::NotRolledBack => (
                "本机关未见过密钥库存储更晚的代次".to_owned(),
                "无须处理：`issuer doctor` 说明本机关能否与密钥库配合。",
            ),
            Self::NoCard => (
                "该居住证没有在用的卡".to_owned(),
                "请查看该居住证：卡可能已挂失、已补换领，或尚未发放。",
            ),
            Self::NotEligible(_) => (
                "按现行规则集不予核定".to_owned(),
                "请看逐条说明；凭更新的材料重新提交申请文件。",
            ),
            Self::OtherPerson => (
                "申请文件不是持卡人本人的，或改动了只有重新申请才能改的内容".to_owned(),
                "请使用持卡人本人的文件；姓名、性别、民族、出生日期或户籍有变的，须重新申请。",
            ),
            Self::Moved => (
                "申请文件的居住地址与卡上的不同".to_owned(),
                "请先用 `issuer change propose --kind address` 变更地址。",
            ),
            Self::OtherOffice => (
                "新居住地在另一地级市，由当地发证机关签发".to_owned(),
                "请持卡人到新居住地的发证机关办理。",
            ),
            Self::OtherLot { serial, lot } => (
                format!("空白卡 {serial} 属于批次 {lot}；一张也没有入库"),
                "请用 --lot 给出该批次，即序列号前 12 位所写的发卡机构和批号，如 4403-00000001；多个批次分别入库。",
            ),
            Self::WaitsForHolder { until } => (
                format!("该卡仍在等候持证人领取，{until} 起才可收回"),
                "请打印催领通知，卡留在保险柜；卡本身作废的，请选相应的原因。",
            ),
            Self::ReceiptsForm => ("这不是回执文件".to_owned(), "请使用终端写出的原文件。"),
            Self::BalanceUnknown { days, from } => (
                format!(
                    "被补换领的旧卡余额不明：机关不知道卡花了多少，{days} 天内（至 {from}）仍可能有扣款入账"
                ),
                "不得转入余额。旧卡完好交回的，恢复其使用，钱包随之恢复。",
            ),
            Self::Staff(error) => error.chinese(),
            Self::SignIn(error) => error.chinese(),
            Self::Signing(error) => error.chinese(),
            Self::AllowingNotProposed => (
                "没有人提出恢复此卡使用".to_owned(),
                "请由经办人用 `issuer card allow` 提出。",
            ),
            Self::ErasureNotRequested => (
                "没有人申请删除此照片".to_owned(),
                "请由另一人按命令文号用 `issuer photo erase` 提出。",
            ),
            Self::OtherContent => (
                "所签内容与所读内容不同".to_owned(),
                "请在案件页面上，或用 `issuer change proposal`、`issuer card show` 或所依据的命令重新阅读，按所读内容签署。",
            ),
            Self::NotCompleted => (
                "此案尚未受理完毕".to_owned(),
                "请由受理人在案件页面上，或用 `issuer application complete` 受理完毕；换领新卡须用新的照片。",
            ),
            Self::SignedOtherwise => (
                "台账所载与两人所签的内容不同".to_owned(),
                "请用 `issuer application complete` 重新受理完毕，再经审核和审批。",
            ),
            Self::NoReceipt => (
                "已核定发卡，但没有指明照片回执".to_owned(),
                "请用 `issuer photo submit` 采集申请人照片，并写明其回执号。",
            ),
            Self::SessionEnded => (
                "无人登录，或登录已过期".to_owned(),
                "请用 `issuer sign-in` 登录。",
            ),
            Self::Internal => ("程序的某一部分出错".to_owned(), "请重试，并上报。"),
        })
    }
}

fn refusals(judgement: &photo::Judgement, text: fn(photo::Texts) -> &'static str) -> Vec<&'static str> {
    judgement
        .refusals()
        .into_iter()
        .map(|code| text(code.texts()))
        .collect()
}

/// Why content cannot be frozen, or frozen content cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The rule set names no issuing organ for the division.
    #[error("the rule set names no issuing organ for the division {division}")]
    NoOrgan {
        /// The division of residence.
        division: Division,
    },
    /// The decision grants small payment and no purse rules are in force for the division and tier.
    #[error("no purse rules are in force for the division {division}")]
    NoPurseRules {
        /// The division of residence.
        division: Division,
    },
    /// A new decision takes a role away that the card has: no record takes it off.
    #[error("the decision takes a role away that the card has")]
    RoleTaken,
    /// The card's certificates are over: no terminal takes it as genuine.
    #[error("the card's certificates ended on {to}")]
    CardTooOld {
        /// Their last day.
        to: jiff::civil::Date,
    },
    /// The decision grants nothing, so there is nothing to put on a card.
    #[error("the decision grants no tier")]
    NothingGranted,
    /// A value does not have the form of the card specification.
    #[error("{what} does not fit the card specification")]
    Form {
        /// Which object.
        what: &'static str,
    },
    /// The frozen bytes are damaged, or of a version that this program does not know.
    #[error("the frozen content of the order cannot be read")]
    Unreadable,
    /// The photo store gave another picture than the one that was frozen.
    #[error("the photo store's picture is not the one that was ordered")]
    OtherPhoto,
    /// The front is drawn otherwise than when it was signed off: another template, font or program.
    #[error("the front is drawn otherwise than it was signed off")]
    OtherFace,
}

impl ContentError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NothingGranted | Self::OtherPhoto | Self::OtherFace | Self::CardTooOld { .. } => {
                Fault::State
            }
            Self::Unreadable => Fault::Machine,
            Self::NoOrgan { .. } | Self::NoPurseRules { .. } | Self::RoleTaken | Self::Form { .. } => {
                Fault::Caller
            }
        }
    }

    /// The code for programs, from a closed list.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoOrgan { .. } => "NO_ISSUING_ORGAN",
            Self::NoPurseRules { .. } => "NO_PURSE_RULES",
            Self::RoleTaken => "ROLE_TAKEN",
            Self::CardTooOld { .. } => "CARD_TOO_OLD",
            Self::NothingGranted => "NOTHING_GRANTED",
            Self::Form { .. } => "CONTENT_FORM",
            Self::Unreadable => "CONTENT_UNREADABLE",
            Self::OtherPhoto => "OTHER_PHOTO",
            Self::OtherFace => "OTHER_FACE",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::NoOrgan { .. } => "Name the organ in the jurisdiction's rule set.",
            Self::NoPurseRules { .. } => "Publish purse rules for the jurisdiction and tier.",
            Self::RoleTaken => "Replace the card with `issuer card replace`: the new one has the new roles.",
            Self::CardTooOld { .. } => "Replace the card with `issuer card replace`, and order another one.",
            Self::NothingGranted => "Order cards only for approved applications.",
            Self::Form { .. } => {
                "Correct the case; a card holds 120 bytes of name and organ and 210 of an address."
            }
            Self::Unreadable => {
                "Restore the ledger from its backup, or run the version that froze the order."
            }
            Self::OtherPhoto => {
                "Give the order up, and have the intake completed again with the present photo: it is reviewed and signed off anew."
            }
            Self::OtherFace => {
                "Take the fonts and the program of the day on which intake was completed; or give the order up, and have the intake completed again: it is reviewed and signed off anew."
            }
        }
    }

    /// What happened and what to do, in Chinese.
    #[must_use]
    pub fn chinese(&self) -> (String, &'static str) {
        match self {
            Self::NoOrgan { division } => (
                format!("规则集没有写明行政区划 {division} 的签发机关"),
                "请在该地规则集中写明签发机关。",
            ),
            Self::NoPurseRules { division } => (
                format!("行政区划 {division} 没有生效的钱包规则"),
                "请为该地和该类别发布钱包规则。",
            ),
            Self::RoleTaken => (
                "审核决定取消了卡上已有的一项用途".to_owned(),
                "请用 `issuer card replace` 换卡：新卡载有新的用途。",
            ),
            Self::CardTooOld { to } => (
                format!("卡证书已于 {to} 到期"),
                "请用 `issuer card replace` 换卡，另行下单。",
            ),
            Self::NothingGranted => (
                "审核决定没有核定任何类别".to_owned(),
                "只能为已审批的申请下制证单。",
            ),
            Self::Form { what } => (
                format!("{}不符合卡规范", chinese(what)),
                "请改正案件；卡上姓名与机关名称最长 120 字节，住址最长 210 字节。",
            ),
            Self::Unreadable => (
                "制证单冻结的内容无法读取".to_owned(),
                "请从备份恢复台账，或运行当时冻结该单的程序版本。",
            ),
            Self::OtherPhoto => (
                "照片库给出的不是下单时的照片".to_owned(),
                "请放弃该单，以现在的照片重新受理完毕，再经审核和审批。",
            ),
            Self::OtherFace => (
                "现在绘制的卡面与签批时的不同".to_owned(),
                "请使用受理完毕当日的字体和程序；或放弃该单，重新受理完毕，再经审核和审批。",
            ),
        }
    }
}
