-- PostgreSQL. Who sits at a command line. Forms as in 0001.

-- One row for each session that has not ended: the SHA-256 of what its person holds, and of the token that opened it. Rows are
-- taken away when they end; that they began and ended is in the ledger.
CREATE TABLE sessions (
    secret        BYTEA PRIMARY KEY CHECK (length(secret) = 32),
    account       TEXT NOT NULL,
    token_sha256  TEXT NOT NULL CHECK (length(token_sha256) = 64),
    since         BIGINT NOT NULL,
    until         BIGINT NOT NULL CHECK (until > since)
);

-- Who proposed that a card that was brought in works again; a second person signs it off. Any step of the card ends it.
ALTER TABLE cards ADD COLUMN allow_proposed_by TEXT;
