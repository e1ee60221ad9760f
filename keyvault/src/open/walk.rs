//! The walk: behind an unseal every row of the store is opened once and the journal is read, a few rows at a time, while the vault
//! works. The unseal says which rows there are; this finds what is damaged before somebody needs it.

use crate::audit::reading;
use crate::error::Error;
use crate::open::transaction::{Core, Open};
use crate::store::sql::Table;

/// Rows that are opened at once; a request waits for so many at most.
const STEP: usize = 128;

/// How far it has come.
#[derive(Default)]
pub(crate) struct Walk {
    tables: usize,
    after: Vec<u8>,
    /// The last entry of the journal that was read.
    seq: i64,
    /// Rows that were opened.
    pub(crate) rows: u64,
}

impl Walk {
    /// Opens the next rows, and then reads the journal; says whether there is more.
    pub(crate) async fn step(&mut self, core: &mut Core, open: &Open) -> Result<bool, Error> {
        let mut room = STEP;
        while room > 0 {
            let Some(table) = Table::COUNTED.get(self.tables).copied() else {
                return self.read_on(core, open).await;
            };
            let rows = open.some_after(core, table, &self.after, room).await?;
            for row in &rows {
                // The ring is sealed under the root key, and was opened whole.
                if table != Table::Ring {
                    core.open_row(&open.ring, table, row)?;
                }
                self.rows += 1;
            }
            room -= rows.len();
            if let Some(last) = rows.into_iter().next_back() {
                self.after = last.id;
            } else {
                self.tables += 1;
                self.after.clear();
            }
        }
        Ok(true)
    }

    /// Reads the journal to its next milestone; says whether it goes on.
    async fn read_on(&mut self, core: &mut Core, open: &Open) -> Result<bool, Error> {
        let entries = reading::proven(core, open, self.seq).await?;
        self.seq = entries.last().map_or(self.seq, |last| last.seq);
        Ok(self.seq < open.state.journal_seq)
    }
}
