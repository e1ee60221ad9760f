//! The journal, read while the vault is open: between two milestones, whose hashes are sealed rows, or between the last one and the
//! end, which the state row has. What is shown is held by the chain at both ends, and so every answer follows the one before.

use keyvault_protocol::{JournalLine, JournalPage, MAX_JOURNAL_LINES, OPERATIONS, ReadJournal};
use minicbor::bytes::ByteArray;

use crate::audit::journal::{self, GENESIS, SEPARATOR, STRIDE, follows};
use crate::error::Error;
use crate::open::callers::ForWhom;
use crate::open::transaction::{Core, Open};
use crate::store::sql::{Entry, Table};

/// A place in the journal: the sequence and the hash of an entry.
type Point = (i64, [u8; 32]);

/// The part of the journal that is asked for.
pub(crate) async fn read(core: &mut Core, open: &Open, ask: &ReadJournal) -> Result<JournalPage, Error> {
    let entries = proven(core, open, ask.after).await?;
    page(entries, ask, open.state.journal_seq)
}

/// The entries between the two milestones around the one behind `after`.
pub(crate) async fn proven(core: &mut Core, open: &Open, after: i64) -> Result<Vec<Entry>, Error> {
    let end = (open.state.journal_seq, open.state.journal_head);
    let after = after.clamp(0, end.0);
    let first = after - after % STRIDE;
    let from = point(core, open, first).await?;
    let to = match first + STRIDE {
        last if last < end.0 => point(core, open, last).await?,
        _ => end,
    };
    let most = usize::try_from(STRIDE).unwrap_or(usize::MAX);
    let entries = core.entries_after(first, most).await?;
    chained(&entries, from, to)?;
    Ok(entries)
}

async fn point(core: &mut Core, open: &Open, seq: i64) -> Result<Point, Error> {
    if seq == 0 {
        return Ok((0, GENESIS));
    }
    let hash: Option<ByteArray<32>> = open.get(core, Table::Milestone, &seq.to_be_bytes()).await?;
    let hash = hash.ok_or(Error::Damaged {
        what: "a milestone of the journal",
    })?;
    Ok((seq, hash.into()))
}

/// Checks that the chain leads from one point over all the entries to the other.
fn chained(entries: &[Entry], from: Point, to: Point) -> Result<(), Error> {
    let mut reached = from;
    for entry in entries {
        if !follows(entry, reached.0, &reached.1) {
            break;
        }
        reached = (entry.seq, entry.hash);
    }
    let is_whole = entries.last().map_or(from.0, |last| last.seq) == reached.0;
    if is_whole && reached == to {
        Ok(())
    } else {
        Err(Error::Damaged {
            what: "the journal's chain",
        })
    }
}

/// What is asked for of these entries; the journal ends at `end`.
fn page(entries: Vec<Entry>, ask: &ReadJournal, end: i64) -> Result<JournalPage, Error> {
    let (mut lines, mut seq) = (Vec::new(), ask.after);
    for entry in entries.into_iter().filter(|entry| entry.seq > ask.after) {
        seq = entry.seq;
        let (event, asked) = journal::read(&entry.body)?;
        let mut values = event.values();
        values.extend(asked.iter().flat_map(for_whom));
        let in_time =
            ask.from.is_none_or(|from| from <= entry.at) && ask.before.is_none_or(|before| entry.at < before);
        let is_about = |about: &String| {
            let is = |value: &str| value == about || value.split(SEPARATOR).any(|one| one == about);
            values.iter().any(|(_, value)| is(value))
        };
        if in_time && ask.about.as_ref().is_none_or(is_about) {
            lines.push(JournalLine {
                seq,
                at: entry.at,
                kind: entry.kind,
                values: values
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
                hash: entry.hash,
            });
            if lines.len() == MAX_JOURNAL_LINES {
                break;
            }
        }
    }
    Ok(JournalPage {
        lines,
        next: (seq < end).then_some(seq),
    })
}

/// For whom a line was written.
fn for_whom(asked: &ForWhom) -> Vec<(&'static str, String)> {
    let mut values = vec![("caller", asked.by.clone())];
    if let Some(number) = asked.operation {
        let listed = OPERATIONS.iter().find(|listed| listed.number == number);
        let name = listed.map_or_else(|| number.to_string(), |listed| listed.name.to_owned());
        values.push(("operation", name));
        values.push(("request", hex::encode(asked.request)));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::journal::{Event, entry};

    fn chain() -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for number in 1..=6 {
            let (seq, head) = entries.last().map_or((0, GENESIS), |last| (last.seq, last.hash));
            let event = Event::TerminalRevoked {
                terminal: format!("bus {}", number % 2),
            };
            let asked = ForWhom {
                by: format!("officer {}", number % 3),
                operation: Some(1),
                request: [0; 16],
            };
            entries.push(entry((seq, head), 1000 + number, &event, &asked).unwrap());
        }
        entries
    }

    fn asked(entries: &[Entry], ask: &ReadJournal, end: &Entry) -> Result<Vec<i64>, Error> {
        chained(entries, (0, GENESIS), (end.seq, end.hash))?;
        let page = page(entries.to_vec(), ask, end.seq)?;
        assert_eq!(page.next, None);
        Ok(page.lines.iter().map(|line| line.seq).collect())
    }

    #[test]
    fn lines_are_found_by_number_day_and_value() {
        let whole = chain();
        let end = whole.last().unwrap();
        let all = ReadJournal::default();
        let seqs = |ask: ReadJournal| asked(&whole, &ask, end).unwrap();
        assert_eq!(seqs(all.clone()), [1, 2, 3, 4, 5, 6]);
        assert_eq!(
            seqs(ReadJournal {
                after: 4,
                ..all.clone()
            }),
            [5, 6]
        );
        assert_eq!(
            seqs(ReadJournal {
                after: 6,
                ..all.clone()
            }),
            [0; 0]
        );
        assert_eq!(
            seqs(ReadJournal {
                about: Some("bus 0".into()),
                ..all.clone()
            }),
            [2, 4, 6]
        );
        assert_eq!(
            seqs(ReadJournal {
                about: Some("bus".into()),
                ..all.clone()
            }),
            [0; 0]
        );
        for (about, found) in [("officer 0", vec![3, 6]), ("ReadStatus", vec![1, 2, 3, 4, 5, 6])] {
            let ask = ReadJournal {
                about: Some(about.into()),
                ..all.clone()
            };
            assert_eq!(seqs(ask), found);
        }
        let day = ReadJournal {
            from: Some(1003),
            before: Some(1005),
            ..all
        };
        assert_eq!(seqs(day), [3, 4]);
    }

    #[test]
    fn what_is_not_the_chain_is_not_shown() {
        let whole = chain();
        let end = whole.last().unwrap().clone();
        let all = ReadJournal::default();
        let late = ReadJournal {
            after: 5,
            ..all.clone()
        };
        let mut altered = whole.clone();
        altered[2].at += 1;
        assert!(asked(&altered, &all, &end).is_err());
        let mut missing = whole.clone();
        missing.remove(3);
        assert!(asked(&missing, &all, &end).is_err());
        // Another end, made by somebody who knows how a chain is made.
        let mut forged = whole.clone();
        let event = Event::Sealed { by: "mallory".into() };
        forged[5] = entry((5, forged[4].hash), 1006, &event, &ForWhom::default()).unwrap();
        assert!(asked(&forged, &all, &end).is_err());
        assert!(asked(&forged, &late, &end).is_err());
        // Cut off, when only what is new is asked for.
        assert!(asked(&whole[..5], &late, &end).is_err());
        assert!(asked(&whole, &late, &end).is_ok());
    }
}
