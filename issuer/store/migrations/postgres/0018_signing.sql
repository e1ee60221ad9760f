-- PostgreSQL. Keys with which people sign mandates, the mandate of what a case decides on, and what was signed of it. Forms as in 0001.

-- A key signs once a second administrator confirmed it, until its last instant or its removal. A row stays: a key is enrolled nowhere
-- again. organ: a division of GB/T 2260; origin: the page on which it signs; kind REHEARSAL: a key file of a rehearsal.
CREATE TABLE signing_keys (
    credential    BYTEA PRIMARY KEY CHECK (length(credential) BETWEEN 16 AND 1023),
    account       TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('REVIEWER', 'APPROVER')),
    organ         TEXT NOT NULL CHECK (length(organ) = 6),
    kind          TEXT NOT NULL CHECK (kind IN ('AUTHENTICATOR', 'REHEARSAL')),
    origin        TEXT NOT NULL,
    public_key    BYTEA NOT NULL UNIQUE CHECK (length(public_key) = 65),
    counter       BIGINT NOT NULL CHECK (counter >= 0),
    until         BIGINT NOT NULL,
    proposed_by   TEXT NOT NULL,
    proposed_at   BIGINT NOT NULL,
    confirmed_by  TEXT,
    confirmed_at  BIGINT CHECK (confirmed_at >= proposed_at),
    removed_by    TEXT,
    removed_at    BIGINT CHECK (removed_at >= proposed_at),
    CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL) AND (removed_by IS NULL) = (removed_at IS NULL)),
    CHECK (kind = 'REHEARSAL' OR (proposed_by <> account AND confirmed_by <> account AND confirmed_by <> proposed_by))
);

CREATE INDEX signing_keys_of_an_account ON signing_keys (account);
CREATE TRIGGER signing_keys_stay BEFORE DELETE ON signing_keys FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER signing_keys_keep_what_they_are BEFORE UPDATE OF credential, account, role, organ, kind, origin, public_key, until, proposed_by, proposed_at
    ON signing_keys FOR EACH ROW EXECUTE FUNCTION append_only();

-- The mandate of a version, made when intake ends; content of before has none, and is completed again.
CREATE TABLE mandates (
    application  TEXT NOT NULL,
    version      BIGINT NOT NULL,
    mandate      BYTEA NOT NULL,
    PRIMARY KEY (application, version),
    FOREIGN KEY (application, version) REFERENCES case_contents (application, version)
);

-- What two people signed of it. signature: CBOR of the assertion, with its proof where a list was signed; counter: the key's before it.
CREATE TABLE mandate_signatures (
    application  TEXT NOT NULL,
    version      BIGINT NOT NULL,
    role         TEXT NOT NULL CHECK (role IN ('REVIEWER', 'APPROVER')),
    credential   BYTEA NOT NULL REFERENCES signing_keys (credential),
    signature    BYTEA NOT NULL,
    counter      BIGINT NOT NULL CHECK (counter >= 0),
    signed_at    BIGINT NOT NULL,
    PRIMARY KEY (application, version, role),
    FOREIGN KEY (application, version) REFERENCES mandates (application, version)
);

CREATE TRIGGER mandates_stay BEFORE UPDATE OR DELETE ON mandates FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER mandate_signatures_stay BEFORE UPDATE OR DELETE ON mandate_signatures FOR EACH ROW EXECUTE FUNCTION append_only();
