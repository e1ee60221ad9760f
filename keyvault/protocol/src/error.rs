//! Why a call to the vault failed: our side, the stream, or a refusal by the vault.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use minicbor::{Decode, Encode};
use program_contract::language::Said as _;
use program_contract::user::{self, Barrier};
use program_contract::{Exit, Failing, day};
use service_contract::FrameError;

/// What went wrong on the client's side of the stream, or what the vault refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stream ended or failed; what the vault did with the last request is unknown.
    #[error("the connection to the vault was lost ({0}); connect again and resume")]
    ConnectionLost(#[from] std::io::Error),
    /// The vault took the connection or the request, and no answer came in time; what it did is unknown.
    #[error(
        "the vault does not answer; look at its process and its log, start it again if it hangs, and run the same command again"
    )]
    NoAnswer,
    /// No socket can have this path.
    #[error("the path of a socket has at most 107 bytes, and this one has {0}; give a shorter one")]
    SocketPath(usize),
    /// Nobody listens on the vault's socket.
    #[error("the vault is not running; start it with `keyvault serve` and try again")]
    NotRunning,
    /// We may not connect, with what keeps us out where it can be seen; or the vault serves other users alone.
    #[error(
        "the vault is another user's: {}; run the same command as that user (root does so with `runuser -u USER -- ...`), or have the vault serve this one too, with `--allow-user` of `keyvault serve` and a socket that this user reaches",
        barred(.0.as_deref())
    )]
    OtherUser(Option<Box<Barrier>>),
    /// Something listens at the socket, or behind the relay, and it is no vault.
    #[error(
        "who answers does not speak the vault's protocol, so it is no vault; check --socket, or what the relay's --to leads to; nothing was asked"
    )]
    NotAVault,
    /// Who was connected to went away before anything was asked.
    #[error(
        "who listens in the vault's place hung up before anything was asked; see that the vault runs: a relay hangs up where it does not, and its log says FAR_SIDE_AWAY; then run the same command again"
    )]
    HungUp,
    /// The vault proved what it is at a time that is not this machine's.
    #[error(
        "this machine's clock says {}, and the vault's proof of its key holds from {} until {}; set the clock that is wrong: this machine's, and run the same command again, or that of the vault's machine, and seal and unseal the vault; where both are right, somebody shows an old proof: find out who listens there; nothing was asked",
        shown(*now), shown(*from), shown(*until)
    )]
    ClockApart {
        /// What this machine's clock says.
        now: Timestamp,
        /// From when the proof holds.
        from: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// Somebody else answers in the place of the vault that the share is for.
    #[error(
        "who answers at this socket is not the vault that the share envelope pins: its transport key is another one, and no share was sealed to it; do not try again, tell the other custodians, and find out who listens there. Only where the vault's folder was restored without its file transport.key, compare fingerprints at the vault's own console and use `keyvault share pin`"
    )]
    TransportKeyDiffers,
    /// The share says of no vault that it may be told it.
    #[error(
        "the share envelope does not pin the vault's transport key, and nothing was sent; read the fingerprint that `keyvault serve` shows at the vault's own console, and give it with --fingerprint; `keyvault share pin` writes it into the envelope once and for all"
    )]
    TransportKeyNotPinned,
    /// Who answers has another number, or cannot show the operating key of our anchors.
    #[error(
        "who answers is not the vault of the anchors; check the socket or relay in the settings and which anchors file is given, and find out who listens there; nothing was sent to it"
    )]
    VaultNotOurs,
    /// Something else than the status is wanted, and no anchors say which vault is ours.
    #[error(
        "no key and no anchors were given, and without them the vault's status alone can be asked for; give --key and --anchors; an office makes what it lacks with `issuer migrate --anchors FILE`, and its user must be able to read it"
    )]
    VaultUnknown,
    /// The bytes are no key file.
    #[error(
        "the key file is no private key of P-256 in PKCS #8 DER, or was changed; give the one that `keyvault key new` wrote, or make a new one and have two officers enrol it; one in PEM becomes such a file by `openssl pkcs8 -topk8 -nocrypt -outform DER`"
    )]
    KeyFile,
    /// The other side speaks another version of this protocol.
    #[error("the vault speaks protocol version {theirs}, this program {ours}; update the older one")]
    VersionMismatch {
        /// Version of this program.
        ours: u16,
        /// Version of the vault.
        theirs: u16,
    },
    /// A frame is too long or is not the CBOR that the protocol defines.
    #[error(
        "the vault and this program do not understand each other ({0}); check that both have the same version"
    )]
    Malformed(&'static str),
    /// A sealed value does not open: another key, another purpose, or changed bytes.
    #[error("a sealed value does not open; it was meant for another key or was changed on the way")]
    NotOpened,
    /// A text is no division of GB/T 2260.
    #[error("a region has six digits, as in GB/T 2260; correct it and try again")]
    NotARegion,
    /// A value cannot be sent because it breaks the limit named.
    #[error("{what} is out of range: at most {limit}; correct it and try again")]
    OutOfRange {
        /// What is too large.
        what: &'static str,
        /// The largest value allowed.
        limit: usize,
    },
    /// The vault answered, and the answer is no.
    #[error("{0}")]
    Refused(Refusal),
}

impl Error {
    /// Why the vault's socket could not be connected to.
    #[must_use]
    pub fn from_connecting(error: std::io::Error, path: &Path) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => Self::NotRunning,
            std::io::ErrorKind::PermissionDenied => Self::OtherUser(Barrier::before(path).map(Box::new)),
            std::io::ErrorKind::InvalidInput => Self::SocketPath(path.as_os_str().len()),
            std::io::ErrorKind::TimedOut => Self::NoAnswer,
            _ => Self::ConnectionLost(error),
        }
    }

    /// What happened and what to do in one text, in Chinese: what `Display` is in English.
    #[must_use]
    pub fn chinese_text(&self) -> String {
        let (message, action) = self.chinese();
        format!("{message}；{action}")
    }

    /// The vault's reason, if it refused.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether the refusal has this code.
    #[must_use]
    pub fn is(&self, code: RefusalCode) -> bool {
        self.refusal().is_some_and(|refusal| refusal.code == code)
    }

    /// Upper-case code for scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ConnectionLost(_) => "VAULT_GONE",
            Self::NoAnswer => "VAULT_NO_ANSWER",
            Self::SocketPath(_) => "SOCKET_PATH",
            Self::NotRunning => "VAULT_NOT_RUNNING",
            Self::OtherUser(_) => "VAULT_OTHER_USER",
            Self::NotAVault => "NOT_A_VAULT",
            Self::HungUp => "VAULT_HUNG_UP",
            Self::ClockApart { .. } => "CLOCK_APART",
            Self::TransportKeyDiffers => "TRANSPORT_KEY_DIFFERS",
            Self::TransportKeyNotPinned => "TRANSPORT_KEY_NOT_PINNED",
            Self::VaultNotOurs => "VAULT_NOT_OURS",
            Self::VaultUnknown => "VAULT_UNKNOWN",
            Self::KeyFile => "KEY_FILE",
            Self::VersionMismatch { .. } => "VAULT_VERSION",
            Self::Malformed(_) => "VAULT_MALFORMED",
            Self::NotOpened => "VAULT_NOT_OPENED",
            Self::NotARegion => "NOT_A_REGION",
            Self::OutOfRange { .. } => "OUT_OF_RANGE",
            Self::Refused(refusal) => refusal.code.as_str(),
        }
    }

    /// The exit code as a number, see [`Failing::exit`].
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.exit().code()
    }

    /// What happened and what to do: `Display` has both, with a semicolon between them.
    fn parts(&self) -> (String, String) {
        if let Self::Refused(refusal) = self {
            return (refusal.message.clone(), refusal.action.clone());
        }
        let text = self.to_string();
        let (message, action) = text.split_once("; ").unwrap_or((&text, "try again"));
        (message.to_owned(), action.to_owned())
    }
}

impl Failing for Error {
    fn code(&self) -> Cow<'static, str> {
        self.code().into()
    }

    fn exit(&self) -> Exit {
        match self {
            Self::ConnectionLost(_) | Self::NoAnswer => Exit::Unknown,
            Self::NotRunning | Self::HungUp => Exit::Absent,
            Self::VersionMismatch { .. }
            | Self::Malformed(_)
            | Self::OtherUser(_)
            | Self::NotAVault
            | Self::ClockApart { .. }
            | Self::KeyFile => Exit::Damaged,
            Self::NotOpened
            | Self::TransportKeyDiffers
            | Self::TransportKeyNotPinned
            | Self::VaultNotOurs => Exit::Refused,
            Self::VaultUnknown | Self::SocketPath(_) | Self::NotARegion | Self::OutOfRange { .. } => {
                Exit::Usage
            }
            Self::Refused(refusal) => refusal.code.exit(),
        }
    }

    fn action(&self) -> Cow<'static, str> {
        self.parts().1.into()
    }

    fn message(&self) -> String {
        self.parts().0
    }

    fn chinese(&self) -> (String, String) {
        let (message, action): (Cow<'static, str>, _) = match self {
            Self::ConnectionLost(error) => (
                format!("与密钥库的连接中断（{}）", error.zh()).into(),
                "请重新连接，继续办理",
            ),
            Self::NoAnswer => (
                "密钥库没有应答".into(),
                "请查看其进程和日志，僵死的重新启动，再运行同一命令",
            ),
            Self::SocketPath(bytes) => (
                format!("套接字路径最长 107 字节，此路径有 {bytes} 字节").into(),
                "请给出更短的路径",
            ),
            Self::NotRunning => ("密钥库没有运行".into(), "请用 `keyvault serve` 启动后再试"),
            Self::OtherUser(barrier) => (
                format!("密钥库属于另一用户：{}", barred_zh(barrier.as_deref())).into(),
                "请以该用户运行同一命令（root 可用 `runuser -u 用户 -- ...`），或请密钥库也为本用户服务：`keyvault serve` 的 `--allow-user`，并使用本用户可以到达的套接字",
            ),
            Self::NotAVault => (
                "应答者不使用密钥库的协议，不是密钥库".into(),
                "请检查 --socket，或中继的 --to 所指之处；没有提出任何请求",
            ),
            Self::HungUp => (
                "在密钥库的位置监听者尚未接到请求便断开了连接".into(),
                "请确认密钥库在运行：密钥库没有运行时中继会断开连接，其日志有 FAR_SIDE_AWAY；然后再运行同一命令",
            ),
            Self::ClockApart { now, from, until } => (
                format!(
                    "本机时钟为 {}，而密钥库对其密钥的证明自 {} 至 {} 有效",
                    shown(*now),
                    shown(*from),
                    shown(*until)
                )
                .into(),
                "没有提出任何请求；请校准有误的时钟：是本机的，校准后再运行同一命令；是密钥库所在机器的，校准后封存并重新解封密钥库；两者都无误的，有人出示旧的证明，请查明谁在那里监听",
            ),
            Self::TransportKeyDiffers => (
                "在此套接字应答的不是分片信封所认定的密钥库：其传输密钥不同；没有向其发送分片".into(),
                "不要重试，请告知其他保管人，并查明谁在那里监听。只有恢复密钥库目录时缺了文件 transport.key 的，才可在密钥库本机核对指纹后使用 `keyvault share pin`",
            ),
            Self::TransportKeyNotPinned => (
                "分片信封没有写明密钥库的传输密钥；没有发送任何内容".into(),
                "请在密钥库本机读取 `keyvault serve` 显示的指纹，用 --fingerprint 给出；`keyvault share pin` 可将其写入信封，以后不再询问",
            ),
            Self::VaultNotOurs => (
                "应答的不是锚点文件所指的密钥库；没有向其发送任何内容".into(),
                "请检查设置中的套接字或中继以及所给的锚点文件，并查明谁在那里监听",
            ),
            Self::VaultUnknown => (
                "没有给出密钥和锚点文件，只能查询密钥库的状态".into(),
                "请给出 --key 和 --anchors；机关用 `issuer migrate --anchors FILE` 补齐，其用户须能读取这些文件",
            ),
            Self::KeyFile => (
                "密钥文件不是 PKCS #8 DER 格式的 P-256 私钥，或已被改动".into(),
                "请给出 `keyvault key new` 写出的文件，或生成新密钥并由两名密钥官员登记；PEM 格式的可用 `openssl pkcs8 -topk8 -nocrypt -outform DER` 转换",
            ),
            Self::VersionMismatch { ours, theirs } => (
                format!("密钥库使用协议版本 {theirs}，本程序为 {ours}").into(),
                "请升级较旧的一方",
            ),
            Self::Malformed(_) => ("密钥库与本程序互不理解".into(), "请确认双方版本相同"),
            Self::NotOpened => (
                "密封值打不开".into(),
                "它是给另一密钥的，或在途中被改动；请重新领取",
            ),
            Self::NotARegion => ("地区须为六位数字，见 GB/T 2260".into(), "请改正后再试"),
            Self::OutOfRange { what, limit } => {
                (format!("{what} 超出范围：最大为 {limit}").into(), "请改正后再试")
            }
            // A vault that is older than its Chinese says it in English.
            Self::Refused(refusal) if refusal.message_zh.is_empty() => return self.parts(),
            Self::Refused(refusal) => return (refusal.message_zh.clone(), refusal.action_zh.clone()),
        };
        (message.into_owned(), action.to_owned())
    }
}

/// An instant as the office's people read it.
fn shown(at: Timestamp) -> String {
    let at = day::OFFICE.to_datetime(at);
    format!("{} (UTC+8)", at.strftime("%F %T"))
}

fn barred(barrier: Option<&Barrier>) -> String {
    barrier.map_or_else(
        || {
            format!(
                "it does not serve user {}, as whom this command runs",
                user::own()
            )
        },
        ToString::to_string,
    )
}

fn barred_zh(barrier: Option<&Barrier>) -> String {
    barrier.map_or_else(
        || format!("它不为用户 {} 服务，而本命令以该用户运行", user::own()),
        |barrier| barrier.zh().into_owned(),
    )
}

impl From<FrameError> for Error {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Broken(error) => Self::ConnectionLost(error),
            FrameError::Malformed(what) => Self::Malformed(what),
            _ => Self::Malformed("a frame that is too long"),
        }
    }
}

/// The vault's refusal: a code from a closed list, what happened, and what to do. Never key bytes, never personal data.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Refusal {
    /// The closed code.
    #[n(0)]
    pub code: RefusalCode,
    /// What happened.
    #[n(1)]
    pub message: String,
    /// What to do about it.
    #[n(2)]
    pub action: String,
    /// What happened, in Chinese.
    #[cbor(n(3), default)]
    pub message_zh: String,
    /// What to do about it, in Chinese.
    #[cbor(n(4), default)]
    pub action_zh: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.action)
    }
}

macro_rules! refusal_codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $text:literal, $exit:ident;)*) => {
        /// Why the vault refused. The numbers are the wire's and are never used again for another reason.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
        #[cbor(index_only)]
        #[non_exhaustive]
        pub enum RefusalCode {
            $($(#[$doc])* #[n($number)] $variant,)*
        }

        impl RefusalCode {
            /// Every code, for documentation and tests.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as scripts see it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// How a program ends that meets it.
            #[must_use]
            pub const fn exit(self) -> Exit {
                match self { $(Self::$variant => Exit::$exit,)* }
            }
        }
    };
}

refusal_codes! {
    /// The vault is sealed: custodians must unseal it first.
    Sealed = 1, "VAULT_SEALED", Absent;
    /// The vault is open already, and the request is for a sealed one.
    AlreadyOpen = 2, "VAULT_ALREADY_OPEN", Refused;
    /// The share belongs to another vault.
    WrongVault = 3, "WRONG_VAULT", Refused;
    /// The share is of an older or newer set of this vault.
    WrongEpoch = 4, "WRONG_EPOCH", Refused;
    /// The share's value does not match its commitment.
    WrongShare = 5, "WRONG_SHARE", Refused;
    /// The same share was given twice.
    SameShareTwice = 6, "SAME_SHARE_TWICE", Refused;
    /// The unseal attempt is over (15 minutes) or was never begun.
    NoAttempt = 7, "NO_UNSEAL_ATTEMPT", Refused;
    /// The store is damaged or was changed from outside.
    Damaged = 8, "DAMAGED_STORE", Damaged;
    /// The machine's clock is before the vault's high-water mark.
    ClockBehind = 9, "CLOCK_BEHIND", Damaged;
    /// The store cannot be written: disk full, read-only mount.
    StoreUnavailable = 10, "STORE_UNAVAILABLE", Damaged;
    /// The issuer's key is not enrolled.
    UnknownIssuer = 11, "UNKNOWN_ISSUER", Refused;
    /// The order's signature is not by the issuer that it names.
    OrderNotSigned = 12, "ORDER_NOT_SIGNED", Refused;
    /// The order's time is over, or has not come.
    OrderExpired = 13, "ORDER_EXPIRED", Refused;
    /// The order does not allow this task.
    TaskNotOrdered = 14, "TASK_NOT_ORDERED", Refused;
    /// The index is at or beyond the count of cards in the order.
    QuotaUsed = 15, "ORDER_QUOTA", Refused;
    /// Another order with the same number exists.
    OrderConflict = 16, "ORDER_CONFLICT", Refused;
    /// The (order, index) belongs to another card or to other content.
    CardConflict = 17, "CARD_CONFLICT", Refused;
    /// No session runs for this card: start it again.
    NoCardSession = 18, "NO_CARD_SESSION", Refused;
    /// The card's cryptogram or MAC is wrong: no card of ours, or somebody in the middle.
    CardNotGenuine = 19, "CARD_NOT_GENUINE", Refused;
    /// The card answered an error that only a resume can clear up.
    CardRefused = 20, "CARD_REFUSED", Unknown;
    /// The card is in a state in which the task is not possible.
    CardState = 21, "CARD_STATE", Refused;
    /// A value in the request breaks a rule of the card specification.
    BadContent = 22, "BAD_CONTENT", Refused;
    /// A wrapped key does not open under this context.
    NotWrappedHere = 23, "NOT_WRAPPED_HERE", Refused;
    /// The request asks for more than a limit allows.
    LimitExceeded = 24, "LIMIT_EXCEEDED", Refused;
    /// The request asks for something that does not exist.
    NotFound = 25, "NOT_FOUND", Refused;
    /// A name is taken by another key.
    NameTaken = 26, "NAME_TAKEN", Refused;
    /// The self-test of the vault failed; it sealed itself.
    SelfTestFailed = 27, "SELF_TEST_FAILED", Damaged;
    /// A sealed value in the request does not open.
    NotOpened = 28, "NOT_OPENED", Refused;
    /// The bytes are no request of this protocol.
    Malformed = 29, "MALFORMED_REQUEST", Usage;
    /// Live cards have this version alone; the message says how many.
    StillHeld = 30, "STILL_HELD", Refused;
    /// The role and region have no Active version.
    NoActiveVersion = 31, "NO_ACTIVE_VERSION", Refused;
    /// The version is in a state in which this is not possible.
    RoleKeyState = 32, "ROLE_KEY_STATE", Refused;
    /// The terminal is revoked.
    TerminalRevoked = 33, "TERMINAL_REVOKED", Refused;
    /// The card is on the deny lists.
    CardDenied = 34, "CARD_DENIED", Refused;
    /// No terminal could deliver an update to this card.
    NoDelivery = 35, "NO_DELIVERY", Refused;
    /// The card number was given to another card before, or was signed for another back.
    NumberUsed = 36, "CARD_NUMBER_USED", Refused;
    /// The name is a terminal's with other keys, or the keys are another terminal's.
    TerminalKeys = 37, "TERMINAL_KEYS", Refused;
    /// Who asks is no custodian of the vault's present set, or did not say it on this connection.
    NotACustodian = 38, "NOT_A_CUSTODIAN", Refused;
    /// The unseal attempt was begun by another custodian.
    AttemptOfAnother = 39, "ATTEMPT_OF_ANOTHER", Refused;
    /// The store is of an earlier moment than a custodian remembers.
    RolledBack = 40, "ROLLED_BACK", Damaged;
    /// The key that the channel proved is enrolled for nobody.
    UnknownCaller = 41, "UNKNOWN_CALLER", Refused;
    /// The caller may not ask for this operation.
    NotPermitted = 42, "NOT_PERMITTED", Refused;
    /// The caller was suspended.
    CallerSuspended = 43, "CALLER_SUSPENDED", Refused;
    /// The caller is not enrolled for this region.
    RegionNotPermitted = 44, "REGION_NOT_PERMITTED", Refused;
    /// The request's number stands for another request.
    RequestIdUsed = 45, "REQUEST_ID_USED", Refused;
    /// The same request is being done.
    RequestRunning = 46, "REQUEST_RUNNING", Unknown;
    /// What became of the request of this number is not known any more.
    RequestForgotten = 47, "REQUEST_FORGOTTEN", Unknown;
    /// The machine's clock is too far beyond the last thing that the vault wrote down.
    ClockLeap = 50, "CLOCK_LEAP", Damaged;
    /// The caller has used what a day gives.
    CeilingReached = 51, "CEILING_REACHED", Refused;
    /// More money than a load, a purse or its life may have.
    PurseLimit = 52, "PURSE_LIMIT", Refused;
    /// The role and region have no version left.
    VersionsUsedUp = 53, "VERSIONS_USED_UP", Refused;
    /// The machine's clock, or another custodian, says another day than this custodian.
    NotTheDay = 54, "NOT_THE_DAY", Refused;
    /// The request's time is over, or has not come.
    RequestExpired = 65, "REQUEST_EXPIRED", Refused;
    /// Not two officers, or no quorum of custodians, signed the request.
    TwoOfficersNeeded = 61, "TWO_OFFICERS_NEEDED", Refused;
    /// Officers are there: a quorum of custodians does not stand in for them.
    OfficersThere = 62, "OFFICERS_THERE", Refused;
    /// The terminal's enrolment ends before the bundle would.
    EnrolmentEnded = 63, "ENROLMENT_ENDED", Refused;
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_distinct_and_exit_codes_are_those_of_the_contracts() {
        let mut seen = HashSet::new();
        for code in RefusalCode::ALL {
            assert!(seen.insert(code.as_str()), "{} twice", code.as_str());
            assert_ne!(code.exit(), Exit::Done);
        }
        // The table of exit codes of `keyvault`.
        let contracts = include_str!("../../../docs/contracts.md");
        let (_, keyvault) = contracts.split_once("\n## `keyvault`").unwrap();
        let (keyvault, _) = keyvault.split_once("\n## ").unwrap();
        for code in RefusalCode::ALL {
            let row = format!("| {} | ", code.exit().code());
            let mut rows = keyvault.lines().filter(|line| line.starts_with(&row));
            let is_sign = |sign: char| sign != '_' && !sign.is_ascii_alphanumeric();
            assert!(
                rows.any(|row| row.split(is_sign).any(|word| word == code.as_str())),
                "{} ends with {}",
                code.as_str(),
                code.exit().code()
            );
        }
    }
}
