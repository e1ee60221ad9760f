-- SQLite. Photos with warnings that wait for a colleague of who took them. Forms as in 0001; the photo as in 0008.

-- The newest photo of an application, while it waits.
CREATE TABLE photos_to_confirm (
    application  TEXT PRIMARY KEY REFERENCES applications (id),
    photo        TEXT NOT NULL CHECK (length(photo) = 32),
    taken_by     TEXT NOT NULL,
    taken_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
