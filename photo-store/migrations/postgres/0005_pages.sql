-- Pages of papers that speak for an application, each of one case, and who looked at them.
CREATE TABLE pages (
    id           BYTEA PRIMARY KEY CHECK (length(id) = 16),
    case_number  TEXT NOT NULL,
    person       BYTEA NOT NULL CHECK (length(person) = 16),
    paper        TEXT NOT NULL,
    -- HMAC-SHA-256 of case, paper and submitted bytes: a form that is sent twice keeps one page.
    digest       BYTEA NOT NULL CHECK (length(digest) = 32),
    state        TEXT NOT NULL CHECK (state IN ('RECEIVED', 'KEPT', 'SHREDDED')),
    received_at  BIGINT NOT NULL,
    submitted_by TEXT NOT NULL,
    width        BIGINT,
    height       BIGINT,
    version      BIGINT,
    object       TEXT UNIQUE,
    wrapped_key  BYTEA,
    shredded_by  TEXT,
    shredded_at  BIGINT
);
CREATE UNIQUE INDEX pages_same_bytes ON pages (case_number, digest) WHERE state <> 'SHREDDED';
CREATE INDEX pages_by_state ON pages (state, received_at);

CREATE TABLE page_looks (
    seq         BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at          BIGINT NOT NULL,
    page        BYTEA NOT NULL,
    paper       TEXT NOT NULL,
    person      BYTEA NOT NULL,
    purpose     TEXT NOT NULL,
    case_number TEXT NOT NULL,
    reader      TEXT NOT NULL,
    refused     TEXT
);
CREATE INDEX page_looks_by_person ON page_looks (person, seq);
