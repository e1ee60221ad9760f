//! Ceilings: how much each caller has used of a day, and the stop at the number (claim K9).
//!
//! What is used stands in rows, one for each caller and kind, which change in the transaction of what they count: no
//! restart brings a day's share back, and a row that is put back is found as any other. What is asked for thousands of times an hour takes its
//! share in blocks: the row says up to where, memory what is used of it, and a restart loses the rest of the block. A day
//! that comes again, because the time was set back, goes on where it was. Left out: ceilings for each person and organ,
//! which come with mandates.

use std::collections::BTreeMap;

use jiff::Timestamp;
use keyvault_protocol::{CallerEntry, CeilingUse, Counted, Enrolment, LoweredCeiling, OPERATIONS};
use minicbor::{Decode, Encode};
use service_contract::Listed;

use crate::audit::journal::Event;
use crate::clock;
use crate::error::Error;
use crate::open::callers::{Callers, ForWhom};

/// Who uses, and below which ceilings of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spender {
    pub(crate) name: String,
    pub(crate) lowered: Vec<LoweredCeiling>,
}

impl Default for Spender {
    /// Nobody of the access list.
    fn default() -> Self {
        Self {
            name: ForWhom::ITSELF.to_owned(),
            lowered: Vec::new(),
        }
    }
}

impl Spender {
    pub(crate) fn of(entry: &CallerEntry) -> Self {
        Self {
            name: entry.enrolment.name.clone(),
            lowered: entry.enrolment.ceilings.clone(),
        }
    }

    fn most(&self, counted: Counted) -> u32 {
        let own = self.lowered.iter().filter(|own| own.counted == counted.name());
        own.fold(counted.per_day(), |most, own| most.min(own.per_day))
    }
}

/// What a transaction uses.
pub(crate) struct Use {
    /// What it is counted for, where that is not the caller.
    pub(crate) of: Option<String>,
    pub(crate) counted: Counted,
    pub(crate) by: u64,
}

/// Row of what was used; its id is [`row_id`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct CountRow {
    /// Its day, counted from 1970-01-01.
    #[n(0)]
    day: i32,
    /// What is taken for used.
    #[n(1)]
    up_to: u64,
    /// Whether it was told that little is left.
    #[n(2)]
    told: bool,
}

/// A row, and what is used of it.
#[derive(Clone, Debug)]
struct Count {
    row: CountRow,
    used: u64,
}

/// The rows of all callers, and who asks just now.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) spender: Spender,
    rows: BTreeMap<Vec<u8>, Count>,
}

/// What becomes of them with a transaction.
#[derive(Default)]
pub(crate) struct Charged {
    counts: BTreeMap<Vec<u8>, Count>,
    /// Those of them that are written.
    rows: BTreeMap<Vec<u8>, CountRow>,
    near: Vec<Near>,
}

/// What was there before a transaction that is not durable yet.
pub(crate) struct Before(Vec<(Vec<u8>, Option<Count>)>);

/// Four fifths of a ceiling.
struct Near {
    of: String,
    counted: Counted,
    used: u64,
    most: u64,
}

impl Charged {
    /// Whether nothing is to be written: it is of a block that is.
    pub(crate) fn is_of_a_block(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows to be written, encoded.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), Error>> {
        let encoded = |row| minicbor::to_vec(row).map_err(|_| DAMAGED);
        let rows = self.rows.iter();
        rows.map(move |(id, row)| Ok((id.clone(), encoded(row)?)))
    }

    /// What the journal says of them.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event> {
        self.near.iter().map(|near| Event::CeilingNear {
            caller: near.of.clone(),
            counted: near.counted.name().to_owned(),
            used: near.used,
            most: near.most,
        })
    }
}

const DAMAGED: Error = Error::Damaged {
    what: "a row of what was used",
};

/// How many are taken at once, of what is asked for so often.
fn block(counted: Counted) -> u64 {
    match counted {
        Counted::NewPhotoKeys | Counted::OpenedPhotoKeys | Counted::Batches => 256,
        Counted::Lines => 100_000,
        _ => 1,
    }
}

fn row_id(of: &str, counted: Counted) -> Vec<u8> {
    [of.as_bytes(), &[0], counted.name().as_bytes()].concat()
}

impl Counts {
    /// Takes a row into memory at unseal: all that it says counts as used.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub(crate) fn load(&mut self, id: Vec<u8>, plain: &[u8]) -> Result<(), Error> {
        let row: CountRow = minicbor::decode(plain).map_err(|_| DAMAGED)?;
        let used = row.up_to;
        self.rows.insert(id, Count { row, used });
        Ok(())
    }

    /// What of today is used: by each caller of what its operations are counted for, and of what is counted whoever asks.
    pub(crate) fn used(&self, callers: &Callers, now: Timestamp) -> Vec<CeilingUse> {
        let today = clock::day_number(clock::day(now));
        let used = |of: &str, counted: Counted, most: u32| {
            let known = self.rows.get(&row_id(of, counted));
            let known = known.filter(|known| known.row.day >= today);
            CeilingUse {
                of: of.to_owned(),
                counted: counted.name().to_owned(),
                used: known.map_or(0, |known| known.used),
                most: most.into(),
            }
        };
        let mut all = Vec::new();
        for entry in callers.values() {
            let Enrolment { kind, operations, .. } = &entry.enrolment;
            let may = |listed: &&Listed| {
                listed.policy.who.contains(kind)
                    && (operations.is_empty() || operations.contains(&listed.number))
            };
            let spender = Spender::of(entry);
            for counted in Counted::ALL {
                let mut asked = OPERATIONS.iter().filter(may);
                if asked.any(|listed| counted.is_counted_by(&listed.policy)) {
                    all.push(used(&spender.name, *counted, spender.most(*counted)));
                }
            }
        }
        for counted in [Counted::Lots, Counted::Blanks] {
            all.push(used(ForWhom::ITSELF, counted, counted.per_day()));
        }
        let counted = Counted::Rotations;
        let name = [&[0], counted.name().as_bytes()].concat();
        let rotated = self.rows.keys().filter_map(|id| id.strip_suffix(&name[..]));
        let rotated = rotated.map(|of| used(&String::from_utf8_lossy(of), counted, counted.per_day()));
        all.extend(rotated.filter(|rotated| rotated.used > 0));
        all
    }

    /// What the uses of a transaction make of the counts.
    ///
    /// # Errors
    /// [`Error::CeilingReached`].
    pub(crate) fn charge(&self, uses: &[Use], now: Timestamp) -> Result<Charged, Error> {
        let mut charged = Charged::default();
        let day = clock::day(now);
        let today = clock::day_number(day);
        for Use { of, counted, by } in uses {
            // What is counted whoever asks no entry lowers.
            let most = match of {
                Some(_) => counted.per_day(),
                None => self.spender.most(*counted),
            };
            let (most, of) = (u64::from(most), of.as_ref().unwrap_or(&self.spender.name));
            let id = row_id(of, *counted);
            let known = charged.counts.get(&id).or_else(|| self.rows.get(&id)).cloned();
            let (mut count, is_new) = match known {
                // A later day: the time was set back, and what was used stays used.
                Some(known) if known.row.day >= today => (known, false),
                _ => (Count::of(today), true),
            };
            count.row.day = today;
            count.used = count.used.saturating_add(*by);
            if count.used > most {
                return Err(Error::CeilingReached {
                    of: of.clone(),
                    counted: *counted,
                    most,
                    until: day.tomorrow().unwrap_or(day),
                });
            }
            let is_near = !count.row.told && count.used * 5 >= most * 4;
            if is_near {
                count.row.told = true;
                charged.near.push(Near {
                    of: of.clone(),
                    counted: *counted,
                    used: count.used,
                    most,
                });
            }
            if is_new || is_near || count.used > count.row.up_to {
                // A small share is not taken whole by its first block.
                let ahead = block(*counted).min(most / 16).saturating_sub(1);
                count.row.up_to = count.row.up_to.max((count.used + ahead).min(most));
                charged.rows.insert(id.clone(), count.row.clone());
            }
            charged.counts.insert(id, count);
        }
        Ok(charged)
    }

    /// Takes it over; gives what was there.
    pub(crate) fn take(&mut self, charged: Charged) -> Before {
        for near in &charged.near {
            let (counted, used, most) = (near.counted.name(), near.used, near.most);
            tracing::warn!(counted, used, most, "four fifths of a day's ceiling are used");
        }
        let taken = charged.counts.into_iter();
        let before = taken.map(|(id, count)| (id.clone(), self.rows.insert(id, count)));
        Before(before.collect())
    }

    /// What did not become durable is not used.
    pub(crate) fn take_back(&mut self, before: Before) {
        for (id, count) in before.0 {
            match count {
                Some(count) => self.rows.insert(id, count),
                None => self.rows.remove(&id),
            };
        }
    }
}

impl Count {
    fn of(day: i32) -> Self {
        let row = CountRow {
            day,
            up_to: 0,
            told: false,
        };
        Self { row, used: 0 }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil;

    use super::*;

    fn at(day: i8) -> Timestamp {
        // Midnight of the office.
        format!("2026-11-{:02}T16:00:00Z", day - 1).parse().unwrap()
    }

    fn uses(counted: Counted, by: u64) -> [Use; 1] {
        [Use {
            of: None,
            counted,
            by,
        }]
    }

    fn spender(counted: Counted, per_day: u32) -> Spender {
        let own = LoweredCeiling {
            counted: counted.name().to_owned(),
            per_day,
        };
        Spender {
            lowered: vec![own],
            ..Spender::default()
        }
    }

    /// Uses `by`; gives whether a row was written, and how many warnings there were.
    fn spend(counts: &mut Counts, of: &Spender, counted: Counted, by: u64, day: i8) -> Option<(bool, usize)> {
        counts.spender = of.clone();
        let charged = counts.charge(&uses(counted, by), at(day)).ok()?;
        let told = (!charged.is_of_a_block(), charged.events().count());
        counts.take(charged);
        Some(told)
    }

    /// As a process that starts with the rows that were written.
    fn restarted(rows: &BTreeMap<Vec<u8>, CountRow>) -> Counts {
        let mut counts = Counts::default();
        for (id, row) in rows {
            counts.load(id.clone(), &minicbor::to_vec(row).unwrap()).unwrap();
        }
        counts
    }

    #[test]
    fn a_day_gives_the_number_and_not_one_more_and_warns_once_at_four_fifths() {
        let mut counts = Counts::default();
        let of = spender(Counted::Cards, 10);
        for used in 1..=10 {
            let told = spend(&mut counts, &of, Counted::Cards, 1, 21).unwrap();
            assert_eq!(told, (true, usize::from(used == 8)), "{used}");
        }
        let error = counts.charge(&uses(Counted::Cards, 1), at(21)).err().unwrap();
        let until = civil::date(2026, 11, 22);
        assert_eq!(
            error,
            Error::CeilingReached {
                of: "vault".into(),
                counted: Counted::Cards,
                most: 10,
                until
            }
        );
        // Another kind, another caller and another day have their own.
        assert!(spend(&mut counts, &of, Counted::Lots, 1, 21).is_some());
        let other = Spender {
            name: "shenzhen".into(),
            ..of.clone()
        };
        assert!(spend(&mut counts, &other, Counted::Cards, 10, 21).is_some());
        assert!(spend(&mut counts, &of, Counted::Cards, 11, 22).is_none());
        assert!(spend(&mut counts, &of, Counted::Cards, 10, 22).is_some());
    }

    #[test]
    fn nobody_raises_a_ceiling() {
        let most = u64::from(Counted::Cards.per_day());
        let of = spender(Counted::Cards, u32::MAX);
        assert!(spend(&mut Counts::default(), &of, Counted::Cards, most, 21).is_some());
        assert!(spend(&mut Counts::default(), &of, Counted::Cards, most + 1, 21).is_none());
        assert!(spend(&mut Counts::default(), &of, Counted::Cards, u64::MAX, 21).is_none());
    }

    #[test]
    fn a_day_that_comes_again_goes_on_where_it_was() {
        let mut counts = Counts::default();
        let of = spender(Counted::Denials, 10);
        spend(&mut counts, &of, Counted::Denials, 7, 24).unwrap();
        assert!(spend(&mut counts, &of, Counted::Denials, 4, 21).is_none());
        spend(&mut counts, &of, Counted::Denials, 3, 21).unwrap();
        assert!(spend(&mut counts, &of, Counted::Denials, 10, 22).is_some());
    }

    #[test]
    fn blocks_write_a_row_for_many_and_a_restart_loses_the_rest_of_one_at_most() {
        let of = Spender::default();
        let (mut counts, mut rows, mut written) = (Counts::default(), BTreeMap::new(), 0);
        for _ in 0..10_000 {
            let charged = counts.charge(&uses(Counted::OpenedPhotoKeys, 1), at(21)).unwrap();
            written += charged.rows.len();
            rows.extend(charged.rows.clone());
            counts.take(charged);
        }
        assert_eq!(written, 10_000_usize.div_ceil(256));
        let most = u64::from(Counted::OpenedPhotoKeys.per_day());
        for left in [most - 10_000 - 255, most - 10_000] {
            let fits = spend(&mut restarted(&rows), &of, Counted::OpenedPhotoKeys, left, 21).is_some();
            assert_eq!(fits, left == most - 10_000 - 255, "{left}");
        }
        // A share of ten is used one by one.
        let of = spender(Counted::OpenedPhotoKeys, 10);
        let mut counts = restarted(&BTreeMap::new());
        counts.spender = of.clone();
        for _ in 0..10 {
            let charged = counts.charge(&uses(Counted::OpenedPhotoKeys, 1), at(21)).unwrap();
            counts = restarted(&charged.rows);
            counts.spender = of.clone();
        }
        assert!(spend(&mut counts, &of, Counted::OpenedPhotoKeys, 1, 21).is_none());
    }
}
