//! Everything that can go wrong at a terminal: a refusal (the rules say no), or trouble (nobody knows).
//!
//! To the holder there is one outcome for all refusals that are about the card ([`Told`]): a gate that explains itself tells a
//! bystander about the holder. What the terminal itself lacks is no matter of the holder's, and sends nobody anywhere. The
//! reason is for the operator's log, and holds no pseudonym, name or number.

use std::borrow::Cow;

use program_contract::{Exit, Failing};
use thiserror::Error;

use crate::transport::{Outcome, TransportError};

/// Why a terminal refuses: the closed list of the contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nothing on the card answers this terminal: not handed over yet, blocked, ended, without this entitlement, or of
    /// a region or key version that the terminal does not serve (the card makes these look alike on purpose); or its
    /// first day is still to come.
    NotActive,
    /// Today is behind the last day of the entitlement or of the card's certificate.
    Expired,
    /// The card is on the deny list, or its entitlement does not reach this place.
    Denied,
    /// A signature, a MAC, a seal or a binding does not hold.
    NotGenuine,
    /// The terminal may not, or this record does not, serve the role that was asked for.
    WrongRole,
    /// No card of this specification, or one that trusts another authority.
    ForeignCard,
    /// The answer has been seen before.
    Replay,
    /// The deny list is missing or older than it may be: nobody is accepted.
    ListTooOld,
    /// The terminal's bundle or certificate has ended.
    BundleExpired,
    /// The amount is above what the card holds.
    BalanceTooLow,
    /// Nobody knows whether the card was debited: present the same card again.
    OutcomeUnknown,
    /// The terminal's clock is behind a day that it has seen: nobody is accepted.
    ClockWrong,
}

impl Reason {
    /// Every reason, in the order of the contracts.
    pub const ALL: [Self; 12] = [
        Self::NotActive,
        Self::Expired,
        Self::Denied,
        Self::NotGenuine,
        Self::WrongRole,
        Self::ForeignCard,
        Self::Replay,
        Self::ListTooOld,
        Self::BundleExpired,
        Self::BalanceTooLow,
        Self::OutcomeUnknown,
        Self::ClockWrong,
    ];

    /// The code of the contracts, for programs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotActive => "NOT_ACTIVE",
            Self::Expired => "EXPIRED",
            Self::Denied => "DENIED",
            Self::NotGenuine => "NOT_GENUINE",
            Self::WrongRole => "WRONG_ROLE",
            Self::ForeignCard => "FOREIGN_CARD",
            Self::Replay => "REPLAY",
            Self::ListTooOld => "LIST_TOO_OLD",
            Self::BundleExpired => "BUNDLE_EXPIRED",
            Self::BalanceTooLow => "BALANCE_TOO_LOW",
            Self::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Self::ClockWrong => "CLOCK_WRONG",
        }
    }

    /// What happened, for the operator.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::NotActive => "nothing on this card answers this terminal",
            Self::Expired => "the entitlement or the card's certificate has ended",
            Self::Denied => "the card is on the deny list, or its entitlement does not reach this place",
            Self::NotGenuine => "the card did not prove that it is genuine",
            Self::WrongRole => "this terminal or this record does not serve the role that was asked for",
            Self::ForeignCard => "this is no permit card that this terminal knows",
            Self::Replay => "this answer has been given before",
            Self::ListTooOld => "the deny list is missing or too old",
            Self::BundleExpired => "the terminal's bundle or certificate has ended",
            Self::BalanceTooLow => "the amount is above what the card holds",
            Self::OutcomeUnknown => "nobody knows yet whether the card was debited",
            Self::ClockWrong => "the terminal's clock is behind a day that it has seen",
        }
    }

    /// What the operator can do.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Self::NotActive | Self::Expired | Self::Denied => {
                "Ask the holder to take the card to the office that issued it."
            }
            Self::NotGenuine | Self::Replay => {
                "Do not accept the card. Tap once more; if it happens again, report the reader."
            }
            Self::WrongRole => {
                "Load a bundle of this service (`keyvault export-bundle` for a terminal of its kind, then `card-reader sync`), or use a terminal \
                 that has one."
            }
            Self::ForeignCard => "Ask for the permit card, and present only one card at a time.",
            Self::ListTooOld => {
                "Load the newest list or bundle (`card-reader sync`); until then this terminal accepts nobody."
            }
            Self::BundleExpired => {
                "Load a new bundle for this terminal (`keyvault export-bundle`, then `card-reader sync`)."
            }
            Self::BalanceTooLow => "Take a smaller amount, or have money loaded onto the card at the office.",
            Self::OutcomeUnknown => {
                "Present the same card again. Hand out nothing before that; if the card is gone, give the purchase up."
            }
            Self::ClockWrong => {
                "Set the clock of this machine. If it is right and the day that was seen is not, load a bundle that was made today \
                 (`keyvault export-bundle`, then `card-reader sync`)."
            }
        }
    }

    /// Message and action in Chinese.
    #[must_use]
    pub fn chinese(self) -> (&'static str, &'static str) {
        match self {
            Self::NotActive => ("卡对本终端没有应答", "请持卡人到发证机关办理。"),
            Self::Expired => ("卡内权益或卡证书已过有效期", "请持卡人到发证机关办理。"),
            Self::Denied => ("卡在停用名单上，或其权益不适用于此处", "请持卡人到发证机关办理。"),
            Self::NotGenuine => (
                "卡未能证明为真卡",
                "不得受理此卡。请再刷一次；仍然如此的，报修读卡器。",
            ),
            Self::WrongRole => (
                "本终端或该记录不办理所要的业务",
                "请装入该业务的凭证包（`keyvault export-bundle` 导出相应种类终端的凭证包，再 `card-reader sync`），或换用有该业务的终端。",
            ),
            Self::ForeignCard => ("不是本终端认得的居住证卡", "请出示居住证，一次只放一张卡。"),
            Self::Replay => (
                "这条应答以前出现过",
                "不得受理此卡。请再刷一次；仍然如此的，报修读卡器。",
            ),
            Self::ListTooOld => (
                "停用名单缺失或过期",
                "请装入最新的名单或凭证包（`card-reader sync`）；此前本终端不受理任何卡。",
            ),
            Self::BundleExpired => (
                "终端的凭证包或证书已到期",
                "请为本终端装入新的凭证包（先 `keyvault export-bundle`，再 `card-reader sync`）。",
            ),
            Self::BalanceTooLow => ("金额超过卡内余额", "请减少金额，或先到受理点充值。"),
            Self::OutcomeUnknown => (
                "尚不知道卡是否已扣款",
                "请再次出示同一张卡，此前不得交付商品；卡已拿走的，放弃这笔付款。",
            ),
            Self::ClockWrong => (
                "终端时钟早于它已见过的日期",
                "请校准本机时钟。若时钟无误而所见日期有误，请装入今天制作的凭证包（先 `keyvault export-bundle`，再 `card-reader sync`）。",
            ),
        }
    }
}

/// What the holder is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Told {
    /// The one sentence for everything about the card. It says where to go and not why.
    Office,
    /// Whatever was presented is no permit card.
    NotAPermitCard,
    /// The terminal itself cannot serve; its operator must do something, and the holder nothing.
    OutOfService,
    /// A payment above the balance.
    BalanceTooLow,
    /// A payment above the limit for one.
    AboveLimit,
    /// A payment whose outcome is unknown.
    SameCardAgain,
}

impl Told {
    /// Everything that a holder can be told.
    pub const ALL: [Self; 6] = [
        Self::Office,
        Self::NotAPermitCard,
        Self::OutOfService,
        Self::BalanceTooLow,
        Self::AboveLimit,
        Self::SameCardAgain,
    ];

    /// zh-CN, then English.
    #[must_use]
    pub const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Office => (
                "请持卡到受理点办理。",
                "Please take this card to a permit office.",
            ),
            Self::NotAPermitCard => ("这不是居住证卡。", "This is not a permit card."),
            Self::OutOfService => ("暂停服务。", "Out of service."),
            Self::BalanceTooLow => ("余额不足。", "The balance is too low."),
            Self::AboveLimit => ("超过单笔限额。", "The amount is above the limit for one payment."),
            Self::SameCardAgain => ("请再次出示同一张卡。", "Please present the same card again."),
        }
    }
}

/// Which check failed, for a log: one step finer than [`Reason`], and still without anything of the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Check {
    /// The card does not know our application, or answers SELECT with something else than card info.
    #[error("the application is not on the card")]
    Application,
    /// No group key of the bundle opens the answer to TAP.
    #[error("no key of the bundle opens the answer")]
    Keys,
    /// A group key opens the answer and the MAC T is wrong.
    #[error("the MAC of the tap")]
    TapMac,
    /// The same random number came before.
    #[error("a random number of the card came twice")]
    Repeated,
    /// The record's header names another role or key version than its slot, or the record is malformed.
    #[error("the header of the record")]
    RecordHeader,
    /// The record's role is not the one that was asked for.
    #[error("the role of the record")]
    RecordRole,
    /// The record does not open (AES-GCM), or the entitlement signer did not sign what is inside.
    #[error("the seal or the signature of the record")]
    RecordSeal,
    /// The record is bound to another card's key.
    #[error("the binding of the record to the card's key")]
    RecordBinding,
    /// Today is behind the record's last day.
    #[error("the last day of the record")]
    RecordDays,
    /// Today is before the record's first day.
    #[error("the first day of the record")]
    RecordNotYet,
    /// The zones of the record.
    #[error("the zones of the record")]
    Zones,
    /// The deny list holds the card.
    #[error("the deny list")]
    DenyList,
    /// The deny list is missing or older than it may be.
    #[error("the age of the deny list")]
    DenyListAge,
    /// The clock is behind a day that the bundle, a list or the terminal's own marks show.
    #[error("the clock, against the days that were seen")]
    Clock,
    /// The bundle is behind its last day.
    #[error("the last day of the bundle")]
    BundleDays,
    /// The card refused the terminal's certificate as ended, or as older than what it has seen.
    #[error("the days of the terminal's certificate, at the card")]
    CertificateEnded,
    /// The bundle has no key, or no door-S certificate, for what was asked.
    #[error("what the bundle is for")]
    BundleRole,
    /// The card refused a certificate of the terminal.
    #[error("the terminal's certificate, at the card")]
    TerminalCertificate,
    /// The card refused the terminal's rights.
    #[error("the terminal's rights, at the card")]
    TerminalRights,
    /// The card is not in a state in which door S answers.
    #[error("the state of the card")]
    CardState,
    /// The card's answer to AGREE has a wrong form, or a point off the curve.
    #[error("the form of the card's key agreement")]
    AgreementForm,
    /// The card certificate's form or domain.
    #[error("the form of the card certificate")]
    CertificateForm,
    /// The card CA's signature on the card certificate.
    #[error("the signature of the card certificate")]
    CertificateSignature,
    /// Today is behind the last day of the card certificate.
    #[error("the last day of the card certificate")]
    CertificateDays,
    /// Today is before the first day of the card certificate.
    #[error("the first day of the card certificate")]
    CertificateNotYet,
    /// The MAC that proves that the card holds the certified key.
    #[error("the proof of the card's key")]
    KeyProof,
    /// A MAC inside the secure channel.
    #[error("a MAC inside the secure channel")]
    ChannelMac,
    /// An object read through the secure channel has a wrong form.
    #[error("the form of an object")]
    ObjectForm,
    /// The signature object's signature, form or key.
    #[error("the signature object")]
    SignatureObject,
    /// The signature object was made for another card's key.
    #[error("the signature object's binding to the card's key")]
    SignatureObjectBinding,
    /// A data group's digest is not the one in the signature object.
    #[error("the digest of a data group")]
    GroupDigest,
    /// The tap took longer than this terminal's bound: the card may be somewhere else, behind a relay.
    #[error("the time of the tap")]
    TapTime,
    /// The amount is above loaded - spent.
    #[error("the balance of the card")]
    Balance,
    /// The card refused the debit and a fresh tap shows that nothing was debited: its limit for one payment.
    #[error("the card's limit for one payment")]
    CardLimit,
    /// The terminal has no registration number for payments.
    #[error("the registration of the terminal for payments")]
    Registration,
    /// The card gave no proof of a debit.
    #[error("the proof of the debit")]
    Proof,
    /// Another card than that of the open purchase.
    #[error("the card of the open purchase")]
    OtherCard,
}

impl Check {
    /// The reason of the contracts under which this check refuses.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            // A card that does not know our authority; door S says more where the card's status does.
            Self::Application | Self::TerminalCertificate => Reason::ForeignCard,
            Self::Keys | Self::CardState | Self::RecordNotYet | Self::CertificateNotYet => Reason::NotActive,
            Self::Repeated => Reason::Replay,
            Self::RecordRole | Self::BundleRole | Self::TerminalRights | Self::Registration => {
                Reason::WrongRole
            }
            Self::RecordDays | Self::CertificateDays => Reason::Expired,
            Self::Zones | Self::DenyList | Self::CardLimit => Reason::Denied,
            Self::Balance => Reason::BalanceTooLow,
            Self::Proof | Self::OtherCard => Reason::OutcomeUnknown,
            Self::DenyListAge => Reason::ListTooOld,
            Self::BundleDays | Self::CertificateEnded => Reason::BundleExpired,
            Self::Clock => Reason::ClockWrong,
            Self::TapMac
            | Self::RecordHeader
            | Self::RecordSeal
            | Self::RecordBinding
            | Self::AgreementForm
            | Self::CertificateForm
            | Self::CertificateSignature
            | Self::KeyProof
            | Self::ChannelMac
            | Self::ObjectForm
            | Self::SignatureObject
            | Self::SignatureObjectBinding
            | Self::GroupDigest
            | Self::TapTime => Reason::NotGenuine,
        }
    }
}

impl Check {
    /// Which check, in Chinese.
    #[must_use]
    pub fn chinese(self) -> &'static str {
        match self {
            Self::Application => "卡上没有本应用",
            Self::Keys => "凭证包中没有能解开应答的密钥",
            Self::TapMac => "刷卡应答的 MAC",
            Self::Repeated => "卡的随机数重复出现",
            Self::RecordHeader => "记录头",
            Self::RecordRole => "记录的用途",
            Self::RecordSeal => "记录的密封或签名",
            Self::RecordBinding => "记录与卡密钥的绑定",
            Self::RecordDays => "记录的截止日期",
            Self::RecordNotYet => "记录的起始日期",
            Self::Zones => "记录的适用区域",
            Self::DenyList => "停用名单",
            Self::DenyListAge => "停用名单的时效",
            Self::Clock => "时钟与已见过的日期",
            Self::BundleDays => "凭证包的截止日期",
            Self::CertificateEnded => "卡判定终端证书已过期",
            Self::BundleRole => "凭证包的用途",
            Self::TerminalCertificate => "卡不认终端证书",
            Self::TerminalRights => "卡不认终端权限",
            Self::CardState => "卡的状态",
            Self::AgreementForm => "卡密钥协商的格式",
            Self::CertificateForm => "卡证书的格式",
            Self::CertificateSignature => "卡证书的签名",
            Self::CertificateDays => "卡证书的截止日期",
            Self::CertificateNotYet => "卡证书的起始日期",
            Self::KeyProof => "卡密钥的证明",
            Self::ChannelMac => "安全通道内的 MAC",
            Self::ObjectForm => "数据对象的格式",
            Self::SignatureObject => "签名对象",
            Self::SignatureObjectBinding => "签名对象与卡密钥的绑定",
            Self::GroupDigest => "数据组的摘要",
            Self::TapTime => "刷卡用时",
            Self::Balance => "卡内余额",
            Self::CardLimit => "卡的单笔限额",
            Self::Registration => "终端的收款登记",
            Self::Proof => "扣款证明",
            Self::OtherCard => "未了付款的那张卡",
        }
    }

    /// What the holder is told when this check refuses: only what is about the card sends the holder to the office.
    #[must_use]
    pub fn told(self) -> Told {
        match self {
            Self::Clock
            | Self::BundleDays
            | Self::BundleRole
            | Self::CertificateEnded
            | Self::DenyListAge
            | Self::Registration
            | Self::TerminalRights => Told::OutOfService,
            Self::Application | Self::TerminalCertificate => Told::NotAPermitCard,
            Self::Balance => Told::BalanceTooLow,
            Self::CardLimit => Told::AboveLimit,
            Self::Proof | Self::OtherCard => Told::SameCardAgain,
            Self::Keys
            | Self::TapMac
            | Self::Repeated
            | Self::RecordHeader
            | Self::RecordRole
            | Self::RecordSeal
            | Self::RecordBinding
            | Self::RecordDays
            | Self::RecordNotYet
            | Self::Zones
            | Self::DenyList
            | Self::CardState
            | Self::AgreementForm
            | Self::CertificateForm
            | Self::CertificateSignature
            | Self::CertificateDays
            | Self::CertificateNotYet
            | Self::KeyProof
            | Self::ChannelMac
            | Self::ObjectForm
            | Self::SignatureObject
            | Self::SignatureObjectBinding
            | Self::GroupDigest
            | Self::TapTime => Told::Office,
        }
    }
}

/// A terminal says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}: {check}", reason.code())]
pub struct Refusal {
    /// The reason of the contracts.
    pub reason: Reason,
    /// The check behind it.
    pub check: Check,
}

impl Refusal {
    /// What the holder is told.
    #[must_use]
    pub fn told(&self) -> Told {
        self.check.told()
    }

    /// What the operator can do: for what the terminal itself lacks, and for limits, it is the check that says it.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self.check {
            Check::Registration => {
                "Have this terminal registered for payments (`issuer terminal`), and load the bundle that names its number."
            }
            Check::CardLimit => "Take a smaller amount.",
            _ => self.reason.action(),
        }
    }

    /// Message and action in Chinese.
    #[must_use]
    pub fn chinese(&self) -> (&'static str, &'static str) {
        let (message, action) = self.reason.chinese();
        let action = match self.check {
            Check::Registration => "请为本终端办理收款登记（`issuer terminal`），并装入载有其编号的凭证包。",
            Check::CardLimit => "请减少金额。",
            _ => action,
        };
        (message, action)
    }
}

impl From<Check> for Refusal {
    fn from(check: Check) -> Self {
        Self {
            reason: check.reason(),
            check,
        }
    }
}

impl Failing for Refusal {
    fn code(&self) -> Cow<'static, str> {
        self.reason.code().into()
    }

    fn exit(&self) -> Exit {
        Exit::Refused
    }

    fn action(&self) -> Cow<'static, str> {
        self.action().into()
    }

    /// `Display` is for logs, and names the check.
    fn message(&self) -> String {
        self.reason.message().to_owned()
    }

    fn chinese(&self) -> (String, String) {
        let (message, action) = self.chinese();
        (message.to_owned(), action.to_owned())
    }
}

/// What the terminal was doing when the card said no in a way that is no refusal of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// SELECT of the application.
    Select,
    /// GET DATA of the serial.
    ReadSerial,
    /// TAP.
    Tap,
    /// PRESENT CERTIFICATE.
    PresentCertificate,
    /// GET CHALLENGE.
    Challenge,
    /// AGREE.
    Agree,
    /// READ OBJECT.
    ReadObject,
    /// RESET COUNTER.
    ResetCounter,
    /// COMMIT.
    Commit,
    /// UPDATE.
    Update,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Select => "SELECT",
            Self::ReadSerial => "GET DATA",
            Self::Tap => "TAP",
            Self::PresentCertificate => "PRESENT CERTIFICATE",
            Self::Challenge => "GET CHALLENGE",
            Self::Agree => "AGREE",
            Self::ReadObject => "READ OBJECT",
            Self::ResetCounter => "RESET COUNTER",
            Self::Commit => "COMMIT",
            Self::Update => "UPDATE",
        })
    }
}

/// Everything that can go wrong between a terminal and a card. Every one of them ends the session.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The card or the reader could not be reached.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The rules say no.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// The card answered with a status that no rule explains. Whoever holds the wire can forge it: what the card did
    /// is unknown.
    #[error("the card answered {step} with status {status:04X}")]
    CardRefused {
        /// The command.
        step: Step,
        /// The status word.
        status: u16,
    },
    /// The answer has a form that no card of this specification gives.
    #[error("the answer to {step} has a wrong form")]
    BadAnswer {
        /// The command.
        step: Step,
    },
    /// The terminal's own material cannot be used.
    #[error(transparent)]
    Material(#[from] MaterialError),
}

impl From<Check> for Error {
    fn from(check: Check) -> Self {
        Self::Refused(check.into())
    }
}

impl Error {
    /// The code for programs, from a closed list.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Transport(error) => error.code(),
            Self::Refused(refusal) => refusal.reason.code(),
            Self::CardRefused { .. } => "CARD_REFUSED",
            Self::BadAnswer { .. } => "BAD_ANSWER",
            Self::Material(error) => error.code(),
        }
    }

    /// What the person at the terminal can do.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Transport(error) => error.action(),
            Self::Refused(refusal) => refusal.action(),
            Self::CardRefused { .. } | Self::BadAnswer { .. } => {
                "Take the card off, put it back, and try again. If it happens again, take the card to the office that issued it."
            }
            Self::Material(error) => error.action(),
        }
    }

    /// The refusal, where it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused(refusal) => Some(*refusal),
            _ => None,
        }
    }

    /// Whether the last command may or may not have been carried out.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Transport(error) => error.outcome() == Outcome::Unknown,
            Self::CardRefused { .. } | Self::BadAnswer { .. } => true,
            Self::Refused(_) | Self::Material(_) => false,
        }
    }
}

impl Failing for Error {
    fn code(&self) -> Cow<'static, str> {
        self.code().into()
    }

    /// Before any command has gone out; once one has, a card that is gone was lost in the middle: [`Exit::Unknown`].
    fn exit(&self) -> Exit {
        match self {
            Self::Refused(_) => Exit::Refused,
            Self::Material(error) => error.exit(),
            Self::Transport(error) => error.exit(),
            Self::CardRefused { .. } | Self::BadAnswer { .. } => Exit::Unknown,
        }
    }

    fn action(&self) -> Cow<'static, str> {
        self.action().into()
    }

    fn chinese(&self) -> (String, String) {
        let again = "请取下卡，重新放好再试。仍然如此的，请持卡到发证机关办理。";
        match self {
            Self::Transport(error) => error.chinese(),
            Self::Refused(refusal) => {
                let (message, action) = refusal.chinese();
                (
                    format!("拒绝：{message}（核查：{}）", refusal.check.chinese()),
                    action.to_owned(),
                )
            }
            Self::CardRefused { step, status } => {
                (format!("卡对 {step} 应答状态字 {status:04X}"), again.to_owned())
            }
            Self::BadAnswer { step } => (format!("卡对 {step} 的应答格式不对"), again.to_owned()),
            Self::Material(error) => error.chinese(),
        }
    }
}

/// Why the terminal's own files cannot be used. Nothing of their content is in the message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MaterialError {
    /// The key file is no key file, or was changed.
    #[error("the terminal key file is damaged or is something else")]
    KeyFile,
    /// Others than its owner can read the key file.
    #[error("the terminal key file can be read by others than its owner")]
    KeyFileExposed,
    /// The anchors file is not what the vault hands out.
    #[error("the anchors file has a wrong form")]
    AnchorsFile,
    /// The terminal's name is empty, longer than 64 bytes, or has control characters.
    #[error("a terminal name has 1 to 64 bytes of text")]
    TerminalName,
    /// The bundle is sealed for another terminal's key, or was changed.
    #[error("the bundle does not open with this terminal's key")]
    BundleSeal,
    /// The bundle is not signed by the authority that this terminal was enrolled with.
    #[error("the bundle is not signed by the authority of this terminal")]
    BundleSignature,
    /// The bundle opens and is signed, and its content is malformed.
    #[error("the content of the bundle has a wrong form")]
    BundleForm,
    /// The bundle is for a terminal of another name.
    #[error("the bundle is for another terminal")]
    BundleName,
    /// The bundle is older than one that this terminal has loaded.
    #[error("the bundle is older than the one loaded before (sequence {offered}, loaded {loaded})")]
    BundleOlder {
        /// Sequence of the bundle that was offered.
        offered: u32,
        /// Highest sequence loaded so far.
        loaded: u32,
    },
    /// A deny list is not signed by the signer that the bundle names, or is malformed.
    #[error("a deny list is damaged or is not signed by this terminal's authority")]
    ListDamaged,
    /// The batch of updates does not open with this terminal's key, or was changed.
    #[error("the update batch does not open with this terminal's key")]
    UpdatesSeal,
    /// The batch of updates is not signed by the authority of this terminal, or is malformed.
    #[error("the update batch is not signed by the authority of this terminal, or is damaged")]
    UpdatesDamaged,
    /// The batch of updates is for another terminal.
    #[error("the update batch is for another terminal")]
    UpdatesName,
    /// The batch of updates is older than one that this terminal has loaded.
    #[error("the update batch is older than the one loaded before (sequence {offered}, loaded {loaded})")]
    UpdatesOlder {
        /// Sequence of the batch that was offered.
        offered: u32,
        /// Highest sequence loaded so far.
        loaded: u32,
    },
    /// The batch of updates is behind its last day.
    #[error("the update batch has ended")]
    UpdatesEnded,
}

impl MaterialError {
    /// The code for programs, from a closed list.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::KeyFile => "TERMINAL_KEY_DAMAGED",
            Self::KeyFileExposed => "TERMINAL_KEY_EXPOSED",
            Self::AnchorsFile => "ANCHORS_DAMAGED",
            Self::TerminalName => "TERMINAL_NAME",
            Self::BundleSeal => "BUNDLE_NOT_OURS",
            Self::BundleSignature => "BUNDLE_SIGNATURE",
            Self::BundleForm => "BUNDLE_DAMAGED",
            Self::BundleName => "BUNDLE_OTHER_TERMINAL",
            Self::BundleOlder { .. } => "BUNDLE_OLDER",
            Self::ListDamaged => "LIST_DAMAGED",
            Self::UpdatesSeal => "UPDATES_NOT_OURS",
            Self::UpdatesDamaged => "UPDATES_DAMAGED",
            Self::UpdatesName => "UPDATES_OTHER_TERMINAL",
            Self::UpdatesOlder { .. } => "UPDATES_OLDER",
            Self::UpdatesEnded => "UPDATES_ENDED",
        }
    }

    /// What the operator can do.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::KeyFile => "Restore the key file from where it was made, or enrol this terminal again.",
            Self::KeyFileExposed => {
                "Take the rights of others away (`chmod 600`); if others may have read it, enrol this terminal again."
            }
            Self::AnchorsFile => "Fetch the anchors from the vault again.",
            Self::TerminalName => "Give another name with --name.",
            Self::BundleSeal | Self::BundleSignature | Self::BundleForm | Self::BundleName => {
                "Fetch the bundle for this terminal from the vault again; if it is refused again, enrol the terminal again."
            }
            Self::BundleOlder { .. } => "Load the newest bundle for this terminal.",
            Self::ListDamaged => {
                "Fetch the list file again; if it is refused again, fetch a new bundle first."
            }
            Self::UpdatesSeal | Self::UpdatesDamaged | Self::UpdatesName | Self::UpdatesEnded => {
                "Fetch the update batch for this terminal from the vault again."
            }
            Self::UpdatesOlder { .. } => "Load the newest update batch for this terminal.",
        }
    }
}

impl Failing for MaterialError {
    fn code(&self) -> Cow<'static, str> {
        self.code().into()
    }

    fn exit(&self) -> Exit {
        Exit::Damaged
    }

    fn action(&self) -> Cow<'static, str> {
        self.action().into()
    }

    fn chinese(&self) -> (String, String) {
        let bundle_again = "请从密钥库重新领取本终端的凭证包；仍被拒绝的，重新登记终端。";
        let batch_again = "请从密钥库重新领取本终端的更新批次。";
        let (message, action) = match self {
            Self::KeyFile => (
                "终端密钥文件已损坏，或不是密钥文件",
                "请用制作时的备份恢复该文件，或重新登记终端。",
            ),
            Self::KeyFileExposed => (
                "终端密钥文件可被属主以外的人读取",
                "请收回他人的权限（`chmod 600`）；可能已被他人读过的，重新登记终端。",
            ),
            Self::AnchorsFile => ("信任锚文件格式不对", "请从密钥库重新领取信任锚。"),
            Self::TerminalName => ("终端名称须为 1 至 64 字节的文本", "请用 --name 另取名称。"),
            Self::BundleSeal => ("凭证包不能用本终端的密钥打开", bundle_again),
            Self::BundleSignature => ("凭证包不是本终端的签发机构签名的", bundle_again),
            Self::BundleForm => ("凭证包内容格式不对", bundle_again),
            Self::BundleName => ("凭证包属于另一台终端", bundle_again),
            Self::BundleOlder { offered, loaded } => {
                return (
                    format!("凭证包比已装入的旧（序号 {offered}，已装入 {loaded}）"),
                    "请装入本终端最新的凭证包。".to_owned(),
                );
            }
            Self::ListDamaged => (
                "停用名单已损坏，或不是本终端的签发机构签名的",
                "请重新领取名单文件；仍被拒绝的，先领取新的凭证包。",
            ),
            Self::UpdatesSeal => ("更新批次不能用本终端的密钥打开", batch_again),
            Self::UpdatesDamaged => ("更新批次已损坏，或不是本终端的签发机构签名的", batch_again),
            Self::UpdatesName => ("更新批次属于另一台终端", batch_again),
            Self::UpdatesOlder { offered, loaded } => {
                return (
                    format!("更新批次比已装入的旧（序号 {offered}，已装入 {loaded}）"),
                    "请装入本终端最新的更新批次。".to_owned(),
                );
            }
            Self::UpdatesEnded => ("更新批次已过期", batch_again),
        };
        (message.to_owned(), action.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_are_the_closed_list_of_the_contracts() {
        let codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(
            codes,
            [
                "NOT_ACTIVE",
                "EXPIRED",
                "DENIED",
                "NOT_GENUINE",
                "WRONG_ROLE",
                "FOREIGN_CARD",
                "REPLAY",
                "LIST_TOO_OLD",
                "BUNDLE_EXPIRED",
                "BALANCE_TOO_LOW",
                "OUTCOME_UNKNOWN",
                "CLOCK_WRONG"
            ]
        );
        for reason in Reason::ALL {
            assert!(!reason.message().is_empty() && reason.action().ends_with('.'));
        }
    }

    #[test]
    fn a_status_without_a_mac_leaves_the_outcome_open() {
        assert!(
            Error::CardRefused {
                step: Step::ReadObject,
                status: 0x6985
            }
            .outcome_unknown()
        );
        assert!(!Error::from(Check::TapMac).outcome_unknown());
    }
}
