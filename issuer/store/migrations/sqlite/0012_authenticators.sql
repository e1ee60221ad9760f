-- SQLite. Authenticators of people, how accounts come back, and how a session was opened. Forms as in 0001.

-- What a person proves to be by: the id under which the authenticator knows its key, the key (SEC 1, uncompressed), and the counter
-- of its last answer. A row stays when its authenticator is removed: it is enrolled nowhere again, and a token that was used up
-- stays so.
CREATE TABLE authenticators (
    credential   BLOB PRIMARY KEY CHECK (length(credential) BETWEEN 16 AND 1023),
    account      TEXT NOT NULL,
    public_key   BLOB NOT NULL CHECK (length(public_key) = 65),
    counter      INTEGER NOT NULL CHECK (counter >= 0),
    label        TEXT NOT NULL,
    invitation   TEXT NOT NULL CHECK (invitation IN ('TOKEN', 'CODE', 'AUTHENTICATOR', 'SAMPLE')),
    enrolled_at  INTEGER NOT NULL,
    removed_at   INTEGER CHECK (removed_at >= enrolled_at)
) STRICT, WITHOUT ROWID;

CREATE INDEX authenticators_of_an_account ON authenticators (account);
CREATE TRIGGER authenticators_no_delete BEFORE DELETE ON authenticators BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER authenticators_keep_what_they_are BEFORE UPDATE OF credential, account, public_key, label, invitation, enrolled_at ON authenticators BEGIN SELECT RAISE(ABORT, 'append-only'); END;

-- The way back of an account whose authenticators are lost: one person asks, another confirms, and the code that is shown then
-- opens the enrolment once. code: its SHA-256. A row goes when its code is used; who asked and confirmed is in the ledger.
CREATE TABLE recoveries (
    account       TEXT PRIMARY KEY,
    asked_by      TEXT NOT NULL CHECK (asked_by <> account),
    asked_at      INTEGER NOT NULL,
    confirmed_by  TEXT CHECK (confirmed_by <> asked_by AND confirmed_by <> account),
    code          BLOB CHECK (length(code) = 32),
    code_until    INTEGER,
    CHECK ((confirmed_by IS NULL) = (code IS NULL) AND (code IS NULL) = (code_until IS NULL))
) STRICT, WITHOUT ROWID;

-- The key under which challenges are made, so that nobody who only asks for one writes anything.
CREATE TABLE sign_in_key (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    key  BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;

-- Challenges that were answered, so that no answer is taken twice. Rows are taken away when their challenge is too old anyway.
CREATE TABLE answered_challenges (
    challenge  BLOB PRIMARY KEY CHECK (length(challenge) = 32),
    until      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A session knows how it was opened, when it was last used, and when its person last proved to be there. Those that are open
-- end with this step: everybody signs in again.
DROP TABLE sessions;
CREATE TABLE sessions (
    secret        BLOB PRIMARY KEY CHECK (length(secret) = 32),
    account       TEXT NOT NULL,
    token_sha256  TEXT NOT NULL CHECK (length(token_sha256) = 64),
    opened_by     TEXT NOT NULL CHECK (opened_by IN ('COMMAND', 'SAMPLE', 'AUTHENTICATOR', 'INVITED_BY_TOKEN', 'INVITED_BY_CODE', 'HALF_ENROLLED')),
    since         INTEGER NOT NULL,
    until         INTEGER NOT NULL CHECK (until > since),
    seen_at       INTEGER NOT NULL CHECK (seen_at >= since),
    proved_at     INTEGER CHECK (proved_at >= since)
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_of_an_account ON sessions (account);
