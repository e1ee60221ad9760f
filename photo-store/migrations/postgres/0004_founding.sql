-- Which vault the store was founded under. A store of before has no row.
CREATE TABLE founding (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    vault BYTEA NOT NULL CHECK (length(vault) = 16)
);
