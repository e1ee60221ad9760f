-- Pages of papers that speak for an application, each of one case, and who looked at them.
CREATE TABLE pages (
    id           BLOB PRIMARY KEY CHECK (length(id) = 16),
    case_number  TEXT NOT NULL,
    person       BLOB NOT NULL CHECK (length(person) = 16),
    paper        TEXT NOT NULL,
    -- HMAC-SHA-256 of case, paper and submitted bytes: a form that is sent twice keeps one page.
    digest       BLOB NOT NULL CHECK (length(digest) = 32),
    state        TEXT NOT NULL CHECK (state IN ('RECEIVED', 'KEPT', 'SHREDDED')),
    received_at  INTEGER NOT NULL,
    submitted_by TEXT NOT NULL,
    width        INTEGER,
    height       INTEGER,
    version      INTEGER,
    object       TEXT UNIQUE,
    wrapped_key  BLOB,
    shredded_by  TEXT,
    shredded_at  INTEGER
) STRICT;
CREATE UNIQUE INDEX pages_same_bytes ON pages (case_number, digest) WHERE state <> 'SHREDDED';
CREATE INDEX pages_by_state ON pages (state, received_at);

CREATE TABLE page_looks (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    page        BLOB NOT NULL,
    paper       TEXT NOT NULL,
    person      BLOB NOT NULL,
    purpose     TEXT NOT NULL,
    case_number TEXT NOT NULL,
    reader      TEXT NOT NULL,
    refused     TEXT
) STRICT;
CREATE INDEX page_looks_by_person ON page_looks (person, seq);
