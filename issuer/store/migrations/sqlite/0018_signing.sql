-- SQLite. Keys with which people sign mandates, the mandate of what a case decides on, and what was signed of it. Forms as in 0001.

-- A key signs once a second administrator confirmed it, until its last instant or its removal. A row stays: a key is enrolled nowhere
-- again. organ: a division of GB/T 2260; origin: the page on which it signs; kind REHEARSAL: a key file of a rehearsal.
CREATE TABLE signing_keys (
    credential    BLOB PRIMARY KEY CHECK (length(credential) BETWEEN 16 AND 1023),
    account       TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('REVIEWER', 'APPROVER')),
    organ         TEXT NOT NULL CHECK (length(organ) = 6),
    kind          TEXT NOT NULL CHECK (kind IN ('AUTHENTICATOR', 'REHEARSAL')),
    origin        TEXT NOT NULL,
    public_key    BLOB NOT NULL UNIQUE CHECK (length(public_key) = 65),
    counter       INTEGER NOT NULL CHECK (counter >= 0),
    until         INTEGER NOT NULL,
    proposed_by   TEXT NOT NULL,
    proposed_at   INTEGER NOT NULL,
    confirmed_by  TEXT,
    confirmed_at  INTEGER CHECK (confirmed_at >= proposed_at),
    removed_by    TEXT,
    removed_at    INTEGER CHECK (removed_at >= proposed_at),
    CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL) AND (removed_by IS NULL) = (removed_at IS NULL)),
    CHECK (kind = 'REHEARSAL' OR (proposed_by <> account AND confirmed_by <> account AND confirmed_by <> proposed_by))
) STRICT, WITHOUT ROWID;

CREATE INDEX signing_keys_of_an_account ON signing_keys (account);
CREATE TRIGGER signing_keys_stay BEFORE DELETE ON signing_keys BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER signing_keys_keep_what_they_are BEFORE UPDATE OF credential, account, role, organ, kind, origin, public_key, until, proposed_by, proposed_at
    ON signing_keys BEGIN SELECT RAISE(ABORT, 'append-only'); END;

-- The mandate of a version, made when intake ends; content of before has none, and is completed again.
CREATE TABLE mandates (
    application  TEXT NOT NULL,
    version      INTEGER NOT NULL,
    mandate      BLOB NOT NULL,
    PRIMARY KEY (application, version),
    FOREIGN KEY (application, version) REFERENCES case_contents (application, version)
) STRICT, WITHOUT ROWID;

-- What two people signed of it. signature: CBOR of the assertion, with its proof where a list was signed; counter: the key's before it.
CREATE TABLE mandate_signatures (
    application  TEXT NOT NULL,
    version      INTEGER NOT NULL,
    role         TEXT NOT NULL CHECK (role IN ('REVIEWER', 'APPROVER')),
    credential   BLOB NOT NULL REFERENCES signing_keys (credential),
    signature    BLOB NOT NULL,
    counter      INTEGER NOT NULL CHECK (counter >= 0),
    signed_at    INTEGER NOT NULL,
    PRIMARY KEY (application, version, role),
    FOREIGN KEY (application, version) REFERENCES mandates (application, version)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER mandates_no_update BEFORE UPDATE ON mandates BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER mandates_no_delete BEFORE DELETE ON mandates BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER mandate_signatures_no_update BEFORE UPDATE ON mandate_signatures BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER mandate_signatures_no_delete BEFORE DELETE ON mandate_signatures BEGIN SELECT RAISE(ABORT, 'append-only'); END;
