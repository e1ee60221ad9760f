-- SQLite. What a chief closes and what a holder asks: days that were closed, paper forms, the key of slips, evaluations. Forms as in 0001.

CREATE INDEX events_by_time ON events (at);
-- The number on a slip: the last 12 hex digits of the application's id, which are random.
CREATE INDEX applications_by_receipt ON applications (substr(id, 25));

-- A day that was closed: the entries of the ledger from after_seq on (not included) up to to_seq, and the report as it was signed off.
CREATE TABLE day_closings (
    day        TEXT PRIMARY KEY CHECK (length(day) = 10),
    after_seq  INTEGER NOT NULL UNIQUE CHECK (after_seq >= 0),
    to_seq     INTEGER NOT NULL CHECK (to_seq >= after_seq),
    report     TEXT NOT NULL,
    closed_by  TEXT NOT NULL,
    closed_at  INTEGER NOT NULL
) STRICT;

-- Numbered forms of paper for hours without the system. What was typed is here until a second person confirmed it; then it is the application's.
CREATE TABLE paper_forms (
    number        TEXT PRIMARY KEY CHECK (length(number) = 14),
    division      TEXT NOT NULL CHECK (length(division) = 6),
    state         TEXT NOT NULL CHECK (state IN ('GIVEN_OUT', 'TYPED', 'FILED', 'VOID')),
    given_out_on  TEXT NOT NULL CHECK (length(given_out_on) = 10),
    given_out_by  TEXT NOT NULL,
    -- The day on the paper, on which it was accepted.
    paper_day     TEXT CHECK (length(paper_day) = 10 AND paper_day >= given_out_on),
    application   TEXT UNIQUE,
    applicant     TEXT,
    typed_by      TEXT,
    confirmed_by  TEXT CHECK (confirmed_by <> typed_by),
    version       INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    changed_at    INTEGER NOT NULL,
    CHECK ((state IN ('TYPED', 'FILED')) = (paper_day IS NOT NULL AND application IS NOT NULL AND typed_by IS NOT NULL)),
    CHECK ((state = 'TYPED') = (applicant IS NOT NULL)),
    CHECK ((state = 'FILED') = (confirmed_by IS NOT NULL))
) STRICT;

CREATE INDEX paper_forms_by_state ON paper_forms (state, number);

-- By which the code on a slip follows from its application: a secret of the office.
CREATE TABLE slip_key (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    key  BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;
INSERT INTO slip_key (id, key) VALUES (1, randomblob(32));

-- That a service was evaluated, by a keyed digest that names nobody; and how often each score was given. Nothing joins the two.
CREATE TABLE evaluated (
    service  BLOB PRIMARY KEY CHECK (length(service) = 32)
) STRICT, WITHOUT ROWID;

CREATE TABLE evaluations (
    division  TEXT NOT NULL CHECK (length(division) = 6),
    month     TEXT NOT NULL CHECK (length(month) = 7),
    kind      TEXT NOT NULL CHECK (kind IN ('FIRST_ISSUE', 'REPLACEMENT', 'CHANGE')),
    score     INTEGER NOT NULL CHECK (score BETWEEN 1 AND 5),
    number    INTEGER NOT NULL CHECK (number > 0),
    PRIMARY KEY (division, month, kind, score)
) STRICT, WITHOUT ROWID;

-- What was written stays.
CREATE TRIGGER day_closings_no_update BEFORE UPDATE ON day_closings BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER day_closings_no_delete BEFORE DELETE ON day_closings BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER paper_forms_no_delete BEFORE DELETE ON paper_forms BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER paper_forms_keep_number BEFORE UPDATE OF number, division, given_out_on, given_out_by ON paper_forms BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER paper_forms_are_over BEFORE UPDATE ON paper_forms WHEN old.state IN ('FILED', 'VOID') BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER slip_key_no_update BEFORE UPDATE ON slip_key BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER slip_key_no_delete BEFORE DELETE ON slip_key BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER evaluated_no_delete BEFORE DELETE ON evaluated BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER evaluations_no_delete BEFORE DELETE ON evaluations BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER evaluations_grow BEFORE UPDATE ON evaluations WHEN new.number <= old.number OR new.division <> old.division OR new.month <> old.month OR new.kind <> old.kind OR new.score <> old.score BEGIN SELECT RAISE(ABORT, 'append-only'); END;
