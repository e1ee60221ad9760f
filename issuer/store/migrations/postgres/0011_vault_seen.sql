-- PostgreSQL. Which generation of the vault's store the office saw. Forms as in 0001.

-- The largest that was seen, and the one that a person says the vault was put back to on purpose, until another person says so too.
CREATE TABLE vault_seen (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    generation   BIGINT NOT NULL CHECK (generation >= 0),
    proposed     BIGINT CHECK (proposed >= 0),
    proposed_by  TEXT,
    CHECK ((proposed IS NULL) = (proposed_by IS NULL))
);
INSERT INTO vault_seen (id, generation) VALUES (1, 0);
