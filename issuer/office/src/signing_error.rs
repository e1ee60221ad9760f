//! Why a signature under a mandate is not taken, or a key with which people sign not enrolled. Nothing was changed.

use issuer_mandate::{AssertionError, MandateError};

use crate::fault::Fault;

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// Completed before cases had mandates.
    #[error("this case has no mandate: its intake was completed before there were any")]
    NoMandate,
    /// Signed or written too late.
    #[error("the mandate of this case holds no more: 30 days from the end of intake are over")]
    MandateEnded,
    /// No signature came with the step.
    #[error("this step takes a signature of yours, and none came with it")]
    NotSigned,
    /// What came is no signature.
    #[error("what came as a signature is none")]
    Form,
    /// It is of something else, or for another page.
    #[error("the signature is over something else than the mandate of this case, or of another page")]
    OtherMandate,
    /// The authenticator's answer does not hold.
    #[error("the signature is not by this key, or its authenticator did not verify who used it")]
    Refused,
    /// There may be two of the authenticator.
    #[error("the counter of this signing key did not go on: there may be a copy of it")]
    Counter,
    /// No enrolled key has this id now.
    #[error("this signing key is not enrolled, or was removed")]
    KeyUnknown,
    /// Somebody else's.
    #[error("this signing key is of another person")]
    KeyOther,
    /// Enrolled for the other role.
    #[error("this signing key is enrolled for another role than this step takes")]
    KeyRole,
    /// Enrolled for another organ.
    #[error("this signing key is enrolled for another organ than the one of this case")]
    KeyOrgan,
    /// Its last day is over.
    #[error("the last day of this signing key is over")]
    KeyEnded,
    /// A key file in an office that is no rehearsal.
    #[error("a key file signs in a rehearsal alone")]
    RehearsalKey,
    /// It is enrolled or proposed, or was.
    #[error("this signing key is or was enrolled already")]
    KeyKnown,
    /// Two others have to enrol it.
    #[error("a signing key is enrolled by two other people than its own")]
    ByTwoOthers,
    /// Nobody proposed it, or too long ago.
    #[error("nobody proposed this signing key, or too long ago")]
    NotProposed,
}

impl From<MandateError> for SigningError {
    fn from(error: MandateError) -> Self {
        match error {
            MandateError::OutOfTime => Self::MandateEnded,
            MandateError::KeyNotEnrolled => Self::KeyUnknown,
            MandateError::NotSigned | MandateError::SamePerson => Self::NotSigned,
            MandateError::Assertion(AssertionError::Counter) => Self::Counter,
            MandateError::Assertion(AssertionError::ClientData) | MandateError::NotInBatch => {
                Self::OtherMandate
            }
            MandateError::Assertion(_) => Self::Refused,
            _ => Self::Form,
        }
    }
}

impl SigningError {
    /// The code for programs, from a closed list.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoMandate => "MANDATE_MISSING",
            Self::MandateEnded => "MANDATE_ENDED",
            Self::NotSigned => "SIGNATURE_MISSING",
            Self::Form => "SIGNATURE_FORM",
            Self::OtherMandate => "SIGNED_ANOTHER",
            Self::Refused => "SIGNATURE_REFUSED",
            Self::Counter => "SIGNING_COUNTER",
            Self::KeyUnknown => "SIGNING_KEY_UNKNOWN",
            Self::KeyOther => "SIGNING_KEY_OTHER",
            Self::KeyRole => "SIGNING_KEY_ROLE",
            Self::KeyOrgan => "SIGNING_KEY_ORGAN",
            Self::KeyEnded => "SIGNING_KEY_ENDED",
            Self::RehearsalKey => "REHEARSAL_KEY",
            Self::KeyKnown => "SIGNING_KEY_KNOWN",
            Self::ByTwoOthers => "SIGNING_KEY_BY_TWO_OTHERS",
            Self::NotProposed => "SIGNING_KEY_NOT_PROPOSED",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::NoMandate | Self::MandateEnded => {
                "Have an intake clerk complete it anew, on the page of the case or with `issuer application complete`; an order that was not written yet is given up before. It is reviewed and signed off anew."
            }
            Self::NotSigned => {
                "Press the button of the step on the page of the case: it leads to the signing page. In a rehearsal a program gets one from `issuer rehearsal-sign`."
            }
            Self::Form => {
                "Send the signature as the signing page or `issuer rehearsal-sign` wrote it: the whole of it, in hexadecimal digits."
            }
            Self::OtherMandate => {
                "Open the page of the case again and sign there what the signing page shows."
            }
            Self::Refused => {
                "Sign again on the signing page, with the PIN or fingerprint of your own signing key."
            }
            Self::Counter => "Have an administrator remove this key, enrol another one, and report it.",
            Self::KeyUnknown | Self::KeyEnded => {
                "Have two administrators enrol a signing key for you, on the page of signing keys; what a removed key signed is signed anew."
            }
            Self::KeyOther => "Use your own signing key.",
            Self::KeyRole => "Use the key that is enrolled for this role, or have somebody who has it sign.",
            Self::KeyOrgan => "Have somebody of the organ of this case sign.",
            Self::RehearsalKey => {
                "Have two administrators enrol a key in an authenticator, on the page of signing keys."
            }
            Self::KeyKnown => "Take another authenticator, or make a new key in it.",
            Self::ByTwoOthers => "Have another administrator do this step.",
            Self::NotProposed => "Have an administrator enrol the key again, on the page of signing keys.",
        }
    }

    /// What happened and what to do, in Chinese.
    #[must_use]
    pub fn chinese(self) -> (String, &'static str) {
        let (what, action) = match self {
            Self::NoMandate => (
                "此案没有签发授权书：受理完毕时尚无此项",
                "请由受理人在案件页面上，或用 `issuer application complete` 重新受理完毕；已下单而未写卡的，先放弃该单。再经审核和审批。",
            ),
            Self::MandateEnded => (
                "此案的签发授权书已过期：自受理完毕起 30 日",
                "请由受理人在案件页面上，或用 `issuer application complete` 重新受理完毕；已下单而未写卡的，先放弃该单。再经审核和审批。",
            ),
            Self::NotSigned => (
                "这一步须由您签名，但没有随附签名",
                "请在案件页面按该步骤的按钮，进入签名页；演练系统中的程序用 `issuer rehearsal-sign` 取得。",
            ),
            Self::Form => (
                "随附的签名格式不对",
                "请原样发送签名页或 `issuer rehearsal-sign` 给出的全部十六进制字符。",
            ),
            Self::OtherMandate => (
                "所签的不是此案的签发授权书，或签于别的页面",
                "请重新打开案件页面，按签名页所示内容签名。",
            ),
            Self::Refused => (
                "签名不是用此密钥作出的，或身份验证器没有核验使用人",
                "请在签名页上用您本人签名密钥的 PIN 码或指纹重新签名。",
            ),
            Self::Counter => (
                "此签名密钥的计数没有增加，可能有复制品",
                "请由管理员移除此密钥，另行登记，并上报。",
            ),
            Self::KeyUnknown => (
                "此签名密钥未登记，或已移除",
                "请由两名管理员在签名密钥页面为您登记；已移除密钥所签的，须重新签名。",
            ),
            Self::KeyOther => ("此签名密钥是他人的", "请用您本人的签名密钥。"),
            Self::KeyRole => (
                "此签名密钥登记的岗位与这一步不符",
                "请用为该岗位登记的密钥，或由有该岗位的人签名。",
            ),
            Self::KeyOrgan => ("此签名密钥登记的机关不是此案的机关", "请由此案所属机关的人签名。"),
            Self::KeyEnded => (
                "此签名密钥已到期",
                "请由两名管理员在签名密钥页面为您登记新的密钥。",
            ),
            Self::RehearsalKey => (
                "密钥文件只能在演练系统中签名",
                "请由两名管理员在签名密钥页面登记身份验证器中的密钥。",
            ),
            Self::KeyKnown => ("此签名密钥已经登记过", "请换一枚身份验证器，或在其中新建密钥。"),
            Self::ByTwoOthers => ("签名密钥须由本人以外的两人登记", "请由另一名管理员办理这一步。"),
            Self::NotProposed => (
                "无人提出登记此签名密钥，或提出已过期",
                "请由管理员在签名密钥页面重新登记。",
            ),
        };
        (what.to_owned(), action)
    }

    /// Whose fault it is.
    #[must_use]
    pub(crate) const fn fault(self) -> Fault {
        match self {
            Self::NotSigned | Self::Form | Self::Refused => Fault::Caller,
            Self::NoMandate
            | Self::MandateEnded
            | Self::OtherMandate
            | Self::KeyKnown
            | Self::NotProposed => Fault::State,
            Self::Counter
            | Self::KeyUnknown
            | Self::KeyOther
            | Self::KeyRole
            | Self::KeyOrgan
            | Self::KeyEnded
            | Self::RehearsalKey
            | Self::ByTwoOthers => Fault::Person,
        }
    }
}
