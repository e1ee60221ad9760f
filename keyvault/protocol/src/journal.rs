//! The journal as people read it: what the vault did, line by line, in the order of its chain.

use minicbor::{Decode, Encode};
use program_contract::language::Words;
use service_contract::{Caller, Journal, Kind, Operation, Policy};

/// Most lines in one answer.
pub const MAX_JOURNAL_LINES: usize = 500;

/// Part of the journal. The same again says the same, and what came since.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct ReadJournal {
    /// Only lines behind this number; 0 for all.
    #[n(0)]
    pub after: i64,
    /// Only lines of this instant or later, seconds since 1970.
    #[n(1)]
    pub from: Option<i64>,
    /// Only lines before this instant, seconds since 1970.
    #[n(2)]
    pub before: Option<i64>,
    /// Only lines in which a value is exactly this: a serial, an order, a terminal, a caller, an operation, a key version.
    #[n(3)]
    pub about: Option<String>,
}

/// A part of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct JournalPage {
    /// The lines, oldest first; none may be what was asked for while there are more to look at.
    #[n(0)]
    pub lines: Vec<JournalLine>,
    /// Where to go on; `None` when this was all.
    #[n(1)]
    pub next: Option<i64>,
}

/// A line of the journal. No key, and nothing about a person.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct JournalLine {
    /// Its number; the first is 1.
    #[n(0)]
    pub seq: i64,
    /// When, seconds since 1970.
    #[n(1)]
    pub at: i64,
    /// What was done: a name of [`JournalKind`].
    #[n(2)]
    pub kind: String,
    /// What it was done to, and how: names and values.
    #[n(3)]
    pub values: Vec<(String, String)>,
    /// The chain up to this line: SHA-256.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub hash: [u8; 32],
}

impl Operation for ReadJournal {
    type Answer = JournalPage;
    const POLICY: Policy = Policy::of(&[Caller::KeyOfficer, Caller::Auditor], Journal::None)
        .only(Kind::Person)
        .idempotent();
    const DOORS: &'static [&'static str] = &["keyvault journal"];
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal $zh:literal $en:literal,)+) => {
        /// What can stand in the journal. An intent is durable before the first secret byte leaves; its outcome follows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum JournalKind { $($(#[$doc])* $kind,)+ }

        impl JournalKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)+];

            /// The name in the journal.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// For people.
            #[must_use]
            pub const fn words(self) -> Words {
                match self { $(Self::$kind => Words($zh, $en),)+ }
            }
        }
    };
}

kinds! {
    /// The vault was founded.
    Created "created" "建立密钥库" "the vault was founded",
    /// It was unsealed.
    Unsealed "unsealed" "解封" "unsealed",
    /// It was sealed.
    Sealed "sealed" "封存" "sealed",
    /// A service may sign orders.
    IssuerEnrolled "issuer-enrolled" "登记签发服务" "an issuer was enrolled",
    /// An order was accepted.
    OrderAccepted "order-accepted" "接受订单" "an order was accepted",
    /// A key was made.
    KeyMade "key-made" "生成密钥" "a key was made",
    /// A task on a card begins.
    CardIntent "card-intent" "开始写卡" "a card is begun",
    /// A task on a card ended.
    CardOutcome "card-outcome" "写卡完成" "a card is done",
    /// A bundle is about to leave.
    BundleIntent "bundle-intent" "开始导出凭证包" "a bundle is begun",
    /// A bundle left.
    BundleOutcome "bundle-outcome" "凭证包已导出" "a bundle left",
    /// A lot file is about to leave.
    LotIntent "lot-intent" "开始导出批次文件" "a lot file is begun",
    /// A lot file left.
    LotOutcome "lot-outcome" "批次文件已导出" "a lot file left",
    /// A photo's key was made.
    PhotoKeyMade "photo-key-made" "生成照片密钥" "a photo's key was made",
    /// A photo's key was opened.
    PhotoKeyOpened "photo-key-opened" "打开照片密钥" "a photo's key was opened",
    /// The code of a card's back was signed.
    CardBackSigned "card-back-signed" "签署卡背二维码" "the code of a card's back was signed",
    /// A card is denied.
    CardDenied "card-denied" "卡列入拒绝名单" "a card is denied",
    /// A card is allowed again.
    CardAllowed "card-allowed" "卡移出拒绝名单" "a card is allowed again",
    /// A role key has a new version.
    RoleRotated "role-rotated" "轮换应用密钥" "a role key was rotated",
    /// A version is compromised.
    RoleCompromised "role-compromised" "应用密钥已泄露" "a role key is compromised",
    /// A version is destroyed.
    RoleDestroyed "role-destroyed" "应用密钥已销毁" "a role key is destroyed",
    /// An update was sealed.
    UpdateSealed "update-sealed" "封装更新" "an update was sealed",
    /// Updates left for a terminal.
    UpdatesExported "updates-exported" "更新已导出" "updates left for a terminal",
    /// Receipts proved updates.
    ReceiptsAccepted "receipts-accepted" "接受回执" "receipts were accepted",
    /// A terminal is revoked.
    TerminalRevoked "terminal-revoked" "终端已吊销" "a terminal is revoked",
    /// A card is out of use.
    CardEnded "card-ended" "卡停止使用" "a card is out of use",
    /// The machine's clock no longer shows the vault's time.
    ClockApart "clock-apart" "本机时钟与密钥库的时间不符" "the machine's clock left the vault's time",
    /// Every row of the store was opened, behind an unseal.
    StoreLookedThrough "store-looked-through" "存储已逐行检查" "every row of the store was opened",
    /// Little is left of a day's ceiling.
    CeilingNear "ceiling-near" "当日上限已用五分之四" "four fifths of a day's ceiling are used",
    /// The custodians who opened it said what day it is.
    TimeSet "time-set" "保管人写明了日期" "the custodians set the time",
    /// Few versions are left to a role key.
    VersionsRunOut "versions-run-out" "应用密钥版本号将用完" "few versions are left to a role key",
    /// A caller is on the access list.
    CallerEnrolled "caller-enrolled" "登记调用方" "a caller was enrolled",
    /// A caller is suspended.
    CallerSuspended "caller-suspended" "调用方已停用" "a caller is suspended",
    /// A suspended caller may ask again.
    CallerRestored "caller-restored" "调用方已恢复" "a caller is restored",
    /// A caller has another key.
    CallerKeyReplaced "caller-key-replaced" "调用方更换密钥" "a caller's key was replaced",
    /// A terminal may have bundles.
    TerminalEnrolled "terminal-enrolled" "登记终端" "a terminal was enrolled",
    /// What two officers, or a quorum of custodians, signed was done.
    RequestDone "request-done" "申请已办理" "a request was done",
    /// A quorum's request waits a day.
    RequestWaits "request-waits" "申请等待一日" "a request waits its day",
}

impl JournalKind {
    /// The kind of this name; a newer vault may write others.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}
