//! Batches of updates: what waits for a terminal's role and regions, in a sealed box (card specification, chapter 09).

use card_applet_spec::codes::Role;
use card_applet_spec::crypto::PublicKey;
use card_applet_spec::date::Date;
use card_applet_spec::sealed_box;
use card_applet_spec::update_files::{self, BatchEntry, BatchHead};
use jiff::Timestamp;
use keyvault_protocol::{BundleKind, Counted, MAX_BATCH_UPDATES, UpdatesRequest};
use zeroize::Zeroizing;

use crate::audit::journal::Event;
use crate::authority::signers::Signer;
use crate::card::queue::{WaitingRow, queue};
use crate::clock;
use crate::error::{Error, fault};
use crate::keys::sealed_box::boxed;
use crate::keys::version::RoleKeyId;
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sql::Table;
use crate::terminal::registry::{Terminal, later};

/// Days that a batch may be used.
const MAX_BATCH_DAYS: u32 = 31;

/// A terminal's batch.
pub(crate) async fn export(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    request: &UpdatesRequest,
) -> Result<Vec<u8>, Error> {
    let name = request.terminal.as_bytes();
    let terminal = open.get::<Terminal>(core, Table::Terminal, name).await?;
    let mut terminal = terminal.ok_or(Error::NotFound {
        what: "terminal of this name",
    })?;
    let role = taps(terminal.kind()?).ok_or(Error::BadContent {
        what: "this kind of terminal taps no cards over door F, and delivers no updates",
    })?;
    let sealing_key = terminal.sealing_key.ok_or(Error::NotFound {
        what: "present bundle of this terminal; export one first",
    })?;
    let sealing_key = PublicKey::from_point65(&sealing_key).map_err(fault)?;
    let today = clock::card_day(clock::day(now))?;
    let to = clock::card_day(request.to)?;
    if to < today || to.day_number() > today.day_number() + MAX_BATCH_DAYS {
        return Err(Error::BadContent {
            what: "a batch is used until a day from today on, at most 31 days ahead",
        });
    }
    terminal.serves_until(to)?;
    let mut entries = Vec::new();
    let regions = terminal.regions.clone();
    for (n, region) in regions.iter().enumerate() {
        // What one region leaves is the next one's.
        let room = (MAX_BATCH_UPDATES - entries.len()) / (regions.len() - n);
        collect(core, open, role, *region, today, room, &mut entries).await?;
    }
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let sequence = terminal.batch.checked_add(1).ok_or(Error::LimitExceeded {
        what: "the number of batches",
        limit: u32::MAX,
    })?;
    terminal.batch = sequence;
    terminal.updates_until = later(terminal.updates_until, to);
    let mut transaction = Transaction::default();
    transaction.put(Table::Terminal, name, &terminal)?;
    transaction.spend(Counted::Batches, 1);
    transaction.note(Event::UpdatesExported {
        terminal: request.terminal.clone(),
        sequence,
        count,
    });
    open.apply(core, now, transaction).await?;

    let mut id = [0u8; 16];
    core.rng.fill_bytes(&mut id);
    let head = BatchHead {
        id,
        name: &request.terminal,
        issued: today,
        not_after: to,
        sequence,
    };
    let mut plain = Zeroizing::new(vec![0u8; update_files::batch_len(entries.len())]);
    let root = open.keys.signer(Signer::TerminalCaRoot)?;
    let used =
        update_files::encode_batch(&head, &entries, &root, &mut core.rng, &mut plain).map_err(fault)?;
    boxed(
        sealed_box::UPDATES,
        &sealing_key,
        plain,
        used,
        (&open.ring.nonce, &mut core.rng),
    )
}

/// The role whose cards a kind of terminal taps.
fn taps(kind: BundleKind) -> Option<Role> {
    match kind {
        BundleKind::Bus => Some(Role::Transit),
        BundleKind::Door => Some(Role::Door),
        BundleKind::Shop => Some(Role::SmallPayment),
        BundleKind::Clinic | BundleKind::Counter | BundleKind::SocialInsurance => None,
    }
}

/// Up to `room` envelopes of a queue, in the order of pseudonym and counter. Where there are more, they begin at a random
/// place: other batches have the others. A card's envelopes stay together.
pub(crate) async fn collect(
    core: &mut Core,
    open: &Open,
    role: Role,
    region: card_applet_spec::codes::Region,
    today: Date,
    room: usize,
    entries: &mut Vec<BatchEntry>,
) -> Result<(), Error> {
    let prefix = queue(role, region);
    let limit = room + 1;
    let mut rows = open.rows_after(core, Table::Waiting, &prefix, limit).await?;
    rows.retain(|row| row.id.starts_with(&prefix));
    if rows.len() > room {
        let mut start = [0u8; 16];
        core.rng.fill_bytes(&mut start);
        let start = [&prefix[..], &start, &[0xFF; 4]].concat();
        let mut behind = open.rows_after(core, Table::Waiting, &start, limit).await?;
        behind.retain(|row| row.id.starts_with(&prefix));
        // Too few are left behind that place: the ones from the beginning follow.
        behind.extend(rows.into_iter().filter(|row| row.id <= start));
        rows = behind;
        // The pseudonym that the room cuts through waits for another batch, unless it is the only one.
        let place = |row: &crate::store::sql::Row| row.id.get(..20).map(<[u8]>::to_vec);
        let cut = rows.get(room).and_then(place);
        rows.truncate(room);
        if rows.first().and_then(place) != cut {
            rows.retain(|row| place(row) != cut);
        }
    }
    for row in rows {
        let plain = core.open_row(&open.ring, Table::Waiting, &row)?;
        let waiting: WaitingRow = minicbor::decode(&plain).map_err(|_| Error::Damaged {
            what: "the queue of updates",
        })?;
        let over = RoleKeyId {
            role,
            region,
            version: waiting.key_version,
        };
        let brings = waiting.brings.map(|brings| RoleKeyId {
            role: brings.role,
            region: brings.region,
            version: brings.key_version,
        });
        // A version that is compromised since is neither used nor brought.
        let usable = |id: RoleKeyId| open.usable(id, today).is_some();
        if usable(over) && brings.is_none_or(usable) {
            entries.push(BatchEntry {
                id: waiting.update,
                role,
                pid: waiting.pid,
                update: waiting.sealed(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use card_applet_spec::update::UPDATE_LEN;
    use program_contract::Clock;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::open::transaction::Random;
    use crate::scratch_vault;

    #[tokio::test]
    async fn a_long_queue_is_carried_in_parts_that_keep_each_cards_updates_together_and_miss_none() {
        const ROOM: usize = 8;
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::fixed("2026-11-21T04:00:00Z".parse().unwrap());
        let mut seed = 0;
        let sources = || -> Random {
            seed += 1;
            Box::new(StdRng::seed_from_u64(seed))
        };
        let vault = scratch_vault::open(folder.path(), clock, sources).await.unwrap();
        let mut inner = vault.lock().await;
        let (core, open, _) = inner.open().unwrap();
        let now = core.header.high_water;
        let region = "440300".parse().unwrap();
        let id = open.active(core, now, Role::Door, region).await.unwrap();
        let mut transaction = Transaction::default();
        // 13 cards with one to three updates each; another role's beside them.
        let mut queued = 0;
        for card in 0..13u8 {
            for counter in 1..=u32::from(card % 3) + 1 {
                let pid = [card; 16];
                let mut update = [card; 16];
                update[15] = u8::try_from(counter).unwrap();
                let waiting = WaitingRow {
                    update,
                    pid,
                    key_version: id.version,
                    counter,
                    cipher: [0; UPDATE_LEN],
                    mac: [0; 16],
                    brings: None,
                };
                for role in [Role::Door, Role::Transit] {
                    let place = [
                        &queue(role, region)[..],
                        &open.keys.queue_place(&pid).unwrap(),
                        &counter.to_be_bytes(),
                    ]
                    .concat();
                    transaction.put(Table::Waiting, &place, &waiting).unwrap();
                }
                queued += 1;
            }
        }
        open.apply(core, now, transaction).await.unwrap();
        let today = clock::card_day(clock::day(now)).unwrap();
        let mut carried = BTreeSet::new();
        for _ in 0..200 {
            let mut entries = Vec::new();
            collect(core, open, Role::Door, region, today, ROOM, &mut entries)
                .await
                .unwrap();
            assert!(entries.len() <= ROOM && entries.len() > ROOM / 2);
            let mut counters: BTreeMap<[u8; 16], Vec<u32>> = BTreeMap::new();
            for entry in entries {
                assert_eq!(entry.role, Role::Door);
                counters.entry(entry.pid).or_default().push(entry.update.counter);
                carried.insert(entry.id);
            }
            for (pid, counters) in counters {
                let all: Vec<u32> = (1..=u32::from(pid[0] % 3) + 1).collect();
                assert_eq!(counters, all, "in their order, and all of them");
            }
        }
        assert_eq!(carried.len(), queued);
        let mut entries = Vec::new();
        collect(core, open, Role::Door, region, today, 100, &mut entries)
            .await
            .unwrap();
        assert_eq!(entries.len(), queued);
    }
}
