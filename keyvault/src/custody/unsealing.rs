//! The vault as its clients meet it: sealed, unsealing, open, damaged. One task at a time has it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use keyvault_protocol::sealed::{self, Purpose};
use keyvault_protocol::{
    Attempt, ChannelKey, PointBytes, SealedShare, SignatureBytes, SignedRequest, Status, TransportStatement,
    UnsealProgress, VaultAnchors, VaultState, fingerprint,
};
use p256::SecretKey;
use program_contract::file::Lock;
use program_contract::{Clock, Founded};
use tokio::sync::{Mutex, Notify};
use zeroize::Zeroizing;

use crate::audit::journal::Event;
use crate::authority::asker::Asker;
use crate::authority::requests;
use crate::authority::signers::Signer;
use crate::card::session::Sessions;
use crate::clock::{self, Running};
use crate::custody::migration;
use crate::custody::shamir::{self, Point};
use crate::error::{Error, fault};
use crate::keys::arena::Arena;
use crate::open::folder::FolderLock;
use crate::open::group::Member;
use crate::open::transaction::{Core, Open, Random, Time, Transaction};
use crate::open::walk::Walk;
use crate::store::commitment::Commitment;
use crate::store::sql;

/// How long a request waits for the vault, and for the disk: far longer than anything that the vault does takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a group waits for the requests that are expected: far less than a commit takes.
const GATHER: Duration = Duration::from_millis(1);

/// How long the walk over the store waits between two steps: far longer than a step takes.
const PAUSE: Duration = Duration::from_millis(5);

/// With less room than this on the disk of the store somebody should look, bytes: many times what its log grows to.
const LITTLE_ROOM: u64 = 256 << 20;

/// How long an unseal attempt lives.
const ATTEMPT: SignedDuration = SignedDuration::from_mins(15);
/// How long the operating key's word for the transport key holds; it is said again when half of that is over.
const STATEMENT: SignedDuration = SignedDuration::from_hours(24);
/// How far a client's clock may be behind the vault's.
const BEHIND: SignedDuration = SignedDuration::from_mins(10);

/// A vault in a folder. Shared by all connections; each request has it alone.
pub struct Vault {
    id: [u8; 16],
    folder: PathBuf,
    /// Whether it was told that its disk has little room.
    told_of_room: AtomicBool,
    clock: Clock,
    /// Requests that have come and are not answered.
    asked: AtomicU32,
    transport: ChannelKey,
    /// What a hello is answered with, which does not wait for the vault.
    shown: RwLock<Shown>,
    patience: Duration,
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
    pub async fn load(folder: &Path, clock: Clock, mut rng: Random) -> Result<Arc<Self>, Error> {
        let lock = FolderLock::take(folder, &mut rng)?;
        Self::load_locked(lock, Arena::new()?, |_| Ok(clock), rng).await
    }

    /// As [`Vault::load`], with folder and arena that were taken before the process was isolated, and a clock that may
    /// depend on what the vault was founded as.
    ///
    /// # Errors
    /// As [`Vault::load`]; those of `clock`.
    pub async fn load_locked<E: From<Error>>(
        lock: FolderLock,
        arena: Arc<Arena>,
        clock: impl FnOnce(Founded) -> Result<Clock, E>,
        rng: Random,
    ) -> Result<Arc<Self>, E> {
        let FolderLock {
            folder,
            transport,
            file,
        } = lock;
        let core = Core::load(&folder, arena, rng).await?;
        let id = core.header.vault;
        let clock = clock(Founded::around(&id))?;
        let inner = Mutex::new(Inner {
            core,
            phase: Phase::Sealed,
            expected: 1,
            _lock: file,
        });
        Ok(Arc::new(Self {
            id,
            folder,
            told_of_room: AtomicBool::new(false),
            clock,
            transport,
            asked: AtomicU32::new(0),
            shown: RwLock::default(),
            patience: PATIENCE,
            inner,
        }))
    }

    /// Number of the vault.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// The vault as its clients' anchors have it; nothing while it is sealed.
    pub async fn anchors(&self) -> Option<VaultAnchors> {
        let mut inner = self.inner.lock().await;
        let (_, open, _) = inner.open().ok()?;
        let operating_key = open.keys.public(Signer::Operating).ok()?;
        Some(VaultAnchors {
            vault: self.id,
            operating_key: operating_key.to_point65(),
        })
    }

    /// The instant that the open vault works with; of a sealed one the latest that it has seen.
    pub async fn time(&self) -> Timestamp {
        let mut inner = self.inner.lock().await;
        let seen = inner.core.header.high_water;
        inner.open().map_or(seen, |(_, open, _)| open.time.now())
    }

    /// The public half of the vault's transport key.
    #[must_use]
    pub fn transport_key(&self) -> PointBytes {
        self.transport.public()
    }

    pub(crate) fn channel_key(&self) -> &ChannelKey {
        &self.transport
    }

    /// What a hello is answered with. It waits for the vault only where the machine slept through the time at which it is said anew.
    pub(crate) async fn shown_now(&self) -> Shown {
        let shown = self.shown();
        let now = self.clock.now();
        if shown
            .statement
            .as_ref()
            .is_none_or(|said| said.from <= now && now < said.until)
        {
            return shown;
        }
        self.show(&mut *self.inner.lock().await);
        self.shown()
    }

    fn shown(&self) -> Shown {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps what hellos are answered with in step with the vault.
    pub(crate) fn show(&self, inner: &mut Inner) {
        let mut shown = self.shown();
        let Inner { core, phase, .. } = inner;
        let Phase::Open(opened) = phase else {
            *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Shown::default();
            return;
        };
        let now = opened.open.time.now();
        let said = shown.statement.as_ref();
        // Half of it is over, or the time was set back behind its beginning.
        if said.is_none_or(|said| now + STATEMENT / 2 > said.until || now < said.from) {
            match self.statement(core, &opened.open, now) {
                Ok(statement) => shown.statement = Some(statement),
                Err(error) => tracing::error!(code = error.code(), "the transport key is not signed"),
            }
        }
        // What is not durable yet may be taken back.
        if opened.open.pending.is_none() {
            shown.generation = Some(core.header.generation());
        }
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    fn statement(&self, core: &mut Core, open: &Open, now: Timestamp) -> Result<TransportStatement, Error> {
        let (from, until) = (now - BEHIND, now + STATEMENT);
        let bytes = TransportStatement::signed_bytes(&self.id, &self.transport.public(), from, until);
        let signature: SignatureBytes = open
            .keys
            .signer(Signer::Operating)?
            .sign(&[&bytes], &mut core.rng)
            .map_err(fault)?;
        Ok(TransportStatement {
            from,
            until,
            signature,
        })
    }

    /// Whether the machine's clock shows a time at which the vault would open without a word of its custodians.
    ///
    /// # Errors
    /// [`Error::ClockBehind`], [`Error::ClockLeap`].
    pub async fn looks_at_clock(&self) -> Result<(), Error> {
        self.now(&self.inner.lock().await.core, None).map(drop)
    }

    /// The instant that the sealed vault would start with, where a custodian says that it is `said`.
    fn now(&self, core: &Core, said: Option<Date>) -> Result<Timestamp, Error> {
        let Some(said) = said else {
            return clock::present(&self.clock, core.header.high_water, Founded::around(&self.id));
        };
        let now = self.clock.now();
        if clock::day(now) == said {
            Ok(now)
        } else {
            let now = clock::day(now);
            Err(Error::NotTheDay { now, said })
        }
    }

    pub(crate) async fn lock(&self) -> tokio::sync::MutexGuard<'_, Inner> {
        self.inner.lock().await
    }

    /// What the vault and its disk come to in time.
    pub(crate) async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::time::timeout(self.patience, work)
            .await
            .map_err(|_| Error::StoreSilent)
    }

    /// Counts a request until it is answered.
    pub(crate) fn ask(&self) -> Asked<'_> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Asked(&self.asked)
    }

    /// Makes what requests changed durable, when those that are expected have joined the group, or a moment later.
    pub(crate) async fn commit(&self, full: &Notify) {
        let _ = tokio::time::timeout(GATHER, full.notified()).await;
        let mut inner = self.inner.lock().await;
        // What the caller of each request hears is said to the group.
        let _ = inner.commit().await;
        self.show(&mut inner);
        inner.expected = self.asked.load(Ordering::Relaxed);
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
            generation: inner.core.header.generation(),
        }
    }

    /// Begins an unseal attempt for the custodian with the share of this number, or joins the one that runs: there is one at a
    /// time, for 15 minutes. No number in a vault that was founded before custodians had keys: they are made when it opens.
    ///
    /// # Errors
    /// [`Error::AlreadyOpen`], [`Error::Damaged`].
    pub async fn begin_unseal(&self, begun_by: Option<u8>) -> Result<Attempt, Error> {
        let mut guard = self.inner.lock().await;
        self.forget_old_attempt(&mut guard);
        let inner = &mut *guard;
        match &inner.phase {
            Phase::Open(_) => Err(Error::AlreadyOpen),
            Phase::Damaged(error) => Err(error.clone()),
            Phase::Unsealing(attempt) => Ok(attempt.describe(&inner.core)),
            Phase::Sealed => {
                // What day it is is looked at with the first share: the custodian may say it.
                let now = self.clock.now();
                let mut id = [0u8; 16];
                inner.core.rng.fill_bytes(&mut id);
                let key = sealed::fresh_key(&mut inner.core.rng);
                let ends = now.saturating_add(ATTEMPT).map_err(|_| Error::NoAttempt)?;
                let attempt = Box::new(Unsealing {
                    id,
                    key,
                    ends,
                    over: self.clock.running() + ATTEMPT,
                    begun_by,
                    given: Vec::new(),
                    day: None,
                    request: None,
                    seen: (0, String::new()),
                });
                let described = attempt.describe(&inner.core);
                inner.phase = Phase::Unsealing(attempt);
                Ok(described)
            }
        }
    }

    /// Takes one share of the custodian with this number. A share that is wrong in any way changes nothing. Where its custodian says what day it is, the machine's
    /// clock must show that day, and may show any; one of those who open it gives the officers' `request` of that day, where
    /// there are officers.
    ///
    /// # Errors
    /// [`Error::ClockBehind`], [`Error::ClockLeap`], [`Error::NotTheDay`], [`Error::DaysDiffer`],
    /// [`Error::RequestOfAnotherVault`], [`Error::RequestExpired`], [`Error::RequestOfAnotherOpening`],
    /// [`Error::NoAttempt`], [`Error::WrongVault`], [`Error::WrongEpoch`], [`Error::WrongShare`],
    /// [`Error::SameShareTwice`], [`Error::NotOpened`], and with the last share [`Error::RolledBack`], [`Error::ClockLeaps`],
    /// [`Error::OfficersSayTheDay`], [`Error::TwoOfficersNeeded`], [`Error::Damaged`].
    pub async fn give_share(
        &self,
        given_by: Option<u8>,
        envelope: &SealedShare,
        request: Option<&SignedRequest>,
    ) -> Result<UnsealProgress, Error> {
        let mut guard = self.inner.lock().await;
        self.forget_old_attempt(&mut guard);
        let inner = &mut *guard;
        let attempt = match &mut inner.phase {
            Phase::Unsealing(attempt) if attempt.id == envelope.attempt => attempt,
            Phase::Open(_) => return Err(Error::AlreadyOpen),
            Phase::Damaged(error) => return Err(error.clone()),
            Phase::Sealed | Phase::Unsealing(_) => return Err(Error::NoAttempt),
        };
        let now = self.now(&inner.core, envelope.day).and_then(|now| {
            let check = |request| requests::says_the_day(&inner.core, request, envelope.day, now);
            request.map_or(Ok(()), check).map(|()| now)
        });
        let now = match now {
            Ok(now) => now,
            Err(error) => {
                // What a custodian began no colleague ends.
                let is_own = attempt.begun_by.is_none() || attempt.begun_by == given_by;
                if is_own && attempt.given.is_empty() {
                    inner.phase = Phase::Sealed;
                }
                return Err(error);
            }
        };
        attempt.take(&inner.core, envelope)?;
        if request.is_some() {
            attempt.request = request.cloned();
        }
        if attempt.given.len() < usize::from(inner.core.header.threshold) {
            return Ok(attempt.progress(&inner.core));
        }
        let custodians = attempt.names(&inner.core);
        let mut progress = attempt.progress(&inner.core);
        let points = std::mem::take(&mut attempt.given);
        let (seen, seen_by) = std::mem::take(&mut attempt.seen);
        let (said, request) = (attempt.day, attempt.request.take());
        // From here on the shares are gone, whatever happens.
        inner.phase = Phase::Sealed;
        // Who remembers it is told: a colleague may claim what nobody has seen, and keep the vault shut.
        let opened = unseal(&mut inner.core, &points, now, (seen, &seen_by)).await;
        drop(points);
        let opened = match opened {
            Ok(open) => {
                let said = said.map(|day| (day, request));
                self.begin_service(&mut inner.core, open, now, said, custodians)
                    .await
            }
            Err(error) => Err(error),
        };
        match opened {
            Ok(open) => {
                inner.phase = Phase::Open(Box::new(Opened {
                    open,
                    sessions: Sessions::default(),
                    is_looked_through: false,
                }));
                self.show(inner);
                progress.state = VaultState::Open;
                progress.generation = Some(inner.core.header.generation());
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

    /// What is behind every check of the store: the start is written down, and time runs from here.
    async fn begin_service(
        &self,
        core: &mut Core,
        mut open: Open,
        now: Timestamp,
        said: Option<(Date, Option<SignedRequest>)>,
        custodians: Vec<String>,
    ) -> Result<Open, Error> {
        let seen = core.header.high_water;
        let mut transaction = Transaction::default();
        if let Some((said, request)) = said {
            requests::may_set_time(&open, request.as_ref(), &mut transaction)?;
            transaction.time = Time::Set(now);
            transaction.note(Event::TimeSet {
                seen: clock::day(seen).to_string(),
                day: said.to_string(),
            });
        } else {
            let leapt = clock::leap(now, seen, open.state.leapt, open.founded)?;
            transaction.time = Time::Leapt(leapt);
        }
        transaction.note(Event::Unsealed { custodians });
        open.apply(core, now, transaction).await?;
        open.commit(core).await?;
        open.time = Running::from(self.clock.clone(), now);
        Ok(open)
    }

    /// Seals for a custodian or an officer, who is named in the journal; while it is being opened, ends the attempt that the
    /// same custodian began.
    ///
    /// # Errors
    /// [`Error::AttemptOfAnother`], and those of [`Vault::seal`].
    pub(crate) async fn seal_for(&self, asker: &Asker) -> Result<(), Error> {
        let mut inner = self.inner.lock().await;
        if let Phase::Unsealing(attempt) = &inner.phase
            && (attempt.begun_by.is_none() || attempt.begun_by != asker.share)
        {
            let began = |share: &&Commitment| Some(share.index) == attempt.begun_by;
            let beginner = inner.core.shares.iter().find(began);
            return Err(Error::AttemptOfAnother {
                custodian: beginner.map(|share| share.custodian.clone()).unwrap_or_default(),
            });
        }
        self.seal_now(&mut inner, &asker.name).await
    }

    /// Seals, for the process itself: every key leaves memory, running card sessions end.
    ///
    /// # Errors
    /// [`Error::Sealed`] when it is; [`Error::StoreUnavailable`] when that cannot be written down (it is sealed all the
    /// same).
    pub async fn seal(&self, by: &str) -> Result<(), Error> {
        self.seal_now(&mut *self.inner.lock().await, by).await
    }

    async fn seal_now(&self, inner: &mut Inner, by: &str) -> Result<(), Error> {
        let noted = match &mut inner.phase {
            Phase::Open(opened) => {
                let now = opened.open.time.now();
                let by: String = by.chars().filter(|c| !c.is_control()).take(64).collect();
                let mut transaction = Transaction::default();
                transaction.note(Event::Sealed { by });
                let noted = opened.open.apply(&mut inner.core, now, transaction).await;
                // Whoever waits for what is pending is told before the vault goes.
                opened.open.commit(&mut inner.core).await.and(noted)
            }
            Phase::Unsealing(_) => Ok(()),
            Phase::Damaged(error) => return Err(error.clone()),
            Phase::Sealed => return Err(Error::Sealed),
        };
        inner.phase = Phase::Sealed;
        self.show(inner);
        tracing::info!("the vault is sealed");
        inner.core.fold().await;
        noted
    }

    /// Folds the store's log into its file, at the end of the process: nobody who copies the file alone then copies an older vault.
    pub async fn fold(&self) {
        self.inner.lock().await.core.fold().await;
    }

    /// Forgets what nobody went on with: an unseal attempt and its shares after 15 minutes, card sessions, which hold a
    /// person's content, after 10. Called from time to time, so that nothing waits in memory for the next request, and that the
    /// store of a vault that nobody asks for anything knows what day it is.
    pub(crate) async fn expire(&self) {
        self.look_at_room();
        let mut guard = self.inner.lock().await;
        self.forget_old_attempt(&mut guard);
        let inner = &mut *guard;
        self.show(inner);
        let Phase::Open(opened) = &mut inner.phase else {
            return;
        };
        let now = opened.open.time.now();
        opened.sessions.forget_old(now);
        let mut transaction = Transaction::default();
        if let Some(machine) = opened.open.time.stands_apart() {
            let vault = clock::day(now);
            tracing::warn!(%machine, %vault, "the machine's clock was set; the open vault goes on with its own time");
            transaction.note(Event::ClockApart {
                machine: machine.to_string(),
            });
        } else if clock::day(now) == clock::day(inner.core.header.high_water) {
            return;
        }
        let noted = opened.open.apply(&mut inner.core, now, transaction).await;
        if let Err(error) = inner.commit().await.and(noted) {
            tracing::error!(code = error.code(), "the time could not be written down");
        }
    }

    /// Says once that the disk of the store has little room: before its next write is refused.
    fn look_at_room(&self) {
        let Ok(disk) = rustix::fs::statvfs(&self.folder) else {
            return;
        };
        let left = disk.f_bavail.saturating_mul(disk.f_frsize);
        let is_little = left < LITTLE_ROOM;
        if is_little && !self.told_of_room.load(Ordering::Relaxed) {
            tracing::warn!(
                mebibytes = left >> 20,
                "the disk of the store has little room left: make room, before nothing can be written"
            );
        }
        self.told_of_room.store(is_little, Ordering::Relaxed);
    }

    /// Opens every row of the open store once, a few at a time, and writes that down. What is damaged ends the service.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Sealed`], [`Error::StoreUnavailable`].
    pub async fn look_through(&self) -> Result<(), Error> {
        let mut walk = Walk::default();
        loop {
            let mut inner = self.inner.lock().await;
            let (core, open, _) = inner.open()?;
            let outcome = match walk.step(core, open).await {
                Ok(true) => Ok(()),
                Ok(false) => {
                    let mut transaction = Transaction::default();
                    transaction.note(Event::StoreLookedThrough { rows: walk.rows });
                    let noted = open.apply(core, open.time.now(), transaction).await;
                    return inner.commit().await.and(noted);
                }
                Err(error) => Err(error),
            };
            if let Err(error @ Error::Damaged { .. }) = &outcome {
                inner.give_up(error);
            }
            outcome?;
            drop(inner);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Looks through the store if nobody has since it was opened.
    pub(crate) async fn look_through_once(&self) {
        match &mut self.inner.lock().await.phase {
            Phase::Open(opened) if !opened.is_looked_through => opened.is_looked_through = true,
            _ => return,
        }
        if let Err(error) = self.look_through().await {
            tracing::warn!(code = error.code(), "the store was not looked through to its end");
        }
    }

    fn forget_old_attempt(&self, inner: &mut Inner) {
        let over = match &inner.phase {
            Phase::Unsealing(attempt) => self.clock.running() >= attempt.over,
            _ => false,
        };
        if over {
            inner.phase = Phase::Sealed;
        }
    }
}

/// A request that is counted until it is answered.
pub(crate) struct Asked<'a>(&'a AtomicU32);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a hello is answered with: nothing of a sealed vault.
#[derive(Clone, Default)]
pub(crate) struct Shown {
    /// The operating key's word for the transport key.
    pub(crate) statement: Option<TransportStatement>,
    /// Generation of the store.
    pub(crate) generation: Option<u64>,
}

pub(crate) struct Inner {
    pub(crate) core: Core,
    phase: Phase,
    /// How many requests came while the last group became durable: so many may join the next one.
    expected: u32,
    _lock: Lock,
}

/// The open vault, and the card sessions that run beside it.
struct Opened {
    open: Open,
    sessions: Sessions,
    /// Whether somebody has begun to open every row.
    is_looked_through: bool,
}

enum Phase {
    Sealed,
    Unsealing(Box<Unsealing>),
    Open(Box<Opened>),
    Damaged(Error),
}

impl Inner {
    /// The store was found damaged while it served: nothing goes on with it, and the keys leave memory.
    pub(crate) fn give_up(&mut self, error: &Error) {
        if matches!(self.phase, Phase::Open(_)) {
            tracing::error!(code = error.code(), "the vault has closed itself");
            let before = std::mem::replace(&mut self.phase, Phase::Damaged(error.clone()));
            if let Phase::Open(mut opened) = before
                && let Some(pending) = opened.open.pending.take()
            {
                pending.group.tell(Err(error.clone()));
            }
        }
    }

    /// What the request that was just done has to wait for: nothing, when all is durable that it may have seen.
    pub(crate) fn join(&mut self) -> Option<Member> {
        let Phase::Open(opened) = &mut self.phase else {
            return None;
        };
        if let Some(pending) = &mut opened.open.pending {
            return Some(pending.group.join(self.expected));
        }
        opened.sessions.settle(true);
        None
    }

    /// Makes what is pending durable, or takes it back.
    pub(crate) async fn commit(&mut self) -> Result<(), Error> {
        let Phase::Open(opened) = &mut self.phase else {
            return Ok(());
        };
        let outcome = opened.open.commit(&mut self.core).await;
        opened.sessions.settle(outcome.is_ok());
        if let Err(error @ Error::Damaged { .. }) = &outcome {
            self.give_up(error);
        }
        outcome
    }

    /// Whose key it is that a channel proved.
    pub(crate) fn asker(&self, key: &PointBytes) -> Result<Asker, Error> {
        if let Some(custodian) = self.core.custodian(key) {
            return Ok(Asker::custodian(custodian));
        }
        match &self.phase {
            Phase::Open(opened) => opened.open.asker(key),
            _ => Ok(Asker::anyone()),
        }
    }

    /// Whether custodians have keys: in a vault of a format of before whoever has a share is one.
    pub(crate) fn has_custodians(&self) -> bool {
        sql::has_custodians(self.core.header.format)
    }

    /// The open vault, what it works on, and the card sessions beside it.
    pub(crate) fn open(&mut self) -> Result<(&mut Core, &mut Open, &mut Sessions), Error> {
        match &mut self.phase {
            Phase::Open(opened) => Ok((&mut self.core, &mut opened.open, &mut opened.sessions)),
            Phase::Damaged(error) => Err(error.clone()),
            Phase::Sealed | Phase::Unsealing(_) => Err(Error::Sealed),
        }
    }
}

/// From enough shares to the open vault, if its store is of no earlier generation than `seen`. A store of a format of before becomes one
/// of the present.
pub(crate) async fn unseal(
    core: &mut Core,
    points: &[Point],
    now: Timestamp,
    (seen, seen_by): (u64, &str),
) -> Result<Open, Error> {
    let secret = shamir::combine(points).ok_or(Error::NoAttempt)?;
    let mut open = core.unlock(&secret).await?;
    // It stands in the sealed state row too, which was compared.
    let found = core.header.generation();
    if found < seen {
        let custodian = seen_by.to_owned();
        return Err(Error::RolledBack {
            custodian,
            found,
            seen,
        });
    }
    if core.header.format == sql::FIRST_FORMAT {
        migration::bring_up_to_date(core, &mut open, now).await?;
    } else {
        open.load_roles(core).await?;
    }
    if core.header.format == sql::WITHOUT_CUSTODIANS {
        migration::make_custodians_keys(core, &mut open, points, now).await?;
    }
    if core.header.format == sql::WITHOUT_SUM {
        migration::take_rows_for_present(core, &mut open, now).await?;
    }
    if core.header.format == sql::WITHOUT_CALLERS {
        migration::make_access_list(core, &mut open, now).await?;
    } else {
        open.load_callers(core).await?;
    }
    open.load_counts(core).await?;
    Ok(open)
}

/// An unseal attempt.
struct Unsealing {
    id: [u8; 16],
    key: SecretKey,
    ends: Timestamp,
    /// What the boot clock shows at its end.
    over: SignedDuration,
    /// Number of the custodian who began it; none in a vault of before, where nobody had to say.
    begun_by: Option<u8>,
    given: Vec<Point>,
    /// The day that they all said, or none of them.
    day: Option<Date>,
    /// The officers' request for that day; whose signatures count is looked at when the store is open.
    request: Option<SignedRequest>,
    /// The newest generation that one of their custodians remembers, and who that is.
    seen: (u64, String),
}

impl Unsealing {
    fn take(&mut self, core: &Core, envelope: &SealedShare) -> Result<(), Error> {
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
        if !self.given.is_empty() && self.day != envelope.day {
            return Err(Error::DaysDiffer);
        }
        if self.given.iter().any(|point| point.x == envelope.index) {
            return Err(Error::SameShareTwice {
                custodian: commitment.custodian.clone(),
            });
        }
        let context = SealedShare::context(
            &self.id,
            &envelope.vault,
            envelope.epoch,
            envelope.index,
            envelope.seen,
            envelope.day,
        );
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
        if envelope.seen > self.seen.0 {
            self.seen = (envelope.seen, commitment.custodian.clone());
        }
        self.day = envelope.day;
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
            generation: None,
        }
    }

    fn describe(&self, core: &Core) -> Attempt {
        let key = sealed::point_of(&self.key.public_key());
        Attempt {
            id: self.id,
            key,
            fingerprint: fingerprint(&key),
            given: self.names(core),
            ends: self.ends,
        }
    }
}

#[cfg(test)]
mod tests;
