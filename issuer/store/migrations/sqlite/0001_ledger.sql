-- SQLite.
-- Instants are milliseconds since 1970-01-01 UTC, written by the programme. Dates are YYYY-MM-DD. Ids are UUIDs in text.

CREATE TABLE rule_sets (
    id            TEXT PRIMARY KEY,
    digest        BLOB NOT NULL CHECK (length(digest) = 32),
    body          TEXT NOT NULL,
    published_at  INTEGER NOT NULL
) STRICT;

-- One row for a person, however many applications. No other fact about a person stands outside an application.
CREATE TABLE persons (
    id              TEXT PRIMARY KEY,
    citizen_number  TEXT NOT NULL UNIQUE CHECK (length(citizen_number) = 18),
    created_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE applications (
    id            TEXT PRIMARY KEY,
    person        TEXT NOT NULL REFERENCES persons (id),
    -- The applicant file as checked, frozen.
    applicant     TEXT NOT NULL,
    submitted_on  TEXT NOT NULL CHECK (length(submitted_on) = 10),
    state         TEXT NOT NULL CHECK (state IN
                  ('APPLIED', 'NEEDS_MORE', 'ACCEPTED', 'REFUSED', 'REVIEWED', 'APPROVED', 'WITHDRAWN')),
    intake        TEXT NOT NULL,
    accepted_on   TEXT CHECK (length(accepted_on) = 10),
    reviewer      TEXT CHECK (reviewer <> intake),
    approver      TEXT CHECK (approver <> intake AND approver <> reviewer),
    permit        TEXT,
    version       INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    changed_at    INTEGER NOT NULL,
    CHECK (state NOT IN ('REFUSED', 'REVIEWED', 'APPROVED') OR reviewer IS NOT NULL),
    CHECK (state <> 'APPROVED' OR (approver IS NOT NULL AND permit IS NOT NULL))
) STRICT;

CREATE UNIQUE INDEX one_open_application_per_person ON applications (person)
    WHERE state IN ('APPLIED', 'NEEDS_MORE', 'ACCEPTED', 'REVIEWED');

CREATE TABLE decisions (
    application  TEXT PRIMARY KEY REFERENCES applications (id),
    reviewer     TEXT NOT NULL,
    tier         TEXT CHECK (tier IN ('TEMP', 'EMPLOYMENT', 'TALENT')),
    rule_set     TEXT NOT NULL REFERENCES rule_sets (id),
    rule_digest  BLOB NOT NULL CHECK (length(rule_digest) = 32),
    -- The whole decision with its explanation, frozen.
    body         TEXT NOT NULL,
    made_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE permits (
    id           TEXT PRIMARY KEY,
    person       TEXT NOT NULL REFERENCES persons (id),
    application  TEXT NOT NULL UNIQUE REFERENCES applications (id),
    tier         TEXT NOT NULL CHECK (tier IN ('TEMP', 'EMPLOYMENT', 'TALENT')),
    rule_set     TEXT NOT NULL REFERENCES rule_sets (id),
    valid_from   TEXT NOT NULL CHECK (length(valid_from) = 10),
    valid_to     TEXT NOT NULL CHECK (length(valid_to) = 10 AND valid_to >= valid_from),
    state        TEXT NOT NULL CHECK (state IN
                 ('APPROVED', 'IN_PRODUCTION', 'PRODUCED', 'ACTIVE', 'SUSPENDED', 'ENDED')),
    order_id     TEXT,
    state_on     TEXT CHECK (length(state_on) = 10),
    end_reason   TEXT CHECK (end_reason IN
                 ('NO_LONGER_ELIGIBLE', 'HUKOU_MOVED_IN', 'DEATH', 'WITHDRAWN', 'FRAUD', 'REPLACED')),
    version      INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL,
    CHECK ((state IN ('IN_PRODUCTION', 'PRODUCED')) = (order_id IS NOT NULL)),
    CHECK ((state IN ('ACTIVE', 'SUSPENDED', 'ENDED')) = (state_on IS NOT NULL)),
    CHECK ((state = 'ENDED') = (end_reason IS NOT NULL))
) STRICT;

-- One person, one permit in the province.
CREATE UNIQUE INDEX one_permit_per_person ON permits (person) WHERE state <> 'ENDED';

-- Stock of blanks, by the serial of the chip. A serial leaves the stock once.
CREATE TABLE blanks (
    serial       TEXT PRIMARY KEY CHECK (length(serial) = 20),
    lot          TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('IN_STOCK', 'ALLOCATED', 'RECALLED')),
    received_at  INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL
) STRICT;

-- The last running number of a province. It only grows.
CREATE TABLE card_counters (
    province  TEXT PRIMARY KEY CHECK (length(province) = 2),
    last      INTEGER NOT NULL CHECK (last >= 1 AND last <= 9999999999)
) STRICT;

CREATE TABLE orders (
    id              TEXT PRIMARY KEY,
    permit          TEXT NOT NULL REFERENCES permits (id),
    reviewer        TEXT NOT NULL,
    approver        TEXT NOT NULL CHECK (approver <> reviewer),
    producer        TEXT NOT NULL CHECK (producer <> reviewer AND producer <> approver),
    -- What goes onto the card, frozen; never the portrait.
    content         BLOB NOT NULL,
    content_digest  BLOB NOT NULL CHECK (length(content_digest) = 32),
    state           TEXT NOT NULL CHECK (state IN
                    ('ORDERED', 'ALLOCATED', 'ENCODING', 'ENCODED', 'DRAWN', 'VERIFIED', 'HANDING_OVER',
                     'HANDED_OVER', 'GIVEN_UP')),
    card_number     TEXT UNIQUE,
    card_serial     TEXT UNIQUE,
    clerk           TEXT CHECK (clerk <> producer),
    handed_over_on  TEXT CHECK (length(handed_over_on) = 10),
    version         INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL,
    CHECK ((card_number IS NULL) = (card_serial IS NULL)),
    CHECK (state IN ('ORDERED', 'GIVEN_UP') OR card_number IS NOT NULL),
    CHECK (state <> 'ORDERED' OR card_number IS NULL),
    CHECK ((state IN ('HANDING_OVER', 'HANDED_OVER')) = (clerk IS NOT NULL)),
    CHECK ((state = 'HANDED_OVER') = (handed_over_on IS NOT NULL))
) STRICT;

CREATE UNIQUE INDEX one_running_order_per_permit ON orders (permit)
    WHERE state NOT IN ('HANDED_OVER', 'GIVEN_UP');
CREATE INDEX running_orders ON orders (created_at) WHERE state NOT IN ('HANDED_OVER', 'GIVEN_UP');

-- What each finished step left behind: for the status page, the report, and a resumed run.
CREATE TABLE order_steps (
    order_id     TEXT NOT NULL REFERENCES orders (id),
    position     INTEGER NOT NULL,
    step         TEXT NOT NULL CHECK (step IN
                 ('ALLOCATED', 'ENCODING', 'ENCODED', 'DRAWN', 'VERIFIED', 'HANDING_OVER', 'HANDED_OVER',
                  'GIVEN_UP')),
    role         TEXT NOT NULL,
    actor        TEXT NOT NULL,
    result       TEXT NOT NULL,
    finished_at  INTEGER NOT NULL,
    PRIMARY KEY (order_id, position)
) STRICT;

-- Every card that ever got a number. Rows are never deleted, so no number and no chip comes twice.
CREATE TABLE cards (
    number      TEXT PRIMARY KEY CHECK (length(number) = 13),
    serial      TEXT NOT NULL UNIQUE REFERENCES blanks (serial),
    permit      TEXT NOT NULL REFERENCES permits (id),
    order_id    TEXT NOT NULL UNIQUE REFERENCES orders (id),
    state       TEXT NOT NULL CHECK (state IN
                ('ALLOCATED', 'ENCODED', 'PRINTED', 'VERIFIED', 'HANDED_OVER', 'LOST', 'DAMAGED', 'RETURNED',
                 'CONFISCATED', 'REPLACED', 'DESTROYED')),
    version     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    changed_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX cards_of_permit ON cards (permit);

-- The ledger: append-only, each entry chained to the one before by SHA-256. No personal data: ids, states, accounts.
CREATE TABLE events (
    seq      INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    role     TEXT NOT NULL,
    actor    TEXT NOT NULL,
    action   TEXT NOT NULL,
    subject  TEXT NOT NULL,
    detail   TEXT NOT NULL,
    prev     BLOB NOT NULL CHECK (length(prev) = 32),
    hash     BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE INDEX events_of_subject ON events (subject, seq);

-- One row: the end of the chain. Every writer takes it first, so writers come one after the other on both engines.
CREATE TABLE ledger_head (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    seq   INTEGER NOT NULL,
    hash  BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

INSERT INTO ledger_head (id, seq, hash) VALUES (1, 0, zeroblob(32));

-- What was written stays.
CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER cards_no_delete BEFORE DELETE ON cards BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER rule_sets_no_update BEFORE UPDATE ON rule_sets BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER rule_sets_no_delete BEFORE DELETE ON rule_sets BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER decisions_no_update BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER decisions_no_delete BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER order_steps_no_update BEFORE UPDATE ON order_steps BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER order_steps_no_delete BEFORE DELETE ON order_steps BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER cards_keep_number BEFORE UPDATE OF number, serial, permit, order_id ON cards BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER orders_keep_content BEFORE UPDATE OF permit, reviewer, approver, producer, content, content_digest ON orders BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER counters_grow BEFORE UPDATE ON card_counters WHEN new.last <= old.last BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER counters_stay BEFORE DELETE ON card_counters BEGIN SELECT RAISE(ABORT, 'append-only'); END;
