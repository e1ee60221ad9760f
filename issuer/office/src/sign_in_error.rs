//! Why somebody was not signed in, an authenticator not taken, or an account not brought back. What is said to a stranger is the same
//! whatever was wrong; more is said to who has a key, a token or a role.

use jiff::Timestamp;
use program_contract::day::OFFICE;

use crate::fault::Fault;
use crate::webauthn::AnswerFault;

/// Why not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignInError {
    /// No authenticator of a member of staff gave this answer.
    #[error("this authenticator opens nothing here")]
    AuthenticatorUnknown,
    /// The question was answered before, or too long ago.
    #[error("the question to the authenticator is too old, or was answered already")]
    ChallengeEnded,
    /// It was made for another page.
    #[error("the authenticator answered a page with another address")]
    OtherOrigin,
    /// Nobody was verified.
    #[error("the authenticator did not verify who used it")]
    NotVerified,
    /// Its key leaves the device.
    #[error("the key of this authenticator may be copied to other devices")]
    Copied,
    /// It has no P-256 key.
    #[error("this authenticator has no key of the kind that is used here (ES256)")]
    Algorithm,
    /// There may be two of it.
    #[error("the counter of this authenticator did not go on: there may be a copy of it")]
    Counter,
    /// It is enrolled, or was.
    #[error("this authenticator is or was enrolled already")]
    AuthenticatorKnown,
    /// It is somebody else's than of the person at the page.
    #[error("this authenticator is not of the person who is signed in")]
    AuthenticatorOther,
    /// What it is called does not fit.
    #[error("the name of an authenticator has 1 to 40 characters")]
    Label,
    /// The account has its authenticators.
    #[error("the account has its authenticators: its token opens no page any more")]
    Enrolled,
    /// The person has to prove again to be there.
    #[error("this asks for a proof that you are there, not older than five minutes")]
    ProveAgain,
    /// The code of a recovery opens nothing.
    #[error("this code opens nothing: it is wrong, was used, or has ended")]
    RecoveryCode,
    /// Nobody asked for it.
    #[error("nobody asked for the recovery of this account, or too long ago")]
    NoRecovery,
    /// Somebody asked already.
    #[error("the recovery of this account is under way")]
    RecoveryUnderWay,
    /// Two others have to do it.
    #[error("an account is brought back by two other people than its own")]
    RecoveryByTwoOthers,
    /// Too many wrong attempts.
    #[error("too many wrong attempts: nothing is tried before {}", clock_time(*until))]
    Locked {
        /// When it may be tried again.
        until: Timestamp,
    },
}

/// Hour, minute and second of the office.
fn clock_time(at: Timestamp) -> String {
    OFFICE.to_datetime(at).strftime("%H:%M:%S").to_string()
}

impl From<AnswerFault> for SignInError {
    fn from(fault: AnswerFault) -> Self {
        match fault {
            AnswerFault::Form | AnswerFault::Signature => Self::AuthenticatorUnknown,
            AnswerFault::Challenge => Self::ChallengeEnded,
            AnswerFault::Origin | AnswerFault::RelyingParty => Self::OtherOrigin,
            AnswerFault::NotVerified => Self::NotVerified,
            AnswerFault::Copied => Self::Copied,
            AnswerFault::Algorithm => Self::Algorithm,
            AnswerFault::Counter => Self::Counter,
        }
    }
}

impl SignInError {
    /// The code for programs, from a closed list.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AuthenticatorUnknown => "AUTHENTICATOR_UNKNOWN",
            Self::ChallengeEnded => "CHALLENGE_ENDED",
            Self::OtherOrigin => "OTHER_ORIGIN",
            Self::NotVerified => "USER_NOT_VERIFIED",
            Self::Copied => "AUTHENTICATOR_COPIED",
            Self::Algorithm => "AUTHENTICATOR_ALGORITHM",
            Self::Counter => "AUTHENTICATOR_COUNTER",
            Self::AuthenticatorKnown => "AUTHENTICATOR_KNOWN",
            Self::AuthenticatorOther => "AUTHENTICATOR_OTHER",
            Self::Label => "AUTHENTICATOR_LABEL",
            Self::Enrolled => "ENROLLED",
            Self::ProveAgain => "PROVE_AGAIN",
            Self::RecoveryCode => "RECOVERY_CODE",
            Self::NoRecovery => "NO_RECOVERY",
            Self::RecoveryUnderWay => "RECOVERY_UNDER_WAY",
            Self::RecoveryByTwoOthers => "RECOVERY_BY_TWO_OTHERS",
            Self::Locked { .. } => "SIGN_IN_LOCKED",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::AuthenticatorUnknown => {
                "Take the authenticator that you enrolled here. Without any, two administrators bring your account back."
            }
            Self::ChallengeEnded => "Press the button again, and answer within five minutes.",
            Self::OtherOrigin => {
                "Open the counter at the address that your office gives, and try again there."
            }
            Self::NotVerified => {
                "Use its PIN or fingerprint. One that has none set up gets it in the settings of the device or browser first."
            }
            Self::Copied => {
                "Take a security key, or the authenticator of this machine; none that a cloud keeps or copies."
            }
            Self::Algorithm => "Take another authenticator: a FIDO2 security key has such a key.",
            Self::Counter => {
                "Use your other authenticator, remove this one from your account, and report it."
            }
            Self::AuthenticatorKnown => {
                "Take another one: the second is there for the day when the first is lost."
            }
            Self::AuthenticatorOther => "Use your own authenticator, or sign out first.",
            Self::Label => "Say in a word or two which one it is, such as: blue key.",
            Self::Enrolled => {
                "Sign in with your authenticator. Where all are lost, two administrators bring the account back."
            }
            Self::ProveAgain => "Use your authenticator again.",
            Self::RecoveryCode => "Compare account and code; for a new one two administrators start again.",
            Self::NoRecovery => {
                "Have a colleague ask for it on the page of accounts; another one confirms it."
            }
            Self::RecoveryUnderWay => "Confirm it, if somebody else asked; else wait until it ends.",
            Self::RecoveryByTwoOthers => "Have another administrator do this step.",
            Self::Locked { .. } => {
                "Wait until then. If it was not you, tell an administrator; where an authenticator is lost, two of them bring the account back."
            }
        }
    }

    /// What happened and what to do, in Chinese.
    #[must_use]
    pub fn chinese(&self) -> (String, &'static str) {
        let fixed = |what: &str, action| (what.to_owned(), action);
        match self {
            Self::AuthenticatorUnknown => fixed(
                "此身份验证器在本系统中不能登录",
                "请使用您在本系统登记的身份验证器；一枚都没有的，由两名管理员恢复账号。",
            ),
            Self::ChallengeEnded => fixed(
                "对身份验证器的询问已过期或已答复",
                "请再按一次按钮，并在五分钟内完成。",
            ),
            Self::OtherOrigin => fixed(
                "身份验证器答复的是另一个地址的页面",
                "请打开本机关公布的窗口地址，再试。",
            ),
            Self::NotVerified => fixed(
                "身份验证器没有核验使用人",
                "请使用其 PIN 码或指纹；尚未设置的，请先在设备或浏览器的设置中设置。",
            ),
            Self::Copied => fixed(
                "此身份验证器的密钥可能被复制到其他设备",
                "请使用安全密钥或本机自带的身份验证器，不用由云端保存或同步的。",
            ),
            Self::Algorithm => fixed(
                "此身份验证器没有本系统所用种类的密钥（ES256）",
                "请换一枚：FIDO2 安全密钥均有此种密钥。",
            ),
            Self::Counter => fixed(
                "此身份验证器的计数没有增加，可能有复制品",
                "请用另一枚登录，把这一枚从账号中移除，并上报。",
            ),
            Self::AuthenticatorKnown => {
                fixed("此身份验证器已经登记过", "请换一枚：第二枚是第一枚遗失时用的。")
            }
            Self::AuthenticatorOther => fixed(
                "此身份验证器不是当前登录人的",
                "请用您自己的身份验证器，或先退出登录。",
            ),
            Self::Label => fixed(
                "身份验证器的名称须为 1 至 40 个字",
                "请用一两个词说明是哪一枚，如：蓝色密钥。",
            ),
            Self::Enrolled => fixed(
                "该账号已登记身份验证器，令牌不再能打开页面",
                "请用身份验证器登录；全部遗失的，由两名管理员恢复账号。",
            ),
            Self::ProveAgain => fixed("此操作须在五分钟内证明您本人在场", "请再次使用身份验证器。"),
            Self::RecoveryCode => fixed(
                "恢复码无效：不对、已用过或已过期",
                "请核对账号和恢复码；要新的恢复码，须由两名管理员重新办理。",
            ),
            Self::NoRecovery => fixed(
                "无人申请恢复此账号，或申请已过期",
                "请由一名同事在账号页面提出申请，另一名确认。",
            ),
            Self::RecoveryUnderWay => fixed("此账号的恢复正在办理", "由他人提出的，请确认；否则请等它过期。"),
            Self::RecoveryByTwoOthers => {
                fixed("恢复账号须由本人以外的两人办理", "请由另一名管理员办理这一步。")
            }
            Self::Locked { until } => (
                format!("错误次数过多：{} 之前不再受理", clock_time(*until)),
                "请到时再试。不是您本人所为的，请告知管理员；身份验证器遗失的，由两名管理员恢复账号。",
            ),
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub(crate) const fn fault(&self) -> Fault {
        match self {
            Self::AuthenticatorUnknown
            | Self::ChallengeEnded
            | Self::OtherOrigin
            | Self::NotVerified
            | Self::Counter
            | Self::Enrolled
            | Self::RecoveryCode
            | Self::Locked { .. } => Fault::Stranger,
            Self::AuthenticatorOther | Self::ProveAgain | Self::RecoveryByTwoOthers => Fault::Person,
            Self::Copied | Self::Algorithm | Self::Label => Fault::Caller,
            Self::AuthenticatorKnown | Self::NoRecovery | Self::RecoveryUnderWay => Fault::State,
        }
    }
}
