-- The photo index. Instants are seconds since 1970-01-01T00:00:00Z; ids are 16 bytes; no name and no citizen number of a
-- holder stands anywhere.
CREATE TABLE photos (
    id             BLOB PRIMARY KEY CHECK (length(id) = 16),
    person         BLOB NOT NULL CHECK (length(person) = 16),
    -- HMAC-SHA-256 of the submitted bytes under a key that the vault wraps: finds the same bytes of the same person.
    digest         BLOB NOT NULL CHECK (length(digest) = 32),
    state          TEXT NOT NULL CHECK (state IN ('RECEIVED', 'WAITING', 'SEALED', 'SUPERSEDED', 'SHREDDED')),
    judgement      BLOB,
    received_at    INTEGER NOT NULL,
    submitted_by   TEXT NOT NULL,
    receipt_days   INTEGER NOT NULL CHECK (receipt_days IN (30, 60, 90)),
    confirmed_by   TEXT,
    confirmed_at   INTEGER,
    shredded_by    TEXT,
    shredded_at    INTEGER,
    shredded_case  TEXT
) STRICT;
CREATE UNIQUE INDEX photos_same_bytes ON photos (person, digest) WHERE state <> 'SHREDDED';
CREATE INDEX photos_by_state ON photos (state, received_at);

CREATE TABLE renditions (
    photo       BLOB NOT NULL REFERENCES photos (id),
    profile     TEXT NOT NULL CHECK (profile IN ('ga461', 'print')),
    version     INTEGER NOT NULL,
    object      TEXT NOT NULL UNIQUE,
    wrapped_key BLOB NOT NULL,
    PRIMARY KEY (photo, profile)
) STRICT;

CREATE TABLE receipts (
    number     TEXT PRIMARY KEY CHECK (length(number) = 16),
    photo      BLOB NOT NULL UNIQUE REFERENCES photos (id),
    expires_at INTEGER NOT NULL,
    used_case  TEXT,
    used_by    TEXT,
    used_at    INTEGER
) STRICT;

CREATE TABLE cases (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    number    TEXT NOT NULL,
    person    BLOB NOT NULL CHECK (length(person) = 16),
    opened_by TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    closed_by TEXT,
    closed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX cases_open ON cases (number) WHERE closed_at IS NULL;
CREATE INDEX cases_by_number ON cases (number);

CREATE TABLE reads (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    photo       BLOB NOT NULL,
    person      BLOB NOT NULL,
    profile     TEXT NOT NULL,
    purpose     TEXT NOT NULL,
    case_number TEXT NOT NULL,
    reader      TEXT NOT NULL,
    released_by TEXT,
    refused     TEXT
) STRICT;
CREATE INDEX reads_by_person ON reads (person, seq);

CREATE TABLE releases (
    token_digest BLOB PRIMARY KEY CHECK (length(token_digest) = 32),
    photo        BLOB NOT NULL REFERENCES photos (id),
    profile      TEXT NOT NULL,
    purpose      TEXT NOT NULL,
    case_number  TEXT NOT NULL,
    reader       TEXT NOT NULL,
    released_by  TEXT NOT NULL,
    released_at  INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE store_keys (
    name        TEXT PRIMARY KEY,
    wrapped_key BLOB NOT NULL
) STRICT;
