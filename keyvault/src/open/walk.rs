//! The walk: behind an unseal every row of the store is opened once, a few at a time, while the vault works. The unseal says which
//! rows there are; this finds what is damaged in one before somebody needs it.

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
    /// Rows that were opened.
    pub(crate) rows: u64,
}

impl Walk {
    /// Opens the next rows; says whether there are more.
    pub(crate) async fn step(&mut self, core: &mut Core, open: &Open) -> Result<bool, Error> {
        let mut room = STEP;
        while room > 0 {
            let Some(table) = Table::COUNTED.get(self.tables).copied() else {
                return Ok(false);
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
}
