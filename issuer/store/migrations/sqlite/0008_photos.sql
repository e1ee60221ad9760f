-- SQLite. Which photos were taken for an application, and which are to end. Forms as in 0001. The pictures are in the photo store.

-- A photo, 32 hex digits, and the applications of its person for which it was taken or put onto a card.
CREATE TABLE application_photos (
    application  TEXT NOT NULL REFERENCES applications (id),
    photo        TEXT NOT NULL CHECK (length(photo) = 32),
    PRIMARY KEY (application, photo)
) STRICT, WITHOUT ROWID;

-- That a photo ends by an order: requested by one person, approved by another before the photo store is told.
CREATE TABLE photo_erasures (
    photo         TEXT PRIMARY KEY CHECK (length(photo) = 32),
    application   TEXT NOT NULL REFERENCES applications (id),
    -- The order that demands it.
    order_number  TEXT NOT NULL CHECK (length(order_number) BETWEEN 1 AND 64),
    requested_by  TEXT NOT NULL,
    approved_by   TEXT CHECK (approved_by <> requested_by),
    requested_at  INTEGER NOT NULL,
    changed_at    INTEGER NOT NULL
) STRICT;
