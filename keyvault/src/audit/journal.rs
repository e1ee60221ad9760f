//! The journal: what the vault did and for whom, append-only, each entry chained to the one before by SHA-256.
//!
//! Intents are durable before the first secret-bearing byte leaves, outcomes follow. The head stands in the sealed state
//! row, and the hash of every 1024th entry in a row of its own: entries that were cut off or added from outside are found at unseal,
//! those that were changed when they are read. No key bytes and no personal
//! data: orders, serials and names of terminals only. Left for the vault's own issue: the RFC 6962 tree, signed
//! checkpoints and witnesses (column `leaf` keeps their place).

use card_applet_spec::codes::{CardState, Serial};
use keyvault_protocol::JournalKind;
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::open::callers::ForWhom;
use crate::store::sql::Entry;

/// Hash before the first entry.
pub(crate) const GENESIS: [u8; 32] = [0; 32];

/// Entries from one milestone to the next: what one answer proves.
pub(crate) const STRIDE: i64 = 1024;
/// Between the names in one value.
pub(crate) const SEPARATOR: &str = ", ";

/// What is written down. CBOR in this field order; numbers are never used again.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Event {
    #[n(0)]
    Created {
        #[n(0)]
        custodians: Vec<String>,
        #[n(1)]
        threshold: u8,
    },
    #[n(1)]
    Unsealed {
        #[n(0)]
        custodians: Vec<String>,
    },
    #[n(2)]
    Sealed {
        #[n(0)]
        by: String,
    },
    #[n(3)]
    IssuerEnrolled {
        #[n(0)]
        name: String,
        #[cbor(n(1), with = "minicbor::bytes")]
        key: Vec<u8>,
    },
    #[n(4)]
    OrderAccepted {
        #[cbor(n(0), with = "minicbor::bytes")]
        order: [u8; 16],
        #[n(1)]
        issuer: String,
        #[cbor(n(2), with = "minicbor::bytes")]
        digest: [u8; 32],
    },
    #[n(5)]
    KeyMade {
        #[n(0)]
        id: String,
        #[cbor(n(1), with = "minicbor::bytes")]
        check: Vec<u8>,
    },
    #[n(6)]
    CardIntent {
        #[cbor(n(0), with = "minicbor::bytes")]
        order: [u8; 16],
        #[n(1)]
        index: u32,
        #[n(2)]
        serial: Serial,
        #[n(3)]
        task: String,
    },
    #[n(7)]
    CardOutcome {
        #[cbor(n(0), with = "minicbor::bytes")]
        order: [u8; 16],
        #[n(1)]
        index: u32,
        #[n(2)]
        serial: Serial,
        #[n(3)]
        task: String,
        #[n(4)]
        state: CardState,
    },
    #[n(8)]
    BundleIntent {
        #[n(0)]
        terminal: String,
        #[n(1)]
        kind: String,
        #[n(2)]
        sequence: u32,
    },
    #[n(9)]
    BundleOutcome {
        #[n(0)]
        terminal: String,
        #[n(1)]
        sequence: u32,
        #[cbor(n(2), with = "minicbor::bytes")]
        digest: [u8; 32],
    },
    #[n(10)]
    LotIntent {
        #[cbor(n(0), with = "minicbor::bytes")]
        lot: [u8; 6],
        #[n(1)]
        first: u32,
        #[n(2)]
        count: u32,
        #[n(3)]
        maker: String,
    },
    #[n(11)]
    LotOutcome {
        #[cbor(n(0), with = "minicbor::bytes")]
        lot: [u8; 6],
        #[cbor(n(1), with = "minicbor::bytes")]
        digest: [u8; 32],
    },
    #[n(12)]
    PhotoKeyMade {
        #[cbor(n(0), with = "minicbor::bytes")]
        photo: [u8; 16],
        #[n(1)]
        profile: String,
    },
    #[n(13)]
    PhotoKeyOpened {
        #[cbor(n(0), with = "minicbor::bytes")]
        photo: [u8; 16],
        #[n(1)]
        profile: String,
    },
    #[n(14)]
    CardBackSigned {
        #[n(0)]
        card_number: String,
    },
    #[n(15)]
    CardDenied {
        #[n(0)]
        serial: Serial,
    },
    #[n(16)]
    CardAllowed {
        #[n(0)]
        serial: Serial,
    },
    #[n(17)]
    RoleRotated {
        /// Role, region and the new version.
        #[n(0)]
        version: String,
        /// Last day of the one before.
        #[n(1)]
        until: String,
    },
    #[n(18)]
    RoleCompromised {
        #[n(0)]
        version: String,
        /// The version that was made in its place; none where it was not the Active one, or none could be made.
        #[n(1)]
        next: Option<String>,
    },
    #[n(19)]
    RoleDestroyed {
        #[n(0)]
        version: String,
    },
    #[n(20)]
    UpdateSealed {
        #[cbor(n(0), with = "minicbor::bytes")]
        order: [u8; 16],
        #[n(1)]
        index: u32,
        #[n(2)]
        serial: Serial,
        #[n(3)]
        task: String,
    },
    #[n(21)]
    UpdatesExported {
        #[n(0)]
        terminal: String,
        #[n(1)]
        sequence: u32,
        #[n(2)]
        count: u32,
    },
    /// How many receipts proved something; not whose they were.
    #[n(22)]
    ReceiptsAccepted {
        #[n(0)]
        count: u32,
    },
    #[n(23)]
    TerminalRevoked {
        #[n(0)]
        terminal: String,
    },
    #[n(24)]
    CardEnded {
        #[n(0)]
        serial: Serial,
    },
    /// The machine's clock no longer shows the vault's time.
    #[n(25)]
    ClockApart {
        /// The day that it shows.
        #[n(0)]
        machine: String,
    },
    #[n(40)]
    StoreLookedThrough {
        #[n(0)]
        rows: u64,
    },
    /// Four fifths of what a day gives are used.
    #[n(41)]
    CeilingNear {
        #[n(0)]
        caller: String,
        #[n(1)]
        counted: String,
        #[n(2)]
        used: u64,
        #[n(3)]
        most: u64,
    },
    /// Those who opened it said what day it is; where officers did, their request has a line of its own.
    #[n(43)]
    TimeSet {
        /// The last day that the vault had seen.
        #[n(0)]
        seen: String,
        /// The day that it is.
        #[n(1)]
        day: String,
    },
    /// Few numbers are left to a role key.
    #[n(42)]
    VersionsRunOut {
        /// Role, region and newest version.
        #[n(0)]
        version: String,
        #[n(1)]
        left: u8,
    },
    #[n(60)]
    CallerEnrolled {
        #[n(0)]
        name: String,
        #[n(1)]
        kind: String,
        #[cbor(n(2), with = "minicbor::bytes")]
        key: Vec<u8>,
    },
    #[n(61)]
    CallerSuspended {
        #[n(0)]
        name: String,
    },
    #[n(62)]
    CallerRestored {
        #[n(0)]
        name: String,
    },
    #[n(63)]
    CallerKeyReplaced {
        #[n(0)]
        name: String,
        #[cbor(n(1), with = "minicbor::bytes")]
        key: Vec<u8>,
    },
    #[n(64)]
    TerminalEnrolled {
        #[n(0)]
        terminal: String,
        #[n(1)]
        kind: String,
        /// Last day of the enrolment.
        #[n(2)]
        until: String,
        #[cbor(n(3), with = "minicbor::bytes")]
        key: Vec<u8>,
    },
    /// Officers, or a quorum of custodians, had something done.
    #[n(65)]
    RequestDone {
        #[cbor(n(0), with = "minicbor::bytes")]
        digest: [u8; 32],
        #[n(1)]
        act: String,
        #[n(2)]
        requester: String,
        #[n(3)]
        signers: Vec<String>,
    },
    /// A quorum's request has its day to wait.
    #[n(66)]
    RequestWaits {
        #[cbor(n(0), with = "minicbor::bytes")]
        digest: [u8; 32],
        #[n(1)]
        act: String,
        #[n(2)]
        requester: String,
        #[n(3)]
        signers: Vec<String>,
    },
}

impl Event {
    /// Names of the fields and their values, as people ask for them.
    #[expect(clippy::too_many_lines, reason = "an arm for each event, read as a table")]
    pub(crate) fn values(&self) -> Vec<(&'static str, String)> {
        let id = |order: &[u8; 16]| ("order", hex::encode(order));
        let card = |serial: &Serial| ("serial", serial.to_string());
        match self {
            Self::Created {
                custodians,
                threshold,
            } => vec![
                ("custodians", custodians.join(SEPARATOR)),
                ("threshold", threshold.to_string()),
            ],
            Self::Unsealed { custodians } => vec![("custodians", custodians.join(SEPARATOR))],
            Self::Sealed { by } => vec![("by", by.clone())],
            Self::IssuerEnrolled { name, key } => vec![("issuer", name.clone()), ("key", hex::encode(key))],
            Self::OrderAccepted {
                order,
                issuer,
                digest,
            } => vec![
                id(order),
                ("issuer", issuer.clone()),
                ("digest", hex::encode(digest)),
            ],
            Self::KeyMade { id, check } => vec![("key", id.clone()), ("check", hex::encode(check))],
            Self::CardIntent {
                order,
                index,
                serial,
                task,
            }
            | Self::UpdateSealed {
                order,
                index,
                serial,
                task,
            } => vec![
                card(serial),
                ("task", task.clone()),
                id(order),
                ("index", index.to_string()),
            ],
            Self::CardOutcome {
                order,
                index,
                serial,
                task,
                state,
            } => vec![
                card(serial),
                ("task", task.clone()),
                ("state", state.to_string()),
                id(order),
                ("index", index.to_string()),
            ],
            Self::BundleIntent {
                terminal,
                kind,
                sequence,
            } => vec![
                ("terminal", terminal.clone()),
                ("terminal_kind", kind.clone()),
                ("sequence", sequence.to_string()),
            ],
            Self::BundleOutcome {
                terminal,
                sequence,
                digest,
            } => vec![
                ("terminal", terminal.clone()),
                ("sequence", sequence.to_string()),
                ("digest", hex::encode(digest)),
            ],
            Self::LotIntent {
                lot,
                first,
                count,
                maker,
            } => vec![
                ("lot", hex::encode(lot)),
                ("first", first.to_string()),
                ("count", count.to_string()),
                ("maker", maker.clone()),
            ],
            Self::LotOutcome { lot, digest } => {
                vec![("lot", hex::encode(lot)), ("digest", hex::encode(digest))]
            }
            Self::PhotoKeyMade { photo, profile } | Self::PhotoKeyOpened { photo, profile } => {
                vec![("photo", hex::encode(photo)), ("profile", profile.clone())]
            }
            Self::CardBackSigned { card_number } => vec![("card_number", card_number.clone())],
            Self::CardDenied { serial } | Self::CardAllowed { serial } | Self::CardEnded { serial } => {
                vec![card(serial)]
            }
            Self::RoleRotated { version, until } => {
                vec![("version", version.clone()), ("until", until.clone())]
            }
            Self::RoleCompromised { version, next } => std::iter::once(("version", version.clone()))
                .chain(next.clone().map(|next| ("next", next)))
                .collect(),
            Self::RoleDestroyed { version } => vec![("version", version.clone())],
            Self::UpdatesExported {
                terminal,
                sequence,
                count,
            } => vec![
                ("terminal", terminal.clone()),
                ("sequence", sequence.to_string()),
                ("count", count.to_string()),
            ],
            Self::ReceiptsAccepted { count } => vec![("count", count.to_string())],
            Self::TerminalRevoked { terminal } => vec![("terminal", terminal.clone())],
            Self::ClockApart { machine } => vec![("machine", machine.clone())],
            Self::StoreLookedThrough { rows } => vec![("rows", rows.to_string())],
            Self::CeilingNear {
                caller,
                counted,
                used,
                most,
            } => vec![
                ("caller", caller.clone()),
                ("counted", counted.clone()),
                ("used", used.to_string()),
                ("most", most.to_string()),
            ],
            Self::TimeSet { seen, day } => vec![("seen", seen.clone()), ("day", day.clone())],
            Self::VersionsRunOut { version, left } => {
                vec![("version", version.clone()), ("left", left.to_string())]
            }
            Self::CallerEnrolled { name, kind, key } => vec![
                ("name", name.clone()),
                ("caller_kind", kind.clone()),
                ("key", hex::encode(key)),
            ],
            Self::CallerSuspended { name } | Self::CallerRestored { name } => vec![("name", name.clone())],
            Self::CallerKeyReplaced { name, key } => vec![("name", name.clone()), ("key", hex::encode(key))],
            Self::TerminalEnrolled {
                terminal,
                kind,
                until,
                key,
            } => vec![
                ("terminal", terminal.clone()),
                ("terminal_kind", kind.clone()),
                ("until", until.clone()),
                ("key", hex::encode(key)),
            ],
            Self::RequestDone {
                digest,
                act,
                requester,
                signers,
            }
            | Self::RequestWaits {
                digest,
                act,
                requester,
                signers,
            } => vec![
                ("digest", hex::encode(digest)),
                ("act", act.clone()),
                ("requester", requester.clone()),
                ("signers", signers.join(SEPARATOR)),
            ],
        }
    }

    const fn kind(&self) -> JournalKind {
        match self {
            Self::Created { .. } => JournalKind::Created,
            Self::Unsealed { .. } => JournalKind::Unsealed,
            Self::Sealed { .. } => JournalKind::Sealed,
            Self::IssuerEnrolled { .. } => JournalKind::IssuerEnrolled,
            Self::OrderAccepted { .. } => JournalKind::OrderAccepted,
            Self::KeyMade { .. } => JournalKind::KeyMade,
            Self::CardIntent { .. } => JournalKind::CardIntent,
            Self::CardOutcome { .. } => JournalKind::CardOutcome,
            Self::BundleIntent { .. } => JournalKind::BundleIntent,
            Self::BundleOutcome { .. } => JournalKind::BundleOutcome,
            Self::LotIntent { .. } => JournalKind::LotIntent,
            Self::LotOutcome { .. } => JournalKind::LotOutcome,
            Self::PhotoKeyMade { .. } => JournalKind::PhotoKeyMade,
            Self::PhotoKeyOpened { .. } => JournalKind::PhotoKeyOpened,
            Self::CardBackSigned { .. } => JournalKind::CardBackSigned,
            Self::CardDenied { .. } => JournalKind::CardDenied,
            Self::CardAllowed { .. } => JournalKind::CardAllowed,
            Self::RoleRotated { .. } => JournalKind::RoleRotated,
            Self::RoleCompromised { .. } => JournalKind::RoleCompromised,
            Self::RoleDestroyed { .. } => JournalKind::RoleDestroyed,
            Self::UpdateSealed { .. } => JournalKind::UpdateSealed,
            Self::UpdatesExported { .. } => JournalKind::UpdatesExported,
            Self::ReceiptsAccepted { .. } => JournalKind::ReceiptsAccepted,
            Self::TerminalRevoked { .. } => JournalKind::TerminalRevoked,
            Self::CardEnded { .. } => JournalKind::CardEnded,
            Self::ClockApart { .. } => JournalKind::ClockApart,
            Self::StoreLookedThrough { .. } => JournalKind::StoreLookedThrough,
            Self::CeilingNear { .. } => JournalKind::CeilingNear,
            Self::TimeSet { .. } => JournalKind::TimeSet,
            Self::VersionsRunOut { .. } => JournalKind::VersionsRunOut,
            Self::CallerEnrolled { .. } => JournalKind::CallerEnrolled,
            Self::CallerSuspended { .. } => JournalKind::CallerSuspended,
            Self::CallerRestored { .. } => JournalKind::CallerRestored,
            Self::CallerKeyReplaced { .. } => JournalKind::CallerKeyReplaced,
            Self::TerminalEnrolled { .. } => JournalKind::TerminalEnrolled,
            Self::RequestDone { .. } => JournalKind::RequestDone,
            Self::RequestWaits { .. } => JournalKind::RequestWaits,
        }
    }
}

/// The body of a line: what was done, and for whom. Lines of before have the event alone, an array of two.
#[derive(Encode, Decode)]
struct Line<E> {
    #[n(0)]
    event: E,
    #[n(1)]
    by: String,
    #[n(2)]
    operation: Option<u32>,
    #[cbor(n(3), with = "minicbor::bytes")]
    request: [u8; 16],
}

/// First byte of a body of before: an array of two.
const EVENT_ALONE: u8 = 0x82;

/// What a body says; nobody in a line of before.
pub(crate) fn read(body: &[u8]) -> Result<(Event, Option<ForWhom>), Error> {
    let damaged = |_| Error::Damaged { what: "the journal" };
    if body.first() == Some(&EVENT_ALONE) {
        return Ok((minicbor::decode(body).map_err(damaged)?, None));
    }
    let Line {
        event,
        by,
        operation,
        request,
    } = minicbor::decode(body).map_err(damaged)?;
    let asked = ForWhom {
        by,
        operation,
        request,
    };
    Ok((event, Some(asked)))
}

/// The entry for `event`, done for whom `asked`, behind the head `(seq, hash)`.
pub(crate) fn entry(
    (seq, previous): (i64, [u8; 32]),
    at: i64,
    event: &Event,
    asked: &ForWhom,
) -> Result<Entry, Error> {
    let line = Line {
        event,
        by: asked.by.clone(),
        operation: asked.operation,
        request: asked.request,
    };
    let body = minicbor::to_vec(line).map_err(|_| Error::BadContent {
        what: "an event that cannot be written down",
    })?;
    let kind = event.kind().as_str().to_owned();
    let seq = seq + 1;
    let hash = digest(seq, at, &kind, &body, &previous);
    Ok(Entry {
        seq,
        at,
        kind,
        body,
        previous,
        hash,
    })
}

/// Checks that `entry` follows the head `(seq, hash)`.
pub(crate) fn follows(entry: &Entry, seq: i64, head: &[u8; 32]) -> bool {
    entry.seq == seq + 1
        && entry.previous == *head
        && entry.hash == digest(entry.seq, entry.at, &entry.kind, &entry.body, head)
}

fn digest(seq: i64, at: i64, kind: &str, body: &[u8], previous: &[u8; 32]) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"YZT-JOURNAL-1")
        .chain_update(seq.to_be_bytes())
        .chain_update(at.to_be_bytes())
        .chain_update([u8::try_from(kind.len()).unwrap_or(u8::MAX)])
        .chain_update(kind)
        .chain_update((body.len() as u64).to_be_bytes())
        .chain_update(body)
        .chain_update(previous)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_follows_its_head_and_no_other() {
        let event = Event::Sealed { by: "li".into() };
        let asked = ForWhom::default();
        let first = entry((0, GENESIS), 100, &event, &asked).unwrap();
        let second = entry((first.seq, first.hash), 101, &event, &asked).unwrap();
        assert!(follows(&first, 0, &GENESIS));
        assert!(follows(&second, 1, &first.hash));
        assert!(!follows(&second, 0, &GENESIS));
        let mut changed = second.clone();
        changed.at += 1;
        assert!(!follows(&changed, 1, &first.hash));
        let mut changed = second;
        changed.body[1] ^= 1;
        assert!(!follows(&changed, 1, &first.hash));
    }

    #[test]
    fn a_line_says_for_whom_and_one_of_before_is_read_without() {
        let event = Event::Sealed { by: "li".into() };
        for operation in [None, Some(0), Some(34)] {
            let asked = ForWhom {
                by: "shenzhen".into(),
                operation,
                request: [7; 16],
            };
            let line = entry((0, GENESIS), 100, &event, &asked).unwrap();
            assert_eq!(read(&line.body), Ok((event.clone(), Some(asked))));
        }
        assert_eq!(read(&minicbor::to_vec(&event).unwrap()), Ok((event, None)));
        assert!(read(&[]).is_err() && read(&[0x84, 1]).is_err());
    }
}
