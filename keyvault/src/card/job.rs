//! Jobs: work on one card under an order, drawn once and replayed byte for byte on every attempt.
//!
//! Data groups are not stored: the job holds a digest of the content, and whoever resumes it must bring the same.

use card_applet_spec::codes::{Domain, Serial};
use keyvault_protocol::{CardKey, QueuedUpdate};
use minicbor::{Decode, Encode};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::card::record::{Card, CardSlot, Stamp, job_id};
use crate::error::Error;
use crate::open::transaction::{Core, Open};
use crate::store::sql::Table;

/// Work on one card under an order; the row's id is `order || index`.
#[derive(Debug, Encode, Decode)]
pub(crate) struct Job {
    #[n(0)]
    pub(crate) serial: Serial,
    /// SHA-256 of the content; zero for a job that has none.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) content: [u8; 32],
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) script: [u8; 16],
    /// The steps behind the data groups, once they are drawn; gone again when the job is finished.
    #[n(3)]
    pub(crate) second_part: Option<SecondPart>,
    #[n(4)]
    pub(crate) finished: Option<Finished>,
    /// The same of a rewrite.
    #[n(5)]
    pub(crate) rewrite: Option<RewritePart>,
    /// What was queued for a job that sealed an update.
    #[n(6)]
    pub(crate) queued: Option<QueuedUpdate>,
}

impl Job {
    /// A job whose script is not drawn yet.
    pub(crate) fn new(serial: Serial, content: [u8; 32], script: [u8; 16]) -> Self {
        Self {
            serial,
            content,
            script,
            second_part: None,
            finished: None,
            rewrite: None,
            queued: None,
        }
    }

    /// A job that sealed an update.
    pub(crate) fn of_update(serial: Serial, content: [u8; 32], queued: QueuedUpdate) -> Self {
        Self {
            queued: Some(queued),
            ..Self::new(serial, content, [0; 16])
        }
    }

    /// Whether nothing was ever bound to it but the serial: a change of state.
    pub(crate) fn is_without_content(&self) -> bool {
        self.content == [0; 32] && self.queued.is_none()
    }
}

/// The drawn part of a script.
#[derive(Debug, Encode, Decode)]
pub(crate) struct SecondPart {
    #[n(0)]
    pub(crate) steps: Vec<StoredStep>,
    #[n(1)]
    pub(crate) keys: Vec<CardKey>,
    #[n(2)]
    pub(crate) slots: Vec<CardSlot>,
}

/// The drawn part of a rewrite: everything behind the data groups.
#[derive(Debug, Encode, Decode)]
pub(crate) struct RewritePart {
    #[n(0)]
    pub(crate) steps: Vec<StoredStep>,
    #[n(1)]
    pub(crate) slots: Vec<CardSlot>,
    /// Digests of DG1, DG2, DG3 behind it, when one of them changes.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) groups: Option<[u8; 96]>,
    /// When the card does it: a new generation if the script changes the update keys.
    #[n(3)]
    pub(crate) stamp: Stamp,
}

impl RewritePart {
    /// Generation of the update keys behind it.
    pub(crate) fn generation(&self) -> u32 {
        self.stamp.generation
    }
}

/// Op and payload of one step. Holds card keys.
#[derive(Encode, Decode, Zeroize, ZeroizeOnDrop)]
pub(crate) struct StoredStep {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) bytes: Vec<u8>,
}

impl std::fmt::Debug for StoredStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredStep(..)")
    }
}

/// What stays of a finished script with content.
#[derive(Debug, Encode, Decode)]
pub(crate) struct Finished {
    #[n(0)]
    pub(crate) steps: u16,
    /// Of a personalisation.
    #[n(1)]
    pub(crate) keys: Vec<CardKey>,
}

/// public64 of a card's keys, from its personalisation.
pub(crate) async fn personalised_keys(
    core: &mut Core,
    open: &Open,
    card: &Card,
) -> Result<Option<[u8; 192]>, Error> {
    let job: Option<Job> = open
        .get(core, Table::Job, &job_id(&card.order, card.index))
        .await?;
    Ok(job
        .and_then(|job| job.finished)
        .and_then(|finished| publics_of(&finished.keys)))
}

/// public64 of the certified keys, by domain.
pub(crate) fn publics_of(keys: &[CardKey]) -> Option<[u8; 192]> {
    let mut publics = [0; 192];
    for (part, domain) in publics.chunks_exact_mut(64).zip(Domain::ALL) {
        let key = keys.iter().find(|key| key.domain == *domain)?;
        part.copy_from_slice(&key.public_key[1..]);
    }
    Some(publics)
}
