//! Which version of every row is the present one: known in memory while the vault is open, and held in the sealed state row
//! as one sum.
//!
//! The sum is a multiset hash (MSet-Add-Hash of Clarke, Devadas, van Dijk, Gassend and Suh, ASIACRYPT 2003): version times
//! HMAC-SHA-256(state-root key, place), added over all rows modulo 2^256. Who does not know the key, and sees no sum,
//! makes another set of rows with the same sum by chance alone. It changes with each row by one product, so a transaction
//! costs nothing that grows with the store. A row's version is the generation of the transaction that wrote it: a row that
//! was taken away and made again never has an earlier one's version.
//!
//! Left out: a root that can be shown to somebody who does not trust the vault. Witnesses will see the journal's tree.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Bound;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::Error;
use crate::keys::arena::heap;
use crate::store::sql::{Row, Table};

/// What tells rows apart in memory, in bytes. It is keyed, so nobody can look for two rows that share one: of fifty million
/// rows two do with a probability of one in a thousand million.
const TAG_LEN: usize = 10;
/// Bytes of a version in memory: as many transactions take a thousand years.
const VERSION_LEN: usize = 6;

/// A row is another one than memory says.
fn stale() -> Error {
    Error::Damaged {
        what: "a row is not the one that was written last",
    }
}

/// Gives places their names under the state-root key.
pub(crate) struct Places(Hmac<Sha256>);

impl Places {
    pub(crate) fn under(key: &[u8; 32]) -> Result<Self, Error> {
        Hmac::new_from_slice(key)
            .map(Self)
            .map_err(|_| Error::SelfTestFailed {
                what: "HMAC takes a key of 32 bytes",
            })
    }

    fn name(&self, table: Table, id: &[u8]) -> Name {
        let mut mac = self.0.clone();
        mac.update(table.name().as_bytes());
        mac.update(&[0]);
        mac.update(id);
        Name(mac.finalize().into_bytes().into())
    }
}

/// HMAC over a table's name, a zero byte and a row's id.
#[derive(Clone, Copy)]
struct Name([u8; 32]);

impl Name {
    fn tag(self) -> [u8; TAG_LEN] {
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&self.0[..TAG_LEN]);
        tag
    }
}

/// A number modulo 2^256, least significant limb first.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
struct Sum([u64; 4]);

impl Sum {
    fn of(name: Name, version: u64) -> Self {
        let mut limbs = [0; 4];
        let mut carry = 0u128;
        for (limb, bytes) in limbs.iter_mut().zip(name.0.chunks_exact(8)) {
            let word = bytes
                .iter()
                .rev()
                .fold(0u128, |word, byte| word << 8 | u128::from(*byte));
            carry += word * u128::from(version);
            *limb = low(carry);
            carry >>= 64;
        }
        Self(limbs)
    }

    fn add(&mut self, other: Self) {
        let mut carry = 0u128;
        for (limb, more) in self.0.iter_mut().zip(other.0) {
            carry += u128::from(*limb) + u128::from(more);
            *limb = low(carry);
            carry >>= 64;
        }
    }

    fn take_away(&mut self, other: Self) {
        // The complement of two: all bits turned, and one more.
        self.add(Self(other.0.map(|limb| !limb)));
        self.add(Self([1, 0, 0, 0]));
    }

    fn bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (out, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            out.copy_from_slice(&limb.to_le_bytes());
        }
        bytes
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
fn low(word: u128) -> u64 {
    word as u64
}

/// Takes a tag for its own hash: it is spread by the key already.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The present version of every row.
#[derive(Default)]
pub(crate) struct Freshness {
    sum: Sum,
    versions: HashMap<[u8; TAG_LEN], [u8; VERSION_LEN], BuildHasherDefault<Spread>>,
    /// Ids of the tables that are read in the order of their ids: what a walk must meet.
    ids: BTreeMap<Table, BTreeSet<Vec<u8>>>,
}

impl Freshness {
    /// Nothing yet, with room for so many rows.
    pub(crate) fn with_room(rows: usize) -> Self {
        Self {
            versions: heap::unsheltered(|| {
                HashMap::with_capacity_and_hasher(rows, BuildHasherDefault::default())
            }),
            ..Self::default()
        }
    }

    /// What stands in the state row.
    pub(crate) fn sum(&self) -> [u8; 32] {
        self.sum.bytes()
    }

    /// Takes note of a row that is there.
    pub(crate) fn note(
        &mut self,
        places: &Places,
        table: Table,
        id: &[u8],
        version: i64,
    ) -> Result<(), Error> {
        let version = valid(version)?;
        let name = places.name(table, id);
        if let Some(before) = self.set(table, id, name, Some(version)) {
            self.sum.take_away(Sum::of(name, before));
        }
        self.sum.add(Sum::of(name, version));
        Ok(())
    }

    /// The present version of a row.
    fn version(&self, name: Name) -> Option<u64> {
        self.versions.get(&name.tag()).copied().map(whole)
    }

    /// Whether a row is there.
    pub(crate) fn holds(&self, places: &Places, table: Table, id: &[u8]) -> bool {
        self.version(places.name(table, id)).is_some()
    }

    /// Checks what the store gave for a place: the row that was written last, and no row where there is none.
    pub(crate) fn check(
        &self,
        places: &Places,
        table: Table,
        id: &[u8],
        found: Option<&Row>,
    ) -> Result<(), Error> {
        let known = self.version(places.name(table, id));
        let found = found.map(|row| (row.id.as_slice(), u64::try_from(row.row_version).ok()));
        if found == known.map(|version| (id, Some(version))) {
            Ok(())
        } else {
            Err(stale())
        }
    }

    /// Checks a walk: up to `limit` rows behind `after`, in the order of their ids, none left out.
    pub(crate) fn check_walk(
        &self,
        places: &Places,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
        found: &[Row],
    ) -> Result<(), Error> {
        debug_assert!(table.is_walked(), "{table:?} is not walked");
        let bounds = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let known = self.ids.get(&table).into_iter();
        let known = known.flat_map(|ids| ids.range::<[u8], _>(bounds)).take(limit);
        if !found.iter().map(|row| &row.id).eq(known) {
            return Err(stale());
        }
        found
            .iter()
            .try_for_each(|row| self.check(places, table, &row.id, Some(row)))
    }

    /// Takes a change over; gives what takes it back.
    pub(crate) fn take(&mut self, change: Change) -> Before {
        let sum = std::mem::replace(&mut self.sum, change.sum);
        let rows = change.rows.into_iter();
        let rows = rows.map(|(table, id, name, version)| {
            let before = self.set(table, &id, name, version);
            (table, id, name, before)
        });
        let rows = rows.collect();
        Before(Change { sum, rows })
    }

    /// Takes a change back, the last one first.
    pub(crate) fn take_back(&mut self, Before(Change { sum, rows }): Before) {
        self.sum = sum;
        for (table, id, name, version) in rows.into_iter().rev() {
            self.set(table, &id, name, version);
        }
    }

    /// Sets the version of a row, or none; gives the one before.
    fn set(&mut self, table: Table, id: &[u8], name: Name, version: Option<u64>) -> Option<u64> {
        let Some(version) = version else {
            if let Some(ids) = self.ids.get_mut(&table) {
                ids.remove(id);
            }
            return self.versions.remove(&name.tag()).map(whole);
        };
        let mut bytes = [0; VERSION_LEN];
        bytes.copy_from_slice(&version.to_le_bytes()[..VERSION_LEN]);
        // Large in the end, and no secret.
        heap::unsheltered(|| {
            if table.is_walked() {
                self.ids.entry(table).or_default().insert(id.to_vec());
            }
            self.versions.insert(name.tag(), bytes).map(whole)
        })
    }
}

fn whole(version: [u8; VERSION_LEN]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..VERSION_LEN].copy_from_slice(&version);
    u64::from_le_bytes(bytes)
}

/// A version that memory can have.
fn valid(version: i64) -> Result<u64, Error> {
    let version = u64::try_from(version).map_err(|_| stale())?;
    if (1..1 << (8 * VERSION_LEN)).contains(&version) {
        Ok(version)
    } else {
        Err(stale())
    }
}

/// What was before a change was taken over.
pub(crate) struct Before(Change);

/// What one request makes of it.
pub(crate) struct Change {
    sum: Sum,
    rows: Vec<(Table, Vec<u8>, Name, Option<u64>)>,
}

impl Change {
    pub(crate) fn of(fresh: &Freshness) -> Self {
        Self {
            sum: fresh.sum,
            rows: Vec::new(),
        }
    }

    /// What will stand in the state row.
    pub(crate) fn sum(&self) -> [u8; 32] {
        self.sum.bytes()
    }

    /// A row is written. A transaction writes a row once.
    pub(crate) fn put(
        &mut self,
        fresh: &Freshness,
        places: &Places,
        table: Table,
        id: &[u8],
        version: i64,
    ) -> Result<(), Error> {
        let version = valid(version)?;
        let name = self.take_away(fresh, places, table, id);
        self.sum.add(Sum::of(name, version));
        self.rows.push((table, id.to_vec(), name, Some(version)));
        Ok(())
    }

    /// A row goes.
    pub(crate) fn delete(&mut self, fresh: &Freshness, places: &Places, table: Table, id: &[u8]) {
        let name = self.take_away(fresh, places, table, id);
        self.rows.push((table, id.to_vec(), name, None));
    }

    fn take_away(&mut self, fresh: &Freshness, places: &Places, table: Table, id: &[u8]) -> Name {
        let name = places.name(table, id);
        if let Some(before) = fresh.version(name) {
            self.sum.take_away(Sum::of(name, before));
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(id: u8, row_version: i64) -> Row {
        Row {
            id: vec![id],
            row_version,
            term: 1,
            sealed: Vec::new(),
        }
    }

    proptest! {
        /// Whatever was written and taken away in between: the sum says which rows there are, and nothing else.
        #[test]
        fn the_sum_is_of_the_rows_and_not_of_the_way_to_them(
            steps in proptest::collection::vec((0u8..6, any::<bool>()), 0..60),
            other in (0u8..6, 1i64..1 << 40),
        ) {
            let places = Places::under(&[7; 32]).unwrap();
            let mut fresh = Freshness::default();
            let mut rows = BTreeMap::new();
            for (version, (id, stays)) in (1i64..).zip(steps) {
                let mut change = Change::of(&fresh);
                if stays {
                    change.put(&fresh, &places, Table::Denied, &[id], version).unwrap();
                    rows.insert(id, version);
                } else {
                    change.delete(&fresh, &places, Table::Denied, &[id]);
                    rows.remove(&id);
                }
                fresh.take(change);
            }
            let sum_of = |rows: &BTreeMap<u8, i64>| {
                let mut fresh = Freshness::default();
                for (id, version) in rows.iter().rev() {
                    fresh.note(&places, Table::Denied, &[*id], *version).unwrap();
                }
                fresh.sum()
            };
            prop_assert_eq!(fresh.sum(), sum_of(&rows));
            let walked: Vec<Row> = rows.iter().map(|(id, version)| row(*id, *version)).collect();
            prop_assert!(fresh.check_walk(&places, Table::Denied, None, 100, &walked).is_ok());
            for (id, version) in &rows {
                prop_assert!(fresh.check(&places, Table::Denied, &[*id], Some(&row(*id, *version))).is_ok());
                prop_assert!(fresh.check(&places, Table::Denied, &[*id], Some(&row(*id, version - 1))).is_err());
                prop_assert!(fresh.check(&places, Table::Denied, &[*id], None).is_err());
                prop_assert!(fresh.check(&places, Table::Card, &[*id], Some(&row(*id, *version))).is_err());
            }
            if !walked.is_empty() {
                prop_assert!(fresh.check_walk(&places, Table::Denied, None, 100, &walked[1..]).is_err());
            }
            let mut changed = rows.clone();
            changed.insert(other.0, other.1);
            prop_assert_eq!(sum_of(&changed) == sum_of(&rows), changed == rows);
        }
    }

    #[test]
    fn another_key_gives_another_sum() {
        let sum = |key: u8| {
            let places = Places::under(&[key; 32]).unwrap();
            let mut fresh = Freshness::default();
            fresh.note(&places, Table::Card, b"one", 5).unwrap();
            fresh.sum()
        };
        assert_ne!(sum(1), sum(2));
    }
}
