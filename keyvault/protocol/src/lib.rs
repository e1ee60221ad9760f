//! Messages of the key vault, and a client over any byte stream.
//!
//! Frames are a `u32` length, big endian, and one CBOR item (RFC 8949). Every request is typed: no message carries
//! bytes that the vault would sign, encrypt or run through a MAC as they come. Secrets travel sealed to a P-256 key
//! that the receiving side made for the occasion ([`sealed`]). Left out: transport security between machines (the
//! vault listens on a Unix socket), and dual control, which comes with the vault's own issue.

mod bundle;
mod card;
mod client;
#[cfg(test)]
mod encoding;
mod error;
pub mod frame;
mod message;
mod order;
mod photo;
mod role_key;
pub mod sealed;
mod settlement;
mod signing;
mod status;
mod update;
mod wire;

// The words of the card are the specification's; whoever speaks to the vault needs no other.
pub use card_applet_spec::codes::{CardState, Domain, Region, Role, Serial, Tier};

pub use bundle::{
    BundleKind, BundleRequest, DenyListRequest, LotRequest, MAX_BUNDLE_REGIONS, MAX_LOT_CARDS, TerminalInfo,
};
pub use card::{
    BroughtBy, CardContent, CardKey, CardResult, CardTask, Entitlement, RewriteContent, Script, SlotVersion,
    TaskKind,
};
pub use client::Client;
pub use error::{Error, Refusal, RefusalCode};
pub use message::{
    EnrolIssuer, Hello, MAX_ANSWERS, PROTOCOL_VERSION, Request, Response, SealRequest, ShareEnvelope, Welcome,
};
pub use order::{Order, OrderSession, SignedOrder};
pub use photo::{DataKey, PhotoKeyContext, WrappedKey};
pub use role_key::{RoleKeyInfo, RoleKeyState};
pub use settlement::{BEFORE_LEN, LineCheck, MAX_LINES, OpenedDebit, SettlementLine};
pub use signing::{Anchors, CardBack};
pub use status::{Attempt, Share, Status, UnsealProgress, VaultState};
pub use update::{
    MAX_BATCH_UPDATES, MAX_RECEIPTS, MAX_UPDATE_DG3, PendingUpdates, QueuedEnvelope, QueuedUpdate, Receipt,
    ReceiptOutcome, UpdateTask, UpdatesRequest,
};
pub use wire::{PointBytes, SignatureBytes, division};
