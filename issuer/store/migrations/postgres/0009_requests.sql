-- PostgreSQL. What a client's Idempotency-Key stood for. Forms as in 0001.

-- A key, by the digest of account, operation and key, and the digest of the request that it did. Rows are taken away after 30
-- days. Only for work that makes nothing under an id of the key's own.
CREATE TABLE requests (
    id       BYTEA PRIMARY KEY CHECK (length(id) = 16),
    request  BYTEA NOT NULL CHECK (length(request) = 32),
    done_at  BIGINT NOT NULL
);
