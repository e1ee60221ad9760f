//! From the unseal secret to the keys: root key, ring, state, the version of every row, and the journal.
//!
//! Which rows there are is checked before anything is used. What is in them is opened where it is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use hkdf::Hkdf;
use program_contract::{Clock, Founded};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::audit::journal;
use crate::authority::ceilings::Counts;
use crate::clock::Running;
use crate::error::Error;
use crate::keys::arena::OpenKey;
use crate::keys::material::{KeyRecord, Keys};
use crate::keys::version::Roles;
use crate::open::callers::{Callers, ForWhom};
use crate::open::freshness::{Freshness, Places};
use crate::open::transaction::{
    Core, Open, RING_NONCE, RING_STATE_ROOT, Ring, STATE_ID, State, header_digest,
};
use crate::store::sealing::{self, Place};
use crate::store::sql::{self, Header, Table};

/// Rows and entries read at once while everything is checked at unseal.
pub(crate) const CHUNK: usize = 4096;

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

    /// From the unseal secret to ring, keys, the version of every row, journal, self-test; the versions of role keys are not read yet.
    pub(crate) async fn unlock(&mut self, secret: &[u8; 32]) -> Result<Open, Error> {
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
        let state = self.open_state(&ring).await?;
        let fresh = self.check_rows(&ring, &state).await?;
        self.check_journal(&state).await?;
        let mut open = Open {
            keys: Keys::new(Arc::clone(&self.arena)),
            roles: Roles::new(),
            callers: Callers::new(),
            asked: ForWhom::default(),
            state,
            fresh,
            founded: Founded::around(&self.header.vault),
            // Until the vault is open and goes on with the machine's.
            time: Running::from(Clock::fixed(self.header.high_water), self.header.high_water),
            counts: Counts::default(),
            ring,
            pending: None,
        };
        open.load_keys(self).await?;
        open.keys.self_test(&mut self.rng)?;
        Ok(open)
    }

    pub(crate) fn to_arena(&self, plain: &mut Zeroizing<Vec<u8>>) -> Result<OpenKey, Error> {
        let mut key: [u8; 32] = plain.as_slice().try_into().map_err(|_| Error::Damaged {
            what: "a key of wrong length",
        })?;
        plain.zeroize();
        OpenKey::store(&self.arena, &mut key)
    }

    pub(crate) async fn open_ring(&mut self, root: &OpenKey) -> Result<Ring, Error> {
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

    pub(crate) async fn open_state(&mut self, ring: &Ring) -> Result<State, Error> {
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
            // The format is in clear; what the state counts and adds up is not.
            && state.counts.len() == Table::counted(self.header.format).len()
            && (state.rows.is_some() || self.header.format <= sql::WITHOUT_SUM);
        if agrees {
            Ok(state)
        } else {
            Err(Error::Damaged {
                what: "header and state do not agree",
            })
        }
    }

    /// Reads which rows there are, and compares that with the state row: nothing older, missing or added is found later. What is
    /// in a row is opened when it is read, under its version, and once in the background ([`crate::open::walk`]).
    async fn check_rows(&mut self, ring: &Ring, state: &State) -> Result<Freshness, Error> {
        let rows = state.counts.iter().sum::<i64>();
        let mut fresh = Freshness::with_room(usize::try_from(rows).unwrap_or(0));
        let places = Places::under(ring.state_root.expose())?;
        for (table, expected) in Table::counted(self.header.format).iter().zip(&state.counts) {
            let mut count = 0i64;
            let mut rows = self.store.versions_after(*table, &[], CHUNK).await?;
            while let Some(last) = rows.last()? {
                let note = |id: &[u8], version| {
                    count += 1;
                    if *id > *last {
                        return Err(Error::Damaged { what: "a row" });
                    }
                    fresh.note(&places, *table, id, version)
                };
                // The store looks for the next ones while these are worked through.
                let next = self.store.versions_after(*table, &last, CHUNK);
                let (next, noted) = tokio::join!(next, async { rows.each(note) });
                noted?;
                rows = next?;
            }
            if count != *expected {
                return Err(Error::Damaged {
                    what: "rows are missing, or there are too many",
                });
            }
        }
        if state.rows.is_some_and(|sum| sum != fresh.sum()) {
            return Err(Error::Damaged {
                what: "rows are not those that were written last",
            });
        }
        Ok(fresh)
    }

    /// Looks whether the journal ends where the state row says; what is before its end is proved when it is read
    /// ([`crate::audit::reading`]). Where there are no milestones yet, walks it from its beginning.
    async fn check_journal(&mut self, state: &State) -> Result<(), Error> {
        let (mut seq, mut head) = (0, journal::GENESIS);
        if self.header.format > sql::WITHOUT_CALLERS {
            seq = state.journal_seq - 1;
            let last = self.store.entries_after(seq, 1).await?;
            head = last.first().map_or(head, |last| last.previous);
        }
        loop {
            let entries = self.store.entries_after(seq, CHUNK).await?;
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
        if (seq, head) != (state.journal_seq, state.journal_head) {
            return Err(Error::Damaged {
                what: "the end of the journal",
            });
        }
        Ok(())
    }
}

impl Open {
    /// What callers have used of their days.
    pub(crate) async fn load_counts(&mut self, core: &mut Core) -> Result<(), Error> {
        for row in self.rows(core, Table::Count).await? {
            let plain = core.open_row(&self.ring, Table::Count, &row)?;
            self.counts.load(row.id, &plain)?;
        }
        Ok(())
    }

    pub(crate) async fn load_keys(&mut self, core: &mut Core) -> Result<(), Error> {
        for row in self.rows(core, Table::Key).await? {
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
}
