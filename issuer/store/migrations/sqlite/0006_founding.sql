-- SQLite. Under which vault the ledger was founded. Forms as in 0001.

-- Written at the founding, before every other table. A ledger of before has no row: it is a real one.
CREATE TABLE IF NOT EXISTS founding (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    vault  BLOB NOT NULL CHECK (length(vault) = 16)
) STRICT;
