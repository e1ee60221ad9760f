//! The journal, read while the vault is open: the lines of one answer are held together by the chain, and the last
//! answer by its end. Left out: that one answer follows the one before; unsealing walks the whole chain and finds that.

use keyvault_protocol::{JournalLine, JournalPage, MAX_JOURNAL_LINES, ReadJournal};

use crate::audit::journal::{Event, follows};
use crate::error::Error;
use crate::open::transaction::{Core, Open};
use crate::store::sql::Entry;

/// Lines that are looked at for one answer.
const CHUNK: usize = 1024;

/// The part of the journal that is asked for.
pub(crate) async fn read(core: &mut Core, open: &Open, ask: &ReadJournal) -> Result<JournalPage, Error> {
    let entries = core.entries_after(ask.after.max(0), CHUNK).await?;
    page(entries, ask, (open.state.journal_seq, open.state.journal_head))
}

/// What is asked for of the entries behind `ask.after`; the chain ends at `end`.
fn page(entries: Vec<Entry>, ask: &ReadJournal, end: (i64, [u8; 32])) -> Result<JournalPage, Error> {
    let broken = Error::Damaged {
        what: "the journal's chain",
    };
    let (mut lines, mut seq, mut head) = (Vec::new(), ask.after.max(0), None);
    for entry in entries {
        if !follows(&entry, seq, &head.unwrap_or(entry.previous)) {
            return Err(broken);
        }
        (seq, head) = (entry.seq, Some(entry.hash));
        let event: Event =
            minicbor::decode(&entry.body).map_err(|_| Error::Damaged { what: "the journal" })?;
        let values = event.values();
        let in_time =
            ask.from.is_none_or(|from| from <= entry.at) && ask.before.is_none_or(|before| entry.at < before);
        let is_about = |about: &String| values.iter().any(|(_, value)| value == about);
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
    match head {
        Some(head) if seq >= end.0 && (seq, head) != end => Err(broken),
        // There were lines, and there are none.
        None if seq < end.0 => Err(broken),
        _ => Ok(JournalPage {
            lines,
            next: (seq < end.0).then_some(seq),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::journal::{GENESIS, entry};

    fn chain() -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for number in 1..=6 {
            let (seq, head) = entries.last().map_or((0, GENESIS), |last| (last.seq, last.hash));
            let event = Event::TerminalRevoked {
                terminal: format!("bus {}", number % 2),
            };
            entries.push(entry(seq, head, 1000 + number, &event).unwrap());
        }
        entries
    }

    fn asked(entries: &[Entry], ask: &ReadJournal, end: &Entry) -> Result<Vec<i64>, Error> {
        let behind = entries.iter().filter(|entry| entry.seq > ask.after).cloned();
        let page = page(behind.collect(), ask, (end.seq, end.hash))?;
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
        forged[5] = entry(5, forged[4].hash, 1006, &event).unwrap();
        assert!(asked(&forged, &all, &end).is_err());
        assert!(asked(&forged, &late, &end).is_err());
        // Cut off, when only what is new is asked for.
        assert!(asked(&whole[..5], &late, &end).is_err());
        assert!(asked(&whole, &late, &end).is_ok());
    }
}
