//! The vault itself: sealed, unsealing, open. One task at a time owns it; everything durable goes through
//! [`Open::apply`], which writes rows, journal and state in one transaction.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hkdf::Hkdf;
use jiff::{SignedDuration, Timestamp};
use keyvault_protocol::sealed::{self, Purpose};
use keyvault_protocol::{Attempt, ShareEnvelope, Status, UnsealProgress, VaultState};
use minicbor::{Decode, Encode};
use p256::SecretKey;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Mutex;
use zeroize::{Zeroize, Zeroizing};

use crate::audit::journal::{self, Event};
use crate::authority::role_keys::Roles;
use crate::card::session::Session;
use crate::clock::{self, Clock};
use crate::custody::migration;
use crate::custody::shamir::{self, Point};
use crate::custody::share_envelope::Commitment;
use crate::error::Error;
use crate::keys::arena::{Arena, OpenKey};
use crate::keys::material::{KeyId, KeyRecord, Keys};
use crate::store::sealing::{self, Place, SUITE};
use crate::store::sql;
use crate::store::sql::{Batch, Header, Row, Store, Table};

/// The random source of the vault.
pub type Random = Box<dyn CryptoRng + Send>;

/// How long an unseal attempt lives.
const ATTEMPT: SignedDuration = SignedDuration::from_mins(15);
/// Rows read at once while everything is checked at unseal.
const CHUNK: i64 = 1024;
/// Id of the one row of the state table.
const STATE_ID: &[u8] = b"state";

/// What both the sealed and the open vault have.
pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) header: Header,
    pub(crate) shares: Vec<Commitment>,
    pub(crate) arena: Arc<Arena>,
    pub(crate) rng: Random,
}

/// The one row that says what the rest must look like.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct State {
    /// Hash of the clear header and of all share commitments.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) header: [u8; 32],
    #[n(1)]
    pub(crate) high_water: i64,
    #[n(2)]
    pub(crate) journal_seq: i64,
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(crate) journal_head: [u8; 32],
    /// Rows per table of [`Table::COUNTED`].
    #[n(4)]
    pub(crate) counts: Vec<i64>,
}

/// Keys under the root key.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Keys of the barrier terms.
    pub(crate) barrier: BTreeMap<i64, OpenKey>,
    /// Key of hedged nonces.
    pub(crate) nonce: OpenKey,
    /// Kept for the Merkle root over all rows.
    pub(crate) state_root: OpenKey,
}

/// Names of the ring's rows.
pub(crate) const RING_NONCE: &str = "nonce";
pub(crate) const RING_STATE_ROOT: &str = "state-root";

/// Name of a barrier term's row.
pub(crate) fn ring_barrier(term: i64) -> String {
    format!("barrier/{term}")
}

/// The open vault: keys, state, and the card sessions that run.
pub(crate) struct Open {
    pub(crate) ring: Ring,
    pub(crate) keys: Keys,
    /// States of the role keys' versions, as they are on disk.
    pub(crate) roles: Roles,
    pub(crate) state: State,
    pub(crate) sessions: HashMap<([u8; 16], u32), Session>,
}

/// What one request changes, all or nothing.
#[derive(Default)]
pub(crate) struct Change {
    pub(crate) rows: Vec<(Table, Vec<u8>, Zeroizing<Vec<u8>>)>,
    deleted: Vec<(Table, Vec<u8>)>,
    /// Key versions whose rows change.
    pub(crate) roles: Roles,
    pub(crate) events: Vec<Event>,
    from_former: bool,
}

impl Change {
    /// Puts a row; a second put of the same row replaces the first.
    pub(crate) fn put<T: Encode<()>>(&mut self, table: Table, id: &[u8], value: &T) -> Result<(), Error> {
        let mut plain = Zeroizing::new(Vec::with_capacity(1024));
        minicbor::encode(value, &mut *plain).map_err(|_| Error::BadContent {
            what: "a row that cannot be encoded",
        })?;
        self.rows.retain(|(t, i, _)| *t != table || i != id);
        self.deleted.retain(|(t, i)| *t != table || i != id);
        self.rows.push((table, id.to_vec(), plain));
        Ok(())
    }

    /// Takes a row away; none there is no error.
    pub(crate) fn delete(&mut self, table: Table, id: &[u8]) {
        self.rows.retain(|(t, i, _)| *t != table || i != id);
        self.deleted.push((table, id.to_vec()));
    }

    /// A row that this change puts already: what reads before it writes must look here first.
    pub(crate) fn pending<T: for<'b> Decode<'b, ()>>(
        &self,
        table: Table,
        id: &[u8],
    ) -> Option<Result<T, Error>> {
        self.rows
            .iter()
            .find(|(t, i, _)| *t == table && i == id)
            .map(|(_, _, plain)| minicbor::decode(plain).map_err(|_| Error::Damaged { what: "a row" }))
    }

    pub(crate) fn note(&mut self, event: Event) {
        self.events.push(event);
    }
}

/// An unseal attempt.
struct Unsealing {
    id: [u8; 16],
    key: SecretKey,
    ends: Timestamp,
    given: Vec<Point>,
}

enum Phase {
    Sealed,
    Unsealing(Box<Unsealing>),
    Open(Box<Open>),
    Damaged(Error),
}

pub(crate) struct Inner {
    pub(crate) core: Core,
    phase: Phase,
    _lock: FolderLock,
}

impl Inner {
    /// The store was found damaged while it served: nothing goes on with it, and the keys leave memory.
    pub(crate) fn give_up(&mut self, error: &Error) {
        if matches!(self.phase, Phase::Open(_)) {
            tracing::error!(code = error.code(), "the vault has closed itself");
            self.phase = Phase::Damaged(error.clone());
        }
    }

    /// The open vault and what it works on.
    pub(crate) fn open(&mut self) -> Result<(&mut Core, &mut Open), Error> {
        match &mut self.phase {
            Phase::Open(open) => Ok((&mut self.core, open)),
            Phase::Damaged(error) => Err(error.clone()),
            Phase::Sealed | Phase::Unsealing(_) => Err(Error::Sealed),
        }
    }
}

/// A vault in a folder. Shared by all connections; each request has it alone.
pub struct Vault {
    id: [u8; 16],
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(..)")
    }
}

impl Vault {
    /// Opens the store in `folder`, sealed.
    ///
    /// # Errors
    /// [`Error::NoVault`], [`Error::InUse`], [`Error::Damaged`], [`Error::MemoryNotLocked`].
    pub async fn load(folder: &Path, clock: Arc<dyn Clock>, rng: Random) -> Result<Arc<Self>, Error> {
        Self::load_with(folder, Arena::new()?, clock, rng).await
    }

    /// As [`Vault::load`], with an arena that was made before the process was isolated.
    ///
    /// # Errors
    /// As [`Vault::load`].
    pub async fn load_with(
        folder: &Path,
        arena: Arc<Arena>,
        clock: Arc<dyn Clock>,
        rng: Random,
    ) -> Result<Arc<Self>, Error> {
        Self::load_locked(FolderLock::take(folder)?, arena, clock, rng).await
    }

    /// As [`Vault::load_with`], with a lock that was taken before the process was isolated.
    ///
    /// # Errors
    /// As [`Vault::load`].
    pub async fn load_locked(
        lock: FolderLock,
        arena: Arc<Arena>,
        clock: Arc<dyn Clock>,
        rng: Random,
    ) -> Result<Arc<Self>, Error> {
        let core = Core::load(&lock.folder, arena, rng).await?;
        let id = core.header.vault;
        let inner = Mutex::new(Inner {
            core,
            phase: Phase::Sealed,
            _lock: lock,
        });
        Ok(Arc::new(Self { id, clock, inner }))
    }

    /// Number of the vault.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// The instant that the vault works with.
    pub(crate) fn now(&self, core: &Core) -> Result<Timestamp, Error> {
        clock::present(&*self.clock, core.header.high_water)
    }

    pub(crate) async fn lock(&self) -> tokio::sync::MutexGuard<'_, Inner> {
        self.inner.lock().await
    }

    /// State of the vault; answered in every state.
    pub async fn status(&self) -> Status {
        let mut inner = self.inner.lock().await;
        self.forget_old_attempt(&mut inner);
        let inner = &*inner;
        let (state, attempt) = match &inner.phase {
            Phase::Sealed => (VaultState::Sealed, None),
            Phase::Unsealing(attempt) => (VaultState::Unsealing, Some(attempt.describe(&inner.core))),
            Phase::Open(_) => (VaultState::Open, None),
            Phase::Damaged(_) => (VaultState::Damaged, None),
        };
        Status {
            state,
            vault: self.id,
            epoch: inner.core.header.epoch,
            threshold: inner.core.header.threshold,
            custodians: inner
                .core
                .shares
                .iter()
                .map(|share| share.custodian.clone())
                .collect(),
            attempt,
            high_water: inner.core.header.high_water,
        }
    }

    /// Begins an unseal attempt, or joins the one that runs: there is one at a time, for 15 minutes.
    ///
    /// # Errors
    /// [`Error::AlreadyOpen`], [`Error::Damaged`], [`Error::ClockBehind`].
    pub async fn begin_unseal(&self) -> Result<Attempt, Error> {
        let mut guard = self.inner.lock().await;
        self.forget_old_attempt(&mut guard);
        let inner = &mut *guard;
        match &inner.phase {
            Phase::Open(_) => Err(Error::AlreadyOpen),
            Phase::Damaged(error) => Err(error.clone()),
            Phase::Unsealing(attempt) => Ok(attempt.describe(&inner.core)),
            Phase::Sealed => {
                let now = self.now(&inner.core)?;
                let mut id = [0u8; 16];
                inner.core.rng.fill_bytes(&mut id);
                let key = sealed::fresh_key(&mut inner.core.rng);
                let ends = now.saturating_add(ATTEMPT).map_err(|_| Error::NoAttempt)?;
                let attempt = Box::new(Unsealing {
                    id,
                    key,
                    ends,
                    given: Vec::new(),
                });
                let described = attempt.describe(&inner.core);
                inner.phase = Phase::Unsealing(attempt);
                Ok(described)
            }
        }
    }

    /// Takes one share. A share that is wrong in any way changes nothing.
    ///
    /// # Errors
    /// [`Error::NoAttempt`], [`Error::WrongVault`], [`Error::WrongEpoch`], [`Error::WrongShare`],
    /// [`Error::SameShareTwice`], [`Error::NotOpened`], and with the last share [`Error::Damaged`].
    pub async fn give_share(&self, envelope: &ShareEnvelope) -> Result<UnsealProgress, Error> {
        let mut guard = self.inner.lock().await;
        self.forget_old_attempt(&mut guard);
        let inner = &mut *guard;
        let now = self.now(&inner.core)?;
        let attempt = match &mut inner.phase {
            Phase::Unsealing(attempt) if attempt.id == envelope.attempt => attempt,
            Phase::Open(_) => return Err(Error::AlreadyOpen),
            Phase::Damaged(error) => return Err(error.clone()),
            Phase::Sealed | Phase::Unsealing(_) => return Err(Error::NoAttempt),
        };
        attempt.take(&inner.core, envelope)?;
        if attempt.given.len() < usize::from(inner.core.header.threshold) {
            return Ok(attempt.progress(&inner.core));
        }
        let custodians = attempt.names(&inner.core);
        let mut progress = attempt.progress(&inner.core);
        let secret = shamir::combine(&attempt.given).ok_or(Error::NoAttempt)?;
        // From here on the shares are gone, whatever happens.
        inner.phase = Phase::Sealed;
        let opened = match inner.core.unseal(&secret, now).await {
            Ok(mut open) => {
                let mut change = Change::default();
                change.note(Event::Unsealed { custodians });
                open.apply(&mut inner.core, now, change).await.map(|()| open)
            }
            Err(error) => Err(error),
        };
        match opened {
            Ok(open) => {
                inner.phase = Phase::Open(Box::new(open));
                progress.state = VaultState::Open;
                tracing::info!("the vault is open");
                Ok(progress)
            }
            Err(error) => {
                tracing::error!(code = error.code(), "the vault does not open");
                if matches!(error, Error::Damaged { .. }) {
                    inner.phase = Phase::Damaged(error.clone());
                }
                Err(error)
            }
        }
    }

    /// Seals: every key leaves memory, running card sessions end.
    ///
    /// # Errors
    /// [`Error::Sealed`] when it is; [`Error::StoreUnavailable`] when that cannot be written down (it is sealed all the
    /// same).
    pub async fn seal(&self, by: &str) -> Result<(), Error> {
        let mut guard = self.inner.lock().await;
        let inner = &mut *guard;
        let noted = match &mut inner.phase {
            Phase::Open(open) => {
                // A clock that went back must not keep the vault open.
                let now = clock::present(&*self.clock, inner.core.header.high_water)
                    .unwrap_or(inner.core.header.high_water);
                let by: String = by.chars().filter(|c| !c.is_control()).take(64).collect();
                let mut change = Change::default();
                change.note(Event::Sealed { by });
                open.apply(&mut inner.core, now, change).await
            }
            Phase::Unsealing(_) => Ok(()),
            Phase::Damaged(error) => return Err(error.clone()),
            Phase::Sealed => return Err(Error::Sealed),
        };
        inner.phase = Phase::Sealed;
        tracing::info!("the vault is sealed");
        noted
    }

    /// Forgets what nobody went on with: an unseal attempt and its shares after 15 minutes, card sessions, which hold a
    /// person's content, after 10. Called from time to time, so that nothing waits in memory for the next request.
    pub(crate) async fn tidy(&self) {
        let mut guard = self.inner.lock().await;
        self.forget_old_attempt(&mut guard);
        if let Ok(now) = self.now(&guard.core)
            && let Phase::Open(open) = &mut guard.phase
        {
            open.sessions.retain(|_, session| session.lives(now));
        }
    }

    fn forget_old_attempt(&self, inner: &mut Inner) {
        let over = match &inner.phase {
            Phase::Unsealing(attempt) => self.now(&inner.core).map_or(true, |now| now >= attempt.ends),
            _ => false,
        };
        if over {
            inner.phase = Phase::Sealed;
        }
    }
}

impl Unsealing {
    fn take(&mut self, core: &Core, envelope: &ShareEnvelope) -> Result<(), Error> {
        let header = &core.header;
        if envelope.vault != header.vault {
            return Err(Error::WrongVault);
        }
        if envelope.epoch != header.epoch {
            return Err(Error::WrongEpoch {
                share: envelope.epoch,
                vault: header.epoch,
            });
        }
        let commitment = core
            .shares
            .iter()
            .find(|share| share.index == envelope.index)
            .ok_or(Error::NotFound {
                what: "share of this number",
            })?;
        if self.given.iter().any(|point| point.x == envelope.index) {
            return Err(Error::SameShareTwice {
                custodian: commitment.custodian.clone(),
            });
        }
        let context = ShareEnvelope::context(&self.id, &envelope.vault, envelope.epoch, envelope.index);
        let value = sealed::open(&self.key, Purpose::Share, &context, &envelope.sealed)
            .map_err(|_| Error::NotOpened)?;
        let mut y = Zeroizing::new([0u8; shamir::SECRET_LEN]);
        if value.len() != y.len() {
            return Err(Error::NotOpened);
        }
        y.copy_from_slice(&value);
        if !commitment.holds(&header.vault, header.epoch, &y) {
            return Err(Error::WrongShare {
                custodian: commitment.custodian.clone(),
            });
        }
        self.given.push(Point { x: envelope.index, y });
        Ok(())
    }

    fn names(&self, core: &Core) -> Vec<String> {
        let given = |share: &&Commitment| self.given.iter().any(|point| point.x == share.index);
        core.shares
            .iter()
            .filter(given)
            .map(|share| share.custodian.clone())
            .collect()
    }

    fn progress(&self, core: &Core) -> UnsealProgress {
        let given = self.names(core);
        let missing = core
            .shares
            .iter()
            .map(|share| share.custodian.clone())
            .filter(|name| !given.contains(name))
            .collect();
        UnsealProgress {
            state: VaultState::Unsealing,
            given: u8::try_from(self.given.len()).unwrap_or(u8::MAX),
            needed: core.header.threshold,
            epoch: core.header.epoch,
            missing,
        }
    }

    fn describe(&self, core: &Core) -> Attempt {
        let key = sealed::point_of(&self.key.public_key());
        let digest = hex::encode(&Sha256::digest(key)[..8]);
        let groups: Vec<&str> = (0..4).filter_map(|i| digest.get(i * 4..i * 4 + 4)).collect();
        Attempt {
            id: self.id,
            key,
            fingerprint: groups.join(" "),
            given: self.names(core),
            ends: self.ends,
        }
    }
}

/// KEK, its nonce key and its commitment from the unseal secret (HKDF-SHA-256).
pub(crate) struct UnsealKeys {
    pub(crate) kek: Zeroizing<[u8; 32]>,
    pub(crate) nonce: Zeroizing<[u8; 32]>,
    pub(crate) commitment: [u8; 32],
}

impl UnsealKeys {
    pub(crate) fn derive(secret: &[u8; 32], vault: &[u8; 16], epoch: u32) -> Result<Self, Error> {
        let hkdf = Hkdf::<Sha256>::new(Some(vault), secret);
        let expand = |label: &[u8], out: &mut [u8]| {
            hkdf.expand_multi_info(&[label, &epoch.to_be_bytes()], out)
                .map_err(|_| Error::SelfTestFailed { what: "HKDF" })
        };
        let mut keys = Self {
            kek: Zeroizing::new([0; 32]),
            nonce: Zeroizing::new([0; 32]),
            commitment: [0; 32],
        };
        expand(b"YZT-KEK-1", &mut *keys.kek)?;
        expand(b"YZT-KEK-NONCE-1", &mut *keys.nonce)?;
        expand(b"YZT-KEK-COMMITMENT-1", &mut keys.commitment)?;
        Ok(keys)
    }
}

impl Core {
    /// Opens the store; no key is in memory yet.
    pub(crate) async fn load(folder: &Path, arena: Arc<Arena>, rng: Random) -> Result<Self, Error> {
        let mut store = Store::open(folder).await?;
        let (header, shares) = store.header().await?;
        Ok(Self {
            store,
            header,
            shares,
            arena,
            rng,
        })
    }

    pub(crate) fn place<'a>(&'a self, table: Table, id: &'a [u8], row_version: i64, term: i64) -> Place<'a> {
        let Header { vault, instance, .. } = &self.header;
        Place {
            vault,
            instance,
            table: table.name(),
            id,
            row_version,
            term,
        }
    }

    /// Place of the wrapped root key.
    pub(crate) fn root_place(header: &Header) -> Place<'_> {
        Place {
            vault: &header.vault,
            instance: &header.instance,
            table: "root",
            id: b"root",
            row_version: i64::from(header.epoch),
            term: 0,
        }
    }

    /// From the unseal secret to the open vault: root key, ring, keys, every row, journal, self-test.
    pub(crate) async fn unseal(&mut self, secret: &[u8; 32], now: Timestamp) -> Result<Open, Error> {
        let keys = UnsealKeys::derive(secret, &self.header.vault, self.header.epoch)?;
        if !bool::from(keys.commitment.ct_eq(&self.header.kek_commitment)) {
            // Every share held its commitment, so the shares are right and the header is not.
            return Err(Error::Damaged {
                what: "the commitment of the key-encryption key",
            });
        }
        let mut plain = sealing::open(&keys.kek, &Self::root_place(&self.header), &self.header.root)?;
        let root = self.to_arena(&mut plain)?;
        let ring = self.open_ring(&root).await?;
        drop(root);
        let mut open = Open {
            keys: Keys::new(Arc::clone(&self.arena)),
            roles: Roles::new(),
            state: self.open_state(&ring).await?,
            ring,
            sessions: HashMap::new(),
        };
        open.load_keys(self).await?;
        open.check_everything(self).await?;
        open.keys.self_test(&mut self.rng)?;
        if self.header.format == sql::FORMER {
            migration::bring_up_to_date(self, &mut open, now).await?;
        } else {
            open.load_roles(self).await?;
        }
        Ok(open)
    }

    fn to_arena(&self, plain: &mut Zeroizing<Vec<u8>>) -> Result<OpenKey, Error> {
        let mut key: [u8; 32] = plain.as_slice().try_into().map_err(|_| Error::Damaged {
            what: "a key of wrong length",
        })?;
        plain.zeroize();
        OpenKey::store(&self.arena, &mut key)
    }

    async fn open_ring(&mut self, root: &OpenKey) -> Result<Ring, Error> {
        let damaged = Error::Damaged { what: "the key ring" };
        let mut barrier = BTreeMap::new();
        let (mut nonce, mut state_root) = (None, None);
        for row in self.store.rows(Table::Ring).await? {
            let place = self.place(Table::Ring, &row.id, row.row_version, 0);
            let mut plain = sealing::open(root.expose(), &place, &row.sealed)?;
            let key = self.to_arena(&mut plain)?;
            match std::str::from_utf8(&row.id).map_err(|_| damaged.clone())? {
                RING_NONCE => nonce = Some(key),
                RING_STATE_ROOT => state_root = Some(key),
                name => {
                    let term = name.strip_prefix("barrier/").and_then(|term| term.parse().ok());
                    barrier.insert(term.ok_or_else(|| damaged.clone())?, key);
                }
            }
        }
        if !barrier.contains_key(&self.header.term) {
            return Err(damaged);
        }
        match (nonce, state_root) {
            (Some(nonce), Some(state_root)) => Ok(Ring {
                barrier,
                nonce,
                state_root,
            }),
            _ => Err(damaged),
        }
    }

    async fn open_state(&mut self, ring: &Ring) -> Result<State, Error> {
        let damaged = Error::Damaged {
            what: "the state row",
        };
        let row = self
            .store
            .row(Table::State, STATE_ID)
            .await?
            .ok_or_else(|| damaged.clone())?;
        let plain = self.open_row(ring, Table::State, &row)?;
        let state: State = minicbor::decode(&plain).map_err(|_| damaged.clone())?;
        let agrees = state.header == header_digest(&self.header, &self.shares)
            && state.high_water == self.header.high_water.as_second()
            && row.row_version == self.header.generation
            // The format is in clear; what the state counts is not.
            && state.counts.len()
                == if self.header.format == sql::FORMER {
                    Table::FORMER_COUNTED
                } else {
                    Table::COUNTED.len()
                };
        if agrees {
            Ok(state)
        } else {
            Err(Error::Damaged {
                what: "header and state do not agree",
            })
        }
    }

    pub(crate) fn open_row(&self, ring: &Ring, table: Table, row: &Row) -> Result<Zeroizing<Vec<u8>>, Error> {
        let key = ring.barrier.get(&row.term).ok_or(Error::Damaged {
            what: "a row of an unknown term",
        })?;
        sealing::open(
            key.expose(),
            &self.place(table, &row.id, row.row_version, row.term),
            &row.sealed,
        )
    }
}

impl Open {
    async fn load_keys(&mut self, core: &mut Core) -> Result<(), Error> {
        for row in core.store.rows(Table::Key).await? {
            let plain = core.open_row(&self.ring, Table::Key, &row)?;
            let id = std::str::from_utf8(&row.id).map_err(|_| Error::Damaged {
                what: "the name of a key",
            })?;
            let mut record: KeyRecord =
                minicbor::decode(&plain).map_err(|_| Error::Damaged { what: "a key row" })?;
            self.keys.load(id.parse()?, &mut record)?;
        }
        Ok(())
    }

    /// Opens every row of every table and walks the journal: nothing damaged is found later, in the middle of a card.
    async fn check_everything(&self, core: &mut Core) -> Result<(), Error> {
        for (table, expected) in Table::COUNTED.into_iter().zip(&self.state.counts) {
            let mut count = 0i64;
            let mut after = Vec::new();
            loop {
                let rows = core.store.rows_after(table, &after, CHUNK).await?;
                let Some(last) = rows.last() else { break };
                after.clone_from(&last.id);
                for row in &rows {
                    // The ring is sealed under the root key and was opened whole.
                    if table != Table::Ring {
                        core.open_row(&self.ring, table, row)?;
                    }
                    count += 1;
                }
            }
            if count != *expected {
                return Err(Error::Damaged {
                    what: "rows are missing, or there are too many",
                });
            }
        }
        let (mut seq, mut head) = (0, journal::GENESIS);
        loop {
            let entries = core.store.entries_after(seq, CHUNK).await?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                if !journal::follows(&entry, seq, &head) {
                    return Err(Error::Damaged {
                        what: "the journal's chain",
                    });
                }
                (seq, head) = (entry.seq, entry.hash);
            }
        }
        if (seq, head) != (self.state.journal_seq, self.state.journal_head) {
            return Err(Error::Damaged {
                what: "the end of the journal",
            });
        }
        Ok(())
    }

    /// Reads one row.
    pub(crate) async fn get<T: for<'b> Decode<'b, ()>>(
        &self,
        core: &mut Core,
        table: Table,
        id: &[u8],
    ) -> Result<Option<T>, Error> {
        let Some(row) = core.store.row(table, id).await? else {
            return Ok(None);
        };
        let plain = core.open_row(&self.ring, table, &row)?;
        minicbor::decode(&plain)
            .map(Some)
            .map_err(|_| Error::Damaged { what: "a row" })
    }

    /// Makes a change durable: rows, journal, state row and header in one transaction. On an error nothing has changed,
    /// on disk or in memory.
    pub(crate) async fn apply(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        change: Change,
    ) -> Result<(), Error> {
        let mut state = self.state.clone();
        state.counts.resize(Table::COUNTED.len(), 0);
        let high_water = now.max(core.header.high_water);
        let generation = core.header.generation + 1;
        let Change {
            mut rows,
            deleted,
            roles,
            events,
            from_former,
        } = change;
        for (id, row) in &roles {
            let plain = minicbor::to_vec(row).map_err(|_| Error::Damaged {
                what: "a key version's row",
            })?;
            rows.push((Table::RoleKey, id.row_id().to_vec(), Zeroizing::new(plain)));
        }
        let mut batch = Batch {
            from_former,
            rows: Vec::new(),
            deleted: Vec::new(),
            entries: Vec::new(),
            high_water,
            generation,
        };
        for (table, id) in deleted {
            if core.store.row(table, &id).await?.is_some() {
                state.count(table, -1);
                batch.deleted.push((table, id));
            }
        }
        for (table, id, plain) in &rows {
            let before = if from_former && !table.is_of_the_former() {
                None
            } else {
                core.store.row(*table, id).await?.map(|row| row.row_version)
            };
            if before.is_none() {
                state.count(*table, 1);
            }
            let row = self.seal_row(core, *table, id, before.unwrap_or(0) + 1, plain)?;
            batch.rows.push((*table, row));
        }
        for event in &events {
            let entry = journal::entry(state.journal_seq, state.journal_head, now.as_second(), event)?;
            (state.journal_seq, state.journal_head) = (entry.seq, entry.hash);
            batch.entries.push(entry);
        }
        state.high_water = high_water.as_second();
        let plain = minicbor::to_vec(&state).map_err(|_| Error::Damaged {
            what: "the state row",
        })?;
        batch.rows.push((
            Table::State,
            self.seal_row(core, Table::State, STATE_ID, generation, &plain)?,
        ));
        core.store.commit(&batch).await?;
        core.header.high_water = high_water;
        core.header.generation = generation;
        core.header.format = sql::FORMAT;
        self.state = state;
        self.roles.extend(roles);
        Ok(())
    }

    fn seal_row(
        &self,
        core: &mut Core,
        table: Table,
        id: &[u8],
        row_version: i64,
        plain: &[u8],
    ) -> Result<Row, Error> {
        let term = core.header.term;
        let key = self
            .ring
            .barrier
            .get(&term)
            .ok_or(Error::Damaged { what: "the key ring" })?;
        let Header { vault, instance, .. } = &core.header;
        let place = Place {
            vault,
            instance,
            table: table.name(),
            id,
            row_version,
            term,
        };
        let sealed = sealing::seal(
            key.expose(),
            self.ring.nonce.expose(),
            &place,
            plain,
            &mut core.rng,
        )?;
        Ok(Row {
            id: id.to_vec(),
            row_version,
            term,
            sealed,
        })
    }

    /// Makes the keys that do not exist yet, durably, and takes them into use.
    pub(crate) async fn ensure_keys(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        wanted: &[KeyId],
    ) -> Result<(), Error> {
        let missing: Vec<KeyId> = wanted
            .iter()
            .copied()
            .filter(|id| !self.keys.holds(*id))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.make_keys(core, now, &missing, Change::default()).await
    }

    /// Makes fresh keys, durably and in one transaction with `change`, and takes them into use.
    pub(crate) async fn make_keys(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        ids: &[KeyId],
        mut change: Change,
    ) -> Result<(), Error> {
        let mut made = BTreeMap::new();
        for id in ids {
            if made.contains_key(id) {
                continue;
            }
            let key = self.keys.make(*id, &mut core.rng)?;
            let record = KeyRecord {
                suite: SUITE,
                created: now.as_second(),
                secret: *key.expose(),
            };
            change.put(Table::Key, id.to_string().as_bytes(), &record)?;
            change.note(Event::KeyMade {
                id: id.to_string(),
                check: Keys::check_value(*id, &key)?,
            });
            made.insert(*id, key);
        }
        self.apply(core, now, change).await?;
        made.into_iter()
            .try_for_each(|(id, key)| self.keys.insert(id, key))
    }
}

impl Change {
    /// The change that turns the former layout into the present one.
    pub(crate) fn from_former() -> Self {
        Self {
            from_former: true,
            ..Self::default()
        }
    }
}

impl State {
    /// A row more or less in a table.
    fn count(&mut self, table: Table, by: i64) {
        let count = Table::COUNTED
            .iter()
            .zip(&mut self.counts)
            .find(|(counted, _)| **counted == table);
        if let Some((_, count)) = count {
            *count += by;
        }
    }
}

/// Hash over the parts of the header that never change while a set of shares lives, and over the commitments.
pub(crate) fn header_digest(header: &Header, shares: &[Commitment]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"YZT-HEADER-1");
    hash.update(header.vault);
    hash.update(header.instance);
    hash.update(header.epoch.to_be_bytes());
    hash.update([header.threshold]);
    hash.update(header.kek_commitment);
    hash.update((header.root.len() as u64).to_be_bytes());
    hash.update(&header.root);
    hash.update(header.term.to_be_bytes());
    for share in shares {
        hash.update([share.index]);
        hash.update((share.custodian.len() as u64).to_be_bytes());
        hash.update(&share.custodian);
        hash.update(share.salt);
        hash.update(share.hash);
    }
    hash.finalize().into()
}

/// Takes away what others may do with the folder and the files in it; a restored copy may have come with more. Where
/// that is not possible (a read-only mount) the sealed rows protect themselves.
fn keep_private(folder: &Path) {
    let mut paths = vec![folder.to_owned()];
    if let Ok(entries) = std::fs::read_dir(folder) {
        paths.extend(entries.flatten().map(|entry| entry.path()));
    }
    for path in paths {
        let Ok(meta) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        let mode = meta.permissions().mode();
        if (meta.is_dir() || meta.is_file()) && mode & 0o077 != 0 {
            tracing::warn!("the vault's folder was open to others; it is closed now");
            let _ = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode & 0o700));
        }
    }
}

/// A vault's folder, taken for this process until dropped.
#[derive(Debug)]
pub struct FolderLock {
    folder: PathBuf,
    _file: File,
}

impl FolderLock {
    /// Takes the folder.
    ///
    /// # Errors
    /// [`Error::NoVault`], [`Error::InUse`], [`Error::StoreUnavailable`] on a read-only file system.
    pub fn take(folder: &Path) -> Result<Self, Error> {
        if !folder.join(crate::store::sql::FILE).is_file() {
            return Err(Error::NoVault);
        }
        keep_private(folder);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(folder.join("lock"))
            .map_err(|_| Error::StoreUnavailable {
                what: "its folder cannot be written",
            })?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                folder: folder.to_owned(),
                _file: file,
            }),
            Err(std::fs::TryLockError::WouldBlock) => Err(Error::InUse),
            Err(std::fs::TryLockError::Error(_)) => Err(Error::StoreUnavailable {
                what: "its folder cannot be locked",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;

    use keyvault_protocol::{Client, PhotoKeyContext, RefusalCode};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::rehearsal;
    use crate::serve;

    struct Hands(StdMutex<Timestamp>);

    impl Clock for Hands {
        fn now(&self) -> Timestamp {
            *self.0.lock().unwrap()
        }
    }

    fn noon() -> Arc<Hands> {
        Arc::new(Hands(StdMutex::new("2026-11-21T04:00:00Z".parse().unwrap())))
    }

    fn random() -> Random {
        Box::new(StdRng::seed_from_u64(1))
    }

    #[tokio::test]
    async fn a_store_changed_under_the_open_vault_ends_its_service() {
        let folder = tempfile::tempdir().unwrap();
        let vault = rehearsal::open(folder.path(), noon(), random).await.unwrap();
        let (near, far) = tokio::io::duplex(1 << 16);
        tokio::spawn(serve::connection(far, Arc::clone(&vault)));
        let mut client = Client::connect(near).await.unwrap();
        let context = PhotoKeyContext {
            photo_id: [1; 16],
            person: [2; 16],
            profile: "print".into(),
            version: 1,
        };
        client.photo_key_new(&context).await.unwrap();
        {
            let mut inner = vault.lock().await;
            let core = &mut inner.core;
            let elsewhere = Batch {
                from_former: false,
                rows: Vec::new(),
                deleted: Vec::new(),
                entries: Vec::new(),
                high_water: core.header.high_water,
                generation: core.header.generation + 1,
            };
            core.store.commit(&elsewhere).await.unwrap();
        }
        let error = client.photo_key_new(&context).await.unwrap_err();
        assert!(error.is(RefusalCode::Damaged), "{error}");
        assert!(
            matches!(vault.lock().await.phase, Phase::Damaged(_)),
            "no key is left"
        );
        assert_eq!(client.status().await.unwrap().state, VaultState::Damaged);
        // What needs no change of the store is refused as well, and so is another unseal.
        assert!(client.anchors().await.unwrap_err().is(RefusalCode::Damaged));
        assert!(client.begin_unseal().await.unwrap_err().is(RefusalCode::Damaged));
    }

    #[tokio::test]
    async fn shares_that_nobody_came_to_complete_leave_memory_without_a_request() {
        let folder = tempfile::tempdir().unwrap();
        let clock = noon();
        let packages = rehearsal::found(folder.path(), &*clock, random()).await.unwrap();
        let vault = Vault::load(&folder.path().join("vault"), Arc::clone(&clock) as _, random())
            .await
            .unwrap();
        let share = packages[0].open(rehearsal::passphrase("li").as_bytes()).unwrap();
        rehearsal::give(&vault, &share, &mut random()).await.unwrap();
        let after = |minutes: i64| {
            let mut now = clock.0.lock().unwrap();
            *now = now.checked_add(SignedDuration::from_mins(minutes)).unwrap();
        };
        after(14);
        vault.tidy().await;
        assert!(matches!(vault.lock().await.phase, Phase::Unsealing(_)));
        after(1);
        vault.tidy().await;
        assert!(matches!(vault.lock().await.phase, Phase::Sealed));
    }

    /// Makes the open store one of the former layout: no index keys, eight counts, no tables of format 2.
    async fn turn_into_the_former(inner: &mut Inner) {
        let (core, open) = inner.open().unwrap();
        let now = core.header.high_water;
        let mut change = Change::default();
        for id in crate::card::record::INDEX_KEYS {
            change.delete(Table::Key, id.to_string().as_bytes());
        }
        open.apply(core, now, change).await.unwrap();
        let mut state = open.state.clone();
        state.counts.truncate(Table::FORMER_COUNTED);
        let generation = core.header.generation + 1;
        let plain = minicbor::to_vec(&state).unwrap();
        let row = open
            .seal_row(core, Table::State, STATE_ID, generation, &plain)
            .unwrap();
        let batch = Batch {
            from_former: false,
            rows: vec![(Table::State, row)],
            deleted: Vec::new(),
            entries: Vec::new(),
            high_water: now,
            generation,
        };
        core.store.commit(&batch).await.unwrap();
        core.store.turn_into_the_former().await;
    }

    fn copied(from: &Path) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        let to = copy.path().join("vault");
        std::fs::create_dir(&to).unwrap();
        for entry in std::fs::read_dir(from.join("vault")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        copy
    }

    /// A card's row as the former layout wrote it.
    #[derive(Encode)]
    struct FormerCard {
        #[cbor(n(0), with = "minicbor::bytes")]
        order: [u8; 16],
        #[n(1)]
        index: u32,
        #[n(2)]
        state: u8,
        #[n(3)]
        slots: Vec<FormerSlot>,
    }

    #[derive(Encode)]
    struct FormerSlot {
        #[n(0)]
        role: keyvault_protocol::Role,
        #[n(1)]
        region: keyvault_protocol::Region,
        #[n(2)]
        key_version: u8,
        #[n(3)]
        cohort: u8,
        #[cbor(n(4), with = "minicbor::bytes")]
        pid: [u8; 16],
        #[n(5)]
        issue_counter: u32,
    }

    #[tokio::test]
    async fn a_vault_of_the_former_layout_opens_with_its_versions_active_and_its_cards_counted() {
        use keyvault_protocol::{LineCheck, Role, RoleKeyState, SettlementLine};

        let folder = tempfile::tempdir().unwrap();
        let clock = noon();
        let packages = rehearsal::found(folder.path(), &*clock, random()).await.unwrap();
        let vault = rehearsal::reopen(folder.path(), &packages, Arc::clone(&clock) as _, random)
            .await
            .unwrap();
        let region: keyvault_protocol::Region = "440300".parse().unwrap();
        let serial = [4, 4, 0, 3, 0, 0, 0, 0, 0, 1];
        {
            let mut inner = vault.lock().await;
            let (core, open) = inner.open().unwrap();
            let now = core.header.high_water;
            for role in [Role::Transit, Role::SmallPayment] {
                let role = crate::card::record::spec_role(role).unwrap();
                let region = "440300".parse().unwrap();
                open.active(core, now, role, region).await.unwrap();
            }
            let slot = |role, pid| FormerSlot {
                role,
                region,
                key_version: 1,
                cohort: 3,
                pid: [pid; 16],
                issue_counter: 1,
            };
            let card = FormerCard {
                order: [1; 16],
                index: 0,
                state: 3,
                slots: vec![slot(Role::Transit, 7), slot(Role::SmallPayment, 8)],
            };
            let mut change = Change::default();
            change.put(Table::Card, &serial, &card).unwrap();
            open.apply(core, now, change).await.unwrap();
            turn_into_the_former(&mut inner).await;
        }
        let copy = copied(folder.path());
        // Once from the former layout, then from what that made of it.
        for round in 0..2 {
            let copy = copied(copy.path());
            for _ in 0..=round {
                let vault = rehearsal::reopen(copy.path(), &packages, Arc::clone(&clock) as _, random)
                    .await
                    .unwrap();
                let (near, far) = tokio::io::duplex(1 << 16);
                let served = tokio::spawn(serve::connection(far, Arc::clone(&vault)));
                let mut client = Client::connect(near).await.unwrap();
                let keys = client.role_keys().await.unwrap();
                assert_eq!(keys.len(), 2);
                for key in keys {
                    assert_eq!((key.version, key.state), (1, RoleKeyState::Active));
                    assert_eq!((key.cards, key.cards_alone), (1, 1));
                }
                assert_eq!(client.card_versions(serial).await.unwrap().len(), 2);
                // The purse's pseudonym is in the index: a wrong line is forged, not of an unknown card.
                let line = SettlementLine {
                    key_version: 1,
                    pid: [8; 16],
                    body: [0; 28],
                    seq: 1,
                    loaded: 0,
                    spent: 0,
                    tac: [0; 8],
                    before: None,
                };
                assert_eq!(client.check_lines(&[line]).await.unwrap(), [LineCheck::Forged]);
                client.deny_card(serial).await.unwrap();
                drop(client);
                served.await.unwrap().unwrap();
                assert_eq!(vault.lock().await.core.header.format, sql::FORMAT);
            }
        }
    }
}
