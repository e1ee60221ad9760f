-- SQLite. What a person at the pages has for themselves: how they want to see them, and forms that are not filed yet. Forms as in 0001.

-- Language, letters and contrast, as the pages write them.
CREATE TABLE views (
    account  TEXT PRIMARY KEY,
    shows    TEXT NOT NULL CHECK (length(shows) <= 64)
) STRICT, WITHOUT ROWID;

-- One row for each application that somebody types and has not filed: the fields as they were typed (JSON). Of this person alone; taken
-- away when the application is filed, and a few days after it was last typed at.
CREATE TABLE drafts (
    application  TEXT PRIMARY KEY,
    account      TEXT NOT NULL,
    version      INTEGER NOT NULL CHECK (version > 0),
    fields       TEXT NOT NULL CHECK (length(fields) <= 131072),
    saved_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX drafts_of_a_person ON drafts (account, saved_at);
