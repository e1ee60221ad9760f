//! Settlement: whether cards made the TACs of a terminal's lines, and what the masked debit before each was (card
//! specification, chapter 11).
//!
//! Nothing of a line is written or logged, and how many a caller brings is all that is counted: the vault learns lines to answer, and keeps none. The office gets a
//! pseudonym for each card, which stands for it in settlement and for nothing else. A compromised or destroyed key version changes
//! nothing: Ktac comes from masters that no terminal ever had.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use card_applet_spec::codes::{Role, Serial};
use card_applet_spec::crypto::{Key16, equal};
use card_applet_spec::door_f::CommitBody;
use card_applet_spec::settlement::Before;
use jiff::Timestamp;
use keyvault_protocol::{Counted, LineCheck, MAX_LINES, OpenedDebit, SettlementLine};

use crate::card::record::{Card, Owner, PurseKey};
use crate::error::{Error, fault};
use crate::open::transaction::{Core, Open};
use crate::store::sql::Table;

/// Types that a debit can have; the terminal that saw `before` did not see the type.
const KINDS: [u8; 2] = [0x00, 0x01];

/// Checks lines; one verdict for each.
pub(crate) async fn check(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    lines: &[SettlementLine],
) -> Result<Vec<LineCheck>, Error> {
    if lines.len() > MAX_LINES {
        return Err(Error::LimitExceeded {
            what: "the number of lines",
            limit: 10_000,
        });
    }
    open.spend(core, now, Counted::Lines, lines.len() as u64).await?;
    // A card comes more than once in most files.
    let mut cards: BTreeMap<Serial, Known> = BTreeMap::new();
    let mut owners: BTreeMap<[u8; 16], Option<Serial>> = BTreeMap::new();
    let mut verdicts = Vec::with_capacity(lines.len());
    for line in lines {
        let owner = if let Some(owner) = owners.get(&line.pid) {
            *owner
        } else {
            let id = open.keys.pid_index(&line.pid)?;
            let owner = open.get::<Owner>(core, Table::Pid, &id).await?;
            let owner = owner.map(|owner| owner.serial);
            owners.insert(line.pid, owner);
            owner
        };
        let Some(serial) = owner else {
            verdicts.push(LineCheck::UnknownCard);
            continue;
        };
        let known = match cards.entry(serial) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Known::of(core, open, serial).await?),
        };
        verdicts.push(known.check(line)?);
    }
    Ok(verdicts)
}

/// A card whose lines are checked.
struct Known {
    card: Card,
    pseudonym: [u8; 16],
    keys: Vec<(PurseKey, Key16)>,
}

impl Known {
    async fn of(core: &mut Core, open: &Open, serial: Serial) -> Result<Self, Error> {
        let card = open.get::<Card>(core, Table::Card, serial.as_bytes()).await?;
        let card = card.ok_or(Error::Damaged {
            what: "the index of pseudonyms",
        })?;
        let keys = card
            .purse
            .keys
            .iter()
            .map(|key| Ok((*key, key.tac_key(&open.keys, &serial)?)))
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            card,
            pseudonym: open.keys.card_pseudonym(&serial)?,
            keys,
        })
    }

    fn check(&self, line: &SettlementLine) -> Result<LineCheck, Error> {
        let Ok(body) = CommitBody::parse(&line.body) else {
            // No card takes such a body.
            return Ok(LineCheck::Forged);
        };
        let debit = Debit {
            body,
            seq: line.seq,
            spent: line.spent,
            tac: line.tac,
        };
        let mine = |(key, _): &&(PurseKey, Key16)| key.key_version == line.key_version && key.pid == line.pid;
        for (key, ktac) in self.keys.iter().filter(mine) {
            if debit.was_made(key, ktac, line.loaded)? {
                let before = match &line.before {
                    Some(before) => self.open_before(before)?,
                    None => None,
                };
                return Ok(LineCheck::Genuine {
                    chain: self.pseudonym,
                    // Money that nobody gave is spent beyond `loaded` too: whoever has the Ktac of an opened card can
                    // write any figure, and a card itself never lets `spent` pass `loaded`.
                    loaded_known: self.card.purse.gave(line.loaded)
                        && debit.body.amount <= line.spent
                        && line.spent <= line.loaded,
                    before,
                    given: self.card.purse.most(),
                });
            }
        }
        Ok(LineCheck::Forged)
    }

    /// Opens what the TAP before showed: SB under each Ktac that the card had, until a TAC proves a whole body.
    fn open_before(&self, bytes: &[u8]) -> Result<Option<OpenedDebit>, Error> {
        let Ok(before) = Before::parse(bytes) else {
            return Ok(None);
        };
        for (key, ktac) in &self.keys {
            let debit = Debit::unmask(&before, key, ktac)?;
            // The card shows the spent of its last debit: with another key it would be noise.
            if debit.spent != before.spent {
                continue;
            }
            for kind in KINDS {
                let mut debit = debit;
                debit.body.kind = kind;
                let given = self.card.purse.loaded.iter().rev().copied();
                for loaded in [before.loaded, 0].into_iter().chain(given) {
                    if debit.was_made(key, ktac, loaded)? {
                        return Ok(Some(OpenedDebit {
                            seq: debit.seq,
                            tid: debit.body.tid,
                            amount: debit.body.amount,
                            spent: debit.spent,
                            time: debit.body.time,
                            txno: debit.body.txno,
                            kind,
                            tac: debit.tac,
                        }));
                    }
                }
            }
        }
        Ok(None)
    }
}

/// A debit that is to be proved.
#[derive(Clone, Copy)]
struct Debit {
    body: CommitBody,
    seq: u32,
    spent: u32,
    tac: [u8; 8],
}

impl Debit {
    /// SB: tid, amount, spent and time under the mask of (Ktac, version, pid, seq).
    fn unmask(before: &Before, key: &PurseKey, ktac: &Key16) -> Result<Self, Error> {
        let zero = CommitBody {
            amount: 0,
            tid: 0,
            txno: before.last_txno,
            time: 0,
            kind: 0,
        };
        // The mask is what SB of a body of zeros is.
        let role = Role::SmallPayment.code();
        let mask = zero
            .masked(ktac, role, key.key_version, &key.pid, before.seq, 0)
            .map_err(fault)?;
        let mut plain = before.masked;
        for (byte, mask) in plain.iter_mut().zip(mask) {
            *byte ^= mask;
        }
        let field = |n: usize| {
            let mut word = [0u8; 4];
            word.copy_from_slice(&plain[n * 4..n * 4 + 4]);
            u32::from_be_bytes(word)
        };
        Ok(Self {
            body: CommitBody {
                tid: field(0),
                amount: field(1),
                time: field(3),
                ..zero
            },
            seq: before.seq,
            spent: field(2),
            tac: before.tac,
        })
    }

    fn was_made(&self, key: &PurseKey, ktac: &Key16, loaded: u32) -> Result<bool, Error> {
        let role = Role::SmallPayment.code();
        let tac = self
            .body
            .tac(
                ktac,
                role,
                key.key_version,
                &key.pid,
                self.seq,
                loaded,
                self.spent,
            )
            .map_err(fault)?;
        Ok(equal(&tac, &self.tac))
    }
}

#[cfg(test)]
mod tests {
    use keyvault_protocol::DeliveredBy;

    use super::*;

    #[test]
    fn a_copied_key_that_claims_money_never_given_is_genuine_and_told() {
        let key = PurseKey {
            key_version: 1,
            pid: [5; 16],
            delivered_by: DeliveredBy::Script,
            generation: 0,
        };
        let ktac = Key16::new([7; 16]);
        let mut card = Card::begun([1; 16], 0);
        for loaded in [1_000, 3_000] {
            card.purse.give(loaded);
        }
        let known = Known {
            card,
            pseudonym: [2; 16],
            keys: vec![(key, ktac.duplicate())],
        };
        let body = CommitBody {
            amount: 10,
            tid: 4,
            txno: [6; 8],
            time: 9,
            kind: 0,
        };
        let line = |loaded: u32| {
            let tac = body
                .tac(&ktac, Role::SmallPayment.code(), 1, &key.pid, 3, loaded, 10)
                .unwrap();
            SettlementLine {
                key_version: 1,
                pid: key.pid,
                body: body.encode().unwrap(),
                seq: 3,
                loaded,
                spent: 10,
                tac,
                before: None,
            }
        };
        for (loaded, given) in [
            // 10 fen were spent: of nothing they cannot be.
            (0, false),
            (1_000, true),
            (3_000, true),
            (2_000, false),
            (3_001, false),
            (u32::MAX, false),
        ] {
            let verdict = known.check(&line(loaded)).unwrap();
            assert!(
                matches!(verdict, LineCheck::Genuine { loaded_known, given: 3_000, .. } if loaded_known == given),
                "{loaded}"
            );
        }
    }

    /// `cargo test -p keyvault --lib as_many_cards -- --ignored --nocapture`: every line of another card, so that index row,
    /// card row and key derivation come with each.
    #[tokio::test]
    #[ignore = "a measurement"]
    async fn lines_per_second_of_as_many_cards() {
        use card_applet_spec::codes::CardState;
        use program_contract::Clock;
        use rand::SeedableRng;
        use rand::rngs::StdRng;

        use crate::open::transaction::Random;
        use crate::open::transaction::Transaction;
        use crate::scratch_vault;

        const CARDS: u32 = 10_000;
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
        let mut lines = Vec::new();
        for chunk in 0..CARDS / 1_000 {
            let mut transaction = Transaction::default();
            for n in chunk * 1_000..(chunk + 1) * 1_000 {
                let mut serial = Serial([0; 10]);
                serial.0[6..].copy_from_slice(&n.to_be_bytes());
                let mut pid = [3u8; 16];
                pid[..4].copy_from_slice(&n.to_be_bytes());
                let key = PurseKey {
                    key_version: 1,
                    pid,
                    delivered_by: DeliveredBy::Script,
                    generation: 0,
                };
                let mut card = Card::begun([1; 16], n);
                card.state = CardState::Active;
                card.purse.keys.push(key);
                card.purse.give(5_000);
                open.put_card(core, &mut transaction, &serial, None, &card)
                    .await
                    .unwrap();
                let body = CommitBody {
                    amount: 10,
                    tid: 4,
                    txno: [6; 8],
                    time: 9,
                    kind: 0,
                };
                let ktac = key.tac_key(&open.keys, &serial).unwrap();
                let tac = body
                    .tac(&ktac, Role::SmallPayment.code(), 1, &pid, 3, 5_000, 10)
                    .unwrap();
                lines.push(SettlementLine {
                    key_version: 1,
                    pid,
                    body: body.encode().unwrap(),
                    seq: 3,
                    loaded: 5_000,
                    spent: 10,
                    tac,
                    before: None,
                });
            }
            open.apply(core, now, transaction).await.unwrap();
        }
        let start = std::time::Instant::now();
        let now = core.header.high_water;
        let verdicts = check(core, open, now, &lines).await.unwrap();
        let spent = start.elapsed().as_secs_f64();
        assert!(
            verdicts
                .iter()
                .all(|verdict| matches!(verdict, LineCheck::Genuine { .. }))
        );
        println!(
            "every line another card: {:.0} lines a second",
            f64::from(CARDS) / spent
        );
    }

    /// A line that whoever has the Ktac can sign.
    fn signed(key: &PurseKey, ktac: &Key16, amount: u32, loaded: u32, spent: u32) -> SettlementLine {
        let body = CommitBody {
            amount,
            tid: 1,
            txno: [7; 8],
            time: 800_000_000,
            kind: 0,
        };
        let role = Role::SmallPayment.code();
        let tac = body.tac(ktac, role, key.key_version, &key.pid, 5, loaded, spent);
        SettlementLine {
            key_version: key.key_version,
            pid: key.pid,
            body: body.encode().unwrap(),
            seq: 5,
            loaded,
            spent,
            tac: tac.unwrap(),
            before: None,
        }
    }

    #[test]
    fn money_that_was_never_given_is_seen_in_loaded_and_in_spent() {
        let key = PurseKey {
            key_version: 1,
            pid: [9; 16],
            delivered_by: DeliveredBy::Script,
            generation: 0,
        };
        let ktac = Key16::new([3; 16]);
        let mut card = Card::begun([1; 16], 0);
        card.purse.give(1_000);
        let known = Known {
            card,
            pseudonym: [4; 16],
            keys: vec![(key, Key16::new([3; 16]))],
        };
        // Amount, loaded, spent: of a card; loaded too high; spent beyond loaded; more than was ever spent.
        for (amount, loaded, spent, honest) in [
            (100, 1_000, 1_000, true),
            (100, 1_001, 1_000, false),
            (100, 1_000, 1_001, false),
            (100, 1_000, 99, false),
            (u32::MAX, 1_000, u32::MAX, false),
        ] {
            let line = signed(&key, &ktac, amount, loaded, spent);
            let checked = known.check(&line).unwrap();
            let LineCheck::Genuine { loaded_known, .. } = checked else {
                panic!("a TAC that fits was called forged")
            };
            assert_eq!(loaded_known, honest, "{amount} {loaded} {spent}");
        }
    }
}
