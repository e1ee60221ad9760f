-- SQLite. Changes of cards in use, purses, payment terminals and settlement. Forms as in 0001.

-- Whether the card is on the vault's deny lists (WANTED and LIFTING: the vault has not confirmed), and its chip.
ALTER TABLE cards ADD COLUMN denial TEXT NOT NULL DEFAULT 'NO' CHECK (denial IN ('NO', 'WANTED', 'YES', 'LIFTING'));
ALTER TABLE cards ADD COLUMN chip TEXT NOT NULL DEFAULT 'OPEN' CHECK (chip IN ('OPEN', 'BLOCKED', 'TERMINATED'));

CREATE TABLE purse_rules (
    id            TEXT PRIMARY KEY,
    digest        BLOB NOT NULL CHECK (length(digest) = 32),
    body          TEXT NOT NULL,
    published_at  INTEGER NOT NULL
) STRICT;

-- One purse for each card that was loaded, fen. spent: as the card showed it when it last lay on a counter.
CREATE TABLE purses (
    card     TEXT PRIMARY KEY REFERENCES cards (number),
    loaded   INTEGER NOT NULL CHECK (loaded BETWEEN 0 AND 4294967295),
    spent    INTEGER NOT NULL CHECK (spent BETWEEN 0 AND loaded)
) STRICT;

-- Orders to change a card that its holder has.
CREATE TABLE changes (
    id              TEXT PRIMARY KEY,
    permit          TEXT NOT NULL REFERENCES permits (id),
    card            TEXT NOT NULL REFERENCES cards (number),
    kind            TEXT NOT NULL CHECK (kind IN
                    ('ENDORSE', 'TIER', 'ENTITLEMENT', 'ADDRESS', 'ROTATE', 'LOAD', 'BLOCK', 'UNBLOCK', 'END')),
    clerk           TEXT NOT NULL,
    approver        TEXT CHECK (approver <> clerk),
    -- What is to stand on the card, frozen; never the portrait.
    content         BLOB NOT NULL,
    content_digest  BLOB NOT NULL CHECK (length(content_digest) = 32),
    -- The permit's row that it was proposed on.
    permit_version  INTEGER NOT NULL,
    -- The permit's row that its approval made: the order in which the changes of a card hold.
    granted         INTEGER,
    applicant       TEXT,
    decision        TEXT,
    -- A load: fen, the purse behind it, and the rules that allowed it.
    amount          INTEGER CHECK (amount > 0),
    loaded          INTEGER CHECK (loaded >= amount),
    purse_rules     TEXT REFERENCES purse_rules (id),
    state           TEXT NOT NULL CHECK (state IN
                    ('PROPOSED', 'ORDERED', 'QUEUED', 'WRITING', 'DONE', 'GIVEN_UP')),
    way             TEXT CHECK (way IN ('COUNTER', 'UPDATE')),
    done_on         TEXT CHECK (length(done_on) = 10),
    version         INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL,
    CHECK ((kind = 'LOAD') = (amount IS NOT NULL AND loaded IS NOT NULL AND purse_rules IS NOT NULL)),
    CHECK ((state = 'DONE') = (way IS NOT NULL)),
    CHECK ((state = 'DONE') = (done_on IS NOT NULL)),
    CHECK (kind IN ('ROTATE', 'LOAD', 'BLOCK') OR state IN ('PROPOSED', 'GIVEN_UP') OR approver IS NOT NULL)
) STRICT;

CREATE INDEX changes_of_card ON changes (card);
-- One piece of paper at a time: what is being signed off is not overtaken.
CREATE UNIQUE INDEX one_change_of_a_kind_per_card ON changes (card, kind)
    WHERE state IN ('PROPOSED', 'ORDERED', 'WRITING');

-- The vault's number of each sealed update of a change. No time: a receipt comes without a day.
CREATE TABLE change_updates (
    vault_change  BLOB PRIMARY KEY CHECK (length(vault_change) = 16),
    change_id     TEXT NOT NULL REFERENCES changes (id),
    done          INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX updates_of_change ON change_updates (change_id);

-- Terminals that take payments. A registration number is given once.
CREATE TABLE payment_terminals (
    tid                 INTEGER PRIMARY KEY CHECK (tid BETWEEN 0 AND 4294967295),
    name                TEXT NOT NULL,
    authentication_key  BLOB NOT NULL CHECK (length(authentication_key) = 65),
    valid_from          TEXT NOT NULL CHECK (length(valid_from) = 10),
    valid_to            TEXT NOT NULL CHECK (length(valid_to) = 10 AND valid_to >= valid_from),
    withdrawn_after     TEXT CHECK (length(withdrawn_after) = 10),
    created_at          INTEGER NOT NULL,
    changed_at          INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX one_terminal_of_a_name ON payment_terminals (name) WHERE withdrawn_after IS NULL;

-- Settlement. Tables with a card's chain have no terminal, amount, day or time, and no order of arrival (a row stands
-- where its key sorts); tables of a terminal have no chain.
CREATE TABLE settlement_files (
    tid          INTEGER NOT NULL REFERENCES payment_terminals (tid),
    number       INTEGER NOT NULL CHECK (number BETWEEN 1 AND 4294967295),
    digest       BLOB NOT NULL CHECK (length(digest) = 32),
    -- Counts and sums, without cards: JSON.
    sums         TEXT NOT NULL,
    imported_at  INTEGER NOT NULL,
    PRIMARY KEY (tid, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE settlement_debits (
    chain  BLOB NOT NULL CHECK (length(chain) = 16),
    seq    INTEGER NOT NULL CHECK (seq BETWEEN 0 AND 4294967295),
    tac    BLOB NOT NULL CHECK (length(tac) = 8),
    PRIMARY KEY (chain, seq)
) STRICT, WITHOUT ROWID;

-- Cards that were copied or broken. denied: the vault has put them onto the deny lists.
CREATE TABLE settlement_copied (
    chain   BLOB PRIMARY KEY CHECK (length(chain) = 16),
    denied  INTEGER NOT NULL DEFAULT 0 CHECK (denied IN (0, 1))
) STRICT, WITHOUT ROWID;

-- Debits whose outcome a terminal does not know, by a digest that only the debit itself gives.
CREATE TABLE settlement_waiting (
    debit     BLOB PRIMARY KEY CHECK (length(debit) = 32),
    tid       INTEGER NOT NULL REFERENCES payment_terminals (tid),
    amount    INTEGER NOT NULL CHECK (amount >= 0),
    resolved  INTEGER NOT NULL DEFAULT 0 CHECK (resolved IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE settlement_recovered_debits (
    debit  BLOB PRIMARY KEY CHECK (length(debit) = 32)
) STRICT, WITHOUT ROWID;

-- What evidence from other terminals brought a terminal.
CREATE TABLE settlement_recovered (
    tid     INTEGER PRIMARY KEY REFERENCES payment_terminals (tid),
    debits  INTEGER NOT NULL CHECK (debits > 0),
    fen     INTEGER NOT NULL CHECK (fen >= 0)
) STRICT;

-- What was written stays.
CREATE TRIGGER purse_rules_no_update BEFORE UPDATE ON purse_rules BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER purse_rules_no_delete BEFORE DELETE ON purse_rules BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER purses_no_delete BEFORE DELETE ON purses BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER changes_no_delete BEFORE DELETE ON changes BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER change_updates_no_delete BEFORE DELETE ON change_updates BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER payment_terminals_no_delete BEFORE DELETE ON payment_terminals BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER settlement_files_no_update BEFORE UPDATE ON settlement_files BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER settlement_files_no_delete BEFORE DELETE ON settlement_files BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER settlement_debits_no_update BEFORE UPDATE ON settlement_debits BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER settlement_debits_no_delete BEFORE DELETE ON settlement_debits BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER settlement_copied_no_delete BEFORE DELETE ON settlement_copied BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER settlement_waiting_no_delete BEFORE DELETE ON settlement_waiting BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER settlement_recovered_debits_no_update BEFORE UPDATE ON settlement_recovered_debits BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER settlement_recovered_debits_no_delete BEFORE DELETE ON settlement_recovered_debits BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER purses_grow BEFORE UPDATE ON purses WHEN new.loaded < old.loaded OR new.spent < old.spent OR new.card <> old.card BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER changes_keep_content BEFORE UPDATE OF permit, card, kind, clerk, content, content_digest, permit_version, applicant, decision, amount, loaded, purse_rules ON changes BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER terminals_keep_key BEFORE UPDATE OF tid, name, authentication_key, valid_from, valid_to ON payment_terminals BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER updates_keep_change BEFORE UPDATE OF vault_change, change_id ON change_updates BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER waiting_keeps_debit BEFORE UPDATE OF debit, tid, amount ON settlement_waiting BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER recovered_grows BEFORE UPDATE ON settlement_recovered WHEN new.debits <= old.debits OR new.fen < old.fen OR new.tid <> old.tid BEGIN SELECT RAISE(ABORT, 'append-only'); END;
