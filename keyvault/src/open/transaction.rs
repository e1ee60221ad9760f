//! The open vault: rows are read through it, and everything durable goes through [`Open::apply`], which changes rows, journal
//! and state in memory, and [`Open::commit`], which writes what several requests changed in one transaction or takes it back.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use keyvault_protocol::{CallerEntry, Counted, PointBytes};
use minicbor::{Decode, Encode};
use program_contract::Founded;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::audit::journal::{self, Event, STRIDE};
use crate::authority::asker::Asker;
use crate::authority::ceilings::{self, Counts, Use};
use crate::clock::Running;
use crate::error::Error;
use crate::keys::arena::{Arena, OpenKey};
use crate::keys::material::{KeyId, KeyRecord, Keys};
use crate::keys::version::{RoleKeyId, RoleKeyRow, Roles};
use crate::open::callers::{Callers, ForWhom};
use crate::open::freshness::{Before, Change, Freshness, Places};
use crate::open::group::Group;
use crate::store::commitment::Commitment;
use crate::store::sealing::{self, Place, SUITE};
use crate::store::sql::{self, Batch, Entry, Header, Row, Store, Table};
use crate::store::staged::Staged;

/// The random source of the vault.
pub type Random = Box<dyn CryptoRng + Send>;

/// Id of the one row of the state table.
pub(crate) const STATE_ID: &[u8] = b"state";

/// What both the sealed and the open vault have.
pub(crate) struct Core {
    pub(crate) store: Store,
    /// What the next commit writes: reads see it already.
    pub(crate) staged: Staged,
    /// The header as it is on disk, but for its time, which is that of the last change.
    pub(crate) header: Header,
    pub(crate) shares: Vec<Commitment>,
    pub(crate) arena: Arc<Arena>,
    pub(crate) rng: Random,
}

impl Core {
    /// Folds the store's log into its file. Where that fails everything still stands in the log, which is read at the next start.
    pub(crate) async fn fold(&mut self) {
        if let Err(error) = self.store.fold().await {
            tracing::warn!(%error, "the log of the store was not folded in");
        }
    }

    /// Opens the store; no key is in memory yet.
    pub(crate) async fn load(folder: &Path, arena: Arc<Arena>, rng: Random) -> Result<Self, Error> {
        let mut store = Store::open(folder).await?;
        let (header, shares) = store.header().await?;
        Ok(Self {
            store,
            staged: Staged::default(),
            header,
            shares,
            arena,
            rng,
        })
    }

    /// Up to `limit` rows behind `after`, as the next commit leaves them.
    async fn rows_after(&mut self, table: Table, after: &[u8], limit: usize) -> Result<Vec<Row>, Error> {
        let fetched = limit.saturating_add(self.staged.len(table));
        let rows = self.store.rows_after(table, after, fetched).await?;
        Ok(self.staged.over(table, after, limit, rows))
    }

    /// Up to `limit` entries of the journal behind `after`.
    pub(crate) async fn entries_after(&mut self, after: i64, limit: usize) -> Result<Vec<Entry>, Error> {
        let mut entries = self.store.entries_after(after, limit).await?;
        let staged = self.staged.entries.iter().filter(|entry| entry.seq > after);
        entries.extend(staged.take(limit.saturating_sub(entries.len())).cloned());
        Ok(entries)
    }

    /// The custodian whose key this is.
    pub(crate) fn custodian(&self, key: &PointBytes) -> Option<&Commitment> {
        self.shares.iter().find(|share| share.key.as_ref() == Some(key))
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

/// The open vault: keys and state.
pub(crate) struct Open {
    pub(crate) ring: Ring,
    pub(crate) keys: Keys,
    /// States of the role keys' versions, as they are on disk.
    pub(crate) roles: Roles,
    /// The access list, as it is on disk.
    pub(crate) callers: Callers,
    /// What is being done for whom; the gate says it with each request.
    pub(crate) asked: ForWhom,
    pub(crate) state: State,
    /// The present version of every row.
    pub(crate) fresh: Freshness,
    /// What the installation was founded as.
    pub(crate) founded: Founded,
    pub(crate) time: Running,
    /// What each caller has used of its day.
    pub(crate) counts: Counts,
    /// The changes that are not durable yet.
    pub(crate) pending: Option<Box<Pending>>,
}

/// Changes that are not durable yet: what was before them, and who waits for them.
pub(crate) struct Pending {
    state: State,
    high_water: Timestamp,
    rows: Vec<Before>,
    roles: Vec<(RoleKeyId, Option<RoleKeyRow>)>,
    callers: Vec<(String, Option<CallerEntry>)>,
    /// Keys that came with them.
    made: Vec<KeyId>,
    /// Keys that go when they are durable.
    gone: Vec<KeyId>,
    from_first_format: bool,
    custodians: Vec<Commitment>,
    with_sum: bool,
    with_callers: bool,
    counts: Vec<ceilings::Before>,
    pub(crate) group: Group,
}

impl Open {
    /// Reads one row.
    pub(crate) async fn get<T: for<'b> Decode<'b, ()>>(
        &self,
        core: &mut Core,
        table: Table,
        id: &[u8],
    ) -> Result<Option<T>, Error> {
        let row = match core.staged.row(table, id) {
            Some(staged) => staged.clone(),
            None => core.store.row(table, id).await?,
        };
        self.fresh.check(&self.places()?, table, id, row.as_ref())?;
        let Some(row) = row else {
            return Ok(None);
        };
        let plain = core.open_row(&self.ring, table, &row)?;
        minicbor::decode(&plain)
            .map(Some)
            .map_err(|_| Error::Damaged { what: "a row" })
    }

    /// All rows of a table that is walked ([`Table::is_walked`]), in the order of their ids.
    pub(crate) async fn rows(&self, core: &mut Core, table: Table) -> Result<Vec<Row>, Error> {
        let rows = core.store.rows(table).await?;
        let rows = core.staged.over(table, &[], usize::MAX, rows);
        self.fresh
            .check_walk(&self.places()?, table, None, usize::MAX, &rows)?;
        Ok(rows)
    }

    /// Up to `limit` rows of any table with ids behind `after`, each the one that was written last. Whether one is left out is not
    /// known.
    pub(crate) async fn some_after(
        &self,
        core: &mut Core,
        table: Table,
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, Error> {
        let rows = core.rows_after(table, after, limit).await?;
        let places = self.places()?;
        rows.iter()
            .try_for_each(|row| self.fresh.check(&places, table, &row.id, Some(row)))?;
        Ok(rows)
    }

    /// Up to `limit` rows of such a table with ids behind `after`, in the order of their ids.
    pub(crate) async fn rows_after(
        &self,
        core: &mut Core,
        table: Table,
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, Error> {
        let rows = core.rows_after(table, after, limit).await?;
        self.fresh
            .check_walk(&self.places()?, table, Some(after), limit, &rows)?;
        Ok(rows)
    }

    /// Whose key it is: an entry of the access list, which may be suspended.
    pub(crate) fn asker(&self, key: &PointBytes) -> Result<Asker, Error> {
        match self.caller(key) {
            Some(entry) if entry.suspended.is_some() => Err(Error::CallerSuspended),
            Some(entry) => Ok(Asker::enrolled(&entry.enrolment)),
            None => Ok(Asker::anyone()),
        }
    }

    fn places(&self) -> Result<Places, Error> {
        Places::under(self.ring.state_root.expose())
    }

    /// Changes rows, journal and state, in memory; [`Open::commit`] makes that durable with all else that is pending. On an error
    /// nothing has changed.
    #[expect(
        clippy::unused_async,
        reason = "a wing waits here for what it changes, and knows nothing of groups"
    )]
    pub(crate) async fn apply(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        transaction: Transaction,
    ) -> Result<(), Error> {
        let mut state = self.state.clone();
        let generation = core.header.generation + 1;
        let Transaction {
            mut rows,
            deleted,
            roles,
            callers,
            mut events,
            from_first_format,
            custodians,
            with_sum,
            with_callers,
            time,
            uses,
        } = transaction;
        let charged = self.counts.charge(&uses, now)?;
        let format = core.header.format + steps(from_first_format, &custodians, with_sum, with_callers);
        state.counts.resize(Table::counted(format).len(), 0);
        let high_water = state.take_time(time, now, core.header.high_water);
        rows.extend(kept_in_memory(&roles, &callers)?);
        for row in charged.rows() {
            let (id, plain) = row?;
            rows.push((Table::Count, id, Zeroizing::new(plain)));
        }
        events.extend(charged.events());
        let entries = state.write_down(&events, now, &self.asked)?;
        if format > sql::WITHOUT_CALLERS {
            for entry in entries.iter().filter(|entry| entry.seq % STRIDE == 0) {
                rows.push(milestone(entry.seq, entry.hash)?);
            }
        }
        let mut staged: Vec<(Table, Vec<u8>, Option<Row>)> = Vec::new();
        let mut change = Change::of(&self.fresh);
        let places = self.places()?;
        for (table, id) in deleted {
            if self.fresh.holds(&places, table, &id) {
                state.count(table, -1);
                change.delete(&self.fresh, &places, table, &id);
                staged.push((table, id, None));
            }
        }
        for (table, id, plain) in rows {
            if !self.fresh.holds(&places, table, &id) {
                state.count(table, 1);
            }
            change.put(&self.fresh, &places, table, &id, generation)?;
            let row = self.seal_row(core, table, &id, generation, &plain)?;
            staged.push((table, id, Some(row)));
        }
        drop(places);
        state.rows = Some(change.sum());
        if !custodians.is_empty() {
            state.header = header_digest(&core.header, &custodians);
        }
        state.high_water = high_water.as_second();
        // Nothing fails from here on.
        let before = std::mem::replace(&mut self.state, state);
        let high_water = std::mem::replace(&mut core.header.high_water, high_water);
        let pending = self
            .pending
            .get_or_insert_with(|| Box::new(Pending::behind(before, high_water)));
        pending.from_first_format |= from_first_format;
        pending.with_sum |= with_sum;
        pending.with_callers |= with_callers;
        pending.counts.push(self.counts.take(charged));
        pending.custodians.extend(custodians);
        pending.rows.push(self.fresh.take(change));
        for (id, row) in roles {
            pending.roles.push((id, self.roles.insert(id, row)));
        }
        for (name, entry) in callers {
            let before = self.callers.insert(name.clone(), entry);
            pending.callers.push((name, before));
        }
        for (table, id, row) in staged {
            core.staged.set(table, &id, row);
        }
        core.staged.entries.extend(entries);
        Ok(())
    }

    /// Makes what is pending durable: rows, journal, state row and header in one transaction. On an error memory is as it was
    /// before all of it, and everybody who waits is told.
    pub(crate) async fn commit(&mut self, core: &mut Core) -> Result<(), Error> {
        let Some(pending) = self.pending.take() else {
            return Ok(());
        };
        let mut outcome = self.write(core, &pending).await;
        core.staged = Staged::default();
        // A disk that fails behind the last byte may keep what it says it did not.
        let is_durable = match &outcome {
            Ok(()) => true,
            Err(Error::Damaged { .. }) => false,
            Err(_) => core.store.generation().await == Ok(core.header.generation + 1),
        };
        if is_durable && outcome.is_err() {
            outcome = Err(Error::StoreSilent);
        }
        let Pending {
            state,
            high_water,
            rows,
            roles,
            callers,
            made,
            gone,
            from_first_format,
            custodians,
            with_sum,
            with_callers,
            counts,
            group,
        } = *pending;
        if is_durable {
            core.header.generation += 1;
            core.header.format += steps(from_first_format, &custodians, with_sum, with_callers);
            if !custodians.is_empty() {
                core.shares = custodians;
            }
            for id in gone {
                self.keys.forget(id);
            }
        } else {
            self.state = state;
            core.header.high_water = high_water;
            for before in rows.into_iter().rev() {
                self.fresh.take_back(before);
            }
            for (id, before) in roles.into_iter().rev() {
                match before {
                    Some(row) => self.roles.insert(id, row),
                    None => self.roles.remove(&id),
                };
            }
            for (name, before) in callers.into_iter().rev() {
                match before {
                    Some(entry) => self.callers.insert(name, entry),
                    None => self.callers.remove(&name),
                };
            }
            for id in made {
                self.keys.forget(id);
            }
            for before in counts.into_iter().rev() {
                self.counts.take_back(before);
            }
        }
        group.tell(outcome.clone());
        outcome
    }

    async fn write(&self, core: &mut Core, pending: &Pending) -> Result<(), Error> {
        let generation = core.header.generation + 1;
        let keys = pending.custodians.iter();
        let keys = keys.filter_map(|share| Some((share.index, share.key?)));
        let epoch = core.header.epoch;
        let Staged { rows, entries } = std::mem::take(&mut core.staged);
        let mut batch = Batch {
            from_first_format: pending.from_first_format,
            custodians: keys.map(|(number, key)| (epoch, number, key)).collect(),
            with_sum: pending.with_sum,
            with_callers: pending.with_callers,
            rows: Vec::new(),
            deleted: Vec::new(),
            entries,
            high_water: core.header.high_water,
            generation,
        };
        for (table, rows) in rows {
            for (id, row) in rows {
                match row {
                    Some(row) => batch.rows.push((table, row)),
                    None => batch.deleted.push((table, id)),
                }
            }
        }
        let plain = minicbor::to_vec(&self.state).map_err(|_| Error::Damaged {
            what: "the state row",
        })?;
        let state = self.seal_row(core, Table::State, STATE_ID, generation, &plain)?;
        batch.rows.push((Table::State, state));
        core.store.commit(&batch).await
    }

    /// A key that leaves memory with what is pending.
    pub(crate) fn forget_key(&mut self, id: KeyId) {
        match &mut self.pending {
            Some(pending) => pending.gone.push(id),
            None => self.keys.forget(id),
        }
    }

    pub(crate) fn seal_row(
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

    /// Counts what leaves no other row.
    pub(crate) async fn spend(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        counted: Counted,
        by: u64,
    ) -> Result<(), Error> {
        let mut transaction = Transaction::default();
        transaction.spend(counted, by);
        let charged = self.counts.charge(&transaction.uses, now)?;
        if charged.is_of_a_block() {
            self.counts.take(charged);
            return Ok(());
        }
        self.apply(core, now, transaction).await
    }

    /// Makes fresh keys, in one transaction with `transaction`, and takes them into use.
    pub(crate) async fn make_keys(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        ids: &[KeyId],
        mut transaction: Transaction,
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
            transaction.put(Table::Key, id.to_string().as_bytes(), &record)?;
            transaction.note(Event::KeyMade {
                id: id.to_string(),
                check: Keys::check_value(*id, &key)?,
            });
            made.insert(*id, key);
        }
        self.apply(core, now, transaction).await?;
        if let Some(pending) = &mut self.pending {
            pending.made.extend(made.keys());
        }
        made.into_iter()
            .try_for_each(|(id, key)| self.keys.insert(id, key))
    }
}

impl Pending {
    fn behind(state: State, high_water: Timestamp) -> Self {
        Self {
            state,
            high_water,
            rows: Vec::new(),
            roles: Vec::new(),
            callers: Vec::new(),
            made: Vec::new(),
            gone: Vec::new(),
            from_first_format: false,
            custodians: Vec::new(),
            with_sum: false,
            with_callers: false,
            counts: Vec::new(),
            group: Group::new(),
        }
    }
}

/// How many formats a transaction goes on; each step is made durable before the next one begins.
fn steps(from_first_format: bool, custodians: &[Commitment], with_sum: bool, with_callers: bool) -> i64 {
    let steps = [from_first_format, !custodians.is_empty(), with_sum, with_callers];
    steps.into_iter().map(i64::from).sum()
}

/// Table, id and plain value of a row that is written.
type PlainRow = (Table, Vec<u8>, Zeroizing<Vec<u8>>);

/// The row of a milestone.
fn milestone(seq: i64, hash: [u8; 32]) -> Result<PlainRow, Error> {
    let plain = minicbor::to_vec(minicbor::bytes::ByteArray::from(hash)).map_err(|_| Error::Damaged {
        what: "a milestone of the journal",
    })?;
    Ok((
        Table::Milestone,
        seq.to_be_bytes().to_vec(),
        Zeroizing::new(plain),
    ))
}

/// The rows of what is in memory too.
fn kept_in_memory(roles: &Roles, callers: &Callers) -> Result<Vec<PlainRow>, Error> {
    let mut rows = Vec::new();
    for (id, row) in roles {
        let plain = minicbor::to_vec(row).map_err(|_| Error::Damaged {
            what: "a key version's row",
        })?;
        rows.push((Table::RoleKey, id.row_id().to_vec(), Zeroizing::new(plain)));
    }
    for (name, entry) in callers {
        let plain = minicbor::to_vec(entry).map_err(|_| Error::Damaged {
            what: "an entry of the access list",
        })?;
        rows.push((Table::Caller, name.as_bytes().to_vec(), Zeroizing::new(plain)));
    }
    Ok(rows)
}

/// What one request changes, all or nothing.
#[derive(Default)]
pub(crate) struct Transaction {
    pub(crate) rows: Vec<PlainRow>,
    pub(crate) deleted: Vec<(Table, Vec<u8>)>,
    /// Key versions whose rows change.
    pub(crate) roles: Roles,
    /// Entries of the access list that are new or change.
    pub(crate) callers: Callers,
    pub(crate) events: Vec<Event>,
    pub(crate) from_first_format: bool,
    /// The commitments of a store of format 2, with the custodians' keys that make it one of format 3.
    pub(crate) custodians: Vec<Commitment>,
    /// Whether this transaction, whose state row has the sum over the rows as any, turns format 3 into format 4.
    pub(crate) with_sum: bool,
    /// Whether it turns format 4 into format 5.
    pub(crate) with_callers: bool,
    pub(crate) time: Time,
    /// What counts against ceilings.
    pub(crate) uses: Vec<Use>,
}

/// What a transaction makes of the vault's time.
#[derive(Clone, Copy, Default)]
pub(crate) enum Time {
    /// It goes on.
    #[default]
    GoesOn,
    /// A start leapt over so many seconds.
    Leapt(i64),
    /// Those who opened it said that it is this.
    Set(Timestamp),
}

impl Transaction {
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
        self.deleted.retain(|(t, i)| *t != table || i != id);
        self.deleted.push((table, id.to_vec()));
    }

    /// A row that this transaction puts already: what reads before it writes must look here first.
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

    /// Keeps the hash of an entry that is there already.
    pub(crate) fn put_milestone(&mut self, seq: i64, hash: [u8; 32]) -> Result<(), Error> {
        self.rows.push(milestone(seq, hash)?);
        Ok(())
    }

    /// Counts a load of so much money; none is none.
    pub(crate) fn spend_on_load(&mut self, fen: u32) {
        if fen > 0 {
            self.spend(Counted::Loads, 1);
            self.spend(Counted::Fen, fen.into());
        }
    }

    /// Counts against a ceiling of who asks.
    pub(crate) fn spend(&mut self, counted: Counted, by: u64) {
        self.uses.push(Use {
            of: None,
            counted,
            by,
        });
    }
}

impl Transaction {
    /// The transaction that turns format 1 into format 2.
    pub(crate) fn from_first_format() -> Self {
        Self {
            from_first_format: true,
            ..Self::default()
        }
    }
}

impl Transaction {
    /// A version's row as it will be.
    pub(crate) fn role(&mut self, open: &Open, id: RoleKeyId) -> Result<&mut RoleKeyRow, Error> {
        let known = open.roles.get(&id);
        match self.roles.entry(id) {
            std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::btree_map::Entry::Vacant(entry) => {
                Ok(entry.insert(known.cloned().ok_or(Error::Damaged {
                    what: "a card has a key version that the vault does not know",
                })?))
            }
        }
    }
}

/// Keys under the root key.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Keys of the barrier terms.
    pub(crate) barrier: BTreeMap<i64, OpenKey>,
    /// Key of hedged nonces.
    pub(crate) nonce: OpenKey,
    /// Key of the sum over all rows.
    pub(crate) state_root: OpenKey,
}

/// Names of the ring's rows.
pub(crate) const RING_NONCE: &str = "nonce";

pub(crate) const RING_STATE_ROOT: &str = "state-root";

/// Name of a barrier term's row.
pub(crate) fn ring_barrier(term: i64) -> String {
    format!("barrier/{term}")
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
    /// The sum over all rows but this one ([`Freshness::sum`]); none before format 4.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub(crate) rows: Option<[u8; 32]>,
    /// Seconds over which starts have leapt since the time was last set.
    #[cbor(n(6), default)]
    pub(crate) leapt: i64,
    /// How often the time was set back: what was accepted before has ended.
    #[cbor(n(7), default)]
    pub(crate) set_back: u32,
}

impl State {
    /// The high-water mark behind a transaction of `now`.
    fn take_time(&mut self, time: Time, now: Timestamp, before: Timestamp) -> Timestamp {
        match time {
            Time::GoesOn => {}
            Time::Leapt(seconds) => self.leapt = self.leapt.saturating_add(seconds),
            Time::Set(to) => {
                self.leapt = 0;
                if to < before {
                    self.set_back = self.set_back.saturating_add(1);
                }
                return to;
            }
        }
        now.max(before)
    }

    /// The entries of what happened.
    fn write_down(&mut self, events: &[Event], now: Timestamp, asked: &ForWhom) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        for event in events {
            let head = (self.journal_seq, self.journal_head);
            let entry = journal::entry(head, now.as_second(), event, asked)?;
            (self.journal_seq, self.journal_head) = (entry.seq, entry.hash);
            entries.push(entry);
        }
        Ok(entries)
    }

    /// A row more or less in a table.
    pub(crate) fn count(&mut self, table: Table, by: i64) {
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
    // All commitments have the keys of their custodians, or none has.
    let has_keys = shares.iter().any(|share| share.key.is_some());
    hash.update(if has_keys {
        b"YZT-HEADER-2"
    } else {
        b"YZT-HEADER-1"
    });
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
        if let Some(key) = &share.key {
            hash.update(key);
        }
    }
    hash.finalize().into()
}
