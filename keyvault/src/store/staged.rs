//! What the next commit writes: whoever reads the store sees it already.

use std::collections::BTreeMap;

use crate::store::sql::{Entry, Row, Table};

/// Rows and entries that wait for the commit, each row in its last form.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    /// A row, or none where it goes.
    pub(crate) rows: BTreeMap<Table, BTreeMap<Vec<u8>, Option<Row>>>,
    pub(crate) entries: Vec<Entry>,
}

impl Staged {
    /// Writes a row, or takes it away.
    pub(crate) fn set(&mut self, table: Table, id: &[u8], row: Option<Row>) {
        self.rows.entry(table).or_default().insert(id.to_vec(), row);
    }

    /// What is staged for a place; nothing where the store has it as it is.
    pub(crate) fn row(&self, table: Table, id: &[u8]) -> Option<&Option<Row>> {
        self.rows.get(&table)?.get(id)
    }

    /// How many rows of a table are staged.
    pub(crate) fn len(&self, table: Table) -> usize {
        self.rows.get(&table).map_or(0, BTreeMap::len)
    }

    /// The first `limit` rows behind `after`, when the store found `found` there, in the order of their ids: all it has, or at
    /// least as many more than `limit` as are staged.
    pub(crate) fn over(&self, table: Table, after: &[u8], limit: usize, found: Vec<Row>) -> Vec<Row> {
        let Some(staged) = self.rows.get(&table) else {
            return found.into_iter().take(limit).collect();
        };
        let mut rows: Vec<Row> = found
            .into_iter()
            .filter(|row| !staged.contains_key(&row.id))
            .collect();
        let behind = staged.iter().filter(|(id, _)| id.as_slice() > after);
        rows.extend(behind.filter_map(|(_, row)| row.clone()));
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        rows.truncate(limit);
        rows
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
        /// As if the staged rows stood in the store.
        #[test]
        fn a_walk_meets_the_staged_rows_in_their_places(
            stored in proptest::collection::btree_set(1u8..40, 0..20),
            changes in proptest::collection::btree_map(1u8..40, any::<bool>(), 0..20),
            after in 0u8..40,
            limit in 0usize..30,
        ) {
            let mut staged = Staged::default();
            let mut all: BTreeSet<(u8, i64)> = stored.iter().map(|id| (*id, 1)).collect();
            for (id, stays) in &changes {
                all.remove(&(*id, 1));
                if *stays {
                    all.insert((*id, 2));
                }
                staged.set(Table::Card, &[*id], stays.then(|| row(*id, 2)));
            }
            let fetched = limit + staged.len(Table::Card);
            let found = stored.iter().filter(|id| **id > after).take(fetched).map(|id| row(*id, 1));
            let walked = staged.over(Table::Card, &[after], limit, found.collect());
            let walked: Vec<(u8, i64)> = walked.iter().map(|row| (row.id[0], row.row_version)).collect();
            let expected: Vec<(u8, i64)> = all.into_iter().filter(|(id, _)| *id > after).take(limit).collect();
            prop_assert_eq!(walked, expected);
            prop_assert_eq!(staged.len(Table::Denied), 0);
        }
    }
}
