-- Which vault the store was founded under. A store of before has no row.
CREATE TABLE founding (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    vault BLOB NOT NULL CHECK (length(vault) = 16)
);
