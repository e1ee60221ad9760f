-- SQLite. What terminals counted. Forms as in 0001.

-- Terminals whose counters files are taken, each time that they stood on a line.
CREATE TABLE counting_terminals (
    name                TEXT NOT NULL,
    valid_from          TEXT NOT NULL CHECK (length(valid_from) = 10),
    authentication_key  BLOB NOT NULL CHECK (length(authentication_key) = 65),
    role                TEXT NOT NULL CHECK (role IN ('TRANSIT', 'SOCIAL_INSURANCE', 'SMALL_PAYMENT', 'CLINIC', 'DOOR')),
    operator            TEXT NOT NULL,
    line                TEXT,
    withdrawn_after     TEXT CHECK (length(withdrawn_after) = 10 AND withdrawn_after >= valid_from),
    created_at          INTEGER NOT NULL,
    changed_at          INTEGER NOT NULL,
    PRIMARY KEY (name, valid_from)
) STRICT;

CREATE UNIQUE INDEX one_counting_terminal_of_a_name ON counting_terminals (name) WHERE withdrawn_after IS NULL;

-- Days whose file was taken, so that it counts once. digest: of the file with its signature, without which nobody finds the
-- numbers by trying. No number.
CREATE TABLE counted_days (
    terminal     TEXT NOT NULL,
    day          TEXT NOT NULL CHECK (length(day) = 10),
    digest       BLOB NOT NULL CHECK (length(digest) = 32),
    imported_at  INTEGER NOT NULL,
    PRIMARY KEY (terminal, day)
) STRICT, WITHOUT ROWID;

-- How often, without any terminal. day: on which it is booked; of doors the first of the month, and line is empty.
CREATE TABLE counted (
    operator  TEXT NOT NULL,
    line      TEXT NOT NULL,
    role      TEXT NOT NULL CHECK (role IN ('TRANSIT', 'SOCIAL_INSURANCE', 'SMALL_PAYMENT', 'CLINIC', 'DOOR')),
    answer    TEXT NOT NULL CHECK (answer IN ('ACCEPTED', 'REFUSED')),
    day       TEXT NOT NULL CHECK (length(day) = 10),
    number    INTEGER NOT NULL CHECK (number > 0),
    PRIMARY KEY (operator, line, role, answer, day),
    CHECK (role <> 'DOOR' OR (line = '' AND substr(day, 9) = '01'))
) STRICT, WITHOUT ROWID;

-- What was written stays, and numbers grow.
CREATE TRIGGER counting_terminals_no_delete BEFORE DELETE ON counting_terminals BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER counting_terminals_keep_place BEFORE UPDATE OF name, valid_from, authentication_key, role, operator, line ON counting_terminals BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER counted_days_no_update BEFORE UPDATE ON counted_days BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER counted_days_no_delete BEFORE DELETE ON counted_days BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER counted_no_delete BEFORE DELETE ON counted BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER counted_grows BEFORE UPDATE ON counted WHEN new.number <= old.number OR new.operator <> old.operator OR new.line <> old.line OR new.role <> old.role OR new.answer <> old.answer OR new.day <> old.day BEGIN SELECT RAISE(ABORT, 'append-only'); END;
