//! Messages of the key vault, and a client over any byte stream.
//!
//! An operation is a struct in the file of its subject, with its answer, policy and doors beside it; the list in `message`
//! makes the wire of them. Frames are a `u32` length, big endian, and one CBOR item (RFC 8949). Every request is typed: no message carries
//! bytes that the vault would sign, encrypt or run through a MAC as they come. Secrets travel sealed to a P-256 key
//! that the receiving side made for the occasion ([`sealed`]). Both ends know each other by keys ([`channel`],
//! [`Identity`]), over whatever carries the bytes.

mod bundle;
mod caller;
mod card;
mod ceiling;
pub mod channel;
mod client;
mod custodian;
mod denial;
#[cfg(test)]
mod encoding;
mod error;
pub mod frame;
mod identity;
mod journal;
mod key_file;
mod message;
mod order;
mod photo;
mod request;
mod role_key;
pub mod sealed;
mod settlement;
mod share;
mod signing;
mod status;
mod update;
mod wire;

// The words of the card are the specification's; whoever speaks to the vault needs no other.
pub use card_applet_spec::codes::{CardState, Domain, Region, Role, Serial, Tier};

pub use bundle::{
    BundleKind, BundleRequest, DENY_LIST_DAYS, DenyListRequest, ExportBundle, ExportDenyList, LotRequest,
    MAX_BUNDLE_REGIONS, MAX_LOT_CARDS, RevokeTerminal, TerminalEnrolment, TerminalInfo, Terminals,
};
pub use caller::{CallerEntry, Callers, ENROLLED_KINDS, Enrolment, LoweredCeiling, SuspendCaller};
pub use card::{
    CardContent, CardKey, CardResult, CardTask, CardVersions, ContinueCard, DeliveredBy, Entitlement,
    MAX_ANSWERS, RewriteContent, Script, SlotVersion, StartCard, TaskKind,
};
pub use ceiling::{CeilingUse, Ceilings, Counted};
pub use client::{Client, check_path};
pub use custodian::{custodian_key, sign_as_custodian};
pub use denial::{AllowCard, DenyCard, DenyChain, EndCard};
pub use error::{Error, Refusal, RefusalCode};
pub use identity::{Identity, TransportStatement, VaultAnchors};
pub use journal::{JournalKind, JournalLine, JournalPage, MAX_JOURNAL_LINES, ReadJournal};
pub use key_file::ChannelKey;
pub use message::{About, Asked, OPERATIONS, Request, Response, Series, number_parts, request_number};
pub use order::{OpenOrder, Order, OrderSession, SignedOrder};
pub use photo::{DataKey, PhotoKeyContext, PhotoKeyNew, PhotoKeyOpen, SealedPhotoKey, WrappedKey};
pub use request::{
    MAX_REQUEST_LIFE, OfficerAct, OfficersRequest, RequestOutcome, RequestSignature, RequestSigner,
    SignedRequest, SubmitRequest,
};
pub use role_key::{CompromiseRole, RoleCompromised, RoleKeyInfo, RoleKeyState, RoleKeys};
pub use settlement::{BEFORE_LEN, CheckLines, LineCheck, MAX_LINES, OpenedDebit, SettlementLine};
pub use share::Share;
pub use signing::{Anchors, CardBack, ReadAnchors, SignCardBack};
pub use status::{
    Attempt, BeginUnseal, GiveShare, Greeting, Hello, PROTOCOL_VERSION, ReadStatus, Seal, SealedShare,
    Status, UnsealProgress, VaultState, Welcome, fingerprint,
};
pub use update::{
    AcceptReceipts, ExportUpdates, MAX_BATCH_UPDATES, MAX_RECEIPTS, MAX_UPDATE_DG3, PendingUpdates,
    QueuedEnvelope, QueuedUpdate, ReadPending, Receipt, ReceiptOutcome, SealUpdate, UpdateTask,
    UpdatesRequest,
};
pub use wire::{PointBytes, SignatureBytes, division};
