-- SQLite. What was paid for each card in all. Forms as in 0001.

-- All that was ever paid for a card, by lines and from evidence, fen: never more than the vault gave it, whose `loaded` has
-- 32 bits. One sum, without terminal, single amount, day or time. Debits that were taken before this table was made are in
-- no sum: the ledger never kept their amounts.
CREATE TABLE settlement_chains (
    chain  BLOB PRIMARY KEY CHECK (length(chain) = 16),
    paid   INTEGER NOT NULL CHECK (paid BETWEEN 0 AND 4294967295)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER settlement_chains_no_delete BEFORE DELETE ON settlement_chains BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER chains_grow BEFORE UPDATE ON settlement_chains WHEN new.paid < old.paid OR new.chain <> old.chain BEGIN SELECT RAISE(ABORT, 'append-only'); END;
